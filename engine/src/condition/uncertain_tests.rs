//! What a condition comes to on an event of which something is hidden is never what it is not on the whole event.

use std::sync::Arc;

use lanner_schema::container::Owner;
use lanner_schema::descriptor::Descriptor;
use lanner_schema::event::{Event, FdUse};
use lanner_schema::process::{Process, User};
use lanner_schema::record::{SocketTuple, UNTOLD_DESCRIPTOR, Wire, WireBuilder};
use lanner_schema::view::{EventView, Outcome, ResolvedPath, System};
use proptest::prelude::*;

use super::naive::Naive;
use super::random_events::{Random, random};
use super::same_result_tests::condition;
use super::uncertain::{Answer, Uncertain};
use super::{Program, Scratch, compile, parse};
use crate::testing::Happening;

/// What is not known of an event.
#[derive(Debug, Clone)]
struct Hidden {
    params: u32,
    /// Of its process: nothing, all, all but its id, the arguments, the path of the program, whose it is.
    process: u8,
    /// This ancestor.
    ancestor: Option<u32>,
    /// The process's own end of a socket, and its protocol.
    local: bool,
    user: bool,
    succeeded: bool,
}

fn hidden() -> impl Strategy<Value = Hidden> {
    let none = Hidden {
        params: 0,
        process: 0,
        ancestor: None,
        local: false,
        user: false,
        succeeded: true,
    };
    let some = (
        prop_oneof![
            Just(0),
            any::<u32>(),
            any::<u32>().prop_map(|bits| bits | 1),
            Just(1)
        ],
        0..12u8,
        proptest::option::weighted(0.3, proptest::sample::select(vec![20, 10, 1])),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    prop_oneof![
        1 => Just(none),
        8 => some.prop_map(|(params, process, ancestor, local, user, succeeded)| Hidden {
            params, process, ancestor, local, user, succeeded,
        }),
    ]
}

struct WithoutAncestor<'a> {
    all: &'a dyn System,
    ancestor: Option<u32>,
}

impl System for WithoutAncestor<'_> {
    fn process(&self, pid: u32) -> Option<&Process> {
        self.all.process(pid).filter(|_| Some(pid) != self.ancestor)
    }
    fn user(&self, uid: u32) -> Option<&User> {
        self.all.user(uid)
    }
    fn group(&self, gid: u32) -> Option<&str> {
        self.all.group(gid)
    }
}

impl Hidden {
    fn hides(&self, index: usize) -> bool {
        self.params & 1 << (index % 32) != 0
    }

    /// The event as a source that does not know these things would tell of it.
    fn show<T>(&self, whole: &EventView<'_>, look: impl FnOnce(&EventView<'_>) -> T) -> T {
        let row = whole.event.row();
        let mut wire = WireBuilder::new();
        for index in 0..row.params.len() {
            wire = match whole.wire.param(index).filter(|_| !self.hides(index)) {
                Some(param) => wire.bytes(param.bytes),
                None => wire.missing(),
            };
        }
        let bytes = wire.build();
        let wire = Wire::read(&bytes, row.params.len()).unwrap();
        let is_result_hidden = row.result().is_some_and(|index| self.hides(index));
        let paths: Vec<ResolvedPath<'_>> = whole
            .paths
            .iter()
            .filter(|path| !self.hides(path.param.into()))
            .copied()
            .collect();
        let shown_tuple = |tuple: SocketTuple<'static>| match self.local {
            true => SocketTuple {
                local: None,
                protocol: 0,
                kind: 0,
                ..tuple
            },
            false => tuple,
        };
        let bare = |number| Descriptor {
            number,
            ..Descriptor::default()
        };
        let shown = |index: u8| !self.hides(index.into());
        let known = whole.descriptor.copied();
        // As capture makes it.
        let descriptor = match row.fd {
            FdUse::None => None,
            FdUse::Opens { path, .. } => known.map(|fd| Descriptor {
                number: if is_result_hidden {
                    UNTOLD_DESCRIPTOR
                } else {
                    fd.number
                },
                path: fd.path.filter(|_| shown(path)),
                raw_path: fd.raw_path.filter(|_| shown(path)),
                name_changed: true,
                ..fd
            }),
            FdUse::Makes { object, .. } if !is_result_hidden => known.map(|fd| match shown(object) {
                true => fd,
                false => bare(fd.number),
            }),
            FdUse::Makes { .. } => None,
            FdUse::Described { fd, object } | FdUse::Copies { old: fd, object } if shown(fd) => {
                known.map(|fd| match shown(object) {
                    true => fd,
                    false => bare(fd.number),
                })
            }
            FdUse::Described { .. } | FdUse::Copies { .. } => None,
            FdUse::Socket { fd, tuple } if shown(fd) => known.map(|fd| match (fd.tuple, shown(tuple)) {
                (Some(tuple), true) => Descriptor {
                    tuple: Some(shown_tuple(SocketTuple { path: b"", ..tuple })),
                    name_changed: false,
                    connected: false,
                    ..fd
                },
                _ => bare(fd.number),
            }),
            FdUse::Socket { .. } => None,
        };
        let process = whole.process.cloned().map(|mut process| {
            let image = Arc::make_mut(&mut process.image);
            match self.process {
                2 => {
                    process = Process {
                        pid: process.pid,
                        ppid: process.ppid,
                        ..Process::default()
                    }
                }
                3 => (image.exe, image.args, image.cmdline) = Default::default(),
                4 => image.exepath = Default::default(),
                5 => process.cgroup = 0,
                _ => {}
            }
            process
        });
        let system = WithoutAncestor {
            all: whole.system,
            ancestor: self.ancestor,
        };
        look(&EventView {
            wire,
            outcome: match self.succeeded {
                true => Outcome::Succeeded,
                false => Outcome::Attempted,
            },
            cpu: 0,
            uid: if self.user { u32::MAX } else { whole.uid },
            gid: if self.user { u32::MAX } else { whole.gid },
            implied_result: whole.implied_result.filter(|_| !is_result_hidden),
            paths: &paths,
            process: process.as_ref().filter(|_| self.process != 1),
            descriptor: descriptor.as_ref(),
            owner: match self.process {
                1 | 2 | 5 => Owner::Host,
                _ => whole.owner,
            },
            system: &system,
            ..*whole
        })
    }
}

fn answer(program: &Program, view: &EventView<'_>) -> Answer {
    let condition = Uncertain::new(program, view.event);
    condition.map_or(Answer::No, |condition| {
        condition.answer(view, &mut Scratch::new())
    })
}

fn check(text: &str, event: &Random, hidden: &Hidden) -> Result<(), TestCaseError> {
    let Ok(expr) = parse(text) else { return Ok(()) };
    let Ok(program) = compile(&expr) else {
        return Ok(());
    };
    event.view(|whole| {
        // What succeeds has a result that says so, and calls have one.
        let failed = whole.failed();
        if whole.event.row().result().is_some()
            && (failed.is_none() || hidden.succeeded && failed == Some(true))
        {
            return Ok(());
        }
        let truth = program.events().contains(whole.event) && Naive::default().holds(&expr, whole);
        let answer = hidden.show(whole, |view| answer(&program, view));
        match answer {
            Answer::Yes => prop_assert!(truth, "{text} is not true of {event:?} without {hidden:?}"),
            Answer::No => prop_assert!(!truth, "{text} is true of {event:?} without {hidden:?}"),
            Answer::IfItWorks => prop_assert!(!hidden.succeeded),
            Answer::Unknown => {}
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_a_part_holds_of_the_whole(
        texts in proptest::collection::vec(condition(), 1..6),
        event in random(),
        hidden in hidden(),
    ) {
        for text in &texts {
            check(text, &event, &hidden)?;
        }
    }
}

fn of(text: &str, happening: &Happening, hide: u32, outcome: Outcome) -> Answer {
    let program = compile(&parse(text).unwrap()).unwrap();
    let hidden = Hidden {
        params: hide,
        process: 0,
        ancestor: None,
        local: false,
        user: false,
        succeeded: outcome == Outcome::Succeeded,
    };
    happening.view(|whole| hidden.show(whole, |view| answer(&program, view)))
}

#[test]
fn a_success_decides_what_every_success_does() {
    // Result, name, flags and mode.
    let opened = Happening::openat(b"/etc/shadow", 0, 3);
    let result = 1;
    for (text, expected) in [
        ("fd.num >= 0", Answer::Yes),
        ("evt.rawres >= 0", Answer::Yes),
        ("evt.failed = false", Answer::Yes),
        ("evt.res = SUCCESS", Answer::Yes),
        ("evt.res != SUCCESS", Answer::No),
        ("not evt.failed = false", Answer::No),
        ("evt.rawres = 3", Answer::Unknown),
        ("not evt.rawres = 3", Answer::Unknown),
        ("fd.num > 2", Answer::Unknown),
        ("fd.num = -1", Answer::No),
        ("fd.name = /etc/shadow and fd.num >= 0", Answer::Yes),
        ("fd.name = /etc/shadow or fd.num = 7", Answer::Yes),
        ("fd.name = /etc/shadow and fd.num = 7", Answer::Unknown),
        ("fd.name = /etc/passwd and fd.num = 7", Answer::No),
        ("fs.path.name = /etc/shadow", Answer::Yes),
        // The flags that a file has once it is open are not all that the call was given.
        ("evt.is_open_read = true", Answer::Yes),
        ("evt.arg.flags contains O_RDONLY", Answer::Yes),
        ("evt.arg.flags contains O_TRUNC", Answer::Unknown),
        ("not evt.arg.flags contains O_TRUNC", Answer::Unknown),
        ("evt.is_open_create = true", Answer::Unknown),
        // By its nature.
        ("not fd.sip exists", Answer::Yes),
        ("evt.type in (open, openat)", Answer::Yes),
        // What was passed was not seen.
        ("fd.nameraw contains shadow", Answer::Unknown),
        ("evt.rawarg.name = /etc/shadow", Answer::Unknown),
    ] {
        assert_eq!(of(text, &opened, result, Outcome::Succeeded), expected, "{text}");
    }
    let flags = 1 << Event::Openat.row().param("flags").unwrap();
    for text in [
        "evt.is_open_read = true",
        "not evt.is_open_read = true",
        "evt.is_open_write = false",
    ] {
        assert_eq!(
            of(text, &opened, result | flags, Outcome::Succeeded),
            Answer::Unknown,
            "{text}"
        );
    }
    let written = Happening::openat(b"/etc/shadow", 3, 3);
    for (text, expected) in [
        ("evt.is_open_write = true", Answer::Yes),
        ("not evt.is_open_write = true", Answer::No),
        ("evt.is_open_read = true", Answer::Unknown),
        ("not evt.is_open_read = true", Answer::Unknown),
        ("evt.arg.flags contains O_RDWR", Answer::Unknown),
    ] {
        assert_eq!(of(text, &written, result, Outcome::Succeeded), expected, "{text}");
    }
    let created = Happening::create(b"/bin/x");
    assert_eq!(
        of("evt.is_open_create = true", &created, result, Outcome::Succeeded),
        Answer::Yes
    );
}

#[test]
fn an_attempt_is_enough_where_only_its_result_is_missing() {
    let connects = Happening::connect(("10.0.0.1", 40000), ("1.1.1.1", 443)).contained();
    let result = 1;
    for (text, expected) in [
        ("fd.sip = 1.1.1.1", Answer::Yes),
        ("fd.sip = 1.1.1.1 and evt.res = SUCCESS", Answer::IfItWorks),
        ("fd.sip = 1.1.1.1 and evt.failed = true", Answer::IfItWorks),
        (
            "fd.sip = 1.1.1.1 and (evt.rawres >= 0 or evt.res = EINPROGRESS)",
            Answer::IfItWorks,
        ),
        ("fd.sip = 1.1.1.1 and not evt.rawres = 0", Answer::IfItWorks),
        // With no result at all.
        ("evt.rawres >= 0 and evt.failed = true", Answer::No),
        // With any.
        ("evt.rawres >= 0 or evt.failed = true", Answer::Yes),
        ("fd.sip = 8.8.8.8 and evt.res = SUCCESS", Answer::No),
        ("evt.res = SUCCESS and fd.connected = true", Answer::Unknown),
        ("evt.res = SUCCESS or fd.connected = true", Answer::IfItWorks),
        (
            "evt.res = SUCCESS and container.image.repository endswith nginx",
            Answer::IfItWorks,
        ),
    ] {
        assert_eq!(
            of(text, &connects, result, Outcome::Attempted),
            expected,
            "{text}"
        );
    }
}

/// A process that may have been cat or python, whose user may have been another too.
fn of_either(condition: &str, of: fn(&EventView<'_>) -> Outcome) -> Answer {
    let mut happening = Happening::openat(b"/etc/shadow", 0, 3);
    let mut python = happening.machine.processes[&30].clone();
    python.image = Arc::new(python.image.renamed(b"python"));
    python.uid = 1000;
    happening.machine.otherwise.push(python);
    happening.view(|view| {
        let view = EventView {
            outcome: of(view),
            ..*view
        };
        let program = compile(&parse(condition).unwrap()).unwrap();
        let uncertain = Uncertain::new(&program, view.event).unwrap();
        uncertain.answer(&view, &mut Scratch::new())
    })
}

#[test]
fn what_is_not_true_of_a_process_as_it_was_later_may_have_been_true() {
    let mut happening = Happening::openat(b"/etc/shadow", 0, 3);
    happening.machine.is_as_of_later = true;
    let answer = |condition| {
        happening.view(|view| {
            let view = EventView {
                outcome: Outcome::Succeeded,
                ..*view
            };
            let program = compile(&parse(condition).unwrap()).unwrap();
            let uncertain = Uncertain::new(&program, view.event).unwrap();
            uncertain.answer(&view, &mut Scratch::new())
        })
    };
    assert_eq!(answer("evt.type=openat and proc.name=cat"), Answer::Yes);
    for condition in [
        "evt.type=openat and proc.name=nginx",
        "evt.type=openat and proc.pname=nginx",
        "evt.type=openat and user.uid=1000",
        "evt.type=openat and not proc.name in (cat, sshd) and fd.name=/etc/shadow",
    ] {
        assert_eq!(answer(condition), Answer::Unknown, "{condition}");
    }
    // Whoever it was.
    assert_eq!(
        answer("evt.type=openat and proc.name=nginx and fd.name=/etc/passwd"),
        Answer::No
    );
    assert_eq!(answer("evt.type=openat and fd.name=/etc/shadow"), Answer::Yes);
}

#[test]
fn what_is_true_of_one_process_of_two_that_it_may_have_been_is_not_known() {
    let answer = |condition| of_either(condition, |_| Outcome::Succeeded);
    assert_eq!(answer("evt.type=openat and proc.name=cat"), Answer::Unknown);
    assert_eq!(answer("evt.type=openat and proc.name=python"), Answer::Unknown);
    assert_eq!(
        answer("evt.type=openat and not proc.name=python"),
        Answer::Unknown
    );
    assert_eq!(answer("evt.type=openat and user.uid=0"), Answer::Unknown);
    // Whichever it was.
    assert_eq!(
        answer("evt.type=openat and proc.name in (cat, python)"),
        Answer::Yes
    );
    assert_eq!(
        answer("evt.type=openat and not proc.name in (nginx, sshd)"),
        Answer::Yes
    );
    assert_eq!(answer("evt.type=openat and proc.name=nginx"), Answer::No);
    assert_eq!(answer("evt.type=openat and fd.name=/etc/shadow"), Answer::Yes);
}
