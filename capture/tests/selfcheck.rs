//! Every event, performed for real on this kernel: the example `selfcheck` does it, and the guests of other kernels run
//! the same program.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

#[test]
fn every_event_is_captured_and_decoded_and_whose_it_is() {
    check(&[]);
}

/// Of what the tables say that is given without the kernel's type information; on this kernel, which has it.
#[test]
fn raw_tracepoints_give_what_is_said_that_they_give() {
    check(&["--tier", "raw"]);
}

/// What could not be read is counted for the whole machine: one at a time, or each counts the other's.
static ALONE: Mutex<()> = Mutex::new(());

fn check(arguments: &[&str]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: capture needs root");
        return;
    }
    let test = std::env::current_exe().unwrap();
    let exe: PathBuf = test
        .parent()
        .unwrap()
        .with_file_name("examples")
        .join("selfcheck");
    let output = Command::new(&exe)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", exe.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", output.status);
    assert!(said.contains("selfcheck: "), "the summary is missing");
}
