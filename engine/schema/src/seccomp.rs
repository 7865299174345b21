//! Seccomp policies of containers in the words of the OCI runtime specification (`linux.seccomp`), and how one is made to
//! notify Lanner of system calls.
//!
//! A policy that notifies allows what it allowed before and refuses what it refused: of what it allowed, the calls that are
//! wanted are shown first and then done, and of what it refused they are shown and then refused by who is shown them.

use crate::event::{EVENTS, Event, EventSet, SOCKETCALLS};
use crate::tier::{Quality, Tier, Why};

mod default;

/// The call is done.
pub const ALLOW: &str = "SCMP_ACT_ALLOW";
/// The call fails with an error number.
pub const ERRNO: &str = "SCMP_ACT_ERRNO";
/// The call is done and audited.
const LOG: &str = "SCMP_ACT_LOG";
/// The call waits for the answer of who listens.
pub const NOTIFY: &str = "SCMP_ACT_NOTIFY";
/// Where runtimes find who listens, unless it is configured.
pub const LISTENER: &str = "/run/lanner/seccomp.sock";
/// Where agents find who keeps the listeners, unless it is configured.
pub const KEEPER: &str = "/run/lanner/keeper.sock";
/// `EPERM`, what refused calls fail with unless a policy says otherwise.
const EPERM: u32 = 1;

/// A policy: `LinuxSeccomp` of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// What becomes of calls no rule is about: `SCMP_ACT_*`.
    pub default_action: String,
    /// What they fail with where they fail; `EPERM` without one.
    pub default_errno: Option<u32>,
    /// `SCMP_ARCH_*` of the callers the rules are about.
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: Vec<String>,
    /// Socket of who is given the notifications; empty for nobody.
    pub listener_path: String,
    /// Text that is handed over with them.
    pub listener_metadata: String,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// What becomes of some calls: `LinuxSyscall` of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// The calls, by libseccomp's names.
    pub names: Vec<String>,
    /// `SCMP_ACT_*`.
    pub action: String,
    /// What they fail with where they fail.
    pub errno: Option<u32>,
    /// Conditions, all of which hold.
    pub args: Vec<Arg>,
}

/// A condition on an argument: `LinuxSeccompArg` of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arg {
    /// Which argument.
    pub index: u32,
    /// What it is compared with; the mask of `SCMP_CMP_MASKED_EQ`.
    pub value: u64,
    /// What the masked argument is compared with.
    pub value_two: u64,
    /// `SCMP_CMP_*`.
    pub op: String,
}

impl Rule {
    fn of<N: Into<String>>(action: &str, names: impl IntoIterator<Item = N>) -> Rule {
        Rule {
            names: names.into_iter().map(Into::into).collect(),
            action: action.to_owned(),
            ..Rule::default()
        }
    }
}

/// Calls that are never notified of: between installing the policy and handing its listener over, the runtime's own process
/// in the container makes them, and would wait for an answer that nobody can give. What crun and the Go runtime of runc
/// need then; `write` runc refuses to be notified of, and with `sendmsg` crun hangs.
#[rustfmt::skip]
const KEPT: &[&str] = &[
    "_newselect", "brk", "clock_gettime", "clock_nanosleep", "close", "epoll_create1", "epoll_ctl", "epoll_pwait",
    "epoll_wait", "eventfd2", "exit", "exit_group", "fcntl", "futex", "getpid", "getrandom", "gettid", "gettimeofday",
    "madvise", "mincore", "mmap", "mmap2", "mprotect", "munmap", "nanosleep", "pipe2", "poll", "ppoll", "prctl",
    "pselect6", "read", "readv", "restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "sched_getaffinity", "sched_yield", "select", "sendmsg", "set_robust_list", "setitimer", "sigaltstack",
    "sigreturn", "tgkill", "timer_create", "timer_delete", "timer_settime", "write", "writev",
];

/// True for those.
pub(crate) fn is_kept(event: Event) -> bool {
    KEPT.contains(&event.name())
}

/// Names of a call's variants for 32-bit callers, as what they add to its name.
const SUFFIXES: [&str; 4] = ["32", "64", "_time64", "_64"];

/// Calls whose names are not those of their events: libseccomp's names.
const RENAMED: &[(Event, &[&str])] = &[
    (Event::Llseek, &["_llseek"]),
    (Event::Newfstatat, &["newfstatat", "fstatat64"]),
    (Event::Getrlimit, &["getrlimit", "ugetrlimit"]),
    (Event::Vm86, &["vm86", "vm86old"]),
    (Event::SyncFileRange, &["sync_file_range", "sync_file_range2"]),
];

/// The names that libseccomp has for the calls of an event.
pub fn names_of(event: Event) -> Vec<String> {
    if let Some((_, names)) = RENAMED.iter().find(|(renamed, _)| *renamed == event) {
        return names.iter().map(|name| (*name).to_owned()).collect();
    }
    let name = event.name();
    let variants = SUFFIXES.iter().map(|suffix| format!("{name}{suffix}"));
    let is_known = |name: &String| default::knows(name);
    std::iter::once(name.to_owned())
        .chain(variants.filter(is_known))
        .collect()
}

/// Why nobody can be notified of an event; `None` where it is a call that can.
pub fn why_not(event: Event) -> Option<&'static str> {
    match Tier::None.event(event) {
        Quality::Missing(Why::NeverNotified) => {
            Some("the runtime makes it before it hands the listener over")
        }
        Quality::Weaker(Why::SeenBySeccomp) => None,
        _ => Some("another source sees it, or none"),
    }
}

/// The event of a call that was notified of, by the numbers of the event table.
pub fn event_of(arch: u32, number: i32) -> Option<Event> {
    let number = match arch {
        // Calls of the x32 convention have the same numbers with a bit, up to the few of its own.
        AUDIT_ARCH_X86_64 => number & !X32_BIT,
        _ => number,
    };
    let number = u16::try_from(number).ok()?;
    let row = EVENTS.iter().find(|row| {
        let numbers = match arch {
            AUDIT_ARCH_X86_64 => row.x86_64,
            AUDIT_ARCH_I386 => row.i386,
            AUDIT_ARCH_AARCH64 => row.aarch64,
            _ => &[],
        };
        numbers.contains(&number)
    });
    Some(row?.event)
}

/// `AUDIT_ARCH_X86_64` of include/uapi/linux/audit.h.
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
pub const AUDIT_ARCH_I386: u32 = 0x4000_0003;
/// `AUDIT_ARCH_AARCH64`.
pub const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;
const X32_BIT: i32 = 0x4000_0000;

/// A policy that notifies, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifying {
    /// The policy.
    pub policy: Policy,
    /// Events whose calls are shown before they are done.
    pub shown: EventSet,
    /// Events whose calls are shown before they are refused.
    pub refused: EventSet,
    /// Events that are wanted and refused in a way of their own, and stay unseen: some calls of an event, an error number
    /// of its own.
    pub unseen: EventSet,
}

impl Policy {
    /// What containerd's own default is for a container with these capabilities (`CAP_*`) in its bounding set.
    pub fn runtime_default<'c>(capabilities: impl IntoIterator<Item = &'c str>) -> Policy {
        default::policy(capabilities)
    }

    /// A policy that allows everything: that of a container without one.
    pub fn unconfined() -> Policy {
        Policy {
            default_action: ALLOW.to_owned(),
            architectures: default::ARCHITECTURES
                .iter()
                .map(|arch| (*arch).to_owned())
                .collect(),
            ..Policy::default()
        }
    }

    /// The same policy, except that who listens at `listener` is notified of the calls of `wanted`. Events for which
    /// [`why_not`] has an answer are left out.
    pub fn notifying(mut self, wanted: EventSet, listener: &str) -> Notifying {
        if !self.listener_path.is_empty() {
            // Somebody else's listener: there can be one only.
            return Notifying {
                policy: self,
                shown: EventSet::NONE,
                refused: EventSet::NONE,
                unseen: wanted,
            };
        }
        let mut wanted: EventSet = wanted.iter().filter(|event| why_not(*event).is_none()).collect();
        let is_socket = |event: &Event| SOCKETCALLS.contains(&event.name());
        let names: Vec<(Event, Vec<String>)> = wanted.iter().map(|event| (event, names_of(event))).collect();
        let event_of = |name: &str| {
            let found = names.iter().find(|(_, names)| names.iter().any(|n| n == name));
            found.map(|(event, _)| *event)
        };
        // The 32-bit call that is all of them has no event of its own.
        let through_socketcall = wanted.iter().any(|event| is_socket(&event));
        let is_wanted = |name: &str| event_of(name).is_some() || name == "socketcall" && through_socketcall;
        let (mut shown, mut unseen) = (EventSet::NONE, EventSet::NONE);
        let mut rules = Vec::new();
        for rule in self.rules {
            let (notified, rest): (Vec<String>, Vec<String>) =
                rule.names.iter().cloned().partition(|name| is_wanted(name));
            let allows = matches!(rule.action.as_str(), ALLOW | LOG);
            for event in notified.iter().filter_map(|name| event_of(name)) {
                match allows {
                    true => shown.insert(event),
                    false => unseen.insert(event),
                }
            }
            if !allows || notified.is_empty() {
                rules.push(rule);
                continue;
            }
            if !rest.is_empty() {
                rules.push(Rule {
                    names: rest,
                    ..rule.clone()
                });
            }
            rules.push(Rule {
                names: notified,
                action: NOTIFY.to_owned(),
                ..rule
            });
        }
        wanted = wanted.difference(shown).difference(unseen);
        let others = || {
            let events = wanted.iter();
            Rule::of(NOTIFY, events.flat_map(names_of))
        };
        let mut refused = EventSet::NONE;
        match self.default_action.as_str() {
            _ if wanted.is_empty() => {}
            ALLOW | LOG => {
                let mut rule = others();
                if through_socketcall
                    && !rules
                        .iter()
                        .any(|rule: &Rule| rule.names.iter().any(|n| n == "socketcall"))
                {
                    rule.names.push("socketcall".to_owned());
                }
                rules.push(rule);
                shown = shown.union(wanted);
            }
            ERRNO if self.default_errno.unwrap_or(EPERM) == EPERM => {
                rules.push(others());
                refused = wanted;
            }
            _ => unseen = unseen.union(wanted),
        }
        if !(shown.is_empty() && refused.is_empty()) {
            self.listener_path = listener.to_owned();
            self.listener_metadata = Metadata { refused }.to_string();
        }
        Notifying {
            policy: Policy { rules, ..self },
            shown,
            refused,
            unseen,
        }
    }
}

/// What stands before the names in the text that is handed over with a listener.
const METADATA: &str = "lanner 1 refused=";

/// What who listens has to know of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Events whose calls the policy would refuse: they are answered with `EPERM`, all others are done.
    pub refused: EventSet,
}

impl std::fmt::Display for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(METADATA)?;
        for (index, event) in self.refused.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "," }, event.name())?;
        }
        Ok(())
    }
}

impl Metadata {
    /// Reads the text; `None` when it is none of Lanner's, or names an event that is not known.
    pub fn read(text: &str) -> Option<Metadata> {
        let names = text.strip_prefix(METADATA)?;
        let names = names.split(',').filter(|name| !name.is_empty());
        let refused: Option<EventSet> = names.map(Event::from_name).collect();
        Some(Metadata { refused: refused? })
    }
}

/// What is answered to a call that was notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is done as if nobody had been asked.
    Continue,
    /// It fails with this error number.
    Fail(u32),
}

impl Metadata {
    /// What is answered to a call.
    pub fn answer(&self, arch: u32, number: i32) -> Answer {
        match event_of(arch, number) {
            Some(event) if self.refused.contains(event) => Answer::Fail(EPERM),
            Some(_) => Answer::Continue,
            None if self.refused.is_empty() || (arch, number) == (AUDIT_ARCH_I386, SOCKETCALL) => {
                Answer::Continue
            }
            // A call under a number that no table has could be one of those to refuse: x32 has a few such.
            None => Answer::Fail(ENOSYS),
        }
    }
}

/// Number of `socketcall` for 32-bit callers on x86-64.
pub const SOCKETCALL: i32 = 102;
/// `ENOSYS`.
const ENOSYS: u32 = 38;

#[cfg(test)]
#[path = "seccomp_tests.rs"]
mod tests;
