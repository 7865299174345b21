//! The socket on which the kernel tells of processes (`NETLINK_CONNECTOR`, linux/cn_proc.h), and its messages.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recvfrom, sendto, setsockopt, sockopt};

/// `CN_IDX_PROC` and `CN_VAL_PROC`: whose messages they are. The first is its multicast group, too.
const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr`.
const NETLINK_HEADER: usize = 16;
/// That and `struct cn_msg`.
const HEADERS: usize = NETLINK_HEADER + 20;
/// Where a `struct cn_msg` has what the answer to it is told by.
const ACKNOWLEDGEMENT: usize = NETLINK_HEADER + 12;
/// Where a `struct proc_event` has its parts.
const WHAT: usize = HEADERS;
const TIMESTAMP: usize = HEADERS + 8;
const DATA: usize = HEADERS + 16;

/// Types of messages (`enum proc_cn_event`).
const NONE: u32 = 0;
const FORK: u32 = 1;
const EXEC: u32 = 2;
const UID: u32 = 4;
const GID: u32 = 0x40;
const SID: u32 = 0x80;
const COMM: u32 = 0x200;
const EXIT: u32 = 0x8000_0000;

/// What the kernel may keep of messages that are not read yet. A message takes about a kilobyte of it.
const BUFFER: usize = 16 << 20;
/// How long the kernel may take to answer: it does so before the request returns.
const ANSWER: Duration = Duration::from_millis(200);

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// A process (or a thread, `child_tgid` is another then) was created; the parent is who it belongs to.
    Fork {
        parent_pid: u32,
        parent_tgid: u32,
        child_pid: u32,
        child_tgid: u32,
    },
    /// A process runs another program.
    Exec { tgid: u32 },
    /// A thread has other user or group ids, or another session. Of the first two the effective one is told.
    Changed {
        pid: u32,
        tgid: u32,
        uid: Option<u32>,
        gid: Option<u32>,
    },
    /// A thread has another name, other than by an exec.
    Comm { pid: u32, tgid: u32, comm: [u8; 16] },
    /// A thread ended, with this status as wait(2) has it.
    Exit { pid: u32, tgid: u32, status: u32 },
    /// The answer to the request before this number: an error number, or 0. Everybody who listens is told.
    Answer { number: u32, error: u32 },
}

/// Reads a message and its time, in nanoseconds of the monotonic clock; `None` for what is none, or one that is not used.
pub(crate) fn read(bytes: &[u8]) -> Option<(Message, u64)> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if (word(NETLINK_HEADER)?, word(NETLINK_HEADER + 4)?) != (CN_IDX_PROC, CN_VAL_PROC) {
        return None;
    }
    let time = u64::from_ne_bytes(bytes.get(TIMESTAMP..TIMESTAMP + 8)?.try_into().ok()?);
    let data = |index: usize| word(DATA + 4 * index);
    let message = match word(WHAT)? {
        NONE => Message::Answer {
            number: word(ACKNOWLEDGEMENT)?,
            error: data(0)?,
        },
        FORK => Message::Fork {
            parent_pid: data(0)?,
            parent_tgid: data(1)?,
            child_pid: data(2)?,
            child_tgid: data(3)?,
        },
        EXEC => Message::Exec { tgid: data(1)? },
        what @ (UID | GID | SID) => Message::Changed {
            pid: data(0)?,
            tgid: data(1)?,
            uid: data(3).filter(|_| what == UID),
            gid: data(3).filter(|_| what == GID),
        },
        COMM => Message::Comm {
            pid: data(0)?,
            tgid: data(1)?,
            comm: *bytes.get(DATA + 8..)?.first_chunk()?,
        },
        EXIT => Message::Exit {
            pid: data(0)?,
            tgid: data(1)?,
            status: data(2)?,
        },
        _ => return None,
    };
    Some((message, time))
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Opens it, and has the kernel tell of processes.
    ///
    /// # Errors
    /// What the kernel says; that it does not answer is one.
    pub(crate) fn open() -> io::Result<Socket> {
        Socket::keeping(BUFFER)
    }

    /// As that, with so many bytes for messages that are not read yet.
    pub(super) fn keeping(bytes: usize) -> io::Result<Socket> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no memory is passed.
        let descriptor = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given it to this call, and nobody else knows it.
        let socket = Socket(unsafe { OwnedFd::from_raw_fd(descriptor) });
        socket.keep(bytes);
        bind(socket.0.as_raw_fd(), &NetlinkAddr::new(0, CN_IDX_PROC))?;
        socket.listen()?;
        Ok(socket)
    }

    fn keep(&self, bytes: usize) {
        // Beyond the system's limit for privileged processes, below it for others.
        if setsockopt(&self.0, sockopt::RcvBufForce, &bytes).is_err() {
            let _ = setsockopt(&self.0, sockopt::RcvBuf, &bytes);
        }
    }

    /// Asks for messages. A process that may not (another user namespace, another network namespace, no `CAP_NET_ADMIN`) is
    /// refused, or (another pid namespace) not answered.
    fn listen(&self) -> io::Result<()> {
        // Its own, as good as surely.
        let number = std::process::id() ^ crate::outside::now() as u32;
        let request = request(LISTEN, number);
        sendto(
            self.0.as_raw_fd(),
            &request,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )?;
        let deadline = Instant::now() + ANSWER;
        let mut buffer = [0; 1024];
        loop {
            match self.receive(&mut buffer) {
                Ok(Some(bytes)) => match read(bytes) {
                    Some((Message::Answer { number: to, error }, _)) if to == number.wrapping_add(1) => {
                        return match error {
                            0 => Ok(()),
                            error => Err(io::Error::from_raw_os_error(error.cast_signed())),
                        };
                    }
                    _ => {}
                },
                Ok(None) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::Error::new(
                            io::ErrorKind::TimedOut,
                            "the kernel does not answer, as in a pid namespace that is not the first",
                        ));
                    }
                    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
                    let _ = poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], left);
                }
                // So much happens meanwhile that some of it is lost: it is not looked for yet.
                Err(Errno::ENOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next message, or none when there is none yet. Only the kernel's are given.
    ///
    /// # Errors
    /// `ENOBUFS` when messages were lost since the last time.
    pub(crate) fn receive<'b>(&self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Errno> {
        loop {
            match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), buffer) {
                Ok((length, from)) if from.is_some_and(|from| from.pid() == 0) => {
                    return Ok(buffer.get(..length));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// How many messages were lost since the socket was opened, modulo 2^32; `None` where the kernel does not tell.
    pub(crate) fn lost(&self) -> Option<u32> {
        /// `SK_MEMINFO_DROPS` and `SK_MEMINFO_VARS`.
        const DROPS: usize = 8;
        let mut info = [0u32; DROPS + 1];
        let mut length = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes there, and how many they are.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        (result == 0 && length as usize == size_of_val(&info)).then(|| info[DROPS])
    }

    /// Has the kernel drop messages that are not used before they wake anybody: of threads, those that begin, and those that
    /// end unless `thread_exits`. Without it they come and are left unused.
    pub(crate) fn filter(&self, thread_exits: bool) -> io::Result<()> {
        let mut program = filter(thread_exits);
        let program = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: the kernel reads the program, which outlives the call.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size_of::<libc::sock_fprog>() as libc::socklen_t,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A request to the kernel's side (`enum proc_cn_mcast_op`).
fn request(operation: u32, number: u32) -> Vec<u8> {
    let length = HEADERS + 4;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend((length as u32).to_ne_bytes());
    bytes.extend(NLMSG_DONE.to_ne_bytes());
    bytes.extend([0; 10]); // flags, sequence, sender
    bytes.extend(CN_IDX_PROC.to_ne_bytes());
    bytes.extend(CN_VAL_PROC.to_ne_bytes());
    bytes.extend([0; 4]); // sequence
    bytes.extend(number.to_ne_bytes());
    bytes.extend(4u16.to_ne_bytes());
    bytes.extend(0u16.to_ne_bytes());
    bytes.extend(operation.to_ne_bytes());
    bytes
}

/// A classic socket filter (not one of bpf(2), which may be refused).
fn filter(thread_exits: bool) -> Vec<libc::sock_filter> {
    // Such a program reads numbers with the most significant byte first; these have the machine's order.
    let as_read = |number: u32| u32::from_be_bytes(number.to_ne_bytes());
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let load = |at: usize| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at as u32);
    let keep = || step(libc::BPF_MISC | libc::BPF_TAX, 0, 0, 0);
    let is =
        |what: u32, jt: u8, jf: u8| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jt, jf, as_read(what));
    let is_kept = |jt: u8, jf: u8| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_X, jt, jf, 0);
    let give = |length: u32| step(libc::BPF_RET | libc::BPF_K, 0, 0, length);
    vec![
        load(WHAT),
        is(FORK, 0, 4),
        load(DATA + 8),
        keep(),
        load(DATA + 12),
        is_kept(12, 11),
        match thread_exits {
            true => is(EXIT, 11, 4),
            false => is(EXIT, 0, 4),
        },
        load(DATA),
        keep(),
        load(DATA + 4),
        is_kept(7, 6),
        is(EXEC, 6, 0),
        is(UID, 5, 0),
        is(GID, 4, 0),
        is(SID, 3, 0),
        is(COMM, 2, 0),
        is(NONE, 1, 0),
        give(0),
        give(u32::MAX),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, data: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; NETLINK_HEADER];
        for word in [CN_IDX_PROC, CN_VAL_PROC, 0, 0, 0, what, 3] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(77u64.to_ne_bytes());
        bytes.extend(data.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn messages_are_read_and_what_is_cut_is_none() {
        let exit = message(EXIT, &[8, 7, 0x100, 17, 1, 1]);
        let read_of = |bytes: &[u8]| read(bytes).map(|(message, _)| message);
        assert_eq!(
            read(&exit),
            Some((
                Message::Exit {
                    pid: 8,
                    tgid: 7,
                    status: 0x100
                },
                77
            ))
        );
        for length in 0..DATA + 12 {
            assert_eq!(read_of(&exit[..length]), None);
        }
        assert_eq!(read_of(&message(EXEC, &[7, 7])), Some(Message::Exec { tgid: 7 }));
        assert_eq!(
            read_of(&message(GID, &[8, 7, 1, 2])),
            Some(Message::Changed {
                pid: 8,
                tgid: 7,
                uid: None,
                gid: Some(2)
            })
        );
        assert_eq!(
            read_of(&message(NONE, &[1])),
            Some(Message::Answer { number: 0, error: 1 })
        );
        assert_eq!(
            read_of(&message(0x100, &[1, 1, 1, 1])),
            None,
            "ptrace is not used"
        );
        let mut others = exit;
        others[NETLINK_HEADER] = 2;
        assert_eq!(read_of(&others), None);
    }

    /// Runs a filter as the kernel does.
    fn passes(program: &[libc::sock_filter], bytes: &[u8]) -> bool {
        let (mut a, mut x, mut at) = (0u32, 0u32, 0usize);
        loop {
            let step = &program[at];
            at += 1;
            let jump = |is: bool| usize::from(if is { step.jt } else { step.jf });
            match u32::from(step.code) {
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    let from = step.k as usize;
                    let Some(word) = bytes.get(from..from + 4) else {
                        return false;
                    };
                    a = u32::from_be_bytes(word.try_into().unwrap());
                }
                code if code == libc::BPF_MISC | libc::BPF_TAX => x = a,
                code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => at += jump(a == step.k),
                code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_X => at += jump(a == x),
                _ => return step.k != 0,
            }
        }
    }

    #[test]
    fn the_filter_drops_threads_and_what_is_not_used() {
        for thread_exits in [false, true] {
            let program = filter(thread_exits);
            let kept = |what, data: &[u32]| passes(&program, &message(what, data));
            assert!(kept(FORK, &[1, 1, 7, 7]) && !kept(FORK, &[1, 1, 8, 7]));
            assert!(kept(EXIT, &[7, 7, 0, 17]));
            assert_eq!(kept(EXIT, &[8, 7, 0, 17]), thread_exits);
            for what in [EXEC, UID, GID, SID, COMM, NONE] {
                assert!(kept(what, &[8, 7, 0, 0]), "{what:#x}");
            }
            assert!(!kept(0x100, &[7, 7, 1, 1]) && !kept(0x4000_0000, &[7, 7]));
            assert!(!passes(&program, &[]));
        }
    }
}
