//! `--list-events`: the events that are captured, with their parameters, and the names of those that are not.

use std::collections::HashSet;
use std::fmt::Write as _;

use lanner_engine::SOURCES;
use lanner_schema::event::{EVENTS, EventRow, EventSet, Param, ParamType};
use lanner_schema::flags::FlagTable;
use lanner_schema::names::EVENT_NAMES;
use serde_json::{Map, Value, json};

use super::{Form, document};
use crate::version;

/// Falco's groups of events, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Syscall,
    Tracepoint,
    Plugin,
    Meta,
}

impl Group {
    const ALL: [Group; 4] = [Group::Syscall, Group::Tracepoint, Group::Plugin, Group::Meta];

    fn title(self) -> &'static str {
        match self {
            Group::Syscall => "Syscall events",
            Group::Tracepoint => "Tracepoint events",
            Group::Plugin => "Plugin events",
            Group::Meta => "Metaevents",
        }
    }

    /// Whatever is none of the few others is a system call.
    fn of(name: &str) -> Group {
        match name {
            "procexit" | "switch" | "signaldeliver" | "page_fault" | "page_fault_kernel"
            | "page_fault_user" | "sched_process_exit" | "sched_switch" | "signal_deliver" => {
                Group::Tracepoint
            }
            "pluginevent" => Group::Plugin,
            "asyncevent" | "container" | "container_removed" | "cpu_hotplug" | "drop" | "groupadded"
            | "groupdeleted" | "infra" | "notification" | "procinfo" | "scapevent" | "useradded"
            | "userdeleted" => Group::Meta,
            _ => Group::Syscall,
        }
    }
}

/// An event: its row when it is captured.
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: &'static str,
    row: Option<&'static EventRow>,
}

/// The captured events (those that a source which is served can have) in the order of the table, then the names rules may use
/// for events that are not captured.
fn entries() -> Vec<Entry> {
    let served: Vec<EventSet> = SOURCES.iter().map(|source| source.events()).collect();
    let captured = EVENTS
        .iter()
        .filter(|row| served.iter().any(|events| events.contains(row.event)));
    let mut entries: Vec<Entry> = captured
        .map(|row| Entry {
            name: row.name,
            row: Some(row),
        })
        .collect();
    let known: HashSet<&str> = entries.iter().map(|entry| entry.name).collect();
    let others = EVENT_NAMES.iter().filter(|name| !known.contains(*name));
    entries.extend(others.map(|name| Entry { name, row: None }));
    entries
}

/// Every event as Falco lists them. Text has those that are captured; the other forms say of each whether it is.
pub(crate) fn events(form: Form) -> String {
    if form == Form::Json {
        let mut all = Map::new();
        all.insert("schema_version".into(), version::SCHEMA.into());
        for group in Group::ALL {
            let events: Vec<Value> = of(group).map(as_json).collect();
            all.insert(group.title().into(), events.into());
        }
        return document(&all.into());
    }
    let mut out = format!(
        "The events below are valid for Lanner {}\n",
        env!("CARGO_PKG_VERSION")
    );
    for group in Group::ALL {
        let _ = writeln!(out, "## {}\n", group.title());
        if form == Form::Markdown {
            out.push_str("Default | Dir | Name | Params \n:-------|:----|:-----|:-----\n");
        }
        for entry in of(group) {
            match form {
                Form::Markdown => {
                    let captured = if entry.row.is_some() { "Yes" } else { "No" };
                    let _ = writeln!(
                        out,
                        "{captured} | `<` | `{}` | {}",
                        entry.name,
                        params(entry, "*")
                    );
                }
                _ if entry.row.is_some() => {
                    let _ = writeln!(out, "< {}({})", entry.name, params(entry, ""));
                }
                _ => {}
            }
        }
        out.push('\n');
    }
    out
}

fn of(group: Group) -> impl Iterator<Item = Entry> {
    entries()
        .into_iter()
        .filter(move |entry| Group::of(entry.name) == group)
}

fn parameters(entry: Entry) -> impl Iterator<Item = &'static Param> {
    let params = entry.row.map_or(&[][..], |row| row.params);
    params.iter().filter(|param| !param.hidden)
}

/// Each parameter with its type, and the names of its flags between `mark`s.
fn params(entry: Entry, mark: &str) -> String {
    let mut out = String::new();
    for param in parameters(entry) {
        let (name, flags) = type_name(param.ty);
        let separator = if out.is_empty() { "" } else { ", " };
        let _ = write!(out, "{separator}{name} **{}**", param.name);
        let names = flags.iter().flat_map(|table| table.names.iter());
        for (index, flag) in names.enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            let _ = write!(out, "{separator}{mark}{}{mark}", flag.name);
        }
    }
    out
}

fn as_json(entry: Entry) -> Value {
    let params: Vec<Value> = parameters(entry)
        .map(|param| {
            let (ty, flags) = type_name(param.ty);
            let mut value = json!({ "type": ty, "name": param.name });
            if let Some(table) = flags {
                let names: Vec<&str> = table.names.iter().map(|flag| flag.name).collect();
                value["flags"] = names.into();
            }
            value
        })
        .collect();
    json!({ "name": entry.name, "dir": "<", "available": entry.row.is_some(), "params": params })
}

/// Falco's word for a type. It also knows the width of flags, codes and modes; here they are all 32 bits wide.
fn type_name(ty: ParamType) -> (&'static str, Option<&'static FlagTable>) {
    let name = match ty {
        ParamType::Flags(table) => return ("FLAGS32", Some(table)),
        ParamType::Enum(table) => return ("ENUMFLAGS32", Some(table)),
        // Falco gives the names of flags and codes only.
        ParamType::Mode(_) => "MODE",
        ParamType::Errno => "ERRNO",
        ParamType::Fd => "FD",
        ParamType::Pid => "PID",
        ParamType::Uid => "UID",
        ParamType::Gid => "GID",
        ParamType::U8 => "UINT8",
        ParamType::U16 => "UINT16",
        ParamType::U32 | ParamType::CreateMode(_) => "UINT32",
        ParamType::U64 => "UINT64",
        ParamType::I32 => "INT32",
        ParamType::I64 => "INT64",
        ParamType::Signal => "SIGTYPE",
        ParamType::AbsTime => "ABSTIME",
        ParamType::RelTime => "RELTIME",
        ParamType::CharBuf => "CHARBUF",
        ParamType::ByteBuf => "BYTEBUF",
        ParamType::FsPath | ParamType::RealPath(_) => "FSPATH",
        ParamType::FsRelPath(_) => "FSRELPATH",
        ParamType::SockTuple => "SOCKTUPLE",
        ParamType::SockAddr => "SOCKADDR",
        ParamType::PtraceWord(_) | ParamType::Dyn => "DYNAMIC",
        ParamType::Object(_) | ParamType::Objects(_) => "OBJECT",
        ParamType::FdList => "FDLIST",
        ParamType::SyscallId => "SYSCALLID",
    };
    (name, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_what_is_captured_with_parameters_types_and_flags() {
        let text = events(Form::Text);
        let open = text.lines().find(|line| line.starts_with("< open(")).unwrap();
        assert!(
            open.starts_with("< open(FD **fd**, FSPATH **name**, FLAGS32 **flags**: "),
            "{open}"
        );
        assert!(open.contains("O_CREAT, "), "{open}");
        let rows = EVENTS
            .iter()
            .filter(|row| row.is_kernel() || row.is_meta())
            .count();
        assert_eq!(text.lines().filter(|line| line.starts_with("< ")).count(), rows);
        let (syscalls, others) = text.split_once("## Tracepoint events").unwrap();
        assert!(
            syscalls.contains("< execve(") && others.contains("< procexit("),
            "{text}"
        );
        assert!(!text.contains("task_fork"));
        let (_, metaevents) = text.split_once("## Metaevents").unwrap();
        let row = "< container_removed(UINT32 **plugin_id**, CHARBUF **name**, BYTEBUF **data**)";
        assert!(
            metaevents.contains(row) && metaevents.contains("< container("),
            "{text}"
        );
    }

    #[test]
    fn the_other_forms_say_of_every_name_whether_it_is_captured() {
        let text = events(Form::Markdown);
        assert!(
            text.contains("\nYes | `<` | `mkdir` | ERRNO **res**, FSPATH **path**, "),
            "{text}"
        );
        assert!(
            text.contains("\nYes | `<` | `getpid` | SYSCALLID **ID**, UINT16 **nativeID**\n"),
            "{text}"
        );
        assert!(text.contains("\nNo | `<` | `drop` | \n"), "{text}");
        assert!(text.contains(" *O_CREAT*, "), "{text}");
        let json: Value = serde_json::from_str(&events(Form::Json)).unwrap();
        let find = |group: &str, name: &str| {
            let events = json[group].as_array().unwrap();
            events.iter().find(|event| event["name"] == name).unwrap().clone()
        };
        let open = find("Syscall events", "open");
        assert_eq!(open["available"], true);
        assert_eq!(open["params"][0], json!({ "name": "fd", "type": "FD" }));
        assert!(
            open["params"][2]["flags"]
                .as_array()
                .unwrap()
                .contains(&"O_CREAT".into())
        );
        let drop = find("Metaevents", "drop");
        assert_eq!(
            drop,
            json!({ "name": "drop", "dir": "<", "available": false, "params": [] })
        );
    }

    #[test]
    fn every_name_is_listed_once() {
        let mut names: Vec<&str> = entries().iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        assert_eq!(names, EVENT_NAMES);
    }
}
