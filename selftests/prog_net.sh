#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# socat, nc and a sendfile shipper bring topics to sockets and sockets to topics.
# NEEDS: socat nc
# TIMEOUT: 240
# shellcheck disable=SC2154,SC2016,SC2317 # mk_topic sets; other shells expand; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1
helpers=$KSELFTEST_DIR/../build/selftests/helpers
awk 'BEGIN { for (i = 1; i <= 20000; i++) print i, "some text to be shipped" }' >in

mk_topic l --framing line
cat in >"$MQ/$l"
is "$(stat_of "$l" messages-in)" 20000 "20000 lines are there"

for method in sendfile splice copy; do
	for mode in '' -n; do
		receive 7101
		# shellcheck disable=SC2086 # no option is no word
		check "ship by $method $mode ends at until=end" limit 30 \
			"$helpers/ship" -m $method $mode "$MQ/$l+until=end" 127.0.0.1:7101
		received "ship by $method $mode" in
	done
done

receive 7102
check "socat from a topic" limit 30 socat -u "OPEN:$MQ/$l+until=end,rdonly" TCP:127.0.0.1:7102
received "socat from a topic" in
receive 7102
check "socat from a topic as its stdin" \
	sh -c 'timeout 30 socat -u STDIN TCP:127.0.0.1:7102 <"$1"' - "$MQ/$l+until=end"
received "socat from stdin" in
mk_topic s --framing line
background socat -u TCP-LISTEN:7103,bind=127.0.0.1,reuseaddr "OPEN:$MQ/$s,wronly"
pid=$!
wait_for 10 listens 7103
check "socat sends to socat" limit 30 socat -u OPEN:in,rdonly TCP:127.0.0.1:7103
wait $pid
is $? 0 "socat into a topic ended"
check "socat into a topic: every byte" cmp "$MQ/$s+until=end" in
is "$(stat_of "$s" messages-in)" 20000 "socat into a topic: lines are messages"

receive 7104
check "nc -N from a topic" sh -c 'timeout 30 nc -N 127.0.0.1 7104 <"$1"' - "$MQ/$l+until=end"
received "nc from a topic" in
mk_topic n --framing line
nc -l 127.0.0.1 7105 >"$MQ/$n" &
pid=$!
lib_pids="$lib_pids $pid"
wait_for 10 listens 7105
check "nc -N sends to nc" sh -c 'timeout 30 nc -N 127.0.0.1 7105 <in'
wait $pid
is $? 0 "nc into a topic ended"
check "nc into a topic: every byte" cmp "$MQ/$n+until=end" in

# A topic that goes on: the shipper follows, and ends with the topic.
mk_topic f --framing line --ring-bytes 64K --hold readers --overflow block
receive 7106
background "$helpers/ship" "$MQ/$f" 127.0.0.1:7106 >ship.out
ship=$!
has_reader() { [ "$(stat_of "$f" readers)" = 1 ]; }
check "the shipper is there" wait_for 10 has_reader
check "a program writes ten times what the ring holds" \
	sh -c 'timeout 60 cat in >"$1"' - "$MQ/$f"
wraps=$(stat_of "$f" wraps)
check "the ring came round $wraps times" test "$wraps" -ge 5
check "delete the topic" mqctl topic del "$f"
wait $ship
is $? 0 "the shipper ended with the topic"
like "$(cat ship.out)" 'lost=0 .*end="topic deleted"' "it lost nothing and says why it ended"
received "a followed topic" in
finish
