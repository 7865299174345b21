//! The ways around a tracer: each is gone for real, and what the rules then see is what happened. One test for each; what
//! they show is the table in docs/evasions.md.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

#[path = "evasion/calls.rs"]
mod calls;
#[path = "evasion/descriptors.rs"]
mod descriptors;
#[path = "evasion/identity.rs"]
mod identity;
#[path = "evasion/lineage.rs"]
mod lineage;
#[path = "evasion/mounts.rs"]
mod mounts;
#[path = "evasion/opens.rs"]
mod opens;
#[path = "evasion/programs.rs"]
mod programs;
#[path = "evasion/scene.rs"]
mod scene;
#[path = "evasion/sockets.rs"]
mod sockets;
