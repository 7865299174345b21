//! What the path of a cgroup tells of a container: its id and the runtime whose form it is.
//!
//! The forms are those Falco's container plugin knows, and systemd-nspawn's. A runtime's own helpers (conmon, LXC's monitor,
//! nspawn's supervisor) run beside a container, not in it.

use std::borrow::Cow;

use lanner_schema::container::is_hex_id;

/// Before an id of 64 hexadecimal digits, and whose form that is. The last one is everybody's.
const PREFIXES: [(&str, &str); 7] = [
    ("cri-containerd-", "containerd"),
    ("docker-", "docker"),
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
    ("crio-", "cri-o"),
    ("nerdctl-", "containerd"),
    ("", "containerd"),
];

/// A container in a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InPath<'p> {
    pub(crate) id: Cow<'p, str>,
    pub(crate) runtime: &'static str,
    /// The path of the container's own cgroup.
    pub(crate) path: &'p str,
}

/// The innermost container whose cgroup, or one below it, has this path.
pub(crate) fn container_in_path(path: &str) -> Option<InPath<'_>> {
    let mut own = path;
    let mut below = None;
    loop {
        let (above, name) = own.rsplit_once('/')?;
        let parent = above.rsplit('/').next().unwrap_or_default();
        let found = by_hex_id(path, name)
            .or_else(|| libvirt(above, name))
            .or_else(|| lxc(parent, name))
            .or_else(|| bpm(name))
            .map(|(id, runtime)| (Cow::Borrowed(id), runtime));
        let machine = || {
            let name = nspawn(name).filter(|_| below != Some("supervisor"))?;
            Some((name, "systemd-nspawn"))
        };
        if let Some((id, runtime)) = found.or_else(machine) {
            return Some(InPath {
                id,
                runtime,
                path: own,
            });
        }
        below = Some(name);
        own = above;
    }
}

fn by_hex_id<'p>(path: &str, name: &'p str) -> Option<(&'p str, &'static str)> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    // cri-containerd in the systemd form of 1.6 and before: SLICE:cri-containerd:ID.
    let name = name.rsplit(':').next().unwrap_or(name);
    PREFIXES.iter().find_map(|(prefix, runtime)| {
        let id = name.strip_prefix(prefix).filter(|id| is_hex_id(id))?;
        match prefix.is_empty() && path.contains("/docker/") {
            true => Some((id, "docker")),
            false => Some((id, *runtime)),
        }
    })
}

/// `/lxc/NAME`, `/lxc.payload/NAME`, and `/lxc.payload.NAME` since LXC 4.
fn lxc<'p>(parent: &str, name: &'p str) -> Option<(&'p str, &'static str)> {
    let id = match parent {
        "lxc" | "lxc.payload" => name,
        _ => name.strip_prefix("lxc.payload.")?,
    };
    (!id.is_empty()).then_some((id, "lxc"))
}

/// `NAME.libvirt-lxc`, `/libvirt/lxc/NAME`, and `machine-lxc\x2dPID\x2dNAME.scope`, of which Falco's id is the escaped rest.
fn libvirt<'p>(above: &str, name: &'p str) -> Option<(&'p str, &'static str)> {
    let id = name
        .strip_suffix(".libvirt-lxc")
        .or_else(|| name.strip_prefix("machine-lxc\\x2d")?.strip_suffix(".scope"))
        .or_else(|| above.ends_with("/libvirt/lxc").then_some(name))?;
    (!id.is_empty()).then_some((id, "libvirt-lxc"))
}

/// `bpm-ID` and `bpm-ID.scope`.
fn bpm(name: &str) -> Option<(&str, &'static str)> {
    let id = name.strip_suffix(".scope").unwrap_or(name).strip_prefix("bpm-")?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let is_unit = id.ends_with(".service") || id.ends_with(".slice");
    (!id.is_empty() && !is_unit && id.bytes().all(allowed)).then_some((id, "bpm"))
}

/// `machine-NAME.scope` and `systemd-nspawn@NAME.service`. Virtual machines are machines too: their processes are the host's.
fn nspawn(name: &str) -> Option<Cow<'_, str>> {
    let machine = name
        .strip_prefix("machine-")
        .and_then(|name| name.strip_suffix(".scope"))
        .or_else(|| name.strip_prefix("systemd-nspawn@")?.strip_suffix(".service"))?;
    let of_another = ["qemu\\x2d", "lxc\\x2d", "xen\\x2d", "vbox\\x2d"];
    if machine.is_empty() || of_another.iter().any(|prefix| machine.starts_with(prefix)) {
        return None;
    }
    Some(unescape(machine))
}

/// Undoes systemd's escapes: `\x2d` is a hyphen.
fn unescape(name: &str) -> Cow<'_, str> {
    if !name.contains("\\x") {
        return Cow::Borrowed(name);
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let byte = rest
            .get(at + 2..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[at + 4..];
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                rest = &rest[at + 2..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn found(path: &str) -> Option<(String, &'static str)> {
        container_in_path(path).map(|found| (found.id.into_owned(), found.runtime))
    }

    #[test]
    fn ids_of_64_digits_are_found_in_every_form_of_path() {
        for (path, runtime) in [
            (format!("/kubepods/burstable/pod1/{ID}"), "containerd"),
            (
                format!("/kubepods.slice/x.slice/cri-containerd-{ID}.scope"),
                "containerd",
            ),
            (
                format!("/k/kubepods-pod1.slice:cri-containerd:{ID}"),
                "containerd",
            ),
            (format!("/system.slice/nerdctl-{ID}.scope"), "containerd"),
            (format!("/system.slice/docker-{ID}.scope/inner"), "docker"),
            (format!("/docker/{ID}"), "docker"),
            (format!("/machine.slice/libpod-{ID}.scope"), "podman"),
            (format!("/machine.slice/libpod-{ID}.scope/container"), "podman"),
            (format!("/libpod_parent/libpod-{ID}"), "podman"),
            (
                format!(
                    "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"
                ),
                "podman",
            ),
            (format!("/system.slice/web.service/libpod-payload-{ID}"), "podman"),
            (
                format!("/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope"),
                "cri-o",
            ),
            (format!("/kubepods/pod1/crio-{ID}"), "cri-o"),
            // A container of a node that is a container itself is the inner one.
            (
                format!(
                    "/docker/{}/kubelet/pod1/cri-containerd-{ID}.scope",
                    "f".repeat(64)
                ),
                "containerd",
            ),
        ] {
            assert_eq!(found(&path), Some((ID.to_owned(), runtime)), "{path}");
        }
    }

    #[test]
    fn names_are_found_in_the_forms_of_those_who_give_them() {
        for (path, id, runtime) in [
            ("/lxc/web", "web", "lxc"),
            ("/lxc/101/ns/system.slice/sshd.service", "101", "lxc"),
            ("/lxc.payload/web/init.scope", "web", "lxc"),
            ("/lxc.payload.web-1/system.slice", "web-1", "lxc"),
            ("/machine/web.libvirt-lxc", "web", "libvirt-lxc"),
            ("/libvirt/lxc/web", "web", "libvirt-lxc"),
            (
                "/machine.slice/machine-lxc\\x2d2293906\\x2dweb.scope/libvirt",
                "2293906\\x2dweb",
                "libvirt-lxc",
            ),
            ("/bpm-uaa.web_1", "uaa.web_1", "bpm"),
            ("/system.slice/bpm-uaa.scope", "uaa", "bpm"),
            (
                "/machine.slice/machine-web\\x2dfront.scope/payload/init.scope",
                "web-front",
                "systemd-nspawn",
            ),
            (
                "/machine.slice/systemd-nspawn@web.service/payload",
                "web",
                "systemd-nspawn",
            ),
            ("/machine.slice/machine-old.scope", "old", "systemd-nspawn"),
        ] {
            assert_eq!(found(path), Some((id.to_owned(), runtime)), "{path}");
        }
    }

    #[test]
    fn what_runs_beside_a_container_is_the_hosts() {
        for path in [
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/kubepods.slice/kubepods-pod1.slice/crio-conmon-{ID}.scope"),
            "/libpod_parent/conmon".to_owned(),
            "/lxc.monitor.web".to_owned(),
            "/lxc.monitor/web".to_owned(),
            "/lxc".to_owned(),
            "/lxc.payload.".to_owned(),
            "/machine.slice/machine-web.scope/supervisor".to_owned(),
            "/machine.slice/machine-qemu\\x2d1\\x2ddebian.scope/libvirt/vcpu0".to_owned(),
            "/machine.slice/machine-libpod_pod_web.slice".to_owned(),
            "/system.slice/bpm-agent.service".to_owned(),
            "/system.slice/sshd.service".to_owned(),
            "/default/web".to_owned(),
            format!("/x/{}", &ID[..63]),
            "/".to_owned(),
            String::new(),
        ] {
            assert_eq!(found(&path), None, "{path}");
        }
    }

    #[test]
    fn the_containers_own_cgroup_is_the_one_that_names_it() {
        let own = |path| container_in_path(path).unwrap().path;
        assert_eq!(own("/lxc/101/ns/system.slice/sshd.service"), "/lxc/101");
        assert_eq!(
            own("/machine.slice/machine-a.scope/payload/x"),
            "/machine.slice/machine-a.scope"
        );
        assert_eq!(own("/bpm-a"), "/bpm-a");
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescape("a\\x2db"), "a-b");
        assert_eq!(unescape("a\\xzz\\x2"), "a\\xzz\\x2");
        assert_eq!(unescape("a\\x"), "a\\x");
        assert_eq!(unescape("\\xé"), "\\xé");
    }
}
