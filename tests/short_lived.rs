//! Containers that live for one command, eight at a time: each one's alert says all of whose it is, however fast they come
//! and go.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use support::containerd::{Containerd, Run, SHADOW};
use support::lanner::{self, Lanner, field};
use support::skip;

/// How many are there at once.
const AT_ONCE: usize = 8;

const RULES: &str = r#"
- rule: Shadow read
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat and container.id != host
  output: "shadow (id=%container.id full=%container.full_id name=%container.name image=%container.image repository=%container.image.repository tag=%container.image.tag pod=%k8s.pod.name uid=%k8s.pod.uid ns=%k8s.ns.name app=%k8s.pod.label[app])"
  priority: WARNING
"#;

/// Images that differ in every part of their names.
const IMAGES: [&str; 3] = [
    SHADOW,
    "lanner.test:5000/deep/er/reader:latest",
    "other.test/reader:0.1-rc.2",
];

#[test]
fn sixty_are_known() {
    run(Containerd::start, 60);
}

#[test]
fn sixty_are_known_of_containerd_1_7() {
    run(|| Containerd::start_suite(Some("trixie")), 60);
}

#[test]
#[ignore = "long: make soak runs it"]
fn five_hundred_are_known() {
    run(Containerd::start, 500);
}

#[test]
#[ignore = "long: make soak runs it"]
fn five_hundred_are_known_of_containerd_1_7() {
    run(|| Containerd::start_suite(Some("trixie")), 500);
}

/// What an alert must say of a container.
type Identity = BTreeMap<&'static str, String>;

fn run(start: impl FnOnce() -> Result<Containerd, String>, count: usize) {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let mut containerd = match start() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    for image in &IMAGES[1..] {
        containerd.import(image, &["cat", "/etc/shadow"]);
    }
    let (_folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(Some(&containerd));
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });

    let next = AtomicUsize::new(0);
    let ran = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let identity = start_and_wait(&containerd, number);
                    ran.lock().unwrap().push(identity);
                }
            });
        }
    });
    let ran = ran.into_inner().unwrap();
    assert_eq!(ran.len(), count);
    // Other tests may read the same in containers of their own meanwhile.
    let is_one = |alert: &Value| {
        let id = field(alert, "container.full_id");
        alert["rule"] == "Shadow read" && ran.iter().any(|identity| identity["container.full_id"] == id)
    };
    lanner.wait_for_alerts("one for each container", count, is_one);
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);

    let alerts: Vec<Value> = ended.alerts().into_iter().filter(is_one).collect();
    let mut wrong = Vec::new();
    for identity in &ran {
        let id = &identity["container.full_id"];
        let of_it: Vec<&Value> = alerts
            .iter()
            .filter(|alert| field(alert, "container.full_id") == *id)
            .collect();
        match of_it.as_slice() {
            [alert] => wrong.extend(identity.iter().filter_map(|(name, value)| {
                let said = field(alert, name);
                (said != *value).then(|| format!("{id}: {name} is {said:?}, not {value:?}"))
            })),
            others => wrong.push(format!("{id}: {} alerts", others.len())),
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), ended.stderr);
}

/// Runs the container with this number in a pod of its own, and removes both.
fn start_and_wait(containerd: &Containerd, number: usize) -> Identity {
    let image = IMAGES[number % IMAGES.len()];
    let (repository, tag) = image.rsplit_once(':').unwrap();
    let name = format!("reader-{number}");
    let pod = containerd.pod(&format!("batch-{}", number % 5), &format!("job-{number}"));
    let id = containerd.run(&pod, Run::new(&name, image));
    assert_eq!(containerd.wait_for_exit(&id).exit_code, 0);
    let identity = [
        ("container.id", id[..12].to_owned()),
        ("container.full_id", id),
        ("container.name", name),
        ("container.image", image.to_owned()),
        ("container.image.repository", repository.to_owned()),
        ("container.image.tag", tag.to_owned()),
        ("k8s.pod.name", pod.name().to_owned()),
        ("k8s.pod.uid", pod.uid().to_owned()),
        ("k8s.ns.name", pod.namespace().to_owned()),
        ("k8s.pod.label[app]", pod.name().to_owned()),
    ];
    containerd.remove(&pod);
    identity.into()
}
