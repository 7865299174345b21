//! The memory that keeper and agent share: what the agent has received and not answered yet.
//!
//! The kernel writes a call into it while the agent receives, so that there is no moment in which the agent could end and the
//! call be known to nobody. There is one call at a time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::ftruncate;

use super::listener::{Listener, Notification};

/// One page.
const LENGTH: usize = 4096;

/// What is in it.
#[repr(C)]
#[derive(Debug)]
struct Shared {
    /// How many calls the agent has dealt with.
    turns: AtomicU64,
    /// The keeper's number of the listener that the agent receives from; 0 is none.
    listener: AtomicU64,
    /// The call; all its bytes are 0 when there is none.
    notification: [AtomicU64; Notification::WORDS],
    /// Calls the keeper answered, and agents it found silent.
    answered: AtomicU64,
    silent: AtomicU64,
}

/// The memory, mapped.
#[derive(Debug)]
pub(crate) struct Slot {
    memory: NonNull<Shared>,
    file: OwnedFd,
}

// SAFETY: it is a mapping of its own, and all that is in it is atomic.
unsafe impl Send for Slot {}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.memory.cast(), LENGTH) };
    }
}

impl AsFd for Slot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Slot {
    /// New memory.
    pub(crate) fn create() -> io::Result<Slot> {
        let file = memfd_create(
            c"lanner-slot",
            MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
        )?;
        ftruncate(&file, LENGTH as libc::off_t)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Slot::map(file)
    }

    /// The memory that somebody else made.
    pub(crate) fn open(file: OwnedFd) -> io::Result<Slot> {
        // Memory that can shrink would end us at a touch.
        let seals = fcntl(&file, FcntlArg::F_GET_SEALS)?;
        let sealed = seals & libc::F_SEAL_SHRINK != 0;
        let metadata = std::fs::File::from(file.try_clone()?).metadata()?;
        if !sealed || metadata.len() < LENGTH as u64 {
            return Err(io::Error::other("not memory of the keeper"));
        }
        Slot::map(file)
    }

    fn map(file: OwnedFd) -> io::Result<Slot> {
        let length = std::num::NonZeroUsize::new(LENGTH).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let memory = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &file, 0) }?;
        Ok(Slot {
            memory: memory.cast(),
            file,
        })
    }

    fn shared(&self) -> &Shared {
        // SAFETY: mapped as long as we are, larger than `Shared`, aligned to a page, and any bytes are its value.
        unsafe { self.memory.as_ref() }
    }

    /// Receives a call of the listener with this number. It stays here until [`Slot::done`].
    pub(crate) fn receive(&self, number: u64, listener: &Listener) -> io::Result<Notification> {
        let shared = self.shared();
        shared.listener.store(number, Ordering::Release);
        let place = shared.notification.as_ptr().cast::<Notification>().cast_mut();
        // SAFETY: it has that size and alignment, is writable through atomics, and only the kernel writes it here.
        let received = unsafe { listener.receive_into(place) };
        received
            .inspect_err(|_| self.done())
            .map(|()| self.notification())
    }

    /// The call is answered.
    pub(crate) fn done(&self) {
        let shared = self.shared();
        shared
            .notification
            .iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
        shared.listener.store(0, Ordering::Release);
        shared.turns.fetch_add(1, Ordering::Release);
    }

    fn notification(&self) -> Notification {
        let word = |index: usize| self.shared().notification[index].load(Ordering::Relaxed);
        Notification::from_words(std::array::from_fn(word))
    }

    /// What the agent has received and not answered: the listener's number, and the call.
    pub(crate) fn outstanding(&self) -> Option<(u64, Notification)> {
        let number = self.shared().listener.load(Ordering::Acquire);
        let notification = self.notification();
        (number != 0 && notification.id != 0).then_some((number, notification))
    }

    /// How many calls the agent has dealt with.
    pub(crate) fn turns(&self) -> u64 {
        self.shared().turns.load(Ordering::Acquire)
    }

    /// The keeper's side: how many calls it answered, and how often an agent was silent.
    pub(crate) fn tell(&self, answered: u64, silent: u64) {
        self.shared().answered.store(answered, Ordering::Relaxed);
        self.shared().silent.store(silent, Ordering::Relaxed);
    }

    /// What the keeper told.
    pub(crate) fn told(&self) -> (u64, u64) {
        let shared = self.shared();
        (
            shared.answered.load(Ordering::Relaxed),
            shared.silent.load(Ordering::Relaxed),
        )
    }
}
