#!/usr/bin/env bash
# The capture crate's selfcheck, as `make test` builds it, for guests: prints the path of a copy, and of every library it needs.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_cargo
cd "$ROOT"
# As part of the whole workspace: by itself its libraries have other features, and cargo would build them all again.
cargo build --locked --workspace --example selfcheck >&2
for_guests "$MACHINE_DIR/guests/programs" "${CARGO_TARGET_DIR:-$ROOT/target}/debug/examples/selfcheck"
