//! What a waiting call was given: its registers, and what they point to in its caller's memory and descriptors.
//!
//! The caller waits meanwhile, but other threads of its process do not: memory can be another when the call reads it.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd as _, OwnedFd};

use lanner_schema::event::{Extractor, Origin, Param, ParamType};
use lanner_schema::record::{AF_INET, AF_INET6, AF_UNIX, SocketTuple};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::draft::Draft;

/// The most that is read of a text, as in the BPF programs.
const STRING_MAX: usize = 4096;
/// No read goes over the end of a page with its first part: what is behind may not be there.
const PAGE: u64 = 4096;
/// The most of a path that /proc gives for a link.
const AT_FDCWD: i32 = -100;
/// The most of a `struct sockaddr` that is looked at: `sockaddr_un` is the longest of those that are understood.
const ADDRESS_MAX: usize = 110;
const SOCK_TYPE_MASK: u64 = 0xf;
const SOCK_PACKET: u64 = 10;
const AF_PACKET: i64 = 17;
const DESCRIPTOR_FLAGS: u64 = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
/// A magic number of old in `mount`'s flags, which the kernel ignores.
const MOUNT_MAGIC: u64 = 0xc0ed_0000;
const MOUNT_MAGIC_MASK: u64 = 0xffff_0000;
/// The first of i386's calls with 64-bit places in files.
const I386_PREAD64: i32 = 180;

/// A call that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// Its thread and process.
    pub(super) tid: u32,
    pub(super) pid: u32,
    /// Its number as its caller has it.
    pub(super) number: i32,
    /// Its caller is a 32-bit one.
    pub(super) compat: bool,
    /// Ids are 16 bits wide.
    pub(super) short_ids: bool,
    pub(super) args: [u64; 6],
    /// The most bytes of data that an event carries.
    pub(super) snaplen: usize,
}

/// Reads memory of a thread; fewer bytes than asked for where less is there.
pub(super) fn memory(tid: u32, address: u64, buffer: &mut [u8]) -> usize {
    let mut done = 0;
    while done < buffer.len() && address != 0 {
        let at = address.wrapping_add(done as u64);
        let left = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
        let end = buffer.len().min(done + left);
        let Ok(base) = usize::try_from(at) else { break };
        let remote = [RemoteIoVec {
            base,
            len: end - done,
        }];
        let pid = Pid::from_raw(tid.cast_signed());
        match process_vm_readv(pid, &mut [IoSliceMut::new(&mut buffer[done..end])], &remote) {
            Ok(read) if read > 0 => done += read,
            _ => break,
        }
    }
    done
}

impl Call {
    fn arg(&self, index: u8) -> u64 {
        let value = self.args.get(usize::from(index)).copied().unwrap_or(0);
        // Registers of 32-bit callers are that wide.
        if self.compat { value & 0xffff_ffff } else { value }
    }

    /// Reads so many bytes of its memory; fewer where less is there.
    fn memory(&self, address: u64, buffer: &mut [u8]) -> usize {
        memory(self.tid, address, buffer)
    }

    /// The text at an address, without its NUL, and whether it was cut; `None` when none of it can be read.
    fn text(&self, address: u64) -> Option<(Vec<u8>, bool)> {
        let mut text = Vec::new();
        while text.len() < STRING_MAX {
            let at = address.checked_add(text.len() as u64)?;
            // Mostly it is short, and never does a part go over the end of a page.
            let part = usize::try_from(PAGE - at % PAGE).unwrap_or(1).min(256);
            let start = text.len();
            text.resize(start + part, 0);
            let read = self.memory(at, &mut text[start..]);
            text.truncate(start + read);
            if let Some(end) = text[start..].iter().position(|byte| *byte == 0) {
                text.truncate(start + end);
                return Some((text, false));
            }
            if read < part {
                return (!text.is_empty()).then_some((text, true));
            }
        }
        text.truncate(STRING_MAX - 1);
        Some((text, true))
    }

    fn number<const N: usize>(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        (self.memory(address, &mut bytes[..N]) == N).then(|| u64::from_le_bytes(bytes))
    }

    /// A path as it was passed, its NUL, and where it starts from when it is relative: names from the leaf up.
    fn path(&self, path: u8, dirfd: Option<u8>) -> Option<(Vec<u8>, bool)> {
        let (mut bytes, cut) = self.text(self.arg(path))?;
        let is_relative = bytes.first() != Some(&b'/');
        bytes.push(0);
        if is_relative {
            // Descriptors are ints.
            let directory = dirfd.map_or(AT_FDCWD, |dirfd| self.arg(dirfd) as i32);
            if let Some(base) = self.directory(directory) {
                let start = bytes.len();
                for name in base.rsplit(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
                    bytes.extend(name);
                    bytes.push(0);
                }
                if bytes.len() == start {
                    bytes.push(0);
                }
            }
        }
        Some((bytes, cut))
    }

    /// The directory behind a descriptor as its process sees it.
    fn directory(&self, descriptor: i32) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt as _;
        let link = |name: &str| {
            let path = std::fs::read_link(format!("/proc/{}/{name}", self.tid)).ok()?;
            Some(path.into_os_string().into_vec())
        };
        let path = match descriptor {
            AT_FDCWD => link("cwd")?,
            descriptor => link(&format!("fd/{descriptor}"))?,
        };
        let root = link("root")?;
        let root = root.strip_suffix(b"/").unwrap_or(&root);
        let below = path
            .strip_prefix(root)
            .filter(|below| below.is_empty() || below.first() == Some(&b'/'));
        let path = below.unwrap_or(&path);
        (path.is_empty() || path.first() == Some(&b'/')).then(|| path.to_vec())
    }

    /// The address that two arguments are, as the kernel would read it.
    fn address(&self, pointer: u8, length: u8) -> Option<Address> {
        let mut bytes = [0; ADDRESS_MAX];
        let length = (self.arg(length) as u32 as usize).min(ADDRESS_MAX);
        let pointer = self.arg(pointer);
        (pointer != 0 && self.memory(pointer, &mut bytes[..length]) == length)
            .then(|| Address::read(&bytes[..length]))
            .flatten()
    }

    /// A descriptor of the caller's as our own; its socket.
    fn socket(&self, descriptor: u64) -> Option<OwnedFd> {
        // SAFETY: plain numbers; each result is a new descriptor of ours or negative.
        let take = |number: libc::c_long| {
            let number = i32::try_from(number).ok().filter(|number| *number >= 0)?;
            // SAFETY: the kernel has just made it for us.
            Some(unsafe { OwnedFd::from_raw_fd(number) })
        };
        // SAFETY: as above.
        let process = take(unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) })?;
        // SAFETY: as above.
        take(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor as i32, 0) })
    }

    /// Both ends of the socket of argument 0; `to` is where it is to send.
    fn tuple(&self, to: Option<&Address>) -> Option<Vec<u8>> {
        let socket = self.socket(self.arg(0)).and_then(|socket| Socket::of(&socket));
        let family = to.map(|to| to.family).or(socket.map(|socket| socket.family))?;
        let socket = socket.unwrap_or_default();
        let tuple = SocketTuple {
            family,
            protocol: socket.protocol,
            kind: socket.kind,
            local: socket.local,
            remote: to.and_then(|to| to.end).or(socket.remote),
            inode: socket.inode,
            connected: socket.remote.is_some(),
            path: to.map_or(&[], |to| &to.path),
            ..SocketTuple::default()
        };
        let mut bytes = Vec::new();
        tuple.write(&mut bytes);
        Some(bytes)
    }

    /// Gives the draft a parameter's value, where it can be had before the call is done.
    pub(super) fn give(&self, draft: Draft, index: usize, param: &Param) -> Draft {
        match self.value(param) {
            Some(Value::Number(number)) => draft.number(index, number.cast_signed()),
            Some(Value::Bytes(bytes, cut)) => draft.bytes(index, &bytes, cut),
            Some(Value::Text(text, cut)) => {
                let mut text = text;
                text.push(0);
                draft.bytes(index, &text, cut)
            }
            None => draft,
        }
    }

    fn value(&self, param: &Param) -> Option<Value> {
        use Value::{Bytes, Number, Text};
        let text = |(text, cut)| Text(text, cut);
        Some(match param.from {
            Origin::Number => Number(u64::from(self.number.cast_unsigned())),
            Origin::Arg(arg) => Number(self.typed(self.arg(arg), param.ty)),
            Origin::Int(arg) => Number(signed(self.arg(arg))),
            Origin::Id(arg) => Number(self.id(self.arg(arg))),
            Origin::Position { arg, compat } => Number(self.position(arg, compat)),
            Origin::UserString(arg) => text(self.text(self.arg(arg))?),
            Origin::UserPath { path, dirfd } => {
                let (bytes, cut) = self.path(path, dirfd)?;
                Bytes(bytes, cut)
            }
            Origin::UserBytes { arg, length } => self.data(arg, length)?,
            Origin::UserU32 { arg, offset } => {
                Number(self.number::<4>(self.arg(arg).checked_add(offset.into())?)?)
            }
            Origin::UserU64 { arg, offset } => {
                Number(self.number::<8>(self.arg(arg).checked_add(offset.into())?)?)
            }
            Origin::Extractor(extractor) => match extractor {
                Extractor::SockAddr => Bytes(self.address(1, 2)?.bytes(), false),
                Extractor::SockTuple => Bytes(self.tuple(self.address(1, 2).as_ref())?, false),
                Extractor::SendToTuple => Bytes(self.tuple(self.address(4, 5).as_ref())?, false),
                Extractor::ArgTuple => Bytes(self.tuple(None)?, false),
                Extractor::SentData => self.data(1, 2)?,
                Extractor::MountFlags => {
                    let flags = self.arg(3) & 0xffff_ffff;
                    let is_old = flags & MOUNT_MAGIC_MASK == MOUNT_MAGIC;
                    Number(if is_old { flags & !MOUNT_MAGIC_MASK } else { flags })
                }
                Extractor::PtraceAddr => Number(self.arg(2)),
                Extractor::PtraceData => Number(self.arg(3)),
                Extractor::ModuleImage => self.data(0, 1)?,
                Extractor::SocketFamily => {
                    Number(match (self.arg(0) & 0xffff_ffff, self.arg(1) & SOCK_TYPE_MASK) {
                        (family, SOCK_PACKET) if family == u64::from(AF_INET) => AF_PACKET.cast_unsigned(),
                        (family, _) => family,
                    })
                }
                Extractor::SocketFlags => Number(self.arg(1) & DESCRIPTOR_FLAGS),
                Extractor::LlseekOffset => Number(self.arg(1) << 32 | self.arg(2) & 0xffff_ffff),
                Extractor::PrctlName if self.arg(0) == libc::PR_SET_NAME as u64 => {
                    text(self.text(self.arg(1))?)
                }
                Extractor::PrctlNumber if self.arg(0) != libc::PR_SET_NAME as u64 => Number(self.arg(1)),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn data(&self, arg: u8, length: u8) -> Option<Value> {
        let whole = usize::try_from(self.arg(length)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; whole.min(self.snaplen)];
        let read = self.memory(self.arg(arg), &mut bytes);
        bytes.truncate(read);
        (read > 0).then_some(Value::Bytes(bytes, false))
    }

    /// An argument as wide as its type.
    fn typed(&self, value: u64, ty: ParamType) -> u64 {
        match ty {
            ParamType::Errno | ParamType::Fd | ParamType::Pid | ParamType::I32 => signed(value),
            ParamType::U64 | ParamType::I64 | ParamType::AbsTime => value,
            ParamType::Uid | ParamType::Gid => self.id(value),
            _ => value & 0xffff_ffff,
        }
    }

    fn id(&self, value: u64) -> u64 {
        match (self.short_ids, value & 0xffff) {
            (true, 0xffff) => 0xffff_ffff,
            (true, short) => short,
            (false, _) => value & 0xffff_ffff,
        }
    }

    fn position(&self, arg: u8, compat: u8) -> u64 {
        match self.compat {
            false => self.arg(arg),
            true if self.number < I386_PREAD64 => signed(self.arg(compat)),
            true => self.arg(compat) | self.arg(compat + 1) << 32,
        }
    }
}

/// A C `int`.
fn signed(value: u64) -> u64 {
    i64::from(value as i32).cast_unsigned()
}

/// A value of a record.
enum Value {
    Number(u64),
    Bytes(Vec<u8>, bool),
    Text(Vec<u8>, bool),
}

/// A `struct sockaddr`.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    family: u16,
    end: Option<(IpAddr, u16)>,
    /// Of `AF_UNIX`.
    path: Vec<u8>,
}

impl Address {
    fn read(bytes: &[u8]) -> Option<Address> {
        let family = u16::from_le_bytes(*bytes.first_chunk()?);
        let port = || Some(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?));
        let end = match family {
            AF_INET => {
                let ip = *bytes.get(4..)?.first_chunk::<4>()?;
                Some((IpAddr::V4(Ipv4Addr::from(ip)), port()?))
            }
            AF_INET6 => {
                let ip = *bytes.get(8..)?.first_chunk::<16>()?;
                Some((IpAddr::V6(Ipv6Addr::from(ip)), port()?))
            }
            _ => None,
        };
        let path = match family {
            AF_UNIX => bytes.get(2..).unwrap_or_default().to_vec(),
            _ => Vec::new(),
        };
        Some(Address { family, end, path })
    }

    fn bytes(&self) -> Vec<u8> {
        let tuple = SocketTuple {
            family: self.family,
            remote: self.end,
            path: &self.path,
            ..SocketTuple::default()
        };
        let mut bytes = Vec::new();
        tuple.write(&mut bytes);
        bytes
    }
}

/// What a socket says of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Socket {
    family: u16,
    protocol: u8,
    kind: u8,
    local: Option<(IpAddr, u16)>,
    remote: Option<(IpAddr, u16)>,
    inode: u32,
}

impl Socket {
    /// `None` for what is none.
    fn of(descriptor: &OwnedFd) -> Option<Socket> {
        use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};
        let option = |name: libc::c_int| -> Option<i32> {
            let mut value: libc::c_int = 0;
            let mut length = size_of::<libc::c_int>() as libc::socklen_t;
            // SAFETY: both pointers are to variables of ours that live through the call.
            let result = unsafe {
                libc::getsockopt(
                    descriptor.as_raw_fd(),
                    libc::SOL_SOCKET,
                    name,
                    (&raw mut value).cast(),
                    &raw mut length,
                )
            };
            (result == 0).then_some(value)
        };
        let end = |address: nix::Result<SockaddrStorage>| {
            let address = address.ok()?;
            if let Some(v4) = address.as_sockaddr_in() {
                return Some((IpAddr::V4(v4.ip()), v4.port()));
            }
            let v6 = address.as_sockaddr_in6()?;
            Some((IpAddr::V6(v6.ip()), v6.port()))
        };
        let facts = nix::sys::stat::fstat(descriptor.as_fd()).ok()?;
        Some(Socket {
            family: option(libc::SO_DOMAIN)?.try_into().ok()?,
            // Both are below 256, but for protocols that no rule names.
            protocol: option(libc::SO_PROTOCOL)?.try_into().unwrap_or(0),
            kind: option(libc::SO_TYPE)?.try_into().unwrap_or(0),
            local: end(getsockname(descriptor.as_raw_fd())),
            remote: end(getpeername(descriptor.as_raw_fd())),
            inode: facts.st_ino as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: [u64; 6]) -> Call {
        let pid = std::process::id();
        Call {
            tid: pid,
            pid,
            number: 1,
            compat: false,
            short_ids: false,
            args,
            snaplen: 80,
        }
    }

    #[test]
    fn text_ends_where_its_memory_does() {
        use std::num::NonZeroUsize;
        let length = NonZeroUsize::new(8192).unwrap();
        let protection = nix::sys::mman::ProtFlags::PROT_READ | nix::sys::mman::ProtFlags::PROT_WRITE;
        // SAFETY: new pages of our own; what is written stays within the first.
        let page = unsafe {
            let page = nix::sys::mman::mmap_anonymous(
                None,
                length,
                protection,
                nix::sys::mman::MapFlags::MAP_PRIVATE,
            )
            .unwrap();
            nix::sys::mman::munmap(page.byte_add(4096), 4096).unwrap();
            page.cast::<u8>().write_bytes(b'a', 4096);
            page
        };
        let at = page.as_ptr() as u64;
        let call = call([0; 6]);
        assert_eq!(call.text(at + 4000), Some((vec![b'a'; 96], true)));
        // SAFETY: the last byte of the page.
        unsafe { page.cast::<u8>().add(4095).write(0) };
        assert_eq!(call.text(at + 4000), Some((vec![b'a'; 95], false)));
        assert_eq!(call.text(at), Some((vec![b'a'; 4095], false)));
        assert_eq!(call.text(at + 4096), None);
        assert_eq!((call.text(0), call.text(u64::MAX)), (None, None));
    }

    #[test]
    fn a_relative_path_has_its_directory() {
        let path = c"some/file";
        let of = call([path.as_ptr() as u64, 0, 0, 0, 0, 0]);
        let (bytes, cut) = of.path(0, None).unwrap();
        let directory = std::env::current_dir().unwrap();
        let leaf = directory.file_name().unwrap().to_str().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with(&format!("some/file\0{leaf}\0")) && !cut,
            "{text:?}"
        );
        let absolute = c"/etc/passwd";
        let of = call([absolute.as_ptr() as u64, 0, 0, 0, 0, 0]);
        assert_eq!(of.path(0, None), Some((b"/etc/passwd\0".to_vec(), false)));
    }

    #[test]
    fn a_socket_is_asked_what_it_is() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut address = [0u8; 16];
        address[..8].copy_from_slice(&[2, 0, 0x1f, 0x90, 10, 1, 2, 3]);
        let of = call([
            u64::try_from(listener.as_raw_fd()).unwrap(),
            address.as_ptr() as u64,
            16,
            0,
            0,
            0,
        ]);
        let bytes = of.tuple(of.address(1, 2).as_ref()).unwrap();
        let tuple = SocketTuple::read(&bytes).unwrap();
        assert_eq!((tuple.family, tuple.protocol, tuple.kind), (AF_INET, 6, 1));
        assert_eq!(tuple.local.unwrap().1, listener.local_addr().unwrap().port());
        assert_eq!(tuple.remote, Some(("10.1.2.3".parse().unwrap(), 8080)));
        assert!(tuple.inode != 0);
        // No descriptor at all: the address is known still.
        let of = call([u64::MAX, address.as_ptr() as u64, 16, 0, 0, 0]);
        let bytes = of.tuple(of.address(1, 2).as_ref()).unwrap();
        assert_eq!(SocketTuple::read(&bytes).unwrap().remote, tuple.remote);
        assert!(of.address(0, 2).is_none());
    }

    /// Of each parameter of each call that it tells of: what coverage says and what a call gives are the same.
    #[test]
    fn what_coverage_says_of_a_call_is_what_is_read_of_it() {
        use lanner_schema::event::EVENTS;
        use lanner_schema::tier::{Quality, Source, Tier};
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // An address, numbers, and text that ends.
        let mut memory = [0u8; 4096];
        memory[..8].copy_from_slice(&[2, 0, 0x1f, 0x90, 10, 1, 2, 3]);
        let pointer = memory.as_ptr() as u64;
        let of = [
            pointer,
            u64::try_from(socket.as_raw_fd()).unwrap(),
            libc::PR_SET_NAME as u64,
        ];
        let calls = of.map(|first| call([first, pointer, pointer, pointer, pointer, pointer]));
        let mut wrong = Vec::new();
        for row in EVENTS.iter().filter(|row| Source::Seccomp.sees(row.event)) {
            for (index, param) in row.params.iter().enumerate() {
                // The process has them, or nobody but the call's end.
                if param.state.is_some() || matches!(param.from, Origin::Return | Origin::Constant(_)) {
                    continue;
                }
                let claimed = !matches!(Tier::None.param(row.event, index), Quality::Missing(_));
                let given = calls.iter().any(|call| call.value(param).is_some());
                if claimed != given {
                    wrong.push(format!(
                        "{}.{}: claimed {claimed}, given {given}",
                        row.name, param.name
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn numbers_are_as_wide_as_their_types() {
        let minus_one = call([0xffff_ffff, 0xdead_beef_ffff_ffff, 0, 0, 0, 0]);
        assert_eq!(minus_one.typed(minus_one.arg(0), ParamType::Fd), u64::MAX);
        assert_eq!(minus_one.typed(minus_one.arg(1), ParamType::U32), 0xffff_ffff);
        let compat = Call {
            compat: true,
            short_ids: true,
            ..minus_one
        };
        assert_eq!(compat.arg(1), 0xffff_ffff);
        assert_eq!((compat.id(0xffff), compat.id(7)), (0xffff_ffff, 7));
    }
}
