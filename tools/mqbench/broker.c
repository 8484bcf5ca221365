// SPDX-License-Identifier: GPL-2.0
/*
 * Peers with a library, and mostly a server, of their own: brokers/NAME.c is
 * build/peers/NAME.so, loaded only when it is asked for, so that mqbench itself
 * needs none of their packages (make deps-bench installs those).
 */
#include <dlfcn.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "server.h"

#define BROKER(id, file, text)			\
	const struct peer peer_##id = {		\
		.name = #id,			\
		.what = text,			\
		.plugin = file,			\
	}

BROKER(zeromq, "zeromq", "ZeroMQ: PUSH to PULL over ipc; no broker, bounded queues");
BROKER(redis, "redis", "Redis streams: XADD (a batch is a pipeline), XREAD; in memory");
BROKER(nats, "nats", "NATS core: publish, subscribe; nothing is kept or acknowledged");
BROKER(jetstream, "nats", "NATS JetStream: in memory, each publish acknowledged");
BROKER(rabbitmq, "rabbitmq", "RabbitMQ: a transient classic queue, publisher confirms");
BROKER(kafka, "kafka", "Kafka, one KRaft node: acks=1, no fsync");
BROKER(nsq, "nsq", "NSQ: PUB (a batch is an MPUB), FIN for each message");
BROKER(mosquitto, "mosquitto", "mosquitto (MQTT), QoS 0: nothing is kept or acknowledged");

const struct peer *peer_load(const struct peer *peer)
{
	char path[PATH_SIZE], symbol[64];
	void *plugin, *found;

	if (!peer->plugin)
		return peer;
	snprintf(path, sizeof(path), "%s/peers/%s.so", build_dir(), peer->plugin);
	snprintf(symbol, sizeof(symbol), "%s_peer", peer->name);
	/* Stays loaded: asked for again, it is the same one. */
	plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	found = plugin ? dlsym(plugin, symbol) : NULL;
	if (!found)
		errx(1, "peer %s: %s: run 'make peers'", peer->name, dlerror());
	/* cppcheck-suppress resourceLeak */
	return found;
}
