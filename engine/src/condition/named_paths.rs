//! The paths a condition compares names of files with, for calls that leave no file: where a source can watch directories only
//! one by one, these are what is worth it.

use std::collections::BTreeSet;

use super::ast::{Check, Expr, Literal, Operand, Right, Test};

/// The most of a condition that are kept.
const MOST: usize = 1024;

/// Fields that are names of files such calls are about.
fn is_name(field: &str) -> bool {
    ["fs.path.", "evt.arg.", "evt.rawarg.", "evt.abspath"]
        .iter()
        .any(|start| field.starts_with(start))
}

fn reads_name(left: &Operand) -> bool {
    match left {
        Operand::Field(field) | Operand::Val(field, _) => is_name(&field.name),
        Operand::Transform(transform) => transform.args.iter().any(|arg| match arg {
            super::ast::TransformArg::Field(field) => is_name(&field.name),
            _ => false,
        }),
    }
}

/// Adds the constants of a condition that are compared with such names and have a slash: whole paths, their beginnings
/// and their ends.
pub(crate) fn named_paths(expr: &Expr, paths: &mut BTreeSet<Box<[u8]>>) {
    expr.walk(&mut |node| {
        let Expr::Check(check) = node else { return };
        let Check { left, test, .. } = &**check;
        let Test::Compare { right, .. } = test else { return };
        if !reads_name(left) {
            return;
        }
        let constants: &[Literal] = match right {
            Right::Literal(literal) => std::slice::from_ref(literal),
            Right::List(list, _) => list,
            Right::Operand(_) => &[],
        };
        for constant in constants.iter().filter(|constant| constant.bytes.contains(&b'/')) {
            if paths.len() < MOST {
                paths.insert(constant.bytes.as_slice().into());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::parse;

    #[test]
    fn names_that_files_are_compared_with_are_found_wherever_they_are() {
        let paths = |text: &str| {
            let mut paths = BTreeSet::new();
            named_paths(&parse(text).unwrap(), &mut paths);
            let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
            paths.iter().map(|path| text(path)).collect::<Vec<_>>()
        };
        assert_eq!(
            paths(
                "evt.type = unlink and (fs.path.name startswith /var/log/ or not fs.path.target pmatch (/bin, /sbin)) \
                 and proc.exepath startswith /opt and fd.name = /etc/x"
            ),
            ["/bin", "/sbin", "/var/log/"]
        );
        assert_eq!(
            paths("tolower(evt.arg.path) endswith /.bash_history or evt.arg.name in (x, /a/b)"),
            ["/.bash_history", "/a/b"]
        );
        assert!(paths("fs.path.name exists and fs.path.name contains passwd").is_empty());
    }
}
