#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mqctl ship and receive: usage errors and what cannot be, as transcripts.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

note_topic orders
note_topic many
tmp
cd "$lib_tmp" || exit 1
mqctl topic add orders
mqctl topic add many --partitions 2

transcript <<'END'
$ mqctl ship
mqctl: ship: needs TOPIC[@N]... HOST:PORT
Try 'mqctl ship --help'.
=> 2
$ mqctl ship orders
mqctl: ship: needs TOPIC[@N]... HOST:PORT
Try 'mqctl ship --help'.
=> 2
$ mqctl ship orders localhost
mqctl: ship: localhost: needs a port: HOST:PORT
Try 'mqctl ship --help'.
=> 2
$ mqctl ship orders localhost:65536
mqctl: ship: localhost:65536: not a port: a number to 65535
Try 'mqctl ship --help'.
=> 2
$ mqctl ship orders ::1:7000
mqctl: ship: ::1:7000: an IPv6 address stands in brackets: [ADDRESS]:PORT
Try 'mqctl ship --help'.
=> 2
$ mqctl ship orders orders@0 localhost:7000
mqctl: ship: orders@0 stands twice
Try 'mqctl ship --help'.
=> 2
$ mqctl ship a/b localhost:7000
mqctl: ship: a/b: not a topic's name: 1 to 128 of A-Z a-z 0-9 . _ -
Try 'mqctl ship --help'.
=> 2
$ mqctl ship --raw orders many localhost:7000
mqctl: ship: --raw cannot keep several topics apart
Try 'mqctl ship --help'.
=> 2
$ mqctl ship --timeout 10 orders localhost:7000
mqctl: ship: --timeout 10: needs a unit: ms, s, m or h
Try 'mqctl ship --help'.
=> 2
$ mqctl ship --timeout 10ms orders localhost:7000
mqctl: ship: --timeout 10ms: must be at least 1s
Try 'mqctl ship --help'.
=> 2
$ mqctl ship nosuch localhost:7000
mqctl: ship nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl ship orders@1 localhost:7000
mqctl: ship orders@1: the topic has no partition 1
=> 1
$ mqctl ship --raw many localhost:7000
mqctl: ship many: many: the topic has 2 partitions, and --raw cannot keep them apart: choose one by many@N
=> 1
$ mqctl ship --until-end --timeout 1s orders 127.0.0.1:7299 2>&1 | sed -n -e 1p -e '$p'
mqctl: ship: 127.0.0.1:7299: Connection refused: trying again in 0.05 s
mqctl: ship: 127.0.0.1:7299: nothing got there for 1 s: given up
$ mqctl receive 7000
mqctl: receive: needs [ADDRESS:]PORT DIR
Try 'mqctl receive --help'.
=> 2
$ mqctl receive x .
mqctl: receive: x: not a port: a number to 65535
Try 'mqctl receive --help'.
=> 2
$ mqctl receive 7000 nosuch
mqctl: receive: nosuch: No such file or directory
=> 1
$ mqctl receive 192.0.2.1:7000 .
mqctl: receive: port 7000: address not available
=> 1
$ mqctl ship --help | head -1
Usage: mqctl ship TOPIC[@N]... HOST:PORT [OPTION...]
$ mqctl receive --help | head -1
Usage: mqctl receive [ADDRESS:]PORT DIR [OPTION...]
END

finish
