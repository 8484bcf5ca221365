#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Who waits in a topic does not keep the machine from sleeping: all processes are frozen,
# as for a suspend, and go on where they were.
# KERNEL: suspend
# TIMEOUT: 180
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

# This far goes the kernel: it freezes all processes, waits a moment, and thaws them.
if ! echo freezer >/sys/power/pm_test || ! grep -qw freeze /sys/power/state; then
	skip_all "this kernel cannot rehearse a suspend"
fi

mk_topic keep --persistent --ring-bytes 4K
mk_topic full --persistent --ring-bytes 4K --overflow block
mk_topic empty
mk_topic late --persistent --sync-timeout 20s
waits() { [ "$(stat_of "$1" writers-waiting,sync-waiting,readers)" = "$2" ]; }

dd if=/dev/zero of="$MQ/$full" bs=1K count=4 2>/dev/null
background dd if=/dev/zero of="$MQ/$keep" bs=100 count=1 oflag=dsync 2>/dev/null
# Before there is a message fsync has nothing to wait for.
wait_for 20 waits "$keep" "0 1 0"
background sync "$MQ/$keep"
background dd if=/dev/zero of="$MQ/$full" bs=100 count=1 2>/dev/null
background cat "$MQ/$empty" >/dev/null
check "a durable writer and fsync wait" wait_for 20 waits "$keep" "0 2 1"
check "a writer without room waits" wait_for 20 waits "$full" "1 0 0"
check "a reader waits" wait_for 20 waits "$empty" "0 0 1"
dd if=/dev/zero of="$MQ/$late" bs=100 count=1 oflag=dsync 2>/dev/null &
late_pid=$!
check "another durable writer waits, not for ever" wait_for 20 waits "$late" "0 1 0"
check "all processes can be frozen" sh -c 'echo freeze >/sys/power/state'
is "$(stat_of "$keep" sync-waiting) $(stat_of "$full" writers-waiting) $(stat_of "$empty" readers)" \
	"2 1 1" "they wait again when they go on"
wait $late_pid
is $? 1 "the timeout comes all the same"
echo none >/sys/power/pm_test

finish
