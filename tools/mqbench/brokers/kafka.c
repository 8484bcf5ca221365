// SPDX-License-Identifier: GPL-2.0
/*
 * Kafka, one KRaft node (broker and controller in one JVM), librdkafka as its client. acks=1,
 * no fsync: messages are in the page cache of a tmpfs. A message is waited for, or a batch of
 * them, which makes one request (linger.ms lasts until it is full).
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include <librdkafka/rdkafka.h>

#include "bench.h"
#include "server.h"

#define PORT	19092

static struct server server;
static rd_kafka_t *client;
static rd_kafka_topic_t *topic;
static uint64_t delivered;

/* C1 only, and classes shared: half the instructions of starting; C2 would come too late anyhow. */
static const char launch[] =
	"exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto "
	"-XX:-UsePerfData -cp \"$0/peers/kafka/*\" kafka.Kafka server.properties";

static void kafka_open(struct bench *b)
{
	(void)b;
	if (server_wake(&server))
		return;
	server_file(&server, "meta.properties", "version=1\nnode.id=1\n"
		    "cluster.id=mqbenchmqbenchmqbenchw\ndirectory.id=mqbenchmqbenchmqbenchg\n");
	server_file(&server, "server.properties",
		    "process.roles=broker,controller\nnode.id=1\n"
		    "controller.quorum.voters=1@127.0.0.1:%d\n"
		    "listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d\n"
		    "controller.listener.names=CONTROLLER\nlog.dirs=%s\n"
		    "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n"
		    "broker.session.timeout.ms=86400000\nlog.cleaner.enable=false\n"
		    "num.network.threads=1\nnum.io.threads=1\n", PORT + 1, PORT, PORT + 1,
		    server.dir);
	server_start(&server, launch);
	server_wait_port(&server, PORT);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		errx(1, "kafka: %s", why);
}

static void on_delivery(rd_kafka_t *k, const rd_kafka_message_t *message, void *context)
{
	(void)k;
	(void)context;
	if (message->err)
		errx(1, "kafka: %s", rd_kafka_err2str(message->err));
	delivered++;
}

/* The consumer, which comes first, lets the broker create the topic, by asking for it. */
static void await_topic(void)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error;
	bool there;

	do {
		there = false;
		error = rd_kafka_metadata(client, 0, topic, &metadata, 3600000);
		if (!error) {
			there = metadata->topic_cnt == 1 && !metadata->topics[0].err &&
				metadata->topics[0].partition_cnt == 1 &&
				!metadata->topics[0].partitions[0].err;
			rd_kafka_metadata_destroy(metadata);
		}
	} while (!there);
}

static void kafka_attach(struct bench *b, bool producer)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256], text[32];

	snprintf(text, sizeof(text), "127.0.0.1:%d", PORT);
	set(conf, "bootstrap.servers", text);
	set(conf, "socket.timeout.ms", "300000");
	set(conf, "allow.auto.create.topics", "true");
	set(conf, "log.connection.close", "false");
	if (producer) {
		snprintf(text, sizeof(text), "%u", b->batch);
		set(conf, "batch.num.messages", text);
		set(conf, "linger.ms", b->batch > 1 ? "900000" : "0");
		set(conf, "acks", "1");
		set(conf, "message.timeout.ms", "0");
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	}
	client = rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, why,
			      sizeof(why));
	if (!client)
		errx(1, "kafka: %s", why);
	snprintf(text, sizeof(text), "mq.%zu.%u.%u", b->size, b->batch, b->run);
	topic = rd_kafka_topic_new(client, text, NULL);
	await_topic();
	if (!producer && rd_kafka_consume_start(topic, 0, RD_KAFKA_OFFSET_BEGINNING))
		errx(1, "kafka: consume: %s", rd_kafka_err2str(rd_kafka_last_error()));
}

static void kafka_produce(struct bench *b, uint64_t n)
{
	uint64_t sent = 0;

	while (sent < n) {
		for (unsigned int i = 0; i < b->batch; i++) {
			if (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY,
					     (void *)next_message(b), b->size, NULL, 0, NULL))
				errx(1, "kafka: produce: %s",
				     rd_kafka_err2str(rd_kafka_last_error()));
		}
		sent += b->batch;
		while (delivered < sent)
			rd_kafka_poll(client, 3600000);
	}
}

static void kafka_consume(struct bench *b, uint64_t n)
{
	rd_kafka_message_t *batch[64];

	while (n) {
		ssize_t count = rd_kafka_consume_batch(topic, 0, 3600000, batch,
						       n < 64 ? n : 64);

		for (ssize_t i = 0; i < count; i++) {
			if (batch[i]->err || batch[i]->len != b->size)
				errx(1, "kafka: a message of %zu bytes: %s", batch[i]->len,
				     rd_kafka_err2str(batch[i]->err));
			take_payload(b, batch[i]->payload, batch[i]->len);
			rd_kafka_message_destroy(batch[i]);
			n--;
		}
	}
}

static void kafka_close(struct bench *b)
{
	(void)b;
	server_rest(&server);
}

const struct peer kafka_peer = {
	.name = "kafka",
	.max_messages = 640,
	.open = kafka_open,
	.attach = kafka_attach,
	.produce = kafka_produce,
	.consume = kafka_consume,
	.close = kafka_close,
};
