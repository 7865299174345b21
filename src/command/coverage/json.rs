//! The coverage as JSON.

use std::collections::BTreeMap;

use lanner_engine::{Coverage, Reason, Subject};
use lanner_schema::tier::Tier;
use serde::Serialize;

use super::{Here, Row};

#[derive(Serialize)]
struct Document<'a> {
    host: HostJson<'a>,
    tiers: Vec<TierJson>,
    rules: Vec<RuleJson<'a>>,
}

#[derive(Serialize)]
struct HostJson<'a> {
    /// The tier this host would use; null when it can use none.
    tier: Option<&'static str>,
    reason: &'a str,
}

#[derive(Serialize)]
struct TierJson {
    name: &'static str,
    /// This build can run in it.
    built: bool,
    /// This host would use it.
    here: bool,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    rule: &'a str,
    source: &'a str,
    enabled: bool,
    tiers: BTreeMap<&'static str, CoverageJson<'a>>,
}

#[derive(Serialize)]
struct CoverageJson<'a> {
    verdict: &'static str,
    reasons: Vec<ReasonJson<'a>>,
}

/// A reason has an event, a field, or neither when it is about the condition as a whole.
#[derive(Serialize)]
struct ReasonJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(rename = "in")]
    place: &'static str,
    why: &'a str,
    /// It is not there at all; else there is a reservation.
    missing: bool,
    /// The events on which it is so, when there are others.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    on: &'a [&'static str],
}

pub(super) fn render(tiers: &[Tier], here: &Here, rows: &[Row<'_>]) -> anyhow::Result<String> {
    let document = Document {
        host: HostJson {
            tier: here.tier.map(Tier::name),
            reason: &here.reason,
        },
        tiers: tiers
            .iter()
            .map(|tier| TierJson {
                name: tier.name(),
                built: tier.is_built(),
                here: here.tier == Some(*tier),
            })
            .collect(),
        rules: rows
            .iter()
            .map(|row| RuleJson {
                rule: row.rule.name(),
                source: row.rule.source(),
                enabled: row.rule.is_enabled(),
                tiers: row
                    .tiers
                    .iter()
                    .map(|(tier, of)| (tier.name(), coverage(of)))
                    .collect(),
            })
            .collect(),
    };
    Ok(format!("{}\n", serde_json::to_string(&document)?))
}

fn coverage(of: &Coverage) -> CoverageJson<'_> {
    CoverageJson {
        verdict: of.verdict.word(),
        reasons: of.reasons.iter().map(reason).collect(),
    }
}

fn reason(of: &Reason) -> ReasonJson<'_> {
    let (event, field) = match &of.subject {
        Subject::Event(name) => (Some(name.as_str()), None),
        Subject::Field(name) => (None, Some(name.as_str())),
        Subject::Condition => (None, None),
    };
    ReasonJson {
        event,
        field,
        place: of.place.word(),
        why: &of.why,
        missing: of.is_missing,
        on: &of.on,
    }
}
