//! Every container the runtime told of, and what is known about it.
//!
//! The registry writes the two shared tables: the container table that the event thread reads and the kernel's map of
//! cgroups. Nothing here waits: cgroups come from local files, image digests arrive later from [`crate::images`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lanner_schema::container::{CgroupMap, Container, ContainerTable, HostNamespaces, Learnt, Pod};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::api;
use crate::cgroup::{Host, Wanted};
use crate::images::DigestRequest;
use crate::oci_spec;
use crate::status::Status;

/// `container.type` of what CRI told of.
const RUNTIME: &str = "containerd";
/// The image reference, as the kubelet asked for it.
const IMAGE_NAME: &str = "io.kubernetes.cri.image-name";
/// The sandbox's image, where the runtime tells.
const SANDBOX_IMAGE_NAME: &str = "io.kubernetes.cri.podsandbox.image-name";
/// The container's name in its pod.
const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// How long a container without a cgroup is kept: created and never started, or never found. Should it start after all,
/// that event tells everything again.
const UNPLACED: Duration = Duration::from_secs(600);

/// One container and where it is in the tables.
#[derive(Debug)]
struct Entry {
    container: Arc<Container>,
    cgroups_path: String,
    /// When it is to be forgotten: events of its last moments may still be on their way.
    expires: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Registry {
    host: Host,
    table: Arc<ContainerTable>,
    cgroups: Arc<dyn CgroupMap>,
    status: Arc<Status>,
    digests: Option<mpsc::Sender<DigestRequest>>,
    grace: Duration,
    entries: HashMap<String, Entry>,
    /// Ids seen in a Synchronize that isn't finished.
    synchronising: Option<HashSet<String>>,
}

/// What a container is made of before it is in the tables.
struct Draft {
    container: Container,
    cgroups_path: String,
}

impl Registry {
    pub(crate) fn new(
        host: Host,
        table: Arc<ContainerTable>,
        cgroups: Arc<dyn CgroupMap>,
        status: Arc<Status>,
        digests: Option<mpsc::Sender<DigestRequest>>,
        grace: Duration,
    ) -> Self {
        Self {
            host,
            table,
            cgroups,
            status,
            digests,
            grace,
            entries: HashMap::new(),
            synchronising: None,
        }
    }

    /// A container is being created: its digest can be asked for, its cgroup isn't there yet.
    pub(crate) fn created(&mut self, pod: Option<&api::PodSandbox>, container: &api::Container) {
        if container.id.is_empty() {
            return Status::count(&self.status.errors);
        }
        self.place(draft_container(pod, container, Learnt::Start), None, false);
    }

    /// A container's first process exists and waits for our answer (or runs already, for a second look).
    pub(crate) fn started(&mut self, pod: Option<&api::PodSandbox>, container: &api::Container) {
        if container.id.is_empty() {
            return Status::count(&self.status.errors);
        }
        let draft = draft_container(pod, container, Learnt::Start);
        self.place(draft, Some(now_ns()), true);
    }

    /// After the start: only of interest when the start could not place the container.
    pub(crate) fn post_started(&mut self, pod: Option<&api::PodSandbox>, container: &api::Container) {
        let placed = self
            .entries
            .get(&container.id)
            .is_some_and(|entry| entry.container.cgroup != 0);
        if !placed && !container.id.is_empty() {
            self.place(
                draft_container(pod, container, Learnt::Start),
                Some(now_ns()),
                true,
            );
        }
    }

    /// A pod's sandbox runs.
    pub(crate) fn pod_started(&mut self, pod: &api::PodSandbox) {
        if pod.id.is_empty() {
            return Status::count(&self.status.errors);
        }
        self.place(draft_sandbox(pod, Learnt::Start), Some(now_ns()), true);
    }

    /// A container or sandbox is gone. Its entry stays for the grace period.
    pub(crate) fn removed(&mut self, id: &str, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id) {
            let at = now + self.grace;
            entry.expires = Some(entry.expires.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// A part of what runs already. With the last one (`more` false), what the runtime did not name is forgotten.
    pub(crate) fn synchronize(&mut self, request: &api::SynchronizeRequest, now: Instant) {
        let mut seen = self.synchronising.take().unwrap_or_default();
        let pods: HashMap<&str, &api::PodSandbox> =
            request.pods.iter().map(|pod| (pod.id.as_str(), pod)).collect();
        for pod in &request.pods {
            if !pod.id.is_empty() {
                seen.insert(pod.id.clone());
                self.place(draft_sandbox(pod, Learnt::Synchronize), None, true);
            }
        }
        for container in &request.containers {
            if container.id.is_empty() {
                continue;
            }
            seen.insert(container.id.clone());
            if container.state == api::STOPPED {
                continue;
            }
            let pod = pods.get(container.pod_sandbox_id.as_str()).copied();
            let mut draft = draft_container(pod, container, Learnt::Synchronize);
            if draft.container.pod.is_none() {
                // Its pod came in an earlier part.
                draft.container.pod = self
                    .entries
                    .get(&container.pod_sandbox_id)
                    .and_then(|entry| entry.container.pod.clone());
            }
            let runs = container.pid != 0;
            self.place(draft, None, runs);
        }
        if request.more {
            self.synchronising = Some(seen);
            return;
        }
        let gone: Vec<String> = self
            .entries
            .keys()
            .filter(|id| !seen.contains(*id))
            .cloned()
            .collect();
        for id in gone {
            self.removed(&id, now);
        }
    }

    /// A connection ended: what it had begun to synchronise will come again.
    pub(crate) fn disconnected(&mut self) {
        self.synchronising = None;
    }

    /// A container that containerd knows, runs, and NRI has not told of.
    pub(crate) fn reconciled(&mut self, container: Container) {
        if self.entries.contains_key(&container.full_id) {
            return;
        }
        let id = container.full_id.clone();
        self.place(
            Draft {
                container,
                cgroups_path: String::new(),
            },
            None,
            true,
        );
        if self
            .entries
            .get(&id)
            .is_some_and(|entry| entry.container.cgroup != 0)
        {
            Status::count(&self.status.reconciled);
        }
    }

    /// True when this container is known.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// A digest arrived.
    pub(crate) fn digest(&mut self, id: &str, digest: &str) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        Status::count(&self.status.digests_fetched);
        let container = Container {
            digest: Some(digest.to_owned()),
            ..Container::clone(&entry.container)
        };
        let container = Arc::new(container);
        entry.container = Arc::clone(&container);
        self.table.update(|known| known.insert(container));
    }

    /// Forgets what has been gone for the grace period.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let due = |entry: &Entry| entry.expires.is_some_and(|at| at <= now);
        if !self.entries.values().any(due) {
            return;
        }
        let gone: Vec<Entry> = self
            .entries
            .extract_if(|_, entry| due(entry))
            .map(|(_, entry)| entry)
            .collect();
        self.table.update(|known| {
            gone.iter()
                .for_each(|entry| known.remove(&entry.container.full_id))
        });
        for entry in gone.iter().filter(|entry| entry.container.cgroup != 0) {
            self.cgroups.remove(entry.container.cgroup);
        }
        self.count_containers();
    }

    /// Puts a container where it belongs: in the entries, and when its cgroup is to be there (`runs`), in both tables.
    fn place(&mut self, draft: Draft, start_ts: Option<u64>, runs: bool) {
        let Draft {
            mut container,
            mut cgroups_path,
        } = draft;
        let id = container.full_id.clone();
        let is_sandbox = container.pod.as_ref().is_some_and(|pod| pod.sandbox_id == id);
        // A sandbox is told of when it runs: its digest can't have been asked for earlier.
        let starting = container.learnt == Learnt::Start && runs && !is_sandbox;
        // A second look that finds nothing either is not a second loss.
        let mut seen_running = false;
        if let Some(old) = self.entries.get(&id) {
            seen_running = old.container.pid != 0;
            let old_container = &old.container;
            container.digest = container.digest.or_else(|| old_container.digest.clone());
            container.image_id = container.image_id.or_else(|| old_container.image_id.clone());
            container.ip = container.ip.or_else(|| old_container.ip.clone());
            container.cni_json = container.cni_json.or_else(|| old_container.cni_json.clone());
            container.mounts = container.mounts.or_else(|| old_container.mounts.clone());
            container.host = keep(container.host, old_container.host);
            container.start_ts = old_container.start_ts.or(container.start_ts);
            container.image = container.image.or_else(|| old_container.image.clone());
            container.privileged = container.privileged.or(old_container.privileged);
            container.pod = container.pod.or_else(|| old_container.pod.clone());
            if cgroups_path.is_empty() {
                cgroups_path.clone_from(&old.cgroups_path);
            }
            if old_container.cgroup != 0 {
                // Where a container is never changes, and how it was learnt first stays true.
                container.cgroup = old_container.cgroup;
                container.cgroup_path.clone_from(&old_container.cgroup_path);
                container.learnt = old_container.learnt;
            }
        }
        if runs && container.cgroup == 0 {
            let wanted = Wanted {
                id: &id,
                pid: container.pid,
                cgroups_path: &cgroups_path,
            };
            match self.host.locate(wanted) {
                Some(found) => {
                    // What was told of when it ran already started when its process did.
                    if found.pid_is_ours && (is_sandbox || container.learnt == Learnt::Synchronize) {
                        container.start_ts = container.start_ts.or_else(|| self.host.started(container.pid));
                    }
                    container.cgroup = found.cgroup;
                    container.cgroup_path = found.path;
                }
                None if seen_running => {}
                None => {
                    Status::count(&self.status.without_cgroup);
                    warn!(
                        container = container.id(),
                        cgroups_path,
                        "no cgroup found for a container; its events will be taken for the host's"
                    );
                }
            }
        }
        container.start_ts = container.start_ts.or(start_ts);
        if container.cgroup != 0 {
            // The kernel's map first: an event that passes its filter and finds no entry is only nameless.
            self.cgroups.insert(container.cgroup);
        }
        let request = self.digest_request(&container);
        if starting && container.digest.is_none() && request.is_some() {
            Status::count(&self.status.digests_late);
        }
        let container = Arc::new(container);
        // Without a cgroup it is known by its id: what the runtime does in it before its start is its own already.
        self.table.update(|known| known.insert(Arc::clone(&container)));
        debug!(
            container = container.id(),
            cgroup = container.cgroup,
            learnt = container.learnt.word(),
            "placed"
        );
        let expires = (container.cgroup == 0).then(|| Instant::now() + UNPLACED);
        let known = self.entries.insert(
            id,
            Entry {
                container,
                cgroups_path,
                expires,
            },
        );
        if let (None, Some(request), Some(digests)) = (known, request, &self.digests)
            && digests.try_send(request).is_err()
        {
            Status::count(&self.status.digests_missing);
        }
        self.count_containers();
    }

    fn digest_request(&self, container: &Container) -> Option<DigestRequest> {
        self.digests.as_ref()?;
        if container.digest.is_some() {
            return None;
        }
        Some(DigestRequest {
            container: container.full_id.clone(),
            image: container.image.clone()?,
        })
    }

    fn count_containers(&self) {
        let placed = self
            .entries
            .values()
            .filter(|entry| entry.container.cgroup != 0)
            .count();
        self.status
            .containers
            .store(u64::try_from(placed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

fn draft_container(pod: Option<&api::PodSandbox>, container: &api::Container, learnt: Learnt) -> Draft {
    let resolved = container.image();
    let image = non_empty(container.annotations.get(IMAGE_NAME))
        .or_else(|| resolved.as_ref().map(|image| image.name.clone()));
    let digest = resolved
        .map(|image| image.digest)
        .or_else(|| pinned(image.as_deref()));
    let name = non_empty(Some(&container.name)).or_else(|| non_empty(container.labels.get(CONTAINER_NAME)));
    let told = |ns: i64| u64::try_from(ns).ok().filter(|ns| *ns > 0);
    Draft {
        container: Container {
            name,
            image,
            digest,
            privileged: container.privileged(),
            mounts: Some(oci_spec::binds(
                &container.mounts,
                Some(&container.pod_sandbox_id),
            )),
            host: oci_spec::host_namespaces(
                container.linux.as_ref().map_or(&[], |linux| &linux.namespaces),
                Some(pod.map_or(&[], namespaces)),
            ),
            ip: pod.and_then(|pod| ipv4(&pod.ips)),
            start_ts: told(container.started_at),
            labels: sorted(&container.labels),
            pod: pod.map(pod_of),
            pid: container.pid,
            ..Container::new(container.id.as_str(), RUNTIME, learnt)
        },
        cgroups_path: container
            .linux
            .as_ref()
            .map(|linux| linux.cgroups_path.clone())
            .unwrap_or_default(),
    }
}

/// The sandbox is a container of its own (the pause process): it carries its pod's name.
fn draft_sandbox(pod: &api::PodSandbox, learnt: Learnt) -> Draft {
    let image = non_empty(pod.annotations.get(SANDBOX_IMAGE_NAME));
    Draft {
        container: Container {
            name: non_empty(Some(&pod.name)),
            digest: pinned(image.as_deref()),
            image,
            labels: sorted(&pod.labels),
            host: oci_spec::host_namespaces(namespaces(pod), None),
            ip: ipv4(&pod.ips),
            pod: Some(pod_of(pod)),
            pid: pod.pid,
            ..Container::new(pod.id.as_str(), RUNTIME, learnt)
        },
        cgroups_path: pod
            .linux
            .as_ref()
            .map(|linux| linux.cgroups_path.clone())
            .unwrap_or_default(),
    }
}

fn namespaces(pod: &api::PodSandbox) -> &[api::LinuxNamespace] {
    pod.linux.as_ref().map_or(&[], |linux| &linux.namespaces)
}

/// The first IPv4 address.
fn ipv4(addresses: &[String]) -> Option<String> {
    let is_ipv4 = |address: &&String| address.parse::<std::net::Ipv4Addr>().is_ok();
    addresses.iter().find(is_ipv4).cloned()
}

fn pod_of(pod: &api::PodSandbox) -> Pod {
    Pod {
        name: pod.name.clone(),
        namespace: pod.namespace.clone(),
        uid: pod.uid.clone(),
        sandbox_id: pod.id.clone(),
        labels: sorted(&pod.labels),
    }
}

/// What is told now, else what was told before.
fn keep(now: HostNamespaces, before: HostNamespaces) -> HostNamespaces {
    HostNamespaces {
        pid: now.pid.or(before.pid),
        network: now.network.or(before.network),
        ipc: now.ipc.or(before.ipc),
    }
}

/// The digest of a reference that names one (`repository@sha256:…`).
fn pinned(image: Option<&str>) -> Option<String> {
    let (_, digest) = image?.split_once('@')?;
    digest.contains(':').then(|| digest.to_owned())
}

fn sorted(map: &HashMap<String, String>) -> BTreeMap<String, String> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn non_empty(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

/// Nanoseconds since the epoch.
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "registry_tests.rs"]
pub(crate) mod tests;
