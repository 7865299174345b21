//! What the container runtime told.

use lanner_nri::{State, StatusSnapshot};

use crate::metrics::sample::{
    Kind::{Counter, Gauge},
    Samples,
};

pub(super) fn told(status: &StatusSnapshot, all: &mut Samples) {
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
            "lanner_image_digests_kept_total",
            "Image digests known from a container of the same image before.",
            status.digests_kept,
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
