//! Connections, and what is sent over them.

use std::io::Read;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

pub(crate) fn sockets(dir: &str) -> Result<()> {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else {
        println!("skip no loopback network in this guest: sockets of IP");
        for event in ["connect", "sendto", "sendmsg"] {
            expect(event, &[]);
        }
        return local_socket(dir);
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
    local_socket(dir)
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
    // Without an address a local socket is known by its peer's path; the server's end by its own.
    for (data, end) in [("asks", &client), ("answers", &listener.accept()?.0)] {
        let fd = end.as_raw_fd();
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
            ("tuple", &format!("?>{to}")),
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
            ("data", &format!("head {}", &tail[..75])),
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
