//! Output templates: `"%proc.name opened %fd.name"`.

mod template;

pub use template::{Template, TemplateError};

#[cfg(test)]
mod template_tests;
