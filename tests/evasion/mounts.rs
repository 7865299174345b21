//! Mounts, roots and working directories: the same file by other ways.

use std::ffi::CStr;

use crate::scene::{Scene, at, c, call, made, open, text};

/// A file system is mounted without mount(): each step is seen with what it was given.
#[test]
fn the_newer_mount_calls_say_what_they_mount_and_where() {
    let step = (
        "Step",
        "evt.type in (fsopen, fsconfig, fsmount, move_mount, open_tree, mount_setattr, fspick) and proc.name = NAME",
        "%evt.type|%evt.args",
    );
    let Some(scene) = Scene::start("ev-mounts", &[step]) else {
        return;
    };
    let (target, other) = (scene.path("target"), scene.path("other"));
    for folder in [&target, &other] {
        std::fs::create_dir(folder).unwrap();
    }
    let done = scene.act(|| {
        apart();
        let fs = made(libc::SYS_fsopen, &[text(c"tmpfs"), 1]);
        made(libc::SYS_fsconfig, &[fs, 1, text(c"source"), text(c"evasion"), 0]);
        made(libc::SYS_fsconfig, &[fs, 6, 0, 0, 0]);
        let mount = made(libc::SYS_fsmount, &[fs, 1, 2]);
        let (to, elsewhere) = (c(&target), c(&other));
        made(libc::SYS_move_mount, &[mount, text(c""), -100, text(&to), 4]);
        // A copy of it (OPEN_TREE_CLONE), elsewhere.
        let tree = made(libc::SYS_open_tree, &[-100, text(&to), 1]);
        // struct mount_attr: set, clear, propagation, user namespace.
        let attributes = [1u64, 2, 0, 0];
        made(
            libc::SYS_mount_setattr,
            &[tree, text(c""), libc::AT_EMPTY_PATH.into(), at(&attributes), 32],
        );
        made(
            libc::SYS_move_mount,
            &[tree, text(c""), -100, text(&elsewhere), 4],
        );
        vec![fs, mount, tree]
    });
    let has = |event: &str, parts: &[String]| {
        scene
            .lanner
            .wait_for_alert(&format!("{event} {parts:?}"), |alert| {
                let args = crate::scene::of(alert, "evt.args");
                alert["output_fields"]["evt.type"] == event && parts.iter().all(|part| args.contains(part))
            });
    };
    let part = str::to_owned;
    has("fsopen", &[part("fsname=tmpfs"), part("flags=1(FSOPEN_CLOEXEC)")]);
    has(
        "fsconfig",
        &[
            format!("fd={}", done[0]),
            part("FSCONFIG_SET_STRING"),
            part("key=source"),
            part("value_charbuf=evasion"),
        ],
    );
    has("fsconfig", &[part("FSCONFIG_CMD_CREATE")]);
    has(
        "fsmount",
        &[
            format!("fs_fd={}", done[0]),
            part("attr_flags=2(MOUNT_ATTR_NOSUID)"),
        ],
    );
    has(
        "move_mount",
        &[
            format!("from_dfd={}", done[1]),
            format!("to_path={target}"),
            part("MOVE_MOUNT_F_EMPTY_PATH"),
        ],
    );
    has(
        "open_tree",
        &[format!("filename={target}"), part("OPEN_TREE_CLONE")],
    );
    has(
        "mount_setattr",
        &[
            format!("dirfd={}", done[2]),
            part("MOUNT_ATTR_RDONLY"),
            part("MOUNT_ATTR_NOSUID"),
            part("AT_EMPTY_PATH"),
        ],
    );
    has("move_mount", &[format!("to_path={other}")]);
    scene.end();
}

/// A mount namespace of the caller's own, of which nothing comes out.
pub(crate) fn apart() {
    made(libc::SYS_unshare, &[libc::CLONE_NEWNS.into()]);
    let flags = i64::try_from(libc::MS_REC | libc::MS_PRIVATE).unwrap();
    made(libc::SYS_mount, &[0, text(c"/"), 0, flags, 0]);
}

pub(crate) fn mount(from: &str, to: &str) {
    let (from, to) = (c(from), c(to));
    made(
        libc::SYS_mount,
        &[text(&from), text(&to), 0, libc::MS_BIND as i64, 0],
    );
}

/// What is written to by a bind mount's name is that mount's; the inode says whose file it is.
#[test]
fn a_file_below_a_bind_mount_is_known_by_its_inode() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "").unwrap();
    let inode = std::fs::metadata(&secret).unwrap().ino();
    let by_inode = format!("evt.type in (openat, write) and proc.name = NAME and fd.ino = {inode}");
    let by_name = (
        "Name",
        "evt.type in (openat, write) and proc.name = NAME and fd.name = FOLDER/mounted/secret",
        "%evt.type",
    );
    let Some(scene) = Scene::start("ev-bind", &[("Inode", &by_inode, "%evt.type|%fd.name"), by_name]) else {
        return;
    };
    let mounted = scene.path("mounted");
    std::fs::create_dir(&mounted).unwrap();
    let from = folder.path().to_str().unwrap().to_owned();
    scene.act(|| {
        apart();
        mount(&from, &mounted);
        let fd = open(&format!("{mounted}/secret"), libc::O_WRONLY);
        made(libc::SYS_write, &[fd, at(b"x"), 1]);
        vec![]
    });
    for event in ["openat", "write"] {
        scene.says("Inode", &format!("{event}|{mounted}/secret"));
        scene.says("Name", event);
    }
    scene.end();
}

/// A program that is mounted over another is not that other.
#[test]
fn a_program_mounted_over_another_has_its_own_inode() {
    use std::os::unix::fs::MetadataExt as _;
    let ran = (
        "Ran",
        "evt.type = execve and evt.rawres = 0 and proc.pname = NAME",
        "%proc.exepath|%proc.exe_ino",
    );
    let Some(scene) = Scene::start("ev-over", &[ran]) else {
        return;
    };
    let (good, evil) = (scene.path("good"), scene.path("evil"));
    for program in [&good, &evil] {
        crate::scene::copy("/bin/true", program);
    }
    let inode = std::fs::metadata(&evil).unwrap().ino();
    scene.act(|| {
        apart();
        mount(&evil, &good);
        crate::scene::child(|| crate::scene::exec(&good, &["good"]));
        vec![]
    });
    scene.says("Ran", &format!("{good}|{inode}"));
    scene.end();
}

/// What is below a mount that is nowhere is named by where its file system is mounted: below a clone of a directory, of one file, of
/// a directory of another file system, below a bind mount that was unmounted while it was in use. So is a program.
#[test]
fn files_below_a_mount_that_is_nowhere_have_their_whole_path() {
    let rules = [
        (
            "Used",
            "evt.type in (openat, write) and proc.name = NAME and fd.name startswith FOLDER/secrets/",
            "%evt.type|%fd.name",
        ),
        (
            "Mounted",
            "evt.type = openat and proc.name = NAME and fd.name = FOLDER/mounted/deep/key",
            "%evt.type",
        ),
        (
            "Ran",
            "evt.type in (execve, execveat) and evt.rawres = 0 and proc.pname = NAME",
            "%proc.exepath|%proc.cwd",
        ),
    ];
    let Some(scene) = Scene::start("ev-nowhere", &rules) else {
        return;
    };
    let (secrets, mounted) = (scene.path("secrets"), scene.path("mounted"));
    let volume = scene.path("secrets/volume");
    for folder in [&format!("{secrets}/deep"), &volume, &mounted] {
        std::fs::create_dir_all(folder).unwrap();
    }
    for file in ["deep/key", "deep/other", "deep/last"] {
        std::fs::write(format!("{secrets}/{file}"), "").unwrap();
    }
    crate::scene::copy("/bin/true", &format!("{secrets}/program"));
    scene.act(|| {
        apart();
        let clone = |path: &str| {
            let path = c(path);
            made(libc::SYS_open_tree, &[-100, text(&path), 1])
        };
        let write = |at: i64, path: &CStr, flags: i32| {
            let fd = made(libc::SYS_openat, &[at, text(path), flags.into(), 0]);
            made(libc::SYS_write, &[fd, crate::scene::at(b"x"), 1]);
        };
        let tree = clone(&secrets);
        write(tree, c"deep/key", libc::O_WRONLY);
        let file = clone(&format!("{secrets}/deep/other"));
        let link = c(&format!("/proc/self/fd/{file}"));
        write(-100, &link, libc::O_WRONLY);
        crate::scene::child(|| {
            made(libc::SYS_fchdir, &[tree]);
            crate::scene::exec("./program", &["program"]);
        });
        let (volume, sub) = (c(&volume), format!("{volume}/sub"));
        let none = text(c"evasion");
        made(libc::SYS_mount, &[none, text(&volume), text(c"tmpfs"), 0, 0]);
        std::fs::create_dir(&sub).unwrap();
        std::fs::write(format!("{sub}/file"), "").unwrap();
        write(clone(&sub), c"file", libc::O_WRONLY);
        mount(&secrets, &mounted);
        let folder = open(&mounted, libc::O_DIRECTORY);
        open(&format!("{mounted}/deep/key"), libc::O_RDONLY);
        let path = c(&mounted);
        made(libc::SYS_umount2, &[text(&path), libc::MNT_DETACH.into()]);
        write(folder, c"deep/last", libc::O_WRONLY);
        vec![]
    });
    for file in ["deep/key", "deep/other", "volume/sub/file", "deep/last"] {
        for event in ["openat", "write"] {
            scene.says("Used", &format!("{event}|{secrets}/{file}"));
        }
    }
    scene.says("Mounted", "openat");
    scene.says("Ran", &format!("{secrets}/program|{secrets}/"));
    scene.end();
}

/// False where the root is not mounted on another, as in a guest without a disk: it can't be exchanged.
fn root_is_mounted() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    // The number of the mount, of what it is mounted on, the device, what of it, and where.
    mounts.any(|mount| mount[4] == "/" && mount[0] != mount[1])
}

/// Names are those the process sees, from the root it has.
#[test]
fn descriptors_inside_a_changed_root_are_named_from_it() {
    let used = (
        "Used",
        "evt.type in (write, openat) and proc.name startswith NAME and fd.filename = secret",
        "%evt.type|%fd.name|%proc.cwd",
    );
    let Some(scene) = Scene::start("ev-roots", &[used]) else {
        return;
    };
    let (root, old) = (scene.path("root"), scene.path("root/old"));
    std::fs::create_dir_all(&old).unwrap();
    std::fs::write(format!("{root}/secret"), "").unwrap();
    let exchanges = root_is_mounted();
    scene.act(|| {
        apart();
        mount(&root, &root);
        crate::scene::child(|| {
            let path = c(&root);
            made(libc::SYS_chroot, &[text(&path)]);
            made(libc::SYS_chdir, &[text(c"/")]);
            let fd = open("secret", libc::O_WRONLY);
            made(libc::SYS_write, &[fd, at(b"x"), 1]);
        });
        if !exchanges {
            return vec![];
        }
        crate::scene::child(|| {
            crate::scene::call_oneself(c"ev-roots-pivot");
            let (new, old) = (c(&root), c(&old));
            apart();
            made(libc::SYS_pivot_root, &[text(&new), text(&old)]);
            made(libc::SYS_chdir, &[text(c"/old")]);
            let fd = open("../secret", libc::O_WRONLY);
            made(libc::SYS_write, &[fd, at(b"x"), 1]);
            // A way out that is left: the old root below.
            let path = c(&format!("/old{root}/secret"));
            call(libc::SYS_openat, &[-100, text(&path), 0, 0]);
        });
        vec![]
    });
    scene.says("Used", "openat|/secret|/");
    scene.says("Used", "write|/secret|/");
    if exchanges {
        scene.says("Used", "openat|/secret|/old/");
        scene.says("Used", "write|/secret|/old/");
        scene.says("Used", &format!("openat|/old{root}/secret|/old/"));
    } else {
        crate::support::skip("pivot_root: the root of this machine can't be exchanged");
    }
    scene.end();
}
