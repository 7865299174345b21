//! From everything that counts to one list of numbers.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lanner_capture::{SourceStats, Stats, now};
use lanner_engine::{Alert, RuleCounts, RulesFile, Settings};
use lanner_nri::{ContainerTable, State, Status, StatusSnapshot};
use lanner_outputs::{AlertSender, LossReason, OutputReport, Reporter};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::prometheus;
use super::resources::Resources;
use super::sample::{Kind, Sample, Samples, Value as Number};
use super::{Board, Look};
use crate::config::{Config, Metrics};
use crate::drop_monitor;
use crate::load;
use crate::reload::Reloads;
use crate::version;

use Kind::{Counter, Gauge};
use Number::{Real, Whole};

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
        Moment {
            look: self.board.look(),
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
            "silence_ms": self.board.silence().and_then(|silence| u64::try_from(silence.as_millis()).ok()),
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
            rules(&moment.look.rules, &mut all);
        }
        if wanted.resources {
            resources(wanted.memory_in_mb, &mut all);
        }
        if wanted.state {
            state(&moment.look.stats, &mut all);
        }
        if wanted.kernel_events {
            kernel_events(&moment.look.stats, &mut all);
        }
        if wanted.kernel_events && wanted.kernel_events_per_cpu {
            per_cpu(&moment.look.stats, &mut all);
        }
        if wanted.libbpf {
            libbpf(&moment.look.stats, &mut all);
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
            .map(|output| lost(output, LossReason::QueueFull))
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
        plan(look, all);
        events(&look.stats, all);
        processes(&look.stats, all);
        rule_costs(&look.rules, all);
        outputs(&moment.outputs, all);
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
        runtime(&self.status.snapshot(), all);
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

fn lost(output: &OutputReport, why: LossReason) -> u64 {
    let lost = output.lost.iter().filter(|(reason, _)| *reason == why);
    lost.map(|(_, count)| count).sum()
}

fn rules(rules: &[RuleCounts], all: &mut Samples) {
    let total = rules.iter().map(|rule| rule.matches).sum();
    all.field("falco.rules.matches_total", Whole(total)).always = true;
    for rule in rules {
        let field = format!("falco.rules.{}", underscored(&rule.name));
        let sample = all.falco(
            "falcosecurity_falco_rules_matches_total",
            &field,
            Counter,
            Whole(rule.matches),
        );
        // Falco gives Prometheus those only that have matched.
        if rule.matches == 0 {
            sample.metric = None;
            continue;
        }
        sample.labels = vec![
            ("priority".to_owned(), rule.priority.severity().to_string()),
            ("rule_name".to_owned(), rule.name.to_string()),
            ("source".to_owned(), rule.source.to_string()),
        ];
        let tag = |tag: &String| (format!("tag_{tag}"), "true".to_owned());
        sample.labels.extend(rule.tags.iter().map(tag));
    }
}

#[allow(clippy::cast_precision_loss)] // shown with one digit
fn resources(in_mb: bool, all: &mut Samples) {
    let used = Resources::read();
    for (metric, field, ratio) in [
        (
            "falcosecurity_falco_cpu_usage_ratio",
            "falco.cpu_usage_perc",
            used.cpu_ratio,
        ),
        (
            "falcosecurity_falco_host_cpu_usage_ratio",
            "falco.host_cpu_usage_perc",
            used.host_cpu_ratio,
        ),
    ] {
        all.falco(metric, field, Gauge, Real(ratio)).field = None;
        all.field(field, Real(tenths(ratio * 100.0)));
    }
    for (metric, field, bytes, unit) in [
        (
            "falcosecurity_falco_memory_rss_bytes",
            "falco.memory_rss",
            used.rss,
            "kb",
        ),
        (
            "falcosecurity_falco_memory_vsz_bytes",
            "falco.memory_vsz",
            used.vsz,
            "kb",
        ),
        (
            "falcosecurity_falco_memory_pss_bytes",
            "falco.memory_pss",
            used.pss,
            "kb",
        ),
        (
            "falcosecurity_falco_container_memory_used_bytes",
            "falco.container_memory_used",
            used.container_memory,
            "bytes",
        ),
        (
            "falcosecurity_falco_host_memory_used_bytes",
            "falco.host_memory_used",
            used.host_memory,
            "kb",
        ),
    ] {
        all.falco(metric, field, Gauge, Real(bytes as f64)).field = None;
        match (in_mb, unit) {
            (true, _) => all.field(
                &format!("{field}_mb"),
                Real(tenths(bytes as f64 / (1024.0 * 1024.0))),
            ),
            (false, "kb") => all.field(&format!("{field}_kb"), Whole(bytes / 1024)),
            (false, _) => all.field(&format!("{field}_bytes"), Whole(bytes)),
        };
    }
    for (metric, field, value) in [
        (
            "falcosecurity_falco_host_procs_running_total",
            "falco.host_procs_running",
            used.host_running,
        ),
        (
            "falcosecurity_falco_host_open_fds_total",
            "falco.host_open_fds",
            used.host_open_fds,
        ),
    ] {
        all.falco(metric, field, Gauge, Whole(value));
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// What exists here of Falco's state: there is one table, of processes, and no cache of descriptors.
fn state(stats: &Stats, all: &mut Samples) {
    for (metric, field, kind, value) in [
        (
            "falcosecurity_scap_n_threads_total",
            "scap.n_threads",
            Gauge,
            stats.processes as u64,
        ),
        (
            "falcosecurity_scap_n_noncached_thread_lookups_total",
            "scap.n_noncached_thread_lookups",
            Counter,
            stats.repaired,
        ),
        (
            "falcosecurity_scap_n_failed_thread_lookups_total",
            "scap.n_failed_thread_lookups",
            Counter,
            stats.unknown_processes,
        ),
        (
            "falcosecurity_scap_n_drops_full_threadtable_total",
            "scap.n_drops_full_threadtable",
            Counter,
            stats.evicted_processes,
        ),
    ] {
        all.falco(metric, field, kind, Whole(value));
    }
}

/// Events the programs recorded or would have, as Falco counts them.
pub(super) fn seen(stats: &Stats) -> u64 {
    stats.total() + dropped(stats)
}

/// Events that were lost.
pub(super) fn dropped(stats: &Stats) -> u64 {
    stats.lost() + refused(stats) + overflown(stats)
}

/// Events that the kernel dropped before a source without BPF could read them.
fn overflown(stats: &Stats) -> u64 {
    let counts = stats.sources.iter().flat_map(|source| &source.counts);
    let of = counts.filter(|(name, _)| *name == "overflow");
    of.map(|(_, count)| count).sum()
}

fn refused(stats: &Stats) -> u64 {
    stats.recursion_misses.iter().map(|(_, count)| count).sum()
}

fn kernel_events(stats: &Stats, all: &mut Samples) {
    let of = |wanted: &dyn Fn(&str, &str) -> bool| -> u64 {
        let drops = stats.drops.iter();
        drops
            .filter(|(event, reason, _)| wanted(event.name(), reason))
            .map(|(.., count)| count)
            .sum()
    };
    all.falco(
        "falcosecurity_scap_n_evts_total",
        "scap.n_evts",
        Counter,
        Whole(seen(stats)),
    );
    let is_full = |reason: &str| matches!(reason, "ring_full" | "queue_full");
    let full = of(&|_, reason| is_full(reason)) + overflown(stats);
    all.field("scap.n_drops_buffer_total", Whole(full));
    for (group, events) in drop_monitor::GROUPS {
        // Only returns of calls are recorded; the series of their beginnings is there for dashboards.
        for dir in ["enter", "exit"] {
            if dir == "enter" && matches!(group, "close" | "proc") {
                continue;
            }
            let count = match dir {
                "exit" => of(&|event, reason| is_full(reason) && events.contains(&event)),
                _ => 0,
            };
            let field = format!("scap.n_drops_buffer_{group}_{dir}");
            let metric = "falcosecurity_scap_n_drops_buffer_total";
            all.falco(metric, &field, Counter, Whole(count)).labels = vec![
                ("dir".to_owned(), dir.to_owned()),
                ("drop".to_owned(), group.to_owned()),
            ];
        }
    }
    for (metric, field, value) in [
        (
            "falcosecurity_scap_n_drops_scratch_map_total",
            "scap.n_drops_scratch_map",
            of(&|_, reason| reason == "scratch_overwritten"),
        ),
        (
            "falcosecurity_scap_n_drops_page_faults_total",
            "scap.n_drops_page_faults",
            0,
        ),
        (
            "falcosecurity_scap_n_drops_bug_total",
            "scap.n_drops_bug",
            refused(stats),
        ),
        ("falcosecurity_scap_n_drops_total", "scap.n_drops", dropped(stats)),
    ] {
        all.falco(metric, field, Counter, Whole(value));
    }
}

fn per_cpu(stats: &Stats, all: &mut Samples) {
    for (cpu, (begun, lost)) in stats.cpus.iter().enumerate() {
        for (metric, field, value) in [
            (
                "falcosecurity_scap_n_evts_cpu_total",
                format!("scap.n_evts_cpu_{cpu}"),
                begun,
            ),
            (
                "falcosecurity_scap_n_drops_cpu_total",
                format!("scap.n_drops_cpu_{cpu}"),
                lost,
            ),
        ] {
            all.falco(metric, &field, Counter, Whole(*value)).labels =
                vec![("cpu".to_owned(), cpu.to_string())];
        }
    }
}

/// Falco has a name per program; so many are made here that the program is a label, and snapshots have Falco's names.
fn libbpf(stats: &Stats, all: &mut Samples) {
    for (program, runs, time) in stats.program_runs.iter().filter(|(_, runs, _)| *runs > 0) {
        let name = underscored(program);
        let average = time.checked_div(*runs).unwrap_or(0);
        all.field(&format!("scap.{name}.run_cnt"), Whole(*runs));
        all.field(&format!("scap.{name}.run_time_ns"), Whole(*time));
        all.field(&format!("scap.{name}.avg_time_ns"), Whole(average));
        let labels = [("program", program.as_str())];
        let (runs_help, time_help) = (
            "Runs of a BPF program (kernel.bpf_stats_enabled).",
            "Time a BPF program ran (kernel.bpf_stats_enabled).",
        );
        all.own("lanner_program_runs_total", runs_help, Counter, *runs, &labels);
        all.own(
            "lanner_program_run_time_nanoseconds_total",
            time_help,
            Counter,
            *time,
            &labels,
        );
    }
}

fn plan(look: &Look, all: &mut Samples) {
    let Some(plan) = &look.plan else { return };
    let tier = plan.tier.to_string();
    all.own(
        "lanner_plan_info",
        "The plan of capture in force.",
        Gauge,
        1,
        &[("tier", &tier)],
    );
    for (of, count) in [("rules", plan.shown.len()), ("state", plan.captured.len())] {
        let help = "Types of events that are captured, for rules and for the state of processes too.";
        all.own(
            "lanner_plan_event_types",
            help,
            Gauge,
            count as u64,
            &[("for", of)],
        );
    }
    let help = "Size of the ring between the kernel and Lanner.";
    all.own("lanner_ring_size_bytes", help, Gauge, plan.ring_bytes as u64, &[]);
}

fn events(stats: &Stats, all: &mut Samples) {
    for (event, count) in &stats.delivered {
        let labels = [("event", event.name())];
        all.own(
            "lanner_events_total",
            "Events that were read.",
            Counter,
            *count,
            &labels,
        );
    }
    for (event, reason, count) in &stats.drops {
        let labels = [("event", event.name()), ("reason", *reason)];
        let help = "Events that the kernel's side lost.";
        all.own("lanner_events_lost_total", help, Counter, *count, &labels);
    }
    for (loser, count) in &stats.losers {
        let loser = loser.to_string();
        let labels = [("container", loser.as_str())];
        let help = "Events that were lost, by whose they were.";
        all.own(
            "lanner_events_lost_by_container_total",
            help,
            Counter,
            *count,
            &labels,
        );
    }
    all.own(
        "lanner_sequence_gaps_total",
        "Numbers of events that never came: what Lanner sees of the loss.",
        Counter,
        stats.gaps,
        &[],
    );
    for (program, count) in &stats.recursion_misses {
        let labels = [("program", program.as_str())];
        let help = "Runs the kernel refused because the program was running on that CPU already.";
        all.own(
            "lanner_program_runs_refused_total",
            help,
            Counter,
            *count,
            &labels,
        );
    }
    for source in &stats.sources {
        for (what, count) in &source.counts {
            all.own(
                "lanner_source_total",
                "What a source without BPF counted: records delivered, lost with the queue full, dropped by the kernel, \
                 processes gone, or programs replaced, before they were asked about, failures.",
                Counter,
                *count,
                &[("source", source.source.name()), ("what", what)],
            );
        }
    }
    for (kind, count) in &stats.misses {
        let help = "Values the programs could not read.";
        all.own(
            "lanner_values_not_read_total",
            help,
            Counter,
            *count,
            &[("kind", kind)],
        );
    }
    for (kind, count) in &stats.cut {
        let help = "Values that were longer than what is kept of them.";
        all.own(
            "lanner_values_cut_total",
            help,
            Counter,
            *count,
            &[("kind", kind)],
        );
    }
    for (metric, help, count) in [
        (
            "lanner_records_undecodable_total",
            "Records that could not be decoded.",
            stats.undecodable,
        ),
        (
            "lanner_paths_unresolved_total",
            "Paths whose directory is not known.",
            stats.unresolved_paths,
        ),
        (
            "lanner_cgroups_vanished_total",
            "Cgroups that were gone before they could be asked about.",
            stats.vanished_cgroups,
        ),
        (
            "lanner_containers_identified_late_total",
            "Containers whose first events have their id only.",
            stats.identified_late,
        ),
        (
            "lanner_container_cgroups_not_written_total",
            "Container cgroups that could not be written to the kernel's map.",
            stats.cgroup_map_failures,
        ),
    ] {
        all.own(metric, help, Counter, count, &[]);
    }
}

fn processes(stats: &Stats, all: &mut Samples) {
    let known = stats.processes as u64;
    all.own("lanner_processes", "Processes that are known.", Gauge, known, &[]);
    for (why, count) in [
        ("repaired", stats.repaired),
        ("exec_missed", stats.stale_processes),
        ("doubted", stats.doubted_processes),
        ("end_missed", stats.purged_processes),
        ("table_full", stats.evicted_processes),
        ("unknown", stats.unknown_processes),
    ] {
        let help = "Processes whose state was not known from their events alone.";
        all.own(
            "lanner_processes_amended_total",
            help,
            Counter,
            count,
            &[("why", why)],
        );
    }
}

fn rule_costs(rules: &[RuleCounts], all: &mut Samples) {
    for rule in rules {
        let labels = [("rule_name", &*rule.name), ("source", &*rule.source)];
        let time = u64::try_from(rule.time.as_nanos()).unwrap_or(u64::MAX);
        for (metric, help, count) in [
            (
                "lanner_rule_evaluations_total",
                "Events that a rule was asked about.",
                rule.evaluations,
            ),
            (
                "lanner_rule_undecided_total",
                "Events on which it could not be told whether a rule matches, without BPF: what decides was not known of them.",
                rule.undecided,
            ),
            (
                "lanner_rule_timed_evaluations_total",
                "Events on which a rule was timed, alone: one in 4096.",
                rule.timed,
            ),
            (
                "lanner_rule_timed_nanoseconds_total",
                "Time a rule took on the events on which it was timed.",
                time,
            ),
        ] {
            all.own(metric, help, Counter, count, &labels);
        }
    }
}

fn outputs(outputs: &[OutputReport], all: &mut Samples) {
    for output in outputs {
        let name = output.kind.name();
        let labels = [("output", name)];
        let help = "Alerts that an output took.";
        all.own(
            "lanner_output_alerts_total",
            help,
            Counter,
            output.delivered,
            &labels,
        );
        for reason in LossReason::ALL {
            let labels = [("output", name), ("reason", reason.name())];
            let help = "Alerts that did not reach an output.";
            let count = lost(output, reason);
            all.own("lanner_output_alerts_lost_total", help, Counter, count, &labels);
        }
        for (metric, help, kind, count) in [
            (
                "lanner_output_queue_alerts",
                "Alerts that wait for an output.",
                Gauge,
                output.queued,
            ),
            (
                "lanner_output_queue_capacity_alerts",
                "Alerts that may wait for an output.",
                Gauge,
                output.capacity,
            ),
            (
                "lanner_output_retries_total",
                "Attempts that an output repeated.",
                Counter,
                output.retried,
            ),
            (
                "lanner_output_slow_alerts_total",
                "Alerts that took an output longer than output_timeout, delivered or not.",
                Counter,
                output.slow,
            ),
            (
                "lanner_output_program_restarts_total",
                "Starts of a program that was to run on and ended.",
                Counter,
                output.restarts,
            ),
            (
                "lanner_output_programs_killed_total",
                "Programs that were killed because they took too long.",
                Counter,
                output.killed,
            ),
            (
                "lanner_output_spooled_alerts_total",
                "Alerts that were put into the spool.",
                Counter,
                output.spooled,
            ),
            (
                "lanner_output_unspooled_alerts_total",
                "Alerts that were delivered from the spool.",
                Counter,
                output.unspooled,
            ),
            (
                "lanner_output_spool_alerts",
                "Alerts that wait in the spool.",
                Gauge,
                output.spool_waiting,
            ),
            (
                "lanner_output_spool_bytes",
                "Size of the spool.",
                Gauge,
                output.spool_bytes,
            ),
            (
                "lanner_output_spool_damaged_total",
                "Places in the spool that could not be read.",
                Counter,
                output.spool_damaged,
            ),
        ] {
            all.own(metric, help, kind, count, &labels);
        }
    }
}

fn runtime(status: &StatusSnapshot, all: &mut Samples) {
    let connected = u64::from(matches!(status.state, State::Registered { .. }));
    let help = "1 while the container runtime tells of containers.";
    all.own("lanner_runtime_connected", help, Gauge, connected, &[]);
    for (metric, help, count) in [
        (
            "lanner_runtime_events_total",
            "Events of containers' lives that the runtime told.",
            status.events,
        ),
        (
            "lanner_runtime_connections_total",
            "Times the runtime took us in.",
            status.connections,
        ),
        (
            "lanner_runtime_errors_total",
            "Requests of the runtime that could not be read or handled.",
            status.errors,
        ),
        (
            "lanner_runtime_panics_total",
            "Bugs of Lanner that were caught while it handled a request.",
            status.panics,
        ),
        (
            "lanner_containers_refused_total",
            "Containers that were not taken in.",
            status.refused,
        ),
        (
            "lanner_containers_without_cgroup_total",
            "Containers whose cgroup was not found.",
            status.without_cgroup,
        ),
        (
            "lanner_containers_reconciled_total",
            "Containers that NRI did not tell of.",
            status.reconciled,
        ),
        (
            "lanner_container_sightings_dropped_total",
            "Containers that nobody could be asked about.",
            status.sightings_dropped,
        ),
        (
            "lanner_image_digests_total",
            "Image digests that arrived.",
            status.digests_fetched,
        ),
        (
            "lanner_image_digests_late_total",
            "Containers that started before their digest arrived.",
            status.digests_late,
        ),
        (
            "lanner_image_digests_missing_total",
            "Image digests that were given up.",
            status.digests_missing,
        ),
    ] {
        all.own(metric, help, Counter, count, &[]);
    }
    for (of, latency) in [
        ("container starts", &status.starts),
        ("requests", &status.replies),
    ] {
        let labels = [("of", of)];
        let help = "Replies to the container runtime.";
        all.own(
            "lanner_runtime_replies_total",
            help,
            Counter,
            latency.count,
            &labels,
        );
        let help = "Time the container runtime waited for replies.";
        all.own(
            "lanner_runtime_reply_microseconds_total",
            help,
            Counter,
            latency.total_us,
            &labels,
        );
    }
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
        let quoted = include_str!("gather.rs")
            .split('"')
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
