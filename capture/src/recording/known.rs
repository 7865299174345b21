//! Containers and names of addresses, as bytes.

use std::net::IpAddr;

use lanner_schema::container::{Container, HostNamespaces, Learnt, Mount, Pod};
use lanner_schema::host_names::AddressNames;

const FULL_ID: u8 = 1;
const NAME: u8 = 2;
const IMAGE: u8 = 3;
const DIGEST: u8 = 4;
const RUNTIME: u8 = 5;
const PRIVILEGED: u8 = 6;
const START_TS: u8 = 7;
const LABEL: u8 = 8;
const CGROUP: u8 = 9;
const CGROUP_PATH: u8 = 10;
const PID: u8 = 11;
const LEARNT: u8 = 12;
const POD_NAME: u8 = 13;
const POD_NAMESPACE: u8 = 14;
const POD_UID: u8 = 15;
const POD_SANDBOX: u8 = 16;
const POD_LABEL: u8 = 17;
const IMAGE_ID: u8 = 18;
/// There are mounts, be it none: each follows as a [`MOUNT`].
const MOUNTS: u8 = 19;
const MOUNT: u8 = 20;
const HOST_PID: u8 = 21;
const HOST_NETWORK: u8 = 22;
const HOST_IPC: u8 = 23;
const IP: u8 = 24;
const CNI_JSON: u8 = 25;
const GONE: u8 = 26;
const RUNTIME_NAMESPACE: u8 = 27;

/// The runtimes there are; a name of another, in a damaged or newer recording, is not known.
const RUNTIMES: [&str; 8] = [
    "containerd",
    "docker",
    "podman",
    "cri-o",
    "lxc",
    "libvirt-lxc",
    "bpm",
    "systemd-nspawn",
];

/// A byte with the member's number, four with its length, its bytes.
fn push(out: &mut Vec<u8>, member: u8, value: &[u8]) {
    let Ok(length) = u32::try_from(value.len()) else {
        return;
    };
    out.push(member);
    out.extend(length.to_le_bytes());
    out.extend_from_slice(value);
}

fn members(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&member, rest) = bytes.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        bytes = rest;
        Some((member, value))
    })
}

fn push_label(out: &mut Vec<u8>, member: u8, key: &str, value: &str) {
    push(out, member, &[key.as_bytes(), b"\0", value.as_bytes()].concat());
}

/// Whether it can be written to, then the four texts with a NUL between them: paths have none.
fn mount_bytes(mount: &Mount) -> Vec<u8> {
    let Mount {
        source,
        destination,
        mode,
        writable,
        propagation,
    } = mount;
    let mut out = vec![u8::from(*writable)];
    out.extend_from_slice([&**source, destination, mode, propagation].join("\0").as_bytes());
    out
}

fn read_mount(bytes: &[u8]) -> Option<Mount> {
    let (writable, texts) = bytes.split_first()?;
    let texts = String::from_utf8_lossy(texts);
    let mut texts = texts.split('\0').map(str::to_owned);
    let mut next = || texts.next().unwrap_or_default();
    Some(Mount {
        source: next(),
        destination: next(),
        mode: next(),
        writable: *writable == 1,
        propagation: next(),
    })
}

/// A container's bytes.
pub(crate) fn container_bytes(container: &Container) -> Vec<u8> {
    // Named one by one, so that a new member is not forgotten here.
    let Container {
        full_id,
        runtime_namespace,
        name,
        image,
        digest,
        image_id,
        runtime,
        privileged,
        start_ts,
        labels,
        mounts,
        host,
        ip,
        cni_json,
        pod,
        cgroup,
        cgroup_path,
        pid,
        learnt,
        gone,
    } = container;
    let mut out = Vec::new();
    push(&mut out, FULL_ID, full_id.as_bytes());
    if !runtime_namespace.is_empty() {
        push(&mut out, RUNTIME_NAMESPACE, runtime_namespace.as_bytes());
    }
    for (member, text) in [
        (NAME, name),
        (IMAGE, image),
        (DIGEST, digest),
        (IMAGE_ID, image_id),
        (IP, ip),
        (CNI_JSON, cni_json),
    ] {
        if let Some(text) = text {
            push(&mut out, member, text.as_bytes());
        }
    }
    push(&mut out, RUNTIME, runtime.as_bytes());
    let HostNamespaces {
        pid: host_pid,
        network,
        ipc,
    } = host;
    for (member, truth) in [
        (PRIVILEGED, privileged),
        (HOST_PID, host_pid),
        (HOST_NETWORK, network),
        (HOST_IPC, ipc),
    ] {
        if let Some(truth) = truth {
            push(&mut out, member, &[u8::from(*truth)]);
        }
    }
    if let Some(mounts) = mounts {
        push(&mut out, MOUNTS, &[]);
        for mount in mounts {
            push(&mut out, MOUNT, &mount_bytes(mount));
        }
    }
    if let Some(start) = start_ts {
        push(&mut out, START_TS, &start.to_le_bytes());
    }
    for (key, value) in labels {
        push_label(&mut out, LABEL, key, value);
    }
    push(&mut out, CGROUP, &cgroup.to_le_bytes());
    push(&mut out, CGROUP_PATH, cgroup_path.as_bytes());
    push(&mut out, PID, &pid.to_le_bytes());
    push(&mut out, LEARNT, learnt.word().as_bytes());
    if *gone {
        push(&mut out, GONE, &[1]);
    }
    if let Some(pod) = pod {
        let Pod {
            name,
            namespace,
            uid,
            sandbox_id,
            labels,
        } = pod;
        push(&mut out, POD_NAME, name.as_bytes());
        push(&mut out, POD_NAMESPACE, namespace.as_bytes());
        push(&mut out, POD_UID, uid.as_bytes());
        push(&mut out, POD_SANDBOX, sandbox_id.as_bytes());
        for (key, value) in labels {
            push_label(&mut out, POD_LABEL, key, value);
        }
    }
    out
}

/// A container from its bytes; `None` when it has no id. Members that are not known are passed over.
pub(crate) fn read_container(bytes: &[u8]) -> Option<Container> {
    let mut container = Container::new(String::new(), "unknown", Learnt::Cgroup);
    for (member, value) in members(bytes) {
        let text = || String::from_utf8_lossy(value).into_owned();
        let number = || value.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        let label = || {
            let text = text();
            text.split_once('\0')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        match member {
            FULL_ID => container.full_id = text(),
            RUNTIME_NAMESPACE => container.runtime_namespace = text(),
            NAME => container.name = Some(text()),
            IMAGE => container.image = Some(text()),
            DIGEST => container.digest = Some(text()),
            RUNTIME => {
                let known = RUNTIMES.iter().find(|known| known.as_bytes() == value);
                container.runtime = known.copied().unwrap_or("unknown");
            }
            IMAGE_ID => container.image_id = Some(text()),
            IP => container.ip = Some(text()),
            CNI_JSON => container.cni_json = Some(text()),
            PRIVILEGED => container.privileged = Some(value == [1]),
            HOST_PID => container.host.pid = Some(value == [1]),
            HOST_NETWORK => container.host.network = Some(value == [1]),
            HOST_IPC => container.host.ipc = Some(value == [1]),
            MOUNTS => {
                container.mounts.get_or_insert_default();
            }
            MOUNT => container.mounts.get_or_insert_default().extend(read_mount(value)),
            START_TS => container.start_ts = Some(number()),
            LABEL => container.labels.extend(label()),
            CGROUP => container.cgroup = number(),
            CGROUP_PATH => container.cgroup_path = text(),
            PID => container.pid = value.first_chunk().map_or(0, |b| u32::from_le_bytes(*b)),
            LEARNT => {
                let known = Learnt::ALL
                    .into_iter()
                    .find(|learnt| learnt.word().as_bytes() == value);
                container.learnt = known.unwrap_or(Learnt::Cgroup);
            }
            GONE => container.gone = value == [1],
            POD_NAME => container.pod.get_or_insert_default().name = text(),
            POD_NAMESPACE => container.pod.get_or_insert_default().namespace = text(),
            POD_UID => container.pod.get_or_insert_default().uid = text(),
            POD_SANDBOX => container.pod.get_or_insert_default().sandbox_id = text(),
            POD_LABEL => container.pod.get_or_insert_default().labels.extend(label()),
            _ => {}
        }
    }
    (!container.full_id.is_empty()).then_some(container)
}

/// Per name: a byte 4 or 6, the address, the name's length in two bytes, the name.
pub(crate) fn address_names_bytes(names: &AddressNames) -> Vec<u8> {
    let mut out = Vec::new();
    for (address, name) in names.iter() {
        match address {
            IpAddr::V4(address) => {
                out.push(4);
                out.extend(address.octets());
            }
            IpAddr::V6(address) => {
                out.push(6);
                out.extend(address.octets());
            }
        }
        let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
        out.extend(u16::try_from(name.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(name);
    }
    out
}

/// The names of addresses from their bytes, up to the first that makes no sense.
pub(crate) fn read_address_names(mut bytes: &[u8]) -> AddressNames {
    let mut names = AddressNames::default();
    let mut next = || -> Option<(IpAddr, &str)> {
        let (&version, rest) = bytes.split_first()?;
        let (address, rest) = match version {
            4 => {
                let (octets, rest) = rest.split_first_chunk::<4>()?;
                (IpAddr::from(*octets), rest)
            }
            6 => {
                let (octets, rest) = rest.split_first_chunk::<16>()?;
                (IpAddr::from(*octets), rest)
            }
            _ => return None,
        };
        let (length, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        bytes = rest;
        Some((address, std::str::from_utf8(name).ok()?))
    };
    while let Some((address, name)) = next() {
        names.insert(address, name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_what_it_was() {
        let labels = |text: &str| [(text.to_owned(), "value".to_owned())].into();
        let container = Container {
            full_id: "0123456789abcdef".into(),
            runtime_namespace: "team-a".into(),
            name: Some("web".into()),
            image: Some("reg/a:1".into()),
            digest: Some("sha256:1".into()),
            image_id: Some("2".into()),
            runtime: "cri-o",
            privileged: Some(true),
            start_ts: Some(77),
            labels: labels("own"),
            mounts: Some(vec![
                Mount::default(),
                Mount {
                    source: "/srv/a:b".into(),
                    destination: "/data".into(),
                    mode: "z".into(),
                    writable: true,
                    propagation: "rslave".into(),
                },
            ]),
            host: HostNamespaces {
                pid: Some(true),
                network: Some(false),
                ipc: None,
            },
            ip: Some("10.1.2.3".into()),
            cni_json: Some(r#"{"eth0":{}}"#.into()),
            pod: Some(Pod {
                name: "front".into(),
                namespace: "shop".into(),
                uid: "u".into(),
                sandbox_id: "s".into(),
                labels: labels("app"),
            }),
            cgroup: 1 << 40,
            cgroup_path: "/kubepods/x".into(),
            pid: 12,
            learnt: Learnt::Start,
            gone: true,
        };
        let bytes = container_bytes(&container);
        assert_eq!(read_container(&bytes), Some(container.clone()));
        let bare = Container {
            mounts: Some(Vec::new()),
            cgroup: container.cgroup,
            cgroup_path: container.cgroup_path,
            pid: container.pid,
            ..Container::new(container.full_id, container.runtime, Learnt::Cgroup)
        };
        let mut bytes = container_bytes(&bare);
        bytes.extend([200, 1, 0, 0, 0, 9]);
        assert_eq!(
            read_container(&bytes),
            Some(bare),
            "an unknown member is passed over"
        );
        assert_eq!(read_container(&[1, 0, 0, 0, 0]), None);
        assert_eq!(read_container(&[1, 255, 255, 255, 255]), None);
    }

    /// A recording of a Lanner that knew less of containers.
    #[test]
    fn what_an_older_recording_does_not_say_is_not_known() {
        let mut bytes = Vec::new();
        push(&mut bytes, FULL_ID, b"x");
        push(&mut bytes, CGROUP, &7u64.to_le_bytes());
        push(&mut bytes, LEARNT, b"start");
        let container = read_container(&bytes).unwrap();
        let expected = Container {
            cgroup: 7,
            ..Container::new("x", "unknown", Learnt::Start)
        };
        assert_eq!(container, expected);
        assert!(container.mounts.is_none() && container.host == HostNamespaces::default() && !container.gone);
    }

    #[test]
    fn every_runtime_that_is_named_is_known() {
        for runtime in RUNTIMES {
            let mut bytes = Vec::new();
            push(&mut bytes, FULL_ID, b"x");
            push(&mut bytes, RUNTIME, runtime.as_bytes());
            assert_eq!(read_container(&bytes).unwrap().runtime, runtime);
        }
    }

    #[test]
    fn addresses_keep_their_names() {
        let mut names = AddressNames::default();
        names.insert("10.0.0.1".parse().unwrap(), "a");
        names.insert("10.0.0.1".parse().unwrap(), "b");
        names.insert("2001:db8::1".parse().unwrap(), "c");
        let bytes = address_names_bytes(&names);
        assert_eq!(read_address_names(&bytes), names);
        assert!(read_address_names(&bytes[..3]).is_empty());
    }
}
