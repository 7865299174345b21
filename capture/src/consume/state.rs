//! The state that fields look things up in.

use std::net::IpAddr;
use std::sync::Arc;

use lanner_schema::descriptor::Descriptor;
use lanner_schema::event::EventSet;
use lanner_schema::host_names::AddressNames;
use lanner_schema::process::{Process, User};
use lanner_schema::record::Header;
use lanner_schema::tier::Source;
use lanner_schema::view::{Earlier, System};

use crate::history::Within;
use crate::process_table::ProcessTable;
use crate::users::Users;

/// It, and who the process of the event that is shown was.
#[derive(Debug)]
pub(super) struct State {
    pub(super) processes: ProcessTable,
    pub(super) users: Users,
    pub(super) names: Arc<AddressNames>,
    pub(super) earlier: Option<Earlier>,
    /// The process of the event that is shown as it was then, where that is not what it is, and what else it may have been.
    pub(super) was: Option<Process>,
    pub(super) otherwise: Vec<Process>,
    /// It is shown as what it was a moment later.
    pub(super) is_as_of_later: bool,
    /// The calls as which the event that is shown was shown already.
    pub(super) told_as: EventSet,
}

impl System for State {
    fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.get(pid)
    }
    fn parent(&self, of: &Process) -> Option<&Process> {
        self.processes.parent(of)
    }
    fn user(&self, uid: u32) -> Option<&User> {
        self.users.user(uid)
    }
    fn group(&self, gid: u32) -> Option<&str> {
        self.users.group(gid)
    }
    fn names_of(&self, address: IpAddr) -> &[Box<str>] {
        self.names.of(address)
    }
    fn earlier(&self) -> Option<Earlier> {
        self.earlier
    }
    fn otherwise(&self) -> &[Process] {
        &self.otherwise
    }
    fn is_as_of_later(&self) -> bool {
        self.is_as_of_later
    }
    fn told_as(&self) -> EventSet {
        self.told_as
    }
    fn descriptor_now(&self, pid: u32, number: u32, look: &mut dyn FnMut(&Descriptor<'_>)) {
        self.processes.procfs.descriptor(self.known(pid), number, look);
    }
    fn descriptors_now(&self, pid: u32) -> Vec<u32> {
        self.processes.procfs.descriptors(self.known(pid))
    }
}

impl State {
    /// Finds out what the process of a source's event was, between `since` and the time of its record; false when nobody can
    /// know. `ids` are those that the source found, and become those of then where it looked at them later.
    pub(super) fn look_back(&mut self, since: u64, header: &Header, ids: &mut (u32, u32)) -> bool {
        self.was = None;
        self.otherwise.clear();
        // What the connector tells of is the change itself.
        if header.stream == Source::Connector.stream() {
            return true;
        }
        if self.processes.unheard || self.processes.has_missed_since(since) {
            self.is_as_of_later = true;
            return true;
        }
        // A waiting caller does not change.
        let is_looked_at_later = header.stream == Source::Fanotify.stream();
        if !is_looked_at_later || !self.processes.has_history() {
            return true;
        }
        match self.processes.within(header.pid, since, header.time) {
            Within::AsNow => {
                if let Some(process) = self.processes.get(header.pid) {
                    *ids = (process.uid, process.gid);
                }
                true
            }
            Within::OneOf(mut processes) => {
                let last = processes.remove(0);
                *ids = (last.uid, last.gid);
                self.was = Some(last);
                self.otherwise = processes;
                true
            }
            Within::Untold => {
                *ids = (u32::MAX, u32::MAX);
                false
            }
        }
    }

    /// A process and its start, 0 when that is not known: its id may be another's by now.
    pub(super) fn known(&self, pid: u32) -> (u32, u64) {
        (
            pid,
            self.processes.get(pid).map_or(0, |process| process.start_time),
        )
    }
}
