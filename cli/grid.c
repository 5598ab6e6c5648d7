/* cli/grid.c -- a table in three notations. */
#include "grid.h"
#include "outfile.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct grid_cell {
    enum { CELL_NONE, CELL_TEXT, CELL_INT, CELL_REAL } kind;
    union {
        const char *text;
        int64_t integer;
        double real;
    } as;
};

void grid_begin(struct grid *g, const struct grid_column *columns, size_t n)
{
    memset(g, 0, sizeof *g);
    g->columns = columns;
    g->n_columns = n;
}

static struct grid_cell *next(struct grid *g)
{
    if (g->count == g->room) {
        g->room = g->room ? 2 * g->room : 64;
        g->cells = need(realloc(g->cells, g->room * sizeof *g->cells));
    }
    return &g->cells[g->count++];
}

void grid_text(struct grid *g, const char *text)
{
    *next(g) = (struct grid_cell){CELL_TEXT, {.text = text}};
}

void grid_int(struct grid *g, int64_t value)
{
    *next(g) = (struct grid_cell){CELL_INT, {.integer = value}};
}

void grid_real(struct grid *g, double value)
{
    *next(g) = (struct grid_cell){CELL_REAL, {.real = value}};
}

void grid_none(struct grid *g)
{
    *next(g) = (struct grid_cell){CELL_NONE, {.integer = 0}};
}

size_t grid_rows(const struct grid *g)
{
    return g->n_columns ? g->count / g->n_columns : 0;
}

void grid_free(struct grid *g)
{
    free(g->cells);
    memset(g, 0, sizeof *g);
}

/* ---- the table ---- */

static const char *share_text(double share, char text[32])
{
    const double percent = 100 * share;
    if (percent > 0 && percent < 0.1)
        snprintf(text, 32, "<0.1%%");
    else if (percent < 100 && percent > 99.9)
        snprintf(text, 32, ">99.9%%");
    else
        snprintf(text, 32, "%.*f%%", percent == 0 || percent >= 10 ? 0 : 1, percent);
    return text;
}

/* The cell as printed: its own text, or a number in the buffer. */
static const char *cell_text(const struct grid_cell *c, const struct grid_column *column, char buffer[32])
{
    if (c->kind == CELL_NONE)
        return "";
    if (c->kind == CELL_TEXT)
        return c->as.text;
    if (c->kind == CELL_INT) {
        snprintf(buffer, 32, "%lld", (long long)c->as.integer);
        return buffer;
    }
    if (!isfinite(c->as.real))
        return "-";
    if (column->kind == GRID_SHARE)
        return share_text(c->as.real, buffer);
    if (column->digits < 0)
        snprintf(buffer, 32, "%.*g", -column->digits, c->as.real);
    else
        snprintf(buffer, 32, "%.*f", column->digits, c->as.real);
    if (buffer[0] == '-' && strspn(buffer + 1, "0.") == strlen(buffer + 1))
        memmove(buffer, buffer + 1, strlen(buffer)); /* no -0.0 */
    return buffer;
}

static void put_cell(FILE *out, const char *text, size_t width, bool right, bool last)
{
    const size_t used = printed_width(text);
    const int fill = used < width ? (int)(width - used) : 0;
    if (right)
        fprintf(out, "%*s", fill, "");
    print_safely(out, text);
    if (!right && !last)
        fprintf(out, "%*s", fill, "");
}

/* Trailing blanks of a row are left out: the last column that has something in it. */
static size_t last_filled(const struct grid *g, size_t row, size_t end)
{
    char buffer[32];
    while (end > 0) {
        const struct grid_column *c = &g->columns[end - 1];
        if (c->heading && *cell_text(&g->cells[row * g->n_columns + end - 1], c, buffer))
            break;
        end--;
    }
    return end;
}

void grid_print(const struct grid *g, FILE *out)
{
    const size_t n = g->n_columns, rows = grid_rows(g);
    size_t *widths = need(calloc(n + 1, sizeof *widths)), shown = 0; /* up to the last heading that says something */
    char buffer[32];
    for (size_t c = 0; c < n; c++) {
        if (!g->columns[c].heading)
            continue;
        shown = *g->columns[c].heading ? c + 1 : shown;
        widths[c] = printed_width(g->columns[c].heading);
        for (size_t r = 0; r < rows; r++) {
            const size_t w = printed_width(cell_text(&g->cells[r * n + c], &g->columns[c], buffer));
            widths[c] = w > widths[c] ? w : widths[c];
        }
    }
    for (size_t r = 0; r <= rows; r++) { /* the first is the head */
        const size_t end = r ? last_filled(g, r - 1, n) : shown;
        bool first = true;
        for (size_t c = 0; c < end; c++) {
            const struct grid_column *column = &g->columns[c];
            if (!column->heading)
                continue;
            const char *text = r ? cell_text(&g->cells[(r - 1) * n + c], column, buffer) : column->heading;
            fputs(first ? "" : "  ", out);
            put_cell(out, text, widths[c], column->kind != GRID_TEXT, c + 1 == end);
            first = false;
        }
        fputc('\n', out);
    }
    free(widths);
}

/* ---- CSV and JSON ---- */

void grid_csv(const struct grid *g, FILE *out)
{
    const size_t n = g->n_columns, rows = grid_rows(g);
    for (size_t r = 0; r <= rows; r++) {
        bool first = true;
        for (size_t c = 0; c < n; c++) {
            if (!g->columns[c].key)
                continue;
            fputs(first ? "" : ",", out);
            first = false;
            if (r == 0) {
                csv_field(out, g->columns[c].key);
                continue;
            }
            const struct grid_cell *cell = &g->cells[(r - 1) * n + c];
            if (cell->kind == CELL_TEXT)
                csv_field(out, cell->as.text);
            else if (cell->kind == CELL_INT)
                fprintf(out, "%lld", (long long)cell->as.integer);
            else if (cell->kind == CELL_REAL && isfinite(cell->as.real))
                fprintf(out, "%.9g", cell->as.real);
        }
        fputc('\n', out);
    }
}

void grid_json(const struct grid *g, struct json *j, const char *key)
{
    const size_t n = g->n_columns, rows = grid_rows(g);
    json_open(j, key, '[');
    for (size_t r = 0; r < rows; r++) {
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        for (size_t c = 0; c < n; c++) {
            const char *name = g->columns[c].key;
            const struct grid_cell *cell = &g->cells[r * n + c];
            if (!name)
                continue;
            if (cell->kind == CELL_INT)
                json_int(j, name, cell->as.integer);
            else if (cell->kind == CELL_REAL)
                json_real(j, name, cell->as.real);
            else
                json_text(j, name, cell->kind == CELL_TEXT ? cell->as.text : NULL);
        }
        json_close(j, '}');
    }
    json_close(j, ']');
}
