//! The options of every subcommand that loads rules as Lanner itself would.

use std::path::PathBuf;

use clap::Args;
use lanner_engine::RulesFile;

use crate::config::Config;
use crate::{rules, run};

/// Which configuration, and which rules.
#[derive(Debug, Args)]
pub(super) struct RulesOptions {
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

impl RulesOptions {
    /// The configuration.
    ///
    /// # Errors
    /// When it can't be read or is refused.
    pub(super) fn configure(&self) -> anyhow::Result<Config> {
        run::configure(self.config.as_deref(), &self.options)
    }

    /// The rules files that are meant with this configuration.
    ///
    /// # Errors
    /// When one can't be read.
    pub(super) fn files(&self, config: &Config) -> anyhow::Result<Vec<RulesFile>> {
        rules::find(&self.rules, config)
    }
}
