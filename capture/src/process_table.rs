//! Every process that is known, kept up to date by the records of exec, fork and exit.
//!
//! What was lost is noticed and made good: a record carries a number that changes with every exec and differs between
//! processes ([`Header::image`]), and a process that shows another one than it had is read from /proc again. Of a lost
//! `chdir` or another name no record tells: when such records were lost, every process is looked at again when it is heard
//! of next, once ([`ProcessTable::doubt`]). Processes whose end was lost are purged from time to time; a full table forgets
//! whom it has not heard of for longest. Whoever goes is kept for those it started ([`Lineage`]).

mod change;
mod end;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use lanner_schema::process::Process;
use lanner_schema::record::Header;
use memchr::memchr;

use crate::decode::Start;
use crate::history::{History, Since, Within};
use crate::id_map::IdMap;
use crate::lineage::Lineage;
use crate::plan::Config;
use crate::procfs::{Procfs, is_cut};

/// How much the start of a process may differ between /proc, which counts ticks, and the kernel's records.
pub(crate) const TICKS: u64 = 100_000_000;

/// How much the boot must seem to have moved for the clock to have been set: far more than a measurement is wrong.
const CLOCK_SET: u64 = 1_000_000;

/// How far up a chain of unknown parents is read from /proc.
const MAX_UNKNOWN_PARENTS: usize = 64;

/// The processes.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    known: IdMap<u32, Known>,
    /// How many processes were ever known: the number of the last one.
    numbers: u64,
    lineage: Lineage,
    /// Processes that ended: when, and which number they have (the id may have been given away since).
    ended: VecDeque<(u64, u32, u64)>,
    limit: usize,
    purge_interval: u64,
    purge_timeout: u64,
    /// When was last looked for processes whose end was not seen, in event time.
    purged_at: u64,
    /// The time of the latest event.
    now: u64,
    /// How often it had to be doubted what is known of the processes.
    doubts: u32,
    /// When it had to last, in event time: a record from before may be followed by one that was lost.
    doubted_at: u64,
    /// What processes were, where sources tell of what they did a little later; `None` elsewhere.
    history: Option<History>,
    /// When news of processes were lost last, in event time.
    missed_at: u64,
    /// Nobody tells of execs and ends: what is known of a process is compared with /proc at each of its events.
    pub(crate) unheard: bool,
    /// The process and the time of the last event at which it was.
    compared: (u32, u64),
    /// The process that was last seen in another cgroup than before, and that one, until somebody takes it.
    moved: Option<(u32, u64)>,
    /// Where paths are put together.
    paths: Vec<u8>,
    pub(crate) procfs: Procfs,
    pub(crate) counts: Counts,
}

/// A process, and what the table needs to know of it.
#[derive(Debug)]
struct Known {
    process: Process,
    /// [`Header::image`] of its program; 0 until the first event of a process that was read from /proc, when it is looked
    /// whether it runs that program still.
    image: u16,
    /// The time of its latest event.
    seen: u64,
    /// Since when it is what it is.
    since: Since,
    /// How many doubts it is free of.
    sure: u32,
}

/// What happened to the table that should not have to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Processes that were read from /proc because their fork was not seen, or the fork of their child.
    pub(crate) repaired: u64,
    /// Processes that ran another program than was known, or were others: an exec or a whole life was not seen.
    pub(crate) stale: u64,
    /// Events whose process is not known, not even to /proc.
    pub(crate) unknown: u64,
    /// Processes that were looked at again because what they did may have been lost.
    pub(crate) doubted: u64,
    /// Processes that were forgotten because their end was not seen and /proc has them no more.
    pub(crate) purged: u64,
    /// Processes that were forgotten because the table was full.
    pub(crate) evicted: u64,
}

/// The index of a parameter that must be there, found when this is compiled.
macro_rules! param {
    ($event:ident, $name:literal) => {
        const {
            let index = lanner_schema::event::param_index(lanner_schema::event::Event::$event, $name);
            assert!(index != usize::MAX);
            index
        }
    };
}
pub(crate) use param;

/// What comes before the first NUL.
pub(crate) fn text(bytes: &[u8]) -> &[u8] {
    memchr(0, bytes).map_or(bytes, |end| &bytes[..end])
}

impl ProcessTable {
    pub(crate) fn new(config: &Config, procfs: Procfs) -> ProcessTable {
        let nanoseconds =
            |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        ProcessTable {
            known: IdMap::default(),
            numbers: 0,
            lineage: Lineage::default(),
            ended: VecDeque::new(),
            limit: config.process_limit.max(1),
            purge_interval: nanoseconds(config.purge_interval),
            purge_timeout: nanoseconds(config.purge_timeout),
            purged_at: 0,
            now: 0,
            doubts: 0,
            doubted_at: 0,
            history: None,
            missed_at: 0,
            unheard: false,
            compared: (0, 0),
            moved: None,
            paths: Vec::new(),
            procfs,
            counts: Counts::default(),
        }
    }

    /// Reads every running process from /proc.
    pub(crate) fn fill(&mut self) {
        let (processes, left_out) = self.procfs.processes(self.limit);
        self.counts.evicted += left_out as u64;
        for process in processes {
            let pid = process.pid;
            self.insert(process, 0);
            self.set_since(pid, Since::EVER);
        }
        // Now that all of them have numbers.
        let numbers: IdMap<u32, u64> = self
            .known
            .iter()
            .map(|(pid, known)| (*pid, known.process.number))
            .collect();
        for Process {
            pid, ppid, parent, ..
        } in self.known.values_mut().map(|known| &mut known.process)
        {
            if *parent == 0 && ppid != pid {
                *parent = numbers.get(ppid).copied().unwrap_or(0);
            }
        }
    }

    /// What of a process is kept besides the rest, because a rule reads it. It is read for those that are known.
    pub(crate) fn keep(&mut self, environment: bool, cgroups: bool) {
        let (had_environment, had_cgroups) = (self.procfs.environment, self.procfs.cgroup_names.is_kept);
        self.procfs.environment = environment;
        self.procfs.cgroup_names.is_kept = cgroups;
        for known in self.known.values_mut() {
            let process = &mut known.process;
            if environment && !had_environment {
                let image = Arc::make_mut(&mut process.image);
                image.env = self.procfs.environ(process.pid).into();
                image.env_cut = is_cut(&image.env);
            }
            if cgroups && !had_cgroups {
                process.cgroups = self.procfs.cgroup_names.of(process.cgroup, process.pid);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn get(&self, pid: u32) -> Option<&Process> {
        self.known.get(&pid).map(|known| &known.process)
    }

    /// For what a system call changes of a process.
    pub(crate) fn get_mut(&mut self, pid: u32) -> Option<&mut Process> {
        self.known.get_mut(&pid).map(|known| &mut known.process)
    }

    /// Keeps what processes were from here on.
    pub(crate) fn keep_history(&mut self) {
        self.history.get_or_insert_default();
    }

    /// True where it is kept.
    pub(crate) fn has_history(&self) -> bool {
        self.history.is_some()
    }

    /// Keeps what a process was before what happens to it at `time`.
    pub(crate) fn before_change(&mut self, pid: u32, time: u64) {
        if let Some(history) = &mut self.history
            && let Some(known) = self.known.get_mut(&pid)
        {
            history.keep(known.process.clone(), known.since, time);
            known.since = Since::change(time);
        }
    }

    fn set_since(&mut self, pid: u32, since: Since) {
        if let Some(known) = self.known.get_mut(&pid) {
            known.since = since;
        }
    }

    /// True when news of processes were lost at that time, in nanoseconds since boot, or after it: what is known of one then is
    /// what /proc said later.
    pub(crate) fn has_missed_since(&self, time: u64) -> bool {
        self.missed_at > 0 && self.missed_at >= time
    }

    /// What a process was between two times, in nanoseconds since boot, where that is kept.
    pub(crate) fn within(&self, pid: u32, from: u64, to: u64) -> Within {
        match (&self.history, self.known.get(&pid)) {
            (None, _) => Within::AsNow,
            (Some(history), known) => {
                let now = known.map(|known| (&known.process, known.since));
                history.within(pid, now, from, to)
            }
        }
    }

    /// A process that went to another cgroup, and where it was: to be asked for after every record.
    pub(crate) fn take_moved(&mut self) -> Option<(u32, u64)> {
        self.moved.take()
    }

    /// The parent of a process, however long ago it has ended, as far as it is known.
    pub(crate) fn parent(&self, of: &Process) -> Option<&Process> {
        match self.get(of.ppid) {
            // Its id may be another's by now.
            Some(parent) if of.parent == 0 || parent.number == of.parent => Some(parent),
            _ => self.lineage.get(of.parent),
        }
    }

    /// Takes a process in, and gives it a number unless it has one. Another that had its id before has ended.
    fn insert(&mut self, mut process: Process, image: u16) {
        if process.number == 0 {
            self.numbers += 1;
            process.number = self.numbers;
        }
        if process.parent == 0 && process.ppid != process.pid {
            process.parent = self.get(process.ppid).map_or(0, |parent| parent.number);
        }
        if self.known.len() >= self.limit && !self.known.contains_key(&process.pid) {
            self.make_room();
        }
        let known = Known {
            image,
            seen: self.now,
            since: Since::change(self.now),
            sure: self.doubts,
            process,
        };
        let number = known.process.number;
        if let Some(before) = self.known.insert(known.process.pid, known)
            && before.process.number != number
        {
            self.lineage.keep(before.process);
        }
    }

    /// Records were lost that would have changed processes, nobody knows which. Each is looked at again when it is heard
    /// of: a little later than its event, as everything that /proc says. `now` is in nanoseconds since boot.
    pub(crate) fn doubt(&mut self, now: u64) {
        self.doubts = self.doubts.wrapping_add(1);
        self.doubted_at = now;
    }

    /// News of processes were lost, and those of a source that tells nothing else do not show it: every process is compared
    /// with /proc now. `now` is in nanoseconds since boot.
    pub(crate) fn resync(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.missed_at = self.now;
        let running = self.procfs.pids();
        if running.is_empty() {
            return;
        }
        let ended: HashSet<u32> = self.ended.iter().map(|(_, pid, _)| *pid).collect();
        for (pid, known) in &self.known {
            if !running.contains(pid) && !ended.contains(pid) {
                self.ended.push_back((self.now, *pid, known.process.number));
                self.counts.purged += 1;
            }
        }
        for pid in running {
            let header = Header {
                pid,
                time: now,
                ..Header::default()
            };
            match self.known.get_mut(&pid) {
                Some(known)
                    if self.procfs.is_same(pid, known.process.start_time)
                        && self.procfs.still_runs(&known.process) =>
                {
                    self.counts.doubted += 1;
                    self.procfs.look_again(&mut known.process);
                }
                _ => self.repair(&header),
            }
        }
    }

    /// Of how many doubts a process is free that was as `sure` at the time of a record.
    fn sure_at(&self, time: u64, sure: u32) -> u32 {
        match time < self.doubted_at {
            true => self.doubts.wrapping_sub(1),
            false => sure,
        }
    }

    /// Looks at a process again of which something may have been missed.
    #[cold]
    fn make_sure(&mut self, pid: u32) {
        let doubts = self.doubts;
        if let Some(known) = self.known.get_mut(&pid) {
            known.sure = doubts;
            self.counts.doubted += 1;
            self.procfs.look_again(&mut known.process);
        }
    }

    /// Takes over what /proc says now of what a process changes of itself.
    pub(crate) fn look_again(&mut self, pid: u32) {
        if let Some(known) = self.known.get_mut(&pid) {
            self.procfs.look_again(&mut known.process);
        }
    }

    /// Appends the directory that a relative path of a process starts from. Of one that has ended its last working directory
    /// is known.
    pub(crate) fn push_start(&self, pid: u32, from: Start, arena: &mut Vec<u8>) -> bool {
        if self.procfs.push_start(pid, from, arena) {
            return true;
        }
        let known = self.get(pid).filter(|_| from == Start::Cwd);
        let Some(cwd) = known.and_then(Process::directory) else {
            return false;
        };
        arena.extend_from_slice(cwd);
        true
    }

    /// Makes sure the process of an event is known as it is: reads it from /proc if its fork or its last exec was lost.
    pub(crate) fn ensure(&mut self, header: &Header) {
        if header.pid == 0 {
            return;
        }
        self.now = self.now.max(header.time);
        if self.unheard && self.is_another(header) {
            return self.repair(header);
        }
        if let Some(known) = self.known.get_mut(&header.pid)
            && (known.image == header.image
                || header.image == 0
                || known.image == 0 && self.procfs.still_runs(&known.process))
        {
            known.seen = self.now;
            if header.image != 0 {
                known.image = header.image;
            }
            let process = &mut known.process;
            let moved = process.cgroup != header.cgroup && header.cgroup != 0;
            if moved {
                self.moved = Some((header.pid, process.cgroup)).filter(|(_, from)| *from != 0);
                process.cgroup = header.cgroup;
            }
            if self.procfs.cgroup_names.is_kept && (moved || process.cgroups.is_empty()) {
                process.cgroups = self.procfs.cgroup_names.of(header.cgroup, header.pid);
            }
            if known.sure != self.doubts {
                let parent = process.ppid;
                self.make_sure(header.pid);
                self.ensure_parents(parent);
            }
            return;
        }
        self.repair(header);
    }

    /// True when /proc has another process for an event than the one that is known, one that runs another program, or none
    /// any more: then it may have run another before it ended.
    #[cold]
    fn is_another(&mut self, header: &Header) -> bool {
        let event = (header.pid, header.time);
        let Some(known) = self.known.get(&header.pid).filter(|_| self.compared != event) else {
            return false;
        };
        self.compared = event;
        !self.procfs.lives_on(&known.process)
    }

    fn repair(&mut self, header: &Header) {
        let pid = header.pid;
        let (old, image) = match self.known.remove(&pid) {
            Some(known) => (Some(known.process), known.image),
            None => (None, 0),
        };
        let Some(mut process) = self.procfs.process(pid) else {
            // What was known is of another program, and what it runs can't be had any more.
            self.counts.stale += u64::from(old.is_some());
            self.counts.unknown += 1;
            if let Some(old) = old {
                self.lineage.keep(old);
            }
            return;
        };
        match &old {
            // One that writes to its own arguments, as servers do to say what they are at, runs no other program.
            Some(old) if image == 0 && old.image.exepath == process.image.exepath => {}
            Some(_) => self.counts.stale += 1,
            None => self.counts.repaired += 1,
        }
        match old {
            Some(old) if old.start_time.abs_diff(process.start_time) < TICKS => {
                process.start_time = old.start_time;
                process.pidns_start = old.pidns_start;
                process.number = old.number;
                process.escaped_from = old.escaped_from;
                if old.cgroup != 0 && old.cgroup != process.cgroup {
                    self.moved = Some((pid, old.cgroup));
                }
                if self.parent(&old).is_some() {
                    (process.ppid, process.parent) = (old.ppid, old.parent);
                }
            }
            Some(old) => self.lineage.keep(old),
            None => {}
        }
        self.ensure_parents(process.ppid);
        if process.pidns_start == 0 {
            process.pidns_start = self.namespace_start(&process);
        }
        self.insert(process, header.image);
    }

    /// Reads unknown ancestors from /proc, and looks again at doubtful ones.
    fn ensure_parents(&mut self, mut pid: u32) {
        let mut child = None;
        for _ in 0..MAX_UNKNOWN_PARENTS {
            match self.known.get(&pid) {
                Some(known) if known.sure != self.doubts => {
                    let parent = known.process.ppid;
                    self.make_sure(pid);
                    pid = parent;
                    continue;
                }
                None if pid != 0 => {}
                _ => return,
            }
            let Some(mut process) = self.procfs.process(pid) else {
                return;
            };
            self.counts.repaired += 1;
            process.pidns_start = self.namespace_start(&process);
            let read = pid;
            pid = process.ppid;
            self.insert(process, 0);
            let number = self.get(read).map_or(0, |process| process.number);
            if let Some(child) = child.and_then(|child| self.get_mut(child)) {
                child.parent = number;
            }
            child = Some(read);
        }
    }

    /// When the pid namespace of a process began, as far as its parent knows.
    fn namespace_start(&self, process: &Process) -> u64 {
        match self.get(process.ppid) {
            _ if process.vpid == 1 => process.start_time,
            Some(parent) if self.procfs.share_pid_namespace(process.pid, parent.pid) => parent.pidns_start,
            _ => 0,
        }
    }

    /// The kernel told to the nanosecond when the pid namespace of a process began. Of one that is older than this table it
    /// was in ticks so far: all of its processes are to say the same, and its first one that it started then.
    fn learn_namespace_start(&mut self, pid: u32, start: u64) {
        let in_ticks = self.get(pid).map_or(0, |process| process.pidns_start);
        if start == in_ticks || in_ticks == 0 || start.wrapping_sub(in_ticks) >= self.procfs.tick {
            return;
        }
        for Process {
            start_time,
            pidns_start,
            ..
        } in self.known.values_mut().map(|known| &mut known.process)
        {
            if *pidns_start == in_ticks {
                *pidns_start = start;
                if *start_time == in_ticks {
                    *start_time = start;
                }
            }
        }
    }

    /// The epoch time of the boot that all times of processes are reckoned from, in nanoseconds.
    pub(crate) fn boot(&self) -> u64 {
        self.procfs.boot
    }

    /// Takes the boot to have been at `now`, which was just measured. Measurements differ a little each time, and what
    /// is said of a process is to be the same each time: only a clock that was set changes anything, and then all of it.
    pub(crate) fn follow_clock(&mut self, now: u64) {
        let was = std::mem::replace(&mut self.procfs.boot, now);
        if was.abs_diff(now) < CLOCK_SET {
            self.procfs.boot = was;
            return;
        }
        let moved = |time: &mut u64| {
            if *time != 0 {
                *time = time.wrapping_sub(was).wrapping_add(now);
            }
        };
        let living = self.known.values_mut().map(|known| &mut known.process);
        for process in living.chain(self.lineage.values_mut()) {
            moved(&mut process.start_time);
            moved(&mut process.exec_time);
            moved(&mut process.pidns_start);
        }
    }
}

#[cfg(test)]
mod tests;
