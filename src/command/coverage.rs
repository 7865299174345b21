//! `lanner coverage`: which rules a capture tier sees whole, in part or not at all, and why.

mod json;
mod markdown;
mod text;

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use lanner_capture::Host;
use lanner_engine::{Captured, Coverage as Covered, Rule, Ruleset, Verdict};
use lanner_schema::tier::{Source, SourceSet, Tier};

use super::rules_options::RulesOptions;
use crate::config::Config;
use crate::{load, log, run};

/// The exit code of `--strict` when a rule is blind.
const BLIND: u8 = 3;

/// Says which rules see less than they are meant to on this host, and why
///
/// For each rule and each way of capturing events (tier): exact when all it asks for is what the kernel says, partial when it
/// misses something or takes a program's word for it, blind when it can never match.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Coverage {
    #[command(flatten)]
    from: RulesOptions,

    /// Prints JSON, for every tier
    #[arg(long)]
    json: bool,

    /// Looks at this tier only, whether this host can run in it or not
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Tier::ALL.map(Tier::name)))]
    tier: Option<String>,

    /// Without BPF (tier none): what these sources see, separated by commas; else those that work on this host, or all of them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(Source::ALL.map(Source::name)))]
    sources: Vec<String>,

    /// Prints a Markdown table of what is left of each rule without BPF, by the sources that may be used
    #[arg(long, conflicts_with_all = ["json", "tier", "sources", "strict"])]
    markdown: bool,

    /// Exits with 3 when an enabled rule is blind in this host's tier, or in that of --tier
    #[arg(long)]
    strict: bool,
}

/// What this host would use.
#[derive(Debug)]
struct Here {
    /// The tier, when there is one.
    tier: Option<Tier>,
    /// Why that one, or why none.
    reason: String,
    /// What is done through io_uring is seen.
    io_uring: bool,
    /// The sources without BPF that would be used; none in the other tiers.
    sources: Vec<Source>,
}

/// A rule and what the tiers in question see of it.
#[derive(Debug)]
struct Row<'r> {
    rule: &'r Rule,
    tiers: Vec<(Tier, Covered)>,
}

impl Row<'_> {
    fn of(&self, tier: Tier) -> Option<&Covered> {
        self.tiers
            .iter()
            .find(|(candidate, _)| *candidate == tier)
            .map(|(_, covered)| covered)
    }

    fn verdict(&self, tier: Tier) -> Option<Verdict> {
        Some(self.of(tier)?.verdict)
    }
}

impl Coverage {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let config = self.from.configure()?;
        let ruleset = load::load(&self.from.files(&config)?, &config)?;
        run::warn_of(&config, &ruleset);
        let here = here(&config, &ruleset);
        let asked = self.tier.as_deref().and_then(Tier::from_name);
        let tiers = asked.map_or_else(|| Tier::ALL.to_vec(), |tier| vec![tier]);
        let captured = Captured {
            failed: !config.capture.drop_failed,
            io_uring: here.io_uring,
            left_out: config.capture.excluded,
            sources: self.sources(&here),
        };
        if self.markdown {
            log::out(&markdown::render(&ruleset, captured));
            return Ok(ExitCode::SUCCESS);
        }
        let covered = |rule: &Rule, tier| rule.coverage_of(tier, captured);
        let rows: Vec<Row<'_>> = ruleset
            .rules()
            .map(|rule| Row {
                rule,
                tiers: tiers.iter().map(|tier| (*tier, covered(rule, *tier))).collect(),
            })
            .collect();
        let judged = asked.unwrap_or_else(|| judged(&here, &config));
        log::out(&match self.json {
            true => json::render(&tiers, &here, &rows)?,
            false => text::render(&tiers, &here, judged, &rows),
        });
        let is_blind = |row: &Row<'_>| row.rule.is_enabled() && row.verdict(judged) == Some(Verdict::Blind);
        Ok(match self.strict && rows.iter().any(is_blind) {
            true => ExitCode::from(BLIND),
            false => ExitCode::SUCCESS,
        })
    }
}

impl Coverage {
    /// The sources in question.
    fn sources(&self, here: &Here) -> SourceSet {
        let named: Vec<Source> = self
            .sources
            .iter()
            .filter_map(|name| Source::from_name(name))
            .collect();
        match (named.is_empty(), here.sources.is_empty()) {
            (false, _) => named.into_iter().collect(),
            (true, false) => here.sources.iter().copied().collect(),
            (true, true) => SourceSet::ALL,
        }
    }
}

/// The tier this host would use, found out by planning the capture.
fn here(config: &Config, ruleset: &Ruleset) -> Here {
    let host = Host::probe();
    let io_uring = host.io_uring.is_some();
    if let Some(message) = &config.unwatchable {
        return Here {
            tier: None,
            reason: message.to_string(),
            io_uring,
            sources: Vec::new(),
        };
    }
    let (tier, reason, sources) = match lanner_capture::plan(&host, ruleset.needs(), &config.capture) {
        Ok(plan) => {
            let sources = plan.sources_in_force().collect();
            (plan.tier.chosen(), plan.reason, sources)
        }
        Err(error) => (None, error.to_string(), Vec::new()),
    };
    Here {
        tier,
        reason,
        io_uring,
        sources,
    }
}

/// The tier to judge by: this host's, or the one that is asked for, or the one that most hosts allow.
fn judged(here: &Here, config: &Config) -> Tier {
    here.tier
        .or_else(|| config.capture.tier.chosen())
        .unwrap_or(Tier::SysExit)
}
