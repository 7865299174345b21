//! `--list`: the fields of conditions and outputs.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use anyhow::bail;
use lanner_engine::field::{Extract, Field};
use lanner_engine::{EventSource, SOURCES};
use serde_json::{Value, json};

use super::{Form, document, wrap};

/// Where descriptions begin, and how wide a line is when the terminal does not say.
const INDENT: usize = 30;
const WIDTH: usize = 120;
/// Narrower than this, wrapped text is a column of single words.
const NARROWEST: usize = 60;

/// A class as it is listed.
struct Listed {
    name: &'static str,
    scope: &'static str,
    doc: &'static str,
    sources: Vec<&'static str>,
    rows: Vec<Row>,
}

/// A field as it is listed.
struct Row {
    name: String,
    ty: &'static str,
    list: bool,
    tags: Vec<&'static str>,
    doc: String,
}

impl Row {
    fn new(field: &Field) -> Row {
        Row {
            name: field.name.to_owned(),
            ty: field.ty.name(),
            list: field.list,
            tags: tags(field),
            doc: documented(field),
        }
    }
}

/// The classes of a source, or of all when the name is empty: each once, whatever number of sources has it. Every source
/// has the fields of `static_fields`.
fn classes(source: &str, static_fields: &[(String, String)]) -> anyhow::Result<Vec<Listed>> {
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
    for source in &asked {
        for class in source.classes() {
            let same = |seen: &&mut Listed| (seen.name, seen.scope) == (class.name, class.scope);
            match all.iter_mut().find(same) {
                Some(seen) => seen.sources.push(source.name()),
                None => all.push(Listed {
                    name: class.name,
                    scope: class.scope,
                    doc: class.doc,
                    sources: vec![source.name()],
                    rows: class
                        .fields
                        .iter()
                        .filter(|field| listed(field))
                        .map(Row::new)
                        .collect(),
                }),
            }
        }
    }
    all.push(Listed {
        name: "static",
        scope: "",
        doc: "What static_fields of the configuration adds.",
        sources: asked.iter().map(|source| source.name()).collect(),
        rows: static_fields
            .iter()
            .map(|(name, value)| Row {
                name: format!("static.{name}"),
                ty: "CHARBUF",
                list: false,
                tags: vec!["EPF_FORMAT_SUGGESTED"],
                doc: format!("Always {value}."),
            })
            .collect(),
    });
    all.retain(|class| !class.rows.is_empty());
    Ok(all)
}

/// What `--list` is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// The name of a source; empty for all of them.
    pub(crate) source: &'a str,
    /// The form.
    pub(crate) form: Form,
    /// Names alone (`-N`).
    pub(crate) names_only: bool,
    /// Types in the text, too (`-v`).
    pub(crate) types: bool,
    /// Names and values of the configuration's `static_fields`.
    pub(crate) static_fields: &'a [(String, String)],
}

/// Every field with its class and what it is, or its name alone.
///
/// # Errors
/// When there is no source of that name.
pub(crate) fn fields(asked: Asked<'_>) -> anyhow::Result<String> {
    let classes = classes(asked.source, asked.static_fields)?;
    if asked.names_only {
        let rows = classes.iter().flat_map(|class| &class.rows);
        let names = rows.map(|row| row.name.as_str());
        return Ok(match asked.form {
            Form::Json => document(&json!({ "fieldnames": names.collect::<Vec<_>>() })),
            Form::Text | Form::Markdown => names.map(|name| format!("{name}\n")).collect(),
        });
    }
    Ok(match asked.form {
        Form::Json => {
            let classes: Vec<Value> = classes.iter().map(as_json).collect();
            document(&json!({ "fieldclasses": classes }))
        }
        Form::Markdown => classes.iter().map(|class| as_markdown(class) + "\n").collect(),
        Form::Text => {
            let width = width();
            let text = classes
                .iter()
                .map(|class| as_text(class, asked.types, width) + "\n");
            text.collect()
        }
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
fn title(class: &Listed) -> String {
    match class.scope {
        "" => class.name.to_owned(),
        scope => format!("{} ({scope})", class.name),
    }
}

fn as_text(class: &Listed, types: bool, width: usize) -> String {
    let mut out = "-------------------------------\n".to_owned();
    let _ = writeln!(out, "{:<INDENT$}{}", "Field Class:", title(class));
    let _ = write!(out, "{:<INDENT$}", "Description:");
    wrap(&mut out, class.doc, INDENT, width);
    let _ = writeln!(
        out,
        "\n{:<INDENT$}{} \n",
        "Event Sources:",
        class.sources.join(" ")
    );
    for row in &class.rows {
        if row.name.len() > INDENT {
            let _ = write!(out, "{}\n{:INDENT$}", row.name, "");
        } else {
            let _ = write!(out, "{:<INDENT$}", row.name);
        }
        let mut description = String::new();
        if types {
            let _ = write!(description, "(Type: {}) ", row.ty);
        }
        if !row.tags.is_empty() {
            let _ = write!(description, "({}) ", row.tags.join(","));
        }
        description.push_str(&row.doc);
        wrap(&mut out, &description, INDENT, width);
        out.push('\n');
    }
    out
}

fn as_markdown(class: &Listed) -> String {
    let mut out = format!(
        "## Field Class: {}\n\n{}\n\nEvent Sources: {} \n\nName | Type | Description\n:----|:-----|:-----------\n",
        class.name,
        class.doc,
        class.sources.join(" ")
    );
    for row in &class.rows {
        let ty = match row.list {
            true => format!("LIST({})", row.ty),
            false => row.ty.to_owned(),
        };
        let note = match row.tags.contains(&UNFILLED) {
            true => " *Not filled yet.*",
            false => "",
        };
        let _ = writeln!(out, "`{}` | {ty} | {}{note}", row.name, row.doc);
    }
    out
}

fn as_json(class: &Listed) -> Value {
    let fields: Vec<Value> = class
        .rows
        .iter()
        .map(|row| json!({ "name": row.name, "desc": row.doc, "data_type": row.ty, "tags": row.tags }))
        .collect();
    json!({
        "name": class.name,
        "desc": class.doc,
        "shortdesc": class.scope,
        "event_sources": class.sources,
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

/// Lanner's own tag: no value of the field is known yet.
const UNFILLED: &str = "UNFILLED";

/// Falco's tags of a field, and [`UNFILLED`].
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
        (UNFILLED, matches!(field.extract, Extract::Unfilled)),
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

    fn of(form: Form) -> String {
        fields(Asked {
            form,
            ..Asked::default()
        })
        .unwrap()
    }

    fn names(form: Form) -> String {
        fields(Asked {
            form,
            names_only: true,
            ..Asked::default()
        })
        .unwrap()
    }

    #[test]
    fn a_class_is_printed_as_falco_prints_it() {
        let all = classes("syscall", &[]).unwrap();
        let class = all.iter().find(|listed| listed.name == "fd").unwrap();
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
        assert!(types.contains("(ARG_ALLOWED,EPF_IS_LIST,EPF_NO_RHS) "), "{types}");
        let containers = all.iter().find(|listed| listed.name == "container").unwrap();
        assert!(!as_text(containers, false, WIDTH).contains("UNFILLED"));
        // No plugins are loaded.
        let events = all.iter().find(|listed| listed.name == "evt").unwrap();
        let plugin = |row: &&Row| row.name == "evt.pluginname" || row.name == "evt.plugininfo";
        let plugin: Vec<&Row> = events.rows.iter().filter(plugin).collect();
        assert!(plugin.len() == 2 && plugin.iter().all(|row| row.tags.contains(&UNFILLED)));
        assert!(text.lines().all(|line| line.trim_end().chars().count() <= WIDTH));
        let typed = as_text(class, true, WIDTH);
        assert!(
            typed.contains("(Type: INT64) The descriptor's number. "),
            "{typed}"
        );
    }

    #[test]
    fn names_are_lines_or_an_array() {
        let text = names(Form::Text);
        assert!(text.lines().any(|line| line == "proc.name"), "{text}");
        assert!(text.lines().all(|line| !line.contains(' ')));
        for hidden in ["evt.dir", "evt.outputtime", "evt.latency.quantized"] {
            assert!(field::all().any(|field| field.name == hidden));
            assert!(!text.lines().any(|line| line == hidden), "{hidden}");
        }
        let json: Value = serde_json::from_str(&names(Form::Json)).unwrap();
        let listed = json["fieldnames"].as_array().unwrap();
        assert_eq!(listed.len(), text.lines().count());
    }

    #[test]
    fn json_has_every_field_with_its_type_and_tags() {
        let json: Value = serde_json::from_str(&of(Form::Json)).unwrap();
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
            json!(["ARG_REQUIRED", "EPF_NO_RHS", "EPF_NO_TRANSFORMER", "FILTER_ONLY"])
        );
        assert!(
            classes
                .iter()
                .all(|class| class["event_sources"] == json!(["syscall"]))
        );
    }

    #[test]
    fn markdown_is_a_table_per_class() {
        let text = of(Form::Markdown);
        assert!(text.contains("\n`fd.types` | LIST(CHARBUF) | "), "{text}");
        assert_eq!(
            text.matches(":----|:-----|:-----------").count(),
            text.matches("## Field Class: ").count()
        );
    }

    #[test]
    fn a_class_of_several_kinds_says_which_and_an_unknown_source_is_refused() {
        let text = of(Form::Text);
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
        let error = fields(Asked {
            source: "k8s_audit",
            ..Asked::default()
        })
        .unwrap_err();
        assert!(error.to_string().contains("these are: syscall"), "{error}");
    }

    #[test]
    fn static_fields_are_a_class_of_their_own() {
        let static_fields = [("cluster".to_owned(), "west".to_owned())];
        let asked = Asked {
            static_fields: &static_fields,
            ..Asked::default()
        };
        let text = fields(asked).unwrap();
        assert!(
            text.contains("\nstatic.cluster                (EPF_FORMAT_SUGGESTED) Always west. \n"),
            "{text}"
        );
        assert!(!of(Form::Text).contains("Field Class:                  static"));
    }
}
