//! Every container the runtime told of, and what is known about it.
//!
//! The registry writes the container table that the event thread reads. Nothing here waits: cgroups come from local files,
//! image digests arrive later from [`crate::images`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lanner_schema::container::{Container, ContainerTable, HostNamespaces, Learnt, Pod};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, warn};

use crate::api;
use crate::cgroup::{Found, Host, Place, Wanted};
use crate::containerd::DigestRequest;
use crate::cri::Question;
use crate::limits;
use crate::oci_spec;
use crate::status::{Complaint, Status};

#[path = "registry/asked.rs"]
mod asked;
#[path = "registry/elsewhere.rs"]
mod elsewhere;
#[path = "registry/image_names.rs"]
mod image_names;

use image_names::ImageNames;

pub(crate) use elsewhere::{SEEN, Source, Told};

/// `container.type` of what a runtime told of, unless it is another one.
const RUNTIME: &str = "containerd";
/// How long one call of the runtime may be spent on searching for cgroups. The rest is searched for after the reply.
const SEARCHING: Duration = Duration::from_millis(100);
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
    /// Its start was answered, and is not taken in yet.
    is_starting: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Registry {
    host: Host,
    table: Arc<ContainerTable>,
    status: Arc<Status>,
    digests: Option<mpsc::Sender<DigestRequest>>,
    questions: Option<mpsc::Sender<Question>>,
    /// Containers and sandboxes about which CRI has been asked and has not answered yet.
    asked: HashSet<String>,
    grace: Duration,
    /// Labels with longer values are left out.
    label_max_len: Option<usize>,
    /// By [`Container::key`], which is the id of whatever NRI tells of.
    entries: HashMap<String, Entry>,
    /// Entries that have a cgroup.
    placed: u64,
    /// Bytes of the labels and mounts that are kept.
    texts: usize,
    /// Keys of containers that others than NRI told of, and who did.
    elsewhere: HashMap<String, Source>,
    /// The runtime tells of what it starts.
    is_told: bool,
    /// Ids seen in a Synchronize that isn't finished.
    synchronising: Option<HashSet<String>>,
    /// The addresses and namespaces of its pods, by their ids.
    sandboxes: HashMap<String, api::PodSandbox>,
    /// `container.type` of what the runtime tells of.
    runtime: &'static str,
    /// Until when the call that is being answered may search.
    search_until: Instant,
    /// Keys of containers that run and whose cgroup is still to be searched for.
    unsearched: HashSet<String>,
    search: Arc<Notify>,
    image_names: ImageNames,
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
        status: Arc<Status>,
        digests: Option<mpsc::Sender<DigestRequest>>,
        grace: Duration,
    ) -> Self {
        Self {
            host,
            table,
            status,
            digests,
            questions: None,
            asked: HashSet::new(),
            grace,
            label_max_len: None,
            entries: HashMap::new(),
            placed: 0,
            texts: 0,
            elsewhere: HashMap::new(),
            is_told: false,
            synchronising: None,
            sandboxes: HashMap::new(),
            runtime: RUNTIME,
            search_until: Instant::now(),
            unsearched: HashSet::new(),
            search: Arc::default(),
            image_names: ImageNames::default(),
        }
    }

    pub(crate) fn with_label_max_len(mut self, most: Option<usize>) -> Self {
        self.label_max_len = most;
        self
    }

    /// Which runtime tells of containers from now on.
    pub(crate) fn runtime(&mut self, name: &str) {
        self.runtime = match name {
            "cri-o" => "cri-o",
            _ => RUNTIME,
        };
    }

    /// A call of the runtime came in, which waits for its answer.
    pub(crate) fn begin_call(&mut self, now: Instant) {
        self.search_until = now + SEARCHING;
    }

    /// Takes over what another agent knew. What the runtime tells wins, whenever that is.
    pub(crate) fn adopt_all(&mut self, known: Vec<Container>) {
        for container in known {
            // Who else told of containers is asked again by whoever adopts them.
            let told_by_nri = matches!(container.learnt, Learnt::Start | Learnt::Synchronize);
            if !told_by_nri || container.gone || self.entries.contains_key(&*container.key()) {
                continue;
            }
            let runs = container.cgroup != 0;
            let draft = Draft {
                container,
                cgroups_path: String::new(),
            };
            self.place(draft, None, runs);
        }
    }

    /// A container is being created: its digest can be asked for, its cgroup isn't there yet.
    pub(crate) fn created(&mut self, pod: Option<&api::PodSandbox>, container: &api::Container) {
        let draft = draft_container(pod, container, Learnt::Start);
        self.place(self.told(draft), None, false);
    }

    /// A container's first process waits for our answer: as much of it as makes it known by its cgroup, if it was told of when it was
    /// created and that is where it was to be. Else false. When exactly it started comes with [`Registry::started`], after the answer.
    pub(crate) fn starts(&mut self, id: &str, pid: u32) -> bool {
        let Some(entry) = self.entries.get_mut(id) else {
            return false;
        };
        let created = &entry.container;
        if created.learnt != Learnt::Start || created.cgroup != 0 || created.gone {
            return false;
        }
        let wanted = Wanted {
            id,
            pid,
            cgroups_path: &entry.cgroups_path,
        };
        let Some(found) = self.host.locate_by_path(wanted) else {
            return false;
        };
        let container = Arc::new(Container {
            pid,
            cgroup: found.cgroup,
            cgroup_path: found.path,
            start_ts: Some(now_ns()),
            ..Container::clone(created)
        });
        entry.container = Arc::clone(&container);
        entry.expires = None;
        entry.is_starting = true;
        self.unsearched.remove(id);
        self.placed += 1;
        self.table.update(|known| known.insert(container));
        self.count_containers();
        true
    }

    /// A container's first process exists and waits for our answer (or runs already, for a second look).
    pub(crate) fn started(&mut self, pod: Option<&api::PodSandbox>, container: &api::Container) {
        let draft = draft_container(pod, container, Learnt::Start);
        self.place(self.told(draft), Some(now_ns()), true);
    }

    /// A pod's sandbox runs.
    pub(crate) fn pod_started(&mut self, pod: &api::PodSandbox) {
        let draft = draft_sandbox(pod, Learnt::Start);
        self.place(self.told(draft), Some(now_ns()), true);
    }

    /// A container or sandbox is gone. Its entry stays for the grace period.
    pub(crate) fn removed(&mut self, id: &str, now: Instant) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let at = now + self.grace;
        entry.expires = Some(entry.expires.map_or(at, |earlier| earlier.min(at)));
        if !entry.container.gone {
            let container = Arc::new(Container {
                gone: true,
                ..Container::clone(&entry.container)
            });
            entry.container = Arc::clone(&container);
            self.table.update(|known| known.insert(container));
        }
    }

    /// A pod that ran already.
    pub(crate) fn synchronized_pod(&mut self, pod: &api::PodSandbox) {
        let draft = draft_sandbox(pod, Learnt::Synchronize);
        self.place(self.told(draft), None, true);
        self.saw(&pod.id);
        if self.entries.contains_key(&pod.id) {
            // For its containers; what it is called is in its entry.
            let sandbox = api::PodSandbox {
                ips: pod.ips.clone(),
                linux: pod.linux.clone(),
                ..api::PodSandbox::default()
            };
            self.sandboxes.insert(pod.id.clone(), sandbox);
        }
    }

    /// A container that was there already.
    pub(crate) fn synchronized_container(&mut self, container: &api::Container) {
        if container.state != api::STOPPED {
            // Its pod came before it, in this part or in an earlier one.
            let sandbox = self.sandboxes.get(&container.pod_sandbox_id);
            let mut draft = self.told(draft_container(sandbox, container, Learnt::Synchronize));
            draft.container.pod = self
                .entries
                .get(&container.pod_sandbox_id)
                .and_then(|entry| entry.container.pod.clone());
            let runs = container.pid != 0;
            self.place(draft, None, runs);
        }
        self.saw(&container.id);
    }

    /// The runtime named this one; only what is kept needs to be known.
    fn saw(&mut self, id: &str) {
        let seen = self.synchronising.get_or_insert_default();
        if self.entries.contains_key(id) {
            seen.insert(id.to_owned());
        }
    }

    /// That was all that was there: what the runtime did not name is forgotten.
    pub(crate) fn synchronized(&mut self, now: Instant) {
        self.sandboxes = HashMap::new();
        let seen = self.synchronising.take().unwrap_or_default();
        let gone: Vec<String> = self
            .entries
            .keys()
            .filter(|id| !seen.contains(*id) && !self.elsewhere.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            self.removed(&id, now);
        }
    }

    /// From now on the runtime tells of everything that it starts, or no longer.
    pub(crate) fn set_told(&mut self, is_told: bool) {
        self.is_told = is_told;
    }

    /// True while containerd tells of everything that CRI starts in it.
    pub(crate) fn is_told_by_containerd(&self) -> bool {
        self.is_told && self.runtime == RUNTIME
    }

    /// A connection ended: what it had begun to synchronise will come again.
    pub(crate) fn disconnected(&mut self) {
        self.synchronising = None;
        self.sandboxes = HashMap::new();
    }

    /// True when this container is known.
    #[cfg(test)]
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.entries.contains_key(id)
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
        for entry in &gone {
            self.texts = self.texts.saturating_sub(weight(&entry.container));
            self.unsearched.remove(&*entry.container.key());
        }
        self.table
            .update(|known| gone.iter().for_each(|entry| known.remove(&entry.container.key())));
        let placed = gone.iter().filter(|entry| entry.container.cgroup != 0).count();
        self.placed = self.placed.saturating_sub(placed as u64);
        self.count_containers();
    }

    /// A draft of the runtime that is connected.
    fn told(&self, mut draft: Draft) -> Draft {
        draft.container.runtime = self.runtime;
        draft
    }

    /// True when a container of this id can be taken in.
    fn admits(&self, container: &Container) -> bool {
        let (status, id) = (&self.status, container.full_id.as_str());
        if !limits::is_id(id) {
            Status::count(&status.errors);
            if status.first(Complaint::Id) {
                warn!(
                    "NRI: the runtime names a container {:?}, which can't be one's id; it is left out",
                    cut(id)
                );
            }
        } else if !self.entries.contains_key(&*container.key()) && self.entries.len() >= limits::CONTAINERS {
            if status.first(Complaint::Full) {
                warn!(
                    "NRI: the runtime tells of more than {} containers; those beyond are known by their cgroup only",
                    limits::CONTAINERS
                );
            }
        } else {
            return true;
        }
        Status::count(&status.refused);
        false
    }

    /// Leaves a container's labels and mounts out when all that are kept would be too many.
    fn weigh(&mut self, container: &mut Container) {
        if let Some(most) = self.label_max_len {
            container.labels.retain(|_, value| value.len() <= most);
            if let Some(pod) = &mut container.pod {
                pod.labels.retain(|_, value| value.len() <= most);
            }
        }
        let old = self.entries.get(&*container.key());
        let others = self
            .texts
            .saturating_sub(old.map_or(0, |entry| weight(&entry.container)));
        if others + weight(container) > limits::ALL_TEXTS {
            Status::count(&self.status.cut);
            container.labels.clear();
            container.mounts = None;
            if let Some(pod) = &mut container.pod {
                pod.labels.clear();
            }
        }
        self.texts = others + weight(container);
    }

    /// What is to be searched for after the reply, and where.
    pub(crate) fn take_unsearched(&mut self) -> Option<(Host, HashSet<String>)> {
        let wanted = std::mem::take(&mut self.unsearched);
        (!wanted.is_empty()).then(|| (self.host.clone(), wanted))
    }

    /// Rings when there is something to search for.
    pub(crate) fn search(&self) -> Arc<Notify> {
        Arc::clone(&self.search)
    }

    /// A search that came after the reply is over.
    pub(crate) fn searched(&mut self, wanted: &HashSet<String>, mut found: HashMap<String, Found>) {
        for key in wanted {
            let Some(entry) = self
                .entries
                .get_mut(key)
                .filter(|entry| entry.container.cgroup == 0)
            else {
                continue;
            };
            let Some(found) = found.remove(key) else {
                self.without_cgroup(key);
                continue;
            };
            self.host.learn(&entry.cgroups_path, &found);
            let mut container = Container::clone(&entry.container);
            container.cgroup = found.cgroup;
            container.cgroup_path = found.path;
            entry.container = Arc::new(container);
            entry.expires = None;
            let container = Arc::clone(&entry.container);
            self.table.update(|known| known.insert(container));
            self.placed += 1;
        }
        self.count_containers();
    }

    fn without_cgroup(&self, id: &str) {
        Status::count(&self.status.without_cgroup);
        match self.status.first(Complaint::WithoutCgroup) {
            true => warn!(
                container = cut(id),
                "no cgroup found for a container: it is over, or its events will be taken for the host's. More of them \
                 are only counted"
            ),
            false => debug!(container = cut(id), "no cgroup found for a container"),
        }
    }

    /// Puts a container where it belongs: in the entries and in the table, by its cgroup as well when that is to be there (`runs`).
    fn place(&mut self, draft: Draft, start_ts: Option<u64>, runs: bool) {
        let Draft {
            mut container,
            mut cgroups_path,
        } = draft;
        if !self.admits(&container) {
            return;
        }
        let key = container.key().into_owned();
        let is_sandbox = container.is_sandbox();
        // A sandbox is told of when it runs: its digest can't have been asked for earlier.
        let starting = container.learnt == Learnt::Start && runs && !is_sandbox;
        // A second look that finds nothing either is not a second loss.
        let mut seen_running = false;
        let mut is_starting = false;
        if let Some(old) = self.entries.get(&key) {
            seen_running = old.container.pid != 0;
            is_starting = old.is_starting;
            let old_container = &old.container;
            fill(&mut container, old_container);
            container.start_ts = old_container.start_ts.or(container.start_ts);
            if cgroups_path.is_empty() {
                cgroups_path.clone_from(&old.cgroups_path);
            }
            if old_container.cgroup != 0 {
                // Where a container is never changes, and how it was learnt first stays true.
                container.cgroup = old_container.cgroup;
                container.cgroup_path.clone_from(&old_container.cgroup_path);
                if !matches!(old_container.learnt, Learnt::Api | Learnt::Cgroup) {
                    container.learnt = old_container.learnt;
                }
            }
        }
        let wanted = Wanted {
            id: &container.full_id,
            pid: container.pid,
            cgroups_path: &cgroups_path,
        };
        if runs && is_starting {
            container.start_ts = self.host.first_process_started(wanted).or(container.start_ts);
        }
        if runs && container.cgroup == 0 {
            match self.host.locate(wanted, self.search_until) {
                Place::Found(found) => {
                    // A container starts when its first process is created, which is that of its pid namespace.
                    if found.pid_is_ours {
                        container.start_ts = container.start_ts.or_else(|| self.host.started(container.pid));
                    }
                    container.cgroup = found.cgroup;
                    container.cgroup_path = found.path;
                    self.unsearched.remove(&key);
                }
                Place::NotYet => {
                    if self.unsearched.insert(key.clone()) {
                        Status::count(&self.status.searches);
                    }
                    self.search.notify_one();
                }
                Place::Nowhere if seen_running => {}
                Place::Nowhere => self.without_cgroup(&key),
            }
        }
        self.inherit(&mut container);
        self.weigh(&mut container);
        container.start_ts = container.start_ts.or(start_ts);
        if container.cgroup == 0 {
            container.cgroup_path = elsewhere::awaited_path(&cgroups_path);
        }
        let request = self.digest_request(&container);
        let request = request.filter(|request| !self.is_of_known_image(&mut container, request));
        if starting && container.digest.is_none() && request.is_some() {
            Status::count(&self.status.digests_late);
        }
        if starting {
            self.count_late(&container);
        }
        if !self.entries.contains_key(&key) {
            self.ask_about_pod(&container);
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
        let placed = container.cgroup != 0;
        let known = self.entries.insert(
            key,
            Entry {
                container: Arc::clone(&container),
                cgroups_path,
                expires,
                is_starting: is_starting && !runs,
            },
        );
        if placed && known.as_ref().is_none_or(|old| old.container.cgroup == 0) {
            self.placed += 1;
        }
        if known.is_none() {
            self.ask_about_image(&container, request);
        }
        self.count_containers();
    }

    fn ask_about_image(&mut self, container: &Container, request: Option<DigestRequest>) {
        if let (Some(request), Some(digests)) = (request, &self.digests) {
            let wants_id = request.wants_id;
            match digests.try_send(request) {
                Ok(()) if wants_id => return self.expect_image_id(container),
                Ok(()) => {}
                Err(_) => Status::count(&self.status.digests_missing),
            }
        }
        if self.lacks_image_id(container) {
            self.ask_for_image_id(&container.full_id);
        }
    }

    fn digest_request(&self, container: &Container) -> Option<DigestRequest> {
        self.digests.as_ref()?;
        // Who told of it elsewhere asks by itself.
        if container.digest.is_some() || matches!(container.learnt, Learnt::Api | Learnt::Cgroup) {
            return None;
        }
        Some(DigestRequest {
            container: container.full_id.clone(),
            image: container.image.clone()?,
            ran_before: container.learnt == Learnt::Synchronize,
            // Its name means now what the runtime takes it for.
            wants_id: container.learnt == Learnt::Start && self.lacks_image_id(container),
        })
    }

    /// Fills in what is known of a container's image from one before it; false when it is to be asked for.
    fn is_of_known_image(&mut self, container: &mut Container, request: &DigestRequest) -> bool {
        let meaning = self.image_names.get(&request.image);
        let Some(meaning) = meaning.filter(|meaning| !request.wants_id || meaning.id.is_some()) else {
            return false;
        };
        if request.ran_before {
            return false;
        }
        container.digest = Some(meaning.digest.clone());
        if request.wants_id {
            let id = meaning
                .id
                .as_deref()
                .map(|id| id.strip_prefix("sha256:").unwrap_or(id));
            container.image_id = id.map(str::to_owned);
            self.asked.remove(&container.full_id);
        }
        Status::count(&self.status.digests_kept);
        true
    }

    fn count_containers(&self) {
        self.status.containers.store(self.placed, Ordering::Relaxed);
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

/// Takes over what was told before and isn't told now, but where it runs and since when.
pub(crate) fn fill(container: &mut Container, old: &Container) {
    let or = |now: &mut Option<String>, before: &Option<String>| {
        if now.is_none() {
            now.clone_from(before);
        }
    };
    or(&mut container.name, &old.name);
    or(&mut container.image, &old.image);
    or(&mut container.digest, &old.digest);
    or(&mut container.image_id, &old.image_id);
    or(&mut container.ip, &old.ip);
    or(&mut container.cni_json, &old.cni_json);
    container.privileged = container.privileged.or(old.privileged);
    container.host = keep(container.host, old.host);
    if container.mounts.is_none() {
        container.mounts.clone_from(&old.mounts);
    }
    if container.pod.is_none() {
        container.pod.clone_from(&old.pod);
    }
    if container.labels.is_empty() {
        container.labels.clone_from(&old.labels);
    }
    if container.pid == 0 {
        container.pid = old.pid;
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

/// Bytes of a mount besides its paths.
const MOUNT: usize = 80;

/// Bytes of a container's labels, its pod's, and its mounts.
fn weight(container: &Container) -> usize {
    let of = |labels: &BTreeMap<String, String>| -> usize {
        labels.iter().map(|(key, value)| key.len() + value.len()).sum()
    };
    let mounts = container.mounts.iter().flatten();
    let mounts = mounts.map(|mount| MOUNT + mount.source.len() + mount.destination.len());
    of(&container.labels) + container.pod.as_ref().map_or(0, |pod| of(&pod.labels)) + mounts.sum::<usize>()
}

/// What log lines show of an id.
fn cut(id: &str) -> &str {
    &id[..id.floor_char_boundary(64)]
}

/// Nanoseconds since the epoch.
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "registry_tests.rs"]
pub(crate) mod tests;
