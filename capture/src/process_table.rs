//! Every process that is known, kept up to date by the records of exec, fork and exit.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use lanner_schema::event::{Event, param_index};
use lanner_schema::process::{Image, Process};
use lanner_schema::record::{Header, Wire};

use crate::decode::push_components;
use crate::id_map::IdMap;
use crate::procfs::Procfs;

/// How long the state of a process outlives it, in nanoseconds of event time: its children still name it as their parent.
const LINGER: u64 = 5_000_000_000;

/// How much longer it may stay, so that one pass over all processes finds the orphans of many.
const SWEEP: u64 = 1_000_000_000;

/// How much the start of a process may differ between /proc, which counts ticks, and the kernel's records.
const TICKS: u64 = 100_000_000;

/// The processes.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    processes: IdMap<u32, Process>,
    /// Processes that ended: when, and which start they had (the id may have been given away since).
    ended: VecDeque<(u64, u32, u64)>,
    limit: usize,
    procfs: Procfs,
    /// Processes that were read from /proc because their fork or exec was not seen.
    pub(crate) repaired: u64,
    /// Events whose process is not known, not even to /proc.
    pub(crate) unknown: u64,
    /// Processes that were not remembered because the table was full.
    pub(crate) refused: u64,
}

/// The index of a parameter that must be there, found when this is compiled.
macro_rules! param {
    ($event:ident, $name:literal) => {
        const {
            let index = param_index(Event::$event, $name);
            assert!(index != usize::MAX);
            index
        }
    };
}
pub(crate) use param;

fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

impl ProcessTable {
    pub(crate) fn new(limit: usize, procfs: Procfs) -> ProcessTable {
        ProcessTable {
            processes: IdMap::default(),
            ended: VecDeque::new(),
            limit,
            procfs,
            repaired: 0,
            unknown: 0,
            refused: 0,
        }
    }

    /// Reads every running process from /proc.
    pub(crate) fn fill(&mut self) {
        for process in self.procfs.processes() {
            self.insert(process);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.processes.len()
    }

    pub(crate) fn get(&self, pid: u32) -> Option<&Process> {
        self.processes.get(&pid)
    }

    fn insert(&mut self, process: Process) {
        if self.processes.len() >= self.limit && !self.processes.contains_key(&process.pid) {
            self.refused += 1;
            return;
        }
        self.processes.insert(process.pid, process);
    }

    /// Makes sure the process of an event is known: reads it from /proc if its fork or exec was lost.
    pub(crate) fn ensure(&mut self, pid: u32) {
        if pid == 0 || self.processes.contains_key(&pid) {
            return;
        }
        match self.procfs.process(pid) {
            Some(process) => {
                self.repaired += 1;
                self.insert(process);
            }
            None => self.unknown += 1,
        }
    }

    /// A process was created: `sched_process_fork`. `boot` is the epoch time of the boot, in nanoseconds.
    pub(crate) fn fork(&mut self, header: &Header, wire: &Wire<'_>, boot: u64) {
        let number = |index: usize| wire.number(index).unwrap_or(0);
        let id = |index: usize| u32::try_from(number(index)).unwrap_or(0);
        self.ensure(header.pid);
        let mut child = self.processes.get(&header.pid).cloned().unwrap_or_default();
        child.pid = id(param!(TaskFork, "child_pid"));
        child.vpid = id(param!(TaskFork, "child_vpid"));
        child.ppid = id(param!(TaskFork, "ppid"));
        child.start_time = boot.wrapping_add(number(param!(TaskFork, "start_time")));
        child.pgid = id(param!(TaskFork, "pgid"));
        child.vpgid = id(param!(TaskFork, "vpgid"));
        child.sid = id(param!(TaskFork, "sid"));
        child.uid = header.uid;
        child.gid = header.gid;
        child.cgroup = header.cgroup;
        if child.vpid == 1 {
            child.pidns_start = child.start_time;
        }
        if child.pid != 0 {
            self.insert(child);
        }
    }

    /// A program was replaced: `sched_process_exec`.
    pub(crate) fn exec(&mut self, header: &Header, wire: &Wire<'_>, boot: u64) {
        let bytes = |index: usize| wire.param(index).map_or(&[][..], |p| p.bytes);
        let cut = |index: usize| wire.param(index).is_some_and(|p| p.truncated);
        let number = |index: usize| wire.number(index).unwrap_or(0);
        let id = |index: usize| u32::try_from(number(index)).unwrap_or(0);
        let (mut exepath, mut cwd) = (Vec::new(), Vec::new());
        push_components(&mut exepath, bytes(param!(TaskExec, "exepath")));
        push_components(&mut cwd, bytes(param!(TaskExec, "cwd")));
        let image = Image {
            exe_ino: number(param!(TaskExec, "exe_ino")),
            exe_ctime: number(param!(TaskExec, "exe_ctime")),
            exe_mtime: number(param!(TaskExec, "exe_mtime")),
            exec_flags: id(param!(TaskExec, "flags")),
            truncated: cut(param!(TaskExec, "args")) || cut(param!(TaskExec, "env")),
            ..Image::new(
                text(bytes(param!(TaskExec, "comm"))),
                bytes(param!(TaskExec, "args")),
                &exepath,
                bytes(param!(TaskExec, "env")),
            )
        };
        let start_time = boot.wrapping_add(number(param!(TaskExec, "start_time")));
        // Once the parent has ended the kernel names the reaper; a rule means the process that started this one.
        let known = self.processes.get(&header.pid);
        let ppid = known
            .filter(|p| p.start_time.abs_diff(start_time) < TICKS)
            .map(|p| p.ppid)
            .filter(|parent| self.processes.contains_key(parent))
            .unwrap_or_else(|| id(param!(TaskExec, "ppid")));
        self.insert(Process {
            pid: header.pid,
            vpid: id(param!(TaskExec, "vpid")),
            ppid,
            sid: id(param!(TaskExec, "sid")),
            pgid: id(param!(TaskExec, "pgid")),
            vpgid: id(param!(TaskExec, "vpgid")),
            uid: header.uid,
            gid: header.gid,
            loginuid: id(param!(TaskExec, "loginuid")),
            tty: id(param!(TaskExec, "tty")),
            cap_inheritable: number(param!(TaskExec, "cap_inheritable")),
            cap_permitted: number(param!(TaskExec, "cap_permitted")),
            cap_effective: number(param!(TaskExec, "cap_effective")),
            start_time,
            exec_time: boot.wrapping_add(header.time),
            pidns_start: match number(param!(TaskExec, "pidns_start")) {
                0 => 0,
                start => boot.wrapping_add(start),
            },
            cgroup: header.cgroup,
            cwd: cwd.into(),
            image: Arc::new(image),
        });
    }

    /// A process ended; its state goes a little later.
    pub(crate) fn exit(&mut self, header: &Header) {
        if let Some(process) = self.processes.get(&header.pid) {
            self.ended
                .push_back((header.time, header.pid, process.start_time));
        }
        let age =
            |ended: Option<&(u64, u32, u64)>| ended.map_or(0, |(time, ..)| header.time.saturating_sub(*time));
        if age(self.ended.front()) < LINGER + SWEEP && self.ended.len() < self.limit / 4 {
            return;
        }
        let mut gone = HashSet::new();
        while age(self.ended.front()) >= LINGER || self.ended.len() >= (self.limit / 8).max(1) {
            let Some((_, pid, start)) = self.ended.pop_front() else {
                break;
            };
            if self.processes.get(&pid).is_some_and(|p| p.start_time == start) {
                self.processes.remove(&pid);
                gone.insert(pid);
            }
        }
        // Their children belong to whom the kernel gave them: the next subreaper above, or init.
        for orphan in self.processes.values_mut().filter(|p| gone.contains(&p.ppid)) {
            orphan.ppid = self.procfs.parent(orphan.pid).unwrap_or(1);
        }
    }

    /// The working directory of a process changed.
    pub(crate) fn chdir(&mut self, pid: u32, path: &[u8]) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.cwd = path.strip_suffix(b"/").unwrap_or(path).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::record::WireBuilder;

    fn table(limit: usize) -> ProcessTable {
        ProcessTable::new(limit, Procfs::at("/nonexistent"))
    }

    fn header(event: Event, pid: u32, time: u64) -> Header {
        Header {
            event: event as u16,
            pid,
            tid: pid,
            time,
            cgroup: 5,
            uid: 7,
            ..Header::default()
        }
    }

    fn exec(table: &mut ProcessTable, pid: u32, ppid: u32, argv: &[u8], time: u64) {
        let mut builder = WireBuilder::new().number(i64::from(ppid));
        for value in [
            1,
            1,
            1,
            1,
            34816,
            -1,
            0,
            0,
            0,
            99,
            7000,
            6000,
            2,
            i64::try_from(time).unwrap(),
            3,
            0,
        ] {
            builder = builder.number(value);
        }
        let bytes = builder
            .text("cat")
            .bytes(argv)
            .bytes(b"A=1\0")
            .kernel_path("/usr/bin/cat")
            .kernel_path("/srv/data")
            .text("/bin/cat")
            .build();
        let wire = Wire::read(&bytes, Event::TaskExec.row().params.len()).unwrap();
        table.exec(&header(Event::TaskExec, pid, time), &wire, 1000);
    }

    fn fork(table: &mut ProcessTable, pid: u32, child: u32, time: u64) {
        let bytes = WireBuilder::new()
            .number(i64::from(child))
            .number(1)
            .number(i64::from(pid))
            .number(i64::try_from(time).unwrap())
            .number(1)
            .number(1)
            .number(1)
            .build();
        table.fork(
            &header(Event::TaskFork, pid, time),
            &Wire::read(&bytes, 7).unwrap(),
            1000,
        );
    }

    #[test]
    fn exec_sets_the_program_and_fork_inherits_it() {
        let mut table = table(10);
        exec(&mut table, 5, 1, b"cat\0/etc/shadow\0", 10);
        let process = table.get(5).unwrap();
        assert_eq!(&*process.image.cmdline, b"cat /etc/shadow");
        assert_eq!(&*process.image.exepath, b"/usr/bin/cat");
        assert_eq!(&*process.cwd, b"/srv/data");
        assert_eq!((process.tty, process.uid, process.loginuid), (34816, 7, 0));
        assert_eq!((process.start_time, process.pidns_start), (1010, 1003));
        let image = &process.image;
        assert_eq!(
            (image.exe_ino, image.exe_ctime, image.exe_mtime, image.exec_flags),
            (99, 7000, 6000, 2)
        );
        fork(&mut table, 5, 6, 20);
        let child = table.get(6).unwrap();
        assert_eq!((child.ppid, child.start_time), (5, 1020));
        assert_eq!(child.pidns_start, 1020, "it is the first of a new pid namespace");
        assert!(Arc::ptr_eq(&child.image, &table.get(5).unwrap().image));
    }

    #[test]
    fn a_process_outlives_its_end_but_not_for_long_and_not_its_id() {
        let mut table = table(100);
        exec(&mut table, 5, 1, b"a\0", 10);
        exec(&mut table, 6, 1, b"b\0", 10);
        table.exit(&header(Event::Procexit, 5, 20));
        assert!(table.get(5).is_some(), "children still name it");
        fork(&mut table, 6, 5, 30);
        table.exit(&header(Event::Procexit, 6, 20 + LINGER));
        assert!(table.get(5).is_some(), "the id was given to another process");
        assert!(table.get(6).is_some());
        table.exit(&header(Event::Procexit, 99, 30 + 2 * LINGER));
        assert!(table.get(6).is_none());
    }

    #[test]
    fn an_exec_keeps_the_parent_that_started_it_while_its_state_lasts() {
        let mut table = table(100);
        exec(&mut table, 5, 1, b"parent\0", 10);
        fork(&mut table, 5, 6, 20);
        table.exit(&header(Event::Procexit, 5, 30));
        exec(&mut table, 6, 1, b"child\0", 20);
        assert_eq!(table.get(6).unwrap().ppid, 5);
        exec(&mut table, 7, 1, b"reader\0", 40);
        assert_eq!(table.get(7).unwrap().ppid, 1, "nothing better is known");
        exec(&mut table, 6, 1, b"recycled\0", LINGER);
        assert_eq!(table.get(6).unwrap().ppid, 1, "another process with that id");
    }

    #[test]
    fn children_of_a_process_that_is_gone_are_given_to_the_reaper() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("6")).unwrap();
        let stat = "6 (a) S 9 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0\n";
        std::fs::write(dir.path().join("6/stat"), stat).unwrap();
        let mut table = ProcessTable::new(100, Procfs::at(dir.path()));
        exec(&mut table, 5, 1, b"parent\0", 10);
        fork(&mut table, 5, 6, 20);
        fork(&mut table, 5, 7, 20);
        table.exit(&header(Event::Procexit, 5, 30));
        table.exit(&header(Event::Procexit, 99, 40));
        assert_eq!(table.get(6).unwrap().ppid, 5);
        table.exit(&header(Event::Procexit, 99, 30 + 2 * LINGER));
        assert!(table.get(5).is_none());
        assert_eq!(table.get(6).unwrap().ppid, 9, "as the kernel says");
        assert_eq!(table.get(7).unwrap().ppid, 1, "/proc knows it no more");
    }

    #[test]
    fn a_full_table_refuses_and_counts() {
        let mut table = table(1);
        exec(&mut table, 5, 1, b"a\0", 10);
        exec(&mut table, 6, 1, b"b\0", 10);
        exec(&mut table, 5, 1, b"c\0", 11);
        assert_eq!((table.len(), table.refused), (1, 1));
        table.ensure(77);
        assert_eq!(table.unknown, 1);
    }
}
