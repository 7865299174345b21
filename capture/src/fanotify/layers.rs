//! The file system's own opens of files: overlayfs opens a file of one of its layers for each that is opened in it, and the
//! kernel tells of both, under the same path and as the same process's doing. Who opened the file did so once.
//!
//! A layer is mounted where nobody sees it. An open of a file in a mount that its process has not is one of those when the
//! open in an overlay is told of as well; it follows at once.

use std::collections::HashSet;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use libc::{FAN_OPEN, FAN_OPEN_EXEC};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs};

use super::group::{Pidfd, Taken};
use super::marks::Namespace;
use super::mounts::Mount;
use super::opens::path;

/// Mounts that are remembered as somebody's.
const REMEMBERED: usize = 65_536;

/// The mounts that processes are known to see, by number.
#[derive(Debug, Default)]
pub(super) struct Layers {
    seen: HashSet<u64>,
}

/// What the opens of some events are.
#[derive(Debug)]
pub(super) struct Sorted {
    /// Per event: an overlay's own.
    pub(super) is_inner: Vec<bool>,
    /// Some may be, and the open they belong to is still to come.
    pub(super) is_open: bool,
}

impl Layers {
    /// What is mounted has changed: numbers may be of other mounts now.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Tells an overlay's own opens from those of processes.
    pub(super) fn sort(&mut self, events: &[Taken<'_>], namespaces: &[Namespace], procfs: &Path) -> Sorted {
        let mut sorted = Sorted {
            is_inner: vec![false; events.len()],
            is_open: false,
        };
        if !namespaces
            .iter()
            .flat_map(|one| &one.mounts)
            .any(Mount::is_overlay)
        {
            return sorted;
        }
        for (index, taken) in events.iter().enumerate() {
            let Some(own) = self.hidden(taken, namespaces, procfs) else {
                continue;
            };
            let is_whole = |other: &Taken<'_>| {
                other.event.pid == taken.event.pid
                    && other.event.mask & (FAN_OPEN | FAN_OPEN_EXEC) != 0
                    && other.file.as_ref().is_some_and(|file| {
                        is_of_overlay(file) && path(file, false).is_some_and(|whole| whole.ends_with(&own))
                    })
            };
            match events.iter().any(is_whole) {
                true => sorted.is_inner[index] = true,
                false => sorted.is_open = true,
            }
        }
        sorted
    }

    /// The path of a file that was opened in a mount which nobody is known to see.
    fn hidden(&mut self, taken: &Taken<'_>, namespaces: &[Namespace], procfs: &Path) -> Option<Vec<u8>> {
        let file = taken.file.as_ref().filter(|_| taken.event.mask & FAN_OPEN != 0)?;
        let mount = mount_of(file)?;
        if self.seen.contains(&mount) {
            return None;
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        let mut mounts = namespaces.iter().flat_map(|one| &one.mounts);
        if mounts.any(|one| one.number == mount) || is_of_overlay(file) {
            self.seen.insert(mount);
            return None;
        }
        // Of a namespace that is not watched by itself, maybe.
        if !matches!(taken.process, Pidfd::Gone) {
            let mountinfo = procfs.join(taken.event.pid.to_string()).join("mountinfo");
            let own = Mount::all(&fs::read(mountinfo).unwrap_or_default());
            self.seen.extend(own.iter().map(|one| one.number));
            if self.seen.contains(&mount) {
                return None;
            }
        }
        path(file, false)
    }
}

fn is_of_overlay(file: &OwnedFd) -> bool {
    fstatfs(file).is_ok_and(|facts| facts.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
}

/// The number of the mount a file was opened in, as mountinfo has it.
fn mount_of(file: &OwnedFd) -> Option<u64> {
    let mut facts = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is an empty string, and the kernel writes no more than the structure it is given.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_MNT_ID,
            facts.as_mut_ptr(),
        )
    };
    // SAFETY: it is all zeroes, or what the kernel wrote; both are numbers.
    let facts = unsafe { facts.assume_init() };
    (result == 0 && facts.stx_mask & libc::STATX_MNT_ID != 0).then_some(facts.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_is_in_a_mount_that_its_process_sees() {
        let file: OwnedFd = File::open(env!("CARGO_MANIFEST_DIR")).unwrap().into();
        let mount = mount_of(&file).unwrap();
        let own = Mount::all(&fs::read("/proc/self/mountinfo").unwrap());
        assert!(own.iter().any(|one| one.number == mount));
    }
}
