#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mq from the shell: redirections do it; mqctl packs a key and headers.
#
#	example.sh produce TOPIC KEY NAME=VALUE TEXT	one message with a key and a header
#	example.sh follow TOPIC				what is written from now on
#	example.sh replay TOPIC				the last minute
#	example.sh ship TOPIC HOST PORT			all of it, as it comes, over TCP
set -eu

usage() {
	echo "usage: example.sh produce TOPIC KEY NAME=VALUE TEXT | follow TOPIC | replay TOPIC |" \
	     "ship TOPIC HOST PORT" >&2
	exit 2
}

case $#,${1-} in
5,produce)	# without key and header: echo TEXT >/dev/mq/TOPIC
	printf '%s\n' "$5" | mqctl produce "$2" --whole --key "$3" --header "$4" ;;
2,follow)
	cat "/dev/mq/$2+from=newest" ;;
2,replay)
	cat "/dev/mq/$2+since=1m+until=end" ;;
4,ship)
	nc -N "$3" "$4" <"/dev/mq/$2" ;;
*)
	usage ;;
esac
