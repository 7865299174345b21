#!/usr/bin/env bash
# Builds Lanner's Debian package. LANNER_PROGRAM is a program that is built already.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

program=${LANNER_PROGRAM:-}
need_cargo
install_packages "${BUILD_PACKAGES[@]}" dpkg-dev xz-utils
if [ -z "$program" ]; then
    "$ROOT/tests/machine/build.sh"
    program=${CARGO_TARGET_DIR:-$ROOT/target}/release/lanner
fi
package=$("$ROOT/deploy/debian/build.sh" "$program")
say "packed $package"
