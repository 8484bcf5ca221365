#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The example of selftests/lang/mmap_reader.c: follows, waits, counts overruns.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

reader=$KSELFTEST_DIR/../build/lang/mmap_reader
[ -x "$reader" ] || skip_all "no $reader: run make"
tmp
out=$lib_tmp/out

# shellcheck disable=SC2317 # wait_for and check call it
sleeping() {	# PID
	grep -q '^State:.S' "/proc/$1/status"
}

t='' small=''
mk_topic t --framing line
seq 1 500 >"$MQ/$t"
is "$(limit 60 "$reader" "$MQ/$t" 500 | cksum)" "$(seq 1 500 | cksum)" "prints what there is"

background "$reader" "$MQ/$t@0" 1500 >"$out"
pid=$!
wait_for 30 sleeping $pid
check "waits for more" sleeping $pid
seq 501 1000 >"$MQ/$t"
wait_for 30 grep -qx 1000 "$out"
check "prints it when it comes" grep -qx 1000 "$out"
wait_for 30 sleeping $pid
seq 1001 1500 >"$MQ/$t"
wait $pid
is "$? $(cksum <"$out")" "0 $(seq 1 1500 | cksum)" "ends after as many messages as it was told"

mk_topic small --ring-bytes 64K --ring-messages 64
background "$reader" "$MQ/$small" >"$out" 2>"$lib_tmp/err"
pid=$!
wait_for 30 sleeping $pid
kill -STOP $pid
for i in $(seq 1 200); do
	echo "message $i" >"$MQ/$small"
done
kill -CONT $pid
wait_for 30 grep -qx 'message 200' "$out"
mqctl topic del "$small"
wait $pid
is $? 0 "ends when the topic is deleted"
lost=$(sed -n 's/.* \([0-9]*\) messages lost.*/\1/p' "$lib_tmp/err")
check "was overrun while it was stopped" test "${lost:-0}" -ge 100
is "$((lost + $(wc -l <"$out")))" 200 "each message is printed or counted as lost"
is "$(cat "$out")" "$(seq -f 'message %.0f' $((lost + 1)) 200)" "prints the newest, whole, in order"

check_fails "says that a topic of several partitions cannot be mapped" 1 \
	sh -c "mqctl topic set $t --partitions 2 && $reader $MQ/$t 1"
check_fails "usage" 2 "$reader"
finish
