//! What the kernel's tracepoints of `io_uring(7)` tell, found in its own type information.

use crate::btf::{Btf, STRUCT, TYPEDEF, Type};

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
    pub(crate) fn find(btf: &Btf<'_>) -> Option<Tracepoints> {
        let mut typed = false;
        let (mut request, mut call, mut complete) = (Vec::new(), Vec::new(), Vec::new());
        for (_, one) in btf.all() {
            match one.kind {
                // What a request asks for is of no known form where its commands have no types of their own.
                STRUCT => typed |= btf.begins(one, b"io_open\0"),
                TYPEDEF if btf.begins(one, b"btf_trace_io_uring_submit_req\0") => {
                    request = arguments(btf, one)
                }
                TYPEDEF if btf.begins(one, b"btf_trace_io_uring_submit_sqe\0") => call = arguments(btf, one),
                TYPEDEF if btf.begins(one, b"btf_trace_io_uring_complete\0") => {
                    complete = arguments(btf, one)
                }
                _ => {}
            }
        }
        let submit = match (request.first(), call.first()) {
            _ if !typed => return None,
            (Some(Some(b"io_kiocb")), _) => "io_uring_submit_req",
            (_, Some(Some(b"io_kiocb"))) => "io_uring_submit_sqe",
            _ => return None,
        };
        let complete = match complete.as_slice() {
            [_, _, Some(b"io_uring_cqe")] => "io_uring_complete",
            [_, _, _, _, _, ..] => "io_uring_complete_args",
            _ => return None,
        };
        Some(Tracepoints { submit, complete })
    }
}

/// The arguments of a tracepoint: the structures that they point to, `None` for others.
fn arguments<'b>(btf: &Btf<'b>, typedef: Type<'_>) -> Vec<Option<&'b [u8]>> {
    // A typedef of a pointer to a function, whose first argument is the tracepoint's own.
    let function = btf.get(typedef.of).and_then(|pointer| btf.get(pointer.of));
    let Some(function) = function else {
        return Vec::new();
    };
    let parameters = function.parameters().skip(1);
    parameters.map(|of| btf.pointed_struct(of)).collect()
}
