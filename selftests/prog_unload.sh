#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Unload and load the module $MQ_RELOADS times (default 20), while processes open, write,
# read and close.
# TIMEOUT: 400
# shellcheck disable=SC2154 # lib.sh sets it
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

helpers=$KSELFTEST_DIR/../build/selftests/helpers
module=$KSELFTEST_DIR/../build/$(uname -r)/mq.ko
times=${MQ_RELOADS:-20}
tmp
here=$lib_tmp

[ -r "$module" ] || skip_all "no $module to load again"
[ -z "$(ls "$MQ")" ] || skip_all "topics of others are there"

# shellcheck disable=SC2317 # called by the trap
restore() {
	status=$?
	grep -qw mq /proc/filesystems || insmod "$module"
	mountpoint -q "$MQ" || mount -t mq mq "$MQ"
	lib_cleanup
	exit "$status"
}
trap restore EXIT

# eventually COMMAND...: it fails while somebody is within, for a moment only.
eventually() {
	local end=$((SECONDS + 20))
	until "$@" 2>"$here/why"; do
		[ $SECONDS -lt $end ] || { echo "$*: $(cat "$here/why")"; return 1; }
		sleep 0.01
	done
}

mqctl topic add busy --ring-bytes 64K
exec 4<"$MQ/busy"
check_fails "D.21: rmmod with an open file is refused" 1 rmmod mq
check_fails "D.21: umount with an open file is refused" 32 umount "$MQ"
mqctl topic del busy
check_fails "D.21: rmmod with a deleted topic's open file is refused" 1 rmmod mq
exec 4<&-
mqctl topic add busy
umount "$MQ"
check_fails "D.21: rmmod with a topic, unmounted, is refused" 1 rmmod mq
mount -t mq mq "$MQ"
is "$(ls "$MQ")" busy "the topic has outlived its file system's mount"
mqctl topic del busy

# They open the topic anew all the time, and never create a file.
for id in a b; do
	background "$helpers/tally" -w 500 -r "$MQ/busy" $id "$here/ack.$id"
done
# shellcheck disable=SC2016 # its own shell's
background sh -c 'while :; do timeout 0.5 cat "$1" >/dev/null 2>&1; sleep 0.02; done' - "$MQ/busy"
# shellcheck disable=SC2016 # its own shell's
background sh -c 'while :; do mqctl topic list; stat "$1"; ls -l "$2"; sleep 0.02; done >/dev/null 2>&1' - \
	"$MQ/busy" "$MQ"

done=0
failure=
for ((i = 1; i <= times; i++)); do
	mqctl topic add busy --ring-bytes 64K || { failure="topic add"; break; }
	sleep 0.2
	eventually mqctl topic del busy || { failure="topic del"; break; }
	eventually umount "$MQ" || { failure="umount"; break; }
	eventually rmmod mq || { failure="rmmod"; break; }
	grep -qw mq /proc/filesystems && { failure="the file system is still there"; break; }
	insmod "$module" || { failure="insmod"; break; }
	mount -t mq mq "$MQ" || { failure="mount"; break; }
	done=$((done + 1))
done
[ -z "$failure" ] || note "stopped at: $failure"
is $done "$times" "D.21: $times times: delete, umount, rmmod, insmod, mount, under load"
for id in a b; do
	check "writer $id had messages accepted in between: $(od -An -tu8 "$here/ack.$id")" \
		test "$(od -An -tu8 "$here/ack.$id")" -ge "$times"
done
is "$(ls "$MQ")" "" "no topic is left"
mqctl topic add busy
check "the module works" sh -c "echo works >$MQ/busy && grep -q works $MQ/busy+until=end"
mqctl topic del busy

finish
