#!/usr/bin/env bash
# Fuzzes the parsers for FUZZ_SECONDS (60) each, all targets at once, from what earlier runs found: `fuzz.sh [TARGET...]`.
# FUZZ_SEED makes a run repeat (`make test` sets it: a change is judged by what it changed); without it every run differs.
# No nightly toolchain is needed: the coverage counters come from LLVM's own pass.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=${FUZZ_SECONDS:-60}
targets=(condition rules template recording mux ttrpc nri)
[ $# = 0 ] || targets=("$@")
folder=${CARGO_TARGET_DIR:-$ROOT/target}/fuzz
# What one input may take, with every check of the compiler on and other work on the machine.
input_seconds=25
megabytes=1024

cd "$ROOT"
need_cargo
# libFuzzer is C++; a compiler without its headers is not enough.
if ! printf '#include <vector>\nint main() { return 0; }\n' | "${CXX:-c++}" -std=c++17 -x c++ - -o /dev/null 2>/dev/null; then
    skip "fuzzing: libFuzzer needs a C++ compiler (apt-get install g++)"
fi

mkdir -p "$folder"
# As part of the whole workspace, see selfcheck.sh.
cargo build -q --locked --workspace --bin seeds
"${CARGO_TARGET_DIR:-$ROOT/target}/debug/seeds" "$folder/seeds"
host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
say "building the fuzz targets"
# With a target named, the flags are not used for build scripts and macros.
RUSTFLAGS=$flags CARGO_TARGET_DIR=$folder/target cargo build -q --locked --profile fuzz --target "$host" -p lanner-fuzz --features libfuzzer \
    "${targets[@]/#/--bin=}"

say "fuzzing ${targets[*]} for $seconds seconds"
running=()
for target in "${targets[@]}"; do
    mkdir -p "$folder/corpus/$target" "$folder/crashes"
    "$folder/target/$host/fuzz/$target" "$folder/corpus/$target" "$folder/seeds/$target" -dict="$folder/seeds/$target.dict" \
        -seed="${FUZZ_SEED:-0}" -max_total_time="$seconds" -timeout="$input_seconds" -rss_limit_mb="$megabytes" -max_len=8192 -print_final_stats=1 \
        -artifact_prefix="$folder/crashes/$target-" >"$folder/$target.log" 2>&1 &
    running+=($!)
done
trap 'kill "${running[@]}" 2>/dev/null' EXIT
failed=()
for index in "${!targets[@]}"; do
    target=${targets[$index]}
    wait "${running[$index]}" || failed+=("$target")
    awk -v target="$target" '/ cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) } /stat::number_of_executed_units/ { inputs = $2 }
        /stat::peak_rss_mb/ { peak = $2 } END { printf "fuzz %s: %d inputs, %d edges covered, %d MB at most\n", target, inputs, edges, peak }' "$folder/$target.log"
done
trap - EXIT
for target in "${failed[@]}"; do
    artifact=$(sed -n 's/^.*Test unit written to //p' "$folder/$target.log" | tail -n 1)
    grep -a -m 1 -A 3 'panicked at\|ERROR: libFuzzer' "$folder/$target.log" >&2 || tail -n 20 "$folder/$target.log" >&2
    printf 'error: fuzz target %s failed (its whole output: %s)\n' "$target" "$folder/$target.log" >&2
    [ -z "$artifact" ] || printf '  again:  cargo run -p lanner-fuzz --bin %s %s\n  mended: move it to fuzz/regressions/%s/, where cargo test judges it\n' \
        "$target" "$artifact" "$target" >&2
done
[ ${#failed[@]} = 0 ]
