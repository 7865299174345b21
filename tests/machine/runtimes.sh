#!/usr/bin/env bash
# Unpacks podman, conmon, LXC and docker of this machine's own Debian suite into a folder; the system itself stays as it is. Does nothing
# when that is complete. Exits with 77 and one line when the archive is out of reach.
#
# The folder is target/machine/runtimes. runc and busybox are those of containerd.sh.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

FOLDER=$MACHINE_DIR/runtimes
! { [ -e "$FOLDER/complete" ] && [ -e "$FOLDER/usr/sbin/dockerd" ]; } || exit 0
mkdir -p "$(dirname "$FOLDER")"
# Two test programs may ask at the same time.
exec 9>"$FOLDER.lock"
flock 9
! { [ -e "$FOLDER/complete" ] && [ -e "$FOLDER/usr/sbin/dockerd" ]; } || exit 0

[ "$(dpkg --print-architecture)" = amd64 ] || skip "the fixture of runtimes is only prepared for amd64"
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
say "fetching podman, LXC and docker of Debian $suite"
rm -rf "$FOLDER"
mkdir -p "$FOLDER/packages"
other_suite "$FOLDER/apt" "$suite" || skip "Debian's archive gave no package list of $suite"
(cd "$FOLDER/packages" && apt_there "$FOLDER/apt" apt-get download \
    podman conmon lxc liblxc1 docker.io libgpgme11 libassuan0 libsubid4 libdevmapper1.02.1 libseccomp2 >../download.log 2>&1) ||
    skip "Debian's archive gave no podman, LXC or docker: $(grep '^[EW]:' "$FOLDER/download.log" | sed -n 1p)"
for package in "$FOLDER"/packages/*.deb; do
    dpkg-deb -x "$package" "$FOLDER"
done
for program in bin/podman bin/conmon bin/lxc-start sbin/dockerd; do
    missing=$(LD_LIBRARY_PATH=$FOLDER/usr/lib/x86_64-linux-gnu:$FOLDER/lib/x86_64-linux-gnu ldd "$FOLDER/usr/$program" |
        awk '/not found/ { print $1; exit }')
    [ -z "$missing" ] || skip "$program needs $missing, which this machine does not have"
done
rm -rf "$FOLDER/packages" "$FOLDER/apt"
touch "$FOLDER/complete"
