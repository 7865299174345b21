//! Who else than NRI knows of containers: containerd's own API, docker's, podman's, and files. They run beside the plugin, which
//! waits for none of them.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use lanner_schema::container::ContainerTable;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::error;

use crate::containerd::{Containerd, DigestRequest, LookUp, Reconcile, Requests};
use crate::cri::{Cri, Question};
use crate::docker::Docker;
use crate::registry::Registry;
use crate::sighting::{self, Sightings};
use crate::status::{Complaint, Listing, Status};
use crate::storage::on_host;
use crate::supervise::Config;

/// What panicked is started again after this long.
const RESTART: Duration = Duration::from_secs(1);
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
        || !config.docker_roots.is_empty()
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
            let is_nris = asked.is_some();
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
                docker_roots: config.docker_roots.clone(),
                host_root: config.host_root.clone(),
                is_nris,
            };
            let mut requests = Requests {
                digests: asked.digests,
                reconcile: asked.reconcile,
                look_ups,
                listing: Some(Listing::begin(status)),
            };
            let (status, mut shutdown) = (Arc::clone(status), shutdown.clone());
            let task = async move {
                let name = "containerd's API";
                while caught(name, &status, containerd.run(&mut requests, &mut shutdown))
                    .await
                    .is_err()
                {}
            };
            tasks.spawn_on(task, on);
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
        let (sender, mut look_ups) = mpsc::channel(LOOK_UPS);
        answering.push((runtimes, sender));
        let docker = Docker {
            address: on_host(&config.host_root, socket),
            runtime,
            registry: Arc::clone(registry),
            status: Arc::clone(status),
        };
        let mut listing = Some(Listing::begin(status));
        let (status, mut shutdown) = (Arc::clone(status), shutdown.clone());
        let task = async move {
            while caught(
                runtime,
                &status,
                docker.run(&mut look_ups, &mut listing, &mut shutdown),
            )
            .await
            .is_err()
            {}
        };
        tasks.spawn_on(task, on);
    }
    let (identify, mut questions) = sighting::questions(status);
    let sightings = Arc::new(Sightings {
        registry: Arc::clone(registry),
        host_root: config.host_root.clone(),
        storages: config.storages.clone(),
        docker_roots: config.docker_roots.clone(),
        asked: answering,
        sweeps: !config.enabled,
    });
    let (status, mut shutdown) = (Arc::clone(status), shutdown.clone());
    let task = async move {
        let name = "what was seen of containers";
        while caught(name, &status, sightings.run(&mut questions, &mut shutdown))
            .await
            .is_err()
        {}
    };
    tasks.spawn_on(task, on);
    table.identify_by(identify);
}

/// Runs a task; what panics is counted, said and, after a moment, to be started again.
async fn caught(name: &str, status: &Status, task: impl Future<Output = ()>) -> Result<(), ()> {
    let mut task = pin!(task);
    let outcome = poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(_) => Poll::Ready(Err(())),
        },
    )
    .await;
    if outcome.is_err() {
        Status::count(&status.panics);
        if status.first(Complaint::Panic) {
            error!("container identity ({name}) panicked, which is a bug of Lanner; it is started again");
        }
        tokio::time::sleep(RESTART).await;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_panics_is_started_again() {
        let status = Status::default();
        let mut times = 0;
        loop {
            times += 1;
            let task = async {
                tokio::task::yield_now().await;
                assert!(times > 2, "a test's panic");
            };
            if caught("a test", &status, task).await.is_ok() {
                break;
            }
        }
        assert_eq!((times, status.snapshot().panics), (3, 2));
    }
}
