//! What Lanner costs: paired runs of small workloads, without and with an observer, and what the agent itself needs.
//!
//! `cargo bench --bench cost [-- --rounds N]`. Needs root, and a machine where nothing else runs. Each round measures bare,
//! then with an empty program on the hook, then with Lanner; the figures are medians of the differences within a round,
//! so slow drifts of the machine cancel.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY: &str = "watches this host";

/// An observer that runs while something is measured.
struct Observer {
    child: Child,
    ready: Duration,
}

impl Observer {
    fn start(command: &mut Command) -> Observer {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("{command:?} ended before it was ready:\n{said}")
            };
            said.push_str(&line);
            said.push('\n');
            if line.contains(READY) {
                break;
            }
        }
        let ready = started.elapsed();
        std::thread::spawn(move || lines.for_each(drop));
        Observer { child, ready }
    }

    fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// User and system time in clock ticks so far.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        // The empty hook ends with its input, Lanner by the signal.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.child.id().cast_signed()),
            nix::sys::signal::Signal::SIGINT,
        );
        self.child.wait().unwrap();
    }
}

/// A workload: its name, and a function that does it `n` times.
struct Workload {
    name: &'static str,
    count: u32,
    run: fn(u32),
}

fn getpid(n: u32) {
    for _ in 0..n {
        // SAFETY: no arguments; libc's wrapper makes the call every time.
        std::hint::black_box(unsafe { libc::syscall(libc::SYS_getpid) });
    }
}

fn open_close(n: u32) {
    let path = c"/tmp/lanner-bench-file";
    std::fs::write("/tmp/lanner-bench-file", "x").unwrap();
    for _ in 0..n {
        // SAFETY: a constant path; the descriptor is closed at once.
        unsafe {
            let fd = libc::open(path.as_ptr(), libc::O_RDONLY);
            assert!(fd >= 0);
            libc::close(fd);
        }
    }
}

fn connect(n: u32) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..n {
        let client = TcpStream::connect(address).unwrap();
        drop(listener.accept().unwrap());
        drop(client);
    }
}

fn spawn(n: u32) {
    for _ in 0..n {
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
}

const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "getpid",
        count: 2_000_000,
        run: getpid,
    },
    Workload {
        name: "open+close",
        count: 200_000,
        run: open_close,
    },
    Workload {
        name: "TCP connect+accept+close",
        count: 10_000,
        run: connect,
    },
    Workload {
        name: "fork+exec+exit+wait",
        count: 1_000,
        run: spawn,
    },
];

fn nanoseconds(workload: &Workload) -> f64 {
    (workload.run)(workload.count / 20); // warm up
    let started = Instant::now();
    (workload.run)(workload.count);
    started.elapsed().as_nanos() as f64 / f64::from(workload.count)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The example `empty_hook`, where it has been built beside the bench.
fn empty_hook() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_lanner")).parent()?;
    Some(target.join("examples/empty_hook")).filter(|path| path.exists())
}

fn lanner() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
    command.args([
        "-o",
        "journald_output.enabled=false",
        "-o",
        "syslog_output.enabled=false",
        "-o",
        "runtime_directory=",
    ]);
    command
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let rounds = arguments
        .iter()
        .position(|a| a == "--rounds")
        .and_then(|at| arguments.get(at + 1))
        .map_or(7, |n| n.parse().expect("--rounds takes a number"));
    let empty = empty_hook();
    if empty.is_none() {
        println!(
            "without the empty hook: build it with cargo build --release -p lanner-capture --example empty_hook"
        );
    }
    let mut bare = vec![Vec::new(); WORKLOADS.len()];
    let mut hook = bare.clone();
    let mut added = bare.clone();
    let mut ready = Vec::new();
    let mut rss = Vec::new();
    let mut opens_cpu = Vec::new();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let without: Vec<f64> = WORKLOADS.iter().map(nanoseconds).collect();
        if let Some(path) = &empty {
            let observer = Observer::start(&mut Command::new(path));
            for (index, workload) in WORKLOADS.iter().enumerate() {
                hook[index].push(nanoseconds(workload) - without[index]);
            }
            observer.stop();
        }
        let observer = Observer::start(&mut lanner());
        ready.push(observer.ready.as_secs_f64() * 1000.0);
        // What start-up allocated and will not use again is given back or not within this time.
        std::thread::sleep(Duration::from_secs(1));
        rss.push(observer.rss_kib() as f64 / 1024.0);
        for (index, workload) in WORKLOADS.iter().enumerate() {
            let cpu = observer.cpu();
            added[index].push(nanoseconds(workload) - without[index]);
            if workload.name == "open+close" {
                let used = (observer.cpu() - cpu).as_secs_f64();
                opens_cpu.push(used / (f64::from(workload.count) * 1.05) * 1e6);
            }
        }
        observer.stop();
        for (index, value) in without.into_iter().enumerate() {
            bare[index].push(value);
        }
    }
    println!("medians of {rounds} rounds, nanoseconds per iteration");
    println!(
        "{:<26} {:>10} {:>12} {:>12}",
        "workload", "bare", "empty hook", "Lanner adds"
    );
    for (index, workload) in WORKLOADS.iter().enumerate() {
        let hook = match hook[index].is_empty() {
            true => "-".to_owned(),
            false => format!("{:+.0}", median(hook[index].clone())),
        };
        println!(
            "{:<26} {:>10.0} {hook:>12} {:>+12.0}",
            workload.name,
            median(bare[index].clone()),
            median(added[index].clone())
        );
    }
    println!("exec to ready               {:>9.0} ms", median(ready));
    println!("resident memory, idle       {:>9.1} MiB", median(rss));
    println!(
        "agent CPU per million opens {:>9.2} s (clock ticks of 10 ms)",
        median(opens_cpu)
    );
}
