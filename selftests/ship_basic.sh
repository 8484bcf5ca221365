#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mqctl ship and receive: what arrives is what was written, in files that say what they are.
# NEEDS: nc strace
# TIMEOUT: 240
# shellcheck disable=SC2154,SC2317 # mk_topic sets; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1

lines() { seq -f "line %.0f of $1" "$2" "$3"; }

receiver() {	# PORT DIR
	mkdir -p "$2"
	background mqctl receive "$1" "$2" 2>>receive.err
	receiver=$!
	wait_for 20 listens "$1" || note "nobody listens on port $1"
}
ends() {	# NAME PID: it ends by SIGTERM, in order
	kill "$2"
	wait "$2"
	is $? 0 "$1 ends by SIGTERM with status 0"
}
shipped() { limit 60 mqctl ship --until-end "$@"; }

# A plain receiver that pauses, for longer than a dead one is given; at the end it is looked at.
cat >pause.py <<'END'
import socket, time
at = socket.socket()
at.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
at.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
at.bind(("127.0.0.1", 7204))
at.listen()
s = at.accept()[0]
time.sleep(35)
with open("paused", "wb") as out:
    while more := s.recv(65536):
        out.write(more)
END
background python3 pause.py
pausing=$!
mk_topic w --framing line
lines w 1 20000 >"$MQ/$w"
wait_for 30 listens 7204
background mqctl ship --raw --until-end "$w" 127.0.0.1:7204 2>pause.err
to_pausing=$!

receiver 7201 d
mk_topic t --framing line
lines t 1 1000 >"$MQ/$t"
file=d/$t-$(id_of "$t")-0.log
check "a topic is shipped to its end" shipped "$t" 127.0.0.1:7201
check "the file is what was written" cmp "$file" <(lines t 1 1000)
is "$(grep -c "line 77 of t" "$file")" 1 "grep finds a line in it"
check "once more ships nothing" shipped "$t" "[::1]:7201"
check "and changes nothing" cmp "$file" <(lines t 1 1000)
lines t 1001 1500 >"$MQ/$t"
check "over IPv6, from where it ended" shipped "$t" "[::1]:7201"
check "the file goes on" cmp "$file" <(lines t 1 1500)
is "$(ls d)" "${file#d/}" "there is one file"
lines t 1501 1510 >"$MQ/$t"
kill -STOP "$receiver"
background mqctl ship --until-end "$t" 127.0.0.1:7201 2>stopped.err
ship=$!
is_open() { [ "$(stat_of "$t" readers)" = 2 ]; }
wait_for 20 is_open
kill $ship
wait $ship
is $? 1 "stopped before the end it was to reach: a failure"
like "$(cat stopped.err)" 'interrupted: not all is known to be there' "it says so"
kill -CONT "$receiver"
check "and later to the end" shipped "$t" 127.0.0.1:7201
check_fails "a second receiver of the folder is refused" 1 limit 10 mqctl receive 7202 d

# What a receiver has, a restarted one has, too.
ends "the receiver" "$receiver"
receiver 7201 d
lines t 1511 2000 >"$MQ/$t"
check "a restarted receiver goes on" shipped "$t" localhost:7201
check "with the same file" cmp "$file" <(lines t 1 2000)

# Bytes go by reference: no read, no write of payloads.
check "shipped under strace" strace -f -o trace -e trace=read,readv,pread64,write,sendto,splice \
	mqctl ship --until-end "$t" 127.0.0.1:7201
lines t 2001 4000 >"$MQ/$t"
check "more of it" strace -f -o trace -e trace=read,readv,pread64,write,sendto,splice \
	mqctl ship --until-end "$t" 127.0.0.1:7201
is "$(grep -c "line 3... of t" trace)" 0 "no payload passes through the program"
like "$(cat trace)" 'splice\(' "it is spliced"
check "it arrived" cmp "$file" <(lines t 1 4000)

# A follower, several topics, several partitions, one connection.
mk_topic a --framing line
mk_topic p --framing line --partitions 3
background mqctl ship "$t" "$a" "$p" 127.0.0.1:7201 2>ship.err
ship=$!
for n in 0 1 2; do
	lines "p$n" 1 700 >"$MQ/$p@$n"
done
lines a 1 900 >"$MQ/$a"
lines t 4001 5000 >"$MQ/$t"
arrived() { cmp -s "$1" <(lines "$2" 1 "$3"); }
check "a follower ships what comes" wait_for 30 arrived "$file" t 5000
check "another topic over the same connection" wait_for 30 arrived "d/$a-$(id_of "$a")-0.log" a 900
for n in 0 1 2; do
	check "partition $n has its file" wait_for 30 arrived "d/$p@$n-$(id_of "$p")-0.log" "p$n" 700
done
mqctl topic set "$p" --partitions 4
lines p3 1 700 >"$MQ/$p@3"
check "a partition that was added" wait_for 30 arrived "d/$p@3-$(id_of "$p")-0.log" p3 700

# The same name with another id is another topic.
old=$(id_of "$a")
lines a 901 1000 >"$MQ/$a"
check "delete a topic that is shipped" mqctl topic del "$a"
check "what was in it arrives all the same" wait_for 30 arrived "d/$a-$old-0.log" a 1000
check "make it anew" mqctl topic add "$a" --framing line
lines new 1 300 >"$MQ/$a"
new=$(id_of "$a")
check "a new id, a new file" wait_for 30 arrived "d/$a-$new-0.log" new 300
check "the old one is what it was" arrived "d/$a-$old-0.log" a 1000
ends "the sender" $ship

# One topic grows a second partition: its first one's file goes on.
mk_topic g --framing line
lines g 1 100 >"$MQ/$g"
check "a topic of one partition" shipped "$g" 127.0.0.1:7201
mqctl topic set "$g" --partitions 2
lines g 101 200 >"$MQ/$g@0"
check "with two" shipped "$g" 127.0.0.1:7201
check "the first goes on in its file" arrived "d/$g-$(id_of "$g")-0.log" g 200

# A loss begins a new file exactly where it ends.
mk_topic o --framing line --ring-bytes 4K
lines o 1 50 >"$MQ/$o"
check "before a loss" shipped "$o" 127.0.0.1:7201
lines o 51 1000 >"$MQ/$o"
first=$(stat_of "$o@0" tail-position)
check "after it" limit 60 mqctl ship --until-end "$o" 127.0.0.1:7201 2>loss.err
oid=$(id_of "$o")
size=$(lines o 1 50 | wc -c)
check "the first file ends where the loss began" arrived "d/$o-$oid-0.log" o 50
check "the other begins at the oldest message" \
	cmp "d/$o-$oid-$first.log" <(lines o 1 1000 | tail -c +$((first + 1)))
is "$(find d -name "$o-*" | wc -l)" 2 "there is no third"
like "$(cat receive.err)" "$((first - size)) bytes from position $size on are lost" \
	"the receiver says what is lost"

# Positions beyond 2^32, and a topic that lost its beginning before anybody received it.
mk_topic far --framing line --ring-bytes 4K --start-position 9223372036854000000
lines far 1 1000 >"$MQ/$far"
first=$(stat_of "$far@0" tail-position)
check "far out" shipped "$far" 127.0.0.1:7201
check "the file's name says where it begins" cmp "d/$far-$(id_of "$far")-$first.log" \
	<(lines far 1 1000 | tail -c +$((first - 9223372036854000000 + 1)))

# A receiver with more than there is.
mk_topic m --framing line
lines m 1 10 >"$MQ/$m"
head -c 100000 /dev/zero >"d/$m-$(id_of "$m")-0.log"
check_fails "a receiver that has more than there is: refused" 1 shipped "$m" 127.0.0.1:7201
is "$(stat -c %s "d/$m-$(id_of "$m")-0.log")" 100000 "and its file untouched"
ends "the receiver" "$receiver"

# A plain receiver.
raw() {	# NAME COMMAND...
	name=$1
	shift
	"$@" >raw </dev/null &
	nc=$!
	lib_pids="$lib_pids $nc"
	wait_for 10 listens 7203
	check "$name: shipped" limit 60 mqctl ship --raw --until-end "$t" 127.0.0.1:7203
	wait $nc
	is $? 0 "$name: the receiver ended"
	check "$name: it has every byte" cmp raw <(lines t 1 5000)
}
raw nc nc -l 127.0.0.1 7203
raw socat socat -u TCP-LISTEN:7203,bind=127.0.0.1,reuseaddr STDOUT

wait $to_pausing
is "$? $(cat pause.err)" "0 " "a plain receiver that paused for 35 s: shipped"
wait $pausing
check "it has every byte" cmp paused <(lines w 1 20000)

finish
