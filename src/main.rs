//! The `lanner` binary.
fn main() {}
