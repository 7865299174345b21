//! Loads the probes, performs one of every event in a child process, and compares what was captured with what was done.
//!
//! Then it asks whose events are, with processes in cgroups of their own (`selfcheck owners` does that alone), and changes the
//! rules while it watches (`selfcheck reload`). What a call costs that no rule needs (`selfcheck unneeded`) is asked apart, in a
//! guest that counts instructions.
//! `selfcheck --tier TIER ...` is about that tier, and exits with 3 where the host does not offer it.
//!
//! Prints a line per check and `selfcheck: N passed, N failed, N skipped`; exits 0 when nothing failed. Needs root. The
//! tests run it on the host's kernel, and in guests of other kernels.

#[path = "selfcheck/act.rs"]
mod act;
#[path = "selfcheck/claims.rs"]
mod claims;
#[path = "selfcheck/owners.rs"]
mod owners;
#[path = "selfcheck/reload.rs"]
mod reload;
#[path = "selfcheck/unneeded.rs"]
mod unneeded;

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use claims::Compared;
use lanner_capture::{Capture, Config, Host, Tier, plan};
use lanner_schema::container::ContainerTable;
use lanner_schema::descriptor::Descriptor;
use lanner_schema::event::{EVENT_COUNT, EVENTS, Event, Needs, ParamType};
use lanner_schema::process::Process;
use lanner_schema::task::TaskValue;
use lanner_schema::view::{EventView, ParamValue};
use libbpf_rs::query::ProgInfoIter;

/// The exit code where the host does not offer the tier that was asked for.
const NOT_OFFERED: u8 = 3;

/// One captured event, in words.
struct Seen {
    event: Event,
    pid: u32,
    params: Vec<(String, String)>,
    exepath: String,
    cmdline: String,
    parent: String,
    /// How it ended, when it was done through io_uring.
    io_uring: Option<&'static str>,
    /// What `fd.*` would say.
    descriptor: Vec<(&'static str, String)>,
    /// What is known of the process.
    state: Vec<(&'static str, String)>,
}

impl Seen {
    /// What an expectation calls `key`.
    fn value(&self, key: &str) -> Option<&str> {
        match key {
            "exepath" => Some(&self.exepath),
            "cmdline" => Some(&self.cmdline),
            "parent" => Some(&self.parent),
            "io_uring" => self.io_uring,
            _ if key.starts_with("proc.") => {
                let found = self.state.iter().find(|(k, _)| *k == key);
                found.map(|(_, value)| value.as_str())
            }
            _ if key.starts_with("fd.") => {
                let found = self.descriptor.iter().find(|(k, _)| *k == key);
                found.map(|(_, value)| value.as_str())
            }
            _ => {
                let found = self.params.iter().find(|(k, _)| k == key);
                found.map(|(_, value)| value.as_str())
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn words(value: ParamValue<'_>) -> String {
    match value {
        ParamValue::I64(n) => n.to_string(),
        ParamValue::U64(n) => n.to_string(),
        ParamValue::Bytes(bytes) if bytes.iter().any(|b| *b < b' ' && !matches!(b, 0 | b'\n')) => {
            bytes.escape_ascii().to_string()
        }
        ParamValue::Bytes(bytes) => text(bytes).replace('\0', " "),
        ParamValue::Path { raw, resolved } => format!("{}|{}", text(raw), resolved.map_or("?".into(), text)),
        ParamValue::Tuple(t) => {
            let end = |e: Option<(std::net::IpAddr, u16)>| {
                e.map_or("?".into(), |(ip, port)| format!("{ip}:{port}"))
            };
            format!(
                "{}>{}{}",
                end(t.local),
                end(t.remote),
                text(t.path).trim_end_matches('\0')
            )
        }
    }
}

fn descends(view: &EventView<'_>, from: u32) -> bool {
    let mut process = view.process;
    for _ in 0..8 {
        match process {
            Some(known) if known.pid == from || known.ppid == from => return true,
            Some(known) => process = view.system.process(known.ppid),
            None => return false,
        }
    }
    false
}

fn seen(view: &EventView<'_>) -> Seen {
    let row = view.event.row();
    let mut params = Vec::new();
    for (index, param) in row.params.iter().enumerate() {
        let Some(value) = view.param(index) else { continue };
        if param.ty == ParamType::Fd
            && let Some(fd) = view.described(index)
        {
            let path = fd.path.map_or_else(String::new, text);
            params.push((format!("{}.is", param.name), format!("{} {path}", fd.kind.word())));
        }
        if param.ty == ParamType::FdList {
            params.push(("polled".to_owned(), polled(view)));
        }
        params.push((param.name.to_owned(), words(value)));
        if let ParamValue::Tuple(tuple) = value
            && tuple.kernel != (0, 0)
        {
            params.push((format!("{}.own", param.name), tuple.kernel.0.to_string()));
            params.push((format!("{}.peer", param.name), tuple.kernel.1.to_string()));
        }
    }
    for (which, keys) in [["requested", "real"], ["requested.2", "real.2"]]
        .into_iter()
        .enumerate()
    {
        let (requested, real) = view.requested_and_real_name(which);
        for (key, path) in keys.into_iter().zip([requested, real]) {
            params.extend(path.map(|path| (key.to_owned(), text(path))));
        }
    }
    if let Some(differ) = view.names_differ() {
        params.push(("differ".to_owned(), differ.to_string()));
    }
    for value in TaskValue::ALL {
        if let Some(number) = view.wire.task(*value) {
            params.push((format!("task.{}", value.name()), number.to_string()));
        }
    }
    if let (Some(resident), Some(size)) = (view.task(TaskValue::VmRss), view.task(TaskValue::VmSize)) {
        // What the kernel has counted of it so far, and nothing else that was read by mistake.
        params.push((
            "is_resident".to_owned(),
            (1..=size).contains(&resident).to_string(),
        ));
    }
    let image = view.process.map(|p| &p.image);
    let parent = view.process.and_then(|p| view.system.process(p.ppid));
    Seen {
        event: view.event,
        pid: view.pid,
        params,
        exepath: image.map_or_else(String::new, |i| text(&i.exepath)),
        cmdline: image.map_or_else(String::new, |i| text(&i.cmdline)),
        parent: parent.map_or_else(String::new, |p| text(&p.image.comm)),
        io_uring: view.io_uring.map(lanner_schema::io_uring::End::name),
        descriptor: view.descriptor.map_or_else(Vec::new, described),
        state: view.process.map_or_else(Vec::new, known),
    }
}

fn known(process: &Process) -> Vec<(&'static str, String)> {
    vec![
        ("proc.comm", text(&process.image.comm)),
        ("proc.cwd", text(&process.cwd)),
        ("proc.sid", process.sid.to_string()),
        ("proc.pgid", process.pgid.to_string()),
        ("proc.vpgid", process.vpgid.to_string()),
        ("proc.tty", process.tty.to_string()),
        ("proc.uid", process.uid.to_string()),
        ("proc.gid", process.gid.to_string()),
        ("proc.cap_inheritable", process.cap_inheritable.to_string()),
        ("proc.cap_permitted", process.cap_permitted.to_string()),
        ("proc.cap_effective", process.cap_effective.to_string()),
    ]
}

fn polled(view: &EventView<'_>) -> String {
    let one = |(revents, fd): (u16, Descriptor<'_>)| {
        let name = match (fd.path, fd.tuple) {
            (Some(path), _) => text(path),
            (None, Some(tuple)) => words(ParamValue::Tuple(tuple)),
            (None, None) => String::new(),
        };
        format!("{}:{revents} {} {name};", fd.number, fd.kind.word())
    };
    view.polled().map(one).collect()
}

fn described(fd: &Descriptor<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("fd.num", fd.number.to_string()),
        ("fd.type", fd.kind.word().to_owned()),
        ("fd.path", fd.path.map_or_else(String::new, text)),
        ("fd.connected", fd.connected.to_string()),
        ("fd.name_changed", fd.name_changed.to_string()),
        ("fd.is_server", fd.is_server.to_string()),
        ("fd.dev", fd.dev.map_or_else(String::new, |dev| dev.to_string())),
        ("fd.ino", fd.ino.map_or_else(String::new, |ino| ino.to_string())),
        (
            "fd.tuple",
            fd.tuple
                .map_or_else(String::new, |tuple| words(ParamValue::Tuple(tuple))),
        ),
    ]
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args: Vec<String> = std::env::args().collect();
    let mut tier = Tier::Auto;
    if let [_, option, word, ..] = args.as_slice()
        && option == "--tier"
    {
        tier = Tier::parse(word).ok_or_else(|| format!("no tier is called {word}"))?;
        args.drain(1..3);
        if let Err(error) = is_offered(tier) {
            println!("selfcheck: the tier {tier} is not offered: {error}");
            return Ok(NOT_OFFERED.into());
        }
    }
    match args.as_slice() {
        [_, role] if role == "owners" => return owners::check(tier),
        [_, role] if role == "reload" => return reload::check(tier),
        [_, role] if role == "unneeded" => return unneeded::check(tier),
        [_, role, folder] if role == "reload" => {
            reload::play(folder.as_ref())?;
            return Ok(ExitCode::SUCCESS);
        }
        [_, role, rest @ ..] => return act::play(role, rest),
        _ => {}
    }
    if args.len() == 1 && std::env::var_os("LANNER_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .init();
    }
    let host = Host::probe();
    println!("selfcheck: kernel {}", host.kernel);
    println!("selfcheck: trampolines {}", host.trials.trampoline);
    let mut checks = Checks::default();
    for role in ["act", "numbers"] {
        let pass = perform(&host, &needs(role), role, tier)?;
        checks.compare(&pass, tier);
    }
    let events = checks.end();
    let others = [owners::check(tier)?, reload::check(tier)?];
    let failed = std::iter::once(events)
        .chain(others)
        .find(|code| *code != ExitCode::SUCCESS);
    Ok(failed.unwrap_or(ExitCode::SUCCESS))
}

/// Whether this host can be watched in that way, by what is known of it: programs that then fail to load are a failure.
fn is_offered(tier: Tier) -> Result<(), Box<dyn Error>> {
    let config = Config {
        tier,
        ..Config::default()
    };
    plan(&Host::probe(), &Needs::all(), &config)?;
    Ok(())
}

/// Everything of the events a role performs. The many calls that no state needs have a pass in which nothing else is captured:
/// the program is then short on all that happens around them, and preemptible kernels refuse fewer of its runs.
fn needs(role: &str) -> Needs {
    let mut needs = Needs::all();
    // Where they are looked at only: all of them on every call make the program long.
    needs.task = [0; EVENT_COUNT];
    for event in [
        Event::Fchdir,
        Event::Execve,
        Event::Execveat,
        Event::Clone,
        Event::Procexit,
    ] {
        needs.task[event as usize] = u32::MAX;
    }
    let by_number = role == "numbers";
    needs.events = EVENTS
        .iter()
        .filter(|row| act::is_plain(row) == by_number)
        .map(|row| row.event)
        .collect();
    needs
}

/// What one pass said it did, and what was captured of it.
struct Pass {
    /// What calls work on is noted meanwhile.
    takes_notes: bool,
    pid: u32,
    script: String,
    events: Vec<Seen>,
    stats: lanner_capture::Stats,
}

/// Captures what a process in that role does.
fn perform(host: &Host, needs: &Needs, role: &'static str, tier: Tier) -> Result<Pass, Box<dyn Error>> {
    let config = Config {
        // Another than the default, so that it is seen to be followed.
        snaplen: 90,
        // Every read and write of the machine is captured.
        ring_bytes: 32 << 20,
        tier,
        ..Config::default()
    };
    let plan = plan(host, needs, &config)?;
    println!("selfcheck: {plan}");
    let takes_notes = plan.path_hooks.is_some();
    let started = Instant::now();
    let started_at = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map(Duration::from)?;
    let mut capture = Capture::start(plan, &config, &ContainerTable::new())?;
    println!("selfcheck: loaded and attached in {:?}", started.elapsed());
    // What the kernel looked at before it let them run: the work of loading, whatever else the machine does.
    let loaded = ProgInfoIter::default().filter(|program| program.load_time > started_at);
    // Of the many programs of a few instructions there is nothing to say.
    for program in loaded.filter(|program| program.verified_insns > 10) {
        let name = program.name.to_string_lossy();
        println!(
            "selfcheck: {name}: {} instructions verified",
            program.verified_insns
        );
    }

    let dir = std::env::temp_dir().join(format!("lanner-selfcheck-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let dir = dir.canonicalize()?;
    let stop = Arc::new(AtomicBool::new(false));
    let player = {
        let (stop, dir) = (Arc::clone(&stop), dir.clone());
        std::thread::spawn(move || -> Result<(u32, String), String> {
            let result = (|| {
                let exe = std::env::current_exe().map_err(|e| e.to_string())?;
                let child = Command::new(exe)
                    .args([role.as_ref(), dir.as_os_str()])
                    .stdout(Stdio::piped())
                    .spawn()
                    .map_err(|e| e.to_string())?;
                let pid = child.id();
                let output = child.wait_with_output().map_err(|e| e.to_string())?;
                if !output.status.success() {
                    return Err(format!("the acting process failed: {}", output.status));
                }
                Ok((pid, text(&output.stdout)))
            })();
            stop.store(true, Ordering::Relaxed);
            result
        })
    };
    let mut events = Vec::new();
    capture.run(&stop, &mut |view| {
        // Of everything the machine does, what comes of this program.
        if descends(view, std::process::id()) {
            events.push(seen(view));
        }
    })?;
    let (pid, script) = player.join().map_err(|_| "the player panicked")??;
    let _ = std::fs::remove_dir_all(&dir);
    let stats = capture.stats();
    println!("{stats}");
    Ok(Pass {
        takes_notes,
        pid,
        script,
        events,
        stats,
    })
}

/// The outcome of the checks so far.
#[derive(Default)]
struct Checks {
    passed: u32,
    failed: u32,
    skipped: u32,
    covered: BTreeSet<String>,
    /// How many checks there were of every event: with it a check has the same name each time this program runs.
    of_event: HashMap<String, u32>,
}

impl Checks {
    /// Every line of the script the acting process printed is one expectation: `EVENT name=value …`, with `skip REASON`
    /// for what this machine can't do, `omit EVENT` with a reason for an event that is not performed, and
    /// `missed KIND COUNT` for what must have been counted as unread, and `noted` before what is known where calls are noted. A value that must not be there is `<none>`;
    /// `$name` is any but 0, the same wherever the name stands. `@child` events belong to another process than the acting one.
    ///
    /// Of a call that the kernel does not have (ENOSYS) a capture in tier A, which stands on functions, sees nothing.
    fn compare(&mut self, pass: &Pass, tier: Tier) {
        let Pass {
            takes_notes,
            pid,
            script,
            events,
            stats,
        } = pass;
        let mut names: HashMap<&str, String> = HashMap::new();
        for line in script.lines() {
            if let Some(reason) = line.strip_prefix("skip ") {
                println!("SKIP {reason}");
                self.skipped += 1;
                continue;
            }
            if let Some(event) = line.strip_prefix("omit ") {
                println!("SKIP {event}");
                self.skipped += u32::from(event.contains(' '));
                self.covered.extend(event.split(' ').next().map(str::to_owned));
                continue;
            }
            if let Some(missed) = line.strip_prefix("missed ") {
                let counted = stats
                    .misses
                    .iter()
                    .any(|(kind, count)| missed == format!("{kind} {count}"));
                self.tell(counted, "missed", missed);
                continue;
            }
            let line = match line.strip_prefix("noted ") {
                Some(_) if !takes_notes => {
                    self.skipped += 1;
                    continue;
                }
                Some(noted) => noted,
                None => line,
            };
            let mut words = line.split('\t');
            let name = words.next().unwrap_or_default();
            let (name, own) = match name.strip_prefix('@') {
                Some(name) => (name, false),
                None => (name, true),
            };
            let mut wanted: Vec<(&str, &str, Compared)> = words
                .filter_map(|w| w.split_once('='))
                .map(|(key, value)| (key, value, Compared::Whole))
                .collect();
            if tier == Tier::Raw {
                let is_request = wanted.iter().any(|(key, ..)| *key == "io_uring");
                wanted.retain_mut(|(key, _, how)| match claims::compared(name, key) {
                    Some(compared) => {
                        *how = compared;
                        true
                    }
                    None => false,
                });
                if is_request || wanted.is_empty() {
                    self.covered.insert(name.to_owned());
                    println!("SKIP {name}: without the kernel's types nothing of this is told");
                    self.skipped += 1;
                    continue;
                }
            }
            let candidates: Vec<&Seen> = events
                .iter()
                .filter(|e| e.event.name() == name && (e.pid == *pid) == own)
                // Beside the calls there are many of.
                .filter(|e| {
                    let end = wanted.iter().find(|(key, ..)| *key == "io_uring");
                    e.io_uring == end.map(|(_, end, _)| *end)
                })
                .collect();
            let matches = |event: &&&Seen| {
                wanted.iter().all(
                    |(key, value, how)| match (event.value(key), value.strip_prefix('$')) {
                        (None, _) => *value == "<none>",
                        (Some(seen), Some(name)) => {
                            names.get(name).map_or(seen != "0", |known| *known == seen)
                        }
                        (Some(seen), None) => how.part(seen) == how.part(value),
                    },
                )
            };
            self.covered.insert(name.to_owned());
            let found = candidates.iter().find(matches);
            let is_lacking = wanted.contains(&("res", "-38", Compared::Whole));
            if found.is_none() && is_lacking && tier == Tier::Trampoline {
                println!("SKIP {name}: the kernel has no such call");
                self.skipped += 1;
                continue;
            }
            self.tell(found.is_some(), name, &line.replace('\t', " "));
            if let Some(event) = found {
                for (key, value, _) in &wanted {
                    if let (Some(name), Some(seen)) = (value.strip_prefix('$'), event.value(key)) {
                        names.insert(name, seen.to_owned());
                    }
                }
            } else {
                for event in candidates.iter().take(6) {
                    println!(
                        "     saw {:?} {:?} {:?} exepath={} cmdline={} parent={}",
                        event.params,
                        event.descriptor,
                        event.state,
                        event.exepath,
                        event.cmdline,
                        event.parent
                    );
                }
            }
        }
        if stats.lost() != stats.gaps {
            let said = format!(
                "lost {} but {} sequence numbers are missing",
                stats.lost(),
                stats.gaps
            );
            self.tell(false, "lost", &said);
        }
    }

    /// One check's line: `ok   [EVENT NUMBER] …` or `FAIL [EVENT NUMBER] …`.
    fn tell(&mut self, holds: bool, event: &str, said: &str) {
        let number = self.of_event.entry(event.to_owned()).or_default();
        *number += 1;
        println!(
            "{} [{event} {number}] {said}",
            if holds { "ok  " } else { "FAIL" }
        );
        *(if holds { &mut self.passed } else { &mut self.failed }) += 1;
    }

    /// Prints the sum. Every event must have been performed, or omitted with a reason.
    fn end(mut self) -> ExitCode {
        for row in EVENTS.iter().filter(|row| row.is_kernel()) {
            if !self.covered.contains(row.name) {
                self.tell(false, row.name, "no check performs it");
            }
        }
        let Checks {
            passed,
            failed,
            skipped,
            ..
        } = self;
        println!("selfcheck: {passed} passed, {failed} failed, {skipped} skipped");
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
