//! What a YAML document may look like: one description that prints itself as a JSON schema ([`Shape::json_schema`]) and
//! checks documents whose nodes know where they were written ([`Shape::check`]).
//!
//! The types are those of Falco's schemas, and so is the way scalars are seen: YAML's plain and quoted scalars are all
//! text, and a text that reads as a number is a number too. `"5"` is an integer, `31` is a text.

mod check;
mod json;

pub use check::{Content, Mismatch, Problem, Tree};

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Anything.
    Any,
    /// Nothing at all.
    Nothing,
    /// Any scalar; nothing counts as an empty one.
    Text,
    /// `true` or `false`, in these letters.
    Truth,
    /// A whole number in decimal digits, with or without a sign.
    Integer,
    /// A number.
    Number,
    /// One of these words.
    Word(Vec<&'static str>),
    /// A sequence.
    List(Box<Shape>),
    /// A map.
    Map(MapShape),
    /// One of these.
    Either(Vec<Shape>),
}

/// What a map may be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapShape {
    /// The name of this map among the schema's definitions; empty for one that is written in its place.
    pub title: &'static str,
    /// The keys and what is below them.
    pub keys: Vec<(&'static str, Shape)>,
    /// Keys that must be there.
    pub required: Vec<&'static str>,
    /// What is below keys with other names; without it there are none.
    pub others: Option<Box<Shape>>,
    /// How many keys there must be.
    pub at_least: usize,
}

impl Shape {
    /// A sequence of this.
    pub fn list(item: Shape) -> Shape {
        Shape::List(Box::new(item))
    }

    /// A map with these keys and no others, under this name among the definitions.
    pub fn map(title: &'static str, keys: Vec<(&'static str, Shape)>) -> Shape {
        Shape::Map(MapShape {
            title,
            keys,
            ..MapShape::default()
        })
    }

    /// A map with any keys.
    pub fn any_map(below: Shape) -> Shape {
        Shape::Map(MapShape {
            others: Some(Box::new(below)),
            ..MapShape::default()
        })
    }

    /// In words, for messages: "must be …".
    fn words(&self) -> String {
        match self {
            Shape::Any => "anything".into(),
            Shape::Nothing => "nothing".into(),
            Shape::Text => "text".into(),
            Shape::Truth => "true or false".into(),
            Shape::Integer => "a whole number".into(),
            Shape::Number => "a number".into(),
            Shape::Word(words) => format!("one of {}", words.join(", ")),
            Shape::List(_) => "a list".into(),
            Shape::Map(_) => "a map of keys".into(),
            Shape::Either(shapes) => {
                let words: Vec<String> = shapes.iter().map(Shape::words).collect();
                words.join(" or ")
            }
        }
    }
}
