//! What is asked: by flags, or by a line of JSON.

use std::rc::Rc;

use lanner_engine::Vocabulary;
use serde_json::{Map, Value};

use super::problem::Problem;

/// What to do with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Read a condition.
    Parse,
    /// Read and check a condition.
    Compile,
    /// Try a condition on values.
    Eval,
    /// Find the event types a condition can be true on.
    EventTypes,
    /// Print an output with values.
    Format,
}

impl Op {
    const ALL: [(&str, Op); 5] = [
        ("parse", Op::Parse),
        ("compile", Op::Compile),
        ("eval", Op::Eval),
        ("event-types", Op::EventTypes),
        ("format", Op::Format),
    ];

    fn from_word(word: &str) -> Option<Op> {
        Op::ALL
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, op)| *op)
    }

    /// What messages call the text.
    pub(super) fn subject(self) -> &'static str {
        match self {
            Op::Format => "output",
            _ => "condition",
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What to do.
    pub(super) op: Op,
    /// The condition or output.
    pub(super) text: String,
    /// The values of fields, by name.
    pub(super) fields: Map<String, Value>,
    /// Fields to add, with their types.
    pub(super) types: Map<String, Value>,
    /// Macros: their conditions, by name.
    pub(super) macros: Map<String, Value>,
    /// The macros and lists of rules files.
    pub(super) vocabulary: Option<Rc<Vocabulary>>,
}

/// What flags say for every request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Common {
    /// What to do when a request does not say.
    pub(crate) op: Option<Op>,
    pub(crate) fields: Map<String, Value>,
    pub(crate) types: Map<String, Value>,
    pub(crate) macros: Map<String, Value>,
    pub(crate) vocabulary: Option<Rc<Vocabulary>>,
}

const KEYS: [&str; 7] = ["id", "op", "expr", "template", "fields", "types", "macros"];

/// Reads the JSON object of a flag or a key.
///
/// # Errors
/// When it is none.
pub(crate) fn object(name: &str, text: &str) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => {
            Err(Problem::new(format!("{name} has to be a JSON object")).hint(r#"as in {"proc.name":"cat"}"#))
        }
        Err(error) => Err(Problem::new(format!("{name} is not JSON: {error}"))),
    }
}

impl Common {
    /// The request a text alone makes.
    pub(crate) fn request(&self, op: Op, text: String) -> Request {
        let Common {
            fields,
            types,
            macros,
            vocabulary,
            ..
        } = self.clone();
        Request {
            op,
            text,
            fields,
            types,
            macros,
            vocabulary,
        }
    }

    /// Reads a line: the request, or what is wrong with it, and the `id` to answer with.
    pub(super) fn line(&self, line: &[u8]) -> (Option<Value>, Result<Request, Problem>) {
        let mut object = match serde_json::from_slice(line) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                let problem = Problem::new("a request is a JSON object")
                    .hint(r#"as in {"op":"eval","expr":"proc.name = cat","fields":{"proc.name":"cat"}}"#);
                return (None, Err(problem));
            }
            Err(error) => return (None, Err(Problem::new(format!("the line is not JSON: {error}")))),
        };
        let id = object.remove("id");
        (id, self.keys(object))
    }

    fn keys(&self, mut object: Map<String, Value>) -> Result<Request, Problem> {
        if let Some(unknown) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let problem = Problem::new(format!("a request has no key '{unknown}'"));
            return Err(problem.hint(format!("its keys are {}", KEYS.join(", "))));
        }
        let op = match (object.remove("op"), self.op) {
            (None | Some(Value::Null), Some(op)) => op,
            (None | Some(Value::Null), None) if object.contains_key("template") => Op::Format,
            (None | Some(Value::Null), None) => {
                return Err(Problem::new("the request has no 'op'").hint(words()));
            }
            (Some(Value::String(word)), _) => match Op::from_word(&word) {
                Some(op) => op,
                None => return Err(Problem::new(format!("there is no op '{word}'")).hint(words())),
            },
            (Some(_), _) => return Err(Problem::new("'op' has to be a string").hint(words())),
        };
        let key = match op {
            Op::Format => "template",
            _ => "expr",
        };
        let text = match object.remove(key) {
            Some(Value::String(text)) => text,
            Some(_) => return Err(Problem::new(format!("'{key}' has to be a string"))),
            None => return Err(Problem::new(format!("the request has no '{key}'"))),
        };
        let mut request = self.request(op, text);
        for (key, into) in [
            ("fields", &mut request.fields),
            ("types", &mut request.types),
            ("macros", &mut request.macros),
        ] {
            match object.remove(key) {
                None | Some(Value::Null) => {}
                Some(Value::Object(more)) => into.extend(more),
                Some(_) => return Err(Problem::new(format!("'{key}' has to be an object"))),
            }
        }
        Ok(request)
    }
}

fn words() -> String {
    let words: Vec<&str> = Op::ALL.iter().map(|(word, _)| *word).collect();
    format!("op is one of {}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_to_do_unless_the_command_does() {
        let common = Common::default();
        let read = |line: &str| common.line(line.as_bytes()).1.map(|request| request.op);
        assert_eq!(read(r#"{"op":"eval","expr":"m"}"#).unwrap(), Op::Eval);
        assert_eq!(read(r#"{"template":"x"}"#).unwrap(), Op::Format);
        let refused = |line: &str| read(line).unwrap_err().message;
        assert!(refused(r#"{"expr":"m"}"#).contains("no 'op'"));
        assert!(refused(r#"{"op":"evaluate","expr":"m"}"#).contains("'evaluate'"));
        assert!(refused(r#"{"op":"eval","expr":"m","feilds":{}}"#).contains("'feilds'"));
        assert!(refused(r#"{"op":"format","expr":"m"}"#).contains("no 'template'"));
        assert!(refused("[]").contains("object"));
        assert!(refused("").contains("not JSON"));
        let common = Common {
            op: Some(Op::Parse),
            ..Common::default()
        };
        let (id, request) = common.line(br#"{"id":[1],"expr":"m"}"#);
        assert_eq!(request.unwrap().op, Op::Parse);
        assert_eq!(id, Some(serde_json::json!([1])));
    }

    #[test]
    fn values_of_a_line_are_put_over_those_of_the_command() {
        let common = Common {
            op: Some(Op::Eval),
            fields: object("fields", r#"{"a.a":1,"a.b":2}"#).unwrap(),
            ..Common::default()
        };
        let (_, request) = common.line(br#"{"expr":"m","fields":{"a.b":3}}"#);
        assert_eq!(
            Value::Object(request.unwrap().fields),
            serde_json::json!({"a.a":1,"a.b":3})
        );
    }
}
