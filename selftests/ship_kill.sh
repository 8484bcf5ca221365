#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mqctl ship and receive, while connections are cut and both sides are killed, 100 times
# each, under load with the ring coming round: the files hold what was written, byte for
# byte, or another file begins exactly where a loss was counted.
# TIMEOUT: 400
# shellcheck disable=SC2154,SC2317 # mk_topic sets; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

helpers=$KSELFTEST_DIR/../build/selftests/helpers
tmp
cd "$lib_tmp" || exit 1

has_readers() { [ "$(stat_of "$1" readers)" -ge "$2" ]; }
receiver() { # a new one
	mqctl receive 127.0.0.1:7301 d 2>>receive.err &
	receiver=$!
	lib_pids="$lib_pids $receiver"
}
sender() { # PORT
	mqctl ship "$t" "127.0.0.1:$1" 2>>ship.err &
	sender=$!
	lib_pids="$lib_pids $sender"
}
load() { # READERS: what is written goes to "ref", too; the writer begins when so many read
	cat "$MQ/$t" >ref &
	follower=$!
	wait_for 20 has_readers "$t" "$1"
	"$helpers/tally" -w 500 "$MQ/$t" w ack.w &
	writer=$!
	lib_pids="$lib_pids $follower $writer"
}
shot=0
shoot() { # PID: kill -9, which must find it alive
	kill -9 "$1"
	wait "$1" 2>/dev/null
	[ $? = 137 ] && shot=$((shot + 1))
}

# The files of topic $t, held against "ref", what was written. Prints "whole", or where a
# file begins that is not the one before's continuation; and whatever is wrong.
files() {
	python3 - "$t" "$(id_of "$t")" <<'END'
import glob, os, sys
prefix = "d/%s-%s-" % tuple(sys.argv[1:])
ref = open("ref", "rb").read()
files = sorted((int(p[len(prefix):-4]), p) for p in glob.glob(prefix + "*.log"))
end, gaps = 0, 0
if [p for p in os.listdir("d")] != [] and len(os.listdir("d")) != len(files):
    print("files of nobody:", os.listdir("d"))
for start, path in files:
    data = open(path, "rb").read()
    if start < end:
        print(path, "begins before the one before ends, at", end)
    # Before anything was received nothing can be lost.
    if start > end and path != files[0][1]:
        gaps += 1
        print("gap", end, start)
    if start and ref[start - 1:start] != b"\n":
        print(path, "does not begin with a message")
    if data != ref[start:start + len(data)]:
        print(path, "is not what was written")
    end = start + len(data)
if end != len(ref):
    print("the end is at", end, "and should be at", len(ref))
if len(files) == 1 and not files[0][0]:
    print("whole")
END
}
# All that was written has arrived: the newest file ends at the topic's end.
arrived() {
	local newest end
	newest=$(find d -name "$t-*.log" -printf '%f %s\n' |
		sed 's/.*-\([0-9]*\)\.log /\1 /' | sort -n | tail -n 1)
	end=$(stat -c %s "$MQ/$t")
	[ "$((${newest% *} + ${newest#* }))" = "$end" ]
}

# --- nothing is lost: the sender lives, the topic holds what is not acknowledged ---
mkdir d
mk_topic t --framing line --ring-bytes 16K --hold readers --overflow block
"$helpers/cutproxy" -s $$ 100 8000 7302 7301 >cut.out &
proxy=$!
lib_pids="$lib_pids $proxy"
wait_for 20 listens 7302
receiver
wait_for 20 listens 7301
sender 7302
wait_for 20 has_readers "$t" 2
load 3
all_cut() { grep -q cut=100 cut.out; }
check "100 connections are cut" wait_for 100 all_cut
for ((i = 0; i < 100; i++)); do
	sleep 0.0$((RANDOM % 10))
	shoot "$receiver"
	receiver
done
is $shot 100 "the receiver was killed 100 times"
check "the writer goes on" kill -0 $writer
kill -9 $writer
wait $writer 2>/dev/null
check "all arrives" wait_for 60 arrived
wraps=$(stat_of "$t" wraps)
check "the ring came round $wraps times" test "$wraps" -ge 3
check "the sender is the same process still" kill -0 "$sender"
kill -9 "$sender"
wait "$sender" 2>/dev/null
read_all() { [ "$(stat -c %s ref)" = "$(stat -c %s "$MQ/$t")" ]; }
check "the other reader has all that was written" wait_for 30 read_all
kill $follower
wait $follower 2>/dev/null
is "$(files)" whole "one file, byte for byte what was written"
is "$(grep -c 'are lost' receive.err)" 0 "nothing was lost"

# --- the sender is killed: then nothing is held for it ---
mv d d.1
mkdir d
shoot "$receiver"
receiver
mk_topic t --framing line --ring-bytes 16K --hold readers --overflow block
load 1
: >receive.err
sender 7301
shot=0
for ((i = 0; i < 100; i++)); do
	sleep 0.0$((RANDOM % 10))
	shoot "$sender"
	sender 7301
done
is $shot 100 "the sender was killed 100 times"
kill -9 $writer
wait $writer 2>/dev/null
check "all arrives" wait_for 60 arrived
kill "$sender"
wait "$sender"
is $? 0 "the sender ends by SIGTERM"
kill "$receiver"
wait "$receiver"
is $? 0 "the receiver ends by SIGTERM"
check "the other reader has all that was written" wait_for 30 read_all
kill $follower
wait $follower 2>/dev/null
found=$(files)
is "$(printf '%s\n' "$found" | grep -v -e '^gap ' -e '^whole$')" "" \
	"each file is byte for byte what was written there"
# The receiver, and before it the sender, said each loss when it happened.
is "$(printf '%s\n' "$found" | awk '/^gap/ { print $2, $3 - $2 }')" \
	"$(sed -n 's/.* \([0-9]*\) bytes from position \([0-9]*\) on are lost.*/\2 \1/p' receive.err)" \
	"files begin anew exactly where a loss was counted ($(printf '%s\n' "$found" | grep -c gap))"

finish
