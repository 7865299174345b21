//! Flags and codes of calls that no state needs: memory, semaphores, keys, quotas, file operations.

use super::{Flag, FlagTable, codes, table};

/// `access(2)`'s mode.
pub static ACCESS_FLAGS: FlagTable = table(
    "access_flags",
    &[
        Flag::none("F_OK", 0),
        Flag::bits("R_OK", 4, 4),
        Flag::bits("W_OK", 2, 2),
        Flag::bits("X_OK", 1, 1),
    ],
);

/// `fchownat(2)` flags.
pub static FCHOWNAT_FLAGS: FlagTable = table(
    "fchownat_flags",
    &[
        Flag::bits("AT_SYMLINK_NOFOLLOW", 0x100, 0x100),
        Flag::bits("AT_EMPTY_PATH", 0x1000, 0x1000),
    ],
);

/// `newfstatat(2)` flags.
pub static NEWFSTATAT_FLAGS: FlagTable = table(
    "newfstatat_flags",
    &[
        Flag::bits("AT_EMPTY_PATH", 0x1000, 0x1000),
        Flag::bits("AT_NO_AUTOMOUNT", 0x800, 0x800),
        Flag::bits("AT_SYMLINK_NOFOLLOW", 0x100, 0x100),
    ],
);

const S_IFMT: u64 = 0o170000;

/// The mode of `mknod(2)`: permissions and the type of the file. Types whose numbers have the bits of others come before
/// those, other than in Falco, which shows a socket as a regular file.
pub static MKNOD_MODE: FlagTable = table(
    "mknod_mode",
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
        Flag::value("S_IFSOCK", S_IFMT, 0o140000, 0o140000),
        Flag::value("S_IFBLK", S_IFMT, 0o60000, 0o60000),
        Flag::value("S_IFREG", S_IFMT, 0o100000, 0o100000),
        Flag::value("S_IFCHR", S_IFMT, 0o20000, 0o20000),
        Flag::value("S_IFIFO", S_IFMT, 0o10000, 0o10000),
    ],
);

/// `lseek(2)`'s whence.
pub static LSEEK_WHENCE: FlagTable = codes(
    "lseek_whence",
    None,
    &[
        Flag::code("SEEK_END", 2, 2),
        Flag::code("SEEK_CUR", 1, 1),
        Flag::code("SEEK_SET", 0, 0),
    ],
);

/// `flock(2)`'s operation.
pub static FLOCK_FLAGS: FlagTable = table(
    "flock_flags",
    &[
        Flag::bits("LOCK_SH", 1, 1),
        Flag::bits("LOCK_EX", 2, 2),
        Flag::bits("LOCK_NB", 4, 4),
        Flag::bits("LOCK_UN", 8, 8),
        Flag::none("LOCK_NONE", 0),
    ],
);

/// `splice(2)` flags.
pub static SPLICE_FLAGS: FlagTable = table(
    "splice_flags",
    &[
        Flag::bits("SPLICE_F_MOVE", 1, 1),
        Flag::bits("SPLICE_F_NONBLOCK", 2, 2),
        Flag::bits("SPLICE_F_MORE", 4, 4),
        Flag::bits("SPLICE_F_GIFT", 8, 8),
    ],
);

/// The protection of `mmap(2)` and `mprotect(2)`.
pub static PROT_FLAGS: FlagTable = table(
    "prot_flags",
    &[
        Flag::bits("PROT_READ", 1, 1),
        Flag::bits("PROT_WRITE", 1 << 1, 1 << 1),
        Flag::bits("PROT_EXEC", 1 << 2, 1 << 2),
        Flag::bits("PROT_SEM", 1 << 3, 1 << 3),
        Flag::bits("PROT_GROWSDOWN", 1 << 24, 1 << 4),
        Flag::bits("PROT_GROWSUP", 1 << 25, 1 << 5),
        // PowerPC's.
        Flag::none("PROT_SAO", 1 << 6),
        Flag::none("PROT_NONE", 0),
    ],
);

/// `mmap(2)` flags.
pub static MMAP_FLAGS: FlagTable = table(
    "mmap_flags",
    &[
        Flag::bits("MAP_SHARED", 1, 1),
        Flag::bits("MAP_PRIVATE", 2, 1 << 1),
        Flag::bits("MAP_FIXED", 0x10, 1 << 2),
        Flag::bits("MAP_ANONYMOUS", 0x20, 1 << 3),
        Flag::bits("MAP_32BIT", 0x40, 1 << 4),
        Flag::none("MAP_RENAME", 1 << 5),
        Flag::bits("MAP_NORESERVE", 0x4000, 1 << 6),
        Flag::bits("MAP_POPULATE", 0x8000, 1 << 7),
        Flag::bits("MAP_NONBLOCK", 0x10000, 1 << 8),
        Flag::bits("MAP_GROWSDOWN", 0x100, 1 << 9),
        Flag::bits("MAP_DENYWRITE", 0x800, 1 << 10),
        Flag::bits("MAP_EXECUTABLE", 0x1000, 1 << 11),
        Flag::none("MAP_INHERIT", 1 << 12),
        Flag::none("MAP_FILE", 1 << 13),
        Flag::bits("MAP_LOCKED", 0x2000, 1 << 14),
    ],
);

/// `mlockall(2)` flags.
pub static MLOCKALL_FLAGS: FlagTable = table(
    "mlockall_flags",
    &[
        Flag::bits("MCL_CURRENT", 1, 1),
        Flag::bits("MCL_FUTURE", 2, 2),
        Flag::bits("MCL_ONFAULT", 4, 4),
    ],
);

/// `mlock2(2)` flags.
pub static MLOCK2_FLAGS: FlagTable = table("mlock2_flags", &[Flag::bits("MLOCK_ONFAULT", 1, 1)]);

/// `futex(2)`'s operation. One that is combined with `FUTEX_PRIVATE_FLAG` has no name.
pub static FUTEX_OPERATIONS: FlagTable = codes(
    "futex_operations",
    None,
    &[
        Flag::code("FUTEX_CLOCK_REALTIME", 256, 256),
        Flag::code("FUTEX_PRIVATE_FLAG", 128, 128),
        Flag::code("FUTEX_CMP_REQUEUE_PI", 12, 12),
        Flag::code("FUTEX_WAIT_REQUEUE_PI", 11, 11),
        Flag::code("FUTEX_WAKE_BITSET", 10, 10),
        Flag::code("FUTEX_WAIT_BITSET", 9, 9),
        Flag::code("FUTEX_TRYLOCK_PI", 8, 8),
        Flag::code("FUTEX_UNLOCK_PI", 7, 7),
        Flag::code("FUTEX_LOCK_PI", 6, 6),
        Flag::code("FUTEX_WAKE_OP", 5, 5),
        Flag::code("FUTEX_CMP_REQUEUE", 4, 4),
        Flag::code("FUTEX_REQUEUE", 3, 3),
        Flag::code("FUTEX_FD", 2, 2),
        Flag::code("FUTEX_WAKE", 1, 1),
        Flag::code("FUTEX_WAIT", 0, 0),
    ],
);

/// The flags of an operation of `semop(2)`.
pub static SEMOP_FLAGS: FlagTable = table(
    "semop_flags",
    &[
        Flag::bits("IPC_NOWAIT", 0o4000, 1),
        Flag::bits("SEM_UNDO", 0x1000, 1 << 1),
    ],
);

/// `semget(2)` flags.
pub static SEMGET_FLAGS: FlagTable = table(
    "semget_flags",
    &[
        Flag::bits("IPC_EXCL", 0o2000, 1 << 14),
        Flag::bits("IPC_CREAT", 0o1000, 1 << 13),
    ],
);

/// A command of `semctl(2)`; 32-bit callers add a bit that asks for the newer structures.
const fn semctl(name: &'static str, command: u64, falco: u32) -> Flag {
    Flag::value(name, 0xffff_feff, command, falco)
}

/// `semctl(2)`'s command.
pub static SEMCTL_COMMANDS: FlagTable = table(
    "semctl_commands",
    &[
        semctl("IPC_STAT", 2, 1),
        semctl("IPC_SET", 1, 1 << 1),
        semctl("IPC_RMID", 0, 1 << 2),
        semctl("IPC_INFO", 3, 1 << 3),
        semctl("SEM_INFO", 19, 1 << 4),
        semctl("SEM_STAT", 18, 1 << 5),
        semctl("GETALL", 13, 1 << 6),
        semctl("GETNCNT", 14, 1 << 7),
        semctl("GETPID", 11, 1 << 8),
        semctl("GETVAL", 12, 1 << 9),
        semctl("GETZCNT", 15, 1 << 10),
        semctl("SETALL", 17, 1 << 11),
        semctl("SETVAL", 16, 1 << 12),
    ],
);

/// A command of `quotactl(2)`, which has the type of quota in its lowest byte.
const fn quota(name: &'static str, command: u64, falco: u32) -> Flag {
    Flag::value(name, 0xffff_ff00, command << 8 & 0xffff_ffff, falco)
}

/// `quotactl(2)`'s command, without the type of quota.
pub static QUOTACTL_CMDS: FlagTable = table(
    "quotactl_cmds",
    &[
        quota("Q_QUOTAON", 0x80_0002, 1),
        quota("Q_QUOTAOFF", 0x80_0003, 1 << 1),
        quota("Q_GETFMT", 0x80_0004, 1 << 2),
        quota("Q_GETINFO", 0x80_0005, 1 << 3),
        quota("Q_SETINFO", 0x80_0006, 1 << 4),
        quota("Q_GETQUOTA", 0x80_0007, 1 << 5),
        quota("Q_SETQUOTA", 0x80_0008, 1 << 6),
        quota("Q_SYNC", 0x80_0001, 1 << 7),
        quota("Q_XQUOTAON", 0x5801, 1 << 8),
        quota("Q_XQUOTAOFF", 0x5802, 1 << 9),
        quota("Q_XGETQUOTA", 0x5803, 1 << 10),
        quota("Q_XSETQLIM", 0x5804, 1 << 11),
        quota("Q_XGETQSTAT", 0x5805, 1 << 12),
        quota("Q_XQUOTARM", 0x5806, 1 << 13),
        quota("Q_XQUOTASYNC", 0x5807, 1 << 14),
    ],
);

/// The type of quota in `quotactl(2)`'s command.
pub static QUOTACTL_TYPES: FlagTable = table(
    "quotactl_types",
    &[
        Flag::value("USRQUOTA", 0xff, 0, 1),
        Flag::value("GRPQUOTA", 0xff, 1, 1 << 1),
    ],
);

/// The format of a file of quotas; 0 where none is given.
pub static QUOTACTL_QUOTA_FMTS: FlagTable = table(
    "quotactl_quota_fmts",
    &[
        Flag::value("QFMT_NOT_USED", 0xffff_ffff, 0, 1),
        Flag::value("QFMT_VFS_OLD", 0xffff_ffff, 1, 1 << 1),
        Flag::value("QFMT_VFS_V0", 0xffff_ffff, 2, 1 << 2),
        Flag::value("QFMT_VFS_V1", 0xffff_ffff, 4, 1 << 3),
    ],
);

/// The flags in the `struct if_dqinfo` of `quotactl(2)`.
pub static QUOTACTL_DQI_FLAGS: FlagTable = table(
    "quotactl_dqi_flags",
    &[
        Flag::value("DQF_NONE", 0xffff_ffff, 0, 1),
        Flag::value("V1_DQF_RSQUASH", 1, 1, 1 << 1),
    ],
);

/// `delete_module(2)` flags.
pub static DELETE_MODULE_FLAGS: FlagTable = table(
    "delete_module_flags",
    &[
        Flag::bits("O_NONBLOCK", 0o4000, 1),
        Flag::bits("O_TRUNC", 0o1000, 1 << 1),
    ],
);

/// `fsconfig(2)`'s command.
pub static FSCONFIG_CMDS: FlagTable = codes(
    "fsconfig_cmds",
    None,
    &[
        Flag::code("FSCONFIG_SET_FLAG", 0, 0),
        Flag::code("FSCONFIG_SET_STRING", 1, 1),
        Flag::code("FSCONFIG_SET_BINARY", 2, 2),
        Flag::code("FSCONFIG_SET_PATH", 3, 3),
        Flag::code("FSCONFIG_SET_PATH_EMPTY", 4, 4),
        Flag::code("FSCONFIG_SET_FD", 5, 5),
        Flag::code("FSCONFIG_CMD_CREATE", 6, 6),
        Flag::code("FSCONFIG_CMD_RECONFIGURE", 7, 7),
    ],
);

/// `io_uring_enter(2)` flags.
pub static IO_URING_ENTER_FLAGS: FlagTable = table(
    "io_uring_enter_flags",
    &[
        Flag::bits("IORING_ENTER_GETEVENTS", 1, 1),
        Flag::bits("IORING_ENTER_SQ_WAKEUP", 2, 2),
        Flag::bits("IORING_ENTER_SQ_WAIT", 4, 4),
        Flag::bits("IORING_ENTER_EXT_ARG", 8, 8),
    ],
);

macro_rules! numbered {
    ($table:literal $( $code:literal $name:literal )*) => {
        codes($table, None, &[ $( Flag::code($name, $code, $code) ),* ])
    };
}

/// `io_uring_register(2)`'s opcode.
pub static IO_URING_REGISTER_OPCODES: FlagTable = numbered!(
    "io_uring_register_opcodes"
    0 "IORING_REGISTER_BUFFERS"
    1 "IORING_UNREGISTER_BUFFERS"
    2 "IORING_REGISTER_FILES"
    3 "IORING_UNREGISTER_FILES"
    4 "IORING_REGISTER_EVENTFD"
    5 "IORING_UNREGISTER_EVENTFD"
    6 "IORING_REGISTER_FILES_UPDATE"
    7 "IORING_REGISTER_EVENTFD_ASYNC"
    8 "IORING_REGISTER_PROBE"
    9 "IORING_REGISTER_PERSONALITY"
    10 "IORING_UNREGISTER_PERSONALITY"
    11 "IORING_REGISTER_RESTRICTIONS"
    12 "IORING_REGISTER_ENABLE_RINGS"
    13 "IORING_REGISTER_FILES2"
    14 "IORING_REGISTER_FILES_UPDATE2"
    15 "IORING_REGISTER_BUFFERS2"
    16 "IORING_REGISTER_BUFFERS_UPDATE"
    17 "IORING_REGISTER_IOWQ_AFF"
    18 "IORING_UNREGISTER_IOWQ_AFF"
    19 "IORING_REGISTER_IOWQ_MAX_WORKERS"
    20 "IORING_REGISTER_RING_FDS"
    21 "IORING_UNREGISTER_RING_FDS"
);

/// `keyctl(2)`'s operation.
pub static KEYCTL_OPERATIONS: FlagTable = numbered!(
    "keyctl_operations"
    0 "KEYCTL_GET_KEYRING_ID"
    1 "KEYCTL_JOIN_SESSION_KEYRING"
    2 "KEYCTL_UPDATE"
    3 "KEYCTL_REVOKE"
    4 "KEYCTL_CHOWN"
    5 "KEYCTL_SETPERM"
    6 "KEYCTL_DESCRIBE"
    7 "KEYCTL_CLEAR"
    8 "KEYCTL_LINK"
    9 "KEYCTL_UNLINK"
    10 "KEYCTL_SEARCH"
    11 "KEYCTL_READ"
    12 "KEYCTL_INSTANTIATE"
    13 "KEYCTL_NEGATE"
    14 "KEYCTL_SET_REQKEY_KEYRING"
    15 "KEYCTL_SET_TIMEOUT"
    16 "KEYCTL_ASSUME_AUTHORITY"
    17 "KEYCTL_GET_SECURITY"
    18 "KEYCTL_SESSION_TO_PARENT"
    19 "KEYCTL_REJECT"
    20 "KEYCTL_INSTANTIATE_IOV"
    21 "KEYCTL_INVALIDATE"
    22 "KEYCTL_GET_PERSISTENT"
    23 "KEYCTL_DH_COMPUTE"
    24 "KEYCTL_PKEY_QUERY"
    25 "KEYCTL_PKEY_ENCRYPT"
    26 "KEYCTL_PKEY_DECRYPT"
    27 "KEYCTL_PKEY_SIGN"
    28 "KEYCTL_PKEY_VERIFY"
    29 "KEYCTL_RESTRICT_KEYRING"
    30 "KEYCTL_MOVE"
    31 "KEYCTL_CAPABILITIES"
    32 "KEYCTL_WATCH_KEY"
);
