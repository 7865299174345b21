//! What a descriptor refers to, in a record.

use super::{SocketTuple, u16_at, u32_at, u64_at};

/// What a descriptor refers to, as the record carries it.
///
/// ```text
/// 0  u16 mode (st_mode)   2  u16 flags (OBJECT_*)   4  u32 device   8  u64 inode   16  u32 magic   20  u32 unused
/// 24 of a socket: its tuple
///    of what is on a mount of the kernel's own: its name there, and NUL
///    of everything else: its path, as names from the leaf up
/// ```
/// The device is as `stat(2)` has it, except that file systems with devices below their own (btrfs, overlayfs) count as
/// one. An anonymous inode has no type in its mode on kernels before 6.16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Object<'a> {
    /// As in `st_mode`.
    pub mode: u16,
    /// `OBJECT_*`.
    pub flags: u16,
    /// Number of its device.
    pub dev: u32,
    /// Inode number.
    pub inode: u64,
    /// Magic number of its file system.
    pub magic: u32,
    /// What the fixed part is followed by.
    pub rest: &'a [u8],
}

/// The layer of an overlay a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Made or changed since the overlay was mounted.
    Upper,
    /// As it was before.
    Lower,
}

/// Length of the fixed part of an [`Object`].
pub const OBJECT_LEN: usize = 24;
/// Bit of an object's flags: it is on a mount of the kernel's own, where nothing has a path: pipes, memfds, anonymous
/// inodes, namespaces.
pub const OBJECT_INTERNAL: u16 = 1;
/// Bit of an object's flags: it is a file of the upper layer of an overlay.
pub const OBJECT_UPPER: u16 = 2;
/// Bit of an object's flags: it is a file of a lower layer of an overlay.
pub const OBJECT_LOWER: u16 = 4;

const S_IFMT: u16 = 0o170000;
pub(super) const S_IFSOCK: u16 = 0o140000;

impl<'a> Object<'a> {
    /// Reads an object; `None` when the bytes are too few.
    pub fn read(bytes: &'a [u8]) -> Option<Object<'a>> {
        let (fixed, rest) = bytes.split_at_checked(OBJECT_LEN)?;
        Some(Object {
            mode: u16_at(fixed, 0)?,
            flags: u16_at(fixed, 2)?,
            dev: u32_at(fixed, 4)?,
            inode: u64_at(fixed, 8)?,
            magic: u32_at(fixed, 16)?,
            rest,
        })
    }

    /// The type in its mode.
    pub fn file_type(&self) -> u16 {
        self.mode & S_IFMT
    }

    /// True for a socket.
    pub fn is_socket(&self) -> bool {
        self.file_type() == S_IFSOCK
    }

    /// True when it is on a mount of the kernel's own.
    pub fn is_internal(&self) -> bool {
        self.flags & OBJECT_INTERNAL != 0
    }

    /// The layer of the overlay it is on.
    pub fn layer(&self) -> Option<Layer> {
        match self.flags {
            flags if flags & OBJECT_UPPER != 0 => Some(Layer::Upper),
            flags if flags & OBJECT_LOWER != 0 => Some(Layer::Lower),
            _ => None,
        }
    }

    /// Both ends of a socket.
    pub fn tuple(&self) -> Option<SocketTuple<'a>> {
        self.is_socket().then(|| SocketTuple::read(self.rest)).flatten()
    }

    /// The name of what has no path (`memfd:NAME`, `[eventfd]`, …); empty when it has none.
    pub fn name(&self) -> &'a [u8] {
        let named = self.is_internal() && !self.is_socket();
        let name = self.rest.split(|b| *b == 0).next().filter(|_| named);
        name.unwrap_or_default()
    }

    /// The names of its path from the leaf up, each ended by NUL, when it has one.
    pub fn components(&self) -> Option<&'a [u8]> {
        (!self.is_internal() && !self.is_socket() && !self.rest.is_empty()).then_some(self.rest)
    }

    /// Appends the object's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.mode.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        out.extend(self.dev.to_le_bytes());
        out.extend(self.inode.to_le_bytes());
        out.extend(self.magic.to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.rest);
    }
}
