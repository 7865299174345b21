//! Where the kernel keeps its type information, and what is read of it.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::{slice, thread};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::btf::Btf;
use crate::fitting::Fitting;
use crate::kernel_types::{KernelTypes, PATH_OF_FILE, READ_ONLY_CAST};

/// What every kernel with BTF has.
const PATH: &str = "/sys/kernel/btf/vmlinux";

/// What is read of the running kernel's types, which stay what they are.
#[derive(Debug, Default)]
pub(crate) struct TypesOfHost {
    pub(crate) attachable: KernelTypes,
    pub(crate) fitting: Fitting,
}

impl TypesOfHost {
    /// Finds the types once for all that is read of them; nothing where the kernel has none.
    pub(crate) fn get() -> &'static TypesOfHost {
        static TYPES: OnceLock<TypesOfHost> = OnceLock::new();
        TYPES.get_or_init(|| {
            let bytes = KernelBtf::of_host();
            // There is nothing to say of an error: who has no types cannot be attached to.
            let btf = bytes.as_ref().and_then(|bytes| Btf::read(bytes.bytes()));
            btf.map_or_else(TypesOfHost::default, |btf| {
                let attachable = KernelTypes::of(&btf);
                let is_there = |function: &str| attachable.functions.contains_key(function);
                let has_loads = is_there(PATH_OF_FILE) && is_there(READ_ONLY_CAST);
                let fitting = Fitting::of(&btf, has_loads);
                TypesOfHost { attachable, fitting }
            })
        })
    }
}

/// Begins to read the kernel's types, on a thread of its own: [`crate::Host::probe_for`] and [`crate::Capture::start`] need them,
/// which takes as long as reading rules does.
pub fn read_types_ahead() {
    let reader = thread::Builder::new().name("lanner-types".into());
    // Where there is no room for a thread, they are read when they are needed.
    let _ = reader.spawn(TypesOfHost::get);
}

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
