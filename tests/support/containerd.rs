//! A real containerd with runc, apart from anything else on the machine: a mount namespace, folders, sockets and
//! cgroups of its own. Dropping it removes its pods, stops it, and leaves nothing behind.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cri::{self, ContainerConfig, ContainerStatus, Cri, CriError, PodSandboxConfig};
use super::image::{self, Image};
use super::{is_root, machine, machine_dir, wait_for};

/// The image with a shell and the usual small commands; without a command of its own it sleeps.
pub(crate) const BUSYBOX: &str = "lanner.test/tools/busybox:1.0";
/// The image whose only process is `cat /etc/shadow`.
pub(crate) const SHADOW: &str = "lanner.test/shadow-reader:2.1";
const PAUSE: &str = "lanner.test/pause:1.0";
/// Far longer than any test.
const FOREVER: &[&str] = &["sleep", "1000000"];

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running containerd.
#[derive(Debug)]
pub(crate) struct Containerd {
    process: Child,
    /// Keeps the mount namespace; containerd can be started in it again.
    namespace: Child,
    cri: Cri,
    /// Everything it writes; removed with it.
    base: PathBuf,
    programs: PathBuf,
    version: String,
    /// The digests of the images, by name.
    digests: HashMap<&'static str, String>,
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
}

impl<'a> Run<'a> {
    /// A container named `name` of `image`, with the image's command and no terminal.
    pub(crate) fn new(name: &'a str, image: &'a str) -> Self {
        Self {
            name,
            image,
            command: &[],
            tty: false,
        }
    }
}

impl Containerd {
    /// Starts containerd with its images imported, or gives the reason why this machine cannot.
    pub(crate) fn start() -> Result<Self, String> {
        if !is_root() {
            return Err("containerd needs root".to_owned());
        }
        machine("containerd.sh", &[])?;
        sweep();
        let programs = machine_dir().join("containerd");
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

        let version = containerd_version(&programs);
        fs::write(
            base.join("config.toml"),
            configuration(&version, &base, &programs),
        )
        .unwrap();
        let namespace = mount_namespace();
        let mut containerd = Self {
            process: spawn(&namespace, &base, &programs),
            namespace,
            cri: Cri::new(&base.join("containerd.sock")),
            base,
            programs,
            version,
            digests: HashMap::new(),
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
        &self.digests[image]
    }

    /// Stops containerd and starts it again; the containers go on meanwhile.
    pub(crate) fn restart(&mut self) {
        end(&mut self.process);
        self.process = spawn(&self.namespace, &self.base, &self.programs);
        self.cri = Cri::new(&self.socket());
        self.wait_until_up();
    }

    /// Builds an image of busybox with the command `command`, and imports it.
    pub(crate) fn import(&mut self, name: &'static str, command: &[&str]) {
        let archive = self.base.join("images/image.tar");
        let built = image::build(
            Image { name, command },
            &self.programs.join("usr/bin/busybox"),
            &archive,
        )
        .unwrap();
        let output = self.ctr(&["images", "import", archive.to_str().unwrap()]);
        assert!(
            output.status.success(),
            "ctr images import {name}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.log_tail()
        );
        fs::remove_file(archive).unwrap();
        self.digests.insert(name, built.digest);
    }

    /// Runs containerd's `ctr` in its namespace for Kubernetes.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> std::process::Output {
        Command::new("nsenter")
            .args(["--mount", "--target", &self.namespace.id().to_string(), "--"])
            .arg(self.programs.join("usr/bin/ctr"))
            .arg("--address")
            .arg(self.socket())
            .args(["--namespace", "k8s.io"])
            .args(arguments)
            .output()
            .expect("nsenter runs")
    }

    /// Starts a pod named `name` in the namespace `namespace`. It uses the machine's network.
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Pod {
        let number = self.pods.fetch_add(1, Ordering::Relaxed);
        let uid = format!("00000000-0000-4000-8000-{:08x}{number:04x}", std::process::id());
        let log_directory = self.base.join("logs").join(format!("{namespace}_{name}_{uid}"));
        fs::create_dir_all(&log_directory).unwrap();
        let config = PodSandboxConfig {
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
                security_context: Some(cri::LinuxSandboxSecurityContext {
                    namespace_options: Some(cri::NamespaceOption {
                        network: cri::NAMESPACE_NODE,
                        pid: cri::NAMESPACE_CONTAINER,
                        ipc: cri::NAMESPACE_POD,
                    }),
                    privileged: false,
                }),
            }),
        };
        let id = self.or_log(self.cri.run_pod_sandbox(config.clone()));
        Pod { id, config }
    }

    /// Creates and starts a container in `pod`, and gives its id.
    pub(crate) fn run(&self, pod: &Pod, run: Run<'_>) -> String {
        let config = ContainerConfig {
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
                    privileged: false,
                    namespace_options: pod
                        .config
                        .linux
                        .as_ref()
                        .and_then(|linux| linux.security_context.as_ref()?.namespace_options),
                }),
            }),
            ..ContainerConfig::default()
        };
        let id = self.or_log(self.cri.create_container((&pod.id, &pod.config), config));
        self.or_log(self.cri.start_container(&id));
        id
    }

    /// Runs a command in a running container.
    pub(crate) fn exec(&self, container: &str, command: &[&str]) -> cri::Executed {
        self.or_log(self.cri.exec_sync(container, command))
    }

    /// Waits until a container has ended.
    pub(crate) fn wait_for_exit(&self, container: &str) -> ContainerStatus {
        wait_for("the container to end", Duration::from_secs(30), || {
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
        wait_for("containerd to answer", Duration::from_secs(30), || {
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
        drop(self.namespace.stdin.take());
        let _ = self.namespace.wait();
    }
}

/// Where the folders of all instances begin; the process id of the test program and a number follow.
const BASE: &str = "/tmp/lanner-containerd-";

/// Clears what a test program that was killed left behind.
fn sweep() {
    let Some((parent, name)) = BASE.rsplit_once('/') else {
        return;
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let file_name = entry.file_name();
        let Some(tag) = file_name.to_str().and_then(|file| file.strip_prefix(name)) else {
            continue;
        };
        let owner = tag.split('-').next().unwrap_or_default();
        if owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists() {
            clear(&entry.path());
        }
    }
}

/// Ends the processes that still belong to the instance at `base`, and removes its cgroups and folder.
fn clear(base: &Path) {
    let base_text = base.to_str().unwrap_or_default();
    let tag = base_text.strip_prefix(BASE).unwrap_or_default();
    let parent = format!("lanner-test-{tag}");
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(pid) = entry.file_name().to_str().and_then(|pid| pid.parse::<i32>().ok()) else {
            continue;
        };
        // The shims carry the folder in their arguments, their containers the cgroup.
        let arguments = fs::read(path.join("cmdline")).unwrap_or_default();
        let cgroups = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments);
        if arguments.contains(&format!("{base_text}/")) || cgroups.contains(&format!("/{parent}/")) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(place), Some("cgroup" | "cgroup2")) = (words.next(), words.next()) else {
            continue;
        };
        remove_cgroups(&Path::new(place).join(&parent));
    }
    let _ = fs::remove_dir_all(base);
}

/// Removes a tree of cgroups. Its files vanish with their folders, so only folders are removed, the deepest first.
fn remove_cgroups(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    // A killed process may take a moment to leave.
    for _ in 0..100 {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => return,
        }
    }
}

fn containerd_version(programs: &Path) -> String {
    let output = Command::new(programs.join("usr/bin/containerd"))
        .arg("--version")
        .output()
        .expect("containerd runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.split_whitespace().nth(2).unwrap_or_default();
    word.split(['+', '~'])
        .next()
        .unwrap_or_default()
        .trim_start_matches('v')
        .to_owned()
}

/// A process in a mount namespace of its own that ends with the test program. The shims' sockets have a fixed place,
/// so a file system that only this instance sees is put there.
fn mount_namespace() -> Child {
    fs::create_dir_all("/run/containerd").unwrap();
    let mut namespace = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--", "sh", "-c"])
        .arg("mount -t tmpfs tmpfs /run/containerd && echo ready && exec cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare runs");
    let mut ready = [0; 6];
    let answer = namespace.stdout.take().unwrap().read_exact(&mut ready);
    assert!(
        answer.is_ok(),
        "a mount namespace with a file system of its own cannot be made"
    );
    namespace
}

/// Starts containerd in `namespace`; it ends with the thread that called this.
fn spawn(namespace: &Child, base: &Path, programs: &Path) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(base.join("containerd.log"))
        .unwrap();
    let path = format!(
        "{0}/usr/sbin:{0}/usr/bin:{1}",
        programs.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    Command::new("nsenter")
        .args(["--mount", "--target", &namespace.id().to_string(), "--"])
        .args(["setpriv", "--pdeathsig", "TERM"])
        .arg(programs.join("usr/bin/containerd"))
        .arg("--config")
        .arg(base.join("config.toml"))
        .env("PATH", path)
        // It would tell a service manager that it is up.
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("nsenter runs")
}

/// Asks a process to end, and ends it when it does not.
fn end(process: &mut Child) {
    let _ = kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM);
    for _ in 0..500 {
        if !matches!(process.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = process.kill();
    let _ = process.wait();
}

/// The configuration file: version 3 for containerd 2, version 2 for 1.7.
fn configuration(version: &str, base: &Path, programs: &Path) -> String {
    let base = base.display();
    let runc = programs.join("usr/sbin/runc");
    let runc = runc.display();
    let common = format!(
        r#"root = "{base}/root"
state = "{base}/state"
[grpc]
  address = "{base}/containerd.sock"
[ttrpc]
  address = "{base}/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{base}/opt"
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  disable_connections = false
  socket_path = "{base}/nri/nri.sock"
  plugin_path = "{base}/nri/plugins"
  plugin_config_path = "{base}/nri/conf.d"
"#
    );
    // AppArmor profiles and a lower OOM score are things that a machine with fewer capabilities refuses.
    if version.starts_with("1.") {
        return format!(
            r#"version = 2
{common}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{base}/cni/bin"
  conf_dir = "{base}/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
"#
        );
    }
    format!(
        r#"version = 3
{common}
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{base}/cni/bin"]
  conf_dir = "{base}/cni/net.d"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
"#
    )
}
