//! What the kernel's type information (BTF) says can be attached to.

use std::collections::{HashMap, HashSet};
use std::fs;

use lanner_schema::path_hook::{PATH_HOOK_PREFIX, PATH_HOOKS};

use crate::btf::{Btf, FUNC, TYPEDEF};
use crate::io_uring::Tracepoints;
use crate::kernel_btf::TypesOfHost;

/// A function that programs can be attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its id.
    pub(crate) id: u32,
    /// The id of its prototype: programs hand over to each other only where it is the same.
    pub(crate) prototype: u32,
}

/// The types that programs of ours hang on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KernelTypes {
    /// The functions of system calls: those that are given the caller's registers.
    pub(crate) calls: HashMap<String, Function>,
    /// Other functions that are asked for.
    pub(crate) functions: HashMap<&'static str, Function>,
    /// Tracepoints, by their names.
    pub(crate) tracepoints: HashMap<&'static str, u32>,
    /// The tracepoints of io_uring that tell what is asked for; `None` where it can do what no one sees.
    pub(crate) io_uring: Option<Tracepoints>,
    /// Functions of system calls that the kernel has, whether they have a type or not.
    pub(crate) symbols: HashSet<String>,
}

/// What functions of system calls begin with.
const PREFIXES: &[&str] = match cfg!(target_arch = "aarch64") {
    true => &["__arm64_sys_"],
    // Calls without arguments have other names for the same function, of which only the last has a type.
    false => &["__x64_sys_", "__ia32_sys_", "__ia32_compat_sys_", "__do_sys_"],
};
/// What a new thread comes from.
pub(crate) const SCHEDULE_TAIL: &str = "schedule_tail";
/// What asks the seccomp filter of a call.
pub(crate) const SECURE_COMPUTING: &str = "__secure_computing";
/// What gives programs the registers of the current task's call: since 5.15, when they could also keep something by task.
pub(crate) const TASK_REGISTERS: &str = "bpf_task_pt_regs";
/// What programs can ask for a path, and ours do not: it is there since 6.12, when the verifier follows walks of kernel objects.
pub(crate) const PATH_OF_FILE: &str = "bpf_path_d_path";
/// Functions that are not those of system calls, beside [`PATH_HOOKS`].
pub(crate) const FUNCTIONS: [&str; 6] = [
    "bpf_iter_task",
    SCHEDULE_TAIL,
    SECURE_COMPUTING,
    TASK_REGISTERS,
    PATH_OF_FILE,
    READ_ONLY_CAST,
];
/// What programs turn an address into something to load from with: since 6.2.
pub(crate) const READ_ONLY_CAST: &str = "bpf_rdonly_cast";
/// The tracepoint that is tried: it is passed seldom, and there always.
pub(crate) const TRIED: &str = "task_rename";
/// What the types of tracepoints begin with.
const OF_TRACEPOINT: &[u8] = b"btf_trace_";
/// Those that there are programs for.
pub(crate) const TRACEPOINTS: [&str; 11] = [
    TRIED,
    "cgroup_mkdir",
    "io_uring_complete",
    "io_uring_submit_req",
    "io_uring_submit_sqe",
    "sched_process_exec",
    "sched_process_exit",
    "sched_process_fork",
    "signal_deliver",
    "sys_enter",
    "sys_exit",
];

impl KernelTypes {
    /// Those of the running kernel; none where it has none.
    pub(crate) fn of_host() -> KernelTypes {
        TypesOfHost::get().attachable.clone()
    }

    pub(crate) fn of(btf: &Btf<'_>) -> KernelTypes {
        let mut types = KernelTypes {
            io_uring: Tracepoints::find(btf),
            ..KernelTypes::default()
        };
        let mut with_registers: HashMap<u32, bool> = HashMap::new();
        for (id, one) in btf.all() {
            if one.kind == TYPEDEF && btf.begins(one, OF_TRACEPOINT) {
                let name = btf.name(one).get(OF_TRACEPOINT.len()..).unwrap_or_default();
                let known = TRACEPOINTS.into_iter().find(|known| known.as_bytes() == name);
                if let Some(known) = known {
                    types.tracepoints.entry(known).or_insert(id);
                }
            }
            if one.kind != FUNC {
                continue;
            }
            let found = || Function {
                id,
                prototype: one.of,
            };
            if PREFIXES.iter().any(|prefix| btf.begins(one, prefix.as_bytes())) {
                let takes_registers = with_registers.entry(one.of);
                if !*takes_registers.or_insert_with(|| takes_only_registers(btf, one.of)) {
                    continue;
                }
                if let Ok(name) = str::from_utf8(btf.name(one)) {
                    types.calls.entry(name.to_owned()).or_insert_with(found);
                }
            } else if let Some(name) = FUNCTIONS
                .iter()
                .find(|wanted| btf.begins(one, wanted.as_bytes()) && btf.name(one) == wanted.as_bytes())
            {
                types.functions.entry(name).or_insert_with(found);
            } else if btf.begins(one, PATH_HOOK_PREFIX.as_bytes())
                && let Some(hook) = PATH_HOOKS
                    .iter()
                    .find(|hook| btf.name(one) == hook.function.as_bytes())
            {
                types.functions.entry(hook.function).or_insert_with(found);
            }
        }
        types
    }

    /// Reads which functions of system calls there are.
    pub(crate) fn read_symbols(&mut self) {
        // Unreadable where the kernel has no such list: then nothing is known to be missing.
        let list = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        let names = list
            .lines()
            .filter_map(|line| line.split_ascii_whitespace().nth(2));
        let calls = names.filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
        self.symbols = calls.map(str::to_owned).collect();
    }

    pub(crate) fn has_symbol(&self, name: &str) -> bool {
        self.symbols.contains(name)
    }
}

/// True for a function whose one argument is a `struct pt_regs *`.
fn takes_only_registers(btf: &Btf<'_>, prototype: u32) -> bool {
    let Some(prototype) = btf.get(prototype) else {
        return false;
    };
    let mut arguments = prototype.parameters();
    let (Some(first), None) = (arguments.next(), arguments.next()) else {
        return false;
    };
    btf.pointed_struct(first) == Some(b"pt_regs")
}
