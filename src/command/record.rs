//! `lanner record`: what happens on this host, into a file that `lanner replay` goes through.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::Args;
use lanner_capture::{Facts, Host, Limits, Recorder};
use lanner_engine::Ruleset;
use lanner_outputs::{Journald, Outputs};
use lanner_schema::event::{Event, EventSet, Needs};

use super::rules_options::RulesOptions;
use crate::config::Config;
use crate::watch::{Recording, Task};
use crate::{load, log, run, watch};

/// Records what happens on this host into a file, for lanner replay
///
/// Recorded are the events that the rules need, with what a replay has to know of processes, users and containers. Arguments
/// and environments of programs are in the file, so only its owner may read it. It ends after --duration, at --max-size, or
/// with Ctrl-C. See docs/recordings.md for its format.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Record {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    from: RulesOptions,

    /// Records these events whole, whatever the rules need; see lanner --list-events
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', conflicts_with = "all")]
    events: Vec<String>,

    /// Records every event whole
    #[arg(long)]
    all: bool,

    /// Stops after this time: 90, 90s, 5m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,

    /// Stops before the file is larger: 2000000, 100M, 2G; at least 1M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,

    /// Replaces FILE when it exists
    #[arg(long)]
    force: bool,

    /// Judges events by the rules meanwhile, and sends alerts to the outputs
    #[arg(long)]
    alerts: bool,
}

/// The number before a letter, and what the letter multiplies it by.
fn multiple(text: &str, letters: &[(char, u64)]) -> Option<u64> {
    let (number, factor) = match letters.iter().find(|(letter, _)| text.ends_with(*letter)) {
        Some((letter, factor)) => (text.trim_end_matches(*letter), *factor),
        None => (text, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|n| *n > 0)
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let seconds = multiple(text, &[('s', 1), ('m', 60), ('h', 3600)]);
    // A year is as good as ever, and clocks can add it.
    let limit = Duration::from_secs(365 * 24 * 3600);
    let seconds = seconds.ok_or("not a time: write 90, 90s, 5m or 2h")?;
    Ok(Duration::from_secs(seconds).min(limit))
}

fn size(text: &str) -> Result<u64, &'static str> {
    let bytes = multiple(text, &[('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30)]);
    bytes
        .filter(|bytes| *bytes >= 1 << 20)
        .ok_or("not a size of at least 1M: write 100M or 2G")
}

impl Record {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut config = self.from.configure()?;
        if let Some(message) = &config.unwatchable {
            bail!("{message}");
        }
        let files = self.from.files(&config)?;
        let ruleset = load::load(&files, &config)?;
        let needs = self.needs(&ruleset)?;
        if needs.events.is_empty() {
            bail!("no rule runs, so there is nothing to record: name events with --events, or record --all");
        }
        let host = Host::probe_for(&config.capture);
        let plan = lanner_capture::plan(&host, &needs, &config.capture).context("cannot record this host")?;
        let limits = Limits {
            bytes: self.max_size,
            replace: self.force,
        };
        let recorder = Recorder::create(&self.file, facts(&host, &config), limits)?;
        if !self.alerts {
            silence(&mut config);
        }
        let outputs = Outputs::start(&config.outputs)?;
        let names = files.iter().map(|file| file.name.clone()).collect();
        let mut screen = run::screen(&config, &ruleset, plan.tier.chosen(), names);
        screen.capture = plan.to_string();
        screen.outputs = outputs.choices().to_vec();
        screen.recording = Some(self.subject(plan.shown.len()));
        screen.only_recorded = !self.alerts;
        watch::watch(Task {
            config: &config,
            side: None,
            plan,
            ruleset,
            outputs,
            pidfile: None,
            screen,
            limit: self.duration,
            rules_files: files,
            host,
            again: None,
            recording: Some(Recording {
                recorder,
                file: self.file.clone(),
                alerts: self.alerts,
            }),
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// What is recorded, for the first screen.
    fn subject(&self, events: usize) -> String {
        let what = match (self.all, self.events.is_empty()) {
            (true, _) => "every event",
            (false, false) => "the events of --events",
            (false, true) => "what the rules need",
        };
        format!("{}: {what}, {events} event types", self.file.display())
    }

    fn needs(&self, ruleset: &Ruleset) -> anyhow::Result<Needs> {
        if !self.all && self.events.is_empty() {
            // Other rules may be shown the recording: of an event type it has every call.
            return Ok(Needs {
                classes: Needs::default().classes,
                names: Needs::default().names,
                ..ruleset.needs().clone()
            });
        }
        let mut events = EventSet::NONE;
        for name in &self.events {
            let event =
                Event::from_name(name).filter(|event| event.row().is_kernel() || event.row().is_meta());
            let Some(event) = event else {
                bail!("--events: no event that is captured is called {name:?}; see lanner --list-events");
            };
            events.insert(event);
        }
        let mut unnamed_io = EventSet::NONE;
        if self.all {
            // As for rules: reads and writes when they are named, or with base_syscalls.all.
            unnamed_io = EventSet::IO.difference(events);
            events = EventSet::all().difference(unnamed_io);
        }
        let mut needs = Needs {
            events,
            unnamed_io,
            environment: true,
            cgroups: true,
            task_state: true,
            ..Needs::default()
        };
        for event in events.union(unnamed_io).iter() {
            needs.params[event as usize] = u32::MAX;
            needs.task[event as usize] = u32::MAX;
        }
        if self.alerts {
            // Rules that alert meanwhile see what they need.
            needs.join(ruleset.needs());
        }
        Ok(needs)
    }
}

/// Turns every output off.
fn silence(config: &mut Config) {
    config.outputs.stdout = false;
    config.outputs.syslog = false;
    config.outputs.journald = Journald::Off;
    config.outputs.file = None;
}

fn facts(host: &Host, config: &Config) -> Facts {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Facts {
        lanner: env!("CARGO_PKG_VERSION").into(),
        hostname: load::settings(config).hostname,
        kernel: host.kernel.clone(),
        arch: std::env::consts::ARCH.into(),
        cpus: host.cpus as u64,
        started: u64::try_from(now.as_nanos()).unwrap_or(0),
    }
}

/// What is said when a recording ends.
pub(crate) fn summary(
    file: &Path,
    written: lanner_capture::Written,
    stats: &lanner_capture::Stats,
) -> String {
    let mut text = format!(
        "Recorded {} events, {} in {}",
        written.records,
        bytes(written.bytes),
        file.display()
    );
    if stats.lost() > 0 || stats.gaps > 0 {
        text.push_str(&format!("; {} events were lost", stats.lost().max(stats.gaps)));
    }
    text.push('\n');
    text
}

/// A size for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// Shows how far a recording is, on a terminal.
pub(crate) fn show_progress(recorder: &Recorder) {
    let written = recorder.written();
    log::err(&format!(
        "\r  {} events, {}   ",
        written.records,
        bytes(written.bytes)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("5m").unwrap(), Duration::from_secs(300));
        assert!(duration("0").is_err() && duration("5d").is_err() && duration("").is_err());
        assert!(duration("99999999999999999999h").is_err());
        assert_eq!(size("100M").unwrap(), 100 << 20);
        assert!(size("1K").is_err() && size("-1M").is_err());
        assert_eq!(bytes(10), "10 bytes");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
    }
}
