//! The field table against Falco's own list, where it is at hand: no name is missing, no type differs.

use lanner_engine::SYSCALL;
use lanner_engine::field::all;
use std::path::PathBuf;

/// Fields of Falco's table that are only in the table: `--list` does not show them and no rule uses them.
fn is_table_only(flags: &str) -> bool {
    flags.contains("table-only")
}

#[test]
fn every_field_of_falco_is_known_with_its_type() {
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
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, ty, argument, _, list, source, provider, _, flags, ..] = columns[..] else {
            panic!("{line}");
        };
        let served =
            matches!(source, "syscall" | "any") && matches!(provider, "libsinsp" | "plugin:container");
        if !served || is_table_only(flags) || name == "util.cnt" {
            continue;
        }
        seen += 1;
        let Some(field) = SYSCALL.field(name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        // evt.rawarg has the type of its parameter.
        if ty != "DYN" && field.ty.name() != ty {
            wrong.push(format!("{name} is {} there, {} here", ty, field.ty.name()));
        }
        if field.list != (list == "yes") {
            wrong.push(format!("{name}: list {list} there"));
        }
        for (flag, ours) in [
            ("deprecated", field.flags.deprecated),
            ("no-rhs-field", field.flags.no_rhs),
            ("no-transformer", field.flags.no_transformer),
            ("filter-only", field.flags.filter_only),
            ("suggested-output", field.flags.suggested),
        ] {
            if flags.contains(flag) != ours {
                wrong.push(format!("{name}: {flag} differs"));
            }
        }
        // evt.abspath says it needs its suffix, and works without.
        if (argument == "required") != field.arg.is_required() && name != "evt.abspath" {
            wrong.push(format!("{name}: argument {argument} there"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 200, "only {seen} fields in {}", path.display());
}

#[test]
fn every_field_is_documented_once() {
    let mut names: Vec<&str> = all().map(|field| field.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    for field in all() {
        assert!(field.doc.ends_with('.'), "{}: {}", field.name, field.doc);
    }
}
