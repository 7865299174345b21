//! What goes by two names: rules are evaluated by both, and make one alert.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use lanner_engine::{Matching, RulesFile, Ruleset, Settings, load};
use lanner_schema::container::Owner;
use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::{Event, Needs, param_index};
use lanner_schema::record::{Wire, WireBuilder};
use lanner_schema::view::{EventView, NameSet, Names, NoState, Outcome, ResolvedPath, SourceId};

const NAME: u8 = param_index(Event::Openat, "name") as u8;
const REAL: u8 = param_index(Event::Openat, "real_name") as u8;

/// Shows `openat(AT_FDCWD, requested, O_RDONLY) = 3` of a file that the kernel has as `real`.
fn open(requested: &str, real: &str, look: &mut dyn FnMut(&EventView<'_>)) {
    let wire = WireBuilder::new()
        .number(3)
        .number(-100)
        .path(requested, "/")
        .number(0)
        .number(0);
    let bytes = wire.build_for(Event::Openat);
    let path = |param, path: &'static str| ResolvedPath {
        param,
        path: path.as_bytes(),
    };
    let (requested, real): (&'static str, &'static str) =
        (requested.to_owned().leak(), real.to_owned().leak());
    let of = |path: &'static str| Descriptor {
        number: 3,
        kind: DescriptorKind::File,
        path: Some(path.as_bytes()),
        raw_path: Some(requested.as_bytes()),
        ..Descriptor::default()
    };
    let (own, other) = (of(requested), of(real));
    let (own_paths, other_paths) = (
        [path(NAME, requested), path(REAL, real)],
        [path(NAME, real), path(REAL, real)],
    );
    look(&EventView {
        event: Event::Openat,
        source: SourceId::SYSCALL,
        number: 1,
        time: 1,
        cpu: 0,
        tid: 7,
        pid: 7,
        uid: 0,
        gid: 0,
        wire: Wire::read(&bytes, Event::Openat.row().params.len()).unwrap(),
        implied_result: None,
        outcome: Outcome::Told,
        io_uring: None,
        paths: &own_paths,
        process: None,
        descriptor: Some(&own),
        names: match requested == real {
            true => Names::Agree,
            false => Names::Requested(NameSet {
                paths: &other_paths,
                descriptor: Some(&other),
            }),
        },
        owner: Owner::Host,
        system: &NoState,
    });
}

fn rules(conditions: &[&str], settings: &Settings) -> Ruleset {
    rules_on("openat", conditions, settings)
}

fn rules_on(event: &str, conditions: &[&str], settings: &Settings) -> Ruleset {
    let rule = |(n, condition): (usize, &&str)| {
        format!(
            "- {{rule: R{n}, desc: d, priority: INFO, condition: 'evt.type = {event} and {condition}', \
             output: '%fd.name %fd.directory %fs.path.name %evt.arg.name %evt.abspath %fd.nameraw'}}\n"
        )
    };
    let file = RulesFile {
        name: "test.yaml".into(),
        text: conditions.iter().enumerate().map(rule).collect(),
    };
    let loaded = load(&[file], settings);
    loaded
        .ruleset
        .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// The alerts: rule and text.
fn alerts(ruleset: &mut Ruleset, requested: &str, real: &str) -> Vec<(String, String)> {
    let mut alerts = Vec::new();
    open(requested, real, &mut |view| {
        ruleset.evaluate(view, &mut |alert| {
            alerts.push((alert.rule.to_string(), alert.message))
        });
    });
    alerts
}

fn all() -> Settings {
    Settings {
        rule_matching: Matching::All,
        ..Settings::default()
    }
}

#[test]
fn one_alert_prints_the_names_by_which_the_rule_matched() {
    let conditions = [
        "fd.name = /etc/shadow",
        "fd.name = /tmp/link",
        "fd.name startswith /",
        "fd.name = /tmp/link and fd.filename = shadow",
        "evt.arg.name = /etc/shadow and fd.directory = /etc and fs.path.name = /etc/shadow",
        "evt.abspath = /etc/shadow and evt.rawarg.name = /tmp/link and fd.nameraw = /tmp/link",
    ];
    let mut ruleset = rules(&conditions, &all());
    let real = "/etc/shadow /etc /etc/shadow /etc/shadow /etc/shadow /tmp/link";
    let requested = "/tmp/link /tmp /tmp/link /tmp/link /tmp/link /tmp/link";
    let expected = [
        ("R0", real),
        ("R1", requested),
        ("R2", requested),
        ("R4", real),
        ("R5", real),
    ];
    let expected = expected.map(|(rule, text)| (rule.to_owned(), text.to_owned()));
    assert_eq!(
        alerts(&mut ruleset, "/tmp/link", "/etc/shadow"),
        expected,
        "no set mixes both"
    );
    assert_eq!(alerts(&mut ruleset, "/tmp/link", "/tmp/link").len(), 2);
    let matches: Vec<u64> = ruleset.rules().map(|rule| rule.matches()).collect();
    assert_eq!(matches, [1, 2, 2, 0, 1, 1]);
}

#[test]
fn the_first_rule_that_matches_by_either_set_makes_the_alert() {
    let first = |conditions: &[&str]| {
        let mut ruleset = rules(conditions, &Settings::default());
        let alerts = alerts(&mut ruleset, "/tmp/link", "/etc/shadow");
        assert!(alerts.len() <= 1);
        alerts
            .into_iter()
            .next()
            .map(|(rule, text)| format!("{rule} {}", text.split(' ').next().unwrap()))
    };
    let (link, shadow) = ("fd.name = /tmp/link", "fd.name = /etc/shadow");
    assert_eq!(
        first(&["fd.name = /x", shadow, link]).as_deref(),
        Some("R1 /etc/shadow")
    );
    assert_eq!(
        first(&["fd.name = /x", link, shadow]).as_deref(),
        Some("R1 /tmp/link")
    );
    assert_eq!(
        first(&["fd.name startswith /", shadow]).as_deref(),
        Some("R0 /tmp/link")
    );
    assert_eq!(first(&["fd.name = /x"]), None);
}

#[test]
fn a_rule_can_name_the_disagreement() {
    let differ =
        "lanner.names_differ = true and lanner.real_name = /etc/shadow and lanner.requested_name = /tmp/link";
    let agree = "lanner.names_differ = false and lanner.real_name = val(lanner.requested_name)";
    let mut ruleset = rules(&[differ, agree], &all());
    let found = |alerts: Vec<(String, String)>| alerts.into_iter().map(|(rule, _)| rule).collect::<Vec<_>>();
    assert_eq!(found(alerts(&mut ruleset, "/tmp/link", "/etc/shadow")), ["R0"]);
    assert_eq!(found(alerts(&mut ruleset, "/etc/shadow", "/etc/shadow")), ["R1"]);
}

/// What the paths of a call led to is not looked up of programs that all rules about them leave out.
#[test]
fn programs_that_no_rule_about_names_matches_are_excused() {
    const EVENT: Event = Event::Unlink;
    let excused = |conditions: &[&str]| {
        let needs: Needs = rules_on("unlink", conditions, &all()).needs().clone();
        let looked_up = EVENT.row().looked_up();
        assert_ne!(needs.params[EVENT as usize] & looked_up, 0, "{conditions:?}");
        let excused = needs.excused.get(&(EVENT as u16)).cloned().unwrap_or_default();
        let texts = excused
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        texts.collect::<Vec<_>>()
    };
    let logs = "fs.path.name startswith /var/log/ and not proc.name in (runc, rm)";
    let of_logs = "fs.path.name startswith /var/log/ and not proc.name in (runc, dpkg)";
    assert_eq!(excused(&[logs]), ["rm", "runc"]);
    assert_eq!(excused(&[logs, of_logs]), ["runc"]);
    // They read no name that is looked up, and one that a look-up leaves as it is.
    for asks in ["proc.pid = 1", "fs.path.name endswith /.bash_history"] {
        assert_eq!(excused(&[logs, asks]), ["rm", "runc"], "{asks}");
        assert_eq!(excused(&[asks, logs]), ["rm", "runc"], "{asks}");
    }
    for asks in [
        "fs.path.name = /etc/shadow",
        "evt.arg.path contains shadow and not (proc.name = runc and proc.pid = 1)",
        "lanner.names_differ = true and not proc.name = runc",
        "lanner.real_name = /x",
    ] {
        assert_eq!(excused(&[logs, asks]), [""; 0], "{asks}");
        assert_eq!(excused(&[asks, logs]), [""; 0], "{asks}");
    }
}

#[test]
fn a_key_turns_the_second_evaluation_off_and_nothing_is_read_for_it() {
    let needs = |condition: &str, real_names: bool| {
        let settings = Settings { real_names, ..all() };
        let needs: Needs = rules(&[condition], &settings).needs().clone();
        needs.params[Event::Openat as usize] >> REAL & 1 == 1
    };
    assert!(needs("fd.name = /etc/shadow", true) && !needs("fd.name = /etc/shadow", false));
    assert!(
        !needs("fd.num = 3", true),
        "the names of the output are those that matched"
    );
    assert!(!needs("fd.nameraw = x and evt.rawarg.name = x", true));
    for condition in ["lanner.names_differ = true", "lanner.real_name = /x"] {
        assert!(needs(condition, false), "{condition}");
    }
    for name in [
        "fd.directory",
        "fd.filename",
        "fs.path.name",
        "evt.arg.name",
        "evt.args",
        "evt.abspath",
        "evt.arg.fd",
    ] {
        assert!(needs(&format!("{name} contains x"), true), "{name}");
    }
    let settings = Settings {
        real_names: false,
        ..all()
    };
    let mut off = rules(
        &["fd.name = /etc/shadow", "lanner.names_differ = true"],
        &settings,
    );
    let found: Vec<String> = alerts(&mut off, "/tmp/link", "/etc/shadow")
        .into_iter()
        .map(|(rule, _)| rule)
        .collect();
    assert_eq!(found, ["R1"]);
}
