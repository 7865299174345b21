//! Whose an event is: from the id of its cgroup to a container or the host.

use std::sync::Arc;

use lanner_schema::container::{Container, ContainerReader, ContainerTable, Learnt, Owner};

use crate::cgroup::Cgroups;
use crate::id_map::IdMap;
use crate::outside::Outside;

/// A container's id in the last components of a cgroup path, and the runtime its form tells of: what is left to know
/// of containers no runtime told us about.
fn container_in_path(path: &str) -> Option<(&str, &'static str)> {
    const FORMS: [(&str, &str); 6] = [
        ("cri-containerd-", "containerd"),
        ("docker-", "docker"),
        ("libpod-", "podman"),
        ("crio-", "cri-o"),
        ("nerdctl-", "containerd"),
        ("", "containerd"),
    ];
    path.rsplit('/').find_map(|name| {
        let name = name.strip_suffix(".scope").unwrap_or(name);
        // cri-containerd in the systemd form of 1.6 and before: SLICE:cri-containerd:ID.
        let name = name.rsplit(':').next().unwrap_or(name);
        FORMS.iter().find_map(|(prefix, runtime)| {
            let id = name.strip_prefix(prefix)?;
            let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
            is_id.then(|| {
                let runtime = if prefix.is_empty() && path.contains("/docker/") {
                    "docker"
                } else {
                    runtime
                };
                (id, runtime)
            })
        })
    })
}

#[derive(Debug, Clone)]
enum Known {
    Host,
    Container(Arc<Container>),
}

/// The most cgroups that are remembered at once.
const REMEMBERED: usize = 65_536;

/// Cgroup ids to owners, remembered until the containers change.
#[derive(Debug)]
pub(crate) struct Owners {
    cgroups: Option<Arc<Cgroups>>,
    reader: ContainerReader,
    known: IdMap<u64, Known>,
    outside: Outside,
    /// Cgroups that were gone before they could be asked about.
    pub(crate) vanished: u64,
}

impl Owners {
    pub(crate) fn new(
        cgroups: Option<Arc<Cgroups>>,
        table: &Arc<ContainerTable>,
        outside: Outside,
    ) -> Owners {
        Owners {
            cgroups,
            outside,
            reader: table.reader(),
            known: IdMap::default(),
            vanished: 0,
        }
    }

    /// Makes sure the owner of `cgroup` is known. `parent` gives the cgroup of the parent process, asked when this one is
    /// gone: who starts a process in a container is in it, but for the runtime.
    pub(crate) fn ensure(&mut self, cgroup: u64, parent: impl FnOnce() -> Option<u64>) {
        // Cgroups come and go for ever; what is forgotten is looked up again.
        let changed = self.reader.refresh();
        if changed {
            self.outside.containers(self.reader.containers());
        }
        if changed || self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        if self.known.contains_key(&cgroup) {
            return;
        }
        let found = self.find(cgroup).unwrap_or_else(|| {
            self.vanished += 1;
            parent()
                .and_then(|p| self.known.get(&p).cloned())
                .unwrap_or(Known::Host)
        });
        self.known.insert(cgroup, found);
    }

    /// Shows the owner of a cgroup that may be gone; `None` when nobody remembers it. It remembers nothing itself.
    pub(crate) fn recall<T>(&self, cgroup: u64, show: impl FnOnce(&Owner<'_>) -> T) -> Option<T> {
        let found = match self.known.get(&cgroup) {
            Some(known) => known.clone(),
            None => self.find(cgroup)?,
        };
        Some(show(&match &found {
            Known::Host => Owner::Host,
            Known::Container(container) => Owner::Container(container),
        }))
    }

    fn find(&self, cgroup: u64) -> Option<Known> {
        match self.reader.containers().get(cgroup) {
            Some(container) => Some(Known::Container(Arc::clone(container))),
            None => self.look_up(cgroup),
        }
    }

    pub(crate) fn get(&self, cgroup: u64) -> Owner<'_> {
        match self.known.get(&cgroup) {
            Some(Known::Container(container)) => Owner::Container(container),
            Some(Known::Host) | None => Owner::Host,
        }
    }

    /// A cgroup the runtime did not name: below one that it did, or a container by the form of its path, or the host's.
    fn look_up(&self, cgroup: u64) -> Option<Known> {
        let Some(cgroups) = &self.cgroups else {
            return Some(Known::Host);
        };
        let path = cgroups.path_of(cgroup)?;
        let mut above = path.as_str();
        while let Some((parent, _)) = above.rsplit_once('/') {
            if parent.is_empty() {
                break;
            }
            if let Some(container) = cgroups
                .id_of(parent)
                .and_then(|id| self.reader.containers().get(id))
            {
                return Some(Known::Container(Arc::clone(container)));
            }
            above = parent;
        }
        let Some((id, runtime)) = container_in_path(&path) else {
            return Some(Known::Host);
        };
        if let Some(container) = self.reader.containers().by_id(id) {
            // Created but not started: the runtime prepares it from inside.
            return Some(Known::Container(Arc::clone(container)));
        }
        Some(Known::Container(Arc::new(Container {
            cgroup,
            cgroup_path: path.clone(),
            ..Container::new(id, runtime, Learnt::Cgroup)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn ids_are_found_in_every_form_of_path() {
        for (path, runtime) in [
            (format!("/kubepods/burstable/pod1/{ID}"), "containerd"),
            (
                format!("/kubepods.slice/x.slice/cri-containerd-{ID}.scope"),
                "containerd",
            ),
            (format!("/system.slice/docker-{ID}.scope/inner"), "docker"),
            (format!("/docker/{ID}"), "docker"),
            (format!("/machine.slice/libpod-{ID}.scope"), "podman"),
            (
                format!("/k/kubepods-pod1.slice:cri-containerd:{ID}"),
                "containerd",
            ),
        ] {
            assert_eq!(container_in_path(&path), Some((ID, runtime)), "{path}");
        }
        assert_eq!(container_in_path("/system.slice/sshd.service"), None);
        assert_eq!(container_in_path("/"), None);
    }

    #[test]
    fn a_cgroup_is_found_by_its_id_and_by_the_container_above_it() {
        let Some(cgroups) = Cgroups::find(Outside::default()).map(Arc::new) else {
            eprintln!("skipped: this host has no cgroups");
            return;
        };
        let name = format!("lanner-test-{}", std::process::id());
        let outer = cgroups.mount().join(&name);
        if let Err(error) = fs::create_dir_all(outer.join("inner")) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return;
        }
        let id = |path: &Path| fs::metadata(path).unwrap().ino();
        let (outer_id, inner_id) = (id(&outer), id(&outer.join("inner")));
        let table = ContainerTable::new();
        let mut owners = Owners::new(Some(Arc::clone(&cgroups)), &table, Outside::default());
        owners.ensure(inner_id, || None);
        assert_eq!(owners.get(inner_id), Owner::Host);
        let known = container(ID, outer_id);
        table.update(|containers| containers.insert(Arc::new(known)));
        owners.ensure(inner_id, || None);
        assert!(matches!(owners.get(inner_id), Owner::Container(c) if c.full_id == ID));
        fs::remove_dir(outer.join("inner")).unwrap();
        fs::remove_dir(&outer).unwrap();
        table.update(|known| known.remove(ID));
        owners.ensure(inner_id, || None);
        assert_eq!(owners.vanished, 1, "the cgroup is gone");
    }

    #[test]
    fn what_the_runtime_does_in_a_created_container_is_the_containers() {
        let Some(cgroups) = Cgroups::find(Outside::default()).map(Arc::new) else {
            eprintln!("skipped: this host has no cgroups");
            return;
        };
        let id = format!("{:064x}", std::process::id());
        let dir = cgroups.mount().join(&id);
        if let Err(error) = fs::create_dir(&dir) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return;
        }
        let cgroup = fs::metadata(&dir).unwrap().ino();
        let table = ContainerTable::new();
        table.update(|containers| {
            containers.insert(Arc::new(Container {
                name: Some("web".into()),
                ..container(&id, 0)
            }))
        });
        let mut owners = Owners::new(Some(cgroups), &table, Outside::default());
        owners.ensure(cgroup, || None);
        fs::remove_dir(dir).unwrap();
        assert!(matches!(owners.get(cgroup), Owner::Container(c) if c.name.as_deref() == Some("web")));
    }

    fn container(id: &str, cgroup: u64) -> Container {
        Container {
            cgroup,
            ..Container::new(id, "containerd", Learnt::Start)
        }
    }
}
