//! What Falco costs and what Lanner is to cost, in instructions per iteration of a workload. Falco's figures are those of
//! Falco 0.44.1 (modern eBPF, stock rules 5.1.0) in a counted guest with Linux 6.18: measured once, not by this program.

use crate::workload::Workload;

/// The figures of a workload.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Everything that Falco adds: to the workload, and what it takes itself.
    pub falco: u64,
    /// The most that Lanner is to add with trampolines.
    pub trampoline: u64,
    /// The most that it is to add with one program on the return of every call.
    pub sys_exit: u64,
}

impl Goal {
    /// The figures of a workload.
    pub fn of(workload: Workload) -> Goal {
        let (falco, trampoline, sys_exit) = match workload {
            Workload::Getpid => (294, 0, 175),
            Workload::Stat => (304, 0, 175),
            Workload::Pipe => (596, 0, 350),
            Workload::Open => (31_202, 1_200, 1_500),
            Workload::Connect => (42_492, 4_000, 5_000),
            Workload::Exec => (157_142, 20_000, 25_000),
        };
        Goal {
            falco,
            trampoline,
            sys_exit,
        }
    }

    /// The goal of a tier that has one.
    pub fn in_tier(self, tier: &str) -> Option<u64> {
        match tier {
            "trampoline" => Some(self.trampoline),
            "sys_exit" => Some(self.sys_exit),
            _ => None,
        }
    }
}
