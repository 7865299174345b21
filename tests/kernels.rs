//! The capture crate's selfcheck on other kernels than this machine's: the BPF object passes their verifier, and every
//! event is decoded as it was done. The guests are Debian's oldest and newest cloud kernels, in qemu.

#![allow(clippy::expect_used, clippy::panic)] // tests fail by panicking

mod support;

use std::io::Write as _;

use support::{machine_dir, repository, skip};
use xtask::guest::{Guest, Machine, Refusal};
use xtask::selfcheck;

const SYS_EXIT: &[&str] = &["--tier", "sys_exit"];
const TRAMPOLINE: &[&str] = &["--tier", "trampoline"];

#[test]
fn selfcheck_passes_on_the_oldest_kernel() {
    let said = check("oldest", "v2", SYS_EXIT);
    assert!(said.is_none_or(|said| said.contains("cgroups of version 2")));
}

#[test]
fn selfcheck_passes_on_the_newest_kernel() {
    check("newest", "v2", SYS_EXIT);
}

#[test]
fn selfcheck_passes_by_trampolines_on_the_newest_kernel() {
    let said = check("newest", "v2", TRAMPOLINE);
    assert!(said.is_none_or(|said| said.contains("trampolines allowed")));
}

#[test]
#[ignore = "long: make soak runs it"]
fn selfcheck_passes_on_the_kernels_between() {
    for kernel in ["6.1", "6.12", "6.18"] {
        check(kernel, "v2", SYS_EXIT);
        check(kernel, "v2", TRAMPOLINE);
    }
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

/// Runs the program in a guest whose cgroups are mounted as `cgroups` says, and gives what it said; `None` where
/// there is no guest to be had.
fn check(name: &str, cgroups: &str, arguments: &[&str]) -> Option<String> {
    let machine = Machine {
        repository: repository(),
        folder: machine_dir(),
    };
    let guest = Guest {
        cgroups,
        ..Guest::new(&machine, name)
    };
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let verdict = machine.run("kernels.sh", &["fetch", name]).and_then(|_| {
        let program = machine.run("selfcheck.sh", &[])?;
        selfcheck::check(&guest, program.trim().as_ref(), &arguments, &mut tell)
    });
    match verdict {
        Ok(verdict) => Some(verdict.said),
        Err(Refusal::Skipped(reason)) => {
            skip(&format!("selfcheck on the {name} kernel: {reason}"));
            None
        }
        Err(Refusal::Failed(said)) => panic!("{said}"),
    }
}

/// Says it also when the test passes.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
