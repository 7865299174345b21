//! docs/kernels.md: what was found of each kernel, now or before.

use std::fmt::Write as _;

/// What was found of one kernel.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Its name in `kernels.sh`.
    pub name: String,
    /// Its release.
    pub release: String,
    /// The driver tests: a tier, and the rest of its row.
    pub tests: Vec<(String, String)>,
    /// The table of instructions; `None` when they were not counted.
    pub instructions: Option<String>,
}

/// Behind a tier or a kernel of which an earlier document is repeated.
const EARLIER: &str = ", earlier";
const SECTION: &str = "\n### Linux ";

/// A row of the driver tests.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    release: String,
    tier: String,
    rest: String,
    is_earlier: bool,
}

/// The instructions of a kernel.
#[derive(Debug, PartialEq, Eq)]
struct Section {
    name: String,
    release: String,
    table: String,
    is_earlier: bool,
}

/// The document. What was not looked at now is taken from the `earlier` one, and marked; in a part of one, only what was marked
/// there is.
pub fn document(all: &[Found], stock_rules: bool, earlier: &str, is_part: bool) -> String {
    let rules = match stock_rules {
        true => "Falco's stock rules",
        false => "the built-in rules",
    };
    let (tests, counts) = earlier.split_once("\n## Instructions").unwrap_or((earlier, ""));
    let mut rows: Vec<Row> = tests.lines().filter_map(row).collect();
    let mut sections: Vec<Section> = counts.split(SECTION).skip(1).filter_map(section).collect();
    if !is_part {
        rows.iter_mut().for_each(|row| row.is_earlier = true);
        sections.iter_mut().for_each(|section| section.is_earlier = true);
    }
    for found in all {
        for (tier, rest) in &found.tests {
            let row = Row {
                release: found.release.clone(),
                tier: tier.clone(),
                rest: rest.clone(),
                is_earlier: false,
            };
            let same = |known: &Row| known.release == row.release;
            match rows
                .iter()
                .position(|known| same(known) && known.tier == row.tier)
            {
                Some(place) => rows[place] = row,
                None => {
                    let place = rows.iter().rposition(same).map_or(rows.len(), |last| last + 1);
                    rows.insert(place, row);
                }
            }
        }
        let Some(table) = &found.instructions else {
            continue;
        };
        let section = Section {
            name: found.name.clone(),
            release: found.release.clone(),
            table: table.clone(),
            is_earlier: false,
        };
        match sections.iter().position(|known| known.name == found.name) {
            Some(place) => sections[place] = section,
            None => sections.push(section),
        }
    }
    let mut text = String::from(
        "# Lanner on other kernels\n\n\
         Written by `cargo xtask kernels --write`; change that, not this. The kernels are Debian's cloud kernels in qemu. What is\n\
         marked as earlier was found of an earlier Lanner.\n\n\
         ## Driver tests\n\n\
         Every event is performed and compared with what was captured. A preemptible kernel can refuse runs of a program that\n\
         it interrupted; a check counts as failed when it failed in every boot, or in one without refused runs.\n\n\
         | kernel | tier | checks | boots | refused runs |\n|---|---|---|---|---|\n",
    );
    let mark = |is_earlier| if is_earlier { EARLIER } else { "" };
    for row in &rows {
        let _ = writeln!(
            text,
            "| {} | {}{} | {} |",
            row.release,
            row.tier,
            mark(row.is_earlier),
            row.rest
        );
    }
    let _ = write!(
        text,
        "\n## Instructions\n\n\
         In a guest with one processor whose clock counts instructions (`-icount shift=0`), with {rules}: what an iteration of\n\
         a workload takes, and what is added to it, in the kernel, in the workload and in Lanner itself together. The empty hook\n\
         is a program that does nothing at the return of every system call; it and each tier are counted in a boot of their own.\n\
         *Falco* is Falco 0.44.1 with its stock rules on 6.18, measured once; A is the trampoline tier, B sys_exit.\n"
    );
    for section in &sections {
        let _ = write!(
            text,
            "{SECTION}{} ({}){}\n\n{}\n",
            section.release,
            section.name,
            mark(section.is_earlier),
            section.table.trim_end()
        );
    }
    text
}

/// A row of an earlier document; `None` for what is none.
fn row(line: &str) -> Option<Row> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let mut cells = cells.splitn(3, " | ");
    let (release, tier, rest) = (cells.next()?, cells.next()?, cells.next()?);
    let is_release = release.starts_with(|first: char| first.is_ascii_digit());
    is_release.then(|| Row {
        release: release.to_owned(),
        tier: tier.trim_end_matches(EARLIER).to_owned(),
        rest: rest.to_owned(),
        is_earlier: tier.ends_with(EARLIER),
    })
}

/// A kernel's part of an earlier document.
fn section(text: &str) -> Option<Section> {
    let (heading, table) = text.split_once('\n')?;
    let (release, name) = heading.trim_end_matches(EARLIER).split_once(" (")?;
    Some(Section {
        name: name.strip_suffix(')')?.to_owned(),
        release: release.to_owned(),
        table: table.trim().to_owned(),
        is_earlier: heading.ends_with(EARLIER),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_now_is_repeated_and_marked() {
        let found = |name: &str, tests: &[(&str, &str)], instructions: Option<&str>| Found {
            name: name.to_owned(),
            release: format!("{name}.1"),
            tests: tests
                .iter()
                .map(|(tier, rest)| ((*tier).to_owned(), (*rest).to_owned()))
                .collect(),
            instructions: instructions.map(str::to_owned),
        };
        let first = [
            found(
                "5.10",
                &[("sys_exit", "7 passed | 1 | 0")],
                Some("| a |\n|---|\n| 1 |\n"),
            ),
            found("6.1", &[("trampoline", "failed | - | -")], Some("| b |")),
        ];
        let before = document(&first, true, "", false);
        assert!(
            before.contains("\n| 6.1.1 | trampoline | failed | - | - |\n"),
            "{before}"
        );
        assert!(before.ends_with("\n### Linux 6.1.1 (6.1)\n\n| b |\n"), "{before}");
        // The same again is the same.
        assert_eq!(document(&first, true, &before, false), before);

        let second = [found(
            "6.1",
            &[("trampoline", "8 passed | 1 | 0"), ("raw", "9 passed | 1 | 0")],
            None,
        )];
        let after = document(&second, true, &before, false);
        for part in [
            "\n| 5.10.1 | sys_exit, earlier | 7 passed | 1 | 0 |\n| 6.1.1 | trampoline | 8 passed | 1 | 0 |\n\
             | 6.1.1 | raw | 9 passed | 1 | 0 |\n\n",
            "\n\n### Linux 5.10.1 (5.10), earlier\n\n| a |\n|---|\n| 1 |\n\n### Linux 6.1.1 (6.1), earlier\n\n| b |\n",
        ] {
            assert!(after.contains(part), "{after}");
        }
        // What is repeated again is marked once.
        let again = document(&[], true, &after, false);
        assert!(
            again.contains("| 5.10.1 | sys_exit, earlier | 7 passed"),
            "{again}"
        );
        assert!(
            again.contains("(5.10), earlier\n") && !again.contains("earlier, earlier"),
            "{again}"
        );
        // A part adds to the document, and leaves the marks as they are.
        let part = document(&second, true, &before, true);
        assert!(!part.contains(EARLIER), "{part}");
        let part = document(&second, true, &again, true);
        assert!(
            part.contains("| 5.10.1 | sys_exit, earlier |")
                && part.contains("\n| 6.1.1 | trampoline | 8 passed"),
            "{part}"
        );
        // A newer kernel of the same name takes the place of the older one.
        let newer = Found {
            release: "6.1.2".to_owned(),
            ..found("6.1", &[], Some("| c |"))
        };
        let last = document(&[newer], true, &after, false);
        assert!(
            last.ends_with("### Linux 6.1.2 (6.1)\n\n| c |\n") && !last.contains("| b |"),
            "{last}"
        );
    }
}
