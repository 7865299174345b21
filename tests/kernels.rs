//! The capture crate's selfcheck on other kernels than this machine's: the BPF object passes their verifier, and every
//! event is decoded as it was done. The guests are Debian's oldest and newest cloud kernels, in qemu.

#![allow(clippy::expect_used, clippy::panic)] // tests fail by panicking

mod support;

use std::process::Command;

use support::{machine, machine_dir, repository, skip};

/// How often a guest is booted when the kernel itself refused to run a probe.
const BOOTS: usize = 3;

#[test]
fn selfcheck_passes_on_the_oldest_kernel() {
    let said = check("oldest", "v2", &[]);
    assert!(said.is_none_or(|said| said.contains("cgroups of version 2")));
}

#[test]
fn selfcheck_passes_on_the_newest_kernel() {
    check("newest", "v2", &[]);
}

#[test]
fn containers_are_told_apart_by_cgroups_of_version_1() {
    let said = check("oldest", "v1", &["owners"]);
    assert!(said.is_none_or(|said| said.contains("cgroups of memory")));
}

#[test]
fn containers_are_told_apart_by_cgroups_of_version_1_on_the_newest_kernel() {
    // Which of them it still has is its own affair.
    let said = check("newest", "v1", &["owners"]);
    assert!(said.is_none_or(|said| !said.contains("cgroups of version 2")));
}

#[test]
fn containers_are_told_apart_where_the_controllers_are_when_there_are_both() {
    let said = check("oldest", "hybrid", &["owners"]);
    assert!(said.is_none_or(|said| said.contains("cgroups of memory")));
}

/// Runs the program in a guest whose cgroups are mounted as `cgroups` says, and gives what it said; `None` where there is
/// no guest to be had.
fn check(name: &str, cgroups: &str, arguments: &[&str]) -> Option<String> {
    if let Err(reason) = machine("kernels.sh", &["fetch"]) {
        skip(&format!("selfcheck on the {name} kernel: {reason}"));
        return None;
    }
    let program = machine("selfcheck.sh", &[]).expect("selfcheck.sh never skips");
    for boot in 1..=BOOTS {
        let output = Command::new(repository().join("tests/machine/kernels.sh"))
            .args(["boot", name, program.trim()])
            .args(arguments)
            .env("LANNER_GUEST_CGROUPS", cgroups)
            .env("LANNER_MACHINE_DIR", machine_dir())
            .output()
            .expect("kernels.sh runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(77) => {
                let reason = complained.trim().trim_start_matches("skipped: ");
                skip(&format!("selfcheck on the {name} kernel: {reason}"));
                return None;
            }
            // Closing lines of the tests within the guest, and with them which kernel it was.
            Some(0) if said.contains("selfcheck: ") => {
                assert!(said.contains("BTF present"), "{said}");
                return Some(said.into_owned());
            }
            // A preemptible kernel may refuse to run a program that it has just interrupted on the same processor.
            // Capture counts that; such a run proves nothing either way.
            Some(1) if boot < BOOTS && said.contains("Runs refused by the kernel") => {}
            _ => panic!("selfcheck on the {name} kernel, boot {boot}:\n{said}\n{complained}"),
        }
    }
    panic!("the last boot ends the test one way or the other")
}
