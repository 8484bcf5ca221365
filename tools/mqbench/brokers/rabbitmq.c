// SPDX-License-Identifier: GPL-2.0
/*
 * RabbitMQ by AMQP 0-9-1: a transient classic queue, publisher confirms, each waited for
 * or a batch of them; the consumer acknowledges nothing. The settings are those that make
 * it cheaper here: one scheduler that does not spin, no plugins, no heartbeats.
 */
#include <err.h>
#include <stdio.h>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

#include "bench.h"
#include "server.h"

#define PORT		15672
#define CHANNEL		1

static struct server server;
static amqp_connection_state_t connection;
static amqp_bytes_t queue;
static uint64_t tags;		/* messages published on the channel */

/*
 * Erlang's launcher without the scripts around it; its name server as a child beside it. Of
 * the plugins only what the broker itself is made of: it would load them all to look at them.
 */
static const char launch[] =
	"export HOME=$PWD ROOTDIR=$0/deb/rabbitmq/usr/lib/erlang EMU=beam PROGNAME=erl\n"
	"export BINDIR=$(echo $ROOTDIR/erts-*/bin)\n"
	"export RABBITMQ_HOME=$(echo $0/deb/rabbitmq/usr/lib/rabbitmq/lib/rabbitmq_server-*)\n"
	"mkdir lib\n"
	"for app in rabbit rabbit_common rabbitmq_prelaunch ranch ra aten gen_batch_server "
	"sysmon_handler stdout_formatter recon observer_cli osiris amqp10_common syslog systemd "
	"seshat credentials_obfuscation cuttlefish getopt enough jsx; do\n"
	"ln -s $RABBITMQ_HOME/plugins/$app-[0-9]* lib/\n"
	"done\n"
	"export ERL_LIBS=$PWD/lib RABBITMQ_PLUGINS_DIR=$PWD/lib\n"
	"export RABBITMQ_MNESIA_BASE=$PWD/mnesia RABBITMQ_LOG_BASE=$PWD/logs RABBITMQ_LOGS=-\n"
	"export RABBITMQ_NODENAME=mqbench@localhost RABBITMQ_CONFIG_FILE=$PWD/rabbit\n"
	"export RABBITMQ_ENABLED_PLUGINS= RABBITMQ_ENABLED_PLUGINS_FILE=$PWD/plugins\n"
	"export RABBITMQ_FEATURE_FLAGS= RABBITMQ_DIST_PORT=15673\n"
	"export ERL_EPMD_PORT=14369 ERL_EPMD_ADDRESS=127.0.0.1 ERL_CRASH_DUMP=/dev/null\n"
	"export PATH=$BINDIR:$PATH\n"
	"epmd &\n"
	"exec erlexec -noinput -s rabbit boot -boot start_sasl +W w +S 1:1 +SDio 1 +A 1 "
	"+sbwt none +sbwtdcpu none +sbwtdio none -syslog logger '[]' "
	"-syslog syslog_error_logger false -kernel prevent_overlapping_partitions false";

static void rabbitmq_open(struct bench *b)
{
	(void)b;
	if (server_wake(&server))
		return;
	server_file(&server, "rabbit.conf", "listeners.tcp.local = 127.0.0.1:%d\n"
		    "heartbeat = 0\nvm_memory_high_watermark.relative = 0.9\n"
		    "disk_free_limit.absolute = 1\nlog.console.level = error\n", PORT);
	server_start(&server, launch);
	server_wait_port(&server, PORT);
}

static void must(amqp_rpc_reply_t reply, const char *what)
{
	if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
		errx(1, "rabbitmq: %s: %s", what, amqp_error_string2(reply.library_error));
	if (reply.reply_type != AMQP_RESPONSE_NORMAL)
		errx(1, "rabbitmq: %s: refused by the server", what);
}

/* The consumer, which comes first, declares the queue, and it goes with the consumer. */
static void rabbitmq_attach(struct bench *b, bool producer)
{
	amqp_socket_t *sock;
	char name[32];

	connection = amqp_new_connection();
	sock = connection ? amqp_tcp_socket_new(connection) : NULL;
	if (!sock || amqp_socket_open(sock, "127.0.0.1", PORT))
		errx(1, "rabbitmq: no connection to port %d", PORT);
	must(amqp_login(connection, "/", 0, AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN,
			"guest", "guest"), "login");
	amqp_channel_open(connection, CHANNEL);
	must(amqp_get_rpc_reply(connection), "channel");
	snprintf(name, sizeof(name), "mq.%zu.%u.%u", b->size, b->batch, b->run);
	queue = amqp_bytes_malloc_dup(amqp_cstring_bytes(name));
	if (producer) {
		amqp_confirm_select(connection, CHANNEL);
		must(amqp_get_rpc_reply(connection), "confirms");
		return;
	}
	amqp_queue_declare(connection, CHANNEL, queue, 0, 0, 0, 1, amqp_empty_table);
	must(amqp_get_rpc_reply(connection), name);
	amqp_basic_consume(connection, CHANNEL, queue, amqp_empty_bytes, 0, 1, 0,
			   amqp_empty_table);
	must(amqp_get_rpc_reply(connection), name);
}

/* Until all of the batch are confirmed, in whatever order. */
static void wait_confirmed(unsigned int batch)
{
	uint64_t first = tags - batch + 1, open = ~0ULL >> (64 - batch);

	while (open) {
		amqp_frame_t frame;
		const amqp_basic_ack_t *ack;
		uint64_t done;

		amqp_maybe_release_buffers(connection);
		if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK ||
		    frame.frame_type != AMQP_FRAME_METHOD ||
		    frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
			errx(1, "rabbitmq: something else than a confirm");
		ack = frame.payload.method.decoded;
		if (ack->delivery_tag < first || ack->delivery_tag > tags)
			errx(1, "rabbitmq: a confirm of what is not open");
		done = 1ULL << (ack->delivery_tag - first);
		if (ack->multiple)
			done |= done - 1;
		open &= ~done;
	}
}

static void rabbitmq_produce(struct bench *b, uint64_t n)
{
	for (; n; n -= b->batch) {
		for (unsigned int i = 0; i < b->batch; i++) {
			amqp_bytes_t body = { b->size, (char *)next_message(b) };

			if (amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, queue, 0, 0,
					       NULL, body))
				errx(1, "rabbitmq: publish");
		}
		tags += b->batch;
		wait_confirmed(b->batch);
	}
}

static void rabbitmq_consume(struct bench *b, uint64_t n)
{
	while (n--) {
		amqp_envelope_t envelope;

		amqp_maybe_release_buffers(connection);
		must(amqp_consume_message(connection, &envelope, NULL, 0), "consume");
		if (envelope.message.body.len != b->size)
			errx(1, "rabbitmq: a message of %zu bytes", envelope.message.body.len);
		take_payload(b, envelope.message.body.bytes, b->size);
		amqp_destroy_envelope(&envelope);
	}
}

static void rabbitmq_close(struct bench *b)
{
	(void)b;
	server_rest(&server);
}

const struct peer rabbitmq_peer = {
	.name = "rabbitmq",
	.max_batch = 64,
	.max_messages = 1280,
	.open = rabbitmq_open,
	.attach = rabbitmq_attach,
	.produce = rabbitmq_produce,
	.consume = rabbitmq_consume,
	.close = rabbitmq_close,
};
