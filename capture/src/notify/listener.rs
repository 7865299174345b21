//! The descriptor of a seccomp listener and its calls (seccomp_unotify(2)).

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use lanner_schema::seccomp::Answer;

/// `struct seccomp_notif`: a call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub(crate) struct Notification {
    /// Names the call to the listener.
    pub(crate) id: u64,
    /// The thread that makes it, in the pid namespace of who receives it; 0 where it has no number there.
    pub(crate) tid: u32,
    flags: u32,
    /// Its number.
    pub(crate) number: i32,
    /// `AUDIT_ARCH_*`.
    pub(crate) arch: u32,
    instruction_pointer: u64,
    pub(crate) args: [u64; 6],
}

impl Notification {
    /// How many 64-bit words it has.
    pub(crate) const WORDS: usize = size_of::<Notification>() / 8;

    /// The notification in these words of memory.
    pub(crate) fn from_words(words: [u64; Self::WORDS]) -> Notification {
        let [id, tid, call, instruction_pointer, args @ ..] = words;
        // Both machines are little-endian: the first of two halves is the lower.
        let halves = |word: u64| (word as u32, (word >> 32) as u32);
        let ((tid, flags), (number, arch)) = (halves(tid), halves(call));
        Notification {
            id,
            tid,
            flags,
            number: number.cast_signed(),
            arch,
            instruction_pointer,
            args,
        }
    }
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// `_IOC` of the kernel: 2 bits direction (1 write, 2 read), 14 bits size, type, number.
const fn request(direction: u32, size: usize, number: u32) -> libc::c_ulong {
    // The structures have a few dozen bytes.
    ((direction << 30) | ((size as u32) << 16) | ((b'!' as u32) << 8) | number) as libc::c_ulong
}

const RECEIVE: libc::c_ulong = request(3, size_of::<Notification>(), 0);
const SEND: libc::c_ulong = request(3, size_of::<Response>(), 1);
const IS_VALID: libc::c_ulong = request(1, size_of::<u64>(), 2);
const SET_FLAGS: libc::c_ulong = request(1, size_of::<u64>(), 4);
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
const CONTINUE: u32 = 1;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`.
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// A listener.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// Takes a descriptor; `None` when it is none of a listener.
    pub(crate) fn new(descriptor: OwnedFd) -> Option<Listener> {
        let name = fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).ok()?;
        (name.as_os_str() == "anon_inode:seccomp notify").then_some(Listener(descriptor))
    }

    /// Has the kernel run who answers where the caller ran: both wait for each other (Linux 6.6). False where it can't.
    pub(crate) fn wake_in_place(&self) -> bool {
        // SAFETY: the argument is a number.
        unsafe { libc::ioctl(self.0.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) == 0 }
    }

    /// Receives a call into `place`, whose bytes must be 0; waits when there is none. `ENOENT`: who made it is gone.
    ///
    /// # Safety
    /// `place` is valid for writes of a [`Notification`], and no reference to it is alive.
    pub(crate) unsafe fn receive_into(&self, place: *mut Notification) -> io::Result<()> {
        // SAFETY: as our caller promises.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), RECEIVE, place) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Receives a call; waits when there is none.
    pub(crate) fn receive(&self) -> io::Result<Notification> {
        let mut notification = Notification::default();
        // SAFETY: it is a place of our own.
        unsafe { self.receive_into(&raw mut notification) }?;
        Ok(notification)
    }

    /// Whether a call still waits: then what was read of its thread meanwhile was that thread's.
    pub(crate) fn is_valid(&self, id: u64) -> bool {
        // SAFETY: the number lives through the call.
        unsafe { libc::ioctl(self.0.as_raw_fd(), IS_VALID, &raw const id) == 0 }
    }

    /// Answers a call. `ENOENT`: it is answered already, or who made it is gone.
    pub(crate) fn answer(&self, id: u64, answer: Answer) -> io::Result<()> {
        let mut response = Response {
            id,
            value: 0,
            error: 0,
            flags: 0,
        };
        match answer {
            Answer::Continue => response.flags = CONTINUE,
            Answer::Fail(errno) => response.error = i32::try_from(errno).map_or(-libc::EPERM, |errno| -errno),
        }
        // SAFETY: the structure is the one that the request is for, and lives through the call.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), SEND, &raw mut response) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_kernels() {
        // From include/uapi/linux/seccomp.h.
        assert_eq!(
            (RECEIVE, SEND, SET_FLAGS),
            (0xc050_2100, 0xc018_2101, 0x4008_2104)
        );
    }

    #[test]
    fn another_descriptor_is_no_listener() {
        assert!(Listener::new(OwnedFd::from(std::fs::File::open("/dev/null").unwrap())).is_none());
    }
}
