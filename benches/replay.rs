//! What an event costs, on a recording of mixed work: decoding, state and rules apart, with Falco's stock rules and with
//! Lanner's own.
//!
//! `cargo bench --bench replay [-- --seconds N]`. Needs root. Falco's rules are those FALCO_RULES names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LANNER: &str = env!("CARGO_BIN_EXE_lanner");
const READY: &str = "Ctrl-C stops Lanner";

fn options(command: &mut Command, rules: Option<&str>) {
    for option in [
        "nri.enabled=false",
        "journald_output.enabled=false",
        "syslog_output.enabled=false",
    ] {
        command.args(["-o", option]);
    }
    if let Some(rules) = rules {
        command.args(["-r", rules]);
    }
}

/// A recorder, once it records.
fn record(file: &Path, rules: Option<&str>) -> Child {
    let mut command = Command::new(LANNER);
    command
        .arg("record")
        .arg(file)
        .args(["--force", "-o", "engine.modern_ebpf.buf_size_preset=7"]);
    options(&mut command, rules);
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    loop {
        let Some(Ok(line)) = lines.next() else {
            panic!("the recorder ended:\n{said}");
        };
        if line.contains(READY) {
            break;
        }
        said.push_str(&line);
        said.push('\n');
    }
    thread::spawn(move || {
        for line in lines
            .map_while(Result::ok)
            .filter(|line| line.starts_with("Recorded"))
        {
            println!("{line}");
        }
    });
    child
}

fn run(program: &str, arguments: &[&str], folder: &Path) {
    let _ = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// A web server that reads a file for each answer.
fn serve(requests: usize) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let serving = thread::spawn(move || {
        for stream in server.incoming().take(requests) {
            let page = fs::read("/etc/hosts").unwrap();
            stream.unwrap().write_all(&page).unwrap();
        }
    });
    for _ in 0..requests {
        let mut page = Vec::new();
        TcpStream::connect(address)
            .unwrap()
            .read_to_end(&mut page)
            .unwrap();
    }
    serving.join().unwrap();
}

/// Builds, package queries, shell loops and a web server under load, for this long.
fn work(time: Duration, folder: &Path) {
    fs::write(
        folder.join("a.c"),
        "#include <stdio.h>\nint main(void) { return puts(\"a\") < 0; }\n",
    )
    .unwrap();
    let started = Instant::now();
    while started.elapsed() < time {
        run("cc", &["-o", "a", "a.c"], folder);
        run("dpkg", &["-S", "/bin/sh"], folder);
        run(
            "sh",
            &[
                "-c",
                "for i in 1 2 3 4 5 6 7 8 9; do ls /etc | grep -c conf; cat /etc/passwd; done",
            ],
            folder,
        );
        serve(200);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments
        .iter()
        .position(|a| a == "--seconds")
        .and_then(|at| arguments.get(at + 1))
        .map_or(10, |n| n.parse().expect("--seconds takes a number"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording");
    let falco = std::env::var("FALCO_RULES").ok();
    if falco.is_none() {
        println!("without Falco's stock rules: FALCO_RULES names no file");
    }
    let sets = [
        ("Falco's stock rules", falco.as_deref().map(Some)),
        ("Lanner's built-in rules", Some(None)),
    ];
    for (name, rules) in sets {
        let Some(rules) = rules else { continue };
        println!("{name}");
        let mut recorder = record(&file, rules);
        work(Duration::from_secs(seconds), folder.path());
        let pid = nix::unistd::Pid::from_raw(recorder.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        assert!(recorder.wait().unwrap().success());
        let mut command = Command::new(LANNER);
        command.arg("replay").arg(&file).arg("--bench");
        options(&mut command, rules);
        assert!(command.stdin(Stdio::null()).status().unwrap().success());
    }
}
