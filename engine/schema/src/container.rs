//! What Lanner knows of a container, and the table that hands it from the runtime's side to the event thread.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How a container was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// From the runtime before its first instruction (NRI `StartContainer`).
    Start,
    /// It ran already (NRI `Synchronize`).
    Synchronize,
    /// From the runtime's own API or its files: containerd's events and lists, docker's and podman's API, containers/storage.
    Api,
    /// From the path of a process's cgroup: the id is all that is known.
    Cgroup,
}

/// True for an id as most runtimes make them up, 64 random hexadecimal digits: no two containers have the same.
pub fn is_hex_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Learnt {
    /// Every way.
    pub const ALL: [Learnt; 4] = [Learnt::Start, Learnt::Synchronize, Learnt::Api, Learnt::Cgroup];

    /// One word for people and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Learnt::Start => "start",
            Learnt::Synchronize => "synchronize",
            Learnt::Api => "api",
            Learnt::Cgroup => "cgroup",
        }
    }
}

/// The Kubernetes pod of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pod {
    /// `k8s.pod.name`.
    pub name: String,
    /// `k8s.ns.name`.
    pub namespace: String,
    /// `k8s.pod.uid`.
    pub uid: String,
    /// Id of the sandbox in the runtime.
    pub sandbox_id: String,
    /// `k8s.pod.label[KEY]`.
    pub labels: BTreeMap<String, String>,
}

/// A mount of a container: which part of the host it sees where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount {
    /// `container.mount.source`: the path on the host.
    pub source: String,
    /// `container.mount.dest`: the path in the container.
    pub destination: String,
    /// `container.mount.mode`: the runtime's word for it; CRI has none.
    pub mode: String,
    /// `container.mount.rdwr`.
    pub writable: bool,
    /// `container.mount.propagation`.
    pub propagation: String,
}

/// Which of the host's namespaces a container uses; `None` when nobody said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostNamespaces {
    /// `container.host_pid`.
    pub pid: Option<bool>,
    /// `container.host_network`.
    pub network: Option<bool>,
    /// `container.host_ipc`.
    pub ipc: Option<bool>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// `container.full_id`.
    pub full_id: String,
    /// The runtime's own namespace, where another one can have a container of the same id; else empty.
    pub runtime_namespace: String,
    /// `container.name`.
    pub name: Option<String>,
    /// `container.image`: the reference as the runtime knows it.
    pub image: Option<String>,
    /// `container.image.digest` (`sha256:…`); fetched separately, so it can be late.
    pub digest: Option<String>,
    /// The digest of the image's configuration, without `sha256:`: what runtimes call its id. As late.
    pub image_id: Option<String>,
    /// `container.type`: the runtime (`containerd`, `docker`, …).
    pub runtime: &'static str,
    /// `container.privileged`: it may use every device, the mark of a privileged container; `None` when nobody said.
    pub privileged: Option<bool>,
    /// `container.start_ts`: nanoseconds since the epoch.
    pub start_ts: Option<u64>,
    /// Labels of the container itself.
    pub labels: BTreeMap<String, String>,
    /// What was mounted for it from the host; `None` when nobody said.
    pub mounts: Option<Vec<Mount>>,
    /// Which namespaces of the host it uses.
    pub host: HostNamespaces,
    /// `container.ip`: its IPv4 address, which is its pod's. Of pods that use the host's network nobody tells one.
    pub ip: Option<String>,
    /// `container.cni.json`: the interfaces the network plugin made, as JSON. Fetched separately, so it can be late.
    pub cni_json: Option<String>,
    /// Its pod.
    pub pod: Option<Pod>,
    /// Id of its cgroup ([`crate::cgroup`]); 0 while unknown.
    pub cgroup: u64,
    /// Path of its cgroup below the cgroup mount; while `cgroup` is 0, the one it is configured to get (which can miss a
    /// beginning, where the runtime is in a container itself).
    pub cgroup_path: String,
    /// Pid of its first process, as the runtime gives it; 0 while unknown.
    pub pid: u32,
    /// How it was learnt.
    pub learnt: Learnt,
    /// The runtime has removed it; events of its last moments may still be on their way.
    pub gone: bool,
}

impl Container {
    /// A container of which its id, runtime and source are known, and nothing else yet.
    pub fn new(full_id: impl Into<String>, runtime: &'static str, learnt: Learnt) -> Self {
        Container {
            full_id: full_id.into(),
            runtime_namespace: String::new(),
            name: None,
            image: None,
            digest: None,
            image_id: None,
            runtime,
            privileged: None,
            start_ts: None,
            labels: BTreeMap::new(),
            mounts: None,
            host: HostNamespaces::default(),
            ip: None,
            cni_json: None,
            pod: None,
            cgroup: 0,
            cgroup_path: String::new(),
            pid: 0,
            learnt,
            gone: false,
        }
    }

    /// `container.id`: the first twelve characters, or the whole name where a container has no other id.
    pub fn id(&self) -> &str {
        match self.runtime {
            "lxc" | "libvirt-lxc" | "bpm" | "systemd-nspawn" => &self.full_id,
            _ => self.full_id.get(..12).unwrap_or(&self.full_id),
        }
    }

    /// What no other container has: the id, after the runtime's namespace where that is needed. No id has a slash.
    pub fn key(&self) -> Cow<'_, str> {
        match self.runtime_namespace.as_str() {
            "" => Cow::Borrowed(&self.full_id),
            namespace => Cow::Owned(format!("{namespace}/{}", self.full_id)),
        }
    }

    /// `container.image.id`: the first twelve characters.
    pub fn image_id(&self) -> Option<&str> {
        let id = self.image_id.as_deref()?;
        Some(id.get(..12).unwrap_or(id))
    }

    /// True for a pod's sandbox, whose one process holds the pod together.
    pub fn is_sandbox(&self) -> bool {
        self.pod
            .as_ref()
            .is_some_and(|pod| pod.sandbox_id == self.full_id)
    }

    /// `container.image.repository`: the reference without tag and digest.
    pub fn repository(&self) -> Option<&str> {
        self.image.as_deref().map(|image| split_image(image).0)
    }

    /// `container.image.tag`.
    pub fn tag(&self) -> Option<&str> {
        self.image.as_deref().and_then(|image| split_image(image).1)
    }
}

/// Splits `registry:5000/a/b:tag@sha256:…` into repository and tag.
pub fn split_image(image: &str) -> (&str, Option<&str>) {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].split_once(':') {
        Some((base, tag)) => (&name[..last + base.len()], Some(tag)),
        None => (name, None),
    }
}

/// Parts that the containers are kept in. A change copies the parts that it touches, not the table.
const SHARDS: usize = 64;

/// The containers that are known: by the cgroup they run in, and by their key from the moment the runtime creates them,
/// when they have no cgroup yet.
#[derive(Debug, Clone)]
pub struct Containers {
    by_cgroup: [Arc<HashMap<u64, Arc<Container>>>; SHARDS],
    by_key: [Arc<HashMap<String, Arc<Container>>>; SHARDS],
    /// Those that have no cgroup yet, by the last component of its path.
    awaited: [Arc<HashMap<String, Vec<Arc<Container>>>>; SHARDS],
    /// How often a cgroup may have ceased to be a container's.
    withdrawals: u64,
}

impl Default for Containers {
    fn default() -> Self {
        let empty = Arc::default();
        let (none, nothing) = (Arc::default(), Arc::default());
        Self {
            by_cgroup: std::array::from_fn(|_| Arc::clone(&empty)),
            by_key: std::array::from_fn(|_| Arc::clone(&none)),
            awaited: std::array::from_fn(|_| Arc::clone(&nothing)),
            withdrawals: 0,
        }
    }
}

/// Inodes of cgroups are handed out one after another.
fn shard_of_cgroup(cgroup: u64) -> usize {
    usize::try_from(cgroup % SHARDS as u64).unwrap_or(0)
}

/// Keys and names are random, but need not be.
fn shard_of(key: &str) -> usize {
    let hash = key.bytes().fold(0usize, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    hash % SHARDS
}

impl Containers {
    /// Adds a container, or replaces what was known of it.
    pub fn insert(&mut self, container: Arc<Container>) {
        let key = container.key().into_owned();
        let awaited = self.no_longer_awaited(&key, &container.cgroup_path);
        let is_awaited =
            |awaited: Arc<Container>| container.cgroup == 0 && awaited.cgroup_path == container.cgroup_path;
        // Rules take this name for the host's.
        if !awaited.is_none_or(is_awaited) || container.id() == "host" {
            self.withdrawals += 1;
        }
        if container.cgroup != 0 {
            Arc::make_mut(&mut self.by_cgroup[shard_of_cgroup(container.cgroup)])
                .insert(container.cgroup, Arc::clone(&container));
        } else if !container.cgroup_path.is_empty() {
            let name = last(&container.cgroup_path).to_owned();
            Arc::make_mut(&mut self.awaited[shard_of(&name)])
                .entry(name)
                .or_default()
                .push(Arc::clone(&container));
        }
        Arc::make_mut(&mut self.by_key[shard_of(&key)]).insert(key, container);
    }

    /// Forgets the container with this key.
    pub fn remove(&mut self, key: &str) {
        let known = &mut self.by_key[shard_of(key)];
        if known.contains_key(key)
            && let Some(container) = Arc::make_mut(known).remove(key)
        {
            if self.get(container.cgroup).is_some() {
                Arc::make_mut(&mut self.by_cgroup[shard_of_cgroup(container.cgroup)])
                    .remove(&container.cgroup);
            }
            self.no_longer_awaited(key, &container.cgroup_path);
            self.withdrawals += 1;
        }
    }

    /// Gives the container as it was awaited.
    fn no_longer_awaited(&mut self, key: &str, path: &str) -> Option<Arc<Container>> {
        let name = last(path);
        let shard = &mut self.awaited[shard_of(name)];
        let is_it = |other: &Arc<Container>| other.key() == key;
        if !shard.get(name)?.iter().any(is_it) {
            return None;
        }
        let shard = Arc::make_mut(shard);
        let awaited = shard.get_mut(name)?;
        let at = awaited.iter().position(is_it)?;
        let container = awaited.remove(at);
        if awaited.is_empty() {
            shard.remove(name);
        }
        Some(container)
    }

    /// A number that changes whenever a cgroup that is in a container, or in one that is awaited, may be in none from then on, or in
    /// one with the name of the host. What was found to be a container's stays one as long as this number does.
    pub fn withdrawals(&self) -> u64 {
        self.withdrawals
    }

    /// The container that was created and will get the cgroup with this path.
    pub fn awaited(&self, path: &str) -> Option<&Arc<Container>> {
        let name = last(path);
        self.awaited[shard_of(name)]
            .get(name)?
            .iter()
            .find(|container| path.ends_with(&container.cgroup_path))
    }

    /// The container that runs in this cgroup.
    pub fn get(&self, cgroup: u64) -> Option<&Arc<Container>> {
        self.by_cgroup[shard_of_cgroup(cgroup)].get(&cgroup)
    }

    /// The container with this [`Container::key`], running or only created.
    pub fn by_key(&self, key: &str) -> Option<&Arc<Container>> {
        self.by_key[shard_of(key)].get(key)
    }

    /// Every container, running or only created.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.by_key.iter().flat_map(|shard| shard.values())
    }

    /// Every container that runs.
    pub fn running(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.by_cgroup.iter().flat_map(|shard| shard.values())
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Who may know more of a container than the path of its cgroup tells.
pub trait Identify: Send + Sync + std::fmt::Debug {
    /// Asks for `seen` without waiting; true when an answer will come. That is a change of the table, after which the table
    /// has the container's cgroup, even when nothing more could be learnt.
    fn ask(&self, seen: &Arc<Container>) -> bool;
}

/// Who has to know that the table changed before its writer goes on.
pub trait Watch: Send + Sync + std::fmt::Debug {
    /// The table is another one, which is `now`; readers see it from now on. The table itself may not be asked meanwhile.
    fn changed(&self, now: &Containers);
}

/// [`Containers`], written by the runtime's side and read by the event thread without a lock: a reader looks at one atomic
/// number per event and takes a new snapshot only when it changed.
#[derive(Debug, Default)]
pub struct ContainerTable {
    generation: AtomicU64,
    current: Mutex<Arc<Containers>>,
    changed: Condvar,
    identify: Mutex<Option<Arc<dyn Identify>>>,
    watchers: Mutex<Vec<Weak<dyn Watch>>>,
}

impl ContainerTable {
    /// An empty table.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Replaces the content by what `change` makes of a copy of it; only the parts that it changes are copied.
    pub fn update(&self, change: impl FnOnce(&mut Containers)) {
        // A writer that panicked left the old, complete snapshot in place: poisoning means nothing here.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Containers::clone(&current);
        change(&mut next);
        *current = Arc::new(next);
        self.generation.fetch_add(1, Ordering::Release);
        // Still with the lock: a writer that has returned has told everybody.
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| {
            let watcher = watcher.upgrade();
            watcher.as_ref().inspect(|watcher| watcher.changed(&current));
            watcher.is_some()
        });
        drop(watchers);
        drop(current);
        self.changed.notify_all();
    }

    /// Who is asked about containers that are known by their cgroup only, from now on.
    pub fn identify_by(&self, identify: Arc<dyn Identify>) {
        *self.identify.lock().unwrap_or_else(PoisonError::into_inner) = Some(identify);
    }

    /// Tells `watcher` of every change from now on, as long as somebody else keeps it.
    pub fn tell(&self, watcher: Weak<dyn Watch>) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.push(watcher);
    }

    /// What the table holds now.
    pub fn snapshot(&self) -> Arc<Containers> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A reader for one thread.
    pub fn reader(self: &Arc<Self>) -> ContainerReader {
        ContainerReader {
            table: Arc::clone(self),
            seen: u64::MAX,
            snapshot: Arc::default(),
        }
    }
}

/// One thread's view of a [`ContainerTable`].
#[derive(Debug)]
pub struct ContainerReader {
    table: Arc<ContainerTable>,
    seen: u64,
    snapshot: Arc<Containers>,
}

impl ContainerReader {
    /// Takes a new snapshot when the table changed; true when it did.
    pub fn refresh(&mut self) -> bool {
        let generation = self.table.generation.load(Ordering::Acquire);
        if generation == self.seen {
            return false;
        }
        self.seen = generation;
        self.snapshot = self.table.snapshot();
        true
    }

    /// Asks about a container that is known by its cgroup only; true when an answer will come.
    pub fn ask(&self, seen: &Arc<Container>) -> bool {
        let identify = self
            .table
            .identify
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        identify.is_some_and(|identify| identify.ask(seen))
    }

    /// Waits until the table is another than that of the last [`ContainerReader::refresh`], at most `limit`.
    pub fn wait(&self, limit: Duration) {
        let current = self.table.current.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |_: &mut Arc<Containers>| self.table.generation.load(Ordering::Acquire) == self.seen;
        // Poisoned or not, what comes is read by refresh.
        drop(self.table.changed.wait_timeout_while(current, limit, same));
    }

    /// The containers as of the last [`ContainerReader::refresh`].
    pub fn containers(&self) -> &Arc<Containers> {
        &self.snapshot
    }
}

/// Whose an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The host's own.
    Host,
    /// A container's.
    Container(&'a Container),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references_split_into_repository_and_tag() {
        assert_eq!(
            split_image("docker.io/library/nginx:1.27"),
            ("docker.io/library/nginx", Some("1.27"))
        );
        assert_eq!(split_image("reg:5000/a/b"), ("reg:5000/a/b", None));
        assert_eq!(
            split_image("reg:5000/a/b:v1@sha256:abc"),
            ("reg:5000/a/b", Some("v1"))
        );
        assert_eq!(split_image("a@sha256:abc"), ("a", None));
    }

    #[test]
    fn a_reader_sees_a_change_after_refresh() {
        let table = ContainerTable::new();
        let mut reader = table.reader();
        assert!(reader.refresh());
        assert!(!reader.refresh());
        table.update(|known| known.insert(Arc::new(test_container("0123456789abcdef", 7))));
        assert!(reader.containers().get(7).is_none());
        assert!(reader.refresh());
        assert_eq!(reader.containers().get(7).unwrap().id(), "0123456789ab");
    }

    #[test]
    fn whoever_watches_knows_of_a_change_before_its_writer_goes_on() {
        #[derive(Debug, Default)]
        struct Count(AtomicU64);
        impl Watch for Count {
            fn changed(&self, _: &Containers) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let table = ContainerTable::new();
        let count = Arc::new(Count::default());
        let weak = Arc::downgrade(&count);
        table.tell(weak);
        table.update(|known| known.insert(Arc::new(test_container("0123456789abcdef", 7))));
        table.update(|known| known.remove("0123456789abcdef"));
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        drop(count);
        table.update(|_| {});
        assert!(table.watchers.lock().unwrap().is_empty());
    }

    #[test]
    fn a_withdrawal_is_what_may_make_a_containers_cgroup_the_hosts() {
        let mut known = Containers::default();
        let mut withdraws = |change: &dyn Fn(&mut Containers)| {
            let before = known.withdrawals();
            change(&mut known);
            known.withdrawals() != before
        };
        let id = "0123456789abcdef";
        let at = |cgroup, path: &str| Container {
            cgroup_path: path.into(),
            ..test_container(id, cgroup)
        };
        let insert =
            |container: Container| move |known: &mut Containers| known.insert(Arc::new(container.clone()));
        let path = "/kubepods/0123456789abcdef";
        assert!(!withdraws(&insert(at(0, path))), "created");
        let with_digest = Container {
            digest: Some("sha256:1".into()),
            ..at(0, path)
        };
        assert!(!withdraws(&insert(with_digest)), "its digest is known");
        // Another cgroup of this path is nobody's now.
        assert!(withdraws(&insert(at(7, path))), "it runs");
        let gone = Container {
            gone: true,
            ..at(7, path)
        };
        assert!(
            !withdraws(&insert(gone)),
            "its last events are still on their way"
        );
        assert!(withdraws(&|known| known.remove(id)));
        assert!(!withdraws(&|known| known.remove(id)), "there was none");
        let host = Container {
            runtime: "lxc",
            ..test_container("host", 8)
        };
        assert!(withdraws(&insert(host)));
    }

    #[test]
    fn a_snapshot_stays_what_it_was_and_shares_what_did_not_change() {
        let table = ContainerTable::new();
        for cgroup in 1..=1000 {
            table.update(|known| known.insert(Arc::new(test_container(&format!("{cgroup:064}"), cgroup))));
        }
        let before = table.snapshot();
        table.update(|known| known.remove(&format!("{:064}", 7)));
        let after = table.snapshot();
        assert_eq!((before.all().count(), before.running().count()), (1000, 1000));
        assert_eq!((after.all().count(), after.running().count()), (999, 999));
        assert!(before.get(7).is_some() && after.get(7).is_none() && after.get(8).is_some());
        let shared = |n: usize| Arc::ptr_eq(&before.by_key[n], &after.by_key[n]);
        assert_eq!((0..SHARDS).filter(|n| shared(*n)).count(), SHARDS - 1);
    }

    #[test]
    fn a_created_container_is_known_by_its_id_and_leaves_both_ways() {
        let table = ContainerTable::new();
        table.update(|known| known.insert(Arc::new(test_container("0123456789abcdef", 0))));
        assert!(table.snapshot().by_key("0123456789abcdef").is_some());
        assert_eq!(table.snapshot().running().count(), 0);
        table.update(|known| known.insert(Arc::new(test_container("0123456789abcdef", 9))));
        assert!(table.snapshot().get(9).is_some());
        table.update(|known| known.remove("0123456789abcdef"));
        assert!(table.snapshot().get(9).is_none() && table.snapshot().by_key("0123456789abcdef").is_none());
    }

    #[test]
    fn a_container_without_a_cgroup_is_known_by_the_path_it_will_get() {
        let mut known = Containers::default();
        let created = |id: &str, cgroup| {
            Arc::new(Container {
                cgroup_path: "/default/web".into(),
                ..test_container(id, cgroup)
            })
        };
        known.insert(created("web", 0));
        assert_eq!(known.awaited("/default/web").unwrap().full_id, "web");
        assert!(known.awaited("/docker/node/default/web").is_some());
        assert!(known.awaited("/other/web").is_none() && known.awaited("/default/web/inner").is_none());
        known.insert(created("web", 7));
        assert!(known.awaited("/default/web").is_none());
        known.insert(created("b", 0));
        known.remove("web");
        assert!(known.awaited("/default/web").is_some(), "the other one's");
        known.remove("b");
        assert!(known.awaited("/default/web").is_none());
    }

    #[test]
    fn containers_of_one_id_in_two_namespaces_of_the_runtime_are_two() {
        let mut known = Containers::default();
        let twin = |namespace: &str, path: &str, cgroup| {
            Arc::new(Container {
                runtime_namespace: namespace.into(),
                cgroup_path: path.into(),
                ..test_container("redis", cgroup)
            })
        };
        let (one, other) = (twin("team-a", "/team-a/redis", 0), twin("", "/k8s.io/redis", 0));
        known.insert(Arc::clone(&one));
        known.insert(Arc::clone(&other));
        assert_eq!(known.all().count(), 2);
        assert_eq!(known.awaited("/team-a/redis"), Some(&one));
        assert_eq!(known.awaited("/k8s.io/redis"), Some(&other));
        known.insert(twin("team-a", "/team-a/redis", 7));
        known.insert(twin("", "/k8s.io/redis", 8));
        assert!(known.awaited("/team-a/redis").is_none() && known.awaited("/k8s.io/redis").is_none());
        assert_eq!(known.get(7).unwrap().key(), "team-a/redis");
        known.remove("redis");
        assert!(known.get(8).is_none() && known.get(7).is_some());
        assert_eq!(known.by_key("team-a/redis").unwrap().full_id, "redis");
    }

    #[test]
    fn a_name_that_is_an_id_is_not_cut() {
        let named = Container {
            runtime: "lxc",
            ..test_container("a-name-of-some-length", 0)
        };
        assert_eq!(named.id(), "a-name-of-some-length");
        assert_eq!(test_container("a-name-of-some-length", 0).id(), "a-name-of-so");
    }

    #[test]
    fn a_wait_ends_with_the_change_it_waits_for() {
        let table = ContainerTable::new();
        let mut reader = table.reader();
        reader.refresh();
        let writer = Arc::clone(&table);
        let thread = std::thread::spawn(move || {
            writer.update(|known| known.insert(Arc::new(test_container("0123456789abcdef", 7))));
        });
        while !reader.refresh() {
            reader.wait(Duration::from_secs(60));
        }
        assert!(reader.containers().get(7).is_some());
        thread.join().unwrap();
        assert!(
            !reader.ask(&Arc::new(test_container("a", 1))),
            "nobody is there to ask"
        );
    }

    fn test_container(id: &str, cgroup: u64) -> Container {
        Container {
            cgroup,
            ..Container::new(id, "containerd", Learnt::Start)
        }
    }
}
