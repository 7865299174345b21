#!/usr/bin/env bash
# docs/apt-repository.md in a minimal Debian: a repository is signed with a key of its own, and apt installs from it, over
# file://, and refuses what was changed or signed by another.
#
#   repository_check.sh [SUITE [PACKAGE]]      SUITE: bookworm unless given; PACKAGE: what `make deb` made
. "$(dirname "${BASH_SOURCE[0]}")/system.sh"

take_package "$@"
install_packages apt-utils gpg gpg-agent
new_system "$SUITE" "$SUITE" "$PACKAGE"
if [ -z "$SYSTEM" ]; then
    say "Debian $SUITE installs the package from a signed repository, and refuses others"
    exit 0
fi

furnish_system
install_in_system ca-certificates
mkdir -p "$SYSTEM/etc/apt/keyrings"
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"; end_processes' EXIT
for name in packages another; do
    gpg --batch --quiet --passphrase '' --quick-generate-key "$name@example.com" ed25519 sign 1y 2>/dev/null
done
sign() { # KEY
    "$ROOT/deploy/debian/repository.sh" "$SYSTEM/srv/apt" "$1@example.com" "$PACKAGE" >/dev/null
}
sign packages
cp "$SYSTEM/srv/apt/lanner.asc" "$SYSTEM/etc/apt/keyrings/lanner.asc"
# The page's own words, but for the address.
sed -n '/<<SOURCES$/,/^SOURCES$/p' "$ROOT/docs/apt-repository.md" | sed '1d;$d; s|https://apt.example.com|file:///srv/apt|' \
    >"$SYSTEM/etc/apt/sources.list.d/lanner.sources"
update() {
    in_system apt-get -q update -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/lanner.sources -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0 "$@"
}

say "apt update, apt install"
update >/dev/null || stop "apt does not take the repository"
install_in_system lanner
in_system lanner --version >/dev/null
grep -q 'file:/srv/apt stable/main' <<<"$(in_system apt-cache policy lanner)" || stop "the package is not from the repository"

say "a changed list, and another's signature"
list=$SYSTEM/srv/apt/dists/stable/main/binary-$(dpkg --print-architecture)/Packages
sed -i 's/^Description: .*/Description: another/' "$list"
gzip -9nkf "$list"
rm -rf "$SYSTEM"/var/lib/apt/lists/*srv*
! update -o APT::Update::Error-Mode=any >/dev/null 2>&1 || stop "apt takes a list that was changed"
sign packages
update -o APT::Update::Error-Mode=any >/dev/null || stop "apt does not take the mended repository"
sign another
! update -o APT::Update::Error-Mode=any >/dev/null 2>&1 || stop "apt takes what another key signed"
