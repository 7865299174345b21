//! What is done through io_uring raises the events of the calls it replaces.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{DestinationSlot, Fd, Fixed, OpenHow};
use io_uring::{IoUring, opcode};

use super::*;

const CREATED: u64 = 1 << 40;
/// What is added to the slot of a file that only a ring has, and the number of a descriptor that nobody was told.
const DIRECT: i64 = 1 << 32;
const UNTOLD: i64 = DIRECT - 1;

/// A ring, where there is one that tells what is asked of it.
fn ring() -> Option<IoUring> {
    if lanner_capture::Host::probe().io_uring.is_none() {
        println!("skip this kernel does not tell what is asked of io_uring");
        return None;
    }
    IoUring::new(16)
        .inspect_err(|error| println!("skip this machine refuses io_uring ({error})"))
        .ok()
}

pub(crate) fn operations(dir: &str) -> Result<()> {
    let Some(mut ring) = ring() else {
        return Ok(());
    };
    files(&mut ring, dir)?;
    names(&mut ring, dir)?;
    direct(&mut ring, dir)?;
    silent(&mut ring, dir)?;
    links(&mut ring, dir)?;
    polled(dir)?;
    if TcpListener::bind("127.0.0.1:0").is_err() {
        println!("skip no loopback network in this guest: sockets of IP through io_uring");
        return Ok(());
    }
    streams(&mut ring)?;
    made(&mut ring)?;
    datagrams(&mut ring)?;
    many(&mut ring)
}

/// Does these, and gives their results in the same order; those that are not told are none.
fn results(ring: &mut IoUring, entries: &[Entry], told: usize) -> Result<Vec<Option<i64>>> {
    for (entry, number) in entries.iter().zip(0..) {
        // SAFETY: what the entries point to lives until this function returns, and all have completed then.
        unsafe { ring.submission().push(&entry.clone().user_data(number))? };
    }
    ring.submit_and_wait(told)?;
    let mut results = vec![None; entries.len()];
    for completion in ring.completion() {
        results[usize::try_from(completion.user_data())?] = Some(completion.result().into());
    }
    Ok(results)
}

fn result(ring: &mut IoUring, entry: Entry) -> Result<i64> {
    Ok(results(ring, &[entry], 1)?[0].ok_or("no completion")?)
}

fn at(fd: c_int) -> Fd {
    Fd(fd)
}

fn slot(number: u32) -> Result<DestinationSlot> {
    DestinationSlot::try_from_slot_target(number).map_err(|_| "no such slot".into())
}

const CWD: Fd = Fd(libc::AT_FDCWD);

fn completed(event: &str, params: &[(&str, &str)]) {
    let mut params = params.to_vec();
    params.push(("io_uring", "completed"));
    expect(event, &params);
}

fn files(ring: &mut IoUring, dir: &str) -> Result<()> {
    let name = c("ring-file")?;
    let create = libc::O_CREAT | libc::O_WRONLY;
    let open = || {
        opcode::OpenAt::new(CWD, name.as_ptr())
            .flags(create)
            .mode(0o640)
            .build()
    };
    // By the caller itself, and by a worker of the kernel's.
    for (entry, flags) in [
        (open(), u64::from(create.unsigned_abs()) | CREATED),
        (open().flags(Flags::ASYNC), u64::from(create.unsigned_abs())),
    ] {
        let n = result(ring, entry)?;
        completed(
            "openat",
            &[
                ("fd", &n.to_string()),
                ("dirfd", "-100"),
                ("name", &format!("ring-file|{dir}/ring-file")),
                ("flags", &flags.to_string()),
                ("mode", "416"),
                ("ino", &ino_of("ring-file")?),
                ("dev", &dev_of("ring-file")?),
                ("fd.num", &n.to_string()),
                ("fd.path", &format!("{dir}/ring-file")),
                ("fd.type", "file"),
            ],
        );
        close(n);
    }
    let missing = c(&format!("{dir}/no/such"))?;
    let n = result(ring, opcode::OpenAt::new(CWD, missing.as_ptr()).build())?;
    let path = format!("{dir}/no/such");
    completed(
        "openat",
        &[
            ("fd", "-2"),
            ("name", &format!("{path}|{path}")),
            ("fd.num", "-1"),
        ],
    );
    assert_eq!(n, -2);
    // It is refused before it is submitted: only its end is told.
    let n = result(ring, opcode::OpenAt::new(CWD, std::ptr::null()).build())?;
    assert_eq!(n, -14);
    completed("openat", &[("fd", "-14"), ("name", "<none>")]);
    let long = "x".repeat(4000);
    let named = c(&long)?;
    let n = result(ring, opcode::OpenAt::new(CWD, named.as_ptr()).build())?;
    assert_eq!(n, -36);
    completed(
        "openat",
        &[("fd", "-36"), ("name", &format!("{long}|{dir}/{long}"))],
    );

    let here = std::fs::File::open(".")?;
    let (file, fd) = (c("/ring-file")?, here.as_raw_fd());
    let how = OpenHow::new()
        .flags(u64::from(libc::O_NOFOLLOW.unsigned_abs()))
        .resolve(libc::RESOLVE_IN_ROOT);
    let n = result(
        ring,
        opcode::OpenAt2::new(at(fd), file.as_ptr(), &raw const how).build(),
    )?;
    completed(
        "openat2",
        &[
            ("fd", &n.to_string()),
            ("dirfd", &fd.to_string()),
            ("dirfd.is", &format!("directory {dir}")),
            ("name", &format!("/ring-file|{dir}/ring-file")),
            ("flags", &libc::O_NOFOLLOW.to_string()),
            ("mode", "0"),
            ("resolve", "16"),
            ("fd.path", &format!("{dir}/ring-file")),
        ],
    );
    close(n);
    Ok(())
}

fn names(ring: &mut IoUring, dir: &str) -> Result<()> {
    let here = std::fs::File::open(".")?;
    let (fd, at_text) = (at(here.as_raw_fd()), here.as_raw_fd().to_string());
    let (a, b, d) = (c("ring-a")?, c("ring-b")?, c("ring-dir")?);
    let named = |name: &str| format!("{name}|{dir}/{name}");
    std::fs::write("ring-a", "")?;

    let n = result(ring, opcode::MkDirAt::new(fd, d.as_ptr()).mode(0o751).build())?;
    assert_eq!(n, 0);
    completed(
        "mkdirat",
        &[
            ("res", "0"),
            ("dirfd", &at_text),
            ("path", &named("ring-dir")),
            ("mode", "489"),
        ],
    );
    let n = result(ring, opcode::LinkAt::new(fd, a.as_ptr(), CWD, b.as_ptr()).build())?;
    assert_eq!(n, 0);
    completed(
        "linkat",
        &[
            ("res", "0"),
            ("olddir", &at_text),
            ("oldpath", &named("ring-a")),
            ("newdir", "-100"),
            ("newpath", &named("ring-b")),
            ("flags", "0"),
        ],
    );
    let n = result(ring, opcode::LinkAt::new(fd, a.as_ptr(), CWD, b.as_ptr()).build())?;
    assert_eq!(n, -17);
    completed("linkat", &[("res", "-17"), ("newpath", &named("ring-b"))]);
    let (link, target) = (c("ring-link")?, c("../else/where")?);
    let n = result(
        ring,
        opcode::SymlinkAt::new(fd, target.as_ptr(), link.as_ptr()).build(),
    )?;
    assert_eq!(n, 0);
    completed(
        "symlinkat",
        &[
            ("res", "0"),
            ("target", "../else/where"),
            ("linkdirfd", &at_text),
            ("linkpath", &named("ring-link")),
        ],
    );
    let n = result(
        ring,
        opcode::RenameAt::new(fd, a.as_ptr(), CWD, b.as_ptr()).build(),
    )?;
    assert_eq!(n, 0);
    completed(
        "renameat",
        &[
            ("res", "0"),
            ("olddirfd", &at_text),
            ("oldpath", &named("ring-a")),
            ("newdirfd", "-100"),
            ("newpath", &named("ring-b")),
        ],
    );
    let no_replace = libc::RENAME_NOREPLACE;
    let entry = opcode::RenameAt::new(fd, b.as_ptr(), fd, d.as_ptr()).flags(no_replace);
    let n = result(ring, entry.build())?;
    assert_eq!(n, -17);
    completed(
        "renameat2",
        &[
            ("res", "-17"),
            ("oldpath", &named("ring-b")),
            ("newpath", &named("ring-dir")),
            ("flags", "1"),
        ],
    );
    let n = result(
        ring,
        opcode::UnlinkAt::new(fd, d.as_ptr())
            .flags(libc::AT_REMOVEDIR)
            .build(),
    )?;
    assert_eq!(n, 0);
    completed(
        "unlinkat",
        &[
            ("res", "0"),
            ("dirfd", &at_text),
            ("name", &named("ring-dir")),
            ("flags", "512"),
        ],
    );
    Ok(())
}

/// What is done to a file that is there: calls that no state needs.
pub(crate) fn changes(dir: &str) -> Result<()> {
    let Some(ring) = &mut ring() else {
        return Ok(());
    };
    let path = format!("{dir}/ring-changed");
    let file = std::fs::File::create(&path)?;
    let (fd, fd_text) = (at(file.as_raw_fd()), file.as_raw_fd().to_string());
    let of_file = |params: &[(&'static str, &str)], n: i64| {
        let mut params: Vec<_> = params
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        params.extend([
            ("res", n.to_string()),
            ("fd", fd_text.clone()),
            ("fd.path", path.clone()),
        ]);
        params
    };
    let told = |event: &str, params: &[(&str, String)]| {
        completed(
            event,
            &params
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect::<Vec<_>>(),
        );
    };
    let punch = libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE;
    let n = result(
        ring,
        opcode::Fallocate::new(fd, 4096).offset(8192).mode(punch).build(),
    )?;
    told(
        "fallocate",
        &of_file(&[("mode", "3"), ("offset", "8192"), ("len", "4096")], n),
    );

    let n = result(ring, opcode::Ftruncate::new(fd, 4097).build())?;
    if n == 0 {
        told("ftruncate", &of_file(&[("length", "4097")], n));
    } else {
        println!("skip no ftruncate in this kernel's io_uring ({n})");
    }

    let (named, name, value) = (c(&path)?, c("trusted.lanner")?, *b"a value");
    let params = [
        ("name", "trusted.lanner"),
        ("value", "a value"),
        ("size", "7"),
        ("flags", "1"),
    ];
    let set = opcode::FSetXattr::new(fd, name.as_ptr(), value.as_ptr().cast(), 7).flags(libc::XATTR_CREATE);
    let n = result(ring, set.build())?;
    told("fsetxattr", &of_file(&params, n));
    let set = opcode::SetXattr::new(name.as_ptr(), value.as_ptr().cast(), named.as_ptr(), 7)
        .flags(libc::XATTR_CREATE);
    let n = result(ring, set.build())?;
    assert!(n < 0, "there is one of the name");
    completed(
        "setxattr",
        &params
            .into_iter()
            .chain([
                ("res", n.to_string().as_str()),
                ("path", &format!("{path}|{path}")),
            ])
            .collect::<Vec<_>>(),
    );
    Ok(())
}

/// Files that only the ring has are none of the process's descriptors, whatever their slots are.
fn direct(ring: &mut IoUring, dir: &str) -> Result<()> {
    if let Err(error) = ring.submitter().register_files_sparse(8) {
        println!("skip no slots for files in this kernel's io_uring ({error})");
        return Ok(());
    }
    let name = c("ring-file")?;
    // Slot 0, which is no standard input, and one of the kernel's choice.
    let chosen = opcode::OpenAt::new(CWD, name.as_ptr()).file_index(Some(slot(0)?));
    let n = result(ring, chosen.build())?;
    assert_eq!(n, 0);
    let any = opcode::OpenAt::new(CWD, name.as_ptr()).file_index(Some(DestinationSlot::auto_target()));
    let any = result(ring, any.build())?;
    assert!(any > 0, "{any}");
    for slot in [0, any] {
        let number = (DIRECT + slot).to_string();
        completed(
            "openat",
            &[
                ("fd", &number),
                ("name", &format!("ring-file|{dir}/ring-file")),
                ("ino", &ino_of("ring-file")?),
                ("fd.num", &number),
                ("fd.type", "file"),
            ],
        );
    }
    Ok(())
}

/// Successes that nobody is told are known by the silence.
fn silent(ring: &mut IoUring, dir: &str) -> Result<()> {
    let (name, missing) = (c("ring-file")?, c("ring-missing")?);
    let open = |name: &CStr| {
        opcode::OpenAt::new(CWD, name.as_ptr())
            .build()
            .flags(Flags::SKIP_SUCCESS)
    };
    let [None] = results(ring, &[open(&name)], 0)?[..] else {
        println!("skip this kernel's io_uring tells all completions");
        return Ok(());
    };
    expect(
        "openat",
        &[
            ("fd", &UNTOLD.to_string()),
            ("name", &format!("ring-file|{dir}/ring-file")),
            ("fd.path", &format!("{dir}/ring-file")),
            ("io_uring", "succeeded"),
        ],
    );
    let unlink = opcode::UnlinkAt::new(CWD, name.as_ptr())
        .build()
        .flags(Flags::SKIP_SUCCESS);
    let quiet = results(ring, &[unlink, open(&missing)], 1)?;
    assert_eq!(quiet, [None, Some(-2)]);
    expect(
        "unlinkat",
        &[
            ("res", "0"),
            ("name", &format!("ring-file|{dir}/ring-file")),
            ("io_uring", "succeeded"),
        ],
    );
    completed(
        "openat",
        &[
            ("fd", "-2"),
            ("name", &format!("ring-missing|{dir}/ring-missing")),
        ],
    );
    Ok(())
}

/// What depends on what fails is not done.
fn links(ring: &mut IoUring, dir: &str) -> Result<()> {
    let (folder, first, second) = (c("ring-no")?, c("ring-no/first")?, c("ring-second")?);
    let entries = [
        opcode::OpenAt::new(CWD, first.as_ptr())
            .build()
            .flags(Flags::IO_LINK),
        opcode::OpenAt::new(CWD, second.as_ptr())
            .flags(libc::O_CREAT)
            .build(),
    ];
    assert_eq!(results(ring, &entries, 2)?, [Some(-2), Some(-125)]);
    let name = |name: &str| format!("{name}|{dir}/{name}");
    completed("openat", &[("fd", "-2"), ("name", &name("ring-no/first"))]);
    completed("openat", &[("fd", "-125"), ("name", &name("ring-second"))]);
    let entries = [
        opcode::MkDirAt::new(CWD, folder.as_ptr())
            .mode(0o700)
            .build()
            .flags(Flags::IO_LINK),
        opcode::OpenAt::new(CWD, first.as_ptr())
            .flags(libc::O_CREAT)
            .build(),
    ];
    let done = results(ring, &entries, 2)?;
    let opened = done[1].ok_or("no completion")?;
    assert!(done[0] == Some(0) && opened >= 0, "{done:?}");
    completed(
        "openat",
        &[
            ("fd", &opened.to_string()),
            ("name", &name("ring-no/first")),
            ("ino", &std::fs::metadata("ring-no/first")?.ino().to_string()),
        ],
    );
    close(opened);
    Ok(())
}

/// A thread of the kernel's looks for what is to be done; it is one of the process's.
fn polled(dir: &str) -> Result<()> {
    let mut ring = match IoUring::builder().setup_sqpoll(1000).build(4) {
        Ok(ring) => ring,
        Err(error) => {
            println!("skip no thread that polls a ring ({error})");
            return Ok(());
        }
    };
    std::fs::write("ring-polled", "")?;
    let name = c("ring-polled")?;
    let n = result(&mut ring, opcode::OpenAt::new(CWD, name.as_ptr()).build())?;
    assert!(n >= 0, "{n}");
    completed(
        "openat",
        &[
            ("fd", &n.to_string()),
            ("name", &format!("ring-polled|{dir}/ring-polled")),
            ("ino", &ino_of("ring-polled")?),
        ],
    );
    close(n);
    Ok(())
}

/// The bytes of an address, as a call takes it.
fn raw_address(address: SocketAddr) -> Result<libc::sockaddr_in> {
    let SocketAddr::V4(address) = address else {
        return Err("no address of IPv4".into());
    };
    Ok(libc::sockaddr_in {
        sin_family: 2,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    })
}

fn connect(fd: c_int, address: &libc::sockaddr_in) -> Entry {
    let place: *const libc::sockaddr_in = address;
    opcode::Connect::new(at(fd), place.cast(), 16).build()
}

fn streams(ring: &mut IoUring) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let raw = raw_address(address)?;
    let n = result(
        ring,
        opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 6).build(),
    )?;
    if n == -22 {
        println!("skip no sockets made by this kernel's io_uring");
        return Ok(());
    }
    completed(
        "socket",
        &[
            ("fd", &n.to_string()),
            ("domain", "2"),
            ("type", &(libc::SOCK_STREAM | libc::SOCK_CLOEXEC).to_string()),
            ("proto", "6"),
            ("fd.type", "ipv4"),
        ],
    );
    // SAFETY: a descriptor that was just made, and is nobody else's.
    let client = unsafe { TcpStream::from_raw_fd(n.try_into()?) };
    let fd = client.as_raw_fd();
    assert_eq!(result(ring, connect(fd, &raw))?, 0);
    let own = client.local_addr()?;
    completed(
        "connect",
        &[
            ("res", "0"),
            ("fd", &fd.to_string()),
            ("tuple", &format!("{own}>{address}")),
            ("addr", &format!("?>{address}")),
            ("fd.connected", "true"),
        ],
    );
    let listens = at(listener.as_raw_fd());
    let accept = opcode::Accept::new(listens, std::ptr::null_mut(), std::ptr::null_mut());
    let n = result(ring, accept.build())?;
    completed(
        "accept",
        &[
            ("fd", &n.to_string()),
            ("tuple", &format!("{address}>{own}")),
            ("fd.is_server", "true"),
        ],
    );
    // SAFETY: as above.
    let mut server = unsafe { TcpStream::from_raw_fd(n.try_into()?) };

    let text = b"by way of a ring";
    let send = opcode::Send::new(at(fd), text.as_ptr(), text.len().try_into()?);
    assert_eq!(result(ring, send.build())?, 16);
    completed(
        "sendto",
        &[
            ("res", "16"),
            ("fd", &fd.to_string()),
            ("size", "16"),
            ("data", "by way of a ring"),
            ("tuple", &format!("{own}>{address}")),
        ],
    );
    let mut buffer = [0u8; 64];
    let receives = server.as_raw_fd();
    let receive = opcode::Recv::new(at(receives), buffer.as_mut_ptr(), 64);
    assert_eq!(result(ring, receive.build())?, 16);
    completed(
        "recvfrom",
        &[
            ("res", "16"),
            ("fd", &receives.to_string()),
            ("size", "64"),
            ("data", "by way of a ring"),
            ("tuple", &format!("{address}>{own}")),
        ],
    );
    // There is nothing yet: it is tried again when there is.
    let receive = opcode::Recv::new(at(fd), buffer.as_mut_ptr(), 32).build();
    // SAFETY: the buffer outlives the completion.
    unsafe { ring.submission().push(&receive)? };
    ring.submit()?;
    server.write_all(b"later")?;
    ring.submit_and_wait(1)?;
    assert_eq!(ring.completion().next().map(|c| c.result()), Some(5));
    completed(
        "recvfrom",
        &[
            ("res", "5"),
            ("fd", &fd.to_string()),
            ("size", "32"),
            ("data", "later"),
        ],
    );
    assert_eq!(
        result(ring, opcode::Shutdown::new(at(fd), libc::SHUT_WR).build())?,
        0
    );
    completed("shutdown", &[("res", "0"), ("fd", &fd.to_string()), ("how", "1")]);

    // A socket that is the ring's, and none of the process's descriptors: slot 1, where the process has something else.
    if ring
        .submitter()
        .register_files_update(1, &[server.as_raw_fd()])
        .is_ok()
    {
        let send = opcode::Send::new(Fixed(1), text.as_ptr(), 6);
        assert_eq!(result(ring, send.build())?, 6);
        completed(
            "sendto",
            &[
                ("res", "6"),
                ("fd", &(DIRECT + 1).to_string()),
                ("tuple", &format!("{address}>{own}")),
                ("fd.type", "ipv4"),
            ],
        );
    }
    drop((client, server, listener));
    let closed = TcpStream::connect(address);
    assert!(closed.is_err());
    let n = result(
        ring,
        opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build(),
    )?;
    assert_eq!(result(ring, connect(n.try_into()?, &raw))?, -111);
    completed("connect", &[("res", "-111"), ("addr", &format!("?>{address}"))]);
    close(n);
    // Into a slot.
    let slot = slot(2)?;
    let socket = opcode::Socket::new(libc::AF_INET, libc::SOCK_DGRAM, 0).file_index(Some(slot));
    if result(ring, socket.build())? == 0 {
        completed(
            "socket",
            &[("fd", &(DIRECT + 2).to_string()), ("fd.type", "ipv4")],
        );
    }
    Ok(())
}

/// Servers made of nothing but a ring.
fn made(ring: &mut IoUring) -> Result<()> {
    let n = result(
        ring,
        opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build(),
    )?;
    if n < 0 {
        return Ok(());
    }
    // SAFETY: a descriptor that was just made, and is nobody else's.
    let listener = unsafe { TcpListener::from_raw_fd(n.try_into()?) };
    let raw = raw_address("127.0.0.1:0".parse()?)?;
    let address: *const libc::sockaddr_in = &raw const raw;
    let fd = at(listener.as_raw_fd());
    if result(ring, opcode::Bind::new(fd, address.cast(), 16).build())? != 0 {
        println!("skip no bind and listen in this kernel's io_uring");
        return Ok(());
    }
    let own = listener.local_addr()?;
    completed(
        "bind",
        &[
            ("res", "0"),
            ("fd", &n.to_string()),
            ("addr", "?>127.0.0.1:0"),
            ("tuple", &format!("{own}>?")),
        ],
    );
    assert_eq!(result(ring, opcode::Listen::new(fd, 7).build())?, 0);
    completed(
        "listen",
        &[("res", "0"), ("fd", &n.to_string()), ("backlog", "7")],
    );
    Ok(())
}

fn datagrams(ring: &mut IoUring) -> Result<()> {
    let one = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let two = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let (from, to) = (one.local_addr()?, two.local_addr()?);
    let mut address = raw_address(to)?;
    let mut text = *b"a message";
    let mut part = libc::iovec {
        iov_base: text.as_mut_ptr().cast(),
        iov_len: text.len(),
    };
    // SAFETY: a structure of numbers and pointers, all of which may be 0.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut address).cast();
    message.msg_namelen = 16;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    let send = opcode::SendMsg::new(at(one.as_raw_fd()), &raw const message);
    assert_eq!(result(ring, send.build())?, 9);
    completed(
        "sendmsg",
        &[
            ("res", "9"),
            ("fd", &one.as_raw_fd().to_string()),
            ("size", "9"),
            ("data", "a message"),
            ("tuple", &format!("{from}>{to}")),
        ],
    );
    let receive = opcode::RecvMsg::new(at(two.as_raw_fd()), &raw mut message);
    assert_eq!(result(ring, receive.build())?, 9);
    completed(
        "recvmsg",
        &[
            ("res", "9"),
            ("fd", &two.as_raw_fd().to_string()),
            ("size", "9"),
            ("data", "a message"),
            ("tuple", &format!("{to}>{from}")),
        ],
    );
    let send = opcode::Send::new(at(one.as_raw_fd()), text.as_ptr(), 9);
    let address = raw_address(to)?;
    let place: *const libc::sockaddr_in = &raw const address;
    let sent = result(ring, send.dest_addr(place.cast()).dest_addr_len(16).build())?;
    if sent == 9 {
        completed(
            "sendto",
            &[("res", "9"), ("size", "9"), ("tuple", &format!("{from}>{to}"))],
        );
    } else {
        println!("skip no address in a send of this kernel's io_uring ({sent})");
    }
    Ok(())
}

/// One request that accepts again and again.
fn many(ring: &mut IoUring) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let accept = opcode::AcceptMulti::new(at(listener.as_raw_fd()))
        .build()
        .user_data(77);
    // SAFETY: it points to nothing.
    unsafe { ring.submission().push(&accept)? };
    ring.submit()?;
    for _ in 0..2 {
        let client = TcpStream::connect(address)?;
        ring.submit_and_wait(1)?;
        let accepted = ring.completion().next().ok_or("no completion")?.result();
        if accepted < 0 {
            println!("skip no accept that goes on in this kernel's io_uring");
            return Ok(());
        }
        completed(
            "accept",
            &[
                ("fd", &accepted.to_string()),
                ("tuple", &format!("{address}>{}", client.local_addr()?)),
            ],
        );
        close(accepted.into());
    }
    Ok(())
}
