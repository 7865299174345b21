//! What this process and its host use, from /proc.

use std::fs;
use std::path::Path;

use lanner_schema::host_root::on_host;
use nix::unistd::{SysconfVar, sysconf};

/// Memory in bytes, processor time as a share of one CPU (this process) or of all (the host). What can't be read is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Resources {
    pub(super) cpu_ratio: f64,
    pub(super) rss: u64,
    pub(super) vsz: u64,
    pub(super) pss: u64,
    pub(super) container_memory: u64,
    pub(super) host_cpu_ratio: f64,
    pub(super) host_memory: u64,
    pub(super) host_running: u64,
    pub(super) host_open_fds: u64,
}

impl Resources {
    #[allow(clippy::cast_precision_loss)] // shares of times
    pub(super) fn read() -> Resources {
        let own = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let host =
            |file: &str| fs::read_to_string(on_host(&Path::new("/proc").join(file))).unwrap_or_default();
        let status = own("status");
        let (stat, meminfo) = (host("stat"), host("meminfo"));
        let uptime: f64 = first(&host("uptime")).unwrap_or(0.0);
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64;
        let (used, start) = times(&own("stat"));
        let lived = uptime - start as f64 / ticks;
        let busy = host_times(&stat);
        Resources {
            cpu_ratio: ratio(used as f64 / ticks, lived),
            rss: kib(&status, "VmRSS:"),
            vsz: kib(&status, "VmSize:"),
            pss: kib(&own("smaps_rollup"), "Pss:"),
            container_memory: container_memory(),
            host_cpu_ratio: ratio(busy.0, busy.1),
            host_memory: kib(&meminfo, "MemTotal:").saturating_sub(kib(&meminfo, "MemAvailable:")),
            host_running: number(&stat, "procs_running"),
            host_open_fds: first(&host("sys/fs/file-nr")).unwrap_or(0),
        }
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn first<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.split_whitespace().next()?.parse().ok()
}

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(first).unwrap_or(0)
}

/// `name:   12 kB` in bytes.
fn kib(text: &str, name: &str) -> u64 {
    number(text, name).saturating_mul(1024)
}

/// User and system time, and the start, of /proc/PID/stat, in ticks.
fn times(stat: &str) -> (u64, u64) {
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let at = |index: usize| fields.get(index).copied().unwrap_or(0);
    (at(11) + at(12), at(19))
}

/// Ticks in which the CPUs were busy, and all, since boot.
#[allow(clippy::cast_precision_loss)] // shares of times
fn host_times(stat: &str) -> (f64, f64) {
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|t| t.parse().unwrap_or(0))
        .collect();
    // The last two are in user and nice already.
    let all: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3).copied().unwrap_or(0) + ticks.get(4).copied().unwrap_or(0);
    (all.saturating_sub(idle) as f64, all as f64)
}

/// What the cgroup of this process uses, as Falco reads it where a deployment names the file.
fn container_memory() -> u64 {
    let file = std::env::var("FALCO_CGROUP_MEM_PATH")
        .unwrap_or("/sys/fs/cgroup/memory/memory.usage_in_bytes".into());
    let text = fs::read_to_string(file).or_else(|_| fs::read_to_string("/sys/fs/cgroup/memory.current"));
    text.ok().as_deref().and_then(first).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let now = Resources::read();
        assert!(
            now.rss > 1 << 20 && now.vsz >= now.rss && now.host_memory > 1 << 20,
            "{now:?}"
        );
        assert!((0.0..1000.0).contains(&now.cpu_ratio) && (0.0..=1.0).contains(&now.host_cpu_ratio));
        assert!(now.host_running > 0 && now.host_open_fds > 0);
    }

    #[test]
    fn names_with_blanks_and_parentheses_are_skipped() {
        let fields: Vec<String> = (1..=30).map(|n| n.to_string()).collect();
        assert_eq!(times(&format!("12 (a ) b) {}", fields.join(" "))), (12 + 13, 20));
        assert_eq!(times(""), (0, 0));
    }
}
