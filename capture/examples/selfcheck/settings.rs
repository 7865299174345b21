//! What a process sets: names, limits, its root, its mounts.

use super::credentials::{in_child, results_of};
use super::*;

const ABSENT: &str = "<none>";

pub(crate) fn settings(dir: &str) -> Result<()> {
    prctl()?;
    limits();
    roots(dir)?;
    mounts(dir)
}

fn prctl() -> Result<()> {
    let name = c("a name that is too long")?;
    let mut read = [0u8; 16];
    let mut attribute = -1i32;
    let child = in_child(|| {
        assert_eq!(
            sys!(libc::SYS_prctl, libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0),
            0
        );
        assert_eq!(
            sys!(libc::SYS_prctl, libc::PR_GET_NAME, read.as_mut_ptr(), 0, 0, 0),
            0
        );
        assert_eq!(sys!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
        let at = &raw mut attribute;
        assert_eq!(
            sys!(libc::SYS_prctl, libc::PR_GET_CHILD_SUBREAPER, at, 0, 0, 0),
            0
        );
        assert_eq!(sys!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, 9, 0, 0, 0), 0);
        assert_eq!(sys!(libc::SYS_prctl, 4711, -3i64, 0, 0, 0), -22);
        assert_eq!(sys!(libc::SYS_prctl, libc::PR_SET_NAME, 0, 0, 0, 0), -14);
    });
    assert!(child > 0);
    for (result, option, text, number) in [
        ("0", libc::PR_SET_NAME, "a name that is too long", "0"),
        ("0", libc::PR_GET_NAME, "a name that is ", "0"),
        ("0", libc::PR_SET_CHILD_SUBREAPER, ABSENT, "1"),
        ("0", libc::PR_GET_CHILD_SUBREAPER, ABSENT, "1"),
        ("0", libc::PR_SET_PDEATHSIG, ABSENT, "9"),
        ("-22", 4711, ABSENT, "-3"),
        ("-14", libc::PR_SET_NAME, ABSENT, "0"),
    ] {
        expect(
            "@prctl",
            &[
                ("res", result),
                ("option", &option.to_string()),
                ("arg2_str", text),
                ("arg2_int", number),
            ],
        );
    }
    Ok(())
}

fn limits() {
    let mut old = [0u64; 2];
    assert_eq!(
        sys!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, 0, old.as_mut_ptr()),
        0
    );
    let [soft, hard] = old.map(|limit| limit.cast_signed().to_string());
    let new = [old[1].min(4096), old[1]];
    let [new_soft, new_hard] = new.map(|limit| limit.cast_signed().to_string());
    in_child(|| {
        let mut old = [0u64; 2];
        let (core, at) = (libc::RLIMIT_CORE, old.as_mut_ptr());
        assert_eq!(sys!(libc::SYS_prlimit64, 0, core, new.as_ptr(), at), 0);
        assert_eq!(sys!(libc::SYS_prlimit64, -9, core, new.as_ptr(), at), -3);
        assert_eq!(sys!(libc::SYS_setrlimit, core, new.as_ptr()), 0);
        assert_eq!(sys!(libc::SYS_setrlimit, 99, new.as_ptr()), -22);
        assert_eq!(sys!(libc::SYS_setrlimit, core, 0), -14);
    });
    let queried = [
        ("res", "0"),
        ("oldcur", &soft),
        ("oldmax", &hard),
        ("pid", "0"),
        ("resource", "4"),
    ];
    expect(
        "prlimit",
        &[&queried[..], &[("newcur", ABSENT), ("newmax", ABSENT)]].concat(),
    );
    let asked = [("newcur", new_soft.as_str()), ("newmax", &new_hard)];
    expect("@prlimit", &[&queried[..], &asked].concat());
    let refused = [
        ("res", "-3"),
        ("oldcur", ABSENT),
        ("oldmax", ABSENT),
        ("pid", "-9"),
        ("resource", "4"),
    ];
    expect("@prlimit", &[&refused[..], &asked].concat());
    for (result, soft, hard, resource) in [
        ("0", new_soft.as_str(), new_hard.as_str(), "4"),
        ("-22", &new_soft, &new_hard, "99"),
        ("-14", ABSENT, ABSENT, "4"),
    ] {
        let params = [
            ("res", result),
            ("cur", soft),
            ("max", hard),
            ("resource", resource),
        ];
        expect("@setrlimit", &params);
    }
}

fn roots(dir: &str) -> Result<()> {
    let (root, missing) = (c(dir)?, c("no-root")?);
    in_child(|| {
        assert_eq!(sys!(libc::SYS_chroot, missing.as_ptr()), -2);
        assert_eq!(sys!(libc::SYS_chroot, root.as_ptr()), 0);
    });
    expect(
        "@chroot",
        &[("res", "-2"), ("path", &format!("no-root|{dir}/no-root"))],
    );
    expect("@chroot", &[("res", "0"), ("path", &format!("{dir}|{dir}"))]);
    Ok(())
}

fn mounts(dir: &str) -> Result<()> {
    std::fs::create_dir("mnt")?;
    let (device, place, kind) = (c("selfcheck")?, c("mnt")?, c("tmpfs")?);
    let nowhere = c("/no/mount")?;
    let [mounted, refused, gone, not] = results_of(|| {
        // A mount is this child's alone, or is not made at all.
        let flags: u64 = match sys!(libc::SYS_unshare, libc::CLONE_NEWNS) {
            0 => 0xc0ed_0000 | libc::MS_NOSUID | libc::MS_NODEV,
            _ => 0xc0ed_0000 | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_MOVE,
        };
        [
            sys!(
                libc::SYS_mount,
                device.as_ptr(),
                place.as_ptr(),
                kind.as_ptr(),
                flags,
                0
            ),
            sys!(
                libc::SYS_mount,
                0,
                place.as_ptr(),
                0,
                libc::MS_BIND | libc::MS_REC,
                0
            ),
            sys!(libc::SYS_umount2, place.as_ptr(), libc::MNT_DETACH),
            sys!(libc::SYS_umount2, nowhere.as_ptr(), 8),
        ]
    });
    assert!(refused < 0 && not < 0);
    let at = format!("mnt|{dir}/mnt");
    let flags = if mounted == 0 { "6" } else { "8198" };
    expect(
        "@mount",
        &[
            ("res", &mounted.to_string()),
            ("dev", "selfcheck"),
            ("dir", &at),
            ("type", "tmpfs"),
            ("flags", flags),
        ],
    );
    expect(
        "@mount",
        &[
            ("res", &refused.to_string()),
            ("dev", ABSENT),
            ("dir", &at),
            ("type", ABSENT),
            ("flags", "20480"),
        ],
    );
    expect(
        "@umount2",
        &[("res", &gone.to_string()), ("name", &at), ("flags", "2")],
    );
    expect(
        "@umount2",
        &[
            ("res", &not.to_string()),
            ("name", "/no/mount|/no/mount"),
            ("flags", "8"),
        ],
    );
    std::fs::remove_dir("mnt")?;
    Ok(())
}
