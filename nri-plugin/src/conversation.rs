//! What is said on one connection: bytes of the runtime in, bytes for it out, and nothing that waits.
//!
//! An answer depends on the registry alone, which is local and quick; whatever goes wrong, a panic
//! included, is counted and answered with success: an error would fail the runtime's operation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use prost::Message as _;
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use crate::api::{self, Event, state_change, synchronize};
use crate::limits::Trim;
use crate::mux::{self, Demux};
use crate::plugin::{Plugin, SessionError};
use crate::status::{Complaint, State, Status};
use crate::ttrpc::{self, Decoder, Incoming, Response, code};

/// The stream id of the only call we make.
const REGISTER_STREAM: u32 = 1;
/// Characters of a name that the runtime gets back.
const ECHO: usize = 200;

/// See the module.
#[derive(Debug)]
pub(crate) struct Conversation {
    plugin: Arc<Plugin>,
    demux: Demux,
    /// What the runtime asks of us.
    calls: Decoder,
    /// What it answers to our registration.
    answers: Decoder,
    runtime: String,
    version: String,
    nri: String,
    accepted: bool,
    synchronized: bool,
    /// The runtime started us: where the configuration goes that it has for us.
    configured: Option<oneshot::Sender<String>>,
    /// It did, and gave that. From containerd 1.7 such a plugin gets no Synchronize.
    is_preinstalled: bool,
    counted: bool,
    unknown: u64,
    /// When each request came in whose reply is not written yet, and whether it was a StartContainer.
    unwritten: Vec<(Instant, bool)>,
    /// What is answered before it is taken in, in the order in which it came.
    told: Vec<Told>,
}

/// Something that the runtime does not wait for.
#[derive(Debug)]
enum Told {
    /// A `StateChangeEvent`.
    Change(Vec<u8>),
    /// A [`api::LifecycleRequest`] of this event.
    Request(Event, Vec<u8>),
}

/// A reply, and whether it answers a StartContainer.
struct Reply {
    response: Response,
    start: bool,
}

impl Conversation {
    pub(crate) fn new(plugin: Arc<Plugin>) -> Self {
        let configured = plugin
            .configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Self {
            plugin,
            configured,
            is_preinstalled: false,
            counted: false,
            demux: Demux::default(),
            calls: Decoder::default(),
            answers: Decoder::default(),
            runtime: String::new(),
            version: String::new(),
            nri: String::new(),
            accepted: false,
            synchronized: false,
            unknown: 0,
            unwritten: Vec::new(),
            told: Vec::new(),
        }
    }

    /// True once the runtime accepted us and told of all that runs, in whichever order.
    pub(crate) fn is_registered(&self) -> bool {
        self.accepted && (self.synchronized || self.is_preinstalled)
    }

    /// What we begin with: our registration.
    pub(crate) fn begin(&self, out: &mut Vec<u8>) {
        let request = api::RegisterPluginRequest {
            plugin_name: self.plugin.name.clone(),
            plugin_idx: self.plugin.index.clone(),
        };
        let timeout = self.plugin.timeouts.registration.as_nanos();
        let call = ttrpc::Request {
            service: api::RUNTIME_SERVICE.into(),
            method: "RegisterPlugin".into(),
            payload: request.encode_to_vec(),
            timeout_nano: i64::try_from(timeout).unwrap_or(0),
        };
        mux::frames(mux::RUNTIME, &ttrpc::encode_request(REGISTER_STREAM, &call), out);
    }

    /// Takes what the runtime sent and appends the replies to `out`.
    ///
    /// # Errors
    /// When it is not the protocol, or the runtime refuses us: the connection is over.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        arrived: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), SessionError> {
        let (calls, answers) = (&mut self.calls, &mut self.answers);
        let taken = self.demux.push(bytes, |connection, chunk| match connection {
            mux::PLUGIN => calls.push(chunk),
            _ => answers.push(chunk),
        });
        self.count_unknown();
        taken?;
        while let Some(answer) = self.answers.next()? {
            self.answer(answer)?;
        }
        while let Some(call) = self.calls.next()? {
            let Some((stream, reply)) = self.call(call) else {
                continue;
            };
            mux::frames(mux::PLUGIN, &ttrpc::encode_response(stream, &reply.response), out);
            self.unwritten.push((arrived, reply.start));
        }
        Ok(())
    }

    /// The replies are written. What else they were about is to be taken in now ([`Conversation::take_in`]).
    pub(crate) fn written(&mut self) {
        let status = &self.plugin.status;
        for (arrived, start) in self.unwritten.drain(..) {
            let took = arrived.elapsed();
            status.replies.add(took);
            if start {
                status.starts.add(took);
            }
        }
    }

    /// Takes in what was answered already: before anything else is read, and before a container starts.
    pub(crate) fn take_in(&mut self) {
        for told in std::mem::take(&mut self.told) {
            let taken = catch_unwind(AssertUnwindSafe(|| match &told {
                Told::Change(payload) => {
                    if let Some(change) = self.decode::<api::StateChangeEvent>(payload) {
                        match Event::from_number(change.event) {
                            Some(event) => self.event(event, change.pod, change.container),
                            // Of a newer runtime, though we did not ask for it.
                            None => debug!(number = change.event, "an event that is not known"),
                        }
                    }
                }
                Told::Request(event, payload) => {
                    if let Some(request) = self.decode::<api::LifecycleRequest>(payload) {
                        self.event(*event, request.pod, request.container);
                    }
                }
            }));
            if taken.is_err() {
                match told {
                    Told::Change(_) => self.panicked("StateChange"),
                    Told::Request(event, _) => self.panicked(&format!("{event:?}")),
                }
            }
        }
    }

    /// The runtime closed the connection. In the middle of a message is as good as between two: it crashed.
    pub(crate) fn closed(&self) {
        if !self.demux.at_boundary() {
            debug!("the connection ended in the middle of a frame");
        }
    }

    fn status(&self) -> &Status {
        &self.plugin.status
    }

    fn count_unknown(&mut self) {
        let unknown = self.demux.unknown_frames();
        let new = unknown - self.unknown;
        self.unknown = unknown;
        if new > 0 {
            Status::add(&self.status().unknown_frames, new);
            if self.status().first(Complaint::UnknownConnection) {
                warn!(
                    "NRI: the runtime sends frames on connections that nobody has; they are dropped and counted"
                );
            }
        }
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) {
        Status::count(&self.status().errors);
        match self.status().first(Complaint::Unreadable) {
            true => warn!(
                "NRI: a message of the runtime can't be read: {error}. It is answered with success where it can be, and more of them \
                 are only counted"
            ),
            false => debug!(%error, "a message that can't be read"),
        }
    }

    /// A request that lacks what it is about.
    fn incomplete(&self, method: &str) {
        Status::count(&self.status().errors);
        if self.status().first(Complaint::Incomplete) {
            warn!(
                "NRI: a {method} of the runtime does not say what it is about; more of them are only counted"
            );
        }
    }

    /// Takes the answer to our registration.
    fn answer(&mut self, answer: Incoming) -> Result<(), SessionError> {
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
                self.unreadable(&"an answer to nothing that was asked");
                return Ok(());
            }
        };
        match result {
            Ok(_) if !self.accepted => {
                self.accepted = true;
                self.registered();
                Ok(())
            }
            // Once is enough.
            Ok(_) => Ok(()),
            Err(status) => Err(SessionError::Refused(clipped(&status.message).to_owned())),
        }
    }

    /// The reply to one call of the runtime, with its stream. `None` for what takes no reply.
    fn call(&mut self, call: Incoming) -> Option<(u32, Reply)> {
        let (stream, request) = match call {
            Incoming::Request { stream, request } => (stream, request),
            Incoming::Bad {
                stream,
                is_request,
                status,
            } => {
                self.unreadable(&status.message);
                // There is nothing to act on, and the runtime should know that its message went wrong.
                let response = Response {
                    status: Some(status),
                    payload: Vec::new(),
                };
                return is_request.then_some((
                    stream,
                    Reply {
                        response,
                        start: false,
                    },
                ));
            }
            Incoming::Response { .. } => {
                self.unreadable(&"an answer on the connection for requests");
                return None;
            }
        };
        let ttrpc::Request {
            service,
            method,
            mut payload,
            ..
        } = request;
        let mut start = false;
        let answer = match service == api::PLUGIN_SERVICE {
            true => catch_unwind(AssertUnwindSafe(|| {
                self.method(&method, &mut payload, &mut start)
            }))
            .unwrap_or_else(|_| {
                self.panicked(&method);
                Some(said_in_panic(&method, &payload))
            }),
            false => None,
        };
        let response = match answer {
            Some(payload) => Response {
                status: Some(ttrpc::Status::new(code::OK, "")),
                payload,
            },
            None => {
                debug!(
                    service = clipped(&service),
                    method = clipped(&method),
                    "unknown method"
                );
                let message = format!("/{}/{}", clipped(&service), clipped(&method));
                Response {
                    status: Some(ttrpc::Status::new(code::UNIMPLEMENTED, message)),
                    payload: Vec::new(),
                }
            }
        };
        Some((stream, Reply { response, start }))
    }

    fn panicked(&self, method: &str) {
        Status::count(&self.status().panics);
        if self.status().first(Complaint::Panic) {
            warn!(
                "a bug of Lanner: it panicked over a {} of the runtime, which got its answer all the same; more of them are only counted",
                clipped(method)
            );
        }
    }

    /// Runs a method; `None` when there is none of this name. What the runtime does not wait for takes the payload.
    fn method(&mut self, method: &str, payload: &mut Vec<u8>, start: &mut bool) -> Option<Vec<u8>> {
        let mut adjusted = None;
        let told = match method {
            "Configure" => return Some(self.configure(payload)),
            "Synchronize" => {
                self.take_in();
                return Some(self.synchronize(payload));
            }
            "Shutdown" => {
                self.shutdown(payload);
                return Some(Vec::new());
            }
            "StateChange" => {
                let number = api::each_part(payload, 0, state_change::EVENT, &mut |_| ()).unwrap_or(0);
                *start = number == Event::StartContainer as u64;
                Told::Change(std::mem::take(payload))
            }
            _ => {
                let event = Event::from_method(method)?;
                *start = event == Event::StartContainer;
                if event == Event::CreateContainer {
                    adjusted = self.adjusted(payload);
                }
                Told::Request(event, std::mem::take(payload))
            }
        };
        if *start {
            // What came before it.
            self.take_in();
        }
        self.told.push(told);
        // Its first instruction waits for the answer, and finds its container known. All else that is told of it is taken in later.
        if *start && !self.starts() {
            self.take_in();
        }
        Some(adjusted.map_or_else(Vec::new, |response| response.encode_to_vec()))
    }

    /// Makes the container known whose start was told of last; false when that takes all that is told of it. It has only two things
    /// looked for in what a runtime that waits has sent.
    fn starts(&self) -> bool {
        let (payload, field) = match self.told.last() {
            Some(Told::Change(payload)) => (payload, api::state_change::CONTAINER),
            Some(Told::Request(_, payload)) => (payload, api::lifecycle::CONTAINER),
            None => return false,
        };
        let mut is_known = false;
        let read = api::each_part(payload, field, 0, &mut |container| {
            let mut id = String::new();
            let pid = api::each_part(container, api::container::ID, api::container::PID, &mut |text| {
                id = String::from_utf8_lossy(text).into_owned();
            });
            let pid = pid.ok().and_then(|pid| u32::try_from(pid).ok());
            is_known = pid.is_some_and(|pid| self.plugin.registry().starts(&id, pid));
        });
        read.is_ok() && is_known
    }

    fn configure(&mut self, payload: &[u8]) -> Vec<u8> {
        if let Some(request) = self.decode::<api::ConfigureRequest>(payload) {
            debug!(
                runtime = clipped(&request.runtime_name),
                version = clipped(&request.runtime_version),
                nri = clipped(&request.nri_version),
                registration_timeout_ms = request.registration_timeout,
                request_timeout_ms = request.request_timeout,
                "configured"
            );
            // containerd 2.0 took its name from the last part of its Go module's path.
            self.runtime = match request.runtime_name.as_str() {
                "v2" => "containerd".into(),
                name => clipped(name).to_owned(),
            };
            // Debian's containerd says "2.1.9+unknown": the build metadata tells nobody anything.
            self.version = clipped(request.runtime_version.trim_end_matches("+unknown")).to_owned();
            self.nri = clipped(request.nri_version.trim_start_matches('v')).to_owned();
            self.plugin.registry().runtime(&self.runtime);
            if let Some(sender) = self.configured.take() {
                // Nobody waits for it any more when Lanner is about to end.
                let _ = sender.send(request.config);
                self.is_preinstalled = true;
                self.registered();
            }
        }
        configured()
    }

    fn shutdown(&self, payload: &[u8]) {
        // Up to now it is an empty message; a reason would be its first text.
        let mut reason = String::new();
        let _ = api::each_part(payload, 1, 0, &mut |text| {
            reason = clipped(&String::from_utf8_lossy(text)).to_owned();
        });
        match reason.is_empty() {
            true => info!("NRI: the runtime shuts its plugins down"),
            false => info!("NRI: the runtime shuts its plugins down: {reason}"),
        }
    }

    fn synchronize(&mut self, payload: &[u8]) -> Vec<u8> {
        let plugin = Arc::clone(&self.plugin);
        let mut registry = plugin.registry();
        let now = Instant::now();
        registry.begin_call(now);
        // Pods first, whatever the order on the wire: their containers are named after them.
        let pods = api::each_part(payload, synchronize::PODS, synchronize::MORE, &mut |part| {
            if let Some(mut pod) = self.decode::<api::PodSandbox>(part) {
                self.trim(&mut pod);
                registry.synchronized_pod(&pod);
            }
        });
        let containers = api::each_part(payload, synchronize::CONTAINERS, synchronize::MORE, &mut |part| {
            if let Some(mut container) = self.decode::<api::Container>(part) {
                self.trim(&mut container);
                registry.synchronized_container(&container);
            }
        });
        let more = match pods.and(containers) {
            Ok(0) => {
                registry.synchronized(now);
                false
            }
            Ok(_) => true,
            Err(error) => {
                self.unreadable(&error);
                // What is not named after the damage must not be forgotten.
                registry.disconnected();
                false
            }
        };
        drop(registry);
        if !more && !self.synchronized {
            self.synchronized = true;
            self.registered();
        }
        api::SynchronizeResponse { more }.encode_to_vec()
    }

    /// Accepted and synchronised, in whichever order: the connection is whole.
    fn registered(&mut self) {
        if !self.is_registered() {
            return;
        }
        if !std::mem::replace(&mut self.counted, true) {
            Status::count(&self.status().connections);
        }
        let state = State::Registered {
            runtime: self.runtime.clone(),
            version: self.version.clone(),
            nri: self.nri.clone(),
        };
        if self.status().enter(state) {
            info!("NRI: {}", self.status());
        }
        self.plugin.registry().set_told(true);
        self.plugin.reconcile();
    }

    fn event(&self, event: Event, mut pod: Option<api::PodSandbox>, mut container: Option<api::Container>) {
        Status::count(&self.status().events);
        if let Some(pod) = &mut pod {
            self.trim(pod);
        }
        if let Some(container) = &mut container {
            self.trim(container);
        }
        let (now, pod) = (Instant::now(), pod.as_ref());
        let mut registry = self.plugin.registry();
        registry.begin_call(now);
        match (event, pod, &container) {
            (Event::RunPodSandbox, Some(pod), _) => registry.pod_started(pod),
            (Event::RemovePodSandbox, Some(pod), _) => registry.removed(&pod.id, now),
            (Event::CreateContainer, pod, Some(container)) => registry.created(pod, container),
            (Event::StartContainer, pod, Some(container)) => registry.started(pod, container),
            (Event::RemoveContainer, _, Some(container)) => registry.removed(&container.id, now),
            (
                Event::RunPodSandbox
                | Event::RemovePodSandbox
                | Event::CreateContainer
                | Event::StartContainer
                | Event::RemoveContainer,
                _,
                _,
            ) => {
                drop(registry);
                self.incomplete(&format!("{event:?}"));
            }
            // Not subscribed to. Should they come all the same, an error could fail the operation.
            _ => {}
        }
    }

    /// What a container is changed in before it is created. Mostly nothing.
    fn adjusted(&self, payload: &[u8]) -> Option<api::CreateContainerResponse> {
        let notify = self.plugin.notify.as_ref()?;
        // What can't be read is said when it is taken in.
        let request = api::LifecycleRequest::decode(payload).ok()?;
        let container = request.container.as_ref()?;
        if !notify.is_asked_for(request.pod.as_ref()) {
            return None;
        }
        match notify.adjustment(container) {
            Ok(adjustment) => {
                Status::count(&self.status().notified);
                Some(adjustment)
            }
            Err(why) => {
                Status::count(&self.status().not_notified);
                if self.status().first(Complaint::NotNotified) {
                    warn!(
                        "container {} asks for {} and gets none: {why}; more of them are only counted",
                        clipped(&container.name),
                        crate::seccomp::ANNOTATION,
                    );
                }
                None
            }
        }
    }

    fn trim(&self, message: &mut impl Trim) {
        let cut = message.trim();
        if cut > 0 {
            Status::add(&self.status().cut, cut);
            if self.status().first(Complaint::Cut) {
                warn!(
                    "NRI: the runtime gives labels or names that are too long to keep; they are cut, and counted"
                );
            }
        }
    }

    fn decode<M: prost::Message + Default>(&self, payload: &[u8]) -> Option<M> {
        M::decode(payload).map_err(|error| self.unreadable(&error)).ok()
    }
}

/// What is answered when the handler of a method panicked: what it would have said, without what it would have done.
fn said_in_panic(method: &str, payload: &[u8]) -> Vec<u8> {
    match method {
        "Configure" => configured(),
        "Synchronize" => {
            let more = api::each_part(payload, 0, synchronize::MORE, &mut |_| ()).unwrap_or(0) != 0;
            api::SynchronizeResponse { more }.encode_to_vec()
        }
        _ => Vec::new(),
    }
}

fn configured() -> Vec<u8> {
    api::ConfigureResponse {
        events: Event::mask(),
    }
    .encode_to_vec()
}

/// The first characters of a text that goes into a log line or back to the runtime.
fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(ECHO)]
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
