#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The manual pages: clean, and complete against what they describe.
# TIMEOUT: 300

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.." || exit 1
tmp

for page in mqctl.8 mq.4 mq-netlink.7 mq.conf.5; do
	is "$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "build/man/$page" 2>&1 >/dev/null)" "" \
		"$page: man has no warning"
	is "$(mandoc -T lint -W warning "build/man/$page" 2>&1)" "" "$page: nor has mandoc"
	mandoc -T utf8 -O width=200 "build/man/$page" | col -bx >"$lib_tmp/$page"
	is "$(grep -E '@[A-Z]+@' "build/man/$page")" "" "$page: no part of the template is left"
done

# lacking PAGE <WORDS: those that do not stand in the page, each as a whole.
lacking() {
	awk -v page="$lib_tmp/$1" '
	function stands(word, rest, i, before, after) {
		for (rest = text; i = index(rest, word); rest = substr(rest, i + 1)) {
			before = i == 1 ? " " : substr(rest, i - 1, 1)
			after = substr(rest, i + length(word), 1)
			if (before !~ /[A-Za-z0-9_-]/ &&
			    (after !~ /[A-Za-z0-9_-]/ || word ~ /[=(]$/))
				return 1
		}
		return 0
	}
	BEGIN {
		while ((getline line <page) > 0)
			text = text line "\n"
	}
	!stands($0) { printf "%s ", $0 }'
}

mqctl help --table >"$lib_tmp/table"
is "$(awk -F '\t' '$1 == "command" { print "mqctl " $2 }' "$lib_tmp/table" | lacking mqctl.8)" "" \
	"mqctl.8 has every command"
is "$(awk -F '\t' '$1 == "option" && $6 != "no" && $3 != "help" { print "--" $3 }' \
	"$lib_tmp/table" | sort -u | lacking mqctl.8)" "" "and every option"
is "$(awk -F '\t' '$1 == "column" { print $4 }' "$lib_tmp/table" | sort -u | lacking mqctl.8)" "" \
	"and every column"
is "$(awk -F '\t' '$1 == "option" && $2 == "topic add" && $3 != "help" { print $3 " =" }' \
	"$lib_tmp/table" | lacking mq.conf.5)" "" "mq.conf.5 has every key"

# From the header, which the kernel's generator made of the same spec.
is "$(grep -oE '\bMQ_(CMD|A)_[A-Z0-9_]+' uapi/mq/netlink.h | grep -vE '_(MAX|PAD)$' | sort -u |
	lacking mq-netlink.7)" "" "mq-netlink.7 has every operation and attribute"

is "$(grep -oE '\bMQ_(IOC|SEEK)_[A-Z_]+' uapi/mq/mq.h | grep -v MAGIC | sort -u | lacking mq.4)" "" \
	"mq.4 has every ioctl"
is "$(sed -n 's/.*part_is(key, "\([a-z]*\)").*/\1=/p' kmod/name.c | sort -u | lacking mq.4)" "" \
	"and every option of a name"
# Not those that never leave the kernel, or belong to netlink and xattrs.
is "$(grep -ohE -- '-E[A-Z0-9]+\b' kmod/*.c | tr -d - | sort -u |
	grep -vxE 'ECHILD|ENODATA|ENOTSUPP|ERESTARTSYS|EEXIST|ENOSPC|ERANGE|EOPNOTSUPP|ENOTDIR' |
	lacking mq.4)" "" "and every error"
is "$(for call in write writev read readv pread pwrite lseek splice sendfile poll epoll mmap \
	fsync fdatasync fstat; do echo "$call("; done | lacking mq.4)" "" "and every call"
echo nonsense >"$lib_tmp/words"
is "$(lacking mq.4 <"$lib_tmp/words")" "nonsense " "what is not there is found missing"
finish
