//! The field table against Falco's own list, where it is at hand: every name with its type, argument, flags and class.

// Failing to read the table is failing the test.
#![allow(clippy::panic)]

use lanner_engine::field::{ArgForm, FIELDS, Field, FieldClass, all};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A line of Falco's list.
#[derive(Debug)]
struct Line<'t> {
    name: &'t str,
    ty: &'t str,
    argument: &'t str,
    form: &'t str,
    list: &'t str,
    provider: &'t str,
    class: &'t str,
    flags: &'t str,
    print: &'t str,
}

impl<'t> Line<'t> {
    /// The fields of the source `syscall` that Falco itself and its container plugin have.
    fn served(line: &'t str) -> Option<Line<'t>> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [
            name,
            ty,
            argument,
            form,
            list,
            source,
            provider,
            class,
            flags,
            print,
            ..,
        ] = columns[..]
        else {
            panic!("{line}");
        };
        let served =
            matches!(source, "syscall" | "any") && matches!(provider, "libsinsp" | "plugin:container");
        served.then_some(Line {
            name,
            ty,
            argument,
            form,
            list,
            provider,
            class,
            flags,
            print,
        })
    }

    fn argument(&self) -> ArgForm {
        match (self.form, self.argument) {
            ("", _) => ArgForm::None,
            ("[index]" | "[fd number]", "optional") => ArgForm::Index,
            ("[key]", "optional") => ArgForm::Key,
            ("[index or key]", "optional") => ArgForm::IndexOrKey,
            ("[key]", "required") => ArgForm::RequiredKey,
            ("[epoch_ns]", "required") => ArgForm::RequiredIndex,
            ("[index] or [key glob]", "required") => ArgForm::RequiredIndexOrPattern,
            (".NAME or [index]", "required") => ArgForm::Param,
            (".NAME", "required") => ArgForm::ParamName,
            (".NAME or .NUMBER", "required") => ArgForm::EventType,
            (".SUBSYS", "required") => ArgForm::DotName,
            // It says that it needs its suffix, and works without.
            ("none/.src/.dst", _) => ArgForm::Side,
            _ => panic!("{self:?}: an argument of another form"),
        }
    }

    /// What differs in `field`, a row of `class`.
    fn differences(&self, class: &FieldClass, field: &Field) -> Vec<String> {
        let name = self.name;
        let mut wrong = Vec::new();
        // evt.rawarg has the type of its parameter.
        if self.ty != "DYN" && field.ty.name() != self.ty {
            wrong.push(format!("{name} is {} there, {} here", self.ty, field.ty.name()));
        }
        if field.arg != self.argument() {
            wrong.push(format!(
                "{name}: argument {} there, {:?} here",
                self.form, field.arg
            ));
        }
        if field.list != (self.list == "yes") {
            wrong.push(format!("{name}: list {} there", self.list));
        }
        // What only outputs have is not listed either.
        let unlisted = ["table-only", "print-only"]
            .iter()
            .any(|flag| self.flags.contains(flag));
        let hidden = unlisted || self.class.contains("(hidden)");
        for (flag, there, here) in [
            (
                "deprecated",
                self.flags.contains("deprecated"),
                field.flags.deprecated,
            ),
            (
                "no-rhs-field",
                self.flags.contains("no-rhs-field"),
                field.flags.no_rhs,
            ),
            (
                "no-transformer",
                self.flags.contains("no-transformer"),
                field.flags.no_transformer,
            ),
            (
                "filter-only",
                self.flags.contains("filter-only"),
                field.flags.filter_only,
            ),
            (
                "print-only",
                self.flags.contains("print-only"),
                field.flags.print_only,
            ),
            (
                "suggested-output",
                self.flags.contains("suggested-output"),
                field.flags.suggested,
            ),
            ("hidden", hidden, field.flags.hidden),
            ("hexadecimal", self.print == "HEX", field.flags.hex),
            ("nine digits", self.print == "10_PADDED_DEC", field.flags.padded),
        ] {
            if there != here {
                wrong.push(format!("{name}: {flag} is {there} there, {here} here"));
            }
        }
        let title = match class.scope {
            "" => class.name.to_owned(),
            scope => format!("{} ({scope})", class.name),
        };
        // Three fields of processes come from the container plugin.
        if self.class != "proc" && self.class.trim_end_matches(" (hidden)") != title {
            wrong.push(format!("{name}: class {} there, {title} here", self.class));
        }
        let plugin = self.provider.strip_prefix("plugin:").unwrap_or_default();
        if plugin != class.plugin {
            wrong.push(format!(
                "{name}: plugin '{plugin}' there, '{}' here",
                class.plugin
            ));
        }
        wrong
    }
}

#[test]
fn every_field_of_falco_is_here_as_it_is_there_and_no_other() {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/fields.tsv");
    let path = std::env::var_os("FALCO_FIELDS").map_or_else(default, PathBuf::from);
    let table = match std::fs::read_to_string(&path) {
        Ok(table) => table,
        Err(error) => {
            eprintln!(
                "skipped: {}: {error}; set FALCO_FIELDS to a table of Falco's fields",
                path.display()
            );
            return;
        }
    };
    let rows = FIELDS
        .iter()
        .flat_map(|class| class.fields.iter().map(move |field| (class, field)));
    // Lanner's own have a class of their own.
    let rows = rows.filter(|(class, _)| class.name != "lanner");
    let mut here: BTreeMap<&str, (&FieldClass, &Field)> = rows.map(|row| (row.1.name, row)).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in table.lines().skip(1).filter_map(Line::served) {
        seen += 1;
        match here.remove(line.name) {
            Some((class, field)) => wrong.extend(line.differences(class, field)),
            None => wrong.push(format!("{} is missing", line.name)),
        }
    }
    wrong.extend(here.keys().map(|name| format!("{name} is no field of Falco's")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 290, "only {seen} fields in {}", path.display());
}

#[test]
fn every_field_is_documented_once() {
    let mut names: Vec<&str> = all().map(|field| field.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    for field in all() {
        assert!(field.doc.ends_with('.'), "{}: {}", field.name, field.doc);
        assert!(
            field
                .doc
                .starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
                || field.doc.contains('.'),
            "{}: {}",
            field.name,
            field.doc
        );
    }
}

#[test]
fn classes_are_documented_and_told_apart() {
    let mut titles: Vec<_> = FIELDS.iter().map(|class| (class.name, class.scope)).collect();
    titles.sort_unstable();
    assert!(titles.windows(2).all(|pair| pair[0] != pair[1]), "{titles:?}");
    assert!(
        FIELDS
            .iter()
            .all(|class| class.doc.ends_with('.') && !class.fields.is_empty())
    );
}
