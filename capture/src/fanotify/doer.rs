//! Whose doing an event was, asked about so that no other process is taken for it that has its number by now.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::group::Pidfd;
use crate::cgroup::Cgroups;
use crate::draft::Doer;

/// What `PIDFD_GET_INFO` gives (Linux 6.13, include/uapi/linux/pidfd.h), as far as it is used.
#[repr(C)]
#[derive(Debug, Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    euid: u32,
    egid: u32,
    others: [u32; 5],
}

/// Bits of its mask: that the ids are there, and the cgroup.
const CREDENTIALS: u64 = 1 << 1;
const CGROUP: u64 = 1 << 2;
/// `_IOWR(0xff, 11, struct pidfd_info)`, of its first published size.
const PIDFD_GET_INFO: u64 = 3 << 30 | (size_of::<Info>() as u64) << 16 | 0xff << 8 | 11;
const _: () = assert!(size_of::<Info>() == 64);

/// A process, as it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) doer: Doer,
    /// The path of its root, without a slash at the end: empty for almost all.
    pub(super) root: Box<[u8]>,
    /// When it was there at the latest, in nanoseconds since boot: what it did is not dated later.
    pub(super) until: u64,
    /// Nothing could be asked about it any more, or what was said may be about another.
    pub(super) is_gone: bool,
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Doers {
    procfs: PathBuf,
    cgroups: Option<Cgroups>,
    /// The kernel answers `PIDFD_GET_INFO`.
    tells: bool,
    /// Between which times the event was that is looked at, in nanoseconds since boot.
    pub(super) when: (u64, u64),
}

impl Doers {
    pub(super) fn new(procfs: PathBuf, cgroups: Option<Cgroups>) -> Doers {
        Doers {
            procfs,
            cgroups,
            tells: true,
            when: (0, u64::MAX),
        }
    }

    /// Where all of them have their directories.
    pub(super) fn procfs(&self) -> &Path {
        &self.procfs
    }

    /// The directory of a process.
    pub(super) fn directory(&self, pid: u32) -> PathBuf {
        self.procfs.join(pid.to_string())
    }

    /// Asks about the process of an event. `look` looks at more of it, in its directory; what it finds counts for nothing
    /// when the process is gone then.
    pub(super) fn find<T>(
        &mut self,
        pid: u32,
        process: &Pidfd,
        look: impl FnOnce(&Path) -> T,
    ) -> (Found, Option<T>) {
        let (since, until) = self.when;
        let age = Doer::age(since, until);
        let gone = Found {
            doer: Doer {
                age,
                ..Doer::known(pid, pid)
            },
            root: Box::default(),
            until,
            is_gone: true,
        };
        if matches!(process, Pidfd::Gone) {
            return (gone, None);
        }
        let directory = self.directory(pid);
        let own = Path::new("/proc").join(pid.to_string());
        let more = look(&directory);
        let root = fs::read_link(directory.join("root")).map(|path| path.into_os_string().into_vec());
        let root = root.unwrap_or_default();
        let mut cgroup = match &self.cgroups {
            Some(cgroups) if !(self.tells && cgroups.is_version_2()) => cgroups.of_process(&own),
            _ => None,
        };
        // Last, because it says that all of this was about the process itself.
        let info = match process {
            Pidfd::Open(process) if self.tells => self.info(process.as_fd()),
            _ => Ok(None),
        };
        let ids = match info {
            Ok(Some(info)) => {
                if cgroup.is_none() && info.mask & CGROUP != 0 {
                    cgroup = Some(info.cgroup);
                }
                Some((info.euid, info.egid))
            }
            Ok(None) => {
                if cgroup.is_none() {
                    cgroup = self.cgroups.as_ref().and_then(|cgroups| cgroups.of_process(&own));
                }
                let status = fs::read(directory.join("status")).unwrap_or_default();
                let ids = effective_ids(&status);
                match process {
                    Pidfd::Open(process) if !is_there(process.as_fd()) => None,
                    _ => ids,
                }
            }
            Err(_) => None,
        };
        let Some((uid, gid)) = ids else {
            return (gone, None);
        };
        let doer = match cgroup {
            Some(cgroup) => Doer {
                pid,
                tid: pid,
                cgroup,
                uid,
                gid,
                age,
            },
            None => Doer {
                age,
                ..Doer::known(pid, pid)
            },
        };
        let found = Found {
            doer,
            root: root.strip_suffix(b"/").unwrap_or(&root).into(),
            until,
            is_gone: false,
        };
        (found, Some(more))
    }

    /// What the kernel says of a process; `None` where it does not know the question.
    fn info(&mut self, process: BorrowedFd<'_>) -> Result<Option<Info>, Errno> {
        let mut info = Info {
            mask: CREDENTIALS | CGROUP,
            ..Info::default()
        };
        // SAFETY: the kernel writes as many bytes as the number of the request says, which is what the structure has.
        let result =
            unsafe { libc::ioctl(process.as_raw_fd(), PIDFD_GET_INFO, std::ptr::from_mut(&mut info)) };
        match Errno::result(result) {
            Ok(_) if info.mask & CREDENTIALS != 0 => Ok(Some(info)),
            Ok(_) | Err(Errno::ESRCH) => Err(Errno::ESRCH),
            Err(_) => {
                self.tells = false;
                Ok(None)
            }
        }
    }
}

/// True until a process has been waited for by its parent: only then its number may be given to another.
pub(super) fn is_there(process: BorrowedFd<'_>) -> bool {
    // SAFETY: signal 0 is none, and no memory is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            0,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    result == 0 || Errno::last() != Errno::ESRCH
}

/// The effective user and group of a `/proc/PID/status`.
fn effective_ids(status: &[u8]) -> Option<(u32, u32)> {
    let text = String::from_utf8_lossy(status);
    let second = |key| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key))?;
        value.split_whitespace().nth(1)?.parse().ok()
    };
    Some((second("Uid:")?, second("Gid:")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{FromRawFd as _, OwnedFd};
    use std::process::{Child, Command};

    fn pidfd(pid: u32) -> OwnedFd {
        // SAFETY: the call takes two numbers; the result is checked.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        assert!(fd >= 0, "pidfd_open: {}", Errno::last());
        // SAFETY: the kernel just gave it.
        unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
    }

    /// A process that is there until this is dropped.
    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Sleeper {
            let sleeper = Sleeper(Command::new("sleep").arg("1000").spawn().unwrap());
            // It is there before it has its name.
            while fs::read(format!("/proc/{}/comm", sleeper.0.id())).unwrap() != b"sleep\n" {
                std::thread::yield_now();
            }
            sleeper
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn a_process_is_asked_about_the_same_with_and_without_its_kernels_answer() {
        let sleeper = Sleeper::start();
        let pid = sleeper.0.id();
        let process = Pidfd::Open(pidfd(pid).into());
        let found = [true, false].map(|tells| {
            let mut doers = Doers::new("/proc".into(), Cgroups::find(crate::outside::Outside::default()));
            doers.tells = tells;
            let (found, looked) = doers.find(pid, &process, |dir| fs::read(dir.join("comm")).unwrap());
            assert_eq!(looked.as_deref(), Some(&b"sleep\n"[..]));
            assert!(!found.is_gone && found.root.is_empty());
            found.doer
        });
        assert_eq!(found[0], found[1]);
        assert!(found[0].cgroup == 0 || found[0].uid == nix::unistd::geteuid().as_raw());
    }

    #[test]
    fn nobody_is_taken_for_a_process_that_is_gone() {
        let sleeper = Sleeper::start();
        let process = Pidfd::Open(pidfd(sleeper.0.id()).into());
        drop(sleeper);
        for tells in [true, false] {
            let mut doers = Doers::new("/proc".into(), None);
            doers.tells = tells;
            // The number is this process's, as if it had been given away.
            let (found, looked) = doers.find(std::process::id(), &process, |_| ());
            assert!(found.is_gone && looked.is_none());
            assert_eq!((found.doer.cgroup, found.doer.pid), (0, std::process::id()));
            let (found, looked) = doers.find(std::process::id(), &Pidfd::Gone, |_| ());
            assert!(found.is_gone && looked.is_none());
        }
    }

    #[test]
    fn ids_are_the_effective_ones() {
        assert_eq!(
            effective_ids(b"Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"),
            Some((2, 6))
        );
        assert_eq!(effective_ids(b"Name:\tx\n"), None);
    }
}
