#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What the shell tests share. A test is
#
#	. "$(dirname "$0")/lib.sh"
#	plan 2
#	mk_topic t --ring-bytes 64K
#	check "a write is read back" test "$(echo a >"$MQ/$t" && mq_all "$t")" = a
#	is "$(mqctl topic list | wc -l)" 1 "one topic is listed"
#
# Every check is one TAP test point and goes on when it fails; the script's
# status says whether one did. Topics, processes and files go away at the end.

export LC_ALL=C
MQ=/dev/mq

tap_n=0
tap_plan=
tap_failed=0
lib_topics=
lib_pids=
lib_tmp=

# plan N: first, if the number of test points is known; finish prints it otherwise.
plan() {
	tap_plan=$1
	echo "TAP version 13"
	echo "1..$1"
}

ok() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n $*"
}

not_ok() {
	tap_n=$((tap_n + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_n $*"
}

# skip WHY NAME: this test point does not apply here.
skip() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n # SKIP $2: $1"
}

# skip_all WHY: nothing of this script applies here.
skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

note() {
	echo "$*" | sed 's/^/# /'
}

# check NAME COMMAND...: the command succeeds. Its output is shown if not.
check() {
	lib_name=$1
	shift
	if lib_out=$("$@" 2>&1); then
		ok "$lib_name"
	else
		lib_status=$?
		not_ok "$lib_name"
		note "failed with status $lib_status: $*"
		[ -z "$lib_out" ] || note "$lib_out"
	fi
}

# check_fails NAME STATUS COMMAND...: it fails with that status.
check_fails() {
	lib_name=$1
	lib_want=$2
	shift 2
	lib_out=$("$@" 2>&1)
	lib_status=$?
	if [ "$lib_status" = "$lib_want" ]; then
		ok "$lib_name"
	else
		not_ok "$lib_name"
		note "status $lib_status, expected $lib_want: $*"
		[ -z "$lib_out" ] || note "$lib_out"
	fi
}

# is GOT WANT NAME: two texts are equal.
is() {
	if [ "$1" = "$2" ]; then
		ok "$3"
	else
		not_ok "$3"
		note "found:"
		note "$1"
		note "expected:"
		note "$2"
	fi
}

# like TEXT PATTERN NAME: the text has a line that matches (grep -E).
like() {
	if printf '%s\n' "$1" | grep -Eq -- "$2"; then
		ok "$3"
	else
		not_ok "$3"
		note "no match for '$2' in:"
		note "$1"
	fi
}

# wait_for SECONDS COMMAND...: until it succeeds; false if it does not in time
# (times $MQ_PATIENCE on a busy machine).
wait_for() {
	lib_end=$(($(date +%s) + $1 * ${MQ_PATIENCE:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$(date +%s)" -gt "$lib_end" ]; then
			note "in vain waited for: $*"
			return 1
		fi
		sleep 0.05
	done
}

# mk_topic VAR [OPTION...]: creates a topic with a name of its own, puts it in
# $VAR. Without it the script ends.
mk_topic() {
	lib_var=$1
	shift
	lib_count=$((${lib_count:-0} + 1))
	lib_new=s$$-$lib_count
	if ! lib_out=$(mqctl topic add "$lib_new" "$@" 2>&1); then
		note "mqctl topic add $lib_new $*: $lib_out"
		echo "Bail out! cannot create a topic"
		exit 1
	fi
	lib_topics="$lib_topics $lib_new"
	eval "$lib_var=\$lib_new"
}

# note_topic NAME: the test made it itself, to be deleted at the end.
note_topic() {
	lib_topics="$lib_topics $1"
}

# background COMMAND...: runs it, $! is its id; killed at the end if it still runs.
background() {
	"$@" &
	lib_pids="$lib_pids $!"
}

# limit SECONDS COMMAND...: status 124 when it takes longer (times $MQ_PATIENCE).
limit() {
	lib_limit=$(($1 * ${MQ_PATIENCE:-1}))
	shift
	timeout -k 10 "$lib_limit" "$@"
}

# mq_all TOPIC[OPTIONS]: everything in it, now.
mq_all() {
	limit 60 cat "$MQ/$1+until=end"
}

# stat_of TOPIC COLUMN,...: its counters, as plain numbers.
stat_of() { mqctl stat "$1" --raw --noheadings --numeric --columns "$2"; }

# id_of TOPIC: its id.
id_of() { mqctl topic show "$1" --raw --noheadings -o id | awk '{ print $NF }'; }

# listens PORT: somebody accepts TCP connections there.
listens() { ss -Hltn "sport = :$1" | grep -q .; }

# receive PORT: a TCP receiver, $sink, into file "received" in the current folder.
receive() {
	rm -f received
	background "$KSELFTEST_DIR/../build/selftests/helpers/sink" -o received "$1" >sink.out
	sink=$!
	wait_for 10 listens "$1" || note "nobody listens on port $1"
}

# received NAME FILE: the receiver ends, and has what FILE has.
received() {
	wait "$sink"
	is $? 0 "$1: the receiver ended"
	check "$1: it has every byte" cmp received "$2"
}

# unpacked PACKAGE: puts the folder where tools/deps unpacked it in $lib_unpacked.
unpacked() {
	lib_unpacked=$KSELFTEST_DIR/../build/deb/$1
	[ -d "$lib_unpacked" ] || skip_all "no $lib_unpacked: run tools/deps"
}

# few_modules: /lib/modules of this kernel without its modules, for those that a test
# installs; depmod of all of them takes minutes on an emulated CPU. Undone by umount.
few_modules() {
	lib_modules=/lib/modules/$(uname -r)
	lib_few=$(mktemp -d)
	cp -a "$lib_modules"/build "$lib_modules"/source "$lib_modules"/modules.builtin* \
		"$lib_modules"/modules.order "$lib_modules"/modules.dep "$lib_few" 2>/dev/null
	mount --bind "$lib_few" "$lib_modules"
}

# tmp: a folder of this script's own, in $lib_tmp.
tmp() {
	[ -n "$lib_tmp" ] || lib_tmp=$(mktemp -d /tmp/mqtest.XXXXXX)
}

# service_manager: systemd for the units in $lib_tmp/units, as a user has one, until the
# end; "systemctl --user" is for it. It wants a system that systemd has booted.
service_manager() {
	tmp
	mkdir -p /run/systemd/system "$lib_tmp/units"
	mkdir -m 700 "$lib_tmp/run"
	export XDG_RUNTIME_DIR="$lib_tmp/run" SYSTEMD_UNIT_PATH="$lib_tmp/units:"
	SYSTEMD_LOG_TARGET=console background /lib/systemd/systemd --user >"$lib_tmp/systemd.log" 2>&1
	wait_for 60 systemctl --user show-environment ||
		note "no service manager: $(cat "$lib_tmp/systemd.log")"
}

lib_cleanup() {
	for lib_pid in $lib_pids; do
		kill -9 "$lib_pid" 2>/dev/null
		wait "$lib_pid" 2>/dev/null
	done
	for lib_topic in $lib_topics; do
		[ ! -e "$MQ/$lib_topic" ] || mqctl topic del "$lib_topic"
	done
	[ -z "$lib_tmp" ] || rm -rf "$lib_tmp"
}

# finish: last line of a test.
finish() {
	if [ -z "$tap_plan" ]; then
		echo "1..$tap_n"
	elif [ "$tap_plan" != "$tap_n" ]; then
		note "planned $tap_plan test points, ran $tap_n"
		exit 1
	fi
	[ "$tap_failed" = 0 ]
	exit
}

trap lib_cleanup EXIT
trap 'exit 1' HUP INT TERM

[ -d "$MQ" ] || skip_all "no $MQ: run it in the VM"
