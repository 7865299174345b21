//! Sockets of this machine alone: by a path, and in pairs.

use std::os::unix::net::{UnixListener, UnixStream};

use super::sockets::{accept, owned, receive};
use super::*;

pub(super) fn local_socket(dir: &str) -> Result<()> {
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

/// Pairs, and what is passed over them.
pub(super) fn local_pairs(dir: &str) -> Result<()> {
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
