//! Where the kernel keeps its type information.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::slice;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// What every kernel with BTF has.
const PATH: &str = "/sys/kernel/btf/vmlinux";

/// The type information of the running kernel.
#[derive(Debug)]
pub(crate) enum KernelBtf {
    /// Where it is in the kernel's memory.
    Mapped(NonNull<u8>, NonZeroUsize),
    /// A copy, for kernels that do not let it be mapped (before Linux 6.16).
    Copy(Vec<u8>),
}

impl KernelBtf {
    /// `None` where the kernel has none, or does not show it.
    pub(crate) fn of_host() -> Option<KernelBtf> {
        mapped().or_else(|| Some(KernelBtf::Copy(fs::read(PATH).ok()?)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            // SAFETY: as many bytes are mapped until self is dropped, and the kernel never changes them.
            KernelBtf::Mapped(begin, length) => unsafe {
                slice::from_raw_parts(begin.as_ptr(), length.get())
            },
            KernelBtf::Copy(bytes) => bytes,
        }
    }
}

fn mapped() -> Option<KernelBtf> {
    let file = File::open(PATH).ok()?;
    let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
    let length = NonZeroUsize::new(length)?;
    // SAFETY: a new mapping, which nothing else refers to, to be read only.
    let begin = unsafe {
        mmap(
            None,
            length,
            ProtFlags::PROT_READ,
            MapFlags::MAP_PRIVATE,
            &file,
            0,
        )
    };
    Some(KernelBtf::Mapped(begin.ok()?.cast(), length))
}

impl Drop for KernelBtf {
    fn drop(&mut self) {
        if let KernelBtf::Mapped(begin, length) = self {
            // SAFETY: the mapping made in mapped(), and no reference to it outlives self. A failure leaves it there.
            let _ = unsafe { munmap(begin.cast(), length.get()) };
        }
    }
}
