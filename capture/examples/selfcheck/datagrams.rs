//! Datagrams, alone and several at once.

use std::net::{SocketAddr, UdpSocket};

use super::sockets::{bind, owned, receive, send_to, sockaddr};
use super::*;

pub(super) fn datagrams() -> Result<()> {
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
pub(super) fn datagrams_of_ipv6() -> Result<()> {
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

/// What `recvfrom` says of where datagrams came from, and the names they give their socket.
pub(super) fn received_datagrams() -> Result<()> {
    let [first, second] = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    let receiver = owned(sys!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0));
    assert_eq!(bind(receiver.as_raw_fd(), "127.0.0.1:0".parse()?), 0);
    let receiver = UdpSocket::from(receiver);
    let here = receiver.local_addr()?;
    let fd = receiver.as_raw_fd().to_string();
    for (data, from, changed) in [
        ("uno", &first, "true"),
        ("due", &first, "false"),
        ("tre", &second, "true"),
    ] {
        from.send_to(data.as_bytes(), here)?;
        receiver.recv_from(&mut [0; 64])?;
        expect(
            "recvfrom",
            &[
                ("res", "3"),
                ("data", data),
                ("tuple", &format!("{here}>{}", from.local_addr()?)),
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
    let tuple = format!("{}>{here}", second.local_addr()?);
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
