//! See [`lanner_fuzz::ttrpc`].

#![cfg_attr(feature = "libfuzzer", no_main)]

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| lanner_fuzz::ttrpc(data));

#[cfg(not(feature = "libfuzzer"))]
fn main() -> std::process::ExitCode {
    lanner_fuzz::judge_files(lanner_fuzz::ttrpc)
}
