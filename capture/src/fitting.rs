//! What programs are fitted to when they are loaded: those of the kernel's types that they know, in a file of their own. To look
//! through all types for each of those takes the library longer than everything else it does.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::btf::{Btf, STRUCT};
use crate::kernel_btf::TypesOfHost;
use crate::tier::Tier;

/// The names of the types that the object knows.
static NAMES: &[&[u8]] = &include!(concat!(env!("OUT_DIR"), "/type_names.rs"));

/// Those of `struct kernel_types`.
const LOADED_FROM: [&[u8]; 7] = [
    b"dentry",
    b"file",
    b"io_kiocb",
    b"linux_binprm",
    b"mount",
    b"socket",
    b"task_struct",
];

/// The kernel's types that the programs know.
#[derive(Debug, Default)]
pub(crate) struct Fitting {
    file: Option<File>,
    ids: [u32; LOADED_FROM.len()],
    /// Programs may load from kernel objects, and need not have the kernel read them.
    pub(crate) has_loads: bool,
}

impl Fitting {
    /// What programs of a tier are fitted to; nothing where the kernel has no types, or they know none.
    pub(crate) fn of_host(tier: Tier) -> &'static Fitting {
        static NOTHING: Fitting = Fitting {
            file: None,
            ids: [0; LOADED_FROM.len()],
            has_loads: false,
        };
        match tier {
            Tier::Raw => &NOTHING,
            _ => &TypesOfHost::get().fitting,
        }
    }

    pub(crate) fn of(kernel: &Btf<'_>, has_loads: bool) -> Fitting {
        let mut ids = [0; LOADED_FROM.len()];
        for (id, one) in kernel.all().filter(|(_, one)| one.kind == STRUCT) {
            let name = kernel.name(one);
            if let Some(place) = LOADED_FROM.iter().position(|wanted| *wanted == name) {
                // Of several, the library takes the first, too.
                ids[place] = if ids[place] == 0 { id } else { ids[place] };
            }
        }
        let reduced = kernel.reduced(&|name| NAMES.binary_search(&name).is_ok());
        let file = in_memory(&reduced);
        Fitting { file, ids, has_loads }
    }

    /// Where the library finds them; `None` when there is no such place, where it looks through all.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let file = self.file.as_ref()?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        path.exists().then_some(path)
    }

    /// `struct kernel_types` as build.rs declares it.
    pub(crate) fn ids(&self) -> Vec<u8> {
        self.ids.iter().flat_map(|id| id.to_ne_bytes()).collect()
    }
}

fn in_memory(bytes: &[u8]) -> Option<File> {
    let mut file = File::from(memfd_create("lanner-types", MFdFlags::MFD_CLOEXEC).ok()?);
    file.write_all(bytes).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use nix::unistd::geteuid;

    use super::*;
    use crate::bpf::open;
    use crate::own_map;

    /// `BPF_LD | BPF_DW | BPF_IMM`, whose source register says that it is of a map.
    const LOAD_ADDRESS: u8 = 0x18;

    type Instruction = (u8, u8, u8, i16, i32);

    /// The instructions of each program once it is fitted, without the numbers of maps.
    fn fitted(fitting: &Fitting) -> Vec<(String, Vec<Instruction>)> {
        let mut open = open(Tier::SysExit, fitting, false).unwrap();
        for mut program in open.progs_mut() {
            // Of the others, some are for functions that are told later.
            let on_tracepoint = program.section().to_string_lossy().contains("tp_btf/");
            program.set_autoload(on_tracepoint);
        }
        own_map::prepare(&mut open).unwrap();
        let programs = open.progs().filter(|program| program.autoload());
        programs
            .map(|program| {
                let mut of_map = false;
                let instructions = program.insns().iter().map(|i| {
                    let is_second = std::mem::take(&mut of_map);
                    of_map = i.code == LOAD_ADDRESS && i.src_reg() != 0;
                    let imm = if of_map && !is_second { 0 } else { i.imm };
                    (i.code, i.dst_reg(), i.src_reg(), i.off, imm)
                });
                (
                    program.name().to_string_lossy().into_owned(),
                    instructions.collect(),
                )
            })
            .collect()
    }

    #[test]
    fn programs_come_out_as_they_would_of_all_types() {
        if !geteuid().is_root() {
            eprintln!("skipped: it makes maps");
            return;
        }
        let fitting = Fitting::of_host(Tier::SysExit);
        if fitting.ids == [0; LOADED_FROM.len()] {
            eprintln!("skipped: this kernel has no types");
            return;
        }
        assert!(fitting.ids.iter().all(|id| *id != 0));
        assert!(fitting.path().is_some());
        // The object that loads from kernel objects goes where the kernel lets it, the other one everywhere.
        for has_loads in [false, true] {
            if has_loads && !fitting.has_loads {
                continue;
            }
            let with = |file: Option<&File>| {
                fitted(&Fitting {
                    file: file.map(|file| file.try_clone().unwrap()),
                    ids: fitting.ids,
                    has_loads,
                })
            };
            let of_all = with(None);
            assert!(of_all.len() > 5, "few programs: {}", of_all.len());
            assert_eq!(with(fitting.file.as_ref()), of_all);
        }
    }
}
