//! Sockets, over the loopback device and in the file system.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;

use nix::sys::socket::sockopt;

use super::actor::{Actor, Call, Expected, SOCKETCALL, Want, is};
use super::support::port::Port;
use super::{Case, both, only_compat};

const SOCKET: Call = Call(libc::SYS_socket, SOCKETCALL + 1);
const BIND: Call = Call(libc::SYS_bind, SOCKETCALL + 2);
const CONNECT: Call = Call(libc::SYS_connect, SOCKETCALL + 3);
/// The call of its own that newer 32-bit programs make.
const CONNECT_DIRECT: Call = Call(libc::SYS_connect, 362);
const LISTEN: Call = Call(libc::SYS_listen, SOCKETCALL + 4);
const ACCEPT: Call = Call(libc::SYS_accept, SOCKETCALL + 5);
const SOCKETPAIR: Call = Call(libc::SYS_socketpair, SOCKETCALL + 8);
const SENDTO: Call = Call(libc::SYS_sendto, SOCKETCALL + 11);
const RECVFROM: Call = Call(libc::SYS_recvfrom, SOCKETCALL + 12);
const SHUTDOWN: Call = Call(libc::SYS_shutdown, SOCKETCALL + 13);
const SETSOCKOPT: Call = Call(libc::SYS_setsockopt, SOCKETCALL + 14);
const GETSOCKOPT: Call = Call(libc::SYS_getsockopt, SOCKETCALL + 15);
const SENDMSG: Call = Call(libc::SYS_sendmsg, SOCKETCALL + 16);
const RECVMSG: Call = Call(libc::SYS_recvmsg, SOCKETCALL + 17);
const ACCEPT4: Call = Call(libc::SYS_accept4, SOCKETCALL + 18);
const RECVMMSG: Call = Call(libc::SYS_recvmmsg, SOCKETCALL + 19);
const SENDMMSG: Call = Call(libc::SYS_sendmmsg, SOCKETCALL + 20);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    both(&mut cases, "socket", "of TCP", socket_tcp);
    both(&mut cases, "socket", "of packets", socket_packet);
    both(&mut cases, "socket", "of an unknown family", socket_unknown);
    both(&mut cases, "bind", "to a port", bind);
    both(&mut cases, "bind", "to a path", bind_path);
    both(&mut cases, "connect", "over TCP", connect);
    both(
        &mut cases,
        "connect",
        "over TCP, by a call of its own",
        connect_direct,
    );
    both(&mut cases, "connect", "refused", connect_refused);
    both(&mut cases, "connect", "to a path", connect_path);
    both(&mut cases, "listen", "on a port", listen);
    both(&mut cases, "listen", "on a file", listen_file);
    both(&mut cases, "accept", "of TCP", accept);
    both(&mut cases, "accept4", "of TCP", accept4);
    both(&mut cases, "accept4", "of nothing", accept_nothing);
    both(&mut cases, "socketpair", "made", socketpair);
    both(&mut cases, "shutdown", "of one direction", shutdown);
    both(&mut cases, "getsockopt", "of the type", getsockopt);
    both(&mut cases, "setsockopt", "of the buffer", setsockopt);
    both(&mut cases, "sendto", "an address", sendto);
    both(&mut cases, "sendto", "a bad descriptor", sendto_bad);
    both(&mut cases, "sendmsg", "an address", sendmsg);
    both(&mut cases, "sendmmsg", "an address", sendmmsg);
    both(&mut cases, "recvfrom", "of UDP", recvfrom);
    both(&mut cases, "recvfrom", "of nothing", recvfrom_nothing);
    both(&mut cases, "recvmsg", "of UDP", recvmsg);
    both(&mut cases, "recvmmsg", "of UDP", recvmmsg);
    // These are calls of their own in socketcall() alone.
    only_compat(&mut cases, "send", "on a connection", send);
    only_compat(&mut cases, "recv", "of a connection", recv);
    cases
}

fn number(socket: &impl std::os::fd::AsRawFd) -> i64 {
    i64::from(socket.as_raw_fd())
}

/// `struct sockaddr_in` of a port of the loopback device.
fn address(port: u16) -> Vec<u8> {
    let mut bytes = 2u16.to_ne_bytes().to_vec();
    bytes.extend(port.to_be_bytes());
    bytes.extend([127, 0, 0, 1]);
    bytes.extend([0; 8]);
    bytes
}

/// `struct sockaddr_un`.
fn path_address(path: &str) -> Vec<u8> {
    let mut bytes = 1u16.to_ne_bytes().to_vec();
    bytes.extend(path.as_bytes());
    bytes.push(0);
    bytes
}

fn port_of_udp(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

fn pair(from: u16, to: u16) -> String {
    format!("127.0.0.1:{from}->127.0.0.1:{to}")
}

/// A socket and what it is connected to.
fn socket(expected: Expected, fd: i64, kind: &str, name: &str) -> Expected {
    let stat = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap();
    expected
        .is("fd", format!("<{kind}>{name}"), fd)
        .field("fd.num", is(fd))
        .field("fd.name", is(name))
        .field("fd.l4proto", is(if kind.ends_with('t') { "tcp" } else { "udp" }))
        .field("fd.ino", is(stat.ino()))
        .field("fd.dev", is(format!("{:X}", stat.dev())))
}

fn tuple(expected: Expected, tuple: &str) -> Expected {
    expected.same("tuple", tuple)
}

fn new_socket(actor: &Actor) -> i64 {
    let fd = actor.call(SOCKET, &[2, 1, 0]);
    assert!(fd >= 0, "{fd}");
    fd
}

fn socket_tcp(actor: &Actor) -> Expected {
    let kind = i64::from(libc::SOCK_STREAM | libc::SOCK_CLOEXEC);
    let fd = actor.call(SOCKET, &[2, kind, 6]);
    assert!(fd >= 0, "{fd}");
    Expected::of(fd)
        .arg("fd", Want::Starts("<4t>".to_owned()), is(fd))
        .is("domain", "AF_INET", 2)
        .some("type", || Want::Positive)
        .same("proto", 6)
        .is("flags", "O_CLOEXEC", "1000")
        .field("fd.num", is(fd))
        .field("fd.type", is("ipv4"))
        .field("fd.l4proto", is("tcp"))
}

fn socket_packet(actor: &Actor) -> Expected {
    let fd = actor.call(SOCKET, &[17, 3, 0]);
    assert!(fd >= 0, "{fd}");
    Expected::of(fd)
        .arg("fd", Want::Starts("<".to_owned()), is(fd))
        .is("domain", "AF_PACKET", 17)
        .same("type", 3)
        .same("proto", 0)
        .is("flags", "O_NONE", 0)
}

fn socket_unknown(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SOCKET, &[99, 1, 0]), -97);
    Expected::of(-97)
        .is("fd", "EAFNOSUPPORT", -97)
        .same("domain", 99)
        .same("type", 1)
        .same("proto", 0)
        .is("flags", "O_NONE", 0)
}

fn bind(actor: &Actor) -> Expected {
    let kept = Port::new();
    let port = kept.number;
    let fd = new_socket(actor);
    reuse(fd);
    assert_eq!(actor.call(BIND, &[fd, actor.bytes(&address(port)), 16]), 0);
    socket(Expected::res(0), fd, "4t", &format!("127.0.0.1:{port}")).same("addr", format!("127.0.0.1:{port}"))
}

fn bind_path(actor: &Actor) -> Expected {
    let fd = actor.call(SOCKET, &[1, 1, 0]);
    let path = actor.path("socket");
    let bytes = path_address(&path);
    let length = i64::try_from(bytes.len()).unwrap();
    assert_eq!(actor.call(BIND, &[fd, actor.bytes(&bytes), length]), 0);
    Expected::res(0)
        .same("addr", &path)
        .arg("fd", Want::Starts("<u>".to_owned()), is(fd))
        .field("fd.name", Want::Ends(path))
}

/// Lets the socket listen on a [`Port`].
fn reuse(fd: i64) {
    // SAFETY: the tests' own descriptor is open.
    let fd = unsafe { BorrowedFd::borrow_raw(fd as i32) };
    nix::sys::socket::setsockopt(&fd, sockopt::ReuseAddr, &true).unwrap();
}

fn local_port(fd: i64) -> u16 {
    let mut name = [0u8; 16];
    let mut length = 16;
    // SAFETY: live buffers.
    unsafe { libc::getsockname(fd as i32, name.as_mut_ptr().cast(), &raw mut length) };
    u16::from_be_bytes([name[2], name[3]])
}

fn connect_by(actor: &Actor, call: Call) -> Expected {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let fd = new_socket(actor);
    assert_eq!(actor.call(call, &[fd, actor.bytes(&address(port)), 16]), 0);
    let name = pair(local_port(fd), port);
    let expected = tuple(socket(Expected::res(0), fd, "4t", &name), &name);
    expected
        .same("addr", format!("127.0.0.1:{port}"))
        .field("fd.type", is("ipv4"))
        .field("fd.typechar", is("4"))
        .field("fd.sip", is("127.0.0.1"))
        .field("fd.sport", is(port))
        .field("fd.cport", is(local_port(fd)))
}

fn connect(actor: &Actor) -> Expected {
    connect_by(actor, CONNECT)
}

fn connect_direct(actor: &Actor) -> Expected {
    connect_by(actor, CONNECT_DIRECT)
}

fn connect_refused(actor: &Actor) -> Expected {
    let kept = Port::new();
    let port = kept.number;
    let fd = new_socket(actor);
    assert_eq!(actor.call(CONNECT, &[fd, actor.bytes(&address(port)), 16]), -111);
    Expected::res(-111)
        .arg("fd", Want::Starts("<4t>".to_owned()), is(fd))
        .arg(
            "tuple",
            Want::Ends(format!("->127.0.0.1:{port}")),
            Want::Ends(format!("->127.0.0.1:{port}")),
        )
        .same("addr", format!("127.0.0.1:{port}"))
        .field("fd.num", is(fd))
}

fn connect_path(actor: &Actor) -> Expected {
    let path = actor.path("listener");
    let _listener = UnixListener::bind(&path).unwrap();
    let fd = actor.call(SOCKET, &[1, 1, 0]);
    let bytes = path_address(&path);
    let length = i64::try_from(bytes.len()).unwrap();
    assert_eq!(actor.call(CONNECT, &[fd, actor.bytes(&bytes), length]), 0);
    let end = format!(" {path}");
    Expected::res(0)
        .same("addr", &path)
        .arg("tuple", Want::Ends(end.clone()), Want::Ends(end.clone()))
        .arg("fd", Want::Starts("<u>".to_owned()), is(fd))
        .field("fd.type", is("unix"))
        .field("fd.name", Want::Ends(path))
}

fn listen(actor: &Actor) -> Expected {
    let kept = Port::new();
    let port = kept.number;
    let fd = new_socket(actor);
    reuse(fd);
    assert_eq!(actor.call(BIND, &[fd, actor.bytes(&address(port)), 16]), 0);
    assert_eq!(actor.call(LISTEN, &[fd, 7]), 0);
    socket(Expected::res(0), fd, "4t", &format!("127.0.0.1:{port}")).same("backlog", 7)
}

fn listen_file(actor: &Actor) -> Expected {
    let path = actor.file("file", "");
    let fd = actor.open(&path, libc::O_RDONLY);
    assert_eq!(actor.call(LISTEN, &[fd, -5]), -88);
    Expected::res(-88)
        .is("fd", format!("<f>{path}"), fd)
        .same("backlog", -5)
}

fn accept_by(actor: &Actor, call: Call) -> (Expected, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: an open descriptor.
    unsafe { libc::listen(listener.as_raw_fd(), 7) };
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let fd = actor.call(call, &[number(&listener), 0, 0, 0]);
    assert!(fd >= 0, "{fd}");
    let name = pair(client.local_addr().unwrap().port(), port);
    let expected = tuple(socket(Expected::of(fd), fd, "4t", &name), &name)
        .same("queuepct", 0)
        .same("queuelen", 0)
        .same("queuemax", 7)
        .field("fd.sport", is(port))
        .field("fd.cip", is("127.0.0.1"));
    (expected, listener)
}

fn accept(actor: &Actor) -> Expected {
    accept_by(actor, ACCEPT).0
}

fn accept4(actor: &Actor) -> Expected {
    accept_by(actor, ACCEPT4).0.same("flags", 0)
}

fn accept_nothing(actor: &Actor) -> Expected {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(actor.call(ACCEPT4, &[number(&listener), 0, 0, 0]), -11);
    Expected::of(-11)
        .is("fd", "EAGAIN", -11)
        .arg("tuple", is("NULL"), Want::Missing)
        .same("queuepct", 0)
        .same("queuelen", 0)
        .some("queuemax", || Want::Number)
        .same("flags", 0)
}

fn socketpair(actor: &Actor) -> Expected {
    let numbers = actor.words(&[0, 0]);
    assert_eq!(actor.call(SOCKETPAIR, &[1, 1, 0, numbers]), 0);
    let bytes: [u8; 8] = actor.read(numbers);
    let first = i32::from_ne_bytes(bytes[..4].try_into().unwrap());
    let second = i32::from_ne_bytes(bytes[4..].try_into().unwrap());
    Expected::res(0)
        .arg("fd1", Want::Starts("<u>".to_owned()), is(first))
        .arg("fd2", Want::Starts("<u>".to_owned()), is(second))
        .some("source", || Want::Hex)
        .some("peer", || Want::Hex)
        .is("domain", "AF_LOCAL|AF_UNIX", 1)
        .same("type", 1)
        .same("proto", 0)
}

fn shutdown(actor: &Actor) -> Expected {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(actor.call(SHUTDOWN, &[number(&client), 1]), 0);
    let name = pair(client.local_addr().unwrap().port(), port);
    socket(Expected::res(0), number(&client), "4t", &name).is("how", "SHUT_WR", 1)
}

fn getsockopt(actor: &Actor) -> Expected {
    let fd = new_socket(actor);
    let (value, length) = (actor.words(&[0]), actor.words(&[4]));
    assert_eq!(actor.call(GETSOCKOPT, &[fd, 1, 3, value, length]), 0);
    Expected::res(0)
        .arg("fd", Want::Starts("<4t>".to_owned()), is(fd))
        .is("level", "SOL_SOCKET", 1)
        .is("optname", "SO_TYPE", 3)
        .same("val", 1)
        .same("optlen", 4)
}

fn setsockopt(actor: &Actor) -> Expected {
    let fd = new_socket(actor);
    let value = actor.words(&[54321]);
    assert_eq!(actor.call(SETSOCKOPT, &[fd, 1, 8, value, 4]), 0);
    Expected::res(0)
        .arg("fd", Want::Starts("<4t>".to_owned()), is(fd))
        .is("level", "SOL_SOCKET", 1)
        .is("optname", "SO_RCVBUF", 8)
        .same("val", 54321)
        .same("optlen", 4)
}

/// Two sockets, and the tuple of a datagram from the first to the second.
fn datagrams() -> (UdpSocket, UdpSocket, String) {
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = pair(port_of_udp(&from), port_of_udp(&to));
    (from, to, name)
}

fn sendto(actor: &Actor) -> Expected {
    let (from, to, name) = datagrams();
    let target = actor.bytes(&address(port_of_udp(&to)));
    let arguments = [number(&from), actor.bytes(b"datagram"), 8, 0, target, 16];
    assert_eq!(actor.call(SENDTO, &arguments), 8);
    tuple(socket(Expected::res(8), number(&from), "4u", &name), &name)
        .same("data", "datagram")
        .same("size", 8)
}

fn sendto_bad(actor: &Actor) -> Expected {
    let target = actor.bytes(&address(9));
    let arguments = [999, actor.bytes(b"datagram"), 8, 0, target, 16];
    assert_eq!(actor.call(SENDTO, &arguments), -9);
    Expected::res(-9)
        .arg("fd", is(999), is(999))
        .same("data", "datagram")
        .same("size", 8)
        .arg("tuple", is("NULL"), Want::Missing)
}

fn message(actor: &Actor, name: i64, data: i64, length: i64) -> i64 {
    let iovec = actor.longs(&[data, length]);
    let size = if name == 0 { 0 } else { 16 };
    actor.longs(&[name, size, iovec, 1, 0, 0, 0, 0])
}

fn sendmsg(actor: &Actor) -> Expected {
    let (from, to, name) = datagrams();
    let target = actor.bytes(&address(port_of_udp(&to)));
    let message = message(actor, target, actor.bytes(b"message"), 7);
    assert_eq!(actor.call(SENDMSG, &[number(&from), message, 0]), 7);
    tuple(socket(Expected::res(7), number(&from), "4u", &name), &name)
        .same("data", "message")
        .same("size", 7)
}

fn sendmmsg(actor: &Actor) -> Expected {
    let (from, to, name) = datagrams();
    let target = actor.bytes(&address(port_of_udp(&to)));
    let message = message(actor, target, actor.bytes(b"message"), 7);
    assert_eq!(actor.call(SENDMMSG, &[number(&from), message, 1, 0]), 1);
    // Falco makes an event of every message, whose result is its length.
    tuple(socket(Expected::res(7), number(&from), "4u", &name), &name)
        .same("data", "message")
        .same("size", 7)
}

fn received() -> (UdpSocket, UdpSocket, String) {
    let (from, to, name) = datagrams();
    from.send_to(b"datagram", to.local_addr().unwrap()).unwrap();
    (from, to, name)
}

/// What a datagram does where it arrives.
fn incoming(fd: i64, name: &str) -> Expected {
    let to = name.rsplit(':').next().unwrap();
    // In the order of the tuple: whose first datagram comes in is a server.
    tuple(socket(Expected::res(8), fd, "4u", name), name).field("fd.sport", is(to))
}

fn recvfrom(actor: &Actor) -> Expected {
    let (_from, to, name) = received();
    let source = actor.bytes(&[0; 16]);
    let buffer = actor.bytes(&[0; 100]);
    let arguments = [number(&to), buffer, 100, 0, source, actor.words(&[16])];
    assert_eq!(actor.call(RECVFROM, &arguments), 8);
    incoming(number(&to), &name)
        .same("data", "datagram")
        .same("size", 100)
}

fn recvfrom_nothing(actor: &Actor) -> Expected {
    let (_from, to, _name) = datagrams();
    let buffer = actor.bytes(&[0; 100]);
    let flags = i64::from(libc::MSG_DONTWAIT);
    assert_eq!(
        actor.call(RECVFROM, &[number(&to), buffer, 100, flags, 0, 0]),
        -11
    );
    Expected::res(-11)
        .arg("fd", Want::Starts("<".to_owned()), is(number(&to)))
        .arg("data", is("NULL"), Want::Missing)
        .some("tuple", || Want::Holds("->".to_owned()))
        .same("size", 100)
}

fn recvmsg(actor: &Actor) -> Expected {
    let (_from, to, name) = received();
    let source = actor.bytes(&[0; 16]);
    let message = message(actor, source, actor.bytes(&[0; 100]), 100);
    assert_eq!(actor.call(RECVMSG, &[number(&to), message, 0]), 8);
    incoming(number(&to), &name)
        .same("data", "datagram")
        // What came, not what there was room for.
        .same("size", 8)
        .arg("msgcontrol", is("NULL"), Want::Missing)
}

fn recvmmsg(actor: &Actor) -> Expected {
    let (_from, to, name) = received();
    let source = actor.bytes(&[0; 16]);
    let message = message(actor, source, actor.bytes(&[0; 100]), 100);
    assert_eq!(actor.call(RECVMMSG, &[number(&to), message, 1, 0, 0]), 1);
    incoming(number(&to), &name)
        .same("data", "datagram")
        .some("size", || Want::Positive)
        .arg("msgcontrol", is("NULL"), Want::Missing)
}

fn connected() -> (TcpStream, TcpStream, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let server = listener.accept().unwrap().0;
    let name = format!("{}->{address}", client.local_addr().unwrap());
    (client, server, name)
}

fn send(actor: &Actor) -> Expected {
    let (client, _server, name) = connected();
    let arguments = [number(&client), actor.bytes(b"stream"), 6, 0];
    assert_eq!(actor.call(Call(0, SOCKETCALL + 9), &arguments), 6);
    tuple(socket(Expected::res(6), number(&client), "4t", &name), &name)
        .same("data", "stream")
        .same("size", 6)
}

fn recv(actor: &Actor) -> Expected {
    let (mut client, server, name) = connected();
    client.write_all(b"stream").unwrap();
    let arguments = [number(&server), actor.bytes(&[0; 50]), 50, 0];
    assert_eq!(actor.call(Call(0, SOCKETCALL + 10), &arguments), 6);
    tuple(socket(Expected::res(6), number(&server), "4t", &name), &name)
        .same("data", "stream")
        .same("size", 50)
}
