//! Containers that no NRI tells of, with the real ones: `ctr`'s in every namespace of containerd, podman's, LXC's
//! and systemd-nspawn's.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::time::Duration;

use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Run, SHADOW};
use support::lanner::{self, Lanner, field};
use support::runtimes::{IMAGE, Runtimes};
use support::{skip, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

/// A rule that prints all that is known of a container. Of what the rule is about `cat` is told apart from the runtime.
const RULES: &str = r#"
- rule: Shadow read
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat and container.id != host
  output: "shadow (id=%container.id full=%container.full_id name=%container.name image=%container.image repository=%container.image.repository tag=%container.image.tag digest=%container.image.digest imageid=%container.image.id type=%container.type privileged=%container.privileged pod=%k8s.pod.name ns=%k8s.ns.name uid=%k8s.pod.uid mounts=%container.mounts pid=%container.host_pid network=%container.host_network line=%proc.cmdline label=%container.label[team])"
  priority: WARNING
- rule: Container event
  desc: No event of a container may lack its name
  condition: evt.type in (open, openat, openat2, execve) and container.id != host and container.type = containerd and not container.name exists
  output: "nameless (id=%container.id type=%evt.type proc=%proc.cmdline cgroup=%thread.cgroups)"
  priority: NOTICE
- rule: Container came
  desc: What is known of a container when its event is made
  condition: evt.type = container
  output: "came (full=%container.full_id name=%container.name pod=%k8s.pod.name ns=%k8s.ns.name uid=%k8s.pod.uid)"
  priority: NOTICE
"#;

fn of<'a>(id: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |alert| alert["rule"] == "Shadow read" && field(alert, "container.full_id") == id
}

fn assert_fields(alert: &Value, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(field(alert, name), *value, "{name} in {alert}");
    }
}

/// Lanner with the rule above and these options.
fn start(options: Vec<String>, more: &[String]) -> (Lanner, tempfile::TempDir) {
    let (folder, rules) = lanner::rules(RULES);
    let mut arguments = options;
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    arguments.extend(more.iter().flat_map(|option| ["-o".to_owned(), option.clone()]));
    (Lanner::start(&arguments), folder)
}

#[test]
fn what_ctr_runs_is_known_from_its_first_instruction() {
    let Some((_alone, mut containerd)) = lanner::beside_containerd() else {
        return;
    };
    for namespace in ["default", "moby"] {
        containerd.import_to(namespace, SHADOW, &["cat", "/etc/shadow"]);
    }
    let (lanner, _folder) = start(lanner::options(Some(&containerd)), &[]);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    let mut ran = Vec::new();
    for number in 0..10 {
        let id = format!("shadow-reader-{number}");
        let namespace = ["default", "k8s.io"][number % 2];
        containerd.ctr_run(namespace, &["--rm", "--label", "team=shop", SHADOW, &id]);
        ran.push(id);
    }
    for id in &ran {
        let alert = lanner.wait_for_alert("one for each container", of(id));
        let (repository, tag) = SHADOW.rsplit_once(':').unwrap();
        assert_fields(
            &alert,
            &[
                ("container.id", &id[..12]),
                ("container.name", &id[..12]),
                ("container.image", SHADOW),
                ("container.image.repository", repository),
                ("container.image.tag", tag),
                ("container.type", "containerd"),
                ("container.privileged", "false"),
                ("container.label[team]", "shop"),
            ],
        );
    }
    // One that is privileged, in the host's namespaces and with a mount; and one as dockerd's are in containerd.
    containerd.ctr_run(
        "default",
        &[
            "--rm",
            "--privileged",
            "--net-host",
            "--mount",
            "type=bind,src=/srv,dst=/data,options=rbind:ro",
            SHADOW,
            "mighty",
        ],
    );
    let alert = lanner.wait_for_alert("the privileged one", of("mighty"));
    assert_fields(
        &alert,
        &[
            ("container.privileged", "true"),
            ("container.host_network", "true"),
            ("container.host_pid", "false"),
        ],
    );
    assert!(
        field(&alert, "container.mounts").contains("/srv:/data:"),
        "{alert}"
    );
    let dockers = "d".repeat(64);
    containerd.ctr_run("moby", &["--rm", SHADOW, &dockers]);
    let alert = lanner.wait_for_alert("the one in docker's namespace", of(&dockers));
    assert_fields(
        &alert,
        &[("container.type", "docker"), ("container.id", &dockers[..12])],
    );
    // Not one event, not even of runc on its way into the container, was without the name. Others may be testing here too.
    let own = format!("/lanner-test-{}-", std::process::id());
    let is_own = |alert: &Value| field(alert, "thread.cgroups").contains(&own);
    let nameless: Vec<Value> = lanner
        .alerts()
        .into_iter()
        .filter(|alert| alert["rule"] == "Container event" && is_own(alert))
        .collect();
    assert!(nameless.is_empty(), "{nameless:#?}");
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn what_somebody_else_runs_in_cris_namespace_is_told_of_when_it_runs() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let (lanner, _folder) = start(lanner::options(Some(&containerd)), &[]);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    // With CRI's own beside it, of whose tasks containerd need not tell.
    let pod = containerd.pod("shop", "beside");
    let cris = containerd.run(&pod, Run::new("lasting", BUSYBOX));
    let is_event = |id: &str| {
        let id = id.to_owned();
        move |alert: &Value| alert["rule"] == "Container came" && field(alert, "container.full_id") == id
    };
    lanner.wait_for_alert("CRI's", is_event(&cris));
    for id in ["beside-cri", "beside-cri-too"] {
        containerd.ctr_run("k8s.io", &["--detach", "--null-io", BUSYBOX, id]);
        lanner.wait_for_alert("that of somebody else", is_event(id));
    }
    for id in ["beside-cri", "beside-cri-too"] {
        containerd.ctr(&["tasks", "kill", "--signal", "KILL", id]);
    }
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn what_ran_before_stays_known_through_restarts_of_both() {
    let Some((_alone, mut containerd)) = lanner::beside_containerd() else {
        return;
    };
    containerd.import_to("default", BUSYBOX, &["sleep", "1000000"]);
    containerd.ctr_run("default", &["--detach", "--null-io", BUSYBOX, "lasting"]);
    let look = |lanner: &Lanner, containerd: &Containerd, times: usize| {
        let ran = containerd.ctr_in(
            "default",
            &[
                "task",
                "exec",
                "--exec-id",
                &format!("look-{times}"),
                "lasting",
                "cat",
                "/etc/shadow",
            ],
        );
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        lanner
            .wait_for_alerts("an exec", times, of("lasting"))
            .pop()
            .unwrap()
    };
    let expected = [("container.name", "lasting"), ("container.image", BUSYBOX)];
    let (lanner, _folder) = start(lanner::options(Some(&containerd)), &[]);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    // Its digest and its image's id come after its name.
    let mut times = 0;
    wait_for("the digest of an image in another namespace", LIMIT, || {
        times += 1;
        let alert = look(&lanner, &containerd, times);
        let is_whole = field(&alert, "container.image.digest") == containerd.digest(BUSYBOX)
            && field(&alert, "container.image.id") == containerd.image_id(BUSYBOX);
        is_whole.then_some(())
    });
    containerd.restart();
    times += 1;
    assert_fields(&look(&lanner, &containerd, times), &expected);
    // What starts after the restart is known again by itself.
    let mut number = 0;
    wait_for("a container of after the restart to be known", LIMIT, || {
        number += 1;
        let id = format!("after-{number}");
        containerd.ctr_run("default", &["--rm", BUSYBOX, &id, "cat", "/etc/shadow"]);
        let of = of(&id);
        lanner
            .alerts()
            .into_iter()
            .find(|alert| of(alert) && field(alert, "container.image") == BUSYBOX)
    });
    drop(lanner);
    let (again, _folder) = start(lanner::options(Some(&containerd)), &[]);
    again.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    assert_fields(&look(&again, &containerd, 1), &expected);
    for arguments in [
        &["task", "kill", "-s", "KILL", "lasting"][..],
        &["task", "rm", "-f", "lasting"],
        &["container", "rm", "lasting"],
    ] {
        containerd.ctr_in("default", arguments);
    }
}

#[test]
fn containers_of_one_name_in_two_namespaces_are_told_apart() {
    let Some((_alone, mut containerd)) = lanner::beside_containerd() else {
        return;
    };
    let namespaces = ["team-a", "k8s.io", "team-b"];
    for namespace in namespaces {
        containerd.import_to(namespace, BUSYBOX, &["sleep", "1000000"]);
    }
    let mut lasting = Vec::new();
    let run = |namespace: &str| {
        let label = format!("team={namespace}");
        let arguments = ["--detach", "--null-io", "--label", &label, BUSYBOX, "redis"];
        containerd.ctr_run(namespace, &arguments);
    };
    let mut times = 0;
    let mut look = |lanner: &Lanner, namespace: &str| {
        times += 1;
        let exec = format!("look-{times}");
        let command = [
            "task",
            "exec",
            "--exec-id",
            &exec,
            "redis",
            "cat",
            "/etc/shadow",
            &exec,
        ];
        containerd.ctr_in(namespace, &command);
        let alert = lanner.wait_for_alert("an exec", |alert| {
            alert["rule"] == "Shadow read" && field(alert, "proc.cmdline").ends_with(&exec)
        });
        assert_fields(
            &alert,
            &[
                ("container.full_id", "redis"),
                ("container.name", "redis"),
                ("container.image", BUSYBOX),
                ("container.label[team]", namespace),
            ],
        );
    };
    run("team-a");
    let (lanner, _folder) = start(lanner::options(Some(&containerd)), &[]);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    // One ran before, and as each of the others comes those that are there stay who they are.
    for namespace in namespaces {
        if namespace != "team-a" {
            run(namespace);
        }
        lasting.push(namespace);
        lasting.iter().for_each(|namespace| look(&lanner, namespace));
    }
    drop(lanner);
    let (lanner, _folder) = start(lanner::options(Some(&containerd)), &[]);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    namespaces.iter().for_each(|namespace| look(&lanner, namespace));
    for namespace in namespaces {
        for arguments in [
            &["task", "kill", "-s", "KILL", "redis"][..],
            &["task", "rm", "-f", "redis"],
            &["container", "rm", "redis"],
        ] {
            containerd.ctr_in(namespace, arguments);
        }
    }
}

#[test]
fn a_pod_without_labels_is_known_from_its_annotations() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let pod = containerd.pod_without_labels("shop", "plain");
    let mut config = Containerd::config(&pod, Run::new("web", BUSYBOX));
    config.labels.clear();
    let id = containerd.run_config(&pod, config);
    // What NRI would tell as well: this is about what containerd keeps.
    let (lanner, _folder) = start(
        lanner::options(Some(&containerd)),
        &["nri.enabled=false".to_owned()],
    );
    let alert = wait_for("the container's pod", LIMIT, || {
        let before = lanner.alerts().into_iter().filter(of(&id)).count();
        assert_eq!(containerd.exec(&id, &["cat", "/etc/shadow"]).exit_code, 0);
        let alert = lanner.wait_for_alerts("an exec", before + 1, of(&id)).pop()?;
        (field(&alert, "container.name") == "web").then_some(alert)
    });
    assert_fields(
        &alert,
        &[
            ("k8s.pod.name", "plain"),
            ("k8s.ns.name", "shop"),
            ("k8s.pod.uid", pod.uid()),
            ("container.image", BUSYBOX),
            // Its sandbox's specification says so, not its own.
            ("container.host_network", "true"),
            ("container.host_pid", "false"),
        ],
    );
    // The event of a sandbox comes once, and with all of that.
    let next = containerd.pod_without_labels("shop", "next");
    let came = lanner.wait_for_alert("the sandbox's own event", |alert| {
        alert["rule"] == "Container came" && field(alert, "container.full_id") == next.id
    });
    assert_fields(
        &came,
        &[
            ("container.name", "next"),
            ("k8s.pod.name", "next"),
            ("k8s.ns.name", "shop"),
            ("k8s.pod.uid", next.uid()),
        ],
    );
}

#[test]
fn containers_made_while_lanner_connects_are_known() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let pod = containerd.pod("shop", "race");
    // A container created while a plugin is synchronised can be in neither the list nor the events (containerd issue 13698).
    let names: Vec<String> = (0..12).map(|number| format!("racer-{number}")).collect();
    let (made, (lanner, _folder)) = std::thread::scope(|scope| {
        let making = scope.spawn(|| {
            let make = |name: &String| containerd.run(&pod, Run::new(name, BUSYBOX));
            names.iter().map(make).collect::<Vec<String>>()
        });
        let lanner = start(lanner::options(Some(&containerd)), &[]);
        (making.join().unwrap(), lanner)
    });
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    for (id, name) in made.iter().zip(&names) {
        assert_eq!(containerd.exec(id, &["cat", "/etc/shadow"]).exit_code, 0);
        let alert = lanner.wait_for_alert("an exec", of(id));
        assert_fields(
            &alert,
            &[
                ("container.name", name),
                ("container.image", BUSYBOX),
                ("k8s.pod.name", "race"),
                ("k8s.ns.name", "shop"),
            ],
        );
    }
}

#[test]
fn without_nri_containerds_events_tell_of_pods_too() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let (lanner, _folder) = start(
        lanner::options(Some(&containerd)),
        &["nri.enabled=false".to_owned()],
    );
    let mut number = 0;
    wait_for("the events to be followed", LIMIT, || {
        number += 1;
        let pod = containerd.pod("shop", &format!("job-{number}"));
        let id = containerd.run(&pod, Run::new("reader", SHADOW));
        containerd.wait_for_exit(&id);
        let alert = lanner.wait_for_alert("the reader", of(&id));
        (field(&alert, "container.name") == "reader").then(|| {
            assert_fields(
                &alert,
                &[
                    ("container.image", SHADOW),
                    ("k8s.pod.name", pod.name()),
                    ("k8s.ns.name", "shop"),
                ],
            );
        })
    });
}

#[test]
fn podmans_containers_have_their_names_without_its_api() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let runtimes = match Runtimes::prepare() {
        Ok(runtimes) => runtimes,
        Err(reason) => return skip(&reason),
    };
    runtimes.podman_image();
    let storage = format!(
        "container_engines.podman.storage[0]={}",
        runtimes.at("storage").display()
    );
    let (lanner, _folder) = start(lanner::options(None), &[storage]);
    let mut ran = Vec::new();
    for number in 0..5 {
        let name = format!("web-{number}");
        let file = runtimes.at(&name);
        runtimes.podman_run(
            &name,
            &["--cidfile", file.to_str().unwrap()],
            &["cat", "/etc/shadow"],
        );
        ran.push((name, std::fs::read_to_string(file).unwrap()));
    }
    let digest = runtimes.podman(&["image", "inspect", "--format", "{{.Digest}}", IMAGE]);
    for (name, id) in &ran {
        let alert = lanner.wait_for_alert("one for each container", of(id));
        assert_fields(
            &alert,
            &[
                ("container.id", &id[..12]),
                ("container.name", name),
                ("container.image", IMAGE),
                ("container.image.tag", "1.5"),
                ("container.image.digest", &digest),
                ("container.type", "podman"),
                ("container.privileged", "false"),
                ("container.host_network", "true"),
            ],
        );
    }
    // conmon stays outside.
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn podmans_api_tells_of_labels_too() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let runtimes = match Runtimes::prepare() {
        Ok(runtimes) => runtimes,
        Err(reason) => return skip(&reason),
    };
    runtimes.podman_image();
    let socket = runtimes.at("podman.sock");
    let _service = runtimes.podman_service(&socket);
    wait_for("podman's API", LIMIT, || socket.exists().then_some(()));
    runtimes.podman_run("before", &["--detach", "--label", "team=old"], &["sleep", "1000"]);
    let options = [
        format!("container_engines.podman.sockets[0]={}", socket.display()),
        format!(
            "container_engines.podman.storage[0]={}",
            runtimes.at("storage").display()
        ),
    ];
    let (lanner, _folder) = start(lanner::options(None), &options);
    lanner.wait_for_log("that podman answers", |line| {
        line.contains("podman's API tells of its containers")
    });
    runtimes.podman_run(
        "after",
        &["--detach", "--label", "team=shop"],
        &["sh", "-c", "cat /etc/shadow; sleep 1000"],
    );
    for (name, team) in [("before", "old"), ("after", "shop")] {
        let id = runtimes.podman(&["inspect", "--format", "{{.Id}}", name]);
        // While podman starts a container its API says nothing about it: the name is in the files, a label comes later.
        let mut times = 0;
        let alert = wait_for("the container's label", LIMIT, || {
            runtimes.podman(&["exec", name, "cat", "/etc/shadow"]);
            times += 1;
            let alert = lanner.wait_for_alerts("an exec", times, of(&id)).pop()?;
            assert_fields(&alert, &[("container.name", name), ("container.image", IMAGE)]);
            (field(&alert, "container.label[team]") == team).then_some(alert)
        });
        assert_fields(
            &alert,
            &[("container.type", "podman"), ("container.image.tag", "1.5")],
        );
    }
}

#[test]
fn a_container_of_nspawn_is_known_by_its_name() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let runtimes = match Runtimes::prepare() {
        Ok(runtimes) => runtimes,
        Err(reason) => return skip(&reason),
    };
    let (lanner, _folder) = start(lanner::options(None), &[]);
    let name = format!("lanner-test-{}", std::process::id());
    let output = runtimes.nspawn(&name, &["/bin/cat", "/etc/shadow"]);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return skip(&format!(
            "systemd-nspawn runs no container here: {}",
            said.lines().last().unwrap_or_default()
        ));
    }
    let alert = lanner.wait_for_alert("the container", of(&name));
    assert_fields(
        &alert,
        &[("container.id", &name), ("container.type", "systemd-nspawn")],
    );
}

#[test]
fn a_container_of_lxc_is_known_by_its_name() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let runtimes = match Runtimes::prepare() {
        Ok(runtimes) => runtimes,
        Err(reason) => return skip(&reason),
    };
    let (lanner, _folder) = start(lanner::options(None), &[]);
    let name = format!("lanner-test-{}", std::process::id());
    let output = runtimes.lxc(&name, &["/bin/cat", "/etc/shadow"]);
    if !output.status.success() {
        let log = std::fs::read_to_string(runtimes.at("lxc.log")).unwrap_or_default();
        return skip(&format!(
            "LXC runs no container here: {}",
            log.lines().last().unwrap_or_default()
        ));
    }
    let alert = lanner.wait_for_alert("the container", of(&name));
    assert_fields(
        &alert,
        &[
            ("container.id", &name),
            ("container.type", "lxc"),
            ("container.name", ""),
        ],
    );
}
