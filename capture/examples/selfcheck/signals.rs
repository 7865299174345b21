//! Signals that are delivered, and who gets the children of a process that ends.

use super::credentials::in_child;
use super::*;

pub(crate) fn signals() -> Result<()> {
    extern "C" fn handler(_: c_int) {}
    for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD] {
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
    }
    let pid = std::process::id().to_string();
    let seen = |event: &str, from: &str, to: &str, signal: c_int| {
        let signal = signal.to_string();
        expect(event, &[("spid", from), ("dpid", to), ("sig", &signal)]);
    };
    // SAFETY: a process may send itself signals that it handles.
    unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
    seen("signaldeliver", &pid, &pid, libc::SIGUSR1);
    let me = i64::from(std::process::id());
    assert_eq!(sys!(libc::SYS_tgkill, me, me, libc::SIGUSR2), 0);
    seen("signaldeliver", &pid, &pid, libc::SIGUSR2);
    let child = in_child(|| ()).to_string();
    seen("signaldeliver", &child, &pid, libc::SIGCHLD);
    // A signal of the kernel has no sender, and one that kills whom it reaches has lost it.
    let ended = |end: fn() -> !| {
        // SAFETY: this process has one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            end();
        }
        let mut status = 0;
        // SAFETY: status lives here. SIGCHLD interrupts the call.
        while unsafe { libc::waitpid(child, &mut status, 0) } < 0 {}
        (child.to_string(), status)
    };
    let (child, status) = ended(|| {
        // SAFETY: nothing is written: there is nothing there.
        unsafe { libc::memset(std::ptr::without_provenance_mut(8), 1, 1) };
        std::process::abort()
    });
    let signal = libc::WTERMSIG(status);
    assert_eq!(signal, libc::SIGSEGV);
    seen("@signaldeliver", "0", &child, signal);
    let core = u8::from(libc::WCOREDUMP(status)).to_string();
    expect(
        "@procexit",
        &[
            ("status", &status.to_string()),
            ("ret", "0"),
            ("sig", &signal.to_string()),
            ("core", &core),
            ("reaper_tid", "0"),
        ],
    );
    let (child, status) = ended(|| {
        loop {
            // SAFETY: ends this process.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
    });
    assert_eq!(status, libc::SIGKILL);
    seen("@signaldeliver", "0", &child, libc::SIGKILL);
    for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD] {
        // SAFETY: as it was.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    reapers()
}

fn reapers() -> Result<()> {
    // A child that ends before its own: this process gets it, having asked to.
    assert_eq!(sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    let (reader, writer) = std::io::pipe()?;
    let (from, to) = (reader.as_raw_fd(), writer.as_raw_fd());
    let wait = move || {
        let mut byte = [0u8];
        sys!(libc::SYS_read, from, byte.as_mut_ptr(), 1);
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) };
    };
    in_child(|| {
        // SAFETY: this process has one thread.
        if unsafe { libc::fork() } == 0 {
            wait();
        }
        // SAFETY: ends this child, with a status to be told by.
        unsafe { libc::_exit(0) };
    });
    let mine = std::process::id().to_string();
    expect(
        "@procexit",
        &[("status", "0"), ("reaper_tid", &mine), ("group_dead", "1")],
    );
    // A thread that ends before its child: another thread gets it.
    let child = in_child(|| {
        let forks = std::thread::spawn(move || {
            // SAFETY: the child makes two calls.
            if unsafe { libc::fork() } == 0 {
                wait();
            }
        });
        assert!(forks.join().is_ok());
        // It is joined before it has ended for the kernel.
        while std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1) {
            std::thread::yield_now();
        }
    });
    let child = child.to_string();
    expect(
        "@procexit",
        &[("status", "0"), ("reaper_tid", &child), ("group_dead", "0")],
    );
    assert_eq!(sys!(libc::SYS_write, to, b"go".as_ptr(), 2), 2);
    // SAFETY: there are no others left.
    while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {}
    assert_eq!(sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
    Ok(())
}
