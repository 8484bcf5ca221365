#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A service unit's output is a topic: StandardOutput=file:/dev/mq/app.
# NEEDS: systemctl
# TIMEOUT: 180
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
mkdir "$lib_tmp/units"
mk_topic app --framing line
mk_topic err --framing line

# unit NAME LINE...: a service unit with these lines
unit() {
	lib_unit=$lib_tmp/units/$1.service
	shift
	{
		echo "[Service]"
		printf '%s\n' "$@"
	} >"$lib_unit"
}

unit job Type=oneshot "StandardOutput=file:$MQ/$app" "StandardError=file:$MQ/$err" \
	"ExecStart=sh -c 'seq 1000; echo trouble >&2'"
unit more Type=oneshot "StandardOutput=append:$MQ/$app" "ExecStart=seq 1001 1500"
unit cut Type=oneshot "StandardOutput=truncate:$MQ/$app" "ExecStart=printf 'the last words'"
unit typo Type=oneshot "StandardOutput=file:$MQ/$app-typo" "ExecStart=echo hello"
unit filter Type=oneshot "StandardInput=file:$MQ/$app+until=end" "StandardOutput=file:$MQ/$err" \
	"ExecStart=grep 99"

service_manager
check "a unit with StandardOutput=file:" limit 60 systemctl --user start job
is "$(mq_all "$app" | cksum)" "$(seq 1000 | cksum)" "its output is in the topic, and all of it"
is "$(stat_of "$app" messages-in)" 1000 "each line is a message"
is "$(mq_all "$err")" trouble "so is its stderr in another"
check "StandardOutput=append: does the same" limit 60 systemctl --user start more
check "so does truncate:, and it truncates nothing" limit 60 systemctl --user start cut
is "$(mq_all "$app")" "$(seq 1500; echo "the last words")" "all of three units, one behind the other"
check "StandardInput=file: reads up to an end" limit 60 systemctl --user start filter
is "$(mq_all "$err")" "$(echo trouble; seq 1500 | grep 99)" "what it found is there"
check_fails "a name that no topic has: the unit fails" 1 limit 60 systemctl --user start typo
check_fails "and leaves no file" 1 test -e "$MQ/$app-typo"
is "$(stat_of "$app" writers) $(stat_of "$err" writers)" "0 0" "nobody keeps the topics open"
[ "$tap_failed" = 0 ] || note "$(cat "$lib_tmp/systemd.log")"

finish
