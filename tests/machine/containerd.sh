#!/usr/bin/env bash
# Unpacks a real containerd, runc and a static busybox of a newer Debian suite into a folder; the system itself stays
# as it is. Does nothing when that is complete. Exits with 77 and one line when the archive is out of reach.
#
#   containerd.sh [SUITE]      sid (containerd 2.1) or, where that fails, trixie (1.7); with SUITE only that one
#
# The folder is target/machine/containerd, or containerd-SUITE when one is asked for.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

FOLDER=$MACHINE_DIR/containerd${1:+-$1}
[ ! -e "$FOLDER/complete" ] || exit 0
mkdir -p "$(dirname "$FOLDER")"
# Two test programs may ask at the same time.
exec 9>"$FOLDER.lock"
flock 9
[ ! -e "$FOLDER/complete" ] || exit 0

[ "$(dpkg --print-architecture)" = amd64 ] || skip "the containerd fixture is only prepared for amd64"
# The library folder's name is the architecture's, as the packages use it.
LIBRARIES=$FOLDER/runtime/usr/lib/x86_64-linux-gnu

fetch() { # SUITE
    local suite=$1 package
    say "fetching containerd and runc of Debian $suite"
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER/packages" "$FOLDER/runtime"
    other_suite "$FOLDER/apt" "$suite" || return 1
    (cd "$FOLDER/packages" && apt_there "$FOLDER/apt" apt-get download \
        containerd runc busybox-static libc6 libseccomp2 >../download.log 2>&1) || return 1
    for package in "$FOLDER"/packages/*.deb; do
        case ${package##*/} in
        libc6_* | libseccomp2_*) dpkg-deb -x "$package" "$FOLDER/runtime" ;;
        *) dpkg-deb -x "$package" "$FOLDER" ;;
        esac
    done
    "$FOLDER/usr/bin/containerd" --version >&2
}

got=no
for suite in ${1:-sid trixie}; do
    if fetch "$suite"; then
        got=yes
        break
    fi
done
[ $got = yes ] || skip "Debian's archive gave no containerd: $(cat "$FOLDER/apt/update.log" "$FOLDER/download.log" 2>/dev/null | grep '^[EW]:' | sed -n 1p)"

if ! "$FOLDER/usr/sbin/runc" --version >/dev/null 2>&1; then
    # The system's C library is older than the one runc was built with. Running runc through a newer loader would
    # break it, because it executes /proc/self/exe again: so the loader's path is written into the program.
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    other_suite "$FOLDER/apt-here" "$suite" || skip "Debian's archive gave no package list of $suite"
    (cd "$FOLDER/packages" && apt_there "$FOLDER/apt-here" apt-get download patchelf >/dev/null)
    dpkg-deb -x "$FOLDER"/packages/patchelf_*.deb "$FOLDER/tools"
    "$FOLDER/tools/usr/bin/patchelf" --set-interpreter "$LIBRARIES/ld-linux-x86-64.so.2" \
        --set-rpath "$LIBRARIES" "$FOLDER/usr/sbin/runc"
fi
"$FOLDER/usr/sbin/runc" --version | sed -n 1p >&2
rm -rf "$FOLDER/packages" "$FOLDER/apt" "$FOLDER/apt-here"
touch "$FOLDER/complete"
