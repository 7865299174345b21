//! Whatever else of Lanner is stuck or breaks, a runtime has its answer.

use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;

use lanner_nri::{Config, ContainerTable, State, Status};
use lanner_schema::container::{Containers, Watch};
use tokio::sync::watch;

use crate::machine::{cgroup, config, host, listen, until};
use crate::message::{Message, number};
use crate::peer::{Peer, change, container};

fn id(number: u64) -> String {
    format!("{number:064x}")
}

/// A plugin on a thread of its own, and what it was given.
struct Plugin {
    folder: tempfile::TempDir,
    status: Arc<Status>,
    table: Arc<ContainerTable>,
    listener: UnixListener,
    _stop: watch::Sender<bool>,
}

fn start(change: impl FnOnce(&mut Config), beside: &tokio::runtime::Runtime) -> Plugin {
    let folder = host();
    let mut config = config(&folder);
    change(&mut config);
    let listener = listen(config.socket_path.clone());
    let (table, status) = (ContainerTable::new(), Arc::<Status>::default());
    let (stop, shutdown) = watch::channel(false);
    lanner_nri::start(
        config,
        Arc::clone(&table),
        Arc::clone(&status),
        shutdown,
        beside.handle().clone(),
    )
    .unwrap();
    Plugin {
        folder,
        status,
        table,
        listener,
        _stop: stop,
    }
}

fn beside() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_container_starts_while_everything_else_is_stuck() {
    let beside = beside();
    let socket = tempfile::tempdir().unwrap();
    // containerd's own API takes connections and says nothing.
    let containerd = UnixListener::bind(socket.path().join("containerd.sock")).unwrap();
    let plugin = start(
        |config| {
            config.containerd_enabled = true;
            config.containerd_address = socket.path().join("containerd.sock");
        },
        &beside,
    );
    let mut peer = Peer::accept(&plugin.listener);
    peer.handshake();
    until("the registration", || {
        matches!(plugin.status.state(), State::Registered { .. })
    });
    let (_connection, _) = containerd.accept().unwrap();

    // The threads that serve outputs and APIs are blocked, and so is the one that judges events, in the middle of one.
    let (release, blocked) = mpsc::channel::<()>();
    let stuck = Arc::new(AtomicUsize::new(0));
    let worker = beside.spawn({
        let stuck = Arc::clone(&stuck);
        async move {
            stuck.fetch_add(1, Ordering::SeqCst);
            let _ = blocked.recv();
            stuck.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let (go_on, stopped) = mpsc::channel::<()>();
    let events = thread::spawn({
        let (stuck, table) = (Arc::clone(&stuck), Arc::clone(&plugin.table));
        move || {
            let mut reader = table.reader();
            reader.refresh();
            let containers = Arc::clone(reader.containers());
            stuck.fetch_add(1, Ordering::SeqCst);
            let _ = stopped.recv();
            stuck.fetch_sub(1, Ordering::SeqCst);
            containers.all().count()
        }
    });
    until("everything to be stuck", || stuck.load(Ordering::SeqCst) == 2);
    for number in 0..50 {
        let cgroup = cgroup(&plugin.folder, &format!("/k8s.io/{}", id(number)));
        let image = container(&id(number)).map(6, [("io.kubernetes.cri.image-name", "registry.test/web:1")]);
        peer.ask("CreateContainer", &Message::new().message(2, &image));
        peer.ask("StateChange", &change(6, &id(number)));
        assert!(
            plugin.table.snapshot().get(cgroup).is_some(),
            "in the table before the reply"
        );
    }
    assert_eq!(stuck.load(Ordering::SeqCst), 2, "nothing else moved");
    // The clock of the last reply stops when it is written.
    until("the count", || plugin.status.snapshot().starts.count == 50);
    assert_eq!(plugin.status.snapshot().errors, 0);
    drop((release, go_on));
    assert_eq!(
        events.join().unwrap(),
        0,
        "what it was looking at did not change under it"
    );
    beside.block_on(worker).unwrap();
    assert_eq!(plugin.table.snapshot().running().count(), 50);
}

/// Holds every change of the table up until it is let go.
#[derive(Debug, Default)]
struct Holds {
    until: AtomicBool,
    held: AtomicBool,
}

impl Watch for Holds {
    fn changed(&self, _: &Containers) {
        self.held.store(true, Ordering::SeqCst);
        until("the end of it", || self.until.load(Ordering::SeqCst));
    }
}

#[test]
fn a_creation_is_answered_first_and_known_when_the_container_starts() {
    let beside = beside();
    let plugin = start(|_| (), &beside);
    let mut peer = Peer::accept(&plugin.listener);
    peer.handshake();
    let holds = Arc::<Holds>::default();
    let weak: Weak<Holds> = Arc::downgrade(&holds);
    plugin.table.tell(weak);
    let cgroup = cgroup(&plugin.folder, &format!("/k8s.io/{}", id(1)));
    let image = container(&id(1)).map(6, [("io.kubernetes.cri.image-name", "registry.test/web:1")]);
    peer.ask("CreateContainer", &Message::new().message(2, &image));
    until("it to be taken in", || holds.held.load(Ordering::SeqCst));
    assert_eq!(plugin.status.snapshot().panics, 0, "it is held still");
    holds.until.store(true, Ordering::SeqCst);
    peer.ask("StateChange", &change(6, &id(1)));
    let known = plugin.table.snapshot();
    let image = known.get(cgroup).and_then(|container| container.image.clone());
    assert_eq!(image.as_deref(), Some("registry.test/web:1"));
}

/// Every other change of the table is a bug of ours.
#[derive(Debug, Default)]
struct Broken(AtomicUsize);

impl Watch for Broken {
    fn changed(&self, _now: &Containers) {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) % 2 == 1, "a test's panic");
    }
}

#[test]
fn a_panic_over_a_request_is_answered_with_success() {
    let beside = beside();
    let plugin = start(|_| (), &beside);
    let broken: Arc<dyn Watch> = Arc::<Broken>::default();
    plugin.table.tell(Arc::downgrade(&broken));
    let mut peer = Peer::accept(&plugin.listener);
    peer.handshake();
    for number in 0..10 {
        cgroup(&plugin.folder, &format!("/k8s.io/{}", id(number)));
        peer.ask("StateChange", &change(6, &id(number)));
    }
    let panicked = plugin.status.snapshot().panics;
    assert_eq!(panicked, 5);
    // What is told of again is there in the end.
    for _ in 0..2 {
        peer.ask("StateChange", &change(6, &id(0)));
    }
    cgroup(&plugin.folder, &format!("/k8s.io/{}", id(99)));
    let part = Message::new().message(2, &container(&id(99)));
    assert_eq!(
        number(&peer.ask("Synchronize", &part.clone().number(3, 1)), 2),
        1,
        "`more` is echoed by a broken one too"
    );
    assert_eq!(number(&peer.ask("Synchronize", &part), 2), 0);
    assert!(plugin.status.snapshot().panics > panicked);
    let known = plugin.table.snapshot();
    assert!(known.by_key(&id(0)).is_some() && known.by_key(&id(1)).is_some());
    assert_eq!(plugin.status.snapshot().connections, 1, "the connection stays");
}

/// Breaks once, over a container that is forgotten, when nobody waits for an answer.
#[derive(Debug, Default)]
struct BreaksOnce {
    most: AtomicUsize,
    broke: AtomicBool,
}

impl Watch for BreaksOnce {
    fn changed(&self, now: &Containers) {
        let count = now.all().count();
        if count < self.most.fetch_max(count, Ordering::SeqCst) {
            assert!(self.broke.swap(true, Ordering::SeqCst), "a test's panic");
        }
    }
}

#[test]
fn a_panic_between_requests_costs_a_connection_and_nothing_that_was_known() {
    let beside = beside();
    let plugin = start(|config| config.removal_grace = Duration::ZERO, &beside);
    let breaks: Arc<dyn Watch> = Arc::<BreaksOnce>::default();
    plugin.table.tell(Arc::downgrade(&breaks));
    let mut peer = Peer::accept(&plugin.listener);
    peer.handshake();
    for number in 0..2 {
        cgroup(&plugin.folder, &format!("/k8s.io/{}", id(number)));
        peer.ask("StateChange", &change(6, &id(number)));
    }
    peer.ask("StateChange", &change(11, &id(0)));
    assert!(peer.is_closed());
    let mut peer = Peer::accept(&plugin.listener);
    assert_eq!(plugin.status.snapshot().panics, 1);
    assert!(plugin.table.snapshot().by_key(&id(1)).is_some());
    let (stream, _, _) = peer.registration();
    peer.respond(stream, 0, "");
    peer.ask(
        "Configure",
        &Message::new().text(2, "containerd").text(3, "2.1.9"),
    );
    peer.ask("Synchronize", &Message::new().message(2, &container(&id(1))));
    cgroup(&plugin.folder, &format!("/k8s.io/{}", id(3)));
    peer.ask("StateChange", &change(6, &id(3)));
    assert_eq!(plugin.table.snapshot().running().count(), 2);
    assert_eq!(plugin.status.snapshot().connections, 2);
}
