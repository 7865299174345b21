//! The acting process: performs every event and prints what must be seen of it.

use std::error::Error;
use std::ffi::{CStr, CString};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::{Command, ExitCode, Stdio};

use libc::{c_int, c_long};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs the role the command line names.
pub(crate) fn play(role: &str, args: &[String]) -> Result<ExitCode> {
    match (role, args) {
        ("act", [dir]) => act(dir)?,
        ("idle", _) => {}
        _ => return Err("usage: selfcheck [act DIR | idle …]".into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The result as the kernel gives it: `-errno` on failure.
fn raw(result: c_long) -> i64 {
    if result == -1 {
        return -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
    }
    result
}

macro_rules! sys {
    ($nr:expr $(, $arg:expr)*) => {
        // SAFETY: every pointer handed over below is a live C string or structure of the size the call expects.
        raw(unsafe { libc::syscall($nr $(, $arg)*) })
    };
}

fn c(text: &str) -> Result<CString> {
    Ok(CString::new(text)?)
}

fn close(fd: i64) {
    if let Some(fd) = c_int::try_from(fd).ok().filter(|fd| *fd >= 0) {
        // SAFETY: a descriptor this process just opened and does not use again.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

fn expect(event: &str, params: &[(&str, &str)]) {
    let params: String = params.iter().map(|(k, v)| format!("\t{k}={v}")).collect();
    println!("{event}{params}");
}

fn act(dir: &str) -> Result<()> {
    std::env::set_current_dir(dir)?;
    let here = std::fs::File::open(".")?;
    let fd = here.as_raw_fd();
    let fd_text = fd.to_string();
    let at = fd_text.as_str();
    opens(dir, fd, at)?;
    names(dir, fd, at)?;
    modes(dir, fd, at)?;
    directories(dir, fd, at)?;
    sockets(dir)?;
    identity()?;
    kernel()?;
    compat(dir)?;
    processes(dir)
}

fn opens(dir: &str, fd: c_int, at: &str) -> Result<()> {
    let (file, missing) = (c("file")?, c("no/../such")?);
    let n = sys!(libc::SYS_creat, c(&format!("{dir}/file"))?.as_ptr(), 0o640);
    expect(
        "creat",
        &[
            ("fd", &n.to_string()),
            ("name", &format!("{dir}/file|{dir}/file")),
            ("mode", "416"),
        ],
    );
    close(n);
    let n = sys!(libc::SYS_open, file.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC, 0);
    let ino = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata("file")?).to_string();
    expect(
        "open",
        &[
            ("fd", &n.to_string()),
            ("name", &format!("file|{dir}/file")),
            ("flags", "524288"),
            ("ino", &ino),
        ],
    );
    close(n);
    let n = sys!(
        libc::SYS_openat,
        fd,
        file.as_ptr(),
        libc::O_WRONLY | libc::O_TRUNC,
        0
    );
    expect(
        "openat",
        &[
            ("fd", &n.to_string()),
            ("dirfd", at),
            ("name", &format!("file|{dir}/file")),
            ("flags", "513"),
        ],
    );
    close(n);
    let n = sys!(
        libc::SYS_openat,
        libc::AT_FDCWD,
        missing.as_ptr(),
        libc::O_RDWR,
        0
    );
    assert_eq!(n, -2);
    expect(
        "openat",
        &[
            ("fd", "-2"),
            ("dirfd", "-100"),
            ("name", &format!("no/../such|{dir}/such")),
        ],
    );
    let flags = libc::O_WRONLY | libc::O_CREAT;
    for created in [1u64 << 40, 0] {
        let n = sys!(libc::SYS_openat, libc::AT_FDCWD, c("new")?.as_ptr(), flags, 0o600);
        let flags = (u64::from(flags.unsigned_abs()) | created).to_string();
        expect(
            "openat",
            &[
                ("fd", &n.to_string()),
                ("name", &format!("new|{dir}/new")),
                ("flags", &flags),
            ],
        );
        close(n);
    }
    let how = [libc::O_RDONLY as u64, 0, 0x08u64];
    let n = sys!(
        libc::SYS_openat2,
        fd,
        file.as_ptr(),
        how.as_ptr(),
        std::mem::size_of_val(&how)
    );
    expect(
        "openat2",
        &[
            ("fd", &n.to_string()),
            ("dirfd", at),
            ("name", &format!("file|{dir}/file")),
            ("resolve", "8"),
        ],
    );
    close(n);
    let n = sys!(libc::SYS_memfd_create, c("scratchpad")?.as_ptr(), 1);
    expect(
        "memfd_create",
        &[("fd", &n.to_string()), ("name", "scratchpad"), ("flags", "1")],
    );
    close(n);
    Ok(())
}

fn names(dir: &str, fd: c_int, at: &str) -> Result<()> {
    let done = |event: &str, result: i64, params: &[(&str, &str)]| {
        let result = result.to_string();
        let mut all = vec![("res", result.as_str())];
        all.extend_from_slice(params);
        expect(event, &all);
    };
    let both = |name: &str| format!("{name}|{dir}/{name}");
    let ptr = |name: &str| c(name);
    done(
        "mkdir",
        sys!(libc::SYS_mkdir, ptr("d1")?.as_ptr(), 0o700),
        &[("path", &both("d1")), ("mode", "448")],
    );
    done(
        "mkdirat",
        sys!(libc::SYS_mkdirat, fd, ptr("d2")?.as_ptr(), 0o755),
        &[("dirfd", at), ("path", &both("d2")), ("mode", "493")],
    );
    done(
        "rmdir",
        sys!(libc::SYS_rmdir, ptr("d1")?.as_ptr()),
        &[("path", &both("d1"))],
    );
    done(
        "symlink",
        sys!(
            libc::SYS_symlink,
            ptr("/etc/shadow")?.as_ptr(),
            ptr("s1")?.as_ptr()
        ),
        &[("target", "/etc/shadow"), ("linkpath", &both("s1"))],
    );
    done(
        "symlinkat",
        sys!(
            libc::SYS_symlinkat,
            ptr("file")?.as_ptr(),
            fd,
            ptr("s2")?.as_ptr()
        ),
        &[("target", "file"), ("linkdirfd", at), ("linkpath", &both("s2"))],
    );
    done(
        "link",
        sys!(libc::SYS_link, ptr("file")?.as_ptr(), ptr("l1")?.as_ptr()),
        &[("oldpath", &both("file")), ("newpath", &both("l1"))],
    );
    done(
        "linkat",
        sys!(
            libc::SYS_linkat,
            fd,
            ptr("file")?.as_ptr(),
            libc::AT_FDCWD,
            ptr("l2")?.as_ptr(),
            0
        ),
        &[
            ("olddir", at),
            ("oldpath", &both("file")),
            ("newdir", "-100"),
            ("newpath", &both("l2")),
            ("flags", "0"),
        ],
    );
    done(
        "rename",
        sys!(libc::SYS_rename, ptr("l1")?.as_ptr(), ptr("r1")?.as_ptr()),
        &[("oldpath", &both("l1")), ("newpath", &both("r1"))],
    );
    done(
        "renameat",
        sys!(
            libc::SYS_renameat,
            fd,
            ptr("r1")?.as_ptr(),
            fd,
            ptr("r2")?.as_ptr()
        ),
        &[
            ("oldpath", &both("r1")),
            ("newdirfd", at),
            ("newpath", &both("r2")),
        ],
    );
    done(
        "renameat2",
        sys!(
            libc::SYS_renameat2,
            fd,
            ptr("r2")?.as_ptr(),
            fd,
            ptr("d2/../r3")?.as_ptr(),
            1
        ),
        &[
            ("oldpath", &both("r2")),
            ("newpath", &format!("d2/../r3|{dir}/r3")),
            ("flags", "1"),
        ],
    );
    done(
        "unlink",
        sys!(libc::SYS_unlink, ptr("r3")?.as_ptr()),
        &[("path", &both("r3"))],
    );
    done(
        "unlinkat",
        sys!(libc::SYS_unlinkat, fd, ptr("d2")?.as_ptr(), libc::AT_REMOVEDIR),
        &[("dirfd", at), ("name", &both("d2")), ("flags", "512")],
    );
    let denied = sys!(libc::SYS_unlinkat, libc::AT_FDCWD, ptr("/no/such")?.as_ptr(), 0);
    done("unlinkat", denied, &[("name", "/no/such|/no/such")]);
    Ok(())
}

fn modes(dir: &str, fd: c_int, at: &str) -> Result<()> {
    let file = c("file")?;
    assert_eq!(sys!(libc::SYS_chmod, file.as_ptr(), 0o4755), 0);
    expect(
        "chmod",
        &[
            ("res", "0"),
            ("filename", &format!("file|{dir}/file")),
            ("mode", "2541"),
        ],
    );
    let open = std::fs::File::open("file")?;
    assert_eq!(sys!(libc::SYS_fchmod, open.as_raw_fd(), 0o600), 0);
    expect(
        "fchmod",
        &[
            ("res", "0"),
            ("fd", &open.as_raw_fd().to_string()),
            ("mode", "384"),
            ("path", &format!("{dir}/file|{dir}/file")),
        ],
    );
    assert_eq!(sys!(libc::SYS_fchmodat, fd, file.as_ptr(), 0o644), 0);
    expect(
        "fchmodat",
        &[
            ("dirfd", at),
            ("filename", &format!("file|{dir}/file")),
            ("mode", "420"),
        ],
    );
    Ok(())
}

fn directories(dir: &str, fd: c_int, at: &str) -> Result<()> {
    assert_eq!(sys!(libc::SYS_chdir, c("..")?.as_ptr()), 0);
    let above = std::env::current_dir()?.to_string_lossy().into_owned();
    expect(
        "chdir",
        &[("res", "0"), ("path", ".."), ("cwd", &format!("{above}|{above}"))],
    );
    assert_eq!(sys!(libc::SYS_fchdir, fd), 0);
    expect(
        "fchdir",
        &[("res", "0"), ("fd", at), ("path", &format!("{dir}|{dir}"))],
    );
    Ok(())
}

fn sockets(dir: &str) -> Result<()> {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else {
        println!("skip no loopback network in this guest: connect over TCP");
        expect("connect", &[]);
        return local_socket(dir);
    };
    let address = listener.local_addr()?;
    let client = std::net::TcpStream::connect(address)?;
    let fd = client.as_raw_fd().to_string();
    let tuple = format!("{}>{address}", client.local_addr()?);
    expect(
        "connect",
        &[
            ("res", "0"),
            ("fd", &fd),
            ("tuple", &tuple),
            ("addr", &format!("?>{address}")),
        ],
    );
    let port = address.port();
    drop((client, listener));
    let refused = std::net::TcpStream::connect(("127.0.0.1", port));
    assert!(refused.is_err());
    expect(
        "connect",
        &[("res", "-111"), ("addr", &format!("?>127.0.0.1:{port}"))],
    );
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    udp.connect("127.0.0.1:53")?;
    expect(
        "connect",
        &[
            ("res", "0"),
            ("tuple", &format!("{}>127.0.0.1:53", udp.local_addr()?)),
        ],
    );
    if let Ok(listener) = TcpListener::bind("[::1]:0") {
        let address = listener.local_addr()?;
        let client = std::net::TcpStream::connect(address)?;
        let end = |a: std::net::SocketAddr| format!("{}:{}", a.ip(), a.port());
        expect(
            "connect",
            &[
                ("res", "0"),
                (
                    "tuple",
                    &format!("{}>{}", end(client.local_addr()?), end(address)),
                ),
            ],
        );
    } else {
        println!("skip no IPv6 here: connect to ::1");
    }
    local_socket(dir)
}

fn local_socket(dir: &str) -> Result<()> {
    let path = format!("{dir}/sock");
    let _listener = UnixListener::bind(&path)?;
    let client = std::os::unix::net::UnixStream::connect(&path)?;
    expect(
        "connect",
        &[
            ("res", "0"),
            ("fd", &client.as_raw_fd().to_string()),
            ("tuple", &format!("?>?{path}")),
        ],
    );
    Ok(())
}

fn identity() -> Result<()> {
    let result = sys!(libc::SYS_setuid, 0);
    expect("setuid", &[("res", &result.to_string()), ("uid", "0")]);
    let result = sys!(libc::SYS_unshare, libc::CLONE_FS);
    expect("unshare", &[("res", &result.to_string()), ("flags", "512")]);
    let result = sys!(libc::SYS_setns, -1, libc::CLONE_NEWNET);
    expect(
        "setns",
        &[
            ("res", &result.to_string()),
            ("fd", "-1"),
            ("nstype", "1073741824"),
        ],
    );
    Ok(())
}

/// Calls that would change the kernel, made so that it refuses them.
fn kernel() -> Result<()> {
    let empty = c("")?;
    let n = sys!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_DGRAM, 0);
    expect(
        "socket",
        &[
            ("fd", &n.to_string()),
            ("domain", "1"),
            ("type", "2"),
            ("proto", "0"),
        ],
    );
    let result = sys!(libc::SYS_listen, n, 7);
    expect(
        "listen",
        &[
            ("res", &result.to_string()),
            ("fd", &n.to_string()),
            ("backlog", "7"),
        ],
    );
    close(n);
    let result = sys!(libc::SYS_ptrace, libc::PTRACE_ATTACH, -7, 0, 0);
    expect(
        "ptrace",
        &[("res", &result.to_string()), ("request", "16"), ("pid", "-7")],
    );
    let result = sys!(
        libc::SYS_init_module,
        std::ptr::null::<u8>(),
        5,
        c("a=1")?.as_ptr()
    );
    expect(
        "init_module",
        &[("res", &result.to_string()), ("length", "5"), ("uargs", "a=1")],
    );
    let result = sys!(libc::SYS_finit_module, -1, empty.as_ptr(), 2);
    expect(
        "finit_module",
        &[
            ("res", &result.to_string()),
            ("fd", "-1"),
            ("uargs", ""),
            ("flags", "2"),
        ],
    );
    let result = sys!(libc::SYS_bpf, 22, std::ptr::null::<u8>(), 0);
    expect("bpf", &[("fd", &result.to_string()), ("cmd", "22")]);
    let result = sys!(libc::SYS_userfaultfd, 0x4000_0000);
    expect(
        "userfaultfd",
        &[("res", &result.to_string()), ("flags", "1073741824")],
    );
    Ok(())
}

/// One call in the 32-bit convention from this 64-bit process. Its pointers must lie below 4 GiB.
#[cfg(target_arch = "x86_64")]
fn int80(nr: u32, args: [u32; 4]) -> i32 {
    let result: u64;
    // SAFETY: int 0x80 clobbers nothing but rax here (and r8 to r11, declared); rbx is LLVM's, so it is swapped in and
    // out. Pointers in `args` are the caller's low mapping, which is alive.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {b}",
            "int 0x80",
            "xchg rbx, {b}",
            b = inout(reg) u64::from(args[0]) => _,
            inlateout("rax") u64::from(nr) => result,
            in("rcx") u64::from(args[1]),
            in("rdx") u64::from(args[2]),
            in("rsi") u64::from(args[3]),
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result as i32
}

#[cfg(not(target_arch = "x86_64"))]
fn compat(_dir: &str) -> Result<()> {
    println!("skip 32-bit callers are checked on x86-64 only");
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn compat(dir: &str) -> Result<()> {
    // Without 32-bit emulation int 0x80 is a general protection fault: try it in a child.
    // SAFETY: the child makes one call and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        int80(20, [0; 4]); // getpid
        // SAFETY: ends this child without running anybody's destructors.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: status lives here.
    unsafe { libc::waitpid(child, &mut status, 0) };
    if status != 0 {
        println!("skip this kernel has no 32-bit emulation");
        return Ok(());
    }
    // SAFETY: a new anonymous mapping in the low 4 GiB.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
            -1,
            0,
        )
    };
    assert_ne!(page, libc::MAP_FAILED);
    let put = |offset: usize, text: &CStr| -> u32 {
        let bytes = text.to_bytes_with_nul();
        assert!(offset + bytes.len() <= 4096);
        // SAFETY: inside the page just mapped.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), page.cast::<u8>().add(offset), bytes.len()) };
        (page as usize + offset) as u32
    };
    let file = put(0, c("file")?.as_c_str());
    let fd = int80(295, [(-100i32) as u32, file, 0, 0]);
    assert!(fd >= 0, "32-bit openat: {fd}");
    expect(
        "openat",
        &[
            ("fd", &fd.to_string()),
            ("dirfd", "-100"),
            ("name", &format!("file|{dir}/file")),
        ],
    );
    close(fd.into());
    let missing = put(512, c("/no/such/compat")?.as_c_str());
    assert_eq!(int80(5, [missing, 0, 0, 0]), -2);
    expect(
        "open",
        &[("fd", "-2"), ("name", "/no/such/compat|/no/such/compat")],
    );
    let made = put(1024, c("d32")?.as_c_str());
    assert_eq!(int80(39, [made, 0o750, 0, 0]), 0);
    expect(
        "mkdir",
        &[("res", "0"), ("path", &format!("d32|{dir}/d32")), ("mode", "488")],
    );
    // socketcall(SYS_CONNECT) to a closed port.
    let mut address = [0u8; 16];
    address[0] = 2;
    address[2..4].copy_from_slice(&9u16.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    // SAFETY: a plain socket.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    // SAFETY: two places inside the page, far from the strings above.
    unsafe {
        let at = page.cast::<u8>().add(2048);
        std::ptr::copy_nonoverlapping(address.as_ptr(), at, 16);
        let args = page.cast::<u8>().add(3072).cast::<u32>();
        args.write(socket as u32);
        args.add(1).write(at as usize as u32);
        args.add(2).write(16);
    }
    let result = int80(102, [3, (page as usize + 3072) as u32, 0, 0]);
    expect(
        "connect",
        &[
            ("res", &result.to_string()),
            ("fd", &socket.to_string()),
            ("addr", "?>127.0.0.1:9"),
        ],
    );
    close(socket.into());
    Ok(())
}

fn processes(dir: &str) -> Result<()> {
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
