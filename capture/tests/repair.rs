//! The state of processes survives loss: forks and execs that did not fit into a ring made too small are noticed, and the
//! names of processes and their ancestors are right again.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lanner_capture::{Capture, Config, Host, plan};
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs};
use lanner_schema::view::EventView;

/// Each of the tests fills a ring, which the other would lose by.
static ALONE: Mutex<()> = Mutex::new(());

/// Fills the ring: a process that makes calls which are captured, more than 64 KiB hold.
fn flood() {
    // SAFETY: the child makes system calls on constants and ends without returning.
    let child = unsafe { libc::fork() };
    if child == 0 {
        for _ in 0..5_000 {
            // SAFETY: no pointers.
            unsafe { libc::syscall(libc::SYS_setns, -1, 0) };
        }
        // The smallest records there are, for what room the others left.
        for _ in 0..10 {
            // SAFETY: a live string.
            unsafe { libc::prctl(libc::PR_SET_NAME, c"flood".as_ptr()) };
        }
        // SAFETY: ends this child.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: status lives here.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0);
}

/// A copy of the shell under another name. Another process writes it, so that nothing that this one starts meanwhile has it open for
/// writing when it is run.
fn shell(dir: &Path, name: &str) -> PathBuf {
    let copy = dir.join(name);
    let copied = Command::new("cp").arg("-L").arg("/bin/sh").arg(&copy).status();
    assert!(copied.unwrap().success());
    copy
}

/// A shell that does what it is told.
fn start(shell: &Path) -> Child {
    Command::new(shell)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn tell(shell: &mut Child, line: &str) {
    let mut to = shell.stdin.as_ref().unwrap();
    to.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn comm(pid: u32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    text.trim_end().to_owned()
}

/// What is known of the process of an event: its name and its ancestors', the path of its program.
fn known(view: &EventView<'_>) -> (Vec<String>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut names = Vec::new();
    let mut at = view.process;
    while let Some(process) = at.filter(|_| names.len() < 3) {
        names.push(text(&process.image.comm));
        at = view.system.process(process.ppid);
    }
    let path = view.process.map(|process| text(&process.image.exepath));
    (names, path.unwrap_or_default())
}

/// Waits until a shell wrote its process id there.
fn written_pid(file: &Path) -> u32 {
    for _ in 0..6_000 {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(pid) = text.strip_suffix('\n') {
            return pid.parse().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no shell wrote {}", file.display());
}

#[test]
fn what_a_full_ring_lost_is_right_again() {
    let host = Host::probe();
    if !host.missing_capabilities.is_empty() {
        return eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let needs = Needs {
        events: [Event::Setns, Event::Chdir].into_iter().collect(),
        ..Needs::default()
    };
    let config = Config {
        ring_bytes: 64 << 10,
        ..Config::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let [outer, inner, other] = ["outer", "inner", "other"].map(|name| shell(dir.path(), name));
    let file = |name: &str| dir.path().join(name);
    let plan = plan(&host, &needs, &config).unwrap();
    // This one is known before anything is lost.
    let mut early = start(&outer);
    tell(&mut early, &format!("echo $$ > {}", file("ready").display()));
    let early_pid = written_pid(&file("ready"));
    let mut capture = Capture::start(plan, &config, &ContainerTable::new()).unwrap();
    // Nobody reads the ring meanwhile: what follows the flood does not fit into it.
    flood();
    // An exec of a process that is known, and a family that is not. Both then go where they are told.
    let follow = |shell: &Path, ready: &str| {
        let ready = file(ready);
        format!(
            "{} -c 'echo $$ > {}; while read where; do cd $where; done'",
            shell.display(),
            ready.display()
        )
    };
    tell(&mut early, &format!("exec {}", follow(&other, "other-ready")));
    let mut family = start(&outer);
    tell(&mut family, &follow(&inner, "inner-ready"));
    assert_eq!(written_pid(&file("other-ready")), early_pid);
    let child = written_pid(&file("inner-ready"));
    let family_pid = family.id();

    let stop = Arc::new(AtomicBool::new(false));
    let player = {
        let (stop, dir) = (Arc::clone(&stop), dir.path().to_owned());
        std::thread::spawn(move || {
            // Until both were seen: at first the ring is still full.
            for _ in 0..600 {
                for shell in [&mut early, &mut family] {
                    tell(shell, &dir.display().to_string());
                }
                std::thread::sleep(Duration::from_millis(50));
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
            for mut shell in [early, family] {
                drop(shell.stdin.take());
                shell.wait().unwrap();
            }
        })
    };
    let mut seen: HashMap<u32, (Vec<String>, String)> = HashMap::new();
    capture
        .run(&stop, &mut |view| {
            if view.event == Event::Chdir && [early_pid, child].contains(&view.pid) {
                seen.insert(view.pid, known(view));
                if seen.len() == 2 {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        })
        .unwrap();
    let test = comm(std::process::id());
    player.join().unwrap();
    let stats = capture.stats();
    let lost = |event: Event| stats.drops.iter().any(|(of, ..)| *of == event);
    assert!(
        lost(Event::TaskExec) && lost(Event::TaskFork),
        "nothing was lost: {stats}"
    );

    let path = |shell: &Path| shell.canonicalize().unwrap().to_str().unwrap().to_owned();
    let (names, exepath) = &seen[&early_pid];
    assert_eq!((names[0].as_str(), exepath), ("other", &path(&other)), "{stats}");
    let (names, exepath) = &seen[&child];
    assert_eq!(names[..], ["inner", "outer", &test], "{stats}");
    assert_eq!(exepath, &path(&inner));
    assert!(stats.stale_processes >= 1 && stats.repaired >= 1, "{stats}");
    assert_ne!(family_pid, child);
}

/// A process that changes its directory and its name when it is told to, and then makes calls which are captured as long
/// as it is told to.
struct Mover {
    pid: u32,
    orders: std::io::PipeWriter,
    done: std::io::PipeReader,
}

impl Mover {
    fn start(to: &Path) -> Mover {
        let to = std::ffi::CString::new(to.as_os_str().as_encoded_bytes()).unwrap();
        let (orders, told) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let (from, answer) = (orders.0.as_raw_fd(), told.1.as_raw_fd());
        // SAFETY: the child does what a single thread may after a fork, and ends without returning.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut order = 0u8;
            // SAFETY: a live byte and a live string; the descriptors are this child's copies.
            unsafe {
                // It would wait for itself.
                libc::close(orders.1.as_raw_fd());
                libc::read(from, (&raw mut order).cast(), 1);
                libc::chdir(to.as_ptr());
                libc::prctl(libc::PR_SET_NAME, c"moved".as_ptr());
                libc::write(answer, (&raw const order).cast(), 1);
                while libc::read(from, (&raw mut order).cast(), 1) == 1 {
                    libc::syscall(libc::SYS_setns, -1, 0);
                }
                libc::_exit(0);
            }
        }
        assert!(child > 0);
        Mover {
            pid: child.unsigned_abs(),
            orders: orders.1,
            done: told.0,
        }
    }

    fn order(&mut self) {
        self.orders.write_all(b"x").unwrap();
    }

    fn moved(&mut self) {
        self.order();
        self.done.read_exact(&mut [0]).unwrap();
    }

    fn end(self) {
        drop(self.orders);
        let mut status = 0;
        // SAFETY: status lives here.
        unsafe { libc::waitpid(self.pid.cast_signed(), &mut status, 0) };
    }
}

#[test]
fn a_lost_change_of_directory_and_name_is_made_good_without_an_exec() {
    let host = Host::probe();
    if !host.missing_capabilities.is_empty() {
        return eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let needs = Needs {
        events: [Event::Setns].into_iter().collect(),
        ..Needs::default()
    };
    let config = Config {
        ring_bytes: 64 << 10,
        ..Config::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().canonicalize().unwrap();
    let mut mover = Mover::start(&to);
    let pid = mover.pid;
    let plan = plan(&host, &needs, &config).unwrap();
    let mut capture = Capture::start(plan, &config, &ContainerTable::new()).unwrap();
    // Nobody reads the ring meanwhile: what follows the flood does not fit into it.
    flood();
    mover.moved();
    let stop = Arc::new(AtomicBool::new(false));
    let player = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            for _ in 0..1_200 {
                mover.order();
                std::thread::sleep(Duration::from_millis(25));
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
            mover.end();
        })
    };
    let mut known = (String::new(), String::new());
    let wanted = ("moved".to_owned(), to.to_str().unwrap().to_owned());
    capture
        .run(&stop, &mut |view| {
            if view.event != Event::Setns || view.pid != pid {
                return;
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            known = view.process.map_or_else(Default::default, |process| {
                (text(&process.image.comm), text(&process.cwd))
            });
            if known == wanted {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
    player.join().unwrap();
    let stats = capture.stats();
    let lost = |event: Event| stats.drops.iter().any(|(of, ..)| *of == event);
    assert!(
        lost(Event::Chdir) && lost(Event::TaskRename),
        "nothing was lost: {stats}"
    );
    assert_eq!(known, wanted, "{stats}");
    assert!(stats.doubted_processes >= 1, "{stats}");
}
