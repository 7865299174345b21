#!/usr/bin/env bash
# Unpacks the CNI plugins of this system's Debian suite into a folder, whose path it prints. Does nothing when that is
# complete. Exits with 77 and one line when the archive is out of reach.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

FOLDER=$MACHINE_DIR/cni
PLUGINS=$FOLDER/usr/lib/cni
mkdir -p "$MACHINE_DIR"
# Two test programs may ask at the same time.
exec 9>"$FOLDER.lock"
flock 9
if [ ! -e "$FOLDER/complete" ]; then
    say "fetching CNI plugins"
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER"
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    other_suite "$FOLDER/apt" "$suite" || skip "Debian's archive gave no package list of $suite"
    (cd "$FOLDER" && apt_there "$FOLDER/apt" apt-get download containernetworking-plugins >download.log 2>&1) ||
        skip "Debian's archive gave no containernetworking-plugins"
    dpkg-deb -x "$FOLDER"/containernetworking-plugins_*.deb "$FOLDER"
    [ -x "$PLUGINS/bridge" ] || stop "the package has no bridge plugin at $PLUGINS"
    rm -rf "$FOLDER/apt" "$FOLDER"/*.deb
    touch "$FOLDER/complete"
fi
printf '%s\n' "$PLUGINS"
