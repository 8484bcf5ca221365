/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_TIME_H
#define SHIM_TIME_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC	1000000000LL
#define NSEC_PER_MSEC	1000000LL

static inline int64_t mktime64(unsigned int year, unsigned int mon, unsigned int day,
			       unsigned int hour, unsigned int min, unsigned int sec)
{
	struct tm tm = {
		.tm_year = year - 1900,
		.tm_mon = mon - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = min,
		.tm_sec = sec,
	};

	return timegm(&tm);
}

static inline void time64_to_tm(int64_t seconds, int offset, struct tm *tm)
{
	time_t t = seconds + offset;

	gmtime_r(&t, tm);
}

#endif
