//! Containers of a real docker: known by its API, by its containerd, and by both.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::time::Duration;

use serde_json::Value;
use support::docker::Docker;
use support::lanner::{self, Lanner, field};
use support::{skip, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

const RULES: &str = r#"
- rule: Shadow read
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat and container.id != host
  output: "shadow (id=%container.id full=%container.full_id name=%container.name image=%container.image repository=%container.image.repository tag=%container.image.tag image_id=%container.image.id type=%container.type privileged=%container.privileged label=%container.label[team])"
  priority: WARNING
"#;

fn of<'a>(id: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |alert| field(alert, "container.full_id") == id
}

fn start(options: &[String]) -> (Lanner, tempfile::TempDir) {
    let (folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    arguments.extend(
        options
            .iter()
            .flat_map(|option| ["-o".to_owned(), option.clone()]),
    );
    (Lanner::start(&arguments), folder)
}

fn api(docker: &Docker) -> String {
    format!(
        "container_engines.docker.sockets[0]={}",
        docker.socket().display()
    )
}

fn containerd(docker: &Docker) -> [String; 2] {
    [
        "containerd.enabled=true".to_owned(),
        format!("containerd.address={}", docker.containerd().display()),
    ]
}

/// Containers that read and end at once, each of them known.
fn short_lived_are_known(docker: &Docker, lanner: &Lanner, prefix: &str) {
    let ids: Vec<(String, String)> = (0..5)
        .map(|number| {
            let name = format!("{prefix}-{number}");
            let id = docker.run(&name, &["--label", "team=shop"], &["cat", "/etc/shadow"]);
            (name, id)
        })
        .collect();
    for (name, id) in &ids {
        let alert = lanner.wait_for_alert("one for each container", of(id));
        for (field_name, value) in [
            ("container.id", &id[..12]),
            ("container.name", name),
            ("container.image", Docker::IMAGE),
            ("container.image.repository", "lanner-shadow"),
            ("container.image.tag", "1.5"),
            ("container.type", "docker"),
            ("container.privileged", "false"),
            ("container.label[team]", "shop"),
        ] {
            assert_eq!(field(&alert, field_name), value, "{field_name} in {alert}");
        }
    }
}

#[test]
fn containers_are_known_from_dockers_api() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&reason),
    };
    docker.run("before", &["--detach", "--label", "team=old"], &["sleep", "1000"]);
    let (lanner, _folder) = start(&[api(&docker)]);
    lanner.wait_for_log("that docker answers", |line| {
        line.contains("docker's API tells of its containers")
    });
    short_lived_are_known(&docker, &lanner, "api");
    let id = docker.run_docker(&["inspect", "--format", "{{.Id}}", "before"]);
    docker.run_docker(&["exec", "before", "cat", "/etc/shadow"]);
    let alert = lanner.wait_for_alert("an exec in an older one", of(&id));
    assert_eq!(field(&alert, "container.name"), "before");
    assert_eq!(field(&alert, "container.label[team]"), "old");
    assert_eq!(lanner.stop().status.code(), Some(0));

    // Its containerd besides, as on a host with both: nothing is told twice or otherwise.
    let [enabled, address] = containerd(&docker);
    let (lanner, _folder) = start(&[api(&docker), enabled, address.clone()]);
    lanner.wait_for_log("that docker answers", |line| {
        line.contains("docker's API tells of its containers")
    });
    short_lived_are_known(&docker, &lanner, "both");
    assert_eq!(lanner.stop().status.code(), Some(0));

    // containerd alone knows what it is, and neither name nor image: docker keeps those.
    let options = [
        "container_engines.docker.enabled=false".to_owned(),
        "containerd.enabled=true".to_owned(),
        address,
    ];
    let (lanner, _folder) = start(&options);
    let mut times = 0;
    wait_for("a container that containerd told of", LIMIT, || {
        times += 1;
        let id = docker.run(&format!("alone-{times}"), &[], &["cat", "/etc/shadow"]);
        let alert = lanner.wait_for_alert("one for each container", of(&id));
        (field(&alert, "container.id") == &id[..12]).then_some(())
    });
    assert_eq!(lanner.stop().status.code(), Some(0));
}
