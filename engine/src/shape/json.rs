//! A shape as a JSON schema, draft 6 as Falco's.

use super::{MapShape, Shape};
use serde_json::{Map, Value, json};

impl Shape {
    /// The JSON schema of documents of this shape: maps with a title are definitions that the others refer to.
    pub fn json_schema(&self) -> Value {
        let mut definitions = Map::new();
        let schema = value(self, &mut definitions);
        let mut root = Map::new();
        root.insert("$schema".into(), "http://json-schema.org/draft-06/schema#".into());
        if let Value::Object(schema) = schema {
            root.extend(schema);
        }
        if !definitions.is_empty() {
            root.insert("definitions".into(), Value::Object(definitions));
        }
        Value::Object(root)
    }
}

fn value(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Nothing => json!({"type": "null"}),
        Shape::Text => json!({"type": "string"}),
        Shape::Truth => json!({"type": "boolean"}),
        Shape::Integer => json!({"type": "integer"}),
        Shape::Number => json!({"type": "number"}),
        Shape::Word(words) => json!({"type": "string", "enum": words}),
        Shape::List(item) => json!({"type": "array", "items": value(item, definitions)}),
        Shape::Either(shapes) => {
            let all: Vec<Value> = shapes.iter().map(|shape| value(shape, definitions)).collect();
            json!({"anyOf": all})
        }
        Shape::Map(shape) if shape.title.is_empty() => map(shape, definitions),
        Shape::Map(shape) => {
            if !definitions.contains_key(shape.title) {
                let definition = map(shape, definitions);
                definitions.insert(shape.title.into(), definition);
            }
            json!({"$ref": format!("#/definitions/{}", shape.title)})
        }
    }
}

fn map(shape: &MapShape, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    let others = match &shape.others {
        None => Some(Value::Bool(false)),
        Some(others) if **others == Shape::Any => None,
        Some(others) => Some(value(others, definitions)),
    };
    schema.extend(others.map(|others| ("additionalProperties".to_owned(), others)));
    if !shape.keys.is_empty() {
        let keys: Map<String, Value> = shape
            .keys
            .iter()
            .map(|(name, shape)| ((*name).to_owned(), value(shape, definitions)))
            .collect();
        schema.insert("properties".into(), Value::Object(keys));
    }
    if !shape.required.is_empty() {
        schema.insert("required".into(), json!(shape.required));
    }
    if shape.at_least > 0 {
        schema.insert("minProperties".into(), shape.at_least.into());
    }
    if !shape.title.is_empty() {
        schema.insert("title".into(), shape.title.into());
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_definitions_and_the_rest_stands_in_its_place() {
        let output = Shape::Map(MapShape {
            title: "Output",
            keys: vec![("enabled", Shape::Truth)],
            at_least: 1,
            ..MapShape::default()
        });
        let shape = Shape::map(
            "Config",
            vec![
                ("stdout", output.clone()),
                ("syslog", output),
                ("fields", Shape::any_map(Shape::Text)),
                ("free", Shape::any_map(Shape::Any)),
                (
                    "files",
                    Shape::list(Shape::Either(vec![Shape::Text, Shape::Nothing])),
                ),
                ("mode", Shape::Word(vec!["a", "b"])),
            ],
        );
        assert_eq!(
            shape.json_schema(),
            json!({
                "$schema": "http://json-schema.org/draft-06/schema#",
                "$ref": "#/definitions/Config",
                "definitions": {
                    "Config": {
                        "type": "object",
                        "title": "Config",
                        "additionalProperties": false,
                        "properties": {
                            "stdout": {"$ref": "#/definitions/Output"},
                            "syslog": {"$ref": "#/definitions/Output"},
                            "fields": {"type": "object", "additionalProperties": {"type": "string"}},
                            "free": {"type": "object"},
                            "files": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
                            "mode": {"type": "string", "enum": ["a", "b"]},
                        },
                    },
                    "Output": {
                        "type": "object",
                        "title": "Output",
                        "additionalProperties": false,
                        "properties": {"enabled": {"type": "boolean"}},
                        "minProperties": 1,
                    },
                },
            })
        );
    }
}
