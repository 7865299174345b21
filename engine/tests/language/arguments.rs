//! Which fields take an argument, which need one, and of which form.

use crate::rows::{accepted, refused, unparsable, warned};

#[test]
fn fields_take_what_they_are_made_for() {
    accepted(&[
        "evt.arg.flags exists",
        "evt.arg[0] exists",
        "evt.arg[12] exists",
        "evt.rawarg.flags exists",
        "evt.type.is.openat = 1",
        "thread.cgroup.cpu exists",
        "evt.abspath exists",
        "evt.abspath.src exists",
        "evt.abspath.dst exists",
        "proc.aname exists",
        "proc.aname[0] exists",
        "proc.aname[12] exists",
        "proc.aexe[1] exists",
        "proc.aexepath[1] exists",
        "proc.acmdline[1] exists",
        "proc.apid[1] exists",
        "proc.aargs[1] exists",
        "proc.args exists",
        "proc.args[0] exists",
        "proc.env exists",
        "proc.env[HOME] exists",
        "proc.aenv exists",
        "proc.aenv[HOME] exists",
        "proc.aenv[2] exists",
        "fd.types exists",
        "fd.types[2] exists",
        "evt.around[1700000000000000000] = 5",
        "container.mount[0] exists",
        "container.mount[/proc] exists",
        "container.mount.source[/host/*] exists",
        "container.label[app] exists",
        "container.label['app.kubernetes.io/name'] exists",
        "k8s.pod.label[app] exists",
    ]);
}

#[test]
fn other_arguments_are_refused() {
    refused(&[
        ("proc.name[0] exists", "proc.name"),
        ("proc.pid[1] > 0", "proc.pid"),
        ("fd.name[x] exists", "fd.name"),
        ("evt.type[0] = open", "evt.type"),
        ("evt.arg exists", "evt.arg"),
        ("evt.rawarg exists", "evt.rawarg"),
        ("evt.rawarg[0] exists", "evt.rawarg"),
        ("evt.type.is = 1", "evt.type.is"),
        ("thread.cgroup exists", "thread.cgroup"),
        ("evt.around = 1", "evt.around"),
        ("container.label exists", "container.label"),
        ("container.mount exists", "container.mount"),
        ("k8s.pod.label exists", "k8s.pod.label"),
        ("evt.arg.nosuchparam exists", "nosuchparam"),
        ("evt.rawarg.nosuchparam exists", "nosuchparam"),
        ("evt.abspath.side exists", "evt.abspath"),
        ("proc.name.x exists", "proc.name.x"),
    ]);
    // 5
    unparsable(&[
        ("proc.aname[] exists", ""),
        ("container.label[] exists", ""),
        ("proc.env[a b] exists", ""),
    ]);
}

#[test]
fn unknown_names_are_errors() {
    refused(&[
        ("proc.nam = x", "nonexistent field"),
        ("process.name = x", "nonexistent field"),
        ("syslog.message exists", "nonexistent field"),
        ("Proc.Name = x", "nonexistent field"),
        ("evt.type = openn", "unknown event type openn"),
        ("evt.type in (open, openn)", "unknown event type openn"),
        ("evt.type != openn", "unknown event type openn"),
        ("evt.type = OPEN", "unknown event type OPEN"),
        ("evt.type.is.openn = 1", "openn"),
    ]);
    // The names of system calls are not looked at.
    accepted(&[
        "syscall.type = openn",
        "evt.type = ptrace",
        "evt.type = execveat",
        "evt.type in ()",
    ]);
}

#[test]
fn fields_without_a_meaning_any_more_are_warned_of() {
    warned(&[
        ("evt.dir = >", "deprecated"),
        ("evt.latency.s > 1", "deprecated"),
        ("evt.latency.ns > 1", "deprecated"),
        ("evt.latency.human = 0ns", "deprecated"),
        ("evt.wait_latency > 1", "deprecated"),
        ("evt.type = open", ""),
    ]);
}

#[test]
fn what_only_outputs_or_only_conditions_have() {
    refused(&[
        ("evt.outputtime exists", "evt.outputtime"),
        ("tolower(proc.aname[1]) = x", "proc.aname"),
        ("tolower(evt.type) = x", "evt.type"),
        ("len(evt.rawarg.flags) = 1", "evt.rawarg"),
        ("toupper(fd.sip.name) = x", "fd.sip.name"),
        ("len(evt.around[1]) = 1", "evt.around"),
    ]);
}
