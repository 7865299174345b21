//! What became of alerts.

use lanner_outputs::{LossReason, OutputReport};

use crate::metrics::sample::{
    Kind::{Counter, Gauge},
    Samples,
};

pub(super) fn lost(output: &OutputReport, why: LossReason) -> u64 {
    let lost = output.lost.iter().filter(|(reason, _)| *reason == why);
    lost.map(|(_, count)| count).sum()
}

pub(super) fn delivery(outputs: &[OutputReport], all: &mut Samples) {
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
