//! `-o KEY=VALUE`, in Falco's path syntax: `key.sub[0].x=value`, `list[]=value` appends, a value in braces or brackets
//! is YAML, and `\.` `\[` `\]` `\\` stand for the characters themselves.

use super::message::{Message, Place};
use super::tree::{self, Entry, Node, Value};

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Append,
}

/// Sets what one `-o` says.
pub(crate) fn assign(root: &mut Node, option: &str) -> Result<(), Message> {
    let place = Place::Option(option.into());
    let refuse = |text: String, hint: &str| Message {
        level: super::message::Level::Error,
        place: place.clone(),
        text,
        hint: Some(hint.to_owned()),
    };
    let Some((path, value)) = option.split_once('=') else {
        return Err(refuse(
            "there is no \"=\"".into(),
            "write -o KEY=VALUE, for example -o json_output=true",
        ));
    };
    let steps = steps(path).map_err(|text| {
        refuse(
            text,
            "write for example -o rules_files[0]=/path or -o nri.enabled=false",
        )
    })?;
    let node = match value.trim_start().starts_with(['{', '[']) {
        true => tree::parse(value, &place, false)?,
        false => Node {
            at: place.clone(),
            value: Value::Scalar(value.to_owned()),
        },
    };
    set(root, &steps, node).map_err(|text| {
        refuse(
            text,
            "-o can change what is there, and add keys and items at the end of lists",
        )
    })
}

/// Steps of a path; no key is that deep, and each step is a call deep.
const DEPTH: usize = 64;

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut key = String::new();
    let mut chars = path.chars().peekable();
    // After `]` comes `.`, `[` or the end; a key can't be empty anywhere else.
    let mut after_index = false;
    let end_key = |key: &mut String, steps: &mut Vec<Step>, after_index: bool| match key.is_empty() {
        false if after_index => Err(format!("\"{key}\" follows \"]\" without a dot")),
        false => {
            steps.push(Step::Key(std::mem::take(key)));
            Ok(())
        }
        true if after_index => Ok(()),
        true => Err("a part of the key is empty".to_owned()),
    };
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('.' | '[' | ']' | '\\')) => key.push(c),
                Some(c) => return Err(format!("\"\\{c}\" has no meaning in a key")),
                None => return Err("the key ends in the middle of an escape".into()),
            },
            '.' => {
                end_key(&mut key, &mut steps, after_index)?;
                after_index = false;
                if chars.peek().is_none() {
                    return Err("the key ends with a dot".into());
                }
            }
            '[' => {
                end_key(&mut key, &mut steps, after_index)?;
                let mut index = String::new();
                loop {
                    match chars.next() {
                        Some(']') => break,
                        Some(c) => index.push(c),
                        None => return Err("\"[\" is never closed".into()),
                    }
                }
                steps.push(match index.as_str() {
                    "" => Step::Append,
                    digits => Step::Index(
                        digits
                            .parse()
                            .map_err(|_| format!("\"{digits}\" is not the number of an item"))?,
                    ),
                });
                after_index = true;
            }
            ']' => return Err("\"]\" without \"[\"".into()),
            c => key.push(c),
        }
    }
    end_key(&mut key, &mut steps, after_index)?;
    match steps.len() > DEPTH {
        true => Err(format!("the key has more than {DEPTH} parts")),
        false => Ok(steps),
    }
}

fn set(node: &mut Node, steps: &[Step], value: Node) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    let fresh = || Node {
        at: value.at.clone(),
        value: Value::Null,
    };
    let next = match step {
        Step::Key(name) => {
            // A scalar that gets a key below it is replaced, as Falco does.
            if !matches!(node.value, Value::Map(_)) {
                node.value = Value::Map(Vec::new());
            }
            let Value::Map(entries) = &mut node.value else {
                return Ok(());
            };
            let index = entries
                .iter()
                .position(|entry| entry.name == *name)
                .unwrap_or_else(|| {
                    entries.push(Entry {
                        name: name.clone(),
                        at: value.at.clone(),
                        node: fresh(),
                    });
                    entries.len() - 1
                });
            &mut entries[index].node
        }
        Step::Index(_) | Step::Append => {
            if matches!(node.value, Value::Null) {
                node.value = Value::List(Vec::new());
            }
            let Value::List(items) = &mut node.value else {
                return Err(format!(
                    "what stands before \"[\" is {}, not a list",
                    node.describe()
                ));
            };
            let index = match step {
                Step::Index(index) => *index,
                _ => items.len(),
            };
            if index > items.len() {
                return Err(format!(
                    "the list has {} items, there is no item {index}",
                    items.len()
                ));
            }
            if index == items.len() {
                items.push(fresh());
            }
            &mut items[index]
        }
    };
    set(next, rest, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn root() -> Node {
        tree::parse_file("a: 1\nlist: [x, y]\nmap: {k: v}\n", Path::new("f")).unwrap()
    }

    #[test]
    fn paths_reach_keys_items_and_new_places() {
        let mut root = root();
        for option in [
            "a=2",
            "list[1]=z",
            "list[]=new",
            "list[3]=last",
            "map.k=w",
            "map.new.deep[0].x=1",
            "top={q: [1, 2]}",
        ] {
            assign(&mut root, option).unwrap();
        }
        assert_eq!(root.get("a").unwrap().text(), Ok("2"));
        assert_eq!(
            root.get("list").unwrap().texts().unwrap(),
            ["x", "z", "new", "last"]
        );
        let map = root.get("map").unwrap();
        assert_eq!(map.get("k").unwrap().text(), Ok("w"));
        let Value::List(deep) = &map.get("new").unwrap().get("deep").unwrap().value else {
            panic!()
        };
        assert_eq!(deep[0].get("x").unwrap().text(), Ok("1"));
        assert_eq!(
            root.get("top").unwrap().get("q").unwrap().texts().unwrap(),
            ["1", "2"]
        );
    }

    #[test]
    fn escapes_stand_for_themselves() {
        assert_eq!(
            steps(r"a\.b\[0\].c\\d").unwrap(),
            [Step::Key("a.b[0]".into()), Step::Key(r"c\d".into())]
        );
        assert_eq!(steps("a[0][1].b").unwrap().len(), 4);
    }

    #[test]
    fn values_keep_what_comes_after_the_first_equals_sign() {
        let mut root = root();
        assign(&mut root, "url=http://h/?a=b").unwrap();
        assert_eq!(root.get("url").unwrap().text(), Ok("http://h/?a=b"));
        assign(&mut root, "empty=").unwrap();
        assert!(root.get("empty").unwrap().is_empty());
    }

    #[test]
    fn a_key_without_end_is_refused() {
        let option = format!("a{}=1", ".a".repeat(100_000));
        assert!(assign(&mut root(), &option).unwrap_err().text.contains("parts"));
    }

    #[test]
    fn mistakes_are_named() {
        let mistakes = [
            ("novalue", "no \"=\""),
            ("a..b=1", "empty"),
            ("=1", "empty"),
            ("a.=1", "dot"),
            ("a[=1", "never closed"),
            ("a]=1", "without"),
            ("a[x]=1", "not the number"),
            (r"a\x=1", "no meaning"),
            ("list[7]=1", "2 items"),
            ("map[0]=1", "not a list"),
            ("list[0]b=1", "without a dot"),
            ("a={b: ", "not YAML"),
        ];
        for (option, part) in mistakes {
            let message = assign(&mut root(), option).unwrap_err();
            assert!(message.text.contains(part), "{option}: {message}");
            assert!(
                message.to_string().starts_with(&format!("-o {option}: ")),
                "{message}"
            );
        }
    }
}
