//! containerd's own API, for what NRI does not tell: image digests, and containers that NRI left out.
//!
//! Everything here happens beside the runtime's calls, never within them. An answer that comes late updates the table;
//! one that never comes leaves the field empty. containerd may be absent or restart: attempts go on quietly.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use containerd_client::Client;
use containerd_client::services::v1::{GetImageRequest, ListContainersRequest, ListTasksRequest};
use containerd_client::tonic::metadata::MetadataValue;
use containerd_client::tonic::{Code, Request, Status as RpcStatus};
use containerd_client::types::v1::Status as TaskStatus;
use lanner_schema::container::{Container, Learnt, Pod};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info};

use crate::oci_spec::Spec;
use crate::registry::Registry;
use crate::status::Status;

/// The containerd namespace of everything that CRI runs.
const NAMESPACE: &str = "k8s.io";
/// What CRI keeps with a container, as JSON.
const CRI_METADATA: &str = "io.cri-containerd.container.metadata";
/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
/// Attempts per digest: an image may be recorded a moment after its container is created.
const ATTEMPTS: u32 = 4;
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Digests that wait for containerd, at most; older ones are given up.
const WAITING_MAX: usize = 4096;

/// Which digest is wanted for which container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DigestRequest {
    pub(crate) container: String,
    pub(crate) image: String,
}

/// Compare NRI's containers with containerd's.
///
/// A container created while a plugin is being synchronised can be in neither Synchronize nor the events.
#[derive(Debug)]
pub(crate) struct Reconcile;

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Images {
    pub(crate) address: PathBuf,
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) status: Arc<Status>,
}

struct Waiting {
    request: DigestRequest,
    attempts: u32,
    /// Not to be asked for before this.
    due: Instant,
}

impl Images {
    /// Answers requests until `shutdown`.
    pub(crate) async fn run(
        self,
        mut digests: mpsc::Receiver<DigestRequest>,
        mut reconcile: mpsc::Receiver<Reconcile>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut client: Option<Client> = None;
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let mut compare = false;
        let mut backoff = BACKOFF_MIN;
        let mut said = false;
        loop {
            let idle = waiting.is_empty() && !compare;
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                request = digests.recv() => match request {
                    Some(request) => {
                        if waiting.len() >= WAITING_MAX {
                            waiting.pop_front();
                            Status::count(&self.status.digests_missing);
                        }
                        waiting.push_back(Waiting { request, attempts: 0, due: Instant::now() });
                        // Only a reachable containerd is asked at once.
                        if client.is_none() && backoff > BACKOFF_MIN { continue; }
                    }
                    None => return,
                },
                Some(Reconcile) = reconcile.recv() => compare = true,
                () = tokio::time::sleep(backoff), if !idle => {}
            }
            let connected = match client.take() {
                Some(client) => client,
                None => match tokio::time::timeout(CALL, Client::from_path(&self.address)).await {
                    Ok(Ok(client)) => {
                        if std::mem::take(&mut said) {
                            info!(address = %self.address.display(), "containerd answers again");
                        }
                        client
                    }
                    failed => {
                        if !said {
                            let error = failed.map(|result| result.err());
                            debug!(?error, "connect");
                            info!(
                                address = %self.address.display(),
                                "containerd's own socket can't be reached: image digests stay empty until it can"
                            );
                            said = true;
                        }
                        backoff = (backoff * 2).min(BACKOFF_MAX);
                        continue;
                    }
                },
            };
            client = Some(connected);
            if let Some(connected) = &client {
                match self.work(connected, &mut waiting, &mut compare).await {
                    Ok(()) => backoff = BACKOFF_MIN,
                    Err(status) => {
                        debug!(%status, "containerd call failed");
                        client = None;
                        backoff = (backoff * 2).min(BACKOFF_MAX);
                    }
                }
            }
        }
    }

    /// Goes once through what waits. An error is one of the connection, not of an image.
    async fn work(
        &self,
        client: &Client,
        waiting: &mut VecDeque<Waiting>,
        compare: &mut bool,
    ) -> Result<(), RpcStatus> {
        for _ in 0..waiting.len() {
            let Some(mut next) = waiting.pop_front() else {
                break;
            };
            if next.due > Instant::now() {
                waiting.push_back(next);
                continue;
            }
            match digest_of(client, &next.request.image).await {
                Ok(Some(digest)) => self.with(|registry| registry.digest(&next.request.container, &digest)),
                Ok(None) if next.attempts + 1 < ATTEMPTS => {
                    next.due = Instant::now() + BACKOFF_MIN * (1 << next.attempts);
                    next.attempts += 1;
                    waiting.push_back(next);
                }
                Ok(None) => {
                    debug!(
                        image = next.request.image,
                        "containerd has no record of this image"
                    );
                    Status::count(&self.status.digests_missing);
                }
                Err(status) => {
                    waiting.push_front(next);
                    return Err(status);
                }
            }
        }
        if *compare {
            self.compare(client).await?;
            *compare = false;
        }
        Ok(())
    }

    async fn compare(&self, client: &Client) -> Result<(), RpcStatus> {
        let tasks = call(client.tasks().list(named(ListTasksRequest::default()))).await?;
        let running: HashMap<String, u32> = tasks
            .tasks
            .into_iter()
            .filter(|task| task.status != TaskStatus::Stopped as i32)
            .map(|task| (task.id, task.pid))
            .collect();
        let listed = call(client.containers().list(named(ListContainersRequest::default()))).await?;
        for known in listed.containers {
            let Some(pid) = running.get(&known.id).copied() else {
                continue;
            };
            if self.with(|registry| registry.knows(&known.id)) {
                continue;
            }
            let metadata = known.extensions.get(CRI_METADATA);
            let spec = known.spec.as_ref().and_then(|spec| Spec::read(&spec.value));
            let privileged = metadata
                .and_then(|metadata| privileged(&metadata.value))
                .or_else(|| spec.as_ref()?.privileged());
            let container = Container {
                privileged,
                mounts: spec.as_ref().map(Spec::mounts),
                host: spec.as_ref().map(Spec::host_namespaces).unwrap_or_default(),
                ..from_labels(known.id, known.image, known.labels.into_iter().collect(), pid)
            };
            debug!(container = container.id(), "NRI did not tell of this container");
            self.with(|registry| registry.reconciled(container));
        }
        Ok(())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A container as containerd's record describes it: CRI keeps names in labels.
fn from_labels(
    id: String,
    image: String,
    labels: std::collections::BTreeMap<String, String>,
    pid: u32,
) -> Container {
    let label = |key: &str| labels.get(key).filter(|value| !value.is_empty()).cloned();
    let pod_name = label("io.kubernetes.pod.name");
    let pod = pod_name.clone().map(|name| Pod {
        name,
        namespace: label("io.kubernetes.pod.namespace").unwrap_or_default(),
        uid: label("io.kubernetes.pod.uid").unwrap_or_default(),
        ..Pod::default()
    });
    Container {
        name: label("io.kubernetes.container.name").or(pod_name),
        image: Some(image).filter(|image| !image.is_empty()),
        labels,
        pod,
        pid,
        ..Container::new(id, "containerd", Learnt::Synchronize)
    }
}

/// Whether the configuration a container was created with asks for a privileged one; `None` when it can't be read.
fn privileged(metadata: &[u8]) -> Option<bool> {
    let metadata: serde_json::Value = serde_json::from_slice(metadata).ok()?;
    let config = metadata.get("Metadata")?.get("Config")?.as_object()?;
    // What is false is left out.
    let asked = || {
        config
            .get("linux")?
            .get("security_context")?
            .get("privileged")?
            .as_bool()
    };
    Some(asked().unwrap_or(false))
}

/// The digest a reference resolves to; `None` when containerd has no such image.
async fn digest_of(client: &Client, image: &str) -> Result<Option<String>, RpcStatus> {
    match call(client.images().get(named(GetImageRequest {
        name: image.to_owned(),
    })))
    .await
    {
        Ok(answer) => Ok(answer
            .image
            .and_then(|image| image.target)
            .map(|target| target.digest)
            .filter(|digest| !digest.is_empty())),
        Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => Ok(None),
        Err(status) => Err(status),
    }
}

fn named<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
    request
}

async fn call<T>(
    answer: impl Future<Output = Result<containerd_client::tonic::Response<T>, RpcStatus>>,
) -> Result<T, RpcStatus> {
    match tokio::time::timeout(CALL, answer).await {
        Ok(answer) => answer.map(containerd_client::tonic::Response::into_inner),
        Err(_) => Err(RpcStatus::deadline_exceeded("containerd gave no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cri_keeps_says_whether_a_container_is_privileged() {
        let of = |config: &str| privileged(format!(r#"{{"Version":"v1","Metadata":{config}}}"#).as_bytes());
        let yes = r#"{"ID":"a","Config":{"linux":{"security_context":{"privileged":true}}}}"#;
        assert_eq!(of(yes), Some(true));
        assert_eq!(of(r#"{"Config":{"linux":{"security_context":{}}}}"#), Some(false));
        assert_eq!(of(r#"{"Config":{}}"#), Some(false));
        assert_eq!(of("{}"), None);
        assert_eq!(privileged(b"not json"), None);
        assert_eq!(privileged(b""), None);
    }
}
