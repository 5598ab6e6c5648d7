/* study/tablenpz.c -- rows of a table to the columns of a .npz. SQLite's columns may hold anything in any row, so all rows are read
 * before a column's type is known. */
#include "study/tablerows.h"

#include "base/memory.h"
#include "clipneuron/array.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef union number {
    int64_t integer;
    double real;
    size_t offset; /* of a text in `bytes` */
} number;

typedef struct column {
    number *cells;
    unsigned char *kinds; /* cn_cell_kind of each cell */
    char *bytes;          /* texts one after the other, each with a zero */
    size_t used, room;
    bool seen[CN_CELL_BLOB + 1];
    bool too_long; /* the texts are more than fit */
} column;

static void column_free(column *c)
{
    cn_free(c->cells);
    cn_free(c->kinds);
    cn_free(c->bytes);
}

/* False when out of memory. */
static bool keep_text(column *c, const char *text, size_t size, size_t *offset)
{
    if (c->too_long || c->used + size + 1 > CN_MAX_TABLE_TEXT) {
        c->too_long = true;
        *offset = 0;
        return true;
    }
    if (c->used + size + 1 > c->room) {
        const size_t room = 2 * c->room + size + 4096;
        char *grown = cn_realloc(c->bytes, room);
        if (!grown)
            return false;
        c->bytes = grown;
        c->room = room;
    }
    *offset = c->used;
    memcpy(c->bytes + c->used, text, size);
    c->bytes[c->used + size] = '\0';
    c->used += size + 1;
    return true;
}

static bool grow(column *columns, int n, size_t room)
{
    for (int i = 0; i < n; i++) {
        number *cells = cn_reallocarray(columns[i].cells, room, sizeof *cells);
        if (!cells)
            return false;
        columns[i].cells = cells;
        unsigned char *kinds = cn_reallocarray(columns[i].kinds, room, 1);
        if (!kinds)
            return false;
        columns[i].kinds = kinds;
    }
    return true;
}

static cn_status read_rows(column *columns, cn_rows *rows, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    const int width = cn_rows_columns(rows);
    size_t room = 0;
    bool more;
    for (*n = 0;; ++*n) {
        CN_TRY(cn_rows_next(rows, &more, err));
        if (!more)
            break;
        if (*n == room) {
            room = 2 * room + 256;
            CN_CHECK(grow(columns, width, room), CN_ENOMEM, "out of memory for %zu rows", room);
        }
        for (int i = 0; i < width; i++) {
            const cn_cell cell = cn_rows_cell(rows, i);
            number *x = &columns[i].cells[*n];
            columns[i].kinds[*n] = (unsigned char)cell.kind;
            columns[i].seen[cell.kind] = true;
            if (cell.kind == CN_CELL_TEXT)
                CN_CHECK(keep_text(&columns[i], cell.data, cell.size, &x->offset), CN_ENOMEM, "out of memory for texts");
            else if (cell.kind == CN_CELL_REAL)
                x->real = cell.real;
            else
                x->integer = cell.integer;
        }
    }
done:
    return st;
}

static cn_status write_texts(cn_npz_writer *w, column *c, const char *name, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    char plain[40];
    const char **texts = cn_reallocarray(NULL, n + 1, sizeof *texts);
    CN_CHECK(texts, CN_ENOMEM, "out of memory for %zu texts", n);
    for (size_t i = 0; i < n; i++) { /* numbers among them become texts, too; bytes may move meanwhile */
        const cn_cell_kind kind = (cn_cell_kind)c->kinds[i];
        if (kind == CN_CELL_TEXT)
            continue;
        *plain = '\0';
        if (kind == CN_CELL_INTEGER)
            snprintf(plain, sizeof plain, "%" PRId64, c->cells[i].integer);
        else if (kind == CN_CELL_REAL)
            snprintf(plain, sizeof plain, "%.17g", c->cells[i].real);
        CN_CHECK(keep_text(c, plain, strlen(plain), &c->cells[i].offset), CN_ENOMEM, "out of memory for texts");
    }
    CN_CHECK(!c->too_long, CN_ELIMIT, "%s: too much text", name);
    for (size_t i = 0; i < n; i++)
        texts[i] = c->bytes + c->cells[i].offset;
    CN_TRY(cn_npz_writer_add_texts(w, name, texts, n, CN_MAX_TABLE_TEXT, err));
done:
    cn_free(texts);
    return st;
}

static cn_status write_column(cn_npz_writer *w, column *c, const char *name, cn_cell_kind declared, size_t n, bool *left_out, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t shape = (int64_t)n;
    *left_out = c->seen[CN_CELL_BLOB] || c->too_long || (n == 0 && declared == CN_CELL_BLOB);
    if (*left_out)
        goto done;
    if (c->seen[CN_CELL_TEXT] || (n == 0 && declared == CN_CELL_TEXT)) {
        cn_error limit = {0};
        st = write_texts(w, c, name, n, &limit);
        *left_out = st == CN_ELIMIT;
        if (*left_out)
            st = CN_OK;
        else if (st != CN_OK)
            (void)cn_fail(err, st, "%s", limit.text);
        goto done;
    }
    const bool whole = n ? c->seen[CN_CELL_INTEGER] && !c->seen[CN_CELL_REAL] && !c->seen[CN_CELL_NULL] : declared == CN_CELL_INTEGER;
    for (size_t i = 0; i < n && !whole; i++)
        c->cells[i].real = c->kinds[i] == CN_CELL_REAL      ? c->cells[i].real
                           : c->kinds[i] == CN_CELL_INTEGER ? (double)c->cells[i].integer
                                                            : (double)NAN;
    CN_TRY(cn_npz_writer_add(w, name, whole ? CN_DTYPE_I64 : CN_DTYPE_F64, 1, &shape, n ? (const void *)c->cells : "", err));
done:
    return st;
}

/* Two columns of one name get numbers: an archive's members differ. */
static void name_of(const cn_rows *rows, int which, char name[128])
{
    int before = 0;
    const char *own = cn_rows_name(rows, which);
    for (int i = 0; i < which; i++)
        before += strcmp(cn_rows_name(rows, i), own) == 0;
    if (before || !*own)
        snprintf(name, 128, "%.100s.%d", *own ? own : "column", before ? before + 1 : which);
    else
        snprintf(name, 128, "%.100s", own);
    for (char *c = name; *c; c++) /* no folders in the archive */
        if (*c == '/' || *c == '\\' || (unsigned char)*c < 0x20)
            *c = '_';
}

cn_status cn_rows_write_npz(cn_rows *rows, const char *path, char *left_out, size_t room, int64_t *count, cn_error *err)
{
    cn_status st = CN_OK;
    const int width = cn_rows_columns(rows);
    size_t n = 0, at = 0;
    cn_npz_writer *w = NULL;
    column *columns = cn_calloc((size_t)width, sizeof *columns);
    if (room)
        *left_out = '\0';
    CN_CHECK(columns, CN_ENOMEM, "out of memory for %d columns", width);
    CN_TRY(read_rows(columns, rows, &n, err));
    CN_TRY(cn_npz_writer_open(&w, path, err));
    for (int i = 0; i < width; i++) {
        char name[128];
        bool out;
        name_of(rows, i, name);
        CN_TRY(write_column(w, &columns[i], name, rows_declared(rows, i), n, &out, err));
        if (out && at < room)
            at += (size_t)snprintf(left_out + at, room - at, "%s%s", at ? ", " : "", name);
        column_free(&columns[i]);
        memset(&columns[i], 0, sizeof columns[i]);
    }
    cn_npz_writer *finished = w;
    w = NULL;
    CN_TRY(cn_npz_writer_finish(finished, err));
    if (count)
        *count = (int64_t)n;
done:
    cn_npz_writer_discard(w);
    for (int i = 0; columns && i < width; i++)
        column_free(&columns[i]);
    cn_free(columns);
    return st;
}
