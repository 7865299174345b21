//! The functions of the kernel that do a system call: what programs of tier A hang on.
//!
//! A function has the name of its call but where history gave it another; those are written down here, by number. Which
//! functions there are is the kernel's to say ([`KernelTypes`]).

use std::collections::BTreeMap;

use lanner_schema::event::{EVENTS, Event, EventRow, EventSet, SOCKETCALLS};
use lanner_schema::tier::{Quality, Tier};

use crate::kernel_types::{Function, KernelTypes};

/// Called seldom, and by who sets up a host: what is tried is tried on it.
pub(crate) const SPARE: &str = match cfg!(target_arch = "aarch64") {
    true => "__arm64_sys_sethostname",
    false => "__x64_sys_sethostname",
};

const NATIVE: &str = match cfg!(target_arch = "aarch64") {
    true => "__arm64_sys_",
    false => "__x64_sys_",
};
/// Those of 32-bit callers where they need something translated, and where they do not.
const COMPAT: [&str; 2] = ["__ia32_compat_sys_", "__ia32_sys_"];
/// Calls without arguments: the names above are aliases of this, of which at most one can be attached to. Most have no type.
const WITHOUT_ARGUMENTS: &str = "__do_sys_";

/// Functions with other names than their events (arch/x86/entry/syscalls/syscall_64.tbl).
const X86_64: &[(u16, &str)] = &[
    (4, "newstat"),
    (5, "newfstat"),
    (6, "newlstat"),
    (17, "pread64"),
    (18, "pwrite64"),
    (40, "sendfile64"),
    (63, "newuname"),
    (166, "umount"),
    (302, "prlimit64"),
];

/// The same on arm64 (include/uapi/asm-generic/unistd.h).
const AARCH64: &[(u16, &str)] = &[
    (39, "umount"),
    (67, "pread64"),
    (68, "pwrite64"),
    (71, "sendfile64"),
    (79, "newfstatat"),
    (80, "newfstat"),
    (160, "newuname"),
    (223, "fadvise64_64"),
    (261, "prlimit64"),
];

/// The same of 32-bit callers (arch/x86/entry/syscalls/syscall_32.tbl).
const I386: &[(u16, &str)] = &[
    (13, "time32"),
    (16, "lchown16"),
    (18, "stat"),
    (22, "oldumount"),
    (23, "setuid16"),
    (24, "getuid16"),
    (25, "stime32"),
    (28, "fstat"),
    (30, "utime32"),
    (46, "setgid16"),
    (47, "getgid16"),
    (49, "geteuid16"),
    (50, "getegid16"),
    (52, "umount"),
    (55, "fcntl64"),
    (59, "olduname"),
    (70, "setreuid16"),
    (71, "setregid16"),
    (76, "old_getrlimit"),
    (80, "getgroups16"),
    (81, "setgroups16"),
    (82, "old_select"),
    (84, "lstat"),
    (89, "old_readdir"),
    (90, "ia32_mmap"),
    (95, "fchown16"),
    (106, "newstat"),
    (107, "newlstat"),
    (108, "newfstat"),
    (109, "uname"),
    (120, "ia32_clone"),
    (122, "newuname"),
    (124, "adjtimex_time32"),
    (138, "setfsuid16"),
    (139, "setfsgid16"),
    (140, "llseek"),
    (142, "select"),
    (161, "sched_rr_get_interval_time32"),
    (162, "nanosleep_time32"),
    (164, "setresuid16"),
    (165, "getresuid16"),
    (170, "setresgid16"),
    (171, "getresgid16"),
    (177, "rt_sigtimedwait_time32"),
    (180, "ia32_pread64"),
    (181, "ia32_pwrite64"),
    (182, "chown16"),
    (191, "getrlimit"),
    (192, "mmap_pgoff"),
    (193, "ia32_truncate64"),
    (194, "ia32_ftruncate64"),
    (195, "ia32_stat64"),
    (196, "ia32_lstat64"),
    (197, "ia32_fstat64"),
    (198, "lchown"),
    (199, "getuid"),
    (200, "getgid"),
    (201, "geteuid"),
    (202, "getegid"),
    (203, "setreuid"),
    (204, "setregid"),
    (205, "getgroups"),
    (206, "setgroups"),
    (207, "fchown"),
    (208, "setresuid"),
    (209, "getresuid"),
    (210, "setresgid"),
    (211, "getresgid"),
    (212, "chown"),
    (213, "setuid"),
    (214, "setgid"),
    (215, "setfsuid"),
    (216, "setfsgid"),
    (221, "fcntl64"),
    (225, "ia32_readahead"),
    (239, "sendfile64"),
    (240, "futex_time32"),
    (247, "io_getevents_time32"),
    (250, "ia32_fadvise64"),
    (260, "timer_settime32"),
    (261, "timer_gettime32"),
    (264, "clock_settime32"),
    (265, "clock_gettime32"),
    (266, "clock_getres_time32"),
    (267, "clock_nanosleep_time32"),
    (271, "utimes_time32"),
    (272, "ia32_fadvise64_64"),
    (279, "mq_timedsend_time32"),
    (280, "mq_timedreceive_time32"),
    (299, "futimesat_time32"),
    (300, "ia32_fstatat64"),
    (308, "pselect6_time32"),
    (309, "ppoll_time32"),
    (314, "ia32_sync_file_range"),
    (320, "utimensat_time32"),
    (324, "ia32_fallocate"),
    (325, "timerfd_settime32"),
    (326, "timerfd_gettime32"),
    (337, "recvmmsg_time32"),
    (340, "prlimit64"),
    (343, "clock_adjtime32"),
    (403, "clock_gettime"),
    (404, "clock_settime"),
    (405, "clock_adjtime"),
    (406, "clock_getres"),
    (407, "clock_nanosleep"),
    (408, "timer_gettime"),
    (409, "timer_settime"),
    (410, "timerfd_gettime"),
    (411, "timerfd_settime"),
    (412, "utimensat"),
    (413, "pselect6_time64"),
    (414, "ppoll_time64"),
    (416, "io_pgetevents"),
    (416, "io_pgetevents_time64"),
    (417, "recvmmsg_time64"),
    (418, "mq_timedsend"),
    (419, "mq_timedreceive"),
    (420, "semtimedop"),
    (421, "rt_sigtimedwait_time64"),
    (422, "futex"),
    (423, "sched_rr_get_interval"),
];

/// The calls of 32-bit callers with a function for what has to be translated, in every kernel. Of others there may be two,
/// of which one is never called: which, was changed between kernels, so both are taken.
const TRANSLATED: &[u16] = &[
    5, 11, 19, 26, 43, 54, 55, 62, 67, 73, 75, 76, 77, 78, 79, 82, 89, 90, 92, 93, 99, 100, 102, 104, 105,
    106, 107, 108, 114, 116, 117, 119, 120, 126, 141, 142, 173, 174, 175, 176, 177, 178, 179, 186, 187, 191,
    195, 196, 197, 221, 241, 242, 245, 248, 259, 268, 269, 277, 281, 282, 283, 284, 288, 295, 300, 308, 309,
    311, 312, 321, 327, 333, 334, 335, 337, 339, 342, 345, 358, 370, 371, 372, 378, 379, 384, 385, 394, 396,
    397, 400, 401, 402, 413, 414, 417, 421, 441,
];
const I386_SOCKETCALL: u16 = 102;

/// The names that the function of a call has had.
fn names(renamed: &[(u16, &'static str)], number: u16, name: &'static str) -> Vec<&'static str> {
    let found = renamed.iter().filter(|(known, _)| *known == number);
    let found: Vec<&str> = found.map(|(_, name)| *name).collect();
    match found.is_empty() {
        true => vec![name],
        false => found,
    }
}

/// A function that does calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallFunction {
    /// The events that are those calls.
    pub events: EventSet,
    pub(crate) function: Function,
}

/// The functions that do the calls of a set of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallFunctions {
    /// Those programs can be attached to, by name.
    pub(crate) found: BTreeMap<String, CallFunction>,
    /// Names of events with a function the kernel has, and no type for.
    pub(crate) without_type: Vec<&'static str>,
    /// Some return in a child, too.
    pub(crate) has_children: bool,
}

impl CallFunctions {
    pub(crate) fn of(events: EventSet, types: &KernelTypes) -> CallFunctions {
        let mut functions = CallFunctions {
            has_children: events.iter().any(Event::returns_twice),
            ..CallFunctions::default()
        };
        let has_compat = types.calls.keys().any(|name| name.starts_with(COMPAT[1]));
        // Of some calls nobody sees the end.
        let is_seen = |row: &EventRow| !matches!(Tier::Trampoline.event(row.event), Quality::Missing(_));
        let is_captured = |row: &&EventRow| row.is_call() && events.contains(row.event) && is_seen(row);
        for row in EVENTS.iter().filter(is_captured) {
            let mut take = |candidates: &[String]| {
                let typed = |name: &String| Some((name.clone(), *types.calls.get(name)?));
                match candidates.iter().find_map(typed) {
                    Some((name, function)) => {
                        let events = EventSet::NONE;
                        let found = functions.found.entry(name);
                        let found = found.or_insert(CallFunction { events, function });
                        found.events.insert(row.event);
                    }
                    // It may be a call this kernel does not have, which nobody can make.
                    None if candidates.iter().any(|name| types.has_symbol(name)) => {
                        functions.without_type.push(row.name);
                    }
                    None => {}
                }
            };
            let named = |prefix: &str, name: &str| format!("{prefix}{name}");
            let (numbers, renamed) = match cfg!(target_arch = "aarch64") {
                true => (row.aarch64, AARCH64),
                false => (row.x86_64, X86_64),
            };
            for number in numbers {
                for name in names(renamed, *number, row.name) {
                    take(&[named(WITHOUT_ARGUMENTS, name), named(NATIVE, name)]);
                }
            }
            let by_socketcall = SOCKETCALLS.contains(&row.name).then_some(&I386_SOCKETCALL);
            let numbers = row.i386.iter().filter(|_| has_compat);
            for number in numbers.chain(by_socketcall.filter(|_| has_compat)) {
                let named_for = match *number {
                    I386_SOCKETCALL => vec!["socketcall"],
                    number => names(I386, number, row.name),
                };
                for name in named_for {
                    let [translated, plain] = COMPAT.map(|prefix| named(prefix, name));
                    let is_translated = types.calls.contains_key(&translated);
                    if is_translated && !types.calls.contains_key(&named(WITHOUT_ARGUMENTS, name)) {
                        take(std::slice::from_ref(&translated));
                    }
                    if !is_translated || !TRANSLATED.contains(number) {
                        take(&[named(WITHOUT_ARGUMENTS, name), plain, translated]);
                    }
                }
            }
        }
        functions.without_type.dedup();
        functions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(names: &[&str]) -> KernelTypes {
        let function = Function { id: 1, prototype: 2 };
        KernelTypes {
            calls: names.iter().map(|name| ((*name).to_owned(), function)).collect(),
            symbols: std::iter::once("__x64_sys_vfork".to_owned()).collect(),
            ..KernelTypes::default()
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn both_conventions_of_a_call_have_their_functions() {
        let types = types(&[
            "__x64_sys_openat",
            "__ia32_compat_sys_openat",
            "__ia32_sys_openat",
            "__x64_sys_connect",
            "__ia32_sys_connect",
            "__ia32_compat_sys_socketcall",
            "__do_sys_fork",
            "__do_sys_inotify_init",
            "__x64_sys_inotify_init",
            "__ia32_sys_inotify_init",
            "__x64_sys_umount",
        ]);
        let found = |events: &[Event]| {
            let functions = CallFunctions::of(events.iter().copied().collect(), &types);
            assert_eq!(functions.without_type, [""; 0]);
            functions.found.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(
            found(&[Event::Openat]),
            ["__ia32_compat_sys_openat", "__x64_sys_openat"]
        );
        assert_eq!(
            found(&[Event::Connect]),
            [
                "__ia32_compat_sys_socketcall",
                "__ia32_sys_connect",
                "__x64_sys_connect"
            ]
        );
        assert_eq!(found(&[Event::Fork]), ["__do_sys_fork"]);
        assert_eq!(found(&[Event::InotifyInit]), ["__do_sys_inotify_init"]);
        assert_eq!(found(&[Event::Umount2]), ["__x64_sys_umount"]);
        assert_eq!(found(&[Event::Procexit]), [""; 0], "no call");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn every_call_of_this_kernel_has_its_functions() {
        let mut types = KernelTypes::of_host();
        if types.calls.is_empty() {
            eprintln!("skipped: this kernel has no type information");
            return;
        }
        types.read_symbols();
        // What the kernel that this is written for has more than the one it is tried on, and what all have lost.
        let mut without = Vec::new();
        for row in EVENTS.iter().filter(|row| row.is_call()) {
            let functions = CallFunctions::of(std::iter::once(row.event).collect(), &types);
            assert_eq!(functions.without_type, [""; 0]);
            let has = |prefix: &str| functions.found.keys().any(|name| name.starts_with(prefix));
            if !row.x86_64.is_empty() && !has(NATIVE) && !has(WITHOUT_ARGUMENTS) {
                without.push(format!("{} native", row.name));
            }
            if !row.i386.is_empty() && !has("__ia32_") && !has(WITHOUT_ARGUMENTS) {
                without.push(format!("{} i386", row.name));
            }
        }
        let (lost, newer) = (
            [
                "bdflush",
                "create_module",
                "epoll_ctl_old",
                "epoll_wait_old",
                "get_kernel_syms",
                "getpmsg",
                "idle",
                "lookup_dcookie",
                "nfsservctl",
                "query_module",
                "_sysctl",
                "exit",
                "exit_group",
                "rt_sigreturn",
                "sigreturn",
            ],
            ["listns", "rseq_slice_yield"],
        );
        without.retain(|said| {
            let name = said.split(' ').next().unwrap();
            !lost.contains(&name) && !newer.contains(&name)
        });
        assert_eq!(without, [""; 0]);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_call_the_kernel_lacks_is_not_missed_and_one_without_a_type_is() {
        let of = |event: Event| CallFunctions::of([event].into_iter().collect(), &types(&[])).without_type;
        assert_eq!(of(Event::Openat2), [""; 0]);
        assert_eq!(of(Event::Vfork), ["vfork"]);
    }
}
