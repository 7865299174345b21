//! A command's end of the control socket.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::Request;
use crate::run;

/// How long an agent may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A connection to an agent.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects to the agent that listens at `path`.
    ///
    /// # Errors
    /// `NotFound` and `ConnectionRefused` when none does.
    pub(crate) async fn open(path: &Path) -> io::Result<Connection> {
        let stream = tokio::time::timeout(ANSWER, UnixStream::connect(path)).await??;
        Ok(Connection {
            stream: BufReader::new(stream),
        })
    }

    /// The process at the other end, for people.
    pub(crate) fn process(&self) -> String {
        let pid = self.stream.get_ref().peer_cred().ok().and_then(|peer| peer.pid());
        match pid {
            Some(pid) => format!("the Lanner with process id {pid}"),
            None => "another Lanner".to_owned(),
        }
    }

    /// Waits until the other end is gone.
    ///
    /// # Errors
    /// When that can't be waited for.
    pub(crate) async fn closed(&mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest).await {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(()),
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// When no answer comes in time, or it is no JSON.
    pub(crate) async fn ask(&mut self, request: Request) -> io::Result<Value> {
        let asked = async {
            self.stream
                .get_mut()
                .write_all(format!("{request}\n").as_bytes())
                .await?;
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            Ok(serde_json::from_slice(&line)?)
        };
        tokio::time::timeout(ANSWER, asked).await?
    }
}

/// Which agent a command is for.
#[derive(Debug, Args)]
pub(crate) struct AgentOptions {
    /// The agent's configuration file, whose runtime_directory has its socket [default: /etc/lanner/lanner.yaml]
    #[arg(short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,

    /// Sets a key of the configuration, as the agent was started with; repeatable
    #[arg(
        short = 'o',
        long = "option",
        value_name = "KEY=VALUE",
        allow_hyphen_values = true
    )]
    options: Vec<String>,

    /// The agent's socket [default: NAME.sock in runtime_directory, where NAME is nri.plugin_name]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// An agent that answered.
#[derive(Debug)]
pub(crate) struct Answered {
    socket: PathBuf,
    /// What it said.
    pub(crate) reply: Value,
}

impl Answered {
    /// The agent, for people.
    pub(crate) fn name(&self) -> String {
        match self.reply["pid"].as_u64() {
            Some(pid) => format!("the Lanner with process id {pid} ({})", self.socket.display()),
            None => format!("the Lanner at {}", self.socket.display()),
        }
    }
}

impl AgentOptions {
    /// Asks the agent.
    ///
    /// # Errors
    /// When there is none, it doesn't answer, or it can't answer this.
    pub(crate) fn ask(&self, request: Request) -> anyhow::Result<Answered> {
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => {
                let config = run::configure(self.config.as_deref(), &self.options)?;
                super::socket(&config).context("runtime_directory is empty, so no agent listens")?
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let asked = runtime.block_on(async { Connection::open(&socket).await?.ask(request).await });
        let reply = asked.map_err(|error| unanswered(&socket, error))?;
        let answered = Answered { socket, reply };
        if let Some(error) = answered.reply["error"].as_str() {
            let version = answered.reply["version"].as_str();
            match version.filter(|version| *version != env!("CARGO_PKG_VERSION")) {
                Some(version) => bail!(
                    "{} is Lanner {version} and this is {}: {error}",
                    answered.name(),
                    env!("CARGO_PKG_VERSION")
                ),
                None => bail!("{} says: {error}", answered.name()),
            }
        }
        Ok(answered)
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// Why nobody answered, and what to do.
fn unanswered(socket: &Path, error: io::Error) -> anyhow::Error {
    let path = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound => anyhow::anyhow!(
            "no Lanner listens at {path}: start it (lanner, or systemctl start lanner), or say where it listens, by \
             --socket, -c or -o runtime_directory=…"
        ),
        // What the kernel says of everything that is no socket.
        io::ErrorKind::ConnectionRefused if !is_socket(socket) => {
            anyhow::anyhow!("{path} is no socket: a Lanner listens at NAME.sock in its runtime_directory")
        }
        io::ErrorKind::ConnectionRefused => anyhow::anyhow!(
            "nobody listens at {path} any more: the Lanner that made it ended without a word; start it again"
        ),
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("{path}: only the user that Lanner runs as may ask it (try sudo)")
        }
        io::ErrorKind::TimedOut => {
            anyhow::anyhow!(
                "the Lanner at {path} did not answer within {} s",
                ANSWER.as_secs()
            )
        }
        _ => anyhow::Error::new(error).context(format!("cannot ask the Lanner at {path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_socket_is_called_that() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let ended = folder.path().join("ended.sock");
        drop(std::os::unix::net::UnixListener::bind(&ended).unwrap());
        let said = |path: &Path| {
            let options = AgentOptions {
                config: None,
                options: Vec::new(),
                socket: Some(path.to_owned()),
            };
            options.ask(Request::Status).unwrap_err().to_string()
        };
        for path in [file.as_path(), folder.path()] {
            let said = said(path);
            assert!(said.contains("is no socket"), "{said}");
        }
        assert!(said(&ended).contains("any more"), "{}", said(&ended));
        assert!(said(&folder.path().join("none")).starts_with("no Lanner listens at"));
    }
}
