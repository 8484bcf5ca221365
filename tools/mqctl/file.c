// SPDX-License-Identifier: GPL-2.0
/* Topics' files: opened, looked at, and why that fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mqctl.h"

const char *mq_dir(void)
{
	const char *dir = getenv("MQ_DIR");

	return dir && *dir ? dir : "/dev/mq";
}

void topic_operand(const struct command *cmd, const char *text, struct topic_ref *ref)
{
	const char *why = parse_topic(text, ref);
	char name[64];

	if (why)
		usage_error(cmd, "%s: %s", text, why);
	command_name(cmd, name, sizeof(name));
	set_context("%s %s", name, text);
}

/* Whether another file system than its parent's is mounted at the directory. */
static bool is_mounted(const char *dir)
{
	struct stat st, up;
	char parent[4096];

	snprintf(parent, sizeof(parent), "%s/..", dir);
	return !stat(dir, &st) && !stat(parent, &up) && st.st_dev != up.st_dev;
}

static void __attribute__((noreturn)) explain_access(const char *path)
{
	const struct passwd *pw;
	const struct group *gr;
	struct stat st;
	char user[16], group[16];

	if (stat(path, &st))
		die("%s: no permission: this user may not enter %s", path, mq_dir());
	pw = getpwuid(st.st_uid);
	gr = getgrgid(st.st_gid);
	snprintf(user, sizeof(user), "%u", st.st_uid);
	snprintf(group, sizeof(group), "%u", st.st_gid);
	die("%s: no permission: mode %04o, owner %s:%s", path, st.st_mode & 0777,
	    pw ? pw->pw_name : user, gr ? gr->gr_name : group);
}

static void __attribute__((noreturn)) explain_open(const struct topic_ref *ref,
						   const char *options, int err)
{
	char path[4096];
	int n;

	n = snprintf(path, sizeof(path), "%s/%s", mq_dir(), ref->name);
	if (err == EACCES || err == EPERM)
		explain_access(path);
	if (err != ENOENT && err != ENOTDIR)
		die("%s%s: %s", path, options, strerror(err));
	if (!is_mounted(mq_dir()) && !module_loaded())
		die("the module mq is not loaded: load it by 'modprobe mq'");
	if (!is_mounted(mq_dir()))
		die("%s is not mounted: mount it by 'mount -t mq mq %s'", mq_dir(), mq_dir());
	if (access(path, F_OK))
		die("no topic has this name: 'mqctl topic list' shows the topics there are");
	if (ref->partition >= 0) {
		snprintf(path + n, sizeof(path) - n, "@%d", ref->partition);
		if (access(path, F_OK))
			die("the topic has no partition %d", ref->partition);
	}
	die("%s%s: the module does not take these options", path, options);
}

static int try_topic(const struct topic_ref *ref, const char *options, int flags)
{
	char path[4096], partition[16] = "";

	if (ref->partition >= 0)
		snprintf(partition, sizeof(partition), "@%d", ref->partition);
	if (snprintf(path, sizeof(path), "%s/%s%s%s", mq_dir(), ref->name, partition, options) >=
	    (int)sizeof(path))
		die("%s: %s", mq_dir(), strerror(ENAMETOOLONG));
	return open(path, flags | O_CLOEXEC);
}

int open_topic(const struct topic_ref *ref, const char *options, int flags)
{
	char all[256];
	int fd;

	snprintf(all, sizeof(all), "+format=record%s", options);
	fd = try_topic(ref, all, flags);
	if (fd < 0)
		explain_open(ref, all, errno);
	return fd;
}

int open_payloads(const struct topic_ref *ref, const char *options, int flags, bool must)
{
	int fd = try_topic(ref, options, flags);

	if (fd < 0 && must)
		explain_open(ref, options, errno);
	return fd;
}

void stat_topic(int fd, struct mq_stat *st)
{
	*st = (struct mq_stat) { .size = sizeof(*st) };
	if (ioctl(fd, MQ_IOC_STAT, st))
		die("MQ_IOC_STAT: %s%s", strerror(errno),
		    errno == ENOTTY ? ": the file is not a topic's" : "");
}

void seek_time(int fd, int64_t ns)
{
	struct mq_seek seek = {
		.size = sizeof(seek),
		.whence = MQ_SEEK_TIME,
		.value = ns,
	};

	if (ioctl(fd, MQ_IOC_SEEK, &seek))
		die("MQ_IOC_SEEK: %s", strerror(errno));
}

#define READ_FIRST	(1U << 20)
#define READ_MOST	(1U << 31)

ssize_t read_batch(int fd, struct read_buffer *buf)
{
	ssize_t n;

	for (;;) {
		if (!buf->data) {
			if (!buf->size)
				buf->size = READ_FIRST;
			buf->data = malloc(buf->size);
			if (!buf->data)
				die("out of memory");
		}
		n = read(fd, buf->data, buf->size);
		/* Not even one message fits. */
		if (n >= 0 || errno != EMSGSIZE || buf->size >= READ_MOST)
			return n;
		buf->size *= 2;
		free(buf->data);
		buf->data = NULL;
	}
}
