//! What this process and its host use, under Falco's names.

use crate::metrics::resources::Resources;
use crate::metrics::sample::{
    Kind::Gauge,
    Samples,
    Value::{Real, Whole},
};

#[allow(clippy::cast_precision_loss)] // shown with one digit
pub(super) fn usage(in_mb: bool, all: &mut Samples) {
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
