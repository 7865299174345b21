//! However Lanner ends, the kernel keeps nothing of it: no program, no map, no link.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::time::Duration;

use support::bpf_objects::BpfObjects;
use support::lanner::{self, Lanner};
use support::{alone, skip, wait_for};

const LIMIT: Duration = Duration::from_secs(30);
/// Starts of one machine's life.
const RESTARTS: u32 = 100;

fn start() -> (Lanner, BpfObjects) {
    let lanner = Lanner::start(&lanner::options(None));
    let objects = BpfObjects::of(lanner.pid());
    assert!(
        objects.programs.len() >= 4 && objects.maps.len() >= 5 && objects.links.len() >= 4,
        "{objects:?}"
    );
    assert_eq!(objects.that_exist(), objects);
    (lanner, objects)
}

fn wait_until_gone(objects: &BpfObjects) {
    // The kernel frees them after the last program that may be running has returned.
    wait_for("the kernel to free the BPF objects", LIMIT, || {
        objects.that_exist().is_empty().then_some(())
    });
}

#[test]
fn a_killed_lanner_leaves_no_program_map_or_link() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (lanner, objects) = start();
    lanner.kill();
    wait_until_gone(&objects);
}

#[test]
fn a_hundred_restarts_leave_nothing() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let mut all = BpfObjects::default();
    for round in 0..RESTARTS {
        let (lanner, objects) = start();
        all.programs.extend(&objects.programs);
        all.maps.extend(&objects.maps);
        all.links.extend(&objects.links);
        // Both ways of ending, in turn.
        match round % 2 {
            0 => drop(lanner.kill()),
            _ => {
                let ended = lanner.stop();
                assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
            }
        }
    }
    assert!(
        all.programs.len() >= 4 * RESTARTS as usize,
        "every start has its own"
    );
    wait_until_gone(&all);
}
