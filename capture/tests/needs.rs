//! What no rule asks for is not there: programs for single events come and go with the rules.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lanner_capture::{Capture, Config, Host, plan};
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs};
use lanner_schema::view::ParamValue;
use libbpf_rs::query::ProgInfoIter;

/// How many programs of this name this process has loaded, and how many of them attached.
fn programs(name: &str) -> (usize, usize) {
    let ids: Vec<String> = ProgInfoIter::default()
        .filter(|info| info.name.to_str() == Some(name))
        .map(|info| format!("prog_id:\t{}", info.id))
        .collect();
    let (mut loaded, mut attached) = (0, 0);
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let Ok(object) = fs::read_link(entry.path()) else {
            continue;
        };
        let info = Path::new("/proc/self/fdinfo").join(entry.file_name());
        let is_one = |info: String| info.lines().any(|line| ids.iter().any(|id| id == line));
        if !fs::read_to_string(info).is_ok_and(is_one) {
            continue;
        }
        match object.to_str() {
            Some("anon_inode:bpf-prog") => loaded += 1,
            Some("anon_inode:bpf_link") => attached += 1,
            other => panic!("{other:?}"),
        }
    }
    (loaded, attached)
}

/// Captures while a child is killed; the signals that were seen to reach that child.
fn signals_to_a_child(capture: &mut Capture) -> Vec<i64> {
    let stop = Arc::new(AtomicBool::new(false));
    let worker = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut child = Command::new("sleep")
                .arg("60")
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            stop.store(true, Ordering::Relaxed);
            i64::from(child.id())
        })
    };
    let mut seen = Vec::new();
    capture
        .run(&stop, &mut |view| {
            if let (Event::Signaldeliver, Some(ParamValue::I64(to)), Some(ParamValue::U64(signal))) =
                (view.event, view.param_named("dpid"), view.param_named("sig"))
            {
                seen.push((to, signal.cast_signed()));
            }
        })
        .unwrap();
    let child = worker.join().unwrap();
    seen.into_iter()
        .filter(|(to, _)| *to == child)
        .map(|(_, signal)| signal)
        .collect()
}

/// Captures while a shell closes a file of this name; what was seen to be closed, and what was not read of it. What the rest of
/// the machine closes can fill the ring, of which the shell's are lost too: then it does it once more.
fn closes_of(capture: &mut Capture, path: &Path) -> (usize, usize) {
    let before = capture.stats().lost();
    let closes = captured_closes_of(capture, path);
    match capture.stats().lost() - before {
        0 => closes,
        lost => {
            println!("once more: {lost} events were lost");
            captured_closes_of(capture, path)
        }
    }
}

fn captured_closes_of(capture: &mut Capture, path: &Path) -> (usize, usize) {
    let stop = Arc::new(AtomicBool::new(false));
    let worker = {
        let (stop, path) = (Arc::clone(&stop), path.to_owned());
        std::thread::spawn(move || {
            // Calls of this process are not captured.
            let script = format!(
                "for n in 1 2 3 4 5 6 7 8; do exec 3< {0}; exec 3<&-; done",
                path.display()
            );
            let mut shell = Command::new("sh").args(["-c", &script]).spawn().unwrap();
            assert!(shell.wait().unwrap().success());
            stop.store(true, Ordering::Relaxed);
            shell.id()
        })
    };
    // By whom, and whether the file is known: other shells of the machine close files too.
    let mut closes = Vec::new();
    let name = path.as_os_str().as_encoded_bytes();
    capture
        .run(&stop, &mut |view| {
            let shell = match view.process {
                Some(process) if view.event == Event::Close && &*process.image.comm == b"sh" => process.pid,
                _ => return,
            };
            match view.descriptor {
                Some(fd) if fd.path == Some(name) => closes.push((shell, true)),
                Some(fd) if !fd.is_known() && fd.number == 3 => closes.push((shell, false)),
                _ => {}
            }
        })
        .unwrap();
    let shell = worker.join().unwrap();
    let count = |known| closes.iter().filter(|close| **close == (shell, known)).count();
    (count(true), count(false))
}

/// A shell may close a file twice, by the number it got and by the one it wanted.
fn assert_all_known((known, unknown): (usize, usize)) {
    assert!(known >= 8 && unknown == 0, "{known} {unknown}");
}

#[test]
fn the_start_of_calls_is_looked_at_while_a_rule_asks_what_is_closed() {
    let host = Host::probe();
    if !host.missing_capabilities.is_empty() {
        eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().canonicalize().unwrap();
    let (config, containers) = (Config::default(), ContainerTable::new());
    let numbers = Needs {
        events: [Event::Close].into_iter().collect(),
        ..Needs::default()
    };
    let mut names = numbers.clone();
    names.params[Event::Close as usize] = Event::Close.row().at_enter();
    assert_ne!(names, numbers);
    let started =
        |needs: &Needs| Capture::start(plan(&host, needs, &config).unwrap(), &config, &containers).unwrap();
    let missed = |capture: &Capture| {
        let stats = capture.stats();
        assert_eq!(stats.gaps, stats.lost(), "{stats}");
        let found = stats.misses.iter().find(|(kind, _)| *kind == "at_enter");
        found.map(|(_, count)| *count)
    };
    {
        let mut capture = started(&numbers);
        assert_eq!(programs("sys_enter"), (0, 0), "no program, and its table neither");
        let (known, unknown) = closes_of(&mut capture, &path);
        assert!(known == 0 && unknown >= 8, "{known} {unknown}");
        assert_eq!(missed(&capture), Some(0), "nobody asked");
    }
    {
        let mut capture = started(&names);
        assert_eq!(programs("sys_enter"), (1, 1));
        assert_all_known(closes_of(&mut capture, &path));
    }
    assert_eq!(programs("sys_enter"), (0, 0));
    let mut capture = started(&numbers);
    capture.set_needs(&host, &names, &config).unwrap();
    assert_eq!(programs("sys_enter"), (1, 1));
    assert_all_known(closes_of(&mut capture, &path));
    capture.set_needs(&host, &numbers, &config).unwrap();
    assert_eq!(programs("sys_enter"), (1, 0), "loaded once is loaded");
    capture.set_needs(&host, &names, &config).unwrap();
    assert_eq!(programs("sys_enter"), (1, 1));
}

#[test]
fn the_program_for_signals_is_there_while_a_rule_asks() {
    let host = Host::probe();
    if !host.missing_capabilities.is_empty() {
        eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
        return;
    }
    let (loaded, attached) = programs("signal_deliver");
    assert_eq!(
        (loaded, attached),
        (0, 0),
        "somebody else captures signals; not a machine for this test"
    );
    let (config, containers) = (Config::default(), ContainerTable::new());
    let none = Needs::default();
    let signals = Needs {
        events: [Event::Signaldeliver].into_iter().collect(),
        ..Needs::default()
    };
    let started =
        |needs: &Needs| Capture::start(plan(&host, needs, &config).unwrap(), &config, &containers).unwrap();
    {
        let capture = started(&signals);
        assert_eq!(programs("signal_deliver"), (1, 1));
        drop(capture);
        assert_eq!(programs("signal_deliver"), (0, 0));
    }
    let mut capture = started(&none);
    assert_eq!(programs("signal_deliver"), (0, 0));
    capture.set_needs(&host, &signals, &config).unwrap();
    assert_eq!(programs("signal_deliver"), (1, 1));
    capture.set_needs(&host, &none, &config).unwrap();
    assert_eq!(programs("signal_deliver"), (1, 0), "loaded once is loaded");
    capture.set_needs(&host, &signals, &config).unwrap();
    assert_eq!(programs("signal_deliver"), (1, 1));
    assert_eq!(
        signals_to_a_child(&mut capture),
        [9],
        "through the maps of the first object"
    );
    let stats = capture.stats();
    assert_eq!(stats.gaps, stats.lost(), "{stats}");
}
