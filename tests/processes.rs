//! What calls change of a process, and how their parameters print, in a real run.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::ffi::CStr;

use support::lanner::{self, Lanner, field};
use support::skip;

const RULES: &str = r#"
- rule: Called
  desc: For this test
  condition: >
    evt.type in (prctl, setresuid, setresgid, setrlimit, prlimit, setpgid, chroot, mount, umount2, ptrace, init_module,
    capset) and proc.name = lanner-actor
  output: "*%evt.type %evt.args"
  priority: NOTICE

- rule: Followed
  desc: For this test
  condition: evt.type = unlink and proc.name = lanner-actor and proc.is_sid_leader = true and proc.sid = val(proc.pgid)
  output: "*%evt.arg.path %proc.sname %proc.tty %user.uid"
  priority: NOTICE

- rule: Signalled
  desc: For this test
  condition: evt.type = signaldeliver and proc.name = lanner-actor and evt.arg.sig = SIGUSR1
  output: "*%evt.args"
  priority: NOTICE

- rule: Ended
  desc: For this test
  condition: evt.type = procexit and proc.name = lanner-actor and evt.arg.sig = SIGKILL
  output: "*%evt.args"
  priority: NOTICE
"#;

extern "C" fn handler(_: libc::c_int) {}

/// The calls, in a process of their own that ends by a signal. It may not allocate: others run in this one.
fn act(name: &CStr, missing: &CStr, place: &CStr) {
    // SAFETY: after fork() this makes system calls only, on constants and on what was made before.
    unsafe {
        let child = libc::fork();
        if child > 0 {
            let mut status = 0;
            libc::waitpid(child, &mut status, 0);
            assert_eq!(status, libc::SIGKILL);
            return;
        }
        libc::syscall(libc::SYS_prctl, libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0);
        libc::syscall(libc::SYS_setsid);
        libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t);
        libc::syscall(libc::SYS_kill, libc::getpid(), libc::SIGUSR1);
        let limit = [4096u64, u64::MAX];
        libc::syscall(libc::SYS_setrlimit, 99, limit.as_ptr());
        libc::syscall(libc::SYS_prlimit64, -9, libc::RLIMIT_CORE, limit.as_ptr(), 0);
        libc::syscall(libc::SYS_setpgid, 0, -7);
        libc::syscall(libc::SYS_chroot, missing.as_ptr());
        libc::syscall(
            libc::SYS_mount,
            missing.as_ptr(),
            place.as_ptr(),
            missing.as_ptr(),
            0xc0ed_0006u64,
            0,
        );
        libc::syscall(libc::SYS_umount2, place.as_ptr(), 2);
        libc::syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, -7, 1, 2);
        libc::syscall(libc::SYS_init_module, missing.as_ptr(), 4, name.as_ptr());
        libc::syscall(libc::SYS_setresgid, -1, 64322, -1);
        libc::syscall(libc::SYS_setresuid, -1, 64321, 0);
        libc::syscall(libc::SYS_unlink, missing.as_ptr());
        libc::syscall(libc::SYS_setresuid, 0, 0, 0);
        libc::syscall(libc::SYS_kill, libc::getpid(), libc::SIGKILL);
        libc::_exit(1);
    }
}

#[test]
fn calls_are_followed_and_print_as_falcos() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (_folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    arguments.extend(lanner::ROOM.map(str::to_owned));
    let lanner = Lanner::start(&arguments);
    act(c"lanner-actor", c"/no/such/place", c"/dev/null");

    let followed = lanner.wait_for_alert("Followed", |alert| alert["rule"] == "Followed");
    assert_eq!(field(&followed, "proc.sname"), "lanner-actor", "{followed}");
    assert_eq!(followed["output_fields"]["proc.tty"], 0, "{followed}");
    assert_eq!(followed["output_fields"]["user.uid"], 64321, "{followed}");
    for (event, wanted) in [
        (
            "prctl",
            "res=0 option=15(PR_SET_NAME) arg2_str=lanner-actor arg2_int=0 ",
        ),
        (
            "setrlimit",
            "res=-22(EINVAL) cur=4096 max=-1 resource=255(RLIMIT_UNKNOWN) ",
        ),
        (
            "prlimit",
            "res=-3(ESRCH) newcur=4096 newmax=-1 oldcur=NULL oldmax=NULL pid=-9 resource=4(RLIMIT_CORE) ",
        ),
        ("setpgid", "res=-22 pid=0 pgid=-7 "),
        ("chroot", "res=-2(ENOENT) path=/no/such/place "),
        (
            "mount",
            "res=-19(ENODEV) dev=/no/such/place dir=/dev/null type=/no/such/place flags=6(NOSUID|NODEV) ",
        ),
        ("umount2", "res=-22(EINVAL) name=/dev/null flags=2(DETACH) "),
        (
            "ptrace",
            "res=-3(ESRCH) addr=0 data=0 request=11(PTRACE_ATTACH) pid=-7 ",
        ),
        (
            "init_module",
            // A kernel without modules refuses it in its own way.
            " img=/no/ length=4 uargs=lanner-actor ",
        ),
        (
            "setresgid",
            "res=0 rgid=-1(<NONE>) egid=64322(<NA>) sgid=-1(<NONE>) ",
        ),
        (
            "setresuid",
            "res=0 ruid=-1(<NONE>) euid=64321(<NA>) suid=0(root) ",
        ),
    ] {
        let alert = lanner.wait_for_alert(event, move |alert| {
            alert["rule"] == "Called" && alert["output_fields"]["evt.type"] == event
        });
        let args = field(&alert, "evt.args");
        assert!(args.ends_with(wanted), "{args}, not {wanted}");
    }
    let signalled = lanner.wait_for_alert("Signalled", |alert| alert["rule"] == "Signalled");
    let args = field(&signalled, "evt.args");
    assert!(args.ends_with("(lanner-actor) sig=10(SIGUSR1) "), "{args}");
    let ended = lanner.wait_for_alert("Ended", |alert| alert["rule"] == "Ended");
    let args = field(&ended, "evt.args");
    assert_eq!(args, "status=9 ret=0 sig=9(SIGKILL) core=0 reaper_tid=0 ");
    assert_eq!(lanner.stop().status.code(), Some(0));
}
