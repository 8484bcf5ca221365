#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A topic's descriptor as a capability: producers in sandboxes, which have no other.
# The example of selftests/lang/sandbox.c (seccomp; inherited, SCM_RIGHTS), and bubblewrap.
# NEEDS: bwrap

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

sandbox=$KSELFTEST_DIR/../build/lang/sandbox
[ -x "$sandbox" ] || skip_all "no $sandbox: run make"
tmp

t='' other=''
mk_topic t --framing line
mk_topic other --framing line

check "a descriptor sent over a socket: the producer writes to its topic" \
	"$sandbox" "$MQ/$t" <<<$'sent 1\nsent 2'
check "an inherited one, in seccomp's strict mode" "$sandbox" -i "$MQ/$t" <<<'inherited'
is "$(cat "$MQ/$t+until=end")" $'sent 1\nsent 2\ninherited' "what they wrote is there"
check_fails "it cannot open another topic" 1 "$sandbox" -x "$MQ/$other" "$MQ/$t" <<<'evil'
check_fails "nor its own, for reading" 1 "$sandbox" -i -x "$MQ/$t" "$MQ/$t" <<<'evil'
is "$(cat "$MQ/$t+until=end" "$MQ/$other+until=end")" $'sent 1\nsent 2\ninherited' \
	"and it died before it wrote"

# bubblewrap without /dev/mq, as nobody, the descriptor as 1 and as 3.
jail() {
	bwrap --ro-bind / / --dev /dev --tmpfs /tmp --unshare-user --uid 65534 --unshare-pid \
		--die-with-parent "$@"
}
jail true 2>"$lib_tmp/err" || note "$(cat "$lib_tmp/err")"
jail sh -c 'echo out; echo third >&3' >"$MQ/$t" 3>"$MQ/$other"
is "$?" 0 "bubblewrap: writes to two topics that it was given"
is "$(tail -n 1 "$MQ/$t+until=end") $(cat "$MQ/$other+until=end")" "out third" "each where it belongs"
check_fails "G.35: there is no /dev/mq in it" 1 jail test -e "$MQ"
check_fails "G.35: nor any by its path" 1 jail cat "$MQ/$t"
jail sh -c '! cat <&1' >"$MQ/$t" 2>"$lib_tmp/err"
is "$?" 0 "a descriptor for writing is not one for reading"
is "$(tail -n 1 "$MQ/$t+until=end")" out "and nothing came of trying"
finish
