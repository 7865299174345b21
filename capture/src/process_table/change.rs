//! What records tell of processes: that they began, run another program, or are otherwise than before.

use std::sync::Arc;

use lanner_schema::event::{EVENTS, Event};
use lanner_schema::flags::{EXE_FROM_MEMFD, EXE_UNKNOWN_LAYER};
use lanner_schema::process::{Image, Process, UNKNOWN_DIRECTORY};
use lanner_schema::record::{Header, TaskState, Wire};

use super::{ProcessTable, TICKS, param, text};
use crate::decode::{push_components, push_names, push_relative};
use crate::history::Since;
use crate::magic_link;

/// How many parameters the records of an exec and of a fork have.
const TASK_EXEC_PARAMS: usize = EVENTS[Event::TaskExec as usize].params.len();
const TASK_FORK_PARAMS: usize = EVENTS[Event::TaskFork as usize].params.len();

impl ProcessTable {
    /// A process was created: `sched_process_fork`.
    pub(crate) fn fork(&mut self, header: &Header, wire: &Wire<'_>) {
        let boot = self.boot();
        let params: [_; TASK_FORK_PARAMS] = wire.params();
        let number = |index: usize| params[index].and_then(|p| p.number()).unwrap_or(0);
        let id = |index: usize| u32::try_from(number(index)).unwrap_or(0);
        // What /proc says of the parent by now need not be what it was when the child began: that is looked at itself.
        let sure = self.known.get(&header.pid).map(|known| known.sure);
        self.ensure(header);
        let pid = id(param!(TaskFork, "child_pid"));
        if pid == 0 {
            return;
        }
        let is_told = |index: usize| params[index].is_some();
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
        let comm = params[param!(TaskFork, "comm")].map_or(&[][..], |p| text(p.bytes));
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
