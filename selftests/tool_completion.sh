#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Completion of mqctl, as bash calls it: COMP_WORDS in, COMPREPLY out.
# TIMEOUT: 300

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"
# shellcheck source=tools/completion/mqctl
. "$(dirname "$0")/../tools/completion/mqctl"

note_topic orders
note_topic other
mqctl topic add orders --partitions 2
mqctl topic add other

# shellcheck disable=SC2317 # called by the transcripts
# complete_to WORD...: what the last word can become, sorted, on one line.
complete_to() {
	COMP_WORDS=(mqctl "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_mqctl
	printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
}

transcript <<'END'
$ complete_to showc
showconf
$ complete_to to
topic
$ complete_to topic ''
add del list set show
$ complete_to topic add t --ring
--ring-bytes --ring-messages
$ complete_to topic add t --pers
--persistent
$ complete_to topic add t --no-pe
--no-persistent
$ complete_to topic set orders --ring

$ complete_to topic add t --overflow ''
block drop-oldest reject
$ complete_to topic add t --overflow d
drop-oldest
$ complete_to topic add t --stamp ''
cgroup none uid
$ complete_to topic add t --uid nobod
nobody
$ complete_to topic add t --gid nogr
nogroup
$ complete_to topic add t --ring-bytes ''

$ complete_to topic set ''
orders other
$ complete_to topic del other o
orders other
$ complete_to consume or
orders
$ : </dev/mq/orders@1; complete_to consume o
orders other
$ complete_to consume orders --format ''
json metadata plain raw
$ complete_to consume orders --from n
newest
$ complete_to stat -o messages-
messages-in messages-out
$ complete_to stat -o name,bytes-
name,bytes-in name,bytes-out
$ complete_to stat -o prom
prometheus
$ complete_to version x

$ complete_to apply /etc/hostn
/etc/hostname
$ complete_to nosuch x y

$ MQ_DIR=/nonexistent complete_to consume ''

$ bash -c '. tools/completion/mqctl; complete -p mqctl'
complete -F _mqctl mqctl
END

is "$(complete_to '')" "$(mqctl help --table |
	awk -F '\t' '$1 == "command" { sub(/ .*/, "", $2); print $2 }' | sort -u |
	paste -sd ' ')" "every command"
finish
