#!/usr/bin/env bash
# Checks kind-config/ as far as that goes without a cluster: cluster.yaml with kind's own decoder, which refuses unknown keys
# before it looks for docker, and the manifests against Kubernetes' schemas, in which an unknown key is a mistake too.
#
#   kind.sh [FOLDER]      another folder with the same files
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

CHECKED=${1:-$ROOT/kind-config}
FOLDER=$MACHINE_DIR/kind
SCHEMAS=$MACHINE_DIR/kubernetes-schemas
# Of Kubernetes, whose minor versions the manifests are for: the oldest that has appArmorProfile, and the newest there is.
OLDEST=1.30

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

if [ ! -e "$SCHEMAS/complete" ]; then
    say "fetching Kubernetes' schemas"
    rm -rf "$SCHEMAS"
    if ! python3 -m venv "$SCHEMAS" >/dev/null 2>&1; then
        [ "$(id -u)" = 0 ] || skip "python3-venv is not installed"
        install_packages python3-venv
        python3 -m venv "$SCHEMAS"
    fi
    "$SCHEMAS/bin/pip" --quiet --disable-pip-version-check install kubernetes-validate==1.37.0 >"$SCHEMAS.log" 2>&1 ||
        skip "pip gave no kubernetes-validate: $(tail -n 1 "$SCHEMAS.log")"
    touch "$SCHEMAS/complete"
fi
"$SCHEMAS/bin/python" - "$OLDEST" "$CHECKED" <<'PYTHON' || stop "Kubernetes would refuse a manifest of $CHECKED"
import pathlib, sys, yaml
import kubernetes_validate as schemas

def contradictions(object):
    """What the API server refuses and no schema says."""
    spec = object.get("spec", {})
    template = spec.get("template", {})
    labels = template.get("metadata", {}).get("labels", {})
    for key, value in spec.get("selector", {}).get("matchLabels", {}).items():
        if labels.get(key) != value:
            yield f"the selector wants {key}={value}, which its pods are not labelled with"
    pod = template.get("spec", {})
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    mounted = set()
    for container in pod.get("containers", []):
        mounted |= {mount["name"] for mount in container.get("volumeMounts", [])}
    for name in sorted(mounted ^ volumes):
        yield f"the volume {name} is mounted and not there, or there and not mounted"


oldest, folder = sys.argv[1], pathlib.Path(sys.argv[2])
wrong = 0
for file in sorted(folder.glob("*.yaml")):
    for object in yaml.safe_load_all(file.read_text()):
        if not object or str(object.get("apiVersion", "")).startswith("kind.x-k8s.io/"):
            continue
        name = f"{file}: {object.get('kind')} {object.get('metadata', {}).get('name')}"
        for version in (oldest, schemas.latest_version()):
            try:
                schemas.validate(object, version, strict=True)
            except Exception as error:
                where = "/".join(map(str, getattr(error, "path", ()) or ()))
                print(f"{name}: Kubernetes {version}: {where}: {getattr(error, 'message', error)}", file=sys.stderr)
                wrong += 1
        for what in contradictions(object):
            print(f"{name}: {what}", file=sys.stderr)
            wrong += 1
        print(f"checked: {name}", file=sys.stderr)
sys.exit(1 if wrong else 0)
PYTHON
say "Kubernetes accepts the manifests of $CHECKED"
