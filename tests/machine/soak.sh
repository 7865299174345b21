#!/usr/bin/env bash
# The longer and larger runs: a fresh machine, then the tests that are too long for every submission.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_root "make soak" soak
need_cargo
"$ROOT/tests/machine/fresh.sh"
cd "$ROOT"
say "the package and the static program"
make deb-check static
install_packages "${TEST_PACKAGES[@]}"
mount_kernel_filesystems
export LANNER_MACHINE_DIR=$MACHINE_DIR
say "the tests marked as long"
cargo test --workspace --locked --no-fail-fast -- --ignored
say "every kernel there is: the driver tests, and instructions"
cargo xtask kernels --check
say "half an hour of fuzzing"
FUZZ_SECONDS=${FUZZ_SECONDS:-1800} tests/machine/fuzz.sh || [ $? = 77 ]
say "containers of containerd 1.7"
LANNER_CONTAINERD_SUITE=trixie cargo test --locked --no-fail-fast --test containerd --test nri --test pods --test old_guide
say "the whole suite, three times in a row"
for round in 1 2 3; do
    say "round $round"
    cargo test --workspace --locked --no-fail-fast
done
say "done"
