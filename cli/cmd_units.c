/* cli/cmd_units.c -- `clipneuron units`: the units of a site in an order. */
#include "asking.h"
#include "commands.h"
#include "people.h"
#include "report.h"
#include "unittable.h"

#include <stdlib.h>

struct arguments {
    struct words operands;
    int sort;
    int64_t count;
    const char *label, *min_purity;
    struct show show;
};

/* As in cn_unit_order. */
static const char *const sort_choices[] = {"interesting", "unit", "peak", "purity", "kurtosis", "share",
                                           "label",       "sd",   "mean", "word",   NULL};

/* clang-format off */
static const struct option options[] = {
    {'s', "sort", OPTION_CHOICE, offsetof(struct arguments, sort), "ORDER",
     "interesting (multimodal first), unit, peak, purity, kurtosis, share (the rarest first), label, sd, mean or word. "
     "Default: interesting.", 0, 0, sort_choices},
    {'n', "count", OPTION_COUNT, offsetof(struct arguments, count), "K", "The first K units. Default: all.", 1, 1000000},
    {0, "label", OPTION_TEXT, offsetof(struct arguments, label), "L", "Only units with this label."},
    {0, "min-purity", OPTION_TEXT, offsetof(struct arguments, min_purity), "P", "Only units of at least this purity, 0 to 1."},
    SHOW_OPTIONS(struct arguments, show),
    QUIET_OPTION(struct arguments, show.quiet),
};
static const struct grid_column columns[] = {
    {"site", NULL, GRID_TEXT, 0},
    {"unit", "unit", GRID_INT, 0},
    {"label", "label", GRID_TEXT, 0},
    {"purity", "purity", GRID_SHARE, 0},
    {"label_hits", NULL, GRID_INT, 0},
    {"label_images", NULL, GRID_INT, 0},
    {"label_z", NULL, GRID_REAL, 0},
    {"peak_sd", "peak sd", GRID_REAL, 1},
    {"share_positive", "active", GRID_SHARE, 0},
    {"mean", "mean", GRID_REAL, -3},
    {"sd", "sd", GRID_REAL, -3},
    {"rms", NULL, GRID_REAL, 0},
    {"min", NULL, GRID_REAL, 0},
    {"max", NULL, GRID_REAL, 0},
    {"kurtosis", "kurtosis", GRID_REAL, 1},
    {"score", NULL, GRID_REAL, 0},
    {"word", "word", GRID_TEXT, 0},
    {"word_score", "corr", GRID_REAL, 2},
    {"media", "media", GRID_TEXT, 0},
};
/* clang-format on */

static void add_row(struct grid *g, const cn_study *study, const cn_unit_row *r, bool table)
{
    grid_text(g, cn_study_site_at(study, r->ref.site)->name);
    grid_int(g, r->ref.unit);
    grid_text(g, r->dead && table ? "(constant)" : r->label);
    if (r->label[0])
        grid_real(g, r->purity);
    else
        grid_none(g);
    grid_int(g, r->label_hits);
    grid_int(g, r->label_images);
    grid_real(g, r->label_z);
    grid_real(g, r->peak_sd);
    grid_real(g, r->share_positive);
    grid_real(g, r->mean);
    grid_real(g, r->sd);
    grid_real(g, r->rms);
    grid_real(g, r->min);
    grid_real(g, r->max);
    grid_real(g, r->kurtosis);
    grid_real(g, r->score);
    grid_text(g, r->word);
    if (r->word[0])
        grid_real(g, r->word_score);
    else
        grid_none(g);
    grid_text(g, r->media);
}

static void note_people(struct people *people, const cn_unit_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        people_note(people, rows[i].label);
        people_note(people, rows[i].word);
    }
}

static int list(const struct arguments *a, cn_study *study, size_t site, const cn_unit_query *query)
{
    cn_unit_row *rows = NULL;
    size_t n = 0;
    cn_error err = {0};
    const cn_status st = cn_study_find_units(study, site, query, &rows, &n, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    struct people people;
    people_begin(&people, study);
    note_people(&people, rows, n);
    if (a->show.json) {
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_text(&j, "sort", sort_choices[a->sort]);
        unit_table_json(&j, "units", study, rows, n);
        people_json(&people, &j);
        json_close(&j, '}');
        json_end(&j);
    } else {
        struct grid g;
        grid_begin(&g, columns, CN_COUNT(columns));
        for (size_t i = 0; i < n; i++)
            add_row(&g, study, &rows[i], !a->show.csv);
        show_grid(&a->show, &g, NULL, NULL, NULL);
        grid_free(&g);
        (a->show.csv ? people_tell : people_print)(&people);
    }
    cn_unit_rows_free(rows);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_units, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_study *study = NULL;
    size_t site = 0;
    float purity = 0;
    code = options_number("units", "min-purity", a.min_purity, 0, 1, &purity);
    if (code == EXIT_DONE && a.operands.count > 2)
        code = fail_usage("units", "one site at a time");
    if (code == EXIT_DONE)
        code = ask_open("units", &a.operands, &study);
    if (code == EXIT_DONE)
        code = ask_site("units", study, a.operands.count > 1 ? a.operands.items[1] : NULL, &site);
    /* a float would be more than 0.6, and leave units of that purity out */
    const double exact = a.min_purity && code == EXIT_DONE ? strtod(a.min_purity, NULL) : 0;
    const cn_unit_query query = {.order = (cn_unit_order)a.sort, .label = a.label, .min_purity = exact, .limit = (size_t)a.count};
    if (code == EXIT_DONE)
        code = list(&a, study, site, &query);
    cn_study_close(study);
    options_free(&command_units, &a);
    return code;
}

const struct command command_units = {
    .name = "units",
    .summary = "the units of a study in an order: most interesting, purest, rarest, by label or word...",
    .synopsis = "units STUDY [SITE] [--sort ORDER] [-n K] [--label L] [--min-purity P]",
    .description =
        "Lists the units of one site, the study's first unless another is named: label and purity, the peak in sd units, the share of "
        "pictures on which the unit is above zero, mean, standard deviation and kurtosis of its activation, the nearest word with its "
        "correlation, and the media in which it answers to its label. Units that are constant on the collection are listed by --sort "
        "unit only.",
    .examples = "The ten purest units:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron units study --sort purity -n 10\n\n"
                "All units as CSV:\n\n"
                "$ clipneuron units study layer4 --sort unit --csv > units.csv",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY [SITE]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
