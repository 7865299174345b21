//! Names of bits and codes, as Falco prints them, and the numbers it has for them.
//!
//! Source: names, their order and Falco's numbers are those of its `driver/flags_table.c` and
//! `driver/ppm_events_public.h`; the kernel's are in `include/uapi`. Records and the process state hold the kernel's
//! numbers; they become Falco's when a rule or an alert reads them.

mod calls;
mod errno;
mod files;
mod own;
mod processes;
mod sockets;

pub use calls::*;
pub use errno::errno_name;
pub use files::*;
pub use own::*;
pub use processes::*;
pub use sockets::*;

/// How the numbers of a [`FlagTable`] combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagKind {
    /// Every name that is set is printed, joined by `|`.
    Bits,
    /// The same, for `mount(2)`: the magic number in the upper half that old callers pass is no flag.
    MountBits,
    /// The same, of a call that Falco has no names for: every bit stays as the caller passed it.
    OwnBits,
    /// A code, which mostly has one name.
    Code {
        /// Falco's number of codes that it does not know; `None` keeps the kernel's.
        unknown: Option<u32>,
    },
}

/// One name of a [`FlagTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// The name.
    pub name: &'static str,
    /// The bits of the kernel's number that decide.
    pub mask: u64,
    /// What they have to be. Names that no kernel's number has want a bit outside their mask.
    pub bits: u64,
    /// Falco's number.
    pub falco: u32,
}

impl Flag {
    /// One or more bits.
    const fn bits(name: &'static str, bits: u64, falco: u32) -> Flag {
        Flag {
            name,
            mask: bits,
            bits,
            falco,
        }
    }

    /// One value of some bits.
    const fn value(name: &'static str, mask: u64, bits: u64, falco: u32) -> Flag {
        Flag {
            name,
            mask,
            bits,
            falco,
        }
    }

    /// A code.
    const fn code(name: &'static str, code: u64, falco: u32) -> Flag {
        Flag::value(name, u64::MAX, code, falco)
    }

    /// A name of Falco's that is not in the kernel's number.
    const fn none(name: &'static str, falco: u32) -> Flag {
        Flag::value(name, 0, 1, falco)
    }

    const fn is_in(&self, value: u64) -> bool {
        value & self.mask == self.bits
    }
}

/// One table of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagTable {
    /// The table's name in Falco (`file_flags`, `clone_flags`, …).
    pub name: &'static str,
    /// How the numbers combine.
    pub kind: FlagKind,
    /// The names, in the order they are printed.
    pub names: &'static [Flag],
}

impl FlagTable {
    /// Falco's number for the kernel's `value`. What Falco has no bit for is left out of it.
    pub fn falco(&self, value: u64) -> u32 {
        let bits = |value: u64| {
            let set = self.names.iter().filter(|flag| flag.is_in(value));
            set.fold(0, |all, flag| all | flag.falco)
        };
        match self.kind {
            FlagKind::Bits => bits(value),
            FlagKind::MountBits if value & MS_MGC_MSK == MS_MGC_VAL => bits(value & !MS_MGC_MSK),
            FlagKind::MountBits => bits(value),
            // Flags are ints.
            FlagKind::OwnBits => value as u32,
            FlagKind::Code { unknown } => match self.names.iter().find(|flag| flag.is_in(value)) {
                Some(flag) => flag.falco,
                // Codes are ints: the lower half is what the kernel looks at.
                None => unknown.unwrap_or(value as u32),
            },
        }
    }

    /// Calls `each` with every name the kernel's `value` has, in the order of printing.
    pub fn for_each(&self, value: u64, each: impl FnMut(&'static str)) {
        self.for_each_of_falco(self.falco(value), each);
    }

    /// The same for Falco's number: a name takes its bits away from those that follow, so that `O_RDWR` is not
    /// `O_WRONLY` too; a code may have several names.
    fn for_each_of_falco(&self, value: u32, mut each: impl FnMut(&'static str)) {
        let is_code = matches!(self.kind, FlagKind::Code { .. });
        let (mut left, mut last) = (value, "");
        for flag in self.names {
            let set = match flag.falco {
                code if is_code => code == value,
                0 => value == 0,
                bits => left & bits == bits,
            };
            // A name has an entry for each of the kernel's codes.
            if !set || flag.name == last {
                continue;
            }
            last = flag.name;
            each(flag.name);
            left &= !flag.falco;
            if !is_code && flag.falco == value {
                break;
            }
        }
    }

    /// Appends the names of the kernel's `value`, joined by `|`, to `out`. Nothing when it has none.
    pub fn render(&self, value: u64, out: &mut String) {
        let mut first = true;
        self.for_each(value, |name| {
            if !first {
                out.push('|');
            }
            first = false;
            out.push_str(name);
        });
    }

    /// The kernel's value of `name`.
    pub fn value(&self, name: &str) -> Option<u64> {
        self.names
            .iter()
            .find(|flag| flag.name == name)
            .map(|flag| flag.bits)
    }
}

/// A table of bits.
const fn table(name: &'static str, names: &'static [Flag]) -> FlagTable {
    FlagTable {
        name,
        kind: FlagKind::Bits,
        names,
    }
}

/// A table of bits whose numbers are the kernel's.
const fn own_bits(name: &'static str, names: &'static [Flag]) -> FlagTable {
    FlagTable {
        name,
        kind: FlagKind::OwnBits,
        names,
    }
}

/// A table of codes.
const fn codes(name: &'static str, unknown: Option<u32>, names: &'static [Flag]) -> FlagTable {
    FlagTable {
        name,
        kind: FlagKind::Code { unknown },
        names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Falco's number of the kernel's, and its names.
    fn of(table: &FlagTable, value: u64) -> (u32, String) {
        let mut out = String::new();
        table.render(value, &mut out);
        (table.falco(value), out)
    }

    fn is(number: u32, names: &str) -> (u32, String) {
        (number, names.to_owned())
    }

    #[test]
    fn open_flags_read_as_falco_prints_them() {
        for (kernel, falco, names) in [
            (0, 1, "O_RDONLY"),
            (2, 3, "O_RDWR"),
            (0o2000000, 0x1001, "O_RDONLY|O_CLOEXEC"),
            (0o1101, 0x106, "O_TRUNC|O_CREAT|O_WRONLY"),
            (0o204000, 0x441, "O_DIRECTORY|O_NONBLOCK|O_RDONLY"),
            (
                0o100102 | O_F_CREATED,
                0x4807,
                "O_LARGEFILE|O_CREAT|O_RDWR|O_F_CREATED",
            ),
            (0o4010001, 0x92, "O_SYNC|O_DSYNC|O_WRONLY"),
            (0o10001, 0x12, "O_DSYNC|O_WRONLY"),
            (0o20200002, 0x2403, "O_DIRECTORY|O_RDWR|O_TMPFILE"),
            (FD_UPPER_LAYER, 0x8001, "O_RDONLY|FD_UPPER_LAYER"),
            // O_PATH and O_NOFOLLOW have no bit in Falco.
            (0o10400000, 1, "O_RDONLY"),
            // Access for ioctl alone is neither reading nor writing.
            (3, 0, "O_NONE"),
        ] {
            assert_eq!(of(&FILE_FLAGS, kernel), is(falco, names), "{kernel:o}");
        }
    }

    #[test]
    fn flags_of_a_descriptor_have_no_access_mode() {
        assert_eq!(of(&DESCRIPTOR_FLAGS, 0), is(0, "O_NONE"));
        assert_eq!(of(&DESCRIPTOR_FLAGS, 0o2000000), is(0x1000, "O_CLOEXEC"));
        assert_eq!(
            of(&DESCRIPTOR_FLAGS, 0o2004000),
            is(0x1040, "O_NONBLOCK|O_CLOEXEC")
        );
    }

    #[test]
    fn codes_have_falcos_number_and_every_name_of_it() {
        assert_eq!(of(&SOCKET_FAMILIES, 17), is(17, "AF_PACKET"));
        assert_eq!(of(&SOCKET_FAMILIES, 1), is(1, "AF_LOCAL|AF_UNIX"));
        assert_eq!(of(&SOCKET_FAMILIES, 16), is(16, "AF_ROUTE|AF_NETLINK"));
        assert_eq!(of(&SOCKET_FAMILIES, 40), is(40, ""));
        assert_eq!(of(&PTRACE_REQUESTS, 16), is(11, "PTRACE_ATTACH"));
        assert_eq!(of(&PTRACE_REQUESTS, 0x4206), is(20, "PTRACE_SEIZE"));
        assert_eq!(of(&PTRACE_REQUESTS, 0x9999), is(0, "PTRACE_UNKNOWN"));
        assert_eq!(of(&FCNTL_COMMANDS, 0), is(1, "F_DUPFD"));
        assert_eq!(of(&FCNTL_COMMANDS, 1030), is(26, "F_DUPFD_CLOEXEC"));
        assert_eq!(of(&FCNTL_COMMANDS, 1033), is(0, "UNKNOWN"));
        assert_eq!(of(&RLIMIT_RESOURCES, 7), is(7, "RLIMIT_NOFILE"));
        assert_eq!(of(&RLIMIT_RESOURCES, 99), is(255, "RLIMIT_UNKNOWN"));
        assert_eq!(of(&SOCKOPT_LEVELS, 6), is(2, "SOL_TCP"));
        assert_eq!(of(&SOCKOPT_OPTIONS, 57), is(53, "SO_COOKIE"));
        assert_eq!(of(&SOCKOPT_OPTIONS, 66), is(20, "SO_RCVTIMEO"));
        assert_eq!(of(&SOCKOPT_OPTIONS, 0), is(0, "UNKNOWN"));
        assert_eq!(of(&PRCTL_OPTIONS, 15), is(15, "PR_SET_NAME"));
        assert_eq!(of(&PRCTL_OPTIONS, 0x53564d41), is(0x5356_4d41, "PR_SET_VMA"));
        assert_eq!(of(&BPF_COMMANDS, 5), is(5, "BPF_PROG_LOAD"));
        assert_eq!(of(&SHUTDOWN_HOW, 2), is(2, "SHUT_RDWR"));
    }

    #[test]
    fn bits_have_falcos_place() {
        assert_eq!(
            of(&CLONE_FLAGS, 0x3D_0F00),
            is(
                0x0280_BA03,
                "CLONE_FILES|CLONE_FS|CLONE_PARENT_SETTID|CLONE_SIGHAND|CLONE_SYSVSEM|CLONE_THREAD|CLONE_VM\
                 |CLONE_CHILD_CLEARTID|CLONE_SETTLS"
            )
        );
        assert_eq!(of(&CLONE_FLAGS, 0x1000_0000), is(1 << 20, "CLONE_NEWUSER"));
        assert_eq!(of(&EPOLL_CREATE1_FLAGS, 0o2000000), is(1, "EPOLL_CLOEXEC"));
        assert_eq!(of(&PIDFD_OPEN_FLAGS, 0o4000), is(1, "PIDFD_NONBLOCK"));
        assert_eq!(of(&OPENAT2_FLAGS, 0x01), is(1 << 4, "RESOLVE_NO_XDEV"));
        assert_eq!(
            of(&IO_URING_SETUP_FLAGS, 1 << 2),
            is(1 << 3, "IORING_SETUP_SQ_AFF")
        );
        assert_eq!(of(&MOUNT_FLAGS, 0xC0ED_1001), is(0x1001, "RDONLY|BIND"));
        assert_eq!(of(&MOUNT_FLAGS, 1 << 18), is(1 << 18, "PRIVATE"));
        assert_eq!(of(&UMOUNT_FLAGS, 2), is(2, "DETACH"));
        assert_eq!(of(&UMOUNT_FLAGS, 0), is(0, ""));
        assert_eq!(
            of(&PF_FLAGS, 0),
            is(0x2A, "PAGE_NOT_PRESENT|READ_ACCESS|SUPERVISOR_FAULT")
        );
        assert_eq!(
            of(&PF_FLAGS, 7),
            is(0x15, "PROTECTION_VIOLATION|WRITE_ACCESS|USER_FAULT")
        );
    }

    #[test]
    fn bits_of_calls_that_falco_has_no_names_for_stay() {
        assert_eq!(of(&SETXATTR_FLAGS, 1), is(1, "XATTR_CREATE"));
        assert_eq!(of(&SETXATTR_FLAGS, 8 | 2), is(10, "XATTR_REPLACE"));
        assert_eq!(of(&SETXATTR_FLAGS, 8), is(8, ""));
    }

    #[test]
    fn the_kernels_value_of_a_name_can_be_asked_for() {
        assert_eq!(FILE_FLAGS.value("O_CREAT"), Some(0o100));
        assert_eq!(SOCKET_FAMILIES.value("AF_PACKET"), Some(17));
        assert_eq!(FILE_FLAGS.value("O_NOTHING"), None);
    }
}
