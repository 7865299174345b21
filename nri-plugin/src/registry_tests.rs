use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::*;

const GRACE: Duration = Duration::from_secs(30);

/// A registry over a host in a folder.
pub(crate) struct Fixture {
    pub(crate) root: tempfile::TempDir,
    pub(crate) registry: Registry,
    pub(crate) table: Arc<ContainerTable>,
    pub(crate) status: Arc<Status>,
    pub(crate) digests: mpsc::Receiver<DigestRequest>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (mount, proc_root) = (root.path().join("cgroup"), root.path().join("proc"));
        fs::create_dir_all(&mount).unwrap();
        fs::create_dir_all(&proc_root).unwrap();
        let (table, status) = (ContainerTable::new(), Arc::default());
        let (sender, digests) = mpsc::channel(8);
        let registry = Registry::new(
            Host::at(&proc_root, &mount),
            Arc::clone(&table),
            Arc::clone(&status),
            Some(sender),
            GRACE,
        );
        Self {
            root,
            registry,
            table,
            status,
            digests,
        }
    }

    /// Makes the cgroup of a container and gives its id.
    pub(crate) fn cgroup(&self, id: &str) -> u64 {
        let path: PathBuf = self.root.path().join("cgroup/k8s.io").join(id);
        fs::create_dir_all(&path).unwrap();
        fs::metadata(path).unwrap().ino()
    }

    fn get(&self, cgroup: u64) -> Option<Arc<Container>> {
        self.table.snapshot().get(cgroup).cloned()
    }
}

pub(crate) fn id(letter: char) -> String {
    std::iter::repeat_n(letter, 64).collect()
}

pub(crate) fn pod() -> api::PodSandbox {
    api::PodSandbox {
        id: id('f'),
        name: "cart".into(),
        uid: "uid-1".into(),
        namespace: "shop".into(),
        labels: HashMap::from([("app".into(), "cart".into())]),
        ..api::PodSandbox::default()
    }
}

pub(crate) fn container(letter: char, pid: u32) -> api::Container {
    api::Container {
        id: id(letter),
        pod_sandbox_id: id('f'),
        name: "web".into(),
        annotations: HashMap::from([(IMAGE_NAME.into(), "docker.io/library/nginx:1.27".into())]),
        linux: Some(api::LinuxContainer {
            cgroups_path: format!("/k8s.io/{}", id(letter)),
            ..api::LinuxContainer::default()
        }),
        pid,
        ..api::Container::default()
    }
}

#[test]
fn a_started_container_is_in_the_table_with_its_pod_and_image() {
    let mut fixture = Fixture::new();
    fixture.registry.created(Some(&pod()), &container('a', 0));
    assert!(fixture.table.snapshot().running().count() == 0, "no cgroup yet");
    let asked = fixture.digests.try_recv().unwrap();
    assert_eq!(asked.image, "docker.io/library/nginx:1.27");

    let cgroup = fixture.cgroup(&id('a'));
    let before = now_ns();
    fixture.registry.started(Some(&pod()), &container('a', 4711));
    let found = fixture.get(cgroup).unwrap();
    assert_eq!((found.name.as_deref(), found.tag()), (Some("web"), Some("1.27")));
    assert_eq!(
        (found.pid, found.cgroup, found.learnt),
        (4711, cgroup, Learnt::Start)
    );
    assert_eq!(found.cgroup_path, format!("/k8s.io/{}", id('a')));
    assert!((before..=now_ns()).contains(&found.start_ts.unwrap()));
    let of = found.pod.as_ref().unwrap();
    assert_eq!(
        (of.name.as_str(), of.namespace.as_str(), of.uid.as_str()),
        ("cart", "shop", "uid-1")
    );
    assert_eq!(of.labels["app"], "cart");
    assert!(fixture.digests.try_recv().is_err(), "asked once");
    assert_eq!(fixture.status.snapshot().containers, 1);
}

#[test]
fn a_container_that_starts_is_known_by_its_path_and_has_its_process_start_afterwards() {
    let mut fixture = Fixture::new();
    fixture.registry.created(Some(&pod()), &container('a', 0));
    assert!(!fixture.registry.starts(&id('a'), 4711), "no cgroup yet");
    let cgroup = fixture.cgroup(&id('a'));
    let before = now_ns();
    assert!(fixture.registry.starts(&id('a'), 4711));
    let found = fixture.get(cgroup).unwrap();
    assert_eq!(
        (found.pid, found.learnt, found.name.as_deref()),
        (4711, Learnt::Start, Some("web"))
    );
    assert_eq!(found.cgroup_path, format!("/k8s.io/{}", id('a')));
    assert!((before..=now_ns()).contains(&found.start_ts.unwrap()));
    assert!(!fixture.registry.starts(&id('a'), 4711), "it is known");

    // A process that started when the host did.
    let process = fixture.root.path().join("proc/4711");
    fs::create_dir_all(&process).unwrap();
    fs::write(process.join("cgroup"), format!("0::/k8s.io/{}\n", id('a'))).unwrap();
    fs::write(
        process.join("stat"),
        format!("4711 (runc) S{} 0 0", " 1".repeat(18)),
    )
    .unwrap();
    fixture.registry.started(Some(&pod()), &container('a', 4711));
    let found = fixture.get(cgroup).unwrap();
    let started = found.start_ts.unwrap();
    assert!(started < before, "{started} {before}");
    // That is said once: a second look is not a start.
    fs::write(
        process.join("stat"),
        format!("4711 (runc) S{} 10 0", " 1".repeat(18)),
    )
    .unwrap();
    fixture.registry.started(Some(&pod()), &container('a', 4711));
    assert_eq!(fixture.get(cgroup).unwrap().start_ts, Some(started));
    assert_eq!(fixture.status.snapshot().containers, 1);
}

#[test]
fn only_a_path_with_a_random_id_says_whose_it_is() {
    let mut fixture = Fixture::new();
    assert!(!fixture.registry.starts(&id('a'), 1), "it was never told of");
    let mut short = container('a', 0);
    short.id = "web".into();
    short.linux.as_mut().unwrap().cgroups_path = "/k8s.io/web".into();
    fixture.cgroup("web");
    fixture.registry.created(Some(&pod()), &short);
    assert!(!fixture.registry.starts("web", 1));
    let mut elsewhere = container('b', 0);
    elsewhere.linux.as_mut().unwrap().cgroups_path = "/k8s.io/web".into();
    fixture.registry.created(Some(&pod()), &elsewhere);
    assert!(!fixture.registry.starts(&id('b'), 1));
    assert_eq!(fixture.table.snapshot().running().count(), 0);
}

#[test]
fn a_late_digest_is_counted_and_reaches_the_table() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('a'));
    fixture.registry.created(Some(&pod()), &container('a', 0));
    fixture.registry.started(Some(&pod()), &container('a', 1));
    assert_eq!(fixture.status.snapshot().digests_late, 1);
    fixture.registry.image_found(&id('a'), "sha256:77", None);
    assert_eq!(fixture.get(cgroup).unwrap().digest.as_deref(), Some("sha256:77"));

    let early = fixture.cgroup(&id('b'));
    fixture.registry.created(Some(&pod()), &container('b', 0));
    fixture.registry.image_found(&id('b'), "sha256:88", None);
    fixture.registry.started(Some(&pod()), &container('b', 1));
    assert_eq!(fixture.get(early).unwrap().digest.as_deref(), Some("sha256:88"));
    let now = fixture.status.snapshot();
    assert_eq!((now.digests_late, now.digests_fetched), (1, 2));
}

#[test]
fn an_image_is_asked_for_once_while_it_is_said_when_its_name_means_another() {
    let mut fixture = Fixture::new();
    let (sender, mut questions) = mpsc::channel(8);
    fixture.registry.ask_cri(sender);
    let name = "docker.io/library/nginx:1.27".to_owned();
    let mut letters = ('0'..='9').chain('a'..='e');
    // Whether it is asked for, and what is known of the next container.
    let mut next = |fixture: &mut Fixture| {
        let letter = letters.next().unwrap();
        fixture.registry.created(Some(&pod()), &container(letter, 0));
        let asked = fixture.digests.try_recv().is_ok_and(|asked| asked.wants_id);
        let known = fixture.table.snapshot();
        let known = known.by_key(&id(letter)).unwrap();
        (asked, known.digest.clone(), known.image_id.clone())
    };
    let answer = |fixture: &mut Fixture, digest: &str, id: Option<&str>, changes| {
        let id = id.map(str::to_owned);
        fixture
            .registry
            .image_name_means(name.clone(), digest.into(), id, changes);
    };
    let unknown = (true, None, None);

    assert_eq!(next(&mut fixture), unknown);
    assert_eq!(fixture.registry.image_name_changes(), None);
    answer(&mut fixture, "sha256:1", Some("sha256:11"), 0);
    assert_eq!(next(&mut fixture), unknown, "nobody would say that it changes");

    fixture.registry.follow_image_names();
    let changes = fixture.registry.image_name_changes().unwrap();
    answer(&mut fixture, "sha256:1", None, changes);
    assert_eq!(next(&mut fixture), unknown, "its id is wanted as well");
    answer(&mut fixture, "sha256:1", Some("sha256:11"), changes);
    let known = (false, Some("sha256:1".into()), Some("11".into()));
    assert_eq!(next(&mut fixture), known);
    fixture
        .registry
        .image_name_changed(Some("docker.io/library/other:1"));
    assert_eq!(next(&mut fixture), known);
    // Asked before the change.
    answer(&mut fixture, "sha256:0", Some("sha256:00"), changes);
    assert_eq!(next(&mut fixture), known);

    for change in [Some(name.as_str()), None] {
        fixture.registry.image_name_changed(change);
        assert_eq!(next(&mut fixture), unknown);
        let changes = fixture.registry.image_name_changes().unwrap();
        answer(&mut fixture, "sha256:2", Some("sha256:22"), changes);
        assert_eq!(
            next(&mut fixture),
            (false, Some("sha256:2".into()), Some("22".into()))
        );
    }
    // One that ran before may be of what the name meant then.
    fixture.registry.synchronized_container(&container('d', 7));
    assert!(fixture.digests.try_recv().unwrap().ran_before);
    fixture.registry.unfollow_image_names();
    assert_eq!(next(&mut fixture), unknown);
    while let Ok(question) = questions.try_recv() {
        assert!(
            matches!(question, Question::Pod(_)),
            "the images' ids come with the digests"
        );
    }
    assert_eq!(fixture.status.snapshot().digests_kept, 5);
}

#[test]
fn a_reference_that_names_its_digest_needs_no_question() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('a'));
    let mut pinned = container('a', 1);
    pinned
        .annotations
        .insert(IMAGE_NAME.into(), "reg:5000/web@sha256:99".into());
    fixture.registry.started(Some(&pod()), &pinned);
    assert_eq!(fixture.get(cgroup).unwrap().digest.as_deref(), Some("sha256:99"));
    assert!(fixture.digests.try_recv().is_err());
}

#[test]
fn a_removed_container_stays_for_the_grace_period() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('a'));
    fixture.registry.started(Some(&pod()), &container('a', 1));
    let now = Instant::now();
    fixture.registry.removed(&id('a'), now);
    // It does not begin anew when the runtime says so once more.
    fixture.registry.removed(&id('a'), now + GRACE / 2);
    fixture.registry.sweep(now + GRACE - Duration::from_millis(1));
    assert!(fixture.get(cgroup).is_some());
    fixture.registry.sweep(now + GRACE);
    assert!(fixture.get(cgroup).is_none());
    assert_eq!(fixture.status.snapshot().containers, 0);
}

#[test]
fn a_container_without_cgroup_is_counted_and_gets_a_second_look() {
    let mut fixture = Fixture::new();
    fixture.registry.started(Some(&pod()), &container('a', 1));
    assert!(fixture.table.snapshot().running().count() == 0);
    fixture.registry.started(Some(&pod()), &container('a', 1));
    assert_eq!(
        fixture.status.snapshot().without_cgroup,
        1,
        "one container, one loss"
    );
    let cgroup = fixture.cgroup(&id('a'));
    fixture.registry.started(Some(&pod()), &container('a', 1));
    assert!(fixture.get(cgroup).is_some());
}

#[test]
fn synchronize_in_parts_adds_what_runs_and_forgets_what_does_not() {
    let mut fixture = Fixture::new();
    let (gone, runs, sandbox) = (
        fixture.cgroup(&id('a')),
        fixture.cgroup(&id('b')),
        fixture.cgroup(&id('f')),
    );
    let stopped = fixture.cgroup(&id('c'));
    fixture.registry.started(Some(&pod()), &container('a', 1));

    let now = Instant::now();
    let mut with_path = pod();
    with_path.linux = Some(api::LinuxPodSandbox {
        cgroups_path: format!("/k8s.io/{}", id('f')),
        ..api::LinuxPodSandbox::default()
    });
    fixture.registry.synchronized_pod(&with_path);
    let dead = api::Container {
        state: api::STOPPED,
        ..container('c', 0)
    };
    fixture.registry.synchronized_container(&container('b', 2));
    fixture.registry.synchronized_container(&dead);
    fixture.registry.synchronized(now);

    let found = fixture.get(runs).unwrap();
    assert_eq!(found.learnt, Learnt::Synchronize);
    assert_eq!(
        found.pod.as_ref().unwrap().name,
        "cart",
        "its pod came in an earlier part"
    );
    assert_eq!(fixture.get(sandbox).unwrap().name.as_deref(), Some("cart"));
    assert!(fixture.get(stopped).is_none() && !fixture.registry.knows(&id('c')));
    fixture.registry.sweep(now + GRACE);
    assert!(fixture.get(gone).is_none() && fixture.get(runs).is_some() && fixture.get(sandbox).is_some());
}

#[test]
fn what_another_agent_knew_is_known_until_the_runtime_tells() {
    let mut fixture = Fixture::new();
    let known = |letter: char, cgroup: u64, learnt: Learnt| Container {
        name: Some("web".into()),
        cgroup,
        ..Container::new(id(letter), "containerd", learnt)
    };
    fixture.registry.adopt_all(vec![
        known('a', 71, Learnt::Start),
        known('b', 72, Learnt::Synchronize),
        // Who told of it is asked again, and a container that is gone is of no use.
        known('c', 73, Learnt::Api),
        Container {
            gone: true,
            ..known('d', 74, Learnt::Start)
        },
    ]);
    assert_eq!(fixture.get(71).unwrap().name.as_deref(), Some("web"));
    assert!(fixture.get(72).is_some());
    assert!(fixture.get(73).is_none() && fixture.get(74).is_none());
    let now = Instant::now();
    fixture.registry.synchronized_container(&container('a', 1));
    fixture.registry.synchronized(now);
    fixture.registry.sweep(now + GRACE * 2);
    assert!(fixture.get(71).is_some() && fixture.get(72).is_none());
    let told = fixture.get(71).unwrap();
    let otherwise = Container {
        name: Some("other".into()),
        ..known('a', 71, Learnt::Start)
    };
    fixture.registry.adopt_all(vec![otherwise]);
    assert_eq!(fixture.get(71).unwrap(), told, "what the runtime tells wins");
}

#[test]
fn an_unfinished_synchronize_forgets_nothing() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('a'));
    fixture.registry.started(Some(&pod()), &container('a', 1));
    let now = Instant::now();
    fixture.registry.synchronized_container(&container('b', 1));
    fixture.registry.disconnected();
    fixture.registry.synchronized_pod(&pod());
    fixture.registry.synchronized_container(&container('a', 1));
    fixture.registry.synchronized(now);
    fixture.registry.sweep(now + GRACE * 2);
    assert_eq!(
        fixture.get(cgroup).unwrap().learnt,
        Learnt::Start,
        "how it was learnt first stays"
    );
}

#[test]
fn a_container_without_an_id_is_an_error_and_nothing_else() {
    let mut fixture = Fixture::new();
    fixture.registry.created(None, &api::Container::default());
    fixture.registry.started(None, &api::Container::default());
    fixture.registry.pod_started(&api::PodSandbox::default());
    assert!(fixture.table.snapshot().running().count() == 0);
    let now = fixture.status.snapshot();
    assert_eq!((now.errors, now.refused), (3, 3));
}

#[test]
fn a_container_that_is_created_and_never_started_does_not_stay_for_ever() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('b'));
    fixture.registry.created(Some(&pod()), &container('a', 0));
    fixture.registry.created(Some(&pod()), &container('b', 0));
    fixture.registry.started(Some(&pod()), &container('b', 1));
    let later = Instant::now() + UNPLACED;
    assert!(fixture.registry.knows(&id('a')));
    fixture.registry.sweep(later + Duration::from_secs(1));
    assert!(!fixture.registry.knows(&id('a')));
    assert!(fixture.get(cgroup).is_some(), "what runs stays");
    fixture.cgroup(&id('a'));
    fixture.registry.started(Some(&pod()), &container('a', 1));
    assert_eq!(fixture.status.snapshot().containers, 2);
}

#[test]
fn what_no_runtime_would_say_is_bounded_and_counted() {
    let mut fixture = Fixture::new();
    for id in ["../../../etc", "a/b", "", &"x".repeat(4096)] {
        let odd = api::Container {
            id: id.into(),
            ..container('a', 1)
        };
        fixture.registry.started(Some(&pod()), &odd);
        fixture.registry.removed(id, Instant::now());
    }
    assert_eq!(fixture.table.snapshot().all().count(), 0);
    for number in 0..limits::CONTAINERS + 3 {
        let one = api::Container {
            id: format!("{number:064x}"),
            ..api::Container::default()
        };
        fixture.registry.created(None, &one);
    }
    let now = fixture.status.snapshot();
    assert_eq!((now.refused, now.errors), (7, 4));
    assert_eq!(fixture.table.snapshot().all().count(), limits::CONTAINERS);
    // One that is known is still told of.
    let one = api::Container {
        id: format!("{:064x}", 0),
        pid: 7,
        ..api::Container::default()
    };
    fixture.registry.created(None, &one);
    assert_eq!(fixture.table.snapshot().by_key(&one.id).unwrap().pid, 7);
}

#[test]
fn all_labels_together_are_bounded() {
    let mut fixture = Fixture::new();
    let many = |letter| api::Container {
        labels: HashMap::from([("key".into(), "x".repeat(limits::ALL_TEXTS * 2 / 3))]),
        ..container(letter, 0)
    };
    for letter in ['a', 'b', 'a'] {
        fixture.registry.created(None, &many(letter));
    }
    let table = fixture.table.snapshot();
    let labels = |letter| table.by_key(&id(letter)).unwrap().labels.len();
    assert_eq!(
        (labels('a'), labels('b'), fixture.status.snapshot().cut),
        (1, 0, 1)
    );
}

fn source(name: &str) -> Source {
    name.into()
}

/// A container as another API than NRI's tells of it.
fn told(id: &str, pid: u32) -> Told {
    Told {
        container: Container {
            name: Some("web".into()),
            image: Some("web:1".into()),
            pid,
            ..Container::new(id, "containerd", Learnt::Api)
        },
        cgroups_path: format!("/k8s.io/{id}"),
    }
}

#[test]
fn a_container_that_only_containerd_knows_is_taken_in_once() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('d'));
    let containerd = source("containerd");
    fixture.registry.told_by(&containerd, told(&id('d'), 0));
    assert!(fixture.registry.knows(&id('d')));
    assert!(fixture.get(cgroup).is_none(), "it doesn't run yet");
    let path = format!("/k8s.io/{}", id('d'));
    assert!(fixture.table.snapshot().awaited(&path).is_some());
    assert!(fixture.registry.is_news(&id('d'), 7) && !fixture.registry.is_news(&id('d'), 0));
    assert!(fixture.registry.runs(&containerd, &id('d'), 7, Some(99)));
    let found = fixture.get(cgroup).unwrap();
    assert_eq!(
        (found.learnt, found.pid, found.start_ts),
        (Learnt::Api, 7, Some(99))
    );
    assert!(fixture.get(cgroup).is_some() && !fixture.registry.is_news(&id('d'), 7));
    assert!(
        !fixture.registry.runs(&containerd, &id('e'), 7, None),
        "nobody told of it"
    );
    assert_eq!(fixture.status.snapshot().reconciled, 1);
    assert!(
        fixture.digests.try_recv().is_err(),
        "who told of it asks for its digest"
    );
}

#[test]
fn what_nri_tells_stands() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('a'));
    fixture.registry.started(Some(&pod()), &container('a', 1));
    fixture.registry.told_by(&source("containerd"), told(&id('a'), 1));
    assert!(fixture.registry.runs(&source("containerd"), &id('a'), 1, None));
    let found = fixture.get(cgroup).unwrap();
    assert_eq!((found.learnt, found.tag()), (Learnt::Start, Some("1.27")));
    assert!(found.pod.is_some());
    // And it comes to stand where containerd was the first to tell.
    let cgroup = fixture.cgroup(&id('b'));
    fixture.registry.told_by(&source("containerd"), told(&id('b'), 1));
    fixture.registry.started(Some(&pod()), &container('b', 1));
    let found = fixture.get(cgroup).unwrap();
    assert_eq!(
        (found.learnt, found.tag(), found.pod.is_some()),
        (Learnt::Start, Some("1.27"), true)
    );
}

#[test]
fn synchronize_forgets_nothing_that_others_told_of() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup("web");
    fixture.registry.told_by(&source("containerd"), told("web", 7));
    let now = Instant::now();
    fixture.registry.synchronized(now);
    fixture.registry.sweep(now + GRACE * 2);
    assert!(fixture.get(cgroup).is_some());
    // Its own source does, once it lists everything without it.
    fixture.registry.listed(&source("docker"), &HashSet::new(), now);
    fixture.registry.sweep(now + GRACE * 2);
    assert!(fixture.get(cgroup).is_some(), "another one's list says nothing");
    fixture
        .registry
        .listed(&source("containerd"), &HashSet::from(["web".to_owned()]), now);
    fixture.registry.sweep(now + GRACE * 2);
    assert!(fixture.get(cgroup).is_some());
    fixture
        .registry
        .listed(&source("containerd"), &HashSet::new(), now);
    fixture.registry.sweep(now + GRACE * 2);
    assert!(fixture.get(cgroup).is_none());
}

#[test]
fn an_id_that_is_used_again_is_another_container() {
    let mut fixture = Fixture::new();
    let containerd = source("containerd");
    let first = fixture.cgroup("web");
    fixture.registry.told_by(&containerd, told("web", 7));
    assert!(fixture.get(first).is_some());
    // The same container runs once more: in a new cgroup.
    let folder = fixture.root.path().join("cgroup/k8s.io/web");
    let aside = fixture.root.path().join("cgroup/k8s.io/other");
    fs::rename(&folder, &aside).unwrap();
    let second = fixture.cgroup("web");
    assert!(fixture.registry.runs(&containerd, "web", 8, None));
    let found = fixture.get(second).unwrap();
    assert_eq!((found.pid, found.name.as_deref()), (8, Some("web")));
    assert!(fixture.get(first).is_none());
    // It is removed, and another one is made with its id.
    fixture.registry.gone(&containerd, "web", Instant::now());
    assert!(!fixture.registry.runs(&containerd, "web", 9, None));
    let mut other = told("web", 0);
    other.container.name = Some("other".into());
    fixture.registry.told_by(&containerd, other);
    assert!(fixture.get(second).is_none());
    let known = fixture.table.snapshot().by_key("web").cloned().unwrap();
    assert_eq!((known.name.as_deref(), known.cgroup), (Some("other"), 0));
}

#[test]
fn two_sources_make_one_container() {
    let mut fixture = Fixture::new();
    let (docker, containerd) = (source("docker"), source("containerd"));
    let mut by_docker = told(&id('a'), 0);
    by_docker.cgroups_path.clear();
    let mut by_containerd = told(&id('a'), 0);
    (by_containerd.container.name, by_containerd.container.image) = (None, None);
    fixture.registry.told_by(&docker, by_docker);
    fixture.registry.told_by(&containerd, by_containerd.clone());
    let cgroup = fixture.cgroup(&id('a'));
    assert!(fixture.registry.runs(&containerd, &id('a'), 7, None));
    let found = fixture.get(cgroup).unwrap();
    assert_eq!(
        (found.name.as_deref(), found.image.as_deref()),
        (Some("web"), Some("web:1"))
    );
    // dockerd keeps a stopped container that containerd has no more.
    let now = Instant::now();
    fixture.registry.gone(&containerd, &id('a'), now);
    fixture.registry.listed(&containerd, &HashSet::new(), now);
    fixture.registry.sweep(now + GRACE * 2);
    fixture.registry.told_by(&containerd, by_containerd);
    assert!(fixture.registry.runs(&containerd, &id('a'), 8, None));
    assert_eq!(fixture.get(cgroup).unwrap().name.as_deref(), Some("web"));
    fixture.registry.gone(&docker, &id('a'), now);
    fixture.registry.sweep(now + GRACE * 2);
    assert!(fixture.get(cgroup).is_none());
}

#[test]
fn containers_of_one_id_in_two_namespaces_of_containerd_live_side_by_side() {
    let mut fixture = Fixture::new();
    let containerd = source("containerd");
    let mut cgroups = Vec::new();
    for (namespace, pid) in [("", 7), ("team-a", 8), ("team-b", 9)] {
        let path = format!(
            "{}/redis",
            if namespace.is_empty() { "k8s.io" } else { namespace }
        );
        let folder = fixture.root.path().join("cgroup").join(&path);
        fs::create_dir_all(&folder).unwrap();
        cgroups.push(fs::metadata(folder).unwrap().ino());
        let mut told = told("redis", pid);
        told.container.runtime_namespace = namespace.into();
        told.cgroups_path = format!("/{path}");
        fixture.registry.told_by(&containerd, told);
    }
    let pids = |fixture: &Fixture| -> Vec<Option<u32>> {
        let pid = |cgroup: &u64| fixture.get(*cgroup).map(|known| known.pid);
        cgroups.iter().map(pid).collect()
    };
    assert_eq!(pids(&fixture), [Some(7), Some(8), Some(9)]);
    assert!(cgroups.iter().all(|cgroup| fixture.get(*cgroup).is_some()));
    // One ends, one is started anew, one is not in the list any more.
    let now = Instant::now();
    fixture.registry.gone(&containerd, "redis", now);
    assert!(fixture.registry.runs(&containerd, "team-a/redis", 18, None));
    fixture.registry.sweep(now + GRACE * 2);
    assert_eq!(pids(&fixture), [None, Some(18), Some(9)]);
    let seen = HashSet::from(["team-a/redis".to_owned()]);
    fixture.registry.listed(&containerd, &seen, now);
    fixture.registry.sweep(now + GRACE * 2);
    assert_eq!(pids(&fixture), [None, Some(18), None]);
}

#[test]
fn what_containerd_keeps_of_a_container_in_the_hosts_namespaces_says_so() {
    let mut fixture = Fixture::new();
    let of = |id: &str, kind: &str, namespaces: &str| {
        let spec = format!(
            r#"{{"annotations":{{"io.kubernetes.cri.container-type":"{kind}","io.kubernetes.cri.sandbox-id":"s1",
            "io.kubernetes.cri.sandbox-name":"cart"}},"linux":{{"namespaces":[{namespaces}]}}}}"#
        );
        let record = containerd_client::services::v1::Container {
            id: id.into(),
            spec: Some(prost_types::Any {
                type_url: String::new(),
                value: spec.into_bytes(),
            }),
            ..Default::default()
        };
        crate::record::read(record, "k8s.io")
    };
    let joined =
        r#"{"type":"network","path":"/proc/7/ns/net"},{"type":"ipc","path":"/proc/7/ns/ipc"},{"type":"pid"}"#;
    let web = of("c1", "container", joined);
    assert_eq!(web.container.host.network, None, "its sandbox knows");
    let containerd = source("containerd");
    let sandbox = of("s1", "sandbox", r#"{"type":"ipc"},{"type":"pid"}"#);
    fixture.registry.told_by(&containerd, sandbox);
    fixture.registry.told_by(&containerd, web);
    let table = fixture.table.snapshot();
    for key in ["s1", "c1"] {
        let host = table.by_key(key).unwrap().host;
        assert_eq!(
            (host.network, host.ipc, host.pid),
            (Some(true), Some(false), Some(false))
        );
    }
}

#[test]
fn what_was_seen_by_its_cgroup_goes_with_it() {
    let mut fixture = Fixture::new();
    let cgroup = fixture.cgroup(&id('a'));
    let seen = Container {
        cgroup,
        cgroup_path: format!("/k8s.io/{}", id('a')),
        ..Container::new(id('a'), "containerd", Learnt::Cgroup)
    };
    let cgroups = source(SEEN);
    fixture.registry.seen(&cgroups, &seen);
    fixture.registry.seen(&cgroups, &seen);
    assert_eq!(fixture.get(cgroup).unwrap().learnt, Learnt::Cgroup);
    assert!(
        fixture.registry.is_news(&id('a'), 0),
        "whoever knows more is welcome"
    );
    fixture.registry.told_by(&source("containerd"), told(&id('a'), 7));
    assert_eq!(fixture.get(cgroup).unwrap().learnt, Learnt::Api);

    let other = fixture.cgroup(&id('b'));
    let seen = Container {
        cgroup: other,
        cgroup_path: format!("/k8s.io/{}", id('b')),
        ..Container::new(id('b'), "containerd", Learnt::Cgroup)
    };
    fixture.registry.seen(&cgroups, &seen);
    let now = Instant::now();
    fixture.registry.sweep_seen(now);
    fixture.registry.sweep(now + GRACE * 2);
    assert!(fixture.get(other).is_some());
    for letter in ['a', 'b'] {
        fs::remove_dir(fixture.root.path().join("cgroup/k8s.io").join(id(letter))).unwrap();
    }
    fixture.registry.sweep_seen(now);
    fixture.registry.sweep(now + GRACE * 2);
    assert!(fixture.get(other).is_none());
    assert!(
        fixture.get(cgroup).is_some(),
        "containerd tells when that one is gone"
    );
}

#[test]
fn a_container_learnt_from_synchronize_has_what_its_pod_has() {
    let mut fixture = Fixture::new();
    let namespace = |kind: &str, path: &str| api::LinuxNamespace {
        kind: kind.into(),
        path: path.into(),
    };
    let mut sandbox = pod();
    sandbox.ips = vec!["fd00::7".into(), "10.88.0.7".into()];
    sandbox.linux = Some(api::LinuxPodSandbox {
        namespaces: vec![namespace("ipc", ""), namespace("network", "/run/netns/a")],
        ..api::LinuxPodSandbox::default()
    });
    let mut member = container('b', 2);
    member.linux.as_mut().unwrap().namespaces = vec![
        namespace("ipc", "/proc/7/ns/ipc"),
        namespace("network", "/proc/7/ns/net"),
        namespace("pid", ""),
    ];
    fixture.registry.synchronized_pod(&sandbox);
    fixture.registry.synchronized_container(&member);
    fixture.registry.synchronized(Instant::now());
    let known = fixture.table.snapshot().by_key(&id('b')).cloned().unwrap();
    assert_eq!(known.ip.as_deref(), Some("10.88.0.7"));
    assert_eq!(
        (known.host.pid, known.host.network, known.host.ipc),
        (Some(false), Some(false), Some(false))
    );
    assert_eq!(known.pod.as_ref().unwrap().name, "cart");
}

#[test]
fn labels_that_are_too_long_are_left_out_where_that_is_wanted() {
    let mut fixture = Fixture::new();
    fixture.registry = fixture.registry.with_label_max_len(Some(3));
    let mut long = container('a', 0);
    long.labels = HashMap::from([("short".into(), "abc".into()), ("long".into(), "abcd".into())]);
    fixture.registry.created(Some(&pod()), &long);
    let known = fixture.table.snapshot().by_key(&id('a')).cloned().unwrap();
    assert_eq!(known.labels.keys().collect::<Vec<_>>(), ["short"]);
    assert!(known.pod.as_ref().unwrap().labels.is_empty(), "cart is longer");
}
