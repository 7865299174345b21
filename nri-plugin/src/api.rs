//! The part of NRI's `v1alpha1` protobuf API that Lanner reads and writes.
//!
//! Written by hand: prost skips the fields that are not listed, so newer runtimes may send more. Numbers are those of
//! `pkg/api/api.proto` of github.com/containerd/nri, unchanged between 0.6.1 and 0.12; the version that brought a
//! later one is noted.

use std::collections::HashMap;

use crate::oci_spec::Spec;

/// Full name of the service that the runtime offers on connection 2.
pub(crate) const RUNTIME_SERVICE: &str = "nri.pkg.api.v1alpha1.Runtime";
/// Full name of the service that a plugin offers on connection 1.
pub(crate) const PLUGIN_SERVICE: &str = "nri.pkg.api.v1alpha1.Plugin";

/// `RegisterPluginRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RegisterPluginRequest {
    #[prost(string, tag = "1")]
    pub(crate) plugin_name: String,
    /// Exactly two digits; plugins are called in this order.
    #[prost(string, tag = "2")]
    pub(crate) plugin_idx: String,
}

/// `ConfigureRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ConfigureRequest {
    /// The runtime's configuration for a plugin that it started; empty for others.
    #[prost(string, tag = "1")]
    pub(crate) config: String,
    #[prost(string, tag = "2")]
    pub(crate) runtime_name: String,
    #[prost(string, tag = "3")]
    pub(crate) runtime_version: String,
    /// Milliseconds from connecting to the end of the registration; the runtime's own limit.
    #[prost(int64, tag = "4")]
    pub(crate) registration_timeout: i64,
    /// Milliseconds a request may take before the runtime drops the plugin.
    #[prost(int64, tag = "5")]
    pub(crate) request_timeout: i64,
    /// From 0.12 on.
    #[prost(string, tag = "6")]
    pub(crate) nri_version: String,
}

/// `ConfigureResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ConfigureResponse {
    /// One bit per [`Event`] to be told of, `1 << (event - 1)`; 0 means all.
    #[prost(int32, tag = "2")]
    pub(crate) events: i32,
}

/// The fields of `SynchronizeRequest`: what runs already, possibly in several messages. It is never held as a whole, see
/// [`each_part`].
pub(crate) mod synchronize {
    /// [`super::PodSandbox`], repeated.
    pub(crate) const PODS: u32 = 1;
    /// [`super::Container`], repeated.
    pub(crate) const CONTAINERS: u32 = 2;
    /// True: more messages follow (from 0.7 on).
    pub(crate) const MORE: u32 = 3;
}

/// `StateChangeEvent`'s fields, for [`each_part`].
pub(crate) mod state_change {
    /// An [`super::Event`].
    pub(crate) const EVENT: u32 = 1;
    /// A [`super::Container`].
    pub(crate) const CONTAINER: u32 = 3;
}

/// [`LifecycleRequest`]'s fields, for [`each_part`].
pub(crate) mod lifecycle {
    /// A [`super::Container`].
    pub(crate) const CONTAINER: u32 = 2;
}

/// [`Container`]'s fields, for [`each_part`].
pub(crate) mod container {
    /// Its id.
    pub(crate) const ID: u32 = 1;
    /// Pid of its first process.
    pub(crate) const PID: u32 = 12;
}

/// Shows `look` the value of each field `tag` of a message that is a message or text itself, and gives the last number of
/// each field `number` (0 when there is none). What a message of a few bytes unfolds to is looked at one by one.
pub(crate) fn each_part(
    mut message: &[u8],
    tag: u32,
    number: u32,
    look: &mut dyn FnMut(&[u8]),
) -> Result<u64, prost::DecodeError> {
    use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
    let mut last = 0;
    while !message.is_empty() {
        let (field, wire) = decode_key(&mut message)?;
        let mut value = message;
        skip_field(wire, field, &mut message, DecodeContext::default())?;
        match wire {
            WireType::LengthDelimited if field == tag => {
                let length = usize::try_from(decode_varint(&mut value)?).unwrap_or(usize::MAX);
                look(value.get(..length).unwrap_or_default());
            }
            WireType::Varint if field == number => last = decode_varint(&mut value)?,
            // A field of this number and another type is not the one that is meant.
            _ => {}
        }
    }
    Ok(last)
}

/// `SynchronizeResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SynchronizeResponse {
    /// Echoes the request's `more`: "I understand split messages".
    #[prost(bool, tag = "2")]
    pub(crate) more: bool,
}

/// `CreateContainerRequest`, and the shape of every other request about a pod or a container: pod 1, container 2.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LifecycleRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) pod: Option<PodSandbox>,
    #[prost(message, optional, tag = "2")]
    pub(crate) container: Option<Container>,
}

/// `StateChangeEvent`: how runtimes before 0.12 tell of everything that takes no answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StateChangeEvent {
    #[prost(int32, tag = "1")]
    pub(crate) event: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) pod: Option<PodSandbox>,
    #[prost(message, optional, tag = "3")]
    pub(crate) container: Option<Container>,
}

macro_rules! events {
    ($($name:ident = $number:literal $since:literal $wanted:literal,)*) => {
        /// `Event`, which is also the name of its RPC.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Event {
            $($name = $number,)*
        }

        /// Every event with its method, the minor version of NRI that brought it, and whether Lanner wants to be told.
        static EVENTS: &[(Event, &str, u32, bool)] = &[$((Event::$name, stringify!($name), $since, $wanted),)*];
    };
}

// A runtime refuses a plugin that asks for an event it doesn't know, and does not always say which it knows: what is wanted
// is what all of them have. The runtime waits for every answer, so that nothing is wanted that tells nothing new, as what comes
// after a start does: a container whose cgroup was not found then is known by the last component of its path.
events! {
    RunPodSandbox = 1 2 true,
    StopPodSandbox = 2 2 false,
    RemovePodSandbox = 3 2 true,
    CreateContainer = 4 2 true,
    PostCreateContainer = 5 2 false,
    StartContainer = 6 2 true,
    PostStartContainer = 7 2 false,
    UpdateContainer = 8 2 false,
    PostUpdateContainer = 9 2 false,
    StopContainer = 10 2 false,
    RemoveContainer = 11 2 true,
    UpdatePodSandbox = 12 10 false,
    PostUpdatePodSandbox = 13 10 false,
    ValidateContainerAdjustment = 14 10 false,
}

impl Event {
    /// The event of a `StateChange`.
    pub(crate) fn from_number(number: i32) -> Option<Self> {
        EVENTS
            .iter()
            .map(|row| row.0)
            .find(|event| *event as i32 == number)
    }

    /// The event of an RPC's method name.
    pub(crate) fn from_method(method: &str) -> Option<Self> {
        EVENTS.iter().find(|row| row.1 == method).map(|row| row.0)
    }

    /// The subscription: what [`ConfigureResponse::events`] carries.
    pub(crate) fn mask() -> i32 {
        EVENTS
            .iter()
            .filter(|row| row.3)
            .fold(0, |mask, row| mask | 1 << (row.0 as i32 - 1))
    }
}

/// `PodSandbox`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PodSandbox {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) uid: String,
    #[prost(string, tag = "4")]
    pub(crate) namespace: String,
    #[prost(map = "string, string", tag = "5")]
    pub(crate) labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "6")]
    pub(crate) annotations: HashMap<String, String>,
    #[prost(message, optional, tag = "8")]
    pub(crate) linux: Option<LinuxPodSandbox>,
    /// Pid of the sandbox's own process, in the runtime's pid namespace.
    #[prost(uint32, tag = "9")]
    pub(crate) pid: u32,
    /// Its addresses (from 0.9 on).
    #[prost(string, repeated, tag = "10")]
    pub(crate) ips: Vec<String>,
}

/// `LinuxPodSandbox`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxPodSandbox {
    #[prost(string, tag = "3")]
    pub(crate) cgroup_parent: String,
    #[prost(string, tag = "4")]
    pub(crate) cgroups_path: String,
    /// The namespaces of its own; it uses the host's of every other type.
    #[prost(message, repeated, tag = "5")]
    pub(crate) namespaces: Vec<LinuxNamespace>,
}

/// `LinuxNamespace`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxNamespace {
    /// `pid`, `network`, `ipc`, …
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    /// The namespace to join; empty for a new one.
    #[prost(string, tag = "2")]
    pub(crate) path: String,
}

/// `Mount`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Mount {
    #[prost(string, tag = "1")]
    pub(crate) destination: String,
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
    #[prost(string, tag = "3")]
    pub(crate) source: String,
    #[prost(string, repeated, tag = "4")]
    pub(crate) options: Vec<String>,
}

/// `Container`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Container {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) pod_sandbox_id: String,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    /// `ContainerState`; see [`STOPPED`].
    #[prost(int32, tag = "4")]
    pub(crate) state: i32,
    #[prost(map = "string, string", tag = "5")]
    pub(crate) labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "6")]
    pub(crate) annotations: HashMap<String, String>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) mounts: Vec<Mount>,
    #[prost(message, optional, tag = "11")]
    pub(crate) linux: Option<LinuxContainer>,
    /// Pid of its first process in the runtime's pid namespace; 0 before `StartContainer`.
    #[prost(uint32, tag = "12")]
    pub(crate) pid: u32,
    /// Nanoseconds since the epoch (from 0.9 on, 0 before).
    #[prost(int64, tag = "14")]
    pub(crate) created_at: i64,
    /// As `created_at`.
    #[prost(int64, tag = "15")]
    pub(crate) started_at: i64,
    /// An [`Image`], from 0.12.2 on. Kept as bytes and read by [`Container::image`]: the number was not seen in a
    /// release yet, and a field that turns out to be something else must not cost the container its identity.
    #[prost(bytes = "vec", tag = "22")]
    pub(crate) image: Vec<u8>,
}

/// `ContainerState` of a container that doesn't run any more.
pub(crate) const STOPPED: i32 = 4;

impl Container {
    /// The image as the runtime itself resolved it, where the runtime tells.
    pub(crate) fn image(&self) -> Option<Image> {
        let image = <Image as prost::Message>::decode(self.image.as_slice()).ok()?;
        let is_digest = image.digest.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        (is_digest && !image.name.is_empty()).then_some(image)
    }
}

/// `Image`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Image {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) digest: String,
}

/// `LinuxContainer`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxContainer {
    #[prost(message, repeated, tag = "1")]
    pub(crate) namespaces: Vec<LinuxNamespace>,
    #[prost(message, optional, tag = "3")]
    pub(crate) resources: Option<LinuxResources>,
    /// `/parent/id` (cgroupfs) or `slice:prefix:name` (systemd).
    #[prost(string, tag = "5")]
    pub(crate) cgroups_path: String,
    /// Where its seccomp policy is from (from 0.10 on).
    #[prost(message, optional, tag = "7")]
    pub(crate) seccomp_profile: Option<SecurityProfile>,
    /// The policy, a [`LinuxSeccomp`] (from 0.10 on). Kept as bytes: it is long, and of most containers nobody reads it.
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) seccomp_policy: Vec<u8>,
}

/// `SecurityProfile`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SecurityProfile {
    /// See [`UNCONFINED`].
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
}

/// `SecurityProfile.ProfileType` of a container without a policy.
pub(crate) const UNCONFINED: i32 = 1;

/// `LinuxSeccomp`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxSeccomp {
    #[prost(string, tag = "1")]
    pub(crate) default_action: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) default_errno: Option<OptionalUInt32>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) architectures: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) flags: Vec<String>,
    #[prost(string, tag = "5")]
    pub(crate) listener_path: String,
    #[prost(string, tag = "6")]
    pub(crate) listener_metadata: String,
    #[prost(message, repeated, tag = "7")]
    pub(crate) syscalls: Vec<LinuxSyscall>,
}

/// `LinuxSyscall`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxSyscall {
    #[prost(string, repeated, tag = "1")]
    pub(crate) names: Vec<String>,
    #[prost(string, tag = "2")]
    pub(crate) action: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) errno_ret: Option<OptionalUInt32>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) args: Vec<LinuxSeccompArg>,
}

/// `LinuxSeccompArg`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxSeccompArg {
    #[prost(uint32, tag = "1")]
    pub(crate) index: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) value: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) value_two: u64,
    #[prost(string, tag = "4")]
    pub(crate) op: String,
}

/// `OptionalUInt32`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OptionalUInt32 {
    #[prost(uint32, tag = "1")]
    pub(crate) value: u32,
}

/// `CreateContainerResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CreateContainerResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) adjust: Option<ContainerAdjustment>,
}

/// `ContainerAdjustment`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerAdjustment {
    #[prost(message, optional, tag = "6")]
    pub(crate) linux: Option<LinuxContainerAdjustment>,
}

/// `LinuxContainerAdjustment`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxContainerAdjustment {
    /// From 0.10 on; older runtimes skip it.
    #[prost(message, optional, tag = "6")]
    pub(crate) seccomp_policy: Option<LinuxSeccomp>,
}

/// `LinuxResources`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxResources {
    #[prost(message, repeated, tag = "7")]
    pub(crate) devices: Vec<LinuxDeviceCgroup>,
}

/// `LinuxDeviceCgroup`: which devices may be used, or not.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LinuxDeviceCgroup {
    #[prost(bool, tag = "1")]
    pub(crate) allow: bool,
    /// `a` or nothing is every type.
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
    /// Missing, or −1, is every number.
    #[prost(message, optional, tag = "3")]
    pub(crate) major: Option<OptionalInt64>,
    #[prost(message, optional, tag = "4")]
    pub(crate) minor: Option<OptionalInt64>,
    #[prost(string, tag = "5")]
    pub(crate) access: String,
}

/// `OptionalInt64`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OptionalInt64 {
    #[prost(int64, tag = "1")]
    pub(crate) value: i64,
}

impl LinuxDeviceCgroup {
    /// True when the rule gives every device away.
    pub(crate) fn gives_all(&self) -> bool {
        let every = |number: &Option<OptionalInt64>| number.as_ref().is_none_or(|n| n.value == -1);
        let access = ['r', 'w', 'm'].into_iter().all(|c| self.access.contains(c));
        self.allow
            && access
            && matches!(self.kind.as_str(), "" | "a")
            && every(&self.major)
            && every(&self.minor)
    }
}

impl Container {
    /// Whether it is privileged: see [`Spec::privileged`].
    pub(crate) fn privileged(&self) -> Option<bool> {
        let devices = || Some(self.linux.as_ref()?.resources.as_ref()?.devices.clone());
        let spec = Spec {
            mounts: self.mounts.clone(),
            namespaces: Vec::new(),
            devices: devices().unwrap_or_default(),
        };
        spec.privileged()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn the_subscription_stays_within_what_nri_0_8_accepts() {
        assert_eq!(Event::mask(), 0b100_0010_1101);
        assert_eq!(Event::mask() & !0x7ff, 0);
    }

    #[test]
    fn an_event_is_found_by_number_and_by_method() {
        assert_eq!(Event::from_number(6), Some(Event::StartContainer));
        assert_eq!(Event::from_number(0), None);
        assert_eq!(Event::from_number(15), None);
        assert_eq!(Event::from_number(i32::MIN), None);
        assert_eq!(Event::from_method("StartContainer"), Some(Event::StartContainer));
        assert_eq!(Event::from_method("Shutdown"), None);
    }

    #[test]
    fn only_what_every_version_has_is_subscribed_to() {
        for (event, _, since, wanted) in EVENTS {
            assert!(!wanted || *since <= 6, "{event:?}");
        }
    }

    #[test]
    fn parts_are_shown_one_by_one_and_what_is_damaged_is_an_error() {
        let mut seen = Vec::new();
        // A string 1, a number 2, a string 3, a string 1, and a number 1, which is none of the parts.
        let message = [0x0a, 1, b'a', 0x10, 7, 0x1a, 1, b'x', 0x0a, 0, 0x08, 5];
        let number = each_part(&message, 1, 2, &mut |part| seen.push(part.to_vec())).unwrap();
        assert_eq!((number, seen), (7, vec![b"a".to_vec(), Vec::new()]));
        for cut in [1, 2, 7] {
            assert!(each_part(&message[..cut], 1, 2, &mut |_| ()).is_err(), "{cut}");
        }
        let endless = [
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, b'a',
        ];
        assert!(each_part(&endless, 1, 2, &mut |_| ()).is_err());
    }

    #[test]
    fn an_image_counts_only_when_it_looks_like_one() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let image = Image {
            name: "docker.io/library/nginx:1".into(),
            digest: digest.clone(),
        };
        let with = |bytes: Vec<u8>| Container {
            image: bytes,
            ..Container::default()
        };
        assert_eq!(with(image.encode_to_vec()).image(), Some(image.clone()));
        assert_eq!(with(Vec::new()).image(), None);
        assert_eq!(with(b"anything else".to_vec()).image(), None);
        let odd = Image {
            digest: "latest".into(),
            ..image
        };
        assert_eq!(with(odd.encode_to_vec()).image(), None);
    }

    #[test]
    fn a_container_that_is_given_every_device_is_privileged() {
        let rule = |allow, kind: &str, major: Option<i64>, access: &str| LinuxDeviceCgroup {
            allow,
            kind: kind.into(),
            major: major.map(|value| OptionalInt64 { value }),
            minor: None,
            access: access.into(),
        };
        let with = |devices| Container {
            linux: Some(LinuxContainer {
                resources: Some(LinuxResources { devices }),
                ..LinuxContainer::default()
            }),
            ..Container::default()
        };
        let nothing = rule(false, "", None, "rwm");
        let null = rule(true, "c", Some(1), "rwm");
        assert_eq!(
            with(vec![nothing.clone(), null.clone()]).privileged(),
            Some(false)
        );
        assert_eq!(with(vec![rule(true, "", None, "rwm")]).privileged(), Some(true));
        let all = rule(true, "a", Some(-1), "rwm");
        assert_eq!(with(vec![nothing, null, all]).privileged(), Some(true));
        assert_eq!(with(vec![rule(true, "a", None, "r")]).privileged(), Some(false));
        assert_eq!(with(vec![]).privileged(), None);
        assert_eq!(Container::default().privileged(), None);
    }
}
