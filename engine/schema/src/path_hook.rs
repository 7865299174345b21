//! Functions of the kernel that are handed what a call works on, by directory and name, before the call changes it.
//!
//! They ask the security modules (`security/security.c`), once for every call that gets as far, whoever is asked. A program on
//! one of them has the kernel's names of what is gone or moved when the call returns ([`Origin::LookedUp`]).

use crate::event::{Event, EventRow, Origin};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathHook {
    /// The program on it, in `bpf/path_hooks.h`.
    pub program: &'static str,
    /// The function.
    pub function: &'static str,
    /// The calls that come by.
    pub events: &'static [Event],
}

/// How all their names begin.
pub const PATH_HOOK_PREFIX: &str = "security_";

/// All of them.
pub const PATH_HOOKS: [PathHook; 12] = [
    PathHook {
        program: "path_mkdir",
        function: "security_path_mkdir",
        events: &[Event::Mkdir, Event::Mkdirat],
    },
    PathHook {
        program: "path_rmdir",
        function: "security_path_rmdir",
        events: &[Event::Rmdir, Event::Unlinkat],
    },
    PathHook {
        program: "path_unlink",
        function: "security_path_unlink",
        events: &[Event::Unlink, Event::Unlinkat],
    },
    PathHook {
        program: "path_symlink",
        function: "security_path_symlink",
        events: &[Event::Symlink, Event::Symlinkat],
    },
    PathHook {
        program: "path_link",
        function: "security_path_link",
        events: &[Event::Link, Event::Linkat],
    },
    PathHook {
        program: "path_rename",
        function: "security_path_rename",
        events: &[Event::Rename, Event::Renameat, Event::Renameat2],
    },
    PathHook {
        program: "path_mknod",
        function: "security_path_mknod",
        events: &[Event::Mknod, Event::Mknodat],
    },
    PathHook {
        program: "path_chmod",
        function: "security_path_chmod",
        events: &[Event::Chmod, Event::Fchmodat, Event::Fchmodat2],
    },
    PathHook {
        program: "path_chown",
        function: "security_path_chown",
        events: &[Event::Chown, Event::Lchown, Event::Fchownat],
    },
    PathHook {
        program: "path_truncate",
        function: "security_path_truncate",
        events: &[Event::Truncate],
    },
    PathHook {
        program: "sb_mount",
        function: "security_sb_mount",
        events: &[Event::Mount],
    },
    PathHook {
        program: "sb_umount",
        function: "security_sb_umount",
        events: &[Event::Umount, Event::Umount2],
    },
];

/// Which of the paths that a program on such a function noted is this parameter's: 0 or 1. `None` where it notes none: of
/// other parameters, and of the file that is linked to, which is handed over without its mount.
pub fn noted_place(row: &EventRow, index: usize) -> Option<u8> {
    let looked_up = |index: &usize| matches!(row.params[*index].from, Origin::LookedUp { .. });
    let before = (0..index).filter(looked_up).count();
    let is_linked = before == 0 && matches!(row.event, Event::Link | Event::Linkat);
    (looked_up(&index) && !is_linked)
        .then(|| u8::try_from(before).ok())
        .flatten()
}

/// The parameters that such programs note, as bits.
pub fn noted(row: &EventRow) -> u32 {
    let noted = (0..row.params.len()).filter(|index| noted_place(row, *index).is_some());
    noted.fold(0, |bits, index| bits | 1 << index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EVENTS;

    #[test]
    fn every_call_whose_paths_are_looked_up_comes_by_one_and_no_other_does() {
        for row in EVENTS {
            let comes_by = PATH_HOOKS.iter().any(|hook| hook.events.contains(&row.event));
            assert_eq!(comes_by, noted(row) != 0, "{}", row.name);
        }
        for hook in PATH_HOOKS {
            assert_eq!(hook.function.strip_prefix(PATH_HOOK_PREFIX), Some(hook.program));
        }
    }

    #[test]
    fn of_two_paths_each_has_its_place_but_what_is_linked_to() {
        let places = |event: Event| {
            let row = event.row();
            let of = |name: &str| noted_place(row, row.param(name).unwrap());
            [of("real_oldpath"), of("real_newpath"), of("oldpath")]
        };
        assert_eq!(places(Event::Rename), [Some(0), Some(1), None]);
        assert_eq!(places(Event::Linkat), [None, Some(1), None]);
        assert_eq!(noted(Event::Openat.row()), 0);
    }
}
