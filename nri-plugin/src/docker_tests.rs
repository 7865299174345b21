//! There is no docker on the machines this was written on: a small server with the public shape of its API stands for it.

use std::collections::HashMap;
use std::sync::PoisonError;

use lanner_schema::container::ContainerTable;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::{broadcast, oneshot};

use super::*;
use crate::registry::tests::{Fixture, id};

const LIMIT: Duration = Duration::from_secs(60);

/// Answers `GET` for the paths it knows, and streams events in chunks.
struct FakeDocker {
    folder: tempfile::TempDir,
    answers: Arc<Mutex<HashMap<String, Value>>>,
    events: broadcast::Sender<String>,
    /// Connections that listen to events.
    listening: watch::Receiver<usize>,
}

impl FakeDocker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let answers: Arc<Mutex<HashMap<String, Value>>> = Arc::default();
        let (events, _) = broadcast::channel(64);
        let (count, listening) = watch::channel(0);
        let (given, streams) = (Arc::clone(&answers), events.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let streamed = streams.subscribe();
                tokio::spawn(serve(stream, Arc::clone(&given), streamed, count.clone()));
            }
        });
        Self {
            folder,
            answers,
            events,
            listening,
        }
    }

    fn answer(&self, path: &str, answer: Value) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(path.to_owned(), answer);
    }

    fn has(&self, id: &str, name: &str, pid: u32, privileged: bool) {
        self.answer(
            &format!("/containers/{id}/json"),
            json!({
                "Id": id, "Name": format!("/{name}"), "Image": "sha256:1234",
                "State": { "Running": pid != 0, "Pid": pid },
                "Config": { "Image": "reg:5000/web:1.2", "Labels": { "team": "shop" } },
                "HostConfig": { "Privileged": privileged, "PidMode": "host", "NetworkMode": "bridge" },
                "Mounts": [{ "Source": "/srv", "Destination": "/data", "Mode": "z", "RW": false, "Propagation": "rprivate" }],
                "NetworkSettings": { "IPAddress": "172.17.0.2" },
            }),
        );
    }

    async fn happens(&mut self, action: &str, id: &str) {
        let wait = self.listening.wait_for(|listening| *listening > 0);
        tokio::time::timeout(LIMIT, wait).await.unwrap().unwrap();
        let event = json!({ "Type": "container", "Action": action, "Actor": { "ID": id, "Attributes": {} } });
        self.events.send(format!("{event}\n")).unwrap();
    }
}

async fn serve(
    mut stream: UnixStream,
    answers: Arc<Mutex<HashMap<String, Value>>>,
    mut events: broadcast::Receiver<String>,
    listening: watch::Sender<usize>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    if path == EVENTS {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head.as_bytes()).await;
        listening.send_modify(|count| *count += 1);
        while let Ok(event) = events.recv().await {
            // An event may come in parts.
            let (first, second) = event.split_at(event.len() / 2);
            for part in [first, second] {
                let chunk = format!("{:x}\r\n{part}\r\n", part.len());
                if stream.write_all(chunk.as_bytes()).await.is_err() {
                    return;
                }
                let _ = stream.flush().await;
            }
        }
        return;
    }
    let answer = answers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&path)
        .cloned();
    let (status, body) = match answer {
        Some(answer) => ("200 OK", answer.to_string()),
        None => ("404 Not Found", json!({ "message": "no such thing" }).to_string()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
}

struct Following {
    fixture: Arc<Mutex<Registry>>,
    table: Arc<ContainerTable>,
    look_ups: mpsc::Sender<LookUp>,
    stop: watch::Sender<bool>,
    /// The host's files.
    _root: tempfile::TempDir,
}

fn follow(docker: &FakeDocker, fixture: Fixture) -> Following {
    let (table, status) = (Arc::clone(&fixture.table), Arc::clone(&fixture.status));
    let registry = Arc::new(Mutex::new(fixture.registry));
    let (look_ups, mut asked) = mpsc::channel(8);
    let (stop, mut stopped) = watch::channel(false);
    let task = Docker {
        address: docker.folder.path().join("docker.sock"),
        runtime: "docker",
        registry: Arc::clone(&registry),
        status,
    };
    tokio::spawn(crate::search::run(Arc::clone(&registry), stopped.clone()));
    tokio::spawn(async move { task.run(&mut asked, &mut None, &mut stopped).await });
    Following {
        fixture: registry,
        table,
        look_ups,
        stop,
        _root: fixture.root,
    }
}

impl Following {
    async fn known(&self, wanted: impl Fn(&Container) -> bool) -> Arc<Container> {
        let mut reader = self.table.reader();
        let found = async {
            loop {
                if reader.refresh()
                    && let Some(found) = reader.containers().all().find(|container| wanted(container))
                {
                    return Arc::clone(found);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap()
    }
}

#[test_log::test(tokio::test)]
async fn containers_of_the_list_and_of_events_are_known() {
    let mut docker = FakeDocker::start();
    docker.answer(
        "/containers/json?all=1",
        json!([
            { "Id": id('a'), "Names": ["/old"], "Image": "reg:5000/web:1.2", "State": "running", "Labels": {} },
            { "Id": id('b'), "Names": ["/stopped"], "Image": "sha256:99", "State": "exited", "Labels": { "k": "v" } },
            { "no": "id" },
        ]),
    );
    docker.has(&id('a'), "old", 42, true);
    docker.answer(
        "/images/sha256:1234/json",
        json!({ "RepoDigests": ["other@sha256:66", "reg:5000/web@sha256:77"] }),
    );
    let fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('a'));
    let following = follow(&docker, fixture);

    let old = following
        .known(|container| container.digest.is_some() && container.cgroup != 0)
        .await;
    assert_eq!(
        (old.name.as_deref(), old.runtime, old.cgroup),
        (Some("old"), "docker", cgroup)
    );
    assert_eq!(
        (old.image.as_deref(), old.tag()),
        (Some("reg:5000/web:1.2"), Some("1.2"))
    );
    assert_eq!(
        (old.digest.as_deref(), old.privileged),
        (Some("sha256:77"), Some(true))
    );
    assert_eq!((old.labels["team"].as_str(), old.learnt), ("shop", Learnt::Api));
    assert_eq!(
        (old.host.pid, old.host.network, old.host.ipc),
        (Some(true), Some(false), None)
    );
    assert_eq!(
        (old.ip.as_deref(), old.image_id()),
        (Some("172.17.0.2"), Some("1234"))
    );
    let mounts = old.mounts.as_ref().unwrap();
    assert_eq!(
        (
            mounts[0].source.as_str(),
            mounts[0].mode.as_str(),
            mounts[0].writable
        ),
        ("/srv", "z", false)
    );
    let stopped = following.known(|container| container.full_id == id('b')).await;
    assert_eq!(
        (stopped.name.as_deref(), stopped.image.as_deref(), stopped.cgroup),
        (Some("stopped"), None, 0)
    );
    assert_eq!(stopped.labels["k"], "v");

    docker.has(&id('c'), "new", 0, false);
    docker.happens("create", &id('c')).await;
    let new = following.known(|container| container.full_id == id('c')).await;
    assert_eq!(
        (new.name.as_deref(), new.cgroup),
        (Some("new"), 0),
        "before it starts"
    );
    docker.has(&id('c'), "renamed", 0, false);
    docker.happens("rename", &id('c')).await;
    following
        .known(|container| container.name.as_deref() == Some("renamed"))
        .await;
    following.stop.send(true).unwrap();
}

#[test_log::test(tokio::test)]
async fn a_container_that_was_seen_is_looked_up_in_the_list() {
    let docker = FakeDocker::start();
    docker.answer("/containers/json?all=1", json!([]));
    let following = follow(&docker, Fixture::new());
    docker.answer(
        &format!(
            "/containers/json?all=1&filters=%7B%22id%22%3A%5B%22{}%22%5D%7D",
            id('d')
        ),
        json!([{ "Id": id('d'), "Names": ["/starting"], "Image": "web", "State": "created" }]),
    );
    // Asked again until it is connected: what comes earlier is answered with nothing.
    let asked = async {
        while following.table.snapshot().by_key(&id('d')).is_none() {
            let (done, answered) = oneshot::channel();
            let look_up = LookUp { id: id('d'), done };
            following.look_ups.send(look_up).await.unwrap();
            let _ = answered.await;
        }
    };
    tokio::time::timeout(LIMIT, asked).await.unwrap();
    let found = following.table.snapshot().by_key(&id('d')).cloned().unwrap();
    assert_eq!(found.name.as_deref(), Some("starting"));
}

#[test_log::test(tokio::test)]
async fn what_docker_removes_is_let_go_of_and_what_containerd_removes_is_not() {
    let mut docker = FakeDocker::start();
    docker.answer("/containers/json?all=1", json!([]));
    docker.has(&id('e'), "web", 0, false);
    let following = follow(&docker, Fixture::new());
    docker.happens("create", &id('e')).await;
    following.known(|container| container.full_id == id('e')).await;
    let later = || Instant::now() + Duration::from_secs(3600);
    {
        let mut registry = following.fixture.lock().unwrap();
        // dockerd keeps a stopped container that containerd has no more.
        registry.gone(&"/run/containerd.sock".into(), &id('e'), Instant::now());
        registry.sweep(later());
    }
    assert!(following.table.snapshot().by_key(&id('e')).is_some());
    docker.happens("destroy", &id('e')).await;
    let gone = async {
        while following.table.snapshot().by_key(&id('e')).is_some() {
            following.fixture.lock().unwrap().sweep(later());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.unwrap();
}

#[test]
fn lines_that_are_no_events_are_counted() {
    let status = Status::default();
    let mut buffer = b"{\"a\":1}\nnonsense\n\n{\"b\":".to_vec();
    assert_eq!(take_events(&mut buffer, &status), [json!({ "a": 1 })]);
    assert_eq!(buffer, b"{\"b\":");
    buffer.extend_from_slice(b"2}\n");
    assert_eq!(take_events(&mut buffer, &status), [json!({ "b": 2 })]);
    assert_eq!(status.snapshot().errors, 1);
}

#[test]
fn what_is_no_container_is_none() {
    for text in ["null", "[]", "{}", r#"{"Id":7}"#, r#"{"Id":""}"#] {
        let value = serde_json::from_str(text).unwrap();
        assert!(from_list(&value, "docker").is_none() && from_inspect(&value, "docker").is_none());
    }
    let strange = json!({ "Id": "a", "Name": 1, "State": { "Pid": -4 }, "Config": { "Labels": { "a": 1 } } });
    let container = from_inspect(&strange, "podman").unwrap();
    assert_eq!((container.name.as_deref(), container.pid), (None, 0));
    assert!(container.labels.is_empty());
}

#[test]
fn a_digest_is_that_of_the_repository_or_the_only_one() {
    let of = |digests: &[&str]| repository_digest(&json!({ "RepoDigests": digests }), Some("a/web"));
    assert_eq!(
        of(&["b/web@sha256:1", "a/web@sha256:2"]).as_deref(),
        Some("sha256:2")
    );
    assert_eq!(of(&["b/web@sha256:1"]).as_deref(), Some("sha256:1"));
    assert_eq!(of(&["b/web@sha256:1", "c/web@sha256:2"]), None);
    assert_eq!(of(&[]), None);
}

#[test]
fn what_the_kubelet_runs_through_docker_has_its_pod() {
    let of = |id: &str, kind: &str| {
        json!({ "Id": id, "Names": [format!("/k8s_{kind}_cart_shop_u1_0")], "Labels": {
            "io.kubernetes.pod.name": "cart", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u1",
            "io.kubernetes.docker.type": kind, "io.kubernetes.sandbox.id": "s1", "app": "cart",
        } })
    };
    let container = from_list(&of("c1", "container"), "docker").unwrap();
    let pod = container.pod.unwrap();
    assert_eq!(
        (
            pod.name.as_str(),
            pod.namespace.as_str(),
            pod.uid.as_str(),
            pod.sandbox_id.as_str()
        ),
        ("cart", "shop", "u1", "s1")
    );
    assert!(pod.labels.is_empty(), "they are the sandbox's to tell");
    let sandbox = from_list(&of("s1", "podsandbox"), "docker").unwrap();
    let pod = sandbox.pod.unwrap();
    assert_eq!(
        (pod.sandbox_id.as_str(), pod.labels["app"].as_str()),
        ("s1", "cart")
    );
    assert_eq!(from_list(&json!({ "Id": "a" }), "docker").unwrap().pod, None);
}
