#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# TIMEOUT: 200
# Line framing as programs that know nothing of it meet it.
. "$(dirname "$0")/lib.sh"

plan 12

tmp
n=20000

# messages TOPIC: the number of messages in it.
messages() {
	mqctl consume "$1" --until end | wc -l
}

t=
mk_topic t --framing line --ring-bytes 16M --ring-messages 131072
seq "$n" >"$MQ/$t"
seq "$n" >"$lib_tmp/want"
mq_all "$t" >"$lib_tmp/got"
check "seq's block-buffered output arrives byte for byte" cmp "$lib_tmp/want" "$lib_tmp/got"
is "$(messages "$t")" "$n" "and as one message a line, wherever its buffer was cut"

# fully buffered C stdio, Python and awk; the buffer's border falls anywhere
mk_topic t --framing line --ring-bytes 16M --ring-messages 131072
awk -v n="$n" 'BEGIN { for (i = 1; i <= n; i++) printf "line %d of awk %s\n", i, substr("xxxxxxxxxxxxxxxxxxxx", 1, i % 20) }' \
	>"$MQ/$t"
is "$(mq_all "$t" | grep -Ec '^line [0-9]+ of awk x*$')" "$n" "awk's lines are whole"
is "$(mq_all "$t" | awk '$2 != NR' | wc -l)" 0 "and in order"

# two processes with one stdout, each line written at once
mk_topic t --framing line --ring-bytes 16M --ring-messages 131072
(
	i=0
	while [ "$i" -lt 1000 ]; do
		echo "a $i"
		i=$((i + 1))
	done &
	i=0
	while [ "$i" -lt 1000 ]; do
		echo "b $i"
		i=$((i + 1))
	done
	wait
) >"$MQ/$t"
is "$(mq_all "$t" | grep -c '^a [0-9]*$')" 1000 "two shells on one stdout: all lines of the first are whole"
is "$(mq_all "$t" | awk '$1 == "b" && $2 != n++' | wc -l)" 0 "and the second's are in order"

# two block-buffered processes on one stdout: cut where a file would be, no byte lost
mk_topic t --framing line --ring-bytes 16M --ring-messages 131072
(
	seq 10000 19999 &
	seq 20000 29999
	wait
) >"$MQ/$t"
is "$(mq_all "$t" | wc -c)" 120000 "two block-buffered programs on one stdout: no byte is lost"

# two processes with a file each: never cut
mk_topic t --framing line --ring-bytes 16M --ring-messages 131072
seq 10000 19999 >"$MQ/$t" &
seq 20000 29999 >"$MQ/$t"
wait
is "$(mq_all "$t" | sort | uniq | grep -Ec '^[12][0-9]{4}$')" 20000 "two programs that opened it themselves: every line is whole"

# the last close
mk_topic t --framing line
printf 'half' >"$MQ/$t"
is "$(mq_all "$t")" half "the last close appends the line without newline"
(printf 'one ' && printf 'line\n') >"$MQ/$t"
is "$(mq_all "$t" | tail -c 9)" "one line" "two processes, one after the other, complete one line"
(exec 3>"$MQ/$t" && printf 'kept ' >&3 && sh -c 'exit 0' 3>&3 && printf 'open\n' >&3)
is "$(mq_all "$t" | tail -c 10)" "kept open" "the end of a child that inherited it closes nothing"

yes 'a line of yes' 2>/dev/null | head -c 5000002 | limit 60 cat >"$MQ/$t"
is "$(mq_all "$t" | grep -vc '^a line of yes$')" 0 "a ring lapped by cat holds whole lines"

finish
