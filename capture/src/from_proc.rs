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
