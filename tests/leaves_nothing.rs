//! However Lanner ends, the kernel keeps nothing of it: no program, no map, no link.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::time::{Duration, Instant};

use support::bpf_objects::BpfObjects;
use support::lanner::{self, Lanner};
use support::{alone, skip};

const LIMIT: Duration = Duration::from_secs(120);

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
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = objects.that_exist();
        if left.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "after {} s the kernel still has {left:?}, which these hold: {:?}",
            LIMIT.as_secs(),
            left.holders()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
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
fn thirty_restarts_leave_nothing() {
    leave_nothing(30);
}

#[test]
#[ignore = "long: make soak runs it"]
fn a_hundred_restarts_leave_nothing() {
    leave_nothing(100);
}

fn leave_nothing(restarts: u32) {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let mut all = BpfObjects::default();
    for round in 0..restarts {
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
        all.programs.len() >= 4 * restarts as usize,
        "every start has its own"
    );
    wait_until_gone(&all);
}
