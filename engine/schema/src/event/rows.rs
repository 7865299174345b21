//! The rows of what the state needs and the stock rules read. To add an event, add a row here or in `plain.rs` (in
//! `numbered.rs` when Falco has no parameters for it), delete its line in `other.rs`, and perform it in a test.

use super::numbered::numbered_calls;
use super::other::other_calls;
use super::plain::plain_calls;
use super::{Category, EventRow, Extractor, FdUse, Format, Holder, Origin, Param, ProcessField};
use crate::descriptor::DescriptorKind;
use crate::flags;

macro_rules! param {
    ($name:ident : $ty:expr, $from:expr $(, $key:ident $(= $value:expr)?)*) => {{
        #[allow(unused_mut)]
        let mut p = Param {
            name: stringify!($name),
            ty: $ty,
            from: $from,
            state: None,
            on_demand: false,
            hidden: false,
            by_name: false,
            at_enter: false,
            format: Format::of($ty),
        };
        $( param!(@ p $key $($value)?); )*
        p
    }};
    (@ $p:ident state $value:expr) => { $p.state = Some($value) };
    (@ $p:ident on_demand) => { $p.on_demand = true };
    (@ $p:ident hidden) => { $p.hidden = true };
    (@ $p:ident hex) => { $p.format = Format::Hex };
    (@ $p:ident octal) => { $p.format = Format::Octal };
    (@ $p:ident decimal) => { $p.format = Format::Decimal };
    (@ $p:ident by_name) => { $p.by_name = true };
    (@ $p:ident at_enter) => { $p.at_enter = true };
}

/// The rows below, and behind them those of `plain.rs`, `numbered.rs` and `other.rs`: each puts its own behind those it
/// was given, and gives all to the next.
macro_rules! events {
    ($($rows:tt)*) => { plain_calls! { [numbered_calls other_calls define] { $($rows)* } } };
}

macro_rules! define {
    ({ $(
        $(#[$doc:meta])*
        $variant:ident $name:literal $category:ident
        x86_64 $x:tt i386 $i:tt aarch64 $a:tt $(fd $fd:expr;)? => $params:tt
    )* } { $( $other:ident $other_name:literal $ox:tt $oi:tt $oa:tt; )* }) => {
        /// An event Lanner captures: the index of its row in [`EVENTS`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Event {
            $( $(#[$doc])* $variant, )*
            $( #[doc = concat!("`", $other_name, "(2)`, by number.")] $other, )*
        }

        /// How many of them have parameters of their own; the rows behind these share [`BY_NUMBER`].
        pub const DEDICATED_COUNT: usize = [$( $name ),*].len();

        /// How many events there are.
        pub const EVENT_COUNT: usize = DEDICATED_COUNT + [$( $other_name ),*].len();

        /// Every event, in the order of [`Event`].
        pub static EVENTS: &[EventRow] = &[ $(
            EventRow {
                event: Event::$variant,
                name: $name,
                category: Category::$category,
                x86_64: &$x,
                i386: &$i,
                aarch64: &$a,
                fd: define!(@fd [$($fd)?] $params),
                params: define!(@params $params),
            },
        )* $(
            EventRow {
                event: Event::$other,
                name: $other_name,
                category: Category::Other,
                x86_64: &$ox,
                i386: &$oi,
                aarch64: &$oa,
                fd: FdUse::None,
                params: BY_NUMBER,
            },
        )* ];
    };
    (@params { $( $param:ident : $ty:expr, $from:expr $(, $key:ident $(= $value:expr)?)*; )* }) => {
        const { &[ $( param!($param: $ty, $from $(, $key $(= $value)?)*) ),* ] }
    };
    (@params [$params:expr]) => { const { &$params } };
    (@fd [] $params:tt) => { const { FdUse::of(define!(@params $params)) } };
    (@fd [$fd:expr] $params:tt) => { $fd };
}

/// The parameters of a row in `numbered.rs`: behind the two that Falco has for every such call, and the result.
macro_rules! numbered {
    { $( $param:ident : $ty:expr, $from:expr $(, $key:ident $(= $value:expr)?)*; )* } => {
        [
            param!(ID: SyscallId, Origin::Number),
            param!(nativeID: U16, Origin::Number),
            param!(res: Errno, Return),
            $( param!($param: $ty, $from $(, $key $(= $value)?)*) ),*
        ]
    };
}

/// What is captured of a system call without a row of its own: Falco's two parameters, and Lanner's.
pub const BY_NUMBER: &[Param] = &[
    param!(ID: SyscallId, Origin::Number),
    param!(nativeID: U16, Origin::Number),
    param!(res: Errno, Return, hidden, by_name),
    param!(arg0: U64, Arg(0), hidden, by_name),
    param!(arg1: U64, Arg(1), hidden, by_name),
    param!(arg2: U64, Arg(2), hidden, by_name),
    param!(arg3: U64, Arg(3), hidden, by_name),
    param!(arg4: U64, Arg(4), hidden, by_name),
    param!(arg5: U64, Arg(5), hidden, by_name),
];

use super::Origin::{
    Absent, Arg, Constant, Id, Int, KeyctlArg, LookedUp, Object as Behind, Position, Program, Quota,
    ResultId, ResultLong, ResultString, ResultU64, Return, Sembuf, UserBytes, UserLong, UserPath,
    UserSignals, UserString, UserTime, UserU32, UserU64,
};
use super::ParamType::*;
use super::QuotaPart::{Block, Info};
use crate::task::TaskValue as T;
use DescriptorKind as K;
use Extractor as X;
use ProcessField as P;

const fn path(path: u8) -> Origin {
    UserPath { path, dirfd: None }
}
const fn path_at(dirfd: u8, path: u8) -> Origin {
    UserPath {
        path,
        dirfd: Some(dirfd),
    }
}

/// The parameters of the two execs: Falco's thirty, and the file that was named.
const fn executed(args: Extractor, filename: Param) -> [Param; 31] {
    [
        param!(res: Errno, Return),
        param!(exe: CharBuf, Absent, state = P::Exe),
        param!(args: ByteBuf, Origin::Extractor(args), state = P::Args),
        param!(tid: Pid, Absent, state = P::Tid),
        param!(pid: Pid, Absent, state = P::Pid),
        param!(ptid: Pid, Absent, state = P::Task(T::ParentTid)),
        param!(cwd: CharBuf, Absent, state = P::Cwd),
        param!(fdlimit: U64, Absent, state = P::Task(T::FdLimit)),
        param!(pgft_maj: U64, Absent, state = P::Task(T::MajorFaults)),
        param!(pgft_min: U64, Absent, state = P::Task(T::MinorFaults)),
        param!(vm_size: U32, Absent, state = P::Task(T::VmSize)),
        param!(vm_rss: U32, Absent, state = P::Task(T::VmRss)),
        param!(vm_swap: U32, Absent, state = P::Task(T::VmSwap)),
        param!(comm: CharBuf, Absent, state = P::Comm),
        param!(cgroups: ByteBuf, Absent, state = P::Cgroups),
        param!(env: ByteBuf, Absent, state = P::Env),
        param!(tty: U32, Absent, state = P::Tty),
        param!(vpgid: Pid, Absent, state = P::Vpgid),
        param!(loginuid: Uid, Absent, state = P::LoginUid),
        param!(flags: Flags(&flags::EXECVE_FLAGS), Absent, state = P::ExecFlags),
        param!(cap_inheritable: U64, Absent, state = P::Task(T::CapInheritable), hex),
        param!(cap_permitted: U64, Absent, state = P::Task(T::CapPermitted), hex),
        param!(cap_effective: U64, Absent, state = P::Task(T::CapEffective), hex),
        param!(exe_ino: U64, Absent, state = P::ExeIno),
        param!(exe_ino_ctime: AbsTime, Absent, state = P::ExeCtime),
        param!(exe_ino_mtime: AbsTime, Absent, state = P::ExeMtime),
        param!(uid: Uid, Absent, state = P::Uid),
        param!(trusted_exepath: FsPath, Absent, state = P::ExePath),
        param!(pgid: Pid, Absent, state = P::Pgid),
        param!(gid: Gid, Absent, state = P::Gid),
        filename,
    ]
}

/// The parameters of clone and its kin: the process as it is after the call. Their flags come from different places.
const fn cloned(flags: Origin) -> [Param; 21] {
    [
        param!(res: Pid, Return),
        param!(exe: CharBuf, Absent, state = P::Exe),
        param!(args: ByteBuf, Absent, state = P::Args),
        param!(tid: Pid, Absent, state = P::Tid),
        param!(pid: Pid, Absent, state = P::Pid),
        param!(ptid: Pid, Absent, state = P::Task(T::ParentTid)),
        param!(cwd: CharBuf, Absent, state = P::Cwd),
        param!(fdlimit: I64, Absent, state = P::Task(T::FdLimit)),
        param!(pgft_maj: U64, Absent, state = P::Task(T::MajorFaults)),
        param!(pgft_min: U64, Absent, state = P::Task(T::MinorFaults)),
        param!(vm_size: U32, Absent, state = P::Task(T::VmSize)),
        param!(vm_rss: U32, Absent, state = P::Task(T::VmRss)),
        param!(vm_swap: U32, Absent, state = P::Task(T::VmSwap)),
        param!(comm: CharBuf, Absent, state = P::Comm),
        param!(cgroups: ByteBuf, Absent, state = P::Cgroups),
        param!(flags: Flags(&flags::CLONE_FLAGS), flags),
        param!(uid: U32, Absent, state = P::Uid),
        param!(gid: U32, Absent, state = P::Gid),
        param!(vtid: Pid, Absent, state = P::Task(T::Vtid)),
        param!(vpid: Pid, Absent, state = P::Vpid),
        param!(pidns_init_start_ts: U64, Absent, state = P::PidnsStart),
    ]
}

events! {
    /// `open(2)`.
    Open "open" File x86_64 [2] i386 [5] aarch64 [] fd FdUse::Opens { path: 1, flags: 2 }; => {
        fd: Fd, Return;
        name: FsPath, path(0);
        flags: Flags(&flags::FILE_FLAGS), Arg(1);
        mode: CreateMode(2), Arg(2);
        dev: U32, Origin::Extractor(X::OpenedDev), on_demand, hex;
        ino: U64, Origin::Extractor(X::OpenedIno), on_demand;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
        real_name: RealPath(1), Origin::Extractor(X::ResultPath), hidden, on_demand;
        filesystem_path: FsPath, Origin::Extractor(X::ResultPathInFilesystem), hidden, on_demand;
    }
    /// `openat(2)`.
    Openat "openat" File x86_64 [257] i386 [295] aarch64 [56] fd FdUse::Opens { path: 2, flags: 3 }; => {
        fd: Fd, Return;
        dirfd: Fd, Arg(0);
        name: FsRelPath(1), path_at(0, 1);
        flags: Flags(&flags::FILE_FLAGS), Arg(2);
        mode: CreateMode(3), Arg(3);
        dev: U32, Origin::Extractor(X::OpenedDev), on_demand, hex;
        ino: U64, Origin::Extractor(X::OpenedIno), on_demand;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
        dirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        real_name: RealPath(2), Origin::Extractor(X::ResultPath), hidden, on_demand;
        filesystem_path: FsPath, Origin::Extractor(X::ResultPathInFilesystem), hidden, on_demand;
    }
    /// `openat2(2)`; flags, mode and resolve are members of its `struct open_how`.
    Openat2 "openat2" File x86_64 [437] i386 [437] aarch64 [437] fd FdUse::Opens { path: 2, flags: 3 }; => {
        fd: Fd, Return;
        dirfd: Fd, Arg(0);
        name: FsRelPath(1), path_at(0, 1);
        flags: Flags(&flags::FILE_FLAGS), UserU64 { arg: 2, offset: 0 };
        mode: CreateMode(3), UserU64 { arg: 2, offset: 8 };
        resolve: Flags(&flags::OPENAT2_FLAGS), UserU64 { arg: 2, offset: 16 };
        dev: U32, Origin::Extractor(X::OpenedDev), on_demand, hex;
        ino: U64, Origin::Extractor(X::OpenedIno), on_demand;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
        dirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        real_name: RealPath(2), Origin::Extractor(X::ResultPath), hidden, on_demand;
        filesystem_path: FsPath, Origin::Extractor(X::ResultPathInFilesystem), hidden, on_demand;
    }
    /// `creat(2)`.
    Creat "creat" File x86_64 [85] i386 [8] aarch64 [] fd FdUse::Opens { path: 1, flags: 6 }; => {
        fd: Fd, Return;
        name: FsPath, path(0);
        mode: U32, Arg(1), octal;
        dev: U32, Origin::Extractor(X::OpenedDev), on_demand, hex;
        ino: U64, Origin::Extractor(X::OpenedIno), on_demand;
        creat_flags: Flags(&flags::CREAT_FLAGS), Origin::Extractor(X::ResultLayer), on_demand;
        flags: Flags(&flags::FILE_FLAGS), Origin::Extractor(X::CreatFlags), hidden;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
        real_name: RealPath(1), Origin::Extractor(X::ResultPath), hidden, on_demand;
        filesystem_path: FsPath, Origin::Extractor(X::ResultPathInFilesystem), hidden, on_demand;
    }
    /// `execve(2)`: successful ones come from `sched_process_exec`, failed ones from the return.
    Execve "execve" Process x86_64 [59] i386 [11] aarch64 [221] => [executed(X::ExecveArgv, param!(filename: FsPath, path(0)))]
    /// `execveat(2)`, as [`Event::Execve`].
    Execveat "execveat" Process x86_64 [322] i386 [358] aarch64 [281] => [executed(X::ExecveatArgv, param!(filename: FsPath, path_at(0, 1), hidden))]
    /// `clone(2)`: one event in the parent (the child's tid), one in the child (0).
    Clone "clone" Process x86_64 [56] i386 [120] aarch64 [220] => [cloned(Arg(0))]
    /// `fork(2)`, as [`Event::Clone`].
    Fork "fork" Process x86_64 [57] i386 [2] aarch64 [] => [cloned(Constant(0))]
    /// `vfork(2)`, as [`Event::Clone`].
    Vfork "vfork" Process x86_64 [58] i386 [190] aarch64 [] => [cloned(Constant(0))]
    /// `clone3(2)`, as [`Event::Clone`]; its flags are a member of `struct clone_args`.
    Clone3 "clone3" Process x86_64 [435] i386 [435] aarch64 [435] => [cloned(UserU64 { arg: 0, offset: 0 })]
    /// The end of a thread (`sched_process_exit`).
    Procexit "procexit" Process x86_64 [] i386 [] aarch64 [] => {
        status: Errno, Program;
        ret: Errno, Program;
        sig: Signal, Program;
        core: U8, Program;
        reaper_tid: Pid, Program;
        group_dead: U8, Program, hidden;
    }
    /// A signal reached a thread (`signal_deliver`).
    Signaldeliver "signaldeliver" Process x86_64 [] i386 [] aarch64 [] => {
        spid: Pid, Program;
        dpid: Pid, Program;
        sig: Signal, Program;
    }
    /// `connect(2)`.
    Connect "connect" Net x86_64 [42] i386 [362] aarch64 [203] fd FdUse::Socket { fd: 2, tuple: 1 }; => {
        res: Errno, Return;
        tuple: SockTuple, Origin::Extractor(X::SockTuple);
        fd: Fd, Arg(0);
        addr: SockAddr, Origin::Extractor(X::SockAddr), on_demand;
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `sendto(2)`, and `send(3)`, which is the same call without an address.
    Sendto "sendto" IoWrite x86_64 [44] i386 [369] aarch64 [206] fd FdUse::Socket { fd: 2, tuple: 4 }; => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::SentData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Arg(2);
        tuple: SockTuple, Origin::Extractor(X::SendToTuple);
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `sendmsg(2)`.
    Sendmsg "sendmsg" IoWrite x86_64 [46] i386 [370] aarch64 [211] fd FdUse::Socket { fd: 2, tuple: 4 }; => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::SentMsgData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Origin::Extractor(X::MsgSize);
        tuple: SockTuple, Origin::Extractor(X::SendMsgTuple);
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `dup(2)`.
    Dup "dup" IoOther x86_64 [32] i386 [41] aarch64 [23] fd FdUse::Copies { old: 1, object: 2 }; => {
        res: Fd, Return;
        oldfd: Fd, Arg(0);
        object: Object(0), Behind(Holder::Copy(0)), hidden, on_demand;
    }
    /// `dup2(2)`.
    Dup2 "dup2" IoOther x86_64 [33] i386 [63] aarch64 [] fd FdUse::Copies { old: 1, object: 3 }; => {
        res: Fd, Return;
        oldfd: Fd, Arg(0);
        newfd: Fd, Arg(1);
        object: Object(0), Behind(Holder::Copy(0)), hidden, on_demand;
    }
    /// `dup3(2)`.
    Dup3 "dup3" IoOther x86_64 [292] i386 [330] aarch64 [24] fd FdUse::Copies { old: 1, object: 4 }; => {
        res: Fd, Return;
        oldfd: Fd, Arg(0);
        newfd: Fd, Arg(1);
        flags: Flags(&flags::DESCRIPTOR_FLAGS), Arg(2);
        object: Object(0), Behind(Holder::Copy(0)), hidden, on_demand;
    }
    /// `mkdir(2)`.
    Mkdir "mkdir" File x86_64 [83] i386 [39] aarch64 [] => {
        res: Errno, Return;
        path: FsPath, path(0);
        mode: U32, Arg(1), hex;
        real_path: RealPath(1), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `mkdirat(2)`.
    Mkdirat "mkdirat" File x86_64 [258] i386 [296] aarch64 [34] => {
        res: Errno, Return;
        dirfd: Fd, Arg(0);
        path: FsRelPath(1), path_at(0, 1);
        mode: U32, Arg(2), hex;
        dirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        real_path: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `rmdir(2)`.
    Rmdir "rmdir" File x86_64 [84] i386 [40] aarch64 [] => {
        res: Errno, Return;
        path: FsPath, path(0);
        real_path: RealPath(1), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `unlink(2)`.
    Unlink "unlink" File x86_64 [87] i386 [10] aarch64 [] => {
        res: Errno, Return;
        path: FsPath, path(0);
        real_path: RealPath(1), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `unlinkat(2)`.
    Unlinkat "unlinkat" File x86_64 [263] i386 [301] aarch64 [35] => {
        res: Errno, Return;
        dirfd: Fd, Arg(0);
        name: FsRelPath(1), path_at(0, 1);
        flags: Flags(&flags::UNLINKAT_FLAGS), Arg(2);
        dirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        real_name: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `symlink(2)`.
    Symlink "symlink" File x86_64 [88] i386 [83] aarch64 [] => {
        res: Errno, Return;
        target: CharBuf, UserString(0);
        linkpath: FsPath, path(1);
        real_linkpath: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `symlinkat(2)`.
    Symlinkat "symlinkat" File x86_64 [266] i386 [304] aarch64 [36] => {
        res: Errno, Return;
        target: CharBuf, UserString(0);
        linkdirfd: Fd, Arg(1);
        linkpath: FsRelPath(2), path_at(1, 2);
        linkdirfd_object: Object(2), Behind(Holder::Arg(1)), hidden, on_demand;
        real_linkpath: RealPath(3), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `link(2)`.
    Link "link" File x86_64 [86] i386 [9] aarch64 [] => {
        res: Errno, Return;
        oldpath: FsPath, path(0);
        newpath: FsPath, path(1);
        real_oldpath: RealPath(1), LookedUp { follows: false }, hidden, on_demand;
        real_newpath: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `linkat(2)`.
    Linkat "linkat" File x86_64 [265] i386 [303] aarch64 [37] => {
        res: Errno, Return;
        olddir: Fd, Arg(0);
        oldpath: FsRelPath(1), path_at(0, 1);
        newdir: Fd, Arg(2);
        newpath: FsRelPath(3), path_at(2, 3);
        flags: Flags(&flags::LINKAT_FLAGS), Arg(4);
        olddir_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        newdir_object: Object(3), Behind(Holder::Arg(2)), hidden, on_demand;
        real_oldpath: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
        real_newpath: RealPath(4), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `rename(2)`.
    Rename "rename" File x86_64 [82] i386 [38] aarch64 [] => {
        res: Errno, Return;
        oldpath: FsPath, path(0);
        newpath: FsPath, path(1);
        real_oldpath: RealPath(1), LookedUp { follows: false }, hidden, on_demand;
        real_newpath: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `renameat(2)`.
    Renameat "renameat" File x86_64 [264] i386 [302] aarch64 [38] => {
        res: Errno, Return;
        olddirfd: Fd, Arg(0);
        oldpath: FsRelPath(1), path_at(0, 1);
        newdirfd: Fd, Arg(2);
        newpath: FsRelPath(3), path_at(2, 3);
        olddirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        newdirfd_object: Object(3), Behind(Holder::Arg(2)), hidden, on_demand;
        real_oldpath: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
        real_newpath: RealPath(4), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `renameat2(2)`.
    Renameat2 "renameat2" File x86_64 [316] i386 [353] aarch64 [276] => {
        res: Errno, Return;
        olddirfd: Fd, Arg(0);
        oldpath: FsRelPath(1), path_at(0, 1);
        newdirfd: Fd, Arg(2);
        newpath: FsRelPath(3), path_at(2, 3);
        flags: Flags(&flags::RENAMEAT2_FLAGS), Arg(4);
        olddirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        newdirfd_object: Object(3), Behind(Holder::Arg(2)), hidden, on_demand;
        real_oldpath: RealPath(2), LookedUp { follows: false }, hidden, on_demand;
        real_newpath: RealPath(4), LookedUp { follows: false }, hidden, on_demand;
    }
    /// `chmod(2)`.
    Chmod "chmod" File x86_64 [90] i386 [15] aarch64 [] => {
        res: Errno, Return;
        filename: FsPath, path(0);
        mode: Mode(&flags::CHMOD_MODE), Arg(1);
        real_filename: RealPath(1), LookedUp { follows: true }, hidden, on_demand;
    }
    /// `fchmod(2)`.
    Fchmod "fchmod" File x86_64 [91] i386 [94] aarch64 [52] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        mode: Mode(&flags::CHMOD_MODE), Arg(1);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `fchmodat(2)`.
    Fchmodat "fchmodat" File x86_64 [268] i386 [306] aarch64 [53] => {
        res: Errno, Return;
        dirfd: Fd, Arg(0);
        filename: FsRelPath(1), path_at(0, 1);
        mode: Mode(&flags::CHMOD_MODE), Arg(2);
        dirfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        real_filename: RealPath(2), LookedUp { follows: true }, hidden, on_demand;
    }
    /// `chdir(2)`; the process state follows it.
    Chdir "chdir" File x86_64 [80] i386 [12] aarch64 [49] => {
        res: Errno, Return;
        path: CharBuf, UserString(0);
        cwd: FsPath, Origin::Extractor(X::Cwd), hidden;
    }
    /// `fchdir(2)`; the process state follows it.
    Fchdir "fchdir" File x86_64 [81] i386 [133] aarch64 [50] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        cwd: FsPath, Origin::Extractor(X::Cwd), hidden;
    }
    /// `setuid(2)`; i386 has an older call with 16-bit ids, as of the others below.
    Setuid "setuid" User x86_64 [105] i386 [23, 213] aarch64 [146] => {
        res: Errno, Return;
        uid: Uid, Arg(0);
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `setgid(2)`.
    Setgid "setgid" User x86_64 [106] i386 [46, 214] aarch64 [144] => {
        res: Errno, Return;
        gid: Gid, Arg(0);
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `setreuid(2)`.
    Setreuid "setreuid" User x86_64 [113] i386 [70, 203] aarch64 [145] => {
        res: Errno, Return;
        ruid: Uid, Arg(0);
        euid: Uid, Arg(1);
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `setregid(2)`; Falco calls its ids users'.
    Setregid "setregid" User x86_64 [114] i386 [71, 204] aarch64 [143] => {
        res: Errno, Return;
        rgid: Uid, Arg(0);
        egid: Uid, Arg(1);
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `setresuid(2)`.
    Setresuid "setresuid" User x86_64 [117] i386 [164, 208] aarch64 [147] => {
        res: Errno, Return;
        ruid: Uid, Arg(0);
        euid: Uid, Arg(1);
        suid: Uid, Arg(2);
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `setresgid(2)`.
    Setresgid "setresgid" User x86_64 [119] i386 [170, 210] aarch64 [149] => {
        res: Errno, Return;
        rgid: Gid, Arg(0);
        egid: Gid, Arg(1);
        sgid: Gid, Arg(2);
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `setsid(2)`.
    Setsid "setsid" Process x86_64 [112] i386 [66] aarch64 [157] => {
        res: Pid, Return;
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `setpgid(2)`.
    Setpgid "setpgid" Process x86_64 [109] i386 [57] aarch64 [154] => {
        res: Pid, Return;
        pid: Pid, Arg(0);
        pgid: Pid, Arg(1);
        task: ByteBuf, Origin::Extractor(X::GroupTaskState), hidden, on_demand;
    }
    /// `capset(2)`: the sets as they are after the call.
    Capset "capset" Process x86_64 [126] i386 [185] aarch64 [91] => {
        res: Errno, Return;
        cap_inheritable: U64, Origin::Extractor(X::CapInheritable), hex;
        cap_permitted: U64, Origin::Extractor(X::CapPermitted), hex;
        cap_effective: U64, Origin::Extractor(X::CapEffective), hex;
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `prctl(2)`.
    Prctl "prctl" Process x86_64 [157] i386 [172] aarch64 [167] => {
        res: Errno, Return;
        option: Enum(&flags::PRCTL_OPTIONS), Arg(0);
        arg2_str: CharBuf, Origin::Extractor(X::PrctlName);
        arg2_int: I64, Origin::Extractor(X::PrctlNumber);
    }
    /// `setrlimit(2)`.
    Setrlimit "setrlimit" Process x86_64 [160] i386 [75] aarch64 [164] => {
        res: Errno, Return;
        cur: I64, UserLong { arg: 1, member: 0 };
        max: I64, UserLong { arg: 1, member: 1 };
        resource: Enum(&flags::RLIMIT_RESOURCES), Arg(0);
    }
    /// `prlimit(2)`.
    Prlimit "prlimit" Process x86_64 [302] i386 [340] aarch64 [261] => {
        res: Errno, Return;
        newcur: I64, UserU64 { arg: 2, offset: 0 };
        newmax: I64, UserU64 { arg: 2, offset: 8 };
        oldcur: I64, ResultU64 { arg: 3, offset: 0 };
        oldmax: I64, ResultU64 { arg: 3, offset: 8 };
        pid: I64, Int(0);
        resource: Enum(&flags::RLIMIT_RESOURCES), Arg(1);
    }
    /// `chroot(2)`.
    Chroot "chroot" Process x86_64 [161] i386 [61] aarch64 [51] => {
        res: Errno, Return;
        path: FsPath, path(0);
        cwd: FsPath, Origin::Extractor(X::Cwd), hidden;
    }
    /// `pivot_root(2)`, of which Falco has `ID` and `nativeID`; the process state follows it.
    PivotRoot "pivot_root" Other x86_64 [155] i386 [217] aarch64 [41] => [numbered! {
        new_root: FsPath, path(0);
        put_old: FsPath, path(1);
        cwd: FsPath, Origin::Extractor(X::Cwd), hidden;
    }]
    /// `setfsuid(2)`, likewise: it gives and takes capabilities.
    Setfsuid "setfsuid" Other x86_64 [122] i386 [138, 215] aarch64 [151] => [numbered! {
        uid: Uid, Id(0);
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }]
    /// `mount(2)`.
    Mount "mount" File x86_64 [165] i386 [21] aarch64 [40] => {
        res: Errno, Return;
        dev: CharBuf, UserString(0);
        dir: FsPath, path(1);
        type: CharBuf, UserString(2);
        flags: Flags(&flags::MOUNT_FLAGS), Origin::Extractor(X::MountFlags);
        real_dir: RealPath(2), LookedUp { follows: true }, hidden, on_demand;
    }
    /// i386's old `umount(2)`, without flags.
    Umount "umount" File x86_64 [] i386 [22] aarch64 [] => {
        res: Errno, Return;
        name: FsPath, path(0);
        real_name: RealPath(1), LookedUp { follows: true }, hidden, on_demand;
    }
    /// `umount2(2)`.
    Umount2 "umount2" File x86_64 [166] i386 [52] aarch64 [39] => {
        res: Errno, Return;
        name: FsPath, path(0);
        flags: Flags(&flags::UMOUNT_FLAGS), Arg(1);
        real_name: RealPath(1), LookedUp { follows: true }, hidden, on_demand;
    }
    /// `setns(2)`.
    Setns "setns" Process x86_64 [308] i386 [346] aarch64 [268] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        nstype: Flags(&flags::CLONE_FLAGS), Arg(1);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
        cwd: FsPath, Origin::Extractor(X::Cwd), hidden;
    }
    /// `unshare(2)`.
    Unshare "unshare" Process x86_64 [272] i386 [310] aarch64 [97] => {
        res: Errno, Return;
        flags: Flags(&flags::CLONE_FLAGS), Arg(0);
        task: ByteBuf, Origin::Extractor(X::TaskState), hidden, on_demand;
    }
    /// `memfd_create(2)`.
    MemfdCreate "memfd_create" Memory x86_64 [319] i386 [356] aarch64 [279] fd FdUse::Makes { object: 3, kind: K::Memfd }; => {
        fd: Fd, Return;
        name: CharBuf, UserString(0);
        flags: Flags(&flags::MEMFD_CREATE_FLAGS), Arg(1);
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `socket(2)`.
    Socket "socket" Net x86_64 [41] i386 [359] aarch64 [198] fd FdUse::Makes { object: 5, kind: K::Other }; => {
        fd: Fd, Return;
        domain: Enum(&flags::SOCKET_FAMILIES), Origin::Extractor(X::SocketFamily);
        type: U32, Arg(1);
        proto: U32, Arg(2);
        flags: Flags(&flags::DESCRIPTOR_FLAGS), Origin::Extractor(X::SocketFlags), on_demand;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `listen(2)`.
    Listen "listen" Net x86_64 [50] i386 [363] aarch64 [201] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        backlog: I32, Arg(1);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `bind(2)`.
    Bind "bind" Net x86_64 [49] i386 [361] aarch64 [200] fd FdUse::Socket { fd: 2, tuple: 3 }; => {
        res: Errno, Return;
        addr: SockAddr, Origin::Extractor(X::SockAddr);
        fd: Fd, Arg(0);
        tuple: SockTuple, Origin::Extractor(X::ArgTuple), hidden;
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `accept(2)`; i386 has it in `socketcall(2)` only.
    Accept "accept" Net x86_64 [43] i386 [] aarch64 [202] fd FdUse::Socket { fd: 0, tuple: 1 }; => {
        fd: Fd, Return;
        tuple: SockTuple, Origin::Extractor(X::AcceptedTuple);
        queuepct: U8, Origin::Extractor(X::QueuePercent), on_demand;
        queuelen: U32, Origin::Extractor(X::QueueLength), on_demand;
        queuemax: U32, Origin::Extractor(X::QueueMax), on_demand;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `accept4(2)`.
    Accept4 "accept4" Net x86_64 [288] i386 [364] aarch64 [242] fd FdUse::Socket { fd: 0, tuple: 1 }; => {
        fd: Fd, Return;
        tuple: SockTuple, Origin::Extractor(X::AcceptedTuple);
        queuepct: U8, Origin::Extractor(X::QueuePercent), on_demand;
        queuelen: U32, Origin::Extractor(X::QueueLength), on_demand;
        queuemax: U32, Origin::Extractor(X::QueueMax), on_demand;
        flags: I32, Arg(3), on_demand, hex;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `socketpair(2)`; `fd.*` is about the first of the two.
    Socketpair "socketpair" Net x86_64 [53] i386 [360] aarch64 [199] fd FdUse::Socket { fd: 1, tuple: 8 }; => {
        res: Errno, Return;
        fd1: Fd, Origin::Extractor(X::PairFirst);
        fd2: Fd, Origin::Extractor(X::PairSecond);
        source: U64, Origin::Extractor(X::PairSource), on_demand, hex;
        peer: U64, Origin::Extractor(X::PairPeer), on_demand, hex;
        domain: Enum(&flags::SOCKET_FAMILIES), Arg(0);
        type: U32, Arg(1);
        proto: U32, Arg(2);
        tuple: SockTuple, Origin::Extractor(X::PairTuple), hidden;
        object: Object(1), Behind(Holder::First(3)), hidden, on_demand;
    }
    /// `shutdown(2)`.
    Shutdown "shutdown" Net x86_64 [48] i386 [373] aarch64 [210] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        how: Enum(&flags::SHUTDOWN_HOW), Arg(1), hex;
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `getsockopt(2)`.
    Getsockopt "getsockopt" Net x86_64 [55] i386 [365] aarch64 [209] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        level: Enum(&flags::SOCKOPT_LEVELS), Origin::Extractor(X::SockOptLevel);
        optname: Enum(&flags::SOCKOPT_OPTIONS), Origin::Extractor(X::SockOptName);
        val: Dyn, Origin::Extractor(X::SockOptValue), on_demand;
        optlen: U32, Origin::Extractor(X::SockOptLen);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `setsockopt(2)`.
    Setsockopt "setsockopt" Net x86_64 [54] i386 [366] aarch64 [208] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        level: Enum(&flags::SOCKOPT_LEVELS), Origin::Extractor(X::SockOptLevel);
        optname: Enum(&flags::SOCKOPT_OPTIONS), Origin::Extractor(X::SockOptName);
        val: Dyn, Origin::Extractor(X::NewSockOptValue), on_demand;
        optlen: U32, Arg(4);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `recvfrom(2)`, and `recv(3)`, which is the same call without an address.
    Recvfrom "recvfrom" IoRead x86_64 [45] i386 [371] aarch64 [207] fd FdUse::Socket { fd: 3, tuple: 2 }; => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::ReceivedData), on_demand;
        tuple: SockTuple, Origin::Extractor(X::RecvFromTuple);
        fd: Fd, Arg(0);
        size: U32, Arg(2);
        object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `recvmsg(2)`.
    Recvmsg "recvmsg" IoRead x86_64 [47] i386 [372] aarch64 [212] fd FdUse::Socket { fd: 5, tuple: 3 }; => {
        res: Errno, Return;
        size: U32, Origin::Extractor(X::ReceivedSize);
        data: ByteBuf, Origin::Extractor(X::ReceivedMsgData), on_demand;
        tuple: SockTuple, Origin::Extractor(X::RecvMsgTuple);
        msgcontrol: ByteBuf, Origin::Extractor(X::MsgControl), on_demand;
        fd: Fd, Arg(0);
        object: Object(5), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `sendmmsg(2)`: an event for every message that was sent, as if each had been a call of its own.
    Sendmmsg "sendmmsg" IoWrite x86_64 [307] i386 [345] aarch64 [269] fd FdUse::Socket { fd: 1, tuple: 4 }; => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        size: U32, Origin::Extractor(X::MsgSize);
        data: ByteBuf, Origin::Extractor(X::SentMsgData), on_demand;
        tuple: SockTuple, Origin::Extractor(X::SendMsgTuple);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `recvmmsg(2)`, as [`Event::Sendmmsg`].
    Recvmmsg "recvmmsg" IoRead x86_64 [299] i386 [337, 417] aarch64 [243] fd FdUse::Socket { fd: 1, tuple: 4 }; => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        size: U32, Origin::Extractor(X::ReceivedSize);
        data: ByteBuf, Origin::Extractor(X::ReceivedMsgData), on_demand;
        tuple: SockTuple, Origin::Extractor(X::RecvMsgTuple);
        msgcontrol: ByteBuf, Origin::Extractor(X::MsgControl), on_demand;
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `send(2)`, which is a call of its own in i386 `socketcall(2)` only.
    Send "send" IoWrite x86_64 [] i386 [] aarch64 [] fd FdUse::Socket { fd: 2, tuple: 4 }; => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::SentData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Arg(2);
        tuple: SockTuple, Origin::Extractor(X::ArgTuple);
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `recv(2)`, as [`Event::Send`].
    Recv "recv" IoRead x86_64 [] i386 [] aarch64 [] fd FdUse::Socket { fd: 2, tuple: 4 }; => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::ReceivedData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Arg(2);
        tuple: SockTuple, Origin::Extractor(X::RecvTuple);
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `read(2)`.
    Read "read" IoRead x86_64 [0] i386 [3] aarch64 [63] => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::ReceivedData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Arg(2);
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `write(2)`.
    Write "write" IoWrite x86_64 [1] i386 [4] aarch64 [64] => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::SentData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Arg(2);
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `readv(2)`.
    Readv "readv" IoRead x86_64 [19] i386 [145] aarch64 [65] => {
        res: Errno, Return;
        size: U32, Origin::Extractor(X::ReceivedSize);
        data: ByteBuf, Origin::Extractor(X::ReadVectorData), on_demand;
        fd: Fd, Arg(0);
        object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `writev(2)`.
    Writev "writev" IoWrite x86_64 [20] i386 [146] aarch64 [66] => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::WrittenVectorData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Origin::Extractor(X::VectorSize), on_demand;
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `pread64(2)`.
    Pread "pread" IoRead x86_64 [17] i386 [180] aarch64 [67] => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::ReceivedData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Arg(2);
        pos: U64, Position { arg: 3, compat: 3 };
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `pwrite64(2)`.
    Pwrite "pwrite" IoWrite x86_64 [18] i386 [181] aarch64 [68] => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::SentData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Arg(2);
        pos: U64, Position { arg: 3, compat: 3 };
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `preadv(2)`.
    Preadv "preadv" IoRead x86_64 [295] i386 [333] aarch64 [69] => {
        res: Errno, Return;
        size: U32, Origin::Extractor(X::ReceivedSize);
        data: ByteBuf, Origin::Extractor(X::ReadVectorData), on_demand;
        fd: Fd, Arg(0);
        pos: U64, Position { arg: 3, compat: 3 };
        object: Object(3), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `pwritev(2)`.
    Pwritev "pwritev" IoWrite x86_64 [296] i386 [334] aarch64 [70] => {
        res: Errno, Return;
        data: ByteBuf, Origin::Extractor(X::WrittenVectorData), on_demand;
        fd: Fd, Arg(0);
        size: U32, Origin::Extractor(X::VectorSize), on_demand;
        pos: U64, Position { arg: 3, compat: 3 };
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `sendfile(2)`; `fd.*` is about where it writes to.
    Sendfile "sendfile" IoWrite x86_64 [40] i386 [187, 239] aarch64 [71] => {
        res: Errno, Return;
        offset: U64, Origin::Extractor(X::SendfileOffset), on_demand;
        out_fd: Fd, Arg(0);
        in_fd: Fd, Arg(1);
        size: U64, Arg(3);
        object: Object(2), Behind(Holder::Arg(0)), hidden, on_demand;
        in_fd_object: Object(3), Behind(Holder::Arg(1)), hidden, on_demand;
    }
    /// `ptrace(2)`.
    Ptrace "ptrace" Process x86_64 [101] i386 [26] aarch64 [117] => {
        res: Errno, Return;
        addr: PtraceWord(None), Origin::Extractor(X::PtraceAddr);
        data: PtraceWord(Some(3)), Origin::Extractor(X::PtraceData);
        request: Enum(&flags::PTRACE_REQUESTS), Arg(0);
        pid: Pid, Arg(1);
    }
    /// `init_module(2)`.
    InitModule "init_module" Other x86_64 [175] i386 [128] aarch64 [105] => {
        res: Errno, Return;
        img: ByteBuf, Origin::Extractor(X::ModuleImage), on_demand;
        length: U64, Arg(1);
        uargs: CharBuf, UserString(2);
    }
    /// `finit_module(2)`.
    FinitModule "finit_module" Other x86_64 [313] i386 [350] aarch64 [273] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        uargs: CharBuf, UserString(1);
        flags: Flags(&flags::FINIT_MODULE_FLAGS), Arg(2), decimal;
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `bpf(2)`.
    Bpf "bpf" Other x86_64 [321] i386 [357] aarch64 [280] fd FdUse::Makes { object: 2, kind: K::Bpf }; => {
        fd: Fd, Return;
        cmd: Enum(&flags::BPF_COMMANDS), Arg(0);
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `userfaultfd(2)`.
    Userfaultfd "userfaultfd" File x86_64 [323] i386 [374] aarch64 [282] fd FdUse::Makes { object: 2, kind: K::UserFault }; => {
        res: Errno, Return;
        flags: Flags(&flags::FILE_FLAGS), Arg(0);
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `close(2)`; what is closed is looked at when the call begins.
    Close "close" IoOther x86_64 [3] i386 [6] aarch64 [57] => {
        res: Errno, Return;
        fd: Fd, Arg(0);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand, at_enter;
    }
    /// `close_range(2)`: several descriptors or none, so that `fd.*` is about none of them.
    CloseRange "close_range" IoOther x86_64 [436] i386 [436] aarch64 [436] => {
        res: Errno, Return;
        first: U32, Arg(0);
        last: U32, Arg(1);
        flags: Flags(&flags::CLOSE_RANGE_FLAGS), Arg(2);
    }
    /// `fcntl(2)`, and i386's `fcntl64`.
    Fcntl "fcntl" IoOther x86_64 [72] i386 [55, 221] aarch64 [25] => {
        res: Fd, Return;
        fd: Fd, Arg(0);
        cmd: Enum(&flags::FCNTL_COMMANDS), Arg(1);
        arg: U64, Arg(2);
        object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `epoll_create(2)`.
    EpollCreate "epoll_create" Wait x86_64 [213] i386 [254] aarch64 [] fd FdUse::Makes { object: 2, kind: K::EventPoll }; => {
        res: Errno, Return;
        size: I32, Arg(0);
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `epoll_create1(2)`.
    EpollCreate1 "epoll_create1" Wait x86_64 [291] i386 [329] aarch64 [20] fd FdUse::Makes { object: 2, kind: K::EventPoll }; => {
        res: Errno, Return;
        flags: Flags(&flags::EPOLL_CREATE1_FLAGS), Arg(0);
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `eventfd(2)` of old, which takes no flags.
    Eventfd "eventfd" Ipc x86_64 [284] i386 [323] aarch64 [] fd FdUse::Makes { object: 3, kind: K::Event }; => {
        res: Fd, Return;
        initval: U64, Arg(0);
        flags: U32, Constant(0), hex;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `eventfd2(2)`, which the C library calls `eventfd`.
    Eventfd2 "eventfd2" Ipc x86_64 [290] i386 [328] aarch64 [19] fd FdUse::Makes { object: 3, kind: K::Event }; => {
        res: Fd, Return;
        flags: Flags(&flags::DESCRIPTOR_FLAGS), Arg(1);
        initval: U64, Arg(0);
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `inotify_init(2)`, which takes no flags.
    InotifyInit "inotify_init" Ipc x86_64 [253] i386 [291] aarch64 [] fd FdUse::Makes { object: 2, kind: K::Inotify }; => {
        res: Fd, Return;
        flags: U8, Constant(0), hex;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `inotify_init1(2)`.
    InotifyInit1 "inotify_init1" Ipc x86_64 [294] i386 [332] aarch64 [26] fd FdUse::Makes { object: 2, kind: K::Inotify }; => {
        res: Fd, Return;
        flags: Flags(&flags::DESCRIPTOR_FLAGS), Arg(0);
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `io_uring_setup(2)`; the rest is what its `struct io_uring_params` holds when it returns.
    IoUringSetup "io_uring_setup" IoOther x86_64 [425] i386 [425] aarch64 [425] fd FdUse::Makes { object: 8, kind: K::IoUring }; => {
        res: Errno, Return;
        entries: U32, Arg(0);
        sq_entries: U32, UserU32 { arg: 1, offset: 0 };
        cq_entries: U32, UserU32 { arg: 1, offset: 4 };
        flags: Flags(&flags::IO_URING_SETUP_FLAGS), UserU32 { arg: 1, offset: 8 };
        sq_thread_cpu: U32, UserU32 { arg: 1, offset: 12 };
        sq_thread_idle: U32, UserU32 { arg: 1, offset: 16 };
        features: Flags(&flags::IO_URING_SETUP_FEATS), UserU32 { arg: 1, offset: 20 };
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `open_by_handle_at(2)`; its path is that of the file which was opened.
    OpenByHandleAt "open_by_handle_at" File x86_64 [304] i386 [342] aarch64 [265] fd FdUse::Makes { object: 6, kind: K::File }; => {
        fd: Fd, Return;
        mountfd: Fd, Arg(0);
        flags: Flags(&flags::FILE_FLAGS), Arg(2);
        path: FsPath, Origin::Extractor(X::ResultPath), on_demand;
        dev: U32, Origin::Extractor(X::OpenedDev), on_demand, hex;
        ino: U64, Origin::Extractor(X::OpenedIno), on_demand;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
        mountfd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `pidfd_open(2)`.
    PidfdOpen "pidfd_open" Process x86_64 [434] i386 [434] aarch64 [434] fd FdUse::Makes { object: 3, kind: K::Pidfd }; => {
        fd: Fd, Return;
        pid: Pid, Arg(0);
        flags: Flags(&flags::PIDFD_OPEN_FLAGS), Arg(1);
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `pidfd_getfd(2)`: a copy of another process's descriptor.
    PidfdGetfd "pidfd_getfd" Process x86_64 [438] i386 [438] aarch64 [438] fd FdUse::Makes { object: 4, kind: K::Other }; => {
        fd: Fd, Return;
        pid_fd: Fd, Arg(0);
        target_fd: Fd, Arg(1);
        flags: U32, Arg(2), hex;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
        pid_fd_object: Object(1), Behind(Holder::Arg(0)), hidden, on_demand;
    }
    /// `pipe(2)`; `fd.*` is about the end that is read.
    Pipe "pipe" Ipc x86_64 [22] i386 [42] aarch64 [] => {
        res: Errno, Return;
        fd1: Fd, Origin::Extractor(X::PipeRead);
        fd2: Fd, Origin::Extractor(X::PipeWrite);
        ino: U64, Origin::Extractor(X::PipeIno);
        object: Object(1), Behind(Holder::First(0)), hidden, on_demand;
    }
    /// `pipe2(2)`, as [`Event::Pipe`].
    Pipe2 "pipe2" Ipc x86_64 [293] i386 [331] aarch64 [59] => {
        res: Errno, Return;
        fd1: Fd, Origin::Extractor(X::PipeRead);
        fd2: Fd, Origin::Extractor(X::PipeWrite);
        ino: U64, Origin::Extractor(X::PipeIno);
        flags: Flags(&flags::DESCRIPTOR_FLAGS), Arg(1);
        object: Object(1), Behind(Holder::First(0)), hidden, on_demand;
    }
    /// `signalfd(2)` of old, which takes no flags.
    Signalfd "signalfd" Signal x86_64 [282] i386 [321] aarch64 [] fd FdUse::Makes { object: 4, kind: K::Signal }; => {
        res: Fd, Return;
        fd: Fd, Arg(0);
        mask: U32, UserSignals(1), on_demand, hex;
        flags: U8, Constant(0), hex;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `signalfd4(2)`, which the C library calls `signalfd`.
    Signalfd4 "signalfd4" Signal x86_64 [289] i386 [327] aarch64 [74] fd FdUse::Makes { object: 4, kind: K::Signal }; => {
        res: Fd, Return;
        flags: Flags(&flags::DESCRIPTOR_FLAGS), Arg(3);
        fd: Fd, Arg(0);
        mask: U32, UserSignals(1), on_demand, hex;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `timerfd_create(2)`.
    TimerfdCreate "timerfd_create" Time x86_64 [283] i386 [322] aarch64 [85] fd FdUse::Makes { object: 3, kind: K::Timer }; => {
        res: Fd, Return;
        clockid: U8, Arg(0);
        flags: U8, Arg(1), hex;
        object: Object(0), Behind(Holder::Result), hidden, on_demand;
    }
    /// `poll(2)`.
    Poll "poll" Wait x86_64 [7] i386 [168] aarch64 [] => {
        res: Errno, Return;
        fds: FdList, Origin::Extractor(X::PollFds), on_demand;
        timeout: I64, Int(2);
        objects: Objects(1), Origin::Extractor(X::PollObjects), hidden, on_demand;
    }
    /// `ppoll(2)`.
    Ppoll "ppoll" Wait x86_64 [271] i386 [309, 414] aarch64 [73] => {
        res: Errno, Return;
        fds: FdList, Origin::Extractor(X::PollFds), on_demand;
        timeout: RelTime, UserTime(2), on_demand;
        sigmask: U32, UserSignals(3), on_demand;
        objects: Objects(1), Origin::Extractor(X::PollObjects), hidden, on_demand;
    }
    /// A container runs, or ran already when Lanner was started; `data` describes it as Falco's container plugin does.
    Container "container" Meta x86_64 [] i386 [] aarch64 [] => {
        plugin_id: U32, Constant(0);
        name: CharBuf, Program;
        data: ByteBuf, Program;
    }
    /// The runtime has removed a container.
    ContainerRemoved "container_removed" Meta x86_64 [] i386 [] aarch64 [] => {
        plugin_id: U32, Constant(0);
        name: CharBuf, Program;
        data: ByteBuf, Program;
    }
    /// What a source other than the kernel reports; its fields read `event_data`.
    PluginEvent "pluginevent" Plugin x86_64 [] i386 [] aarch64 [] => {
        plugin_id: U32, Program;
        event_data: ByteBuf, Program;
    }
    /// Lanner's own: a program was replaced (`sched_process_exec`). Becomes the process state and an
    /// [`Event::Execve`] or [`Event::Execveat`].
    TaskExec "task_exec" Internal x86_64 [] i386 [] aarch64 [] => {
        ppid: Pid, Program;
        vpid: Pid, Program;
        sid: Pid, Program;
        pgid: Pid, Program;
        vpgid: Pid, Program;
        tty: U32, Program;
        loginuid: Uid, Program;
        cap_inheritable: U64, Program;
        cap_permitted: U64, Program;
        cap_effective: U64, Program;
        exe_ino: U64, Program;
        exe_ctime: U64, Program;
        exe_mtime: U64, Program;
        flags: Flags(&flags::EXECVE_FLAGS), Program;
        start_time: U64, Program;
        pidns_start: U64, Program;
        by_descriptor: U8, Program;
        comm: CharBuf, Program;
        args: ByteBuf, Program;
        env: ByteBuf, Program, on_demand;
        exepath: FsPath, Program;
        cwd: FsPath, Program;
        filename: CharBuf, Program;
    }
    /// Lanner's own: a process got another name, other than by an exec (`task_rename`).
    TaskRename "task_rename" Internal x86_64 [] i386 [] aarch64 [] => {
        comm: CharBuf, Program;
    }
    /// Lanner's own: a process changed its ids, its session or its capabilities, and is like this now (the process
    /// connector). Of one that is gone only what the kernel told of the change.
    TaskChanged "task_changed" Internal x86_64 [] i386 [] aarch64 [] => {
        state: ByteBuf, Program;
        uid: Uid, Program;
        gid: Gid, Program;
    }
    /// Lanner's own: news of processes were lost, nobody knows which (the process connector).
    TaskMissed "task_missed" Internal x86_64 [] i386 [] aarch64 [] => {
    }
    /// Lanner's own: a cgroup was made, in the hierarchy by which containers are told apart (`cgroup_mkdir`).
    CgroupMkdir "cgroup_mkdir" Internal x86_64 [] i386 [] aarch64 [] => {
        id: U64, Program;
        path: CharBuf, Program;
    }
    /// Lanner's own: a process was created (`sched_process_fork`, not for threads).
    TaskFork "task_fork" Internal x86_64 [] i386 [] aarch64 [] => {
        child_pid: Pid, Program;
        child_vpid: Pid, Program;
        ppid: Pid, Program;
        start_time: U64, Program;
        pgid: Pid, Program;
        vpgid: Pid, Program;
        sid: Pid, Program;
        child_image: U16, Program;
        comm: CharBuf, Program;
    }
}
