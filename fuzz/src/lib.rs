//! What must hold for any input to the engine, for any recording, and for whatever a container runtime sends, as functions that panic when it does not.
//!
//! Each is the body of a fuzz target (`targets/`), is run on the seeds and on inputs that once failed by `cargo test`,
//! and judges a file by hand: `cargo run -p lanner-fuzz --bin TARGET FILE`.

#![forbid(unsafe_code)]
// To panic is how a target says that something is wrong.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)]

mod condition;
mod events;
mod nri;
mod recording;
mod rules;
mod seeds;
mod template;

// The events of the engine's own tests.
#[path = "../../engine/tests/support/mod.rs"]
#[allow(missing_docs, dead_code, unreachable_pub)]
mod support;

pub use condition::condition;
pub use nri::{mux, nri, ttrpc};
pub use recording::recording;
pub use rules::rules;
pub use seeds::write_seeds;
pub use template::template;

use std::ops::Range;
use std::process::ExitCode;

/// Runs a target on the files of the command line; it panics on what is wrong.
pub fn judge_files(target: fn(&[u8])) -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: TARGET FILE...");
        return ExitCode::FAILURE;
    }
    for file in files {
        match std::fs::read(&file) {
            Ok(data) => target(&data),
            Err(error) => {
                eprintln!("error: {}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        }
        println!("{}: nothing is wrong", file.display());
    }
    ExitCode::SUCCESS
}

/// Bytes of a text that someone will slice it with.
fn assert_within(text: &str, range: Range<usize>) {
    assert!(text.get(range.clone()).is_some(), "{range:?} of {text:?}");
}
