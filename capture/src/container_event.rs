//! `container` and `container_removed`: what changed between two looks at the table of containers, as events.
//!
//! No message is sent for them: the event thread takes over a new table whenever there is one, and compares it with the one
//! before. So none is lost, a container's own event is before every event of its processes, and a replay, which is given the
//! tables at the same places, makes the same events.

use std::sync::Arc;

use lanner_schema::container::{Container, Containers, Mount};
use lanner_schema::event::Event;
use lanner_schema::record::WireBuilder;
use serde_json::{Map, Value, json};

/// A container that has come or gone.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) event: Event,
    pub(crate) container: Arc<Container>,
}

impl News {
    /// The event's parameters.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let data = json!({ "container": describe(&self.container) }).to_string();
        let wire = WireBuilder::new()
            .missing()
            .text(self.event.name())
            .bytes(data.as_bytes());
        // What is longer than a record can hold is cut, and says so.
        let wire = match data.len() > WireBuilder::MAX {
            true => wire.cut(),
            false => wire,
        };
        wire.build()
    }
}

/// What has come and gone between two looks, in the order of the starts.
pub(crate) fn between(before: &Containers, now: &Containers) -> Vec<News> {
    let ran = |container: &Container| {
        let known = before.by_key(&container.key());
        known.filter(|known| known.cgroup != 0)
    };
    let mut news = Vec::new();
    for container in now.running() {
        let known = ran(container);
        if known.is_none() {
            news.push((Event::Container, container));
        }
        if container.gone && known.is_none_or(|known| !known.gone) {
            news.push((Event::ContainerRemoved, container));
        }
    }
    for container in before.running().filter(|container| !container.gone) {
        if now.by_key(&container.key()).is_none() {
            news.push((Event::ContainerRemoved, container));
        }
    }
    // The table has no order, and a replay needs the same.
    news.sort_by(|(one, a), (other, b)| {
        let key = |event: &Event, container: &Arc<Container>| (*event as u16, container.start_ts);
        key(one, a)
            .cmp(&key(other, b))
            .then_with(|| a.key().cmp(&b.key()))
    });
    news.into_iter()
        .map(|(event, container)| News {
            event,
            container: Arc::clone(container),
        })
        .collect()
}

/// Falco's numbers of the kinds of containers.
fn kind(runtime: &str) -> u32 {
    match runtime {
        "docker" => 0,
        "lxc" => 1,
        "libvirt-lxc" => 2,
        "cri" => 6,
        "containerd" => 7,
        "cri-o" => 8,
        "bpm" => 9,
        "podman" => 11,
        _ => 0xffff,
    }
}

fn mount(mount: &Mount) -> Value {
    json!({
        "Source": mount.source,
        "Destination": mount.destination,
        "Mode": mount.mode,
        "RW": mount.writable,
        "Propagation": mount.propagation,
    })
}

/// A container in the words of Falco's container plugin. What Lanner does not ask for (limits, ports, sizes, and the
/// environment, which may hold secrets) has the value of a container that has none.
fn describe(container: &Container) -> Value {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let labels = |labels: &std::collections::BTreeMap<String, String>| {
        let labels = labels
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())));
        Value::Object(labels.collect::<Map<_, _>>())
    };
    let pod = container.pod.as_ref();
    json!({
        "type": kind(container.runtime),
        "id": container.id(),
        "name": text(&container.name),
        "image": text(&container.image),
        "imagedigest": text(&container.digest),
        "imageid": text(&container.image_id),
        "imagerepo": container.repository().unwrap_or_default(),
        "imagetag": container.tag().unwrap_or_default(),
        "User": "",
        "cni_json": text(&container.cni_json),
        "cpu_period": 100_000,
        "cpu_quota": 0,
        "cpu_shares": 1024,
        "cpuset_cpu_count": 0,
        "created_time": container.start_ts.unwrap_or(0) / 1_000_000_000,
        "env": [],
        "full_id": container.full_id,
        "host_ipc": container.host.ipc.unwrap_or(false),
        "host_network": container.host.network.unwrap_or(false),
        "host_pid": container.host.pid.unwrap_or(false),
        "ip": text(&container.ip),
        "size": -1,
        "is_pod_sandbox": container.is_sandbox(),
        "labels": labels(&container.labels),
        "memory_limit": 0,
        "swap_limit": 0,
        "pod_sandbox_id": pod.map_or("", |pod| &pod.sandbox_id),
        "privileged": container.privileged.unwrap_or(false),
        "pod_sandbox_labels": pod.map_or(Value::Null, |pod| labels(&pod.labels)),
        "port_mappings": [],
        "Mounts": container.mounts.iter().flatten().map(mount).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::container::{Learnt, Pod};
    use lanner_schema::record::Wire;

    fn container(id: &str, cgroup: u64) -> Container {
        Container {
            cgroup,
            ..Container::new(id, "containerd", Learnt::Start)
        }
    }

    fn table(of: impl IntoIterator<Item = Container>) -> Containers {
        let mut table = Containers::default();
        of.into_iter()
            .for_each(|container| table.insert(Arc::new(container)));
        table
    }

    fn told(before: &Containers, now: &Containers) -> Vec<(&'static str, String)> {
        let news = between(before, now);
        news.iter()
            .map(|news| (news.event.name(), news.container.full_id.clone()))
            .collect()
    }

    #[test]
    fn who_comes_and_who_goes_is_told_once() {
        let none = Containers::default();
        let created = table([container("a", 0)]);
        assert_eq!(told(&none, &created), [], "it does not run yet");
        let late = Container {
            start_ts: Some(7),
            ..container("a", 3)
        };
        let two = table([late.clone(), container("b", 4)]);
        let came = |id: &str| ("container", id.to_owned());
        let went = |id: &str| ("container_removed", id.to_owned());
        assert_eq!(
            told(&created, &two),
            [came("b"), came("a")],
            "in the order of their starts"
        );
        let named = table([
            Container {
                digest: Some("sha256:1".into()),
                ..late.clone()
            },
            container("b", 4),
        ]);
        assert_eq!(told(&two, &named), [], "a digest that arrives is no news");
        let gone = |of: Container| Container { gone: true, ..of };
        let leaving = table([gone(late.clone()), container("b", 4)]);
        assert_eq!(told(&named, &leaving), [went("a")]);
        let left = table([container("b", 4)]);
        assert_eq!(told(&leaving, &left), [], "that was said");
        assert_eq!(told(&left, &none), [went("b")], "forgotten without a word");
        assert_eq!(told(&none, &table([gone(late)])), [came("a"), went("a")]);
        assert_eq!(told(&two, &two), []);
    }

    #[test]
    fn the_data_are_falcos_json() {
        let described = Container {
            name: Some("web".into()),
            image: Some("reg:5000/a/web:1.2".into()),
            image_id: Some("0ca0fed353fb".into()),
            start_ts: Some(1_730_971_086_000_000_001),
            privileged: Some(true),
            mounts: Some(vec![Mount {
                source: "/srv".into(),
                destination: "/data".into(),
                writable: true,
                propagation: "private".into(),
                ..Mount::default()
            }]),
            pod: Some(Pod {
                sandbox_id: "ffff".into(),
                ..Pod::default()
            }),
            ..container(
                "2400edb296c5d631fef083a30c680f71801b0409a9676ee546c084d0087d7c7d",
                1,
            )
        };
        let news = News {
            event: Event::Container,
            container: Arc::new(described),
        };
        let bytes = news.wire();
        let row = Event::Container.row();
        let wire = Wire::read(&bytes, row.params.len()).unwrap();
        assert_eq!(wire.param(1).unwrap().bytes, b"container\0");
        let data = wire.param(row.param("data").unwrap()).unwrap();
        assert!(!data.truncated);
        let json: Value = serde_json::from_slice(data.bytes).unwrap();
        let of = |key: &str| &json["container"][key];
        assert_eq!(of("id"), "2400edb296c5");
        assert_eq!(
            (of("type"), of("created_time")),
            (&json!(7), &json!(1_730_971_086))
        );
        assert_eq!(
            (of("imagerepo"), of("imagetag")),
            (&json!("reg:5000/a/web"), &json!("1.2"))
        );
        assert_eq!(of("Mounts")[0]["RW"], true);
        assert_eq!(
            (of("privileged"), of("is_pod_sandbox")),
            (&json!(true), &json!(false))
        );
        assert_eq!(of("pod_sandbox_id"), "ffff");
        assert_eq!(json["container"].as_object().unwrap().len(), 31);
    }

    #[test]
    fn labels_longer_than_a_record_are_cut_and_say_so() {
        let large = Container {
            labels: [("a".to_owned(), "x".repeat(40_000))].into(),
            ..container("a", 1)
        };
        let news = News {
            event: Event::ContainerRemoved,
            container: Arc::new(large),
        };
        let bytes = news.wire();
        let wire = Wire::read(&bytes, 3).unwrap();
        assert!(wire.param(2).unwrap().truncated);
    }
}
