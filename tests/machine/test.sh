#!/usr/bin/env bash
# Every check of the project, in phases; `test.sh lint` stops after the first two. A test that this machine cannot run
# prints a line that begins with "skipped:" and passes.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$ROOT"
need_cargo
if [ "${1:-}" = lint ]; then
    install_packages "${BUILD_PACKAGES[@]}"
else
    need_root "make test" test
    install_packages "${TEST_PACKAGES[@]}"
fi

say "formatting (cargo fmt --check)"
cargo fmt --all --check || stop "cargo fmt --all would change these files"

say "lints (cargo clippy, warnings are errors)"
cargo clippy --workspace --all-targets --locked -- -D warnings
[ "${1:-}" != lint ] || exit 0

need_kernel
mount_kernel_filesystems
mkdir -p "$MACHINE_DIR"
export LANNER_MACHINE_DIR=$MACHINE_DIR

say "building the tests"
cargo test --workspace --locked --no-run

say "fetching the real containerd and the kernels the tests run"
for fixture in containerd.sh "containerd.sh trixie" "kernels.sh fetch"; do
    # A machine without the archive still runs the rest; the tests say what they skip.
    # shellcheck disable=SC2086
    tests/machine/$fixture || [ $? = 77 ] || stop "tests/machine/$fixture failed"
done

say "tests (cargo test --workspace)"
log=$MACHINE_DIR/test.log
outcome=0
cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log" || outcome=$?
say "tests of what is built on demand (cargo test -p lanner-outputs --features otlp)"
cargo test -p lanner-outputs --locked --features otlp otlp 2>&1 | tee -a "$log" || outcome=$?

# Tests that were skipped count as passed for cargo.
skips=$(grep -c '^skipped: ' "$log" || true)

say "fuzzing"
FUZZ_SEED=${FUZZ_SEED:-1} FUZZ_SECONDS=${FUZZ_SECONDS:-60} tests/machine/fuzz.sh 2>&1 | tee -a "$log" || [ "${PIPESTATUS[0]}" = 77 ] || outcome=1

say "done"
if grep -q '^skipped: ' "$log"; then
    echo "Not run on this machine:"
    grep '^skipped: ' "$log" | sort -u
fi
# Said again at the end: who reads only that is to know what failed, and why.
if [ "$outcome" != 0 ]; then
    echo "What failed:"
    grep -E '^test .* \.\.\. FAILED|^error: ' "$log" || true
    grep -A 3 "^thread '.*panicked at" "$log" || true
fi
awk -v skips="$skips" '/^test result: / { passed += $4; failed += $6; ignored += $8 }
    END { printf "lanner: %d passed, %d failed, %d skipped\n", passed - skips, failed, ignored + skips }' "$log"
exit "$outcome"
