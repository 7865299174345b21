//! The kernel's ring of records (`BPF_MAP_TYPE_RINGBUF`), read in place.
//!
//! What is mapped of it counts as this process's memory, all of it from the moment it is mapped: so that is a part, and the next one
//! when records are read up to there. The kernel lays the ring out twice in a row; what goes round the end of a part or of the ring
//! is in one piece, because behind a part as much is mapped as the longest record takes.

use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use lanner_schema::record::LEN_MAX;
use libbpf_rs::{MapCore as _, MapHandle};
use nix::errno::Errno;
use nix::libc::off_t;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::{SysconfVar, sysconf};

use crate::error::CaptureError;

/// Before each record: its length with two flags, and a number of the kernel's own.
const HEADER: usize = 8;
/// A record that is still written (`BPF_RINGBUF_BUSY_BIT`), and one that was given up (`BPF_RINGBUF_DISCARD_BIT`).
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
/// The part that is mapped: some thousands of records, so that it is seldom another one. A power of two.
const PART: usize = 1 << 20;
/// What is mapped behind a part, in whole pages.
const BEHIND: usize = 64 << 10;
// A record that begins at a part's last place is in one piece.
const _: () = assert!(HEADER + LEN_MAX <= BEHIND);

/// The ring, mapped.
#[derive(Debug)]
pub(crate) struct Ring {
    map: MapHandle,
    /// A page with the place up to which records were read, which the kernel reads.
    consumer: Mapping,
    /// A page with the place up to which records were begun.
    producer: Mapping,
    /// The records of a part.
    part: Mapping,
    /// Where in the ring it begins.
    begins: usize,
    page: usize,
    /// Bytes of records there is room for, a power of two.
    size: usize,
}

#[derive(Debug)]
struct Mapping {
    begin: NonNull<u8>,
    length: NonZeroUsize,
}

// SAFETY: what is mapped belongs to the one who has this, and stays mapped until it is dropped.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(
        map: &MapHandle,
        length: usize,
        protection: ProtFlags,
        offset: usize,
    ) -> Result<Mapping, CaptureError> {
        let failed = |errno: Errno| CaptureError::Io {
            path: "the ring of records".into(),
            source: errno.into(),
        };
        let length = NonZeroUsize::new(length).ok_or_else(|| failed(Errno::EINVAL))?;
        let offset = off_t::try_from(offset).map_err(|_| failed(Errno::EINVAL))?;
        // SAFETY: a new shared mapping of memory that the kernel made for this purpose.
        let begin = unsafe {
            mmap(
                None,
                length,
                protection,
                MapFlags::MAP_SHARED,
                map.as_fd(),
                offset,
            )
        };
        Ok(Mapping {
            begin: begin.map_err(failed)?.cast(),
            length,
        })
    }

    /// The number at a place of the mapping, which both sides read and write as a whole.
    fn position(&self) -> &AtomicU64 {
        // SAFETY: it is the first of a page that is mapped as long as self is there, so it is aligned, too.
        unsafe { AtomicU64::from_ptr(self.begin.as_ptr().cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping made in new(), and no reference to it outlives self. A failure leaves it there.
        let _ = unsafe { munmap(self.begin.cast(), self.length.get()) };
    }
}

impl Ring {
    /// Maps the ring that is this map.
    ///
    /// # Errors
    /// When the kernel does not let it be mapped.
    pub(crate) fn new(map: MapHandle) -> Result<Ring, CaptureError> {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        let page = page.and_then(|page| usize::try_from(page).ok()).unwrap_or(4096);
        let size = usize::try_from(map.max_entries()).unwrap_or(0);
        let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let consumer = Mapping::new(&map, page, both, 0)?;
        let producer = Mapping::new(&map, page, ProtFlags::PROT_READ, page)?;
        let length = PART.min(size) + BEHIND.min(size);
        let part = Mapping::new(&map, length, ProtFlags::PROT_READ, 2 * page)?;
        Ok(Ring {
            map,
            consumer,
            producer,
            part,
            begins: 0,
            page,
            size,
        })
    }

    /// Shows the records that are there, `most` at most, and says how many they were.
    ///
    /// # Errors
    /// When the kernel does not let the next part of the ring be mapped.
    pub(crate) fn consume(
        &mut self,
        most: usize,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, CaptureError> {
        let mut count = 0;
        // Only this writes it.
        let mut read = self.consumer.position().load(Ordering::Relaxed);
        while count < most && read < self.begun() {
            // The remainder, as the size is a power of two.
            let at = usize::try_from(read).unwrap_or(0) & (self.size - 1);
            self.map_part_of(at)?;
            let header = self.header(at);
            if header & BUSY != 0 {
                break;
            }
            let length = usize::try_from(header & !DISCARDED).unwrap_or(0);
            if header & DISCARDED == 0 {
                show(self.record(at, length));
                count += 1;
            }
            read += (length + HEADER).next_multiple_of(8) as u64;
            self.consumer.position().store(read, Ordering::Release);
        }
        Ok(count)
    }

    /// Sees to it that the part is mapped in which a record begins.
    fn map_part_of(&mut self, at: usize) -> Result<(), CaptureError> {
        let begins = at & !(PART - 1);
        if begins != self.begins {
            let length = self.part.length.get();
            self.part = Mapping::new(&self.map, length, ProtFlags::PROT_READ, 2 * self.page + begins)?;
            self.begins = begins;
        }
        Ok(())
    }

    /// Up to where records were begun.
    fn begun(&self) -> u64 {
        // Memory that can only be read is read so, and ordered by itself.
        let begun = self.producer.position().load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        begun
    }

    /// The header of the record at a place within the part.
    fn header(&self, at: usize) -> u32 {
        // SAFETY: records begin at multiples of eight, and this one in the part, which is mapped until another one is; what is
        // written there is written as a whole.
        let header = unsafe { AtomicU32::from_ptr(self.part.begin.as_ptr().add(at - self.begins).cast()) };
        let header = header.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        header
    }

    /// A record without its header; empty, which counts as not decoded, if it is longer than programs of ours make them.
    fn record(&self, at: usize, length: usize) -> &[u8] {
        let begin = at - self.begins + HEADER;
        if begin + length > self.part.length.get() {
            return &[];
        }
        // SAFETY: as many bytes are mapped until another part is, which takes self, and the kernel does not write to a record that
        // is neither busy nor read: consume() says only afterwards that it is.
        unsafe { slice::from_raw_parts(self.part.begin.as_ptr().add(begin), length) }
    }

    /// Waits until there is a record that nobody has read, or somebody wakes those who wait for it.
    pub(crate) fn wait(&self, limit: Duration) {
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        // An interrupted wait is a wait that ended.
        let _ = poll(&mut [PollFd::new(self.map.as_fd(), PollFlags::POLLIN)], limit);
    }
}
