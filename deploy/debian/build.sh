#!/usr/bin/env bash
# Builds Lanner's Debian package, with dpkg alone: the pages of the manual and the completions come from the program itself.
#
#   build.sh [PROGRAM [FOLDER]]
#
# PROGRAM is target/release/lanner and FOLDER target/debian where nothing else is said; the last line names the package. The
# same program and tree give the same bytes. DEB_MAINTAINER is who the package says maintains it, and
# DPKG_DEB_COMPRESSOR_TYPE how it is packed, by xz otherwise.
#
# Not cargo-deb: it would have to be built first, on every machine, and to be told the same list of files; nor debhelper, which
# brings a dozen packages for three scripts of a few lines.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
PROGRAM=${1:-$TARGET/release/lanner}
FOLDER=${2:-$TARGET/debian}
MAINTAINER=${DEB_MAINTAINER:-Lanner maintainers <maintainers@lanner.invalid>}

stop() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

[ -x "$PROGRAM" ] || stop "there is no $PROGRAM: make build makes it"
command -v dpkg-shlibdeps >/dev/null || stop "dpkg-shlibdeps is missing: install dpkg-dev"
PROGRAM=$(realpath "$PROGRAM")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | sed -n 1p)
architecture=$(dpkg --print-architecture)
# Of every file: the time of the commit, or one that is always the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=$work/lanner
umask 022

put() { # MODE FILE PATH
    install -D -m "$1" "$2" "$package$3"
}

document() { # PATH: packs what it gets
    mkdir -p "$(dirname "$package$1")"
    gzip -9n >"$package$1"
}

put 755 "$PROGRAM" /usr/bin/lanner
for unit in lanner lanner-keeper; do
    put 644 "$ROOT/deploy/$unit.service" /usr/lib/systemd/system/$unit.service
done
put 644 "$ROOT/deploy/lanner.yaml" /etc/lanner/lanner.yaml
put 644 "$ROOT/rules/lanner_rules.yaml" /etc/lanner/lanner_rules.yaml
put 644 "$ROOT/deploy/debian/lanner_rules.local.yaml" /etc/lanner/lanner_rules.local.yaml
mkdir -p "$package/etc/lanner/rules.d"

mkdir "$work/man"
"$PROGRAM" man "$work/man"
for page in "$work"/man/*; do
    document "/usr/share/man/man${page##*.}/${page##*/}.gz" <"$page"
done
completions() { # SHELL PATH
    "$PROGRAM" completions "$1" >"$work/completions"
    put 644 "$work/completions" "$2"
}
completions bash /usr/share/bash-completion/completions/lanner
completions zsh /usr/share/zsh/vendor-completions/_lanner
completions fish /usr/share/fish/vendor_completions.d/lanner.fish

documents=/usr/share/doc/lanner
put 644 "$ROOT/deploy/debian/copyright" $documents/copyright
# What dpkg calls the changes of a package whose version has no part of Debian's own.
printf 'lanner (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- %s  %s\n' "$version" "$MAINTAINER" \
    "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | document $documents/changelog.gz
document $documents/CHANGELOG.md.gz <"$ROOT/CHANGELOG.md"
(cd "$ROOT" && cargo tree --locked --edges normal --prefix none --format '{p} {l}' | sed 's/ (\/.*)//; s/ (\*)//' | sort -u) |
    document $documents/crates.gz
for page in alerts operations falco-differences; do
    put 644 "$ROOT/docs/$page.md" "$documents/$page.md"
done
for example in README.md nri-1.7.toml nri-2.toml 10-lanner.conf; do
    put 644 "$ROOT/deploy/containerd/$example" "$documents/examples/containerd/$example"
done

# What the program is linked with, by the names and versions that this system's libraries have in their packages.
mkdir -p "$work/debian" "$package/DEBIAN"
printf 'Source: lanner\n\nPackage: lanner\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O "-e$package/usr/bin/lanner" 2>"$work/log") || { cat "$work/log" >&2; exit 1; }
libraries=${libraries#shlibs:Depends=}

cat >"$package/DEBIAN/control" <<CONTROL
Package: lanner
Version: $version
Architecture: $architecture
Maintainer: $MAINTAINER
Installed-Size: $(du -k -s --apparent-size --exclude=DEBIAN "$package" | cut -f 1)
${libraries:+Depends: $libraries
}Suggests: containerd
Section: admin
Priority: optional
Description: runtime threat detection for containers and Linux hosts
 Lanner watches a node, knows its containers from the container runtime
 itself, judges what happens by rules in Falco's language, and writes alerts:
 to the journal, files, programs, and over HTTP.
CONTROL
(cd "$package" && find etc -type f -printf '/%p\n' | sort) >"$package/DEBIAN/conffiles"
(cd "$package" && find usr -type f -printf '%P\0' | sort -z | sed -z 's|^|usr/|' | xargs -0 md5sum) >"$package/DEBIAN/md5sums"
install -m 755 "$ROOT"/deploy/debian/{postinst,prerm,postrm} "$package/DEBIAN/"
find "$package" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"

mkdir -p "$FOLDER"
archive=$FOLDER/lanner_${version}_$architecture.deb
dpkg-deb --root-owner-group "-Z${DPKG_DEB_COMPRESSOR_TYPE:-xz}" --build "$package" "$archive" >/dev/null
printf '%s\n' "$archive"
