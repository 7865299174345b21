//! The hierarchy of cgroups: from the id in a record to a path and back.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lanner_schema::cgroup::{Controller, Hierarchy, path_of_process};
use lanner_schema::host_root::host_root;

use crate::outside::{Ask, Outside};

/// The hierarchy that the records name cgroups of.
#[derive(Debug)]
pub(crate) struct Cgroups {
    outside: Outside,
    controller: Option<Controller>,
    /// Where the hierarchy is mounted, and that directory; `None` where a recording stands for it.
    mount: Option<(PathBuf, File)>,
}

impl Cgroups {
    /// Finds the hierarchy through mountinfo; `None` on a host without one. A recording knows its controller's name, which
    /// is empty for version 2.
    pub(crate) fn find(outside: Outside) -> Option<Cgroups> {
        let mut mount = None;
        let name = outside.ask(Ask::HasCgroups, b"", || {
            let found = Hierarchy::of_host(host_root())?;
            let directory = File::open(&found.mount).ok()?;
            mount = Some((found.mount, directory));
            Some(found.controller.map_or("", Controller::name).into())
        })?;
        let controller = Controller::ALL.iter().find(|c| c.name().as_bytes() == name);
        Some(Cgroups {
            outside,
            controller: controller.copied(),
            mount,
        })
    }

    /// True when ids are those of version 2.
    pub(crate) fn is_version_2(&self) -> bool {
        self.controller.is_none()
    }

    /// A process in the cgroup with this path below the mount, or in one below that.
    pub(crate) fn process_in(&self, path: &str) -> Option<u32> {
        let (mount, _) = self.mount.as_ref()?;
        first_process(&mount.join(path.trim_start_matches('/')), DEPTH)
    }

    /// Where the hierarchy is mounted.
    #[cfg(test)]
    pub(crate) fn mount(&self) -> &std::path::Path {
        &self.mount.as_ref().unwrap().0
    }

    /// The id of the cgroup a `/proc/PID/cgroup` names.
    pub(crate) fn id_of_process(&self, text: &[u8]) -> Option<u64> {
        self.id_of(path_of_process(std::str::from_utf8(text).ok()?, self.controller)?)
    }

    /// The id of the cgroup of the process with this directory in the host's /proc. In version 1 one that is ending is said to be in
    /// the root, wherever it is: of that nothing is known.
    pub(crate) fn of_process(&self, directory: &Path) -> Option<u64> {
        let read = |name: &str| self.outside.read(&directory.join(name), FILE_MAX);
        let text = read("cgroup")?;
        let path = self.path_of_process(std::str::from_utf8(&text).ok()?)?;
        // Asked afterwards: who is not ending then was not before.
        let is_doubtful = !self.is_version_2() && path == "/";
        (!is_doubtful || !read("stat").is_none_or(|stat| is_ending(&stat))).then(|| self.id_of(path))?
    }

    /// The path that the text of a `/proc/PID/cgroup` has for this hierarchy.
    pub(crate) fn path_of_process<'t>(&self, text: &'t str) -> Option<&'t str> {
        path_of_process(text, self.controller)
    }

    /// The line of a `/proc/PID/cgroup` that has this path for this hierarchy.
    pub(crate) fn line(&self, path: &str) -> String {
        match self.controller {
            Some(controller) => format!("1:{}:{path}", controller.name()),
            None => format!("0::{path}"),
        }
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

/// The most bytes of a file of /proc that are read.
const FILE_MAX: u64 = 64 << 10;

/// True for the `/proc/PID/stat` of a process that is on its way out (`PF_EXITING`), or of none.
fn is_ending(stat: &[u8]) -> bool {
    const PF_EXITING: u64 = 4;
    let behind_name = stat
        .iter()
        .rposition(|byte| *byte == b')')
        .and_then(|at| stat.get(at + 1..));
    let flags = behind_name
        .and_then(|text| std::str::from_utf8(text).ok()?.split_whitespace().nth(6))
        .and_then(|flags| flags.parse::<u64>().ok());
    flags.is_none_or(|flags| flags & PF_EXITING != 0)
}

/// How far below a container's cgroup its processes are looked for.
const DEPTH: usize = 4;

fn first_process(directory: &Path, depth: usize) -> Option<u32> {
    let own = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    // 0 is one of another pid namespace.
    let own = own
        .lines()
        .find_map(|line| line.parse().ok().filter(|pid| *pid != 0));
    if own.is_some() || depth == 0 {
        return own;
    }
    let mut below = fs::read_dir(directory).ok()?.flatten();
    below.find_map(|entry| {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_directory
            .then(|| first_process(&entry.path(), depth - 1))
            .flatten()
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
    fn who_is_ending_says_so_in_its_flags() {
        let stat = |flags: &str| format!("12 (a) b) S 1 12 13 34816 12 {flags} 1 0 0 0").into_bytes();
        assert!(!is_ending(&stat("4194560")) && is_ending(&stat("4194564")));
        assert!(is_ending(b"12 (a"));
    }

    #[test]
    fn a_process_that_has_ended_is_in_no_cgroup_that_is_believed() {
        let cgroups = Cgroups::find(Outside::default()).unwrap();
        let own = fs::read("/proc/self/cgroup").unwrap();
        assert_eq!(
            cgroups.of_process(Path::new("/proc/self")),
            cgroups.id_of_process(&own)
        );
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let directory = PathBuf::from(format!("/proc/{}", child.id()));
        // It has not been waited for.
        while !is_ending(&fs::read(directory.join("stat")).unwrap()) {
            std::thread::yield_now();
        }
        let found = cgroups.of_process(&directory);
        assert!(found.is_none() || cgroups.is_version_2());
        child.wait().unwrap();
        assert_eq!(cgroups.of_process(&directory), None);
    }
}
