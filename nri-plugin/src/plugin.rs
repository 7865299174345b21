//! One connection to the runtime: registration, and the answers to what the runtime asks.
//!
//! Nothing here holds a container back. An answer depends on the registry and the cgroup map alone, both local and
//! quick; whatever goes wrong is counted and answered with success.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info};

use crate::api::{self, Event};
use crate::images::Reconcile;
use crate::mux::{self, Demux, MuxError};
use crate::registry::Registry;
use crate::status::{State, Status};
use crate::ttrpc::{self, Decoder, Incoming, Response, TtrpcError, code};

/// How long the runtime has from our registration to the end of Synchronize. Its own limits are 5 s and 2 s, but it
/// registers plugins one after another, and a silent one ahead of us costs it 5 s.
const REGISTRATION: Duration = Duration::from_secs(30);
/// How long a reply may take to be written. The runtime gives up on us after 2 s.
const WRITE: Duration = Duration::from_secs(2);
/// How often the connection looks after the rest: expired entries, a socket that was replaced.
const TICK: Duration = Duration::from_secs(1);
/// The stream id of the only call we make.
const REGISTER_STREAM: u32 = 1;

/// Why a connection ended, other than by the runtime closing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the runtime refused the plugin: {0}")]
    Refused(String),
    #[error("the runtime did not register the plugin within {} s", REGISTRATION.as_secs())]
    Silent,
    #[error("not the NRI protocol: {0}")]
    Mux(#[from] MuxError),
    #[error("not the NRI protocol: {0}")]
    Ttrpc(#[from] TtrpcError),
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
    #[error("the runtime took no reply for {} s", WRITE.as_secs())]
    Stuck,
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
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) status: Arc<Status>,
    /// Told after each Synchronize.
    pub(crate) reconcile: Option<mpsc::Sender<Reconcile>>,
}

/// What one connection has learnt so far.
#[derive(Debug, Default)]
struct Session {
    runtime: String,
    version: String,
    accepted: bool,
    synchronized: bool,
}

/// A reply, and when it answers a StartContainer, when that came in.
struct Reply {
    response: Response,
    start: Option<Instant>,
}

impl Plugin {
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        // The registry is consistent between its calls; a panic in one must not end all the others.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection until it ends. `replaced` tells whether another socket is at the path by now.
    pub(crate) async fn serve<S>(
        &self,
        stream: S,
        replaced: impl Fn() -> bool,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Result<Ended, SessionError>
    where
        S: AsyncRead + AsyncWrite,
    {
        let result = self.converse(stream, replaced, shutdown).await;
        self.registry().disconnected();
        result
    }

    async fn converse<S>(
        &self,
        stream: S,
        replaced: impl Fn() -> bool,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Result<Ended, SessionError>
    where
        S: AsyncRead + AsyncWrite,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut session = Session::default();
        let mut demux = Demux::default();
        let (mut calls, mut answers) = (Decoder::default(), Decoder::default());
        let mut unknown = 0;
        let mut buffer = vec![0; 16 * 1024];
        let mut out = Vec::new();

        mux::frames(mux::RUNTIME, &self.register(), &mut out);
        write(&mut writer, &out).await?;
        let deadline = tokio::time::Instant::now() + REGISTRATION;
        let mut tick = tokio::time::interval(TICK);
        loop {
            let read = tokio::select! {
                // Requests first: nothing else is as urgent as an answer.
                biased;
                read = reader.read(&mut buffer) => read?,
                _ = tick.tick() => {
                    self.registry().sweep(Instant::now());
                    if replaced() {
                        return Ok(Ended::Replaced);
                    }
                    continue;
                }
                () = tokio::time::sleep_until(deadline), if !session.synchronized => {
                    return Err(SessionError::Silent);
                }
                // An error means that nobody can ask us to stop any more: stop.
                _ = shutdown.wait_for(|stop| *stop) => return Ok(Ended::Shutdown),
            };
            if read == 0 {
                return Ok(Ended::Closed);
            }
            let arrived = Instant::now();
            demux.push(&buffer[..read], |connection, chunk| match connection {
                mux::PLUGIN => calls.push(chunk),
                _ => answers.push(chunk),
            })?;
            for _ in unknown..demux.unknown_frames() {
                Status::count(&self.status.unknown_frames);
            }
            unknown = demux.unknown_frames();
            while let Some(answer) = answers.next()? {
                self.answer(&mut session, answer)?;
            }
            out.clear();
            let mut starts = VecDeque::new();
            while let Some(call) = calls.next()? {
                let Some((stream, reply)) = self.call(&mut session, call, arrived) else {
                    continue;
                };
                mux::frames(
                    mux::PLUGIN,
                    &ttrpc::encode_response(stream, &reply.response),
                    &mut out,
                );
                starts.extend(reply.start);
            }
            if !out.is_empty() {
                write(&mut writer, &out).await?;
            }
            for start in starts {
                self.status.start_answered(start.elapsed());
            }
        }
    }

    fn register(&self) -> Vec<u8> {
        let request = api::RegisterPluginRequest {
            plugin_name: self.name.clone(),
            plugin_idx: self.index.clone(),
        };
        ttrpc::encode_request(
            REGISTER_STREAM,
            &ttrpc::Request {
                service: api::RUNTIME_SERVICE.into(),
                method: "RegisterPlugin".into(),
                payload: request.encode_to_vec(),
                timeout_nano: i64::try_from(REGISTRATION.as_nanos()).unwrap_or(0),
            },
        )
    }

    /// Takes the answer to our registration.
    fn answer(&self, session: &mut Session, answer: Incoming) -> Result<(), SessionError> {
        let result = match answer {
            Incoming::Response {
                stream: REGISTER_STREAM,
                response,
            } => response.into_result(),
            Incoming::Bad {
                stream: REGISTER_STREAM,
                is_request: false,
                status,
            } => Err(status),
            _ => {
                Status::count(&self.status.errors);
                return Ok(());
            }
        };
        match result {
            Ok(_) => {
                session.accepted = true;
                self.registered(session);
                Ok(())
            }
            Err(status) => Err(SessionError::Refused(status.message)),
        }
    }

    /// The reply to one call of the runtime, with its stream. `None` for what takes no reply.
    fn call(&self, session: &mut Session, call: Incoming, arrived: Instant) -> Option<(u32, Reply)> {
        let (stream, request) = match call {
            Incoming::Request { stream, request } => (stream, request),
            Incoming::Bad {
                stream,
                is_request,
                status,
            } => {
                Status::count(&self.status.errors);
                // There is nothing to act on, and the runtime should know that its message went wrong.
                let response = Response {
                    status: Some(status),
                    payload: Vec::new(),
                };
                return is_request.then_some((
                    stream,
                    Reply {
                        response,
                        start: None,
                    },
                ));
            }
            Incoming::Response { .. } => {
                Status::count(&self.status.errors);
                return None;
            }
        };
        let mut start = None;
        let answer = if request.service == api::PLUGIN_SERVICE {
            self.method(session, &request.method, &request.payload, &mut start)
        } else {
            None
        };
        let response = match answer {
            Some(payload) => Response {
                status: Some(ttrpc::Status::new(code::OK, "")),
                payload,
            },
            None => {
                debug!(
                    service = request.service,
                    method = request.method,
                    "unknown method"
                );
                let message = format!("/{}/{}", request.service, request.method);
                let status = ttrpc::Status::new(code::UNIMPLEMENTED, message);
                Response {
                    status: Some(status),
                    payload: Vec::new(),
                }
            }
        };
        Some((
            stream,
            Reply {
                response,
                start: start.map(|()| arrived),
            },
        ))
    }

    /// Runs a method; `None` when there is none of this name.
    fn method(
        &self,
        session: &mut Session,
        method: &str,
        payload: &[u8],
        start: &mut Option<()>,
    ) -> Option<Vec<u8>> {
        match method {
            "Configure" => Some(self.configure(session, payload)),
            "Synchronize" => Some(self.synchronize(session, payload)),
            "StateChange" => {
                if let Some(change) = self.decode::<api::StateChangeEvent>(payload) {
                    let event = Event::from_number(change.event);
                    *start = (event == Some(Event::StartContainer)).then_some(());
                    if let Some(event) = event {
                        self.event(event, change.pod.as_ref(), change.container.as_ref());
                    }
                }
                Some(Vec::new())
            }
            // Not subscribed to. Should they come all the same, an error could fail the operation.
            "Shutdown"
            | "UpdateContainer"
            | "StopContainer"
            | "UpdatePodSandbox"
            | "ValidateContainerAdjustment" => Some(Vec::new()),
            _ => {
                let event = Event::from_method(method)?;
                *start = (event == Event::StartContainer).then_some(());
                if let Some(request) = self.decode::<api::LifecycleRequest>(payload) {
                    self.event(event, request.pod.as_ref(), request.container.as_ref());
                }
                Some(Vec::new())
            }
        }
    }

    fn configure(&self, session: &mut Session, payload: &[u8]) -> Vec<u8> {
        if let Some(request) = self.decode::<api::ConfigureRequest>(payload) {
            debug!(
                runtime = request.runtime_name,
                version = request.runtime_version,
                nri = request.nri_version,
                request_timeout_ms = request.request_timeout,
                "configured"
            );
            session.runtime = request.runtime_name;
            // Debian's containerd says "2.1.9+unknown": the build metadata tells nobody anything.
            session.version = request.runtime_version.trim_end_matches("+unknown").to_owned();
        }
        api::ConfigureResponse {
            events: Event::mask(),
        }
        .encode_to_vec()
    }

    fn synchronize(&self, session: &mut Session, payload: &[u8]) -> Vec<u8> {
        let Some(request) = self.decode::<api::SynchronizeRequest>(payload) else {
            return Vec::new();
        };
        self.registry().synchronize(&request, Instant::now());
        if !request.more {
            session.synchronized = true;
            self.registered(session);
        }
        api::SynchronizeResponse { more: request.more }.encode_to_vec()
    }

    /// Accepted and synchronised, in whichever order: the connection is whole.
    fn registered(&self, session: &Session) {
        if !(session.accepted && session.synchronized) {
            return;
        }
        Status::count(&self.status.connections);
        let (runtime, version) = (session.runtime.clone(), session.version.clone());
        if self.status.enter(State::Registered { runtime, version }) {
            info!("NRI: {}", self.status);
        }
        if let Some(reconcile) = &self.reconcile {
            // A full channel means one is under way already.
            let _ = reconcile.try_send(Reconcile);
        }
    }

    fn event(&self, event: Event, pod: Option<&api::PodSandbox>, container: Option<&api::Container>) {
        Status::count(&self.status.events);
        let mut registry = self.registry();
        match (event, pod, container) {
            (Event::RunPodSandbox, Some(pod), _) => registry.pod_started(pod),
            (Event::RemovePodSandbox, Some(pod), _) => registry.removed(&pod.id, Instant::now()),
            (Event::CreateContainer, pod, Some(container)) => registry.created(pod, container),
            (Event::StartContainer, pod, Some(container)) => registry.started(pod, container),
            (Event::PostStartContainer, pod, Some(container)) => registry.post_started(pod, container),
            (Event::RemoveContainer, _, Some(container)) => registry.removed(&container.id, Instant::now()),
            _ => Status::count(&self.status.errors),
        }
    }

    fn decode<M: prost::Message + Default>(&self, payload: &[u8]) -> Option<M> {
        match M::decode(payload) {
            Ok(message) => Some(message),
            Err(error) => {
                Status::count(&self.status.errors);
                debug!(%error, "a request that can't be read");
                None
            }
        }
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), SessionError> {
    tokio::time::timeout(WRITE, writer.write_all(bytes))
        .await
        .map_err(|_| SessionError::Stuck)??;
    Ok(())
}

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
