// SPDX-License-Identifier: GPL-2.0
/* The event loop of mqctl ship and receive. */
#include <signal.h>
#include <sys/resource.h>

#include "mqctl.h"
#include "ship_net.h"

static void on_stop(uv_signal_t *handle, int signum)
{
	(void)signum;
	uv_stop(handle->loop);
}

void ship_loop_init(uv_loop_t *loop)
{
	static uv_signal_t signals[2];
	struct rlimit files;

	if (uv_loop_init(loop))
		die("out of memory");
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		uv_signal_init(loop, &signals[i]);
		uv_signal_start(&signals[i], on_stop, i ? SIGINT : SIGTERM);
	}
}
