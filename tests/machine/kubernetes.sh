#!/usr/bin/env bash
# Checks manifests against Kubernetes' schemas, in which an unknown key is a mistake, and for what the API server refuses besides.
#
#   kubernetes.sh FOLDER        its *.yaml; documents without a kind, kind's own and those of operators are left out
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

CHECKED=$1
SCHEMAS=$MACHINE_DIR/kubernetes-schemas
# Of Kubernetes, whose minor versions the manifests are for: the oldest that has appArmorProfile, and the newest there is.
OLDEST=1.30

mkdir -p "$MACHINE_DIR"
exec 8>"$SCHEMAS.lock"
flock 8
if [ ! -e "$SCHEMAS/complete" ]; then
    say "fetching Kubernetes' schemas"
    rm -rf "$SCHEMAS"
    python_environment "$SCHEMAS"
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
        mounts = container.get("volumeMounts", [])
        mounted |= {mount["name"] for mount in mounts}
        places = [mount["mountPath"] for mount in mounts]
        for place in sorted({place for place in places if places.count(place) > 1}):
            yield f"two volumes are mounted at {place}"
    for name in sorted(mounted ^ volumes):
        yield f"the volume {name} is mounted and not there, or there and not mounted"


oldest, folder = sys.argv[1], pathlib.Path(sys.argv[2])
wrong = 0
for file in sorted(folder.glob("*.yaml")):
    for object in yaml.safe_load_all(file.read_text()):
        version = str(object.get("apiVersion", "")) if object else ""
        if not version or version.startswith(("kind.x-k8s.io/", "monitoring.coreos.com/")):
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
