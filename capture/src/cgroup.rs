//! The cgroup-v2 hierarchy: from the id in a record to a path and back.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use crate::outside::{Ask, Outside};

/// The cgroup-v2 hierarchy.
#[derive(Debug)]
pub(crate) struct Cgroups {
    outside: Outside,
    /// Where the hierarchy is mounted, and that directory; `None` where a recording stands for it.
    mount: Option<(PathBuf, File)>,
}

impl Cgroups {
    /// Finds the hierarchy through mountinfo; `None` on a host without cgroup v2.
    pub(crate) fn find(outside: Outside) -> Option<Cgroups> {
        let mut mount = None;
        let has = outside.ask(Ask::HasCgroups, b"", || {
            let path = cgroup2_mount(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
            let directory = File::open(&path).ok()?;
            mount = Some((path, directory));
            Some(Vec::new())
        });
        has.map(|_| Cgroups { outside, mount })
    }

    /// Where the hierarchy is mounted.
    #[cfg(test)]
    pub(crate) fn mount(&self) -> &Path {
        &self.mount.as_ref().unwrap().0
    }

    /// The id of the cgroup a `/proc/PID/cgroup` names.
    pub(crate) fn id_of_process(&self, text: &[u8]) -> Option<u64> {
        let path = text
            .split(|b| *b == b'\n')
            .find_map(|line| line.strip_prefix(b"0::"))?;
        self.id_of(std::str::from_utf8(path).ok()?)
    }

    /// The path of a cgroup below the mount, `/` for the root; `None` when it is gone.
    pub(crate) fn path_of(&self, id: u64) -> Option<String> {
        let path = self.outside.ask(Ask::CgroupPath, &id.to_le_bytes(), || {
            let (mount, directory) = self.mount.as_ref()?;
            let fd = open_by_id(directory, id)?;
            let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
            let below = path.strip_prefix(mount).ok()?;
            Some(format!("/{}", below.to_str()?.trim_end_matches(" (deleted)")).into_bytes())
        })?;
        String::from_utf8(path).ok()
    }

    /// The id of the cgroup with this path below the mount.
    pub(crate) fn id_of(&self, path: &str) -> Option<u64> {
        self.outside.ask_number(Ask::CgroupId, path.as_bytes(), || {
            let (mount, _) = self.mount.as_ref()?;
            Some(fs::metadata(mount.join(path.trim_start_matches('/'))).ok()?.ino())
        })
    }
}

/// The mount point of the cgroup2 file system (proc_pid_mountinfo(5)).
fn cgroup2_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let kind = after.split(' ').next()?;
        (kind == "cgroup2")
            .then(|| before.split(' ').nth(4))
            .flatten()
            .map(PathBuf::from)
    })
}

/// Opens a kernfs directory by its id: a file handle of type FILEID_KERNFS is the id alone (Linux 5.5, fs/kernfs/mount.c).
fn open_by_id(mount: &File, id: u64) -> Option<OwnedFd> {
    const FILEID_KERNFS: i32 = 0xfe;
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        id: [u8; 8],
    }
    let mut handle = Handle {
        bytes: 8,
        kind: FILEID_KERNFS,
        id: id.to_ne_bytes(),
    };
    // SAFETY: the call reads `bytes` bytes behind the first two members, which are there; the result is checked.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            std::ptr::from_mut(&mut handle),
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel just gave this descriptor to us and nobody else.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_wherever_it_is_mounted() {
        let hybrid = "30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      31 25 0:27 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(hybrid), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(cgroup2_mount("30 25 0:26 / /a rw - tmpfs tmpfs rw\n"), None);
    }
}
