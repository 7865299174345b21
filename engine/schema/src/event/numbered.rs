//! The rows of calls for which Falco has two parameters only, `ID` and `nativeID`: behind them come the result and the
//! arguments, by the names they have in the manual.

macro_rules! numbered_calls {
    ([$next:ident $($then:ident)*] { $($rows:tt)* }) => {
        $next! { [$($then)*] {
        $($rows)*
        /// `faccessat(2)`.
        Faccessat "faccessat" Other x86_64 [269] i386 [307] aarch64 [48] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            mode: Flags(&flags::ACCESS_FLAGS), Arg(2);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `faccessat2(2)`.
        Faccessat2 "faccessat2" Other x86_64 [439] i386 [439] aarch64 [439] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            mode: Flags(&flags::ACCESS_FLAGS), Arg(2);
            flags: Flags(&flags::AT_FLAGS), Arg(3);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `fchmodat2(2)`.
        Fchmodat2 "fchmodat2" Other x86_64 [452] i386 [452] aarch64 [452] => [numbered! {
            dirfd: Fd, Arg(0);
            filename: FsRelPath(3), path_at(0, 1);
            mode: Mode(&flags::CHMOD_MODE), Arg(2);
            flags: Flags(&flags::AT_FLAGS), Arg(3);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            real_filename: RealPath(4), LookedUp { follows: true }, hidden, on_demand;
        }]
        /// `truncate(2)`.
        Truncate "truncate" Other x86_64 [76] i386 [92, 193] aarch64 [45] => [numbered! {
            path: FsPath, path(0);
            length: I64, Position { arg: 1, compat: 1 };
            real_path: RealPath(3), LookedUp { follows: true }, hidden, on_demand;
        }]
        /// `ftruncate(2)`.
        Ftruncate "ftruncate" Other x86_64 [77] i386 [93, 194] aarch64 [46] => [numbered! {
            fd: Fd, Arg(0);
            length: I64, Position { arg: 1, compat: 1 };
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `fallocate(2)`.
        Fallocate "fallocate" Other x86_64 [285] i386 [324] aarch64 [47] => [numbered! {
            fd: Fd, Arg(0);
            mode: Flags(&flags::FALLOCATE_MODE), Arg(1);
            offset: I64, Position { arg: 2, compat: 2 };
            len: I64, Position { arg: 3, compat: 4 };
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `utime(2)`.
        Utime "utime" Other x86_64 [132] i386 [30] aarch64 [] => [numbered! {
            filename: FsPath, path(0);
        }]
        /// `utimes(2)`.
        Utimes "utimes" Other x86_64 [235] i386 [271] aarch64 [] => [numbered! {
            filename: FsPath, path(0);
        }]
        /// `futimesat(2)`.
        Futimesat "futimesat" Other x86_64 [261] i386 [299] aarch64 [] => [numbered! {
            dirfd: Fd, Arg(0);
            filename: FsRelPath(3), path_at(0, 1);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `utimensat(2)`.
        Utimensat "utimensat" Other x86_64 [280] i386 [320, 412] aarch64 [88] => [numbered! {
            dirfd: Fd, Arg(0);
            filename: FsRelPath(3), path_at(0, 1);
            flags: Flags(&flags::AT_FLAGS), Arg(3);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `readlink(2)`.
        Readlink "readlink" Other x86_64 [89] i386 [85] aarch64 [] => [numbered! {
            path: FsPath, path(0);
        }]
        /// `readlinkat(2)`.
        Readlinkat "readlinkat" Other x86_64 [267] i386 [305] aarch64 [78] => [numbered! {
            dirfd: Fd, Arg(0);
            path: FsRelPath(3), path_at(0, 1);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `statfs(2)`.
        Statfs "statfs" Other x86_64 [137] i386 [99] aarch64 [43] => [numbered! {
            path: FsPath, path(0);
        }]
        /// `statfs64(2)`.
        Statfs64 "statfs64" Other x86_64 [] i386 [268] aarch64 [] => [numbered! {
            path: FsPath, path(0);
        }]
        /// `fstatfs(2)`.
        Fstatfs "fstatfs" Other x86_64 [138] i386 [100] aarch64 [44] => [numbered! {
            fd: Fd, Arg(0);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `fstatfs64(2)`.
        Fstatfs64 "fstatfs64" Other x86_64 [] i386 [269] aarch64 [] => [numbered! {
            fd: Fd, Arg(0);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `statx(2)`.
        Statx "statx" Other x86_64 [332] i386 [383] aarch64 [291] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            flags: Flags(&flags::AT_FLAGS), Arg(2);
            mask: U32, Arg(3), hex;
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// i386's `fstatat64(2)`.
        Fstatat64 "fstatat64" Other x86_64 [] i386 [300] aarch64 [] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            flags: Flags(&flags::AT_FLAGS), Arg(3);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `name_to_handle_at(2)`.
        NameToHandleAt "name_to_handle_at" Other x86_64 [303] i386 [341] aarch64 [264] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            flags: Flags(&flags::AT_FLAGS), Arg(4);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `setxattr(2)`.
        Setxattr "setxattr" Other x86_64 [188] i386 [226] aarch64 [5] => [numbered! {
            path: FsPath, path(0);
            name: CharBuf, UserString(1);
            value: ByteBuf, UserBytes { arg: 2, length: 3 }, on_demand;
            size: U64, Arg(3);
            flags: Flags(&flags::SETXATTR_FLAGS), Arg(4);
        }]
        /// `lsetxattr(2)`.
        Lsetxattr "lsetxattr" Other x86_64 [189] i386 [227] aarch64 [6] => [numbered! {
            path: FsPath, path(0);
            name: CharBuf, UserString(1);
            value: ByteBuf, UserBytes { arg: 2, length: 3 }, on_demand;
            size: U64, Arg(3);
            flags: Flags(&flags::SETXATTR_FLAGS), Arg(4);
        }]
        /// `fsetxattr(2)`.
        Fsetxattr "fsetxattr" Other x86_64 [190] i386 [228] aarch64 [7] => [numbered! {
            fd: Fd, Arg(0);
            name: CharBuf, UserString(1);
            value: ByteBuf, UserBytes { arg: 2, length: 3 }, on_demand;
            size: U64, Arg(3);
            flags: Flags(&flags::SETXATTR_FLAGS), Arg(4);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `getxattr(2)`.
        Getxattr "getxattr" Other x86_64 [191] i386 [229] aarch64 [8] => [numbered! {
            path: FsPath, path(0);
            name: CharBuf, UserString(1);
            size: U64, Arg(3);
        }]
        /// `lgetxattr(2)`.
        Lgetxattr "lgetxattr" Other x86_64 [192] i386 [230] aarch64 [9] => [numbered! {
            path: FsPath, path(0);
            name: CharBuf, UserString(1);
            size: U64, Arg(3);
        }]
        /// `fgetxattr(2)`.
        Fgetxattr "fgetxattr" Other x86_64 [193] i386 [231] aarch64 [10] => [numbered! {
            fd: Fd, Arg(0);
            name: CharBuf, UserString(1);
            size: U64, Arg(3);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `listxattr(2)`.
        Listxattr "listxattr" Other x86_64 [194] i386 [232] aarch64 [11] => [numbered! {
            path: FsPath, path(0);
            size: U64, Arg(2);
        }]
        /// `llistxattr(2)`.
        Llistxattr "llistxattr" Other x86_64 [195] i386 [233] aarch64 [12] => [numbered! {
            path: FsPath, path(0);
            size: U64, Arg(2);
        }]
        /// `flistxattr(2)`.
        Flistxattr "flistxattr" Other x86_64 [196] i386 [234] aarch64 [13] => [numbered! {
            fd: Fd, Arg(0);
            size: U64, Arg(2);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `removexattr(2)`.
        Removexattr "removexattr" Other x86_64 [197] i386 [235] aarch64 [14] => [numbered! {
            path: FsPath, path(0);
            name: CharBuf, UserString(1);
        }]
        /// `lremovexattr(2)`.
        Lremovexattr "lremovexattr" Other x86_64 [198] i386 [236] aarch64 [15] => [numbered! {
            path: FsPath, path(0);
            name: CharBuf, UserString(1);
        }]
        /// `fremovexattr(2)`.
        Fremovexattr "fremovexattr" Other x86_64 [199] i386 [237] aarch64 [16] => [numbered! {
            fd: Fd, Arg(0);
            name: CharBuf, UserString(1);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `setxattrat(2)`; size and flags are members of its `struct xattr_args`.
        Setxattrat "setxattrat" Other x86_64 [463] i386 [463] aarch64 [463] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            at_flags: Flags(&flags::AT_FLAGS), Arg(2);
            name: CharBuf, UserString(3);
            flags: Flags(&flags::SETXATTR_FLAGS), UserU32 { arg: 4, offset: 12 };
            size: U32, UserU32 { arg: 4, offset: 8 };
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `getxattrat(2)`.
        Getxattrat "getxattrat" Other x86_64 [464] i386 [464] aarch64 [464] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            at_flags: Flags(&flags::AT_FLAGS), Arg(2);
            name: CharBuf, UserString(3);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `listxattrat(2)`.
        Listxattrat "listxattrat" Other x86_64 [465] i386 [465] aarch64 [465] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            at_flags: Flags(&flags::AT_FLAGS), Arg(2);
            size: U64, Arg(4);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `removexattrat(2)`.
        Removexattrat "removexattrat" Other x86_64 [466] i386 [466] aarch64 [466] => [numbered! {
            dirfd: Fd, Arg(0);
            pathname: FsRelPath(3), path_at(0, 1);
            at_flags: Flags(&flags::AT_FLAGS), Arg(2);
            name: CharBuf, UserString(3);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `file_getattr(2)`.
        FileGetattr "file_getattr" Other x86_64 [468] i386 [468] aarch64 [468] => [numbered! {
            dirfd: Fd, Arg(0);
            filename: FsRelPath(3), path_at(0, 1);
            size: U64, Arg(3);
            at_flags: Flags(&flags::AT_FLAGS), Arg(4);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `file_setattr(2)`.
        FileSetattr "file_setattr" Other x86_64 [469] i386 [469] aarch64 [469] => [numbered! {
            dirfd: Fd, Arg(0);
            filename: FsRelPath(3), path_at(0, 1);
            size: U64, Arg(3);
            at_flags: Flags(&flags::AT_FLAGS), Arg(4);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `fsync(2)`.
        Fsync "fsync" Other x86_64 [74] i386 [118] aarch64 [82] => [numbered! {
            fd: Fd, Arg(0);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `fdatasync(2)`.
        Fdatasync "fdatasync" Other x86_64 [75] i386 [148] aarch64 [83] => [numbered! {
            fd: Fd, Arg(0);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `syncfs(2)`.
        Syncfs "syncfs" Other x86_64 [306] i386 [344] aarch64 [267] => [numbered! {
            fd: Fd, Arg(0);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `sync_file_range(2)`.
        SyncFileRange "sync_file_range" Other x86_64 [277] i386 [314] aarch64 [84] => [numbered! {
            fd: Fd, Arg(0);
            offset: I64, Position { arg: 1, compat: 1 };
            nbytes: I64, Position { arg: 2, compat: 3 };
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `readahead(2)`.
        Readahead "readahead" Other x86_64 [187] i386 [225] aarch64 [213] => [numbered! {
            fd: Fd, Arg(0);
            offset: I64, Position { arg: 1, compat: 1 };
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `fadvise64(2)`.
        Fadvise64 "fadvise64" Other x86_64 [221] i386 [250, 272] aarch64 [223] => [numbered! {
            fd: Fd, Arg(0);
            offset: I64, Position { arg: 1, compat: 1 };
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `preadv2(2)`.
        Preadv2 "preadv2" Other x86_64 [327] i386 [378] aarch64 [286] => [numbered! {
            fd: Fd, Arg(0);
            data: ByteBuf, Origin::Extractor(X::ReadVectorData), on_demand;
            pos: I64, Position { arg: 3, compat: 3 };
            flags: U32, Arg(5), hex;
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `pwritev2(2)`.
        Pwritev2 "pwritev2" Other x86_64 [328] i386 [379] aarch64 [287] => [numbered! {
            fd: Fd, Arg(0);
            data: ByteBuf, Origin::Extractor(X::WrittenVectorData), on_demand;
            pos: I64, Position { arg: 3, compat: 3 };
            flags: U32, Arg(5), hex;
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `vmsplice(2)`.
        Vmsplice "vmsplice" Other x86_64 [278] i386 [316] aarch64 [75] => [numbered! {
            fd: Fd, Arg(0);
            nr_segs: U64, Arg(2);
            flags: Flags(&flags::SPLICE_FLAGS), Arg(3);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `tee(2)`.
        Tee "tee" Other x86_64 [276] i386 [315] aarch64 [77] => [numbered! {
            fdin: Fd, Arg(0);
            fdout: Fd, Arg(1);
            len: U64, Arg(2);
            flags: Flags(&flags::SPLICE_FLAGS), Arg(3);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            fdout_object: Object(4), Behind(Holder::Arg(1)), hidden, on_demand;
        }]
        /// `open_tree(2)`.
        OpenTree "open_tree" Other x86_64 [428] i386 [428] aarch64 [428] => [numbered! {
            dirfd: Fd, Arg(0);
            filename: FsRelPath(3), path_at(0, 1);
            flags: Flags(&flags::OPEN_TREE_FLAGS), Arg(2);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `open_tree_attr(2)`.
        OpenTreeAttr "open_tree_attr" Other x86_64 [467] i386 [467] aarch64 [467] => [numbered! {
            dirfd: Fd, Arg(0);
            filename: FsRelPath(3), path_at(0, 1);
            flags: Flags(&flags::OPEN_TREE_FLAGS), Arg(2);
            attr_set: Flags(&flags::MOUNT_ATTRIBUTES), UserU64 { arg: 3, offset: 0 };
            attr_clr: Flags(&flags::MOUNT_ATTRIBUTES), UserU64 { arg: 3, offset: 8 };
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `move_mount(2)`.
        MoveMount "move_mount" Other x86_64 [429] i386 [429] aarch64 [429] => [numbered! {
            from_dfd: Fd, Arg(0);
            from_path: FsRelPath(3), path_at(0, 1);
            to_dfd: Fd, Arg(2);
            to_path: FsRelPath(5), path_at(2, 3);
            flags: Flags(&flags::MOVE_MOUNT_FLAGS), Arg(4);
            from_dfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            to_dfd_object: Object(5), Behind(Holder::Arg(2)), hidden, on_demand;
        }]
        /// `fsopen(2)`.
        Fsopen "fsopen" Other x86_64 [430] i386 [430] aarch64 [430] => [numbered! {
            fsname: CharBuf, UserString(0);
            flags: Flags(&flags::FSOPEN_FLAGS), Arg(1);
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `fsmount(2)`.
        Fsmount "fsmount" Other x86_64 [432] i386 [432] aarch64 [432] => [numbered! {
            fs_fd: Fd, Arg(0);
            flags: Flags(&flags::FSMOUNT_FLAGS), Arg(1);
            attr_flags: Flags(&flags::MOUNT_ATTRIBUTES), Arg(2);
            fs_fd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `fspick(2)`.
        Fspick "fspick" Other x86_64 [433] i386 [433] aarch64 [433] => [numbered! {
            dirfd: Fd, Arg(0);
            path: FsRelPath(3), path_at(0, 1);
            flags: Flags(&flags::FSPICK_FLAGS), Arg(2);
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `mount_setattr(2)`.
        MountSetattr "mount_setattr" Other x86_64 [442] i386 [442] aarch64 [442] => [numbered! {
            dirfd: Fd, Arg(0);
            path: FsRelPath(3), path_at(0, 1);
            flags: Flags(&flags::AT_FLAGS), Arg(2);
            attr_set: Flags(&flags::MOUNT_ATTRIBUTES), UserU64 { arg: 3, offset: 0 };
            attr_clr: Flags(&flags::MOUNT_ATTRIBUTES), UserU64 { arg: 3, offset: 8 };
            propagation: Flags(&flags::MOUNT_PROPAGATION), UserU64 { arg: 3, offset: 16 };
            userns_fd: U64, UserU64 { arg: 3, offset: 24 };
            dirfd_object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `swapon(2)`.
        Swapon "swapon" Other x86_64 [167] i386 [87] aarch64 [224] => [numbered! {
            path: FsPath, path(0);
            swap_flags: Flags(&flags::SWAPON_FLAGS), Arg(1);
        }]
        /// `swapoff(2)`.
        Swapoff "swapoff" Other x86_64 [168] i386 [115] aarch64 [225] => [numbered! {
            path: FsPath, path(0);
        }]
        /// `acct(2)`.
        Acct "acct" Other x86_64 [163] i386 [51] aarch64 [89] => [numbered! {
            filename: FsPath, path(0);
        }]
        /// `uselib(2)`.
        Uselib "uselib" Other x86_64 [134] i386 [86] aarch64 [] => [numbered! {
            library: FsPath, path(0);
        }]
        /// `quotactl_fd(2)`.
        QuotactlFd "quotactl_fd" Other x86_64 [443] i386 [443] aarch64 [443] => [numbered! {
            fd: Fd, Arg(0);
            cmd: Flags(&flags::QUOTACTL_CMDS), Arg(1), decimal;
            type: Flags(&flags::QUOTACTL_TYPES), Arg(1), decimal;
            id: U32, Arg(2);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `inotify_add_watch(2)`.
        InotifyAddWatch "inotify_add_watch" Other x86_64 [254] i386 [292] aarch64 [27] => [numbered! {
            fd: Fd, Arg(0);
            pathname: FsPath, path(1);
            mask: Flags(&flags::INOTIFY_MASK), Arg(2);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `inotify_rm_watch(2)`.
        InotifyRmWatch "inotify_rm_watch" Other x86_64 [255] i386 [293] aarch64 [28] => [numbered! {
            fd: Fd, Arg(0);
            wd: I32, Arg(1);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `fanotify_init(2)`.
        FanotifyInit "fanotify_init" Other x86_64 [300] i386 [338] aarch64 [262] => [numbered! {
            flags: Flags(&flags::FANOTIFY_INIT_FLAGS), Arg(0);
            event_f_flags: Flags(&flags::FILE_FLAGS), Arg(1);
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `fanotify_mark(2)`; 32-bit callers have the mask in two arguments.
        FanotifyMark "fanotify_mark" Other x86_64 [301] i386 [339] aarch64 [263] => [numbered! {
            fanotify_fd: Fd, Arg(0);
            flags: Flags(&flags::FANOTIFY_MARK_FLAGS), Arg(1);
            mask: Flags(&flags::FANOTIFY_MASK), Arg(2);
            dirfd: Fd, Arg(3);
            pathname: FsRelPath(6), path_at(3, 4);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            dirfd_object: Object(6), Behind(Holder::Arg(3)), hidden, on_demand;
        }]
        /// `reboot(2)`.
        Reboot "reboot" Other x86_64 [169] i386 [88] aarch64 [142] => [numbered! {
            magic: U32, Arg(0), hex;
            magic2: U32, Arg(1), hex;
            cmd: Enum(&flags::REBOOT_COMMANDS), Arg(2), hex;
            arg: U64, Arg(3), hex;
        }]
        /// `sethostname(2)`.
        Sethostname "sethostname" Other x86_64 [170] i386 [74] aarch64 [161] => [numbered! {
            name: CharBuf, UserBytes { arg: 0, length: 1 };
            len: I32, Arg(1);
        }]
        /// `setdomainname(2)`.
        Setdomainname "setdomainname" Other x86_64 [171] i386 [121] aarch64 [162] => [numbered! {
            name: CharBuf, UserBytes { arg: 0, length: 1 };
            len: I32, Arg(1);
        }]
        /// `settimeofday(2)`.
        Settimeofday "settimeofday" Other x86_64 [164] i386 [79] aarch64 [170] => [numbered! {
            tv_sec: I64, UserLong { arg: 0, member: 0 };
            tv_usec: I64, UserLong { arg: 0, member: 1 };
        }]
        /// `clock_settime(2)`.
        ClockSettime "clock_settime" Other x86_64 [227] i386 [264, 404] aarch64 [112] => [numbered! {
            clockid: Enum(&flags::CLOCK_IDS), Arg(0);
            tp: AbsTime, UserTime(1);
        }]
        /// `clock_gettime(2)`.
        ClockGettime "clock_gettime" Other x86_64 [228] i386 [265, 403] aarch64 [113] => [numbered! {
            clockid: Enum(&flags::CLOCK_IDS), Arg(0);
        }]
        /// `clock_getres(2)`.
        ClockGetres "clock_getres" Other x86_64 [229] i386 [266, 406] aarch64 [114] => [numbered! {
            clockid: Enum(&flags::CLOCK_IDS), Arg(0);
        }]
        /// `clock_nanosleep(2)`.
        ClockNanosleep "clock_nanosleep" Other x86_64 [230] i386 [267, 407] aarch64 [115] => [numbered! {
            clockid: Enum(&flags::CLOCK_IDS), Arg(0);
            flags: Flags(&flags::TIMER_FLAGS), Arg(1);
            request: RelTime, UserTime(2);
        }]
        /// `adjtimex(2)`.
        Adjtimex "adjtimex" Other x86_64 [159] i386 [124] aarch64 [171] => [numbered! {
            modes: Flags(&flags::ADJTIMEX_MODES), UserU32 { arg: 0, offset: 0 };
        }]
        /// `clock_adjtime(2)`.
        ClockAdjtime "clock_adjtime" Other x86_64 [305] i386 [343, 405] aarch64 [266] => [numbered! {
            clockid: Enum(&flags::CLOCK_IDS), Arg(0);
            modes: Flags(&flags::ADJTIMEX_MODES), UserU32 { arg: 1, offset: 0 };
        }]
        /// `syslog(2)`.
        Syslog "syslog" Other x86_64 [103] i386 [103] aarch64 [116] => [numbered! {
            type: Enum(&flags::SYSLOG_ACTIONS), Arg(0);
            len: I32, Arg(2);
        }]
        /// `add_key(2)`.
        AddKey "add_key" Other x86_64 [248] i386 [286] aarch64 [217] => [numbered! {
            type: CharBuf, UserString(0);
            description: CharBuf, UserString(1);
            plen: U64, Arg(3);
            ringid: I32, Arg(4);
        }]
        /// `request_key(2)`.
        RequestKey "request_key" Other x86_64 [249] i386 [287] aarch64 [218] => [numbered! {
            type: CharBuf, UserString(0);
            description: CharBuf, UserString(1);
            callout_info: CharBuf, UserString(2);
            destringid: I32, Arg(3);
        }]
        /// `kexec_load(2)`.
        KexecLoad "kexec_load" Other x86_64 [246] i386 [283] aarch64 [104] => [numbered! {
            entry: U64, Arg(0), hex;
            nr_segments: U64, Arg(1);
            flags: Flags(&flags::KEXEC_LOAD_FLAGS), Arg(3);
        }]
        /// `kexec_file_load(2)`.
        KexecFileLoad "kexec_file_load" Other x86_64 [320] i386 [] aarch64 [294] => [numbered! {
            kernel_fd: Fd, Arg(0);
            initrd_fd: Fd, Arg(1);
            cmdline: CharBuf, UserString(3);
            flags: Flags(&flags::KEXEC_FILE_FLAGS), Arg(4);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            initrd_fd_object: Object(4), Behind(Holder::Arg(1)), hidden, on_demand;
        }]
        /// `perf_event_open(2)`; type and config are members of its `struct perf_event_attr`.
        PerfEventOpen "perf_event_open" Other x86_64 [298] i386 [336] aarch64 [241] => [numbered! {
            type: Enum(&flags::PERF_TYPES), UserU32 { arg: 0, offset: 0 };
            config: U64, UserU64 { arg: 0, offset: 8 }, hex;
            pid: Pid, Arg(1);
            cpu: I32, Arg(2);
            group_fd: Fd, Arg(3);
            flags: Flags(&flags::PERF_FLAGS), Arg(4);
            group_fd_object: Object(7), Behind(Holder::Arg(3)), hidden, on_demand;
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `personality(2)`.
        Personality "personality" Other x86_64 [135] i386 [136] aarch64 [92] => [numbered! {
            persona: U32, Arg(0), hex;
        }]
        /// `arch_prctl(2)`.
        ArchPrctl "arch_prctl" Other x86_64 [158] i386 [384] aarch64 [] => [numbered! {
            code: Enum(&flags::ARCH_PRCTL_CODES), Arg(0), hex;
            addr: U64, Arg(1), hex;
        }]
        /// `ioperm(2)`.
        Ioperm "ioperm" Other x86_64 [173] i386 [101] aarch64 [] => [numbered! {
            from: U64, Arg(0), hex;
            num: U64, Arg(1);
            turn_on: I32, Arg(2);
        }]
        /// `iopl(2)`.
        Iopl "iopl" Other x86_64 [172] i386 [110] aarch64 [] => [numbered! {
            level: U32, Arg(0);
        }]
        /// `modify_ldt(2)`.
        ModifyLdt "modify_ldt" Other x86_64 [154] i386 [123] aarch64 [] => [numbered! {
            func: I32, Arg(0);
            bytecount: U64, Arg(2);
        }]
        /// `pidfd_send_signal(2)`.
        PidfdSendSignal "pidfd_send_signal" Other x86_64 [424] i386 [424] aarch64 [424] => [numbered! {
            pidfd: Fd, Arg(0);
            sig: Signal, Arg(1);
            flags: U32, Arg(3), hex;
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `process_madvise(2)`.
        ProcessMadvise "process_madvise" Other x86_64 [440] i386 [440] aarch64 [440] => [numbered! {
            pidfd: Fd, Arg(0);
            vlen: U64, Arg(2);
            advice: Enum(&flags::MADVISE_BEHAVIORS), Arg(3);
            flags: U32, Arg(4), hex;
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `process_mrelease(2)`.
        ProcessMrelease "process_mrelease" Other x86_64 [448] i386 [448] aarch64 [448] => [numbered! {
            pidfd: Fd, Arg(0);
            flags: U32, Arg(1), hex;
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `rt_sigqueueinfo(2)`.
        RtSigqueueinfo "rt_sigqueueinfo" Other x86_64 [129] i386 [178] aarch64 [138] => [numbered! {
            pid: Pid, Arg(0);
            sig: Signal, Arg(1);
        }]
        /// `rt_tgsigqueueinfo(2)`.
        RtTgsigqueueinfo "rt_tgsigqueueinfo" Other x86_64 [297] i386 [335] aarch64 [240] => [numbered! {
            tgid: Pid, Arg(0);
            pid: Pid, Arg(1);
            sig: Signal, Arg(2);
        }]
        /// `landlock_create_ruleset(2)`.
        LandlockCreateRuleset "landlock_create_ruleset" Other x86_64 [444] i386 [444] aarch64 [444] => [numbered! {
            handled_access_fs: Flags(&flags::LANDLOCK_ACCESS_FS), UserU64 { arg: 0, offset: 0 };
            size: U64, Arg(1);
            flags: U32, Arg(2), hex;
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `landlock_add_rule(2)`.
        LandlockAddRule "landlock_add_rule" Other x86_64 [445] i386 [445] aarch64 [445] => [numbered! {
            ruleset_fd: Fd, Arg(0);
            rule_type: Enum(&flags::LANDLOCK_RULE_TYPES), Arg(1);
            allowed_access: Flags(&flags::LANDLOCK_ACCESS_FS), UserU64 { arg: 2, offset: 0 };
            flags: U32, Arg(3), hex;
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `landlock_restrict_self(2)`.
        LandlockRestrictSelf "landlock_restrict_self" Other x86_64 [446] i386 [446] aarch64 [446] => [numbered! {
            ruleset_fd: Fd, Arg(0);
            flags: U32, Arg(1), hex;
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `kcmp(2)`.
        Kcmp "kcmp" Other x86_64 [312] i386 [349] aarch64 [272] => [numbered! {
            pid1: Pid, Arg(0);
            pid2: Pid, Arg(1);
            type: I32, Arg(2);
            idx1: U64, Arg(3);
            idx2: U64, Arg(4);
        }]
        /// `getpgid(2)`.
        Getpgid "getpgid" Other x86_64 [121] i386 [132] aarch64 [155] => [numbered! {
            pid: Pid, Arg(0);
        }]
        /// `getsid(2)`.
        Getsid "getsid" Other x86_64 [124] i386 [147] aarch64 [156] => [numbered! {
            pid: Pid, Arg(0);
        }]
        /// `sched_getscheduler(2)`.
        SchedGetscheduler "sched_getscheduler" Other x86_64 [145] i386 [157] aarch64 [120] => [numbered! {
            pid: Pid, Arg(0);
        }]
        /// `sched_getparam(2)`.
        SchedGetparam "sched_getparam" Other x86_64 [143] i386 [155] aarch64 [121] => [numbered! {
            pid: Pid, Arg(0);
        }]
        /// `getpriority(2)`.
        Getpriority "getpriority" Other x86_64 [140] i386 [96] aarch64 [141] => [numbered! {
            which: Enum(&flags::PRIORITY_KINDS), Arg(0);
            who: I32, Arg(1);
        }]
        /// `setpriority(2)`.
        Setpriority "setpriority" Other x86_64 [141] i386 [97] aarch64 [140] => [numbered! {
            which: Enum(&flags::PRIORITY_KINDS), Arg(0);
            who: I32, Arg(1);
            niceval: I32, Arg(2);
        }]
        /// i386's `nice(2)`.
        Nice "nice" Other x86_64 [] i386 [34] aarch64 [] => [numbered! {
            increment: I32, Arg(0);
        }]
        /// `sched_setscheduler(2)`.
        SchedSetscheduler "sched_setscheduler" Other x86_64 [144] i386 [156] aarch64 [119] => [numbered! {
            pid: Pid, Arg(0);
            policy: Enum(&flags::SCHED_POLICIES), Arg(1);
            sched_priority: I32, UserU32 { arg: 2, offset: 0 };
        }]
        /// `sched_setparam(2)`.
        SchedSetparam "sched_setparam" Other x86_64 [142] i386 [154] aarch64 [118] => [numbered! {
            pid: Pid, Arg(0);
            sched_priority: I32, UserU32 { arg: 1, offset: 0 };
        }]
        /// `sched_setaffinity(2)`.
        SchedSetaffinity "sched_setaffinity" Other x86_64 [203] i386 [241] aarch64 [122] => [numbered! {
            pid: Pid, Arg(0);
            len: U32, Arg(1);
        }]
        /// `sched_getaffinity(2)`.
        SchedGetaffinity "sched_getaffinity" Other x86_64 [204] i386 [242] aarch64 [123] => [numbered! {
            pid: Pid, Arg(0);
            len: U32, Arg(1);
        }]
        /// `sched_setattr(2)`.
        SchedSetattr "sched_setattr" Other x86_64 [314] i386 [351] aarch64 [274] => [numbered! {
            pid: Pid, Arg(0);
            policy: Enum(&flags::SCHED_POLICIES), UserU32 { arg: 1, offset: 4 };
            flags: U32, Arg(2), hex;
        }]
        /// `sched_getattr(2)`.
        SchedGetattr "sched_getattr" Other x86_64 [315] i386 [352] aarch64 [275] => [numbered! {
            pid: Pid, Arg(0);
            size: U32, Arg(2);
            flags: U32, Arg(3), hex;
        }]
        /// `sched_get_priority_max(2)`.
        SchedGetPriorityMax "sched_get_priority_max" Other x86_64 [146] i386 [159] aarch64 [125] => [numbered! {
            policy: Enum(&flags::SCHED_POLICIES), Arg(0);
        }]
        /// `sched_get_priority_min(2)`.
        SchedGetPriorityMin "sched_get_priority_min" Other x86_64 [147] i386 [160] aarch64 [126] => [numbered! {
            policy: Enum(&flags::SCHED_POLICIES), Arg(0);
        }]
        /// `ioprio_set(2)`.
        IoprioSet "ioprio_set" Other x86_64 [251] i386 [289] aarch64 [30] => [numbered! {
            which: I32, Arg(0);
            who: I32, Arg(1);
            ioprio: I32, Arg(2), hex;
        }]
        /// `ioprio_get(2)`.
        IoprioGet "ioprio_get" Other x86_64 [252] i386 [290] aarch64 [31] => [numbered! {
            which: I32, Arg(0);
            who: I32, Arg(1);
        }]
        /// `setgroups(2)`.
        Setgroups "setgroups" Other x86_64 [116] i386 [81, 206] aarch64 [159] => [numbered! {
            gidsetsize: I32, Arg(0);
        }]
        /// `getgroups(2)`.
        Getgroups "getgroups" Other x86_64 [115] i386 [80, 205] aarch64 [158] => [numbered! {
            gidsetsize: I32, Arg(0);
        }]
        /// `setfsgid(2)`.
        Setfsgid "setfsgid" Other x86_64 [123] i386 [139, 216] aarch64 [152] => [numbered! {
            gid: Gid, Id(0);
        }]
        /// `umask(2)`.
        Umask "umask" Other x86_64 [95] i386 [60] aarch64 [166] => [numbered! {
            mask: Mode(&flags::CHMOD_MODE), Arg(0);
        }]
        /// `wait4(2)`.
        Wait4 "wait4" Other x86_64 [61] i386 [114] aarch64 [260] => [numbered! {
            pid: Pid, Arg(0);
            options: U32, Arg(2), hex;
        }]
        /// `waitid(2)`.
        Waitid "waitid" Other x86_64 [247] i386 [284] aarch64 [95] => [numbered! {
            which: I32, Arg(0);
            pid: Pid, Arg(1);
            options: U32, Arg(3), hex;
        }]
        /// i386's `waitpid(2)`.
        Waitpid "waitpid" Other x86_64 [] i386 [7] aarch64 [] => [numbered! {
            pid: Pid, Arg(0);
            options: U32, Arg(2), hex;
        }]
        /// `getrusage(2)`.
        Getrusage "getrusage" Other x86_64 [98] i386 [77] aarch64 [165] => [numbered! {
            who: I32, Arg(0);
        }]
        /// `getrandom(2)`.
        Getrandom "getrandom" Other x86_64 [318] i386 [355] aarch64 [278] => [numbered! {
            count: U64, Arg(1);
            flags: Flags(&flags::GETRANDOM_FLAGS), Arg(2);
        }]
        /// `membarrier(2)`.
        Membarrier "membarrier" Other x86_64 [324] i386 [375] aarch64 [283] => [numbered! {
            cmd: I32, Arg(0), hex;
            flags: U32, Arg(1), hex;
            cpu_id: I32, Arg(2);
        }]
        /// `memfd_secret(2)`.
        MemfdSecret "memfd_secret" Other x86_64 [447] i386 [447] aarch64 [447] => [numbered! {
            flags: Flags(&flags::DESCRIPTOR_FLAGS), Arg(0);
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `madvise(2)`.
        Madvise "madvise" Other x86_64 [28] i386 [219] aarch64 [233] => [numbered! {
            addr: U64, Arg(0), hex;
            length: U64, Arg(1);
            advice: Enum(&flags::MADVISE_BEHAVIORS), Arg(2);
        }]
        /// `mremap(2)`.
        Mremap "mremap" Other x86_64 [25] i386 [163] aarch64 [216] => [numbered! {
            addr: U64, Arg(0), hex;
            old_len: U64, Arg(1);
            new_len: U64, Arg(2);
            flags: Flags(&flags::MREMAP_FLAGS), Arg(3);
            new_addr: U64, Arg(4), hex;
        }]
        /// `msync(2)`.
        Msync "msync" Other x86_64 [26] i386 [144] aarch64 [227] => [numbered! {
            addr: U64, Arg(0), hex;
            len: U64, Arg(1);
            flags: Flags(&flags::MSYNC_FLAGS), Arg(2);
        }]
        /// `mseal(2)`.
        Mseal "mseal" Other x86_64 [462] i386 [462] aarch64 [462] => [numbered! {
            addr: U64, Arg(0), hex;
            len: U64, Arg(1);
            flags: U64, Arg(2), hex;
        }]
        /// `mincore(2)`.
        Mincore "mincore" Other x86_64 [27] i386 [218] aarch64 [232] => [numbered! {
            addr: U64, Arg(0), hex;
            len: U64, Arg(1);
        }]
        /// `pkey_mprotect(2)`.
        PkeyMprotect "pkey_mprotect" Other x86_64 [329] i386 [380] aarch64 [288] => [numbered! {
            addr: U64, Arg(0), hex;
            len: U64, Arg(1);
            prot: Flags(&flags::PROT_FLAGS), Arg(2);
            pkey: I32, Arg(3);
        }]
        /// `pkey_alloc(2)`.
        PkeyAlloc "pkey_alloc" Other x86_64 [330] i386 [381] aarch64 [289] => [numbered! {
            flags: U32, Arg(0), hex;
            access_rights: U32, Arg(1), hex;
        }]
        /// `pkey_free(2)`.
        PkeyFree "pkey_free" Other x86_64 [331] i386 [382] aarch64 [290] => [numbered! {
            pkey: I32, Arg(0);
        }]
        /// `migrate_pages(2)`.
        MigratePages "migrate_pages" Other x86_64 [256] i386 [294] aarch64 [238] => [numbered! {
            pid: Pid, Arg(0);
            maxnode: U64, Arg(1);
        }]
        /// `move_pages(2)`.
        MovePages "move_pages" Other x86_64 [279] i386 [317] aarch64 [239] => [numbered! {
            pid: Pid, Arg(0);
            nr_pages: U64, Arg(1);
            flags: U32, Arg(5), hex;
        }]
        /// `map_shadow_stack(2)`.
        MapShadowStack "map_shadow_stack" Other x86_64 [453] i386 [453] aarch64 [453] => [numbered! {
            addr: U64, Arg(0), hex;
            size: U64, Arg(1);
            flags: U32, Arg(2), hex;
        }]
        /// `cachestat(2)`.
        Cachestat "cachestat" Other x86_64 [451] i386 [451] aarch64 [451] => [numbered! {
            fd: Fd, Arg(0);
            flags: U32, Arg(3), hex;
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `mq_open(2)`.
        MqOpen "mq_open" Other x86_64 [240] i386 [277] aarch64 [180] => [numbered! {
            name: CharBuf, UserString(0);
            oflag: Flags(&flags::FILE_FLAGS), Arg(1);
            mode: U32, Arg(2), octal;
            object: Object(2), Behind(Holder::Result), hidden, on_demand;
        }]
        /// `mq_unlink(2)`.
        MqUnlink "mq_unlink" Other x86_64 [241] i386 [278] aarch64 [181] => [numbered! {
            name: CharBuf, UserString(0);
        }]
        /// `mq_timedsend(2)`.
        MqTimedsend "mq_timedsend" Other x86_64 [242] i386 [279, 418] aarch64 [182] => [numbered! {
            mqdes: Fd, Arg(0);
            msg_len: U64, Arg(2);
            msg_prio: U32, Arg(3);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `mq_timedreceive(2)`.
        MqTimedreceive "mq_timedreceive" Other x86_64 [243] i386 [280, 419] aarch64 [183] => [numbered! {
            mqdes: Fd, Arg(0);
            msg_len: U64, Arg(2);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `mq_notify(2)`.
        MqNotify "mq_notify" Other x86_64 [244] i386 [281] aarch64 [184] => [numbered! {
            mqdes: Fd, Arg(0);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `mq_getsetattr(2)`.
        MqGetsetattr "mq_getsetattr" Other x86_64 [245] i386 [282] aarch64 [185] => [numbered! {
            mqdes: Fd, Arg(0);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `msgget(2)`.
        Msgget "msgget" Other x86_64 [68] i386 [399] aarch64 [186] => [numbered! {
            key: I32, Arg(0), hex;
            msgflg: Flags(&flags::SEMGET_FLAGS), Arg(1);
        }]
        /// `msgsnd(2)`.
        Msgsnd "msgsnd" Other x86_64 [69] i386 [400] aarch64 [189] => [numbered! {
            msqid: I32, Arg(0);
            msgsz: U64, Arg(2);
            msgflg: U32, Arg(3), hex;
        }]
        /// `msgrcv(2)`.
        Msgrcv "msgrcv" Other x86_64 [70] i386 [401] aarch64 [188] => [numbered! {
            msqid: I32, Arg(0);
            msgsz: U64, Arg(2);
            msgtyp: I64, Arg(3);
            msgflg: U32, Arg(4), hex;
        }]
        /// `msgctl(2)`.
        Msgctl "msgctl" Other x86_64 [71] i386 [402] aarch64 [187] => [numbered! {
            msqid: I32, Arg(0);
            cmd: I32, Arg(1);
        }]
        /// `shmget(2)`.
        Shmget "shmget" Other x86_64 [29] i386 [395] aarch64 [194] => [numbered! {
            key: I32, Arg(0), hex;
            size: U64, Arg(1);
            shmflg: Flags(&flags::SEMGET_FLAGS), Arg(2);
        }]
        /// `shmat(2)`.
        Shmat "shmat" Other x86_64 [30] i386 [397] aarch64 [196] => [numbered! {
            shmid: I32, Arg(0);
            shmaddr: U64, Arg(1), hex;
            shmflg: U32, Arg(2), hex;
        }]
        /// `shmctl(2)`.
        Shmctl "shmctl" Other x86_64 [31] i386 [396] aarch64 [195] => [numbered! {
            shmid: I32, Arg(0);
            cmd: I32, Arg(1);
        }]
        /// `shmdt(2)`.
        Shmdt "shmdt" Other x86_64 [67] i386 [398] aarch64 [197] => [numbered! {
            shmaddr: U64, Arg(0), hex;
        }]
        /// `semtimedop(2)`.
        Semtimedop "semtimedop" Other x86_64 [220] i386 [420] aarch64 [192] => [numbered! {
            semid: I32, Arg(0);
            nsops: U32, Arg(2);
        }]
        /// `epoll_ctl(2)`.
        EpollCtl "epoll_ctl" Other x86_64 [233] i386 [255] aarch64 [21] => [numbered! {
            epfd: Fd, Arg(0);
            op: Enum(&flags::EPOLL_CTL_OPS), Arg(1);
            fd: Fd, Arg(2);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
            fd_object: Object(5), Behind(Holder::Arg(2)), hidden, on_demand;
        }]
        /// `epoll_pwait(2)`.
        EpollPwait "epoll_pwait" Other x86_64 [281] i386 [319] aarch64 [22] => [numbered! {
            epfd: Fd, Arg(0);
            maxevents: I32, Arg(2);
            timeout: I32, Arg(3);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `epoll_pwait2(2)`.
        EpollPwait2 "epoll_pwait2" Other x86_64 [441] i386 [441] aarch64 [441] => [numbered! {
            epfd: Fd, Arg(0);
            maxevents: I32, Arg(2);
            timeout: RelTime, UserTime(3);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `timerfd_settime(2)`.
        TimerfdSettime "timerfd_settime" Other x86_64 [286] i386 [325, 411] aarch64 [86] => [numbered! {
            fd: Fd, Arg(0);
            flags: Flags(&flags::TIMER_FLAGS), Arg(1);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `timerfd_gettime(2)`.
        TimerfdGettime "timerfd_gettime" Other x86_64 [287] i386 [326, 410] aarch64 [87] => [numbered! {
            fd: Fd, Arg(0);
            object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
        }]
        /// `timer_create(2)`.
        TimerCreate "timer_create" Other x86_64 [222] i386 [259] aarch64 [107] => [numbered! {
            clockid: Enum(&flags::CLOCK_IDS), Arg(0);
        }]
        /// `timer_settime(2)`.
        TimerSettime "timer_settime" Other x86_64 [223] i386 [260, 409] aarch64 [110] => [numbered! {
            timerid: I32, Arg(0);
            flags: Flags(&flags::TIMER_FLAGS), Arg(1);
        }]
        /// `timer_gettime(2)`.
        TimerGettime "timer_gettime" Other x86_64 [224] i386 [261, 408] aarch64 [108] => [numbered! {
            timerid: I32, Arg(0);
        }]
        /// `timer_getoverrun(2)`.
        TimerGetoverrun "timer_getoverrun" Other x86_64 [225] i386 [262] aarch64 [109] => [numbered! {
            timerid: I32, Arg(0);
        }]
        /// `timer_delete(2)`.
        TimerDelete "timer_delete" Other x86_64 [226] i386 [263] aarch64 [111] => [numbered! {
            timerid: I32, Arg(0);
        }]
        /// `alarm(2)`.
        Alarm "alarm" Other x86_64 [37] i386 [27] aarch64 [] => [numbered! {
            seconds: U32, Arg(0);
        }]
        /// `setitimer(2)`.
        Setitimer "setitimer" Other x86_64 [38] i386 [104] aarch64 [103] => [numbered! {
            which: I32, Arg(0);
        }]
        /// `getitimer(2)`.
        Getitimer "getitimer" Other x86_64 [36] i386 [105] aarch64 [102] => [numbered! {
            which: I32, Arg(0);
        }]
        /// `io_setup(2)`.
        IoSetup "io_setup" Other x86_64 [206] i386 [245] aarch64 [0] => [numbered! {
            nr_events: U32, Arg(0);
        }]
        /// `io_submit(2)`.
        IoSubmit "io_submit" Other x86_64 [209] i386 [248] aarch64 [2] => [numbered! {
            nr: I64, Arg(1);
        }]
        /// `rt_sigaction(2)`.
        RtSigaction "rt_sigaction" Other x86_64 [13] i386 [174] aarch64 [134] => [numbered! {
            sig: Signal, Arg(0);
        }]
        } }
    };
}

pub(super) use numbered_calls;
