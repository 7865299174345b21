//! Plans for hosts that are made up, but for one.

use lanner_schema::call_class::CallClass;

use super::*;
use crate::host::{SourceTrial, Trial, Trials};
use crate::kernel_types::{Function, KernelTypes, SCHEDULE_TAIL};
use nix::errno::Errno;

fn host() -> Host {
    Host {
        kernel: "6.1.0".into(),
        btf: true,
        missing_capabilities: vec![],
        lacking: vec![],
        trials: Trials {
            trampoline: Trial::NotLoaded(Errno::EPERM),
            tracepoint: Trial::Works,
            raw_tracepoint: Trial::Works,
            iterator: Trial::Works,
        },
        sources: Vec::new(),
        types: KernelTypes::default(),
        cpus: 2,
        io_uring: None,
        cgroups: None,
    }
}

/// A host that allows trampolines, with the functions of these calls.
fn generous(calls: &[&str]) -> Host {
    let mut host = host();
    host.trials.trampoline = Trial::Works;
    let function = Function { id: 1, prototype: 1 };
    let prefix = match cfg!(target_arch = "aarch64") {
        true => "__arm64_sys_",
        false => "__x64_sys_",
    };
    host.types.calls = calls
        .iter()
        .map(|name| (format!("{prefix}{name}"), function))
        .collect();
    let others = [SCHEDULE_TAIL, SECURE_COMPUTING];
    host.types.functions = others.into_iter().map(|name| (name, function)).collect();
    host.types.symbols = std::iter::once(format!("{prefix}getpid")).collect();
    host
}

#[test]
fn what_calls_work_on_is_noted_where_a_rule_reads_it_and_the_kernel_has_a_place_for_it() {
    let planned = |host: &Host, tier, event: Event, param: &str| {
        let mut needs = Needs {
            events: [event].into_iter().collect(),
            ..Needs::default()
        };
        needs.params[event as usize] = 1 << event.row().param(param).unwrap();
        let config = Config {
            tier,
            ..Config::default()
        };
        let plan = plan(host, &needs, &config).unwrap();
        let hooks = plan.path_hooks.as_ref();
        let hooks = hooks.map(|hooks| hooks.iter().map(|hook| hook.program).collect::<Vec<_>>());
        (hooks, plan.params_in_record(event.row()) != 0)
    };
    let calls = ["unlinkat", "chdir", "fchdir", "chroot", "pivot_root", "setns"];
    let mut host = generous(&calls);
    let function = Function { id: 1, prototype: 1 };
    for hook in ["security_path_unlink", "security_path_rename"] {
        host.types.functions.insert(hook, function);
    }
    let of_unlinkat = |host: &Host, tier, param| planned(host, tier, Event::Unlinkat, param);
    let (none, without) = ((None, false), (Some(vec![]), true));
    assert_eq!(
        of_unlinkat(&host, Tier::Trampoline, "real_name"),
        none,
        "no place for notes"
    );
    host.types.functions.insert(TASK_REGISTERS, function);
    let hooks = of_unlinkat(&host, Tier::Trampoline, "real_name");
    assert_eq!(
        hooks,
        (Some(vec!["path_unlink"]), true),
        "rmdir's function is not there"
    );
    assert_eq!(of_unlinkat(&host, Tier::Trampoline, "dirfd_object"), without);
    assert_eq!(of_unlinkat(&host, Tier::SysExit, "real_name"), none);
    assert_eq!(of_unlinkat(&host, Tier::SysExit, "dirfd_object"), (None, true));
}

#[test]
fn trampolines_are_taken_where_they_are_asked_for_and_every_call_has_a_function_that_allows_them() {
    let planned = |host: &Host, tier, event| {
        let needs = Needs {
            events: [event].into_iter().collect(),
            ..Needs::default()
        };
        let config = Config {
            tier,
            ..Config::default()
        };
        plan(host, &needs, &config).map(|plan| (plan.tier, plan.reason, plan.ends.len()))
    };
    let free = generous(&["openat", "chdir"]);
    let (tier, reason, functions) = planned(&free, Tier::Trampoline, Event::Openat).unwrap();
    assert_eq!((tier, functions), (Tier::Trampoline, 2), "{reason}");
    let (tier, reason, functions) = planned(&free, Tier::Auto, Event::Openat).unwrap();
    assert_eq!((tier, functions), (Tier::SysExit, 0));
    assert!(reason.contains("only where engine.tier asks for it"), "{reason}");
    let (tier, reason, functions) = planned(&free, Tier::Auto, Event::Getpid).unwrap();
    assert_eq!((tier, functions), (Tier::SysExit, 0));
    assert!(
        reason.contains("no type information for the functions of getpid"),
        "{reason}"
    );
    let (tier, reason, _) = planned(&free, Tier::SysExit, Event::Openat).unwrap();
    assert_eq!(
        (tier, reason.as_str()),
        (Tier::SysExit, "engine.tier asks for it")
    );
    let (tier, reason, functions) = planned(&free, Tier::PreferTrampoline, Event::Openat).unwrap();
    assert_eq!((tier, functions), (Tier::Trampoline, 2), "{reason}");
    for (host, event, why) in [
        (
            &free,
            Event::Getpid,
            "no type information for the functions of getpid",
        ),
        (
            &host(),
            Event::Openat,
            "not trampoline: refused by the kernel: EPERM",
        ),
    ] {
        let (tier, reason, _) = planned(host, Tier::PreferTrampoline, event).unwrap();
        assert_eq!(tier, Tier::SysExit);
        assert!(reason.contains(why), "{reason}");
    }
    let error = planned(&host(), Tier::Trampoline, Event::Openat).unwrap_err();
    assert!(error.to_string().contains("EPERM when it is loaded"), "{error}");
    let (tier, reason, _) = planned(&host(), Tier::Auto, Event::Openat).unwrap();
    assert_eq!(tier, Tier::SysExit);
    assert!(
        reason.contains("not trampoline: refused by the kernel: EPERM"),
        "{reason}"
    );
}

#[test]
fn a_tier_that_is_preferred_has_another_to_go_on_in_and_one_that_is_asked_for_has_none() {
    let planned = |tier| {
        let config = Config {
            tier,
            drop_failed: true,
            ..Config::default()
        };
        plan(&generous(&[]), &Needs::default(), &config).unwrap()
    };
    assert_eq!(planned(Tier::Trampoline).instead, None);
    assert_eq!(planned(Tier::Auto).instead, None);
    let preferred = planned(Tier::PreferTrampoline);
    assert!(
        preferred
            .to_string()
            .contains("tier sys_exit if the kernel refuses"),
        "{preferred}"
    );
    let instead = *preferred.instead.unwrap();
    assert!(instead.drop_failed && instead.ends.is_empty());
    let went_on = instead.in_place_of(Tier::Trampoline, "attach to f: EBUSY".into());
    assert_eq!(
        (went_on.tier, went_on.reason.as_str()),
        (Tier::SysExit, "not trampoline: attach to f: EBUSY")
    );
    assert_eq!(
        went_on.tiers[0],
        (Tier::Trampoline, Some("attach to f: EBUSY".into()))
    );
}

/// The kernel refuses for real: the function has the number of something else, where trampolines are allowed at all.
#[test]
#[cfg(target_arch = "x86_64")]
fn where_the_kernel_refuses_a_program_of_the_preferred_tier_capture_goes_on_in_another() {
    let host_is_fit =
        nix::unistd::geteuid().is_root() && std::path::Path::new("/sys/kernel/btf/vmlinux").exists();
    if !host_is_fit {
        return;
    }
    let needs = Needs {
        events: [Event::Openat].into_iter().collect(),
        ..Needs::default()
    };
    let start = |tier| {
        let config = Config {
            tier,
            ..Config::default()
        };
        let plan = plan(&generous(&["openat"]), &needs, &config).unwrap();
        assert_eq!(plan.tier, Tier::Trampoline);
        crate::Capture::start(plan, &config, &Arc::default())
    };
    let capture = start(Tier::PreferTrampoline).unwrap();
    let went_on = capture.plan();
    assert_eq!(went_on.tier, Tier::SysExit);
    assert!(went_on.reason.starts_with("not trampoline: "), "{went_on}");
    assert_eq!(
        went_on.tiers[0].1.as_deref(),
        went_on.reason.strip_prefix("not trampoline: ")
    );
    start(Tier::Trampoline).unwrap_err();
}

#[test]
fn the_state_is_captured_but_not_shown() {
    let needs = Needs {
        events: [Event::Openat].into_iter().collect(),
        ..Needs::default()
    };
    let plan = plan(&host(), &needs, &Config::default()).unwrap();
    assert_eq!(plan.tier, Tier::SysExit);
    assert!(plan.captured.contains(Event::Chdir) && plan.captured.contains(Event::Openat));
    assert_eq!(plan.shown, needs.events);
}

#[test]
fn one_ring_is_as_large_as_all_would_be() {
    let bytes = |config: Config, cpus: usize| {
        let host = Host { cpus, ..host() };
        plan(&host, &Needs::default(), &config).unwrap().ring_bytes
    };
    let each = |cpus_for_each_buffer| Config {
        cpus_for_each_buffer,
        ..Config::default()
    };
    assert_eq!(bytes(each(0), 64), 8 << 20);
    assert_eq!(bytes(each(2), 2), 8 << 20);
    assert_eq!(bytes(each(2), 3), 16 << 20);
    assert_eq!(bytes(each(2), 12), 64 << 20, "48 MiB, rounded up");
    assert_eq!(bytes(each(1), 1000), RING_MAX);
    let odd = Config {
        ring_bytes: 1,
        ..Config::default()
    };
    assert_eq!(bytes(odd, 2), 4096);
}

#[test]
fn reads_and_writes_that_no_rule_names_are_captured_when_the_operator_wants_them() {
    let needs = Needs {
        events: [Event::Openat].into_iter().collect(),
        unnamed_io: [Event::Read].into_iter().collect(),
        ..Needs::default()
    };
    let shown = |unnamed_io| {
        let config = Config {
            unnamed_io,
            ..Config::default()
        };
        plan(&host(), &needs, &config).unwrap().shown
    };
    assert_eq!(shown(false), needs.events);
    assert_eq!(shown(true), needs.events.union(needs.unnamed_io));
}

#[test]
fn calls_that_are_excluded_are_captured_for_the_state_only() {
    let named: EventSet = [Event::Openat, Event::Connect, Event::Chdir]
        .into_iter()
        .collect();
    let needs = Needs {
        events: named,
        ..Needs::default()
    };
    let config = Config {
        excluded: [Event::Openat, Event::Chdir, Event::Kill].into_iter().collect(),
        ..Config::default()
    };
    let plan = plan(&host(), &needs, &config).unwrap();
    assert_eq!(plan.shown, [Event::Connect].into_iter().collect());
    assert!(plan.captured.contains(Event::Chdir) && !plan.captured.contains(Event::Openat));
}

#[test]
fn state_and_unknown_flags_pass_whatever_the_rules_say() {
    let events = [
        Event::Openat,
        Event::Openat2,
        Event::OpenByHandleAt,
        Event::Chdir,
        Event::Kill,
        Event::Socketpair,
    ];
    let read = CallClass::new(false, false).opening(0);
    let needs = Needs {
        events: events.into_iter().collect(),
        classes: [[read].into_iter().collect(); EVENT_COUNT],
        ..Needs::default()
    };
    let plan = plan(&host(), &needs, &Config::default()).unwrap();
    let of = |event: Event| plan.classes[event as usize];
    assert_eq!(of(Event::Chdir), ClassSet::ALL);
    assert!(of(Event::Openat).minds_flags() && of(Event::Openat2).minds_flags());
    assert!(!of(Event::Socketpair).minds_flags() && !of(Event::OpenByHandleAt).minds_flags());
    assert!(of(Event::Openat2).minds_result() && of(Event::Kill).minds_owner());
    let filtered: Vec<Event> = plan.filtered().map(|(event, _)| event).collect();
    assert_eq!(filtered.len(), 5);
    assert!(
        plan.to_string()
            .contains("by what is opened for, the kind of socket, the mode or the thread (2)"),
        "{plan}"
    );
}

#[test]
fn what_other_calls_change_of_a_process_is_captured_when_a_rule_reads_it() {
    let state = |task_state| {
        let needs = Needs {
            task_state,
            ..Needs::default()
        };
        let plan = plan(&host(), &needs, &Config::default()).unwrap();
        let read = plan.params[Event::Setsid as usize] != 0;
        assert!(plan.shown.is_empty());
        (
            plan.captured.contains(Event::Setsid),
            plan.captured.contains(Event::Capset),
            read,
        )
    };
    assert_eq!(state(false), (false, false, false));
    assert_eq!(state(true), (true, true, true));
}

#[test]
fn credentials_of_threads_other_than_the_first_are_captured_where_a_rule_asks() {
    let of = |events: &[Event]| {
        let needs = Needs {
            events: events.iter().copied().collect(),
            task_state: true,
            ..Needs::default()
        };
        let plan = plan(&host(), &needs, &Config::default()).unwrap();
        [Event::Setuid, Event::Capset, Event::Setsid, Event::Unshare]
            .map(|event| plan.classes[event as usize])
    };
    let (all, first) = (ClassSet::ALL, ClassSet::first_threads());
    assert_eq!(of(&[]), [first, first, all, all]);
    assert_eq!(of(&[Event::Setuid]), [all, first, all, all]);
}

#[test]
fn calls_are_looked_at_from_their_start_where_a_rule_reads_what_they_take_away() {
    let of = |events: &[Event], params: u32| {
        let needs = Needs {
            events: events.iter().copied().collect(),
            params: [params; EVENT_COUNT],
            ..Needs::default()
        };
        let plan = plan(&host(), &needs, &Config::default()).unwrap();
        (
            plan.read_at_enter(),
            plan.to_string().contains("start of every call, for close"),
        )
    };
    let close = [Event::Close].into_iter().collect();
    assert_eq!(of(&[Event::Close, Event::Openat], u32::MAX), (close, true));
    assert_eq!(of(&[Event::Close], 0), (EventSet::NONE, false));
    assert_eq!(
        of(&[Event::Dup, Event::CloseRange], u32::MAX),
        (EventSet::NONE, false)
    );
}

#[test]
fn a_host_that_cannot_is_told_why() {
    let asked = |tier| Config {
        tier,
        ..Config::default()
    };
    let blind = Host { btf: false, ..host() };
    let error = plan(&blind, &Needs::default(), &asked(Tier::SysExit)).unwrap_err();
    assert!(error.to_string().contains("/sys/kernel/btf/vmlinux"), "{error}");
    let mut refusing = blind;
    refusing.trials.raw_tracepoint = Trial::NotLoaded(Errno::EPERM);
    let error = plan(&refusing, &Needs::default(), &Config::default()).unwrap_err();
    assert!(error.to_string().contains("raw tracepoints: refused"), "{error}");
    let poor = Host {
        missing_capabilities: vec!["CAP_BPF".into()],
        ..host()
    };
    assert!(matches!(
        plan(&poor, &Needs::default(), &Config::default()),
        Err(CaptureError::Privilege { .. })
    ));
}

#[test]
fn where_no_program_can_be_attached_the_sources_there_are_watch() {
    let refused = SourceTrial::Refused("refused by the kernel: EPERM".into());
    let restricted = Host {
        missing_capabilities: vec!["CAP_BPF".into()],
        sources: vec![
            (Source::Fanotify, refused.clone()),
            (Source::Connector, SourceTrial::Works),
        ],
        ..host()
    };
    let needs = Needs {
        events: [Event::Execve, Event::Openat, Event::Container]
            .into_iter()
            .collect(),
        ..Needs::default()
    };
    let planned = |host: &Host, tier| {
        let config = Config {
            tier,
            ..Config::default()
        };
        plan(host, &needs, &config)
    };
    let found = planned(&restricted, Tier::Auto).unwrap();
    assert_eq!(found.tier, Tier::None);
    assert_eq!(
        found.shown,
        [Event::Execve, Event::Container].into_iter().collect()
    );
    let text = found.to_string();
    for part in [
        "not sys_exit: CAP_BPF is missing",
        "from connector; not fanotify: refused by the kernel: EPERM",
        "2 event types",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(matches!(
        planned(&restricted, Tier::SysExit),
        Err(CaptureError::Privilege { .. })
    ));
    // Asked for where programs could be attached, and where nothing is left.
    let free = Host {
        sources: restricted.sources.clone(),
        ..host()
    };
    assert_eq!(planned(&free, Tier::Auto).unwrap().tier, Tier::SysExit);
    assert_eq!(
        planned(&free, Tier::None).unwrap().reason,
        "engine.tier asks for it"
    );
    let nothing = Host {
        sources: vec![(Source::Connector, refused)],
        ..host()
    };
    let error = planned(&nothing, Tier::None).unwrap_err();
    assert!(error.to_string().contains("connector: refused"), "{error}");
}

#[test]
fn without_type_information_raw_tracepoints_are_taken_and_what_they_cannot_give_is_not_asked() {
    let mut blind = Host { btf: false, ..host() };
    blind.trials.tracepoint = Trial::NoTypes;
    blind.io_uring = Some(crate::io_uring::Tracepoints {
        submit: "io_uring_submit_req",
        complete: "io_uring_complete",
    });
    let needs = Needs {
        events: [Event::Close, Event::Openat].into_iter().collect(),
        params: [u32::MAX; EVENT_COUNT],
        task: [1; EVENT_COUNT],
        ..Needs::default()
    };
    let plan = plan(&blind, &needs, &Config::default()).unwrap();
    assert_eq!(plan.tier, Tier::Raw);
    assert!(
        plan.reason
            .contains("not sys_exit: kernel 6.1.0 has no type information"),
        "{plan}"
    );
    assert!(
        plan.captured.contains(Event::Execve),
        "the end of a call tells of an exec"
    );
    assert!(!plan.shown.contains(Event::Execve));
    assert!(plan.read_at_enter().is_empty() && plan.io_uring.is_none());
    assert!(
        plan.to_string()
            .contains("what is done through io_uring is not seen"),
        "{plan}"
    );
    assert_eq!(plan.task, [0; EVENT_COUNT]);
    assert_ne!(plan.params[Event::Openat as usize], 0, "asked of /proc");
    let hooks: Vec<String> = plan.programs().unwrap().into_iter().map(|p| p.hook).collect();
    let raw = [
        "raw_tp/sys_exit",
        "raw_tp/sched_process_fork",
        "raw_tp/sched_process_exit",
    ];
    for hook in raw {
        assert!(hooks.iter().any(|h| h == hook), "{hooks:?}");
    }
    assert!(hooks.iter().all(|hook| hook.starts_with("raw_tp/")), "{hooks:?}");
}

#[test]
fn the_tiers_that_can_be_started_are_those_said_to_be_built() {
    for tier in lanner_schema::tier::Tier::ALL {
        let config = Config {
            tier: Tier::parse(tier.name()).unwrap(),
            ..Config::default()
        };
        let host = Host {
            sources: vec![(Source::Connector, SourceTrial::Works)],
            ..generous(&[])
        };
        let planned = plan(&host, &Needs::default(), &config);
        assert_eq!(planned.is_ok(), tier.is_built(), "{}", tier.name());
    }
}
