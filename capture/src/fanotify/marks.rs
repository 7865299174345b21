//! What is marked: the file systems that the host and the containers have mounted.
//!
//! A mark is on a whole file system, so that it holds whichever way somebody reaches a file: through another mount, in
//! another namespace, by a descriptor. Whoever adds a file system to what a namespace has is noticed by its mountinfo, which
//! is polled. Marks go with their file systems: nothing here keeps one from being unmounted.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::fanotify::MarkFlags;
use nix::sys::statfs::{fstatfs, statfs};

use super::directories::{self, Named};
use super::entries::Name;
use super::group::Group;
use super::mounts::{Mount, Watched, below};
use super::record::FSID;
use super::wanted::{RENAMES, Wanted};
use crate::outside;

/// The most bytes of a mountinfo that are read.
const MOUNTINFO: u64 = 8 << 20;

/// A file system that can be asked about by its id: through one of its mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `/proc/PID/root` of somebody who sees the mount.
    pub(super) root: PathBuf,
    pub(super) mount: Mount,
}

impl Place {
    /// Where the mount is found from here.
    pub(super) fn path(&self) -> PathBuf {
        below_root(&self.root, &self.mount)
    }
}

fn below_root(root: &Path, mount: &Mount) -> PathBuf {
    let point = mount.path();
    root.join(point.strip_prefix("/").unwrap_or(&point))
}

/// A directory that is marked by itself.
#[derive(Debug, Clone)]
pub(super) struct Marked {
    pub(super) place: Place,
    /// Its path within the file system.
    pub(super) inner: Box<[u8]>,
    /// When it was marked, in nanoseconds since boot; 0 when nothing happened in it before.
    since: u64,
}

/// What is marked of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What a container's first instruction has to wait for: the file systems, and those directories that rules name, without
    /// what is below them.
    First,
    /// All.
    Whole,
}

/// The most directories that are marked one by one.
const MARKED: usize = 65_536;

/// What was refused, for whoever counts and says it.
#[derive(Debug, Default)]
pub(super) struct Unwatched {
    /// File systems whose files are not watched, by kind.
    pub(super) files: BTreeSet<Box<str>>,
    /// Those of which names are not told, not even of directories that rules name.
    pub(super) names: BTreeSet<Box<str>>,
    /// Directories that rules name and that were too many.
    pub(super) left_out: u64,
}

/// The groups and what they watch for.
#[derive(Debug)]
pub(super) struct Marks {
    pub(super) files: Group,
    /// `None` where the kernel tells no names (before Linux 5.9).
    pub(super) names: Option<Group>,
    /// One of [`RENAMES`].
    renames: AtomicU64,
    masks: Mutex<(u64, u64)>,
    /// There was an overlay among what is marked.
    overlays: AtomicBool,
    /// The directories that rules name.
    named: Mutex<Arc<[Named]>>,
    /// Those that are marked one by one, by the id of their file system and the handle behind it: whoever sees them, and what
    /// they are called there.
    marked: Mutex<HashMap<Box<[u8]>, Marked>>,
    places: Mutex<HashMap<[u8; FSID], Place>>,
    unwatched: Mutex<Unwatched>,
}

impl Marks {
    /// The groups without a mark.
    ///
    /// # Errors
    /// When the kernel refuses a group for files.
    pub(super) fn new() -> Result<Marks, Errno> {
        Ok(Marks {
            files: Group::of_files()?,
            names: Group::of_names().ok(),
            renames: AtomicU64::new(RENAMES[0]),
            masks: Mutex::default(),
            overlays: AtomicBool::new(false),
            named: Mutex::new(Arc::from([])),
            marked: Mutex::default(),
            places: Mutex::default(),
            unwatched: Mutex::default(),
        })
    }

    /// Watches for this from here on; gives the bits that are to be taken off what is marked.
    pub(super) fn want(&self, wanted: &Wanted, named: Vec<Named>) -> (u64, u64) {
        *self.named.lock().unwrap_or_else(PoisonError::into_inner) = named.into();
        let renames = self.renames.load(Ordering::Relaxed);
        let new = (wanted.of_files(), wanted.of_names(renames));
        let mut masks = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *masks, new);
        (old.0 & !new.0, old.1 & !new.1)
    }

    /// The file system with this id.
    pub(super) fn place(&self, fsid: [u8; FSID]) -> Option<Place> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&fsid).cloned()
    }

    /// Whether an event may be of an overlay.
    pub(super) fn has_overlays(&self) -> bool {
        self.overlays.load(Ordering::Acquire)
    }

    /// The directory that is marked by itself, by the id of its file system and its handle behind it.
    pub(super) fn marked(&self, key: &[u8]) -> Option<Marked> {
        let marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        marked.get(key).cloned()
    }

    /// Whether this directory of a file system, which has this device, was marked by itself at this time.
    pub(super) fn was_marked(&self, device: &str, directory: &[u8], time: u64) -> bool {
        let marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut marked = marked.values();
        marked.any(|one| *one.inner == *directory && *one.place.mount.device == *device && one.since <= time)
    }

    /// What could not be marked since this was asked last.
    pub(super) fn take_unwatched(&self) -> Unwatched {
        std::mem::take(&mut *self.unwatched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Marks every file system of a process's mounts, which these are; `directory` is its own in /proc. Directories in them
    /// take some 30 microseconds each.
    pub(super) fn mark(&self, directory: &Path, mounts: &[Mount], extent: Extent) {
        let (files, names) = *self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        if files | names == 0 {
            return;
        }
        // Before the first event of one.
        if mounts.iter().any(Mount::is_overlay) {
            self.overlays.store(true, Ordering::Release);
        }
        let root = directory.join("root");
        let mut without_names: Vec<([u8; FSID], Mount)> = Vec::new();
        self.each(mounts, &mut |mount| {
            let path = below_root(&root, mount);
            let mut unwatched = self.unwatched.lock().unwrap_or_else(PoisonError::into_inner);
            if mount.watched() == Watched::Remote {
                unwatched.files.insert(mount.kind.clone());
                return true;
            }
            if files != 0
                && let Err(error) = self.files.file_system(MarkFlags::FAN_MARK_ADD, files, &path)
            {
                tracing::debug!(path = %path.display(), kind = %mount.kind, "fanotify: not marked: {error}");
                // Hidden by another mount, or not to be reached: another mount of it may be.
                if matches!(
                    error,
                    Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ELOOP
                ) {
                    return false;
                }
                unwatched.files.insert(mount.kind.clone());
            }
            drop(unwatched);
            if names == 0 {
                return true;
            }
            let tells = self.mark_names(names, &path);
            if let Some(id) = fsid(&path) {
                self.learn_place(&root, mount, id);
                if !tells {
                    without_names.push((id, mount.clone()));
                }
            }
            true
        });
        if !without_names.is_empty() {
            let named = Arc::clone(&self.named.lock().unwrap_or_else(PoisonError::into_inner));
            self.mark_directories(&root, names, (&named, extent), &without_names);
        }
    }

    /// Marks the directories that rules name on these file systems.
    fn mark_directories(
        &self,
        root: &Path,
        mask: u64,
        (named, extent): (&[Named], Extent),
        on: &[([u8; FSID], Mount)],
    ) {
        let Some(group) = &self.names else { return };
        let is_wanted = |id| on.iter().any(|(own, _)| *own == id);
        let mut refused = None;
        let left_out = directories::each(root, named, extent, &is_wanted, &mut |directory| {
            let Some((_, mount)) = on.iter().find(|(id, _)| directory.key.starts_with(id)) else {
                return;
            };
            let Some(inner) = mount.inner(directory.name) else {
                return;
            };
            if let Err(error) = group.directory(mask, directory.file) {
                refused = Some(error);
                return;
            }
            let place = Place {
                root: root.to_owned(),
                mount: mount.clone(),
            };
            let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
            // What is gone is forgotten with the rest: what there is is marked again when something is mounted.
            if marked.len() >= MARKED {
                marked.clear();
            }
            let before = marked.get(&directory.key).filter(|before| before.place == place);
            let since = match (before, extent) {
                (Some(before), _) => before.since,
                (None, Extent::First) => 0,
                (None, Extent::Whole) => outside::now(),
            };
            marked.insert(
                directory.key,
                Marked {
                    place,
                    inner: inner.into(),
                    since,
                },
            );
        });
        let mut unwatched = self.unwatched.lock().unwrap_or_else(PoisonError::into_inner);
        unwatched.left_out += left_out;
        if let Some(error) = refused {
            tracing::debug!(root = %root.display(), "fanotify: directories are not marked: {error}");
            unwatched
                .names
                .extend(on.iter().map(|(_, mount)| mount.kind.clone()));
        }
    }

    /// A directory was renamed, and with it those below it that are marked.
    pub(super) fn renamed(&self, old: &Name, new: &Name) {
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        let own = marked.values_mut().filter(|one| one.place == old.place);
        for one in own {
            if let Some(rest) = below(&one.inner, &old.inner) {
                one.inner = [&*new.inner, rest].concat().into();
            }
        }
    }

    /// Marks a directory that was made in one that is marked.
    pub(super) fn mark_below(&self, name: &Name, key_of_parent: &[u8]) {
        let names = self.masks.lock().unwrap_or_else(PoisonError::into_inner).1;
        let parent = self.marked(key_of_parent);
        if let (Some(parent), Some(path), 1..) = (parent, name.path(), names) {
            let one = Named {
                path: path.strip_prefix(&parent.place.root).unwrap_or(&path).to_owned(),
                whole: true,
            };
            let Some(id) = key_of_parent.first_chunk().copied() else {
                return;
            };
            self.mark_directories(
                &parent.place.root,
                names,
                (&[one], Extent::Whole),
                &[(id, parent.place.mount)],
            );
        }
    }

    /// Marks the directories that rules name on the file system with this id once more: one of an overlay's that was written
    /// to for the first time goes by another handle than before.
    pub(super) fn look_again(&self, fsid: [u8; FSID]) {
        let names = self.masks.lock().unwrap_or_else(PoisonError::into_inner).1;
        if let (Some(place), 1..) = (self.place(fsid).filter(|place| place.mount.is_overlay()), names) {
            let named = Arc::clone(&self.named.lock().unwrap_or_else(PoisonError::into_inner));
            self.mark_directories(
                &place.root,
                names,
                (&named, Extent::Whole),
                &[(fsid, place.mount)],
            );
        }
    }

    /// Takes bits off the marks of these mounts' file systems.
    pub(super) fn unmark(&self, directory: &Path, mounts: &[Mount], files: u64, names: u64) {
        let root = directory.join("root");
        self.each(mounts, &mut |mount| {
            let path = below_root(&root, mount);
            // What had no such bit is as it should be.
            if files != 0 {
                let _ = self.files.file_system(MarkFlags::FAN_MARK_REMOVE, files, &path);
            }
            if let (Some(group), 1..) = (&self.names, names) {
                let _ = group.file_system(MarkFlags::FAN_MARK_REMOVE, names, &path);
            }
            true
        });
    }

    /// Shows one mount of each file system, and another of it as long as `show` is not content.
    fn each(&self, mounts: &[Mount], show: &mut dyn FnMut(&Mount) -> bool) {
        let mut watched: Vec<&Mount> = mounts
            .iter()
            .filter(|mount| mount.watched() != Watched::Kernel)
            .collect();
        // That first which shows the most of it.
        watched.sort_by_key(|mount| (mount.device.clone(), mount.root.len()));
        let mut done: Option<&str> = None;
        for mount in watched {
            if done != Some(&mount.device) && show(mount) {
                done = Some(&mount.device);
            }
        }
    }

    fn mark_names(&self, mask: u64, path: &Path) -> bool {
        let Some(group) = &self.names else {
            return false;
        };
        match group.file_system(MarkFlags::FAN_MARK_ADD, mask, path) {
            Err(Errno::EINVAL) if mask & RENAMES[0] != 0 => {
                // Before Linux 5.17. From now on the other way, wherever it is.
                let other = mask & !RENAMES[0] | RENAMES[1];
                let marked = group.file_system(MarkFlags::FAN_MARK_ADD, other, path).is_ok();
                if marked {
                    self.renames.store(RENAMES[1], Ordering::Relaxed);
                    self.masks.lock().unwrap_or_else(PoisonError::into_inner).1 = other;
                }
                marked
            }
            Err(error) => {
                tracing::debug!(path = %path.display(), "fanotify: names are not told: {error}");
                false
            }
            Ok(()) => true,
        }
    }

    fn learn_place(&self, root: &Path, mount: &Mount, fsid: [u8; FSID]) {
        let place = Place {
            root: root.to_owned(),
            mount: mount.clone(),
        };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // Whose root it is knows it best. Else the first, which is the host, that stays.
        let known = places.entry(fsid).or_insert_with(|| place.clone());
        let is_root = |place: &Place| *place.mount.point == *b"/";
        if known.root == place.root || is_root(&place) && !is_root(known) || fsid_of(known) != Some(fsid) {
            *known = place;
        }
    }
}

fn fsid_of(place: &Place) -> Option<[u8; FSID]> {
    fsid(&place.path())
}

/// Id of the file system a file is in.
pub(super) fn fsid(path: &Path) -> Option<[u8; FSID]> {
    Some(bytes(statfs(path).ok()?.filesystem_id()))
}

/// The same of an open file.
pub(super) fn fsid_of_file(file: &OwnedFd) -> Option<[u8; FSID]> {
    Some(bytes(fstatfs(file).ok()?.filesystem_id()))
}

fn bytes(id: libc::fsid_t) -> [u8; FSID] {
    // SAFETY: both are plain bytes of one size, which is checked when this is compiled.
    unsafe { std::mem::transmute::<libc::fsid_t, [u8; FSID]>(id) }
}

/// A mount namespace, seen by one of its processes.
#[derive(Debug)]
pub(super) struct Namespace {
    /// That one's directory in /proc.
    pub(super) directory: PathBuf,
    /// Changes are told by its poll.
    pub(super) mountinfo: File,
    pub(super) mounts: Vec<Mount>,
    /// The number of the namespace.
    pub(super) number: u64,
    /// The process; `None` for this one's, which is there as long as the namespace is looked at.
    pub(super) process: Option<OwnedFd>,
}

impl Namespace {
    /// That of the process with this directory; `None` when it is gone.
    pub(super) fn of_process(directory: PathBuf, pid: u32) -> Option<Namespace> {
        // Before anything else of it: a later one with its number is then not taken for it for long.
        let process = pidfd(pid)?;
        let mut namespace = Namespace::open(directory)?;
        namespace.process = Some(process);
        Some(namespace)
    }

    /// That of whoever has this directory, who is there for good.
    pub(super) fn open(directory: PathBuf) -> Option<Namespace> {
        let mountinfo = File::open(directory.join("mountinfo")).ok()?;
        let number = number(&directory)?;
        let mut namespace = Namespace {
            directory,
            mountinfo,
            mounts: Vec::new(),
            number,
            process: None,
        };
        namespace.read().then_some(namespace)
    }

    /// Reads what is mounted; false when that can't be read.
    pub(super) fn read(&mut self) -> bool {
        let mut text = Vec::new();
        let mut file = &self.mountinfo;
        let read = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.take(MOUNTINFO).read_to_end(&mut text));
        if read.is_ok() {
            self.mounts = Mount::all(&text);
        }
        read.is_ok()
    }
}

/// A descriptor of a process, which can be read from when it has ended.
fn pidfd(pid: u32) -> Option<OwnedFd> {
    // SAFETY: the call takes two numbers; the result is checked.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel just gave this descriptor to us and nobody else.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The number of a process's mount namespace.
pub(super) fn number(directory: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Some(std::fs::metadata(directory.join("ns/mnt")).ok()?.ino())
}
