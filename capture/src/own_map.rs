//! Programs of one object that may interrupt each other, and put values together in the same map: each of them gets one of its
//! own before it is loaded. So the object is opened, relocated and given to the kernel once, however many there are.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use libbpf_rs::libbpf_sys::{self as sys, bpf_insn, bpf_map_create_opts, size_t};
use libbpf_rs::{AsRawLibbpf as _, MapHandle, MapType, Object, OpenObject, OpenProgramMut};

use crate::by_type;
use crate::error::CaptureError;

/// `BPF_LD | BPF_DW | BPF_IMM`: loads an address, which takes two instructions.
const LOAD_ADDRESS: u8 = 0x18;
/// `BPF_PSEUDO_MAP_FD`: that of a map.
const OF_MAP: u8 = 1;

/// Makes the maps of an object and fits its programs to the kernel, so that nothing is left but to load them.
///
/// # Errors
/// What the kernel or the library refuses.
pub(crate) fn prepare(open: &mut OpenObject) -> Result<(), CaptureError> {
    // SAFETY: an object that is open and not loaded; it is exclusively ours.
    match unsafe { sys::bpf_object__prepare(open.as_libbpf_object().as_ptr()) } {
        error @ ..0 => Err(failed(libbpf_rs::Error::from_raw_os_error(-error))),
        _ => by_type::link(open),
    }
}

/// The maps of a prepared object by their names, to be used by another object too.
///
/// # Errors
/// When there is no descriptor left.
pub(crate) fn maps(open: &OpenObject) -> Result<Vec<(String, OwnedFd)>, CaptureError> {
    let own = |map: libbpf_rs::OpenMap<'_>| {
        // SAFETY: a map of an object that is there, and is not changed.
        let descriptor = unsafe { sys::bpf_map__fd(map.as_libbpf_object().as_ptr()) };
        let name = map.name().to_string_lossy().into_owned();
        // SAFETY: the object keeps it open longer than this call takes.
        let descriptor = (descriptor >= 0).then(|| unsafe { BorrowedFd::borrow_raw(descriptor) })?;
        Some(descriptor.try_clone_to_owned().map(|own| (name, own)))
    };
    let maps: Result<_, _> = open.maps().filter_map(own).collect();
    maps.map_err(|error| failed(libbpf_rs::Error::from(error)))
}

fn failed(error: libbpf_rs::Error) -> CaptureError {
    CaptureError::bpf("load the BPF programs", error)
}

/// Gives a program of a prepared object other instructions.
///
/// # Errors
/// When the library has no memory for that.
pub(crate) fn set_instructions(
    program: &mut OpenProgramMut<'_>,
    instructions: &mut [bpf_insn],
) -> Result<(), CaptureError> {
    let count = instructions.len() as size_t;
    // SAFETY: a program of an object that is not loaded, and as many instructions as are said, which are copied.
    let set = unsafe {
        sys::bpf_program__set_insns(
            program.as_libbpf_object().as_ptr(),
            instructions.as_mut_ptr(),
            count,
        )
    };
    match set {
        ..0 => Err(failed(libbpf_rs::Error::from_raw_os_error(-set))),
        _ => Ok(()),
    }
}

/// Prepares and loads an object. Programs that `has_own` is true of use one more map like `map` each, instead of that
/// one.
///
/// # Errors
/// What the kernel or the library refuses.
pub(crate) fn load(
    mut open: OpenObject,
    map: &str,
    has_own: &dyn Fn(&OsStr) -> bool,
) -> Result<Object, CaptureError> {
    let count = open.progs().filter(|p| p.autoload() && has_own(p.name())).count();
    prepare(&mut open)?;
    if count == 0 {
        return open.load().map_err(failed);
    }
    let shared = open.maps().find(|found| found.name() == map);
    let shared = shared.ok_or_else(|| CaptureError::Missing(format!("map {map}")))?;
    // SAFETY: a map of an object that is there, and is not changed.
    let descriptor = unsafe { sys::bpf_map__fd(shared.as_libbpf_object().as_ptr()) };
    let (key, value, entries) = (shared.key_size(), shared.value_size(), shared.max_entries());
    let options = bpf_map_create_opts {
        sz: size_of::<bpf_map_create_opts>() as size_t,
        ..Default::default()
    };
    let own = || {
        MapHandle::create(MapType::PercpuArray, Some(map), key, value, entries, &options)
            .map_err(|e| CaptureError::bpf(format!("make one more map {map}"), e))
    };
    // The programs hold them, once they are loaded.
    let own: Vec<MapHandle> = (0..count).map(|_| own()).collect::<Result<_, _>>()?;
    let programs = open.progs_mut().filter(|p| p.autoload() && has_own(p.name()));
    for (mut program, own) in programs.zip(&own) {
        let mut instructions = program.insns().to_vec();
        replace(&mut instructions, descriptor, own.as_fd().as_raw_fd());
        set_instructions(&mut program, &mut instructions)?;
    }
    open.load().map_err(failed)
}

/// Puts a map in the place of another, both by their descriptors.
fn replace(instructions: &mut [bpf_insn], map: i32, by: i32) {
    let mut is_second = false;
    for instruction in instructions {
        let is_address = !is_second && instruction.code == LOAD_ADDRESS;
        if is_address && instruction.src_reg() == OF_MAP && instruction.imm == map {
            instruction.imm = by;
        }
        is_second = is_address;
    }
}
