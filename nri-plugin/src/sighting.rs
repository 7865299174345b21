//! Containers that the event thread saw by their cgroup and nobody told of: podman's, CRI-O's without NRI, LXC's, and any
//! whose event is late or was missed. Everyone who may know is asked; what comes of it goes to the table in any case.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lanner_schema::container::{Container, Identify};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::containerd::LookUp;
use crate::registry::{Registry, SEEN, Source, Told};
use crate::status::Status;
use crate::{docker_files, storage};

/// Questions that wait, and that are worked on, at most.
const QUESTIONS: usize = 64;
/// How long someone who is asked may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How often the cgroups of containers that nothing else tells the end of are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// The event thread's end.
#[derive(Debug)]
struct Questions(mpsc::Sender<Arc<Container>>, Arc<Status>);

impl Identify for Questions {
    fn ask(&self, seen: &Arc<Container>) -> bool {
        let asked = self.0.try_send(Arc::clone(seen)).is_ok();
        if !asked {
            Status::count(&self.1.sightings_dropped);
        }
        asked
    }
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Sightings {
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) host_root: PathBuf,
    /// Storages of podman and CRI-O; empty when their files are not to be read.
    pub(crate) storages: Vec<PathBuf>,
    /// Data roots of docker.
    pub(crate) docker_roots: Vec<PathBuf>,
    /// Who can be asked about containers of these runtimes.
    pub(crate) asked: Vec<(&'static [&'static str], mpsc::Sender<LookUp>)>,
    /// What is gone is to be forgotten here: there is no connection to the runtime that does it.
    pub(crate) sweeps: bool,
}

/// Where the event thread asks, and where the questions come out.
pub(crate) fn questions(status: &Arc<Status>) -> (Arc<dyn Identify>, mpsc::Receiver<Arc<Container>>) {
    let (sender, questions) = mpsc::channel(QUESTIONS);
    (Arc::new(Questions(sender, Arc::clone(status))), questions)
}

impl Sightings {
    /// Answers questions until `shutdown`.
    pub(crate) async fn run(
        self: &Arc<Self>,
        questions: &mut mpsc::Receiver<Arc<Container>>,
        shutdown: &mut watch::Receiver<bool>,
    ) {
        let source: Source = SEEN.into();
        let mut sweep = tokio::time::interval(SWEEP);
        let mut answering = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                seen = questions.recv(), if answering.len() < QUESTIONS => match seen {
                    Some(seen) => {
                        answering.spawn(Arc::clone(self).answer(source.clone(), seen));
                    }
                    None => return,
                },
                Some(_) = answering.join_next() => {}
                _ = sweep.tick() => self.registry(|registry| {
                    registry.sweep_seen(Instant::now());
                    if self.sweeps {
                        registry.sweep(Instant::now());
                    }
                }),
            }
        }
    }

    async fn answer(self: Arc<Self>, source: Source, seen: Arc<Container>) {
        let this = Arc::clone(&self);
        let wanted = Arc::clone(&seen);
        let found = tokio::task::spawn_blocking(move || this.in_files(&wanted));
        if let Ok(Some(container)) = found.await {
            let told = Told {
                container,
                cgroups_path: String::new(),
            };
            self.registry(|registry| registry.told_by(&source, told));
        }
        for (runtimes, sender) in &self.asked {
            if !runtimes.contains(&seen.runtime) {
                continue;
            }
            let (done, answered) = oneshot::channel();
            let look_up = LookUp {
                id: seen.full_id.clone(),
                done,
            };
            if sender.try_send(look_up).is_ok() {
                // Late or never: then that much is known.
                let _ = tokio::time::timeout(ANSWER, answered).await;
            }
        }
        self.registry(|registry| registry.seen(&source, &seen));
    }

    fn in_files(&self, seen: &Container) -> Option<Container> {
        match seen.runtime {
            "podman" | "cri-o" => storage::find(&self.host_root, &self.storages, seen),
            "docker" => docker_files::find(&self.host_root, &self.docker_roots, seen),
            _ => None,
        }
    }

    fn registry<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
