//! Who else than NRI knows of containers: containerd's own API, docker's, podman's, and files. They run beside the plugin, which
//! waits for none of them.

use std::sync::{Arc, Mutex};

use lanner_schema::container::ContainerTable;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::containerd::{Containerd, DigestRequest, LookUp, Reconcile, Requests};
use crate::cri::{Cri, Question};
use crate::docker::Docker;
use crate::registry::Registry;
use crate::sighting::{self, Sightings};
use crate::status::Status;
use crate::storage::on_host;
use crate::supervise::Config;

/// Questions that wait, at most.
const LOOK_UPS: usize = 64;

/// What the plugin asks the runtime's containerd for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) digests: mpsc::Receiver<DigestRequest>,
    pub(crate) reconcile: mpsc::Receiver<Reconcile>,
    pub(crate) questions: mpsc::Receiver<Question>,
}

/// True when there is somebody to ask.
pub(crate) fn any(config: &Config) -> bool {
    config.containerd_enabled
        || !config.docker_sockets.is_empty()
        || !config.podman_sockets.is_empty()
        || !config.storages.is_empty()
}

/// Starts them in `tasks`, with which they end.
#[allow(clippy::too_many_arguments)]
pub(crate) fn start(
    config: &Config,
    asked: Asked,
    registry: &Arc<Mutex<Registry>>,
    table: &Arc<ContainerTable>,
    status: &Arc<Status>,
    shutdown: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
    on: &Handle,
) {
    let mut answering: Vec<(&'static [&'static str], mpsc::Sender<LookUp>)> = Vec::new();
    if config.containerd_enabled {
        let mut asked = Some(asked);
        for address in [&config.containerd_address]
            .into_iter()
            .chain(&config.more_containerds)
        {
            let (sender, look_ups) = mpsc::channel(LOOK_UPS);
            answering.push((&["containerd", "docker"], sender));
            // NRI's questions are for the first: the one whose plugin this is.
            let asked = asked.take().unwrap_or_else(|| Asked {
                digests: mpsc::channel(1).1,
                reconcile: mpsc::channel(1).1,
                questions: mpsc::channel(1).1,
            });
            let cri = Cri {
                address: address.clone(),
                registry: Arc::clone(registry),
                status: Arc::clone(status),
            };
            tasks.spawn_on(cri.run(asked.questions, shutdown.clone()), on);
            let containerd = Containerd {
                address: address.clone(),
                registry: Arc::clone(registry),
                status: Arc::clone(status),
            };
            let requests = Requests {
                digests: asked.digests,
                reconcile: asked.reconcile,
                look_ups,
            };
            tasks.spawn_on(containerd.run(requests, shutdown.clone()), on);
        }
    }
    let docker = config
        .docker_sockets
        .iter()
        .map(|socket| ("docker", &["docker"], socket));
    let podman = config
        .podman_sockets
        .iter()
        .map(|socket| ("podman", &["podman"], socket));
    for (runtime, runtimes, socket) in docker.chain(podman) {
        let (sender, look_ups) = mpsc::channel(LOOK_UPS);
        answering.push((runtimes, sender));
        let docker = Docker {
            address: on_host(&config.host_root, socket),
            runtime,
            registry: Arc::clone(registry),
            status: Arc::clone(status),
        };
        tasks.spawn_on(docker.run(look_ups, shutdown.clone()), on);
    }
    let (identify, questions) = sighting::questions(status);
    let sightings = Sightings {
        registry: Arc::clone(registry),
        host_root: config.host_root.clone(),
        storages: config.storages.clone(),
        asked: answering,
    };
    tasks.spawn_on(sightings.run(questions, shutdown.clone()), on);
    table.identify_by(identify);
}
