//! What an event costs, measured on a recording: taking it apart, keeping the state, judging it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use lanner_capture::{End, Replay};
use lanner_engine::RulesFile;

use super::open;
use crate::config::Config;
use crate::log;

/// How often the recording is gone through; the fastest counts, as the one that was disturbed least.
const ROUNDS: usize = 5;

pub(super) fn bench(file: &Path, mut config: Config, rules: &[RulesFile]) -> anyhow::Result<ExitCode> {
    let stop = AtomicBool::new(false);
    let (mut ruleset, mut alerts, mut shown) = (open(file, &mut config, rules)?.1, 0u64, 0u64);
    let mut records = 0;
    let mut whole = true;
    let [mut decode, mut enrich, mut judge] = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        let mut replay = Replay::open(file, &config.capture)?;
        let started = Instant::now();
        records = replay.run_decoding()?;
        decode = decode.min(started.elapsed());

        let mut replay = Replay::open(file, &config.capture)?;
        shown = 0;
        let started = Instant::now();
        let end = replay.run(&stop, &mut |_| shown += 1)?;
        enrich = enrich.min(started.elapsed());
        whole &= end == End::Whole;

        let mut replay = Replay::open(file, &config.capture)?;
        alerts = 0;
        let started = Instant::now();
        replay.run(&stop, &mut |event| {
            ruleset.evaluate(event, &mut |alert| {
                std::hint::black_box(&alert);
                alerts += 1;
            });
        })?;
        judge = judge.min(started.elapsed());
    }
    if records == 0 {
        anyhow::bail!("{} has no events to measure with", file.display());
    }
    let each = |time: Duration| time.as_nanos() as f64 / records as f64;
    let rows = [
        ("decode", each(decode), "reading, checksums, taking records apart"),
        (
            "enrich",
            each(enrich) - each(decode),
            "processes, paths, descriptors, users, containers",
        ),
        (
            "rules",
            each(judge) - each(enrich),
            "conditions, and the text of alerts",
        ),
        ("all", each(judge), ""),
    ];
    let running = ruleset.rules().filter(|rule| rule.runs()).count();
    let mut text = format!(
        "{records} records, {shown} events for rules, {running} rules, {alerts} alerts; ns a record, best of {ROUNDS}\n"
    );
    for (name, nanoseconds, what) in rows {
        text.push_str(&format!("  {name:<8} {nanoseconds:>8.1}   {what}\n"));
    }
    if !whole {
        text.push_str("  (the recording is cut)\n");
    }
    log::out(&text);
    Ok(ExitCode::SUCCESS)
}
