// SPDX-License-Identifier: GPL-2.0
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

import static java.nio.charset.StandardCharsets.UTF_8;

/** A message with a key and a header: a batch of one record. */
class Produce {
	// These and the formats: mq/mq.h
	static final short KEY = 1, HEADER = 2, HEADER_NAME = 1, HEADER_VALUE = 2;
	static final int ANY_PARTITION = -1;	// the key chooses it

	static ByteBuffer buffer(int size) {
		return ByteBuffer.allocate(size).order(ByteOrder.nativeOrder());
	}

	static byte[] attr(short type, byte[] data) {
		int length = 4 + data.length;
		return buffer((length + 3) & ~3).putShort((short)length).putShort(type).put(data).array();
	}

	static byte[] concat(byte[] a, byte[] b) {
		return ByteBuffer.allocate(a.length + b.length).put(a).put(b).array();
	}

	static void produce(String topic, String key, String header, String text) throws IOException {
		String[] pair = header.split("=", 2);
		byte[] attrs = concat(attr(KEY, key.getBytes(UTF_8)), attr(HEADER, concat(
			attr(HEADER_NAME, pair[0].getBytes(UTF_8)), attr(HEADER_VALUE, pair[1].getBytes(UTF_8)))));
		byte[] padding = new byte[-attrs.length & 7], payload = (text + "\n").getBytes(UTF_8);

		ByteBuffer batch = buffer(64 + 16 + attrs.length + padding.length + payload.length);
		batch.putInt(64).putInt(16).putInt(1).putInt(ANY_PARTITION).putInt(0).putInt(0);
		batch.putLong(0).putLong(0);	// any topic id
		batch.putLong(16).putLong(attrs.length).putLong(payload.length);
		batch.putInt(payload.length).putInt(attrs.length).putInt(0).putInt(0);
		batch.put(attrs).put(padding).put(payload).flip();

		Path path = Path.of("/dev/mq/" + topic + "+format=record");
		try (var file = FileChannel.open(path, StandardOpenOption.WRITE)) {
			file.write(batch);
		}
	}
}
