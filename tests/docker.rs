//! Containers of a real docker: known by its API, its files, and with its containerd besides.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use serde_json::Value;
use support::docker::Docker;
use support::lanner::{self, Lanner, field};
use support::skip;

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
fn containers_of_docker_are_known() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&reason),
    };
    docker.run("before", &["--detach", "--label", "team=old"], &["sleep", "1000"]);
    let files = format!(
        "container_engines.docker.data_root[0]={}",
        docker.data().display()
    );
    let api = format!(
        "container_engines.docker.sockets[0]={}",
        docker.socket().display()
    );
    let answers = |line: &str| line.contains("docker's API tells of its containers");

    // By its API and files, as on a host with docker alone.
    let (lanner, _folder) = start(&[api.clone(), files.clone()]);
    lanner.wait_for_log("that docker answers", answers);
    short_lived_are_known(&docker, &lanner, "api");
    let id = docker.run_docker(&["inspect", "--format", "{{.Id}}", "before"]);
    docker.run_docker(&["exec", "before", "cat", "/etc/shadow"]);
    let alert = lanner.wait_for_alert("an exec in an older one", of(&id));
    assert_eq!(field(&alert, "container.name"), "before");
    assert_eq!(field(&alert, "container.label[team]"), "old");
    assert_eq!(lanner.stop().status.code(), Some(0));

    // Its containerd besides, whose record has labels of another kind: nothing is told otherwise.
    let containerd = format!("containerd.address={}", docker.containerd().display());
    let (lanner, _folder) = start(&[
        api,
        files.clone(),
        "containerd.enabled=true".to_owned(),
        containerd,
    ]);
    lanner.wait_for_log("that docker answers", answers);
    short_lived_are_known(&docker, &lanner, "both");
    assert_eq!(lanner.stop().status.code(), Some(0));

    // Its files alone: a daemon that hangs is no reason not to know.
    let nobody = "container_engines.docker.sockets[0]=/nowhere/docker.sock".to_owned();
    let (lanner, _folder) = start(&[nobody, files]);
    short_lived_are_known(&docker, &lanner, "files");
    assert_eq!(lanner.stop().status.code(), Some(0));
}
