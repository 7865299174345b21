//! Directories that are marked one by one: of file systems that tell no names as a whole (overlayfs), those that rules name.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::marks::fsid;
use super::mounts::below;
use super::record::FSID;

/// How far below a directory that rules name others are marked.
const DEPTH: usize = 4;
/// The most directories of one namespace that are marked.
const MOST: usize = 512;
/// `AT_HANDLE_FID`: a handle that only tells files apart (Linux 6.5).
const AT_HANDLE_FID: i32 = 0x200;

/// A directory that rules name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) path: PathBuf,
    /// With those below it.
    pub(super) whole: bool,
}

/// The directories that what rules compare names with is about: each path itself, should it be a directory, and the one it is
/// in. A name that begins with a dot is one of a user's own files.
pub(super) fn named(paths: &[Box<[u8]>]) -> Vec<Named> {
    let mut named = BTreeSet::new();
    let mut add = |path: &[u8], whole| {
        let path = Path::new(OsStr::from_bytes(path)).to_owned();
        named.insert(Named { path, whole });
    };
    for path in paths.iter().filter(|path| path.starts_with(b"/")) {
        if path.starts_with(b"/.") {
            add(b"/root", true);
            add(b"/home", true);
            continue;
        }
        let path = path.strip_suffix(b"/").unwrap_or(path);
        add(if path.is_empty() { b"/" } else { path }, !path.is_empty());
        if let Some(end @ 1..) = path.iter().rposition(|byte| *byte == b'/') {
            add(&path[..end], false);
        }
    }
    named.into_iter().collect()
}

/// An open directory, and what it is called where it was found.
#[derive(Debug)]
pub(super) struct Directory {
    file: OwnedFd,
    pub(super) name: Vec<u8>,
    /// The id of its file system and its handle behind it.
    pub(super) key: Box<[u8]>,
}

impl Directory {
    /// Its path from here.
    pub(super) fn path(&self) -> PathBuf {
        own(&self.file)
    }
}

fn own(file: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn link(file: &OwnedFd) -> Option<Vec<u8>> {
    Some(fs::read_link(own(file)).ok()?.into_os_string().into_vec())
}

/// Shows the directories of a root that are named, on file systems that are wanted; gives how many were too many.
pub(super) fn each(
    root: &Path,
    named: &[Named],
    wanted: &dyn Fn([u8; FSID]) -> bool,
    show: &mut dyn FnMut(Directory),
) -> u64 {
    let Ok(root) = File::open(root).map(OwnedFd::from) else {
        return 0;
    };
    let Some(base) = link(&root) else { return 0 };
    let mut walk = Walk {
        base,
        wanted,
        show,
        seen: BTreeSet::new(),
        left_out: 0,
    };
    for one in named {
        let below = one.path.strip_prefix("/").unwrap_or(&one.path);
        let below = if below.as_os_str().is_empty() {
            Path::new(".")
        } else {
            below
        };
        if let Ok(directory) = open_below(&root, below, ResolveFlag::RESOLVE_IN_ROOT) {
            walk.visit(directory, if one.whole { DEPTH } else { 0 });
        }
    }
    walk.left_out
}

/// Opens a directory without leaving `at`, wherever links in there lead.
fn open_below(at: &impl AsFd, path: &Path, resolve: ResolveFlag) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(resolve);
    openat2(at, path, how)
}

struct Walk<'w> {
    /// What the root is called from here.
    base: Vec<u8>,
    wanted: &'w dyn Fn([u8; FSID]) -> bool,
    show: &'w mut dyn FnMut(Directory),
    seen: BTreeSet<Box<[u8]>>,
    left_out: u64,
}

impl Walk<'_> {
    fn visit(&mut self, file: OwnedFd, depth: usize) {
        let Some(id) = fsid(&own(&file)).filter(|id| (self.wanted)(*id)) else {
            return;
        };
        if self.seen.len() >= MOST {
            self.left_out += 1;
            return;
        }
        let Some((handle, name)) = handle(&file).zip(link(&file)) else {
            return;
        };
        let key: Box<[u8]> = [&id[..], &handle].concat().into();
        let children = match depth {
            0 => None,
            _ => fs::read_dir(own(&file)).ok(),
        };
        let children: Vec<OwnedFd> = children
            .into_iter()
            .flatten()
            .flatten()
            .filter(|child| child.file_type().is_ok_and(|kind| kind.is_dir()))
            .take(MOST)
            .filter_map(|child| {
                let name = child.file_name();
                open_below(&file, Path::new(&name), ResolveFlag::RESOLVE_NO_SYMLINKS).ok()
            })
            .collect();
        // One that was shown without what is below it may be named as a whole, too.
        if self.seen.insert(key.clone()) {
            let name = match below(&name, &self.base) {
                Some(b"") => b"/".to_vec(),
                Some(below) => below.to_vec(),
                None => name,
            };
            (self.show)(Directory { file, name, key });
        }
        for child in children {
            self.visit(child, depth - 1);
        }
    }
}

/// The handle of a directory, as fanotify's events have it; `None` where its file system has none.
fn handle(file: &OwnedFd) -> Option<Vec<u8>> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        handle: [u8; 128],
    }
    let mut whole = Handle {
        bytes: 128,
        kind: 0,
        handle: [0; 128],
    };
    let mut mount = 0i32;
    // SAFETY: the path is an empty string, the structure has as much room as it says, and the number of the mount its own.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            file.as_raw_fd(),
            c"".as_ptr(),
            std::ptr::from_mut(&mut whole),
            std::ptr::from_mut(&mut mount),
            libc::AT_EMPTY_PATH | AT_HANDLE_FID,
        )
    };
    (result == 0).then_some(())?;
    let length = usize::try_from(whole.bytes).ok()?;
    Some(whole.handle.get(..length)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> Vec<Box<[u8]>> {
        paths.iter().map(|path| path.as_bytes().into()).collect()
    }

    #[test]
    fn what_rules_name_is_in_a_directory_or_is_one() {
        let named = |one: &str| {
            let named = named(&paths(&[one])).into_iter();
            named
                .map(|one| (one.path.to_str().unwrap().to_owned(), one.whole))
                .collect::<Vec<_>>()
        };
        let is = |path: &str, whole| (path.to_owned(), whole);
        assert_eq!(named("/var/log/"), [is("/var", false), is("/var/log", true)]);
        assert_eq!(named("/etc"), [is("/etc", true)]);
        assert_eq!(named("/"), [is("/", false)]);
        assert_eq!(named("/.bash_history"), [is("/home", true), is("/root", true)]);
        assert!(named("x/y").is_empty());
    }

    #[test]
    fn directories_are_looked_for_below_their_root_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("usr/bin/deep/deeper")).unwrap();
        std::os::unix::fs::symlink("/usr/bin", at("bin")).unwrap();
        std::os::unix::fs::symlink("/proc", at("out")).unwrap();
        let names = |paths: &[Box<[u8]>]| {
            let mut names = Vec::new();
            let left_out = each(root.path(), &named(paths), &|_| true, &mut |directory| {
                names.push(String::from_utf8(directory.name).unwrap());
            });
            assert_eq!(left_out, 0);
            names.sort();
            names
        };
        assert_eq!(
            names(&paths(&["/bin"])),
            ["/usr/bin", "/usr/bin/deep", "/usr/bin/deep/deeper"]
        );
        assert_eq!(names(&paths(&["/usr/file"])), ["/usr"]);
        assert!(names(&paths(&["/out", "/out/x"])).is_empty());
        for number in 0..MOST {
            fs::create_dir(at("usr").join(number.to_string())).unwrap();
        }
        let mut shown = 0;
        let left_out = each(root.path(), &named(&paths(&["/usr/"])), &|_| true, &mut |_| {
            shown += 1
        });
        assert!(shown == MOST && left_out > 0);
    }
}
