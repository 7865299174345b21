//! The consumer: it takes in records one by one, keeps the state, and shows each event.

mod alike;
mod names;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use lanner_schema::container::{ContainerTable, Containers, Owner};
use lanner_schema::event::{EVENT_COUNT, EVENTS, Event, EventSet, Origin, Programs};
use lanner_schema::host_names::HostNames;
use lanner_schema::io_uring::End;
use lanner_schema::record::{
    FIRST_SOURCE, FLAG_COMPLETES, FLAG_IO_URING, HEADER_LEN, Header, RequestTail, TaskState, Wire,
};
use lanner_schema::tier::Source;
use lanner_schema::view::{Earlier, EventView, NameSet, Names, Outcome, ResolvedPath, SourceId};

use crate::cgroup::Cgroups;
use crate::container_event;
use crate::decode::{PathParams, Paths};
use crate::feed::Feed;
use crate::last_peer::LastPeers;
use crate::losses::{LossWatch, Losses};
use crate::outside::{self, Ask, Outside};
use crate::owner::Owners;
use crate::plan::Config;
use crate::process_table::{ProcessTable, param, text};
use crate::procfs::Procfs;
use crate::real_path::RealPaths;
use crate::recording::Recorder;
use crate::requests::{Ended, Requests};
use crate::stats::{Cut, Delivered, Sequences, Stats};
use crate::users::Users;
use crate::window::Window;

use self::state::State;

/// What takes in records, and the state they change.
#[derive(Debug)]
pub(crate) struct Consumer {
    state: State,
    host_names: Arc<HostNames>,
    pub(crate) owners: Owners,
    outside: Outside,
    pub(crate) shown: EventSet,
    /// Of those, what is shown as well where it may be what a source has told as another.
    pub(crate) told_apart: EventSet,
    /// The containers whose coming and going was told.
    told: Arc<Containers>,
    paths: PathParams,
    real_paths: RealPaths,
    peers: LastPeers,
    requests: Requests,
    /// Since when the event of the record may have been, in nanoseconds since boot.
    since: u64,
    /// How the operation of io_uring ended that is being shown.
    end: Option<End>,
    arena: Vec<u8>,
    number: u64,
    pub(crate) sequences: Sequences,
    delivered: Delivered,
    losses: LossWatch,
    cut: Cut,
    undecodable: u64,
    unresolved_paths: u64,
    unknown_ways: u64,
    /// Per event, the on-demand parameters that rules read.
    wanted: [u32; EVENT_COUNT],
    /// Per event, the programs of whose calls no path is looked up ([`lanner_schema::event::Needs::excused`]).
    pub(crate) excused: BTreeMap<u16, Programs>,
    recorder: Option<Recorder>,
    pub(crate) window: Arc<Window>,
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
            tracing::warn!(
                "no cgroups are mounted, or the recording does not say where: containers can't be told from the host"
            );
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
                is_as_of_later: false,
                told_as: EventSet::NONE,
            },
            host_names,
            owners: Owners::new(cgroups, containers, outside.clone()),
            shown,
            told_apart: EventSet::NONE,
            told: Arc::default(),
            paths: PathParams::new(),
            real_paths: RealPaths::new(outside.clone()),
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
            excused: BTreeMap::new(),
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

    /// Whether nobody tells of execs and ends: what is known of a process is compared with /proc then.
    pub(crate) fn set_unheard(&mut self, unheard: bool) {
        self.state.processes.unheard = unheard;
    }

    /// Keeps what comes in `recorder`, through whose tape this consumer asks.
    pub(crate) fn keep(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// True when its recorder takes no more.
    pub(crate) fn recording_ended(&self) -> bool {
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
            Event::TaskMissed => {
                // /proc is read now, which may be a while after the record was made.
                let now = self.outside.ask_number(Ask::Now, b"", || Some(outside::now()));
                self.state.processes.resync(header.time.max(now.unwrap_or(0)));
            }
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
        // Without BPF nobody tells which of them it was.
        let is_either = header.stream >= FIRST_SOURCE;
        let event = match is_either && !self.shown.contains(event) {
            true => Event::Execveat,
            false => event,
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
        if is_either && event == Event::Execve && self.told_apart.contains(Event::Execveat) {
            self.state.told_as.insert(event);
            let none = NameSet {
                paths: &[],
                descriptor: None,
            };
            let task = wire.task_only();
            self.view(
                Event::Execveat,
                header,
                task,
                Some(0),
                none,
                Names::Agree,
                on_event,
            );
            self.state.told_as = EventSet::NONE;
        }
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
        self.state.is_as_of_later = false;
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

    /// What was lost since this was last asked.
    pub(crate) fn losses(&mut self, feed: &Feed) -> Losses {
        self.losses.look(feed, &mut self.owners)
    }
}

/// Takes a record apart; `None` when it is none.
pub(crate) fn split(bytes: &[u8]) -> Option<(Header, Event, Wire<'_>)> {
    let header = Header::read(bytes)?;
    let event = Event::from_index(header.event)?;
    let wire = Wire::read(&bytes[HEADER_LEN..], event.row().params.len())?;
    Some((header, event, wire))
}

#[cfg(test)]
mod tests;
