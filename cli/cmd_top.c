/* cli/cmd_top.c -- `clipneuron top` and `clipneuron buckets`: examples of a unit as tables. */
#include "asking.h"
#include "commands.h"
#include "people.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>

struct arguments {
    struct words operands;
    int64_t count;
    bool bottom;
    struct show show;
};

/* The study and the one unit that both commands take. */
static int begin(const struct command *c, const struct arguments *a, cn_study **study, cn_unit_row **row)
{
    cn_error err = {0};
    cn_unit_ref ref;
    *row = NULL;
    int code = ask_open(c->name, &a->operands, study);
    if (code == EXIT_DONE && a->operands.count != 2)
        code = a->operands.count < 2 ? fail_usage(c->name, "no unit named") : fail_usage(c->name, "one unit at a time");
    if (code == EXIT_DONE)
        code = ask_unit(c->name, *study, a->operands.items[1], &ref);
    if (code == EXIT_DONE) {
        const cn_status st = cn_study_unit(*study, ref, row, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    return code;
}

struct head {
    cn_study *study;
    const cn_unit_row *row;
    const char *kind;
};

static struct people people_of(cn_study *study, const cn_unit_row *row)
{
    struct people people;
    people_begin(&people, study);
    people_note(&people, row->label);
    return people;
}

static void write_head(struct json *j, const void *user)
{
    const struct head *h = user;
    struct people people = people_of(h->study, h->row);
    ask_json(j, h->study, h->row->ref);
    json_text(j, "label", h->row->label);
    json_real(j, "rms", h->row->rms);
    if (h->kind)
        json_text(j, "kind", h->kind);
    people_json(&people, j);
}

static void print_people(const struct arguments *a, cn_study *study, const cn_unit_row *row)
{
    if (a->show.json) /* the head has them */
        return;
    struct people people = people_of(study, row);
    (a->show.csv ? people_tell : people_print)(&people);
}

static void print_head(const struct arguments *a, const cn_study *study, const cn_unit_row *row, const char *what)
{
    if (a->show.json || a->show.csv)
        return;
    char *name = ask_name(study, row->ref);
    print_safely(stdout, name);
    free(name);
    if (row->dead)
        printf(": constant on all %lld pictures\n", (long long)row->count);
    else
        printf(": %s; one sd unit is %.4g\n\n", what, row->rms);
}

/* ---- top ---- */

/* clang-format off */
static const struct option top_options[] = {
    {'n', "count", OPTION_COUNT, offsetof(struct arguments, count), "K", "The first K. Default: all that the study keeps.", 1,
     CN_MAX_STUDY_EXAMPLES},
    {0, "bottom", OPTION_FLAG, offsetof(struct arguments, bottom), NULL, "The most inhibiting pictures in place of the strongest."},
    SHOW_OPTIONS(struct arguments, show),
    QUIET_OPTION(struct arguments, show.quiet),
};
/* clang-format on */

static const struct grid_column top_columns[] = {
    {"rank", "rank", GRID_INT, 0},        {"sd", "sd", GRID_REAL, 2},        {"value", "activation", GRID_REAL, -4},
    {"peak", "peak", GRID_REAL, -4},      {"row", NULL, GRID_INT, 0},        {"column", NULL, GRID_INT, 0},
    {NULL, "at", GRID_TEXT, 0},           {NULL, "box", GRID_TEXT, 0},       {"left", NULL, GRID_REAL, 0},
    {"top", NULL, GRID_REAL, 0},          {"right", NULL, GRID_REAL, 0},     {"bottom", NULL, GRID_REAL, 0},
    {"input_left", NULL, GRID_REAL, 0},   {"input_top", NULL, GRID_REAL, 0}, {"input_right", NULL, GRID_REAL, 0},
    {"input_bottom", NULL, GRID_REAL, 0}, {"label", "label", GRID_TEXT, 0},  {"medium", "medium", GRID_TEXT, 0},
    {"path", "path", GRID_TEXT, 0},       {"image", NULL, GRID_INT, 0},
};

static void add_box(struct grid *g, const cn_box *box, bool known)
{
    const double edges[] = {box->left, box->top, box->right, box->bottom};
    for (int i = 0; i < 4; i++)
        if (known)
            grid_real(g, edges[i]);
        else
            grid_none(g);
}

/* One line; texts: two short ones for the table, at least 64 bytes each. */
static void add_top(struct grid *g, const cn_example *e, size_t rank, const cn_region *r, char *at, char *box)
{
    const bool known = r->cells && r->picture.right > r->picture.left;
    *at = *box = '\0';
    if (e->row >= 0)
        snprintf(at, 64, "%d,%d", e->row, e->column);
    if (known) { /* whole pixels around it */
        const double left = floor(r->picture.left + 1e-6), top = floor(r->picture.top + 1e-6);
        snprintf(box, 64, "%.0fx%.0f+%.0f+%.0f", ceil(r->picture.right - 1e-6) - left, ceil(r->picture.bottom - 1e-6) - top, left, top);
    }
    grid_int(g, (int64_t)rank + 1);
    grid_real(g, e->sd);
    grid_real(g, e->value);
    grid_real(g, e->peak);
    if (e->row >= 0) {
        grid_int(g, e->row);
        grid_int(g, e->column);
    } else {
        grid_none(g);
        grid_none(g);
    }
    grid_text(g, at);
    grid_text(g, box);
    add_box(g, &r->picture, known);
    add_box(g, &r->input, r->cells > 0);
    grid_text(g, e->label);
    grid_text(g, e->medium);
    grid_text(g, e->path);
    grid_int(g, e->image);
}

static cn_status list_top(const struct arguments *a, cn_study *study, const cn_unit_row *row, cn_error *err)
{
    const cn_example_kind kind = a->bottom ? CN_EXAMPLE_BOTTOM : CN_EXAMPLE_TOP;
    const struct head head = {study, row, a->bottom ? "bottom" : "top"};
    cn_example *list = NULL;
    size_t n = 0;
    struct grid g;
    cn_status st = cn_study_examples(study, row->ref, kind, &list, &n, err);
    n = a->count && (size_t)a->count < n ? (size_t)a->count : n;
    char(*texts)[2][64] = need(calloc(n + 1, sizeof *texts));
    grid_begin(&g, top_columns, CN_COUNT(top_columns));
    for (size_t i = 0; i < n && st == CN_OK; i++) {
        cn_region region;
        st = cn_example_region(study, row->ref.site, kind, &list[i], &region, err);
        if (st == CN_OK)
            add_top(&g, &list[i], i, &region, texts[i][0], texts[i][1]);
    }
    if (st == CN_OK) {
        print_head(a, study, row, a->bottom ? "the most inhibiting pictures" : "the strongest pictures");
        if (!row->dead || a->show.json || a->show.csv)
            show_grid(&a->show, &g, "examples", write_head, &head);
        print_people(a, study, row);
    }
    grid_free(&g);
    free(texts);
    cn_examples_free(list);
    return st;
}

static int run_with(const struct command *c, int argc, char **argv,
                    cn_status (*list)(const struct arguments *, cn_study *, const cn_unit_row *, cn_error *))
{
    struct arguments a = {0};
    int code = options_begin(c, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_study *study = NULL;
    cn_unit_row *row = NULL;
    cn_error err = {0};
    code = begin(c, &a, &study, &row);
    if (code == EXIT_DONE) {
        const cn_status st = list(&a, study, row, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    cn_unit_rows_free(row);
    cn_study_close(study);
    options_free(c, &a);
    return code;
}

static int run_top(int argc, char **argv)
{
    return run_with(&command_top, argc, argv, list_top);
}

const struct command command_top = {
    .name = "top",
    .summary = "the strongest or most inhibiting pictures of a unit, and where in them it answers",
    .synopsis = "top STUDY UNIT [-n K] [--bottom]",
    .description =
        "Lists the pictures on which a unit is strongest: the activation in sd units and as the model gives it, the largest value over "
        "space and the cell of the map where it is (row,column from 0), and the box around the cells at half of that peak or beyond that "
        "hang together with it: the region that cards outline. The box is in pixels of the picture file, WIDTHxHEIGHT+LEFT+TOP as "
        "ImageMagick's -crop takes it; CSV and JSON have its edges exactly, and those in the model's input. What the unit sees "
        "reaches beyond the box. Sites without a map have none.",
    .examples = "Where a unit looks, in its five strongest pictures:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron top study 7 -n 5\n\n"
                "What inhibits it:\n\n"
                "$ clipneuron top study layer4:7 --bottom --json",
    .options = top_options,
    .n_options = CN_COUNT(top_options),
    .operand = "STUDY UNIT",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run_top,
};

/* ---- buckets ---- */

/* clang-format off */
static const struct option bucket_options[] = {
    {'n', "count", OPTION_COUNT, offsetof(struct arguments, count), "K", "At most K pictures from each bucket. Default: all that are kept.", 1,
     CN_MAX_STUDY_EXAMPLES},
    SHOW_OPTIONS(struct arguments, show),
    QUIET_OPTION(struct arguments, show.quiet),
};
/* clang-format on */

static const struct grid_column bucket_columns[] = {
    {"bucket", "bucket", GRID_INT, 0}, {"low_sd", "from sd", GRID_REAL, 2}, {"high_sd", "to sd", GRID_REAL, 2},
    {"low", NULL, GRID_REAL, 0},       {"high", NULL, GRID_REAL, 0},        {"images", "pictures", GRID_INT, 0},
    {NULL, "share", GRID_SHARE, 0},    {"sd", "sd", GRID_REAL, 2},          {"value", NULL, GRID_REAL, 0},
    {"label", "label", GRID_TEXT, 0},  {"medium", "medium", GRID_TEXT, 0},  {"path", "path", GRID_TEXT, 0},
    {"image", NULL, GRID_INT, 0},
};

/* A line for each example; the table names the bucket on its first line only. */
static void add_bucket(struct grid *g, const cn_bucket *b, int number, int64_t all, const cn_example *e, bool first, bool table)
{
    const bool named = first || !table;
    for (int i = 0; i < 7 && !named; i++)
        grid_none(g);
    if (named) {
        grid_int(g, number);
        grid_real(g, b->low_sd);
        grid_real(g, b->high_sd);
        grid_real(g, b->low);
        grid_real(g, b->high);
        grid_int(g, b->images);
        grid_real(g, all > 0 ? (double)b->images / (double)all : 0);
    }
    for (int i = 0; i < 6 && !e; i++)
        grid_none(g);
    if (e) {
        grid_real(g, e->sd);
        grid_real(g, e->value);
        grid_text(g, e->label);
        grid_text(g, e->medium);
        grid_text(g, e->path);
        grid_int(g, e->image);
    }
}

static void buckets_json(cn_study *study, const cn_unit_row *row, const cn_bucket *b, size_t n, const cn_example *e,
                         size_t n_examples, size_t most)
{
    const struct head head = {study, row, NULL};
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    write_head(&j, &head);
    json_open(&j, "buckets", '[');
    for (size_t i = 0; i < n; i++) {
        json_open(&j, NULL, '{');
        json_int(&j, "bucket", (int64_t)i);
        json_real(&j, "low_sd", b[i].low_sd);
        json_real(&j, "high_sd", b[i].high_sd);
        json_real(&j, "low", b[i].low);
        json_real(&j, "high", b[i].high);
        json_int(&j, "images", b[i].images);
        json_open(&j, "examples", '[');
        for (size_t k = 0, held = 0; k < n_examples; k++) {
            if (e[k].bucket != (int)i || held++ >= most)
                continue;
            j.flat = j.depth + 1;
            json_open(&j, NULL, '{');
            json_real(&j, "sd", e[k].sd);
            json_real(&j, "value", e[k].value);
            json_text(&j, "label", e[k].label);
            json_text(&j, "medium", e[k].medium);
            json_text(&j, "path", e[k].path);
            json_int(&j, "image", e[k].image);
            json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static cn_status list_buckets(const struct arguments *a, cn_study *study, const cn_unit_row *row, cn_error *err)
{
    const size_t most = a->count ? (size_t)a->count : CN_MAX_STUDY_EXAMPLES;
    cn_bucket *b = NULL;
    cn_example *e = NULL;
    size_t n = 0, n_examples = 0;
    struct grid g;
    grid_begin(&g, bucket_columns, CN_COUNT(bucket_columns));
    cn_status st = cn_study_buckets(study, row->ref, &b, &n, err);
    if (st == CN_OK)
        st = cn_study_examples(study, row->ref, CN_EXAMPLE_BUCKET, &e, &n_examples, err);
    for (size_t i = 0; i < n && st == CN_OK; i++) {
        size_t held = 0;
        for (size_t k = 0; k < n_examples; k++)
            if (e[k].bucket == (int)i && held < most)
                add_bucket(&g, &b[i], (int)i, row->count, &e[k], held++ == 0, !a->show.csv);
        if (!held)
            add_bucket(&g, &b[i], (int)i, row->count, NULL, true, true);
    }
    if (st == CN_OK && a->show.json) {
        buckets_json(study, row, b, n, e, n_examples, most);
    } else if (st == CN_OK) {
        print_head(a, study, row, "every level of activation, and a random sample from it");
        if (!row->dead || a->show.csv)
            show_grid(&a->show, &g, NULL, NULL, NULL);
        print_people(a, study, row);
    }
    grid_free(&g);
    cn_buckets_free(b);
    cn_examples_free(e);
    return st;
}

static int run_buckets(int argc, char **argv)
{
    return run_with(&command_buckets, argc, argv, list_buckets);
}

const struct command command_buckets = {
    .name = "buckets",
    .summary = "how a unit's activations spread over its range, with examples of every level",
    .synopsis = "buckets STUDY UNIT [-n K]",
    .description =
        "Divides the range of a unit from its minimum to its maximum into the equal intervals of the study (ten, unless the scan was "
        "told otherwise) and lists for each how many pictures lie in it and a few of them, drawn at random. The strongest examples "
        "alone say little about what a unit does: most of what it answers to lies in the buckets between. Numbers of pictures "
        "come from the histogram: a value within 0.8% of a border may be counted on its other side.",
    .examples = "Two pictures of every level:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron buckets study 7 -n 2",
    .options = bucket_options,
    .n_options = CN_COUNT(bucket_options),
    .operand = "STUDY UNIT",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run_buckets,
};
