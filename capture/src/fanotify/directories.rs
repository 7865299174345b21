//! Directories that are marked one by one: of file systems that tell no names as a whole (overlayfs), those that rules name.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::marks::{Extent, fsid_of_file};
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
pub(super) struct Directory<'w> {
    pub(super) file: &'w OwnedFd,
    pub(super) name: &'w [u8],
    /// The id of its file system and its handle behind it.
    pub(super) key: Box<[u8]>,
}

fn link(file: &OwnedFd) -> Option<Vec<u8>> {
    let link = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    Some(link.into_os_string().into_vec())
}

/// Shows the directories of a root that are named, on file systems that are wanted; gives how many were too many.
pub(super) fn each(
    root: &Path,
    named: &[Named],
    extent: Extent,
    wanted: &dyn Fn([u8; FSID]) -> bool,
    show: &mut dyn FnMut(Directory<'_>),
) -> u64 {
    let Ok(root) = File::open(root).map(OwnedFd::from) else {
        return 0;
    };
    let Some(base) = link(&root) else { return 0 };
    let mut walk = Walk {
        wanted,
        show,
        seen: BTreeSet::new(),
        left_out: 0,
    };
    let mut whole = Vec::new();
    for one in named {
        let path = one.path.strip_prefix("/").unwrap_or(&one.path);
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let Ok(directory) = open_below(&root, path, ResolveFlag::RESOLVE_IN_ROOT) else {
            continue;
        };
        let Some(name) = link(&directory) else { continue };
        let name = match below(&name, &base) {
            Some(b"") => b"/".to_vec(),
            Some(below) => below.to_vec(),
            None => name,
        };
        if walk.visit(&directory, &name) && one.whole && extent == Extent::Whole {
            whole.push((directory, name));
        }
    }
    // Those that are named come before those below others, of which there may be too many.
    for (directory, name) in whole {
        walk.visit_below(&directory, &name, DEPTH);
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

/// The names of the directories in one.
fn children(directory: &OwnedFd) -> Vec<OsString> {
    let entries = fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let entries = entries.into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.file_name()).take(MOST).collect()
}

struct Walk<'w> {
    wanted: &'w dyn Fn([u8; FSID]) -> bool,
    show: &'w mut dyn FnMut(Directory<'_>),
    seen: BTreeSet<Box<[u8]>>,
    left_out: u64,
}

impl Walk<'_> {
    /// Shows one that was not shown yet; false for one in which nothing is wanted.
    fn visit(&mut self, file: &OwnedFd, name: &[u8]) -> bool {
        let Some(id) = fsid_of_file(file).filter(|id| (self.wanted)(*id)) else {
            return false;
        };
        let Some(handle) = handle(file) else { return false };
        let key: Box<[u8]> = [&id[..], &handle].concat().into();
        if self.seen.contains(&key) {
            return true;
        }
        if self.seen.len() >= MOST {
            self.left_out += 1;
            return false;
        }
        self.seen.insert(key.clone());
        (self.show)(Directory { file, name, key });
        true
    }

    fn visit_below(&mut self, directory: &OwnedFd, name: &[u8], depth: usize) {
        for child in children(directory) {
            let Ok(file) = open_below(directory, Path::new(&child), ResolveFlag::RESOLVE_NO_SYMLINKS) else {
                continue;
            };
            let name = [name.strip_suffix(b"/").unwrap_or(name), b"/", child.as_bytes()].concat();
            if self.visit(&file, &name) && depth > 1 {
                self.visit_below(&file, &name, depth - 1);
            }
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
        let names_of = |paths: &[Box<[u8]>], extent| {
            let mut names = Vec::new();
            let mut show = |directory: Directory<'_>| {
                names.push(String::from_utf8(directory.name.to_vec()).unwrap());
            };
            let left_out = each(root.path(), &named(paths), extent, &|_| true, &mut show);
            assert_eq!(left_out, 0);
            names.sort();
            names
        };
        let first = |paths: &[Box<[u8]>]| names_of(paths, Extent::First);
        let names = |paths: &[Box<[u8]>]| names_of(paths, Extent::Whole);
        assert_eq!(
            names(&paths(&["/bin"])),
            ["/usr/bin", "/usr/bin/deep", "/usr/bin/deep/deeper"]
        );
        assert_eq!(first(&paths(&["/bin"])), ["/usr/bin"]);
        assert_eq!(names(&paths(&["/usr/file"])), ["/usr"]);
        assert!(names(&paths(&["/out", "/out/x"])).is_empty());
        for number in 0..MOST {
            fs::create_dir(at("usr").join(number.to_string())).unwrap();
        }
        let mut shown = 0;
        let named = named(&paths(&["/usr/"]));
        let left_out = each(root.path(), &named, Extent::Whole, &|_| true, &mut |_| shown += 1);
        assert!(shown == MOST && left_out > 0);
    }
}
