// SPDX-License-Identifier: GPL-2.0
import java.io.*;
import java.net.InetSocketAddress;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;

/** mq from Java: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT */
class Example {
	static byte[] attr(int type, byte[]... parts) {
		int length = 4;
		for (byte[] part : parts)
			length += part.length;
		ByteBuffer b = ByteBuffer.allocate((length + 3) & ~3).order(ByteOrder.nativeOrder());
		b.putShort((short)length).putShort((short)type);
		for (byte[] part : parts)
			b.put(part);
		return b.array();
	}

	// One message with a key and a header: a batch of one record. The numbers are mq/mq.h's.
	static void produce(String topic, String key, String header, String text) throws IOException {
		String[] pair = header.split("=", 2);
		byte[] k = attr(1, key.getBytes()), payload = (text + "\n").getBytes();
		byte[] h = attr(2, attr(1, pair[0].getBytes()), attr(2, pair[1].getBytes()));
		int n = payload.length, m = k.length + h.length;
		ByteBuffer b = ByteBuffer.allocate(80 + m + (-m & 7) + n).order(ByteOrder.nativeOrder());
		b.putInt(64).putInt(16).putInt(1).putInt(-1).position(40);
		b.putLong(16).putLong(m).putLong(n).putInt(n).putInt(m).putLong(0);
		b.put(k).put(h).position(b.capacity() - n);
		FileChannel.open(Path.of("/dev/mq/" + topic + "+format=record"), StandardOpenOption.WRITE)
			.write(b.put(payload).flip());
	}

	// transferTo (sendfile) ends where the topic ends now; a read waits for more.
	static void ship(String topic, String host, int port) throws IOException {
		var file = FileChannel.open(Path.of("/dev/mq/" + topic));
		var to = SocketChannel.open(new InetSocketAddress(host, port));
		ByteBuffer message = ByteBuffer.allocateDirect(1 << 20);
		do {
			for (long n = 1, at = file.position(); n > 0; file.position(at += n))
				n = file.transferTo(at, 1 << 20, to);
			file.read(message.clear());
			to.write(message.flip());
		} while (message.limit() > 0);
	}

	public static void main(String[] args) throws IOException {
		var out = new FileOutputStream(FileDescriptor.out);	// not buffered
		switch (args.length > 1 ? args[0] : "") {
		case "produce" -> produce(args[1], args[2], args[3], args[4]);
		case "follow" -> new FileInputStream("/dev/mq/" + args[1] + "+from=newest").transferTo(out);
		case "replay" -> new FileInputStream("/dev/mq/" + args[1] + "+since=1m+until=end").transferTo(out);
		case "ship" -> ship(args[1], args[2], Integer.parseInt(args[3]));
		default -> throw new IllegalArgumentException("see the head of the source");
		}
	}
}
