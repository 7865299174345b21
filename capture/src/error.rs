//! What can stop capture.

use std::path::PathBuf;

use crate::tier::Tier;

/// Why capture can't start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The process may not load BPF programs.
    #[error(
        "loading BPF programs needs root, or CAP_BPF and CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN); missing: {missing}; nor is there another way: {others}"
    )]
    Privilege {
        /// The capabilities that are missing.
        missing: String,
        /// The sources without BPF, and why there is none of them.
        others: String,
    },
    /// The kernel has no type information.
    #[error(
        "this kernel ({kernel}) has no /sys/kernel/btf/vmlinux, which capture tiers trampoline and sys_exit need \
         (CONFIG_DEBUG_INFO_BTF); leave engine.tier on auto"
    )]
    NoBtf {
        /// The kernel's release.
        kernel: String,
    },
    /// The host does not allow the tier that is asked for, or none.
    #[error("this host cannot be watched in capture tier {tier}: {why}")]
    TierRefused {
        /// The tier; the last that was possible where none was asked for.
        tier: Tier,
        /// What keeps it from working.
        why: String,
    },
    /// The kernel refuses a program on the function of a call.
    #[error(
        "capture tier trampoline: {step} {function}: {reason}; engine.tier prefer_trampoline takes another tier then"
    )]
    Function {
        /// What was being done.
        step: &'static str,
        /// The function's name.
        function: String,
        /// What the kernel said.
        reason: std::io::Error,
    },
    /// A source without BPF can't be started or told.
    #[error("{source_name}: cannot {step}: {reason}")]
    Source {
        /// The source's name.
        source_name: &'static str,
        /// What was being done.
        step: String,
        /// What the kernel said.
        reason: std::io::Error,
    },
    /// A step of loading the programs failed.
    #[error("{step}: {source}{hint}")]
    Bpf {
        /// What was being done.
        step: String,
        /// What libbpf said.
        source: libbpf_rs::Error,
        /// What to try.
        hint: &'static str,
    },
    /// The object lacks a program or map this code expects.
    #[error("the BPF object has no {0}: it was built from other sources than this binary")]
    Missing(String),
    /// A file of the system couldn't be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl CaptureError {
    /// Why a tier can't be started, without what to try.
    pub(crate) fn why(&self) -> String {
        match self {
            CaptureError::Function {
                step,
                function,
                reason,
            } => format!("{step} {function}: {reason}"),
            CaptureError::TierRefused { why, .. } => why.clone(),
            other => other.to_string(),
        }
    }

    pub(crate) fn bpf(step: impl Into<String>, source: libbpf_rs::Error) -> CaptureError {
        let hint = match source.kind() {
            libbpf_rs::ErrorKind::PermissionDenied => {
                " (a seccomp filter, a lockdown policy or missing capabilities refuse it; run with log_level debug for the kernel's own words)"
            }
            _ => "",
        };
        CaptureError::Bpf {
            step: step.into(),
            source,
            hint,
        }
    }
}
