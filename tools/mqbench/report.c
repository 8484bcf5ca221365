// SPDX-License-Identifier: GPL-2.0
/* The table of results, for people and as JSON. */
#include <err.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <libsmartcols/libsmartcols.h>

#include "bench.h"

extern const struct peer peer_pipe;

enum column {
	COL_MODE, COL_SIZE, COL_BATCH, COL_PEER, COL_PRODUCE, COL_CONSUME, COL_TOTAL,
	COL_MIN, COL_MAX, COL_SPREAD, COL_RATIO, COL_WAITS, COL_MESSAGES, COL_RUNS, COL_UNIT, NR_COLUMNS
};

static const struct {
	const char *name;
	bool number;
} columns[NR_COLUMNS] = {
	[COL_MODE] = { "mode", false },
	[COL_SIZE] = { "size", true },
	[COL_BATCH] = { "batch", true },
	[COL_PEER] = { "peer", false },
	[COL_PRODUCE] = { "produce", true },
	[COL_CONSUME] = { "consume", true },
	[COL_TOTAL] = { "total", true },
	[COL_MIN] = { "min", true },
	[COL_MAX] = { "max", true },
	[COL_SPREAD] = { "spread%", true },
	[COL_RATIO] = { "vs-pipe", true },
	[COL_WAITS] = { "waits", true },
	[COL_MESSAGES] = { "messages", true },
	[COL_RUNS] = { "runs", true },
	[COL_UNIT] = { "unit", false },
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double result_median(double *runs, unsigned int n)
{
	qsort(runs, n, sizeof(*runs), by_value);
	return n % 2 ? runs[n / 2] : (runs[n / 2 - 1] + runs[n / 2]) / 2;
}

double result_of(const struct result *results, unsigned int n, const struct result *like,
		 const struct peer *peer)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct result *r = &results[i];

		if (r->peer == peer && r->size == like->size && r->batch == like->batch &&
		    r->mode == like->mode)
			return result_median(r->total, r->runs);
	}
	return 0;
}

static void set(struct libscols_line *line, enum column column, const char *format, double value)
{
	char text[64];

	snprintf(text, sizeof(text), format, value);
	if (scols_line_set_data(line, column, text))
		errx(1, "no memory for the table");
}

static void add_line(struct libscols_table *table, struct result *results, unsigned int n,
		     struct result *r, const char *unit)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	double pipe = result_of(results, n, r, &peer_pipe);
	double median = result_median(r->total, r->runs);

	if (!line || scols_line_set_data(line, COL_MODE, r->mode) ||
	    scols_line_set_data(line, COL_PEER, r->peer->name) ||
	    scols_line_set_data(line, COL_UNIT, unit))
		errx(1, "no memory for the table");
	set(line, COL_SIZE, "%.0f", r->size);
	set(line, COL_BATCH, "%.0f", r->batch);
	set(line, COL_MESSAGES, "%.0f", r->messages);
	set(line, COL_RUNS, "%.0f", r->runs);
	if (r->mode[0] != 'p') {
		set(line, COL_PRODUCE, "%.1f", result_median(r->produce, r->runs));
		if (r->peer->consume && r->mode[0] == 'i')
			set(line, COL_CONSUME, "%.1f", result_median(r->consume, r->runs));
	}
	if (r->mode[0] == 'p')
		set(line, COL_WAITS, "%.4f", result_median(r->switches[1], r->runs));
	set(line, COL_TOTAL, "%.1f", median);
	set(line, COL_MIN, "%.1f", r->total[0]);
	set(line, COL_MAX, "%.1f", r->total[r->runs - 1]);
	set(line, COL_SPREAD, "%.2f", 100 * (r->total[r->runs - 1] - r->total[0]) / median);
	if (pipe > 0 && r->peer->consume)
		set(line, COL_RATIO, "%.3f", median / pipe);
}

void report(struct result *results, unsigned int n, const char *unit)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		errx(1, "no memory for the table");
	for (unsigned int i = 0; i < NR_COLUMNS; i++) {
		bool wide = i == COL_MESSAGES || i == COL_RUNS || i == COL_UNIT;
		struct libscols_column *column;

		column = scols_table_new_column(table, columns[i].name, 0,
						(columns[i].number ?
						 SCOLS_FL_RIGHT : 0) |
						(wide ? SCOLS_FL_HIDDEN : 0));
		if (!column)
			errx(1, "no memory for the table");
	}
	for (unsigned int i = 0; i < n; i++)
		add_line(table, results, n, &results[i], unit);
	if (n)
		printf("%s a message, median of %u runs of %" PRIu64 " messages\n", unit,
		       results[0].runs, results[0].messages);
	if (scols_print_table(table))
		errx(1, "cannot print the table");
	scols_unref_table(table);
}

void report_figures(const struct result *results, unsigned int n, const struct options *o)
{
	const char *unit = time_per_message(o);

	for (const struct result *r = results; r < results + n; r++) {
		bool pair = r->mode[0] == 'p', both = r->mode[0] == 'i' && r->peer->consume;
		const struct {
			const char *metric, *unit;
			double *values;
			bool has;
		} parts[] = {
			{ "total", unit, r->total, true },
			{ "produce", unit, r->produce, both },
			{ "consume", unit, r->consume, both },
			{ "producer waits", "times/message", r->switches[0], pair },
			{ "consumer waits", "times/message", r->switches[1], pair },
		};

		for (unsigned int i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
			if (!parts[i].has)
				continue;
			figure_add(&(struct figure){
				.workload = "append", .peer = r->peer->name, .mode = r->mode,
				.metric = parts[i].metric, .unit = parts[i].unit, .size = r->size,
				.batch = r->batch, .count = 1, .messages = r->messages,
				.runs = r->runs, .values = parts[i].values,
			});
		}
	}
}
