//! From the bytes of a record to absolute paths.

use std::io::Write as _;
use std::ops::Range;

use lanner_schema::descriptor::NSFS_MAGIC;
use lanner_schema::event::{EVENTS, Event, Origin, ParamType};
use lanner_schema::process::Process;
use lanner_schema::record::{Object, Wire};
use lanner_schema::view::{ResolvedPath, next_object};
use memchr::memchr;
use smallvec::SmallVec;

use crate::magic_link;
use crate::process_table::param;

/// How a path parameter is written in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathForm {
    /// The text that was passed, and the components of the directory it starts from.
    User,
    /// Components only.
    Kernel,
    /// What a descriptor refers to, with components when it has a path.
    Object,
    /// The same of several.
    Objects,
}

/// Where the absolute paths of a record are, by parameter.
pub(crate) type PathRanges = SmallVec<[(u8, Range<usize>); 4]>;

/// Those paths.
pub(crate) type Paths<'a> = SmallVec<[ResolvedPath<'a>; 4]>;

/// The path parameters of every row, found once.
#[derive(Debug)]
pub(crate) struct PathParams {
    forms: Vec<SmallVec<[(u8, PathForm); 4]>>,
    /// Those of which the kernel's name may be in the record, each with the parameter that has it.
    real: Vec<SmallVec<[(u8, u8); 2]>>,
    /// True for events of which one is looked up.
    looks_up: Vec<bool>,
    /// Of those that were passed, the parameter with the directory a relative one starts from.
    starts: Vec<SmallVec<[(u8, u8); 2]>>,
}

/// The directory a relative path starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The working directory.
    Cwd,
    /// What this descriptor refers to.
    Descriptor(u32),
}

/// Appends such a directory when it is not in the record; false where it can't be told.
pub(crate) type AskStart<'a> = &'a mut dyn FnMut(Start, &mut Vec<u8>) -> bool;

impl PathParams {
    pub(crate) fn new() -> PathParams {
        PathParams {
            looks_up: EVENTS
                .iter()
                .map(|row| {
                    row.params
                        .iter()
                        .any(|p| matches!(p.from, Origin::LookedUp { .. }))
                })
                .collect(),
            real: EVENTS.iter().map(|row| row.real_paths().collect()).collect(),
            starts: EVENTS
                .iter()
                .map(|row| {
                    let descriptor = |arg: u8| {
                        let mut params = row.params.iter();
                        let at = params
                            .position(|p| matches!(p.from, Origin::Arg(a) | Origin::Int(a) if a == arg));
                        at.and_then(|at| u8::try_from(at).ok())
                    };
                    (0u8..)
                        .zip(row.params)
                        .filter_map(|(index, param)| match param.from {
                            Origin::UserPath { dirfd: Some(arg), .. } => Some((index, descriptor(arg)?)),
                            _ => None,
                        })
                        .collect()
                })
                .collect(),
            forms: EVENTS
                .iter()
                .map(|row| {
                    let form = |from: Origin, ty: ParamType| match (from, ty) {
                        (Origin::UserPath { .. }, _) => Some(PathForm::User),
                        (Origin::Object(_), _) => Some(PathForm::Object),
                        (_, ParamType::Objects(_)) => Some(PathForm::Objects),
                        (
                            Origin::Extractor(_) | Origin::Program | Origin::LookedUp { .. },
                            ParamType::FsPath | ParamType::FsRelPath(_) | ParamType::RealPath(_),
                        ) => Some(PathForm::Kernel),
                        _ => None,
                    };
                    (0u8..)
                        .zip(row.params)
                        .filter_map(|(index, param)| Some((index, form(param.from, param.ty)?)))
                        .collect()
                })
                .collect(),
        }
    }

    /// True for calls of which it is looked up where their paths led.
    pub(crate) fn may_look_up(&self, event: Event) -> bool {
        self.looks_up[event as usize]
    }

    /// Those paths: the parameter, the one for what is found, and whether a link at the end is followed.
    pub(crate) fn looked_up(&self, event: Event, wire: &Wire<'_>) -> SmallVec<[(u8, u8, bool); 2]> {
        const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
        const AT_SYMLINK_FOLLOW: u64 = 0x400;
        const UMOUNT_NOFOLLOW: u64 = 8;
        let has = |index: usize, flag| wire.number(index).is_some_and(|flags| flags & flag != 0);
        let reversed = |path: u8| match event {
            Event::Fchownat => has(param!(Fchownat, "flags"), AT_SYMLINK_NOFOLLOW),
            Event::Fchmodat2 => has(param!(Fchmodat2, "flags"), AT_SYMLINK_NOFOLLOW),
            Event::Umount2 => has(param!(Umount2, "flags"), UMOUNT_NOFOLLOW),
            // Of the file that is linked alone.
            Event::Linkat => {
                usize::from(path) == param!(Linkat, "oldpath")
                    && has(param!(Linkat, "flags"), AT_SYMLINK_FOLLOW)
            }
            _ => false,
        };
        let of = |&(path, real): &(u8, u8)| match event.row().params[usize::from(real)].from {
            Origin::LookedUp { follows } => Some((path, real, follows != reversed(path))),
            _ => None,
        };
        self.real[event as usize].iter().filter_map(of).collect()
    }

    /// The event's paths by the names the kernel has for what they named; `None` when those are the ones that were asked
    /// for, or are not known.
    pub(crate) fn by_real_names<'a>(&self, event: Event, paths: &Paths<'a>) -> Option<Paths<'a>> {
        let mut by_real_names = None;
        for (path, real) in &self.real[event as usize] {
            let Some(real) = paths.iter().find(|p| p.param == *real).map(|p| p.path) else {
                continue;
            };
            let at = paths.iter().position(|p| p.param == *path);
            if at.is_some_and(|at| agree(paths[at].path, real)) {
                continue;
            }
            let changed = by_real_names.get_or_insert_with(|| paths.clone());
            match at {
                Some(at) => changed[at].path = real,
                // What was passed could not be read, or made absolute.
                None => changed.push(ResolvedPath {
                    param: *path,
                    path: real,
                }),
            }
        }
        by_real_names
    }

    /// Where paths lead that were passed by the links of /proc, in the rows that have no kernel's name for them: their
    /// ranges in `arena`, by parameter. Mostly none.
    pub(crate) fn through_proc(
        &self,
        event: Event,
        wire: &Wire<'_>,
        process: &Process,
        known: &PathRanges,
        arena: &mut Vec<u8>,
    ) -> PathRanges {
        let mut found = SmallVec::new();
        let has_real = |path: u8| {
            let mut real = self.real[event as usize].iter();
            real.any(|(of, real)| *of == path && known.iter().any(|(param, _)| param == real))
        };
        for &(index, form) in &self.forms[event as usize] {
            if form != PathForm::User || has_real(index) {
                continue;
            }
            let Some(param) = wire.param(usize::from(index)) else {
                continue;
            };
            let end = memchr(0, param.bytes).unwrap_or(param.bytes.len());
            let base = param.bytes.get(end + 1..).unwrap_or_default();
            let cut = param.truncated && end + 1 < STRING_MAX;
            if let Some(range) = magic_link::follow(&param.bytes[..end], base, cut, process, arena) {
                found.push((index, range));
            }
        }
        found
    }

    /// Where a relative path of a record starts from; `None` where the record does not say.
    fn start(&self, event: Event, index: u8, wire: &Wire<'_>) -> Option<Start> {
        const AT_FDCWD: i64 = -100;
        let mut starts = self.starts[event as usize].iter();
        let Some((_, descriptor)) = starts.find(|(path, _)| *path == index) else {
            return Some(Start::Cwd);
        };
        match wire.number(usize::from(*descriptor))?.cast_signed() {
            AT_FDCWD => Some(Start::Cwd),
            number => u32::try_from(number).ok().map(Start::Descriptor),
        }
    }

    /// Makes the record's paths absolute: their ranges in `arena`, by parameter. The directory one starts from that is not
    /// in the record is asked for. What can't be made absolute, because that is unknown, is left out and counted in
    /// `unresolved`.
    pub(crate) fn resolve(
        &self,
        event: Event,
        wire: &Wire<'_>,
        arena: &mut Vec<u8>,
        unresolved: &mut u64,
        ask_start: AskStart<'_>,
    ) -> PathRanges {
        let mut found = SmallVec::new();
        for &(index, form) in &self.forms[event as usize] {
            let Some(param) = wire.param(usize::from(index)) else {
                continue;
            };
            let start = arena.len();
            let cut = param.truncated;
            if form == PathForm::Objects {
                let mut list = param.bytes;
                while let Some(object) = next_object(&mut list) {
                    let start = arena.len();
                    push_object_path(arena, object, false);
                    found.push((index, start..arena.len()));
                }
                continue;
            }
            if form == PathForm::Object && !push_object_path(arena, param.bytes, cut) {
                continue;
            }
            let ok = match form {
                PathForm::Object | PathForm::Objects => true,
                PathForm::Kernel => {
                    push_components(arena, param.bytes, cut);
                    true
                }
                PathForm::User => {
                    push_user_path(arena, param.bytes, cut, is_in_root(event, wire))
                        || self
                            .start(event, index, wire)
                            .is_some_and(|from| ask_start(from, arena))
                            && push_asked(arena, start, param.bytes, is_in_root(event, wire))
                }
            };
            if !ok {
                *unresolved += 1;
                arena.truncate(start);
                continue;
            }
            if arena.len() == start {
                arena.push(b'/');
            }
            found.push((index, start..arena.len()));
        }
        found
    }
}

/// The most bytes that are read of a text (build.rs says so to the programs).
const STRING_MAX: usize = 4096;
/// What stands for the directories that were not kept of a path that is too deep.
const CUT: &[u8] = b"...";

/// True when the kernel's name of something is the one that was asked for, as far as it is known: of one that is too deep
/// the upper directories are not.
fn agree(requested: &[u8], real: &[u8]) -> bool {
    let known = |path: &'_ [u8]| path.strip_prefix(CUT).map(<[u8]>::len);
    match (known(requested), known(real)) {
        (None, None) => requested == real,
        (requested_end, real_end) => {
            let both = requested_end
                .unwrap_or(requested.len())
                .min(real_end.unwrap_or(real.len()));
            requested[requested.len() - both..] == real[real.len() - both..]
        }
    }
}

/// Appends an absolute path from components, leaf first, each ended by NUL. The root is nothing at all, or `/` where it is that
/// of a mount which is in no tree. One that was cut
/// lacks its upper directories: it begins with [`CUT`] and not with a slash, so that no rule takes it for another path.
pub(crate) fn push_components(arena: &mut Vec<u8>, bytes: &[u8], cut: bool) {
    // As long as it is here: what is kept is not moved again.
    arena.reserve_exact(bytes.len() + if cut { CUT.len() } else { 0 });
    if cut {
        arena.extend_from_slice(CUT);
    }
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    for name in bytes
        .rsplit(|b| *b == 0)
        .filter(|name| !matches!(*name, b"" | b"/"))
    {
        arena.push(b'/');
        arena.extend_from_slice(name);
    }
}

/// Appends the name by which the object of a descriptor is found, if there is one: a path, or what `/proc/PID/fd` says of
/// a namespace.
fn push_object_path(arena: &mut Vec<u8>, bytes: &[u8], cut: bool) -> bool {
    let Some(object) = Object::read(bytes) else {
        return false;
    };
    if let Some(components) = object.components() {
        push_components(arena, components, cut);
        return true;
    }
    if object.magic == NSFS_MAGIC {
        arena.extend_from_slice(object.name());
        // Writing to a vector cannot fail.
        let _ = write!(arena, ":[{}]", object.inode);
        return true;
    }
    false
}

/// True for a call to which its directory is the root.
fn is_in_root(event: Event, wire: &Wire<'_>) -> bool {
    const RESOLVE_IN_ROOT: u64 = 0x10;
    event == Event::Openat2
        && wire
            .number(param!(Openat2, "resolve"))
            .is_some_and(|flags| flags & RESOLVE_IN_ROOT != 0)
}

/// Appends a path as it was passed, made absolute; false when the directory it starts from is not in the record. Where that
/// is the root (`in_root`) absolute paths start there, too, and none leads above it.
fn push_user_path(arena: &mut Vec<u8>, bytes: &[u8], cut: bool, in_root: bool) -> bool {
    let end = memchr(0, bytes).unwrap_or(bytes.len());
    let raw = &bytes[..end];
    let mut start = arena.len();
    if in_root || !raw.starts_with(b"/") {
        match bytes.get(end + 1..) {
            // Text that fills all there is for it was cut itself, and has no directory behind it.
            Some(base) if !base.is_empty() => {
                let cut = cut && end + 1 < STRING_MAX;
                push_components(arena, base, cut);
                // `..` does not lead above what is known.
                start += if cut { CUT.len() } else { 0 };
                if in_root {
                    start = arena.len();
                }
            }
            _ => return false,
        }
    }
    push_names(arena, start, raw);
    true
}

/// Appends a path as it was passed to the directory it starts from, which is in `arena` from `start` on.
fn push_asked(arena: &mut Vec<u8>, start: usize, bytes: &[u8], in_root: bool) -> bool {
    let start = if in_root { arena.len() } else { start };
    push_names(arena, start, &bytes[..memchr(0, bytes).unwrap_or(bytes.len())]);
    true
}

/// Appends a relative path as it was passed, made absolute from the directory `base`.
pub(crate) fn push_relative(arena: &mut Vec<u8>, base: &[u8], raw: &[u8]) {
    let start = arena.len();
    arena.extend_from_slice(base);
    push_names(arena, start, raw);
    if arena.len() == start {
        arena.push(b'/');
    }
}

/// Appends the names of `raw` to the absolute path that begins at `start`, without `.`, `..` and double slashes: what
/// the path says, not where symbolic links lead.
pub(crate) fn push_names(arena: &mut Vec<u8>, start: usize, raw: &[u8]) {
    if is_plain(raw) {
        if !raw.starts_with(b"/") {
            arena.push(b'/');
        }
        return arena.extend_from_slice(raw);
    }
    for name in raw.split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                let parent = arena[start..].iter().rposition(|b| *b == b'/').unwrap_or(0);
                arena.truncate(start + parent);
            }
            name => {
                arena.push(b'/');
                arena.extend_from_slice(name);
            }
        }
    }
}

/// True of most paths: there is nothing in it that is left out of an absolute one.
fn is_plain(raw: &[u8]) -> bool {
    let (Some(first), Some(last)) = (raw.first(), raw.last()) else {
        return false;
    };
    // To the end, whatever is found: so the compiler looks at many bytes at once.
    let odd = |odd: bool, (a, b): (&u8, &u8)| odd | ((*a == b'/') & ((*b == b'/') | (*b == b'.')));
    *first != b'.' && *last != b'/' && !raw.iter().zip(&raw[1..]).fold(false, odd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::record::WireBuilder;

    fn resolved(event: Event, bytes: &[u8]) -> Vec<(u8, String)> {
        let wire = Wire::read(bytes, event.row().params.len()).unwrap();
        let (mut arena, mut unresolved) = (Vec::new(), 0);
        PathParams::new()
            .resolve(event, &wire, &mut arena, &mut unresolved, &mut |_, _| false)
            .into_iter()
            .map(|(index, range)| (index, String::from_utf8_lossy(&arena[range]).into_owned()))
            .collect()
    }

    #[test]
    fn relative_paths_start_from_their_directory() {
        let path = |raw, base| {
            let bytes = WireBuilder::new()
                .number(0)
                .number(-100)
                .path(raw, base)
                .number(0o755)
                .build_for(Event::Mkdirat);
            resolved(Event::Mkdirat, &bytes)
        };
        assert_eq!(path("a/./b", "/srv/x"), [(2, "/srv/x/a/b".to_owned())]);
        assert_eq!(path("a/b.c", "/srv/x"), [(2, "/srv/x/a/b.c".to_owned())]);
        assert_eq!(path(".a", "/srv/x"), [(2, "/srv/x/.a".to_owned())]);
        assert_eq!(path("a/.b", "/"), [(2, "/a/.b".to_owned())]);
        assert_eq!(path("/srv/a", ""), [(2, "/srv/a".to_owned())]);
        assert_eq!(path("/srv/a/", ""), [(2, "/srv/a".to_owned())]);
        assert_eq!(path("/", ""), [(2, "/".to_owned())]);
        assert_eq!(path("../../../../b", "/srv/x"), [(2, "/b".to_owned())]);
        assert_eq!(path("/etc//ssh/../shadow", ""), [(2, "/etc/shadow".to_owned())]);
        assert_eq!(path("..", "/"), [(2, "/".to_owned())]);
        assert_eq!(path("", "/srv"), [(2, "/srv".to_owned())]);
        // Below the root of a mount that is in no tree, as the kernel names it.
        let bytes = WireBuilder::new()
            .number(0)
            .number(-100)
            .bytes(b"self/fd/\0/\0")
            .number(0o755)
            .build_for(Event::Mkdirat);
        assert_eq!(resolved(Event::Mkdirat, &bytes), [(2, "/self/fd".to_owned())]);
    }

    #[test]
    fn no_path_leads_out_of_a_directory_that_is_the_root() {
        const IN_ROOT: i64 = 0x10;
        let path = |raw: &str, base: &str, resolve| {
            let bytes = WireBuilder::new()
                .number(3)
                .number(-100)
                .bytes(format!("{raw}\0{base}").as_bytes())
                .number(0)
                .number(0)
                .number(resolve)
                .build_for(Event::Openat2);
            resolved(Event::Openat2, &bytes)
        };
        assert_eq!(
            path("/etc/passwd", "x\0srv\0", IN_ROOT),
            [(2, "/srv/x/etc/passwd".to_owned())]
        );
        assert_eq!(path("../../a", "x\0srv\0", IN_ROOT), [(2, "/srv/x/a".to_owned())]);
        assert_eq!(path("/", "x\0srv\0", IN_ROOT), [(2, "/srv/x".to_owned())]);
        assert_eq!(path("/a", "\0", IN_ROOT), [(2, "/a".to_owned())]);
        assert_eq!(path("../../a", "x\0srv\0", 0), [(2, "/a".to_owned())]);
        assert_eq!(path("/etc/passwd", "", 0), [(2, "/etc/passwd".to_owned())]);
        assert_eq!(path("/etc/passwd", "", IN_ROOT), [], "its directory is not known");
    }

    #[test]
    fn a_path_too_deep_begins_with_dots_and_no_slash() {
        let path = |builder: WireBuilder| {
            let bytes = builder.cut().number(0o755).build_for(Event::Mkdirat);
            resolved(Event::Mkdirat, &bytes).remove(0).1
        };
        let mkdirat = || WireBuilder::new().number(0).number(-100);
        assert_eq!(path(mkdirat().path("a", "/srv/x")), ".../srv/x/a");
        assert_eq!(path(mkdirat().path("../../../../etc", "/srv/x")), ".../etc");
        let long = "x".repeat(STRING_MAX - 1);
        assert_eq!(
            path(mkdirat().path(&long, "/srv")),
            format!("/srv/{long}"),
            "the text was cut"
        );
    }

    #[test]
    fn a_path_without_its_directory_is_left_out_and_counted() {
        let bytes = WireBuilder::new()
            .number(0)
            .number(-100)
            .text("rel")
            .number(0)
            .build_for(Event::Mkdirat);
        let wire = Wire::read(&bytes, Event::Mkdirat.row().params.len()).unwrap();
        let (mut arena, mut unresolved) = (Vec::new(), 0);
        let paths = PathParams::new();
        let found = paths.resolve(Event::Mkdirat, &wire, &mut arena, &mut unresolved, &mut |_, _| {
            false
        });
        assert!(found.is_empty());
        assert_eq!(unresolved, 1);
        // As it is without the kernel's types: somebody else knows it.
        let found = paths.resolve(
            Event::Mkdirat,
            &wire,
            &mut arena,
            &mut unresolved,
            &mut |from, arena| {
                arena.extend_from_slice(b"/srv");
                from == Start::Cwd
            },
        );
        assert_eq!((&arena[found[0].1.clone()], unresolved), (&b"/srv/rel"[..], 1));
    }
}
