#!/usr/bin/env bash
# The unit of Lanner's package under a real systemd, which is the first process of a minimal Debian in namespaces of its own: started by
# the installation, seen in the journal, reloaded, upgraded, stopped and purged.
#
#   unit_check.sh [SUITE [PACKAGE]]      SUITE: bookworm unless given; PACKAGE: what `make deb` made
. "$(dirname "${BASH_SOURCE[0]}")/system.sh"

take_package "$@"
need_kernel
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$unified" ] || skip "this host has no cgroups of version 2, and systemd wants them"
new_system "$SUITE" "$SUITE" "$PACKAGE"
if [ -z "$SYSTEM" ]; then
    say "systemd runs the unit in Debian $SUITE"
    exit 0
fi

furnish_system
say "giving it systemd, and what the package depends on"
install_for_package systemd systemd-sysv dbus
cp "$PACKAGE" "$SYSTEM/root/lanner.deb"

# A cgroup of its own, which is the root of what it sees.
cgroup=$unified/lanner-unit-check-$$
mkdir "$cgroup"
remove_cgroup() {
    [ ! -e "$cgroup/cgroup.kill" ] || echo 1 >"$cgroup/cgroup.kill"
    end_processes
    for _ in $(seq 100); do
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && return
        sleep 0.1
    done
}
trap remove_cgroup EXIT

# What it starts with: devices of its own, and of the host's kernel what can be read. Units that set up a machine are off.
cat >"$SYSTEM/root/boot" <<'BOOT'
set -e
mount -t tmpfs -o mode=755 tmpfs /dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "/dev/${device%:*}" c 1 "${device#*:}"; done
mknod -m 666 /dev/tty c 5 0
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
umount /run
mount -t tmpfs -o mode=755 tmpfs /run
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i container=lanner-check LANNER_FRESH_RUN="$1" /lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=no
BOOT
for unit in systemd-sysctl.service systemd-modules-load.service systemd-random-seed.service systemd-binfmt.service systemd-networkd.service \
    systemd-logind.service getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer; do
    ln -sf /dev/null "$SYSTEM/etc/systemd/system/$unit"
done
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=0\nForwardToWall=no\n' >"$SYSTEM/etc/systemd/journald.conf"

say "booting it"
# shellcheck disable=SC2016
sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$cgroup" \
    unshare --mount --propagation private --pid --fork --kill-child --cgroup --uts --ipc \
    sh -c 'cd "$0" && pivot_root . . && umount -l . && exec chroot . sh /root/boot "$1"' "$SYSTEM" $$ &
booted=$!
disown # it is killed in the end
first() { pgrep -P "$booted" -f systemd | sed -n 1p; }
inside() { nsenter --all --target "$(first)" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
explain() { inside journalctl -q --no-pager -n 60; }
wait_for "systemd is up" inside systemctl is-active multi-user.target

# What the unit has in the journal, standard error and alerts.
entries() { inside journalctl -q --no-pager -u lanner -o cat; }
pid() { inside systemctl show -P MainPID lanner; }

say "dpkg -i"
inside dpkg -i /root/lanner.deb >/dev/null
wait_for "the installation started the service" inside systemctl is-active lanner
check "it is on from the next boot" [ "$(inside systemctl is-enabled lanner)" = enabled ]
watches() { grep -q 'Ctrl-C stops Lanner' <<<"$(entries)"; }
wait_for "it watches" watches
bound=$(inside awk '$1 == "CapBnd:" { print $2 }' "/proc/$(pid)/status")
# What this machine has of them: a sandbox may have less.
allowed=$((1 << 38 | 1 << 39 | 1 << 24 | 1 << 23 | 1 << 21 | 1 << 19 | 1 << 12 | 1 << 2))
check "it has no privileges but those of its unit: $bound" [ $((0x$bound & ~allowed)) = 0 ]
check "nothing is an error to it: $(entries)" [ -z "$(entries | grep ' ERROR ')" ]
reads_shadow() {
    inside cat /etc/shadow >/dev/null
    grep -q 'Password file read.*file=/etc/shadow.*process=cat' <<<"$(entries)"
}
wait_for "an alert is among the unit's entries" reads_shadow

say "systemctl reload"
cat >"$SYSTEM/etc/lanner/rules.d/own.yaml" <<'RULES'
- rule: Own
  desc: d
  condition: evt.type in (open, openat) and fd.name in (/root/lanner.deb, /root/once)
  output: own %fd.name
  priority: WARNING
RULES
before=$(pid)
inside systemctl reload lanner
own_rule() {
    inside cat /root/lanner.deb >/dev/null
    grep -q 'own /root/lanner.deb' <<<"$(entries)"
}
wait_for "the new rule is in force" own_rule
check "it is the same process" [ "$(pid)" = "$before" ]
echo >"$SYSTEM/root/once"
inside cat /root/once >/dev/null
once() { entries | grep -c 'own /root/once'; }
wait_for "its alert has come" once
check "it is there once" [ "$(once)" = 1 ]

say "the keeper"
check "it is off" [ "$(inside systemctl is-enabled lanner-keeper)" = disabled ]
inside systemctl enable --now --quiet lanner-keeper
wait_for "it listens" inside test -S /run/lanner/seccomp.sock
keeper=$(inside systemctl show -P MainPID lanner-keeper)

say "an upgrade"
newer "$PACKAGE" "$SYSTEM/root/newer.deb"
inside dpkg -i /root/newer.deb >/dev/null
check "another process runs" [ "$(pid)" != "$before" ]
check "the keeper is the same" [ "$(inside systemctl show -P MainPID lanner-keeper)" = "$keeper" ]
echo >"$SYSTEM/root/twice"
sed -i 's|/root/once|/root/twice|' "$SYSTEM/etc/lanner/rules.d/own.yaml"
twice() {
    inside cat /root/twice >/dev/null
    grep -q 'own /root/twice' <<<"$(entries)"
}
wait_for "it watches by the rules that were kept" twice

say "removal"
inside dpkg -r lanner >/dev/null
check "the service is stopped" [ "$(inside systemctl is-active lanner)" != active ]
check "it ended well: $(entries | tail -n 5)" [ "$(inside systemctl show -P Result lanner)" = success ]
inside dpkg -P lanner >/dev/null
check "nothing is left of the unit" [ "$(inside systemctl list-unit-files 'lanner*' --no-legend | wc -l)" = 0 ]
check "nothing is left in /run and /etc" [ -z "$(inside find /run /etc /var/lib -name '*lanner*' -not -path '/var/lib/dpkg/*')" ]
