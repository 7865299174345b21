#!/usr/bin/env bash
# Checks kind-config/ as far as that goes without a cluster: cluster.yaml with kind's own decoder, which refuses unknown keys
# before it looks for docker, and the manifests against Kubernetes' schemas (kubernetes.sh).
#
#   kind.sh [FOLDER]      another folder with the same files
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

CHECKED=${1:-$ROOT/kind-config}
FOLDER=$MACHINE_DIR/kind

mkdir -p "$MACHINE_DIR"
# Two test programs may ask at the same time.
exec 9>"$FOLDER.lock"
flock 9
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
said=$(PATH=/nonexistent "$FOLDER/usr/bin/kind" create cluster --config "$CHECKED/cluster.yaml" 2>&1) || true
case $said in
*"unable to decode config"* | *"error decoding"*) stop "kind refuses $CHECKED/cluster.yaml: $said" ;;
*docker* | *"node provider"*) say "kind accepts $CHECKED/cluster.yaml" ;;
*) stop "kind says neither that the file is good nor that it is bad: $said" ;;
esac

"$(dirname "${BASH_SOURCE[0]}")/kubernetes.sh" "$CHECKED"
