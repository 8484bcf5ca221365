#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mqbench: each workload runs, what it carries is compared byte by byte while it warms
# up, and its figures say what they are. How large they are is not looked at here.
# TIMEOUT: 900
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

tmp
cd "$lib_tmp" || exit 1

# Each figure has all that makes it one; how many are of the workload.
cat >check.py <<'END_OF_CHECK'
import json, sys
result = json.load(sys.stdin)
workload, metrics = sys.argv[1], set(sys.argv[2].split(";"))
conditions, figures = result["conditions"], result["figures"]
assert set(conditions) >= {"kernel", "cpus", "counting"}, conditions
for f in figures:
    assert f["workload"] == workload, f
    assert f["runs"] in (1, 2) and f["messages"] > 0 and f["unit"] and f["size"] >= 16, f
    assert f["min"] <= f["median"] <= f["max"], f
    assert f["median"] > 0 or f["unit"].startswith("times") or f["unit"] == "KiB", f
found = {f["metric"] for f in figures}
assert found == metrics, f"metrics {found}"
END_OF_CHECK

# workload NAME METRIC;... OPTION...
workload() {
	name=$1 metrics=$2
	shift 2
	if limit 240 mqbench -j -w "$name" -n 512 -r 2 "$@" >out 2>err; then
		check "$name $*" python3 check.py "$name" "$metrics" <out
	else
		cat err
		not_ok "$name $*"
	fi
}

topics=topic,topic-mmap,topic-plain,topic-line,topic-uring,topic-splice
workload append "total;produce;consume" -m inline -s 1024 -b 1,64 \
	-p $topics,pipe,unix-stream,unix-dgram,unix-seqpacket,mqueue
workload append "total;producer waits;consumer waits" -m pair -s 1024 -b 1,64 \
	-p $topics,pipe,unix-stream,unix-dgram,unix-seqpacket,mqueue
workload append "total" -m alone -s 1024 -b 1,64 -p topic,topic-line,topic-uring,getppid,null
workload producers "total;cpu;lock retries;waits;preempted" -s 1024 -b 1,64 -c 1,3
workload fanout "produce;delivery" -m inline -s 1024 -b 1,64 -c 1,3
workload fanout "produce;total" -m pair -s 1024 -b 64 -c 3
workload latency "p50;p99;p99.9" -m inline -s 16 -p topic,pipe,unix-seqpacket
workload latency "p50;p99;p99.9" -m pair -s 16 -c 50 -p topic,topic-mmap,pipe
workload egress "sendfile;splice;read+write" -c 4096,65536
workload stuck "produce;delivery" -s 1024 -b 1,64 -c 3
workload counts "system calls;allocations;pages;wake-ups;switches" -s 1024 -b 1 -p topic,pipe

workload partitions "produce;making one;memory of one, filled" -s 1024 -c 8
workload topics "produce beside them;making one;memory of one, empty;switches of the machine, idle" \
	-s 1024 -c 50

# Counted exactly: one write a message, no allocation.
limit 240 mqbench -j -w counts -m inline -n 20480 -r 2 -s 100 -b 1,64 -p topic,topic-mmap >out
cat >steady.py <<'END_OF_CHECK'
import json, sys
for f in json.load(sys.stdin)["figures"]:
    if f["metric"] in ("allocations", "pages"):
        assert f["max"] == 0, f
    if f["metric"] == "system calls" and f["peer"] == "topic-mmap":
        assert 1 / f["batch"] <= f["median"] <= 1.05 / f["batch"], f
END_OF_CHECK
check "a message allocates nothing, and costs one write" python3 steady.py <out

is "$(mqctl topic list --raw --noheadings | grep -c '^mqbench')" 0 \
	"no topic of the benchmark is left"
finish
