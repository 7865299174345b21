//! The agent's end of the control socket.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanner_nri::{State, Status};
use lanner_schema::container::ContainerTable;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::{Mode, REQUEST_MAX, Request};
use crate::command::containers::Row;
use crate::handover::{Claim, Handover, Leaving};
use crate::metrics::Instruments;

/// Connections served at a time; one more is told so.
const CONNECTIONS: usize = 16;
/// How long a connection may say nothing, or not take an answer.
const IDLE: Duration = Duration::from_secs(60);

/// What answers come from.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) mode: Mode,
    /// Seconds since the epoch.
    pub(crate) started: u64,
    pub(crate) table: Arc<ContainerTable>,
    pub(crate) status: Arc<Status>,
    /// How it leaves for a newer agent.
    pub(crate) handover: Arc<Handover>,
    /// What counts.
    instruments: Option<Arc<Instruments>>,
}

impl Agent {
    pub(crate) fn new(
        mode: Mode,
        table: Arc<ContainerTable>,
        status: Arc<Status>,
        handover: Arc<Handover>,
    ) -> Agent {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Agent {
            mode,
            started: now.as_secs(),
            table,
            status,
            handover,
            instruments: None,
        }
    }

    /// It says what these count, too.
    pub(crate) fn with(self, instruments: Arc<Instruments>) -> Agent {
        Agent {
            instruments: Some(instruments),
            ..self
        }
    }

    /// Adds numbers to an answer about how it does.
    async fn add_numbers(&self, answer: &mut Value) {
        let Some(instruments) = self.instruments.clone() else {
            return;
        };
        // It waits for the event thread.
        if let Ok(Value::Object(numbers)) = tokio::task::spawn_blocking(move || instruments.status()).await
            && let Value::Object(answer) = answer
        {
            answer.extend(numbers);
        }
    }

    fn who(&self) -> Value {
        json!({
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
            "runtime": self.status.to_string(),
            "connected": matches!(self.status.state(), State::Registered { .. }),
        })
    }

    fn containers(&self) -> Value {
        let known = self.table.snapshot();
        let rows: Vec<Row> = known.all().map(|container| Row::from(&**container)).collect();
        json!(rows)
    }

    /// The answer, an object. Whatever is asked, it says who answers. `peer` is who asks, on this connection.
    fn answer(&self, request: Request, peer: &mut Peer) -> Value {
        let mut answer = self.who();
        match request {
            Request::Status => {
                answer["mode"] = self.mode.word().into();
                answer["started"] = self.started.into();
                answer["known_containers"] = self.table.snapshot().all().count().into();
            }
            Request::Containers => answer["containers"] = self.containers(),
            Request::Handover => {
                peer.claim = peer.claim.take().or_else(|| self.handover.claim());
                match peer.claim {
                    Some(_) => {
                        answer["containers"] = self.containers();
                        answer["in_a_row"] = self.handover.in_a_row().into();
                    }
                    None => answer["error"] = "another agent is taking over".into(),
                }
            }
            Request::Until(at) => match &peer.claim {
                Some(claim) => claim.leave(Leaving { at, to: peer.process }),
                None => answer["error"] = "until comes after handover".into(),
            },
        }
        answer
    }
}

/// Who asks, on one connection.
#[derive(Debug)]
struct Peer {
    /// Its process id; `None` when that is in another namespace.
    process: Option<i32>,
    claim: Option<Claim>,
}

/// A socket that is listened on; it goes with this value, unless another agent has put its own there.
#[derive(Debug)]
pub(crate) struct Server {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    task: JoinHandle<()>,
}

impl Server {
    /// Listens at `path`, in the place of whatever is there; to be called inside a tokio runtime.
    ///
    /// # Errors
    /// When there can't be a socket.
    pub(crate) fn listen(path: &Path, agent: Arc<Agent>) -> io::Result<Server> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        // At its place it is from the first moment nobody else's to connect to, and one that was there is there until then.
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        let _ = fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside)?;
        let moved = fs::set_permissions(&aside, Permissions::from_mode(0o600))
            .and_then(|()| identity(&aside))
            .and_then(|identity| fs::rename(&aside, path).map(|()| identity));
        let identity = moved.inspect_err(|_| {
            let _ = fs::remove_file(&aside);
        })?;
        Ok(Server {
            path: path.to_owned(),
            identity,
            task: tokio::spawn(accept(listener, agent)),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|data| (data.dev(), data.ino()))
}

async fn accept(listener: UnixListener, agent: Arc<Agent>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No descriptor is free, most likely; it gets better or it doesn't.
                tracing::warn!("control socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let (agent, turn) = (Arc::clone(&agent), Arc::clone(&free).try_acquire_owned());
        connections.spawn(async move {
            let served = match turn {
                Ok(_turn) => serve(stream, &agent).await,
                Err(_) => say(stream, "too many connections").await,
            };
            if let Err(error) = served {
                tracing::debug!("control socket: {error}");
            }
        });
    }
}

async fn serve(stream: UnixStream, agent: &Agent) -> io::Result<()> {
    let mut peer = Peer {
        process: stream.peer_cred()?.pid().filter(|pid| *pid > 0),
        claim: None,
    };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut stream).take(REQUEST_MAX as u64);
        let read = tokio::time::timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        let Some(line) = line.strip_suffix(b"\n") else {
            return say(stream.into_inner(), "no line").await;
        };
        let line = String::from_utf8_lossy(line);
        let answer = match Request::parse(line.trim()) {
            Some(request) => {
                let mut answer = agent.answer(request, &mut peer);
                if request == Request::Status {
                    agent.add_numbers(&mut answer).await;
                }
                answer
            }
            None => {
                // Who asks may be of a newer version.
                let mut answer = agent.who();
                answer["error"] = format!("unknown request {:?}", line.trim()).into();
                answer
            }
        };
        reply(stream.get_mut(), &answer).await?;
    }
}

async fn reply(stream: &mut UnixStream, answer: &Value) -> io::Result<()> {
    let text = format!("{answer}\n");
    tokio::time::timeout(IDLE, stream.write_all(text.as_bytes())).await?
}

async fn say(mut stream: UnixStream, error: &str) -> io::Result<()> {
    reply(&mut stream, &json!({ "error": error })).await
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
