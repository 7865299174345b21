//! Policies that notify, against those they are made of.

use super::*;

fn events(names: &[&str]) -> EventSet {
    names.iter().map(|name| Event::from_name(name).unwrap()).collect()
}

/// What becomes of a call with no arguments to speak of: the first rule about it, or the default.
fn action<'p>(policy: &'p Policy, name: &str) -> &'p str {
    let mut rules = policy
        .rules
        .iter()
        .filter(|rule| rule.names.iter().any(|n| n == name));
    rules
        .next()
        .map_or(policy.default_action.as_str(), |rule| &rule.action)
}

#[test]
fn what_was_allowed_is_shown_and_what_was_refused_is_shown_and_stays_refused() {
    let before = Policy::runtime_default(["CAP_NET_RAW"]);
    let made = before
        .clone()
        .notifying(events(&["connect", "setuid", "mount", "setns"]), LISTENER);
    assert_eq!(made.shown, events(&["connect", "setuid"]));
    assert_eq!(made.refused, events(&["mount", "setns"]));
    assert_eq!(made.unseen, EventSet::NONE);
    for name in ["connect", "setuid", "setuid32", "mount", "setns", "socketcall"] {
        assert_eq!(action(&made.policy, name), NOTIFY, "{name}");
    }
    assert_eq!(made.policy.listener_path, LISTENER);
    let metadata = Metadata::read(&made.policy.listener_metadata).unwrap();
    assert_eq!(metadata.refused, made.refused);
    // Nothing else has changed.
    for rule in &before.rules {
        for name in rule
            .names
            .iter()
            .filter(|name| action(&made.policy, name) != NOTIFY)
        {
            assert_eq!(action(&made.policy, name), action(&before, name), "{name}");
        }
    }
    assert_eq!(action(&made.policy, "unshare"), ERRNO);
    assert_eq!(action(&made.policy, "accept"), ALLOW);
}

#[test]
fn conditions_stay_with_the_calls_they_are_on() {
    let before = Policy::runtime_default([]);
    let made = before
        .clone()
        .notifying(events(&["socket", "personality"]), LISTENER);
    let of = |policy: &Policy, name: &str| -> Vec<Vec<Arg>> {
        let rules = policy
            .rules
            .iter()
            .filter(|rule| rule.names.iter().any(|n| n == name));
        rules.map(|rule| rule.args.clone()).collect()
    };
    for name in ["socket", "personality", "clone"] {
        assert_eq!(of(&made.policy, name), of(&before, name), "{name}");
    }
    assert_eq!(action(&made.policy, "socket"), NOTIFY);
    assert_eq!(made.shown, events(&["socket", "personality"]));
}

#[test]
fn a_capability_makes_calls_allowed_that_are_refused_without_it() {
    let with = Policy::runtime_default(["CAP_SYS_ADMIN"]).notifying(events(&["mount", "unshare"]), LISTENER);
    assert_eq!(
        (with.shown, with.refused),
        (events(&["mount", "unshare"]), EventSet::NONE)
    );
    let without = Policy::runtime_default([]).notifying(events(&["mount", "unshare"]), LISTENER);
    assert_eq!(
        (without.shown, without.refused),
        (EventSet::NONE, events(&["mount", "unshare"]))
    );
}

#[test]
fn a_container_without_a_policy_is_refused_nothing() {
    let made = Policy::unconfined().notifying(events(&["connect", "mount"]), LISTENER);
    assert_eq!(
        (made.shown, made.refused),
        (events(&["connect", "mount"]), EventSet::NONE)
    );
    assert_eq!(made.policy.default_action, ALLOW);
    assert_eq!(action(&made.policy, "socketcall"), NOTIFY);
    assert_eq!(action(&made.policy, "openat"), ALLOW);
}

#[test]
fn another_listener_and_other_refusals_are_left_alone() {
    let other = Policy {
        listener_path: "/run/other.sock".into(),
        ..Policy::runtime_default([])
    };
    let made = other.clone().notifying(events(&["connect"]), LISTENER);
    assert_eq!((made.policy, made.unseen), (other, events(&["connect"])));
    let strict = Policy {
        default_errno: Some(38),
        ..Policy::runtime_default([])
    };
    let made = strict.notifying(events(&["mount", "connect"]), LISTENER);
    assert_eq!(
        (made.shown, made.refused, made.unseen),
        (events(&["connect"]), EventSet::NONE, events(&["mount"]))
    );
    assert_eq!(action(&made.policy, "mount"), ERRNO);
}

#[test]
fn what_the_runtime_needs_and_what_others_see_is_never_notified_of() {
    let made = Policy::unconfined().notifying(EventSet::all(), LISTENER);
    for name in [
        "write", "read", "sendmsg", "futex", "mmap", "openat", "execve", "clone",
    ] {
        assert_eq!(action(&made.policy, name), ALLOW, "{name}");
    }
    assert_eq!(action(&made.policy, "ptrace"), NOTIFY);
    // Every event with this answer is one.
    assert!(
        made.shown
            .iter()
            .all(|event| event.row().is_call() && why_not(event).is_none())
    );
    for name in KEPT {
        let event = Event::from_name(name).or_else(|| names_of_event(name));
        assert!(event.is_some(), "no event is called {name}");
    }
}

fn names_of_event(name: &str) -> Option<Event> {
    let mut rows = EVENTS.iter().filter(|row| row.is_call());
    rows.find(|row| names_of(row.event).iter().any(|n| n == name))
        .map(|row| row.event)
}

#[test]
fn metadata_is_read_as_it_is_written() {
    for refused in [
        EventSet::NONE,
        events(&["mount"]),
        events(&["mount", "setns", "bpf"]),
    ] {
        let metadata = Metadata { refused };
        assert_eq!(Metadata::read(&metadata.to_string()), Some(metadata));
    }
    for wrong in [
        "",
        "lanner",
        "lanner 1 refused=mount,sudo",
        "lanner 2 refused=mount",
    ] {
        assert_eq!(Metadata::read(wrong), None, "{wrong}");
    }
}

#[test]
fn refused_calls_fail_and_all_others_are_done() {
    let metadata = Metadata {
        refused: events(&["mount"]),
    };
    assert_eq!(metadata.answer(AUDIT_ARCH_X86_64, 165), Answer::Fail(1));
    assert_eq!(
        metadata.answer(AUDIT_ARCH_X86_64, 0x4000_0000 | 165),
        Answer::Fail(1)
    );
    assert_eq!(metadata.answer(AUDIT_ARCH_I386, 21), Answer::Fail(1));
    assert_eq!(metadata.answer(AUDIT_ARCH_X86_64, 42), Answer::Continue);
    assert_eq!(metadata.answer(AUDIT_ARCH_I386, SOCKETCALL), Answer::Continue);
    // process_vm_writev of x32: it could be the one to refuse.
    assert_eq!(
        metadata.answer(AUDIT_ARCH_X86_64, 0x4000_0000 | 540),
        Answer::Fail(38)
    );
    assert_eq!(
        Metadata::default().answer(AUDIT_ARCH_X86_64, 0x4000_0000 | 540),
        Answer::Continue
    );
}

/// The numbers of the kernel's headers, by name.
fn numbers(header: &str) -> Vec<(String, u16)> {
    let text = std::fs::read_to_string(header).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("#define __NR_"));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    pairs
        .filter_map(|(name, number)| Some((name.to_owned(), number.trim().parse().ok()?)))
        .collect()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn every_call_has_the_name_that_libseccomp_takes_from_the_kernel() {
    for (header, arch) in [
        ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", AUDIT_ARCH_X86_64),
        ("/usr/include/x86_64-linux-gnu/asm/unistd_32.h", AUDIT_ARCH_I386),
    ] {
        let mut seen = 0;
        for (name, number) in numbers(header) {
            let Some(event) = event_of(arch, number.into()) else {
                continue;
            };
            if why_not(event).is_some() {
                continue;
            }
            assert!(
                names_of(event).contains(&name),
                "{name} is {}: {:?}",
                event.name(),
                names_of(event)
            );
            seen += 1;
        }
        assert!(seen > 200, "{header}: {seen}");
    }
    assert_eq!(event_of(AUDIT_ARCH_X86_64, 0x4000_0000 | 165), Some(Event::Mount));
    assert_eq!(event_of(AUDIT_ARCH_X86_64, -1), None);
    assert_eq!(event_of(1, 165), None);
}
