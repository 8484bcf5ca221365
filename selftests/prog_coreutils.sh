#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Programs nobody here wrote, unchanged, on a topic: what reads and writes files.
# TIMEOUT: 240
# shellcheck disable=SC2154,SC2016,SC2317 # mk_topic sets; other shells expand; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1
seq -f 'line %05g of the file' 1 2000 >in
lines=2000

mk_topic m				# messages
mk_topic l --framing line
sed 50q in | while read -r line; do
	echo "$line" >"$MQ/$m"
done
sed 50q in >want50
limit 60 cat in >"$MQ/$l"

# cat
is "$(stat_of "$m" messages-in)" 50 "50 times echo > topic are 50 messages"
check "cat gives them back" cmp want50 "$MQ/$m+until=end"
is "$(stat_of "$l" messages-in)" $lines "cat file > topic of lines: each line is a message"
check "cat gives the file back" cmp in "$MQ/$l+until=end"
is "$(limit 20 cat "$MQ/$l+from=1997+until=end")" "$(tail -n 3 in)" "cat from an offset on"
check "cat -n numbers all lines" \
	sh -c 'cat -n "$1" | tail -n 1 | grep -q "^ *2000.*line 02000"' - "$MQ/$l+until=end"

# head
is "$(limit 20 head -n 2 "$MQ/$m")" "$(sed 2q in)" "head -n 2 of messages ends without until=end"
is "$(limit 20 head -n 2 "$MQ/$l")" "$(sed 2q in)" "head -n 2 of lines"
is "$(limit 20 head -c 9 "$MQ/$m")" "line 0000" "head -c 9 ends within a message"
is "$( (limit 20 head -n 7 >/dev/null; limit 20 cat) <"$MQ/$l+until=end" | head -n 1)" \
	"line 00008 of the file" "head gives back what it read too much, as of a file"
is "$(limit 20 head -n -1990 "$MQ/$l+until=end")" "$(sed 10q in)" "head -n -1990"

# tail
is "$(limit 20 tail -n 3 "$MQ/$l+until=end")" "$(tail -n 3 in)" "tail -n 3 of lines"
is "$(limit 20 tail -n 1 "$MQ/$m+until=end")" "line 00050 of the file" "tail -n 1 of messages"
is "$(limit 20 tail -c 9 "$MQ/$l+until=end")" "$(tail -c 9 in)" "tail -c 9"
is "$(limit 20 tail -n +1999 "$MQ/$l+until=end")" "$(tail -n 2 in)" "tail -n +1999"
mk_topic f --framing line
background tail -n +1 -f "$MQ/$f" >followed
cat in >"$MQ/$f"
wanted=$(($(stat -c %s in) - 8192))	# tail's own buffer may hold the rest
follows() { [ "$(stat -c %s followed)" -ge "$wanted" ]; }
check "tail -f follows what is written later" wait_for 20 follows
check "and shows just that" cmp -n "$(stat -c %s followed)" followed in

# dd
is "$(limit 20 dd if="$MQ/$m" bs=64K count=3 2>dd.err)" "$(sed 3q in)" \
	"dd count=3: one message a read"
like "$(cat dd.err)" '^0\+3 records in' "dd: three short blocks"
is "$(limit 20 dd if="$MQ/$m+until=end" bs=100 iflag=skip_bytes skip=28 status=none)" \
	"$(tail -c +29 want50)" "dd skips by position, into a message"
is "$(limit 20 dd if="$MQ/$m+until=end" bs=7 status=none | cksum)" "$(cksum <want50)" \
	"dd bs=7: a message's rest comes with the next read"
is "$(limit 20 dd if="$MQ/$m+until=end" bs=1M iflag=fullblock status=none | cksum)" \
	"$(cksum <want50)" "dd iflag=fullblock"
mk_topic d --ring-bytes 64K --overflow block --persistent
check_fails "dd oflag=nonblock into a topic that fills: status 1" 1 \
	dd if=/dev/zero of="$MQ/$d" bs=1K count=100 oflag=nonblock
like "$lib_out" "Resource temporarily unavailable" "its errno is EAGAIN"
like "$lib_out" "^64\+0 records out" "it wrote just what fits: 64 of 1 KiB into 64 KiB"
is "$(stat_of "$d" messages-in,rejected)" "64 0" "counted: 64 in"
mk_topic r --ring-bytes 64K --overflow reject --persistent
check_fails "dd into a topic that rejects: status 1" 1 \
	dd if=/dev/zero of="$MQ/$r" bs=1K count=100
like "$lib_out" "No buffer space available" "its errno is ENOBUFS"
is "$(stat_of "$r" messages-in,rejected)" "64 1" "counted: 64 in, 1 rejected"
mk_topic o --ring-bytes 64K --overflow drop-oldest --persistent
check "dd into a topic that drops: all are taken" dd if=/dev/zero of="$MQ/$o" bs=1K count=100
is "$(stat_of "$o" messages-in,dropped-held)" "100 36" "counted: 100 in, 36 dropped"
check_fails "dd bs=300K over the limit of a message: status 1" 1 \
	dd if=/dev/zero of="$MQ/$m" bs=2M count=1
like "$lib_out" "Message too long" "its errno is EMSGSIZE"

# tee
mk_topic t1 --framing line
mk_topic t2
check "tee to two topics and a file" sh -c 'tee "$1" "$2" <in >teed' - "$MQ/$t1" "$MQ/$t2"
check "the file has all" cmp in teed
check "the first topic has all" cmp in "$MQ/$t1+until=end"
check "the second topic has all" cmp in "$MQ/$t2+until=end"
is "$(stat_of "$t1" messages-in)" $lines "as lines in the first"

# grep, wc, sort, split, cp, cut, awk, sed, comm, sha256sum
is "$(limit 20 grep -c '7 of' "$MQ/$l+until=end")" 200 "grep -c"
is "$(limit 20 grep -m 1 '00999' "$MQ/$l")" "line 00999 of the file" "grep -m 1 ends at a match"
check_fails "grep finds nothing: status 1" 1 limit 20 grep -q nowhere "$MQ/$l+until=end"
is "$(limit 20 wc -l <"$MQ/$l+until=end")" $lines "wc -l"
is "$(limit 20 wc -c <"$MQ/$l+until=end")" "$(wc -c <in)" "wc -c"
is "$(limit 20 sort -r "$MQ/$l+until=end" | cksum)" "$(sort -r in | cksum)" "sort -r"
check "sort -o into a topic" sort -r -o "$MQ/$t2" in
is "$(limit 20 tail -n 1 "$MQ/$t2+until=end")" "$(sed 1q in)" "the smallest comes last"
check "split" split -l 600 "$MQ/$l+until=end" part.
is "$(cat part.* | cksum) $(echo part.*)" "$(cksum <in) part.aa part.ab part.ac part.ad" \
	"split made 4 parts that are the whole"
check "cp from a topic" cp "$MQ/$l+until=end" copied
check "the copy is equal" cmp copied in
mk_topic c --framing line
check "cp into a topic" cp in "$MQ/$c"
is "$(stat_of "$c" messages-in)" $lines "each line is a message"
check "the topic is equal" cmp in "$MQ/$c+until=end"
check "cmp of two topics" cmp "$MQ/$c+until=end" "$MQ/$l+until=end"
is "$(limit 20 sha256sum <"$MQ/$l+until=end")" "$(sha256sum <in)" "sha256sum"
is "$(limit 20 awk 'END { print NR, $2 }' "$MQ/$l+until=end")" "$lines 02000" "awk"
is "$(limit 20 sed -n '5p;5q' "$MQ/$l")" "line 00005 of the file" "sed quits"
is "$(limit 20 pv -q "$MQ/$l+until=end" | cksum)" "$(cksum <in)" "pv from a topic"
mk_topic v --framing line
check "pv into a topic" sh -c 'pv -q in >"$1"' - "$MQ/$v"
check "it has all" cmp "$MQ/$v+until=end" in

# stat, ls, test, sync, rm, mv, truncate, touch, find
is "$(stat -c %s "$MQ/$l")" "$(stat -c %s in)" "stat: the size is the end position"
is "$(stat -c %F "$MQ/$l")" "character special file" "stat: a character device"
check "test -c" test -c "$MQ/$l"
is "$(find "$MQ" -name "$l" -type c)" "$MQ/$l" "find"
check_fails "rm: not permitted" 1 rm -f "$MQ/$l"
check_fails "mv: not permitted" 1 mv "$MQ/$l" "$MQ/other"
check_fails "touch of an unknown name fails" 1 touch "$MQ/unknown"
check_fails "sync of a memory topic: EINVAL" 1 sync "$MQ/$l"
like "$lib_out" "Invalid argument" "its errno is EINVAL"

finish
