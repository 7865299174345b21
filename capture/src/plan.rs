//! What to attach, decided from facts, needs and configuration alone: no system call in here.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lanner_schema::call_class::ClassSet;
use lanner_schema::cgroup::Controller;
use lanner_schema::event::{EVENT_COUNT, EVENTS, Event, EventRow, EventSet, MAX_SNAPLEN, Needs, SNAPLEN};
use lanner_schema::io_uring::{self, OPERATIONS, Operation};
use lanner_schema::name_table::NameTable;
use lanner_schema::seccomp;
use lanner_schema::tier::Source;

use crate::call_function::{CallFunction, CallFunctions};
use crate::error::CaptureError;
use crate::host::{Host, SourceTrial};
use crate::io_uring::Tracepoints;
use crate::kernel_types::{SCHEDULE_TAIL, SECURE_COMPUTING};
use crate::process_table::param;
use crate::tier::Tier;

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

/// Why this host cannot be watched in a tier; `None` where it can.
fn why_not(tier: Tier, host: &Host, functions: &CallFunctions) -> Option<String> {
    let trials = &host.trials;
    match tier {
        Tier::Trampoline | Tier::SysExit | Tier::Raw if !host.missing_capabilities.is_empty() => {
            Some(format!("{} is missing", host.missing_capabilities.join(", ")))
        }
        Tier::Trampoline | Tier::SysExit if !host.btf => {
            Some(format!("kernel {} has no type information", host.kernel))
        }
        Tier::Trampoline | Tier::SysExit if !trials.tracepoint.works() => {
            Some(format!("tracepoints: {}", trials.tracepoint))
        }
        Tier::Trampoline if !trials.trampoline.works() => Some(trials.trampoline.to_string()),
        // One program for them on the return of every call would take from the others what this tier is for.
        Tier::Trampoline if !functions.without_type.is_empty() => Some(format!(
            "the kernel has no type information for the functions of {}",
            listed(&functions.without_type)
        )),
        Tier::Trampoline if functions.has_children && !host.types.functions.contains_key(SCHEDULE_TAIL) => {
            Some(format!("the kernel has no type information for {SCHEDULE_TAIL}"))
        }
        Tier::Trampoline | Tier::SysExit => None,
        Tier::Raw if !trials.raw_tracepoint.works() => {
            Some(format!("raw tracepoints: {}", trials.raw_tracepoint))
        }
        Tier::Raw => None,
        Tier::None if host.sources.iter().any(|(_, trial)| trial.why_not().is_none()) => None,
        Tier::None => Some(without_sources(host)),
        Tier::Auto | Tier::PreferTrampoline => None,
    }
}

/// Why there is no source without BPF.
fn without_sources(host: &Host) -> String {
    let sources = host.sources.iter();
    let refused = sources.filter_map(|(source, trial)| Some((source.name(), trial.why_not()?)));
    let refused: Vec<String> = refused.map(|(source, why)| format!("{source}: {why}")).collect();
    match refused.is_empty() {
        true => "engine.tier asks for BPF".into(),
        false => refused.join(", "),
    }
}

/// What is said where no source tells of any event that a rule sees.
fn unseen(sources: &[(Source, Option<String>)]) -> String {
    let in_force = sources.iter().filter(|(_, why)| why.is_none());
    let names: Vec<&str> = in_force.map(|(source, _)| source.name()).collect();
    let mut said = format!("{} tells of nothing that a rule sees", names.join(" or "));
    for (source, why) in sources {
        if let Some(why) = why {
            let _ = write!(said, "; not {}: {why}", source.name());
        }
    }
    said
}

/// The first few of some names.
fn listed(names: &[&str]) -> String {
    const FEW: usize = 5;
    match names.len().checked_sub(FEW) {
        Some(more @ 1..) => format!("{} and {more} more", names[..FEW].join(", ")),
        _ => names.join(", "),
    }
}

fn reason(chosen: Tier, asked: Tier, tiers: &[(Tier, Option<String>)]) -> String {
    if chosen == asked {
        return "engine.tier asks for it".into();
    }
    let better = tiers.iter().take_while(|(tier, _)| *tier != chosen);
    let refused = better.filter_map(|(tier, why)| Some(format!("not {tier}: {}", why.as_ref()?)));
    refused.collect::<Vec<_>>().join("; ")
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
    let mut tiers: Vec<(Tier, Option<String>)> = [Tier::Trampoline, Tier::SysExit, Tier::Raw, Tier::None]
        .map(|tier| (tier, why_not(tier, host, &functions)))
        .into();
    // Attaching to a hundred functions takes many times what the rest of a start does (ADR 18).
    if config.tier == Tier::Auto {
        tiers[0]
            .1
            .get_or_insert_with(|| "it works here, but is taken only where engine.tier asks for it".into());
    }
    let possible = tiers.iter().find(|(_, why)| why.is_none()).map(|(tier, _)| *tier);
    let refusal = |asked: Tier| {
        let found = tiers.iter().find(|(tier, why)| *tier == asked && why.is_some());
        found.and_then(|(_, why)| why.clone())
    };
    let tier = match (config.tier, possible) {
        (Tier::Auto | Tier::PreferTrampoline, Some(best)) => best,
        (Tier::Auto | Tier::PreferTrampoline | Tier::Trampoline | Tier::SysExit | Tier::Raw, _)
            if !host.missing_capabilities.is_empty() =>
        {
            return Err(CaptureError::Privilege {
                missing: host.missing_capabilities.join(", "),
                others: without_sources(host),
            });
        }
        (Tier::Trampoline | Tier::SysExit, _) if !host.btf => {
            return Err(CaptureError::NoBtf {
                kernel: host.kernel.clone(),
            });
        }
        (Tier::Auto | Tier::PreferTrampoline, None) => {
            let asked = if host.btf { Tier::SysExit } else { Tier::Raw };
            return Err(CaptureError::TierRefused {
                tier: asked,
                why: refusal(asked).unwrap_or_default(),
            });
        }
        (asked, _) => match refusal(asked) {
            Some(why) => return Err(CaptureError::TierRefused { tier: asked, why }),
            None => asked,
        },
    };
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
    // Of what is opened tier C has the kernel's name from /proc, which its programs do not see.
    let names = match needs.names.is_empty() || tier == Tier::Raw {
        true => None,
        false => NameTable::new(&needs.names.terms).map(Arc::new),
    };
    let (classes, named) = classes(needs, names.is_some());
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

/// What of each event is captured: what a rule can match, and all that the state follows. And of that, what is captured by its
/// names only.
fn classes(needs: &Needs, by_name: bool) -> ([ClassSet; EVENT_COUNT], [ClassSet; EVENT_COUNT]) {
    let (mut classes, mut named) = (needs.classes, [ClassSet::NONE; EVENT_COUNT]);
    if by_name {
        named = needs.names.classes;
    }
    for (row, (classes, named)) in EVENTS.iter().zip(classes.iter_mut().zip(&mut named)) {
        if is_followed(row.event) || !row.is_call() {
            (*classes, *named) = (ClassSet::ALL, ClassSet::NONE);
        } else if row.open_flags_arg().is_none() && row.family().is_none() {
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

    /// Calls of which a value is read when they begin.
    pub(crate) fn read_at_enter(&self) -> EventSet {
        read_at_enter(self.captured, &self.params)
    }
}

impl Plan {
    fn write_sources(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.sources_in_force().map(Source::name).collect();
        write!(f, "from {}", names.join(", "))?;
        for (source, why) in &self.sources {
            if let Some(why) = why {
                write!(f, "; not {}: {why}", source.name())?;
            }
        }
        write!(f, "; {} event types for rules", self.shown.len())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tier {}: {}; ", self.tier, self.reason)?;
        if let Some(instead) = &self.instead {
            write!(f, "tier {} if the kernel refuses a program of it; ", instead.tier)?;
        }
        if self.tier == Tier::None {
            return self.write_sources(f);
        }
        write!(
            f,
            "{}{} event types for rules, {} in all, plus the life of processes; a ring of {}",
            match self.tier {
                Tier::Trampoline => format!("{} functions of calls; ", self.ends.len()),
                _ => String::new(),
            },
            self.shown.len(),
            self.captured.len(),
            match self.ring_bytes >> 20 {
                0 => format!("{} KiB", self.ring_bytes >> 10),
                mebibytes => format!("{mebibytes} MiB"),
            }
        )?;
        let (mut results, mut owners, mut flags) = (0, 0, 0);
        let names = self
            .captured
            .iter()
            .filter(|event| !self.named[*event as usize].is_empty())
            .count();
        for (_, classes) in self.filtered() {
            results += usize::from(classes.minds_result());
            owners += usize::from(classes.minds_owner());
            flags += usize::from(classes.minds_flags());
        }
        if results + owners + flags + names > 0 {
            write!(
                f,
                "; the kernel's side leaves out what no rule can match, by the result of {results} of them, by container or \
                 host of {owners}, by what is opened for or the kind of socket of {flags}, by the names of files of {names}"
            )?;
        }
        if let Some(controller) = self.controller {
            write!(
                f,
                "; containers by the cgroup of {} (version 1)",
                controller.name()
            )?;
        }
        let at_enter = self.read_at_enter();
        if !at_enter.is_empty() {
            f.write_str(match self.tier {
                Tier::Trampoline => "; also the start of",
                _ => "; also the start of every call, for",
            })?;
            for event in at_enter.iter() {
                write!(f, " {}", event.name())?;
            }
        }
        if self.is_blind_to_io_uring() {
            f.write_str(
                "; what is done through io_uring is not seen: that takes Linux 6.0 and its type information",
            )?;
        }
        match self.drop_failed {
            true => f.write_str("; calls that fail are not captured (drop_failed_exit)"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use lanner_schema::call_class::CallClass;

    use super::*;
    use crate::host::{SourceTrial, Trial, Trials};
    use crate::kernel_types::{Function, KernelTypes};
    use nix::errno::Errno;

    fn host() -> Host {
        Host {
            kernel: "6.1.0".into(),
            btf: true,
            missing_capabilities: vec![],
            lacking: vec![],
            trials: Trials {
                trampoline: Trial::NotLoaded(Errno::EPERM),
                tracepoint: Trial::Works,
                raw_tracepoint: Trial::Works,
                iterator: Trial::Works,
            },
            sources: Vec::new(),
            types: KernelTypes::default(),
            cpus: 2,
            io_uring: None,
            cgroups: None,
        }
    }

    /// A host that allows trampolines, with the functions of these calls.
    fn generous(calls: &[&str]) -> Host {
        let mut host = host();
        host.trials.trampoline = Trial::Works;
        let function = Function { id: 1, prototype: 1 };
        let prefix = match cfg!(target_arch = "aarch64") {
            true => "__arm64_sys_",
            false => "__x64_sys_",
        };
        host.types.calls = calls
            .iter()
            .map(|name| (format!("{prefix}{name}"), function))
            .collect();
        let others = [SCHEDULE_TAIL, SECURE_COMPUTING];
        host.types.functions = others.into_iter().map(|name| (name, function)).collect();
        host.types.symbols = std::iter::once(format!("{prefix}getpid")).collect();
        host
    }

    #[test]
    fn trampolines_are_taken_where_they_are_asked_for_and_every_call_has_a_function_that_allows_them() {
        let planned = |host: &Host, tier, event| {
            let needs = Needs {
                events: [event].into_iter().collect(),
                ..Needs::default()
            };
            let config = Config {
                tier,
                ..Config::default()
            };
            plan(host, &needs, &config).map(|plan| (plan.tier, plan.reason, plan.ends.len()))
        };
        let free = generous(&["openat", "chdir"]);
        let (tier, reason, functions) = planned(&free, Tier::Trampoline, Event::Openat).unwrap();
        assert_eq!((tier, functions), (Tier::Trampoline, 2), "{reason}");
        let (tier, reason, functions) = planned(&free, Tier::Auto, Event::Openat).unwrap();
        assert_eq!((tier, functions), (Tier::SysExit, 0));
        assert!(reason.contains("only where engine.tier asks for it"), "{reason}");
        let (tier, reason, functions) = planned(&free, Tier::Auto, Event::Getpid).unwrap();
        assert_eq!((tier, functions), (Tier::SysExit, 0));
        assert!(
            reason.contains("no type information for the functions of getpid"),
            "{reason}"
        );
        let (tier, reason, _) = planned(&free, Tier::SysExit, Event::Openat).unwrap();
        assert_eq!(
            (tier, reason.as_str()),
            (Tier::SysExit, "engine.tier asks for it")
        );
        let (tier, reason, functions) = planned(&free, Tier::PreferTrampoline, Event::Openat).unwrap();
        assert_eq!((tier, functions), (Tier::Trampoline, 2), "{reason}");
        for (host, event, why) in [
            (
                &free,
                Event::Getpid,
                "no type information for the functions of getpid",
            ),
            (
                &host(),
                Event::Openat,
                "not trampoline: refused by the kernel: EPERM",
            ),
        ] {
            let (tier, reason, _) = planned(host, Tier::PreferTrampoline, event).unwrap();
            assert_eq!(tier, Tier::SysExit);
            assert!(reason.contains(why), "{reason}");
        }
        let error = planned(&host(), Tier::Trampoline, Event::Openat).unwrap_err();
        assert!(error.to_string().contains("EPERM when it is loaded"), "{error}");
        let (tier, reason, _) = planned(&host(), Tier::Auto, Event::Openat).unwrap();
        assert_eq!(tier, Tier::SysExit);
        assert!(
            reason.contains("not trampoline: refused by the kernel: EPERM"),
            "{reason}"
        );
    }

    #[test]
    fn a_tier_that_is_preferred_has_another_to_go_on_in_and_one_that_is_asked_for_has_none() {
        let planned = |tier| {
            let config = Config {
                tier,
                drop_failed: true,
                ..Config::default()
            };
            plan(&generous(&[]), &Needs::default(), &config).unwrap()
        };
        assert_eq!(planned(Tier::Trampoline).instead, None);
        assert_eq!(planned(Tier::Auto).instead, None);
        let preferred = planned(Tier::PreferTrampoline);
        assert!(
            preferred
                .to_string()
                .contains("tier sys_exit if the kernel refuses"),
            "{preferred}"
        );
        let instead = *preferred.instead.unwrap();
        assert!(instead.drop_failed && instead.ends.is_empty());
        let went_on = instead.in_place_of(Tier::Trampoline, "attach to f: EBUSY".into());
        assert_eq!(
            (went_on.tier, went_on.reason.as_str()),
            (Tier::SysExit, "not trampoline: attach to f: EBUSY")
        );
        assert_eq!(
            went_on.tiers[0],
            (Tier::Trampoline, Some("attach to f: EBUSY".into()))
        );
    }

    /// The kernel refuses for real: the function has the number of something else, where trampolines are allowed at all.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn where_the_kernel_refuses_a_program_of_the_preferred_tier_capture_goes_on_in_another() {
        let host_is_fit =
            nix::unistd::geteuid().is_root() && std::path::Path::new("/sys/kernel/btf/vmlinux").exists();
        if !host_is_fit {
            return;
        }
        let needs = Needs {
            events: [Event::Openat].into_iter().collect(),
            ..Needs::default()
        };
        let start = |tier| {
            let config = Config {
                tier,
                ..Config::default()
            };
            let plan = plan(&generous(&["openat"]), &needs, &config).unwrap();
            assert_eq!(plan.tier, Tier::Trampoline);
            crate::Capture::start(plan, &config, &Arc::default())
        };
        let capture = start(Tier::PreferTrampoline).unwrap();
        let went_on = capture.plan();
        assert_eq!(went_on.tier, Tier::SysExit);
        assert!(went_on.reason.starts_with("not trampoline: "), "{went_on}");
        assert_eq!(
            went_on.tiers[0].1.as_deref(),
            went_on.reason.strip_prefix("not trampoline: ")
        );
        start(Tier::Trampoline).unwrap_err();
    }

    #[test]
    fn the_state_is_captured_but_not_shown() {
        let needs = Needs {
            events: [Event::Openat].into_iter().collect(),
            ..Needs::default()
        };
        let plan = plan(&host(), &needs, &Config::default()).unwrap();
        assert_eq!(plan.tier, Tier::SysExit);
        assert!(plan.captured.contains(Event::Chdir) && plan.captured.contains(Event::Openat));
        assert_eq!(plan.shown, needs.events);
    }

    #[test]
    fn one_ring_is_as_large_as_all_would_be() {
        let bytes = |config: Config, cpus: usize| {
            let host = Host { cpus, ..host() };
            plan(&host, &Needs::default(), &config).unwrap().ring_bytes
        };
        let each = |cpus_for_each_buffer| Config {
            cpus_for_each_buffer,
            ..Config::default()
        };
        assert_eq!(bytes(each(0), 64), 8 << 20);
        assert_eq!(bytes(each(2), 2), 8 << 20);
        assert_eq!(bytes(each(2), 3), 16 << 20);
        assert_eq!(bytes(each(2), 12), 64 << 20, "48 MiB, rounded up");
        assert_eq!(bytes(each(1), 1000), RING_MAX);
        let odd = Config {
            ring_bytes: 1,
            ..Config::default()
        };
        assert_eq!(bytes(odd, 2), 4096);
    }

    #[test]
    fn reads_and_writes_that_no_rule_names_are_captured_when_the_operator_wants_them() {
        let needs = Needs {
            events: [Event::Openat].into_iter().collect(),
            unnamed_io: [Event::Read].into_iter().collect(),
            ..Needs::default()
        };
        let shown = |unnamed_io| {
            let config = Config {
                unnamed_io,
                ..Config::default()
            };
            plan(&host(), &needs, &config).unwrap().shown
        };
        assert_eq!(shown(false), needs.events);
        assert_eq!(shown(true), needs.events.union(needs.unnamed_io));
    }

    #[test]
    fn calls_that_are_excluded_are_captured_for_the_state_only() {
        let named: EventSet = [Event::Openat, Event::Connect, Event::Chdir]
            .into_iter()
            .collect();
        let needs = Needs {
            events: named,
            ..Needs::default()
        };
        let config = Config {
            excluded: [Event::Openat, Event::Chdir, Event::Kill].into_iter().collect(),
            ..Config::default()
        };
        let plan = plan(&host(), &needs, &config).unwrap();
        assert_eq!(plan.shown, [Event::Connect].into_iter().collect());
        assert!(plan.captured.contains(Event::Chdir) && !plan.captured.contains(Event::Openat));
    }

    #[test]
    fn state_and_unknown_flags_pass_whatever_the_rules_say() {
        let events = [
            Event::Openat,
            Event::Openat2,
            Event::Chdir,
            Event::Kill,
            Event::Socketpair,
        ];
        let read = CallClass::new(false, false).opening(0);
        let needs = Needs {
            events: events.into_iter().collect(),
            classes: [[read].into_iter().collect(); EVENT_COUNT],
            ..Needs::default()
        };
        let plan = plan(&host(), &needs, &Config::default()).unwrap();
        let of = |event: Event| plan.classes[event as usize];
        assert_eq!(of(Event::Chdir), ClassSet::ALL);
        assert!(of(Event::Openat).minds_flags() && !of(Event::Openat2).minds_flags());
        assert!(!of(Event::Socketpair).minds_flags());
        assert!(of(Event::Openat2).minds_result() && of(Event::Kill).minds_owner());
        let filtered: Vec<Event> = plan.filtered().map(|(event, _)| event).collect();
        assert_eq!(filtered.len(), 4);
        assert!(
            plan.to_string()
                .contains("by what is opened for or the kind of socket of 1"),
            "{plan}"
        );
    }

    #[test]
    fn what_other_calls_change_of_a_process_is_captured_when_a_rule_reads_it() {
        let state = |task_state| {
            let needs = Needs {
                task_state,
                ..Needs::default()
            };
            let plan = plan(&host(), &needs, &Config::default()).unwrap();
            let read = plan.params[Event::Setsid as usize] != 0;
            assert!(plan.shown.is_empty());
            (
                plan.captured.contains(Event::Setsid),
                plan.captured.contains(Event::Capset),
                read,
            )
        };
        assert_eq!(state(false), (false, false, false));
        assert_eq!(state(true), (true, true, true));
    }

    #[test]
    fn calls_are_looked_at_from_their_start_where_a_rule_reads_what_they_take_away() {
        let of = |events: &[Event], params: u32| {
            let needs = Needs {
                events: events.iter().copied().collect(),
                params: [params; EVENT_COUNT],
                ..Needs::default()
            };
            let plan = plan(&host(), &needs, &Config::default()).unwrap();
            (
                plan.read_at_enter(),
                plan.to_string().contains("start of every call, for close"),
            )
        };
        let close = [Event::Close].into_iter().collect();
        assert_eq!(of(&[Event::Close, Event::Openat], u32::MAX), (close, true));
        assert_eq!(of(&[Event::Close], 0), (EventSet::NONE, false));
        assert_eq!(
            of(&[Event::Dup, Event::CloseRange], u32::MAX),
            (EventSet::NONE, false)
        );
    }

    #[test]
    fn a_host_that_cannot_is_told_why() {
        let asked = |tier| Config {
            tier,
            ..Config::default()
        };
        let blind = Host { btf: false, ..host() };
        let error = plan(&blind, &Needs::default(), &asked(Tier::SysExit)).unwrap_err();
        assert!(error.to_string().contains("/sys/kernel/btf/vmlinux"), "{error}");
        let mut refusing = blind;
        refusing.trials.raw_tracepoint = Trial::NotLoaded(Errno::EPERM);
        let error = plan(&refusing, &Needs::default(), &Config::default()).unwrap_err();
        assert!(error.to_string().contains("raw tracepoints: refused"), "{error}");
        let poor = Host {
            missing_capabilities: vec!["CAP_BPF".into()],
            ..host()
        };
        assert!(matches!(
            plan(&poor, &Needs::default(), &Config::default()),
            Err(CaptureError::Privilege { .. })
        ));
    }

    #[test]
    fn where_no_program_can_be_attached_the_sources_there_are_watch() {
        let refused = SourceTrial::Refused("refused by the kernel: EPERM".into());
        let restricted = Host {
            missing_capabilities: vec!["CAP_BPF".into()],
            sources: vec![
                (Source::Fanotify, refused.clone()),
                (Source::Connector, SourceTrial::Works),
            ],
            ..host()
        };
        let needs = Needs {
            events: [Event::Execve, Event::Openat, Event::Container]
                .into_iter()
                .collect(),
            ..Needs::default()
        };
        let planned = |host: &Host, tier| {
            let config = Config {
                tier,
                ..Config::default()
            };
            plan(host, &needs, &config)
        };
        let found = planned(&restricted, Tier::Auto).unwrap();
        assert_eq!(found.tier, Tier::None);
        assert_eq!(
            found.shown,
            [Event::Execve, Event::Container].into_iter().collect()
        );
        let text = found.to_string();
        for part in [
            "not sys_exit: CAP_BPF is missing",
            "from connector; not fanotify: refused by the kernel: EPERM",
            "2 event types",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(matches!(
            planned(&restricted, Tier::SysExit),
            Err(CaptureError::Privilege { .. })
        ));
        // Asked for where programs could be attached, and where nothing is left.
        let free = Host {
            sources: restricted.sources.clone(),
            ..host()
        };
        assert_eq!(planned(&free, Tier::Auto).unwrap().tier, Tier::SysExit);
        assert_eq!(
            planned(&free, Tier::None).unwrap().reason,
            "engine.tier asks for it"
        );
        let nothing = Host {
            sources: vec![(Source::Connector, refused)],
            ..host()
        };
        let error = planned(&nothing, Tier::None).unwrap_err();
        assert!(error.to_string().contains("connector: refused"), "{error}");
    }

    #[test]
    fn without_type_information_raw_tracepoints_are_taken_and_what_they_cannot_give_is_not_asked() {
        let mut blind = Host { btf: false, ..host() };
        blind.trials.tracepoint = Trial::NoTypes;
        blind.io_uring = Some(crate::io_uring::Tracepoints {
            submit: "io_uring_submit_req",
            complete: "io_uring_complete",
        });
        let needs = Needs {
            events: [Event::Close, Event::Openat].into_iter().collect(),
            params: [u32::MAX; EVENT_COUNT],
            task: [1; EVENT_COUNT],
            ..Needs::default()
        };
        let plan = plan(&blind, &needs, &Config::default()).unwrap();
        assert_eq!(plan.tier, Tier::Raw);
        assert!(
            plan.reason
                .contains("not sys_exit: kernel 6.1.0 has no type information"),
            "{plan}"
        );
        assert!(
            plan.captured.contains(Event::Execve),
            "the end of a call tells of an exec"
        );
        assert!(!plan.shown.contains(Event::Execve));
        assert!(plan.read_at_enter().is_empty() && plan.io_uring.is_none());
        assert!(
            plan.to_string()
                .contains("what is done through io_uring is not seen"),
            "{plan}"
        );
        assert_eq!(plan.task, [0; EVENT_COUNT]);
        assert_ne!(plan.params[Event::Openat as usize], 0, "asked of /proc");
        let hooks: Vec<String> = plan.programs().unwrap().into_iter().map(|p| p.hook).collect();
        let raw = [
            "raw_tp/sys_exit",
            "raw_tp/sched_process_fork",
            "raw_tp/sched_process_exit",
        ];
        for hook in raw {
            assert!(hooks.iter().any(|h| h == hook), "{hooks:?}");
        }
        assert!(hooks.iter().all(|hook| hook.starts_with("raw_tp/")), "{hooks:?}");
    }

    #[test]
    fn the_tiers_that_can_be_started_are_those_said_to_be_built() {
        for tier in lanner_schema::tier::Tier::ALL {
            let config = Config {
                tier: Tier::parse(tier.name()).unwrap(),
                ..Config::default()
            };
            let host = Host {
                sources: vec![(Source::Connector, SourceTrial::Works)],
                ..generous(&[])
            };
            let planned = plan(&host, &Needs::default(), &config);
            assert_eq!(planned.is_ok(), tier.is_built(), "{}", tier.name());
        }
    }
}
