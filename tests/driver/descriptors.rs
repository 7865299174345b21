//! Calls that make, use and close descriptors.

use std::net::{TcpListener, TcpStream};
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;

use super::actor::{Actor, Call, Expected, NAME, Want, is, pid};
use super::{Case, both};

const DUP: Call = Call(libc::SYS_dup, 41);
const DUP2: Call = Call(libc::SYS_dup2, 63);
const DUP3: Call = Call(libc::SYS_dup3, 330);
const FCNTL: Call = Call(libc::SYS_fcntl, 221);
const CLOSE: Call = Call(libc::SYS_close, 6);
const CLOSE_RANGE: Call = Call(libc::SYS_close_range, 436);
const EPOLL_CREATE: Call = Call(libc::SYS_epoll_create, 254);
const EPOLL_CREATE1: Call = Call(libc::SYS_epoll_create1, 329);
const EVENTFD: Call = Call(libc::SYS_eventfd, 323);
const EVENTFD2: Call = Call(libc::SYS_eventfd2, 328);
const INOTIFY_INIT: Call = Call(libc::SYS_inotify_init, 291);
const INOTIFY_INIT1: Call = Call(libc::SYS_inotify_init1, 332);
const PIPE: Call = Call(libc::SYS_pipe, 42);
const PIPE2: Call = Call(libc::SYS_pipe2, 331);
const SIGNALFD: Call = Call(libc::SYS_signalfd, 321);
const SIGNALFD4: Call = Call(libc::SYS_signalfd4, 327);
const TIMERFD_CREATE: Call = Call(libc::SYS_timerfd_create, 322);
const PIDFD_OPEN: Call = Call(libc::SYS_pidfd_open, 434);
const PIDFD_GETFD: Call = Call(libc::SYS_pidfd_getfd, 438);
const USERFAULTFD: Call = Call(libc::SYS_userfaultfd, 374);
const IO_URING_SETUP: Call = Call(libc::SYS_io_uring_setup, 425);
const OPEN_BY_HANDLE_AT: Call = Call(libc::SYS_open_by_handle_at, 342);
const NAME_TO_HANDLE_AT: Call = Call(libc::SYS_name_to_handle_at, 341);
const READ: Call = Call(libc::SYS_read, 3);
const WRITE: Call = Call(libc::SYS_write, 4);
const READV: Call = Call(libc::SYS_readv, 145);
const WRITEV: Call = Call(libc::SYS_writev, 146);
const PREAD: Call = Call(libc::SYS_pread64, 180);
const PWRITE: Call = Call(libc::SYS_pwrite64, 181);
const PREADV: Call = Call(libc::SYS_preadv, 333);
const PWRITEV: Call = Call(libc::SYS_pwritev, 334);
const SENDFILE: Call = Call(libc::SYS_sendfile, 239);
const BPF: Call = Call(libc::SYS_bpf, 357);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    both(&mut cases, "dup", "of a file", dup);
    both(&mut cases, "dup", "of a bad descriptor", dup_bad);
    both(&mut cases, "dup2", "of a file", dup2);
    both(&mut cases, "dup3", "of a file", dup3);
    both(&mut cases, "dup3", "to itself", dup3_same);
    both(&mut cases, "fcntl", "that duplicates", fcntl);
    both(&mut cases, "close", "of a file", close);
    both(&mut cases, "close", "of a directory", close_directory);
    both(&mut cases, "close", "of a deleted file", close_deleted);
    both(&mut cases, "close", "of a pipe", close_pipe);
    both(&mut cases, "close", "of an eventfd", close_eventfd);
    both(&mut cases, "close", "of a memfd", close_memfd);
    both(&mut cases, "close", "of a connection", close_connection);
    both(&mut cases, "close", "of a local socket", close_local);
    both(&mut cases, "close", "of a bad descriptor", close_bad);
    both(&mut cases, "close_range", "of some", close_range);
    both(&mut cases, "epoll_create", "made", epoll_create);
    both(&mut cases, "epoll_create1", "made", epoll_create1);
    both(&mut cases, "eventfd", "made", eventfd);
    both(&mut cases, "eventfd2", "made", eventfd2);
    both(&mut cases, "inotify_init", "made", inotify_init);
    both(&mut cases, "inotify_init1", "made", inotify_init1);
    both(&mut cases, "pipe", "made", pipe);
    both(&mut cases, "pipe2", "made", pipe2);
    both(&mut cases, "signalfd", "made", signalfd);
    both(&mut cases, "signalfd4", "made", signalfd4);
    both(&mut cases, "timerfd_create", "made", timerfd_create);
    both(&mut cases, "pidfd_open", "of itself", pidfd_open);
    both(&mut cases, "pidfd_open", "of nobody", pidfd_open_bad);
    both(&mut cases, "pidfd_getfd", "of its own file", pidfd_getfd);
    both(&mut cases, "userfaultfd", "made", userfaultfd);
    both(&mut cases, "io_uring_setup", "made", io_uring_setup);
    both(&mut cases, "open_by_handle_at", "of a file", open_by_handle_at);
    both(&mut cases, "bpf", "that makes a map", bpf);
    both(&mut cases, "bpf", "with an unknown command", bpf_unknown);
    both(&mut cases, "read", "of a file", read);
    both(&mut cases, "read", "of a bad descriptor", read_bad);
    both(&mut cases, "write", "to a file", write);
    both(&mut cases, "readv", "of a file", readv);
    both(&mut cases, "writev", "to a file", writev);
    both(&mut cases, "write", "more than is shown", write_long);
    both(&mut cases, "writev", "more than is shown", writev_long);
    both(&mut cases, "writev", "more to a bad descriptor", writev_long_bad);
    both(&mut cases, "pread", "of a file", pread);
    both(&mut cases, "pwrite", "to a file", pwrite);
    both(&mut cases, "preadv", "of a file", preadv);
    both(&mut cases, "pwritev", "to a file", pwritev);
    both(&mut cases, "sendfile", "between files", sendfile);
    cases
}

/// A file, and how a descriptor of it is shown.
fn file(actor: &Actor) -> (i64, String) {
    let path = actor.file("file", "0123456789");
    (actor.open(&path, libc::O_RDWR), format!("<f>{path}"))
}

fn starts(text: &str) -> Want {
    Want::Starts(text.to_owned())
}

fn dup(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    let new = actor.call(DUP, &[fd]);
    Expected::of(new).is("res", &name, new).is("oldfd", &name, fd)
}

fn dup_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(DUP, &[999]), -9);
    Expected::of(-9).is("res", "EBADF", -9).same("oldfd", 999)
}

fn dup2(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(DUP2, &[fd, 70]), 70);
    Expected::of(70)
        .is("res", &name, 70)
        .is("oldfd", &name, fd)
        .is("newfd", &name, 70)
        .field("fd.num", is(70))
}

fn dup3(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(DUP3, &[fd, 70, i64::from(libc::O_CLOEXEC)]), 70);
    Expected::of(70)
        .is("res", &name, 70)
        .is("oldfd", &name, fd)
        .is("newfd", &name, 70)
        .is("flags", "O_CLOEXEC", "1000")
}

fn dup3_same(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(DUP3, &[fd, fd, 0]), -22);
    Expected::of(-22)
        .is("res", "EINVAL", -22)
        .is("oldfd", &name, fd)
        .is("newfd", &name, fd)
        .is("flags", "O_NONE", 0)
}

fn fcntl(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(FCNTL, &[fd, 0, 50]), 50);
    Expected::of(50)
        .is("res", &name, 50)
        .is("fd", &name, fd)
        .is("cmd", "F_DUPFD", 1)
        .same("arg", 50)
}

/// Closes a descriptor of this type and name, and is told what it was.
fn closed(actor: &Actor, fd: i64, letter: &str, kind: &str, name: &str) -> Expected {
    let stat = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap();
    assert_eq!(actor.call(CLOSE, &[fd]), 0);
    let shown = Want::Is(format!("<{letter}>{name}"));
    Expected::res(0)
        .arg("fd", shown, is(fd))
        .field("fd.num", is(fd))
        .field("fd.type", is(kind))
        .field("fd.typechar", is(&letter[..1]))
        .field("fd.name", is(name))
        .field("fd.ino", is(stat.ino()))
        .field("fd.dev", is(format!("{:X}", stat.dev())))
}

fn close(actor: &Actor) -> Expected {
    let path = actor.file("file", "");
    closed(actor, actor.open(&path, libc::O_RDONLY), "f", "file", &path)
}

fn close_directory(actor: &Actor) -> Expected {
    let fd = actor.open(&actor.folder, libc::O_RDONLY);
    closed(actor, fd, "d", "directory", &actor.folder)
}

fn close_deleted(actor: &Actor) -> Expected {
    let path = actor.file("deleted", "");
    let fd = actor.open(&path, libc::O_RDONLY);
    std::fs::remove_file(&path).unwrap();
    // As it was called; Falco knows the name it was opened by.
    closed(actor, fd, "f", "file", &path)
}

fn close_pipe(actor: &Actor) -> Expected {
    let ends = actor.words(&[0, 0]);
    assert_eq!(actor.call(PIPE, &[ends]), 0);
    let [read, ..]: [u8; 4] = actor.read(ends);
    closed(actor, read.into(), "p", "pipe", "")
}

fn close_eventfd(actor: &Actor) -> Expected {
    closed(actor, actor.call(EVENTFD, &[7]), "e", "event", "")
}

fn close_memfd(actor: &Actor) -> Expected {
    let fd = actor.call(Call(libc::SYS_memfd_create, 356), &[actor.text("secret"), 0]);
    closed(actor, fd, "m", "memfd", "memfd:secret")
}

fn close_connection(actor: &Actor) -> Expected {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let client = TcpStream::connect(there).unwrap();
    let name = format!("{}->{there}", client.local_addr().unwrap());
    closed(actor, client.into_raw_fd().into(), "4t", "ipv4", &name)
        .field("fd.l4proto", is("tcp"))
        .field("fd.sip", is("127.0.0.1"))
        .field("fd.sport", is(there.port()))
}

fn close_local(actor: &Actor) -> Expected {
    let (one, _other) = UnixStream::pair().unwrap();
    let fd = i64::from(one.into_raw_fd());
    assert_eq!(actor.call(CLOSE, &[fd]), 0);
    Expected::res(0)
        .arg("fd", starts("<u>"), is(fd))
        .field("fd.type", is("unix"))
        .field("fd.name", Want::Holds("->".to_owned()))
}

fn close_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(CLOSE, &[999]), -9);
    Expected::res(-9)
        .same("fd", 999)
        .field("fd.num", is(999))
        .field("fd.type", Want::Missing)
        .field("fd.name", Want::Missing)
}

fn close_range(actor: &Actor) -> Expected {
    assert_eq!(actor.call(CLOSE_RANGE, &[800, 900, 4]), 0);
    Expected::res(0)
        .same("first", 800)
        .same("last", 900)
        .arg("flags", is("CLOSE_RANGE_CLOEXEC"), Want::Hex)
        .field("fd.num", Want::Missing)
}

fn epoll_create(actor: &Actor) -> Expected {
    let fd = actor.call(EPOLL_CREATE, &[5]);
    Expected::res(fd).same("size", 5)
}

fn epoll_create1(actor: &Actor) -> Expected {
    let fd = actor.call(EPOLL_CREATE1, &[i64::from(libc::EPOLL_CLOEXEC)]);
    Expected::res(fd).is("flags", "EPOLL_CLOEXEC", 1)
}

fn eventfd(actor: &Actor) -> Expected {
    let fd = actor.call(EVENTFD, &[7]);
    Expected::of(fd)
        .arg("res", starts("<e>"), is(fd))
        .same("initval", 7)
        .same("flags", 0)
        .field("fd.num", is(fd))
        .field("fd.type", is("event"))
}

fn eventfd2(actor: &Actor) -> Expected {
    let flags = i64::from(libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
    let fd = actor.call(EVENTFD2, &[7, flags]);
    Expected::of(fd)
        .arg("res", starts("<e>"), is(fd))
        .same("initval", 7)
        .is("flags", "O_NONBLOCK|O_CLOEXEC", "1040")
}

fn inotify_init(actor: &Actor) -> Expected {
    let fd = actor.call(INOTIFY_INIT, &[]);
    Expected::of(fd)
        .arg("res", starts("<i>"), is(fd))
        .same("flags", 0)
}

fn inotify_init1(actor: &Actor) -> Expected {
    let fd = actor.call(INOTIFY_INIT1, &[i64::from(libc::IN_CLOEXEC)]);
    Expected::of(fd)
        .arg("res", starts("<i>"), is(fd))
        .is("flags", "O_CLOEXEC", "1000")
        .field("fd.type", is("inotify"))
}

fn ends(actor: &Actor, numbers: i64) -> Expected {
    let bytes: [u8; 8] = actor.read(numbers);
    let first = i32::from_ne_bytes(bytes[..4].try_into().unwrap());
    let second = i32::from_ne_bytes(bytes[4..].try_into().unwrap());
    let link = std::fs::read_link(format!("/proc/self/fd/{first}")).unwrap();
    let inode = link
        .to_str()
        .unwrap()
        .trim_start_matches("pipe:[")
        .trim_end_matches(']');
    Expected::res(0)
        .arg("fd1", starts("<p>"), is(first))
        .arg("fd2", starts("<p>"), is(second))
        .same("ino", inode)
}

fn pipe(actor: &Actor) -> Expected {
    let numbers = actor.words(&[0, 0]);
    assert_eq!(actor.call(PIPE, &[numbers]), 0);
    ends(actor, numbers)
}

fn pipe2(actor: &Actor) -> Expected {
    let numbers = actor.words(&[0, 0]);
    assert_eq!(actor.call(PIPE2, &[numbers, i64::from(libc::O_CLOEXEC)]), 0);
    ends(actor, numbers).is("flags", "O_CLOEXEC", "1000")
}

fn signalfd(actor: &Actor) -> Expected {
    let fd = actor.call(SIGNALFD, &[-1, actor.words(&[1 << 9, 0]), 8]);
    assert!(fd >= 0, "{fd}");
    Expected::of(fd)
        .arg("res", starts("<s>"), is(fd))
        .arg("fd", is("EPERM"), is(-1))
        .some("mask", || Want::Hex)
        .same("flags", 0)
}

fn signalfd4(actor: &Actor) -> Expected {
    let flags = i64::from(libc::SFD_CLOEXEC);
    let fd = actor.call(SIGNALFD4, &[-1, actor.words(&[1 << 9, 0]), 8, flags]);
    assert!(fd >= 0, "{fd}");
    Expected::of(fd)
        .arg("res", starts("<s>"), is(fd))
        .arg("fd", is("EPERM"), is(-1))
        .some("mask", || Want::Hex)
        .is("flags", "O_CLOEXEC", "1000")
        .field("fd.type", is("signalfd"))
}

fn timerfd_create(actor: &Actor) -> Expected {
    let fd = actor.call(TIMERFD_CREATE, &[1, 0]);
    Expected::of(fd)
        .arg("res", starts("<t>"), is(fd))
        .some("clockid", || Want::Number)
        .same("flags", 0)
        .field("fd.type", is("timerfd"))
}

fn pidfd_open(actor: &Actor) -> Expected {
    let fd = actor.call(PIDFD_OPEN, &[pid(), i64::from(libc::O_NONBLOCK)]);
    Expected::of(fd)
        .arg("fd", starts("<P>"), is(fd))
        .is("pid", NAME.to_str().unwrap(), pid())
        .is("flags", "PIDFD_NONBLOCK", 1)
        .field("fd.type", is("pidfd"))
}

fn pidfd_open_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(PIDFD_OPEN, &[0x3fff_ffff, 0]), -3);
    Expected::of(-3)
        .is("fd", "ESRCH", -3)
        .same("pid", 0x3fff_ffff)
        .same("flags", 0)
}

fn pidfd_getfd(actor: &Actor) -> Expected {
    let (target, name) = file(actor);
    let own = actor.call(PIDFD_OPEN, &[pid(), 0]);
    let fd = actor.call(PIDFD_GETFD, &[own, target, 0]);
    assert!(fd >= 0, "{fd}");
    Expected::of(fd)
        .is("fd", &name, fd)
        .arg("pid_fd", starts("<P>"), is(own))
        .arg("target_fd", Want::Holds(String::new()), is(target))
        .same("flags", 0)
}

fn userfaultfd(actor: &Actor) -> Expected {
    let flags = i64::from(libc::O_CLOEXEC | libc::O_NONBLOCK);
    let fd = actor.call(USERFAULTFD, &[flags]);
    // Flags of an open always tell what for.
    Expected::res(fd).is("flags", "O_NONBLOCK|O_RDONLY|O_CLOEXEC", "1041")
}

fn io_uring_setup(actor: &Actor) -> Expected {
    // struct io_uring_params: sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, ...
    let mut words = [0; 30];
    words[1] = 32;
    words[2] = 1 << 3;
    let parameters = actor.words(&words);
    let fd = actor.call(IO_URING_SETUP, &[8, parameters]);
    let expected = Expected::res(fd)
        .same("entries", 8)
        .is("flags", "IORING_SETUP_CQSIZE", 10)
        .same("sq_thread_cpu", 0)
        .same("sq_thread_idle", 0);
    if fd < 0 {
        return expected
            .same("sq_entries", 0)
            .same("cq_entries", 32)
            .same("features", 0);
    }
    expected
        .same("sq_entries", 8)
        .same("cq_entries", 32)
        .arg(
            "features",
            Want::Holds("IORING_FEAT_NODROP".to_owned()),
            Want::Hex,
        )
        .field("fd.num", is(fd))
}

fn open_by_handle_at(actor: &Actor) -> Expected {
    let path = actor.file("handle", "");
    // struct file_handle: the length of the handle, its type, the handle.
    let mut handle = vec![0u8; 136];
    handle[..4].copy_from_slice(&128u32.to_ne_bytes());
    let handle = actor.bytes(&handle);
    let name = actor.text(&path);
    let at = i64::from(libc::AT_FDCWD);
    let result = actor.call(NAME_TO_HANDLE_AT, &[at, name, handle, actor.words(&[0]), 0]);
    let mount = actor.open(&actor.folder, libc::O_DIRECTORY);
    let fd = actor.call(OPEN_BY_HANDLE_AT, &[mount, handle, i64::from(libc::O_RDONLY)]);
    let expected = Expected::of(fd)
        .is("mountfd", format!("<d>{}", actor.folder), mount)
        .is("flags", "O_RDONLY", 1);
    if result < 0 || fd < 0 {
        return expected
            .arg("fd", Want::Starts("E".to_owned()), is(fd))
            .arg("path", Want::Holds(String::new()), Want::Missing)
            .same("dev", 0)
            .same("ino", 0);
    }
    expected
        .is("fd", format!("<f>{path}"), fd)
        .same("path", &path)
        .some("dev", || Want::Hex)
        .some("ino", || Want::Positive)
}

fn bpf(actor: &Actor) -> Expected {
    // union bpf_attr of BPF_MAP_CREATE: an array of one entry of eight bytes.
    let mut words = [0u32; 32];
    words[..4].copy_from_slice(&[2, 4, 8, 1]);
    let fd = actor.call(BPF, &[0, actor.words(&words), 128]);
    assert!(fd >= 0, "{fd}");
    Expected::of(fd)
        .arg("fd", starts("<b>"), is(fd))
        .is("cmd", "BPF_MAP_CREATE", 0)
        .field("fd.type", is("bpf"))
}

fn bpf_unknown(actor: &Actor) -> Expected {
    assert_eq!(actor.call(BPF, &[9999, actor.words(&[0; 32]), 128]), -22);
    Expected::of(-22).is("fd", "EINVAL", -22).same("cmd", 9999)
}

fn read(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(READ, &[fd, actor.bytes(&[0; 100]), 100]), 10);
    Expected::res(10)
        .is("fd", &name, fd)
        .same("data", "0123456789")
        .same("size", 100)
        .field("fd.name", is(&name[3..]))
}

fn read_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(READ, &[999, actor.bytes(&[0; 100]), 100]), -9);
    Expected::res(-9)
        .same("fd", 999)
        .arg("data", is("NULL"), Want::Missing)
        .same("size", 100)
}

fn write(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(WRITE, &[fd, actor.bytes(b"a\0b"), 3]), 3);
    Expected::res(3)
        .is("fd", &name, fd)
        .arg("data", is("a.b"), is("a.b"))
        .same("size", 3)
        .field("lanner.truncated", Want::Missing)
}

const LONG: [u8; 100] = [b'x'; 100];

/// What is shown of [`LONG`], and that it is not all.
fn snapped(expected: Expected) -> Expected {
    let shown = "x".repeat(80);
    expected
        .same("data", &shown)
        .same("size", 100)
        .field("lanner.truncated", is("data"))
}

fn write_long(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(WRITE, &[fd, actor.bytes(&LONG), 100]), 100);
    snapped(Expected::res(100)).is("fd", &name, fd)
}

fn writev_long(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(WRITEV, &[fd, vector(actor, &LONG), 2]), 100);
    snapped(Expected::res(100)).is("fd", &name, fd)
}

fn writev_long_bad(actor: &Actor) -> Expected {
    assert_eq!(actor.call(WRITEV, &[999, vector(actor, &LONG), 2]), -9);
    snapped(Expected::res(-9)).same("fd", 999)
}

fn vector(actor: &Actor, bytes: &[u8]) -> i64 {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let length = |part: &[u8]| i64::try_from(part.len()).unwrap();
    actor.longs(&[
        actor.bytes(first),
        length(first),
        actor.bytes(second),
        length(second),
    ])
}

fn readv(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(READV, &[fd, vector(actor, &[0; 8]), 2]), 8);
    Expected::res(8)
        .is("fd", &name, fd)
        .same("data", "01234567")
        .same("size", 8)
}

fn writev(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(WRITEV, &[fd, vector(actor, b"vector"), 2]), 6);
    Expected::res(6)
        .is("fd", &name, fd)
        .same("data", "vector")
        .same("size", 6)
        .field("lanner.truncated", Want::Missing)
}

fn pread(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(PREAD, &[fd, actor.bytes(&[0; 4]), 4, 3]), 4);
    Expected::res(4)
        .is("fd", &name, fd)
        .same("data", "3456")
        .same("size", 4)
        .same("pos", 3)
}

fn pwrite(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(PWRITE, &[fd, actor.bytes(b"abc"), 3, 5]), 3);
    Expected::res(3)
        .is("fd", &name, fd)
        .same("data", "abc")
        .same("size", 3)
        .same("pos", 5)
}

fn preadv(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(PREADV, &[fd, vector(actor, &[0; 4]), 2, 3, 0]), 4);
    Expected::res(4)
        .is("fd", &name, fd)
        .same("data", "3456")
        .same("size", 4)
        .same("pos", 3)
}

fn pwritev(actor: &Actor) -> Expected {
    let (fd, name) = file(actor);
    assert_eq!(actor.call(PWRITEV, &[fd, vector(actor, b"vector"), 2, 5, 0]), 6);
    Expected::res(6)
        .is("fd", &name, fd)
        .same("data", "vector")
        .same("size", 6)
        .same("pos", 5)
}

fn sendfile(actor: &Actor) -> Expected {
    let (from, _) = file(actor);
    let to = actor.open(&actor.file("to", ""), libc::O_RDWR);
    assert_eq!(actor.call(SENDFILE, &[to, from, actor.words(&[4, 0]), 100]), 6);
    Expected::res(6)
        // Where it has come to.
        .same("offset", 10)
        .arg("out_fd", Want::Holds(String::new()), is(to))
        .arg("in_fd", Want::Holds(String::new()), is(from))
        .same("size", 100)
}
