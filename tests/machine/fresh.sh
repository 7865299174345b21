#!/usr/bin/env bash
# Proves `make run` and `make test` on a Debian that holds nothing but cargo: a new system in a folder, this
# repository's last commit, the machine's own toolchain, and the crates it has downloaded.
#
#   fresh.sh [SUITE [WHAT...]]      SUITE: bookworm unless given; WHAT: run and test unless given
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

SUITE=${1:-bookworm}
shift || true
WHAT=${*:-run test}
PRISTINE=$MACHINE_DIR/fresh-$SUITE

# Outside: make the new system once, and a copy of it for this run.
if [ -z "${LANNER_FRESH_SYSTEM:-}" ]; then
    need_root "make fresh" fresh
    need_cargo
    install_packages debootstrap git util-linux
    if [ ! -e "$PRISTINE/complete" ]; then
        address=$(archive_address)
        say "making a minimal Debian $SUITE (debootstrap)"
        rm -rf --one-file-system "$PRISTINE"
        mkdir -p "$PRISTINE"
        if ! debootstrap --variant=minbase "$SUITE" "$PRISTINE/system" "$address" >"$PRISTINE/log" 2>&1; then
            tail -n 5 "$PRISTINE/log" >&2
            skip "debootstrap could not make a Debian $SUITE"
        fi
        touch "$PRISTINE/complete"
    fi
    system=$(mktemp -d "$MACHINE_DIR/fresh-XXXXXX")
    outcome=0
    cp -a "$PRISTINE/system/." "$system"
    # Its mounts are made in a mount namespace that ends with it, so what is removed here is only the copy.
    LANNER_FRESH_SYSTEM=$system unshare --mount --propagation private "$0" "$SUITE" "$WHAT" || outcome=$?
    rm -rf --one-file-system "$system"
    [ $outcome = 0 ] || exit $outcome
    say "a fresh Debian $SUITE needs nothing but cargo: $WHAT"
    exit 0
fi

SYSTEM=$LANNER_FRESH_SYSTEM
SCREEN=$MACHINE_DIR/fresh-screen.log
ALERTS=$MACHINE_DIR/fresh-alerts.log

# Runs in the new system with nothing of this one's environment. Its root is the root of a mount namespace, not a chroot:
# the tests make namespaces of their own and enter them again, which leads back to that root.
in_system() {
    # shellcheck disable=SC2016
    unshare --mount --propagation private sh -c 'cd "$0" && pivot_root . . && umount -l . && exec chroot . "$@"' "$SYSTEM" \
        /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" LANNER_FRESH_RUN=$$ \
        PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# The processes that were started in the new system, or those of them that are called NAME.
processes() { # [NAME]
    local folder
    for folder in /proc/[0-9]*; do
        grep -qzx "LANNER_FRESH_RUN=$$" "$folder/environ" 2>/dev/null || continue
        [ -z "${1:-}" ] || [ "$(cat "$folder/comm" 2>/dev/null)" = "$1" ] || continue
        echo "${folder#/proc/}"
    done
}

end_processes() {
    local pid
    for pid in $(processes); do
        kill -KILL "$pid" 2>/dev/null || true
    done
}
trap end_processes EXIT

say "giving it cargo and this repository's last commit"
# Namespaces and containers need a root that is a mount point.
mount --bind "$SYSTEM" "$SYSTEM"
cd "$SYSTEM"
mount -t proc proc "$SYSTEM/proc"
mount --rbind /sys "$SYSTEM/sys"
mount --rbind /dev "$SYSTEM/dev"
mount -t tmpfs tmpfs "$SYSTEM/run"
for file in /etc/resolv.conf /etc/hosts; do
    [ ! -e "$file" ] || cp -L "$file" "$SYSTEM$file"
done
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
in_system apt-get -q update >/dev/null
in_system env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install make >/dev/null 2>&1

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
    kill -INT "$(processes lanner | head -n 1)"
    wait $run || stop "make run did not end with 0 after Ctrl-C"
}

# The build alone; quicker, for trying this script.
try_build() {
    say "make build"
    in_system make -C /root/lanner build
}

try_test() {
    say "make test"
    in_system make -C /root/lanner test
}

for what in $WHAT; do
    "try_$what"
done
