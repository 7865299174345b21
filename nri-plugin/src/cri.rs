//! The runtime's CRI service, for what NRI does not tell of a pod and of an image: addresses, what the network plugin did,
//! whether the sandbox is privileged, the image's id.
//!
//! As with [`crate::images`], everything here happens beside the runtime's calls. An answer that comes late updates the
//! table; one that never comes leaves the fields empty, and both are counted.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use containerd_client::tonic::client::Grpc;
use containerd_client::tonic::codegen::http::uri::PathAndQuery;
use containerd_client::tonic::transport::Channel;
use containerd_client::tonic::{Code, Request, Response, Status as RpcStatus};
use prost::Message;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tonic_prost::ProstCodec;
use tracing::debug;

use crate::registry::Registry;
use crate::socket;
use crate::status::Status;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
/// Attempts per question: the runtime tells of a sandbox a moment before its CRI service knows all of it. Together they take
/// seven seconds.
const ATTEMPTS: u32 = 14;
/// How long before the second attempt; each later one waits twice as long, up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_millis(5);
const AGAIN_MAX: Duration = Duration::from_secs(1);
/// `NamespaceMode` of a pod that uses the host's network.
const NODE: i32 = 2;
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Questions that wait for the runtime, at most; older ones are given up.
const WAITING_MAX: usize = 4096;
/// The longest text about a pod's network that is kept: Falco's limit.
const CNI_MAX: usize = 4096;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// About the pod with this sandbox.
    Pod(String),
    /// The id of the image of this container.
    Image { container: String, image: String },
}

/// What is told of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PodFacts {
    /// Its addresses, the first one first.
    pub(crate) addresses: Vec<String>,
    /// The interfaces the network plugin made, as JSON.
    pub(crate) cni_json: Option<String>,
    /// The sandbox was asked to be privileged.
    pub(crate) privileged: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxStatusRequest {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
    #[prost(bool, tag = "2")]
    verbose: bool,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxStatusResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<PodSandboxStatus>,
    #[prost(map = "string, string", tag = "2")]
    info: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxStatus {
    #[prost(message, optional, tag = "5")]
    network: Option<PodSandboxNetworkStatus>,
    #[prost(message, optional, tag = "6")]
    linux: Option<LinuxPodSandboxStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxPodSandboxStatus {
    #[prost(message, optional, tag = "1")]
    namespaces: Option<Namespace>,
}

#[derive(Clone, PartialEq, Message)]
struct Namespace {
    #[prost(message, optional, tag = "2")]
    options: Option<NamespaceOption>,
}

#[derive(Clone, PartialEq, Message)]
struct NamespaceOption {
    #[prost(int32, tag = "1")]
    network: i32,
}

impl PodSandboxStatusResponse {
    /// The pod uses the host's network, and so has no address of its own.
    fn is_on_host_network(&self) -> bool {
        let linux = self.status.as_ref().and_then(|status| status.linux.as_ref());
        let options = linux.and_then(|linux| linux.namespaces.as_ref()?.options.as_ref());
        options.is_some_and(|options| options.network == NODE)
    }
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxNetworkStatus {
    #[prost(string, tag = "1")]
    ip: String,
    #[prost(message, repeated, tag = "2")]
    additional_ips: Vec<PodIp>,
}

#[derive(Clone, PartialEq, Message)]
struct PodIp {
    #[prost(string, tag = "1")]
    ip: String,
}

#[derive(Clone, PartialEq, Message)]
struct ImageStatusRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct ImageStatusResponse {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(string, tag = "1")]
    id: String,
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Cri {
    pub(crate) address: PathBuf,
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) status: Arc<Status>,
}

struct Waiting {
    question: Question,
    attempts: u32,
    /// Not to be asked before this.
    due: Instant,
}

impl Cri {
    /// Answers questions until `shutdown`.
    pub(crate) async fn run(
        self,
        mut questions: mpsc::Receiver<Question>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut channel: Option<Channel> = None;
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let mut backoff = BACKOFF_MIN;
        // While the runtime can't be reached nothing is due before this.
        let mut unreachable_until = Instant::now();
        loop {
            let due = waiting.iter().map(|next| next.due).min();
            let due = due.map(|due| due.max(unreachable_until));
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                question = questions.recv() => match question {
                    Some(question) => {
                        if waiting.len() >= WAITING_MAX && let Some(oldest) = waiting.pop_front() {
                            self.give_up(&oldest.question);
                        }
                        waiting.push_back(Waiting { question, attempts: 0, due: Instant::now() });
                        continue;
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {}
            }
            if channel.is_none() {
                let connecting = socket::connect(&self.address);
                match tokio::time::timeout(CALL, connecting).await {
                    Ok(Ok(connected)) => channel = Some(connected),
                    failed => {
                        debug!(error = ?failed.map(|result| result.err()), "connect to CRI");
                        unreachable_until = Instant::now() + backoff;
                        backoff = (backoff * 2).min(BACKOFF_MAX);
                        continue;
                    }
                }
            }
            let Some(connected) = &channel else { continue };
            match self.work(connected, &mut waiting).await {
                Ok(()) => backoff = BACKOFF_MIN,
                Err(status) => {
                    debug!(%status, "CRI call failed");
                    channel = None;
                    unreachable_until = Instant::now() + backoff;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Asks what is due. An error is one of the connection, not of a pod or an image.
    async fn work(&self, channel: &Channel, waiting: &mut VecDeque<Waiting>) -> Result<(), RpcStatus> {
        for _ in 0..waiting.len() {
            let Some(mut next) = waiting.pop_front() else {
                break;
            };
            if next.due > Instant::now() {
                waiting.push_back(next);
                continue;
            }
            match self.ask(channel, &next.question).await {
                Ok(true) => Status::count(&self.status.cri_answers),
                Ok(false) if next.attempts + 1 < ATTEMPTS => {
                    next.due = Instant::now() + (AGAIN * (1 << next.attempts)).min(AGAIN_MAX);
                    next.attempts += 1;
                    waiting.push_back(next);
                }
                Ok(false) => self.give_up(&next.question),
                Err(status) => {
                    waiting.push_front(next);
                    return Err(status);
                }
            }
        }
        Ok(())
    }

    /// Asks one question and hands the answer on; false when the runtime does not know the pod or the image (yet).
    async fn ask(&self, channel: &Channel, question: &Question) -> Result<bool, RpcStatus> {
        match question {
            Question::Pod(sandbox) => {
                let request = PodSandboxStatusRequest {
                    pod_sandbox_id: sandbox.clone(),
                    verbose: true,
                };
                let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/PodSandboxStatus");
                let Some(answer) = call::<_, PodSandboxStatusResponse>(channel, path, request).await? else {
                    return Ok(false);
                };
                let facts = facts(&answer);
                if facts.addresses.is_empty() && !answer.is_on_host_network() {
                    return Ok(false);
                }
                self.with(|registry| registry.pod_told(sandbox, &facts));
            }
            Question::Image { container, image } => {
                let request = ImageStatusRequest {
                    image: Some(ImageSpec { image: image.clone() }),
                };
                let path = PathAndQuery::from_static("/runtime.v1.ImageService/ImageStatus");
                let answer = call::<_, ImageStatusResponse>(channel, path, request).await?;
                let Some(image) = answer.and_then(|answer| answer.image) else {
                    return Ok(false);
                };
                self.with(|registry| registry.image_told(container, &image.id));
            }
        }
        Ok(true)
    }

    fn give_up(&self, question: &Question) {
        debug!(?question, "CRI has no answer");
        Status::count(&self.status.cri_missing);
        self.with(|registry| registry.not_told(question));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One call; `None` when what it is about is not there, or the runtime serves no CRI.
async fn call<Q, A>(channel: &Channel, path: PathAndQuery, request: Q) -> Result<Option<A>, RpcStatus>
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    let answer = async {
        let mut grpc = Grpc::new(channel.clone());
        let ready = grpc.ready().await;
        ready.map_err(|error| RpcStatus::unavailable(error.to_string()))?;
        grpc.unary(Request::new(request), path, ProstCodec::<Q, A>::default())
            .await
    };
    match tokio::time::timeout(CALL, answer).await {
        Ok(answer) => match answer.map(Response::into_inner) {
            Ok(answer) => Ok(Some(answer)),
            Err(status) => match status.code() {
                Code::NotFound | Code::InvalidArgument | Code::Unimplemented => Ok(None),
                _ => Err(status),
            },
        },
        Err(_) => Err(RpcStatus::deadline_exceeded("the runtime gave no answer")),
    }
}

fn facts(answer: &PodSandboxStatusResponse) -> PodFacts {
    let network = answer.status.as_ref().and_then(|status| status.network.as_ref());
    let addresses = network.into_iter().flat_map(|network| {
        let first = std::iter::once(&network.ip);
        first
            .chain(network.additional_ips.iter().map(|more| &more.ip))
            .cloned()
    });
    // Text for people by its definition; containerd and CRI-O both write JSON.
    let info: Option<Value> = answer
        .info
        .get("info")
        .and_then(|info| serde_json::from_str(info).ok());
    PodFacts {
        addresses: addresses.filter(|address| !address.is_empty()).collect(),
        cni_json: info.as_ref().and_then(cni_json),
        privileged: info.as_ref().and_then(privileged),
    }
}

/// Whether the sandbox was asked to be privileged; what is false is left out.
fn privileged(info: &Value) -> Option<bool> {
    let config = info.get("config")?.as_object()?;
    let asked = || {
        config
            .get("linux")?
            .get("security_context")?
            .get("privileged")?
            .as_bool()
    };
    Some(asked().unwrap_or(false))
}

/// What the network plugin did, as Falco shows it: of containerd's result the pod's interfaces by name with their addresses,
/// but for the loopback; CRI-O's as it is.
fn cni_json(info: &Value) -> Option<String> {
    let text = match info.get("cniResult").and_then(|result| result.get("Interfaces")) {
        Some(Value::Object(interfaces)) => {
            // The host's ends and the bridge are among them, without an address.
            let of_pod = |(name, interface): (&String, &Value)| {
                let addresses = interface.get("IPConfigs").filter(|list| !list.is_null())?;
                (name != "lo").then(|| (name.clone(), json!({ "IPConfigs": addresses })))
            };
            let shown: Map<String, Value> = interfaces.iter().filter_map(of_pod).collect();
            (!shown.is_empty()).then(|| Value::Object(shown).to_string())
        }
        _ => {
            let annotations = info.get("runtimeSpec")?.get("annotations")?;
            let result = annotations.get("io.kubernetes.cri-o.CNIResult")?.as_str()?;
            Some(result.to_owned())
        }
    };
    text.map(|mut text| {
        let mut end = text.len().min(CNI_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(info: &str, ip: &str, more: &[&str]) -> PodFacts {
        facts(&PodSandboxStatusResponse {
            status: Some(PodSandboxStatus {
                linux: None,
                network: Some(PodSandboxNetworkStatus {
                    ip: ip.into(),
                    additional_ips: more.iter().map(|ip| PodIp { ip: (*ip).into() }).collect(),
                }),
            }),
            info: [("info".to_owned(), info.to_owned())].into(),
        })
    }

    #[test]
    fn a_pods_network_is_the_interfaces_the_plugin_made_in_it() {
        let facts = told(
            r#"{"pid":7,"config":{"linux":{"security_context":{"privileged":true}}},"cniResult":{"Interfaces":{
                "eth0":{"IPConfigs":[{"IP":"10.1.0.2","Gateway":"10.1.0.1"}],"Mac":"aa:bb","PciID":"","Sandbox":"/run/netns/x"},
                "lo":{"IPConfigs":[{"IP":"127.0.0.1"}]},"veth12":{"IPConfigs":null}},"DNS":[{}],"Routes":null}}"#,
            "fd00::2",
            &["10.1.0.2", ""],
        );
        assert_eq!(facts.addresses, ["fd00::2", "10.1.0.2"]);
        assert_eq!(
            facts.cni_json.as_deref(),
            Some(r#"{"eth0":{"IPConfigs":[{"Gateway":"10.1.0.1","IP":"10.1.0.2"}]}}"#)
        );
        assert_eq!(facts.privileged, Some(true));
        let crio = told(
            r#"{"runtimeSpec":{"annotations":{"io.kubernetes.cri-o.CNIResult":"{\"cniVersion\":\"1.0.0\"}"}}}"#,
            "10.1.0.3",
            &[],
        );
        assert_eq!(crio.cni_json.as_deref(), Some(r#"{"cniVersion":"1.0.0"}"#));
        assert_eq!(crio.privileged, None);
        let of_host = told(r#"{"config":{},"cniResult":null}"#, "", &[]);
        assert_eq!(
            of_host,
            PodFacts {
                privileged: Some(false),
                ..PodFacts::default()
            }
        );
        assert_eq!(told("not JSON", "", &[]), PodFacts::default());
        assert_eq!(facts_of_nothing(), PodFacts::default());
    }

    fn facts_of_nothing() -> PodFacts {
        facts(&PodSandboxStatusResponse::default())
    }

    #[test]
    fn a_pod_without_an_address_is_on_the_hosts_network_or_not_ready() {
        let answer = |network| PodSandboxStatusResponse {
            status: Some(PodSandboxStatus {
                network: None,
                linux: Some(LinuxPodSandboxStatus {
                    namespaces: Some(Namespace {
                        options: Some(NamespaceOption { network }),
                    }),
                }),
            }),
            ..PodSandboxStatusResponse::default()
        };
        assert!(answer(NODE).is_on_host_network() && !answer(0).is_on_host_network());
        assert!(!PodSandboxStatusResponse::default().is_on_host_network());
    }

    #[test]
    fn a_text_too_long_is_cut_where_a_character_ends() {
        let name = "é".repeat(4000);
        let facts = told(
            &format!(r#"{{"cniResult":{{"Interfaces":{{"{name}":{{"IPConfigs":[]}}}}}}}}"#),
            "",
            &[],
        );
        let text = facts.cni_json.unwrap();
        assert!((CNI_MAX - 1..=CNI_MAX).contains(&text.len()));
    }

    /// Whoever ends Lanner does not wait for a runtime that isn't there.
    #[tokio::test]
    async fn nobody_waits_for_a_runtime_that_is_not_there() {
        let fixture = crate::registry::tests::Fixture::new();
        let folder = tempfile::tempdir().unwrap();
        let cri = Cri {
            address: folder.path().join("nobody.sock"),
            registry: Arc::new(Mutex::new(fixture.registry)),
            status: Arc::clone(&fixture.status),
        };
        let (sender, questions) = mpsc::channel(8);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(cri.run(questions, stopped));
        for _ in 0..20 {
            sender.send(Question::Pod("a".into())).await.unwrap();
        }
        stop.send(true).unwrap();
        task.await.unwrap();
        assert_eq!(fixture.status.snapshot().cri_answers, 0);
    }
}
