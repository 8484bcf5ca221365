/* SPDX-License-Identifier: GPL-2.0 */
/* The module unloaded and loaded again, for the tests that do. Beyond mqtest.h. */
#ifndef _SELFTESTS_MODULE_H
#define _SELFTESTS_MODULE_H

#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "mqtest.h"

/* 0, or -1 and errno: EWOULDBLOCK while somebody uses it. */
static inline int module_unload(void)
{
	return syscall(SYS_delete_module, "mq", O_NONBLOCK);
}

static inline bool module_loaded(void)
{
	return !access("/sys/module/mq", F_OK);
}

/* The file to be loaded. */
static inline int module_open(void)
{
	struct utsname u;
	char path[256];
	int fd;

	need_ret(uname(&u), 0);
	snprintf(path, sizeof(path), "build/%s/mq.ko", u.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		skip("no %s: not the kernel that the module was built for", path);
	return fd;
}

static inline void module_load(void)
{
	int fd = module_open();

	need_ret(syscall(SYS_finit_module, fd, "", 0), 0);
	close(fd);
}

static inline void module_mount(void)
{
	need_ret(mount("mq", MQ_DIR, "mq", 0, NULL), 0);
}

static inline void module_unmount(void)
{
	need_ret(umount2(MQ_DIR, MNT_DETACH), 0);
}

static inline bool module_mounted(void)
{
	struct stat dir, parent;

	return !stat(MQ_DIR, &dir) && !stat("/dev", &parent) && dir.st_dev != parent.st_dev;
}

#endif
