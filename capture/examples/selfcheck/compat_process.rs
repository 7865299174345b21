//! The calls about processes in the 32-bit convention.

use super::super::credentials::{in_child, results_of};
use super::*;

const NONE: &str = "4294967295";

/// `page` is below 4 GiB, and nothing else uses it any more.
pub(super) fn calls(page: *mut u8, dir: &str) -> Result<()> {
    ids();
    let low = page as usize as u32;
    let put = |offset: usize, bytes: &[u8]| -> u32 {
        assert!(offset + bytes.len() <= 4096);
        // SAFETY: inside the page.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), page.add(offset), bytes.len()) };
        low + offset as u32
    };
    let call = |event: &str, nr: u32, args: [u32; 4], params: &[(&str, &str)]| {
        let [result] = results_of(|| [int80(nr, args).into()]);
        let result = result.to_string();
        let mut all = vec![("res", result.as_str())];
        all.extend_from_slice(params);
        expect(&format!("@{event}"), &all);
    };
    let name = put(0, b"thirty-two\0");
    call(
        "prctl",
        172,
        [15, name, 0, 0],
        &[("option", "15"), ("arg2_str", "thirty-two"), ("arg2_int", "0")],
    );
    call(
        "prctl",
        172,
        [1, 12, 0, 0],
        &[("option", "1"), ("arg2_str", "<none>"), ("arg2_int", "12")],
    );
    let attribute = put(64, &[0xff; 8]);
    call(
        "prctl",
        172,
        [37, attribute, 0, 0],
        &[("option", "37"), ("arg2_int", "0")],
    );
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<u8>>();
    let limit = put(128, &words(&[0, u32::MAX]));
    call(
        "setrlimit",
        75,
        [99, limit, 0, 0],
        &[("cur", "0"), ("max", "-1"), ("resource", "99")],
    );
    let limit = put(128, &words(&[4096, 0x9000_0000]));
    call(
        "setrlimit",
        75,
        [99, limit, 0, 0],
        &[("cur", "4096"), ("max", "2415919104"), ("resource", "99")],
    );
    // prlimit64's members are 64 bits wide for everybody.
    let wide = put(192, &words(&[7, 1, u32::MAX, u32::MAX]));
    let wanted = [
        ("newcur", "4294967303"),
        ("newmax", "-1"),
        ("oldcur", "<none>"),
        ("pid", "-9"),
        ("resource", "4"),
    ];
    call("prlimit", 340, [(-9i32) as u32, 4, wide, 0], &wanted);
    let sets = put(256, &words(&[32, 160, 128, 0, 0, 0]));
    let header = put(320, &words(&[0x2008_0522, 0]));
    let wanted = [
        ("cap_inheritable", "128"),
        ("cap_permitted", "160"),
        ("cap_effective", "32"),
    ];
    call("capset", 185, [header, sets, 0, 0], &wanted);
    let root = put(512, b"no-root\0");
    call(
        "chroot",
        61,
        [root, 0, 0, 0],
        &[("path", &format!("no-root|{dir}/no-root"))],
    );
    let (device, kind) = (put(600, b"dev32\0"), put(620, b"no-such-fs\0"));
    let place = put(640, b"file\0");
    let wanted = [
        ("dev", "dev32"),
        ("dir", &format!("file|{dir}/file")[..]),
        ("type", "no-such-fs"),
        ("flags", "2"),
    ];
    call("mount", 21, [device, place, kind, 0xc0ed_0002], &wanted);
    call(
        "umount",
        22,
        [place, 0, 0, 0],
        &[("name", &format!("file|{dir}/file"))],
    );
    call(
        "umount2",
        52,
        [place, 2, 0, 0],
        &[("name", &format!("file|{dir}/file")), ("flags", "2")],
    );
    call("unshare", 310, [512, 0, 0, 0], &[("flags", "512")]);
    call(
        "setns",
        346,
        [u32::MAX, 0x4000_0000, 0, 0],
        &[("fd", "-1"), ("nstype", "1073741824")],
    );
    let wanted = [("addr", "0"), ("data", "0"), ("request", "16"), ("pid", "-7")];
    call("ptrace", 26, [16, (-7i32) as u32, 1, 2], &wanted);
    call(
        "ptrace",
        26,
        [0, 0, 0xffff_fffe, 3],
        &[("addr", "4294967294"), ("data", "3"), ("request", "0")],
    );
    let image = put(700, b"\x7fELF32");
    let wanted = [("img", "\x7fELF32"), ("length", "6"), ("uargs", "thirty-two")];
    call("init_module", 128, [image, 6, name, 0], &wanted);
    call(
        "finit_module",
        350,
        [u32::MAX, name, 1, 0],
        &[("fd", "-1"), ("uargs", "thirty-two"), ("flags", "1")],
    );
    Ok(())
}

/// Ids of 16 and of 32 bits, sessions and groups.
fn ids() {
    for (event, nr, args, want, params) in [
        // The registers have 32 bits, the ids 16, and 0xffff is none.
        ("setuid", 23, [0x0001_03e9, 0, 0], 0, &[("uid", "1001")][..]),
        ("setuid", 23, [0xffff, 0, 0], -22, &[("uid", NONE)]),
        ("setuid", 213, [100_001, 0, 0], 0, &[("uid", "100001")]),
        ("setuid", 213, [u32::MAX, 0, 0], -22, &[("uid", NONE)]),
        ("setgid", 46, [1002, 0, 0], 0, &[("gid", "1002")]),
        ("setgid", 214, [100_002, 0, 0], 0, &[("gid", "100002")]),
        (
            "setreuid",
            70,
            [0xffff, 1003, 0],
            0,
            &[("ruid", NONE), ("euid", "1003")],
        ),
        (
            "setreuid",
            203,
            [u32::MAX, 100_003, 0],
            0,
            &[("ruid", NONE), ("euid", "100003")],
        ),
        (
            "setregid",
            71,
            [1004, 0xffff, 0],
            0,
            &[("rgid", "1004"), ("egid", NONE)],
        ),
        (
            "setregid",
            204,
            [100_004, u32::MAX, 0],
            0,
            &[("rgid", "100004"), ("egid", NONE)],
        ),
        (
            "setresuid",
            164,
            [31, 32, 0xffff],
            0,
            &[("ruid", "31"), ("euid", "32"), ("suid", NONE)],
        ),
        (
            "setresuid",
            208,
            [100_031, 0xffff, 33],
            0,
            &[("ruid", "100031"), ("euid", "65535"), ("suid", "33")],
        ),
        (
            "setresgid",
            170,
            [41, 0xffff, 43],
            0,
            &[("rgid", "41"), ("egid", NONE), ("sgid", "43")],
        ),
        (
            "setresgid",
            210,
            [0xffff, 100_042, 43],
            0,
            &[("rgid", "65535"), ("egid", "100042"), ("sgid", "43")],
        ),
        (
            "setpgid",
            57,
            [0, (-7i32) as u32, 0],
            -22,
            &[("pid", "0"), ("pgid", "-7")],
        ),
    ] {
        in_child(|| assert_eq!(int80(nr, [args[0], args[1], args[2], 0]), want, "{event} {nr}"));
        let result = want.to_string();
        let mut all = vec![("res", result.as_str())];
        all.extend_from_slice(params);
        expect(&format!("@{event}"), &all);
    }
    let child = in_child(|| assert!(int80(66, [0; 4]) > 0));
    expect("@setsid", &[("res", &child.to_string())]);
}
