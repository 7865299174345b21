//! One process that traces another, and what is loaded into the kernel.

use super::*;

static WORD: u64 = 0x1122_3344_5566_7788;

pub(crate) fn tracing() -> Result<()> {
    ptrace();
    modules()
}

fn ptrace() {
    let at = &raw const WORD as u64;
    // SAFETY: the child makes calls of its own until it is killed.
    let child = unsafe { libc::fork() };
    if child == 0 {
        sys!(libc::SYS_ptrace, 0, 0, 0x51, 0x52);
        // SAFETY: stops this child, for its parent to trace.
        unsafe { libc::raise(libc::SIGSTOP) };
        // SAFETY: ends it.
        unsafe { libc::_exit(0) };
    }
    let wait = || {
        let mut status = 0;
        // SAFETY: status lives here.
        unsafe { libc::waitpid(child, &mut status, 0) };
        status
    };
    wait();
    let mut word = 0u64;
    let peeked = sys!(libc::SYS_ptrace, libc::PTRACE_PEEKDATA, child, at, &raw mut word);
    let stray = sys!(libc::SYS_ptrace, libc::PTRACE_PEEKDATA, child, 16, &raw mut word);
    let options = sys!(libc::SYS_ptrace, 0x4200, child, 0, 1);
    let resumed = sys!(libc::SYS_ptrace, libc::PTRACE_CONT, child, 1, libc::SIGTERM);
    let died = wait();
    if peeked != 0 {
        println!("skip this kernel refuses to trace a child (errno {})", -peeked);
        return;
    }
    assert_eq!((word, resumed, libc::WTERMSIG(died)), (WORD, 0, libc::SIGTERM));
    let pid = child.to_string();
    let seen = |event: &str, result: i64, request: &str, pid: &str, addr: u64, data: u64| {
        expect(
            event,
            &[
                ("res", &result.to_string()),
                ("addr", &addr.to_string()),
                ("data", &data.to_string()),
                ("request", request),
                ("pid", pid),
            ],
        );
    };
    seen("@ptrace", 0, "0", "0", 0x51, 0x52);
    seen("ptrace", 0, "2", &pid, at, WORD);
    seen("ptrace", stray, "2", &pid, 0, 0);
    seen("ptrace", options, "16896", &pid, 0, 1);
    seen("ptrace", 0, "7", &pid, 1, 15);
    let gone = sys!(libc::SYS_ptrace, libc::PTRACE_ATTACH, -7, 0x61, 0x62);
    assert_eq!(gone, -3);
    seen("ptrace", gone, "16", "-7", 0, 0);
}

fn modules() -> Result<()> {
    let (image, uargs) = (b"\x7fELF, not a module", c("a=1 b=2")?);
    let result = sys!(libc::SYS_init_module, image.as_ptr(), image.len(), uargs.as_ptr());
    assert!(result < 0);
    expect(
        "init_module",
        &[
            ("res", &result.to_string()),
            ("img", "\x7fELF, not a module"),
            ("length", &image.len().to_string()),
            ("uargs", "a=1 b=2"),
        ],
    );
    let file = std::fs::File::open("/proc/self/exe")?;
    let fd = file.as_raw_fd();
    let result = sys!(libc::SYS_finit_module, fd, uargs.as_ptr(), 3);
    assert!(result < 0);
    expect(
        "finit_module",
        &[
            ("res", &result.to_string()),
            ("fd", &fd.to_string()),
            ("uargs", "a=1 b=2"),
            ("flags", "3"),
        ],
    );
    let namespace = std::fs::File::open("/proc/self/ns/uts")?;
    let fd = namespace.as_raw_fd();
    let result = sys!(libc::SYS_setns, fd, libc::CLONE_NEWUTS);
    expect(
        "setns",
        &[
            ("res", &result.to_string()),
            ("fd", &fd.to_string()),
            ("nstype", "67108864"),
        ],
    );
    Ok(())
}
