#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Configuration files: mqctl apply makes the kernel equal to them, showconf
# prints them, and one undoes the other.
# TIMEOUT: 300

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/transcript.sh
. "$(dirname "$0")/transcript.sh"

for t in a app big deep every old orders twin x; do
	note_topic "$t"
done
tmp
chmod 755 "$lib_tmp"
mkdir "$lib_tmp/mq"
rm -rf /etc/mq
cd "$lib_tmp" || exit 1

cat >mq/10-app.conf <<'END'
# Comments, blanks, other line ends, and a byte order mark are no matter.
[topic app]
	mode = 0640      ; the group may read
  gid=nogroup
framing = line
END
printf '\357\273\277[topic orders] # all by default but this\r\npartitions = 2\r\n' >mq/20-orders.conf
echo '[topic hidden]' >mq/.hidden.conf
echo '[topic backup]' >mq/20-orders.conf~
echo '[topic x]' >mq/30-x.conf

note "from nothing to the configuration, and not again"
transcript <<'END'
$ mqctl apply --dry-run mq
+[topic app]
+framing = line
+mode = 0640
+gid = nogroup
+[topic orders]
+partitions = 2
+[topic x]
would be done: 3 created, 0 changed, 0 deleted; 0 as configured before
$ mqctl topic list --noheadings
$ mqctl apply mq
+[topic app]
+framing = line
+mode = 0640
+gid = nogroup
+[topic orders]
+partitions = 2
+[topic x]
3 created, 0 changed, 0 deleted; 0 as configured before
$ mqctl topic list -o name,partitions,framing,mode,gid
name   partitions framing mode gid
app             1 line    0640 nogroup
orders          2 message 0600 root
x               1 message 0600 root
$ mqctl apply mq
nothing to do: 3 topics are as configured
$ mqctl apply --dry-run mq
nothing to do: 3 topics are as configured
END

note "only what differs is changed; what is in no file is kept, or pruned"
mqctl topic add old --ring-bytes 4K
mqctl topic set app --mode 0600 --paused
mqctl topic set orders --sync-timeout 5s
background mqctl monitor --json >events
monitor=$!
sleep 1
transcript <<'END'
$ rm mq/30-x.conf; echo '[topic orders]' >mq/20-orders.conf; echo 'partitions = 3' >>mq/20-orders.conf
$ mqctl apply --dry-run mq
 [topic app]
-paused = yes
+paused = no
-mode = 0600
+mode = 0640
 [topic old] is in no file: kept (--prune deletes it)
 [topic orders]
-partitions = 2
+partitions = 3
-sync-timeout = 5s
+sync-timeout = 0
 [topic x] is in no file: kept (--prune deletes it)
would be done: 0 created, 2 changed, 0 deleted; 0 as configured before
$ mqctl apply mq | tail -1
0 created, 2 changed, 0 deleted; 0 as configured before
$ mqctl apply mq
 [topic old] is in no file: kept (--prune deletes it)
 [topic x] is in no file: kept (--prune deletes it)
nothing to do: 2 topics are as configured
$ mqctl apply --prune --dry-run mq
-[topic old]
-[topic x]
would be done: 0 created, 0 changed, 2 deleted; 2 as configured before
$ mqctl apply --prune mq
-[topic old]
-[topic x]
0 created, 0 changed, 2 deleted; 2 as configured before
$ mqctl showconf
[topic app]
framing = line
mode = 0640
gid = nogroup

[topic orders]
partitions = 3
END
kill $monitor
is "$(grep -c '"event":"changed"' events)" 2 "two topics were changed, each by one request"

note "nothing is changed unless all of it parses; each error says where"
cat >bad.conf <<'END'
mode = 0600
[topic a]
ring-byte = 4K
ring-bytes = 3M
ring-messages = 32
partitions = 0
partitions = 1
mode = 1777
framing = lines
persistent = true
sync-timeout = 5
uid = nosuchuser
max-message-bytes = 2M
name = b
no value
[group g]
mode = 0600
[topic]
[topic a b]
[topic a@1]
[topic a/b]
[topic q
[topic orders]
[topic a]
END
transcript <<'END'
$ mqctl apply bad.conf mq 2>&1 | sed 's/of id, .*/of id, .../'
mqctl: apply: bad.conf:1: mode belongs to no section: a line [topic NAME] must come first
mqctl: apply: bad.conf:3: unknown key ring-byte: must be one of id, ...
mqctl: apply: bad.conf:7: partitions is given twice: it is at line 6 already
mqctl: apply: bad.conf:8: mode = 1777: not a mode: octal, 0 to 0777
mqctl: apply: bad.conf:9: framing = lines: must be message|line
mqctl: apply: bad.conf:10: persistent = true: must be yes or no
mqctl: apply: bad.conf:11: sync-timeout = 5: needs a unit: ms, s, m or h
mqctl: apply: bad.conf:12: uid = nosuchuser: no such user
mqctl: apply: bad.conf:14: unknown key name: must be one of id, ...
mqctl: apply: bad.conf:16: unknown section [group g]: must be [topic NAME]
mqctl: apply: bad.conf:18: [topic]: must be [topic NAME], with one name
mqctl: apply: bad.conf:19: [topic a]: must be [topic NAME], with one name
mqctl: apply: bad.conf:20: [topic a@1]: partitions are not configured one by one
mqctl: apply: bad.conf:21: [topic a/b]: not a topic's name: 1 to 128 of A-Z a-z 0-9 . _ -
mqctl: apply: bad.conf:22: not a section: must be [topic NAME], alone on its line
mqctl: apply: bad.conf:24: topic a is defined a second time: it is at bad.conf:2 already
mqctl: apply: bad.conf:15: neither [topic NAME] nor KEY = VALUE
mqctl: apply: mq/20-orders.conf:1: topic orders is defined a second time: it is at bad.conf:23 already
mqctl: apply: bad.conf:6: partitions = 0: must be 1 to 1024
mqctl: apply: bad.conf:4: ring-bytes = 3M: must be a power of two, 4K to 1024G
mqctl: apply: bad.conf:5: ring-messages = 32: must be a power of two, 64 to 4294967296
mqctl: apply: bad.conf:13: max-message-bytes = 2M: must be 1 to 768K, a quarter of ring-bytes
mqctl: apply: nothing was changed
$ mqctl apply bad.conf >/dev/null 2>&1
=> 1
$ mqctl apply mq nosuch
mqctl: apply: nosuch: No such file or directory
mqctl: apply: nothing was changed
=> 1
$ mkdir empty; mqctl apply --prune empty
mqctl: apply: no topic is configured, and --prune would delete all there are: 'mqctl topic del' does that
mqctl: apply: nothing was changed
=> 1
$ printf '[topic a]\nmode = 06\00000\n' >nul.conf; mqctl apply nul.conf
mqctl: apply: nul.conf:2: not text: a zero byte
mqctl: apply: nothing was changed
=> 1
$ (echo '[topic a]'; printf 'mode = %0300d\n' 600) >long.conf; mqctl apply long.conf
mqctl: apply: long.conf:2: longer than 198 characters: write KEY = "VALUE"
mqctl: apply: nothing was changed
=> 1
$ mqctl apply --nonsense
mqctl: apply: unknown option: --nonsense
Try 'mqctl apply --help'.
=> 2
$ mqctl topic list --noheadings -o name
app
orders
END
name=$(printf '%0128d' 7)
echo "[topic $name]" >name.conf
is "$(mqctl apply name.conf 2>&1 | grep -c "^+.topic $name.\$")" 1 "a name of 128 characters"
mqctl topic del "$name"
echo "[topic ${name}8]" >name.conf
like "$(mqctl apply name.conf 2>&1)" "not a topic's name" "129 are too many"

note "what cannot be changed is told before anything is changed"
cat >fixed.conf <<'END'
[topic app]
framing = message
mode = 0660
[topic orders]
ring-bytes = 8M
[topic big]
id = 00112233445566778899aabbccddeeff
[topic twin]
id = 00112233445566778899aabbccddeeff
END
transcript <<'END'
$ exec 9</dev/mq/app; mqctl apply fixed.conf
mqctl: apply: fixed.conf:2: topic app: framing = message: fixed while a file of the topic is open, and 1 are: close them and apply again
mqctl: apply: fixed.conf:4: topic orders: partitions = 1 (the default): partitions can only grow, and the topic has 3: set that, or delete the topic ('mqctl topic del orders') and apply again
mqctl: apply: fixed.conf:5: topic orders: ring-bytes = 8M: fixed when a topic is created, and the topic has 4M: set that, or delete the topic ('mqctl topic del orders') and apply again
mqctl: apply: fixed.conf:4: topic orders: attr-bytes = 2M (the default): fixed when a topic is created, and the topic has 1M: set that, or delete the topic ('mqctl topic del orders') and apply again
mqctl: apply: fixed.conf:9: topic twin: id = ID: topic big has this id
mqctl: apply: nothing was changed
=> 1
$ mqctl topic list --noheadings -o name,mode -r
app 0640
orders 0600
END

note "what only the kernel can tell: exactly that is not done, the rest is"
cat >partial.conf <<'END'
[topic app]
framing = line
mode = 0660
[topic big]
ring-bytes = 256G
[topic x]
END
transcript <<'END'
$ mqctl apply --prune partial.conf 2>&1
 [topic app]
-mode = 0640
+mode = 0660
-gid = nogroup
+gid = root
mqctl: apply: partial.conf:4: topic big: ring-bytes = 256G is more than the module's parameter max_memory: 'mqctl version' shows the module's limit
+[topic x]
mqctl: apply: topic orders is not deleted: not all else was done
1 created, 1 changed, 0 deleted; 0 as configured before
mqctl: apply: not done: 2 of 4 changes
=> 1
$ mqctl topic list --noheadings -o name,mode -r
app 0660
orders 0600
x 0600
$ setpriv --reuid 65534 --clear-groups --inh-caps=-all --bounding-set=-all mqctl apply mq
mqctl: apply: mq/10-app.conf:2: topic app: changing topics needs CAP_SYS_ADMIN in the initial user namespace: run it as root
=> 1
END

note "showconf: back and forth, over every attribute"
lend=
mqctl topic add --help | grep -q -- '--.no-.lend' && lend=--no-lend
# shellcheck disable=SC2086 # nothing, or one word
mqctl topic add every $lend --id 00112233445566778899aabbccddeeff --partitions 3 --ring-bytes 64K \
	--ring-messages 128 --attr-bytes 8K --max-message-bytes 1000 --framing line \
	--overflow reject --hold readers --stamp uid,cgroup --persistent --paused \
	--sync-timeout 90s --mode 0640 --uid nobody --gid 65534 --start-offset 4294967290 \
	--start-position 9223372036854775000
mqctl topic add twin --persistent --overflow drop-oldest
transcript <<'END'
$ mqctl showconf --ids every | grep -v ^lend
[topic every]
id = ID
partitions = 3
ring-bytes = 64K
ring-messages = 128
attr-bytes = 8K
max-message-bytes = 1000
framing = line
overflow = reject
hold = readers
stamp = uid,cgroup
persistent = yes
paused = yes
sync-timeout = 90s
mode = 0640
uid = nobody
gid = nogroup
start-offset = 4294967290
start-position = 9223372036854775000
$ mqctl showconf twin
[topic twin]
overflow = drop-oldest
persistent = yes
$ mqctl showconf nosuch
mqctl: showconf nosuch: no topic has this name: 'mqctl topic list' shows the topics there are
=> 1
END
# A cgroup needs one to be made: mem_cgroup has that.
is "$(mqctl topic add --help | grep -v memory-cgroup | grep -cE '^ {6}--')" \
	"$(mqctl showconf --ids every | grep -c ' = ')" "and that was every attribute"
for form in "" --all --ids "--all --ids"; do
	# shellcheck disable=SC2086 # words
	mqctl showconf $form >saved.conf
	is "$(mqctl apply saved.conf)" "nothing to do: 5 topics are as configured" \
		"showconf $form, then apply: nothing to do"
done
mqctl topic list --json -o "$(mqctl showconf --all --ids every | sed -n 's/ = .*//p' |
	paste -sd ,)" >before
# shellcheck disable=SC2046 # words
mqctl topic del $(mqctl topic list --noheadings -o name)
is "$(mqctl apply saved.conf | tail -1)" \
	"5 created, 0 changed, 0 deleted; 0 as configured before" "an empty kernel is restored"
mqctl topic list --json -o "$(mqctl showconf --all --ids every | sed -n 's/ = .*//p' |
	paste -sd ,)" >after
check "to the same topics, ids and all" cmp before after

note "values in quotes"
cat >quoted.conf <<'END'
[topic x]
framing = "line" ; a comment
stamp: "u\x69\x64,cgroup"
;paused = "yes
END
like "$(mqctl apply --dry-run quoted.conf)" '^.stamp = uid,cgroup$' "they are taken"
for value in '"' '"adm' '"adm" x' '"\x00"' '"\x0g"' '"\q"' '"adm\"'; do
	printf '[topic x]\ngid = %s\n' "$value" >quoted.conf
	like "$(mqctl apply quoted.conf 2>&1)" 'quoted.conf:2: not a value in double quotes: must' \
		"refused: $value"
done
# As long as a path can be, and with all that means something in such a file.
odd=$(printf ' ;#"\\x20=[\t\033\351\303\251\r')
long=$(printf '%0255d' 0)
for path in "/$odd " "/$long/$long/$long/${long%0}"; do
	if ! mkdir -p "/sys/fs/cgroup$path"; then
		skip "no cgroup2" "a cgroup's path of ${#path} bytes"
		continue
	fi
	check "a topic with a path of ${#path} bytes" mqctl topic add deep --memory-cgroup "$path"
	mqctl showconf deep >deep.conf
	is "$(mqctl apply deep.conf 2>&1 | tail -n 1)" "nothing to do: 1 topic is as configured" \
		"showconf, then apply: nothing to do"
	mqctl topic del deep
	mqctl apply deep.conf >/dev/null
	is "$(mqctl showconf deep)" "$(cat deep.conf)" "and made anew it is the same"
	mqctl topic del deep
	(cd /sys/fs/cgroup && rmdir -p ".$path" 2>/dev/null)
done

note "without operands: /etc/mq"
mkdir /etc/mq
cp saved.conf /etc/mq/saved.conf
is "$(mqctl apply)" "nothing to do: 5 topics are as configured" "/etc/mq is the default"
rm -r /etc/mq
is "$(mqctl apply 2>&1)" "mqctl: apply: /etc/mq: No such file or directory
mqctl: apply: nothing was changed" "which must be there"
is "$(mqctl showconf | mqctl apply /dev/stdin)" "nothing to do: 5 topics are as configured" \
	"from a pipe"
finish
