//! Connections, and what is sent over them.

use std::io::Read;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};

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
        local_sockets::local_socket(dir)?;
        return local_sockets::local_pairs(dir);
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
    datagrams::datagrams()?;
    datagrams::datagrams_of_ipv6()?;
    streams()?;
    binds(dir)?;
    accepts()?;
    nonblocking()?;
    datagrams::received_datagrams()?;
    received_streams()?;
    socket_options::options()?;
    local_sockets::local_socket(dir)?;
    local_sockets::local_pairs(dir)
}

pub(super) fn sockaddr(to: SocketAddr) -> libc::sockaddr_in {
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

pub(super) fn send_to(fd: c_int, data: &[u8], to: SocketAddr) -> i64 {
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
pub(super) fn owned(fd: i64) -> OwnedFd {
    assert!(fd >= 0, "{fd}");
    // SAFETY: a descriptor that was just made, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd as c_int) }
}

pub(super) fn accept(listener: c_int) -> OwnedFd {
    owned(sys!(libc::SYS_accept, listener, 0, 0))
}

/// `recv(3)` into a buffer as long as `len`.
pub(super) fn receive(fd: c_int, len: usize) -> i64 {
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

pub(super) fn bind(fd: c_int, address: SocketAddr) -> i64 {
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
