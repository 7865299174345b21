//! What docker keeps of a container in its data root: there before the first process, and read without its daemon, whose
//! answer may be late.

use std::path::{Path, PathBuf};

use lanner_schema::container::Container;
use serde_json::{Map, Value};

use crate::docker::from_inspect;
use crate::storage::{json, on_host};

/// Where docker's data root is on most hosts.
pub(crate) const ROOT: &str = "/var/lib/docker";

/// Looks for a container that was seen by its cgroup in the data roots. `host_root` is where the host's `/` is seen from here.
pub(crate) fn find(host_root: &Path, roots: &[PathBuf], seen: &Container) -> Option<Container> {
    roots.iter().find_map(|root| {
        let folder = on_host(host_root, root).join("containers").join(&seen.full_id);
        let kept = json(&folder.join("config.v2.json"))?;
        let host = json(&folder.join("hostconfig.json"));
        // The API's answer is made out of these.
        let mut inspected = Map::new();
        inspected.insert("Id".into(), seen.full_id.clone().into());
        for key in ["Name", "Config", "Image"] {
            inspected.insert(key.into(), kept.get(key).cloned().unwrap_or_default());
        }
        inspected.insert("HostConfig".into(), host.unwrap_or_default());
        Some(Container {
            cgroup: seen.cgroup,
            cgroup_path: seen.cgroup_path.clone(),
            ..from_inspect(&Value::Object(inspected), seen.runtime)?
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lanner_schema::container::Learnt;

    use super::*;

    #[test]
    fn a_container_is_what_its_files_say() {
        let root = tempfile::tempdir().unwrap();
        let id = "5".repeat(64);
        let folder = root.path().join("data/containers").join(&id);
        fs::create_dir_all(&folder).unwrap();
        let seen = Container::new(id.as_str(), "docker", Learnt::Cgroup);
        let roots = [PathBuf::from("/elsewhere"), PathBuf::from("/data")];
        assert_eq!(find(root.path(), &roots, &seen), None, "not written yet");
        let kept = r#"{"Name": "/web", "Image": "sha256:77", "Config": {"Image": "shop/web:2", "Labels": {"team": "shop"}}}"#;
        fs::write(folder.join("config.v2.json"), kept).unwrap();
        let found = find(root.path(), &roots, &seen).unwrap();
        assert_eq!(found.name.as_deref(), Some("web"));
        assert_eq!(found.image.as_deref(), Some("shop/web:2"));
        assert_eq!(found.image_id.as_deref(), Some("77"));
        assert_eq!(found.labels["team"], "shop");
        assert_eq!(found.privileged, None, "that is in the other file");
        fs::write(
            folder.join("hostconfig.json"),
            r#"{"Privileged": true, "PidMode": "host"}"#,
        )
        .unwrap();
        let found = find(root.path(), &roots, &seen).unwrap();
        assert_eq!((found.privileged, found.host.pid), (Some(true), Some(true)));
        fs::write(folder.join("config.v2.json"), "half of {").unwrap();
        assert_eq!(find(root.path(), &roots, &seen), None);
    }
}
