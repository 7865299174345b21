//! How processes leave the table: after their end, when nobody heard of it, or because the table is full.

use std::collections::HashSet;

use lanner_schema::record::Header;

use super::ProcessTable;

/// How long a process keeps its id after its end, in nanoseconds of event time: events of it may come late.
pub(super) const LINGER: u64 = 5_000_000_000;

/// How much longer it may stay, so that one pass over all processes finds the children of many.
pub(super) const SWEEP: u64 = 1_000_000_000;

impl ProcessTable {
    /// A process ended; its state goes a little later.
    pub(crate) fn exit(&mut self, header: &Header) {
        if let Some(process) = self.get(header.pid) {
            let number = process.number;
            self.ended.push_back((header.time, header.pid, number));
        }
        let age =
            |ended: Option<&(u64, u32, u64)>| ended.map_or(0, |(time, ..)| header.time.saturating_sub(*time));
        let many = self.limit / 4;
        if age(self.ended.front()) < LINGER + SWEEP && self.ended.len() < many && self.lineage.added() <= many
        {
            return;
        }
        while age(self.ended.front()) >= LINGER || self.ended.len() >= (self.limit / 8).max(1) {
            let Some(ended) = self.ended.pop_front() else {
                break;
            };
            self.forget_ended(ended);
        }
        self.let_go();
    }

    /// A process that ended loses its id, unless that is another's by now.
    fn forget_ended(&mut self, (_, pid, number): (u64, u32, u64)) {
        if self.get(pid).is_some_and(|p| p.number == number) {
            self.forget(pid);
        }
    }

    /// A process is no longer found by its id, only by those it started.
    fn forget(&mut self, pid: u32) {
        // Events of it may come later still.
        self.before_change(pid, self.now);
        if let Some(known) = self.known.remove(&pid) {
            self.lineage.keep(known.process);
        }
    }

    /// Forgets those that nobody descends from.
    fn let_go(&mut self) {
        let living = self.known.values().map(|known| &known.process);
        self.counts.evicted += self.lineage.let_go(living, self.limit) as u64;
    }

    /// Forgets processes whose end was not seen: those /proc has no more, and that were silent for a while. Looks when
    /// it is time to; `now` is in nanoseconds since boot.
    pub(crate) fn purge(&mut self, now: u64) {
        self.now = self.now.max(now);
        if self.purged_at == 0 {
            self.purged_at = self.now;
        }
        if self.now.saturating_sub(self.purged_at) < self.purge_interval {
            return;
        }
        self.purged_at = self.now;
        let running = self.procfs.pids();
        if running.is_empty() {
            return;
        }
        let lingering: HashSet<u32> = self.ended.iter().map(|(_, pid, _)| *pid).collect();
        let gone: Vec<u32> = self
            .known
            .iter()
            .filter(|(pid, known)| {
                self.now.saturating_sub(known.seen) >= self.purge_timeout
                    && !running.contains(pid)
                    && !lingering.contains(pid)
            })
            .map(|(pid, _)| *pid)
            .collect();
        self.counts.purged += gone.len() as u64;
        for pid in gone {
            self.forget(pid);
        }
        self.let_go();
    }

    /// Makes room for an eighth more: what has ended goes first, then those that nobody has heard of for longest and that
    /// are nobody's parents. One that still runs is read from /proc again when it is heard of.
    pub(super) fn make_room(&mut self) {
        while let Some(ended) = self.ended.pop_front() {
            self.forget_ended(ended);
        }
        let room = (self.limit / 8).max(1);
        let excess = (self.known.len() + room).saturating_sub(self.limit);
        if excess > 0 {
            let parents: HashSet<u32> = self.known.values().map(|known| known.process.ppid).collect();
            let mut idlest: Vec<(bool, u64, u32)> = self
                .known
                .iter()
                .map(|(pid, known)| (parents.contains(pid), known.seen, *pid))
                .collect();
            let (before, ..) = idlest.select_nth_unstable(excess - 1);
            let evicted = before.len() + 1;
            for (_, _, pid) in idlest.into_iter().take(evicted) {
                self.forget(pid);
            }
            self.counts.evicted += evicted as u64;
        }
        self.let_go();
    }
}
