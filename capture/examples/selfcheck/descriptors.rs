//! Calls that make descriptors and calls on them: each is what `/proc/self/fd` and `fstat` say of it.

use std::net::{TcpListener, TcpStream};

use super::*;

/// The result of a call and what it was called with.
fn done(event: &str, result: (&str, i64), params: &[(&str, &str)], described: &[(String, String)]) {
    let number = result.1.to_string();
    let mut all = vec![(result.0, number.as_str())];
    all.extend_from_slice(params);
    all.extend(
        described
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    );
    expect(event, &all);
}

/// What must be seen of a descriptor that is open; of a failed call only what it was to make.
pub(super) fn is(fd: i64, kind: &str) -> Vec<(String, String)> {
    let is = |key: &str, value: String| (key.to_owned(), value);
    let mut seen = vec![is("fd.num", fd.max(-1).to_string()), is("fd.type", kind.into())];
    let Ok(link) = std::fs::read_link(format!("/proc/self/fd/{fd}")) else {
        return seen;
    };
    let link = link.to_string_lossy().into_owned();
    let path = match link.strip_prefix("/memfd:") {
        Some(name) => format!("memfd:{}", name.trim_end_matches(" (deleted)")),
        None if link.starts_with('/') || link.starts_with("net:") => link,
        None => String::new(),
    };
    seen.push(is("fd.path", path));
    if let Ok(status) = std::fs::metadata(format!("/proc/self/fd/{fd}")) {
        seen.push(is("fd.ino", status.ino().to_string()));
        seen.push(is("fd.dev", status.dev().to_string()));
    }
    seen
}

pub(crate) fn descriptors(dir: &str, here: c_int) -> Result<()> {
    waits();
    counts();
    pipes();
    processes()?;
    rings();
    handles(dir, here)?;
    uses(dir)?;
    closes(dir)?;
    namespace()?;
    polls()
}

/// epoll and inotify.
fn waits() {
    let n = sys!(libc::SYS_epoll_create, 3);
    done("epoll_create", ("res", n), &[("size", "3")], &is(n, "eventpoll"));
    close(n);
    let n = sys!(libc::SYS_epoll_create, -1);
    assert_eq!(n, -22);
    done("epoll_create", ("res", n), &[("size", "-1")], &is(n, "eventpoll"));
    let n = sys!(libc::SYS_epoll_create1, libc::EPOLL_CLOEXEC);
    done(
        "epoll_create1",
        ("res", n),
        &[("flags", "524288")],
        &is(n, "eventpoll"),
    );
    close(n);
    let n = sys!(libc::SYS_inotify_init);
    done("inotify_init", ("res", n), &[("flags", "0")], &is(n, "inotify"));
    close(n);
    let n = sys!(libc::SYS_inotify_init1, libc::IN_CLOEXEC | libc::IN_NONBLOCK);
    done(
        "inotify_init1",
        ("res", n),
        &[("flags", "526336")],
        &is(n, "inotify"),
    );
    close(n);
}

/// eventfd, signalfd and timerfd.
fn counts() {
    let n = sys!(libc::SYS_eventfd, 7);
    done(
        "eventfd",
        ("res", n),
        &[("initval", "7"), ("flags", "0")],
        &is(n, "event"),
    );
    close(n);
    let n = sys!(libc::SYS_eventfd2, 9, libc::EFD_CLOEXEC);
    let params = [("initval", "9"), ("flags", "524288")];
    done("eventfd2", ("res", n), &params, &is(n, "event"));
    close(n);
    let n = sys!(libc::SYS_eventfd2, 1, 2);
    assert_eq!(n, -22);
    done(
        "eventfd2",
        ("res", n),
        &[("initval", "1"), ("flags", "2")],
        &is(n, "event"),
    );
    let mask = [1u64 << (libc::SIGUSR1 - 1)];
    let n = sys!(libc::SYS_signalfd, -1, mask.as_ptr(), 8);
    let params = [("fd", "-1"), ("mask", "512"), ("flags", "0")];
    done("signalfd", ("res", n), &params, &is(n, "signalfd"));
    let again = sys!(libc::SYS_signalfd4, n, mask.as_ptr(), 8, libc::SFD_NONBLOCK);
    assert_eq!(again, n);
    let fd = n.to_string();
    let params = [("flags", "2048"), ("fd", fd.as_str()), ("mask", "512")];
    done("signalfd4", ("res", n), &params, &is(n, "signalfd"));
    close(n);
    let n = sys!(libc::SYS_timerfd_create, libc::CLOCK_BOOTTIME, libc::TFD_CLOEXEC);
    let params = [("clockid", "7"), ("flags", "524288")];
    done("timerfd_create", ("res", n), &params, &is(n, "timerfd"));
    close(n);
}

fn pipes() {
    for (event, nr, flags) in [
        ("pipe", libc::SYS_pipe, None),
        ("pipe2", libc::SYS_pipe2, Some(libc::O_NONBLOCK)),
    ] {
        let mut ends = [-1 as c_int; 2];
        let n = sys!(nr, ends.as_mut_ptr(), flags.unwrap_or(0));
        assert_eq!(n, 0);
        let [one, two] = ends.map(|fd| fd.to_string());
        let ino = std::fs::metadata(format!("/proc/self/fd/{one}")).map_or(0, |pipe| pipe.ino());
        let (ino, flags) = (ino.to_string(), flags.map(|flags| flags.to_string()));
        let mut params = vec![("fd1", one.as_str()), ("fd2", &two), ("ino", &ino)];
        params.extend(flags.as_deref().map(|flags| ("flags", flags)));
        done(event, ("res", n), &params, &is(ends[0].into(), "pipe"));
        for fd in ends {
            close(fd.into());
        }
    }
    let n = sys!(libc::SYS_pipe2, std::ptr::null::<c_int>(), 0);
    assert_eq!(n, -14);
    done(
        "pipe2",
        ("res", n),
        &[("fd1", "-1"), ("fd2", "-1"), ("ino", "0")],
        &[],
    );
}

/// Descriptors of processes, and descriptors taken from them.
fn processes() -> Result<()> {
    let pid = std::process::id();
    let pid_text = pid.to_string();
    let own = sys!(libc::SYS_pidfd_open, pid, 0);
    done(
        "pidfd_open",
        ("fd", own),
        &[("pid", &pid_text), ("flags", "0")],
        &is(own, "pidfd"),
    );
    let file = std::fs::File::open("file")?;
    let n = sys!(libc::SYS_pidfd_getfd, own, file.as_raw_fd(), 0);
    let (own_text, target) = (own.to_string(), file.as_raw_fd().to_string());
    done(
        "pidfd_getfd",
        ("fd", n),
        &[
            ("pid_fd", &own_text),
            ("target_fd", &target),
            ("flags", "0"),
            ("pid_fd.is", "pidfd "),
        ],
        &is(n, if n < 0 { "other" } else { "file" }),
    );
    close(n);
    close(own);
    Ok(())
}

fn rings() {
    // struct io_uring_params: 120 bytes.
    let mut params = [0u32; 30];
    params[2] = 1 << 3; // IORING_SETUP_CQSIZE
    params[1] = 16;
    params[3] = 5;
    params[4] = 6;
    let n = sys!(libc::SYS_io_uring_setup, 4, params.as_mut_ptr());
    if n < 0 {
        println!("skip this machine refuses io_uring (errno {})", -n);
    }
    let now: Vec<String> = params.iter().map(u32::to_string).collect();
    let seen = [
        ("entries", "4"),
        ("sq_entries", now[0].as_str()),
        ("cq_entries", &now[1]),
        ("flags", &now[2]),
        ("sq_thread_cpu", &now[3]),
        ("sq_thread_idle", &now[4]),
        ("features", &now[5]),
    ];
    done("io_uring_setup", ("res", n), &seen, &is(n, "io_uring"));
    close(n);
}

fn handles(dir: &str, here: c_int) -> Result<()> {
    // struct file_handle, and where it was found.
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mut mount = 0 as c_int;
    // A file of one name: a handle is of the file, and any of its names is found.
    std::fs::write("handled", "")?;
    let file = c("handled")?;
    let named = sys!(
        libc::SYS_name_to_handle_at,
        here,
        file.as_ptr(),
        handle.as_mut_ptr(),
        &mut mount,
        0
    );
    if named < 0 {
        println!("skip this file system has no handles (errno {})", -named);
    }
    let n = sys!(
        libc::SYS_open_by_handle_at,
        here,
        handle.as_mut_ptr(),
        libc::O_RDONLY | libc::O_CLOEXEC
    );
    let (at, there) = (here.to_string(), format!("directory {dir}"));
    let mut seen = vec![
        ("mountfd", at.as_str()),
        ("flags", "524288"),
        ("mountfd.is", &there),
    ];
    let path = format!("{dir}/handled|{dir}/handled");
    let status = std::fs::metadata("handled")?;
    let (ino, dev) = (status.ino().to_string(), status.dev().to_string());
    if n >= 0 {
        seen.extend([("path", path.as_str()), ("ino", &ino), ("dev", &dev)]);
    }
    done("open_by_handle_at", ("fd", n), &seen, &is(n, "file"));
    close(n);
    Ok(())
}

/// `fcntl`, whose descriptor may be anything.
fn uses(dir: &str) -> Result<()> {
    let file = std::fs::File::open("file")?;
    let fd = file.as_raw_fd();
    let text = fd.to_string();
    let n = sys!(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, 70);
    assert_eq!(n, 70);
    let described = is(fd.into(), "file");
    assert!(described.contains(&("fd.path".to_owned(), format!("{dir}/file"))));
    let params = [("fd", text.as_str()), ("cmd", "1030"), ("arg", "70")];
    done("fcntl", ("res", n), &params, &described);
    close(n);
    let n = sys!(libc::SYS_fcntl, 999, libc::F_GETFD, 0);
    assert_eq!(n, -9);
    done(
        "fcntl",
        ("res", n),
        &[("fd", "999"), ("cmd", "1"), ("arg", "0")],
        &is(999, "other"),
    );
    let deleted = std::fs::File::create("deleted")?;
    std::fs::remove_file("deleted")?;
    let n = sys!(libc::SYS_fchmod, deleted.as_raw_fd(), 0o600);
    let ino = deleted.metadata()?.ino().to_string();
    let fd = deleted.as_raw_fd().to_string();
    // The name it was opened by; readlink adds that it is gone.
    let path = format!("{dir}/deleted");
    done(
        "fchmod",
        ("res", n),
        &[("fd", &fd), ("fd.path", &path), ("fd.ino", &ino)],
        &[],
    );
    Ok(())
}

/// Closes a descriptor: what it was is known.
fn closed(fd: i64, kind: &str, more: &[(&str, &str)]) {
    let number = fd.to_string();
    let described: Vec<(String, String)> = is(fd, kind)
        .into_iter()
        .filter(|(key, _)| more.iter().all(|(other, _)| key != other))
        .collect();
    let n = sys!(libc::SYS_close, fd);
    let mut params = vec![("fd", number.as_str())];
    params.extend_from_slice(more);
    done("close", ("res", n), &params, &described);
}

/// `close`, of which the kernel says what it closes when it begins.
fn closes(dir: &str) -> Result<()> {
    let open = |name: &str, flags: c_int| -> Result<i64> {
        Ok(sys!(libc::SYS_open, c(name)?.as_ptr(), flags, 0o600))
    };
    closed(
        open("file", libc::O_RDONLY)?,
        "file",
        &[("fd.path", &format!("{dir}/file"))],
    );
    closed(open(".", libc::O_RDONLY)?, "directory", &[("fd.path", dir)]);
    let gone = open("closed", libc::O_CREAT | libc::O_RDWR)?;
    std::fs::remove_file("closed")?;
    closed(gone, "file", &[("fd.path", &format!("{dir}/closed"))]);
    closed(sys!(libc::SYS_eventfd2, 0, 0), "event", &[]);
    closed(sys!(libc::SYS_epoll_create1, 0), "eventpoll", &[]);
    closed(
        sys!(libc::SYS_memfd_create, c"last".as_ptr(), 0),
        "memfd",
        &[("fd.path", "memfd:last")],
    );
    let mut ends = [-1 as c_int; 2];
    assert_eq!(sys!(libc::SYS_pipe2, ends.as_mut_ptr(), 0), 0);
    for end in ends {
        closed(end.into(), "pipe", &[]);
    }
    assert_eq!(
        sys!(
            libc::SYS_socketpair,
            libc::AF_UNIX,
            libc::SOCK_STREAM,
            0,
            ends.as_mut_ptr()
        ),
        0
    );
    for end in ends {
        closed(end.into(), "unix", &[]);
    }
    if let Ok(listener) = TcpListener::bind("127.0.0.1:0") {
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        let (near, far) = (client.local_addr()?, client.peer_addr()?);
        let of = |tuple: &str, fd: std::os::fd::OwnedFd, is_server: &str| {
            let params = [
                ("fd.tuple", tuple),
                ("fd.is_server", is_server),
                ("fd.connected", "true"),
            ];
            closed(std::os::fd::IntoRawFd::into_raw_fd(fd).into(), "ipv4", &params);
        };
        of(&format!("{near}>{far}"), client.into(), "false");
        of(&format!("{far}>{near}"), server.into(), "true");
    } else {
        println!("skip this machine has no loopback");
    }
    let deep = format!("{}/file", "d".repeat(200) + "/" + &"e".repeat(200));
    std::fs::create_dir_all(deep.trim_end_matches("/file"))?;
    closed(
        open(&deep, libc::O_CREAT | libc::O_RDWR)?,
        "file",
        &[("fd.path", &format!("{dir}/{deep}"))],
    );
    // Nothing is said of what is not open, and nothing is missing.
    let n = sys!(libc::SYS_close, 999);
    done(
        "close",
        ("res", n),
        &[
            ("fd", "999"),
            ("fd.num", "999"),
            ("fd.type", "other"),
            ("fd.ino", ""),
        ],
        &[],
    );
    let n = sys!(libc::SYS_close_range, 900, 950, 2);
    done(
        "close_range",
        ("res", n),
        &[
            ("first", "900"),
            ("last", "950"),
            ("flags", "2"),
            ("fd.num", "<none>"),
        ],
        &[],
    );
    Ok(())
}

/// A namespace's descriptor goes by the name `/proc` has for it.
fn namespace() -> Result<()> {
    let net = std::fs::File::open("/proc/self/ns/net")?;
    let fd = net.as_raw_fd();
    let n = sys!(libc::SYS_setns, fd, libc::CLONE_NEWNET);
    done(
        "setns",
        ("res", n),
        &[("fd", &fd.to_string()), ("nstype", "1073741824")],
        &is(fd.into(), "file"),
    );
    Ok(())
}

fn polls() -> Result<()> {
    let file = std::fs::File::open("file")?;
    let (reader, writer) = std::io::pipe()?;
    let poll = |fd: &dyn AsRawFd, events| libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    let mut fds = vec![
        poll(&file, libc::POLLIN),
        poll(&reader, libc::POLLIN), // nothing happens there
        poll(&writer, libc::POLLOUT),
        libc::pollfd {
            fd: 998,
            events: libc::POLLIN,
            revents: 0,
        },
    ];
    let path = std::fs::canonicalize("file")?.to_string_lossy().into_owned();
    let listener = TcpListener::bind("127.0.0.1:0");
    let client = match &listener {
        Ok(listener) => Some(TcpStream::connect(listener.local_addr()?)?),
        Err(_) => None,
    };
    let mut polled = format!(
        "{}:1 file {path};{}:4 pipe ;998:32 other ;",
        file.as_raw_fd(),
        writer.as_raw_fd()
    );
    if let Some(client) = &client {
        fds.push(poll(client, libc::POLLOUT));
        polled += &format!(
            "{}:4 ipv4 {}>{};",
            client.as_raw_fd(),
            client.local_addr()?,
            client.peer_addr()?
        );
    }
    let n = sys!(libc::SYS_poll, fds.as_mut_ptr(), fds.len(), -1);
    done("poll", ("res", n), &[("timeout", "-1"), ("polled", &polled)], &[]);
    let (time, mask) = ([1i64, 500], [1u64 << (libc::SIGUSR2 - 1)]);
    let n = sys!(
        libc::SYS_ppoll,
        fds.as_mut_ptr(),
        fds.len(),
        time.as_ptr(),
        mask.as_ptr(),
        8
    );
    // The kernel leaves in the caller's structure what is left of the time.
    let left = (time[0] * 1_000_000_000 + time[1]).to_string();
    done(
        "ppoll",
        ("res", n),
        &[("timeout", &left), ("sigmask", "2048"), ("polled", &polled)],
        &[],
    );
    let n = sys!(
        libc::SYS_ppoll,
        fds.as_mut_ptr(),
        1,
        std::ptr::null::<i64>(),
        std::ptr::null::<u64>(),
        0
    );
    done(
        "ppoll",
        ("res", n),
        &[("timeout", &u64::MAX.to_string()), ("sigmask", "0")],
        &[],
    );
    Ok(())
}
