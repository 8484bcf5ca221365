#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mqctl's administration: every command, its errors and exit codes, as transcripts.
# TIMEOUT: 600

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

for t in orders small lines keep kept gone many; do
	note_topic "$t"
done
tmp

note "topics: add, show, list, set, del"
transcript <<'END'
$ mqctl topic list --noheadings
$ mqctl topic list --json
{"topics": []}
$ mqctl topic add orders --partitions 4 --ring-bytes 16M --framing line --overflow reject --mode 0660 --persistent
$ mqctl topic add orders
mqctl: topic add orders: a topic of this name exists
=> 1
$ mqctl topic list
name   partitions ring-bytes framing overflow hold persistent paused mode uid  gid
orders          4        16M line    reject   none yes        no     0660 root root
$ mqctl topic list -n -r -o name,ring-bytes,mode,uid,paused
name ring-bytes mode uid paused
orders 16777216 0660 0 0
$ mqctl topic show orders | grep -v minor
name              orders
id                ID
partitions        4
ring-bytes        16M
ring-messages     32768
attr-bytes        4M
max-message-bytes 1M
framing           line
overflow          reject
hold              none
stamp             none
persistent        yes
paused            no
sync-timeout      0
mode              0660
uid               root
gid               root
start-offset      0
start-position    0
lend              yes
created           TIME
$ mqctl topic show orders --json -o name,ring-bytes,persistent,paused,sync-timeout,mode,uid,hold | json 'print(d)'
{'topics': [{'name': 'orders', 'ring-bytes': 16777216, 'persistent': True, 'paused': False, 'sync-timeout': 0, 'mode': '0660', 'uid': 0, 'hold': 'none'}]}
$ stat -c '%a %u %g' /dev/mq/orders
660 0 0
$ mqctl topic set orders --paused --overflow block --sync-timeout 90s --mode 640 --uid nobody --gid 65534 --hold readers --stamp uid,cgroup --no-lend
$ mqctl topic show orders -o overflow,hold,stamp,lend,paused,sync-timeout,mode,uid,gid
overflow     block
hold         readers
stamp        uid,cgroup
lend         no
paused       yes
sync-timeout 90s
mode         0640
uid          nobody
gid          nogroup
$ mqctl topic set orders --no-paused --hold none --stamp none --sync-timeout 0 --partitions 5
$ mqctl topic show orders -n -o partitions,hold,stamp,paused,sync-timeout,uid
partitions   5
hold         none
stamp        none
paused       0
sync-timeout 0
uid          65534
$ mqctl topic set orders --partitions 4
mqctl: topic set orders: --partitions 4 can only grow
=> 1
$ exec 9</dev/mq/orders@0; mqctl topic set orders --framing message
mqctl: topic set orders: --framing message is fixed while a file of the topic is open
=> 1
$ mqctl topic set orders --framing message
$ mqctl topic set nosuch --mode 0600
mqctl: topic set nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl topic del orders --id 00112233445566778899aabbccddeeff
mqctl: topic del orders: --id ID: the topic of this name has another id
=> 1
$ mqctl topic del orders
$ mqctl topic show orders
mqctl: topic show orders: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl topic add small --memory-cgroup /no/such
mqctl: topic add small: --memory-cgroup /no/such is not a cgroup below the cgroup2 root
=> 1
$ mqctl topic add keep --id 00112233445566778899aabbccddeeff --start-offset 4294967290 --start-position 9223372036854775000
$ mqctl topic show keep -o start-offset,start-position
start-offset   4294967290
start-position 9223372036854775000
$ mqctl topic show keep -o id | grep -c 00112233445566778899aabbccddeeff
1
$ mqctl topic add kept --id 00112233445566778899aabbccddeeff
mqctl: topic add kept: --id ID: a topic with this id exists
=> 1
$ mqctl topic add kept
$ mqctl topic del keep nosuch kept
mqctl: topic del nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl topic list --noheadings
END

note "what the kernel refuses is told with the option that was wrong"
transcript <<'END'
$ mqctl topic add small --ring-bytes 3M
mqctl: topic add small: --ring-bytes 3M is not a power of two
=> 1
$ mqctl topic add small --ring-bytes 2K
mqctl: topic add small: --ring-bytes 2K is less than 4096
=> 1
$ mqctl topic add small --ring-messages 32
mqctl: topic add small: --ring-messages 32 is less than 64
=> 1
$ mqctl topic add small --ring-bytes 64K --max-message-bytes 16385
mqctl: topic add small: --max-message-bytes 16385 is more than a quarter of ring-bytes
=> 1
$ mqctl topic add small --partitions 0
mqctl: topic add small: --partitions 0: integer out of range
=> 1
$ mqctl topic add small --partitions 1025
mqctl: topic add small: --partitions 1025: integer out of range
=> 1
$ mqctl topic add a/b
mqctl: topic add a/b: name is not 1 to 128 of [A-Za-z0-9._-], or is . or ..
=> 1
$ mqctl topic add ''
mqctl: topic add : name is not 1 to 128 of [A-Za-z0-9._-], or is . or ..
=> 1
$ mqctl topic list --noheadings
$ as_nobody mqctl topic add small
mqctl: topic add small: changing topics needs CAP_SYS_ADMIN in the initial user namespace: run it as root
=> 1
$ unshare -Ur mqctl topic add small
mqctl: topic add small: changing topics needs CAP_SYS_ADMIN in the initial user namespace: run it as root
=> 1
$ as_nobody mqctl topic list --noheadings
END

note "wrong usage is 2"
transcript <<'END'
$ mqctl 2>&1 | head -1
Usage: mqctl COMMAND [OPTION...]
$ mqctl >/dev/null 2>&1
=> 2
$ mqctl topic >/dev/null 2>&1
=> 2
$ mqctl help | grep -c Exit
1
$ mqctl top
mqctl: top: unknown command
Try 'mqctl --help'.
=> 2
$ mqctl topic ad small
mqctl: topic ad: unknown command
Try 'mqctl --help'.
=> 2
$ mqctl topic add
mqctl: topic add: needs NAME
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small other
mqctl: topic add: unexpected operand: other
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small --part 3
mqctl: topic add: unknown option: --part
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small --ring-bytes
mqctl: topic add: --ring-bytes needs a value
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small --ring-bytes 3X
mqctl: topic add: --ring-bytes 3X: not a size: a number of bytes, or one with K, M or G
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small --sync-timeout 5
mqctl: topic add: --sync-timeout 5: needs a unit: ms, s, m or h
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small --overflow drop
mqctl: topic add: --overflow drop: must be block|reject|drop-oldest
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small --mode 1777
mqctl: topic add: --mode 1777: not a mode: octal, 0 to 0777
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small --uid nosuchuser
mqctl: topic add: --uid nosuchuser: no such user
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic add small --mode 600 --mode 660
mqctl: topic add: --mode: given twice
Try 'mqctl topic add --help'.
=> 2
$ mqctl topic set small
mqctl: topic set: nothing to change: give an option
Try 'mqctl topic set --help'.
=> 2
$ mqctl topic set small --ring-bytes 1M
mqctl: topic set: --ring-bytes is fixed when a topic is created
Try 'mqctl topic set --help'.
=> 2
$ mqctl topic list -o name,nonsense
mqctl: topic list: --columns name,nonsense: no column nonsense
Try 'mqctl topic list --help'.
=> 2
$ mqctl stat 'a b'
mqctl: stat: a b: not a topic's name: 1 to 128 of A-Z a-z 0-9 . _ -
Try 'mqctl stat --help'.
=> 2
$ mqctl topic add --help >/dev/full
mqctl: topic add: standard output: No space left on device
=> 1
END

note "every command has --help"
for c in "topic add" "topic del" "topic set" "topic show" "topic list" apply showconf stat \
	readers why produce consume monitor verify version; do
	# shellcheck disable=SC2086 # two words
	like "$(mqctl $c --help; echo "status $?")" "^Usage: mqctl $c" "$c --help"
done
like "$(mqctl topic add --help)" '^ +--\[no-\]persistent ' "help comes from the attributes"
is "$(mqctl topic add --help | awk 'length > 80' | wc -l)" 0 "help fits 80 columns"

note "stat"
transcript <<'END'
$ mqctl topic add small --partitions 2 --ring-bytes 4K --ring-messages 64
$ for i in 1 2 3; do echo "message $i" >/dev/mq/small@1; done; cat /dev/mq/small@1+until=end
message 1
message 2
message 3
$ mqctl stat small -o name,messages-in,bytes-in,messages-out,bytes-out,readers,writers
name  messages-in bytes-in messages-out bytes-out readers writers
small           3       30            3        30       0       0
$ mqctl stat small --by-partition -o topic,index,head-offset,head-position,tail-offset,messages-in
topic index head-offset head-position tail-offset messages-in
small     0           0             0           0           0
small     1           3            30           0           3
$ mqctl stat small@1 --json -o topic,topic-id,index,head-offset,tail-position,held-offset,lost,memory | json 'p = d["partitions"][0]; print(len(p.pop("topic-id")), p.pop("memory") >= 4096, p)'
32 True {'topic': 'small', 'index': 1, 'head-offset': 3, 'tail-position': 0, 'held-offset': 3, 'lost': 0}
$ exec 9</dev/mq/small@1; mqctl stat small@1 --noheadings --raw -o readers,writers
1 0
$ for i in $(seq 200); do echo "message $i"; done | while read -r l; do echo "$l" >/dev/mq/small@0; done
$ mqctl stat small@0 -o head-offset,tail-offset,messages-in,evicted,dropped-held
head-offset tail-offset messages-in evicted dropped-held
        200         136         200     136            0
$ mqctl stat --noheadings -r -o name,messages-in,evicted
small 203 136
$ mqctl stat small@2
mqctl: stat small@2: the topic has no partition of this number
=> 1
$ mqctl stat nosuch
mqctl: stat nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl stat nosuch --by-partition
mqctl: stat nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
$ mqctl topic del small
END
check "stat shows the default columns" mqctl stat
check "stat by partition shows the default columns" mqctl stat --by-partition

note "a list longer than one netlink message"
i=0
while [ $i -lt 120 ]; do
	mqctl topic add "many$i" --ring-bytes 4K --ring-messages 64 || break
	i=$((i + 1))
done
is "$(mqctl topic list --noheadings -o name | sort -u | wc -l)" 120 "120 topics are listed"
is "$(mqctl topic list -j | json 'print(len(d["topics"]), d["topics"][0]["name"],
	d["topics"][119]["name"])')" "120 many0 many99" "120 topics in JSON, sorted"
# shellcheck disable=SC2046 # words
check "all are deleted by one command" mqctl topic del $(mqctl topic list --noheadings -o name)
is "$(mqctl topic list --noheadings)" "" "and gone"

note "version"
like "$(mqctl version)" '^mqctl [0-9]+\.[0-9]+' "the tool's version"
like "$(mqctl version)" '^features +splice,line,record' "the module's features"
like "$(mqctl version)" '^features .*,mmap(,[a-z]+)*,watermark$' "each has a name"
is "$(mqctl version --json | json 'm = d["module"][0]
print(m["version"] != "", m["api-version"], m["topics"], m["memory-max"] > 0)')" \
	"True 1 0 True" "version in JSON"
is "$(mqctl version --json -o version | json 'print(d["module"][0]["version"])')" \
	"$(cat /sys/module/mq/version)" "the module's version is that of its modinfo"

note "the module or its file system is not there"
cat >"$lib_tmp/unmounted" <<'END'
umount /dev/mq || exit 99
mqctl consume orders
echo "=> $?"
mqctl topic list --noheadings
echo "=> $?"
END
is "$(unshare -m sh "$lib_tmp/unmounted" 2>&1)" \
	"mqctl: consume orders: /dev/mq is not mounted: mount it by 'mount -t mq mq /dev/mq'
=> 1
=> 0" "/dev/mq is not mounted"
mkdir "$lib_tmp/elsewhere"
check "the file system at another place" mount -t mq mq "$lib_tmp/elsewhere"
mqctl topic add orders
is "$(MQ_DIR=$lib_tmp/elsewhere mqctl produce orders hello && mqctl consume orders)" hello \
	"MQ_DIR names another place"
mqctl topic del orders
umount "$lib_tmp/elsewhere"
finish
