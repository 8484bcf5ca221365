#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mqctl receive on a disk that is full, or fails: nothing is acknowledged that is not safe.
# NEEDS: strace
# TIMEOUT: 240
# shellcheck disable=SC2154,SC2317 # mk_topic sets; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1
mkdir d full

says() { grep -q "$2" "$1"; }
# From its lowest position on; a topic here is called s<pid>-<n>.
all_of() { find "$1" -name "$t-*.log" | sort -t- -k4n | xargs cat; }

# Of 100 bytes.
lines() { seq -f %099.0f "$1" "$2"; }
mk_topic t --framing line --ring-bytes 4M
lines 1 20000 >"$MQ/$t"

mount -t tmpfs -o size=512K none full
background mqctl receive 127.0.0.1:7501 full 2>full.err
receiver=$!
wait_for 20 listens 7501
background mqctl ship --until-end "$t" 127.0.0.1:7501 2>ship.err
ship=$!
check "a full disk is said there" wait_for 20 says full.err "No space left"
check "and here" wait_for 20 says ship.err "the receiver says: .*No space left"
check "the sender waits" kill -0 $ship
mount -o remount,size=16M full
wait $ship
is $? 0 "with room again it goes on, to the end"
check "one file, and nothing is missing" cmp "full/$t-$(id_of "$t")-0.log" <(lines 1 20000)
kill $receiver
wait $receiver
is $? 0 "the receiver ends"
umount full

# The third fdatasync fails: what is not safe is cut off, what follows is another file.
UV_THREADPOOL_SIZE=1 strace -f -o trace -e trace=fdatasync,ftruncate -e inject=fdatasync:error=EIO:when=3 \
	mqctl receive 127.0.0.1:7502 d 2>fail.err &
strace=$!
lib_pids="$lib_pids $strace"
wait_for 20 listens 7502
background mqctl ship "$t" 127.0.0.1:7502 2>ship.err
ship=$!
size() { cat d/*.log | wc -c; }
end=$(stat -c %s "$MQ/$t")
complete() { [ "$(size)" = "$1" ]; }
for i in 1 2 3; do
	check "part $i arrives" wait_for 30 complete "$end"
	lines 1 2000 >"$MQ/$t"
	end=$(stat -c %s "$MQ/$t")
	sleep 0.3
done
check "all of it arrives" wait_for 30 complete "$end"
like "$(cat trace)" 'fdatasync.* = -1 EIO .*INJECTED' "a flush failed"
like "$(cat fail.err)" 'Input/output error: connection closed' "it was said"
is "$(find d -name "$t-*.log" | wc -l)" 2 "there are two files"
check "together they are what was written" cmp <(all_of d) <(lines 1 20000; for i in 1 2 3; do lines 1 2000; done)
kill $ship
wait $ship
is $? 0 "the sender ends"
pkill -TERM -P "$strace" mqctl
wait $strace
is $? 0 "the receiver, too"

finish
