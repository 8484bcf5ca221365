// SPDX-License-Identifier: GPL-2.0
// mq from Node: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT
'use strict';
const fs = require('fs');
const net = require('net');
const { pipeline } = require('stream/promises');

const KEY = 1, HEADER = 2, HEADER_NAME = 1, HEADER_VALUE = 2;	// these and the formats: mq/mq.h
const ANY_PARTITION = 0xffffffff;

const u32 = (...numbers) => Buffer.from(Uint32Array.from(numbers).buffer);
const u64 = (...numbers) => Buffer.from(BigUint64Array.from(numbers, BigInt).buffer);
const padding = (length, unit) => Buffer.alloc((unit - length % unit) % unit);

function attr(type, data) {
	const head = Buffer.from(Uint16Array.of(4 + data.length, type).buffer);
	return Buffer.concat([head, data, padding(data.length, 4)]);
}

function produce(topic, key, header, text) {
	const [name, value] = header.split(/=(.*)/s).map((part) => Buffer.from(part));
	const attrs = Buffer.concat([attr(KEY, Buffer.from(key)), attr(HEADER, Buffer.concat(
		[attr(HEADER_NAME, name), attr(HEADER_VALUE, value)]))]);
	const payload = Buffer.from(text + '\n');
	const batch = [u32(64, 16, 1, ANY_PARTITION, 0, 0), Buffer.alloc(16),
		u64(16, attrs.length, payload.length)];
	const record = u32(payload.length, attrs.length, 0, 0);
	fs.appendFileSync(`/dev/mq/${topic}+format=record`,
		Buffer.concat([...batch, record, attrs, padding(attrs.length, 8), payload]));
}

// A waiting read occupies one of the four threads (UV_THREADPOOL_SIZE) that all files share.
const read = (topic) => fs.createReadStream('/dev/mq/' + topic, { highWaterMark: 1 << 20 });

const commands = {
	produce,
	follow: (topic) => pipeline(read(topic + '+from=newest'), process.stdout),
	replay: (topic) => pipeline(read(topic + '+since=1m+until=end'), process.stdout),
	ship: (topic, host, port) => pipeline(read(topic), net.connect(port, host)),	// no sendfile
};
const [command, ...args] = process.argv.slice(2);
if (!commands[command] || args.length !== commands[command].length) {
	console.error('usage: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT');
	process.exit(2);
}
commands[command](...args);
