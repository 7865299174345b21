//! The protocol without a socket and without a host: for the fuzz targets and the bench.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lanner_schema::container::ContainerTable;
use prost::Message as _;

use crate::api;
use crate::cgroup::Host;
use crate::conversation::Conversation;
use crate::mux::{self, Demux};
use crate::plugin::{Plugin, Timeouts};
use crate::registry::Registry;
use crate::status::{Status, StatusSnapshot};
use crate::ttrpc::{self, Decoder};

/// The plugin's side of a connection.
#[derive(Debug)]
pub struct Rehearsal {
    conversation: Conversation,
    status: Arc<Status>,
    table: Arc<ContainerTable>,
}

impl Rehearsal {
    /// On the host whose `/` is at `host_root`; where there is none, nothing has a cgroup.
    pub fn new(host_root: &Path) -> Self {
        let (table, status) = (ContainerTable::new(), Arc::<Status>::default());
        let registry = Registry::new(
            Host::new(host_root),
            Arc::clone(&table),
            Arc::clone(&status),
            None,
            Duration::ZERO,
        );
        let plugin = Plugin {
            name: "lanner".into(),
            index: "10".into(),
            timeouts: Timeouts::default(),
            registry: Arc::new(Mutex::new(registry)),
            status: Arc::clone(&status),
            configured: Mutex::default(),
            notify: None,
            reconcile: None,
        };
        Self {
            conversation: Conversation::new(Arc::new(plugin)),
            status,
            table,
        }
    }

    /// Takes bytes of the runtime and gives those for it.
    ///
    /// # Errors
    /// When they end the connection.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let result = self.conversation.receive(bytes, Instant::now(), &mut out);
        self.conversation.written();
        self.conversation.take_in();
        result.map(|()| out).map_err(|error| error.to_string())
    }

    /// The counters.
    pub fn status(&self) -> StatusSnapshot {
        self.status.snapshot()
    }

    /// Containers that are known.
    pub fn containers(&self) -> usize {
        self.table.snapshot().all().count()
    }
}

/// What each connection carries in bytes that come in pieces, and how it ended.
pub fn demultiplexed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> ([Vec<u8>; 2], Option<String>) {
    let mut demux = Demux::default();
    let mut connections = [Vec::new(), Vec::new()];
    for piece in pieces {
        let pushed = demux.push(piece, |connection, chunk| {
            connections[usize::from(connection == mux::RUNTIME)].extend_from_slice(chunk);
        });
        if let Err(error) = pushed {
            return (connections, Some(error.to_string()));
        }
    }
    (connections, None)
}

/// The messages in bytes that come in pieces, and how it ended.
pub fn messages<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<String>) {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(message)) => messages.push(format!("{message:?}")),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.to_string())),
            }
        }
    }
    (messages, None)
}

/// A payload in frames of the connection for requests.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    mux::frames(mux::PLUGIN, payload, &mut frames);
    frames
}

/// A request to the plugin as a message.
pub fn request(stream: u32, method: &str, payload: &[u8]) -> Vec<u8> {
    let request = ttrpc::Request {
        service: api::PLUGIN_SERVICE.into(),
        method: method.into(),
        payload: payload.to_vec(),
        timeout_nano: 2_000_000_000,
    };
    ttrpc::encode_request(stream, &request)
}

/// Methods with payloads that a runtime sends, about the container with this id.
pub fn requests(id: &str) -> Vec<(&'static str, Vec<u8>)> {
    let pod = api::PodSandbox {
        id: "f".repeat(64),
        name: "cart".into(),
        uid: "uid-1".into(),
        namespace: "shop".into(),
        labels: [("app".into(), "cart".into())].into(),
        linux: Some(api::LinuxPodSandbox {
            cgroups_path: "/k8s.io/f".into(),
            ..api::LinuxPodSandbox::default()
        }),
        ..api::PodSandbox::default()
    };
    let container = api::Container {
        id: id.to_owned(),
        pod_sandbox_id: "f".repeat(64),
        name: "web".into(),
        labels: [("tier".into(), "front".into())].into(),
        annotations: [(
            "io.kubernetes.cri.image-name".into(),
            "registry.test/web:1.27".into(),
        )]
        .into(),
        linux: Some(api::LinuxContainer {
            cgroups_path: format!("/k8s.io/{id}"),
            ..api::LinuxContainer::default()
        }),
        pid: 4711,
        ..api::Container::default()
    };
    let configure = api::ConfigureRequest {
        runtime_name: "containerd".into(),
        runtime_version: "2.3.4".into(),
        nri_version: "v0.12.0".into(),
        ..api::ConfigureRequest::default()
    };
    let both = api::LifecycleRequest {
        pod: Some(pod.clone()),
        container: Some(container.clone()),
    };
    let change = |event| api::StateChangeEvent {
        event,
        pod: Some(pod.clone()),
        container: Some(container.clone()),
    };
    // A SynchronizeRequest has pods and containers under the same numbers.
    let part = [both.encode_to_vec(), vec![0x18, 1]].concat();
    vec![
        ("Configure", configure.encode_to_vec()),
        ("Synchronize", part),
        ("Synchronize", Vec::new()),
        ("CreateContainer", both.encode_to_vec()),
        ("StartContainer", both.encode_to_vec()),
        ("StateChange", change(6).encode_to_vec()),
        ("StateChange", change(1).encode_to_vec()),
        ("StateChange", change(11).encode_to_vec()),
        ("Shutdown", Vec::new()),
    ]
}
