//! The table of events: one row each, and everything else is generated from the rows.
//!
//! Names, parameters and their order are Falco's (`driver/event_table.c`). A parameter also says where its value
//! comes from, so that a system call whose parameters are plain arguments needs a row and nothing else: capture's
//! build script turns the rows into the C table that the BPF walker reads, and the decoder reads the same rows.

use crate::descriptor::DescriptorKind;

mod needs;
mod numbered;
mod other;
mod param;
mod plain;
mod rows;
mod set;

pub use needs::{Needs, Programs};
pub use param::{
    Extractor, Format, Holder, MAX_SNAPLEN, Origin, Param, ParamType, ProcessField, QuotaPart, SNAPLEN,
};
pub use set::EventSet;

/// Falco's class of an event (`evt.category`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Category {
    File,
    Net,
    Process,
    User,
    Ipc,
    Memory,
    Signal,
    Time,
    Sleep,
    Wait,
    System,
    IoRead,
    IoWrite,
    IoOther,
    Other,
    /// News that is neither a system call nor the kernel's: no thread caused it.
    Meta,
    Plugin,
    Internal,
}

impl Category {
    /// The word `evt.category` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Category::File => "file",
            Category::Net => "net",
            Category::Process => "process",
            Category::User => "user",
            // What it is of says what the descriptor refers to.
            Category::IoRead | Category::IoWrite | Category::IoOther | Category::Other => "other",
            Category::Meta => "other",
            Category::Ipc => "IPC",
            Category::Memory => "memory",
            Category::Signal => "signal",
            Category::Time => "time",
            Category::Sleep => "sleep",
            Category::Wait => "wait",
            Category::System => "system",
            Category::Plugin => "plugin",
            Category::Internal => "internal",
        }
    }
}

/// How an event touches a descriptor: decides what `fd.*` means on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdUse {
    /// No `fd.*` field has a value.
    None,
    /// The result is a new descriptor on the path parameter with this index.
    Opens {
        /// Index of the path parameter.
        path: u8,
        /// Index of the parameter with the `open(2)` flags.
        flags: u8,
    },
    /// The descriptor parameter with this index is a socket, described by the tuple parameter. What else is asked about it
    /// is in its object parameter.
    Socket {
        /// Index of the descriptor parameter.
        fd: u8,
        /// Index of the tuple parameter.
        tuple: u8,
    },
    /// The result is a new descriptor, of this kind. Of a failed call nothing else is known.
    Makes {
        /// Index of the [`Origin::Object`].
        object: u8,
        /// What it refers to.
        kind: DescriptorKind,
    },
    /// What the descriptor parameter `fd` refers to is the parameter `object`. Rows with a parameter of that name need
    /// not say it.
    Described {
        /// Index of the descriptor parameter.
        fd: u8,
        /// Index of the [`Origin::Object`].
        object: u8,
    },
    /// The result is a copy of a descriptor, or another number of the same. A failed call is about the descriptor it was
    /// to copy.
    Copies {
        /// Index of the parameter with the descriptor that is copied.
        old: u8,
        /// Index of the [`Origin::Object`].
        object: u8,
    },
}

impl FdUse {
    /// What a row that does not say it means by its parameters: `object` describes the descriptor the event is about.
    pub const fn of(params: &[Param]) -> FdUse {
        let mut index = 0;
        while index < params.len() {
            if let ParamType::Object(fd) = params[index].ty
                && is_same(params[index].name, "object")
            {
                return FdUse::Described {
                    fd,
                    object: index as u8,
                };
            }
            index += 1;
        }
        FdUse::None
    }

    /// The index of the object parameter that says what the event's descriptor refers to.
    pub const fn object(self) -> Option<u8> {
        match self {
            FdUse::Makes { object, .. } | FdUse::Described { object, .. } | FdUse::Copies { object, .. } => {
                Some(object)
            }
            FdUse::None | FdUse::Opens { .. } | FdUse::Socket { .. } => None,
        }
    }
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow {
    /// The event.
    pub event: Event,
    /// Falco's name, the value of `evt.type`.
    pub name: &'static str,
    /// Its class.
    pub category: Category,
    /// System call numbers on x86-64.
    pub x86_64: &'static [u16],
    /// System call numbers of 32-bit callers on x86-64.
    pub i386: &'static [u16],
    /// System call numbers on arm64.
    pub aarch64: &'static [u16],
    /// How it touches a descriptor.
    pub fd: FdUse,
    /// The parameters, in Falco's order.
    pub params: &'static [Param],
}

impl EventRow {
    /// The index of the parameter called `name`.
    pub fn param(&self, name: &str) -> Option<usize> {
        self.params.iter().position(|p| p.name == name)
    }

    /// The index of the parameter that says what the descriptor in parameter `fd` refers to.
    pub const fn object_of(&self, fd: usize) -> Option<usize> {
        let mut index = 0;
        while index < self.params.len() {
            if let ParamType::Object(of) = self.params[index].ty
                && of as usize == fd
            {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// The index of the parameter with the kernel's name of what the path parameter `path` named.
    pub const fn real_path_of(&self, path: usize) -> Option<usize> {
        let mut index = 0;
        while index < self.params.len() {
            if let ParamType::RealPath(of) = self.params[index].ty
                && of as usize == path
            {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// The parameters with what is looked up when an event is seen, as bits.
    pub fn looked_up(&self) -> u32 {
        let params = (0u32..).zip(self.params);
        params.fold(0, |bits, (index, param)| match param.from {
            Origin::LookedUp { .. } => bits | 1 << index,
            _ => bits,
        })
    }

    /// The path parameters of which the kernel's name can be read, each with the parameter that has it.
    pub fn real_paths(&self) -> impl Iterator<Item = (u8, u8)> + use<> {
        let params = (0u8..).zip(self.params);
        params.filter_map(|(index, param)| match param.ty {
            ParamType::RealPath(path) => Some((path, index)),
            _ => None,
        })
    }

    /// True for a parameter with another number of what the event's descriptor refers to: the other end of a pipe or of a
    /// pair of sockets, what `fcntl` makes.
    pub fn is_other_number(&self, fd: usize) -> bool {
        match self.event {
            Event::Pipe | Event::Pipe2 | Event::Socketpair => self.param("fd2") == Some(fd),
            Event::Fcntl => self.result() == Some(fd),
            _ => false,
        }
    }

    /// The parameter that is read when the call begins, as a bit; 0 when the row has none.
    pub fn at_enter(&self) -> u32 {
        self.params
            .iter()
            .position(|p| p.at_enter)
            .map_or(0, |index| 1 << index)
    }

    /// True for the parameter with the flags of a call that opens a file.
    pub fn opens_with(&self, index: usize) -> bool {
        matches!(self.fd, FdUse::Opens { flags, .. } if usize::from(flags) == index)
    }

    /// The argument with the flags of a call that opens a file; `None` where they are elsewhere.
    pub fn open_flags_arg(&self) -> Option<u8> {
        match self.open_flags()? {
            Origin::Arg(arg) => Some(arg),
            _ => None,
        }
    }

    /// The argument with the address of the flags of a call that opens a file, which are the first that is there (`struct
    /// open_how`); `None` where they are elsewhere.
    pub fn open_how_arg(&self) -> Option<u8> {
        match self.open_flags()? {
            Origin::UserU64 { arg, offset: 0 } => Some(arg),
            _ => None,
        }
    }

    /// True for calls whose class has the flags by which they open a file.
    pub fn has_open_flags(&self) -> bool {
        self.open_flags_arg().or(self.open_how_arg()).is_some()
    }

    fn open_flags(&self) -> Option<Origin> {
        match self.fd {
            FdUse::Opens { flags, .. } => Some(self.params[usize::from(flags)].from),
            _ => None,
        }
    }

    /// The index of the parameter with the family of the socket that the call makes, if the call's class has that.
    pub fn family(&self) -> Option<usize> {
        let from = Origin::Extractor(Extractor::SocketFamily);
        self.params.iter().position(|p| p.from == from)
    }

    /// The index of the parameter with the mode that the call gives a file, and the argument it comes from, if the call's class
    /// has that: only the second and the third are looked at.
    pub fn mode(&self) -> Option<(usize, u8)> {
        let mut params = self.params.iter().enumerate();
        params.find_map(|(index, param)| match (param.ty, param.from) {
            (ParamType::Mode(_), Origin::Arg(arg @ 1..=2)) if !self.is_by_number() => Some((index, arg)),
            _ => None,
        })
    }

    /// True of calls that change the credentials of their thread and nothing else: those of a process are its first thread's.
    pub fn is_of_thread(&self) -> bool {
        use Event as E;
        matches!(
            self.event,
            E::Setuid
                | E::Setgid
                | E::Setreuid
                | E::Setregid
                | E::Setresuid
                | E::Setresgid
                | E::Setfsuid
                | E::Capset
        )
    }

    /// The index of the parameter with the result of the call.
    pub fn result(&self) -> Option<usize> {
        self.params.iter().position(|p| p.from == Origin::Return)
    }

    /// True for system calls.
    pub fn is_call(&self) -> bool {
        [self.x86_64, self.i386, self.aarch64]
            .iter()
            .any(|numbers| !numbers.is_empty())
            || SOCKETCALLS.contains(&self.name)
    }

    /// True for system calls that are captured by number, with raw arguments.
    pub const fn is_by_number(&self) -> bool {
        self.event as usize >= DEDICATED_COUNT
    }

    /// The index of the parameter that [`crate::record::TaskState`] is in.
    pub const fn task_state(&self) -> Option<usize> {
        let mut index = 0;
        while index < self.params.len() {
            if let Origin::Extractor(Extractor::TaskState | Extractor::GroupTaskState) =
                self.params[index].from
            {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// True for events that only Lanner's own state needs: never the value of `evt.type`.
    pub const fn is_internal(&self) -> bool {
        matches!(self.category, Category::Internal)
    }

    /// True for events the kernel's side records; others come from sources of their own.
    pub const fn is_kernel(&self) -> bool {
        !matches!(
            self.category,
            Category::Internal | Category::Meta | Category::Plugin
        )
    }

    /// True for news of this host that the kernel has no part in (Falco's asynchronous events). They have no thread.
    pub const fn is_meta(&self) -> bool {
        matches!(self.category, Category::Meta)
    }
}

/// The most parameters a row may have.
pub const MAX_PARAMS: usize = 32;
/// The most parameters the BPF walker reads from one record.
pub const MAX_WALKED_PARAMS: usize = 20;

pub use rows::{BY_NUMBER, DEDICATED_COUNT, EVENT_COUNT, EVENTS, Event};

/// The calls of i386's `socketcall(2)` by their number there (include/uapi/linux/net.h). `send` and `recv` have no other.
pub const SOCKETCALLS: [&str; 21] = [
    "",
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

impl Event {
    /// The event's row.
    pub fn row(self) -> &'static EventRow {
        &EVENTS[self as usize]
    }

    /// Falco's name of the event.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// True for calls that return in the child, too.
    pub const fn returns_twice(self) -> bool {
        matches!(self, Event::Clone | Event::Clone3 | Event::Fork | Event::Vfork)
    }

    /// Which description of parameters it has: those captured by number share the last, [`DEDICATED_COUNT`].
    pub const fn description(self) -> usize {
        let index = self as usize;
        if index < DEDICATED_COUNT {
            index
        } else {
            DEDICATED_COUNT
        }
    }

    /// The event with this index in [`EVENTS`].
    pub fn from_index(index: u16) -> Option<Event> {
        EVENTS.get(usize::from(index)).map(|row| row.event)
    }

    /// The event rules call `name`; internal events have no name there.
    pub fn from_name(name: &str) -> Option<Event> {
        EVENTS
            .iter()
            .find(|row| row.name == name && !row.is_internal())
            .map(|row| row.event)
    }
}

/// The index of the parameter called `name`, for constants: `usize::MAX`, which no record has, when there is none.
pub const fn param_index(event: Event, name: &str) -> usize {
    let params = EVENTS[event as usize].params;
    let mut index = 0;
    while index < params.len() {
        if is_same(params[index].name, name) {
            return index;
        }
        index += 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::EVENT_NAMES;

    #[test]
    fn rows_are_in_the_order_of_the_enum_and_fit_the_walker() {
        for (index, row) in EVENTS.iter().enumerate() {
            assert_eq!(row.event as usize, index, "{}", row.name);
            assert!(row.params.len() <= MAX_PARAMS, "{}", row.name);
            let walked = row
                .params
                .iter()
                .filter(|p| {
                    let from = p.from;
                    !matches!(from, Origin::Absent | Origin::Program | Origin::Constant(_))
                })
                .count();
            assert!(walked <= MAX_WALKED_PARAMS, "{}", row.name);
            let at_enter = row.params.iter().filter(|p| p.at_enter).count();
            assert!(
                at_enter <= 1,
                "one value of a call is kept while it lasts: {}",
                row.name
            );
            for param in row.params {
                if param.at_enter {
                    // Nothing that hangs on the result; on demand, because it takes a program on the start of all calls.
                    assert!(
                        matches!(param.from, Origin::Object(Holder::Arg(_))),
                        "{}",
                        row.name
                    );
                    assert!(
                        param.on_demand && row.is_call() && !row.is_by_number(),
                        "{}",
                        row.name
                    );
                    // A record per message, and failures only, are of the end alone.
                    assert!(
                        !matches!(
                            row.event,
                            Event::Sendmmsg | Event::Recvmmsg | Event::Execve | Event::Execveat
                        ),
                        "{}",
                        row.name
                    );
                }
                if let ParamType::FsRelPath(dirfd) = param.ty {
                    assert_eq!(
                        row.params[usize::from(dirfd)].ty,
                        ParamType::Fd,
                        "{}.{}",
                        row.name,
                        param.name
                    );
                }
                if let ParamType::RealPath(path) = param.ty {
                    let path = row.params[usize::from(path)].from;
                    assert!(matches!(path, Origin::UserPath { .. }), "{}", row.name);
                    assert!(param.hidden && param.on_demand, "{}", row.name);
                }
                if let ParamType::Object(fd) = param.ty {
                    // A new descriptor is an errno by Falco's table in some rows.
                    let fd = row.params[usize::from(fd)].ty;
                    assert!(matches!(fd, ParamType::Fd | ParamType::Errno), "{}", row.name);
                    assert!(param.hidden && param.on_demand, "{}", row.name);
                    assert!(matches!(param.from, Origin::Object(_)), "{}", row.name);
                }
            }
            if let FdUse::Socket { fd, .. } = row.fd {
                assert!(row.object_of(fd.into()).is_some(), "{}", row.name);
            }
        }
    }

    #[test]
    fn every_row_is_an_event_falco_knows() {
        for row in EVENTS.iter().filter(|row| !row.is_internal()) {
            assert!(
                EVENT_NAMES.binary_search(&row.name).is_ok(),
                "{} is not an event of Falco",
                row.name
            );
        }
    }

    #[test]
    fn no_two_rows_claim_one_system_call() {
        let numbers: [fn(&EventRow) -> &'static [u16]; 3] = [|r| r.x86_64, |r| r.i386, |r| r.aarch64];
        for of in numbers {
            let mut all: Vec<u16> = EVENTS.iter().flat_map(|row| of(row).iter().copied()).collect();
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count);
        }
    }

    #[test]
    fn constants_find_parameters_by_name() {
        const INO: usize = param_index(Event::Openat, "ino");
        assert_eq!(Some(INO), Event::Openat.row().param("ino"));
        assert_eq!(param_index(Event::Openat, "in"), usize::MAX);
        assert_eq!(param_index(Event::Openat, "inode"), usize::MAX);
    }
}
