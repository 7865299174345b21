//! Regular expressions: RE2's POSIX syntax, matched as a whole, in linear time.
//!
//! The pattern is rewritten for `regex-automata`, whose syntax is Perl's: what means something there and nothing (or
//! something else) here is escaped or refused.

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(crate) struct Posix {
    regex: Regex,
}

/// The names between `[:` and `:]`.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// The most that `{n}` may repeat, as in RE2.
const MAX_REPEAT: u32 = 1000;

/// Bytes the compiled program may take: enough for rules, too little to exhaust memory.
const SIZE_LIMIT: usize = 8 << 20;

impl Posix {
    /// Compiles a pattern. The error says what is wrong, in a few words.
    pub(crate) fn new(pattern: &str) -> Result<Posix, String> {
        let translated = translate(pattern)?;
        // Check it by itself first, so that a stray ')' cannot close our own group.
        let config = syntax::Config::new().multi_line(true);
        syntax::parse_with(&translated, &config).map_err(|error| last_line(&error.to_string()))?;
        let regex = Regex::builder()
            .configure(Regex::config().nfa_size_limit(Some(SIZE_LIMIT)))
            .syntax(config)
            .build(&format!(r"\A(?:{translated})\z"))
            .map_err(|error| last_line(&error.to_string()))?;
        Ok(Posix { regex })
    }

    /// True when the whole text matches. `buf` is used for text that is not valid UTF-8: every bad sequence counts as
    /// one U+FFFD.
    pub(crate) fn matches(&self, text: &[u8], buf: &mut Vec<u8>) -> bool {
        if std::str::from_utf8(text).is_ok() {
            return self.whole(text);
        }
        buf.clear();
        for chunk in text.utf8_chunks() {
            buf.extend_from_slice(chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                buf.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
        self.whole(buf)
    }

    fn whole(&self, text: &[u8]) -> bool {
        self.regex.is_match(Input::new(text).anchored(Anchored::Yes))
    }
}

fn last_line(message: &str) -> String {
    let line = message
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or(message);
    line.trim().trim_start_matches("error: ").to_owned()
}

fn translate(pattern: &str) -> Result<String, String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut at = 0;
    // Whether a repetition may follow, and whether one was just read: `a**` is `(a*)*`.
    let mut atom_start: Option<usize> = None;
    let mut repeated = false;
    let mut groups: Vec<usize> = Vec::new();
    while let Some(&c) = chars.get(at) {
        let start = out.len();
        match c {
            '\\' => at += escape(&chars, at, &mut out)?,
            '[' => at = class(&chars, at, &mut out)?,
            '(' => {
                if chars.get(at + 1) == Some(&'?') {
                    return Err("(?...) is not supported".into());
                }
                groups.push(start);
                out.push_str("(?:");
                at += 1;
                (atom_start, repeated) = (None, false);
                continue;
            }
            ')' => {
                let open = groups.pop().ok_or("there is one ')' too many")?;
                out.push(')');
                at += 1;
                (atom_start, repeated) = (Some(open), false);
                continue;
            }
            '|' => {
                out.push('|');
                at += 1;
                (atom_start, repeated) = (None, false);
                continue;
            }
            '*' | '+' | '?' => {
                let Some(from) = atom_start else {
                    return Err(format!("nothing to repeat before '{c}'"));
                };
                if repeated {
                    out.insert_str(from, "(?:");
                    out.push(')');
                }
                out.push(c);
                at += 1;
                repeated = true;
                continue;
            }
            '{' => match repetition(&chars, at) {
                Some(end) => {
                    let numbers = chars[at + 1..end - 1].split(|c| *c == ',');
                    let too_many = |digits: &[char]| {
                        let digits: String = digits.iter().collect();
                        !digits.is_empty() && digits.parse::<u32>().map_or(true, |n| n > MAX_REPEAT)
                    };
                    if numbers.into_iter().any(too_many) {
                        return Err(format!("nothing is repeated more than {MAX_REPEAT} times"));
                    }
                    let Some(from) = atom_start else {
                        return Err("nothing to repeat before '{'".into());
                    };
                    if repeated {
                        out.insert_str(from, "(?:");
                        out.push(')');
                    }
                    out.extend(&chars[at..end]);
                    at = end;
                    repeated = true;
                    continue;
                }
                None => {
                    out.push_str(r"\{");
                    at += 1;
                }
            },
            '}' => {
                out.push_str(r"\}");
                at += 1;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
        (atom_start, repeated) = (Some(start), false);
    }
    if groups.is_empty() {
        Ok(out)
    } else {
        Err("a '(' is never closed".into())
    }
}

/// Where `{n}`, `{n,}` or `{n,m}` at `at` ends.
fn repetition(chars: &[char], at: usize) -> Option<usize> {
    let end = at + chars[at..].iter().position(|c| *c == '}')?;
    let body: String = chars[at + 1..end].iter().collect();
    let (low, high) = body.split_once(',').unwrap_or((&body, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    (!low.is_empty() && digits(low) && digits(high)).then_some(end + 1)
}

/// Writes the escape at `at`; returns how many characters it takes.
fn escape(chars: &[char], at: usize, out: &mut String) -> Result<usize, String> {
    let Some(&c) = chars.get(at + 1) else {
        return Err("the pattern ends in a backslash".into());
    };
    match c {
        'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
            out.push('\\');
            out.push(c);
            Ok(2)
        }
        'x' => {
            let digits: String = chars[at + 2..].iter().take(2).collect();
            if digits.len() != 2 || !digits.chars().all(|d| d.is_ascii_hexdigit()) {
                return Err(r"\x takes two hexadecimal digits".into());
            }
            out.push_str(r"\x");
            out.push_str(&digits);
            Ok(4)
        }
        c if c.is_ascii_alphanumeric() => {
            Err(format!(r"\{c} is not supported; use a class such as [[:digit:]]"))
        }
        // The crate reads \< and \> as word boundaries.
        '<' | '>' => {
            out.push(c);
            Ok(2)
        }
        c if c.is_ascii() => {
            out.push('\\');
            out.push(c);
            Ok(2)
        }
        c => {
            out.push(c);
            Ok(2)
        }
    }
}

/// Writes the bracket expression at `at`; returns where it ends.
fn class(chars: &[char], mut at: usize, out: &mut String) -> Result<usize, String> {
    out.push('[');
    at += 1;
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let mut first = true;
    loop {
        let Some(&c) = chars.get(at) else {
            return Err("a '[' is never closed".into());
        };
        match c {
            ']' if !first => {
                out.push(']');
                return Ok(at + 1);
            }
            '[' if chars.get(at + 1) == Some(&':') => {
                let rest: String = chars[at..].iter().take(12).collect();
                // The colon of '[:' does not close it as well: `[[:]` is no class without a name.
                let Some(end) = rest[2..].find(":]").map(|end| end + 2) else {
                    return Err("a '[:' is never closed".into());
                };
                let name = rest[2..end].trim_start_matches('^');
                if !CLASSES.contains(&name) {
                    return Err(format!(
                        "there is no class [:{name}:]; there are {}",
                        CLASSES.join(", ")
                    ));
                }
                out.push_str(&rest[..end + 2]);
                at += end + 2;
            }
            '\\' => at += escape(chars, at, out)?,
            // A range, unless it is the first or the last character.
            '-' if !first && chars.get(at + 1) != Some(&']') => {
                out.push('-');
                at += 1;
            }
            '[' | ']' | '&' | '~' | '-' | '^' => {
                out.push('\\');
                out.push(c);
                at += 1;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
        first = false;
    }
}

/// What a pattern without special characters, apart from `.*` and anchors at its ends, says with a plain operator.
pub(crate) fn trivial(pattern: &str) -> Option<&'static str> {
    let mut body = pattern;
    let (mut open_start, mut open_end) = (false, false);
    body = body.strip_prefix('^').unwrap_or(body);
    for prefix in [".*", ".+", ".?"] {
        if let Some(rest) = body.strip_prefix(prefix) {
            body = rest;
            open_start = true;
            break;
        }
    }
    body = body.strip_suffix('$').unwrap_or(body);
    for suffix in [".*", ".+", ".?"] {
        if let Some(rest) = body.strip_suffix(suffix) {
            body = rest;
            open_end = true;
            break;
        }
    }
    if body.contains([
        '.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '\\', '^', '$',
    ]) {
        return None;
    }
    Some(match (open_start, open_end) {
        (false, false) => "=",
        (true, false) => "endswith",
        (false, true) => "startswith",
        (true, true) => "contains",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Posix::new(pattern)
            .unwrap()
            .matches(text.as_bytes(), &mut Vec::new())
    }

    #[test]
    fn the_whole_text_has_to_match() {
        for (pattern, text, expected) in [
            ("foo", "foo", true),
            ("foo", "xfoo", false),
            (".*foo.*", "xfoox", true),
            ("a|ab", "ab", true),
            ("[[:digit:]]+", "123", true),
            ("[^a-c]", "b", false),
            ("a{2,3}", "aaa", true),
            ("x{", "x{", true),
            ("a**", "aaa", true),
            ("[]a]", "]", true),
            ("[a&&b]+", "a&b", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
            ("a.b", "a\nb", false),
            ("é.", "éé", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text:?}");
        }
    }

    #[test]
    fn perl_syntax_and_mistakes_are_refused() {
        for pattern in [
            r"\d",
            r"\w+",
            r"\bfoo",
            "(?i)a",
            "(?:a)",
            "(",
            ")",
            "a)(b",
            "[a",
            "*a",
            "a\\",
            "a{2000}{2000}",
            "a{1001}",
            "a{1,1001}",
            "[[:digits:]]+",
            "[[:alpha:][::]]",
            "[[:]icit:]]+",
        ] {
            assert!(Posix::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_bad_byte_counts_as_one_character() {
        let regex = Posix::new("a.b").unwrap();
        assert!(regex.matches(b"a\xffb", &mut Vec::new()));
    }

    #[test]
    fn trivial_patterns_are_recognised() {
        assert_eq!(trivial("^syscall$"), Some("="));
        assert_eq!(trivial(".*x"), Some("endswith"));
        assert_eq!(trivial("x.+"), Some("startswith"));
        assert_eq!(trivial(".?x"), Some("endswith"));
        assert_eq!(trivial("a[bc]"), None);
    }
}
