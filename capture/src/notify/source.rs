//! The source: calls of notified containers as records.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lanner_schema::event::{EVENT_COUNT, Event, EventSet, SOCKETCALLS};
use lanner_schema::record::{FLAG_ATTEMPTED, FLAG_COMPAT};
use lanner_schema::seccomp::{self, AUDIT_ARCH_I386, Answer, SOCKETCALL, event_of};
use lanner_schema::tier::Source;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::EpollTimeout;

use super::arguments::Call;
use super::borrower::{Borrowed, Borrower, Turn, Witness};
use super::listener::Notification;
use crate::cgroup::Cgroups;
use crate::draft::{Doer, Draft};
use crate::error::CaptureError;
use crate::outside::{self, Outside};
use crate::plan::Plan;
use crate::source::{Count, RunningSource, SourceQueue, SourceThread, Wake, refused};

/// How often a keeper is looked for.
const LOOK: Duration = Duration::from_secs(1);
/// What a keeper that ends is given for it.
const ENDING: Duration = Duration::from_millis(5);
/// Numbers of calls that are looked up at once.
const NUMBERS: usize = 512;

/// Looks whether this kernel can notify of calls. Whether there is a keeper is another question: it may come later.
///
/// # Errors
/// What the kernel says.
pub(crate) fn probe() -> std::io::Result<()> {
    const GET_ACTION_AVAIL: libc::c_ulong = 2;
    let action = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: the call reads a number of ours.
    match unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Starts it.
///
/// # Errors
/// When there can be no thread.
pub(crate) fn start(queue: SourceQueue, plan: &Plan) -> Result<Notify, CaptureError> {
    let error = refused(Source::Seccomp);
    let wake = Arc::new(Wake::new().map_err(|e| error("make an eventfd", e))?);
    let wishes = Arc::new(Wishes::default());
    wishes.set(plan);
    let worker = Worker {
        keeper: plan.keeper.clone(),
        wake: Arc::clone(&wake),
        watcher: Watcher::new(queue, Arc::clone(&wishes)),
    };
    let thread = SourceThread::start("lanner-notify", wake, move || worker.run());
    Ok(Notify {
        wishes,
        thread: thread.map_err(|e| error("start a thread", e))?,
    })
}

/// What is wanted of it; it may change.
#[derive(Debug, Default)]
struct Wishes {
    wanted: Mutex<Wanted>,
    changed: AtomicBool,
}

/// What becomes a record.
#[derive(Debug, Clone)]
struct Wanted {
    events: EventSet,
    /// Per event, the on-demand parameters that are read.
    params: [u32; EVENT_COUNT],
    snaplen: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted {
            events: EventSet::NONE,
            params: [0; EVENT_COUNT],
            snaplen: 0,
        }
    }
}

impl Wishes {
    fn set(&self, plan: &Plan) {
        let events = plan
            .shown
            .iter()
            .filter(|event| Source::Seccomp.sees(*event))
            .collect();
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Wanted {
            events,
            params: plan.params,
            snaplen: plan.snaplen as usize,
        };
        self.changed.store(true, Ordering::Release);
    }
}

/// The source at work.
#[derive(Debug)]
pub(crate) struct Notify {
    wishes: Arc<Wishes>,
    thread: SourceThread,
}

impl RunningSource for Notify {
    fn configure(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        self.wishes.set(plan);
        Ok(())
    }

    fn stop(&mut self) {
        self.thread.stop();
    }
}

/// The thread's own.
#[derive(Debug)]
struct Worker {
    keeper: PathBuf,
    wake: Arc<Wake>,
    watcher: Watcher,
}

impl Worker {
    fn run(mut self) {
        let mut is_missing = false;
        // What is left of a keeper that has parted from us.
        let mut left: Option<Borrower> = None;
        while !self.wake.is_ending() {
            match Borrower::connect(&self.keeper, &*self.wake) {
                Ok(borrower) => {
                    is_missing = false;
                    tracing::info!(
                        "seccomp notify: the keeper at {} is served",
                        self.keeper.display()
                    );
                    if let Some(left) = left.take() {
                        left.give_to(&borrower);
                    }
                    left = self.serve(borrower);
                }
                // Just ending: in a moment it is gone.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => thread::sleep(ENDING),
                Err(error) => {
                    if !std::mem::replace(&mut is_missing, true) {
                        tracing::info!(
                            "seccomp notify: no keeper at {} ({error}): calls of notified containers are not seen until there is one",
                            self.keeper.display()
                        );
                    }
                    let is_gone = matches!(
                        error.kind(),
                        std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound
                    );
                    // One that is there has taken back what it lent.
                    left = left.filter(|_| is_gone);
                    match &mut left {
                        Some(borrower) => {
                            borrower.inherit();
                            self.watcher_turns(borrower, LOOK);
                        }
                        None => self.wait(),
                    }
                }
            }
        }
    }

    /// Serves listeners of a keeper that has gone, for so long.
    fn watcher_turns(&mut self, borrower: &mut Borrower, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = EpollTimeout::try_from(left.as_millis()).unwrap_or(EpollTimeout::ZERO);
            if borrower.turn(wait, &mut self.watcher) != Turn::More || left.is_zero() {
                return;
            }
        }
    }

    /// Serves a keeper until we are to stop; what is left when it parts from us.
    fn serve(&mut self, mut borrower: Borrower) -> Option<Borrower> {
        loop {
            match borrower.turn(EpollTimeout::NONE, &mut self.watcher) {
                Turn::More => {}
                Turn::Stopped => return None,
                Turn::Parted => {
                    let (answered, silent) = borrower.told();
                    tracing::warn!(
                        "seccomp notify: the keeper has parted from {} listeners (it answered {answered} calls itself, and found agents silent {silent} times)",
                        borrower.listeners()
                    );
                    return Some(borrower);
                }
            }
        }
    }

    /// Waits until a keeper is looked for again, or we are to stop.
    fn wait(&self) {
        let mut polled = [PollFd::new(
            std::os::fd::AsFd::as_fd(&*self.wake),
            PollFlags::POLLIN,
        )];
        let limit = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::MAX);
        if let Err(error) = poll(&mut polled, limit)
            && error != Errno::EINTR
        {
            thread::sleep(LOOK);
        }
    }
}

/// Makes records of calls.
#[derive(Debug)]
struct Watcher {
    queue: SourceQueue,
    wishes: Arc<Wishes>,
    wanted: Wanted,
    cgroups: Option<Cgroups>,
    /// Events by number, of both kinds of callers.
    native: Vec<Option<Event>>,
    compat: Vec<Option<Event>>,
    /// The cgroup of each listener's container, by the keeper's number.
    cgroup_of: Vec<(u64, u64)>,
    status: String,
    /// The record of the call that waits.
    record: Option<Box<[u8]>>,
}

#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = seccomp::AUDIT_ARCH_AARCH64;
#[cfg(not(target_arch = "aarch64"))]
const NATIVE: u32 = seccomp::AUDIT_ARCH_X86_64;

/// What /proc has of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    pid: u32,
    uid: u32,
    gid: u32,
}

impl Ids {
    /// From the text of a `status`.
    fn read(status: &str) -> Option<Ids> {
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        // Real, effective, saved and file system's.
        let effective = |name| line(name)?.split_whitespace().nth(1)?.parse().ok();
        Some(Ids {
            pid: line("Tgid:")?.trim().parse().ok()?,
            uid: effective("Uid:")?,
            gid: effective("Gid:")?,
        })
    }
}

impl Watcher {
    fn new(queue: SourceQueue, wishes: Arc<Wishes>) -> Watcher {
        let table = |arch| {
            (0..NUMBERS)
                .map(|number| event_of(arch, i32::try_from(number).ok()?))
                .collect()
        };
        Watcher {
            queue,
            wishes,
            wanted: Wanted::default(),
            cgroups: Cgroups::find(Outside::default()),
            native: table(NATIVE),
            compat: table(AUDIT_ARCH_I386),
            cgroup_of: Vec::new(),
            status: String::new(),
            record: None,
        }
    }

    /// The event of a call, and its arguments where they are in memory.
    fn event(&self, call: &Notification) -> Option<(Event, bool, Option<[u64; 6]>)> {
        let compat = call.arch == AUDIT_ARCH_I386;
        if compat && call.number == SOCKETCALL {
            let event = Event::from_name(SOCKETCALLS.get(usize::try_from(call.args[0]).ok()?)?)?;
            let mut bytes = [0; 24];
            let read = super::arguments::memory(call.tid, call.args[1] & 0xffff_ffff, &mut bytes);
            let mut args = [0; 6];
            for (arg, word) in args.iter_mut().zip(bytes[..read].as_chunks::<4>().0) {
                *arg = u32::from_le_bytes(*word).into();
            }
            return Some((event, true, Some(args)));
        }
        let table = match call.arch {
            NATIVE => &self.native,
            AUDIT_ARCH_I386 => &self.compat,
            _ => return None,
        };
        let known = usize::try_from(call.number)
            .ok()
            .and_then(|number| *table.get(number)?);
        Some((known.or_else(|| event_of(call.arch, call.number))?, compat, None))
    }

    fn cgroup(&mut self, lent: u64, tid: u32) -> u64 {
        if let Some((_, cgroup)) = self.cgroup_of.iter().find(|(number, _)| *number == lent) {
            return *cgroup;
        }
        let text = std::fs::read(format!("/proc/{tid}/cgroup")).unwrap_or_default();
        let id = self
            .cgroups
            .as_ref()
            .and_then(|cgroups| cgroups.id_of_process(&text));
        // Asked again at the next call when this one's process is gone.
        id.inspect(|id| self.cgroup_of.push((lent, *id))).unwrap_or(0)
    }

    fn ids(&mut self, tid: u32) -> Option<Ids> {
        self.status.clear();
        let file = File::open(Path::new("/proc").join(tid.to_string()).join("status")).ok()?;
        // What is asked for is in its first lines; the name alone is of the process's choosing, and escaped.
        file.take(4096).read_to_string(&mut self.status).ok()?;
        Ids::read(&self.status)
    }
}

impl Witness for Watcher {
    fn look(&mut self, lent: &Borrowed, call: &Notification) {
        self.record = None;
        if self.wishes.changed.swap(false, Ordering::Acquire) {
            let wanted = self.wishes.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            self.wanted = wanted.clone();
        }
        let Some((event, compat, args)) = self.event(call) else {
            return self.queue.counts().add(Count::Failed, 1);
        };
        if !self.wanted.events.contains(event) {
            return;
        }
        let Some(ids) = self.ids(call.tid) else {
            return self.queue.counts().add(Count::Gone, 1);
        };
        let row = event.row();
        let doer = Doer {
            pid: ids.pid,
            tid: call.tid,
            cgroup: self.cgroup(lent.lent.number, call.tid),
            uid: ids.uid,
            gid: ids.gid,
            age: 0,
        };
        let of = Call {
            tid: call.tid,
            pid: ids.pid,
            number: call.number,
            compat,
            // Of two calls with one name the older has them.
            short_ids: compat
                && row.i386.len() > 1
                && u16::try_from(call.number).ok() == row.i386.first().copied(),
            args: args.unwrap_or(call.args),
            snaplen: self.wanted.snaplen,
        };
        let refused = match lent.answer(call) {
            Answer::Fail(errno) => Some(-i64::from(errno)),
            Answer::Continue => None,
        };
        let flags = if compat { FLAG_COMPAT } else { 0 } | if refused.is_none() { FLAG_ATTEMPTED } else { 0 };
        let mut draft = Draft::new(event, Source::Seccomp.stream(), flags, outside::now(), &doer);
        if let (Some(result), Some(value)) = (row.result(), refused) {
            draft = draft.number(result, value);
        }
        let asked = self.wanted.params[event as usize];
        for (index, param) in row.params.iter().enumerate() {
            if !param.on_demand || asked & 1 << index != 0 {
                draft = of.give(draft, index, param);
            }
        }
        self.record = Some(draft.finish());
    }

    fn answered(&mut self, valid: bool) {
        match self.record.take() {
            Some(record) if valid => {
                self.queue.send(record);
            }
            // Its thread was killed while it was looked at: another could have been looked at.
            Some(_) => self.queue.counts().add(Count::Gone, 1),
            None => {}
        }
    }

    fn ended(&mut self, lent: &Borrowed) {
        self.cgroup_of.retain(|(number, _)| *number != lent.lent.number);
    }
}

#[cfg(test)]
mod tests {
    use lanner_schema::event::EVENTS;

    use super::*;

    #[test]
    fn ids_are_effective_ones() {
        let status = "Name:\tsh\nUmask:\t0022\nState:\tS\nTgid:\t42\nNgid:\t0\nPid:\t43\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n";
        assert_eq!(
            Ids::read(status),
            Some(Ids {
                pid: 42,
                uid: 2,
                gid: 6
            })
        );
        assert_eq!(Ids::read("Name:\tsh\n"), None);
    }

    #[test]
    fn this_kernel_notifies() {
        assert!(probe().is_ok(), "every kernel since 5.0 does");
    }

    #[test]
    fn tables_and_rows_say_the_same() {
        for row in EVENTS {
            for number in row.i386 {
                assert_eq!(
                    event_of(AUDIT_ARCH_I386, i32::from(*number)),
                    Some(row.event),
                    "{}",
                    row.name
                );
            }
        }
    }
}
