//! Seccomp policies that notify, for the containers of pods that ask for it (NRI 0.10 and later).

use std::path::{Path, PathBuf};

use lanner_schema::event::EventSet;
use lanner_schema::seccomp::{Arg, Policy, Rule};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use prost::Message as _;

use crate::api;

/// The annotation of a pod whose containers are to be notified of: its value is `true`.
pub const ANNOTATION: &str = "lanner.dev/seccomp-notify";

/// What containers that ask for it are notified of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// The events whose calls are wanted.
    pub events: EventSet,
    /// Socket of the keeper as the runtime sees it.
    pub listener: String,
    /// The same as this process sees it.
    pub reached: PathBuf,
}

/// Why a container is left as it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Left {
    #[error(
        "the runtime does not tell its seccomp policy, which takes NRI 0.10; lanner seccomp-profile makes a Localhost profile instead"
    )]
    NoPolicy,
    #[error("the runtime's seccomp policy can't be read")]
    Unreadable,
    #[error("nobody listens at {}: with such a policy it could not start", .0.display())]
    NoKeeper(PathBuf),
    #[error("its policy allows and refuses none of the calls that rules name, or has a listener of its own")]
    Nothing,
}

impl Notify {
    /// Whether the containers of this pod are to be notified of.
    pub(crate) fn is_asked_for(&self, pod: Option<&api::PodSandbox>) -> bool {
        pod.is_some_and(|pod| {
            pod.annotations
                .get(ANNOTATION)
                .is_some_and(|value| value == "true")
        })
    }

    /// The answer that gives a container the policy it would have, which notifies.
    pub(crate) fn adjustment(
        &self,
        container: &api::Container,
    ) -> Result<api::CreateContainerResponse, Left> {
        let policy = policy(container)?;
        if !is_listening(&self.reached) {
            return Err(Left::NoKeeper(self.reached.clone()));
        }
        let made = policy.notifying(self.events, &self.listener);
        if made.shown.is_empty() && made.refused.is_empty() {
            return Err(Left::Nothing);
        }
        let linux = api::LinuxContainerAdjustment {
            seccomp_policy: Some(written(made.policy)),
        };
        Ok(api::CreateContainerResponse {
            adjust: Some(api::ContainerAdjustment { linux: Some(linux) }),
        })
    }
}

/// The policy a container would have.
fn policy(container: &api::Container) -> Result<Policy, Left> {
    let linux = container.linux.as_ref().ok_or(Left::NoPolicy)?;
    if !linux.seccomp_policy.is_empty() {
        let policy =
            api::LinuxSeccomp::decode(linux.seccomp_policy.as_slice()).map_err(|_| Left::Unreadable)?;
        return Ok(read(policy));
    }
    match &linux.seccomp_profile {
        Some(profile) if profile.kind == api::UNCONFINED => Ok(Policy::unconfined()),
        _ => Err(Left::NoPolicy),
    }
}

fn read(policy: api::LinuxSeccomp) -> Policy {
    let rules = policy.syscalls.into_iter().map(|rule| Rule {
        names: rule.names,
        action: rule.action,
        errno: rule.errno_ret.map(|errno| errno.value),
        args: rule
            .args
            .into_iter()
            .map(|arg| Arg {
                index: arg.index,
                value: arg.value,
                value_two: arg.value_two,
                op: arg.op,
            })
            .collect(),
    });
    Policy {
        rules: rules.collect(),
        default_action: policy.default_action,
        default_errno: policy.default_errno.map(|errno| errno.value),
        architectures: policy.architectures,
        flags: policy.flags,
        listener_path: policy.listener_path,
        listener_metadata: policy.listener_metadata,
    }
}

fn written(policy: Policy) -> api::LinuxSeccomp {
    let syscalls = policy.rules.into_iter().map(|rule| api::LinuxSyscall {
        names: rule.names,
        action: rule.action,
        errno_ret: rule.errno.map(|value| api::OptionalUInt32 { value }),
        args: rule
            .args
            .into_iter()
            .map(|arg| api::LinuxSeccompArg {
                index: arg.index,
                value: arg.value,
                value_two: arg.value_two,
                op: arg.op,
            })
            .collect(),
    });
    api::LinuxSeccomp {
        syscalls: syscalls.collect(),
        default_action: policy.default_action,
        default_errno: policy.default_errno.map(|value| api::OptionalUInt32 { value }),
        architectures: policy.architectures,
        flags: policy.flags,
        listener_path: policy.listener_path,
        listener_metadata: policy.listener_metadata,
    }
}

/// Whether somebody takes connections at a socket, without waiting for it.
fn is_listening(path: &Path) -> bool {
    use std::os::fd::AsRawFd as _;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let Ok(socket) = socket(AddressFamily::Unix, SockType::Stream, flags, None) else {
        return false;
    };
    UnixAddr::new(path).is_ok_and(|address| connect(socket.as_raw_fd(), &address).is_ok())
}

#[cfg(test)]
mod tests {
    use lanner_schema::event::Event;
    use lanner_schema::seccomp::{Metadata, NOTIFY};

    use super::*;

    fn container(policy: Vec<u8>, kind: Option<i32>) -> api::Container {
        api::Container {
            linux: Some(api::LinuxContainer {
                seccomp_policy: policy,
                seccomp_profile: kind.map(|kind| api::SecurityProfile { kind }),
                ..api::LinuxContainer::default()
            }),
            ..api::Container::default()
        }
    }

    #[test]
    fn the_policy_the_runtime_has_is_the_one_that_notifies() {
        let folder = tempfile::tempdir().unwrap();
        let reached = folder.path().join("seccomp.sock");
        let notify = Notify {
            events: EventSet::from_iter([Event::Connect, Event::Mount]),
            listener: "/run/lanner/seccomp.sock".into(),
            reached: reached.clone(),
        };
        let runtimes = Policy::runtime_default(["CAP_NET_RAW"]);
        let given = written(runtimes.clone());
        assert_eq!(read(given.clone()), runtimes);
        let asking = container(given.encode_to_vec(), Some(0));
        assert_eq!(notify.adjustment(&asking), Err(Left::NoKeeper(reached.clone())));

        let _keeper = std::os::unix::net::UnixListener::bind(&reached).unwrap();
        let of = |container: &api::Container| {
            let response = notify.adjustment(container)?;
            // As it goes over the wire.
            let response = api::CreateContainerResponse::decode(response.encode_to_vec().as_slice()).unwrap();
            Ok(read(
                response.adjust.unwrap().linux.unwrap().seccomp_policy.unwrap(),
            ))
        };
        let made = of(&asking).unwrap();
        assert_eq!(made, runtimes.notifying(notify.events, &notify.listener).policy);
        assert_eq!(made.listener_path, notify.listener);
        let refused = Metadata::read(&made.listener_metadata).unwrap().refused;
        assert_eq!(refused, EventSet::from_iter([Event::Mount]));

        let unconfined = of(&container(Vec::new(), Some(api::UNCONFINED))).unwrap();
        assert!(unconfined.rules.iter().all(|rule| rule.action == NOTIFY));
        // What an older runtime says of a container tells nothing of its policy.
        assert_eq!(of(&container(Vec::new(), None)), Err(Left::NoPolicy));
        assert_eq!(of(&container(Vec::new(), Some(0))), Err(Left::NoPolicy));
        assert_eq!(of(&container(vec![0xff; 9], None)), Err(Left::Unreadable));
        let other = Policy {
            listener_path: "/run/other.sock".into(),
            ..Policy::runtime_default([])
        };
        assert_eq!(
            of(&container(written(other).encode_to_vec(), None)),
            Err(Left::Nothing)
        );
    }
}
