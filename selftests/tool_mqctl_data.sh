#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mqctl produce, consume, verify and monitor, as transcripts and on the move.
# TIMEOUT: 600

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

for t in msgs lines full far moving seen limit; do
	note_topic "$t"
done
tmp
hooks=/sys/module/mq/parameters/test_hooks
hook=/sys/module/mq/parameters/hook

# shellcheck disable=SC2317 # called by the transcripts
json_lines() {
	python3 -c 'import json, sys
rows = [json.loads(line) for line in sys.stdin]
'"$1"
}

note "produce and consume"
transcript <<'END'
$ mqctl topic add msgs --partitions 3
$ printf 'one\ntwo\n\nfour' | mqctl produce msgs@0 --verbose
appended: 4 messages
$ mqctl consume msgs@0
one
two

four
$ cat /dev/mq/msgs@0+until=end
onetwofour
$ mqctl consume msgs@0 --format raw
onetwofour
$ mqctl consume msgs@0 --metadata
partition=0 offset=0 position=0 time=TIME length=3 crc=2a94b2e9 epoch=0 pid=PID uid=0 payload="one"
partition=0 offset=1 position=3 time=TIME length=3 crc=52d8b3a3 epoch=0 pid=PID uid=0 payload="two"
partition=0 offset=2 position=6 time=TIME length=0 crc=00000000 epoch=0 pid=PID uid=0 payload=""
partition=0 offset=3 position=6 time=TIME length=4 crc=e8f33a6e epoch=0 pid=PID uid=0 payload="four"
$ mqctl consume msgs --partition 0 --from 1 --count 2
two

$ mqctl consume msgs@0 --from newest
$ mqctl consume msgs@0 --from 4
$ mqctl consume msgs@0 --from 1 --until 3
two

$ mqctl consume msgs@0 --until 0
$ mqctl consume msgs@0 --since 1h --count 1
one
$ mqctl consume msgs@0 --until 1h
$ mqctl consume msgs@0 --since 20200101T000000Z --until 2020-01-02T00:00:00Z
$ mqctl produce msgs@1 'whole message' --tag t1 --header 'name=a "quoted" value' --header empty= --content-type text/plain --reply-to answers --correlation-id c7 --schema-id 12 --ttl 5s --deliver-at 2030-01-02T03:04:05Z --producer-id 18446744073709551615 --producer-epoch 3 --sequence 9
$ mqctl consume msgs@1 -m | sed 's/ crc=[0-9a-f]*//'
partition=1 offset=0 position=0 time=TIME length=13 epoch=0 pid=PID uid=0 tag="t1" reply-to="answers" correlation-id="c7" content-type="text/plain" schema-id=12 deliver-at=TIME ttl-ns=5000000000 producer-id=18446744073709551615 producer-epoch=3 sequence=9 header "name"="a \"quoted\" value" header "empty"="" payload="whole message"
$ mqctl consume msgs@1 -j | json_lines 'm = rows[0]; print(m["partition"], m["offset"], m["length"], m["uid"], m["tag"], m["headers"], m["schema-id"], m["deliver-at"], m["ttl-ns"], m["producer-id"], m["sequence"], m["flags"], m["payload"], "key" in m)'
1 0 13 0 t1 [{'name': 'name', 'value': 'a "quoted" value'}, {'name': 'empty', 'value': ''}] 12 TIME 5000000000 18446744073709551615 9 [] whole message False
$ printf 'a\nb\0c\377\033[31m' | mqctl produce msgs@1 --whole
$ mqctl consume msgs@1 --from 1 --metadata | grep -o 'payload=.*'
payload="a\nb\x00c\xff\x1b[31m"
$ mqctl consume msgs@1 --from 1 --json | json_lines 'import base64; print(base64.b64decode(rows[0]["payload-base64"]), "payload" in rows[0])'
b'a\nb\x00c\xff\x1b[31m' False
$ printf 'gr\303\274n\n' | mqctl produce msgs@1
$ mqctl consume msgs@1 --from 2 --json | json_lines 'print(ascii(rows[0]["payload"]))'
'gr\xfcn'
$ mqctl produce msgs@1 --key k1 --tombstone
$ mqctl consume msgs@1 --from 3 -j | json_lines 'm = rows[0]; print(m["length"], m["key"], m["key-hash"], repr(m["payload"]))'
0 k1 1684045097 ''
END

note "keys choose the partition, order stays within it"
i=0
while [ $i -lt 300 ]; do
	echo "key$((i % 10)):value $i"
	i=$((i + 1))
done >"$lib_tmp/keyed"
mqctl topic del msgs
mqctl topic add msgs --partitions 3
check "lines with keys" mqctl produce msgs --key-separator : --batch 50 <"$lib_tmp/keyed"
is "$(mqctl consume msgs -j | python3 -c '
import json, sys
seen, order = {}, {}
for line in sys.stdin:
	m = json.loads(line)
	seen.setdefault(m["key"], set()).add(m["partition"])
	order.setdefault(m["key"], []).append(int(m["payload"].split()[1]))
print(len(seen), max(len(p) for p in seen.values()), sum(map(len, order.values())),
	all(o == sorted(o) for o in order.values()), len(set.union(*seen.values())) > 1)
')" "10 1 300 True True" "each key is in one partition, in order"
# By Kafka's own partitioner: murmur2(key0..9) & 0x7fffffff, modulo 3.
is "$(mqctl consume msgs -j | python3 -c '
import json, sys
def murmur2(data):
	m, mask = 0x5bd1e995, 0xffffffff
	h = (0x9747b28c ^ len(data)) & mask
	for i in range(0, len(data) & ~3, 4):
		k = int.from_bytes(data[i:i + 4], "little") * m & mask
		k = (k ^ k >> 24) * m & mask
		h = h * m & mask ^ k
	tail = data[len(data) & ~3:]
	if tail:
		h = (h ^ int.from_bytes(tail, "little")) * m & mask
	h = (h ^ h >> 13) * m & mask
	return h ^ h >> 15
rows = [json.loads(line) for line in sys.stdin]
print(all(r["key-hash"] == murmur2(r["key"].encode()) and
	r["partition"] == (r["key-hash"] & 0x7fffffff) % 3 for r in rows))
')" True "the partition is the key's hash modulo their number"

note "lines"
transcript <<'END'
$ mqctl topic add lines --framing line
$ printf 'one\ntwo' | mqctl produce lines
$ mqctl produce lines three
$ mqctl produce lines "$(printf 'four\n.')" 2>&1 | grep -c 'several lines'
1
$ printf 'four\n' | mqctl produce lines --whole
$ printf 'unfinished' >/dev/mq/lines
$ mqctl consume lines --from 1
two
three
four
unfinished
$ mqctl consume lines -m --from 4 | grep -o 'uid=.*'
uid=0 unfinished payload="unfinished"
$ printf 'two\nlines\n' | mqctl produce lines --whole
mqctl: produce lines: it has several lines, and a message of this topic is one line (framing=line)
=> 1
$ seq 100000 | mqctl produce lines --verbose
appended: 100000 messages
$ mqctl consume lines --from newest
END

note "refusals tell how many messages are in the log"
transcript <<'END'
$ mqctl topic add full --persistent --overflow reject --ring-bytes 16K --ring-messages 64
$ seq 100 | mqctl produce full --batch 10
mqctl: produce full: messages 61 to 70 of the input: no room: the ring is full of held messages (overflow=reject)
mqctl: produce full: appended: 60 messages; the rest was not
=> 1
$ mqctl stat full@0 -o head-offset,tail-offset,held-offset,rejected --noheadings --raw
60 0 0 1
$ mqctl consume full | tail -1
60
$ mqctl topic set full --overflow block
$ seq 61 70 | mqctl produce full --batch 2 --nonblock
mqctl: produce full: messages 5 to 6 of the input: no room: the ring is full of held messages, or the topic is paused (without --nonblock it waits)
mqctl: produce full: appended: 4 messages; the rest was not
=> 1
END
# shellcheck disable=SC2317
has_waiter() {
	[ "$(mqctl stat "$1" -r --noheadings -o writers-waiting)" = 1 ]
}
background mqctl produce full waits 2>"$lib_tmp/waits"
waiter=$!
check "without --nonblock a producer waits" wait_for 60 has_waiter full
kill -INT $waiter
wait $waiter
is "$? $(cat "$lib_tmp/waits")" "1 mqctl: produce full: interrupted" "until SIGINT"
transcript <<'END'
$ mqctl topic set full --paused
$ mqctl produce full --nonblock x
mqctl: produce full: the topic is paused: 'mqctl topic set NAME --no-paused' ends that
=> 1
$ mqctl topic set full --no-paused --sync-timeout 200ms --overflow drop-oldest
$ mqctl produce full --sync durable
mqctl: produce full: appended: 1 message, the last 1 of them not durable within the topic's sync-timeout: 'sync /dev/mq/TOPIC' asks again
=> 1
$ mqctl consume full | tail -1
durable
$ printf 'fits\n%5000d\nnot tried\n' 0 | mqctl produce full
mqctl: produce full: message 2 of the input: it is longer than the 4096 bytes that the topic takes (max-message-bytes)
mqctl: produce full: appended: 1 message; the rest was not
=> 1
$ mqctl consume full | tail -1
fits
$ mqctl produce full --whole </dev/zero
mqctl: produce full: it is longer than the 4096 bytes that the topic takes (max-message-bytes)
=> 1
$ mqctl produce full </dev/zero
mqctl: produce full: it is longer than the 4096 bytes that the topic takes (max-message-bytes)
=> 1
$ mqctl produce msgs --sync x
mqctl: produce: --sync: the topic is not persistent, nothing in it is ever durable
Try 'mqctl produce --help'.
=> 2
$ mqctl topic del full
END

note "what cannot be opened, and wrong usage"
transcript <<'END'
$ mqctl produce nosuch x
mqctl: produce nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl consume nosuch
mqctl: consume nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl verify nosuch
mqctl: verify nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl consume msgs@3
mqctl: consume msgs@3: the topic has no partition 3
=> 1
$ as_nobody mqctl consume msgs
mqctl: consume msgs: /dev/mq/msgs: no permission: mode 0600, owner root:root
=> 1
$ as_nobody mqctl produce msgs x
mqctl: produce msgs: /dev/mq/msgs: no permission: mode 0600, owner root:root
=> 1
$ mqctl consume msgs --from 3
mqctl: consume: offsets count in one partition, and the topic has 3: choose one by --partition
Try 'mqctl consume --help'.
=> 2
$ mqctl produce msgs x --producer-id 4
mqctl: produce: --producer-id: sequence numbers count in one partition: choose it by --partition
Try 'mqctl produce --help'.
=> 2
$ mqctl produce msgs@0 -p 1 x
mqctl: produce: --partition and TOPIC@N exclude each other
Try 'mqctl produce --help'.
=> 2
$ mqctl produce msgs x --whole
mqctl: produce: MESSAGE, --whole and --tombstone exclude each other
Try 'mqctl produce --help'.
=> 2
$ mqctl produce msgs x --header novalue
mqctl: produce: --header novalue: NAME=VALUE, the name 1 to 255 bytes
Try 'mqctl produce --help'.
=> 2
$ mqctl produce msgs x --key ''
mqctl: produce: --key: 1 to 4096 bytes, not 0
Try 'mqctl produce --help'.
=> 2
$ mqctl consume msgs+from=3
mqctl: consume: msgs+from=3: not a topic's name: 1 to 128 of A-Z a-z 0-9 . _ -
Try 'mqctl consume --help'.
=> 2
$ mqctl consume msgs --until tomorrow
mqctl: consume: --until tomorrow: must be end, an offset, a duration ago or a UTC time
Try 'mqctl consume --help'.
=> 2
$ mqctl consume msgs --format xml
mqctl: consume: --format xml: must be plain, raw, metadata or json
Try 'mqctl consume --help'.
=> 2
$ mqctl consume msgs --follow --until end
mqctl: consume: --follow and --until exclude each other
Try 'mqctl consume --help'.
=> 2
$ mqctl consume msgs >/dev/full
mqctl: consume msgs: standard output: No space left on device
=> 1
END

note "consumers that wait"
mqctl topic add moving
background mqctl consume moving --follow >"$lib_tmp/followed"
follower=$!
seq 5 | mqctl produce moving
check "a follower gets what is there" wait_for 60 grep -qx 5 "$lib_tmp/followed"
seq 6 10 | mqctl produce moving
wait_for 60 grep -qx 10 "$lib_tmp/followed"
is "$(cat "$lib_tmp/followed")" "$(seq 10)" "and what comes"
kill -INT $follower
wait $follower
is $? 0 "SIGINT ends it in order"
background mqctl consume moving --from 8 --until 13 >"$lib_tmp/until"
until_pid=$!
sleep 0.3
check "a consumer of later offsets waits" kill -0 $until_pid
seq 11 20 | mqctl produce moving
wait $until_pid
is "$? $(tr '\n' ' ' <"$lib_tmp/until")" "0 9 10 11 12 13 " "and ends before its offset"
for args in "--until 100" "--until 2100-01-01T00:00:00Z" "--follow --count 100"; do
	# shellcheck disable=SC2086 # words
	background mqctl consume moving $args >"$lib_tmp/until" 2>"$lib_tmp/stopped"
	until_pid=$!
	wait_for 60 grep -qx 20 "$lib_tmp/until"
	kill -TERM $until_pid
	wait $until_pid
	is "$? $(cat "$lib_tmp/stopped")" \
		"1 mqctl: consume moving: interrupted: not all was read" "$args: stopped before"
done
seq 1000000 1030000 | mqctl produce moving
is "$(mqctl consume moving 2>&1 | head -n 3)" "$(seq 3)" "a pipe closed early is no error"
background sh -c 'mqctl consume moving --from newest --follow 2>&1; echo "=> $?"' \
	>"$lib_tmp/deleted"
deleted=$!
# shellcheck disable=SC2317
has_reader() {
	[ "$(mqctl stat "$1" -r --noheadings -o readers)" = 1 ]
}
wait_for 60 has_reader moving
mqctl topic del moving
wait $deleted
is "$(cat "$lib_tmp/deleted")" \
	"mqctl: consume moving: the topic was deleted, all that was retained has been read
=> 1" "the topic is deleted under a follower"
mkfifo "$lib_tmp/fifo"
mqctl topic add moving
# shellcheck disable=SC2016 # $1 is the inner shell's
background sh -c 'exec mqctl produce moving <"$1" 2>"$1.stderr"' - "$lib_tmp/fifo"
producer=$!
exec 8>"$lib_tmp/fifo"
echo slow >&8
check "a line is appended before the input ends" wait_for 60 grep -q slow /dev/mq/moving+until=end
kill -TERM $producer
wait $producer
is "$? $(cat "$lib_tmp/fifo.stderr")" \
	"1 mqctl: produce moving: interrupted; appended: 1 message" \
	"an interrupted producer says how far it came"
exec 8>&-
mqctl topic del moving

note "overruns are told with their number"
mqctl topic add far --ring-bytes 4K --ring-messages 64
seq 100 | mqctl produce far --batch 1
transcript <<'END'
$ mqctl consume far --from 10 | tail -1
mqctl: consume far: overrun: 26 messages were overwritten before they were read, going on with offset 36
100
$ mqctl consume far | wc -l
64
$ mqctl verify far
far@0: offsets 0-35: no longer retained
far@0: offsets 36-99, 64 messages, 129 bytes: ok
$ mqctl stat far -o lost,overruns,evicted -r
lost overruns evicted
26 1 36
END
if echo 1 >$hooks 2>/dev/null; then
	for point in record-start record-copied; do
		echo "$point far 0 7" >$hook
		is "$(mqctl consume far 2>&1 | head -n 1)" "mqctl: consume far: overrun: 7 messages \
were overwritten before they were read, going on with offset $((at = ${at:-36} + 7))" \
			"overrun at $point"
	done
	echo "record-copied far 0 5" >$hook
	is "$(mqctl verify far)" "far@0: offsets 0-54: no longer retained
far@0: offsets 55-99, 45 messages, 91 bytes: ok" "verify, overrun while it reads"
	echo "record-start far 0 0" >$hook
	is "$(mqctl verify far; echo "=> $?")" "far@0: offsets 0-99: no longer retained
far@0: 0 messages, 0 bytes: ok
=> 0" "verify, all is overwritten while it reads"
	echo 0 >$hooks
else
	skip "no test hooks" "overruns at test points"
fi
mqctl topic del far

note "verify"
transcript <<'END'
$ mqctl verify msgs | sed -E 's/(offsets 0-)[0-9]+, [0-9]+ messages, [0-9]+/\1N/'
msgs@0: offsets 0-N bytes: ok
msgs@1: offsets 0-N bytes: ok
msgs@2: offsets 0-N bytes: ok
msgs: 3 partitions, 300 messages, 2590 bytes: ok
$ mqctl verify lines@0 | sed -E 's/[0-9]{5,}/N/g'
lines@0: offsets 0-N: no longer retained
lines@0: offsets N-N, N messages, N bytes: ok
$ mqctl verify lines@0 -j | json_lines 'm = rows[0]; print(m["last-offset"], m["not-retained"][0]["last"] + 1 == m["first-offset"] == 100005 - m["messages"], 32000 < m["messages"] <= 32768)'
100004 True True
$ mqctl topic add far --start-offset 4294967290 --start-position 9223372036854775000
$ seq 10 | mqctl produce far --producer-id 7
$ seq 3 | mqctl produce far --producer-id 8 --sequence 100
$ seq 13 14 | mqctl produce far --producer-id 7 --sequence 10
$ mqctl verify far
far@0: offsets 4294967290-4294967304, 15 messages, 18 bytes: ok
$ mqctl produce far x --producer-id 7 --sequence 15
$ mqctl produce far x --producer-id 8 --sequence 104
$ mqctl produce far x --producer-id 8 --sequence 200
$ mqctl produce far x --producer-id 8 --sequence 200
$ mqctl produce far x --producer-id 7 --producer-epoch 1
$ mqctl produce far x --producer-id 7 --producer-epoch 0 --sequence 16
$ mqctl verify far
far@0: offset 4294967308: a producer's sequence number stands twice or goes back
far@0: offset 4294967310: a producer's epoch goes back
far@0: producer 7: sequence 12-14 missing before offset 4294967305
far@0: producer 8: sequence 103 missing before offset 4294967306
far@0: producer 8: sequence 105-199 missing before offset 4294967307
far@0: offsets 4294967290-4294967310, 21 messages, 24 bytes: WRONG
=> 1
$ mqctl verify far --json | json_lines 'print(rows)'
[{'topic': 'far', 'partition': 0, 'messages': 21, 'bytes': 24, 'first-offset': 4294967290, 'last-offset': 4294967310, 'not-retained': [], 'errors': [{'first': 4294967308, 'last': 4294967308, 'what': "a producer's sequence number stands twice or goes back"}, {'first': 4294967310, 'last': 4294967310, 'what': "a producer's epoch goes back"}], 'sequence-gaps': [{'producer': 7, 'first': 12, 'last': 14, 'before-offset': 4294967305}, {'producer': 8, 'first': 103, 'last': 103, 'before-offset': 4294967306}, {'producer': 8, 'first': 105, 'last': 199, 'before-offset': 4294967307}], 'ok': False}]
$ mqctl verify far@1
mqctl: verify far@1: the topic has no partition 1
=> 1
$ mqctl topic add limit --ring-bytes 16K
$ head -c 4096 /dev/zero | mqctl produce limit --whole
$ mqctl topic set limit --max-message-bytes 100
$ mqctl produce limit short
$ mqctl verify limit
limit@0: offsets 0-1, 2 messages, 4101 bytes: ok
$ mqctl verify msgs --follow
mqctl: verify: --follow: choose one partition by --partition
Try 'mqctl verify --help'.
=> 2
$ mqctl topic del far msgs lines
END

note "monitor"
# A process's second socket has a port of its own above its pid (libnl).
# shellcheck disable=SC2317
joined() {
	awk -v pid="$1" '$2 == 16 && $3 % 4194304 == pid && $4 != "00000000" { found = 1 }
		END { exit !found }' /proc/net/netlink
}
# Its socket has dropped something.
# shellcheck disable=SC2317
dropped() {
	awk -v pid="$1" '$2 == 16 && $3 % 4194304 == pid && $9 > 0 { found = 1 }
		END { exit !found }' /proc/net/netlink
}
background mqctl monitor --json --count 5 >"$lib_tmp/json"
json_pid=$!
background mqctl monitor seen >"$lib_tmp/text"
text_pid=$!
check "both listen" wait_for 60 joined $json_pid
wait_for 60 joined $text_pid
mqctl topic add seen --ring-bytes 4K --ring-messages 64 --mode 0640
mqctl topic set seen --paused
mqctl topic set seen --no-paused
mqctl topic add moving
seq 100 | mqctl produce seen --batch 1
mqctl consume seen --from 0 >/dev/null 2>&1
wait $json_pid
is $? 0 "monitor ends after --count events"
is "$(json_lines 'print([(r["event"], r.get("name") or r.get("topic")) for r in rows])
print(rows[0]["ring-bytes"], rows[0]["mode"], rows[1]["paused"], rows[2]["paused"],
	len(rows[0]["id"]), rows[4]["lost"], rows[4]["overruns"])' <"$lib_tmp/json")" \
	"[('created', 'seen'), ('changed', 'seen'), ('changed', 'seen'), ('created', 'moving'), \
('overrun', 'seen')]
4096 0640 True False 32 36 1" "events as JSON lines"
mqctl topic del seen moving
check "the deletion is seen" wait_for 60 grep -q deleted "$lib_tmp/text"
kill -INT $text_pid
wait $text_pid
is $? 0 "SIGINT ends monitor in order"
is "$(mask <"$lib_tmp/text" | awk '{ print $1, $2, $3 }')" "TIME created seen
TIME changed seen
TIME changed seen
TIME overrun seen
TIME deleted seen" "one topic's events as text"
like "$(head -n 1 "$lib_tmp/text")" ' ring-bytes=4K .* mode=0640 uid=root ' \
	"with the topic's state"

# A socket with room for an event or two.
rmem_max=$(cat /proc/sys/net/core/rmem_max)
echo 4096 >/proc/sys/net/core/rmem_max
background mqctl monitor --json >"$lib_tmp/json" 2>"$lib_tmp/stderr"
json_pid=$!
check "a third listens" wait_for 60 joined $json_pid
echo "$rmem_max" >/proc/sys/net/core/rmem_max
mqctl topic add seen
kill -STOP $json_pid
i=0
while [ $i -lt 50 ] && ! dropped $json_pid; do
	mqctl topic set seen --mode 0$((600 + i % 2 * 40)) || break
	i=$((i + 1))
done
kill -CONT $json_pid
check "lost events are an event" wait_for 60 grep -q '"event":"lost"' "$lib_tmp/json"
is "$(cat "$lib_tmp/stderr")" "mqctl: monitor: events were lost: they came faster than they were \
read; 'mqctl topic list' shows what there is now" "and told"
mqctl topic del seen
check "monitor goes on" wait_for 60 grep -q '"event":"deleted"' "$lib_tmp/json"
kill -INT $json_pid
wait $json_pid
is $? 0 "and ends in order"
finish
