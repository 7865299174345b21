//! Configuration and rules are read anew while Lanner watches: what changes, what stays, and that no event is lost by it.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use support::lanner::{self, Ended, Lanner, field};
use support::{alone, skip, wait_for};

const LIMIT: Duration = Duration::from_secs(60);
const FAILURE: &str = "Falco internal: hot restart failure";

/// A rule about opens below `dir`.
fn rule(name: &str, dir: &Path, more: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: evt.type = openat and evt.arg.name startswith {}/{more}\n  output: \
         \"name=%evt.arg.name\"\n  priority: WARNING\n",
        dir.display()
    )
}

/// Replaces a file as an editor does.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

/// A version of a file as Kubernetes mounts a ConfigMap: what is used is a link through a link that is replaced.
fn mount_version(dir: &Path, version: &str, file: &str, text: &str) {
    let path = dir.join(version).join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    symlink(version, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
}

/// Opens what is not there: an event all the same.
fn open(dir: &Path, name: &str) {
    let _ = fs::File::open(dir.join(name));
}

fn is(alert: &Value, rule: &str, name: &str) -> bool {
    alert["rule"] == rule && field(alert, "evt.arg.name").ends_with(&format!("/{name}"))
}

fn start(rules: &Path, options: &[&str]) -> Lanner {
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), rules.display().to_string()]);
    arguments.extend(
        options
            .iter()
            .flat_map(|option| ["-o".to_owned(), (*option).to_owned()]),
    );
    Lanner::start(&arguments)
}

/// How often the log has a line with this so far.
fn said(lanner: &Lanner, what: &str) -> usize {
    lanner.log().lines().filter(|line| line.contains(what)).count()
}

#[test]
fn a_changed_rule_in_a_directory_of_a_config_map_is_in_force() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    // As the Helm chart has it: rules.d is a link to a directory below the link that is replaced.
    let version = |name: &str, text: &str| mount_version(dir, name, "rules.d/shop.yaml", text);
    version("..1", &rule("One", dir, ""));
    let rules = dir.join("rules.d");
    symlink("..data/rules.d", &rules).unwrap();
    let lanner = start(&rules, &[]);
    open(dir, "first");
    lanner.wait_for_alert("the first rule", |alert| is(alert, "One", "first"));
    for (number, name) in [("..2", "Two"), ("..3", "Three")] {
        version(number, &rule(name, dir, ""));
        lanner.wait_for_log("that it reloaded", |line| {
            line.contains("reloaded (a file changed)")
        });
        wait_for(name, LIMIT, || {
            open(dir, name);
            lanner
                .alerts()
                .iter()
                .any(|alert| is(alert, name, name))
                .then_some(())
        });
    }
    assert!(lanner.stop().status.success());
}

#[test]
fn changed_files_are_in_force_and_bad_ones_leave_the_rules_as_they_are() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let version = |name: &str, text: &str| mount_version(dir, name, "rules.yaml", text);
    version("..1", &rule("One", dir, ""));
    let rules = dir.join("rules.yaml");
    symlink("..data/rules.yaml", &rules).unwrap();
    let lanner = start(&rules, &[]);
    open(dir, "first");
    lanner.wait_for_alert("the first rule", |alert| is(alert, "One", "first"));

    version("..2", &rule("Two", dir, ""));
    lanner.wait_for_log("that it reloaded", |line| {
        line.contains("reloaded (a file changed)")
    });
    open(dir, "second");
    lanner.wait_for_alert("the second rule", |alert| is(alert, "Two", "second"));

    version(
        "..3",
        "- rule: Three\n  desc: d\n  condition: evt.typ = openat\n  output: x\n  priority: WARNING\n",
    );
    let failure = lanner.wait_for_alert("what is wrong, as an alert", |alert| alert["rule"] == FAILURE);
    assert_eq!(
        (&failure["priority"], &failure["source"]),
        (&"Critical".into(), &"internal".into())
    );
    let output = failure["output"].as_str().unwrap();
    assert!(
        output.contains("rules.yaml:3:") && output.contains("evt.typ"),
        "{output}"
    );
    lanner.wait_for_log("what is wrong, with the line", |line| {
        line.contains("evt.typ = openat")
    });
    open(dir, "third");
    lanner.wait_for_alert("the second rule still", |alert| is(alert, "Two", "third"));

    // Written in place, and another event than before.
    fs::write(
        &rules,
        "- rule: Four\n  desc: d\n  condition: evt.type = mkdir and evt.arg.path contains fourth\n  output: \
         \"path=%evt.arg.path\"\n  priority: WARNING\n",
    )
    .unwrap();
    wait_for("the second reload", LIMIT, || {
        (said(&lanner, "reloaded (a file changed): rules") == 2).then_some(())
    });
    fs::create_dir(dir.join("fourth")).unwrap();
    lanner.wait_for_alert("an event that was not captured before", |alert| {
        alert["rule"] == "Four" && field(alert, "evt.arg.path").contains("fourth")
    });
    open(dir, "fifth");
    let Ended { status, stdout, .. } = lanner.stop();
    assert_eq!(status.code(), Some(0));
    assert!(!stdout.contains("/fifth"), "no rule of before is left:\n{stdout}");
    assert!(
        stdout.contains("   Two: ") && stdout.contains("   Four: 1"),
        "all are counted:\n{stdout}"
    );
}

#[test]
fn a_configuration_is_reloaded_as_a_whole_or_not_at_all() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let rules = dir.join("rules.yaml");
    fs::write(&rules, rule("One", dir, "")).unwrap();
    let config = dir.join("lanner.yaml");
    let text = |more: &str| {
        format!(
            "rules_files: [{}]\nwatch_config_files: false\n{more}",
            rules.display()
        )
    };
    fs::write(&config, text("")).unwrap();
    let mut arguments = lanner::options(None);
    arguments.extend(["-c".to_owned(), config.display().to_string()]);
    let lanner = Lanner::start(&arguments);
    let reload = |answer: &str| {
        let before = said(&lanner, answer);
        kill(lanner.pid(), Signal::SIGHUP).unwrap();
        wait_for(answer, LIMIT, || (said(&lanner, answer) > before).then_some(()));
    };
    open(dir, "first");
    let alert = lanner.wait_for_alert("the first rule", |alert| is(alert, "One", "first"));
    assert!(alert["tags"].is_array());

    fs::write(
        &config,
        text(
            "json_include_tags_property: false\nengine: {modern_ebpf: {buf_size_preset: 1}}\nwebserver: {enabled: \
             true, listen_port: 1}\n",
        ),
    )
    .unwrap();
    reload("reloaded (SIGHUP): rules");
    open(dir, "second");
    let alert = lanner.wait_for_alert("other JSON", |alert| is(alert, "One", "second"));
    assert!(alert["tags"].is_null(), "{alert}");
    for key in ["the size of the ring (engine.*.buf_size_preset)", "webserver"] {
        let line = format!(" WARN {key} was changed, and stays as it is until Lanner is restarted");
        assert!(lanner.log().contains(&line), "{line}\n{}", lanner.log());
    }

    // The rules are right and the configuration is not: neither changes.
    fs::write(&rules, rule("Two", dir, "")).unwrap();
    fs::write(&config, text("rule_matching: perhaps\n")).unwrap();
    reload("not reloaded (SIGHUP)");
    let failure = lanner.wait_for_alert("what is wrong", |alert| alert["rule"] == FAILURE);
    assert!(
        failure["output"].as_str().unwrap().contains("lanner.yaml:3:16"),
        "{failure}"
    );
    open(dir, "third");
    let alert = lanner.wait_for_alert("everything as before", |alert| is(alert, "One", "third"));
    assert!(alert["tags"].is_null(), "{alert}");
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn a_directory_in_which_much_happens_keeps_no_change_waiting() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let rules = dir.join("rules.yaml");
    fs::write(&rules, rule("One", dir, "")).unwrap();
    let lanner = start(&rules, &[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                replace(&dir.join("other"), "");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        replace(&rules, &rule("Two", dir, ""));
        let done = || (said(&lanner, "reloaded (a file changed)") > 0).then_some(());
        let deadline = Instant::now() + LIMIT;
        while done().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(done().is_some(), "{}", lanner.log());
    });
}

#[test]
fn outputs_are_changed_and_lose_nothing() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (rules, config) = (dir.join("rules.yaml"), dir.join("lanner.yaml"));
    let (files, load) = (["a", "b"].map(|name| dir.join(name)), dir.join("load"));
    fs::write(&rules, rule("One", &load, "")).unwrap();
    let write = |file: Option<&Path>| {
        let output = match file {
            Some(file) => format!(
                "{{enabled: true, keep_alive: true, filename: {}}}",
                file.display()
            ),
            None => "{enabled: false}".to_owned(),
        };
        replace(
            &config,
            &format!("rules_files: [{}]\nfile_output: {output}\n", rules.display()),
        );
    };
    write(Some(&files[0]));
    let mut arguments = lanner::options(None);
    arguments.extend(["-c".to_owned(), config.display().to_string()]);
    arguments.extend(["-o".to_owned(), "outputs_queue.capacity=1000000".to_owned()]);
    let lanner = Lanner::start(&arguments);
    let load = Load::start(&load);
    let reloads = || said(&lanner, "reloaded (a file changed): rules");
    for round in 1..=10 {
        write(Some(&files[round % 2]));
        wait_for(&format!("reload {round}"), LIMIT, || {
            (reloads() >= round).then_some(())
        });
        assert_eq!(reloads(), round, "one for each change");
    }
    let count = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    let total = load.end();
    let in_files = || count(&files[0]) + count(&files[1]);
    let all = || (in_files() >= usize::try_from(total).unwrap()).then_some(());
    wait_for(&format!("{total} alerts in the files"), LIMIT, all);
    assert_eq!(in_files(), usize::try_from(total).unwrap(), "one for each open");
    assert!(count(&files[0]) > 0 && count(&files[1]) > 0);
    write(None);
    wait_for("the file's end", LIMIT, || (reloads() >= 11).then_some(()));
    let ended = lanner.stop();
    // Standard output stayed as it was, all the time.
    assert_eq!(ended.alerts().len(), usize::try_from(total).unwrap());
    assert!(
        ended.stderr.contains(&format!("file: {total} delivered, 0 lost")),
        "{}",
        ended.stderr
    );
}

/// Opens names below a directory one after the other, as fast as a pause lets it, until it is dropped.
struct Load {
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Load {
    fn start(dir: &Path) -> Load {
        let (next, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (dir, count, stopped) = (dir.to_owned(), Arc::clone(&next), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let number = count.load(Ordering::SeqCst);
                open(&dir, &number.to_string());
                count.store(number + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        Load { next, stop, thread }
    }

    /// Names below this are opened already, and those above it are not yet.
    fn at(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.next.load(Ordering::SeqCst)
    }
}

/// Descriptors, memory mappings and memory in KiB of a process.
fn holds(lanner: &Lanner) -> (usize, usize, u64) {
    let proc = format!("/proc/{}", lanner.pid());
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    (
        fs::read_dir(format!("{proc}/fd")).unwrap().count(),
        fs::read_to_string(format!("{proc}/maps"))
            .unwrap()
            .lines()
            .count(),
        rss.trim().trim_end_matches(" kB").parse().unwrap(),
    )
}

#[test]
fn a_hundred_reloads_under_load_lose_no_event_and_leak_nothing() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    // What a full ring lost is no reload's doing.
    if let Err(lost) = a_hundred_reloads() {
        println!("once more: {lost} events were lost, and counted");
        assert_eq!(a_hundred_reloads(), Ok(()));
    }
}

/// Reloads under load, and looks at what came of it; `Err` is how many events were counted as lost.
fn a_hundred_reloads() -> Result<(), u64> {
    const RELOADS: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let rules = dir.join("rules.yaml");
    // The second reads what the first does not: another event, and values that are read on demand.
    let built_in = fs::read_to_string(support::repository().join("rules/lanner_rules.yaml")).unwrap();
    let first = format!("{}{built_in}", rule("First", dir, ""));
    let second = format!(
        "{}- rule: Other\n  desc: d\n  condition: evt.type in (mkdir, close, dup) and fd.name = /nowhere and proc.env \
         contains 'NOTHING=1'\n  output: x\n  priority: WARNING\n",
        rule("Second", dir, "")
    );
    let bad = "- rule: Bad\n  desc: d\n  condition: nothing.at.all = 1\n  output: x\n  priority: WARNING\n";
    fs::write(&rules, &first).unwrap();
    let lanner = start(
        &rules,
        &["watch_config_files=false", "outputs_queue.capacity=1000000"],
    );
    let load = Load::start(dir);

    // Which rule must be in force for which numbers; in between either may be.
    let mut rule = "First";
    let mut phases: Vec<(u64, u64, &str)> = Vec::new();
    let mut since = 0;
    let mut early = None;
    for reload in 1..=RELOADS {
        let good = reload % 2 == 1;
        let text = match (good, rule) {
            (false, _) => bad,
            (true, "First") => &second,
            (true, _) => &first,
        };
        replace(&rules, text);
        let until = load.at();
        let answer = match good {
            true => "reloaded (SIGHUP): rules",
            false => "not reloaded (SIGHUP)",
        };
        let before = said(&lanner, answer);
        kill(lanner.pid(), Signal::SIGHUP).unwrap();
        let deadline = Instant::now() + LIMIT;
        while said(&lanner, answer) == before {
            assert!(
                Instant::now() < deadline,
                "reload {reload}: no {answer:?}\n{}",
                lanner.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        if good {
            phases.push((since, until, rule));
            rule = if rule == "First" { "Second" } else { "First" };
            // One may have begun before.
            since = load.at() + 1;
        }
        if reload == 20 {
            early = Some(holds(&lanner));
        }
    }
    // At least one with the last rules.
    wait_for("more opens", LIMIT, || (load.at() > since + 10).then_some(()));
    let total = load.end();
    phases.push((since, total, rule));
    let last = |alert: &Value| field(alert, "evt.arg.name").ends_with(&format!("/{}", total - 1));
    lanner.wait_for_alert("the last open", last);

    let (early, late) = (early.unwrap(), holds(&lanner));
    assert!(late.0 <= early.0 + 2, "descriptors: {early:?}, then {late:?}");
    assert!(late.1 <= early.1 + 16, "mappings: {early:?}, then {late:?}");
    assert!(late.2 <= early.2 + (24 << 10), "memory: {early:?}, then {late:?}");

    let mut seen: Vec<Option<String>> = vec![None; usize::try_from(total).unwrap()];
    let prefix = format!("{}/", dir.display());
    let ended = lanner.stop();
    if ended.lost() > 0 {
        return Err(ended.lost());
    }
    for alert in ended.alerts() {
        let name = field(&alert, "evt.arg.name");
        let Some(number) = name.strip_prefix(&prefix).and_then(|n| n.parse::<usize>().ok()) else {
            continue;
        };
        let before = seen[number].replace(alert["rule"].as_str().unwrap().to_owned());
        assert_eq!(before, None, "{number} came twice");
    }
    let missing: Vec<usize> = (0..seen.len()).filter(|number| seen[*number].is_none()).collect();
    assert!(
        missing.is_empty(),
        "{} of {total} are missing: {missing:?}\n{}",
        missing.len(),
        ended.stderr
    );
    for (since, until, rule) in phases {
        for number in since..until {
            let judged = seen[usize::try_from(number).unwrap()].as_deref();
            assert_eq!(judged, Some(rule), "{number} of {since}..{until}");
        }
    }
    let failures = ended
        .alerts()
        .iter()
        .filter(|alert| alert["rule"] == FAILURE)
        .count();
    assert_eq!(failures, RELOADS / 2);
    println!("{RELOADS} reloads, {total} opens; holds {early:?}, then {late:?}");
    Ok(())
}
