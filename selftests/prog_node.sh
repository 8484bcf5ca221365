#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Node: files, streams, descriptors and a socket.
# NEEDS: node
# shellcheck disable=SC2154 # mk_topic sets them
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

mk_topic m
mk_topic l --framing line
tmp
cd "$lib_tmp" || exit 1

cat >program.js <<'END'
const fs = require('fs'), net = require('net'), readline = require('readline');
const { pipeline } = require('stream/promises');
const [m, l] = process.argv.slice(2);
const point = (name, good) => console.log(good ? 'ok' : 'not_ok', name);
const code = (call) => { try { call(); } catch (error) { return error.code; } };

async function main() {
	const lines = Array.from({ length: 5000 }, (_, i) => `${i} a line of text`);

	fs.writeFileSync(m, 'one');
	fs.appendFileSync(m, 'two');
	point('writeFileSync, appendFileSync, readFileSync',
		fs.readFileSync(m + '+until=end', 'utf8') === 'onetwo');
	const fd = fs.openSync(m, 'r'), buf = Buffer.alloc(100);
	point('readSync gives one message a call', fs.readSync(fd, buf) === 3 &&
		fs.readSync(fd, buf) === 3 && buf.toString('utf8', 0, 3) === 'two');
	point('readSync at a position', fs.readSync(fd, buf, 0, 100, 1) === 2 &&
		buf.toString('utf8', 0, 2) === 'ne');
	fs.closeSync(fd);
	point('statSync gives the end position', fs.statSync(m).size === 6 &&
		fs.statSync(m).isCharacterDevice());
	point('a typo in a name', code(() => fs.writeFileSync(m + '.typo', 'x')) === 'ENOENT');
	const nonblock = fs.openSync(m + '+from=newest', fs.constants.O_RDONLY |
		fs.constants.O_NONBLOCK);
	point('O_NONBLOCK: EAGAIN at the end', code(() => fs.readSync(nonblock, buf)) === 'EAGAIN');
	fs.closeSync(nonblock);

	const out = fs.createWriteStream(l, { flags: 'a' });
	for (const line of lines)
		out.write(line + '\n');
	await new Promise((resolve, reject) => out.end(resolve).on('error', reject));
	const seen = [];
	for await (const line of readline.createInterface({
			input: fs.createReadStream(l + '+until=end') }))
		seen.push(line);
	point('createWriteStream, createReadStream, readline',
		JSON.stringify(seen) === JSON.stringify(lines));

	const chunks = [];
	const server = net.createServer((socket) => socket.on('data', (data) => chunks.push(data)));
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	const socket = net.connect(server.address().port, '127.0.0.1');
	const closed = new Promise((resolve) => server.on('connection',
		(peer) => peer.on('close', resolve)));
	await pipeline(fs.createReadStream(l + '+until=end'), socket);
	await closed;
	server.close();
	point('a read stream piped into a socket',
		Buffer.concat(chunks).toString() === lines.join('\n') + '\n');

	const follower = fs.createReadStream(m + '+from=newest');
	const first = new Promise((resolve) => follower.once('data', resolve));
	follower.once('open', () => setTimeout(() => fs.appendFileSync(m, 'later'), 200));
	point('a read stream follows', (await first).toString() === 'later');
	follower.destroy();
	fs.appendFileSync(m, 'end');	// a blocked read keeps a thread until then
}
main().catch((error) => { point(String(error), false); process.exitCode = 1; });
END
limit 60 node program.js "$MQ/$m" "$MQ/$l" >tap
is $? 0 "the program ran to its end"
points=0
while read -r status name; do
	points=$((points + 1))
	case $status in
	ok|not_ok) "$status" "node: $name" ;;
	*) not_ok "node said: $status $name" ;;
	esac
done <tap
is "$points" 9 "it has come to all its points"

finish
