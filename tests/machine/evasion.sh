#!/usr/bin/env bash
# The evasion tests and the program they test, as `make test` builds them but without what a debugger reads, for guests.
# Prints the path of each, and of every library they need: where the program is in the guest, LANNER_TEST_PROGRAM tells the tests.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_cargo
folder=$MACHINE_DIR/guests/evasion
mkdir -p "$folder"
cd "$ROOT"
# As part of the whole workspace: by itself its libraries have other features, and cargo would build them all again.
cargo test --no-run --locked --workspace --test evasion 2>"$folder/log" || { cat "$folder/log" >&2 && exit 1; }
tests=$(sed -n 's/.*Executable tests\/evasion.rs (\(.*\))$/\1/p' "$folder/log")
program=$(dirname "$(dirname "$tests")")/lanner
[ -x "$tests" ] && [ -x "$program" ] || stop "cargo did not say where the tests are"
strip -o "$folder/tests" "$tests"
strip -o "$folder/lanner" "$program"
printf '%s\n' "$folder/tests" "$folder/lanner"
ldd "$folder/tests" "$folder/lanner" | sed -n -e 's/^.* => \(\/.*\) (0x.*$/\1/p' -e 's/^\t\(\/.*\) (0x.*$/\1/p' | sort -u
