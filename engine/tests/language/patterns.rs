//! `glob`, `regex` and `pmatch`.

use crate::rows::{given, holds, warned};

#[test]
fn glob_is_fnmatch_without_flags() {
    let values = given(&[("t.text", &"/etc/.hidden/passwd"), ("u.text", &"a*b[c]\\")]);
    holds(
        &values,
        &[
            ("t.text glob /etc/.hidden/passwd", true),
            // `*` and `?` match slashes and dots.
            ("t.text glob *", true),
            ("t.text glob /*", true),
            ("t.text glob /etc*passwd", true),
            ("t.text glob /etc/?hidden/*", true),
            ("t.text glob /etc?.hidden?passwd", true),
            ("t.text glob *passwd", true),
            ("t.text glob passwd", false),
            ("t.text glob /etc", false),
            ("t.text glob /ETC/*", false),
            ("t.text iglob /ETC/*PASSWD", true),
            ("t.text iglob '/ETC/[.]H*'", true),
            ("t.text glob '/[a-f]tc/*'", true),
            ("t.text glob '/[!a-d]tc/*'", true),
            ("t.text glob '/[!a-f]tc/*'", false),
            ("t.text glob '/[[:alpha:]]tc/*'", true),
            ("t.text glob '/[[:digit:]]tc/*'", false),
            ("t.text glob '*[/]passwd'", true),
            ("t.text glob ''", false),
            // A backslash takes the meaning away.
            (r"u.text glob 'a\\*b*'", true),
            (r"u.text glob a\*b\[c\]\\", true),
            (r"u.text glob a\?b*", false),
            ("u.text glob 'a[*]b*'", true),
        ],
    );
}

#[test]
fn regex_matches_the_whole_text() {
    // 16
    let values = given(&[
        ("t.text", &"sh -c 'id 42'"),
        ("u.text", &"two\nlines"),
        ("proc.name", &"aab"),
    ]);
    holds(
        &values,
        &[
            ("t.text regex 'sh'", false),
            ("t.text regex 'sh.*'", true),
            ("t.text regex '.*id.*'", true),
            ("t.text regex '^sh.*$'", true),
            ("t.text regex 'SH.*'", false),
            ("t.text regex \"(ba|da)?sh -c 'id [[:digit:]]+'\"", true),
            ("t.text regex \"sh -c 'id [0-9]{2}'\"", true),
            ("t.text regex \"sh -c 'id [0-9]{3}'\"", false),
            ("t.text regex \".*[[:space:]]42.\"", true),
            // A dot is no end of line.
            ("u.text regex 'two.lines'", false),
            (r#"u.text regex "two\nlines""#, true),
            ("u.text regex 'two[^a]lines'", true),
            ("proc.name regex 'a|aab'", true),
            ("proc.name regex 'a*b'", true),
            ("proc.name regex '(a)(ab)'", true),
            ("proc.name regex '()'", false),
            ("tolower(proc.name) regex '[a-b]+'", true),
        ],
    );
}

#[test]
fn trivial_patterns_are_warned_of_once() {
    // 16
    warned(&[
        ("proc.name regex '^syscall$'", "may be optimized"),
        ("proc.name regex '.*x'", "may be optimized"),
        ("proc.name regex 'x.*'", "may be optimized"),
        ("proc.name regex '.*x.*'", "may be optimized"),
        ("proc.name regex 'x.+'", "may be optimized"),
        ("proc.name regex '.?x'", "may be optimized"),
        ("proc.name regex 'x'", "may be optimized"),
        ("proc.name regex '[a-z]+'", ""),
        ("proc.name regex 'a|b'", ""),
        ("proc.name regex 'x[0-9]*y'", ""),
        ("proc.name regex 'x.*y'", ""),
    ]);
}

#[test]
fn pmatch_compares_components_of_paths() {
    // 20
    let path = |path: &'static str| given(&[("t.text", &path)]);
    holds(
        &path("/var/lib/x"),
        &[
            ("t.text pmatch (/var)", true),
            ("t.text pmatch (/var/)", true),
            ("t.text pmatch (/var/lib)", true),
            ("t.text pmatch (/var/lib/x)", true),
            ("t.text pmatch (/var/lib/x/y)", false),
            ("t.text pmatch (/var/li)", false),
            ("t.text pmatch (/opt, /var)", true),
            ("t.text pmatch (/opt, /usr)", false),
            ("t.text pmatch (//var//lib)", true),
            ("t.text pmatch (/)", true),
            ("t.text pmatch (/*/lib)", true),
            ("t.text pmatch (/v*)", true),
            ("t.text pmatch (/v?r/l[ai]b)", true),
            ("t.text pmatch (/*/x)", false),
            ("t.text pmatch (/var, /var/lib/y)", true),
            ("not t.text pmatch (/opt)", true),
        ],
    );
    holds(
        &path("/variable"),
        &[("t.text pmatch (/var)", false), ("t.text pmatch (/var*)", true)],
    );
    holds(
        &path("/opt3/dir/subdir2"),
        &[
            ("t.text pmatch (/opt3/*/subdir2/*)", false),
            ("t.text pmatch (/opt3/*/subdir2)", true),
            ("t.text pmatch (/opt3/*)", true),
            ("t.text pmatch (/opt3/*/*)", true),
            ("t.text pmatch (/opt3/*/subdir1, /opt3/*/subdir2)", true),
        ],
    );
    holds(
        &path("/opt3/dir/subdir2/file"),
        &[("t.text pmatch (/opt3/*/subdir2/*)", true)],
    );
    holds(&path("/var//lib"), &[("t.text pmatch (/var/lib)", true)]);
}
