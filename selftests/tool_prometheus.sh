#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mqctl stat -o prometheus: the text format, held against its grammar, and the
# numbers that stand in it.
# TIMEOUT: 300

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

note_topic app
note_topic many
tmp
cd "$lib_tmp" || exit 1

# Version 0.0.4 of the format, and the habits that promtool checks: a family's
# lines are together and begin with HELP and TYPE, no series comes twice,
# counters end in _total, gauges do not, units are spelt out.
cat >check.py <<'END'
import re, sys

name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
sample = re.compile(rf"({name})(?:\{{((?:{label})(?:,{label})*)\}})? (-?[0-9]+(?:\.[0-9]+)?)\Z")
text = sys.stdin.buffer.read().decode("utf-8")
families, series, current, helped = {}, set(), None, None
assert text.endswith("\n"), "no newline at the end"
for number, line in enumerate(text[:-1].split("\n"), 1):
    def need(what, why):
        if not what:
            sys.exit(f"line {number}: {why}: {line}")
    if line.startswith("# HELP "):
        match = re.match(rf"# HELP ({name}) ((?:[^\\\n]|\\[\\n])+)\Z", line)
        need(match, "no HELP")
        helped = match[1]
        need(helped not in families, "family comes a second time")
    elif line.startswith("# TYPE "):
        match = re.match(rf"# TYPE ({name}) (counter|gauge)\Z", line)
        need(match and match[1] == helped, "no TYPE of what HELP was of")
        current = helped
        families[current] = match[2]
        need((match[2] == "counter") == current.endswith("_total"), "name and type")
        need(current.startswith("mq_"), "no prefix")
    else:
        match = sample.match(line)
        need(match, "no sample")
        need(match[1] == current, "sample outside of its family")
        need((match[1], match[2]) not in series, "series comes twice")
        series.add((match[1], match[2]))
        need(families[current] == "gauge" or float(match[3]) >= 0, "counter below zero")
print("fine:", len(families) > 30, len(series) > 30)
END

is "$(mqctl stat -o prometheus | python3 check.py | cut -c1-5)" "fine:" "without topics"
# The checker can find fault.
printf '# HELP mq_a_total b\n# TYPE mq_a_total counter\nmq_a_total{t="\\q"} 1\n' >bad
check_fails "the checker refuses a bad escape" 1 sh -c 'python3 check.py <bad'
printf '# HELP mq_a b\n# TYPE mq_a gauge\nmq_a 1\nmq_a 1\n' >bad
check_fails "the checker refuses a series twice" 1 sh -c 'python3 check.py <bad'

mqctl topic add app --framing line --hold readers --ring-bytes 64K
mqctl topic add many --partitions 3 --persistent
exec 8<"$MQ/app"
exec 9>"$MQ/app"
printf 'one\ntwo\nthree\n' >&9
head -n 1 <&8 >/dev/null
echo four >"$MQ/many@2"
transcript <<'END'
$ mqctl stat -o prometheus >all; python3 check.py <all
fine: True True
$ grep -A1 '^# HELP mq_topic_messages_in_total' all
# HELP mq_topic_messages_in_total messages appended.
# TYPE mq_topic_messages_in_total counter
$ grep '^mq_topic_\(messages_in\|bytes_in\)' all
mq_topic_messages_in_total{topic="app"} 3
mq_topic_messages_in_total{topic="many"} 1
mq_topic_bytes_in_total{topic="app"} 14
mq_topic_bytes_in_total{topic="many"} 5
$ grep -e '^mq_topic_readers' -e '^mq_topic_ring_bytes' -e '^mq_topic_partitions' all
mq_topic_readers{topic="app"} 1
mq_topic_readers{topic="many"} 0
mq_topic_partitions{topic="app"} 1
mq_topic_partitions{topic="many"} 3
mq_topic_ring_bytes{topic="app"} 65536
mq_topic_ring_bytes{topic="many"} 4194304
$ grep -e '^mq_partition_head_offset' -e '^mq_partition_retained' all
mq_partition_head_offset{topic="app",partition="0"} 3
mq_partition_head_offset{topic="many",partition="0"} 0
mq_partition_head_offset{topic="many",partition="1"} 0
mq_partition_head_offset{topic="many",partition="2"} 1
mq_partition_retained_messages{topic="app",partition="0"} 3
mq_partition_retained_messages{topic="many",partition="0"} 0
mq_partition_retained_messages{topic="many",partition="1"} 0
mq_partition_retained_messages{topic="many",partition="2"} 1
mq_partition_retained_bytes{topic="app",partition="0"} 14
mq_partition_retained_bytes{topic="many",partition="0"} 0
mq_partition_retained_bytes{topic="many",partition="1"} 0
mq_partition_retained_bytes{topic="many",partition="2"} 5
$ grep -e '^mq_module_topics ' all; grep -c '^mq_module_info{version="[0-9.]*"} 1' all
mq_module_topics 2
1
$ mqctl stat -o prometheus many | python3 check.py; mqctl stat -o prometheus many | grep -c '"app"'
fine: True True
0
=> 1
$ mqctl stat -o prometheus nosuch
mqctl: stat nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl stat -o prometheus many@1
mqctl: stat: -o prometheus takes no --json, and whole topics only
Try 'mqctl stat --help'.
=> 2
$ mqctl stat -o prometheus >/dev/full
mqctl: stat: standard output: No space left on device
=> 1
END

# Every counter and number of the table, of the kernel's spec, is a series.
mqctl help --table | awk -F '\t' '$1 == "column" && $2 == "stat" { print $4 }' | sort -u >columns
cut -d '{' -f 1 all | sort -u >series
missing=
for column in messages-in bytes-in messages-out bytes-out dropped-held rejected \
	dropped-unfinished lost overruns evicted no-memory readers writers writers-waiting \
	sync-waiting memory lent wraps lock-retries head-offset tail-offset durable-offset held-offset; do
	grep -qx "$column" columns || missing="$missing no-column:$column"
	grep -qE "^mq_(topic|partition)_$(echo $column | tr - _)(_total|_bytes)?\$" series ||
		missing="$missing $column"
done
is "$missing" "" "every counter is a series"

held() {
	mqctl stat -o prometheus app | sed -n 's/^mq_partition_held_messages.* //p'
}
is "$(held)" "$(mqctl stat --by-partition app -r --noheadings -o head-offset,held-offset |
	awk '{ print $1 - $2 }')" "held is what lies behind held-offset"
exec 8<&-
is "$(held)" 0 "without its reader nothing is held"
finish
