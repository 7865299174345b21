# Sourced by the scripts of this folder: where things are, how they speak, how they use apt.
# shellcheck shell=bash

# With pipefail, a pipe's reader must read to the end: one that leaves early (head, grep -q) makes its writer fail by SIGPIPE.
set -euo pipefail
# Says which command ended a script that says nothing itself.
trap 'printf "error: %s, line %s: exit code %s of: %s\n" "$0" "$LINENO" "$?" "$BASH_COMMAND" >&2' ERR

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Downloads and unpacked fixtures; a plain `cargo clean` throws them away too.
MACHINE_DIR=${LANNER_MACHINE_DIR:-$ROOT/target/machine}
STARTED=${STARTED:-$(date +%s)}
export STARTED

say() {
    local passed=$(($(date +%s) - STARTED))
    printf '==> [%d:%02d] %s\n' $((passed / 60)) $((passed % 60)) "$*" >&2
}

# One clear line, and the end.
stop() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# For what this machine cannot do: the callers print the line and go on. 77 is the usual exit code for "skipped".
skip() {
    printf 'skipped: %s\n' "$*" >&2
    exit 77
}

need_root() {
    [ "$(id -u)" = 0 ] || stop "$1 needs root: loading BPF programs and installing packages do. Try: sudo -E env \"PATH=\$PATH\" make ${2:-run}"
}

# Puts cargo on the PATH when a login shell would have it there, and says so when there is none or it is too old.
need_cargo() {
    local home wanted have
    if ! command -v cargo >/dev/null; then
        for home in "${CARGO_HOME:-}" "$HOME/.cargo" "$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)/.cargo"; do
            if [ -x "$home/bin/cargo" ]; then
                PATH=$home/bin:$PATH
                break
            fi
        done
    fi
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | sed -n 1p)
    command -v cargo >/dev/null || stop "no cargo found: install Rust $wanted or newer, then run this again"
    have=$(cd "$ROOT" && cargo --version 2>/dev/null | awk '{print $2}') || true
    [ -n "$have" ] || stop "cargo cannot run: is the toolchain that rust-toolchain.toml names installed? (cd $ROOT && cargo --version) tells"
    [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | sed -n 1p)" = "$wanted" ] ||
        stop "cargo $have is too old: Lanner needs Rust $wanted or newer"
}

# What the running kernel must offer for capture by BPF; the program itself says more about what it found.
need_kernel() {
    [ "$(uname -s)" = Linux ] || stop "Lanner watches Linux kernels, and this is $(uname -s)"
    case $(uname -m) in
    x86_64 | aarch64) ;;
    *) stop "this machine is a $(uname -m): Lanner runs on x86_64 and aarch64" ;;
    esac
    [ -r /sys/kernel/btf/vmlinux ] || stop "this kernel ($(uname -r)) has no BTF at /sys/kernel/btf/vmlinux: Lanner needs Linux 5.8 or newer with CONFIG_DEBUG_INFO_BTF, as distribution kernels have"
}

# Tracepoints and pinned maps live in file systems that containers and small systems often lack.
mount_kernel_filesystems() {
    local kind place
    while read -r kind place; do
        if ! awk -v place="$place" -v kind="$kind" '$2 == place && $3 == kind { found = 1 } END { exit !found }' /proc/mounts; then
            if mount -t "$kind" "$kind" "$place" 2>/dev/null; then
                say "mounted $kind at $place"
            else
                printf 'note: %s could not be mounted at %s\n' "$kind" "$place" >&2
            fi
        fi
    done <<<"tracefs /sys/kernel/tracing
bpf /sys/fs/bpf"
}

# Installs those of the named packages that are missing.
install_packages() {
    local missing=() name log
    command -v apt-get >/dev/null || stop "no apt-get found: on a system that is not Debian's, install these yourself: $*"
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null)" = 'ii ' ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || stop "these packages are missing and only root can install them: ${missing[*]}"
    say "installing ${missing[*]}"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # A source that does not answer is no reason to stop: the install below is what counts.
    apt-get -q update >"$log" 2>&1 || true
    if ! apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "${missing[@]}" >>"$log" 2>&1; then
        tail -n 15 "$log" >&2
        stop "apt-get could not install: ${missing[*]} (its whole output: $log)"
    fi
    rm -f "$log"
}

# A Python environment in a folder, with pip.
python_environment() {
    python3 -m venv "$1" >/dev/null 2>&1 && return
    [ "$(id -u)" = 0 ] || skip "python3-venv is not installed"
    install_packages python3-venv
    python3 -m venv "$1"
}

BUILD_PACKAGES=(ca-certificates gcc libc6-dev make pkg-config clang libelf-dev zlib1g-dev protobuf-compiler libprotobuf-dev)
TEST_PACKAGES=("${BUILD_PACKAGES[@]}" g++ dpkg-dev systemd systemd-container util-linux busybox-static cpio qemu-system-x86)

# The archive this machine installs Debian packages from, out of its own apt configuration.
archive_address() {
    local address
    address=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)' 2>/dev/null |
        awk '$2 !~ /security|updates|backports/ && $3 == "main" && $4 == "Debian" && !found++ { print $1 }')
    [ -n "$address" ] || skip "apt knows no Debian archive (run apt-get update first)"
    printf '%s\n' "$address"
}

# apt against another suite of that archive, with a state of its own: the system's own package lists stay untouched.
#   other_suite FOLDER SUITE            makes FOLDER hold the lists of SUITE
#   apt_there FOLDER COMMAND...         runs apt-get or apt-cache with them
# A mirror may lag behind: its lists are used after their date too. They are signed all the same, and only tests use them.
other_suite() {
    local folder=$1 suite=$2 address
    address=$(archive_address) || exit $?
    mkdir -p "$folder"/lists/partial "$folder"/cache/archives/partial
    : >"$folder/status"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$address" "$suite" >"$folder/sources.list"
    apt_there "$folder" apt-get update >"$folder/update.log" 2>&1 && ! grep -q '^[EW]:' "$folder/update.log"
}

apt_there() {
    local folder=$1 command=$2
    shift 2
    "$command" -q -o Dir::State="$folder" -o Dir::State::lists="$folder/lists" -o Dir::State::status="$folder/status" \
        -o Dir::Cache="$folder/cache" -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Update::Post-Invoke-Success::= "$@"
}

# Copies of these programs for guests, without what a debugger reads, in a folder that each call fills anew: prints the path of each,
# and of every library they need, which is to be where it is here.
for_guests() { # FOLDER PROGRAM...
    local folder=$1 program
    shift
    mkdir -p "$folder"
    for program; do
        # Another call may hand out the old one meanwhile.
        strip -o "$folder/.$$" "$program"
        mv "$folder/.$$" "$folder/$(basename "${program%-????????????????}")"
    done
    for program; do
        printf '%s\n' "$folder/$(basename "${program%-????????????????}")"
    done
    ldd "$@" | sed -n -e 's/^.* => \(\/.*\) (0x.*$/\1/p' -e 's/^\t\(\/.*\) (0x.*$/\1/p' | sort -u
}
