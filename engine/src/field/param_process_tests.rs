//! Parameters of calls about processes, as `evt.arg` shows them.

use lanner_schema::event::{Event, Event as E};
use lanner_schema::record::WireBuilder;

use super::*;
use crate::testing::Happening;

/// Every parameter of the row as text; `-` where there is none.
fn shown(event: Event, wire: WireBuilder) -> Vec<String> {
    shown_of(&Happening::new(event, wire))
}

fn shown_of(happening: &Happening) -> Vec<String> {
    happening.view(|view| {
        let params = view.event.row().params.iter().enumerate();
        let text = |index| match text(view, &Arg::Index(index), &mut Vec::new()) {
            Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "-".to_owned(),
        };
        params
            .filter(|(_, param)| !param.hidden)
            .map(|(index, _)| text(index))
            .collect()
    })
}

fn numbers(numbers: &[i64]) -> WireBuilder {
    numbers.iter().fold(WireBuilder::new(), |wire, n| wire.number(*n))
}

#[test]
fn a_number_of_another_pid_namespace_is_nobodys_name() {
    let text = |vpid: u32| {
        let mut happening = Happening::new(E::Ptrace, numbers(&[0, 0, 0, 16, 20]));
        let process = happening.machine.processes.get_mut(&30).unwrap();
        process.vpid = vpid;
        shown_of(&happening).pop().unwrap()
    };
    assert_eq!((text(30), text(3)), ("bash".to_owned(), "20".to_owned()));
}

#[test]
fn requests_to_trace_show_words_in_hexadecimal_and_signals_by_name() {
    let ptrace = |result: i64, addr, data, request| {
        let all = shown(E::Ptrace, numbers(&[result, addr, data, request, 20]));
        all[1..4].to_vec()
    };
    assert_eq!(
        ptrace(0, 0x7fff_0010, 0xabcd, 4),
        ["7FFF0010", "ABCD", "PTRACE_POKETEXT"]
    );
    assert_eq!(ptrace(0, 1, 15, 7), ["1", "SIGTERM", "PTRACE_CONT"]);
    assert_eq!(ptrace(0, 0, 9, 17), ["0", "SIGKILL", "PTRACE_DETACH"]);
    assert_eq!(ptrace(0, 0, 0, 24), ["0", "0", "PTRACE_SYSCALL"]);
    assert_eq!(
        ptrace(-3, 0, 15, 7),
        ["0", "F", "PTRACE_CONT"],
        "a failed call sends nothing"
    );
}

#[test]
fn options_resources_and_flags_have_names() {
    let prctl = |option| shown(E::Prctl, numbers(&[0, option]).missing().number(1))[1].clone();
    assert_eq!(prctl(15), "PR_SET_NAME");
    assert_eq!(prctl(0x5961_6d61), "PR_SET_PTRACER");
    let limit = shown(E::Setrlimit, numbers(&[-1, 0, -1, 7]));
    assert_eq!(limit, ["EPERM", "0", "-1", "RLIMIT_NOFILE"]);
    let limit = shown(E::Prlimit, numbers(&[0, 1, 2, 3, -1, 20, 4]));
    assert_eq!(limit, ["0", "1", "2", "3", "-1", "20", "RLIMIT_CORE"]);
    let mount = WireBuilder::new()
        .number(0)
        .text("none")
        .text("/mnt")
        .text("tmpfs");
    let mount = shown(E::Mount, mount.number(0x100e));
    assert_eq!(mount[1..], ["none", "/mnt", "tmpfs", "NOSUID|NODEV|NOEXEC|BIND"]);
    let umount = shown(E::Umount2, numbers(&[-22]).text("/mnt").number(10));
    assert_eq!(umount, ["EINVAL", "/mnt", "DETACH|NOFOLLOW"]);
}

#[test]
fn ids_have_names() {
    let none = i64::from(u32::MAX);
    assert_eq!(shown(E::Setuid, numbers(&[0, 0])), ["0", "root"]);
    assert_eq!(
        shown(E::Setresuid, numbers(&[0, none, 0, 4711])),
        ["0", "<NONE>", "root", "<NA>"]
    );
    assert_eq!(shown(E::Setresgid, numbers(&[-1, 4711, 4712, 4713]))[0], "EPERM");
    // The process of this id, by its name.
    let setsid = shown(E::Setsid, numbers(&[20]));
    assert_eq!(setsid.len(), 1);
    assert_ne!(setsid[0], "20");
}

#[test]
fn signals_and_ends_have_names() {
    let signal = shown(E::Signaldeliver, numbers(&[0, 4711, 9]));
    assert_eq!(signal, ["0", "4711", "SIGKILL"]);
    assert_ne!(
        shown(E::Signaldeliver, numbers(&[20, 4711, 9]))[0],
        "20",
        "the sender's name"
    );
    let end = shown(E::Procexit, numbers(&[139, 0, 11, 1, 0]));
    assert_eq!(end[2..], ["SIGSEGV", "1", "0"]);
}
