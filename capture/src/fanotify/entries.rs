//! Names that were made, removed or changed: what they are in whole, to whoever did it.
//!
//! The kernel gives a directory as a handle and a name in it. The directory is opened by its handle through some mount of its
//! file system, which says where it is in there; the mounts of the process say what it calls that.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::marks::{Marks, Namespace, Place, fsid, number};
use super::mounts::{Mount, below, name_among};
use super::record::Entry;

/// The most directories that are remembered by their handles.
const REMEMBERED: usize = 8192;

/// A name in a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) place: Place,
    /// The path within the file system.
    pub(super) inner: Vec<u8>,
}

impl Name {
    /// Where it is found from here.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let below = below(&self.inner, &self.place.mount.root)?;
        let below = Path::new(OsStr::from_bytes(below.strip_prefix(b"/").unwrap_or(below)));
        Some(self.place.path().join(below))
    }
}

/// Directories by their handles. One that is removed right after something in it can't be opened any more, and is known
/// from before.
#[derive(Debug, Default)]
pub(super) struct Directories {
    /// By the id of the file system and the handle behind it.
    known: HashMap<Box<[u8]>, Box<[u8]>>,
}

impl Directories {
    /// A directory was renamed, and with it all that is below it: from what to what, as far as that is known.
    pub(super) fn renamed(&mut self, names: Option<&(Name, Name)>) {
        let Some((old, new)) = names else {
            self.known.clear();
            return;
        };
        // Whatever file system it is on: what is forgotten for nothing is asked for again.
        self.known
            .retain(|_, inner| below(inner, &old.inner).is_none() && below(inner, &new.inner).is_none());
    }

    /// The name in whole; `None` when its directory can't be found.
    pub(super) fn name(&mut self, entry: &Entry<'_>, marks: &Marks) -> Option<Name> {
        let key = entry.key();
        let (place, mut inner) = match (marks.marked(&key), self.known.get(&key)) {
            (Some(marked), _) => (marked.place, marked.inner.to_vec()),
            (None, Some(inner)) => (marks.place(entry.fsid)?, inner.to_vec()),
            (None, None) => {
                let place = marks.place(entry.fsid)?;
                let inner = inner_of(entry, &place)?;
                if self.known.len() >= REMEMBERED {
                    self.known.clear();
                }
                self.known.insert(key, inner.as_slice().into());
                (place, inner)
            }
        };
        if !matches!(entry.name, b"" | b".") {
            if !inner.ends_with(b"/") {
                inner.push(b'/');
            }
            inner.extend_from_slice(entry.name);
        }
        Some(Name { place, inner })
    }
}

/// The path of a directory within its file system.
fn inner_of(entry: &Entry<'_>, place: &Place) -> Option<Vec<u8>> {
    let path = place.path();
    let mount: File = open(
        &path,
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .ok()?
    .into();
    // Something else may be mounted there by now.
    (fsid(&PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd())))? == entry.fsid).then_some(())?;
    let directory = open_by_handle(&mount, entry.kind, entry.handle)?;
    let own = |file: i32| {
        let path = fs::read_link(format!("/proc/self/fd/{file}")).ok()?;
        Some(path.into_os_string().into_vec())
    };
    let (directory, mount) = (own(directory.as_raw_fd())?, own(mount.as_raw_fd())?);
    if directory.ends_with(b" (deleted)") {
        return None;
    }
    let as_mounted = Mount {
        point: mount.into(),
        ..place.mount.clone()
    };
    // What this mount does not show has its path in the file system.
    Some(as_mounted.inner(&directory).unwrap_or(directory))
}

/// Opens what a file handle stands for.
fn open_by_handle(mount: &File, kind: i32, handle: &[u8]) -> Option<OwnedFd> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        handle: [u8; 128],
    }
    let mut whole = Handle {
        bytes: u32::try_from(handle.len()).ok()?,
        kind,
        handle: [0; 128],
    };
    whole.handle.get_mut(..handle.len())?.copy_from_slice(handle);
    // SAFETY: the call reads `bytes` bytes behind the first two members, which are there; the result is checked.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            std::ptr::from_mut(&mut whole),
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel just gave this descriptor to us and nobody else.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What a name is to whoever did something to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Called {
    /// What they call it.
    Name(Vec<u8>),
    /// A name in an overlay that is written to this one.
    InOverlay {
        /// What they call it; `None` when nobody knows.
        name: Option<Vec<u8>>,
        /// The overlay's device, as in mountinfo.
        device: Box<str>,
        /// The directory within the overlay.
        directory: Vec<u8>,
    },
    /// An overlay made it for itself.
    Internal,
    /// Nobody knows.
    Unknown,
}

impl Called {
    pub(super) fn name(&self) -> Option<&[u8]> {
        match self {
            Called::Name(name) => Some(name),
            Called::InOverlay { name, .. } => name.as_deref(),
            Called::Internal | Called::Unknown => None,
        }
    }
}

/// What a process calls a name: by its own mounts. Of one that is gone, what the container calls it whose overlay it is in,
/// or else what whoever sees the mount calls it through which it was found. The host's namespace is the first.
pub(super) fn as_seen(name: &Name, process: Option<&Path>, root: &[u8], namespaces: &[Namespace]) -> Called {
    let device = &*name.place.mount.device;
    let by = |mounts: &[Mount]| name_among(mounts, device, &name.inner);
    let host = namespaces.first();
    // What is written to an overlay has this path on the host. One who is on the host may have used just that.
    let on_host = host.and_then(|host| by(&host.mounts));
    let in_overlay = |mounts: &[Mount]| in_overlay(mounts, on_host.as_deref()?);
    let number = process.and_then(number);
    let is_hosts = number.is_some() && number == host.map(|host| host.number);
    // Its mountinfo is that of its root.
    let known = namespaces
        .iter()
        .find(|one| root.is_empty() && Some(one.number) == number);
    let read = || {
        let mountinfo = fs::read(process?.join("mountinfo")).ok()?;
        Some(Mount::all(&mountinfo))
    };
    let read = if known.is_none() { read() } else { None };
    let own = known.map(|one| &one.mounts).or(read.as_ref());
    if let Some(own) = own {
        let overlay = in_overlay(own).filter(|_| !is_hosts);
        if let Some(called) = overlay.or_else(|| by(own).map(Called::Name)) {
            return called;
        }
    }
    let mut containers = namespaces.iter().skip(1);
    if let Some(called) = containers.find_map(|one| in_overlay(&one.mounts).filter(|_| !is_hosts)) {
        return called;
    }
    // It sees nothing of that: what others call it says nothing of what it was called here.
    if root.is_empty() && own.is_some() && !is_hosts {
        return Called::Unknown;
    }
    let found = namespaces
        .iter()
        .find(|one| one.directory.join("root") == name.place.root);
    let found = found.and_then(|found| by(&found.mounts));
    Called::Name(found.unwrap_or_else(|| name.inner.clone()))
}

/// What a path of the host's is in the overlay among these mounts that is written to there.
fn in_overlay(mounts: &[Mount], on_host: &[u8]) -> Option<Called> {
    mounts.iter().find_map(|mount| {
        let [upper, work] = mount.upper.as_ref()?;
        if below(on_host, work).is_some() {
            return Some(Called::Internal);
        }
        let inner = match below(on_host, upper)? {
            b"" => b"/",
            inner => inner,
        };
        let end = inner.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Called::InOverlay {
            name: name_among(mounts, &mount.device, inner),
            device: mount.device.clone(),
            directory: inner[..end.max(1)].to_vec(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_name_is_found_below_the_part_that_is_mounted() {
        let mounts = Mount::all(b"40 29 254:0 /srv/a /mnt rw - ext4 /dev/vda rw\n");
        let name = |inner: &str| Name {
            place: Place {
                root: "/proc/1/root".into(),
                mount: mounts[0].clone(),
            },
            inner: inner.into(),
        };
        assert_eq!(name("/srv/a/b/c").path(), Some("/proc/1/root/mnt/b/c".into()));
        assert_eq!(name("/srv/ab").path(), None);
    }

    #[test]
    fn what_a_process_calls_a_name_is_by_its_own_mounts() {
        let own = Path::new("/proc/self");
        let namespace = Namespace::open(own.into()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let device = fs::metadata(directory.path()).unwrap().dev();
        let device = format!(
            "{}:{}",
            nix::sys::stat::major(device),
            nix::sys::stat::minor(device)
        );
        let path = directory.path().as_os_str().as_bytes();
        let is_of = |mount: &&Mount| *mount.device == *device && below(path, &mount.point).is_some();
        let mount = namespace.mounts.iter().rfind(is_of).unwrap().clone();
        let name = Name {
            inner: mount.inner(path).unwrap(),
            place: Place {
                root: own.join("root"),
                mount,
            },
        };
        let namespaces = [namespace];
        let called = |path: &[u8]| Called::Name(path.to_vec());
        assert_eq!(as_seen(&name, Some(own), b"", &namespaces), called(path));
        assert_eq!(as_seen(&name, Some(own), b"", &[]), called(path), "read now");
        assert_eq!(
            as_seen(&name, None, b"", &namespaces),
            called(path),
            "of one that is gone"
        );
        assert_eq!(as_seen(&name, None, b"", &[]), called(&name.inner));
    }

    #[test]
    fn what_an_overlay_keeps_is_called_as_in_the_overlay_and_never_as_on_the_host() {
        let namespace = |mounts: &[u8], number| {
            let mut namespace = Namespace::open("/proc/self".into()).unwrap();
            namespace.number = number;
            namespace.mounts = Mount::all(mounts);
            namespace
        };
        let container = b"\
60 1 0:50 / / rw - overlay overlay rw,lowerdir=/var/l/1/fs,upperdir=/var/l/2/fs,workdir=/var/l/2/work\n\
61 60 254:0 /var/pods/hosts /etc/hosts rw - ext4 /dev/vda rw\n";
        let host = namespace(b"29 1 254:0 / / rw - ext4 /dev/vda rw\n", 1);
        let disk = host.mounts[0].clone();
        let name = |inner: &str| Name {
            place: Place {
                root: "/proc/self/root".into(),
                mount: disk.clone(),
            },
            inner: inner.into(),
        };
        let own = number(Path::new("/proc/self")).unwrap();
        let mut namespaces = [host, namespace(container, own)];
        let alive = Some(Path::new("/proc/self"));
        for process in [alive, None] {
            let seen = |inner: &str| as_seen(&name(inner), process, b"", &namespaces);
            assert_eq!(
                seen("/var/l/2/fs/tmp/ls"),
                Called::InOverlay {
                    name: Some(b"/tmp/ls".to_vec()),
                    device: "0:50".into(),
                    directory: b"/tmp".to_vec(),
                }
            );
            assert_eq!(seen("/var/l/2/fs/a").name(), Some(&b"/a"[..]));
            assert_eq!(seen("/var/l/2/work/work/#1"), Called::Internal);
        }
        let seen = |inner: &str, process| as_seen(&name(inner), process, b"", &namespaces);
        assert_eq!(seen("/var/pods/hosts", alive).name(), Some(&b"/etc/hosts"[..]));
        assert_eq!(seen("/home/x", alive), Called::Unknown, "not in its mounts");
        assert_eq!(seen("/home/x", None).name(), Some(&b"/home/x"[..]));
        // Who is on the host may have written there itself.
        namespaces[0].number = own;
        namespaces[1].number = 1;
        let seen = as_seen(&name("/var/l/2/fs/tmp/ls"), alive, b"", &namespaces);
        assert_eq!(seen.name(), Some(&b"/var/l/2/fs/tmp/ls"[..]));
    }
}
