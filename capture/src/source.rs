//! What the sources of a host without BPF have in common: a queue to the consumer, and what is counted of them.
//!
//! A source is a thread of its own that makes records ([`crate::draft`]) and hands them over by its [`SourceQueue`]. The
//! queue is bounded and waits for nobody: a record it has no room for is lost and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lanner_schema::event::{EVENT_COUNT, EVENTS, Event};
use lanner_schema::tier::Source;
use nix::sys::eventfd::EventFd;

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
    wake: Arc<EventFd>,
}

impl Heard {
    pub(crate) fn new(wake: Arc<EventFd>) -> Heard {
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
        // It is full when the thread has not been woken yet.
        let _ = self.wake.write(1);
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
