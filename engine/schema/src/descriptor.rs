//! The descriptor an event is about.

use std::net::{IpAddr, Ipv4Addr};

use crate::record::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, Layer, Object, SocketTuple};

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

/// `S_IFDIR`.
const S_IFDIR: u16 = 0o040000;
/// `S_IFIFO`.
const S_IFIFO: u16 = 0o010000;
/// Of the file system of pidfds, since Linux 6.9.
const PID_FS_MAGIC: u32 = 0x5049_4446;
/// Of the file system of namespaces.
pub const NSFS_MAGIC: u32 = 0x6e73_6673;

impl DescriptorKind {
    /// What a socket is.
    pub fn of_socket(tuple: &SocketTuple<'_>) -> DescriptorKind {
        match tuple.family {
            AF_INET => DescriptorKind::Ipv4,
            AF_INET6 => DescriptorKind::Ipv6,
            AF_UNIX => DescriptorKind::Unix,
            AF_NETLINK => DescriptorKind::Netlink,
            _ => DescriptorKind::Other,
        }
    }

    /// What a descriptor's object is. Those that have no path go by the name the kernel gave them.
    pub fn of_object(object: &Object<'_>) -> DescriptorKind {
        if let Some(tuple) = object.tuple() {
            return DescriptorKind::of_socket(&unmapped(tuple));
        }
        if object.is_socket() {
            return DescriptorKind::Other;
        }
        match object.file_type() {
            S_IFIFO => return DescriptorKind::Pipe,
            S_IFDIR => return DescriptorKind::Directory,
            _ if !object.is_internal() => return DescriptorKind::File,
            _ if object.magic == PID_FS_MAGIC => return DescriptorKind::Pidfd,
            _ if object.magic == NSFS_MAGIC => return DescriptorKind::File,
            _ => {}
        }
        DescriptorKind::of_name(object.name())
    }

    /// What has this name, of the kernel's own, that it gives what has no path.
    pub fn of_name(name: &[u8]) -> DescriptorKind {
        match name {
            name if name.starts_with(b"memfd:") => DescriptorKind::Memfd,
            b"[eventfd]" => DescriptorKind::Event,
            b"[signalfd]" => DescriptorKind::Signal,
            b"[eventpoll]" => DescriptorKind::EventPoll,
            b"inotify" => DescriptorKind::Inotify,
            b"[timerfd]" => DescriptorKind::Timer,
            b"[userfaultfd]" => DescriptorKind::UserFault,
            b"[io_uring]" => DescriptorKind::IoUring,
            b"[pidfd]" => DescriptorKind::Pidfd,
            name if name.starts_with(b"bpf-") || name.starts_with(b"bpf_") => DescriptorKind::Bpf,
            _ => DescriptorKind::Other,
        }
    }
}

/// An IPv6 socket that talks IPv4 (`::ffff:a.b.c.d`) is an IPv4 socket to rules, as in Falco.
pub fn unmapped(mut tuple: SocketTuple<'_>) -> SocketTuple<'_> {
    let v4 = |end: Option<(IpAddr, u16)>| match end {
        Some((IpAddr::V6(ip), port)) => ip.to_ipv4_mapped().map(|v4| (IpAddr::V4(v4), port)),
        _ => None,
    };
    if let (Some(local), None) = (v4(tuple.local), tuple.remote) {
        tuple.family = AF_INET;
        tuple.local = Some(local);
    }
    if let Some(remote) = v4(tuple.remote) {
        tuple.family = AF_INET;
        tuple.remote = Some(remote);
        tuple.local = v4(tuple.local).or_else(|| {
            tuple
                .local
                .map(|(_, port)| (IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
        });
    }
    tuple
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
    /// Number of the device of the file.
    pub dev: Option<u32>,
    /// Inode number of the file.
    pub ino: Option<u64>,
    /// The layer of the overlay that the file is on.
    pub layer: Option<Layer>,
}

impl<'a> Descriptor<'a> {
    /// False for a number that is not open, or whose object nobody asked for: nothing else is known of it.
    pub fn is_known(&self) -> bool {
        self.kind != DescriptorKind::Other || self.tuple.is_some() || self.ino.is_some()
    }

    /// A descriptor from what it refers to; `path` is the object's, made text.
    pub fn of_object(number: i64, object: &Object<'a>, path: Option<&'a [u8]>) -> Descriptor<'a> {
        let kind = DescriptorKind::of_object(object);
        let tuple = object.tuple().map(unmapped);
        Descriptor {
            number,
            kind,
            // A memfd has a name, if no path.
            path: path.or_else(|| (kind == DescriptorKind::Memfd).then_some(object.name())),
            tuple,
            is_server: tuple.is_some_and(|t| t.is_server()),
            connected: tuple.is_some_and(|t| t.connected),
            dev: Some(object.dev),
            ino: Some(object.inode),
            layer: object.layer(),
            ..Descriptor::default()
        }
    }
}
