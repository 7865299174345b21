//! What Lanner adds to a container's start: a real containerd, pairs of starts without and with it.
//!
//! `cargo bench --bench starts [-- --rounds N]`. Needs root, and a machine where nothing else runs. In a round the same
//! containers are started without Lanner and then with it; the figure is the median of the differences between the medians of
//! a round's two halves, so that slow drifts of the machine cancel. The order changes from round to round.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::containerd::{BUSYBOX, Containerd, Run};
use support::lanner::{self, Lanner};

/// Containers that are started in each half of a round.
const STARTS: usize = 10;

/// Milliseconds, by the name of a thread.
type Spent = BTreeMap<String, f64>;

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Milliseconds from asking for a container to its having started.
fn starts(containerd: &Containerd, name: &str) -> f64 {
    let pod = containerd.pod("bench", name);
    let mut times: Vec<f64> = (0..STARTS)
        .map(|number| {
            let name = format!("one-{number}");
            let began = Instant::now();
            containerd.run(&pod, Run::new(&name, BUSYBOX));
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    containerd.remove(&pod);
    median(&mut times)
}

/// The name of each thread, and the milliseconds it has been running.
fn thread_times(lanner: &Lanner) -> BTreeMap<String, (String, f64)> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", lanner.pid())).unwrap();
    let of = |thread: std::fs::DirEntry| {
        let read = |file| std::fs::read_to_string(thread.path().join(file)).ok();
        let time: f64 = read("schedstat")?.split(' ').next()?.parse().ok()?;
        let number = thread.file_name().into_string().ok()?;
        Some((number, (read("comm")?.trim().to_owned(), time / 1e6)))
    };
    threads.flatten().filter_map(of).collect()
}

/// What came of `act` beside a Lanner, what that said of its answers, and the milliseconds its threads ran meanwhile.
fn with_lanner<T>(containerd: &Containerd, act: impl FnOnce() -> T) -> (T, String, Spent) {
    let lanner = Lanner::start(&lanner::options(Some(containerd)));
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    let before = thread_times(&lanner);
    let result = act();
    let mut spent = BTreeMap::new();
    for (thread, (name, time)) in thread_times(&lanner) {
        *spent.entry(name).or_default() += time - before.get(&thread).map_or(0.0, |(_, before)| *before);
    }
    let log = lanner.stop().stderr;
    let replies = log
        .lines()
        .filter(|line| line.contains("answered:"))
        .map(|line| line.trim().to_owned())
        .collect::<Vec<_>>()
        .join("; ");
    (result, replies, spent)
}

fn main() {
    if let Some(reason) = lanner::impossible() {
        return support::skip(&reason);
    }
    let arguments: Vec<String> = std::env::args().collect();
    let rounds: usize = arguments
        .iter()
        .position(|argument| argument == "--rounds")
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(10);
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return support::skip(&reason),
    };
    starts(&containerd, "warm");
    let mut differences = Vec::new();
    let (mut bare, mut watched) = (Vec::new(), Vec::new());
    let mut last = String::new();
    for round in 0..rounds {
        let without = |name: String| starts(&containerd, &name);
        let with = |name: String| with_lanner(&containerd, || starts(&containerd, &name));
        let (off, (on, replies, spent)) = match round % 2 {
            0 => (without(format!("off-{round}")), with(format!("on-{round}"))),
            _ => {
                let on = with(format!("on-{round}"));
                (without(format!("off-{round}")), on)
            }
        };
        println!("round {round}: {off:.2} ms without, {on:.2} ms with Lanner ({replies})");
        let each = |(thread, time): (&String, &f64)| format!("{thread} {:.2}", time / STARTS as f64);
        let each: Vec<String> = spent.iter().map(each).collect();
        println!("  its threads ran, ms per start: {}", each.join(", "));
        differences.push(on - off);
        bare.push(off);
        watched.push(on);
        last = replies;
        std::thread::sleep(Duration::from_millis(200));
    }
    println!(
        "a container starts in {:.2} ms without and {:.2} ms with Lanner: {:+.2} ms in the median of {rounds} pairs of {STARTS}",
        median(&mut bare),
        median(&mut watched),
        median(&mut differences),
    );
    println!("the last Lanner: {last}");
}
