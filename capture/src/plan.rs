//! What to attach, decided from facts, needs and configuration alone: no system call in here.

mod tier_choice;
mod wording;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lanner_schema::call_class::ClassSet;
use lanner_schema::cgroup::Controller;
use lanner_schema::event::{
    EVENT_COUNT, EVENTS, Event, EventRow, EventSet, MAX_SNAPLEN, Needs, Programs, SNAPLEN,
};
use lanner_schema::io_uring::{self, OPERATIONS, Operation};
use lanner_schema::name_table::NameTable;
use lanner_schema::open_names::OpenNames;
use lanner_schema::path_hook::{self, PATH_HOOKS, PathHook};
use lanner_schema::seccomp;
use lanner_schema::tier::Source;

use crate::call_function::{CallFunction, CallFunctions};
use crate::error::CaptureError;
use crate::host::{Host, SourceTrial};
use crate::io_uring::Tracepoints;
use crate::kernel_types::{SECURE_COMPUTING, TASK_REGISTERS};
use crate::process_table::param;
use crate::tier::Tier;
use tier_choice::{Choice, choose, reason, unseen};

/// What the operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Size of a ring buffer in bytes; rounded up to a power of two.
    pub ring_bytes: usize,
    /// How many CPUs share a ring of that size; 0 for all of them. There is one ring all the same: it is as large as they
    /// would be together.
    pub cpus_for_each_buffer: usize,
    /// The tier to use.
    pub tier: Tier,
    /// Where the keeper of seccomp listeners is found.
    pub keeper: PathBuf,
    /// The most processes that are remembered.
    pub process_limit: usize,
    /// Calls that failed are not captured.
    pub drop_failed: bool,
    /// The most bytes of data that an event carries; no more than [`MAX_SNAPLEN`] are kept.
    pub snaplen: usize,
    /// How often processes whose end was not seen are looked for.
    pub purge_interval: Duration,
    /// How long such a process must have been silent to be forgotten.
    pub purge_timeout: Duration,
    /// `base_syscalls.custom_set`, the names with a `!`: no rule sees them, and they are captured for the state only.
    pub excluded: EventSet,
    /// `base_syscalls.all`: rules that leave the type of event open see reads and writes too.
    pub unnamed_io: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            ring_bytes: 8 << 20,
            cpus_for_each_buffer: 0,
            tier: Tier::Auto,
            keeper: seccomp::KEEPER.into(),
            process_limit: 262_144,
            drop_failed: false,
            snaplen: SNAPLEN,
            purge_interval: Duration::from_secs(300),
            purge_timeout: Duration::from_secs(300),
            excluded: EventSet::NONE,
            unnamed_io: false,
        }
    }
}

/// What will be attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The tier chosen.
    pub tier: Tier,
    /// Why.
    pub reason: String,
    /// What to go on with where the kernel refuses a program of this one; `None` where nothing else was allowed.
    pub instead: Option<Box<Plan>>,
    /// Every tier, best first, and why this host cannot be watched in it; `None` where it can.
    pub tiers: Vec<(Tier, Option<String>)>,
    /// Without BPF: the sources, and why one is not used; `None` where it is. None in the other tiers.
    pub sources: Vec<(Source, Option<String>)>,
    /// Where the keeper of seccomp listeners is found.
    pub keeper: PathBuf,
    /// In tier A, the functions at whose end there is a program.
    pub ends: BTreeMap<String, CallFunction>,
    /// The same at their beginning.
    pub starts: BTreeMap<String, CallFunction>,
    /// In tier A, the calls whose return in a child is looked at.
    pub children: EventSet,
    /// In tier A, calls that a seccomp filter refused are looked at, too: their function is not reached.
    pub refused: bool,
    /// In tier A, the functions at whose beginning is noted what a call works on; `None` where the kernel has no place for
    /// notes.
    pub path_hooks: Option<Vec<&'static PathHook>>,
    /// Events the rules see.
    pub shown: EventSet,
    /// Of those, events that have to be shown as well where they may be what a source has told as another.
    pub told_apart: EventSet,
    /// Events that are captured: those, and what the process state needs.
    pub captured: EventSet,
    /// Per event, the classes of calls that are captured; the programs drop the others.
    pub classes: [ClassSet; EVENT_COUNT],
    /// Per event, those of them that are captured only where the names of what they open are of `names`.
    pub named: [ClassSet; EVENT_COUNT],
    /// The automaton that reads names; `None` while none are looked at.
    pub names: Option<Arc<NameTable>>,
    /// Per event, the on-demand parameters that are read.
    pub params: [u32; EVENT_COUNT],
    /// Per event, the programs of whose calls it is not looked up where their paths led ([`Needs::excused`]).
    pub excused: BTreeMap<u16, Programs>,
    /// Calls that failed are not captured.
    pub drop_failed: bool,
    /// Size of the ring buffer in bytes, a power of two.
    pub ring_bytes: usize,
    /// The most bytes of data that an event carries.
    pub snaplen: u32,
    /// Per event, the values of the thread that are read.
    pub task: [u32; EVENT_COUNT],
    /// What rules compare names of files with ([`Needs::paths`]), for fanotify.
    pub paths: Vec<Box<[u8]>>,
    /// The environment of processes is kept.
    pub environment: bool,
    /// The cgroups of processes are kept.
    pub cgroups: bool,
    /// The tracepoints of io_uring to attach to, for the operations that raise an event which a rule needs; `None` when there
    /// are none of the one or of the other.
    pub io_uring: Option<Tracepoints>,
    /// The controller of cgroup version 1 whose hierarchy tells containers apart; `None` where version 2 does.
    pub controller: Option<Controller>,
}

/// The most memory a ring is given.
const RING_MAX: usize = 512 << 20;

/// Size of the one ring that holds what rings shared by `each` CPUs would.
fn ring_bytes(config: &Config, cpus: usize) -> usize {
    let rings = match config.cpus_for_each_buffer {
        0 => 1,
        each => cpus.div_ceil(each),
    };
    let most = RING_MAX.max(config.ring_bytes);
    let bytes = config.ring_bytes.saturating_mul(rings.max(1)).min(most);
    // A page at least, and a power of two.
    bytes.clamp(4096, 1 << 30).next_power_of_two()
}

/// Events the process state follows, whatever the rules say.
const STATE: [Event; 5] = [
    Event::Chdir,
    Event::Fchdir,
    Event::Chroot,
    Event::PivotRoot,
    Event::Setns,
];

/// True for records without which what is known of processes may be wrong, and nothing else tells: that of an exec or a
/// fork is missed by the next event of its process.
pub(crate) fn is_followed(event: Event) -> bool {
    event == Event::TaskRename || STATE.contains(&event) || event.row().task_state().is_some()
}

/// The events that are the calls to look at when they begin.
fn read_at_enter(captured: EventSet, params: &[u32; EVENT_COUNT]) -> EventSet {
    let wanted = |row: &&EventRow| row.at_enter() & params[row.event as usize] != 0;
    let rows = EVENTS.iter().filter(|row| captured.contains(row.event));
    rows.filter(wanted).map(|row| row.event).collect()
}

/// Chooses a tier and what it captures.
///
/// # Errors
/// When no tier that is built works on this host, or the one asked for does not.
pub fn plan(host: &Host, needs: &Needs, config: &Config) -> Result<Plan, CaptureError> {
    let shown = match config.unnamed_io {
        true => needs.events.union(needs.unnamed_io),
        false => needs.events,
    }
    .difference(config.excluded);
    let mut captured = shown.union(STATE.into_iter().collect());
    let (mut params, mut task) = (needs.params, needs.task);
    // Its program tells of both execs that succeeded.
    task[Event::TaskExec as usize] = task[Event::Execve as usize] | task[Event::Execveat as usize];
    if needs.environment {
        params[Event::TaskExec as usize] |= 1 << param!(TaskExec, "env");
    }
    if needs.task_state {
        for row in EVENTS {
            if let Some(index) = row.task_state() {
                captured.insert(row.event);
                params[row.event as usize] |= 1 << index;
            }
        }
    }
    let functions = CallFunctions::of(captured, &host.types);
    let Choice { tier, tiers } = choose(host, config, &functions)?;
    let mut sources = Vec::new();
    let mut shown = shown;
    if tier == Tier::None {
        let why_not = |trial: &SourceTrial| trial.why_not().map(str::to_owned);
        sources = host
            .sources
            .iter()
            .map(|(source, trial)| (*source, why_not(trial)))
            .collect();
        let in_force = || sources.iter().filter(|(_, why)| why.is_none());
        let is_seen =
            |event: Event| !event.row().is_kernel() || in_force().any(|(source, _)| source.sees(event));
        let asked = shown;
        shown = shown.iter().filter(|event| is_seen(*event)).collect();
        if shown.is_empty() && !asked.is_empty() {
            return Err(CaptureError::TierRefused {
                tier,
                why: unseen(&sources),
            });
        }
        captured = shown;
    }
    let (mut ends, mut starts, mut instead) = (BTreeMap::new(), BTreeMap::new(), None);
    if tier == Tier::Trampoline {
        if config.tier == Tier::PreferTrampoline {
            let config = Config {
                tier: Tier::Auto,
                ..config.clone()
            };
            instead = plan(host, needs, &config).ok().map(Box::new);
        }
        starts = CallFunctions::of(read_at_enter(captured, &params), &host.types).found;
        ends = functions.found;
    }
    if tier == Tier::Raw {
        // The program on returns tells of execs that succeeded, too.
        captured = captured.union([Event::Execve, Event::Execveat].into_iter().collect());
        task = [0; EVENT_COUNT];
        for row in EVENTS {
            // There is no program at the start of calls: what they take away is not known.
            params[row.event as usize] &= !row.at_enter();
        }
    }
    let children = captured.iter().filter(|event| event.returns_twice());
    let children = children.filter(|_| tier == Tier::Trampoline).collect();
    // Where nothing can be refused there is no such function.
    let refused = tier == Tier::Trampoline
        && !config.drop_failed
        && host.types.functions.contains_key(SECURE_COMPUTING);
    let noted = |event: Event| {
        captured.contains(event) && path_hook::noted(event.row()) & params[event as usize] != 0
    };
    let hooks = PATH_HOOKS.iter().filter(|hook| {
        host.types.functions.contains_key(hook.function) && hook.events.iter().any(|event| noted(*event))
    });
    let takes_notes = tier == Tier::Trampoline && host.types.functions.contains_key(TASK_REGISTERS);
    let path_hooks = takes_notes.then(|| hooks.collect());
    // Of what is opened tier C has the kernel's name from /proc, which its programs do not see.
    let names = match needs.names.is_empty() || tier == Tier::Raw {
        true => None,
        false => NameTable::new(&needs.names.terms).map(Arc::new),
    };
    // Tier C reads of a process what /proc has by then.
    let followed = match tier == Tier::Raw {
        true => EventSet::NONE,
        false => captured.difference(shown),
    };
    let (classes, mut named) = classes(needs, names.is_some(), followed);
    // Tier A has the kernel's names of these calls, by which rules may match them.
    if tier != Tier::SysExit {
        OpenNames::calls().for_each(|call| named[call as usize] = ClassSet::NONE);
    }
    Ok(Plan {
        tier,
        reason: match tier {
            Tier::Trampoline if config.tier == Tier::PreferTrampoline => "engine.tier prefers it".into(),
            _ => reason(tier, config.tier, &tiers),
        },
        instead,
        tiers,
        sources,
        keeper: config.keeper.clone(),
        ends,
        starts,
        children,
        refused,
        path_hooks,
        shown,
        told_apart: match tier {
            Tier::None => needs.told_apart.intersection(shown),
            _ => EventSet::NONE,
        },
        captured,
        classes,
        named,
        names,
        params,
        excused: needs.excused.clone(),
        task,
        paths: match tier {
            Tier::None => needs.paths.iter().cloned().collect(),
            _ => Vec::new(),
        },
        environment: needs.environment,
        cgroups: needs.cgroups,
        drop_failed: config.drop_failed,
        snaplen: u32::try_from(config.snaplen.min(MAX_SNAPLEN)).unwrap_or(u32::MAX),
        ring_bytes: ring_bytes(config, host.cpus),
        io_uring: host
            .io_uring
            .filter(|_| !matches!(tier, Tier::Raw | Tier::None) && shown.iter().any(io_uring::raises)),
        controller: host.cgroups.as_ref().and_then(|cgroups| cgroups.controller),
    })
}

/// What of each event is captured: what a rule can match, and all that the state follows; of events that are captured for the state
/// alone (`followed`), what it follows. And of that, what is captured by its names only.
fn classes(
    needs: &Needs,
    by_name: bool,
    followed: EventSet,
) -> ([ClassSet; EVENT_COUNT], [ClassSet; EVENT_COUNT]) {
    let (mut classes, mut named) = (needs.classes, [ClassSet::NONE; EVENT_COUNT]);
    if by_name {
        named = needs.names.classes;
    }
    for (row, (classes, named)) in EVENTS.iter().zip(classes.iter_mut().zip(&mut named)) {
        if row.is_of_thread() && followed.contains(row.event) {
            // Credentials of other threads are not the process's.
            (*classes, *named) = (ClassSet::first_threads(), ClassSet::NONE);
        } else if is_followed(row.event) || !row.is_call() {
            (*classes, *named) = (ClassSet::ALL, ClassSet::NONE);
        } else if !row.has_open_flags() && row.family().is_none() && row.mode().is_none() {
            let whatever = classes.difference(*named).whatever_flags();
            *classes = classes.whatever_flags();
            *named = classes.difference(whatever);
        }
    }
    (classes, named)
}

impl Plan {
    /// This plan where a better tier was refused when it was started, and why.
    pub(crate) fn in_place_of(mut self, refused: Tier, why: String) -> Plan {
        self.reason = format!("not {refused}: {why}");
        for (_, known) in self.tiers.iter_mut().filter(|(tier, _)| *tier == refused) {
            *known = Some(why.clone());
        }
        self
    }

    /// The sources without BPF that are used.
    pub fn sources_in_force(&self) -> impl Iterator<Item = Source> {
        let sources = self.sources.iter().filter(|(_, why)| why.is_none());
        sources.map(|(source, _)| *source)
    }

    /// True where nobody tells of execs and ends.
    pub(crate) fn is_unheard(&self) -> bool {
        self.tier == Tier::None && !self.sources_in_force().any(|source| source == Source::Connector)
    }

    /// The calls of which not all are captured.
    pub fn filtered(&self) -> impl Iterator<Item = (Event, ClassSet)> {
        let classes = |event: Event| (event, self.classes[event as usize]);
        let captured = self.captured.iter().map(classes);
        captured.filter(|(_, classes)| *classes != ClassSet::ALL)
    }

    /// The on-demand parameters that are read of each event, as bits.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (Event, u32)> {
        EVENTS
            .iter()
            .map(|row| (row.event, self.params[row.event as usize]))
    }

    /// The operations of io_uring that are captured, by their numbers' bits.
    pub(crate) fn requests(&self) -> u64 {
        let wanted = |operation: &&Operation| operation.events.iter().any(|e| self.shown.contains(*e));
        let operations = OPERATIONS.iter().filter(|_| self.io_uring.is_some());
        operations
            .filter(wanted)
            .fold(0, |bits, one| bits | 1 << one.number)
    }

    /// True where rules are about something that is done through `io_uring(7)`, too, and that is not seen.
    fn is_blind_to_io_uring(&self) -> bool {
        self.tier != Tier::None && self.io_uring.is_none() && self.shown.iter().any(io_uring::raises)
    }

    /// True for a function at whose beginning something is noted, by the program on it.
    pub(crate) fn has_path_hook(&self, program: &str) -> bool {
        let mut hooks = self.path_hooks.iter().flatten();
        hooks.any(|hook| hook.program == program)
    }

    /// The on-demand parameters of an event that the programs are asked for: without notes those are not in a record that
    /// would be noted.
    pub(crate) fn params_in_record(&self, row: &EventRow) -> u32 {
        let left_out = match self.path_hooks {
            Some(_) => 0,
            None => path_hook::noted(row),
        };
        self.params[row.event as usize] & !left_out
    }

    /// Calls of which a value is read when they begin.
    pub(crate) fn read_at_enter(&self) -> EventSet {
        read_at_enter(self.captured, &self.params)
    }
}

#[cfg(test)]
mod tests;
