#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# stress-ng's device stressor does to a topic what it knows: open, poll, map, ioctl, seek,
# fsync, lock, read and write in odd ways; the VM panics at a kernel warning.
# NEEDS: stress-ng
# TIMEOUT: 300
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

helpers=$KSELFTEST_DIR/../build/selftests/helpers
tmp
cd "$lib_tmp" || exit 1

is "$(cat /proc/sys/kernel/panic_on_warn)" 1 "the kernel panics at a warning"

# stress FILE: 2 workers, 10 s, a writer beside them
stress() {
	background "$helpers/tally" -l 64 "$MQ/$t" beside ack
	limit 90 stress-ng --dev 2 --dev-file "$1" --timeout 10s --metrics-brief
	status=$?
	kill $!
	return "$status"
}

for options in '' '--framing line' '--partitions 3'; do
	# shellcheck disable=SC2086 # words
	mk_topic t $options --ring-bytes 256K
	seq 1 1000 >"$MQ/$t"
	check "stress-ng --dev on a topic ${options:-by default}" stress "$MQ/$t"
	acked=$(od -An -tu8 ack | tr -d ' ')
	check "the writer beside it went on: $acked messages" test "$acked" -gt 0
	check "delete it" mqctl topic del "$t"
done

# Without a store fsync waits for ever there, until the topic goes.
mk_topic t --persistent --overflow drop-oldest --ring-bytes 256K
seq 1 10 >"$MQ/$t"
limit 90 stress-ng --dev 2 --dev-file "$MQ/$t" --timeout 10s &
pid=$!
waits() { [ "$(mqctl stat "$t" --raw --noheadings --columns sync-waiting)" -gt 0 ]; }
check "stress-ng --dev on a persistent topic waits in fsync" wait_for 60 waits
sleep 12
check "delete it under stress-ng" mqctl topic del "$t"
wait $pid
status=$?
check "stress-ng comes to its end (status $status)" test $status -lt 124

mk_topic t
check "stress-ng --dev on a record file" stress "$MQ/$t+format=record"
check "a write and a read still work" sh -c "echo still >$MQ/$t && tail -n 1 $MQ/$t+until=end | grep -q still"

finish
