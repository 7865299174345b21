//! A container, as the agent tells of it and as JSON shows it.

use std::collections::BTreeMap;

use lanner_schema::container::Container;
use serde::{Deserialize, Serialize};

/// What is known of one container. What is not known is null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Row {
    /// `container.id`.
    pub(crate) id: String,
    /// `container.full_id`.
    pub(crate) full_id: String,
    /// `container.name`.
    pub(crate) name: Option<String>,
    /// `container.type`.
    #[serde(rename = "type")]
    pub(crate) runtime: String,
    /// `container.image`.
    pub(crate) image: Option<String>,
    /// `container.image.digest`.
    pub(crate) digest: Option<String>,
    /// `container.privileged`.
    pub(crate) privileged: Option<bool>,
    /// `container.start_ts`: nanoseconds since the epoch.
    pub(crate) start_ts: Option<u64>,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
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
            name: container.name.clone(),
            runtime: container.runtime.to_owned(),
            image: container.image.clone(),
            digest: container.digest.clone(),
            privileged: container.privileged,
            start_ts: container.start_ts,
            labels: container.labels.clone(),
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
        }
    }
}

impl Row {
    /// What rows are sorted by: namespace, pod, the sandbox before the containers, name, id.
    pub(crate) fn place(&self) -> impl Ord + '_ {
        let pod = self.pod.as_ref().map(|pod| (&pod.namespace, &pod.name, &pod.uid));
        (pod, !self.sandbox, &self.name, &self.full_id)
    }
}
