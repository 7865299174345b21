//! The driver tests (`selfcheck`) in a guest, and what to make of checks that fail beside refused runs.
//!
//! A preemptible kernel may refuse to run a program that it has just interrupted on the same processor. The event is then
//! missing, capture counts the run, and no one knows of which event it was: a check that failed beside such runs proves
//! nothing, unless it fails every time. In the tier that stands on single calls the programs share what they put records
//! together in, and one that interrupts another on the same processor gives its record up, which is counted, too.

use std::collections::BTreeSet;
use std::path::Path;

use crate::guest::{Guest, Refusal};

/// How many boots in which the kernel refused runs are looked at before a check counts as failed.
const BOOTS: usize = 4;
/// What the program exits with where the kernel does not offer the tier.
const NOT_OFFERED: i32 = 3;
/// How many boots that do not get as far as the program are put up with.
const STILLBORN: usize = 3;

/// What was found when nothing failed for good.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// What the program printed in the last boot.
    pub said: String,
    /// The kernel does not offer the tier that was asked for: nothing was checked.
    pub not_offered: bool,
    /// How many boots it took.
    pub boots: usize,
    /// Runs that the kernel refused, in the last boot.
    pub refused: u64,
    /// Checks that passed and that were skipped in the last boot.
    pub passed: u32,
    /// See there.
    pub skipped: u32,
}

/// Runs the program in the guest until its checks passed, or failed for good. `tell` is told of each boot.
///
/// # Errors
/// [`Refusal::Failed`] names the checks that failed in every boot.
pub fn check(
    guest: &Guest<'_>,
    program: &Path,
    arguments: &[String],
    tell: &mut dyn FnMut(&str),
) -> Result<Verdict, Refusal> {
    let name = format!("{} kernel, {}", guest.kernel, guest.cgroups);
    let mut failed: Option<BTreeSet<String>> = None;
    let (mut boots, mut stillborn) = (0, 0);
    loop {
        let said = guest.boot(program, arguments)?;
        let complained = &said.complaints;
        if !said.has_begun() && stillborn < STILLBORN {
            stillborn += 1;
            tell(&format!(
                "{name}: a boot did not get to the program:\n{complained}"
            ));
            continue;
        }
        boots += 1;
        if said.status == Some(NOT_OFFERED) {
            return Ok(Verdict {
                said: said.output,
                boots,
                not_offered: true,
                ..Verdict::default()
            });
        }
        let outcome = Outcome::of(&said.output);
        // A run that broke off, or failed for another reason than its checks, is no run.
        let whole = said.status == Some(i32::from(!outcome.failed.is_empty()));
        if !(whole && outcome.ended && said.output.contains("BTF present")) {
            return Err(Refusal::Failed(format!(
                "{name}: selfcheck broke off in boot {boots}:\n{}\n{complained}",
                said.output
            )));
        }
        let missed = outcome.failed.len();
        let remaining = outcome.after(failed.take());
        tell(&format!(
            "{name}, boot {boots}: {missed} checks failed, {} runs were refused, {} checks failed in all boots",
            outcome.refused,
            remaining.len()
        ));
        if remaining.is_empty() {
            return Ok(Verdict {
                boots,
                refused: outcome.refused,
                passed: outcome.passed,
                skipped: outcome.skipped,
                said: said.output,
                not_offered: false,
            });
        }
        if outcome.refused == 0 || boots >= BOOTS {
            return Err(Refusal::Failed(format!(
                "{name}: after {boots} boots, in each of which they failed: {remaining:?}\n{}",
                said.output
            )));
        }
        failed = Some(remaining);
    }
}

/// What the selfcheck printed, in a word.
#[derive(Debug, Default)]
struct Outcome {
    /// The names of the checks that failed: what is in brackets, the same each time.
    failed: BTreeSet<String>,
    /// Runs that were refused, and records that were given up.
    refused: u64,
    passed: u32,
    skipped: u32,
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
            } else if let Some((_, count)) = line.split_once(" scratch_overwritten ") {
                outcome.refused += count.trim().parse::<u64>().unwrap_or(0);
            }
            outcome.ended = line.starts_with("selfcheck: ") && line.contains(" passed, ");
            if outcome.ended {
                let count = |what: &str| {
                    let before = line.split_once(what).map_or("", |(before, _)| before);
                    let number = before.rsplit([' ', ',']).find(|word| !word.is_empty());
                    number.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0)
                };
                outcome.passed += count(" passed");
                outcome.skipped += count(" skipped");
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_fails_when_it_fails_in_every_boot_or_in_one_without_refused_runs() {
        let refused = "Runs refused by the kernel (program already running on that CPU): 7\n";
        let sum = "selfcheck: 9 passed, 1 failed, 4 skipped\n";
        let names = |outcome: &BTreeSet<String>| outcome.iter().cloned().collect::<Vec<_>>().join(" + ");

        let first = Outcome::of(&format!(
            "{refused}ok   [dup 1] x\nFAIL [open 2] fd=3\nFAIL [read 1] fd=9\n{sum}"
        ));
        assert_eq!((first.refused, first.ended), (7, true));
        assert_eq!((first.passed, first.skipped), (9, 4));
        let failed = first.after(None);
        assert_eq!(names(&failed), "open 2 + read 1");
        let second = Outcome::of(&format!("{refused}FAIL [open 2] fd=4\nFAIL [dup 1] x\n{sum}"));
        assert_eq!(names(&second.after(Some(failed.clone()))), "open 2");
        let quiet = Outcome::of(&format!("FAIL [dup 1] x\n{sum}"));
        assert_eq!(names(&quiet.after(Some(failed.clone()))), "dup 1");
        assert_eq!(names(&Outcome::of(sum).after(Some(failed))), "");

        assert!(!Outcome::of(&format!("{sum}{refused}the kernel panicked")).ended);

        let given_up = "Events lost: 2 (missing sequence numbers: 2)\n  openat             scratch_overwritten             2\n";
        let lost = Outcome::of(&format!("{given_up}FAIL [open 2] fd=3\n{sum}"));
        assert_eq!(lost.refused, 2);
    }
}
