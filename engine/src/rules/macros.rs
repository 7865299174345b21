//! Macros: each parsed once and resolved once, on the tree.

use super::definition::{Definitions, MacroDef};
use super::mapped::{Lists, Mapped};
use super::misuse::{Doubts, ListUse};
use super::source::{Report, Scalar};
use crate::condition::{Expr, MAX_DEPTH, MacroError, Span, SyntaxError, parse_with};
use crate::diagnostic::{Code, Diagnostic, ItemKind, ItemName, Note, Part};
use crate::suggest::nearest;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The most nodes a condition may have with its macros put in: macros that name macros grow exponentially.
const MAX_NODES: usize = 200_000;
/// The most nodes all conditions may have together with their macros put in.
const MAX_ALL_NODES: usize = 1_500_000;
/// How deep macros may name macros.
const MAX_CHAIN: usize = 200;

/// A condition that was parsed: its text, whose it is, and the macros it names.
#[derive(Debug)]
struct Text {
    mapped: Mapped,
    item: ItemName,
    /// Macros it names, and where.
    uses: Vec<(String, Span)>,
}

/// A condition with its macros put in, and how many nodes it has.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) expr: Expr,
    nodes: usize,
}

/// Everything conditions need while they are resolved.
#[derive(Debug)]
pub(crate) struct Conditions<'d> {
    definitions: &'d Definitions,
    pub(crate) lists: Lists<'d>,
    /// By [`Span::origin`].
    texts: Vec<Text>,
    /// By name; nothing for a macro that has an error.
    parsed: HashMap<&'d str, Option<(Expr, u32)>>,
    resolved: HashMap<&'d str, Option<Rc<Resolved>>>,
    doubts: Doubts<'d>,
    /// How many nodes all conditions have so far.
    nodes: usize,
    pub(crate) used: HashSet<String>,
}

impl<'d> Conditions<'d> {
    pub(crate) fn new(definitions: &'d Definitions) -> Self {
        Conditions {
            definitions,
            lists: Lists::new(&definitions.lists),
            texts: Vec::new(),
            parsed: HashMap::new(),
            resolved: HashMap::new(),
            doubts: Doubts::new(definitions),
            nodes: 0,
            used: HashSet::new(),
        }
    }

    /// Parses and resolves every macro, used or not, so that errors are found where they are made.
    pub(crate) fn macros(&mut self, report: &mut Report) {
        for definition in self.definitions.macros.iter() {
            let item = name(ItemKind::Macro, &definition.name);
            let mapped = Mapped::joined(&definition.condition);
            let parsed = self.parse(report, &mapped, item);
            self.parsed.insert(&definition.name.text, parsed);
        }
        for definition in self.definitions.macros.iter() {
            self.resolve_macro(report, definition, &mut Vec::new());
        }
    }

    /// Puts lists in and parses; `None` after an error.
    fn parse(&mut self, report: &mut Report, written: &Mapped, item: ItemName) -> Option<(Expr, u32)> {
        let origin = u32::try_from(self.texts.len()).ok()?;
        let mapped = match written.with_lists(report, &mut self.lists) {
            Ok(mapped) => mapped,
            Err(error) => {
                let place = written.locate(report, 0..written.text.len()).place;
                report.add(Code::Validate, place, Some(&item), error.to_string());
                return None;
            }
        };
        let parsed = parse_with(&mapped.text, origin, MAX_DEPTH);
        let uses = match &parsed {
            Ok(expr) => expr
                .macros()
                .into_iter()
                .map(|(n, s)| (n.to_owned(), s))
                .collect(),
            Err(_) => Vec::new(),
        };
        let doubts = match &parsed {
            Ok(expr) => self.doubts.of(expr, &mapped),
            Err(_) => Vec::new(),
        };
        self.texts.push(Text { mapped, item, uses });
        for (doubt, span) in doubts {
            let diagnostic = self.report(report, Code::ConditionWarning, span, origin, doubt.message());
            diagnostic.hint = Some(doubt.hint());
        }
        match parsed {
            Ok(expr) => Some((expr, origin)),
            Err(error) => {
                self.syntax_error(report, error, origin, written);
                None
            }
        }
    }

    /// Reports what does not follow the grammar: where a list was put in, what it was written like.
    fn syntax_error(&self, report: &mut Report, error: SyntaxError, origin: u32, written: &Mapped) {
        let text = self.texts.get(origin as usize);
        let item = text.map(|text| text.item.clone());
        let list = text
            .map(|text| text.mapped.locate(report, error.span.start..error.span.end))
            .and_then(|located| located.list);
        let misused = written.misused_lists(report, &self.lists).into_iter();
        let is_empty = |name: &str| {
            self.definitions
                .lists
                .get(name)
                .is_some_and(|l| l.items.is_empty())
        };
        let misused = { misused }.find(|(name, place, _)| match &list {
            Some((_, used)) => used == place,
            None => is_empty(name),
        });
        if let Some((name, place, used)) = misused {
            let diagnostic = report.add(Code::CompileCondition, place, item.as_ref(), used.message(&name));
            diagnostic.hint = Some(used.hint(&name));
            diagnostic.part = Part::Condition;
            return;
        }
        let appended = text.is_some_and(|text| text.mapped.begins_appended(error.span.start));
        let hint = match (list, appended) {
            (Some(_), _) => Some(
                "an item with a blank or one of ( ) = , \" ' in it needs quotes of its own, as in '\"a=b\"'"
                    .into(),
            ),
            (None, true) => Some("what is appended to a condition begins with 'and' or 'or'".into()),
            (None, false) => error.hint,
        };
        let diagnostic = self.report(report, Code::CompileCondition, error.span, origin, error.message);
        diagnostic.hint = hint;
    }

    /// Adds a diagnostic about a span, with the way from the condition `root` to it.
    pub(crate) fn report<'r>(
        &self,
        report: &'r mut Report,
        code: Code,
        span: Span,
        root: u32,
        message: impl Into<String>,
    ) -> &'r mut Diagnostic {
        let Some(text) = usize::try_from(span.origin).ok().and_then(|o| self.texts.get(o)) else {
            return report.add_file(code, 0, message);
        };
        let message = message.into();
        if report.is_said(code, span, &message) {
            return report.again(code);
        }
        let located = text.mapped.locate(report, span.start..span.end);
        let mut notes = Vec::new();
        if let Some((list, used)) = &located.list {
            notes.push(report.note(*used, format!("it is an item of list '{list}', named here")));
        }
        notes.extend(self.way(report, span.origin, root));
        let part_at = text.mapped.scalar_at(span.start).map(|at| report.position_of(at));
        let diagnostic = report.add(code, located.place, Some(&text.item), message);
        diagnostic.part = Part::Condition;
        diagnostic.part_at = part_at;
        diagnostic.notes = notes;
        diagnostic
    }

    /// How the condition `root` comes to use the text `origin`, innermost first.
    fn way(&self, report: &Report, origin: u32, root: u32) -> Vec<Note> {
        let origin_of = |name: &str| Some(self.parsed.get(name)?.as_ref()?.1);
        // Breadth first from the root; the macros of a file are few.
        let mut came_from: HashMap<u32, (u32, &str, Span)> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([root]);
        while let Some(at) = queue.pop_front() {
            if at == origin {
                break;
            }
            for (name, span) in self.texts.get(at as usize).map_or(&[][..], |t| &t.uses) {
                if let Some(next) = origin_of(name)
                    && next != root
                    && !came_from.contains_key(&next)
                {
                    came_from.insert(next, (at, name, *span));
                    queue.push_back(next);
                }
            }
        }
        let mut notes = Vec::new();
        let mut at = origin;
        while let Some((user, name, span)) = came_from.get(&at).filter(|_| at != root) {
            if let Some(text) = self.texts.get(*user as usize) {
                let place = text.mapped.locate(report, span.start..span.end).place;
                notes.push(report.note(place, format!("macro '{name}' is used by {}", text.item)));
            }
            at = *user;
        }
        notes
    }

    /// The condition of a macro with everything put in; nothing before it was compiled or after an error in it.
    pub(crate) fn resolved(&self, name: &str) -> Option<&Expr> {
        self.resolved.get(name)?.as_ref().map(|resolved| &resolved.expr)
    }

    fn resolve_macro(
        &mut self,
        report: &mut Report,
        definition: &'d MacroDef,
        chain: &mut Vec<&'d str>,
    ) -> Option<Rc<Resolved>> {
        let name = definition.name.text.as_str();
        if let Some(done) = self.resolved.get(name) {
            return done.clone();
        }
        let (expr, origin) = self.parsed.get(name)?.clone()?;
        chain.push(name);
        let resolved = self
            .resolve(report, &expr, origin, Some(definition), chain)
            .map(Rc::new);
        chain.pop();
        self.resolved.insert(name, resolved.clone());
        resolved
    }

    /// Replaces the macros of `expr`, which is the condition of `within` or of a rule.
    fn resolve(
        &mut self,
        report: &mut Report,
        expr: &Expr,
        origin: u32,
        within: Option<&'d MacroDef>,
        chain: &mut Vec<&'d str>,
    ) -> Option<Resolved> {
        let mut nodes: usize = 0;
        expr.walk(&mut |node| nodes += usize::from(!matches!(node, Expr::Macro { .. })));
        let mut broken = false;
        let mut ready: HashMap<String, Rc<Resolved>> = HashMap::new();
        for (name, span) in expr.macros() {
            self.used.insert(name.to_owned());
            let definition = self.definitions.macros.get(name);
            let later = within.zip(definition).is_some_and(|(w, d)| d.first > w.last);
            match definition {
                None => {
                    broken = true;
                    self.undefined(report, name, span, origin);
                }
                Some(definition) if later => {
                    broken = true;
                    let note = report.note(definition.name.at, "it is defined here");
                    let message = format!("undefined macro '{name}' used in filter: it is defined later");
                    let diagnostic = self.report(report, Code::Validate, span, origin, message);
                    diagnostic.notes.push(note);
                    diagnostic.hint = Some(
                        "a macro can only use macros defined before it; move it after the one it uses".into(),
                    );
                }
                Some(definition) if chain.contains(&definition.name.text.as_str()) => {
                    broken = true;
                    let message = format!("reference loop in macro: {} → {name}", chain.join(" → "));
                    self.report(report, Code::Validate, span, origin, message);
                }
                Some(_) if chain.len() >= MAX_CHAIN => {
                    broken = true;
                    let message = format!("macros name macros more than {MAX_CHAIN} deep");
                    self.report(report, Code::Validate, span, origin, message);
                }
                Some(definition) => match self.resolve_macro(report, definition, chain) {
                    Some(resolved) => {
                        nodes = nodes.saturating_add(resolved.nodes);
                        ready.insert(name.to_owned(), resolved);
                    }
                    None => broken = true,
                },
            }
            if nodes > MAX_NODES {
                let message =
                    format!("with its macros put in, the condition has more than {MAX_NODES} checks");
                self.report(report, Code::Validate, span, origin, message);
                return None;
            }
        }
        if broken {
            return None;
        }
        let before = self.nodes;
        self.nodes = self.nodes.saturating_add(nodes);
        if before > MAX_ALL_NODES {
            // It was said.
            return None;
        }
        let too_large = match (nodes > MAX_NODES, self.nodes > MAX_ALL_NODES) {
            (true, _) => Some(format!("the condition has more than {MAX_NODES} checks")),
            (_, true) => Some(format!(
                "with the macros put in, the conditions have more than {MAX_ALL_NODES} checks together"
            )),
            _ => None,
        };
        if let Some(message) = too_large {
            let start = expr.span().start;
            let span = Span {
                end: start + 1,
                ..expr.span()
            };
            self.report(report, Code::Validate, span, origin, message).hint =
                Some("lists of values cost less than checks joined by 'or'".into());
            return None;
        }
        match expr.resolve_macros(&mut |name, _| ready.get(name).map(|r| r.expr.clone())) {
            Ok(expr) => Some(Resolved { expr, nodes }),
            Err(errors) => {
                for error in errors {
                    let (MacroError::Undefined { span, .. } | MacroError::TooDeep { span, .. }) = &error;
                    self.report(report, Code::CompileCondition, *span, origin, error.to_string());
                }
                None
            }
        }
    }

    fn undefined(&self, report: &mut Report, name: &str, span: Span, origin: u32) {
        if self.definitions.broken.contains(name) {
            // Its own error is reported already.
            return;
        }
        // A list of one item reads like a macro once it is put in.
        let text = self.texts.get(origin as usize);
        let located = text.map(|text| (text.mapped.locate(report, span.start..span.end), &text.item));
        let file = located.as_ref().map(|(located, _)| located.place.file);
        if let Some((located, item)) = located
            && let Some((list, used)) = located.list
        {
            let diagnostic = report.add(Code::Validate, used, Some(item), ListUse::Check.message(&list));
            diagnostic.hint = Some(ListUse::Check.hint(&list));
            diagnostic.part = Part::Condition;
            return;
        }
        let is_shown = file.is_some_and(|file| !report.is_full(Code::Validate, file));
        let names = is_shown
            .then(|| self.definitions.macros.names())
            .into_iter()
            .flatten();
        let meant = nearest(name, names);
        let hint = match (meant, name) {
            (Some(meant), _) => format!("did you mean '{meant}'?"),
            (None, "true") => "what is always true is 'evt.num > 0'".into(),
            (None, "false") => "what is never true is 'evt.num = 0'".into(),
            (None, _) => "a name without a dot is a macro; fields have one, as in proc.name".into(),
        };
        let message = format!("undefined macro '{name}' used in filter");
        self.report(report, Code::Validate, span, origin, message).hint = Some(hint);
    }

    /// The condition of a rule: parsed and resolved, and the origin of its text. `own` is the condition without what its
    /// exceptions add: a mistake in it is told better without them.
    pub(crate) fn rule(
        &mut self,
        report: &mut Report,
        mapped: &Mapped,
        own: &Mapped,
        item: &ItemName,
    ) -> Option<(Resolved, u32)> {
        let before = report.mark();
        let parsed = self.parse(report, mapped, item.clone());
        let (expr, origin) = match parsed {
            Some(parsed) => parsed,
            None if mapped.text == own.text => return None,
            None => {
                report.rewind(before);
                self.parse(report, own, item.clone())?;
                self.parse(report, mapped, item.clone())?
            }
        };
        let resolved = self.resolve(report, &expr, origin, None, &mut Vec::new())?;
        Some((resolved, origin))
    }
}

/// The name diagnostics give an item.
pub(crate) fn name(kind: ItemKind, name: &Scalar) -> ItemName {
    ItemName {
        kind,
        name: name.text.clone(),
    }
}
