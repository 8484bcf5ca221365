#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# logger(1) writes a topic as its stderr, and reads one as its stdin or file.
# NEEDS: logger socat
# TIMEOUT: 120
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1
seq -f 'line %04g of a script' 1 1000 >in

text() { mq_all "$1" | sed -E 's/^<13>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} app: //'; }

# Also with --no-act it wants the system's socket to be there.
if ! logger --no-act probe 2>/dev/null; then
	rm -f /dev/log
	background socat -u UNIX-RECV:/dev/log,unlink-close OPEN:/dev/null
	wait_for 20 test -S /dev/log
fi

mk_topic t --framing line
check "logger -s 2>topic" sh -c "logger --no-act -s -t app 'one message' 2>$MQ/$t"
like "$(mq_all "$t")" '^<13>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} app: one message$' "it is a line"
check "logger -s -f file 2>topic" sh -c "logger --no-act -s -t app -f in 2>$MQ/$t"
is "$(stat_of "$t" messages-in)" 1001 "each line is a message"
is "$(text "$t" | cksum)" "$({ echo "one message"; cat in; } | cksum)" "each once, in order"

mk_topic l --framing line
cat in >"$MQ/$l"
background socat -u UNIX-RECV:sock OPEN:received,creat,append
wait_for 20 test -S sock
check "logger reads a topic as its stdin" limit 60 \
	sh -c "logger -u sock -t app --rfc3164 <$MQ/$l+until=end"
check "logger -f topic" limit 60 logger -u sock -t app --rfc3164 -f "$MQ/$l+until=end"
all() { [ "$(grep -o ' of a script' received | wc -l)" = 2000 ]; }
check "both sent all to the socket" wait_for 30 all
is "$(grep -o 'line [0-9]* of a script' received | cksum)" "$(cat in in | cksum)" \
	"each line once, in order"

finish
