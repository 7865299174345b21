//! The life of processes.

use super::*;

pub(crate) fn processes(dir: &str) -> Result<()> {
    let exe = std::env::current_exe()?.to_string_lossy().into_owned();
    let name = std::fs::read_to_string("/proc/self/comm")?.trim().to_owned();
    let status = Command::new(&exe)
        .args(["idle", "with space", ""])
        .stdin(Stdio::null())
        .status()?;
    assert!(status.success());
    expect(
        "@execve",
        &[
            ("res", "0"),
            ("exe", &exe),
            ("args", "idle with space  "),
            ("exepath", &exe),
            ("cmdline", &format!("{name} idle with space ")),
            ("cwd", dir),
            ("parent", &name),
            ("filename", &format!("{exe}|{exe}")),
        ],
    );
    executable(&exe)?;
    namespaces(&exe)?;
    expect(
        "@procexit",
        &[("status", "0"), ("cmdline", &format!("{name} idle with space "))],
    );

    // A program that does not exist: reported from the return, with the arguments that were passed.
    let (path, argv) = (c("./nothing")?, [c("nothing")?, c("-x")?]);
    let pointers = [argv[0].as_ptr(), argv[1].as_ptr(), std::ptr::null()];
    let empty: [*const libc::c_char; 1] = [std::ptr::null()];
    assert_eq!(
        sys!(libc::SYS_execve, path.as_ptr(), pointers.as_ptr(), empty.as_ptr()),
        -2
    );
    expect(
        "execve",
        &[
            ("res", "-2"),
            ("exe", "nothing"),
            ("args", "-x "),
            ("filename", &format!("./nothing|{dir}/nothing")),
        ],
    );
    let failed = sys!(
        libc::SYS_execveat,
        -1,
        path.as_ptr(),
        pointers.as_ptr(),
        empty.as_ptr(),
        0
    );
    expect(
        "execveat",
        &[("res", &failed.to_string()), ("exe", "nothing"), ("args", "-x ")],
    );

    // execveat of a descriptor.
    let file = std::fs::File::open(&exe)?;
    let argv = [c("by-descriptor")?, c("idle")?];
    let pointers = [argv[0].as_ptr(), argv[1].as_ptr(), std::ptr::null()];
    // SAFETY: the child only makes the one call, with what was prepared before.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let error = sys!(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            pointers.as_ptr(),
            empty.as_ptr(),
            libc::AT_EMPTY_PATH
        );
        // SAFETY: ends this child; its status tells why the call failed.
        unsafe { libc::_exit(i32::try_from(-error).unwrap_or(255)) };
    }
    let mut wait = 0;
    // SAFETY: wait lives here.
    unsafe { libc::waitpid(child, &mut wait, 0) };
    if wait == 0 {
        expect(
            "@execveat",
            &[("res", "0"), ("exe", "by-descriptor"), ("exepath", &exe)],
        );
    } else {
        println!(
            "skip this kernel refuses execveat of a descriptor (errno {})",
            wait >> 8
        );
    }
    forks()
}

/// The first process of a pid namespace, in its creator's group, which has no number in there, and in one of its own.
fn namespaces(exe: &str) -> Result<()> {
    let path = c(exe)?;
    let empty: [*const libc::c_char; 1] = [std::ptr::null()];
    for (word, own) in [("outer-group", false), ("own-group", true)] {
        let argv = [c("first")?, c("idle")?, c(word)?];
        let pointers = [
            argv[0].as_ptr(),
            argv[1].as_ptr(),
            argv[2].as_ptr(),
            std::ptr::null(),
        ];
        let child = sys!(
            libc::SYS_clone,
            u64::try_from(libc::CLONE_NEWPID | libc::SIGCHLD)?,
            0u64,
            0u64,
            0u64,
            0u64
        );
        if child == 0 {
            if own {
                sys!(libc::SYS_setpgid, 0, 0);
            }
            sys!(libc::SYS_execve, path.as_ptr(), pointers.as_ptr(), empty.as_ptr());
            // SAFETY: ends this child.
            unsafe { libc::_exit(1) };
        }
        if child < 0 {
            println!("skip this machine makes no pid namespaces (error {child})");
            return Ok(());
        }
        reap(child);
        let (group, pgid) = match own {
            true => ("1", child.to_string()),
            // SAFETY: no arguments.
            false => ("0", unsafe { libc::getpgrp() }.to_string()),
        };
        expect(
            "@execve",
            &[
                ("args", &format!("idle {word} ")),
                ("proc.vpgid", group),
                ("proc.pgid", &pgid),
            ],
        );
        if own {
            expect(
                "@setpgid",
                &[("res", "0"), ("proc.vpgid", group), ("proc.pgid", &pgid)],
            );
        }
    }
    Ok(())
}

/// What is said of the program's file, and that only who may write to it is said to.
fn executable(exe: &str) -> Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
    use std::os::unix::process::CommandExt as _;

    let started = |copy: &str, uid: u32, flags: &str| -> Result<()> {
        let data = std::fs::metadata(copy)?;
        let nanoseconds = |s: i64, ns: i64| (i128::from(s) * 1_000_000_000 + i128::from(ns)).to_string();
        let status = Command::new(copy)
            .args(["idle", flags])
            .uid(uid)
            .gid(uid)
            .stdin(Stdio::null())
            .status()?;
        assert!(status.success());
        expect(
            "@execve",
            &[
                ("res", "0"),
                ("exe", copy),
                ("uid", &uid.to_string()),
                ("flags", flags),
                ("exe_ino", &data.ino().to_string()),
                ("exe_ino_ctime", &nanoseconds(data.ctime(), data.ctime_nsec())),
                ("exe_ino_mtime", &nanoseconds(data.mtime(), data.mtime_nsec())),
            ],
        );
        Ok(())
    };
    let copy = std::env::current_dir()?.join("copy");
    let name = copy.to_string_lossy();
    std::fs::copy(exe, &copy)?;
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755))?;
    started(&name, 0, "1")?;
    started(&name, 65534, "0")?;
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o757))?;
    started(&name, 65534, "1")?;
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o775))?;
    std::os::unix::fs::chown(&copy, None, Some(65534))?;
    started(&name, 65534, "1")?;
    // By a capability alone: somebody else's, and not even the owner may.
    std::os::unix::fs::chown(&copy, Some(65534), None)?;
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o555))?;
    started(&name, 0, "1")?;
    std::fs::remove_file(&copy)?;
    Ok(())
}

fn forks() -> Result<()> {
    // One process by each call. vfork's child shares this stack, so it is left to fork's number with its own flags.
    for (event, nr, args) in [
        ("fork", libc::SYS_fork, [0u64; 5]),
        ("clone", libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0]),
    ] {
        let child = sys!(nr, args[0], args[1], args[2], args[3], args[4]);
        if child == 0 {
            // SAFETY: ends this child.
            unsafe { libc::_exit(3) };
        }
        reap(child);
        expect(event, &[("res", &child.to_string())]);
        expect(&format!("@{event}"), &[("res", "0")]);
    }
    let mut clone_args = [0u64; 8];
    clone_args[4] = libc::SIGCHLD as u64;
    let child = sys!(
        libc::SYS_clone3,
        clone_args.as_ptr(),
        std::mem::size_of_val(&clone_args)
    );
    if child == 0 {
        // SAFETY: ends this child.
        unsafe { libc::_exit(3) };
    }
    reap(child);
    expect("clone3", &[("res", &child.to_string()), ("flags", "0")]);
    expect(
        "@procexit",
        &[("status", "768"), ("ret", "3"), ("sig", "0"), ("group_dead", "1")],
    );
    vfork()
}

/// glibc's vfork() is callable from Rust only through assembly: the child returns on the parent's stack.
#[cfg(target_arch = "x86_64")]
fn vfork() -> Result<()> {
    let child: i64;
    // SAFETY: the child runs two instructions on registers alone and ends (exit 4); the parent goes on after it.
    unsafe {
        std::arch::asm!(
            "mov eax, 58",
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov edi, 4",
            "mov eax, 60",
            "syscall",
            "2:",
            out("rax") child,
            out("rcx") _, out("r11") _, out("rdi") _,
        );
    }
    reap(child);
    expect("vfork", &[("res", &child.to_string())]);
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn vfork() -> Result<()> {
    println!("skip vfork exists on x86-64 only");
    Ok(())
}

fn reap(child: i64) {
    let mut status = 0;
    // SAFETY: status lives here.
    unsafe { libc::waitpid(libc::pid_t::try_from(child).unwrap_or(-1), &mut status, 0) };
}
