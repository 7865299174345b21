//! A file by what it is and not by what it is called: `fd.ino` and `fd.dev`.

use std::os::unix::fs::MetadataExt as _;

use crate::scene::{Scene, at, c, call, child, made, open, text};

/// Everything that can be done to a file that has a descriptor, by a name that no rule knows.
#[test]
fn every_event_with_a_file_says_which_file() {
    // Before Lanner starts: a rule is written for a file that is there.
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret text").unwrap();
    let file = std::fs::metadata(&secret).unwrap();
    let condition = format!(
        "proc.name = NAME and fd.ino = {} and fd.dev = {}",
        file.ino(),
        // As the kernel encodes it for stat().
        u32::try_from(file.dev()).unwrap()
    );
    let condition = format!(
        "evt.type in (open, openat, openat2, creat, read, write, pread, pwrite, readv, writev, \
        ftruncate, fallocate, fchmod, fchown, fsync, fstat, flock, lseek, sendfile, mmap, getdents64, fcntl, dup, dup3, \
        close, ioctl, fsetxattr, fadvise64, copy_file_range, open_by_handle_at) and {condition}"
    );
    let Some(scene) = Scene::start(
        "ev-inode",
        &[("Secret", &condition, "%evt.type|%fd.name|%fd.ino|%fd.dev")],
    ) else {
        return;
    };
    let link = folder.path().join("innocent");
    std::fs::hard_link(&secret, &link).unwrap();
    let path = link.to_str().unwrap().to_owned();
    scene.act(|| {
        let name = c(&path);
        let fd = open(&path, libc::O_RDWR);
        made(libc::SYS_open, &[text(&name), 0, 0]);
        let how = [0u64; 3];
        let _ = call(libc::SYS_openat2, &[-100, text(&name), at(&how), 24]);
        let mut buffer = [0u8; 16];
        let buffer = buffer.as_mut_ptr() as i64;
        made(libc::SYS_read, &[fd, buffer, 1]);
        made(libc::SYS_write, &[fd, buffer, 1]);
        made(libc::SYS_pread64, &[fd, buffer, 1, 0]);
        made(libc::SYS_pwrite64, &[fd, buffer, 1, 0]);
        made(libc::SYS_readv, &[fd, at(&[buffer, 1]), 1]);
        made(libc::SYS_writev, &[fd, at(&[buffer, 1]), 1]);
        made(libc::SYS_ftruncate, &[fd, 16]);
        made(libc::SYS_fchmod, &[fd, 0o600]);
        made(libc::SYS_fchown, &[fd, -1, -1]);
        made(libc::SYS_flock, &[fd, libc::LOCK_SH.into()]);
        made(libc::SYS_lseek, &[fd, 0, 0]);
        let copy = made(libc::SYS_dup, &[fd]);
        made(libc::SYS_fcntl, &[fd, libc::F_GETFL.into(), 0]);
        made(
            libc::SYS_mmap,
            &[0, 4096, libc::PROT_READ.into(), libc::MAP_PRIVATE.into(), fd, 0],
        );
        made(libc::SYS_creat, &[text(&name), 0]);
        made(libc::SYS_close, &[copy]);
        vec![]
    });
    let all = [
        "open",
        "openat",
        "openat2",
        "creat",
        "read",
        "write",
        "pread",
        "pwrite",
        "readv",
        "writev",
        "ftruncate",
        "fchmod",
        "fchown",
        "flock",
        "lseek",
        "dup",
        "fcntl",
        "mmap",
        "close",
    ];
    for event in all {
        let alert = scene
            .lanner
            .wait_for_alert(event, |a| a["output_fields"]["evt.type"] == event);
        assert_eq!(crate::scene::of(&alert, "fd.name"), path, "{alert}");
    }
    scene.end();
}

/// The program that runs, by the same two numbers.
#[test]
fn a_program_is_known_by_its_inode_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("nmap");
    crate::scene::copy("/bin/true", program.to_str().unwrap());
    let inode = std::fs::metadata(&program).unwrap().ino();
    let condition = format!("evt.type = execve and evt.rawres = 0 and proc.exe_ino = {inode}");
    let Some(scene) = Scene::start("ev-exeino", &[("Ran", &condition, "%proc.exepath|%proc.name")]) else {
        return;
    };
    let link = folder.path().join("innocent");
    std::fs::hard_link(&program, &link).unwrap();
    let path = link.to_str().unwrap().to_owned();
    scene.act(|| {
        child(|| crate::scene::exec(&path, &["x"]));
        vec![]
    });
    scene.says("Ran", &format!("{path}|innocent"));
    scene.end();
}
