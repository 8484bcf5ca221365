// SPDX-License-Identifier: GPL-2.0
/*
 * NATS core and JetStream, over loopback TCP. Core: batch 1 is one write(2) a message,
 * which nobody acknowledges; a batch is buffered and flushed, a round trip. JetStream:
 * a stream in memory; each publish is waited for, or a batch of asynchronous ones is.
 */
#include <err.h>
#include <stdio.h>

#include <nats/nats.h>

#include "bench.h"
#include "server.h"

#define CORE_PORT	14222
#define STREAM_PORT	14223
#define FOREVER		(1 << 30)	/* ms; where the guest is idle, its clock may leap */

static struct server core, streams;
static natsConnection *connection;
static natsSubscription *subscription;
static jsCtx *js;
static char subject[32];

static void must(natsStatus status, const char *what)
{
	if (status != NATS_OK)
		errx(1, "nats: %s: %s", what, natsStatus_GetText(status));
}

static void start(struct server *s, unsigned int port, const char *more)
{
	if (server_wake(s))
		return;
	server_file(s, "conf", "host: 127.0.0.1\nport: %u\nmax_pending: 1GB\n"
		    "write_deadline: \"60s\"\nping_interval: \"10m\"\n%s", port, more);
	server_start(s, "exec $0/deb/nats/usr/sbin/nats-server -c conf");
	server_wait_port(s, port);
}

static void attach(unsigned int port, bool at_once)
{
	natsOptions *options;
	char url[64];

	snprintf(url, sizeof(url), "nats://127.0.0.1:%u", port);
	must(natsOptions_Create(&options), "options");
	must(natsOptions_SetURL(options, url), url);
	must(natsOptions_SetTimeout(options, FOREVER), "options");
	must(natsOptions_SetPingInterval(options, FOREVER), "options");
	must(natsOptions_SetSendAsap(options, at_once), "options");
	must(natsConnection_Connect(&connection, options), url);
}

static void consume(struct bench *b, uint64_t n)
{
	while (n--) {
		natsMsg *message;

		must(natsSubscription_NextMsg(&message, subscription, FOREVER), "next message");
		if (natsMsg_GetDataLength(message) != (int)b->size)
			errx(1, "nats: a message of %d bytes", natsMsg_GetDataLength(message));
		take_payload(b, natsMsg_GetData(message), b->size);
		natsMsg_Destroy(message);
	}
}

static void core_open(struct bench *b)
{
	(void)b;
	start(&core, CORE_PORT, "");
}

static void core_attach(struct bench *b, bool producer)
{
	attach(CORE_PORT, b->batch == 1);
	snprintf(subject, sizeof(subject), "mq.%u", b->run);
	if (!producer) {
		must(natsConnection_SubscribeSync(&subscription, connection, subject), subject);
		must(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
	}
	must(natsConnection_FlushTimeout(connection, FOREVER), "flush");
}

static void core_produce(struct bench *b, uint64_t n)
{
	for (; n; n -= b->batch) {
		for (unsigned int i = 0; i < b->batch; i++)
			must(natsConnection_Publish(connection, subject, next_message(b), b->size),
			     "publish");
		if (b->batch > 1)
			must(natsConnection_FlushTimeout(connection, FOREVER), "flush");
	}
}

static void core_close(struct bench *b)
{
	(void)b;
	server_rest(&core);
}

static void streams_open(struct bench *b)
{
	(void)b;
	start(&streams, STREAM_PORT, "jetstream { store_dir: store, max_memory_store: 2GB }\n");
}

static void must_js(natsStatus status, jsErrCode code, const char *what)
{
	if (status != NATS_OK)
		errx(1, "jetstream: %s: %s (%d)", what, natsStatus_GetText(status), code);
}

/* A stream for each run; the consumer, which comes first, makes it, and needs no acknowledging. */
static void streams_attach(struct bench *b, bool producer)
{
	const char *subjects[] = { subject };
	jsStreamConfig config;
	jsSubOptions options;
	jsOptions forever;
	jsErrCode code = 0;

	attach(STREAM_PORT, false);
	snprintf(subject, sizeof(subject), "mq.%u", b->run);
	must(jsOptions_Init(&forever), "options");
	forever.Wait = FOREVER;
	must(natsConnection_JetStream(&js, connection, &forever), "context");
	if (producer)
		return;
	js_DeleteStream(js, "mq", NULL, NULL);	/* the last run's, if there was one */
	must(jsStreamConfig_Init(&config), "stream");
	config.Name = "mq";
	config.Subjects = subjects;
	config.SubjectsLen = 1;
	config.Storage = js_MemoryStorage;
	must_js(js_AddStream(NULL, js, &config, NULL, &code), code, "stream");
	must(jsSubOptions_Init(&options), "subscription");
	options.Config.AckPolicy = js_AckNone;
	must_js(js_SubscribeSync(&subscription, js, subject, NULL, &options, &code), code,
		subject);
	must(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
	must(natsConnection_FlushTimeout(connection, FOREVER), "flush");
}

static void streams_produce(struct bench *b, uint64_t n)
{
	jsErrCode code = 0;

	for (; n; n -= b->batch) {
		if (b->batch == 1) {
			must_js(js_Publish(NULL, js, subject, next_message(b), b->size, NULL, &code),
				code, "publish");
			continue;
		}
		for (unsigned int i = 0; i < b->batch; i++)
			must(js_PublishAsync(js, subject, next_message(b), b->size, NULL),
			     "publish");
		must(js_PublishAsyncComplete(js, NULL), "publish");
	}
}

static void streams_close(struct bench *b)
{
	(void)b;
	server_rest(&streams);
}

const struct peer nats_peer = {
	.name = "nats",
	.max_messages = 20000,
	.open = core_open,
	.attach = core_attach,
	.produce = core_produce,
	.consume = consume,
	.close = core_close,
};

const struct peer jetstream_peer = {
	.name = "jetstream",
	.max_messages = 2048,
	.open = streams_open,
	.attach = streams_attach,
	.produce = streams_produce,
	.consume = consume,
	.close = streams_close,
};
