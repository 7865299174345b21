//! No open that a rule matches is left out for its names, and those that no rule can match are.

use std::collections::BTreeSet;

use lanner_schema::call_class::{CallClass, ClassSet};
use lanner_schema::descriptor::Descriptor;
use lanner_schema::event::{Event, Origin};
use lanner_schema::flags::O_PATH;
use lanner_schema::name_table::NameTable;
use lanner_schema::open_names::{OpenNames, opens_of};
use lanner_schema::record::WireBuilder;
use lanner_schema::view::{EventView, NameSet, Names, ResolvedPath};
use proptest::prelude::*;

use super::by_class_tests::{combined, compiled, of, passing};
use super::random_events::random;
use super::same_result_tests::{condition, stock_rules};
use super::{Program, Scratch};
use crate::testing::Happening;
use crate::{BUILT_IN_RULES, RulesFile, Settings, load};

/// Whether an open of these classes, called so, passes: what the kernel's side does.
fn lets_pass(
    classes: ClassSet,
    named: ClassSet,
    table: Option<&NameTable>,
    of_call: ClassSet,
    (requested, real): (&[&[u8]], Option<&[u8]>),
) -> bool {
    let of_call = of_call.intersection(classes);
    !of_call.is_empty()
        && (!of_call.difference(named).is_empty()
            || table.is_none_or(|table| table.passes(opens_of(of_call), requested, real)))
}

/// An open: the directory it starts from, the path that was passed, and what it opened.
#[derive(Debug, Clone)]
struct Open {
    base: &'static str,
    /// It is the root, too: no path leads above it, and those that begin with a slash start there.
    is_root: bool,
    raw: String,
    real: Option<String>,
    flags: u64,
    result: i64,
}

impl Open {
    fn below_base(&self) -> String {
        format!("{}/{}", self.base.trim_end_matches('/'), self.raw)
    }

    /// The path as the kernel's side reads it.
    fn as_written(&self) -> Vec<String> {
        match (self.raw.starts_with('/'), self.is_root) {
            (true, true) => vec![
                self.raw.clone(),
                format!("{}{}", self.base.trim_end_matches('/'), self.raw),
            ],
            (true, false) => vec![self.raw.clone()],
            (false, _) => vec![self.below_base()],
        }
    }

    /// As capture makes it absolute.
    fn requested(&self) -> String {
        let is_below = self.is_root || !self.raw.starts_with('/');
        let base = self.base.split('/').filter(|name| is_below && !name.is_empty());
        let mut names: Vec<&str> = base.collect();
        let kept = if self.is_root { names.len() } else { 0 };
        for name in self.raw.split('/') {
            match name {
                "" | "." => {}
                ".." if names.len() > kept => drop(names.pop()),
                ".." => {}
                name => names.push(name),
            }
        }
        format!("/{}", names.join("/"))
    }

    /// What is known to the kernel's side: what a link of /proc leads to is not where the call failed.
    fn known_real(&self) -> Option<&[u8]> {
        let is_link = self.raw.starts_with("/proc/") && self.requested() != "/proc";
        let known = self.real.as_deref().filter(|_| !is_link);
        known.map(str::as_bytes)
    }

    fn view<T>(&self, look: impl FnOnce(&EventView<'_>) -> T) -> T {
        let requested = self.requested();
        let paths = |path| [ResolvedPath { param: 2, path }];
        let (own, others) = (
            paths(requested.as_bytes()),
            self.real.as_ref().map(|real| paths(real.as_bytes())),
        );
        Happening::openat(b"/", self.flags, self.result).view(|view| {
            let descriptor = |path| Descriptor {
                path: Some(path),
                raw_path: Some(self.raw.as_bytes()),
                ..*view.descriptor.unwrap()
            };
            let (descriptor, real) = (
                descriptor(own[0].path),
                others.map(|paths| descriptor(paths[0].path)),
            );
            let names = match (&others, &real) {
                (Some(paths), Some(descriptor)) => Names::Requested(NameSet {
                    paths,
                    descriptor: Some(descriptor),
                }),
                _ => Names::Agree,
            };
            look(&EventView {
                paths: &own,
                descriptor: Some(&descriptor),
                names,
                ..*view
            })
        })
    }
}

fn path() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "etc", "shadow", "a", "b", ".ssh", "..", ".", "", "x..", "id_rsa", "proc", "pam.d", "log",
    ]);
    // A slash at the end is an empty name there.
    let names = proptest::collection::vec(name, 1..6);
    (any::<bool>(), names).prop_map(|(absolute, names)| {
        let path = names.join("/");
        if absolute { format!("/{path}") } else { path }
    })
}

fn opens() -> impl Strategy<Value = Open> {
    let real = proptest::option::of(path());
    (
        (
            proptest::sample::select(vec!["/", "/a", "/etc/pam.d"]),
            any::<bool>(),
        ),
        path(),
        real,
        (0..4u64, any::<bool>()).prop_map(|(mode, of_path)| if of_path { mode | O_PATH } else { mode }),
        proptest::sample::select(vec![3, -2]),
    )
        .prop_map(|((base, is_root), raw, real, flags, result)| {
            let real = real.map(|raw| {
                let real = Open {
                    base,
                    is_root: false,
                    raw,
                    real: None,
                    flags,
                    result,
                };
                real.requested()
            });
            Open {
                base,
                is_root,
                raw,
                real,
                flags,
                result,
            }
        })
}

/// Checks of names.
fn of_names() -> impl Strategy<Value = String> {
    let texts = vec![
        "/",
        "/etc",
        "/etc/",
        "/etc/shadow",
        "shadow",
        "/a/b",
        "a",
        "b",
        "/etc/pam.d",
        "../",
        "..",
        ".ssh",
        "/.ssh/",
        "id_rsa",
        "*/etc/*",
        "/[ab]*",
        "?a?",
        "/a/?",
        "x",
        "/x../a",
        "",
    ];
    let text = proptest::sample::select(texts);
    let field = proptest::sample::select(vec!["fd.name", "fd.nameraw", "fd.directory", "fd.filename"]);
    let op = proptest::sample::select(vec![
        "=",
        "!=",
        "startswith",
        "endswith",
        "contains",
        "glob",
        "icontains",
        "iglob",
    ]);
    let one =
        (field.clone(), op, text.clone()).prop_map(|(field, op, text)| format!("{field} {op} '{text}'"));
    let list = (
        field,
        proptest::sample::select(vec![
            "in",
            "pmatch",
            "= anyof",
            "= oneof",
            "contains allof",
            "startswith anyof",
            "contains anyof",
            "glob allof",
            "!= allof",
        ]),
        proptest::collection::vec(text, 1..4),
    )
        .prop_map(|(field, op, texts)| {
            let texts: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
            format!("{field} {op} ({})", texts.join(", "))
        });
    prop_oneof![3 => one, 2 => list]
}

fn named() -> impl Strategy<Value = String> {
    of_leaves(prop_oneof![4 => of_names(), 1 => combined()])
}

/// Checks of the paths of calls that leave no file open.
fn of_paths() -> impl Strategy<Value = String> {
    let fields = [
        ("fd.nameraw", "fs.path.nameraw"),
        ("fd.name", "fs.path.name"),
        ("fd.directory", "fs.path.source"),
        ("fd.filename", "fs.path.target"),
    ];
    of_names().prop_map(move |text| {
        let (of_open, of_call) = fields.iter().find(|(name, _)| text.starts_with(name)).unwrap();
        text.replacen(of_open, of_call, 1)
    })
}

/// A call: the directories and paths it goes by, as many as it has, and its result.
fn calls() -> impl Strategy<Value = (Event, Vec<Open>, i64)> {
    let events: Vec<Event> = OpenNames::calls().collect();
    let one = prop_oneof![
        3 => proptest::sample::select(vec!["shadow", "a", "b", ".ssh", "id_rsa", "..", ".", "x..", "log", ""])
            .prop_map(str::to_owned),
        1 => path(),
    ];
    let named = (
        proptest::sample::select(vec!["/", "/a", "/etc", "/etc/pam.d"]),
        one,
    )
        .prop_map(|(base, raw)| Open {
            base,
            is_root: false,
            raw,
            real: None,
            flags: 0,
            result: 0,
        });
    (
        proptest::sample::select(events),
        proptest::collection::vec(named, 2),
        proptest::sample::select(vec![0, 0, -2]),
    )
}

fn of_leaves(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|c| format!("({})", c.join(" and "))),
            2 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|c| format!("({})", c.join(" or "))),
            1 => inner.prop_map(|c| format!("not ({c})")),
        ]
    })
}

fn matches(programs: &[Program], view: &EventView<'_>) -> bool {
    let on_it = |program: &&Program| program.events().contains(view.event);
    let other = view.by_other_names();
    programs.iter().filter(on_it).any(|program| {
        program.matches(view, &mut Scratch::new())
            || other
                .as_ref()
                .is_some_and(|other| program.matches(other, &mut Scratch::new()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn rules_about_names_match_no_open_that_is_left_out(
        texts in proptest::collection::vec(named(), 1..4),
        opens in proptest::collection::vec(opens(), 1..32),
    ) {
        let programs = compiled(&texts);
        let passing = passing(&programs, Event::Openat);
        let terms: BTreeSet<_> = passing.terms.iter().cloned().collect();
        let table = NameTable::new(&terms);
        for open in opens {
            let written = open.as_written();
            let written: Vec<&[u8]> = written.iter().map(|text| text.as_bytes()).collect();
            open.view(|view| {
                let names = (&written[..], open.known_real());
                let passes = lets_pass(passing.classes, passing.named, table.as_ref(), of(view), names);
                prop_assert!(passes || !matches(&programs, view), "{}\n{open:?}", texts.join("\n"));
                Ok(())
            })?;
        }
    }

    #[test]
    fn rules_about_paths_match_no_call_that_is_left_out(
        texts in proptest::collection::vec(of_leaves(prop_oneof![4 => of_paths(), 1 => combined()]), 1..4),
        calls in proptest::collection::vec(calls(), 1..32),
    ) {
        let programs = compiled(&texts);
        for (event, named, result) in calls {
            let passing = passing(&programs, event);
            let table = NameTable::new(&passing.terms.iter().cloned().collect());
            let row = event.row();
            let mut left = named.iter();
            let mut passes_by_name = table.is_none();
            let (mut wire, mut paths) = (WireBuilder::new(), Vec::new());
            for (index, param) in (0u8..).zip(row.params) {
                wire = match param.from {
                    Origin::Return => wire.number(result),
                    Origin::UserPath { .. } => {
                        let path = left.next().unwrap();
                        paths.push((index, path.requested()));
                        // Only of one name the kernel's side knows where it is.
                        let is_name = !path.raw.is_empty() && !path.raw.contains('/');
                        let written = path.as_written();
                        let says = |table: &NameTable| table.passes_call(&[written[0].as_bytes()]);
                        passes_by_name |= !is_name || table.as_ref().is_some_and(says);
                        wire.text(&path.raw)
                    }
                    _ => wire.missing(),
                };
            }
            let mut call = Happening::new(event, wire);
            for (index, path) in &paths {
                call = call.at(*index, path);
            }
            call.view(|view| {
                let of_call = of(view).intersection(passing.classes);
                let passes = !of_call.difference(passing.named).is_empty() || !of_call.is_empty() && passes_by_name;
                prop_assert!(passes || !matches(&programs, view), "{}\n{event:?} {named:?}", texts.join("\n"));
                Ok(())
            })?;
        }
    }

    #[test]
    fn random_rules_match_no_open_that_is_left_out(
        texts in proptest::collection::vec(condition(), 1..4),
        events in proptest::collection::vec(random(), 1..24),
    ) {
        let programs = compiled(&texts);
        let with_names: Vec<Event> = OpenNames::events().collect();
        for random in &events {
            random.view(|view| {
                if !with_names.contains(&view.event) {
                    return Ok(());
                }
                let passing = passing(&programs, view.event);
                let table = NameTable::new(&passing.terms.into_iter().collect());
                let path_of = |view: &EventView<'_>| view.descriptor.and_then(|fd| Some(fd.path?.to_vec()));
                // Without what was asked for the kernel's side lets it pass.
                let Some(requested) = path_of(view) else { return Ok(()) };
                let real = view.by_other_names().and_then(|other| path_of(&other));
                let names = (&[&requested[..]][..], real.as_deref());
                let passes = lets_pass(passing.classes, passing.named, table.as_ref(), of(view), names);
                prop_assert!(passes || !matches(&programs, view), "{}\n{view:?}", texts.join("\n"));
                Ok(())
            })?;
        }
    }
}

/// What passes of opens to read on the host, for a file of rules.
fn reads_that_pass(name: &str, text: String, paths: &[(&str, Option<&str>)]) -> Vec<bool> {
    let file = RulesFile {
        name: name.into(),
        text,
    };
    let ruleset = load(&[file], &Settings::default()).ruleset.unwrap();
    let needs = ruleset.needs();
    let table = NameTable::new(&needs.names.terms);
    let at = Event::Openat as usize;
    let pass = |(requested, real): &(&str, Option<&str>)| {
        let result = if real.is_some() { 3 } else { -2 };
        Happening::openat(requested.as_bytes(), 0, result).view(|view| {
            let names = (&[requested.as_bytes()][..], real.map(str::as_bytes));
            lets_pass(
                needs.classes[at],
                needs.names.classes[at],
                table.as_ref(),
                of(view),
                names,
            )
        })
    };
    paths.iter().map(pass).collect()
}

#[test]
fn of_falcos_rules_and_ours_only_what_they_look_for_passes() {
    let wanted = [
        ("/etc/shadow", Some("/etc/shadow")),
        ("/tmp/link", Some("/etc/shadow")),
        ("/etc/sudoers.d/x", Some("/etc/sudoers.d/x")),
    ];
    let others = [
        ("/etc/ld.so.cache", Some("/etc/ld.so.cache")),
        (
            "/lib/x86_64-linux-gnu/libc.so.6",
            Some("/usr/lib/x86_64-linux-gnu/libc.so.6"),
        ),
        ("/proc/self/status", Some("/proc/77/status")),
        ("/usr/lib/none.so", None),
        ("/tmp/measured-file", Some("/tmp/measured-file")),
        ("/run/containers/./x//y/.", Some("/run/containers/x/y")),
        ("/thread-self/fd/", Some("/77/task/77/fd")),
        ("/", Some("/")),
    ];
    let files = [
        Some(("lanner_rules.yaml", BUILT_IN_RULES.to_owned())),
        stock_rules().map(|text| ("falco_rules.yaml", text)),
    ];
    for (name, text) in files.into_iter().flatten() {
        let pass = reads_that_pass(name, text, &[&wanted[..], &others].concat());
        assert_eq!(pass, [[true; 3].as_slice(), &[false; 8]].concat(), "{name}");
    }
}

#[test]
fn terms_are_what_a_condition_says() {
    let count = |text: &str| {
        let passing = passing(&compiled(&[text.to_owned()]), Event::Openat);
        (!passing.named.is_empty()).then_some(passing.terms.len())
    };
    assert_eq!(count("fd.name in (/a, /b) and proc.name = x"), Some(2));
    assert_eq!(count("fd.name in (/a, /b) and fd.name = /a"), Some(1));
    assert_eq!(count("fd.name = /a or fd.directory = /b"), Some(3));
    assert_eq!(count("fd.name = /a or proc.name = x"), None);
    assert_eq!(count("not fd.name = /a"), None);
    assert_eq!(count("not (not fd.name = /a)"), Some(1));
    assert_eq!(count("fd.name regex '/a.*'"), None);
    // Those that fail whatever they are called, those that succeed by their names.
    let passing = passing(
        &compiled(&["evt.failed = true or fd.name = /a".to_owned()]),
        Event::Openat,
    );
    assert!(!passing.named.is_empty() && passing.named != passing.classes);
}

#[test]
fn of_the_built_in_rules_only_what_they_look_for_passes_of_calls_that_leave_no_file() {
    let file = RulesFile {
        name: "lanner_rules.yaml".into(),
        text: BUILT_IN_RULES.into(),
    };
    let ruleset = load(&[file], &Settings::default()).ruleset.unwrap();
    let names = &ruleset.needs().names;
    let table = NameTable::new(&names.terms).unwrap();
    let success = CallClass::new(false, false);
    for event in [
        Event::Unlink,
        Event::Unlinkat,
        Event::Rename,
        Event::Renameat,
        Event::Renameat2,
    ] {
        assert!(names.classes[event as usize].contains(success), "{event:?}");
    }
    for (path, wanted) in [
        ("/var/log/auth.log", true),
        ("/root/.bash_history", true),
        ("/etc/passwd", true),
        ("/usr/bin/ls", true),
        ("/run/containerd/runc/k8s.io/1/state.json", false),
        ("/var/lib/containerd/x/.tmp-options.json", false),
        ("/usr/lib/x", false),
    ] {
        assert_eq!(table.passes_call(&[path.as_bytes()]), wanted, "{path}");
        assert_eq!(table.passes_call(&[b"/x", path.as_bytes()]), wanted, "{path}");
    }
}

#[test]
fn what_is_asked_of_two_paths_is_not_asked_of_one() {
    let passing = |text: &str, event: Event| passing(&compiled(&[text.to_owned()]), event);
    let both = "fs.path.source startswith /var/log/ and fs.path.target startswith /x/";
    let of_both = passing(both, Event::Rename);
    assert!(!of_both.terms.is_empty() && !of_both.named.is_empty());
    // Where a link leads is text of another kind, and of opens these fields are others.
    for (text, event) in [
        ("fs.path.target = /x", Event::Symlinkat),
        ("fs.path.name = /x or evt.arg.name = y", Event::Unlinkat),
        ("fs.path.nameraw = /x", Event::Unlinkat),
        ("not fs.path.name = /x", Event::Unlinkat),
        ("fs.path.name = /x", Event::Openat),
    ] {
        assert!(passing(text, event).named.is_empty(), "{text} {event:?}");
    }
}
