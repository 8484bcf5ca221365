#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tools/deps on a machine that was cut off while dpkg installed: apt-get refuses all, until
# dpkg --configure -a was there. apt-get and dpkg are played, as there is no network here.
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

top=$(cd "$KSELFTEST_DIR/.." && pwd)
# shellcheck disable=SC2154 # lib.sh's
state=$lib_tmp/state played=$lib_tmp/played
mkdir "$state" "$played"

play() {	# NAME, its script on stdin
	{ printf '#!/bin/sh\nstate=%s\n' "$state"; cat; } >"$played/$1"
	chmod +x "$played/$1"
}

play dpkg-query <<'END'
shift 2
for package; do
	[ "$package" = pv ] && [ ! -e $state/pv ] || echo "ii :$package"
done
END
play apt-get <<'END'
if [ -e $state/interrupted ]; then
	echo "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."
	exit 100
fi
case " $* " in
*" install "*" pv "*) touch $state/pv ;;
esac
END
play dpkg <<'END'
[ "$*" = "--configure -a" ] || exit 1
if [ -e $state/broken ]; then
	echo "dpkg: error processing package spoilt"
	exit 1
fi
rm -f $state/interrupted
END

deps() {
	PATH=$played:$PATH "$top/tools/deps" >"$lib_tmp/said" 2>&1
}

touch "$state/interrupted" "$state/broken"
deps
is $? 1 "what dpkg cannot mend fails"
check "and is told as dpkg tells it" grep -q "package spoilt" "$lib_tmp/said"
check "and nothing counts as installed" test ! -e "$state/pv"

rm "$state/broken"
deps
is $? 0 "what dpkg was interrupted in is mended"
check "and then the package is installed" test -e "$state/pv"
deps
is $? 0 "the next time there is nothing to do"
is "$(cat "$lib_tmp/said")" "" "and nothing is said"
finish
