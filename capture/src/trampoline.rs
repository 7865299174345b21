//! Tier A: stubs on the functions of single system calls, which go on as one walker.
//!
//! A stub is six instructions and hangs on one function; what it goes on as was verified once. The kernel lets programs
//! hand over to each other only where their functions have the same prototype, of which there are two or three: there is a
//! walker for each. They share the maps of the object that captures the life of processes.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

use libbpf_rs::{MapCore as _, MapFlags, MapHandle, Object};

use crate::bpf::program_array;
use crate::descriptor_limit;
use crate::error::CaptureError;
use crate::kernel_types::Function;
use crate::plan::Plan;
use crate::raw_program::{self, Hook, refused_runs};

/// Which side of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Side {
    Start,
    End,
}

impl Side {
    fn hook(self, function: Function) -> Hook {
        match self {
            Side::Start => Hook::Start(function.id),
            Side::End => Hook::End(function.id),
        }
    }

    /// The program that stubs go on as.
    pub(crate) fn walker(self) -> &'static str {
        match self {
            Side::Start => "walk_start",
            Side::End => "walk_end",
        }
    }
}

/// What stubs on functions of one prototype go on as.
#[derive(Debug)]
struct Walker {
    object: Object,
    /// Its only program is the walker while the stubs are to do anything.
    array: MapHandle,
    is_live: bool,
}

#[derive(Debug)]
struct Stub {
    /// Closing it detaches the program.
    _link: OwnedFd,
    program: OwnedFd,
}

/// The stubs that are attached.
#[derive(Debug, Default)]
pub(crate) struct Trampolines {
    walkers: HashMap<(Side, u32), Walker>,
    stubs: BTreeMap<(Side, String), Stub>,
    /// Runs that were refused of stubs that are gone, by function.
    refused: BTreeMap<String, u64>,
}

const FIRST: [u8; 4] = [0; 4];

impl Walker {
    fn of(object: Object) -> Result<Walker, CaptureError> {
        Ok(Walker {
            object,
            array: program_array()?,
            is_live: false,
        })
    }

    /// Lets the stubs do something, or nothing: at one moment for all of them.
    fn set_live(&mut self, live: bool) -> Result<(), CaptureError> {
        if self.is_live == live {
            return Ok(());
        }
        let failed = |error| CaptureError::bpf("switch the programs on calls", error);
        match live {
            true => {
                let walker = self.object.progs().find(libbpf_rs::ProgramImpl::autoload);
                let walker = walker.ok_or_else(|| CaptureError::Missing("walker".into()))?;
                let program = walker.as_fd().as_raw_fd().to_ne_bytes();
                self.array.update(&FIRST, &program, MapFlags::ANY)
            }
            false => self.array.delete(&FIRST),
        }
        .map_err(failed)?;
        self.is_live = live;
        Ok(())
    }
}

impl Stub {
    fn attach(name: &str, hook: Hook, walker: BorrowedFd<'_>) -> Result<Stub, CaptureError> {
        let failed = |step, reason: io::Error| CaptureError::Function {
            step,
            function: name.to_owned(),
            reason,
        };
        // What it is, in the few characters that a program's name has.
        let call = name.rsplit_once("_sys_").map_or(name, |(_, call)| call);
        let program = raw_program::load(call, hook, &raw_program::tail_call(walker))
            .map_err(|error| failed("load the program for", error))?;
        let link = raw_program::attach(program.as_fd(), hook).map_err(|error| failed("attach to", error))?;
        Ok(Stub { _link: link, program })
    }
}

impl Trampolines {
    /// Attaches to the functions of a plan, and detaches from all others. `load` loads a walker for a function.
    ///
    /// # Errors
    /// When the kernel refuses one. What was attached before is still there.
    pub(crate) fn attach(
        &mut self,
        plan: &Plan,
        load: &dyn Fn(Side, &str) -> Result<Object, CaptureError>,
    ) -> Result<(), CaptureError> {
        let sides = [(Side::Start, &plan.starts), (Side::End, &plan.ends)];
        descriptor_limit::allow(2 * (plan.starts.len() + plan.ends.len() + self.stubs.len()));
        let (started, before) = (Instant::now(), self.stubs.len());
        for (side, functions) in sides {
            for (name, planned) in functions {
                let key = (side, name.clone());
                if self.stubs.contains_key(&key) {
                    continue;
                }
                let function = planned.function;
                let walker = match self.walkers.entry((side, function.prototype)) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(Walker::of(load(side, name)?)?),
                };
                self.stubs.insert(
                    key,
                    Stub::attach(name, side.hook(function), walker.array.as_fd())?,
                );
            }
        }
        let count = self.stubs.len() - before;
        tracing::debug!("{count} programs on calls attached in {:?}", started.elapsed());
        Ok(())
    }

    /// Lets the stubs of one side do something, or nothing.
    pub(crate) fn set_live(&mut self, side: Side, live: bool) -> Result<(), CaptureError> {
        let of_side = self.walkers.iter_mut().filter(|((known, _), _)| *known == side);
        of_side
            .map(|(_, walker)| walker)
            .try_for_each(|walker| walker.set_live(live))
    }

    /// Detaches from the functions that a plan does not have.
    pub(crate) fn detach_others(&mut self, plan: &Plan) {
        let refused = &mut self.refused;
        self.stubs.retain(|(side, name), stub| {
            let functions = match side {
                Side::Start => &plan.starts,
                Side::End => &plan.ends,
            };
            let stays = functions.contains_key(name);
            if !stays {
                *refused.entry(name.clone()).or_default() += refused_runs(stub.program.as_fd());
            }
            stays
        });
    }

    /// Stops all of them.
    pub(crate) fn detach(&mut self) {
        for walker in self.walkers.values_mut() {
            // What is not switched off is detached all the same.
            let _ = walker.set_live(false);
        }
        for ((_, name), stub) in std::mem::take(&mut self.stubs) {
            *self.refused.entry(name).or_default() += refused_runs(stub.program.as_fd());
        }
    }

    /// Runs the kernel refused, by function.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        let mut refused = self.refused.clone();
        for ((_, name), stub) in &self.stubs {
            *refused.entry(name.clone()).or_default() += refused_runs(stub.program.as_fd());
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_is_refused_is_named_with_the_way_out() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let array = program_array().unwrap();
        // No function has this id.
        let refused = Stub::attach("__x64_sys_openat", Hook::End(u32::MAX), array.as_fd()).unwrap_err();
        let said = refused.to_string();
        for part in [
            "tier trampoline",
            "__x64_sys_openat",
            "engine.tier prefer_trampoline",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}
