//! What a counted guest said, and the tables that are made of it.

use std::fmt::Write as _;

use crate::goals::Goal;
use crate::workload::{ALL, Workload};

/// The name under which nobody watches.
pub const BARE: &str = "bare";
/// The name of the empty program on the hook of every system call's return.
pub const HOOK: &str = "hook";

/// Instructions per iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Of the whole machine.
    pub total: u64,
    /// Of those, the observer's own.
    pub own: u64,
}

/// What was measured with one observer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// The observer's name.
    pub name: String,
    /// By the workload's name, and `start` for what its own start took.
    pub counts: Vec<(String, Count)>,
    /// Why there is nothing.
    pub refused: Option<String>,
}

impl Measured {
    /// Of the workload of this name.
    pub fn count(&self, workload: &str) -> Option<Count> {
        self.counts
            .iter()
            .find(|(name, _)| name == workload)
            .map(|(_, count)| *count)
    }

    /// What was measured in a boot in which nobody watching took `bare`, as one in which that took `first`: what is added stays.
    pub fn as_of(mut self, bare: &Measured, first: &Measured) -> Measured {
        for (workload, count) in &mut self.counts {
            if let (Some(bare), Some(first)) = (bare.count(workload), first.count(workload)) {
                count.total = (count.total + first.total).saturating_sub(bare.total);
            }
        }
        self
    }
}

/// Reads what the program `measure` printed.
pub fn read(said: &str) -> Vec<Measured> {
    let mut all: Vec<Measured> = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let (name, refused, count) = match words.as_slice() {
            ["measured", name, workload, total, own] => {
                let (Ok(total), Ok(own)) = (total.parse(), own.parse()) else {
                    continue;
                };
                (*name, None, Some(((*workload).to_owned(), Count { total, own })))
            }
            ["refused", name, reason] => (*name, Some((*reason).to_owned()), None),
            _ => continue,
        };
        let at = match all.iter().position(|measured| measured.name == name) {
            Some(at) => at,
            None => {
                all.push(Measured {
                    name: name.to_owned(),
                    ..Measured::default()
                });
                all.len() - 1
            }
        };
        all[at].refused = refused.or(all[at].refused.take());
        all[at].counts.extend(count);
    }
    all
}

/// A kernel's table in Markdown: a row per workload, and what each observer adds to it.
pub fn instructions(measured: &[Measured]) -> String {
    let mut text = String::new();
    let Some(bare) = measured.iter().find(|measured| measured.name == BARE) else {
        return text;
    };
    let watching: Vec<&Measured> = measured
        .iter()
        .filter(|measured| measured.name != BARE && measured.refused.is_none())
        .collect();
    let mut head = "| per iteration | bare |".to_owned();
    for one in &watching {
        let _ = match one.name == HOOK {
            true => write!(head, " empty hook adds |"),
            false => write!(head, " {} adds | of that, Lanner's own |", one.name),
        };
    }
    head.push_str(" Falco adds | goal A / B |");
    let _ = writeln!(
        text,
        "{head}\n{}",
        "|---".repeat(head.matches('|').count() - 1) + "|"
    );
    for workload in ALL {
        let Some(without) = bare.count(workload.name()) else {
            continue;
        };
        let _ = write!(text, "| {} | {} |", workload.name(), grouped(without.total));
        for one in &watching {
            let Some(count) = one.count(workload.name()) else {
                text.push_str(" - |");
                continue;
            };
            let _ = write!(text, " {} |", signed(added(count, without)));
            if one.name != HOOK {
                let _ = write!(text, " {} |", grouped(count.own));
            }
        }
        let goal = Goal::of(workload);
        let _ = writeln!(
            text,
            " {} | {} / {} |",
            grouped(goal.falco),
            grouped(goal.trampoline),
            grouped(goal.sys_exit)
        );
    }
    for one in &watching {
        if let Some(start) = one.count("start").filter(|_| one.name != HOOK) {
            let millions = start.total as f64 / 1e6;
            let _ = writeln!(
                text,
                "\nFrom its start until it watches, {}: {millions:.0} million.",
                one.name
            );
        }
    }
    text
}

/// How a tier compares with Falco and its goal, a line per workload; and whether it costs more than Falco anywhere.
pub fn compare(measured: &[Measured], tier: &str) -> Option<(String, bool)> {
    let of = |name: &str| {
        measured
            .iter()
            .find(|one| one.name == name && one.refused.is_none())
    };
    let (bare, watched) = (of(BARE)?, of(tier)?);
    let (mut text, mut worse) = (String::new(), false);
    for workload in ALL {
        let (without, with) = (bare.count(workload.name())?, watched.count(workload.name())?);
        let (goal, added) = (Goal::of(workload), added(with, without));
        let ratio = |to: u64| added as f64 / to as f64;
        let _ = write!(
            text,
            "{:<16} {tier:<11} {:>9} added: {:.2} of Falco's",
            workload.name(),
            signed(added),
            ratio(goal.falco)
        );
        let _ = match goal.in_tier(tier) {
            None => writeln!(text),
            Some(0) if added <= 0 => writeln!(text, ", the goal is met (0)"),
            Some(0) => writeln!(text, ", the goal is 0"),
            Some(most) => writeln!(text, ", {:.2} of the goal ({})", ratio(most), grouped(most)),
        };
        worse |= added > goal.falco.cast_signed();
    }
    Some((text, worse))
}

fn added(with: Count, without: Count) -> i64 {
    with.total.cast_signed() - without.total.cast_signed()
}

fn signed(count: i64) -> String {
    let sign = if count < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(count.unsigned_abs()))
}

/// With a comma before every three digits.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The workload of a name, as [`Workload::name`] gives it.
pub fn workload(name: &str) -> Option<Workload> {
    ALL.into_iter().find(|workload| workload.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> String {
        let mut said = "guest: Linux 6.18\n".to_owned();
        for (name, add, own) in [(BARE, 0, 0), (HOOK, 150, 0), ("sys_exit", 1_100, 400)] {
            for workload in ALL {
                said.push_str(&format!(
                    "measured\t{name}\t{}\t{}\t{own}\n",
                    workload.name(),
                    2_000 + add
                ));
            }
        }
        said + "measured\tsys_exit\tstart\t512000000\t0\nrefused\ttrampoline\tnot offered | here\nmeasured\tx\n"
    }

    #[test]
    fn what_is_added_in_another_boot_is_added_to_the_first_one() {
        let of = |name: &str, total: u64| Measured {
            name: name.to_owned(),
            counts: vec![("getpid".to_owned(), Count { total, own: 3 })],
            refused: None,
        };
        let moved = of("sys_exit", 1_250).as_of(&of(BARE, 1_100), &of(BARE, 1_000));
        assert_eq!(moved, of("sys_exit", 1_150));
    }

    #[test]
    fn what_each_observer_adds_is_in_its_column() {
        let measured = read(&said());
        assert_eq!(measured.len(), 4);
        assert_eq!(measured[3].refused.as_deref(), Some("not offered | here"));
        let text = instructions(&measured);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "| per iteration | bare | empty hook adds | sys_exit adds | of that, Lanner's own | Falco adds | goal A / B |"
        );
        assert_eq!(lines[1], "|---|---|---|---|---|---|---|");
        assert_eq!(
            lines[5],
            "| open+close | 2,000 | 150 | 1,100 | 400 | 31,202 | 1,200 / 1,500 |"
        );
        assert!(text.ends_with("From its start until it watches, sys_exit: 512 million.\n"));
    }

    #[test]
    fn more_than_falco_is_worse() {
        let measured = read(&said());
        let (text, worse) = compare(&measured, "sys_exit").expect("all was measured");
        assert!(worse, "1,100 on a getpid");
        assert!(
            text.contains("1,100 added: 0.04 of Falco's, 0.73 of the goal (1,500)"),
            "{text}"
        );
        assert!(compare(&measured, "trampoline").is_none());
        assert!(!compare(&measured, HOOK).expect("all was measured").1);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_000), grouped(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(signed(-1_000), "-1,000");
    }
}
