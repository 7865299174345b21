//! What remains of a condition never promises too much or too little: in the tier that is built, what is said to be never
//! or always true is, on whatever event.

use lanner_schema::tier::Tier;
use proptest::prelude::*;

use super::random_events::random;
use super::same_result_tests::condition;
use super::{IfMissing, Remains, Results, Scratch, Truth, compile, parse};
use crate::field::quality;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_never_true_never_matches_and_what_is_always_true_does(text in condition(), random in random()) {
        let Ok(program) = parse(&text).map_err(drop).and_then(|expr| compile(&expr).map_err(drop)) else {
            return Ok(());
        };
        let remains = Remains::of(&program, random.event, Results::All, IfMissing::False, &|field| {
            quality(field, random.event, Tier::SysExit)
        });
        let matches = random.view(|view| program.matches(view, &mut Scratch::new()));
        match remains.is {
            Truth::Never => prop_assert!(!matches, "{}", text),
            Truth::Always => prop_assert!(matches, "{}", text),
            Truth::Sometimes => {}
        }
        // Where nothing is missing, it is what is meant.
        if remains.reservations.is_empty() {
            prop_assert_eq!(remains.is, remains.meant, "{}", text);
        }
        // What is not known makes no rule match, so less is left than of what is false.
        let unknown = Remains::of(&program, random.event, Results::All, IfMissing::Unknown, &|field| {
            quality(field, random.event, Tier::SysExit)
        });
        if remains.is == Truth::Never {
            prop_assert_eq!(unknown.is, Truth::Never, "{}", text);
        }
        prop_assert_eq!(unknown.meant, remains.meant);
        // The same of calls that end as this one did.
        if let Some(result) = random.view(|view| view.result()) {
            let results = match result < 0 {
                true => Results::Failures,
                false => Results::Successes,
            };
            let alike = Remains::of(&program, random.event, results, IfMissing::False, &|field| {
                quality(field, random.event, Tier::SysExit)
            });
            match alike.is {
                Truth::Never => prop_assert!(!matches, "{} with {}", text, result),
                Truth::Always => prop_assert!(matches, "{} with {}", text, result),
                Truth::Sometimes => {}
            }
        }
    }
}
