//! A plan in words, as the log has it.

use std::fmt;

use lanner_schema::tier::Source;

use super::Plan;
use crate::tier::Tier;

impl Plan {
    fn write_sources(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.sources_in_force().map(Source::name).collect();
        write!(f, "from {}", names.join(", "))?;
        for (source, why) in &self.sources {
            if let Some(why) = why {
                write!(f, "; not {}: {why}", source.name())?;
            }
        }
        write!(f, "; {} event types for rules", self.shown.len())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tier {}: {}; ", self.tier, self.reason)?;
        if let Some(instead) = &self.instead {
            write!(f, "tier {} if the kernel refuses a program of it; ", instead.tier)?;
        }
        if self.tier == Tier::None {
            return self.write_sources(f);
        }
        write!(
            f,
            "{}{} event types for rules, {} in all, plus the life of processes; a ring of {}",
            match self.tier {
                Tier::Trampoline => format!("{} functions of calls; ", self.ends.len()),
                _ => String::new(),
            },
            self.shown.len(),
            self.captured.len(),
            match self.ring_bytes >> 20 {
                0 => format!("{} KiB", self.ring_bytes >> 10),
                mebibytes => format!("{mebibytes} MiB"),
            }
        )?;
        let (mut results, mut owners, mut flags) = (0, 0, 0);
        let names = self
            .captured
            .iter()
            .filter(|event| !self.named[*event as usize].is_empty())
            .count();
        for (_, classes) in self.filtered() {
            results += usize::from(classes.minds_result());
            owners += usize::from(classes.minds_owner());
            flags += usize::from(classes.minds_flags());
        }
        f.write_str(&left_out([results, owners, flags, names]))?;
        if let Some(controller) = self.controller {
            write!(
                f,
                "; containers by the cgroup of {} (version 1)",
                controller.name()
            )?;
        }
        let at_enter = self.read_at_enter();
        if !at_enter.is_empty() {
            f.write_str(match self.tier {
                Tier::Trampoline => "; also the start of",
                _ => "; also the start of every call, for",
            })?;
            for event in at_enter.iter() {
                write!(f, " {}", event.name())?;
            }
        }
        if self.is_blind_to_io_uring() {
            f.write_str(
                "; what is done through io_uring is not seen: that takes Linux 6.0 and its type information",
            )?;
        }
        match self.drop_failed {
            true => f.write_str("; calls that fail are not captured (drop_failed_exit)"),
            false => Ok(()),
        }
    }
}

/// By what the programs leave out events that no rule can match, and of how many event types each.
fn left_out(counts: [usize; 4]) -> String {
    const BY: [&str; 4] = [
        "their result",
        "container or host",
        "what is opened for, the kind of socket, the mode or the thread",
        "the names of files",
    ];
    let by = counts.iter().zip(BY).filter(|(count, _)| **count > 0);
    let by: Vec<String> = by.map(|(count, what)| format!("by {what} ({count})")).collect();
    match by.is_empty() {
        true => String::new(),
        false => format!(
            "; the kernel's side leaves out what no rule can match: {} (of how many event types)",
            by.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::left_out;

    #[test]
    fn what_leaves_nothing_out_is_not_named() {
        assert_eq!(left_out([0; 4]), "");
        assert_eq!(
            left_out([0, 2, 0, 3]),
            "; the kernel's side leaves out what no rule can match: by container or host (2), by the names of files (3) (of how \
             many event types)"
        );
    }
}
