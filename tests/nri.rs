//! The NRI plugin against a real containerd: a container is known before its first instruction, what runs already is
//! learnt at registration, and what is removed is forgotten.

// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanner_nri::{Config, ContainerTable, State, Status};
use lanner_schema::cgroup::Hierarchy;
use lanner_schema::container::{Container, Containers, Learnt, Watch};
use support::containerd::{BUSYBOX, Containerd, Run, SHADOW};
use support::wait_for;

const LIMIT: Duration = Duration::from_secs(60);

/// What another plugin saw while the runtime waited for its answer.
#[derive(Debug, Clone)]
struct Sight {
    cgroup: u64,
    /// What the plugin before it had in its table.
    known: Option<Arc<Container>>,
    /// What the processes in the cgroup executed.
    programs: Vec<PathBuf>,
}

/// Watches the table of a second plugin, which is called after the one that is tested and within the same call of the runtime.
#[derive(Debug)]
struct Probe {
    table: Arc<ContainerTable>,
    seen: Mutex<Vec<Sight>>,
}

impl Watch for Probe {
    fn changed(&self, now: &Containers) {
        let mut seen = self.seen.lock().unwrap();
        for cgroup in now.running().map(|container| container.cgroup) {
            if seen.iter().any(|sight| sight.cgroup == cgroup) {
                continue;
            }
            let known = self.table.snapshot().get(cgroup).cloned();
            let programs = known
                .as_ref()
                .map(|container| programs(container))
                .unwrap_or_default();
            seen.push(Sight {
                cgroup,
                known,
                programs,
            });
        }
    }
}

fn programs(container: &Container) -> Vec<PathBuf> {
    let procs = cgroups()
        .join(container.cgroup_path.trim_start_matches('/'))
        .join("cgroup.procs");
    let pids = fs::read_to_string(procs).unwrap_or_default();
    pids.lines()
        .filter_map(|pid| fs::read_link(format!("/proc/{pid}/exe")).ok())
        .collect()
}

/// runc up to 1.1 runs from a copy of itself in memory.
fn is_runc(program: &Path) -> bool {
    program.ends_with("runc") || program.to_string_lossy().starts_with("/memfd:runc_cloned:")
}

/// Where the hierarchy is mounted that tells containers apart here.
fn cgroups() -> PathBuf {
    Hierarchy::of_host(Path::new("")).unwrap().mount
}

/// A running plugin.
struct Plugin {
    table: Arc<ContainerTable>,
    status: Arc<Status>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Plugin {
    fn start(
        runtime: &tokio::runtime::Runtime,
        containerd: &Containerd,
        index: &str,
        table: Arc<ContainerTable>,
    ) -> Self {
        let config = Config {
            socket_path: containerd.nri_socket(),
            plugin_index: index.into(),
            containerd_address: containerd.socket(),
            removal_grace: Duration::from_millis(500),
            ..Config::default()
        };
        let status = Arc::new(Status::default());
        let (stop, shutdown) = tokio::sync::watch::channel(false);
        runtime.spawn(lanner_nri::run(
            config,
            Arc::clone(&table),
            Arc::clone(&status),
            shutdown,
        ));
        Self { table, status, stop }
    }

    fn registered(&self, times: u64) {
        wait_for("the plugin to be registered", LIMIT, || {
            let now = self.status.snapshot();
            (matches!(now.state, State::Registered { .. }) && now.connections >= times).then_some(())
        });
    }

    fn container(&self, id: &str) -> Option<Arc<Container>> {
        self.table
            .snapshot()
            .running()
            .find(|container| container.full_id == id)
            .cloned()
    }
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[test]
fn twenty_containers_are_known_before_their_first_instruction() {
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return support::skip(&reason),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let tested = Plugin::start(&runtime, &containerd, "10", ContainerTable::new());
    tested.registered(1);
    // Distributions append to the version.
    assert!(
        matches!(tested.status.state(), State::Registered { runtime, version, .. }
            if runtime == "containerd" && version.starts_with(containerd.version())),
        "{:?}",
        tested.status.state()
    );
    let probe = Arc::new(Probe {
        table: Arc::clone(&tested.table),
        seen: Mutex::default(),
    });
    let watch: Arc<dyn Watch> = Arc::<Probe>::clone(&probe);
    let table = ContainerTable::new();
    table.tell(Arc::downgrade(&watch));
    let second = Plugin::start(&runtime, &containerd, "99", table);
    second.registered(1);

    let before = now_ns();
    let pod = containerd.pod("shop", "reader");
    let sandbox = tested
        .container(&pod.id)
        .expect("the sandbox is known when RunPodSandbox returns");
    assert_eq!(sandbox.name.as_deref(), Some("reader"));
    assert_eq!(
        sandbox.pod.as_ref().map(|pod| pod.namespace.as_str()),
        Some("shop")
    );

    let names: Vec<String> = (0..20).map(|number| format!("reader-{number}")).collect();
    for name in &names {
        let id = containerd.run(&pod, Run::new(name, SHADOW));
        let container = tested.container(&id).expect("in the table");
        assert_eq!(container.name.as_deref(), Some(name.as_str()));
        assert_eq!(container.image.as_deref(), Some(SHADOW));
        assert_eq!(
            (container.repository(), container.tag()),
            (Some("lanner.test/shadow-reader"), Some("2.1"))
        );
        let of = container.pod.as_ref().expect("its pod");
        assert_eq!(
            (of.name.as_str(), of.namespace.as_str(), of.uid.as_str()),
            ("reader", "shop", pod.uid())
        );
        assert_eq!(of.labels.get("app").map(String::as_str), Some("reader"));
        assert_eq!(of.sandbox_id, pod.id);
        assert_eq!(container.learnt, Learnt::Start);
        assert!(
            (before..=now_ns()).contains(&container.start_ts.unwrap()),
            "{container:?}"
        );

        let seen = probe.seen.lock().unwrap();
        let sight = seen
            .iter()
            .find(|sight| sight.cgroup == container.cgroup)
            .expect("the other plugin saw it");
        let known = sight
            .known
            .as_ref()
            .expect("in the table before the runtime had its answer");
        assert_eq!((&known.full_id, &known.image), (&id, &container.image));
        assert!(
            !sight.programs.is_empty() && sight.programs.iter().all(|program| is_runc(program)),
            "the container's own program must not run yet: {sight:?}"
        );
        drop(seen);
        containerd.wait_for_exit(&id);
    }
    for name in &names {
        wait_for("the digest", LIMIT, || {
            let table = tested.table.snapshot();
            let container = table
                .running()
                .find(|container| container.name.as_ref() == Some(name))?;
            (container.digest.as_deref() == Some(containerd.digest(SHADOW))).then_some(())
        });
    }
    let told = tested.status.snapshot();
    assert_eq!(
        (
            told.starts.count,
            told.errors,
            told.without_cgroup,
            told.unknown_frames
        ),
        (20, 0, 0, 0),
        "{told:?}"
    );
    println!(
        "StartContainer answered: {}; digests late: {} of {}",
        told.starts, told.digests_late, told.starts.count
    );

    containerd.remove(&pod);
    wait_for("the removed containers to be forgotten", LIMIT, || {
        (tested.table.snapshot().running().count() == 0).then_some(())
    });
}

#[test]
fn what_runs_already_is_learnt_and_a_restart_loses_nothing() {
    let mut containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return support::skip(&reason),
    };
    let before = now_ns();
    let pod = containerd.pod("shop", "lasting");
    let id = containerd.run(&pod, Run::new("tools", BUSYBOX));
    let started = now_ns();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let late = Plugin::start(&runtime, &containerd, "10", ContainerTable::new());
    late.registered(1);
    let container = late.container(&id).expect("named by Synchronize");
    assert_eq!(container.learnt, Learnt::Synchronize);
    assert_eq!(container.image.as_deref(), Some(BUSYBOX));
    assert_eq!(
        container.pod.as_ref().map(|pod| pod.name.as_str()),
        Some("lasting")
    );
    let directory = cgroups().join(container.cgroup_path.trim_start_matches('/'));
    assert_eq!(fs::metadata(directory).unwrap().ino(), container.cgroup);
    // The kernel keeps start times in hundredths of a second.
    let start = container.start_ts.unwrap();
    assert!(
        (before - 20_000_000..=started + 20_000_000).contains(&start),
        "{before} {start} {started}"
    );
    assert!(late.container(&pod.id).is_some(), "the sandbox too");

    containerd.restart();
    late.registered(2);
    assert!(late.container(&id).is_some());
    let next = containerd.run(&pod, Run::new("after", BUSYBOX));
    assert_eq!(
        late.container(&next).map(|container| container.learnt),
        Some(Learnt::Start)
    );
    wait_for("the digest after the restart", LIMIT, || {
        let digest = late.container(&next)?.digest.clone();
        (digest.as_deref() == Some(containerd.digest(BUSYBOX))).then_some(())
    });
    late.stop.send(true).unwrap();
}

#[test]
fn an_images_digest_is_asked_for_once_until_its_name_means_another() {
    let mut containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return support::skip(&reason),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let plugin = Plugin::start(&runtime, &containerd, "10", ContainerTable::new());
    plugin.registered(1);
    let pod = containerd.pod("shop", "alike");
    let mut number = 0;
    let mut next = |containerd: &Containerd| {
        number += 1;
        let id = containerd.run(&pod, Run::new(&format!("number-{number}"), BUSYBOX));
        plugin.container(&id).expect("it was told of")
    };
    let container = wait_for("an answer that was kept", LIMIT, || {
        let container = next(&containerd);
        (plugin.status.snapshot().digests_kept > 0).then_some(container)
    });
    assert_eq!(container.digest.as_deref(), Some(containerd.digest(BUSYBOX)));
    assert!(container.image_id.is_some());

    containerd.import(BUSYBOX, &["sleep", "2000000"]);
    assert_ne!(
        container.digest.as_deref(),
        Some(containerd.digest(BUSYBOX)),
        "the name was moved"
    );
    let other = wait_for("a container of the other image", LIMIT, || {
        let container = next(&containerd);
        (container.digest.as_deref() == Some(containerd.digest(BUSYBOX))).then_some(container)
    });
    assert_ne!(other.image_id, container.image_id);
    plugin.stop.send(true).unwrap();
}

#[test]
fn a_container_that_nri_does_not_tell_of_is_found_through_containerd() {
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return support::skip(&reason),
    };
    // `ctr` goes past CRI, and so past NRI.
    let id = "left-out-by-nri";
    let mighty = "left-out-and-privileged";
    for arguments in [
        &["run", "--detach", "--null-io", BUSYBOX, id][..],
        &["run", "--detach", "--null-io", "--privileged", BUSYBOX, mighty],
    ] {
        let ran = containerd.ctr(arguments);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let plugin = Plugin::start(&runtime, &containerd, "10", ContainerTable::new());
    plugin.registered(1);
    let container = wait_for("the container", LIMIT, || plugin.container(id));
    assert_eq!(container.image.as_deref(), Some(BUSYBOX));
    assert!(container.pod.is_none());
    assert_eq!(container.privileged, Some(false));
    let privileged = wait_for("the other container", LIMIT, || plugin.container(mighty));
    assert_eq!(privileged.privileged, Some(true));
    // Its first process is the runtime's own until it executes the container's program.
    wait_for(&format!("its program: {container:?}"), LIMIT, || {
        let mut programs = programs(&container).into_iter();
        programs
            .any(|program| program.ends_with("bin/busybox"))
            .then_some(())
    });
    wait_for("its digest", LIMIT, || {
        (plugin.container(id)?.digest.as_deref() == Some(containerd.digest(BUSYBOX))).then_some(())
    });
    assert_eq!(plugin.status.snapshot().reconciled, 2);
    for id in [id, mighty] {
        for arguments in [
            &["task", "kill", "-s", "KILL", id][..],
            &["task", "rm", "-f", id],
            &["container", "rm", id],
        ] {
            containerd.ctr(arguments);
        }
    }
}
