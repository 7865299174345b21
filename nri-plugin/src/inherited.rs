//! A plugin that the runtime started (pre-installed): it is connected before it knows anything.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use lanner_schema::container::ContainerTable;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::others::{self, Asked};
use crate::registry::Registry;
use crate::status::Status;
use crate::supervise::{Config, watch_over};

/// What the runtime gave a plugin that it started.
#[derive(Debug)]
pub struct Inherited {
    /// The connection.
    pub socket: UnixStream,
    /// The plugin's name, as the runtime has it.
    pub name: String,
    /// Its index.
    pub index: String,
    /// Gets the text that the runtime has to configure this plugin with, which may be empty.
    pub configured: oneshot::Sender<String>,
    /// What came of that: how the runtime is reached when this connection has ended, and who is asked besides. Name and
    /// index stay those of the runtime. Until it is there, nobody is asked.
    pub config: oneshot::Receiver<Config>,
}

/// The connection, and what is told of the time after it.
#[derive(Debug)]
pub(crate) struct Late {
    pub(crate) socket: UnixStream,
    /// Where the runtime listens; never told when it shall not be connected to.
    pub(crate) path: oneshot::Receiver<PathBuf>,
}

/// What works once there is a configuration.
pub(crate) struct Waiting {
    pub(crate) config: oneshot::Receiver<Config>,
    pub(crate) path: oneshot::Sender<PathBuf>,
    pub(crate) asked: Asked,
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) table: Arc<ContainerTable>,
    pub(crate) status: Arc<Status>,
}

impl Waiting {
    /// Waits for the configuration, does what it says on `on`, and ends with `shutdown`.
    pub(crate) async fn run(self, mut shutdown: watch::Receiver<bool>, on: Handle) {
        let Ok(config) = self.config.await else { return };
        let registry = &self.registry;
        registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .adopt_all(config.known.clone());
        if config.enabled {
            let _ = self.path.send(config.socket_path.clone());
        }
        let mut tasks = JoinSet::new();
        others::start(
            &config,
            self.asked,
            registry,
            &self.table,
            &self.status,
            &shutdown,
            &mut tasks,
            &on,
        );
        tokio::select! {
            () = watch_over(tasks, self.status) => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }
}
