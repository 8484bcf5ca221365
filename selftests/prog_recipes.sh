#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What the README recommends for logs, command by command: shipping, fan-out, replay,
# a producer in a sandbox.
# NEEDS: curl bwrap socat pv logger
# TIMEOUT: 180
# shellcheck disable=SC2016,SC2317 # the commands' own; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

unpacked nginx
PATH=$lib_unpacked/usr/sbin:$PATH
unpacked rsyslog
PATH=$lib_unpacked/usr/sbin:$PATH
export RSYSLOG_MODDIR="$lib_unpacked/usr/lib/x86_64-linux-gnu/rsyslog"
tmp
cd "$lib_tmp" || exit 1
for name in app web audit; do
	note_topic $name
done

# --- rsyslog into a topic ---------------------------------------------------------
cat >rsyslog.conf <<'END'
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="/run/app.sock" createPath="on")
template(name="line" type="string" string="%syslogtag% %msg:2:$%\n")
action(type="omfile" file="/dev/mq/app" template="line")
END
mqctl topic add app --framing line --ring-bytes 4M
# A socket that another test left is no daemon yet.
rm -f /run/app.sock /run/central.sock
background rsyslogd -n -f rsyslog.conf -i "$lib_tmp/rsyslog.pid" >rsyslog.out 2>&1
wait_for 20 test -S /run/app.sock || note "$(cat rsyslog.out)"

transcript <<'END'
$ logger -u /run/app.sock -t billing "invoice 1 sent"
$ logger -u /run/app.sock -t billing "invoice 2 failed"
$ logger -u /run/app.sock -t shop "cart 7 paid"
$ head -n 3 /dev/mq/app
billing: invoice 1 sent
billing: invoice 2 failed
shop: cart 7 paid
END

# Fan-out: each reader has a position of its own.
transcript <<'END'
$ grep -m 1 failed /dev/mq/app
billing: invoice 2 failed
$ awk '{ n[$1]++ } END { for (t in n) print t, n[t] }' /dev/mq/app+until=end | sort
billing: 2
shop: 1
$ tee /tmp/app.log < /dev/mq/app+until=end | wc -l
3
END

# Replay: from an offset, by time, into a file or another topic.
transcript <<'END'
$ cat /dev/mq/app+from=2+until=end
shop: cart 7 paid
$ cat /dev/mq/app+since=1h+until=end | wc -l
3
$ mqctl topic add audit --framing line
$ grep billing /dev/mq/app+until=end > /dev/mq/audit
$ cmp /dev/mq/app+until=end /tmp/app.log
$ pv -q -L 10k /dev/mq/audit+until=end | tail -n 1
billing: invoice 2 failed
END

# --- out of a topic into rsyslog and syslog-ng ---------------------------------------
cat >central.conf <<'END'
module(load="imptcp")
input(type="imptcp" path="/run/central.sock")
template(name="raw" type="string" string="%rawmsg%\n")
action(type="omfile" file="/var/log/central.log" template="raw")
END
rm -f /var/log/central.log /var/log/app.log
background rsyslogd -n -f central.conf -i "$lib_tmp/central.pid" >central.out 2>&1
wait_for 20 test -S /run/central.sock || note "$(cat central.out)"
transcript <<'END'
$ socat -u OPEN:/dev/mq/app+until=end,rdonly UNIX-CONNECT:/run/central.sock
END
arrived() { cmp -s "$1" /tmp/app.log; }
check "rsyslog has it" wait_for 20 arrived /var/log/central.log

unpacked syslog-ng-core
cat >syslog-ng.conf <<'END'
@version: 3.38
source app { program("cat /dev/mq/app" flags(no-parse)); };
destination file { file("/var/log/app.log" template("$MSG\n")); };
log { source(app); destination(file); };
END
background env LD_LIBRARY_PATH="$lib_unpacked/usr/lib/syslog-ng" "$lib_unpacked/usr/sbin/syslog-ng" \
	-F -f syslog-ng.conf -p ng.pid -c ng.ctl -R ng.persist \
	--module-path "$lib_unpacked/usr/lib/syslog-ng/3.38" >ng.out 2>&1
check "syslog-ng has it" wait_for 30 arrived /var/log/app.log

# --- nginx ------------------------------------------------------------------------
cat >nginx.conf <<END
daemon off;
user www-data;
pid $lib_tmp/nginx.pid;
events { }
http {
	log_format short '\$request_uri \$status';
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	access_log /dev/mq/web short;
	server {
		listen 127.0.0.1:8080;
		return 204;
	}
	server {
		listen 127.0.0.1:8081;
		access_log off;
		root $lib_tmp/www;
		dav_methods PUT;
	}
}
END
chmod 755 .
mkdir -m 777 www
mqctl topic add web --framing line
background nginx -p "$lib_tmp" -c "$lib_tmp/nginx.conf" -e stderr 2>nginx.err
wait_for 20 listens 8081 || note "$(cat nginx.err)"
transcript <<'END'
$ curl -s http://127.0.0.1:8080/item/[1-3]
$ tail -n 2 /dev/mq/web+until=end
/item/2 204
/item/3 204
$ mqctl stat web --columns name,messages-in
name messages-in
web            3
$ cat /dev/mq/app+until=end | curl -sSf -T - http://127.0.0.1:8081/app.log
$ curl -s http://127.0.0.1:8081/app.log | cmp - /tmp/app.log
$ curl -sSf -T /dev/mq/web+until=end http://127.0.0.1:8081/web.log
$ curl -s http://127.0.0.1:8081/web.log | wc -l
3
END

# --- logger without a log daemon --------------------------------------------------
if ! logger --no-act probe 2>/dev/null; then	# it wants the socket to be there
	rm -f /dev/log
	background socat -u UNIX-RECV:/dev/log,unlink-close OPEN:/dev/null
	wait_for 20 test -S /dev/log
fi
transcript <<'END'
$ logger --no-act -s -t backup "done, 12 files" 2> /dev/mq/audit
$ grep -o 'backup: .*' /dev/mq/audit+until=end
backup: done, 12 files
END

# --- a producer that has nothing but its stdout -----------------------------------
transcript <<'END'
$ bwrap --unshare-all --ro-bind / / --dev /dev --proc /proc sh -c 'test ! -e /dev/mq && echo "from within"' > /dev/mq/app
$ bwrap --unshare-all --ro-bind / / --dev /dev --proc /proc sh -c 'cat <&1' > /dev/mq/app
cat: -: Bad file descriptor
=> 1
$ tail -n 1 /dev/mq/app+until=end
from within
END
rm -f /tmp/app.log

finish
