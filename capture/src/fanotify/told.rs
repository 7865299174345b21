//! The records of what happened to files.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use lanner_schema::call_class::{CallClass, ClassSet};
use lanner_schema::event::Event;
use lanner_schema::record::FLAG_SUCCEEDED;
use lanner_schema::tier::Source;

use super::directories::{self, Named};
use super::doer::Found;
use super::opens::Opened;
use super::wanted::Wanted;
use crate::draft::Draft;
use crate::plan::Plan;
use crate::source::SourceQueue;

const AT_REMOVEDIR: i64 = 0x200;
const O_CREAT: i64 = libc::O_CREAT as i64;
const O_ACCMODE: i64 = libc::O_ACCMODE as i64;

/// What a new name is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made {
    Directory,
    /// A symbolic link, and what it says.
    Symlink(Vec<u8>),
    /// Another name of a file there was.
    Link,
    /// A file.
    File {
        dev: u64,
        ino: u64,
    },
}

/// What is told, and how.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) wanted: Wanted,
    /// The directories that rules name.
    pub(super) named: Vec<Named>,
    /// The opens that rules want.
    opens: ClassSet,
    /// What was said once.
    said: RefCell<HashSet<Box<str>>>,
}

impl Told {
    /// What the rules of a plan see.
    pub(super) fn of(plan: &Plan) -> Told {
        let wanted = Wanted::of(plan.shown);
        let classes = |call: Event| plan.classes.get(call as usize).copied();
        Told {
            opens: wanted
                .open
                .or(wanted.create)
                .and_then(classes)
                .unwrap_or_default(),
            named: directories::named(&plan.paths),
            wanted,
            said: RefCell::default(),
        }
    }

    /// True the first time it is asked about something.
    pub(super) fn first(&self, what: &str) -> bool {
        self.said.borrow_mut().insert(what.into())
    }

    /// An open.
    pub(super) fn opened(&self, opened: &Opened, queue: &SourceQueue) {
        let made = self.wanted.create.filter(|_| opened.creates);
        let Some(call) = self.wanted.open.or(made) else {
            return;
        };
        if opened.flags().is_some_and(|flags| !self.wants(flags)) {
            return;
        }
        let mut draft = draft(call, &opened.found, opened.time);
        draft = path(draft, call, "name", Some(&opened.path));
        if let Some(number) = opened.number {
            draft = draft.number(0, number.into());
        }
        let numbers = [
            ("flags", opened.flags()),
            ("dev", Some(opened.key.dev.cast_signed())),
            ("ino", Some(opened.key.ino.cast_signed())),
        ];
        for (param, value) in numbers {
            if let (Some(index), Some(value)) = (call.row().param(param), value) {
                draft = draft.number(index, value);
            }
        }
        queue.send(draft.finish());
    }

    /// Whether a rule may want an open for this. Whether it made the file, and whether it is a container's, is not looked at.
    fn wants(&self, flags: i64) -> bool {
        let modes = match flags & O_ACCMODE {
            // For writing alone, or for both.
            O_ACCMODE => [flags & !2, flags & !1],
            _ => [flags, flags],
        };
        modes
            .into_iter()
            .flat_map(|flags| [flags, flags | O_CREAT])
            .any(|flags| {
                let class = |in_container| CallClass::new(false, in_container).opening(flags.cast_unsigned());
                self.opens.contains(class(false)) || self.opens.contains(class(true))
            })
    }

    /// What something is that has just been made; `None` when it is gone already.
    pub(super) fn made(&self, path: &Path, is_directory: bool) -> Option<Made> {
        if is_directory {
            return Some(Made::Directory);
        }
        let facts = fs::symlink_metadata(path).ok()?;
        if facts.is_symlink() {
            let target = fs::read_link(path).ok()?;
            return Some(Made::Symlink(target.into_os_string().into_vec()));
        }
        Some(match facts.nlink() > 1 {
            true => Made::Link,
            false => Made::File {
                dev: facts.dev(),
                ino: facts.ino(),
            },
        })
    }

    /// Something was made. Of a file its open tells.
    pub(super) fn was_made(
        &self,
        made: &Made,
        name: Option<&[u8]>,
        found: &Found,
        time: u64,
        queue: &SourceQueue,
    ) {
        let wanted = &self.wanted;
        let (call, param) = match made {
            Made::Directory => (wanted.mkdir, "path"),
            Made::Symlink(_) => (wanted.symlink, "linkpath"),
            Made::Link => (wanted.link, "newpath"),
            Made::File { .. } => return,
        };
        let Some(call) = call else { return };
        let mut draft = path(draft(call, found, time), call, param, name);
        if let (Made::Symlink(target), Some(index)) = (made, call.row().param("target")) {
            draft = draft.text(index, target);
        }
        queue.send(draft.finish());
    }

    /// A name was removed.
    pub(super) fn removed(
        &self,
        name: Option<&[u8]>,
        is_directory: bool,
        found: &Found,
        time: u64,
        queue: &SourceQueue,
    ) {
        let call = match is_directory {
            true => self.wanted.rmdir,
            false => self.wanted.unlink,
        };
        let Some(call) = call else { return };
        let param = if call == Event::Unlinkat { "name" } else { "path" };
        let mut draft = path(draft(call, found, time), call, param, name);
        if let (Event::Unlinkat, Some(flags)) = (call, call.row().param("flags")) {
            draft = draft.number(flags, if is_directory { AT_REMOVEDIR } else { 0 });
        }
        queue.send(draft.finish());
    }

    /// Something has another name.
    pub(super) fn renamed(
        &self,
        old: Option<&[u8]>,
        new: Option<&[u8]>,
        found: &Found,
        time: u64,
        queue: &SourceQueue,
    ) {
        let Some(call) = self.wanted.rename else { return };
        let draft = path(draft(call, found, time), call, "oldpath", old);
        queue.send(path(draft, call, "newpath", new).finish());
    }
}

fn draft(call: Event, found: &Found, time: u64) -> Draft {
    let time = time.min(found.until);
    Draft::new(call, Source::Fanotify.stream(), FLAG_SUCCEEDED, time, &found.doer)
}

/// Adds a path; where nobody knows it, the event has none.
fn path(draft: Draft, call: Event, param: &str, path: Option<&[u8]>) -> Draft {
    match call.row().param(param).zip(path) {
        Some((index, path)) => draft.path(index, path),
        None => draft,
    }
}
