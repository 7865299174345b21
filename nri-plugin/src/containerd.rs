//! containerd's own API: what runs in all its namespaces, told by its events and compared with its lists, and image digests.
//!
//! CRI's containers come from NRI, sooner and with more. Those of `ctr`, nerdctl, docker and buildkit, pods' sandboxes before
//! they run, and all others where NRI is off, come from here. Everything happens beside the runtime's calls, never within
//! them; containerd may be absent or restart: attempts go on quietly, and what was known stays known meanwhile.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use containerd_client::Client;
use containerd_client::events::{ContainerCreate, ContainerDelete, ContainerUpdate, TaskCreate, TaskStart};
use containerd_client::services::v1::snapshots::StatSnapshotRequest;
use containerd_client::services::v1::{
    Container as Record, GetContainerRequest, GetImageRequest, ListContainersRequest, ListNamespacesRequest,
    ListTasksRequest, ReadContentRequest,
};
use containerd_client::tonic::metadata::MetadataValue;
use containerd_client::tonic::{Code, Request, Response, Status as RpcStatus};
use containerd_client::types::Envelope;
use containerd_client::types::v1::Status as TaskStatus;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info, warn};

use crate::docker_files;
use crate::image::{self, Image, Manifest, Of};
use crate::record;
use crate::registry::{Registry, Source, fill};
use crate::socket;
use crate::socket_file;
use crate::status::{Listing, Status};
use crate::subscription::Subscription;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// Attempts per digest: an image may be recorded a moment after its container is created.
const ATTEMPTS: u32 = 4;
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Digests that wait for containerd, at most; older ones are given up.
const WAITING_MAX: usize = 4096;
/// Events that are told of before containerd says that it will tell of events are lost: a second comparison finds those.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// Whatever else is missed is found by comparing again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// A manifest or configuration is not larger than this.
const CONTENT_MAX: usize = 4 << 20;
/// Images whose content is remembered, at most.
const IMAGES_MAX: usize = 256;

/// Which digest is wanted for which container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DigestRequest {
    pub(crate) container: String,
    pub(crate) image: String,
    /// It ran before it was known: its image's name may mean another image by now.
    pub(crate) ran_before: bool,
    /// The image's id is wanted as well.
    pub(crate) wants_id: bool,
}

/// Compare NRI's containers with containerd's.
///
/// A container created while a plugin is being synchronised can be in neither Synchronize nor the events.
#[derive(Debug)]
pub(crate) struct Reconcile;

/// A container that was seen and isn't known. Dropping the sender is the answer; what was found is in the registry.
#[derive(Debug)]
pub(crate) struct LookUp {
    pub(crate) id: String,
    pub(crate) done: oneshot::Sender<()>,
}

/// What the task is asked for.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) digests: mpsc::Receiver<DigestRequest>,
    pub(crate) reconcile: mpsc::Receiver<Reconcile>,
    pub(crate) look_ups: mpsc::Receiver<LookUp>,
    /// Ends with the first answer of what runs.
    pub(crate) listing: Option<Listing>,
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Containerd {
    pub(crate) address: PathBuf,
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) status: Arc<Status>,
    /// docker's data roots: its containers' names are there, not in the record.
    pub(crate) docker_roots: Vec<PathBuf>,
    pub(crate) host_root: PathBuf,
    /// What NRI tells of is this one's.
    pub(crate) is_nris: bool,
}

/// The snapshot a container runs on.
#[derive(Debug, Clone)]
struct Snapshot {
    snapshotter: String,
    key: String,
}

/// A digest that is still to be had.
struct Waiting {
    /// The container's key, which is its id when NRI told of it.
    container: String,
    namespace: String,
    references: Vec<String>,
    ran_before: bool,
    /// Where one digest stands for one image, that is its: else CRI is asked.
    wants_id: bool,
    /// Tells which image it is of, where nothing else than a tag does.
    snapshot: Option<Snapshot>,
    /// The answer is that of the next container with this reference, too.
    keeps: bool,
    attempts: u32,
    /// Not to be asked for before this.
    due: Instant,
}

/// What an image's content tells of a container.
#[derive(Debug, Default)]
struct Answer {
    /// Its image's id, where that is known.
    id: Option<String>,
    /// What its reference means now is not what it runs.
    is_another: bool,
}

/// What is next to be done.
enum Next {
    Event(Option<Result<Box<Envelope>, RpcStatus>>),
    LookUp(LookUp),
    Digest(DigestRequest),
    Compare,
    Due,
}

/// One connection.
struct Session<'a> {
    task: &'a Containerd,
    client: Client,
    source: Source,
    waiting: &'a mut VecDeque<Waiting>,
    /// What digests stand for.
    images: HashMap<String, Arc<[Image]>>,
    /// Somebody makes containers in CRI's namespace of whom NRI knows nothing.
    shares_cris_namespace: bool,
}

impl Containerd {
    /// Follows containerd until `shutdown`.
    pub(crate) async fn run(&self, requests: &mut Requests, shutdown: &mut watch::Receiver<bool>) {
        let mut waiting = VecDeque::new();
        let mut backoff = BACKOFF_MIN;
        let mut said = false;
        loop {
            let connected = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                connected = connect(&self.address) => connected,
            };
            match connected {
                Ok(client) => {
                    if std::mem::take(&mut said) {
                        info!(address = %self.address.display(), "containerd answers again");
                    }
                    let session = Session {
                        task: self,
                        client,
                        source: self.address.to_string_lossy().into(),
                        waiting: &mut waiting,
                        images: HashMap::new(),
                        shares_cris_namespace: false,
                    };
                    match session.serve(requests, shutdown, &mut backoff).await {
                        Ok(()) => return,
                        Err(status) => debug!(%status, "containerd call failed"),
                    }
                }
                Err(error) => {
                    if !said {
                        debug!(error, "connect");
                        match socket_file::in_the_way(&self.address) {
                            Some(what) => warn!("{what}: containerd's API is not asked there"),
                            None => info!(
                                address = %self.address.display(),
                                "containerd's own socket can't be reached: image digests stay empty until it can"
                            ),
                        }
                        said = true;
                    }
                }
            }
            requests.listing = None;
            let resume = tokio::time::sleep(backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
            tokio::pin!(resume);
            loop {
                tokio::select! {
                    biased;
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    () = &mut resume => break,
                    Some(request) = requests.digests.recv() => {
                        let mut next = Waiting::from(request);
                        self.ask_cri(&mut next);
                        push(self, &mut waiting, next);
                    }
                    // The answer is that nothing is known.
                    Some(_) = requests.look_ups.recv() => {}
                    // A connection begins with it anyway.
                    Some(_) = requests.reconcile.recv() => {}
                }
            }
        }
    }

    fn registry<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Leaves the image's id to CRI, where it is wanted.
    fn ask_cri(&self, waiting: &mut Waiting) {
        if std::mem::take(&mut waiting.wants_id) {
            self.registry(|registry| registry.ask_for_image_id(&waiting.container));
        }
    }
}

async fn connect(address: &Path) -> Result<Client, String> {
    match tokio::time::timeout(CONNECT, socket::connect(address)).await {
        Ok(Ok(channel)) => Ok(channel.into()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".into()),
    }
}

impl From<DigestRequest> for Waiting {
    fn from(request: DigestRequest) -> Waiting {
        Waiting {
            container: request.container,
            namespace: record::CRI_NAMESPACE.into(),
            references: vec![request.image],
            ran_before: request.ran_before,
            wants_id: request.wants_id,
            snapshot: None,
            keeps: !request.ran_before,
            attempts: 0,
            due: Instant::now(),
        }
    }
}

fn push(task: &Containerd, waiting: &mut VecDeque<Waiting>, next: Waiting) {
    if waiting.len() >= WAITING_MAX
        && let Some(mut oldest) = waiting.pop_front()
    {
        task.ask_cri(&mut oldest);
        Status::count(&task.status.digests_missing);
    }
    waiting.push_back(next);
}

impl Session<'_> {
    /// Serves until the connection fails; `Ok` when it is to stop.
    async fn serve(
        mut self,
        requests: &mut Requests,
        shutdown: &mut watch::Receiver<bool>,
        backoff: &mut Duration,
    ) -> Result<(), RpcStatus> {
        let mut following = self.follow();
        self.compare().await?;
        requests.listing = None;
        let mut look_again = Instant::now() + SECOND_LOOK;
        loop {
            if following.has_cris_tasks != self.wants_cris_tasks() {
                // What is told of between the two is found by comparing.
                following.end().await;
                following = self.follow();
                self.compare().await?;
                look_again = Instant::now() + SECOND_LOOK;
            } else if Instant::now() >= look_again {
                self.compare().await?;
                look_again = Instant::now() + LOOK_AGAIN;
            }
            *backoff = BACKOFF_MIN;
            self.digests().await?;
            let digest_due = self.waiting.iter().map(|next| next.due).min();
            let due = digest_due.map_or(look_again, |due| due.min(look_again));
            let next = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
                event = following.events.recv() => Next::Event(event.map(|event| event.map(Box::new))),
                Some(look_up) = requests.look_ups.recv() => Next::LookUp(look_up),
                Some(request) = requests.digests.recv() => Next::Digest(request),
                Some(Reconcile) = requests.reconcile.recv() => Next::Compare,
                () = tokio::time::sleep_until(due.into()) => Next::Due,
            };
            match next {
                Next::Event(Some(event)) => {
                    if !std::mem::replace(&mut following.has_told, true) {
                        look_again = Instant::now();
                    }
                    self.event(*event?).await?;
                }
                Next::Event(None) => return Err(RpcStatus::unavailable("no more events")),
                Next::LookUp(LookUp { id, done }) => {
                    self.look_up(&id).await?;
                    drop(done);
                }
                Next::Digest(request) => push(self.task, self.waiting, request.into()),
                Next::Compare => look_again = Instant::now(),
                Next::Due => {}
            }
        }
    }

    fn follow(&self) -> Subscription {
        let names = self.task.is_nris.then_some(&self.task.registry);
        Subscription::begin(self.client.events(), self.wants_cris_tasks(), names)
    }

    /// Whether tasks are to be told of that NRI tells of, if there is one.
    fn wants_cris_tasks(&self) -> bool {
        !self.task.is_nris
            || self.shares_cris_namespace
            || !self.task.registry(|registry| registry.is_told_by_containerd())
    }

    async fn event(&mut self, event: Envelope) -> Result<(), RpcStatus> {
        let Some(content) = &event.event else {
            return Ok(());
        };
        let content = content.value.as_slice();
        let status = &self.task.status;
        let undecodable = |_| Status::count(&status.errors);
        let namespace = event.namespace.as_str();
        match event.topic.as_str() {
            "/containers/create" => match ContainerCreate::decode(content) {
                Ok(created) => return self.tell(namespace, &created.id).await.map(|_| ()),
                Err(error) => undecodable(error),
            },
            "/containers/update" => match ContainerUpdate::decode(content) {
                Ok(updated) => return self.tell(namespace, &updated.id).await.map(|_| ()),
                Err(error) => undecodable(error),
            },
            "/containers/delete" => match ContainerDelete::decode(content) {
                Ok(deleted) => {
                    let key = record::key(namespace, &deleted.id);
                    self.task
                        .registry(|registry| registry.gone(&self.source, &key, Instant::now()));
                }
                Err(error) => undecodable(error),
            },
            "/tasks/create" => match TaskCreate::decode(content) {
                Ok(created) => {
                    return self
                        .runs(namespace, &created.container_id, created.pid, None)
                        .await;
                }
                Err(error) => undecodable(error),
            },
            "/tasks/start" => match TaskStart::decode(content) {
                Ok(started) => {
                    let at = event.timestamp.as_ref().and_then(nanoseconds);
                    return self.runs(namespace, &started.container_id, started.pid, at).await;
                }
                Err(error) => undecodable(error),
            },
            _ => {}
        }
        Ok(())
    }

    async fn runs(
        &mut self,
        namespace: &str,
        id: &str,
        pid: u32,
        start_ts: Option<u64>,
    ) -> Result<(), RpcStatus> {
        let key = record::key(namespace, id);
        let known = |session: &Self| {
            session
                .task
                .registry(|registry| registry.runs(&session.source, &key, pid, start_ts))
        };
        if !known(self) && self.tell(namespace, id).await? {
            known(self);
        }
        Ok(())
    }

    /// Asks about one container, and takes it in; false when there is none, or NRI tells of it.
    async fn tell(&mut self, namespace: &str, id: &str) -> Result<bool, RpcStatus> {
        let key = record::key(namespace, id);
        if self.task.registry(|registry| registry.is_of_nri(&key)) {
            return Ok(false);
        }
        let Some(record) = self.record(namespace, id).await? else {
            return Ok(false);
        };
        self.take(namespace, record, 0);
        Ok(true)
    }

    fn take(&mut self, namespace: &str, record: Record, pid: u32) {
        let key = record::key(namespace, &record.id);
        let references = record::image_references(&record);
        let snapshot = Snapshot {
            snapshotter: record.snapshotter.clone(),
            key: record.snapshot_key.clone(),
        };
        let mut told = record::read(record, namespace);
        told.container.pid = pid;
        if told.container.runtime == "docker" {
            let (root, data) = (&self.task.host_root, &self.task.docker_roots);
            // A few kilobytes that were just written.
            if let Some(kept) = docker_files::find(root, data, &told.container) {
                fill(&mut told.container, &kept);
            }
        }
        let snapshot = told.container.image_id.is_none().then_some(snapshot);
        if namespace == record::CRI_NAMESPACE && told.container.pod.is_none() {
            self.shares_cris_namespace = true;
        }
        let known = self.task.registry(|registry| {
            registry.told_by(&self.source, told);
            registry.has_digest(&key)
        });
        if !known && !references.is_empty() {
            let next = Waiting {
                container: key,
                namespace: namespace.to_owned(),
                references,
                ran_before: false,
                wants_id: false,
                snapshot,
                keeps: false,
                attempts: 0,
                due: Instant::now(),
            };
            push(self.task, self.waiting, next);
        }
    }

    /// Looks for a container in every namespace.
    async fn look_up(&mut self, id: &str) -> Result<(), RpcStatus> {
        for namespace in self.namespaces().await? {
            if self.tell(&namespace, id).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn record(&self, namespace: &str, id: &str) -> Result<Option<Record>, RpcStatus> {
        let request = GetContainerRequest { id: id.to_owned() };
        match call(self.client.containers().get(within(namespace, request)?)).await {
            Ok(answer) => Ok(answer.container),
            Err(status) if is_an_answer(&status) => Ok(None),
            Err(status) => Err(status),
        }
    }

    async fn namespaces(&self) -> Result<Vec<String>, RpcStatus> {
        let all = call(self.client.namespaces().list(ListNamespacesRequest::default())).await?;
        Ok(all
            .namespaces
            .into_iter()
            .map(|namespace| namespace.name)
            .collect())
    }

    /// Takes in what the lists of all namespaces have and isn't known, and lets go of what they have no more.
    async fn compare(&mut self) -> Result<(), RpcStatus> {
        let mut seen = HashSet::new();
        let mut whole = true;
        for namespace in self.namespaces().await? {
            let tasks = within(&namespace, ListTasksRequest::default())?;
            let tasks = match call(self.client.tasks().list(tasks)).await {
                Ok(answer) => answer.tasks,
                // One shim that hangs: what runs is told by events, or next time.
                Err(status) if is_an_answer(&status) => {
                    debug!(namespace, %status, "no list of what runs");
                    Vec::new()
                }
                Err(status) => return Err(status),
            };
            let running: HashMap<String, u32> = tasks
                .into_iter()
                .filter(|task| task.status != TaskStatus::Stopped as i32)
                .map(|task| (task.id, task.pid))
                .collect();
            // One by one: together they can be larger than a message may be.
            let listed = within(&namespace, ListContainersRequest::default())?;
            let mut listed = match call(self.client.containers().list_stream(listed)).await {
                Ok(listed) => listed,
                Err(status) if is_an_answer(&status) => {
                    debug!(namespace, %status, "no list of containers");
                    whole = false;
                    continue;
                }
                Err(status) => return Err(status),
            };
            let mut later = Vec::new();
            while let Some(message) = call_stream(&mut listed).await? {
                let Some(record) = message.container else { continue };
                seen.insert(record::key(&namespace, &record.id));
                match record::is_in_sandbox(&record) {
                    // Its pod's labels are the sandbox's.
                    true => later.push(record),
                    false => self.compare_one(&namespace, record, &running),
                }
            }
            for record in later {
                self.compare_one(&namespace, record, &running);
            }
        }
        if whole {
            self.task
                .registry(|registry| registry.listed(&self.source, &seen, Instant::now()));
        }
        Ok(())
    }

    fn compare_one(&mut self, namespace: &str, record: Record, running: &HashMap<String, u32>) {
        let pid = running.get(&record.id).copied().unwrap_or(0);
        let key = record::key(namespace, &record.id);
        let news = self.task.registry(|registry| registry.is_news(&key, pid));
        if news {
            debug!(container = record.id, namespace, "known from containerd's list");
            self.take(namespace, record, pid);
        }
    }

    /// Goes once through the digests that are due.
    async fn digests(&mut self) -> Result<(), RpcStatus> {
        for _ in 0..self.waiting.len() {
            let Some(mut next) = self.waiting.pop_front() else {
                break;
            };
            if next.due > Instant::now() {
                self.waiting.push_back(next);
                continue;
            }
            let changes = self.task.registry(|registry| registry.image_name_changes());
            match self.digest(&mut next).await {
                Ok(Some(digest)) => match self.image_of(&next, &digest).await {
                    Ok(Answer { is_another: true, .. }) => {
                        debug!(container = next.container, "its tag means another image by now");
                        Status::count(&self.task.status.digests_missing);
                    }
                    Ok(Answer { id, .. }) => {
                        self.task.registry(|registry| {
                            registry.image_found(&next.container, &digest, id.as_deref())
                        });
                        if id.is_none() {
                            self.task.ask_cri(&mut next);
                        }
                        if let (true, Some(changes), Some(name)) =
                            (next.keeps, changes, next.references.pop())
                        {
                            self.task
                                .registry(|registry| registry.image_name_means(name, digest, id, changes));
                        }
                    }
                    Err(status) => {
                        self.waiting.push_front(next);
                        return Err(status);
                    }
                },
                Ok(None) if next.attempts + 1 < ATTEMPTS => {
                    self.task.ask_cri(&mut next);
                    next.due = Instant::now() + BACKOFF_MIN * (2 << next.attempts);
                    next.attempts += 1;
                    self.waiting.push_back(next);
                }
                Ok(None) => {
                    debug!(images = ?next.references, "containerd has no record of this image");
                    Status::count(&self.task.status.digests_missing);
                }
                Err(status) => {
                    self.waiting.push_front(next);
                    return Err(status);
                }
            }
        }
        Ok(())
    }

    /// Which image a container is of whose reference stands for this digest now.
    async fn image_of(&mut self, wanted: &Waiting, digest: &str) -> Result<Answer, RpcStatus> {
        if wanted.snapshot.is_none() && !wanted.wants_id {
            return Ok(Answer::default());
        }
        let images = self.images(&wanted.namespace, digest).await?;
        let Some(snapshot) = &wanted.snapshot else {
            let only = (images.len() == 1).then(|| images.first()).flatten();
            return Ok(Answer {
                id: only.map(|image| image.id.clone()),
                is_another: false,
            });
        };
        let below = match images.is_empty() {
            true => None,
            false => self.below(&wanted.namespace, snapshot).await?,
        };
        Ok(match image::which(&images, below.as_deref()) {
            Of::Image(image) => Answer {
                id: Some(image.id.clone()),
                is_another: false,
            },
            Of::Another => Answer {
                id: None,
                is_another: true,
            },
            Of::Unknown => Answer::default(),
        })
    }

    /// The images that a digest stands for, as far as containerd has their content.
    async fn images(&mut self, namespace: &str, digest: &str) -> Result<Arc<[Image]>, RpcStatus> {
        if let Some(known) = self.images.get(digest) {
            return Ok(Arc::clone(known));
        }
        let mut configurations = Vec::new();
        match self.manifest(namespace, digest).await? {
            Some(Manifest::One(configuration)) => configurations.push(configuration),
            Some(Manifest::Several(manifests)) => {
                for manifest in manifests {
                    if let Some(Manifest::One(configuration)) = self.manifest(namespace, &manifest).await? {
                        configurations.push(configuration);
                    }
                }
            }
            None => {}
        }
        let mut images = Vec::new();
        for id in configurations {
            if let Some(content) = self.content(namespace, &id).await? {
                images.extend(Image::read(id, &content));
            }
        }
        let images: Arc<[Image]> = images.into();
        if self.images.len() >= IMAGES_MAX {
            self.images.clear();
        }
        // Content that is missing can come.
        if !images.is_empty() {
            self.images.insert(digest.to_owned(), Arc::clone(&images));
        }
        Ok(images)
    }

    async fn manifest(&self, namespace: &str, digest: &str) -> Result<Option<Manifest>, RpcStatus> {
        let content = self.content(namespace, digest).await?;
        Ok(content.and_then(|content| Manifest::read(&content)))
    }

    /// What containerd has under a digest; `None` when that is nothing, or too much.
    async fn content(&self, namespace: &str, digest: &str) -> Result<Option<Vec<u8>>, RpcStatus> {
        let request = ReadContentRequest {
            digest: digest.to_owned(),
            ..ReadContentRequest::default()
        };
        let mut parts = match call(self.client.content().read(within(namespace, request)?)).await {
            Ok(parts) => parts,
            Err(status) if is_an_answer(&status) => return Ok(None),
            Err(status) => return Err(status),
        };
        let mut content = Vec::new();
        loop {
            match call_stream(&mut parts).await {
                Ok(Some(part)) if content.len() + part.data.len() <= CONTENT_MAX => {
                    content.extend(part.data);
                }
                Ok(None) => return Ok(Some(content)),
                Ok(Some(_)) => return Ok(None),
                Err(status) if is_an_answer(&status) => return Ok(None),
                Err(status) => return Err(status),
            }
        }
    }

    /// The name of the snapshot that one is made on.
    async fn below(&self, namespace: &str, of: &Snapshot) -> Result<Option<String>, RpcStatus> {
        let request = StatSnapshotRequest {
            snapshotter: of.snapshotter.clone(),
            key: of.key.clone(),
        };
        match call(self.client.snapshots().stat(within(namespace, request)?)).await {
            Ok(answer) => Ok(answer.info.map(|info| info.parent)),
            Err(status) if is_an_answer(&status) => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// The digest of a container's image; `None` when containerd has no such image.
    async fn digest(&self, wanted: &mut Waiting) -> Result<Option<String>, RpcStatus> {
        if std::mem::take(&mut wanted.ran_before)
            && let Some(record) = self.record(&wanted.namespace, &wanted.container).await?
        {
            let by_id = record::image_references(&record);
            wanted.references.splice(0..0, by_id);
        }
        for name in &wanted.references {
            let request = within(&wanted.namespace, GetImageRequest { name: name.clone() })?;
            match call(self.client.images().get(request)).await {
                Ok(answer) => {
                    let target = answer.image.and_then(|image| image.target);
                    let digest = target
                        .map(|target| target.digest)
                        .filter(|digest| !digest.is_empty());
                    if digest.is_some() {
                        return Ok(digest);
                    }
                }
                Err(status) if is_an_answer(&status) => {}
                Err(status) => return Err(status),
            }
        }
        Ok(None)
    }
}

fn nanoseconds(time: &prost_types::Timestamp) -> Option<u64> {
    let seconds = u64::try_from(time.seconds).ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(u64::try_from(time.nanos).ok()?)
}

/// A request about one namespace.
fn within<T>(namespace: &str, message: T) -> Result<Request<T>, RpcStatus> {
    let mut request = Request::new(message);
    let namespace = MetadataValue::try_from(namespace)
        .map_err(|_| RpcStatus::internal("a namespace that is no header"))?;
    request.metadata_mut().insert("containerd-namespace", namespace);
    Ok(request)
}

/// True for what containerd says; false for what became of the connection.
fn is_an_answer(status: &RpcStatus) -> bool {
    use Code::{
        AlreadyExists, DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound, OutOfRange,
        PermissionDenied, ResourceExhausted, Unimplemented,
    };
    matches!(
        status.code(),
        AlreadyExists
            | DeadlineExceeded
            | FailedPrecondition
            | InvalidArgument
            | NotFound
            | OutOfRange
            | PermissionDenied
            | ResourceExhausted
            | Unimplemented
    )
}

async fn call<T>(answer: impl Future<Output = Result<Response<T>, RpcStatus>>) -> Result<T, RpcStatus> {
    match tokio::time::timeout(CALL, answer).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(RpcStatus::deadline_exceeded("containerd gave no answer")),
    }
}

async fn call_stream<T>(
    answers: &mut containerd_client::tonic::Streaming<T>,
) -> Result<Option<T>, RpcStatus> {
    match tokio::time::timeout(CALL, answers.message()).await {
        Ok(answer) => answer,
        Err(_) => Err(RpcStatus::deadline_exceeded("containerd gave no answer")),
    }
}
