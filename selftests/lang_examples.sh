#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The examples of selftests/lang do, in each of seven languages, what they say.
# $MQ_LANGUAGES chooses among them.
# NEEDS: strace python3 node java nc
# TIMEOUT: 300
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

sources=$KSELFTEST_DIR/lang
built=$KSELFTEST_DIR/../build/lang
languages=${MQ_LANGUAGES-sh c python go rust java node}
trace=
tmp
cd "$lib_tmp" || exit 1

# example LANGUAGE ARGUMENT...: the process becomes the example
example() {
	language=$1
	shift
	case $language in
	sh)	set -- "$sources/example.sh" "$@" ;;
	python)	set -- python3 "$sources/example.py" "$@" ;;
	java)	set -- java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$built" Example "$@" ;;
	c)	set -- "$built/example" "$@" ;;
	node)	set -- node "$sources/example.js" "$@" ;;
	*)	set -- "$built/example-$language" "$@" ;;
	esac
	# Java takes arguments for text in the locale's encoding.
	# shellcheck disable=SC2086 # words
	LC_ALL=C.UTF-8 exec timeout -k 10 $((60 * ${MQ_PATIENCE:-1})) $trace "$@"
}

has_reader() { [ "$(stat_of "$1" readers)" = 1 ]; }
has_bytes() { [ "$(stat -c %s "$1")" -ge "$2" ]; }

# later SECONDS: the clock is set on
later() {
	date -s "@$(($(date +%s) + $1))" >date.out
	gained=$((gained + $1))
}

# Kafka's test vectors for murmur2; of four partitions they are in 0 and 1.
key0=21
key1=lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8
seq -f '%06g a line of some length to be shipped' 10000 >in
size=$(stat -c %s in)
seq 3 >rest
cat in rest >all
port=7300
gained=0

for l in $languages; do
	mk_topic p --partitions 4
	check "$l: produce" example "$l" produce "$p" $key1 trace=a=b "größe 1"
	check "$l: produce with an empty header" example "$l" produce "$p" $key0 empty= "a b"
	is "$(mqctl consume "$p" -j | sed -E 's/"(time|pid|crc)":[^,]*,//g')" \
"{\"topic\":\"$p\",\"partition\":0,\"offset\":0,\"position\":0,\"length\":4,\"epoch\":0,\"uid\":0,\
\"key-hash\":3321034988,\"flags\":[],\"key\":\"$key0\",\
\"headers\":[{\"name\":\"empty\",\"value\":\"\"}],\"payload\":\"a b\\n\"}
{\"topic\":\"$p\",\"partition\":1,\"offset\":0,\"position\":0,\"length\":10,\"epoch\":0,\"uid\":0,\
\"key-hash\":4236069325,\"flags\":[],\"key\":\"$key1\",\
\"headers\":[{\"name\":\"trace\",\"value\":\"a=b\"}],\"payload\":\"größe 1\\n\"}" \
		"$l: keys, headers, partitions and payloads are these"

	mk_topic f
	echo "an old one" >"$MQ/$f"
	background example "$l" follow "$f" >followed
	follower=$!
	check "$l: follow reads" wait_for 30 has_reader "$f"
	echo "first" >"$MQ/$f"
	check "$l: follow gets a message at once" wait_for 10 has_bytes followed 6
	echo "second" >"$MQ/$f"
	check "$l: follow gets another" wait_for 10 has_bytes followed 13
	kill $follower
	wait $follower 2>/dev/null
	is "$(cat followed)" "first
second" "$l: follow shows just what came later"

	later 70
	echo "seventy seconds later" >"$MQ/$f"
	later 20
	echo "ninety seconds later" >"$MQ/$f"
	is "$(example "$l" replay "$f")" "seventy seconds later
ninety seconds later" "$l: replay shows the last minute"

	mk_topic s --framing line
	cat in >"$MQ/$s"
	receive $port
	trace="strace -f -qq --seccomp-bpf -e trace=sendfile -o trace"
	check "$l: ship up to the end" example "$l" ship "$s+until=end" 127.0.0.1 $port
	trace=
	received "$l: ship" in
	sent=$(awk '/sendfile.*= [0-9]+$/ { sum += $NF } END { print sum + 0 }' trace)
	case $l in
	sh|node)
		is "$sent" 0 "$l: has no sendfile" ;;
	*)
		is "$sent" "$size" "$l: every byte went by sendfile" ;;
	esac
	port=$((port + 1))

	receive $port
	background example "$l" ship "$s" 127.0.0.1 $port 2>ship.err
	shipper=$!
	check "$l: ship without an end sends all" wait_for 30 has_bytes received "$size"
	cat rest >"$MQ/$s"
	check "$l: and what comes later" wait_for 10 has_bytes received $((size + 6))
	check "$l: the topic is deleted" mqctl topic del "$s"
	wait $shipper
	status=$?
	case $l in
	sh)
		is $status 0 "$l: ship ended; nc takes that for the end" ;;
	*)
		is $status 1 "$l: ship failed"
		like "$(cat ship.err)" '[Nn]o such device' "$l: it says why" ;;
	esac
	received "$l: ship without an end" all
	port=$((port + 1))
done

later -$gained

finish
