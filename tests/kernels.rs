//! The capture crate's selfcheck on other kernels than this machine's: the BPF object passes their verifier, and every
//! event is decoded as it was done. The guests are Debian's oldest and newest cloud kernels, in qemu.

#![allow(clippy::expect_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use support::{machine, machine_dir, repository, skip};

/// How many boots in which the kernel refused runs are looked at before a check counts as failed.
const BOOTS: usize = 4;
/// How many boots that do not get as far as the program are put up with: now and then qemu gives a guest no timer.
const STILLBORN: usize = 3;

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

/// Runs the program in a guest whose cgroups are mounted as `cgroups` says, and gives what it said; `None` where
/// there is no guest to be had.
fn check(name: &str, cgroups: &str, arguments: &[&str]) -> Option<String> {
    if let Err(reason) = machine("kernels.sh", &["fetch"]) {
        skip(&format!("selfcheck on the {name} kernel: {reason}"));
        return None;
    }
    let program = machine("selfcheck.sh", &[]).expect("selfcheck.sh never skips");
    let mut failed: Option<BTreeSet<String>> = None;
    let (mut boots, mut stillborn) = (0, 0);
    loop {
        let output = Command::new(repository().join("tests/machine/kernels.sh"))
            .args(["boot", name, program.trim()])
            .args(arguments)
            .env("LANNER_GUEST_CGROUPS", cgroups)
            .env("LANNER_MACHINE_DIR", machine_dir())
            .output()
            .expect("kernels.sh runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(77) {
            let reason = complained.trim().trim_start_matches("skipped: ");
            skip(&format!("selfcheck on the {name} kernel: {reason}"));
            return None;
        }
        if !said.contains("guest: Linux") && stillborn < STILLBORN {
            stillborn += 1;
            tell(&format!(
                "{name} kernel: a boot did not get to the program:\n{complained}"
            ));
            continue;
        }
        boots += 1;
        let outcome = Outcome::of(&said);
        // A run that broke off, or failed for another reason than its checks, is no run.
        let whole = output.status.code() == Some(i32::from(!outcome.failed.is_empty()));
        assert!(
            whole && outcome.ended && said.contains("BTF present"),
            "selfcheck on the {name} kernel, boot {boots}:\n{said}\n{complained}"
        );
        let missed = outcome.failed.len();
        let remaining = outcome.after(failed.take());
        tell(&format!(
            "{name} kernel, {cgroups}, boot {boots}: {missed} checks failed, {} runs were refused, {} checks failed in \
             all boots",
            outcome.refused,
            remaining.len()
        ));
        if remaining.is_empty() {
            return Some(said.into_owned());
        }
        assert!(
            outcome.refused > 0 && boots < BOOTS,
            "selfcheck on the {name} kernel, after {boots} boots, in each of which it failed: {remaining:?}\n{said}"
        );
        failed = Some(remaining);
    }
}

/// Says it also when the test passes.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// What the selfcheck printed, in a word.
///
/// A preemptible kernel may refuse to run a program that it has just interrupted on the same processor. The event is
/// then missing, capture counts the run, and no one knows of which event it was: a check that failed beside such runs proves
/// nothing, unless it fails every time.
#[derive(Debug, Default)]
struct Outcome {
    /// The names of the checks that failed: what is in brackets, the same each time.
    failed: BTreeSet<String>,
    refused: u64,
    /// It came to its last line.
    ended: bool,
}

impl Outcome {
    fn of(said: &str) -> Outcome {
        let mut outcome = Outcome::default();
        for line in said.lines() {
            if let Some(check) = line.strip_prefix("FAIL ") {
                let name = check.strip_prefix('[').and_then(|named| named.split_once(']'));
                outcome
                    .failed
                    .insert(name.map_or(check, |(name, _)| name).to_owned());
            } else if let Some((_, count)) = line
                .split_once("Runs refused by the kernel")
                .and_then(|(_, rest)| rest.split_once(": "))
            {
                outcome.refused += count.trim().parse::<u64>().unwrap_or(0);
            }
            outcome.ended = line.starts_with("selfcheck: ") && line.contains(" passed, ");
        }
        outcome
    }

    /// The checks that are to be taken for failed after this boot too, `before` having failed in every earlier one. A
    /// boot without refused runs decides alone.
    fn after(&self, before: Option<BTreeSet<String>>) -> BTreeSet<String> {
        match before {
            Some(before) if self.refused > 0 => before.intersection(&self.failed).cloned().collect(),
            _ => self.failed.clone(),
        }
    }
}

#[test]
fn a_check_fails_when_it_fails_in_every_boot_or_in_one_without_refused_runs() {
    let refused = "Runs refused by the kernel (program already running on that CPU): 7\n";
    let sum = "selfcheck: 9 passed, 1 failed, 0 skipped\n";
    let names = |outcome: &BTreeSet<String>| outcome.iter().cloned().collect::<Vec<_>>().join(" + ");

    let first = Outcome::of(&format!(
        "{refused}ok   [dup 1] x\nFAIL [open 2] fd=3\nFAIL [read 1] fd=9\n{sum}"
    ));
    assert_eq!((first.refused, first.ended), (7, true));
    let failed = first.after(None);
    assert_eq!(names(&failed), "open 2 + read 1");
    let second = Outcome::of(&format!("{refused}FAIL [open 2] fd=4\nFAIL [dup 1] x\n{sum}"));
    assert_eq!(names(&second.after(Some(failed.clone()))), "open 2");
    let quiet = Outcome::of(&format!("FAIL [dup 1] x\n{sum}"));
    assert_eq!(names(&quiet.after(Some(failed.clone()))), "dup 1");
    assert_eq!(names(&Outcome::of(sum).after(Some(failed))), "");

    assert!(!Outcome::of(&format!("{sum}{refused}the kernel panicked")).ended);
}
