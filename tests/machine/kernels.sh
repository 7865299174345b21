#!/usr/bin/env bash
# Runs a program on other kernels than this machine's: Debian's cloud kernels, in qemu without hardware help.
#
#   kernels.sh fetch                       puts the kernels into target/machine/kernels; does nothing when they are there
#   kernels.sh list                        the kernels that are there: NAME RELEASE
#   kernels.sh boot NAME PROGRAM [ARG...]  boots one with a static program, prints what that prints, and exits as it does
#
# LANNER_GUEST_CGROUPS says how the guest mounts cgroups: v2 (unless set), v1, hybrid. Exits with 77 and one line where the machine has no qemu or cannot reach the archive, with 124 when a guest is too slow
# (LANNER_GUEST_SECONDS, 300 unless set).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

KERNELS=$MACHINE_DIR/kernels

dependency() { # FOLDER PACKAGE PATTERN: the package of that name which PACKAGE depends on
    apt_there "$1" apt-cache depends "$2" 2>/dev/null |
        awk -v pattern="$3" '$1 == "Depends:" && $2 ~ pattern { print $2; exit }'
}

fetch_one() { # NAME SUITE...: the kernel of the first suite that gives one
    local name=$1 suite folder package binary vmlinuz
    shift
    folder=$KERNELS/$name
    [ ! -e "$folder/release" ] || return 0
    for suite in "$@"; do
        say "fetching the cloud kernel of Debian $suite"
        rm -rf "$folder"
        mkdir -p "$folder/package"
        other_suite "$folder/apt" "$suite" || continue
        # The name without a version is an empty package that depends on the newest real one, which since 2026 may
        # depend in turn on one that holds the kernel itself.
        package=$(dependency "$folder/apt" linux-image-cloud-amd64 '^linux-image-[0-9]')
        [ -n "$package" ] || continue
        binary=$(dependency "$folder/apt" "$package" '^linux-binary-[0-9]')
        (cd "$folder/package" && apt_there "$folder/apt" apt-get download "${binary:-$package}" >../download.log 2>&1) || continue
        dpkg-deb -x "$folder"/package/*.deb "$folder/package"
        vmlinuz=$(find "$folder/package" -type f -name 'vmlinuz*' | head -n 1)
        [ -n "$vmlinuz" ] || continue
        mv "$vmlinuz" "$folder/vmlinuz"
        rm -rf "$folder/package" "$folder/apt"
        printf '%s\n' "${package#linux-image-}" >"$folder/release"
        return 0
    done
    printf "note: Debian's archive gave no kernel of %s\n" "$*" >&2
    rm -rf "$folder"
    return 1
}

fetch() {
    [ "$(dpkg --print-architecture)" = amd64 ] || skip "the kernel guests are only prepared for amd64"
    mkdir -p "$KERNELS"
    exec 9>"$KERNELS.lock"
    flock 9
    local got=0
    # The oldest kernel that Lanner supports, and the newest there is.
    if fetch_one oldest bullseye; then got=1; fi
    if fetch_one newest sid trixie; then got=1; fi
    [ $got = 1 ] || skip "Debian's archive gave no kernel"
}

list() {
    local folder
    for folder in "$KERNELS"/*/; do
        [ ! -e "$folder/release" ] || printf '%s %s\n' "$(basename "$folder")" "$(cat "$folder/release")"
    done
}

boot() { # NAME PROGRAM [ARG...]
    local name=$1 program=$2 busybox work seconds code
    shift 2
    command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64 here (make test installs it)"
    command -v cpio >/dev/null || skip "no cpio here (make test installs it)"
    busybox=$(command -v busybox) || skip "no busybox here (make test installs it)"
    [ -e "$KERNELS/$name/vmlinuz" ] || skip "the kernel '$name' was not fetched"
    seconds=${LANNER_GUEST_SECONDS:-300}
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work"/root/{bin,dev,etc,proc,root,run,sys,tmp,usr/bin,var/log}
    cp "$busybox" "$work/root/bin/busybox"
    cp "$program" "$work/root/program"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$work/root/etc/passwd"
    printf 'root:x:0:\nnobody:x:65534:\n' >"$work/root/etc/group"
    printf 'root:*:20000:0:99999:7:::\n' >"$work/root/etc/shadow"
    printf '%q ' /program "$@" >"$work/root/command"
    printf '%s\n' "${LANNER_GUEST_CGROUPS:-v2}" >"$work/root/cgroups"
    cat >"$work/root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs devtmpfs /dev
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
    timeout --kill-after=5 "$seconds" qemu-system-x86_64 -accel tcg -cpu max -m 1024 -smp 2 -nographic -no-reboot \
        -kernel "$KERNELS/$name/vmlinuz" -initrd "$work/initrd.gz" \
        -append "console=ttyS0 quiet loglevel=3 panic=-1" </dev/null >"$work/output" 2>&1 || code=$?
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
fetch) fetch ;;
list) list ;;
boot)
    [ $# -ge 3 ] || stop "usage: kernels.sh boot NAME PROGRAM [ARG...]"
    shift
    boot "$@"
    ;;
*) stop "usage: kernels.sh fetch | list | boot NAME PROGRAM [ARG...]" ;;
esac
