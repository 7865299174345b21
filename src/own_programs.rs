//! Rules that alert about what `program_output` starts: each alert makes the next one.

use lanner_engine::field::FieldRef;
use lanner_engine::{GivenFields, Input, Rule, Ruleset, Scope, Vocabulary};
use lanner_outputs::ProgramConfig;
use lanner_schema::event::Event;

/// The rules that match the start of the output's shell, as far as can be told from what is known of it before.
pub(crate) fn alerting<'r>(
    program: &ProgramConfig,
    ruleset: &'r Ruleset,
    static_fields: &[(String, String)],
) -> Vec<&'r str> {
    let scope = Scope::default()
        .with_static_fields(static_fields)
        .given(std::iter::empty());
    let shell = shell(program, &scope);
    let Ok(vocabulary) = Vocabulary::read(&[]) else {
        return Vec::new();
    };
    let matches = |rule: &&Rule| {
        rule.runs()
            && rule.names_event_types()
            && rule.events().contains(Event::Execve)
            && vocabulary
                .compile(&rule.condition(), &scope)
                .is_ok_and(|condition| shell.satisfy(&condition.program))
    };
    ruleset.rules().filter(matches).map(Rule::name).collect()
}

/// What an event has when the shell was started.
fn shell(program: &ProgramConfig, scope: &Scope) -> GivenFields {
    let arguments = format!("-c {}", program.program);
    let command_line = format!("sh {arguments}");
    let texts = [
        ("evt.type", "execve"),
        ("evt.dir", "<"),
        ("evt.res", "SUCCESS"),
        ("proc.name", "sh"),
        ("proc.exe", "/bin/sh"),
        ("proc.exepath", "/bin/sh"),
        ("proc.pname", "lanner"),
        ("proc.args", &arguments),
        ("proc.cmdline", &command_line),
        ("container.id", "host"),
        ("container.name", "host"),
        ("user.name", "root"),
    ];
    let numbers = [("evt.rawres", 0), ("user.uid", 0), ("proc.tty", 0)];
    let texts = texts.map(|(name, text)| (name, Input::Text(text.to_owned())));
    let numbers = numbers.map(|(name, number)| (name, Input::Integer(number)));
    let mut given = GivenFields::default();
    for (name, input) in texts.into_iter().chain(numbers) {
        if let Ok(field) = FieldRef::resolve_in(scope, name, None) {
            let _ = given.insert(&field, &input);
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_engine::{RulesFile, Settings};
    use std::time::Duration;

    fn named(rules: &str) -> Vec<String> {
        let file = RulesFile {
            name: "rules.yaml".into(),
            text: rules.to_owned(),
        };
        let loaded = lanner_engine::load(&[file], &Settings::default());
        let ruleset = loaded
            .ruleset
            .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let program = ProgramConfig {
            program: "jq .output | curl -d @- \"http://receiver/\"".into(),
            keep_alive: false,
            timeout: Duration::from_secs(1),
        };
        let names = alerting(&program, &ruleset, &[]);
        names.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn rules_on_shells_are_named_unless_they_except_lanners() {
        let rule = |name: &str, condition: &str| {
            format!("- {{rule: {name}, desc: d, condition: '{condition}', output: o, priority: INFO}}\n")
        };
        let rules = [
            rule("any", "evt.type in (execve, execveat) and evt.rawres >= 0"),
            rule("shells", "evt.type = execve and proc.name in (sh, bash)"),
            rule("root", "evt.type = execve and user.uid = 0 and not proc.tty != 0"),
            rule("calls", "evt.type = execve and proc.cmdline contains \"curl -d\""),
            rule(
                "excepted",
                "evt.type = execve and proc.name = sh and not proc.pname = lanner",
            ),
            rule(
                "contained",
                "evt.type = execve and proc.name = sh and container.id != host",
            ),
            rule(
                "known",
                "evt.type = execve and evt.dir = < and evt.res = SUCCESS and proc.exe = /bin/sh and proc.exepath = /bin/sh and \
                 proc.args startswith \"-c jq\" and container.id = host and container.name = host and user.name = root and \
                 proc.tty = 0",
            ),
            rule("opens", "evt.type = open and proc.name = sh"),
            rule("off", "evt.type = execve and proc.name = sh").replace("INFO", "INFO, enabled: false"),
        ];
        assert_eq!(
            named(&rules.concat()),
            ["any", "shells", "root", "calls", "known"]
        );
    }

    #[test]
    fn of_the_built_in_rules_none_alerts_about_it() {
        assert!(named(lanner_engine::BUILT_IN_RULES).is_empty());
    }
}
