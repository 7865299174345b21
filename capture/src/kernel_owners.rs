//! What the consumer tells the programs while they run: whether it sleeps, and which cgroups are containers'.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use lanner_schema::container::{Containers, Watch};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use nix::sys::mman::{MapFlags as MmapFlags, ProtFlags, mmap, munmap};

use crate::error::CaptureError;
use crate::id_map::IdMap;

/// `struct consumer`, shared with the programs by mapping their `.data.consumer`.
#[derive(Debug)]
pub(crate) struct ConsumerPage {
    page: NonNull<std::ffi::c_void>,
    _map: OwnedFd,
    /// [`Containers::withdrawals`] as of the last change.
    withdrawals: AtomicU64,
}

// SAFETY: the page is only looked at through its atomic numbers, and stays mapped until the last owner drops it.
unsafe impl Send for ConsumerPage {}
// SAFETY: as above.
unsafe impl Sync for ConsumerPage {}

const PAGE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

impl ConsumerPage {
    /// Maps the page of `.data.consumer`.
    ///
    /// # Errors
    /// When the kernel does not map it.
    pub(crate) fn new(map: &MapHandle) -> Result<ConsumerPage, CaptureError> {
        let io = |source: std::io::Error| CaptureError::Io {
            path: "the map .data.consumer".into(),
            source,
        };
        let fd = map.as_fd().try_clone_to_owned().map_err(io)?;
        // SAFETY: a new shared mapping of one page of a map the kernel made for this purpose (BPF_F_MMAPABLE); nothing
        // else in this process refers to it.
        let page = unsafe {
            mmap(
                None,
                PAGE,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MmapFlags::MAP_SHARED,
                &fd,
                0,
            )
        }
        .map_err(|errno| io(errno.into()))?;
        Ok(ConsumerPage {
            page,
            _map: fd,
            withdrawals: AtomicU64::new(0),
        })
    }

    fn sleeping(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped until self is dropped, aligned, and its first four bytes are `consumer.sleeping`,
        // which the programs and this process only read and write whole.
        unsafe { AtomicU32::from_ptr(self.page.as_ptr().cast()) }
    }

    fn generation(&self) -> &AtomicU32 {
        // SAFETY: as above; the next four bytes are `consumer.generation`.
        unsafe { AtomicU32::from_ptr(self.page.as_ptr().cast::<u32>().add(1)) }
    }

    /// Raises or lowers the flag that the consumer sleeps.
    pub(crate) fn set_sleeping(&self, sleeping: bool) {
        self.sleeping().store(u32::from(sleeping), Ordering::SeqCst);
    }
}

impl Watch for ConsumerPage {
    /// Nothing that was said of owners counts any more, unless all of it still holds: it is only said that cgroups are containers'.
    fn changed(&self, now: &Containers) {
        let withdrawals = now.withdrawals();
        if self.withdrawals.swap(withdrawals, Ordering::Relaxed) != withdrawals {
            self.generation().fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for ConsumerPage {
    fn drop(&mut self) {
        // SAFETY: the mapping made in new(), and no reference to it outlives self. A failure leaves a page mapped.
        let _ = unsafe { munmap(self.page, PAGE.get()) };
    }
}

/// What the programs know of the owners of cgroups: those that this thread found to be containers', until one may be none.
#[derive(Debug)]
pub(crate) struct KernelOwners {
    map: MapHandle,
    page: Arc<ConsumerPage>,
    /// Cgroups that were told of, and in which generation.
    told: IdMap<u64, u32>,
    failures: Arc<AtomicU64>,
}

/// Cgroups that are told of before all are forgotten: those that are gone leave no trace else.
const TOLD: usize = 8192;

impl KernelOwners {
    /// Of `map`, in which the programs look, and `page`, whose generation they compare; cgroups that could not be told are counted in
    /// `failures`.
    pub(crate) fn new(map: MapHandle, page: Arc<ConsumerPage>, failures: Arc<AtomicU64>) -> KernelOwners {
        KernelOwners {
            map,
            page,
            told: IdMap::default(),
            failures,
        }
    }

    /// What is found now, of a table that is looked at after this, holds while this number stays.
    pub(crate) fn generation(&self) -> u32 {
        self.page.generation().load(Ordering::SeqCst)
    }

    /// Tells that a cgroup is a container's, as it was found in this generation.
    pub(crate) fn tell(&mut self, cgroup: u64, generation: u32) {
        if self.told.get(&cgroup) == Some(&generation) {
            return;
        }
        if self.told.len() >= TOLD {
            for (cgroup, _) in self.told.drain() {
                // Absent is what is wanted.
                let _ = self.map.delete(&cgroup.to_ne_bytes());
            }
        }
        let value = generation << 1 | 1;
        let done = self
            .map
            .update(&cgroup.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY);
        match done {
            Ok(()) => drop(self.told.insert(cgroup, generation)),
            Err(_) => drop(self.failures.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::Outside;
    use crate::owner::Owners;
    use lanner_schema::container::{Container, ContainerTable, Learnt, Owner};
    use libbpf_rs::MapType;
    use libbpf_rs::libbpf_sys::{BPF_F_MMAPABLE, bpf_map_create_opts, size_t};
    use nix::unistd::geteuid;

    fn map(kind: MapType, key: u32, value: u32, entries: u32, map_flags: u32) -> MapHandle {
        let options = bpf_map_create_opts {
            sz: size_of::<bpf_map_create_opts>() as size_t,
            map_flags,
            ..Default::default()
        };
        MapHandle::create(kind, Some("tested"), key, value, entries, &options).unwrap()
    }

    #[test]
    fn the_programs_are_told_of_a_cgroup_once_until_a_container_is_withdrawn() {
        if !geteuid().is_root() {
            eprintln!("skipped: it makes maps");
            return;
        }
        let page = ConsumerPage::new(&map(MapType::Array, 4, 8, 1, BPF_F_MMAPABLE)).unwrap();
        let page = Arc::new(page);
        let owners = map(MapType::Hash, 8, 4, 64, 0);
        let told = |cgroup: u64| {
            let value = owners.lookup(&cgroup.to_ne_bytes(), MapFlags::ANY).unwrap()?;
            value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
        };
        let current = || page.generation().load(Ordering::SeqCst) << 1 | 1;
        let table = ContainerTable::new();
        let watcher: std::sync::Weak<ConsumerPage> = Arc::downgrade(&page);
        table.tell(watcher);
        let handle = MapHandle::try_from(&owners).unwrap();
        let failures = Arc::default();
        let mut found = Owners::new(None, &table, Outside::default());
        found.tell(KernelOwners::new(
            handle,
            Arc::clone(&page),
            Arc::clone(&failures),
        ));
        let insert = |cgroup: u64| {
            let container = Container {
                cgroup,
                ..Container::new(format!("{cgroup:064x}"), "containerd", Learnt::Start)
            };
            table.update(|known| known.insert(Arc::new(container)));
        };

        insert(7);
        found.ensure(7, || None);
        assert_eq!(told(7), Some(current()));
        // Whatever is told of it again takes the place of this.
        const OWN: u32 = 1 << 20;
        let (key, own) = (7u64.to_ne_bytes(), OWN.to_ne_bytes());
        owners.update(&key, &own, MapFlags::ANY).unwrap();
        let before = current();
        for other in 8..16 {
            insert(other);
            for cgroup in [7, other] {
                found.ensure(cgroup, || None);
                assert!(matches!(found.get(cgroup), Owner::Container(c) if c.cgroup == cgroup));
            }
            assert_eq!((told(7), told(other)), (Some(OWN), Some(current())));
        }
        assert_eq!(current(), before, "all that was told still holds");
        // Of one that is withdrawn the programs are to know nothing, so that of the others they have to be told again.
        table.update(|known| known.remove(&format!("{:064x}", 8)));
        assert_ne!(current(), before);
        found.ensure(7, || None);
        assert_eq!(told(7), Some(current()));
        assert_ne!(told(8), Some(current()));
        assert_eq!(failures.load(Ordering::Relaxed), 0);
    }
}
