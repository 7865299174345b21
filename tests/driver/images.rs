//! Programs that are run and processes that are made.

use std::arch::asm;
use std::os::unix::fs::MetadataExt as _;

use super::actor::{Actor, Call, Expected, NAME, Want, is, pid};
use super::{Case, both, wide};

const EXECVE: Call = Call(libc::SYS_execve, 11);
const EXECVEAT: Call = Call(libc::SYS_execveat, 358);
const FORK: Call = Call(libc::SYS_fork, 2);
const CLONE: Call = Call(libc::SYS_clone, 120);
const CLONE3: Call = Call(libc::SYS_clone3, 435);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    both(&mut cases, "execve", "of a program", execve);
    both(&mut cases, "execve", "of nothing", execve_nothing);
    both(&mut cases, "execveat", "below a directory", execveat);
    both(&mut cases, "fork", "in the parent", fork);
    both(&mut cases, "fork", "in the child", fork_child);
    both(&mut cases, "clone", "in the parent", clone);
    both(&mut cases, "clone", "in the child", clone_child);
    both(&mut cases, "clone3", "in the parent", clone3);
    wide(&mut cases, "vfork", "in the parent", vfork);
    cases
}

/// The raw arguments of this process, which the forked ones have as well: none, unless the test was given some.
fn own_arguments() -> Want {
    match std::env::args().nth(1) {
        Some(_) => any(),
        None => Want::Missing,
    }
}

fn any() -> Want {
    Want::Holds(String::new())
}

/// A program of this case's own.
fn program(actor: &Actor) -> String {
    let path = actor.path("program");
    std::fs::copy("/bin/true", &path).unwrap();
    path
}

fn strings(actor: &Actor, strings: &[&str]) -> i64 {
    let mut addresses: Vec<_> = strings.iter().map(|text| actor.text(text)).collect();
    addresses.push(0);
    actor.longs(&addresses)
}

/// What the event of a process that runs `path` says, but for the result.
fn image(expected: Expected, path: &str, process: i64) -> Expected {
    let file = std::fs::metadata(path).unwrap();
    let nanoseconds = |seconds: i64, rest: i64| seconds * 1_000_000_000 + rest;
    // SAFETY: plain numbers.
    let group = unsafe { libc::getpgid(0) };
    expected
        .by(process)
        .same("exe", "first")
        .same("args", "second third.")
        .is("tid", "program", process)
        .is("pid", "program", process)
        .is("ptid", NAME.to_str().unwrap(), pid())
        .some("cwd", || Want::Starts("/".to_owned()))
        .some("fdlimit", || Want::Positive)
        .same("comm", "program")
        .same("env", "LANNER=driver.")
        .arg("vpgid", any(), Want::Number)
        .arg("loginuid", any(), Want::Number)
        .is("flags", "EXE_WRITABLE", 1)
        .same("cap_inheritable", 0)
        .some("cap_permitted", || Want::Hex)
        .some("cap_effective", || Want::Hex)
        .same("exe_ino", file.ino())
        .arg(
            "exe_ino_ctime",
            Want::Holds("-".to_owned()),
            is(nanoseconds(file.ctime(), file.ctime_nsec())),
        )
        .arg(
            "exe_ino_mtime",
            Want::Holds("-".to_owned()),
            is(nanoseconds(file.mtime(), file.mtime_nsec())),
        )
        .is("uid", "root", 0)
        .same("trusted_exepath", path)
        .arg("pgid", any(), is(group))
        .is("gid", "root", 0)
        .some("tty", || Want::Number)
}

/// Counts that only the kernel knows.
fn counts(mut expected: Expected) -> Expected {
    for name in ["pgft_maj", "pgft_min", "vm_size", "vm_rss", "vm_swap"] {
        expected = expected.some(name, || Want::Number);
    }
    expected.arg("cgroups", any(), any())
}

fn execve(actor: &Actor) -> Expected {
    let path = program(actor);
    let arguments = [
        actor.text(&path),
        strings(actor, &["first", "second third"]),
        strings(actor, &["LANNER=driver"]),
    ];
    let child = child(|| actor.call(EXECVE, &arguments));
    counts(image(Expected::res(0), &path, child)).same("filename", &path)
}

fn execve_nothing(actor: &Actor) -> Expected {
    let path = actor.path("nothing");
    let arguments = [actor.text(&path), strings(actor, &["first"]), strings(actor, &[])];
    assert_eq!(actor.call(EXECVE, &arguments), -2);
    let mut expected = Expected::res(-2)
        .same("filename", &path)
        .is("tid", NAME.to_str().unwrap(), pid())
        .is("pid", NAME.to_str().unwrap(), pid());
    let all = super::EVENTS
        .iter()
        .find(|(event, _)| *event == "execve")
        .unwrap();
    for name in all.1.split_whitespace() {
        if !["res", "filename", "tid", "pid"].contains(&name) {
            expected = expected.arg(name, Want::Maybe, Want::Maybe);
        }
    }
    expected
}

fn execveat(actor: &Actor) -> Expected {
    let path = program(actor);
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    let arguments = [
        directory,
        actor.text("program"),
        strings(actor, &["first", "second third"]),
        strings(actor, &["LANNER=driver"]),
        0,
    ];
    let child = child(|| actor.call(EXECVEAT, &arguments));
    counts(image(Expected::res(0), &path, child))
}

/// A child that does this; it has ended.
fn child(act: impl FnOnce() -> i64) -> i64 {
    // SAFETY: this process has one thread; the child ends here.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            act();
            libc::_exit(9);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        assert_eq!(status, 0);
        i64::from(pid)
    }
}

/// A process that a call has made: the child ends at once, the parent waits.
fn made(result: i64) -> i64 {
    if result == 0 {
        // SAFETY: nothing is left to do.
        unsafe { libc::_exit(0) };
    }
    assert!(result > 0, "{result}");
    let mut status = 0;
    // SAFETY: a live number.
    unsafe { libc::waitpid(i32::try_from(result).unwrap(), &raw mut status, libc::__WALL) };
    result
}

/// What an event of a process that was made says: in the parent, or, with a child, in that.
fn copy(expected: Expected, process: i64, parent: Option<i64>) -> Expected {
    let program = std::env::args().next().unwrap();
    counts(expected)
        .same("exe", program)
        .arg("args", any(), own_arguments())
        .is("tid", NAME.to_str().unwrap(), process)
        .is("pid", NAME.to_str().unwrap(), process)
        .arg("ptid", any(), parent.map_or(Want::Positive, is))
        .some("cwd", || Want::Starts("/".to_owned()))
        .some("fdlimit", || Want::Positive)
        .same("comm", NAME.to_str().unwrap())
        .same("uid", 0)
        .same("gid", 0)
        .arg("vtid", any(), is(process))
        .arg("vpid", any(), is(process))
        .arg("pidns_init_start_ts", Want::Maybe, Want::Maybe)
}

fn in_parent(child: i64) -> Expected {
    copy(Expected::of(child).arg("res", any(), is(child)), pid(), None)
}

fn in_child(child: i64) -> Expected {
    copy(
        Expected::of(0).arg("res", any(), is(0)).by(child),
        child,
        Some(pid()),
    )
}

fn fork(actor: &Actor) -> Expected {
    in_parent(made(actor.call(FORK, &[]))).same("flags", 0)
}

fn fork_child(actor: &Actor) -> Expected {
    in_child(made(actor.call(FORK, &[]))).same("flags", 0)
}

const SHARED: i64 = (libc::CLONE_FS | libc::CLONE_FILES | libc::SIGCHLD) as i64;

fn clone(actor: &Actor) -> Expected {
    in_parent(made(actor.call(CLONE, &[SHARED]))).is("flags", "CLONE_FILES|CLONE_FS", 3)
}

fn clone_child(actor: &Actor) -> Expected {
    in_child(made(actor.call(CLONE, &[SHARED]))).is("flags", "CLONE_FILES|CLONE_FS", 3)
}

fn clone3(actor: &Actor) -> Expected {
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
    let flags = u64::try_from(libc::CLONE_FS).unwrap();
    let arguments = [flags, 0, 0, 0, 17, 0, 0, 0];
    let bytes: Vec<u8> = arguments.iter().flat_map(|w| w.to_ne_bytes()).collect();
    in_parent(made(actor.call(CLONE3, &[actor.bytes(&bytes), 64]))).is("flags", "CLONE_FS", 2)
}

fn vfork(_: &Actor) -> Expected {
    let result: i64;
    // SAFETY: the child shares this memory and ends without touching it.
    unsafe {
        asm!(
            "syscall",
            "test eax, eax",
            "jnz 2f",
            "xor edi, edi",
            "mov eax, 60",
            "syscall",
            "2:",
            inlateout("rax") libc::SYS_vfork => result,
            out("rcx") _, out("r11") _, out("rdi") _,
        );
    }
    // The call has no flags, and Falco adds none.
    in_parent(made(result)).same("flags", 0)
}
