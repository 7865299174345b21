//! The plugin against the runtime's side of the wire, played by the test.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lanner_schema::container::{Containers, Watch};
use lanner_schema::event::{Event as Call, EventSet};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::plugin::{Ended, Timeouts};
use crate::registry::tests::{Fixture, container, id, pod};
use crate::seccomp::{ANNOTATION, Notify};

/// `SynchronizeRequest` as a whole.
#[derive(Clone, PartialEq, prost::Message)]
struct Synchronize {
    #[prost(message, repeated, tag = "1")]
    pods: Vec<api::PodSandbox>,
    #[prost(message, repeated, tag = "2")]
    containers: Vec<api::Container>,
    #[prost(bool, tag = "3")]
    more: bool,
}

/// The runtime's end of a connection.
struct Runtime {
    stream: DuplexStream,
    demux: Demux,
    /// Our requests' answers, and the plugin's requests.
    answers: Decoder,
    requests: Decoder,
    next: u32,
}

impl Runtime {
    async fn read(&mut self) -> usize {
        let mut buffer = [0; 1000];
        let read = self.stream.read(&mut buffer).await.unwrap();
        let (answers, requests) = (&mut self.answers, &mut self.requests);
        self.demux
            .push(&buffer[..read], |connection, chunk| match connection {
                mux::PLUGIN => answers.push(chunk),
                _ => requests.push(chunk),
            })
            .unwrap();
        read
    }

    /// The plugin's registration, and its stream.
    async fn registration(&mut self) -> (u32, api::RegisterPluginRequest) {
        loop {
            if let Some(Incoming::Request { stream, request }) = self.requests.next().unwrap() {
                assert_eq!(
                    (request.service.as_str(), request.method.as_str()),
                    ("nri.pkg.api.v1alpha1.Runtime", "RegisterPlugin")
                );
                return (
                    stream,
                    api::RegisterPluginRequest::decode(request.payload.as_slice()).unwrap(),
                );
            }
            assert_ne!(self.read().await, 0, "the plugin went away");
        }
    }

    async fn send(&mut self, connection: u32, message: &[u8]) {
        let mut wire = Vec::new();
        mux::frames(connection, message, &mut wire);
        self.stream.write_all(&wire).await.unwrap();
    }

    async fn accept(&mut self, stream: u32) {
        let response = Response {
            status: Some(ttrpc::Status::new(code::OK, "")),
            payload: Vec::new(),
        };
        self.send(mux::RUNTIME, &ttrpc::encode_response(stream, &response))
            .await;
    }

    async fn call_raw(&mut self, method: &str, payload: Vec<u8>) -> Result<Vec<u8>, ttrpc::Status> {
        self.next += 2;
        let request = ttrpc::Request {
            service: api::PLUGIN_SERVICE.into(),
            method: method.into(),
            payload,
            timeout_nano: 2_000_000_000,
        };
        let stream = self.next;
        self.send(mux::PLUGIN, &ttrpc::encode_request(stream, &request))
            .await;
        let (answered, result) = self.answer().await;
        assert_eq!(answered, stream);
        result
    }

    async fn answer(&mut self) -> (u32, Result<Vec<u8>, ttrpc::Status>) {
        loop {
            if let Some(Incoming::Response { stream, response }) = self.answers.next().unwrap() {
                return (stream, response.into_result());
            }
            assert_ne!(self.read().await, 0, "the plugin went away");
        }
    }

    async fn call(&mut self, method: &str, message: &impl prost::Message) -> Vec<u8> {
        self.call_raw(method, message.encode_to_vec()).await.unwrap()
    }

    async fn configure(&mut self) -> api::ConfigureResponse {
        let request = api::ConfigureRequest {
            runtime_name: "containerd".into(),
            runtime_version: "2.1.9+unknown".into(),
            ..api::ConfigureRequest::default()
        };
        api::ConfigureResponse::decode(self.call("Configure", &request).await.as_slice()).unwrap()
    }

    async fn synchronize(&mut self, more: bool) -> api::SynchronizeResponse {
        let request = Synchronize {
            more,
            ..Synchronize::default()
        };
        api::SynchronizeResponse::decode(self.call("Synchronize", &request).await.as_slice()).unwrap()
    }

    async fn handshake(&mut self) {
        let (stream, _) = self.registration().await;
        self.accept(stream).await;
        self.configure().await;
        self.synchronize(false).await;
    }
}

type Served = JoinHandle<Result<Ended, SessionError>>;

/// A plugin that serves a connection to the test's runtime.
struct Setup {
    fixture: Fixture,
    plugin: Arc<Plugin>,
    runtime: Runtime,
    served: Served,
    stop: watch::Sender<bool>,
}

fn setup() -> Setup {
    setup_notifying(None)
}

fn setup_notifying(notify: Option<Notify>) -> Setup {
    let mut fixture = Fixture::new();
    let spare = Fixture::new().registry;
    let registry = Arc::new(Mutex::new(std::mem::replace(&mut fixture.registry, spare)));
    let plugin = Arc::new(Plugin {
        name: "lanner".into(),
        index: "10".into(),
        timeouts: Timeouts::default(),
        registry,
        status: Arc::clone(&fixture.status),
        configured: Mutex::default(),
        notify,
        reconcile: None,
    });
    let (ours, theirs) = duplex(64 * 1024);
    let (stop, mut shutdown) = watch::channel(false);
    let served = tokio::spawn({
        let plugin = Arc::clone(&plugin);
        async move { plugin.serve(ours, || false, &mut shutdown).await }
    });
    let runtime = Runtime {
        stream: theirs,
        demux: Demux::default(),
        answers: Decoder::default(),
        requests: Decoder::default(),
        next: 1,
    };
    Setup {
        fixture,
        plugin,
        runtime,
        served,
        stop,
    }
}

fn change(event: Event, container: api::Container) -> api::StateChangeEvent {
    api::StateChangeEvent {
        event: event as i32,
        pod: Some(pod()),
        container: Some(container),
    }
}

#[test_log::test(tokio::test)]
async fn configure_may_come_before_the_answer_to_the_registration() {
    let mut setup = setup();
    let (stream, request) = setup.runtime.registration().await;
    assert_eq!(
        (request.plugin_name.as_str(), request.plugin_idx.as_str()),
        ("lanner", "10")
    );
    assert_eq!(stream % 2, 1, "a client's streams are odd");
    let configured = setup.runtime.configure().await;
    assert_eq!(configured.events & !0x7ff, 0, "NRI 0.8 refuses other bits");
    assert_ne!(configured.events, 0, "0 would be a subscription to everything");
    assert!(setup.runtime.synchronize(true).await.more, "more is echoed");
    assert!(!setup.runtime.synchronize(false).await.more);
    assert_eq!(setup.fixture.status.state(), State::Starting, "not accepted yet");
    setup.runtime.accept(stream).await;
    // The answer to the next call comes after the one to the registration was read.
    setup.runtime.call("Shutdown", &Synchronize::default()).await;
    let registered = State::Registered {
        runtime: "containerd".into(),
        version: "2.1.9".into(),
        nri: String::new(),
    };
    assert_eq!(setup.fixture.status.state(), registered);
    setup.stop.send(true).unwrap();
    assert_eq!(setup.served.await.unwrap().unwrap(), Ended::Shutdown);
}

#[test_log::test(tokio::test)]
async fn a_container_is_in_the_table_when_its_start_is_answered_by_state_change() {
    let mut setup = setup();
    setup.runtime.handshake().await;
    let cgroup = setup.fixture.cgroup(&id('a'));
    setup
        .runtime
        .call("StateChange", &change(Event::StartContainer, container('a', 1)))
        .await;
    assert!(setup.fixture.table.snapshot().get(cgroup).is_some());
    setup
        .runtime
        .call("StateChange", &change(Event::RemoveContainer, container('a', 1)))
        .await;
    let now = setup.fixture.status.snapshot();
    assert_eq!((now.starts.count, now.events, now.errors), (1, 2, 0));
}

#[test_log::test(tokio::test)]
async fn a_container_that_starts_is_known_whatever_else_is_told_of_it() {
    let mut setup = setup();
    setup.runtime.handshake().await;
    let cgroup = setup.fixture.cgroup(&id('a'));
    setup
        .runtime
        .call("StateChange", &change(Event::CreateContainer, container('a', 0)))
        .await;
    // A container with labels that can't be read: more than its id and pid is not looked at before.
    let mut request = change(Event::StartContainer, api::Container::default()).encode_to_vec();
    let mut started = container('a', 17).encode_to_vec();
    started.extend([5 << 3 | 2, 2, 0xff, 0xff]);
    prost::encoding::bytes::encode(api::state_change::CONTAINER, &started, &mut request);
    setup.runtime.call_raw("StateChange", request).await.unwrap();
    let known = setup.fixture.table.snapshot();
    assert_eq!(known.get(cgroup).map(|container| container.pid), Some(17));
    // The next answer comes after it.
    setup
        .runtime
        .call("StateChange", &change(Event::StopContainer, container('a', 17)))
        .await;
    let now = setup.fixture.status.snapshot();
    assert_eq!((now.starts.count, now.errors), (1, 1));
}

/// The second change of the table is a bug of ours.
#[derive(Debug, Default)]
struct BreaksAtTheStart(AtomicUsize);

impl Watch for BreaksAtTheStart {
    fn changed(&self, _: &Containers) {
        assert_ne!(self.0.fetch_add(1, Ordering::SeqCst), 1, "a test's panic");
    }
}

#[test_log::test(tokio::test)]
async fn what_a_start_tells_is_taken_in_also_when_making_it_known_panics() {
    let mut setup = setup();
    let breaks: Arc<dyn Watch> = Arc::<BreaksAtTheStart>::default();
    setup.fixture.table.tell(Arc::downgrade(&breaks));
    setup.runtime.handshake().await;
    let cgroup = setup.fixture.cgroup(&id('a'));
    let mut created = container('a', 0);
    created.name = "as created".into();
    for change in [
        change(Event::CreateContainer, created),
        change(Event::StartContainer, container('a', 17)),
        // Before this is answered the start is taken in.
        change(Event::StopContainer, container('a', 17)),
    ] {
        setup.runtime.call("StateChange", &change).await;
    }
    assert_eq!(setup.fixture.status.snapshot().panics, 1);
    let known = setup.fixture.table.snapshot();
    let name = known.get(cgroup).and_then(|container| container.name.clone());
    assert_eq!(name.as_deref(), Some("web"));
}

#[test_log::test(tokio::test)]
async fn a_newer_runtime_calls_a_method_per_event_and_falls_back_on_unimplemented() {
    let mut setup = setup();
    setup.runtime.handshake().await;
    let cgroup = setup.fixture.cgroup(&id('a'));
    let request = api::LifecycleRequest {
        pod: Some(pod()),
        container: Some(container('a', 0)),
    };
    setup.runtime.call("CreateContainer", &request).await;
    // An event that we did not ask for is no reason to fail, one that nobody knows to say so.
    setup.runtime.call("PostCreateContainer", &request).await;
    let refused = setup
        .runtime
        .call_raw("MigrateContainer", request.encode_to_vec())
        .await
        .unwrap_err();
    assert_eq!(refused.code, code::UNIMPLEMENTED);
    let request = api::LifecycleRequest {
        container: Some(container('a', 1)),
        ..request
    };
    setup.runtime.call("StartContainer", &request).await;
    assert!(setup.fixture.table.snapshot().get(cgroup).is_some());
    let now = setup.fixture.status.snapshot();
    assert_eq!((now.starts.count, now.events, now.errors), (1, 3, 0));
    let other = ttrpc::Request {
        service: "no.such.Service".into(),
        method: "M".into(),
        ..Default::default()
    };
    setup
        .runtime
        .send(mux::PLUGIN, &ttrpc::encode_request(99, &other))
        .await;
    let (stream, result) = setup.runtime.answer().await;
    assert_eq!((stream, result.unwrap_err().code), (99, code::UNIMPLEMENTED));
}

#[test_log::test(tokio::test)]
async fn a_container_of_a_pod_that_asks_for_it_is_given_a_policy_that_notifies() {
    let folder = tempfile::tempdir().unwrap();
    let reached = folder.path().join("seccomp.sock");
    let _keeper = std::os::unix::net::UnixListener::bind(&reached).unwrap();
    let mut setup = setup_notifying(Some(Notify {
        events: EventSet::from_iter([Call::Connect]),
        listener: "/run/lanner/seccomp.sock".into(),
        reached,
    }));
    setup.runtime.handshake().await;
    let policy = api::LinuxSeccomp {
        default_action: "SCMP_ACT_ERRNO".into(),
        syscalls: vec![api::LinuxSyscall {
            // Far longer than a frame may be.
            names: (0..2000)
                .map(|n| format!("call{n}"))
                .chain(["connect".into()])
                .collect(),
            action: "SCMP_ACT_ALLOW".into(),
            ..api::LinuxSyscall::default()
        }],
        ..api::LinuxSeccomp::default()
    };
    let request = |annotation: Option<&str>| {
        let mut request = api::LifecycleRequest {
            pod: Some(pod()),
            container: Some(container('a', 0)),
        };
        request
            .container
            .as_mut()
            .unwrap()
            .linux
            .as_mut()
            .unwrap()
            .seccomp_policy = policy.encode_to_vec();
        let annotations = &mut request.pod.as_mut().unwrap().annotations;
        annotations.extend(annotation.map(|value| (ANNOTATION.to_owned(), value.to_owned())));
        request
    };
    for none in [None, Some("false")] {
        assert!(
            setup
                .runtime
                .call("CreateContainer", &request(none))
                .await
                .is_empty(),
            "{none:?}"
        );
    }
    let answer = setup
        .runtime
        .call("CreateContainer", &request(Some("true")))
        .await;
    let answer = api::CreateContainerResponse::decode(answer.as_slice()).unwrap();
    let made = answer.adjust.unwrap().linux.unwrap().seccomp_policy.unwrap();
    assert_eq!(made.listener_path, "/run/lanner/seccomp.sock");
    let notified = made
        .syscalls
        .iter()
        .find(|rule| rule.action == "SCMP_ACT_NOTIFY")
        .unwrap();
    assert!(notified.names.contains(&"connect".to_owned()));
    // Without a policy in the request there is nothing to go by.
    let mut older = request(Some("true"));
    older
        .container
        .as_mut()
        .unwrap()
        .linux
        .as_mut()
        .unwrap()
        .seccomp_policy
        .clear();
    assert!(setup.runtime.call("CreateContainer", &older).await.is_empty());
    let now = setup.fixture.status.snapshot();
    assert_eq!((now.notified, now.not_notified, now.errors), (1, 1, 0));
}

#[test_log::test(tokio::test)]
async fn what_cannot_be_read_is_counted_and_holds_nothing_back() {
    let mut setup = setup();
    setup.runtime.handshake().await;
    for method in [
        "StateChange",
        "StartContainer",
        "CreateContainer",
        "Synchronize",
        "Configure",
    ] {
        let answer = setup.runtime.call_raw(method, vec![0xff; 40]).await;
        assert!(answer.is_ok(), "{method}: {answer:?}");
    }
    // A start of nothing, and one whose cgroup is nowhere.
    setup
        .runtime
        .call(
            "StateChange",
            &api::StateChangeEvent {
                event: 6,
                ..Default::default()
            },
        )
        .await;
    setup
        .runtime
        .call("StateChange", &change(Event::StartContainer, container('e', 1)))
        .await;
    let now = setup.fixture.status.snapshot();
    assert_eq!((now.errors, now.without_cgroup), (6, 1));
}

#[test_log::test(tokio::test)]
async fn a_message_over_4_mib_is_refused_and_the_connection_goes_on() {
    let mut setup = setup();
    setup.runtime.handshake().await;
    let mut wire = Vec::new();
    let length = ttrpc::MAX_DATA + 1;
    let mut message = u32::try_from(length).unwrap().to_be_bytes().to_vec();
    message.extend_from_slice(&[0, 0, 0, 201, 1, 0]);
    message.resize(ttrpc::HEADER + length, 0);
    mux::frames(mux::PLUGIN, &message, &mut wire);
    setup.runtime.stream.write_all(&wire).await.unwrap();
    let (stream, result) = setup.runtime.answer().await;
    assert_eq!(
        (stream, result.unwrap_err().code),
        (201, code::RESOURCE_EXHAUSTED)
    );
    setup.runtime.next = 301;
    assert!(!setup.runtime.synchronize(false).await.more);
}

#[test_log::test(tokio::test)]
async fn a_refusal_ends_the_connection_with_the_runtimes_words() {
    let mut setup = setup();
    let (stream, _) = setup.runtime.registration().await;
    let status = ttrpc::Status::new(2, "invalid plugin index");
    let response = Response {
        status: Some(status),
        payload: Vec::new(),
    };
    setup
        .runtime
        .send(mux::RUNTIME, &ttrpc::encode_response(stream, &response))
        .await;
    let error = setup.served.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the runtime refused the plugin: invalid plugin index"
    );
}

#[test_log::test(tokio::test)]
async fn an_end_in_the_middle_of_a_frame_is_an_ordinary_end() {
    let mut setup = setup();
    setup.runtime.handshake().await;
    setup
        .runtime
        .stream
        .write_all(&[0, 0, 0, 1, 0, 0, 0, 40, 1, 2, 3])
        .await
        .unwrap();
    drop(setup.runtime);
    assert_eq!(setup.served.await.unwrap().unwrap(), Ended::Closed);
}

#[test_log::test(tokio::test)]
async fn another_protocol_on_the_socket_is_an_error() {
    let mut setup = setup();
    setup
        .runtime
        .stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    assert!(matches!(setup.served.await.unwrap(), Err(SessionError::Mux(_))));
}

#[test_log::test(tokio::test(start_paused = true))]
async fn a_runtime_that_never_registers_us_is_left() {
    let mut setup = setup();
    setup.runtime.registration().await;
    assert!(matches!(
        setup.served.await.unwrap(),
        Err(SessionError::Silent(_))
    ));
}

#[test_log::test(tokio::test(start_paused = true))]
async fn a_socket_that_was_replaced_ends_the_connection() {
    let setup = setup();
    let (ours, mut theirs) = duplex(4096);
    let (_stop, mut shutdown) = watch::channel(false);
    let (ended, _) = tokio::join!(setup.plugin.serve(ours, || true, &mut shutdown), async {
        theirs.read(&mut [0; 100]).await.unwrap()
    });
    assert_eq!(ended.unwrap(), Ended::Replaced);
}

proptest! {
    #[test]
    fn no_payload_of_any_method_panics_or_fails(
        method in proptest::sample::select(vec![
            "Configure", "Synchronize", "StateChange", "CreateContainer", "StartContainer", "PostStartContainer",
            "RemoveContainer", "RunPodSandbox", "RemovePodSandbox", "Shutdown",
        ]),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let fixture = Fixture::new();
        let plugin = Plugin {
            name: "lanner".into(),
            index: "10".into(),
            timeouts: Timeouts::default(),
            registry: Arc::new(Mutex::new(fixture.registry)),
            status: fixture.status,
            configured: Mutex::default(),
            notify: None,
        reconcile: None,
        };
        let answer = Conversation::new(Arc::new(plugin)).method(method, &mut payload.clone(), &mut false);
        prop_assert!(answer.is_some());
    }
}

#[test_log::test(tokio::test)]
async fn a_plugin_that_the_runtime_started_gets_its_configuration_and_needs_no_synchronize() {
    let mut setup = setup();
    setup.stop.send(true).unwrap();
    assert_eq!(setup.served.await.unwrap().unwrap(), Ended::Shutdown);
    let (sender, configuration) = tokio::sync::oneshot::channel();
    *setup.plugin.configured.lock().unwrap() = Some(sender);
    let (ours, theirs) = duplex(64 * 1024);
    let (_stop, mut shutdown) = watch::channel(false);
    let served = tokio::spawn({
        let plugin = Arc::clone(&setup.plugin);
        async move { plugin.serve(ours, || false, &mut shutdown).await }
    });
    setup.runtime.stream = theirs;
    let (stream, _) = setup.runtime.registration().await;
    setup.runtime.accept(stream).await;
    let request = api::ConfigureRequest {
        config: "priority: notice\n".into(),
        runtime_name: "containerd".into(),
        runtime_version: "1.7.24".into(),
        ..api::ConfigureRequest::default()
    };
    setup.runtime.call("Configure", &request).await;
    assert_eq!(configuration.await.unwrap(), "priority: notice\n");
    let is_registered = || matches!(setup.fixture.status.state(), State::Registered { .. });
    assert!(is_registered(), "{:?}", setup.fixture.status.state());
    // From 2.0 on it comes, and is not another connection.
    setup.runtime.synchronize(false).await;
    assert!(is_registered());
    assert_eq!(setup.fixture.status.snapshot().connections, 1);
    drop(setup.runtime);
    assert_eq!(served.await.unwrap().unwrap(), Ended::Closed);
}
