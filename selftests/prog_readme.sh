#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Each command that the README shows does what it says there, and prints just that. A
# block "console NAME" needs a program that is started for it, with the README's
# configuration; "# COMMAND" goes on while the rest runs.
# NEEDS: curl bwrap socat pv logger fio strace python3 node java systemctl
# TIMEOUT: 400
# shellcheck disable=SC2016,SC2094,SC2317 # Markdown and sed; the first is a name; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

readme=$KSELFTEST_DIR/../README.md
cd "$KSELFTEST_DIR/.." || exit 1
unpacked nginx
nginx=$lib_unpacked/usr/sbin/nginx
unpacked syslog-ng-core
syslog_ng=$lib_unpacked
unpacked rsyslog-improg
export RSYSLOG_MODDIR="$lib_unpacked"
unpacked rsyslog
RSYSLOG_MODDIR="$lib_unpacked/usr/lib/x86_64-linux-gnu/rsyslog:$RSYSLOG_MODDIR"
rsyslogd=$lib_unpacked/usr/sbin/rsyslogd
tmp
chmod 755 "$lib_tmp"
for name in orders app web errors blocks; do
	note_topic $name
done
rm -rf /etc/mq /var/log/mq /var/log/central.log /var/log/prog.log /var/log/web.log

# block FILE: what the README says should stand in that file
block() {
	awk -v want="$1" '/^```/ { if (on) exit; on = $2 == want; next } on' "$readme"
}

lines() { [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }

# ready COMMAND: one that goes on does what the next commands need of it
ready() {
	case $1 in
	*receive*)
		wait_for 20 listens 7000 ;;
	sleep*)
		wait_for 20 sh -c "mqctl readers app | grep -q sleep" ;;
	socat*)
		wait_for 20 lines /var/log/central.log "$(mq_all web | wc -l)" ;;
	esac || note "no sign of: $1"
}

# start PROGRAM: as the README configures it
start() {
	case $1 in
	curl)
		mkdir -m 777 "$lib_tmp/www"
		mkdir -p /etc/nginx/conf.d
		block /etc/nginx/conf.d/mq.conf >/etc/nginx/conf.d/mq.conf
		cat >"$lib_tmp/nginx.conf" <<-END
			daemon off;
			user www-data;
			pid $lib_tmp/nginx.pid;
			events { }
			http {
				client_body_temp_path body;
				proxy_temp_path proxy;
				fastcgi_temp_path fastcgi;
				uwsgi_temp_path uwsgi;
				scgi_temp_path scgi;
				include /etc/nginx/conf.d/*.conf;
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
		background "$nginx" -p "$lib_tmp" -c "$lib_tmp/nginx.conf" -e stderr 2>"$lib_tmp/log"
		wait_for 20 listens 8081 ;;
	rsyslog|rsyslog-in)
		{
			echo 'module(load="imuxsock" sysSock.use="off")'
			echo 'input(type="imuxsock" socket="/run/app.sock" createPath="on")'
			block /etc/rsyslog.d/mq.conf
			block /etc/rsyslog.d/mq-prog.conf
			block /etc/rsyslog.d/mq-in.conf
		} >"$lib_tmp/rsyslog.conf"
		[ -S /run/central.sock ] ||
			background "$rsyslogd" -n -f "$lib_tmp/rsyslog.conf" \
				-i "$lib_tmp/rsyslog.pid" >"$lib_tmp/log" 2>&1
		# improg starts its program when it likes.
		wait_for 20 test -S /run/central.sock && wait_for 40 lines /var/log/prog.log \
			"$(mq_all web | wc -l)" ;;
	syslog-ng)
		{
			echo "@version: 3.38"
			block /etc/syslog-ng/conf.d/mq.conf
		} >"$lib_tmp/syslog-ng.conf"
		background env LD_LIBRARY_PATH="$syslog_ng/usr/lib/syslog-ng" \
			"$syslog_ng/usr/sbin/syslog-ng" -F --no-caps -f "$lib_tmp/syslog-ng.conf" \
			-p "$lib_tmp/ng.pid" -c "$lib_tmp/ng.ctl" -R "$lib_tmp/ng.persist" \
			--module-path "$syslog_ng/usr/lib/syslog-ng/3.38" >"$lib_tmp/log" 2>&1
		wait_for 60 lines /var/log/web.log "$(mq_all web | wc -l)" ;;
	systemd)
		mkdir "$lib_tmp/units"
		block app.service >"$lib_tmp/units/app.service"
		service_manager
		systemctl() { command systemctl --user "$@"; } ;;
	esac || note "$1 does not start: $(cat "$lib_tmp/log")"
}

# logger without a log daemon wants the daemon's socket to be there all the same.
if ! logger --no-act probe 2>/dev/null; then
	rm -f /dev/log
	background socat -u UNIX-RECV:/dev/log,unlink-close OPEN:/dev/null
	wait_for 20 test -S /dev/log
fi
rm -f /run/app.sock /run/central.sock
mkdir /etc/mq
block /etc/mq/app.conf >/etc/mq/app.conf

# One block after the other; a command that goes on splits its block.
mkdir "$lib_tmp/blocks"
awk -v dir="$lib_tmp/blocks" '
	function open() { file = sprintf("%s/%03d", dir, ++n) }
	/^```/ { if (!file && $1 == "```console") { open(); print "start", $2 >file } else file = ""; next }
	file && /^# / { open(); print >file; open(); next }
	file { print >file }' "$readme"
for part in "$lib_tmp"/blocks/*; do
	read -r word rest <"$part"
	case $word in
	'#')
		background sh -c "exec $rest" >/dev/null 2>&1
		ready "$rest" ;;
	start)
		start "$rest"
		sed 1d "$part" >"$lib_tmp/block"
		transcript <"$lib_tmp/block" ;;
	*)
		transcript <"$part" ;;
	esac
done
is "$tap_n" "$(grep -c '^\$ ' "$readme")" "each command of the README was run"

# The fragments in its table of languages are the examples'.
sed -n 's/^| .*(\(selftests\/lang\/[^)]*\)) | `\(.*\)` |$/\1 \2/p' "$readme" >"$lib_tmp/fragments"
while read -r file fragment; do
	check "$file has what the README shows of it" grep -qF -- "$fragment" "$file"
done <"$lib_tmp/fragments"
is "$(wc -l <"$lib_tmp/fragments")" 7 "the README shows seven languages"

# What it links to is there.
links=$(grep -oE '\]\([^)#:]+\)' "$readme" | sed 's/^](//; s/)$//' | sort -u)
for link in $links; do
	check "$link exists" test -e "$link"
done

finish
