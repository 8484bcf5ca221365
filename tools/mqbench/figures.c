// SPDX-License-Identifier: GPL-2.0
/* Figures: kept while workloads run, then a table or JSON, with the conditions they hold under. */
#define _GNU_SOURCE
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

#include "bench.h"

static struct figure *figures;
static unsigned int nr_figures;

void figure_add(const struct figure *f)
{
	struct figure *copy;

	figures = realloc(figures, (nr_figures + 1) * sizeof(*figures));
	if (!figures)
		err(1, "no memory for figures");
	copy = &figures[nr_figures++];
	*copy = *f;
	copy->values = must_alloc(f->runs * sizeof(*f->values));
	memcpy(copy->values, f->values, f->runs * sizeof(*f->values));
	copy->median = result_median(copy->values, copy->runs);
}

static double spread(const struct figure *f)
{
	return f->median ? 100 * (f->values[f->runs - 1] - f->values[0]) / f->median : 0;
}

enum column {
	COL_WORKLOAD, COL_PEER, COL_MODE, COL_SIZE, COL_BATCH, COL_COUNT, COL_METRIC, COL_MEDIAN,
	COL_UNIT, COL_MIN, COL_MAX, COL_SPREAD, NR_COLUMNS
};

static const struct {
	const char *name;
	bool number;
} columns[NR_COLUMNS] = {
	[COL_WORKLOAD] = { "workload", false },
	[COL_PEER] = { "peer", false },
	[COL_MODE] = { "mode", false },
	[COL_SIZE] = { "size", true },
	[COL_BATCH] = { "batch", true },
	[COL_COUNT] = { "count", true },
	[COL_METRIC] = { "metric", false },
	[COL_MEDIAN] = { "median", true },
	[COL_UNIT] = { "unit", false },
	[COL_MIN] = { "min", true },
	[COL_MAX] = { "max", true },
	[COL_SPREAD] = { "spread%", true },
};

static void set_text(struct libscols_line *line, enum column column, const char *text)
{
	if (scols_line_set_data(line, column, text))
		errx(1, "no memory for the table");
}

static void set(struct libscols_line *line, enum column column, double value)
{
	char text[64];

	/* Counts a message are small, and times are large. */
	snprintf(text, sizeof(text), value && value < 10 ? "%.4f" : "%.1f", value);
	set_text(line, column, text);
}

static void print_table(void)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		errx(1, "no memory for the table");
	for (unsigned int i = 0; i < NR_COLUMNS; i++) {
		if (!scols_table_new_column(table, columns[i].name, 0,
					    columns[i].number ? SCOLS_FL_RIGHT : 0))
			errx(1, "no memory for the table");
	}
	for (unsigned int i = 0; i < nr_figures; i++) {
		const struct figure *f = &figures[i];
		struct libscols_line *line = scols_table_new_line(table, NULL);
		char text[32];

		if (!line)
			errx(1, "no memory for the table");
		set_text(line, COL_WORKLOAD, f->workload);
		set_text(line, COL_PEER, f->peer);
		set_text(line, COL_MODE, f->mode);
		set_text(line, COL_METRIC, f->metric);
		set_text(line, COL_UNIT, f->unit);
		snprintf(text, sizeof(text), "%zu", f->size);
		set_text(line, COL_SIZE, text);
		snprintf(text, sizeof(text), "%u", f->batch);
		set_text(line, COL_BATCH, text);
		snprintf(text, sizeof(text), "%u", f->count);
		set_text(line, COL_COUNT, text);
		set(line, COL_MEDIAN, f->median);
		set(line, COL_MIN, f->values[0]);
		set(line, COL_MAX, f->values[f->runs - 1]);
		snprintf(text, sizeof(text), "%.2f", spread(f));
		set_text(line, COL_SPREAD, text);
	}
	if (scols_print_table(table))
		errx(1, "cannot print the table");
	scols_unref_table(table);
}

static struct json_object *conditions(bool counting)
{
	struct json_object *o = json_object_new_object();
	struct utsname uts;

	uname(&uts);
	json_object_object_add(o, "kernel", json_object_new_string(uts.release));
	json_object_object_add(o, "machine", json_object_new_string(uts.machine));
	json_object_object_add(o, "cpus", json_object_new_int(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_object_add(o, "counting", json_object_new_boolean(counting));
	return o;
}

static void print_json(bool counting)
{
	struct json_object *top = json_object_new_object(), *list = json_object_new_array();

	json_object_object_add(top, "conditions", conditions(counting));
	json_object_object_add(top, "figures", list);
	for (unsigned int i = 0; i < nr_figures; i++) {
		const struct figure *f = &figures[i];
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "workload", json_object_new_string(f->workload));
		json_object_object_add(o, "peer", json_object_new_string(f->peer));
		json_object_object_add(o, "mode", json_object_new_string(f->mode));
		json_object_object_add(o, "size", json_object_new_int64(f->size));
		json_object_object_add(o, "batch", json_object_new_int64(f->batch));
		json_object_object_add(o, "count", json_object_new_int64(f->count));
		json_object_object_add(o, "metric", json_object_new_string(f->metric));
		json_object_object_add(o, "unit", json_object_new_string(f->unit));
		json_object_object_add(o, "median", json_object_new_double(f->median));
		json_object_object_add(o, "min", json_object_new_double(f->values[0]));
		json_object_object_add(o, "max", json_object_new_double(f->values[f->runs - 1]));
		json_object_object_add(o, "spread_percent", json_object_new_double(spread(f)));
		json_object_object_add(o, "runs", json_object_new_int64(f->runs));
		json_object_object_add(o, "messages", json_object_new_int64(f->messages));
		json_object_array_add(list, o);
	}
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY));
	json_object_put(top);
}

void figures_print(bool json, bool counting)
{
	struct utsname uts;

	if (json) {
		print_json(counting);
		return;
	}
	uname(&uts);
	printf("kernel %s, %ld CPU, %s\n", uts.release, sysconf(_SC_NPROCESSORS_ONLN),
	       counting ? "times are instructions" : "times are ns of this machine, now");
	print_table();
}
