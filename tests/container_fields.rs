//! What alerts tell of real containers besides their identity: mounts, privileges, namespaces, the image's id, addresses;
//! and the events of containers that come and go.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::process::Command;

use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Run};
use support::cri::{self, Mount};
use support::lanner::{self, Lanner, field};
use support::{machine, skip};

const RULES: &str = r#"
- rule: Shadow read
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat and container.id != host
  output: "shadow (full=%container.full_id mounts=%container.mounts first=%container.mount[0] data=%container.mount.source[/da*] ro=%container.mount.rdwr[*/ro] image=%container.image.id privileged=%container.privileged pid=%container.host_pid network=%container.host_network ipc=%container.host_ipc label=%container.label[app.kubernetes.io/name] podlabel=%k8s.pod.label[app] ip=%container.ip podip=%k8s.pod.ip cni=%container.cni.json podcni=%k8s.pod.cni.json start=%container.start_ts init=%proc.pidns_init_start_ts duration=%container.duration)"
  priority: WARNING
- rule: Container came
  desc: For these tests
  condition: evt.type = container and container.image contains lanner.test
  output: "came (full=%container.full_id async=%evt.asynctype data=%evt.arg.data pod=%k8s.pod.name image=%container.image privileged=%container.privileged mounts=%container.mounts proc=%proc.name)"
  priority: NOTICE
- rule: Container went
  desc: For these tests
  condition: evt.type = container_removed
  output: "went (full=%container.full_id image=%container.image pod=%k8s.pod.name)"
  priority: NOTICE
"#;

fn watch(containerd: &Containerd) -> (Lanner, tempfile::TempDir) {
    let (folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(Some(containerd));
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    (lanner, folder)
}

fn is<'a>(rule: &'a str, container: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |alert| alert["rule"] == rule && field(alert, "container.full_id") == container
}

/// Has `cat /etc/shadow` run in a container, until an alert of it satisfies `whole`: what is asked of the runtime may be late.
fn read_shadow(
    containerd: &Containerd,
    lanner: &Lanner,
    container: &str,
    whole: impl Fn(&Value) -> bool,
) -> Value {
    for _ in 0..100 {
        assert_eq!(containerd.exec(container, &["cat", "/etc/shadow"]).exit_code, 0);
        let alerts = lanner.wait_for_alerts("cat by exec", 1, is("Shadow read", container));
        if let Some(alert) = alerts.into_iter().find(|alert| whole(alert)) {
            return alert;
        }
    }
    panic!("never whole: {:#?}", lanner.alerts())
}

#[track_caller]
fn assert_fields(alert: &Value, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(field(alert, name), *value, "{name} in {alert}");
    }
}

#[test]
fn what_a_container_was_given_is_in_its_alerts_and_its_coming_and_going_is_an_event() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let before = containerd.pod("shop", "before");
    let early = containerd.run(&before, Run::new("early", BUSYBOX));
    let (lanner, _folder) = watch(&containerd);
    // It ran already.
    let came = lanner.wait_for_alert("the one before", is("Container came", &early));
    assert_fields(
        &came,
        &[
            ("evt.asynctype", "container"),
            ("k8s.pod.name", "before"),
            ("container.image", BUSYBOX),
            ("container.privileged", "false"),
            ("proc.name", ""),
        ],
    );

    let shared = tempfile::tempdir().unwrap();
    let (data, ro) = (shared.path().join("data"), shared.path().join("ro"));
    for folder in [&data, &ro] {
        std::fs::create_dir(folder).unwrap();
    }
    let mount = |host: &std::path::Path, inside: &str, readonly| Mount {
        container_path: inside.to_owned(),
        host_path: host.to_str().unwrap().to_owned(),
        readonly,
    };
    let pod = containerd.pod("shop", "plain");
    let mut config = Containerd::config(&pod, Run::new("web", BUSYBOX));
    config.mounts = vec![mount(&data, "/data", false), mount(&ro, "/inside/ro", true)];
    config
        .labels
        .insert("app.kubernetes.io/name".to_owned(), "web".to_owned());
    let plain = containerd.run_config(&pod, config);
    let alert = read_shadow(&containerd, &lanner, &plain, |alert| {
        !field(alert, "container.image.id").is_empty()
    });
    let (data, ro) = (data.to_str().unwrap(), ro.to_str().unwrap());
    let first = format!("{data}:/data::true:private");
    assert_fields(
        &alert,
        &[
            (
                "container.mounts",
                &format!("{first},{ro}:/inside/ro::false:private"),
            ),
            ("container.mount[0]", &first),
            ("container.mount.source[/da*]", data),
            ("container.mount.rdwr[*/ro]", "false"),
            ("container.privileged", "false"),
            ("container.host_pid", "false"),
            // Its pod uses the machine's.
            ("container.host_network", "true"),
            ("container.host_ipc", "false"),
            ("container.label[app.kubernetes.io/name]", "web"),
            ("k8s.pod.label[app]", "plain"),
            ("container.ip", ""),
        ],
    );
    assert_eq!(
        field(&alert, "container.image.id"),
        containerd.image_id(BUSYBOX),
        "{alert}"
    );
    // The runtime's word and the kernel's are about the same process; /proc counts in hundredths of a second.
    let number = |name: &str| field(&alert, name).parse::<u64>().unwrap();
    let (start, init) = (number("container.start_ts"), number("proc.pidns_init_start_ts"));
    assert!(start.abs_diff(init) < 20_000_000, "{alert}");
    assert!(number("container.duration") > 0);
    let came = lanner.wait_for_alert("its event", is("Container came", &plain));
    let data: Value = serde_json::from_str(&field(&came, "evt.arg.data")).unwrap();
    assert_eq!(data["container"]["full_id"], plain.as_str());
    assert_eq!(data["container"]["Mounts"][1]["RW"], false);
    assert_eq!(data["container"]["type"], 7);

    let mighty_pod = containerd.pod_with("shop", "mighty", |security| {
        security.privileged = true;
        security.namespace_options = Some(cri::NamespaceOption {
            network: cri::NAMESPACE_NODE,
            pid: cri::NAMESPACE_NODE,
            ipc: cri::NAMESPACE_NODE,
        });
    });
    let run = Run {
        privileged: true,
        ..Run::new("mighty", BUSYBOX)
    };
    let mighty = containerd.run(&mighty_pod, run);
    let alert = read_shadow(&containerd, &lanner, &mighty, |_| true);
    assert_fields(
        &alert,
        &[
            // Who uses the host's IPC namespace gets its shared memory, too.
            ("container.mounts", "/dev/shm:/dev/shm::true:private"),
            ("container.privileged", "true"),
            ("container.host_pid", "true"),
            ("container.host_network", "true"),
            ("container.host_ipc", "true"),
        ],
    );
    containerd.remove(&pod);
    let went = lanner.wait_for_alert("its end", is("Container went", &plain));
    assert_fields(&went, &[("container.image", BUSYBOX), ("k8s.pod.name", "plain")]);
    // One event for each, whatever was learnt of them meanwhile.
    for rule in ["Container came", "Container went"] {
        let alerts = lanner.alerts();
        assert_eq!(
            alerts.iter().filter(|alert| is(rule, &plain)(alert)).count(),
            1,
            "{rule}"
        );
    }
    assert_eq!(lanner.stop().status.code(), Some(0));
}

/// A network of the test's own, by CNI's bridge plugin. The bridge is removed with it.
struct Bridge(String);

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "delete", &self.0]).status();
    }
}

#[test]
fn a_pod_with_a_network_of_its_own_has_an_address() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    if Command::new("ip").arg("-V").output().is_err() {
        return skip("there is no ip to remove a bridge with");
    }
    let plugins = match machine("cni.sh", &[]) {
        Ok(plugins) => plugins,
        Err(reason) => return skip(&reason),
    };
    let bridge = Bridge(format!("lnr{}", std::process::id()));
    let (subnet, name) = (std::process::id() % 256, &bridge.0);
    let network = format!(
        r#"{{"cniVersion":"1.0.0","name":"{name}","plugins":[{{"type":"bridge","bridge":"{name}","isGateway":true,"ipMasq":false,
            "ipam":{{"type":"host-local","dataDir":"/run/containerd/ipam","ranges":[[{{"subnet":"10.231.{subnet}.0/24"}}]]}}}}]}}"#
    );
    let containerd = match Containerd::start_with_network(plugins.trim().as_ref(), &network) {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    let (lanner, _folder) = watch(&containerd);
    let pod = containerd.pod_with("shop", "networked", |security| {
        security.namespace_options = Some(cri::NamespaceOption {
            network: cri::NAMESPACE_POD,
            pid: cri::NAMESPACE_CONTAINER,
            ipc: cri::NAMESPACE_POD,
        });
    });
    let container = containerd.run(&pod, Run::new("web", BUSYBOX));
    let alert = read_shadow(&containerd, &lanner, &container, |alert| {
        !field(alert, "container.cni.json").is_empty()
    });
    let ip = field(&alert, "container.ip");
    assert!(ip.starts_with(&format!("10.231.{subnet}.")), "{alert}");
    assert_fields(
        &alert,
        &[("k8s.pod.ip", &ip), ("container.host_network", "false")],
    );
    let cni: Value = serde_json::from_str(&field(&alert, "container.cni.json")).unwrap();
    assert_eq!(cni["eth0"]["IPConfigs"][0]["IP"], ip.as_str(), "{cni}");
    assert_eq!(
        cni.as_object().unwrap().len(),
        1,
        "neither loopback nor the host's end: {cni}"
    );
    assert_eq!(
        field(&alert, "k8s.pod.cni.json"),
        field(&alert, "container.cni.json")
    );
    containerd.remove(&pod);
    assert_eq!(lanner.stop().status.code(), Some(0));
}
