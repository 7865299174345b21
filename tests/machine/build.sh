#!/usr/bin/env bash
# Installs what the build needs and builds the release binary.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_cargo
install_packages "${BUILD_PACKAGES[@]}"
cd "$ROOT"
say "building lanner (the first time takes some minutes)"
cargo build --release --locked --bin lanner
say "built ${CARGO_TARGET_DIR:-target}/release/lanner"
