//! The ways of getting events, and what each of them can give.
//!
//! What a value is worth in a tier follows from where the rows of [`crate::event`] say that it comes from: coverage is
//! computed from that, not written down per rule or per field.

use crate::event::{Event, EventSet, Extractor, FdUse, Origin, Param, param_index};
use crate::io_uring;
use crate::path_hook;
use crate::record::FIRST_SOURCE;
use crate::seccomp;

/// A way of getting events, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// A: fexit programs on the system calls that are needed.
    Trampoline,
    /// B: one program on the return of every system call.
    SysExit,
    /// C: raw tracepoints, without the kernel's type information.
    Raw,
    /// D: no BPF.
    None,
}

impl Tier {
    /// Every tier, best first.
    pub const ALL: [Tier; 4] = [Tier::Trampoline, Tier::SysExit, Tier::Raw, Tier::None];

    /// Its name in the configuration (`engine.tier`) and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Trampoline => "trampoline",
            Tier::SysExit => "sys_exit",
            Tier::Raw => "raw",
            Tier::None => "none",
        }
    }

    /// The tier with this name.
    pub fn from_name(name: &str) -> Option<Tier> {
        Tier::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// What it is, for people.
    pub const fn description(self) -> &'static str {
        match self {
            Tier::Trampoline => "BPF trampolines on the system calls that are needed",
            Tier::SysExit => "one BPF program on the return of every system call",
            Tier::Raw => "BPF raw tracepoints, without the kernel's type information",
            Tier::None => "no BPF: fanotify, the process connector, /proc and seccomp notify",
        }
    }

    /// Whether this build can run in it. What is said about the others is what they are designed to give.
    pub const fn is_built(self) -> bool {
        matches!(self, Tier::Trampoline | Tier::SysExit | Tier::Raw | Tier::None)
    }

    /// How well events of this type are seen. Those that are not the kernel's are the same in every tier.
    pub fn event(self, event: Event) -> Quality {
        if !event.row().is_kernel() {
            return Quality::Exact;
        }
        if NEVER_RETURN.contains(&event) {
            return Quality::Missing(Why::NoReturn);
        }
        if RETURN_FROM_SIGNAL.contains(&event) {
            return Quality::Missing(Why::ToInterrupted);
        }
        match (self, without_bpf(event)) {
            (Tier::None, NoBpf::Fanotify) => Quality::Weaker(Why::SeenByFanotify),
            (Tier::None, NoBpf::Connector) => Quality::Weaker(Why::SeenByConnector),
            (Tier::None, NoBpf::Seccomp) => Quality::Weaker(Why::SeenBySeccomp),
            (Tier::None, NoBpf::Kept) => Quality::Missing(Why::NeverNotified),
            (Tier::None, NoBpf::Nothing) => Quality::Missing(Why::NoSource),
            (Tier::Raw, _) if matches!(event, Event::Execve | Event::Execveat) => {
                Quality::Weaker(Why::ReturnedOnly)
            }
            // Its requests are of types that have to be known; fanotify sees the file.
            (Tier::Raw, _) if io_uring::raises(event) => Quality::Weaker(Why::NotByIoUring),
            _ => Quality::Exact,
        }
    }

    /// What the value of a parameter is worth.
    pub fn param(self, event: Event, index: usize) -> Quality {
        let row = event.row();
        let Some(param) = row.params.get(index) else {
            return Quality::Missing(Why::NotRead);
        };
        if !row.is_kernel() {
            return Quality::Exact;
        }
        let recorded = match self {
            Tier::None => recorded_without_bpf(event, index, param),
            _ => self.recorded(event, index, param),
        };
        match (recorded, param.state) {
            (Some(recorded), Some(_)) => recorded.and(self.process()),
            (Some(recorded), None) => recorded,
            (None, Some(_)) => self.process(),
            (None, None) => Quality::Missing(Why::NotRead),
        }
    }

    /// What a BPF program records of a parameter; `None` when it records nothing.
    fn recorded(self, event: Event, index: usize, param: &Param) -> Option<Quality> {
        let has_types = self != Tier::Raw;
        Some(match param.from {
            Origin::Absent => return None,
            Origin::Return | Origin::Number | Origin::Constant(_) => Quality::Exact,
            Origin::Arg(_) if !has_types && event.row().opens_with(index) => {
                Quality::Weaker(Why::CreatedUntold)
            }
            Origin::Arg(_) | Origin::Int(_) | Origin::Id(_) | Origin::Position { .. } => Quality::Exact,
            Origin::UserPath { .. } if has_types && let Some(real) = event.row().real_path_of(index) => {
                match event.row().params[real].from {
                    Origin::LookedUp { .. } if self.notes(event, real) => Quality::Weaker(Why::NameInCall),
                    Origin::LookedUp { .. } => Quality::Weaker(Why::NameLookedUp),
                    _ => Quality::Weaker(Why::NameAtReturn),
                }
            }
            Origin::LookedUp { .. } if self.notes(event, index) => Quality::Exact,
            Origin::LookedUp { .. } => Quality::Weaker(Why::FromProc),
            Origin::UserPath { .. } => Quality::Weaker(Why::PathAsPassed),
            Origin::UserString(_)
            | Origin::UserU32 { .. }
            | Origin::UserU64 { .. }
            | Origin::ResultU64 { .. }
            | Origin::ResultString(_)
            | Origin::UserBytes { .. }
            | Origin::UserLong { .. }
            | Origin::ResultLong { .. }
            | Origin::ResultId(_)
            | Origin::UserTime(_)
            | Origin::UserSignals(_)
            | Origin::Sembuf(_)
            | Origin::KeyctlArg(_)
            | Origin::Quota(..) => Quality::Weaker(Why::FromCaller),
            Origin::Object(_) if has_types => Quality::Exact,
            Origin::Object(_) if param.at_enter => Quality::Missing(Why::TakenAway),
            Origin::Object(_) => Quality::Weaker(Why::FromProc),
            // Its information is laid out as the caller's is.
            Origin::Program if has_types || event == Event::Signaldeliver => Quality::Exact,
            Origin::Program => Quality::Missing(Why::NeedsTypes),
            Origin::Extractor(extractor) => match extractor {
                Extractor::SockTuple if has_types => Quality::Exact,
                extractor if is_argument(extractor) => Quality::Exact,
                extractor if takes_address(extractor) && has_types => Quality::Weaker(Why::FromCaller),
                extractor if takes_address(extractor) => Quality::Weaker(Why::AddressAsPassed),
                extractor if reads_user_memory(extractor) => Quality::Weaker(Why::FromCaller),
                Extractor::CreatFlags if !has_types => Quality::Weaker(Why::CreatedUntold),
                _ if has_types => Quality::Exact,
                _ => Quality::Missing(Why::NeedsTypes),
            },
        })
    }

    /// True where the kernel's name of a parameter is noted during the call.
    fn notes(self, event: Event, index: usize) -> bool {
        self == Tier::Trampoline && path_hook::noted_place(event.row(), index).is_some()
    }

    /// What is known of a process.
    pub fn process(self) -> Quality {
        match self {
            Tier::Trampoline | Tier::SysExit => Quality::Exact,
            Tier::Raw | Tier::None => Quality::Weaker(Why::FromProc),
        }
    }

    /// What is known of a socket itself: its kind, its protocol and its own end.
    pub fn socket(self) -> Quality {
        match self {
            Tier::Trampoline | Tier::SysExit => Quality::Exact,
            Tier::Raw | Tier::None => Quality::Weaker(Why::FromProc),
        }
    }

    /// What is known of the container an event belongs to.
    pub fn container(self) -> Quality {
        match self {
            // The cgroup is in the record.
            Tier::Trampoline | Tier::SysExit => Quality::Exact,
            Tier::Raw => Quality::Weaker(Why::CgroupOfVersion2),
            Tier::None => Quality::Weaker(Why::FromProc),
        }
    }

    /// Whether an open was for reading or for writing.
    pub fn access(self, event: Event) -> Quality {
        match (event.row().fd, self) {
            (FdUse::Opens { .. }, Tier::None) => Quality::Weaker(Why::AccessOnly),
            (FdUse::Opens { flags, .. }, _) => match self.param(event, flags.into()) {
                // Which is about something else.
                Quality::Weaker(Why::CreatedUntold) => Quality::Exact,
                quality => quality,
            },
            _ if event == Event::OpenByHandleAt => self.param(event, param_index(event, "flags")),
            _ => Quality::Exact,
        }
    }
}

/// What a value, or an event, is worth. Worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// It is what the kernel says.
    Exact,
    /// It is there, with a reservation.
    Weaker(Why),
    /// It is not there.
    Missing(Why),
}

impl Quality {
    /// The worse of both: the value of something that is made of both.
    #[must_use]
    pub fn and(self, other: Quality) -> Quality {
        self.max(other)
    }

    /// The reservation, or the reason why it is missing.
    pub fn why(self) -> Option<Why> {
        match self {
            Quality::Exact => None,
            Quality::Weaker(why) | Quality::Missing(why) => Some(why),
        }
    }
}

macro_rules! reasons {
    ($( $(#[$doc:meta])* $name:ident $text:literal; )*) => {
        /// Why something is not exact.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Why { $( $(#[$doc])* $name, )* }

        impl Why {
            /// Every reason.
            pub const ALL: &'static [Why] = &[$( Why::$name ),*];

            /// The reason in words, to stand behind the name of a field or an event and a colon.
            pub const fn text(self) -> &'static str {
                match self { $( Why::$name => $text, )* }
            }
        }
    };
}

reasons! {
    /// The event is not in the table.
    NotCaptured "not captured yet";
    /// Nothing without BPF sees the event.
    NoSource "nothing without BPF sees it";
    /// A call that seccomp notify leaves alone.
    NeverNotified "nothing without BPF sees it: a container's runtime makes it before it hands the listener over, so that seccomp notify leaves it alone";
    /// A call of other machines.
    Elsewhere "no such call on x86-64 and arm64";
    /// The end of the call is not to be had.
    NoReturn "the call does not return to its caller, and only returns are seen; procexit is the end of a thread";
    /// The end of a signal's handler.
    ToInterrupted "the call goes on where a signal interrupted the thread, and only returns are seen; signaldeliver is the signal's arrival";
    /// A tracepoint whose event is `procexit`.
    IsProcexit "the event of this tracepoint is procexit; no event has the tracepoint's name";
    /// A tracepoint whose event is `signaldeliver`.
    IsSignaldeliver "the event of this tracepoint is signaldeliver; no event has the tracepoint's name";
    /// No field row or parameter reads it.
    NotRead "no value yet";
    /// A source without BPF has no such value.
    NotGiven "no source without BPF knows it";
    /// It is a member of a kernel structure.
    NeedsTypes "cannot be read without the kernel's type information";
    /// An exec is seen when it returns.
    ReturnedOnly "seen when the call returns, which a program that the kernel itself starts does not do";
    /// A helper knows the cgroup.
    CgroupOfVersion2 "told by the cgroup of version 2; where containers are told apart by version 1, /proc is asked when a program is started";
    /// The flags of an open.
    CreatedUntold "without the kernel's type information it is not told whether the call created the file";
    /// The call ends what the value is of.
    TakenAway "the call takes it away, and /proc is read after that";
    /// A path from user memory.
    PathAsPassed "the path that was passed, made absolute; symbolic links are not followed, and another thread can change it during the call";
    /// A path from user memory, and the kernel's.
    NameAtReturn "the path that was passed, and the one the kernel has for the file that is behind the descriptor when the call returns, where another thread can put another before that; a call that fails has the first only";
    /// A path from user memory, and where it leads afterwards.
    NameLookedUp "the path that was passed, and where its directories lead when the event is seen, as far as the kernel knows without asking a file system; a call that fails has the first only";
    /// A path from user memory, and the kernel's.
    NameInCall "the path that was passed, and the one the kernel has for what the call works on; where the kernel has no function that is handed it, where its directories lead when the event is seen; a call that fails has the first only";
    /// Other user memory.
    FromCaller "read from the caller's memory; another thread can change it during the call";
    /// A socket's address from user memory.
    AddressAsPassed "the address that was passed, not what the socket says";
    /// Looked up after the event.
    FromProc "read from /proc after the event, when it may have changed or be gone";
    /// Looked up after the event, without the process connector.
    Unheard "read from /proc after the event, and nothing tells whether it was so before: that takes the process connector; the alert says so (lanner.processes)";
    /// Names are not looked up for an address, but addresses for the names in rules.
    NamesInRules "the names in rules are looked up, every minute and on this host, and an address has those it was among the addresses of";
    /// Some of several parameters are missing.
    SomeMissing "some of the parameters have no value";
    /// Requests of io_uring.
    NotByIoUring "the same done through io_uring is not seen: that takes Linux 6.0 and its type information";
    /// `base_syscalls.custom_set` has it with a `!`.
    LeftOut "base_syscalls.custom_set leaves it out";
    /// fanotify tells reads from writes.
    AccessOnly "only whether the file was read or written is known, not how it was opened";
    /// Of the flags of an open.
    KeptFlags "of the flags those are known that the file has while it is open, and that it was made";
    /// What an open of a file that was not there has with it.
    CreatedOnly "known where the file was made by it, and not known where it was not";
    /// fanotify's names are looked up.
    NameLater "the name it has a moment later, when the event is seen: what is renamed at once has its new one";
    /// A plan without one of the sources.
    NotInForce "the source that sees it is not used here";
    /// A source that reports what has happened.
    SuccessOnly "only that the call succeeded is known";
    /// A source that reports what is about to happen.
    Attempted "the call is seen when it begins, its result is not known; the alert says attempted";
    /// fanotify.
    SeenByFanotify "fanotify reports what happened to a file; failed calls are not seen, nor which of similar calls it was";
    /// The process connector.
    SeenByConnector "the process connector reports what happened to a process; failed calls are not seen, nor which of similar calls it was";
    /// seccomp notify.
    SeenBySeccomp "seen through seccomp notify, only in containers that opted in to it";
}

/// Calls whose end nobody sees: the thread is gone, or its registers are another frame's.
const NEVER_RETURN: [Event; 2] = [Event::Exit, Event::ExitGroup];

/// Calls that return to what a signal interrupted.
const RETURN_FROM_SIGNAL: [Event; 2] = [Event::RtSigreturn, Event::Sigreturn];

/// What tells of an event on a host without BPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoBpf {
    /// fanotify: what happened to a file, by which process.
    Fanotify,
    /// The process connector: forks, execs and exits.
    Connector,
    /// seccomp notify: the arguments of a call before it is done.
    Seccomp,
    /// Nothing, for containers could not start if seccomp notify did.
    Kept,
    /// Nothing.
    Nothing,
}

/// Some of the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceSet(u8);

impl SourceSet {
    /// All of them.
    pub const ALL: SourceSet = SourceSet(7);

    /// True when this is one of them.
    pub fn has(self, source: Source) -> bool {
        self.0 & 1 << source as u8 != 0
    }

    /// True when one of these tells of the event, or nothing has to.
    pub fn sees(self, event: Event) -> bool {
        !event.row().is_kernel()
            || Source::ALL
                .into_iter()
                .any(|source| self.has(source) && source.sees(event))
    }
}

impl FromIterator<Source> for SourceSet {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> SourceSet {
        SourceSet(
            sources
                .into_iter()
                .fold(0, |bits, source| bits | 1 << source as u8),
        )
    }
}

/// A source of events on a host without BPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// fanotify: what happened to a file, by which process.
    Fanotify,
    /// The process connector: forks, execs, exits and what a process changes of itself.
    Connector,
    /// seccomp notify: the arguments of a call before it is done.
    Seccomp,
}

impl Source {
    /// Every source, in the order of their streams ([`crate::record::FIRST_SOURCE`]).
    pub const ALL: [Source; 3] = [Source::Fanotify, Source::Connector, Source::Seccomp];

    /// Its name: that of its stream.
    pub const fn name(self) -> &'static str {
        match self {
            Source::Fanotify => "fanotify",
            Source::Connector => "connector",
            Source::Seccomp => "seccomp",
        }
    }

    /// The one that tells of an event.
    pub fn of(event: Event) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.sees(event))
    }

    /// The source with this name.
    pub fn from_name(name: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.name() == name)
    }

    /// True where it tells of what was passed, not of what came of it.
    pub fn knows_what_was_passed(self) -> bool {
        self == Source::Seccomp
    }

    /// The number of its stream.
    pub const fn stream(self) -> u8 {
        FIRST_SOURCE + self as u8
    }

    /// True for events that it tells of.
    pub fn sees(self, event: Event) -> bool {
        event.row().is_kernel()
            && self
                == match without_bpf(event) {
                    NoBpf::Fanotify => Source::Fanotify,
                    NoBpf::Connector => Source::Connector,
                    NoBpf::Seccomp => Source::Seccomp,
                    NoBpf::Kept | NoBpf::Nothing => return false,
                }
    }
}

/// The calls that do the same as others, as far as a source without BPF can tell: of what one of them has done it tells as of
/// the first that a rule sees.
const ALIKE: &[&[Event]] = &[
    &[Event::Openat, Event::Open, Event::Openat2, Event::Creat],
    &[Event::Unlinkat, Event::Unlink],
    // Directories.
    &[Event::Rmdir, Event::Unlinkat],
    &[Event::Renameat, Event::Rename, Event::Renameat2],
    &[Event::Mkdirat, Event::Mkdir],
    &[Event::Symlinkat, Event::Symlink],
    &[Event::Linkat, Event::Link],
    &[Event::Clone, Event::Clone3, Event::Fork, Event::Vfork],
    &[Event::Execve, Event::Execveat],
];

/// The lists of [`ALIKE`] in which this event is, each from its first call on.
pub fn alike(event: Event) -> impl Iterator<Item = &'static [Event]> {
    ALIKE.iter().copied().filter(move |calls| calls.contains(&event))
}

/// Of the events that rules see, given as what each rule sees, those that a rule sees which does not see what they are told as.
pub fn told_apart(rules: &[EventSet]) -> EventSet {
    let all = rules.iter().fold(EventSet::NONE, |all, rule| all.union(*rule));
    let mut apart = EventSet::NONE;
    for calls in ALIKE {
        let told = calls.iter().copied().filter(|call| all.contains(*call));
        let mut told = told.scan(EventSet::NONE, |before, call| {
            let others = *before;
            before.insert(call);
            Some((call, others))
        });
        told.next();
        for (call, before) in told {
            let is_apart = |rule: &&EventSet| rule.contains(call) && rule.intersection(before).is_empty();
            if rules.iter().any(|rule| is_apart(&rule)) {
                apart.insert(call);
            }
        }
    }
    apart
}

fn without_bpf(event: Event) -> NoBpf {
    use Event as E;
    match event {
        E::Open | E::Openat | E::Openat2 | E::Creat => NoBpf::Fanotify,
        E::Mkdir | E::Mkdirat | E::Rmdir | E::Unlink | E::Unlinkat => NoBpf::Fanotify,
        E::Rename | E::Renameat | E::Renameat2 => NoBpf::Fanotify,
        E::Symlink | E::Symlinkat | E::Link | E::Linkat => NoBpf::Fanotify,
        E::Execve | E::Execveat | E::Clone | E::Fork | E::Vfork | E::Clone3 | E::Procexit => NoBpf::Connector,
        _ if !event.row().is_call() => NoBpf::Nothing,
        _ if seccomp::is_kept(event) => NoBpf::Kept,
        _ => NoBpf::Seccomp,
    }
}

/// What the sources of a host without BPF tell of a parameter; `None` when only the process state has it.
fn recorded_without_bpf(event: Event, index: usize, param: &Param) -> Option<Quality> {
    use Quality::{Exact, Missing, Weaker};
    if param.from == Origin::Absent {
        return None;
    }
    Some(match (without_bpf(event), param.from) {
        (_, Origin::Constant(_)) => Exact,
        (NoBpf::Fanotify | NoBpf::Connector, Origin::Return) => Weaker(Why::SuccessOnly),
        // Not looked at by any of them.
        (_, Origin::Object(_)) => Missing(Why::NotGiven),
        // A new link is reported by its own name, not by what it is a link to.
        (NoBpf::Fanotify, Origin::UserPath { .. }) if is_link_target(event, index) => Missing(Why::NotGiven),
        (NoBpf::Fanotify, Origin::UserPath { .. }) => Weaker(Why::NameLater),
        // Where a symbolic link leads is read from it.
        (NoBpf::Fanotify, Origin::UserString(_)) if param.name == "target" => Weaker(Why::FromProc),
        (NoBpf::Fanotify, Origin::Extractor(Extractor::OpenedDev | Extractor::OpenedIno)) => Exact,
        (NoBpf::Connector, Origin::Extractor(_)) if param.state.is_some() => Weaker(Why::FromProc),
        (NoBpf::Connector, Origin::Program) => Exact,
        (NoBpf::Seccomp, Origin::Return) => Weaker(Why::Attempted),
        (NoBpf::Seccomp, Origin::Arg(_) | Origin::Int(_) | Origin::Number) => Exact,
        (NoBpf::Seccomp, Origin::Id(_) | Origin::Position { .. }) => Exact,
        (NoBpf::Seccomp, Origin::UserPath { .. }) => Weaker(Why::PathAsPassed),
        (NoBpf::Seccomp, Origin::UserString(_) | Origin::UserU32 { .. } | Origin::UserU64 { .. }) => {
            Weaker(Why::FromCaller)
        }
        (NoBpf::Seccomp, Origin::UserBytes { .. }) => Weaker(Why::FromCaller),
        (NoBpf::Seccomp, Origin::Extractor(extractor)) => match extractor {
            Extractor::MountFlags | Extractor::PtraceAddr | Extractor::LlseekOffset => Exact,
            Extractor::SocketFamily | Extractor::SocketFlags => Exact,
            Extractor::SockTuple | Extractor::SendToTuple => Weaker(Why::AddressAsPassed),
            Extractor::ArgTuple => Weaker(Why::FromProc),
            Extractor::SockAddr | Extractor::SentData | Extractor::ModuleImage => Weaker(Why::FromCaller),
            Extractor::PrctlName | Extractor::PrctlNumber | Extractor::PtraceData => Weaker(Why::FromCaller),
            // As the program that is to be executed is called, its arguments are its process's.
            _ if param.state.is_some() => Weaker(Why::FromProc),
            _ => Missing(Why::NotGiven),
        },
        _ => Missing(Why::NotGiven),
    })
}

/// True for a value that a program reads from kernel structures and from nowhere else: without the kernel's type information
/// the record has none.
pub fn needs_types(from: Origin) -> bool {
    match from {
        Origin::Object(_) => true,
        Origin::Extractor(Extractor::CreatFlags) => false,
        Origin::Extractor(extractor) => {
            !is_argument(extractor) && !takes_address(extractor) && !reads_user_memory(extractor)
        }
        // Noted by programs, or not in the record.
        Origin::LookedUp { .. } => true,
        _ => false,
    }
}

/// True for what only follows pointers of the caller. Destinations of datagrams are such too, but fall back on the socket.
fn reads_user_memory(extractor: Extractor) -> bool {
    use Extractor as X;
    match extractor {
        X::SockAddr | X::ExecveArgv | X::ExecveatArgv | X::SentData | X::SentMsgData | X::MsgSize => true,
        X::PrctlName | X::PrctlNumber | X::PtraceData | X::ModuleImage => true,
        X::CapInheritable | X::CapPermitted | X::CapEffective => false,
        X::MountFlags | X::PtraceAddr | X::TaskState | X::GroupTaskState => false,
        X::ReceivedData | X::ReceivedMsgData | X::MsgControl => true,
        X::ReadVectorData | X::WrittenVectorData | X::VectorSize | X::SendfileOffset => true,
        X::PipeRead | X::PipeWrite | X::PollFds => true,
        X::PipeIno
        | X::ResultPath
        | X::ResultPathInFilesystem
        | X::CreatFlags
        | X::ResultLayer
        | X::PollObjects => false,
        X::PairFirst | X::PairSecond | X::SockOptValue | X::NewSockOptValue | X::SockOptLen => true,
        X::SockTuple | X::SendToTuple | X::SendMsgTuple | X::RecvFromTuple | X::RecvMsgTuple => false,
        X::OpenedDev | X::OpenedIno | X::Cwd => false,
        X::ArgTuple | X::ResultTuple => false,
        X::AcceptedTuple | X::RecvTuple | X::PairTuple | X::PairSource | X::PairPeer => false,
        X::QueuePercent | X::QueueLength | X::QueueMax => false,
        X::ReceivedSize | X::SockOptLevel | X::SockOptName | X::SocketFlags | X::SocketFamily => false,
        X::LlseekOffset | X::SemctlValue | X::QuotaFormat | X::QuotaId => false,
        X::FsconfigBytes | X::FsconfigText | X::QuotaFile | X::QuotaFormatOut => true,
    }
}

/// True for the ends of a socket that take one from the caller's memory.
fn takes_address(extractor: Extractor) -> bool {
    use Extractor as X;
    matches!(
        extractor,
        X::SockTuple | X::SendToTuple | X::SendMsgTuple | X::RecvFromTuple | X::RecvMsgTuple
    )
}

/// True for what is an argument or the result after all, only not of every call or not with every bit.
fn is_argument(extractor: Extractor) -> bool {
    use Extractor as X;
    matches!(extractor, X::MountFlags | X::PtraceAddr)
        || matches!(
            extractor,
            X::ReceivedSize | X::SockOptLevel | X::SockOptName | X::SocketFlags | X::SocketFamily
        )
        || matches!(
            extractor,
            X::LlseekOffset | X::SemctlValue | X::QuotaFormat | X::QuotaId
        )
}

fn is_link_target(event: Event, index: usize) -> bool {
    matches!(event, Event::Link | Event::Linkat) && event.row().param("oldpath") == Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EVENTS;

    fn of(tier: Tier, event: Event, param: &str) -> Quality {
        tier.param(event, event.row().param(param).unwrap())
    }

    #[test]
    fn sources_have_the_streams_of_their_names() {
        for source in Source::ALL {
            assert_eq!(
                crate::record::STREAMS[usize::from(source.stream())],
                source.name()
            );
        }
        assert!(Source::Connector.sees(Event::Execve) && !Source::Fanotify.sees(Event::Execve));
        assert!(Source::ALL.iter().all(|source| !source.sees(Event::Container)));
    }

    #[test]
    fn names_are_read_as_they_are_printed() {
        for tier in Tier::ALL {
            assert_eq!(Tier::from_name(tier.name()), Some(tier));
        }
        assert_eq!(Tier::from_name("auto"), None);
    }

    #[test]
    fn a_path_from_user_memory_is_exact_only_where_the_file_is_reached() {
        use Tier as T;
        let name = |tier| of(tier, Event::Openat, "name");
        assert_eq!(
            name(T::Trampoline),
            name(T::SysExit),
            "both look when the call returns"
        );
        assert_eq!(name(T::SysExit), Quality::Weaker(Why::NameAtReturn));
        assert_eq!(name(T::Raw), Quality::Weaker(Why::PathAsPassed));
        assert_eq!(
            name(T::None),
            Quality::Weaker(Why::NameLater),
            "fanotify has the file itself, and looks what it is called"
        );
    }

    #[test]
    fn numbers_are_exact_where_a_program_sees_the_call_return() {
        for tier in [Tier::Trampoline, Tier::SysExit, Tier::Raw] {
            assert_eq!(of(tier, Event::Openat, "fd"), Quality::Exact);
            assert_eq!(of(tier, Event::Setuid, "uid"), Quality::Exact);
        }
        assert_eq!(
            of(Tier::None, Event::Openat, "fd"),
            Quality::Weaker(Why::SuccessOnly)
        );
        assert_eq!(
            of(Tier::None, Event::Setuid, "res"),
            Quality::Weaker(Why::Attempted)
        );
        assert_eq!(
            of(Tier::None, Event::Openat, "mode"),
            Quality::Missing(Why::NotGiven)
        );
    }

    #[test]
    fn kernel_objects_need_type_information() {
        let tuple = |tier| of(tier, Event::Connect, "tuple");
        assert_eq!(tuple(Tier::SysExit), Quality::Exact);
        assert_eq!(tuple(Tier::Raw), Quality::Weaker(Why::AddressAsPassed));
        assert_eq!(
            of(Tier::Raw, Event::Procexit, "status"),
            Quality::Missing(Why::NeedsTypes)
        );
    }

    #[test]
    fn what_nothing_reads_is_missing_everywhere() {
        for tier in Tier::ALL {
            for row in EVENTS.iter().filter(|row| !row.is_internal()) {
                for (index, param) in row.params.iter().enumerate() {
                    let missing = matches!(tier.param(row.event, index), Quality::Missing(Why::NotRead));
                    let unread = param.from == Origin::Absent && param.state.is_none();
                    assert_eq!(missing, unread, "{} {}.{}", tier.name(), row.name, param.name);
                }
            }
        }
    }

    #[test]
    fn who_sees_what_is_told_already_needs_no_other() {
        use Event as E;
        let of = |events: &[Event]| -> EventSet { events.iter().copied().collect() };
        let stock = of(&[E::Open, E::Openat, E::Openat2]);
        let removes = of(&[E::Rmdir, E::Unlink, E::Unlinkat]);
        assert_eq!(told_apart(&[stock, removes, of(&[E::Openat])]), EventSet::NONE);
        assert_eq!(
            told_apart(&[of(&[E::Open])]),
            EventSet::NONE,
            "it is told as that"
        );
        assert_eq!(told_apart(&[stock, of(&[E::Open])]), of(&[E::Open]));
        assert_eq!(
            told_apart(&[stock, of(&[E::Open, E::Creat]), of(&[E::Creat])]),
            of(&[E::Open, E::Creat])
        );
        assert_eq!(
            told_apart(&[removes, of(&[E::Unlinkat])]),
            of(&[E::Unlinkat]),
            "of directories"
        );
        assert_eq!(told_apart(&[removes, of(&[E::Unlink])]), of(&[E::Unlink]));
        assert_eq!(
            told_apart(&[of(&[E::Execve]), of(&[E::Execveat])]),
            of(&[E::Execveat])
        );
    }

    #[test]
    fn every_event_has_a_source_in_every_tier() {
        for tier in Tier::ALL {
            for row in EVENTS.iter().filter(|row| !row.is_internal()) {
                // Nothing else tells of signals.
                let is_signal = tier == Tier::None && row.event == Event::Signaldeliver;
                let is_kept = tier == Tier::None && row.is_call() && seccomp::is_kept(row.event);
                let no_return = NEVER_RETURN.contains(&row.event) || RETURN_FROM_SIGNAL.contains(&row.event);
                let returns = !no_return && !is_signal && !is_kept;
                assert_eq!(
                    !matches!(tier.event(row.event), Quality::Missing(_)),
                    returns,
                    "{}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn the_worse_of_two_counts() {
        let weaker = Quality::Weaker(Why::FromProc);
        let missing = Quality::Missing(Why::NotRead);
        assert_eq!(Quality::Exact.and(weaker), weaker);
        assert_eq!(weaker.and(missing), missing);
        assert_eq!((Quality::Exact.why(), weaker.why()), (None, Some(Why::FromProc)));
    }
}
