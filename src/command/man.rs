//! `lanner man`: the manual pages, for packages. They are made of what `--help` says and of the table of keys, so that they
//! are never behind them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use anyhow::Context as _;
use clap::{Arg, ArgAction, Args, Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::config::manual;

/// Writes the manual pages, lanner(1), one for each subcommand, and lanner.yaml(5), into a folder
#[derive(Debug, Args)]
pub(crate) struct ManCommand {
    /// The folder
    folder: PathBuf,
}

/// The command that has no other above it.
const ROOT: &str = "lanner";

/// What lanner(1) has and no help.
const MORE: &str = r#".SH SIGNALS
.TP
SIGHUP
Reads configuration and rules again. What is wrong changes nothing.
.TP
SIGUSR1
Opens the outputs anew, after a rotation of their files.
.TP
SIGTERM, SIGINT
Deliver what is queued, and end. A second one ends at once.
.SH FILES
.TP
\fI/etc/lanner/lanner.yaml\fR
The configuration: keys of Falco's falco.yaml, and some of Lanner's own. See lanner.yaml(5).
.TP
\fI/etc/lanner/lanner_rules.yaml\fR
The rules Lanner comes with; the same are built in.
.TP
\fI/etc/lanner/lanner_rules.local.yaml\fR, \fI/etc/lanner/rules.d/\fR
Rules of your own. Of two with one name the later wins: those of rules.d in the order of the files' names, after the local ones.
.TP
\fI/run/lanner/\fR
The socket of \fBlanner status\fR and \fBlanner containers\fR.
.TP
\fI/var/lib/lanner/spool/\fR
Alerts that wait for their receiver, with \fBoutputs_spool\fR.
.SH ENVIRONMENT
.TP
HOST_ROOT
Where the host's file system is seen, for a Lanner in a container.
.TP
FALCO_HOSTNAME
What alerts call this host.
.SH EXIT STATUS
0, or 1 when something keeps Lanner from doing what it was asked for, or 2 when the options are wrong.
"#;

impl ManCommand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut root = Cli::command().disable_help_subcommand(true);
        root.build();
        write(&root, &self.folder)?;
        let path = self.folder.join("lanner.yaml.5");
        fs::write(&path, configuration()).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the page of a command, and those of its subcommands.
fn write(command: &Command, folder: &Path) -> anyhow::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below, folder)?;
    }
    let man = Man::new(command.clone()).source(concat!("Lanner ", env!("CARGO_PKG_VERSION")));
    let path = folder.join(man.get_filename());
    page(command, &man)
        .and_then(|page| fs::write(&path, page))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn page(command: &Command, man: &Man) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.extend_from_slice(synopsis(command).as_bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    // Examples, in lines as they stand.
    if let Some(help) = command.get_after_help() {
        page.extend_from_slice(b".SH NOTES\n.nf\n");
        page.extend_from_slice(lines(&help.to_string()).as_bytes());
        page.extend_from_slice(b".fi\n");
    }
    if command.get_name() == ROOT {
        page.extend_from_slice(MORE.as_bytes());
    }
    Ok(page)
}

/// The options with the names of their values: clap_mangen leaves these out.
fn synopsis(command: &Command) -> String {
    let name = escaped(command.get_bin_name().unwrap_or(command.get_name()));
    let mut synopsis = format!(".SH SYNOPSIS\n\\fB{name}\\fR\n");
    let has_commands = command.get_subcommands().any(|below| !below.is_hide_set());
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let words = words(argument);
        let more = match argument.get_action() {
            ArgAction::Append | ArgAction::Count => " ...",
            _ => "",
        };
        let _ = match argument.is_required_set() {
            true => writeln!(synopsis, "{words}{more}"),
            false => writeln!(synopsis, "[{words}]{more}"),
        };
    }
    if has_commands && command.get_name() == ROOT {
        let _ = writeln!(synopsis, ".br\n\\fB{name}\\fR \\fISUBCOMMAND\\fR ...");
    } else if has_commands {
        synopsis.push_str("\\fISUBCOMMAND\\fR ...\n");
    }
    synopsis
}

/// An option and its value, which stay in one line.
fn words(argument: &Arg) -> String {
    let value = match argument.get_value_names() {
        Some(names) if argument.get_action().takes_values() => {
            let names: Vec<String> = names.iter().map(|name| escaped(name)).collect();
            format!("\\fI{}\\fR", names.join("\\ "))
        }
        _ => String::new(),
    };
    let name = match (argument.get_short(), argument.get_long()) {
        (Some(short), _) => format!("\\fB\\-{short}\\fR"),
        (None, Some(long)) => format!("\\fB{}\\fR", escaped(&format!("--{long}"))),
        (None, None) => return value,
    };
    let may_miss = argument
        .get_num_args()
        .is_some_and(|count| count.min_values() == 0);
    match (value.is_empty(), may_miss) {
        (true, _) => name,
        (false, true) => format!("{name}[={value}]"),
        (false, false) => format!("{name}\\ {value}"),
    }
}

/// lanner.yaml(5).
fn configuration() -> String {
    let mut page = String::from(concat!(
        ".TH lanner.yaml 5 \"\" \"Lanner ",
        env!("CARGO_PKG_VERSION"),
        "\"",
        r"
.SH NAME
lanner.yaml \- Lanner's configuration
.SH SYNOPSIS
\fI/etc/lanner/lanner.yaml\fR
.SH DESCRIPTION
The keys of Falco's falco.yaml, which can be used as it is, and some of Lanner's own. All may be absent; what is in force then
stands behind the key. \fBlanner \-\-dry\-run\fR says what is wrong in a file, \fBlanner \-\-config\-schema\fR prints its schema, and
\fB\-o\fR \fIKEY\fR=\fIVALUE\fR sets a key by the names below. ${NAME} in a value is replaced by the variable of the environment, and
$${NAME} stands for itself.
"
    ));
    for section in manual::SECTIONS {
        let _ = writeln!(page, ".SH {}", escaped(&section.heading.to_uppercase()));
        for manual::Entry(key, default, text) in section.entries {
            let _ = match default.is_empty() {
                true => writeln!(page, ".TP\n\\fB{}\\fR", escaped(key)),
                false => writeln!(page, ".TP\n\\fB{}\\fR: {}", escaped(key), escaped(default)),
            };
            page.push_str(&lines(text));
        }
    }
    page.push_str(".SH WITHOUT EFFECT\nOf Falco's keys these are taken, and nothing comes of them, which the log says:\n");
    let keys: Vec<&str> = manual::without_effect().collect();
    page.push_str(&lines(&format!("{}.", keys.join(", "))));
    page.push_str(".SH SEE ALSO\nlanner(1)\n");
    page
}

/// Text that is no request of roff's, but for how it begins.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
}

/// Text whose lines roff leaves alone.
fn lines(text: &str) -> String {
    let line = |line: &str| {
        let line = escaped(line);
        // A dot begins a request.
        match line.starts_with('.') {
            true => format!("\\&{line}\n"),
            false => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let man = ManCommand {
            folder: folder.path().to_owned(),
        };
        man.run().unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let root = read("lanner.1");
        assert!(root.starts_with(".ie") && root.contains(".TH lanner 1"), "{root}");
        for part in [
            "lanner\\-coverage(1)",
            ".SH SIGNALS",
            "\\fB\\-\\-dry\\-run\\fR",
            "Ctrl\\-C stops",
            "\n[\\fB\\-r\\fR\\ \\fIFILE|DIR\\fR] ...\n",
            "\n[\\fB\\-\\-list\\fR[=\\fISOURCE\\fR]]\n",
            "\n\\fBlanner\\fR \\fISUBCOMMAND\\fR ...\n",
        ] {
            assert!(root.contains(part), "{part}\n{root}");
        }
        assert!(!root.contains("lanner\\-man"), "{root}");
        let filter = read("lanner-filter-eval.1");
        assert!(filter.contains(".TH lanner-filter-eval 1"), "{filter}");
        let configuration = read("lanner.yaml.5");
        for part in [
            ".TH lanner.yaml 5",
            "\n.TP\n\\fBwebserver.listen_port\\fR: 8765\nThe port.\n",
            "log_syslog",
        ] {
            assert!(configuration.contains(part), "{part}\n{configuration}");
        }
        assert!(
            !folder.path().join("lanner-man.1").exists() && !folder.path().join("lanner-help.1").exists()
        );
    }

    #[test]
    fn lines_stay_as_they_are() {
        assert_eq!(lines("a 'b' -c \\d\n.e"), "a \\(aqb\\(aq \\-c \\ed\n\\&.e\n");
    }
}
