//! Descriptors: what one refers to is read from the file it refers to when it is used, however the process came by it.

use crate::scene::{Scene, at, begin, c, call, call_oneself, child, end_of, exec, made, open, output, text};

/// Writes to the test's file by whoever never opened it.
const WRITTEN: (&str, &str, &str) = (
    "Written",
    "evt.type in (write, pwrite64, writev) and fd.name startswith FOLDER/secret and evt.rawres > 0",
    "%proc.name|%fd.name|%fd.typechar|%fd.num",
);

/// Changes by other calls.
const CHANGED: (&str, &str, &str) = (
    "Changed",
    "evt.type in (ftruncate, fallocate, fchmod, fchown, sendfile, splice, copy_file_range) and
     proc.name startswith NAME and fd.name startswith FOLDER/secret",
    "%evt.type|%fd.name|%evt.rawres",
);

fn write(fd: i64) {
    assert_eq!(made(libc::SYS_write, &[fd, at(b"x"), 1]), 1);
}

/// Sends a descriptor over a socket.
fn send(socket: i32, fd: i64) {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let fds = [i32::try_from(fd).unwrap()];
    let data = [std::io::IoSlice::new(b"x")];
    sendmsg::<()>(
        socket,
        &data,
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::empty(),
        None,
    )
    .unwrap();
}

fn receive(socket: i32) -> i64 {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut control = nix::cmsg_space!([i32; 1]);
    let mut byte = [0];
    let mut data = [std::io::IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(socket, &mut data, Some(&mut control), MsgFlags::empty()).unwrap();
    let Some(ControlMessageOwned::ScmRights(fds)) = message.cmsgs().unwrap().next() else {
        panic!("no descriptor came");
    };
    fds[0].into()
}

#[test]
fn one_received_over_a_socket_is_the_file_that_was_sent() {
    let Some(scene) = Scene::start("ev-scm", &[WRITTEN]) else {
        return;
    };
    let secret = scene.file("secret", "");
    let mut ends = [0; 2];
    // SAFETY: an array of two.
    let made = unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr()) };
    assert_eq!(made, 0);
    let fds = scene.act(|| {
        let taker = begin(|| {
            call_oneself(c"ev-scm-taker");
            write(receive(ends[1]));
        });
        send(ends[0], open(&secret, libc::O_WRONLY));
        end_of(taker);
        vec![]
    });
    assert!(fds.is_empty());
    let output = scene.output("Written");
    assert!(
        output.starts_with(&format!("ev-scm-taker|{secret}|f|")),
        "{output}"
    );
    scene.end();
}

#[test]
fn one_taken_by_pidfd_getfd_is_the_file_of_the_other() {
    let taken = (
        "Taken",
        "evt.type = pidfd_getfd and proc.name startswith NAME and fd.name = FOLDER/secret",
        "%fd.name|%evt.arg.target_fd|%fd.num",
    );
    let Some(scene) = Scene::start("ev-getfd", &[WRITTEN, taken]) else {
        return;
    };
    let secret = scene.file("secret", "");
    let fds = scene.act(|| {
        let (ready, wait) = std::io::pipe().unwrap();
        let (mut told, tell) = std::io::pipe().unwrap();
        let owner = begin(|| {
            use std::io::Read as _;
            call_oneself(c"ev-owner");
            let fd = open(&secret, libc::O_WRONLY);
            assert!(made(libc::SYS_dup3, &[fd, 200, 0]) == 200);
            let mut wait = &wait;
            std::io::Write::write_all(&mut wait, b"x").unwrap();
            let _ = told.read(&mut [0]);
        });
        let mut ready = &ready;
        std::io::Read::read_exact(&mut ready, &mut [0]).unwrap();
        let pidfd = made(libc::SYS_pidfd_open, &[owner.into(), 0]);
        let fd = made(libc::SYS_pidfd_getfd, &[pidfd, 200, 0]);
        write(fd);
        let mut tell = &tell;
        std::io::Write::write_all(&mut tell, b"x").unwrap();
        end_of(owner);
        vec![fd]
    });
    scene.says("Written", &format!("ev-getfd|{secret}|f|{}", fds[0]));
    let output = scene.output("Taken");
    assert!(
        output.starts_with(&secret) && output.ends_with(&format!("|{}", fds[0])),
        "{output}"
    );
    scene.end();
}

/// Opened before Lanner ran, kept through a fork and a program, moved to another number.
#[test]
fn one_inherited_is_the_file_the_other_opened() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder
        .path()
        .join("secret-inherited")
        .to_str()
        .unwrap()
        .to_owned();
    let fd = open(&secret, libc::O_CREAT | libc::O_WRONLY);
    let rule = (
        "Written",
        "evt.type = write and fd.name endswith /secret-inherited",
        "%proc.name|%fd.name|%fd.num",
    );
    let Some(scene) = Scene::start("ev-inherit", &[rule]) else {
        return;
    };
    scene.act(|| {
        made(libc::SYS_dup3, &[fd, 190, 0]);
        made(libc::SYS_close, &[fd]);
        write(190);
        child(|| {
            made(libc::SYS_dup3, &[190, 9, 0]);
            exec("/bin/sh", &["sh", "-c", "echo x >&9"]);
        });
        vec![]
    });
    scene.says("Written", &format!("ev-inherit|{secret}|190"));
    // What the shell calls 1 meanwhile is the same file.
    scene.says("Written", &format!("sh|{secret}|1"));
    scene.end();
}

/// Two processes with one table of descriptors: one opens, the other writes.
#[test]
fn one_opened_by_who_shares_the_table_is_that_file() {
    let Some(scene) = Scene::start("ev-shared", &[WRITTEN]) else {
        return;
    };
    let secret = scene.file("secret", "");
    scene.act(|| {
        // struct clone_args: flags and, as the fifth, the signal at the end.
        let flags = u64::try_from(libc::CLONE_FILES).unwrap();
        let fd = 77;
        let arguments = [flags, 0, 0, 0, 17, 0, 0, 0];
        let other = made(libc::SYS_clone3, &[at(&arguments), 64]);
        if other == 0 {
            call_oneself(c"ev-opener");
            let opened = open(&secret, libc::O_WRONLY);
            made(libc::SYS_dup3, &[opened, fd, 0]);
            // SAFETY: nothing is left to do.
            unsafe { libc::_exit(0) };
        }
        end_of(i32::try_from(other).unwrap());
        write(fd);
        vec![]
    });
    scene.says("Written", &format!("ev-shared|{secret}|f|77"));
    scene.end();
}

/// A file may be changed without a write, and by what was opened to be looked at only.
#[test]
fn changes_by_other_calls_name_the_file() {
    let Some(scene) = Scene::start("ev-change", &[CHANGED]) else {
        return;
    };
    let (secret, other) = (scene.file("secret", "secret"), scene.file("other", "other text"));
    scene.act(|| {
        let fd = open(&secret, libc::O_RDWR);
        made(libc::SYS_ftruncate, &[fd, 3]);
        made(libc::SYS_fallocate, &[fd, 0, 0, 4096]);
        made(libc::SYS_fchmod, &[fd, 0o777]);
        made(libc::SYS_fchown, &[fd, -1, -1]);
        let from = open(&other, libc::O_RDONLY);
        // Of this the descriptor is what is read from.
        made(
            libc::SYS_copy_file_range,
            &[fd, 0, open(&other, libc::O_WRONLY), 0, 1, 0],
        );
        // Of this it is what is written to.
        made(libc::SYS_sendfile, &[fd, from, 0, 1]);
        vec![]
    });
    for (event, result) in [
        ("ftruncate", 0),
        ("fallocate", 0),
        ("fchmod", 0),
        ("fchown", 0),
        ("copy_file_range", 1),
        ("sendfile", 1),
    ] {
        scene.says("Changed", &format!("{event}|{secret}|{result}"));
    }
    scene.end();
}

/// O_PATH gives a descriptor that can do nothing; its name in /proc gives one that can.
#[test]
fn a_descriptor_that_is_opened_again_through_proc_is_the_same_file() {
    let opened = (
        "Opened",
        "evt.type = openat and proc.name = NAME and evt.is_open_write = true and fd.ino = INODE",
        "%fd.name|%fd.ino",
    );
    let secret = tempfile::NamedTempFile::new().unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&secret.as_file().metadata().unwrap());
    let condition = opened.1.replace("INODE", &inode.to_string());
    let Some(scene) = Scene::start("ev-opath", &[(opened.0, &condition, opened.2), WRITTEN]) else {
        return;
    };
    let file = scene.file("secret", "");
    scene.act(|| {
        let path = open(secret.path().to_str().unwrap(), libc::O_PATH);
        open(&format!("/proc/self/fd/{path}"), libc::O_WRONLY);
        let path = open(&file, libc::O_PATH);
        write(open(&format!("/proc/thread-self/fd/{path}"), libc::O_WRONLY));
        vec![]
    });
    let output = scene.output("Opened");
    assert!(output.ends_with(&format!("|{inode}")), "{output}");
    let output = scene.output("Written");
    assert!(output.starts_with(&format!("ev-opath|{file}|f|")), "{output}");
    scene.end();
}

/// Rules may leave out what is opened by O_PATH: each way on from there is seen.
#[test]
fn what_is_opened_by_o_path_and_left_out_is_seen_when_it_is_used() {
    // No other test has a rule of this name: all may share one Lanner.
    let opened = (
        "Opened from there",
        "evt.type in (open, openat, openat2) and proc.name = NAME and fd.name = FOLDER/secret and fd.num >= 0 and
         (evt.is_open_read = true or evt.is_open_write = true) and lanner.is_open_path = false",
        "%evt.type|%lanner.requested_name|%evt.is_open_read|%evt.is_open_write",
    );
    let linked = (
        "Linked",
        "evt.type = linkat and proc.name = NAME and fs.path.target = FOLDER/secret",
        "%fs.path.source",
    );
    let Some(scene) = Scene::start("ev-left", &[opened, linked]) else {
        return;
    };
    let (secret, folder, link) = (scene.file("secret", ""), scene.path(""), scene.path("link"));
    // struct open_how: flags, mode, resolve.
    let openat2 = |directory: i64, path: &str, flags: i32, resolve: u64| {
        let (path, how) = (c(path), [u64::from(flags.cast_unsigned()), 0, resolve]);
        made(libc::SYS_openat2, &[directory, text(&path), at(&how), 24])
    };
    let numbers = scene.act(|| {
        let (file, directory) = (open(&secret, libc::O_PATH), open(&folder, libc::O_PATH));
        let same = openat2(-100, &secret, libc::O_PATH, 0);
        openat2(
            directory,
            "secret",
            libc::O_PATH | libc::O_NOFOLLOW,
            libc::RESOLVE_BENEATH,
        );
        open(&format!("/proc/self/fd/{file}"), libc::O_RDONLY);
        openat2(-100, &format!("/dev/fd/{same}"), libc::O_WRONLY, 0);
        let descriptors = open("/proc/thread-self/fd", libc::O_PATH);
        openat2(descriptors, &file.to_string(), libc::O_RDWR, 0);
        openat2(directory, "/secret", libc::O_RDONLY, libc::RESOLVE_IN_ROOT);
        let relative = c("secret");
        let writes = libc::O_WRONLY | libc::O_APPEND;
        made(libc::SYS_openat, &[directory, text(&relative), writes.into(), 0]);
        let (empty, link) = (c(""), c(&link));
        let flags = libc::AT_EMPTY_PATH.into();
        made(libc::SYS_linkat, &[file, text(&empty), -100, text(&link), flags]);
        open(&secret, libc::O_RDONLY);
        vec![file, same, call(libc::SYS_getpid, &[])]
    });
    let (file, same, pid) = (numbers[0], numbers[1], numbers[2]);
    scene.says("Linked", &link);
    let opens = [
        format!("openat|/proc/self/fd/{file}|true|false"),
        format!("openat2|/dev/fd/{same}|false|true"),
        format!("openat2|/proc/{pid}/task/{pid}/fd/{file}|true|true"),
        format!("openat2|{secret}|true|false"),
        format!("openat|{secret}|false|true"),
        format!("openat|{secret}|true|false"),
    ];
    let alerts = scene.lanner.wait_for_alerts("the opens", opens.len(), |alert| {
        alert["rule"] == "Opened from there"
    });
    assert_eq!(alerts.iter().map(output).collect::<Vec<_>>(), opens);
    scene.end();
}

/// What is done to a file by a name that only says which descriptor refers to it.
#[test]
fn a_path_that_is_a_descriptor_names_the_file() {
    let changed = (
        "Changed",
        "proc.name = NAME and evt.rawres = 0 and
         ((evt.type = linkat and evt.arg.oldpath = FOLDER/secret) or
          (evt.type = chmod and evt.arg.filename = FOLDER/secret) or
          (evt.type = truncate and evt.arg.path = FOLDER/secret))",
        "%evt.type|%evt.arg.oldpath|%evt.arg.newpath|%evt.arg.filename|%evt.arg.path",
    );
    let asked = (
        "Asked",
        "proc.name = NAME and evt.type = chmod and evt.arg.filename startswith /proc/self/",
        "%evt.arg.filename",
    );
    let Some(scene) = Scene::start("ev-fdpath", &[changed, asked]) else {
        return;
    };
    let (secret, first, second) = (
        scene.file("secret", ""),
        scene.path("first"),
        scene.path("second"),
    );
    let fds = scene.act(|| {
        let fd = open(&secret, libc::O_PATH);
        let magic = c(&format!("/proc/self/fd/{fd}"));
        let (first, second) = (c(&first), c(&second));
        let follow = libc::AT_SYMLINK_FOLLOW.into();
        made(
            libc::SYS_linkat,
            &[-100, text(&magic), -100, text(&first), follow],
        );
        let flags = libc::AT_EMPTY_PATH.into();
        made(libc::SYS_linkat, &[fd, text(c""), -100, text(&second), flags]);
        made(libc::SYS_chmod, &[text(&magic), 0o4755]);
        let root = c(&format!("/proc/self/root{secret}"));
        made(libc::SYS_truncate, &[text(&root), 0]);
        vec![fd]
    });
    for path in [first, second] {
        scene.says("Changed", &format!("linkat|{secret}|{path}|<NA>|<NA>"));
    }
    scene.says("Changed", &format!("chmod|<NA>|<NA>|{secret}|<NA>"));
    scene.says("Changed", &format!("truncate|<NA>|<NA>|<NA>|{secret}"));
    scene.says("Asked", &format!("/proc/self/fd/{}", fds[0]));
    scene.end();
}
