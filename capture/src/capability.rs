//! Capabilities: what needs which of them, and giving up the others.
//!
//! They belong to threads. So what is not needed is given up before there is a second one.

use std::time::{Duration, Instant};
use std::{fmt, fs, io, thread};

use lanner_schema::tier::Source;

use crate::plan::Plan;
use crate::tier::Tier;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)] // they are the kernel's, by the kernel's names
pub enum Capability {
    DacOverride = 1,
    DacReadSearch = 2,
    NetBindService = 10,
    NetAdmin = 12,
    SysPtrace = 19,
    SysAdmin = 21,
    SysNice = 23,
    SysResource = 24,
    Perfmon = 38,
    Bpf = 39,
}

impl Capability {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Capability::DacOverride => "CAP_DAC_OVERRIDE",
            Capability::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Capability::NetBindService => "CAP_NET_BIND_SERVICE",
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::SysPtrace => "CAP_SYS_PTRACE",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::SysNice => "CAP_SYS_NICE",
            Capability::SysResource => "CAP_SYS_RESOURCE",
            Capability::Perfmon => "CAP_PERFMON",
            Capability::Bpf => "CAP_BPF",
        }
    }
}

/// What loading programs needs. Kernels that do not know them (before 5.8) ask for [`Capability::SysAdmin`], which
/// stands for both on the others too.
pub(crate) const FOR_BPF: [Capability; 2] = [Capability::Bpf, Capability::Perfmon];

/// What looking at processes needs that belong to others, in every tier, and what is not learnt without.
pub(crate) const FOR_LOOKING: [(Capability, &str); 2] = [
    (
        Capability::SysPtrace,
        "the programs, directories and users of processes that ran before Lanner, or belong to other users",
    ),
    (
        Capability::DacReadSearch,
        "whose cgroup it is that lies below a container's own",
    ),
];

/// What a source without BPF needs.
pub(crate) const fn for_source(source: Source) -> &'static [Capability] {
    match source {
        // A mark on a file system or a mount, and the process in each event.
        Source::Fanotify => &[Capability::SysAdmin],
        // The kernel asks for it up to 6.5. Later ones do not, but a receive buffer that is large enough does.
        Source::Connector => &[Capability::NetAdmin],
        // What arguments point to is in the memory of others.
        Source::Seccomp => &[Capability::SysPtrace],
    }
}

/// Several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// None of them.
    pub const NONE: CapabilitySet = CapabilitySet(0);

    /// Those this thread may use now.
    pub fn effective() -> CapabilitySet {
        CapabilitySet::read(&fs::read_to_string("/proc/thread-self/status").unwrap_or_default())
    }

    /// The same, from the text of a `status` of /proc.
    pub(crate) fn read(status: &str) -> CapabilitySet {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        CapabilitySet(bits.unwrap_or(0))
    }

    /// True when it has this one.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & 1 << capability as u8 != 0
    }

    /// The same, and this one.
    #[must_use]
    pub fn and(self, capability: Capability) -> CapabilitySet {
        CapabilitySet(self.0 | 1 << capability as u8)
    }

    /// Those of `wanted` that it has not.
    pub fn lacks(self, wanted: &[Capability]) -> Vec<Capability> {
        wanted.iter().copied().filter(|one| !self.has(*one)).collect()
    }

    fn len(self) -> u32 {
        self.0.count_ones()
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> CapabilitySet {
        capabilities
            .into_iter()
            .fold(CapabilitySet::NONE, CapabilitySet::and)
    }
}

impl fmt::Display for CapabilitySet {
    /// Those that are known here, joined by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Capability as C;
        let known = [
            C::DacOverride,
            C::DacReadSearch,
            C::NetBindService,
            C::NetAdmin,
            C::SysPtrace,
            C::SysAdmin,
            C::SysNice,
            C::SysResource,
            C::Perfmon,
            C::Bpf,
        ];
        let names = known
            .into_iter()
            .filter(|one| self.has(*one))
            .map(Capability::name);
        let names: Vec<&str> = names.collect();
        f.write_str(match names.is_empty() {
            true => "none",
            false => return f.write_str(&names.join(", ")),
        })
    }
}

impl Plan {
    /// The capabilities that capture needs from its start on, a changed plan of the same tier included, for a thread that
    /// has `effective`.
    pub fn capabilities(&self, effective: CapabilitySet) -> CapabilitySet {
        let looking = FOR_LOOKING.into_iter().map(|(capability, _)| capability);
        let mut needed: CapabilitySet = looking.collect();
        if self.tier == Tier::None {
            let sources = self.sources_in_force().flat_map(for_source);
            let needed = sources.fold(needed, |needed, capability| needed.and(*capability));
            // The connector's thread comes before others, where it may: without that more programs end before they are
            // asked about.
            return match self.sources_in_force().any(|source| source == Source::Connector) {
                true => needed.and(Capability::SysNice),
                false => needed,
            };
        }
        needed = match effective.lacks(&FOR_BPF).is_empty() {
            true => FOR_BPF.into_iter().fold(needed, CapabilitySet::and),
            false => needed.and(Capability::SysAdmin),
        };
        // Before 5.11 the memory of maps is locked memory, whose limit is raised.
        needed.and(Capability::SysResource)
    }
}

/// How long threads that have done their work may take to end: on a machine with much to do that is many turns of theirs.
const ENDING: Duration = Duration::from_secs(1);

/// Gives up all capabilities but these, for ever, and those of whatever is executed with them. Those that are given up
/// number as many as is returned.
///
/// # Errors
/// When there are other threads, which would keep theirs, and do not end in a second; or the kernel refuses.
pub fn keep_only(kept: CapabilitySet) -> io::Result<u32> {
    const VERSION: u32 = 0x2008_0522;
    const LAST: u8 = 63;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Part {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    // One that has read the kernel's types or tried a program is done before this, and may take a moment to end.
    let deadline = Instant::now() + ENDING;
    loop {
        let threads = fs::read_dir("/proc/self/task")?.count();
        if threads == 1 {
            break;
        }
        if Instant::now() >= deadline {
            return Err(io::Error::other(format!("{threads} threads have them")));
        }
        thread::sleep(Duration::from_millis(1));
    }
    let before = CapabilitySet::effective();
    let left = CapabilitySet(before.0 & kept.0);
    for bit in (0..=LAST).filter(|bit| kept.0 & 1 << bit == 0) {
        // SAFETY: plain numbers. Without CAP_SETPCAP, or for one the kernel does not know, nothing happens.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(bit), 0, 0, 0) };
    }
    let part = |half: u32| Part {
        effective: half,
        permitted: half,
        inheritable: 0,
    };
    // The low half first.
    let parts = [part(left.0 as u32), part((left.0 >> 32) as u32)];
    let header = Header {
        version: VERSION,
        pid: 0,
    };
    // SAFETY: version 3 reads a header and two parts, which live until the call is over.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, parts.as_ptr()) };
    match done {
        0 => Ok(before.len() - left.len()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_status() {
        let all = CapabilitySet::read("CapPrm:\t0\nCapEff:\t000001fffeffffff\n");
        assert!(all.lacks(&FOR_BPF).is_empty() && all.has(Capability::SysAdmin));
        assert_eq!(CapabilitySet::read(""), CapabilitySet::NONE);
        let some: CapabilitySet = [Capability::Bpf, Capability::SysAdmin].into_iter().collect();
        assert_eq!(some.lacks(&FOR_BPF), [Capability::Perfmon]);
        assert_eq!(some.to_string(), "CAP_SYS_ADMIN, CAP_BPF");
        assert_eq!(CapabilitySet::NONE.to_string(), "none");
    }

    #[test]
    fn other_threads_would_keep_theirs() {
        // The harness has a thread for each test.
        let error = keep_only(CapabilitySet::effective()).unwrap_err();
        assert!(error.to_string().ends_with("threads have them"), "{error}");
    }
}
