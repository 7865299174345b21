//! The capture crate's selfcheck on other kernels than this machine's: the BPF object passes their verifier, and every
//! event is decoded as it was done. The guests are Debian's cloud kernels, in qemu: the oldest, the newest, and one for tier A.

#![allow(clippy::expect_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lanner_schema::tier::Tier;
use support::{repository, skip};
use xtask::guest::{Built, Guest, Machine, Refusal};
use xtask::selfcheck;

const SYS_EXIT: &[&str] = &["--tier", "sys_exit"];
const TRAMPOLINE: &[&str] = &["--tier", "trampoline"];
const RAW: &[&str] = &["--tier", "raw"];

#[test]
fn selfcheck_passes_on_the_oldest_kernel() {
    let said = check("oldest", "v2", SYS_EXIT);
    assert!(said.is_none_or(|said| said.contains("cgroups of version 2")));
}

#[test]
fn selfcheck_passes_on_the_newest_kernel() {
    check("newest", "v2", SYS_EXIT);
}

/// They have type information, which this tier does not use.
#[test]
fn selfcheck_passes_by_raw_tracepoints_on_the_oldest_kernel() {
    check("oldest", "v2", RAW);
}

#[test]
#[ignore = "long: make soak runs it"]
fn selfcheck_passes_by_raw_tracepoints_on_the_newest_kernel() {
    check("newest", "v2", RAW);
}

/// Now and then a check is missing there beside runs that the kernel refused, another in each boot.
#[test]
#[ignore = "long: make soak runs it"]
fn selfcheck_passes_by_trampolines_on_the_newest_kernel() {
    let said = check("newest", "v2", TRAMPOLINE);
    assert!(said.is_none_or(|said| said.contains("trampolines allowed")));
}

/// This tier can be tested in guests only, and this is the newest kernel that refuses none of its programs.
#[test]
fn selfcheck_passes_by_trampolines() {
    let said = check("6.18", "v2", TRAMPOLINE);
    assert!(said.is_none_or(|said| said.contains("trampolines allowed")));
}

/// In a guest that counts: not an instruction while rules are on other calls, and none when those on it are gone.
#[test]
fn calls_that_no_rule_needs_cost_nothing_by_trampolines() {
    let said = in_guest("6.18", "selfcheck.sh", |guest, [program]| {
        let guest = Guest {
            counted: true,
            ..guest
        };
        guest.boot(&program, &owned(&[TRAMPOLINE, &["unneeded"]].concat()))
    });
    let Some(said) = said else { return };
    assert_eq!(said.status, Some(0), "{}\n{}", said.output, said.complaints);
    let counts = said.output.lines().find(|line| line.contains("calls of getpid"));
    tell(counts.expect("the counts"));
}

#[test]
#[ignore = "long: make soak runs it"]
fn selfcheck_passes_on_the_kernels_between() {
    for (kernel, tiers) in [
        ("6.1", &[SYS_EXIT, TRAMPOLINE, RAW][..]),
        ("6.12", &[SYS_EXIT, TRAMPOLINE, RAW]),
        ("6.18", &[SYS_EXIT, RAW]),
    ] {
        for arguments in tiers {
            check(kernel, "v2", arguments);
        }
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

/// What the evasion tests run: of its own a guest has one program only, which goes by its name.
const PROGRAMS: [&str; 5] = [
    "/bin/true",
    "/bin/sh",
    "/bin/sleep",
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/x86_64-linux-gnu/libc.so.6",
];

/// This tier can be tested in guests only.
#[test]
fn evasions_are_seen_by_trampolines() {
    evasions_are_seen(Tier::Trampoline);
}

/// As they are on this machine's kernel, where every test has a Lanner of its own.
#[test]
#[ignore = "long: make soak runs it"]
fn evasions_are_seen_on_every_return_in_a_guest() {
    evasions_are_seen(Tier::SysExit);
}

/// Not on the newest: it refuses runs of programs that it has interrupted, and an event that is missing is then nobody's fault.
fn evasions_are_seen(tier: Tier) {
    in_guest("6.18", "evasion.sh", |guest, [tests, program]| {
        let run = PROGRAMS.map(|path| (path.into(), path.to_owned()));
        let files: BTreeSet<(PathBuf, String)> = guest.files.into_iter().chain(run).collect();
        let guest = Guest {
            files: std::iter::once((program, "/bin/lanner".to_owned()))
                .chain(files)
                .collect(),
            environment: vec![
                "LANNER_TEST_PROGRAM=/bin/lanner".to_owned(),
                "LANNER_TEST_SECONDS=600".to_owned(),
                "LANNER_TEST_SHARED=1".to_owned(),
                format!("LANNER_TEST_TIER={}", tier.name()),
            ],
            seconds: Some(3600),
            mounted_root: true,
            ..guest
        };
        evasions_pass(&guest, &tests, tier)
    });
}

/// In this tier a program that interrupts another on the same processor costs a record, which is counted: a test that fails in one
/// boot of two has lost it.
fn evasions_pass(guest: &Guest<'_>, tests: &Path, tier: Tier) -> Result<(), Refusal> {
    // The table of what is tested is not in the guest.
    let arguments = owned(&["--skip", "the_table_says_what_is_tested"]);
    let mut failed = None;
    for boot in 1..=2 {
        let said = guest.boot(tests, &arguments)?;
        tell(&format!("{tier:?}, boot {boot}: {}", summary(&said.output)));
        if said.status == Some(0) {
            return Ok(());
        }
        let now = failures(&said.output);
        let again: BTreeSet<String> = match &failed {
            None => now.clone(),
            Some(before) => now.intersection(before).cloned().collect(),
        };
        // None failed, and yet it did not go well: it broke off.
        if now.is_empty() || (boot == 2 && !again.is_empty()) {
            panic!("{tier:?}:\n{}\n{}", said.output, said.complaints);
        }
        tell(&format!("{tier:?}, boot {boot}: failed: {now:?}"));
        failed = Some(now);
    }
    Ok(())
}

/// The tests that failed.
fn failures(output: &str) -> BTreeSet<String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("test "));
    let failed = lines.filter_map(|line| line.strip_suffix(" ... FAILED"));
    failed.map(str::to_owned).collect()
}

/// The line that says how many tests passed.
fn summary(output: &str) -> &str {
    output
        .lines()
        .rfind(|line| line.starts_with("test result"))
        .unwrap_or("nothing was said")
}

/// Runs the program in a guest whose cgroups are mounted as `cgroups` says, and gives what it said; `None` where
/// there is no guest to be had.
fn check(name: &str, cgroups: &str, arguments: &[&str]) -> Option<String> {
    let verdict = in_guest(name, "selfcheck.sh", |guest, [program]| {
        let guest = Guest { cgroups, ..guest };
        selfcheck::check(&guest, &program, &owned(arguments), &mut tell)
    });
    verdict.map(|verdict| verdict.said)
}

/// Does something with a guest of that kernel and the programs that `script` builds for it, whose libraries are in it; `None`, and
/// the reason is said, where there is no guest to be had.
fn in_guest<T, const PROGRAMS: usize>(
    kernel: &str,
    script: &str,
    act: impl FnOnce(Guest<'_>, [PathBuf; PROGRAMS]) -> Result<T, Refusal>,
) -> Option<T> {
    let machine = Machine::of(&repository());
    let done = machine.run("kernels.sh", &["fetch", kernel]).and_then(|_| {
        let Built { programs, libraries } = machine.built(script)?;
        let guest = Guest {
            files: libraries,
            ..Guest::new(&machine, kernel)
        };
        act(guest, programs)
    });
    match done {
        Ok(done) => Some(done),
        Err(Refusal::Skipped(reason)) => {
            skip(&format!("{script} on the {kernel} kernel: {reason}"));
            None
        }
        Err(Refusal::Failed(said)) => panic!("{said}"),
    }
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

/// Says it also when the test passes.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
