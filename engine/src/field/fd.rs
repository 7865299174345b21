//! `fd.*`: missing on every event that has no descriptor.

use lanner_schema::container::Owner;
use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::FdUse;
use lanner_schema::record::{AF_UNIX, Layer, SocketTuple};
use lanner_schema::view::{EventView, ParamValue};
use memchr::memrchr;
use std::net::IpAddr;

use super::Extract::{Any, Ends, Mostly, Names, One, Plain};
use super::{Field, evt, fields, param, process};
use crate::value::Value;

fn tuple<'b>(view: &EventView<'b>) -> Option<SocketTuple<'b>> {
    view.descriptor?.tuple
}

/// The descriptor, when it is known what it refers to.
fn known<'b>(view: &EventView<'b>) -> Option<&'b Descriptor<'b>> {
    view.descriptor.filter(|fd| fd.is_known())
}

/// Its number; of one that a call made whose result is not known, nobody knows it.
fn number(view: &EventView<'_>) -> Option<i64> {
    let number = view.descriptor?.number;
    if evt::told(view) {
        return Some(number);
    }
    let is_result = match view.event.row().fd {
        FdUse::Opens { .. } | FdUse::Makes { .. } | FdUse::Copies { .. } => true,
        FdUse::Socket { fd, .. } | FdUse::Described { fd, .. } => fd == 0,
        FdUse::None => false,
    };
    (!is_result || view.result().is_some()).then_some(number)
}

type End = (IpAddr, u16);

fn local(view: &EventView<'_>) -> Option<End> {
    tuple(view)?.local
}
fn remote(view: &EventView<'_>) -> Option<End> {
    tuple(view)?.remote
}
/// A socket that is no server's and has no peer is no client's either: nobody knows yet what it will be.
fn client(view: &EventView<'_>) -> Option<End> {
    if view.descriptor?.is_server {
        remote(view)
    } else {
        local(view).filter(|_| remote(view).is_some())
    }
}
fn server(view: &EventView<'_>) -> Option<End> {
    if view.descriptor?.is_server {
        local(view)
    } else {
        remote(view)
    }
}
/// The process's own address. A socket that is bound to no address in particular has none: `0.0.0.0` would be a false one.
fn local_ip(view: &EventView<'_>) -> Option<IpAddr> {
    local(view).map(|(ip, _)| ip).filter(|ip| !ip.is_unspecified())
}
fn remote_ip(view: &EventView<'_>) -> Option<IpAddr> {
    remote(view).map(|(ip, _)| ip)
}
fn client_ip(view: &EventView<'_>) -> Option<IpAddr> {
    if view.descriptor?.is_server {
        remote_ip(view)
    } else {
        local_ip(view).filter(|_| remote(view).is_some())
    }
}
fn server_ip(view: &EventView<'_>) -> Option<IpAddr> {
    if view.descriptor?.is_server {
        local_ip(view)
    } else {
        remote_ip(view)
    }
}
fn port<'b>(end: Option<End>) -> Option<Value<'b>> {
    end.map(|(_, port)| Value::U64(port.into()))
}
fn port_text<'b>(end: Option<End>, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    param::number(buf, end?.1);
    Some(Value::Bytes(buf))
}

/// Appends `fd.name`; nothing when it has none.
pub(super) fn name_into(fd: &Descriptor<'_>, out: &mut Vec<u8>) {
    match (fd.path, fd.tuple) {
        (Some(path), _) => out.extend_from_slice(path),
        (None, Some(tuple)) => {
            // A socket that is bound and not connected has one end only.
            let has_peer = match tuple.family {
                AF_UNIX => tuple.kernel.1 != 0,
                _ => tuple.local.is_none() || tuple.remote.is_some(),
            };
            if !has_peer {
                return param::address_text(&tuple, out);
            }
            // Client first, whichever end is the process's own.
            param::tuple_text(&tuple, fd.is_server, out);
        }
        (None, None) => {}
    }
}

fn name<'b>(view: &EventView<'b>, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let fd = view.descriptor?;
    if let Some(path) = fd.path {
        return Some(Value::Bytes(path));
    }
    // Pipes and anonymous inodes are known to have no name.
    if fd.kind == DescriptorKind::Other && fd.tuple.is_none() {
        return None;
    }
    name_into(fd, buf);
    Some(Value::Bytes(buf))
}

fn path_of<'b>(fd: &Descriptor<'b>) -> Option<&'b [u8]> {
    matches!(fd.kind, DescriptorKind::File | DescriptorKind::Directory)
        .then_some(fd.path)
        .flatten()
}

fn directory<'b>(view: &EventView<'b>) -> Option<&'b [u8]> {
    let fd = view.descriptor?;
    let path = path_of(fd)?;
    if fd.kind == DescriptorKind::Directory {
        return Some(path);
    }
    Some(match memrchr(b'/', path) {
        Some(0) => b"/",
        Some(slash) => &path[..slash],
        None => b"/",
    })
}

fn file_name<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let fd = view.descriptor.filter(|fd| fd.kind == DescriptorKind::File)?;
    let path = fd.path?;
    let start = memrchr(b'/', path).map_or(0, |slash| slash + 1);
    Some(Value::Bytes(&path[start..]))
}

/// The path as passed.
fn passed_name<'b>(view: &EventView<'b>) -> Option<&'b [u8]> {
    view.descriptor?
        .raw_path
        .filter(|_| evt::knows_what_was_passed(view))
}

/// The path as passed, when it has no double slashes.
fn clean_raw_name<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let raw = passed_name(view)?;
    // To the end, whatever is found: so the compiler looks at many bytes at once.
    let next = raw.get(1..).unwrap_or_default();
    let double = raw
        .iter()
        .zip(next)
        .fold(false, |double, (a, b)| double | ((*a == b'/') & (*b == b'/')));
    (!double).then_some(Value::Bytes(raw))
}

/// The path as passed with double slashes removed.
fn raw_name<'b>(view: &EventView<'b>, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let raw = passed_name(view)?;
    for byte in raw {
        if *byte != b'/' || buf.last() != Some(&b'/') {
            buf.push(*byte);
        }
    }
    Some(Value::Bytes(buf))
}

fn container_id<'b>(view: &EventView<'b>) -> &'b str {
    match view.owner {
        Owner::Host => "",
        Owner::Container(container) => container.id(),
    }
}

fn in_container<'b>(view: &EventView<'b>, dir: bool, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let fd = known(view)?;
    buf.extend_from_slice(container_id(view).as_bytes());
    buf.push(b':');
    if dir {
        buf.extend_from_slice(directory(view)?);
    } else {
        name_into(fd, buf);
    }
    Some(Value::Bytes(buf))
}

/// A number of the file, from the parameter that opens have for it, or from what the descriptor refers to.
fn number_param(view: &EventView<'_>, name: &str, known: Option<u64>) -> Option<u64> {
    // That of a file which was not opened is 0, and no file's.
    view.descriptor.filter(|fd| fd.number >= 0)?;
    match view.param_named(name) {
        Some(ParamValue::U64(value)) => Some(value),
        _ => known,
    }
}

fn dev(view: &EventView<'_>) -> Option<u64> {
    number_param(view, "dev", view.descriptor?.dev.map(u64::from))
}

fn ino(view: &EventView<'_>) -> Option<u64> {
    number_param(view, "ino", view.descriptor?.ino)
}

fn is_in(view: &EventView<'_>, layer: Layer) -> Option<Value<'static>> {
    Some(Value::Bool(known(view)?.layer == Some(layer)))
}

fn protocol<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let name = protocol_name(known(view)?);
    match name {
        None if !evt::told(view) => None,
        name => Some(Value::text(name.unwrap_or("<NA>"))),
    }
}

fn protocol_name(fd: &Descriptor<'_>) -> Option<&'static str> {
    match fd.tuple.map(|t| (t.protocol, t.kind))? {
        (6, _) => Some("tcp"),
        (17, _) => Some("udp"),
        (1 | 58, _) => Some("icmp"),
        (_, 3) => Some("raw"),
        _ => None,
    }
}

/// What stands behind the type of an internet socket where a descriptor is printed: the first letter of its protocol.
pub(super) fn protocol_letter(fd: &Descriptor<'_>) -> &'static str {
    match fd.kind {
        DescriptorKind::Ipv4 | DescriptorKind::Ipv6 => protocol_name(fd).map_or("", |name| &name[..1]),
        _ => "",
    }
}

fn family<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    match view.descriptor?.kind {
        DescriptorKind::Ipv4 | DescriptorKind::Ipv6 => Some(Value::text("ip")),
        DescriptorKind::Unix => Some(Value::text("unix")),
        _ => None,
    }
}

fn addresses<'b>(view: &EventView<'b>) -> [Option<Value<'b>>; 2] {
    [local_ip(view).map(Value::Ip), remote_ip(view).map(Value::Ip)]
}
fn ports<'b>(view: &EventView<'b>) -> [Option<Value<'b>>; 2] {
    [port(local(view)), port(remote(view))]
}

pub(super) static FIELDS: &[Field] = fields! {
    "fd.num" Int64 None [] "The descriptor's number." => Plain(|e| number(e).map(Value::I64));
    "fd.type" CharBuf None [] "What it refers to: file, directory, ipv4, ipv6, unix, ..." => Plain(|e| Some(Value::text(known(e)?.kind.word())));
    "fd.typechar" CharBuf None [] "That as one character: f, d, 4, 6, u, ..." => Plain(|e| Some(Value::text(known(e)?.kind.letter())));
    "fd.name" CharBuf None [] "The path of a file; client and server of a socket." => Mostly(|e| e.descriptor?.path.map(Value::Bytes), |e, _, buf| name(e, buf));
    "fd.directory" CharBuf None [] "The directory a file is in." => Plain(|e| directory(e).map(Value::Bytes));
    "fd.filename" CharBuf None [] "The last part of a file's path." => Plain(file_name);
    "fd.ip" IpAddr None [filter_only no_rhs no_transformer] "Either address of a socket." => Ends(addresses);
    "fd.cip" IpAddr None [] "Address of the client." => Plain(|e| client_ip(e).map(Value::Ip));
    "fd.sip" IpAddr None [] "Address of the server." => Plain(|e| server_ip(e).map(Value::Ip));
    "fd.lip" IpAddr None [] "The process's own address." => Plain(|e| local_ip(e).map(Value::Ip));
    "fd.rip" IpAddr None [] "Address of the other end." => Plain(|e| remote_ip(e).map(Value::Ip));
    "fd.port" Port None [filter_only no_rhs no_transformer] "Either port of a socket." => Ends(ports);
    "fd.cport" Port None [] "Port of the client." => Plain(|e| port(client(e)));
    "fd.sport" Port None [] "Port of the server." => Plain(|e| port(server(e)));
    "fd.lport" Port None [] "The process's own port." => Plain(|e| port(local(e)));
    "fd.rport" Port None [] "Port of the other end." => Plain(|e| port(remote(e)));
    "fd.l4proto" CharBuf None [] "tcp, udp, icmp or raw; <NA> when it is none of them." => Plain(protocol);
    "fd.sockfamily" CharBuf None [] "ip or unix." => Plain(family);
    "fd.is_server" Bool None [] "The process owns the server's end." => Plain(|e| Some(Value::Bool(known(e)?.is_server)));
    "fd.uid" CharBuf None [] "Thread id and descriptor number, one after the other." => One(|e, _, buf| {
        param::number(buf, e.tid);
        param::number(buf, number(e)?);
        Some(Value::Bytes(buf))
    });
    "fd.containername" CharBuf None [] "Container id, colon, fd.name." => One(|e, _, buf| in_container(e, false, buf));
    "fd.containerdirectory" CharBuf None [] "Container id, colon, fd.directory." => One(|e, _, buf| in_container(e, true, buf));
    "fd.proto" Port None [filter_only no_rhs no_transformer] "Either port, by the name of its service." => Ends(ports);
    "fd.cproto" CharBuf None [] "The client's port as text (service names are not looked up)." => One(|e, _, buf| port_text(client(e), buf));
    "fd.sproto" CharBuf None [] "The server's port as text (service names are not looked up)." => One(|e, _, buf| port_text(server(e), buf));
    "fd.lproto" CharBuf None [] "The process's own port as text (service names are not looked up)." => One(|e, _, buf| port_text(local(e), buf));
    "fd.rproto" CharBuf None [] "The other end's port as text (service names are not looked up)." => One(|e, _, buf| port_text(remote(e), buf));
    "fd.net" IpNet None [filter_only no_rhs no_transformer] "Either address, against networks." => Ends(addresses);
    "fd.cnet" IpNet None [filter_only no_rhs no_transformer] "Address of the client, against networks." => Plain(|e| client_ip(e).map(Value::Ip));
    "fd.snet" IpNet None [filter_only no_rhs no_transformer] "Address of the server, against networks." => Plain(|e| server_ip(e).map(Value::Ip));
    "fd.lnet" IpNet None [filter_only no_rhs no_transformer] "The process's own address, against networks." => Plain(|e| local_ip(e).map(Value::Ip));
    "fd.rnet" IpNet None [filter_only no_rhs no_transformer] "Address of the other end, against networks." => Plain(|e| remote_ip(e).map(Value::Ip));
    "fd.connected" Bool None [] "The socket is connected, to the other end the event is about." => Plain(|e| known(e).filter(|_| evt::told(e)).map(|fd| Value::Bool(fd.connected)));
    "fd.name_changed" Bool None [] "The event changed the descriptor's name: an open, a connect, a datagram to another peer than the last." => Plain(|e| e.descriptor.filter(|_| evt::told(e)).map(|fd| Value::Bool(fd.name_changed)));
    "fd.cip.name" CharBuf None [no_rhs no_transformer] "Host name of the client: of those the rules mention, any whose addresses include it." => Names(client_ip);
    "fd.sip.name" CharBuf None [no_rhs no_transformer] "Host name of the server, likewise." => Names(server_ip);
    "fd.lip.name" CharBuf None [no_rhs no_transformer] "Host name of the process's own address, likewise." => Names(local_ip);
    "fd.rip.name" CharBuf None [no_rhs no_transformer] "Host name of the other end, likewise." => Names(remote_ip);
    "fd.dev" Int32 None [hex] "Number of the device the file is on." => Plain(|e| dev(e).map(Value::U64));
    "fd.dev.major" Int32 None [] "Its major number." => Plain(|e| dev(e).map(|dev| Value::U64((dev >> 8) & 0xfff)));
    "fd.dev.minor" Int32 None [] "Its minor number." => Plain(|e| dev(e).map(|dev| Value::U64(dev & 0xff | (dev >> 12) & 0xfff00)));
    "fd.ino" Int64 None [] "The file's inode number." => Plain(|e| ino(e).map(Value::U64));
    "fd.nameraw" CharBuf None [] "The path as it was passed, double slashes removed." => Mostly(clean_raw_name, |e, _, buf| raw_name(e, buf));
    "fd.types" CharBuf Index [list no_rhs] "Types of all open descriptors of the process, or of one, as /proc has them once the event is looked at; missing when the process is gone by then." => Any(process::types_now);
    "fd.is_upper_layer" Bool None [] "The file is in the upper layer of an overlay." => Plain(|e| is_in(e, Layer::Upper));
    "fd.is_lower_layer" Bool None [] "The file is in a lower layer of an overlay." => Plain(|e| is_in(e, Layer::Lower));
};

/// Appends one thing of each descriptor of a poll, joined by commas; those without it are left out.
fn listed<'b>(
    view: &EventView<'b>,
    buf: &'b mut Vec<u8>,
    each: fn(&Descriptor<'_>, &mut Vec<u8>) -> Option<()>,
) -> Option<Value<'b>> {
    for (_, fd) in view.polled() {
        let before = buf.len();
        if before > 0 {
            buf.push(b',');
        }
        if each(&fd, buf).is_none() {
            buf.truncate(before);
        }
    }
    (!buf.is_empty()).then_some(Value::Bytes(buf))
}

/// The ends of a descriptor of a poll: the client's, the server's.
fn ends(fd: &Descriptor<'_>) -> Option<[Option<End>; 2]> {
    let tuple = fd
        .tuple
        .filter(|_| matches!(fd.kind, DescriptorKind::Ipv4 | DescriptorKind::Ipv6))?;
    Some(match fd.is_server {
        true => [tuple.remote, tuple.local],
        false => [tuple.local.filter(|_| tuple.remote.is_some()), tuple.remote],
    })
}

fn push_ip(out: &mut Vec<u8>, end: Option<End>) -> Option<()> {
    param::number(out, end?.0);
    Some(())
}

fn push_port(out: &mut Vec<u8>, end: Option<End>) -> Option<()> {
    param::number(out, end?.1);
    Some(())
}

fn push_number(fd: &Descriptor<'_>, out: &mut Vec<u8>) -> Option<()> {
    param::number(out, fd.number);
    Some(())
}

fn push_name(fd: &Descriptor<'_>, out: &mut Vec<u8>) -> Option<()> {
    let before = out.len();
    name_into(fd, out);
    if out.len() == before {
        out.extend_from_slice(b"<NA>");
    }
    Some(())
}

pub(super) static LIST_FIELDS: &[Field] = fields! {
    "fdlist.nums" CharBuf None [] "Descriptors on which something happened in a poll, joined by commas." => One(|e, _, buf| listed(e, buf, push_number));
    "fdlist.names" CharBuf None [] "Their names." => One(|e, _, buf| listed(e, buf, push_name));
    "fdlist.cips" CharBuf None [] "The addresses of the clients of those that are sockets." => One(|e, _, buf| listed(e, buf, |fd, out| push_ip(out, ends(fd)?[0])));
    "fdlist.sips" CharBuf None [] "The addresses of their servers." => One(|e, _, buf| listed(e, buf, |fd, out| push_ip(out, ends(fd)?[1])));
    "fdlist.cports" CharBuf None [] "The ports of their clients." => One(|e, _, buf| listed(e, buf, |fd, out| push_port(out, ends(fd)?[0])));
    "fdlist.sports" CharBuf None [] "The ports of their servers." => One(|e, _, buf| listed(e, buf, |fd, out| push_port(out, ends(fd)?[1])));
};

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::record::{AF_INET, AF_NETLINK};

    fn name(tuple: SocketTuple<'_>, is_server: bool) -> String {
        let fd = Descriptor {
            tuple: Some(tuple),
            is_server,
            ..Descriptor::default()
        };
        let mut name = Vec::new();
        name_into(&fd, &mut name);
        String::from_utf8(name).unwrap()
    }

    #[test]
    fn a_socket_of_ip_is_named_client_first_and_one_that_only_waits_by_its_own_end() {
        let end = |address: &str| {
            let address: std::net::SocketAddr = address.parse().unwrap();
            Some((address.ip(), address.port()))
        };
        let tuple = SocketTuple {
            family: AF_INET,
            local: end("10.0.0.1:80"),
            remote: end("10.0.0.2:40000"),
            ..SocketTuple::default()
        };
        assert_eq!(name(tuple, true), "10.0.0.2:40000->10.0.0.1:80");
        assert_eq!(name(tuple, false), "10.0.0.1:80->10.0.0.2:40000");
        let waits = SocketTuple {
            remote: None,
            ..tuple
        };
        assert_eq!(name(waits, true), "10.0.0.1:80");
        assert_eq!(name(waits, false), "10.0.0.1:80");
        let refused = SocketTuple { local: None, ..tuple };
        assert_eq!(name(refused, false), "0.0.0.0:0->10.0.0.2:40000");
    }

    #[test]
    fn a_local_socket_is_named_by_its_path_and_by_where_its_ends_are_when_it_has_two() {
        let tuple = SocketTuple {
            family: AF_UNIX,
            kernel: (0xffff_8881_0450_1200, 0xffff_8881_0450_0900),
            path: b"/run/x.sock",
            ..SocketTuple::default()
        };
        // Both ends of one connection have one name.
        let other = SocketTuple {
            kernel: (tuple.kernel.1, tuple.kernel.0),
            ..tuple
        };
        assert_eq!(
            name(tuple, false),
            "ffff888104500900->ffff888104501200 /run/x.sock"
        );
        assert_eq!(name(other, true), name(tuple, false));
        let waits = SocketTuple {
            kernel: (1, 0),
            ..tuple
        };
        assert_eq!(name(waits, true), "/run/x.sock");
        assert_eq!(
            name(
                SocketTuple {
                    path: b"\0bus",
                    ..waits
                },
                false
            ),
            "@bus"
        );
        assert_eq!(name(SocketTuple { path: b"", ..waits }, false), "");
    }

    #[test]
    fn sockets_of_other_families_have_no_name() {
        let tuple = SocketTuple {
            family: AF_NETLINK,
            kind: 3,
            ..SocketTuple::default()
        };
        assert_eq!(name(tuple, false), "");
    }
}

#[cfg(test)]
#[path = "fd_tests.rs"]
mod object_tests;
