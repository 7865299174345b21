//! What the sources of a host without BPF have in common: a queue to the consumer, and what is counted of them.
//!
//! A source is a thread of its own that makes records ([`crate::draft`]) and hands them over by its [`SourceQueue`]. The
//! queue is bounded and waits for nobody: a record it has no room for is lost and counted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use lanner_schema::event::{EVENT_COUNT, EVENTS, Event};
use lanner_schema::tier::Source;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::CaptureError;
use crate::plan::Plan;

macro_rules! counts {
    ($( $(#[$doc:meta])* $name:ident $text:literal; )*) => {
        /// What is counted of a source.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Count { $( $(#[$doc])* $name, )* }

        impl Count {
            const ALL: &'static [(Count, &'static str)] = &[$( (Count::$name, $text) ),*];
        }
    };
}

counts! {
    /// Records that were handed over.
    Delivered "delivered";
    /// Records the consumer's queue had no room for.
    QueueFull "queue_full";
    /// Events the kernel dropped because its own queue for this source was full. Where it does not say how many, one for
    /// each time that it said so.
    Overflow "overflow";
    /// Processes that were gone before anything could be asked about them.
    Gone "gone";
    /// Opens of files of which nobody can say whether they were for reading or for writing.
    Undecided "undecided";
    /// Directories that rules name and that were too many to be watched one by one.
    Unmarked "unmarked";
    /// Names whose directory could not be found any more.
    Unnamed "unnamed";
    /// Programs whose process ran another one before anything could be asked about them.
    Overtaken "overtaken";
    /// What the kernel gave and could not be read, or refused to do.
    Failed "failed";
}

/// The counters of one source.
#[derive(Debug)]
pub(crate) struct SourceCounts {
    counts: [AtomicU64; Count::ALL.len()],
    /// Records the queue had no room for, by event.
    full: [AtomicU64; EVENT_COUNT],
}

impl SourceCounts {
    fn new() -> SourceCounts {
        SourceCounts {
            counts: [const { AtomicU64::new(0) }; Count::ALL.len()],
            full: [const { AtomicU64::new(0) }; EVENT_COUNT],
        }
    }

    /// Counts so many more.
    pub(crate) fn add(&self, count: Count, more: u64) {
        self.counts[count as usize].fetch_add(more, Ordering::Relaxed);
    }

    /// Counts a record that there was no room for, by the number of its event as far as that is known.
    pub(crate) fn lose(&self, event: Option<u16>) {
        self.add(Count::QueueFull, 1);
        if let Some(count) = event.and_then(|event| self.full.get(usize::from(event))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    /// Records the queue had no room for, by event.
    pub(crate) fn full(&self) -> impl Iterator<Item = (Event, u64)> {
        let counts = EVENTS.iter().zip(&self.full);
        counts
            .map(|(row, count)| (row.event, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }

    /// All of them, each with its name.
    pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
        let each = Count::ALL.iter();
        each.map(|(count, name)| (*name, self.get(*count))).collect()
    }
}

/// The way of a source's records to the consumer.
#[derive(Debug, Clone)]
pub(crate) struct SourceQueue {
    source: Source,
    records: flume::Sender<Box<[u8]>>,
    counts: Arc<SourceCounts>,
}

impl SourceQueue {
    pub(crate) fn new(source: Source, records: flume::Sender<Box<[u8]>>) -> SourceQueue {
        SourceQueue {
            source,
            records,
            counts: Arc::new(SourceCounts::new()),
        }
    }

    /// The source whose queue it is.
    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// What is counted of it.
    pub(crate) fn counts(&self) -> &Arc<SourceCounts> {
        &self.counts
    }

    /// Hands a record over, without waiting. False when it is lost: the queue is full, or capture has ended.
    pub(crate) fn send(&self, record: Box<[u8]>) -> bool {
        let event = record.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
        let is_sent = self.records.try_send(record).is_ok();
        if is_sent {
            self.counts.add(Count::Delivered, 1);
        } else {
            self.counts.lose(event);
        }
        is_sent
    }
}

/// How far a source has told everything, and a way to have it look again.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Whatever happened before this, in nanoseconds since boot, has been handed over.
    until: AtomicU64,
    wake: Arc<Wake>,
}

impl Heard {
    pub(crate) fn new(wake: Arc<Wake>) -> Heard {
        Heard {
            until: AtomicU64::new(0),
            wake,
        }
    }

    /// The source's queue in the kernel was empty at that time, and all that was in it is handed over.
    pub(crate) fn everything_until(&self, time: u64) {
        self.until.store(time, Ordering::Release);
    }

    /// See [`Heard::everything_until`].
    pub(crate) fn until(&self) -> u64 {
        self.until.load(Ordering::Acquire)
    }

    /// Has the source look, though nothing has come.
    pub(crate) fn ask(&self) {
        self.wake.wake();
    }
}

/// Wakes the thread of a source, for something that has changed or because it is to end.
#[derive(Debug)]
pub(crate) struct Wake {
    event: EventFd,
    is_ending: AtomicBool,
}

impl Wake {
    /// # Errors
    /// When there can be no descriptor.
    pub(crate) fn new() -> io::Result<Wake> {
        Ok(Wake {
            event: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            is_ending: AtomicBool::new(false),
        })
    }

    pub(crate) fn wake(&self) {
        // It is full when the thread has not been woken yet.
        let _ = self.event.write(1);
    }

    /// For the thread: it was woken, and waits again.
    pub(crate) fn heed(&self) {
        let _ = self.event.read();
    }

    /// True when the thread is to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }
}

/// It can be read from since it was woken.
impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// The thread of a source, which ends with this.
#[derive(Debug)]
pub(crate) struct SourceThread {
    wake: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
}

impl SourceThread {
    /// # Errors
    /// When there can be no thread.
    pub(crate) fn start(
        name: &str,
        wake: Arc<Wake>,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<SourceThread> {
        let thread = thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(SourceThread {
            wake,
            thread: Some(thread),
        })
    }

    /// See [`RunningSource::stop`].
    pub(crate) fn stop(&mut self) {
        self.wake.is_ending.store(true, Ordering::Release);
        self.wake.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for SourceThread {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The error of a source that can't be started, by the step that failed.
pub(crate) fn refused(source: Source) -> impl Fn(&str, io::Error) -> CaptureError {
    move |step, reason| CaptureError::Source {
        source_name: source.name(),
        step: step.into(),
        reason,
    }
}

/// A source at work.
pub(crate) trait RunningSource: std::fmt::Debug + Send {
    /// How far it is heard, of a source that tells of processes: what others tell is shown after that.
    fn heard(&self) -> Option<Arc<Heard>> {
        None
    }

    /// Watches for what `plan` says from here on.
    ///
    /// # Errors
    /// When the kernel refuses it; what was watched for before goes on.
    fn configure(&mut self, plan: &Plan) -> Result<(), CaptureError>;

    /// Ends it and waits for its thread: nothing comes of it afterwards.
    fn stop(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::{Doer, Draft};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    #[test]
    fn a_thread_that_waits_is_woken_and_ends_when_it_is_let_go_of() {
        let wake = Arc::new(Wake::new().unwrap());
        let (woken, seen) = std::sync::mpsc::channel();
        let run = {
            let wake = Arc::clone(&wake);
            move || {
                while !wake.is_ending() {
                    let mut ready = [PollFd::new(wake.as_fd(), PollFlags::POLLIN)];
                    poll(&mut ready, PollTimeout::NONE).unwrap();
                    wake.heed();
                    woken.send(wake.is_ending()).unwrap();
                }
            }
        };
        let thread = SourceThread::start("lanner-test", Arc::clone(&wake), run).unwrap();
        wake.wake();
        assert!(!seen.recv().unwrap());
        let mut ready = [PollFd::new(wake.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ready, PollTimeout::ZERO), Ok(0), "it was heeded");
        drop(thread);
        // It may have seen that it is to end before it waited again.
        assert!(seen.into_iter().all(|is_ending| is_ending), "the thread is gone");
    }

    #[test]
    fn a_full_queue_loses_and_counts_and_does_not_wait() {
        let (records, consumer) = flume::bounded(1);
        let queue = SourceQueue::new(Source::Connector, records);
        let record = |event| Draft::new(event, 0, 0, 1, &Doer::known(1, 1)).finish();
        assert!(queue.send(record(Event::TaskFork)));
        assert!(!queue.send(record(Event::Procexit)) && !queue.send(record(Event::Procexit)));
        let full: Vec<(Event, u64)> = queue.counts().full().collect();
        assert_eq!(full, [(Event::Procexit, 2)]);
        assert_eq!(queue.counts().get(Count::Delivered), 1);
        assert_eq!(queue.counts().all()[1], ("queue_full", 2));
        drop(consumer);
        assert!(!queue.send(Box::from([])), "nobody takes it");
    }
}
