#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Topics as an administrator's shell meets them: redirection, ls, find, cp, ACLs.
# TIMEOUT: 300

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

user() {	# COMMAND, as somebody without rights
	setpriv --reuid 1000 --regid 1000 --clear-groups sh -c "$1" 2>&1
}

t='' u=''
mk_topic t --partitions 2
mk_topic u
entries=$(ls -A "$MQ")

check "a redirection writes" sh -c "echo hello > $MQ/$t@0"
check "so does an appending one" sh -c "echo again >> $MQ/$t@0"
check "and one under noclobber" sh -c "set -C; echo more > $MQ/$t@0"
is "$(mq_all "$t@0")" "hello
again
more" "what was redirected is read back: nothing was truncated"
is "$(stat -c %s "$MQ/$t")" 17 "stat shows the end as the size"
is "$(stat -c '%F %a %U %G' "$MQ/$t")" "character special file 600 root root" \
	"stat shows a device, root's alone"

# The typo that on devtmpfs makes a regular file in memory.
for name in typo "${t}x" "$t@2" "$t+x=y" "$t+group" "$t+from=x"; do
	shown=$(echo "$name" | sed "s/^$t/t/")
	like "$(sh -c "echo lost > $MQ/$name" 2>&1)" "cannot create .*nonexistent|No such file" \
		"a redirection to $shown fails"
	like "$(user "echo lost > $MQ/$name")" "cannot create .*nonexistent|No such file" \
		"a redirection to $shown fails as a user, for the same reason"
done
is "$(ls -A "$MQ")" "$entries" "and leaves nothing"
like "$(user "echo x > $MQ/$t")" "Permission denied" "a user may not write"
like "$(user "cat < $MQ/$t@1+until=end")" "Permission denied" "a user may not read"

for command in "rm -f $MQ/$t" "mv $MQ/$t $MQ/x" "mv $MQ/$t $MQ/$u" "ln $MQ/$t $MQ/x" \
	"ln -s $t $MQ/x" "mkdir $MQ/x" "mknod $MQ/x p" "mknod $MQ/x c 1 3" "mv $MQ/$t /tmp/x"; do
	like "$($command 2>&1)" "Operation not permitted" "not permitted: $(echo "$command" | sed "s,$MQ/,,g; s,$t,t,; s,$u,u,")"
done
rm -f /tmp/x
like "$(touch "$MQ/x" 2>&1)" "No such file" "touch creates nothing"
check "touch of a topic is accepted" touch "$MQ/$t"
is "$(ls -A "$MQ")" "$entries" "all that changed nothing"

is "$(find "$MQ" -mindepth 1 -type c -name "$t")" "$MQ/$t" "find sees a device"
is "$(find "$MQ" -name '*@*' -o -name '*+*')" "" "find sees no other spelling"
check "du walks over it" du -a "$MQ"
check "ls -lR walks over it" ls -lR "$MQ"
check "tar packs it as devices" sh -c "tar -C $MQ -cf - . | tar -tvf - | grep -q '^c.*$t'"

chmod 640 "$MQ/$t@1"
chown 1000:0 "$MQ/$t"
is "$(mqctl topic show -j "$t" | grep -Eo '"(mode|uid)": *"?[0-9a-z]+' | tr -d ' "' | sort | head -1)" \
	"mode:0640" "chmod is what mqctl shows"
check "mqctl sets a mode" mqctl topic set "$t" --mode 0604 --uid 0
is "$(stat -c '%a %u' "$MQ/$t" "$MQ/$t@0" "$MQ/$t+until=end" | sort -u)" "604 0" \
	"which every node shows"
is "$(user "cat $MQ/$t@0+until=end" | head -1)" hello "and which lets a user read"

if command -v setfacl >/dev/null; then
	check "setfacl gives a user rights" setfacl -m u:1000:rw,o::- "$MQ/$t"
	like "$(getfacl -cn "$MQ/$t@1" 2>&1)" "^user:1000:rw-" "getfacl shows them at every node"
	like "$(ls -l "$MQ/$t")" "^crw.rw----\+" "ls shows that there is an ACL"
	is "$(user "echo acl > $MQ/$t@1")" "" "the user may write"
	check "setfacl takes them away" setfacl -b "$MQ/$t@0"
	like "$(user "echo acl > $MQ/$t@1")" "Permission denied" "the user may not any more"
else
	skip "no setfacl" "ACLs by setfacl"
fi

# A monitor is told of a change of permissions, whoever made it.
tmp
background mqctl monitor -j >"$lib_tmp/events" 2>&1
wait_for 20 sh -c "mqctl topic set $u --mode 0600; grep -q $u $lib_tmp/events"
chmod 0620 "$MQ/$u@0"
check "chmod is announced as a change of the topic" \
	wait_for 20 grep -q '0620' "$lib_tmp/events"

finish
