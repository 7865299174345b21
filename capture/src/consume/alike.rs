//! What a source tells as one of several calls that do the same, shown as the others, too: to rules that name one of those and
//! not that one.

use lanner_schema::event::{Event, EventSet};
use lanner_schema::flags::O_F_CREATED;
use lanner_schema::record::{FIRST_SOURCE, Header, Wire, WireBuilder};
use lanner_schema::tier::{Source, alike};
use lanner_schema::view::EventView;

use super::Consumer;

impl Consumer {
    /// Shows an event, as each of the calls that rules see it as.
    pub(super) fn show(
        &mut self,
        event: Event,
        header: &Header,
        wire: Wire<'_>,
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) {
        self.show_as(event, header, wire, on_event);
        if header.stream >= FIRST_SOURCE && !self.told_apart.is_empty() {
            self.show_apart(event, header, &wire, on_event);
        }
    }

    #[cold]
    fn show_apart(
        &mut self,
        event: Event,
        header: &Header,
        wire: &Wire<'_>,
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) {
        if header.stream == Source::Seccomp.stream() {
            // It knows the call.
            return;
        }
        self.state.told_as.insert(event);
        for call in alike(event).flatten().copied() {
            let is_new = self.told_apart.contains(call) && !self.state.told_as.contains(call);
            if !is_new || !may_be(call, event, wire) {
                continue;
            }
            let bytes = as_call(call, event, wire);
            if let Some(wire) = Wire::read(&bytes, call.row().params.len()) {
                self.show_as(call, header, wire, on_event);
            }
            self.state.told_as.insert(call);
        }
        self.state.told_as = EventSet::NONE;
    }
}

/// False for what the call can't have done.
fn may_be(call: Event, event: Event, wire: &Wire<'_>) -> bool {
    let flags = || {
        let index = event.row().param("flags")?;
        wire.number(index)
    };
    let removes_directory = || flags().is_some_and(|flags| flags & libc::AT_REMOVEDIR as u64 != 0);
    match (call, event) {
        (Event::Creat, _) => flags().is_some_and(|flags| flags & O_F_CREATED != 0),
        (Event::Unlink, Event::Unlinkat) => !removes_directory(),
        (Event::Rmdir, Event::Unlinkat) => removes_directory(),
        _ => true,
    }
}

/// The parameters of `event` as those of `call` that have the same name; the others are not known.
fn as_call(call: Event, event: Event, wire: &Wire<'_>) -> Vec<u8> {
    let row = event.row();
    let same = |name: &str| {
        let other = match name {
            "name" => "path",
            "path" => "name",
            name => name,
        };
        let index = row.param(name).or_else(|| row.param(other))?;
        wire.param(index)
    };
    let mut told = WireBuilder::new();
    for param in call.row().params {
        told = match same(param.name) {
            Some(value) if value.truncated => told.bytes(value.bytes).cut(),
            Some(value) => told.bytes(value.bytes),
            None => told.missing(),
        };
    }
    told.build()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lanner_schema::container::ContainerTable;
    use lanner_schema::record::FLAG_SUCCEEDED;

    use super::*;
    use crate::draft::{Doer, Draft};
    use crate::outside::Outside;
    use crate::plan::Config;

    /// The events as which a record is shown, each with the path that `param` has and what it was shown as before.
    fn shown(apart: &[Event], record: Draft, param: &str) -> Vec<(Event, String, Vec<Event>)> {
        let mut consumer = Consumer::new(
            EventSet::all(),
            &Config::default(),
            &ContainerTable::new(),
            Arc::default(),
            Outside::default().without_procfs(),
        );
        consumer.told_apart = apart.iter().copied().collect();
        let mut seen = Vec::new();
        consumer.record(&record.finish(), &mut |view| {
            let other = if param == "name" { "path" } else { "name" };
            let row = view.event.row();
            let index = row.param(param).or_else(|| row.param(other)).unwrap();
            let path = view.paths.iter().find(|path| usize::from(path.param) == index);
            let path = String::from_utf8_lossy(path.unwrap().path).into_owned();
            seen.push((view.event, path, view.system.told_as().iter().collect()));
        });
        seen
    }

    fn draft(event: Event, path: &str, flags: Option<u64>) -> Draft {
        let row = event.row();
        let draft = Draft::new(
            event,
            Source::Fanotify.stream(),
            FLAG_SUCCEEDED,
            1,
            &Doer::known(1, 1),
        );
        let name = row.param("name").or_else(|| row.param("path")).unwrap();
        let draft = draft.path(name, path.as_bytes());
        match flags {
            Some(flags) => draft.number(row.param("flags").unwrap(), flags.cast_signed()),
            None => draft,
        }
    }

    #[test]
    fn what_one_of_several_calls_has_done_is_shown_as_each_that_somebody_names_alone() {
        use Event as E;
        let of = |event, before: &[Event]| (event, "/etc/x".to_owned(), before.to_vec());
        let opened = || draft(E::Openat, "/etc/x", Some(1));
        assert_eq!(shown(&[], opened(), "name"), [of(E::Openat, &[])]);
        assert_eq!(
            shown(&[E::Open, E::Creat], opened(), "name"),
            [of(E::Openat, &[]), of(E::Open, &[E::Openat])],
            "a file that was there"
        );
        let made = draft(E::Openat, "/etc/x", Some(O_F_CREATED | 1));
        let [.., (last, _, before)] = &shown(&[E::Open, E::Creat], made, "name")[..] else {
            unreachable!("three")
        };
        assert_eq!((*last, before.len()), (E::Creat, 2));
        let removed = draft(E::Unlinkat, "/etc/x", Some(0));
        assert_eq!(
            shown(&[E::Unlink, E::Unlinkat], removed, "name"),
            [of(E::Unlinkat, &[]), of(E::Unlink, &[E::Unlinkat])]
        );
        let removed = draft(E::Unlinkat, "/etc/x", Some(0));
        assert_eq!(
            shown(&[E::Rmdir], removed, "name"),
            [of(E::Unlinkat, &[])],
            "a file"
        );
        let flags = u64::from(libc::AT_REMOVEDIR.unsigned_abs());
        let removed = draft(E::Unlinkat, "/etc/x", Some(flags));
        assert_eq!(
            shown(&[E::Unlink, E::Rmdir], removed, "name"),
            [of(E::Unlinkat, &[]), of(E::Rmdir, &[E::Unlinkat])],
            "a directory"
        );
        let directory = draft(E::Rmdir, "/etc/x", None);
        assert_eq!(
            shown(&[E::Unlink, E::Unlinkat], directory, "path"),
            [of(E::Rmdir, &[]), of(E::Unlinkat, &[E::Rmdir])]
        );
    }
}
