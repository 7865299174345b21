//! Copies of descriptors: whatever they refer to, the copy is what the event is about.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use super::*;

/// What is copied: its kind and path, as the copy must show them.
struct Copied<'a> {
    fd: c_int,
    kind: &'a str,
    path: &'a str,
}

pub(crate) fn copies(dir: &str, here: c_int) -> Result<()> {
    let file = std::fs::File::open("file")?;
    let null = std::fs::File::open("/dev/null")?;
    let (reader, _writer) = std::io::pipe()?;
    let (near, _far) = UnixStream::pair()?;
    let memfd = sys!(libc::SYS_memfd_create, c("copied")?.as_ptr(), 0);
    let event = sys!(libc::SYS_eventfd2, 0, 0);
    let poll = sys!(libc::SYS_epoll_create1, 0);
    let timer = sys!(libc::SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0);
    let inotify = sys!(libc::SYS_inotify_init1, 0);
    let netlink = sys!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0);
    let file_path = format!("{dir}/file");
    let raw = |fd: i64| c_int::try_from(fd).unwrap_or(-1);
    let copied = |fd, kind, path| Copied { fd, kind, path };
    for copied in [
        copied(file.as_raw_fd(), "file", &file_path),
        copied(here, "directory", dir),
        copied(null.as_raw_fd(), "file", "/dev/null"),
        copied(reader.as_raw_fd(), "pipe", ""),
        copied(near.as_raw_fd(), "unix", ""),
        copied(raw(memfd), "memfd", "memfd:copied"),
        copied(raw(event), "event", ""),
        copied(raw(poll), "eventpoll", ""),
        copied(raw(timer), "timerfd", ""),
        copied(raw(inotify), "inotify", ""),
        copied(raw(netlink), "netlink", ""),
    ] {
        if copied.fd < 0 {
            println!("skip this kernel has no {}", copied.kind);
            continue;
        }
        let copy = sys!(libc::SYS_dup, copied.fd);
        expect(
            "dup",
            &[
                ("res", &copy.to_string()),
                ("oldfd", &copied.fd.to_string()),
                ("fd.num", &copy.to_string()),
                ("fd.type", copied.kind),
                ("fd.path", copied.path),
            ],
        );
        close(copy);
    }
    for fd in [memfd, event, poll, timer, inotify, netlink] {
        close(fd);
    }
    let failed = dup2(999, 5);
    assert_eq!(failed, -9);
    expect(
        "dup2",
        &[("res", "-9"), ("oldfd", "999"), ("newfd", "5"), ("fd.num", "999")],
    );
    let copy = sys!(libc::SYS_dup3, file.as_raw_fd(), 77, libc::O_CLOEXEC);
    expect(
        "dup3",
        &[
            ("res", "77"),
            ("oldfd", &file.as_raw_fd().to_string()),
            ("newfd", "77"),
            ("flags", "524288"),
            ("fd.num", "77"),
            ("fd.path", &file_path),
        ],
    );
    close(copy);
    connections()
}

#[cfg(target_arch = "x86_64")]
fn dup2(old: c_int, new: c_int) -> i64 {
    sys!(libc::SYS_dup2, old, new)
}

#[cfg(not(target_arch = "x86_64"))]
fn dup2(_: c_int, _: c_int) -> i64 {
    println!("skip dup2 exists on x86-64 only");
    -9
}

/// What a reverse shell does: a connection becomes descriptor 0, 1 or 2.
fn connections() -> Result<()> {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else {
        println!("skip no loopback network in this guest: copies of connections");
        return Ok(());
    };
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    let shown = |result: i64, old: c_int, tuple: String, connected: &str, is_server: &str| {
        expect(
            "dup2",
            &[
                ("res", &result.to_string()),
                ("oldfd", &old.to_string()),
                ("newfd", "78"),
                ("fd.tuple", &tuple),
                ("fd.num", "78"),
                ("fd.type", "ipv4"),
                ("fd.connected", connected),
                ("fd.is_server", is_server),
            ],
        );
    };
    let (near, far) = (client.local_addr()?, client.peer_addr()?);
    for (fd, tuple, connected, is_server) in [
        (client.as_raw_fd(), format!("{near}>{far}"), "true", "false"),
        (server.as_raw_fd(), format!("{far}>{near}"), "true", "true"),
        (
            udp.as_raw_fd(),
            format!("{}>?", udp.local_addr()?),
            "false",
            "false",
        ),
    ] {
        let result = dup2(fd, 78);
        if result >= 0 {
            shown(result, fd, tuple, connected, is_server);
            close(result);
        }
    }
    if let Ok(listener) = TcpListener::bind("[::1]:0") {
        let copy = sys!(libc::SYS_dup, listener.as_raw_fd());
        let address = listener.local_addr()?;
        expect(
            "dup",
            &[
                ("res", &copy.to_string()),
                ("fd.tuple", &format!("{}:{}>?", address.ip(), address.port())),
                ("fd.type", "ipv6"),
                ("fd.connected", "false"),
            ],
        );
        close(copy);
    }
    Ok(())
}
