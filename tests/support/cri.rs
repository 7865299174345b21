//! The part of the Kubernetes CRI (`runtime.v1`) that the tests need: its messages with the field numbers of the
//! published API, and a client that blocks.

use std::collections::HashMap;
use std::path::Path;

use prost::Message;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// `NamespaceMode` of the API.
pub(crate) const NAMESPACE_POD: i32 = 0;
pub(crate) const NAMESPACE_CONTAINER: i32 = 1;
pub(crate) const NAMESPACE_NODE: i32 = 2;
/// `ContainerState` of the API.
pub(crate) const CONTAINER_EXITED: i32 = 2;

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct NamespaceOption {
    #[prost(int32, tag = "1")]
    pub(crate) network: i32,
    #[prost(int32, tag = "2")]
    pub(crate) pid: i32,
    #[prost(int32, tag = "3")]
    pub(crate) ipc: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LinuxSandboxSecurityContext {
    #[prost(message, optional, tag = "1")]
    pub(crate) namespace_options: Option<NamespaceOption>,
    #[prost(bool, tag = "6")]
    pub(crate) privileged: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LinuxPodSandboxConfig {
    #[prost(string, tag = "1")]
    pub(crate) cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) security_context: Option<LinuxSandboxSecurityContext>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) uid: String,
    #[prost(string, tag = "3")]
    pub(crate) namespace: String,
    #[prost(uint32, tag = "4")]
    pub(crate) attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PodSandboxConfig {
    #[prost(message, optional, tag = "1")]
    pub(crate) metadata: Option<PodSandboxMetadata>,
    #[prost(string, tag = "2")]
    pub(crate) hostname: String,
    #[prost(string, tag = "3")]
    pub(crate) log_directory: String,
    #[prost(map = "string, string", tag = "6")]
    pub(crate) labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "7")]
    pub(crate) annotations: HashMap<String, String>,
    #[prost(message, optional, tag = "8")]
    pub(crate) linux: Option<LinuxPodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    config: Option<PodSandboxConfig>,
    #[prost(string, tag = "2")]
    runtime_handler: String,
}

/// The requests and replies that carry nothing but an id in their first field: `RunPodSandboxResponse`,
/// `StopPodSandboxRequest`, `RemovePodSandboxRequest`, `CreateContainerResponse`, `StartContainerRequest`,
/// `RemoveContainerRequest`, `ContainerStatusRequest`.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ImageSpec {
    #[prost(string, tag = "1")]
    pub(crate) image: String,
    #[prost(string, tag = "18")]
    pub(crate) user_specified_image: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Mount {
    #[prost(string, tag = "1")]
    pub(crate) container_path: String,
    #[prost(string, tag = "2")]
    pub(crate) host_path: String,
    #[prost(bool, tag = "3")]
    pub(crate) readonly: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Capability {
    #[prost(string, repeated, tag = "1")]
    pub(crate) add_capabilities: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) drop_capabilities: Vec<String>,
}

/// `SecurityProfile`; its type 0 is the runtime's default, 1 is none, 2 is a file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SecurityProfile {
    #[prost(int32, tag = "1")]
    pub(crate) profile_type: i32,
    #[prost(string, tag = "2")]
    pub(crate) localhost_ref: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LinuxContainerSecurityContext {
    #[prost(message, optional, tag = "1")]
    pub(crate) capabilities: Option<Capability>,
    #[prost(bool, tag = "2")]
    pub(crate) privileged: bool,
    #[prost(message, optional, tag = "3")]
    pub(crate) namespace_options: Option<NamespaceOption>,
    #[prost(message, optional, tag = "5")]
    pub(crate) run_as_user: Option<i64>,
    #[prost(bool, tag = "7")]
    pub(crate) readonly_rootfs: bool,
    #[prost(bool, tag = "11")]
    pub(crate) no_new_privs: bool,
    #[prost(message, optional, tag = "15")]
    pub(crate) seccomp: Option<SecurityProfile>,
    #[prost(message, optional, tag = "16")]
    pub(crate) apparmor: Option<SecurityProfile>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LinuxContainerConfig {
    #[prost(message, optional, tag = "2")]
    pub(crate) security_context: Option<LinuxContainerSecurityContext>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint32, tag = "2")]
    pub(crate) attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    pub(crate) metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "2")]
    pub(crate) image: Option<ImageSpec>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) command: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) args: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) envs: Vec<KeyValue>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) mounts: Vec<Mount>,
    #[prost(map = "string, string", tag = "9")]
    pub(crate) labels: HashMap<String, String>,
    #[prost(string, tag = "11")]
    pub(crate) log_path: String,
    #[prost(bool, tag = "12")]
    pub(crate) stdin: bool,
    #[prost(bool, tag = "14")]
    pub(crate) tty: bool,
    #[prost(message, optional, tag = "15")]
    pub(crate) linux: Option<LinuxContainerConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainerRequest {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
    #[prost(message, optional, tag = "2")]
    config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    sandbox_config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct StopContainerRequest {
    #[prost(string, tag = "1")]
    container_id: String,
    #[prost(int64, tag = "2")]
    timeout: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Container {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) pod_sandbox_id: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) metadata: Option<ContainerMetadata>,
    #[prost(int32, tag = "6")]
    pub(crate) state: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message)]
struct ListPodSandboxResponse {
    /// `PodSandbox`, of which only the id (field 1) is wanted.
    #[prost(message, repeated, tag = "1")]
    items: Vec<Id>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ContainerStatus {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(int32, tag = "3")]
    pub(crate) state: i32,
    #[prost(int32, tag = "7")]
    pub(crate) exit_code: i32,
    #[prost(string, tag = "9")]
    pub(crate) image_ref: String,
    #[prost(string, tag = "10")]
    pub(crate) reason: String,
    #[prost(string, tag = "11")]
    pub(crate) message: String,
    #[prost(string, tag = "15")]
    pub(crate) log_path: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<ContainerStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct ExecSyncRequest {
    #[prost(string, tag = "1")]
    container_id: String,
    #[prost(string, repeated, tag = "2")]
    cmd: Vec<String>,
    #[prost(int64, tag = "3")]
    timeout: i64,
}

/// What a command run in a container gave.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Executed {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) stdout: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) stderr: Vec<u8>,
    #[prost(int32, tag = "3")]
    pub(crate) exit_code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct VersionResponse {
    #[prost(string, tag = "3")]
    runtime_version: String,
}

/// A failed call: the method and what the runtime answered.
#[derive(Debug, thiserror::Error)]
#[error("CRI {method}: {code:?}: {message}")]
pub(crate) struct CriError {
    pub(crate) method: &'static str,
    pub(crate) code: tonic::Code,
    pub(crate) message: String,
}

/// A client of a runtime's CRI socket; every call blocks until it is answered.
#[derive(Debug)]
pub(crate) struct Cri {
    runtime: Runtime,
    channel: Channel,
}

impl Cri {
    /// A client of the socket at `socket`. Nothing is connected until the first call.
    pub(crate) fn new(socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a tokio runtime");
        let endpoint =
            Endpoint::from_shared(format!("unix:{}", socket.display())).expect("a socket's address");
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { runtime, channel }
    }

    fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, CriError>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let failed = |status: tonic::Status| CriError {
            method,
            code: status.code(),
            message: status.message().to_owned(),
        };
        self.runtime.block_on(async {
            let mut grpc = Grpc::new(self.channel.clone());
            grpc.ready()
                .await
                .map_err(|error| failed(tonic::Status::unavailable(format!("{error:?}"))))?;
            let path = PathAndQuery::try_from(format!("/runtime.v1.RuntimeService/{method}"))
                .expect("a method's path");
            let mut request = tonic::Request::new(request);
            request.set_timeout(std::time::Duration::from_secs(60));
            let reply = grpc.unary(request, path, ProstCodec::<Q, A>::default()).await;
            reply.map(tonic::Response::into_inner).map_err(failed)
        })
    }

    /// The runtime's version; the way to ask whether it is up.
    pub(crate) fn version(&self) -> Result<String, CriError> {
        let reply: VersionResponse = self.call("Version", Nothing {})?;
        Ok(reply.runtime_version)
    }

    /// Starts a pod's sandbox and gives its id.
    pub(crate) fn run_pod_sandbox(&self, config: PodSandboxConfig) -> Result<String, CriError> {
        let request = RunPodSandboxRequest {
            config: Some(config),
            runtime_handler: String::new(),
        };
        let reply: Id = self.call("RunPodSandbox", request)?;
        Ok(reply.id)
    }

    /// Stops a pod's sandbox and its containers.
    pub(crate) fn stop_pod_sandbox(&self, id: &str) -> Result<(), CriError> {
        self.call::<_, Nothing>("StopPodSandbox", Id { id: id.to_owned() })?;
        Ok(())
    }

    /// Removes a stopped pod and its containers.
    pub(crate) fn remove_pod_sandbox(&self, id: &str) -> Result<(), CriError> {
        self.call::<_, Nothing>("RemovePodSandbox", Id { id: id.to_owned() })?;
        Ok(())
    }

    /// The ids of all pods.
    pub(crate) fn list_pod_sandboxes(&self) -> Result<Vec<String>, CriError> {
        let reply: ListPodSandboxResponse = self.call("ListPodSandbox", Nothing {})?;
        Ok(reply.items.into_iter().map(|pod| pod.id).collect())
    }

    /// Creates a container in the pod `pod` (its id and the configuration it was made with) and gives its id.
    pub(crate) fn create_container(
        &self,
        pod: (&str, &PodSandboxConfig),
        config: ContainerConfig,
    ) -> Result<String, CriError> {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.0.to_owned(),
            config: Some(config),
            sandbox_config: Some(pod.1.clone()),
        };
        let reply: Id = self.call("CreateContainer", request)?;
        Ok(reply.id)
    }

    /// Starts a created container.
    pub(crate) fn start_container(&self, id: &str) -> Result<(), CriError> {
        self.call::<_, Nothing>("StartContainer", Id { id: id.to_owned() })?;
        Ok(())
    }

    /// Stops a container at once.
    pub(crate) fn stop_container(&self, id: &str) -> Result<(), CriError> {
        let request = StopContainerRequest {
            container_id: id.to_owned(),
            timeout: 0,
        };
        self.call::<_, Nothing>("StopContainer", request)?;
        Ok(())
    }

    /// Removes a container, whatever its state.
    pub(crate) fn remove_container(&self, id: &str) -> Result<(), CriError> {
        self.call::<_, Nothing>("RemoveContainer", Id { id: id.to_owned() })?;
        Ok(())
    }

    /// All containers.
    pub(crate) fn list_containers(&self) -> Result<Vec<Container>, CriError> {
        let reply: ListContainersResponse = self.call("ListContainers", Nothing {})?;
        Ok(reply.containers)
    }

    /// What a container is doing.
    pub(crate) fn container_status(&self, id: &str) -> Result<ContainerStatus, CriError> {
        let reply: ContainerStatusResponse = self.call("ContainerStatus", Id { id: id.to_owned() })?;
        Ok(reply.status.unwrap_or_default())
    }

    /// Runs a command in a running container and waits for its end.
    pub(crate) fn exec_sync(&self, id: &str, command: &[&str]) -> Result<Executed, CriError> {
        let request = ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout: 30,
        };
        self.call("ExecSync", request)
    }
}
