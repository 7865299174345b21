//! What a record lacks where the kernel's types are not known, and /proc tells when the event is seen: a little later, when it
//! may have changed or be gone.

use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::record::SocketTuple;

/// A descriptor as /proc shows it, kept while its event is shown.
#[derive(Debug)]
pub(crate) struct Found {
    kind: DescriptorKind,
    path: Option<Vec<u8>>,
    /// Without its path, which is beside it.
    tuple: Option<SocketTuple<'static>>,
    socket_path: Vec<u8>,
    dev: Option<u32>,
    ino: Option<u64>,
}

impl Found {
    pub(crate) fn keep(descriptor: &Descriptor<'_>) -> Found {
        Found {
            kind: descriptor.kind,
            path: descriptor.path.map(<[u8]>::to_vec),
            tuple: descriptor.tuple.as_ref().map(|tuple| with_path(tuple, b"")),
            socket_path: descriptor
                .tuple
                .map_or_else(Vec::new, |tuple| tuple.path.to_vec()),
            dev: descriptor.dev,
            ino: descriptor.ino,
        }
    }
}

fn with_path<'p>(tuple: &SocketTuple<'_>, path: &'p [u8]) -> SocketTuple<'p> {
    SocketTuple {
        family: tuple.family,
        protocol: tuple.protocol,
        kind: tuple.kind,
        local: tuple.local,
        remote: tuple.remote,
        inode: tuple.inode,
        connected: tuple.connected,
        accepted: tuple.accepted,
        bound: tuple.bound,
        kernel: tuple.kernel,
        path,
    }
}

/// An event's descriptor with what was found of it. A socket's other end is the address that was passed, when one was: what
/// /proc says may be from before it, or from after it was closed.
pub(crate) fn described<'a>(own: Descriptor<'a>, found: Option<&'a Found>) -> Descriptor<'a> {
    let mut described = own;
    if let Some(found) = found {
        described.kind = found.kind;
        described.path = found.path.as_deref().or(own.path);
        described.dev = found.dev.or(own.dev);
        described.ino = found.ino.or(own.ino);
        described.tuple = found
            .tuple
            .as_ref()
            .map(|tuple| with_path(tuple, &found.socket_path));
    }
    described.tuple = match (described.tuple, own.tuple) {
        (Some(socket), Some(passed)) => Some(SocketTuple {
            remote: passed.remote.or(socket.remote),
            path: if passed.path.is_empty() {
                socket.path
            } else {
                passed.path
            },
            ..socket
        }),
        (socket, passed) => socket.or(passed),
    };
    described.connected |= described.tuple.is_some_and(|tuple| tuple.connected);
    described
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::record::{AF_INET, SOCK_UNTOLD};

    fn socket(kind: u8, local: Option<&str>, remote: Option<&str>) -> SocketTuple<'static> {
        let end = |text: &str| {
            text.parse::<std::net::SocketAddr>()
                .map(|a| (a.ip(), a.port()))
                .unwrap()
        };
        SocketTuple {
            family: AF_INET,
            kind,
            local: local.map(end),
            remote: remote.map(end),
            ..SocketTuple::default()
        }
    }

    #[test]
    fn the_address_that_was_passed_is_the_other_end_of_the_socket_that_was_found() {
        let passed = Descriptor {
            number: 3,
            kind: DescriptorKind::Ipv4,
            tuple: Some(socket(SOCK_UNTOLD, None, Some("192.0.2.1:53"))),
            ..Descriptor::default()
        };
        let now = Descriptor {
            kind: DescriptorKind::Ipv4,
            tuple: Some(socket(2, Some("192.0.2.7:4000"), Some("192.0.2.9:1"))),
            ino: Some(77),
            ..Descriptor::default()
        };
        let kept = Found::keep(&now);
        let both = described(passed, Some(&kept));
        let tuple = both.tuple.unwrap();
        assert_eq!((both.number, both.ino, tuple.kind), (3, Some(77), 2));
        assert_eq!(tuple.local, now.tuple.unwrap().local);
        assert_eq!(tuple.remote, passed.tuple.unwrap().remote);
        // Its process is gone.
        let alone = described(passed, None).tuple.unwrap();
        assert_eq!((alone.kind, alone.local), (SOCK_UNTOLD, None));
        assert!(alone.has_socket());
    }

    #[test]
    fn a_file_is_what_the_descriptor_leads_to() {
        let own = Descriptor {
            number: 4,
            ..Descriptor::default()
        };
        let now = Descriptor {
            kind: DescriptorKind::File,
            path: Some(b"/etc/shadow"),
            dev: Some(8),
            ino: Some(9),
            ..Descriptor::default()
        };
        let kept = Found::keep(&now);
        let found = described(own, Some(&kept));
        assert_eq!((found.number, found.kind), (4, DescriptorKind::File));
        assert_eq!(
            (found.path, found.dev, found.ino),
            (Some(&b"/etc/shadow"[..]), Some(8), Some(9))
        );
    }
}
