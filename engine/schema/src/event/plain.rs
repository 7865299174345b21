//! The rows of calls that no state needs, with the parameters that Falco has for them, in its order.

macro_rules! plain_calls {
    ([$next:ident $($then:ident)*] { $($rows:tt)* }) => {
        $next! { [$($then)*] {
        $($rows)*
        /// `chown(2)`; i386 has an older call with 16-bit ids, as of `lchown` and `fchown`.
        Chown "chown" File x86_64 [92] i386 [182, 212] aarch64 [] => {
            res: Errno, Return;
            path: FsPath, path(0);
            uid: U32, Id(1);
            gid: U32, Id(2);
            real_path: RealPath(1), LookedUp { follows: true }, hidden, on_demand;
        }
        /// `lchown(2)`.
        Lchown "lchown" File x86_64 [94] i386 [16, 198] aarch64 [] => {
            res: Errno, Return;
            path: FsPath, path(0);
            uid: U32, Id(1);
            gid: U32, Id(2);
            real_path: RealPath(1), LookedUp { follows: false }, hidden, on_demand;
        }
        /// `fchown(2)`.
        Fchown "fchown" File x86_64 [93] i386 [95, 207] aarch64 [55] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            uid: U32, Id(1);
            gid: U32, Id(2);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `fchownat(2)`.
        Fchownat "fchownat" File x86_64 [260] i386 [298] aarch64 [54] => {
            res: Errno, Return;
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(1), path_at(0, 1);
            uid: U32, Id(2);
            gid: U32, Id(3);
            flags: Flags(&flags::FCHOWNAT_FLAGS), Arg(4);
            dirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
            real_pathname: RealPath(2), LookedUp { follows: true }, hidden, on_demand;
        }
        /// `access(2)`.
        Access "access" File x86_64 [21] i386 [33] aarch64 [] => {
            res: Errno, Return;
            name: FsPath, path(0);
            mode: Flags(&flags::ACCESS_FLAGS), Arg(1);
        }
        /// `mknod(2)`.
        Mknod "mknod" Other x86_64 [133] i386 [14] aarch64 [] => {
            res: Errno, Return;
            path: FsPath, path(0);
            mode: Mode(&flags::MKNOD_MODE), Arg(1);
            dev: U32, Arg(2);
            real_path: RealPath(1), LookedUp { follows: false }, hidden, on_demand;
        }
        /// `mknodat(2)`; `fd.*` is about the directory.
        Mknodat "mknodat" Other x86_64 [259] i386 [297] aarch64 [33] fd FdUse::Described { fd: 1, object: 5 }; => {
            res: Errno, Return;
            dirfd: Fd, Arg(0);
            path: FsRelPath(1), path_at(0, 1);
            mode: Mode(&flags::MKNOD_MODE), Arg(2);
            dev: U32, Arg(3);
            dirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
            real_path: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
        }
        /// `stat(2)`.
        Stat "stat" File x86_64 [4] i386 [106] aarch64 [] => {
            res: Errno, Return;
            path: FsPath, path(0);
        }
        /// `lstat(2)`.
        Lstat "lstat" File x86_64 [6] i386 [107] aarch64 [] => {
            res: Errno, Return;
            path: FsPath, path(0);
        }
        /// i386's `stat64(2)`.
        Stat64 "stat64" File x86_64 [] i386 [195] aarch64 [] => {
            res: Errno, Return;
            path: FsPath, path(0);
        }
        /// i386's `lstat64(2)`.
        Lstat64 "lstat64" File x86_64 [] i386 [196] aarch64 [] => {
            res: Errno, Return;
            path: FsPath, path(0);
        }
        /// `fstat(2)`.
        Fstat "fstat" File x86_64 [5] i386 [108] aarch64 [80] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// i386's `fstat64(2)`.
        Fstat64 "fstat64" File x86_64 [] i386 [197] aarch64 [] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `newfstatat(2)`; `fd.*` is about the directory.
        Newfstatat "newfstatat" File x86_64 [262] i386 [] aarch64 [79] fd FdUse::Described { fd: 1, object: 4 }; => {
            res: Errno, Return;
            dirfd: Fd, Arg(0);
            path: FsRelPath(1), path_at(0, 1);
            flags: Flags(&flags::NEWFSTATAT_FLAGS), Arg(3);
            dirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `lseek(2)`.
        Lseek "lseek" File x86_64 [8] i386 [19] aarch64 [62] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            offset: U64, Position { arg: 1, compat: 1 };
            whence: Enum(&flags::LSEEK_WHENCE), Arg(2);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// i386's `_llseek(2)`.
        Llseek "llseek" File x86_64 [] i386 [140] aarch64 [] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            offset: U64, Origin::Extractor(X::LlseekOffset);
            whence: Enum(&flags::LSEEK_WHENCE), Arg(4);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `getcwd(2)`.
        Getcwd "getcwd" File x86_64 [79] i386 [183] aarch64 [17] => {
            res: Errno, Return;
            path: CharBuf, ResultString(0);
        }
        /// `getdents(2)`.
        Getdents "getdents" File x86_64 [78] i386 [141] aarch64 [] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `getdents64(2)`.
        Getdents64 "getdents64" File x86_64 [217] i386 [220] aarch64 [61] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `flock(2)`.
        Flock "flock" File x86_64 [73] i386 [143] aarch64 [32] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            operation: Flags(&flags::FLOCK_FLAGS), Arg(1);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `ioctl(2)`.
        Ioctl "ioctl" IoOther x86_64 [16] i386 [54] aarch64 [29] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            request: U32, Arg(1), hex;
            argument: U64, Arg(2), hex;
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `splice(2)`; `fd.*` is about where it reads from.
        Splice "splice" IoOther x86_64 [275] i386 [313] aarch64 [76] fd FdUse::Described { fd: 1, object: 5 }; => {
            res: Errno, Return;
            fd_in: Fd, Arg(0);
            fd_out: Fd, Arg(2);
            size: U64, Arg(4);
            flags: Flags(&flags::SPLICE_FLAGS), Arg(5);
            fd_in_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
            fd_out_object: Object(2), Behind(Holder::Arg(2)), hidden, on_demand;
        }
        /// `copy_file_range(2)`: the offsets as the call leaves them; `fd.*` is about where it reads from.
        CopyFileRange "copy_file_range" File x86_64 [326] i386 [377] aarch64 [285] fd FdUse::Described { fd: 3, object: 7 }; => {
            res: Errno, Return;
            fdout: Fd, Arg(2);
            offout: U64, UserU64 { arg: 3, offset: 0 };
            fdin: Fd, Arg(0);
            offin: U64, UserU64 { arg: 1, offset: 0 };
            len: U64, Arg(4);
            fdout_object: Object(1), Behind(Holder::Arg(2)), hidden, on_demand;
            fdin_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `quotactl(2)`.
        Quotactl "quotactl" User x86_64 [179] i386 [131] aarch64 [60] => {
            res: Errno, Return;
            special: CharBuf, UserString(1);
            quotafilepath: CharBuf, Origin::Extractor(X::QuotaFile);
            dqb_bhardlimit: U64, Quota(Block, 0), on_demand;
            dqb_bsoftlimit: U64, Quota(Block, 8), on_demand;
            dqb_curspace: U64, Quota(Block, 16), on_demand;
            dqb_ihardlimit: U64, Quota(Block, 24), on_demand;
            dqb_isoftlimit: U64, Quota(Block, 32), on_demand;
            dqb_btime: RelTime, Quota(Block, 48), on_demand;
            dqb_itime: RelTime, Quota(Block, 56), on_demand;
            dqi_bgrace: RelTime, Quota(Info, 0), on_demand;
            dqi_igrace: RelTime, Quota(Info, 8), on_demand;
            dqi_flags: Flags(&flags::QUOTACTL_DQI_FLAGS), Quota(Info, 16), on_demand;
            quota_fmt_out: Flags(&flags::QUOTACTL_QUOTA_FMTS), Origin::Extractor(X::QuotaFormatOut), decimal, on_demand;
            cmd: Flags(&flags::QUOTACTL_CMDS), Arg(0), decimal;
            type: Flags(&flags::QUOTACTL_TYPES), Arg(0), decimal;
            id: U32, Origin::Extractor(X::QuotaId);
            quota_fmt: Flags(&flags::QUOTACTL_QUOTA_FMTS), Origin::Extractor(X::QuotaFormat), decimal;
        }
        /// `fsconfig(2)`.
        Fsconfig "fsconfig" System x86_64 [431] i386 [431] aarch64 [431] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            cmd: Enum(&flags::FSCONFIG_CMDS), Arg(1);
            key: CharBuf, UserString(2);
            value_bytebuf: ByteBuf, Origin::Extractor(X::FsconfigBytes), on_demand;
            value_charbuf: CharBuf, Origin::Extractor(X::FsconfigText);
            aux: I32, Arg(4);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `brk(2)`.
        Brk "brk" Memory x86_64 [12] i386 [45] aarch64 [214] => {
            res: U64, Return, hex;
            vm_size: U32, Absent, state = P::Task(T::VmSize);
            vm_rss: U32, Absent, state = P::Task(T::VmRss);
            vm_swap: U32, Absent, state = P::Task(T::VmSwap);
            addr: U64, Arg(0), hex;
        }
        /// `mmap(2)`; i386's has its arguments in memory.
        Mmap "mmap" Memory x86_64 [9] i386 [90] aarch64 [222] => {
            res: Errno, Return, hex;
            vm_size: U32, Absent, state = P::Task(T::VmSize);
            vm_rss: U32, Absent, state = P::Task(T::VmRss);
            vm_swap: U32, Absent, state = P::Task(T::VmSwap);
            addr: U64, Arg(0), hex;
            length: U64, Arg(1);
            prot: Flags(&flags::PROT_FLAGS), Arg(2);
            flags: Flags(&flags::MMAP_FLAGS), Arg(3);
            fd: Fd, Arg(4);
            offset: U64, Arg(5);
            object: Object(8), Behind(Holder::Arg(4)), hidden, on_demand;
        }
        /// i386's `mmap2(2)`, with an offset in pages.
        Mmap2 "mmap2" Memory x86_64 [] i386 [192] aarch64 [] => {
            res: Errno, Return, hex;
            vm_size: U32, Absent, state = P::Task(T::VmSize);
            vm_rss: U32, Absent, state = P::Task(T::VmRss);
            vm_swap: U32, Absent, state = P::Task(T::VmSwap);
            addr: U64, Arg(0), hex;
            length: U64, Arg(1);
            prot: Flags(&flags::PROT_FLAGS), Arg(2);
            flags: Flags(&flags::MMAP_FLAGS), Arg(3);
            fd: Fd, Arg(4);
            pgoffset: U64, Arg(5);
            object: Object(8), Behind(Holder::Arg(4)), hidden, on_demand;
        }
        /// `munmap(2)`.
        Munmap "munmap" Memory x86_64 [11] i386 [91] aarch64 [215] => {
            res: Errno, Return;
            vm_size: U32, Absent, state = P::Task(T::VmSize);
            vm_rss: U32, Absent, state = P::Task(T::VmRss);
            vm_swap: U32, Absent, state = P::Task(T::VmSwap);
            addr: U64, Arg(0), hex;
            length: U64, Arg(1);
        }
        /// `mprotect(2)`.
        Mprotect "mprotect" Memory x86_64 [10] i386 [125] aarch64 [226] => {
            res: Errno, Return;
            addr: U64, Arg(0), hex;
            length: U64, Arg(1);
            prot: Flags(&flags::PROT_FLAGS), Arg(2);
        }
        /// `mlock(2)`.
        Mlock "mlock" Memory x86_64 [149] i386 [150] aarch64 [228] => {
            res: Errno, Return;
            addr: U64, Arg(0), hex;
            len: U64, Arg(1);
        }
        /// `mlock2(2)`.
        Mlock2 "mlock2" Memory x86_64 [325] i386 [376] aarch64 [284] => {
            res: Errno, Return;
            addr: U64, Arg(0), hex;
            len: U64, Arg(1);
            flags: Flags(&flags::MLOCK2_FLAGS), Arg(2);
        }
        /// `munlock(2)`.
        Munlock "munlock" Memory x86_64 [150] i386 [151] aarch64 [229] => {
            res: Errno, Return;
            addr: U64, Arg(0), hex;
            len: U64, Arg(1);
        }
        /// `mlockall(2)`.
        Mlockall "mlockall" Memory x86_64 [151] i386 [152] aarch64 [230] => {
            res: Errno, Return;
            flags: Flags(&flags::MLOCKALL_FLAGS), Arg(0);
        }
        /// `munlockall(2)`.
        Munlockall "munlockall" Memory x86_64 [152] i386 [153] aarch64 [231] => {
            res: Errno, Return;
        }
        /// `process_vm_readv(2)`.
        ProcessVmReadv "process_vm_readv" Ipc x86_64 [310] i386 [347] aarch64 [270] => {
            res: I64, Return;
            pid: Pid, Arg(0);
            data: ByteBuf, Origin::Extractor(X::ReadVectorData), on_demand;
        }
        /// `process_vm_writev(2)`.
        ProcessVmWritev "process_vm_writev" Ipc x86_64 [311] i386 [348] aarch64 [271] => {
            res: I64, Return;
            pid: Pid, Arg(0);
            data: ByteBuf, Origin::Extractor(X::WrittenVectorData), on_demand;
        }
        /// `kill(2)`.
        Kill "kill" Signal x86_64 [62] i386 [37] aarch64 [129] => {
            res: Errno, Return;
            pid: Pid, Arg(0);
            sig: Signal, Arg(1);
        }
        /// `tkill(2)`.
        Tkill "tkill" Signal x86_64 [200] i386 [238] aarch64 [130] => {
            res: Errno, Return;
            tid: Pid, Arg(0);
            sig: Signal, Arg(1);
        }
        /// `tgkill(2)`.
        Tgkill "tgkill" Signal x86_64 [234] i386 [270] aarch64 [131] => {
            res: Errno, Return;
            pid: Pid, Arg(0);
            tid: Pid, Arg(1);
            sig: Signal, Arg(2);
        }
        /// `futex(2)`.
        Futex "futex" Ipc x86_64 [202] i386 [240, 422] aarch64 [98] => {
            res: Errno, Return;
            addr: U64, Arg(0), hex;
            op: Enum(&flags::FUTEX_OPERATIONS), Arg(1), hex;
            val: U64, Arg(2);
        }
        /// `nanosleep(2)`.
        Nanosleep "nanosleep" Sleep x86_64 [35] i386 [162] aarch64 [101] => {
            res: Errno, Return;
            interval: RelTime, UserTime(0);
        }
        /// `select(2)`.
        Select "select" Wait x86_64 [23] i386 [82] aarch64 [] => {
            res: Errno, Return;
        }
        /// `epoll_wait(2)`.
        EpollWait "epoll_wait" Wait x86_64 [232] i386 [256] aarch64 [] => {
            res: Errno, Return;
            maxevents: Errno, Arg(2);
        }
        /// `semget(2)`.
        Semget "semget" Process x86_64 [64] i386 [393] aarch64 [190] => {
            res: Errno, Return;
            key: I32, Arg(0), hex;
            nsems: I32, Arg(1);
            semflg: Flags(&flags::SEMGET_FLAGS), Arg(2);
        }
        /// `semop(2)`.
        Semop "semop" Process x86_64 [65] i386 [] aarch64 [193] => {
            res: Errno, Return;
            nsops: U32, Arg(2);
            sem_num_0: U16, Sembuf(0);
            sem_op_0: I32, Sembuf(2);
            sem_flg_0: Flags(&flags::SEMOP_FLAGS), Sembuf(4);
            sem_num_1: U16, Sembuf(6);
            sem_op_1: I32, Sembuf(8);
            sem_flg_1: Flags(&flags::SEMOP_FLAGS), Sembuf(10);
            semid: I32, Arg(0);
        }
        /// `semctl(2)`.
        Semctl "semctl" Process x86_64 [66] i386 [394] aarch64 [191] => {
            res: Errno, Return;
            semid: I32, Arg(0);
            semnum: I32, Arg(1);
            cmd: Flags(&flags::SEMCTL_COMMANDS), Arg(2);
            val: I32, Origin::Extractor(X::SemctlValue);
        }
        /// `getuid(2)`.
        Getuid "getuid" User x86_64 [102] i386 [24, 199] aarch64 [174] => {
            uid: Uid, Return;
        }
        /// `geteuid(2)`.
        Geteuid "geteuid" User x86_64 [107] i386 [49, 201] aarch64 [175] => {
            euid: Uid, Return;
        }
        /// `getgid(2)`.
        Getgid "getgid" User x86_64 [104] i386 [47, 200] aarch64 [176] => {
            gid: Gid, Return;
        }
        /// `getegid(2)`.
        Getegid "getegid" User x86_64 [108] i386 [50, 202] aarch64 [177] => {
            egid: Gid, Return;
        }
        /// `getresuid(2)`.
        Getresuid "getresuid" User x86_64 [118] i386 [165, 209] aarch64 [148] => {
            res: Errno, Return;
            ruid: Uid, ResultId(0);
            euid: Uid, ResultId(1);
            suid: Uid, ResultId(2);
        }
        /// `getresgid(2)`.
        Getresgid "getresgid" User x86_64 [120] i386 [171, 211] aarch64 [150] => {
            res: Errno, Return;
            rgid: Gid, ResultId(0);
            egid: Gid, ResultId(1);
            sgid: Gid, ResultId(2);
        }
        /// `getrlimit(2)`.
        Getrlimit "getrlimit" Process x86_64 [97] i386 [76, 191] aarch64 [163] => {
            res: Errno, Return;
            cur: I64, ResultLong { arg: 1, member: 0 };
            max: I64, ResultLong { arg: 1, member: 1 };
            resource: Enum(&flags::RLIMIT_RESOURCES), Arg(0);
        }
        /// `getsockname(2)`, of which Falco has no parameter.
        Getsockname "getsockname" Net x86_64 [51] i386 [367] aarch64 [204] => {
            res: Errno, Return, hidden, by_name;
            fd: Fd, Arg(0), hidden, by_name;
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `getpeername(2)`, as [`Event::Getsockname`].
        Getpeername "getpeername" Net x86_64 [52] i386 [368] aarch64 [205] => {
            res: Errno, Return, hidden, by_name;
            fd: Fd, Arg(0), hidden, by_name;
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `seccomp(2)`.
        Seccomp "seccomp" Other x86_64 [317] i386 [354] aarch64 [277] => {
            res: Errno, Return;
            op: U64, Int(0);
            flags: U64, Int(1), hex;
        }
        /// `delete_module(2)`.
        DeleteModule "delete_module" Other x86_64 [176] i386 [129] aarch64 [106] => {
            res: Errno, Return;
            name: CharBuf, UserString(0);
            flags: Flags(&flags::DELETE_MODULE_FLAGS), Arg(1);
        }
        /// `keyctl(2)`.
        Keyctl "keyctl" Other x86_64 [250] i386 [288] aarch64 [219] => {
            res: Errno, Return;
            operation: Enum(&flags::KEYCTL_OPERATIONS), Arg(0);
            arg2: Dyn, KeyctlArg(1);
            arg3: Dyn, KeyctlArg(2);
            arg4: Dyn, KeyctlArg(3);
            arg5: Dyn, KeyctlArg(4);
        }
        /// `io_uring_enter(2)`.
        IoUringEnter "io_uring_enter" IoOther x86_64 [426] i386 [426] aarch64 [426] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            to_submit: U32, Arg(1);
            min_complete: U32, Arg(2);
            flags: Flags(&flags::IO_URING_ENTER_FLAGS), Arg(3);
            sig: U32, UserSignals(4);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        /// `io_uring_register(2)`.
        IoUringRegister "io_uring_register" IoOther x86_64 [427] i386 [427] aarch64 [427] => {
            res: Errno, Return;
            fd: Fd, Arg(0);
            opcode: Enum(&flags::IO_URING_REGISTER_OPCODES), Arg(1);
            arg: U64, Arg(2), hex;
            nr_args: U32, Arg(3);
            object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        }
        } }
    };
}

pub(super) use plain_calls;
