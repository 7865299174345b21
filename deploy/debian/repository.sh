#!/usr/bin/env bash
# Puts packages into a signed apt repository: plain files, for any web server or for file://.
#
#   repository.sh FOLDER KEY PACKAGE...
#
# FOLDER is made or added to, and stays whole for who reads it meanwhile: packages come first, and what is signed comes last. KEY is a
# key of gpg's (address or fingerprint; GNUPGHOME is where). Its public half is put beside, as lanner.asc. Needs apt-utils and gpg.
set -euo pipefail

SUITE=stable
COMPONENT=main

stop() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

[ $# -ge 3 ] || stop "usage: repository.sh FOLDER KEY PACKAGE..."
for program in apt-ftparchive gpg dpkg-deb; do
    command -v $program >/dev/null || stop "$program is missing: install apt-utils, gpg and dpkg"
done
folder=$1 key=$2
shift 2
gpg --batch --list-secret-keys "$key" >/dev/null 2>&1 || stop "gpg has no secret key for $key"

pool=pool/$COMPONENT/l/lanner
mkdir -p "$folder/$pool"
for package in "$@"; do
    name=$(dpkg-deb -f "$package" Package)_$(dpkg-deb -f "$package" Version)_$(dpkg-deb -f "$package" Architecture).deb
    # A version is what it was: who installed it has its checksum.
    if [ -e "$folder/$pool/$name" ]; then
        cmp -s "$package" "$folder/$pool/$name" || stop "$name is in the repository with other contents: give the new one a new version"
    else
        install -m 644 "$package" "$folder/$pool/.$name"
        mv "$folder/$pool/.$name" "$folder/$pool/$name"
    fi
done

cd "$folder"
dists=dists/$SUITE
work=$(mktemp -d "$PWD/.new-XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mapfile -t architectures < <(find pool -name '*.deb' | sed 's/.*_\([^_]*\)\.deb$/\1/' | sort -u)
for architecture in "${architectures[@]}"; do
    lists=$work/$COMPONENT/binary-$architecture
    mkdir -p "$lists"
    apt-ftparchive --arch "$architecture" packages pool >"$lists/Packages"
    gzip -9nk "$lists/Packages"
done
apt-ftparchive -o "APT::FTPArchive::Release::Origin=Lanner" -o "APT::FTPArchive::Release::Label=Lanner" \
    -o "APT::FTPArchive::Release::Suite=$SUITE" -o "APT::FTPArchive::Release::Codename=$SUITE" \
    -o "APT::FTPArchive::Release::Components=$COMPONENT" -o "APT::FTPArchive::Release::Architectures=${architectures[*]}" \
    release "$work" >"$work.release"
mv "$work.release" "$work/Release"
gpg --batch --yes --local-user "$key" --armor --detach-sign --output "$work/Release.gpg" "$work/Release"
gpg --batch --yes --local-user "$key" --clear-sign --output "$work/InRelease" "$work/Release"
gpg --batch --armor --export "$key" >"$work.asc"
chmod 644 "$work.asc"
mv "$work.asc" lanner.asc
# One after the other: who reads in between sees sums that do not fit, and asks again.
mkdir -p "$dists"
cp -r "$work/." "$dists/"
printf '%s\n' "$PWD"
