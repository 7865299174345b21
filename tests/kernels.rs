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
    check("oldest");
}

#[test]
fn selfcheck_passes_on_the_newest_kernel() {
    check("newest");
}

fn check(name: &str) {
    if let Err(reason) = machine("kernels.sh", &["fetch"]) {
        return skip(&format!("selfcheck on the {name} kernel: {reason}"));
    }
    let program = machine("selfcheck.sh", &[]).expect("selfcheck.sh never skips");
    for boot in 1..=BOOTS {
        let output = Command::new(repository().join("tests/machine/kernels.sh"))
            .args(["boot", name, program.trim()])
            .env("LANNER_MACHINE_DIR", machine_dir())
            .output()
            .expect("kernels.sh runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(77) => {
                let reason = complained.trim().trim_start_matches("skipped: ");
                return skip(&format!("selfcheck on the {name} kernel: {reason}"));
            }
            // Closing lines of the tests within the guest, and with them which kernel it was.
            Some(0) if said.contains("selfcheck: ") => {
                assert!(said.contains("BTF present"), "{said}");
                return;
            }
            // A preemptible kernel may refuse to run a program that it has just interrupted on the same processor.
            // Capture counts that; such a run proves nothing either way.
            Some(1) if boot < BOOTS && said.contains("Runs refused by the kernel") => {}
            _ => panic!("selfcheck on the {name} kernel, boot {boot}:\n{said}\n{complained}"),
        }
    }
}
