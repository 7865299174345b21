//! `container.*` and `k8s.*`. On the host only id, name and type have a value: `host`.

use std::collections::BTreeMap;

use lanner_schema::container::{Container, Mount, Owner, Pod};
use lanner_schema::view::EventView;

use super::Extract::{One, Plain, Unfilled};
use super::{Arg, Field, fields};
use crate::value::Value;

fn container<'b>(view: &EventView<'b>) -> Option<&'b Container> {
    match view.owner {
        Owner::Container(container) => Some(container),
        Owner::Host => None,
    }
}

fn pod<'b>(view: &EventView<'b>) -> Option<&'b Pod> {
    container(view)?.pod.as_ref()
}

/// The container, when it is one of a pod.
fn in_pod<'b>(view: &EventView<'b>) -> Option<&'b Container> {
    container(view).filter(|container| container.pod.is_some())
}

fn or_host<'b>(view: &EventView<'b>, of: impl FnOnce(&'b Container) -> Option<&'b str>) -> Option<Value<'b>> {
    match view.owner {
        Owner::Container(container) => of(container).map(Value::text),
        Owner::Host => Some(Value::text("host")),
    }
}

/// Missing text is stored as empty by some runtimes: both are missing.
fn some(text: Option<&str>) -> Option<Value<'_>> {
    text.filter(|text| !text.is_empty()).map(Value::text)
}

fn label<'b>(labels: &'b BTreeMap<String, String>, arg: &Arg) -> Option<Value<'b>> {
    match arg {
        Arg::Key(key) => labels.get(&**key).map(|value| Value::text(value)),
        Arg::Index(index) => labels.get(&index.to_string()).map(|value| Value::text(value)),
        _ => None,
    }
}

/// `key:value` joined by `, `, without the labels a runtime adds for itself.
fn labels<'b>(labels: &BTreeMap<String, String>, out: &'b mut Vec<u8>) -> Option<Value<'b>> {
    for (key, value) in labels {
        if key.starts_with("io.kubernetes.") || key.starts_with("annotation.") {
            continue;
        }
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(key.as_bytes());
        if !value.is_empty() {
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
    }
    Some(Value::Bytes(out))
}

/// `source:dest:mode:rdwr:propagation`.
fn mount_text(mount: &Mount, out: &mut Vec<u8>) {
    for (index, part) in [
        mount.source.as_str(),
        &mount.destination,
        &mount.mode,
        truth(mount.writable),
        &mount.propagation,
    ]
    .into_iter()
    .enumerate()
    {
        if index > 0 {
            out.push(b':');
        }
        out.extend_from_slice(part.as_bytes());
    }
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn mounts<'b>(view: &EventView<'b>, out: &'b mut Vec<u8>) -> Option<Value<'b>> {
    for (index, mount) in container(view)?.mounts.as_ref()?.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        mount_text(mount, out);
    }
    Some(Value::Bytes(out))
}

/// The mount that an index or a pattern picks: the first whose `side` the pattern matches.
fn mount<'b>(view: &EventView<'b>, arg: &Arg, side: fn(&Mount) -> &str) -> Option<&'b Mount> {
    let mounts = container(view)?.mounts.as_ref()?;
    match arg {
        Arg::Index(index) => mounts.get(*index),
        Arg::Pattern(_, glob) => mounts.iter().find(|mount| glob.matches(side(mount).as_bytes())),
        _ => None,
    }
}

fn by_source<'b>(view: &EventView<'b>, arg: &Arg) -> Option<&'b Mount> {
    mount(view, arg, |mount| &mount.source)
}

fn by_destination<'b>(view: &EventView<'b>, arg: &Arg) -> Option<&'b Mount> {
    mount(view, arg, |mount| &mount.destination)
}

fn one_mount<'b>(view: &EventView<'b>, arg: &Arg, out: &'b mut Vec<u8>) -> Option<Value<'b>> {
    mount_text(by_source(view, arg)?, out);
    Some(Value::Bytes(out))
}

/// What the runtime said; of containers that none told of, the start of their pid namespace.
fn started(view: &EventView<'_>) -> Option<u64> {
    let told = container(view)?.start_ts;
    told.or_else(|| view.process.map(|process| process.pidns_start))
        .filter(|start| *start != 0)
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

pub(super) static FIELDS: &[Field] = fields! {
    "container.id" CharBuf None [suggested] "First twelve characters of the container's id; host outside of containers." => Plain(|e| or_host(e, |c| Some(c.id())));
    "container.full_id" CharBuf None [] "The container's whole id." => Plain(|e| some(container(e).map(|c| c.full_id.as_str())));
    "container.name" CharBuf None [suggested] "The container's name; host outside of containers." => Plain(|e| or_host(e, |c| c.name.as_deref()));
    "container.image" CharBuf None [] "The image as the runtime names it." => Plain(|e| some(container(e)?.image.as_deref()));
    "container.image.id" CharBuf None [] "First twelve characters of the image's id." => Plain(|e| some(container(e)?.image_id()));
    "container.image.repository" CharBuf None [suggested] "The image's name without tag and digest." => Plain(|e| some(container(e)?.repository()));
    "container.image.tag" CharBuf None [suggested] "The image's tag." => Plain(|e| some(container(e)?.tag()));
    "container.image.digest" CharBuf None [] "The image's digest in its registry (sha256:...)." => Plain(|e| some(container(e)?.digest.as_deref()));
    "container.type" CharBuf None [] "The container's runtime; host outside of containers." => Plain(|e| or_host(e, |c| Some(c.runtime)));
    "container.privileged" Bool None [] "The container runs privileged." => Plain(|e| container(e)?.privileged.map(Value::Bool));
    "container.mounts" CharBuf None [] "Every mount as source:dest:mode:rdwr:propagation, joined by commas." => One(|e, _, buf| mounts(e, buf));
    "container.mount" CharBuf RequiredIndexOrPattern [] "One mount in that form, by index or by a pattern for its source." => One(one_mount);
    "container.mount.source" CharBuf RequiredIndexOrPattern [] "Source of the mount with that index, or of the first whose destination fits the pattern." => One(|e, arg, _| Some(Value::text(&by_destination(e, arg)?.source)));
    "container.mount.dest" CharBuf RequiredIndexOrPattern [] "Destination of the mount with that index, or of the first whose source fits the pattern." => One(|e, arg, _| Some(Value::text(&by_source(e, arg)?.destination)));
    "container.mount.mode" CharBuf RequiredIndexOrPattern [] "Mode of that mount." => One(|e, arg, _| Some(Value::text(&by_source(e, arg)?.mode)));
    "container.mount.rdwr" CharBuf RequiredIndexOrPattern [] "Whether that mount can be written to: true or false." => One(|e, arg, _| Some(Value::text(truth(by_source(e, arg)?.writable))));
    "container.mount.propagation" CharBuf RequiredIndexOrPattern [] "Propagation of that mount." => One(|e, arg, _| Some(Value::text(&by_source(e, arg)?.propagation)));
    "container.healthcheck" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "container.liveness_probe" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "container.readiness_probe" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "container.start_ts" AbsTime None [] "When the container started, nanoseconds since the epoch." => Plain(|e| started(e).map(Value::U64));
    "container.duration" RelTime None [] "Nanoseconds since the container started." => Plain(|e| Some(Value::U64(e.time.saturating_sub(started(e)?))));
    "container.ip" CharBuf None [] "The container's first IPv4 address." => Plain(|e| some(container(e)?.ip.as_deref()));
    "container.cni.json" CharBuf None [] "What the network plugin reported for the pod's sandbox, as JSON." => Plain(|e| some(container(e)?.cni_json.as_deref()));
    "container.host_pid" Bool None [] "The container shares the host's pid namespace." => Plain(|e| container(e)?.host.pid.map(Value::Bool));
    "container.host_network" Bool None [] "The container shares the host's network namespace." => Plain(|e| container(e)?.host.network.map(Value::Bool));
    "container.host_ipc" Bool None [] "The container shares the host's IPC namespace." => Plain(|e| container(e)?.host.ipc.map(Value::Bool));
    "container.label" CharBuf RequiredKey [] "One of the container's labels." => One(|e, arg, _| label(&container(e)?.labels, arg));
    "container.labels" CharBuf None [] "The container's labels as key:value, joined by comma and blank." => One(|e, _, buf| labels(&container(e)?.labels, buf));
    "proc.is_container_healthcheck" Bool None [deprecated] "Never has a value." => Unfilled;
    "proc.is_container_liveness_probe" Bool None [deprecated] "Never has a value." => Unfilled;
    "proc.is_container_readiness_probe" Bool None [deprecated] "Never has a value." => Unfilled;
};

pub(super) static K8S_FIELDS: &[Field] = fields! {
    "k8s.pod.name" CharBuf None [suggested] "The pod's name." => Plain(|e| some(Some(&pod(e)?.name)));
    "k8s.ns.name" CharBuf None [suggested] "The pod's namespace." => Plain(|e| some(Some(&pod(e)?.namespace)));
    "k8s.pod.id" CharBuf None [] "The same as k8s.pod.uid." => Plain(|e| some(Some(&pod(e)?.uid)));
    "k8s.pod.uid" CharBuf None [] "The pod's unique id." => Plain(|e| some(Some(&pod(e)?.uid)));
    "k8s.pod.sandbox_id" CharBuf None [] "First twelve characters of the id of the pod's sandbox." => Plain(|e| some(Some(short(&pod(e)?.sandbox_id))));
    "k8s.pod.full_sandbox_id" CharBuf None [] "The id of the pod's sandbox." => Plain(|e| some(Some(&pod(e)?.sandbox_id)));
    "k8s.pod.label" CharBuf RequiredKey [] "One of the pod's labels." => One(|e, arg, _| label(&pod(e)?.labels, arg));
    "k8s.pod.labels" CharBuf None [] "The pod's labels as key:value, joined by comma and blank." => One(|e, _, buf| labels(&pod(e)?.labels, buf));
    "k8s.pod.ip" CharBuf None [] "The pod's IPv4 address." => Plain(|e| some(in_pod(e)?.ip.as_deref()));
    "k8s.pod.cni.json" CharBuf None [] "What the network plugin reported for the pod, as JSON." => Plain(|e| some(in_pod(e)?.cni_json.as_deref()));
    "k8s.rc.name" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.rc.id" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.rc.label" CharBuf RequiredKey [deprecated] "Never has a value." => Unfilled;
    "k8s.rc.labels" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.svc.name" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.svc.id" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.svc.label" CharBuf RequiredKey [deprecated] "Never has a value." => Unfilled;
    "k8s.svc.labels" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.ns.id" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.ns.label" CharBuf RequiredKey [deprecated] "Never has a value." => Unfilled;
    "k8s.ns.labels" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.rs.name" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.rs.id" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.rs.label" CharBuf RequiredKey [deprecated] "Never has a value." => Unfilled;
    "k8s.rs.labels" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.deployment.name" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.deployment.id" CharBuf None [deprecated] "Never has a value." => Unfilled;
    "k8s.deployment.label" CharBuf RequiredKey [deprecated] "Never has a value." => Unfilled;
    "k8s.deployment.labels" CharBuf None [deprecated] "Never has a value." => Unfilled;
};

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
