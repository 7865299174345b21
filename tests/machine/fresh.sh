#!/usr/bin/env bash
# Proves `make run` and `make test` on a Debian that holds nothing but cargo: a new system in a folder, this
# repository's last commit, the machine's own toolchain, and the crates it has downloaded.
#
#   fresh.sh [SUITE [WHAT...]]      SUITE: bookworm unless given; WHAT: run and test unless given
. "$(dirname "${BASH_SOURCE[0]}")/system.sh"

SUITE=${1:-bookworm}
shift || true
WHAT=${*:-run test}

need_root "make fresh" fresh
need_cargo
new_system "$SUITE" "$SUITE" "$WHAT"
if [ -z "$SYSTEM" ]; then
    say "a fresh Debian $SUITE needs nothing but cargo: $WHAT"
    exit 0
fi

SCREEN=$MACHINE_DIR/fresh-screen.log
ALERTS=$MACHINE_DIR/fresh-alerts.log

say "giving it cargo and this repository's last commit"
furnish_system
toolchain=$(cd "$ROOT" && rustc --print sysroot)
mkdir -p "$SYSTEM/opt/toolchain" "$SYSTEM/root/.cargo/bin" "$SYSTEM/root/.cargo/registry" "$SYSTEM/root/lanner"
mount --rbind -o ro "$toolchain" "$SYSTEM/opt/toolchain"
for program in "$toolchain"/bin/*; do
    ln -s "/opt/toolchain/bin/$(basename "$program")" "$SYSTEM/root/.cargo/bin/"
done
# What cargo has downloaded saves time and nothing else; its settings say how this machine reaches the registry.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
for part in registry/index registry/cache; do
    [ ! -d "$cargo_home/$part" ] || cp -r "$cargo_home/$part" "$SYSTEM/root/.cargo/registry/"
done
for part in config.toml config; do
    [ ! -e "$cargo_home/$part" ] || cp "$cargo_home/$part" "$SYSTEM/root/.cargo/$part"
done
git -c safe.directory="$ROOT" -C "$ROOT" archive HEAD | tar -x -C "$SYSTEM/root/lanner"
# Whoever types `make` has it.
install_in_system make

try_run() {
    local run deadline
    say "make run, until it watches and an alert has come"
    in_system make -C /root/lanner run >"$ALERTS" 2> >(tee "$SCREEN" >&2) &
    run=$!
    deadline=$(($(date +%s) + 1500))
    until grep -q 'cat /etc/shadow' "$SCREEN"; do
        kill -0 $run 2>/dev/null || stop "make run ended before Lanner was watching"
        [ "$(date +%s)" -lt $deadline ] || stop "Lanner was not watching after 25 minutes"
        sleep 1
    done
    deadline=$(($(date +%s) + 60))
    until grep -q '/etc/shadow.*container_id=host' "$ALERTS"; do
        in_system cat /etc/shadow >/dev/null
        [ "$(date +%s)" -lt $deadline ] || stop "no alert came for cat /etc/shadow"
        sleep 1
    done
    grep -m 1 '/etc/shadow.*container_id=host' "$ALERTS" >&2
    kill -INT "$(processes lanner | sed -n 1p)"
    wait $run || stop "make run did not end with 0 after Ctrl-C"
}

# The build alone; quicker, for trying this script.
try_build() {
    say "make build"
    in_system make -C /root/lanner build
}

# The package; with LANNER_PROGRAM, which is built already, without the build.
try_deb() {
    local program=${LANNER_PROGRAM:-}
    say "make deb"
    [ -z "$program" ] || cp "$program" "$SYSTEM/root/program"
    in_system make -C /root/lanner deb ${program:+LANNER_PROGRAM=/root/program}
    in_system find /root/lanner/target/debian -name 'lanner_*.deb' | grep . || stop "there is no package"
}

try_test() {
    say "make test"
    in_system make -C /root/lanner test
}

for what in $WHAT; do
    "try_$what"
done
