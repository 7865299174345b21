#!/usr/bin/env bash
# Builds the evasion tests and the program they test as static programs, for guests, and prints the path of each: where the
# program is in the guest, LANNER_TEST_PROGRAM tells the tests.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_cargo
target=$(rustc -vV | sed -n 's/^host: //p')
folder=$MACHINE_DIR/guests
mkdir -p "$folder"
# A target folder of its own: other flags would make cargo build everything again each time.
export CARGO_TARGET_DIR=$folder RUSTFLAGS="-C target-feature=+crt-static" CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
LIBBPF_SYS_LIBRARY_PATH=$(dirname "$(gcc -print-file-name=libelf.a)")
export LIBBPF_SYS_LIBRARY_PATH
cd "$ROOT"
cargo test --no-run --locked -p lanner --test evasion --features lanner-capture/static --target "$target" 2>"$folder/evasion.log" ||
    { cat "$folder/evasion.log" >&2 && exit 1; }
tests=$(sed -n 's/.*Executable tests\/evasion.rs (\(.*\))$/\1/p' "$folder/evasion.log")
[ -x "$tests" ] || stop "cargo did not say where the tests are"
printf '%s\n' "$tests" "$folder/$target/debug/lanner"
