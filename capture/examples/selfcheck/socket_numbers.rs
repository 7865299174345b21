//! The device and the inode of a socket, on every call that names it: what `stat` says of `/proc/self/fd`.

use std::os::unix::net::UnixListener;

use super::descriptors::is;
use super::*;

/// Says that `event` was about descriptor `fd`.
fn about(event: &str, param: &str, fd: c_int) {
    let number = fd.to_string();
    let described = is(fd.into(), "unix");
    let mut all = vec![(param, number.as_str())];
    let wanted = described.iter().filter(|(key, _)| key != "fd.path");
    all.extend(wanted.map(|(key, value)| (key.as_str(), value.as_str())));
    expect(event, &all);
}

pub(super) fn numbers() -> Result<()> {
    let mut ends = [-1 as c_int; 2];
    let made = sys!(
        libc::SYS_socketpair,
        libc::AF_UNIX,
        libc::SOCK_DGRAM,
        0,
        ends.as_mut_ptr()
    );
    assert_eq!(made, 0);
    let [one, two] = ends;
    about("socketpair", "fd1", one);

    let mut bytes = *b"numbers!";
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: structures of C for which zero is "nothing".
    let mut messages: libc::mmsghdr = unsafe { std::mem::zeroed() };
    messages.msg_hdr.msg_iov = &raw mut part;
    messages.msg_hdr.msg_iovlen = 1;
    let (at, length) = (bytes.as_mut_ptr(), bytes.len());
    let (message, several) = (&raw mut messages.msg_hdr, &raw mut messages);
    assert_eq!(sys!(libc::SYS_sendto, one, at, length, 0, 0, 0), 8);
    assert_eq!(sys!(libc::SYS_sendmsg, one, message, 0), 8);
    assert_eq!(sys!(libc::SYS_sendmmsg, one, several, 1, 0), 1);
    for event in ["sendto", "sendmsg", "sendmmsg"] {
        about(event, "fd", one);
    }
    assert_eq!(sys!(libc::SYS_recvfrom, two, at, length, 0, 0, 0), 8);
    assert_eq!(sys!(libc::SYS_recvmsg, two, message, 0), 8);
    assert_eq!(sys!(libc::SYS_recvmmsg, two, several, 1, 0, 0), 1);
    for event in ["recvfrom", "recvmsg", "recvmmsg"] {
        about(event, "fd", two);
    }
    close(one.into());
    close(two.into());

    let listener = UnixListener::bind("numbers")?;
    about("bind", "fd", listener.as_raw_fd());
    about("listen", "fd", listener.as_raw_fd());
    for (event, nr) in [("accept", libc::SYS_accept), ("accept4", libc::SYS_accept4)] {
        let client = std::os::unix::net::UnixStream::connect("numbers")?;
        about("connect", "fd", client.as_raw_fd());
        let server = sys!(nr, listener.as_raw_fd(), 0, 0, 0);
        about(event, "fd", c_int::try_from(server)?);
        close(server);
    }
    // What is no socket has numbers of its own.
    let file = std::fs::File::open("file")?;
    let refused = sys!(libc::SYS_connect, file.as_raw_fd(), 0, 0);
    assert_eq!(refused, -88);
    let (number, ino, dev) = (file.as_raw_fd().to_string(), ino_of("file")?, dev_of("file")?);
    let params = [
        ("res", "-88"),
        ("fd", &*number),
        ("fd.ino", &*ino),
        ("fd.dev", &*dev),
    ];
    expect("connect", &params);
    Ok(())
}
