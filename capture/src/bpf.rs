//! The BPF object: loading and attaching it, and reading its counters.

mod config;

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use flate2::read::ZlibDecoder;
use lanner_schema::cgroup::Controller;
use lanner_schema::event::{DEDICATED_COUNT, EVENTS, Event, EventSet};
use lanner_schema::path_hook::{PATH_HOOKS, PathHook};
use lanner_schema::record;
use libbpf_rs::libbpf_sys::{bpf_map_create_opts, size_t};
use libbpf_rs::query::{ProgInfoIter, ProgramInfo};
use libbpf_rs::{
    Link, MapCore, MapFlags, MapHandle, MapType, Object, ObjectBuilder, OpenMapMut, OpenObject, PrintLevel,
    ProgramInput, ProgramMut, ProgramType,
};

use self::config::{ROWS, config_bytes};
use crate::by_type;
use crate::error::CaptureError;
use crate::fitting::Fitting;
use crate::kernel_owners::{ConsumerPage, KernelOwners};
use crate::own_map;
use crate::pid_namespace;
use crate::plan::Plan;
use crate::raw_program::refused_runs;
use crate::task_layout::TaskLayout;
use crate::tier::Tier;
use crate::trampoline::{Side, Trampolines};

/// Packed, as the next: it is unpacked within 2 ms, and read at the start.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lanner.bpf.z"));
/// The same programs where they may load from kernel objects.
static LOADING_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/loads.bpf.z"));
/// For kernels without type information: nothing in it is relocated.
static RAW_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/raw.bpf.z"));

/// Size of `struct begun` and how many of them there are.
const BEGUN_LEN: u32 = 4096 + 24;
const CALLS_BEGUN: u32 = 1024;
/// Cgroups in the table of those that lose records.
pub(crate) const LOSING_CGROUPS: usize = 4096;

/// The loaded and attached programs.
#[derive(Debug)]
pub(crate) struct Probes {
    tier: Tier,
    object: Object,
    /// Objects with programs that were wanted later.
    later: Vec<Object>,
    links: Vec<Link>,
    /// Every event that was ever captured: those that can have been lost.
    captured: Cell<EventSet>,
    /// The links of [`ON_DEMAND`], by the program's name.
    on_demand: Vec<(&'static str, Link)>,
    /// What the kernel does not take the programs of.
    refused: Vec<Optional>,
    /// There is a place for notes that are taken during calls.
    takes_notes: bool,
    /// This process's id as the programs see it.
    own_pid: u32,
    /// The programs on single calls.
    trampolines: Trampolines,
    /// What is in one of the tables that names are read by, and in which: `struct name_table`.
    names: (Vec<u8>, u32),
    /// What calls that have begun are kept in, while there is a program that reads them.
    begun: Option<MapHandle>,
}

/// A program that is loaded and attached only while the plan needs it.
#[derive(Debug)]
struct OnDemand {
    name: &'static str,
    is_wanted: fn(&Plan, &str) -> bool,
    /// It puts values together in a scratch, which is not to be that of the program it shares the code with: one may
    /// interrupt the other.
    has_scratch: bool,
    /// Capture goes on without it.
    optional: Option<Optional>,
}

/// What capture goes on without where the kernel refuses a program of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Optional {
    /// Half of it would tell of requests without the other.
    IoUring,
    /// The names that are noted during calls.
    Notes,
}

impl Optional {
    const ALL: [Optional; 2] = [Optional::IoUring, Optional::Notes];

    /// Without which of them a plan is tried when one of its programs was refused.
    fn tries(plan: &Plan) -> Vec<Vec<Optional>> {
        let is_planned = |optional: &Optional| {
            let mut programs = ON_DEMAND.iter().filter(|one| one.optional == Some(*optional));
            programs.any(|one| (one.is_wanted)(plan, one.name))
        };
        let planned: Vec<Optional> = Optional::ALL.into_iter().filter(is_planned).collect();
        let mut tries: Vec<Vec<Optional>> = planned.iter().map(|one| vec![*one]).collect();
        if planned.len() > 1 {
            tries.push(planned);
        }
        tries
    }

    /// Says that the kernel refused a program.
    fn warn(self, error: &CaptureError) {
        match self {
            Optional::IoUring => tracing::warn!("what is done through io_uring is not seen: {error}"),
            Optional::Notes => tracing::warn!(
                "names in calls that leave no file behind are looked up when they have returned: {error}"
            ),
        }
    }
}

const SYS_ENTER: &str = "sys_enter";
const SYS_EXIT: &str = "sys_exit";
const EXEC: &str = "sched_process_exec";
const RAW_SYS_EXIT: &str = "raw_sys_exit";
const RAW_FORK: &str = "raw_fork";
const CHILD_STARTED: &str = "child_started";
const CALL_REFUSED: &str = "call_refused";

/// Where programs put their records together.
const SCRATCHES: &str = "scratches";

/// The program that tells this process's id; it is run once and never attached.
const OWN_PROCESS: &str = "own_process";

const ON_DEMAND: [OnDemand; 22] = [
    of_path(&PATH_HOOKS[0]),
    of_path(&PATH_HOOKS[1]),
    of_path(&PATH_HOOKS[2]),
    of_path(&PATH_HOOKS[3]),
    of_path(&PATH_HOOKS[4]),
    of_path(&PATH_HOOKS[5]),
    of_path(&PATH_HOOKS[6]),
    of_path(&PATH_HOOKS[7]),
    of_path(&PATH_HOOKS[8]),
    of_path(&PATH_HOOKS[9]),
    of_path(&PATH_HOOKS[10]),
    of_path(&PATH_HOOKS[11]),
    OnDemand {
        name: CHILD_STARTED,
        is_wanted: |plan, _| !plan.children.is_empty(),
        has_scratch: false,
        optional: None,
    },
    OnDemand {
        name: CALL_REFUSED,
        is_wanted: |plan, _| plan.refused,
        has_scratch: false,
        optional: None,
    },
    OnDemand {
        name: SYS_EXIT,
        is_wanted: |plan, _| plan.tier == Tier::SysExit,
        has_scratch: false,
        optional: None,
    },
    of_io_uring("io_uring_submit_req"),
    of_io_uring("io_uring_submit_sqe"),
    of_io_uring("io_uring_complete"),
    of_io_uring("io_uring_complete_args"),
    OnDemand {
        name: "signal_deliver",
        is_wanted: |plan, _| plan.tier != Tier::Raw && plan.captured.contains(Event::Signaldeliver),
        has_scratch: false,
        optional: None,
    },
    OnDemand {
        name: "raw_signal",
        is_wanted: |plan, _| plan.tier == Tier::Raw && plan.captured.contains(Event::Signaldeliver),
        has_scratch: false,
        optional: None,
    },
    OnDemand {
        name: SYS_ENTER,
        is_wanted: |plan, _| plan.tier == Tier::SysExit && !plan.read_at_enter().is_empty(),
        has_scratch: true,
        optional: None,
    },
];

/// A program on a tracepoint of io_uring; which of them there are is the kernel's affair.
const fn of_io_uring(name: &'static str) -> OnDemand {
    OnDemand {
        name,
        is_wanted: |plan, name| {
            let programs = plan.io_uring;
            programs.is_some_and(|programs| programs.submit == name || programs.complete == name)
        },
        has_scratch: true,
        optional: Some(Optional::IoUring),
    }
}

/// A program that notes what a call works on.
const fn of_path(hook: &PathHook) -> OnDemand {
    OnDemand {
        name: hook.program,
        is_wanted: Plan::has_path_hook,
        has_scratch: false,
        optional: Some(Optional::Notes),
    }
}

fn on_demand(program: &OsStr) -> Option<&'static OnDemand> {
    ON_DEMAND.iter().find(|on_demand| program == on_demand.name)
}

/// This process's id as the kernel's programs see it; `None` when the kernel does not run the program that tells.
fn own_pid(program: &ProgramMut<'_>) -> Option<u32> {
    match program.test_run(ProgramInput::default()) {
        Ok(output) => Some(output.return_value),
        Err(error) => {
            tracing::warn!(
                "cannot find out how the kernel numbers this process: its own calls are shown ({error})"
            );
            None
        }
    }
}

/// Opens the object, to be fitted to what is said of the kernel's types when it is loaded. `takes_notes`: with a place for what
/// is noted during calls, which not every kernel has.
pub(crate) fn open(tier: Tier, fitting: &Fitting, takes_notes: bool) -> Result<OpenObject, CaptureError> {
    let failed = |e| CaptureError::bpf("open the BPF object", e);
    by_type::register()?;
    let mut builder = ObjectBuilder::default();
    // Its map of constants is called by the object, which without a name is called by where it lies: each time elsewhere.
    builder.name("lanner").map_err(failed)?;
    if let Some(path) = fitting.path() {
        builder.btf_custom_path(path).map_err(failed)?;
    }
    let packed = match tier {
        Tier::Raw => RAW_OBJECT,
        _ if fitting.has_loads => LOADING_OBJECT,
        _ => OBJECT,
    };
    let mut object = Vec::new();
    ZlibDecoder::new(packed)
        .read_to_end(&mut object)
        .map_err(|error| failed(error.into()))?;
    let mut open = builder.open_memory(&object).map_err(failed)?;
    let types = open.maps_mut().find(|map| map.name() == ".rodata.types");
    if let Some(mut types) = types {
        let ids = fitting.ids();
        let data = types
            .initial_value_mut()
            .and_then(|data| data.get_mut(..ids.len()));
        let data = data.ok_or_else(|| CaptureError::Missing("the ids of types".into()))?;
        data.copy_from_slice(&ids);
    }
    for mut map in open.maps_mut() {
        let set = match map.name().to_str() {
            Some("notes") => map.set_autocreate(takes_notes),
            // A scratch more.
            Some(SCRATCHES) if takes_notes => map.set_max_entries(map.max_entries() + 1),
            Some(".rodata.notes") => {
                let data = map.initial_value_mut().and_then(|data| data.first_mut());
                data.into_iter().for_each(|byte| *byte = u8::from(takes_notes));
                Ok(())
            }
            _ => Ok(()),
        };
        set.map_err(|e| CaptureError::bpf("make a place for notes of calls", e))?;
    }
    Ok(open)
}

/// Opens the object for a plan: what is fixed when it is loaded, and which programs are loaded.
fn prepare(
    plan: &Plan,
    layout: TaskLayout,
    fitting: &Fitting,
    wanted: &dyn Fn(&OsStr) -> bool,
) -> Result<OpenObject, CaptureError> {
    let mut open = open(plan.tier, fitting, plan.path_hooks.is_some())?;
    for mut program in open.progs_mut() {
        let wanted = wanted(program.name());
        program.set_autoload(wanted);
    }
    for mut map in open.maps_mut() {
        if map.name() == ".rodata.host" {
            let data = map.initial_value_mut().filter(|data| data.len() >= 4);
            let data = data.ok_or_else(|| CaptureError::Missing("the facts of the host".into()))?;
            data[..4].copy_from_slice(&controller_number(plan.controller).to_ne_bytes());
        }
        if map.name() == ".rodata.task" {
            let data = map.initial_value_mut().filter(|data| data.len() >= 16);
            let data = data.ok_or_else(|| CaptureError::Missing("the layout of tasks".into()))?;
            data[..16].copy_from_slice(&layout.bytes());
        }
        if map.name() == "ring" {
            let bytes = u32::try_from(plan.ring_bytes).unwrap_or(1 << 30);
            map.set_max_entries(bytes)
                .map_err(|e| CaptureError::bpf("set the ring's size", e))?;
        }
    }
    Ok(open)
}

fn load(open: OpenObject) -> Result<Object, CaptureError> {
    open.load()
        .map_err(|e| CaptureError::bpf("load the BPF programs", e))
}

/// Loads half of the programs on a thread of its own: the kernel looks through all they can do, which takes longer than
/// everything else at the start. The one for calls takes about as long as the others on Linux 6.18.
fn load_at_once(
    plan: &Plan,
    layout: TaskLayout,
    fitting: &Fitting,
    wanted: &(dyn Fn(&OsStr) -> bool + Sync),
) -> Result<(Object, Vec<Object>), CaptureError> {
    let is_here = |program: &OsStr| program == SYS_EXIT;
    let mut first = prepare(plan, layout, fitting, &|program| {
        wanted(program) && is_here(program)
    })?;
    own_map::prepare(&mut first)?;
    let maps = own_map::maps(&first)?;
    let load_others = || {
        let mut others = prepare(plan, layout, fitting, &|program| {
            wanted(program) && !is_here(program)
        })?;
        for mut map in others.maps_mut() {
            let shared = maps.iter().find(|(name, _)| map.name() == name.as_str());
            if let Some((_, shared)) = shared.filter(|(name, _)| is_shared(name)) {
                share(&mut map, shared.as_fd())?;
            }
        }
        own_map::load(others, SCRATCHES, &has_scratch)
    };
    thread::scope(|scope| {
        let others = thread::Builder::new().name("lanner-load".into());
        let others = others.spawn_scoped(scope, load_others);
        let first = load(first)?;
        let others = match others {
            Ok(others) => others.join().unwrap_or_else(|panic| resume_unwind(panic))?,
            // No room for a thread.
            Err(_) => load_others()?,
        };
        Ok((first, vec![others]))
    })
}

fn has_scratch(program: &OsStr) -> bool {
    on_demand(program).is_some_and(|one| one.has_scratch)
}

/// Programs on functions of different prototypes may not share an array of programs, not even an empty one.
fn is_shared(map: &str) -> bool {
    map != "nowhere"
}

fn share(map: &mut OpenMapMut<'_>, by: BorrowedFd<'_>) -> Result<(), CaptureError> {
    map.reuse_fd(by).map_err(|e| {
        let name = map.name().to_string_lossy();
        CaptureError::bpf(format!("share map {name}"), e)
    })
}

/// The program of this name, when it was loaded, whichever object it is in.
fn loaded<'a>(first: &'a Object, later: &'a [Object], name: &str) -> Option<ProgramMut<'a>> {
    let objects = std::iter::once(first).chain(later);
    let mut programs = objects.flat_map(Object::progs_mut);
    programs.find(|program| program.name() == name && program.autoload())
}

fn attach(program: &ProgramMut<'_>) -> Result<Link, CaptureError> {
    let name = program.name().to_string_lossy();
    let link = match program.prog_type() {
        ProgramType::Tracing => program.attach_trace(),
        _ => program.attach(),
    };
    link.map_err(|e| CaptureError::bpf(format!("attach {name}"), e))
}

fn print(level: PrintLevel, message: String) {
    let message = message.trim_end();
    match level {
        // libbpf warns about steps it then takes another way; what fails for good comes back as an error.
        PrintLevel::Warn | PrintLevel::Info => tracing::debug!(target: "libbpf", "{message}"),
        PrintLevel::Debug => tracing::trace!(target: "libbpf", "{message}"),
    }
}

/// A program that a plan attaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What it hangs on, as libbpf names it: `tp_btf/sys_exit`.
    pub hook: String,
    /// The events it records.
    pub events: EventSet,
}

impl Plan {
    /// The programs that are attached for it.
    ///
    /// # Errors
    /// When the object of this build can't be read.
    pub fn programs(&self) -> Result<Vec<Program>, CaptureError> {
        let mut programs = Vec::new();
        if self.tier == Tier::None {
            return Ok(programs);
        }
        for program in open(self.tier, &Fitting::default(), false)?.progs() {
            let name = program.name();
            let wanted = on_demand(name).is_none_or(|one| (one.is_wanted)(self, one.name));
            if name == OWN_PROCESS || is_walker(name) || !wanted {
                continue;
            }
            let section = program.section().to_string_lossy();
            programs.push(Program {
                hook: section.trim_start_matches('?').to_owned(),
                events: self.recorded_by(name),
            });
        }
        for (side, functions) in [("fentry", &self.starts), ("fexit", &self.ends)] {
            programs.extend(functions.iter().map(|(function, of)| Program {
                hook: format!("{side}/{function}"),
                events: of.events,
            }));
        }
        Ok(programs)
    }

    fn recorded_by(&self, program: &OsStr) -> EventSet {
        let one = |event: Event| std::iter::once(event).collect();
        match program.to_str() {
            Some(SYS_ENTER) => self.read_at_enter(),
            Some(EXEC) => one(Event::TaskExec),
            Some("sched_process_fork" | RAW_FORK) => one(Event::TaskFork),
            Some("sched_process_exit" | "raw_exit") => one(Event::Procexit),
            Some("task_rename" | "raw_rename") => one(Event::TaskRename),
            Some("signal_deliver" | "raw_signal") => one(Event::Signaldeliver),
            Some(CHILD_STARTED) => self.children,
            Some(name) if let Some(hook) = PATH_HOOKS.iter().find(|hook| hook.program == name) => {
                let calls = hook.events.iter().copied();
                calls.filter(|event| self.captured.contains(*event)).collect()
            }
            Some(SYS_EXIT | CALL_REFUSED | RAW_SYS_EXIT) => {
                let calls = self.captured.iter().filter(|event| event.row().is_call());
                let calls: EventSet = calls.collect();
                match program == RAW_SYS_EXIT {
                    true => calls.union(one(Event::TaskExec)),
                    false => calls,
                }
            }
            _ => EventSet::NONE,
        }
    }
}

/// Sends what the library says to the log. What is not logged is not put together: that is thousands of lines.
pub(crate) fn quiet() {
    let level = match () {
        () if tracing::enabled!(target: "libbpf", tracing::Level::TRACE) => Some(PrintLevel::Debug),
        () if tracing::enabled!(target: "libbpf", tracing::Level::DEBUG) => Some(PrintLevel::Info),
        () => None,
    };
    libbpf_rs::set_print(level.map(|level| (level, print as fn(PrintLevel, String))));
}

impl Probes {
    /// Loads and attaches what the plan needs.
    pub(crate) fn start(plan: &Plan) -> Result<Probes, CaptureError> {
        quiet();
        let is_numbered_otherwise = !pid_namespace::is_first();
        let layout = match plan.tier {
            Tier::Raw => task_layout(is_numbered_otherwise),
            _ => TaskLayout::default(),
        };
        let wanted = |program: &OsStr| match program == OWN_PROCESS {
            true => is_numbered_otherwise,
            false if program == RAW_FORK => layout.tells_tasks(),
            false => {
                !is_walker(program) && on_demand(program).is_none_or(|one| (one.is_wanted)(plan, one.name))
            }
        };
        let fitting = Fitting::of_host(plan.tier);
        let load = |wanted: &(dyn Fn(&OsStr) -> bool + Sync)| match plan.tier {
            Tier::SysExit => load_at_once(plan, layout, fitting, wanted),
            _ => {
                let open = prepare(plan, layout, fitting, wanted)?;
                Ok((own_map::load(open, SCRATCHES, &has_scratch)?, Vec::new()))
            }
        };
        let mut refused = Vec::new();
        let mut objects = load(&wanted);
        for without in Optional::tries(plan) {
            let Err(error) = &objects else { break };
            let is_there = |one: &OnDemand| one.optional.is_none_or(|one| !without.contains(&one));
            // If it is not for them, this fails likewise.
            let others = load(&|program: &OsStr| wanted(program) && on_demand(program).is_none_or(is_there));
            if others.is_ok() {
                without.iter().for_each(|optional| optional.warn(error));
                (objects, refused) = (others, without);
            }
        }
        let (object, later) = objects?;
        let own_pid = match loaded(&object, &later, OWN_PROCESS) {
            // Nobody's, when it can't be had.
            Some(program) => own_pid(&program).unwrap_or(0),
            None => std::process::id(),
        };
        let mut probes = Probes {
            tier: plan.tier,
            object,
            own_pid,
            refused,
            takes_notes: plan.path_hooks.is_some(),
            later,
            links: Vec::new(),
            captured: Cell::new(process_life()),
            on_demand: Vec::new(),
            trampolines: Trampolines::default(),
            names: (Vec::new(), 0),
            begun: None,
        };
        probes.tell(plan)?;
        probes
            .map("losing_cgroups")?
            .update(&0u64.to_ne_bytes(), &0u64.to_ne_bytes(), MapFlags::ANY)
            .map_err(|e| CaptureError::bpf("prepare the table of losses", e))?;
        let objects = std::iter::once(&probes.object).chain(&probes.later);
        let programs = objects
            .flat_map(Object::progs_mut)
            .filter(|program| program.autoload());
        let stays =
            |program: &ProgramMut<'_>| on_demand(program.name()).is_none() && program.name() != OWN_PROCESS;
        // What tells of processes first: the calls of one that is made from here on are those of a process that is known.
        for program in programs.filter(stays) {
            probes.links.push(attach(&program)?);
        }
        probes.attach_wanted(plan)?;
        Ok(probes)
    }

    /// Tells the programs what is wanted, and attaches and detaches those that are there for single events; they may be
    /// running.
    pub(crate) fn configure(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        self.tell(plan)?;
        self.attach_wanted(plan)
    }

    /// Attaches and detaches the programs for single events, which were told what is wanted.
    fn attach_wanted(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        if !plan.read_at_enter().is_empty() {
            self.keep_begun(true)?;
        }
        // What is new first, what is no longer wanted last: between two tiers nothing is missed, and the stubs of the one are
        // switched on and off all at once.
        self.attach_stubs(plan)?;
        for program in ON_DEMAND
            .iter()
            .filter(|program| (program.is_wanted)(plan, program.name))
        {
            if !self.on_demand.iter().any(|(name, _)| *name == program.name) {
                if program.optional.is_some_and(|one| self.refused.contains(&one)) {
                    continue;
                }
                match (self.attach_on_demand(program), program.optional) {
                    (Ok(link), _) => self.on_demand.push((program.name, link)),
                    (Err(error), Some(optional)) => {
                        optional.warn(&error);
                        self.refused.push(optional);
                        self.on_demand.retain(|(name, _)| {
                            on_demand(OsStr::new(name)).is_none_or(|one| one.optional != program.optional)
                        });
                    }
                    (Err(error), None) => return Err(error),
                }
            }
        }
        self.trampolines.set_live(Side::Start, !plan.starts.is_empty())?;
        self.trampolines.set_live(Side::End, !plan.ends.is_empty())?;
        let is_wanted = |name: &str| {
            let program = ON_DEMAND.iter().find(|program| program.name == name);
            program.is_some_and(|program| (program.is_wanted)(plan, program.name))
        };
        self.on_demand.retain(|(name, _)| is_wanted(name));
        self.trampolines.detach_others(plan);
        if plan.read_at_enter().is_empty() {
            self.keep_begun(false)?;
        }
        Ok(())
    }

    /// Tells the programs what is wanted.
    fn tell(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        self.captured.set(self.captured.get().union(plan.captured));
        let names = self.tell_names(plan)?;
        self.map(".data.config")?
            .update(
                &0u32.to_ne_bytes(),
                &config_bytes(plan, self.own_pid, names),
                MapFlags::ANY,
            )
            .map_err(|e| CaptureError::bpf("configure the BPF programs", e))
    }

    /// Gives the programs the plan's table of names, beside the one they read by: they go on to it when they are told which it is,
    /// which this says.
    fn tell_names(&mut self, plan: &Plan) -> Result<u32, CaptureError> {
        let Some(names) = &plan.names else { return Ok(0) };
        // Only dedicated rows have names.
        let named = (0..ROWS).map(|row| plan.named.get(row).filter(|_| row < DEDICATED_COUNT));
        let mut table: Vec<u8> = named
            .flat_map(|named| named.map_or(0, |named| named.bits()).to_ne_bytes())
            .collect();
        table.extend(names.bytes());
        table.resize(table.len().next_multiple_of(8), 0);
        let (known, place) = &mut self.names;
        if *known != table {
            let other = *place ^ 1;
            let map = self.object.maps().find(|map| map.name() == "name_tables");
            let map = map.ok_or_else(|| CaptureError::Missing("map name_tables".into()))?;
            map.update(&other.to_ne_bytes(), &table, MapFlags::ANY)
                .map_err(|e| CaptureError::bpf("tell the programs the names of files", e))?;
            (*known, *place) = (table, other);
        }
        Ok(*place + 1)
    }

    fn attach_stubs(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        let mut trampolines = std::mem::take(&mut self.trampolines);
        let attached = trampolines.attach(plan, &|side, function| {
            self.load_beside(side.walker(), Some(function), side == Side::Start)
        });
        self.trampolines = trampolines;
        attached
    }

    /// Gives the programs the table of calls that have begun, or takes it from them.
    fn keep_begun(&mut self, wanted: bool) -> Result<(), CaptureError> {
        if wanted == self.begun.is_some() {
            return Ok(());
        }
        let failed = |e| CaptureError::bpf("make the table of calls that have begun", e);
        let place = self.map("begun")?;
        let first = 0u32.to_ne_bytes();
        self.begun = None;
        if !wanted {
            return place.delete(&first).map_err(failed);
        }
        let options = bpf_map_create_opts {
            sz: std::mem::size_of::<bpf_map_create_opts>() as size_t,
            ..Default::default()
        };
        let table = MapHandle::create(
            MapType::Hash,
            Some("begun_calls"),
            4,
            BEGUN_LEN,
            CALLS_BEGUN,
            &options,
        )
        .map_err(failed)?;
        let descriptor = table.as_fd().as_raw_fd().to_ne_bytes();
        place.update(&first, &descriptor, MapFlags::ANY).map_err(failed)?;
        self.begun = Some(table);
        Ok(())
    }

    /// Attaches a program, which is loaded first when it was not wanted before.
    fn attach_on_demand(&mut self, wanted: &OnDemand) -> Result<Link, CaptureError> {
        let name = wanted.name;
        if let Some(program) = loaded(&self.object, &self.later, name) {
            return attach(&program);
        }
        self.later.push(self.load_beside(name, None, wanted.has_scratch)?);
        let program = loaded(&self.object, &self.later, name);
        attach(&program.ok_or_else(|| CaptureError::Missing(format!("program {name}")))?)
    }

    /// Loads the same object again, with nothing but one program, on the maps of the first. `target` is the function the
    /// program is for, where it does not say.
    fn load_beside(
        &self,
        name: &str,
        target: Option<&str>,
        has_scratch: bool,
    ) -> Result<Object, CaptureError> {
        // Since the start more or less may be logged.
        quiet();
        let mut open = open(self.tier, Fitting::of_host(self.tier), self.takes_notes)?;
        for mut program in open.progs_mut() {
            let wanted = program.name() == name;
            program.set_autoload(wanted);
            if let Some(target) = target.filter(|_| wanted) {
                program
                    .set_attach_target(0, Some(target.to_owned()))
                    .map_err(|e| CaptureError::bpf(format!("find the function {target}"), e))?;
            }
        }
        for mut map in open.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            let is_made = name != "notes" || self.takes_notes;
            if !(has_scratch && name == SCRATCHES) && is_shared(&name) && is_made {
                share(&mut map, self.map(&name)?.as_fd())?;
            }
        }
        own_map::prepare(&mut open)?;
        load(open)
    }

    /// Stops the programs; their maps stay readable.
    pub(crate) fn detach(&mut self) {
        self.trampolines.detach();
        self.links.clear();
        self.on_demand.clear();
    }

    pub(crate) fn map(&self, name: &str) -> Result<MapHandle, CaptureError> {
        let map = self
            .object
            .maps()
            .find(|map| map.name() == name)
            .ok_or_else(|| CaptureError::Missing(format!("map {name}")))?;
        MapHandle::try_from(&map).map_err(|e| CaptureError::bpf(format!("use map {name}"), e))
    }

    /// What the consumer shares with the programs.
    pub(crate) fn consumer_page(&self) -> Result<Arc<ConsumerPage>, CaptureError> {
        Ok(Arc::new(ConsumerPage::new(&self.map(".data.consumer")?)?))
    }

    /// The programs' knowledge of owners; failures to tell them are counted in `failures`.
    pub(crate) fn owners(
        &self,
        page: &Arc<ConsumerPage>,
        failures: &Arc<AtomicU64>,
    ) -> Result<KernelOwners, CaptureError> {
        Ok(KernelOwners::new(
            self.map("owners")?,
            Arc::clone(page),
            Arc::clone(failures),
        ))
    }

    /// Per CPU and stream, the number of records that were ever begun.
    pub(crate) fn sequences(&self) -> Vec<Vec<u64>> {
        per_cpu(&self.map("sequences"), record::STREAMS.len())
    }

    /// Lost records by event and reason, over all CPUs.
    pub(crate) fn drops(&self) -> Vec<(Event, &'static str, u64)> {
        let Ok(map) = self.map("drops") else {
            return Vec::new();
        };
        let mut drops = Vec::new();
        for event in self.captured.get().iter() {
            for (reason, name) in record::DROP_REASONS.iter().enumerate() {
                let cpus = counter(&map, event as usize * record::DROP_REASONS.len() + reason);
                let count: u64 = cpus.iter().sum();
                if count > 0 {
                    drops.push((event, *name, count));
                }
            }
        }
        drops
    }

    /// All lost records, over all CPUs.
    pub(crate) fn lost(&self) -> u64 {
        per_cpu(&self.map("all_drops"), 1).iter().flatten().sum()
    }

    /// Lost records by the id of their cgroup.
    pub(crate) fn losing_cgroups(&self) -> Vec<(u64, u64)> {
        let Ok(map) = self.map("losing_cgroups") else {
            return Vec::new();
        };
        let number = |bytes: &[u8]| bytes.first_chunk().map(|b| u64::from_ne_bytes(*b));
        map.keys()
            .filter_map(|key| {
                let count = map.lookup(&key, MapFlags::ANY).ok().flatten()?;
                Some((number(&key)?, number(&count)?))
            })
            .collect()
    }

    /// Takes a cgroup out of the table of those that lose records.
    pub(crate) fn forget_losing_cgroup(&self, cgroup: u64) {
        if let Ok(map) = self.map("losing_cgroups") {
            // Absent is what is wanted.
            let _ = map.delete(&cgroup.to_ne_bytes());
        }
    }

    /// Values the programs could not read, by kind.
    pub(crate) fn misses(&self) -> Vec<(&'static str, u64)> {
        let map = self.map(".data.misses");
        let first = 0u32.to_ne_bytes();
        let bytes = map.and_then(|map| {
            map.lookup(&first, MapFlags::ANY)
                .map_err(|e| CaptureError::bpf("read what was missed", e))
        });
        let bytes = bytes.ok().flatten().unwrap_or_default();
        let counters = bytes.chunks_exact(8).filter_map(<[u8]>::first_chunk);
        let counters = counters.map(|count| u64::from_ne_bytes(*count));
        record::MISS_KINDS
            .into_iter()
            .zip(counters.chain(std::iter::repeat(0)))
            .collect()
    }

    /// Runs the kernel refused because the program was running on that CPU already, by program.
    pub(crate) fn recursion_misses(&self) -> Vec<(String, u64)> {
        self.infos()
            .filter(|(_, info)| matches!(info.ty, ProgramType::Tracing | ProgramType::RawTracepoint))
            .map(|(name, info)| (name, info.recursion_misses))
            .chain(self.trampolines.refused())
            .collect()
    }

    /// What the kernel says of the programs, by their whole names: it keeps 15 characters of them.
    fn infos(&self) -> impl Iterator<Item = (String, ProgramInfo)> {
        let names: Vec<(u32, String)> = self
            .programs()
            .filter_map(|p| {
                let id = libbpf_rs::Program::id_from_fd(p.as_fd()).ok()?;
                Some((id, p.name().to_string_lossy().into_owned()))
            })
            .collect();
        ProgInfoIter::default().filter_map(move |info| {
            let (_, name) = names.iter().find(|(id, _)| *id == info.id)?;
            Some((name.clone(), info))
        })
    }

    /// How often each program ran and for how many nanoseconds, where the kernel counts that.
    pub(crate) fn program_runs(&self) -> Vec<(String, u64, u64)> {
        let runs = |(name, info): (String, ProgramInfo)| (name, info.run_cnt, info.run_time_ns);
        self.infos().map(runs).collect()
    }

    /// Records that were begun and lost, by CPU.
    pub(crate) fn cpus(&self) -> Vec<(u64, u64)> {
        let begun = self.sequences();
        let lost = per_cpu(&self.map("all_drops"), 1).pop().unwrap_or_default();
        let of = |cpu: usize| begun.iter().filter_map(|stream| stream.get(cpu)).sum();
        lost.into_iter()
            .enumerate()
            .map(|(cpu, lost)| (of(cpu), lost))
            .collect()
    }

    /// All of [`Probes::recursion_misses`], without looking at every program of the host.
    pub(crate) fn refused(&self) -> u64 {
        let programs: u64 = self.programs().map(|program| refused_runs(program.as_fd())).sum();
        programs + self.trampolines.refused().values().sum::<u64>()
    }

    /// The programs that were loaded, at the start or later.
    fn programs(&self) -> impl Iterator<Item = libbpf_rs::Program<'_>> {
        let objects = std::iter::once(&self.object).chain(&self.later);
        objects.flat_map(Object::progs).filter(|p| p.autoload())
    }
}

/// What is found out of tasks where the kernel does not say it.
fn task_layout(is_numbered_otherwise: bool) -> TaskLayout {
    let layout = TaskLayout::find(is_numbered_otherwise);
    if !layout.tells_tasks() {
        tracing::warn!(
            "it could not be found out where this kernel keeps the ids of tasks: a new process is known from its first event \
             on, and who has ended by then is nobody's parent"
        );
    } else if layout.real_parent == 0 {
        tracing::warn!(
            "it could not be found out where this kernel keeps the parents of tasks: /proc is asked"
        );
    }
    layout
}

fn is_walker(program: &OsStr) -> bool {
    [Side::Start, Side::End]
        .iter()
        .any(|side| program == side.walker())
}

/// An array for one program.
pub(crate) fn program_array() -> Result<MapHandle, CaptureError> {
    let options = bpf_map_create_opts {
        sz: size_of::<bpf_map_create_opts>() as size_t,
        ..Default::default()
    };
    MapHandle::create(MapType::ProgArray, Some("walker"), 4, 4, 1, &options)
        .map_err(|e| CaptureError::bpf("make an array of programs", e))
}

/// The number build.rs gives a controller (`CGROUP_*`); 0 for version 2.
fn controller_number(controller: Option<Controller>) -> u32 {
    let place = controller.and_then(|c| Controller::ALL.iter().position(|known| *known == c));
    place.map_or(0, |place| u32::try_from(place + 1).unwrap_or(0))
}

/// The events that are recorded whatever the plan says.
fn process_life() -> EventSet {
    let internal = EVENTS.iter().filter(|row| row.is_internal());
    internal.map(|row| row.event).chain([Event::Procexit]).collect()
}

/// Reads `count` counters of a per-CPU array; an unreadable one is empty.
fn per_cpu(map: &Result<MapHandle, CaptureError>, count: usize) -> Vec<Vec<u64>> {
    let Ok(map) = map else {
        return vec![Vec::new(); count];
    };
    (0..count).map(|index| counter(map, index)).collect()
}

/// One counter on every CPU.
fn counter(map: &MapHandle, index: usize) -> Vec<u64> {
    let key = u32::try_from(index).unwrap_or(u32::MAX).to_ne_bytes();
    let values = map.lookup_percpu(&key, MapFlags::ANY).ok().flatten();
    values
        .iter()
        .flatten()
        .filter_map(|v| v.first_chunk())
        .map(|v| u64::from_ne_bytes(*v))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_called_the_same_each_time_the_object_is_opened() {
        let names = |open: &OpenObject| {
            let maps = open.maps();
            maps.map(|map| map.name().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        let [one, other] = [(); 2].map(|()| open(Tier::SysExit, &Fitting::default(), false).unwrap());
        assert_eq!(names(&one), names(&other));
        assert!(
            names(&one).contains(&"lanner.rodata".to_owned()),
            "{:?}",
            names(&one)
        );
    }
}
