#!/usr/bin/env bash
# Checks kind-config/cluster.yaml with kind's own decoder, which refuses unknown keys before it looks for docker.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

FOLDER=$MACHINE_DIR/kind
if [ ! -x "$FOLDER/usr/bin/kind" ]; then
    say "fetching kind of Debian sid"
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER"
    other_suite "$FOLDER/apt" sid || skip "Debian's archive gave no package list of sid"
    (cd "$FOLDER" && apt_there "$FOLDER/apt" apt-get download kind >download.log 2>&1) || skip "Debian's archive gave no kind"
    dpkg-deb -x "$FOLDER"/kind_*.deb "$FOLDER"
    rm -rf "$FOLDER/apt" "$FOLDER"/kind_*.deb
fi
# A PATH without docker or podman: nothing is to be created here.
said=$(PATH=/nonexistent "$FOLDER/usr/bin/kind" create cluster --config "$ROOT/kind-config/cluster.yaml" 2>&1) || true
case $said in
*"unable to decode config"* | *"error decoding"*) stop "kind refuses kind-config/cluster.yaml: $said" ;;
*docker* | *"node provider"*) say "kind accepts kind-config/cluster.yaml" ;;
*) stop "kind says neither that the file is good nor that it is bad: $said" ;;
esac
