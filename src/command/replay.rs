//! `lanner replay`: the rules over a recording instead of this host.

mod bench;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use lanner_capture::{End, Replay, ReplayCounts};
use lanner_engine::{RulesFile, Ruleset};
use lanner_outputs::{OutputReport, Outputs};
use lanner_schema::event::Needs;
use tokio::signal::unix::{SignalKind, signal};

use super::rules_options::RulesOptions;
use crate::config::Config;
use crate::tally::Tally;
use crate::{exit_report, load};

/// How long alerts that are queued may take to reach their outputs at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Goes through a recording of lanner record as if it happened now: the same alerts, without root, as fast as can be
///
/// Rules, configuration and outputs are those of Lanner itself. Exit code: 0 when the recording was gone through to its end or
/// to where it is cut (which is said), 1 when it is damaged or can't be replayed, or when rules or configuration are wrong.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct ReplayCommand {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    from: RulesOptions,

    /// Writes every alert at once, whatever buffered_outputs says
    #[arg(short = 'U', long = "unbuffered")]
    unbuffered: bool,

    /// Measures instead: goes through the recording several times, without outputs, and prints what an event costs
    #[arg(long)]
    bench: bool,
}

impl ReplayCommand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut config = self.from.configure()?;
        if self.unbuffered {
            config.outputs.buffered = false;
        }
        let files = self.from.files(&config)?;
        if self.bench {
            return bench::bench(&self.file, config, &files);
        }
        replay(&self.file, config, &files)
    }
}

/// Opens a recording, and loads the rules as they would be on the host it is of.
fn open(file: &Path, config: &mut Config, rules: &[RulesFile]) -> anyhow::Result<(Replay, Ruleset)> {
    let opened = Replay::open(file, &config.capture);
    let replay = opened.with_context(|| format!("cannot replay {}", file.display()))?;
    let hostname = &replay.facts().hostname;
    lanner_engine::field::set_hostname(hostname);
    config.hostname = Some(hostname.clone());
    let ruleset = load::load(rules, config)?;
    Ok((replay, ruleset))
}

/// Replays a recording to the outputs.
///
/// # Errors
/// When it can't be replayed, or not to its end.
pub(crate) fn replay(file: &Path, mut config: Config, rules: &[RulesFile]) -> anyhow::Result<ExitCode> {
    let (mut replay, mut ruleset) = open(file, &mut config, rules)?;
    for text in lacks(&replay, ruleset.needs()) {
        tracing::warn!("{text}");
    }
    let facts = replay.facts();
    tracing::info!(
        "replaying {}: recorded on {} ({}, Linux {}) by Lanner {}",
        file.display(),
        facts.hostname,
        facts.arch,
        facts.kernel,
        facts.lanner
    );
    let outputs = Outputs::start(&config.outputs)?;
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signals(Arc::clone(&stop))?;
    let sender = outputs.sender();
    let mut tally = Tally::default();
    let mut times = Times::default();
    let started = Instant::now();
    let end = replay.run(&stop, &mut |event| {
        times.see(event.time);
        ruleset.evaluate(event, &mut |alert| {
            tally.add(&alert);
            sender.send_waiting(alert);
        });
    });
    let took = started.elapsed();
    let outputs = outputs.shutdown(DRAIN);
    let counts = replay.counts();
    let summary = Summary {
        file,
        events: replay.stats().total(),
        took,
        recorded: times.span(),
        end: end.as_ref().ok().copied(),
        counts: &counts,
        outputs: &outputs,
        tally: &tally,
    };
    exit_report::print_texts(summary.text(), tally.falco_lines());
    end.with_context(|| format!("{} was replayed up to there", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// What the rules ask for and the recording does not have.
fn lacks(replay: &Replay, needs: &Needs) -> Vec<String> {
    let mut texts = Vec::new();
    let missing = needs.events.difference(replay.events());
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|event| event.name()).collect();
        texts.push(format!(
            "the recording has no {}: rules about them do not match; record with these rules, or --all",
            names.join(", ")
        ));
    }
    let mut params = Vec::new();
    for event in needs.events.intersection(replay.events()).iter() {
        let read = replay
            .params()
            .iter()
            .find(|(of, _)| *of == event)
            .map_or(0, |(_, read)| *read);
        let asked = needs.params[event as usize] & !read;
        for (index, param) in event.row().params.iter().enumerate() {
            if param.on_demand && asked & 1u32.checked_shl(index as u32).unwrap_or(0) != 0 {
                params.push(format!("{}.{}", event.name(), param.name));
            }
        }
    }
    if !params.is_empty() {
        texts.push(format!(
            "the recording has events without {}, which rules ask for",
            params.join(", ")
        ));
    }
    let (environment, cgroups) = replay.keeps_of_processes();
    for (asked, kept, what) in [
        (needs.environment, environment, "environment"),
        (needs.cgroups, cgroups, "cgroups"),
    ] {
        if asked && !kept {
            texts.push(format!(
                "the recording has no {what} of processes, which rules ask for"
            ));
        }
    }
    if !replay.unknown_events().is_empty() {
        texts.push(format!(
            "the recording has events that this Lanner does not know, which are left out: {}",
            replay.unknown_events().join(", ")
        ));
    }
    texts
}

/// Sets `stop` at SIGINT or SIGTERM.
fn stop_on_signals(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot listen for signals")?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stop.store(true, Ordering::Relaxed);
        });
    };
    thread::Builder::new()
        .name("lanner-signals".into())
        .spawn(wait)
        .context("cannot listen for signals")?;
    Ok(())
}

/// When the first and the last event happened, nanoseconds since the epoch.
#[derive(Debug, Default)]
struct Times(Option<(u64, u64)>);

impl Times {
    fn see(&mut self, time: u64) {
        let (first, last) = self.0.get_or_insert((time, time));
        *first = time.min(*first);
        *last = time.max(*last);
    }

    fn span(&self) -> Duration {
        self.0
            .map_or(Duration::ZERO, |(first, last)| Duration::from_nanos(last - first))
    }
}

/// What is said at the end.
struct Summary<'a> {
    file: &'a Path,
    events: u64,
    took: Duration,
    recorded: Duration,
    /// How it ended; `None` when by an error, which is said besides.
    end: Option<End>,
    counts: &'a ReplayCounts,
    outputs: &'a [OutputReport],
    tally: &'a Tally,
}

/// How many alerts, in words.
fn alerts(count: u64) -> String {
    format!("{count} alert{}", if count == 1 { "" } else { "s" })
}

impl Summary<'_> {
    fn text(&self) -> String {
        let seconds = self.took.as_secs_f64().max(1e-9);
        let mut out = format!(
            "Replayed {} events of {} in {seconds:.2} s ({:.0} a second; they took {:.2} s): {}\n",
            self.events,
            self.file.display(),
            self.events as f64 / seconds,
            self.recorded.as_secs_f64(),
            alerts(self.tally.total()),
        );
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        match self.end {
            Some(End::Cut(at)) => line(format!(
                "The recording is cut at byte {at}, without its end mark: what came after is not there"
            )),
            Some(End::Stopped) => line("Stopped before the end of the recording".into()),
            _ => {}
        }
        let recorder = |name: &str| {
            let counted = self.counts.recorder.iter().find(|(of, _)| of == name);
            counted.map_or(0, |(_, count)| *count)
        };
        for (count, what) in [
            (recorder("lost"), "events were lost when it was recorded"),
            (self.counts.unknown_records, "records of unknown events left out"),
            (self.counts.unknown_items, "items of unknown kinds left out"),
            (self.counts.refused_containers, "containers not remembered"),
            (self.counts.forgotten_answers, "answers not asked for in time"),
        ] {
            if count > 0 {
                line(format!("{count} {what}"));
            }
        }
        line("Alerts by output:".into());
        for output in self.outputs {
            line(format!("  {output}"));
        }
        if self.outputs.is_empty() {
            line("  no output was on".into());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::alerts;

    #[test]
    fn one_alert_is_one() {
        assert_eq!([0, 1, 2].map(alerts), ["0 alerts", "1 alert", "2 alerts"]);
    }
}
