//! Every process that is known, kept up to date by the records of exec, fork and exit.
//!
//! What was lost is noticed and made good: a record carries a number that changes with every exec and differs between
//! processes ([`Header::image`]), and a process that shows another one than it had is read from /proc again. Of a lost
//! `chdir` or another name no record tells: when such records were lost, every process is looked at again when it is heard
//! of next, once ([`ProcessTable::doubt`]). Processes whose end was lost are purged from time to time; a full table forgets
//! whom it has not heard of for longest. Whoever goes is kept for those it started ([`Lineage`]).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use lanner_schema::event::{EVENTS, Event};
use lanner_schema::flags::{EXE_FROM_MEMFD, EXE_UNKNOWN_LAYER};
use lanner_schema::process::{Image, Process, UNKNOWN_DIRECTORY};
use lanner_schema::record::{Header, TaskState, Wire};
use memchr::memchr;

use crate::decode::{Start, push_components, push_names, push_relative};
use crate::history::{History, Since, Within};
use crate::id_map::IdMap;
use crate::lineage::Lineage;
use crate::magic_link;
use crate::plan::Config;
use crate::procfs::{Procfs, is_cut};

/// How long a process keeps its id after its end, in nanoseconds of event time: events of it may come late.
const LINGER: u64 = 5_000_000_000;

/// How much longer it may stay, so that one pass over all processes finds the children of many.
const SWEEP: u64 = 1_000_000_000;

/// How much the start of a process may differ between /proc, which counts ticks, and the kernel's records.
pub(crate) const TICKS: u64 = 100_000_000;

/// How much the boot must seem to have moved for the clock to have been set: far more than a measurement is wrong.
const CLOCK_SET: u64 = 1_000_000;

/// How many parameters the record of an exec has.
const TASK_EXEC_PARAMS: usize = EVENTS[Event::TaskExec as usize].params.len();

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

    /// What a process was between two times, in nanoseconds since boot, where that is kept.
    pub(crate) fn within(&self, pid: u32, from: u64, to: u64) -> Within {
        match (&self.history, self.known.get(&pid)) {
            (None, _) => Within::AsNow,
            _ if self.missed_at >= from && self.missed_at > 0 => Within::Untold,
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

    /// A process was created: `sched_process_fork`.
    pub(crate) fn fork(&mut self, header: &Header, wire: &Wire<'_>) {
        let boot = self.boot();
        let number = |index: usize| wire.number(index).unwrap_or(0);
        let id = |index: usize| u32::try_from(number(index)).unwrap_or(0);
        // What /proc says of the parent by now need not be what it was when the child began: that is looked at itself.
        let sure = self.known.get(&header.pid).map(|known| known.sure);
        self.ensure(header);
        let pid = id(param!(TaskFork, "child_pid"));
        if pid == 0 {
            return;
        }
        let is_told = |index: usize| wire.param(index).is_some();
        let ppid = match is_told(param!(TaskFork, "ppid")) {
            true => id(param!(TaskFork, "ppid")),
            false => header.pid,
        };
        self.ensure_parents(ppid);
        let mut child = match self.get(header.pid) {
            Some(parent) => parent.clone(),
            // Its parent is gone; it may still be there.
            None => self.procfs.process(pid).unwrap_or_default(),
        };
        child.number = 0;
        child.pid = pid;
        child.vpid = match is_told(param!(TaskFork, "child_vpid")) {
            true => id(param!(TaskFork, "child_vpid")),
            // Its parent's namespace is the first one as far as that has one number: so has the child, most likely.
            false if child.vpid == header.pid => pid,
            false => self.procfs.number_inside(pid).unwrap_or(0),
        };
        // One that is to be a sibling of who made it (CLONE_PARENT) has its parent, also one that has ended since.
        if ppid == header.pid || child.parent == 0 {
            child.ppid = ppid;
            child.parent = 0;
        }
        child.start_time = boot.wrapping_add(number(param!(TaskFork, "start_time")));
        // Not told, it is in those of its parent.
        if is_told(param!(TaskFork, "pgid")) {
            child.pgid = id(param!(TaskFork, "pgid"));
            child.vpgid = id(param!(TaskFork, "vpgid"));
            child.sid = id(param!(TaskFork, "sid"));
        }
        // Nobody's, when neither the record nor the table had the parent's.
        if (header.uid, header.cgroup) != (u32::MAX, 0) {
            child.uid = header.uid;
            child.gid = header.gid;
            child.cgroup = header.cgroup;
        }
        if child.vpid == 1 {
            child.pidns_start = child.start_time;
        }
        // A thread may have a name of its own, and what it creates inherits that.
        let comm = wire
            .param(param!(TaskFork, "comm"))
            .map_or(&[][..], |p| text(p.bytes));
        if !comm.is_empty() && *comm != *child.image.comm {
            child.image = Arc::new(child.image.renamed(comm));
        }
        let image = u16::try_from(number(param!(TaskFork, "child_image"))).unwrap_or(0);
        // Another may have had its id.
        let is_first = !self.known.contains_key(&pid);
        self.before_change(pid, header.time);
        self.insert(child, image);
        let time = header.time;
        self.set_since(pid, Since { time, is_first });
        let sure = self.sure_at(header.time, sure.unwrap_or(self.doubts));
        if let Some(known) = self.known.get_mut(&pid) {
            known.sure = sure;
        }
    }

    /// A program was replaced: `sched_process_exec`. What a record of another source does not tell is as it was; the program
    /// is one that nothing is known of then.
    pub(crate) fn exec(&mut self, header: &Header, wire: &Wire<'_>) {
        let boot = self.boot();
        let params: [_; TASK_EXEC_PARAMS] = wire.params();
        let told = |index: usize| params[index].and_then(|p| p.number());
        let bytes = |index: usize| params[index].map_or(&[][..], |p| p.bytes);
        let cut = |index: usize| params[index].is_some_and(|p| p.truncated);
        let number = |index: usize| told(index).unwrap_or(0);
        let id = |index: usize| u32::try_from(number(index)).unwrap_or(0);
        self.now = self.now.max(header.time);
        let mut paths = std::mem::take(&mut self.paths);
        paths.clear();
        let (path, directory) = (param!(TaskExec, "exepath"), param!(TaskExec, "cwd"));
        push_components(&mut paths, bytes(path), cut(path));
        let end = paths.len();
        push_components(&mut paths, bytes(directory), cut(directory));
        let (mut exepath, cwd) = paths.split_at(end);
        if id(param!(TaskExec, "flags")) & EXE_FROM_MEMFD != 0 {
            // A memory file has a name and no path.
            exepath = exepath.strip_prefix(b"/").unwrap_or(exepath);
        }
        let image = Image {
            exe_ino: number(param!(TaskExec, "exe_ino")),
            exe_ctime: number(param!(TaskExec, "exe_ctime")),
            exe_mtime: number(param!(TaskExec, "exe_mtime")),
            exec_flags: told(param!(TaskExec, "flags"))
                .map_or(EXE_UNKNOWN_LAYER, |flags| u32::try_from(flags).unwrap_or(0)),
            args_cut: cut(param!(TaskExec, "args")),
            env_cut: cut(param!(TaskExec, "env")),
            ..Image::new(
                text(bytes(param!(TaskExec, "comm"))),
                bytes(param!(TaskExec, "args")),
                exepath,
                bytes(param!(TaskExec, "env")),
            )
        }
        .in_directory(cwd);
        let before = self.get(header.pid);
        let start_time = match told(param!(TaskExec, "start_time")) {
            Some(start) => boot.wrapping_add(start),
            None => before.map_or(0, |p| p.start_time),
        };
        let was = before.filter(|p| p.start_time.abs_diff(start_time) < TICKS);
        let id_or = |index: usize, was_id: fn(&Process) -> u32| match told(index) {
            Some(id) => u32::try_from(id).unwrap_or(0),
            None => was.map_or(0, was_id),
        };
        let set_or = |index: usize, was_set: fn(&Process) -> u64| {
            told(index).unwrap_or_else(|| was.map_or(0, was_set))
        };
        let vpid = id_or(param!(TaskExec, "vpid"), |p| p.vpid);
        let sid = id_or(param!(TaskExec, "sid"), |p| p.sid);
        let pgid = id_or(param!(TaskExec, "pgid"), |p| p.pgid);
        let vpgid = id_or(param!(TaskExec, "vpgid"), |p| p.vpgid);
        let loginuid = id_or(param!(TaskExec, "loginuid"), |p| p.loginuid);
        let tty = id_or(param!(TaskExec, "tty"), |p| p.tty);
        let cap_inheritable = set_or(param!(TaskExec, "cap_inheritable"), |p| p.cap_inheritable);
        let cap_permitted = set_or(param!(TaskExec, "cap_permitted"), |p| p.cap_permitted);
        let cap_effective = set_or(param!(TaskExec, "cap_effective"), |p| p.cap_effective);
        let cwd = match (params[directory], was) {
            (None, Some(was)) => was.cwd.clone(),
            (None, None) => UNKNOWN_DIRECTORY.into(),
            _ => cwd.into(),
        };
        let pidns_start = match told(param!(TaskExec, "pidns_start")) {
            Some(0) => 0,
            Some(start) => boot.wrapping_add(start),
            None if vpid == 1 => start_time,
            // With another number than it was started with it was started into another namespace.
            None => was.filter(|p| p.vpid == vpid).map_or(0, |p| p.pidns_start),
        };
        if params[param!(TaskExec, "pidns_start")].is_some() {
            self.learn_namespace_start(header.pid, pidns_start);
        }
        let process = Process {
            number: 0,
            parent: 0,
            pid: header.pid,
            vpid,
            ppid: id(param!(TaskExec, "ppid")),
            sid,
            pgid,
            vpgid,
            uid: header.uid,
            gid: header.gid,
            loginuid,
            tty,
            cap_inheritable,
            cap_permitted,
            cap_effective,
            start_time,
            exec_time: boot.wrapping_add(header.time),
            pidns_start,
            cgroup: header.cgroup,
            escaped_from: 0,
            cgroups: Arc::default(),
            cwd,
            image: Arc::new(image),
        };
        self.paths = paths;
        self.replace(header, process);
    }

    /// As [`ProcessTable::exec`], of a record that has what the program was started with and nothing else: the rest is what
    /// /proc says while it runs, or as it was before and the path that was passed.
    pub(crate) fn exec_by_proc(&mut self, header: &Header, wire: &Wire<'_>) {
        let bytes = |index: usize| wire.param(index).map_or(&[][..], |p| p.bytes);
        let cut = |index: usize| wire.param(index).is_some_and(|p| p.truncated);
        let (args, env) = (param!(TaskExec, "args"), param!(TaskExec, "env"));
        let comm = text(bytes(param!(TaskExec, "comm")));
        self.now = self.now.max(header.time);
        let started = |exepath: &[u8]| Image {
            exec_flags: EXE_UNKNOWN_LAYER,
            args_cut: cut(args),
            env_cut: cut(env),
            ..Image::new(comm, bytes(args), exepath, bytes(env))
        };
        let known = self.get(header.pid).cloned();
        let mut process = match (self.procfs.process(header.pid), &known) {
            (Some(shown), _) if shown.image.same_command(&started(b"")) => shown,
            // It has gone on as another program since.
            (Some(shown), _) => guessed(&shown, known.as_ref(), wire, started),
            (None, Some(before)) => guessed(before, known.as_ref(), wire, started),
            (None, None) => {
                let unknown = Process {
                    pid: header.pid,
                    vpid: header.pid,
                    loginuid: u32::MAX,
                    start_time: self.boot().wrapping_add(header.time),
                    uid: header.uid,
                    gid: header.gid,
                    cwd: UNKNOWN_DIRECTORY.into(),
                    ..Process::default()
                };
                guessed(&unknown, None, wire, started)
            }
        };
        if process.image.env.is_empty() && wire.param(env).is_some() {
            let image = Arc::make_mut(&mut process.image);
            image.env = bytes(env).into();
            image.env_cut = cut(env);
        }
        if let Some(known) = known.filter(|known| known.start_time.abs_diff(process.start_time) < TICKS) {
            process.start_time = known.start_time;
            process.pidns_start = known.pidns_start;
        }
        if let Some(ppid) = wire.number(param!(TaskExec, "ppid")) {
            process.ppid = u32::try_from(ppid).unwrap_or(process.ppid);
        }
        process.exec_time = self.boot().wrapping_add(header.time);
        if header.cgroup != 0 {
            process.cgroup = header.cgroup;
        }
        if process.pidns_start == 0 {
            process.pidns_start = self.namespace_start(&process);
        }
        let header = Header {
            cgroup: process.cgroup,
            ..*header
        };
        self.replace(&header, process);
    }

    /// Puts a process that runs another program in the place of what it was. Its parent is the one it is said to have, unless
    /// it is known which it was.
    fn replace(&mut self, header: &Header, process: Process) {
        let start_time = process.start_time;
        // Once the parent has ended the kernel names the reaper; a rule means the process that started this one.
        let known = self
            .get(header.pid)
            .filter(|p| p.start_time.abs_diff(start_time) < TICKS);
        let (was_in, escaped_from) = known.map_or((0, 0), |p| (p.cgroup, p.escaped_from));
        let same = known.map_or(0, |p| p.number);
        let (ppid, parent) = known
            .filter(|p| self.parent(p).is_some())
            .map_or((process.ppid, 0), |p| (p.ppid, p.parent));
        if parent == 0 {
            self.ensure_parents(ppid);
        }
        let mut cgroups = self.procfs.cgroup_names.of(header.cgroup, header.pid);
        if let Some(known) = self.get(header.pid).filter(|_| cgroups.is_empty()) {
            // It has ended since; it was in those of its parent.
            cgroups = Arc::clone(&known.cgroups);
        }
        let process = Process {
            number: same,
            parent,
            ppid,
            escaped_from,
            cgroups,
            ..process
        };
        if was_in != 0 && was_in != header.cgroup {
            self.moved = Some((header.pid, was_in));
        }
        self.before_change(header.pid, header.time);
        self.insert(process, header.image);
        self.set_since(header.pid, Since::change(header.time));
        let sure = self.sure_at(header.time, self.doubts);
        if let Some(known) = self.known.get_mut(&header.pid) {
            known.sure = sure;
        }
    }

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
    fn make_room(&mut self) {
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

    /// A process got another name.
    pub(crate) fn rename(&mut self, pid: u32, comm: &[u8]) {
        if let Some(process) = self.get_mut(pid) {
            process.image = Arc::new(process.image.renamed(text(comm)));
        }
    }

    /// A call changed a process: thread `tid` of process `pid` made it. Ids and capabilities are a thread's own, and those
    /// of the first thread are the process's; the rest is the whole process's.
    pub(crate) fn follow(&mut self, header: &Header, state: &TaskState) {
        let Some(process) = self.get_mut(state.pid) else {
            return;
        };
        process.sid = state.sid;
        process.pgid = state.pgid;
        process.vpgid = state.vpgid;
        process.tty = state.tty;
        if header.tid == header.pid || header.pid != state.pid {
            process.uid = state.uid;
            process.gid = state.gid;
            process.cap_inheritable = state.cap_inheritable;
            process.cap_permitted = state.cap_permitted;
            process.cap_effective = state.cap_effective;
        }
    }

    /// The working directory of a process changed.
    pub(crate) fn chdir(&mut self, pid: u32, path: &[u8]) {
        if let Some(process) = self.get_mut(pid) {
            process.cwd = path.strip_suffix(b"/").unwrap_or(path).into();
        }
    }
}

/// A process as it is shown or was, with another program: its file is taken to be the one that was passed, if it can be told
/// where that leads. `known` is the process before its exec.
fn guessed(
    shown: &Process,
    known: Option<&Process>,
    wire: &Wire<'_>,
    started: impl Fn(&[u8]) -> Image,
) -> Process {
    let filename = wire
        .param(param!(TaskExec, "filename"))
        .map_or(&[][..], |p| text(p.bytes));
    let known = known.filter(|known| known.start_time.abs_diff(shown.start_time) < TICKS);
    // One that has ended is shown without its directory, and an exec does not change that.
    let cwd = match (shown.directory(), known) {
        (None, Some(known)) => known.cwd.clone(),
        _ => shown.cwd.clone(),
    };
    let mut exepath = Vec::new();
    match filename.first() {
        None => {}
        // What these lead to is another for everybody who looks.
        Some(_) if filename.starts_with(b"/proc/") || filename.starts_with(b"/dev/fd/") => {
            if let Some(known) = known {
                magic_link::follow(filename, b"", false, known, &mut exepath);
            }
        }
        Some(b'/') => push_names(&mut exepath, 0, filename),
        Some(_) if *cwd == *UNKNOWN_DIRECTORY => {}
        Some(_) => push_relative(&mut exepath, &cwd, filename),
    }
    Process {
        image: Arc::new(started(&exepath).in_directory(&cwd)),
        cwd,
        ..shown.clone()
    }
}

#[cfg(test)]
#[path = "process_table_tests.rs"]
mod tests;
