//! The files of containers/storage, where podman and CRI-O keep what their containers are made of: names, images, and the
//! OCI specification with CRI-O's annotations. They are there before a container's first process, and no daemon is needed
//! to read them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lanner_schema::container::{Container, Learnt, Pod};
use serde_json::Value;

use crate::oci_spec::Spec;

/// Larger files are not read.
const FILE_MAX: u64 = 64 << 20;
/// Where the storage of the host's root is.
pub(crate) const ROOT: &str = "/var/lib/containers/storage";
/// Where a user's is, below the home directory.
const OF_USER: &str = ".local/share/containers/storage";
/// Storage drivers, the usual one first.
const DRIVERS: [&str; 3] = ["overlay", "vfs", "btrfs"];
/// Lists of containers; the second has those that need not outlive the host.
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];

/// Looks for a container that was seen by its cgroup in the storages of `roots` and, if a user's slice is in its path, that
/// user's. `host_root` is where the host's `/` is seen from here.
pub(crate) fn find(host_root: &Path, roots: &[PathBuf], seen: &Container) -> Option<Container> {
    let below = |path: &Path| on_host(host_root, path);
    let of_user = user_of(&seen.cgroup_path).and_then(|uid| home(host_root, uid));
    let users = of_user.map(|home| below(&home).join(OF_USER));
    roots
        .iter()
        .map(|root| below(root))
        .chain(users)
        .find_map(|root| {
            DRIVERS.iter().find_map(|driver| {
                let folder = root.join(format!("{driver}-containers"));
                let entry = LISTS
                    .iter()
                    .find_map(|list| entry(&folder.join(list), &seen.full_id))?;
                let spec = content(&folder.join(&seen.full_id).join("userdata/config.json"));
                let images = root.join(format!("{driver}-images/images.json"));
                Some(read(seen, &entry, spec.as_deref(), &images))
            })
        })
}

/// Where a path of the host is seen from here.
pub(crate) fn on_host(host_root: &Path, path: &Path) -> PathBuf {
    match host_root.to_str() {
        Some("" | "/") => path.to_owned(),
        _ => host_root.join(path.strip_prefix("/").unwrap_or(path)),
    }
}

fn content(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(FILE_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The JSON in a file, if it is there and is one.
pub(crate) fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&content(path)?).ok()
}

/// The entry with this id of a list.
fn entry(list: &Path, id: &str) -> Option<Value> {
    let Value::Array(entries) = json(list)? else {
        return None;
    };
    entries
        .into_iter()
        .find(|entry| entry.get("id").and_then(Value::as_str) == Some(id))
}

fn text(value: &Value, key: &str) -> Option<String> {
    let text = value.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn read(seen: &Container, entry: &Value, config: Option<&[u8]>, images: &Path) -> Container {
    let spec = config.and_then(Spec::read);
    let config: Option<Value> = config.and_then(|config| serde_json::from_slice(config).ok());
    // A JSON text in JSON.
    let metadata = text(entry, "metadata").and_then(|metadata| serde_json::from_str::<Value>(&metadata).ok());
    let of_metadata = |key: &str| metadata.as_ref().and_then(|metadata| text(metadata, key));
    let annotations = config.as_ref().and_then(|config| config.get("annotations"));
    let annotation = |key: &str| annotations.and_then(|annotations| text(annotations, key));
    let crio = |key: &str| annotation(&format!("io.kubernetes.cri-o.{key}"));
    let first_name = || {
        entry
            .get("names")?
            .as_array()?
            .first()?
            .as_str()
            .map(str::to_owned)
    };
    let pod_name = annotation("io.kubernetes.pod.name");
    let sandbox_id = crio("SandboxID").unwrap_or_default();
    let is_sandbox = sandbox_id == seen.full_id;
    let labels: BTreeMap<String, String> = crio("Labels")
        .and_then(|labels| serde_json::from_str(&labels).ok())
        .unwrap_or_default();
    let pod = pod_name.clone().map(|name| Pod {
        name,
        namespace: annotation("io.kubernetes.pod.namespace").unwrap_or_default(),
        uid: annotation("io.kubernetes.pod.uid").unwrap_or_default(),
        sandbox_id,
        labels: match is_sandbox {
            true => labels.clone(),
            false => BTreeMap::new(),
        },
    });
    let name = match is_sandbox {
        true => pod_name,
        false => annotation("io.kubernetes.container.name"),
    };
    let image_id = text(entry, "image").or_else(|| of_metadata("image-id"));
    let digest = image_id
        .as_deref()
        .and_then(|id| self::entry(images, id))
        .and_then(|image| text(&image, "digest"));
    Container {
        name: name.or_else(|| of_metadata("name")).or_else(first_name),
        image: crio("ImageName").or_else(|| of_metadata("image-name")),
        digest,
        image_id,
        privileged: spec.as_ref().and_then(Spec::privileged),
        mounts: spec.as_ref().map(Spec::mounts),
        host: spec
            .as_ref()
            .map(|spec| spec.host_namespaces(false))
            .unwrap_or_default(),
        labels,
        pod,
        cgroup: seen.cgroup,
        cgroup_path: seen.cgroup_path.clone(),
        ..Container::new(seen.full_id.as_str(), seen.runtime, Learnt::Api)
    }
}

/// The user in whose slice a cgroup is.
fn user_of(cgroup_path: &str) -> Option<u32> {
    let uid = |part: &str| part.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok();
    cgroup_path.split('/').find_map(uid)
}

/// A user's home directory, by the host's passwd file.
fn home(host_root: &Path, uid: u32) -> Option<PathBuf> {
    let passwd = std::fs::read_to_string(on_host(host_root, Path::new("/etc/passwd")))
        .or_else(|_| std::fs::read_to_string("/etc/passwd"))
        .ok()?;
    let of = |line: &str| {
        let mut parts = line.split(':').skip(2);
        let is_its = parts.next()?.parse() == Ok(uid);
        is_its.then(|| parts.nth(2).map(PathBuf::from)).flatten()
    };
    passwd.lines().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn id(letter: char) -> String {
        std::iter::repeat_n(letter, 64).collect()
    }

    fn seen(letter: char, runtime: &'static str, path: &str) -> Container {
        Container {
            cgroup: 7,
            cgroup_path: path.into(),
            ..Container::new(id(letter), runtime, Learnt::Cgroup)
        }
    }

    /// A storage as podman 4 leaves it.
    fn podmans(root: &Path, driver: &str) {
        let containers = root.join(format!("{driver}-containers"));
        fs::create_dir_all(&containers).unwrap();
        let metadata = r#"{\"image-name\":\"docker.io/library/busybox:1.36\",\"image-id\":\"9999\",\"name\":\"web\",\"created-at\":1}"#;
        fs::write(
            containers.join("containers.json"),
            format!(
                r#"[{{"id":"{}"}},{{"id":"{}","names":["web"],"image":"{}","metadata":"{metadata}"}}]"#,
                id('b'),
                id('a'),
                id('9')
            ),
        )
        .unwrap();
        let images = root.join(format!("{driver}-images"));
        fs::create_dir_all(&images).unwrap();
        fs::write(
            images.join("images.json"),
            format!(
                r#"[{{"id":"{}","digest":"sha256:77","names":["docker.io/library/busybox:1.36"]}}]"#,
                id('9')
            ),
        )
        .unwrap();
    }

    #[test]
    fn a_container_of_podman_has_its_name_image_and_digest() {
        let host = tempfile::tempdir().unwrap();
        podmans(&host.path().join("storage"), "vfs");
        let roots = [PathBuf::from("/storage")];
        let found = find(host.path(), &roots, &seen('a', "podman", "/libpod_parent/x")).unwrap();
        assert_eq!((found.name.as_deref(), found.runtime), (Some("web"), "podman"));
        assert_eq!(found.image.as_deref(), Some("docker.io/library/busybox:1.36"));
        assert_eq!(found.digest.as_deref(), Some("sha256:77"));
        assert_eq!((found.cgroup, found.learnt), (7, Learnt::Api));
        assert_eq!(found.pod, None);
        // What says less is taken for what it says.
        let bare = find(host.path(), &roots, &seen('b', "podman", "")).unwrap();
        assert_eq!((bare.name, bare.image, bare.digest), (None, None, None));
        assert_eq!(find(host.path(), &roots, &seen('c', "podman", "")), None);
        assert_eq!(
            find(host.path(), &[PathBuf::from("/none")], &seen('a', "podman", "")),
            None
        );
    }

    #[test]
    fn a_users_container_is_in_the_users_storage() {
        let host = tempfile::tempdir().unwrap();
        podmans(&host.path().join("home/ann").join(OF_USER), "overlay");
        fs::create_dir_all(host.path().join("etc")).unwrap();
        fs::write(
            host.path().join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann,,:/home/ann:/bin/sh\n",
        )
        .unwrap();
        let path = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-x.scope";
        let found = find(host.path(), &[], &seen('a', "podman", path)).unwrap();
        assert_eq!(found.name.as_deref(), Some("web"));
        let other = path.replace("1000", "1001");
        assert_eq!(find(host.path(), &[], &seen('a', "podman", &other)), None);
    }

    #[test]
    fn a_container_of_crio_has_its_pod() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path().join("storage/overlay-containers");
        let metadata =
            r#"{\"pod-name\":\"cart\",\"image-name\":\"quay.io/web:2\",\"name\":\"k8s_web_cart\"}"#;
        fs::create_dir_all(root.join(id('a')).join("userdata")).unwrap();
        fs::create_dir_all(root.join(id('f')).join("userdata")).unwrap();
        fs::write(
            root.join("containers.json"),
            format!(
                r#"[{{"id":"{}","metadata":"{metadata}"}},{{"id":"{}"}}]"#,
                id('a'),
                id('f')
            ),
        )
        .unwrap();
        let spec = |name: &str, labels: &str| {
            format!(
                r#"{{"annotations":{{"io.kubernetes.pod.name":"cart","io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"u1",
                "io.kubernetes.container.name":"{name}","io.kubernetes.cri-o.ImageName":"quay.io/web:2","io.kubernetes.cri-o.SandboxID":"{}",
                "io.kubernetes.cri-o.Labels":"{labels}"}}}}"#,
                id('f')
            )
        };
        let write = |letter, text: String| {
            fs::write(root.join(id(letter)).join("userdata/config.json"), text).unwrap();
        };
        write('a', spec("web", r#"{\"io.kubernetes.container.name\":\"web\"}"#));
        write('f', spec("POD", r#"{\"app\":\"cart\"}"#));
        let roots = [PathBuf::from("/storage")];
        let found = find(host.path(), &roots, &seen('a', "cri-o", "")).unwrap();
        assert_eq!(
            (found.name.as_deref(), found.image.as_deref()),
            (Some("web"), Some("quay.io/web:2"))
        );
        let pod = found.pod.unwrap();
        assert_eq!(
            (
                pod.name.as_str(),
                pod.namespace.as_str(),
                pod.uid.as_str(),
                pod.sandbox_id
            ),
            ("cart", "shop", "u1", id('f'))
        );
        assert!(pod.labels.is_empty(), "they are the sandbox's to tell");
        let sandbox = find(host.path(), &roots, &seen('f', "cri-o", "")).unwrap();
        assert_eq!(sandbox.name.as_deref(), Some("cart"));
        assert_eq!(sandbox.pod.unwrap().labels["app"], "cart");
    }

    #[test]
    fn what_is_no_list_has_no_containers() {
        let host = tempfile::tempdir().unwrap();
        let folder = host.path().join("storage/overlay-containers");
        fs::create_dir_all(&folder).unwrap();
        for text in ["", "{}", "[", "[1,null,{}]", r#"[{"id":7}]"#] {
            fs::write(folder.join("containers.json"), text).unwrap();
            let found = find(
                host.path(),
                &[PathBuf::from("/storage")],
                &seen('a', "podman", ""),
            );
            assert_eq!(found, None, "{text}");
        }
    }
}
