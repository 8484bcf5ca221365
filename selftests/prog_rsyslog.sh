#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# rsyslog writes a topic (omfile) and is fed from one (improg, imptcp), every line once, in
# order. Its imfile never opens what is no regular file.
# NEEDS: socat logger
# TIMEOUT: 180
# shellcheck disable=SC2154,SC2016,SC2317 # mk_topic sets; rsyslog expands; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

unpacked rsyslog-improg
export RSYSLOG_MODDIR="$lib_unpacked"
unpacked rsyslog
RSYSLOG_MODDIR="$lib_unpacked/usr/lib/x86_64-linux-gnu/rsyslog:$RSYSLOG_MODDIR"
rsyslogd=$lib_unpacked/usr/sbin/rsyslogd
tmp
cd "$lib_tmp" || exit 1
lines=2000
seq -f 'line %05g of a service' 1 $lines >in

# start CONF: rsyslogd in $rsyslog, its messages in out.
start() {
	background "$rsyslogd" -n -f "$1" -i "$lib_tmp/pid" >>out 2>&1
	rsyslog=$!
	wait_for 20 test -S sock || note "rsyslogd does not listen: $(cat out)"
}

# stop NAME: it ends well
stop() {
	kill "$rsyslog"
	wait "$rsyslog"
	is $? 0 "$1: rsyslogd ended well"
	rm -f sock
}

has() { [ "$(stat_of "$1" messages-in)" -ge "$2" ]; }

# What the service logs goes into a topic.
mk_topic t --framing line
cat >in.conf <<END
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="$lib_tmp/sock" createPath="on")
template(name="line" type="string" string="%msg:2:\$%\n")
action(type="omfile" file="$MQ/$t" template="line")
END
start in.conf
check "logger -f sends a file to rsyslog" limit 60 logger -u sock -t app -f in
check "all arrive" wait_for 30 has "$t" $lines
check "omfile: each line once, in order" cmp in "$MQ/$t+until=end"
is "$(stat_of "$t" messages-in)" $lines "each line is a message"
kill -HUP "$rsyslog"
check "logger after SIGHUP, which closes the file" logger -u sock -t app "after the hangup"
check "it arrives" wait_for 30 has "$t" $((lines + 1))
is "$(limit 20 tail -n 1 "$MQ/$t+until=end")" "after the hangup" "and nothing else"
stop omfile
like "$(ls -l "$MQ/$t")" "^crw" "the topic is still what it was"

# A topic whose ring is full of unread lines makes rsyslog wait, not lose.
mk_topic b --framing line --ring-bytes 16K --hold readers --overflow block
sed "s,$t,$b," in.conf >block.conf
start block.conf
exec 5<"$MQ/$b"
check "logger -f, more than the ring holds" limit 60 logger -u sock -t app -f in
waits() { [ "$(stat_of "$b" writers-waiting)" = 1 ]; }
check "rsyslogd waits for room" wait_for 30 waits
is "$(limit 60 head -n $lines <&5 | cksum)" "$(cksum <in)" "a late reader gets every line"
exec 5<&-
stop "a full topic"

# And out of a topic into rsyslog's rules.
cat >out.conf <<END
module(load="imptcp")
input(type="imptcp" path="$lib_tmp/sock")
template(name="line" type="string" string="%rawmsg%\n")
action(type="omfile" file="$lib_tmp/got" template="line")
END
start out.conf
background socat -u "OPEN:$MQ/$t,rdonly" "UNIX-CONNECT:$lib_tmp/sock"
seq -f 'line %05g, written later' 1 1000 >later
cat later >"$MQ/$t"
{ cat in; echo "after the hangup"; cat later; } >want
all() { [ "$(wc -l <got)" -ge "$(wc -l <want)" ]; }
check "socat feeds a topic to imptcp" wait_for 30 all
stop imptcp
check "imptcp: rsyslog has each line once, in order" cmp got want

# improg runs the reader itself: from the oldest line on, following what is written later,
# and ends it together with rsyslogd.
cat >prog.conf <<END
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="$lib_tmp/sock" createPath="on")
module(load="improg")
input(type="improg" tag="app" confirmMessages="off" signalOnClose="on"
      binary="/bin/cat $MQ/$t" ruleset="topic")
template(name="line" type="string" string="%rawmsg%\n")
ruleset(name="topic") { action(type="omfile" file="$lib_tmp/got" template="line") }
END
rm -f got
start prog.conf
check "improg gets what the topic holds" wait_for 60 all
is "$(mqctl readers "$t" | grep -cw cat)" 1 "improg's cat is the topic's reader"
seq -f 'line %05g, with rsyslog waiting' 1 500 | tee -a want >"$MQ/$t"
check "and what is written while it waits" wait_for 60 all
stop improg
check "improg: rsyslog has each line once, in order" cmp got want
is "$(mqctl readers "$t" | grep -cw cat)" 0 "improg's reader ended with it"

finish
