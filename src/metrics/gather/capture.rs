//! What is captured, lost and known of processes: Lanner's own numbers.

use lanner_capture::Stats;

use crate::metrics::Look;
use crate::metrics::sample::{
    Kind::{Counter, Gauge},
    Samples,
};

pub(super) fn plan(look: &Look, all: &mut Samples) {
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

pub(super) fn events(stats: &Stats, all: &mut Samples) {
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
            "Cgroups whose owner the programs could not be told.",
            stats.owners_untold,
        ),
    ] {
        all.own(metric, help, Counter, count, &[]);
    }
}

pub(super) fn processes(stats: &Stats, all: &mut Samples) {
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
