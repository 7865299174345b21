//! Flags and modes of files, descriptors and mounts.

use super::{Flag, FlagKind, FlagTable, codes, table};

/// Set by capture in the flags of a successful open that created its file; the kernel has no such bit in `open(2)`.
pub const O_F_CREATED: u64 = 1 << 40;
/// Set by capture in the flags of an open whose file is in the upper layer of an overlay.
pub const FD_UPPER_LAYER: u64 = 1 << 41;
/// The same of a lower layer.
pub const FD_LOWER_LAYER: u64 = 1 << 42;

/// The bits of an open's flags that say what for: `O_RDONLY` 0, `O_WRONLY` 1, `O_RDWR` 2.
pub const O_ACCMODE: u64 = 3;
/// `O_CREAT` of `open(2)`.
pub const O_CREAT: u64 = 0o100;
/// `O_TRUNC` of `open(2)`.
pub const O_TRUNC: u64 = 0o1000;
/// `O_PATH` of `open(2)`, which has no name in Falco.
pub const O_PATH: u64 = 0o10000000;
/// The bit of `O_TMPFILE` that is no other flag's.
pub const O_TMPFILE_BIT: u64 = 0o20000000;
const O_TMPFILE: u64 = 0o20200000;

/// True when these `open(2)` flags ask for a file to be created if there is none, or one without a name.
pub const fn creates(open_flags: u64) -> bool {
    open_flags & O_CREAT != 0 || open_flags & O_TMPFILE == O_TMPFILE
}

/// `open(2)` flags.
pub static FILE_FLAGS: FlagTable = table(
    "file_flags",
    &[
        Flag::bits("O_LARGEFILE", 0o100000, 1 << 11),
        Flag::bits("O_DIRECTORY", 0o200000, 1 << 10),
        Flag::bits("O_DIRECT", 0o40000, 1 << 9),
        Flag::bits("O_TRUNC", O_TRUNC, 1 << 8),
        Flag::bits("O_SYNC", 0o4010000, 1 << 7),
        Flag::bits("O_NONBLOCK", 0o4000, 1 << 6),
        Flag::bits("O_EXCL", 0o200, 1 << 5),
        Flag::bits("O_DSYNC", 0o10000, 1 << 4),
        Flag::bits("O_APPEND", 0o2000, 1 << 3),
        Flag::bits("O_CREAT", O_CREAT, 1 << 2),
        Flag::value("O_RDWR", O_ACCMODE, 2, 3),
        Flag::value("O_WRONLY", O_ACCMODE, 1, 2),
        Flag::value("O_RDONLY", O_ACCMODE, 0, 1),
        Flag::bits("O_CLOEXEC", 0o2000000, 1 << 12),
        Flag::none("O_NONE", 0),
        Flag::bits("O_TMPFILE", O_TMPFILE, 1 << 13),
        Flag::bits("O_F_CREATED", O_F_CREATED, 1 << 14),
        Flag::bits("FD_UPPER_LAYER", FD_UPPER_LAYER, 1 << 15),
        Flag::bits("FD_LOWER_LAYER", FD_LOWER_LAYER, 1 << 16),
    ],
);

/// Flags of a descriptor that is not opened from a path (`dup3`, `pipe2`, `eventfd2`, `inotify_init1`, `signalfd4`, the
/// flags in the type of `socket`): the names of [`FILE_FLAGS`], but no access mode.
pub static DESCRIPTOR_FLAGS: FlagTable = table(
    "file_flags",
    &[
        Flag::bits("O_DIRECT", 0o40000, 1 << 9),
        Flag::bits("O_NONBLOCK", 0o4000, 1 << 6),
        Flag::bits("O_CLOEXEC", 0o2000000, 1 << 12),
        Flag::none("O_NONE", 0),
    ],
);

/// What `creat`'s `creat_flags` parameter says of the file: capture's bits, since the call has none.
pub static CREAT_FLAGS: FlagTable = table(
    "creat_flags",
    &[
        Flag::bits("FD_UPPER_LAYER_CREAT", 1, 1),
        Flag::bits("FD_LOWER_LAYER_CREAT", 2, 2),
    ],
);

/// `openat2(2)`'s `resolve`.
pub static OPENAT2_FLAGS: FlagTable = table(
    "openat2_flags",
    &[
        Flag::bits("RESOLVE_BENEATH", 0x08, 1),
        Flag::bits("RESOLVE_IN_ROOT", 0x10, 1 << 1),
        Flag::bits("RESOLVE_NO_MAGICLINKS", 0x02, 1 << 2),
        Flag::bits("RESOLVE_NO_SYMLINKS", 0x04, 1 << 3),
        Flag::bits("RESOLVE_NO_XDEV", 0x01, 1 << 4),
        Flag::bits("RESOLVE_CACHED", 0x20, 1 << 5),
    ],
);

/// `unlinkat(2)` flags.
pub static UNLINKAT_FLAGS: FlagTable = table("unlinkat_flags", &[Flag::bits("AT_REMOVEDIR", 0x200, 0x200)]);

/// `linkat(2)` flags.
pub static LINKAT_FLAGS: FlagTable = table(
    "linkat_flags",
    &[
        Flag::bits("AT_SYMLINK_FOLLOW", 0x400, 0x400),
        Flag::bits("AT_EMPTY_PATH", 0x1000, 0x1000),
    ],
);

/// `renameat2(2)` flags.
pub static RENAMEAT2_FLAGS: FlagTable = table(
    "renameat2_flags",
    &[
        Flag::bits("RENAME_NOREPLACE", 1, 1),
        Flag::bits("RENAME_EXCHANGE", 2, 2),
        Flag::bits("RENAME_WHITEOUT", 4, 4),
    ],
);

/// Permission bits.
pub static CHMOD_MODE: FlagTable = table(
    "chmod_mode",
    &[
        Flag::bits("S_IXOTH", 0o1, 0o1),
        Flag::bits("S_IWOTH", 0o2, 0o2),
        Flag::bits("S_IROTH", 0o4, 0o4),
        Flag::bits("S_IXGRP", 0o10, 0o10),
        Flag::bits("S_IWGRP", 0o20, 0o20),
        Flag::bits("S_IRGRP", 0o40, 0o40),
        Flag::bits("S_IXUSR", 0o100, 0o100),
        Flag::bits("S_IWUSR", 0o200, 0o200),
        Flag::bits("S_IRUSR", 0o400, 0o400),
        Flag::bits("S_ISVTX", 0o1000, 0o1000),
        Flag::bits("S_ISGID", 0o2000, 0o2000),
        Flag::bits("S_ISUID", 0o4000, 0o4000),
    ],
);

/// `close_range(2)` flags.
pub static CLOSE_RANGE_FLAGS: FlagTable = table(
    "close_range_flags",
    &[
        Flag::bits("CLOSE_RANGE_UNSHARE", 1 << 1, 1),
        Flag::bits("CLOSE_RANGE_CLOEXEC", 1 << 2, 1 << 1),
    ],
);

/// `memfd_create(2)` flags.
pub static MEMFD_CREATE_FLAGS: FlagTable = table(
    "memfd_create_flags",
    &[
        Flag::bits("MFD_CLOEXEC", 1, 1),
        Flag::bits("MFD_ALLOW_SEALING", 2, 2),
        Flag::bits("MFD_HUGETLB", 4, 4),
    ],
);

/// `epoll_create1(2)` flags.
pub static EPOLL_CREATE1_FLAGS: FlagTable = table(
    "epoll_create1_flags",
    &[Flag::bits("EPOLL_CLOEXEC", 0o2000000, 1)],
);

/// `pidfd_open(2)` flags.
pub static PIDFD_OPEN_FLAGS: FlagTable =
    table("pidfd_open_flags", &[Flag::bits("PIDFD_NONBLOCK", 0o4000, 1)]);

/// `io_uring_setup(2)` flags. The third name is a flag of a ring, which no caller passes.
pub static IO_URING_SETUP_FLAGS: FlagTable = table(
    "io_uring_setup_flags",
    &[
        Flag::bits("IORING_SETUP_IOPOLL", 1, 1),
        Flag::bits("IORING_SETUP_SQPOLL", 1 << 1, 1 << 1),
        Flag::none("IORING_SQ_NEED_WAKEUP", 1 << 2),
        Flag::bits("IORING_SETUP_SQ_AFF", 1 << 2, 1 << 3),
        Flag::bits("IORING_SETUP_CQSIZE", 1 << 3, 1 << 4),
        Flag::bits("IORING_SETUP_CLAMP", 1 << 4, 1 << 5),
        // So spelled in Falco; the kernel's is IORING_SETUP_ATTACH_WQ.
        Flag::bits("IORING_SETUP_ATTACH_RW", 1 << 5, 1 << 6),
        Flag::bits("IORING_SETUP_R_DISABLED", 1 << 6, 1 << 7),
    ],
);

/// What `io_uring_setup(2)` says the kernel can do.
pub static IO_URING_SETUP_FEATS: FlagTable = table(
    "io_uring_setup_feats",
    &[
        Flag::bits("IORING_FEAT_SINGLE_MMAP", 1, 1),
        Flag::bits("IORING_FEAT_NODROP", 1 << 1, 1 << 1),
        Flag::bits("IORING_FEAT_SUBMIT_STABLE", 1 << 2, 1 << 2),
        Flag::bits("IORING_FEAT_RW_CUR_POS", 1 << 3, 1 << 3),
        Flag::bits("IORING_FEAT_CUR_PERSONALITY", 1 << 4, 1 << 4),
        Flag::bits("IORING_FEAT_FAST_POLL", 1 << 5, 1 << 5),
        Flag::bits("IORING_FEAT_POLL_32BITS", 1 << 6, 1 << 6),
        Flag::bits("IORING_FEAT_SQPOLL_NONFIXED", 1 << 7, 1 << 7),
        Flag::bits("IORING_FEAT_ENTER_EXT_ARG", 1 << 8, 1 << 8),
        Flag::bits("IORING_FEAT_NATIVE_WORKERS", 1 << 9, 1 << 9),
        Flag::bits("IORING_FEAT_RSRC_TAGS", 1 << 10, 1 << 10),
    ],
);

/// `fcntl(2)` commands; those of locks in 64 bits are the ones 32-bit callers have.
pub static FCNTL_COMMANDS: FlagTable = codes(
    "fcntl_commands",
    Some(0),
    &[
        Flag::code("F_GETPIPE_SZ", 1032, 29),
        Flag::code("F_SETPIPE_SZ", 1031, 28),
        Flag::code("F_NOTIFY", 1026, 27),
        Flag::code("F_DUPFD_CLOEXEC", 1030, 26),
        Flag::code("F_CANCELLK", 1029, 25),
        Flag::code("F_GETLEASE", 1025, 24),
        Flag::code("F_SETLEASE", 1024, 23),
        Flag::code("F_GETOWN_EX", 16, 22),
        Flag::code("F_SETOWN_EX", 15, 21),
        Flag::code("F_SETLKW64", 14, 19),
        Flag::code("F_SETLK64", 13, 18),
        Flag::code("F_GETLK64", 12, 17),
        Flag::code("F_GETSIG", 11, 15),
        Flag::code("F_SETSIG", 10, 13),
        Flag::code("F_GETOWN", 9, 12),
        Flag::code("F_SETOWN", 8, 10),
        Flag::code("F_SETLKW", 7, 9),
        Flag::code("F_SETLK", 6, 8),
        Flag::code("F_GETLK", 5, 6),
        Flag::code("F_SETFL", 4, 5),
        Flag::code("F_GETFL", 3, 4),
        Flag::code("F_SETFD", 2, 3),
        Flag::code("F_GETFD", 1, 2),
        Flag::code("F_DUPFD", 0, 1),
        Flag::code("F_OFD_GETLK", 36, 30),
        Flag::code("F_OFD_SETLK", 37, 31),
        Flag::code("F_OFD_SETLKW", 38, 32),
        Flag::none("UNKNOWN", 0),
    ],
);

pub(super) const MS_MGC_MSK: u64 = 0xffff_0000;
pub(super) const MS_MGC_VAL: u64 = 0xC0ED_0000;

/// `mount(2)` flags.
pub static MOUNT_FLAGS: FlagTable = FlagTable {
    name: "mount_flags",
    kind: FlagKind::MountBits,
    names: &[
        Flag::bits("RDONLY", 1, 1),
        Flag::bits("NOSUID", 1 << 1, 1 << 1),
        Flag::bits("NODEV", 1 << 2, 1 << 2),
        Flag::bits("NOEXEC", 1 << 3, 1 << 3),
        Flag::bits("SYNCHRONOUS", 1 << 4, 1 << 4),
        Flag::bits("REMOUNT", 1 << 5, 1 << 5),
        Flag::bits("MANDLOCK", 1 << 6, 1 << 6),
        Flag::bits("DIRSYNC", 1 << 7, 1 << 7),
        Flag::bits("NOATIME", 1 << 10, 1 << 10),
        Flag::bits("NODIRATIME", 1 << 11, 1 << 11),
        Flag::bits("BIND", 1 << 12, 1 << 12),
        Flag::bits("MOVE", 1 << 13, 1 << 13),
        Flag::bits("REC", 1 << 14, 1 << 14),
        Flag::bits("SILENT", 1 << 15, 1 << 15),
        Flag::bits("POSIXACL", 1 << 16, 1 << 16),
        Flag::bits("UNBINDABLE", 1 << 17, 1 << 17),
        Flag::bits("PRIVATE", 1 << 18, 1 << 18),
        Flag::bits("SLAVE", 1 << 19, 1 << 19),
        Flag::bits("SHARED", 1 << 20, 1 << 20),
        Flag::bits("RELATIME", 1 << 21, 1 << 21),
        Flag::bits("KERNMOUNT", 1 << 22, 1 << 22),
        Flag::bits("I_VERSION", 1 << 23, 1 << 23),
        Flag::bits("STRICTATIME", 1 << 24, 1 << 24),
        Flag::bits("LAZYTIME", 1 << 25, 1 << 25),
        Flag::bits("NOSEC", 1 << 28, 1 << 28),
        Flag::bits("BORN", 1 << 29, 1 << 29),
        Flag::bits("ACTIVE", 1 << 30, 1 << 30),
        Flag::bits("NOUSER", 1 << 31, 1 << 31),
    ],
};

/// `umount2(2)` flags.
pub static UMOUNT_FLAGS: FlagTable = table(
    "umount_flags",
    &[
        Flag::bits("FORCE", 1, 1),
        Flag::bits("DETACH", 2, 2),
        Flag::bits("EXPIRE", 4, 4),
        Flag::bits("NOFOLLOW", 8, 8),
    ],
);
