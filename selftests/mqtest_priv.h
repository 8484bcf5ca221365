/* SPDX-License-Identifier: GPL-2.0 */
/* Between the parts of the test library. */
#ifndef MQTEST_PRIV_H
#define MQTEST_PRIV_H

#include "mqtest.h"

#define MQT_TOPICS	256

/* Shared by a program and the processes of its test points. */
struct mqt_shared {
	unsigned int failures;
	unsigned int topics;
	char why[256];
	char topic[MQT_TOPICS][MQ_TOPIC_NAME_MAX + 1];	/* to be deleted */
};

extern struct mqt_shared *mqt;

void mqt_topics_cleanup(void);

#endif
