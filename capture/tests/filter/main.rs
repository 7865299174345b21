//! Calls that no rule can match are not delivered and not counted as lost, and what a rule can match is there.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod names;
mod owners;
mod stage;

use std::ffi::{CString, c_long};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use lanner_capture::{Capture, Config, plan};
use lanner_schema::call_class::{CallClass, ClassSet};
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs};
use lanner_schema::open_names::{OPENS_OTHERWISE, OPENS_TO_READ, Term};
use lanner_schema::view::ParamValue;

use crate::names::needs_of_names;
use crate::stage::{ALONE, PROTOCOL, ROUNDS, host, missed, needs_of, with_capture};

#[test]
fn opens_pass_by_their_result_and_by_what_they_are_for() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("there"), "").unwrap();
    fs::write(folder.path().join("log"), "").unwrap();
    // Nothing that a shell does besides: it looks for programs by stat.
    let script = ": < there; (: < not_there); : >> log; : > made; : <> both; (: > none/made)";
    let (config, containers) = (Config::default(), ContainerTable::new());
    let all = ["there", "not_there", "log", "made", "both", "none/made"];
    type Wanted = fn(CallClass) -> bool;
    let cases: [(Wanted, &[&str]); 8] = [
        (|_| true, &all),
        (|class| !class.failed(), &["there", "log", "made", "both"]),
        (|class| class.failed(), &["not_there", "none/made"]),
        (|class| class.flags().1 & 3 == 0, &["there", "not_there"]),
        (|class| class.flags().1 & 3 == 2, &["both"]),
        (|class| class.flags().1 & 0o1000 != 0, &["made", "none/made"]),
        (
            |class| !class.failed() && class.may_create(),
            &["log", "made", "both"],
        ),
        (|_| false, &[]),
    ];
    for (wanted, expected) in cases {
        let needs = needs_of(wanted);
        // One that runs with other rules follows these.
        let before = needs_of(|class| wanted(class) == class.failed());
        let start = || {
            let before = plan(&host, &before, &config).unwrap();
            let mut capture = Capture::start(before, &config, &containers).unwrap();
            capture.set_needs(&host, &needs, &config).unwrap();
            capture
        };
        with_capture(start, folder.path(), |stage| {
            let seen = stage.seen_of(script);
            assert_eq!(seen, expected, "{}", needs.classes[Event::Openat as usize]);
        });
        for name in ["made", "both"] {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        for entry in fs::read_dir(folder.path()).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                fs::remove_dir(entry.path()).unwrap();
            }
        }
    }
}

/// How a child opens a file, and by which flags.
#[derive(Debug, Clone, Copy)]
enum Way {
    Openat,
    Openat2,
    /// The flags are where nothing can be read.
    Nowhere,
}

impl Way {
    fn open(self, path: &CString, flags: u64) -> c_long {
        let (path, how) = (path.as_ptr(), [flags, 0, 0]);
        // SAFETY: the kernel reads a path that ends, and no more than what it is told of the flags.
        unsafe {
            match self {
                Way::Openat => libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, 0),
                Way::Openat2 => libc::syscall(
                    libc::SYS_openat2,
                    libc::AT_FDCWD,
                    path,
                    how.as_ptr(),
                    size_of_val(&how),
                ),
                Way::Nowhere => libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path, 8, 24),
            }
        }
    }
}

/// Opens these, each by its way and its flags, in a child.
fn open_in_child(opens: &[(CString, Way, u64)]) {
    // SAFETY: the child makes system calls and nothing else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        for (path, way, flags) in opens {
            way.open(path, *flags);
        }
        // SAFETY: it has no more to do.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is this function's own.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0);
}

#[test]
fn opens_pass_by_their_flags_wherever_these_are() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let (path, directory) = (libc::O_PATH as u64, libc::O_DIRECTORY as u64);
    let (creates, truncates) = (libc::O_CREAT as u64, libc::O_TRUNC as u64);
    let mut opens = Vec::new();
    for way in [Way::Openat, Way::Openat2, Way::Nowhere] {
        for mode in 0..4 {
            for more in [0, path, path | directory, creates, truncates | 1 << 40] {
                let name = format!("{way:?}-{:o}", mode | more);
                fs::write(folder.join(&name), "").unwrap();
                opens.push((name, way, mode | more));
            }
        }
    }
    let passed = |(name, way, flags): &(String, Way, u64)| {
        (
            CString::new(folder.join(name).to_str().unwrap()).unwrap(),
            *way,
            *flags,
        )
    };
    let calls: Vec<_> = opens.iter().map(passed).collect();
    let of = |flags: u64| CallClass::new(false, false).opening(flags);
    let reads = |class: CallClass| ClassSet::reads().contains(class);
    let is_path = |class: CallClass| class.flags().1 & libc::O_PATH as u64 != 0;
    let inside = format!("{}/*", folder.display());
    let named = |opens: u8| {
        let mut needs = needs_of_names(&[("", &inside)]);
        let terms = std::mem::take(&mut needs.names.terms).into_iter();
        needs.names.terms = terms.map(|term| Term { opens, ..term }).collect();
        needs
    };
    let cases: [(Needs, &dyn Fn(CallClass) -> bool); 6] = [
        (needs_of(is_path), &is_path),
        (needs_of(|class| !is_path(class)), &|class| !is_path(class)),
        (needs_of(|class| class.flags().1 & 3 == 2), &|class| {
            class.flags().1 & 3 == 2
        }),
        (needs_of(CallClass::may_create), &CallClass::may_create),
        (named(OPENS_TO_READ), &reads),
        (named(OPENS_OTHERWISE), &|class| !reads(class)),
    ];
    let (config, containers) = (Config::default(), ContainerTable::new());
    for (case, (needs, wanted)) in cases.iter().enumerate() {
        let passing = opens
            .iter()
            .filter(|(_, way, flags)| matches!(way, Way::Nowhere) || wanted(of(*flags)));
        let expected: Vec<&str> = passing.map(|(name, ..)| name.as_str()).collect();
        let start = || Capture::start(plan(&host, needs, &config).unwrap(), &config, &containers).unwrap();
        with_capture(start, &folder, |stage| {
            open_in_child(&calls);
            assert_eq!(stage.seen_of(":"), expected, "{case}");
        });
    }
}

#[test]
fn sockets_pass_by_their_family() {
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let mut needs = needs_of(|_| true);
    needs.events = needs.events.union([Event::Socket].into_iter().collect());
    needs.classes[Event::Socket as usize] = CallClass::all()
        .filter(|class| matches!(class.family(), None | Some(10)))
        .collect();
    // The last is one of packets, by its type.
    let script = format!(
        "perl -e 'for ([1, 1], [2, 1], [10, 1], [16, 3], [17, 3], [15, 3], [2, 10]) {{
            syscall({}, $_->[0], $_->[1], {PROTOCOL});
        }}'",
        libc::SYS_socket
    );
    let (config, containers) = (Config::default(), ContainerTable::new());
    let start = || Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(start, folder.path(), |stage| {
        let seen = stage.seen_of(&script);
        assert_eq!(seen, ["family 10", "family 16", "family 17", "family 17"]);
    });
}

const FCHMODAT2: u32 = 452;

#[test]
fn modes_pass_by_whom_programs_run_as() {
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("there"), "").unwrap();
    let mut needs = needs_of(|_| false);
    let calls = [Event::Fchmod, Event::Fchmodat, Event::Fchmodat2, Event::Mknodat];
    needs.events = needs.events.union(calls.into_iter().collect());
    for call in calls {
        needs.classes[call as usize] = CallClass::all()
            .filter(|class| class.mode().1 & 0o4000 != 0)
            .collect();
    }
    // With bits that the kernel does not look at, too.
    let script = format!(
        "rm -f node*; perl -e 'open(my $f, \"<\", \"there\"); my ($n, $name) = (0, \"there\");
        for my $mode (0517, 02517, 04517, 07517, 0x40000000 | 01517) {{
            syscall({}, fileno($f), $mode);
            syscall({}, -100, $name, $mode);
            syscall({FCHMODAT2}, -100, $name, $mode, 0);
            my $new = \"node\" . $n++;
            syscall({}, -100, $new, 0100000 | $mode, 0);
        }}'",
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_mknodat,
    );
    let (config, containers) = (Config::default(), ContainerTable::new());
    let start = || Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(start, folder.path(), |stage| {
        let seen = stage.seen_of(&script);
        let expected: Vec<String> = ["4", "7"]
            .iter()
            .flat_map(|mode| calls.map(|call| format!("{} {mode}517", call.row().name)))
            .collect();
        assert_eq!(seen, expected);
    });
}

/// How often a group is set below: far more often than by whoever else does on the machine.
const GROUPS_SET: u64 = 5000;

/// What the test below starts: a thread that is not the first of its process sets its group, as it is already.
#[test]
#[ignore = "is started by another test"]
fn a_thread_sets_its_group() {
    let thread = std::thread::spawn(|| {
        for _ in 0..GROUPS_SET {
            // SAFETY: the call takes a number and changes nothing.
            unsafe { libc::syscall(libc::SYS_setgid, libc::getegid()) };
        }
    });
    thread.join().unwrap();
}

#[test]
fn credentials_of_threads_that_are_not_their_process_s_are_not_captured_for_the_state() {
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let by_thread = format!(
        "{} --ignored --exact a_thread_sets_its_group > /dev/null",
        own.display()
    );
    let by_first = format!(
        "perl -e 'syscall({}, $) + 0) for 1 .. {GROUPS_SET}'",
        libc::SYS_setgid
    );
    let mut told = Vec::new();
    for (script, is_asked) in [(&by_thread, false), (&by_thread, true), (&by_first, false)] {
        let mut needs = needs_of(|_| false);
        needs.task_state = true;
        if is_asked {
            needs.events.insert(Event::Setgid);
        }
        let (config, containers) = (Config::default(), ContainerTable::new());
        let start = || Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
        let stats = with_capture(start, folder.path(), |stage| {
            stage.seen_of(script);
        });
        let delivered = stats.delivered.iter().find(|(event, _)| *event == Event::Setgid);
        told.push(delivered.map_or(0, |(_, count)| *count) > GROUPS_SET / 2);
    }
    assert_eq!(told, [false, true, true]);
}

/// Opens and closes a file so often in each of two processes, and for writing once in a thousand times.
fn open_and_close(file: &Path, times: u32) {
    let script = r#"
        my ($file, $times) = @ARGV;
        my $child = fork;
        for my $n (1 .. $times) {
            open(my $f, $n % 1000 ? '<' : '+<', $file) or exit 1;
            close $f;
        }
        exit 0 unless $child;
        waitpid $child, 0;
        exit($? != 0);
    "#;
    let status = Command::new("perl")
        .args(["-e", script])
        .arg(file)
        .arg(times.to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Of two processes that open and close a file a million times each, with a ring that holds a few hundred opens, and rules about
/// writing.
#[test]
fn what_nobody_needs_takes_no_room_from_what_a_rule_needs() {
    let times = 1_000_000;
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().canonicalize().unwrap();
    let config = Config {
        ring_bytes: 64 << 10,
        ..Config::default()
    };
    let mut needs = needs_of(|class| !class.failed() && class.flags().1 & 3 == 2);
    // What its start and its end take is not what is looked at.
    needs.events = [Event::Open, Event::Openat].into_iter().collect();
    let seen_of = |times| {
        let plan = plan(&host, &needs, &config).unwrap();
        let mut capture = Capture::start(plan, &config, &ContainerTable::new()).unwrap();
        let stop = AtomicBool::new(false);
        let (mut wanted, mut others) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                open_and_close(&path, times);
                stop.store(true, Ordering::Relaxed);
            });
            capture
                .run(&stop, &mut |view| {
                    let Some(ParamValue::Path { raw, .. }) = view.param_named("name") else {
                        return;
                    };
                    if raw == path.as_os_str().as_encoded_bytes() {
                        match view.param_named("flags") {
                            Some(ParamValue::U64(flags)) if flags & 3 == 2 => wanted += 1,
                            _ => others += 1,
                        }
                    }
                })
                .unwrap();
        });
        let stats = capture.stats();
        assert_eq!(stats.gaps, stats.lost(), "{stats}");
        (wanted, others, missed(&stats))
    };
    // Others on the machine open files for writing, too: only what is lost each time is what nobody needs.
    let lossless = (0..ROUNDS)
        .map(|_| seen_of(times))
        .find(|(.., missed)| *missed == 0);
    let (wanted, others, _) = lossless.unwrap_or_else(|| panic!("{ROUNDS} rounds lost records"));
    assert_eq!((wanted, others), (2 * (times / 1000), 0));
}
