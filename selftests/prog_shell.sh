#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Redirections of shells, and lines from programs that know nothing of topics.
# TIMEOUT: 180
# shellcheck disable=SC2154,SC2016,SC2317 # mk_topic sets; other shells expand; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1

for shell in dash bash; do
	mk_topic t
	export T=$MQ/$t
	check "$shell: > appends, truncates nothing" $shell -c 'echo a >$T && echo b >$T'
	check "$shell: >>" $shell -c 'echo c >>$T'
	check "$shell: with noclobber" $shell -c 'set -C; echo d >$T'
	is "$(mq_all "$t")" "$(printf '%s\n' a b c d)" "$shell: four messages"
	is "$($shell -c 'cat <$T+until=end')" "$(printf '%s\n' a b c d)" "$shell: <"
	is "$(limit 20 $shell -c 'exec 3<>$T+until=end; echo e >&3; read -r x <&3; echo $x')" a \
		"$shell: <> writes at the end and reads from the oldest"
	is "$(limit 20 $shell -c 'while read -r x; do echo "<$x>"; done <$T+until=end')" \
		"$(printf '<%s>\n' a b c d e)" "$shell: while read, to the end"
	is "$(limit 20 $shell -c '{ read -r x; echo $x; cat; } <$T+until=end')" \
		"$(printf '%s\n' a b c d e)" "$shell: read, then cat on the same file"
	is "$(limit 20 $shell -c 'exec 3>$T; echo f >&3; echo g >&3; exec 3>&-
		tail -n 2 $T+until=end')" "$(printf '%s\n' f g)" "$shell: exec 3>, twice"
	check_fails "$shell: > to an unknown name fails" 1 $shell -c '(echo x >$T-typo) || exit 1'
	check_fails "$shell: it leaves no file" 1 test -e "$T-typo"

	mk_topic l --framing line
	export L=$MQ/$l
	is "$(limit 20 $shell -c 'seq 1 1000 >$L; n=0
		while read -r x; do n=$((n + 1)); [ $x = $n ] || echo "$n: $x"; done <$L+until=end
		echo $n')" 1000 "$shell: while read over 1000 lines"
	is "$(limit 20 $shell -c '{ read -r x; head -n 2; } <$L')" "$(printf '2\n3')" \
		"$shell: read, then head on the same file of lines"
	is "$(limit 20 $shell -c 'cat <<DOC >$L
here
document
DOC
		tail -n 2 $L+until=end')" "$(printf 'here\ndocument')" "$shell: a here document"
	is "$(stat_of "$l" messages-in)" 1002 "$shell: 1002 lines are messages"
done

# Lines from block-buffered stdio: awk writes 4 KiB pieces that cut lines.
mk_topic b --framing line
awk 'BEGIN {
	for (i = 1; i <= 20000; i++)
		printf "%d %s\n", i, substr("xxxxxxxxxxxxxxxx", i % 16)
}' >"$MQ/$b"
is "$(stat_of "$b" messages-in)" 20000 "block-buffered stdio: 20000 lines are messages"
is "$(mq_all "$b" | awk '$1 != NR || NF > 2 { print "line", NR, $0 } END { print NR }')" 20000 \
	"block-buffered stdio: lines are whole and in order"
is "$(limit 20 dd if="$MQ/$b" bs=30 count=1 status=none | tail -c 1 | od -An -c)" \
	"$(printf '\n' | od -An -c)" "a small read ends with a line"

# Two processes on one stdout, each with whole lines a write.
mk_topic s --framing line
writer() {
	i=0
	while [ $i -lt 3000 ]; do
		i=$((i + 1))
		echo "$1 $i some text behind it"
	done
}
{
	writer a &
	a=$!
	writer b &
	b=$!
	wait $a
	a=$?
	wait $b
	b=$?
} >"$MQ/$s"
is "$a $b" "0 0" "two processes on one stdout have ended well"
is "$(stat_of "$s" messages-in)" 6000 "two processes on one stdout: 6000 lines"
in_order() {
	awk '!/^[ab] [0-9]+ some text behind it$/ { print "cut:", $0 }
		$2 != ++n[$1] { print "order:", $0; n[$1] = $2 }
		END { print n["a"], n["b"] }'
}
is "$(mq_all "$s" | in_order)" "3000 3000" \
	"two processes on one stdout: lines whole, in order of each"

# Two processes, each with its own open file and lines cut anywhere.
mk_topic w --framing line
for id in a b; do
	awk -v id=$id 'BEGIN { for (i = 1; i <= 5000; i++) print id, i, "some text behind it" }' \
		>"$MQ/$w" &
	eval $id=$!
done
wait "$a"
is $? 0 "a block-buffered program has written"
wait "$b"
is $? 0 "so has another"
is "$(mq_all "$w" | in_order)" "5000 5000" "two open files never cut each other's lines"

# The unfinished line waits for the last close.
mk_topic u --framing line
export U=$MQ/$u
exec 5>"$U"
printf 'begin' >&5
is "$(stat_of "$u" messages-in)" 0 "an unfinished line is no message yet"
(printf ' middle' >&5)
is "$(stat_of "$u" messages-in)" 0 "a child's close is not the last"
exec 5>&-
is "$(stat_of "$u" messages-in)" 1 "the last close appends it"
is "$(mq_all "$u")" "begin middle" "as it was written, without a newline"
printf 'one\ntwo\nthree' >"$U"
is "$(stat_of "$u" messages-in)" 4 "two lines and a rest are three messages"

finish
