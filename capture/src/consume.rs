//! The consumer: one thread that reads the ring in place, keeps the state, and shows each event.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use lanner_schema::container::{CgroupMap, ContainerTable, Containers, Owner};
use lanner_schema::descriptor::Descriptor;
use lanner_schema::event::{Category, EVENT_COUNT, EVENTS, Event, EventSet, FdUse, Needs, Origin};
use lanner_schema::host_names::{AddressNames, HostNames};
use lanner_schema::host_root::on_host;
use lanner_schema::io_uring::End;
use lanner_schema::process::{Process, User};
use lanner_schema::record::{
    FIRST_SOURCE, FLAG_COMPLETES, FLAG_IO_URING, HEADER_LEN, Header, RequestTail, TaskState, Wire,
};
use lanner_schema::tier::Source;
use lanner_schema::view::{Earlier, EventView, NameSet, Names, Outcome, ResolvedPath, SourceId, System};
use libbpf_rs::{MapHandle, RingBuffer, RingBufferBuilder};
use memchr::memchr;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use smallvec::SmallVec;

use crate::bpf::ConsumerPage;
use crate::cgroup::Cgroups;
use crate::container_event;
use crate::decode::{PathParams, PathRanges, Paths, push_relative};
use crate::descriptor;
use crate::error::CaptureError;
use crate::feed::Feed;
use crate::from_proc::{self, Found};
use crate::history::Within;
use crate::last_peer::LastPeers;
use crate::losses::{LossWatch, Losses};
use crate::magic_link;
use crate::outside::{self, Ask, Outside};
use crate::owner::Owners;
use crate::pid_namespace;
use crate::plan::{Config, Plan};
use crate::process_table::{ProcessTable, param, text};
use crate::procfs::Procfs;
use crate::real_path::Way;
use crate::recording::Recorder;
use crate::requests::{Ended, Requests};
use crate::stats::{Cut, Delivered, Sequences, Stats};
use crate::tier::Tier;
use crate::users::Users;
use crate::window::Window;

/// Records read before the loop looks at anything else.
const BATCH: usize = 8192;
/// How long records gather before this thread looks again, while there are any: a nap costs one timer, a wake-up per
/// record would cost its producer far more. A ring that fills up ends the nap.
const NAP: Duration = Duration::from_millis(5);
/// The same where /proc is asked for what the records lack: it forgets who ends.
const SHORT_NAP: Duration = Duration::from_millis(1);
/// After this many naps without a record the consumer sleeps until the next one.
const NAPS: u32 = 40;
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
        let feed = Feed::start(&plan, containers)?;
        let mut owners = None;
        if let Feed::Ring(ring) = &feed {
            owners = Some(ring.probes.owners(&ring.page, &ring.cgroup_map)?);
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
        consumer.state.processes.unheard =
            plan.tier == Tier::None && !plan.sources_in_force().any(|source| source == Source::Connector);
        if let Some(owners) = owners {
            consumer.owners.tell(owners);
        }
        consumer.without_types = plan.tier == Tier::Raw;
        consumer.look_up_wanted(plan.wanted());
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

    /// The kernel's set of container cgroups.
    pub fn cgroup_map(&self) -> Arc<dyn CgroupMap> {
        self.feed.cgroup_map()
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
        self.plan = crate::plan::plan(host, needs, config)?;
        self.consumer.get_mut().shown = self.plan.shown;
        self.feed.configure(&self.plan)?;
        // After the programs were told: what they have not recorded is in /proc.
        let processes = &mut self.consumer.get_mut().state.processes;
        processes.keep(self.plan.environment, self.plan.cgroups);
        Ok(())
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
                self.run_ring(&map, &page, stop, audience)
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
        ring_map: &MapHandle,
        page: &ConsumerPage,
        stop: &AtomicBool,
        audience: &mut dyn Audience,
    ) -> Result<(), CaptureError> {
        let consumer = &self.consumer;
        // Shown to by the ring's records and by the chores.
        let audience = RefCell::new(audience);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(ring_map, |bytes| {
                let at = || Header::read(bytes).map_or(0, |header| header.time);
                let show = &mut |event: &EventView<'_>| audience.borrow_mut().event(event, at());
                consumer.borrow_mut().record(bytes, show);
                0
            })
            .map_err(|e| CaptureError::bpf("use the ring buffer", e))?;
        let ring = builder
            .build()
            .map_err(|e| CaptureError::bpf("use the ring buffer", e))?;
        let mut chores = Instant::now();
        let mut idle = 0u32;
        let nap = match consumer.borrow().without_types {
            true => SHORT_NAP,
            false => NAP,
        };
        loop {
            let mut stopping = stop.load(Ordering::Relaxed) || consumer.borrow().recording_ended();
            let read = ring.consume_raw_n(BATCH);
            if chores.elapsed() > CHORES {
                chores = Instant::now();
                let audience = &mut **audience.borrow_mut();
                stopping |= do_chores(&self.feed, consumer, audience).is_break();
            }
            let caught_up = !usize::try_from(read).is_ok_and(|n| n == BATCH);
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
                wait(&ring, nap);
                continue;
            }
            // Raise the flag, then look once more: a record submitted before the flag was seen wakes nobody.
            page.set_sleeping(true);
            match ring.consume_raw_n(BATCH) {
                0 => wait(&ring, SLEEP),
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
            while ring.consume_raw_n(BATCH) > 0 {}
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

/// The state fields look things up in.
#[derive(Debug)]
struct State {
    processes: ProcessTable,
    users: Users,
    names: Arc<AddressNames>,
    earlier: Option<Earlier>,
    /// The process of the event that is shown as it was then, where that is not what it is, and what else it may have been.
    was: Option<Process>,
    otherwise: Vec<Process>,
}

impl System for State {
    fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.get(pid)
    }
    fn parent(&self, of: &Process) -> Option<&Process> {
        self.processes.parent(of)
    }
    fn user(&self, uid: u32) -> Option<&User> {
        self.users.user(uid)
    }
    fn group(&self, gid: u32) -> Option<&str> {
        self.users.group(gid)
    }
    fn names_of(&self, address: IpAddr) -> &[Box<str>] {
        self.names.of(address)
    }
    fn earlier(&self) -> Option<Earlier> {
        self.earlier
    }
    fn otherwise(&self) -> &[Process] {
        &self.otherwise
    }
    fn descriptor_now(&self, pid: u32, number: u32, look: &mut dyn FnMut(&Descriptor<'_>)) {
        self.processes.procfs.descriptor(self.known(pid), number, look);
    }
    fn descriptors_now(&self, pid: u32) -> Vec<u32> {
        self.processes.procfs.descriptors(self.known(pid))
    }
}

impl State {
    /// Finds out what the process of a source's event was, between `since` and the time of its record; false when nobody can
    /// know. `ids` are those that the source found, and become those of then where it looked at them later.
    fn look_back(&mut self, since: u64, header: &Header, ids: &mut (u32, u32)) -> bool {
        self.was = None;
        self.otherwise.clear();
        let is_looked_at_later = header.stream == Source::Fanotify.stream();
        // A waiting caller does not change, and what the connector tells of is the change itself.
        if !is_looked_at_later || !self.processes.has_history() {
            return true;
        }
        match self.processes.within(header.pid, since, header.time) {
            Within::AsNow => {
                if let Some(process) = self.processes.get(header.pid) {
                    *ids = (process.uid, process.gid);
                }
                true
            }
            Within::OneOf(mut processes) => {
                let last = processes.remove(0);
                *ids = (last.uid, last.gid);
                self.was = Some(last);
                self.otherwise = processes;
                true
            }
            Within::Untold => {
                *ids = (u32::MAX, u32::MAX);
                false
            }
        }
    }

    /// A process and its start, 0 when that is not known: its id may be another's by now.
    fn known(&self, pid: u32) -> (u32, u64) {
        (
            pid,
            self.processes.get(pid).map_or(0, |process| process.start_time),
        )
    }
}

#[derive(Debug)]
pub(crate) struct Consumer {
    state: State,
    host_names: Arc<HostNames>,
    owners: Owners,
    outside: Outside,
    shown: EventSet,
    /// The containers whose coming and going was told.
    told: Arc<Containers>,
    paths: PathParams,
    peers: LastPeers,
    requests: Requests,
    /// Since when the event of the record may have been, in nanoseconds since boot.
    since: u64,
    /// How the operation of io_uring ended that is being shown.
    end: Option<End>,
    arena: Vec<u8>,
    number: u64,
    sequences: Sequences,
    delivered: Delivered,
    losses: LossWatch,
    cut: Cut,
    undecodable: u64,
    unresolved_paths: u64,
    unknown_ways: u64,
    /// Per event, the on-demand parameters that rules read.
    wanted: [u32; EVENT_COUNT],
    recorder: Option<Recorder>,
    window: Arc<Window>,
    /// Records lack what takes the kernel's types: /proc is asked for it.
    pub(crate) without_types: bool,
}

impl Consumer {
    /// Reads the state there already is.
    pub(crate) fn new(
        shown: EventSet,
        config: &Config,
        containers: &Arc<ContainerTable>,
        host_names: Arc<HostNames>,
        outside: Outside,
    ) -> Consumer {
        let cgroups = Cgroups::find(outside.clone()).map(Arc::new);
        if cgroups.is_none() {
            tracing::warn!("no cgroups are mounted here: containers can't be told from the host");
        }
        let procfs = Procfs::new(cgroups.clone(), outside.clone());
        let mut processes = ProcessTable::new(config, procfs);
        processes.fill();
        Consumer {
            state: State {
                processes,
                users: Users::read("/etc".as_ref(), outside.clone()),
                names: Arc::default(),
                earlier: None,
                was: None,
                otherwise: Vec::new(),
            },
            host_names,
            owners: Owners::new(cgroups, containers, outside.clone()),
            shown,
            told: Arc::default(),
            paths: PathParams::new(),
            peers: LastPeers::new(),
            requests: Requests::default(),
            since: 0,
            end: None,
            arena: Vec::with_capacity(16 << 10),
            outside,
            number: 0,
            sequences: Sequences::default(),
            delivered: Delivered::default(),
            losses: LossWatch::default(),
            cut: Cut::default(),
            undecodable: 0,
            unresolved_paths: 0,
            unknown_ways: 0,
            wanted: [0; EVENT_COUNT],
            recorder: None,
            window: Arc::default(),
            without_types: false,
        }
    }

    /// What rules read that is looked up when an event is seen: per event, the on-demand parameters.
    pub(crate) fn look_up_wanted(&mut self, params: impl IntoIterator<Item = (Event, u32)>) {
        self.wanted = [0; EVENT_COUNT];
        for (event, bits) in params {
            self.wanted[event as usize] = bits;
        }
    }

    /// What of processes is kept besides the rest, because a rule reads it.
    pub(crate) fn keep_of_processes(&mut self, environment: bool, cgroups: bool) {
        self.state.processes.keep(environment, cgroups);
    }

    /// Keeps what comes in `recorder`, through whose tape this consumer asks.
    pub(crate) fn keep(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    fn recording_ended(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::ended)
    }

    /// What came of the records so far.
    pub(crate) fn stats(&self) -> Stats {
        let counts = self.state.processes.counts;
        Stats {
            delivered: self.delivered.counts(),
            gaps: self.sequences.gaps,
            cut: self.cut.counts(),
            losers: self.losses.by_loser(),
            undecodable: self.undecodable,
            unresolved_paths: self.unresolved_paths,
            unknown_ways: self.unknown_ways,
            processes: self.state.processes.len(),
            repaired: counts.repaired,
            stale_processes: counts.stale,
            doubted_processes: counts.doubted,
            unknown_processes: counts.unknown,
            purged_processes: counts.purged,
            evicted_processes: counts.evicted,
            vanished_cgroups: self.owners.vanished,
            identified_late: self.owners.identified_late,
            requests_unended: self.requests.counts.unended,
            requests_unbegun: self.requests.counts.unbegun,
            requests_crowded: self.requests.counts.crowded,
            ..Stats::default()
        }
    }

    /// One record, in place.
    pub(crate) fn record(&mut self, bytes: &[u8], on_event: &mut dyn FnMut(&EventView<'_>)) {
        self.consume(bytes, on_event);
        if let Some(recorder) = &self.recorder {
            // After what it made the consumer ask.
            recorder.record(bytes);
        }
    }

    fn consume(&mut self, bytes: &[u8], on_event: &mut dyn FnMut(&EventView<'_>)) {
        let Some((mut header, event, wire)) = split(bytes) else {
            self.undecodable += 1;
            return;
        };
        self.sequences.see(header.cpu, header.stream, header.sequence);
        self.since = header.time;
        if header.stream >= FIRST_SOURCE {
            self.since = header.take_since();
            if header.stream == Source::Connector.stream() {
                self.state.processes.keep_history();
            }
        }
        let told = header;
        if self.without_types || header.stream >= FIRST_SOURCE && header.cgroup == 0 {
            self.complete(&mut header);
        }
        if header.flags & FLAG_IO_URING != 0 {
            return self.request(event, &header, bytes, on_event);
        }
        self.delivered.add(event);
        if wire.is_truncated() {
            self.cut.add(event, &wire);
        }
        match event {
            Event::TaskFork => {
                self.state.processes.fork(&header, &wire);
                let child = wire.number(param!(TaskFork, "child_pid"));
                if let Some(from) = self.note_move()
                    && let Some(child) = child.and_then(|pid| u32::try_from(pid).ok())
                    && let Some(child) = self.state.processes.get_mut(child)
                {
                    child.escaped_from = from;
                }
            }
            Event::TaskExec => {
                self.end_requests_of(&header, on_event);
                if self.without_types {
                    // Its cgroup may be another since it was last looked at, which /proc says.
                    self.state.processes.exec_by_proc(&told, &wire);
                    header = told;
                    self.complete(&mut header);
                } else {
                    self.state.processes.exec(&header, &wire);
                }
                self.show_exec(&header, &wire, on_event);
            }
            Event::Procexit => {
                let last = wire.number(param!(Procexit, "group_dead")) == Some(1);
                if last {
                    self.end_requests_of(&header, on_event);
                }
                self.show(event, &header, wire, on_event);
                if last {
                    self.state.processes.exit(&header);
                }
            }
            Event::TaskRename => {
                if let Some(comm) = wire.param(param!(TaskRename, "comm")) {
                    self.state.processes.before_change(header.pid, header.time);
                    self.state.processes.rename(header.pid, comm.bytes);
                }
            }
            Event::TaskChanged => {
                self.state.processes.before_change(header.pid, header.time);
                let state = wire.param(param!(TaskChanged, "state"));
                if let Some(state) = state.and_then(|state| TaskState::read(state.bytes)) {
                    self.state.processes.follow(&header, &state);
                }
                let id = |index: usize| wire.number(index).and_then(|id| u32::try_from(id).ok());
                let ids = (id(param!(TaskChanged, "uid")), id(param!(TaskChanged, "gid")));
                if let Some(process) = self.state.processes.get_mut(header.pid) {
                    process.uid = ids.0.unwrap_or(process.uid);
                    process.gid = ids.1.unwrap_or(process.gid);
                }
            }
            Event::TaskMissed => self.state.processes.resync(header.time),
            Event::CgroupMkdir => {
                let path = wire
                    .param(param!(CgroupMkdir, "path"))
                    .map(|path| text(path.bytes));
                if let Some((id, path)) = wire.number(param!(CgroupMkdir, "id")).zip(path) {
                    self.owners.made(id, path);
                }
            }
            // Its path starts from the directory of before.
            Event::Chroot => {
                self.show(event, &header, wire, on_event);
                self.chdir(event, &header, &wire);
            }
            Event::Chdir | Event::Fchdir | Event::Setns | Event::PivotRoot => {
                self.chdir(event, &header, &wire);
                self.follow(event, &header, &wire);
                self.show(event, &header, wire, on_event);
            }
            _ => {
                self.follow(event, &header, &wire);
                self.show(event, &header, wire, on_event);
            }
        }
        self.note_move();
    }

    /// What a source did not ask of the process is what is known of it: without the kernel's types a program knows the real
    /// ids and the cgroup of version 2 alone.
    fn complete(&mut self, header: &mut Header) {
        self.state.processes.ensure(header);
        match self.state.processes.get(header.pid) {
            Some(process) => {
                (header.uid, header.gid) = (process.uid, process.gid);
                if header.cgroup == 0 {
                    header.cgroup = process.cgroup;
                }
            }
            None if self.without_types => {}
            None => (header.uid, header.gid) = (u32::MAX, u32::MAX),
        }
    }

    /// A process that leaves its container for a cgroup of the host's stays the container's, and so does what it starts:
    /// who is root there and sees the cgroups of the host could else become the host by a write to a file.
    /// Gives the cgroup that was left.
    fn note_move(&mut self) -> Option<u64> {
        let (pid, from) = self.state.processes.take_moved()?;
        let process = self.state.processes.get_mut(pid)?;
        if !self.owners.is_escape(from, process.cgroup) {
            return None;
        }
        process.escaped_from = from;
        tracing::debug!(pid, "a process left its container's cgroup for one of the host's");
        Some(from)
    }

    /// Half of a request of io_uring.
    fn request(
        &mut self,
        event: Event,
        header: &Header,
        bytes: &[u8],
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) {
        let count = event.row().params.len();
        let parts = RequestTail::split(&bytes[HEADER_LEN..]);
        let Some((bytes, tail)) = parts.filter(|(bytes, _)| Wire::read(bytes, count).is_some()) else {
            self.undecodable += 1;
            return;
        };
        let ended = match header.flags & FLAG_COMPLETES {
            0 => self.requests.submit(event, header, tail, bytes),
            _ => [self.requests.complete(event, header, tail, bytes), None],
        };
        self.show_ended(ended.into_iter().flatten(), on_event);
    }

    /// Shows requests that have ended.
    fn show_ended(
        &mut self,
        ended: impl IntoIterator<Item = Ended>,
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) {
        for one in ended {
            self.delivered.add(one.event);
            if let Some(wire) = Wire::read(&one.bytes, one.event.row().params.len()) {
                if wire.is_truncated() {
                    self.cut.add(one.event, &wire);
                }
                self.end = Some(one.end);
                self.show(one.event, &one.header, wire, on_event);
                self.end = None;
            }
            self.requests.reuse(one.bytes);
        }
    }

    /// Before a process ends or is another program: what it asked for and would have been told of.
    fn end_requests_of(&mut self, header: &Header, on_event: &mut dyn FnMut(&EventView<'_>)) {
        let ended = self.requests.silent_of(header.pid, header.time);
        self.show_ended(ended, on_event);
    }

    /// After the last record.
    pub(crate) fn end_requests(&mut self, now: u64, on_event: &mut dyn FnMut(&EventView<'_>)) {
        let ended = self.requests.all_silent(now);
        self.show_ended(ended, on_event);
    }

    /// Takes over what a call made of a process, on events that tell.
    fn follow(&mut self, event: Event, header: &Header, wire: &Wire<'_>) {
        const AT: [Option<usize>; EVENT_COUNT] = {
            let mut at = [None; EVENT_COUNT];
            let mut event = 0;
            while event < EVENT_COUNT {
                at[event] = EVENTS[event].task_state();
                event += 1;
            }
            at
        };
        let Some(index) = AT[event as usize] else { return };
        if let Some(state) = wire.param(index).and_then(|p| TaskState::read(p.bytes)) {
            self.state.processes.follow(header, &state);
        } else if self.without_types {
            self.state.processes.look_again(header.pid);
        }
    }

    /// A successful exec: an event of the call that made it, its parameters from the new state.
    fn show_exec(&mut self, header: &Header, wire: &Wire<'_>, on_event: &mut dyn FnMut(&EventView<'_>)) {
        let by_descriptor = match wire.number(param!(TaskExec, "by_descriptor")) {
            Some(by_descriptor) => by_descriptor == 1,
            // The kernel's name for it, which somebody may have passed, too.
            None => wire
                .param(param!(TaskExec, "filename"))
                .is_some_and(|name| name.bytes.starts_with(b"/dev/fd/")),
        };
        let event = if by_descriptor {
            Event::Execveat
        } else {
            Event::Execve
        };
        if !self.shown.contains(event) {
            return;
        }
        let index = match event {
            Event::Execveat => param!(Execveat, "filename"),
            _ => param!(Execve, "filename"),
        };
        let paths: Paths<'_> = wire
            .param(param!(TaskExec, "filename"))
            .zip(u8::try_from(index).ok())
            .map(|(p, param)| ResolvedPath {
                param,
                path: p.bytes.strip_suffix(b"\0").unwrap_or(p.bytes),
            })
            .into_iter()
            .collect();
        let names = NameSet {
            paths: &paths,
            descriptor: None,
        };
        self.view(
            event,
            header,
            wire.task_only(),
            Some(0),
            names,
            Names::Agree,
            on_event,
        );
    }

    fn chdir(&mut self, event: Event, header: &Header, wire: &Wire<'_>) {
        if event.row().result().and_then(|index| wire.number(index)) != Some(0) {
            return;
        }
        if self.without_types {
            self.state.processes.ensure(header);
            return self.state.processes.look_again(header.pid);
        }
        self.arena.clear();
        let found = self.paths.resolve(
            event,
            wire,
            &mut self.arena,
            &mut self.unresolved_paths,
            &mut |_, _| false,
        );
        // What the kernel says, not what was passed.
        let is_kernels =
            |index: u8| matches!(event.row().params[usize::from(index)].from, Origin::Extractor(_));
        if let Some((_, range)) = found.into_iter().find(|(index, _)| is_kernels(*index)) {
            self.state.processes.ensure(header);
            self.state.processes.chdir(header.pid, &self.arena[range]);
        }
    }

    fn show(
        &mut self,
        event: Event,
        header: &Header,
        wire: Wire<'_>,
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) {
        if !self.shown.contains(event) {
            return;
        }
        let mut arena = std::mem::take(&mut self.arena);
        arena.clear();
        if self.without_types {
            self.state.processes.ensure(header);
        }
        let processes = &self.state.processes;
        let may_ask = self.without_types;
        let mut ranges = self.paths.resolve(
            event,
            &wire,
            &mut arena,
            &mut self.unresolved_paths,
            &mut |from, arena| may_ask && processes.push_start(header.pid, from, arena),
        );
        if event == Event::Chroot && wire.number(0) == Some(0) {
            self.before_chroot(header.pid, &wire, &mut arena, &mut ranges);
        }
        if self.paths.may_look_up(event) {
            self.look_up(event, header, &wire, &mut arena, &mut ranges);
        }
        let through_proc = match self.state.processes.get(header.pid) {
            Some(process) => self
                .paths
                .through_proc(event, &wire, process, &ranges, &mut arena),
            None => PathRanges::new(),
        };
        let paths: Paths<'_> = ranges
            .into_iter()
            .map(|(param, range)| ResolvedPath {
                param,
                path: &arena[range],
            })
            .collect();
        let path_of = |param| paths.iter().find(|p| p.param == param).map(|p| p.path);
        let mut descriptor = descriptor::descriptor(event, &wire, path_of);
        let found = match (&descriptor, self.without_types) {
            (Some(descriptor), true) => self.look_at(event, header, descriptor),
            _ => None,
        };
        if self.without_types {
            descriptor = descriptor.map(|one| from_proc::described(one, found.as_ref()));
        }
        if let Some(descriptor) = &mut descriptor
            && matches!(event.row().category, Category::IoRead | Category::IoWrite)
            && wire.number(0).is_some_and(|result| result.cast_signed() >= 0)
            && let Some(tuple) = &descriptor.tuple
        {
            let datagram = self.peers.note(tuple, event.row().category == Category::IoRead);
            descriptor.name_changed = datagram.changed;
            descriptor.is_server = datagram.is_server;
        }
        let own = NameSet {
            paths: &paths,
            descriptor: descriptor.as_ref(),
        };
        let mut real = self.paths.by_real_names(event, &paths);
        for (param, range) in through_proc {
            let changed = real.get_or_insert_with(|| paths.clone());
            if let Some(path) = changed.iter_mut().find(|path| path.param == param) {
                path.path = &arena[range];
            }
        }
        let named = match (&real, descriptor, event.row().fd) {
            (Some(real), Some(descriptor), FdUse::Opens { path, .. }) => {
                let path = real.iter().find(|p| p.param == path).map(|p| p.path);
                Some(Descriptor { path, ..descriptor })
            }
            _ => descriptor,
        };
        let names = match &real {
            None => Names::Agree,
            Some(paths) => Names::Requested(NameSet {
                paths,
                descriptor: named.as_ref(),
            }),
        };
        self.view(event, header, wire, None, own, names, on_event);
        drop((real, paths));
        self.arena = arena;
    }

    /// What /proc says of an event's descriptor, where that is asked for: of a socket, or of an object a rule reads.
    fn look_at(&self, event: Event, header: &Header, descriptor: &Descriptor<'_>) -> Option<Found> {
        let is_wanted = match event.row().fd {
            FdUse::Socket { .. } => true,
            FdUse::Makes { object, .. } | FdUse::Described { object, .. } | FdUse::Copies { object, .. } => {
                self.wanted[event as usize] >> object & 1 == 1
            }
            FdUse::None | FdUse::Opens { .. } => false,
        };
        let number = u32::try_from(descriptor.number).ok().filter(|_| is_wanted)?;
        let mut found = None;
        let known = self.state.known(header.pid);
        let procfs = &self.state.processes.procfs;
        procfs.descriptor(known, number, &mut |descriptor| {
            found = Some(Found::keep(descriptor))
        });
        found
    }

    /// Finds out where the paths of a call led that succeeded, those of which a rule asks.
    fn look_up(
        &mut self,
        event: Event,
        header: &Header,
        wire: &Wire<'_>,
        arena: &mut Vec<u8>,
        ranges: &mut PathRanges,
    ) {
        let wanted = self.wanted[event as usize];
        let result = event.row().result().and_then(|index| wire.number(index));
        if wanted == 0 || result.is_none_or(|result| result.cast_signed() < 0) {
            return;
        }
        let processes = &self.state.processes;
        // Those that end at once are seen when they are gone; who started them in the same cgroup has the same root, but
        // for a chroot of their own.
        let first = processes.get(header.pid);
        let above = std::iter::successors(first, |process| processes.get(process.ppid)).skip(1);
        let near = above.take(3).filter(|process| process.cgroup == header.cgroup);
        let candidates: SmallVec<[u32; 4]> = std::iter::once(header.pid)
            .chain(near.map(|process| process.pid))
            .collect();
        for (path, real, follows) in self.paths.looked_up(event, wire) {
            let Some(param) = wire.param(path.into()).filter(|_| wanted >> real & 1 == 1) else {
                continue;
            };
            let start = arena.len();
            let end = memchr(0, param.bytes).unwrap_or(param.bytes.len());
            let (raw, base) = (
                &param.bytes[..end],
                param.bytes.get(end + 1..).unwrap_or_default(),
            );
            let led =
                first.and_then(|process| magic_link::follow(raw, base, param.truncated, process, arena));
            let led = led.map(|range| arena[range].to_vec());
            arena.truncate(start);
            let way = match &led {
                _ if param.truncated => None,
                Some(led) => Way::of(led, b"", follows),
                None => Way::of(raw, base, follows),
            };
            if way.is_some_and(|way| way.look_up(&self.outside, &candidates, arena)) {
                ranges.push((real, start..arena.len()));
            } else {
                self.unknown_ways += 1;
            }
        }
    }

    /// Makes the path of a successful chroot absolute from the directory the process was in: what the record says is
    /// seen from the new root.
    fn before_chroot(&self, pid: u32, wire: &Wire<'_>, arena: &mut Vec<u8>, ranges: &mut PathRanges) {
        const PATH: usize = param!(Chroot, "path");
        let raw = wire.param(PATH).map_or(&[][..], |p| text(p.bytes));
        let process = self.state.processes.get(pid).filter(|_| !raw.starts_with(b"/"));
        let path = ranges.iter_mut().find(|(index, _)| usize::from(*index) == PATH);
        if let Some((process, (_, range))) = process.zip(path) {
            let start = arena.len();
            push_relative(arena, &process.cwd, raw);
            *range = start..arena.len();
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn view(
        &mut self,
        event: Event,
        header: &Header,
        wire: Wire<'_>,
        implied_result: Option<i64>,
        own: NameSet<'_>,
        names: Names<'_>,
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) {
        self.state.processes.ensure(header);
        let processes = &self.state.processes;
        self.owners.ensure(header.cgroup, || {
            let parent = processes.get(header.pid).and_then(|p| processes.parent(p));
            parent.map(|p| p.cgroup)
        });
        self.note_move();
        self.tell_of_containers(header.time, on_event);
        let process = self.state.processes.get(header.pid);
        let (owner, cgroup) = match (self.owners.get(header.cgroup), process) {
            (Owner::Host, Some(process)) if process.escaped_from != 0 => {
                let left = self.owners.escaped(process.escaped_from);
                (
                    left.map_or(Owner::Host, |left| Owner::Container(left)),
                    process.escaped_from,
                )
            }
            (owner, _) => (owner, header.cgroup),
        };
        match owner {
            Owner::Host => self.state.users.select_host(),
            Owner::Container(_) => {
                self.state
                    .users
                    .select_container(cgroup, header.pid, header.image);
            }
        }
        if !self.window.has(header.time) {
            return;
        }
        let mut ids = (header.uid, header.gid);
        let process = if header.stream >= FIRST_SOURCE {
            let is_told = self.state.look_back(self.since, header, &mut ids);
            let now = || self.state.processes.get(header.pid);
            self.state.was.as_ref().or_else(now).filter(|_| is_told)
        } else {
            process
        };
        self.number += 1;
        let time = self.state.processes.boot().wrapping_add(header.time);
        on_event(&EventView {
            source: SourceId::SYSCALL,
            event,
            number: self.number,
            time,
            cpu: header.cpu,
            tid: header.tid,
            pid: header.pid,
            uid: ids.0,
            gid: ids.1,
            wire,
            implied_result,
            outcome: Outcome::of(header.flags),
            io_uring: self.end,
            paths: own.paths,
            process,
            descriptor: own.descriptor,
            names,
            owner,
            system: &self.state,
        });
        self.state.otherwise.clear();
        self.state.earlier = Some(Earlier::and(self.state.earlier, time));
    }

    /// Shows which containers have come and gone since the table of containers was another, where a rule wants to know.
    /// `now` is in nanoseconds since boot.
    fn tell_of_containers(&mut self, now: u64, on_event: &mut dyn FnMut(&EventView<'_>)) {
        if Arc::ptr_eq(&self.told, self.owners.containers())
            || ![Event::Container, Event::ContainerRemoved]
                .into_iter()
                .any(|event| self.shown.contains(event))
        {
            return;
        }
        let before = std::mem::replace(&mut self.told, Arc::clone(self.owners.containers()));
        let time = self.state.processes.boot().wrapping_add(now);
        for news in container_event::between(&before, &self.told) {
            if !self.shown.contains(news.event) || !self.window.has(now) {
                continue;
            }
            let bytes = news.wire();
            let Some(wire) = Wire::read(&bytes, news.event.row().params.len()) else {
                continue;
            };
            self.number += 1;
            on_event(&EventView {
                source: SourceId::SYSCALL,
                event: news.event,
                number: self.number,
                time,
                cpu: 0,
                tid: 0,
                pid: 0,
                uid: u32::MAX,
                gid: u32::MAX,
                wire,
                implied_result: None,
                outcome: Outcome::Told,
                io_uring: None,
                paths: &[],
                process: None,
                descriptor: None,
                names: Names::Agree,
                owner: Owner::Container(&news.container),
                system: &self.state,
            });
            self.state.earlier = Some(Earlier::and(self.state.earlier, time));
        }
    }

    /// What need not be done per event. `now` is in nanoseconds since boot; `missed` is how many records were lost since
    /// the last time that would have changed the processes.
    pub(crate) fn chores(&mut self, now: u64, missed: u64, on_event: &mut dyn FnMut(&EventView<'_>)) {
        let missed = self.outside.ask_number(Ask::Missed, b"", || Some(missed));
        if missed.is_some_and(|missed| missed > 0) {
            self.state.processes.doubt(now);
        }
        self.owners.refresh();
        self.tell_of_containers(now, on_event);
        let ended = self.requests.silent_until(now);
        self.show_ended(ended, on_event);
        self.state.users.refresh(now);
        self.state.processes.purge(now);
        self.state.names = self.host_names.snapshot();
        self.outside.address_names(&self.state.names);
        self.state.processes.follow_clock(self.outside.boot_time());
        if let Some(recorder) = &self.recorder {
            recorder.chores(now);
        }
    }

    fn losses(&mut self, feed: &Feed) -> Losses {
        self.losses.look(feed, &self.owners)
    }
}

/// Waits until the ring wakes this thread, at most `limit`. What it holds is not read: reading is bounded elsewhere.
fn wait(ring: &RingBuffer<'_>, limit: Duration) {
    // SAFETY: the descriptor belongs to the ring, which is borrowed here.
    let epoll = unsafe { BorrowedFd::borrow_raw(ring.epoll_fd()) };
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
    // An interrupted wait is a wait that ended.
    let _ = poll(&mut [PollFd::new(epoll, PollFlags::POLLIN)], limit);
}

/// Takes a record apart; `None` when it is none.
pub(crate) fn split(bytes: &[u8]) -> Option<(Header, Event, Wire<'_>)> {
    let header = Header::read(bytes)?;
    let event = Event::from_index(header.event)?;
    let wire = Wire::read(&bytes[HEADER_LEN..], event.row().params.len())?;
    Some((header, event, wire))
}
