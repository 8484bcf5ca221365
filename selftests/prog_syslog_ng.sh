#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# syslog-ng reads a topic (program) and writes one (file), every line once, in order.
# TIMEOUT: 120
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

unpacked syslog-ng-core
root=$lib_unpacked
tmp
cd "$lib_tmp" || exit 1
seq -f 'line %05g of a service' 1 3000 >first
seq -f 'line %05g, written later' 1 2000 >later
cat first later >want

mk_topic app --framing line
mk_topic copy --framing line
cat >conf <<END
@version: 3.38
options { stats-freq(0); };
source app { program("cat $MQ/$app" flags(no-parse)); };
destination file { file("$lib_tmp/got" template("\$MSG\n")); };
destination topic { file("$MQ/$copy" template("\$MSG\n")); };
log { source(app); destination(file); destination(topic); };
END
cat first >"$MQ/$app"
background env LD_LIBRARY_PATH="$root/usr/lib/syslog-ng" "$root/usr/sbin/syslog-ng" -F --no-caps \
	-f conf -p pid -c ctl -R persist --module-path "$root/usr/lib/syslog-ng/3.38" >out 2>&1
pid=$!
has() { [ "$(wc -l <got)" -ge "$1" ] && [ "$(stat_of "$copy" messages-in)" -ge "$1" ]; }
check "program(): what was in the topic arrives" wait_for 60 has 3000
cat later >"$MQ/$app"
check "program(): what is written later arrives" wait_for 60 has 5000
kill "$pid"
wait "$pid"
is $? 0 "syslog-ng ended well"
gone() { [ "$(stat_of "$app" readers)" = 0 ]; }
check "and its cat with it" wait_for 20 gone
check "program(): each line once, in order" cmp got want
check "file(): the same in the other topic" cmp "$MQ/$copy+until=end" want
is "$(stat_of "$copy" messages-in)" 5000 "file(): each line is a message"
[ "$tap_failed" = 0 ] || note "$(cat out)"

finish
