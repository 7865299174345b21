//! The acting process: performs every event and prints what must be seen of it. The calls that no state needs have a role
//! of their own.

mod by_number;
mod calls;
mod compat;
#[cfg(target_arch = "x86_64")]
mod compat_descriptors;
#[cfg(target_arch = "x86_64")]
mod compat_sockets;
mod copies;
mod credentials;
mod datagrams;
mod descriptors;
mod in_calls;
mod io;
mod local_sockets;
mod processes;
mod real_names;
mod rings;
mod settings;
mod signals;
mod socket_numbers;
mod socket_options;
mod sockets;
mod state;
mod tracing;

pub(crate) use by_number::is_plain;

use std::error::Error;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, ExitCode, Stdio};

use libc::{c_int, c_long};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs the role the command line names.
pub(crate) fn play(role: &str, args: &[String]) -> Result<ExitCode> {
    match (role, args) {
        ("act", [dir]) => act(dir)?,
        ("numbers", [dir]) => {
            calls::calls(dir)?;
            in_calls::plain(dir)?;
            rings::changes(dir)?;
            by_number::by_number(compat::available());
        }
        ("idle", _) => {}
        ("own", [part, place, version]) => crate::owners::play(part, place.as_ref(), version)?,
        ("open", [path]) => drop(std::fs::File::open(path)),
        _ => {
            return Err(
                "usage: selfcheck [owners | reload | unneeded | act DIR | numbers DIR | idle … | own PART CGROUP VERSION | open FILE]".into(),
            );
        }
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
use sys;

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

/// Says that this machine can't perform the event.
fn omit(event: &str) {
    println!("omit {event}");
}

fn act(dir: &str) -> Result<()> {
    std::env::set_current_dir(dir)?;
    let here = std::fs::File::open(".")?;
    let fd = here.as_raw_fd();
    let fd_text = fd.to_string();
    let at = fd_text.as_str();
    opens(dir, fd, at)?;
    names(dir, fd, at)?;
    real_names::real_names(dir, fd)?;
    in_calls::in_calls(dir, fd)?;
    modes(dir, fd, at)?;
    directories(dir, fd, at)?;
    sockets::sockets(dir)?;
    socket_numbers::numbers()?;
    io::io(dir)?;
    rings::operations(dir)?;
    copies::copies(dir, fd)?;
    descriptors::descriptors(dir, fd)?;
    identity()?;
    credentials::credentials();
    settings::settings(dir)?;
    kernel()?;
    tracing::tracing()?;
    state::states(dir)?;
    signals::signals()?;
    compat::compat(dir)?;
    task(dir, fd)?;
    processes::processes(dir)
}

fn ino_of(path: &str) -> Result<String> {
    Ok(std::fs::metadata(path)?.ino().to_string())
}

fn dev_of(path: &str) -> Result<String> {
    Ok(std::fs::metadata(path)?.dev().to_string())
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
            ("ino", &ino_of("file")?),
            ("dev", &dev_of("file")?),
            ("creat_flags", "0"),
            ("flags", "1099511628353"),
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
            ("mode", "0"),
            ("ino", &ino),
            ("dev", &dev_of("file")?),
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
            ("flags", "0"),
            ("mode", "0"),
            ("resolve", "8"),
            ("ino", &ino_of("file")?),
            ("dev", &dev_of("file")?),
            ("dirfd.is", &format!("directory {dir}")),
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
            ("fd.path", &format!("{dir}/file")),
            ("fd.type", "file"),
            ("fd.ino", &open.metadata()?.ino().to_string()),
            ("fd.dev", &open.metadata()?.dev().to_string()),
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
        &[
            ("res", "0"),
            ("fd", at),
            ("cwd", &format!("{dir}|{dir}")),
            ("fd.path", dir),
            ("fd.type", "directory"),
        ],
    );
    Ok(())
}

/// What a thread says of itself: by fchdir(), in a second thread, which has an id and capabilities of its own.
fn task(dir: &str, fd: c_int) -> Result<()> {
    let act = move || -> std::result::Result<(), String> {
        let text = std::fs::read_to_string("/proc/thread-self/status").map_err(|e| e.to_string())?;
        let status = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
            line.unwrap_or_default().to_owned()
        };
        let mask = |key: &str| u64::from_str_radix(&status(key), 16).unwrap_or(0).to_string();
        // The directory that lists them is one of them.
        let open = std::fs::read_dir("/proc/self/fd")
            .map_err(|e| e.to_string())?
            .count()
            - 1;
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: limit lives here.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
        let id = status("NSpid")
            .split_whitespace()
            .next_back()
            .unwrap_or_default()
            .to_owned();
        // SAFETY: no pointers.
        let result = unsafe { libc::syscall(libc::SYS_fchdir, fd) };
        if result != 0 {
            return Err("fchdir failed".into());
        }
        expect(
            "fchdir",
            &[
                ("task.vtid", &id),
                ("task.threads", &status("Threads")),
                ("task.fd_open", &open.to_string()),
                ("task.fd_limit", &limit.rlim_cur.to_string()),
                ("task.vm_size", status("VmSize").trim_end_matches(" kB").trim()),
                ("is_resident", "true"),
                ("task.vm_swap", "0"),
                ("task.cap_inheritable", &mask("CapInh")),
                ("task.cap_permitted", &mask("CapPrm")),
                ("task.cap_effective", &mask("CapEff")),
            ],
        );
        Ok(())
    };
    // The first thread's stack and heap are there before, so that nothing is mapped meanwhile.
    act()?;
    std::thread::spawn(act)
        .join()
        .map_err(|_| "the thread panicked")??;
    assert_eq!(std::env::current_dir()?.to_string_lossy(), dir);
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
    for (domain, kind, name) in [
        (libc::AF_UNIX, libc::SOCK_DGRAM, "unix"),
        (libc::AF_INET, libc::SOCK_STREAM, "ipv4"),
        (libc::AF_PACKET, libc::SOCK_RAW, "other"),
    ] {
        let n = sys!(libc::SYS_socket, domain, kind, 0);
        expect(
            "socket",
            &[
                ("fd", &n.to_string()),
                ("domain", &domain.to_string()),
                ("type", &kind.to_string()),
                ("proto", "0"),
                ("fd.num", &n.max(-1).to_string()),
                ("fd.type", if n < 0 { "other" } else { name }),
                ("fd.connected", "false"),
            ],
        );
        let result = sys!(libc::SYS_listen, n, 7);
        expect(
            "listen",
            &[
                ("res", &result.to_string()),
                ("fd", &n.to_string()),
                ("backlog", "7"),
                ("fd.num", &n.to_string()),
                ("fd.is_server", if name == "ipv4" { "true" } else { "false" }),
            ],
        );
        close(n);
    }
    let refused = sys!(libc::SYS_socket, 999, 1, 0);
    expect(
        "socket",
        &[
            ("fd", &refused.to_string()),
            ("domain", "999"),
            ("fd.type", "other"),
        ],
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
