//! The file system's own opens of files: overlayfs opens a file of one of its layers for each that is opened in it, and the
//! kernel tells of both, under the same path and as the same process's doing. Who opened the file did so once.
//!
//! A layer is mounted where nobody sees it. An open of a file in a mount that its process has not is one of those when the
//! open in an overlay is told of as well; it follows at once.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use super::backlog::FileEvent;
use super::group::Pidfd;
use super::marks::Namespace;
use super::mounts::Mount;

/// Mounts that are remembered.
const REMEMBERED: usize = 65_536;
/// How long the open is waited for that one of an overlay's own belongs to, in nanoseconds. It follows at once, unless its
/// process has to wait for a CPU.
const PATIENCE: u64 = 500_000_000;
/// The most that wait for it.
const WAITING: usize = 4096;
/// Opens in overlays that are remembered: the kernel may have put one with an earlier one.
const RECENT: usize = 512;

/// What is known of mounts.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Those that processes are known to see, by [`MountId::unique`](super::backlog::MountId).
    seen: HashSet<u64>,
    /// Those that nobody is known to see.
    hidden: HashSet<u64>,
    /// Those in which only processes that were gone have opened something.
    unclear: HashSet<u64>,
    /// The numbers of those in containers.
    contained: HashSet<u64>,
    /// In /proc, the directory of a process that sees the host's.
    host: PathBuf,
    /// What may be an overlay's own, oldest first.
    waiting: VecDeque<FileEvent>,
    /// The last opens in overlays: whose, and the path.
    opened: VecDeque<(u32, Vec<u8>)>,
}

/// Whether an open of a file of a layer was made for this open in the overlay.
fn belongs(inner: &FileEvent, pid: u32, whole: &[u8]) -> bool {
    inner.pid == pid && whole.ends_with(&inner.file.path)
}

impl Layers {
    /// What is mounted has changed, in the host's namespace, which is the first, or in others.
    pub(super) fn learn(&mut self, namespaces: &[Namespace]) {
        // Where numbers are given again they may be of others now.
        self.forget();
        self.contained.clear();
        if let [host, others @ ..] = namespaces {
            self.host.clone_from(&host.directory);
            let others = others.iter().flat_map(|one| &one.mounts);
            self.contained.extend(others.map(|mount| mount.number));
        }
    }

    /// True while the open is waited for that others belong to.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes an overlay's own opens out of the events from `first` on. What may be one stays here until the open it belongs
    /// to has come.
    pub(super) fn sort(&mut self, events: &mut VecDeque<FileEvent>, first: usize, procfs: &Path) {
        let new = events.split_off(first);
        for event in &new {
            if event.file.is_of_overlay {
                self.waiting
                    .retain(|inner| !belongs(inner, event.pid, &event.file.path));
                if self.opened.len() >= RECENT {
                    self.opened.pop_front();
                }
                self.opened.push_back((event.pid, event.file.path.clone()));
            }
        }
        for event in new {
            if !self.is_hidden(&event, procfs) {
                events.push_back(event);
            } else if !self.opened.iter().any(|(pid, path)| belongs(&event, *pid, path)) {
                self.waiting.push_back(event);
            }
        }
    }

    /// Gives back what no open has come for: before `now`, or because there are too many.
    pub(super) fn release(&mut self, now: u64, into: &mut VecDeque<FileEvent>) {
        while let Some(event) = self.waiting.front() {
            if event.time.saturating_add(PATIENCE) > now && self.waiting.len() <= WAITING {
                return;
            }
            into.extend(self.waiting.pop_front());
        }
    }

    /// Whether it is an open in a mount which nobody is known to see.
    fn is_hidden(&mut self, event: &FileEvent, procfs: &Path) -> bool {
        let Some(mount) = event.file.mount else {
            return false;
        };
        if self.seen.contains(&mount.unique) {
            return false;
        }
        if self.seen.len() + self.hidden.len() + self.unclear.len() >= REMEMBERED {
            self.forget();
        }
        if event.file.is_of_overlay {
            self.seen.insert(mount.unique);
            return false;
        }
        let is_gone = matches!(event.process, Pidfd::Gone);
        if self.hidden.contains(&mount.unique) || is_gone && self.unclear.contains(&mount.unique) {
            return true;
        }
        // What is mounted on a host changes all the time, and numbers are given again: they are read when one is asked about.
        let is_in = |directory: &Path| {
            let mounts = Mount::all(&fs::read(directory.join("mountinfo")).unwrap_or_default());
            mounts.iter().any(|one| one.number == mount.number)
        };
        // A process that has another root does not see all of its namespace there.
        let is_seen = self.contained.contains(&mount.number)
            || !is_gone && is_in(&procfs.join(event.pid.to_string()))
            || is_in(&self.host);
        let known = match (is_seen, is_gone) {
            (true, _) => &mut self.seen,
            (false, false) => &mut self.hidden,
            (false, true) => &mut self.unclear,
        };
        known.insert(mount.unique);
        !is_seen
    }

    fn forget(&mut self) {
        for known in [&mut self.seen, &mut self.hidden, &mut self.unclear] {
            known.clear();
        }
    }
}
