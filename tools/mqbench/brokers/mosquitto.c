// SPDX-License-Identifier: GPL-2.0
/* mosquitto, MQTT 3.1.1 over loopback TCP, QoS 0: one packet, one write(2) a message. */
#include <err.h>
#include <stdio.h>

#include <mosquitto.h>

#include "bench.h"
#include "server.h"

#define PORT	11883

static struct server server;
static struct mosquitto *client;
static char topic[32];
static struct bench *consuming;
static uint64_t wanted;
static bool subscribed;

static void mosquitto_open(struct bench *b)
{
	(void)b;
	if (server_wake(&server))
		return;
	server_file(&server, "conf", "listener %d 127.0.0.1\nallow_anonymous true\n"
		    "user root\npersistence false\nmax_queued_messages 0\n"
		    "max_inflight_messages 0\nset_tcp_nodelay true\nlog_type error\n", PORT);
	server_start(&server, "exec $0/deb/mosquitto/usr/sbin/mosquitto -c conf");
	server_wait_port(&server, PORT);
}

static void must(int error, const char *what)
{
	if (error != MOSQ_ERR_SUCCESS)
		errx(1, "mosquitto: %s: %s", what, mosquitto_strerror(error));
}

static void on_subscribe(struct mosquitto *m, void *context, int id, int count, const int *qos)
{
	(void)m;
	(void)context;
	(void)id;
	(void)count;
	(void)qos;
	subscribed = true;
}

static void on_message(struct mosquitto *m, void *context, const struct mosquitto_message *message)
{
	(void)m;
	(void)context;
	if (message->payloadlen != (int)consuming->size || !wanted)
		errx(1, "mosquitto: a message of %d bytes", message->payloadlen);
	take_payload(consuming, message->payload, consuming->size);
	wanted--;
}

static void on_connect(struct mosquitto *m, void *context, int code)
{
	(void)m;
	(void)code;
	*(bool *)context = true;
}

static void mosquitto_attach(struct bench *b, bool producer)
{
	static bool connected;

	mosquitto_lib_init();
	client = mosquitto_new(NULL, true, &connected);
	if (!client)
		err(1, "mosquitto");
	mosquitto_connect_callback_set(client, on_connect);
	mosquitto_subscribe_callback_set(client, on_subscribe);
	mosquitto_message_callback_set(client, on_message);
	must(mosquitto_connect(client, "127.0.0.1", PORT, 600), "connect");
	while (!connected)
		must(mosquitto_loop(client, 1000, 1), "connect");
	snprintf(topic, sizeof(topic), "mq/%u", b->run);
	if (producer)
		return;
	must(mosquitto_subscribe(client, NULL, topic, 0), topic);
	while (!subscribed)
		must(mosquitto_loop(client, 1000, 1), topic);
}

static void mosquitto_produce(struct bench *b, uint64_t n)
{
	while (n--)
		must(mosquitto_publish(client, NULL, topic, b->size, next_message(b), 0, false),
		     "publish");
	while (mosquitto_want_write(client))
		must(mosquitto_loop_write(client, 1), "publish");
}

static void mosquitto_consume(struct bench *b, uint64_t n)
{
	consuming = b;
	wanted = n;
	while (wanted)
		must(mosquitto_loop(client, 60000, 1), "receive");
}

static void mosquitto_close(struct bench *b)
{
	(void)b;
	server_rest(&server);
}

const struct peer mosquitto_peer = {
	.name = "mosquitto",
	.max_batch = 1,
	.max_messages = 10000,
	.open = mosquitto_open,
	.attach = mosquitto_attach,
	.produce = mosquitto_produce,
	.consume = mosquitto_consume,
	.close = mosquitto_close,
};
