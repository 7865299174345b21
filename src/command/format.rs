//! `lanner format`: outputs by themselves.

use std::process::ExitCode;

use clap::Args;

use super::workbench::{Asked, Flags, Op, Types, Values, run};

const EXAMPLES: &str = r#"Examples:
  lanner format --fields '{"proc.name":"cat","fd.name":"/etc/shadow"}' '*%proc.name opened %fd.name in %container.name'
  lanner format --json --fields '{"proc.name":"cat"}' -- '%10proc.name|%toupper(proc.name)'

A rule's output always has a '*' before it, so that what is missing prints as <NA>; here it is left to you.
With --batch a request is {"template":"%proc.name","fields":{"proc.name":"cat"}}; see also lanner filter --help.

Exit code: 0, or 1 when the output or a value is wrong, or 2 when the flags are."#;

/// Prints an output of a rule with values given by hand
///
/// With --json the answer is {"output","complete","fields"}; complete is false when the output ended before a field that is
/// missing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Format {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    types: Types,
}

impl Format {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let flags = Flags {
            types: Some(&self.types),
            values: Some(&self.values),
            ..Flags::default()
        };
        run(Op::Format, &self.asked, flags)
    }
}
