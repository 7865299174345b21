//! The descriptor an event is about.

use crate::record::SocketTuple;

/// What a descriptor refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DescriptorKind {
    /// A file, or whatever an open without `O_DIRECTORY` gave.
    File,
    /// A directory.
    Directory,
    /// An IPv4 socket.
    Ipv4,
    /// An IPv6 socket.
    Ipv6,
    /// A local socket.
    Unix,
    /// A netlink socket.
    Netlink,
    /// A pipe.
    Pipe,
    /// An `eventfd(2)`.
    Event,
    /// A `signalfd(2)`.
    Signal,
    /// An `epoll(7)`.
    EventPoll,
    /// An `inotify(7)`.
    Inotify,
    /// A `timerfd_create(2)`.
    Timer,
    /// A BPF map, program or link.
    Bpf,
    /// A `userfaultfd(2)`.
    UserFault,
    /// An `io_uring(7)`.
    IoUring,
    /// A `memfd_create(2)`.
    Memfd,
    /// A `pidfd_open(2)`.
    Pidfd,
    /// Something else.
    #[default]
    Other,
}

impl DescriptorKind {
    /// `fd.type`.
    pub fn word(self) -> &'static str {
        match self {
            DescriptorKind::File => "file",
            DescriptorKind::Directory => "directory",
            DescriptorKind::Ipv4 => "ipv4",
            DescriptorKind::Ipv6 => "ipv6",
            DescriptorKind::Unix => "unix",
            DescriptorKind::Netlink => "netlink",
            DescriptorKind::Pipe => "pipe",
            DescriptorKind::Event => "event",
            DescriptorKind::Signal => "signalfd",
            DescriptorKind::EventPoll => "eventpoll",
            DescriptorKind::Inotify => "inotify",
            DescriptorKind::Timer => "timerfd",
            DescriptorKind::Bpf => "bpf",
            DescriptorKind::UserFault => "userfaultfd",
            DescriptorKind::IoUring => "io_uring",
            DescriptorKind::Memfd => "memfd",
            DescriptorKind::Pidfd => "pidfd",
            DescriptorKind::Other => "other",
        }
    }

    /// `fd.typechar`.
    pub fn letter(self) -> &'static str {
        match self {
            DescriptorKind::File => "f",
            DescriptorKind::Directory => "d",
            DescriptorKind::Ipv4 => "4",
            DescriptorKind::Ipv6 => "6",
            DescriptorKind::Unix | DescriptorKind::UserFault => "u",
            DescriptorKind::Netlink => "n",
            DescriptorKind::Pipe => "p",
            DescriptorKind::Event => "e",
            DescriptorKind::Signal => "s",
            DescriptorKind::EventPoll => "l",
            DescriptorKind::Inotify => "i",
            DescriptorKind::Timer => "t",
            DescriptorKind::Bpf => "b",
            DescriptorKind::IoUring => "r",
            DescriptorKind::Memfd => "m",
            DescriptorKind::Pidfd => "P",
            DescriptorKind::Other => "o",
        }
    }
}

/// The descriptor an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descriptor<'a> {
    /// Its number; below zero after a failed open.
    pub number: i64,
    /// What it refers to.
    pub kind: DescriptorKind,
    /// Absolute path of a file, as the process sees it.
    pub path: Option<&'a [u8]>,
    /// The path as it was passed.
    pub raw_path: Option<&'a [u8]>,
    /// Both ends of a socket.
    pub tuple: Option<SocketTuple<'a>>,
    /// True when the process owns the server's end.
    pub is_server: bool,
    /// True for a socket whose peer is the remote end of `tuple`: a call to connect or accept has succeeded.
    pub connected: bool,
    /// True when the event gave the descriptor another name than it had.
    pub name_changed: bool,
}
