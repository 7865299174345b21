//! What the kernel counts of a process's BPF programs.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

/// While it lasts the kernel counts how often programs run, and how long. That costs itself: two looks at a clock per
/// run, one of which is within what is counted. It ends with the process, however that ends.
#[derive(Debug)]
pub struct CountedRuns {
    #[allow(dead_code)] // the kernel counts while it is open
    while_open: OwnedFd,
}

impl CountedRuns {
    /// Begins it (`BPF_ENABLE_STATS`, Linux 5.8).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn begin() -> io::Result<Self> {
        const BPF_ENABLE_STATS: libc::c_int = 32;
        const BPF_STATS_RUN_TIME: u32 = 0;
        let attributes = BPF_STATS_RUN_TIME;
        // SAFETY: the kernel reads as many bytes of the attributes as it is told that there are.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_ENABLE_STATS,
                &raw const attributes,
                size_of_val(&attributes),
            )
        };
        let descriptor = i32::try_from(Errno::result(answer)?).map_err(io::Error::other)?;
        Ok(Self {
            // SAFETY: the kernel has just opened it for this call.
            while_open: unsafe { OwnedFd::from_raw_fd(descriptor) },
        })
    }
}

const SETTING: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// That the machine is not set to count what programs run, which would be measured with them. Who counts while a
/// descriptor is open is not seen.
///
/// # Errors
/// When it is, with what to do.
pub fn uncounted() -> io::Result<()> {
    match std::fs::read_to_string(SETTING)?.trim() {
        "0" => Ok(()),
        _ => Err(io::Error::other(
            "the kernel counts what BPF programs run, which costs each run two looks at a clock: \
             `sysctl kernel.bpf_stats_enabled=0` first",
        )),
    }
}

/// Of one program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runs {
    /// How often it ran.
    pub count: u64,
    /// How long, in nanoseconds.
    pub time: u64,
}

/// Of the programs that a process holds, by their ids; of process 0 none.
///
/// # Errors
/// When the process has ended.
pub fn runs(pid: u32) -> io::Result<BTreeMap<u32, Runs>> {
    let mut all = BTreeMap::new();
    if pid == 0 {
        return Ok(all);
    }
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // It may close one meanwhile.
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        let number = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.trim().parse::<u64>().ok())
        };
        let id = number("prog_id").and_then(|id| u32::try_from(id).ok());
        if let (Some(id), Some(time), Some(count)) = (id, number("run_time_ns"), number("run_cnt")) {
            all.insert(id, Runs { count, time });
        }
    }
    Ok(all)
}

/// What ran between two looks.
pub fn since(before: &BTreeMap<u32, Runs>, after: &BTreeMap<u32, Runs>) -> BTreeMap<u32, Runs> {
    let ran = |(id, runs): (&u32, &Runs)| {
        let before = before.get(id).copied().unwrap_or_default();
        let count = runs.count.saturating_sub(before.count);
        let time = runs.time.saturating_sub(before.time);
        (count > 0).then_some((*id, Runs { count, time }))
    };
    after.iter().filter_map(ran).collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use super::*;

    #[test_log::test]
    fn counting_leaves_no_setting_behind_that_a_killed_one_could() {
        let before = std::fs::read_to_string(SETTING).unwrap();
        let counted = match CountedRuns::begin() {
            Err(reason) if reason.kind() == io::ErrorKind::PermissionDenied => {
                return println!("skipped: {reason}");
            }
            counted => counted.unwrap(),
        };
        let link = format!("/proc/self/fd/{}", counted.while_open.as_raw_fd());
        assert_eq!(
            std::fs::read_link(link).unwrap(),
            Path::new("anon_inode:bpf-stats")
        );
        assert_eq!(std::fs::read_to_string(SETTING).unwrap(), before);
    }

    #[test_log::test]
    fn only_what_ran_meanwhile_counts() {
        let runs = |count, time| Runs { count, time };
        let before = BTreeMap::from([(1, runs(10, 1000)), (2, runs(5, 50))]);
        let after = BTreeMap::from([(1, runs(13, 1600)), (2, runs(5, 50)), (3, runs(2, 30))]);
        assert_eq!(
            since(&before, &after),
            BTreeMap::from([(1, runs(3, 600)), (3, runs(2, 30))])
        );
    }
}
