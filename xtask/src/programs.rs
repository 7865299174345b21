//! What the kernel counts of a process's BPF programs.

use std::collections::BTreeMap;
use std::io;

/// While it lasts the kernel counts how often programs run, and how long. That costs itself: two looks at a clock per
/// run, one of which is within what is counted.
#[derive(Debug)]
pub struct CountedRuns(String);

impl CountedRuns {
    const SETTING: &str = "/proc/sys/kernel/bpf_stats_enabled";

    /// Begins it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn begin() -> io::Result<Self> {
        let before = std::fs::read_to_string(Self::SETTING)?;
        std::fs::write(Self::SETTING, "1")?;
        Ok(Self(before))
    }
}

impl Drop for CountedRuns {
    fn drop(&mut self) {
        let _ = std::fs::write(Self::SETTING, self.0.trim());
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
    use super::*;

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
