//! The operations of `io_uring(7)` that do what a system call does.

use crate::event::Event;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its name, without `IORING_OP_`.
    pub name: &'static str,
    /// Its number.
    pub number: u8,
    /// What it raises. Where there are two, the first has no flags: it stands for an operation that has none.
    pub events: &'static [Event],
}

/// All that are captured.
pub const OPERATIONS: [Operation; 23] = [
    of("SENDMSG", 9, &[Event::Sendmsg]),
    of("RECVMSG", 10, &[Event::Recvmsg]),
    of("ACCEPT", 13, &[Event::Accept, Event::Accept4]),
    of("CONNECT", 16, &[Event::Connect]),
    of("FALLOCATE", 17, &[Event::Fallocate]),
    of("OPENAT", 18, &[Event::Openat]),
    of("SEND", 26, &[Event::Sendto]),
    of("RECV", 27, &[Event::Recvfrom]),
    of("OPENAT2", 28, &[Event::Openat2]),
    of("SHUTDOWN", 34, &[Event::Shutdown]),
    of("RENAMEAT", 35, &[Event::Renameat, Event::Renameat2]),
    of("UNLINKAT", 36, &[Event::Unlinkat]),
    of("MKDIRAT", 37, &[Event::Mkdirat]),
    of("SYMLINKAT", 38, &[Event::Symlinkat]),
    of("LINKAT", 39, &[Event::Linkat]),
    of("FSETXATTR", 41, &[Event::Fsetxattr]),
    of("SETXATTR", 42, &[Event::Setxattr]),
    of("SOCKET", 45, &[Event::Socket]),
    of("SEND_ZC", 47, &[Event::Sendto]),
    of("SENDMSG_ZC", 48, &[Event::Sendmsg]),
    of("FTRUNCATE", 55, &[Event::Ftruncate]),
    of("BIND", 56, &[Event::Bind]),
    of("LISTEN", 57, &[Event::Listen]),
];

const fn of(name: &'static str, number: u8, events: &'static [Event]) -> Operation {
    Operation { name, number, events }
}

/// True for events that an operation raises, too.
pub fn raises(event: Event) -> bool {
    OPERATIONS
        .iter()
        .any(|operation| operation.events.contains(&event))
}

/// What is known of how an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its result.
    Completed,
    /// It succeeded: its caller asked to hear of failures only, and none was told. The number of a descriptor that it made
    /// is not known ([`crate::record::UNTOLD_DESCRIPTOR`]).
    Succeeded,
    /// Nothing: the record of its end was lost, or it never came.
    Unknown,
}

impl End {
    /// Its name (`lanner.io_uring.result`).
    pub const fn name(self) -> &'static str {
        match self {
            End::Completed => "completed",
            End::Succeeded => "succeeded",
            End::Unknown => "unknown",
        }
    }
}
