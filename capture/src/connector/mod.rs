//! The process connector: the kernel's own news of processes, for hosts without BPF.
//!
//! A message has ids and little else. What a process is after an exec is asked of /proc at once, by this source's own thread,
//! and becomes the same record that a program would have written; a fork needs nothing asked, for a child is what its
//! parent is. A process that is gone by then is counted, and nothing is known of what it ran.

mod socket;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;

use lanner_schema::event::Event;
use lanner_schema::process::Process;
use lanner_schema::record::FLAG_SUCCEEDED;
use lanner_schema::tier::Source;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};

use crate::cgroup::Cgroups;
use crate::draft::{Doer, Draft};
use crate::error::CaptureError;
use crate::outside::{self, Outside};
use crate::pid_namespace;
use crate::plan::Plan;
use crate::process_table::{param, text};
use crate::procfs::Procfs;
use crate::source::{Count, Heard, RunningSource, SourceQueue, SourceThread, Wake, refused};
use socket::{Message, Socket};

const STREAM: u8 = Source::Connector.stream();

/// A message is far smaller.
const MESSAGE: usize = 1024;

/// How long after waiting failed it is tried again.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(10);

/// Messages that are read ahead at most.
const TAKEN: usize = 1024;

/// Looks whether the kernel tells this process of others.
///
/// # Errors
/// What the kernel says.
pub(crate) fn probe() -> io::Result<()> {
    // It would not be answered, and waiting for that takes a while.
    if !pid_namespace::is_first() {
        return Err(io::Error::other(
            "this process is in a pid namespace of its own, and the kernel tells the first one only",
        ));
    }
    Socket::open().map(|_| ())
}

/// Starts it.
///
/// # Errors
/// What the kernel says.
pub(crate) fn start(queue: SourceQueue, plan: &Plan) -> Result<Connector, CaptureError> {
    let error = refused(Source::Connector);
    let socket = Socket::open().map_err(|e| error("listen", e))?;
    let wake = Arc::new(Wake::new().map_err(|e| error("make an eventfd", e))?);
    let wishes = Arc::new(Wishes::of(plan));
    let heard = Arc::new(Heard::new(Arc::clone(&wake)));
    let listener = Listener {
        heard: Arc::clone(&heard),
        ..Listener::over(socket, queue, Arc::clone(&wishes), Arc::clone(&wake))
    };
    let thread = SourceThread::start("lanner-processes", Arc::clone(&wake), move || listener.run());
    Ok(Connector {
        wishes,
        wake,
        heard,
        thread: thread.map_err(|e| error("start a thread", e))?,
    })
}

/// What is wanted of it; it may change.
#[derive(Debug)]
struct Wishes {
    environment: AtomicBool,
    /// The ends of threads, too.
    thread_exits: AtomicBool,
    /// The number of the event that forks are shown as; none of them.
    forks_as: AtomicU16,
    changed: AtomicBool,
}

impl Wishes {
    fn of(plan: &Plan) -> Wishes {
        let wishes = Wishes {
            environment: AtomicBool::new(false),
            thread_exits: AtomicBool::new(false),
            forks_as: AtomicU16::new(u16::MAX),
            changed: AtomicBool::new(false),
        };
        wishes.set(plan);
        wishes
    }

    fn set(&self, plan: &Plan) {
        self.environment.store(plan.environment, Ordering::Relaxed);
        let shows = |event| plan.shown.contains(event);
        self.thread_exits.store(shows(Event::Procexit), Ordering::Relaxed);
        // Which of the calls it was is not known.
        let calls = [Event::Clone, Event::Clone3, Event::Fork, Event::Vfork];
        let call = calls.into_iter().find(|event| shows(*event));
        self.forks_as
            .store(call.map_or(u16::MAX, |event| event as u16), Ordering::Relaxed);
        self.changed.store(true, Ordering::Release);
    }
}

/// The source at work.
#[derive(Debug)]
pub(crate) struct Connector {
    wishes: Arc<Wishes>,
    wake: Arc<Wake>,
    heard: Arc<Heard>,
    thread: SourceThread,
}

impl RunningSource for Connector {
    fn heard(&self) -> Option<Arc<Heard>> {
        Some(Arc::clone(&self.heard))
    }

    fn configure(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        self.wishes.set(plan);
        self.wake.wake();
        Ok(())
    }

    fn stop(&mut self) {
        self.thread.stop();
    }
}

/// The thread's own.
#[derive(Debug)]
struct Listener {
    socket: Socket,
    queue: SourceQueue,
    procfs: Procfs,
    wishes: Arc<Wishes>,
    wake: Arc<Wake>,
    heard: Arc<Heard>,
    /// When the kernel's queue was seen to be empty, if it was since the last time that this was told.
    empty_at: Option<u64>,
    /// What the kernel had lost when it was asked last.
    lost: u32,
    /// Something was lost that the consumer has not been told of.
    missed: bool,
    /// Messages that were read and not handed over yet.
    taken: VecDeque<(Message, u64)>,
    buffer: [u8; MESSAGE],
}

impl Listener {
    fn over(socket: Socket, queue: SourceQueue, wishes: Arc<Wishes>, wake: Arc<Wake>) -> Listener {
        let outside = Outside::default();
        Listener {
            lost: socket.lost().unwrap_or(0),
            socket,
            queue,
            procfs: Procfs::new(Cgroups::find(outside.clone()).map(Arc::new), outside),
            wishes,
            heard: Arc::new(Heard::new(Arc::clone(&wake))),
            wake,
            empty_at: None,
            missed: false,
            taken: VecDeque::new(),
            buffer: [0; MESSAGE],
        }
    }

    fn run(mut self) {
        hurry();
        loop {
            if self.wishes.changed.swap(false, Ordering::Acquire) {
                self.follow_wishes();
            }
            // What happened before the stop is still read.
            let stopping = self.wake.is_ending();
            self.read();
            if stopping {
                return;
            }
            let mut ready = [
                PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
            ];
            if let Err(error) = poll(&mut ready, PollTimeout::NONE)
                && error != Errno::EINTR
            {
                // It lacks memory, and has some in a while. Meanwhile the kernel counts what it can't keep.
                if self.queue.counts().get(Count::Failed) == 0 {
                    tracing::warn!("the process connector can't be waited for: {error}");
                }
                self.queue.counts().add(Count::Failed, 1);
                thread::sleep(AGAIN);
            }
            if ready[1].any() == Some(true) {
                self.wake.heed();
            }
        }
    }

    fn follow_wishes(&mut self) {
        self.procfs.environment = self.wishes.environment.load(Ordering::Relaxed);
        let thread_exits = self.wishes.thread_exits.load(Ordering::Relaxed);
        if let Err(error) = self.socket.filter(thread_exits) {
            tracing::debug!("messages about threads are not left out by the kernel: {error}");
        }
    }

    /// Reads what there is, and hands it over.
    fn read(&mut self) {
        self.take_over();
        while let Some((message, time)) = self.taken.pop_front() {
            self.tell(message, time);
            if self.taken.is_empty() {
                self.take_over();
            }
        }
        if let Some(time) = self.empty_at.take() {
            self.heard.everything_until(time);
        }
    }

    /// Takes over what the kernel has kept, as much as is kept here.
    fn take_over(&mut self) {
        let ahead = ahead_of_monotonic();
        self.empty_at = None;
        while self.taken.len() < TAKEN {
            let now = outside::now();
            match self.socket.receive(&mut self.buffer) {
                Ok(Some(bytes)) => {
                    let read = socket::read(bytes);
                    self.taken
                        .extend(read.map(|(message, time)| (message, time.wrapping_add(ahead))));
                }
                Ok(None) => {
                    self.empty_at = Some(now);
                    return;
                }
                Err(Errno::ENOBUFS) => self.count_lost(),
                Err(error) => {
                    self.queue.counts().add(Count::Failed, 1);
                    tracing::debug!("a message of the process connector can't be read: {error}");
                    self.missed = true;
                    return;
                }
            }
        }
    }

    fn count_lost(&mut self) {
        let more = match self.socket.lost() {
            Some(lost) => lost.wrapping_sub(std::mem::replace(&mut self.lost, lost)),
            None => 1,
        };
        self.queue.counts().add(Count::Overflow, u64::from(more));
        self.missed = true;
    }

    /// Hands the record of a message over.
    fn tell(&mut self, message: Message, time: u64) {
        if self.missed {
            let all = Draft::new(Event::TaskMissed, STREAM, 0, outside::now(), &Doer::known(0, 0));
            self.missed = !self.queue.send(all.finish());
        }
        match message {
            Message::Fork {
                parent_pid,
                parent_tgid,
                child_pid,
                child_tgid,
            } if child_pid == child_tgid => {
                let parent = Doer::known(parent_tgid, parent_pid);
                let fork = Draft::new(Event::TaskFork, STREAM, 0, time, &parent)
                    .number(param!(TaskFork, "child_pid"), child_pid.into())
                    .number(param!(TaskFork, "ppid"), parent_tgid.into())
                    .number(param!(TaskFork, "start_time"), time.cast_signed());
                self.send(fork);
                // What it returned is the child's number in the parent's namespace, which is not told.
                if let Some(call) = Event::from_index(self.wishes.forks_as.load(Ordering::Relaxed)) {
                    self.send(Draft::new(call, STREAM, FLAG_SUCCEEDED, time, &parent));
                }
            }
            Message::Exec { tgid } => self.exec(tgid, time),
            Message::Changed { pid, tgid, uid, gid } if pid == tgid => {
                let draft = Draft::new(Event::TaskChanged, STREAM, 0, time, &Doer::known(pid, pid));
                let state = self.procfs.state(pid);
                self.take_over();
                // It has changed again: what it is by now is told then.
                let is_overtaken = self.taken.iter().any(|(message, _)| changes(message, pid));
                let state = state.filter(|_| !is_overtaken);
                if (state, uid, gid) == (None, None, None) {
                    if is_overtaken {
                        return;
                    }
                    self.queue.counts().add(Count::Gone, 1);
                    return;
                }
                let draft = match state {
                    Some(state) => draft.task_state(param!(TaskChanged, "state"), &state),
                    None => draft,
                };
                // What /proc says may be after another change.
                let ids = [
                    (param!(TaskChanged, "uid"), uid),
                    (param!(TaskChanged, "gid"), gid),
                ];
                let told = ids.into_iter().filter_map(|(param, id)| Some((param, id?)));
                self.send(told.fold(draft, |draft, (param, id)| draft.number(param, id.into())));
            }
            Message::Comm { pid, tgid, comm } if pid == tgid => {
                let draft = Draft::new(Event::TaskRename, STREAM, 0, time, &Doer::known(pid, pid));
                self.send(draft.text(param!(TaskRename, "comm"), text(&comm)));
            }
            Message::Exit { pid, tgid, status } => {
                let exit = |name, value: u32| (name, i64::from(value));
                let values = [
                    exit(param!(Procexit, "status"), status),
                    exit(param!(Procexit, "ret"), status >> 8 & 0xff),
                    exit(param!(Procexit, "sig"), status & 0x7f),
                    exit(param!(Procexit, "core"), u32::from(status & 0x80 != 0)),
                    // Threads end before the first one, or with it.
                    exit(param!(Procexit, "group_dead"), u32::from(pid == tgid)),
                ];
                let draft = Draft::new(
                    Event::Procexit,
                    STREAM,
                    FLAG_SUCCEEDED,
                    time,
                    &Doer::known(tgid, pid),
                );
                let draft = values
                    .into_iter()
                    .fold(draft, |draft, (param, value)| draft.number(param, value));
                self.send(draft);
            }
            Message::Fork { .. }
            | Message::Changed { .. }
            | Message::Comm { .. }
            | Message::Answer { .. } => {}
        }
    }

    /// What runs now, as /proc has it.
    fn exec(&mut self, pid: u32, time: u64) {
        let process = self.procfs.process(pid);
        // What was read may be of the program it has run since. The kernel has told of that by then.
        self.take_over();
        let later = |is: fn(&Message, u32) -> bool| self.taken.iter().any(|(message, _)| is(message, pid));
        let is_overtaken = later(|message, of| matches!(message, Message::Exec { tgid } if *tgid == of));
        let is_renamed = later(|message, of| matches!(message, Message::Comm { pid, .. } if *pid == of));
        let has_changed = later(changes);
        // A runtime puts a process in its container's cgroup between two execs, and its children are in there, too.
        let doer = match &process {
            // Its ids were told before, and are others by now.
            Some(process) if process.cgroup != 0 && !has_changed => doer(process),
            _ => Doer::known(pid, pid),
        };
        let mut process = process.filter(|_| !is_overtaken);
        if let Some(process) = &mut process
            && is_renamed
        {
            // It has another name by now, of which a record of its own tells.
            Arc::make_mut(&mut process.image).comm = Default::default();
        }
        match &process {
            _ if is_overtaken => self.queue.counts().add(Count::Overtaken, 1),
            // One with a name and no program has ended, and its parent has not asked for that yet.
            Some(process) if !process.image.exepath.is_empty() => {}
            _ => self.queue.counts().add(Count::Gone, 1),
        }
        self.send(match process {
            Some(process) => exec_record(&process, &doer, time, self.procfs.boot),
            None => Draft::new(Event::TaskExec, STREAM, FLAG_SUCCEEDED, time, &doer),
        });
    }

    fn send(&mut self, draft: Draft) {
        // The consumer's processes are no longer right when one is lost.
        self.missed |= !self.queue.send(draft.finish());
    }
}

/// True for a message that a process has other ids, or another session.
fn changes(message: &Message, of: u32) -> bool {
    matches!(message, Message::Changed { pid, .. } if *pid == of)
}

/// This thread comes before others that are ready to run: what it asks about may end at any moment, and it asks little.
fn hurry() {
    const NICENESS: i32 = -15;
    // SAFETY: no memory is passed; 0 is the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
    if result != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(
            "processes that end at once will be missed more often, without CAP_SYS_NICE: {error}"
        );
    }
}

/// A process and its ids, as /proc has them.
fn doer(process: &Process) -> Doer {
    Doer {
        pid: process.pid,
        tid: process.pid,
        cgroup: process.cgroup,
        uid: process.uid,
        gid: process.gid,
        age: 0,
    }
}

/// The record of an exec from what /proc says afterwards.
fn exec_record(process: &Process, doer: &Doer, time: u64, boot: u64) -> Draft {
    let image = &process.image;
    let numbers = [
        (param!(TaskExec, "ppid"), process.ppid.into()),
        (param!(TaskExec, "vpid"), process.vpid.into()),
        (param!(TaskExec, "sid"), process.sid.into()),
        (param!(TaskExec, "pgid"), process.pgid.into()),
        (param!(TaskExec, "vpgid"), process.vpgid.into()),
        (param!(TaskExec, "tty"), process.tty.into()),
        (param!(TaskExec, "loginuid"), process.loginuid.into()),
        (param!(TaskExec, "cap_inheritable"), process.cap_inheritable),
        (param!(TaskExec, "cap_permitted"), process.cap_permitted),
        (param!(TaskExec, "cap_effective"), process.cap_effective),
        (param!(TaskExec, "exe_ino"), image.exe_ino),
        (param!(TaskExec, "exe_ctime"), image.exe_ctime),
        (param!(TaskExec, "exe_mtime"), image.exe_mtime),
        (param!(TaskExec, "flags"), image.exec_flags.into()),
        (
            param!(TaskExec, "start_time"),
            process.start_time.wrapping_sub(boot),
        ),
    ];
    let draft = Draft::new(Event::TaskExec, STREAM, FLAG_SUCCEEDED, time, doer);
    let draft = numbers
        .into_iter()
        .fold(draft, |draft, (param, value): (usize, u64)| {
            draft.number(param, value.cast_signed())
        })
        .text(param!(TaskExec, "comm"), &image.comm);
    if image.exepath.is_empty() {
        return draft;
    }
    let mut argv = image.exe.to_vec();
    if !argv.is_empty() || !image.args.is_empty() {
        argv.push(0);
        argv.extend_from_slice(&image.args);
    }
    let draft = draft
        .bytes(param!(TaskExec, "args"), &argv, image.args_cut)
        .bytes(param!(TaskExec, "env"), &image.env, image.env_cut)
        .path(param!(TaskExec, "exepath"), &image.exepath);
    match process.directory() {
        Some(cwd) => draft.path(param!(TaskExec, "cwd"), cwd),
        None => draft,
    }
}

/// By how many nanoseconds the clock of the records is ahead of that of the messages: that stands still while the machine
/// sleeps.
fn ahead_of_monotonic() -> u64 {
    /// So close together that the clocks are as good as read at once.
    const AT_ONCE: u64 = 10_000;
    let mut best = (u64::MAX, 0);
    // This thread may be interrupted between two of them, for long.
    for _ in 0..8 {
        let before = outside::now();
        let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
            u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0)
        });
        let apart = outside::now().saturating_sub(before);
        best = best.min((apart, before.saturating_sub(monotonic)));
        if apart <= AT_ONCE {
            break;
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume::split;
    use std::io::{Read as _, Write as _};
    use std::process::{Child, Command, Stdio};

    /// Starts a command that runs cat, which answers when this goes on: the kernel has told of all of its execs by then. That
    /// one returns from starting it is earlier, and so is its name.
    fn that_answers(command: &mut Command) -> Child {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    /// Reads until nothing is there; skipped where the kernel does not tell.
    fn listener(bytes: usize) -> Option<(Listener, flume::Receiver<Box<[u8]>>)> {
        let socket = match Socket::keeping(bytes) {
            Ok(socket) => socket,
            Err(error) => {
                eprintln!("skipped: the kernel does not tell of processes: {error}");
                return None;
            }
        };
        let (sender, records) = flume::unbounded();
        let queue = SourceQueue::new(Source::Connector, sender);
        let wishes = Arc::new(Wishes {
            environment: AtomicBool::new(false),
            thread_exits: AtomicBool::new(false),
            forks_as: AtomicU16::new(u16::MAX),
            changed: AtomicBool::new(false),
        });
        let wake = Arc::new(Wake::new().unwrap());
        Some((Listener::over(socket, queue, wishes, wake), records))
    }

    #[test]
    fn a_program_that_runs_is_a_record_with_what_it_is() {
        let Some((mut listener, records)) = listener(1 << 20) else {
            return;
        };
        let mut child = that_answers(Command::new("cat").arg("-").env("LANNER_MARK", "1"));
        listener.procfs.environment = true;
        listener.read();
        let records: Vec<Box<[u8]>> = records.drain().collect();
        let of = |wanted: Event| {
            records
                .iter()
                .map(|bytes| split(bytes).unwrap())
                .find(|(header, event, wire)| {
                    let about = match wanted {
                        Event::TaskFork => wire.number(param!(TaskFork, "child_pid")).unwrap_or(0),
                        _ => header.pid.into(),
                    };
                    *event == wanted && about == u64::from(child.id())
                })
        };
        let (header, ..) = of(Event::TaskFork).unwrap();
        assert_eq!((header.pid, header.stream), (std::process::id(), STREAM));
        let (header, _, wire) = of(Event::TaskExec).unwrap();
        let now = outside::now();
        assert!(
            header.time <= now && now - header.time < 60_000_000_000,
            "{header:?}"
        );
        assert_ne!(header.cgroup, 0);
        let text_of = |index: usize| wire.param(index).unwrap().bytes;
        assert_eq!(text_of(param!(TaskExec, "comm")), b"cat\0");
        assert_eq!(text_of(param!(TaskExec, "args")), b"cat\0-\0");
        assert!(memchr::memmem::find(text_of(param!(TaskExec, "env")), b"LANNER_MARK=1\0").is_some());
        assert_eq!(
            wire.number(param!(TaskExec, "ppid")),
            Some(std::process::id().into())
        );
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_program_that_ran_another_before_it_was_asked_about_is_not_taken_for_that() {
        let Some((mut listener, records)) = listener(1 << 20) else {
            return;
        };
        let mut child = that_answers(Command::new("sh").args(["-c", "exec cat -"]));
        listener.read();
        let names: Vec<Option<Vec<u8>>> = records
            .drain()
            .filter_map(|bytes| {
                let (header, event, wire) = split(&bytes)?;
                let comm = wire
                    .param(param!(TaskExec, "comm"))
                    .map(|comm| comm.bytes.to_vec());
                (event == Event::TaskExec && header.pid == child.id()).then_some(comm)
            })
            .collect();
        assert_eq!(names, [None, Some(b"cat\0".to_vec())]);
        assert!(listener.queue.counts().get(Count::Overtaken) > 0);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn messages_the_kernel_could_not_keep_are_counted_and_the_consumer_is_told() {
        let Some((mut listener, records)) = listener(1) else {
            return;
        };
        for _ in 0..40 {
            Command::new("true").status().unwrap();
        }
        // Something may come at any time: until what is lost is known.
        while listener.queue.counts().get(Count::Overflow) == 0 {
            listener.read();
        }
        Command::new("true").status().unwrap();
        listener.read();
        let missed = records
            .drain()
            .filter(|bytes| split(bytes).unwrap().1 == Event::TaskMissed);
        assert!(missed.count() > 0 && !listener.missed);
        assert_eq!(
            u64::from(listener.lost),
            listener.queue.counts().get(Count::Overflow)
        );
    }
}
