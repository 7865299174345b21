//! `lanner man`: the manual pages, for packages. They are made of what `--help` says, so that they are never behind it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;

/// Writes the manual pages, lanner(1) and one for each subcommand, into a folder
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
The configuration: keys of Falco's falco.yaml, and some of Lanner's own.
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
    man.render_synopsis_section(&mut page)?;
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

/// Text whose lines roff leaves alone.
fn lines(text: &str) -> String {
    let line = |line: &str| {
        let line = line
            .replace('\\', "\\e")
            .replace('-', "\\-")
            .replace('\'', "\\(aq");
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
        ] {
            assert!(root.contains(part), "{part}\n{root}");
        }
        assert!(!root.contains("lanner\\-man"), "{root}");
        let filter = read("lanner-filter-eval.1");
        assert!(filter.contains(".TH lanner-filter-eval 1"), "{filter}");
        assert!(
            !folder.path().join("lanner-man.1").exists() && !folder.path().join("lanner-help.1").exists()
        );
    }

    #[test]
    fn lines_stay_as_they_are() {
        assert_eq!(lines("a 'b' -c \\d\n.e"), "a \\(aqb\\(aq \\-c \\ed\n\\&.e\n");
    }
}
