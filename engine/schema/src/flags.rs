//! Names of bits and codes, as Falco prints them.
//!
//! Source: the names and their order are Falco's (`driver/flags_table.c`); the values are the kernel's own
//! (`include/uapi`), because Lanner keeps what the kernel was given and renders it late.

/// How the numbers of a [`FlagTable`] combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagKind {
    /// Bits: every name whose bits are all set is printed, joined by `|`.
    Bits,
    /// The access mode of `open(2)`: the low two bits are a code, the rest are bits.
    OpenFlags,
    /// One name at most.
    Code,
}

/// One table of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagTable {
    /// The table's name in Falco (`file_flags`, `clone_flags`, …).
    pub name: &'static str,
    /// How the numbers combine.
    pub kind: FlagKind,
    /// Name and value, in the order they are printed.
    pub names: &'static [(&'static str, u64)],
}

impl FlagTable {
    /// Calls `each` with every name `value` has, in print order.
    pub fn for_each(&self, value: u64, mut each: impl FnMut(&'static str)) {
        for &(name, bits) in self.names {
            let set = match self.kind {
                FlagKind::Code => value == bits,
                FlagKind::OpenFlags if bits <= 2 => value & 3 == bits,
                FlagKind::OpenFlags | FlagKind::Bits => bits != 0 && value & bits == bits,
            };
            if set {
                each(name);
            }
        }
    }

    /// Appends the names of `value`, joined by `|`, to `out`. Nothing when it has none.
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

    /// The value of `name`.
    pub fn value(&self, name: &str) -> Option<u64> {
        self.names.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }
}

/// Set by capture in the flags of a successful open that created its file; the kernel has no such bit in `open(2)`.
pub const O_F_CREATED: u64 = 1 << 40;

/// `open(2)` flags.
pub static FILE_FLAGS: FlagTable = FlagTable {
    name: "file_flags",
    kind: FlagKind::OpenFlags,
    names: &[
        ("O_LARGEFILE", 0o100000),
        ("O_DIRECTORY", 0o200000),
        ("O_DIRECT", 0o40000),
        ("O_TRUNC", 0o1000),
        ("O_SYNC", 0o4010000),
        ("O_NONBLOCK", 0o4000),
        ("O_EXCL", 0o200),
        ("O_DSYNC", 0o10000),
        ("O_APPEND", 0o2000),
        ("O_CREAT", 0o100),
        ("O_RDWR", 2),
        ("O_WRONLY", 1),
        ("O_RDONLY", 0),
        ("O_CLOEXEC", 0o2000000),
        ("O_TMPFILE", 0o20200000),
        ("O_F_CREATED", O_F_CREATED),
    ],
};

/// Those of them that calls take which make descriptors of other kinds; no access mode among them.
pub static DESCRIPTOR_FLAGS: FlagTable = FlagTable {
    name: "file_flags",
    kind: FlagKind::Bits,
    names: &[("O_NONBLOCK", 0o4000), ("O_CLOEXEC", 0o2000000)],
};

/// `openat2(2)`'s `resolve`.
pub static OPENAT2_FLAGS: FlagTable = FlagTable {
    name: "openat2_flags",
    kind: FlagKind::Bits,
    names: &[
        ("RESOLVE_BENEATH", 0x08),
        ("RESOLVE_IN_ROOT", 0x10),
        ("RESOLVE_NO_MAGICLINKS", 0x02),
        ("RESOLVE_NO_SYMLINKS", 0x04),
        ("RESOLVE_NO_XDEV", 0x01),
        ("RESOLVE_CACHED", 0x20),
    ],
};

/// `clone(2)`, `unshare(2)` and `setns(2)` flags.
pub static CLONE_FLAGS: FlagTable = FlagTable {
    name: "clone_flags",
    kind: FlagKind::Bits,
    names: &[
        ("CLONE_FILES", 0x400),
        ("CLONE_FS", 0x200),
        ("CLONE_IO", 0x8000_0000),
        ("CLONE_NEWIPC", 0x0800_0000),
        ("CLONE_NEWNET", 0x4000_0000),
        ("CLONE_NEWNS", 0x0002_0000),
        ("CLONE_NEWPID", 0x2000_0000),
        ("CLONE_NEWUTS", 0x0400_0000),
        ("CLONE_PARENT", 0x8000),
        ("CLONE_PARENT_SETTID", 0x0010_0000),
        ("CLONE_PTRACE", 0x2000),
        ("CLONE_SIGHAND", 0x800),
        ("CLONE_SYSVSEM", 0x0004_0000),
        ("CLONE_THREAD", 0x0001_0000),
        ("CLONE_UNTRACED", 0x0080_0000),
        ("CLONE_VM", 0x100),
        ("CLONE_NEWUSER", 0x1000_0000),
        ("CLONE_CHILD_CLEARTID", 0x0020_0000),
        ("CLONE_CHILD_SETTID", 0x0100_0000),
        ("CLONE_SETTLS", 0x0008_0000),
        ("CLONE_VFORK", 0x4000),
        ("CLONE_NEWCGROUP", 0x0200_0000),
    ],
};

/// `unlinkat(2)` flags.
pub static UNLINKAT_FLAGS: FlagTable = FlagTable {
    name: "unlinkat_flags",
    kind: FlagKind::Bits,
    names: &[("AT_REMOVEDIR", 0x200)],
};

/// `linkat(2)` flags.
pub static LINKAT_FLAGS: FlagTable = FlagTable {
    name: "linkat_flags",
    kind: FlagKind::Bits,
    names: &[("AT_SYMLINK_FOLLOW", 0x400), ("AT_EMPTY_PATH", 0x1000)],
};

/// `renameat2(2)` flags.
pub static RENAMEAT2_FLAGS: FlagTable = FlagTable {
    name: "renameat2_flags",
    kind: FlagKind::Bits,
    names: &[
        ("RENAME_NOREPLACE", 1),
        ("RENAME_EXCHANGE", 2),
        ("RENAME_WHITEOUT", 4),
    ],
};

/// Permission bits.
pub static CHMOD_MODE: FlagTable = FlagTable {
    name: "chmod_mode",
    kind: FlagKind::Bits,
    names: &[
        ("S_IXOTH", 0o1),
        ("S_IWOTH", 0o2),
        ("S_IROTH", 0o4),
        ("S_IXGRP", 0o10),
        ("S_IWGRP", 0o20),
        ("S_IRGRP", 0o40),
        ("S_IXUSR", 0o100),
        ("S_IWUSR", 0o200),
        ("S_IRUSR", 0o400),
        ("S_ISVTX", 0o1000),
        ("S_ISGID", 0o2000),
        ("S_ISUID", 0o4000),
    ],
};

/// What `execve`'s `flags` parameter says of the executable.
pub static EXECVE_FLAGS: FlagTable = FlagTable {
    name: "execve_flags",
    kind: FlagKind::Bits,
    names: &[
        ("EXE_WRITABLE", 1),
        ("EXE_UPPER_LAYER", 2),
        ("EXE_FROM_MEMFD", 4),
        ("EXE_LOWER_LAYER", 8),
    ],
};

/// Address families.
pub static SOCKET_FAMILIES: FlagTable = FlagTable {
    name: "socket_families",
    kind: FlagKind::Code,
    names: &[
        ("AF_UNSPEC", 0),
        ("AF_UNIX", 1),
        ("AF_INET", 2),
        ("AF_AX25", 3),
        ("AF_IPX", 4),
        ("AF_APPLETALK", 5),
        ("AF_NETROM", 6),
        ("AF_BRIDGE", 7),
        ("AF_ATMPVC", 8),
        ("AF_X25", 9),
        ("AF_INET6", 10),
        ("AF_ROSE", 11),
        ("AF_NETLINK", 16),
        ("AF_PACKET", 17),
        ("AF_RDS", 21),
        ("AF_LLC", 26),
        ("AF_CAN", 29),
        ("AF_TIPC", 30),
        ("AF_BLUETOOTH", 31),
        ("AF_ALG", 38),
        ("AF_NFC", 39),
    ],
};

/// `shutdown(2)`: which ways.
pub static SHUTDOWN_HOW: FlagTable = FlagTable {
    name: "shutdown_how",
    kind: FlagKind::Code,
    names: &[("SHUT_RDWR", 2), ("SHUT_WR", 1), ("SHUT_RD", 0)],
};

/// Levels of socket options. Those of other protocols are recorded as 0.
pub static SOCKOPT_LEVELS: FlagTable = FlagTable {
    name: "sockopt_levels",
    kind: FlagKind::Code,
    names: &[("SOL_SOCKET", 1), ("SOL_TCP", 6), ("UNKNOWN", 0)],
};

/// Socket options of the level `SOL_SOCKET`. Those of other levels are recorded as 0.
pub static SOCKOPT_OPTIONS: FlagTable = FlagTable {
    name: "sockopt_options",
    kind: FlagKind::Code,
    names: &[
        ("SO_COOKIE", 57),
        ("SO_MEMINFO", 55),
        ("SO_PEERGROUPS", 59),
        ("SO_ATTACH_BPF", 50),
        ("SO_INCOMING_CPU", 49),
        ("SO_BPF_EXTENSIONS", 48),
        ("SO_MAX_PACING_RATE", 47),
        ("SO_BUSY_POLL", 46),
        ("SO_SELECT_ERR_QUEUE", 45),
        ("SO_LOCK_FILTER", 44),
        ("SO_NOFCS", 43),
        ("SO_PEEK_OFF", 42),
        ("SO_WIFI_STATUS", 41),
        ("SO_RXQ_OVFL", 40),
        ("SO_DOMAIN", 39),
        ("SO_PROTOCOL", 38),
        ("SO_TIMESTAMPING", 37),
        ("SO_MARK", 36),
        ("SO_TIMESTAMPNS", 35),
        ("SO_PASSSEC", 34),
        ("SO_PEERSEC", 31),
        ("SO_ACCEPTCONN", 30),
        ("SO_TIMESTAMP", 29),
        ("SO_PEERNAME", 28),
        ("SO_DETACH_FILTER", 27),
        ("SO_ATTACH_FILTER", 26),
        ("SO_BINDTODEVICE", 25),
        ("SO_SECURITY_ENCRYPTION_NETWORK", 24),
        ("SO_SECURITY_ENCRYPTION_TRANSPORT", 23),
        ("SO_SECURITY_AUTHENTICATION", 22),
        ("SO_SNDTIMEO", 21),
        ("SO_SNDTIMEO", 67),
        ("SO_RCVTIMEO", 20),
        ("SO_RCVTIMEO", 66),
        ("SO_SNDLOWAT", 19),
        ("SO_RCVLOWAT", 18),
        ("SO_PEERCRED", 17),
        ("SO_PASSCRED", 16),
        ("SO_REUSEPORT", 15),
        ("SO_BSDCOMPAT", 14),
        ("SO_LINGER", 13),
        ("SO_PRIORITY", 12),
        ("SO_NO_CHECK", 11),
        ("SO_OOBINLINE", 10),
        ("SO_KEEPALIVE", 9),
        ("SO_RCVBUFFORCE", 33),
        ("SO_SNDBUFFORCE", 32),
        ("SO_RCVBUF", 8),
        ("SO_SNDBUF", 7),
        ("SO_BROADCAST", 6),
        ("SO_DONTROUTE", 5),
        ("SO_ERROR", 4),
        ("SO_TYPE", 3),
        ("SO_REUSEADDR", 2),
        ("SO_DEBUG", 1),
        ("UNKNOWN", 0),
    ],
};

/// `ptrace(2)` requests.
pub static PTRACE_REQUESTS: FlagTable = FlagTable {
    name: "ptrace_requests",
    kind: FlagKind::Code,
    names: &[
        ("PTRACE_TRACEME", 0),
        ("PTRACE_PEEKTEXT", 1),
        ("PTRACE_PEEKDATA", 2),
        ("PTRACE_PEEKUSR", 3),
        ("PTRACE_POKETEXT", 4),
        ("PTRACE_POKEDATA", 5),
        ("PTRACE_POKEUSR", 6),
        ("PTRACE_CONT", 7),
        ("PTRACE_KILL", 8),
        ("PTRACE_SINGLESTEP", 9),
        ("PTRACE_GETREGS", 12),
        ("PTRACE_SETREGS", 13),
        ("PTRACE_GETFPREGS", 14),
        ("PTRACE_SETFPREGS", 15),
        ("PTRACE_ATTACH", 16),
        ("PTRACE_DETACH", 17),
        ("PTRACE_GETFPXREGS", 18),
        ("PTRACE_SETFPXREGS", 19),
        ("PTRACE_OLDSETOPTIONS", 21),
        ("PTRACE_SYSCALL", 24),
        ("PTRACE_GET_THREAD_AREA", 25),
        ("PTRACE_SET_THREAD_AREA", 26),
        ("PTRACE_ARCH_PRCTL", 30),
        ("PTRACE_SYSEMU", 31),
        ("PTRACE_SYSEMU_SINGLESTEP", 32),
        ("PTRACE_SINGLEBLOCK", 33),
        ("PTRACE_SETOPTIONS", 0x4200),
        ("PTRACE_GETEVENTMSG", 0x4201),
        ("PTRACE_GETSIGINFO", 0x4202),
        ("PTRACE_SETSIGINFO", 0x4203),
        ("PTRACE_GETREGSET", 0x4204),
        ("PTRACE_SETREGSET", 0x4205),
        ("PTRACE_SEIZE", 0x4206),
        ("PTRACE_INTERRUPT", 0x4207),
        ("PTRACE_LISTEN", 0x4208),
        ("PTRACE_PEEKSIGINFO", 0x4209),
        ("PTRACE_GETSIGMASK", 0x420a),
        ("PTRACE_SETSIGMASK", 0x420b),
    ],
};

/// `mount(2)` flags.
pub static MOUNT_FLAGS: FlagTable = FlagTable {
    name: "mount_flags",
    kind: FlagKind::Bits,
    names: &[
        ("RDONLY", 1 << 0),
        ("NOSUID", 1 << 1),
        ("NODEV", 1 << 2),
        ("NOEXEC", 1 << 3),
        ("SYNCHRONOUS", 1 << 4),
        ("REMOUNT", 1 << 5),
        ("MANDLOCK", 1 << 6),
        ("DIRSYNC", 1 << 7),
        ("NOATIME", 1 << 10),
        ("NODIRATIME", 1 << 11),
        ("BIND", 1 << 12),
        ("MOVE", 1 << 13),
        ("REC", 1 << 14),
        ("SILENT", 1 << 15),
        ("POSIXACL", 1 << 16),
        ("UNBINDABLE", 1 << 17),
        ("PRIVATE", 1 << 18),
        ("SLAVE", 1 << 19),
        ("SHARED", 1 << 20),
        ("RELATIME", 1 << 21),
        ("KERNMOUNT", 1 << 22),
        ("I_VERSION", 1 << 23),
        ("STRICTATIME", 1 << 24),
        ("LAZYTIME", 1 << 25),
        ("NOSEC", 1 << 28),
        ("BORN", 1 << 29),
        ("ACTIVE", 1 << 30),
        ("NOUSER", 1 << 31),
    ],
};

/// `umount2(2)` flags.
pub static UMOUNT_FLAGS: FlagTable = FlagTable {
    name: "umount_flags",
    kind: FlagKind::Bits,
    names: &[("FORCE", 1), ("DETACH", 2), ("EXPIRE", 4), ("NOFOLLOW", 8)],
};

/// Resources of `setrlimit(2)` and `prlimit(2)`.
pub static RLIMIT_RESOURCES: FlagTable = FlagTable {
    name: "rlimit_resources",
    kind: FlagKind::Code,
    names: &[
        ("RLIMIT_CPU", 0),
        ("RLIMIT_FSIZE", 1),
        ("RLIMIT_DATA", 2),
        ("RLIMIT_STACK", 3),
        ("RLIMIT_CORE", 4),
        ("RLIMIT_RSS", 5),
        ("RLIMIT_NPROC", 6),
        ("RLIMIT_NOFILE", 7),
        ("RLIMIT_MEMLOCK", 8),
        ("RLIMIT_AS", 9),
        ("RLIMIT_LOCKS", 10),
        ("RLIMIT_SIGPENDING", 11),
        ("RLIMIT_MSGQUEUE", 12),
        ("RLIMIT_NICE", 13),
        ("RLIMIT_RTPRIO", 14),
        ("RLIMIT_RTTIME", 15),
    ],
};

/// `prctl(2)` options.
pub static PRCTL_OPTIONS: FlagTable = FlagTable {
    name: "prctl_options",
    kind: FlagKind::Code,
    names: &[
        ("PR_SET_PDEATHSIG", 1),
        ("PR_GET_PDEATHSIG", 2),
        ("PR_GET_DUMPABLE", 3),
        ("PR_SET_DUMPABLE", 4),
        ("PR_GET_UNALIGN", 5),
        ("PR_SET_UNALIGN", 6),
        ("PR_GET_KEEPCAPS", 7),
        ("PR_SET_KEEPCAPS", 8),
        ("PR_GET_FPEMU", 9),
        ("PR_SET_FPEMU", 10),
        ("PR_GET_FPEXC", 11),
        ("PR_SET_FPEXC", 12),
        ("PR_GET_TIMING", 13),
        ("PR_SET_TIMING", 14),
        ("PR_SET_NAME", 15),
        ("PR_GET_NAME", 16),
        ("PR_GET_ENDIAN", 19),
        ("PR_SET_ENDIAN", 20),
        ("PR_GET_SECCOMP", 21),
        ("PR_SET_SECCOMP", 22),
        ("PR_CAPBSET_READ", 23),
        ("PR_CAPBSET_DROP", 24),
        ("PR_GET_TSC", 25),
        ("PR_SET_TSC", 26),
        ("PR_GET_SECUREBITS", 27),
        ("PR_SET_SECUREBITS", 28),
        ("PR_SET_TIMERSLACK", 29),
        ("PR_GET_TIMERSLACK", 30),
        ("PR_TASK_PERF_EVENTS_DISABLE", 31),
        ("PR_TASK_PERF_EVENTS_ENABLE", 32),
        ("PR_MCE_KILL", 33),
        ("PR_MCE_KILL_GET", 34),
        ("PR_SET_MM", 35),
        ("PR_SET_CHILD_SUBREAPER", 36),
        ("PR_GET_CHILD_SUBREAPER", 37),
        ("PR_SET_NO_NEW_PRIVS", 38),
        ("PR_GET_NO_NEW_PRIVS", 39),
        ("PR_GET_TID_ADDRESS", 40),
        ("PR_SET_THP_DISABLE", 41),
        ("PR_GET_THP_DISABLE", 42),
        ("PR_MPX_ENABLE_MANAGEMENT", 43),
        ("PR_MPX_DISABLE_MANAGEMENT", 44),
        ("PR_SET_FP_MODE", 45),
        ("PR_GET_FP_MODE", 46),
        ("PR_CAP_AMBIENT", 47),
        ("PR_SVE_SET_VL", 50),
        ("PR_SVE_GET_VL", 51),
        ("PR_GET_SPECULATION_CTRL", 52),
        ("PR_SET_SPECULATION_CTRL", 53),
        ("PR_PAC_RESET_KEYS", 54),
        ("PR_SET_TAGGED_ADDR_CTRL", 55),
        ("PR_GET_TAGGED_ADDR_CTRL", 56),
        ("PR_SET_IO_FLUSHER", 57),
        ("PR_GET_IO_FLUSHER", 58),
        ("PR_SET_SYSCALL_USER_DISPATCH", 59),
        ("PR_PAC_SET_ENABLED_KEYS", 60),
        ("PR_PAC_GET_ENABLED_KEYS", 61),
        ("PR_SCHED_CORE", 62),
        ("PR_SME_SET_VL", 63),
        ("PR_SME_GET_VL", 64),
        ("PR_SET_MDWE", 65),
        ("PR_GET_MDWE", 66),
        ("PR_SET_MEMORY_MERGE", 67),
        ("PR_GET_MEMORY_MERGE", 68),
        ("PR_SET_VMA", 0x5356_4d41),
        ("PR_SET_PTRACER", 0x5961_6d61),
    ],
};

/// `memfd_create(2)` flags.
pub static MEMFD_CREATE_FLAGS: FlagTable = FlagTable {
    name: "memfd_create_flags",
    kind: FlagKind::Bits,
    names: &[("MFD_CLOEXEC", 1), ("MFD_ALLOW_SEALING", 2), ("MFD_HUGETLB", 4)],
};

/// `finit_module(2)` flags.
pub static FINIT_MODULE_FLAGS: FlagTable = FlagTable {
    name: "finit_module_flags",
    kind: FlagKind::Bits,
    names: &[
        ("MODULE_INIT_IGNORE_MODVERSIONS", 1),
        ("MODULE_INIT_IGNORE_VERMAGIC", 2),
        ("MODULE_INIT_COMPRESSED_FILE", 4),
    ],
};

/// `bpf(2)` commands (`enum bpf_cmd`).
pub static BPF_COMMANDS: FlagTable = FlagTable {
    name: "bpf_commands",
    kind: FlagKind::Code,
    names: &[
        ("BPF_MAP_CREATE", 0),
        ("BPF_MAP_LOOKUP_ELEM", 1),
        ("BPF_MAP_UPDATE_ELEM", 2),
        ("BPF_MAP_DELETE_ELEM", 3),
        ("BPF_MAP_GET_NEXT_KEY", 4),
        ("BPF_PROG_LOAD", 5),
        ("BPF_OBJ_PIN", 6),
        ("BPF_OBJ_GET", 7),
        ("BPF_PROG_ATTACH", 8),
        ("BPF_PROG_DETACH", 9),
        ("BPF_PROG_TEST_RUN", 10),
        ("BPF_PROG_GET_NEXT_ID", 11),
        ("BPF_MAP_GET_NEXT_ID", 12),
        ("BPF_PROG_GET_FD_BY_ID", 13),
        ("BPF_MAP_GET_FD_BY_ID", 14),
        ("BPF_OBJ_GET_INFO_BY_FD", 15),
        ("BPF_PROG_QUERY", 16),
        ("BPF_RAW_TRACEPOINT_OPEN", 17),
        ("BPF_BTF_LOAD", 18),
        ("BPF_BTF_GET_FD_BY_ID", 19),
        ("BPF_TASK_FD_QUERY", 20),
        ("BPF_MAP_LOOKUP_AND_DELETE_ELEM", 21),
        ("BPF_MAP_FREEZE", 22),
        ("BPF_BTF_GET_NEXT_ID", 23),
        ("BPF_MAP_LOOKUP_BATCH", 24),
        ("BPF_MAP_LOOKUP_AND_DELETE_BATCH", 25),
        ("BPF_MAP_UPDATE_BATCH", 26),
        ("BPF_MAP_DELETE_BATCH", 27),
        ("BPF_LINK_CREATE", 28),
        ("BPF_LINK_UPDATE", 29),
        ("BPF_LINK_GET_FD_BY_ID", 30),
        ("BPF_LINK_GET_NEXT_ID", 31),
        ("BPF_ENABLE_STATS", 32),
        ("BPF_ITER_CREATE", 33),
        ("BPF_LINK_DETACH", 34),
        ("BPF_PROG_BIND_MAP", 35),
    ],
};

/// Capability names by bit (`include/uapi/linux/capability.h`).
pub const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The symbolic name of an errno value (`2` → `ENOENT`), as `evt.res` prints it.
pub fn errno_name(errno: u64) -> Option<&'static str> {
    const NAMES: &[&str] = &[
        "",
        "EPERM",
        "ENOENT",
        "ESRCH",
        "EINTR",
        "EIO",
        "ENXIO",
        "E2BIG",
        "ENOEXEC",
        "EBADF",
        "ECHILD",
        "EAGAIN",
        "ENOMEM",
        "EACCES",
        "EFAULT",
        "ENOTBLK",
        "EBUSY",
        "EEXIST",
        "EXDEV",
        "ENODEV",
        "ENOTDIR",
        "EISDIR",
        "EINVAL",
        "ENFILE",
        "EMFILE",
        "ENOTTY",
        "ETXTBSY",
        "EFBIG",
        "ENOSPC",
        "ESPIPE",
        "EROFS",
        "EMLINK",
        "EPIPE",
        "EDOM",
        "ERANGE",
        "EDEADLK",
        "ENAMETOOLONG",
        "ENOLCK",
        "ENOSYS",
        "ENOTEMPTY",
        "ELOOP",
        "",
        "ENOMSG",
        "EIDRM",
        "ECHRNG",
        "EL2NSYNC",
        "EL3HLT",
        "EL3RST",
        "ELNRNG",
        "EUNATCH",
        "ENOCSI",
        "EL2HLT",
        "EBADE",
        "EBADR",
        "EXFULL",
        "ENOANO",
        "EBADRQC",
        "EBADSLT",
        "",
        "EBFONT",
        "ENOSTR",
        "ENODATA",
        "ETIME",
        "ENOSR",
        "ENONET",
        "ENOPKG",
        "EREMOTE",
        "ENOLINK",
        "EADV",
        "ESRMNT",
        "ECOMM",
        "EPROTO",
        "EMULTIHOP",
        "EDOTDOT",
        "EBADMSG",
        "EOVERFLOW",
        "ENOTUNIQ",
        "EBADFD",
        "EREMCHG",
        "ELIBACC",
        "ELIBBAD",
        "ELIBSCN",
        "ELIBMAX",
        "ELIBEXEC",
        "EILSEQ",
        "ERESTART",
        "ESTRPIPE",
        "EUSERS",
        "ENOTSOCK",
        "EDESTADDRREQ",
        "EMSGSIZE",
        "EPROTOTYPE",
        "ENOPROTOOPT",
        "EPROTONOSUPPORT",
        "ESOCKTNOSUPPORT",
        "EOPNOTSUPP",
        "EPFNOSUPPORT",
        "EAFNOSUPPORT",
        "EADDRINUSE",
        "EADDRNOTAVAIL",
        "ENETDOWN",
        "ENETUNREACH",
        "ENETRESET",
        "ECONNABORTED",
        "ECONNRESET",
        "ENOBUFS",
        "EISCONN",
        "ENOTCONN",
        "ESHUTDOWN",
        "ETOOMANYREFS",
        "ETIMEDOUT",
        "ECONNREFUSED",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "EALREADY",
        "EINPROGRESS",
        "ESTALE",
        "EUCLEAN",
        "ENOTNAM",
        "ENAVAIL",
        "EISNAM",
        "EREMOTEIO",
        "EDQUOT",
        "ENOMEDIUM",
        "EMEDIUMTYPE",
        "ECANCELED",
        "ENOKEY",
        "EKEYEXPIRED",
        "EKEYREVOKED",
        "EKEYREJECTED",
        "EOWNERDEAD",
        "ENOTRECOVERABLE",
        "ERFKILL",
        "EHWPOISON",
    ];
    let name = NAMES
        .get(usize::try_from(errno).ok()?)
        .copied()
        .filter(|n| !n.is_empty());
    name.or(match errno {
        512 => Some("ERESTARTSYS"),
        513 => Some("ERESTARTNOINTR"),
        514 => Some("ERESTARTNOHAND"),
        516 => Some("ERESTART_RESTARTBLOCK"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(table: &FlagTable, value: u64) -> String {
        let mut out = String::new();
        table.render(value, &mut out);
        out
    }

    #[test]
    fn open_flags_read_as_falco_prints_them() {
        assert_eq!(rendered(&FILE_FLAGS, 0o2000000), "O_RDONLY|O_CLOEXEC");
        assert_eq!(rendered(&FILE_FLAGS, 0o1101), "O_TRUNC|O_CREAT|O_WRONLY");
        assert_eq!(rendered(&FILE_FLAGS, 2), "O_RDWR");
    }

    #[test]
    fn codes_print_one_name() {
        assert_eq!(rendered(&SOCKET_FAMILIES, 17), "AF_PACKET");
        assert_eq!(rendered(&SOCKET_FAMILIES, 999), "");
    }

    #[test]
    fn errnos_have_their_names() {
        assert_eq!(errno_name(2), Some("ENOENT"));
        assert_eq!(errno_name(111), Some("ECONNREFUSED"));
        assert_eq!(errno_name(115), Some("EINPROGRESS"));
        assert_eq!(errno_name(41), None);
    }
}
