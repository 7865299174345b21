//! The binary as its operator sees it: what it prints, where, and its exit codes.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

#[path = "support/journald.rs"]
mod journald;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

fn lanner() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lanner"))
}

fn run(arguments: &[&str]) -> Output {
    lanner().args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

const RULES: &str = "\
- rule: Marker opened
  desc: A file that only the test opens
  condition: evt.type in (open, openat, openat2) and fd.name endswith /lanner-command-line-marker
  output: marker %fd.name
  priority: WARNING
";

#[test]
fn falcos_questions_are_answered() {
    for (arguments, answer) in [
        (&["--page-size"][..], "page size is: "),
        (&["--list", "-N", "--format", "text"], "proc.name"),
    ] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        assert!(
            stdout(&output).contains(answer),
            "{arguments:?}: {}",
            stdout(&output)
        );
    }
    let output = run(&["--plugin-info", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("there is no plugin \"json\"") && text.lines().count() == 1,
        "{text}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn event_sources_are_chosen_as_far_as_there_are_any() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let list = |arguments: &[&str]| run(&[&["-L", "-r", &rules], arguments].concat());
    assert!(list(&["--enable-source", "syscall"]).status.success());
    let output = list(&["--disable-source", "k8s_audit"]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("no event source \"k8s_audit\""),
        "{}",
        stderr(&output)
    );
    for arguments in [["--disable-source", "syscall"], ["--enable-source", "k8s_audit"]] {
        let output = list(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr(&output).contains("nothing would be watched"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_format_of_p_is_checked_and_falcos_short_forms_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let output = run(&["-pk", "-v", "-L", "-r", &rules]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(
        text.contains("-p k changes nothing") && text.contains("-v changes nothing here"),
        "{text}"
    );
    let output = run(&["-p", "x=%proc.nmae", "-L", "-r", &rules]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.starts_with("lanner: -p x=%proc.nmae: "), "{text}");
}

#[test]
fn an_unknown_option_is_named() {
    let output = run(&["--jsno"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--jsno"), "{}", stderr(&output));
}

#[test]
fn a_refused_configuration_says_where_and_exits_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(
        dir.path(),
        "lanner.yaml",
        "json_output: perhaps\npriority: high\n",
    );
    let output = run(&["-c", &config]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains(&format!("{config}:1:14: json_output must be true or false")),
        "{text}"
    );
    assert!(
        text.contains(&format!("{config}:2:11: priority must be one of")),
        "{text}"
    );
    // The first is a warning, the second has nothing that would do instead.
    assert!(text.contains("the configuration is refused: 1 error"), "{text}");
    assert!(output.stdout.is_empty());

    let output = run(&["-c", "/nonexistent/lanner.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("/nonexistent/lanner.yaml"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_engine_without_events_is_refused_where_it_is_written_but_rules_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    for (kind, why) in [("nodriver", "nothing to watch"), ("replay", "names no recording")] {
        let config = write(dir.path(), "lanner.yaml", &format!("engine:\n  kind: {kind}\n"));
        let output = run(&["-c", &config, "-r", &rules]);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        let start = format!("lanner: {config}:2:9: engine.kind is {kind}");
        assert!(text.contains(&start) && text.contains(why), "{text}");
        assert!(!text.contains("engine.tier"), "{text}");
        assert!(run(&["-c", &config, "-V", &rules]).status.success());
    }
}

#[test]
fn rules_are_validated() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good.yaml", RULES);
    let output = run(&["-V", &good]);
    assert_eq!(stdout(&output), format!("{good}: Ok\n"), "{}", stderr(&output));
    assert!(output.status.success());
    let bad = write(
        dir.path(),
        "bad.yaml",
        &RULES.replace("fd.name endswith", "fd.nmae endswith"),
    );
    let output = run(&["-V", &good, "-V", &bad]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains(&format!("{bad}: Invalid")) && text.contains("fd.nmae"),
        "{text}"
    );
}

/// As `-V falco_rules.yaml -V falco_rules.local.yaml`: the second file changes what the first defines.
#[test]
fn validated_files_build_on_those_before_them() {
    let dir = tempfile::tempdir().unwrap();
    let first = write(
        dir.path(),
        "first.yaml",
        "- list: shells\n  items: [sh]\n- macro: shell\n  condition: proc.name in (shells)\n",
    );
    let second = write(
        dir.path(),
        "second.yaml",
        "- list: shells\n  items: [zsh]\n  override: {items: append}\n- rule: r\n  desc: d\n  condition: evt.type = open and shell\n  \
         output: o\n  priority: INFO\n",
    );
    let broken = write(dir.path(), "broken.yaml", "- rule: [\n");
    let output = run(&["-V", &first, "-V", &second]);
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(
        stdout(&output).ends_with(&format!("{second}: Ok\n")),
        "{}",
        stdout(&output)
    );
    let output = run(&["-V", &first, "-V", &broken, "-V", &second]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains(&format!("{broken}: Invalid")), "{text}");
    assert!(
        text.ends_with(&format!("{second}: Ok\n")),
        "a file that is refused is left out: {text}"
    );
}

#[test]
fn every_validated_file_has_its_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good.yaml", RULES);
    let latin = dir.path().join("latin.yaml").display().to_string();
    std::fs::write(&latin, b"# one\n# f\xfcr\n").unwrap();
    let missing = dir.path().join("missing.yaml").display().to_string();
    let empty = dir.path().join("empty.d").display().to_string();
    std::fs::create_dir(&empty).unwrap();
    write(Path::new(&empty), "notes.txt", "");
    let output = run(&["-V", &missing, "-V", &latin, "-V", &empty, "-V", &good]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    for part in [
        format!(
            "{missing}: Invalid\n{missing}: error[LOAD_ERR_FILE_READ]: cannot read the rules: No such file"
        ),
        format!("{latin}: Invalid\n{latin}:2:4: error[LOAD_ERR_FILE_READ]: the file is not UTF-8 here"),
        format!(
            "{empty}: Invalid\n{empty}: error[LOAD_ERR_FILE_READ]: the directory has no .yaml or .yml file\n"
        ),
        format!("{good}: Ok\n"),
    ] {
        assert!(text.contains(&part), "{part}\n{text}");
    }
    let output = run(&["-V", &empty]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_rule_schema_is_printed_and_files_are_compared_with_it() {
    let output = run(&["--rule-schema"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let schema: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-06/schema#");
    let keys = &schema["definitions"]["FalcoRule"]["properties"];
    assert_eq!(keys["priority"]["enum"][4], "WARNING");
    assert_eq!(keys["capture"]["type"], "boolean");

    let dir = tempfile::tempdir().unwrap();
    let lower = write(
        dir.path(),
        "lower.yaml",
        &RULES.replace("WARNING", "warning\n  warn_evttypes: \"yes\""),
    );
    for arguments in [["-V", &lower], ["-L", "-r"]] {
        let output = match arguments[0] {
            "-V" => run(&arguments),
            _ => run(&["-L", "-r", &lower]),
        };
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stderr(&output);
        for part in [
            format!(
                "{lower}:5:13: warning: schema validation: failed for <root>[0][priority]: must be one of"
            ),
            "= help: write WARNING".into(),
            format!("{lower}:6:18: warning: schema validation: failed for <root>[0][warn_evttypes]"),
        ] {
            assert!(text.contains(&part), "{part}\n{text}");
        }
    }
    // A key the loader warns of is not said twice; the verdict is.
    let unknown = write(
        dir.path(),
        "unknown.yaml",
        &RULES.replace("desc:", "tag: [a]\n  desc:"),
    );
    let text = stderr(&run(&["-L", "-r", &unknown]));
    assert!(
        text.contains(&format!(
            "{unknown} | schema validation: failed for <root>[0]: the key 'tag' is unknown"
        )),
        "{text}"
    );
    assert_eq!(text.matches("LOAD_UNKNOWN_KEY").count(), 1, "{text}");
    let good = write(dir.path(), "good.yaml", RULES);
    assert!(stderr(&run(&["-L", "-r", &good])).contains(&format!("{good} | schema validation: ok")));
}

#[test]
fn refused_rules_keep_lanner_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let bad = write(dir.path(), "bad.yaml", &RULES.replace("WARNING", "LOUD"));
    let output = run(&["-r", &bad]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&format!("{bad}:5:")), "{text}");
    assert!(text.contains("the rules are not loaded: 1 error"), "{text}");
    let output = run(&["-r", "/nonexistent/rules.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("/nonexistent/rules.yaml"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn rules_and_events_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let output = run(&["-L", "-r", &rules]);
    assert!(stdout(&output).contains("Marker opened"), "{}", stdout(&output));
    let output = run(&["-l", "Marker opened", "-r", &rules]);
    assert!(stdout(&output).contains("openat2"), "{}", stdout(&output));
    let output = run(&["-l", "No such rule", "-r", &rules]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("Rule \"No such rule\" is not loaded"),
        "{}",
        stderr(&output)
    );
    assert!(stdout(&run(&["--list-events"])).contains("< openat("));
}

#[test]
fn a_dry_run_says_what_would_be_watched_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let output = run(&["--dry-run", "-r", &rules]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stderr(&output);
    for part in ["dry run", "1 (by priority: 1 warning)", &rules, "stdout"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn stdout_that_is_the_journals_is_not_written_to_twice() {
    let journal = match journald::Journald::start() {
        Ok(journal) => journal,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    // What a service manager does for StandardOutput=journal, systemd.exec(5).
    let stream = UnixStream::connect(journal.stdout_socket()).unwrap();
    let facts = nix::sys::stat::fstat(&stream).unwrap();
    let dry_run = |identity: String| {
        let mut command = journal.command(env!("CARGO_BIN_EXE_lanner"));
        command.arg("--dry-run").env("JOURNAL_STREAM", identity);
        let stdout = OwnedFd::from(stream.try_clone().unwrap());
        stderr(
            &command
                .stdin(Stdio::null())
                .stdout(stdout)
                .stderr(Stdio::piped())
                .output()
                .unwrap(),
        )
    };
    let text = dry_run(format!("{}:{}", facts.st_dev, facts.st_ino));
    assert!(
        text.contains("not stdout: stdout is connected to the journal"),
        "{text}"
    );
    assert!(
        text.contains("journald (a journal listens on this host)"),
        "{text}"
    );
    let text = dry_run(format!("{}:{}", facts.st_dev, facts.st_ino + 1));
    assert!(!text.contains("not stdout"), "{text}");
}

#[test]
fn a_reader_that_went_away_is_no_panic() {
    for arguments in ["--list", "--list-events", "--version", "--dry-run"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = lanner();
        command.arg(arguments).stdin(Stdio::null());
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let status = command.status().unwrap();
        // A panic is 101; a dry run without root is 1.
        assert!(matches!(status.code(), Some(0 | 1)), "{arguments}: {status}");
    }
}

#[test]
fn after_the_seconds_of_m_it_stops_and_reports() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(
        dir.path(),
        "rules.yaml",
        &RULES.replace("command-line-marker", "seconds-marker"),
    );
    let marker = write(dir.path(), "lanner-seconds-marker", "");
    let arguments = ["-r", &rules, "-M", "2", "-p", "by=%proc.pid"];
    let Some(mut running) = Running::start(&arguments) else {
        return;
    };
    drop(std::fs::File::open(&marker).unwrap());
    assert_eq!(running.wait().code(), Some(0));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut running.process.stdout.take().unwrap(), &mut text).unwrap();
    assert!(
        text.contains(&format!("marker {marker} by={}\n", std::process::id())),
        "{text}"
    );
    assert!(text.contains("Events detected: 1\n"), "{text}");
}

#[test]
fn a_file_that_cannot_be_opened_is_said_at_the_start() {
    if !geteuid().is_root() {
        eprintln!("skipped: watching needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let file = dir.path().join("missing/events.txt").display().to_string();
    let option = format!("file_output={{enabled: true, filename: {file}}}");
    let output = run(&["-r", &rules, "-M", "1", "-o", "nri.enabled=false", "-o", &option]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stderr(&output);
    let warnings = text.lines().filter(|line| line.contains("WARN"));
    let about: Vec<&str> = warnings
        .filter(|line| line.contains(&format!("cannot open {file}: No such file")))
        .collect();
    assert_eq!(about.len(), 1, "{text}");
    assert!(text.contains(&format!("file {file}\n")), "{text}");
}

/// A Lanner that watches, with its standard error read up to the start screen's last line.
struct Running {
    process: Child,
    _stderr: std::thread::JoinHandle<()>,
}

impl Running {
    /// `None` when this machine can't run it.
    fn start(arguments: &[&str]) -> Option<Running> {
        if !geteuid().is_root() {
            eprintln!("skipped: watching needs root");
            return None;
        }
        let mut command = lanner();
        command
            .args(arguments)
            .args(["-o", "nri.enabled=false", "-o", "journald_output.enabled=false"])
            // Of two with one directory the newer takes over: other tests' are not this one's.
            .args(["-o", "runtime_directory="]);
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, started) = std::sync::mpsc::channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            for line in stderr.lines().map_while(Result::ok) {
                if line.contains("Ctrl-C stops Lanner") {
                    let _ = send.send(());
                }
                text.push_str(&line);
                text.push('\n');
            }
            eprint!("{text}");
        });
        let running = Running {
            process,
            _stderr: reader,
        };
        started
            .recv_timeout(Duration::from_secs(60))
            .expect("lanner starts");
        Some(running)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "lanner does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_watches_until_it_is_told_to_stop_and_reports() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let events = dir.path().join("events.txt");
    let pidfile = dir.path().join("lanner.pid");
    let marker = write(dir.path(), "lanner-command-line-marker", "");
    let file = format!(
        "file_output={{enabled: true, keep_alive: true, filename: {}}}",
        events.display()
    );
    let arguments = ["-r", &rules, "-P", pidfile.to_str().unwrap(), "-o", &file];
    let Some(mut running) = Running::start(&arguments) else {
        return;
    };
    let second = run(&[&arguments[..], &["-o", "runtime_directory="]].concat());
    assert_eq!(second.status.code(), Some(1));
    let refusal = format!(
        "lanner: another Lanner runs with process id {} ",
        running.process.id()
    );
    assert!(stderr(&second).contains(&refusal), "{}", stderr(&second));
    assert_eq!(
        std::fs::read_to_string(&pidfile).unwrap().trim(),
        running.process.id().to_string()
    );

    let alerts = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let wait_for = |path: &Path, count: usize| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while alerts(path).lines().count() < count {
            assert!(Instant::now() < deadline, "{}", alerts(path));
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    drop(std::fs::File::open(&marker).unwrap());
    wait_for(&events, 1);
    assert!(
        alerts(&events).contains(&format!("Warning marker {marker}")),
        "{}",
        alerts(&events)
    );

    // SIGUSR1 lets go of a rotated file; SIGHUP does not end it.
    let rotated = dir.path().join("events.txt.1");
    std::fs::rename(&events, &rotated).unwrap();
    running.signal(Signal::SIGUSR1);
    running.signal(Signal::SIGHUP);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut opened = 1;
    while alerts(&events).is_empty() {
        assert!(Instant::now() < deadline);
        drop(std::fs::File::open(&marker).unwrap());
        opened += 1;
        std::thread::sleep(Duration::from_millis(50));
    }

    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), Some(0));
    assert!(!pidfile.exists());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut running.process.stdout.take().unwrap(), &mut text).unwrap();
    let (lines, report) = text.split_once("Events detected: ").unwrap();
    assert_eq!(lines.lines().count(), opened, "{text}");
    assert_eq!(
        report,
        format!(
            "{opened}\nRule counts by severity:\n   WARNING: {opened}\nTriggered rules by rule name:\n   Marker opened: {opened}\n"
        )
    );
    assert_eq!(
        alerts(&rotated).lines().count() + alerts(&events).lines().count(),
        opened
    );
}
