/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Configuration files (mq.conf(5)): [topic NAME] sections, whose keys are the
 * attributes of topics, named and written as the options of "topic add".
 */
#ifndef MQCTL_CONF_H
#define MQCTL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "attrs.h"

struct conf_topic {
	char *name;
	const char *file;			/* one of conf.files */
	unsigned int line;			/* of the section */
	/* What it shall be, by attribute type; NULL: nobody has said */
	struct nlattr *tb[ATTR_TYPE_MAX];
	unsigned int lines[ATTR_TYPE_MAX];	/* of each key, 0: by default */
};

struct conf {
	struct conf_topic *topics;		/* in the files' order */
	size_t topics_n;
	char **files;
	size_t files_n;
	unsigned int errors;			/* each was said */
};

/* Reads a file, or the *.conf of a directory in the order of their names. */
void conf_read(struct conf *conf, const char *path);
/* Checks each topic as a whole, and adds what goes without saying. */
void conf_complete(struct conf *conf);
struct conf_topic *conf_find(const struct conf *conf, const char *name);
void conf_free(struct conf *conf);

/* A key's value as conf_read() takes it: in quotes where it must be. */
void conf_print_value(FILE *out, const char *text);
/* What a section can say of a topic. */
bool conf_is_key(const struct attr *attr);
/*
 * Value of an attribute about which nothing is said, next to those in @tb;
 * allocated. NULL: it depends on the moment of creation, or is not known here.
 */
struct nlattr *conf_default(const struct attr *attr, struct nlattr *const *tb);
/* Whether two values are the same; NULL is equal to nothing. */
bool conf_equal(const struct nlattr *a, const struct nlattr *b);

#endif
