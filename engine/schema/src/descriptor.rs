//! The descriptor an event is about.

use crate::record::SocketTuple;

/// What a descriptor refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Something else.
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
            DescriptorKind::Unix => "u",
            DescriptorKind::Other => "o",
        }
    }
}

/// The descriptor an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}
