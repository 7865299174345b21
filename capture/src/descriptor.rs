//! The descriptor an event is about, from the event's own parameters.

use lanner_schema::descriptor::{Descriptor, DescriptorKind, unmapped};
use lanner_schema::event::{EVENT_COUNT, EVENTS, Event, FdUse, param_index};
use lanner_schema::record::{Object, SocketTuple, UNTOLD_DESCRIPTOR, Wire};

use crate::process_table::text;

const O_DIRECTORY: u64 = 0o200000;
const EINPROGRESS: i64 = 115;

/// Per event, the parameter with what the file that it opens, or the socket that it is about, refers to.
const OBJECT: [Option<usize>; EVENT_COUNT] = {
    let mut objects = [None; EVENT_COUNT];
    let mut event = 0;
    while event < EVENT_COUNT {
        objects[event] = match EVENTS[event].fd {
            FdUse::Opens { .. } => EVENTS[event].object_of(0),
            FdUse::Socket { fd, .. } => EVENTS[event].object_of(fd as usize),
            _ => None,
        };
        event += 1;
    }
    objects
};

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
            // Of a request of io_uring whose end nobody told: as far as is known, it was opened.
            let opened = number(0).unwrap_or(UNTOLD_DESCRIPTOR);
            Some(Descriptor {
                // Rules ask for -1, whatever the error was.
                number: opened.max(-1),
                kind: match directory {
                    true => DescriptorKind::Directory,
                    false => DescriptorKind::File,
                },
                path: path_of(path).or(raw),
                raw_path: raw,
                name_changed: opened >= 0,
                layer: match OBJECT[event as usize].and_then(|index| wire.param(index)) {
                    Some(object) => Object::read(object.bytes).and_then(|object| object.layer()),
                    None => None,
                },
                ..Descriptor::default()
            })
        }
        FdUse::Socket { fd, tuple } => {
            let tuple = wire
                .param(usize::from(tuple))
                .and_then(|p| SocketTuple::read(p.bytes))
                .filter(SocketTuple::has_socket)
                .map(unmapped);
            // Its device, which only some rule wants.
            let object = OBJECT[event as usize].and_then(|index| wire.param(index));
            let object = object.and_then(|p| Object::read(p.bytes));
            let result = number(0);
            let succeeded = result.is_some_and(|result| result >= 0);
            let named = match event {
                // It goes on by itself, to where it was asked to.
                Event::Connect => succeeded || result == Some(-EINPROGRESS),
                Event::Bind | Event::Accept | Event::Accept4 => {
                    succeeded && tuple.is_some_and(|t| has_name(&t))
                }
                _ => false,
            };
            Some(Descriptor {
                // A failed call gave none; rules ask for -1, whatever the error was.
                number: if fd == 0 { result?.max(-1) } else { number(fd)? },
                kind: tuple
                    .as_ref()
                    .map_or(DescriptorKind::Other, DescriptorKind::of_socket),
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
                dev: object.map(|object| object.dev),
                ino: tuple
                    .map(|t| u64::from(t.inode))
                    .filter(|ino| *ino != 0)
                    .or(object.map(|object| object.inode)),
                ..Descriptor::default()
            })
        }
        FdUse::Makes { .. } if event == Event::Bpf && !makes_descriptor(wire) => None,
        FdUse::Makes { object, kind } => Some(Descriptor {
            // The others have no name.
            name_changed: number(0)? >= 0 && kind == DescriptorKind::Memfd,
            ..of_object(wire, object, number(0)?.max(-1), kind, path_of)
        }),
        FdUse::Described { fd, object } => Some(of_object(
            wire,
            object,
            number(fd)?,
            DescriptorKind::Other,
            path_of,
        )),
        FdUse::Copies { old, object } => {
            let copy = number(0).filter(|result| *result >= 0);
            let number = copy.or_else(|| number(old))?;
            Some(of_object(wire, object, number, DescriptorKind::Other, path_of))
        }
    }
}

/// True for sockets of IP, and local ones that have a path or a peer.
fn has_name(tuple: &SocketTuple<'_>) -> bool {
    tuple.local.is_some() || tuple.remote.is_some() || tuple.kernel.1 != 0 || !tuple.path.is_empty()
}

/// True when the address a `bind` was given names a port.
fn bound_to_port(wire: &Wire<'_>) -> bool {
    const ADDR: usize = param_index(Event::Bind, "addr");
    let address = wire.param(ADDR).and_then(|p| SocketTuple::read(p.bytes));
    address.and_then(|a| a.remote).is_some_and(|(_, port)| port != 0)
}

/// The descriptor with this number, whose object is parameter `index` if anybody asked for it.
fn of_object<'a>(
    wire: &Wire<'a>,
    index: u8,
    number: i64,
    otherwise: DescriptorKind,
    path_of: impl Fn(u8) -> Option<&'a [u8]>,
) -> Descriptor<'a> {
    let object = wire.param(usize::from(index)).and_then(|p| Object::read(p.bytes));
    match object {
        Some(object) => Descriptor::of_object(number, &object, path_of(index)),
        None => Descriptor {
            number,
            kind: otherwise,
            ..Descriptor::default()
        },
    }
}

/// The commands of `bpf(2)` whose result is a descriptor.
const BPF_MAKES: [u64; 14] = [0, 5, 7, 13, 14, 17, 18, 19, 28, 30, 32, 33, 36, 38];

fn makes_descriptor(wire: &Wire<'_>) -> bool {
    wire.number(param_index(Event::Bpf, "cmd"))
        .is_some_and(|cmd| BPF_MAKES.contains(&cmd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::record::{AF_INET, AF_INET6, OBJECT_INTERNAL, WireBuilder};

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
        padded.splice(10..10, [0; 8]); // the on-demand parameters
        let wire = Wire::read(&padded, 9).unwrap();
        let descriptor = descriptor(Event::Openat, &wire, |_| None).unwrap();
        assert_eq!(descriptor.number, -1);
        assert_eq!(descriptor.kind, DescriptorKind::Directory);
        assert_eq!(descriptor.path, Some(&b"/etc/x"[..]));
    }

    #[test]
    fn a_descriptor_is_what_its_object_is() {
        let bytes = WireBuilder::new()
            .number(0)
            .number(5)
            .file_object(0o040755, "/srv")
            .missing()
            .build();
        let wire = Wire::read(&bytes, 4).unwrap();
        let descriptor = descriptor(Event::Fchdir, &wire, |_| Some(b"/srv")).unwrap();
        assert_eq!(
            (descriptor.number, descriptor.kind),
            (5, DescriptorKind::Directory)
        );
        assert_eq!(descriptor.path, Some(&b"/srv"[..]));
    }

    #[test]
    fn a_new_descriptor_has_a_kind_before_anybody_looks_at_it() {
        let made = |result: i64, cmd: i64| {
            let bytes = WireBuilder::new().number(result).number(cmd).missing().build();
            let wire = Wire::read(&bytes, 3).unwrap();
            descriptor(Event::Bpf, &wire, |_| None).map(|fd| (fd.number, fd.kind))
        };
        assert_eq!(made(7, 0), Some((7, DescriptorKind::Bpf)));
        assert_eq!(made(-13, 5), Some((-1, DescriptorKind::Bpf)));
        assert_eq!(made(0, 2), None, "the result of an update is no descriptor");
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
            inode: 4711,
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
        assert_eq!(descriptor.ino, Some(4711));
        assert_eq!(
            descriptor.tuple.unwrap().remote,
            Some(("1.2.3.4".parse().unwrap(), 443))
        );
        assert_eq!(descriptor.number, 5);
    }

    /// `dup2(3, 0) = result` of an object with this mode and flags, followed by `rest`.
    fn copied(result: i64, mode: u16, internal: bool, rest: &[u8]) -> Vec<u8> {
        let object = Object {
            mode,
            flags: if internal { OBJECT_INTERNAL } else { 0 },
            dev: 0x10302,
            inode: 99,
            rest,
            ..Object::default()
        };
        let mut bytes = Vec::new();
        object.write(&mut bytes);
        let wire = WireBuilder::new().number(result).number(3).number(0);
        wire.bytes(&bytes).build()
    }

    #[test]
    fn a_copy_is_about_the_new_descriptor_and_a_failed_one_about_the_old() {
        let bytes = copied(0, 0o100644, false, b"shadow\0etc\0");
        let wire = Wire::read(&bytes, 4).unwrap();
        let copy = descriptor(Event::Dup2, &wire, |_| Some(b"/etc/shadow")).unwrap();
        assert_eq!((copy.number, copy.kind), (0, DescriptorKind::File));
        assert_eq!(copy.path, Some(&b"/etc/shadow"[..]));
        assert_eq!((copy.dev, copy.ino), (Some(0x10302), Some(99)));
        let bytes = copied(-9, 0o100644, false, b"");
        let wire = Wire::read(&bytes, 4).unwrap();
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
        let mut rest = Vec::new();
        tuple.write(&mut rest);
        let bytes = copied(1, 0o140777, true, &rest);
        let wire = Wire::read(&bytes, 4).unwrap();
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
            let bytes = copied(9, mode, true, name);
            let wire = Wire::read(&bytes, 4).unwrap();
            let copy = descriptor(Event::Dup2, &wire, |_| None).unwrap();
            assert_eq!(copy.kind, kind, "{}", String::from_utf8_lossy(name));
            let memfd = (kind == DescriptorKind::Memfd).then_some(&b"memfd:x"[..]);
            assert_eq!(copy.path, memfd);
        }
    }
}
