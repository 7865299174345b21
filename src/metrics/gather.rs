//! From everything that counts to one list of numbers. Each family of them is in a file of its own.

mod capture;
mod kernel;
mod outputs;
mod resources;
mod rules;
mod runtime;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanner_capture::{SourceStats, now};
use lanner_engine::{Alert, RuleCounts, RulesFile, Settings};
use lanner_nri::{ContainerTable, Status};
use lanner_outputs::{AlertSender, LossReason, OutputReport, Reporter};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::prometheus;
use super::sample::{
    Kind::{Counter, Gauge},
    Sample, Samples,
    Value::Whole,
};
use super::{Board, Look};
use crate::config::{Config, Metrics};
use crate::load;
use crate::reload::Reloads;
use crate::version;

pub(super) use kernel::{dropped, seen};

/// What the configuration and the rules in force are, as numbers show them.
#[derive(Debug, Clone)]
pub(crate) struct InForce {
    /// The form of alerts, and the host's name in them.
    pub(crate) settings: Settings,
    /// Names and SHA-256 of the files.
    pub(crate) rules_files: Vec<(String, String)>,
    pub(crate) config_files: Vec<(String, String)>,
    pub(crate) metrics: Metrics,
}

impl InForce {
    /// Reads the files of the configuration once more.
    pub(crate) fn new(config: &Config, rules: &[RulesFile]) -> InForce {
        let read = |path: &Path| {
            Some((
                file_name(&path.to_string_lossy()),
                sha256(&std::fs::read(path).ok()?),
            ))
        };
        InForce {
            settings: load::settings(config),
            rules_files: rules
                .iter()
                .map(|file| (file_name(&file.name), sha256(file.text.as_bytes())))
                .collect(),
            config_files: config
                .schema
                .iter()
                .filter_map(|verdict| read(&verdict.file))
                .collect(),
            metrics: config.metrics.clone(),
        }
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Everything that counts.
#[derive(Debug)]
pub(crate) struct Instruments {
    pub(crate) board: Arc<Board>,
    /// What the outputs say, and where Lanner's own alerts go.
    pub(crate) outputs: Mutex<(Reporter, AlertSender)>,
    pub(crate) reloads: Arc<Reloads>,
    pub(crate) table: Arc<ContainerTable>,
    pub(crate) status: Arc<Status>,
    pub(crate) kernel: String,
    pub(crate) cpus: usize,
    /// Nanoseconds since the epoch.
    pub(crate) started: u64,
    pub(crate) in_force: Mutex<Arc<InForce>>,
}

/// All of it at one moment.
pub(super) struct Moment {
    pub(super) look: Arc<Look>,
    /// How long ago the event thread said what is in the look.
    age: Option<Duration>,
    pub(super) in_force: Arc<InForce>,
    pub(super) outputs: Vec<OutputReport>,
    /// Nanoseconds since the epoch.
    pub(super) time: u64,
}

impl Instruments {
    /// Takes over what another configuration and other rules are.
    pub(crate) fn set_in_force(&self, in_force: InForce) {
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(in_force);
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn outputs(&self) -> (Reporter, AlertSender) {
        self.outputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes over other outputs.
    pub(crate) fn set_outputs(&self, reporter: Reporter, alerts: AlertSender) {
        *self.outputs.lock().unwrap_or_else(PoisonError::into_inner) = (reporter, alerts);
    }

    /// Sends an alert of Lanner's own.
    pub(crate) fn alert(&self, alert: Alert) {
        let (_, alerts) = &*self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        alerts.send(alert);
    }

    pub(super) fn moment(&self) -> Moment {
        let (look, age) = self.board.look();
        Moment {
            look,
            age,
            in_force: self.in_force(),
            outputs: self.outputs().0.report(),
            time: since_epoch(),
        }
    }

    /// Whether the configuration in force wants numbers to be had.
    pub(crate) fn metrics_enabled(&self) -> bool {
        self.in_force().metrics.enabled
    }

    /// What Prometheus reads. Blocks for a moment.
    pub(crate) fn prometheus(&self) -> String {
        let moment = self.moment();
        let mut samples = self.falco(&moment);
        self.own(&moment, &mut samples);
        prometheus::text(&samples.0)
    }

    /// What `lanner status` shows, beside who it is. Blocks for a moment.
    pub(crate) fn status(&self) -> serde_json::Value {
        let moment = self.moment();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (stats, look) = (&moment.look.stats, &moment.look);
        let rule = |rule: &RuleCounts| {
            json!({
                "rule": &*rule.name,
                "priority": rule.priority.word(),
                "matches": rule.matches,
                "undecided": rule.undecided,
                "evaluations": rule.evaluations,
                "timed_evaluations": rule.timed,
                "timed_ns": u64::try_from(rule.time.as_nanos()).unwrap_or(u64::MAX),
            })
        };
        let source = |source: &SourceStats| {
            let counts = source
                .counts
                .iter()
                .map(|(what, count)| ((*what).to_owned(), json!(count)));
            let mut object: serde_json::Map<String, serde_json::Value> = counts.collect();
            object.insert("source".into(), source.source.name().into());
            serde_json::Value::Object(object)
        };
        let output = |output: &OutputReport| {
            json!({
                "output": output.kind.name(),
                "delivered": output.delivered,
                "lost": output.lost_total(),
                "queued": output.queued,
                "text": output.to_string(),
            })
        };
        json!({
            "capture": look.plan.as_ref().map(ToString::to_string),
            "silence_ms": self.board.silence().map(ms),
            "counted_ms_ago": moment.age.map(ms),
            "events": { "read": stats.total(), "lost": dropped(stats), "processes": stats.processes },
            "sources": stats.sources.iter().map(source).collect::<Vec<_>>(),
            "rules": look.rules.iter().map(rule).collect::<Vec<_>>(),
            "outputs": moment.outputs.iter().map(output).collect::<Vec<_>>(),
            "reloads": {
                "done": self.reloads.done.load(Ordering::Relaxed),
                "failed": self.reloads.failed.load(Ordering::Relaxed),
            },
        })
    }

    /// The numbers that Falco has too.
    pub(super) fn falco(&self, moment: &Moment) -> Samples {
        let mut all = Samples::default();
        self.base(moment, &mut all);
        let wanted = &moment.in_force.metrics;
        if wanted.rules {
            rules::matches(&moment.look.rules, &mut all);
        }
        if wanted.resources {
            resources::usage(wanted.memory_in_mb, &mut all);
        }
        if wanted.state {
            kernel::state(&moment.look.stats, &mut all);
        }
        if wanted.kernel_events {
            kernel::events(&moment.look.stats, &mut all);
        }
        if wanted.kernel_events && wanted.kernel_events_per_cpu {
            kernel::per_cpu(&moment.look.stats, &mut all);
        }
        if wanted.libbpf {
            kernel::libbpf(&moment.look.stats, &mut all);
        }
        all
    }

    fn base(&self, moment: &Moment, all: &mut Samples) {
        let in_force = &moment.in_force;
        all.info(
            "falcosecurity_falco_version_info",
            "falco.version",
            "version",
            version::FALCO,
        );
        for (metric, field, files) in [
            (
                "falcosecurity_falco_sha256_rules_files_info",
                "falco.sha256_rules_file",
                &in_force.rules_files,
            ),
            (
                "falcosecurity_falco_sha256_config_files_info",
                "falco.sha256_config_file",
                &in_force.config_files,
            ),
        ] {
            for (name, sha256) in files {
                let sample = all.info(
                    metric,
                    &format!("{field}.{}", underscored(name)),
                    "sha256",
                    sha256,
                );
                sample.labels.insert(0, ("file_name".to_owned(), name.clone()));
            }
        }
        all.info(
            "falcosecurity_scap_engine_name_info",
            "scap.engine_name",
            "engine_name",
            "modern_bpf",
        )
        .labels
        .push(("evt_source".to_owned(), "syscall".to_owned()));
        all.info(
            "falcosecurity_falco_kernel_release_info",
            "falco.kernel_release",
            "kernel_release",
            &self.kernel,
        );
        all.info(
            "falcosecurity_evt_hostname_info",
            "evt.hostname",
            "hostname",
            &in_force.settings.hostname,
        );
        let full: u64 = moment
            .outputs
            .iter()
            .map(|output| outputs::lost(output, LossReason::QueueFull))
            .sum();
        let boot = moment.time.saturating_sub(now());
        for (metric, field, kind, value) in [
            (
                "falcosecurity_falco_outputs_queue_num_drops_total",
                "falco.outputs_queue_num_drops",
                Counter,
                full,
            ),
            (
                "falcosecurity_falco_reload_timestamp_nanoseconds",
                "falco.reload_ts",
                Gauge,
                self.reloads.last.load(Ordering::Relaxed),
            ),
            (
                "falcosecurity_falco_start_timestamp_nanoseconds",
                "falco.start_ts",
                Gauge,
                self.started,
            ),
            (
                "falcosecurity_falco_duration_seconds_total",
                "falco.duration_sec",
                Counter,
                moment.time.saturating_sub(self.started) / 1_000_000_000,
            ),
            (
                "falcosecurity_falco_host_boot_timestamp_nanoseconds",
                "falco.host_boot_ts",
                Gauge,
                boot,
            ),
            (
                "falcosecurity_falco_host_num_cpus_total",
                "falco.host_num_cpus",
                Gauge,
                self.cpus as u64,
            ),
        ] {
            all.falco(metric, field, kind, Whole(value)).always = true;
        }
    }

    /// The numbers that Lanner alone has.
    fn own(&self, moment: &Moment, all: &mut Samples) {
        let look = &moment.look;
        if let Some(silence) = self.board.silence() {
            all.own(
                "lanner_event_thread_silence_milliseconds",
                "Time since the event thread read the ring.",
                Gauge,
                u64::try_from(silence.as_millis()).unwrap_or(u64::MAX),
                &[],
            );
        }
        capture::plan(look, all);
        capture::events(&look.stats, all);
        capture::processes(&look.stats, all);
        rules::costs(&look.rules, all);
        outputs::delivery(&moment.outputs, all);
        for (result, count) in [("done", &self.reloads.done), ("failed", &self.reloads.failed)] {
            let help = "Times that configuration and rules were read again.";
            let count = count.load(Ordering::Relaxed);
            all.own(
                "lanner_reloads_total",
                help,
                Counter,
                count,
                &[("result", result)],
            );
        }
        let known = self.table.snapshot().all().count() as u64;
        all.own(
            "lanner_containers",
            "Containers and pods that are known.",
            Gauge,
            known,
            &[],
        );
        runtime::told(&self.status.snapshot(), all);
    }
}

fn since_epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// A name as snapshots have it: letters, digits and `_`.
fn underscored(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c.is_ascii_alphanumeric() {
            true => out.push(c),
            false if out.ends_with('_') => {}
            false => out.push('_'),
        }
    }
    out
}

/// A sample as snapshots show it, if they do.
pub(super) fn is_in_snapshot(sample: &Sample, wanted: &Metrics) -> bool {
    sample.field.is_some() && (sample.always || wanted.empty_values || !sample.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_documented() {
        let page = include_str!("../../docs/operations.md");
        let families = [
            include_str!("gather.rs"),
            include_str!("gather/capture.rs"),
            include_str!("gather/kernel.rs"),
            include_str!("gather/outputs.rs"),
            include_str!("gather/resources.rs"),
            include_str!("gather/rules.rs"),
            include_str!("gather/runtime.rs"),
        ];
        let quoted = families
            .iter()
            .flat_map(|text| text.split('"'))
            .filter(|text| text.starts_with("lanner_") || text.starts_with("falcosecurity_"));
        let names: std::collections::BTreeSet<&str> = quoted
            .filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
            // Not those above.
            .filter(|name| !name.ends_with('_'))
            .collect();
        assert!(names.len() > 75, "{names:?}");
        for name in names {
            assert!(
                page.contains(&format!("`{name}`")),
                "{name} is not in docs/operations.md"
            );
        }
    }

    #[test]
    fn names_of_rules_and_files_are_falcos() {
        assert_eq!(
            underscored("PTRACE anti-debug attempt"),
            "PTRACE_anti_debug_attempt"
        );
        assert_eq!(underscored("falco_rules.yaml"), "falco_rules_yaml");
        assert_eq!(underscored("a - (b)"), "a_b_");
        assert_eq!(file_name("/etc/lanner/a.yaml"), "a.yaml");
        assert_eq!(
            sha256(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
