//! A real containerd with runc, apart from anything else on the machine: a mount namespace, folders, sockets and
//! cgroups of its own. Dropping it removes its pods, stops it, and leaves nothing behind.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Pid;

use super::containerd_process::{BASE, Namespaces, clear, configuration, end, spawn, sweep, version};
use super::cri::{self, ContainerConfig, ContainerStatus, Cri, CriError, PodSandboxConfig};
use super::image::{self, Built, Image};
use super::{is_root, machine, machine_dir, wait_for};

/// The image with a shell and the usual small commands; without a command of its own it sleeps.
pub(crate) const BUSYBOX: &str = "lanner.test/tools/busybox:1.0";
/// The image whose only process is `cat /etc/shadow`.
pub(crate) const SHADOW: &str = "lanner.test/shadow-reader:2.1";
/// The image of the process that holds a pod together.
pub(crate) const PAUSE: &str = "lanner.test/pause:1.0";
/// Far longer than any test.
const FOREVER: &[&str] = &["sleep", "1000000"];

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running containerd.
#[derive(Debug)]
pub(crate) struct Containerd {
    process: Child,
    /// Containerd can be started in them again.
    namespaces: Namespaces,
    cri: Cri,
    /// Everything it writes; removed with it.
    base: PathBuf,
    programs: PathBuf,
    version: String,
    /// The images, by name.
    images: HashMap<&'static str, Built>,
    cgroup_parent: String,
    pods: AtomicU32,
}

/// A running pod.
#[derive(Debug)]
pub(crate) struct Pod {
    /// The sandbox's id.
    pub(crate) id: String,
    /// Its name, namespace, uid and labels as given to the runtime.
    pub(crate) config: PodSandboxConfig,
}

impl Pod {
    /// `k8s.pod.name`.
    pub(crate) fn name(&self) -> &str {
        self.config
            .metadata
            .as_ref()
            .map_or("", |metadata| &metadata.name)
    }

    /// `k8s.ns.name`.
    pub(crate) fn namespace(&self) -> &str {
        self.config
            .metadata
            .as_ref()
            .map_or("", |metadata| &metadata.namespace)
    }

    /// `k8s.pod.uid`.
    pub(crate) fn uid(&self) -> &str {
        self.config.metadata.as_ref().map_or("", |metadata| &metadata.uid)
    }
}

/// A container to start in a pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    /// Its name in the pod.
    pub(crate) name: &'a str,
    /// Its image.
    pub(crate) image: &'a str,
    /// What it runs; empty for what the image runs.
    pub(crate) command: &'a [&'a str],
    /// Whether it has a terminal.
    pub(crate) tty: bool,
    /// Whether it is privileged, which its pod must be too.
    pub(crate) privileged: bool,
}

impl<'a> Run<'a> {
    /// A container named `name` of `image`, with the image's command and no terminal.
    pub(crate) fn new(name: &'a str, image: &'a str) -> Self {
        Self {
            name,
            image,
            command: &[],
            tty: false,
            privileged: false,
        }
    }
}

impl Containerd {
    /// Starts containerd with its images imported, or gives the reason why this machine cannot.
    pub(crate) fn start() -> Result<Self, String> {
        // `make soak` asks for another version than the newest.
        Self::start_suite(std::env::var("LANNER_CONTAINERD_SUITE").ok().as_deref())
    }

    /// Starts the containerd of this suite of Debian: of trixie it is 1.7. Without one it is the newest to be had.
    pub(crate) fn start_suite(suite: Option<&str>) -> Result<Self, String> {
        Self::start_prepared(suite, |_| ())
    }

    /// Starts it with a network for pods that want one of their own: the folder of CNI plugins, and a list of them.
    pub(crate) fn start_with_network(plugins: &Path, network: &str) -> Result<Self, String> {
        let suite = std::env::var("LANNER_CONTAINERD_SUITE").ok();
        Self::start_prepared(suite.as_deref(), |base| {
            for plugin in ["bridge", "host-local", "loopback"] {
                fs::copy(plugins.join(plugin), base.join("cni/bin").join(plugin)).unwrap();
            }
            fs::write(base.join("cni/net.d/10-test.conflist"), network).unwrap();
        })
    }

    /// Starts it in a folder that was prepared: what is in nri/plugins and nri/conf.d when it starts is its to start.
    pub(crate) fn start_prepared(suite: Option<&str>, prepare: impl FnOnce(&Path)) -> Result<Self, String> {
        Self::start_in(suite, false, prepare)
    }

    /// Starts it as in a node of kind: in namespaces of its own for processes and cgroups too.
    pub(crate) fn start_as_node() -> Result<Self, String> {
        Self::start_in(None, true, |_| ())
    }

    fn start_in(suite: Option<&str>, as_node: bool, prepare: impl FnOnce(&Path)) -> Result<Self, String> {
        if !is_root() {
            return Err("containerd needs root".to_owned());
        }
        machine("containerd.sh", suite.as_slice())?;
        sweep();
        let programs =
            machine_dir().join(suite.map_or("containerd".to_owned(), |suite| format!("containerd-{suite}")));
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{}-{number}", std::process::id());
        // Socket paths may not be longer than 108 bytes, so this is short.
        let base = PathBuf::from(format!("{BASE}{tag}"));
        for folder in [
            "nri/plugins",
            "nri/conf.d",
            "cni/bin",
            "cni/net.d",
            "logs",
            "images",
        ] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        fs::set_permissions(&base, fs::Permissions::from_mode(0o700)).unwrap();

        let version = version(&programs);
        fs::write(
            base.join("config.toml"),
            configuration(&version, &base, &programs),
        )
        .unwrap();
        prepare(&base);
        let namespaces = match as_node {
            true => Namespaces::node(&format!("lanner-test-{tag}/node"), &base.join("machine")),
            false => Namespaces::mount(),
        };
        let mut containerd = Self {
            process: spawn(&namespaces, &base, &programs),
            namespaces,
            cri: Cri::new(&base.join("containerd.sock")),
            base,
            programs,
            version,
            images: HashMap::new(),
            cgroup_parent: format!("/lanner-test-{tag}"),
            pods: AtomicU32::new(0),
        };
        containerd.wait_until_up();
        containerd.import(PAUSE, FOREVER);
        containerd.import(BUSYBOX, FOREVER);
        containerd.import(SHADOW, &["cat", "/etc/shadow"]);
        Ok(containerd)
    }

    /// The socket of its API.
    pub(crate) fn socket(&self) -> PathBuf {
        self.base.join("containerd.sock")
    }

    /// The socket its NRI plugins connect to.
    pub(crate) fn nri_socket(&self) -> PathBuf {
        self.base.join("nri/nri.sock")
    }

    /// Its version: `2.1.9`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Its CRI service.
    pub(crate) fn cri(&self) -> &Cri {
        &self.cri
    }

    /// The digest of one of the images.
    pub(crate) fn digest(&self, image: &str) -> &str {
        &self.images[image].digest
    }

    /// The id of one of the images, as it is shown.
    pub(crate) fn image_id(&self, image: &str) -> &str {
        &self.images[image].id[..12]
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.base.join("containerd.log")).unwrap_or_default()
    }

    /// A command that runs what its arguments say beside it, in its namespaces.
    pub(crate) fn beside(&self) -> Command {
        self.namespaces.command()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }

    /// The cgroup its pods are below, as a path from each hierarchy's root.
    pub(crate) fn cgroup_parent(&self) -> &str {
        &self.cgroup_parent
    }

    /// Stops containerd and starts it again; the containers go on meanwhile.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Stops containerd; the containers go on.
    pub(crate) fn stop(&mut self) {
        end(&mut self.process);
    }

    /// Ends containerd as nothing but the kernel can.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for the end of a containerd that is being killed.
    pub(crate) fn wait_killed(&mut self) {
        self.process.wait().unwrap();
    }

    /// Starts containerd after it has ended.
    pub(crate) fn start_again(&mut self) {
        self.process = spawn(&self.namespaces, &self.base, &self.programs);
        self.cri = Cri::new(&self.socket());
        self.wait_until_up();
    }

    /// Builds an image of busybox with the command `command`, and imports it.
    pub(crate) fn import(&mut self, name: &'static str, command: &[&str]) {
        self.import_to("k8s.io", name, command);
    }

    /// The same, into one of containerd's namespaces.
    pub(crate) fn import_to(&mut self, namespace: &str, name: &'static str, command: &[&str]) {
        let archive = self.base.join("images/image.tar");
        let built = image::build(
            Image { name, command },
            &self.programs.join("usr/bin/busybox"),
            &archive,
        )
        .unwrap();
        self.import_archive_to(namespace, &archive);
        fs::remove_file(archive).unwrap();
        self.images.insert(name, built);
    }

    /// Imports the images of an archive.
    pub(crate) fn import_archive(&self, archive: &Path) {
        self.import_archive_to("k8s.io", archive);
    }

    fn import_archive_to(&self, namespace: &str, archive: &Path) {
        let output = self.ctr_in(namespace, &["images", "import", archive.to_str().unwrap()]);
        assert!(
            output.status.success(),
            "ctr images import {}: {}\n{}",
            archive.display(),
            String::from_utf8_lossy(&output.stderr),
            self.log_tail()
        );
    }

    /// The folder of all it writes, its sockets among it.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Runs containerd's `ctr` in its namespace for Kubernetes.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> std::process::Output {
        self.ctr_in("k8s.io", arguments)
    }

    /// Runs containerd's `ctr` in one of its namespaces.
    pub(crate) fn ctr_in(&self, namespace: &str, arguments: &[&str]) -> std::process::Output {
        self.namespaces
            .command()
            .arg(self.programs.join("usr/bin/ctr"))
            .arg("--address")
            .arg(self.socket())
            .args(["--namespace", namespace])
            .args(arguments)
            .output()
            .expect("nsenter runs")
    }

    /// `ctr run` with these arguments, in a cgroup of this instance; it has to succeed.
    pub(crate) fn ctr_run(&self, namespace: &str, arguments: &[&str]) {
        let cgroup = format!(
            "{}/{namespace}/{}",
            self.cgroup_parent,
            self.pods.fetch_add(1, Ordering::Relaxed)
        );
        let output = self.ctr_in(namespace, &[&["run", "--cgroup", &cgroup], arguments].concat());
        assert!(
            output.status.success(),
            "ctr run {arguments:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.log_tail()
        );
    }

    /// Starts a pod named `name` in the namespace `namespace`. It uses the machine's network.
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Pod {
        self.pod_that_may(namespace, name, false)
    }

    /// The same, whose containers may be privileged.
    pub(crate) fn privileged_pod(&self, namespace: &str, name: &str) -> Pod {
        self.pod_that_may(namespace, name, true)
    }

    fn pod_that_may(&self, namespace: &str, name: &str, privileged: bool) -> Pod {
        self.pod_with(namespace, name, |security| security.privileged = privileged)
    }

    /// Starts a pod as [`Containerd::pod`] does, with other security settings.
    pub(crate) fn pod_with(
        &self,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut cri::LinuxSandboxSecurityContext),
    ) -> Pod {
        self.or_log(self.try_pod(namespace, name, change))
    }

    /// Starts a pod as [`Containerd::pod`] does, which has none of the labels that the kubelet gives.
    pub(crate) fn pod_without_labels(&self, namespace: &str, name: &str) -> Pod {
        let mut config = self.pod_config(namespace, name, |_| {});
        config.labels = HashMap::new();
        let id = self.or_log(self.cri.run_pod_sandbox(config.clone()));
        Pod { id, config }
    }

    /// The same as [`Containerd::pod_with`], which may fail.
    pub(crate) fn try_pod(
        &self,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut cri::LinuxSandboxSecurityContext),
    ) -> Result<Pod, CriError> {
        let config = self.pod_config(namespace, name, change);
        let id = self.cri.run_pod_sandbox(config.clone())?;
        Ok(Pod { id, config })
    }

    fn pod_config(
        &self,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut cri::LinuxSandboxSecurityContext),
    ) -> PodSandboxConfig {
        let mut security = cri::LinuxSandboxSecurityContext {
            namespace_options: Some(cri::NamespaceOption {
                network: cri::NAMESPACE_NODE,
                pid: cri::NAMESPACE_CONTAINER,
                ipc: cri::NAMESPACE_POD,
            }),
            privileged: false,
        };
        change(&mut security);
        let number = self.pods.fetch_add(1, Ordering::Relaxed);
        let uid = format!("00000000-0000-4000-8000-{:08x}{number:04x}", std::process::id());
        let log_directory = self.base.join("logs").join(format!("{namespace}_{name}_{uid}"));
        fs::create_dir_all(&log_directory).unwrap();
        PodSandboxConfig {
            metadata: Some(cri::PodSandboxMetadata {
                name: name.to_owned(),
                uid: uid.clone(),
                namespace: namespace.to_owned(),
                attempt: 0,
            }),
            hostname: String::new(),
            log_directory: log_directory.to_str().unwrap().to_owned(),
            labels: HashMap::from([
                ("app".to_owned(), name.to_owned()),
                ("io.kubernetes.pod.name".to_owned(), name.to_owned()),
                ("io.kubernetes.pod.namespace".to_owned(), namespace.to_owned()),
                ("io.kubernetes.pod.uid".to_owned(), uid.clone()),
            ]),
            annotations: HashMap::new(),
            linux: Some(cri::LinuxPodSandboxConfig {
                cgroup_parent: format!("{}/besteffort/pod{uid}", self.cgroup_parent),
                security_context: Some(security),
            }),
        }
    }

    /// Creates and starts a container in `pod`, and gives its id.
    pub(crate) fn run(&self, pod: &Pod, run: Run<'_>) -> String {
        self.or_log(self.try_run(pod, run))
    }

    /// The same, which may fail.
    pub(crate) fn try_run(&self, pod: &Pod, run: Run<'_>) -> Result<String, CriError> {
        self.try_run_config(pod, Self::config(pod, run))
    }

    /// Creates and starts a container in `pod` that is configured like this, and gives its id.
    pub(crate) fn run_config(&self, pod: &Pod, config: ContainerConfig) -> String {
        self.or_log(self.try_run_config(pod, config))
    }

    fn try_run_config(&self, pod: &Pod, config: ContainerConfig) -> Result<String, CriError> {
        let id = self.cri.create_container((&pod.id, &pod.config), config)?;
        self.cri.start_container(&id)?;
        Ok(id)
    }

    /// How `run` is configured in `pod`.
    pub(crate) fn config(pod: &Pod, run: Run<'_>) -> ContainerConfig {
        ContainerConfig {
            metadata: Some(cri::ContainerMetadata {
                name: run.name.to_owned(),
                attempt: 0,
            }),
            image: Some(cri::ImageSpec {
                image: run.image.to_owned(),
                user_specified_image: run.image.to_owned(),
            }),
            command: run.command.iter().map(|word| (*word).to_owned()).collect(),
            labels: HashMap::from([
                ("io.kubernetes.container.name".to_owned(), run.name.to_owned()),
                ("io.kubernetes.pod.name".to_owned(), pod.name().to_owned()),
                (
                    "io.kubernetes.pod.namespace".to_owned(),
                    pod.namespace().to_owned(),
                ),
                ("io.kubernetes.pod.uid".to_owned(), pod.uid().to_owned()),
            ]),
            log_path: format!("{}.log", run.name),
            // A terminal that nobody can type into makes a shell end at once.
            stdin: run.tty,
            tty: run.tty,
            linux: Some(cri::LinuxContainerConfig {
                security_context: Some(cri::LinuxContainerSecurityContext {
                    privileged: run.privileged,
                    namespace_options: pod
                        .config
                        .linux
                        .as_ref()
                        .and_then(|linux| linux.security_context.as_ref()?.namespace_options),
                    ..cri::LinuxContainerSecurityContext::default()
                }),
            }),
            ..ContainerConfig::default()
        }
    }

    /// Runs a command in a running container.
    pub(crate) fn exec(&self, container: &str, command: &[&str]) -> cri::Executed {
        self.or_log(self.cri.exec_sync(container, command))
    }

    /// Waits until a container has ended.
    pub(crate) fn wait_for_exit(&self, container: &str) -> ContainerStatus {
        wait_for("the container to end", Duration::from_secs(60), || {
            let status = self.or_log(self.cri.container_status(container));
            (status.state == cri::CONTAINER_EXITED).then_some(status)
        })
    }

    /// What a container wrote, as the CRI keeps it: each line after its time, stream and tag.
    pub(crate) fn log_of(&self, container: &str) -> String {
        let status = self.or_log(self.cri.container_status(container));
        fs::read_to_string(&status.log_path).unwrap_or_else(|error| panic!("{}: {error}", status.log_path))
    }

    /// Stops and removes a pod with its containers.
    pub(crate) fn remove(&self, pod: &Pod) {
        self.or_log(self.cri.stop_pod_sandbox(&pod.id));
        self.or_log(self.cri.remove_pod_sandbox(&pod.id));
    }

    fn or_log<T>(&self, result: Result<T, CriError>) -> T {
        result.unwrap_or_else(|error| panic!("{error}\n{}", self.log_tail()))
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.base.join("containerd.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(20);
        format!("containerd's log ends with:\n{}", lines[from..].join("\n"))
    }

    fn wait_until_up(&mut self) {
        wait_for("containerd to answer", Duration::from_secs(60), || {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("containerd ended by itself ({status})\n{}", self.log_tail());
            }
            self.cri.version().ok()
        });
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Pods first: nobody else would end their processes.
        for pod in self.cri.list_pod_sandboxes().unwrap_or_default() {
            if let Err(error) = self
                .cri
                .stop_pod_sandbox(&pod)
                .and_then(|()| self.cri.remove_pod_sandbox(&pod))
            {
                eprintln!("{error}");
            }
        }
        end(&mut self.process);
        clear(&self.base);
        self.namespaces.end();
    }
}
