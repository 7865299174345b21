# Sourced by the scripts that try something in a new Debian: a minimal system in a folder, and a copy of it for each run.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Outside: runs the calling script once more, in a mount namespace of its own and with SYSTEM set to a copy of a minimal Debian.
# The rest of the script is what happens inside; this returns there, and outside when all is over. SUITE is one of Debian's, or
# `this`: then SYSTEM is this machine's own, and what is changed in it is in CHANGED, in memory, and nowhere else.
#
#   new_system SUITE [ARGUMENT...]
new_system() {
    local suite=$1 pristine=$MACHINE_DIR/fresh-$1 address system outcome=0
    shift
    SYSTEM=${LANNER_FRESH_SYSTEM:-}
    if [ "$suite" = this ]; then
        over_this "$@"
        return
    fi
    [ -z "$SYSTEM" ] || return 0
    install_packages debootstrap git util-linux
    if [ ! -e "$pristine/complete" ]; then
        address=$(archive_address)
        say "making a minimal Debian $suite (debootstrap)"
        rm -rf --one-file-system "$pristine"
        mkdir -p "$pristine"
        if ! debootstrap --variant=minbase "$suite" "$pristine/system" "$address" >"$pristine/log" 2>&1; then
            tail -n 5 "$pristine/log" >&2
            skip "debootstrap could not make a Debian $suite"
        fi
        touch "$pristine/complete"
    fi
    system=$(mktemp -d "$MACHINE_DIR/fresh-XXXXXX")
    cp -a "$pristine/system/." "$system"
    # Its mounts are made in a mount namespace that ends with it, so what is removed here is only the copy.
    LANNER_FRESH_SYSTEM=$system unshare --mount --propagation private "$0" "$@" || outcome=$?
    rm -rf --one-file-system "$system" "$system".*
    [ $outcome = 0 ] || exit $outcome
}

over_this() { # ARGUMENT...
    local folder outcome=0
    if [ -z "$SYSTEM" ]; then
        folder=$(mktemp -d)
        LANNER_FRESH_SYSTEM=$folder/system unshare --mount --propagation private "$0" "$@" || outcome=$?
        rmdir "$folder"
        [ $outcome = 0 ] || exit $outcome
        return 0
    fi
    folder=${SYSTEM%/*}
    CHANGED=$folder/changed
    mount -t tmpfs -o mode=755 tmpfs "$folder"
    mkdir "$CHANGED" "$folder/work" "$SYSTEM"
    mount -t overlay -o "lowerdir=/,upperdir=$CHANGED,workdir=$folder/work" overlay "$SYSTEM" 2>/dev/null ||
        skip "nothing can be laid over this machine's root"
    mount -t tmpfs tmpfs "$SYSTEM/tmp"
}

# Runs in the new system with nothing of this one's environment. Its root is the root of a mount namespace, not a chroot:
# the tests make namespaces of their own and enter them again, which leads back to that root. What takes longer than
# SYSTEM_SECONDS, where that is set, ends and is named; by --foreground it stays in the script's process group.
in_system() {
    # shellcheck disable=SC2016
    ${SYSTEM_SECONDS:+timeout --foreground --verbose -k 5 "$SYSTEM_SECONDS"} unshare --mount --propagation private sh -c 'cd "$0" && pivot_root . . && umount -l . && exec chroot . "$@"' "$SYSTEM" \
        /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" LANNER_FRESH_RUN=$$ \
        PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" || {
        local outcome=$?
        [ $outcome != 124 ] || printf 'not over within %s seconds: %s\n' "$SYSTEM_SECONDS" "$*" >&2
        return $outcome
    }
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

# Inside: gives the system what a running one has. What was started in it ends with the script.
furnish_system() {
    local file
    trap end_processes EXIT
    # Namespaces and containers need a root that is a mount point.
    mount --bind "$SYSTEM" "$SYSTEM"
    cd "$SYSTEM"
    mount -t proc proc "$SYSTEM/proc"
    mount --rbind /sys "$SYSTEM/sys"
    mount --rbind /dev "$SYSTEM/dev"
    mount -t tmpfs tmpfs "$SYSTEM/run"
    [ -z "${CHANGED:-}" ] || return 0
    for file in /etc/resolv.conf /etc/hosts; do
        [ ! -e "$file" ] || cp -L "$file" "$SYSTEM$file"
    done
    in_system apt-get -q update >/dev/null
}

# Inside: apt-get, without questions.
install_in_system() { # PACKAGE...
    in_system env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >"$SYSTEM.log" 2>&1 ||
        { tail -n 15 "$SYSTEM.log" >&2; stop "could not be installed in the new system: $*"; }
    rm -f "$SYSTEM.log"
}

# Outside: what a check of the package is given. PACKAGE is what `make deb` made last, unless it is named.
take_package() { # [SUITE [PACKAGE]]
    SUITE=${1:-bookworm}
    PACKAGE=${2:-$(find "${CARGO_TARGET_DIR:-$ROOT/target}/debian" -name 'lanner_*.deb' 2>/dev/null | sort -V | tail -n 1)}
    [ -e "$PACKAGE" ] || stop "there is no package: make deb makes it"
    PACKAGE=$(realpath "$PACKAGE")
    need_root "make deb-check" deb-check
}

# Inside: what the package depends on, and these.
install_for_package() { # PACKAGE...
    local depends
    depends=$(dpkg-deb -f "$PACKAGE" Depends | sed 's/([^)]*)//g; s/,/ /g')
    # shellcheck disable=SC2086
    install_in_system "$@" $depends
}

check() { # WORDS COMMAND...
    local words=$1
    shift
    "$@" || stop "not so: $words"
}

# Inside: waits, up to two minutes, for a command to succeed. Else what it said last is shown, and what `explain` says, which
# the script defines.
wait_for() { # WORDS COMMAND...
    local words=$1 deadline=$(($(date +%s) + 120))
    shift
    until "$@" >"$SYSTEM.attempt" 2>&1; do
        if [ "$(date +%s)" -ge $deadline ]; then
            { explain && cat "$SYSTEM.attempt"; } >&2 || true
            stop "not within two minutes: $words"
        fi
        sleep 0.2
    done
}

# A package with a newer version and other configuration files than this one.
newer() { # PACKAGE ARCHIVE
    local folder
    folder=$(mktemp -d)
    dpkg-deb -R "$1" "$folder/lanner"
    sed -i "s/^Version: .*/&+1/" "$folder/lanner/DEBIAN/control"
    echo '# of the newer version' | tee -a "$folder/lanner/etc/lanner/lanner_rules.yaml" >>"$folder/lanner/etc/lanner/lanner.yaml"
    dpkg-deb --root-owner-group -Znone --build "$folder/lanner" "$2" >/dev/null
    rm -r "$folder"
}
