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
	COL_MIN, COL_MAX, COL_SPREAD, COL_RATIO, COL_MESSAGES, COL_RUNS, COL_UNIT, NR_COLUMNS
};

static const struct {
	const char *name;
	int type;
} columns[NR_COLUMNS] = {
	[COL_MODE] = { "mode", SCOLS_JSON_STRING },
	[COL_SIZE] = { "size", SCOLS_JSON_NUMBER },
	[COL_BATCH] = { "batch", SCOLS_JSON_NUMBER },
	[COL_PEER] = { "peer", SCOLS_JSON_STRING },
	[COL_PRODUCE] = { "produce", SCOLS_JSON_NUMBER },
	[COL_CONSUME] = { "consume", SCOLS_JSON_NUMBER },
	[COL_TOTAL] = { "total", SCOLS_JSON_NUMBER },
	[COL_MIN] = { "min", SCOLS_JSON_NUMBER },
	[COL_MAX] = { "max", SCOLS_JSON_NUMBER },
	[COL_SPREAD] = { "spread%", SCOLS_JSON_NUMBER },
	[COL_RATIO] = { "vs-pipe", SCOLS_JSON_NUMBER },
	[COL_MESSAGES] = { "messages", SCOLS_JSON_NUMBER },
	[COL_RUNS] = { "runs", SCOLS_JSON_NUMBER },
	[COL_UNIT] = { "unit", SCOLS_JSON_STRING },
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
	if (r->mode[0] == 'i') {
		set(line, COL_PRODUCE, "%.1f", result_median(r->produce, r->runs));
		if (r->peer->consume)
			set(line, COL_CONSUME, "%.1f", result_median(r->consume, r->runs));
	}
	set(line, COL_TOTAL, "%.1f", median);
	set(line, COL_MIN, "%.1f", r->total[0]);
	set(line, COL_MAX, "%.1f", r->total[r->runs - 1]);
	set(line, COL_SPREAD, "%.2f", 100 * (r->total[r->runs - 1] - r->total[0]) / median);
	if (pipe > 0 && r->peer->consume)
		set(line, COL_RATIO, "%.3f", median / pipe);
}

void report(struct result *results, unsigned int n, bool json, const char *unit)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		errx(1, "no memory for the table");
	scols_table_set_name(table, "results");
	scols_table_enable_json(table, json);
	for (unsigned int i = 0; i < NR_COLUMNS; i++) {
		bool wide = i == COL_MESSAGES || i == COL_RUNS || i == COL_UNIT;
		struct libscols_column *column;

		column = scols_table_new_column(table, columns[i].name, 0,
						(columns[i].type == SCOLS_JSON_NUMBER ?
						 SCOLS_FL_RIGHT : 0) |
						(wide && !json ? SCOLS_FL_HIDDEN : 0));
		if (!column || scols_column_set_json_type(column, columns[i].type))
			errx(1, "no memory for the table");
	}
	for (unsigned int i = 0; i < n; i++)
		add_line(table, results, n, &results[i], unit);
	if (!json && n)
		printf("%s a message, median of %u runs of %" PRIu64 " messages\n", unit,
		       results[0].runs, results[0].messages);
	if (scols_print_table(table))
		errx(1, "cannot print the table");
	if (json)
		putchar('\n');
	scols_unref_table(table);
}
