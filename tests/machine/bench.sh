#!/usr/bin/env bash
# Measures what Lanner costs on this machine. One thing at a time: nothing else should run meanwhile.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_root "make bench" bench
need_kernel
"$ROOT/tests/machine/build.sh"
mount_kernel_filesystems
cd "$ROOT"
cargo build --release --locked -p lanner-capture --example empty_hook
[ -f benches/cost.rs ] || stop "benches/cost.rs is not there"
say "the engine alone: loading, compiling, evaluating, formatting"
cargo bench --locked -p lanner-engine --bench engine -- --quiet
say "decoding, state and rules apart, on a recording"
cargo bench --locked --bench replay
say "how long the container runtime waits for replies"
cargo bench --locked -p lanner-nri --bench replies
cargo bench --locked --bench starts
say "what watching costs, in time"
cargo bench --locked --bench cost -- "$@"
say "what watching costs without BPF, in time"
cargo bench --locked --bench without_bpf -- "$@"
say "what watching costs, in instructions, in a guest"
cargo xtask kernels --kernel 6.18 --no-tests --check
