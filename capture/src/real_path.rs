//! Where a path led, of calls that leave nothing behind which the kernel's programs could read: an unlink, a rename.
//!
//! Their records have the path that was passed and the directory it starts from, which is the kernel's. What its links
//! lead to is looked up when the record is seen, in the root of its process or of one above it, and only as far as the kernel has it
//! in its cache (`RESOLVE_CACHED`, since Linux 5.12): the call has just gone the same way, and a file system in somebody else's
//! hands must not hold up everybody's events. One name below a directory that the record has is not looked up: the call follows no
//! link on its way there. The kernel refuses that way where a link's time of access would have to be written: on
//! most mounts of a link that nobody has followed since the clock's tick in which it was made. Such a link is read, where the first
//! process has its file system mounted, and that is one that keeps its files itself. Afterwards the way may be another: what is found
//! is a second name, beside the one that was passed.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::libc;

use crate::decode::push_components;
use crate::outside::{self, Ask, Outside};

/// `RESOLVE_CACHED` (include/uapi/linux/openat2.h).
const RESOLVE_CACHED: u64 = 0x20;
const ATTEMPTS: usize = 3;
/// How many links are read on one way.
const LINKS_MAX: usize = 8;
/// The most of a mountinfo that is read.
const MOUNTINFO_MAX: u64 = 8 << 20;
/// File systems that answer for themselves.
const LOCAL: [&[u8]; 9] = [
    b"ext2", b"ext3", b"ext4", b"f2fs", b"overlay", b"ramfs", b"rootfs", b"tmpfs", b"xfs",
];
/// How many answers are kept, at most: of the calls of a few milliseconds.
const ANSWERS_MAX: usize = 64;

/// A path to look up: what is followed, and the name at its end that is not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Way<'a> {
    followed: Vec<u8>,
    last: Option<&'a [u8]>,
    /// All that is followed is the directory in the record, which the kernel named.
    is_known: bool,
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
        let is_known = last.is_some() && start == 0;
        let place = &followed[followed.iter().position(|b| *b != b'/').unwrap_or(0)..];
        (!place.starts_with(b"proc/")).then_some(Way {
            followed,
            last,
            is_known,
        })
    }

    /// Where it leads for the first of these processes that is still there; appended to `out`, and false when it
    /// cannot be told.
    pub(crate) fn look_up(&self, real_paths: &mut RealPaths, call: &Call<'_>, out: &mut Vec<u8>) -> bool {
        let found = match self.is_known {
            true => Some(Cow::Borrowed(
                self.followed.strip_suffix(b"/").unwrap_or(&self.followed),
            )),
            false => real_paths.ask(call, &self.followed).map(Cow::Owned),
        };
        let Some(found) = found else {
            return false;
        };
        // The root is nothing before a name.
        if self.last.is_none() || *found != *b"/" {
            out.extend_from_slice(&found);
        }
        if let Some(last) = self.last {
            out.push(b'/');
            out.extend_from_slice(last);
        }
        true
    }
}

/// A call whose path is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The process that made it, then those above it that have the same root.
    pub(crate) processes: &'a [u32],
    /// When it returned, in nanoseconds since boot.
    pub(crate) returned: u64,
}

/// Looks paths up. What was found is found for every call that had returned when it was asked: to ask again for one of those is
/// dearer and no truer. As records come in a few at once, and who removes one thing in a directory mostly removes another, that
/// spares many questions.
#[derive(Debug)]
pub(crate) struct RealPaths {
    outside: Outside,
    /// The root of the first process, or Lanner's own, which most have. `None` inside where it can't be had.
    first: Option<Option<Root>>,
    answers: Vec<Answer>,
    /// Processes that had that root when they were asked about.
    in_first: Vec<(u32, u64)>,
    /// The devices of local file systems, and when they were asked for.
    local: Option<(Vec<Device>, u64)>,
}

#[derive(Debug)]
struct Answer {
    process: u32,
    path: Vec<u8>,
    found: Option<Vec<u8>>,
    /// Since when it has been true, in nanoseconds since boot.
    asked: u64,
}

/// A root that is kept open, so that nothing else can become what it is known by.
#[derive(Debug)]
struct Root {
    file: File,
    id: PlaceId,
    /// What the kernel calls it here.
    name: Vec<u8>,
}

/// Which directory of which mount: the mount's number, the device's, the inode's.
type PlaceId = (u64, Device, u64);

/// Major and minor.
type Device = (u32, u32);

impl RealPaths {
    pub(crate) fn new(outside: Outside) -> RealPaths {
        RealPaths {
            outside,
            first: None,
            answers: Vec::new(),
            in_first: Vec::new(),
            local: None,
        }
    }

    /// The path, without links, of what `path` leads to in the root of the first of these processes that is still there, as that
    /// process sees it; `None` when the kernel cannot say at once.
    fn ask(&mut self, call: &Call<'_>, path: &[u8]) -> Option<Vec<u8>> {
        let process = *call.processes.first()?;
        let mut key = process.to_le_bytes().to_vec();
        key.extend_from_slice(path);
        let outside = self.outside.clone();
        outside.ask(Ask::RealPath, &key, || {
            self.answers.retain(|answer| answer.asked >= call.returned);
            self.in_first.retain(|(_, asked)| *asked >= call.returned);
            self.local = self.local.take().filter(|(_, asked)| *asked >= call.returned);
            let mut answers = self.answers.iter();
            if let Some(known) = answers.find(|answer| answer.process == process && answer.path == path) {
                return known.found.clone();
            }
            let asked = outside::now();
            let found = self.look(call.processes, path, asked);
            if self.answers.len() < ANSWERS_MAX {
                self.answers.push(Answer {
                    process,
                    path: path.to_vec(),
                    found: found.clone(),
                    asked,
                });
            }
            found
        })
    }

    fn look(&mut self, processes: &[u32], path: &[u8], now: u64) -> Option<Vec<u8>> {
        for process in processes {
            match self.has_first(*process, now) {
                Ok(true) => {
                    let root = self.first.as_ref()?.as_ref()?;
                    let local = &mut |device| is_local(&mut self.local, &self.outside, device, now);
                    return found_in(&root.file, root.name.clone(), path, local);
                }
                Err(Errno::ENOENT | Errno::ESRCH) => {}
                _ => {
                    if let Some(root) = root_of(&self.outside, *process) {
                        let local = &mut |device| is_local(&mut self.local, &self.outside, device, now);
                        return found_in(&root, name_of(&root)?, path, local);
                    }
                }
            }
        }
        None
    }

    /// Whether this process has the root of the first one.
    ///
    /// # Errors
    /// When it is gone, or it cannot be told.
    fn has_first(&mut self, process: u32, now: u64) -> Result<bool, Errno> {
        if self.in_first.iter().any(|(known, _)| *known == process) {
            return Ok(true);
        }
        let outside = &self.outside;
        let first = self.first.get_or_insert_with(|| {
            // Lanner's own, where nobody may see that of the first process.
            let file = root_of(outside, 1).or_else(|| root_of(outside, std::process::id()))?;
            let id = place_id(file.as_raw_fd(), c"").ok()?;
            let name = name_of(&file)?;
            Some(Root { file, id, name })
        });
        let first = first.as_ref().ok_or(Errno::ENOSYS)?;
        let path = format!("/proc/{process}/root");
        let path = outside.place(Path::new(&path)).ok_or(Errno::ENOSYS)?;
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        let has = place_id(libc::AT_FDCWD, &path)? == first.id;
        if has && self.in_first.len() < ANSWERS_MAX {
            self.in_first.push((process, now));
        }
        Ok(has)
    }
}

/// The root of a process, while it is there.
fn root_of(outside: &Outside, process: u32) -> Option<File> {
    let root = format!("/proc/{process}/root");
    let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
    let open = |place: &Path| OpenOptions::new().read(true).custom_flags(flags).open(place).ok();
    open(&outside.place(Path::new(&root))?)
}

/// What `path` is below a descriptor, or that itself when it is empty. No file system is asked for what it has not said
/// yet: it may be in somebody else's hands.
///
/// # Errors
/// When there is nothing, or the kernel does not say this (before Linux 5.8).
fn place_id(directory: RawFd, path: &CStr) -> Result<PlaceId, Errno> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let wanted = libc::STATX_INO | libc::STATX_MNT_ID;
    let mut facts = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path ends with NUL, and there is room for what is written.
    Errno::result(unsafe { libc::statx(directory, path.as_ptr(), flags, wanted, facts.as_mut_ptr()) })?;
    // SAFETY: it is made of numbers, and all of it is zero or was written.
    let facts = unsafe { facts.assume_init() };
    if facts.stx_mask & wanted != wanted {
        return Err(Errno::ENOSYS);
    }
    let device = (facts.stx_dev_major, facts.stx_dev_minor);
    Ok((facts.stx_mnt_id, device, facts.stx_ino))
}

/// Whether a link on this device can be read without somebody else having to answer: an overlay of a container's own making could
/// lead anywhere.
fn is_local(known: &mut Option<(Vec<Device>, u64)>, outside: &Outside, device: Device, now: u64) -> bool {
    let (devices, _) = known.get_or_insert_with(|| {
        let mut mountinfo = Vec::new();
        if let Some(file) = outside
            .place(Path::new("/proc/1/mountinfo"))
            .and_then(|place| File::open(place).ok())
        {
            // What was read so far counts.
            let _ = file.take(MOUNTINFO_MAX).read_to_end(&mut mountinfo);
        }
        (local_devices(&mountinfo), now)
    });
    devices.contains(&device)
}

/// The devices of the local file systems in a mountinfo (proc_pid_mountinfo(5)).
fn local_devices(mountinfo: &[u8]) -> Vec<Device> {
    let device = |line: &[u8]| {
        let kind = &line[memchr::memmem::find(line, b" - ")? + 3..];
        let kind = kind.split(|byte| *byte == b' ').next()?;
        let device = line.split(|byte| *byte == b' ').nth(2)?;
        let (major, minor) = std::str::from_utf8(device).ok()?.split_once(':')?;
        let device = (major.parse().ok()?, minor.parse().ok()?);
        LOCAL.contains(&kind).then_some(device)
    };
    let mut devices: Vec<Device> = mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(device)
        .collect();
    devices.sort_unstable();
    devices.dedup();
    devices
}

/// Where a path leads in a root that has this name here.
fn found_in(
    root: &File,
    name: Vec<u8>,
    path: &[u8],
    local: &mut dyn FnMut(Device) -> bool,
) -> Option<Vec<u8>> {
    let open = |path: &[u8], flags: OFlag| {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::from_bits_retain(RESOLVE_CACHED));
        // Something that is just being renamed on the way is not there for a moment.
        let mut attempts = (0..ATTEMPTS).map(|_| openat2(root, OsStr::from_bytes(path), how));
        let found = attempts.find(|found| !matches!(found, Err(Errno::EAGAIN)));
        found.unwrap_or(Err(Errno::EAGAIN))
    };
    let mut path = Cow::Borrowed(path);
    for _ in 0..LINKS_MAX {
        match open(&path, OFlag::empty()) {
            Ok(found) => return below(name, name_of(&File::from(found))?),
            Err(Errno::EAGAIN) => path = Cow::Owned(past_link(&path, &open, local)?),
            Err(_) => return None,
        }
    }
    None
}

/// Opens a path as far as it is cached.
type Open<'a> = dyn Fn(&[u8], OFlag) -> Result<OwnedFd, Errno> + 'a;

/// The same way without the first link that is not followed. Before that all is.
fn past_link(path: &[u8], open: &Open<'_>, local: &mut dyn FnMut(Device) -> bool) -> Option<Vec<u8>> {
    let is_end = |at: &usize| path[at - 1] != b'/' && path.get(*at).is_none_or(|byte| *byte == b'/');
    let ends: Vec<usize> = (1..=path.len()).filter(is_end).collect();
    let first = ends.partition_point(|end| open(&path[..*end], OFlag::empty()).is_ok());
    let end = *ends.get(first)?;
    let start = path[..end]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let link = open(&path[..end], OFlag::O_NOFOLLOW).ok()?;
    if !local(place_id(link.as_raw_fd(), c"").ok()?.1) {
        return None;
    }
    let target = readlinkat(&link, c"").ok()?.into_vec();
    let from = if target.starts_with(b"/") {
        &[]
    } else {
        &path[..start]
    };
    Some([from, &target, &path[end..]].concat())
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
    use std::os::unix::fs::symlink;

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

    /// A link whose time of access need not be written when it is followed.
    fn link(to: &str, at: &Path) {
        std::os::unix::fs::symlink(to, at).unwrap();
        utimensat(
            AT_FDCWD,
            at,
            &TimeSpec::new(4_000_000_000, 0),
            &TimeSpec::UTIME_OMIT,
            UtimensatFlags::NoFollowSymlink,
        )
        .unwrap();
    }

    #[test]
    fn links_lead_somewhere_and_roots_are_where_paths_begin() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(place.join("a/b")).unwrap();
        link("a/b", &place.join("link"));
        let found = |path: &str, follows| {
            let raw = place.join(path).into_os_string().into_vec();
            let mut out = Vec::new();
            let way = Way::of(&raw, b"", follows).unwrap();
            let call = Call {
                processes: &[u32::MAX, std::process::id()],
                returned: outside::now(),
            };
            let told = way.look_up(&mut RealPaths::new(Outside::default()), &call, &mut out);
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
        // Of one name below a directory that is known nobody is asked, not even whether it is there still.
        let mut out = Vec::new();
        let call = Call {
            processes: &[u32::MAX],
            returned: outside::now(),
        };
        for (base, led) in [(&b"gone\0srv\0"[..], &b"/srv/gone/x"[..]), (b"\0", b"/x")] {
            out.clear();
            let way = Way::of(b"x", base, false).unwrap();
            assert!(way.look_up(&mut RealPaths::new(Outside::default()), &call, &mut out));
            assert_eq!(out, led);
        }
        // Those whose time of access would have to be written: it is not later than that of a change.
        for (name, target) in [
            ("fresh", "a"),
            ("again", "fresh/b"),
            ("absolute", &*place.join("again").to_string_lossy()),
        ] {
            symlink(target, place.join(name)).unwrap();
            let early = &TimeSpec::new(1, 0);
            utimensat(
                AT_FDCWD,
                &place.join(name),
                early,
                early,
                UtimensatFlags::NoFollowSymlink,
            )
            .unwrap();
        }
        let mounts = std::fs::read("/proc/1/mountinfo").unwrap_or_default();
        if local_devices(&mounts).contains(&place_id(File::open(&place).unwrap().as_raw_fd(), c"").unwrap().1)
        {
            assert_eq!(found("fresh", true), at("a"));
            assert_eq!(found("again/../x", false), at("a/x"));
            assert_eq!(found("absolute", true), at("a/b"));
        } else {
            eprintln!("skipped: the first process does not have this file system mounted");
        }
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

    #[test]
    fn what_somebody_else_answers_for_is_not_local() {
        let mountinfo = b"21 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n\
            22 21 0:30 / /mnt rw - fuse.sshfs a rw\n23 21 0:31 / /nfs rw - nfs4 a:/b rw\n\
            24 21 0:32 / /run rw - tmpfs tmpfs rw\n25 21 7:0 / /win rw - fuseblk /dev/loop0 rw\nx\n";
        assert_eq!(local_devices(mountinfo), [(0, 32), (254, 0)]);
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().canonicalize().unwrap();
        symlink("a", place.join("link")).unwrap();
        std::fs::create_dir(place.join("a")).unwrap();
        let early = &TimeSpec::new(1, 0);
        utimensat(
            AT_FDCWD,
            &place.join("link"),
            early,
            early,
            UtimensatFlags::NoFollowSymlink,
        )
        .unwrap();
        let root = File::open("/").unwrap();
        let path = place.join("link").into_os_string().into_vec();
        let mut asked = 0;
        let mut nothing = |_| {
            asked += 1;
            false
        };
        let found = found_in(&root, b"/".to_vec(), &path, &mut nothing);
        // Where times of access are not kept the kernel follows it.
        assert!(found.is_none() || asked == 0, "{found:?}");
    }

    /// What a process is told, or a thread with a root of its own, about a call that returned then.
    fn told(real_paths: &mut RealPaths, process: u32, path: &str, returned: u64) -> Option<String> {
        let call = Call {
            processes: &[process],
            returned,
        };
        let found = real_paths.ask(&call, path.as_bytes());
        found.map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn an_answer_is_for_calls_that_had_returned_when_it_was_asked() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().canonicalize().unwrap();
        for name in ["a", "b"] {
            std::fs::create_dir(place.join(name)).unwrap();
        }
        link("a", &place.join("link"));
        let at = |name: &str| Some(place.join(name).to_str().unwrap().to_owned());
        let path = at("link").unwrap();
        let mut real_paths = RealPaths::new(Outside::default());
        let mut ask = |returned| told(&mut real_paths, std::process::id(), &path, returned);
        let before = outside::now();
        let first = ask(before);
        if first.is_none() {
            eprintln!("skipped: this kernel does not look up what is cached alone");
            return;
        }
        assert_eq!(first, at("a"));
        // Of the next call it leads elsewhere; both are looked up now.
        std::fs::remove_file(place.join("link")).unwrap();
        link("b", &place.join("link"));
        std::fs::metadata(place.join("link")).unwrap();
        assert_eq!(ask(before), at("a"));
        assert_eq!(ask(outside::now()), at("b"));
        assert_eq!(ask(before), at("b"), "the answer that was older is gone");
    }

    #[test]
    fn paths_start_at_the_root_of_who_passed_them() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(place.join("root/a")).unwrap();
        std::fs::create_dir(place.join("b")).unwrap();
        link("/a", &place.join("root/link"));
        let (tell, told_of) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let root = place.join("root");
        let thread = std::thread::spawn(move || {
            let changed = nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS)
                .and_then(|()| nix::unistd::chroot(&root));
            tell.send(changed.map(|()| nix::unistd::gettid().as_raw().cast_unsigned()))
                .unwrap();
            // It goes on until there is nobody to wait for.
            let _ = ended.recv();
        });
        let Ok(inside) = told_of.recv().unwrap() else {
            eprintln!("skipped: this needs root");
            return;
        };
        let outside = std::process::id();
        let below = place.join("b").to_str().unwrap().to_owned();
        let mut real_paths = RealPaths::new(Outside::default());
        let mut ask = |process, path: &str| told(&mut real_paths, process, path, 0);
        if ask(outside, &below).is_none() {
            eprintln!("skipped: this kernel does not look up what is cached alone");
            return;
        }
        assert_eq!(ask(outside, &below).as_deref(), Some(below.as_str()));
        assert_eq!(ask(inside, "/link").as_deref(), Some("/a"));
        assert_eq!(ask(inside, &below), None);
        assert_eq!(ask(outside, "/link"), None);
        drop(end);
        thread.join().unwrap();
        assert_eq!(ask(inside, "/a"), None, "who is gone has no root");
        // Of these two one has the root that is kept open.
        let known: Vec<u32> = real_paths.in_first.iter().map(|(process, _)| *process).collect();
        assert_eq!(known, [outside]);
    }
}
