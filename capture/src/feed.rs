//! Where the consumer's records come from: the ring that the programs fill, or the sources of a host without BPF.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use lanner_schema::container::ContainerTable;
use lanner_schema::event::Event;
use lanner_schema::record::{Header, STREAMS};
use lanner_schema::tier::Source;

use crate::bpf::Probes;
use crate::connector;
use crate::error::CaptureError;
use crate::fanotify;
use crate::kernel_owners::ConsumerPage;
use crate::notify;
use crate::outside;
use crate::plan::Plan;
use crate::source::{Count, Heard, RunningSource, SourceCounts, SourceQueue};
use crate::stats::{SourceStats, Stats};
use crate::tier::Tier;

/// Records of all sources that wait to be taken over.
const QUEUE: usize = 16_384;
/// How long a record is held back, so that an older one of another source is shown before it: each reads /proc about the
/// same processes, and none is always the faster. In nanoseconds.
const HOLD: u64 = 10_000_000;
/// How long the source that tells of processes is waited for, in nanoseconds.
const UNHEARD: u64 = 1_000_000_000;
/// Records that are held back at most; more are shown in the order in which they came.
const HELD: usize = 4 * QUEUE;
/// The shortest time after which it is looked again whether something may be shown.
const LISTEN: Duration = Duration::from_micros(200);
/// How long records gather before they are looked at.
const NAP: Duration = Duration::from_millis(3);

/// The ring.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) probes: Probes,
    pub(crate) page: Arc<ConsumerPage>,
    /// Owners of cgroups that the programs could not be told of.
    pub(crate) untold: Arc<AtomicU64>,
}

/// Either.
#[derive(Debug)]
pub(crate) enum Feed {
    Ring(Box<Ring>),
    Sources(Sources),
}

impl Feed {
    /// Starts what the plan says. What happens from here on will be read.
    pub(crate) fn start(plan: &Plan, containers: &Arc<ContainerTable>) -> Result<Feed, CaptureError> {
        if plan.tier == Tier::None {
            return Ok(Feed::Sources(Sources::start(plan, containers)?));
        }
        let probes = Probes::start(plan)?;
        Ok(Feed::Ring(Box::new(Ring {
            untold: Arc::default(),
            page: probes.consumer_page()?,
            probes,
        })))
    }

    /// As [`Feed::start`], and gives the plan that was started: where the kernel refuses a program of it, it is what the plan
    /// has instead, which says why.
    pub(crate) fn start_what_can_be(
        mut plan: Plan,
        containers: &Arc<ContainerTable>,
    ) -> Result<(Feed, Plan), CaptureError> {
        match (Feed::start(&plan, containers), plan.instead.take()) {
            (Ok(feed), _) => Ok((feed, plan)),
            (Err(error), None) => Err(error),
            (Err(error), Some(instead)) => {
                let plan = instead.in_place_of(plan.tier, error.why());
                tracing::warn!("this host is watched in tier {}: {}", plan.tier, plan.reason);
                Ok((Feed::start(&plan, containers)?, plan))
            }
        }
    }

    /// Captures what `plan` says from here on. Its tier must be the one that was started.
    pub(crate) fn configure(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        match self {
            Feed::Ring(ring) => ring.probes.configure(plan),
            Feed::Sources(sources) => sources.configure(plan),
        }
    }

    /// Records that were lost.
    pub(crate) fn lost(&self) -> u64 {
        match self {
            Feed::Ring(ring) => ring.probes.lost(),
            Feed::Sources(sources) => sources.sum(Count::QueueFull),
        }
    }

    /// The same by event and reason.
    pub(crate) fn drops(&self) -> Vec<(Event, &'static str, u64)> {
        match self {
            Feed::Ring(ring) => ring.probes.drops(),
            Feed::Sources(sources) => sources.drops(),
        }
    }

    /// Events without a type that were lost.
    pub(crate) fn refused(&self) -> u64 {
        match self {
            Feed::Ring(ring) => ring.probes.refused(),
            Feed::Sources(sources) => sources.sum(Count::Overflow),
        }
    }

    /// How often a queue of the kernel's was full that does not say how many events it had no room for.
    pub(crate) fn overflows(&self) -> u64 {
        match self {
            Feed::Ring(_) => 0,
            Feed::Sources(sources) => sources.uncounted(),
        }
    }

    /// True for the sources of a host without BPF.
    pub(crate) fn is_without_bpf(&self) -> bool {
        matches!(self, Feed::Sources(_))
    }

    /// Records that were begun, lost ones among them, by stream and CPU.
    pub(crate) fn sequences(&self) -> Vec<Vec<u64>> {
        match self {
            Feed::Ring(ring) => ring.probes.sequences(),
            Feed::Sources(sources) => sources.sequences(),
        }
    }

    /// Lost records by cgroup.
    pub(crate) fn losing_cgroups(&self) -> Vec<(u64, u64)> {
        match self {
            Feed::Ring(ring) => ring.probes.losing_cgroups(),
            Feed::Sources(_) => Vec::new(),
        }
    }

    /// Takes a cgroup out of these.
    pub(crate) fn forget_losing_cgroup(&self, cgroup: u64) {
        if let Feed::Ring(ring) = self {
            ring.probes.forget_losing_cgroup(cgroup);
        }
    }

    /// What it counted, beside what `consumed` says came of the records.
    pub(crate) fn stats(&self, consumed: Stats) -> Stats {
        let mut stats = Stats {
            drops: self.drops(),
            ..consumed
        };
        match self {
            Feed::Ring(ring) => {
                stats.recursion_misses = ring.probes.recursion_misses();
                stats.program_runs = ring.probes.program_runs();
                stats.cpus = ring.probes.cpus();
                stats.misses = ring.probes.misses();
                stats.owners_untold = ring.untold.load(Relaxed);
            }
            Feed::Sources(sources) => stats.sources = sources.stats(),
        }
        stats
    }
}

/// The sources that run, and what they have handed over.
pub(crate) struct Sources {
    running: Vec<Box<dyn RunningSource>>,
    records: flume::Receiver<Box<[u8]>>,
    counts: Vec<(Source, Arc<SourceCounts>)>,
    held: BinaryHeap<Held>,
    /// For how long, in nanoseconds.
    hold: u64,
    /// How far the source is heard that tells of processes: what happened after that is not shown yet.
    heard: Option<Arc<Heard>>,
    /// How many records were taken over.
    taken: u64,
    /// How many of each stream were shown.
    shown: [u64; STREAMS.len()],
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Sources");
        debug
            .field("running", &self.running)
            .field("counts", &self.counts);
        debug.field("held", &self.held.len()).finish_non_exhaustive()
    }
}

/// A record that is held back.
struct Held {
    /// When it happened, and which it is of those that came.
    order: (u64, u64),
    bytes: Box<[u8]>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.order == other.order
    }
}
impl Eq for Held {}
impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Held {
    /// The oldest is the greatest: a heap gives that first.
    fn cmp(&self, other: &Held) -> Ordering {
        other.order.cmp(&self.order)
    }
}

impl Sources {
    /// Starts every source of the plan. One that does not start is warned of; without any there is an error.
    fn start(plan: &Plan, containers: &Arc<ContainerTable>) -> Result<Sources, CaptureError> {
        let (sender, records) = flume::bounded(QUEUE);
        let mut sources = Sources::over(records);
        let mut refused = None;
        for source in plan.sources_in_force() {
            let queue = SourceQueue::new(source, sender.clone());
            let counts = (queue.source(), Arc::clone(queue.counts()));
            match start(source, queue, plan, containers) {
                Ok(running) => {
                    sources.heard = sources.heard.take().or_else(|| running.heard());
                    sources.running.push(running);
                    sources.counts.push(counts);
                }
                Err(error) => {
                    tracing::warn!("{}: {error}: what it would tell of is not seen", source.name());
                    refused = Some(error);
                }
            }
        }
        if !sources
            .counts
            .iter()
            .any(|(source, _)| *source == Source::Connector)
        {
            // Nothing has to be waited for, and every process is to be asked about before it is gone.
            sources.hold = 0;
        }
        match (sources.running.is_empty(), refused) {
            (true, Some(error)) => Err(error),
            (true, None) => Err(CaptureError::TierRefused {
                tier: Tier::None,
                why: "there is no source".into(),
            }),
            (false, _) => Ok(sources),
        }
    }

    fn over(records: flume::Receiver<Box<[u8]>>) -> Sources {
        Sources {
            running: Vec::new(),
            records,
            counts: Vec::new(),
            held: BinaryHeap::new(),
            hold: HOLD,
            heard: None,
            taken: 0,
            shown: [0; STREAMS.len()],
        }
    }

    fn configure(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        self.running
            .iter_mut()
            .try_for_each(|source| source.configure(plan))
    }

    /// Shows the records that are old enough, oldest first. True when nothing else has come that should have been.
    pub(crate) fn consume(&mut self, show: &mut dyn FnMut(&[u8])) -> bool {
        let due = self.due();
        let drained = self.take();
        self.show_until(due, show);
        drained
    }

    /// Until when records are old enough. Asked before they are taken over: what has been handed over by then is among them.
    fn due(&self) -> u64 {
        let now = outside::now();
        let due = now.saturating_sub(self.hold);
        match &self.heard {
            Some(heard) => {
                let until = heard.until();
                if self.held.peek().is_some_and(|next| next.order.0 > until) {
                    heard.ask();
                }
                due.min(until).max(now.saturating_sub(UNHEARD))
            }
            None => due,
        }
    }

    /// Shows the records there are, after the sources have stopped.
    pub(crate) fn finish(&mut self, show: &mut dyn FnMut(&[u8])) {
        for source in &mut self.running {
            source.stop();
        }
        while !self.take() {
            self.show_until(u64::MAX, show);
        }
        self.show_until(u64::MAX, show);
    }

    /// Takes over what has come; false when there is more than is held.
    fn take(&mut self) -> bool {
        while self.held.len() < HELD {
            let Ok(bytes) = self.records.try_recv() else {
                return true;
            };
            self.hold(bytes);
        }
        false
    }

    fn hold(&mut self, bytes: Box<[u8]>) {
        let Some(header) = Header::read(&bytes) else {
            return;
        };
        self.taken += 1;
        self.held.push(Held {
            order: (header.time, self.taken),
            bytes,
        });
    }

    fn show_until(&mut self, time: u64, show: &mut dyn FnMut(&[u8])) {
        let is_full = self.held.len() >= HELD;
        while let Some(next) = self.held.peek() {
            // No place for what comes: the order suffers before a record is lost.
            if next.order.0 > time && !(is_full && self.held.len() > HELD / 2) {
                return;
            }
            let Some(mut held) = self.held.pop() else { return };
            self.number(&mut held.bytes);
            show(&held.bytes);
        }
    }

    /// Gives a record its number: those that were lost before have theirs.
    fn number(&mut self, bytes: &mut [u8]) {
        let Some(stream) = bytes.get(2).copied() else {
            return;
        };
        let lost = self.lost_of(stream);
        let Some(shown) = self.shown.get_mut(usize::from(stream)) else {
            return;
        };
        if let Some(sequence) = bytes.get_mut(Header::SEQUENCE) {
            sequence.copy_from_slice(&(*shown + lost).to_le_bytes());
        }
        *shown += 1;
    }

    fn lost_of(&self, stream: u8) -> u64 {
        let counts = self.counts.iter().find(|(source, _)| source.stream() == stream);
        counts.map_or(0, |(_, counts)| counts.get(Count::QueueFull))
    }

    /// Waits until there may be something to show, at most `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) {
        if let Some(next) = self.held.peek() {
            let due = (next.order.0 + self.hold).saturating_sub(outside::now());
            // What is due by its time waits for its source to be heard.
            let due = Duration::from_nanos(due).max(LISTEN);
            std::thread::sleep(due.min(NAP).min(limit));
            return;
        }
        let deadline = Instant::now() + limit;
        if let Ok(bytes) = self.records.recv_deadline(deadline) {
            self.hold(bytes);
        } else {
            // Without a source nothing comes and nobody waits.
            std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        }
    }

    fn sum(&self, count: Count) -> u64 {
        self.counts.iter().map(|(_, counts)| counts.get(count)).sum()
    }

    fn uncounted(&self) -> u64 {
        let fanotify = self
            .counts
            .iter()
            .filter(|(source, _)| *source == Source::Fanotify);
        fanotify.map(|(_, counts)| counts.get(Count::Overflow)).sum()
    }

    fn drops(&self) -> Vec<(Event, &'static str, u64)> {
        let mut drops: Vec<(Event, &'static str, u64)> = Vec::new();
        for (event, count) in self.counts.iter().flat_map(|(_, counts)| counts.full()) {
            match drops.iter_mut().find(|(known, ..)| *known == event) {
                Some((.., sum)) => *sum += count,
                None => drops.push((event, "queue_full", count)),
            }
        }
        drops
    }

    fn sequences(&self) -> Vec<Vec<u64>> {
        let total = |(stream, shown): (usize, &u64)| {
            let lost = u8::try_from(stream).map_or(0, |stream| self.lost_of(stream));
            vec![shown + lost]
        };
        self.shown.iter().enumerate().map(total).collect()
    }

    fn stats(&self) -> Vec<SourceStats> {
        let stats = |(source, counts): &(Source, Arc<SourceCounts>)| SourceStats {
            source: *source,
            counts: counts.all(),
        };
        self.counts.iter().map(stats).collect()
    }
}

/// Starts one source.
fn start(
    source: Source,
    queue: SourceQueue,
    plan: &Plan,
    containers: &Arc<ContainerTable>,
) -> Result<Box<dyn RunningSource>, CaptureError> {
    match source {
        Source::Connector => Ok(Box::new(connector::start(queue, plan)?)),
        Source::Fanotify => Ok(Box::new(fanotify::start(queue, plan, containers)?)),
        Source::Seccomp => Ok(Box::new(notify::start(queue, plan)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::{Doer, Draft};

    fn record(source: Source, time: u64) -> Box<[u8]> {
        Draft::new(Event::TaskFork, source.stream(), 0, time, &Doer::known(1, 1)).finish()
    }

    #[test]
    fn records_are_shown_by_their_time_and_numbered_with_those_that_were_lost() {
        let (sender, records) = flume::bounded(3);
        let mut sources = Sources::over(records);
        let queues =
            [Source::Fanotify, Source::Connector].map(|source| SourceQueue::new(source, sender.clone()));
        for queue in &queues {
            sources.counts.push((queue.source(), Arc::clone(queue.counts())));
        }
        let mut seen = Vec::new();
        assert!(queues[0].send(record(Source::Fanotify, 20)));
        assert!(queues[1].send(record(Source::Connector, 10)));
        assert!(queues[1].send(record(Source::Connector, 5)));
        assert!(
            !queues[1].send(record(Source::Connector, 30)),
            "the queue is full"
        );
        let show = &mut |bytes: &[u8]| {
            let header = Header::read(bytes).unwrap();
            seen.push((header.stream, header.time, header.sequence));
        };
        assert!(sources.consume(show));
        let now = outside::now();
        assert!(queues[1].send(record(Source::Connector, now)));
        assert!(sources.consume(show), "it is too young to be shown");
        sources.finish(show);
        let (fanotify, connector) = (Source::Fanotify.stream(), Source::Connector.stream());
        assert_eq!(
            seen,
            [
                (connector, 5, 1),
                (connector, 10, 2),
                (fanotify, 20, 0),
                (connector, now, 3)
            ]
        );
        assert_eq!(sources.sequences()[usize::from(connector)], [4]);
        assert_eq!(sources.drops(), [(Event::TaskFork, "queue_full", 1)]);
    }

    #[test]
    fn what_can_no_longer_be_held_is_shown_before_its_time() {
        let (sender, records) = flume::unbounded();
        let mut sources = Sources::over(records);
        let young = outside::now() + 3_600_000_000_000;
        for _ in 0..=HELD {
            sender.send(record(Source::Connector, young)).unwrap();
        }
        let mut shown = 0;
        assert!(!sources.consume(&mut |_| shown += 1));
        assert_eq!(shown, HELD / 2);
        assert!(sources.consume(&mut |_| shown += 1));
        assert_eq!(shown, HELD / 2);
    }
}
