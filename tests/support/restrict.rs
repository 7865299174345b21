//! Starts the program as a hardened host would have it: with fewer capabilities, without `bpf(2)`, or with parts of `/sys`
//! hidden from it.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

pub(crate) const CAP_DAC_READ_SEARCH: u32 = 2;
pub(crate) const CAP_SETPCAP: u32 = 8;
pub(crate) const CAP_NET_ADMIN: u32 = 12;
pub(crate) const CAP_SYS_PTRACE: u32 = 19;
pub(crate) const CAP_SYS_ADMIN: u32 = 21;
pub(crate) const CAP_SYS_NICE: u32 = 23;
pub(crate) const CAP_SYS_RESOURCE: u32 = 24;
pub(crate) const CAP_PERFMON: u32 = 38;
pub(crate) const CAP_BPF: u32 = 39;

/// The last capability any kernel knows here has to be below this.
const CAPABILITIES: u32 = 64;

/// What is kept from the program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Restrictions {
    /// `bpf(2)` fails with this error, by a seccomp filter.
    pub(crate) bpf: Option<i32>,
    /// Directories that are empty to it.
    pub(crate) hidden: Vec<&'static str>,
    /// The capabilities it keeps; all when nothing is said.
    pub(crate) capabilities: Option<Vec<u32>>,
}

impl Restrictions {
    /// `bpf(2)` fails.
    pub(crate) fn without_bpf(error: i32) -> Restrictions {
        Restrictions {
            bpf: Some(error),
            ..Restrictions::default()
        }
    }

    /// Some directories are empty; those this host has not are left out.
    pub(crate) fn hiding(directories: &[&'static str]) -> Restrictions {
        let there = directories
            .iter()
            .filter(|path| std::path::Path::new(path).is_dir());
        Restrictions {
            hidden: there.copied().collect(),
            ..Restrictions::default()
        }
    }

    /// It has these capabilities and no others.
    pub(crate) fn with(capabilities: &[u32]) -> Restrictions {
        Restrictions {
            capabilities: Some(capabilities.to_vec()),
            ..Restrictions::default()
        }
    }

    /// It has all capabilities but these.
    pub(crate) fn without(capabilities: &[u32]) -> Restrictions {
        let kept: Vec<u32> = (0..CAPABILITIES)
            .filter(|bit| !capabilities.contains(bit))
            .collect();
        Restrictions::with(&kept)
    }

    /// True when it keeps this capability.
    pub(crate) fn keeps(&self, capability: u32) -> bool {
        self.capabilities
            .as_ref()
            .is_none_or(|kept| kept.contains(&capability))
    }

    /// A command that runs `program` under them.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let restrictions = self.clone();
        let hidden: Vec<CString> = self
            .hidden
            .iter()
            .map(|path| CString::new(*path).unwrap())
            .collect();
        // SAFETY: between fork and exec only system calls are made, on what was allocated before.
        unsafe {
            command.pre_exec(move || {
                restrictions.hide(&hidden)?;
                restrictions.refuse_bpf()?;
                restrictions.drop_capabilities()
            });
        }
        command
    }

    fn hide(&self, hidden: &[CString]) -> io::Result<()> {
        if hidden.is_empty() {
            return Ok(());
        }
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        for path in hidden {
            mount(
                Some("none"),
                path.as_c_str(),
                Some("tmpfs"),
                MsFlags::empty(),
                none,
            )?;
        }
        Ok(())
    }

    /// Needs CAP_SYS_ADMIN, so that what is executed may still gain what its user may.
    fn refuse_bpf(&self) -> io::Result<()> {
        let Some(error) = self.bpf else { return Ok(()) };
        let step = |code: u32, jt, jf, k| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        // The number of the call is the first of what the filter sees.
        let mut filter = [
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            step(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                0,
                1,
                libc::SYS_bpf as u32,
            ),
            step(
                libc::BPF_RET | libc::BPF_K,
                0,
                0,
                libc::SECCOMP_RET_ERRNO | error as u32,
            ),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: the filter lives until the call is over, and the kernel copies it.
        let done = unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Takes them out of the bounding set: what root executes has what is left of that.
    fn drop_capabilities(&self) -> io::Result<()> {
        let Some(kept) = &self.capabilities else {
            return Ok(());
        };
        for bit in (0..CAPABILITIES).filter(|bit| !kept.contains(bit)) {
            // SAFETY: plain numbers. A bit the kernel does not know is EINVAL.
            let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, bit, 0, 0, 0) };
            if done != 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}
