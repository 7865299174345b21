//! What is written by people who know other languages, and the word that was meant.

use super::ast::Operator;
use crate::suggest::nearest;

/// Words that are no operators, and what says the same.
const OPERATORS: [(&str, &str); 18] = [
    ("<>", "!="),
    ("!~", "not … regex"),
    ("~", "regex"),
    ("~=", "regex"),
    ("is", "="),
    ("eq", "="),
    ("equals", "="),
    ("ne", "!="),
    ("isnt", "!="),
    ("gt", ">"),
    ("lt", "<"),
    ("like", "glob"),
    ("ilike", "iglob"),
    ("matches", "regex"),
    ("match", "regex"),
    ("has", "contains"),
    ("includes", "contains"),
    ("beginswith", "startswith"),
];

/// The hint for a word where an operator belongs after `left`.
pub(super) fn instead_of_operator(left: &str, word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    match lower.as_str() {
        "not" | "notin" | "not_in" => return format!("'not' stands before the field: not {left} in (a, b)"),
        "and" | "or" | "" | ")" => return format!("to ask whether it has a value write '{left} exists'"),
        _ => {}
    }
    if let Some((_, instead)) = OPERATORS.iter().find(|(known, _)| *known == lower) {
        return format!("write '{}'", instead.replace('…', left));
    }
    let words = || Operator::ALL.iter().map(|op| op.word());
    if let Some(op) = words().find(|op| *op == word) {
        return format!("write a value after '{op}'");
    }
    if let Some(op) = words().find(|op| *op == lower) {
        return format!("operators are lower case: {op}");
    }
    // `starts_with`, and slips of the keyboard.
    match nearest(&lower.replace('_', ""), words().filter(|op| op.len() > 3)) {
        Some(op) => format!("did you mean '{op}'?"),
        None => "operators: = != < <= > >= contains icontains bcontains startswith bstartswith endswith glob iglob regex \
                 in intersects pmatch exists"
            .into(),
    }
}

/// The hint for a word that can not stand where a check begins or has ended.
pub(super) fn instead_of_word(word: &str) -> Option<&'static str> {
    Some(match word {
        w if w.contains("&&") => "write 'and', with blanks around it",
        w if w.contains("||") => "write 'or', with blanks around it",
        w if w.starts_with('!') => "write 'not'",
        w if w.starts_with('#') => "a condition has no comments",
        w if w.eq_ignore_ascii_case("and") => "keywords are lower case: and",
        w if w.eq_ignore_ascii_case("or") => "keywords are lower case: or",
        w if w.eq_ignore_ascii_case("not") => "keywords are lower case: not",
        w if w.eq_ignore_ascii_case("in") => "keywords are lower case: in",
        "notin" => "write 'not FIELD in (...)'",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_of_other_languages() {
        let hint = |word| instead_of_operator("proc.name", word);
        assert_eq!(hint("like"), "write 'glob'");
        assert_eq!(hint("!~"), "write 'not proc.name regex'");
        assert_eq!(
            hint("NOT"),
            "'not' stands before the field: not proc.name in (a, b)"
        );
        assert_eq!(hint("CONTAINS"), "operators are lower case: contains");
        assert_eq!(hint("startswith"), "write a value after 'startswith'");
        assert_eq!(hint("starts_with"), "did you mean 'startswith'?");
        assert_eq!(hint("contians"), "did you mean 'contains'?");
        assert_eq!(hint(""), "to ask whether it has a value write 'proc.name exists'");
        assert!(hint("xyz").starts_with("operators: "));
    }
}
