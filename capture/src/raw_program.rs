//! Programs of a few instructions, made here and loaded without an object: those that are tried on a host, and the stubs
//! that stand on single system calls.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

use libbpf_rs::libbpf_sys as sys;

/// What a program hangs on. Numbers are ids of the kernel's types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// A tracepoint, by its `btf_trace_*`.
    Tracepoint(u32),
    /// The beginning of a function.
    Start(u32),
    /// The end of a function.
    End(u32),
    /// An iterator, by its `bpf_iter_*`.
    Iterator(u32),
    /// A tracepoint by its name, without types.
    Raw(&'static CStr),
}

/// Instructions as the kernel has them, eight bytes each.
type Instruction = u64;

const fn instruction(code: u8, registers: u8, imm: i32) -> Instruction {
    let imm = imm.to_ne_bytes();
    u64::from_ne_bytes([code, registers, 0, 0, imm[0], imm[1], imm[2], imm[3]])
}

const SET: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const SET_WIDE: u8 = 0x18; // BPF_LD | BPF_DW | BPF_IMM
const OF_MAP: u8 = 1 << 4; // BPF_PSEUDO_MAP_FD as the source register
const CALL: u8 = 0x85; // BPF_JMP | BPF_CALL
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

/// A program that does nothing.
pub(crate) const NOTHING: [Instruction; 2] = [instruction(SET, 0, 0), instruction(EXIT, 0, 0)];

/// A program that goes on as the first of an array of programs, with the context it was given.
pub(crate) fn tail_call(programs: BorrowedFd<'_>) -> [Instruction; 6] {
    [
        instruction(SET_WIDE, 2 | OF_MAP, programs.as_raw_fd()),
        0,
        instruction(SET, 3, 0),
        // What follows runs only while the array is empty.
        instruction(CALL, 0, sys::BPF_FUNC_tail_call.cast_signed()),
        instruction(SET, 0, 0),
        instruction(EXIT, 0, 0),
    ]
}

fn owned(descriptor: i32) -> io::Result<OwnedFd> {
    match descriptor {
        // The library gives the error number, and sets errno too.
        ..0 => Err(io::Error::from_raw_os_error(-descriptor)),
        // SAFETY: a descriptor that the kernel has just given to this call, and nobody else knows.
        _ => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
    }
}

/// Loads a program. The kernel keeps the first 15 bytes of its name.
///
/// # Errors
/// What the kernel says.
pub(crate) fn load(name: &str, hook: Hook, instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let (kind, attach, id) = match hook {
        Hook::Tracepoint(id) => (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_RAW_TP, id),
        Hook::Start(id) => (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_FENTRY, id),
        Hook::End(id) => (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_FEXIT, id),
        Hook::Iterator(id) => (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_ITER, id),
        Hook::Raw(_) => (sys::BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0),
    };
    let name = CString::new(name.get(..15).unwrap_or(name))?;
    let mut options = sys::bpf_prog_load_opts {
        sz: size_of::<sys::bpf_prog_load_opts>() as sys::size_t,
        expected_attach_type: attach,
        attach_btf_id: id,
        ..Default::default()
    };
    // SAFETY: the name and the licence end in NUL, and there are as many instructions as is said, of eight bytes and
    // aligned to them as the kernel's are; the library keeps none of the pointers.
    owned(unsafe {
        sys::bpf_prog_load(
            kind,
            name.as_ptr(),
            c"Dual MIT/GPL".as_ptr(),
            instructions.as_ptr().cast(),
            instructions.len() as sys::size_t,
            &raw mut options,
        )
    })
}

/// Attaches a program to what it was loaded for. It stays so until the descriptor is closed.
///
/// # Errors
/// What the kernel says.
pub(crate) fn attach(program: BorrowedFd<'_>, hook: Hook) -> io::Result<OwnedFd> {
    let program = program.as_raw_fd();
    // SAFETY: the name is none or ends in NUL, and no options are given.
    owned(unsafe {
        match hook {
            Hook::Iterator(_) => sys::bpf_link_create(program, 0, sys::BPF_TRACE_ITER, ptr::null()),
            Hook::Raw(name) => sys::bpf_raw_tracepoint_open(name.as_ptr(), program),
            _ => sys::bpf_raw_tracepoint_open(ptr::null(), program),
        }
    })
}

/// How many runs of a program the kernel refused because it was running on that CPU; 0 where it does not say.
pub(crate) fn refused_runs(program: BorrowedFd<'_>) -> u64 {
    let mut info = sys::bpf_prog_info::default();
    let mut length = u32::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the kernel writes no more than the length that is said, which is the structure's; all of it is numbers, and
    // its pointers, which are all 0, ask for nothing more.
    let error = unsafe { sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut length) };
    match error {
        0 => info.recursion_misses,
        _ => 0,
    }
}
