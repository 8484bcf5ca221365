#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# tail -f and grep -r: what they make of files without an end, that are devices.
# NEEDS: strace
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1

has_read() { [ "$(stat_of "$1" messages-out)" = "$2" ]; }
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

# tail -f wants to know the last lines first, and reads to an end that never comes.
mk_topic a --framing line
seq 20 >"$MQ/$a"
background tail -f "$MQ/$a" >out 2>err
tail=$!
check "tail -f reads all there is" wait_for 20 has_read "$a" 20
echo later >"$MQ/$a"
check "and what comes later" wait_for 20 has_read "$a" 21
is "$(cat out)" "" "but shows nothing"
check "the topic is deleted" mqctl topic del "$a"
wait $tail
is "$?" 1 "then it fails"
like "$(cat err)" 'No such device' "and says why"
is "$(cat out)" "" "still without the last lines"

# From a given line on it shows what it reads, as its stdio buffers it.
mk_topic b --framing line
seq 20 >"$MQ/$b"
background stdbuf -oL tail -n +1 -f "$MQ/$b" >out
tail=$!
check "stdbuf -oL tail -n +1 -f shows all there is" wait_for 20 has_lines out 20
echo later >"$MQ/$b"
check "and at once what comes later" wait_for 20 has_lines out 21
kill $tail
wait $tail 2>/dev/null
is "$(cat out)" "$(seq 20; echo later)" "just that, in order"

# With an end it shows the last lines, and asks in vain for more once a second.
mk_topic c --framing line
seq 20 >"$MQ/$c"
background strace -D -o trace tail -f "$MQ/$c+until=end" >out
tail=$!
check "tail -f of until=end shows the last lines" wait_for 20 has_lines out 10
echo later >"$MQ/$c"
asked() { [ "$(grep -c '^read(3, "", [0-9]*) *= 0' trace)" -ge 4 ]; }
check "it asks for more" wait_for 20 asked
kill $tail
wait $tail 2>/dev/null
is "$(cat out)" "$(seq 11 20)" "there is no more before that end"
check "two topics are deleted" mqctl topic del "$b" "$c"

# grep -r leaves devices out, unopened.
mk_topic d --framing line
mk_topic e --framing line
echo "the needle of d" >"$MQ/$d"
echo "the needle of e" >"$MQ/$e"
check_fails "grep -r: status 1" 1 limit 20 strace -o trace grep -r needle "$MQ"
is "$lib_out" "" "grep -r finds nothing"
is "$(grep -c "\"$d\"\|\"$e\"\|$MQ/." trace)" 0 "grep -r opens no topic"
background grep --line-buffered -r -D read needle "$MQ" >out
check "grep -r -D read finds a line" wait_for 20 has_lines out 1
is "$(($(stat_of "$d" messages-out) + $(stat_of "$e" messages-out)))" 1 \
	"and waits at the first topic for more, before it reads another"
is "$(limit 20 grep -H needle "$MQ/$d+until=end" "$MQ/$e+until=end")" \
	"$MQ/$d+until=end:the needle of d
$MQ/$e+until=end:the needle of e" "grep of topics with an end"
is "$(find "$MQ" -type c -printf '%p+until=end\0' | limit 20 xargs -0 grep -h needle | sort)" \
	"the needle of d
the needle of e" "find names them all"

finish
