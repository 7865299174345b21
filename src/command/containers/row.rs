//! A container, as the agent tells of it and as JSON shows it.

use std::collections::BTreeMap;

use lanner_schema::container::{self, Container, HostNamespaces, Learnt};
use serde::{Deserialize, Serialize};

/// What a container's type can be.
const RUNTIMES: [&str; 8] = [
    "containerd",
    "cri-o",
    "docker",
    "podman",
    "lxc",
    "libvirt-lxc",
    "bpm",
    "systemd-nspawn",
];

/// What is known of one container. What is not known is null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Row {
    /// `container.id`.
    pub(crate) id: String,
    /// `container.full_id`.
    pub(crate) full_id: String,
    /// The runtime's own namespace, where another one can have a container of the same id; else empty.
    pub(crate) runtime_namespace: String,
    /// `container.name`.
    pub(crate) name: Option<String>,
    /// `container.type`.
    #[serde(rename = "type")]
    pub(crate) runtime: String,
    /// `container.image`.
    pub(crate) image: Option<String>,
    /// `container.image.digest`.
    pub(crate) digest: Option<String>,
    /// `container.image.id`, whole.
    pub(crate) image_id: Option<String>,
    /// `container.privileged`.
    pub(crate) privileged: Option<bool>,
    /// `container.start_ts`: nanoseconds since the epoch.
    pub(crate) start_ts: Option<u64>,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// What was mounted for it from the host.
    pub(crate) mounts: Option<Vec<Mount>>,
    /// `container.host_pid`, `container.host_network`, `container.host_ipc`.
    pub(crate) host_pid: Option<bool>,
    pub(crate) host_network: Option<bool>,
    pub(crate) host_ipc: Option<bool>,
    /// `container.ip`.
    pub(crate) ip: Option<String>,
    /// `container.cni.json`.
    pub(crate) cni_json: Option<String>,
    /// It is what holds its pod together, and no container of its own.
    pub(crate) sandbox: bool,
    /// Its pod.
    pub(crate) pod: Option<Pod>,
    /// Its cgroup; `None` while it is only created.
    pub(crate) cgroup: Option<Cgroup>,
    /// Its first process, as the runtime numbers it.
    pub(crate) pid: Option<u32>,
    /// How it was learnt.
    pub(crate) learnt: String,
    /// It has ended, and is kept for its last events.
    pub(crate) gone: bool,
}

/// A Kubernetes pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) sandbox_id: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Mount {
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) mode: String,
    pub(crate) writable: bool,
    pub(crate) propagation: String,
}

/// A cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cgroup {
    /// The inode of its directory.
    pub(crate) id: u64,
    /// Below the mount of the hierarchy.
    pub(crate) path: String,
}

impl From<&Container> for Row {
    fn from(container: &Container) -> Row {
        let pod = container.pod.as_ref();
        Row {
            id: container.id().to_owned(),
            full_id: container.full_id.clone(),
            runtime_namespace: container.runtime_namespace.clone(),
            name: container.name.clone(),
            runtime: container.runtime.to_owned(),
            image: container.image.clone(),
            digest: container.digest.clone(),
            image_id: container.image_id.clone(),
            privileged: container.privileged,
            start_ts: container.start_ts,
            labels: container.labels.clone(),
            mounts: container.mounts.as_ref().map(|mounts| {
                let mount = |mount: &container::Mount| Mount {
                    source: mount.source.clone(),
                    destination: mount.destination.clone(),
                    mode: mount.mode.clone(),
                    writable: mount.writable,
                    propagation: mount.propagation.clone(),
                };
                mounts.iter().map(mount).collect()
            }),
            host_pid: container.host.pid,
            host_network: container.host.network,
            host_ipc: container.host.ipc,
            ip: container.ip.clone(),
            cni_json: container.cni_json.clone(),
            sandbox: pod.is_some_and(|pod| pod.sandbox_id == container.full_id),
            pod: pod.map(|pod| Pod {
                name: pod.name.clone(),
                namespace: pod.namespace.clone(),
                uid: pod.uid.clone(),
                sandbox_id: pod.sandbox_id.clone(),
                labels: pod.labels.clone(),
            }),
            cgroup: (container.cgroup != 0).then(|| Cgroup {
                id: container.cgroup,
                path: container.cgroup_path.clone(),
            }),
            pid: (container.pid != 0).then_some(container.pid),
            learnt: container.learnt.word().to_owned(),
            gone: container.gone,
        }
    }
}

impl Row {
    /// The container, for an agent that takes over; `None` when that can't be one.
    pub(crate) fn container(self) -> Option<Container> {
        let learnt = Learnt::ALL
            .into_iter()
            .find(|learnt| learnt.word() == self.learnt)?;
        let runtime = RUNTIMES.into_iter().find(|runtime| *runtime == self.runtime)?;
        if self.full_id.is_empty() {
            return None;
        }
        let cgroup = self.cgroup.unwrap_or_default();
        Some(Container {
            name: self.name,
            image: self.image,
            digest: self.digest,
            image_id: self.image_id,
            privileged: self.privileged,
            start_ts: self.start_ts,
            labels: self.labels,
            mounts: self.mounts.map(|mounts| {
                let mount = |mount: Mount| container::Mount {
                    source: mount.source,
                    destination: mount.destination,
                    mode: mount.mode,
                    writable: mount.writable,
                    propagation: mount.propagation,
                };
                mounts.into_iter().map(mount).collect()
            }),
            host: HostNamespaces {
                pid: self.host_pid,
                network: self.host_network,
                ipc: self.host_ipc,
            },
            ip: self.ip,
            cni_json: self.cni_json,
            pod: self.pod.map(|pod| container::Pod {
                name: pod.name,
                namespace: pod.namespace,
                uid: pod.uid,
                sandbox_id: pod.sandbox_id,
                labels: pod.labels,
            }),
            cgroup: cgroup.id,
            cgroup_path: cgroup.path,
            pid: self.pid.unwrap_or(0),
            full_id: self.full_id,
            runtime_namespace: self.runtime_namespace,
            runtime,
            learnt,
            gone: self.gone,
        })
    }

    /// What rows are sorted by: namespace, pod, the sandbox before the containers, name, id.
    pub(crate) fn place(&self) -> impl Ord + '_ {
        let pod = self.pod.as_ref().map(|pod| (&pod.namespace, &pod.name, &pod.uid));
        (
            pod,
            !self.sandbox,
            &self.name,
            &self.full_id,
            &self.runtime_namespace,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_the_same_after_its_way_through_json() {
        let text = |text: &str| Some(text.to_owned());
        let labels = |name: &str| BTreeMap::from([(name.to_owned(), "x".to_owned())]);
        let whole = Container {
            full_id: "0123456789abcdef".into(),
            runtime_namespace: "team-a".into(),
            name: text("web"),
            image: text("a/b:1"),
            digest: text("sha256:1"),
            image_id: text("2"),
            runtime: "containerd",
            privileged: Some(true),
            start_ts: Some(3),
            labels: labels("own"),
            mounts: Some(vec![container::Mount {
                source: "/host".into(),
                destination: "/inside".into(),
                mode: "ro".into(),
                writable: true,
                propagation: "rslave".into(),
            }]),
            host: HostNamespaces {
                pid: Some(true),
                network: Some(false),
                ipc: None,
            },
            ip: text("10.0.0.1"),
            cni_json: text("{}"),
            pod: Some(container::Pod {
                name: "pod".into(),
                namespace: "ns".into(),
                uid: "uid".into(),
                sandbox_id: "sandbox".into(),
                labels: labels("pod"),
            }),
            cgroup: 4,
            cgroup_path: "/a/b".into(),
            pid: 5,
            learnt: Learnt::Synchronize,
            gone: true,
        };
        for container in [whole, Container::new("web", "lxc", Learnt::Cgroup)] {
            let json = serde_json::to_string(&Row::from(&container)).unwrap();
            let row: Row = serde_json::from_str(&json).unwrap();
            assert_eq!(row.container(), Some(container));
        }
    }

    #[test]
    fn what_is_no_container_is_none() {
        let row = |runtime: &str, learnt: &str, id: &str| Row {
            full_id: id.into(),
            runtime: runtime.into(),
            learnt: learnt.into(),
            ..Row::default()
        };
        assert!(row("docker", "api", "a").container().is_some());
        assert_eq!(row("rkt", "api", "a").container(), None);
        assert_eq!(row("docker", "guessed", "a").container(), None);
        assert_eq!(row("docker", "api", "").container(), None);
    }
}
