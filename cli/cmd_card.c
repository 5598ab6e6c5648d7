/* cli/cmd_card.c -- `clipneuron card`: units of a study to one page or sheet. */
#include "commands.h"
#include "json.h"
#include "report.h"
#include "unittable.h"

#include <clipneuron/card.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct arguments {
    struct words operands, sites;
    const char *output, *title, *introduction;
    int order, theme;
    int64_t top, examples, bottom, per_bucket, words, labels, columns, scale;
    bool no_buckets, gallery, list, json, quiet;
};

static const char *const order_choices[] = {"interesting", "unit",  "peak",  "purity",
                                            "kurtosis",    "share", "label", NULL};
static const char *const theme_choices[] = {"auto", "light", "dark", NULL};

/* clang-format off */
static const struct option options[] = {
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE",
     "OUT.html: a page that needs nothing else. OUT.png, .webp or .jpg: one sheet. A folder, or a name that ends in /: a PNG for each unit. "
     "Required, unless --list."},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N",
     "Without UNITs: cards of the first N units in the order. Default: 24.", 1, CN_MAX_CARDS},
    {'s', "site", OPTION_WORDS, offsetof(struct arguments, sites), "SITE",
     "Without UNITs: of this site of the study; may be repeated. Default: the first one."},
    {0, "order", OPTION_CHOICE, offsetof(struct arguments, order), "ORDER",
     "interesting (multimodal first), unit, peak, purity, kurtosis, share or label. Default: interesting.", 0, 0, order_choices},
    {'l', "list", OPTION_FLAG, offsetof(struct arguments, list), NULL, "Print the units as a table; -o may be missing."},
    {0, "examples", OPTION_COUNT, offsetof(struct arguments, examples), "N", "Strongest examples on a card. Default: 12.", 1,
     CN_MAX_STUDY_EXAMPLES},
    {0, "bottom", OPTION_COUNT, offsetof(struct arguments, bottom), "N", "Most inhibiting ones. Default: 6.", 1,
     CN_MAX_STUDY_EXAMPLES},
    {0, "per-bucket", OPTION_COUNT, offsetof(struct arguments, per_bucket), "N",
     "Pictures from each level of activation. Default: 4.", 1, CN_MAX_STUDY_EXAMPLES},
    {0, "no-buckets", OPTION_FLAG, offsetof(struct arguments, no_buckets), NULL, "Leave the levels of activation out."},
    {0, "words", OPTION_COUNT, offsetof(struct arguments, words), "N", "Nearest words. Default: 5.", 1, 8},
    {0, "labels", OPTION_COUNT, offsetof(struct arguments, labels), "N", "Labels. Default: 8.", 1, 24},
    {0, "title", OPTION_TEXT, offsetof(struct arguments, title), "TEXT", "Of the page."},
    {0, "introduction", OPTION_TEXT, offsetof(struct arguments, introduction), "TEXT", "A paragraph under the title."},
    {0, "theme", OPTION_CHOICE, offsetof(struct arguments, theme), "THEME",
     "auto (HTML: as the reader's system; PNG: light), light or dark.", 0, 0, theme_choices},
    {0, "gallery", OPTION_FLAG, offsetof(struct arguments, gallery), NULL,
     "PNG: a row for each unit: its strongest pictures beside those that 'clipneuron see --study' made for it."},
    {0, "columns", OPTION_COUNT, offsetof(struct arguments, columns), "N", "PNG: cards beside each other.", 1, 64},
    {0, "scale", OPTION_COUNT, offsetof(struct arguments, scale), "N", "PNG: pixels a point. Default: 2.", 1, 8},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print the units on the page as JSON."},
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No notes."},
};
/* clang-format on */

struct units {
    cn_unit_ref *refs;
    size_t count;
};

static void add_unit(struct units *units, cn_unit_ref ref)
{
    if ((units->count & (units->count - 1)) == 0)
        units->refs = need(realloc(units->refs, (units->count ? units->count * 2 : 1) * sizeof *units->refs));
    units->refs[units->count++] = ref;
}

/* The first units of a site in the order. */
static cn_status add_first(const struct arguments *a, cn_study *study, size_t site, size_t limit,
                           struct units *units, cn_error *err)
{
    cn_unit_row *rows = NULL;
    size_t n = 0;
    cn_status st = cn_study_units(study, site, (cn_unit_order)a->order, limit, &rows, &n, err);
    for (size_t i = 0; i < n && st == CN_OK; i++)
        add_unit(units, rows[i].ref);
    cn_unit_rows_free(rows);
    return st;
}

static cn_status find_units(const struct arguments *a, cn_study *study, struct units *units, cn_error *err)
{
    cn_status st = CN_OK;
    size_t limit = a->top ? (size_t)a->top : 24;
    for (size_t i = 1; i < a->operands.count && st == CN_OK; i++) {
        cn_unit_ref ref = {0, 0};
        st = cn_study_parse_unit(study, a->operands.items[i], &ref.site, &ref.unit, err);
        if (st == CN_OK && ref.unit < 0)
            st = add_first(a, study, ref.site, limit, units, err);
        else if (st == CN_OK)
            add_unit(units, ref);
    }
    for (size_t i = 0; i < a->sites.count && st == CN_OK; i++) {
        cn_unit_ref ref = {0, 0};
        st = cn_study_parse_unit(study, a->sites.items[i], &ref.site, &ref.unit, err);
        if (st == CN_OK)
            st = add_first(a, study, ref.site, limit, units, err);
    }
    if (st == CN_OK && a->operands.count == 1 && a->sites.count == 0 && cn_study_site_count(study) > 0)
        st = add_first(a, study, 0, limit, units, err);
    return st;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return (path[0] && path[strlen(path) - 1] == '/') || (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
}

static bool is_sheet(const char *path)
{
    return has_ending(path, ".png") || has_ending(path, ".webp") || has_ending(path, ".jpg");
}

static cn_status write_cards(const struct arguments *a, cn_study *study, const struct units *units,
                             cn_error *err)
{
    cn_card_options o = {
        .title = a->title,
        .introduction = a->introduction,
        .top = (int)a->examples,
        .bottom = (int)a->bottom,
        .per_bucket = (int)a->per_bucket,
        .words = (int)a->words,
        .labels = (int)a->labels,
        .no_buckets = a->no_buckets,
        .gallery = a->gallery,
        .theme = (cn_card_theme)a->theme,
        .columns = (int)a->columns,
        .scale = (double)a->scale,
    };
    if (is_folder(a->output))
        return cn_card_write_pngs(study, units->refs, units->count, &o, a->output, err);
    if (is_sheet(a->output))
        return cn_card_write_png(study, units->refs, units->count, &o, a->output, err);
    return cn_card_write_html(study, units->refs, units->count, &o, a->output, err);
}

static cn_status print_units(const struct arguments *a, cn_study *study, const struct units *units,
                             cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_row **rows = need(calloc(units->count + 1, sizeof *rows));
    cn_unit_row *table = need(calloc(units->count + 1, sizeof *table));
    for (size_t i = 0; i < units->count && st == CN_OK; i++) {
        st = cn_study_unit(study, units->refs[i], &rows[i], err);
        if (st == CN_OK)
            table[i] = *rows[i];
    }
    if (st == CN_OK && a->json) {
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_text(&j, "output", a->output);
        unit_table_json(&j, "units", study, table, units->count);
        json_close(&j, '}');
        json_end(&j);
    } else if (st == CN_OK) {
        unit_table_print(study, table, units->count, stdout);
    }
    for (size_t i = 0; i < units->count; i++)
        cn_unit_rows_free(rows[i]);
    free(rows);
    free(table);
    return st;
}

static int make_cards(const struct arguments *a)
{
    cn_study *study = NULL;
    struct units units = {0};
    cn_error err = {0};
    cn_status st = cn_study_open(&study, a->operands.items[0], &err);
    if (st == CN_OK)
        st = find_units(a, study, &units, &err);
    if (st == CN_OK && a->output)
        st = write_cards(a, study, &units, &err);
    if (st == CN_OK && (a->list || a->json))
        st = print_units(a, study, &units, &err);
    if (st == CN_OK && a->output)
        note(a->quiet, "clipneuron: %zu card%s in %s", units.count, units.count == 1 ? "" : "s", a->output);
    free(units.refs);
    cn_study_close(study);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_card, argc, argv, &a);
    if (code >= 0)
        return code;
    if (!a.operands.count)
        code = fail_usage("card", "no study named");
    else if (!a.output && !a.list)
        code = fail_usage("card", "-o FILE is missing");
    else if (a.output && !is_folder(a.output) && !has_ending(a.output, ".html") &&
             !has_ending(a.output, ".htm") && !is_sheet(a.output))
        code = fail_usage("card", "the output must end in .html, .png, .webp, .jpg or /, not '%s'", a.output);
    else
        code = make_cards(&a);
    options_free(&command_card, &a);
    return code;
}

const struct command command_card = {
    .name = "card",
    .summary = "what a study knows of units: an HTML page or PNG sheets",
    .synopsis =
        "card STUDY UNIT... -o OUT.html\ncard STUDY [--top N] [--order O] -o OUT.html\ncard STUDY --list",
    .description =
        "Makes a card for every UNIT: the strongest examples with the responding region marked, the most "
        "inhibiting "
        "ones, a sample from every level of activation, the histogram of activation in sd units, labels, "
        "media and "
        "the nearest words. UNIT is a number at the study's first site, or SITE:UNIT. Without one, the most "
        "interesting units of the study are shown.",
    .examples = "The most interesting units of a study:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron card study -o units.html\n\n"
                "Two units as a picture:\n\n"
                "$ clipneuron card study 7 12 -o units.png\n\n"
                "A table of the units that peak highest:\n\n"
                "$ clipneuron card study --list --order peak --top 10",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY [UNIT...]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
