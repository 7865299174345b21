//! Processes, what they may, and where they are.

use super::actor::{Actor, Call, Expected, NAME, Want, is, pid};
use super::{Case, both, only_compat};

const SETUID: Call = Call(libc::SYS_setuid, 213);
/// Its argument has 16 bits.
const SETUID16: Call = Call(libc::SYS_setuid, 23);
const SETGID: Call = Call(libc::SYS_setgid, 214);
const SETREUID: Call = Call(libc::SYS_setreuid, 203);
const SETREGID: Call = Call(libc::SYS_setregid, 204);
const SETRESUID: Call = Call(libc::SYS_setresuid, 208);
const SETRESGID: Call = Call(libc::SYS_setresgid, 210);
const SETSID: Call = Call(libc::SYS_setsid, 66);
const SETPGID: Call = Call(libc::SYS_setpgid, 57);
const CAPSET: Call = Call(libc::SYS_capset, 185);
const PRCTL: Call = Call(libc::SYS_prctl, 172);
const SETRLIMIT: Call = Call(libc::SYS_setrlimit, 75);
const PRLIMIT: Call = Call(libc::SYS_prlimit64, 340);
const MOUNT: Call = Call(libc::SYS_mount, 21);
const UMOUNT: Call = Call(0, 22);
const UMOUNT2: Call = Call(libc::SYS_umount2, 52);
const SETNS: Call = Call(libc::SYS_setns, 346);
const UNSHARE: Call = Call(libc::SYS_unshare, 310);
const PTRACE: Call = Call(libc::SYS_ptrace, 26);
const INIT_MODULE: Call = Call(libc::SYS_init_module, 128);
const FINIT_MODULE: Call = Call(libc::SYS_finit_module, 350);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    both(&mut cases, "setuid", "to nobody", setuid);
    both(&mut cases, "setuid", "to root, refused", setuid_refused);
    only_compat(&mut cases, "setuid", "by the 16-bit call", setuid16);
    both(&mut cases, "setgid", "to nogroup", setgid);
    both(&mut cases, "setreuid", "of the effective one", setreuid);
    both(&mut cases, "setregid", "of the effective one", setregid);
    both(&mut cases, "setresuid", "of the effective one", setresuid);
    both(&mut cases, "setresgid", "of all", setresgid);
    both(&mut cases, "setsid", "made", setsid);
    both(&mut cases, "setpgid", "of itself", setpgid);
    both(&mut cases, "capset", "of few", capset);
    both(&mut cases, "prctl", "of the name", prctl_name);
    both(&mut cases, "prctl", "of a reaper", prctl_reaper);
    both(&mut cases, "setrlimit", "of files", setrlimit);
    both(&mut cases, "prlimit", "of files", prlimit);
    both(&mut cases, "prlimit", "of nobody", prlimit_nobody);
    both(&mut cases, "mount", "of memory", mount);
    both(&mut cases, "mount", "of nothing", mount_nothing);
    both(&mut cases, "umount2", "of memory", umount2);
    only_compat(&mut cases, "umount", "of nothing", umount);
    both(&mut cases, "setns", "of the host name", setns);
    both(&mut cases, "setns", "by a bad descriptor", setns_bad);
    both(&mut cases, "unshare", "of the host name", unshare);
    both(&mut cases, "unshare", "of what cannot be", unshare_bad);
    both(&mut cases, "ptrace", "by the parent", ptrace_me);
    both(&mut cases, "ptrace", "of nobody", ptrace_nobody);
    both(&mut cases, "init_module", "of junk", init_module);
    both(&mut cases, "finit_module", "of junk", finit_module);
    both(&mut cases, "procexit", "with a status", procexit);
    both(&mut cases, "procexit", "by a signal", procexit_signal);
    both(&mut cases, "signaldeliver", "to itself", signaldeliver);
    cases
}

const NOBODY: i64 = 65534;
const NONE: u32 = u32::MAX;

/// How the group 65534 is named here.
fn nogroup() -> String {
    let groups = std::fs::read_to_string("/etc/group").unwrap();
    let line = groups.lines().find(|line| line.contains(":65534:")).unwrap();
    line.split(':').next().unwrap().to_owned()
}

fn setuid(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETUID, &[NOBODY]), 0);
    Expected::res(0)
        .is("uid", "nobody", NOBODY)
        .field("user.uid", is(NOBODY))
}

fn setuid_refused(actor: &Actor) -> Expected {
    // SAFETY: plain numbers.
    unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
    assert_eq!(actor.call(SETUID, &[0]), -1);
    Expected::res(-1)
        .is("uid", "root", 0)
        .field("user.uid", is(NOBODY))
}

fn setuid16(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETUID16, &[NOBODY]), 0);
    Expected::res(0).is("uid", "nobody", NOBODY)
}

fn setgid(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETGID, &[NOBODY]), 0);
    Expected::res(0).is("gid", nogroup(), NOBODY)
}

fn setreuid(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETREUID, &[-1, NOBODY]), 0);
    Expected::res(0)
        .is("ruid", "<NONE>", NONE)
        .is("euid", "nobody", NOBODY)
}

fn setregid(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETREGID, &[-1, NOBODY]), 0);
    // The table has both as users.
    Expected::res(0)
        .is("rgid", "<NONE>", NONE)
        .is("egid", "nobody", NOBODY)
}

fn setresuid(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETRESUID, &[-1, NOBODY, 0]), 0);
    Expected::res(0)
        .is("ruid", "<NONE>", NONE)
        .is("euid", "nobody", NOBODY)
        .is("suid", "root", 0)
}

fn setresgid(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETRESGID, &[NOBODY, NOBODY, 0]), 0);
    Expected::res(0)
        .is("rgid", nogroup(), NOBODY)
        .is("egid", nogroup(), NOBODY)
        .is("sgid", "root", 0)
}

fn name() -> &'static str {
    NAME.to_str().unwrap()
}

fn setsid(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETSID, &[]), pid());
    Expected::of(pid()).is("res", name(), pid())
}

fn setpgid(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETPGID, &[pid(), pid()]), 0);
    Expected::of(0)
        .same("res", 0)
        .is("pid", name(), pid())
        .is("pgid", name(), pid())
}

fn capset(actor: &Actor) -> Expected {
    let header = actor.words(&[0x2008_0522, 0]);
    // Effective, permitted, inheritable, and the upper halves of the three.
    let sets = actor.words(&[1 << 5, 1 << 5 | 1, 1, 1 << 2, 1 << 2, 0]);
    assert_eq!(actor.call(CAPSET, &[header, sets]), 0);
    Expected::res(0)
        .same("cap_inheritable", 1)
        .same("cap_permitted", "400000021")
        .same("cap_effective", "400000020")
}

fn prctl_name(actor: &Actor) -> Expected {
    assert_eq!(actor.call(PRCTL, &[15, actor.text("renamed")]), 0);
    Expected::res(0)
        .is("option", "PR_SET_NAME", 15)
        .same("arg2_str", "renamed")
        .same("arg2_int", 0)
        .field("proc.name", is("renamed"))
}

fn prctl_reaper(actor: &Actor) -> Expected {
    assert_eq!(actor.call(PRCTL, &[36, 1]), 0);
    Expected::res(0)
        .is("option", "PR_SET_CHILD_SUBREAPER", 36)
        .arg("arg2_str", is("NULL"), Want::Missing)
        .same("arg2_int", 1)
}

fn setrlimit(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETRLIMIT, &[7, actor.longs(&[500, 600])]), 0);
    Expected::res(0)
        .same("cur", 500)
        .same("max", 600)
        .is("resource", "RLIMIT_NOFILE", 7)
}

fn prlimit(actor: &Actor) -> Expected {
    let limits = |cur: u32, max: u32| actor.words(&[cur, 0, max, 0]);
    assert_eq!(actor.call(PRLIMIT, &[0, 7, limits(500, 600), 0]), 0);
    assert_eq!(actor.call(PRLIMIT, &[0, 7, limits(400, 600), limits(0, 0)]), 0);
    Expected::res(0)
        .same("newcur", 400)
        .same("newmax", 600)
        .same("oldcur", 500)
        .same("oldmax", 600)
        .same("pid", 0)
        .is("resource", "RLIMIT_NOFILE", 7)
}

fn prlimit_nobody(actor: &Actor) -> Expected {
    let limits = actor.words(&[400, 0, 600, 0]);
    assert_eq!(actor.call(PRLIMIT, &[0x3fff_ffff, 4, limits, 0]), -3);
    Expected::res(-3)
        .same("newcur", 400)
        .same("newmax", 600)
        .arg("oldcur", is("NULL"), Want::Missing)
        .arg("oldmax", is("NULL"), Want::Missing)
        .same("pid", 0x3fff_ffff)
        .is("resource", "RLIMIT_CORE", 4)
}

/// Mounts made from here on are this process's own.
fn own_mounts() {
    // SAFETY: live strings and plain numbers.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        let nothing = std::ptr::null();
        assert_eq!(
            libc::mount(nothing, c"/".as_ptr(), nothing, flags, nothing.cast()),
            0
        );
    }
}

fn mount(actor: &Actor) -> Expected {
    own_mounts();
    let flags = i64::try_from(libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC).unwrap();
    let arguments = [
        actor.text("nothing"),
        actor.text(&actor.folder),
        actor.text("tmpfs"),
        flags,
        0,
    ];
    assert_eq!(actor.call(MOUNT, &arguments), 0);
    Expected::res(0)
        .same("dev", "nothing")
        .same("dir", &actor.folder)
        .same("type", "tmpfs")
        .is("flags", "NOSUID|NODEV|NOEXEC", "E")
}

fn mount_nothing(actor: &Actor) -> Expected {
    own_mounts();
    let flags = i64::try_from(libc::MS_BIND | libc::MS_REC).unwrap();
    let (from, to) = (actor.path("from"), actor.path("to"));
    assert_eq!(
        actor.call(MOUNT, &[actor.text(&from), actor.text(&to), 0, flags, 0]),
        -2
    );
    Expected::res(-2)
        .same("dev", &from)
        .same("dir", &to)
        .arg("type", Want::Holds(String::new()), Want::Missing)
        .is("flags", "BIND|REC", "5000")
}

fn umount2(actor: &Actor) -> Expected {
    own_mounts();
    let path = std::ffi::CString::new(&*actor.folder).unwrap();
    // SAFETY: live strings.
    unsafe {
        let tmpfs = c"tmpfs".as_ptr();
        assert_eq!(libc::mount(tmpfs, path.as_ptr(), tmpfs, 0, std::ptr::null()), 0);
    }
    let flags = i64::from(libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW);
    assert_eq!(actor.call(UMOUNT2, &[actor.text(&actor.folder), flags]), 0);
    Expected::res(0)
        .same("name", &actor.folder)
        .is("flags", "DETACH|NOFOLLOW", "A")
}

fn umount(actor: &Actor) -> Expected {
    let path = actor.path("nothing");
    assert_eq!(actor.call(UMOUNT, &[actor.text(&path)]), -2);
    Expected::res(-2).same("name", &path)
}

fn setns(actor: &Actor) -> Expected {
    let fd = actor.open("/proc/self/ns/uts", libc::O_RDONLY);
    assert_eq!(actor.call(SETNS, &[fd, i64::from(libc::CLONE_NEWUTS)]), 0);
    Expected::res(0)
        .arg("fd", Want::Starts("<".to_owned()), is(fd))
        .is("nstype", "CLONE_NEWUTS", 80)
        .field("fd.num", is(fd))
}

fn setns_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(SETNS, &[999, 0]), -9);
    Expected::res(-9).same("fd", 999).same("nstype", 0)
}

fn unshare(actor: &Actor) -> Expected {
    let flags = i64::from(libc::CLONE_NEWUTS | libc::CLONE_NEWIPC);
    assert_eq!(actor.call(UNSHARE, &[flags]), 0);
    Expected::res(0).is("flags", "CLONE_NEWIPC|CLONE_NEWUTS", 88)
}

fn unshare_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(UNSHARE, &[i64::from(libc::CLONE_PTRACE)]), -22);
    Expected::res(-22).is("flags", "CLONE_PTRACE", 400)
}

fn ptrace_me(actor: &Actor) -> Expected {
    assert_eq!(actor.call(PTRACE, &[0, 0, 0, 0]), 0);
    Expected::res(0)
        .same("addr", 0)
        .same("data", 0)
        .is("request", "PTRACE_TRACEME", 1)
        .same("pid", 0)
}

fn ptrace_nobody(actor: &Actor) -> Expected {
    assert_eq!(actor.call(PTRACE, &[16, 0x3fff_ffff, 0, 0]), -3);
    Expected::res(-3)
        .same("addr", 0)
        .same("data", 0)
        .is("request", "PTRACE_ATTACH", 11)
        .same("pid", 0x3fff_ffff)
}

fn init_module(actor: &Actor) -> Expected {
    let result = actor.call(INIT_MODULE, &[actor.bytes(b"junk"), 4, actor.text("option=1")]);
    assert!(result < 0);
    Expected::res(result)
        .same("img", "junk")
        .same("length", 4)
        .same("uargs", "option=1")
}

fn finit_module(actor: &Actor) -> Expected {
    let path = actor.file("junk.ko", "junk");
    let fd = actor.open(&path, libc::O_RDONLY);
    let result = actor.call(FINIT_MODULE, &[fd, actor.text("option=1"), 2]);
    assert!(result < 0);
    Expected::res(result)
        .is("fd", format!("<f>{path}"), fd)
        .same("uargs", "option=1")
        .is("flags", "MODULE_INIT_IGNORE_VERMAGIC", 2)
}

/// A child that does this; what `waitpid` tells of it.
fn child(act: impl FnOnce()) -> (i64, i32) {
    // SAFETY: this process has one thread; the child ends here.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            act();
            libc::_exit(9);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        (i64::from(pid), status)
    }
}

const EXIT: Call = Call(libc::SYS_exit_group, 252);
const KILL: Call = Call(libc::SYS_kill, 37);

fn procexit(actor: &Actor) -> Expected {
    let (pid, status) = child(|| {
        actor.call(EXIT, &[3]);
    });
    assert_eq!(status, 0x300);
    Expected::new()
        .by(pid)
        .same("status", 768)
        .same("ret", 3)
        .same("sig", 0)
        .same("core", 0)
        .some("reaper_tid", || Want::Number)
        .field("evt.res", Want::Missing)
}

fn procexit_signal(actor: &Actor) -> Expected {
    let (pid, status) = child(|| {
        actor.call(KILL, &[pid(), 9]);
    });
    assert_eq!(status, 9);
    Expected::new()
        .by(pid)
        .same("status", 9)
        .same("ret", 0)
        .is("sig", "SIGKILL", 9)
        .same("core", 0)
        .some("reaper_tid", || Want::Number)
}

extern "C" fn nothing(_: libc::c_int) {}

fn signaldeliver(actor: &Actor) -> Expected {
    // SAFETY: the handler does nothing.
    unsafe {
        libc::signal(
            libc::SIGUSR1,
            nothing as extern "C" fn(libc::c_int) as libc::sighandler_t,
        )
    };
    assert_eq!(actor.call(KILL, &[pid(), 10]), 0);
    Expected::new()
        .is("spid", name(), pid())
        .is("dpid", name(), pid())
        .is("sig", "SIGUSR1", 10)
}
