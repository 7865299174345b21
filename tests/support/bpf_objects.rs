//! The BPF objects of a process, and which of them the kernel still has.

use std::collections::BTreeSet;
use std::fs;

use libbpf_rs::query::{LinkInfoIter, MapInfoIter, ProgInfoIter};
use nix::unistd::Pid;

/// Programs, maps and links by their ids, which the kernel does not give again soon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BpfObjects {
    pub(crate) programs: BTreeSet<u32>,
    pub(crate) maps: BTreeSet<u32>,
    pub(crate) links: BTreeSet<u32>,
}

impl BpfObjects {
    /// Those a process has descriptors of.
    pub(crate) fn of(pid: Pid) -> BpfObjects {
        let mut objects = BpfObjects::default();
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let id = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name))?;
                line.trim().parse::<u32>().ok()
            };
            // A link names its program too.
            if let Some(link) = id("link_id:") {
                objects.links.insert(link);
            }
            objects.programs.extend(id("prog_id:"));
            objects.maps.extend(id("map_id:"));
        }
        objects
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.maps.is_empty() && self.links.is_empty()
    }

    /// Those of them that the kernel still has, whoever holds them.
    pub(crate) fn that_exist(&self) -> BpfObjects {
        BpfObjects {
            programs: &self.programs & &ProgInfoIter::default().map(|info| info.id).collect(),
            maps: &self.maps & &MapInfoIter::default().map(|info| info.id).collect(),
            links: &self.links & &LinkInfoIter::default().map(|info| info.id).collect(),
        }
    }
}
