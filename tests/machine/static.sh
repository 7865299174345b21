#!/usr/bin/env bash
# Builds target/static/lanner, which needs no library of its host, and runs it in a folder that holds nothing else.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_cargo
install_packages "${BUILD_PACKAGES[@]}"
cd "$ROOT"
target=$(rustc -vV | sed -n 's/^host: //p')
folder=${CARGO_TARGET_DIR:-target}/static
say "building a static lanner (the first time takes some minutes)"
LIBBPF_SYS_LIBRARY_PATH=$(dirname "$(gcc -print-file-name=libelf.a)")
export LIBBPF_SYS_LIBRARY_PATH
# With --target the flags are the program's alone, not those of what runs during the build.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" CARGO_TARGET_DIR=$folder \
    cargo build --release --locked --bin lanner --features static --target "$target"
mv "$folder/$target/release/lanner" "$folder/lanner"
! readelf -d "$folder/lanner" | grep NEEDED || stop "$folder/lanner needs the libraries above"
if [ "$(id -u)" = 0 ]; then
    empty=$(mktemp -d)
    trap 'rm -rf "$empty"' EXIT
    cp "$folder/lanner" "$empty/lanner"
    chroot "$empty" /lanner --version >/dev/null
    say "it runs where there is nothing else"
fi
say "built $folder/lanner"
