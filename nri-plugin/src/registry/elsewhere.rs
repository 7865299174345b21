//! Containers that NRI does not tell of: from containerd's events and lists, docker's and podman's API, and files.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use lanner_schema::container::Container;
use tracing::debug;

use super::{Draft, Registry, fill};
use crate::cgroup;
use crate::status::Status;

/// Who told of a container, and will tell that it is gone: the address of an API, or what is looked at.
pub(crate) type Source = Arc<str>;

/// The source of what the event thread saw by its cgroup, and nobody tells the end of.
pub(crate) const SEEN: &str = "cgroup";

/// A container as its runtime's API describes it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) container: Container,
    /// `linux.cgroupsPath` of its specification; empty when not known.
    pub(crate) cgroups_path: String,
}

impl Registry {
    /// A container was created, or runs, where NRI does not reach. It runs when its pid or cgroup is known. What NRI told
    /// stands: that is more.
    pub(crate) fn told_by(&mut self, source: &Source, told: Told) {
        let Told {
            mut container,
            cgroups_path,
        } = told;
        let key = container.key().into_owned();
        if container.full_id.is_empty() || self.is_of_nri(&key) {
            return;
        }
        if let Some(entry) = self.entries.get(&key) {
            let old = &entry.container;
            let ended = entry.expires.is_some() && old.cgroup != 0;
            let restarted = old.pid != 0 && container.pid != 0 && old.pid != container.pid;
            if ended || restarted {
                // The id is used again, by another container or another run: in another cgroup.
                let old = Arc::clone(old);
                self.forget(&key);
                if restarted {
                    fill(&mut container, &old);
                }
            }
        }
        if let Some(pod) = &mut container.pod
            && pod.labels.is_empty()
            && let Some(sandbox) = self.entries.get(&pod.sandbox_id)
            && let Some(of_sandbox) = &sandbox.container.pod
        {
            pod.labels.clone_from(&of_sandbox.labels);
        }
        let runs = container.pid != 0 || container.cgroup != 0;
        let new = !self.entries.contains_key(&key);
        // Whoever told first tells when it is gone; dockerd keeps stopped containers that containerd has no more. What was only
        // seen is told of by anybody.
        let owner = self
            .elsewhere
            .entry(key.clone())
            .or_insert_with(|| Arc::clone(source));
        if **owner == *SEEN {
            *owner = Arc::clone(source);
        }
        self.place(
            Draft {
                container,
                cgroups_path,
            },
            None,
            runs,
        );
        if let Some(entry) = self.entries.get_mut(&key) {
            // Its source tells when it is gone.
            entry.expires = None;
            if new {
                Status::count(&self.status.reconciled);
            }
        }
    }

    /// A container that is known by its key runs from now on as `pid`; `start_ts` when it started, nanoseconds since the epoch. False when
    /// it isn't known.
    pub(crate) fn runs(&mut self, source: &Source, key: &str, pid: u32, start_ts: Option<u64>) -> bool {
        if self.is_of_nri(key) {
            return true;
        }
        let Some(entry) = self.entries.get(key).filter(|entry| entry.expires.is_none()) else {
            return false;
        };
        let told = Told {
            container: Container {
                pid,
                start_ts,
                // Where it was already, unless this is another run.
                cgroup: 0,
                cgroup_path: String::new(),
                ..Container::clone(&entry.container)
            },
            cgroups_path: entry.cgroups_path.clone(),
        };
        self.told_by(source, told);
        true
    }

    /// `source` has listed all it has, by their keys: what else it told of is gone.
    pub(crate) fn listed(&mut self, source: &Source, seen: &HashSet<String>, now: Instant) {
        let entries = &self.entries;
        self.elsewhere.retain(|id, _| entries.contains_key(id));
        let gone: Vec<String> = self
            .elsewhere
            .iter()
            .filter(|(id, of)| *of == source && !seen.contains(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.removed(&id, now);
        }
    }

    /// The event thread saw a container by its cgroup, and nobody knows more: so much is known.
    pub(crate) fn seen(&mut self, source: &Source, container: &Container) {
        let key = container.key();
        let known = self.entries.get(&*key);
        let placed = known.is_some_and(|entry| entry.container.cgroup == container.cgroup);
        if placed || self.is_of_nri(&key) {
            return;
        }
        let learnt = known.map_or(container.learnt, |entry| entry.container.learnt);
        let told = Told {
            container: Container {
                learnt,
                ..container.clone()
            },
            cgroups_path: String::new(),
        };
        self.told_by(source, told);
    }

    /// Lets go of containers that nobody tells the end of and whose cgroup is gone.
    pub(crate) fn sweep_seen(&mut self, now: Instant) {
        let gone: Vec<String> = self
            .elsewhere
            .iter()
            .filter(|(_, of)| ***of == *SEEN)
            .filter_map(|(id, _)| self.entries.get(id))
            .filter(|entry| entry.expires.is_none())
            .map(|entry| &entry.container)
            .filter(|container| !self.host.has(container.cgroup, &container.cgroup_path))
            .map(|container| container.key().into_owned())
            .collect();
        for id in gone {
            self.removed(&id, now);
        }
    }

    /// `source` says that a container is gone. It counts when it was `source` who told of it.
    pub(crate) fn gone(&mut self, source: &Source, key: &str, now: Instant) {
        if self.elsewhere.get(key).is_none_or(|of| of == source) {
            self.removed(key, now);
        }
    }

    /// True when a container with this first process, or none if that is 0, is news.
    pub(crate) fn is_news(&self, key: &str, pid: u32) -> bool {
        if self.is_of_nri(key) {
            return false;
        }
        let told = self.elsewhere.get(key).is_some_and(|of| **of != *SEEN);
        let known = self
            .entries
            .get(key)
            .filter(|entry| told && entry.expires.is_none());
        known.is_none_or(|entry| pid != 0 && entry.container.pid != pid)
    }

    /// True when nothing is to be asked about a container's image.
    pub(crate) fn has_digest(&self, key: &str) -> bool {
        self.entries
            .get(key)
            .is_none_or(|entry| entry.container.digest.is_some())
    }

    /// True when NRI told of this container, and not of its end.
    pub(crate) fn is_of_nri(&self, key: &str) -> bool {
        !self.elsewhere.contains_key(key)
            && self
                .entries
                .get(key)
                .is_some_and(|entry| entry.expires.is_none() || entry.container.cgroup == 0)
    }

    /// Forgets a container at once.
    fn forget(&mut self, key: &str) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        debug!(container = entry.container.id(), "its id is used again");
        let now = Instant::now();
        entry.expires = Some(now);
        self.sweep(now);
    }
}

/// The path below the hierarchy's mount that a container is configured to get; empty when there is none.
pub(super) fn awaited_path(cgroups_path: &str) -> String {
    cgroup::cgroup_path(cgroups_path).unwrap_or_default()
}
