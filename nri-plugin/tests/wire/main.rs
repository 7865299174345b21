//! The plugin against runtimes played by the test over a real socket: every version of NRI's wire, and runtimes that are
//! slow, broken or hostile. What the runtime's side writes and reads is written here by hand from the protocol's
//! description: nothing of the plugin's own encoding is used.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fail_open;
mod hostile;
mod machine;
mod message;
mod peer;
mod versions;
