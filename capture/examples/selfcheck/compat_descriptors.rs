//! The calls of `descriptors` as a 32-bit caller makes them.

use std::os::fd::AsRawFd;

use super::compat::{int80, int80_six};
use super::descriptors::is;
use super::{Result, close, expect};

/// `page` is 4 KiB that a 32-bit pointer reaches.
pub(super) fn descriptors(page: *mut u8) -> Result<()> {
    let low = page as usize as u32;
    // SAFETY: the page is the caller's, and nothing else uses it by now.
    unsafe { std::ptr::write_bytes(page, 0, 4096) };
    let put = |offset: usize, words: &[u32]| {
        assert!(offset + words.len() * 4 <= 4096);
        // SAFETY: inside the page, and aligned to four bytes by every caller.
        unsafe {
            page.add(offset)
                .cast::<u32>()
                .copy_from_nonoverlapping(words.as_ptr(), words.len());
        }
        low + offset as u32
    };
    let get = |offset: usize| -> u32 {
        // SAFETY: as above.
        unsafe { page.add(offset).cast::<u32>().read() }
    };
    let file = std::fs::File::open("file")?;
    let fd = file.as_raw_fd().unsigned_abs();
    let mask = put(0, &[1 << 9, 0]);
    let made = |event: &str, kind: &str, nr: u32, args: [u32; 4], result: &str, params: &[(&str, &str)]| {
        let n = int80(nr, args);
        let number = n.to_string();
        let described = is(n.into(), kind);
        let mut all = vec![(result, number.as_str())];
        all.extend_from_slice(params);
        all.extend(
            described
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        expect(event, &all);
        close(n.into());
    };
    let none = u32::MAX;
    made(
        "epoll_create",
        "eventpoll",
        254,
        [5, 0, 0, 0],
        "res",
        &[("size", "5")],
    );
    made(
        "epoll_create1",
        "eventpoll",
        329,
        [0, 0, 0, 0],
        "res",
        &[("flags", "0")],
    );
    made(
        "eventfd",
        "event",
        323,
        [6, 0, 0, 0],
        "res",
        &[("initval", "6"), ("flags", "0")],
    );
    let params = [("initval", "8"), ("flags", "2048")];
    made("eventfd2", "event", 328, [8, 0o4000, 0, 0], "res", &params);
    made("inotify_init", "inotify", 291, [0; 4], "res", &[("flags", "0")]);
    made(
        "inotify_init1",
        "inotify",
        332,
        [0o4000, 0, 0, 0],
        "res",
        &[("flags", "2048")],
    );
    let params = [("fd", "-1"), ("mask", "512"), ("flags", "0")];
    made("signalfd", "signalfd", 321, [none, mask, 8, 0], "res", &params);
    let params = [("fd", "-1"), ("mask", "512"), ("flags", "2048")];
    made(
        "signalfd4",
        "signalfd",
        327,
        [none, mask, 8, 0o4000],
        "res",
        &params,
    );
    let params = [("clockid", "1"), ("flags", "2048")];
    made(
        "timerfd_create",
        "timerfd",
        322,
        [1, 0o4000, 0, 0],
        "res",
        &params,
    );
    made(
        "userfaultfd",
        "userfaultfd",
        374,
        [1, 0, 0, 0],
        "res",
        &[("flags", "1")],
    );
    made("bpf", "bpf", 357, [0, 0, 0, 0], "fd", &[("cmd", "0")]);
    let pid = std::process::id();
    let params = [("pid", &*pid.to_string()), ("flags", "0")];
    made("pidfd_open", "pidfd", 434, [pid, 0, 0, 0], "fd", &params);
    let params = [("pid_fd", "-1"), ("target_fd", &*fd.to_string()), ("flags", "0")];
    made("pidfd_getfd", "other", 438, [none, fd, 0, 0], "fd", &params);
    let params = [("mountfd", "-100"), ("flags", "65536")];
    made(
        "open_by_handle_at",
        "file",
        342,
        [(-100i32) as u32, mask, 0o200000, 0],
        "fd",
        &params,
    );
    for (nr, cmd, arg) in [(55, 0, 90), (221, 1030, 91)] {
        let params = [
            ("fd", &*fd.to_string()),
            ("cmd", &*cmd.to_string()),
            ("arg", &*arg.to_string()),
            ("fd.num", &*fd.to_string()),
            ("fd.type", "file"),
        ];
        let n = int80(nr, [fd, cmd, arg, 0]);
        let number = n.to_string();
        let mut all = vec![("res", number.as_str())];
        all.extend_from_slice(&params);
        expect("fcntl", &all);
        close(n.into());
    }
    for (event, nr) in [("pipe", 42), ("pipe2", 331)] {
        let n = int80(nr, [put(16, &[0, 0]), 0, 0, 0]);
        let ends = [get(16), get(20)];
        let described = is(ends[0].into(), "pipe");
        let [one, two] = ends.map(|end| end.to_string());
        let number = n.to_string();
        let mut all = vec![("res", number.as_str()), ("fd1", &one), ("fd2", &two)];
        all.extend(
            described
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        expect(event, &all);
        for end in ends {
            close(end.into());
        }
    }
    let params = put(64, &[0, 0, 0, 3, 4]);
    let n = int80(425, [2, params, 0, 0]);
    let now = [64, 68, 72, 76, 80, 84].map(|offset| get(offset).to_string());
    expect(
        "io_uring_setup",
        &[
            ("res", &n.to_string()),
            ("entries", "2"),
            ("sq_entries", &now[0]),
            ("cq_entries", &now[1]),
            ("flags", &now[2]),
            ("sq_thread_cpu", &now[3]),
            ("sq_thread_idle", &now[4]),
            ("features", &now[5]),
        ],
    );
    close(n.into());
    assert_eq!(int80(6, [998, 0, 0, 0]), -9);
    expect("close", &[("res", "-9"), ("fd", "998"), ("fd.ino", "")]);
    let last = std::os::fd::IntoRawFd::into_raw_fd(std::fs::File::open("file")?);
    let described = is(last.into(), "file");
    assert_eq!(int80(6, [last.unsigned_abs(), 0, 0, 0]), 0);
    let mut all = vec![("res", "0")];
    all.extend(
        described
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    );
    expect("close", &all);
    let n = int80(436, [901, 951, 2, 0]);
    let params = [
        ("res", &*n.to_string()),
        ("first", "901"),
        ("last", "951"),
        ("flags", "2"),
    ];
    expect("close_range", &params);
    // struct pollfd: events and revents in one word.
    let polled = put(256, &[fd, 1, 997, 4]);
    let path = std::fs::canonicalize("file")?.to_string_lossy().into_owned();
    let seen = format!("{fd}:1 file {path};997:32 other ;");
    let n = int80(168, [polled, 2, 77, 0]);
    expect(
        "poll",
        &[("res", &n.to_string()), ("timeout", "77"), ("polled", &seen)],
    );
    for (nr, time) in [(309, &[2u32, 5][..]), (414, &[3, 0, 6, 0])] {
        let n = int80_six(nr, [polled, 2, put(300, time), mask, 8, 0]);
        // The kernel leaves in the caller's structure what is left of the time.
        let nanoseconds = get(if nr == 309 { 304 } else { 308 });
        let left = (u64::from(get(300)) * 1_000_000_000 + u64::from(nanoseconds)).to_string();
        let params = [
            ("res", &*n.to_string()),
            ("timeout", &left),
            ("sigmask", "512"),
            ("polled", &seen),
        ];
        expect("ppoll", &params);
    }
    Ok(())
}
