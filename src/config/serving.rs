//! `webserver` and `metrics`: what a running Lanner says of itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::tree::{Node, Wrong};

/// `webserver`. The default is that of the keys that are absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Web {
    /// `enabled`.
    pub(crate) enabled: bool,
    /// `threadiness`: threads that answer; 0 for as many as there are CPUs.
    pub(crate) threads: usize,
    /// `listen_port`.
    pub(crate) port: u16,
    /// `listen_address`.
    pub(crate) address: IpAddr,
    /// `k8s_healthz_endpoint`.
    pub(crate) health: String,
    /// `prometheus_metrics_enabled`.
    pub(crate) metrics: bool,
    /// `ssl_enabled`.
    pub(crate) ssl: bool,
    /// `ssl_certificate`: a file with certificate and key.
    pub(crate) certificate: PathBuf,
}

impl Default for Web {
    fn default() -> Self {
        Web {
            enabled: false,
            threads: 0,
            port: 8765,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            health: "/healthz".into(),
            metrics: false,
            ssl: false,
            certificate: "/etc/lanner/lanner.pem".into(),
        }
    }
}

impl Web {
    /// Where it listens.
    pub(crate) fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// `metrics`. The default is that of the keys that are absent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a key
pub(crate) struct Metrics {
    /// `enabled`.
    pub(crate) enabled: bool,
    /// `interval`: time between two snapshots.
    pub(crate) interval: Duration,
    /// `output_rule`: snapshots are alerts.
    pub(crate) output_rule: bool,
    /// `output_file`: snapshots are lines of this file.
    pub(crate) output_file: Option<PathBuf>,
    /// `rules_counters_enabled`.
    pub(crate) rules: bool,
    /// `resource_utilization_enabled`.
    pub(crate) resources: bool,
    /// `state_counters_enabled`.
    pub(crate) state: bool,
    /// `kernel_event_counters_enabled`.
    pub(crate) kernel_events: bool,
    /// `kernel_event_counters_per_cpu_enabled`.
    pub(crate) kernel_events_per_cpu: bool,
    /// `libbpf_stats_enabled`.
    pub(crate) libbpf: bool,
    /// `convert_memory_to_mb`.
    pub(crate) memory_in_mb: bool,
    /// `include_empty_values`.
    pub(crate) empty_values: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            enabled: false,
            interval: Duration::from_secs(5),
            output_rule: false,
            output_file: None,
            rules: true,
            resources: true,
            state: true,
            kernel_events: true,
            kernel_events_per_cpu: false,
            libbpf: true,
            memory_in_mb: true,
            empty_values: false,
        }
    }
}

pub(super) fn port(node: &Node) -> Result<u16, Wrong> {
    let wrong = || Wrong::new("a port, 1 to 65535");
    let port = node.number().ok().and_then(|number| u16::try_from(number).ok());
    port.filter(|port| *port > 0).ok_or_else(wrong)
}

/// The most that is taken: more threads than a host starts end Lanner.
const THREADS_MAX: u64 = 1024;

pub(super) fn threads(node: &Node) -> Result<usize, Wrong> {
    let number = node.number().ok().filter(|number| *number <= THREADS_MAX);
    number
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| Wrong::new(format!("a number from 0 to {THREADS_MAX}")))
}

pub(super) fn address(node: &Node) -> Result<IpAddr, Wrong> {
    let parsed = node.text().ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Wrong::new("an IP address").with_hint("write 0.0.0.0 for every interface"))
}

pub(super) fn endpoint(node: &Node) -> Result<String, Wrong> {
    let path = node.text().ok().filter(|text| text.starts_with('/'));
    path.map(str::to_owned)
        .ok_or_else(|| Wrong::new("a path that begins with /"))
}

/// The least time between two snapshots.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

pub(super) fn interval(node: &Node) -> Result<Duration, Wrong> {
    let wrong = || Wrong::new("a duration of 100ms or more").with_hint("write 15m, 1h30m or 500ms");
    let duration = node.text().ok().and_then(duration).ok_or_else(wrong)?;
    (duration >= INTERVAL_MIN).then_some(duration).ok_or_else(wrong)
}

/// A duration as Prometheus writes it: `1y2w3d4h5m6s7ms`, in this order, each unit at most once.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut units = UNITS.iter();
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*size)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_prometheus() {
        let ms = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("1h"), Some(3_600_000));
        assert_eq!(ms("1d12h30m1s5ms"), Some(131_401_005));
        assert_eq!(ms("500ms"), Some(500));
        for wrong in [
            "",
            "5",
            "h",
            "1m1h",
            "1s1s",
            "1 h",
            "-1h",
            "1.5h",
            "99999999999999999999y",
            "1µs",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
