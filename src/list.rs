//! `-L`, `-l`, `--list` and `--list-events`.

use std::fmt::Write as _;

use anyhow::bail;
use lanner_engine::Ruleset;
use lanner_engine::field::{self, Extract, Field, FieldClass};
use lanner_schema::event::{EVENTS, Param, ParamType};
use lanner_schema::flags::FlagTable;

/// Every event that is captured, as Falco lists them: name, and each parameter with its type and the names of its flags.
pub(crate) fn events() -> String {
    let mut out = String::new();
    for row in EVENTS {
        let parameters = row.params.iter().filter(|param| !param.hidden);
        let parameters: Vec<String> = parameters.map(parameter).collect();
        let _ = writeln!(out, "< {}({})", row.name, parameters.join(", "));
    }
    out
}

fn parameter(param: &Param) -> String {
    let (name, flags) = type_name(param.ty);
    let mut text = format!("{name} **{}**", param.name);
    if let Some(flags) = flags {
        let names: Vec<&str> = flags.names.iter().map(|(name, _)| *name).collect();
        let _ = write!(text, ": {}", names.join(", "));
    }
    text
}

/// `--list`: every field with its class and what it is; with `names_only` just the names.
pub(crate) fn fields(names_only: bool) -> String {
    let mut out = String::new();
    if names_only {
        for field in field::all().filter(|field| listed(field)) {
            let _ = writeln!(out, "{}", field.name);
        }
        return out;
    }
    for class in field::FIELDS {
        self::class(class, &mut out);
    }
    out
}

fn class(class: &FieldClass, out: &mut String) {
    let _ = writeln!(out, "-------------------------------");
    for (label, text) in [
        ("Field Class:", class.name),
        ("Description:", class.doc),
        ("Event Sources:", "syscall"),
    ] {
        let _ = writeln!(out, "{label:<30}{text}");
    }
    out.push('\n');
    for field in class.fields.iter().filter(|field| listed(field)) {
        let mut notes = Vec::new();
        if !field.arg.describe().is_empty() {
            notes.push(field.arg.describe());
        }
        if matches!(field.extract, Extract::Unfilled) {
            notes.push("not filled yet");
        }
        let notes = match notes.is_empty() {
            true => String::new(),
            false => format!("({}) ", notes.join("; ")),
        };
        let _ = writeln!(out, "{:<30}{notes}{}", field.name, field.doc);
    }
    out.push('\n');
}

/// Falco hides what is deprecated.
fn listed(field: &Field) -> bool {
    !field.flags.hidden && !field.flags.deprecated
}

/// Falco's word for a type. It also knows the width of flags, codes and modes; here they are all 32 bits wide.
fn type_name(ty: ParamType) -> (&'static str, Option<&'static FlagTable>) {
    let name = match ty {
        ParamType::Flags(table) => return ("FLAGS32", Some(table)),
        ParamType::Enum(table) => return ("ENUMFLAGS32", Some(table)),
        ParamType::Mode(table) => return ("MODE", Some(table)),
        ParamType::Errno => "ERRNO",
        ParamType::Fd => "FD",
        ParamType::Pid => "PID",
        ParamType::Uid => "UID",
        ParamType::Gid => "GID",
        ParamType::U8 => "UINT8",
        ParamType::U16 => "UINT16",
        ParamType::U32 => "UINT32",
        ParamType::U64 => "UINT64",
        ParamType::I32 => "INT32",
        ParamType::I64 => "INT64",
        ParamType::Signal => "SIGTYPE",
        ParamType::AbsTime => "ABSTIME",
        ParamType::CharBuf => "CHARBUF",
        ParamType::ByteBuf => "BYTEBUF",
        ParamType::FsPath => "FSPATH",
        ParamType::FsRelPath(_) => "FSRELPATH",
        ParamType::SockTuple => "SOCKTUPLE",
        ParamType::SockAddr => "SOCKADDR",
    };
    (name, None)
}

/// `-L`: each rule with its description.
pub(crate) fn rules(ruleset: &Ruleset) -> String {
    let mut out = format!("{:<50} Description\n", "Rule");
    let _ = writeln!(out, "{:<50} -----------", "----");
    for rule in ruleset.rules() {
        let description = rule
            .description()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let _ = writeln!(out, "{:<50} {description}", rule.name());
    }
    out
}

/// `-l RULE`: everything about one rule.
pub(crate) fn rule(ruleset: &Ruleset, name: &str) -> anyhow::Result<String> {
    let Some(rule) = ruleset.rules().find(|rule| rule.name() == name) else {
        bail!("Rule \"{name}\" is not loaded");
    };
    let mut out = String::new();
    let mut row = |label: &str, text: &str| {
        let _ = writeln!(out, "{label:<12} {}", text.trim());
    };
    row("Rule", rule.name());
    row("Description", rule.description());
    row("Priority", rule.priority().word());
    row("Source", rule.source());
    row("Tags", &rule.tags().join(", "));
    row("Enabled", if rule.is_enabled() { "yes" } else { "no" });
    let events: Vec<&str> = rule.events().iter().map(|event| event.name()).collect();
    row("Events", &events.join(", "));
    row("Condition", &rule.condition());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_listed_by_class_or_by_name() {
        let text = fields(false);
        assert!(text.contains("Field Class:                  evt\n"), "{text}");
        assert!(
            text.lines().any(|line| line.starts_with("container.id   ")),
            "{text}"
        );
        let names = fields(true);
        assert!(names.lines().any(|line| line == "proc.name"), "{names}");
        assert!(names.lines().all(|line| !line.contains(' ')));
    }

    #[test]
    fn events_are_listed_with_parameters_types_and_flags() {
        let text = events();
        let open = text.lines().find(|line| line.starts_with("< open(")).unwrap();
        assert!(
            open.starts_with("< open(FD **fd**, FSPATH **name**, FLAGS32 **flags**: "),
            "{open}"
        );
        assert!(open.contains("O_CREAT, "), "{open}");
        assert_eq!(text.lines().count(), EVENTS.len());
    }
}
