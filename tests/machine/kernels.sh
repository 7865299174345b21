#!/usr/bin/env bash
# Runs a program on other kernels than this machine's: Debian's cloud kernels, in qemu without hardware help.
#
#   kernels.sh fetch [NAME...]             puts kernels into target/machine/kernels (oldest and newest unless named); does
#                                          nothing when they are there
#   kernels.sh names                       the kernels there can be
#   kernels.sh list                        the kernels that are there: NAME RELEASE
#   kernels.sh boot NAME PROGRAM [ARG...]  boots one with a program, prints what that prints, and exits as it does
#
# The guest has LANNER_GUEST_FILES too: places on this machine, each followed by = and its place in the guest, one a line.
# LANNER_GUEST_ENVIRONMENT has variables for the program, NAME=VALUE, between blanks.
# With LANNER_GUEST_MOUNTED_ROOT its root is a file system that is mounted, as a machine's is, and can be exchanged (pivot_root).
# LANNER_GUEST_CGROUPS says how it mounts cgroups: v2 (unless set), v1, hybrid. With LANNER_GUEST_COUNTED it has one
# processor, to which every instruction takes a nanosecond, and nothing in it is left to chance: its clock counts instructions.
#
# Exits with 77 and one line where the machine has no qemu or cannot reach the archive, with 124 when a guest is too slow
# (LANNER_GUEST_SECONDS, 1800 unless set: one of tier A on a busy machine takes its time).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

KERNELS=$MACHINE_DIR/kernels

# The kernels: the name, the versions that will do, and the suites of Debian that have them, whose newest is taken. The
# oldest is the oldest that Lanner supports.
KNOWN='oldest 5.10 bullseye
6.1 6.1 bookworm
6.12 6.12 trixie
6.18 6.18 trixie-backports
newest [0-9]+.[0-9]+ trixie-backports sid'

kernels_of() { # FOLDER VERSION: the packages of cloud kernels of that version, the newest last
    apt_there "$1" apt-cache --names-only search "^linux-image-${2//./\\.}(\\.[0-9]+)*[-+].*cloud-amd64\$" 2>/dev/null |
        awk '{ print $1 }' | sort -V
}

fetch_one() { # NAME: false, with a note, when the archive gives none
    local name=$1 version suites suite folder=$KERNELS/$1 from='' package='' found binary vmlinuz
    [ ! -e "$folder/release" ] || return 0
    read -r version suites < <(awk -v name="$name" '$1 == name { $1 = ""; print }' <<<"$KNOWN")
    [ -n "$version" ] || stop "there is no kernel '$name': $(awk '{ printf "%s ", $1 }' <<<"$KNOWN")"
    rm -rf "$folder"
    mkdir -p "$folder/package"
    for suite in $suites; do
        say "looking for the $name cloud kernel in Debian $suite"
        other_suite "$folder/apt-$suite" "$suite" || continue
        found=$(kernels_of "$folder/apt-$suite" "$version" | tail -n 1)
        if [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$package" "$found" | sort -V | tail -n 1)" != "$package" ]; then
            package=$found
            from=$folder/apt-$suite
        fi
    done
    if [ -n "$package" ]; then
        # Since 2026 the package may depend on another one, which holds the kernel itself.
        binary=$(apt_there "$from" apt-cache depends "$package" 2>/dev/null |
            awk '$1 == "Depends:" && $2 ~ /^linux-binary-[0-9]/ { print $2; exit }')
        if (cd "$folder/package" && apt_there "$from" apt-get download "${binary:-$package}" >../download.log 2>&1) &&
            dpkg-deb -x "$folder"/package/*.deb "$folder/package" &&
            vmlinuz=$(find "$folder/package" -type f -name 'vmlinuz*' | sed -n 1p) && [ -n "$vmlinuz" ]; then
            mv "$vmlinuz" "$folder/vmlinuz"
            rm -rf "$folder"/package "$folder"/apt-*
            printf '%s\n' "${package#linux-image-}" >"$folder/release"
            return 0
        fi
    fi
    printf "note: Debian's archive gave no %s kernel (%s of %s)\n" "$name" "$version" "$suites" >&2
    rm -rf "$folder"
    return 1
}

fetch() { # [NAME...]
    [ "$(dpkg --print-architecture)" = amd64 ] || skip "the kernel guests are only prepared for amd64"
    mkdir -p "$KERNELS"
    exec 9>"$KERNELS.lock"
    flock 9
    local name got=0
    [ $# -gt 0 ] || set -- oldest newest
    for name; do
        if fetch_one "$name"; then got=1; fi
    done
    [ $got = 1 ] || skip "Debian's archive gave no kernel"
}

list() {
    local folder
    for folder in "$KERNELS"/*/; do
        [ ! -e "$folder/release" ] || printf '%s %s\n' "$(basename "$folder")" "$(cat "$folder/release")"
    done
}

boot() { # NAME PROGRAM [ARG...]
    local environment name=$1 program=$2 busybox work seconds code from to arguments='' machine=(-smp 2)
    shift 2
    command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64 here (make test installs it)"
    command -v cpio >/dev/null || skip "no cpio here (make test installs it)"
    busybox=$(command -v busybox) || skip "no busybox here (make test installs it)"
    [ -e "$KERNELS/$name/vmlinuz" ] || skip "the kernel '$name' was not fetched"
    seconds=${LANNER_GUEST_SECONDS:-1800}
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work"/root/{bin,dev,etc,proc,root,run,sys,tmp,usr/bin,var/log}
    cp "$busybox" "$work/root/bin/busybox"
    cp "$program" "$work/root/program"
    while IFS='=' read -r from to; do
        [ -n "$from" ] || continue
        mkdir -p "$work/root/$(dirname "$to")"
        cp "$from" "$work/root/$to"
    done <<<"${LANNER_GUEST_FILES:-}"
    if [ -n "${LANNER_GUEST_COUNTED:-}" ]; then
        machine=(-smp 1 -icount 'shift=0,sleep=off' -seed 1 -rtc 'base=2026-01-01T00:00:00,clock=vm')
        # Addresses are not drawn, and the clock is the counter of the processor.
        arguments='nokaslr norandmaps tsc=reliable clocksource=tsc random.trust_cpu=on'
    fi
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$work/root/etc/passwd"
    printf 'root:x:0:\nnobody:x:65534:\n' >"$work/root/etc/group"
    printf 'root:*:20000:0:99999:7:::\n' >"$work/root/etc/shadow"
    # Assignments, if there are any, come before the program.
    read -ra environment <<<"${LANNER_GUEST_ENVIRONMENT:-}"
    printf '%q ' "${environment[@]}" /program "$@" >"$work/root/command"
    printf '%s\n' "${LANNER_GUEST_CGROUPS:-v2}" >"$work/root/cgroups"
    [ -z "${LANNER_GUEST_MOUNTED_ROOT:-}" ] || touch "$work/root/mount-root"
    cat >"$work/root/init" <<'INIT'
#!/bin/busybox sh
if [ -e /mount-root ]; then
    /bin/busybox rm /mount-root
    /bin/busybox mkdir /mounted
    /bin/busybox mount -t tmpfs -o mode=755 tmpfs /mounted
    for one in /*; do
        [ "$one" = /mounted ] || /bin/busybox cp -a "$one" /mounted
    done
    exec /bin/busybox switch_root /mounted /init
fi
/bin/busybox --install -s /bin
mount -t devtmpfs devtmpfs /dev
ln -s /proc/self/fd /dev/fd
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs securityfs /sys/kernel/security
case $(cat /cgroups) in
v2) mount -t cgroup2 cgroup2 /sys/fs/cgroup ;;
*)
    mount -t tmpfs cgroup /sys/fs/cgroup
    for controller in memory pids cpu; do
        mkdir "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" 2>/dev/null
    done
    # What version 1 has not taken is then bound to version 2.
    [ "$(cat /cgroups)" != hybrid ] || { mkdir /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified; }
    ;;
esac
mount -t tmpfs tmpfs /tmp
ip link set lo up
export PATH=/bin HOME=/root
echo "guest: Linux $(uname -r), BTF $([ -r /sys/kernel/btf/vmlinux ] && echo present || echo absent)"
sh /command
echo "guest-exit: $?"
poweroff -f
INIT
    chmod +x "$work/root/init"
    (cd "$work/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd.gz"
    code=0
    # On a busy machine the emulated timer can be too late for the kernel's look at it, which then gives up.
    timeout --kill-after=5 "$seconds" qemu-system-x86_64 -accel tcg -cpu max -m 1024 "${machine[@]}" -nographic -no-reboot \
        -kernel "$KERNELS/$name/vmlinuz" -initrd "$work/initrd.gz" \
        -append "console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check $arguments" </dev/null >"$work/output" 2>&1 || code=$?
    # The serial line ends its lines as a terminal does, and the firmware clears the screen.
    tr -d '\r' <"$work/output" | sed -e 's/\x1b\[[0-9;?=]*[A-Za-z]//g' -e 's/\x1bc//g' >"$work/text"
    sed -n -e '/guest: Linux/,$ { /guest-exit: /q' -e 'p }' "$work/text"
    if [ "$code" = 124 ]; then
        tail -n 5 "$work/text" >&2
        printf 'error: the guest %s did not end within %s s\n' "$name" "$seconds" >&2
        exit 124
    fi
    code=$(sed -n 's/.*guest-exit: \([0-9]*\)$/\1/p' "$work/text")
    if [ -z "$code" ]; then
        tail -n 30 "$work/text" >&2
        stop "the guest $name ended before its program did"
    fi
    exit "$code"
}

case ${1:-} in
fetch)
    shift
    fetch "$@"
    ;;
names) awk '{ print $1 }' <<<"$KNOWN" ;;
list) list ;;
boot)
    [ $# -ge 3 ] || stop "usage: kernels.sh boot NAME PROGRAM [ARG...]"
    shift
    boot "$@"
    ;;
*) stop "usage: kernels.sh fetch [NAME...] | names | list | boot NAME PROGRAM [ARG...]" ;;
esac
