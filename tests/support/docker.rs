//! docker, unpacked beside the system: a real daemon with a containerd of its own, and all it writes in one folder.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::runtimes::{Runtimes, hierarchies, succeeded};
use super::{machine, machine_dir, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

/// A running daemon; it ends with the value.
#[derive(Debug)]
pub(crate) struct Docker {
    /// The folder, and the root file system of its image.
    runtimes: Runtimes,
    programs: PathBuf,
    daemon: Child,
}

impl Docker {
    /// The image of its containers.
    pub(crate) const IMAGE: &str = "lanner-shadow:1.5";

    /// Starts a daemon and makes its image, or gives the reason why this machine cannot have one.
    pub(crate) fn start() -> Result<Self, String> {
        let runtimes = Runtimes::prepare()?;
        machine("containerd.sh", &["trixie"])?;
        let folders = [
            machine_dir().join("containerd-trixie/usr/bin"),
            machine_dir().join("containerd-trixie/usr/sbin"),
            machine_dir().join("runtimes/usr/bin"),
            machine_dir().join("runtimes/usr/sbin"),
        ];
        // What the daemon starts is looked for there first.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path))).unwrap();
        let programs = machine_dir().join("runtimes");
        let log = std::fs::File::create(runtimes.at("dockerd.log")).unwrap();
        let daemon = runtimes
            .command(&programs.join("usr/sbin/dockerd"))
            .env("PATH", path)
            .arg("--data-root")
            .arg(runtimes.at("data"))
            .arg("--exec-root")
            .arg(runtimes.at("exec"))
            .arg("--pidfile")
            .arg(runtimes.at("dockerd.pid"))
            .arg(format!("--host=unix://{}", runtimes.at("docker.sock").display()))
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--ip-masq=false", "--storage-driver=vfs"])
            .arg("--exec-opt=native.cgroupdriver=cgroupfs")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut docker = Self {
            runtimes,
            programs,
            daemon,
        };
        let ended = wait_for("docker's daemon", LIMIT, || {
            if let Some(status) = docker.daemon.try_wait().unwrap() {
                return Some(Some(status));
            }
            let version = docker.command(&["version"]).output().unwrap();
            version.status.success().then_some(None)
        });
        if ended.is_some() {
            let log = std::fs::read_to_string(docker.runtimes.at("dockerd.log")).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default();
            return Err(format!("docker's daemon does not run here: {last}"));
        }
        let archive = docker.runtimes.root_archive();
        docker.run_docker(&["import", archive.to_str().unwrap(), Self::IMAGE]);
        Ok(docker)
    }

    /// Where its API listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.runtimes.at("docker.sock")
    }

    /// Its data root.
    pub(crate) fn data(&self) -> PathBuf {
        self.runtimes.at("data")
    }

    /// Where its containerd listens.
    pub(crate) fn containerd(&self) -> PathBuf {
        self.runtimes.at("exec/containerd/containerd.sock")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.runtimes.command(&self.programs.join("usr/bin/docker"));
        command
            .arg(format!("--host=unix://{}", self.socket().display()))
            .args(arguments);
        command
    }

    /// Runs docker's client, which has to succeed, and gives what it wrote.
    pub(crate) fn run_docker(&self, arguments: &[&str]) -> String {
        succeeded("docker", &self.command(arguments).output().unwrap())
    }

    /// Runs a container without a network and gives its id; `extra` are options.
    pub(crate) fn run(&self, name: &str, extra: &[&str], command: &[&str]) -> String {
        let options = ["run", "--network=none", "--name", name];
        let arguments: Vec<&str> = options
            .into_iter()
            .chain(extra.iter().copied())
            .chain([Self::IMAGE])
            .chain(command.iter().copied())
            .collect();
        self.run_docker(&arguments);
        self.run_docker(&["inspect", "--format", "{{.Id}}", name])
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let ids = self.command(&["ps", "--all", "--quiet"]).output();
        let ids = ids.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        for id in ids.unwrap_or_default().lines() {
            let _ = self.command(&["rm", "--force", id]).output();
        }
        // It ends its containerd itself.
        let _ = kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM);
        let _ = self.daemon.wait();
        for hierarchy in hierarchies() {
            let _ = std::fs::remove_dir(hierarchy.join("docker"));
        }
    }
}
