//! What Lanner costs: small workloads in short slices, without and with an observer, and what the agent itself needs.
//!
//! `cargo bench --bench cost [-- --rounds N]`. Needs root, and a machine where nothing else runs. A round measures all
//! workloads bare, with an empty program on the hook, bare, with Lanner, and bare again, each time in some slices of
//! about 20 ms, whose lower quartile counts: what else the machine does makes a slice longer, never shorter. What is
//! added is the difference from the mean of the bare ones before and after, in the median over the rounds, so that slow
//! drifts cancel. The figures of every other round alone, and the quartiles of all bare slices, show what is noise.
//! *CPU added* is the same of the processor time of who does the work, without the agent's. This process has one thread
//! while it measures: a second one makes calls on descriptors 50 ns dearer, and a fork 40 µs. The rules are those of
//! the file FALCO_RULES names, else the built-in ones. Counts of instructions, which no other work of the machine
//! disturbs, are `cargo xtask kernels`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use xtask::observer::{Observer, empty_hook};
use xtask::programs::{CountedRuns, runs, since, uncounted};
use xtask::statistics::{Added, Quartiles, Round, median};
use xtask::workload::{ALL, Workload};

const FILE: &str = "/tmp/lanner-bench-file";
/// What a child executes.
const PROGRAM: &str = "/bin/true";
/// Slices of each workload at a time.
const SLICES: usize = 8;
/// How long the agent is given for what it has still to do.
const REST: Duration = Duration::from_millis(50);
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
        Workload::Getpid => (100_000, 119.0, 10.0, true),
        Workload::Stat => (20_000, f64::NAN, 10.0, true),
        Workload::Pipe => (25_000, 271.0, 20.0, true),
        Workload::Open => (8_000, 1_887.0, 750.0, false),
        Workload::Connect => (500, 3_910.0, 1_000.0, false),
        Workload::Exec => (25, 52_550.0, 10_000.0, false),
    };
    Goal {
        count,
        falco,
        most,
        above,
    }
}

fn run(workload: Workload, count: u32) {
    workload.run(count, FILE.as_ref(), PROGRAM.as_ref()).unwrap();
}

/// Nanoseconds per iteration of each slice: of time, and of processor time of this process and its children.
#[derive(Debug, Clone, Default)]
struct Slices {
    time: Vec<f64>,
    cpu: Vec<f64>,
}

/// The processor time of this process and of its children that have ended, in nanoseconds.
fn spent() -> i64 {
    let both = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].map(|who| getrusage(who).unwrap());
    both.iter()
        .map(|usage| (usage.user_time() + usage.system_time()).num_nanoseconds())
        .sum()
}

/// Slices of all workloads, one of each after the other: so they are spread over as long a time as there is.
fn slices() -> Vec<Slices> {
    let mut all = vec![Slices::default(); ALL.len()];
    for workload in ALL {
        run(workload, goal(workload).count / 5); // warm up
    }
    for _ in 0..SLICES {
        for (workload, slices) in ALL.into_iter().zip(&mut all) {
            let count = goal(workload).count;
            let (before, started) = (spent(), Instant::now());
            run(workload, count);
            let (time, spent) = (started.elapsed(), spent() - before);
            slices.time.push(time.as_nanos() as f64 / f64::from(count));
            slices.cpu.push(spent as f64 / f64::from(count));
        }
    }
    all
}

/// The rounds of one workload with one observer, by time and by processor time.
#[derive(Debug, Clone, Default)]
struct Rounds {
    time: Vec<Round>,
    cpu: Vec<Round>,
}

impl Rounds {
    fn add(&mut self, before: &Slices, watched: &Slices, after: &Slices) {
        let round = |of: fn(&Slices) -> &Vec<f64>| Round {
            bare: vec![of(before).clone(), of(after).clone()],
            watched: vec![of(watched).clone()],
        };
        self.time.push(round(|slices| &slices.time));
        self.cpu.push(round(|slices| &slices.cpu));
    }
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

/// Nanoseconds per iteration of each workload that the kernel counts for Lanner's programs, its own counting included,
/// and for the agent's threads, wherever they run.
fn accounted() -> Vec<(f64, f64)> {
    let _counted = CountedRuns::begin().unwrap();
    let observer = Observer::start(&mut lanner()).unwrap();
    std::thread::sleep(REST * 20);
    let measured = ALL.into_iter().map(|workload| {
        let count = goal(workload).count * 10;
        std::thread::sleep(REST);
        let (programs, agent) = (runs(observer.pid()).unwrap(), observer.cpu().unwrap());
        run(workload, count);
        let programs = since(&programs, &runs(observer.pid()).unwrap());
        std::thread::sleep(REST);
        let agent = observer.cpu().unwrap() - agent;
        let programs: u64 = programs.values().map(|runs| runs.time).sum();
        let each = |nanoseconds: f64| nanoseconds / f64::from(count);
        (each(programs as f64), each(agent.as_nanos() as f64))
    });
    let measured = measured.collect();
    observer.stop().unwrap();
    measured
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
    if let Err(reason) = uncounted() {
        return eprintln!("skipped: {reason}");
    }
    let rounds = arguments
        .iter()
        .position(|a| a == "--rounds")
        .and_then(|at| arguments.get(at + 1))
        .map_or(10, |n| n.parse().expect("--rounds takes a number"));
    let empty = empty_hook(Path::new(env!("CARGO_BIN_EXE_lanner")));
    let mut bare = vec![Vec::new(); ALL.len()];
    let mut hook = vec![Rounds::default(); ALL.len()];
    let mut added = hook.clone();
    let (mut ready, mut alert, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = slices();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let mut note = |kept: &mut Vec<Rounds>, watched: Vec<Slices>| {
            let after = slices();
            for index in 0..ALL.len() {
                bare[index].extend_from_slice(&after[index].time);
                kept[index].add(&before[index], &watched[index], &after[index]);
            }
            before = after;
        };
        if let Some(path) = &empty {
            let observer = Observer::start(&mut Command::new(path)).unwrap();
            let watched = slices();
            observer.stop().unwrap();
            note(&mut hook, watched);
        }
        let observer = Observer::start(&mut lanner()).unwrap();
        ready.push(observer.ready.as_secs_f64() * 1000.0);
        // What start-up allocated and will not use again is given back or not within this time.
        std::thread::sleep(Duration::from_secs(1));
        resident.push(observer.resident().unwrap() as f64 / 1024.0);
        let watched = slices();
        observer.stop().unwrap();
        note(&mut added, watched);
        alert.push(first_alert().as_secs_f64() * 1000.0);
    }
    let accounted = accounted();
    println!(
        "\nNanoseconds per iteration: lower quartiles of {SLICES} slices, medians of {rounds} rounds; in brackets every \
         other round alone and the others, and of the bare slices all quartiles:\n"
    );
    println!(
        "| workload | bare | empty hook adds | Lanner adds | CPU added | Falco added | of Falco's | goal: added |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (index, workload) in ALL.into_iter().enumerate() {
        let goal = goal(workload);
        let lanner = Added::over(&added[index].time);
        let shown = |Added { all, halves }| format!("{all:.0} ({:.0}, {:.0})", halves[0], halves[1]);
        let falco = Some(goal.falco).filter(|falco| !falco.is_nan());
        println!(
            "| {} | {} | {} | {} | {:.0} | {} | {} | {} |",
            workload.name(),
            Quartiles::of(&bare[index]),
            match &empty {
                Some(_) => shown(Added::over(&hook[index].time)),
                None => "-".to_owned(),
            },
            shown(lanner),
            Added::over(&added[index].cpu).all,
            falco.map_or("-".to_owned(), |falco| format!("{falco:.0}")),
            falco.map_or("-".to_owned(), |falco| format!("{:.2}", lanner.all / falco)),
            match goal.above {
                true => format!("the hook's + {:.0}", goal.most),
                false => format!("{:.0}", goal.most),
            }
        );
    }
    println!("\nNanoseconds per iteration that the kernel counts, one run:\n");
    println!("| workload | Lanner's programs | the agent |\n|---|---|---|");
    for (workload, (programs, agent)) in ALL.into_iter().zip(&accounted) {
        println!("| {} | {programs:.0} | {agent:.0} |", workload.name());
    }
    let opens = ALL.iter().position(|workload| *workload == Workload::Open);
    let opens_cpu = accounted[opens.unwrap()].1 / 1e3;
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_lanner")).unwrap().len();
    println!("\n| | Lanner | Falco | goal |\n|---|---|---|---|");
    println!(
        "| agent CPU seconds per million opens | {:.2} | 1.41 | 0.15 |",
        opens_cpu
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
