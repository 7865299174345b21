"""What chart.sh asks of Helm: chart.py REPOSITORY render|write|lint ..."""

import pathlib
import re
import sys

import helm_python as helm

repository = pathlib.Path(sys.argv[1])
chart = repository / "deploy/helm/lanner"
# The plain manifests, and the values they are made with.
PLAIN = {
    "deploy/kubernetes/lanner.yaml": "deploy/kubernetes/values.yaml",
    "kind-config/lanner.yaml": "kind-config/values.yaml",
}
# Before what needs them.
ORDER = ["Namespace", "ServiceAccount", "ConfigMap", "Service"]


def rendered(values):
    """The documents of the chart, in the order in which they are applied."""
    merged = {}
    for file in values:
        merge(merged, helm.values_from_yaml(pathlib.Path(file).read_text()))
    documents = []
    with helm.Chart.load(chart) as loaded:
        loaded.validate_schema(merged)
        for name, text in sorted(loaded.render(merged, name="lanner", namespace="lanner").items()):
            if name.endswith(".yaml"):
                documents += [part.strip("\n") for part in re.split(r"(?m)^---$", text) if part.strip()]

    def place(document):
        kind = re.search(r"(?m)^kind: (\w+)$", document)[1]
        return ORDER.index(kind) if kind in ORDER else len(ORDER)

    return sorted(documents, key=place)


def merge(into, values):
    """As Helm merges files: maps by key, everything else as a whole."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def plain(target, values):
    """A file for kubectl apply: what Helm alone would need is left out."""
    text = "\n---\n".join(rendered([repository / values]))
    text = re.sub(r"(?m)^ *app.kubernetes.io/(managed-by|instance|version): .*\n", "", text)
    text = re.sub(r"(?m)^ +annotations:\n( +# .*\n)? +checksum/restart: .*\n", "", text)
    head = (repository / values).read_text().split("\n\n")[0]
    return f"# Made out of deploy/helm/lanner and {values} by `make manifests`: change those.\n#\n{head}\n{text}\n"


try:
    match sys.argv[2:]:
        case ["render", *values]:
            print("\n---\n".join(rendered(values)))
        case ["write", *folder]:
            for target, values in PLAIN.items():
                file = pathlib.Path(folder[0] if folder else repository) / target
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(plain(target, values))
        case ["lint"]:
            found = helm.lint(str(chart))
            wrong = [message for message in found["messages"] if message["severity"] > 1]
            if wrong or found["errors"]:
                sys.exit(f"{wrong} {found['errors']}")
        case other:
            sys.exit(f"chart.py does not know {other}")
except helm.HelmError as error:
    sys.exit(str(error))
