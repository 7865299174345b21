//! Shell patterns on bytes, and sets of paths.

use lanner_schema::open_names::Piece;
use memchr::memchr_iter;

use super::matcher::begins;
use super::text_set::TextSet;

/// A shell pattern, matched as `fnmatch(pattern, text, 0)` does: `*` and `?` match slashes and leading dots too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Box<[Token]>,
    fold: bool,
    /// The bytes every match begins with; empty when case is ignored.
    prefix: Box<[u8]>,
    /// The bytes every match ends with; empty when case is ignored.
    suffix: Box<[u8]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Any,
    Star,
    Class { negated: bool, ranges: Box<[(u8, u8)]> },
}

impl Glob {
    /// Reads a pattern; `fold` ignores the case of ASCII letters. Every text is a pattern.
    pub(crate) fn new(pattern: &[u8], fold: bool) -> Glob {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(&byte) = pattern.get(at) {
            at += 1;
            tokens.push(match byte {
                b'*' => {
                    if tokens.last() == Some(&Token::Star) {
                        continue;
                    }
                    Token::Star
                }
                b'?' => Token::Any,
                b'\\' => match pattern.get(at) {
                    Some(next) => {
                        at += 1;
                        Token::Byte(*next)
                    }
                    None => Token::Byte(b'\\'),
                },
                b'[' => match class(pattern, at, fold) {
                    Some((token, end)) => {
                        at = end;
                        token
                    }
                    // Without its end a bracket is a bracket.
                    None => Token::Byte(b'['),
                },
                other => Token::Byte(other),
            });
        }
        let byte = |token: &Token| match token {
            Token::Byte(byte) if !fold => Some(*byte),
            _ => None,
        };
        let prefix: Box<[u8]> = tokens.iter().map_while(byte).collect();
        let suffix = match tokens.iter().rposition(|token| byte(token).is_none()) {
            Some(last) => tokens[last + 1..].iter().filter_map(byte).collect(),
            None => prefix.clone(),
        };
        Glob {
            tokens: tokens.into(),
            fold,
            prefix,
            suffix,
        }
    }

    /// True when the pattern matches all of `text`. Time is at most the product of both lengths.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        // Most texts are none of the pattern's: both ends say so at once.
        if !begins(text, &self.prefix) || !text.ends_with(&self.suffix) {
            return false;
        }
        let (mut t, mut p) = (self.prefix.len(), self.prefix.len());
        let mut star = None;
        while t < text.len() {
            match self.tokens.get(p) {
                Some(Token::Star) => {
                    star = Some((p + 1, t));
                    p += 1;
                }
                Some(token) if self.accepts(token, text[t]) => {
                    p += 1;
                    t += 1;
                }
                _ => match &mut star {
                    // The last star takes one byte more.
                    Some((after, from)) => {
                        *from += 1;
                        (p, t) = (*after, *from);
                    }
                    None => return false,
                },
            }
        }
        self.tokens[p..].iter().all(|token| *token == Token::Star)
    }

    fn accepts(&self, token: &Token, byte: u8) -> bool {
        match token {
            Token::Byte(b) if self.fold => b.eq_ignore_ascii_case(&byte),
            Token::Byte(b) => *b == byte,
            Token::Any => true,
            Token::Star => false,
            Token::Class { negated, ranges } => {
                let within = |byte: u8| ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte));
                let found = within(byte)
                    || self.fold && (within(byte.to_ascii_lowercase()) || within(byte.to_ascii_uppercase()));
                found != *negated
            }
        }
    }

    /// The longest text that everything it matches begins with, ends with, is, or has inside; nothing when that is less
    /// than two bytes.
    pub(super) fn literal(&self) -> Option<Literal> {
        if self.fold {
            return None;
        }
        if self.is_literal() {
            return Some(Literal::Whole(self.prefix.clone()));
        }
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        let inside: Box<[u8]> = self
            .tokens
            .split(|token| byte(token).is_none())
            .max_by_key(|run| run.len())
            .map(|run| run.iter().filter_map(byte).collect())
            .unwrap_or_default();
        let longest = inside.len();
        match longest {
            0 | 1 => None,
            _ if self.prefix.len() == longest => Some(Literal::Start(self.prefix.clone())),
            _ if self.suffix.len() == longest => Some(Literal::End(self.suffix.clone())),
            _ => Some(Literal::Inside(inside)),
        }
    }

    /// Pieces that everything it matches consists of; `None` when case is ignored.
    pub(super) fn pieces(&self) -> Option<Vec<Piece>> {
        let piece = |token: &Token| match token {
            Token::Byte(byte) => Piece::Byte(*byte),
            Token::Any | Token::Class { .. } => Piece::One,
            Token::Star => Piece::Run,
        };
        (!self.fold).then(|| self.tokens.iter().map(piece).collect())
    }

    /// True when it has no special characters.
    fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Byte(_)))
    }
}

/// Text that every match of a pattern has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Whole(Box<[u8]>),
    Start(Box<[u8]>),
    End(Box<[u8]>),
    Inside(Box<[u8]>),
}

/// A bracket expression whose content starts at `at`: the token and where it ends.
fn class(pattern: &[u8], mut at: usize, _fold: bool) -> Option<(Token, usize)> {
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(negated);
    let mut ranges = Vec::new();
    let mut first = true;
    loop {
        let byte = *pattern.get(at)?;
        if byte == b']' && !first {
            return Some((
                Token::Class {
                    negated,
                    ranges: ranges.into(),
                },
                at + 1,
            ));
        }
        first = false;
        if byte == b'['
            && pattern.get(at + 1) == Some(&b':')
            && let Some(len) = pattern[at + 2..].windows(2).position(|pair| pair == b":]")
        {
            named(&pattern[at + 2..at + 2 + len], &mut ranges)?;
            at += len + 4;
            continue;
        }
        let (low, next) = class_byte(pattern, at)?;
        at = next;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|b| *b != b']') {
            let (high, next) = class_byte(pattern, at + 1)?;
            at = next;
            ranges.push((low, high));
        } else {
            ranges.push((low, low));
        }
    }
}

fn class_byte(pattern: &[u8], at: usize) -> Option<(u8, usize)> {
    match *pattern.get(at)? {
        b'\\' => Some((*pattern.get(at + 1)?, at + 2)),
        byte => Some((byte, at + 1)),
    }
}

fn named(name: &[u8], ranges: &mut Vec<(u8, u8)>) -> Option<()> {
    let add: &[(u8, u8)] = match name {
        b"alpha" => &[(b'a', b'z'), (b'A', b'Z')],
        b"digit" => &[(b'0', b'9')],
        b"alnum" => &[(b'a', b'z'), (b'A', b'Z'), (b'0', b'9')],
        b"upper" => &[(b'A', b'Z')],
        b"lower" => &[(b'a', b'z')],
        b"space" => &[(b' ', b' '), (9, 13)],
        b"blank" => &[(b' ', b' '), (9, 9)],
        b"punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        b"xdigit" => &[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')],
        b"cntrl" => &[(0, 31), (127, 127)],
        b"print" => &[(32, 126)],
        b"graph" => &[(33, 126)],
        _ => return None,
    };
    ranges.extend_from_slice(add);
    Some(())
}

/// Paths of which one has to be a prefix, component by component (`pmatch`). Components may be shell patterns.
#[derive(Debug, Default)]
pub(crate) struct PathSet {
    literal: TextSet,
    patterns: Vec<Box<[Glob]>>,
    everything: bool,
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/')
        .filter(|component| !component.is_empty())
}

impl PathSet {
    /// A set of paths.
    pub(crate) fn new<'a>(paths: impl Iterator<Item = &'a [u8]>) -> PathSet {
        let mut set = PathSet::default();
        let mut literal = Vec::new();
        for path in paths {
            let globs: Box<[Glob]> = components(path).map(|c| Glob::new(c, false)).collect();
            if globs.is_empty() {
                set.everything = true;
            } else if globs.iter().all(Glob::is_literal) {
                let mut text = Vec::new();
                normal(path, &mut text);
                literal.push(text);
            } else {
                set.patterns.push(globs);
            }
        }
        set.literal = literal.into_iter().collect();
        set
    }

    /// What a path has to begin with, one of these, to be in the set, when it [`is_normal`]; nothing when that says too
    /// little.
    pub(super) fn beginnings(&self) -> Option<Vec<Box<[u8]>>> {
        if self.everything {
            return None;
        }
        let mut all: Vec<Box<[u8]>> = self.literal.iter().map(Into::into).collect();
        for globs in &self.patterns {
            let mut text = Vec::new();
            for glob in globs {
                text.push(b'/');
                text.extend_from_slice(&glob.prefix);
                if !glob.is_literal() {
                    break;
                }
            }
            all.push(text.into());
        }
        all.iter().all(|text| text.len() > 1).then_some(all)
    }

    /// True when `path`, or a directory it is in, is in the set. `buf` is used for paths with needless slashes.
    pub(crate) fn matches(&self, path: &[u8], buf: &mut Vec<u8>) -> bool {
        if self.everything {
            return true;
        }
        self.literal_prefix(path, buf)
            || self.patterns.iter().any(|globs| {
                let mut parts = components(path);
                globs
                    .iter()
                    .all(|glob| parts.next().is_some_and(|part| glob.matches(part)))
            })
    }

    fn literal_prefix(&self, path: &[u8], buf: &mut Vec<u8>) -> bool {
        if self.literal.is_empty() {
            return false;
        }
        if !is_normal(path) {
            // Rare: kernel paths have no double slashes.
            normal(path, buf);
            return self.prefixes(buf);
        }
        self.prefixes(path)
    }

    fn prefixes(&self, path: &[u8]) -> bool {
        let ends = memchr_iter(b'/', path).filter(|at| *at > 0);
        ends.chain([path.len()])
            .any(|end| self.literal.contains(&path[..end]))
    }
}

/// True when the path begins with a slash and has no needless ones.
pub(super) fn is_normal(path: &[u8]) -> bool {
    path.first() == Some(&b'/') && !memchr_iter(b'/', path).any(|at| path.get(at + 1) == Some(&b'/'))
}

/// `/a/b`: one slash before every component. Replaces what is in `out`.
fn normal(path: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for component in components(path) {
        out.push(b'/');
        out.extend_from_slice(component);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_fnmatch_does() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("/etc/*", "/etc/a/b", true),
            ("a?c", "a/c", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[[:digit:]]*", "7up", true),
            ("[x", "[x", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("*a*b*c", "xxaxxbxxbxxc", true),
            ("*.log", ".log", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Glob::new(pattern.as_bytes(), false).matches(text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
        assert!(Glob::new(b"ABC*", true).matches(b"abcd"));
        assert!(Glob::new(b"[A-C]", true).matches(b"b"));
        assert!(
            Glob::new(b"?", false).matches(b"\xff"),
            "one byte, valid UTF-8 or not"
        );
    }

    #[test]
    fn every_match_has_the_literal_of_its_pattern() {
        for (pattern, expected) in [
            ("/etc/x", Some(Literal::Whole(b"/etc/x".as_slice().into()))),
            ("/etc/*.conf", Some(Literal::Start(b"/etc/".as_slice().into()))),
            ("/a*.conf", Some(Literal::End(b".conf".as_slice().into()))),
            ("*secret?x", Some(Literal::Inside(b"secret".as_slice().into()))),
            ("*[ab]?x", None),
            ("*", None),
        ] {
            assert_eq!(
                Glob::new(pattern.as_bytes(), false).literal(),
                expected,
                "{pattern}"
            );
        }
        assert_eq!(Glob::new(b"/etc/*", true).literal(), None);
    }

    #[test]
    fn paths_match_on_component_boundaries() {
        let set = |paths: &[&str]| PathSet::new(paths.iter().map(|p| p.as_bytes()));
        let buf = &mut Vec::new();
        let var = set(&["/var"]);
        assert!(
            var.matches(b"/var", buf) && var.matches(b"/var/lib/x", buf) && var.matches(b"//var//lib", buf)
        );
        assert!(!var.matches(b"/variable", buf) && !var.matches(b"/", buf));
        let deep = set(&["/opt3/*/subdir2/*", "/proc/*/mem"]);
        assert!(!deep.matches(b"/opt3/dir/subdir2", buf));
        assert!(deep.matches(b"/opt3/dir/subdir2/x/y", buf));
        assert!(deep.matches(b"/proc/1/mem", buf) && !deep.matches(b"/proc/1/maps", buf));
        assert!(set(&["/"]).matches(b"/anything", buf));
        assert!(!set(&[]).matches(b"/", buf));
    }
}
