//! Loss is exact: with a ring made too small, what was delivered and what was counted as lost is what was done.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lanner_capture::{Capture, Config, Host, plan};
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs};

const PROCESSES: u64 = 2;

/// The tests make the same calls and would count each other's.
static ALONE: Mutex<()> = Mutex::new(());

/// Two processes that each fail the same call, which nothing else on a test machine makes: `setns(-1, 0)`.
fn workload(calls: u64, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        // Capture does not report its own process: the calls are made by a child.
        // SAFETY: the child makes system calls on constants and ends without returning.
        let child = unsafe { libc::fork() };
        if child == 0 {
            for _ in 1..PROCESSES {
                // SAFETY: as above.
                if unsafe { libc::fork() } == 0 {
                    call_and_end(calls);
                }
            }
            call_and_end(calls);
        }
        let mut status = 0;
        // SAFETY: status lives here.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
        stop.store(true, Ordering::Relaxed);
    })
}

fn call_and_end(calls: u64) -> ! {
    for _ in 0..calls {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_setns, -1, 0) };
    }
    // SAFETY: waits for this child's own child, if it has one, and ends.
    unsafe {
        while libc::wait(std::ptr::null_mut()) > 0 {}
        libc::_exit(0)
    }
}

fn run(ring_bytes: usize, calls: u64) -> Option<(u64, lanner_capture::Stats)> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::probe();
    if !host.missing_capabilities.is_empty() {
        eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
        return None;
    }
    let needs = Needs {
        events: [Event::Setns].into_iter().collect(),
        ..Needs::default()
    };
    let config = Config {
        ring_bytes,
        ..Config::default()
    };
    let plan = plan(&host, &needs, &config).unwrap();
    let mut capture = Capture::start(plan, &config, &ContainerTable::new()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let worker = workload(calls, Arc::clone(&stop));
    let mut seen = 0;
    capture
        .run(&stop, &mut |view| seen += u64::from(view.event == Event::Setns))
        .unwrap();
    worker.join().unwrap();
    let stats = capture.stats();
    println!("{stats}");
    Some((seen, stats))
}

#[test]
fn a_ring_too_small_loses_exactly_what_it_says() {
    const CALLS: u64 = 100_000;
    let Some((seen, stats)) = run(64 << 10, CALLS) else {
        return;
    };
    let lost: u64 = stats
        .drops
        .iter()
        .filter(|(event, ..)| *event == Event::Setns)
        .map(|(.., n)| n)
        .sum();
    let refused: u64 = stats.recursion_misses.iter().map(|(_, n)| n).sum();
    assert_eq!(
        stats.gaps,
        stats.lost(),
        "the consumer's gaps are the kernel's counters"
    );
    if refused == 0 {
        assert_eq!(seen + lost, CALLS * PROCESSES);
    } else {
        println!("skipped the sum: the kernel refused {refused} runs, which have no event type");
        assert!(seen + lost + refused >= CALLS * PROCESSES);
    }
    assert!(
        lost > 0,
        "64 KiB hold {seen} events at once here; make the ring smaller"
    );
}

#[test]
fn an_ordinary_ring_loses_nothing() {
    // All of it fits into the ring, so that the result does not hang on how often the consumer gets a CPU.
    const CALLS: u64 = 30_000;
    let Some((seen, stats)) = run(Config::default().ring_bytes, CALLS) else {
        return;
    };
    assert_eq!((stats.lost(), stats.gaps), (0, 0));
    assert_eq!(seen, CALLS * PROCESSES);
}
