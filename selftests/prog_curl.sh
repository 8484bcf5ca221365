#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# curl uploads a topic to a web server (nginx), and downloads into one.
# NEEDS: curl
# TIMEOUT: 120
# shellcheck disable=SC2154,SC2016,SC2317 # mk_topic sets; other shells expand; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

unpacked nginx
nginx=$lib_unpacked/usr/sbin/nginx
tmp
cd "$lib_tmp" || exit 1
mkdir www
export URL=http://127.0.0.1:7311

cat >conf <<END
daemon off;
user root;
pid $lib_tmp/pid;
events { }
http {
	access_log off;
	client_max_body_size 0;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {
		listen 127.0.0.1:7311;
		root $lib_tmp/www;
		dav_methods PUT;
	}
}
END
background "$nginx" -p "$lib_tmp" -c "$lib_tmp/conf" -e stderr 2>err
nginx_pid=$!
wait_for 20 listens 7311 || note "nginx does not listen: $(cat err)"

mk_topic t --framing line
awk 'BEGIN { for (i = 1; i <= 20000; i++) print i, "some text to be uploaded" }' >in
cat in >"$MQ/$t"
export T="$MQ/$t"

check "cat | curl -T -" limit 60 sh -c 'cat $T+until=end | curl -sSf -T - $URL/piped'
check "the server has every byte" cmp www/piped in
check "curl -T - <topic" limit 60 sh -c 'curl -sSf -T - $URL/stdin <$T+until=end'
check "the server has every byte" cmp www/stdin in
check "curl -T topic" limit 60 curl -sSf -T "$T+until=end" "$URL/named"
check "the server has every byte" cmp www/named in
check "curl --data-binary @topic, to a file" limit 60 curl -sSf -X PUT \
	--data-binary "@$T+from=19990+until=end" "$URL/posted"
is "$(cat www/posted)" "$(tail -n 10 in)" "the server has the last 10 lines"

# It follows a topic that grows, until that is deleted.
mk_topic f --framing line
limit 60 curl -sSf -T - "$URL/followed" <"$MQ/$f" 2>curl.err &
curl=$!
cat in >"$MQ/$f"
read_all() { [ "$(stat_of "$f" bytes-out)" = "$(stat -c %s in)" ]; }
check "curl -T - follows a topic" wait_for 30 read_all
check "delete it" mqctl topic del "$f"
wait $curl
is "$? $(cat curl.err)" "0 " "curl ends with it, well"
check "the server has every byte" cmp www/followed in

mk_topic d --framing line
cp in www/in
check "curl -o topic" limit 60 curl -sSf -o "$MQ/$d" "$URL/in"
check "the topic has every byte" cmp "$MQ/$d+until=end" in
is "$(stat_of "$d" messages-in)" 20000 "each line is a message"

kill -QUIT "$nginx_pid"
wait "$nginx_pid"
is $? 0 "nginx ended well"

finish
