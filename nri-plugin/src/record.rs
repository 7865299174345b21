//! What containerd's record of a container tells: names in labels, the rest in the OCI specification and, of those that CRI
//! made, in CRI's metadata.

use std::collections::BTreeMap;

use containerd_client::services::v1::Container as Record;
use lanner_schema::container::{Container, Learnt, Pod, is_hex_id};
use serde_json::Value;

use crate::oci_spec::Spec;
use crate::registry::Told;

/// What CRI keeps with a container, as JSON.
const CRI_METADATA: &str = "io.cri-containerd.container.metadata";
/// Whether CRI made a container or a sandbox.
const CRI_KIND: &str = "io.cri-containerd.kind";
/// The container's name in its pod.
const CONTAINER_NAME: &str = "io.kubernetes.container.name";
/// What CRI annotates all it makes with begins so.
const CRI: &str = "io.kubernetes.cri.";
/// The containerd namespace of everything that CRI runs.
pub(crate) const CRI_NAMESPACE: &str = "k8s.io";
/// The name a container was given by nerdctl.
const NERDCTL_NAME: &str = "nerdctl/name";
/// The containerd namespace of dockerd.
const MOBY: &str = "moby";

/// A container as its record describes it, created and not started.
pub(crate) fn read(record: Record, namespace: &str) -> Told {
    let json = record.spec.as_ref().map_or(&[][..], |spec| &spec.value);
    let spec = Spec::read(json);
    let content: Value = serde_json::from_slice(json).unwrap_or_default();
    let content = |path: &str| {
        let text = content.pointer(path)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    // No label need name a pod: whoever asked CRI may have given none.
    let annotation = |key: &str| content(&format!("/annotations/{CRI}{key}"));
    let metadata = metadata(&record);
    let image_id = image_id(metadata.as_ref());
    let privileged = metadata
        .as_ref()
        .and_then(privileged)
        .or_else(|| spec.as_ref()?.privileged());
    let labels: BTreeMap<String, String> = record.labels.into_iter().collect();
    let label = |key: &str| labels.get(key).filter(|value| !value.is_empty()).cloned();
    let is_sandbox = label(CRI_KIND)
        .or_else(|| annotation("container-type"))
        .is_some_and(|kind| kind == "sandbox");
    let sandbox_id = match is_sandbox {
        true => record.id.clone(),
        false => Some(record.sandbox)
            .filter(|id| !id.is_empty())
            .or_else(|| annotation("sandbox-id"))
            .unwrap_or_default(),
    };
    let pod = pod(&labels, sandbox_id.clone(), is_sandbox).or_else(|| {
        Some(Pod {
            name: annotation("sandbox-name")?,
            namespace: annotation("sandbox-namespace").unwrap_or_default(),
            uid: annotation("sandbox-uid").unwrap_or_default(),
            sandbox_id,
            labels: labels_of_pod(&labels, is_sandbox),
        })
    });
    let is_in_sandbox = pod.is_some() && !is_sandbox;
    let name = label(CONTAINER_NAME)
        .or_else(|| annotation("container-name"))
        .or_else(|| Some(pod.as_ref()?.name.clone()))
        .or_else(|| label(NERDCTL_NAME))
        // As in Falco: `ctr` gives no other.
        .or_else(|| (namespace != MOBY).then(|| record.id.chars().take(12).collect()));
    let image = annotation("image-name")
        .or(Some(record.image))
        .filter(|image| !image.is_empty());
    let runtime = match namespace {
        MOBY => "docker",
        _ => "containerd",
    };
    let labels = match namespace {
        // docker keeps a container's own labels to itself; what is here is about its bundle.
        MOBY => BTreeMap::new(),
        _ => labels,
    };
    Told {
        cgroups_path: content("/linux/cgroupsPath").unwrap_or_default(),
        container: Container {
            runtime_namespace: scope(namespace, &record.id).to_owned(),
            name,
            image,
            privileged,
            mounts: spec.as_ref().map(Spec::mounts),
            host: spec
                .as_ref()
                .map(|spec| spec.host_namespaces(is_in_sandbox))
                .unwrap_or_default(),
            image_id: image_id.map(|id| id.trim_start_matches("sha256:").to_owned()),
            labels,
            pod,
            ..Container::new(record.id, runtime, Learnt::Api)
        },
    }
}

/// What [`Container::key`] needs of containerd's namespace. NRI and CRI are about one of them, and whoever sees a container by
/// its cgroup has only the id: random ones are the only ones anywhere.
fn scope<'a>(namespace: &'a str, id: &str) -> &'a str {
    match namespace == CRI_NAMESPACE || is_hex_id(id) {
        true => "",
        false => namespace,
    }
}

/// [`Container::key`] of the container that containerd has in this namespace by this id.
pub(crate) fn key(namespace: &str, id: &str) -> String {
    Container {
        runtime_namespace: scope(namespace, id).to_owned(),
        ..Container::new(id, "containerd", Learnt::Api)
    }
    .key()
    .into_owned()
}

/// The pod that a container's labels name. A sandbox's labels are its pod's.
pub(crate) fn pod(labels: &BTreeMap<String, String>, sandbox_id: String, is_sandbox: bool) -> Option<Pod> {
    let label = |key: &str| labels.get(key).filter(|value| !value.is_empty()).cloned();
    Some(Pod {
        name: label("io.kubernetes.pod.name")?,
        namespace: label("io.kubernetes.pod.namespace").unwrap_or_default(),
        uid: label("io.kubernetes.pod.uid").unwrap_or_default(),
        sandbox_id,
        labels: labels_of_pod(labels, is_sandbox),
    })
}

fn labels_of_pod(labels: &BTreeMap<String, String>, is_sandbox: bool) -> BTreeMap<String, String> {
    match is_sandbox {
        true => labels.clone(),
        false => BTreeMap::new(),
    }
}

/// True for a container of CRI's that is in a sandbox, which is told of before it.
pub(crate) fn is_in_sandbox(record: &Record) -> bool {
    record.labels.contains_key(CONTAINER_NAME)
        || record
            .labels
            .get(CRI_KIND)
            .is_some_and(|kind| kind == "container")
}

/// Names under which containerd may have a container's image, the surest first: by its id, which a tag that was moved
/// meanwhile doesn't change, and by its reference.
pub(crate) fn image_references(record: &Record) -> Vec<String> {
    image_id(metadata(record).as_ref())
        .into_iter()
        .chain(Some(record.image.clone()))
        .filter(|reference| !reference.is_empty())
        .collect()
}

/// `sha256:…` of the image's configuration.
fn image_id(metadata: Option<&Value>) -> Option<String> {
    let reference = metadata?.get("ImageRef")?.as_str()?;
    reference.starts_with("sha256:").then(|| reference.to_owned())
}

/// CRI's own metadata of a container it made.
fn metadata(record: &Record) -> Option<Value> {
    let value: Value = serde_json::from_slice(&record.extensions.get(CRI_METADATA)?.value).ok()?;
    value.get("Metadata").cloned()
}

/// Whether the configuration a container was created with asks for a privileged one; `None` when it can't be read.
fn privileged(metadata: &Value) -> Option<bool> {
    let config = metadata.get("Config")?.as_object()?;
    // What is false is left out.
    let asked = || {
        config
            .get("linux")?
            .get("security_context")?
            .get("privileged")?
            .as_bool()
    };
    Some(asked().unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::bytes::Bytes;

    fn any(json: &str) -> prost_types::Any {
        prost_types::Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/Spec".into(),
            value: Bytes::copy_from_slice(json.as_bytes()).into(),
        }
    }

    fn record(id: &str, spec: &str, labels: &[(&str, &str)]) -> Record {
        Record {
            id: id.into(),
            image: "docker.io/library/web:1".into(),
            labels: labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            spec: Some(any(spec)),
            ..Record::default()
        }
    }

    #[test]
    fn what_ctr_makes_is_named_by_its_id() {
        let spec = r#"{"linux":{"cgroupsPath":"/default/web","resources":{"devices":[{"allow":false,"access":"rwm"}]}}}"#;
        let told = read(record("web-of-some-length", spec, &[("a", "b")]), "default");
        assert_eq!(told.cgroups_path, "/default/web");
        let container = told.container;
        assert_eq!(
            (container.name.as_deref(), container.runtime),
            (Some("web-of-some-"), "containerd")
        );
        assert_eq!(container.image.as_deref(), Some("docker.io/library/web:1"));
        assert_eq!(
            (container.privileged, container.learnt),
            (Some(false), Learnt::Api)
        );
        assert_eq!(container.labels["a"], "b");
        assert_eq!(container.pod, None);
    }

    #[test]
    fn nerdctls_name_is_in_a_label_and_dockers_is_not_known() {
        let nerdctl = read(record("a", "{}", &[("nerdctl/name", "front")]), "default");
        assert_eq!(nerdctl.container.name.as_deref(), Some("front"));
        let bundle = [("com.docker/engine.bundle.path", "/run/docker/a")];
        let mut docker = record("a", "not json", &bundle);
        docker.image.clear();
        let docker = read(docker, "moby").container;
        assert_eq!(
            (docker.runtime, docker.name, docker.image),
            ("docker", None, None)
        );
        assert_eq!(docker.privileged, None);
        assert!(docker.labels.is_empty(), "docker's API tells of its labels");
    }

    #[test]
    fn a_container_of_cri_has_its_pod_and_the_name_it_was_asked_by() {
        let pod = [
            ("io.kubernetes.pod.name", "cart"),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", "u1"),
        ];
        let labels: Vec<_> = pod
            .into_iter()
            .chain([("io.kubernetes.container.name", "web")])
            .collect();
        let spec =
            r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"s1","io.kubernetes.cri.image-name":"web:1"}}"#;
        let mut made = record("c1", spec, &labels);
        let yes = r#"{"Version":"v1","Metadata":{"ImageRef":"sha256:1","Config":{"linux":{"security_context":{"privileged":true}}}}}"#;
        made.extensions.insert(CRI_METADATA.into(), any(yes));
        assert_eq!(image_references(&made), ["sha256:1", "docker.io/library/web:1"]);
        let container = read(made, "k8s.io").container;
        assert_eq!(
            (container.name.as_deref(), container.image.as_deref()),
            (Some("web"), Some("web:1"))
        );
        assert_eq!(container.privileged, Some(true));
        let of = container.pod.unwrap();
        assert_eq!(
            (
                of.name.as_str(),
                of.namespace.as_str(),
                of.uid.as_str(),
                of.sandbox_id.as_str()
            ),
            ("cart", "shop", "u1", "s1")
        );

        let labels: Vec<_> = pod
            .into_iter()
            .chain([(CRI_KIND, "sandbox"), ("app", "cart")])
            .collect();
        let sandbox = read(record("s1", "{}", &labels), "k8s.io").container;
        assert_eq!(sandbox.name.as_deref(), Some("cart"));
        let of = sandbox.pod.unwrap();
        assert_eq!(
            (of.sandbox_id.as_str(), of.labels["app"].as_str()),
            ("s1", "cart")
        );
    }

    #[test]
    fn one_id_in_two_namespaces_is_two_containers_unless_it_is_random() {
        let of = |namespace: &str, id: &str| {
            let container = read(record(id, "{}", &[]), namespace).container;
            assert_eq!(container.key(), key(namespace, id));
            assert_eq!(container.full_id, id);
            key(namespace, id)
        };
        assert_eq!(of("k8s.io", "redis"), "redis");
        assert_eq!(of("default", "redis"), "default/redis");
        assert_eq!(of("moby", "redis"), "moby/redis");
        let random = "0123456789abcdef".repeat(4);
        assert_eq!(of("moby", &random), random);
        assert_eq!(of("default", &random), random);
    }

    #[test]
    fn annotations_name_the_pod_where_labels_do_not() {
        let annotations = |kind: &str, more: &str| {
            format!(
                r#"{{"annotations":{{"io.kubernetes.cri.container-type":"{kind}","io.kubernetes.cri.sandbox-id":"s1",
                "io.kubernetes.cri.sandbox-name":"cart","io.kubernetes.cri.sandbox-namespace":"shop",
                "io.kubernetes.cri.sandbox-uid":"u1"{more}}}}}"#
            )
        };
        let own = r#","io.kubernetes.cri.container-name":"web","io.kubernetes.cri.image-name":"web:1""#;
        let (sandbox, web) = (annotations("sandbox", ""), annotations("container", own));
        for (id, spec, label, name, image, app) in [
            (
                "s1",
                &sandbox,
                Some("sandbox"),
                "cart",
                "docker.io/library/web:1",
                Some("cart"),
            ),
            (
                "s1",
                &sandbox,
                None,
                "cart",
                "docker.io/library/web:1",
                Some("cart"),
            ),
            ("c1", &web, Some("container"), "web", "web:1", None),
        ] {
            let labels: Vec<_> = [("app", "cart")]
                .into_iter()
                .chain(label.map(|kind| (CRI_KIND, kind)))
                .collect();
            let made = record(id, spec, &labels);
            assert_eq!(is_in_sandbox(&made), id == "c1");
            let container = read(made, "k8s.io").container;
            assert_eq!(
                (
                    container.name.as_deref(),
                    container.image.as_deref(),
                    container.is_sandbox()
                ),
                (Some(name), Some(image), id == "s1")
            );
            let of = container.pod.unwrap();
            assert_eq!(
                (
                    of.name.as_str(),
                    of.namespace.as_str(),
                    of.uid.as_str(),
                    of.sandbox_id.as_str()
                ),
                ("cart", "shop", "u1", "s1")
            );
            assert_eq!(of.labels.get("app").map(String::as_str), app);
        }
    }

    #[test]
    fn what_cri_keeps_says_whether_a_container_is_privileged() {
        let of = |json: &str| privileged(&serde_json::from_str(json).unwrap());
        assert_eq!(of(r#"{"Config":{"linux":{"security_context":{}}}}"#), Some(false));
        assert_eq!(of(r#"{"Config":{}}"#), Some(false));
        assert_eq!(of("{}"), None);
        let mut broken = record("a", "{}", &[]);
        broken.extensions.insert(CRI_METADATA.into(), any("not json"));
        assert_eq!(metadata(&broken), None);
        assert_eq!(image_references(&broken), ["docker.io/library/web:1"]);
    }
}
