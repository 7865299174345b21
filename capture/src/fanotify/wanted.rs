//! What is watched for, from the events that rules see: nothing else is marked.
//!
//! fanotify tells what happened to a file and not by which of several calls. Each is told once, as that of the calls which
//! rules see; where they see several, as the first in the lists below.

use lanner_schema::event::{Event, EventSet};
use libc::{
    FAN_CLOSE_NOWRITE, FAN_CLOSE_WRITE, FAN_CREATE, FAN_DELETE, FAN_MOVED_FROM, FAN_MOVED_TO, FAN_ONDIR,
    FAN_OPEN, FAN_OPEN_EXEC, FAN_RENAME,
};

/// The calls that stand for what happened; `None` for what no rule sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// A file was opened.
    pub(super) open: Option<Event>,
    /// A file was made by an open. Without one, that stands for nothing but the open.
    pub(super) create: Option<Event>,
    /// A name of a file was removed.
    pub(super) unlink: Option<Event>,
    /// A directory was removed.
    pub(super) rmdir: Option<Event>,
    /// Something was renamed.
    pub(super) rename: Option<Event>,
    /// A directory was made.
    pub(super) mkdir: Option<Event>,
    /// A symbolic link was made.
    pub(super) symlink: Option<Event>,
    /// A file was given another name.
    pub(super) link: Option<Event>,
}

impl Wanted {
    /// What of it is worth a mark.
    pub(super) fn of(shown: EventSet) -> Wanted {
        use Event as E;
        let first = |calls: &[Event]| calls.iter().copied().find(|call| shown.contains(*call));
        let open = first(&[E::Openat, E::Open, E::Openat2]);
        Wanted {
            open,
            create: open.or(first(&[E::Creat])),
            unlink: first(&[E::Unlinkat, E::Unlink]),
            rmdir: first(&[E::Rmdir, E::Unlinkat]),
            rename: first(&[E::Renameat, E::Rename, E::Renameat2]),
            mkdir: first(&[E::Mkdirat, E::Mkdir]),
            symlink: first(&[E::Symlinkat, E::Symlink]),
            link: first(&[E::Linkat, E::Link]),
        }
    }

    /// The mask of marks whose events have the file; 0 for none. What an exec opens is told apart, and how a file was open
    /// is known at the latest when it is closed.
    pub(super) fn of_files(&self) -> u64 {
        match self.open.or(self.create) {
            Some(_) => FAN_OPEN | FAN_OPEN_EXEC | FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_ONDIR,
            None => 0,
        }
    }

    /// The mask of marks whose events have names; 0 for none. `renames` is [`FAN_RENAME`] where the kernel has that.
    pub(super) fn of_names(&self, renames: u64) -> u64 {
        let mut mask = 0;
        let made = [self.create, self.mkdir, self.symlink, self.link];
        if made.iter().any(Option::is_some) {
            mask |= FAN_CREATE;
        }
        if self.unlink.or(self.rmdir).is_some() {
            mask |= FAN_DELETE;
        }
        if self.rename.is_some() {
            mask |= renames;
        }
        if mask != 0 {
            // Directories that are renamed change the names below them.
            mask |= FAN_ONDIR | renames;
        }
        mask
    }
}

/// What tells of a rename, best first: both names in one event (Linux 5.17), or one in each of two.
pub(super) const RENAMES: [u64; 2] = [FAN_RENAME, FAN_MOVED_FROM | FAN_MOVED_TO];

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(events: &[Event]) -> Wanted {
        Wanted::of(events.iter().copied().collect())
    }

    #[test]
    fn nothing_is_marked_for_what_no_rule_sees() {
        let none = wanted(&[Event::Connect, Event::Execve]);
        assert_eq!((none.of_files(), none.of_names(FAN_RENAME)), (0, 0));
        let opens = wanted(&[Event::Open]);
        assert_eq!((opens.open, opens.unlink), (Some(Event::Open), None));
        assert!(opens.of_files() & FAN_OPEN != 0 && opens.of_names(0) & FAN_DELETE == 0);
        let removes = wanted(&[Event::Unlink, Event::Rmdir]);
        assert_eq!(
            (removes.of_files(), removes.of_names(FAN_RENAME) & FAN_CREATE),
            (0, 0)
        );
        assert_eq!(
            (removes.unlink, removes.rmdir),
            (Some(Event::Unlink), Some(Event::Rmdir))
        );
    }

    #[test]
    fn what_several_calls_may_have_done_is_told_as_one_of_those_rules_see() {
        let all = Wanted::of(EventSet::all());
        assert_eq!((all.open, all.create), (Some(Event::Openat), Some(Event::Openat)));
        assert_eq!(
            (all.unlink, all.rmdir),
            (Some(Event::Unlinkat), Some(Event::Rmdir))
        );
        assert_eq!(wanted(&[Event::Unlinkat]).rmdir, Some(Event::Unlinkat));
        assert_eq!(wanted(&[Event::Creat]).create, Some(Event::Creat));
    }
}
