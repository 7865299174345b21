//! Reading and writing, on files, pipes and sockets alike.

use std::io::{Seek, Write};

use super::*;

/// A struct iovec per part.
fn vectors<const N: usize>(parts: [&[u8]; N]) -> [libc::iovec; N] {
    parts.map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    })
}

pub(crate) fn io(dir: &str) -> Result<()> {
    let path = format!("{dir}/io");
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    let fd = file.as_raw_fd();
    let number = fd.to_string();
    let about = [
        ("fd", number.as_str()),
        ("fd.num", &number),
        ("fd.type", "file"),
        ("fd.path", &path),
    ];
    let done = |event: &str, params: &[(&str, &str)]| expect(event, &[params, &about].concat());
    let long = "0123456789".repeat(10);
    assert_eq!(sys!(libc::SYS_write, fd, long.as_ptr(), long.len()), 100);
    done("write", &[("res", "100"), ("data", &long[..90]), ("size", "100")]);
    let parts = vectors([b"of ", b"", b"three parts"]);
    assert_eq!(sys!(libc::SYS_writev, fd, parts.as_ptr(), 3), 14);
    done(
        "writev",
        &[("res", "14"), ("data", "of three parts"), ("size", "14")],
    );
    assert_eq!(sys!(libc::SYS_pwrite64, fd, b"at seven".as_ptr(), 8, 7u64), 8);
    done(
        "pwrite",
        &[("res", "8"), ("data", "at seven"), ("size", "8"), ("pos", "7")],
    );
    let far = 5u64 << 32;
    assert_eq!(sys!(libc::SYS_pwritev, fd, parts.as_ptr(), 3, far, 0), 14);
    done(
        "pwritev",
        &[
            ("res", "14"),
            ("data", "of three parts"),
            ("size", "14"),
            ("pos", &far.to_string()),
        ],
    );
    file.rewind()?;
    let mut buffer = [[0u8; 8]; 8];
    assert_eq!(sys!(libc::SYS_read, fd, buffer.as_mut_ptr(), 10), 10);
    done("read", &[("res", "10"), ("data", "0123456at "), ("size", "10")]);
    let parts = vectors([&buffer[0], &buffer[1], &buffer[2]]);
    assert_eq!(sys!(libc::SYS_readv, fd, parts.as_ptr(), 2), 16);
    done(
        "readv",
        &[("res", "16"), ("size", "16"), ("data", "seven56789012345")],
    );
    assert_eq!(sys!(libc::SYS_pread64, fd, buffer.as_mut_ptr(), 11, 103u64), 11);
    done(
        "pread",
        &[
            ("res", "11"),
            ("data", "three parts"),
            ("size", "11"),
            ("pos", "103"),
        ],
    );
    assert_eq!(sys!(libc::SYS_preadv, fd, parts.as_ptr(), 3, far, 0), 14);
    done(
        "preadv",
        &[
            ("res", "14"),
            ("size", "14"),
            ("data", "of three parts"),
            ("pos", &far.to_string()),
        ],
    );
    // Nothing was read: there is no data, and the file is known all the same.
    assert_eq!(sys!(libc::SYS_pread64, fd, buffer.as_mut_ptr(), 8, 6u64 << 32), 0);
    done(
        "pread",
        &[
            ("res", "0"),
            ("data", "<none>"),
            ("pos", &(6u64 << 32).to_string()),
        ],
    );
    let (mut ends, mut offset) = ([0 as c_int; 2], 103u64);
    assert_eq!(sys!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
    assert_eq!(sys!(libc::SYS_sendfile, ends[1], fd, &raw mut offset, 5), 5);
    let [reads, writes] = ends.map(|end| end.to_string());
    expect(
        "sendfile",
        &[
            ("res", "5"),
            ("offset", "108"),
            ("out_fd", &writes),
            ("in_fd", &number),
            ("size", "5"),
            ("fd.num", &writes),
            ("fd.type", "pipe"),
        ],
    );
    assert_eq!(sys!(libc::SYS_sendfile, -1, fd, 0, 5), -9);
    expect(
        "sendfile",
        &[
            ("res", "-9"),
            ("offset", "0"),
            ("out_fd", "-1"),
            ("fd.type", "other"),
        ],
    );
    assert_eq!(sys!(libc::SYS_read, ends[0], buffer.as_mut_ptr(), 64), 5);
    expect(
        "read",
        &[
            ("res", "5"),
            ("data", "three"),
            ("fd", &reads),
            ("fd.type", "pipe"),
        ],
    );
    ends.iter().for_each(|end| close((*end).into()));
    let (mut near, far) = std::os::unix::net::UnixStream::pair()?;
    near.write_all(b"over a socket")?;
    assert_eq!(sys!(libc::SYS_write, near.as_raw_fd(), b"again".as_ptr(), 5), 5);
    let [near, far] = [near.as_raw_fd().to_string(), far.as_raw_fd().to_string()];
    expect(
        "write",
        &[
            ("data", "again"),
            ("fd", &near),
            ("fd.type", "unix"),
            ("fd.connected", "true"),
        ],
    );
    assert_eq!(
        sys!(libc::SYS_read, far.parse::<c_int>()?, buffer.as_mut_ptr(), 64),
        18
    );
    expect(
        "read",
        &[
            ("data", "over a socketagain"),
            ("fd", &far),
            ("fd.type", "unix"),
            ("fd.is_server", "false"),
        ],
    );
    assert_eq!(sys!(libc::SYS_write, -1, b"nowhere".as_ptr(), 7), -9);
    expect(
        "write",
        &[
            ("res", "-9"),
            ("data", "nowhere"),
            ("fd", "-1"),
            ("fd.num", "-1"),
            ("fd.type", "other"),
        ],
    );
    connections()
}

fn connections() -> Result<()> {
    let Ok(listener) = std::net::TcpListener::bind("127.0.0.1:0") else {
        return Ok(());
    };
    let client = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    for (end, data, is_server) in [(&client, b"GET", "false"), (&server, b"200", "true")] {
        let fd = end.as_raw_fd();
        assert_eq!(sys!(libc::SYS_write, fd, data.as_ptr(), 3), 3);
        expect(
            "write",
            &[
                ("data", std::str::from_utf8(data)?),
                ("fd", &fd.to_string()),
                ("fd.type", "ipv4"),
                ("fd.connected", "true"),
                ("fd.is_server", is_server),
                ("fd.name_changed", "false"),
            ],
        );
    }
    Ok(())
}
