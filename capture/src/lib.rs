//! Where events come from: BPF probes, decoding, process and descriptor state.
//!
//! [`Host::probe`] gathers facts, [`plan`] decides, [`Capture::start`] applies, [`Capture::run`] consumes the ring on the
//! calling thread and shows each event to a closure as a borrowed [`lanner_schema::view::EventView`]. [`Capture::record`]
//! keeps what comes in a file besides, and [`Replay`] consumes such a file instead of the ring.

mod bpf;
mod btf;
mod by_type;
mod call_function;
mod capability;
mod capture;
mod cgroup;
mod cgroup_names;
mod connector;
mod consume;
mod container_event;
mod container_path;
mod decode;
mod descriptor;
mod descriptor_limit;
mod draft;
mod error;
mod exe_file;
mod fanotify;
mod feed;
mod fitting;
mod from_proc;
mod give_back;
mod history;
mod host;
mod id_map;
mod io_uring;
mod kernel_btf;
mod kernel_owners;
mod kernel_types;
mod last_peer;
mod lineage;
mod losses;
mod magic_link;
mod notify;
mod open_descriptor;
mod outside;
mod own_map;
mod owner;
mod patience;
mod pid_namespace;
mod plan;
mod process_table;
mod procfs;
mod raw_program;
mod real_path;
mod recording;
mod replay;
mod requests;
mod ring;
mod source;
mod stats;
mod task_layout;
mod tier;
mod trampoline;
mod users;
mod window;

pub use bpf::Program;
pub use call_function::CallFunction;
pub use capability::{Capability, CapabilitySet, keep_only};
pub use capture::{Audience, Capture, Pause};
pub use error::CaptureError;
pub use give_back::give_back_start;
pub use host::{Host, SourceTrial, Trial, Trials};
pub use kernel_btf::read_types_ahead;
pub use losses::{Loser, Losses};
pub use notify::{KeeperError, KeeperOptions, keep};
pub use outside::now;
pub use plan::{Config, Plan, plan};
#[doc(hidden)]
pub use recording::recording_of;
pub use recording::{Facts, Limits, Recorder, RecordingError, Written};
pub use replay::{End, Replay, ReplayCounts};
pub use stats::{SourceStats, Stats};
pub use tier::Tier;
pub use window::Window;
