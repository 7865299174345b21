//! The container runtime's side: an NRI plugin that knows every container before its first instruction.
//!
//! The runtime (containerd, CRI-O) calls a plugin over its NRI socket while it creates and starts containers. This
//! crate registers as one, keeps a registry, and writes the [`ContainerTable`] that the event thread reads before it
//! answers. It holds no container back, and changes none but those that ask for it ([`Notify`]).

#![forbid(unsafe_code)]

mod api;
mod cgroup;
mod containerd;
mod conversation;
mod cri;
mod docker;
mod docker_files;
mod image;
mod inherited;
mod latency;
mod limits;
mod mux;
mod oci_spec;
mod others;
mod plugin;
mod record;
mod registry;
#[doc(hidden)]
pub mod rehearsal;
mod search;
mod seccomp;
mod sighting;
mod socket;
mod socket_file;
mod status;
mod storage;
mod subscription;
mod supervise;
mod ttrpc;

pub use inherited::Inherited;
pub use lanner_schema::container::ContainerTable;
pub use latency::Latency;
pub use plugin::Timeouts;
pub use seccomp::{ANNOTATION, Notify};
pub use status::{State, Status, StatusSnapshot};
pub use supervise::{Config, ConfigError, run, start, start_inherited};
