//! What an event is shown with: the paths and descriptors it is about, by their names.

use lanner_schema::descriptor::Descriptor;
use lanner_schema::event::{Category, Event, FdUse};
use lanner_schema::record::{FIRST_SOURCE, Header, Wire};
use lanner_schema::view::{EventView, NameSet, Names, ResolvedPath};
use memchr::memchr;
use smallvec::SmallVec;

use super::Consumer;
use crate::decode::{PathRanges, Paths, push_relative};
use crate::descriptor;
use crate::from_proc::{self, Found};
use crate::magic_link;
use crate::process_table::{param, text};
use crate::real_path::{Call, Way};

impl Consumer {
    /// Shows an event, where a rule wants to see it.
    pub(super) fn show_as(
        &mut self,
        event: Event,
        header: &Header,
        wire: Wire<'_>,
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) {
        if !self.shown.contains(event) {
            return;
        }
        let mut arena = std::mem::take(&mut self.arena);
        arena.clear();
        if self.without_types {
            self.state.processes.ensure(header);
        }
        let processes = &self.state.processes;
        let may_ask = self.without_types;
        let mut ranges = self.paths.resolve(
            event,
            &wire,
            &mut arena,
            &mut self.unresolved_paths,
            &mut |from, arena| may_ask && processes.push_start(header.pid, from, arena),
        );
        if event == Event::Chroot && wire.number(0) == Some(0) {
            self.before_chroot(header.pid, &wire, &mut arena, &mut ranges);
        }
        if self.paths.may_look_up(event) {
            self.look_up(event, header, &wire, &mut arena, &mut ranges);
        }
        let through_proc = match self.state.processes.get(header.pid) {
            Some(process) => self
                .paths
                .through_proc(event, &wire, process, &ranges, &mut arena),
            None => PathRanges::new(),
        };
        let paths: Paths<'_> = ranges
            .into_iter()
            .map(|(param, range)| ResolvedPath {
                param,
                path: &arena[range],
            })
            .collect();
        let path_of = |param| paths.iter().find(|p| p.param == param).map(|p| p.path);
        let mut descriptor = descriptor::descriptor(event, &wire, path_of);
        let found = match (&descriptor, self.without_types) {
            (Some(descriptor), true) => self.look_at(event, header, descriptor),
            _ => None,
        };
        if self.without_types {
            descriptor = descriptor.map(|one| from_proc::described(one, found.as_ref()));
        }
        if let Some(descriptor) = &mut descriptor
            && matches!(event.row().category, Category::IoRead | Category::IoWrite)
            && wire.number(0).is_some_and(|result| result.cast_signed() >= 0)
            && let Some(tuple) = &descriptor.tuple
        {
            let datagram = self.peers.note(tuple, event.row().category == Category::IoRead);
            descriptor.name_changed = datagram.changed;
            descriptor.is_server = datagram.is_server;
        }
        let own = NameSet {
            paths: &paths,
            descriptor: descriptor.as_ref(),
        };
        let mut real = self.paths.by_real_names(event, &paths);
        for (param, range) in through_proc {
            let changed = real.get_or_insert_with(|| paths.clone());
            if let Some(path) = changed.iter_mut().find(|path| path.param == param) {
                path.path = &arena[range];
            }
        }
        let named = match (&real, descriptor, event.row().fd) {
            (Some(real), Some(descriptor), FdUse::Opens { path, .. }) => {
                let path = real.iter().find(|p| p.param == path).map(|p| p.path);
                Some(Descriptor { path, ..descriptor })
            }
            _ => descriptor,
        };
        let names = match &real {
            None => Names::Agree,
            Some(paths) => Names::Requested(NameSet {
                paths,
                descriptor: named.as_ref(),
            }),
        };
        self.view(event, header, wire, None, own, names, on_event);
        drop((real, paths));
        self.arena = arena;
    }

    /// What /proc says of an event's descriptor, where that is asked for: of a socket, or of an object a rule reads.
    fn look_at(&self, event: Event, header: &Header, descriptor: &Descriptor<'_>) -> Option<Found> {
        let is_wanted = match event.row().fd {
            FdUse::Socket { .. } => true,
            FdUse::Makes { object, .. } | FdUse::Described { object, .. } | FdUse::Copies { object, .. } => {
                self.wanted[event as usize] >> object & 1 == 1
            }
            FdUse::None | FdUse::Opens { .. } => false,
        };
        let number = u32::try_from(descriptor.number).ok().filter(|_| is_wanted)?;
        let mut found = None;
        let known = self.state.known(header.pid);
        let procfs = &self.state.processes.procfs;
        procfs.descriptor(known, number, &mut |descriptor| {
            found = Some(Found::keep(descriptor))
        });
        found
    }

    /// Finds out where the paths of a call led that succeeded, those of which a rule asks.
    fn look_up(
        &mut self,
        event: Event,
        header: &Header,
        wire: &Wire<'_>,
        arena: &mut Vec<u8>,
        ranges: &mut PathRanges,
    ) {
        let wanted = self.wanted[event as usize];
        let result = event.row().result().and_then(|index| wire.number(index));
        if wanted == 0 || result.is_none_or(|result| result.cast_signed() < 0) {
            return;
        }
        self.state.processes.ensure(header);
        if self.is_excused(event, header) {
            return;
        }
        let processes = &self.state.processes;
        // Those that end at once are seen when they are gone; who started them in the same cgroup has the same root, but
        // for a chroot of their own.
        let first = processes.get(header.pid);
        let above = std::iter::successors(first, |process| processes.get(process.ppid)).skip(1);
        let near = above.take(3).filter(|process| process.cgroup == header.cgroup);
        let candidates: SmallVec<[u32; 4]> = std::iter::once(header.pid)
            .chain(near.map(|process| process.pid))
            .collect();
        let call = Call {
            processes: &candidates,
            returned: header.time,
        };
        for (path, real, follows) in self.paths.looked_up(event, wire) {
            // What was noted during the call is in the record.
            if ranges.iter().any(|(known, _)| *known == real) {
                continue;
            }
            let Some(param) = wire.param(path.into()).filter(|_| wanted >> real & 1 == 1) else {
                continue;
            };
            let start = arena.len();
            let end = memchr(0, param.bytes).unwrap_or(param.bytes.len());
            let (raw, base) = (
                &param.bytes[..end],
                param.bytes.get(end + 1..).unwrap_or_default(),
            );
            let led =
                first.and_then(|process| magic_link::follow(raw, base, param.truncated, process, arena));
            let led = led.map(|range| arena[range].to_vec());
            arena.truncate(start);
            let way = match &led {
                _ if param.truncated => None,
                Some(led) => Way::of(led, b"", follows),
                None => Way::of(raw, base, follows),
            };
            if way.is_some_and(|way| way.look_up(&mut self.real_paths, &call, arena)) {
                ranges.push((real, start..arena.len()));
            } else {
                self.unknown_ways += 1;
            }
        }
    }

    /// True for a call that no rule matches which reads where its paths led, by the name of who made it. What is recorded may be
    /// shown to other rules; and who it was is not certain where a source tells of it later.
    fn is_excused(&self, event: Event, header: &Header) -> bool {
        let programs = self.excused.get(&(event as u16));
        let programs = programs.filter(|_| self.recorder.is_none() && header.stream < FIRST_SOURCE);
        programs.is_some_and(|programs| {
            let process = self.state.processes.get(header.pid);
            process.is_some_and(|process| programs.contains(&process.image.comm[..]))
        })
    }

    /// Makes the path of a successful chroot absolute from the directory the process was in: what the record says is
    /// seen from the new root.
    fn before_chroot(&self, pid: u32, wire: &Wire<'_>, arena: &mut Vec<u8>, ranges: &mut PathRanges) {
        const PATH: usize = param!(Chroot, "path");
        let raw = wire.param(PATH).map_or(&[][..], |p| text(p.bytes));
        let process = self.state.processes.get(pid).filter(|_| !raw.starts_with(b"/"));
        let path = ranges.iter_mut().find(|(index, _)| usize::from(*index) == PATH);
        if let Some((process, (_, range))) = process.zip(path) {
            let start = arena.len();
            push_relative(arena, &process.cwd, raw);
            *range = start..arena.len();
        }
    }
}
