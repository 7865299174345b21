//! What calls other than exec change of a process: seen on what the process does next.

use super::credentials::{capset, in_child};
use super::*;

/// A call that fails, for its name to be found by.
fn mark(name: &str) {
    let path = c(name).unwrap_or_default();
    assert_eq!(sys!(libc::SYS_unlink, path.as_ptr()), -2);
}

/// What must be known of the process that made the mark.
fn state(mark: &str, known: &[(&str, &str)]) {
    let path = format!("{mark}|{mark}");
    expect("@unlink", &[&[("path", path.as_str())], known].concat());
}

pub(crate) fn states(dir: &str) -> Result<()> {
    ids();
    sessions()?;
    ends();
    names()?;
    roots(dir)
}

fn ids() {
    in_child(|| {
        assert_eq!(capset(1 << 5, 1 << 5 | 1 << 7, 1 << 7), 0);
        mark("/mark/capset");
    });
    let sets = [
        ("proc.cap_inheritable", "128"),
        ("proc.cap_permitted", "160"),
        ("proc.cap_effective", "32"),
    ];
    state("/mark/capset", &sets);
    in_child(|| {
        assert_eq!(sys!(libc::SYS_setresgid, -1, 1002, -1), 0);
        assert_eq!(sys!(libc::SYS_setresuid, -1, 1001, -1), 0);
        mark("/mark/seteuid");
        assert_eq!(sys!(libc::SYS_setreuid, 1001, 1001), 0);
        mark("/mark/setuid");
        // The child of a process that changed is what it is.
        in_child(|| mark("/mark/inherited"));
    });
    let euid = [
        ("proc.uid", "1001"),
        ("proc.gid", "1002"),
        ("proc.cap_effective", "0"),
    ];
    state(
        "/mark/seteuid",
        &[&euid[..], &[("proc.cap_permitted", "$permitted")]].concat(),
    );
    let gone = [&euid[..], &[("proc.cap_permitted", "0")]].concat();
    state("/mark/setuid", &gone);
    state("/mark/inherited", &gone);
    // Its capabilities over files go with the id for files, and come back with it.
    let [old] = credentials::results_of(|| {
        let old = sys!(libc::SYS_setfsuid, 1001);
        mark("/mark/setfsuid");
        [old]
    });
    expect("@setfsuid", &[("res", &old.to_string()), ("uid", "1001")]);
    // CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_MAC_OVERRIDE.
    const OVER_FILES: u64 = 0b11111 | 1 << 9 | 1 << 27 | 1 << 32;
    let [_, _, effective] = own_capabilities();
    state(
        "/mark/setfsuid",
        &[("proc.cap_effective", &(effective & !OVER_FILES).to_string())],
    );
    let [refused] = credentials::results_of(|| {
        assert_eq!(sys!(libc::SYS_setresuid, 1001, 1001, 1001), 0);
        let refused = sys!(libc::SYS_unshare, libc::CLONE_NEWUSER);
        mark("/mark/unshare");
        [refused]
    });
    match refused {
        0 => state("/mark/unshare", &[("proc.cap_effective", "$userns")]),
        errno => println!("skip this kernel refuses a user namespace (errno {})", -errno),
    }
}

/// This process's inheritable, permitted and effective capabilities.
fn own_capabilities() -> [u64; 3] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["CapInh:", "CapPrm:", "CapEff:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
            .unwrap_or(0)
    })
}

fn sessions() -> Result<()> {
    let child = in_child(|| {
        assert!(sys!(libc::SYS_setsid) > 0);
        mark("/mark/setsid");
    })
    .to_string();
    let led = [
        ("proc.sid", child.as_str()),
        ("proc.pgid", &child),
        ("proc.vpgid", &child),
    ];
    state("/mark/setsid", &[&led[..], &[("proc.tty", "0")]].concat());
    // The parent moves a child, which does nothing for it.
    let (reader, writer) = std::io::pipe()?;
    let [moved] = credentials::results_of(|| {
        // SAFETY: this process has one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut byte = [0u8];
            sys!(libc::SYS_read, reader.as_raw_fd(), byte.as_mut_ptr(), 1);
            mark("/mark/setpgid");
            // SAFETY: ends this child.
            unsafe { libc::_exit(0) };
        }
        assert_eq!(sys!(libc::SYS_setpgid, child, child), 0);
        assert_eq!(sys!(libc::SYS_write, writer.as_raw_fd(), b"x".as_ptr(), 1), 1);
        // SAFETY: the result is not wanted.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        [child.into()]
    });
    let moved = moved.to_string();
    state("/mark/setpgid", &[("proc.pgid", &moved), ("proc.vpgid", &moved)]);
    // Another thread than the one that made it does.
    let (reader, writer) = std::io::pipe()?;
    let [moved] = credentials::results_of(|| {
        // SAFETY: this process has one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut byte = [0u8];
            sys!(libc::SYS_read, reader.as_raw_fd(), byte.as_mut_ptr(), 1);
            mark("/mark/adopted");
            // SAFETY: ends this child.
            unsafe { libc::_exit(0) };
        }
        let other = std::thread::spawn(move || sys!(libc::SYS_setpgid, child, child));
        assert_eq!(other.join().unwrap_or(-1), 0);
        assert_eq!(sys!(libc::SYS_write, writer.as_raw_fd(), b"x".as_ptr(), 1), 1);
        // SAFETY: the result is not wanted.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        [child.into()]
    });
    let moved = moved.to_string();
    state("/mark/adopted", &[("proc.pgid", &moved), ("proc.vpgid", &moved)]);
    Ok(())
}

/// What a thread is when it ends is its own, whatever its process is. Whether it is the last one hangs on who is quicker:
/// those who wait for it go on before it is gone.
fn ends() {
    let [tid] = credentials::results_of(|| {
        let thread = std::thread::spawn(|| {
            assert_eq!(capset(1 << 5, 1 << 5 | 1 << 7, 1 << 7), 0);
            sys!(libc::SYS_gettid)
        });
        [thread.join().unwrap_or(-1)]
    });
    let own = [
        ("status", "0"),
        ("task.vtid", &*tid.to_string()),
        ("task.cap_inheritable", "128"),
        ("task.cap_permitted", "160"),
        ("task.cap_effective", "32"),
    ];
    expect("@procexit", &own);
}

fn names() -> Result<()> {
    let name = c("another name, too long")?;
    let comm = c("/proc/self/comm")?;
    let argument = std::env::args().nth(1).unwrap_or_default();
    in_child(|| {
        assert_eq!(
            sys!(libc::SYS_prctl, libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0),
            0
        );
        mark("/mark/prctl");
        in_child(|| mark("/mark/named"));
        let fd = sys!(libc::SYS_openat, libc::AT_FDCWD, comm.as_ptr(), libc::O_WRONLY, 0);
        assert_eq!(sys!(libc::SYS_write, fd, b"written".as_ptr(), 7), 7);
        mark("/mark/comm");
    });
    let dir = std::env::current_dir()?.to_string_lossy().into_owned();
    let line = format!("another name, t {argument} {dir}");
    state(
        "/mark/prctl",
        &[("proc.comm", "another name, t"), ("cmdline", &line)],
    );
    let inherited = [("proc.comm", "another name, t"), ("parent", "another name, t")];
    state("/mark/named", &inherited);
    state("/mark/comm", &[("proc.comm", "written")]);
    name_a_kernel_thread();
    Ok(())
}

/// The kernel makes a thread for a ring that is polled, without memory on old kernels, and names it: nobody's business, but it
/// must not end the kernel.
fn name_a_kernel_thread() {
    // struct io_uring_params: 120 bytes.
    let mut params = [0u32; 30];
    params[2] = 1 << 1; // IORING_SETUP_SQPOLL
    let ring = sys!(libc::SYS_io_uring_setup, 4, params.as_mut_ptr());
    if ring >= 0 {
        sys!(libc::SYS_close, ring);
    }
}

fn roots(dir: &str) -> Result<()> {
    std::fs::create_dir_all("root/below")?;
    let (root, here) = (c(&format!("{dir}/root"))?, c(".")?);
    in_child(|| {
        assert_eq!(sys!(libc::SYS_chdir, root.as_ptr()), 0);
        assert_eq!(sys!(libc::SYS_chroot, here.as_ptr()), 0);
        mark("/mark/chroot");
        assert_eq!(sys!(libc::SYS_chdir, c("below").unwrap_or_default().as_ptr()), 0);
        mark("/mark/below");
    });
    // The path is seen from the old root, the working directory from the new one.
    expect("@chroot", &[("res", "0"), ("path", &format!(".|{dir}/root"))]);
    state("/mark/chroot", &[("proc.cwd", "")]);
    state("/mark/below", &[("proc.cwd", "/below")]);
    pivot(dir)
}

/// A new root for a process that does not go there by itself: its directory is moved with the old one.
fn pivot(dir: &str) -> Result<()> {
    std::fs::create_dir_all("pivot")?;
    let (top, new, kind) = (c("/")?, c(&format!("{dir}/pivot"))?, c("tmpfs")?);
    let [refused, pivoted] = credentials::results_of(|| {
        let refused = sys!(libc::SYS_unshare, libc::CLONE_NEWNS);
        let private = libc::MS_REC | libc::MS_PRIVATE;
        sys!(libc::SYS_mount, 0, top.as_ptr(), 0, private, 0);
        sys!(libc::SYS_mount, kind.as_ptr(), new.as_ptr(), kind.as_ptr(), 0, 0);
        sys!(libc::SYS_chdir, new.as_ptr());
        // The old root on top of the new one, as runtimes do it.
        let here = c".".as_ptr();
        let pivoted = sys!(libc::SYS_pivot_root, here, here);
        mark("/mark/pivot");
        [refused, pivoted]
    });
    match (refused, pivoted) {
        // Where it was is the top of the new root.
        (0, 0) => {
            expect(
                "@pivot_root",
                &[("res", "0"), ("nativeID", &libc::SYS_pivot_root.to_string())],
            );
            state("/mark/pivot", &[("proc.cwd", "")]);
        }
        _ => println!("skip no other root here (errors {refused} and {pivoted})"),
    }
    in_child(|| {
        assert_eq!(
            sys!(libc::SYS_pivot_root, c"/none".as_ptr(), c"/none".as_ptr()),
            -2
        )
    });
    expect("@pivot_root", &[("res", "-2")]);
    Ok(())
}
