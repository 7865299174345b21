//! Files and directories.

use std::os::unix::fs::MetadataExt as _;

use super::actor::{Actor, Call, Expected, Want, is};
use super::{Case, both};

const OPEN: Call = Call(libc::SYS_open, 5);
const OPENAT: Call = Call(libc::SYS_openat, 295);
const OPENAT2: Call = Call(libc::SYS_openat2, 437);
const CREAT: Call = Call(libc::SYS_creat, 8);
const MKDIR: Call = Call(libc::SYS_mkdir, 39);
const MKDIRAT: Call = Call(libc::SYS_mkdirat, 296);
const RMDIR: Call = Call(libc::SYS_rmdir, 40);
const UNLINK: Call = Call(libc::SYS_unlink, 10);
const UNLINKAT: Call = Call(libc::SYS_unlinkat, 301);
const SYMLINK: Call = Call(libc::SYS_symlink, 83);
const SYMLINKAT: Call = Call(libc::SYS_symlinkat, 304);
const LINK: Call = Call(libc::SYS_link, 9);
const LINKAT: Call = Call(libc::SYS_linkat, 303);
const RENAME: Call = Call(libc::SYS_rename, 38);
const RENAMEAT: Call = Call(libc::SYS_renameat, 302);
const RENAMEAT2: Call = Call(libc::SYS_renameat2, 353);
const CHMOD: Call = Call(libc::SYS_chmod, 15);
const FCHMOD: Call = Call(libc::SYS_fchmod, 94);
const FCHMODAT: Call = Call(libc::SYS_fchmodat, 306);
const CHDIR: Call = Call(libc::SYS_chdir, 12);
const FCHDIR: Call = Call(libc::SYS_fchdir, 133);
const CHROOT: Call = Call(libc::SYS_chroot, 61);
const MEMFD_CREATE: Call = Call(libc::SYS_memfd_create, 356);

const CWD: i64 = libc::AT_FDCWD as i64;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    both(&mut cases, "open", "of a new file", open_new);
    both(&mut cases, "open", "of a directory", open_directory);
    both(&mut cases, "open", "of nothing", open_nothing);
    both(&mut cases, "openat", "below a directory", openat_below);
    both(&mut cases, "openat", "of a file that is there", openat_exists);
    both(&mut cases, "openat2", "beneath", openat2_beneath);
    both(&mut cases, "openat2", "in root", openat2_in_root);
    both(&mut cases, "creat", "of a file", creat);
    both(&mut cases, "creat", "in no directory", creat_nowhere);
    both(&mut cases, "mkdir", "made", mkdir);
    both(&mut cases, "mkdir", "there already", mkdir_exists);
    both(&mut cases, "mkdirat", "below a directory", mkdirat);
    both(&mut cases, "rmdir", "removed", rmdir);
    both(&mut cases, "rmdir", "of a file", rmdir_file);
    both(&mut cases, "unlink", "removed", unlink);
    both(&mut cases, "unlink", "of nothing", unlink_nothing);
    both(&mut cases, "unlinkat", "of a directory", unlinkat);
    both(&mut cases, "unlinkat", "by a bad descriptor", unlinkat_bad);
    both(&mut cases, "symlink", "made", symlink);
    both(&mut cases, "symlinkat", "below a directory", symlinkat);
    both(&mut cases, "link", "made", link);
    both(&mut cases, "link", "of nothing", link_nothing);
    both(&mut cases, "linkat", "of what a link points to", linkat);
    both(&mut cases, "rename", "done", rename);
    both(&mut cases, "rename", "of nothing", rename_nothing);
    both(&mut cases, "renameat", "between directories", renameat);
    both(&mut cases, "renameat2", "over a file", renameat2);
    both(&mut cases, "chmod", "set-user-ID", chmod);
    both(&mut cases, "chmod", "of nothing", chmod_nothing);
    both(&mut cases, "fchmod", "by descriptor", fchmod);
    both(&mut cases, "fchmod", "by a bad descriptor", fchmod_bad);
    both(&mut cases, "fchmodat", "below a directory", fchmodat);
    both(&mut cases, "chdir", "changed", chdir);
    both(&mut cases, "chdir", "to a file", chdir_file);
    both(&mut cases, "fchdir", "changed", fchdir);
    both(&mut cases, "fchdir", "by a bad descriptor", fchdir_bad);
    both(&mut cases, "chroot", "changed", chroot);
    both(&mut cases, "chroot", "to nothing", chroot_nothing);
    both(&mut cases, "memfd_create", "made", memfd_create);
    both(&mut cases, "memfd_create", "with unknown flags", memfd_create_bad);
    cases
}

/// Device and inode, as the event has them.
fn object(expected: Expected, path: &str) -> Expected {
    let file = std::fs::metadata(path).unwrap();
    expected
        // The kernel's 12:20 bits; Falco's is the same as what `stat` gives for small numbers.
        .arg(
            "dev",
            is(format!("{:X}", file.dev())),
            is(format!("{:X}", file.dev())),
        )
        .same("ino", file.ino())
}

/// A call that failed has made nothing.
fn no_object(expected: Expected) -> Expected {
    expected.same("dev", 0).same("ino", 0)
}

fn file(expected: Expected, fd: i64, path: &str) -> Expected {
    expected
        .is("fd", format!("<f>{path}"), fd)
        .field("fd.num", is(fd))
        .field("fd.type", is("file"))
        .field("fd.typechar", is("f"))
        .field("fd.name", is(path))
}

fn open_new(actor: &Actor) -> Expected {
    let path = actor.path("new");
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_APPEND;
    let fd = actor.call(OPEN, &[actor.text(&path), i64::from(flags), 0o640]);
    assert!(fd >= 0, "{fd}");
    let expected = file(Expected::of(fd), fd, &path)
        .same("name", &path)
        .is("flags", "O_EXCL|O_APPEND|O_CREAT|O_RDWR|O_F_CREATED", "402F")
        .is("mode", "0640", "640")
        .field("evt.is_open_write", is(true))
        .field("evt.is_open_read", is(true))
        .field("evt.is_open_create", is(true))
        .field("evt.is_open_exec", is(false));
    object(expected, &path)
}

fn open_directory(actor: &Actor) -> Expected {
    let path = actor.folder.clone();
    let fd = actor.call(
        OPEN,
        &[actor.text(&path), i64::from(libc::O_DIRECTORY | libc::O_CLOEXEC)],
    );
    assert!(fd >= 0, "{fd}");
    let expected = Expected::of(fd)
        .is("fd", format!("<d>{path}"), fd)
        .field("fd.num", is(fd))
        .field("fd.type", is("directory"))
        .field("fd.typechar", is("d"))
        .field("fd.name", is(&path))
        .same("name", &path)
        .is("flags", "O_DIRECTORY|O_RDONLY|O_CLOEXEC", "1401")
        .same("mode", 0)
        .field("evt.is_open_write", is(false));
    object(expected, &path)
}

fn open_nothing(actor: &Actor) -> Expected {
    let path = actor.path("nothing");
    let flags = i64::from(libc::O_WRONLY | libc::O_NONBLOCK);
    let fd = actor.call(OPEN, &[actor.text(&path), flags]);
    no_object(
        Expected::of(-2)
            .is("fd", "ENOENT", fd)
            .field("fd.num", Want::Starts("-".to_owned()))
            .field("fd.name", is(&path))
            .same("name", &path)
            .is("flags", "O_NONBLOCK|O_WRONLY", "42")
            .same("mode", 0),
    )
}

fn openat_below(actor: &Actor) -> Expected {
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    let flags = i64::from(libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY | libc::O_CLOEXEC);
    let fd = actor.call(OPENAT, &[directory, actor.text("below"), flags, 0o751]);
    let path = actor.path("below");
    let expected = file(Expected::of(fd), fd, &path)
        .is("dirfd", format!("<d>{}", actor.folder), directory)
        .is("name", &path, "below")
        .is("flags", "O_TRUNC|O_CREAT|O_WRONLY|O_CLOEXEC|O_F_CREATED", "5106")
        .is("mode", "0751", "751")
        .field("evt.is_open_exec", is(true));
    object(expected, &path)
}

fn openat_exists(actor: &Actor) -> Expected {
    let path = actor.file("exists", "text");
    let flags = i64::from(libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY);
    let fd = actor.call(OPENAT, &[CWD, actor.text(&path), flags, 0o600]);
    no_object(
        Expected::of(-17)
            .is("fd", "EEXIST", fd)
            .is("dirfd", "AT_FDCWD", -100)
            .same("name", &path)
            .is("flags", "O_EXCL|O_CREAT|O_WRONLY", "26")
            .is("mode", "0600", "600")
            .field("evt.is_open_create", is(false)),
    )
}

fn openat2_beneath(actor: &Actor) -> Expected {
    actor.file("beneath", "text");
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    // struct open_how: flags, mode and resolve, 64 bits each.
    let flags = u64::try_from(libc::O_RDONLY | libc::O_NONBLOCK).unwrap();
    let resolve = 0x08 | 0x04u64;
    let how: Vec<u8> = [flags, 0, resolve].iter().flat_map(|w| w.to_ne_bytes()).collect();
    let fd = actor.call(
        OPENAT2,
        &[directory, actor.text("beneath"), actor.bytes(&how), 24],
    );
    let path = actor.path("beneath");
    let expected = file(Expected::of(fd), fd, &path)
        .is("dirfd", format!("<d>{}", actor.folder), directory)
        .is("name", &path, "beneath")
        .is("flags", "O_NONBLOCK|O_RDONLY", "41")
        .same("mode", 0)
        .is("resolve", "RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS", "9");
    object(expected, &path)
}

/// To which the directory is the root: its absolute path starts there.
fn openat2_in_root(actor: &Actor) -> Expected {
    actor.file("within", "text");
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    let how: Vec<u8> = [0, 0, 0x10u64].iter().flat_map(|w| w.to_ne_bytes()).collect();
    let fd = actor.call(
        OPENAT2,
        &[directory, actor.text("/../within"), actor.bytes(&how), 24],
    );
    let path = actor.path("within");
    let expected = file(Expected::of(fd), fd, &path)
        .is("dirfd", format!("<d>{}", actor.folder), directory)
        .is("name", &path, "/../within")
        .is("flags", "O_RDONLY", "1")
        .same("mode", 0)
        .is("resolve", "RESOLVE_IN_ROOT", "2");
    object(expected, &path)
}

fn creat(actor: &Actor) -> Expected {
    let path = actor.path("creat");
    let fd = actor.call(CREAT, &[actor.text(&path), 0o644]);
    let expected = file(Expected::of(fd), fd, &path)
        .same("name", &path)
        .is("mode", "0644", "644")
        .arg("creat_flags", is(0), is(0));
    object(expected, &path)
}

fn creat_nowhere(actor: &Actor) -> Expected {
    let path = actor.path("no/such");
    let fd = actor.call(CREAT, &[actor.text(&path), 0o644]);
    no_object(
        Expected::of(-2)
            .is("fd", "ENOENT", fd)
            .same("name", &path)
            .is("mode", "0644", "644")
            .same("creat_flags", 0),
    )
}

fn mkdir(actor: &Actor) -> Expected {
    let path = actor.path("made");
    let result = actor.call(MKDIR, &[actor.text(&path), 0o2750]);
    assert_eq!(result, 0);
    Expected::res(0).same("path", &path).same("mode", "5E8")
}

fn mkdir_exists(actor: &Actor) -> Expected {
    let result = actor.call(MKDIR, &[actor.text(&actor.folder), 0o700]);
    assert_eq!(result, -17);
    Expected::res(-17).same("path", &actor.folder).same("mode", "1C0")
}

fn mkdirat(actor: &Actor) -> Expected {
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    assert_eq!(actor.call(MKDIRAT, &[directory, actor.text("made"), 0o755]), 0);
    Expected::res(0)
        .is("dirfd", format!("<d>{}", actor.folder), directory)
        .is("path", actor.path("made"), "made")
        // Falco's table has this mode in hexadecimal, other than that of an open.
        .same("mode", "1ED")
}

fn rmdir(actor: &Actor) -> Expected {
    let path = actor.path("removed");
    std::fs::create_dir(&path).unwrap();
    assert_eq!(actor.call(RMDIR, &[actor.text(&path)]), 0);
    Expected::res(0).same("path", &path)
}

fn rmdir_file(actor: &Actor) -> Expected {
    let path = actor.file("file", "");
    assert_eq!(actor.call(RMDIR, &[actor.text(&path)]), -20);
    Expected::res(-20).same("path", &path)
}

fn unlink(actor: &Actor) -> Expected {
    let path = actor.file("unlinked", "");
    assert_eq!(actor.call(UNLINK, &[actor.text(&path)]), 0);
    Expected::res(0).same("path", &path)
}

fn unlink_nothing(actor: &Actor) -> Expected {
    std::env::set_current_dir(&actor.folder).unwrap();
    assert_eq!(actor.call(UNLINK, &[actor.text("nothing")]), -2);
    Expected::res(-2).is("path", actor.path("nothing"), "nothing")
}

fn unlinkat(actor: &Actor) -> Expected {
    std::fs::create_dir(actor.path("directory")).unwrap();
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    let flags = i64::from(libc::AT_REMOVEDIR);
    assert_eq!(
        actor.call(UNLINKAT, &[directory, actor.text("directory"), flags]),
        0
    );
    Expected::res(0)
        .is("dirfd", format!("<d>{}", actor.folder), directory)
        .is("name", actor.path("directory"), "directory")
        .is("flags", "AT_REMOVEDIR", "200")
}

fn unlinkat_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(UNLINKAT, &[999, actor.text("relative"), 0]), -9);
    Expected::res(-9)
        .is("dirfd", 999, 999)
        .arg("name", Want::Ends("relative".to_owned()), is("relative"))
        .same("flags", 0)
}

fn symlink(actor: &Actor) -> Expected {
    let path = actor.path("link");
    assert_eq!(
        actor.call(SYMLINK, &[actor.text("../target"), actor.text(&path)]),
        0
    );
    Expected::res(0)
        .same("target", "../target")
        .same("linkpath", &path)
}

fn symlinkat(actor: &Actor) -> Expected {
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    let arguments = [actor.text("/etc/shadow"), directory, actor.text("link")];
    assert_eq!(actor.call(SYMLINKAT, &arguments), 0);
    Expected::res(0)
        .same("target", "/etc/shadow")
        .is("linkdirfd", format!("<d>{}", actor.folder), directory)
        .is("linkpath", actor.path("link"), "link")
}

fn link(actor: &Actor) -> Expected {
    let old = actor.file("old", "");
    let new = actor.path("new");
    assert_eq!(actor.call(LINK, &[actor.text(&old), actor.text(&new)]), 0);
    Expected::res(0).same("oldpath", &old).same("newpath", &new)
}

fn link_nothing(actor: &Actor) -> Expected {
    let (old, new) = (actor.path("old"), actor.path("new"));
    assert_eq!(actor.call(LINK, &[actor.text(&old), actor.text(&new)]), -2);
    Expected::res(-2).same("oldpath", &old).same("newpath", &new)
}

fn linkat(actor: &Actor) -> Expected {
    let old = actor.file("old", "");
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    let flags = i64::from(libc::AT_SYMLINK_FOLLOW);
    let arguments = [CWD, actor.text(&old), directory, actor.text("new"), flags];
    assert_eq!(actor.call(LINKAT, &arguments), 0);
    Expected::res(0)
        .is("olddir", "AT_FDCWD", -100)
        .same("oldpath", &old)
        .is("newdir", format!("<d>{}", actor.folder), directory)
        .is("newpath", actor.path("new"), "new")
        .is("flags", "AT_SYMLINK_FOLLOW", "400")
}

fn rename(actor: &Actor) -> Expected {
    let old = actor.file("old", "");
    let new = actor.path("new");
    assert_eq!(actor.call(RENAME, &[actor.text(&old), actor.text(&new)]), 0);
    Expected::res(0).same("oldpath", &old).same("newpath", &new)
}

fn rename_nothing(actor: &Actor) -> Expected {
    let (old, new) = (actor.path("old"), actor.path("new"));
    assert_eq!(actor.call(RENAME, &[actor.text(&old), actor.text(&new)]), -2);
    Expected::res(-2).same("oldpath", &old).same("newpath", &new)
}

fn renameat(actor: &Actor) -> Expected {
    actor.file("old", "");
    std::fs::create_dir(actor.path("other")).unwrap();
    let from = actor.open(&actor.folder, libc::O_DIRECTORY);
    let to = actor.open(&actor.path("other"), libc::O_DIRECTORY);
    let arguments = [from, actor.text("old"), to, actor.text("new")];
    assert_eq!(actor.call(RENAMEAT, &arguments), 0);
    Expected::res(0)
        .is("olddirfd", format!("<d>{}", actor.folder), from)
        .is("oldpath", actor.path("old"), "old")
        .is("newdirfd", format!("<d>{}", actor.path("other")), to)
        .is("newpath", actor.path("other/new"), "new")
}

fn renameat2(actor: &Actor) -> Expected {
    let old = actor.file("old", "");
    let new = actor.file("new", "");
    let flags = i64::from(libc::RENAME_NOREPLACE);
    let arguments = [CWD, actor.text(&old), CWD, actor.text(&new), flags];
    assert_eq!(actor.call(RENAMEAT2, &arguments), -17);
    Expected::res(-17)
        .is("olddirfd", "AT_FDCWD", -100)
        .same("oldpath", &old)
        .is("newdirfd", "AT_FDCWD", -100)
        .same("newpath", &new)
        .is("flags", "RENAME_NOREPLACE", 1)
}

const MODE: &str = "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID";

fn chmod(actor: &Actor) -> Expected {
    let path = actor.file("mode", "");
    assert_eq!(actor.call(CHMOD, &[actor.text(&path), 0o4755]), 0);
    Expected::res(0).same("filename", &path).is("mode", MODE, "4755")
}

fn chmod_nothing(actor: &Actor) -> Expected {
    let path = actor.path("nothing");
    assert_eq!(actor.call(CHMOD, &[actor.text(&path), 0o600]), -2);
    Expected::res(-2)
        .same("filename", &path)
        .is("mode", "S_IWUSR|S_IRUSR", "600")
}

fn fchmod(actor: &Actor) -> Expected {
    let path = actor.file("mode", "");
    let fd = actor.open(&path, libc::O_RDONLY);
    assert_eq!(actor.call(FCHMOD, &[fd, 0o2640]), 0);
    file(Expected::res(0), fd, &path).is("mode", "S_IRGRP|S_IWUSR|S_IRUSR|S_ISGID", "2640")
}

fn fchmod_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(FCHMOD, &[999, 0o1777]), -9);
    Expected::res(-9).same("fd", 999).field("fd.num", is(999)).is(
        "mode",
        "S_IXOTH|S_IWOTH|S_IROTH|S_IXGRP|S_IWGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISVTX",
        "1777",
    )
}

fn fchmodat(actor: &Actor) -> Expected {
    actor.file("mode", "");
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    assert_eq!(actor.call(FCHMODAT, &[directory, actor.text("mode"), 0o4755]), 0);
    Expected::res(0)
        .is("dirfd", format!("<d>{}", actor.folder), directory)
        .is("filename", actor.path("mode"), "mode")
        .is("mode", MODE, "4755")
}

fn chdir(actor: &Actor) -> Expected {
    assert_eq!(actor.call(CHDIR, &[actor.text(&actor.folder)]), 0);
    Expected::res(0)
        .same("path", &actor.folder)
        .field("proc.cwd", Want::Starts(actor.folder.clone()))
}

fn chdir_file(actor: &Actor) -> Expected {
    let path = actor.file("file", "");
    assert_eq!(actor.call(CHDIR, &[actor.text(&path)]), -20);
    Expected::res(-20).same("path", &path)
}

fn fchdir(actor: &Actor) -> Expected {
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    assert_eq!(actor.call(FCHDIR, &[directory]), 0);
    Expected::res(0)
        .is("fd", format!("<d>{}", actor.folder), directory)
        .field("fd.num", is(directory))
        .field("fd.name", is(&actor.folder))
        .field("proc.cwd", Want::Starts(actor.folder.clone()))
}

fn fchdir_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(FCHDIR, &[-1]), -9);
    Expected::res(-9).is("fd", "EPERM", -1)
}

fn chroot(actor: &Actor) -> Expected {
    assert_eq!(actor.call(CHROOT, &[actor.text(&actor.folder)]), 0);
    Expected::res(0).arg("path", Want::Holds("/".to_owned()), is(&actor.folder))
}

fn chroot_nothing(actor: &Actor) -> Expected {
    let path = actor.path("nothing");
    assert_eq!(actor.call(CHROOT, &[actor.text(&path)]), -2);
    Expected::res(-2).same("path", &path)
}

fn memfd_create(actor: &Actor) -> Expected {
    let flags = i64::from(libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
    let fd = actor.call(MEMFD_CREATE, &[actor.text("in memory"), flags]);
    assert!(fd >= 0, "{fd}");
    Expected::of(fd)
        .arg("fd", Want::Starts("<m>".to_owned()), is(fd))
        .same("name", "in memory")
        .is("flags", "MFD_CLOEXEC|MFD_ALLOW_SEALING", 3)
        .field("fd.num", is(fd))
        .field("fd.type", is("memfd"))
        .field("fd.name", Want::Holds("in memory".to_owned()))
}

fn memfd_create_bad(actor: &Actor) -> Expected {
    let result = actor.call(MEMFD_CREATE, &[actor.text("bad"), 0x4000_0000]);
    assert_eq!(result, -22);
    Expected::of(-22)
        .is("fd", "EINVAL", -22)
        .same("name", "bad")
        .some("flags", || Want::Number)
}
