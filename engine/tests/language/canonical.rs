//! The text a condition is printed as.

use crate::rows::prints;

#[test]
fn values_are_quoted_when_they_need_it() {
    // 10
    prints(&[
        ("a.b = 'c'", "a.b = c"),
        ("a.b = \"c\"", "a.b = c"),
        ("a.b = c", "a.b = c"),
        ("a.b = /c/*.d", "a.b = /c/*.d"),
        ("a.b = 'c d'", "a.b = \"c d\""),
        ("a.b = 'c=d'", "a.b = \"c=d\""),
        ("a.b = \"it's\"", "a.b = \"it's\""),
        ("a.b = 'say \"c\"'", r#"a.b = "say \"c\"""#),
        (r#"a.b = "c\\d""#, r#"a.b = "c\\d""#),
        (r#"a.b = "c\td""#, r#"a.b = "c\td""#),
        (r#"a.b = "c\nd""#, r#"a.b = "c\nd""#),
        ("a.b = ''", "a.b = \"\""),
        ("a.b in ('c', 'd e', f)", "a.b in (c, \"d e\", f)"),
        ("a.b pmatch ('/c', '/d e')", "a.b pmatch (/c, \"/d e\")"),
        (
            "a.b contains anyof ('c', 'd e')",
            "a.b contains anyof (c, \"d e\")",
        ),
        ("a.b > 5", "a.b > 5"),
        ("a.b >=-5", "a.b >= -5"),
    ]);
}

#[test]
fn fields_and_transformers_are_printed_without_blanks() {
    // 10
    prints(&[
        ("a.b[c] exists", "a.b[c] exists"),
        ("getopt(proc.args, 'nt:')[t] = x", "getopt(proc.args,nt:)[t] = x"),
        (
            "getopt( proc.args , \"nt:\" ) intersects ( t )",
            "getopt(proc.args,nt:) intersects (t)",
        ),
        ("join('-', (a.b, c.d)) = e", "join(-,(a.b,c.d)) = e"),
        ("concat( a.b , 'x', c.d[0] ) = e", "concat(a.b,x,c.d[0]) = e"),
        ("len( a.b ) > 5", "len(a.b) > 5"),
        (
            "toupper(basename(a.b)) = val( c.d )",
            "toupper(basename(a.b)) = val(c.d)",
        ),
    ]);
}

#[test]
fn operators_keep_their_words() {
    for operator in [
        "glob",
        "iglob",
        "contains",
        "icontains",
        "bcontains",
        "startswith",
        "bstartswith",
        "endswith",
        "regex",
        "!=",
        "=",
    ] {
        let text = format!("a.b {operator} c");
        prints(&[(&text, &text)]);
        let text = format!("(not a.b {operator} allof (c, d) or e)");
        prints(&[(&text, &text)]);
    }
    for operator in ["<", "<=", ">", ">="] {
        let text = format!("a.b {operator} 1");
        prints(&[(&text, &text)]);
    }
}
