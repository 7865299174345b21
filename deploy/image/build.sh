#!/usr/bin/env bash
# Builds Lanner's container image without docker: the program, the libraries it is linked with, and nothing else.
#
#   build.sh [PROGRAM [ARCHIVE [NAME]]]
#
# PROGRAM is target/release/lanner, ARCHIVE target/lanner-image.tar, and NAME lanner:dev where nothing else is said. The archive
# is an OCI image layout that `docker load` reads too. The same program and libraries give the same bytes.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
PROGRAM=${1:-$TARGET/release/lanner}
ARCHIVE=${2:-$TARGET/lanner-image.tar}
NAME=${3:-lanner:dev}

stop() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

[ -x "$PROGRAM" ] || stop "there is no $PROGRAM: make build makes it"
case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) stop "images are made on x86_64 and aarch64, this is $(uname -m)" ;;
esac
case $NAME in
*/*) full_name=$NAME ;;
# What `lanner:dev` stands for in a runtime's store.
*) full_name=docker.io/library/$NAME ;;
esac
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | sed -n 1p)
revision=$(git -C "$ROOT" rev-parse HEAD 2>/dev/null || true)
# Of every file and of the image: the time of the commit, or one that is always the same.
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct 2>/dev/null || echo 0)}
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rootfs=$work/rootfs
umask 022

put() { # FILE PATH
    install -D -m "$(stat -L -c %a "$1")" "$1" "$rootfs$2"
}

mkdir -p "$rootfs"/{dev,etc/lanner,host,proc,root,run,sys,tmp,usr/bin}
chmod 1777 "$rootfs/tmp"
install -m 755 "$PROGRAM" "$rootfs/usr/bin/lanner"
printf 'root:x:0:0:root:/root:/sbin/nologin\n' >"$rootfs/etc/passwd"
printf 'root:x:0:\n' >"$rootfs/etc/group"
printf 'hosts: files dns\n' >"$rootfs/etc/nsswitch.conf"

# The libraries and the loader lie where the program looks for them; their licences lie beside.
linked=$(ldd "$PROGRAM") || linked=
while read -r library; do
    [ -n "$library" ] || continue
    put "$library" "$library"
    # A package may know the file by its path from before or after /usr was merged.
    package=$(dpkg -S "$library" 2>/dev/null || dpkg -S "/usr$library" 2>/dev/null || dpkg -S "${library#/usr}" 2>/dev/null || true)
    package=${package%%:*}
    licence=/usr/share/doc/$package/copyright
    [ -z "$package" ] || [ ! -e "$licence" ] || put "$licence" "$licence"
done < <(awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' <<<"$linked" | sort -u)
case $linked in *'not found'*) stop "$PROGRAM is linked with what is not here: $linked" ;; esac

pack() { # FOLDER ARCHIVE NAMES...
    local folder=$1 archive=$2
    shift 2
    tar -C "$folder" --sort=name --format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf "$archive" "$@"
}

blobs=$work/layout/blobs/sha256
mkdir -p "$blobs"
digest=

# Moves a file to where its digest names it, and leaves that in $digest and its size in $size.
blob() { # FILE
    size=$(stat -c %s "$1")
    digest=$(sha256sum "$1" | cut -d ' ' -f 1)
    mv "$1" "$blobs/$digest"
}

(cd "$rootfs" && find . -mindepth 1 -maxdepth 1 -printf '%P\n' | sort) >"$work/names"
mapfile -t names <"$work/names"
pack "$rootfs" "$work/layer.tar" "${names[@]}"
diff_id=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
gzip -n "$work/layer.tar"
blob "$work/layer.tar.gz"
layer=$digest layer_size=$size

labels='"org.opencontainers.image.title":"lanner"'
labels+=',"org.opencontainers.image.description":"Runtime threat detection for containers and Linux hosts"'
labels+=',"org.opencontainers.image.licenses":"Apache-2.0"'
labels+=",\"org.opencontainers.image.version\":\"$version\""
[ -z "$revision" ] || labels+=",\"org.opencontainers.image.revision\":\"$revision\""

cat >"$work/config" <<JSON
{"created":"$created","architecture":"$architecture","os":"linux","config":{"Env":["PATH=/usr/bin"],"Entrypoint":["/usr/bin/lanner"],"WorkingDir":"/","StopSignal":"SIGTERM","Labels":{$labels}},"rootfs":{"type":"layers","diff_ids":["sha256:$diff_id"]},"history":[{"created":"$created","created_by":"deploy/image/build.sh"}]}
JSON
blob "$work/config"
config=$digest config_size=$size

media=application/vnd.oci.image
cat >"$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"$media.manifest.v1+json","config":{"mediaType":"$media.config.v1+json","digest":"sha256:$config","size":$config_size},"layers":[{"mediaType":"$media.layer.v1.tar+gzip","digest":"sha256:$layer","size":$layer_size}]}
JSON
blob "$work/manifest"
manifest=$digest manifest_size=$size

printf '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"
cat >"$work/layout/index.json" <<JSON
{"schemaVersion":2,"mediaType":"$media.index.v1+json","manifests":[{"mediaType":"$media.manifest.v1+json","digest":"sha256:$manifest","size":$manifest_size,"platform":{"architecture":"$architecture","os":"linux"},"annotations":{"io.containerd.image.name":"$full_name","org.opencontainers.image.ref.name":"${NAME##*:}"}}]}
JSON
# What docker reads.
cat >"$work/layout/manifest.json" <<JSON
[{"Config":"blobs/sha256/$config","RepoTags":["$NAME"],"Layers":["blobs/sha256/$layer"]}]
JSON
mkdir -p "$(dirname "$ARCHIVE")"
pack "$work/layout" "$work/image.tar" oci-layout index.json manifest.json blobs
mv "$work/image.tar" "$ARCHIVE"
printf '%s sha256:%s %s\n' "$full_name" "$manifest" "$ARCHIVE"
