#!/usr/bin/env bash
# Builds Lanner and starts it in the foreground; the arguments go to it.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_root "make run"
need_kernel
"$ROOT/tests/machine/build.sh"
mount_kernel_filesystems
cd "$ROOT"
exec "${CARGO_TARGET_DIR:-target}/release/lanner" "$@"
