//! The delivery queue: one bounded queue and one thread per output, so that none waits for another.

mod replace;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flume::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError};
use lanner_schema::alert::Alert;

use crate::choose::{Choice, Config, Facts, Kind, choose};
use crate::counters::{Counters, LossReason, OutputReport};
use crate::ending::Ending;
use crate::output::{self, Context, FlushError, Output, OutputError, Taken};

pub use replace::Replacement;

/// Why delivery can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel gives no thread.
    #[error("cannot start the thread of output {kind}: {cause}")]
    Thread {
        /// Whose thread.
        kind: Kind,
        /// What the kernel said.
        cause: std::io::Error,
    },
}

enum Item {
    Alert(Arc<Alert>),
    /// Makes the thread look at `Lane::reopen`.
    Wake,
    /// The last item.
    Stop,
}

/// One output's queue, as the senders see it.
#[derive(Debug)]
struct Lane {
    kind: Kind,
    queue: Sender<Item>,
    state: Arc<State>,
    /// Closed when the thread ends, however it ends.
    end: Receiver<()>,
}

/// What a lane's thread and the senders share.
#[derive(Debug, Default)]
struct State {
    counters: Arc<Counters>,
    ending: Arc<Ending>,
    /// Alerts that entered the queue.
    queued: AtomicU64,
    /// Alerts from the queue whose fate is counted.
    settled: AtomicU64,
    /// Alerts are being lost because the queue is full; cleared when the thread has caught up.
    full: AtomicBool,
    reopen: AtomicBool,
    /// Lanner stops: what the thread has not delivered yet is counted as lost already.
    abandoned: AtomicBool,
}

impl State {
    fn deliver(&self, alerts: u64) {
        if !self.abandoned.load(Ordering::Acquire) {
            self.settled.fetch_add(alerts, Ordering::Release);
            self.counters.deliver(alerts);
        }
    }

    /// An alert is in safe hands, and will be counted when it is delivered.
    fn settle(&self) {
        self.settled.fetch_add(1, Ordering::Release);
    }

    fn lose(&self, reason: LossReason, alerts: u64) {
        if !self.abandoned.load(Ordering::Acquire) {
            self.settled.fetch_add(alerts, Ordering::Release);
            self.counters.lose(reason, alerts);
        }
    }
}

#[derive(Debug)]
struct Lanes {
    lanes: Vec<Arc<Lane>>,
    /// What outputs did that another configuration took away.
    past: Vec<(Kind, Arc<Counters>)>,
    /// Full queues are logged by a thread of their own: neither the event thread nor a stuck output can do it.
    full: Sender<Option<(Kind, usize)>>,
    stopping: AtomicBool,
}

impl Lanes {
    fn report(&self) -> Vec<OutputReport> {
        let report = |lane: &Arc<Lane>| OutputReport {
            queued: lane.queue.len() as u64,
            capacity: lane.queue.capacity().unwrap_or(0) as u64,
            ..lane.state.counters.report(lane.kind)
        };
        let past = self.past.iter().map(|(kind, counters)| counters.report(*kind));
        self.lanes.iter().map(report).chain(past).collect()
    }
}

/// An output that is to get a thread.
type Made = (Kind, Box<dyn Output>, Context);

/// The capacity of queues.
fn capacity_of(config: &Config) -> usize {
    match config.queue_capacity {
        0 => Config::DEFAULT_CAPACITY,
        capacity => capacity,
    }
}

/// Starts the thread of an output, which makes it first; one that is not made takes nothing.
fn start_lane(
    kind: Kind,
    context: Context,
    capacity: usize,
    make: impl FnOnce(&Context) -> Option<Box<dyn Output>> + Send + 'static,
) -> Result<Lane, StartError> {
    let (queue, items) = flume::bounded(capacity);
    let state = Arc::new(State {
        counters: Arc::clone(&context.counters),
        ending: Arc::clone(&context.ending),
        ..State::default()
    });
    let (end_guard, end) = flume::bounded::<()>(0);
    let shared = Arc::clone(&state);
    thread::Builder::new()
        .name(format!("out-{kind}"))
        .spawn(move || {
            let _ends_with_the_thread = end_guard;
            let timeout = context.timeout;
            let Some(output) = make(&context) else { return };
            Worker {
                kind,
                timeout,
                is_slow: false,
                output,
                items,
                state: shared,
                failing: None,
            }
            .run();
        })
        .map_err(|cause| StartError::Thread { kind, cause })?;
    Ok(Lane {
        kind,
        queue,
        state,
        end,
    })
}

/// Lets outputs deliver what is queued and ends them, at the latest after `within`; what is left then is counted as lost.
fn end(lanes: &[Arc<Lane>], within: Duration) {
    let deadline = Instant::now() + within;
    for lane in lanes {
        lane.state.ending.begin();
    }
    for lane in lanes {
        // An output whose queue stays full until the deadline never sees this.
        let _ = lane.queue.send_deadline(Item::Stop, deadline);
        let _ = lane.end.recv_deadline(deadline);
    }
    for lane in lanes {
        let state = &lane.state;
        state.abandoned.store(true, Ordering::Release);
        let seen = state.settled.load(Ordering::Acquire);
        let left = state.queued.load(Ordering::Acquire).saturating_sub(seen);
        state.counters.lose(LossReason::Shutdown, left);
        if left > 0 {
            tracing::error!(
                "output {} did not take its last {left} alerts within {within:?}",
                lane.kind
            );
        }
    }
}

/// Says what each output delivered and lost. Cheap to clone; works after the outputs have stopped, too.
#[derive(Debug, Clone)]
pub struct Reporter {
    lanes: Arc<Lanes>,
}

impl Reporter {
    /// What each output delivered and lost so far, and how it stands.
    pub fn report(&self) -> Vec<OutputReport> {
        self.lanes.report()
    }
}

/// Hands alerts to every output. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AlertSender {
    lanes: Arc<Lanes>,
}

impl AlertSender {
    /// As [`AlertSender::send`], but waits for room: for alerts that are made as fast as they are taken.
    pub fn send_waiting(&self, alert: Alert) {
        let alert = Arc::new(alert);
        for lane in &self.lanes.lanes {
            match lane.queue.send(Item::Alert(Arc::clone(&alert))) {
                Ok(()) => {
                    lane.state.queued.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => lane.state.counters.lose(LossReason::Failed, 1),
            }
        }
    }

    /// Queues an alert for every output. Never blocks: an output whose queue is full loses it, and that is counted.
    pub fn send(&self, alert: Alert) {
        let alert = Arc::new(alert);
        for lane in &self.lanes.lanes {
            match lane.queue.try_send(Item::Alert(Arc::clone(&alert))) {
                Ok(()) => {
                    lane.state.queued.fetch_add(1, Ordering::Relaxed);
                }
                Err(TrySendError::Full(_)) => {
                    lane.state.counters.lose(LossReason::QueueFull, 1);
                    if !lane.state.full.swap(true, Ordering::AcqRel) {
                        // When even this queue is full, many bursts began at once: one line less is no loss.
                        let capacity = lane.queue.capacity().unwrap_or(0);
                        let _ = self.lanes.full.try_send(Some((lane.kind, capacity)));
                    }
                }
                Err(TrySendError::Disconnected(_)) => {
                    let reason = match self.lanes.stopping.load(Ordering::Acquire) {
                        true => LossReason::Shutdown,
                        false => LossReason::Failed,
                    };
                    lane.state.counters.lose(reason, 1);
                }
            }
        }
    }
}

/// The running outputs.
#[derive(Debug)]
pub struct Outputs {
    lanes: Arc<Lanes>,
    choices: Vec<Choice>,
    config: Config,
}

impl Outputs {
    /// Decides which outputs run on this host and starts them. Outputs that can't take alerts yet (no listener, no
    /// directory) start nevertheless and try again with each alert.
    pub fn start(config: &Config) -> Result<Outputs, StartError> {
        let choices = choose(config, Facts::probe(config));
        for choice in &choices {
            match (choice.on, choice.why) {
                (true, Some(why)) => {
                    tracing::info!("output {} is on: {why}", choice.kind)
                }
                (false, Some(why)) => {
                    tracing::info!("output {} is off: {why}", choice.kind)
                }
                _ => {}
            }
        }
        let outputs = choices
            .iter()
            .filter(|choice| choice.on)
            .filter_map(|choice| {
                let context = Context {
                    timeout: Some(config.timeout),
                    ..Context::default()
                };
                let output = output::make(choice.kind, config, &context)?;
                Some((choice.kind, output, context))
            })
            .collect();
        let mut started = Self::start_these(outputs, capacity_of(config))?;
        started.config = config.clone();
        started.choices = choices;
        Ok(started)
    }

    fn start_these(outputs: Vec<Made>, capacity: usize) -> Result<Outputs, StartError> {
        let (full, notices) = flume::bounded(16);
        let mut lanes = Vec::new();
        for (kind, output, context) in outputs {
            lanes.push(Arc::new(start_lane(kind, context, capacity, |_| Some(output))?));
        }
        thread::Builder::new()
            .name("out-full".into())
            .spawn(move || {
                while let Ok(Some((kind, capacity))) = notices.recv() {
                    tracing::error!(
                        "output {kind} is too slow: its queue of {capacity} alerts is full and alerts are lost there \
                         until it catches up (outputs_queue.capacity)"
                    );
                }
            })
            .map_err(|cause| StartError::Thread { kind: Kind::Stdout, cause })?;
        let lanes = Arc::new(Lanes {
            lanes,
            past: Vec::new(),
            full,
            stopping: AtomicBool::new(false),
        });
        Ok(Outputs {
            lanes,
            choices: Vec::new(),
            config: Config::default(),
        })
    }

    /// What was decided about each output.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// A handle that sends alerts.
    pub fn sender(&self) -> AlertSender {
        AlertSender {
            lanes: Arc::clone(&self.lanes),
        }
    }

    /// Closes files and sockets; each is opened anew with its next alert (log rotation).
    pub fn reopen(&self) {
        for lane in &self.lanes.lanes {
            lane.state.reopen.store(true, Ordering::Release);
            // A full queue has items that will make the thread look.
            let _ = lane.queue.try_send(Item::Wake);
        }
    }

    /// What each output delivered and lost so far.
    pub fn report(&self) -> Vec<OutputReport> {
        self.lanes.report()
    }

    /// A handle that asks for reports, for threads that have nothing else to do with outputs.
    pub fn reporter(&self) -> Reporter {
        Reporter {
            lanes: Arc::clone(&self.lanes),
        }
    }

    /// Delivers what is queued and stops, at the latest after `within`; what is left then is counted as lost.
    pub fn shutdown(self, within: Duration) -> Vec<OutputReport> {
        self.lanes.stopping.store(true, Ordering::Release);
        end(&self.lanes.lanes, within);
        let _ = self.lanes.full.try_send(None);
        self.report()
    }
}

/// The thread of one output.
struct Worker {
    kind: Kind,
    timeout: Option<Duration>,
    /// An alert took longer than that, and it was said.
    is_slow: bool,
    output: Box<dyn Output>,
    items: Receiver<Item>,
    state: Arc<State>,
    /// Alerts lost since the output last worked, while it doesn't.
    failing: Option<u64>,
}

impl Worker {
    fn run(mut self) {
        loop {
            let item = match self.items.try_recv() {
                Ok(item) => item,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.flush();
                    self.is_slow = false;
                    if self.state.full.swap(false, Ordering::AcqRel) {
                        tracing::info!("output {} caught up", self.kind);
                    }
                    let item = match self.output.wake() {
                        Some(wait) => self.items.recv_timeout(wait),
                        None => self.items.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    };
                    match item {
                        Ok(item) => item,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            };
            if self.state.reopen.swap(false, Ordering::AcqRel) {
                self.flush();
                self.output.reopen();
            }
            match item {
                Item::Alert(alert) => self.deliver(&alert),
                Item::Wake => {}
                Item::Stop => break,
            }
            if self.output.is_full() {
                self.flush();
            }
        }
        self.flush();
        let finished = self.output.finish();
        self.flushed(finished);
    }

    fn deliver(&mut self, alert: &Alert) {
        let begun = Instant::now();
        let delivered = self.output.deliver(alert);
        self.took(begun.elapsed());
        match delivered {
            Ok(Taken::Written) => self.delivered(1),
            Ok(Taken::Held) => {}
            Ok(Taken::Spooled) => self.state.settle(),
            Err(error) => self.lost(1, &error),
        }
    }

    fn took(&mut self, time: Duration) {
        let Some(limit) = self.timeout.filter(|limit| time > *limit) else {
            return;
        };
        self.state.counters.slow();
        if !std::mem::replace(&mut self.is_slow, true) {
            tracing::warn!(
                "output {}: an alert took {time:?}, longer than the {limit:?} of output_timeout",
                self.kind
            );
        }
    }

    fn flush(&mut self) {
        let flushed = self.output.flush();
        self.flushed(flushed);
    }

    fn flushed(&mut self, flushed: Result<u64, FlushError>) {
        match flushed {
            Ok(0) => {}
            Ok(written) => self.delivered(written),
            Err(failed) => {
                self.state.deliver(failed.written);
                self.lost(failed.lost, &failed.error);
            }
        }
    }

    fn delivered(&mut self, alerts: u64) {
        self.state.deliver(alerts);
        if let Some(lost) = self.failing.take() {
            tracing::info!("output {} works again; {lost} alerts were lost there", self.kind);
        }
    }

    fn lost(&mut self, alerts: u64, error: &OutputError) {
        self.state.lose(error.reason(), alerts);
        match &mut self.failing {
            Some(lost) => *lost += alerts,
            None => {
                self.failing = Some(alerts);
                tracing::error!("output {} loses alerts: {error}", self.kind);
            }
        }
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
pub(crate) mod tests;
