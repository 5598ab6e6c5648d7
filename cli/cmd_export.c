/* cli/cmd_export.c -- `clipneuron export`: a table of a study, or a query, to CSV, JSON or .npz. */
#include "asking.h"
#include "commands.h"
#include "interrupt.h"
#include "outfile.h"
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct words operands;
    const char *sql, *output;
    bool blobs, json, quiet;
};

/* clang-format off */
static const struct option options[] = {
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE",
     "OUT.csv, OUT.json or OUT.npz; - for CSV on standard output, which is the default."},
    {0, "sql", OPTION_TEXT, offsetof(struct arguments, sql), "QUERY",
     "The rows of a query in SQLite's SQL in place of a table. It can read the study and nothing else."},
    {0, "blobs", OPTION_FLAG, offsetof(struct arguments, blobs), NULL,
     "CSV and JSON: blobs (thumbnails, maps) as base64. Default: their size in bytes."},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "With -o -: JSON in place of CSV. Without a table: the list of tables as JSON."},
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No notes."},
};
/* clang-format on */

/* ---- cells ---- */

/* The fewest digits that give the number back. */
static void put_real(FILE *out, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    fputs(text, out);
}

static void put_base64(FILE *out, const unsigned char *b, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const unsigned x = (unsigned)b[i] << 16 | (left > 1 ? (unsigned)b[i + 1] << 8 : 0) | (left > 2 ? b[i + 2] : 0);
        fputc(digits[x >> 18], out);
        fputc(digits[x >> 12 & 63], out);
        fputc(left > 1 ? digits[x >> 6 & 63] : '=', out);
        fputc(left > 2 ? digits[x & 63] : '=', out);
    }
}

/* Control characters stay what they are, in quotes: a reader gets back what the study has. */
static void put_csv_text(FILE *out, const char *text, size_t size)
{
    bool quote = size != strlen(text);
    for (size_t i = 0; i < size && !quote; i++)
        quote = (unsigned char)text[i] < 0x20 || text[i] == 0x7f || text[i] == ',' || text[i] == '"';
    if (!quote) {
        fwrite(text, 1, size, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"')
            fputc('"', out);
        fputc(text[i], out);
    }
    fputc('"', out);
}

static void put_csv(FILE *out, const cn_cell *c, bool blobs)
{
    switch (c->kind) {
    case CN_CELL_NULL: break;
    case CN_CELL_INTEGER: fprintf(out, "%" PRId64, c->integer); break;
    case CN_CELL_REAL:
        if (isfinite(c->real))
            put_real(out, c->real);
        break;
    case CN_CELL_TEXT: put_csv_text(out, c->data, c->size); break;
    case CN_CELL_BLOB:
        if (blobs)
            put_base64(out, c->data, c->size);
        else
            fprintf(out, "%zu", c->size);
        break;
    }
}

static void put_json(FILE *out, const cn_cell *c, bool blobs)
{
    switch (c->kind) {
    case CN_CELL_NULL: fputs("null", out); break;
    case CN_CELL_INTEGER: fprintf(out, "%" PRId64, c->integer); break;
    case CN_CELL_REAL:
        if (isfinite(c->real))
            put_real(out, c->real);
        else
            fputs("null", out);
        break;
    case CN_CELL_TEXT: json_string(out, c->data); break; /* to its first zero */
    case CN_CELL_BLOB:
        if (blobs) {
            fputc('"', out);
            put_base64(out, c->data, c->size);
            fputc('"', out);
        } else {
            fprintf(out, "%zu", c->size);
        }
        break;
    }
}

/* ---- rows ---- */

static cn_status write_csv(FILE *out, cn_rows *rows, bool blobs, int64_t *count, cn_error *err)
{
    const int n = cn_rows_columns(rows);
    bool more = false;
    for (int i = 0; i < n; i++) {
        fputs(i ? "," : "", out);
        put_csv_text(out, cn_rows_name(rows, i), strlen(cn_rows_name(rows, i)));
    }
    fputs("\r\n", out);
    for (*count = 0;; ++*count) {
        const cn_status st = interrupted() ? CN_ECANCELED : cn_rows_next(rows, &more, err);
        if (st != CN_OK || !more)
            return st;
        for (int i = 0; i < n; i++) {
            const cn_cell cell = cn_rows_cell(rows, i);
            fputs(i ? "," : "", out);
            put_csv(out, &cell, blobs);
        }
        fputs("\r\n", out);
    }
}

static cn_status write_json(FILE *out, cn_rows *rows, bool blobs, int64_t *count, cn_error *err)
{
    const int n = cn_rows_columns(rows);
    bool more = false;
    fputs("[", out);
    for (*count = 0;; ++*count) {
        const cn_status st = interrupted() ? CN_ECANCELED : cn_rows_next(rows, &more, err);
        if (st != CN_OK)
            return st;
        if (!more)
            break;
        fputs(*count ? ",\n  {" : "\n  {", out);
        for (int i = 0; i < n; i++) {
            const cn_cell cell = cn_rows_cell(rows, i);
            fputs(i ? ", " : "", out);
            json_string(out, cn_rows_name(rows, i));
            fputs(": ", out);
            put_json(out, &cell, blobs);
        }
        fputc('}', out);
    }
    fputs(*count ? "\n]\n" : "]\n", out);
    return CN_OK;
}

static int write_text(const struct arguments *a, cn_rows *rows, bool json, int64_t *count)
{
    struct outfile out;
    cn_error err = {0};
    int code = outfile_open(&out, a->output);
    if (code != EXIT_DONE)
        return code;
    const cn_status st = json ? write_json(out.stream, rows, a->blobs, count, &err) : write_csv(out.stream, rows, a->blobs, count, &err);
    if (st != CN_OK) {
        code = fail_error(&err, st);
        outfile_discard(&out);
        return code;
    }
    return outfile_commit(&out);
}

static int write_arrays(const struct arguments *a, cn_rows *rows, int64_t *count)
{
    char left_out[512];
    cn_error err = {0};
    const cn_status st = cn_rows_write_npz(rows, a->output, left_out, sizeof left_out, count, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    if (*left_out)
        note(a->quiet, "clipneuron: left out, as arrays have no place for them: %s", left_out);
    return EXIT_DONE;
}

static int export(const struct arguments *a, cn_study *study)
{
    cn_rows *rows = NULL;
    cn_error err = {0};
    int64_t count = 0;
    const cn_status st = a->sql ? cn_study_query(&rows, study, a->sql, &err) : cn_study_table(&rows, study, a->operands.items[1], &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    const bool standard = strcmp(a->output, "-") == 0;
    const int code = has_ending(a->output, ".npz") ? write_arrays(a, rows, &count)
                                                   : write_text(a, rows, standard ? a->json : has_ending(a->output, ".json"), &count);
    cn_rows_close(rows);
    if (code == EXIT_DONE && !standard)
        note(a->quiet, "clipneuron: %" PRId64 " row%s in %s", count, count == 1 ? "" : "s", a->output);
    return code;
}

static int list_tables(const struct arguments *a, cn_study *study)
{
    static const struct grid_column columns[] = {{"table", "table", GRID_TEXT, 0}, {"columns", "columns", GRID_INT, 0}};
    const struct show show = {.json = a->json};
    cn_tally *list = NULL;
    size_t n = 0;
    struct grid g;
    cn_error err = {0};
    const cn_status st = cn_study_tables(study, &list, &n, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < n; i++) {
        grid_text(&g, list[i].name);
        grid_int(&g, list[i].count);
    }
    show_grid(&show, &g, "tables", NULL, NULL);
    grid_free(&g);
    cn_tallies_free(list);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_export, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_study *study = NULL;
    const bool list = a.operands.count == 1 && !a.sql && !a.output;
    a.output = a.output ? a.output : "-";
    code = EXIT_DONE;
    if (a.operands.count > 2 || (a.operands.count == 2 && a.sql))
        code = fail_usage("export", "one table, or one --sql QUERY, at a time");
    else if (a.operands.count == 1 && !a.sql && !list)
        code = fail_usage("export", "no table named; 'clipneuron export STUDY' lists them");
    else if (strcmp(a.output, "-") != 0 && wrong_ending(a.output, ".csv") && wrong_ending(a.output, ".json") &&
             wrong_ending(a.output, ".npz"))
        code = fail_usage("export", "the output must end in .csv, .json or .npz, not '%s'", a.output);
    if (code == EXIT_DONE)
        code = ask_open("export", &a.operands, &study);
    if (code == EXIT_DONE)
        code = list ? list_tables(&a, study) : export(&a, study);
    cn_study_close(study);
    options_free(&command_export, &a);
    return code;
}

const struct command command_export = {
    .name = "export",
    .summary = "a table of a study, or a query, to CSV, JSON or .npz",
    .synopsis = "export STUDY\nexport STUDY TABLE [-o FILE]\nexport STUDY --sql QUERY [-o FILE]",
    .description =
        "Writes a table of the study's database (docs/study.md explains their columns), or what a query in SQL gives, as CSV, as a JSON "
        "array of "
        "objects, or as the arrays of a .npz, one for each column: int64, float64 (missing values are NaN) or unicode text. The table "
        "histograms is written decoded: site, unit, low, high, count, a row for each bin that is not empty. Without a table: lists "
        "them.\n\n"
        "Blobs are left out of a .npz; CSV and JSON have their size, or with --blobs their bytes as base64. The study is opened "
        "read-only. Numbers have as many digits as give them back exactly.",
    .examples =
        "All units, and the histograms:\n\n"
        "$ clipneuron scan --quiet photos -o study > /dev/null\n"
        "$ clipneuron export study units -o units.csv\n"
        "$ clipneuron export study histograms -o histograms.npz\n\n"
        "The strongest picture of every unit:\n\n"
        "$ clipneuron export study --sql \"SELECT unit, path, value FROM examples JOIN images ON id = image WHERE kind = 0 AND rank = 0\" "
        "-o strongest.json",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY [TABLE]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
