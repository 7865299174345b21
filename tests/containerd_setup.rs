//! What deploy/containerd/ tells an operator to do is what a real containerd needs: with it, and with no configuration of its
//! own, Lanner is connected.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::lanner::{self, Lanner};
use support::{machine, machine_dir, repository, skip, wait_for};

/// A containerd at its own usual places, in a mount namespace where nobody else uses them.
struct Containerd {
    process: Child,
    base: tempfile::TempDir,
}

impl Containerd {
    /// Starts the containerd in `programs`. Its configuration is `text`, and otherwise what it has by itself but for where
    /// it keeps its data.
    fn start(programs: &Path, version: u32, text: &str) -> Self {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().display();
        let config = format!(
            "version = {version}\nroot = \"{folder}/root\"\nstate = \"{folder}/state\"\n\
             [plugins.\"io.containerd.internal.v1.opt\"]\n  path = \"{folder}/opt\"\n{text}"
        );
        fs::write(base.path().join("config.toml"), config).unwrap();
        let script = "mkdir -p /run/containerd /run/nri && mount -t tmpfs tmpfs /run/containerd && \
                      mount -t tmpfs tmpfs /run/nri && exec setpriv --pdeathsig KILL \"$@\"";
        let log = fs::File::create(base.path().join("log")).unwrap();
        let process = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "--",
                "sh",
                "-c",
                script,
                "sh",
            ])
            .arg(programs.join("usr/bin/containerd"))
            .arg("--config")
            .arg(base.path().join("config.toml"))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut containerd = Self { process, base };
        wait_for("containerd to serve", Duration::from_secs(60), || {
            let ended = containerd.process.try_wait().unwrap();
            assert!(ended.is_none(), "containerd ended: {}", containerd.log());
            containerd
                .log()
                .contains("containerd successfully booted")
                .then_some(())
        });
        containerd
    }

    fn log(&self) -> String {
        fs::read_to_string(self.base.path().join("log")).unwrap()
    }

    /// Lanner where it sees this containerd at the usual places.
    fn lanner(&self) -> Lanner {
        let mut command = Command::new("nsenter");
        command.args([
            "--mount",
            "--target",
            &self.process.id().to_string(),
            "--",
            lanner::PROGRAM,
        ]);
        for option in [
            "journald_output.enabled=false",
            "syslog_output.enabled=false",
            "runtime_directory=",
        ] {
            command.args(["-o", option]);
        }
        Lanner::start_command(command)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM);
        let _ = self.process.wait();
        // Where nothing was before nothing is left.
        let _ = fs::remove_dir("/run/nri");
    }
}

fn programs(suite: Option<&str>) -> Result<PathBuf, String> {
    if let Some(reason) = lanner::impossible() {
        return Err(reason);
    }
    machine("containerd.sh", suite.as_slice())?;
    let programs =
        machine_dir().join(suite.map_or("containerd".to_owned(), |suite| format!("containerd-{suite}")));
    let output = Command::new(programs.join("usr/bin/containerd"))
        .arg("--version")
        .output()
        .unwrap();
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    // Where the newest can't be had the other one stands in its place.
    match suite.is_none() && version.contains(" 1.7") {
        true => Err("there is no containerd 2 here".to_owned()),
        false => Ok(programs),
    }
}

fn snippet(name: &str) -> String {
    fs::read_to_string(repository().join("deploy/containerd").join(name)).unwrap()
}

/// Starts both, and waits for what Lanner says about them.
fn says(programs: &Path, version: u32, text: &str, wanted: &str) {
    let containerd = Containerd::start(programs, version, text);
    let log = containerd.log();
    let unknown = log.lines().find(|line| line.contains("unknown key"));
    assert_eq!(unknown, None, "containerd knows every key");
    let lanner = containerd.lanner();
    lanner.wait_for_log(wanted, |line| line.contains(wanted));
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn containerd_2_needs_nothing_unless_it_was_turned_off() {
    let _alone = support::alone();
    let programs = match programs(None) {
        Ok(programs) => programs,
        Err(reason) => return skip(&reason),
    };
    says(&programs, 3, "", "connected to containerd 2");
    let off = "[plugins.\"io.containerd.nri.v1.nri\"]\n  disable = true\n";
    says(&programs, 3, off, "waiting for /var/run/nri/nri.sock");
    says(&programs, 3, &snippet("nri-2.toml"), "connected to containerd 2");
}

#[test]
fn containerd_1_7_needs_the_table() {
    let _alone = support::alone();
    let programs = match programs(Some("trixie")) {
        Ok(programs) => programs,
        Err(reason) => return skip(&reason),
    };
    says(&programs, 2, "", "waiting for /var/run/nri/nri.sock");
    says(
        &programs,
        2,
        &snippet("nri-1.7.toml"),
        "connected to containerd 1.7",
    );
}
