//! Ancestors that have ended: kept as they were at their end, for as long as somebody lives who descends from them.
//!
//! The kernel gives orphans to a reaper and forgets who started them, and gives the id away again; that is how a daemon
//! hides where it comes from. Here a process knows its parent by a number that is nobody else's ([`Process::parent`]).

use std::collections::HashSet;

use lanner_schema::process::Process;

use crate::id_map::IdMap;

/// The most of them that are kept in a row. Of a longer row, as one that starts itself again and again leaves it, those in
/// the middle go: who began it is worth as much as who was there last.
const IN_A_ROW: usize = 32;

/// The ended ones by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    ended: IdMap<u64, Process>,
    /// How many were added since the last look at who is still needed.
    added: usize,
}

impl Lineage {
    pub(crate) fn get(&self, number: u64) -> Option<&Process> {
        self.ended.get(&number)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.ended.values_mut()
    }

    /// How many were added since the last [`Lineage::let_go`].
    pub(crate) fn added(&self) -> usize {
        self.added
    }

    /// Keeps one that has ended.
    pub(crate) fn keep(&mut self, process: Process) {
        let number = process.number;
        self.ended.insert(number, process);
        self.added += 1;
        self.shorten(number);
    }

    /// Takes one out of the middle of a row that has become too long.
    fn shorten(&mut self, newest: u64) {
        let (mut at, mut length) = (newest, 0);
        let (mut below, mut middle) = (0, 0);
        while let Some(process) = self.ended.get(&at)
            && length <= IN_A_ROW
        {
            length += 1;
            if length == IN_A_ROW / 2 {
                (below, middle) = (at, process.parent);
            }
            at = process.parent;
        }
        if length <= IN_A_ROW {
            return;
        }
        let Some((parent, ppid)) = self.ended.get(&middle).map(|p| (p.parent, p.ppid)) else {
            return;
        };
        // Somebody else may descend from it: it goes when nobody does.
        if let Some(process) = self.ended.get_mut(&below) {
            (process.parent, process.ppid) = (parent, ppid);
        }
    }

    /// Lets go of those nobody who lives descends from, and of the oldest when there are more than `limit`. Gives how many
    /// of these there were.
    pub(crate) fn let_go<'p>(&mut self, living: impl Iterator<Item = &'p Process>, limit: usize) -> usize {
        let mut wanted = HashSet::new();
        for process in living {
            let mut at = process.parent;
            while let Some(ancestor) = self.ended.get(&at)
                && wanted.insert(at)
            {
                at = ancestor.parent;
            }
        }
        self.ended.retain(|number, _| wanted.contains(number));
        self.added = 0;
        let excess = self.ended.len().saturating_sub(limit);
        if excess > 0 {
            let mut numbers: Vec<u64> = self.ended.keys().copied().collect();
            let (oldest, ..) = numbers.select_nth_unstable(excess);
            for number in oldest {
                self.ended.remove(number);
            }
        }
        excess
    }
}
