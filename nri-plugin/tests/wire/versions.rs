//! Every version of the wire that a runtime in use has.

use lanner_schema::container::Learnt;

use crate::machine::{Machine, until};
use crate::message::{Message, number};
use crate::peer::{Peer, UNIMPLEMENTED};

/// What a runtime has.
#[derive(Debug, Clone, Copy)]
struct Profile {
    runtime: &'static str,
    version: &'static str,
    /// What it says of itself, from 0.12 on.
    nri: &'static str,
    /// The last event it knows.
    events: u32,
    /// Synchronize in parts.
    parts: bool,
    /// An RPC for each event.
    rpcs: bool,
    /// `Container.image`.
    image: bool,
    /// What the first screen says.
    shown: &'static str,
}

const PROFILES: &[Profile] = &[
    // NRI 0.6.1
    Profile {
        runtime: "containerd",
        version: "1.7.24~ds1",
        nri: "",
        events: 11,
        parts: false,
        rpcs: false,
        image: false,
        shown: "connected to containerd 1.7.24~ds1",
    },
    // 0.8.0
    Profile {
        runtime: "v2",
        version: "2.0.5",
        nri: "",
        events: 11,
        parts: true,
        rpcs: false,
        image: false,
        shown: "connected to containerd 2.0.5",
    },
    Profile {
        runtime: "containerd",
        version: "2.1.9+unknown",
        nri: "",
        events: 11,
        parts: true,
        rpcs: false,
        image: false,
        shown: "connected to containerd 2.1.9",
    },
    // 0.9.0
    Profile {
        runtime: "cri-o",
        version: "1.32.0",
        nri: "",
        events: 11,
        parts: true,
        rpcs: false,
        image: false,
        shown: "connected to cri-o 1.32.0",
    },
    // 0.10.0 and 0.11.0
    Profile {
        runtime: "containerd",
        version: "2.2.0",
        nri: "",
        events: 14,
        parts: true,
        rpcs: false,
        image: false,
        shown: "connected to containerd 2.2.0",
    },
    Profile {
        runtime: "containerd",
        version: "2.2.1",
        nri: "",
        events: 14,
        parts: true,
        rpcs: false,
        image: false,
        shown: "connected to containerd 2.2.1",
    },
    // 0.12.0 and 0.12.2
    Profile {
        runtime: "containerd",
        version: "2.3.4",
        nri: "v0.12.0",
        events: 14,
        parts: true,
        rpcs: true,
        image: false,
        shown: "connected to containerd 2.3.4 (NRI 0.12.0)",
    },
    Profile {
        runtime: "containerd",
        version: "2.4.0",
        nri: "v0.12.2",
        events: 14,
        parts: true,
        rpcs: true,
        image: true,
        shown: "connected to containerd 2.4.0 (NRI 0.12.2)",
    },
];

const METHODS: [&str; 15] = [
    "",
    "RunPodSandbox",
    "StopPodSandbox",
    "RemovePodSandbox",
    "CreateContainer",
    "PostCreateContainer",
    "StartContainer",
    "PostStartContainer",
    "UpdateContainer",
    "PostUpdateContainer",
    "StopContainer",
    "RemoveContainer",
    "UpdatePodSandbox",
    "PostUpdatePodSandbox",
    "ValidateContainerAdjustment",
];
/// Those that were RPCs of their own from the beginning.
const ALWAYS_RPCS: [usize; 5] = [4, 8, 10, 12, 14];

/// A runtime of a profile, once it is connected.
struct Runtime {
    peer: Peer,
    profile: Profile,
    /// What the plugin subscribed to.
    events: u64,
    /// The plugin did not know an RPC: everything is a StateChange now.
    fell_back: bool,
}

impl Runtime {
    fn connect(machine: &Machine, profile: Profile, pods: &[Message], containers: &[Message]) -> Self {
        let listener = machine.listen();
        let mut peer = Peer::accept(&listener);
        let before = machine.now().connections;
        let (stream, name, index) = peer.registration();
        assert_eq!((name.as_str(), index.as_str()), ("lanner", "10"));
        let mut configure = Message::new()
            .text(1, "some: configuration\n")
            .text(2, profile.runtime)
            .text(3, profile.version)
            .number(4, 5000)
            .number(5, 2000);
        if !profile.nri.is_empty() {
            configure = configure.text(6, profile.nri);
        }
        // Configure may come before the registration is answered.
        let early = profile.rpcs.then(|| peer.send("Configure", &configure.0));
        peer.respond(stream, 0, "");
        let configured = match early {
            Some(stream) => peer.answer(stream).unwrap().unwrap(),
            None => peer.ask("Configure", &configure),
        };
        let events = number(&configured, 2);
        let valid = (1u64 << profile.events) - 1;
        assert!(
            events != 0 && events & !valid == 0,
            "{events:#x}: a bit it doesn't know makes it refuse the plugin"
        );
        let mut runtime = Self {
            peer,
            profile,
            events,
            fell_back: false,
        };
        runtime.synchronize(pods, containers);
        until("the registration", || {
            machine.is_registered() && machine.now().connections > before
        });
        assert!(
            machine.status.to_string().starts_with(profile.shown),
            "{}",
            machine.status
        );
        runtime
    }

    fn synchronize(&mut self, pods: &[Message], containers: &[Message]) {
        let whole = |pods: &[Message], containers: &[Message], more: bool| {
            let message = pods
                .iter()
                .fold(Message::new(), |message, pod| message.message(1, pod));
            let message = containers
                .iter()
                .fold(message, |message, container| message.message(2, container));
            if more { message.number(3, 1) } else { message }
        };
        if !self.profile.parts {
            let answer = self.peer.ask("Synchronize", &whole(pods, containers, false));
            assert_eq!(number(&answer, 2), 0);
            return;
        }
        for (pods, containers) in [(pods, &[][..]), (&[], containers)] {
            let answer = self.peer.ask("Synchronize", &whole(pods, containers, true));
            assert_eq!(
                number(&answer, 2),
                1,
                "what does not echo `more` is taken for a plugin that can't be told in parts"
            );
        }
        let answer = self.peer.ask("Synchronize", &whole(&[], &[], false));
        assert_eq!(number(&answer, 2), 0);
    }

    /// Tells of an event as the version does, when the plugin wants to know.
    fn tell(&mut self, event: usize, pod: &Message, container: Option<&Message>) {
        if self.events & 1 << (event - 1) != 0 {
            self.insist(event, pod, container);
        }
    }

    /// Tells of an event whether it is wanted or not.
    fn insist(&mut self, event: usize, pod: &Message, container: Option<&Message>) {
        let method = METHODS[event];
        let message = |pod_field| {
            let message = Message::new().message(pod_field, pod);
            container.map_or(message.clone(), |container| {
                message.message(pod_field + 1, container)
            })
        };
        if ALWAYS_RPCS.contains(&event) || self.profile.rpcs && !self.fell_back {
            match self.peer.call(method, &message(1)) {
                Err((UNIMPLEMENTED, _)) if !ALWAYS_RPCS.contains(&event) => self.fell_back = true,
                answer => return drop(answer.unwrap_or_else(|error| panic!("{method}: {error:?}"))),
            }
        }
        let change = Message(
            Message::new()
                .number(1, event as u64)
                .0
                .into_iter()
                .chain(message(2).0)
                .collect(),
        );
        self.peer.ask("StateChange", &change);
    }
}

fn pod(profile: Profile, id: &str, name: &str) -> Message {
    let linux = Message::new()
        .text(3, "/k8s.io")
        .text(4, &format!("/k8s.io/{id}"));
    Message::new()
        .text(1, id)
        .text(2, name)
        .text(3, "uid-7")
        .text(4, "shop")
        .map(5, [("app", name), ("app.kubernetes.io/name", "cart")])
        .map(6, [("io.kubernetes.cri.sandbox-cpu-shares", "2")])
        .text(7, "runc")
        .message(8, &linux)
        .number(9, u64::from(profile.events))
        .text(10, "10.88.0.4")
}

const IMAGE: &str = "registry.test:5000/shop/web:1.27";

fn digest() -> String {
    format!("sha256:{}", "5a".repeat(32))
}

fn container(profile: Profile, id: &str, pod: &str, state: u64, pid: u64) -> Message {
    let device = Message::new().text(2, "a").text(5, "rwm");
    let resources = Message::new().message(7, &device);
    let linux = Message::new()
        .message(3, &resources)
        .text(5, &format!("/k8s.io/{id}"))
        .message(8, &Message::new().text(1, "SCMP_ACT_ALLOW"));
    let mut container = Message::new()
        .text(1, id)
        .text(2, pod)
        .text(3, "web")
        .number(4, state)
        .map(5, [("io.kubernetes.container.name", "web"), ("tier", "front")])
        .text(7, "/bin/web")
        .text(8, "PATH=/bin")
        .message(11, &linux)
        .number(12, pid);
    container = match profile.image {
        true => container.message(
            22,
            &Message::new()
                .text(1, IMAGE)
                .text(2, &digest())
                .text(3, &digest()),
        ),
        false => container.map(6, [("io.kubernetes.cri.image-name", IMAGE)]),
    };
    if profile.events > 11 {
        container = container
            .number(14, 1_700_000_000_000_000_000)
            .message(21, &Message::new().number(1, 1000));
    }
    container
}

fn id(number: u64) -> String {
    format!("{number:064x}")
}

#[test]
fn a_containers_life_is_followed_in_every_version() {
    for &profile in PROFILES {
        let machine = Machine::start();
        let (sandbox, old, new) = (id(1), id(2), id(3));
        let [sandbox_cgroup, old_cgroup, new_cgroup] =
            [&sandbox, &old, &new].map(|id| machine.cgroup(&format!("/k8s.io/{id}")));
        let in_map = |cgroup: u64| machine.cgroups().contains(&cgroup);
        let lasting = pod(profile, &sandbox, "lasting");
        let running = container(profile, &old, &sandbox, 3, 4711);
        let stopped = container(profile, &id(4), &sandbox, 4, 0);
        let mut runtime = Runtime::connect(
            &machine,
            profile,
            std::slice::from_ref(&lasting),
            &[running, stopped],
        );

        let known = machine.container(&old).unwrap();
        assert_eq!(
            (known.learnt, known.cgroup),
            (Learnt::Synchronize, old_cgroup),
            "{profile:?}"
        );
        assert_eq!(
            known.pod.as_ref().unwrap().labels["app.kubernetes.io/name"],
            "cart"
        );
        assert_eq!(machine.container(&sandbox).unwrap().cgroup, sandbox_cgroup);
        assert!(in_map(old_cgroup) && in_map(sandbox_cgroup));
        assert!(machine.container(&id(4)).is_none(), "what does not run");

        let created = container(profile, &new, &sandbox, 1, 0);
        runtime.tell(12, &lasting, None);
        runtime.tell(4, &lasting, Some(&created));
        runtime.tell(14, &lasting, Some(&created));
        runtime.tell(5, &lasting, Some(&created));
        // This is answered first.
        until("the container to be known by its id", || {
            machine
                .container(&new)
                .is_some_and(|container| container.cgroup == 0)
        });
        let started = container(profile, &new, &sandbox, 1, 4712);
        runtime.tell(6, &lasting, Some(&started));
        assert!(
            in_map(new_cgroup),
            "{profile:?}: the container waits for the reply"
        );
        let known = machine.container(&new).unwrap();
        assert_eq!(
            (known.learnt, known.cgroup, known.pid),
            (Learnt::Start, new_cgroup, 4712)
        );
        assert_eq!(
            (known.image.as_deref(), known.tag()),
            (Some(IMAGE), Some("1.27")),
            "{profile:?}"
        );
        assert_eq!(known.digest, profile.image.then(digest), "{profile:?}");
        assert_eq!(
            known.runtime,
            if profile.runtime == "cri-o" {
                "cri-o"
            } else {
                "containerd"
            }
        );
        let of = known.pod.as_ref().unwrap();
        assert_eq!(
            (of.name.as_str(), of.namespace.as_str(), of.uid.as_str()),
            ("lasting", "shop", "uid-7")
        );
        for event in [7, 8, 9, 13, 10] {
            runtime.tell(event, &lasting, Some(&started));
        }
        runtime.tell(11, &lasting, Some(&started));
        runtime.tell(2, &lasting, None);
        runtime.tell(3, &lasting, None);
        let before = machine.now();
        assert_eq!(
            (before.errors, before.panics, before.unknown_frames),
            (0, 0, 0),
            "{profile:?}"
        );
        assert_eq!(before.starts.count, 1);

        // What is not wanted must not fail the operation when it comes all the same.
        for event in 1..=14 {
            runtime.insist(event, &lasting, Some(&started));
        }
        assert!(!runtime.fell_back, "there is nothing to fall back from");
        // Before this is answered all of them are taken in.
        runtime.insist(6, &lasting, Some(&started));
        assert_eq!(machine.now().errors, 0, "{profile:?}");
        assert!(runtime.peer.longest <= 4096, "{}", runtime.peer.longest);
    }
}

#[test]
fn a_runtime_that_is_replaced_by_a_newer_one_takes_nothing_away() {
    let machine = Machine::start();
    let (sandbox, web) = (id(1), id(2));
    let cgroups = [&sandbox, &web].map(|id| machine.cgroup(&format!("/k8s.io/{id}")));
    for &profile in PROFILES {
        let pods = [pod(profile, &sandbox, "lasting")];
        let containers = [container(profile, &web, &sandbox, 3, 4711)];
        let runtime = Runtime::connect(&machine, profile, &pods, &containers);
        let known = machine.container(&web).unwrap();
        assert_eq!(
            (known.learnt, known.image.as_deref()),
            (Learnt::Synchronize, Some(IMAGE)),
            "{profile:?}"
        );
        assert!(cgroups.iter().all(|cgroup| machine.cgroups().contains(cgroup)));
        // No Shutdown: the socket just ends, as when containerd is stopped.
        drop(runtime);
        until("the end to be noticed", || !machine.is_registered());
        assert!(
            machine.container(&web).is_some(),
            "known while no runtime is there"
        );
    }
    assert_eq!(machine.now().connections, PROFILES.len() as u64);
}

#[test]
fn a_runtime_that_says_why_it_goes_is_quoted() {
    let machine = Machine::start();
    let mut runtime = Runtime::connect(&machine, PROFILES[0], &[], &[]);
    runtime
        .peer
        .ask("Shutdown", &Message::new().text(1, "node is drained"));
    runtime.peer.ask("Shutdown", &Message::new());
    drop(runtime);
    until("the end to be noticed", || !machine.is_registered());
    assert_eq!(
        machine.log.lines("shuts its plugins down: node is drained").len(),
        1
    );
    assert_eq!(machine.log.lines("shuts its plugins down").len(), 2);
    assert_eq!(machine.log.lines("the runtime closed the connection").len(), 1);
}

#[test]
fn a_large_node_is_told_of_in_parts() {
    const PODS: u64 = 1000;
    const CONTAINERS: u64 = 5000;
    let machine = Machine::start();
    let profile = PROFILES[2];
    let filling = "x".repeat(60);
    let keys: Vec<String> = (0..30)
        .map(|number| format!("example.com/label-{number:02}"))
        .collect();
    let labels = || keys.iter().map(|key| (key.as_str(), filling.as_str()));
    let pods: Vec<Message> = (0..PODS)
        .map(|number| {
            machine.cgroup(&format!("/k8s.io/{}", id(number)));
            pod(profile, &id(number), &format!("pod-{number}")).map(5, labels())
        })
        .collect();
    let containers: Vec<Message> = (0..CONTAINERS)
        .map(|number| {
            let id = id(1_000_000 + number);
            machine.cgroup(&format!("/k8s.io/{id}"));
            container(profile, &id, &self::id(number % PODS), 3, 1).map(5, labels())
        })
        .collect();
    let mut runtime = Runtime::connect(&machine, profile, &[], &[]);
    let mut sent = 0;
    // Four MiB is the most that a message may have.
    let mut part = Message::new();
    for (field, one) in pods
        .iter()
        .map(|pod| (1, pod))
        .chain(containers.iter().map(|container| (2, container)))
    {
        if part.0.len() + one.0.len() > (4 << 20) - 1000 {
            sent += part.0.len();
            let answer = runtime
                .peer
                .ask("Synchronize", &std::mem::take(&mut part).number(3, 1));
            assert_eq!(number(&answer, 2), 1);
        }
        part = part.message(field, one);
    }
    sent += part.0.len();
    runtime.peer.ask("Synchronize", &part);
    assert!(sent > 3 * (4 << 20), "{sent}");
    assert_eq!(machine.now().containers, PODS + CONTAINERS);
    let one = machine.container(&id(1_000_000 + 4321)).unwrap();
    assert_eq!(one.pod.as_ref().unwrap().name, "pod-321");
    assert_eq!(one.labels.len(), 32);
    assert_eq!(
        (
            machine.now().cut,
            machine.now().refused,
            machine.now().without_cgroup
        ),
        (0, 0, 0)
    );
    assert_eq!(machine.cgroups().len() as u64, PODS + CONTAINERS);
}

#[test]
fn calls_that_overlap_are_answered_each() {
    let machine = Machine::start();
    let mut runtime = Runtime::connect(&machine, PROFILES[7], &[], &[]);
    let (sandbox, web) = (id(1), id(2));
    let cgroup = machine.cgroup(&format!("/k8s.io/{web}"));
    let (pod, started) = (
        pod(PROFILES[7], &sandbox, "a"),
        container(PROFILES[7], &web, &sandbox, 1, 7),
    );
    let lifecycle = Message::new().message(1, &pod).message(2, &started);
    let streams: Vec<u32> = [
        "CreateContainer",
        "StartContainer",
        "PostStartContainer",
        "NoSuchThing",
        "StopContainer",
    ]
    .map(|method| runtime.peer.send(method, &lifecycle.0))
    .to_vec();
    for (index, stream) in streams.into_iter().enumerate().rev() {
        let answer = runtime.peer.answer(stream).unwrap();
        assert_eq!(answer.is_err(), index == 3, "{index}: {answer:?}");
    }
    assert!(machine.cgroups().contains(&cgroup));
}
