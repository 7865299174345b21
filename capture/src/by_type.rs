//! Programs whose hooks and calls go by ids of the kernel's types. The library finds such ids for an object by reading all of the
//! kernel's types once more, for each object; here they are read once, and it is given the ids.

use std::ffi::{CStr, c_int, c_long};
use std::sync::OnceLock;

use libbpf_rs::OpenObject;
use libbpf_rs::libbpf_sys::{self as sys, bpf_insn, bpf_prog_load_opts, bpf_program, size_t};

use crate::error::CaptureError;
use crate::kernel_btf::TypesOfHost;
use crate::kernel_types::READ_ONLY_CAST;
use crate::own_map::set_instructions;

/// What kinds of programs hang on, with the name of it behind: `tp_btf/sys_exit`.
const KINDS: [(&CStr, sys::bpf_attach_type); 3] = [
    (c"tp_btf+", sys::BPF_TRACE_RAW_TP),
    (c"fentry+", sys::BPF_TRACE_FENTRY),
    (c"fexit+", sys::BPF_TRACE_FEXIT),
];

const NO_ENTRY: c_int = -2;

const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL`: of a function of the kernel's.
const OF_KERNEL: u8 = 2;
/// By which the programs call `bpf_rdonly_cast` (bpf/loads.h).
const CAST: i32 = 0x7f00_0001;

/// Tells the library once how programs of these kinds are loaded.
///
/// # Errors
/// When it has no memory for that.
pub(crate) fn register() -> Result<(), CaptureError> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    let error = *REGISTERED.get_or_init(|| {
        let options = sys::libbpf_prog_handler_opts {
            sz: size_of::<sys::libbpf_prog_handler_opts>() as size_t,
            prog_prepare_load_fn: Some(give_id),
            ..Default::default()
        };
        let register = |(section, attach): (&CStr, _)| {
            // Until such a program is loaded it goes as one of another type: of one that goes by types it reads them all.
            let kind = sys::BPF_PROG_TYPE_RAW_TRACEPOINT;
            // SAFETY: the name ends in NUL; it and the options are copied. The lock keeps others from doing the same, and
            // no object of this process is opened before.
            unsafe { sys::libbpf_register_prog_handler(section.as_ptr(), kind, attach, &raw const options) }
        };
        KINDS.into_iter().map(register).min().unwrap_or(0)
    });
    match error {
        ..0 => Err(failed(error)),
        _ => Ok(()),
    }
}

fn failed(error: c_int) -> CaptureError {
    let reason = libbpf_rs::Error::from_raw_os_error(-error);
    CaptureError::bpf("load the BPF programs", reason)
}

/// Called by the library right before it loads a program.
unsafe extern "C" fn give_id(
    program: *mut bpf_program,
    options: *mut bpf_prog_load_opts,
    _: c_long,
) -> c_int {
    // SAFETY: both are the library's, and nobody else's during this call; the section's name ends in NUL.
    let (options, section) = unsafe {
        (
            &mut *options,
            CStr::from_ptr(sys::bpf_program__section_name(program)),
        )
    };
    // It is there already where user space has said which function.
    if options.attach_btf_id == 0 {
        let id = section.to_str().ok().and_then(id_of);
        options.attach_btf_id = match id {
            Some(id) => id,
            None => return NO_ENTRY,
        };
    }
    // SAFETY: the program is not loaded yet.
    unsafe { sys::bpf_program__set_type(program, sys::BPF_PROG_TYPE_TRACING) }
}

/// The id of what a section names.
fn id_of(section: &str) -> Option<u32> {
    let (kind, name) = section.split_once('/')?;
    let types = &TypesOfHost::get().attachable;
    match kind {
        "tp_btf" => types.tracepoints.get(name).copied(),
        _ => Some(types.functions.get(name)?.id),
    }
}

/// Puts the kernel's ids of functions into the programs that are to be loaded.
///
/// # Errors
/// When the library has no memory for that.
pub(crate) fn link(open: &mut OpenObject) -> Result<(), CaptureError> {
    let Some(cast) = TypesOfHost::get().attachable.functions.get(READ_ONLY_CAST) else {
        return Ok(());
    };
    for mut program in open.progs_mut().filter(|program| program.autoload()) {
        let is_call = |one: &bpf_insn| one.code == CALL && one.src_reg() == 0 && one.imm == CAST;
        if !program.insns().iter().any(is_call) {
            continue;
        }
        let mut instructions = program.insns().to_vec();
        for call in instructions.iter_mut().filter(|one| is_call(one)) {
            call.set_src_reg(OF_KERNEL);
            call.imm = cast.id.cast_signed();
        }
        set_instructions(&mut program, &mut instructions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lanner_schema::path_hook::PATH_HOOKS;

    use crate::bpf::open;
    use crate::fitting::Fitting;
    use crate::kernel_types::{FUNCTIONS, TRACEPOINTS};
    use crate::tier::Tier;

    #[test]
    fn what_programs_hang_on_is_looked_for() {
        let open = open(Tier::SysExit, &Fitting::default(), true).unwrap();
        let mut count = 0;
        for program in open.progs() {
            let section = program.section().to_string_lossy();
            let Some((kind, name)) = section.trim_start_matches('?').split_once('/') else {
                continue;
            };
            let is_known = match kind {
                "tp_btf" => TRACEPOINTS.contains(&name),
                "fentry" | "fexit" => {
                    FUNCTIONS.contains(&name) || PATH_HOOKS.iter().any(|hook| hook.function == name)
                }
                _ => continue,
            };
            assert!(is_known, "{section}");
            count += 1;
        }
        assert!(count > 20, "few programs: {count}");
    }
}
