//! Options of sockets.

use std::net::TcpListener;

use super::sockets::{bind, owned, sockaddr};
use super::*;

pub(super) fn options() -> Result<()> {
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
    // Bound, so that nobody else gets it, and not listened on.
    let closed = owned(sys!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0));
    assert_eq!(bind(closed.as_raw_fd(), "127.0.0.1:0".parse()?), 0);
    let closed = TcpListener::from(closed);
    let refused = owned(sys!(
        libc::SYS_socket,
        libc::AF_INET,
        libc::SOCK_STREAM | libc::SOCK_NONBLOCK,
        0
    ));
    let address = sockaddr(closed.local_addr()?);
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
