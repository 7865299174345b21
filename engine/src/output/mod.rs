//! Output templates: `"%proc.name opened %fd.name"`.

mod alone;
mod template;

pub use template::{Template, TemplateError};

#[cfg(test)]
mod template_tests;
