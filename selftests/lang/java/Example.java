// SPDX-License-Identifier: GPL-2.0
import java.io.FileInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;

/**
 * mq from Java.
 *
 * java Example produce TOPIC KEY NAME=VALUE TEXT    one message with a key and a header
 * java Example follow TOPIC                         what is written from now on
 * java Example replay TOPIC                         the last minute
 * java Example ship TOPIC HOST PORT                 all of it, as it comes, over TCP
 */
class Example {
	static void print(String topic) throws IOException {
		byte[] message = new byte[1 << 20];	// the default limit: a read gets a whole one
		try (var file = new FileInputStream("/dev/mq/" + topic)) {
			for (int n; (n = file.read(message)) > 0; System.out.flush())
				System.out.write(message, 0, n);
		}
	}

	// transferTo (sendfile) ends where the topic ends now; a read waits for more.
	static void ship(String topic, String host, int port) throws IOException {
		try (var file = FileChannel.open(Path.of("/dev/mq/" + topic));
		     var to = SocketChannel.open(new InetSocketAddress(host, port))) {
			ByteBuffer message = ByteBuffer.allocateDirect(1 << 20);
			do {
				for (long n = 1, at = file.position(); n > 0; file.position(at += n))
					n = file.transferTo(at, 1 << 20, to);
				file.read(message.clear());
				to.write(message.flip());
			} while (message.limit() > 0);
		}
	}

	public static void main(String[] args) throws IOException {
		String command = args.length + (args.length > 1 ? args[0] : "");
		switch (command) {
		case "5produce" -> Produce.produce(args[1], args[2], args[3], args[4]);
		case "2follow" -> print(args[1] + "+from=newest");
		case "2replay" -> print(args[1] + "+since=1m+until=end");
		case "4ship" -> ship(args[1], args[2], Integer.parseInt(args[3]));
		default -> {
			System.err.println("usage: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT");
			System.exit(2);
		}
		}
	}
}
