//! Events with files that were read and not looked at yet.
//!
//! The kernel keeps a mount in use while an event of a file in it waits to be read, and so does the file that it opens for
//! the reader: whoever unmounts it meanwhile is told that it is busy. So everything there is is read at once, the file is
//! asked for what only it can say, and closed. Whose doing it was, which takes longer, is asked after that.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

use libc::FAN_OPEN;
use nix::sys::stat::makedev;
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs};

use super::doer::is_there;
use super::group::{Pidfd, Taken};
use crate::descriptor_limit;

/// The most events that are kept: twice as many as the kernel's own queue has by default.
const MOST: usize = 32_768;
/// Room that stays for events when there are none.
const ROOM: usize = 1024;
/// The most processes whose descriptors are kept, where this process may have as many; each event comes with one. On a
/// machine that builds something hundreds come and go while events wait.
const PROCESSES: usize = 4096;
/// Descriptors of events that are read and not put with those that are kept yet.
const READ: usize = 256;
/// See statx(2); libc does not have it.
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;

/// What tells a mount from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MountId {
    /// Its number in mountinfo, which another one may have had.
    pub(super) number: u64,
    /// That which no other has had since boot (Linux 6.8), or else the same.
    pub(super) unique: u64,
}

impl MountId {
    /// That of the mount which a file was opened in.
    fn of(file: &OwnedFd) -> Option<MountId> {
        let asked = |what| {
            let facts = facts(file, what)?;
            (facts.stx_mask & what != 0).then_some(facts.stx_mnt_id)
        };
        let number = asked(libc::STATX_MNT_ID)?;
        Some(MountId {
            number,
            unique: asked(STATX_MNT_ID_UNIQUE).unwrap_or(number),
        })
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) is_directory: bool,
    /// Of an open: the mount it was opened in (Linux 5.8).
    pub(super) mount: Option<MountId>,
    /// Of an open: that the file is an overlay's.
    pub(super) is_of_overlay: bool,
    /// Of an open: its path. It leads from the root of the namespace that its mount is in.
    pub(super) path: Vec<u8>,
}

impl File {
    /// Asks it; `looks_for_overlays` is false where there are none. `None` when it does not say.
    fn of(taken: &Taken<'_>, looks_for_overlays: bool) -> Option<File> {
        let file = taken.file.as_ref()?;
        let facts = facts(file, libc::STATX_BASIC_STATS)?;
        let is_open = taken.event.mask & FAN_OPEN != 0;
        let looks_for_overlays = looks_for_overlays && is_open;
        let path = match is_open {
            true => path(file, facts.stx_nlink == 0)?,
            false => Vec::new(),
        };
        Some(File {
            dev: makedev(facts.stx_dev_major.into(), facts.stx_dev_minor.into()),
            ino: facts.stx_ino,
            is_directory: u32::from(facts.stx_mode) & libc::S_IFMT == libc::S_IFDIR,
            mount: looks_for_overlays.then(|| MountId::of(file)).flatten(),
            is_of_overlay: looks_for_overlays && is_of_overlay(file),
            path,
        })
    }
}

/// An event whose file was closed again.
#[derive(Debug)]
pub(super) struct FileEvent {
    /// `FAN_*`.
    pub(super) mask: u64,
    pub(super) pid: u32,
    pub(super) process: Pidfd,
    /// When it was read, in nanoseconds since boot.
    pub(super) time: u64,
    /// Between which times it was, likewise.
    pub(super) when: (u64, u64),
    pub(super) file: File,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    /// Nothing could be learnt of its file.
    Unread,
    /// There was no room for it.
    Full,
}

/// The events, oldest first.
#[derive(Debug)]
pub(super) struct Backlog {
    pub(super) events: VecDeque<FileEvent>,
    /// Those processes whose events are kept: one descriptor each.
    processes: HashMap<u32, Arc<OwnedFd>>,
    /// The most of them.
    most: usize,
}

impl Backlog {
    /// An empty one, for as many descriptors as this process may have.
    pub(super) fn new() -> Backlog {
        Backlog {
            events: VecDeque::new(),
            processes: HashMap::new(),
            most: descriptor_limit::allow(PROCESSES + READ)
                .saturating_sub(READ)
                .max(1),
        }
    }

    /// True when no more should be read before some were looked at: each brings a descriptor.
    pub(super) fn is_full(&mut self) -> bool {
        if self.processes.len() >= self.most {
            self.processes.retain(|_, process| Arc::strong_count(process) > 1);
        }
        self.processes.len() >= self.most
    }

    /// The oldest event.
    pub(super) fn pop(&mut self) -> Option<FileEvent> {
        let event = self.events.pop_front();
        if event.is_none() && self.events.capacity() > ROOM {
            self.events.shrink_to(ROOM);
        }
        event
    }

    /// Keeps an event without its file.
    pub(super) fn keep(
        &mut self,
        taken: Taken<'_>,
        (time, when): (u64, (u64, u64)),
        looks_for_overlays: bool,
    ) -> Kept {
        let Some((pid, file)) = u32::try_from(taken.event.pid)
            .ok()
            .zip(File::of(&taken, looks_for_overlays))
        else {
            return Kept::Unread;
        };
        if self.events.len() >= MOST {
            return Kept::Full;
        }
        let process = self.shared(pid, taken.process);
        self.events.push_back(FileEvent {
            mask: taken.event.mask,
            pid,
            process,
            time,
            when,
            file,
        });
        Kept::Yes
    }

    /// The descriptor of a process that is kept already, where it is the same one's.
    fn shared(&mut self, pid: u32, process: Pidfd) -> Pidfd {
        let Pidfd::Open(new) = process else {
            return process;
        };
        // As long as it is there, its number is nobody else's.
        if let Some(known) = self.processes.get(&pid).filter(|known| is_there(known.as_fd())) {
            return Pidfd::Open(Arc::clone(known));
        }
        self.processes.insert(pid, Arc::clone(&new));
        Pidfd::Open(new)
    }
}

fn is_of_overlay(file: &OwnedFd) -> bool {
    fstatfs(file).is_ok_and(|facts| facts.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
}

fn facts(file: &OwnedFd, what: u32) -> Option<libc::statx> {
    let mut facts = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is an empty string, and the kernel writes no more than the structure it is given.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            what,
            facts.as_mut_ptr(),
        )
    };
    // SAFETY: it is all zeroes, or what the kernel wrote; both are numbers.
    let facts = unsafe { facts.assume_init() };
    (result == 0).then_some(facts)
}

fn path(file: &OwnedFd, is_deleted: bool) -> Option<Vec<u8>> {
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let path = path.into_os_string().into_vec();
    Some(match path.strip_suffix(b" (deleted)") {
        Some(before) if is_deleted => before.to_vec(),
        _ => path,
    })
}

#[cfg(test)]
mod tests {
    use super::super::group::{Buffer, Group, Read};
    use super::super::mounts::Mount;
    use super::*;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use nix::errno::Errno;
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    use nix::sys::fanotify::MarkFlags;

    #[test]
    fn a_file_is_in_a_mount_that_its_process_sees() {
        let file: OwnedFd = fs::File::open(env!("CARGO_MANIFEST_DIR")).unwrap().into();
        let mount = MountId::of(&file).unwrap();
        let own = Mount::all(&fs::read("/proc/self/mountinfo").unwrap());
        assert!(own.iter().any(|one| one.number == mount.number));
    }

    #[test]
    fn a_deleted_file_has_the_path_it_had() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("a (deleted)");
        let file: OwnedFd = fs::File::create(&name).unwrap().into();
        let own = name.as_os_str().as_encoded_bytes();
        assert_eq!(path(&file, false).as_deref(), Some(own));
        fs::remove_file(&name).unwrap();
        assert_eq!(facts(&file, libc::STATX_BASIC_STATS).unwrap().stx_nlink, 0);
        assert_eq!(path(&file, true).as_deref(), Some(own));
    }

    /// Reads what there is.
    fn drain(group: &Group, backlog: &mut Backlog) {
        let mut buffer: Buffer = [0; _];
        loop {
            let mut events = Vec::new();
            match group.read(&mut buffer, &mut events) {
                Read::Nothing => return,
                read => assert_eq!(read, Read::Some),
            }
            for taken in events {
                assert_eq!(backlog.keep(taken, (1, (0, 1)), true), Kept::Yes);
            }
        }
    }

    #[test_log::test]
    fn a_mount_is_not_in_use_by_events_that_wait_to_be_looked_at() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root may watch file systems");
            return;
        }
        let directory = tempfile::TempDir::new_in("/dev/shm").unwrap();
        let at = directory.path();
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        let unmount = || umount2(at, MntFlags::empty());
        let group = Group::of_files().unwrap();
        group.file_system(MarkFlags::FAN_MARK_ADD, FAN_OPEN, at).unwrap();
        // Events with names have handles, which hold nothing.
        let names = Group::of_names().unwrap();
        names
            .file_system(MarkFlags::FAN_MARK_ADD, libc::FAN_CREATE, at)
            .unwrap();
        let file = |number: u32| at.join(format!("file.{number}"));
        for number in 0..1000 {
            drop(fs::File::create(file(number)).unwrap());
        }
        // The kernel has them in its queue: so a Lanner that is stopped keeps the mount in use.
        assert_eq!(unmount(), Err(Errno::EBUSY));
        let mut backlog = Backlog::new();
        drain(&group, &mut backlog);
        // A file that was closed is let go of a moment later.
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = unmount() {
            assert!(Instant::now() < deadline, "not unmounted: {error}");
            std::thread::yield_now();
        }
        assert!(names.waiting().unwrap() >= 1000, "nobody read them");
        assert_eq!(backlog.events.len(), 1000);
        for (number, event) in (0..).zip(&backlog.events) {
            assert_eq!(event.pid, std::process::id());
            assert_eq!(
                Path::new(std::str::from_utf8(&event.file.path).unwrap()),
                file(number)
            );
        }
        assert!(backlog.processes.len() <= 1, "one process");
    }
}
