#!/usr/bin/env bash
# Installs, upgrades and purges Lanner's package in a minimal Debian that has no running systemd, with a real journal beside.
#
#   deb_check.sh [SUITE [PACKAGE]]      SUITE: bookworm unless given, `this` for this machine's own system, of which nothing
#                                       is changed; PACKAGE: what `make deb` made
. "$(dirname "${BASH_SOURCE[0]}")/system.sh"

take_package "$@"
need_kernel
if [ "$SUITE" = this ] && { [ -e /etc/lanner ] || [ -e /usr/bin/lanner ]; }; then
    skip "Lanner is installed on this machine"
fi
new_system "$SUITE" "$SUITE" "$PACKAGE"
if [ -z "$SYSTEM" ]; then
    say "the package is installed, upgraded and purged cleanly in ${SUITE/#this/a copy of this system}"
    exit 0
fi

SYSTEM_SECONDS=60
# What nobody else on this machine opens: other Lanners may be tried here.
MARK=/root/mark-$$

# What runs in the background says it to a file.
explain() {
    in_system journalctl -q --no-pager -D /run/log/journal -n 40 || true
    cat "$SYSTEM.background"
}

# Every file and folder, but for what dpkg, apt and the journal keep for themselves; of this machine's own system those that are new.
inventory() {
    local of=${CHANGED:-$SYSTEM} line
    find "$of" -xdev \( -path "$of/var/lib/dpkg" -o -path "$of/var/cache" -o -path "$of/var/lib/apt" -o -path "$of/tmp" \
        -o -path "$of/var/log/apt" -o -path "$of/var/log/journal" \) -prune -o ! -name dpkg.log ! -name alternatives.log -printf '/%P %y %m %l\n' |
        while read -r line; do
            [ -n "${CHANGED:-}" ] && [ -e "${line%% *}" ] || printf '%s\n' "$line"
        done
    find "$SYSTEM/run" -xdev -path "$SYSTEM/run/*lanner*" -printf '/run/%P\n'
} 2>/dev/null

say "giving it a journal, and what the package depends on"
furnish_system
if [ "$SUITE" != this ]; then
    install_for_package systemd
fi
cp "$PACKAGE" "$SYSTEM/root/lanner.deb"
inventory | sort >"$SYSTEM.before"

say "dpkg -i"
in_system dpkg --no-triggers -i /root/lanner.deb >/dev/null
check "nothing of it differs from the package" [ -z "$(in_system dpkg -V lanner)" ]
check "the service is on from the next boot" [ -L "$SYSTEM/etc/systemd/system/multi-user.target.wants/lanner.service" ]
for file in lanner.yaml lanner_rules.yaml lanner_rules.local.yaml; do
    check "/etc/lanner/$file is a configuration file" grep -q "^ /etc/lanner/$file " <<<"$(in_system dpkg-query -W -f '${Conffiles}\n' lanner)"
done
check "the units are ones that systemd takes" in_system systemd-analyze verify --man=no /usr/lib/systemd/system/lanner{,-keeper}.service
check "bash completes its options" in_system bash -c '. /usr/share/bash-completion/completions/lanner && COMP_WORDS=(lanner --dry) COMP_CWORD=1 &&
    _lanner lanner --dry lanner && [ "${COMPREPLY[*]}" = --dry-run ]'
said=$(in_system lanner --dry-run 2>&1) || stop "lanner --dry-run: $said"
check "nothing is said against the configuration and the rules: $said" [ -z "$(grep -E '(WARN|ERROR) ' <<<"$said")" ]
check "they are those of the package: $said" grep -q '/etc/lanner/lanner.yaml' <<<"$said"

say "a journal, and the unit's ExecStart"
mkdir -p "$SYSTEM"/run/systemd/{journal,journald.conf.d} "$SYSTEM/run/log/journal"
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=0\nForwardToWall=no\n' >"$SYSTEM/run/systemd/journald.conf.d/test.conf"
# What runs in the background keeps no pipe of the caller's open, and is killed in the end.
SYSTEM_SECONDS='' in_system /usr/lib/systemd/systemd-journald </dev/null >"$SYSTEM.background" 2>&1 &
disown
wait_for "the journal listens" [ -S "$SYSTEM/run/systemd/journal/socket" ]
JOURNALD=$(processes systemd-journal)
# As in_system, in the namespace of the journal that is there: making one of its own each time costs more than all else here.
beside_journal() {
    timeout --foreground --verbose -k 5 $SYSTEM_SECONDS nsenter --mount --target "$JOURNALD" "$@"
}
journal() {
    beside_journal journalctl --sync >/dev/null 2>&1 || true
    beside_journal journalctl -q --no-pager -D /run/log/journal "$@"
}
unit=$SYSTEM/usr/lib/systemd/system/lanner.service
start=$(sed -n 's/^ExecStart=//p' "$unit")
bounds=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
watches() {
    grep -q 'cat /etc/shadow' <<<"$(journal -t lanner)"
}
# As the unit has it: its privileges, standard output nowhere, standard error in the journal, no terminal.
run_unit() {
    # shellcheck disable=SC2086
    SYSTEM_SECONDS='' in_system systemd-cat --identifier lanner setpriv --no-new-privs --bounding-set "-all,$bounds" --inh-caps=-all \
        sh -c "exec $start >/dev/null" </dev/null >>"$SYSTEM.background" 2>&1 &
    disown
    wait_for "Lanner watches" watches
    wait_for "its process id is written" [ -s "$SYSTEM/run/lanner.pid" ]
}
reads_shadow() {
    beside_journal cat /etc/shadow >/dev/null
    grep -q 'file=/etc/shadow.*process=cat' <<<"$(journal -o cat LANNER_RULE="Password file read")"
}
run_unit
wait_for "an alert is in the journal" reads_shadow

say "rules of one's own, and ExecReload"
cat >"$SYSTEM/etc/lanner/rules.d/own.yaml" <<RULES
- rule: Own
  desc: d
  condition: evt.type in (open, openat) and fd.name startswith $MARK
  output: own %fd.name
  priority: WARNING
RULES
# Of two rules with one name the later file's counts: rules.d comes after the local file, and that after the package's.
cat >>"$SYSTEM/etc/lanner/lanner_rules.local.yaml" <<RULES
# mine
- rule: Own
  desc: d
  condition: evt.type in (open, openat) and fd.name startswith $MARK
  output: local %fd.name
  priority: WARNING
- rule: Password file read
  desc: d
  condition: evt.type in (open, openat) and fd.name = /etc/shadow and proc.name = cat
  output: local %fd.name
  priority: WARNING
RULES
reload=$(sed -n 's/^ExecReload=//p' "$unit")
in_system env "MAINPID=$(cat "$SYSTEM/run/lanner.pid")" sh -c "$reload"
# A name of its own each time, so that each is one alert.
opened=0
own_rule() { # WHEN
    opened=$((opened + 1))
    : >"$SYSTEM$MARK.$1.$opened"
    beside_journal cat "$MARK.$1.$opened"
    grep -q "own $MARK.$1" <<<"$(journal -o cat LANNER_RULE=Own)"
}
wait_for "the new rule is in force" own_rule reloaded
twice=$(journal -t lanner -o cat | grep -o "own $MARK[.a-z0-9]*" | sort | uniq -d)
check "each alert is in the journal once: $twice" [ -z "$twice" ]
local_rule() {
    beside_journal cat /etc/shadow >/dev/null
    grep -q 'local /etc/shadow' <<<"$(journal -o cat LANNER_RULE="Password file read")"
}
wait_for "the local rule is in force instead of the package's" local_rule
check "the one in rules.d is in force instead of the local one" [ -z "$(journal -o cat LANNER_RULE=Own | grep local)" ]

say "an upgrade"
newer "$PACKAGE" "$SYSTEM/root/newer.deb"
in_system dpkg --no-triggers -i /root/newer.deb >/dev/null
check "rules of the package are the newer ones" grep -q 'newer version' "$SYSTEM/etc/lanner/lanner_rules.yaml"
check "a configuration that nobody changed is the newer one" grep -q 'newer version' "$SYSTEM/etc/lanner/lanner.yaml"
check "local rules are kept" grep -q '^# mine' "$SYSTEM/etc/lanner/lanner_rules.local.yaml"
check "rules.d is kept" [ -s "$SYSTEM/etc/lanner/rules.d/own.yaml" ]
wait_for "the old rule is in force" own_rule upgraded
rm "$SYSTEM$MARK".*

say "the end"
kill -TERM "$(cat "$SYSTEM/run/lanner.pid")"
wait_for "it has ended" [ ! -e "$SYSTEM/run/lanner.pid" ]
in_system dpkg --no-triggers -r lanner >/dev/null
check "removal keeps the configuration" [ -s "$SYSTEM/etc/lanner/rules.d/own.yaml" ]
in_system dpkg --no-triggers -P lanner 2>&1 >/dev/null | { ! grep . || stop "dpkg -P says the above"; }
end_processes
rm "$SYSTEM/root/newer.deb"
inventory | sort >"$SYSTEM.after"
check "purging leaves nothing" diff "$SYSTEM.before" "$SYSTEM.after"
rm "$SYSTEM.before" "$SYSTEM.after"
