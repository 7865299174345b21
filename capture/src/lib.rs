//! Where events come from: BPF probes, decoding, process and descriptor state.
//!
//! [`Host::probe`] gathers facts, [`plan`] decides, [`Capture::start`] applies, [`Capture::run`] consumes the ring on the
//! calling thread and shows each event to a closure as a borrowed [`lanner_schema::view::EventView`].

mod bpf;
mod cgroup;
mod consume;
mod decode;
mod descriptor;
mod error;
mod host;
mod id_map;
mod last_peer;
mod outside;
mod owner;
mod plan;
mod process_table;
mod procfs;
mod stats;
mod tier;
mod users;

pub use consume::Capture;
pub use error::CaptureError;
pub use host::Host;
pub use plan::{Config, Plan, plan};
pub use stats::Stats;
pub use tier::Tier;
