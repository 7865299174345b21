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

mod builder;
mod object;
mod socket;

use crate::event::Event;
use crate::task::TaskValue;

pub use builder::{WireBuilder, push_task_values};
pub use object::{Layer, OBJECT_INTERNAL, OBJECT_LEN, OBJECT_LOWER, OBJECT_UPPER, Object};
pub use socket::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SOCK_UNTOLD, SOCKET_ACCEPTED, SOCKET_BOUND, SOCKET_CONNECTED,
    SocketTuple, TUPLE_LEN,
};

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

/// First byte of a parameter whose type differs: bytes follow.
pub const DYN_BYTES: u8 = 0;
/// A result follows: zero, or `-errno`; eight bytes.
pub const DYN_ERRNO: u8 = 1;
/// A number follows; eight bytes.
pub const DYN_NUMBER: u8 = 2;

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
}
