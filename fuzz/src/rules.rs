//! Rules files: bytes → diagnostics, and rules that run.

use lanner_engine::condition::{Program, Scratch, Transformer, compile, parse};
use lanner_engine::{
    AppendOutput, Diagnostic, ExtraField, Loaded, Matching, Rule, RulesFile, Ruleset, Settings, Verdict, load,
};
use lanner_schema::tier::Tier;

use crate::events;

/// What separates the files of one input: a comment, for the seeds to stay readable.
const NEXT_FILE: &str = "#: next file\n";
/// From how many rules on the rules are not evaluated: that is not what large files are about.
const MOST_RULES: usize = 20;

/// Rules files load or are refused with errors; whatever is said about them has a place in them and can be printed; and
/// rules evaluated together give the alerts that each gives alone.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let files: Vec<RulesFile> = text
        .split(NEXT_FILE)
        .enumerate()
        .map(|(index, text)| RulesFile {
            name: format!("{index}.yaml"),
            text: text.to_owned(),
        })
        .collect();
    let settings = Settings {
        rule_matching: Matching::All,
        append_output: vec![AppendOutput {
            tags: vec!["added".into()],
            extra_output: Some("%proc.name".into()),
            extra_fields: vec![ExtraField::Field("evt.type".into())],
            suggested_output: true,
            ..AppendOutput::default()
        }],
        ..Settings::default()
    };
    let Loaded {
        ruleset, diagnostics, ..
    } = load(&files, &settings);
    assert_eq!(ruleset.is_none(), diagnostics.iter().any(Diagnostic::is_error));
    for diagnostic in &diagnostics {
        assert_placed(&files, diagnostic);
    }
    if let Some(ruleset) = ruleset {
        evaluate(ruleset);
    }
}

/// Its position is one of the file it names, and it prints.
fn assert_placed(files: &[RulesFile], diagnostic: &Diagnostic) {
    let text = |name: &str| {
        let file = files.iter().find(|file| file.name == name);
        file.map_or_else(
            || panic!("no file {name:?}: {diagnostic:?}"),
            |file| file.text.as_str(),
        )
    };
    let inside = |name: &str, line: usize, column: usize| {
        let text = text(name);
        let found = text.split('\n').nth(line - 1);
        let found = found.unwrap_or_else(|| panic!("no line {line}: {diagnostic:?}"));
        assert!(
            (1..=found.chars().count() + 1).contains(&column),
            "no column {column} in line {line}: {diagnostic:?}"
        );
    };
    if diagnostic.line > 0 {
        inside(&diagnostic.file, diagnostic.line, diagnostic.column);
    }
    assert!(
        diagnostic.offset <= text(&diagnostic.file).len(),
        "{diagnostic:?}"
    );
    for note in &diagnostic.notes {
        inside(&note.file, note.line, note.column);
    }
    if let Some(snippet) = &diagnostic.snippet {
        let shown = snippet.text.chars().count();
        assert!(shown <= lanner_engine::Snippet::WIDTH && snippet.caret <= shown && snippet.width > 0);
    }
    assert!(!diagnostic.message.is_empty());
    assert!(diagnostic.to_string().lines().count() < 100 + diagnostic.notes.len());
}

/// A rule by itself, compiled from the condition it prints; `None` when that has what Falco prints in a way that does not
/// parse: constants of transformers without quotes, a backslash before the closing quote.
fn alone(rule: &Rule) -> Option<(String, bool, Program)> {
    let printed = rule.condition();
    let mut transformers = Transformer::ALL
        .iter()
        .map(|transformer| format!("{transformer}("));
    if transformers.any(|call| printed.contains(&call)) || printed.contains("\\\"") {
        return None;
    }
    let expr = parse(&printed).unwrap_or_else(|error| panic!("{printed:?}: {error}"));
    let program = compile(&expr).unwrap_or_else(|errors| panic!("{printed:?}: {errors:?}"));
    Some((rule.name().to_owned(), rule.runs(), program))
}

fn evaluate(mut ruleset: Ruleset) {
    let _ = ruleset.needs();
    if ruleset.rules().count() > MOST_RULES {
        return;
    }
    for rule in ruleset.rules() {
        for tier in Tier::ALL {
            let coverage = rule.coverage(tier);
            assert_eq!(coverage.verdict == Verdict::Exact, coverage.reasons.is_empty());
        }
    }
    let Some(rules) = ruleset.rules().map(alone).collect::<Option<Vec<_>>>() else {
        return;
    };
    let mut scratch = Scratch::new();
    events::each(&mut |view| {
        let mut found = Vec::new();
        ruleset.evaluate(view, &mut |alert| found.push(alert.rule.to_string()));
        let expected: Vec<&String> = rules
            .iter()
            .filter(|(_, runs, program)| {
                *runs && program.events().contains(view.event) && program.matches(view, &mut scratch)
            })
            .map(|(name, _, _)| name)
            .collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{view:?}");
    });
}
