use tokio::io::AsyncReadExt as _;
use tokio::net::UnixListener;

use super::*;

/// No test here needs longer.
const LIMIT: Duration = Duration::from_secs(60);

struct Running {
    folder: tempfile::TempDir,
    status: Arc<Status>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

fn start(change: impl FnOnce(&mut Config)) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config {
        socket_path: folder.path().join("nri.sock"),
        containerd_address: folder.path().join("containerd.sock"),
        ..Config::default()
    };
    change(&mut config);
    let status = Arc::<Status>::default();
    let (stop, shutdown) = watch::channel(false);
    let task = tokio::spawn(run(config, ContainerTable::new(), Arc::clone(&status), shutdown));
    Running {
        folder,
        status,
        stop,
        task,
    }
}

impl Running {
    async fn until(&self, wanted: impl Fn(&State) -> bool) {
        let reached = async {
            while !wanted(&self.status.state()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let result = tokio::time::timeout(LIMIT, reached).await;
        assert!(result.is_ok(), "still {:?}", self.status.state());
    }

    /// Listens like a runtime that starts now, and waits for the plugin to say something.
    async fn accept(&self) -> (UnixListener, tokio::net::UnixStream) {
        let path = self.folder.path().join("nri.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let accepted = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut header = [0; 4];
            stream.read_exact(&mut header).await.unwrap();
            assert_eq!(
                header,
                [0, 0, 0, 2],
                "a registration, on the runtime's connection"
            );
            stream
        };
        let stream = tokio::time::timeout(LIMIT, accepted)
            .await
            .expect("the plugin connects");
        (listener, stream)
    }
}

#[test_log::test(tokio::test)]
async fn it_waits_for_a_socket_and_connects_again_whenever_one_comes_back() {
    let running = start(|_| ());
    running
        .until(|state| matches!(state, State::WaitingForSocket(_)))
        .await;
    for _ in 0..3 {
        let (listener, stream) = running.accept().await;
        running.until(|state| *state == State::Connecting).await;
        drop((listener, stream));
        // The socket's file stays, as after a crash: nobody listens on it.
        running
            .until(|state| matches!(state, State::WaitingForSocket(_)))
            .await;
    }
    running.stop.send(true).unwrap();
    tokio::time::timeout(LIMIT, running.task)
        .await
        .expect("it stops")
        .unwrap();
}

#[test_log::test(tokio::test)]
async fn what_is_no_socket_is_said_until_one_is_there() {
    let running = start(|_| ());
    let path = running.folder.path().join("nri.sock");
    std::fs::create_dir(&path).unwrap();
    running
        .until(|state| matches!(state, State::NoSocket(what) if what.ends_with("nri.sock is a folder, not a socket")))
        .await;
    std::fs::remove_dir(&path).unwrap();
    let _connected = running.accept().await;
    running.until(|state| *state == State::Connecting).await;
}

#[test_log::test(tokio::test)]
async fn a_new_socket_at_the_path_is_preferred_to_a_connection_that_still_stands() {
    let running = start(|_| ());
    let (_old_listener, _old) = running.accept().await;
    let (_listener, _stream) = running.accept().await;
    running.until(|state| *state == State::Connecting).await;
}

#[test_log::test(tokio::test)]
async fn switched_off_it_does_nothing_and_a_bad_index_is_said() {
    let off = start(|config| {
        config.enabled = false;
        config.containerd_enabled = false;
        config.docker_sockets.clear();
        config.podman_sockets.clear();
        config.storages.clear();
        config.docker_roots.clear();
    });
    off.task.await.unwrap();
    assert_eq!(off.status.to_string(), "disabled");
    let bad = start(|config| config.plugin_index = "7".into());
    bad.task.await.unwrap();
    assert!(
        bad.status.to_string().contains("must be exactly two digits"),
        "{}",
        bad.status
    );
}

#[test]
fn names_and_indices_are_checked_as_the_runtime_does() {
    let with = |name: &str, index: &str| {
        Config {
            plugin_name: name.into(),
            plugin_index: index.into(),
            ..Config::default()
        }
        .check()
    };
    assert_eq!(with("lanner", "10"), Ok(()));
    assert_eq!(with("lanner.v1_a+b-c", "00"), Ok(()));
    assert_eq!(with("lanner", "1a"), Err(ConfigError::Index("1a".into())));
    assert_eq!(with("lanner", "100"), Err(ConfigError::Index("100".into())));
    assert_eq!(with("", "10"), Err(ConfigError::Name(String::new())));
    assert_eq!(with("a b", "10"), Err(ConfigError::Name("a b".into())));
}

#[test_log::test(tokio::test)]
async fn a_panic_beside_the_plugin_is_counted_and_ends_nothing_else() {
    let status = Arc::<Status>::default();
    let mut tasks = JoinSet::new();
    let (go_on, going_on) = tokio::sync::oneshot::channel::<()>();
    tasks.spawn(async { panic!("a test's panic") });
    tasks.spawn(async move { going_on.await.unwrap() });
    let watched = tokio::spawn(watch_over(tasks, Arc::clone(&status)));
    let counted = async {
        while status.snapshot().panics == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, counted).await.expect("it is counted");
    go_on.send(()).expect("the other one waits still");
    tokio::time::timeout(LIMIT, watched)
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(status.snapshot().panics, 1);
}
