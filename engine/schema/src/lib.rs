//! The tables and plain types every part of Lanner meets in. No dependencies.
//!
//! * [`event`]: one row per event; the C header of the BPF programs, the decoder and `--list-events` come from it.
//! * [`call_class`]: what the kernel's side can tell of a call before it makes a record of it.
//! * [`record`]: the bytes of one event between kernel and user space.
//! * [`task`]: what the kernel says of a thread at an event.
//! * [`process`], [`descriptor`], [`container`]: the state around an event.
//! * [`cgroup`]: the hierarchy that tells containers apart.
//! * [`path_hook`]: where the kernel has what a call works on in its hands.
//! * [`host_names`]: the addresses that names in rules stand for.
//! * [`io_uring`]: the operations that do what a system call does.
//! * [`view`]: one event as the engine sees it.
//! * [`seccomp`]: policies of containers, and how one notifies of calls.
//! * [`tier`]: the ways of getting events, and what a value is worth in each.
//! * [`alert`]: what a rule that matched hands to the outputs.

#![forbid(unsafe_code)]

pub mod alert;
pub mod call_class;
pub mod cgroup;
pub mod container;
pub mod descriptor;
pub mod event;
pub mod flags;
pub mod host_names;
pub mod host_root;
pub mod io_uring;
pub mod loader;
pub mod name_table;
pub mod names;
pub mod open_names;
pub mod path_hook;
pub mod process;
pub mod record;
pub mod seccomp;
pub mod task;
pub mod text;
pub mod tier;
pub mod view;
