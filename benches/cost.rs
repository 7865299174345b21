//! What Lanner costs: paired runs of small workloads, without and with an observer, and what the agent itself needs.
//!
//! `cargo bench --bench cost [-- --rounds N]`. Needs root, and a machine where nothing else runs. A round measures each
//! workload bare, with an empty program on the hook, bare, with Lanner, and bare again; what is added is the difference
//! from the mean of the bare runs before and after, and the figures are medians over the rounds: slow drifts of the machine
//! cancel. The rules are those of the file FALCO_RULES names, else the built-in ones. Counts of instructions, which no other
//! work of the machine disturbs, are `cargo xtask kernels`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libbpf_rs::query::ProgInfoIter;
use xtask::observer::Observer;
use xtask::workload::{ALL, Workload};

const FILE: &str = "/tmp/lanner-bench-file";
/// What a child executes.
const PROGRAM: &str = "/bin/true";
/// How many files each of two processes opens and closes as fast as it can.
const BURST: u32 = 1_000_000;

/// Nanoseconds per iteration: what Falco added on a machine of this kind, and what Lanner is to add at most, above an
/// empty program on the hook where `above` says so.
struct Goal {
    count: u32,
    falco: f64,
    most: f64,
    above: bool,
}

fn goal(workload: Workload) -> Goal {
    let (count, falco, most, above) = match workload {
        Workload::Getpid => (1_000_000, 119.0, 10.0, true),
        Workload::Stat => (200_000, f64::NAN, 10.0, true),
        Workload::Pipe => (200_000, 271.0, 20.0, true),
        Workload::Open => (100_000, 1_887.0, 750.0, false),
        Workload::Connect => (5_000, 3_910.0, 1_000.0, false),
        Workload::Exec => (500, 52_550.0, 10_000.0, false),
    };
    Goal {
        count,
        falco,
        most,
        above,
    }
}

/// Nanoseconds per iteration.
fn nanoseconds(workload: Workload) -> f64 {
    let count = goal(workload).count;
    let run = |count| workload.run(count, FILE.as_ref(), PROGRAM.as_ref()).unwrap();
    run(count / 20); // warm up
    let started = Instant::now();
    run(count);
    started.elapsed().as_nanos() as f64 / f64::from(count)
}

fn run_all() -> Vec<f64> {
    ALL.into_iter().map(nanoseconds).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
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
    for option in [
        "journald_output.enabled=false",
        "syslog_output.enabled=false",
        "runtime_directory=",
    ] {
        command.args(["-o", option]);
    }
    if let Some(rules) = std::env::var_os("FALCO_RULES") {
        command.arg("-r").arg(rules);
    }
    command
}

/// From the start of the program to its first alert, on something that happens all the time.
fn first_alert() -> Duration {
    let started = Instant::now();
    let mut child = lanner()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut alerts = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !seen.load(Ordering::Relaxed) {
                drop(File::open("/etc/shadow"));
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let first = alerts.next();
        seen.store(true, Ordering::Relaxed);
        first.expect("there is an alert").unwrap();
        started.elapsed()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    took
}

/// Nanoseconds per iteration of each workload that the kernel counts for Lanner's programs, its own counting included, and
/// for the agent's threads, wherever they run. Unlike differences of times they don't drown in how long a fork takes.
fn accounted() -> Vec<(f64, f64)> {
    let _counted = CountedRuns::begin();
    let observer = Observer::start(&mut lanner()).unwrap();
    let measured = ALL.into_iter().map(|workload| {
        let count = goal(workload).count;
        let (programs, agent) = (program_time(), observer.cpu().unwrap());
        workload.run(count, FILE.as_ref(), PROGRAM.as_ref()).unwrap();
        let programs = program_time().saturating_sub(programs);
        let agent = observer.cpu().unwrap() - agent;
        let each = |nanoseconds: u128| nanoseconds as f64 / f64::from(count);
        (each(programs.into()), each(agent.as_nanos()))
    });
    let measured = measured.collect();
    observer.stop().unwrap();
    measured
}

/// What all programs of the machine have run.
fn program_time() -> u64 {
    ProgInfoIter::default().map(|program| program.run_time_ns).sum()
}

/// While it lasts the kernel counts how long programs run.
struct CountedRuns(String);

impl CountedRuns {
    const SETTING: &str = "/proc/sys/kernel/bpf_stats_enabled";

    fn begin() -> Self {
        let before = std::fs::read_to_string(Self::SETTING).unwrap();
        std::fs::write(Self::SETTING, "1").unwrap();
        Self(before)
    }
}

impl Drop for CountedRuns {
    fn drop(&mut self) {
        let _ = std::fs::write(Self::SETTING, self.0.trim());
    }
}

/// Two processes open and close files as fast as they can; what Lanner says it lost of that.
fn burst() -> String {
    let observer = Observer::start(&mut lanner()).unwrap();
    let this = std::env::current_exe().unwrap();
    let mut both: Vec<_> = (0..2)
        .map(|_| Command::new(&this).arg("--burst").spawn().unwrap())
        .collect();
    for child in &mut both {
        assert!(child.wait().unwrap().success());
    }
    let said = observer.stop().unwrap();
    let lost = said.lines().find(|line| line.starts_with("Events lost"));
    lost.unwrap_or("it did not say").to_owned()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    std::fs::write(FILE, "x").unwrap();
    if arguments.iter().any(|argument| argument == "--burst") {
        return Workload::Open
            .run(BURST, FILE.as_ref(), PROGRAM.as_ref())
            .unwrap();
    }
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
    let mut bare = vec![Vec::new(); ALL.len()];
    let mut hook = bare.clone();
    let mut added = bare.clone();
    let (mut ready, mut alert, mut resident, mut opens_cpu) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let mut before = run_all();
        let mut note = |kept: &mut Vec<Vec<f64>>, watched: Vec<f64>| {
            let after = run_all();
            for index in 0..ALL.len() {
                let mean = f64::midpoint(before[index], after[index]);
                bare[index].push(mean);
                kept[index].push(watched[index] - mean);
            }
            before = after;
        };
        if let Some(path) = &empty {
            let observer = Observer::start(&mut Command::new(path)).unwrap();
            let watched = run_all();
            observer.stop().unwrap();
            note(&mut hook, watched);
        }
        let observer = Observer::start(&mut lanner()).unwrap();
        ready.push(observer.ready.as_secs_f64() * 1000.0);
        // What start-up allocated and will not use again is given back or not within this time.
        std::thread::sleep(Duration::from_secs(1));
        resident.push(observer.resident().unwrap() as f64 / 1024.0);
        let mut watched = Vec::new();
        for workload in ALL {
            let cpu = observer.cpu().unwrap();
            watched.push(nanoseconds(workload));
            if workload == Workload::Open {
                let used = (observer.cpu().unwrap() - cpu).as_secs_f64();
                opens_cpu.push(used / (f64::from(goal(workload).count) * 1.05) * 1e6);
            }
        }
        observer.stop().unwrap();
        note(&mut added, watched);
        alert.push(first_alert().as_secs_f64() * 1000.0);
    }
    println!("\nNanoseconds per iteration, medians of {rounds} rounds:\n");
    println!("| workload | bare | empty hook adds | Lanner adds | Falco added | of Falco's | goal: added |");
    println!("|---|---|---|---|---|---|---|");
    for (index, workload) in ALL.into_iter().enumerate() {
        let goal = goal(workload);
        let lanner = median(&added[index]);
        let floor = (!hook[index].is_empty()).then(|| median(&hook[index]));
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
        let falco = Some(goal.falco).filter(|falco| !falco.is_nan());
        println!(
            "| {} | {:.0} | {} | {lanner:.0} | {} | {} | {} |",
            workload.name(),
            median(&bare[index]),
            shown(floor),
            shown(falco),
            falco.map_or("-".to_owned(), |falco| format!("{:.2}", lanner / falco)),
            match goal.above {
                true => format!("the hook's + {:.0}", goal.most),
                false => format!("{:.0}", goal.most),
            }
        );
    }
    println!("\nNanoseconds per iteration that the kernel counts, one run:\n");
    println!("| workload | Lanner's programs | the agent |\n|---|---|---|");
    for (workload, (programs, agent)) in ALL.into_iter().zip(accounted()) {
        println!("| {} | {programs:.0} | {agent:.0} |", workload.name());
    }
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_lanner")).unwrap().len();
    println!("\n| | Lanner | Falco | goal |\n|---|---|---|---|");
    println!(
        "| agent CPU seconds per million opens | {:.2} | 1.41 | 0.15 |",
        median(&opens_cpu)
    );
    println!(
        "| two processes x 1M open+close | {} | 13 to 24 % dropped | 0 |",
        burst()
    );
    println!("| exec to ready | {:.0} ms | | |", median(&ready));
    println!(
        "| exec to first alert | {:.0} ms | 1,640 ms | 150 ms |",
        median(&alert)
    );
    println!(
        "| resident memory, idle | {:.1} MiB | 67.4 MiB | 19 MiB |",
        median(&resident)
    );
    println!(
        "| binary, stripped | {:.1} MB | 14.9 MB + plugin 2.8 MB | 12 MB |",
        binary as f64 / 1e6
    );
}
