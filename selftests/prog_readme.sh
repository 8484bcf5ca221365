#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Each command that the README shows does what it says there.
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

note_topic orders
note_topic app
# shellcheck disable=SC2016 # backquotes of Markdown
steps=$(sed -n '/^```console$/,/^```$/p' "$KSELFTEST_DIR/../README.md" | grep -v '^```')
transcript <<END
$steps
END
is "$tap_n" 12 "the README shows 12 commands"
finish
