#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# DKMS: add, build, install, load, remove; the module is signed, by DKMS and by
# hand. What `make dkms` built on the host, whose compiler and headers the VM shares,
# stands for a build in the VM, which takes minutes there: adopt_dkms_build does it.
# NEEDS: dkms openssl
# TIMEOUT: 300
# shellcheck disable=SC2317 # called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

top=$(cd "$KSELFTEST_DIR/.." && pwd)
kernel=$(uname -r)
module=$top/build/$kernel/mq.ko
built=$top/build/dkms/$kernel
version=$(sed -n 's/^mq-version := //p' "$top/Kbuild")
[ "${build_here-}" ] || [ -d "$built/mq/$version" ] || skip_all "no $built: run make dkms"
[ -z "$(ls "$MQ")" ] || skip_all "topics of others are there"
tmp

restore() {
	status=$?
	umount "$MQ" "/lib/modules/$kernel" 2>/dev/null
	rmmod mq 2>/dev/null
	insmod "$module"
	mount -t mq mq "$MQ"
	rm -rf "/usr/src/mq-$version" /var/lib/dkms/mq
	lib_cleanup
	exit "$status"
}
trap restore EXIT

umount "$MQ"
rmmod mq
few_modules
"$top/tools/packaging/install" -p /usr dkms
state() { dkms status -m mq -v "$version" 2>/dev/null | sed 's/^[^:]*: //'; }
check "dkms add" dkms add -m mq -v "$version"
is "$(state)" added "DKMS knows the module"
if [ "${build_here-}" ]; then
	check "dkms build" limit 1200 dkms build -m mq -v "$version" -k "$kernel" -j "$(nproc)"
	is "$(state)" built "DKMS has built it"
else
	cp -a "$built/mq/$version/$kernel" "/var/lib/dkms/mq/$version/"
	is "$(state)" built "what make dkms built is a build of it"
fi
check "dkms install" dkms install -m mq -v "$version" -k "$kernel"
is "$(state)" installed "it is installed"
# Compressed, where the kernel's own modules are.
file=$(echo "/lib/modules/$kernel/updates/dkms/mq.ko"*)
is "$(modinfo -F filename mq)" "$file" "modprobe will find it"
like "$(modinfo -F signer mq)" "DKMS module signing key" "it is signed with DKMS's key"
check "modprobe" modprobe mq
check "mount" mount -t mq mq "$MQ"
is "$(mqctl topic add dkms && echo works >"$MQ/dkms" && mq_all dkms)" works "a topic works"
mqctl topic del dkms
umount "$MQ"
rmmod mq

note "signed by hand, as doc/install.md says"
cd "$lib_tmp" || exit 1
openssl req -new -x509 -newkey rsa:2048 -nodes -days 36500 -subj '/CN=mq test key/' \
	-keyout mq.key -outform DER -out mq.der 2>/dev/null
cp "$module" mq.ko
check "sign-file" "/lib/modules/$kernel/build/scripts/sign-file" \
	sha256 mq.key mq.der mq.ko
is "$(modinfo -F signer ./mq.ko)" "mq test key" "modinfo shows who signed it"
check "it loads" insmod ./mq.ko

check "dkms remove" dkms remove -m mq -v "$version" --all
is "$(ls -d /var/lib/dkms/mq "$file" 2>/dev/null)" "" "nothing is left of it"

finish
