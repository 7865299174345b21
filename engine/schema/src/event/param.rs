//! What a parameter of an event is, and where its value comes from.

use crate::flags::FlagTable;
use crate::task::TaskValue;

/// What a parameter is: how it is compared and how it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// A result: zero or more is success, below zero is `-errno`.
    Errno,
    /// A file descriptor; below zero is `-errno` (in a result) or `AT_FDCWD` (−100).
    Fd,
    /// A process or thread id.
    Pid,
    /// A user id; `0xffff_ffff` is "none".
    Uid,
    /// A group id.
    Gid,
    /// Unsigned 8 to 64 bits.
    U8,
    /// See [`ParamType::U8`].
    U16,
    /// See [`ParamType::U8`].
    U32,
    /// See [`ParamType::U8`].
    U64,
    /// Signed 32 bits.
    I32,
    /// Signed 64 bits.
    I64,
    /// A signal number.
    Signal,
    /// Nanoseconds since the epoch.
    AbsTime,
    /// Nanoseconds, as a length of time.
    RelTime,
    /// Bits with names.
    Flags(&'static FlagTable),
    /// A code with a name.
    Enum(&'static FlagTable),
    /// Permission bits.
    Mode(&'static FlagTable),
    /// Permission bits of the file that an open creates: 0 unless the `open(2)` flags in the parameter with this index
    /// ask for that, whatever the register held.
    CreateMode(u8),
    /// Text.
    CharBuf,
    /// Bytes; for `args`, `env` and `cgroups` a sequence of NUL-terminated strings.
    ByteBuf,
    /// A path, relative to the caller's working directory.
    FsPath,
    /// A path, relative to the descriptor in the parameter with this index.
    FsRelPath(u8),
    /// Both ends of a socket.
    SockTuple,
    /// One address.
    SockAddr,
    /// A word of `ptrace(2)`: a number in hexadecimal; with the index of the parameter that is the request, a signal
    /// number where the request sends a signal.
    PtraceWord(Option<u8>),
    /// A value whose type differs from event to event: a byte of the record says which ([`crate::record::DYN_BYTES`] and
    /// its kin), the value follows.
    Dyn,
    /// Descriptors of a poll: a sequence of `struct pollfd`.
    FdList,
    /// What the descriptors in the list parameter with this index refer to: each its length in four bytes, and as many
    /// of an [`crate::record::Object`].
    Objects(u8),
    /// What the descriptor in the parameter with this index refers to: [`crate::record::Object`]. Hidden, and read on
    /// demand: where a rule reads a field of that descriptor, or prints it.
    Object(u8),
    /// What the kernel calls that which the path parameter with this index named. Hidden, and read on demand: where a
    /// condition reads that name, or anybody asks for this one.
    RealPath(u8),
    /// Which system call: as a number the caller's own, as text the event's name.
    SyscallId,
}

/// How a number is printed where it has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `4097`
    Decimal,
    /// `1001`, letters in upper case.
    Hex,
    /// `644`; in `evt.arg` and `evt.args` with a leading zero.
    Octal,
}

impl Format {
    /// What most parameters of a type have in Falco's table; the others say so in their row.
    pub(super) const fn of(ty: ParamType) -> Format {
        match ty {
            ParamType::Flags(_) => Format::Hex,
            ParamType::Mode(_) | ParamType::CreateMode(_) => Format::Octal,
            _ => Format::Decimal,
        }
    }
}

/// A field of the process state that fills a parameter which is not in the record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of `Process`
pub enum ProcessField {
    Exe,
    Args,
    Tid,
    Pid,
    Cwd,
    Comm,
    Env,
    Tty,
    Vpgid,
    Pgid,
    Vpid,
    LoginUid,
    ExecFlags,
    ExeIno,
    ExeCtime,
    ExeMtime,
    Uid,
    Gid,
    ExePath,
    PidnsStart,
    Cgroups,
    /// Not followed: read with the event.
    Task(TaskValue),
}

/// C code in `bpf/` that reads what is not a plain argument. Every variant has one function there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Extractor {
    /// Both ends of the socket behind descriptor argument 0, from the kernel's socket
    /// (`struct sock_common`); what it does not know yet comes from the address argument 1.
    SockTuple = 1,
    /// The `struct sockaddr` that argument 1 points to, argument 2 long.
    SockAddr = 2,
    /// Device number of the file that was opened (the result is its descriptor).
    OpenedDev = 4,
    /// Inode number of the file that was opened.
    OpenedIno = 5,
    /// The strings of the `argv` that argument 1 (`execve`) points to.
    ExecveArgv = 6,
    /// The same for `execveat`'s argument 2.
    ExecveatArgv = 7,
    /// The working directory, after the call (`task->fs->pwd`).
    Cwd = 8,
    /// As [`Extractor::SockTuple`] for `sendto`: a datagram goes to the address argument 4 when there is one, whatever the
    /// socket is connected to.
    SendToTuple = 9,
    /// The same for `sendmsg`, whose address is a member of the `struct msghdr` argument 1.
    SendMsgTuple = 10,
    /// The first bytes `sendto` sent (argument 1), at most as many as configured ([`SNAPLEN`]).
    SentData = 11,
    /// The same of the `struct iovec`s of the `struct msghdr` argument 1.
    SentMsgData = 12,
    /// The length of those `struct iovec`s together.
    MsgSize = 13,
    /// Both ends of the socket behind descriptor argument 0, as the kernel knows them.
    ArgTuple,
    /// The same of the socket that is the result.
    ResultTuple,
    /// The inheritable capabilities of the calling thread after the call, from the kernel's credentials.
    CapInheritable,
    /// Its permitted ones.
    CapPermitted,
    /// Its effective ones.
    CapEffective,
    /// What the calling process is after the call: [`crate::record::TaskState`].
    TaskState,
    /// The same of the process that argument 0 names as `setpgid` does: the caller or a child.
    GroupTaskState,
    /// `mount`'s flags (argument 3) without the magic number of old, which the kernel ignores.
    MountFlags,
    /// The name argument 1 of `prctl` points to, for the options that set or get the thread's name.
    PrctlName,
    /// Argument 1 of `prctl` as a number for every other option; for the one that gets the child-subreaper attribute the
    /// `int` it points to.
    PrctlNumber,
    /// `ptrace`'s `addr` (argument 2); 0 when the call failed.
    PtraceAddr,
    /// Its `data` (argument 3); of a request to peek, the word that was read. 0 when the call failed.
    PtraceData,
    /// The first bytes of the module image that argument 0 points to, argument 1 long.
    ModuleImage,
    /// The same of the socket an `accept` gave, as its client's way in.
    AcceptedTuple,
    /// As [`Extractor::SendToTuple`] for `recvfrom`: a datagram came from the address argument 4 when the call succeeded.
    RecvFromTuple,
    /// The same for `recvmsg`, whose address is a member of the message.
    RecvMsgTuple,
    /// The first bytes that were received into argument 1, likewise; nothing when the call failed.
    ReceivedData,
    /// The same of the `struct iovec`s of the message.
    ReceivedMsgData,
    /// How many bytes were received, 0 when the call failed.
    ReceivedSize,
    /// The control data of the message that was received.
    MsgControl,
    /// How full the queue of the listening socket argument 0 is, in percent; 0 when the call failed.
    QueuePercent,
    /// How many connections wait in it.
    QueueLength,
    /// How many it holds.
    QueueMax,
    /// The first of the two descriptors argument 3 points to, -1 when the call failed.
    PairFirst,
    /// The second.
    PairSecond,
    /// The kernel's address of the first descriptor's socket, 0 when the call failed.
    PairSource,
    /// The kernel's address of its peer.
    PairPeer,
    /// The ends of the first descriptor's socket.
    PairTuple,
    /// Argument 1, the level of a socket option, when it is `SOL_SOCKET` or `SOL_TCP`, else 0.
    SockOptLevel,
    /// Argument 2, the name of an option, when its level is `SOL_SOCKET`, else 0.
    SockOptName,
    /// The value of an option: argument 3, argument 4 points to its length.
    SockOptValue,
    /// The same of a call that sets it: argument 4 is its length.
    NewSockOptValue,
    /// The 32-bit number that argument 4 points to, 0 when it can't be read.
    SockOptLen,
    /// `SOCK_CLOEXEC` and `SOCK_NONBLOCK` in argument 1, which are `O_CLOEXEC` and `O_NONBLOCK`.
    SocketFlags,
    /// Argument 0 of `socket`, or `AF_PACKET` where argument 1 is the old name of that (`SOCK_PACKET` of `AF_INET`).
    SocketFamily,
    /// The ends of the socket argument 0, as the way of what came in.
    RecvTuple,
    /// As [`Extractor::ReceivedData`], of the `struct iovec`s argument 1 points to, argument 2 of them.
    ReadVectorData,
    /// The first bytes such a call wrote.
    WrittenVectorData,
    /// The length of those `struct iovec`s together.
    VectorSize,
    /// The offset that argument 2 of `sendfile` points to, as the call left it; 0 when it points nowhere.
    SendfileOffset,
    /// The first of the two descriptors that argument 0 points to, -1 when the call failed.
    PipeRead,
    /// The second.
    PipeWrite,
    /// Inode number of the pipe they are the ends of, 0 when the call failed.
    PipeIno,
    /// Path of the file that the result is a descriptor of (dentry and mount walk); nothing of what has no path.
    ResultPath,
    /// Its path within its file system, whatever is mounted where (dentries alone).
    ResultPathInFilesystem,
    /// The `open(2)` flags that `creat` stands for.
    CreatFlags,
    /// The layer of an overlay that the file is in which the result is a descriptor of: 1 the upper, 2 a lower, 0 neither.
    ResultLayer,
    /// Those of the `struct pollfd`s of a `poll` (argument 0, argument 1 of them) on which something happened.
    PollFds,
    /// What their descriptors refer to.
    PollObjects,
    /// The offset of `_llseek`, whose argument 1 is the upper half and whose argument 2 is the lower one.
    LlseekOffset,
    /// Argument 3 of `semctl` where its command (argument 2) sets the value of one semaphore, else 0.
    SemctlValue,
    /// The bytes that argument 3 of `fsconfig` points to, argument 4 long, where its command (argument 1) takes bytes.
    FsconfigBytes,
    /// The text that argument 3 of `fsconfig` points to, where its command takes text.
    FsconfigText,
    /// The format of a quota file in argument 2 of `quotactl`, 0 where its command (argument 0) takes an id there.
    QuotaFormat,
    /// The id in argument 2 of `quotactl`, 0 where its command takes none.
    QuotaId,
    /// The name of the file with quotas that argument 3 of `quotactl` points to, where its command takes one.
    QuotaFile,
    /// The format that a `quotactl` wrote to where argument 3 points, 0 where its command asks for something else.
    QuotaFormatOut,
}

/// Where the descriptor is that an object is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Argument *n*.
    Arg(u8),
    /// The result of the system call.
    Result,
    /// The result of a call that copies the descriptor argument *n*; the original when it failed.
    Copy(u8),
    /// The first in the array that argument *n* points to, which the call fills when it succeeds.
    First(u8),
}

/// The most bytes of data that an event carries unless it is configured: Falco's default.
pub const SNAPLEN: usize = 80;
/// The most that can be configured.
pub const MAX_SNAPLEN: usize = 4095;

/// The structures of `quotactl(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaPart {
    /// `struct if_dqblk`: the limits and the use of one user or group.
    Block,
    /// `struct if_dqinfo`: how long limits may be exceeded.
    Info,
}

/// Where the value of a parameter is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The result of the system call.
    Return,
    /// Argument *n* as a number; its width is the type's.
    Arg(u8),
    /// Argument *n*, a C `int` whatever the type is.
    Int(u8),
    /// Argument *n*, a user or group id, which old calls of 32-bit callers have in 16 bits.
    Id(u8),
    /// A place in a file or a length of one: argument `arg`. 32-bit callers have it in two arguments from `compat` on, but
    /// in calls older than `pread64` in one, with a sign.
    Position {
        /// Argument of 64-bit callers.
        arg: u8,
        /// First argument of 32-bit callers.
        compat: u8,
    },
    /// The NUL-terminated string argument *n* points to.
    UserString(u8),
    /// The same of a string that the call writes when it succeeds.
    ResultString(u8),
    /// The first bytes of those that argument `arg` points to, argument `length` of them, at most as many as configured
    /// ([`SNAPLEN`]).
    UserBytes {
        /// Argument with the pointer.
        arg: u8,
        /// Argument with the length.
        length: u8,
    },
    /// The path argument `path` points to; when it is relative, the directory it starts from
    /// (descriptor argument `dirfd`, or the working directory) follows it.
    UserPath {
        /// Argument with the pointer.
        path: u8,
        /// Argument with the directory's descriptor.
        dirfd: Option<u8>,
    },
    /// The 64-bit member at this byte offset of the structure argument `arg` points to.
    UserU64 {
        /// Argument with the pointer.
        arg: u8,
        /// Offset of the member.
        offset: u8,
    },
    /// The same of a structure that the call fills when it succeeds.
    ResultU64 {
        /// Argument with the pointer.
        arg: u8,
        /// Offset of the member.
        offset: u8,
    },
    /// The 32-bit member at this byte offset of the structure argument `arg` points to.
    UserU32 {
        /// Argument with the pointer.
        arg: u8,
        /// Offset of the member.
        offset: u8,
    },
    /// Member number `member` of the structure argument `arg` points to, whose members are as wide as the caller's words.
    /// All bits are set where a 32-bit caller has them set.
    UserLong {
        /// Argument with the pointer.
        arg: u8,
        /// Which of its members, the first or the second.
        member: u8,
    },
    /// The same of a structure that the call fills when it succeeds.
    ResultLong {
        /// Argument with the pointer.
        arg: u8,
        /// Which of its members, the first or the second.
        member: u8,
    },
    /// The user or group id that the call writes to where argument *n* points when it succeeds.
    ResultId(u8),
    /// The `struct timespec` that argument *n* points to, in nanoseconds; all bits are set without one.
    UserTime(u8),
    /// The set of signals that argument *n* points to; empty without one.
    UserSignals(u8),
    /// The 16-bit member at this byte offset of the `struct sembuf`s that argument 1 points to, 0 when it is behind the
    /// last of them (argument 2).
    Sembuf(u8),
    /// What argument *n* of `keyctl` is to its operation: text, a number, or 0 when it takes none.
    KeyctlArg(u8),
    /// The member at this byte offset of what argument 3 of `quotactl` points to, 0 where its command is about something
    /// else.
    Quota(QuotaPart, u8),
    /// A named extractor.
    Extractor(Extractor),
    /// What a descriptor refers to when the call returns, from the kernel's table of open files: the file, its path, the
    /// ends of a socket. However the process came by the descriptor.
    Object(Holder),
    /// Where the path parameter of this one led. Noted while the call had it in its hands ([`crate::path_hook`]), in tier A;
    /// else the record has nothing of it, and it is looked up when the event is seen, in the root of its process.
    LookedUp {
        /// The call follows a symbolic link at the end of the path, unless its flags say otherwise.
        follows: bool,
    },
    /// The number of the system call, in the caller's convention.
    Number,
    /// Written by the program of this event itself (process life: `bpf/task.h`).
    Program,
    /// Always this number.
    Constant(u64),
    /// Not in the record: [`Param::state`] fills it, or nothing does yet.
    Absent,
}

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Falco's name, as in `evt.arg.NAME`.
    pub name: &'static str,
    /// Its type.
    pub ty: ParamType,
    /// Where the record's value comes from.
    pub from: Origin,
    /// What fills it when the record has no value.
    pub state: Option<ProcessField>,
    /// Read only when a rule asks for it, because it costs.
    pub on_demand: bool,
    /// Lanner's own: not printed by `evt.args`, not counted by `evt.arg[N]`.
    pub hidden: bool,
    /// Of a hidden parameter: rules may name it all the same (`evt.arg.NAME`).
    pub by_name: bool,
    /// Read when the call begins, because it takes the value away. The value comes with the result all the same.
    pub at_enter: bool,
    /// How its number is printed.
    pub format: Format,
}

impl Param {
    /// True when nothing ever gives it a value.
    pub fn is_unfilled(&self) -> bool {
        self.from == Origin::Absent && self.state.is_none()
    }

    /// True when rules may name it.
    pub const fn has_name(&self) -> bool {
        !self.hidden || self.by_name
    }
}

impl Param {
    /// True for a tuple that reads from the other end to the process's own, as what comes in does.
    pub const fn is_inbound(&self) -> bool {
        matches!(
            self.from,
            Origin::Extractor(
                Extractor::AcceptedTuple
                    | Extractor::RecvTuple
                    | Extractor::RecvFromTuple
                    | Extractor::RecvMsgTuple
            )
        )
    }
}
