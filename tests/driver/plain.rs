//! Calls that no state needs: a table of calls, most of which fail, and what is said of them; behind it some that succeed.

use super::actor::{Actor, Call, Expected, Want, is, pid};
use super::{Case, both, case, only_compat, wide};

/// An argument of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg {
    /// A number.
    N(i64),
    /// Text.
    T(&'static str),
    /// Numbers of 16 bits.
    H(&'static [u16]),
    /// Numbers of 32 bits.
    W(&'static [u32]),
    /// Numbers of 64 bits.
    Q(&'static [u64]),
    /// Numbers as wide as the caller's words.
    L(&'static [i64]),
    /// One part of a vector, with this text.
    Iov(&'static str),
    /// Seconds and nanoseconds: two longs for 32-bit callers, but in calls from `clock_gettime64` on.
    Time(i64, i64),
    /// A place in a file: two arguments for 32-bit callers, but in calls before `pread64`.
    Place(i64),
}

use Arg::{H, Iov, L, N, Place, Q, T, Time, W};

impl Arg {
    fn put(self, actor: &Actor, nr: i64, to: &mut Vec<i64>) {
        let compat = actor.compat;
        let wide = |words: &[u64]| {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
            actor.bytes(&bytes)
        };
        let value = match self {
            N(number) => number,
            T(text) => actor.text(text),
            H(halves) => {
                let bytes: Vec<u8> = halves.iter().flat_map(|h| h.to_ne_bytes()).collect();
                actor.bytes(&bytes)
            }
            W(words) => actor.words(words),
            Q(words) => wide(words),
            L(longs) => actor.longs(longs),
            Iov(text) => vector(actor, text.as_bytes()),
            Time(seconds, nanoseconds) if compat && nr >= 403 => {
                wide(&[seconds, nanoseconds].map(i64::cast_unsigned))
            }
            Time(seconds, nanoseconds) => actor.longs(&[seconds, nanoseconds]),
            Place(place) if compat && nr >= 180 => {
                to.push(place & 0xffff_ffff);
                place >> 32
            }
            Place(place) => place,
        };
        to.push(value);
    }
}

/// A vector of one part, with these bytes; its address.
fn vector(actor: &Actor, bytes: &[u8]) -> i64 {
    let length = i64::try_from(bytes.len()).unwrap();
    actor.longs(&[actor.bytes(bytes), length])
}

/// A parameter, as shown and raw. `+` is a number above 0, `#` any number, `-` no value, `*` whatever there is.
type Param = (&'static str, &'static str, &'static str);

fn want(text: &str) -> Want {
    match text {
        "+" => Want::Positive,
        "#" => Want::Number,
        "-" => Want::Missing,
        "*" => Want::Maybe,
        text => is(text),
    }
}

fn with(expected: Expected, params: &[Param]) -> Expected {
    params.iter().fold(expected, |expected, (name, shown, raw)| {
        expected.arg(name, want(shown), want(raw))
    })
}

/// Cases for both kinds of callers that have the call: below 0 there is none.
fn of_both(
    cases: &mut Vec<Case>,
    event: &'static str,
    call: Call,
    run: impl Fn(&Actor, i64) -> Expected + Clone + 'static,
) {
    for (nr, compat) in [(call.0, false), (call.1, true)] {
        let run = run.clone();
        if nr >= 0 {
            cases.push(case(event, "by the table", compat, move |actor| run(actor, nr)));
        }
    }
}

fn called(actor: &Actor, call: Call, nr: i64, args: &[Arg]) -> i64 {
    let mut numbers = Vec::new();
    args.iter().for_each(|arg| arg.put(actor, nr, &mut numbers));
    actor.call(call, &numbers)
}

/// A call with Falco's parameters.
fn plain(
    cases: &mut Vec<Case>,
    event: &'static str,
    call: Call,
    args: &'static [Arg],
    params: &'static [Param],
) {
    of_both(cases, event, call, move |actor, nr| {
        let result = called(actor, call, nr, args);
        let expected = match event {
            "getuid" | "geteuid" | "getgid" | "getegid" => Expected::of(result),
            "brk" => address(actor, result),
            _ => Expected::res(result),
        };
        with(expected, params)
    });
}

/// A result that is an address.
fn address(actor: &Actor, result: i64) -> Expected {
    let result = if actor.compat {
        result & 0xffff_ffff
    } else {
        result
    };
    Expected::of(result).same("res", format!("{result:X}"))
}

/// A call of which Falco has `ID` and `nativeID` only.
pub(crate) fn numbered(
    cases: &mut Vec<Case>,
    event: &'static str,
    call: Call,
    args: &'static [Arg],
    params: &'static [Param],
) {
    of_both(cases, event, call, move |actor, nr| {
        let result = called(actor, call, nr, args);
        with(Expected::res(result), params)
            .is("ID", event, nr)
            .same("nativeID", nr)
            .field("evt.category", is("other"))
    });
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    table(&mut cases);
    both(&mut cases, "chown", "of a file", chown);
    only_compat(&mut cases, "lchown", "by the 16-bit call", lchown16);
    both(&mut cases, "fchown", "of a file", fchown);
    both(&mut cases, "fchownat", "below a directory", fchownat);
    both(&mut cases, "kill", "of itself, with no signal", kill);
    both(&mut cases, "getcwd", "that fits", getcwd);
    both(&mut cases, "getcwd", "that does not fit", getcwd_short);
    both(&mut cases, "flock", "of a file", flock);
    both(&mut cases, "keyctl", "that searches", keyctl);
    both(&mut cases, "keyctl", "without arguments", keyctl_none);
    both(&mut cases, "fsconfig", "of text", fsconfig_text);
    both(&mut cases, "fsconfig", "of bytes", fsconfig_bytes);
    both(&mut cases, "quotactl", "that turns quotas on", quota_on);
    both(&mut cases, "quotactl", "that sets limits", quota_limits);
    both(&mut cases, "quotactl", "that sets times", quota_times);
    both(&mut cases, "process_vm_readv", "of itself", process_vm_readv);
    both(&mut cases, "process_vm_writev", "of itself", process_vm_writev);
    wide(&mut cases, "mmap", "of a file", mmap);
    only_compat(&mut cases, "mmap", "with its arguments in memory", mmap_behind);
    only_compat(&mut cases, "mmap2", "of a file", mmap2);
    both(&mut cases, "getsockname", "of a socket", getsockname);
    both(&mut cases, "getpeername", "of a file", getpeername);
    cases
}

#[rustfmt::skip]
fn table(cases: &mut Vec<Case>) {
    plain(cases, "chown", Call(92, 212), &[T("/no/such/path"), N(71), N(72)], &[("path", "/no/such/path", "/no/such/path"), ("uid", "71", "71"), ("gid", "72", "72")]);
    plain(cases, "lchown", Call(94, 198), &[T("/no/such/path"), N(71), N(72)], &[("path", "/no/such/path", "/no/such/path"), ("uid", "71", "71"), ("gid", "72", "72")]);
    plain(cases, "fchown", Call(93, 207), &[N(999), N(71), N(72)], &[("fd", "999", "999"), ("uid", "71", "71"), ("gid", "72", "72")]);
    plain(cases, "fchownat", Call(260, 298), &[N(-100), T("/no/such/pathname"), N(72), N(73), N(4352)], &[("dirfd", "AT_FDCWD", "-100"), ("pathname", "/no/such/pathname", "/no/such/pathname"), ("uid", "72", "72"), ("gid", "73", "73"), ("flags", "AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH", "1100")]);
    plain(cases, "access", Call(21, 33), &[T("/no/such/name"), N(6)], &[("name", "/no/such/name", "/no/such/name"), ("mode", "R_OK|W_OK", "6")]);
    plain(cases, "mknod", Call(133, 14), &[T("/no/such/path"), N(0o140640), N(72)], &[("path", "/no/such/path", "/no/such/path"), ("mode", "S_IRGRP|S_IWUSR|S_IRUSR|S_IFSOCK", "140640"), ("dev", "72", "72")]);
    plain(cases, "mknodat", Call(259, 297), &[N(-100), T("/no/such/path"), N(0o60640), N(73)], &[("dirfd", "AT_FDCWD", "-100"), ("path", "/no/such/path", "/no/such/path"), ("mode", "S_IRGRP|S_IWUSR|S_IRUSR|S_IFBLK", "60640"), ("dev", "73", "73")]);
    plain(cases, "stat", Call(4, 106), &[T("/no/such/path")], &[("path", "/no/such/path", "/no/such/path")]);
    plain(cases, "lstat", Call(6, 107), &[T("/no/such/path")], &[("path", "/no/such/path", "/no/such/path")]);
    plain(cases, "stat64", Call(-1, 195), &[T("/no/such/path")], &[("path", "/no/such/path", "/no/such/path")]);
    plain(cases, "lstat64", Call(-1, 196), &[T("/no/such/path")], &[("path", "/no/such/path", "/no/such/path")]);
    plain(cases, "fstat", Call(5, 108), &[N(999)], &[("fd", "999", "999")]);
    plain(cases, "fstat64", Call(-1, 197), &[N(999)], &[("fd", "999", "999")]);
    plain(cases, "newfstatat", Call(262, -1), &[N(-100), T("/no/such/path"), N(0), N(6144)], &[("dirfd", "AT_FDCWD", "-100"), ("path", "/no/such/path", "/no/such/path"), ("flags", "AT_EMPTY_PATH|AT_NO_AUTOMOUNT", "1800")]);
    plain(cases, "lseek", Call(8, 19), &[N(999), Place(7), N(1)], &[("fd", "999", "999"), ("offset", "7", "7"), ("whence", "SEEK_CUR", "1")]);
    plain(cases, "llseek", Call(-1, 140), &[N(999), N(1), N(5), N(0), N(1)], &[("fd", "999", "999"), ("offset", "4294967301", "4294967301"), ("whence", "SEEK_CUR", "1")]);
    plain(cases, "getdents", Call(78, 141), &[N(999)], &[("fd", "999", "999")]);
    plain(cases, "getdents64", Call(217, 220), &[N(999)], &[("fd", "999", "999")]);
    plain(cases, "flock", Call(73, 143), &[N(999), N(3)], &[("fd", "999", "999"), ("operation", "LOCK_SH|LOCK_EX", "3")]);
    plain(cases, "ioctl", Call(16, 54), &[N(999), N(4097), N(4097)], &[("fd", "999", "999"), ("request", "1001", "1001"), ("argument", "1001", "1001")]);
    plain(cases, "splice", Call(275, 313), &[N(999), N(0), N(999), N(0), N(74), N(3)], &[("fd_in", "999", "999"), ("fd_out", "999", "999"), ("size", "74", "74"), ("flags", "SPLICE_F_MOVE|SPLICE_F_NONBLOCK", "3")]);
    plain(cases, "copy_file_range", Call(326, 377), &[N(999), Q(&[11]), N(999), Q(&[22]), N(74)], &[("fdout", "999", "999"), ("offout", "22", "22"), ("fdin", "999", "999"), ("offin", "11", "11"), ("len", "74", "74")]);
    plain(cases, "brk", Call(12, 45), &[N(4097)], &[("vm_size", "+", "+"), ("vm_rss", "+", "+"), ("vm_swap", "#", "#"), ("addr", "1001", "1001")]);
    plain(cases, "munmap", Call(11, 91), &[N(4097), N(71)], &[("vm_size", "+", "+"), ("vm_rss", "+", "+"), ("vm_swap", "#", "#"), ("addr", "1001", "1001"), ("length", "71", "71")]);
    plain(cases, "mprotect", Call(10, 125), &[N(4097), N(71), N(3)], &[("addr", "1001", "1001"), ("length", "71", "71"), ("prot", "PROT_READ|PROT_WRITE", "3")]);
    plain(cases, "mlock", Call(149, 150), &[N(4097), N(71)], &[("addr", "1001", "1001"), ("len", "71", "71")]);
    plain(cases, "mlock2", Call(325, 376), &[N(4097), N(71), N(1)], &[("addr", "1001", "1001"), ("len", "71", "71"), ("flags", "MLOCK_ONFAULT", "1")]);
    plain(cases, "munlock", Call(150, 151), &[N(4097), N(71)], &[("addr", "1001", "1001"), ("len", "71", "71")]);
    plain(cases, "mlockall", Call(151, 152), &[N(4)], &[("flags", "MCL_ONFAULT", "4")]);
    plain(cases, "munlockall", Call(152, 153), &[], &[]);
    plain(cases, "kill", Call(62, 37), &[N(999999), N(9)], &[("pid", "999999", "999999"), ("sig", "SIGKILL", "9")]);
    plain(cases, "tkill", Call(200, 238), &[N(999999), N(9)], &[("tid", "999999", "999999"), ("sig", "SIGKILL", "9")]);
    plain(cases, "tgkill", Call(234, 270), &[N(999999), N(999999), N(9)], &[("pid", "999999", "999999"), ("tid", "999999", "999999"), ("sig", "SIGKILL", "9")]);
    plain(cases, "futex", Call(202, 422), &[N(4097), N(128), N(72)], &[("addr", "1001", "1001"), ("op", "FUTEX_PRIVATE_FLAG", "80"), ("val", "72", "72")]);
    plain(cases, "nanosleep", Call(35, 162), &[Time(0, 5)], &[("interval", "5", "5")]);
    plain(cases, "select", Call(23, 82), &[N(-1)], &[]);
    plain(cases, "epoll_wait", Call(232, 256), &[N(0), N(0), N(72)], &[("maxevents", "72", "72")]);
    plain(cases, "semget", Call(64, 393), &[N(4097), N(-1), N(1536)], &[("key", "1001", "1001"), ("nsems", "-1", "-1"), ("semflg", "IPC_EXCL|IPC_CREAT", "6000")]);
    plain(cases, "semop", Call(65, -1), &[N(-1), H(&[3, 0xfffe, 0x800, 4, 1, 0x1000]), N(2)], &[("nsops", "2", "2"), ("sem_num_0", "3", "3"), ("sem_op_0", "-2", "-2"), ("sem_flg_0", "IPC_NOWAIT", "1"), ("sem_num_1", "4", "4"), ("sem_op_1", "1", "1"), ("sem_flg_1", "SEM_UNDO", "2"), ("semid", "-1", "-1")]);
    plain(cases, "semctl", Call(66, 394), &[N(-1), N(71), N(16), N(42)], &[("semid", "-1", "-1"), ("semnum", "71", "71"), ("cmd", "SETVAL", "1000"), ("val", "42", "42")]);
    plain(cases, "getuid", Call(102, 199), &[], &[("uid", "root", "0")]);
    plain(cases, "geteuid", Call(107, 201), &[], &[("euid", "root", "0")]);
    plain(cases, "getgid", Call(104, 200), &[], &[("gid", "root", "0")]);
    plain(cases, "getegid", Call(108, 202), &[], &[("egid", "root", "0")]);
    plain(cases, "getresuid", Call(118, 209), &[W(&[7]), W(&[7]), W(&[7])], &[("ruid", "root", "0"), ("euid", "root", "0"), ("suid", "root", "0")]);
    plain(cases, "getresgid", Call(120, 211), &[W(&[7]), W(&[7]), W(&[7])], &[("rgid", "root", "0"), ("egid", "root", "0"), ("sgid", "root", "0")]);
    plain(cases, "getrlimit", Call(97, 191), &[N(7), L(&[0, 0])], &[("cur", "+", "+"), ("max", "+", "+"), ("resource", "RLIMIT_NOFILE", "7")]);
    plain(cases, "seccomp", Call(317, 354), &[N(70), N(4097)], &[("op", "70", "70"), ("flags", "1001", "1001")]);
    plain(cases, "delete_module", Call(176, 129), &[T("the name"), N(2560)], &[("name", "the name", "the name"), ("flags", "O_NONBLOCK|O_TRUNC", "3")]);
    plain(cases, "io_uring_enter", Call(426, 426), &[N(999), N(71), N(72), N(3), W(&[0x200, 0])], &[("fd", "999", "999"), ("to_submit", "71", "71"), ("min_complete", "72", "72"), ("flags", "IORING_ENTER_GETEVENTS|IORING_ENTER_SQ_WAKEUP", "3"), ("sig", "512", "512")]);
    plain(cases, "io_uring_register", Call(427, 427), &[N(999), N(2), N(4097), N(73)], &[("fd", "999", "999"), ("opcode", "IORING_REGISTER_FILES", "2"), ("arg", "1001", "1001"), ("nr_args", "73", "73")]);
}

fn chown(actor: &Actor) -> Expected {
    let path = actor.file("owned", "");
    let result = actor.call(Call(92, 212), &[actor.text(&path), 12345, -1]);
    assert_eq!(result, 0);
    Expected::res(0)
        .same("path", &path)
        .same("uid", 12345)
        .is("gid", -1, u32::MAX)
        .field("fs.path.name", is(&path))
        .field("evt.category", is("file"))
}

fn lchown16(actor: &Actor) -> Expected {
    let path = actor.file("owned", "");
    // What is above the 16 bits is rubbish.
    let result = actor.call(Call(-1, 16), &[actor.text(&path), 0x7_3039, 0xffff]);
    assert_eq!(result, 0);
    Expected::res(0)
        .same("path", &path)
        .same("uid", 12345)
        .is("gid", -1, u32::MAX)
}

/// A file of this case, and a descriptor of it.
fn file(actor: &Actor) -> (i64, String) {
    let path = actor.file("file", "0123456789");
    (actor.open(&path, libc::O_RDWR), path)
}

fn about(expected: Expected, fd: i64, path: &str) -> Expected {
    expected
        .is("fd", format!("<f>{path}"), fd)
        .field("fd.num", is(fd))
        .field("fd.type", is("file"))
        .field("fd.name", is(path))
}

fn fchown(actor: &Actor) -> Expected {
    let (fd, path) = file(actor);
    assert_eq!(actor.call(Call(93, 207), &[fd, 0, 54321]), 0);
    about(Expected::res(0), fd, &path)
        .same("uid", 0)
        .same("gid", 54321)
        .field("fs.path.name", is(&path))
}

fn fchownat(actor: &Actor) -> Expected {
    let path = actor.file("owned", "");
    let directory = actor.open(&actor.folder, libc::O_DIRECTORY);
    let result = actor.call(Call(260, 298), &[directory, actor.text("owned"), 0, 0, 0]);
    assert_eq!(result, 0);
    Expected::res(0)
        .is("dirfd", format!("<d>{}", actor.folder), directory)
        .is("pathname", &path, "owned")
        .same("uid", 0)
        .same("gid", 0)
        .same("flags", 0)
        .field("fs.path.name", is(&path))
}

fn kill(actor: &Actor) -> Expected {
    assert_eq!(actor.call(Call(62, 37), &[pid(), 0]), 0);
    Expected::res(0)
        // By the name it has.
        .arg("pid", Want::Maybe, is(pid()))
        .arg("sig", Want::Maybe, is(0))
        .field("evt.category", is("signal"))
}

fn getcwd(actor: &Actor) -> Expected {
    std::env::set_current_dir(&actor.folder).unwrap();
    let result = actor.call(Call(79, 183), &[actor.bytes(&[0; 4096]), 4096]);
    assert!(result > 0, "{result}");
    Expected::res(result).same("path", &actor.folder)
}

fn getcwd_short(actor: &Actor) -> Expected {
    let result = actor.call(Call(79, 183), &[actor.text("what was there"), 1]);
    assert_eq!(result, -34);
    Expected::res(-34).arg("path", is("NULL"), Want::Missing)
}

fn flock(actor: &Actor) -> Expected {
    let (fd, path) = file(actor);
    assert_eq!(actor.call(Call(73, 143), &[fd, 6]), 0);
    about(Expected::res(0), fd, &path).is("operation", "LOCK_EX|LOCK_NB", 6)
}

fn keyctl(actor: &Actor) -> Expected {
    let args = [10, 0x7fff_0001, actor.text("user"), actor.text("a key"), -4];
    let result = actor.call(Call(250, 288), &args);
    assert!(result < 0, "{result}");
    Expected::res(result)
        .is("operation", "KEYCTL_SEARCH", 10)
        .same("arg2", 0x7fff_0001)
        .same("arg3", "user")
        .same("arg4", "a key")
        .same("arg5", -4)
}

fn keyctl_none(actor: &Actor) -> Expected {
    // KEYCTL_REVOKE has one.
    let result = actor.call(Call(250, 288), &[3, 0x7fff_0001, 5, 6, 7]);
    assert!(result < 0, "{result}");
    Expected::res(result)
        .is("operation", "KEYCTL_REVOKE", 3)
        .same("arg2", 0x7fff_0001)
        .same("arg3", 0)
        .same("arg4", 0)
        .same("arg5", 0)
}

fn fsconfig_text(actor: &Actor) -> Expected {
    let (fd, path) = file(actor);
    let args = [fd, 1, actor.text("source"), actor.text("/dev/nothing"), 0];
    let result = actor.call(Call(431, 431), &args);
    about(Expected::res(result), fd, &path)
        .is("cmd", "FSCONFIG_SET_STRING", 1)
        .same("key", "source")
        .arg("value_bytebuf", is("NULL"), Want::Missing)
        .same("value_charbuf", "/dev/nothing")
        .same("aux", 0)
        .field("evt.category", is("system"))
}

fn fsconfig_bytes(actor: &Actor) -> Expected {
    let args = [999, 2, actor.text("blob"), actor.bytes(b"some bytes"), 4];
    let result = actor.call(Call(431, 431), &args);
    Expected::res(result)
        .same("fd", 999)
        .is("cmd", "FSCONFIG_SET_BINARY", 2)
        .same("key", "blob")
        .same("value_bytebuf", "some")
        .arg("value_charbuf", is("NULL"), Want::Missing)
        .same("aux", 4)
}

/// Of no kind of quota, so that nothing is done.
const NO_TYPE: i64 = 99;

fn quota(expected: Expected, limits: [i64; 7], times: [i64; 2]) -> Expected {
    let names = [
        "dqb_bhardlimit",
        "dqb_bsoftlimit",
        "dqb_curspace",
        "dqb_ihardlimit",
        "dqb_isoftlimit",
        "dqb_btime",
        "dqb_itime",
        "dqi_bgrace",
        "dqi_igrace",
    ];
    let values = limits.into_iter().chain(times);
    names
        .into_iter()
        .zip(values)
        .fold(expected, |expected, (name, value)| expected.same(name, value))
        .is("quota_fmt_out", "QFMT_NOT_USED", 1)
        .same("type", 0)
        .same("special", "/dev/nothing")
        .field("evt.category", is("user"))
}

fn quota_on(actor: &Actor) -> Expected {
    let args = [
        0x8000_0200 | NO_TYPE,
        actor.text("/dev/nothing"),
        2,
        actor.text("/no/aquota.user"),
    ];
    let result = actor.call(Call(179, 131), &args);
    assert!(result < 0, "{result}");
    quota(Expected::res(result), [0; 7], [0; 2])
        .is("cmd", "Q_QUOTAON", 1)
        .same("quotafilepath", "/no/aquota.user")
        .is("dqi_flags", "DQF_NONE", 1)
        .same("id", 0)
        .is("quota_fmt", "QFMT_VFS_V0", 4)
}

fn quota_limits(actor: &Actor) -> Expected {
    let block: Vec<u8> = (1..=9u64).flat_map(u64::to_ne_bytes).collect();
    let args = [
        0x8000_0800 | NO_TYPE,
        actor.text("/dev/nothing"),
        1000,
        actor.bytes(&block),
    ];
    let result = actor.call(Call(179, 131), &args);
    assert!(result < 0, "{result}");
    quota(Expected::res(result), [1, 2, 3, 4, 5, 7, 8], [0; 2])
        .is("cmd", "Q_SETQUOTA", 64)
        .arg("quotafilepath", is("NULL"), Want::Missing)
        .is("dqi_flags", "DQF_NONE", 1)
        .same("id", 1000)
        .is("quota_fmt", "QFMT_NOT_USED", 1)
}

fn quota_times(actor: &Actor) -> Expected {
    let info = actor.words(&[11, 0, 12, 0, 1, 0]);
    let args = [0x8000_0600 | NO_TYPE, actor.text("/dev/nothing"), 0, info];
    let result = actor.call(Call(179, 131), &args);
    assert!(result < 0, "{result}");
    quota(Expected::res(result), [0; 7], [11, 12])
        .is("cmd", "Q_SETINFO", 16)
        .arg("quotafilepath", is("NULL"), Want::Missing)
        .is("dqi_flags", "V1_DQF_RSQUASH", 2)
        .same("id", 0)
        .is("quota_fmt", "QFMT_NOT_USED", 1)
}

fn process_vm_readv(actor: &Actor) -> Expected {
    let (local, remote) = (vector(actor, &[0; 8]), vector(actor, b"was read"));
    let result = actor.call(Call(310, 347), &[pid(), local, 1, remote, 1, 0]);
    assert_eq!(result, 8);
    Expected::of(8)
        .same("res", 8)
        .arg("pid", Want::Maybe, is(pid()))
        .same("data", "was read")
}

fn process_vm_writev(actor: &Actor) -> Expected {
    let (local, remote) = (vector(actor, b"written"), vector(actor, &[0; 7]));
    let result = actor.call(Call(311, 348), &[pid(), local, 1, remote, 1, 0]);
    assert_eq!(result, 7);
    Expected::of(7)
        .same("res", 7)
        .arg("pid", Want::Maybe, is(pid()))
        .same("data", "written")
}

fn mapped(actor: &Actor, result: i64, fd: i64, path: &str) -> Expected {
    assert!(!(-4095..0).contains(&result), "{result}");
    address(actor, result)
        .some("vm_size", || Want::Positive)
        .some("vm_rss", || Want::Positive)
        .some("vm_swap", || Want::Number)
        .same("addr", 0)
        .same("length", 4096)
        .is("prot", "PROT_READ|PROT_WRITE", 3)
        .is("flags", "MAP_PRIVATE|MAP_NORESERVE", 42)
        .is("fd", format!("<f>{path}"), fd)
        .field("evt.category", is("memory"))
}

fn mmap(actor: &Actor) -> Expected {
    let (fd, path) = file(actor);
    let result = actor.call(Call(9, -1), &[0, 4096, 3, 0x4002, fd, 0]);
    mapped(actor, result, fd, &path).same("offset", 0)
}

fn mmap_behind(actor: &Actor) -> Expected {
    let (fd, path) = file(actor);
    let block = actor.longs(&[0, 4096, 3, 0x4002, fd, 0]);
    let result = actor.call(Call(-1, 90), &[block]);
    mapped(actor, result, fd, &path).same("offset", 0)
}

fn mmap2(actor: &Actor) -> Expected {
    let (fd, path) = file(actor);
    let result = actor.call(Call(-1, 192), &[0, 4096, 3, 0x4002, fd, 1]);
    mapped(actor, result, fd, &path).same("pgoffset", 1)
}

fn getsockname(actor: &Actor) -> Expected {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let fd = i64::from(std::os::fd::AsRawFd::as_raw_fd(&socket));
    let length = actor.words(&[16]);
    let result = actor.call(Call(51, 367), &[fd, actor.bytes(&[0; 16]), length]);
    assert_eq!(result, 0);
    Expected::of(0)
        .field("fd.num", is(fd))
        .field("fd.type", is("ipv4"))
        .field("evt.category", is("net"))
}

fn getpeername(actor: &Actor) -> Expected {
    let (fd, path) = file(actor);
    let length = actor.words(&[16]);
    let result = actor.call(Call(52, 368), &[fd, actor.bytes(&[0; 16]), length]);
    assert_eq!(result, -88);
    Expected::of(-88)
        .field("fd.num", is(fd))
        .field("fd.name", is(path))
}
