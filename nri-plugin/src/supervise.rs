//! Keeps the plugin connected for as long as Lanner runs, on a thread of its own.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lanner_schema::cgroup::Hierarchy;
use lanner_schema::container::{Container, ContainerTable};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::cgroup::Host;
use crate::inherited::{Inherited, Late, Waiting};
use crate::others::{self, Asked};
use crate::plugin::{Ended, Plugin, Timeouts};
use crate::registry::Registry;
use crate::search;
use crate::seccomp::Notify;
use crate::socket::Socket;
use crate::socket_file;
use crate::status::{Complaint, State, Status};
use crate::{docker_files, storage};

/// What panicked is started again after this long.
const RESTART: Duration = Duration::from_secs(1);
/// How often the socket's file is looked at while nobody is connected: what starts before we are known is known late.
const LOOK: Duration = Duration::from_millis(50);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How the runtime is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `nri.enabled`: false leaves containers to those who are asked besides.
    pub enabled: bool,
    /// `nri.socket_path`.
    pub socket_path: PathBuf,
    /// The name to register under: letters, digits and `_.+-`.
    pub plugin_name: String,
    /// The place among other plugins: exactly two digits.
    pub plugin_index: String,
    /// `containerd.enabled`: ask containerd for image digests, and what it runs besides CRI's containers.
    pub containerd_enabled: bool,
    /// `containerd.address`.
    pub containerd_address: PathBuf,
    /// Further containerds.
    pub more_containerds: Vec<PathBuf>,
    /// Sockets of docker's API, as the host names them.
    pub docker_sockets: Vec<PathBuf>,
    /// Sockets of podman's.
    pub podman_sockets: Vec<PathBuf>,
    /// Folders of containers/storage, where podman and CRI-O keep what their containers are; empty when they are not to be read.
    pub storages: Vec<PathBuf>,
    /// docker's data roots; empty when their files are not to be read.
    pub docker_roots: Vec<PathBuf>,
    /// Labels with longer values are left out.
    pub label_max_len: Option<usize>,
    /// Where the host's `/` is seen from here; empty or `/` when Lanner runs on the host itself. Falco's `HOST_ROOT`.
    pub host_root: PathBuf,
    /// How long the runtime may take.
    pub timeouts: Timeouts,
    /// Containers that another agent knew; they stay until the runtime tells what it runs.
    pub known: Vec<Container>,
    /// Which calls of containers that ask for it are notified of; `None`: none are.
    pub notify: Option<Notify>,
    /// How long a removed container stays known: its last events may still be on their way.
    pub removal_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            socket_path: "/var/run/nri/nri.sock".into(),
            plugin_name: "lanner".into(),
            plugin_index: "10".into(),
            containerd_enabled: true,
            containerd_address: "/run/containerd/containerd.sock".into(),
            more_containerds: Vec::new(),
            docker_sockets: vec!["/var/run/docker.sock".into()],
            podman_sockets: vec!["/run/podman/podman.sock".into()],
            storages: vec![storage::ROOT.into()],
            docker_roots: vec![docker_files::ROOT.into()],
            label_max_len: None,
            host_root: lanner_schema::host_root::host_root().to_owned(),
            timeouts: Timeouts::default(),
            known: Vec::new(),
            notify: None,
            removal_grace: Duration::from_secs(30),
        }
    }
}

/// A [`Config`] no runtime would accept.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The index isn't two digits.
    #[error("nri: plugin index \"{0}\" must be exactly two digits, like \"10\"")]
    Index(String),
    /// The name is empty or has other characters.
    #[error("nri: plugin name \"{0}\" may hold letters, digits and _ . + - only, and not be empty")]
    Name(String),
}

impl Config {
    /// Checks what the runtime would refuse.
    pub fn check(&self) -> Result<(), ConfigError> {
        let index = self.plugin_index.as_bytes();
        if index.len() != 2 || !index.iter().all(u8::is_ascii_digit) {
            return Err(ConfigError::Index(self.plugin_index.clone()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
        if self.plugin_name.is_empty() || !self.plugin_name.bytes().all(allowed) {
            return Err(ConfigError::Name(self.plugin_name.clone()));
        }
        Ok(())
    }
}

/// Runs the plugin on a thread of its own until `shutdown` holds true, or its sender is gone. Every failure is retried, and
/// what panics is started again.
///
/// `table` is written before a StartContainer is answered; `status` tells how it goes. Only what the runtime
/// asks is answered on that thread: a container waits for it. What asks others (containerd's API) runs on `beside`, and
/// however busy or stuck that is, replies are not.
///
/// # Errors
/// When there can't be another thread.
pub fn start(
    config: Config,
    table: Arc<ContainerTable>,
    status: Arc<Status>,
    shutdown: watch::Receiver<bool>,
    beside: Handle,
) -> io::Result<JoinHandle<()>> {
    let side = Side::new(config, None, table, status, shutdown, &beside);
    thread::Builder::new().name("lanner-nri".into()).spawn(move || {
        if let Some(side) = side {
            side.run();
        }
    })
}

/// As [`start`], for a plugin that the runtime started: it is served from now on, and told later how to go on.
///
/// # Errors
/// When there can't be another thread.
pub fn start_inherited(
    inherited: Inherited,
    table: Arc<ContainerTable>,
    status: Arc<Status>,
    shutdown: watch::Receiver<bool>,
    beside: Handle,
) -> io::Result<JoinHandle<()>> {
    let config = Config {
        plugin_name: inherited.name.clone(),
        plugin_index: inherited.index.clone(),
        ..Config::default()
    };
    let side = Side::new(config, Some(inherited), table, status, shutdown, &beside);
    thread::Builder::new().name("lanner-nri".into()).spawn(move || {
        if let Some(side) = side {
            side.run();
        }
    })
}

/// [`start`] without its thread: on the tokio runtime of the caller, until the end.
pub async fn run(
    config: Config,
    table: Arc<ContainerTable>,
    status: Arc<Status>,
    shutdown: watch::Receiver<bool>,
) {
    let side = Side::new(config, None, table, status, shutdown, &Handle::current());
    if let Some(mut side) = side {
        side.keep_connected().await;
    }
}

/// The runtime's side: what outlives connections, and panics.
struct Side {
    plugin: Arc<Plugin>,
    /// The runtime's; `None` when only others are asked.
    socket: Option<PathBuf>,
    /// The connection that the runtime made.
    late: Option<Late>,
    shutdown: watch::Receiver<bool>,
    /// Dropped, and so ended, with this, however that ends.
    _beside: JoinSet<()>,
}

impl Side {
    fn run(mut self) {
        let side = &mut self;
        loop {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(side.keep_connected());
                io::Result::Ok(())
            }));
            match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => warn!("container identity (NRI) can't be run: {error}"),
                Err(_) => {
                    Status::count(&side.plugin.status.panics);
                    if side.plugin.status.first(Complaint::Panic) {
                        error!(
                            "container identity (NRI) panicked, which is a bug of Lanner; it is started again"
                        );
                    }
                }
            }
            thread::sleep(RESTART);
        }
    }

    /// `None`, and said why, when there is nothing to run.
    #[allow(clippy::too_many_arguments)]
    fn new(
        config: Config,
        inherited: Option<Inherited>,
        table: Arc<ContainerTable>,
        status: Arc<Status>,
        shutdown: watch::Receiver<bool>,
        beside: &Handle,
    ) -> Option<Self> {
        if !config.enabled {
            status.enter(State::Disabled);
            if !others::any(&config) {
                return None;
            }
        } else if let Err(error) = config.check() {
            warn!("{error}");
            status.enter(State::Failed(error.to_string()));
            return None;
        }
        let host = Host::new(&config.host_root);
        match host.hierarchy() {
            Some(Hierarchy { mount, controller }) => info!(
                mount = %mount.display(),
                "containers are told apart by their cgroup of {}",
                controller.map_or("version 2", |controller| controller.name())
            ),
            None => warn!("no cgroups are mounted: containers can't be told from the host"),
        }
        let (digest_sender, digests) = mpsc::channel(1024);
        let (reconcile_sender, reconcile) = mpsc::channel(1);
        let ask = config.containerd_enabled;
        let (question_sender, questions) = mpsc::channel(1024);
        let mut registry = Registry::new(
            host,
            Arc::clone(&table),
            Arc::clone(&status),
            ask.then_some(digest_sender),
            config.removal_grace,
        )
        .with_label_max_len(config.label_max_len);
        if config.containerd_enabled {
            registry.ask_cri(question_sender);
        }
        registry.adopt_all(config.known.clone());
        let registry = Arc::new(Mutex::new(registry));
        let mut tasks = JoinSet::new();
        tasks.spawn_on(search::run(Arc::clone(&registry), shutdown.clone()), beside);
        let asked = Asked {
            digests,
            reconcile,
            questions,
        };
        let (mut late, mut configured) = (None, None);
        match inherited {
            Some(inherited) => {
                let (sender, path) = oneshot::channel();
                late = Some(Late {
                    socket: inherited.socket,
                    path,
                });
                configured = Some(inherited.configured);
                let waiting = Waiting {
                    config: inherited.config,
                    path: sender,
                    asked,
                    registry: Arc::clone(&registry),
                    table,
                    status: Arc::clone(&status),
                };
                tasks.spawn_on(waiting.run(shutdown.clone(), beside.clone()), beside);
            }
            None => others::start(
                &config, asked, &registry, &table, &status, &shutdown, &mut tasks, beside,
            ),
        }
        let plugin = Arc::new(Plugin {
            name: config.plugin_name,
            index: config.plugin_index,
            timeouts: config.timeouts,
            registry,
            status,
            configured: Mutex::new(configured),
            notify: config.notify,
            reconcile: ask.then_some(reconcile_sender),
        });
        let mut beside_plugin = JoinSet::new();
        beside_plugin.spawn_on(watch_over(tasks, Arc::clone(&plugin.status)), beside);
        Some(Self {
            plugin,
            socket: config.enabled.then_some(config.socket_path),
            late,
            shutdown,
            _beside: beside_plugin,
        })
    }

    async fn keep_connected(&mut self) {
        if let Some(late) = self.late.take()
            && !self.serve_inherited(late).await
        {
            return;
        }
        match &self.socket {
            Some(socket) => keep_connected(&self.plugin, socket, &mut self.shutdown).await,
            None => {
                let _ = self.shutdown.wait_for(|stop| *stop).await;
            }
        }
    }
}

/// Says and counts what panics beside the plugin, which goes on.
pub(crate) async fn watch_over(mut tasks: JoinSet<()>, status: Arc<Status>) {
    while let Some(ended) = tasks.join_next().await {
        if ended.is_err_and(|error| error.is_panic()) {
            Status::count(&status.panics);
            error!(
                "a bug of Lanner: what looks after containers beside NRI panicked. What only it told is missing from now on"
            );
        }
    }
}

impl Side {
    /// Serves the connection that the runtime made; true when the runtime is to be connected to afterwards.
    async fn serve_inherited(&mut self, late: Late) -> bool {
        let mut said = None;
        let socket = late.socket;
        match Socket::new(socket) {
            Ok(stream) => {
                self.plugin.status.enter(State::Connecting);
                let state = match self.plugin.serve(stream, || false, &mut self.shutdown).await {
                    Ok(Ended::Shutdown) => return false,
                    Ok(_) => {
                        State::Failed("the runtime that started this plugin closed the connection".into())
                    }
                    Err(error) => State::Failed(error.to_string()),
                };
                note(&self.plugin, &mut said, state);
            }
            Err(error) => note(&self.plugin, &mut said, State::Failed(format!("socket: {error}"))),
        }
        tokio::select! {
            path = late.path => match path {
                Ok(path) => {
                    self.socket = Some(path);
                    true
                }
                Err(_) => false,
            },
            _ = self.shutdown.wait_for(|stop| *stop) => false,
        }
    }
}

async fn keep_connected(plugin: &Arc<Plugin>, socket: &Path, shutdown: &mut watch::Receiver<bool>) {
    let mut backoff = BACKOFF_MIN;
    // What was said last: failing in the same way again, however often, says nothing.
    let mut said = None;
    while !*shutdown.borrow() {
        let served = plugin.status.snapshot().connections;
        let identity = identity(socket);
        let connecting = tokio::time::timeout(plugin.timeouts.connect, UnixStream::connect(socket));
        let connected = connecting
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match connected.and_then(|stream| Socket::new(stream.into_std()?)) {
            Ok(stream) => {
                plugin.status.enter(State::Connecting);
                let began = tokio::time::Instant::now();
                let replaced = || {
                    let now = self::identity(socket);
                    now.is_some() && now != identity
                };
                let result = plugin.serve(stream, replaced, shutdown).await;
                if plugin.status.snapshot().connections > served && began.elapsed() >= BACKOFF_MAX {
                    // It worked for a while: what comes now is news.
                    backoff = BACKOFF_MIN;
                    said = None;
                    plugin.status.forget_complaints();
                }
                match result {
                    Ok(Ended::Shutdown) => return,
                    Ok(ended) => {
                        let what = match ended {
                            Ended::Replaced => "another runtime listens on the NRI socket",
                            _ => "the runtime closed the connection",
                        };
                        note(plugin, &mut said, State::Failed(what.into()));
                    }
                    Err(error) => note(plugin, &mut said, State::Failed(error.to_string())),
                }
            }
            Err(error) => {
                let path = socket.display().to_string();
                note(
                    plugin,
                    &mut said,
                    match error.kind() {
                        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                            match socket_file::in_the_way(socket) {
                                Some(what) => State::NoSocket(what),
                                None => State::WaitingForSocket(path),
                            }
                        }
                        _ => State::Failed(format!("{path}: {error}")),
                    },
                );
            }
        }
        let resume = tokio::time::Instant::now() + backoff;
        backoff = (backoff * 2).min(BACKOFF_MAX);
        // A runtime that starts makes its socket anew, and containers may start right after: it is not kept waiting.
        while tokio::time::Instant::now() < resume
            && self::identity(socket).is_none_or(|now| Some(now) == identity)
        {
            tokio::select! {
                () = tokio::time::sleep(LOOK.min(backoff)) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
        plugin.registry().sweep(Instant::now());
    }
}

/// Enters a state, and says so unless it was said last.
fn note(plugin: &Plugin, said: &mut Option<State>, state: State) {
    plugin.status.enter(state.clone());
    if said.as_ref() != Some(&state) {
        match state {
            State::NoSocket(_) => warn!("NRI: {}", plugin.status),
            _ => info!("NRI: {}", plugin.status),
        }
        *said = Some(state);
    }
}

/// Which file is at a path: device, inode and the time it was made.
fn identity(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.ctime(), data.ctime_nsec()))
}

#[cfg(test)]
#[path = "supervise_tests.rs"]
mod tests;
