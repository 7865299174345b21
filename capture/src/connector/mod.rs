//! The process connector: the kernel's own news of processes, for hosts without BPF.
//!
//! A message has ids and little else. What a process is after an exec is asked of /proc at once, by this source's own thread,
//! and becomes the same record that a program would have written; a fork needs nothing asked, for a child is what its
//! parent is. A process that is gone by then is counted, and nothing is known of what it ran.

mod socket;

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use lanner_schema::event::Event;
use lanner_schema::process::Process;
use lanner_schema::record::FLAG_SUCCEEDED;
use lanner_schema::tier::Source;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};

use crate::cgroup::Cgroups;
use crate::draft::{Doer, Draft};
use crate::error::CaptureError;
use crate::outside::{self, Outside};
use crate::plan::Plan;
use crate::process_table::{param, text};
use crate::procfs::Procfs;
use crate::source::{Count, RunningSource, SourceQueue};
use socket::{Message, Socket};

const STREAM: u8 = Source::Connector.stream();

/// A message is far smaller.
const MESSAGE: usize = 1024;

/// Looks whether the kernel tells this process of others.
///
/// # Errors
/// What the kernel says.
pub(crate) fn probe() -> io::Result<()> {
    Socket::open().map(|_| ())
}

/// Starts it.
///
/// # Errors
/// What the kernel says.
pub(crate) fn start(queue: SourceQueue, plan: &Plan) -> Result<Connector, CaptureError> {
    let error = |step: &str, error: io::Error| CaptureError::Source {
        source_name: Source::Connector.name(),
        step: step.into(),
        reason: error,
    };
    let socket = Socket::open().map_err(|e| error("listen", e))?;
    let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
    let wake = Arc::new(wake.map_err(|e| error("make an eventfd", e.into()))?);
    let wishes = Arc::new(Wishes::default());
    wishes.set(plan);
    let outside = Outside::default();
    let listener = Listener {
        lost: socket.lost().unwrap_or(0),
        socket,
        queue,
        procfs: Procfs::new(Cgroups::find(outside.clone()).map(Arc::new), outside),
        wishes: Arc::clone(&wishes),
        wake: Arc::clone(&wake),
        missed: false,
    };
    let thread = thread::Builder::new().name("lanner-processes".into());
    let thread = thread.spawn(move || listener.run());
    Ok(Connector {
        wishes,
        wake,
        thread: Some(thread.map_err(|e| error("start a thread", e))?),
    })
}

/// What is wanted of it; it may change.
#[derive(Debug, Default)]
struct Wishes {
    environment: AtomicBool,
    /// The ends of threads, too.
    thread_exits: AtomicBool,
    /// `clone` as an event.
    clones: AtomicBool,
    changed: AtomicBool,
    stop: AtomicBool,
}

impl Wishes {
    fn set(&self, plan: &Plan) {
        self.environment.store(plan.environment, Ordering::Relaxed);
        let shows = |event| plan.shown.contains(event);
        self.thread_exits.store(shows(Event::Procexit), Ordering::Relaxed);
        self.clones.store(shows(Event::Clone), Ordering::Relaxed);
        self.changed.store(true, Ordering::Release);
    }
}

/// The source at work.
#[derive(Debug)]
pub(crate) struct Connector {
    wishes: Arc<Wishes>,
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl RunningSource for Connector {
    fn configure(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        self.wishes.set(plan);
        let _ = self.wake.write(1);
        Ok(())
    }

    fn stop(&mut self) {
        self.wishes.stop.store(true, Ordering::Release);
        let _ = self.wake.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread's own.
#[derive(Debug)]
struct Listener {
    socket: Socket,
    queue: SourceQueue,
    procfs: Procfs,
    wishes: Arc<Wishes>,
    wake: Arc<EventFd>,
    /// What the kernel had lost when it was asked last.
    lost: u32,
    /// Something was lost that the consumer has not been told of.
    missed: bool,
}

impl Listener {
    fn run(mut self) {
        let mut buffer = [0; MESSAGE];
        loop {
            if self.wishes.changed.swap(false, Ordering::Acquire) {
                self.follow_wishes();
            }
            // What happened before the stop is still read.
            let stopping = self.wishes.stop.load(Ordering::Acquire);
            self.read(&mut buffer);
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
                self.queue.counts().add(Count::Failed, 1);
                tracing::error!("the process connector is not read any more: {error}");
                return;
            }
            if ready[1].any() == Some(true) {
                let _ = self.wake.read();
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

    /// Reads what there is.
    fn read(&mut self, buffer: &mut [u8; MESSAGE]) {
        let ahead = ahead_of_monotonic();
        loop {
            let read = match self.socket.receive(buffer) {
                Ok(Some(bytes)) => socket::read(bytes),
                Ok(None) => return,
                Err(Errno::ENOBUFS) => {
                    self.count_lost();
                    continue;
                }
                Err(error) => {
                    self.queue.counts().add(Count::Failed, 1);
                    tracing::debug!("a message of the process connector can't be read: {error}");
                    return;
                }
            };
            if let Some((message, time)) = read {
                self.tell(message, time.wrapping_add(ahead));
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
                if self.wishes.clones.load(Ordering::Relaxed) {
                    let clone = Draft::new(Event::Clone, STREAM, FLAG_SUCCEEDED, time, &parent);
                    self.send(clone.number(param!(Clone, "res"), child_pid.into()));
                }
            }
            Message::Exec { tgid } => self.exec(tgid, time),
            Message::Changed { pid, tgid } if pid == tgid => match self.procfs.state(pid) {
                Some(state) => {
                    let draft = Draft::new(Event::TaskChanged, STREAM, 0, time, &Doer::known(pid, pid));
                    self.send(draft.task_state(param!(TaskChanged, "state"), &state));
                }
                None => self.queue.counts().add(Count::Gone, 1),
            },
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
            Message::Fork { .. } | Message::Changed { .. } | Message::Comm { .. } | Message::Answer(_) => {}
        }
    }

    /// What runs now, as /proc has it.
    fn exec(&mut self, pid: u32, time: u64) {
        let Some(process) = self.procfs.process(pid) else {
            self.queue.counts().add(Count::Gone, 1);
            let nothing = Draft::new(
                Event::TaskExec,
                STREAM,
                FLAG_SUCCEEDED,
                time,
                &Doer::known(pid, pid),
            );
            self.send(nothing);
            return;
        };
        if process.image.exepath.is_empty() {
            // It has ended, and its parent has not asked for that yet: its name and ids are all there is.
            self.queue.counts().add(Count::Gone, 1);
        }
        let draft = exec_record(&process, time, self.procfs.boot);
        self.send(draft);
    }

    fn send(&mut self, draft: Draft) {
        // The consumer's processes are no longer right when one is lost.
        self.missed |= !self.queue.send(draft.finish());
    }
}

/// The record of an exec from what /proc says afterwards.
fn exec_record(process: &Process, time: u64, boot: u64) -> Draft {
    let doer = Doer {
        pid: process.pid,
        tid: process.pid,
        cgroup: process.cgroup,
        uid: process.uid,
        gid: process.gid,
    };
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
    let draft = Draft::new(Event::TaskExec, STREAM, FLAG_SUCCEEDED, time, &doer);
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
    draft
        .bytes(param!(TaskExec, "args"), &argv, image.args_cut)
        .bytes(param!(TaskExec, "env"), &image.env, image.env_cut)
        .path(param!(TaskExec, "exepath"), &image.exepath)
        .path(param!(TaskExec, "cwd"), &process.cwd)
}

/// By how many nanoseconds the clock of the records is ahead of that of the messages: that stands still while the machine
/// sleeps.
fn ahead_of_monotonic() -> u64 {
    let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0)
    });
    // Asked one after the other they are never less apart than they are.
    outside::now().saturating_sub(monotonic)
}
