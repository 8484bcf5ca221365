#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# DKMS as on any machine: the build, too, by the VM's own compiler.
# SLOW: make test-dkms
# NEEDS: dkms openssl
# TIMEOUT: 1500
# shellcheck disable=SC2034 # read by what follows
build_here=y
# shellcheck source=selftests/adopt_dkms.sh
. "$(dirname "$0")/adopt_dkms.sh"
