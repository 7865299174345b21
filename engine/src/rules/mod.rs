//! Rules files: YAML → items → definitions → compiled rules.

mod definition;
mod exception;
mod item;
mod mapped;
mod read;
mod rule_item;
mod source;
mod suggest;
mod version;
mod yaml;
