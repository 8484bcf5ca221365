#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mqctl readers, mqctl why: with readers that are stuck and writers that wait.
# TIMEOUT: 200

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

for t in orders free keep tight parts; do
	note_topic "$t"
done
tmp

# shellcheck disable=SC2317 # called by the transcripts
# Numbers of processes and times differ from run to run.
masked() {
	sed -E "s/\b($stuck|$late|$writer)\b/PID/g; s/for [0-9]+\.[0-9]s/for TIME/"
}

# shellcheck disable=SC2317 # called by wait_for
waiting() {
	[ "$(mqctl stat "$1" --noheadings -o writers-waiting,sync-waiting -r)" = "$2" ]
}

stuck=none late=none writer=none
note "nobody there"
transcript <<'END'
$ mqctl topic add free --ring-bytes 4K --ring-messages 64
$ mqctl readers free
$ mqctl readers --json
{"readers": []}
$ mqctl why free
partition 0: nothing is held
free: writes go on
$ mqctl readers nosuch
mqctl: readers nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl why nosuch
mqctl: why nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl why
mqctl: why: needs TOPIC
Try 'mqctl why --help'.
=> 2
$ mqctl topic set free --paused
$ mqctl why free
partition 0: nothing is held
free: writes wait: the topic is paused
to do: end the pause: mqctl topic set free --no-paused
END

note "a reader that is stuck, and a writer that waits for it"
mqctl topic add orders --ring-bytes 4K --ring-messages 64 --hold readers --overflow block
# shellcheck disable=SC2217 # it does not read: that is the point
sleep 600 <"$MQ/orders" &
stuck=$!
lib_pids="$lib_pids $stuck"
wait_for 30 test -e /proc/$stuck
wait_for 30 sh -c "mqctl readers orders | grep -q sleep"
head -c 4096 /dev/zero | dd of="$MQ/orders" bs=1024 2>/dev/null
cat "$MQ/orders+from=newest" >/dev/null &
late=$!
lib_pids="$lib_pids $late"
wait_for 30 sh -c "mqctl readers orders | grep -q cat"
head -c 700 /dev/zero | dd of="$MQ/orders" bs=700 2>/dev/null &
writer=$!
lib_pids="$lib_pids $writer"
check "the writer waits" wait_for 30 waiting orders "1 0"
transcript <<'END'
$ mqctl readers orders -r --noheadings -o command,partition,uid,offset,lag-messages,lag-bytes,lost,flags
sleep 0 root 0 4 4K 0 holds,limits
cat 0 root 4 0 0 0 holds
$ mqctl readers orders --json | json 'r = d["readers"][0]; print(r["command"], r["lag-messages"], r["lag-bytes"], r["flags"])'
sleep 4 4096 holds,limits
$ mqctl readers orders -r --noheadings -o pid | masked
PID
PID
$ mqctl why orders | masked
partition 0: 4 messages, 4096 bytes, are held from offset 0 on; room for 60 messages, 0 bytes
  held by a reader: pid PID "sleep", at offset 0, 4 messages behind
waiting: pid PID "dd", for TIME, since TIME, partition 0: to append 700 bytes
orders: writes wait: partition 0 is full of held messages
to do: let the reader read on, or end it: kill PID
to do: let readers hold nothing (slow ones lose): mqctl topic set orders --hold none
to do: let go of the oldest instead: mqctl topic set orders --overflow drop-oldest
$ mqctl why orders -j | json 'print(d["state"], len(d["advice"])); p = d["partitions"][0]; print(p["room-bytes"], p["held-by"][0]["command"], p["held-by"][0]["lag-messages"]); w = d["waiting"][0]; print(w["command"], w["reason"], w["bytes"], w["waited"] > 0)'
full 3
0 sleep 4
dd full 700 True
END
is "$(mqctl why orders -j | json 'print(d["partitions"][0]["held-by"][0]["pid"],
	d["waiting"][0]["pid"])')" "$stuck $writer" "the processes are those"
advice=$(mqctl why orders | sed -n 's/^to do: .* or end it: //p')
is "$advice" "kill $stuck" "the advice is a command"
check "and it helps" sh -c "$advice"
check "the writer goes on" wait_for 30 waiting orders "0 0"
wait "$writer"
is $? 0 "and is done"
like "$(mqctl why orders)" '^orders: writes go on$' "nothing waits any more"
kill "$late"

note "room for a message, but not for each"
mqctl topic add tight --ring-bytes 4K --ring-messages 64 --hold readers --overflow reject
# shellcheck disable=SC2217 # it does not read: that is the point
sleep 600 <"$MQ/tight" &
stuck=$!
lib_pids="$lib_pids $stuck"
wait_for 30 sh -c "mqctl readers tight | grep -q sleep"
head -c 4000 /dev/zero | dd of="$MQ/tight" bs=1000 2>/dev/null
transcript <<'END'
$ head -c 1000 /dev/zero | mqctl produce tight --whole
mqctl: produce tight: no room: the ring is full of held messages (overflow=reject)
=> 1
$ mqctl why tight | masked
partition 0: 4 messages, 4000 bytes, are held from offset 0 on; room for 60 messages, 96 bytes
  held by a reader: pid PID "sleep", at offset 0, 4 messages behind
tight: writes larger than 96 bytes are refused: partition 0 is nearly full of held messages
to do: let the reader read on, or end it: kill PID
to do: let readers hold nothing (slow ones lose): mqctl topic set tight --hold none
to do: let go of the oldest instead: mqctl topic set tight --overflow drop-oldest
$ mqctl why tight -j | json 'print(d["state"])'
nearly-full
$ head -c 96 /dev/zero | mqctl produce tight --whole
$ mqctl why tight | grep ^tight
tight: writes are refused: partition 0 is full of held messages
$ mqctl topic set tight --overflow block
$ mqctl why tight | grep ^tight
tight: writes wait: partition 0 is full of held messages
END

note "several partitions: a reader of all of them is blamed only for what it surely holds"
mqctl topic add parts --partitions 2 --ring-bytes 4K --ring-messages 64 --hold readers \
	--overflow block
head -c 4096 /dev/zero | dd of="$MQ/parts@0" bs=1024 2>/dev/null
# shellcheck disable=SC2217
sleep 600 <"$MQ/parts+from=newest" &
late=$!
wait_for 30 sh -c "mqctl readers parts | grep -q sleep"
transcript <<'END'
$ mqctl produce parts@1 hello
$ mqctl why parts | masked
partition 0: nothing is held
partition 1: 1 messages, 5 bytes, are held from offset 0 on; room for 63 messages, 4091 bytes
  held by a reader of all partitions: pid PID "sleep", 1 messages behind
parts: writes go on
END
# shellcheck disable=SC2217
sleep 700 <"$MQ/parts@0" &
stuck=$!
lib_pids="$lib_pids $late $stuck"
wait_for 30 sh -c "mqctl readers parts | grep -c sleep | grep -q 2"
transcript <<'END'
$ mqctl why parts | masked
partition 0: 4 messages, 4096 bytes, are held from offset 0 on; room for 60 messages, 0 bytes
  perhaps held by a reader of all partitions: pid PID "sleep", 1 messages behind
  held by a reader: pid PID "sleep", at offset 0, 4 messages behind
partition 1: 1 messages, 5 bytes, are held from offset 0 on; room for 63 messages, 4091 bytes
  held by a reader of all partitions: pid PID "sleep", 1 messages behind
parts: writes wait: partition 0 is full of held messages
to do: let the reader read on, or end it: kill PID
to do: let readers hold nothing (slow ones lose): mqctl topic set parts --hold none
to do: let go of the oldest instead: mqctl topic set parts --overflow drop-oldest
$ mqctl why parts -j | json 'print([[r["certain"] for r in p["held-by"]] for p in d["partitions"]])'
[[False, True], [True]]
END
is "$(mqctl why parts | sed -n 's/^to do: .* or end it: kill //p')" "$stuck" \
	"the reader to end is the one that surely holds the full partition"

note "a durable writer, and no store"
mqctl topic add keep --ring-bytes 4K --ring-messages 64 --persistent
echo hello | dd of="$MQ/keep" oflag=dsync 2>/dev/null &
writer=$!
lib_pids="$lib_pids $writer"
check "the writer waits" wait_for 30 waiting keep "0 1"
transcript <<'END'
$ mqctl why keep | masked
partition 0: 1 messages, 6 bytes, are held from offset 0 on; room for 63 messages, 4090 bytes
  held for the store: durable are messages below offset 0
waiting: pid PID "dd", for TIME, since TIME, partition 0: until messages below offset 1 are durable
keep: durable writes wait: the store has not made them durable
to do: start the store: without one nothing becomes durable
$ mqctl why keep -j | json 'print(d["state"], d["partitions"][0]["held-by"], d["waiting"][0]["end-offset"])'
durable [{'kind': 'store', 'durable-offset': 0}] 1
END
finish
