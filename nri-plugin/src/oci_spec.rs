//! What a container's OCI specification says of it, be it quoted by NRI or kept by containerd as JSON.

use lanner_schema::container::{HostNamespaces, Mount};
use serde_json::Value;

use crate::api::{LinuxDeviceCgroup, LinuxNamespace, Mount as SpecMount, OptionalInt64};

/// What containerd's CRI itself mounts from the sandbox's folder into each of its containers.
const OF_SANDBOX: [&str; 4] = ["hostname", "hosts", "resolv.conf", "shm"];

/// The part of a specification that fields show.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Spec {
    /// Every mount, those of the kernel's file systems too.
    pub(crate) mounts: Vec<SpecMount>,
    /// The namespaces of its own.
    pub(crate) namespaces: Vec<LinuxNamespace>,
    /// Rules about devices.
    pub(crate) devices: Vec<LinuxDeviceCgroup>,
}

impl Spec {
    /// Reads a specification's JSON; `None` when it is none. Members that are not what they should be are passed over.
    pub(crate) fn read(json: &[u8]) -> Option<Spec> {
        let spec: Value = serde_json::from_slice(json).ok()?;
        spec.as_object()?;
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let linux = spec.get("linux");
        let of_linux = |key: &str| linux.and_then(|linux| linux.get(key));
        let devices = of_linux("resources").and_then(|resources| resources.get("devices"));
        Some(Spec {
            mounts: list(spec.get("mounts")).iter().map(mount).collect(),
            namespaces: list(of_linux("namespaces")).iter().map(namespace).collect(),
            devices: list(devices).iter().map(device).collect(),
        })
    }

    /// Whether the container is privileged; `None` when nothing tells.
    ///
    /// No specification says so in as many words. A privileged container may write to sysfs, or is given every device: nothing
    /// else that a runtime is asked for has that effect.
    pub(crate) fn privileged(&self) -> Option<bool> {
        let devices =
            (!self.devices.is_empty()).then(|| self.devices.iter().any(LinuxDeviceCgroup::gives_all));
        let of_kernel = |mount: &&SpecMount| matches!(mount.kind.as_str(), "sysfs" | "cgroup" | "cgroup2");
        let is_sysfs = |mount: &SpecMount| mount.kind == "sysfs";
        let sysfs = self
            .mounts
            .iter()
            .any(is_sysfs)
            .then(|| self.mounts.iter().filter(of_kernel).all(is_writable));
        match (devices, sysfs) {
            (None, None) => None,
            (devices, sysfs) => Some(devices == Some(true) || sysfs == Some(true)),
        }
    }

    /// The host's namespaces it uses: those it has none of its own in place of. Of those that a container shares with the rest
    /// of its pod, its sandbox's specification tells.
    pub(crate) fn host_namespaces(&self, is_in_sandbox: bool) -> HostNamespaces {
        host_namespaces(&self.namespaces, is_in_sandbox.then_some(&[]))
    }

    /// What was mounted from the host, as the runtime was asked to.
    pub(crate) fn mounts(&self) -> Vec<Mount> {
        binds(&self.mounts, None)
    }
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn mount(value: &Value) -> SpecMount {
    let options = value.get("options").and_then(Value::as_array);
    SpecMount {
        destination: text(value, "destination"),
        kind: text(value, "type"),
        source: text(value, "source"),
        options: options
            .into_iter()
            .flatten()
            .filter_map(|option| option.as_str().map(str::to_owned))
            .collect(),
    }
}

fn namespace(value: &Value) -> LinuxNamespace {
    LinuxNamespace {
        kind: text(value, "type"),
        path: text(value, "path"),
    }
}

fn device(value: &Value) -> LinuxDeviceCgroup {
    let number = |key: &str| {
        let value = value.get(key).and_then(Value::as_i64);
        value.map(|value| OptionalInt64 { value })
    };
    LinuxDeviceCgroup {
        allow: value.get("allow").and_then(Value::as_bool).unwrap_or(false),
        kind: text(value, "type"),
        major: number("major"),
        minor: number("minor"),
        access: text(value, "access"),
    }
}

fn has(mount: &SpecMount, option: &str) -> bool {
    mount.options.iter().any(|known| known == option)
}

fn is_writable(mount: &SpecMount) -> bool {
    !has(mount, "ro")
}

/// What is mounted from the host, without the kernel's file systems, and without what CRI adds to every container of
/// `sandbox` of its own accord.
pub(crate) fn binds(mounts: &[SpecMount], sandbox: Option<&str>) -> Vec<Mount> {
    let is_bind = |mount: &&SpecMount| mount.kind == "bind" || has(mount, "bind") || has(mount, "rbind");
    let is_cris = |mount: &SpecMount| {
        let folder = sandbox.filter(|id| !id.is_empty());
        folder.is_some_and(|id| {
            let of_folder = |name: &&str| mount.source.ends_with(&format!("/sandboxes/{id}/{name}"));
            OF_SANDBOX.iter().any(of_folder)
        })
    };
    mounts
        .iter()
        .filter(is_bind)
        .filter(|mount| !is_cris(mount))
        .map(|mount| Mount {
            source: mount.source.clone(),
            destination: mount.destination.clone(),
            mode: String::new(),
            writable: is_writable(mount),
            propagation: propagation(mount).to_owned(),
        })
        .collect()
}

/// How mounts propagate, in the words that Falco has for what CRI is asked for.
fn propagation(mount: &SpecMount) -> &'static str {
    const WORDS: [(&str, &str); 6] = [
        ("rprivate", "private"),
        ("private", "private"),
        ("rslave", "rslave"),
        ("slave", "rslave"),
        ("rshared", "rshared"),
        ("shared", "rshared"),
    ];
    let known = WORDS.iter().find(|(option, _)| has(mount, option));
    known.map_or("private", |(_, word)| word)
}

/// The host's namespaces that are used by whoever has `own` ones. One that is joined by its path may be its pod's: that is the
/// host's when the pod has none, `pod` being what it has.
pub(crate) fn host_namespaces(own: &[LinuxNamespace], pod: Option<&[LinuxNamespace]>) -> HostNamespaces {
    // A container without any namespace does not exist: nobody told of them.
    if own.is_empty() {
        return HostNamespaces::default();
    }
    let of = |kind: &str| match own.iter().find(|namespace| namespace.kind == kind) {
        None => Some(true),
        Some(namespace) if namespace.path.is_empty() => Some(false),
        Some(_) => match pod {
            Some([]) => None,
            Some(pod) => Some(!pod.iter().any(|namespace| namespace.kind == kind)),
            None => Some(false),
        },
    };
    HostNamespaces {
        pid: of("pid"),
        network: of("network"),
        ipc: of("ipc"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> Spec {
        Spec::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_specification_says_whether_a_container_is_privileged() {
        let of = |json: &str| spec(json).privileged();
        let sysfs = |options: &str| {
            format!(
                r#"{{"mounts":[{{"type":"sysfs","source":"sysfs","destination":"/sys","options":{options}}},
                    {{"type":"cgroup","source":"cgroup","destination":"/sys/fs/cgroup","options":{options}}}]}}"#
            )
        };
        assert_eq!(of(&sysfs(r#"["nosuid","ro"]"#)), Some(false));
        assert_eq!(of(&sysfs(r#"["nosuid","rw"]"#)), Some(true));
        let devices = |rule: &str| format!(r#"{{"linux":{{"resources":{{"devices":[{rule}]}}}}}}"#);
        assert_eq!(of(&devices(r#"{"allow":true,"access":"rwm"}"#)), Some(true));
        assert_eq!(
            of(&devices(
                r#"{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}"#
            )),
            Some(false)
        );
        assert_eq!(of("{}"), None);
        // A file system of the host's that is mounted there says nothing.
        assert_eq!(
            of(r#"{"mounts":[{"type":"bind","source":"/sys","destination":"/sys"}]}"#),
            None
        );
        assert!(Spec::read(b"not json").is_none() && Spec::read(b"[]").is_none());
        assert_eq!(spec(r#"{"mounts":7,"linux":[]}"#), Spec::default());
    }

    #[test]
    fn mounts_are_what_comes_from_the_host() {
        let spec = spec(
            r#"{"mounts":[
                {"type":"proc","source":"proc","destination":"/proc"},
                {"type":"bind","source":"/run/c/sandboxes/abc/hostname","destination":"/etc/hostname","options":["rbind","rw"]},
                {"type":"bind","source":"/srv","destination":"/data","options":["rbind","rprivate","ro"]},
                {"type":"none","source":"/mnt","destination":"/m","options":["bind","rslave","rw"]}]}"#,
        );
        let told = |sandbox| {
            let mounts = binds(&spec.mounts, sandbox);
            mounts
                .into_iter()
                .map(|m| {
                    format!(
                        "{}:{}:{}:{}:{}",
                        m.source, m.destination, m.mode, m.writable, m.propagation
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            told(Some("abc")),
            ["/srv:/data::false:private", "/mnt:/m::true:rslave"]
        );
        assert_eq!(told(Some("")).len(), 3);
        assert_eq!(spec.mounts().len(), 3);
    }

    #[test]
    fn a_namespace_is_the_hosts_when_there_is_no_own_and_none_of_the_pod() {
        let list = |kinds: &[(&str, &str)]| -> Vec<LinuxNamespace> {
            let namespace = |(kind, path): &(&str, &str)| LinuxNamespace {
                kind: (*kind).into(),
                path: (*path).into(),
            };
            kinds.iter().map(namespace).collect()
        };
        let own = list(&[("pid", ""), ("network", "/proc/7/ns/net"), ("mount", "")]);
        let pod = list(&[("ipc", ""), ("mount", "")]);
        let told = host_namespaces(&own, Some(&pod));
        assert_eq!(
            (told.pid, told.network, told.ipc),
            (Some(false), Some(true), Some(true))
        );
        let told = host_namespaces(&own, Some(&list(&[("network", "/var/run/netns/x")])));
        assert_eq!(told.network, Some(false));
        assert_eq!(
            host_namespaces(&own, Some(&[])).network,
            None,
            "nobody told of the pod's"
        );
        assert_eq!(
            host_namespaces(&own, None).network,
            Some(false),
            "a container without a pod"
        );
        assert_eq!(host_namespaces(&[], None), HostNamespaces::default());
    }
}
