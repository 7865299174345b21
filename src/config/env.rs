//! Environment variables in scalars of a configuration file, as Falco replaces them.

/// The variable of this process.
pub(crate) fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Replaces `${NAME}` by the variable's value, or by nothing when there is none; `$${NAME}` stands for `${NAME}` itself.
/// Any other `$` is left as it is.
pub(crate) fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let literal = rest.strip_prefix("$${").and_then(|r| r.split_once('}'));
        let replaced = rest.strip_prefix("${").and_then(|r| r.split_once('}'));
        if let Some((name, after)) = literal {
            out.push_str("${");
            out.push_str(name);
            out.push('}');
            rest = after;
        } else if let Some((name, after)) = replaced {
            out.push_str(&variable(name).unwrap_or_default());
            rest = after;
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand(text, |name| (name == "HOME").then(|| "/home/me".into()))
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(expanded("${HOME}/rules"), "/home/me/rules");
        assert_eq!(expanded("a${NONE}b"), "ab");
        assert_eq!(expanded("$${HOME} is ${HOME}"), "${HOME} is /home/me");
        assert_eq!(expanded("$5, $HOME, ${open"), "$5, $HOME, ${open");
        assert_eq!(expanded("$"), "$");
        assert_eq!(expand("${A}", |_| Some("${A}".into())), "${A}");
    }
}
