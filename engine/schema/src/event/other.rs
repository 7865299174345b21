//! The system calls without a row of their own: captured by number, with their raw arguments, when a rule asks for one.
//!
//! A row of its own wins: adding one there means deleting the line here (the compiler asks for it).
//!
//! The name is Falco's for the event: that of a dedicated event where Falco has one (`pread` for `pread64`), else that of
//! the call. What the kernel's 32-bit tables call `NAME32`, `NAME64` or `NAME_time64` is the same call. Numbers are those of
//! `asm/unistd_64.h`, `asm/unistd_32.h` and `asm-generic/unistd.h` of Linux, and for the newest of `scripts/syscall.tbl`.

macro_rules! other_calls {
    ([$then:ident] $rows:tt) => {
        $then! { $rows {
            Bdflush "bdflush" [] [134] [];
            Capget "capget" [125] [184] [90];
            CreateModule "create_module" [174] [127] [];
            EpollCtlOld "epoll_ctl_old" [214] [] [];
            EpollWaitOld "epoll_wait_old" [215] [] [];
            Exit "exit" [60] [1] [93];
            ExitGroup "exit_group" [231] [252] [94];
            FutexRequeue "futex_requeue" [456] [456] [456];
            FutexWait "futex_wait" [455] [455] [455];
            FutexWaitv "futex_waitv" [449] [449] [449];
            FutexWake "futex_wake" [454] [454] [454];
            GetKernelSyms "get_kernel_syms" [177] [130] [];
            GetMempolicy "get_mempolicy" [239] [275] [236];
            GetRobustList "get_robust_list" [274] [312] [100];
            GetThreadArea "get_thread_area" [211] [244] [];
            Getcpu "getcpu" [309] [318] [168];
            Getpgrp "getpgrp" [111] [65] [];
            Getpid "getpid" [39] [20] [172];
            Getpmsg "getpmsg" [181] [188] [];
            Getppid "getppid" [110] [64] [173];
            Gettid "gettid" [186] [224] [178];
            Gettimeofday "gettimeofday" [96] [78] [169];
            Idle "idle" [] [112] [];
            IoCancel "io_cancel" [210] [249] [3];
            IoDestroy "io_destroy" [207] [246] [1];
            IoGetevents "io_getevents" [208] [247] [4];
            IoPgetevents "io_pgetevents" [333] [385, 416] [292];
            Ipc "ipc" [] [117] [];
            Listmount "listmount" [458] [458] [458];
            Listns "listns" [470] [470] [470];
            LookupDcookie "lookup_dcookie" [212] [253] [18];
            LsmGetSelfAttr "lsm_get_self_attr" [459] [459] [459];
            LsmListModules "lsm_list_modules" [461] [461] [461];
            LsmSetSelfAttr "lsm_set_self_attr" [460] [460] [460];
            Mbind "mbind" [237] [274] [235];
            Newselect "_newselect" [] [142] [];
            Nfsservctl "nfsservctl" [180] [169] [42];
            Oldfstat "oldfstat" [] [28] [];
            Oldlstat "oldlstat" [] [84] [];
            Oldolduname "oldolduname" [] [59] [];
            Oldstat "oldstat" [] [18] [];
            Olduname "olduname" [] [109] [];
            Pause "pause" [34] [29] [];
            Pselect6 "pselect6" [270] [308, 413] [72];
            QueryModule "query_module" [178] [167] [];
            Readdir "readdir" [] [89] [];
            RemapFilePages "remap_file_pages" [216] [257] [234];
            RestartSyscall "restart_syscall" [219] [0] [128];
            Rseq "rseq" [334] [386] [293];
            RseqSliceYield "rseq_slice_yield" [471] [471] [471];
            RtSigpending "rt_sigpending" [127] [176] [136];
            RtSigprocmask "rt_sigprocmask" [14] [175] [135];
            RtSigreturn "rt_sigreturn" [15] [173] [139];
            RtSigsuspend "rt_sigsuspend" [130] [179] [133];
            RtSigtimedwait "rt_sigtimedwait" [128] [177, 421] [137];
            SchedRrGetInterval "sched_rr_get_interval" [148] [161, 423] [127];
            SchedYield "sched_yield" [24] [158] [124];
            SetMempolicy "set_mempolicy" [238] [276] [237];
            SetMempolicyHomeNode "set_mempolicy_home_node" [450] [450] [450];
            SetRobustList "set_robust_list" [273] [311] [99];
            SetThreadArea "set_thread_area" [205] [243] [];
            SetTidAddress "set_tid_address" [218] [258] [96];
            Sgetmask "sgetmask" [] [68] [];
            Sigaction "sigaction" [] [67] [];
            Sigaltstack "sigaltstack" [131] [186] [132];
            Signal "signal" [] [48] [];
            Sigpending "sigpending" [] [73] [];
            Sigprocmask "sigprocmask" [] [126] [];
            Sigreturn "sigreturn" [] [119] [];
            Sigsuspend "sigsuspend" [] [72] [];
            Socketcall "socketcall" [] [102] [];
            Ssetmask "ssetmask" [] [69] [];
            Statmount "statmount" [457] [457] [457];
            Stime "stime" [] [25] [];
            Sync "sync" [162] [36] [81];
            Sysctl "_sysctl" [156] [149] [];
            Sysfs "sysfs" [139] [135] [];
            Sysinfo "sysinfo" [99] [116] [179];
            Time "time" [201] [13] [];
            Times "times" [100] [43] [153];
            Uname "uname" [63] [122] [160];
            Uprobe "uprobe" [336] [] [];
            Uretprobe "uretprobe" [335] [] [];
            Ustat "ustat" [136] [62] [];
            Vhangup "vhangup" [153] [111] [58];
            Vm86 "vm86" [] [113, 166] [];
        } }
    };
}

pub(super) use other_calls;
