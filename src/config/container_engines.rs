//! Who is asked about containers besides NRI: the engines of Falco's container plugin, by its own configuration or by ours.

use std::path::{Path, PathBuf};

use super::keys::{self, Settings};
use super::message::Messages;
use super::tree::{self, Node, Value, Wrong};

/// One kind of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engine {
    pub(crate) enabled: bool,
    /// Sockets of its API.
    pub(crate) sockets: Vec<PathBuf>,
}

impl Engine {
    fn at(sockets: &[&str]) -> Engine {
        Engine {
            enabled: true,
            sockets: sockets.iter().map(PathBuf::from).collect(),
        }
    }

    /// Its sockets, unless it is switched off.
    fn asked(&self) -> Vec<PathBuf> {
        match self.enabled {
            true => self.sockets.clone(),
            false => Vec::new(),
        }
    }
}

/// `container_engines`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engines {
    pub(crate) docker: Engine,
    pub(crate) podman: Engine,
    pub(crate) containerd: Engine,
    pub(crate) cri: Engine,
    /// `podman.storage`: folders of containers/storage, CRI-O's too.
    pub(crate) storages: Vec<PathBuf>,
    /// `docker.data_root`.
    pub(crate) docker_roots: Vec<PathBuf>,
    /// `label_max_len`: labels with longer values are left out.
    pub(crate) label_max_len: Option<usize>,
}

impl Default for Engines {
    fn default() -> Self {
        Engines {
            docker: Engine::at(&["/var/run/docker.sock"]),
            podman: Engine::at(&["/run/podman/podman.sock"]),
            containerd: Engine::at(&[]),
            cri: Engine::at(&[]),
            storages: vec!["/var/lib/containers/storage".into()],
            docker_roots: vec!["/var/lib/docker".into()],
            label_max_len: None,
        }
    }
}

impl Engines {
    /// What the runtime's side is to ask, besides the containerd at `address`.
    pub(crate) fn tell(&self, address: &Path, config: &mut lanner_nri::Config) {
        config.docker_sockets = self.docker.asked();
        config.docker_roots = match self.docker.enabled {
            true => self.docker_roots.clone(),
            false => Vec::new(),
        };
        config.podman_sockets = self.podman.asked();
        config.storages = match self.podman.enabled || self.cri.enabled {
            true => self.storages.clone(),
            false => Vec::new(),
        };
        // CRI-O has NRI and its files; its socket isn't containerd's.
        let is_other = |socket: &PathBuf| socket != address && !socket.ends_with("crio.sock");
        let more = [self.containerd.asked(), self.cri.asked()].concat();
        config.more_containerds = Vec::new();
        for socket in more.into_iter().filter(is_other) {
            if !config.more_containerds.contains(&socket) {
                config.more_containerds.push(socket);
            }
        }
        config.containerd_enabled &= self.containerd.enabled || self.cri.enabled;
        config.label_max_len = self.label_max_len;
    }
}

/// Reads `init_config` of the plugin named container. What other plugins there are is not looked at.
pub(super) fn plugins(settings: &mut Settings, node: &Node) -> Result<(), Wrong> {
    let Value::List(plugins) = &node.value else {
        return Ok(());
    };
    for (index, plugin) in plugins.iter().enumerate() {
        let is_container = plugin
            .get("name")
            .is_some_and(|name| name.text() == Ok("container"));
        let Some(init) = plugin.get("init_config").filter(|_| is_container) else {
            continue;
        };
        // A text is JSON, which is YAML.
        let parsed;
        let init = match &init.value {
            Value::Scalar(text) if !text.is_empty() => match tree::parse(text, &init.at, false) {
                Ok(node) => {
                    parsed = node;
                    &parsed
                }
                Err(_) => {
                    return Err(Wrong::new(
                        "a list of plugins; the init_config of container is no JSON",
                    ));
                }
            },
            _ => init,
        };
        let Value::Map(entries) = &init.value else {
            continue;
        };
        let (engines, rest): (Vec<_>, Vec<_>) =
            entries.iter().cloned().partition(|entry| entry.name == "engines");
        let rest = Node {
            at: init.at.clone(),
            value: Value::Map(rest),
        };
        let engines = engines.iter().map(|entry| (".engines", &entry.node));
        for (below, node) in engines.chain([("", &rest)]) {
            let mut messages = Messages::default();
            let mut unserved = keys::Unserved::default();
            keys::section("container_engines", node, settings, &mut messages, &mut unserved);
            unserved.report("Falco's container plugin", &init.at, &mut messages);
            // Keys are called as they are in the file.
            let written = format!("plugins[{index}].init_config{below}.");
            for message in &mut messages.0 {
                message.text = message.text.replace("container_engines.", &written);
            }
            settings.messages.0.append(&mut messages.0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn told(text: &str) -> (lanner_nri::Config, Vec<String>) {
        let (config, messages) = config::read(text, Path::new("lanner.yaml"), &[]);
        let mut nri = lanner_nri::Config::default();
        config.engines.tell(&config.containerd.address, &mut nri);
        (nri, messages.0.iter().map(ToString::to_string).collect())
    }

    fn paths(all: &[&str]) -> Vec<PathBuf> {
        all.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn without_keys_the_usual_sockets_are_asked() {
        let (nri, messages) = told("");
        assert_eq!(messages, Vec::<String>::new());
        assert_eq!(nri, lanner_nri::Config::default());
        assert_eq!(nri.docker_sockets, paths(&["/var/run/docker.sock"]));
    }

    #[test]
    fn our_keys_and_falcos_plugin_say_the_same() {
        let ours = "
container_engines:
  docker: {enabled: false, sockets: [/a.sock]}
  podman: {sockets: [/p1.sock, /p2.sock], storage: [/s]}
  cri: {enabled: true, sockets: [/run/containerd/containerd.sock, /run/crio/crio.sock, /run/k3s/containerd/containerd.sock]}
  containerd: {sockets: [/run/host-containerd/containerd.sock]}
  label_max_len: 100
";
        let (nri, messages) = told(ours);
        assert_eq!(messages, Vec::<String>::new());
        assert_eq!(nri.docker_sockets, paths(&[]));
        assert_eq!(nri.podman_sockets, paths(&["/p1.sock", "/p2.sock"]));
        assert_eq!(nri.storages, paths(&["/s"]));
        let more = [
            "/run/host-containerd/containerd.sock",
            "/run/k3s/containerd/containerd.sock",
        ];
        assert_eq!(nri.more_containerds, paths(&more));
        assert_eq!(nri.label_max_len, Some(100));

        let falcos = "
plugins:
  - name: k8saudit
    library_path: libk8saudit.so
    init_config: {engines: 7}
  - name: container
    library_path: libcontainer.so
    init_config:
      label_max_len: 100
      engines:
        docker: {enabled: false, sockets: [/a.sock]}
        podman: {enabled: true, sockets: [/p1.sock, /p2.sock], storage: [/s]}
        cri: {enabled: true, sockets: [/run/containerd/containerd.sock, /run/crio/crio.sock, /run/k3s/containerd/containerd.sock]}
        containerd: {enabled: true, sockets: [/run/host-containerd/containerd.sock]}
        lxc: {enabled: true}
        libvirt_lxc: {enabled: true}
        bpm: {enabled: true}
";
        assert_eq!(told(falcos), (nri, Vec::new()));
    }

    #[test]
    fn the_plugins_configuration_can_be_a_json_text() {
        let text = r#"
plugins:
  - name: container
    library_path: libcontainer.so
    init_config: '{"with_size":true,"engines":{"docker":{"enabled":true,"sockets":["/d.sock"]},"lxc":{"enabled":false}}}'
"#;
        let (nri, messages) = told(text);
        assert_eq!(nri.docker_sockets, paths(&["/d.sock"]));
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages.iter().any(|text| {
            text.contains("plugins[0].init_config.engines.lxc.enabled: containers of this kind")
        }));
        assert!(
            messages
                .iter()
                .any(|text| text.contains("ignored: plugins[0].init_config.with_size"))
        );
    }

    #[test]
    fn what_cant_be_read_is_said_with_its_place() {
        let text = "container_engines:\n  docker: {sockets: {a: b}}\n  dokcer: {enabled: true}\n";
        let (_, messages) = told(text);
        assert!(
            messages
                .iter()
                .any(|text| text.starts_with("lanner.yaml:2:21: container_engines.docker.sockets must be")),
            "{messages:?}"
        );
        assert!(
            messages
                .iter()
                .any(|text| text
                    .contains("unknown key container_engines.dokcer, ignored (did you mean docker?)")),
            "{messages:?}"
        );
        let none = "container_engines: {cri: {enabled: false}, containerd: {enabled: false}}";
        assert!(!told(none).0.containerd_enabled);
    }
}
