# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What both machines of the newcomer's walk do: TAP, the packages. $MQ_OUT is seen by both.

tap_n=0 tap_bad=0
point() {	# STATUS DESCRIPTION
	tap_n=$((tap_n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_n $2"
	else
		echo "not ok $tap_n $2"
		tap_bad=1
	fi
}
check() {	# DESCRIPTION COMMAND...
	local what=$1 out status
	shift
	out=$("$@" 2>&1)
	status=$?
	[ "$status" = 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
	point "$status" "$what"
}
is() {		# FOUND EXPECTED DESCRIPTION
	[ "$1" = "$2" ] || printf '%s\n' found: "$1" expected: "$2" | sed 's/^/# /'
	[ "$1" = "$2" ]
	point $? "$3"
}
wait_for() {	# SECONDS COMMAND...
	local end=$((SECONDS + $1 * ${MQ_PATIENCE:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -le "$end" ] || return 1
		sleep 0.1
	done
}
finish() {
	echo "1..$tap_n"
	exit $tap_bad
}

# install PACKAGE...: by dpkg, with a small data base, for the host's has too many files
# for an emulated CPU.
install_packages() {
	local work
	work=$(mktemp -d)
	mkdir "$work/info" "$work/updates" "$work/triggers"
	# shellcheck disable=SC2046 # words
	dpkg-query -s $({ for deb; do dpkg-deb -f "$deb" Depends; done; echo kmod; } |
			sed 's/[,|]/\n/g' | awk '$1 && $1 !~ /^mq-/ { print $1 }' | sort -u) \
		>"$work/status" 2>/dev/null
	mount --bind "$work" /var/lib/dpkg
	dpkg -i "$@"
}
