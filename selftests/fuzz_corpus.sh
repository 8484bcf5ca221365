#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# TIMEOUT: 600
# The programs that tools/mqfuzz kept, and those that once broke something, each run
# again: nothing crashes or gets stuck, batches and bytes read are as they must be, and
# nothing is left. Each file is a test point.
cd "$(dirname "$0")/.." || exit 1
exec mqfuzz -r selftests/corpus
