//! Who a process is: its ids, its capabilities, its session and its group.

use super::*;

/// Calls `act` in a child process, which ends after it: what it changes is the child's alone. The child's id.
pub(super) fn in_child(act: impl FnOnce()) -> i64 {
    // SAFETY: this process has one thread, so the child may do whatever this one may.
    let child = unsafe { libc::fork() };
    if child == 0 {
        act();
        // SAFETY: ends this child without running anybody's destructors.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: status lives here.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0, "the child failed");
    child.into()
}

/// As [`in_child`], and what `act` gave comes back.
pub(super) fn results_of<const N: usize>(act: impl FnOnce() -> [i64; N]) -> [i64; N] {
    // SAFETY: a new mapping that nobody else uses, shared with the child.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size_of::<[i64; N]>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(page, libc::MAP_FAILED);
    let results = page.cast::<[i64; N]>();
    // SAFETY: the page is large enough and aligned, and only the child writes to it.
    in_child(|| unsafe { results.write(act()) });
    // SAFETY: the child has ended.
    unsafe { results.read() }
}

/// Makes the call in a child process and says what must be seen of it.
fn done(event: &str, want: i64, call: impl FnOnce() -> i64, params: &[(&str, &str)]) {
    in_child(|| assert_eq!(call(), want, "{event}"));
    let result = want.to_string();
    let mut all = vec![("res", result.as_str())];
    all.extend_from_slice(params);
    expect(&format!("@{event}"), &all);
}

const NONE: &str = "4294967295";

pub(crate) fn credentials() {
    done("setuid", 0, || sys!(libc::SYS_setuid, 1001), &[("uid", "1001")]);
    done("setuid", -22, || sys!(libc::SYS_setuid, -1), &[("uid", NONE)]);
    done("setgid", 0, || sys!(libc::SYS_setgid, 1002), &[("gid", "1002")]);
    done("setgid", -22, || sys!(libc::SYS_setgid, -1), &[("gid", NONE)]);
    let call = || sys!(libc::SYS_setreuid, -1, 1003);
    done("setreuid", 0, call, &[("ruid", NONE), ("euid", "1003")]);
    let refused = || {
        sys!(libc::SYS_setuid, 1);
        sys!(libc::SYS_setreuid, 1004, 1005)
    };
    done("setreuid", -1, refused, &[("ruid", "1004"), ("euid", "1005")]);
    let call = || sys!(libc::SYS_setregid, 1006, -1);
    done("setregid", 0, call, &[("rgid", "1006"), ("egid", NONE)]);
    let refused = || {
        sys!(libc::SYS_setuid, 1);
        sys!(libc::SYS_setregid, 1007, 1008)
    };
    done("setregid", -1, refused, &[("rgid", "1007"), ("egid", "1008")]);
    let ids = |a, b, c| [a, b, c];
    let user = ids(("ruid", "11"), ("euid", "12"), ("suid", "13"));
    done("setresuid", 0, || sys!(libc::SYS_setresuid, 11, 12, 13), &user);
    let refused = || {
        sys!(libc::SYS_setuid, 1);
        sys!(libc::SYS_setresuid, 14, -1, 15)
    };
    let user = ids(("ruid", "14"), ("euid", NONE), ("suid", "15"));
    done("setresuid", -1, refused, &user);
    let group = ids(("rgid", "21"), ("egid", "22"), ("sgid", "23"));
    done("setresgid", 0, || sys!(libc::SYS_setresgid, 21, 22, 23), &group);
    let refused = || {
        sys!(libc::SYS_setuid, 1);
        sys!(libc::SYS_setresgid, -1, 24, 25)
    };
    let group = ids(("rgid", NONE), ("egid", "24"), ("sgid", "25"));
    done("setresgid", -1, refused, &group);
    capabilities();
    sessions();
}

/// `struct __user_cap_data_struct`, the low words only.
pub(super) fn capset(effective: u32, permitted: u32, inheritable: u32) -> i64 {
    let header = [0x2008_0522u32, 0];
    let data = [effective, permitted, inheritable, 0, 0, 0];
    sys!(libc::SYS_capset, header.as_ptr(), data.as_ptr())
}

fn capabilities() {
    const KILL: u32 = 1 << 5;
    const SETUID: u32 = 1 << 7;
    in_child(|| {
        assert_eq!(capset(KILL, KILL | SETUID, SETUID), 0);
        assert_eq!(
            capset(KILL, KILL | SETUID | 1, SETUID),
            -1,
            "more than is permitted"
        );
    });
    for result in ["0", "-1"] {
        expect(
            "@capset",
            &[
                ("res", result),
                ("cap_inheritable", "128"),
                ("cap_permitted", "160"),
                ("cap_effective", "32"),
            ],
        );
    }
}

fn sessions() {
    let child = in_child(|| {
        assert!(sys!(libc::SYS_setsid) > 0);
        assert_eq!(sys!(libc::SYS_setsid), -1, "it leads a session already");
    });
    expect("@setsid", &[("res", &child.to_string())]);
    expect("@setsid", &[("res", "-1")]);
    done(
        "setpgid",
        0,
        || sys!(libc::SYS_setpgid, 0, 0),
        &[("pid", "0"), ("pgid", "0")],
    );
    done(
        "setpgid",
        -22,
        || sys!(libc::SYS_setpgid, 0, -7),
        &[("pid", "0"), ("pgid", "-7")],
    );
    done(
        "setpgid",
        -3,
        || sys!(libc::SYS_setpgid, -5, 1),
        &[("pid", "-5"), ("pgid", "1")],
    );
}
