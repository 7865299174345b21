//! `config_files`: further files merged into the main one, key by top-level key, as Falco does.

use std::fs;
use std::path::{Path, PathBuf};

use super::message::{Messages, Place};
use super::shape::Verdicts;
use super::tree::{self, Node, Value};

/// What becomes of a key that is in both files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// Lists are joined, everything else is replaced: the default.
    Append,
    /// The later file wins.
    Override,
    /// The earlier file wins.
    AddOnly,
}

const KEY: &str = "config_files";

/// Merges the files that `config_files` names into `root`, in order. Paths that don't exist are skipped. Gives the paths as
/// they are named.
pub(super) fn merge(
    root: &mut Node,
    main: &Path,
    messages: &mut Messages,
    verdicts: &mut Verdicts,
) -> Vec<PathBuf> {
    let mut named = Vec::new();
    let Some(list) = root.get(KEY).cloned() else {
        return named;
    };
    let items = match &list.value {
        Value::Null => return named,
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&list),
    };
    for item in items {
        let Some((path, strategy)) = item_of(item, messages) else {
            continue;
        };
        named.push(path.clone());
        for file in files(&path) {
            if same(&file, main) {
                let text = format!("{} includes itself", main.display());
                messages.error(&item.at, text, "remove it from config_files");
                continue;
            }
            let text = match super::read_text(&file) {
                Ok(text) => text,
                Err(error) => {
                    let text = format!("cannot read {}: {error}", file.display());
                    messages.error(
                        &item.at,
                        text,
                        "every file that config_files names must be readable",
                    );
                    continue;
                }
            };
            match tree::parse_file(&text, &file) {
                Ok(mut included) => {
                    tree::settle_duplicates(&mut included, messages);
                    verdicts.add(&file, &included);
                    merge_one(root, included, strategy, messages);
                }
                Err(message) => messages.0.push(message),
            }
        }
    }
    named
}

/// Merges a text that is no file of `config_files`; its keys win.
pub(super) fn merge_over(
    root: &mut Node,
    text: &str,
    path: &Path,
    messages: &mut Messages,
    verdicts: &mut Verdicts,
) {
    match tree::parse_file(text, path) {
        Ok(mut over) => {
            tree::settle_duplicates(&mut over, messages);
            verdicts.add(path, &over);
            merge_one(root, over, Strategy::Override, messages);
        }
        Err(message) => messages.0.push(message),
    }
}

/// An item is a path, or a map of `path` and `strategy`.
fn item_of(item: &Node, messages: &mut Messages) -> Option<(PathBuf, Strategy)> {
    let path = item.get("path").unwrap_or(item);
    let strategy = match item.get("strategy").map(Node::text) {
        Some(Ok("override")) => Strategy::Override,
        Some(Ok("add-only")) => Strategy::AddOnly,
        // Any other word means this too, as in Falco; the schema's warning names it.
        _ => Strategy::Append,
    };
    match path.text() {
        Ok(path) if !path.is_empty() => Some((path.into(), strategy)),
        _ => {
            let text = format!("an item of config_files must be a path, not {}", item.describe());
            messages.error(
                &item.at,
                text,
                "write a path, or \"path:\" and \"strategy:\" with append, override or add-only",
            );
            None
        }
    }
}

/// The file itself, or every regular file of a directory in order of their names.
fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return if path.exists() {
            vec![path.to_owned()]
        } else {
            Vec::new()
        };
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn merge_one(root: &mut Node, included: Node, strategy: Strategy, messages: &mut Messages) {
    let at: Place = included.at.clone();
    let added = match included.value {
        Value::Null => return,
        Value::Map(entries) => entries,
        _ => {
            return messages.error(
                &at,
                "a configuration is a map of keys",
                "write for example \"json_output: true\"",
            );
        }
    };
    if !matches!(root.value, Value::Map(_)) {
        root.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut root.value else {
        return;
    };
    for new in added {
        if new.name == KEY {
            // Falco refuses it too: what such a file names would silently be left out.
            messages.error(
                &new.at,
                "config_files in an included file",
                "name every file in the main configuration",
            );
            continue;
        }
        let Some(old) = entries.iter_mut().find(|entry| entry.name == new.name) else {
            entries.push(new);
            continue;
        };
        match (strategy, &mut old.node.value, new.node.value) {
            (Strategy::AddOnly, _, _) => {}
            (Strategy::Append, Value::List(items), Value::List(more)) => items.extend(more),
            (_, _, value) => {
                old.at = new.at;
                old.node = Node {
                    at: new.node.at,
                    value,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Messages, read};
    use lanner_schema::alert::Priority;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn merged(files: &[(&str, &str)], options: &[&str]) -> (Config, Messages, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("config.d")).unwrap();
        for (name, text) in files {
            let text = text.replace("DIR", dir.path().to_str().unwrap());
            fs::write(dir.path().join(name), text).unwrap();
        }
        let main = dir.path().join("main.yaml");
        let text = fs::read_to_string(&main).unwrap();
        let options: Vec<String> = options
            .iter()
            .map(|o| o.replace("DIR", dir.path().to_str().unwrap()))
            .collect();
        let (config, messages) = read(&text, &main, &options);
        (config, messages, dir)
    }

    fn paths(config: &Config) -> Vec<PathBuf> {
        config.rules_files.clone().unwrap_or_default()
    }

    #[test]
    fn a_directory_is_merged_in_order_and_lists_are_joined() {
        let (config, messages, _dir) = merged(
            &[
                (
                    "main.yaml",
                    "config_files: [DIR/config.d, DIR/missing]\nrules_files: [/a]\npriority: error\n",
                ),
                (
                    "config.d/2.yaml",
                    "priority: notice\nrules_files: [/c]\nstdout_output: {enabled: false}\n",
                ),
                ("config.d/1.yaml", "priority: warning\nrules_files: [/b]\n"),
            ],
            &[],
        );
        assert!(messages.0.is_empty(), "{:?}", messages.0);
        assert_eq!(paths(&config), ["/a", "/b", "/c"].map(Path::new));
        assert_eq!(config.priority, Priority::Notice);
        assert!(!config.outputs.stdout);
    }

    #[test]
    fn strategies_decide_who_wins() {
        let add = (
            "config.d/x.yaml",
            "priority: notice\nrules_files: [/b]\njson_output: true\n",
        );
        let main = |strategy| {
            format!(
                "config_files: [{{path: DIR/config.d/x.yaml, strategy: {strategy}}}]\nrules_files: [/a]\npriority: error\n"
            )
        };
        let (config, _, _dir) = merged(&[("main.yaml", &main("override")), add], &[]);
        assert_eq!(
            (paths(&config), config.priority),
            (vec!["/b".into()], Priority::Notice)
        );
        let (config, _, _dir) = merged(&[("main.yaml", &main("add-only")), add], &[]);
        assert_eq!(
            (paths(&config), config.priority),
            (vec!["/a".into()], Priority::Error)
        );
        assert!(config.json_output);
        let (config, messages, _dir) = merged(&[("main.yaml", &main("merge")), add], &[]);
        assert!(
            !messages.refused(),
            "an unknown strategy is the usual one, as in Falco"
        );
        assert_eq!(paths(&config), ["/a", "/b"].map(Path::new));
        assert!(
            messages.0[0].text.contains("config_files[0].strategy"),
            "{:?}",
            messages.0
        );
    }

    #[test]
    fn options_come_last_but_may_name_the_files() {
        let files = [
            ("main.yaml", "priority: error\n"),
            ("config.d/x.yaml", "priority: notice\njson_output: true\n"),
        ];
        let (config, _, _dir) = merged(&files, &["priority=alert", "config_files[]=DIR/config.d"]);
        assert!(config.json_output);
        assert_eq!(config.priority, Priority::Alert);
    }

    #[test]
    fn mistakes_name_the_file_they_are_in() {
        let (_, messages, _dir) = merged(
            &[
                ("main.yaml", "config_files: [DIR/config.d, DIR/main.yaml]\n"),
                ("config.d/1.yaml", "json_output: maybe\nconfig_files: [/x]\n"),
            ],
            &[],
        );
        let texts: Vec<String> = messages.0.iter().map(ToString::to_string).collect();
        for part in [
            "1.yaml:1:14: json_output must be",
            "1.yaml:2:1: config_files in an included",
            "includes itself",
        ] {
            assert!(texts.iter().any(|text| text.contains(part)), "{part} {texts:#?}");
        }
    }
}
