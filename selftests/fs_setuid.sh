#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A setuid program whose stderr is a topic does not lend its name (faults.md G.35): the
# entry has the uid of who opened the topic, the stamp that of the program.
# NEEDS: setpriv
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
chmod 711 "$lib_tmp"
cp /bin/ls "$lib_tmp/ls"
chmod 4755 "$lib_tmp/ls"
mk_topic t --framing line --stamp uid --mode 0602
mk_topic closed --framing line --mode 0600
as() { setpriv --reuid "$1" --regid "$1" --clear-groups sh -c "$2"; }

check_fails "a user runs it, its errors go to the topic" 2 \
	as 1234 "exec $lib_tmp/ls /no/such 2>$MQ/$t"
is "$(mqctl consume "$t" --format json | python3 -c 'import json, sys
for line in sys.stdin:
    d = json.loads(line)
    print(d["uid"], d["writer-uid"], "No such file" in d["payload"])')" \
	"1234 0 True" "G.35: the entry names the user, the stamp root, whose program it was"
check_fails "G.35: a topic that is not the user's is not opened for it" 2 \
	as 1234 "exec $lib_tmp/ls /no/such 2>$MQ/$closed"
is "$(stat_of "$closed" messages-in)" 0 "and nothing is in it"

finish
