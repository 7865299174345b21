//! podman, LXC and systemd-nspawn, unpacked beside the system or part of it: real ones, each with all it writes in a folder
//! of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::{is_root, machine, machine_dir};

/// The image of podman's containers.
pub(crate) const IMAGE: &str = "localhost/lanner-shadow:1.5";

/// The folder of one test, with a root file system of busybox.
#[derive(Debug)]
pub(crate) struct Runtimes {
    folder: tempfile::TempDir,
    programs: PathBuf,
    containerds: PathBuf,
}

impl Runtimes {
    /// Unpacks them, or gives the reason why this machine cannot have them.
    pub(crate) fn prepare() -> Result<Self, String> {
        if !is_root() {
            return Err("podman and LXC need root".to_owned());
        }
        machine("containerd.sh", &[])?;
        machine("runtimes.sh", &[])?;
        let folder = tempfile::Builder::new()
            .prefix("lanner-runtimes-")
            .tempdir()
            .unwrap();
        let runtimes = Self {
            folder,
            programs: machine_dir().join("runtimes"),
            containerds: machine_dir().join("containerd"),
        };
        let root = runtimes.at("rootfs");
        for directory in ["bin", "etc", "proc", "dev", "sys", "tmp", "usr"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::copy(
            runtimes.containerds.join("usr/bin/busybox"),
            root.join("bin/busybox"),
        )
        .unwrap();
        for applet in ["sh", "cat", "sleep"] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        fs::write(root.join("etc/shadow"), "root:*:20000:0:99999:7:::\n").unwrap();
        Ok(runtimes)
    }

    /// A path in the folder.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// One of the programs, which finds the libraries that were unpacked with it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]
            .map(|folder| self.programs.join(folder).display().to_string());
        let mut command = Command::new(program);
        command
            .env("LD_LIBRARY_PATH", libraries.join(":"))
            .env("HOME", self.at("home"))
            .stdin(Stdio::null());
        command
    }

    fn podman_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.programs.join("usr/bin/podman"));
        for (option, path) in [
            ("--root", "storage"),
            ("--runroot", "run"),
            ("--tmpdir", "libpod"),
        ] {
            command.arg(option).arg(self.at(path));
        }
        command
            .args([
                "--storage-driver",
                "vfs",
                "--cgroup-manager",
                "cgroupfs",
                "--events-backend",
                "file",
            ])
            .arg("--runtime")
            .arg(self.containerds.join("usr/sbin/runc"))
            .arg("--conmon")
            .arg(self.programs.join("usr/bin/conmon"))
            .env("CONTAINERS_CONF", self.at("containers.conf"))
            .args(arguments);
        command
    }

    /// Makes podman's image.
    pub(crate) fn podman_image(&self) {
        let policy = self.at("home/.config/containers");
        fs::create_dir_all(&policy).unwrap();
        fs::write(
            policy.join("policy.json"),
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )
        .unwrap();
        fs::write(
            self.at("containers.conf"),
            "[containers]\napparmor_profile = \"\"\n[engine]\nlock_type = \"file\"\n",
        )
        .unwrap();
        let archive = self.root_archive();
        self.podman(&["import", archive.to_str().unwrap(), IMAGE]);
    }

    /// The root file system as an archive.
    pub(crate) fn root_archive(&self) -> PathBuf {
        let archive = self.at("rootfs.tar");
        let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
        tar.follow_symlinks(false);
        tar.append_dir_all(".", self.at("rootfs")).unwrap();
        tar.finish().unwrap();
        archive
    }

    /// Runs podman, which has to succeed, and gives what it wrote.
    pub(crate) fn podman(&self, arguments: &[&str]) -> String {
        succeeded("podman", &self.podman_command(arguments).output().unwrap())
    }

    /// Runs a container of podman on the machine's network; `extra` are options.
    pub(crate) fn podman_run(&self, name: &str, extra: &[&str], command: &[&str]) -> String {
        let options = [
            "run",
            "--network=host",
            "--security-opt",
            "seccomp=unconfined",
            "--name",
            name,
            // A machine with fewer capabilities refuses more.
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=1024:1024",
        ];
        let arguments: Vec<&str> = options
            .into_iter()
            .chain(extra.iter().copied())
            .chain([IMAGE])
            .chain(command.iter().copied())
            .collect();
        self.podman(&arguments)
    }

    /// Serves podman's API at a socket, as long as the value lasts.
    pub(crate) fn podman_service(&self, socket: &Path) -> Service {
        let address = format!("unix://{}", socket.display());
        let process = self
            .podman_command(&["system", "service", "--time=0", &address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Service(process.unwrap())
    }

    /// Runs a command in a container of systemd-nspawn, to its end, in a scope that is named as those of machines are.
    pub(crate) fn nspawn(&self, name: &str, command: &[&str]) -> Output {
        // systemd would make the scope, which does not run here.
        let scopes: Vec<PathBuf> = hierarchies()
            .map(|root| root.join("machine.slice").join(format!("machine-{name}.scope")))
            .filter(|scope| fs::create_dir_all(scope).is_ok())
            .collect();
        let script = r#"for scope; do [ "$scope" != -- ] || break; echo $$ >"$scope/cgroup.procs"; shift; done; shift; exec "$@""#;
        let output = Command::new("sh")
            .args(["-c", script, "sh"])
            .args(&scopes)
            .args([
                "--",
                "systemd-nspawn",
                "--quiet",
                "--register=no",
                "--keep-unit",
                "--pipe",
            ])
            .arg(format!("--machine={name}"))
            .arg("--directory")
            .arg(self.at("rootfs"))
            .args(command)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        for scope in scopes {
            for left in ["payload", "supervisor", "", ".."] {
                let _ = fs::remove_dir(scope.join(left));
            }
        }
        output
    }

    /// Runs a command in a container of LXC, to its end.
    pub(crate) fn lxc(&self, name: &str, command: &[&str]) -> Output {
        let mount = self.at("mount");
        fs::create_dir_all(&mount).unwrap();
        fs::create_dir_all(self.at("lxc")).unwrap();
        let configuration = self.at("lxc.conf");
        let text = format!(
            "lxc.rootfs.path = dir:{}\nlxc.rootfs.mount = {}\nlxc.uts.name = {name}\nlxc.net.0.type = none\n\
             lxc.apparmor.profile = unconfined\nlxc.mount.auto =\n",
            self.at("rootfs").display(),
            mount.display()
        );
        fs::write(&configuration, text).unwrap();
        self.command(&self.programs.join("usr/bin/lxc-start"))
            .args(["--foreground", "--name", name, "--lxcpath"])
            .arg(self.at("lxc"))
            .arg("--rcfile")
            .arg(&configuration)
            .arg("--logfile")
            .arg(self.at("lxc.log"))
            .arg("--")
            .args(command)
            .output()
            .unwrap()
    }
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        if self.at("storage").exists() {
            let _ = self
                .podman_command(&["rm", "--all", "--force", "--time", "0"])
                .output();
        }
        // Cgroups that both leave empty; those that others use can't be removed.
        for place in ["libpod_parent/conmon", "libpod_parent", "lxc.pivot"] {
            for hierarchy in hierarchies() {
                let _ = fs::remove_dir(hierarchy.join(place));
            }
        }
    }
}

/// The roots of the hierarchies of cgroups, one or many.
pub(crate) fn hierarchies() -> impl Iterator<Item = PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let is_hierarchy = |path: &PathBuf| path.join("cgroup.procs").exists();
    let below = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let whole = is_hierarchy(&root.to_owned());
    whole
        .then(|| root.to_owned())
        .into_iter()
        .chain(below.filter(move |path| !whole && is_hierarchy(path)))
}

/// A process that is ended with its value.
#[derive(Debug)]
pub(crate) struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program wrote, which has to have succeeded.
pub(crate) fn succeeded(what: &str, output: &Output) -> String {
    assert!(
        output.status.success(),
        "{what} failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
