//! Verdicts on small rules, one kind of reason each.

use std::sync::OnceLock;

use lanner_schema::tier::{Tier, Why};

use super::*;
use crate::field::{ArgForm, Extract, Field, FieldClass, Flags};
use crate::rules::{RulesFile, load_for};
use crate::settings::Settings;
use crate::source::{EventSource, SYSCALL};
use crate::value::FieldType;

/// A field that no event fills.
const UNFILLED: &str = "container.unfilled";

/// The source `syscall` with that field: every other has a value.
fn source() -> &'static EventSource {
    static SOURCE: OnceLock<EventSource> = OnceLock::new();
    static CLASS: FieldClass = FieldClass {
        name: "unfilled",
        scope: "",
        doc: "",
        plugin: "",
        fields: &[Field {
            name: UNFILLED,
            ty: FieldType::CharBuf,
            arg: ArgForm::None,
            list: false,
            flags: Flags::NONE,
            doc: "",
            extract: Extract::Unfilled,
        }],
    };
    SOURCE.get_or_init(|| {
        let classes: Vec<FieldClass> = SYSCALL.classes().iter().copied().chain([CLASS]).collect();
        EventSource::new("syscall", "", classes.leak(), SYSCALL.event_names(), |event| {
            SYSCALL.events().contains(event)
        })
    })
}

/// What a tier sees of a rule with this condition and this output.
#[track_caller]
fn covered(condition: &str, output: &str, tier: Tier) -> Coverage {
    covered_as(condition, output, &|rule| rule.coverage(tier))
}

#[track_caller]
fn covered_as(condition: &str, output: &str, of: &dyn Fn(&Rule) -> Coverage) -> Coverage {
    let text = format!(
        "- rule: r\n  desc: d\n  condition: >\n    {condition}\n  output: >-\n    {output}\n  priority: INFO\n"
    );
    let file = RulesFile {
        name: "rules.yaml".into(),
        text: text.replace("UNFILLED", UNFILLED),
    };
    let loaded = load_for(&[source()], &[file], &Settings::default());
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let ruleset = loaded.ruleset.unwrap();
    of(ruleset.rules().next().unwrap())
}

const SUCCESSES: Captured = Captured {
    failed: false,
    io_uring: true,
    left_out: EventSet::NONE,
    sources: SourceSet::ALL,
};

#[test]
fn rules_about_calls_that_fail_are_blind_without_them() {
    let of = |condition: &str| covered_as(condition, "x", &|rule| rule.coverage_of(Tier::SysExit, SUCCESSES));
    for condition in [
        "evt.type = setuid and evt.res != SUCCESS",
        "evt.type = setuid and evt.res in (EPERM, EACCES)",
        "evt.type = setuid and not evt.res = SUCCESS",
        "evt.type = setuid and evt.failed = true",
        "evt.type = setuid and evt.rawres < 0",
        "evt.type = setuid and not evt.rawres >= 0",
        "evt.type = setuid and evt.count.error = 1",
        "evt.type = openat and fd.num = -1 and evt.res startswith E",
        "evt.type = setuid and evt.rawres = -1 and proc.name = su",
    ] {
        assert_ne!(verdict(condition), Verdict::Blind, "{condition}");
        let coverage = of(condition);
        assert_eq!(coverage.verdict, Verdict::Blind, "{condition}");
        assert!(
            coverage.reasons[0].why.contains("drop_failed_exit"),
            "{coverage:?}"
        );
    }
    for condition in [
        "evt.type = setuid",
        "evt.type = setuid and (evt.rawres >= 0 or evt.res = EPERM)",
        "evt.type = setuid and evt.rawres in (-1, 0)",
    ] {
        let coverage = of(condition);
        assert_eq!(coverage.verdict, Verdict::Partial, "{condition}");
        assert!(
            coverage.reasons[0].why.contains("drop_failed_exit"),
            "{coverage:?}"
        );
    }
    for condition in [
        "evt.type = setuid and evt.res = SUCCESS",
        "evt.type = setuid and evt.rawres in (0, 7)",
        "evt.type = setuid and evt.rawres > 5",
        "evt.type = setuid and not evt.failed = true",
        "evt.type = procexit",
    ] {
        assert_eq!(of(condition).verdict, Verdict::Exact, "{condition}");
    }
}

#[track_caller]
fn verdict(condition: &str) -> Verdict {
    covered(condition, "x", Tier::SysExit).verdict
}

fn field(name: &str, place: Place, why: Why) -> Reason {
    Reason {
        subject: Subject::Field(name.replace("UNFILLED", UNFILLED)),
        place,
        is_missing: why == Why::NotRead,
        why: why.text().into(),
        on: Vec::new(),
    }
}

fn event(name: &str, why: Why) -> Reason {
    Reason {
        subject: Subject::Event(name.into()),
        place: Place::Condition,
        is_missing: matches!(
            why,
            Why::NotCaptured
                | Why::NoReturn
                | Why::ToInterrupted
                | Why::IsProcexit
                | Why::IsSignaldeliver
                | Why::Elsewhere
                | Why::LeftOut
                | Why::NotInForce
                | Why::SuccessOnly
        ),
        why: why.text().into(),
        on: Vec::new(),
    }
}

#[test]
fn what_the_kernel_says_is_exact() {
    let coverage = covered(
        "evt.type in (execve, execveat) and proc.name = nc and container.id != host",
        "%proc.cmdline %user.name %evt.res",
        Tier::SysExit,
    );
    assert_eq!(coverage.verdict, Verdict::Exact);
    assert_eq!(coverage.reasons, []);
    assert_eq!(coverage.missing(), None);
}

#[test]
fn an_event_that_is_not_captured_blinds_or_leaves_the_others() {
    let only = covered("evt.type = drop", "x", Tier::SysExit);
    assert_eq!(only.verdict, Verdict::Blind);
    assert_eq!(only.reasons, [event("drop", Why::NotCaptured)]);
    let one_of = covered("evt.type in (execve, drop)", "x", Tier::SysExit);
    assert_eq!(one_of.verdict, Verdict::Partial);
    assert_eq!(one_of.reasons, only.reasons);
    assert_eq!(one_of.missing().unwrap(), "events not captured: drop");
    let by_field = covered("evt.type.is.drop = 1", "x", Tier::SysExit);
    assert!(
        by_field.reasons.contains(&event("drop", Why::NotCaptured)),
        "{by_field:?}"
    );
}

#[test]
fn a_call_by_number_is_seen_and_one_that_cannot_be_is_said_why() {
    let exact = covered(
        "evt.type = getpid and evt.rawres < 0 and evt.arg.arg1 = 3",
        "%evt.args %evt.res",
        Tier::SysExit,
    );
    assert_eq!((exact.verdict, &*exact.reasons), (Verdict::Exact, &[][..]));
    for (name, why) in [
        ("exit_group", Why::NoReturn),
        ("rt_sigreturn", Why::ToInterrupted),
        ("sched_process_exit", Why::IsProcexit),
        ("signal_deliver", Why::IsSignaldeliver),
        ("s390_sthyi", Why::Elsewhere),
    ] {
        let blind = covered(&format!("evt.type = {name}"), "x", Tier::SysExit);
        assert_eq!(
            (blind.verdict, &*blind.reasons),
            (Verdict::Blind, &[event(name, why)][..])
        );
    }
}

#[test]
fn a_missing_field_blinds_a_conjunction_and_weakens_a_choice() {
    let blind = covered("evt.type = setuid and UNFILLED = x", "x", Tier::SysExit);
    assert_eq!(blind.verdict, Verdict::Blind);
    let reason = field("UNFILLED", Place::Condition, Why::NotRead);
    assert_eq!(&*blind.reasons, std::slice::from_ref(&reason));
    let choice = covered(
        "evt.type = setuid and (UNFILLED = x or proc.name = su)",
        "x",
        Tier::SysExit,
    );
    assert_eq!(
        (choice.verdict, &*choice.reasons),
        (Verdict::Partial, &[reason][..])
    );
    assert_eq!(
        choice.missing().unwrap(),
        format!("condition fields without value: {UNFILLED}")
    );
}

#[test]
fn a_missing_field_under_not_makes_a_rule_say_more() {
    let negated = covered("evt.type = setuid and not UNFILLED = x", "x", Tier::SysExit);
    assert_eq!(negated.verdict, Verdict::Partial);
    assert_eq!(
        verdict("evt.type = setuid and not UNFILLED exists"),
        Verdict::Partial
    );
    // Without BPF what is missing is not known, and neither is its opposite.
    let unknown = covered("evt.type = setuid and not UNFILLED = x", "x", Tier::None);
    assert_eq!(unknown.verdict, Verdict::Blind);
}

#[test]
fn transformers_and_other_sides_are_looked_into() {
    let blind = |condition: &str| assert_eq!(verdict(condition), Verdict::Blind, "{condition}");
    blind("evt.type = setuid and toupper(UNFILLED) = X");
    blind("evt.type = setuid and proc.name = val(UNFILLED)");
    blind("evt.type = setuid and concat(proc.name, UNFILLED) = x");
}

#[test]
fn a_branch_that_the_event_closes_is_no_loss() {
    assert_eq!(
        verdict("evt.type = setuid and not (evt.num = 0 and UNFILLED = x)"),
        Verdict::Exact
    );
    assert_eq!(
        verdict(
            "(evt.type = setuid and proc.name = su) or (evt.type = ptrace and evt.type = setns and UNFILLED = x)"
        ),
        Verdict::Exact
    );
    // A file has no port, here and in Falco.
    assert_eq!(verdict("evt.type = setuid and not fd.sport = 22"), Verdict::Exact);
}

#[test]
fn a_missing_field_of_some_events_is_named_with_them() {
    let coverage = covered(
        "evt.type in (openat, chmod) and evt.arg.mode = 0",
        "x",
        Tier::None,
    );
    let missing: Vec<&Reason> = coverage.reasons.iter().filter(|r| r.is_missing).collect();
    assert_eq!(missing.len(), 1, "{coverage:?}");
    assert_eq!(missing[0].on, ["openat"]);
}

#[test]
fn a_claimed_name_is_partial_and_exact_where_the_file_is_reached() {
    let condition = "evt.type = open and fd.name = /etc/shadow";
    let claimed = covered(condition, "x", Tier::SysExit);
    assert_eq!(claimed.verdict, Verdict::Partial);
    assert_eq!(
        claimed.reasons,
        [field("fd.name", Place::Condition, Why::NameAtReturn)]
    );
    assert_eq!(claimed.missing(), None, "it is there");
    assert_eq!(covered(condition, "x", Tier::Trampoline), claimed);
    let without_bpf = covered(condition, "x", Tier::None);
    assert_eq!(
        without_bpf.reasons,
        [
            event("open", Why::SeenByFanotify),
            field("fd.name", Place::Condition, Why::NameLater)
        ]
    );
}

#[test]
fn an_output_alone_makes_a_rule_partial_at_worst() {
    let coverage = covered("evt.type = setuid", "%UNFILLED %proc.name", Tier::SysExit);
    assert_eq!(coverage.verdict, Verdict::Partial);
    assert_eq!(coverage.reasons, [field("UNFILLED", Place::Output, Why::NotRead)]);
    assert_eq!(
        coverage.missing().unwrap(),
        format!("output fields without value: {UNFILLED}")
    );
}

#[test]
fn types_that_are_left_out_are_not_seen() {
    let on = |condition: &str| {
        let captured = Captured {
            left_out: EventSet::from_iter([Event::Setuid]),
            ..Captured::default()
        };
        covered_as(condition, "x", &|rule| rule.coverage_of(Tier::SysExit, captured))
    };
    let left_out = [event("setuid", Why::LeftOut)];
    let only = on("evt.type = setuid");
    assert_eq!((only.verdict, &only.reasons[..]), (Verdict::Blind, &left_out[..]));
    let among_others = on("evt.type in (setuid, setgid)");
    assert_eq!(
        (among_others.verdict, &among_others.reasons[..]),
        (Verdict::Partial, &left_out[..])
    );
    let never_there = on("evt.type in (setuid, setgid) and evt.type = setgid");
    assert_eq!(never_there.verdict, Verdict::Exact);
}

#[test]
fn without_who_tells_of_processes_what_is_known_of_them_says_so() {
    let with = |sources: &[Source], tier| {
        let captured = Captured {
            sources: sources.iter().copied().collect(),
            ..Captured::default()
        };
        let coverage = covered_as("evt.type = openat and proc.name = cat", "%user.uid", &|rule| {
            rule.coverage_of(tier, captured)
        });
        assert_eq!(coverage.verdict, Verdict::Partial);
        let reasons = coverage.reasons.into_iter();
        let fields = reasons.filter(|reason| matches!(reason.subject, Subject::Field(_)));
        fields.map(|reason| reason.why).collect::<Vec<_>>()
    };
    let files = [Source::Fanotify];
    assert_eq!(with(&files, Tier::None), [Why::Unheard.text(); 2]);
    assert_eq!(with(&Source::ALL, Tier::None), [Why::FromProc.text(); 2]);
    assert_eq!(with(&files, Tier::Raw), [Why::FromProc.text(); 2]);
}

#[test]
fn what_io_uring_can_do_as_well_is_said() {
    let on = |condition: &str, io_uring, tier| {
        let captured = Captured {
            io_uring,
            ..Captured::default()
        };
        covered_as(condition, "x", &|rule| rule.coverage_of(tier, captured))
    };
    for tier in [Tier::Trampoline, Tier::SysExit] {
        let here = on("evt.type = socket", true, tier);
        assert_eq!((here.verdict, here.reasons), (Verdict::Exact, vec![]));
        let elsewhere = on("evt.type = socket", false, tier);
        assert_eq!(elsewhere.verdict, Verdict::Partial);
        assert_eq!(elsewhere.reasons, [event("socket", Why::NotByIoUring)]);
        assert_eq!(on("evt.type = setuid", false, tier).verdict, Verdict::Exact);
    }
    let raw = on("evt.type = socket", true, Tier::Raw);
    assert_eq!(raw.reasons, [event("socket", Why::NotByIoUring)]);
    let without_bpf = on("evt.type = openat", false, Tier::None);
    assert_eq!(without_bpf.reasons, [event("openat", Why::SeenByFanotify)]);
}

#[test]
fn a_condition_on_any_type_of_event_says_how_few_are_captured() {
    let coverage = covered("proc.name = nc", "x", Tier::SysExit);
    assert_eq!(coverage.verdict, Verdict::Partial);
    assert_eq!(coverage.reasons[0].subject, Subject::Condition);
    assert!(
        coverage.reasons[0].why.contains("types of events"),
        "{coverage:?}"
    );
}

#[test]
fn a_condition_that_is_never_true_is_blind() {
    for condition in ["evt.num = 0", "evt.type = setuid and evt.num = 0"] {
        let coverage = covered(condition, "x", Tier::SysExit);
        assert_eq!(coverage.verdict, Verdict::Blind, "{condition}");
        assert_eq!(coverage.reasons[0].subject, Subject::Condition, "{condition}");
    }
}

#[test]
fn a_field_without_value_on_every_event_is_named() {
    for (condition, name) in [
        ("evt.type = unlinkat and fd.name contains x", "fd.name"),
        (
            "evt.type in (openat, open) and evt.arg.oldpath = x",
            "evt.arg.oldpath",
        ),
    ] {
        let coverage = covered(condition, "x", Tier::SysExit);
        assert_eq!(coverage.verdict, Verdict::Blind, "{condition}");
        let subjects: Vec<&Subject> = coverage.reasons.iter().map(|reason| &reason.subject).collect();
        assert_eq!(subjects, [&Subject::Field(name.into())], "{condition}");
    }
}

#[test]
fn events_of_containers_have_no_thread_to_ask_about() {
    for condition in [
        "evt.type = container and proc.name = nc",
        "evt.type = container_removed and user.name != root and container.image contains x",
    ] {
        for tier in Tier::ALL {
            let coverage = covered(condition, "x", tier);
            assert_eq!(coverage.verdict, Verdict::Blind, "{condition} {tier:?}");
            let subject = &coverage.reasons[0].subject;
            assert!(
                matches!(subject, Subject::Field(name) if name == "proc.name" || name == "user.name"),
                "{coverage:?}"
            );
        }
    }
    // It can match all the same.
    for condition in [
        "evt.type = container and (proc.name = nc or container.name = x)",
        "evt.type = container and not proc.name = nc",
    ] {
        let coverage = covered(condition, "x", Tier::SysExit);
        assert_eq!(coverage.verdict, Verdict::Exact, "{condition}");
    }
}

#[test]
fn events_of_containers_are_exact_in_every_tier() {
    for tier in Tier::ALL {
        let condition = "evt.type = container and container.image contains x and evt.arg.data contains y";
        let coverage = covered(
            condition,
            "%container.id %evt.asynctype %k8s.pod.name %container.mounts",
            tier,
        );
        assert_eq!(
            (coverage.verdict, &*coverage.reasons),
            (Verdict::Exact, &[][..]),
            "{tier:?}"
        );
        assert_eq!(
            covered("evt.type = container_removed", "x", tier).verdict,
            Verdict::Exact
        );
    }
}

#[test]
fn without_bpf_it_is_as_much_as_the_sources_that_are_used_see() {
    let on = |condition: &str, sources: &[Source]| {
        let captured = Captured {
            sources: sources.iter().copied().collect(),
            ..Captured::default()
        };
        covered_as(condition, "x", &|rule| rule.coverage_of(Tier::None, captured))
    };
    let (fanotify, connector, seccomp) = (Source::Fanotify, Source::Connector, Source::Seccomp);
    for (condition, sources, expected) in [
        ("evt.type = execve", &[connector][..], Verdict::Partial),
        ("evt.type = execve", &[fanotify, seccomp], Verdict::Blind),
        ("evt.type in (execve, unlink)", &[fanotify], Verdict::Partial),
        (
            "evt.type = unlink and fs.path.name = /x",
            &[fanotify],
            Verdict::Partial,
        ),
        // Only what succeeds is seen.
        (
            "evt.type = openat and evt.failed = true",
            &[fanotify],
            Verdict::Blind,
        ),
        ("evt.type = openat and fd.num >= 0", &[fanotify], Verdict::Partial),
        (
            "evt.type = openat and evt.arg.flags contains O_TRUNC",
            &[fanotify],
            Verdict::Blind,
        ),
        // A file that is open tells of others.
        (
            "evt.type = openat and evt.arg.flags contains O_CREAT",
            &[fanotify],
            Verdict::Partial,
        ),
        (
            "evt.type = openat and not evt.arg.flags contains O_CREAT",
            &[fanotify],
            Verdict::Blind,
        ),
        ("evt.type = sendmsg", &[seccomp], Verdict::Blind),
        (
            "evt.type = openat and evt.is_open_write = true",
            &[fanotify],
            Verdict::Partial,
        ),
        (
            "evt.type = openat and evt.is_open_create = true",
            &[fanotify],
            Verdict::Partial,
        ),
        // What was passed is not.
        (
            "evt.type = openat and fd.nameraw contains ..",
            &[fanotify],
            Verdict::Blind,
        ),
        (
            "evt.type = connect and fd.sport = 22",
            &[seccomp],
            Verdict::Partial,
        ),
        (
            "evt.type = connect and fd.sport = 22",
            &[fanotify, connector],
            Verdict::Blind,
        ),
        (
            "evt.type = connect and evt.failed = true",
            &[seccomp],
            Verdict::Partial,
        ),
        (
            "evt.type = connect and fd.connected = true",
            &[seccomp],
            Verdict::Blind,
        ),
        ("evt.type = accept and fd.sport = 22", &[seccomp], Verdict::Blind),
    ] {
        let covered = on(condition, sources);
        assert_eq!(
            covered.verdict, expected,
            "{condition} {sources:?}: {:?}",
            covered.reasons
        );
    }
    let passed = on("evt.type = openat and fd.nameraw contains ..", &[fanotify]);
    assert_eq!(
        passed.missing().unwrap(),
        "condition fields without value: fd.nameraw"
    );
    let failed = on("evt.type = openat and evt.failed = true", &[fanotify]);
    assert_eq!(failed.reasons, [event("openat", Why::SuccessOnly)]);
    let unused = on("evt.type = connect", &[connector]);
    assert_eq!(unused.reasons, [event("connect", Why::NotInForce)]);
}
