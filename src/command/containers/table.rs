//! Containers as a table.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanner_schema::alert::turns_writing;

use super::Row;

/// Characters between two columns.
const GAP: usize = 2;

/// No column is cut to fewer characters than this.
const NARROW: usize = 10;

/// What there is in place of a value that nobody told.
const UNKNOWN: &str = "-";

/// How wide the table may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// This many characters, by cutting names.
    Cut(usize),
    /// As wide as its values.
    Whole,
    /// The same, with every column.
    Wide,
}

/// The terminal's width; what is no terminal gets whole values.
pub(super) fn width(wide: bool) -> Width {
    match terminal_size::terminal_size_of(std::io::stdout()) {
        _ if wide => Width::Wide,
        Some((terminal_size::Width(columns), _)) => Width::Cut(columns.into()),
        None => Width::Whole,
    }
}

/// Which end of a value that is too long is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Never,
    /// Names tell apart by how they begin.
    End,
    /// Images by how they end.
    Start,
}

struct Column {
    title: &'static str,
    cut: Cut,
    /// It is shown with `--wide` only.
    wide: bool,
    value: fn(&Row, SystemTime) -> String,
}

const COLUMNS: &[Column] = &[
    Column {
        title: "CONTAINER",
        cut: Cut::Never,
        wide: false,
        value: |row, _| row.id.clone(),
    },
    Column {
        title: "NAME",
        cut: Cut::End,
        wide: false,
        value: |row, _| match row.sandbox {
            true => "(sandbox)".to_owned(),
            false => or_unknown(row.name.as_deref()),
        },
    },
    Column {
        title: "POD",
        cut: Cut::End,
        wide: false,
        value: |row, _| match &row.pod {
            Some(pod) => format!("{}/{}", pod.namespace, pod.name),
            None => UNKNOWN.to_owned(),
        },
    },
    Column {
        title: "IMAGE",
        cut: Cut::Start,
        wide: false,
        value: |row, _| or_unknown(row.image.as_deref()),
    },
    Column {
        title: "SINCE",
        cut: Cut::Never,
        wide: false,
        value: |row, now| match row.start_ts {
            _ if row.gone => "(ended)".to_owned(),
            // Created and not started, or ended before Lanner came.
            _ if row.cgroup.is_none() && row.pid.is_none() => "(not running)".to_owned(),
            Some(start) => age(start, now),
            None => UNKNOWN.to_owned(),
        },
    },
    Column {
        title: "LEARNT",
        cut: Cut::Never,
        wide: false,
        value: |row, _| row.learnt.clone(),
    },
    Column {
        title: "TYPE",
        cut: Cut::Never,
        wide: true,
        value: |row, _| row.runtime.clone(),
    },
    Column {
        title: "PID",
        cut: Cut::Never,
        wide: true,
        value: |row, _| row.pid.map_or_else(|| UNKNOWN.to_owned(), |pid| pid.to_string()),
    },
    Column {
        title: "CGROUP",
        cut: Cut::Never,
        wide: true,
        value: |row, _| {
            row.cgroup
                .as_ref()
                .map_or_else(|| UNKNOWN.to_owned(), |cgroup| cgroup.path.clone())
        },
    },
    Column {
        title: "DIGEST",
        cut: Cut::Never,
        wide: true,
        value: |row, _| or_unknown(row.digest.as_deref()),
    },
];

fn or_unknown(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or(UNKNOWN).to_owned()
}

/// The table, with a line of titles; of no rows one line that says so.
pub(super) fn render(rows: &[Row], width: Width, now: SystemTime) -> String {
    if rows.is_empty() {
        return "no containers\n".to_owned();
    }
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| !column.wide || width == Width::Wide)
        .collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            columns
                .iter()
                .map(|column| printable(&(column.value)(row, now)))
                .collect()
        })
        .collect();
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let longest = cells.iter().map(|row| row[index].chars().count()).max();
            longest.unwrap_or(0).max(column.title.len())
        })
        .collect();
    if let Width::Cut(limit) = width {
        shrink(&mut widths, &columns, limit);
    }
    let mut out = String::new();
    let titles = columns.iter().map(|column| column.title.to_owned()).collect();
    for line in std::iter::once(&titles).chain(&cells) {
        let cut = line.iter().zip(&columns).zip(&widths);
        let padded =
            cut.map(|((cell, column), width)| format!("{:width$}", cut_to(cell, *width, column.cut)));
        let padded: Vec<String> = padded.collect();
        out.push_str(padded.join(&" ".repeat(GAP)).trim_end());
        out.push('\n');
    }
    out
}

/// Takes from the widest column that may be cut until the table fits, or none can give more.
fn shrink(widths: &mut [usize], columns: &[&Column], limit: usize) {
    let gaps = GAP * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > limit {
        let widest = widths
            .iter_mut()
            .zip(columns)
            .filter(|(width, column)| column.cut != Cut::Never && **width > NARROW)
            .max_by_key(|(width, _)| **width);
        let Some((width, _)) = widest else { return };
        *width -= 1;
    }
}

fn cut_to(text: &str, width: usize, cut: Cut) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    match cut {
        Cut::Never => text.to_owned(),
        Cut::End => text.chars().take(kept).chain(['…']).collect(),
        Cut::Start => ['…'].into_iter().chain(text.chars().skip(count - kept)).collect(),
    }
}

/// Names come from whoever made the container: nothing in them may move the terminal's cursor or turn the direction of writing.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || turns_writing(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// How long ago that was, in its two largest units.
fn age(start_ts: u64, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = now.saturating_sub(Duration::from_nanos(start_ts)).as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{}s", seconds % 60),
        3600..86400 => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::{Cgroup, Pod};
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn row(name: &str, image: &str, pod: Option<(&str, &str)>) -> Row {
        Row {
            id: "0123456789ab".into(),
            full_id: "0123456789abcdef".into(),
            name: Some(name.into()),
            runtime: "containerd".into(),
            image: Some(image.into()),
            start_ts: Some((NOW - 200) * 1_000_000_000),
            pod: pod.map(|(namespace, name)| Pod {
                name: name.into(),
                namespace: namespace.into(),
                ..Pod::default()
            }),
            cgroup: Some(Cgroup {
                id: 7,
                path: "/kubepods/pod1/0123456789abcdef".into(),
            }),
            learnt: "start".into(),
            ..Row::default()
        }
    }

    #[test]
    fn a_container_is_a_line() {
        let rows = [row(
            "web",
            "docker.io/library/nginx:1.27",
            Some(("shop", "front-7d4b")),
        )];
        assert_eq!(
            render(&rows, Width::Whole, now()),
            "CONTAINER     NAME  POD              IMAGE                         SINCE  LEARNT\n\
             0123456789ab  web   shop/front-7d4b  docker.io/library/nginx:1.27  3m20s  start\n"
        );
        assert_eq!(render(&[], Width::Whole, now()), "no containers\n");
    }

    #[test]
    fn it_fits_a_terminal_by_cutting_where_names_are_alike() {
        let image = "registry.example.com:5000/a/rather/long/path/to/the/image:2026.11";
        let rows = [
            row("web", "a:1", None),
            row(
                "a-container-with-a-long-name",
                image,
                Some(("a-long-namespace", "a-pod-of-a-deployment-5d5d5d5d5-abcde")),
            ),
        ];
        for width in [80, 100, 120] {
            let text = render(&rows, Width::Cut(width), now());
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(text.contains("image:2026.11"), "an image's end is kept: {text}");
            assert!(text.contains("a-contai"), "a name's beginning is kept: {text}");
        }
        assert!(render(&rows, Width::Whole, now()).contains(image));
        let narrow = render(&rows, Width::Cut(10), now());
        assert!(narrow.contains("0123456789ab"), "an id is never cut: {narrow}");
    }

    #[test]
    fn wide_has_every_column() {
        let text = render(&[row("web", "a:1", None)], Width::Wide, now());
        assert!(
            text.contains("containerd") && text.contains("/kubepods/pod1/0123456789abcdef"),
            "{text}"
        );
    }

    #[test]
    fn what_is_unknown_is_a_dash_and_a_sandbox_says_so() {
        let unknown = Row {
            id: "0123456789ab".into(),
            learnt: "cgroup".into(),
            pid: Some(7),
            ..Row::default()
        };
        assert_eq!(
            render(&[unknown], Width::Whole, now()).lines().nth(1),
            Some("0123456789ab  -     -    -      -      cgroup")
        );
        let sandbox = Row {
            sandbox: true,
            ..row("front", "pause:1", Some(("shop", "front")))
        };
        assert!(render(&[sandbox], Width::Whole, now()).contains("(sandbox)"));
    }

    #[test]
    fn what_does_not_run_says_so() {
        let ended = Row {
            gone: true,
            ..row("web", "a:1", None)
        };
        let text = render(&[ended], Width::Whole, now());
        assert!(text.contains("  (ended)  start"), "{text}");
        let created = Row {
            cgroup: None,
            ..row("web", "a:1", None)
        };
        let text = render(&[created], Width::Whole, now());
        assert!(text.contains("  (not running)  start"), "{text}");
        assert!(!render(&[row("web", "a:1", None)], Width::Whole, now()).contains('('));
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let text = render(&[row("a\u{1b}[2J\nb\u{202e}c", "a:1", None)], Width::Whole, now());
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }

    #[test]
    fn ages_have_two_units() {
        let age = |seconds: u64| age((NOW - seconds) * 1_000_000_000, now());
        assert_eq!(age(0), "0s");
        assert_eq!(age(59), "59s");
        assert_eq!(age(3599), "59m59s");
        assert_eq!(age(3600), "1h0m");
        assert_eq!(age(90_000), "1d1h");
        assert_eq!(super::age(u64::MAX, now()), "0s", "a clock that was set back");
    }
}
