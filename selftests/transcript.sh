#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tests as transcripts, to be sourced after lib.sh:
#
#	transcript <<'END'
#	$ mqctl topic add a --ring-bytes 3M
#	mqctl: topic add a: --ring-bytes 3M is not a power of two
#	=> 1
#	$ mqctl topic list --noheadings
#	END
#
# Each command is a test point: what it prints (both streams) and its status
# ("=> N", 0 if not said) must be as written. What differs from run to run is
# masked: TIME for a time, ID for a topic's id, PID for a process's.

mask() {
	sed -E 's/20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z/TIME/g
		s/\b[0-9a-f]{32}\b/ID/g
		s/pid=[0-9]+/pid=PID/g
		s/"pid":[0-9]+/"pid":PID/g'
}

# json PROGRAM: what PROGRAM prints of JSON, which it sees as d; so it is JSON.
json() {
	python3 -c 'import json, sys
d = json.load(sys.stdin)
'"$1"
}

as_nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all "$@"
}

transcript_step() {
	[ -n "$tr_command" ] || return
	tr_got=$( (eval "$tr_command") 2>&1 </dev/null)
	tr_got_status=$?
	tr_got=$(printf '%s\n' "$tr_got" | mask)
	# Command substitution drops the last newlines of both.
	tr_want=$(printf '%s' "$tr_want")
	# The shell's echo, which prints the name, would act upon backslashes.
	is "$tr_got
=> $tr_got_status" "$tr_want
=> $tr_status" "$(printf '%s' "$tr_command" | sed 's|\\|/|g')"
}

transcript() {
	tr_command=
	while IFS= read -r tr_line; do
		case $tr_line in
		'$ '*)
			transcript_step
			tr_command=${tr_line#??}
			tr_want=
			tr_status=0 ;;
		'=> '*)
			tr_status=${tr_line#???} ;;
		*)
			tr_want="$tr_want$tr_line
" ;;
		esac
	done
	transcript_step
}
