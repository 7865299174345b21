#!/usr/bin/env bash
# Builds what is measured in counted guests as static release programs, and prints the folder they are in: lanner, measure,
# examples/empty_hook.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_cargo
target=$(rustc -vV | sed -n 's/^host: //p')
folder=$MACHINE_DIR/guests
mkdir -p "$folder"
# A target folder of its own: other flags would make cargo build everything again each time.
export CARGO_TARGET_DIR=$folder RUSTFLAGS="-C target-feature=+crt-static"
LIBBPF_SYS_LIBRARY_PATH=$(dirname "$(gcc -print-file-name=libelf.a)")
export LIBBPF_SYS_LIBRARY_PATH
cd "$ROOT"
cargo build --release --locked -p lanner -p lanner-capture -p xtask --bin lanner --bin measure --example empty_hook \
    --features lanner-capture/static --target "$target" >&2
printf '%s\n' "$folder/$target/release"
