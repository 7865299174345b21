//! Lanner as a plugin that the container runtime starts: `/opt/nri/plugins/NN-NAME` is this program.
//!
//! The runtime gives it a connected socket, its name, and nowhere to write to; its configuration comes over that socket. It
//! kills what it started when the connection ends, be it because one answer came late, and it starts a plugin again only
//! when it is started again itself. So the process that it started only starts another one, the agent, which goes on
//! watching without the runtime and comes back to it. Nothing that is wrong with configuration or rules keeps the runtime
//! from starting: containerd 1.7 would not start without a plugin that refuses.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Parser as _;
use lanner_nri::Inherited;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::UnixAddr;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::{dup2_stderr, dup2_stdout};
use tokio::sync::oneshot;

use crate::cli::Cli;
use crate::log;
use crate::run;
use crate::runtime_side::RuntimeSide;

/// What the runtime sets.
const NAME: &str = "NRI_PLUGIN_NAME";
const INDEX: &str = "NRI_PLUGIN_IDX";
const SOCKET: &str = "NRI_PLUGIN_SOCKET";
/// What this program sets for the agent it starts.
const AGENT: &str = "LANNER_NRI_AGENT";
/// Where the journal takes a stream of lines.
const JOURNAL: &str = "/run/systemd/journal/stdout";
/// Where a log goes when no journal takes it.
const LOGS: &str = "/var/log";
/// A log file that is larger than this is put aside, in place of the one that was put aside before.
const LOG_MAX: u64 = 16 << 20;
/// How often its size is looked at.
const LOG_LOOK: Duration = Duration::from_secs(60);
/// How long the runtime may take to configure us. It starts plugins one after another, and gives each 5 s.
const CONFIGURE: Duration = Duration::from_secs(60);

/// What the runtime said when it started this program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Launch {
    name: String,
    index: String,
    socket: RawFd,
}

impl Launch {
    /// `None` when it was not the runtime.
    fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Launch> {
        Some(Launch {
            name: variable(NAME)?,
            index: variable(INDEX)?,
            socket: variable(SOCKET)?.parse().ok().filter(|socket| *socket > 2)?,
        })
    }

    /// The name of the file that the runtime started.
    fn file(&self) -> String {
        format!("{}-{}", self.index, self.name)
    }

    /// Its log, where no journal takes that.
    fn log(&self) -> PathBuf {
        Path::new(LOGS).join(format!("{}.log", self.file()))
    }
}

/// Runs the agent or what starts it. `None` when this program was started by anything but a runtime.
pub(crate) fn main() -> Option<anyhow::Result<ExitCode>> {
    // Whoever gives arguments wants what they say.
    if std::env::args_os().len() > 1 {
        return None;
    }
    let launch = Launch::read(|name| std::env::var(name).ok())?;
    if std::env::var_os(AGENT).is_none() {
        match start_agent(&launch) {
            Ok(status) => return Some(Ok(code_of(status))),
            // Better an agent that the runtime may kill than none.
            Err(error) => log::err(&format!(
                "lanner: cannot start the agent as a process of its own: {error}\n"
            )),
        }
    }
    Some(run_agent(launch))
}

/// Starts the agent and waits for its end: the process the runtime knows is there as long as the agent is.
fn start_agent(launch: &Launch) -> io::Result<ExitStatus> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(std::env::args_os().next().unwrap_or_else(|| launch.file().into()))
        .env(AGENT, "1")
        // Signals to the runtime's group are not for the agent.
        .process_group(0)
        .stdin(Stdio::null());
    match journal(Path::new(JOURNAL), &launch.name) {
        Ok((out, err, stream)) => {
            command.stdout(out).stderr(err).env("JOURNAL_STREAM", stream);
        }
        Err(_) => {
            if let Ok((out, err)) = log_file(&launch.log()) {
                command.stdout(out).stderr(err);
            }
        }
    }
    let mut agent = command.spawn()?;
    // The connection ends with the agent, not with this process.
    let _ = nix::unistd::close(launch.socket);
    agent.wait()
}

/// A stream to the journal, as sd_journal_stream_fd(3) makes it: twice, and its name as systemd gives it.
fn journal(socket: &Path, name: &str) -> io::Result<(OwnedFd, OwnedFd, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.shutdown(Shutdown::Read)?;
    // Who writes, in which unit (unknown), at which level, whether lines begin with theirs (no), and whether they go on to
    // syslog, the kernel's log and the console (no).
    stream.write_all(format!("{name}\n\n6\n0\n0\n0\n0\n").as_bytes())?;
    let stat = fstat(stream.as_fd())?;
    let stream_name = format!("{}:{}", stat.st_dev, stat.st_ino);
    Ok((stream.try_clone()?.into(), stream.into(), stream_name))
}

fn log_file(path: &Path) -> io::Result<(File, File)> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    Ok((file.try_clone()?, file))
}

/// Keeps the log file from growing for ever, for as long as it is this process's.
async fn keep_small(log: PathBuf) {
    loop {
        tokio::time::sleep(LOG_LOOK).await;
        let is_ours = fstat(io::stderr()).is_ok_and(|own| is_file(&log, &own));
        match is_ours.then(|| put_aside(&log, LOG_MAX)) {
            Some(Ok(Some((out, err)))) => {
                let _ = dup2_stdout(out).and(dup2_stderr(err));
            }
            Some(Err(error)) => tracing::debug!("{}: {error}: it grows on", log.display()),
            _ => {}
        }
    }
}

fn is_file(path: &Path, facts: &FileStat) -> bool {
    path.metadata()
        .is_ok_and(|there| (there.dev(), there.ino()) == (facts.st_dev, facts.st_ino))
}

/// A new log file when the old one is larger than `most`: that has `.1` behind its name from then on.
fn put_aside(path: &Path, most: u64) -> io::Result<Option<(File, File)>> {
    if path.metadata()?.len() <= most {
        return Ok(None);
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".1");
    std::fs::rename(path, aside)?;
    log_file(path).map(Some)
}

fn code_of(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

fn run_agent(launch: Launch) -> anyhow::Result<ExitCode> {
    let socket = take(launch.socket).with_context(|| {
        format!(
            "{SOCKET}={}: not a socket from a container runtime",
            launch.socket
        )
    })?;
    let mut side = RuntimeSide::new()?;
    let (configured, configuration) = oneshot::channel();
    let (config_sender, config) = oneshot::channel();
    let (file, log) = (launch.file(), launch.log());
    let inherited = Inherited {
        socket,
        name: launch.name.clone(),
        index: launch.index,
        configured,
        config,
    };
    lanner_nri::start_inherited(
        inherited,
        Arc::clone(&side.table),
        Arc::clone(&side.status),
        side.stopped.clone(),
        side.runtime.handle().clone(),
    )
    .context("cannot start the thread for the container runtime")?;
    side.config = Some(config_sender);
    side.runtime.spawn(keep_small(log));
    let text = side
        .runtime
        .block_on(async { tokio::time::timeout(CONFIGURE, configuration).await });
    let text = match text {
        Ok(Ok(text)) => text,
        // It went away at once: what else there is to configure us has to do.
        _ => {
            log::err("lanner: the container runtime did not say how to be configured\n");
            String::new()
        }
    };
    let name = PathBuf::from(format!("{file}.conf"));
    let mut config = run::configure_over(&text, &name)
        .map_err(|error| anyhow!("{error:#}; containers start without Lanner"))?;
    config.nri.plugin_name = launch.name;
    run::watch_as_configured(
        &Cli::parse_from(["lanner"]),
        config,
        Some(side),
        Some((text, name)),
    )
}

/// Takes over the descriptor that the runtime passed.
fn take(number: RawFd) -> io::Result<UnixStream> {
    // What is no socket, or not open, is found out here.
    nix::sys::socket::getsockname::<UnixAddr>(number)?;
    // SAFETY: the runtime opened it for this process and says so; this is called once, before anything else was opened, so
    // nobody else owns it.
    #[allow(unsafe_code)]
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::io::Read as _;

    #[test]
    fn only_a_runtime_sets_all_variables() {
        let whole = HashMap::from([(NAME, "lanner"), (INDEX, "10"), (SOCKET, "3")]);
        let read = |variables: &HashMap<&str, &str>| {
            Launch::read(|name| variables.get(name).map(|v| (*v).to_owned()))
        };
        let launch = read(&whole).unwrap();
        assert_eq!((launch.file().as_str(), launch.socket), ("10-lanner", 3));
        for name in [NAME, INDEX, SOCKET] {
            let mut part = whole.clone();
            part.remove(name);
            assert_eq!(read(&part), None);
        }
        for socket in ["", "2", "-1", "three"] {
            let mut wrong = whole.clone();
            wrong.insert(SOCKET, socket);
            assert_eq!(read(&wrong), None, "{socket}");
        }
    }

    #[test]
    fn a_journal_gets_a_header_and_then_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stdout");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let (out, err, name) = journal(&path, "lanner").unwrap();
        let (device, inode) = name.split_once(':').unwrap();
        let stat = nix::sys::stat::fstat(out.as_fd()).unwrap();
        assert_eq!(
            (device.parse(), inode.parse()),
            (Ok(stat.st_dev), Ok(stat.st_ino))
        );
        File::from(out).write_all(b"one\n").unwrap();
        File::from(err).write_all(b"two\n").unwrap();
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "lanner\n\n6\n0\n0\n0\n0\none\ntwo\n");
        assert!(journal(&folder.path().join("none"), "lanner").is_err());
    }

    #[test]
    fn a_log_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("10-lanner.log");
        for _ in 0..2 {
            let (mut out, mut err) = log_file(&path).unwrap();
            out.write_all(b"out ").unwrap();
            err.write_all(b"err\n").unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "out err\nout err\n");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_log_that_is_too_large_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("10-lanner.log");
        let (mut out, _) = log_file(&path).unwrap();
        for lines in ["first\n", "second\n"] {
            out.write_all(lines.as_bytes()).unwrap();
            let own = fstat(&out).unwrap();
            assert!(is_file(&path, &own));
            assert!(
                put_aside(&path, lines.len() as u64).unwrap().is_none(),
                "as large as it may be"
            );
            let (new, _) = put_aside(&path, 1).unwrap().unwrap();
            assert!(!is_file(&path, &own));
            out = new;
            let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(
                (read("10-lanner.log.1").as_str(), read("10-lanner.log").as_str()),
                (lines, "")
            );
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
