//! A condition by itself that names the macros and lists of rules files.

use super::definition::Definitions;
use super::macros::Conditions;
use super::mapped::Mapped;
use super::source::{Place, Report, Scalar, SourceFile};
use super::{RulesFile, read, yaml};
use crate::condition::{Expr, Program, compile_in};
use crate::diagnostic::{Code, Diagnostic, ItemKind, ItemName};
use crate::scope::Scope;

/// What diagnostics call the condition's text.
const NAME: &str = "condition";

/// The macros and lists of rules files, for conditions that are tried without a rule.
#[derive(Debug)]
pub struct Vocabulary {
    files: Vec<SourceFile>,
    definitions: Definitions,
}

/// A condition that was compiled with a vocabulary.
#[derive(Debug)]
pub struct Spoken {
    /// Its tree, macros and lists put in. The spans point into texts of the vocabulary.
    pub expr: Expr,
    /// The program.
    pub program: Program,
    /// What is not wrong, but perhaps not meant: in the condition, or in a macro it uses.
    pub warnings: Vec<Diagnostic>,
}

impl Vocabulary {
    /// Reads the macros and lists of rules files; rules are not looked at. A later file may append to, override or replace
    /// what an earlier one defines.
    ///
    /// # Errors
    /// Everything that is wrong with the files and their macros.
    pub fn read(files: &[RulesFile]) -> Result<Vocabulary, Vec<Diagnostic>> {
        let mut report = Report::default();
        let mut definitions = Definitions::default();
        for (index, file) in files.iter().enumerate() {
            let source = SourceFile::new(file.name.clone(), file.text.clone());
            report.files.push(source);
            for document in yaml::read(&mut report, index) {
                read::document(&mut report, &mut definitions, &document);
            }
        }
        Conditions::new(&definitions).macros(&mut report);
        if report.errors() > 0 {
            return Err(errors(report));
        }
        Ok(Vocabulary {
            files: report.files,
            definitions,
        })
    }

    /// A condition with its macros and lists put in.
    ///
    /// # Errors
    /// When it does not follow the grammar, or names a macro that there is not.
    pub fn resolve(&self, text: &str) -> Result<Expr, Vec<Diagnostic>> {
        let mut report = self.report(text);
        let mut conditions = Conditions::new(&self.definitions);
        match self.put_in(&mut report, &mut conditions, text) {
            Some((expr, _)) => Ok(expr),
            None => Err(errors(report)),
        }
    }

    /// Compiles a condition that may name macros and lists.
    ///
    /// # Errors
    /// Everything that is wrong with it, and where: in its own text, which is called `condition`, or in a rules file.
    pub fn compile(&self, text: &str, scope: &Scope) -> Result<Spoken, Vec<Diagnostic>> {
        let mut report = self.report(text);
        let mut conditions = Conditions::new(&self.definitions);
        let Some((expr, origin)) = self.put_in(&mut report, &mut conditions, text) else {
            return Err(errors(report));
        };
        let program = match compile_in(&expr, scope) {
            Ok(program) => program,
            Err(found) => {
                for error in found {
                    let (code, message) = (Code::CompileCondition, error.to_string());
                    conditions
                        .report(&mut report, code, error.span, origin, message)
                        .hint = error.kind.hint();
                }
                return Err(errors(report));
            }
        };
        for warning in program.warnings() {
            let (code, message) = (warning.kind.code(), warning.kind.to_string());
            let diagnostic = conditions.report(&mut report, code, warning.span, origin, message);
            diagnostic.hint = warning.kind.hint();
        }
        Ok(Spoken {
            expr,
            program,
            warnings: report.finish(),
        })
    }

    fn report(&self, text: &str) -> Report {
        let mut report = Report::default();
        report.files.clone_from(&self.files);
        report.files.push(SourceFile::new(NAME.into(), text.to_owned()));
        report
    }

    fn put_in<'d>(
        &'d self,
        report: &mut Report,
        conditions: &mut Conditions<'d>,
        text: &str,
    ) -> Option<(Expr, u32)> {
        // They are right: nothing is reported.
        conditions.macros(report);
        let whole = Scalar {
            text: text.to_owned(),
            at: Place {
                file: self.files.len(),
                start: 0,
                end: text.len(),
            },
        };
        let mapped = Mapped::joined(&[whole]);
        let item = ItemName {
            kind: ItemKind::Condition,
            name: String::new(),
        };
        let (resolved, origin) = conditions.rule(report, &mapped, &mapped, &item)?;
        Some((resolved.expr, origin))
    }
}

/// The errors of a report. That they are in the condition goes without saying.
fn errors(report: Report) -> Vec<Diagnostic> {
    let mut found = report.finish();
    found.retain(Diagnostic::is_error);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(text: &str) -> Result<Vocabulary, Vec<Diagnostic>> {
        Vocabulary::read(&[RulesFile {
            name: "rules.yaml".into(),
            text: text.into(),
        }])
    }

    const RULES: &str = "\
- list: shells
  items: [sh, bash]
- macro: spawned
  condition: evt.type = execve and shell
- macro: shell
  condition: proc.name in (shells)
";

    #[test]
    fn macros_and_lists_are_put_in() {
        let rules = RULES.replace("evt.type = execve and shell", "evt.type = execve");
        let vocabulary = vocabulary(&rules).unwrap();
        let spoken = vocabulary
            .compile(
                "spawned and shell and proc.pname in (shells, zsh)",
                &Scope::default(),
            )
            .unwrap();
        assert_eq!(
            spoken.expr.to_string(),
            "(evt.type = execve and proc.name in (sh, bash) and proc.pname in (sh, bash, zsh))"
        );
        assert!(spoken.warnings.is_empty());
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        let loaded = vocabulary(RULES).unwrap_err();
        assert!(loaded[0].message.contains("defined later"), "{:?}", loaded[0]);
        let vocabulary = vocabulary("- macro: slip\n  condition: proc.nmae = x\n").unwrap();
        let errors = |text: &str| vocabulary.compile(text, &Scope::default()).unwrap_err();
        let inside = &errors("proc.name = y and slip")[0];
        assert_eq!(
            (inside.file.as_str(), inside.line, inside.column),
            ("rules.yaml", 2, 14)
        );
        assert_eq!(inside.notes[0].file, "condition");
        let own = &errors("proc.name = y and proc.pidd = 1")[0];
        assert_eq!((own.file.as_str(), own.line, own.column), ("condition", 1, 19));
        let undefined = &errors("silp")[0];
        assert_eq!(undefined.hint.as_deref(), Some("did you mean 'slip'?"));
        let syntax = &errors("slip and")[0];
        assert_eq!((syntax.file.as_str(), syntax.column), ("condition", 6));
    }
}
