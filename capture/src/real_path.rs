//! Where a path led, of calls that leave nothing behind which the kernel's programs could read: an unlink, a rename.
//!
//! Their records have the path that was passed and the directory it starts from, which is the kernel's. What its links
//! lead to is looked up when the record is seen, in the root of its process or of one above it, and only as far as the kernel has it
//! in its cache (`RESOLVE_CACHED`, since Linux 5.12): the call has just gone the same way, and a file system in somebody else's
//! hands must not hold up everybody's events. That leaves out links whose time of access would have to be written: on most mounts
//! those that nobody has followed since the clock's last tick when they were made. Afterwards the way may be another: what is found is a second name, beside
//! the one that was passed.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::decode::push_components;
use crate::outside::{Ask, Outside};

/// `RESOLVE_CACHED` (include/uapi/linux/openat2.h).
const RESOLVE_CACHED: u64 = 0x20;
const ATTEMPTS: usize = 3;

/// A path to look up: what is followed, and the name at its end that is not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Way<'a> {
    followed: Vec<u8>,
    last: Option<&'a [u8]>,
}

impl<'a> Way<'a> {
    /// The way of a path that was passed, from the directory with these components when it is relative. `follows`: a link
    /// at its end is followed. `None` where that cannot be told from outside: what is below /proc is another's for another
    /// process.
    pub(crate) fn of(raw: &'a [u8], base: &[u8], follows: bool) -> Option<Way<'a>> {
        let mut followed = Vec::with_capacity(raw.len() + base.len() + 2);
        if !raw.starts_with(b"/") {
            push_components(&mut followed, (!base.is_empty()).then_some(base)?, false);
        }
        followed.push(b'/');
        let name_end = raw.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
        let named = &raw[..name_end];
        let start = named.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        let last = match &named[start..] {
            b"" | b"." | b".." => None,
            _ if follows => None,
            last => Some(last),
        };
        followed.extend_from_slice(if last.is_some() { &named[..start] } else { raw });
        let place = &followed[followed.iter().position(|b| *b != b'/').unwrap_or(0)..];
        (!place.starts_with(b"proc/")).then_some(Way { followed, last })
    }

    /// Where it leads for the first of these processes that is still there; appended to `out`, and false when it
    /// cannot be told.
    pub(crate) fn look_up(&self, outside: &Outside, processes: &[u32], out: &mut Vec<u8>) -> bool {
        let Some(found) = outside.real_path(processes, &self.followed) else {
            return false;
        };
        // The root is nothing before a name.
        if self.last.is_none() || found != b"/" {
            out.extend_from_slice(&found);
        }
        if let Some(last) = self.last {
            out.push(b'/');
            out.extend_from_slice(last);
        }
        true
    }
}

impl Outside {
    /// The path, without links, of what `path` leads to in the root of the first of these processes that is still there, as that
    /// process sees it; `None` when the kernel cannot say at once.
    fn real_path(&self, processes: &[u32], path: &[u8]) -> Option<Vec<u8>> {
        let mut key = processes.first()?.to_le_bytes().to_vec();
        key.extend_from_slice(path);
        self.ask(Ask::RealPath, &key, || {
            let root = processes.iter().find_map(|process| {
                let root = format!("/proc/{process}/root");
                let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
                let open = |place: &Path| OpenOptions::new().read(true).custom_flags(flags).open(place).ok();
                open(&self.place(Path::new(&root))?)
            })?;
            let how = OpenHow::new()
                .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
                .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::from_bits_retain(RESOLVE_CACHED));
            let path = Path::new(OsStr::from_bytes(path));
            // Something that is just being renamed on the way is not there for a moment.
            let mut attempts = (0..ATTEMPTS).map(|_| openat2(&root, path, how));
            let found = attempts
                .find(|found| !matches!(found, Err(Errno::EAGAIN)))?
                .ok()?;
            below(name_of(&root)?, name_of(&File::from(found))?)
        })
    }
}

/// What the kernel calls an open file, from the root of its mounts or this process's own.
fn name_of(file: &File) -> Option<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    Some(std::fs::read_link(link).ok()?.into_os_string().into_vec())
}

/// A path below `root` as it is seen from there.
fn below(root: Vec<u8>, path: Vec<u8>) -> Option<Vec<u8>> {
    if root == b"/" {
        return Some(path).filter(|path| path.starts_with(b"/"));
    }
    match path.strip_prefix(&root[..])? {
        b"" => Some(b"/".to_vec()),
        rest => rest.starts_with(b"/").then(|| rest.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::AT_FDCWD;
    use nix::sys::stat::{UtimensatFlags, utimensat};
    use nix::sys::time::TimeSpec;

    fn way(raw: &str, base: &str, follows: bool) -> Option<(String, Option<String>)> {
        let mut bytes = Vec::new();
        for name in base.split('/').rev().filter(|name| !name.is_empty()) {
            bytes.extend(name.as_bytes());
            bytes.push(0);
        }
        if base == "/" {
            bytes.push(0);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Way::of(raw.as_bytes(), &bytes, follows).map(|way| (text(&way.followed), way.last.map(text)))
    }

    #[test]
    fn the_last_name_is_followed_only_where_the_call_does() {
        let split = |raw, follows| way(raw, "/srv", follows).unwrap();
        let of =
            |followed: &str, last: &str| (followed.to_owned(), (!last.is_empty()).then(|| last.to_owned()));
        assert_eq!(split("/a/b", false), of("//a/", "b"));
        assert_eq!(split("/a/b", true), of("//a/b", ""));
        assert_eq!(split("/a//b//", false), of("//a//", "b"));
        assert_eq!(split("a/../b", false), of("/srv/a/../", "b"));
        assert_eq!(split("b", false), of("/srv/", "b"));
        assert_eq!(split("a/..", false), of("/srv/a/..", ""));
        assert_eq!(split(".", false), of("/srv/.", ""));
        assert_eq!(split("", true), of("/srv/", ""));
        assert_eq!(split("/", false), of("//", ""));
        assert_eq!(way("b", "/", false).unwrap(), of("/", "b"));
        assert_eq!(way("b", "", false), None, "where it starts is not known");
        assert_eq!(way("x", "/proc/7", false), None);
        assert_eq!(way("/proc/7/root/x", "", false), None);
    }

    #[test]
    fn links_lead_somewhere_and_roots_are_where_paths_begin() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(place.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a/b", place.join("link")).unwrap();
        // So that following it need not write its time of access.
        utimensat(
            AT_FDCWD,
            &place.join("link"),
            &TimeSpec::new(4_000_000_000, 0),
            &TimeSpec::UTIME_OMIT,
            UtimensatFlags::NoFollowSymlink,
        )
        .unwrap();
        let found = |path: &str, follows| {
            let raw = place.join(path).into_os_string().into_vec();
            let mut out = Vec::new();
            let way = Way::of(&raw, b"", follows).unwrap();
            let told = way.look_up(&Outside::default(), &[u32::MAX, std::process::id()], &mut out);
            told.then(|| String::from_utf8(out).unwrap())
        };
        let at = |path: &str| Some(place.join(path).to_str().unwrap().to_owned());
        let cached = found("a/b", true);
        if cached.is_none() {
            eprintln!("skipped: this kernel does not look up what is cached alone");
            return;
        }
        assert_eq!(cached, at("a/b"));
        assert_eq!(found("link/../x", false), at("a/x"));
        assert_eq!(found("link/x", false), at("a/b/x"));
        assert_eq!(found("link", false), at("link"));
        assert_eq!(found("link", true), at("a/b"));
        assert_eq!(found("none/x", false), None);
        let seen = |root: &str, path: &str| {
            let found = below(root.into(), path.into());
            found.map(|path| String::from_utf8(path).unwrap())
        };
        assert_eq!(seen("/", "/etc").as_deref(), Some("/etc"));
        assert_eq!(seen("/srv", "/srv/etc").as_deref(), Some("/etc"));
        assert_eq!(seen("/srv", "/srv").as_deref(), Some("/"));
        assert_eq!(seen("/srv", "/srvx"), None);
        assert_eq!(seen("/srv", "/etc"), None);
    }
}
