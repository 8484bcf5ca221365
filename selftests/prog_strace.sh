#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Requirement 1: write returns once the message is in the log, whatever its consumers do.
# Requirement 36: a shipper's bytes never pass through it.
# NEEDS: strace
# shellcheck disable=SC2154,SC2016,SC2317 # mk_topic sets; other shells expand; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1
helpers=$KSELFTEST_DIR/../build/selftests/helpers

mk_topic t
background cat "$MQ/$t" >consumed
cat=$!
reads() { [ "$(mqctl stat "$t" --raw --noheadings --columns readers)" = 1 ]; }
wait_for 10 reads
kill -STOP $cat
for i in 1 2 3 4 5; do
	# shellcheck disable=SC2016 # the traced shell expands them
	MSG=$i T=$MQ/$t limit 20 strace -T -e trace=write -o trace.$i \
		sh -c 'echo "message $MSG" >$T'
done
is "$(cat trace.[1-5] | grep -c '^write(1, "message [1-5]\\n", 10) *= 10 <')" 5 \
	"strace: five writes return their length while the consumer is stopped"
is "$(awk -F'[<>]' '/^write\(1/ && $2 > 1 { print "slow:", $0 }' trace.[1-5])" "" \
	"none of them waited"
is "$(stat -c %s consumed)" 0 "the consumer has seen nothing of it"
is "$(mq_all "$t" | wc -l)" 5 "the messages are in the log"
kill -CONT $cat
all_there() { [ "$(wc -l <consumed)" = 5 ]; }
check "the consumer gets them when it goes on" wait_for 20 all_there

mk_topic l --framing line
seq 1 5000 >in
cat in >"$MQ/$l"
receive 7201
check "a shipper under strace" limit 60 strace -o trace \
	"$helpers/ship" "$MQ/$l+until=end" 127.0.0.1:7201
wait $sink
check "its receiver has every byte" cmp received in
# From the opening of the topic on: its number was a library's before.
sed -n '/^openat(.*"\/dev\/mq\//,$p' trace >since
file=$(sed -n '1s/.*= \([0-9]*\)$/\1/p' since)
like "$(cat since)" "^sendfile\([0-9]+, $file, NULL, [0-9]+\) *= [1-9]" "strace: sendfile moved them"
is "$(grep -cE "^p?readv?\($file," since)" 0 "strace: no read of the topic"

finish
