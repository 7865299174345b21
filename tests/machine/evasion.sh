#!/usr/bin/env bash
# The evasion tests and the program they test, as `make test` builds them, for guests: prints the path of a copy of each, and of every
# library they need. Where the program is in the guest, LANNER_TEST_PROGRAM tells the tests.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_cargo
cd "$ROOT"
log=$(mktemp)
# As part of the whole workspace, see selfcheck.sh.
cargo test --no-run --locked --workspace --test evasion 2>"$log" || { cat "$log" >&2 && exit 1; }
tests=$(sed -n 's/.*Executable tests\/evasion.rs (\(.*\))$/\1/p' "$log")
rm -f "$log"
[ -x "$tests" ] || stop "cargo did not say where the tests are"
for_guests "$MACHINE_DIR/guests/programs" "$tests" "$(dirname "$(dirname "$tests")")/lanner"
