//! Output templates.

use lanner_engine::output::Template;
use lanner_engine::{GivenFields, Scope};

use crate::{assert_within, events};

/// A template compiles or is refused with a place, and what compiles prints on any event.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let template = match Template::compile(text) {
        Ok(template) => template,
        Err(error) => {
            let span = error.span();
            assert!(!span.is_empty(), "{text:?}: {error}");
            assert_within(text, span);
            assert!(!error.to_string().is_empty());
            let _ = (error.hint(), error.is_unknown_name());
            return;
        }
    };
    for warning in template.warnings() {
        assert_within(text, warning.span.start..warning.span.end);
    }
    let scope = Scope::default();
    let rendered = GivenFields::default().render(&template, &scope);
    assert_eq!(rendered.complete, rendered.stopped_at.is_none(), "{text:?}");
    assert!(
        rendered.fields.is_sorted_by(|a, b| a.0 < b.0),
        "{text:?}: {rendered:?}"
    );
    events::each(&mut |view| {
        let (mut out, mut values) = (String::new(), Vec::new());
        template.render(view, &mut out, &mut values);
        assert!(values.is_sorted_by(|a, b| a.0 < b.0), "{text:?}: {values:?}");
        assert!(values.len() <= template.fields().len(), "{text:?}: {values:?}");
        if !text.contains('%') {
            assert_eq!(out, text.strip_prefix('*').unwrap_or(text));
        }
    });
}
