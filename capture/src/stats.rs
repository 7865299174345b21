//! What was delivered, what was lost and why.

use std::fmt;

use lanner_schema::event::{EVENT_COUNT, EVENTS, Event, ParamType};
use lanner_schema::record::{self, Wire};
use lanner_schema::tier::Source;

use crate::losses::Loser;

/// Counts of one run of capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that were read, by event.
    pub delivered: Vec<(Event, u64)>,
    /// Records the kernel side lost, by event and reason.
    pub drops: Vec<(Event, &'static str, u64)>,
    /// The same by whose they were, most first.
    pub losers: Vec<(Loser, u64)>,
    /// Missing sequence numbers: what the consumer saw of the loss.
    pub gaps: u64,
    /// Runs the kernel refused because the program was running on that CPU already, by program: events that have no
    /// sequence number and no type.
    pub recursion_misses: Vec<(String, u64)>,
    /// How often each program ran and for how many nanoseconds; both 0 where the kernel does not count
    /// (`kernel.bpf_stats_enabled`).
    pub program_runs: Vec<(String, u64, u64)>,
    /// Records that were begun and lost, by CPU.
    pub cpus: Vec<(u64, u64)>,
    /// Values the programs could not read, by kind.
    pub misses: Vec<(&'static str, u64)>,
    /// Values that were longer than what a record keeps of them, by kind.
    pub cut: Vec<(&'static str, u64)>,
    /// Records that could not be decoded.
    pub undecodable: u64,
    /// Paths whose directory is not known.
    pub unresolved_paths: u64,
    /// Paths of which it could not be told where they lead.
    pub unknown_ways: u64,
    /// Processes in the table.
    pub processes: usize,
    /// Processes read from /proc because their creation was not seen.
    pub repaired: u64,
    /// Events of processes nobody knows.
    pub unknown_processes: u64,
    /// Processes that ran another program than was known, because an exec was not seen: read from /proc again.
    pub stale_processes: u64,
    /// Times a process was looked at again because a record was lost that may have been about it.
    pub doubted_processes: u64,
    /// Processes forgotten because their end was not seen and /proc has them no more.
    pub purged_processes: u64,
    /// Processes forgotten because the table was full: those silent for longest.
    pub evicted_processes: u64,
    /// Cgroups that were gone before they could be asked about.
    pub vanished_cgroups: u64,
    /// Containers whose first events have their id only: what else there is to know of them came too late.
    pub identified_late: u64,
    /// Operations of io_uring of whose end nothing was heard.
    pub requests_unended: u64,
    /// Operations of io_uring of which only the end is known.
    pub requests_unbegun: u64,
    /// Operations of io_uring whose end was not waited for: too many others were.
    pub requests_crowded: u64,
    /// Cgroups whose owner the programs could not be told: what they would drop of them passes.
    pub owners_untold: u64,
    /// Of a host without BPF: what its sources counted.
    pub sources: Vec<SourceStats>,
}

/// What a source counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStats {
    /// Which.
    pub source: Source,
    /// What, and how often: `delivered`, `queue_full`, `overflow` (events the kernel dropped, of which nothing else is
    /// known), `gone` (processes that had ended before they could be asked about), `overtaken` (programs that had been followed by
    /// another), `failed`.
    pub counts: Vec<(&'static str, u64)>,
}

impl Stats {
    /// Records that were read.
    pub fn total(&self) -> u64 {
        self.delivered.iter().map(|(_, count)| count).sum()
    }

    /// Records the kernel side lost.
    pub fn lost(&self) -> u64 {
        self.drops.iter().map(|(_, _, count)| count).sum()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Events captured: {}", self.total())?;
        for (event, count) in &self.delivered {
            writeln!(f, "  {:<18} {count:>12}", event.name())?;
        }
        // Of those the kernel's queues had no room for little is known: fanotify's says no number, so this is the least.
        let overflow = |source: &SourceStats| {
            let known = source.counts.iter().find(|(name, _)| *name == "overflow");
            known.map_or(0, |(_, count)| *count)
        };
        let of_fanotify = |source: &&SourceStats| source.source == Source::Fanotify;
        let uncounted: u64 = self.sources.iter().filter(of_fanotify).map(overflow).sum();
        writeln!(
            f,
            "Events lost: {}{} (missing sequence numbers: {})",
            if uncounted > 0 { "at least " } else { "" },
            self.lost() + self.sources.iter().map(overflow).sum::<u64>(),
            self.gaps
        )?;
        if uncounted > 0 {
            writeln!(
                f,
                "fanotify's queue was full {uncounted} times, and how many events that lost nobody knows: \
                 fs.fanotify.max_queued_events is its size"
            )?;
        }
        for (event, reason, count) in &self.drops {
            writeln!(f, "  {:<18} {reason:<20} {count:>12}", event.name())?;
        }
        if self.lost() > 0 {
            writeln!(f, "Events lost by container:")?;
        }
        for (loser, count) in &self.losers {
            writeln!(f, "  {loser:<39} {count:>12}")?;
        }
        let recursion: u64 = self.recursion_misses.iter().map(|(_, count)| count).sum();
        if recursion > 0 {
            writeln!(
                f,
                "Runs refused by the kernel (program already running on that CPU): {recursion}"
            )?;
            for (program, count) in self.recursion_misses.iter().filter(|(_, count)| *count > 0) {
                writeln!(f, "  {program:<18} {count:>12}")?;
            }
        }
        let counters = self
            .misses
            .iter()
            .map(|(kind, count)| (format!("values not read: {kind}"), *count))
            .chain(
                self.cut
                    .iter()
                    .map(|(kind, count)| (format!("values cut: {kind}"), *count)),
            )
            .chain([
                ("records not decoded".to_owned(), self.undecodable),
                ("paths without their directory".to_owned(), self.unresolved_paths),
                (
                    "paths of which it could not be told where they lead".to_owned(),
                    self.unknown_ways,
                ),
                ("processes read from /proc".to_owned(), self.repaired),
                ("events of unknown processes".to_owned(), self.unknown_processes),
                ("processes whose exec was missed".to_owned(), self.stale_processes),
                (
                    "processes looked at again after a loss".to_owned(),
                    self.doubted_processes,
                ),
                ("processes whose end was missed".to_owned(), self.purged_processes),
                (
                    "processes forgotten, table full".to_owned(),
                    self.evicted_processes,
                ),
                ("cgroups gone before look-up".to_owned(), self.vanished_cgroups),
                ("containers identified late".to_owned(), self.identified_late),
                (
                    "io_uring operations without an end".to_owned(),
                    self.requests_unended,
                ),
                (
                    "io_uring operations without a beginning".to_owned(),
                    self.requests_unbegun,
                ),
                (
                    "io_uring operations not waited for".to_owned(),
                    self.requests_crowded,
                ),
                ("owners of cgroups not told".to_owned(), self.owners_untold),
            ]);
        for (name, count) in counters.filter(|(_, count)| *count > 0) {
            writeln!(f, "{name}: {count}")?;
        }
        for SourceStats { source, counts } in &self.sources {
            for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
                writeln!(f, "{}, {name}: {count}", source.name())?;
            }
        }
        write!(f, "Processes known: {}", self.processes)
    }
}

/// Places for the numbers of every stream, a power of two to mask with.
const STREAMS: usize = record::STREAMS.len().next_power_of_two();

/// Follows the sequence numbers of every CPU and stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sequences {
    next: Vec<[u64; STREAMS]>,
    pub(crate) gaps: u64,
}

impl Sequences {
    pub(crate) fn see(&mut self, cpu: u32, stream: u8, sequence: u64) {
        let cpu = cpu as usize;
        if cpu >= self.next.len() {
            // The kernel's cpu numbers are below its own limit of 8192; a larger one is not a number of a cpu.
            if cpu >= 8192 {
                return;
            }
            self.next.resize(cpu + 1, [0; STREAMS]);
        }
        let next = &mut self.next[cpu][usize::from(stream) & (STREAMS - 1)];
        self.gaps = self.gaps.saturating_add(sequence.saturating_sub(*next));
        *next = sequence.saturating_add(1);
    }

    /// Adds what was lost after the last record that came: `totals` is, per stream and CPU, how many were begun.
    pub(crate) fn close(&mut self, totals: &[Vec<u64>]) {
        for (stream, cpus) in totals.iter().enumerate() {
            for (cpu, total) in cpus.iter().enumerate() {
                let seen = self
                    .next
                    .get(cpu)
                    .map_or(0, |streams| streams[stream & (STREAMS - 1)]);
                self.gaps += total.saturating_sub(seen);
            }
        }
    }
}

/// Delivered records by event.
#[derive(Debug)]
pub(crate) struct Delivered([u64; EVENT_COUNT]);

impl Default for Delivered {
    fn default() -> Self {
        Delivered([0; EVENT_COUNT])
    }
}

impl Delivered {
    pub(crate) fn add(&mut self, event: Event) {
        self.0[event as usize] += 1;
    }

    pub(crate) fn counts(&self) -> Vec<(Event, u64)> {
        EVENTS
            .iter()
            .map(|row| (row.event, self.0[row.event as usize]))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// Values that were cut, by kind.
#[derive(Debug, Default)]
pub(crate) struct Cut([u64; CUT_KINDS.len()]);

/// What can be cut: names of files, arguments of programs, their environment, what calls move (at `falco_libs.snaplen`),
/// and bytes or text of anything else.
const CUT_KINDS: [&str; 5] = ["path", "args", "env", "data", "other"];

impl Cut {
    /// Counts the values of a record that were cut.
    #[cold]
    pub(crate) fn add(&mut self, event: Event, wire: &Wire<'_>) {
        for (index, param) in event.row().params.iter().enumerate() {
            if wire.param(index).is_some_and(|value| value.truncated) {
                let kind = match (param.name, param.ty) {
                    ("args", _) => 1,
                    ("env", _) => 2,
                    (_, ParamType::FsPath | ParamType::FsRelPath(_)) => 0,
                    ("data", ParamType::ByteBuf) => 3,
                    _ => 4,
                };
                self.0[kind] += 1;
            }
        }
    }

    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        CUT_KINDS
            .into_iter()
            .zip(self.0)
            .filter(|(_, n)| *n > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernels_queues_had_no_room_for_is_lost() {
        let of = |source, overflow| SourceStats {
            source,
            counts: vec![("delivered", 7), ("overflow", overflow)],
        };
        let mut stats = Stats {
            sources: vec![of(Source::Fanotify, 0), of(Source::Connector, 4)],
            ..Stats::default()
        };
        assert!(stats.to_string().contains("\nEvents lost: 4 (missing"), "{stats}");
        stats.sources = vec![of(Source::Fanotify, 3), of(Source::Connector, 4)];
        let text = stats.to_string();
        assert!(text.contains("\nEvents lost: at least 7 (missing"), "{text}");
        assert!(text.contains("max_queued_events"), "{text}");
    }

    #[test]
    fn what_was_cut_is_counted_by_kind() {
        use lanner_schema::record::WireBuilder;
        let mut cut = Cut::default();
        let mut add = |event: Event, name: &str| {
            let mut wire = WireBuilder::new();
            for _ in 0..event.row().param(name).unwrap() {
                wire = wire.text("whole");
            }
            let bytes = wire.text("part").cut().build_for(event);
            cut.add(event, &Wire::read(&bytes, event.row().params.len()).unwrap());
            cut.counts()
        };
        assert_eq!(add(Event::Openat, "name"), [("path", 1)]);
        assert_eq!(add(Event::TaskExec, "args"), [("path", 1), ("args", 1)]);
        assert_eq!(add(Event::TaskExec, "env")[2..], [("env", 1)]);
        assert_eq!(add(Event::Read, "data")[3..], [("data", 1)]);
        assert_eq!(add(Event::TaskExec, "filename")[4..], [("other", 1)]);
    }

    #[test]
    fn gaps_are_counted_per_cpu_and_stream_and_at_the_end() {
        let mut sequences = Sequences::default();
        sequences.see(0, 0, 0);
        sequences.see(1, 0, 0);
        sequences.see(0, 1, 2); // two lost before
        sequences.see(0, 0, 4); // three lost
        assert_eq!(sequences.gaps, 5);
        sequences.close(&[vec![7, 1], vec![3, 0]]);
        assert_eq!(sequences.gaps, 7, "two more after the last of cpu 0");
        sequences.see(u32::MAX, 9, 1);
        sequences.see(8192, 0, 9);
        assert_eq!(sequences.gaps, 7, "no CPU has these numbers");
        sequences.see(8191, 0, 9);
        assert_eq!(sequences.gaps, 16);
    }
}
