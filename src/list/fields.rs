//! `--list`: the fields of conditions and outputs.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use anyhow::bail;
use lanner_engine::field::{Extract, Field, FieldClass};
use lanner_engine::{EventSource, SOURCES};
use serde_json::{Value, json};

use super::{Form, document, wrap};

/// Where descriptions begin, and how wide a line is when the terminal does not say.
const INDENT: usize = 30;
const WIDTH: usize = 120;
/// Narrower than this, wrapped text is a column of single words.
const NARROWEST: usize = 60;

/// A class, and the sources that have it.
struct Listed {
    class: &'static FieldClass,
    sources: Vec<&'static str>,
}

/// The classes of a source, or of all when the name is empty: each once, whatever number of sources has it.
fn classes(source: &str) -> anyhow::Result<Vec<Listed>> {
    let asked: Vec<&'static EventSource> = SOURCES
        .iter()
        .copied()
        .filter(|row| source.is_empty() || row.name() == source)
        .collect();
    if asked.is_empty() {
        let known: Vec<&str> = SOURCES.iter().map(|row| row.name()).collect();
        bail!(
            "Value for --list must be a valid source type: \"{source}\" is none, these are: {}",
            known.join(", ")
        );
    }
    let mut all: Vec<Listed> = Vec::new();
    for source in asked {
        for class in source
            .classes()
            .iter()
            .filter(|class| class.fields.iter().any(listed))
        {
            let same = |seen: &&mut Listed| (seen.class.name, seen.class.scope) == (class.name, class.scope);
            match all.iter_mut().find(same) {
                Some(seen) => seen.sources.push(source.name()),
                None => all.push(Listed {
                    class,
                    sources: vec![source.name()],
                }),
            }
        }
    }
    Ok(all)
}

/// Every field with its class and what it is; `types` adds their types to the text (`-v`).
///
/// # Errors
/// When there is no source of that name; the empty name is all of them.
pub(crate) fn fields(source: &str, form: Form, types: bool) -> anyhow::Result<String> {
    let classes = classes(source)?;
    Ok(match form {
        Form::Json => {
            let classes: Vec<Value> = classes.iter().map(as_json).collect();
            document(&json!({ "fieldclasses": classes }))
        }
        Form::Markdown => classes.iter().map(|class| as_markdown(class) + "\n").collect(),
        Form::Text => {
            let width = width();
            let text = classes.iter().map(|class| as_text(class, types, width) + "\n");
            text.collect()
        }
    })
}

/// The fields' names alone (`-N`).
///
/// # Errors
/// As [`fields`].
pub(crate) fn names(source: &str, form: Form) -> anyhow::Result<String> {
    let classes = classes(source)?;
    let names = classes
        .iter()
        .flat_map(|listed| listed.class.fields)
        .filter(|field| listed(field))
        .map(|field| field.name);
    Ok(match form {
        Form::Json => document(&json!({ "fieldnames": names.collect::<Vec<_>>() })),
        Form::Text | Form::Markdown => names.map(|name| format!("{name}\n")).collect(),
    })
}

/// The terminal's width where text goes to one that is narrower than Falco's lines.
fn width() -> usize {
    let columns = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    match std::io::stdout().is_terminal().then(columns).flatten() {
        Some(columns) => columns.clamp(NARROWEST, WIDTH),
        None => WIDTH,
    }
}

/// Falco hides what is deprecated, what only its tables use, and what only outputs use.
fn listed(field: &Field) -> bool {
    !field.flags.hidden && !field.flags.deprecated && !field.flags.print_only
}

/// The class's name, and what sets it apart.
fn title(class: &FieldClass) -> String {
    match class.scope {
        "" => class.name.to_owned(),
        scope => format!("{} ({scope})", class.name),
    }
}

fn as_text(Listed { class, sources }: &Listed, types: bool, width: usize) -> String {
    let mut out = "-------------------------------\n".to_owned();
    let _ = writeln!(out, "{:<INDENT$}{}", "Field Class:", title(class));
    let _ = write!(out, "{:<INDENT$}", "Description:");
    wrap(&mut out, class.doc, INDENT, width);
    let _ = writeln!(out, "\n{:<INDENT$}{} \n", "Event Sources:", sources.join(" "));
    for field in class.fields.iter().filter(|field| listed(field)) {
        if field.name.len() > INDENT {
            let _ = write!(out, "{}\n{:INDENT$}", field.name, "");
        } else {
            let _ = write!(out, "{:<INDENT$}", field.name);
        }
        let mut description = String::new();
        if types {
            let _ = write!(description, "(Type: {}) ", field.ty.name());
        }
        let tags = tags(field);
        if !tags.is_empty() {
            let _ = write!(description, "({}) ", tags.join(","));
        }
        description.push_str(&documented(field));
        wrap(&mut out, &description, INDENT, width);
        out.push('\n');
    }
    out
}

fn as_markdown(Listed { class, sources }: &Listed) -> String {
    let mut out = format!(
        "## Field Class: {}\n\n{}\n\nEvent Sources: {} \n\nName | Type | Description\n:----|:-----|:-----------\n",
        class.name,
        class.doc,
        sources.join(" ")
    );
    for field in class.fields.iter().filter(|field| listed(field)) {
        let ty = match field.list {
            true => format!("LIST({})", field.ty.name()),
            false => field.ty.name().to_owned(),
        };
        let _ = writeln!(
            out,
            "`{}` | {ty} | {}{}",
            field.name,
            documented(field),
            match is_filled(field) {
                true => "",
                false => " *Not filled yet.*",
            }
        );
    }
    out
}

fn as_json(Listed { class, sources }: &Listed) -> Value {
    let fields: Vec<Value> = class
        .fields
        .iter()
        .filter(|field| listed(field))
        .map(|field| {
            json!({
                "name": field.name,
                "desc": documented(field),
                "data_type": field.ty.name(),
                "tags": tags(field),
            })
        })
        .collect();
    json!({
        "name": class.name,
        "desc": class.doc,
        "shortdesc": class.scope,
        "event_sources": sources,
        "fields": fields,
    })
}

/// What a field is, and the form of its argument.
fn documented(field: &Field) -> String {
    match field.arg.describe() {
        "" => field.doc.to_owned(),
        form => format!("{} Argument: {form}.", field.doc),
    }
}

fn is_filled(field: &Field) -> bool {
    !matches!(field.extract, Extract::Unfilled)
}

/// Falco's tags of a field, and one of Lanner's own: `UNFILLED` says that no value of it is known yet.
fn tags(field: &Field) -> Vec<&'static str> {
    let flags = &field.flags;
    let takes_argument = !field.arg.describe().is_empty();
    // In Falco's order, which is that of the words.
    let all = [
        ("ARG_ALLOWED", takes_argument && !field.arg.is_required()),
        ("ARG_REQUIRED", field.arg.is_required()),
        ("EPF_FORMAT_SUGGESTED", flags.suggested),
        ("EPF_IS_LIST", field.list),
        ("EPF_NO_RHS", flags.no_rhs),
        ("EPF_NO_TRANSFORMER", flags.no_transformer),
        ("FILTER_ONLY", flags.filter_only),
        ("UNFILLED", !is_filled(field)),
    ];
    all.into_iter()
        .filter(|(_, has)| *has)
        .map(|(tag, _)| tag)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_engine::field;

    #[test]
    fn a_class_is_printed_as_falco_prints_it() {
        let all = classes("syscall").unwrap();
        let class = all.iter().find(|listed| listed.class.name == "fd").unwrap();
        let text = as_text(class, false, WIDTH);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("-------------------------------"));
        assert_eq!(lines.next(), Some("Field Class:                  fd"));
        assert!(
            lines
                .next()
                .unwrap()
                .starts_with("Description:                  ")
        );
        assert_eq!(lines.next(), Some("Event Sources:                syscall "));
        assert_eq!(lines.next(), Some(""));
        assert!(
            lines
                .next()
                .unwrap()
                .starts_with("fd.num                        The ")
        );
        let row = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        let ip = row("fd.ip ");
        assert!(
            ip.contains(" (EPF_NO_RHS,EPF_NO_TRANSFORMER,FILTER_ONLY) Either address"),
            "{ip}"
        );
        let types = row("fd.types ");
        assert!(
            types.contains("(ARG_ALLOWED,EPF_IS_LIST,EPF_NO_RHS,UNFILLED)"),
            "{types}"
        );
        assert!(text.lines().all(|line| line.trim_end().chars().count() <= WIDTH));
        let typed = as_text(class, true, WIDTH);
        assert!(
            typed.contains("(Type: INT64) The descriptor's number. "),
            "{typed}"
        );
    }

    #[test]
    fn names_are_lines_or_an_array() {
        let text = names("", Form::Text).unwrap();
        assert!(text.lines().any(|line| line == "proc.name"), "{text}");
        assert!(text.lines().all(|line| !line.contains(' ')));
        for hidden in ["evt.dir", "evt.outputtime", "evt.latency.quantized"] {
            assert!(field::all().any(|field| field.name == hidden));
            assert!(!text.lines().any(|line| line == hidden), "{hidden}");
        }
        let json: Value = serde_json::from_str(&names("", Form::Json).unwrap()).unwrap();
        let listed = json["fieldnames"].as_array().unwrap();
        assert_eq!(listed.len(), text.lines().count());
    }

    #[test]
    fn json_has_every_field_with_its_type_and_tags() {
        let json: Value = serde_json::from_str(&fields("", Form::Json, false).unwrap()).unwrap();
        let classes = json["fieldclasses"].as_array().unwrap();
        let field = |name: &str| {
            let mut all = classes
                .iter()
                .flat_map(|class| class["fields"].as_array().unwrap());
            all.find(|field| field["name"] == name).unwrap()
        };
        assert_eq!(field("fd.sport")["data_type"], "PORT");
        assert_eq!(field("container.id")["tags"], json!(["EPF_FORMAT_SUGGESTED"]));
        assert_eq!(
            field("evt.around")["tags"],
            json!([
                "ARG_REQUIRED",
                "EPF_NO_RHS",
                "EPF_NO_TRANSFORMER",
                "FILTER_ONLY",
                "UNFILLED"
            ])
        );
        assert!(
            classes
                .iter()
                .all(|class| class["event_sources"] == json!(["syscall"]))
        );
    }

    #[test]
    fn markdown_is_a_table_per_class() {
        let text = fields("syscall", Form::Markdown, false).unwrap();
        assert!(text.contains("\n`fd.types` | LIST(CHARBUF) | "), "{text}");
        assert_eq!(
            text.matches(":----|:-----|:-----------").count(),
            text.matches("## Field Class: ").count()
        );
    }

    #[test]
    fn a_class_of_several_kinds_says_which_and_an_unknown_source_is_refused() {
        let text = fields("", Form::Text, false).unwrap();
        for title in [
            "evt (All event types)",
            "evt (Syscall events only)",
            "user",
            "k8s",
        ] {
            assert!(
                text.contains(&format!("\nField Class:                  {title}\n")),
                "{title}"
            );
        }
        let error = names("k8s_audit", Form::Text).unwrap_err();
        assert!(error.to_string().contains("these are: syscall"), "{error}");
    }
}
