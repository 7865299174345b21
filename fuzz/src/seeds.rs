//! What the fuzzers start from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lanner_engine::condition::{Modifier, Operator, Transformer};
use lanner_engine::{BUILT_IN_RULES, RulesFile, Settings, field, load};
use lanner_schema::event::EVENTS;

/// What the grammars have besides names.
const CONDITION_WORDS: &[&str] = &[
    " and ",
    " or ",
    "not ",
    "not(",
    " exists",
    "val(",
    "()",
    "\"",
    "'",
    "\\x00",
    "\\\"",
    "[0]",
    "[\"\"]",
    "0x1f",
    "-1",
    "10.0.0.0/8",
    "::1",
    "true",
    "evt.arg.",
    "evt.rawarg.",
    "evt.type.is.",
];
const RULE_WORDS: &[&str] = &[
    "- rule: ",
    "- macro: ",
    "- list: ",
    "\n  condition: ",
    "\n  output: ",
    "\n  desc: ",
    "\n  priority: ",
    "\n  items: [",
    "\n  append: true",
    "\n  override: {condition: append}",
    "\n  override: {items: replace}",
    "\n  enabled: false",
    "\n  source: syscall",
    "\n  tags: [added]",
    "\n  warn_evttypes: false",
    "\n  skip-if-unknown-filter: true",
    "\n  exceptions:\n  - name: ",
    "\n    fields: [",
    "\n    comps: [",
    "\n    values: [",
    "- required_engine_version: ",
    "- required_plugin_versions:\n  - name: ",
    "\n    version: 0.4.0",
    "\n    alternatives:",
    "\n---\n",
    "\n...\n",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!!binary ",
    "|-\n",
    ">\n",
    "? ",
    "%YAML 1.2\n",
    "#: next file\n",
    "\r\n",
    "\t",
    "\u{feff}",
    "~",
    "null",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The inputs that once failed, by target.
pub(crate) fn regressions(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let Ok(entries) = fs::read_dir(folder("regressions").join(target)) else {
        return Ok(Vec::new());
    };
    entries.map(|entry| fs::read(entry?.path())).collect()
}

/// One input per line of a file of `seeds/`.
fn lines(name: &str) -> io::Result<Vec<Vec<u8>>> {
    let text = fs::read_to_string(folder("seeds").join(name))?;
    let lines = text.lines().filter(|line| !line.is_empty());
    Ok(lines.map(|line| line.as_bytes().to_vec()).collect())
}

/// The items of a rules file, each by itself.
fn items(text: &str) -> Vec<Vec<u8>> {
    let item = |text: &str| format!("- {text}\n").into_bytes();
    text.split("\n- ").skip(1).map(item).collect()
}

/// Every input a target starts from.
pub(crate) fn inputs(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let built_in = RulesFile {
        name: "built-in rules".into(),
        text: BUILT_IN_RULES.into(),
    };
    let ruleset = load(&[built_in], &Settings::default()).ruleset;
    let rules = || ruleset.iter().flat_map(|ruleset| ruleset.rules());
    let mut inputs = regressions(target)?;
    match target {
        "condition" => {
            inputs.extend(lines("conditions.txt")?);
            inputs.extend(rules().map(|rule| rule.condition().into_bytes()));
        }
        "recording" => inputs.extend(crate::recording::seeds()),
        "mux" | "ttrpc" | "nri" => inputs.extend(crate::nri::seeds(target)),
        "template" => {
            inputs.extend(lines("templates.txt")?);
            let outputs = BUILT_IN_RULES
                .lines()
                .filter_map(|line| line.trim().strip_prefix("output: "));
            inputs.extend(outputs.map(|output| output.as_bytes().to_vec()));
        }
        _ => {
            inputs.extend(items(BUILT_IN_RULES));
            for entry in fs::read_dir(folder("seeds/rules"))? {
                inputs.push(fs::read(entry?.path())?);
            }
        }
    }
    Ok(inputs)
}

/// The words a target's inputs are made of.
fn words(target: &str) -> Vec<String> {
    if target == "recording" {
        return ["HOST", "EVNT", "DATA", "CNTR", "END ", "/proc/7/"]
            .map(str::to_owned)
            .to_vec();
    }
    if ["mux", "ttrpc", "nri"].contains(&target) {
        return [
            "nri.pkg.api.v1alpha1.Plugin",
            "Synchronize",
            "StateChange",
            "StartContainer",
            "\0\0\0\x01",
            "\0\0\0\x02",
        ]
        .map(str::to_owned)
        .to_vec();
    }
    let mut words: Vec<String> = field::all().map(|field| field.name.to_owned()).collect();
    if target == "template" {
        words = words.iter().map(|name| format!("%{name}")).collect();
        words.extend(Transformer::ALL.iter().map(|word| format!("%{word}(")));
        words.extend(["%10", "%", "[0]", "*"].map(str::to_owned));
        return words;
    }
    words.extend(EVENTS.iter().map(|row| row.event.name().to_owned()));
    words.extend(Operator::ALL.iter().map(|word| format!(" {word} ")));
    words.extend(Modifier::ALL.iter().map(|word| format!(" {word} (")));
    words.extend(Transformer::ALL.iter().map(|word| format!("{word}(")));
    words.extend(CONDITION_WORDS.iter().map(|word| (*word).to_owned()));
    if target == "rules" {
        words.extend(RULE_WORDS.iter().map(|word| (*word).to_owned()));
    }
    words
}

/// A word as libFuzzer's dictionaries have it.
fn entry(word: &str) -> String {
    let escaped: String = word
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(byte)),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02X}"),
        })
        .collect();
    format!("\"{escaped}\"\n")
}

/// Writes the inputs and the dictionary of every target into `directory`.
///
/// # Errors
/// When a file can't be read or written.
pub fn write_seeds(directory: &Path) -> io::Result<()> {
    for target in [
        "condition",
        "rules",
        "template",
        "recording",
        "mux",
        "ttrpc",
        "nri",
    ] {
        let corpus = directory.join(target);
        fs::create_dir_all(&corpus)?;
        for (index, input) in inputs(target)?.iter().enumerate() {
            fs::write(corpus.join(format!("seed-{index}")), input)?;
        }
        let dictionary: String = words(target).iter().map(|word| entry(word)).collect();
        fs::write(directory.join(format!("{target}.dict")), dictionary)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: &str, target: fn(&[u8])) {
        let inputs = inputs(name).unwrap();
        assert!(inputs.len() > 10, "{name}: {}", inputs.len());
        for input in inputs {
            target(&input);
        }
    }

    #[test]
    fn nothing_is_wrong_with_the_seeds_and_with_what_once_failed() {
        judge("condition", crate::condition);
        judge("rules", crate::rules);
        judge("template", crate::template);
        judge("recording", crate::recording);
        judge("mux", crate::mux);
        judge("ttrpc", crate::ttrpc);
        judge("nri", crate::nri);
    }

    #[test]
    fn dictionary_entries_are_escaped() {
        assert_eq!(entry("a \"\\\n"), "\"a \\\"\\\\\\x0A\"\n");
    }
}
