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

stat_of() { mqctl stat "$1" --raw --noheadings --numeric --columns "$2"; }
# What the producer ID was told is written; 0 if it died before it began.
acked() { [ ! -s "ack.$1" ] || od -An -tu8 "ack.$1" | tr -d ' '; }
has_acked() { [ "$(acked "$1")" -gt 0 ]; }
has_reader() { [ "$(stat_of "$t" readers)" -ge 1 ]; }

# verify LOG: each producer's numbers rise by one, each line is whole; then a line
# "ID LAST" each, on stdout; complaints too.
verify() {
	awk '!/^[a-z0-9.]+ [0-9]+ x+$/ || length($0) != 99 { print "torn: line " NR ": " $0; next }
		$2 != ++n[$1] { print "order: line " NR ": " $1 " " $2 " after " n[$1] - 1; n[$1] = $2 }
		END { for (id in n) print id, n[id] }' "$1"
}

# compare FILE ID...: what verify said against what was acknowledged; one that
# died in mid-call may have one more in the log.
compare() {
	local file=$1 id last=0 ack
	grep -E '^(torn|order)' "$file" | head -n 5
	shift
	for id; do
		ack=$(acked "$id")
		ack=${ack:-0}
		last=$(awk -v id="$id" '$1 == id { print $2 }' "$file")
		case $((${last:-0} - ack)) in
		0|1) ;;
		*) echo "producer $id: $ack acknowledged, ${last:-0} in the log" ;;
		esac
	done
}

for framing in message line; do
	mk_topic t --framing $framing --ring-bytes 128K --hold readers --overflow block
	file=$MQ/$t
	background cat "$file" >log
	follower=$!
	rm -f ack.*
	wait_for 10 has_reader
	background "$helpers/tally" "$file" steady ack.steady
	steady=$!
	ids=()
	killed=0
	for ((i = 1; i <= rounds; i++)); do
		"$helpers/tally" "$file" "p$i" "ack.p$i" &
		producer=$!
		# Readers that hold, skip, splice; each a different call to die in.
		case $((i % 3)) in
		0) cat "$file" >/dev/null & ;;
		1) dd if="$file+overrun=skip" bs=200 of=/dev/null status=none & ;;
		2) "$helpers/tally" -r "$file" "r$i" "ack.r$i" &
			ids+=("r$i") ;;
		esac
		reader=$!
		wait_for 20 has_acked "p$i" || note "producer p$i does not get on"
		sleep 0.0$((RANDOM % 9 + 1))
		kill -9 "$producer" "$reader"
		for pid in "$producer" "$reader"; do
			wait "$pid" 2>/dev/null
			[ $? = 137 ] && killed=$((killed + 1))
		done
		ids+=("p$i")
	done
	is $killed $((2 * rounds)) "$framing: $killed processes were killed while they worked"
	check "$framing: the steady producer lives" kill -0 $steady
	before=$(acked steady)
	sleep 0.3
	check "$framing: and goes on" test "$(acked steady)" -gt "$before"
	kill -9 "$steady"
	wait "$steady" 2>/dev/null
	ids+=(steady)
	is "$(stat_of "$t" writers,writers-waiting)" "0 0" "$framing: no writer is left"
	written=$(stat_of "$t" messages-in)
	check "$framing: delete the topic" mqctl topic del "$t"
	wait "$follower"
	is $? 1 "$framing: the follower drained it and ended"
	verify log >verified
	is "$(compare verified "${ids[@]}")" "" \
		"$framing: what was acknowledged is there, once, whole, in order"
	is "$(wc -l <log)" "$written" "$framing: the follower saw all $written messages"
done

# Delete under load: writers that wait, writers that write, readers of each kind.
for ((i = 1; i <= 20; i++)); do
	mk_topic t --ring-bytes 64K --hold readers --overflow block
	file=$MQ/$t
	pids=()
	cat "$file" >log 2>cat.err &
	follower=$!
	wait_for 10 has_reader
	for id in a b c; do
		"$helpers/tally" "$file" $id ack.$id 2>err.$id &
		pids+=($!)
	done
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
	verify log >verified
	bad="$bad$(compare verified a b c)"
	# A write that failed is not in the log.
	is_last() { [ "$(acked "$1")" = "$(awk -v id="$1" '$1 == id { n = $2 } END { print n + 0 }' verified)" ]; }
	for id in a b c; do
		is_last $id || bad="$bad; $id: $(acked $id) acknowledged, $(grep "^$id" verified) in the log"
	done
	[ -z "$bad" ] || break
done
is "$bad" "" "20 topics deleted under load: writers got ENODEV, readers everything acknowledged"

finish
