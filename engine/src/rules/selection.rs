//! `rules` of the configuration: rules switched on and off after all files are loaded, whatever their own `enabled` says.
//!
//! As in Falco the entries apply in order. An entry with a name and a tag is two entries, the name's first. A rule below
//! the least priority is no longer there to be switched on, and a rule that is switched on again comes after all others
//! when the first rule that matches makes the alert.

use crate::ruleset::Rule;
use crate::settings::{Selection, Settings};
use crate::suggest::nearest;
use std::fmt;

/// An entry of `rules` that has no effect, which is seldom what its author wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedSelection {
    /// Its index in [`Settings::selections`].
    pub index: usize,
    /// Why it has none.
    pub reason: WhyUnused,
}

/// Why an entry of `rules` has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyUnused {
    /// No rule has this name.
    NoRule {
        /// The name or pattern.
        name: String,
        /// The name that was probably meant.
        meant: Option<String>,
    },
    /// No rule has this tag.
    NoTag {
        /// The tag.
        tag: String,
        /// The tag that was probably meant.
        meant: Option<String>,
    },
    /// Every rule it would switch on is less severe than the least priority.
    BelowPriority,
}

impl fmt::Display for UnusedSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            WhyUnused::NoRule { name, .. } => write!(f, "no rule is called \"{name}\""),
            WhyUnused::NoTag { tag, .. } => write!(f, "no rule has the tag \"{tag}\""),
            WhyUnused::BelowPriority => {
                f.write_str("every rule it would switch on is less severe than `priority` asks")
            }
        }
    }
}

impl UnusedSelection {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match &self.reason {
            WhyUnused::NoRule { meant, .. } | WhyUnused::NoTag { meant, .. } => {
                meant.as_ref().map(|meant| format!("did you mean \"{meant}\"?"))
            }
            WhyUnused::BelowPriority => Some("lower `priority`, or remove the entry".into()),
        }
    }
}

/// Applies the selections; gives those without effect.
pub(super) fn apply(rules: &mut [Rule], settings: &Settings) -> Vec<UnusedSelection> {
    let mut unused = Vec::new();
    let mut last = u32::try_from(rules.len()).unwrap_or(u32::MAX);
    for (index, selection) in settings.selections.iter().enumerate() {
        let mut select = |fits: &dyn Fn(&Rule) -> bool, none: &dyn Fn(&[Rule]) -> WhyUnused| {
            let reason = match switch(rules, selection.enable, settings, &mut last, fits) {
                Found::Some => return,
                Found::BelowPriority => WhyUnused::BelowPriority,
                Found::None => none(rules),
            };
            unused.push(UnusedSelection { index, reason });
        };
        let Selection { rule, tag, .. } = selection;
        if let Some(name) = rule {
            select(&|rule| wildcard(name, &rule.name), &|rules| WhyUnused::NoRule {
                name: name.clone(),
                meant: nearest(name, rules.iter().map(Rule::name)).map(str::to_owned),
            });
        }
        if let Some(tag) = tag {
            select(&|rule| rule.tags.contains(tag), &|rules| WhyUnused::NoTag {
                tag: tag.clone(),
                meant: nearest(
                    tag,
                    rules.iter().flat_map(|rule| rule.tags.iter().map(String::as_str)),
                )
                .map(str::to_owned),
            });
        }
    }
    unused
}

/// What a selection found.
enum Found {
    None,
    /// Rules, none of which can be switched on.
    BelowPriority,
    Some,
}

fn switch(
    rules: &mut [Rule],
    enable: bool,
    settings: &Settings,
    last: &mut u32,
    fits: &dyn Fn(&Rule) -> bool,
) -> Found {
    let mut found = Found::None;
    for rule in rules.iter_mut().filter(|rule| fits(rule)) {
        if rule.priority > settings.minimum_priority {
            // Switching off what does not run is no mistake.
            if !enable {
                found = Found::Some;
            } else if matches!(found, Found::None) {
                found = Found::BelowPriority;
            }
            continue;
        }
        found = Found::Some;
        if enable && !rule.runs {
            rule.rank = *last;
            *last = last.saturating_add(1);
        }
        rule.runs = enable;
    }
    found
}

/// Whether a text is what a pattern says, in which `*` stands for any text.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    // The earliest place of each part leaves most to those after it.
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Loaded, RulesFile, load};
    use lanner_schema::alert::Priority;

    fn loaded(selections: &[(bool, Option<&str>, Option<&str>)]) -> Loaded {
        let rule = |name: &str, priority: &str, more: &str| {
            format!(
                "- rule: {name}\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: {priority}\n{more}"
            )
        };
        let file = RulesFile {
            name: "f.yaml".into(),
            text: [
                rule("Read shadow", "WARNING", "  tags: [filesystem, host]\n"),
                rule(
                    "Read sudoers",
                    "WARNING",
                    "  enabled: false\n  tags: [filesystem]\n",
                ),
                rule("Shell in pod", "ERROR", "  tags: [network]\n"),
                rule("Chatter", "DEBUG", "  tags: [noise]\n"),
            ]
            .concat(),
        };
        let settings = Settings {
            minimum_priority: Priority::Notice,
            selections: selections
                .iter()
                .map(|(enable, rule, tag)| Selection {
                    enable: *enable,
                    rule: rule.map(str::to_owned),
                    tag: tag.map(str::to_owned),
                })
                .collect(),
            ..Settings::default()
        };
        load(&[file], &settings)
    }

    /// The rules that run, in the order they are tried.
    fn order(selections: &[(bool, Option<&str>, Option<&str>)]) -> Vec<String> {
        let loaded = loaded(selections);
        let ruleset = loaded.ruleset.unwrap();
        let mut running: Vec<&Rule> = ruleset.rules().filter(|rule| rule.runs()).collect();
        running.sort_by_key(|rule| rule.rank);
        running.iter().map(|rule| rule.name().to_owned()).collect()
    }

    #[test]
    fn selections_apply_in_order_and_beat_what_the_files_say() {
        assert_eq!(order(&[]), ["Read shadow", "Shell in pod"]);
        assert_eq!(
            order(&[(true, Some("Read sudoers"), None)]),
            ["Read shadow", "Shell in pod", "Read sudoers"]
        );
        assert_eq!(order(&[(false, Some("Read*"), None)]), ["Shell in pod"]);
        assert_eq!(
            order(&[(false, Some("*"), None), (true, None, Some("network"))]),
            ["Shell in pod"]
        );
        assert!(order(&[(true, None, Some("filesystem")), (false, Some("*"), None)]).is_empty());
        // Names and tags are exact beside the `*`.
        assert_eq!(
            order(&[(false, Some("read shadow"), None), (false, None, Some("net*"))]),
            ["Read shadow", "Shell in pod"]
        );
    }

    #[test]
    fn what_is_switched_on_again_comes_last_and_what_runs_keeps_its_place() {
        assert_eq!(
            order(&[
                (false, Some("Read shadow"), None),
                (true, Some("Read shadow"), None)
            ]),
            ["Shell in pod", "Read shadow"]
        );
        assert_eq!(
            order(&[(true, Some("*shadow"), None)]),
            ["Read shadow", "Shell in pod"]
        );
    }

    #[test]
    fn a_name_and_a_tag_are_two_entries() {
        assert_eq!(
            order(&[
                (false, Some("*"), None),
                (true, Some("Read shadow"), Some("network"))
            ]),
            ["Read shadow", "Shell in pod"]
        );
    }

    #[test]
    fn below_the_least_priority_nothing_is_revived() {
        let loaded = loaded(&[
            (true, Some("Chatter"), None),
            (true, Some("*"), None),
            (false, Some("Chatter"), None),
        ]);
        let reasons: Vec<_> = loaded
            .unused_selections
            .iter()
            .map(|u| (u.index, &u.reason))
            .collect();
        assert_eq!(reasons, [(0, &WhyUnused::BelowPriority)]);
        let ruleset = loaded.ruleset.unwrap();
        assert!(
            ruleset
                .rules()
                .all(|rule| rule.name() != "Chatter" || !rule.runs())
        );
    }

    #[test]
    fn what_fits_no_rule_is_named_with_what_was_meant() {
        let loaded = loaded(&[
            (false, Some("Read shadwo"), None),
            (true, None, Some("filesytem")),
            (false, Some("Write*"), Some("netwrok")),
        ]);
        let said: Vec<String> = loaded
            .unused_selections
            .iter()
            .map(|u| format!("{} {u} {}", u.index, u.hint().unwrap_or_default()))
            .collect();
        assert_eq!(
            said,
            [
                "0 no rule is called \"Read shadwo\" did you mean \"Read shadow\"?",
                "1 no rule has the tag \"filesytem\" did you mean \"filesystem\"?",
                "2 no rule is called \"Write*\" ",
                "2 no rule has the tag \"netwrok\" did you mean \"network\"?",
            ]
        );
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "abc"),
            ("a*", "a"),
            ("a*c", "abbc"),
            ("*b*", "abc"),
            ("a*b*c", "aXbYbZc"),
            ("**", "x"),
            ("abc", "abc"),
            ("*bc", "bcbc"),
            ("é*", "éa"),
        ] {
            assert!(wildcard(pattern, text), "{pattern} is {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", "ab"),
            ("a*a", "a"),
            ("a*b", "abc"),
            ("*x*", "abc"),
            ("a?c", "abc"),
            ("A*", "abc"),
        ] {
            assert!(!wildcard(pattern, text), "{pattern} is not {text}");
        }
    }
}
