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
const S_IFDIR: u32 = 0o40_000;

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

    /// The bit of the layer the file `path` of the process in `dir` is in.
    fn layer(&mut self, dir: &Path, path: &Path) -> u32 {
        let Some(namespace) = self.outside.facts(&dir.join("ns/mnt")) else {
            return EXE_UNKNOWN_LAYER;
        };
        if self.by_namespace.len() >= REMEMBERED {
            self.by_namespace.clear();
        }
        let root = self.outside.facts(&dir.join("root")).map_or(0, |root| root.ino);
        let overlays = self.by_namespace.entry((namespace.ino, root)).or_insert_with(|| {
            overlays(
                &self
                    .outside
                    .read(&dir.join("mountinfo"), FILE_MAX)
                    .unwrap_or_default(),
            )
        });
        let inside = |overlay: &&Overlay| path.starts_with(&overlay.mount_point);
        // The innermost; of two on one place the later.
        let Some(overlay) = overlays
            .iter()
            .filter(inside)
            .max_by_key(|o| o.mount_point.components().count())
        else {
            return EXE_UNKNOWN_LAYER;
        };
        let Some(upper) = &overlay.upper else {
            return EXE_LOWER_LAYER;
        };
        let upper = self.host.join(upper.strip_prefix("/").unwrap_or(upper));
        let kind = |path: &Path| self.outside.facts(path).map(|facts| facts.mode & S_IFMT);
        if kind(&upper) != Some(S_IFDIR) {
            return EXE_UNKNOWN_LAYER;
        }
        let below = path.strip_prefix(&overlay.mount_point).unwrap_or(path);
        match kind(&upper.join(below)) {
            // A device there says that the file was removed.
            None | Some(S_IFCHR) => EXE_LOWER_LAYER,
            Some(_) => EXE_UPPER_LAYER,
        }
    }

    /// What execve's `flags` would say of the program `file` of the process whose directory in /proc is `dir`.
    pub(crate) fn exec_flags(&mut self, dir: &Path, exepath: &[u8], file: &FileFacts, who: &Who) -> u32 {
        let Some((kind, mount_flags)) = self.outside.file_system(&dir.join("exe")) else {
            return 0;
        };
        let mut flags = 0;
        if exepath.starts_with(b"memfd:") {
            flags |= EXE_FROM_MEMFD;
        }
        if kind == OVERLAYFS_SUPER_MAGIC {
            flags |= self.layer(dir, Path::new(std::ffi::OsStr::from_bytes(exepath)));
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

    #[test]
    fn a_file_is_in_the_layer_that_has_it() {
        let host = tempfile::tempdir().unwrap();
        let upper = host.path().join("up");
        fs::create_dir_all(upper.join("bin")).unwrap();
        fs::write(upper.join("bin/dropped"), "").unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ns")).unwrap();
        fs::write(dir.path().join("ns/mnt"), "").unwrap();
        let mountinfo = "1 0 0:1 / / rw - overlay overlay rw,upperdir=/up\n2 1 0:2 / /ro rw - overlay x ro\n";
        fs::write(dir.path().join("mountinfo"), mountinfo).unwrap();
        let mut overlays = Overlays::new(host.path().into(), Outside::default());
        let mut layer = |path: &str| overlays.layer(dir.path(), Path::new(path));
        assert_eq!(layer("/bin/dropped"), EXE_UPPER_LAYER);
        assert_eq!(layer("/bin/sh"), EXE_LOWER_LAYER);
        assert_eq!(layer("/ro/bin/dropped"), EXE_LOWER_LAYER);
        // Its root becomes another, as a container's does.
        fs::write(
            dir.path().join("mountinfo"),
            "1 0 0:1 / / rw - overlay overlay rw,upperdir=/none\n",
        )
        .unwrap();
        assert_eq!(
            layer("/bin/dropped"),
            EXE_UPPER_LAYER,
            "what is mounted is remembered"
        );
        fs::create_dir(dir.path().join("root")).unwrap();
        assert_eq!(layer("/bin/dropped"), EXE_UNKNOWN_LAYER);
        fs::remove_dir(dir.path().join("root")).unwrap();
        fs::remove_dir_all(&upper).unwrap();
        assert_eq!(layer("/bin/sh"), EXE_UNKNOWN_LAYER, "the layers are out of sight");
    }

    #[test]
    fn ids_are_mapped_by_extents() {
        assert!(is_mapped("         0          0 4294967295\n", 65534));
        assert!(is_mapped("0 100000 65536\n", 100_001));
        assert!(!is_mapped("0 100000 65536\n", 0));
        assert!(!is_mapped("", 0));
    }
}
