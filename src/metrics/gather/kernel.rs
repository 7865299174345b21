//! What the kernel's side counted, under Falco's names.

use lanner_capture::Stats;

use super::underscored;
use crate::drop_monitor;
use crate::metrics::sample::{
    Kind::{Counter, Gauge},
    Samples,
    Value::Whole,
};

/// What exists here of Falco's state: there is one table, of processes, and no cache of descriptors.
pub(super) fn state(stats: &Stats, all: &mut Samples) {
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
pub(in crate::metrics) fn seen(stats: &Stats) -> u64 {
    stats.total() + dropped(stats)
}

/// Events that were lost.
pub(in crate::metrics) fn dropped(stats: &Stats) -> u64 {
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

pub(super) fn events(stats: &Stats, all: &mut Samples) {
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

pub(super) fn per_cpu(stats: &Stats, all: &mut Samples) {
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
pub(super) fn libbpf(stats: &Stats, all: &mut Samples) {
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
