//! What the kernel's type information (BTF) says can be attached to.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;

use libbpf_rs::btf::types::{Func, FuncProto, Typedef};
use libbpf_rs::btf::{Btf, BtfKind, ReferencesType as _, TypeId};

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
    /// The tracepoint that is tried.
    pub(crate) tracepoint: Option<u32>,
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
/// Functions that are not those of system calls.
const FUNCTIONS: [&str; 3] = ["bpf_iter_task", SCHEDULE_TAIL, SECURE_COMPUTING];
/// It is passed seldom, and there always.
const TRACEPOINT: &str = "btf_trace_task_rename";

impl KernelTypes {
    /// Reads them; none where the kernel has none.
    pub(crate) fn of_host() -> KernelTypes {
        let mut types = KernelTypes::default();
        // There is nothing to say of an error: who has no types cannot be attached to.
        let Ok(btf) = Btf::from_vmlinux() else {
            return types;
        };
        let mut with_registers: HashMap<TypeId, bool> = HashMap::new();
        for function in btf.type_by_kind::<Func<'_>>() {
            let Some(name) = function.name().and_then(OsStr::to_str) else {
                continue;
            };
            let found = || Function {
                id: id(function.type_id()),
                prototype: id(function.referenced_type_id()),
            };
            if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                let prototype = function.referenced_type_id();
                if !*with_registers
                    .entry(prototype)
                    .or_insert_with(|| takes_registers(&btf, prototype))
                {
                    continue;
                }
                types.calls.entry(name.to_owned()).or_insert_with(found);
            } else if let Some(name) = FUNCTIONS.iter().find(|wanted| **wanted == name) {
                types.functions.entry(name).or_insert_with(found);
            }
        }
        types.tracepoint = btf
            .type_by_name::<Typedef<'_>>(TRACEPOINT)
            .map(|found| id(found.type_id()));
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

fn id(id: TypeId) -> u32 {
    u32::from(id)
}

/// True for a function whose one argument is a `struct pt_regs *`.
fn takes_registers(btf: &Btf<'_>, prototype: TypeId) -> bool {
    let Some(prototype) = btf.type_by_id::<FuncProto<'_>>(prototype) else {
        return false;
    };
    let mut arguments = prototype.iter();
    let (Some(first), None) = (arguments.next(), arguments.next()) else {
        return false;
    };
    let pointed = btf
        .type_by_id::<libbpf_rs::btf::BtfType<'_>>(first.ty)
        .filter(|first| first.kind() == BtfKind::Ptr)
        .and_then(|pointer| pointer.next_type());
    let of = pointed.map(|pointed| pointed.skip_mods_and_typedefs());
    of.is_some_and(|of| of.kind() == BtfKind::Struct && of.name() == Some(OsStr::new("pt_regs")))
}
