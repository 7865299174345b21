//! The Helm chart: what real Helm makes of it, whether Kubernetes and Lanner accept that, and that the plain manifests are made
//! out of it.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::{lanner, machine, machine_dir, repository, skip};

/// The documents that these values give, or what Helm says against them.
fn rendered(values: &[&Path]) -> Result<Vec<Value>, String> {
    let output = Command::new(repository().join("tests/machine/chart.sh"))
        .arg("render")
        .args(values)
        .env("LANNER_MACHINE_DIR", machine_dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(serde_yaml::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap()),
        Some(1) => Err(said),
        _ => panic!("chart.sh: {said}"),
    }
}

fn with(values: &Value) -> Result<Vec<Value>, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    fs::write(&file, values.to_string()).unwrap();
    rendered(&[&file])
}

/// Why there is no Helm, if there is none.
fn impossible() -> Option<String> {
    machine("chart.sh", &["lint"]).err()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|object| object["kind"] == kind).unwrap()
}

fn pod(documents: &[Value]) -> &Value {
    &of_kind(documents, "DaemonSet")["spec"]["template"]
}

fn container(documents: &[Value]) -> &Value {
    &pod(documents)["spec"]["containers"][0]
}

/// The configuration in the ConfigMap.
fn configuration(documents: &[Value]) -> Value {
    let text = of_kind(documents, "ConfigMap")["data"]["lanner.yaml"]
        .as_str()
        .unwrap();
    serde_yaml::from_str(text).unwrap()
}

/// The values that the chart is tried with, and none.
fn trials() -> Vec<PathBuf> {
    let folder = repository().join("deploy/helm/lanner/ci");
    let mut trials: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    trials.sort();
    trials
}

#[test]
fn the_plain_manifests_are_made_out_of_the_chart() {
    let folder = tempfile::tempdir().unwrap();
    if let Err(reason) = machine("chart.sh", &["write", folder.path().to_str().unwrap()]) {
        return skip(&format!("chart: {reason}"));
    }
    for name in ["kind-config/lanner.yaml", "deploy/kubernetes/lanner.yaml"] {
        let made = fs::read_to_string(folder.path().join(name)).unwrap();
        let there = fs::read_to_string(repository().join(name)).unwrap();
        assert!(
            made == there,
            "{name} is not what the chart gives: `make manifests` writes it"
        );
    }
}

#[test]
fn kubernetes_and_lanner_accept_what_the_chart_gives() {
    if let Some(reason) = impossible() {
        return skip(&format!("chart: {reason}"));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut values = trials();
    assert!(values.len() >= 3);
    values.insert(0, repository().join("deploy/helm/lanner/values.yaml"));
    for (number, values) in values.iter().enumerate() {
        let documents = rendered(&[values]).unwrap();
        let manifests = documents.iter().map(|object| format!("---\n{object}\n"));
        fs::write(
            folder.path().join(format!("{number}.yaml")),
            manifests.collect::<String>(),
        )
        .unwrap();

        // The pod's /etc/lanner, with what is at fixed places there put here.
        let etc = folder.path().join(number.to_string());
        fs::create_dir_all(etc.join("rules.d")).unwrap();
        for (name, text) in of_kind(&documents, "ConfigMap")["data"].as_object().unwrap() {
            let place = if name == "lanner.yaml" {
                etc.join(name)
            } else {
                etc.join("rules.d").join(name)
            };
            let text = text.as_str().unwrap();
            fs::write(
                place,
                text.replace("/etc/falco/rules.d", etc.join("rules.d").to_str().unwrap()),
            )
            .unwrap();
        }
        let output = Command::new(lanner::PROGRAM)
            .args(["--dry-run", "-o", "webserver.ssl_enabled=false", "-c"])
            .arg(etc.join("lanner.yaml"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && !said.contains("WARN"),
            "{}: {said}",
            values.display()
        );
    }
    if let Err(reason) = machine("kubernetes.sh", &[folder.path().to_str().unwrap()]) {
        skip(&format!("the chart's manifests: {reason}"));
    }
}

#[test]
fn what_a_user_would_look_for_in_vain_is_refused_with_a_reason() {
    if let Some(reason) = impossible() {
        return skip(&format!("chart: {reason}"));
    }
    let page = fs::read_to_string(repository().join("deploy/helm/lanner/README.md")).unwrap();
    let rule = json!({ "shop.yaml": "" });
    for (values, named) in [
        (json!({ "driver": { "kind": "gvisor" } }), "driver.kind"),
        (json!({ "driver": { "enabled": false } }), "driver.enabled"),
        (
            json!({ "controller": { "kind": "deployment" } }),
            "controller.kind",
        ),
        (
            json!({ "collectors": { "kubernetes": { "enabled": true } } }),
            "collectors.kubernetes.enabled",
        ),
        (
            json!({ "falcoctl": { "artifact": { "install": { "enabled": true } } } }),
            "falcoctl.artifact.install.enabled",
        ),
        (
            json!({ "falcoctl": { "artifact": { "follow": { "enabled": true } } } }),
            "falcoctl.artifact.follow.enabled",
        ),
        (
            json!({ "responseActions": { "enabled": true } }),
            "responseActions.enabled",
        ),
        (
            json!({ "grafana": { "dashboards": { "enabled": true } } }),
            "grafana.dashboards.enabled",
        ),
        (
            json!({ "falcosidekick": { "webui": { "enabled": true } } }),
            "falcosidekick.webui.enabled",
        ),
        (
            json!({ "falcosidekick": { "config": { "slack": {} } } }),
            "falcosidekick.config",
        ),
        (
            json!({ "certs": { "existingSecret": "mine" } }),
            "certs.existingSecret",
        ),
        (
            json!({ "certs": { "client": { "key": "k", "crt": "c" } } }),
            "certs.client",
        ),
        (
            json!({ "falco": { "engine": { "kind": "kmod" } } }),
            "falco.engine.kind",
        ),
        (
            json!({ "falco": { "engine": { "tier": "none" } } }),
            "falco.engine.tier",
        ),
        (
            json!({ "serviceMonitor": { "create": true } }),
            "serviceMonitor.create",
        ),
        (
            json!({ "metrics": { "enabled": true }, "falco": { "webserver": { "enabled": false } } }),
            "metrics.enabled",
        ),
        (json!({ "customRules": { "shop": "" } }), "customRules"),
        (json!({ "customRules": { "lanner.yaml": "" } }), "customRules"),
        (
            json!({ "customRules": rule, "falco": { "rules_files": ["/etc/lanner/mine.yaml"] } }),
            "customRules",
        ),
    ] {
        let said = with(&values).expect_err("refused");
        assert!(said.contains(named), "{values}: {said}");
        assert!(
            page.contains(&format!("`{named}")),
            "README.md of the chart says nothing of {named}"
        );
    }
    // Slips, by the schema.
    for (values, named) in [
        (json!({ "customRule": rule }), "customRule"),
        (json!({ "tier": "sys-exit" }), "tier"),
        (json!({ "nri": { "socketPath": "nri.sock" } }), "socketPath"),
        (json!({ "resources": [] }), "resources"),
    ] {
        let said = with(&values).expect_err("refused");
        assert!(said.contains(named), "{values}: {said}");
    }
}

#[test]
fn what_falcos_chart_has_and_this_one_needs_not_is_accepted() {
    if let Some(reason) = impossible() {
        return skip(&format!("chart: {reason}"));
    }
    let falcos = json!({
        "rbac": { "create": true },
        "scc": { "create": true },
        "driver": { "kind": "modern_ebpf", "loader": { "enabled": true }, "sysfsMountPath": "/sys/kernel",
                    "modernEbpf": { "leastPrivileged": false, "bufSizePreset": 4 } },
        "controller": { "deployment": { "replicas": 1 } },
        "collectors": { "containerEngine": { "pluginRef": "x", "hooks": ["create"], "engines": { "lxc": { "enabled": true } } } },
        "falcoctl": { "artifact": { "install": { "enabled": false } }, "config": { "indexes": [] } },
        "certs": { "existingSecret": "", "server": { "key": "", "crt": "" } },
        "mounts": { "enforceProcMount": false },
        "falco-talon": {},
    });
    let documents = with(&falcos).unwrap();
    assert_eq!(
        configuration(&documents)["engine"]["modern_ebpf"]["buf_size_preset"],
        4
    );
    assert_eq!(
        container(&documents)["securityContext"]["privileged"],
        Value::Null
    );
}

#[test]
fn a_tier_asks_for_what_it_uses_and_nothing_is_privileged() {
    if let Some(reason) = impossible() {
        return skip(&format!("chart: {reason}"));
    }
    let capabilities = |tier: &str| {
        let documents = with(&json!({ "tier": tier })).unwrap();
        let security = container(&documents)["securityContext"].clone();
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(configuration(&documents)["engine"]["tier"], tier);
        let added = security["capabilities"]["add"].as_array().unwrap().iter();
        let added: BTreeSet<String> = added.map(|name| name.as_str().unwrap().to_owned()).collect();
        (added, pod(&documents)["spec"]["hostNetwork"] == true)
    };
    let named = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let bpf = named(&["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_RESOURCE"]);
    for tier in ["auto", "trampoline", "sys_exit", "raw"] {
        assert_eq!(capabilities(tier), (bpf.clone(), false), "{tier}");
    }
    let without = named(&[
        "SYS_ADMIN",
        "NET_ADMIN",
        "SYS_NICE",
        "SYS_PTRACE",
        "DAC_READ_SEARCH",
    ]);
    assert_eq!(capabilities("none"), (without, true));
}

#[test]
fn only_what_takes_a_restart_restarts() {
    if let Some(reason) = impossible() {
        return skip(&format!("chart: {reason}"));
    }
    let now = with(&json!({})).unwrap();
    let rules =
        json!({ "falco": { "priority": "warning", "http_output": { "enabled": true, "url": "http://a/" } } });
    assert_eq!(pod(&with(&rules).unwrap()), pod(&now));
    let one = with(&json!({ "customRules": { "shop.yaml": "- list: a\n  items: [b]\n" } })).unwrap();
    let other = with(&json!({ "customRules": { "shop.yaml": "- list: a\n  items: [c]\n" } })).unwrap();
    assert_eq!(pod(&one), pod(&other));
    for values in [
        json!({ "tier": "sys_exit" }),
        json!({ "falco": { "webserver": { "listen_port": 9000 } } }),
        json!({ "driver": { "modernEbpf": { "bufSizePreset": 5 } } }),
    ] {
        assert_ne!(pod(&with(&values).unwrap()), pod(&now), "{values}");
    }
}

#[test]
fn what_configuration_wants_is_mounted() {
    if let Some(reason) = impossible() {
        return skip(&format!("chart: {reason}"));
    }
    let all = repository().join("deploy/helm/lanner/ci/all-values.yaml");
    let documents = rendered(&[&all]).unwrap();
    let mounts = container(&documents)["volumeMounts"].as_array().unwrap();
    let at = |place: &str| mounts.iter().any(|mount| mount["mountPath"] == place);
    for place in [
        "/run/systemd/journal",
        "/var/lib/lanner/spool",
        "/run/k3s/containerd",
        "/var/run/nri",
        "/host/var/run",
        "/etc/falco",
        "/etc/certificates",
    ] {
        assert!(at(place), "{place}");
    }
    let config = configuration(&documents);
    let sockets = &config["container_engines"];
    assert_eq!(sockets["docker"]["sockets"], json!(["/host/var/run/docker.sock"]));
    // Not that of containerd.address again.
    assert_eq!(
        sockets["cri"]["sockets"],
        json!(["/host/run/containerd/containerd.sock"])
    );
    assert_eq!(
        config["http_output"]["url"],
        "http://lanner-falcosidekick.lanner.svc.cluster.local:2801"
    );
    assert_eq!(config["json_output"], true);
    // What a monitor selects is there.
    let (monitor, service) = (
        of_kind(&documents, "ServiceMonitor"),
        of_kind(&documents, "Service"),
    );
    for (key, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&service["metadata"]["labels"][key], value, "{key}");
    }
    assert_eq!(
        monitor["spec"]["endpoints"][0]["port"],
        service["spec"]["ports"][0]["name"]
    );
    for (key, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(&pod(&documents)["metadata"]["labels"][key], value, "{key}");
    }

    let none = json!({ "falco": { "webserver": { "enabled": false } }, "containerd": { "enabled": false } });
    let documents = with(&none).unwrap();
    assert_eq!(
        container(&documents)["readinessProbe"]["exec"]["command"],
        json!(["lanner", "status"])
    );
    assert_eq!(container(&documents)["livenessProbe"], Value::Null);
    assert!(!documents.iter().any(|object| object["kind"] == "Service"));
    let mounts = container(&documents)["volumeMounts"].as_array().unwrap();
    assert!(!mounts.iter().any(|mount| mount["mountPath"] == "/run/containerd"));
}

#[test]
fn the_keeper_is_where_the_agent_and_the_runtime_look_for_it() {
    if let Some(reason) = impossible() {
        return skip(&format!("chart: {reason}"));
    }
    let documents = with(&json!({ "tier": "none", "seccompKeeper": { "enabled": true } })).unwrap();
    let sets: Vec<&Value> = documents
        .iter()
        .filter(|object| object["kind"] == "DaemonSet")
        .collect();
    let [agent, keeper] = sets[..] else {
        panic!("{sets:?}")
    };
    assert_eq!(keeper["metadata"]["name"], "lanner-keeper");
    assert_ne!(agent["spec"]["selector"], keeper["spec"]["selector"]);
    // It loses the listeners of its containers when it ends and no agent is there.
    assert_eq!(keeper["spec"]["updateStrategy"]["type"], "OnDelete");
    for set in [agent, keeper] {
        let pod = &set["spec"]["template"]["spec"];
        let run = |list: &Value| {
            list.as_array()
                .unwrap()
                .iter()
                .find(|one| one["name"] == "run")
                .cloned()
        };
        assert_eq!(run(&pod["volumes"]).unwrap()["hostPath"]["path"], "/run/lanner");
        assert_eq!(
            run(&pod["containers"][0]["volumeMounts"]).unwrap()["mountPath"],
            "/run/lanner"
        );
    }
    let security = &keeper["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    assert_eq!(security["capabilities"], json!({ "drop": ["ALL"] }));
}

/// A slip in a name would otherwise go unseen: every value is in the schema, and every key of the schema is a value or said to be
/// Falco's alone.
#[test]
fn the_schema_knows_what_the_values_are() {
    let chart = repository().join("deploy/helm/lanner");
    let values: Value =
        serde_yaml::from_str(&fs::read_to_string(chart.join("values.yaml")).unwrap()).unwrap();
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(chart.join("values.schema.json")).unwrap()).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    for name in values.as_object().unwrap().keys() {
        assert!(properties.contains_key(name), "{name} is in no schema");
    }
    for (name, schema) in properties {
        let is_falcos = schema["description"]
            .as_str()
            .is_some_and(|text| text.starts_with("Falco's chart has it"));
        assert!(
            values.get(name).is_some() || is_falcos || name == "global",
            "{name} is no value"
        );
    }
}
