//! What runs in a counted guest: every workload bare, then watched by each observer that the arguments name, as
//! `-- NAME COMMAND [ARGUMENT...]`, one after the other. An instruction takes a nanosecond there, so times are counts.
//!
//! Prints `measured NAME WORKLOAD TOTAL OWN` per workload, with tabs between: instructions of the whole machine per
//! iteration and, of those, the observer's own. `measured NAME start TOTAL OWN` is what its start took, and `refused NAME REASON`
//! an observer that did not come to watch.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::time::{ClockId, clock_gettime};
use xtask::observer::Observer;
use xtask::workload::{ALL, Workload};

/// How long the observer is given to come to rest. A guest where nothing is to be done passes over it at once.
const REST: Duration = Duration::from_secs(1);
const FILE: &str = "/tmp/measured-file";
const PROGRAM: &str = "/bin/busybox";

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("measure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::fs::write(FILE, "x").context("write the file that is opened")?;
    run_all("bare", None)?;
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
        run_all(name, Some(&observer))?;
        observer.stop()?;
        sleep(REST);
    }
    Ok(())
}

fn run_all(name: &str, observer: Option<&Observer>) -> Result<()> {
    for workload in ALL {
        let count = count(workload);
        let run = |count| workload.run(count, Path::new(FILE), Path::new(PROGRAM));
        let cpu = || observer.map_or(Ok(Duration::ZERO), Observer::cpu);
        // Everything it touches is in its caches then, the observer's too.
        run(count / 10 + 1).with_context(|| workload.name())?;
        sleep(REST);
        let before = cpu()?;
        sleep(REST);
        let begun = (now()?, cpu()?);
        run(count).with_context(|| workload.name())?;
        let ended = (now()?, cpu()?);
        sleep(REST);
        let idle = begun.1 - before;
        // What it still had to do of the work, without what it does in as much time anyway.
        let later = (cpu()? - ended.1).saturating_sub(idle);
        let total = ended.0 - begun.0 + later;
        let own = ended.1 - begun.1 + later;
        let each = |time: Duration| time.as_nanos() / u128::from(count);
        println!(
            "measured\t{name}\t{}\t{}\t{}",
            workload.name(),
            each(total),
            each(own)
        );
    }
    Ok(())
}

fn now() -> Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?))
}

fn count(workload: Workload) -> u32 {
    match workload {
        Workload::Getpid | Workload::Stat | Workload::Pipe => 10_000,
        Workload::Open => 5_000,
        Workload::Connect => 1_000,
        Workload::Exec => 200,
    }
}
