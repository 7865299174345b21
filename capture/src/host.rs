//! Facts about the host that the plan is made of.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use lanner_schema::cgroup::Hierarchy;
use lanner_schema::host_root::host_root;
use lanner_schema::tier::Source;
use nix::errno::Errno;
use nix::unistd::{SysconfVar, sysconf};

use crate::call_function::SPARE;
use crate::capability::{Capability, CapabilitySet, FOR_BPF, FOR_LOOKING, for_source};
use crate::connector;
use crate::fanotify;
use crate::io_uring::Tracepoints;
use crate::kernel_types::{KernelTypes, TRIED};
use crate::notify;
use crate::pid_namespace;
use crate::plan::Config;
use crate::raw_program::{self, Hook, NOTHING};
use crate::tier::Tier;

/// How it went to load and attach a program of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// It was attached.
    Works,
    /// The kernel refused to load it.
    NotLoaded(Errno),
    /// The kernel loaded it and refused to attach it.
    NotAttached(Errno),
    /// The kernel has no type information, which it needs.
    NoTypes,
    /// It was not tried: no plan depends on it.
    Untried,
}

impl Trial {
    fn of(hook: Option<Hook>) -> Trial {
        let Some(hook) = hook else {
            return Trial::NoTypes;
        };
        let errno = |error: &io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
        match raw_program::load("lanner_try", hook, &NOTHING) {
            Err(error) => Trial::NotLoaded(errno(&error)),
            Ok(program) => match raw_program::attach(program.as_fd(), hook) {
                Err(error) => Trial::NotAttached(errno(&error)),
                Ok(_) => Trial::Works,
            },
        }
    }

    /// True when a program of this kind can be used.
    pub fn works(self) -> bool {
        self == Trial::Works
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trial::Works => f.write_str("allowed"),
            Trial::NotLoaded(errno) => write!(f, "refused by the kernel: {errno:?} when it is loaded"),
            Trial::NotAttached(errno) => write!(f, "refused by the kernel: {errno:?} when it is attached"),
            Trial::NoTypes => f.write_str("not possible: the kernel has no type information for it"),
            Trial::Untried => f.write_str("not tried"),
        }
    }
}

/// What the kernel lets this process attach: one program of each kind that does nothing was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trials {
    /// On a function, by a trampoline (fexit): tier A.
    pub trampoline: Trial,
    /// On a tracepoint with types (`tp_btf`): tier B, and processes.
    pub tracepoint: Trial,
    /// On a raw tracepoint: tier C.
    pub raw_tracepoint: Trial,
    /// On an iterator over tasks.
    pub iterator: Trial,
}

impl Trials {
    /// All of them, with the name of each kind.
    pub fn each(&self) -> [(&'static str, Trial); 4] {
        [
            ("trampolines", self.trampoline),
            ("tracepoints", self.tracepoint),
            ("raw tracepoints", self.raw_tracepoint),
            ("iterators", self.iterator),
        ]
    }

    /// `only_for` is the tier that is asked for, where nothing is tried but what its plan depends on.
    fn on(types: &KernelTypes, only_for: Option<Tier>) -> Trials {
        let mut trials = Trials {
            trampoline: Trial::of(types.calls.get(SPARE).map(|function| Hook::End(function.id))),
            tracepoint: Trial::of(types.tracepoints.get(TRIED).copied().map(Hook::Tracepoint)),
            raw_tracepoint: Trial::Untried,
            iterator: Trial::Untried,
        };
        // To attach anew to what was just left takes the kernel 10 ms.
        if !(trials.tracepoint.works() && only_for.is_some_and(|tier| tier != Tier::Raw)) {
            trials.raw_tracepoint = Trial::of(Some(Hook::Raw(c"task_rename")));
        }
        if only_for.is_none() {
            trials.iterator = Trial::of(types.functions.get("bpf_iter_task").map(|f| Hook::Iterator(f.id)));
        }
        trials
    }
}

/// How it went to start a source without BPF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceTrial {
    /// It works.
    Works,
    /// It was refused, for this reason.
    Refused(String),
}

impl SourceTrial {
    fn of(result: io::Result<()>) -> SourceTrial {
        match result {
            Ok(()) => SourceTrial::Works,
            Err(error) => SourceTrial::Refused(match error.raw_os_error() {
                Some(number) => format!("refused by the kernel: {:?}", Errno::from_raw(number)),
                None => error.to_string(),
            }),
        }
    }

    /// Why it can't be used; `None` when it can.
    pub fn why_not(&self) -> Option<&str> {
        match self {
            SourceTrial::Works => None,
            SourceTrial::Refused(why) => Some(why),
        }
    }
}

impl fmt::Display for SourceTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why_not().unwrap_or("allowed"))
    }
}

/// The sources without BPF, each tried.
fn try_sources(effective: CapabilitySet) -> Vec<(Source, SourceTrial)> {
    let trial = |source| {
        match source {
        source if let Some(missing) = missing(effective, for_source(source)) => {
            SourceTrial::Refused(format!("{missing} is missing"))
        }
        // Events would have no process, but of those in there.
        Source::Fanotify if !pid_namespace::is_first() => SourceTrial::Refused(
            "this process is in a pid namespace of its own, and the kernel has no numbers in there for the host's processes"
                .into(),
        ),
        // What capabilities it has there are none over the host's processes.
        Source::Seccomp if !pid_namespace::is_of_first_users() => SourceTrial::Refused(
            "this process is in a user namespace of its own, and may not look at the host's processes".into(),
        ),
        Source::Connector => SourceTrial::of(connector::probe()),
        Source::Fanotify => SourceTrial::of(fanotify::probe()),
        Source::Seccomp => SourceTrial::of(notify::probe()),
    }
    };
    Source::ALL.map(|source| (source, trial(source))).into()
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Release of the running kernel.
    pub kernel: String,
    /// The kernel carries its own type information.
    pub btf: bool,
    /// Capabilities that loading needs and this process lacks.
    pub missing_capabilities: Vec<String>,
    /// Capabilities without which Lanner runs and knows less, and what it does not know then.
    pub lacking: Vec<(&'static str, &'static str)>,
    /// What can be attached.
    pub trials: Trials,
    /// The sources that need no BPF; none where they were not tried because no plan depends on them.
    pub sources: Vec<(Source, SourceTrial)>,
    /// The functions there are to attach to.
    pub(crate) types: KernelTypes,
    /// CPUs the kernel may use.
    pub cpus: usize,
    /// The tracepoints of io_uring that tell what is asked for; `None` where it can do what no one sees.
    pub io_uring: Option<Tracepoints>,
    /// The hierarchy of cgroups that containers are told apart by.
    pub cgroups: Option<Hierarchy>,
}

impl Host {
    /// Looks at the host this process runs on.
    pub fn probe() -> Host {
        Host::look(None)
    }

    /// As [`Host::probe`], without what takes long and no plan of this configuration depends on: which functions of calls have
    /// no type, which tier A alone must know; and where programs on tracepoints can be used, what else there would be.
    pub fn probe_for(config: &Config) -> Host {
        Host::look(Some(config.tier))
    }

    fn look(only_for: Option<Tier>) -> Host {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned();
        let effective = CapabilitySet::effective();
        crate::bpf::quiet();
        let mut types = KernelTypes::of_host();
        let trials = Trials::on(&types, only_for);
        let at_symbols =
            only_for.is_none_or(|tier| matches!(tier, Tier::Trampoline | Tier::PreferTrampoline));
        if at_symbols && trials.trampoline.works() {
            types.read_symbols();
        }
        // The kernel takes its time to let go of a source that was tried.
        let with_sources = !trials.tracepoint.works() || only_for.is_none_or(|tier| tier == Tier::None);
        Host {
            kernel,
            trials,
            sources: match with_sources {
                true => try_sources(effective),
                false => Vec::new(),
            },
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            missing_capabilities: missing_for_bpf(effective),
            lacking: lacking(effective),
            cpus: sysconf(SysconfVar::_NPROCESSORS_CONF)
                .ok()
                .flatten()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(1),
            io_uring: types.io_uring,
            cgroups: Hierarchy::of_host(host_root()),
            types,
        }
    }
}

/// The names of those of `wanted` that are missing; `None` when none is.
fn missing(effective: CapabilitySet, wanted: &[Capability]) -> Option<String> {
    let missing = effective.lacks(wanted);
    let names: Vec<&str> = missing.into_iter().map(Capability::name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn missing_for_bpf(effective: CapabilitySet) -> Vec<String> {
    if effective.has(Capability::SysAdmin) {
        return Vec::new();
    }
    let missing = effective.lacks(&FOR_BPF);
    missing.into_iter().map(|one| one.name().to_owned()).collect()
}

fn lacking(effective: CapabilitySet) -> Vec<(&'static str, &'static str)> {
    let lacking = FOR_LOOKING.into_iter().filter(|(one, _)| !effective.has(*one));
    lacking.map(|(one, what)| (one.name(), what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let of = |capabilities: &[Capability]| capabilities.iter().copied().collect::<CapabilitySet>();
        assert!(missing_for_bpf(of(&[Capability::SysAdmin])).is_empty());
        assert_eq!(missing_for_bpf(of(&[Capability::Bpf])), ["CAP_PERFMON"]);
        assert_eq!(missing_for_bpf(CapabilitySet::NONE), ["CAP_BPF", "CAP_PERFMON"]);
        assert!(lacking(of(&[Capability::SysPtrace, Capability::DacReadSearch])).is_empty());
        let names: Vec<&str> = lacking(of(&[Capability::SysAdmin, Capability::SysPtrace]))
            .iter()
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(names, ["CAP_DAC_READ_SEARCH"]);
        for (source, trial) in try_sources(CapabilitySet::NONE) {
            let why = trial.why_not().unwrap();
            assert!(
                why.starts_with("CAP_") && why.ends_with(" is missing"),
                "{source:?}: {why}"
            );
        }
    }
}
