//! Opens of files that have another name than the one they are opened by: both are known.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::credentials::results_of;
use super::*;

/// What `openat` or another open must be seen to have opened; relative names are the directory's.
fn opened(event: &str, fd: i64, passed: &str, requested: &str, real: &str) {
    assert!(fd >= 0, "{passed}: {fd}");
    expect(
        event,
        &[
            ("fd", &fd.to_string()),
            ("name", &format!("{passed}|{requested}")),
            ("requested", requested),
            ("real", real),
            ("differ", if requested == real { "false" } else { "true" }),
        ],
    );
}

fn openat(at: c_int, path: &str, flags: c_int) -> Result<i64> {
    Ok(sys!(libc::SYS_openat, at, c(path)?.as_ptr(), flags, 0o600))
}

pub(crate) fn real_names(dir: &str, here: c_int) -> Result<()> {
    std::fs::create_dir_all("names/a/b")?;
    std::fs::write("names/file", "")?;
    std::fs::write("names/a/file", "")?;
    std::os::unix::fs::symlink("file", "names/link")?;
    std::os::unix::fs::symlink("a/b", "names/dirlink")?;
    std::os::unix::fs::symlink("/file", "names/absolute")?;
    links(dir, here)?;
    roots(dir, here)?;
    long(dir)?;
    mounts(dir)?;
    ways(dir, here)?;
    races(dir)
}

/// Calls of which only what was passed and where it leads afterwards is known.
fn ways(dir: &str, here: c_int) -> Result<()> {
    const RESOLVE_CACHED: u64 = 0x20;
    let how: [u64; 3] = [libc::O_PATH as u64, 0, RESOLVE_CACHED];
    let can = sys!(
        libc::SYS_openat2,
        here,
        c".".as_ptr(),
        how.as_ptr(),
        size_of_val(&how)
    );
    close(can);
    if can < 0 {
        println!(
            "skip this kernel does not look up what is cached alone (errno {})",
            -can
        );
        return Ok(());
    }
    for link in [c"names/link", c"names/dirlink"] {
        // A link whose time of access is to be changed is not followed by who takes what is cached alone; this one's is not.
        let later = libc::timespec {
            tv_sec: 4_000_000_000,
            tv_nsec: 0,
        };
        let same = libc::timespec {
            tv_sec: 0,
            tv_nsec: libc::UTIME_OMIT,
        };
        let times = [later, same];
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        let result = sys!(libc::SYS_utimensat, here, link.as_ptr(), times.as_ptr(), flags);
        assert_eq!(result, 0);
    }
    let path = |name: &str| format!("{dir}/names/{name}");
    let one = |event: &str, requested: &str, real: &str| {
        let (requested, real) = (path(requested), path(real));
        let differ = if requested == real { "false" } else { "true" };
        expect(
            event,
            &[
                ("res", "0"),
                ("requested", &requested),
                ("real", &real),
                ("differ", differ),
            ],
        );
    };
    let two = |event: &str, requested: [&str; 2], real: [&str; 2]| {
        let ([first, second], [real, real_2]) = (requested.map(path), real.map(path));
        let keys = ["requested", "requested.2", "real", "real.2"];
        let values = [&first, &second, &real, &real_2].map(String::as_str);
        let mut params = vec![("res", "0")];
        params.extend(keys.into_iter().zip(values));
        expect(event, &params);
    };
    let done = |result: i64| assert_eq!(result, 0);
    done(sys!(libc::SYS_mkdir, c"names/dirlink/d".as_ptr(), 0o700));
    one("mkdir", "dirlink/d", "a/b/d");
    done(sys!(
        libc::SYS_mkdirat,
        here,
        c"names/dirlink/../e".as_ptr(),
        0o700
    ));
    one("mkdirat", "e", "a/e");
    done(sys!(libc::SYS_rmdir, c"names/dirlink/d/".as_ptr()));
    one("rmdir", "dirlink/d", "a/b/d");
    done(sys!(
        libc::SYS_symlink,
        c"x".as_ptr(),
        c"names/dirlink/s".as_ptr()
    ));
    one("symlink", "dirlink/s", "a/b/s");
    done(sys!(
        libc::SYS_link,
        c"names/a/file".as_ptr(),
        c"names/dirlink/l".as_ptr()
    ));
    two("link", ["a/file", "dirlink/l"], ["a/file", "a/b/l"]);
    let (from, to) = (c"names/dirlink/../file", c"names/dirlink/r");
    done(sys!(
        libc::SYS_renameat2,
        here,
        from.as_ptr(),
        here,
        to.as_ptr(),
        0
    ));
    two("renameat2", ["file", "dirlink/r"], ["a/file", "a/b/r"]);
    done(sys!(libc::SYS_chmod, c"names/link".as_ptr(), 0o600));
    one("chmod", "link", "file");
    done(sys!(libc::SYS_unlink, c"names/dirlink/l".as_ptr()));
    one("unlink", "dirlink/l", "a/b/l");
    let passed = format!("/proc/self/root{}", path("dirlink/r"));
    done(sys!(libc::SYS_unlinkat, libc::AT_FDCWD, c(&passed)?.as_ptr(), 0));
    expect(
        "unlinkat",
        &[
            ("requested", &passed),
            ("real", &path("a/b/r")),
            ("differ", "true"),
        ],
    );
    assert_eq!(sys!(libc::SYS_unlink, c"names/dirlink/none".as_ptr()), -2);
    expect(
        "unlink",
        &[
            ("res", "-2"),
            ("requested", &path("dirlink/none")),
            ("real", "<none>"),
        ],
    );
    Ok(())
}

/// Symbolic links, those of /proc, and what has no name.
fn links(dir: &str, here: c_int) -> Result<()> {
    let own = |event: &str, passed: &str, fd: i64, requested: &str, real: &str| {
        opened(
            event,
            fd,
            passed,
            &format!("{dir}/{requested}"),
            &format!("{dir}/{real}"),
        );
        close(fd);
    };
    let fd = openat(libc::AT_FDCWD, "names/link", libc::O_RDONLY)?;
    own("openat", "names/link", fd, "names/link", "names/file");
    let fd = sys!(libc::SYS_open, c("names/link")?.as_ptr(), libc::O_RDWR);
    own("open", "names/link", fd, "names/link", "names/file");
    let fd = sys!(libc::SYS_creat, c("names/link")?.as_ptr(), 0o600);
    own("creat", "names/link", fd, "names/link", "names/file");
    let passed = "names/dirlink/../file";
    let fd = openat(here, passed, libc::O_RDONLY)?;
    own("openat", passed, fd, "names/file", "names/a/file");
    let fd = openat(here, "names/link", libc::O_PATH | libc::O_NOFOLLOW)?;
    own("openat", "names/link", fd, "names/link", "names/link");
    let fd = openat(libc::AT_FDCWD, "names", libc::O_TMPFILE | libc::O_RDWR)?;
    match fd {
        0.. => {
            let ino = std::fs::metadata(format!("/proc/self/fd/{fd}"))?.ino();
            own("openat", "names", fd, "names", &format!("names/#{ino}"));
        }
        errno => println!("skip no O_TMPFILE in this file system (errno {})", -errno),
    }
    let magic = |passed: &str, real: &str| -> Result<()> {
        let fd = openat(libc::AT_FDCWD, passed, libc::O_RDONLY)?;
        opened("openat", fd, passed, passed, real);
        close(fd);
        Ok(())
    };
    let file = std::fs::File::open("names/file")?;
    let number = format!("/proc/self/fd/{}", file.as_raw_fd());
    magic(
        &format!("/proc/self/root{dir}/names/file"),
        &format!("{dir}/names/file"),
    )?;
    magic("/proc/self/cwd/names/file", &format!("{dir}/names/file"))?;
    magic(&number, &format!("{dir}/names/file"))?;
    std::fs::remove_file("names/file")?;
    magic(&number, &format!("{dir}/names/file"))?;
    std::fs::write("names/file", "")?;
    // The kernel has no path of these.
    let (reader, _writer) = std::io::pipe()?;
    for passed in [
        format!("/proc/self/fd/{}", reader.as_raw_fd()),
        "/proc/self/ns/net".to_owned(),
    ] {
        let fd = openat(libc::AT_FDCWD, &passed, libc::O_RDONLY)?;
        let params = [
            ("fd", fd.to_string()),
            ("requested", passed),
            ("real", "<none>".to_owned()),
            ("differ", "<none>".to_owned()),
        ];
        expect(
            "openat",
            &params.each_ref().map(|(key, value)| (*key, value.as_str())),
        );
        close(fd);
    }
    let fd = openat(libc::AT_FDCWD, "names/no/file", libc::O_RDONLY)?;
    assert_eq!(fd, -2);
    let requested = format!("{dir}/names/no/file");
    expect(
        "openat",
        &[("fd", "-2"), ("requested", &requested), ("real", "<none>")],
    );
    Ok(())
}

/// Directories that are the root of a call, and of a process.
fn roots(dir: &str, here: c_int) -> Result<()> {
    const RESOLVE_BENEATH: u64 = 8;
    const RESOLVE_IN_ROOT: u64 = 0x10;
    for (passed, at, resolve, requested, real) in [
        (
            "/absolute",
            "names",
            RESOLVE_IN_ROOT,
            "names/absolute",
            "names/file",
        ),
        (
            "/../a/../absolute",
            "names",
            RESOLVE_IN_ROOT,
            "names/absolute",
            "names/file",
        ),
        (
            "names/dirlink/../file",
            ".",
            RESOLVE_BENEATH,
            "names/file",
            "names/a/file",
        ),
    ] {
        let at = std::fs::File::open(at)?;
        let how: [u64; 3] = [0, 0, resolve];
        let fd = sys!(
            libc::SYS_openat2,
            at.as_raw_fd(),
            c(passed)?.as_ptr(),
            how.as_ptr(),
            size_of_val(&how)
        );
        opened(
            "openat2",
            fd,
            passed,
            &format!("{dir}/{requested}"),
            &format!("{dir}/{real}"),
        );
        close(fd);
    }
    // As the process sees it.
    let [inside, outside] = results_of(|| {
        assert_eq!(sys!(libc::SYS_fchdir, here), 0);
        assert_eq!(sys!(libc::SYS_chroot, c"names".as_ptr()), 0);
        [
            sys!(
                libc::SYS_openat,
                libc::AT_FDCWD,
                c"/dirlink/../file".as_ptr(),
                0,
                0
            ),
            sys!(libc::SYS_openat, libc::AT_FDCWD, c"/absolute".as_ptr(), 0, 0),
        ]
    });
    opened("@openat", inside, "/dirlink/../file", "/file", "/a/file");
    opened("@openat", outside, "/absolute", "/absolute", "/file");
    Ok(())
}

/// Names longer than others keep.
fn long(dir: &str) -> Result<()> {
    let passed = format!("{}names/link", "./".repeat(2000));
    let fd = openat(libc::AT_FDCWD, &passed, libc::O_RDONLY)?;
    opened(
        "openat",
        fd,
        &passed,
        &format!("{dir}/names/link"),
        &format!("{dir}/names/file"),
    );
    close(fd);
    let name = "n".repeat(255);
    let deep = vec![name.as_str(); 17].join("/");
    let [fd] = results_of(|| {
        let (Ok(name), Ok(link)) = (c(&name), c("link")) else {
            return [-1];
        };
        for _ in 0..17 {
            assert_eq!(sys!(libc::SYS_mkdir, name.as_ptr(), 0o700), 0);
            assert_eq!(sys!(libc::SYS_chdir, name.as_ptr()), 0);
        }
        assert_eq!(sys!(libc::SYS_symlink, c"file".as_ptr(), link.as_ptr()), 0);
        let flags = libc::O_CREAT | libc::O_RDWR;
        [sys!(
            libc::SYS_openat,
            libc::AT_FDCWD,
            link.as_ptr(),
            flags,
            0o600
        )]
    });
    opened(
        "@openat",
        fd,
        "link",
        &format!("{dir}/{deep}/link"),
        &format!("{dir}/{deep}/file"),
    );
    Ok(())
}

/// Bind mounts, and a root that was exchanged.
fn mounts(dir: &str) -> Result<()> {
    std::fs::create_dir_all("names/there")?;
    std::fs::create_dir_all("names/root/sub")?;
    std::fs::write("names/root/inside", "")?;
    std::os::unix::fs::symlink("inside", "names/root/link")?;
    let none = std::ptr::null::<libc::c_char>();
    let private = || {
        assert_eq!(sys!(libc::SYS_unshare, libc::CLONE_NEWNS), 0);
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        assert_eq!(sys!(libc::SYS_mount, none, c"/".as_ptr(), none, flags, none), 0);
    };
    let bind = |from: &CStr, to: &CStr| {
        assert_eq!(
            sys!(
                libc::SYS_mount,
                from.as_ptr(),
                to.as_ptr(),
                none,
                libc::MS_BIND,
                none
            ),
            0
        );
    };
    let [fd, linked] = results_of(|| {
        private();
        bind(c"names/root", c"names/there");
        [c"names/there/inside", c"names/there/link"]
            .map(|path| sys!(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), 0, 0))
    });
    let direct = openat(libc::AT_FDCWD, "names/root/inside", libc::O_RDONLY)?;
    close(direct);
    // The same file within the file system, by whatever mount it is reached.
    expect(
        "openat",
        &[
            ("real", &format!("{dir}/names/root/inside")),
            ("filesystem_path", "$inside"),
        ],
    );
    let bound = format!("{dir}/names/there/inside");
    expect(
        "@openat",
        &[("requested", &bound), ("filesystem_path", "$inside")],
    );
    let there = |name: &str| format!("{dir}/names/there/{name}");
    opened(
        "@openat",
        fd,
        "names/there/inside",
        &there("inside"),
        &there("inside"),
    );
    opened(
        "@openat",
        linked,
        "names/there/link",
        &there("link"),
        &there("inside"),
    );
    // Below a mount that is nowhere: a clone of a directory, a mount of one that was unmounted while in use.
    const OPEN_TREE_CLONE: c_int = 1;
    let [cloned, unmounted] = results_of(|| {
        private();
        let clone = sys!(
            libc::SYS_open_tree,
            libc::AT_FDCWD,
            c"names/root".as_ptr(),
            OPEN_TREE_CLONE
        );
        let cloned = sys!(libc::SYS_openat, clone as c_int, c"link".as_ptr(), 0, 0);
        bind(c"names/root", c"names/there");
        let there = sys!(
            libc::SYS_openat,
            libc::AT_FDCWD,
            c"names/there".as_ptr(),
            libc::O_PATH,
            0
        );
        assert_eq!(
            sys!(libc::SYS_umount2, c"names/there".as_ptr(), libc::MNT_DETACH),
            0
        );
        [
            cloned,
            sys!(libc::SYS_openat, there as c_int, c"inside".as_ptr(), 0, 0),
        ]
    });
    for (fd, passed) in [(cloned, "link"), (unmounted, "inside")] {
        let path = |name: &str| format!("{dir}/names/root/{name}");
        opened("@openat", fd, passed, &path(passed), &path("inside"));
    }
    let [pivoted, fd] = results_of(|| {
        private();
        bind(c"names/root", c"names/root");
        assert_eq!(sys!(libc::SYS_chdir, c"names/root".as_ptr()), 0);
        let pivoted = sys!(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr());
        if pivoted != 0 {
            return [pivoted, 0];
        }
        assert_eq!(sys!(libc::SYS_umount2, c".".as_ptr(), libc::MNT_DETACH), 0);
        [
            0,
            sys!(libc::SYS_openat, libc::AT_FDCWD, c"/sub/../link".as_ptr(), 0, 0),
        ]
    });
    match pivoted {
        0 => opened("@openat", fd, "/sub/../link", "/link", "/inside"),
        errno => println!(
            "skip the root of this machine cannot be exchanged (errno {})",
            -errno
        ),
    }
    Ok(())
}

/// What another thread changes while the call lasts: it is a FIFO that is opened, which waits for its other end.
fn races(dir: &str) -> Result<()> {
    for fifo in [c"names/fifo", c"names/relative"] {
        // SAFETY: the path is a live C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    }
    let changed = |text: Box<[AtomicU8]>, change: fn(&[AtomicU8]), fifo: &'static CStr| {
        let text: Arc<[AtomicU8]> = text.into();
        let thread = Arc::new(AtomicI64::new(0));
        let opens = {
            let (text, thread) = (Arc::clone(&text), Arc::clone(&thread));
            std::thread::spawn(move || {
                thread.store(sys!(libc::SYS_gettid), Ordering::SeqCst);
                sys!(libc::SYS_openat, libc::AT_FDCWD, text.as_ptr(), libc::O_RDONLY, 0)
            })
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let stat = format!("/proc/self/task/{}/stat", thread.load(Ordering::SeqCst));
            let stat = std::fs::read_to_string(stat).unwrap_or_default();
            if stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" S")) {
                break;
            }
            assert!(Instant::now() < deadline, "{stat}");
            std::thread::yield_now();
        }
        change(&text);
        let other = sys!(libc::SYS_open, fifo.as_ptr(), libc::O_WRONLY, 0);
        let fd = opens.join().unwrap_or(-1);
        close(other);
        fd
    };
    let memory = |text: &CStr| {
        text.to_bytes_with_nul()
            .iter()
            .map(|b| AtomicU8::new(*b))
            .collect()
    };
    let benign: fn(&[AtomicU8]) = |text| {
        for (to, byte) in text.iter().zip(*b"names/none\0") {
            to.store(byte, Ordering::SeqCst);
        }
    };
    let [fd] = results_of(|| [changed(memory(c"names/fifo"), benign, c"names/fifo")]);
    opened(
        "@openat",
        fd,
        "names/none",
        &format!("{dir}/names/none"),
        &format!("{dir}/names/fifo"),
    );
    let away: fn(&[AtomicU8]) = |_| assert_eq!(sys!(libc::SYS_chdir, c"names/a".as_ptr()), 0);
    let [fd] = results_of(|| [changed(memory(c"names/relative"), away, c"../relative")]);
    let (requested, real) = (
        format!("{dir}/names/a/names/relative"),
        format!("{dir}/names/relative"),
    );
    opened("@openat", fd, "names/relative", &requested, &real);
    Ok(())
}
