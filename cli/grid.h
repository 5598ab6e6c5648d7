/* cli/grid.h -- rows of cells that are printed as an aligned table, as CSV or as JSON: a command fills it once and says what its
 * columns are called. */
#ifndef CLI_GRID_H
#define CLI_GRID_H

#include "json.h"

#include <stddef.h>

enum grid_kind {
    GRID_TEXT,
    GRID_INT,
    GRID_REAL, /* digits: after the point; below zero: that many significant ones */
    GRID_SHARE /* 0..1, printed as a percentage */
};

struct grid_column {
    const char *key;     /* in CSV and JSON; NULL: the column is only printed */
    const char *heading; /* in the table; NULL: the column is not printed */
    enum grid_kind kind;
    int digits;
};

struct grid {
    const struct grid_column *columns; /* borrowed, as are texts */
    size_t n_columns;
    struct grid_cell *cells;
    size_t count, room; /* of cells */
};

void grid_begin(struct grid *g, const struct grid_column *columns, size_t n);
/* The next cell, row by row. */
void grid_text(struct grid *g, const char *text);
void grid_int(struct grid *g, int64_t value);
void grid_real(struct grid *g, double value); /* also shares */
void grid_none(struct grid *g);               /* empty; null in JSON */
size_t grid_rows(const struct grid *g);

void grid_print(const struct grid *g, FILE *out);
void grid_csv(const struct grid *g, FILE *out);
/* An array of objects. */
void grid_json(const struct grid *g, struct json *j, const char *key);
void grid_free(struct grid *g);

#endif
