// SPDX-License-Identifier: GPL-2.0
/* mq from C: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT */
#include <err.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <mq/mq.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

static struct { struct mq_batch batch; struct mq_record record; char data[1 << 20]; } m;

static char *attr(char *at, int type, const char *data, size_t len)	/* returns its end */
{
	memmove(at + NLA_HDRLEN, data, len);
	memcpy(at, &(struct nlattr){ NLA_HDRLEN + len, type }, NLA_HDRLEN);
	return at + NLA_HDRLEN + NLA_ALIGN(len);
}

/* One message with a key and a header: a batch of one record, padded with zeros. */
static ssize_t produce(int fd, const char *key, const char *header, const char *text)
{
	size_t name = strcspn(header, "="), value = name + !!header[name];
	char *nest = attr(m.data, MQ_ATTR_KEY, key, strlen(key)) + NLA_HDRLEN;
	char *end = attr(nest, MQ_HEADER_NAME, header, name);

	end = attr(end, MQ_HEADER_VALUE, header + value, strlen(header + value));
	attr(nest - NLA_HDRLEN, MQ_ATTR_HEADER, nest, end - nest);
	m.record = (struct mq_record){ .len = strlen(text) + 1, .attr_len = end - m.data };
	m.batch = (struct mq_batch){ sizeof(m.batch), sizeof(m.record), .count = 1,
		.partition = MQ_PARTITION_ANY, .entries_len = sizeof(m.record),
		.attrs_len = m.record.attr_len, .payload_len = m.record.len };
	end = stpcpy(stpcpy(end + (-m.record.attr_len & 7), text), "\n");
	return write(fd, &m, end - (char *)&m);
}

int main(int argc, char **argv)
{
	struct addrinfo *to, tcp = { .ai_family = AF_INET6, .ai_flags = AI_V4MAPPED };
	int fd, out = argc == 5 ? socket(AF_INET6, SOCK_STREAM, 0) : STDOUT_FILENO;
	char path[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/dev/mq/%s%s", argc > 2 ? argv[2] : "TOPIC?", argc == 6 ?
		 "+format=record" : argc == 5 ? "" : argc == 3 && *argv[1] == 'f' ?
		 "+from=newest" : "+since=1m+until=end");
	fd = open(path, argc == 6 ? O_WRONLY : O_RDONLY);
	if (argc == 5 && (getaddrinfo(argv[3], argv[4], &tcp, &to) ||
			  connect(out, to->ai_addr, to->ai_addrlen)))
		err(1, "%s port %s", argv[3], argv[4]);
	n = argc == 6 ? produce(fd, argv[3], argv[4], argv[5]) : 1;
	while (n > 0 && argc < 6)	/* from the ring's pages, to what takes a splice */
		n = sendfile(out, fd, NULL, 1 << 20);
	return n < 0 ? warn("%s", path), 1 : 0;
}
