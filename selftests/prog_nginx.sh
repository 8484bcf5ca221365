#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# nginx's access_log is a topic: as many lines as requests, whole, in order of each client.
# NEEDS: curl
# TIMEOUT: 120
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

unpacked nginx
nginx=$lib_unpacked/usr/sbin/nginx
tmp
chmod 755 "$lib_tmp"
cd "$lib_tmp" || exit 1

mk_topic direct --framing line
mk_topic buffered --framing line
cat >conf <<END
daemon off;
user www-data;
worker_processes 2;
pid $lib_tmp/pid;
events { }
http {
	log_format mq '\$request_uri \$status';
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {
		listen 127.0.0.1:7301;
		access_log $MQ/$direct mq;
		return 200;
	}
	server {
		listen 127.0.0.1:7302;
		access_log $MQ/$buffered mq buffer=4k flush=1s;
		return 404;
	}
}
END
background "$nginx" -p "$lib_tmp" -c "$lib_tmp/conf" -e stderr 2>err
nginx_pid=$!
check "nginx opens topics as its logs" wait_for 20 listens 7302

# requests PORT NAME N: N requests on one connection
requests() { curl -sS "http://127.0.0.1:$1/$2/[1-$3]" >/dev/null; }

# clients PORT TOPIC STATUS NAME: 3 clients at once, 150 requests each
clients() {
	local pids=() failed=0 client pid had
	had=$(stat_of "$2" messages-in)
	for client in a b c; do
		requests "$1" "$4$client" 150 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=$((failed + 1))
	done
	is $failed 0 "$4: all clients were served"
	logged() { [ "$(stat_of "$direct" messages-in)" -ge "$1" ]; }
	[ "$2" = "$direct" ] || logged() { [ "$(stat_of "$buffered" messages-in)" -ge "$1" ]; }
	check "$4: all requests are logged" wait_for 20 logged $((had + 450))
	is "$(mq_all "$2+from=$had" | awk -F'[/ ]' -v status="$3" '
		NF != 4 || $4 != status || $3 != ++n[$2] { print "line", NR, $0 }
		END { for (name in n) print name, n[name] }' | sort)" \
		"$(printf "$4%s 150\n" a b c)" "$4: each once, whole, in order of each client"
}

clients 7301 "$direct" 200 direct-
clients 7302 "$buffered" 404 buffered-

# Log rotation: everybody opens the logs anew, while requests come in.
requests 7301 rotated 300 &
client=$!
for _ in 1 2 3; do
	sleep 0.2
	kill -USR1 "$nginx_pid"
done
wait $client
is $? 0 "USR1 while requests come in"
logged() { [ "$(stat_of "$direct" messages-in)" -ge 750 ]; }
check "all are logged" wait_for 20 logged
is "$(mq_all "$direct+from=450")" "$(seq -f '/rotated/%g 200' 300)" "each once, in order"
# As with a file, so that its workers may open it.
opened() { [ "$(stat -c %U "$MQ/$direct")" = www-data ]; }
check "nginx gave the log to its user, as it does with files" wait_for 20 opened

kill -QUIT "$nginx_pid"
wait "$nginx_pid"
is $? 0 "nginx ended well"
is "$(stat_of "$direct" messages-in) $(stat_of "$buffered" messages-in)" "750 450" \
	"as many messages as requests"
is "$(cat err)" "" "it had nothing to complain of"

finish
