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
    /// Those a process has descriptors of; none when it is gone.
    pub(crate) fn of(pid: Pid) -> BpfObjects {
        let mut objects = BpfObjects::default();
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
            return objects;
        };
        for entry in entries.flatten() {
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

    /// The processes that have descriptors of any of them, with their names.
    pub(crate) fn holders(&self) -> Vec<(i32, String)> {
        let pids = fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| self.shares(&BpfObjects::of(Pid::from_raw(*pid))))
            .map(|pid| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                (pid, name.trim_end().to_owned())
            })
            .collect()
    }

    fn shares(&self, other: &BpfObjects) -> bool {
        !(self.programs.is_disjoint(&other.programs)
            && self.maps.is_disjoint(&other.maps)
            && self.links.is_disjoint(&other.links))
    }
}
