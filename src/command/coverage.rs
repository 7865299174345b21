//! `lanner coverage`: what the rules need and a capture tier can't give.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::{load, log, rules, run};

/// Says which rules see less than they are meant to on this host, and why
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Coverage {
    /// Configuration file [default: /etc/lanner/lanner.yaml where it exists]
    #[arg(short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,

    /// Rules file or directory; repeatable, and replaces rules_files of the configuration
    #[arg(short = 'r', value_name = "FILE|DIR")]
    rules: Vec<PathBuf>,

    /// Sets a key of the configuration; repeatable
    #[arg(
        short = 'o',
        long = "option",
        value_name = "KEY=VALUE",
        allow_hyphen_values = true
    )]
    options: Vec<String>,
}

impl Coverage {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let config = run::configure(self.config.as_deref(), &self.options)?;
        let ruleset = load::load(&rules::find(&self.rules, &config)?, &config)?;
        let mut out = String::new();
        for gap in ruleset.gaps() {
            let _ = writeln!(out, "{gap}");
        }
        log::out(&out);
        Ok(ExitCode::SUCCESS)
    }
}
