//! docker's API, which podman serves too: names, images and labels of the containers that containerd and cgroups only know by
//! their id.
//!
//! A container is told of when it is created, so it is known before it starts. Nothing is asked that docker answers only
//! after a start: while one is under way it is looked up in the list, which is never locked.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use lanner_schema::container::{Container, HostNamespaces, Learnt, Mount};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::containerd::LookUp;
use crate::record;
use crate::registry::{Registry, Source, Told};
use crate::socket_file;
use crate::status::{Listing, Status};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// An answer may not be larger.
const ANSWER_MAX: usize = 64 << 20;
/// Events that wait, at most; then docker keeps them.
const EVENTS_MAX: usize = 256;
/// Some servers begin their answer with the first event: when they have begun to listen isn't known.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// One event may not be larger.
const EVENT_MAX: usize = 1 << 20;
/// The stream of what happens to containers: `filters={"type":["container"]}`.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Docker {
    pub(crate) address: PathBuf,
    /// Whose containers these are: `docker` or `podman`.
    pub(crate) runtime: &'static str,
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) status: Arc<Status>,
}

#[derive(Debug, thiserror::Error)]
enum DockerError {
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("HTTP: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("the answer can't be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("{0}")]
    Status(StatusCode),
    #[error("no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("no answer")]
    Silent,
    #[error("the events ended")]
    Ended,
}

impl Docker {
    /// Follows the API until `shutdown`.
    pub(crate) async fn run(
        &self,
        look_ups: &mut mpsc::Receiver<LookUp>,
        listing: &mut Option<Listing>,
        shutdown: &mut watch::Receiver<bool>,
    ) {
        let source: Source = self.address.to_string_lossy().into();
        let mut backoff = BACKOFF_MIN;
        let mut known = false;
        if let Some(what) = socket_file::in_the_way(&self.address) {
            warn!("{what}: {}'s API is not asked there", self.runtime);
        }
        loop {
            // Most hosts have neither docker nor podman's service: that is no news.
            if self.address.exists() {
                let ended = tokio::select! {
                    biased;
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    ended = self.follow(&source, look_ups, listing, &mut backoff, &mut known) => ended,
                };
                if let Err(error) = ended {
                    debug!(address = %self.address.display(), %error, "{}'s API", self.runtime);
                }
            }
            *listing = None;
            let resume = tokio::time::sleep(backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
            tokio::pin!(resume);
            loop {
                tokio::select! {
                    biased;
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    () = &mut resume => break,
                    // The answer is that nothing is known.
                    look_up = look_ups.recv() => if look_up.is_none() { return },
                }
            }
        }
    }

    async fn follow(
        &self,
        source: &Source,
        look_ups: &mut mpsc::Receiver<LookUp>,
        listing: &mut Option<Listing>,
        backoff: &mut Duration,
        known: &mut bool,
    ) -> Result<(), DockerError> {
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        // Dropped, and so ended, with this.
        let mut following = JoinSet::new();
        following.spawn(stream(
            self.address.clone(),
            self.runtime,
            Arc::clone(&self.status),
            sender,
        ));
        self.list(source).await?;
        *listing = None;
        *backoff = BACKOFF_MIN;
        if !std::mem::replace(known, true) {
            info!(address = %self.address.display(), "{}'s API tells of its containers", self.runtime);
        }
        // What happened before the stream of events had begun is in the second list.
        let second_look = tokio::time::sleep(SECOND_LOOK);
        tokio::pin!(second_look);
        let mut looked = false;
        loop {
            tokio::select! {
                biased;
                event = events.recv() => self.event(source, &event.ok_or(DockerError::Ended)??).await?,
                Some(LookUp { id, done }) = look_ups.recv() => {
                    self.look_up(source, &id).await?;
                    drop(done);
                }
                () = &mut second_look, if !looked => {
                    looked = true;
                    self.list(source).await?;
                }
            }
        }
    }

    async fn event(&self, source: &Source, event: &Value) -> Result<(), DockerError> {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str);
        let Some(id) = text("/Actor/ID").or_else(|| text("/id")) else {
            return Ok(());
        };
        match text("/Action").or_else(|| text("/status")).unwrap_or_default() {
            "create" | "start" | "rename" => self.inspect(source, id).await,
            "destroy" | "remove" => {
                self.registry(|registry| registry.gone(source, id, Instant::now()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes in all containers there are, and lets go of those that are no more.
    async fn list(&self, source: &Source) -> Result<(), DockerError> {
        let all = self.json("/containers/json?all=1").await?;
        let mut seen = HashSet::new();
        for listed in all.as_array().into_iter().flatten() {
            let Some(container) = from_list(listed, self.runtime) else {
                continue;
            };
            seen.insert(container.full_id.clone());
            let id = container.full_id.clone();
            let runs = listed.get("State").and_then(Value::as_str) == Some("running");
            self.tell(source, container);
            if runs {
                self.inspect(source, &id).await?;
            }
        }
        self.registry(|registry| registry.listed(source, &seen, Instant::now()));
        Ok(())
    }

    async fn look_up(&self, source: &Source, id: &str) -> Result<(), DockerError> {
        if !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(());
        }
        // filters={"id":["ID"]}
        let filters = format!("/containers/json?all=1&filters=%7B%22id%22%3A%5B%22{id}%22%5D%7D");
        let found = self.json(&filters).await?;
        for listed in found.as_array().into_iter().flatten() {
            if let Some(container) = from_list(listed, self.runtime) {
                self.tell(source, container);
            }
        }
        Ok(())
    }

    /// Takes in all there is to know of one container. One that is gone by now is no error.
    async fn inspect(&self, source: &Source, id: &str) -> Result<(), DockerError> {
        let inspected = match self.json(&format!("/containers/{id}/json")).await {
            Ok(inspected) => inspected,
            Err(DockerError::Status(_) | DockerError::Silent) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(mut container) = from_inspect(&inspected, self.runtime) else {
            return Ok(());
        };
        if let Some(image) = inspected.get("Image").and_then(Value::as_str) {
            match self.json(&format!("/images/{image}/json")).await {
                Ok(image) => container.digest = repository_digest(&image, container.repository()),
                Err(DockerError::Status(_) | DockerError::Silent) => {}
                Err(error) => return Err(error),
            }
        }
        self.tell(source, container);
        Ok(())
    }

    fn tell(&self, source: &Source, container: Container) {
        let told = Told {
            container,
            cgroups_path: String::new(),
        };
        self.registry(|registry| registry.told_by(source, told));
    }

    async fn json(&self, path: &str) -> Result<Value, DockerError> {
        let answer = async {
            let mut connections = JoinSet::new();
            let body = get(&self.address, self.runtime, path, &mut connections).await?;
            let body = Limited::new(body, ANSWER_MAX);
            let body = body.collect().await.map_err(DockerError::Body)?;
            Ok(serde_json::from_slice(&body.to_bytes())?)
        };
        tokio::time::timeout(CALL, answer)
            .await
            .unwrap_or(Err(DockerError::Silent))
    }

    fn registry<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One request on a connection of its own, which ends with `connections`.
async fn get(
    address: &Path,
    host: &str,
    path: &str,
    connections: &mut JoinSet<()>,
) -> Result<Incoming, DockerError> {
    let stream = UnixStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    connections.spawn(async move {
        // What goes wrong shows in the answer.
        let _ = connection.await;
    });
    let request = Request::get(path)
        .header(hyper::header::HOST, host)
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    match answer.status() {
        StatusCode::OK => Ok(answer.into_body()),
        status => Err(DockerError::Status(status)),
    }
}

/// Passes events on until they end.
async fn stream(
    address: PathBuf,
    host: &'static str,
    status: Arc<Status>,
    sender: mpsc::Sender<Result<Value, DockerError>>,
) {
    let all = async {
        let mut connections = JoinSet::new();
        let mut body = get(&address, host, EVENTS, &mut connections).await?;
        let mut buffer = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame?;
            let Some(data) = frame.data_ref() else { continue };
            buffer.extend_from_slice(data);
            for event in take_events(&mut buffer, &status) {
                if sender.send(Ok(event)).await.is_err() {
                    return Ok(());
                }
            }
            if buffer.len() > EVENT_MAX {
                return Err(DockerError::Body("an event that is too large".into()));
            }
        }
        Ok(())
    };
    if let Err(error) = all.await {
        let _ = sender.send(Err(error)).await;
    }
}

/// Takes the whole events off the front: one JSON object in each line.
fn take_events(buffer: &mut Vec<u8>, status: &Status) -> Vec<Value> {
    let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else {
        return Vec::new();
    };
    let whole: Vec<u8> = buffer.drain(..=end).collect();
    let lines = whole.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .filter_map(|line| match serde_json::from_slice(line) {
            Ok(event) => Some(event),
            Err(_) => {
                Status::count(&status.errors);
                None
            }
        })
        .collect()
}

fn text(value: &Value, path: &str) -> Option<String> {
    let text = value.pointer(path)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn labels(value: Option<&Value>) -> BTreeMap<String, String> {
    let labels = value.and_then(Value::as_object).into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Names begin with a slash.
fn name(name: Option<String>) -> Option<String> {
    name.map(|name| name.trim_start_matches('/').to_owned())
}

fn image_id(id: Option<String>) -> Option<String> {
    id.map(|id| id.trim_start_matches("sha256:").to_owned())
}

fn mount(mount: &Value) -> Mount {
    let text = |key: &str| {
        mount
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Mount {
        source: text("Source"),
        destination: text("Destination"),
        mode: text("Mode"),
        writable: mount.get("RW").and_then(Value::as_bool).unwrap_or(true),
        propagation: text("Propagation"),
    }
}

/// A container that has these labels. The kubelet gives those of its pod, through cri-dockerd.
fn labelled(id: String, runtime: &'static str, labels: BTreeMap<String, String>) -> Container {
    let label = |key: &str| labels.get(key).cloned();
    let is_sandbox = label("io.kubernetes.docker.type").is_some_and(|kind| kind == "podsandbox");
    let sandbox_id = match is_sandbox {
        true => id.clone(),
        false => label("io.kubernetes.sandbox.id").unwrap_or_default(),
    };
    Container {
        pod: record::pod(&labels, sandbox_id, is_sandbox),
        labels,
        ..Container::new(id, runtime, Learnt::Api)
    }
}

/// A container as the list has it.
fn from_list(listed: &Value, runtime: &'static str) -> Option<Container> {
    Some(Container {
        name: name(text(listed, "/Names/0")),
        // An image that has lost its name is listed by its id.
        image: text(listed, "/Image").filter(|image| !image.starts_with("sha256:")),
        image_id: image_id(text(listed, "/ImageID")),
        ..labelled(text(listed, "/Id")?, runtime, labels(listed.get("Labels")))
    })
}

/// A container as it is described when asked about.
pub(crate) fn from_inspect(inspected: &Value, runtime: &'static str) -> Option<Container> {
    let pid = inspected.pointer("/State/Pid").and_then(Value::as_u64);
    let is_host = |path: &str| Some(inspected.pointer(path)?.as_str()? == "host");
    Some(Container {
        name: name(text(inspected, "/Name")),
        image: text(inspected, "/Config/Image").or_else(|| text(inspected, "/ImageName")),
        image_id: image_id(text(inspected, "/Image")),
        privileged: inspected
            .pointer("/HostConfig/Privileged")
            .and_then(Value::as_bool),
        mounts: inspected
            .get("Mounts")
            .and_then(Value::as_array)
            .map(|mounts| mounts.iter().map(mount).collect()),
        host: HostNamespaces {
            pid: is_host("/HostConfig/PidMode"),
            network: is_host("/HostConfig/NetworkMode"),
            ipc: is_host("/HostConfig/IpcMode"),
        },
        ip: text(inspected, "/NetworkSettings/IPAddress"),
        pid: pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        ..labelled(
            text(inspected, "/Id")?,
            runtime,
            labels(inspected.pointer("/Config/Labels")),
        )
    })
}

/// The digest of an image in the repository that the container names, or the only one there is.
fn repository_digest(image: &Value, repository: Option<&str>) -> Option<String> {
    let all: Vec<(&str, &str)> = image
        .get("RepoDigests")?
        .as_array()?
        .iter()
        .filter_map(|digest| digest.as_str()?.split_once('@'))
        .collect();
    let of_repository = all.iter().find(|(of, _)| Some(*of) == repository);
    match (of_repository, all.as_slice()) {
        (Some((_, digest)), _) | (None, [(_, digest)]) => Some((*digest).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "docker_tests.rs"]
mod tests;
