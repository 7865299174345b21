//! The plugin under test, on a host in a folder.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lanner_nri::{Config, ContainerTable, State, Status, StatusSnapshot, Timeouts};
use lanner_schema::container::Container;
use tokio::sync::watch;

use crate::peer::Peer;

/// Nothing here takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Waits for a condition.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !reached() {
        assert!(Instant::now() < deadline, "{what} took too long");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a plugin logged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Lines of the level info and above that hold `text`.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }
}

/// A plugin that runs, and the socket of the runtime it looks for.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    pub(crate) status: Arc<Status>,
    pub(crate) table: Arc<ContainerTable>,
    pub(crate) log: Log,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// A host with cgroups of version 2 and nothing else.
pub(crate) fn host() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("proc/1")).unwrap();
    let mountinfo = "30 24 0:26 / /cgroups rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
    fs::write(folder.path().join("proc/1/mountinfo"), mountinfo).unwrap();
    fs::create_dir_all(folder.path().join("cgroups")).unwrap();
    fs::write(
        folder.path().join("cgroups/cgroup.controllers"),
        "cpu memory pids\n",
    )
    .unwrap();
    folder
}

/// A configuration for it.
pub(crate) fn config(folder: &tempfile::TempDir) -> Config {
    Config {
        socket_path: folder.path().join("nri.sock"),
        host_root: folder.path().into(),
        containerd_enabled: false,
        removal_grace: Duration::from_secs(3600),
        ..Config::default()
    }
}

impl Machine {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// With small limits, for runtimes that let us wait, within which a busy machine still answers.
    pub(crate) fn impatient() -> Self {
        Self::start_with(|config| {
            config.timeouts = Timeouts {
                connect: Duration::from_millis(1500),
                registration: Duration::from_millis(1500),
                request: Duration::from_secs(1),
            }
        })
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = host();
        let mut config = config(&folder);
        change(&mut config);
        let (table, status) = (ContainerTable::new(), Arc::<Status>::default());
        let (stop, shutdown) = watch::channel(false);
        let log = Log::default();
        let thread = thread::spawn({
            let (table, status, log) = (Arc::clone(&table), Arc::clone(&status), log.clone());
            move || {
                let subscriber = tracing_subscriber::fmt()
                    .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
                    .with_ansi(false)
                    .with_writer(move || log.clone())
                    .finish();
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                tracing::subscriber::with_default(subscriber, || {
                    runtime.block_on(lanner_nri::run(config, table, status, shutdown));
                });
            }
        });
        Self {
            folder,
            status,
            table,
            log,
            stop,
            thread: Some(thread),
        }
    }

    /// Listens where the plugin looks for a runtime.
    pub(crate) fn listen(&self) -> UnixListener {
        listen(self.folder.path().join("nri.sock"))
    }

    /// Makes a container's cgroup.
    pub(crate) fn cgroup(&self, path: &str) -> u64 {
        cgroup(&self.folder, path)
    }

    pub(crate) fn now(&self) -> StatusSnapshot {
        self.status.snapshot()
    }

    pub(crate) fn container(&self, id: &str) -> Option<Arc<Container>> {
        self.table.snapshot().by_key(id).cloned()
    }

    /// The cgroups of the containers that run.
    pub(crate) fn cgroups(&self) -> HashSet<u64> {
        let known = self.table.snapshot();
        known.running().map(|container| container.cgroup).collect()
    }

    pub(crate) fn is_registered(&self) -> bool {
        matches!(self.status.state(), State::Registered { .. })
    }

    /// What came before left nothing: another runtime comes, and all is well with it.
    pub(crate) fn is_well(&self) {
        let listener = self.listen();
        let mut peer = Peer::accept(&listener);
        let before = self.now().connections;
        peer.handshake();
        until("the registration", || {
            self.is_registered() && self.now().connections > before
        });
        let id = format!("{:064x}", 0xc0ffee);
        let cgroup = self.cgroup(&format!("/k8s.io/{id}"));
        peer.start(&id);
        assert_eq!(self.container(&id).unwrap().cgroup, cgroup, "before the reply");
        assert_eq!(self.now().panics, 0);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        let ended = self.thread.take().unwrap().join();
        assert!(
            ended.is_ok() || thread::panicking(),
            "the plugin's thread panicked"
        );
    }
}

pub(crate) fn cgroup(folder: &tempfile::TempDir, path: &str) -> u64 {
    let path = folder.path().join("cgroups").join(path.trim_start_matches('/'));
    fs::create_dir_all(&path).unwrap();
    fs::metadata(path).unwrap().ino()
}

pub(crate) fn listen(path: PathBuf) -> UnixListener {
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}
