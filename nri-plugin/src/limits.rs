//! How much of what a runtime says is kept. A runtime that is out of its mind must not be able to fill the memory.

use std::collections::HashMap;

use crate::api;

/// Containers and sandboxes that are known at a time, at most: far more than a node may run.
pub(crate) const CONTAINERS: usize = 16_384;
/// Bytes of one name, path or image reference. Kubernetes allows 253 for most.
const TEXT: usize = 1024;
/// Bytes of the labels of one container or pod: some forty of the longest that Kubernetes allows.
const LABELS: usize = 16 << 10;
/// Bytes of labels and mounts that all containers have together.
pub(crate) const ALL_TEXTS: usize = 64 << 20;
/// Mounts of a container; options of a mount, namespaces and addresses of a pod.
const MOUNTS: usize = 1024;
const FEW: usize = 64;
/// Bytes of an id. containerd takes up to 76.
const ID: usize = 128;

/// True for what can be a container's id. It is looked for in the names of directories and is part of log lines: a runtime
/// gives letters, digits and `_.-`, a unit of systemd has `\x2d` for a hyphen, and no id is `..` or has a slash.
pub(crate) fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-\\".contains(&byte);
    (1..=ID).contains(&id.len()) && id.bytes().all(allowed) && !id.starts_with('.') && !id.contains("..")
}

/// Takes away what is too much, and gives how many parts were.
pub(crate) trait Trim {
    fn trim(&mut self) -> u64;
}

impl Trim for api::Container {
    fn trim(&mut self) -> u64 {
        let mut cut = labels(&mut self.labels);
        for (_, value) in self
            .annotations
            .iter_mut()
            .filter(|(_, value)| value.len() > TEXT)
        {
            // Only a few are looked at, and none of those is long.
            value.clear();
        }
        cut += text(&mut self.name) + text(&mut self.pod_sandbox_id) + few(&mut self.mounts, MOUNTS);
        for mount in &mut self.mounts {
            cut += text(&mut mount.source) + text(&mut mount.destination) + few(&mut mount.options, FEW);
        }
        if self.image.len() > 4 * TEXT {
            self.image = Vec::new();
            cut += 1;
        }
        if let Some(linux) = &mut self.linux {
            cut += text(&mut linux.cgroups_path) + few(&mut linux.namespaces, FEW);
        }
        cut
    }
}

impl Trim for api::PodSandbox {
    fn trim(&mut self) -> u64 {
        let mut cut = labels(&mut self.labels);
        for (_, value) in self
            .annotations
            .iter_mut()
            .filter(|(_, value)| value.len() > TEXT)
        {
            value.clear();
        }
        cut += text(&mut self.name) + text(&mut self.uid) + text(&mut self.namespace);
        cut += few(&mut self.ips, FEW);
        if let Some(linux) = &mut self.linux {
            cut += text(&mut linux.cgroups_path) + few(&mut linux.namespaces, FEW);
            for namespace in &mut linux.namespaces {
                cut += text(&mut namespace.kind) + text(&mut namespace.path);
            }
        }
        cut
    }
}

/// Leaves out what is beyond `most`.
fn few<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let beyond = list.len().saturating_sub(most);
    if beyond > 0 {
        list.truncate(most);
        list.shrink_to_fit();
    }
    u64::try_from(beyond).unwrap_or(u64::MAX)
}

/// Cuts a text at a character.
fn text(text: &mut String) -> u64 {
    if text.len() <= TEXT {
        return 0;
    }
    text.truncate(text.floor_char_boundary(TEXT));
    text.shrink_to_fit();
    1
}

/// Leaves out the labels that go beyond [`LABELS`]; the same ones whatever the order they came in.
fn labels(labels: &mut HashMap<String, String>) -> u64 {
    let weight = |(key, value): (&String, &String)| key.len() + value.len();
    if labels.iter().map(weight).sum::<usize>() <= LABELS {
        return 0;
    }
    let before = labels.len();
    let mut sorted: Vec<(String, String)> = labels.drain().collect();
    sorted.sort_unstable();
    let mut left = LABELS;
    labels.extend(sorted.into_iter().filter(|(key, value)| {
        let fits = weight((key, value)) <= left;
        left -= if fits { weight((key, value)) } else { 0 };
        fits
    }));
    labels.shrink_to_fit();
    u64::try_from(before - labels.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_name_and_never_a_path() {
        for id in [
            "0123456789ab",
            "left-out_by.nri",
            r"machine-a\x2db",
            &"f".repeat(64),
        ] {
            assert!(is_id(id), "{id}");
        }
        for id in [
            "",
            ".",
            "..",
            "a/b",
            "../../etc",
            "a..b",
            ".hidden",
            "a b",
            "a\nb",
            "ü",
            &"f".repeat(129),
        ] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn what_fits_stays_and_what_does_not_is_counted() {
        let mut container = api::Container {
            name: "ü".repeat(TEXT),
            labels: HashMap::from([
                ("a".into(), "small".into()),
                ("b".into(), "x".repeat(LABELS)),
                ("c".into(), "too".into()),
            ]),
            ..api::Container::default()
        };
        assert_eq!(container.trim(), 2);
        assert_eq!(container.name.len(), TEXT);
        let mut left: Vec<&str> = container.labels.keys().map(String::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["a", "c"]);
        assert_eq!(container.trim(), 0, "once is enough");
    }
}
