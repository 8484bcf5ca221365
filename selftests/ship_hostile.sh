#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mqctl receive among strangers, and mqctl ship with one: refused, and nobody else disturbed.
# TIMEOUT: 240
# shellcheck disable=SC2154,SC2317 # mk_topic sets; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1
mkdir d

background mqctl receive 127.0.0.1:7401 d 2>receive.err
receiver=$!
wait_for 20 listens 7401
mk_topic t --framing line
seq 1 1000 >"$MQ/$t"
background mqctl ship "$t" 127.0.0.1:7401 2>ship.err
ship=$!
arrived() { cmp -s "d/$t-$(id_of "$t")-0.log" <(seq 1 "$1"); }
check "an honest sender ships" wait_for 20 arrived 1000

# What is said on a connection, for all below.
cat >proto.py <<'END'
import os, socket, struct, sys, time
HELLO = struct.pack("<8sHHIQQ", b"MQSHIP\r\n", 1, 1, 0, 0, 0)
ID = b"0123456789abcdef"
def hello(least, most, features=0, required=0):
    return struct.pack("<8sHHIQQ", HELLO[:8], least, most, 0, features, required)
def frame(type, flags=0, stream=0, length=0, position=0, r1=0, r2=0):
    return struct.pack("<BBHIIIQ", type, flags, r1, stream, length, r2, position)
def opens(name, stream=0, n=0, of=1):
    body = ID + struct.pack("<II", n, of) + name
    return frame(1, 0, stream, len(body)) + body
def data(position, bytes, flags=0, stream=0, length=None):
    return frame(3, flags, stream, len(bytes) if length is None else length, position) + bytes
def start(sent, end=False):
    s = socket.create_connection(("127.0.0.1", 7401))
    s.settimeout(30)
    try:
        s.sendall(sent)
        if end:
            s.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    return s
# All that the receiver answers until it closes, without its hello.
def rest(s):
    got = b""
    try:
        while more := s.recv(4096):
            got += more
    except ConnectionError:
        pass
    except socket.timeout:
        return "still connected"
    s.close()
    if got[:8] == HELLO[:8]:
        got = got[32:]
    said = []
    while len(got) >= 24:
        type, length = got[0], struct.unpack_from("<I", got, 8)[0]
        said.append(got[24:24 + length].decode() if type == 6 else {2: "STATE", 4: "ACK"}[type])
        got = got[24 + length:]
    return "; ".join(said)
END

# Strangers, what they send, and what they are told.
cat >strangers.py <<'END'
from proto import *
slow = [start(HELLO[:31]), start(HELLO + frame(1, length=100) + b"x")]
def case(name, pattern, sent, end=False):
    print(name, pattern, rest(start(sent, end)), sep="|", flush=True)
wrong = "not the protocol"
case("a web client", wrong, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"x" * 100)
case("garbage", wrong, os.urandom(1000))
case("a sender from the future", "too new", hello(7, 9))
case("one that needs a feature", "feature", hello(1, 1, 1, 1))
case("half a hello, and gone", "^$", HELLO[:20], True)
case("type 0", "unknown type", HELLO + frame(0))
case("type 255", "unknown type", HELLO + frame(255))
case("a receiver's frame", "other side", HELLO + frame(4))
case("a length of 2^32-1", "length", HELLO + frame(1, length=0xffffffff))
case("data beyond the limit", "length", HELLO + frame(3, length=(256 << 10) + 1))
case("no data", "length", HELLO + frame(3))
case("stream 4096", "beyond the limit", HELLO + frame(5, stream=4096))
case("data of no stream", "not opened", HELLO + data(0, b"x"))
case("the end of no stream", "not opened", HELLO + frame(5, stream=7))
case("an unknown flag", "unknown flag", HELLO + frame(5, flags=2))
case("reserved bytes", "unknown flag", HELLO + frame(5, r1=1))
case("a position of 2^64-1", "position", HELLO + opens(b"x") + data(2**64 - 1, b"x"))
for name in b"../x", b"/etc/x", b".", b"..", b"x@1", b"x+y", b"x y", b"x\n":
    case("a topic called " + repr(name), "not a topic's name", HELLO + opens(name))
case("a name with a zero byte", "zero byte", HELLO + opens(b"x\0y"))
case("a partition that is none", "partition", HELLO + opens(b"x", n=5, of=5))
case("2^32-1 partitions", "partition", HELLO + opens(b"x", of=2**32 - 1))
case("a stream opened twice", "opened twice", HELLO + opens(b"x") + opens(b"y"))
case("a partition opened twice", "shipped twice", HELLO + opens(b"x") + opens(b"x", stream=1))
case("data with a hole", "do not follow",
     HELLO + opens(b"g1") + data(5, b"abc") + data(9, b"x"))
case("data that overlap", "do not follow",
     HELLO + opens(b"g2") + data(5, b"abc") + data(7, b"x"))
case("a loss before the first byte", "loss where there was none",
     HELLO + opens(b"g3") + data(5, b"abc", 1))
case("a loss of nothing", "loss where there was none",
     HELLO + opens(b"g4") + data(5, b"abc") + data(8, b"x", 1))
case("half a frame, and gone", "STATE", HELLO + opens(b"half") + data(0, b"abc", length=1000),
     True)
print("a hello that does not come to its end|too slow", rest(slow[0]), sep="|")
print("a frame that does not|too slow", rest(slow[1]), sep="|")
# The newer connection of a partition is the true one.
first = start(HELLO + opens(b"take"))
time.sleep(0.5)
print("a newer connection takes a partition over|STATE",
      rest(start(HELLO + opens(b"take") + data(0, b"second"), True)), sep="|")
print("the older one is told|another connection ships it now", rest(first), sep="|")
# More than it takes at a time.
held = [socket.create_connection(("127.0.0.1", 7401)) for i in range(400)]
time.sleep(1)
END
limit 100 python3 strangers.py >answers
is $? 0 "all strangers came to their end"
while IFS='|' read -r name pattern said; do
	like "$said" "$pattern" "$name"
done <answers
is "$(wc -l <answers)" 39 "and they were all"
is "$(cat d/half-*-0.log)" abc "what came of half a frame is kept"
is "$(cat d/take-*-0.log)" second "the newer connection's data count"
# shellcheck disable=SC2010 # the names are the question
is "$(ls -A d | grep -Ev "^($t|g[0-9]|half|take)-[0-9a-f]{32}-[0-9]+\.log$")" "" \
	"no file has a strange name"
seq 1001 2000 >"$MQ/$t"
check "the honest sender was not disturbed" wait_for 20 arrived 2000
check "nor did it have to connect again" sh -c '! grep -q trying ship.err'
# As many as it takes, who say hello and no more.
cat >idle.py <<'END'
from proto import *
held = [start(HELLO) for i in range(300)]
print(sum("ships nothing" in rest(s) for s in held[:40]), flush=True)
time.sleep(1000)
END
background python3 idle.py >idle.out
idle=$!
check "idle strangers take all connections" wait_for 60 test -s idle.out
mk_topic u --framing line
seq 1 100 >"$MQ/$u"
check "another sender ships among them" limit 60 mqctl ship --until-end --timeout 20s "$u" 127.0.0.1:7401
check "it arrived" cmp "d/$u-$(id_of "$u")-0.log" <(seq 1 100)
is "$(cat idle.out)" 40 "those who waited longest made room, and were told"
seq 2001 3000 >"$MQ/$t"
check "who ships already stays" wait_for 20 arrived 3000
check "without another connection" sh -c '! grep -q trying ship.err'
kill $idle
kill $ship
wait $ship
is $? 0 "it ends"
kill $receiver
wait $receiver
is $? 0 "so does the receiver"
like "$(cat receive.err)" 'protocol of mqctl ship.*connection closed' "it said what it met"

# Receivers that are none, each on a port of its own.
cat >receivers.py <<'END'
from proto import *
answers = [
    (b"220 mail.example ESMTP ready and more than that\r\n", b""),
    (hello(0, 0), b""),
    (hello(8, 9), b""),
    (HELLO, frame(2) + frame(4, position=2**40)),
    (HELLO, frame(2) + frame(2)),
    (HELLO, frame(2, 1, position=2**62)),
    (HELLO, frame(6, length=8) + b"no \x1b[31m"),
    (HELLO, frame(3, length=1) + b"x"),
]
listeners = []
for port in range(7410, 7410 + len(answers)):
    listeners.append(socket.create_server(("127.0.0.1", port)))
print("listening", flush=True)
for at, (first, then) in zip(listeners, answers):
    s = at.accept()[0]
    at.close()
    s.sendall(first)
    got = b""
    try:
        while then and len(got) < 32 + 24 + 25 and (more := s.recv(65536)):
            got += more
        s.sendall(then)
        while s.recv(65536):
            pass
    except ConnectionError:
        pass
END
background python3 receivers.py >listening
receivers=$!
check "false receivers listen" wait_for 30 test -s listening
port=7410
refused() {	# PATTERN NAME
	limit 30 mqctl ship --until-end --timeout 1s "$t" 127.0.0.1:$port 2>false.err
	is $? 1 "$2: the sender gives up"
	like "$(cat false.err)" "$1" "$2: it says why"
	port=$((port + 1))
}
refused 'not the protocol' "a mail server"
refused 'no sense' "version 0"
refused 'too new' "version 8"
refused 'not sent' "more than was sent"
refused 'not asked' "two answers"
refused 'more of it than there is' "more than there is"
refused 'the receiver says: no \?\[31m' "an error with an escape sequence"
refused 'other side' "a sender's frame"
wait $receivers
is $? 0 "all false receivers had their say"

finish
