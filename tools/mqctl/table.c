// SPDX-License-Identifier: GPL-2.0
/* Tables and their JSON, by libsmartcols, from the attribute table. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols/libsmartcols.h>

#include "mqctl.h"

#define COLUMNS_MAX	64

struct column {
	const struct attr *attr;
	bool counter;			/* its value is among the nested counters */
};

struct table {
	struct libscols_table *scols;
	struct column columns[COLUMNS_MAX];
	unsigned int count;
	bool numeric;
};

const struct opt table_options[] = {
	{ "columns", 'o', false, "LIST", "columns to show, by name, separated by commas", NULL },
	{ "json", 'j', false, NULL, "JSON; numbers are plain, as with --numeric", NULL },
	{ "raw", 'r', false, NULL, "columns separated by one blank, not aligned", NULL },
	{ "noheadings", 0, false, NULL, "no heading", NULL },
	{ "numeric", 'n', false, NULL, "plain numbers: bytes, milliseconds, ids of users", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

bool table_option(struct table_opts *opts, const struct opt *opt)
{
	bool *flag = !strcmp(opt->name, "json") ? &opts->json :
		     !strcmp(opt->name, "raw") ? &opts->raw :
		     !strcmp(opt->name, "noheadings") ? &opts->noheadings :
		     !strcmp(opt->name, "numeric") ? &opts->numeric : NULL;

	if (flag)
		*flag = true;
	return flag;
}

void print_columns(FILE *out, const struct attr_set *set)
{
	for (unsigned int i = 0; i < set->count; i++) {
		fprintf(out, "  %-19s", set->attrs[i].name);
		print_wrapped(out, set->attrs[i].help, 21);
	}
}

static void add_column(struct table *table, const struct attr *attr, bool counter)
{
	struct libscols_column *column;

	if (table->count == COLUMNS_MAX)
		die("too many columns");
	column = scols_table_new_column(table->scols, attr->name, 0,
					attr_is_number(attr) && attr->kind != ATTR_UID &&
					attr->kind != ATTR_GID ? SCOLS_FL_RIGHT : 0);
	if (!column)
		die("out of memory");
	scols_column_set_json_type(column, attr->kind == ATTR_BOOL ? SCOLS_JSON_BOOLEAN :
				   attr_is_number(attr) ? SCOLS_JSON_NUMBER : SCOLS_JSON_STRING);
	table->columns[table->count++] = (struct column) { attr, counter };
}

static void choose_columns(const struct command *cmd, struct table *table,
			   const struct attr_set *set, const char *list)
{
	char *copy = strdup(list), *save = NULL;
	const struct attr *attr;

	if (!copy)
		die("out of memory");
	for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		attr = attr_by_name(set, name);
		if (!attr && set->stats) {
			attr = attr_by_name(&stats_attrs, name);
			if (attr) {
				add_column(table, attr, true);
				continue;
			}
		}
		if (!attr)
			usage_error(cmd, "--columns %s: no column %s", list, name);
		add_column(table, attr, false);
	}
	free(copy);
	if (!table->count)
		usage_error(cmd, "--columns %s: no column named", list);
}

static struct table *new_table(const struct table_opts *opts, const char *name)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		die("out of memory");
	table->scols = scols_new_table();
	if (!table->scols)
		die("out of memory");
	scols_table_set_name(table->scols, name);
	scols_table_enable_json(table->scols, opts->json);
	/* In JSON raw means nothing. */
	scols_table_enable_raw(table->scols, opts->raw && !opts->json);
	scols_table_enable_noheadings(table->scols, opts->noheadings);
	table->numeric = opts->numeric || opts->json;
	return table;
}

struct table *table_new(const struct command *cmd, const struct table_opts *opts,
			const char *name, const struct attr_set *set, unsigned int by_default)
{
	struct table *table = new_table(opts, name);

	if (opts->columns) {
		choose_columns(cmd, table, set, opts->columns);
		return table;
	}
	for (unsigned int i = 0; i < set->count; i++) {
		if (set->attrs[i].flags & by_default)
			add_column(table, &set->attrs[i], false);
	}
	for (unsigned int i = 0; set->stats && i < stats_attrs.count; i++) {
		if (stats_attrs.attrs[i].flags & by_default)
			add_column(table, &stats_attrs.attrs[i], true);
	}
	return table;
}

static void set_cell(struct libscols_line *line, unsigned int column, char *text)
{
	/* The line owns the text from here. */
	if (text && scols_line_refer_data(line, column, text))
		die("out of memory");
}

void table_add(struct table *table, struct nlattr **tb, struct nlattr **stats)
{
	struct libscols_line *line = scols_table_new_line(table->scols, NULL);

	if (!line)
		die("out of memory");
	for (unsigned int i = 0; i < table->count; i++) {
		const struct column *column = &table->columns[i];
		struct nlattr **from = column->counter ? stats : tb;

		set_cell(line, i, attr_text(column->attr, from[column->attr->type],
					    table->numeric));
	}
}

void table_print(struct table *table)
{
	int err = 0;

	/* Without lines smartcols prints nothing; JSON must be JSON all the same. */
	if (!scols_table_is_empty(table->scols) || !scols_table_is_json(table->scols))
		err = scols_print_table(table->scols);
	else
		printf("{\"%s\": []}\n", scols_table_get_name(table->scols));
	if (err)
		die("printing a table: %s", strerror(-err));
	scols_unref_table(table->scols);
	free(table);
}

void table_print_vertical(const struct command *cmd, const struct table_opts *opts,
			  const char *name, const struct attr_set *set,
			  struct nlattr **tb, struct nlattr **stats)
{
	struct table *table = new_table(opts, name), *vertical;
	struct libscols_line *line;

	if (opts->columns)
		choose_columns(cmd, table, set, opts->columns);
	/* All attributes, but of the counters only those asked for. */
	for (unsigned int i = 0; !opts->columns && i < set->count; i++)
		add_column(table, &set->attrs[i], false);
	if (opts->json) {
		table_add(table, tb, stats);
		table_print(table);
		return;
	}
	vertical = new_table(opts, name);
	scols_table_enable_noheadings(vertical->scols, true);
	if (!scols_table_new_column(vertical->scols, "attribute", 0, 0) ||
	    !scols_table_new_column(vertical->scols, "value", 0, 0))
		die("out of memory");
	for (unsigned int i = 0; i < table->count; i++) {
		const struct column *column = &table->columns[i];
		struct nlattr **from = column->counter ? stats : tb;
		char *text = attr_text(column->attr, from[column->attr->type], table->numeric);

		if (!text)
			continue;
		line = scols_table_new_line(vertical->scols, NULL);
		if (!line || scols_line_set_data(line, 0, column->attr->name))
			die("out of memory");
		set_cell(line, 1, text);
	}
	scols_unref_table(table->scols);
	free(table);
	table_print(vertical);
}
