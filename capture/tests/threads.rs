//! Twenty thousand live threads: each is told from the others, and none is remembered.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lanner_capture::{Capture, Config, Host, plan};
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs};
use lanner_schema::task::{TaskValue, bits};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

const THREADS: usize = 20_000;

/// What every thread does: a call that nothing else on a test machine makes; then it waits for the end of its process.
extern "C" fn act(_: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: no pointers.
    unsafe {
        libc::syscall(libc::SYS_setns, -1, 0);
        loop {
            libc::pause();
        }
    }
}

/// A process with that many threads, the last of whose calls is its first thread's. It ends with how many it could start.
fn workload() -> i32 {
    // SAFETY: the child allocates and starts threads, but ends without returning; what it writes is its own.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above; the attributes live until the threads are started.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            libc::pthread_attr_init(&mut attributes);
            libc::pthread_attr_setstacksize(&mut attributes, 16 << 10);
            for _ in 0..THREADS {
                let mut thread = 0;
                if libc::pthread_create(&mut thread, &attributes, act, std::ptr::null_mut()) != 0 {
                    libc::_exit(1);
                }
            }
            libc::syscall(libc::SYS_setns, -1, 0);
            // Threads that were started may not have run yet: they are counted by whoever reads their calls.
            libc::pause();
            libc::_exit(0);
        }
    }
    child
}

fn end(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: status lives here.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, &mut status, 0);
    }
    status
}

#[test]
fn twenty_thousand_threads_take_no_memory() {
    let host = Host::probe();
    if !host.missing_capabilities.is_empty() {
        return eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
    }
    let pids: usize = std::fs::read_to_string("/proc/sys/kernel/pid_max")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    if pids < THREADS + 5_000 {
        return eprintln!("skipped: this kernel has {pids} ids for threads");
    }
    let mut needs = Needs {
        events: [Event::Setns].into_iter().collect(),
        ..Needs::default()
    };
    needs.task[Event::Setns as usize] = bits(&[TaskValue::Vtid, TaskValue::Threads]);
    let config = Config {
        ring_bytes: 16 << 20,
        ..Config::default()
    };
    let plan = plan(&host, &needs, &config).unwrap();
    let mut capture = Capture::start(plan, &config, &ContainerTable::new()).unwrap();
    let before = capture.stats().processes;
    let child = workload();
    let stop = Arc::new(AtomicBool::new(false));
    let mut seen = HashSet::with_capacity(2 * THREADS);
    let (mut most, mut wrong) = (0, 0u32);
    // A workload that could not be started ends by itself, and nothing comes of it any more.
    let watchdog = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            for _ in 0..1200 {
                std::thread::sleep(std::time::Duration::from_millis(100));
                let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
                let ended = !matches!(
                    waitid(Id::Pid(Pid::from_raw(child)), look),
                    Ok(WaitStatus::StillAlive)
                );
                if stop.load(Ordering::Relaxed) || ended {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
        })
    };
    let memory = allocation_counter::measure(|| {
        capture
            .run(&stop, &mut |view| {
                if view.event != Event::Setns || view.pid != child.unsigned_abs() {
                    return;
                }
                seen.insert(view.tid);
                // This process is in the first pid namespace of its /proc, or its ids differ throughout.
                let vtid = view.task(TaskValue::Vtid).unwrap_or(0);
                wrong += u32::from(vtid == 0);
                most = most.max(view.task(TaskValue::Threads).unwrap_or(0));
                if seen.len() > THREADS {
                    stop.store(true, Ordering::Relaxed);
                }
            })
            .unwrap();
    });
    let stats = capture.stats();
    let status = end(child);
    watchdog.join().unwrap();
    if seen.len() <= THREADS && libc::WIFEXITED(status) {
        return eprintln!("skipped: only {} threads could be started here", seen.len());
    }
    assert_eq!((seen.len(), stats.lost()), (THREADS + 1, 0), "{stats}");
    assert_eq!(wrong, 0);
    assert_eq!(most, THREADS as u64 + 1, "the last of them sees all");
    let kept = memory.bytes_current;
    println!(
        "{kept} bytes more for {THREADS} threads; processes known: {before}, then {}",
        stats.processes
    );
    assert!(kept < 1 << 20, "{kept} bytes are kept");
}
