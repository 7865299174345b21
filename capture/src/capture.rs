//! Running capture: one thread that reads what comes, now and then does what need not be done per event, and lets its
//! audience change what is captured between two events.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use lanner_schema::container::ContainerTable;
use lanner_schema::event::Needs;
use lanner_schema::host_names::HostNames;
use lanner_schema::host_root::on_host;
use lanner_schema::record::Header;
use lanner_schema::view::EventView;
use libbpf_rs::MapHandle;

use crate::consume::Consumer;
use crate::error::CaptureError;
use crate::feed::Feed;
use crate::kernel_owners::ConsumerPage;
use crate::losses::Losses;
use crate::outside::{self, Outside};
use crate::pid_namespace;
use crate::plan::{Config, Plan};
use crate::recording::Recorder;
use crate::ring::Ring;
use crate::stats::Stats;
use crate::tier::Tier;
use crate::window::Window;

/// Records read before the loop looks at anything else.
const BATCH: usize = 8192;
/// How long records gather before this thread looks again, while there are any: a nap costs one timer, a wake-up per
/// record would cost its producer far more. A ring that fills up ends the nap.
const NAP: Duration = Duration::from_millis(5);
/// The same where /proc is asked for what the records lack: it forgets who ends.
const SHORT_NAP: Duration = Duration::from_millis(1);
/// After this many naps without a record the consumer sleeps until the next one. To be woken costs a producer some microseconds, which
/// is little that seldom; each nap costs this thread a wake-up.
const NAPS: u32 = 4;
/// How often a sleeping consumer looks up.
const SLEEP: Duration = Duration::from_millis(250);
/// How long to wait between looks at the end.
const DRAIN: Duration = Duration::from_millis(1);
/// How long to wait for the last records when capture stops.
const DRAIN_AT_END: Duration = Duration::from_millis(500);
/// How often users and the clock are looked at again.
const CHORES: Duration = Duration::from_secs(1);

/// Running capture.
#[derive(Debug)]
pub struct Capture {
    feed: Feed,
    plan: Plan,
    host_names: Arc<HostNames>,
    consumer: RefCell<Consumer>,
}

impl Capture {
    /// Loads and attaches the programs, and reads the state there already is. Events are kept in the ring from here on.
    /// Where the kernel refuses one, [`Capture::plan`] is what the plan had instead.
    ///
    /// # Errors
    /// When the kernel refuses a step; the error says which and what to try.
    pub fn start(
        plan: Plan,
        config: &Config,
        containers: &Arc<ContainerTable>,
    ) -> Result<Capture, CaptureError> {
        Self::start_with(plan, config, containers, None)
    }

    /// As [`Capture::start`], and keeps in `recorder` what comes: for a [`crate::Replay`]. Capture ends when the recording
    /// does.
    ///
    /// # Errors
    /// As those.
    pub fn record(
        plan: Plan,
        config: &Config,
        containers: &Arc<ContainerTable>,
        recorder: Recorder,
    ) -> Result<Capture, CaptureError> {
        Self::start_with(plan, config, containers, Some(recorder))
    }

    fn start_with(
        plan: Plan,
        config: &Config,
        containers: &Arc<ContainerTable>,
        recorder: Option<Recorder>,
    ) -> Result<Capture, CaptureError> {
        let (feed, plan) = Feed::start_what_can_be(plan, containers)?;
        let mut owners = None;
        if let Feed::Ring(ring) = &feed {
            owners = Some(ring.probes.owners(&ring.page, &ring.untold)?);
            // Typed first: what is kept there is any watcher.
            let watcher: Weak<ConsumerPage> = Arc::downgrade(&ring.page);
            containers.tell(watcher);
        }
        let host_names = Arc::<HostNames>::default();
        let outside = match &recorder {
            Some(recorder) => {
                recorder.begin(&(&plan).into());
                Outside::through(recorder.tape())
            }
            None => Outside::default(),
        };
        let procfs = on_host(Path::new("/proc"));
        let is_same = match &feed {
            Feed::Ring(_) => pid_namespace::is_of_procfs(&procfs),
            // These number processes as this process's namespace does.
            Feed::Sources(_) => pid_namespace::is_own(&procfs),
        };
        let outside = if is_same {
            outside
        } else {
            tracing::warn!(
                "the kernel numbers processes otherwise than /proc does here (a pid namespace, as in kind): of those \
                 that ran before Lanner little is known, and nothing is asked of /proc"
            );
            outside.without_procfs()
        };
        let mut consumer = Consumer::new(plan.shown, config, containers, Arc::clone(&host_names), outside);
        if let Some(recorder) = recorder {
            consumer.keep(recorder);
        }
        consumer.keep_of_processes(plan.environment, plan.cgroups);
        consumer.set_unheard(plan.is_unheard());
        if let Some(owners) = owners {
            consumer.owners.tell(owners);
        }
        consumer.without_types = plan.tier == Tier::Raw;
        consumer.look_up_wanted(plan.wanted());
        consumer.excused.clone_from(&plan.excused);
        consumer.told_apart = plan.told_apart;
        Ok(Capture {
            feed,
            plan,
            host_names,
            consumer: RefCell::new(consumer),
        })
    }

    /// What was attached.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The names of addresses that events are shown with: for whoever looks them up. A change is seen within seconds.
    pub fn host_names(&self) -> Arc<HostNames> {
        Arc::clone(&self.host_names)
    }

    /// The time whose events are shown; it may be changed while capture runs.
    pub fn window(&self) -> Arc<Window> {
        Arc::clone(&self.consumer.borrow().window)
    }

    /// Changes what is captured while it runs.
    ///
    /// # Errors
    /// When the programs can't be told.
    pub fn set_needs(
        &mut self,
        host: &crate::Host,
        needs: &Needs,
        config: &Config,
    ) -> Result<(), CaptureError> {
        let plan = crate::plan::plan(host, needs, config)?;
        let mut pause = Pause {
            feed: &mut self.feed,
            plan: &mut self.plan,
            consumer: &self.consumer,
            caught_up: false,
        };
        pause.change(plan)
    }

    /// Consumes events on this thread until `stop` is set, then what is still in the ring.
    ///
    /// # Errors
    /// When the ring can't be read.
    pub fn run(
        &mut self,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) -> Result<(), CaptureError> {
        self.run_watched(stop, on_event, &mut |_| ControlFlow::Continue(()))
    }

    /// As [`Capture::run`], and about once a second tells what was lost. Breaking off there stops as `stop` does.
    ///
    /// # Errors
    /// When the ring can't be read.
    pub fn run_watched(
        &mut self,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(&EventView<'_>),
        on_losses: &mut dyn FnMut(&Losses) -> ControlFlow<()>,
    ) -> Result<(), CaptureError> {
        self.run_with(stop, &mut Closures { on_event, on_losses })
    }

    /// As [`Capture::run`], for an audience that is shown more than events and may change what is captured.
    ///
    /// # Errors
    /// When the ring can't be read.
    pub fn run_with(&mut self, stop: &AtomicBool, audience: &mut dyn Audience) -> Result<(), CaptureError> {
        match &self.feed {
            Feed::Ring(ring) => {
                let (map, page) = (ring.probes.map("ring")?, Arc::clone(&ring.page));
                self.run_ring(map, &page, stop, audience)
            }
            Feed::Sources(_) => {
                self.run_sources(stop, audience);
                Ok(())
            }
        }
    }

    /// As [`Capture::run_with`], over the ring.
    fn run_ring(
        &mut self,
        ring_map: MapHandle,
        page: &ConsumerPage,
        stop: &AtomicBool,
        audience: &mut dyn Audience,
    ) -> Result<(), CaptureError> {
        let consumer = &self.consumer;
        // Shown to by the ring's records and by the chores.
        let audience = RefCell::new(audience);
        let mut ring = Ring::new(ring_map)?;
        let show = &mut |bytes: &[u8]| {
            let at = || Header::read(bytes).map_or(0, |header| header.time);
            let show = &mut |event: &EventView<'_>| audience.borrow_mut().event(event, at());
            consumer.borrow_mut().record(bytes, show);
        };
        let mut chores = Instant::now();
        let mut idle = 0u32;
        let nap = match consumer.borrow().without_types {
            true => SHORT_NAP,
            false => NAP,
        };
        loop {
            let mut stopping = stop.load(Ordering::Relaxed) || consumer.borrow().recording_ended();
            let read = ring.consume(BATCH, show)?;
            if chores.elapsed() > CHORES {
                chores = Instant::now();
                let audience = &mut **audience.borrow_mut();
                stopping |= do_chores(&self.feed, consumer, audience).is_break();
            }
            let caught_up = read < BATCH;
            audience.borrow_mut().pause(&mut Pause {
                feed: &mut self.feed,
                plan: &mut self.plan,
                consumer,
                caught_up,
            });
            if stopping {
                break;
            }
            if !caught_up {
                continue;
            }
            idle = if read > 0 { 0 } else { idle.saturating_add(1) };
            if idle < NAPS {
                ring.wait(nap);
                continue;
            }
            // Raise the flag, then look once more: a record submitted before the flag was seen wakes nobody.
            page.set_sleeping(true);
            match ring.consume(BATCH, show)? {
                0 => ring.wait(SLEEP),
                _ => idle = 0,
            }
            page.set_sleeping(false);
        }
        // Nothing is added once the programs are detached, but one may still be running on another CPU: read until every
        // record that was begun has come or is counted as lost.
        if let Feed::Ring(ring) = &mut self.feed {
            ring.probes.detach();
        }
        let deadline = Instant::now() + DRAIN_AT_END;
        loop {
            while ring.consume(BATCH, show)? > 0 {}
            let mut sequences = consumer.borrow().sequences.clone();
            sequences.close(&self.feed.sequences());
            let lost = self.feed.lost();
            if sequences.gaps <= lost || Instant::now() > deadline {
                end(&self.feed, consumer, &mut **audience.borrow_mut());
                return Ok(());
            }
            thread::sleep(DRAIN);
        }
    }

    /// As [`Capture::run_with`], over sources without BPF.
    fn run_sources(&mut self, stop: &AtomicBool, audience: &mut dyn Audience) {
        let consumer = &self.consumer;
        let show = |bytes: &[u8], audience: &mut dyn Audience| {
            let at = Header::read(bytes).map_or(0, |header| header.time);
            let on_event = &mut |event: &EventView<'_>| audience.event(event, at);
            consumer.borrow_mut().record(bytes, on_event);
        };
        let mut chores = Instant::now();
        loop {
            let mut stopping = stop.load(Ordering::Relaxed) || consumer.borrow().recording_ended();
            let mut caught_up = true;
            if let Feed::Sources(sources) = &mut self.feed {
                caught_up = sources.consume(&mut |bytes| show(bytes, audience));
            }
            if chores.elapsed() > CHORES {
                chores = Instant::now();
                stopping |= do_chores(&self.feed, consumer, audience).is_break();
            }
            audience.pause(&mut Pause {
                feed: &mut self.feed,
                plan: &mut self.plan,
                consumer,
                caught_up,
            });
            let Feed::Sources(sources) = &mut self.feed else {
                return;
            };
            if stopping {
                sources.finish(&mut |bytes| show(bytes, audience));
                end(&self.feed, consumer, audience);
                return;
            }
            if caught_up {
                sources.wait(SLEEP);
            }
        }
    }

    /// What was delivered and lost so far.
    pub fn stats(&self) -> Stats {
        stats(&self.feed, &self.consumer.borrow())
    }
}

/// What is done about once a second. Breaks off when the audience wants capture to end.
fn do_chores(feed: &Feed, consumer: &RefCell<Consumer>, audience: &mut dyn Audience) -> ControlFlow<()> {
    let losses = consumer.borrow_mut().losses(feed);
    // All of them were lost before this.
    let now = outside::now();
    let missed = match feed {
        Feed::Ring(_) => losses.of_state(),
        // They tell themselves when what they say of processes is lost.
        Feed::Sources(_) => 0,
    };
    let show = &mut |event: &EventView<'_>| audience.event(event, now);
    consumer.borrow_mut().chores(now, missed, show);
    audience.losses(&losses)
}

/// After the last record.
fn end(feed: &Feed, consumer: &RefCell<Consumer>, audience: &mut dyn Audience) {
    let losses = consumer.borrow_mut().losses(feed);
    if losses.lost + losses.refused > 0 {
        let _ = audience.losses(&losses);
    }
    let now = outside::now();
    let show = &mut |event: &EventView<'_>| audience.event(event, now);
    consumer.borrow_mut().end_requests(now, show);
}

/// Who is shown what capture sees, on the thread that runs it.
pub trait Audience {
    /// An event. `at` is when its program recorded it, in nanoseconds since boot as [`now`](crate::now) gives them.
    fn event(&mut self, event: &EventView<'_>, at: u64);

    /// What was lost within about a second. Breaking off stops capture.
    fn losses(&mut self, losses: &Losses) -> ControlFlow<()>;

    /// Between two events, several times a second.
    fn pause(&mut self, _pause: &mut Pause<'_>) {}
}

/// The audience of [`Capture::run_watched`].
struct Closures<'c> {
    on_event: &'c mut dyn FnMut(&EventView<'_>),
    on_losses: &'c mut dyn FnMut(&Losses) -> ControlFlow<()>,
}

impl Audience for Closures<'_> {
    fn event(&mut self, event: &EventView<'_>, _at: u64) {
        (self.on_event)(event);
    }

    fn losses(&mut self, losses: &Losses) -> ControlFlow<()> {
        (self.on_losses)(losses)
    }
}

/// Running capture between two events.
#[derive(Debug)]
pub struct Pause<'c> {
    feed: &'c mut Feed,
    plan: &'c mut Plan,
    consumer: &'c RefCell<Consumer>,
    caught_up: bool,
}

impl Pause<'_> {
    /// True when the ring was empty a moment ago: whatever was recorded before that has been shown.
    pub fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// The plan in force.
    pub fn plan(&self) -> &Plan {
        self.plan
    }

    /// Captures what `plan` says from here on. Its tier and its ring must be those of the plan in force.
    ///
    /// # Errors
    /// When the programs can't be told; then the plan in force stays, as far as the kernel lets it.
    pub fn change(&mut self, plan: Plan) -> Result<(), CaptureError> {
        let mut consumer = self.consumer.borrow_mut();
        let shown = std::mem::replace(&mut consumer.shown, plan.shown);
        if let Err(error) = self.feed.configure(&plan) {
            consumer.shown = shown;
            if let Err(error) = self.feed.configure(self.plan) {
                tracing::error!("what was captured before can't be captured again: {error}");
            }
            return Err(error);
        }
        // After the programs were told: what they have not recorded is in /proc.
        consumer.keep_of_processes(plan.environment, plan.cgroups);
        consumer.look_up_wanted(plan.wanted());
        consumer.excused.clone_from(&plan.excused);
        consumer.told_apart = plan.told_apart;
        *self.plan = plan;
        Ok(())
    }

    /// What was delivered and lost so far.
    pub fn stats(&self) -> Stats {
        stats(self.feed, &self.consumer.borrow())
    }
}

fn stats(feed: &Feed, consumer: &Consumer) -> Stats {
    let mut sequences = consumer.sequences.clone();
    sequences.close(&feed.sequences());
    feed.stats(Stats {
        gaps: sequences.gaps,
        ..consumer.stats()
    })
}
