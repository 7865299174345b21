//! The descriptor an event is about, from the event's own parameters.

use std::net::IpAddr;

use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::{Event, FdUse, param_index};
use lanner_schema::record::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, Object, SocketTuple, Wire};

const O_DIRECTORY: u64 = 0o200000;
const S_IFMT: u16 = 0o170000;
const S_IFDIR: u16 = 0o040000;
const S_IFIFO: u16 = 0o010000;
const S_IFSOCK: u16 = 0o140000;
const EINPROGRESS: i64 = 115;

/// The descriptor an event is about.
pub(crate) fn descriptor<'a>(
    event: Event,
    wire: &Wire<'a>,
    path_of: impl Fn(u8) -> Option<&'a [u8]>,
) -> Option<Descriptor<'a>> {
    let number = |index: u8| wire.number(usize::from(index)).map(u64::cast_signed);
    match event.row().fd {
        FdUse::None => None,
        FdUse::Opens { path, flags } => {
            let directory = wire
                .number(usize::from(flags))
                .is_some_and(|f| f & O_DIRECTORY != 0);
            let raw = wire.param(usize::from(path)).map(|p| text(p.bytes));
            let opened = number(0)?;
            Some(Descriptor {
                // Rules ask for -1, whatever the error was.
                number: opened.max(-1),
                kind: file_or(directory),
                path: path_of(path).or(raw),
                raw_path: raw,
                name_changed: opened >= 0,
                ..Descriptor::default()
            })
        }
        FdUse::Socket { fd, tuple } => {
            let tuple = tuple_of(wire, tuple);
            let result = number(0);
            let succeeded = result.is_some_and(|result| result >= 0);
            let named = match event {
                // It goes on by itself, to where it was asked to.
                Event::Connect => succeeded || result == Some(-EINPROGRESS),
                Event::Bind | Event::Accept | Event::Accept4 => succeeded,
                _ => false,
            };
            Some(Descriptor {
                // A failed call gave none; rules ask for -1, whatever the error was.
                number: if fd == 0 { result?.max(-1) } else { number(fd)? },
                kind: socket_kind(tuple.as_ref()),
                tuple,
                is_server: match event {
                    Event::Connect => tuple.is_some_and(|t| t.bound),
                    Event::Accept | Event::Accept4 => succeeded,
                    // A port of its own choice is one to be found at.
                    Event::Bind => succeeded && bound_to_port(wire),
                    _ => tuple.is_some_and(|t| t.is_server()),
                },
                connected: tuple.is_some_and(|t| t.connected),
                name_changed: named,
                ..Descriptor::default()
            })
        }
        FdUse::File { fd, path, directory } => Some(Descriptor {
            number: number(fd)?,
            kind: file_or(directory),
            path: path_of(path),
            ..Descriptor::default()
        }),
        FdUse::Copies {
            old,
            object,
            path,
            tuple,
        } => {
            let copy = number(0).filter(|result| *result >= 0);
            let number = copy.or_else(|| number(old))?;
            let object = wire
                .param(usize::from(object))
                .and_then(|p| Object::read(p.bytes));
            let tuple = tuple_of(wire, tuple);
            let path = path_of(path);
            let kind = object.map_or(DescriptorKind::Other, |object| match object.mode & S_IFMT {
                S_IFSOCK => socket_kind(tuple.as_ref()),
                _ => object_kind(&object),
            });
            Some(Descriptor {
                number,
                kind,
                // A memfd has a name, if no path.
                path: path.or_else(|| (kind == DescriptorKind::Memfd).then_some(object?.name)),
                tuple,
                is_server: tuple.is_some_and(|t| t.is_server()),
                connected: tuple.is_some_and(|t| t.connected),
                ..Descriptor::default()
            })
        }
    }
}

/// True when the address a `bind` was given names a port.
fn bound_to_port(wire: &Wire<'_>) -> bool {
    const ADDR: usize = param_index(Event::Bind, "addr");
    let address = wire.param(ADDR).and_then(|p| SocketTuple::read(p.bytes));
    address.and_then(|a| a.remote).is_some_and(|(_, port)| port != 0)
}

fn file_or(directory: bool) -> DescriptorKind {
    if directory {
        DescriptorKind::Directory
    } else {
        DescriptorKind::File
    }
}

fn tuple_of<'a>(wire: &Wire<'a>, index: u8) -> Option<SocketTuple<'a>> {
    wire.param(usize::from(index))
        .and_then(|p| SocketTuple::read(p.bytes))
        .map(unmapped)
}

fn socket_kind(tuple: Option<&SocketTuple<'_>>) -> DescriptorKind {
    match tuple.map(|t| t.family) {
        Some(AF_INET) => DescriptorKind::Ipv4,
        Some(AF_INET6) => DescriptorKind::Ipv6,
        Some(AF_UNIX) => DescriptorKind::Unix,
        Some(AF_NETLINK) => DescriptorKind::Netlink,
        _ => DescriptorKind::Other,
    }
}

/// What an object that is no socket is called. Those without a path go by the name the kernel gave them.
fn object_kind(object: &Object<'_>) -> DescriptorKind {
    if !object.internal {
        return file_or(object.mode & S_IFMT == S_IFDIR);
    }
    if object.mode & S_IFMT == S_IFIFO {
        return DescriptorKind::Pipe;
    }
    match object.name {
        name if name.starts_with(b"memfd:") => DescriptorKind::Memfd,
        b"[eventfd]" => DescriptorKind::Event,
        b"[signalfd]" => DescriptorKind::Signal,
        b"[eventpoll]" => DescriptorKind::EventPoll,
        b"inotify" => DescriptorKind::Inotify,
        b"[timerfd]" => DescriptorKind::Timer,
        b"[userfaultfd]" => DescriptorKind::UserFault,
        b"[io_uring]" => DescriptorKind::IoUring,
        b"[pidfd]" => DescriptorKind::Pidfd,
        name if name.starts_with(b"bpf-") => DescriptorKind::Bpf,
        _ => DescriptorKind::Other,
    }
}

fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

/// An IPv6 socket that talks IPv4 (`::ffff:a.b.c.d`) is an IPv4 socket to rules, as in Falco.
fn unmapped(mut tuple: SocketTuple<'_>) -> SocketTuple<'_> {
    let v4 = |end: Option<(IpAddr, u16)>| match end {
        Some((IpAddr::V6(ip), port)) => ip.to_ipv4_mapped().map(|v4| (IpAddr::V4(v4), port)),
        _ => None,
    };
    if let Some(remote) = v4(tuple.remote) {
        tuple.family = AF_INET;
        tuple.remote = Some(remote);
        tuple.local = v4(tuple.local).or_else(|| {
            tuple
                .local
                .map(|(_, port)| (IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), port))
        });
    }
    tuple
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::record::{OBJECT_LEN, WireBuilder};

    #[test]
    fn opens_tell_files_from_directories_and_failed_ones_have_no_number() {
        let bytes = WireBuilder::new()
            .number(-2)
            .number(-100)
            .path("/etc/x", "")
            .number(0o200000)
            .number(0)
            .build();
        let mut padded = bytes.clone();
        padded.splice(10..10, [0; 4]); // the two on-demand parameters
        let wire = Wire::read(&padded, 7).unwrap();
        let descriptor = descriptor(Event::Openat, &wire, |_| None).unwrap();
        assert_eq!(descriptor.number, -1);
        assert_eq!(descriptor.kind, DescriptorKind::Directory);
        assert_eq!(descriptor.path, Some(&b"/etc/x"[..]));
    }

    #[test]
    fn fchdir_is_about_a_directory() {
        let bytes = WireBuilder::new().number(0).number(5).kernel_path("/srv").build();
        let wire = Wire::read(&bytes, 3).unwrap();
        let descriptor = descriptor(Event::Fchdir, &wire, |_| Some(b"/srv")).unwrap();
        assert_eq!(
            (descriptor.number, descriptor.kind),
            (5, DescriptorKind::Directory)
        );
    }

    #[test]
    fn an_ipv6_socket_that_talks_ipv4_is_an_ipv4_socket() {
        let tuple = SocketTuple {
            family: AF_INET6,
            protocol: 6,
            kind: 1,
            local: Some(("::ffff:10.0.0.1".parse().unwrap(), 4000)),
            remote: Some(("::ffff:1.2.3.4".parse().unwrap(), 443)),
            path: b"",
            ..SocketTuple::default()
        };
        let bytes = WireBuilder::new()
            .number(0)
            .tuple(&tuple)
            .number(5)
            .tuple(&tuple)
            .build();
        let wire = Wire::read(&bytes, 4).unwrap();
        let descriptor = descriptor(Event::Connect, &wire, |_| None).unwrap();
        assert_eq!(descriptor.kind, DescriptorKind::Ipv4);
        assert_eq!(
            descriptor.tuple.unwrap().remote,
            Some(("1.2.3.4".parse().unwrap(), 443))
        );
        assert_eq!(descriptor.number, 5);
    }

    /// `dup2(3, 0) = result` of an object with this mode, flags and name.
    fn copied(
        result: i64,
        mode: u16,
        internal: bool,
        name: &[u8],
        tuple: Option<&SocketTuple<'_>>,
    ) -> Vec<u8> {
        let mut object = vec![0; OBJECT_LEN];
        object[..2].copy_from_slice(&mode.to_le_bytes());
        object[2] = u8::from(internal);
        object.extend_from_slice(name);
        let wire = WireBuilder::new()
            .number(result)
            .number(3)
            .number(0)
            .bytes(&object)
            .missing();
        match tuple {
            Some(tuple) => wire.tuple(tuple).build(),
            None => wire.missing().build(),
        }
    }

    #[test]
    fn a_copy_is_about_the_new_descriptor_and_a_failed_one_about_the_old() {
        let bytes = copied(0, 0o100644, false, b"", None);
        let wire = Wire::read(&bytes, 6).unwrap();
        let copy = descriptor(Event::Dup2, &wire, |_| Some(b"/etc/shadow")).unwrap();
        assert_eq!((copy.number, copy.kind), (0, DescriptorKind::File));
        assert_eq!(copy.path, Some(&b"/etc/shadow"[..]));
        let bytes = copied(-9, 0o100644, false, b"", None);
        let wire = Wire::read(&bytes, 6).unwrap();
        assert_eq!(descriptor(Event::Dup2, &wire, |_| None).unwrap().number, 3);
    }

    #[test]
    fn a_copied_connection_has_its_ends_and_knows_whose_it_is() {
        let tuple = SocketTuple {
            family: AF_INET,
            protocol: 6,
            kind: 1,
            local: Some(("10.0.0.1".parse().unwrap(), 22)),
            remote: Some(("10.0.0.2".parse().unwrap(), 40000)),
            connected: true,
            accepted: true,
            ..SocketTuple::default()
        };
        let bytes = copied(1, 0o140777, true, b"TCP\0", Some(&tuple));
        let wire = Wire::read(&bytes, 6).unwrap();
        let copy = descriptor(Event::Dup2, &wire, |_| None).unwrap();
        assert_eq!((copy.number, copy.kind), (1, DescriptorKind::Ipv4));
        assert_eq!(copy.tuple, Some(tuple));
        assert!(copy.is_server && copy.connected && !copy.name_changed);
    }

    #[test]
    fn objects_without_a_path_are_told_by_the_names_the_kernel_gives_them() {
        for (mode, name, kind) in [
            (0o010600, &b""[..], DescriptorKind::Pipe),
            (0o100777, b"memfd:x\0", DescriptorKind::Memfd),
            (0o600, b"[eventfd]\0", DescriptorKind::Event),
            (0o100600, b"[eventpoll]\0", DescriptorKind::EventPoll),
            (0o600, b"bpf-map\0", DescriptorKind::Bpf),
            (0o600, b"[perf_event]\0", DescriptorKind::Other),
        ] {
            let bytes = copied(9, mode, true, name, None);
            let wire = Wire::read(&bytes, 6).unwrap();
            let copy = descriptor(Event::Dup2, &wire, |_| None).unwrap();
            assert_eq!(copy.kind, kind, "{}", String::from_utf8_lossy(name));
            let memfd = (kind == DescriptorKind::Memfd).then_some(&b"memfd:x"[..]);
            assert_eq!(copy.path, memfd);
        }
    }
}
