//! Capture started again and again in one process, as a reload does it, leaves nothing behind there.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lanner_capture::{Capture, Config, Host, plan};
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs};

/// Starts before it is looked at what one costs: the first ones fill caches.
const FIRST: usize = 5;
const STARTS: usize = 30;

/// What this process holds: descriptors, mappings.
fn held() -> (usize, usize) {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    // The allocator's own come and go.
    (
        descriptors,
        maps.lines().filter(|line| line.contains("bpf")).count(),
    )
}

fn start_and_end(host: &Host) {
    let needs = Needs {
        events: [Event::Openat].into_iter().collect(),
        ..Needs::default()
    };
    let config = Config {
        ring_bytes: 64 << 10,
        ..Config::default()
    };
    let plan = plan(host, &needs, &config).unwrap();
    let mut capture = Capture::start(plan, &config, &ContainerTable::new()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let worker = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let opened = Command::new("cat").arg("/dev/null").status();
            stop.store(true, Ordering::Relaxed);
            opened.unwrap()
        }
    });
    let mut seen = 0;
    capture.run(&stop, &mut |_| seen += 1).unwrap();
    assert!(worker.join().unwrap().success());
    assert!(seen + capture.stats().lost() > 0, "it captured");
}

#[test]
fn many_starts_in_one_process_leave_nothing_in_it() {
    let host = Host::probe();
    if !host.missing_capabilities.is_empty() {
        eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
        return;
    }
    for _ in 0..FIRST {
        start_and_end(&host);
    }
    let before = held();
    for _ in FIRST..STARTS {
        start_and_end(&host);
    }
    assert_eq!(held(), before, "descriptors and mappings of BPF");
}
