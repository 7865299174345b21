//! The record that crosses from the kernel: a fixed header, the lengths of the parameters, their bytes.
//!
//! The layout is written once, here; capture's build script turns the constants into the C header the BPF programs
//! include. All numbers are little-endian as the kernel wrote them (both ends are the same machine).
//!
//! ```text
//! 0   u16 event        index of the row
//! 2   u8  stream       which program wrote it: its place in [`STREAMS`]
//! 3   u8  flags        FLAG_*
//! 4   u16 cpu
//! 6   u16 image        changes with every exec and differs between processes; 0 is unknown. Of sources without BPF how long
//!                      before `time` the event may have been, in steps of [`AGE_STEP`]
//! 8   u64 sequence     counts per CPU and stream, lost records included
//! 16  u64 time         nanoseconds since boot (CLOCK_BOOTTIME)
//! 24  u32 tid          thread, in the kernel's own pid namespace
//! 28  u32 pid          process
//! 32  u64 cgroup       id of the cgroup, which is its directory's inode
//! 40  u32 uid          effective user id
//! 44  u32 gid          effective group id
//! 48  u16 length[n]    per parameter: bytes, and the top bit when they were cut; 0 is missing
//! …   bytes
//! …   u32 mask, and u64 per bit of it: the values of the thread a rule asked for (task.rs), if one did
//! …   of a request of io_uring: [`RequestTail`]
//! ```
//! Numbers are eight bytes, sign-extended by their type. Text ends in NUL. A path is the text that was passed, its NUL,
//! and (when it is relative) the directory it starts from; a path from kernel objects, and that directory, are the
//! NUL-terminated names from the leaf up to the root. A socket tuple is [`SocketTuple`].

use std::net::IpAddr;

use crate::event::Event;
use crate::task::TaskValue;

/// Number of this layout, for records that are kept: it changes when the header, or the form of any kind of value, does.
/// Rows and parameters that come or go do not change it.
pub const LAYOUT: u16 = 1;

/// Bytes before the lengths.
pub const HEADER_LEN: usize = 48;
/// The last byte behind the header at which a value may begin, which is a mask, too.
pub const DATA_MASK: usize = 0x3fff;
/// The most bytes of a path, and of a process's arguments or environment: `PATH_MAX`.
pub const STRING_MAX: usize = 4096;
/// Bytes of the longest record.
pub const LEN_MAX: usize = HEADER_LEN + DATA_MASK + 1 + STRING_MAX;
/// Nanoseconds of a step in which a source without BPF says how long before its time an event may have been; `u16::MAX` of
/// them stand for any time before.
pub const AGE_STEP: u64 = 100_000;
/// Top bit of a length: the value was longer.
pub const TRUNCATED: u16 = 0x8000;
/// The call came from a 32-bit caller.
pub const FLAG_COMPAT: u8 = 1;
/// No call but half of a request of io_uring that does the same: as it was submitted, or ([`FLAG_COMPLETES`]) as it
/// ended. A [`RequestTail`] is behind it.
pub const FLAG_IO_URING: u8 = 2;
/// The second half of a request: of its parameters those that are known when it has completed.
pub const FLAG_COMPLETES: u8 = 4;
/// Of sources without BPF: the call succeeded; with what result is not known unless the record has one. What the record does
/// not have of it is unknown, which is not the same as not there.
pub const FLAG_SUCCEEDED: u8 = 8;
/// Of sources without BPF: the call was seen before it was done, and its result is not known. Likewise.
pub const FLAG_ATTEMPTED: u8 = 16;
/// The access mode in the flags of an open with [`FLAG_SUCCEEDED`] that was for writing, and maybe for reading too. What the
/// kernel means by it, access for ioctl alone, no such record tells of.
pub const WRITTEN_AND_MAYBE_READ: u64 = 3;

/// Added to the slot of a file that only a ring of io_uring has: such a descriptor is none of its process's, and no
/// descriptor has a number like that.
pub const DIRECT_DESCRIPTOR: i64 = 1 << 32;
/// The number of a descriptor that was made without anybody being told which.
pub const UNTOLD_DESCRIPTOR: i64 = DIRECT_DESCRIPTOR - 1;

/// Programs that number their records independently, because one may interrupt another on the same CPU, and the sources of
/// a host without BPF. Those of `busy` are all lost: they were not begun because another was.
pub const STREAMS: [&str; 13] = [
    "sys_exit",
    "exec",
    "fork",
    "exit",
    "rename",
    "signal",
    "cgroup",
    "busy",
    "io_uring_submit",
    "io_uring_complete",
    "fanotify",
    "connector",
    "seccomp",
];

/// The first stream of [`STREAMS`] that no BPF program writes: those of [`Source`](crate::tier::Source), in its order.
pub const FIRST_SOURCE: u8 = 10;

/// Why the kernel side lost a record, in the order of its counters.
pub const DROP_REASONS: [&str; 2] = ["ring_full", "scratch_overwritten"];
/// What the kernel side could not read although it delivered the record, in the order of its counters.
pub const MISS_KINDS: [&str; 6] = [
    "user_memory",
    "kernel_memory",
    "no_room",
    "messages",
    "at_enter",
    "multishots",
];

/// The header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the members are listed above
pub struct Header {
    pub event: u16,
    pub stream: u8,
    pub flags: u8,
    pub cpu: u32,
    pub image: u16,
    pub sequence: u64,
    pub time: u64,
    pub tid: u32,
    pub pid: u32,
    pub cgroup: u64,
    pub uid: u32,
    pub gid: u32,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl Header {
    /// Takes out of the header of a source without BPF since when its event may have been.
    pub fn take_since(&mut self) -> u64 {
        match std::mem::take(&mut self.image) {
            u16::MAX => 0,
            age => self.time.saturating_sub(u64::from(age) * AGE_STEP),
        }
    }

    /// Where the sequence number is among a header's bytes.
    pub const SEQUENCE: std::ops::Range<usize> = 8..16;

    /// Reads a header; `None` when the bytes are too few.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        Some(Header {
            event: u16_at(bytes, 0)?,
            stream: bytes[2],
            flags: bytes[3],
            cpu: u16_at(bytes, 4)?.into(),
            image: u16_at(bytes, 6)?,
            sequence: u64_at(bytes, 8)?,
            time: u64_at(bytes, 16)?,
            tid: u32_at(bytes, 24)?,
            pid: u32_at(bytes, 28)?,
            cgroup: u64_at(bytes, 32)?,
            uid: u32_at(bytes, 40)?,
            gid: u32_at(bytes, 44)?,
        })
    }

    /// Appends the header's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.event.to_le_bytes());
        out.push(self.stream);
        out.push(self.flags);
        // The kernel has at most 8192 CPUs.
        out.extend(u16::try_from(self.cpu).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(self.image.to_le_bytes());
        out.extend(self.sequence.to_le_bytes());
        out.extend(self.time.to_le_bytes());
        out.extend(self.tid.to_le_bytes());
        out.extend(self.pid.to_le_bytes());
        out.extend(self.cgroup.to_le_bytes());
        out.extend(self.uid.to_le_bytes());
        out.extend(self.gid.to_le_bytes());
    }
}

/// What is behind the values of half of a request of io_uring.
///
/// ```text
/// 0  u64 request   where the kernel keeps it: it is used again as soon as the request has ended
/// 8  u32 flags     SKIPS, …
/// 12 u32 uid       effective ids it acts with (of the first half)
/// 16 u32 gid
/// 20 u32 unused
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the members are listed above
pub struct RequestTail {
    pub request: u64,
    pub flags: u32,
    pub uid: u32,
    pub gid: u32,
}

impl RequestTail {
    /// Bytes of it.
    pub const LEN: usize = 24;
    /// Nothing is said of it when it succeeds (`IOSQE_CQE_SKIP_SUCCESS`).
    pub const SKIPS: u32 = 1;
    /// It ends many times.
    pub const MULTISHOT: u32 = 2;
    /// This was not the last of them.
    pub const MORE: u32 = 4;
    /// It makes a file that only the ring has.
    pub const DIRECT: u32 = 8;
    /// It is done on a file.
    pub const HAS_FILE: u32 = 16;
    /// The address it is given is in the kernel.
    pub const KERNEL_ADDRESS: u32 = 32;
    /// The kernel chooses where it puts what it receives.
    pub const BUFFERS: u32 = 64;
    /// It failed, and what fails is not wanted.
    pub const DROPPED: u32 = 128;
    /// The flags, as the programs call them.
    pub const FLAGS: [(&str, u32); 8] = [
        ("SKIPS", Self::SKIPS),
        ("MULTISHOT", Self::MULTISHOT),
        ("MORE", Self::MORE),
        ("DIRECT", Self::DIRECT),
        ("HAS_FILE", Self::HAS_FILE),
        ("KERNEL_ADDRESS", Self::KERNEL_ADDRESS),
        ("BUFFERS", Self::BUFFERS),
        ("DROPPED", Self::DROPPED),
    ];

    /// Takes it off the end of a record; `None` when the record is too short.
    pub fn split(bytes: &[u8]) -> Option<(&[u8], RequestTail)> {
        let (rest, tail) = bytes.split_last_chunk::<{ Self::LEN }>()?;
        let tail = RequestTail {
            request: u64_at(tail, 0)?,
            flags: u32_at(tail, 8)?,
            uid: u32_at(tail, 12)?,
            gid: u32_at(tail, 16)?,
        };
        Some((rest, tail))
    }

    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.request.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        out.extend(self.uid.to_le_bytes());
        out.extend(self.gid.to_le_bytes());
        out.extend(0u32.to_le_bytes());
    }
}

/// The parameters of one record, borrowed from the ring buffer.
#[derive(Debug, Clone, Copy)]
pub struct Wire<'a> {
    lengths: &'a [u8],
    data: &'a [u8],
}

/// One parameter's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireParam<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// True when the value was longer than what was kept.
    pub truncated: bool,
}

impl WireParam<'_> {
    /// Its value, of one that is a number.
    pub fn number(&self) -> Option<u64> {
        u64_at(self.bytes, 0)
    }

    /// Its length as a record has it.
    pub fn length(&self) -> u16 {
        let length = u16::try_from(self.bytes.len()).unwrap_or(0) & !TRUNCATED;
        match self.truncated {
            true => length | TRUNCATED,
            false => length,
        }
    }
}

impl<'a> Wire<'a> {
    /// A record without parameters.
    pub const EMPTY: Wire<'static> = Wire {
        lengths: &[],
        data: &[],
    };

    /// Checks and splits what follows the header. `None` when the bytes do not hold `count` lengths and what
    /// they promise.
    pub fn read(bytes: &'a [u8], count: usize) -> Option<Wire<'a>> {
        let (lengths, data) = bytes.split_at_checked(count * 2)?;
        let wire = Wire { lengths, data };
        (wire.offset(count) <= data.len()).then_some(wire)
    }

    fn length(&self, index: usize) -> u16 {
        u16_at(self.lengths, index * 2).unwrap_or(0)
    }

    fn offset(&self, index: usize) -> usize {
        let before = self.lengths.get(..index * 2).unwrap_or(self.lengths);
        let lengths = before
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u16::from_le_bytes(*bytes));
        lengths.map(|length| usize::from(length & !TRUNCATED)).sum()
    }

    /// Parameter `index`; `None` when the record has no value for it.
    pub fn param(&self, index: usize) -> Option<WireParam<'a>> {
        let length = self.length(index);
        let len = usize::from(length & !TRUNCATED);
        if len == 0 {
            return None;
        }
        let start = self.offset(index);
        Some(WireParam {
            bytes: self.data.get(start..start + len)?,
            truncated: length & TRUNCATED != 0,
        })
    }

    /// The first `N` parameters, each as [`Wire::param`] gives it: for who wants most of them.
    pub fn params<const N: usize>(&self) -> [Option<WireParam<'a>>; N] {
        let mut rest = self.data;
        std::array::from_fn(|index| {
            let length = self.length(index);
            let len = usize::from(length & !TRUNCATED);
            let (bytes, behind) = rest.split_at_checked(len).filter(|_| len > 0)?;
            rest = behind;
            Some(WireParam {
                bytes,
                truncated: length & TRUNCATED != 0,
            })
        })
    }

    /// Parameter `index` as a number.
    pub fn number(&self, index: usize) -> Option<u64> {
        self.param(index)?.number()
    }

    /// What the record has behind its parameters: see [`Wire::task`].
    fn behind(&self) -> &'a [u8] {
        let end = self.offset(self.lengths.len() / 2);
        self.data.get(end..).unwrap_or_default()
    }

    /// A value of the thread; `None` when no rule asked for it, or it could not be read.
    pub fn task(&self, value: TaskValue) -> Option<u64> {
        let block = self.behind();
        let mask = u32_at(block, 0)?;
        if mask & value.bit() == 0 {
            return None;
        }
        let before = (mask & (value.bit() - 1)).count_ones() as usize;
        u64_at(block, 4 + before * 8)
    }

    /// Every value of the thread the record has: its number, which is that of a [`TaskValue`], and it.
    pub fn task_values(&self) -> impl Iterator<Item = (usize, u64)> {
        let block = self.behind();
        let mask = u32_at(block, 0).unwrap_or(0);
        let numbers = (0..32usize).filter(move |number| mask & 1 << number != 0);
        numbers
            .enumerate()
            .map_while(move |(index, number)| Some((number, u64_at(block, 4 + index * 8)?)))
    }

    /// Appends one record's parameters in place of two's: where `later` has a value, it is that, but for parameter `kept`,
    /// which is this one's where this has one. The values of the thread are this one's.
    pub fn merge(&self, later: &Wire<'_>, kept: Option<usize>, out: &mut Vec<u8>) {
        let count = self.lengths.len() / 2;
        let of = |index| match Some(index) == kept {
            true => self.param(index).or_else(|| later.param(index)),
            false => later.param(index).or_else(|| self.param(index)),
        };
        for index in 0..count {
            out.extend(of(index).map_or(0, |param| param.length()).to_le_bytes());
        }
        for param in (0..count).filter_map(of) {
            out.extend_from_slice(param.bytes);
        }
        out.extend_from_slice(self.behind());
    }

    /// The values of the thread without the parameters.
    pub fn task_only(&self) -> Wire<'a> {
        Wire {
            lengths: &[],
            data: self.behind(),
        }
    }

    /// Whether a parameter was cut.
    pub fn is_truncated(&self) -> bool {
        let lengths = self
            .lengths
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u16::from_le_bytes(*bytes));
        lengths.fold(0, |all, length| all | length) & TRUNCATED != 0
    }
}

/// Builds the bytes after the header: tests, and sources that are not BPF.
#[derive(Debug, Default)]
pub struct WireBuilder {
    lengths: Vec<u8>,
    data: Vec<u8>,
    task: Vec<u8>,
}

impl WireBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most bytes a value can have.
    pub const MAX: usize = !TRUNCATED as usize;

    fn push(mut self, bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(Self::MAX)];
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX) & !TRUNCATED;
        self.lengths.extend(len.to_le_bytes());
        self.data.extend(&bytes[..usize::from(len)]);
        self
    }

    /// A parameter without a value.
    #[must_use]
    pub fn missing(self) -> Self {
        self.push(&[])
    }

    /// A number.
    #[must_use]
    pub fn number(self, value: i64) -> Self {
        self.push(&value.to_le_bytes())
    }

    /// The parameter before was longer than what is here of it.
    #[must_use]
    pub fn cut(mut self) -> Self {
        if let Some(high) = self.lengths.last_mut() {
            *high |= (TRUNCATED >> 8) as u8;
        }
        self
    }

    /// Text; the NUL is added.
    #[must_use]
    pub fn text(self, text: impl AsRef<[u8]>) -> Self {
        let mut bytes = text.as_ref().to_vec();
        bytes.push(0);
        self.push(&bytes)
    }

    /// A path as it was passed, and the absolute directory it starts from when it is relative.
    #[must_use]
    pub fn path(self, raw: &str, base: &str) -> Self {
        let mut bytes = raw.as_bytes().to_vec();
        bytes.push(0);
        if !raw.starts_with('/') {
            bytes.extend(components(base));
        }
        self.push(&bytes)
    }

    /// A path from kernel objects: an absolute path, sent as its names from the leaf up.
    #[must_use]
    pub fn kernel_path(self, path: &str) -> Self {
        let bytes = components(path);
        self.push(&bytes)
    }

    /// What a descriptor refers to: a file or directory by its path.
    #[must_use]
    pub fn file_object(self, mode: u16, path: &str) -> Self {
        let object = Object {
            mode,
            rest: &components(path),
            ..Object::default()
        };
        let mut bytes = Vec::new();
        object.write(&mut bytes);
        self.push(&bytes)
    }

    /// What a descriptor refers to: a socket.
    #[must_use]
    pub fn socket_object(self, tuple: &SocketTuple<'_>) -> Self {
        let (mut bytes, mut rest) = (Vec::new(), Vec::new());
        tuple.write(&mut rest);
        let object = Object {
            mode: S_IFSOCK | 0o777,
            flags: OBJECT_INTERNAL,
            inode: tuple.inode.into(),
            rest: &rest,
            ..Object::default()
        };
        object.write(&mut bytes);
        self.push(&bytes)
    }

    /// A socket tuple.
    #[must_use]
    pub fn tuple(self, tuple: &SocketTuple) -> Self {
        let mut bytes = Vec::new();
        tuple.write(&mut bytes);
        self.push(&bytes)
    }

    /// Values of the thread, in the order of [`TaskValue`].
    #[must_use]
    pub fn task(mut self, values: &[(TaskValue, u64)]) -> Self {
        push_task_values(&mut self.task, values);
        self
    }

    /// Raw bytes.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.push(bytes)
    }

    /// The bytes of a record of an event of this type: what was not given is missing.
    pub fn build_for(mut self, event: Event) -> Vec<u8> {
        while self.lengths.len() < 2 * event.row().params.len() {
            self = self.missing();
        }
        self.build()
    }

    /// The bytes: lengths, then values.
    pub fn build(self) -> Vec<u8> {
        let mut bytes = self.lengths;
        bytes.extend(self.data);
        bytes.extend(self.task);
        bytes
    }
}

/// Appends values of the thread, which are in the order of [`TaskValue`], as they stand behind the parameters of a record.
pub fn push_task_values(out: &mut Vec<u8>, values: &[(TaskValue, u64)]) {
    let mask = values.iter().fold(0, |mask, (value, _)| mask | value.bit());
    out.extend(mask.to_le_bytes());
    out.extend(values.iter().flat_map(|(_, value)| value.to_le_bytes()));
}

fn components(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in path.split('/').rev().filter(|n| !n.is_empty()) {
        bytes.extend(name.as_bytes());
        bytes.push(0);
    }
    if bytes.is_empty() {
        bytes.push(0); // the root itself: one empty name, so that the value is not missing
    }
    bytes
}

/// Both ends of a socket, as the record carries them.
///
/// ```text
/// 0  u16 family (AF_*)   2  u8 protocol (IPPROTO_*)   3  u8 type (SOCK_*)
/// 4  u16 local port      6  u16 remote port           8  local address (16 bytes)   24  remote address (16 bytes)
/// 40 u32 inode           44 u8 state (SOCKET_*)       48 path of an AF_UNIX peer, without NUL
/// ```
/// An IPv4 address fills the first four bytes of its sixteen. Ports are in host byte order. What stands for the address of
/// an AF_UNIX socket is where the kernel keeps it (eight bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketTuple<'a> {
    /// `AF_*`.
    pub family: u16,
    /// `IPPROTO_*`: 6 TCP, 17 UDP.
    pub protocol: u8,
    /// `SOCK_*`, or [`SOCK_UNTOLD`].
    pub kind: u8,
    /// The process's own end.
    pub local: Option<(IpAddr, u16)>,
    /// The other end.
    pub remote: Option<(IpAddr, u16)>,
    /// Inode number of the socket, which tells it from every other; 0 when the descriptor was none.
    pub inode: u32,
    /// The socket is connected, and `remote` is its peer.
    pub connected: bool,
    /// The socket came from one that listens, or listens itself.
    pub accepted: bool,
    /// The program chose the port of this datagram socket.
    pub bound: bool,
    /// Where the kernel keeps a socket of `AF_UNIX`, and its peer; 0 when there is none.
    pub kernel: (u64, u64),
    /// The path of an `AF_UNIX` peer; an abstract one begins with NUL.
    pub path: &'a [u8],
}

/// A socket of which nothing is known but the address a call was passed for it.
pub const SOCK_UNTOLD: u8 = 255;

/// `AF_UNIX`.
pub const AF_UNIX: u16 = 1;
/// `AF_INET`.
pub const AF_INET: u16 = 2;
/// `AF_NETLINK`.
pub const AF_NETLINK: u16 = 16;
/// `AF_INET6`.
pub const AF_INET6: u16 = 10;
/// Length of the fixed part of a tuple.
pub const TUPLE_LEN: usize = 48;
/// Bit of a socket's state: connected, and the tuple's remote end is its peer.
pub const SOCKET_CONNECTED: u8 = 1;
/// Bit of a socket's state: it was accepted from one that listens (or listens itself).
pub const SOCKET_ACCEPTED: u8 = 2;
/// Bit of a datagram socket's state: its program chose the port it is bound to, as servers do.
pub const SOCKET_BOUND: u8 = 4;

/// First byte of a parameter whose type differs: bytes follow.
pub const DYN_BYTES: u8 = 0;
/// A result follows: zero, or `-errno`; eight bytes.
pub const DYN_ERRNO: u8 = 1;
/// A number follows; eight bytes.
pub const DYN_NUMBER: u8 = 2;

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
const S_IFSOCK: u16 = 0o140000;

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

/// What calls other than exec change of a process, as the record carries it.
///
/// ```text
/// 0  u32 pid    4  u32 session   8  u32 group   12 u32 group in its own pid namespace   16 u32 terminal
/// 20 u32 effective uid   24 u32 effective gid   32 u64 inheritable, 40 permitted, 48 effective capabilities
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the members are those of `Process`
pub struct TaskState {
    pub pid: u32,
    pub sid: u32,
    pub pgid: u32,
    pub vpgid: u32,
    pub tty: u32,
    pub uid: u32,
    pub gid: u32,
    pub cap_inheritable: u64,
    pub cap_permitted: u64,
    pub cap_effective: u64,
}

/// Length of a [`TaskState`].
pub const TASK_STATE_LEN: usize = 56;

impl TaskState {
    /// Reads a state; `None` when the bytes are too few.
    pub fn read(bytes: &[u8]) -> Option<TaskState> {
        let bytes: &[u8; TASK_STATE_LEN] = bytes.first_chunk()?;
        Some(TaskState {
            pid: u32_at(bytes, 0)?,
            sid: u32_at(bytes, 4)?,
            pgid: u32_at(bytes, 8)?,
            vpgid: u32_at(bytes, 12)?,
            tty: u32_at(bytes, 16)?,
            uid: u32_at(bytes, 20)?,
            gid: u32_at(bytes, 24)?,
            cap_inheritable: u64_at(bytes, 32)?,
            cap_permitted: u64_at(bytes, 40)?,
            cap_effective: u64_at(bytes, 48)?,
        })
    }

    /// Appends the state's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let ids = [
            self.pid, self.sid, self.pgid, self.vpgid, self.tty, self.uid, self.gid, 0,
        ];
        let sets = [self.cap_inheritable, self.cap_permitted, self.cap_effective];
        out.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        out.extend(sets.iter().flat_map(|set| set.to_le_bytes()));
    }
}

impl<'a> SocketTuple<'a> {
    /// Reads a tuple; `None` when the bytes are too few.
    pub fn read(bytes: &'a [u8]) -> Option<SocketTuple<'a>> {
        let (fixed, path) = bytes.split_at_checked(TUPLE_LEN)?;
        let family = u16_at(fixed, 0)?;
        // Callers pass a whole sockaddr_un as often as not: the path ends at its NUL, an abstract name at its second.
        let first = usize::from(path.first() == Some(&0));
        let nul = path.iter().skip(first).position(|&b| b == 0);
        let path = nul.and_then(|at| path.get(..first + at)).unwrap_or(path);
        // Nothing but zeroes is an end that was never set, not an address.
        let known = |end: Option<(IpAddr, u16)>| end.filter(|(ip, port)| *port != 0 || !ip.is_unspecified());
        let address = |at: usize| -> Option<IpAddr> {
            match family {
                AF_INET => Some(IpAddr::from(*fixed[at..].first_chunk::<4>()?)),
                AF_INET6 => Some(IpAddr::from(*fixed[at..].first_chunk::<16>()?)),
                _ => None,
            }
        };
        Some(SocketTuple {
            family,
            protocol: fixed[2],
            kind: fixed[3],
            local: known(address(8).zip(u16_at(fixed, 4))),
            remote: known(address(24).zip(u16_at(fixed, 6))),
            inode: u32_at(fixed, 40)?,
            connected: fixed[44] & SOCKET_CONNECTED != 0,
            accepted: fixed[44] & SOCKET_ACCEPTED != 0,
            bound: fixed[44] & SOCKET_BOUND != 0,
            kernel: match family {
                AF_UNIX => (u64_at(fixed, 8)?, u64_at(fixed, 24)?),
                _ => (0, 0),
            },
            path,
        })
    }

    /// True when there is a socket: the descriptor of a call may be none, and only the address it was given known.
    pub fn has_socket(&self) -> bool {
        self.kind != 0 || self.inode != 0
    }

    /// True for the end that a server owns.
    pub fn is_server(&self) -> bool {
        self.accepted || self.bound
    }

    /// Appends the tuple's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let octets = |end: Option<(IpAddr, u16)>, kernel: u64| -> [u8; 16] {
            let mut bytes = [0; 16];
            match end {
                Some((IpAddr::V4(ip), _)) => bytes[..4].copy_from_slice(&ip.octets()),
                Some((IpAddr::V6(ip), _)) => bytes = ip.octets(),
                None => bytes[..8].copy_from_slice(&kernel.to_le_bytes()),
            }
            bytes
        };
        out.extend(self.family.to_le_bytes());
        out.push(self.protocol);
        out.push(self.kind);
        out.extend(self.local.map_or(0, |(_, port)| port).to_le_bytes());
        out.extend(self.remote.map_or(0, |(_, port)| port).to_le_bytes());
        out.extend(octets(self.local, self.kernel.0));
        out.extend(octets(self.remote, self.kernel.1));
        out.extend(self.inode.to_le_bytes());
        let state = [
            (self.connected, SOCKET_CONNECTED),
            (self.accepted, SOCKET_ACCEPTED),
            (self.bound, SOCKET_BOUND),
        ];
        let state = state
            .iter()
            .filter(|(is, _)| *is)
            .fold(0, |bits, (_, bit)| bits | bit);
        out.extend([state, 0, 0, 0]);
        out.extend(self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_reads_what_it_writes() {
        let header = Header {
            event: 3,
            stream: 1,
            flags: FLAG_COMPAT,
            cpu: 7,
            image: 0xabcd,
            sequence: 9,
            time: 11,
            tid: 13,
            pid: 12,
            cgroup: 1 << 40,
            uid: 1000,
            gid: 100,
        };
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(Header::read(&bytes), Some(header));
        assert_eq!(Header::read(&bytes[..47]), None);
    }

    #[test]
    fn parameters_are_found_by_index_and_lies_about_lengths_are_refused() {
        let bytes = WireBuilder::new().number(-2).missing().text("x").build();
        let wire = Wire::read(&bytes, 3).unwrap();
        assert_eq!(wire.number(0), Some(-2i64 as u64));
        assert_eq!(wire.param(1), None);
        assert_eq!(wire.param(2).unwrap().bytes, b"x\0");
        assert_eq!(wire.params::<4>(), [0, 1, 2, 3].map(|index| wire.param(index)));
        assert_eq!(wire.params::<2>(), [0, 1].map(|index| wire.param(index)));
        assert!(Wire::read(&bytes[..bytes.len() - 1], 3).is_none());
        assert!(Wire::read(&[], 3).is_none());
    }

    #[test]
    fn values_of_the_thread_are_found_behind_the_parameters() {
        let bytes = WireBuilder::new()
            .number(-2)
            .text("x")
            .task(&[(TaskValue::Vtid, 7), (TaskValue::CapEffective, u64::MAX)])
            .build();
        let wire = Wire::read(&bytes, 2).unwrap();
        assert_eq!(wire.param(1).unwrap().bytes, b"x\0");
        for wire in [wire, wire.task_only()] {
            assert_eq!(wire.task(TaskValue::Vtid), Some(7));
            assert_eq!(wire.task(TaskValue::CapEffective), Some(u64::MAX));
            assert_eq!(wire.task(TaskValue::VmSize), None);
        }
        assert_eq!(wire.task_only().param(0), None);
        let cut = Wire::read(&bytes[..bytes.len() - 1], 2).unwrap();
        assert_eq!(cut.task(TaskValue::CapEffective), None);
        let none = WireBuilder::new().number(1).build();
        assert_eq!(Wire::read(&none, 1).unwrap().task(TaskValue::Vtid), None);
        assert_eq!(Wire::EMPTY.task(TaskValue::Vtid), None);
    }

    #[test]
    fn tuples_read_what_they_write() {
        let tuple = SocketTuple {
            family: AF_INET,
            protocol: 6,
            kind: 1,
            local: Some(("10.0.0.1".parse().unwrap(), 40000)),
            remote: Some(("1.1.1.1".parse().unwrap(), 443)),
            inode: 4711,
            connected: true,
            accepted: false,
            bound: true,
            kernel: (0, 0),
            path: b"",
        };
        let mut bytes = Vec::new();
        tuple.write(&mut bytes);
        assert_eq!(bytes.len(), TUPLE_LEN);
        assert_eq!(SocketTuple::read(&bytes), Some(tuple));
        let local = SocketTuple {
            family: AF_UNIX,
            kernel: (0xffff_8880_0000_0040, 0xffff_8880_0000_0080),
            path: b"/run/x",
            ..SocketTuple::default()
        };
        let mut written = Vec::new();
        local.write(&mut written);
        assert_eq!(SocketTuple::read(&written), Some(local));
        assert_eq!(SocketTuple::read(&bytes[..TUPLE_LEN - 1]), None);
    }

    #[test]
    fn task_states_read_what_they_write() {
        let state = TaskState {
            pid: 1,
            sid: 2,
            pgid: 3,
            vpgid: 4,
            tty: 5,
            uid: 6,
            gid: 7,
            cap_inheritable: 1 << 40,
            cap_permitted: 1 << 39,
            cap_effective: 1 << 38,
        };
        let mut bytes = Vec::new();
        state.write(&mut bytes);
        assert_eq!(bytes.len(), TASK_STATE_LEN);
        assert_eq!(TaskState::read(&bytes), Some(state));
        assert_eq!(TaskState::read(&bytes[..TASK_STATE_LEN - 1]), None);
    }

    /// Callers may pass a whole `sockaddr_un`, zeroes behind the path included.
    #[test]
    fn a_socket_path_ends_at_its_first_nul() {
        let read = |path: &[u8]| {
            let mut bytes = vec![0; TUPLE_LEN];
            bytes[0] = 1; // AF_UNIX
            bytes.extend_from_slice(path);
            SocketTuple::read(&bytes).map(|t| t.path.to_vec())
        };
        assert_eq!(
            read(b"/run/docker.sock\0\0\0").as_deref(),
            Some(&b"/run/docker.sock"[..])
        );
        assert_eq!(
            read(b"/run/docker.sock\0stale").as_deref(),
            Some(&b"/run/docker.sock"[..])
        );
        assert_eq!(
            read(b"/run/docker.sock").as_deref(),
            Some(&b"/run/docker.sock"[..])
        );
        assert_eq!(read(b"\0abstract\0\0").as_deref(), Some(&b"\0abstract"[..]));
        assert_eq!(read(b"\0").as_deref(), Some(&b"\0"[..]));
        assert_eq!(read(b"").as_deref(), Some(&b""[..]));
    }
}
