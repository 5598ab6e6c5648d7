/* cli/cmd_compare.c -- `clipneuron compare`: the units of one model on two collections. */
#include "asking.h"
#include "commands.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

struct arguments {
    struct words operands;
    const char *site;
    int sort;
    int64_t count;
    struct show show;
};

/* As in cn_difference_order. */
static const char *const sort_choices[] = {"d", "z", "share", "ks", "js", "label", "unit", NULL};

/* clang-format off */
static const struct option options[] = {
    {'s', "sort", OPTION_CHOICE, offsetof(struct arguments, sort), "ORDER",
     "d (difference of the means), z, share (above zero), ks, js, label (changed ones first) or unit. Default: d.", 0, 0, sort_choices},
    {'n', "count", OPTION_COUNT, offsetof(struct arguments, count), "K", "The first K units. Default: 24.", 1, 10000000},
    {0, "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE", "Only this site. Default: all that both studies have."},
    SHOW_OPTIONS(struct arguments, show),
    QUIET_OPTION(struct arguments, show.quiet),
};
static const struct grid_column columns[] = {
    {"site", NULL, GRID_TEXT, 0},
    {NULL, "unit", GRID_TEXT, 0},
    {"unit", NULL, GRID_INT, 0},
    {"d", "d", GRID_REAL, 2},
    {"d_error", "error", GRID_REAL, 2},
    {"z", "z", GRID_REAL, 1},
    {"mean_a", "mean A", GRID_REAL, -3},
    {"mean_b", "mean B", GRID_REAL, -3},
    {"sd_a", NULL, GRID_REAL, 0},
    {"sd_b", NULL, GRID_REAL, 0},
    {"share_a", "active A", GRID_SHARE, 0},
    {"share_b", "active B", GRID_SHARE, 0},
    {"ks", "KS", GRID_REAL, 3},
    {"ks_most", NULL, GRID_REAL, 0},
    {"js", "JS", GRID_REAL, 3},
    {"js_chance", "chance", GRID_REAL, 3},
    {"label_a", "label A", GRID_TEXT, 0},
    {"purity_a", "purity", GRID_SHARE, 0},
    {"label_b", "label B", GRID_TEXT, 0},
    {"purity_b", "purity", GRID_SHARE, 0},
};
/* clang-format on */

static void add_purity(struct grid *g, const char *label, double purity)
{
    grid_text(g, label);
    if (label[0])
        grid_real(g, purity);
    else
        grid_none(g);
}

static void add_row(struct grid *g, const cn_study *study, const cn_unit_difference *d, const char *name)
{
    grid_text(g, cn_study_site_at(study, d->a.site)->name);
    grid_text(g, name);
    grid_int(g, d->a.unit);
    grid_real(g, d->d);
    grid_real(g, d->d_error);
    grid_real(g, d->z);
    grid_real(g, d->mean_a);
    grid_real(g, d->mean_b);
    grid_real(g, d->sd_a);
    grid_real(g, d->sd_b);
    grid_real(g, d->share_a);
    grid_real(g, d->share_b);
    grid_real(g, d->ks);
    grid_real(g, d->ks_most);
    grid_real(g, d->js);
    grid_real(g, d->js_chance);
    add_purity(g, d->label_a, d->purity_a);
    add_purity(g, d->label_b, d->purity_b);
}

struct pair {
    const cn_study *studies[2];
};

static void write_head(struct json *j, const void *user)
{
    const struct pair *p = user;
    for (int i = 0; i < 2; i++) {
        const cn_study_info *info = cn_study_get_info(p->studies[i]);
        json_open(j, i ? "b" : "a", '{');
        json_text(j, "study", info->path);
        json_text(j, "collection", info->collection);
        json_int(j, "images", info->images);
        json_text(j, "precision", info->precision);
        json_close(j, '}');
    }
    json_text(j, "fingerprint", cn_study_get_info(p->studies[0])->fingerprint);
}

static void print_head(const struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        const cn_study_info *info = cn_study_get_info(p->studies[i]);
        char n[32];
        printf("%c: ", 'A' + i);
        print_safely(stdout, info->path);
        printf(", %s pictures of ", ask_count(info->images, n));
        print_safely(stdout, info->collection_name);
        printf(", %s\n", info->precision);
    }
    putchar('\n');
}

static int compare(const struct arguments *a, cn_study *first, cn_study *second)
{
    const struct pair pair = {{first, second}};
    cn_unit_difference *list = NULL;
    size_t n = 0;
    struct grid g;
    cn_error err = {0};
    const cn_status st = cn_studies_compare(first, second, a->site, (cn_difference_order)a->sort, (size_t)a->count, &list, &n, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    char **names = need(calloc(n + 1, sizeof *names));
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < n; i++) {
        names[i] = ask_name(first, list[i].a);
        add_row(&g, first, &list[i], names[i]);
    }
    if (!a->show.json && !a->show.csv)
        print_head(&pair);
    show_grid(&a->show, &g, "units", write_head, &pair);
    grid_free(&g);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    cn_unit_differences_free(list);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.count = 24};
    int code = options_begin(&command_compare, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_study *studies[2] = {NULL, NULL};
    code = a.operands.count == 2 ? EXIT_DONE : fail_usage("compare", "two studies are compared, not %zu", a.operands.count);
    for (int i = 0; i < 2 && code == EXIT_DONE; i++) {
        cn_error err = {0};
        const cn_status st = cn_study_open(&studies[i], a.operands.items[i], &err);
        if (st != CN_OK)
            code = fail_error(&err, st);
    }
    if (code == EXIT_DONE)
        code = compare(&a, studies[0], studies[1]);
    cn_study_close(studies[0]);
    cn_study_close(studies[1]);
    options_free(&command_compare, &a);
    return code;
}

const struct command command_compare = {
    .name = "compare",
    .summary = "the units of one model on two collections: what changed",
    .synopsis = "compare A B [--sort ORDER] [-n K] [--site SITE]",
    .description =
        "Compares two studies of one model unit by unit, B against A: Cohen's d, the difference of the means in pooled standard "
        "deviations, "
        "with its standard error and z = d / error; the shares of pictures above zero; two distances of the whole distributions, from the "
        "studies' histograms: Kolmogorov-Smirnov (KS, 0 to 1) and Jensen-Shannon (JS, bits, 0 to 1) with what chance alone would give for "
        "so "
        "many pictures; and each study's label of the unit with its purity. Studies of different models, or one of means and one of "
        "maxima, are refused.\n\n"
        "z takes the pictures as drawn independently. Where both collections share pictures, or pictures of one label resemble each "
        "other, it says too much.",
    .examples = "What differs between a collection and a part of it:\n\n"
                "$ clipneuron scan --quiet photos -o all > /dev/null\n"
                "$ mkdir few && cp $(ls photos/*.png | head -n 12) few\n"
                "$ clipneuron scan --quiet few -o some > /dev/null\n"
                "$ clipneuron compare all some --sort ks -n 10",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY STUDY",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
