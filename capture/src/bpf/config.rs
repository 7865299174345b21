//! The programs' `struct config`, by which they know what is wanted.

use lanner_schema::call_class::ClassSet;
use lanner_schema::event::{DEDICATED_COUNT, EVENT_COUNT, EVENTS, Event, EventRow, SOCKETCALLS as CALLS};
use nix::unistd::{SysconfVar, sysconf};

use crate::plan::Plan;

/// Sizes of `struct config` (build.rs writes the C side).
const SYSCALLS: usize = 512;
const SOCKETCALLS: usize = 32;
pub(super) const ROWS: usize = (DEDICATED_COUNT + 1).next_power_of_two();
/// Bytes before the table of system calls.
const FIXED: usize = 16;
const CONFIG_LEN: usize = FIXED + SYSCALLS * 4 + SOCKETCALLS * 2 + ROWS * (4 + 4 + 8) + 16;
/// Marks i386 `socketcall(2)` in the table of system calls.
const SOCKETCALL: u32 = 0xffff;
const I386_SOCKETCALL: usize = 102;

/// `struct config` as build.rs declares it.
pub(super) fn config_bytes(plan: &Plan, self_pid: u32, names: u32) -> Vec<u8> {
    let mut syscalls = [0u32; SYSCALLS];
    let mut socketcalls = [0u16; SOCKETCALLS];
    for row in EVENTS.iter().filter(|row| plan.captured.contains(row.event)) {
        let entry = row.event as u32 + 1;
        for nr in native(row) {
            if let Some(slot) = syscalls.get_mut(usize::from(*nr)) {
                *slot |= entry;
            }
        }
        if cfg!(target_arch = "x86_64") {
            for nr in row.i386 {
                if let Some(slot) = syscalls.get_mut(usize::from(*nr)) {
                    *slot |= entry << 16;
                }
            }
            if let Some(call) = CALLS.iter().position(|name| *name == row.name) {
                socketcalls[call] = u16::try_from(entry).unwrap_or(0);
            }
        }
    }
    let page_kb = u32::try_from(page_size() / 1024).unwrap_or(4);
    if cfg!(target_arch = "x86_64") && socketcalls.iter().any(|wanted| *wanted != 0) {
        let multiplexer = &mut syscalls[I386_SOCKETCALL];
        // What is no call of socketcall's is one of its own.
        let (itself, native) = (*multiplexer >> 16, *multiplexer & 0xffff);
        socketcalls[0] = u16::try_from(itself).unwrap_or(0);
        *multiplexer = native | SOCKETCALL << 16;
    }
    let thread_exits = u32::from(plan.shown.contains(Event::Procexit));
    let mut bytes = Vec::with_capacity(CONFIG_LEN);
    bytes.extend(self_pid.to_ne_bytes());
    bytes.extend(thread_exits.to_ne_bytes());
    bytes.extend(u32::from(plan.drop_failed).to_ne_bytes());
    bytes.extend(plan.snaplen.to_ne_bytes());
    bytes.extend(syscalls.iter().flat_map(|s| s.to_ne_bytes()));
    bytes.extend(socketcalls.iter().flat_map(|s| s.to_ne_bytes()));
    let params: [u32; EVENT_COUNT] = std::array::from_fn(|event| plan.params_in_record(&EVENTS[event]));
    bytes.extend(by_row(&params).iter().flat_map(|bits| bits.to_ne_bytes()));
    bytes.extend(by_row(&plan.task).iter().flat_map(|bits| bits.to_ne_bytes()));
    let mut classes = [ClassSet::NONE; ROWS];
    for event in plan.captured.iter() {
        let of_row = &mut classes[event.description()];
        *of_row = of_row.union(plan.classes[event as usize]);
    }
    bytes.extend(classes.iter().flat_map(|classes| classes.bits().to_ne_bytes()));
    bytes.extend(page_kb.to_ne_bytes());
    bytes.extend(names.to_ne_bytes());
    let requests = plan.requests();
    // Two words, the lower first.
    bytes.extend((requests as u32).to_ne_bytes());
    bytes.extend(((requests >> 32) as u32).to_ne_bytes());
    bytes.resize(CONFIG_LEN, 0);
    bytes
}

fn page_size() -> u64 {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

/// What is wanted of each row of the programs: the calls captured by number share one, so it gives what any of them wants.
fn by_row(wanted: &[u32; EVENT_COUNT]) -> [u32; ROWS] {
    let mut rows = [0; ROWS];
    for (row, bits) in EVENTS.iter().zip(wanted) {
        rows[row.event.description()] |= bits;
    }
    rows
}

fn native(row: &EventRow) -> &'static [u16] {
    if cfg!(target_arch = "x86_64") {
        row.x86_64
    } else {
        row.aarch64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use lanner_schema::event::EventSet;

    use crate::tier::Tier;

    #[test]
    fn the_config_names_both_conventions_of_a_call() {
        let plan = Plan {
            sources: Vec::new(),
            keeper: "".into(),
            tier: Tier::SysExit,
            reason: String::new(),
            instead: None,
            tiers: vec![],
            ends: BTreeMap::new(),
            starts: BTreeMap::new(),
            children: EventSet::NONE,
            refused: false,
            path_hooks: None,
            told_apart: EventSet::NONE,
            shown: [Event::Openat, Event::Connect].into_iter().collect(),
            captured: [Event::Openat, Event::Connect].into_iter().collect(),
            classes: [ClassSet::ALL; EVENT_COUNT],
            named: [ClassSet::NONE; EVENT_COUNT],
            names: None,
            params: [0; EVENT_COUNT],
            excused: BTreeMap::new(),
            task: [0; EVENT_COUNT],
            paths: Vec::new(),
            environment: false,
            cgroups: false,
            drop_failed: false,
            ring_bytes: 4096,
            snaplen: 80,
            io_uring: None,
            controller: None,
        };
        let bytes = config_bytes(&plan, 7, 0);
        assert_eq!(bytes.len(), CONFIG_LEN);
        let slot = |nr: usize| u32::from_ne_bytes(*bytes[FIXED + 4 * nr..].first_chunk().unwrap());
        if cfg!(target_arch = "x86_64") {
            assert_eq!(slot(257), Event::Openat as u32 + 1);
            assert_eq!(slot(295), (Event::Openat as u32 + 1) << 16);
            assert_eq!(slot(I386_SOCKETCALL), SOCKETCALL << 16);
        }
        assert_eq!(slot(2), 0, "open is not wanted");
    }
}
