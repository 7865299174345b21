//! Flags and codes of calls that Falco knows by number only: the names are the kernel's, and so are the numbers.

use super::{Flag, FlagTable, codes, own_bits};

macro_rules! bits {
    ($table:literal $( $bits:literal $name:literal )*) => {
        own_bits($table, &[ $( Flag::bits($name, $bits, $bits) ),* ])
    };
}

macro_rules! numbers {
    ($table:literal $( $code:literal $name:literal )*) => {
        codes($table, None, &[ $( Flag::code($name, $code, $code) ),* ])
    };
}

/// Flags of the calls that take a directory.
pub static AT_FLAGS: FlagTable = bits!(
    "at_flags"
    0x100 "AT_SYMLINK_NOFOLLOW"
    0x200 "AT_EACCESS"
    0x400 "AT_SYMLINK_FOLLOW"
    0x800 "AT_NO_AUTOMOUNT"
    0x1000 "AT_EMPTY_PATH"
    0x2000 "AT_STATX_FORCE_SYNC"
    0x4000 "AT_STATX_DONT_SYNC"
    0x8000 "AT_RECURSIVE"
);

/// `fallocate(2)`'s mode.
pub static FALLOCATE_MODE: FlagTable = bits!(
    "fallocate_mode"
    1 "FALLOC_FL_KEEP_SIZE"
    2 "FALLOC_FL_PUNCH_HOLE"
    8 "FALLOC_FL_COLLAPSE_RANGE"
    0x10 "FALLOC_FL_ZERO_RANGE"
    0x20 "FALLOC_FL_INSERT_RANGE"
    0x40 "FALLOC_FL_UNSHARE_RANGE"
    0x80 "FALLOC_FL_WRITE_ZEROES"
);

/// `setxattr(2)` flags.
pub static SETXATTR_FLAGS: FlagTable = bits!(
    "setxattr_flags"
    1 "XATTR_CREATE"
    2 "XATTR_REPLACE"
);

/// `open_tree(2)` flags.
pub static OPEN_TREE_FLAGS: FlagTable = bits!(
    "open_tree_flags"
    1 "OPEN_TREE_CLONE"
    0x100 "AT_SYMLINK_NOFOLLOW"
    0x800 "AT_NO_AUTOMOUNT"
    0x1000 "AT_EMPTY_PATH"
    0x8000 "AT_RECURSIVE"
    0x80000 "OPEN_TREE_CLOEXEC"
);

/// `move_mount(2)` flags.
pub static MOVE_MOUNT_FLAGS: FlagTable = bits!(
    "move_mount_flags"
    1 "MOVE_MOUNT_F_SYMLINKS"
    2 "MOVE_MOUNT_F_AUTOMOUNTS"
    4 "MOVE_MOUNT_F_EMPTY_PATH"
    0x10 "MOVE_MOUNT_T_SYMLINKS"
    0x20 "MOVE_MOUNT_T_AUTOMOUNTS"
    0x40 "MOVE_MOUNT_T_EMPTY_PATH"
    0x100 "MOVE_MOUNT_SET_GROUP"
    0x200 "MOVE_MOUNT_BENEATH"
);

/// Attributes of a mount (`mount_setattr(2)`, `fsmount(2)`); without one of the times, access times are relative.
pub static MOUNT_ATTRIBUTES: FlagTable = bits!(
    "mount_attributes"
    1 "MOUNT_ATTR_RDONLY"
    2 "MOUNT_ATTR_NOSUID"
    4 "MOUNT_ATTR_NODEV"
    8 "MOUNT_ATTR_NOEXEC"
    0x10 "MOUNT_ATTR_NOATIME"
    0x20 "MOUNT_ATTR_STRICTATIME"
    0x80 "MOUNT_ATTR_NODIRATIME"
    0x100000 "MOUNT_ATTR_IDMAP"
    0x200000 "MOUNT_ATTR_NOSYMFOLLOW"
);

/// What `mount_setattr(2)` makes of the propagation of a mount.
pub static MOUNT_PROPAGATION: FlagTable = bits!(
    "mount_propagation"
    0x20000 "MS_UNBINDABLE"
    0x40000 "MS_PRIVATE"
    0x80000 "MS_SLAVE"
    0x100000 "MS_SHARED"
);

/// `fsopen(2)` flags.
pub static FSOPEN_FLAGS: FlagTable = bits!(
    "fsopen_flags"
    1 "FSOPEN_CLOEXEC"
);

/// `fsmount(2)` flags.
pub static FSMOUNT_FLAGS: FlagTable = bits!(
    "fsmount_flags"
    1 "FSMOUNT_CLOEXEC"
);

/// `fspick(2)` flags.
pub static FSPICK_FLAGS: FlagTable = bits!(
    "fspick_flags"
    1 "FSPICK_CLOEXEC"
    2 "FSPICK_SYMLINK_NOFOLLOW"
    4 "FSPICK_NO_AUTOMOUNT"
    8 "FSPICK_EMPTY_PATH"
);

/// `swapon(2)` flags; the priority is in the lowest bits.
pub static SWAPON_FLAGS: FlagTable = bits!(
    "swapon_flags"
    0x8000 "SWAP_FLAG_PREFER"
    0x10000 "SWAP_FLAG_DISCARD"
    0x20000 "SWAP_FLAG_DISCARD_ONCE"
    0x40000 "SWAP_FLAG_DISCARD_PAGES"
);

/// `reboot(2)`'s command.
pub static REBOOT_COMMANDS: FlagTable = numbers!(
    "reboot_commands"
    0 "LINUX_REBOOT_CMD_CAD_OFF"
    0x1234567 "LINUX_REBOOT_CMD_RESTART"
    0x4321fedc "LINUX_REBOOT_CMD_POWER_OFF"
    0x45584543 "LINUX_REBOOT_CMD_KEXEC"
    0x89abcdef "LINUX_REBOOT_CMD_CAD_ON"
    0xa1b2c3d4 "LINUX_REBOOT_CMD_RESTART2"
    0xcdef0123 "LINUX_REBOOT_CMD_HALT"
    0xd000fce2 "LINUX_REBOOT_CMD_SW_SUSPEND"
);

/// A clock of the system.
pub static CLOCK_IDS: FlagTable = numbers!(
    "clock_ids"
    0 "CLOCK_REALTIME"
    1 "CLOCK_MONOTONIC"
    2 "CLOCK_PROCESS_CPUTIME_ID"
    3 "CLOCK_THREAD_CPUTIME_ID"
    4 "CLOCK_MONOTONIC_RAW"
    5 "CLOCK_REALTIME_COARSE"
    6 "CLOCK_MONOTONIC_COARSE"
    7 "CLOCK_BOOTTIME"
    8 "CLOCK_REALTIME_ALARM"
    9 "CLOCK_BOOTTIME_ALARM"
    11 "CLOCK_TAI"
);

/// Flags of calls that set a timer.
pub static TIMER_FLAGS: FlagTable = bits!(
    "timer_flags"
    1 "TIMER_ABSTIME"
    2 "TFD_TIMER_CANCEL_ON_SET"
);

/// What `adjtimex(2)` changes.
pub static ADJTIMEX_MODES: FlagTable = bits!(
    "adjtimex_modes"
    1 "ADJ_OFFSET"
    2 "ADJ_FREQUENCY"
    4 "ADJ_MAXERROR"
    8 "ADJ_ESTERROR"
    0x10 "ADJ_STATUS"
    0x20 "ADJ_TIMECONST"
    0x80 "ADJ_TAI"
    0x100 "ADJ_SETOFFSET"
    0x1000 "ADJ_MICRO"
    0x2000 "ADJ_NANO"
    0x4000 "ADJ_TICK"
);

/// `syslog(2)`'s action.
pub static SYSLOG_ACTIONS: FlagTable = numbers!(
    "syslog_actions"
    0 "SYSLOG_ACTION_CLOSE"
    1 "SYSLOG_ACTION_OPEN"
    2 "SYSLOG_ACTION_READ"
    3 "SYSLOG_ACTION_READ_ALL"
    4 "SYSLOG_ACTION_READ_CLEAR"
    5 "SYSLOG_ACTION_CLEAR"
    6 "SYSLOG_ACTION_CONSOLE_OFF"
    7 "SYSLOG_ACTION_CONSOLE_ON"
    8 "SYSLOG_ACTION_CONSOLE_LEVEL"
    9 "SYSLOG_ACTION_SIZE_UNREAD"
    10 "SYSLOG_ACTION_SIZE_BUFFER"
);

/// `kexec_load(2)` flags; the architecture is in the upper half.
pub static KEXEC_LOAD_FLAGS: FlagTable = bits!(
    "kexec_load_flags"
    1 "KEXEC_ON_CRASH"
    2 "KEXEC_PRESERVE_CONTEXT"
    4 "KEXEC_UPDATE_ELFCOREHDR"
    8 "KEXEC_CRASH_HOTPLUG_SUPPORT"
);

/// `kexec_file_load(2)` flags.
pub static KEXEC_FILE_FLAGS: FlagTable = bits!(
    "kexec_file_flags"
    1 "KEXEC_FILE_UNLOAD"
    2 "KEXEC_FILE_ON_CRASH"
    4 "KEXEC_FILE_NO_INITRAMFS"
    8 "KEXEC_FILE_DEBUG"
    0x10 "KEXEC_FILE_NO_CMA"
    0x20 "KEXEC_FILE_FORCE_DTB"
);

/// The type of an event of `perf_event_open(2)`; others are numbers the kernel gave.
pub static PERF_TYPES: FlagTable = numbers!(
    "perf_types"
    0 "PERF_TYPE_HARDWARE"
    1 "PERF_TYPE_SOFTWARE"
    2 "PERF_TYPE_TRACEPOINT"
    3 "PERF_TYPE_HW_CACHE"
    4 "PERF_TYPE_RAW"
    5 "PERF_TYPE_BREAKPOINT"
);

/// `perf_event_open(2)` flags.
pub static PERF_FLAGS: FlagTable = bits!(
    "perf_flags"
    1 "PERF_FLAG_FD_NO_GROUP"
    2 "PERF_FLAG_FD_OUTPUT"
    4 "PERF_FLAG_PID_CGROUP"
    8 "PERF_FLAG_FD_CLOEXEC"
);

/// `madvise(2)`'s and `process_madvise(2)`'s advice.
pub static MADVISE_BEHAVIORS: FlagTable = numbers!(
    "madvise_behaviors"
    0 "MADV_NORMAL"
    1 "MADV_RANDOM"
    2 "MADV_SEQUENTIAL"
    3 "MADV_WILLNEED"
    4 "MADV_DONTNEED"
    8 "MADV_FREE"
    9 "MADV_REMOVE"
    10 "MADV_DONTFORK"
    11 "MADV_DOFORK"
    12 "MADV_MERGEABLE"
    13 "MADV_UNMERGEABLE"
    14 "MADV_HUGEPAGE"
    15 "MADV_NOHUGEPAGE"
    16 "MADV_DONTDUMP"
    17 "MADV_DODUMP"
    18 "MADV_WIPEONFORK"
    19 "MADV_KEEPONFORK"
    20 "MADV_COLD"
    21 "MADV_PAGEOUT"
    22 "MADV_POPULATE_READ"
    23 "MADV_POPULATE_WRITE"
    24 "MADV_DONTNEED_LOCKED"
    25 "MADV_COLLAPSE"
    100 "MADV_HWPOISON"
    101 "MADV_SOFT_OFFLINE"
    102 "MADV_GUARD_INSTALL"
    103 "MADV_GUARD_REMOVE"
);

/// What Landlock handles, or allows, of a file.
pub static LANDLOCK_ACCESS_FS: FlagTable = bits!(
    "landlock_access_fs"
    0x1 "LANDLOCK_ACCESS_FS_EXECUTE"
    0x2 "LANDLOCK_ACCESS_FS_WRITE_FILE"
    0x4 "LANDLOCK_ACCESS_FS_READ_FILE"
    0x8 "LANDLOCK_ACCESS_FS_READ_DIR"
    0x10 "LANDLOCK_ACCESS_FS_REMOVE_DIR"
    0x20 "LANDLOCK_ACCESS_FS_REMOVE_FILE"
    0x40 "LANDLOCK_ACCESS_FS_MAKE_CHAR"
    0x80 "LANDLOCK_ACCESS_FS_MAKE_DIR"
    0x100 "LANDLOCK_ACCESS_FS_MAKE_REG"
    0x200 "LANDLOCK_ACCESS_FS_MAKE_SOCK"
    0x400 "LANDLOCK_ACCESS_FS_MAKE_FIFO"
    0x800 "LANDLOCK_ACCESS_FS_MAKE_BLOCK"
    0x1000 "LANDLOCK_ACCESS_FS_MAKE_SYM"
    0x2000 "LANDLOCK_ACCESS_FS_REFER"
    0x4000 "LANDLOCK_ACCESS_FS_TRUNCATE"
    0x8000 "LANDLOCK_ACCESS_FS_IOCTL_DEV"
);

/// The type of a rule of `landlock_add_rule(2)`.
pub static LANDLOCK_RULE_TYPES: FlagTable = numbers!(
    "landlock_rule_types"
    1 "LANDLOCK_RULE_PATH_BENEATH"
    2 "LANDLOCK_RULE_NET_PORT"
);

/// `inotify_add_watch(2)`'s mask.
pub static INOTIFY_MASK: FlagTable = bits!(
    "inotify_mask"
    1 "IN_ACCESS"
    2 "IN_MODIFY"
    4 "IN_ATTRIB"
    8 "IN_CLOSE_WRITE"
    0x10 "IN_CLOSE_NOWRITE"
    0x20 "IN_OPEN"
    0x40 "IN_MOVED_FROM"
    0x80 "IN_MOVED_TO"
    0x100 "IN_CREATE"
    0x200 "IN_DELETE"
    0x400 "IN_DELETE_SELF"
    0x800 "IN_MOVE_SELF"
    0x1000000 "IN_ONLYDIR"
    0x2000000 "IN_DONT_FOLLOW"
    0x4000000 "IN_EXCL_UNLINK"
    0x10000000 "IN_MASK_CREATE"
    0x20000000 "IN_MASK_ADD"
    0x80000000 "IN_ONESHOT"
);

/// `fanotify_init(2)` flags. The lowest class of a group is the absence of the others.
pub static FANOTIFY_INIT_FLAGS: FlagTable = own_bits(
    "fanotify_init_flags",
    &[
        Flag::bits("FAN_CLOEXEC", 1, 1),
        Flag::bits("FAN_NONBLOCK", 2, 2),
        Flag::value("FAN_CLASS_CONTENT", 0xc, 4, 4),
        Flag::value("FAN_CLASS_PRE_CONTENT", 0xc, 8, 8),
        Flag::bits("FAN_UNLIMITED_QUEUE", 0x10, 0x10),
        Flag::bits("FAN_UNLIMITED_MARKS", 0x20, 0x20),
        Flag::bits("FAN_ENABLE_AUDIT", 0x40, 0x40),
        Flag::bits("FAN_REPORT_PIDFD", 0x80, 0x80),
        Flag::bits("FAN_REPORT_TID", 0x100, 0x100),
        Flag::bits("FAN_REPORT_FID", 0x200, 0x200),
        Flag::bits("FAN_REPORT_DIR_FID", 0x400, 0x400),
        Flag::bits("FAN_REPORT_NAME", 0x800, 0x800),
        Flag::bits("FAN_REPORT_TARGET_FID", 0x1000, 0x1000),
        Flag::bits("FAN_REPORT_FD_ERROR", 0x2000, 0x2000),
        Flag::bits("FAN_REPORT_MNT", 0x4000, 0x4000),
    ],
);

/// `fanotify_mark(2)` flags.
pub static FANOTIFY_MARK_FLAGS: FlagTable = bits!(
    "fanotify_mark_flags"
    1 "FAN_MARK_ADD"
    2 "FAN_MARK_REMOVE"
    4 "FAN_MARK_DONT_FOLLOW"
    8 "FAN_MARK_ONLYDIR"
    0x10 "FAN_MARK_MOUNT"
    0x20 "FAN_MARK_IGNORED_MASK"
    0x40 "FAN_MARK_IGNORED_SURV_MODIFY"
    0x80 "FAN_MARK_FLUSH"
    0x100 "FAN_MARK_FILESYSTEM"
    0x200 "FAN_MARK_EVICTABLE"
    0x400 "FAN_MARK_IGNORE"
);

/// `fanotify_mark(2)`'s mask.
pub static FANOTIFY_MASK: FlagTable = bits!(
    "fanotify_mask"
    1 "FAN_ACCESS"
    2 "FAN_MODIFY"
    4 "FAN_ATTRIB"
    8 "FAN_CLOSE_WRITE"
    0x10 "FAN_CLOSE_NOWRITE"
    0x20 "FAN_OPEN"
    0x40 "FAN_MOVED_FROM"
    0x80 "FAN_MOVED_TO"
    0x100 "FAN_CREATE"
    0x200 "FAN_DELETE"
    0x400 "FAN_DELETE_SELF"
    0x800 "FAN_MOVE_SELF"
    0x1000 "FAN_OPEN_EXEC"
    0x8000 "FAN_FS_ERROR"
    0x10000 "FAN_OPEN_PERM"
    0x20000 "FAN_ACCESS_PERM"
    0x40000 "FAN_OPEN_EXEC_PERM"
    0x100000 "FAN_PRE_ACCESS"
    0x1000000 "FAN_MNT_ATTACH"
    0x2000000 "FAN_MNT_DETACH"
    0x8000000 "FAN_EVENT_ON_CHILD"
    0x10000000 "FAN_RENAME"
    0x40000000 "FAN_ONDIR"
);

/// `epoll_ctl(2)`'s operation.
pub static EPOLL_CTL_OPS: FlagTable = numbers!(
    "epoll_ctl_ops"
    1 "EPOLL_CTL_ADD"
    2 "EPOLL_CTL_DEL"
    3 "EPOLL_CTL_MOD"
);

/// `arch_prctl(2)`'s code.
pub static ARCH_PRCTL_CODES: FlagTable = numbers!(
    "arch_prctl_codes"
    0x1001 "ARCH_SET_GS"
    0x1002 "ARCH_SET_FS"
    0x1003 "ARCH_GET_FS"
    0x1004 "ARCH_GET_GS"
    0x1011 "ARCH_GET_CPUID"
    0x1012 "ARCH_SET_CPUID"
    0x1021 "ARCH_GET_XCOMP_SUPP"
    0x1022 "ARCH_GET_XCOMP_PERM"
    0x1023 "ARCH_REQ_XCOMP_PERM"
    0x4001 "ARCH_MAP_VDSO_X32"
    0x5001 "ARCH_SHSTK_ENABLE"
    0x5002 "ARCH_SHSTK_DISABLE"
    0x5003 "ARCH_SHSTK_LOCK"
);

/// `mremap(2)` flags.
pub static MREMAP_FLAGS: FlagTable = bits!(
    "mremap_flags"
    1 "MREMAP_MAYMOVE"
    2 "MREMAP_FIXED"
    4 "MREMAP_DONTUNMAP"
);

/// `msync(2)` flags.
pub static MSYNC_FLAGS: FlagTable = bits!(
    "msync_flags"
    1 "MS_ASYNC"
    2 "MS_INVALIDATE"
    4 "MS_SYNC"
);

/// Whose priority is meant.
pub static PRIORITY_KINDS: FlagTable = numbers!(
    "priority_kinds"
    0 "PRIO_PROCESS"
    1 "PRIO_PGRP"
    2 "PRIO_USER"
);

/// A scheduling policy.
pub static SCHED_POLICIES: FlagTable = numbers!(
    "sched_policies"
    0 "SCHED_OTHER"
    1 "SCHED_FIFO"
    2 "SCHED_RR"
    3 "SCHED_BATCH"
    5 "SCHED_IDLE"
    6 "SCHED_DEADLINE"
    7 "SCHED_EXT"
);

/// `getrandom(2)` flags.
pub static GETRANDOM_FLAGS: FlagTable = bits!(
    "getrandom_flags"
    1 "GRND_NONBLOCK"
    2 "GRND_RANDOM"
    4 "GRND_INSECURE"
);
