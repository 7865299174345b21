//! What can be said of a program's file from outside, for programs that ran before Lanner: the exec program asks the
//! kernel instead.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use lanner_schema::flags::{
    EXE_FROM_MEMFD, EXE_LOWER_LAYER, EXE_UNKNOWN_LAYER, EXE_UPPER_LAYER, EXE_WRITABLE,
};

use crate::outside::{FileFacts, Outside};

const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_FOWNER: u32 = 3;
const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
const ST_RDONLY: u64 = 1;
const S_IFMT: u32 = 0o170_000;
const S_IFCHR: u32 = 0o20_000;

/// The most of a mountinfo or a map of ids that is read.
const FILE_MAX: u64 = 1 << 20;

/// The most mount namespaces whose overlays are remembered.
const REMEMBERED: usize = 4096;

/// Whom the kernel asks when a process wants to write to a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) fsuid: u32,
    /// fsgid and the supplementary groups.
    pub(crate) groups: Vec<u32>,
    /// Effective capabilities.
    pub(crate) effective: u64,
}

/// The overlays of mount namespaces.
#[derive(Debug)]
pub(crate) struct Overlays {
    /// The root of the host, where the directories of the layers are.
    host: PathBuf,
    outside: Outside,
    /// By the namespace's number and the inode of the root: a runtime gives a container's another one after its first program.
    by_namespace: HashMap<(u64, u64), Vec<Overlay>>,
}

/// An overlay as mountinfo tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Overlay {
    mount_point: PathBuf,
    /// The directory of the upper layer; `None` for an overlay that can't be written to.
    upper: Option<PathBuf>,
}

impl Overlays {
    pub(crate) fn new(host: PathBuf, outside: Outside) -> Overlays {
        Overlays {
            host,
            outside,
            by_namespace: HashMap::new(),
        }
    }

    /// The bit of the layer the program `file`, which is called `path`, of the process in `dir` is in.
    fn layer(&mut self, dir: &Path, path: &Path, file: &FileFacts, started: u64) -> u32 {
        let Some(namespace) = self.outside.facts(&dir.join("ns/mnt")) else {
            return EXE_UNKNOWN_LAYER;
        };
        if self.by_namespace.len() >= REMEMBERED {
            self.by_namespace.clear();
        }
        let root = self.outside.facts(&dir.join("root")).map_or(0, |root| root.ino);
        let key = (namespace.ino, root);
        if let Some(known) = self.by_namespace.get(&key)
            && let Some(layer) = self.layer_among(known, dir, path, file, started)
        {
            return layer;
        }
        // Both numbers may be those of a container that is gone.
        let mountinfo = self.outside.read(&dir.join("mountinfo"), FILE_MAX);
        let mounted = overlays(&mountinfo.unwrap_or_default());
        let layer = self.layer_among(&mounted, dir, path, file, started);
        self.by_namespace.insert(key, mounted);
        layer.unwrap_or(EXE_UNKNOWN_LAYER)
    }

    /// The same by what is mounted; `None` when it can't be told.
    fn layer_among(
        &self,
        mounted: &[Overlay],
        dir: &Path,
        path: &Path,
        file: &FileFacts,
        started: u64,
    ) -> Option<u32> {
        let inside = |overlay: &&Overlay| path.starts_with(&overlay.mount_point);
        // The innermost; of two on one place the later.
        let overlay = mounted
            .iter()
            .filter(inside)
            .max_by_key(|o| o.mount_point.components().count())?;
        let Some(upper) = &overlay.upper else {
            return Some(EXE_LOWER_LAYER);
        };
        let merged = |path: &Path| self.outside.facts(&below(&dir.join("root"), path));
        let top = merged(&overlay.mount_point)?;
        // Process 1 may have capabilities that Lanner has not, so that its root is closed. A directory of that name may be
        // another one where this looks: the overlay's says of itself what its upper layer's does.
        let upper = [below(&self.host, upper), upper.clone()];
        let is_it = |path: &PathBuf| {
            self.outside
                .facts(path)
                .is_some_and(|facts| is_same(&facts, &top))
        };
        let upper = upper.into_iter().find(is_it)?;
        let found = path.strip_prefix(&overlay.mount_point).unwrap_or(path);
        let is_there = |facts: &FileFacts| facts.mode & S_IFMT != S_IFCHR;
        // A device there says that the file was removed.
        match self.outside.facts(&upper.join(found)).filter(is_there) {
            Some(facts) if is_same(&facts, file) => Some(EXE_UPPER_LAYER),
            None if merged(path).is_some_and(|now| (now.dev, now.ino) == (file.dev, file.ino)) => {
                Some(EXE_LOWER_LAYER)
            }
            // It was removed or replaced while it runs. Nothing of a lower layer changes while the layer is used.
            _ if file.ctime > started => Some(EXE_UPPER_LAYER),
            _ => None,
        }
    }

    /// What execve's `flags` would say of the program `file` of the process whose directory in /proc is `dir`, and which
    /// was created at `started`, nanoseconds since the epoch.
    pub(crate) fn exec_flags(
        &mut self,
        dir: &Path,
        exepath: &[u8],
        file: &FileFacts,
        who: &Who,
        started: u64,
    ) -> u32 {
        let Some((kind, mount_flags)) = self.outside.file_system(&dir.join("exe")) else {
            return EXE_UNKNOWN_LAYER;
        };
        let mut flags = 0;
        if exepath.starts_with(b"memfd:") {
            flags |= EXE_FROM_MEMFD;
        }
        if kind == OVERLAYFS_SUPER_MAGIC {
            flags |= self.layer(
                dir,
                Path::new(std::ffi::OsStr::from_bytes(exepath)),
                file,
                started,
            );
        }
        if mount_flags & ST_RDONLY == 0 && self.may_write(file, who, dir) {
            flags |= EXE_WRITABLE;
        }
        flags
    }

    /// As the exec program's `file__is_writable`: by the file's mode, as its owner, or by a capability.
    fn may_write(&self, file: &FileFacts, who: &Who, dir: &Path) -> bool {
        let has = |capability: u32| who.effective & 1 << capability != 0;
        let mapped = |map: &str, id: u32| {
            let text = self.outside.read(&dir.join(map), FILE_MAX).unwrap_or_default();
            is_mapped(&String::from_utf8_lossy(&text), id)
        };
        if who.fsuid == file.uid {
            return true;
        }
        if (has(CAP_FOWNER) || has(CAP_DAC_OVERRIDE))
            && mapped("uid_map", file.uid)
            && (has(CAP_FOWNER) || mapped("gid_map", file.gid))
        {
            return true;
        }
        let write = match who.groups.contains(&file.gid) {
            true => 0o20,
            false => 0o2,
        };
        file.mode & write != 0
    }
}

/// A path of a process, or of the host, where its root is seen.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// True of a file in an overlay's upper layer and the overlay's own: its number may be another, all else is passed on.
fn is_same(upper: &FileFacts, merged: &FileFacts) -> bool {
    let of = |facts: &FileFacts| (facts.mode, facts.uid, facts.gid, facts.ctime, facts.mtime);
    of(upper) == of(merged)
}

/// The overlays in a mountinfo (proc_pid_mountinfo(5)).
fn overlays(mountinfo: &[u8]) -> Vec<Overlay> {
    let text = String::from_utf8_lossy(mountinfo);
    let overlay = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        if after.next()? != "overlay" {
            return None;
        }
        let upper = after
            .nth(1)?
            .split(',')
            .find_map(|option| option.strip_prefix("upperdir="));
        Some(Overlay {
            mount_point: unescaped(before.split(' ').nth(4)?),
            upper: upper.map(unescaped),
        })
    };
    text.lines().filter_map(overlay).collect()
}

/// A path of mountinfo: blanks and the like are written in octal.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

/// True when an id of ours has a number in the user namespace with this map (user_namespaces(7)).
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        matches!(numbers[..], [_, outside, count] if (outside..outside + count).contains(&id.into()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::PermissionsExt as _;

    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    #[test]
    fn overlays_are_found_in_mountinfo() {
        let mountinfo = b"30 25 0:26 / / rw,relatime - overlay overlay rw,lowerdir=/l1:/l2,upperdir=/run/a\\040b/fs,workdir=/w\n\
            31 25 0:27 / /ro rw - overlay overlay ro,lowerdir=/l1:/l2\n\
            32 25 0:28 / /tmp rw - tmpfs tmpfs rw\n";
        let found = overlays(mountinfo);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (&*found[0].mount_point, found[0].upper.as_deref()),
            (Path::new("/"), Some(Path::new("/run/a b/fs")))
        );
        assert_eq!(found[1].upper, None);
    }

    /// A real overlay in a mount namespace of this thread's own; `None` where there can be none.
    fn mounted(files: &Path) -> Option<()> {
        for folder in ["lower", "upper", "work", "merged"] {
            fs::create_dir(files.join(folder)).unwrap();
        }
        for name in ["lower/sh", "lower/changed", "upper/added"] {
            let file = fs::File::create(files.join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        let none = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).ok()?;
        let at = |folder: &str| files.join(folder).display().to_string();
        let data = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("lower"),
            at("upper"),
            at("work")
        );
        let kind = Some("overlay");
        mount(kind, &files.join("merged"), kind, MsFlags::empty(), Some(&*data)).ok()
    }

    #[test]
    fn a_file_is_in_the_layer_that_has_it() {
        let files = tempfile::tempdir().unwrap();
        let look = || {
            let Some(()) = mounted(files.path()) else {
                return eprintln!("skipped: there can be no overlay here");
            };
            let this = Path::new("/proc/thread-self");
            let merged = files.path().join("merged");
            // The root of the host is out of sight.
            let mut overlays = Overlays::new("/nowhere".into(), Outside::default());
            let facts = |path: &Path| Outside::default().facts(path).unwrap();
            let soon = u64::MAX;
            for (name, layer) in [("sh", EXE_LOWER_LAYER), ("added", EXE_UPPER_LAYER)] {
                let path = merged.join(name);
                assert_eq!(overlays.layer(this, &path, &facts(&path), soon), layer, "{name}");
            }
            let changed = merged.join("changed");
            fs::write(&changed, "more").unwrap();
            assert_eq!(
                overlays.layer(this, &changed, &facts(&changed), soon),
                EXE_UPPER_LAYER
            );
            // What still runs and has no name any more, or another file has it: told by when it was changed.
            for (name, told) in [("added", EXE_UPPER_LAYER), ("sh", EXE_UNKNOWN_LAYER)] {
                let path = merged.join(name);
                let running = fs::File::open(&path).unwrap();
                let since = facts(&path).ctime - u64::from(name == "added");
                fs::remove_file(&path).unwrap();
                let file = facts(&this.join("fd").join(running.as_raw_fd().to_string()));
                for _ in 0..2 {
                    assert_eq!(overlays.layer(this, &path, &file, since), told, "{name}");
                    assert_eq!(
                        overlays.layer(this, &path, &file, soon),
                        EXE_UNKNOWN_LAYER,
                        "{name}"
                    );
                    fs::write(&path, "another").unwrap();
                }
            }
        };
        std::thread::scope(|scope| scope.spawn(look).join().unwrap());
    }

    #[test]
    fn what_was_mounted_under_the_numbers_of_another_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("host/up")).unwrap();
        fs::write(at("host/up/dropped"), "").unwrap();
        fs::create_dir(at("ns")).unwrap();
        fs::write(at("ns/mnt"), "").unwrap();
        std::os::unix::fs::symlink(at("host/up"), at("root")).unwrap();
        let mut overlays = Overlays::new(at("host"), Outside::default());
        let file = Outside::default().facts(&at("host/up/dropped")).unwrap();
        let mut layer = |mountinfo: &str| {
            fs::write(at("mountinfo"), mountinfo).unwrap();
            overlays.layer(dir.path(), Path::new("/dropped"), &file, u64::MAX)
        };
        let gone = "1 0 0:1 / / rw - overlay overlay rw,upperdir=/gone\n";
        assert_eq!(layer(gone), EXE_UNKNOWN_LAYER, "the layers are out of sight");
        let now = "1 0 0:1 / / rw - overlay overlay rw,upperdir=/up\n";
        assert_eq!(layer(now), EXE_UPPER_LAYER);
        assert_eq!(layer(gone), EXE_UPPER_LAYER, "what is mounted is remembered");
        fs::create_dir(at("host/other")).unwrap();
        fs::set_permissions(at("host/other"), fs::Permissions::from_mode(0o711)).unwrap();
        fs::remove_file(at("root")).unwrap();
        std::os::unix::fs::symlink(at("host/other"), at("root")).unwrap();
        assert_eq!(layer(now), EXE_UNKNOWN_LAYER, "that is another overlay");
    }

    #[test]
    fn ids_are_mapped_by_extents() {
        assert!(is_mapped("         0          0 4294967295\n", 65534));
        assert!(is_mapped("0 100000 65536\n", 100_001));
        assert!(!is_mapped("0 100000 65536\n", 0));
        assert!(!is_mapped("", 0));
    }
}
