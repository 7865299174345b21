//! Loss is exact: with a ring made too small, what was delivered and what was counted as lost is what was done.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::fs;
use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lanner_capture::{Capture, Config, Host, Loser, Losses, Stats, plan};
use lanner_schema::cgroup::Hierarchy;
use lanner_schema::container::{ContainerTable, Owner};
use lanner_schema::event::{Event, Needs};
use lanner_schema::view::ParamValue;

const PROCESSES: u64 = 2;

/// The tests make the same calls and would count each other's.
static ALONE: Mutex<()> = Mutex::new(());

/// Two processes that each fail the same call, which nothing else makes: `setns(-1, 0)`. Containers that start on the machine
/// meanwhile make the call too, on namespaces.
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

/// Capture of these events, or `None` where none is possible.
fn start(events: &[Event], config: &Config) -> Option<Capture> {
    let host = Host::probe();
    if !host.missing_capabilities.is_empty() {
        eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
        return None;
    }
    let needs = Needs {
        events: events.iter().copied().collect(),
        environment: true,
        ..Needs::default()
    };
    let plan = plan(&host, &needs, config).unwrap();
    Some(Capture::start(plan, config, &ContainerTable::new()).unwrap())
}

fn with_ring(ring_bytes: usize) -> Config {
    Config {
        ring_bytes,
        ..Config::default()
    }
}

fn run(ring_bytes: usize, calls: u64) -> Option<(u64, Stats)> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut capture = start(&[Event::Setns], &with_ring(ring_bytes))?;
    let stop = Arc::new(AtomicBool::new(false));
    let worker = workload(calls, Arc::clone(&stop));
    let mut seen = 0;
    capture
        .run(&stop, &mut |view| {
            let is_own = || matches!(view.param_named("fd"), Some(ParamValue::I64(-1)));
            seen += u64::from(view.event == Event::Setns && is_own());
        })
        .unwrap();
    worker.join().unwrap();
    let stats = capture.stats();
    println!("{stats}");
    Some((seen, stats))
}

/// What is lost of many calls with a ring of this size, after a look at whether that and what was seen is all there was.
fn lost_of_many(ring_bytes: usize) -> Option<u64> {
    const CALLS: u64 = 100_000;
    let (seen, stats) = run(ring_bytes, CALLS)?;
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
    assert_eq!(stats.undecodable, 0);
    if refused == 0 {
        // Of others' calls some may be among the lost.
        let all = CALLS * PROCESSES;
        assert!((all..=all + 1000).contains(&(seen + lost)), "{seen} {lost}");
    } else {
        println!("skipped the sum: the kernel refused {refused} runs, which have no event type");
        assert!(seen + lost + refused >= CALLS * PROCESSES);
    }
    Some(lost)
}

#[test]
fn a_ring_too_small_loses_exactly_what_it_says() {
    let lost = lost_of_many(64 << 10);
    assert!(lost.is_none_or(|lost| lost > 0), "make the ring smaller");
}

/// It is mapped part by part, and gone round several times.
#[test]
fn a_ring_of_two_parts_loses_exactly_what_it_says() {
    lost_of_many(2 << 20);
}

#[test]
fn an_ordinary_ring_loses_nothing() {
    // All of it fits into the ring, so that the result does not hang on how often the consumer gets a CPU.
    const CALLS: u64 = 30_000;
    let Some((seen, stats)) = run(Config::default().ring_bytes, CALLS) else {
        return;
    };
    assert_eq!((stats.lost(), stats.gaps), (0, 0));
    let refused: u64 = stats.recursion_misses.iter().map(|(_, n)| n).sum();
    assert!(
        seen == CALLS * PROCESSES || seen < CALLS * PROCESSES && seen + refused >= CALLS * PROCESSES,
        "{seen}, and {refused} runs that the kernel refused"
    );
}

/// A cgroup that looks like a container's, so that its processes' events and losses are told from everyone else's.
struct Container {
    id: String,
    path: PathBuf,
}

impl Container {
    fn create() -> Option<Container> {
        let Some(hierarchy) = Hierarchy::of_host(Path::new("")) else {
            eprintln!("skipped: this host has no cgroups");
            return None;
        };
        let mut random = [0; 32];
        fs::File::open("/dev/urandom")
            .unwrap()
            .read_exact(&mut random)
            .unwrap();
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = hierarchy.mount.join(&id);
        if let Err(error) = fs::create_dir(&path) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return None;
        }
        Some(Container { id, path })
    }

    fn add(&self, pid: u32) {
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    fn owns(&self, owner: &Owner<'_>) -> bool {
        matches!(owner, Owner::Container(container) if container.full_id == self.id)
    }

    fn lost(&self, losers: &[(Loser, u64)]) -> u64 {
        let is_mine =
            |loser: &Loser| matches!(loser, Loser::Container { full_id, .. } if **full_id == *self.id);
        losers
            .iter()
            .filter(|(loser, _)| is_mine(loser))
            .map(|(_, n)| n)
            .sum()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}

/// Processes in a container that open and close a file `times` times each, once they are told to.
struct Openers {
    children: Vec<i32>,
    gate: std::io::PipeWriter,
    _gate: std::io::PipeReader,
}

impl Openers {
    fn wait_in(container: &Container, processes: u64, times: u64) -> Openers {
        let (mut end, gate) = std::io::pipe().unwrap();
        let children = (0..processes)
            .map(|_| {
                // SAFETY: the child makes system calls on what lives in this frame, and ends without returning.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    let mut byte = [0];
                    let opened = end.read(&mut byte).is_ok() && (0..times).all(|_| open_and_close());
                    // SAFETY: ends this process.
                    unsafe { libc::_exit(i32::from(!opened)) };
                }
                container.add(u32::try_from(child).unwrap());
                child
            })
            .collect();
        Openers {
            children,
            gate,
            _gate: end,
        }
    }

    /// Lets them run, and waits for their end.
    fn run(mut self) {
        self.gate.write_all(&vec![0; self.children.len()]).unwrap();
        for child in self.children {
            let mut status = 0;
            // SAFETY: status lives here.
            unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!(status, 0, "an opener ended well");
        }
    }
}

fn open_and_close() -> bool {
    // SAFETY: the name is a constant, and the descriptor this process's own.
    unsafe {
        let fd = libc::openat(libc::AT_FDCWD, c"/dev/null".as_ptr(), libc::O_RDONLY);
        fd >= 0 && libc::close(fd) == 0
    }
}

/// How often each process opens and closes a file.
const TIMES: u64 = 1_000_000;

/// What is captured of an opener: its opens, its closes where the table has them, and its end.
fn opener_events() -> (Vec<Event>, u64) {
    let close = lanner_schema::event::EVENTS
        .iter()
        .find(|row| row.name == "close");
    let events: Vec<Event> = [Event::Openat, Event::Procexit]
        .into_iter()
        .chain(close.map(|row| row.event))
        .collect();
    let calls = TIMES * (events.len() as u64 - 1);
    (events, calls + 1)
}

fn storm(ring_bytes: usize) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(container) = Container::create() else {
        return;
    };
    let (events, each) = opener_events();
    let Some(mut capture) = start(&events, &with_ring(ring_bytes)) else {
        return;
    };
    let openers = Openers::wait_in(&container, PROCESSES, TIMES);
    let stop = Arc::new(AtomicBool::new(false));
    let worker = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            openers.run();
            stop.store(true, Ordering::Relaxed);
        }
    });
    let mut seen = 0;
    let mut told: Vec<Losses> = Vec::new();
    capture
        .run_watched(
            &stop,
            &mut |view| seen += u64::from(container.owns(&view.owner)),
            &mut |losses| {
                told.push(losses.clone());
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    worker.join().unwrap();
    let stats = capture.stats();
    println!("{stats}");
    let lost = container.lost(&stats.losers);
    assert_eq!(
        stats.gaps,
        stats.lost(),
        "the consumer's gaps are the kernel's counters"
    );
    let by_loser: u64 = stats.losers.iter().map(|(_, n)| n).sum();
    assert_eq!(by_loser, stats.lost(), "every loss is somebody's");
    let refused: u64 = stats.recursion_misses.iter().map(|(_, n)| n).sum();
    let done = each * PROCESSES;
    match refused {
        0 => assert_eq!(seen + lost, done, "{seen} delivered, {lost} lost"),
        _ => println!("skipped the sum: the kernel refused {refused} runs, which have no cgroup"),
    }
    let told_lost: u64 = told.iter().map(|losses| losses.lost).sum();
    assert_eq!(
        told_lost,
        stats.lost(),
        "what was told while it ran is what is told at the end"
    );
    let told_by: u64 = told.iter().map(|losses| container.lost(&losses.by_loser)).sum();
    assert_eq!(told_by, lost);
    assert!(told.iter().all(|losses| losses.begun >= losses.lost));
}

#[test]
fn a_million_opens_of_each_of_two_processes_are_delivered_or_counted() {
    storm(Config::default().ring_bytes);
}

#[test]
fn a_ring_of_64_kib_accounts_for_a_million_opens_too() {
    storm(64 << 10);
}

#[test]
fn after_a_storm_events_are_whole_again() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(container) = Container::create() else {
        return;
    };
    let Some(mut capture) = start(&[Event::Openat], &with_ring(64 << 10)) else {
        return;
    };
    let openers = Openers::wait_in(&container, PROCESSES, 100_000);
    let stop = Arc::new(AtomicBool::new(false));
    let is_empty = Arc::new(AtomicBool::new(false));
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let worker = std::thread::spawn({
        let (stop, is_empty) = (Arc::clone(&stop), Arc::clone(&is_empty));
        let procs = container.path.join("cgroup.procs");
        let mark = mark.clone();
        move || {
            openers.run();
            // Once an open got through, the ring has been read up to that.
            let deadline = Instant::now() + Duration::from_secs(60);
            while !is_empty.load(Ordering::Relaxed) && Instant::now() < deadline {
                let _ = Command::new("cat").arg(&mark).stderr(Stdio::null()).status();
            }
            // What is done now is one process and few events.
            let script = format!("echo $$ >{}; exec cat /dev/null", procs.display());
            let status = Command::new("sh").args(["-c", &script]).status().unwrap();
            assert!(status.success());
            stop.store(true, Ordering::Relaxed);
        }
    });
    let mut found = Vec::new();
    let mark = mark.as_os_str().as_encoded_bytes();
    capture
        .run(&stop, &mut |view| {
            if view.paths.iter().any(|path| path.path == mark) {
                is_empty.store(true, Ordering::Relaxed);
            }
            let Some(process) = view.process.filter(|_| container.owns(&view.owner)) else {
                return;
            };
            if &*process.image.comm == b"cat" && view.paths.iter().any(|p| p.path == b"/dev/null") {
                found.push((process.image.cmdline.to_vec(), process.ppid));
            }
        })
        .unwrap();
    worker.join().unwrap();
    let stats = capture.stats();
    println!("{stats}");
    assert!(container.lost(&stats.losers) > 0, "there was a storm");
    assert_eq!(found, [(b"cat /dev/null".to_vec(), std::process::id())]);
}

#[test]
fn failed_calls_are_left_out_where_they_are_not_wanted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(container) = Container::create() else {
        return;
    };
    let config = Config {
        drop_failed: true,
        ..Config::default()
    };
    let Some(mut capture) = start(&[Event::Openat], &config) else {
        return;
    };
    let stop = Arc::new(AtomicBool::new(false));
    let worker = std::thread::spawn({
        let stop = Arc::clone(&stop);
        let procs = container.path.join("cgroup.procs");
        move || {
            let script = format!(
                "echo $$ >{}; exec cat /absent-1 /dev/null /absent-2",
                procs.display()
            );
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            stop.store(true, Ordering::Relaxed);
        }
    });
    let mut results = Vec::new();
    capture
        .run(&stop, &mut |view| {
            if container.owns(&view.owner) {
                results.extend(view.wire.number(0).map(u64::cast_signed));
            }
        })
        .unwrap();
    worker.join().unwrap();
    assert!(
        !results.is_empty() && results.iter().all(|result| *result >= 0),
        "{results:?}"
    );
}

#[test]
fn what_is_too_long_is_marked_and_counted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(container) = Container::create() else {
        return;
    };
    let config = Config::default();
    let Some(mut capture) = start(&[Event::Openat, Event::Execve], &config) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Deeper than the programs follow a path, and each name as short as can be.
    let deep = folder.path().join(["d"; 80].join("/"));
    fs::create_dir_all(&deep).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let worker = std::thread::spawn({
        let stop = Arc::clone(&stop);
        let procs = container.path.join("cgroup.procs");
        move || {
            let script = format!(
                "echo $$ >{}; exec cat /dev/null {}",
                procs.display(),
                "x".repeat(5000)
            );
            Command::new("sh")
                .args(["-c", &script])
                .env("LONG", "y".repeat(5000))
                .output()
                .unwrap();
            let script = format!("echo $$ >{}; exec cat absent", procs.display());
            Command::new("sh")
                .args(["-c", &script])
                .current_dir(&deep)
                .output()
                .unwrap();
            stop.store(true, Ordering::Relaxed);
        }
    });
    let (mut execs, mut opens) = (Vec::new(), Vec::new());
    capture
        .run(&stop, &mut |view| {
            let Some(process) = view.process.filter(|_| container.owns(&view.owner)) else {
                return;
            };
            let image = &process.image;
            if view.event == Event::Execve && &*image.comm == b"cat" {
                execs.push((image.args_cut, image.args.len(), image.env_cut));
            }
            opens.extend(
                view.paths
                    .iter()
                    .map(|path| String::from_utf8_lossy(path.path).into_owned())
                    .filter(|path| path.ends_with("/absent")),
            );
        })
        .unwrap();
    worker.join().unwrap();
    let stats = capture.stats();
    println!("{stats}");
    let kept = 4095 - "cat\0".len();
    assert_eq!(execs.first(), Some(&(true, kept, true)));
    assert_eq!(execs.get(1).map(|(args, ..)| *args), Some(false));
    let opened = opens.first().unwrap();
    assert!(
        opened.starts_with(".../d/d/") && opened.ends_with("/d/absent"),
        "{opened}"
    );
    let cut = |kind: &str| stats.cut.iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| *n);
    assert!(
        cut("path") >= 1 && cut("args") >= 1 && cut("env") >= 1,
        "{:?}",
        stats.cut
    );
}
