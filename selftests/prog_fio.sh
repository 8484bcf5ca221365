#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# fio writes a topic through several of its engines and verifies what it reads.
# NEEDS: fio
# TIMEOUT: 300
# shellcheck disable=SC2154,SC2317 # mk_topic sets them; called by name
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1

# job ENGINE TOPIC OPTION...
job() {
	engine=$1 topic=$2
	shift 2
	limit 100 fio --name=job --filename="$MQ/$topic" --ioengine="$engine" --thread \
		--output=fio.out "$@" && ! grep -iE 'err= *[1-9]|verify:.*fail' fio.out
}

# --readonly, for else fio opens devices for writing, too, and then the driver keeps the
# position. fio's offset of a block is its position, for each block is a message.
for engine in sync psync vsync pvsync io_uring libaio; do
	mk_topic t --ring-bytes 4M
	check "fio $engine: write 2000 blocks of 1000 bytes" job $engine "$t" --rw=write \
		--bs=1000 --size=2000000 --verify=crc32c --do_verify=0
	is "$(stat_of "$t" messages-in,bytes-in)" "2000 2000000" "fio $engine: each is a message"
	check "fio $engine: read and verify" job $engine "$t" --rw=read --readonly \
		--bs=1000 --size=2000000 --verify=crc32c
	is "$(sed -n 's/.*total=r=\([0-9]*\),.*/\1/p; s/.*issued rwts: total=\([0-9]*\),.*/\1/p' fio.out |
		head -n 1)" 2000 "fio $engine: 2000 blocks were read"
done

mk_topic p --ring-bytes 16M
check "fio: 4 threads write at once" job psync "$p" --rw=write --bs=500 --size=1000000 --numjobs=4
is "$(stat_of "$p" messages-in,bytes-in)" "8000 4000000" "all of it is there"
check "fio: random reads at any position" job psync "$p" --rw=randread --readonly --bs=100 --size=100000 \
	--number_ios=2000

finish
