#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kill -9 of producers and readers under load, 100 times; topics deleted under load.
# What was acknowledged is in the log exactly once, whole, in order (guarantee 1).
# TIMEOUT: 400
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

helpers=$KSELFTEST_DIR/../build/selftests/helpers
rounds=25	# of two processes, for each framing
tmp
cd "$lib_tmp" || exit 1

# What the producer ID was told is written; 0 if it died before it began.
acked() { [ ! -s "ack.$1" ] || od -An -tu8 "ack.$1" | tr -d ' '; }
has_acked() { [ "$(acked "$1")" -gt 0 ]; }
has_writers() { [ "$(stat_of "$t" writers)" = "$1" ]; }
has_reader() { [ "$(stat_of "$t" readers)" -ge 1 ]; }

# verify [exact]: each line of "log" is whole, each producer's numbers rise by one
# from 1 on, and end at what was acknowledged. One that died in mid-call may have one
# more in the log, not if it was told of its last ("exact"). Prints what is wrong.
verify() {
	python3 - "$@" <<'END'
import glob, struct, sys
last = {}
for number, line in enumerate(open("log", "rb"), 1):
    name, count, rest = line.split(b" ")
    if len(line) != 100 or rest.strip(b"x") != b"\n":
        print("torn: line", number, line)
    if int(count) != last.get(name, 0) + 1:
        print("order: line", number, line[:30], "after", last.get(name, 0))
    last[name] = int(count)
for path in glob.glob("ack.*"):
    name = path[4:].encode()
    data = open(path, "rb").read()
    acked = struct.unpack("=Q", data)[0] if data else 0
    more = last.pop(name, 0) - acked
    if more not in ((0,) if sys.argv[1:] else (0, 1)):
        print("producer", name, acked, "acknowledged,", acked + more, "in the log")
for name in last:
    print("nobody wrote as", name)
END
}

for framing in message line; do
	mk_topic t --framing $framing --ring-bytes 128K --hold readers --overflow block
	file=$MQ/$t
	background cat "$file" >log 2>cat.err
	follower=$!
	rm -f ack.*
	wait_for 10 has_reader
	background "$helpers/tally" -w 200 "$file" steady ack.steady
	steady=$!
	killed=0
	for ((i = 1; i <= rounds; i++)); do
		"$helpers/tally" -w 20 "$file" "p$i" "ack.p$i" &
		producer=$!
		# A reader that holds, one that skips, or a writer that opens for each message.
		case $((i % 3)) in
		0) cat "$file" >/dev/null & ;;
		1) dd if="$file+overrun=skip" bs=200 of=/dev/null status=none & ;;
		2) "$helpers/tally" -w 20 -r "$file" "r$i" "ack.r$i" & ;;
		esac
		reader=$!
		wait_for 20 has_acked "p$i" || note "producer p$i does not get on"
		sleep 0.0$((RANDOM % 9 + 1))
		kill -9 "$producer" "$reader"
		for pid in "$producer" "$reader"; do
			wait "$pid" 2>/dev/null
			[ $? = 137 ] && killed=$((killed + 1))
		done
	done
	is $killed $((2 * rounds)) "D.22: $framing: $killed processes were killed while they worked"
	check "D.22: $framing: the steady producer lives" kill -0 $steady
	before=$(acked steady)
	sleep 0.3
	check "D.22: $framing: and goes on" test "$(acked steady)" -gt "$before"
	kill -9 "$steady"
	wait "$steady" 2>/dev/null
	is "$(stat_of "$t" writers,writers-waiting)" "0 0" "D.22: $framing: no writer is left"
	written=$(stat_of "$t" messages-in)
	check "D.22: $framing: delete the topic" mqctl topic del "$t"
	wait "$follower"
	is $? 1 "D.22: $framing: the follower drained it and ended"
	is "$(verify)" "" \
		"D.22: $framing: what was acknowledged is there, once, whole, in order"
	is "$(wc -l <log)" "$written" "D.22: $framing: the follower saw all $written messages"
done

# Delete under load: writers that wait, writers that write, readers of each kind.
for ((i = 1; i <= 20; i++)); do
	mk_topic t --ring-bytes 64K --hold readers --overflow block
	file=$MQ/$t
	pids=()
	rm -f ack.*
	cat "$file" >log 2>cat.err &
	follower=$!
	wait_for 10 has_reader
	for id in a b c; do
		"$helpers/tally" "$file" $id ack.$id 2>err.$id &
		pids+=($!)
	done
	wait_for 10 has_writers 3
	# This one opens and reads nothing: the producers soon wait for it.
	if [ $((i % 2)) = 0 ]; then
		tail -f /dev/null <"$file" &
		sleeper=$!
	fi
	sleep 0.1$((RANDOM % 10))
	bad=
	mqctl topic del "$t" || bad="delete failed"
	for id in a b c; do
		wait "${pids[0]}"
		[ $? = 1 ] && grep -q "No such device" err.$id || bad="$bad; $id: $(cat err.$id)"
		pids=("${pids[@]:1}")
	done
	if [ $((i % 2)) = 0 ]; then
		kill "$sleeper"
		wait "$sleeper" 2>/dev/null
	fi
	wait "$follower"
	grep -q "No such device" cat.err || bad="$bad; cat: $(cat cat.err)"
	# A write that failed is not in the log.
	bad="$bad$(verify exact)"
	[ -z "$bad" ] || break
done
is "$bad" "" "D.20: 20 topics deleted under load: writers got ENODEV, readers everything acknowledged"

finish
