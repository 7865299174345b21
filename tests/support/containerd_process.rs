//! Below the containerd of the tests: its configuration file, its processes and namespace, and the removal of all it
//! leaves.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::containerd::PAUSE;

/// Where the folders of all instances begin; the process id of the test program and a number follow.
pub(crate) const BASE: &str = "/tmp/lanner-containerd-";

/// Clears what a test program that was killed left behind.
pub(crate) fn sweep() {
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
pub(crate) fn clear(base: &Path) {
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
    for _ in 0..500 {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => return,
        }
    }
}

/// The version of the unpacked containerd: `2.1.9`.
pub(crate) fn version(programs: &Path) -> String {
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

/// Namespaces that processes can be started in, for as long as this is there.
#[derive(Debug)]
pub(crate) struct Namespaces {
    holder: Child,
    /// What nsenter needs to enter them.
    arguments: Vec<String>,
}

impl Namespaces {
    /// A mount namespace. The shims' sockets have a fixed place, so a file system that only this instance sees is put there.
    pub(crate) fn mount() -> Namespaces {
        let namespaces = Namespaces::make(
            &["--mount", "--propagation", "private"],
            "mount -t tmpfs tmpfs /run/containerd",
        );
        let target = namespaces.holder.id();
        namespaces.entered_by(&["--mount"], target)
    }

    /// What a node of kind is: processes have other numbers than on the host, and cgroups begin at `cgroup`, which is made. Below
    /// `machine` it has the host's processes, as a cluster can be configured to.
    pub(crate) fn node(cgroup: &str, machine: &Path) -> Namespaces {
        let machine = machine.display();
        let script = format!(
            "set -e
             mkdir -p {machine}/proc
             mount --bind /proc {machine}/proc
             ln -s /etc /sys {machine}/
             grep -E '^[^ ]+ [^ ]+ cgroup2? ' /proc/self/mounts | while read -r _ place _; do
                 mkdir -p \"$place/{cgroup}\"
                 # Version 1's cpusets want to be told first.
                 if [ -e \"$place/{cgroup}/cpuset.cpus\" ] && [ ! -s \"$place/{cgroup}/cpuset.cpus\" ]; then
                     (cd \"$place\"; up=.; for name in $(echo {cgroup} | tr / ' '); do
                         for file in cpuset.cpus cpuset.mems; do cat \"$up/$file\" > \"$up/$name/$file\"; done
                         up=$up/$name
                     done) || true
                 fi
                 echo $$ > \"$place/{cgroup}/cgroup.procs\"
             done
             exec unshare --pid --fork --cgroup --mount --propagation private --mount-proc sh -c '
                 set -e
                 mount -t tmpfs tmpfs /run/containerd
                 grep -E \"^[^ ]+ [^ ]+ cgroup2? \" /proc/self/mounts | while read -r _ place kind options _; do
                     umount \"$place\"
                     case $kind in
                         cgroup) mount -t cgroup -o \"$options\" cgroup \"$place\" ;;
                         cgroup2) mount -t cgroup2 cgroup2 \"$place\" ;;
                     esac
                 done
                 echo ready
                 exec cat'"
        );
        let own = ["--mount", "--propagation", "private", "--", "sh", "-c", &script];
        let holder = Namespaces::hold(Command::new("unshare").args(own));
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.id())).unwrap();
        let first = children.split_whitespace().next().unwrap().parse().unwrap();
        Namespaces {
            holder,
            arguments: Vec::new(),
        }
        .entered_by(&["--mount", "--pid", "--cgroup"], first)
    }

    fn make(unshare: &[&str], script: &str) -> Namespaces {
        let mut command = Command::new("unshare");
        command
            .args(unshare)
            .args(["--", "sh", "-c", &format!("{script} && echo ready && exec cat")]);
        Namespaces {
            holder: Namespaces::hold(&mut command),
            arguments: Vec::new(),
        }
    }

    fn hold(command: &mut Command) -> Child {
        fs::create_dir_all("/run/containerd").unwrap();
        let mut holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell runs");
        let mut ready = [0; 6];
        let answer = holder.stdout.take().unwrap().read_exact(&mut ready);
        assert!(
            answer.is_ok(),
            "namespaces with file systems of their own cannot be made"
        );
        holder
    }

    fn entered_by(self, kinds: &[&str], target: u32) -> Namespaces {
        let mut arguments: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        arguments.extend(["--target".to_owned(), target.to_string(), "--".to_owned()]);
        Namespaces { arguments, ..self }
    }

    /// A command that runs what its further arguments say in these namespaces.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(&self.arguments);
        command
    }

    /// Ends what holds them.
    pub(crate) fn end(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Starts containerd in `namespaces`; it ends with the thread that called this.
pub(crate) fn spawn(namespaces: &Namespaces, base: &Path, programs: &Path) -> Child {
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
    namespaces
        .command()
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
pub(crate) fn end(process: &mut Child) {
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
pub(crate) fn configuration(version: &str, base: &Path, programs: &Path) -> String {
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
