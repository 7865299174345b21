//! Connections, and what is sent over them.

use std::io::Read;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

pub(crate) fn sockets(dir: &str) -> Result<()> {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else {
        println!("skip no loopback network in this guest: sockets of IP");
        for event in [
            "connect",
            "sendto",
            "sendmsg",
            "bind",
            "accept",
            "accept4",
            "recvfrom",
            "shutdown",
            "getsockopt",
            "setsockopt",
            "sendmmsg",
            "recvmmsg",
        ] {
            omit(event);
        }
        local_socket(dir)?;
        return local_pairs(dir);
    };
    let address = listener.local_addr()?;
    let client = TcpStream::connect(address)?;
    let fd = client.as_raw_fd().to_string();
    let tuple = format!("{}>{address}", client.local_addr()?);
    expect(
        "connect",
        &[
            ("res", "0"),
            ("fd", &fd),
            ("tuple", &tuple),
            ("addr", &format!("?>{address}")),
        ],
    );
    let port = address.port();
    drop((client, listener));
    let refused = TcpStream::connect(("127.0.0.1", port));
    assert!(refused.is_err());
    expect(
        "connect",
        &[("res", "-111"), ("addr", &format!("?>127.0.0.1:{port}"))],
    );
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    udp.connect("127.0.0.1:53")?;
    expect(
        "connect",
        &[
            ("res", "0"),
            ("tuple", &format!("{}>127.0.0.1:53", udp.local_addr()?)),
        ],
    );
    if let Ok(listener) = TcpListener::bind("[::1]:0") {
        let address = listener.local_addr()?;
        let client = TcpStream::connect(address)?;
        let end = |a: SocketAddr| format!("{}:{}", a.ip(), a.port());
        expect(
            "connect",
            &[
                ("res", "0"),
                (
                    "tuple",
                    &format!("{}>{}", end(client.local_addr()?), end(address)),
                ),
            ],
        );
    } else {
        println!("skip no IPv6 here: connect to ::1");
    }
    datagrams()?;
    datagrams_of_ipv6()?;
    streams()?;
    binds(dir)?;
    accepts()?;
    nonblocking()?;
    received_datagrams()?;
    received_streams()?;
    options()?;
    local_socket(dir)?;
    local_pairs(dir)
}

fn local_socket(dir: &str) -> Result<()> {
    let path = format!("{dir}/sock");
    let listener = UnixListener::bind(&path)?;
    let client = UnixStream::connect(&path)?;
    expect(
        "connect",
        &[
            ("res", "0"),
            ("fd", &client.as_raw_fd().to_string()),
            ("tuple", &format!("?>?{path}")),
        ],
    );
    let server = accept(listener.as_raw_fd());
    let n = server.as_raw_fd().to_string();
    expect(
        "connect",
        &[("res", "0"), ("tuple.own", "$client"), ("tuple.peer", "$server")],
    );
    expect(
        "accept",
        &[
            ("fd", &n),
            ("tuple", &format!("?>?{path}")),
            ("tuple.own", "$server"),
            ("tuple.peer", "$client"),
            ("fd.type", "unix"),
            ("fd.is_server", "true"),
            ("fd.connected", "true"),
        ],
    );
    // Without an address a local socket is known by its peer's path; the server's end by its own.
    for (data, fd) in [("asks", client.as_raw_fd()), ("answers", server.as_raw_fd())] {
        let is_server = if data == "asks" { "false" } else { "true" };
        assert_eq!(
            sys!(libc::SYS_sendto, fd, data.as_ptr(), data.len(), 0, 0, 0),
            i64::try_from(data.len())?
        );
        expect(
            "sendto",
            &[
                ("data", data),
                ("tuple", &format!("?>?{path}")),
                ("fd.type", "unix"),
                ("fd.connected", "true"),
                ("fd.is_server", is_server),
            ],
        );
    }
    for (data, fd) in [("asks", server.as_raw_fd()), ("answers", client.as_raw_fd())] {
        assert_eq!(receive(fd, data.len()), i64::try_from(data.len())?);
        expect(
            "recvfrom",
            &[
                ("data", data),
                ("tuple", &format!("?>?{path}")),
                ("fd.num", &fd.to_string()),
                ("fd.type", "unix"),
                ("fd.connected", "true"),
            ],
        );
    }
    Ok(())
}

fn sockaddr(to: SocketAddr) -> libc::sockaddr_in {
    let SocketAddr::V4(to) = to else {
        unreachable!("only IPv4 is sent to by address");
    };
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*to.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn send_to(fd: c_int, data: &[u8], to: SocketAddr) -> i64 {
    let address = sockaddr(to);
    sys!(
        libc::SYS_sendto,
        fd,
        data.as_ptr(),
        data.len(),
        0,
        &raw const address,
        std::mem::size_of_val(&address)
    )
}

fn datagrams() -> Result<()> {
    let [first, second] = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    let (to, other) = (first.local_addr()?, second.local_addr()?);
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    let (fd, from) = (sender.as_raw_fd(), sender.local_addr()?);
    let fd_text = fd.to_string();
    // The first to a peer changes the name of the socket, the next does not, and another peer's does.
    for (data, to, changed) in [
        ("one", to, "true"),
        ("two", to, "false"),
        ("three", other, "true"),
    ] {
        let result = send_to(fd, data.as_bytes(), to);
        assert_eq!(result, i64::try_from(data.len())?);
        expect(
            "sendto",
            &[
                ("res", &result.to_string()),
                ("data", data),
                ("fd", &fd_text),
                ("size", &data.len().to_string()),
                ("tuple", &format!("{from}>{to}")),
                ("fd.num", &fd_text),
                ("fd.type", "ipv4"),
                ("fd.connected", "false"),
                ("fd.name_changed", changed),
                ("fd.is_server", "false"),
            ],
        );
    }
    // A connected one needs no address, and goes elsewhere all the same when it is given one.
    sender.connect(to)?;
    sender.send(b"four")?;
    let sent = |data: &str, to: SocketAddr, connected: &str, changed: &str| {
        expect(
            "sendto",
            &[
                ("data", data),
                ("tuple", &format!("{from}>{to}")),
                ("fd.connected", connected),
                ("fd.name_changed", changed),
            ],
        );
    };
    sent("four", to, "true", "false");
    assert_eq!(send_to(fd, b"five", other), 4);
    sent("five", other, "false", "false");
    let broken = send_to(-1, b"six", to);
    expect(
        "sendto",
        &[
            ("res", &broken.to_string()),
            ("data", "six"),
            ("fd", "-1"),
            ("tuple", "<none>"),
            ("fd.name_changed", "false"),
        ],
    );
    message(&sender, from, other)
}

/// A socket of IPv6 sends to both kinds of address; to IPv4 it is one of IPv4.
fn datagrams_of_ipv6() -> Result<()> {
    let (Ok(sender), Ok(near)) = (UdpSocket::bind("[::]:0"), UdpSocket::bind("[::1]:0")) else {
        println!("skip no IPv6 here: datagrams to ::1");
        return Ok(());
    };
    let v4 = UdpSocket::bind("127.0.0.1:0")?;
    let mapped = format!("::ffff:127.0.0.1:{}", v4.local_addr()?.port());
    let port = near.local_addr()?.port();
    sender.send_to(b"to six", ("::1", port))?;
    sender.send_to(b"to four", ("::ffff:127.0.0.1", v4.local_addr()?.port()))?;
    let from = format!(":::{}", sender.local_addr()?.port());
    for (data, tuple, kind) in [
        ("to six", format!("{from}>::1:{port}"), "ipv6"),
        ("to four", format!("{from}>{mapped}"), "ipv4"),
    ] {
        expect(
            "sendto",
            &[
                ("data", data),
                ("tuple", &tuple),
                ("fd.type", kind),
                ("fd.connected", "false"),
                ("fd.name_changed", "true"),
            ],
        );
    }
    Ok(())
}

/// One message of three parts, whose last is longer than what is kept.
fn message(sender: &UdpSocket, from: SocketAddr, to: SocketAddr) -> Result<()> {
    let tail = "x".repeat(100);
    let parts = ["head ", "", &tail];
    let mut vectors = parts.map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    let mut address = sockaddr(to);
    // SAFETY: all of its members may be zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = (&raw mut address).cast();
    header.msg_namelen = libc::socklen_t::try_from(std::mem::size_of_val(&address))?;
    header.msg_iov = vectors.as_mut_ptr();
    header.msg_iovlen = vectors.len() as _;
    let result = sys!(libc::SYS_sendmsg, sender.as_raw_fd(), &raw const header, 0);
    assert_eq!(result, 105);
    expect(
        "sendmsg",
        &[
            ("res", "105"),
            ("data", &format!("head {}", &tail[..85])),
            ("fd", &sender.as_raw_fd().to_string()),
            ("size", "105"),
            ("tuple", &format!("{from}>{to}")),
            ("fd.type", "ipv4"),
            ("fd.connected", "false"),
        ],
    );
    Ok(())
}

/// Both ends of a TCP connection send: one is the client's, one the server's.
fn streams() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let (near, far) = (client.local_addr()?, client.peer_addr()?);
    let elsewhere = SocketAddr::V4(SocketAddrV4::new([127, 0, 0, 9].into(), 9));
    // TCP takes no notice of an address.
    assert_eq!(send_to(client.as_raw_fd(), b"from client", elsewhere), 11);
    let sent = |data: &str, tuple: &str, fd: c_int, is_server: &str| {
        expect(
            "sendto",
            &[
                ("data", data),
                ("tuple", tuple),
                ("fd.num", &fd.to_string()),
                ("fd.connected", "true"),
                ("fd.name_changed", "false"),
                ("fd.is_server", is_server),
            ],
        );
    };
    sent(
        "from client",
        &format!("{near}>{far}"),
        client.as_raw_fd(),
        "false",
    );
    std::io::Write::write_all(&mut server, b"from server")?; // send(3): std does not write(2) to sockets
    server.read_exact(&mut [0; 11])?;
    sent(
        "from server",
        &format!("{far}>{near}"),
        server.as_raw_fd(),
        "true",
    );
    Ok(())
}

/// A descriptor that a raw call returned.
fn owned(fd: i64) -> OwnedFd {
    assert!(fd >= 0, "{fd}");
    // SAFETY: a descriptor that was just made, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd as c_int) }
}

fn accept(listener: c_int) -> OwnedFd {
    owned(sys!(libc::SYS_accept, listener, 0, 0))
}

/// `recv(3)` into a buffer as long as `len`.
fn receive(fd: c_int, len: usize) -> i64 {
    let mut buffer = vec![0u8; len];
    sys!(
        libc::SYS_recvfrom,
        fd,
        buffer.as_mut_ptr(),
        len,
        libc::MSG_DONTWAIT,
        0,
        0
    )
}

fn bind(fd: c_int, address: SocketAddr) -> i64 {
    let address = sockaddr(address);
    sys!(
        libc::SYS_bind,
        fd,
        &raw const address,
        std::mem::size_of_val(&address)
    )
}

fn binds(dir: &str) -> Result<()> {
    // Of a port that is free for one protocol the other may be in use.
    let free = std::iter::repeat_with(|| {
        let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
        let address = udp.local_addr().ok()?;
        TcpListener::bind(address).is_ok().then_some(address)
    });
    let free = free.take(100).flatten().next().ok_or("no port is free")?;
    let any: SocketAddr = "127.0.0.1:0".parse()?;
    let nowhere: SocketAddr = "203.0.113.77:9".parse()?;
    for (kind, to) in [
        (libc::SOCK_DGRAM, free),
        (libc::SOCK_STREAM, free),
        (libc::SOCK_STREAM, any),
        (libc::SOCK_DGRAM, nowhere),
    ] {
        let socket = owned(sys!(libc::SYS_socket, libc::AF_INET, kind, 0));
        let fd = socket.as_raw_fd();
        let result = bind(fd, to);
        assert_eq!(result, if to == nowhere { -99 } else { 0 });
        let found = to == free;
        expect(
            "bind",
            &[
                ("res", &result.to_string()),
                ("addr", &format!("?>{to}")),
                ("fd", &fd.to_string()),
                ("fd.num", &fd.to_string()),
                ("fd.type", "ipv4"),
                ("fd.connected", "false"),
                // A port of its own choice makes a server; one that the kernel chose does not.
                ("fd.is_server", if found { "true" } else { "false" }),
                ("fd.name_changed", if result == 0 { "true" } else { "false" }),
            ],
        );
        if found {
            expect(
                "bind",
                &[("tuple", &format!("{free}>?")), ("fd", &fd.to_string())],
            );
        }
    }
    if let Ok(six) = UdpSocket::bind("[::1]:0") {
        expect(
            "bind",
            &[
                ("res", "0"),
                ("addr", "?>::1:0"),
                ("tuple", &format!("::1:{}>?", six.local_addr()?.port())),
                ("fd.type", "ipv6"),
            ],
        );
    }
    if let Ok(mapped) = UdpSocket::bind("[::ffff:127.0.0.1]:0") {
        expect(
            "bind",
            &[
                ("addr", "?>::ffff:127.0.0.1:0"),
                ("fd", &mapped.as_raw_fd().to_string()),
                ("fd.type", "ipv4"),
            ],
        );
    }
    let path = format!("{dir}/bound");
    let local = std::os::unix::net::UnixDatagram::bind(&path)?;
    expect(
        "bind",
        &[
            ("addr", &format!("?>?{path}")),
            ("fd", &local.as_raw_fd().to_string()),
            ("fd.type", "unix"),
            ("fd.is_server", "false"),
        ],
    );
    let netlink = owned(sys!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0));
    // SAFETY: all of its members may be zero.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    let len = std::mem::size_of_val(&address);
    assert_eq!(
        sys!(libc::SYS_bind, netlink.as_raw_fd(), &raw const address, len),
        0
    );
    expect(
        "bind",
        &[
            ("res", "0"),
            ("fd", &netlink.as_raw_fd().to_string()),
            ("fd.type", "netlink"),
            ("fd.is_server", "false"),
            ("fd.name_changed", "false"),
        ],
    );
    Ok(())
}

fn accepts() -> Result<()> {
    // Of three that came one is taken, and two wait, of seven that may.
    let listener = owned(sys!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0));
    assert_eq!(bind(listener.as_raw_fd(), "127.0.0.1:0".parse()?), 0);
    assert_eq!(sys!(libc::SYS_listen, listener.as_raw_fd(), 7), 0);
    let listener = TcpListener::from(listener);
    let here = listener.local_addr()?;
    expect(
        "listen",
        &[
            ("backlog", "7"),
            ("fd.tuple", &format!("{here}>?")),
            ("fd.is_server", "true"),
        ],
    );
    let clients = [
        TcpStream::connect(here)?,
        TcpStream::connect(here)?,
        TcpStream::connect(here)?,
    ];
    let first = accept(listener.as_raw_fd());
    let of = |client: &TcpStream| Ok::<_, std::io::Error>(format!("{here}>{}", client.local_addr()?));
    expect(
        "accept",
        &[
            ("fd", &first.as_raw_fd().to_string()),
            ("tuple", &of(&clients[0])?),
            ("queuepct", "28"),
            ("queuelen", "2"),
            ("queuemax", "7"),
            ("fd.num", &first.as_raw_fd().to_string()),
            ("fd.type", "ipv4"),
            ("fd.is_server", "true"),
            ("fd.connected", "true"),
            ("fd.name_changed", "true"),
        ],
    );
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let second = owned(sys!(libc::SYS_accept4, listener.as_raw_fd(), 0, 0, flags));
    expect(
        "accept4",
        &[
            ("fd", &second.as_raw_fd().to_string()),
            ("tuple", &of(&clients[1])?),
            ("queuepct", "14"),
            ("queuelen", "1"),
            ("queuemax", "7"),
            ("flags", &flags.to_string()),
            ("fd.is_server", "true"),
            ("fd.connected", "true"),
        ],
    );
    listener.accept()?;
    listener.set_nonblocking(true)?;
    for event in ["accept", "accept4"] {
        let fd = listener.as_raw_fd();
        let refused = match event {
            "accept" => sys!(libc::SYS_accept, fd, 0, 0),
            _ => sys!(libc::SYS_accept4, fd, 0, 0, 0),
        };
        assert_eq!(refused, -11);
        let none = [
            ("fd", "-11"),
            ("tuple", "<none>"),
            ("queuepct", "0"),
            ("queuelen", "0"),
            ("queuemax", "0"),
        ];
        expect(event, &none);
        expect(
            event,
            &[("fd", "-11"), ("fd.num", "-1"), ("fd.is_server", "false")],
        );
    }
    if let Ok(listener) = TcpListener::bind("[::]:0") {
        let port = listener.local_addr()?.port();
        let near = TcpStream::connect(("::1", port))?;
        let mapped = TcpStream::connect(("127.0.0.1", port))?;
        // std calls accept4.
        drop((listener.accept()?, listener.accept()?));
        let end = |a: SocketAddr| format!("{}:{}", a.ip(), a.port());
        let tuple = format!("{}>{}", end(near.peer_addr()?), end(near.local_addr()?));
        expect(
            "accept4",
            &[("tuple", &tuple), ("fd.type", "ipv6"), ("fd.is_server", "true")],
        );
        let tuple = format!("::ffff:{}>::ffff:{}", mapped.peer_addr()?, mapped.local_addr()?);
        expect(
            "accept4",
            &[("tuple", &tuple), ("fd.type", "ipv4"), ("fd.is_server", "true")],
        );
    } else {
        println!("skip no IPv6 here: accept from ::1");
    }
    Ok(())
}

/// A connection that goes on by itself has its name already; one that is undone is connected no more.
fn nonblocking() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let socket = owned(sys!(libc::SYS_socket, libc::AF_INET, kind, 6));
    let fd = socket.as_raw_fd().to_string();
    let flags = (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC).to_string();
    expect(
        "socket",
        &[
            ("fd", &fd),
            ("domain", "2"),
            ("type", &kind.to_string()),
            ("proto", "6"),
            ("flags", &flags),
            ("fd.type", "ipv4"),
            ("fd.name_changed", "false"),
        ],
    );
    let address = sockaddr(to);
    let len = std::mem::size_of_val(&address);
    let result = sys!(libc::SYS_connect, socket.as_raw_fd(), &raw const address, len);
    assert_eq!(result, -115);
    let tuple = format!("{}>{to}", TcpStream::from(socket).local_addr()?);
    let named = [
        ("res", "-115"),
        ("fd", &fd),
        ("tuple", &tuple),
        ("fd.name_changed", "true"),
    ];
    expect("connect", &named);
    expect(
        "connect",
        &[
            ("res", "-115"),
            ("addr", &format!("?>{to}")),
            ("fd.is_server", "false"),
        ],
    );
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    udp.connect("127.0.0.1:53")?;
    let nobody: libc::sa_family_t = libc::AF_UNSPEC as libc::sa_family_t;
    let address = [nobody; 8];
    assert_eq!(sys!(libc::SYS_connect, udp.as_raw_fd(), address.as_ptr(), 16), 0);
    let fd = udp.as_raw_fd().to_string();
    expect("connect", &[("res", "0"), ("fd", &fd), ("fd.connected", "false")]);
    Ok(())
}

/// What `recvfrom` says of where datagrams came from, and the names they give their socket.
fn received_datagrams() -> Result<()> {
    let [first, second] = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    let free = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    let receiver = owned(sys!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0));
    assert_eq!(bind(receiver.as_raw_fd(), free), 0);
    let receiver = UdpSocket::from(receiver);
    let fd = receiver.as_raw_fd().to_string();
    for (data, from, changed) in [
        ("uno", &first, "true"),
        ("due", &first, "false"),
        ("tre", &second, "true"),
    ] {
        from.send_to(data.as_bytes(), free)?;
        receiver.recv_from(&mut [0; 64])?;
        expect(
            "recvfrom",
            &[
                ("res", "3"),
                ("data", data),
                ("tuple", &format!("{free}>{}", from.local_addr()?)),
                ("fd", &fd),
                ("size", "64"),
                ("fd.num", &fd),
                ("fd.type", "ipv4"),
                ("fd.connected", "false"),
                ("fd.name_changed", changed),
                ("fd.is_server", "true"),
            ],
        );
    }
    // It answers as the server it is; the peer's name has not changed.
    receiver.send_to(b"quattro", second.local_addr()?)?;
    expect(
        "sendto",
        &[
            ("data", "quattro"),
            ("fd.name_changed", "false"),
            ("fd.is_server", "true"),
        ],
    );
    second.recv_from(&mut [0; 9])?;
    let tuple = format!("{}>{free}", second.local_addr()?);
    expect(
        "recvfrom",
        &[
            ("data", "quattro"),
            ("size", "9"),
            ("tuple", &tuple),
            ("fd.is_server", "false"),
        ],
    );
    assert_eq!(receive(receiver.as_raw_fd(), 5), -11);
    expect(
        "recvfrom",
        &[
            ("res", "-11"),
            ("data", "<none>"),
            ("size", "5"),
            ("fd.name_changed", "false"),
        ],
    );
    received_messages(&first, &receiver)
}

/// One message into three parts, and where it came from.
fn received_messages(sender: &UdpSocket, receiver: &UdpSocket) -> Result<()> {
    let (from, to) = (sender.local_addr()?, receiver.local_addr()?);
    sender.send_to(b"in three parts", to)?;
    let mut parts = [[0u8; 5], [0; 5], [0; 5]];
    let mut vectors = parts.each_mut().map(|part| libc::iovec {
        iov_base: part.as_mut_ptr().cast(),
        iov_len: part.len(),
    });
    let mut address = sockaddr("0.0.0.0:0".parse()?);
    // SAFETY: all of its members may be zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = (&raw mut address).cast();
    header.msg_namelen = libc::socklen_t::try_from(std::mem::size_of_val(&address))?;
    header.msg_iov = vectors.as_mut_ptr();
    header.msg_iovlen = vectors.len() as _;
    let fd = receiver.as_raw_fd();
    assert_eq!(sys!(libc::SYS_recvmsg, fd, &raw mut header, 0), 14);
    expect(
        "recvmsg",
        &[
            ("res", "14"),
            ("size", "14"),
            ("data", "in three parts"),
            ("tuple", &format!("{to}>{from}")),
            ("msgcontrol", "<none>"),
            ("fd", &fd.to_string()),
            ("fd.type", "ipv4"),
            ("fd.connected", "false"),
            ("fd.name_changed", "true"),
            ("fd.is_server", "true"),
        ],
    );
    messages()?;
    assert_eq!(
        sys!(libc::SYS_recvmsg, fd, &raw mut header, libc::MSG_DONTWAIT),
        -11
    );
    expect(
        "recvmsg",
        &[
            ("res", "-11"),
            ("size", "0"),
            ("data", "<none>"),
            ("msgcontrol", "<none>"),
            ("fd.num", &fd.to_string()),
        ],
    );
    Ok(())
}

/// Both ends of a TCP connection receive; what is left in the caller's memory for an address is nobody's.
fn received_streams() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    let (near, far) = (client.local_addr()?, client.peer_addr()?);
    let data = "x".repeat(100);
    for (from, to, tuple, is_server) in [
        (&client, &server, format!("{far}>{near}"), "true"),
        (&server, &client, format!("{near}>{far}"), "false"),
    ] {
        std::io::Write::write_all(&mut &*from, data.as_bytes())?;
        let mut buffer = [0u8; 200];
        let mut address = sockaddr("203.0.113.1:99".parse()?);
        let mut len = libc::socklen_t::try_from(std::mem::size_of_val(&address))?;
        let fd = to.as_raw_fd();
        let result = sys!(
            libc::SYS_recvfrom,
            fd,
            buffer.as_mut_ptr(),
            buffer.len(),
            0,
            &raw mut address,
            &raw mut len
        );
        assert_eq!(result, 100);
        expect(
            "recvfrom",
            &[
                ("res", "100"),
                ("data", &data[..90]),
                ("tuple", &tuple),
                ("fd", &fd.to_string()),
                ("size", "200"),
                ("fd.connected", "true"),
                ("fd.name_changed", "false"),
                ("fd.is_server", is_server),
            ],
        );
    }
    let (fd, how) = (client.as_raw_fd(), libc::SHUT_WR);
    assert_eq!(sys!(libc::SYS_shutdown, fd, how), 0);
    let tuple = format!("{near}>{far}");
    expect(
        "shutdown",
        &[
            ("res", "0"),
            ("fd", &fd.to_string()),
            ("how", "1"),
            ("fd.type", "ipv4"),
            ("fd.tuple", &tuple),
        ],
    );
    // The end of what comes has no data, and still a name.
    assert_eq!(
        sys!(
            libc::SYS_recvfrom,
            server.as_raw_fd(),
            [0u8; 8].as_mut_ptr(),
            8,
            0,
            0,
            0
        ),
        0
    );
    expect(
        "recvfrom",
        &[
            ("res", "0"),
            ("data", "<none>"),
            ("tuple", &format!("{far}>{near}")),
            ("fd.is_server", "true"),
        ],
    );
    let broken = sys!(libc::SYS_shutdown, -1, 7);
    expect(
        "shutdown",
        &[("res", &broken.to_string()), ("fd", "-1"), ("how", "7")],
    );
    Ok(())
}

fn options() -> Result<()> {
    let socket = owned(sys!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0));
    let fd = socket.as_raw_fd();
    let timeout = libc::timeval {
        tv_sec: 2,
        tv_usec: 500_000,
    };
    let len = std::mem::size_of_val(&timeout);
    let set = sys!(
        libc::SYS_setsockopt,
        fd,
        libc::SOL_SOCKET,
        libc::SO_RCVTIMEO,
        &raw const timeout,
        len
    );
    assert_eq!(set, 0);
    let linger = [1i32, 0];
    let nodelay = 1i32;
    for (level, option, value, size, name, wanted) in [
        (
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const timeout).cast::<u8>(),
            16,
            "20",
            "2500000000",
        ),
        (
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            linger.as_ptr().cast(),
            8,
            "13",
            "\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00",
        ),
        (
            libc::SOL_SOCKET,
            libc::SO_KEEPALIVE,
            (&raw const nodelay).cast(),
            4,
            "9",
            "1",
        ),
        (
            libc::SOL_TCP,
            libc::TCP_NODELAY,
            (&raw const nodelay).cast(),
            4,
            "0",
            "\\x01\\x00\\x00\\x00",
        ),
    ] {
        assert_eq!(sys!(libc::SYS_setsockopt, fd, level, option, value, size), 0);
        expect(
            "setsockopt",
            &[
                ("res", "0"),
                ("fd", &fd.to_string()),
                ("level", &level.to_string()),
                ("optname", name),
                ("val", wanted),
                ("optlen", &size.to_string()),
                ("fd.type", "ipv4"),
            ],
        );
    }
    // Back to what the options are known by below.
    let off = [0i32; 2];
    for (level, option, size) in [
        (libc::SOL_SOCKET, libc::SO_LINGER, 8),
        (libc::SOL_TCP, libc::TCP_NODELAY, 4),
    ] {
        assert_eq!(
            sys!(libc::SYS_setsockopt, fd, level, option, off.as_ptr(), size),
            0
        );
    }
    let refused = sys!(
        libc::SYS_setsockopt,
        -1,
        libc::SOL_SOCKET,
        libc::SO_KEEPALIVE,
        &raw const nodelay,
        4
    );
    expect(
        "setsockopt",
        &[
            ("res", &refused.to_string()),
            ("fd", "-1"),
            ("val", "1"),
            ("fd.type", "other"),
        ],
    );
    let mut buffer = [0u8; 16];
    for (level, option, size, name, value, len) in [
        (libc::SOL_SOCKET, libc::SO_TYPE, 4u32, "3", "1", "4"),
        (libc::SOL_SOCKET, libc::SO_ERROR, 4, "4", "0", "4"),
        (libc::SOL_SOCKET, libc::SO_RCVTIMEO, 16, "20", "2500000000", "16"),
        (libc::SOL_SOCKET, libc::SO_COOKIE, 8, "57", "$cookie", "8"),
        // A struct linger of two numbers, and an option of TCP: bytes.
        (libc::SOL_SOCKET, libc::SO_LINGER, 8, "13", "        ", "8"),
        (libc::SOL_TCP, libc::TCP_NODELAY, 4, "0", "    ", "4"),
        (libc::SOL_IP, libc::IP_TTL, 4, "0", "@   ", "4"),
    ] {
        let mut size = size;
        let result = sys!(
            libc::SYS_getsockopt,
            fd,
            level,
            option,
            buffer.as_mut_ptr(),
            &raw mut size
        );
        assert_eq!(result, 0, "option {option} of level {level}");
        let level = if level == libc::SOL_IP { 0 } else { level };
        expect(
            "getsockopt",
            &[
                ("res", "0"),
                ("fd", &fd.to_string()),
                ("level", &level.to_string()),
                ("optname", name),
                ("val", value),
                ("optlen", len),
                ("fd.num", &fd.to_string()),
                ("fd.type", "ipv4"),
            ],
        );
    }
    let port = UdpSocket::bind("127.0.0.1:0")?;
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    drop(port);
    let refused = owned(sys!(
        libc::SYS_socket,
        libc::AF_INET,
        libc::SOCK_STREAM | libc::SOCK_NONBLOCK,
        0
    ));
    let address = sockaddr(closed);
    let size = std::mem::size_of_val(&address);
    sys!(libc::SYS_connect, refused.as_raw_fd(), &raw const address, size);
    let (mut error, mut size) = (0i32, 4u32);
    let fd = refused.as_raw_fd();
    let result = sys!(
        libc::SYS_getsockopt,
        fd,
        libc::SOL_SOCKET,
        libc::SO_ERROR,
        &raw mut error,
        &raw mut size
    );
    assert_eq!((result, error), (0, 111));
    expect(
        "getsockopt",
        &[("optname", "4"), ("val", "-111"), ("fd", &fd.to_string())],
    );
    let result = sys!(
        libc::SYS_getsockopt,
        -1,
        libc::SOL_SOCKET,
        libc::SO_TYPE,
        &raw mut error,
        &raw mut size
    );
    expect(
        "getsockopt",
        &[
            ("res", &result.to_string()),
            ("fd", "-1"),
            ("val", "111"),
            ("optlen", "4"),
        ],
    );
    Ok(())
}

/// Pairs, and what is passed over them.
fn local_pairs(dir: &str) -> Result<()> {
    let mut pair = [0 as c_int; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    assert_eq!(
        sys!(libc::SYS_socketpair, libc::AF_UNIX, kind, 0, pair.as_mut_ptr()),
        0
    );
    let [first, second] = pair.map(|fd| owned(fd.into()));
    expect(
        "socketpair",
        &[
            ("res", "0"),
            ("fd1", &first.as_raw_fd().to_string()),
            ("fd2", &second.as_raw_fd().to_string()),
            ("source", "$first"),
            ("peer", "$second"),
            ("domain", "1"),
            ("type", &kind.to_string()),
            ("proto", "0"),
            ("tuple.own", "$first"),
            ("tuple.peer", "$second"),
            ("fd.num", &first.as_raw_fd().to_string()),
            ("fd.type", "unix"),
            ("fd.is_server", "false"),
        ],
    );
    let file = std::fs::File::open(dir)?;
    let byte = *b"!";
    let mut vector = libc::iovec {
        iov_base: byte.as_ptr().cast_mut().cast(),
        iov_len: 1,
    };
    // A control message of one descriptor: its length, SOL_SOCKET, SCM_RIGHTS, the descriptor, and padding.
    let mut control = [20u32, 0, 1, 1, file.as_raw_fd().unsigned_abs(), 0];
    // SAFETY: all of its members may be zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = 24;
    assert_eq!(
        sys!(libc::SYS_sendmsg, first.as_raw_fd(), &raw const header, 0),
        1
    );
    let mut byte = [0u8];
    let mut vector = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    header.msg_iov = &raw mut vector;
    assert_eq!(sys!(libc::SYS_recvmsg, second.as_raw_fd(), &raw mut header, 0), 1);
    let passed = control[4];
    close(passed.into());
    control[5] = 0;
    let control: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    expect(
        "recvmsg",
        &[
            ("res", "1"),
            ("size", "1"),
            ("data", "!"),
            (
                "msgcontrol",
                &control[..header.msg_controllen as usize]
                    .escape_ascii()
                    .to_string(),
            ),
            ("tuple.own", "$second"),
            ("tuple.peer", "$first"),
            ("fd", &second.as_raw_fd().to_string()),
            ("fd.type", "unix"),
        ],
    );
    let refused = sys!(
        libc::SYS_socketpair,
        libc::AF_INET,
        libc::SOCK_STREAM,
        0,
        pair.as_mut_ptr()
    );
    assert_eq!(refused, -95);
    expect(
        "socketpair",
        &[
            ("res", "-95"),
            ("fd1", "-1"),
            ("fd2", "-1"),
            ("source", "0"),
            ("peer", "0"),
            ("domain", "2"),
            ("fd.num", "-1"),
        ],
    );
    Ok(())
}

/// More messages at once than are reported: the others are counted.
fn many(to: &UdpSocket) -> Result<()> {
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.connect(to.local_addr()?)?;
    // SAFETY: all of their members may be zero; a message without parts is an empty datagram.
    let mut headers: [libc::mmsghdr; 131] = unsafe { std::mem::zeroed() };
    let sent = sys!(
        libc::SYS_sendmmsg,
        sender.as_raw_fd(),
        headers.as_mut_ptr(),
        headers.len(),
        0
    );
    assert_eq!(sent, 131);
    println!("missed messages 3");
    Ok(())
}

/// Several messages at once: each is an event, with a destination and a size of its own.
fn messages() -> Result<()> {
    let [sender, first, second] = [
        UdpSocket::bind("127.0.0.1:0")?,
        UdpSocket::bind("127.0.0.1:0")?,
        UdpSocket::bind("127.0.0.1:0")?,
    ];
    let (fd, from) = (sender.as_raw_fd(), sender.local_addr()?);
    let texts = [&b"one of two"[..], b"two of two..."];
    let mut addresses = [sockaddr(first.local_addr()?), sockaddr(second.local_addr()?)];
    let mut vectors = texts.map(|text| libc::iovec {
        iov_base: text.as_ptr().cast_mut().cast(),
        iov_len: text.len(),
    });
    // SAFETY: all of its members may be zero.
    let mut headers: [libc::mmsghdr; 2] = unsafe { std::mem::zeroed() };
    for (index, header) in headers.iter_mut().enumerate() {
        header.msg_hdr.msg_name = (&raw mut addresses[index]).cast();
        header.msg_hdr.msg_namelen = 16;
        header.msg_hdr.msg_iov = &raw mut vectors[index];
        header.msg_hdr.msg_iovlen = 1;
    }
    assert_eq!(sys!(libc::SYS_sendmmsg, fd, headers.as_mut_ptr(), 2, 0), 2);
    for (text, to) in texts.iter().zip([&first, &second]) {
        expect(
            "sendmmsg",
            &[
                ("res", &text.len().to_string()),
                ("fd", &fd.to_string()),
                ("size", &text.len().to_string()),
                ("data", std::str::from_utf8(text)?),
                ("tuple", &format!("{from}>{}", to.local_addr()?)),
                ("fd.type", "ipv4"),
                ("fd.connected", "false"),
                ("fd.name_changed", "true"),
            ],
        );
    }
    let mut buffers = [[0u8; 64]; 2];
    let to = first.local_addr()?;
    sender.send_to(b"and a third", to)?;
    for (index, header) in headers.iter_mut().enumerate() {
        vectors[index].iov_base = buffers[index].as_mut_ptr().cast();
        vectors[index].iov_len = 64;
        header.msg_hdr.msg_namelen = 16;
    }
    let fd = first.as_raw_fd();
    assert_eq!(sys!(libc::SYS_recvmmsg, fd, headers.as_mut_ptr(), 2, 0, 0), 2);
    for text in ["one of two", "and a third"] {
        expect(
            "recvmmsg",
            &[
                ("res", &text.len().to_string()),
                ("fd", &fd.to_string()),
                ("size", &text.len().to_string()),
                ("data", text),
                ("tuple", &format!("{to}>{from}")),
                ("msgcontrol", "<none>"),
                ("fd.type", "ipv4"),
            ],
        );
    }
    many(&second)?;
    for event in ["sendmmsg", "recvmmsg"] {
        let failed = match event {
            "sendmmsg" => sys!(libc::SYS_sendmmsg, -1, headers.as_mut_ptr(), 2, 0),
            _ => sys!(libc::SYS_recvmmsg, -1, headers.as_mut_ptr(), 2, 0, 0),
        };
        assert_eq!(failed, -9);
        expect(
            event,
            &[
                ("res", "-9"),
                ("fd", "-1"),
                ("fd.num", "-1"),
                ("fd.type", "other"),
                ("tuple", "<none>"),
            ],
        );
    }
    Ok(())
}
