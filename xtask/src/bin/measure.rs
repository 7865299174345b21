//! What runs in a counted guest: every workload bare, then watched by each observer that the arguments name, as
//! `-- NAME COMMAND [ARGUMENT...]`, one after the other. An instruction takes a nanosecond there, so times are counts.
//!
//! Prints `measured NAME WORKLOAD TOTAL OWN` per workload, with tabs between: instructions of the whole machine per
//! iteration and, of those, the observer's own. `measured NAME start TOTAL OWN` is what its start took, and `refused NAME REASON`
//! an observer that did not come to watch. With `--programs` first, `program NAME WORKLOAD ID RUNS INSTRUCTIONS` per BPF program of
//! the observer that ran: how often in an iteration (in thousandths), and what a run took. Asking the kernel for that costs
//! some hundred instructions a run, so the sums are not those of a measurement without it.
//!
//! A workload runs in a process of its own, which is alike whoever watches: what a fork costs depends on who forks.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use xtask::observer::Observer;
use xtask::programs::{CountedRuns, Runs, runs, since};
use xtask::workload::{ALL, Workload};

/// How long the observer is given to come to rest. A guest where nothing is to be done passes over it at once.
const REST: Duration = Duration::from_secs(1);
const FILE: &str = "/tmp/measured-file";
const PROGRAM: &str = "/bin/busybox";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--child", workload, observer] => child(workload, observer),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("measure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<()> {
    std::fs::write(FILE, "x").context("write the file that is opened")?;
    let programs = arguments.first().is_some_and(|first| first == "--programs");
    let _counted = programs
        .then(CountedRuns::begin)
        .transpose()
        .context("have the kernel count runs")?;
    run_all("bare", None, false)?;
    for observer in arguments.split(|argument| argument == "--") {
        let [name, command, rest @ ..] = observer else {
            continue;
        };
        let start = now()?;
        let observer = match Observer::start(Command::new(command).args(rest)) {
            Ok(observer) => observer,
            Err(error) => {
                println!("refused\t{name}\t{}", error.to_string().replace('\n', " | "));
                continue;
            }
        };
        println!(
            "measured\t{name}\tstart\t{}\t{}",
            (now()? - start).as_nanos(),
            observer.cpu()?.as_nanos()
        );
        // What only a start brings with it comes to rest.
        sleep(REST * 3);
        run_all(name, Some(&observer), programs)?;
        observer.stop()?;
        sleep(REST);
    }
    Ok(())
}

/// Every workload, each in a child.
fn run_all(name: &str, observer: Option<&Observer>, programs: bool) -> Result<()> {
    let this = std::env::current_exe().context("this program's own path")?;
    let pid = observer.map_or(0, Observer::pid);
    for workload in ALL {
        let before = runs(pid)?;
        let output = Command::new(&this)
            .args(["--child", workload.name(), &pid.to_string()])
            .output()
            .with_context(|| workload.name())?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("{}: {}", workload.name(), String::from_utf8_lossy(&output.stderr));
        }
        println!("measured\t{name}\t{}\t{}", workload.name(), said.trim());
        for (id, Runs { count, time }) in since(&before, &runs(pid)?) {
            if programs {
                // With those before the measurement.
                let iterations = u64::from(iterations(workload) + warm_up(workload));
                println!(
                    "program\t{name}\t{}\t{id}\t{}\t{}",
                    workload.name(),
                    count * 1000 / iterations,
                    time / count
                );
            }
        }
    }
    Ok(())
}

/// One workload: prints what it takes, of the whole machine and of the observer with that process id.
fn child(workload: &str, observer: &str) -> Result<()> {
    let workload = ALL
        .into_iter()
        .find(|one| one.name() == workload)
        .context("a workload")?;
    let clock = match observer.parse::<i32>()? {
        0 => None,
        pid => Some(clock_getcpuclockid(Pid::from_raw(pid))?),
    };
    let cpu = || {
        clock.map_or(Ok(Duration::ZERO), |clock| {
            clock_gettime(clock).map(Duration::from)
        })
    };
    let run = |count| workload.run(count, Path::new(FILE), Path::new(PROGRAM));
    // Everything it touches is in its caches then, the observer's too.
    run(warm_up(workload))?;
    sleep(REST);
    let before = cpu()?;
    sleep(REST);
    let begun = (now()?, cpu()?);
    run(iterations(workload))?;
    let ended = (now()?, cpu()?);
    sleep(REST);
    let idle = begun.1 - before;
    // What it still had to do of the work, without what it does in as much time anyway.
    let later = (cpu()? - ended.1).saturating_sub(idle);
    let total = ended.0 - begun.0 + later;
    let own = ended.1 - begun.1 + later;
    let each = |time: Duration| time.as_nanos() / u128::from(iterations(workload));
    println!("{}\t{}", each(total), each(own));
    Ok(())
}

fn now() -> Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?))
}

fn warm_up(workload: Workload) -> u32 {
    iterations(workload) / 10
}

fn iterations(workload: Workload) -> u32 {
    match workload {
        Workload::Getpid | Workload::Stat | Workload::Pipe => 10_000,
        Workload::Open => 5_000,
        Workload::Connect => 1_000,
        Workload::Exec => 200,
    }
}
