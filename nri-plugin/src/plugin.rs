//! One connection to the runtime, as far as it waits: reading, writing, time limits. What is said is in
//! [`crate::conversation`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot, watch};

use crate::containerd::Reconcile;
use crate::conversation::Conversation;
use crate::mux::MuxError;
use crate::registry::Registry;
use crate::seccomp::Notify;
use crate::status::Status;
use crate::ttrpc::TtrpcError;

/// How often the connection looks after the rest: expired entries, a socket that was replaced.
const TICK: Duration = Duration::from_secs(1);

/// How long the runtime may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// From our registration to the end of Synchronize. Its own limits are 5 s and 2 s, but it registers plugins one after
    /// another, and a silent one ahead of us costs it 5 s.
    pub registration: Duration,
    /// To take a reply. It gives up on us after 2 s, unless it is configured otherwise.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            registration: Duration::from_secs(30),
            request: Duration::from_secs(2),
        }
    }
}

/// Why a connection ended, other than by the runtime closing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the runtime refused the plugin: {0}")]
    Refused(String),
    #[error("the runtime did not register the plugin within {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("not the NRI protocol: {0}")]
    Mux(#[from] MuxError),
    #[error("not the NRI protocol: {0}")]
    Ttrpc(#[from] TtrpcError),
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
    #[error("the runtime took no reply for {} ms", .0.as_millis())]
    Stuck(Duration),
}

/// How a connection ended well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The runtime closed it (a restart, or it dropped us).
    Closed,
    /// Another socket is at the path now: a new runtime.
    Replaced,
    /// We are to stop.
    Shutdown,
}

/// Everything that outlives a connection.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) index: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) status: Arc<Status>,
    /// Where the configuration goes that the runtime has for a plugin it started: that of the first connection.
    pub(crate) configured: Mutex<Option<oneshot::Sender<String>>>,
    /// Containers whose pods ask for it get a seccomp policy that notifies.
    pub(crate) notify: Option<Notify>,
    /// Told after each Synchronize, and after each connection.
    pub(crate) reconcile: Option<mpsc::Sender<Reconcile>>,
}

impl Plugin {
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        // The registry is consistent between its calls; a panic in one must not end all the others.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reconcile(&self) {
        if let Some(reconcile) = &self.reconcile {
            // A full channel means one is under way already.
            let _ = reconcile.try_send(Reconcile);
        }
    }

    /// Serves one connection until it ends. `replaced` tells whether another socket is at the path by now.
    pub(crate) async fn serve<S>(
        self: &Arc<Self>,
        stream: S,
        replaced: impl Fn() -> bool,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Result<Ended, SessionError>
    where
        S: AsyncRead + AsyncWrite,
    {
        let result = self.converse(stream, replaced, shutdown).await;
        let mut registry = self.registry();
        registry.disconnected();
        registry.set_told(false);
        drop(registry);
        // Others than the runtime tell of more while it tells of nothing.
        self.reconcile();
        result
    }

    async fn converse<S>(
        self: &Arc<Self>,
        stream: S,
        replaced: impl Fn() -> bool,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Result<Ended, SessionError>
    where
        S: AsyncRead + AsyncWrite,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut conversation = Conversation::new(Arc::clone(self));
        let mut buffer = vec![0; 16 * 1024];
        let mut out = Vec::new();

        conversation.begin(&mut out);
        self.write(&mut writer, &out).await?;
        let deadline = tokio::time::Instant::now() + self.timeouts.registration;
        let mut tick = tokio::time::Instant::now() + TICK;
        loop {
            let read = tokio::select! {
                // Requests first: nothing else is as urgent as an answer.
                biased;
                read = reader.read(&mut buffer) => Some(read?),
                () = tokio::time::sleep_until(tick) => None,
                () = tokio::time::sleep_until(deadline), if !conversation.is_registered() => None,
                // An error means that nobody can ask us to stop any more: stop.
                _ = shutdown.wait_for(|stop| *stop) => return Ok(Ended::Shutdown),
            };
            match read {
                Some(0) => {
                    conversation.closed();
                    return Ok(Ended::Closed);
                }
                Some(read) => {
                    out.clear();
                    let result = conversation.receive(&buffer[..read], Instant::now(), &mut out);
                    if !out.is_empty() {
                        let written = self.write(&mut writer, &out).await;
                        if written.is_ok() {
                            conversation.written();
                        }
                        conversation.take_in();
                        written?;
                    }
                    result?;
                }
                None => {}
            }
            // A runtime that never stops talking must not keep us from the rest.
            let now = tokio::time::Instant::now();
            if !conversation.is_registered() && now >= deadline {
                return Err(SessionError::Silent(self.timeouts.registration));
            }
            if now >= tick {
                tick = now + TICK;
                self.registry().sweep(Instant::now());
                if replaced() {
                    return Ok(Ended::Replaced);
                }
                if *shutdown.borrow() {
                    return Ok(Ended::Shutdown);
                }
            }
        }
    }

    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), SessionError> {
        let limit = self.timeouts.request;
        tokio::time::timeout(limit, writer.write_all(bytes))
            .await
            .map_err(|_| SessionError::Stuck(limit))??;
        Ok(())
    }
}
