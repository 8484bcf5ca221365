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

# Killed before the last bytes were safe, and then the disk fails: the file is zeros, as after
# writeback that was lost. The next fsync would succeed, but it proves nothing.
lost() {	# PORT INJECT...: $strace, a receiver whose first fsync fails; what ship says in ship.err
	file=$(find e -name "$t-*.log")
	size=$(stat -c %s "$file")
	head -c "$size" /dev/zero >"$file"
	port=$1
	shift
	strace -f -o trace -e trace=fsync,renameat,renameat2 "${@/#/--inject=}" --inject=fsync:error=EIO:when=1 \
		mqctl receive 127.0.0.1:"$port" e 2>fail.err &
	strace=$!
	lib_pids="$lib_pids $strace"
	wait_for 20 listens "$port"
	limit 60 mqctl ship --until-end --timeout 5s "$t" 127.0.0.1:"$port" 2>ship.err
	status=$?
	pkill -TERM -P "$strace" mqctl
	wait "$strace"
	is $? 0 "the receiver ends"
}
before() {	# OPTION...: topic $t, of which 20000 bytes are in folder e
	rm -rf e
	mkdir e
	mk_topic t --framing line "$@"
	lines 1 200 >"$MQ/$t"
	background mqctl receive 127.0.0.1:7503 e 2>/dev/null
	receiver=$!
	wait_for 20 listens 7503
	check "something is shipped" limit 60 mqctl ship --until-end "$t" 127.0.0.1:7503
	kill -9 $receiver
	wait $receiver 2>/dev/null
}
before
lost 7504
is $status 0 "a file that the disk failed for: the topic is shipped"
like "$(cat ship.err)" 'the receiver says: .*-0\.log: Input/output error: trying again' "the sender is told"
like "$(cat fail.err)" '-0\.log: flushing it: Input/output error: its 20000 bytes may not be on disk' "what failed is said"
like "$(cat fail.err)" '-0\.log: it is .*-0\.log\.suspect now' "and where it is now"
check "all is sent again" cmp "$file" <(lines 1 200)
check "the file that failed is kept" cmp "$file.suspect" <(head -c 20000 /dev/zero)
lost 7505
is $status 0 "a second time"
check "all is sent again" cmp "$file" <(lines 1 200)
is "$(cd e && echo ./*)" "./${file#e/} ./${file#e/}.suspect ./${file#e/}.suspect.2" \
	"each of them has a name"

# What the topic does not have any more is lost, as it is said of any loss.
before --ring-bytes 4K --ring-messages 64
lines 201 300 >"$MQ/$t"
first=$(stat_of "$t@0" tail-position)
lost 7506
is $status 0 "overwritten meanwhile: what there is is shipped"
lost="10000 bytes from position 16000 on"
like "$(cat ship.err)" "lost: $lost were overwritten" "the sender says what is lost"
like "$(cat fail.err)" "$lost are lost: a new file begins" "the receiver, too"
check "and has the rest" cmp "${file%-*}-$first.log" <(lines 1 300 | tail -c +$((first + 1)))

# Where it cannot be moved it is not taken for good all the same.
before
lost 7507 renameat,renameat2:error=EPERM
is $status 1 "a file that cannot be moved: nothing is shipped"
like "$(cat fail.err)" 'renaming it .*\.suspect: Operation not permitted: move it away by hand' "it is said"
check "it is what it was" cmp "$file" <(head -c 20000 /dev/zero)

finish
