//! Conditions: text → tree → text, and text → tree → program → answer.

use lanner_engine::condition::{Scratch, compile, parse};

use crate::{assert_within, events};

/// A condition is parsed or refused with a place; what it prints parses to the same; it compiles or every error has a
/// place; its negation is its opposite; it is true on no event that its event set lacks.
pub fn condition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let expr = match parse(text) {
        Ok(expr) => expr,
        Err(error) => {
            assert_within(text, error.span.start..error.span.end);
            assert!(!error.message.is_empty());
            return;
        }
    };
    // The plain form is Falco's and does not quote what it should.
    let _ = expr.to_string();
    let printed = format!("{expr:#}");
    match parse(&printed) {
        Ok(again) => assert_eq!(format!("{again:#}"), printed, "printed from {text:?}"),
        // What was written without parentheses is printed with them.
        Err(error) if error.message.starts_with("exceeded max depth") => return,
        Err(error) => panic!("{printed:?}, printed from {text:?}: {error}"),
    }
    let program = match compile(&expr) {
        Ok(program) => program,
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert_within(text, error.span.start..error.span.end);
                assert!(!error.to_string().is_empty());
                let _ = (error.kind.hint(), error.kind.is_unknown_name());
            }
            return;
        }
    };
    for warning in program.warnings() {
        assert_within(text, warning.span.start..warning.span.end);
        assert!(!warning.kind.to_string().is_empty());
    }
    let _ = (program.blind_events(), program.event_type_count());
    let Ok(negated) = parse(&format!("not ({text})")) else {
        return;
    };
    let negated = compile(&negated).expect("what compiles does so under 'not'");
    let mut scratch = Scratch::new();
    events::each(&mut |view| {
        let holds = program.matches(view, &mut scratch);
        assert_ne!(holds, negated.matches(view, &mut scratch), "{text:?} on {view:?}");
        let events = if holds { program.events() } else { negated.events() };
        assert!(events.contains(view.event), "{text:?} holds on {view:?}: {holds}");
    });
}
