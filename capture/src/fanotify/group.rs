//! A group of fanotify: its marks, and its events with what the kernel opens for them.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};

use super::record::{Event, Events};

/// Room for what is read at once. An event is 24 to some hundred, each with up to two descriptors, so that one read opens no
/// more than about 250 of them.
pub(super) type Buffer = [u8; 4096];

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    fanotify: Fanotify,
}

/// The process of an event.
#[derive(Debug, Clone)]
pub(super) enum Pidfd {
    /// The kernel is too old to give a descriptor (before Linux 5.15).
    NotGiven,
    /// It was gone when the event was read.
    Gone,
    /// It was there then.
    Open(Arc<OwnedFd>),
}

/// An event, and what was opened for it: that is closed with it.
#[derive(Debug)]
pub(super) struct Taken<'b> {
    pub(super) event: Event<'b>,
    pub(super) file: Option<OwnedFd>,
    pub(super) process: Pidfd,
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// There may be more.
    Some,
    /// There was nothing.
    Nothing,
    /// An event is lost: what it needs could not be opened, or it has another form than is known here.
    Lost(Errno),
}

impl Group {
    /// A group whose events have the file itself, opened.
    pub(super) fn of_files() -> Result<Group, Errno> {
        Group::open(InitFlags::empty())
    }

    /// A group whose events have the directory and the name that something was made, removed or renamed by (Linux 5.9).
    pub(super) fn of_names() -> Result<Group, Errno> {
        Group::open(InitFlags::from_bits_retain(libc::FAN_REPORT_DFID_NAME))
    }

    fn open(report: InitFlags) -> Result<Group, Errno> {
        let flags = InitFlags::FAN_CLASS_NOTIF
            | InitFlags::FAN_CLOEXEC
            | InitFlags::FAN_NONBLOCK
            | InitFlags::FAN_UNLIMITED_MARKS
            | report;
        let file = EventFFlags::O_RDONLY
            | EventFFlags::O_LARGEFILE
            | EventFFlags::O_CLOEXEC
            | EventFFlags::O_NOATIME
            | EventFFlags::O_NONBLOCK;
        let fanotify = match Fanotify::init(flags | InitFlags::FAN_REPORT_PIDFD, file) {
            Err(Errno::EINVAL) => Fanotify::init(flags, file),
            made => made,
        }?;
        Ok(Group { fanotify })
    }

    /// Marks the file system that `path` is in, or takes marks off it.
    pub(super) fn file_system(&self, change: MarkFlags, mask: u64, path: &Path) -> Result<(), Errno> {
        let mask = MaskFlags::from_bits_retain(mask);
        let flags = change | MarkFlags::FAN_MARK_FILESYSTEM;
        self.fanotify.mark(flags, mask, nix::fcntl::AT_FDCWD, Some(path))
    }

    /// Marks the directory itself.
    pub(super) fn directory(&self, mask: u64, directory: &impl AsFd) -> Result<(), Errno> {
        let mask = MaskFlags::from_bits_retain(mask);
        let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_ONLYDIR;
        self.fanotify.mark(flags, mask, directory, Some("."))
    }

    /// How many events wait.
    pub(super) fn waiting(&self) -> Option<u64> {
        /// `FAN_EVENT_METADATA_LEN`: the kernel takes each to be as long.
        const EVENT: u64 = 24;
        let mut bytes: libc::c_int = 0;
        // SAFETY: the kernel writes an int there.
        let result = unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
        (result == 0).then_some(u64::try_from(bytes).unwrap_or(0) / EVENT)
    }

    /// Reads some events, with what was opened for them.
    pub(super) fn read<'b>(&self, buffer: &'b mut Buffer, into: &mut Vec<Taken<'b>>) -> Read {
        let length = match nix::unistd::read(&self.fanotify, buffer) {
            Ok(0) | Err(Errno::EAGAIN | Errno::EINTR) => return Read::Nothing,
            Ok(length) => length,
            Err(error) => return Read::Lost(error),
        };
        for event in Events(buffer.get(..length).unwrap_or_default()) {
            let Ok(event) = event else {
                return Read::Lost(Errno::EPROTO);
            };
            into.push(Taken {
                file: own(event.fd),
                process: match event.pidfd() {
                    None => Pidfd::NotGiven,
                    Some(fd) => own(fd).map_or(Pidfd::Gone, |process| Pidfd::Open(Arc::new(process))),
                },
                event,
            });
        }
        Read::Some
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fanotify.as_fd()
    }
}

/// Takes over a descriptor that the kernel opened for an event; `None` for what stands for none.
fn own(fd: i32) -> Option<OwnedFd> {
    // SAFETY: the number comes out of a read of a group, which has just opened it for this reader and nobody else, and each
    // is taken once.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}
