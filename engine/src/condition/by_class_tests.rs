//! Whatever a rule matches is of a class that passes the filter, and what can't match does not pass.

use lanner_schema::call_class::{CallClass, ClassSet};
use lanner_schema::container::Owner;
use lanner_schema::event::{EVENTS, Event, FdUse};
use lanner_schema::flags::{FILE_FLAGS, O_ACCMODE, O_CREAT, O_F_CREATED, O_PATH};
use lanner_schema::record::WireBuilder;
use lanner_schema::view::EventView;
use proptest::prelude::*;

use super::by_name::Passing;
use super::random_events::random;
use super::same_result_tests::condition;
use super::{Program, Scratch, compile, parse, programs};
use crate::testing::Happening;
use crate::{BUILT_IN_RULES, RulesFile, Settings, load};

/// What of `event` passes the filter for these conditions.
pub(super) fn passing(conditions: &[Program], event: Event) -> Passing {
    let conditions = (0..).zip(conditions);
    let conditions: Vec<(u32, &Program)> = conditions
        .filter(|(_, program)| program.events().contains(event))
        .collect();
    programs([event].into_iter(), &conditions).remove(0).1
}

fn classes(text: &str, event: Event) -> ClassSet {
    passing(&[compile(&parse(text).unwrap()).unwrap()], event).classes
}

/// The classes that an event may be of, for the kernel's side: one, where its parameters are there.
pub(super) fn of(view: &EventView<'_>) -> ClassSet {
    let row = view.event.row();
    let in_container = matches!(view.owner, Owner::Container(_));
    let result = row.result().map(|index| view.wire.number(index));
    let family = row.family();
    let mode = row.mode().map(|(mode, _)| mode);
    let flags = match row.fd {
        FdUse::Opens { flags, .. } => Some(view.wire.number(flags.into())),
        _ => family.or(mode).map(|argument| view.wire.number(argument)),
    };
    let mut set = ClassSet::NONE;
    for failed in [false, true] {
        let is_it = match result {
            Some(Some(result)) => (result.cast_signed() < 0) == failed,
            Some(None) => view.implied_result.is_none_or(|result| (result < 0) == failed),
            None => !failed,
        };
        let class = CallClass::new(failed, in_container);
        match (is_it, flags) {
            (false, _) => {}
            (_, Some(Some(number))) if family.is_some() => set.insert(class.of_family(number)),
            (_, Some(Some(number))) if mode.is_some() => set.insert(class.of_mode(number)),
            (_, Some(Some(flags))) => set.insert(class.opening(flags)),
            (_, _) => {
                set.insert(class);
                set = set.union(set.whatever_flags());
            }
        }
    }
    set
}

fn check_event(programs: &[Program], view: &EventView<'_>, texts: &str) -> Result<(), TestCaseError> {
    let on_it: Vec<&Program> = programs
        .iter()
        .filter(|program| program.events().contains(view.event))
        .collect();
    let matching = on_it
        .iter()
        .any(|program| program.matches(view, &mut Scratch::new()));
    let passes = passing(programs, view.event).classes.intersection(of(view));
    prop_assert!(!matching || !passes.is_empty(), "{texts}\n{view:?}");
    Ok(())
}

/// Checks that the class decides, of all kinds.
fn decided() -> impl Strategy<Value = String> {
    let names: Vec<&str> = FILE_FLAGS.names.iter().map(|flag| flag.name).collect();
    let parts = [
        "O_", "O_RD", "O_W", "O_T", "O_C", "O_F", "_CREATED", "|O_TRUNC", "", "UPPER", "x",
    ];
    let needles: Vec<&str> = names.into_iter().chain(parts).collect();
    let needle = proptest::sample::select(needles);
    let op = proptest::sample::select(vec!["=", "!=", "contains", "startswith", "icontains"]);
    let flags = (op, needle.clone()).prop_map(|(op, needle)| format!("evt.arg.flags {op} '{needle}'"));
    let lists = (
        proptest::sample::select(vec!["anyof", "allof", "oneof"]),
        proptest::collection::vec(needle, 1..6),
    )
        .prop_map(|(modifier, needles)| {
            let needles: Vec<String> = needles.iter().map(|needle| format!("'{needle}'")).collect();
            format!("evt.arg.flags contains {modifier} ({})", needles.join(", "))
        });
    let bools = (
        proptest::sample::select(vec![
            "evt.is_open_read",
            "evt.is_open_write",
            "evt.is_open_create",
            "evt.is_open_exec",
            "lanner.is_open_path",
        ]),
        proptest::sample::select(vec![
            "= true",
            "!= true",
            "= false",
            "exists",
            "= val(evt.failed)",
        ]),
    )
        .prop_map(|(field, test)| format!("{field} {test}"));
    let results = (
        proptest::sample::select(vec!["evt.rawres", "fd.num"]),
        proptest::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]),
        proptest::sample::select(vec!["0", "-1", "-2", "1", "3", "-5000", "-4096"]),
    )
        .prop_map(|(field, op, number)| format!("{field} {op} {number}"));
    let owners = (
        proptest::sample::select(vec![
            "container.id",
            "container.type",
            "container.name",
            "k8s.ns.name",
        ]),
        proptest::sample::select(vec![
            "= host",
            "!= host",
            "in (host)",
            "in (host, x)",
            "!= allof (host, x)",
            "exists",
            "startswith ho",
            "contains o",
            "= val(container.type)",
            "!= val(proc.name)",
        ]),
    )
        .prop_map(|(field, test)| format!("{field} {test}"));
    let others = proptest::sample::select(vec![
        "evt.failed = true",
        "evt.failed = false",
        "evt.res = SUCCESS",
        "evt.res in (SUCCESS, ENOENT)",
        "evt.res != EPERM",
        "evt.res = UNKNOWN",
        "evt.res = val(proc.name)",
        "evt.failed != val(evt.is_open_read)",
        "fd.num = val(evt.rawres)",
        "evt.count.error = 1",
        "fs.path.name exists",
        "fs.path.name contains s",
        "container.privileged = true",
        "container.mounts exists",
        "k8s.pod.name exists",
        "proc.name = cat",
        "evt.rawres = val(fd.num)",
        "evt.rawarg.flags > 4",
    ]);
    let others = others.prop_map(str::to_owned);
    prop_oneof![flags, lists, bools, results, owners, families(), modes(), others]
}

/// Checks of the mode that a file is given.
fn modes() -> impl Strategy<Value = String> {
    let field = proptest::sample::select(vec!["evt.arg.mode", "evt.arg[3]", "evt.rawarg.mode", "evt.args"]);
    let test = proptest::sample::select(vec![
        "contains S_ISUID",
        "contains S_ISGID",
        "contains S_IS",
        "contains S_I",
        "contains S_IF",
        "contains S_IXUSR",
        "contains S_ISUIDS",
        "contains 'S_ISGID|S_ISUID'",
        "contains UID",
        "contains anyof (S_ISVTX, S_ISGID)",
        "contains allof (S_ISVTX, S_IWOTH)",
        "icontains s_isuid",
        "startswith S_ISUID",
        "endswith S_ISUID",
        "= S_ISUID",
        "!= S_ISGID",
        "= 0",
        "> 2047",
        "exists",
    ]);
    (field, test).prop_map(|(field, test)| format!("{field} {test}"))
}

/// A call that gives a file a mode: which, how it ends, and whose it is.
fn moded() -> impl Strategy<Value = (Event, i64, i64, bool)> {
    let calls: Vec<Event> = EVENTS
        .iter()
        .filter(|row| row.mode().is_some())
        .map(|row| row.event)
        .collect();
    let mode = prop_oneof![
        4 => 0..0o10000i64,
        2 => 0..0o200000i64,
        1 => proptest::sample::select(vec![-1, 1 << 40, i64::from(u32::MAX), 0]),
    ];
    (
        proptest::sample::select(calls),
        mode,
        proptest::sample::select(vec![0, -1, -13]),
        any::<bool>(),
    )
}

/// Checks of the family of a socket.
fn families() -> impl Strategy<Value = String> {
    let field = proptest::sample::select(vec![
        "evt.arg.domain",
        "evt.arg[0]",
        "evt.arg[1]",
        "evt.rawarg.domain",
        "evt.args",
    ]);
    let test = proptest::sample::select(vec![
        "= AF_INET",
        "!= AF_INET6",
        "contains AF_PACKET",
        "contains AF_",
        "icontains inet",
        "startswith AF_UN",
        "in (AF_INET, AF_NETLINK)",
        "glob *1*",
        "= anyof (AF_VSOCK, AF_X25)",
        "!= allof (AF_X25, AF_ALG)",
        "exists",
        "= 2",
        "> 9",
        "= val(evt.arg.proto)",
        "!= oneof (AF_INET, AF_INET6)",
    ]);
    (field, test).prop_map(|(field, test)| format!("{field} {test}"))
}

/// A call that makes a socket: its family, its result and whose it is.
fn socket() -> impl Strategy<Value = (i64, i64, bool)> {
    let family =
        prop_oneof![3 => 0..20i64, 1 => proptest::sample::select(vec![38, 40, 255, i64::from(u32::MAX)])];
    (family, proptest::sample::select(vec![3, -1, -97]), any::<bool>())
}

/// The same, combined.
pub(super) fn combined() -> impl Strategy<Value = String> {
    decided().prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            2 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|c| format!("({})", c.join(" and "))),
            1 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|c| format!("({})", c.join(" or "))),
            1 => inner.prop_map(|c| format!("not ({c})")),
        ]
    })
}

pub(super) fn compiled(texts: &[String]) -> Vec<Program> {
    let parsed = texts.iter().filter_map(|text| parse(text).ok());
    parsed.filter_map(|expr| compile(&expr).ok()).collect()
}

/// An open with any flags, results and owner, by `openat` or by `openat2`.
fn open() -> impl Strategy<Value = (u64, i64, bool, bool)> {
    // Every flag with a name, bits without one, and access modes that there are not.
    let bits: Vec<u64> = FILE_FLAGS
        .names
        .iter()
        .map(|flag| flag.bits & !O_ACCMODE)
        .chain([O_PATH, O_PATH, O_PATH, 1 << 3, 1 << 20, 1 << 33, 0o20000000])
        .collect();
    let flags = (
        proptest::collection::vec(proptest::sample::select(bits), 0..5),
        0..4u64,
    );
    let flags = flags.prop_map(|(bits, mode)| {
        let flags = bits.iter().fold(mode, |flags, bit| flags | bit);
        // Capture's bit, where the call had the other.
        if flags & O_F_CREATED != 0 {
            flags | O_CREAT
        } else {
            flags
        }
    });
    let results = proptest::sample::select(vec![0, 3, 1000, -1, -2, -13, -4095, -5000, i64::MIN, i64::MAX]);
    (flags, results, any::<bool>(), any::<bool>())
}

fn opened((flags, result, contained, by_openat2): (u64, i64, bool, bool)) -> Happening {
    let open = match by_openat2 {
        true => Happening::openat2(b"/etc/shadow", flags, result),
        false => Happening::openat(b"/etc/shadow", flags, result),
    };
    match contained {
        true => open.contained(),
        false => open,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_rules_match_nothing_that_is_filtered(
        texts in proptest::collection::vec(prop_oneof![condition(), combined()], 1..4),
        events in proptest::collection::vec(random(), 1..24),
    ) {
        let programs = compiled(&texts);
        for random in &events {
            random.view(|view| check_event(&programs, view, &texts.join("\n")))?;
        }
    }

    #[test]
    fn rules_about_opens_match_none_that_is_filtered(
        text in combined(),
        opens in proptest::collection::vec(open(), 1..24),
    ) {
        let programs = compiled(std::slice::from_ref(&text));
        for open in opens {
            opened(open).view(|view| check_event(&programs, view, &text))?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn rules_about_sockets_match_none_that_is_filtered(
        text in prop_oneof![families(), combined()],
        other in families(),
        sockets in proptest::collection::vec(socket(), 1..24),
    ) {
        let texts = [text, other];
        let programs = compiled(&texts);
        for (family, result, contained) in sockets {
            let wire = WireBuilder::new().number(result).number(family).number(1).number(family);
            let call = Happening::new(Event::Socket, wire);
            let call = if contained { call.contained() } else { call };
            call.view(|view| check_event(&programs, view, &texts.join("\n")))?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn rules_about_modes_match_none_that_is_filtered(
        text in prop_oneof![modes(), combined()],
        other in modes(),
        calls in proptest::collection::vec(moded(), 1..24),
    ) {
        let texts = [text, other];
        let programs = compiled(&texts);
        for (event, mode, result, contained) in calls {
            let row = event.row();
            let (at, _) = row.mode().unwrap();
            let wire = (0..=at).fold(WireBuilder::new(), |wire, index| match index {
                _ if index == at => wire.number(mode),
                _ if row.result() == Some(index) => wire.number(result),
                _ => wire.missing(),
            });
            let call = Happening::new(event, wire);
            let call = if contained { call.contained() } else { call };
            call.view(|view| check_event(&programs, view, &texts.join("\n")))?;
        }
    }
}

#[test]
fn calls_that_give_a_file_a_mode_have_it_in_their_class_and_no_flags_of_an_open_beside() {
    let with_mode: Vec<&str> = EVENTS
        .iter()
        .filter(|row| row.mode().is_some())
        .inspect(|row| assert!(row.open_flags_arg().is_none() && row.family().is_none()))
        .map(|row| row.name)
        .collect();
    let expected = ["chmod", "fchmod", "fchmodat", "mknod", "mknodat", "fchmodat2"];
    assert_eq!(with_mode, expected);
}

fn of_rules(name: &str, text: String) -> [ClassSet; lanner_schema::event::EVENT_COUNT] {
    let file = RulesFile {
        name: name.into(),
        text,
    };
    load(&[file], &Settings::default())
        .ruleset
        .unwrap()
        .needs()
        .classes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rule_files_match_nothing_that_is_filtered(events in proptest::collection::vec(random(), 100)) {
        let file = RulesFile { name: "lanner_rules.yaml".into(), text: BUILT_IN_RULES.into() };
        let mut ruleset = load(&[file], &Settings::default()).ruleset.unwrap();
        let classes = ruleset.needs().classes;
        for random in &events {
            random.view(|view| {
                let mut alerts = 0;
                ruleset.evaluate(view, &mut |_| alerts += 1);
                let passes = classes[view.event as usize].intersection(of(view));
                prop_assert!(alerts == 0 || !passes.is_empty(), "{view:?}");
                Ok(())
            })?;
        }
    }
}

#[test]
fn what_no_rule_can_match_does_not_pass() {
    let only = |text: &str, event: Event, wanted: fn(CallClass) -> bool| {
        let passes = classes(text, event);
        for class in CallClass::all() {
            assert_eq!(passes.contains(class), wanted(class), "{text}: {class:?}");
        }
    };
    let openat = Event::Openat;
    only("fd.name = /x", openat, |_| true);
    only("fd.name = /x and fd.num >= 0", openat, |class| !class.failed());
    only("evt.res = EPERM", openat, |class| class.failed());
    only("evt.rawres < -3", Event::Connect, |class| class.failed());
    only("evt.rawres > 3", Event::Connect, |class| !class.failed());
    only("fd.num >= 0 and fd.name = /x", Event::Read, |_| true);
    only("evt.failed = true and fs.path.name = /x", Event::Unlinkat, |_| {
        false
    });
    only("container.id != host", Event::Unlinkat, |class| {
        class.in_container()
    });
    only("container.id = host", Event::Unlinkat, |class| {
        !class.in_container()
    });
    only("not container.id in (host) and proc.name = x", openat, |class| {
        class.in_container()
    });
    only(
        "k8s.ns.name = kube-system or evt.failed = true",
        openat,
        |class| class.in_container() || class.failed(),
    );
    only(
        "evt.is_open_read = true and evt.failed = false",
        openat,
        |class| !class.failed() && class.flags().1 & 3 != 1,
    );
    for event in [openat, Event::Openat2] {
        only(
            "evt.is_open_read = true and lanner.is_open_path = false",
            event,
            |class| class.flags().1 & 3 != 1 && class.flags().1 & O_PATH == 0,
        );
        only("lanner.is_open_path = true", event, |class| {
            class.flags().1 & 3 != 0 || class.flags().1 & O_PATH != 0
        });
        // Its access mode is for reading.
        only("evt.is_open_write = true", event, |class| {
            class.flags().1 & 3 != 0
        });
    }
    // Its flags are not in its class.
    only("lanner.is_open_path = true", Event::OpenByHandleAt, |_| true);
    only(
        "evt.is_open_write = true and evt.arg.flags contains O_TRUNC",
        openat,
        |class| matches!(class.flags().1 & 3, 1 | 2) && class.flags().1 & 0o1000 != 0,
    );
    only("evt.is_open_exec = true and fd.num >= 0", openat, |class| {
        class.may_create() && !class.failed()
    });
    only("evt.arg.flags contains O_RDWR", openat, |class| {
        class.flags().1 & 3 == 2
    });
    only("evt.arg.flags contains O_CREAT", openat, CallClass::may_create);
    only("evt.arg.flags contains O_NOFOLLOW", openat, |_| false);
    only("evt.arg.domain = AF_INET", Event::Socket, |class| {
        matches!(class.family(), Some(2) | None)
    });
    only("evt.arg[0] contains AF_PACKET", Event::Socket, |_| true);
    only("evt.arg[1] contains AF_PACKET", Event::Socket, |class| {
        class.family().is_none()
    });
    only(
        "not evt.arg.domain in (AF_INET, AF_INET6)",
        Event::Socket,
        |class| !matches!(class.family(), Some(2 | 10)),
    );
    for (needle, bits) in [("S_ISUID", 0o4000), ("S_IS", 0o7000), ("S_I", 0o7000)] {
        let passes = classes(&format!("evt.arg.mode contains {needle}"), Event::Fchmodat);
        for class in CallClass::all() {
            let wanted = needle == "S_I" || class.mode().1 & bits != 0;
            assert_eq!(passes.contains(class), wanted, "{needle} {class:?}");
        }
    }
    only("evt.arg.mode contains S_IXUSR", Event::Mknod, |_| true);
    // What reads of a socket are, no class says.
    only("evt.is_open_read = true", Event::Connect, |_| false);
}

#[test]
fn the_built_in_rules_have_no_use_for_modes_by_which_nobody_becomes_another() {
    let classes = of_rules("lanner_rules.yaml", BUILT_IN_RULES.into());
    for event in [
        Event::Chmod,
        Event::Fchmod,
        Event::Fchmodat,
        Event::Fchmodat2,
        Event::Mknodat,
    ] {
        for (mode, wanted) in [(0o755, false), (0o1777, false), (0o2755, false), (0o4755, true)] {
            let class = CallClass::new(false, true).of_mode(mode);
            assert_eq!(
                classes[event as usize].contains(class),
                wanted,
                "{event:?} {mode:o}"
            );
        }
    }
}

#[test]
fn falcos_rules_have_no_use_for_what_the_host_opens_to_be_appended_to() {
    let Some(text) = super::same_result_tests::stock_rules() else {
        return;
    };
    let classes = of_rules("falco_rules.yaml", text);
    for event in [Event::Open, Event::Openat, Event::Openat2] {
        let wanted = |failed: bool, in_container: bool, flags| {
            classes[event as usize].contains(CallClass::new(failed, in_container).opening(flags))
        };
        // Reads, attempts and what is emptied are wanted, whoever makes them.
        for in_container in [true, false] {
            assert!(wanted(false, in_container, 0) && wanted(true, in_container, 0o2001));
            assert!(wanted(false, in_container, 0o1001));
            assert_eq!(wanted(false, in_container, 0o2001), in_container);
            assert_eq!(wanted(false, in_container, 0o101), in_container);
        }
    }
}
