//! Facts about the host that the plan is made of.

use std::fs;
use std::path::Path;

use lanner_schema::cgroup::Hierarchy;
use lanner_schema::host_root::host_root;
use nix::unistd::{SysconfVar, sysconf};

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Release of the running kernel.
    pub kernel: String,
    /// The kernel carries its own type information.
    pub btf: bool,
    /// Capabilities that loading needs and this process lacks.
    pub missing_capabilities: Vec<String>,
    /// Capabilities without which Lanner runs and knows less, and what it does not know then.
    pub lacking: Vec<(&'static str, &'static str)>,
    /// CPUs the kernel may use.
    pub cpus: usize,
    /// The hierarchy of cgroups that containers are told apart by.
    pub cgroups: Option<Hierarchy>,
}

const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

impl Host {
    /// Looks at the host this process runs on.
    pub fn probe() -> Host {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Host {
            kernel,
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            missing_capabilities: missing(effective_capabilities(&status)),
            lacking: lacking(effective_capabilities(&status)),
            cpus: sysconf(SysconfVar::_NPROCESSORS_CONF)
                .ok()
                .flatten()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(1),
            cgroups: Hierarchy::of_host(host_root()),
        }
    }
}

fn effective_capabilities(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

fn missing(effective: u64) -> Vec<String> {
    let has = |bit: u32| effective & (1 << bit) != 0;
    if has(CAP_SYS_ADMIN) {
        return Vec::new();
    }
    [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(bit, _)| !has(*bit))
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn lacking(effective: u64) -> Vec<(&'static str, &'static str)> {
    [
        (
            CAP_SYS_PTRACE,
            "CAP_SYS_PTRACE",
            "the programs, directories and users of processes that ran before Lanner, or belong to other users",
        ),
        (
            CAP_DAC_READ_SEARCH,
            "CAP_DAC_READ_SEARCH",
            "whose cgroup it is that lies below a container's own",
        ),
    ]
    .into_iter()
    .filter(|(bit, ..)| effective & (1 << bit) == 0)
    .map(|(_, name, what)| (name, what))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_status() {
        assert_eq!(
            effective_capabilities("CapPrm:\t0\nCapEff:\t000001fffeffffff\n"),
            0x1ff_feff_ffff
        );
        assert!(missing(0x1ff_feff_ffff).is_empty());
        assert_eq!(missing(1 << CAP_BPF), ["CAP_PERFMON"]);
        assert_eq!(missing(0), ["CAP_BPF", "CAP_PERFMON"]);
        assert!(lacking(0x1ff_feff_ffff).is_empty());
        let names: Vec<&str> = lacking(1 << CAP_SYS_ADMIN | 1 << CAP_SYS_PTRACE)
            .iter()
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(names, ["CAP_DAC_READ_SEARCH"]);
    }
}
