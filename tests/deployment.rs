//! The container image and the DaemonSet: the image is built and run by a real containerd, as a pod that is made out of
//! kind-config/lanner.yaml the way a kubelet would, and what it says of another pod's container is whole.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use lanner_schema::cgroup::{Hierarchy, path_of_process};
use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Run, SHADOW};
use support::cri::{self, ContainerConfig};
use support::lanner::{self, Lanner, field};
use support::{machine, repository, skip, wait_for};

/// The image as the manifest names it, and as a runtime's store does.
const IMAGE: (&str, &str) = ("lanner:dev", "docker.io/library/lanner:dev");
const NODE: &str = "node-of-the-test";
/// The user with the least rights, by Debian's and the test image's /etc/passwd, and not by that of Lanner's image.
const NOBODY: u32 = 65534;
/// Beside the built-in rules.
const RULES: &str = r#"
- rule: Probe
  desc: For this test
  condition: evt.type in (open, openat, openat2) and fd.filename = PROBE and proc.name in (sh, cat)
  output: "probe (id=%container.id pod=%k8s.pod.name user=%user.name name=%proc.name exe=%proc.exepath cwd=%proc.cwd)"
  priority: WARNING
"#;
const PROGRAM_RULES: &str = r#"
- rule: Probe
  desc: For this test
  condition: evt.type in (execve, execveat) and proc.cmdline contains PROBE and container.id != host
  output: "probe (id=%container.id name=%container.name pod=%k8s.pod.name exe=%proc.exepath)"
  priority: WARNING
"#;
/// Of a call that only the seccomp listener of its container tells of.
const CALL_RULES: &str = r#"
- rule: Connected
  desc: For this test
  condition: evt.type = connect and proc.name = wget and container.id != host
  output: "connected (name=%fd.name id=%container.id)"
  priority: WARNING
"#;
/// A `SecurityProfile` that is a file.
const LOCALHOST: i32 = 2;
const LIMIT: Duration = Duration::from_secs(60);

/// Packs the program under test.
fn build_image(archive: &Path) {
    let output = Command::new(repository().join("deploy/image/build.sh"))
        .arg(lanner::PROGRAM)
        .arg(archive)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with(&format!("{} sha256:", IMAGE.1)), "{said}");
}

/// The image, packed once for all tests.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let archive = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deployment/lanner.tar");
        build_image(&archive);
        archive
    })
}

/// Loads it the way kind loads an archive into a node.
fn load(containerd: &Containerd) {
    let archive = image().to_str().unwrap();
    let loaded = containerd.ctr(&["images", "import", "--all-platforms", "--digests", archive]);
    assert!(
        loaded.status.success(),
        "{}",
        String::from_utf8_lossy(&loaded.stderr)
    );
}

#[test]
fn the_same_program_gives_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.tar");
    build_image(&other);
    assert!(fs::read(image()).unwrap() == fs::read(other).unwrap());
}

#[test]
fn the_daemonset_sees_a_container_of_another_pod() {
    run(Containerd::start, false);
}

#[test]
fn the_daemonset_sees_a_container_of_another_pod_with_containerd_1_7() {
    run(|| Containerd::start_suite(Some("trixie")), false);
}

#[test]
fn the_daemonset_can_be_privileged() {
    run(Containerd::start, true);
}

fn run(start: impl FnOnce() -> Result<Containerd, String>, privileged: bool) {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let containerd = match start() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    load(&containerd);

    let mut node = Node {
        manifests: serde_yaml::from_multiple(
            &fs::read_to_string(repository().join("kind-config/lanner.yaml")).unwrap(),
        )
        .unwrap(),
        containerd: &containerd,
        volumes: tempfile::tempdir().unwrap(),
    };
    if privileged {
        *node.container_mut("/securityContext") = serde_json::json!({ "privileged": true });
    }
    let probe = format!("lanner-deployment-{}", std::process::id());
    node.object_mut("ConfigMap")["data"]["lanner_rules.local.yaml"] = RULES.replace("PROBE", &probe).into();

    let before = containerd.pod("shop", "before");
    let old = containerd.run(&before, Run::new("web", BUSYBOX));
    // A shell of a user that only the container's and the host's /etc/passwd know, in a cgroup below the container's.
    let script =
        format!("cd /var; until [ -e /tmp/go ]; do sleep 0.1; done; read x </tmp/{probe}; sleep 100000");
    let shell = Run {
        command: &["sh", "-c", &script],
        ..Run::new("shell", BUSYBOX)
    };
    let mut shell = Containerd::config(&before, shell);
    let context = shell.linux.as_mut().unwrap().security_context.as_mut().unwrap();
    context.run_as_user = Some(NOBODY.into());
    let shell = containerd.run_config(&before, shell);
    containerd.exec(&shell, &["touch", &format!("/tmp/{probe}")]);
    let nested = Nested::around(&shell);

    // The image by itself.
    let pod = containerd.pod("lanner", "version");
    let version = ContainerConfig {
        args: vec!["--version".to_owned()],
        ..Containerd::config(&pod, Run::new("version", IMAGE.1))
    };
    let version = containerd.run_config(&pod, version);
    assert_eq!(containerd.wait_for_exit(&version).exit_code, 0);
    let said = containerd.log_of(&version);
    assert!(
        said.contains(&format!("Lanner version: {}", env!("CARGO_PKG_VERSION"))),
        "{said}"
    );

    // The DaemonSet's pod.
    let agent = node.watching();
    let probe_at = &node.container()["readinessProbe"]["httpGet"];
    let asked = wait_for("Lanner to be ready", LIMIT, || {
        let answer = get(
            &agent,
            probe_at["port"].as_u64().unwrap(),
            probe_at["path"].as_str().unwrap(),
        );
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    });
    assert!(asked.ends_with(r#"{"status": "ok"}"#), "{asked}");
    let status = containerd.exec(&agent, &["lanner", "status"]);
    assert_eq!(status.exit_code, 0, "{}", String::from_utf8_lossy(&status.stderr));

    // A container that lives for one command, and a command in one that ran before Lanner.
    let pod = containerd.pod("shop", "front");
    let reader = containerd.run(&pod, Run::new("reader", SHADOW));
    containerd.wait_for_exit(&reader);
    containerd.exec(&old, &["cat", "/etc/shadow"]);
    for (id, name, image, pod) in [(&reader, "reader", SHADOW, &pod), (&old, "web", BUSYBOX, &before)] {
        let alert = wait_for("the alert", LIMIT, || {
            alerts(&containerd.log_of(&agent))
                .into_iter()
                .find(|alert| field(alert, "container.id") == id[..12])
        });
        for (key, value) in [
            ("container.name", name),
            ("container.image.repository", image.rsplit_once(':').unwrap().0),
            ("container.image.tag", image.rsplit_once(':').unwrap().1),
            ("k8s.pod.name", pod.name()),
            ("k8s.ns.name", pod.namespace()),
            // From the container's own /etc/passwd.
            ("user.name", "root"),
            ("proc.cmdline", "cat /etc/shadow"),
        ] {
            assert_eq!(field(&alert, key), value, "{key} in {alert}");
        }
        assert_eq!(alert["rule"], "Password file read", "{alert}");
        assert_eq!(alert["hostname"], NODE, "{alert}");
    }

    // What ran before Lanner, as another user and below the container's cgroup, is as well known.
    containerd.exec(&shell, &["touch", "/tmp/go"]);
    let alert = wait_for("the alert about the shell", LIMIT, || {
        let mut alerts = alerts(&containerd.log_of(&agent)).into_iter();
        alerts.find(|alert| alert["rule"] == "Probe" && field(alert, "proc.name") == "sh")
    });
    for (key, value) in [
        ("container.id", &shell[..12]),
        ("k8s.pod.name", "before"),
        ("user.name", "nobody"),
        ("proc.exepath", "/bin/busybox"),
        ("proc.cwd", "/var/"),
    ] {
        assert_eq!(field(&alert, key), value, "{key} in {alert}");
    }
    drop(nested);
    // The host's users are not the image's.
    let file = std::env::temp_dir().join(&probe);
    fs::write(&file, "").unwrap();
    let mut cat = Command::new("setpriv");
    cat.arg(format!("--reuid={NOBODY}"))
        .arg(format!("--regid={NOBODY}"))
        .args(["--clear-groups", "cat"]);
    assert!(cat.arg(&file).status().unwrap().success());
    fs::remove_file(&file).unwrap();
    let alert = wait_for("the alert about the host", LIMIT, || {
        let mut alerts = alerts(&containerd.log_of(&agent)).into_iter();
        alerts.find(|alert| alert["rule"] == "Probe" && field(alert, "proc.name") == "cat")
    });
    assert_eq!(field(&alert, "container.id"), "host", "{alert}");
    assert_eq!(field(&alert, "user.name"), "nobody", "{alert}");

    let list = containerd.exec(&agent, &["lanner", "containers", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let known = |id: &str| {
        let rows = list["containers"].as_array().unwrap().iter();
        rows.filter(|row| row["full_id"] == id).count() == 1
    };
    assert!(known(&old) && known(&agent), "{list:#}");
    let log = containerd.log_of(&agent);
    // What a busy machine does may be lost, which it says.
    let is_bad = |line: &&str| {
        (line.contains(" WARN ") || line.contains(" ERROR "))
            && !line.contains("system calls dropped in last second")
    };
    assert_eq!(log.lines().find(is_bad), None, "{log}");

    containerd.cri().stop_container(&agent).unwrap();
    containerd.wait_for_exit(&agent);
}

/// The chart's pods for nodes that refuse BPF, the agent's and the keeper's, have what they need there.
#[test]
fn the_daemonset_watches_without_bpf() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    let probe = format!("lanner-deployment-{}", std::process::id());
    let rules = PROGRAM_RULES.replace("PROBE", &probe);
    let text = serde_json::json!({
        "tier": "none",
        "image": { "tag": "dev" },
        "seccompKeeper": { "enabled": true },
        "customRules": { "probe.yaml": rules, "call.yaml": CALL_RULES },
    });
    fs::write(&values, text.to_string()).unwrap();
    let manifests: Vec<Value> = match machine("chart.sh", &["render", values.to_str().unwrap()]) {
        Ok(manifests) => serde_yaml::from_multiple(&manifests).unwrap(),
        Err(reason) => return skip(&format!("chart: {reason}")),
    };
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    load(&containerd);
    let node = |is_keeper: bool| {
        let named = |object: &Value| object["metadata"]["name"].as_str().unwrap().ends_with("-keeper");
        let of_it = |object: &&Value| object["kind"] != "DaemonSet" || named(object) == is_keeper;
        Node {
            manifests: manifests.iter().filter(of_it).cloned().collect(),
            containerd: &containerd,
            volumes: tempfile::tempdir().unwrap(),
        }
    };
    let keepers = node(true);
    let keeper = keepers.start();
    let listener = containerd.base().join("lanner/seccomp.sock");
    wait_for("the keeper to listen", LIMIT, || {
        let status = containerd.cri().container_status(&keeper).unwrap();
        let log = containerd.log_of(&keeper);
        assert!(status.state != cri::CONTAINER_EXITED, "{status:?}\n{log}");
        UnixStream::connect(&listener).ok()
    });
    let node = node(false);
    let agent = node.watching();
    let pod = containerd.pod("shop", "front");
    let container = containerd.run(&pod, Run::new("web", BUSYBOX));
    // The shell stays for a moment: of a process that is gone or runs another program by the time it is asked nothing is known, and on a
    // busy machine the kernel's queue may be full.
    let script = format!(": {probe}; sleep 2; :");
    let alert = wait_for("the alert", LIMIT, || {
        containerd.exec(&container, &["sh", "-c", &script]);
        let mut alerts = alerts(&containerd.log_of(&agent)).into_iter();
        alerts.find(|alert| alert["rule"] == "Probe" && field(alert, "container.id") == container[..12])
    });
    for (key, value) in [
        ("container.name", "web"),
        ("k8s.pod.name", "front"),
        ("proc.exepath", "/bin/busybox"),
    ] {
        assert_eq!(field(&alert, key), value, "{key} in {alert}");
    }

    // A container whose calls the keeper's listener tells of.
    let (profile, rules) = (
        folder.path().join("profile.json"),
        folder.path().join("call.yaml"),
    );
    fs::write(&rules, CALL_RULES).unwrap();
    let mut command = Command::new(lanner::PROGRAM);
    command.arg("seccomp-profile").arg("-r").arg(&rules);
    command
        .arg("--output")
        .arg(&profile)
        .arg("--listener")
        .arg(&listener);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut notified = Containerd::config(&pod, Run::new("notified", BUSYBOX));
    let context = notified
        .linux
        .as_mut()
        .unwrap()
        .security_context
        .as_mut()
        .unwrap();
    context.seccomp = Some(cri::SecurityProfile {
        profile_type: LOCALHOST,
        localhost_ref: profile.to_str().unwrap().to_owned(),
    });
    let notified = containerd.run_config(&pod, notified);
    let alert = wait_for("the alert about a call", LIMIT, || {
        containerd.exec(&notified, &["wget", "http://127.0.0.1:9/"]);
        let mut alerts = alerts(&containerd.log_of(&agent)).into_iter();
        alerts.find(|alert| alert["rule"] == "Connected")
    });
    assert_eq!(field(&alert, "container.id"), notified[..12], "{alert}");
    assert!(field(&alert, "fd.name").ends_with("->127.0.0.1:9"), "{alert}");

    let status = containerd.exec(&agent, &["lanner", "status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let capture = status["capture"].as_str().unwrap();
    assert!(capture.contains("from fanotify, connector"), "{capture}");
    let log = containerd.log_of(&agent);
    assert!(!log.contains(" ERROR "), "{log}");
    containerd.cri().stop_container(&agent).unwrap();
    containerd.wait_for_exit(&agent);
}

/// A container of a host with cgroups of version 2 alone has a cgroup namespace of its own, which no other runtime here
/// gives: the paths in its /proc are told from its own cgroup, and the host's tree is only below HOST_ROOT.
#[test]
fn a_cgroup_namespace_of_its_own_hides_nothing() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let Some(hierarchy) = Hierarchy::of_host(Path::new("")) else {
        return skip("this machine has no cgroups");
    };
    let folder = tempfile::tempdir().unwrap();
    let id = format!("{:064x}", std::process::id()).replace('0', "a");
    let tree = hierarchy
        .mount
        .join(format!("lanner-namespace-{}", std::process::id()));
    let (agent, container) = (tree.join("agent"), tree.join("pods").join(&id));
    if let Err(error) = fs::create_dir_all(&agent).and_then(|()| fs::create_dir_all(&container)) {
        return skip(&format!("no cgroup can be made here: {error}"));
    }
    let probe = format!("lanner-deployment-{}", std::process::id());
    let (rules, file) = (folder.path().join("rules.yaml"), folder.path().join(&probe));
    fs::write(&rules, RULES.replace("PROBE", &probe)).unwrap();
    fs::write(&file, "").unwrap();

    let host = folder.path().join("host");
    fs::create_dir(&host).unwrap();
    let (kind, options) = match hierarchy.controller {
        Some(controller) => ("cgroup", controller.name()),
        None => ("cgroup2", "rw"),
    };
    let mount = hierarchy.mount.display();
    let script = format!(
        "mount --rbind / {0} && umount -R /sys/fs/cgroup && mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir -p {mount} &&
         mount -t {kind} -o {options} {kind} {mount} && HOST_ROOT={0} exec \"$@\"",
        host.display()
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &entering(&agent)])
        .args([
            "sh",
            "unshare",
            "--cgroup",
            "--mount",
            "--propagation",
            "private",
            "--",
        ])
        .args(["sh", "-c", &script, "sh", lanner::PROGRAM])
        .args(lanner::options(None))
        .arg("-r")
        .arg(&rules);
    let lanner = Lanner::start_command(command);
    let read = Command::new("sh")
        .args(["-c", &entering(&container), "sh", "cat"])
        .arg(&file)
        .status();
    assert!(read.unwrap().success());
    let alert = lanner.wait_for_alert("of the container", |alert| field(alert, "proc.name") == "cat");
    assert_eq!(field(&alert, "container.id"), id[..12], "{alert}");
    assert_eq!(lanner.stop().status.code(), Some(0));
    for cgroup in [&agent, &container, &tree.join("pods"), &tree] {
        wait_for("the cgroup to be empty", LIMIT, || fs::remove_dir(cgroup).ok());
    }
}

#[test]
fn it_says_what_it_cannot_learn_without_a_capability() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--bounding-set=-all,+bpf,+perfmon,+dac_read_search",
            lanner::PROGRAM,
        ])
        .args(lanner::options(None));
    let lanner = Lanner::start_command(command);
    let log = lanner.log();
    assert!(log.contains("CAP_SYS_PTRACE is missing"), "{log}");
    assert!(!log.contains("CAP_DAC_READ_SEARCH"), "{log}");
}

/// A script that runs its arguments in a cgroup.
fn entering(cgroup: &Path) -> String {
    format!("echo $$ >{}/cgroup.procs && exec \"$@\"", cgroup.display())
}

/// The alerts in a container's log, whose lines are a time, a stream, a tag and the text.
fn alerts(log: &str) -> Vec<Value> {
    let texts = log.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
    texts
        .filter_map(|text| serde_json::from_str(text).ok())
        .filter(|value: &Value| value.get("rule").is_some())
        .collect()
}

/// The part of a kubelet that this pod needs.
struct Node<'a> {
    manifests: Vec<Value>,
    containerd: &'a Containerd,
    volumes: tempfile::TempDir,
}

impl Node<'_> {
    fn object(&self, kind: &str) -> &Value {
        self.manifests
            .iter()
            .find(|object| object["kind"] == kind)
            .unwrap()
    }

    fn object_mut(&mut self, kind: &str) -> &mut Value {
        self.manifests
            .iter_mut()
            .find(|object| object["kind"] == kind)
            .unwrap()
    }

    fn pod_spec(&self) -> &Value {
        &self.object("DaemonSet")["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.pod_spec()["containers"][0]
    }

    fn container_mut(&mut self, pointer: &str) -> &mut Value {
        let path = format!("/spec/template/spec/containers/0{pointer}");
        self.object_mut("DaemonSet").pointer_mut(&path).unwrap()
    }

    fn words(&self, list: &Value) -> Vec<String> {
        let words = list.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// Starts the agent's pod; the id of its container, which watches and knows the runtime.
    fn watching(&self) -> String {
        let agent = self.start();
        wait_for("Lanner to know the runtime", LIMIT, || {
            let log = self.containerd.log_of(&agent);
            let status = self.containerd.cri().container_status(&agent).unwrap();
            assert!(
                status.state != cri::CONTAINER_EXITED,
                "Lanner ended: {status:?}\n{log}"
            );
            (log.contains("connected to containerd") && log.contains("Ctrl-C stops")).then_some(())
        });
        agent
    }

    /// Runs the pod, and gives the id of its container.
    fn start(&self) -> String {
        let spec = self.pod_spec();
        let container = self.container();
        let security = &container["securityContext"];
        let privileged = security["privileged"] == true;
        let name = format!(
            "{}-x7k2p",
            self.object("DaemonSet")["metadata"]["name"].as_str().unwrap()
        );
        let pod = self.containerd.pod_with("lanner", &name, |sandbox| {
            sandbox.privileged = privileged;
            let namespaces = sandbox.namespace_options.as_mut().unwrap();
            if spec["hostPID"] == true {
                namespaces.pid = cri::NAMESPACE_NODE;
            }
        });
        assert_eq!(container["image"], IMAGE.0);
        let mut config = ContainerConfig {
            command: self.words(&container["command"]),
            args: self.words(&container["args"]),
            envs: self.environment(),
            mounts: self.mounts(),
            ..Containerd::config(&pod, Run::new("lanner", IMAGE.0))
        };
        let context = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        context.privileged = privileged;
        context.readonly_rootfs = security["readOnlyRootFilesystem"] == true;
        context.no_new_privs = security["allowPrivilegeEscalation"] == false;
        context.capabilities = security.get("capabilities").map(|capabilities| cri::Capability {
            // What this machine itself may not do it can't give.
            add_capabilities: self
                .words(&capabilities["add"])
                .into_iter()
                .filter(|name| name != "SYS_RESOURCE" || may_raise_limits())
                .collect(),
            drop_capabilities: self.words(&capabilities["drop"]),
        });
        let profile = |name: &str| {
            let kind = security.get(name)?["type"].as_str()?;
            Some(cri::SecurityProfile {
                profile_type: ["RuntimeDefault", "Unconfined"]
                    .iter()
                    .position(|known| *known == kind)? as i32,
                ..cri::SecurityProfile::default()
            })
        };
        context.seccomp = profile("seccompProfile");
        context.apparmor = profile("appArmorProfile");
        self.containerd.run_config(&pod, config)
    }

    fn environment(&self) -> Vec<cri::KeyValue> {
        let variables = self.container()["env"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter();
        variables
            .map(|variable| {
                let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                    Some("spec.nodeName") => NODE,
                    Some(other) => panic!("{other} is not known here"),
                    None => variable["value"].as_str().unwrap(),
                };
                cri::KeyValue {
                    key: variable["name"].as_str().unwrap().to_owned(),
                    value: value.to_owned(),
                }
            })
            .collect()
    }

    fn mounts(&self) -> Vec<cri::Mount> {
        let volumes = self.pod_spec()["volumes"].as_array().unwrap();
        let mounts = self.container()["volumeMounts"].as_array().unwrap().iter();
        mounts
            .map(|mount| {
                let volume = volumes
                    .iter()
                    .find(|volume| volume["name"] == mount["name"])
                    .unwrap();
                cri::Mount {
                    container_path: mount["mountPath"].as_str().unwrap().to_owned(),
                    host_path: self.volume(volume).to_str().unwrap().to_owned(),
                    readonly: mount["readOnly"] == true,
                }
            })
            .collect()
    }

    /// Where a volume is on this machine.
    fn volume(&self, volume: &Value) -> PathBuf {
        let folder = self.volumes.path().join(volume["name"].as_str().unwrap());
        if let Some(path) = volume["hostPath"]["path"].as_str() {
            // The containerd of the test has its sockets elsewhere.
            return match path {
                "/run/containerd" => self.containerd.base().to_owned(),
                "/var/run/nri" => self.containerd.base().join("nri"),
                "/run/lanner" => {
                    let folder = self.containerd.base().join("lanner");
                    fs::create_dir_all(&folder).unwrap();
                    folder
                }
                path => PathBuf::from(path),
            };
        }
        fs::create_dir(&folder).unwrap();
        if volume.get("configMap").is_some() {
            let data = self.object("ConfigMap")["data"].as_object().unwrap();
            let places = volume["configMap"]["items"].as_array();
            for (name, text) in data {
                let place = places.map_or(name.as_str(), |places| {
                    let item = places.iter().find(|item| item["key"] == name.as_str());
                    item.unwrap()["path"].as_str().unwrap()
                });
                let file = folder.join(place);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text.as_str().unwrap()).unwrap();
            }
        } else {
            assert!(volume.get("emptyDir").is_some(), "{volume}");
        }
        folder
    }
}

/// What the web server of a container answers, asked as a kubelet does, or nothing.
fn get(container: &str, port: u64, path: &str) -> String {
    let script = format!(
        r"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n' >&3; cat <&3"
    );
    let Some(process) = processes_of(container).pop() else {
        return String::new();
    };
    let output = Command::new("nsenter")
        .arg(format!("--net={}", process.join("ns/net").display()))
        .args(["bash", "-c", &script])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The folders in /proc of a container's processes, seen by their cgroup.
fn processes_of(container: &str) -> Vec<PathBuf> {
    let hierarchy = Hierarchy::of_host(Path::new("")).unwrap();
    let folders = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    folders
        .filter(|folder| {
            let text = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
            path_of_process(&text, hierarchy.controller).is_some_and(|path| path.ends_with(container))
        })
        .collect()
}

/// Whether this machine has CAP_SYS_RESOURCE.
fn may_raise_limits() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap();
    u64::from_str_radix(bounding.trim(), 16).unwrap() & (1 << 24) != 0
}

/// A cgroup in a container's own, with all its processes in it.
struct Nested {
    outer: PathBuf,
    inner: PathBuf,
}

impl Nested {
    fn around(container: &str) -> Self {
        let hierarchy = Hierarchy::of_host(Path::new("")).unwrap();
        let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let text = fs::read_to_string(entry.path().join("cgroup")).ok()?;
            let path = path_of_process(&text, hierarchy.controller)?;
            path.ends_with(container)
                .then(|| path.trim_start_matches('/').to_owned())
        });
        let outer = hierarchy.mount.join(processes.last().unwrap());
        let inner = outer.join("nested");
        fs::create_dir(&inner).unwrap();
        let nested = Self { outer, inner };
        nested.moved(&nested.outer, &nested.inner);
        nested
    }

    fn moved(&self, from: &Path, to: &Path) {
        for pid in fs::read_to_string(from.join("cgroup.procs")).unwrap().lines() {
            // It may have ended.
            let _ = fs::write(to.join("cgroup.procs"), pid);
        }
    }
}

impl Drop for Nested {
    /// The runtime removes the container's cgroup alone.
    fn drop(&mut self) {
        self.moved(&self.inner, &self.outer);
        let _ = fs::remove_dir(&self.inner);
    }
}
