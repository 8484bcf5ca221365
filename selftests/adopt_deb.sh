#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The Debian packages in a machine that systemd boots: installed, topics there
# before the services that log to them, DeviceAllow=, upgraded under an open
# file, removed, purged; nothing is left.
# NEEDS: dpkg systemctl unshare nsenter udevadm
# TIMEOUT: 400
# shellcheck disable=SC2317 # called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

top=$(cd "$KSELFTEST_DIR/.." && pwd)
kernel=$(uname -r)
module=$top/build/$kernel/mq.ko
version=$(sed -n 's/^mq-version := //p' "$top/Kbuild")
packages=$top/build/package
name=mq-module-$(echo "$kernel" | tr _ -)
tools_deb=$(echo "$packages"/mq-tools_"$version"_*.deb)
module_deb=$(echo "$packages/${name}_$version"_*.deb)
[ -r "$tools_deb" ] || skip_all "no packages in $packages: run make deb"
[ -r "$module_deb" ] || skip_all "no packages in $packages: run make deb"
[ -z "$(ls "$MQ")" ] || skip_all "topics of others are there"
# Not /tmp, which systemd empties as it boots.
lib_tmp=$(mktemp -d /var/mqtest.XXXXXX)
cgroup=/sys/fs/cgroup/adopt
export TMPDIR=$lib_tmp
few_modules
machine=''

restore() {
	status=$?
	if [ "$machine" ]; then
		echo 1 >"$cgroup/cgroup.kill"
		wait "$machine" 2>/dev/null
	fi
	grep -qw mq /proc/filesystems && [ -r /sys/module/mq/version ] && {
		for topic in $(mqctl topic list --noheadings -o name); do
			mqctl topic del "$topic"
		done
		umount "$MQ" 2>/dev/null
		rmmod mq
	}
	insmod "$module"
	mkdir -p "$MQ"
	mount -t mq mq "$MQ"
	umount /var/lib/dpkg "/lib/modules/$kernel" 2>/dev/null
	rm -rf /etc/mq /etc/systemd/system/adopt*
	lib_cleanup
	exit "$status"
}
trap restore EXIT

umount "$MQ"
rmdir "$MQ"
check "no module is loaded to begin with" rmmod mq

# dpkg with a small data base: the host's has too many files for an emulated CPU.
mkdir -p "$lib_tmp/dpkg/info" "$lib_tmp/dpkg/updates" "$lib_tmp/dpkg/triggers"
# shellcheck disable=SC2046 # words
dpkg-query -s $(dpkg-deb -f "$tools_deb" Depends | tr ',' '\n' | awk '{ print $1 }') kmod \
	>"$lib_tmp/dpkg/status"
mount --bind "$lib_tmp/dpkg" /var/lib/dpkg

# What the packages have, but for what every package has.
listed() { "$top/tools/packaging/install" -l -p /usr -k "$kernel" module tools | sort; }
is "$(for deb in "$tools_deb" "$module_deb"; do dpkg-deb -c "$deb"; done |
	awk '$1 ~ /^-/ { sub(/^\./, "", $6); sub(/(man.*)\.gz$/, "&", $6); print $6 }' |
	sed 's,\(/man/.*\)\.gz$,\1,' | grep -v ^/usr/share/doc/ | sort)" "$(listed)" \
	"the packages have what make install installs"
check "dpkg installs them" dpkg -i "$module_deb" "$tools_deb"

cat >/etc/mq/app.conf <<'END'
[topic app]
framing = line
mode = 0660
gid = nogroup
END
unit() {	# NAME, its text from stdin
	cat >"/etc/systemd/system/adopt$1"
}
unit .target <<'END'
[Unit]
Requires=sysinit.target
After=sysinit.target
Wants=adopt-app.service
END
# Early, as a logger of the boot would be.
unit -app.service <<'END'
[Unit]
DefaultDependencies=no
After=sysinit.target
[Service]
ExecStart=/bin/sh -c 'echo hello; exec sleep infinity'
StandardOutput=append:/dev/mq/app
END
unit -closed.service <<'END'
[Service]
Type=oneshot
DevicePolicy=closed
ExecStart=/bin/sh -c 'echo closed >/dev/mq/app'
END
unit -allowed.service <<'END'
[Service]
Type=oneshot
DevicePolicy=closed
DeviceAllow=char-mq rw
ExecStart=/bin/sh -c 'echo allowed >/dev/mq/app'
END
unit -readonly.service <<'END'
[Service]
Type=oneshot
DevicePolicy=closed
DeviceAllow=char-mq r
ExecStart=/bin/sh -c 'cat /dev/mq/app+until=end && ! echo readonly >/dev/mq/app'
END
is "$(systemd-analyze verify dev-mq.mount mq-topics.service mq-receive.service \
	mq-ship@app.service 2>&1 | grep -w mq)" "" "systemd finds nothing wrong with the units"

# A systemd that believes itself in a container: its own processes, mounts and
# cgroups; the kernel, and so the module, is the VM's.
boot() {
	echo 0 >"$cgroup/cgroup.procs"
	exec env -i container=adopt PATH="$PATH" unshare -p -f -m -C --kill-child sh -c '
		mount --make-rshared /
		mount -t proc proc /proc
		umount /sys/fs/cgroup
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mount -t tmpfs run /run
		exec /lib/systemd/systemd --system --unit=adopt.target --show-status=0
	' >"$lib_tmp/boot.log" 2>&1
}
mkdir "$cgroup"
boot &
machine=$!
init=
within() { nsenter -t "$init" -a "$@"; }
up() {
	init=$(pgrep -P "$machine" -x systemd)
	[ "$init" ] && echo "$init" >"$lib_tmp/init" && within systemctl -q is-active adopt.target adopt-app.service
}
check "systemd boots" wait_for 90 up
init=$(cat "$lib_tmp/init")
is "$(within systemctl is-active dev-mq.mount mq-topics.service adopt-app.service | xargs)" \
	"active active active" "module loaded, mounted, topics made, the service runs"
logged() { [ "$(within cat /dev/mq/app+until=end)" = hello ]; }
check "StandardOutput=append:/dev/mq/app is in the topic" wait_for 20 logged
is "$(within stat -c '%a %G' /dev/mq/app)" "660 nogroup" "as /etc/mq says"

check "DeviceAllow=char-mq rw: the service writes" within systemctl start adopt-allowed.service
check_fails "DevicePolicy=closed: it cannot" 1 within systemctl start adopt-closed.service
check "DeviceAllow=char-mq r: it reads, and cannot write" within systemctl start adopt-readonly.service
is "$(within cat /dev/mq/app+until=end | xargs)" "hello allowed" "and that is what is in the topic"

note "upgrade while a service has a file open"
repack() {	# DEB VERSION
	rm -rf "$lib_tmp/new"
	dpkg-deb -R "$1" "$lib_tmp/new"
	sed -i "s/^Version: .*/Version: $2/" "$lib_tmp/new/DEBIAN/control"
	find "$lib_tmp/new" -name mq.ko -exec sed -i "s/\\(\\x00version=\\)$version\\x00/\\1$2\\x00/" {} +
	dpkg-deb -Znone -b "$lib_tmp/new" "$lib_tmp" >/dev/null
}
newer=${version%?}9
repack "$tools_deb" "$newer"
repack "$module_deb" "$newer"
upgrade() { within dpkg -i "$lib_tmp"/*_"$newer"_*.deb >"$lib_tmp/said" 2>&1; }
check "both packages are upgraded" upgrade
like "$(cat "$lib_tmp/said")" "$version stays in use.* $newer takes effect at reboot" "which says what follows"
is "$(cat /sys/module/mq/version) $(within systemctl is-active adopt-app.service)" "$version active" \
	"the service and its module stay"
is "$(within cat /dev/mq/app+until=end | xargs)" "hello allowed" "so does what is in the topic"

note "the new module, when nothing is in use"
within systemctl stop adopt-app.service
within mqctl topic del app
check "installed once more" upgrade
is "$(cat /sys/module/mq/version)" "$newer" "the new module is loaded"
check "and mounted" within mountpoint -q /dev/mq
applied() { within test -c /dev/mq/app; }
check "the topics of /etc/mq are made anew" wait_for 30 applied
within systemctl stop dev-mq.mount
within mqctl topic del app
check "unloaded by hand" wait_for 20 within modprobe -r mq
within modprobe mq
check "loaded by hand: udev's rule has it mounted and the topics made" wait_for 60 applied

note "removal"
within systemctl start adopt-app.service
check "a service uses the topic" wait_for 20 logged
remove() { within dpkg "$@" >"$lib_tmp/said" 2>&1; }
check_fails "the tools are not removed from under it" 1 remove -r mq-tools
like "$(cat "$lib_tmp/said")" "/dev/mq/app: process .*\\(sleep\\)" "dpkg says who is in the way"
check "all is as it was" logged
within systemctl stop adopt-app.service
check "then they are" remove -r mq-tools
check_fails "the module is gone" 1 test -e /sys/module/mq
check_fails "so is the mount" 1 within test -e /dev/mq
is "$(cd /etc/mq && echo *)" "app.conf receive.env ship.env topics.conf" "the configuration is kept"
check "purge" remove -P mq-tools "$name"
# shellcheck disable=SC2046 # words
is "$(ls -d $(listed) /etc/mq /etc/systemd/system/sysinit.target.wants/*mq* 2>/dev/null)" "" \
	"nothing is left"

finish
