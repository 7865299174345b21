//! What the kernel's tracepoints of `io_uring(7)` tell, found in its own type information.

use libbpf_rs::btf::types::{FuncProto, Struct};
use libbpf_rs::btf::{Btf, BtfKind, BtfType};

/// The programs for tracepoints that hand over the request itself. Those of kernels before 6.0 do not, and what was asked
/// for can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracepoints {
    /// The program on a submission.
    pub submit: &'static str,
    /// The program on a completion.
    pub complete: &'static str,
}

impl Tracepoints {
    /// Those of the running kernel; `None` where they do not tell enough, or there is no type information.
    pub(crate) fn find() -> Option<Tracepoints> {
        let btf = Btf::from_vmlinux().ok()?;
        // What a request asks for is of no known form where its commands have no types of their own.
        btf.type_by_name::<Struct<'_>>("io_open")?;
        let submit = ["io_uring_submit_req", "io_uring_submit_sqe"]
            .into_iter()
            .find(|name| arguments(&btf, name).first().map(String::as_str) == Some("io_kiocb"))?;
        let complete = arguments(&btf, "io_uring_complete");
        let complete = match complete.len() {
            3 if complete[2] == "io_uring_cqe" => "io_uring_complete",
            5.. => "io_uring_complete_args",
            _ => return None,
        };
        Some(Tracepoints { submit, complete })
    }
}

/// The arguments of a tracepoint: the structures that they point to, the others without a name. None where there is no such
/// tracepoint.
fn arguments(btf: &Btf<'_>, tracepoint: &str) -> Vec<String> {
    // A typedef of a pointer to a function, whose first argument is the tracepoint's own.
    let function = btf
        .type_by_name::<BtfType<'_>>(&format!("btf_trace_{tracepoint}"))
        .and_then(|typedef| typedef.next_type())
        .and_then(|pointer| pointer.next_type())
        .and_then(|function| FuncProto::try_from(function).ok());
    let Some(function) = function else {
        return Vec::new();
    };
    let structure = |id| {
        let pointer = btf
            .type_by_id::<BtfType<'_>>(id)
            .filter(|ty| ty.kind() == BtfKind::Ptr)?;
        let target = pointer.next_type()?;
        (target.kind() != BtfKind::Void).then(|| target.skip_mods_and_typedefs())
    };
    let name = |id| {
        let name = structure(id)
            .filter(|ty| ty.kind() == BtfKind::Struct)
            .and_then(|ty| ty.name());
        name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    function.iter().skip(1).map(|param| name(param.ty)).collect()
}
