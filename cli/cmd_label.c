/* cli/cmd_label.c -- `clipneuron label`: people's categories for the pictures of a unit, and P(category | activation). */
#include "commands.h"
#include "json.h"
#include "labelling.h"
#include "outfile.h"
#include "report.h"

#include <clipneuron/rating.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct arguments {
    struct words operands;
    const char *rater, *categories, *csv, *template, *sheet, *plot;
    int by, theme, show;
    int64_t bins, seed;
    bool list, remove, table, json, quiet;
};

static const char *const by_choices[] = {"ratings", "label", "medium", NULL};
static const char *const theme_choices[] = {"light", "dark", "print", NULL};
static const char *const show_choices[] = {"auto", "kitty", "iterm", "blocks", "none", NULL};

/* clang-format off */
static const struct option options[] = {
    {'r', "rater", OPTION_TEXT, offsetof(struct arguments, rater), "NAME", "Who answers. Each rater sees the pictures in an order of their own."},
    {'c', "categories", OPTION_TEXT, offsetof(struct arguments, categories), "A,B,...",
     "The unit's categories, at most 16, for all raters; they are kept in the study, so once is enough. Categories with answers can be "
     "moved, but not left out."},
    {0, "csv", OPTION_TEXT, offsetof(struct arguments, csv), "FILE",
     "Read answers: columns category, image or path, and rater unless --rater says it. All or, after an error, none; rows without a "
     "category are left out. A unit without categories gets the file's."},
    {0, "csv-template", OPTION_TEXT, offsetof(struct arguments, template), "FILE", "Write a CSV with empty categories, in the rater's order."},
    {0, "sheet", OPTION_TEXT, offsetof(struct arguments, sheet), "FILE.html",
     "Write a page to rate on in a browser, which gives a file for --csv. A folder: under a name made of the unit and the rater."},
    {'l', "list", OPTION_FLAG, offsetof(struct arguments, list), NULL, "Print the answers as CSV, of all raters or of --rater."},
    {0, "remove", OPTION_FLAG, offsetof(struct arguments, remove), NULL, "Remove all answers of --rater for the unit."},
    {0, "plot", OPTION_TEXT, offsetof(struct arguments, plot), "OUT",
     "Draw P(category | activation) as stacked areas: OUT.svg, or OUT.png at two pixels a point."},
    {0, "by", OPTION_CHOICE, offsetof(struct arguments, by), "WHAT",
     "Categories of the plot: ratings, or the collection's label (the 7 that take most of it) or medium, for which nobody needs to rate. "
     "Default: ratings.", 0, 0, by_choices},
    {0, "bins", OPTION_COUNT, offsetof(struct arguments, bins), "N", "Levels of activation. Default: the study's buckets (10).", 1,
     CN_MAX_CATEGORY_BINS},
    {0, "theme", OPTION_CHOICE, offsetof(struct arguments, theme), "THEME", "light, dark or print (greys and hatches). Default: light.", 0, 0,
     theme_choices},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of the bootstrap for alpha's interval. Default: 0.", 0, INT64_MAX},
    {'t', "table", OPTION_FLAG, offsetof(struct arguments, table), NULL, "Print the shares."},
    {0, "show", OPTION_CHOICE, offsetof(struct arguments, show), "HOW",
     "How a terminal shows pictures: kitty, iterm, blocks (24-bit colour), none (their paths alone). Default: what it can.", 0, 0, show_choices},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print the shares (with --list: the answers) as JSON."},
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No notes."},
};
/* clang-format on */

struct job {
    const struct arguments *a;
    cn_study *study;
    cn_unit_ref ref;
};

/* ---- what is asked for, one by one ---- */

static int set_categories(const struct job *job)
{
    cn_error err = {0};
    char *text = need_format("%s", job->a->categories);
    struct words names = {0};
    for (char *at = text; at;) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        at += strspn(at, " ");
        for (size_t n = strlen(at); n > 0 && at[n - 1] == ' ';)
            at[--n] = '\0';
        words_add(&names, at);
        at = comma ? comma + 1 : NULL;
    }
    const cn_status st = cn_study_set_categories(job->study, job->ref, names.items, names.count, &err);
    words_free(&names);
    free(text);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int read_csv(const struct job *job)
{
    cn_error err = {0};
    cn_rating_import r;
    const cn_status st = cn_study_read_ratings(job->study, job->ref, job->a->rater, job->a->csv, &r, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    note(job->a->quiet,
         "clipneuron: %s: %" PRId64 " answers new, %" PRId64 " changed, %" PRId64 " as before, %" PRId64 " rows without a category",
         job->a->csv, r.added, r.changed, r.same, r.empty);
    return EXIT_DONE;
}

static int remove_answers(const struct job *job)
{
    cn_error err = {0};
    int64_t n = 0;
    const cn_status st = cn_study_remove_ratings(job->study, job->ref, job->a->rater, &n, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    if (n == 0)
        return fail("%s: %s has no answers for this unit", job->a->operands.items[0], job->a->rater);
    note(job->a->quiet, "clipneuron: %" PRId64 " answers removed", n);
    return EXIT_DONE;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* FOLDER/layer4.3.add_319_anna.html; owned by the caller. */
static char *sheet_name(const struct job *job)
{
    const char *path = job->a->sheet;
    if (!is_folder(path))
        return need_format("%s", path);
    char *name = need_format("%s/%s_%" PRId64 "_%s.html", path, cn_study_site_at(job->study, job->ref.site)->short_name, job->ref.unit,
                             job->a->rater);
    for (char *c = name + strlen(path) + 1; *c; c++)
        if (*c == '/')
            *c = '_';
    return name;
}

static int write_sheets(const struct job *job)
{
    cn_error err = {0};
    cn_status st = CN_OK;
    if (job->a->template)
        st = cn_study_write_rating_template(job->study, job->ref, job->a->rater, job->a->template, &err);
    if (st == CN_OK && job->a->template)
        note(job->a->quiet, "clipneuron: %s: fill in its categories and give it to --csv", job->a->template);
    if (st == CN_OK && job->a->sheet) {
        char *name = sheet_name(job);
        st = cn_study_write_rating_sheet(job->study, job->ref, job->a->rater, name, &err);
        if (st == CN_OK)
            note(job->a->quiet, "clipneuron: %s: for a browser; --csv reads the answers that it gives", name);
        free(name);
    }
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* ---- what is printed ---- */

static void print_list(const cn_rating *r, size_t n)
{
    printf("image,path,category,rater,created\n");
    for (size_t i = 0; i < n; i++) {
        printf("%" PRId64 ",", r[i].image);
        csv_field(stdout, r[i].path);
        putchar(',');
        csv_field(stdout, r[i].category);
        putchar(',');
        csv_field(stdout, r[i].rater);
        putchar(',');
        csv_field(stdout, r[i].created);
        putchar('\n');
    }
}

static void list_json(struct json *j, const cn_rating *r, size_t n)
{
    json_open(j, "ratings", '[');
    for (size_t i = 0; i < n; i++) {
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_int(j, "image", r[i].image);
        json_text(j, "path", r[i].path);
        json_text(j, "category", r[i].category);
        json_text(j, "rater", r[i].rater);
        json_text(j, "created", r[i].created);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void bin_json(struct json *j, const cn_category_table *t, const cn_category_bin *b)
{
    json_open(j, NULL, '{');
    json_real(j, "low", b->low);
    json_real(j, "high", b->high);
    json_int(j, "population", b->population);
    json_int(j, "images", b->images);
    json_real(j, "effective", b->effective);
    json_open(j, "shares", '[');
    for (size_t c = 0; c < t->n_categories; c++) {
        const cn_category_share *s = &b->shares[c];
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "category", t->categories[c]);
        json_real(j, "images", s->images);
        json_real(j, "share", s->share);
        json_real(j, "low", s->low);
        json_real(j, "high", s->high);
        json_real(j, "below", s->below);
        json_real(j, "below_low", s->below_low);
        json_real(j, "below_high", s->below_high);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void table_json(struct json *j, const cn_category_table *t)
{
    const cn_agreement *g = &t->agreement;
    json_text(j, "by", by_choices[t->source]);
    json_text(j, "label", t->label);
    json_int(j, "pictures", t->pictures);
    json_real(j, "confidence", t->confidence);
    json_open(j, "categories", '[');
    for (size_t c = 0; c < t->n_categories; c++)
        json_text(j, NULL, t->categories[c]);
    json_close(j, ']');
    json_open(j, "bins", '[');
    for (size_t b = 0; b < t->n_bins; b++)
        bin_json(j, t, &t->bins[b]);
    json_close(j, ']');
    if (t->source != CN_CATEGORIES_RATED)
        return;
    json_open(j, "agreement", '{');
    json_open(j, "raters", '[');
    for (size_t r = 0; r < t->n_raters; r++)
        json_text(j, NULL, t->raters[r]);
    json_close(j, ']');
    json_int(j, "answers", g->answers);
    json_int(j, "images", g->images);
    json_int(j, "shared", g->shared);
    json_real(j, "percent", g->percent);
    json_real(j, "kappa", g->kappa);
    json_real(j, "alpha", g->alpha);
    json_real(j, "alpha_low", g->alpha_low);
    json_real(j, "alpha_high", g->alpha_high);
    json_close(j, '}');
}

static void print_table(const cn_category_table *t)
{
    const cn_agreement *g = &t->agreement;
    const bool rated = t->source == CN_CATEGORIES_RATED;
    printf("%s: %s given activation, %% of a level's pictures with the %.0f%% interval\n\n          sd units  %6s     of", t->unit,
           rated ? "category" : by_choices[t->source], 100 * t->confidence, rated ? "rated" : "sample");
    for (size_t c = 0; c < t->n_categories; c++) {
        const size_t width = printed_width(t->categories[c]);
        printf("  %*s", width < 13 ? (int)(13 - width) : 0, "");
        print_safely(stdout, t->categories[c]);
    }
    putchar('\n');
    for (size_t b = 0; b < t->n_bins; b++) {
        const cn_category_bin *bin = &t->bins[b];
        printf("%7.2f to %7.2f  %6" PRId64 "  %5" PRId64, bin->low, bin->high, bin->images, bin->population);
        for (size_t c = 0; c < t->n_categories && bin->images; c++) {
            char cell[64];
            const size_t width = printed_width(t->categories[c]);
            snprintf(cell, sizeof cell, "%.0f (%.0f to %.0f)", 100 * bin->shares[c].share, 100 * bin->shares[c].low,
                     100 * bin->shares[c].high);
            printf("  %*s", width < 13 ? 13 : (int)width, cell);
        }
        putchar('\n');
    }
    if (!rated)
        return;
    printf("\n%" PRId64 " answers by %zu rater%s for %" PRId64 " of %" PRId64 " pictures", g->answers, t->n_raters,
           t->n_raters == 1 ? "" : "s", g->images, t->pictures);
    if (g->shared)
        printf("; on %" PRId64 " shared ones %.0f%% agreement", g->shared, 100 * g->percent);
    if (!isnan(g->kappa))
        printf(", Cohen's kappa %.2f", g->kappa);
    if (!isnan(g->alpha))
        printf(", Krippendorff's alpha %.2f", g->alpha);
    if (!isnan(g->alpha_low))
        printf(" (%.2f to %.2f)", g->alpha_low, g->alpha_high);
    putchar('\n');
}

static int results(const struct job *job, bool with_table)
{
    const struct arguments *a = job->a;
    cn_error err = {0};
    cn_status st = CN_OK;
    cn_category_table *table = NULL;
    cn_rating *ratings = NULL;
    size_t n = 0;
    const cn_category_options o = {.source = (cn_category_source)a->by, .bins = (int)a->bins, .seed = (uint64_t)a->seed};
    if (with_table)
        st = cn_study_category_table(job->study, job->ref, &o, &table, &err);
    if (st == CN_OK && a->plot)
        st = cn_category_plot(table, (cn_plot_theme)a->theme, a->plot, &err);
    if (st == CN_OK && a->list)
        st = cn_study_ratings(job->study, job->ref, a->rater, &ratings, &n, &err);
    if (st == CN_OK && a->plot)
        note(a->quiet, "clipneuron: a plot in %s", a->plot);
    if (st == CN_OK && a->json) {
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_text(&j, "site", cn_study_site_at(job->study, job->ref.site)->name);
        json_int(&j, "unit", job->ref.unit);
        if (table)
            table_json(&j, table);
        if (a->list)
            list_json(&j, ratings, n);
        json_close(&j, '}');
        json_end(&j);
    } else if (st == CN_OK) {
        if (a->list)
            print_list(ratings, n);
        if (a->table)
            print_table(table);
    }
    cn_ratings_free(ratings);
    cn_category_table_free(table);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* ---- the command ---- */

static int rate(const struct job *job)
{
    cn_error err = {0};
    cn_category *categories = NULL;
    size_t n = 0;
    const cn_status st = cn_study_categories(job->study, job->ref, &categories, &n, &err);
    cn_categories_free(categories);
    if (st != CN_OK)
        return fail_error(&err, st);
    if (n == 0)
        return fail("%s: this unit has no categories yet: name them with --categories A,B,...", job->a->operands.items[0]);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return fail("rating by key needs a terminal; --sheet and --csv do without");
    return labelling(job->study, job->ref, job->a->rater, (term_picture)job->a->show);
}

static int obey(const struct job *job)
{
    const struct arguments *a = job->a;
    int code = EXIT_DONE;
    const bool other = a->csv || a->remove || a->template || a->sheet || a->list, with_table = a->plot || a->table || (a->json && !other);
    if (a->categories)
        code = set_categories(job);
    if (code == EXIT_DONE && a->csv)
        code = read_csv(job);
    if (code == EXIT_DONE && a->remove)
        code = remove_answers(job);
    if (code == EXIT_DONE && (a->template || a->sheet))
        code = write_sheets(job);
    if (code == EXIT_DONE && a->rater && !other && !with_table)
        code = rate(job);
    if (code == EXIT_DONE && (with_table || a->list || a->json))
        code = results(job, with_table);
    return code;
}

static int open_and_obey(const struct arguments *a)
{
    struct job job = {.a = a};
    cn_error err = {0};
    cn_status st = cn_study_open(&job.study, a->operands.items[0], &err);
    if (st == CN_OK)
        st = cn_study_parse_unit(job.study, a->operands.items[1], &job.ref.site, &job.ref.unit, &err);
    int code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    if (code == EXIT_DONE && job.ref.unit < 0)
        code = fail_usage("label", "'%s' is a site; a unit is written SITE:NUMBER", a->operands.items[1]);
    if (code == EXIT_DONE)
        code = obey(&job);
    cn_study_close(job.study);
    return code;
}

static int check(const struct arguments *a)
{
    if (a->operands.count != 2)
        return fail_usage("label", a->operands.count < 2 ? "STUDY and UNIT are needed" : "one unit at a time");
    if (!a->rater && (a->template || a->sheet))
        return fail_usage("label", "--rater is missing: every rater has an order of their own");
    if (!a->rater && a->remove)
        return fail_usage("label", "--rater is missing: whose answers shall be removed?");
    if (a->by && (a->csv || a->template || a->sheet || a->remove || a->list || a->categories || a->rater))
        return fail_usage("label", "--by %s uses the collection's own %ss, without raters", by_choices[a->by], by_choices[a->by]);
    if (a->plot && !has_ending(a->plot, ".svg") && !has_ending(a->plot, ".png"))
        return fail_usage("label", "a plot's name ends in .svg or .png, not '%s'", a->plot);
    if (!a->rater && !a->categories && !a->csv && !a->list && !a->plot && !a->table && !a->json)
        return fail_usage("label", "nothing to do: --rater NAME to answer, --plot or --table to see");
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_label, argc, argv, &a);
    if (code >= 0)
        return code;
    code = check(&a);
    if (code == EXIT_DONE)
        code = open_and_obey(&a);
    options_free(&command_label, &a);
    return code;
}

const struct command command_label = {
    .name = "label",
    .summary = "people's categories for a unit's pictures, and P(category | activation)",
    .synopsis = "label STUDY UNIT --rater NAME [--categories A,B,...]\n"
                "label STUDY UNIT --rater NAME --sheet OUT.html | --csv-template OUT.csv | --csv FILE | --remove\n"
                "label STUDY UNIT [--by label|medium] --plot OUT.svg | --table | --json",
    .description =
        "What does a unit answer to at every level, and not only at the top? Raters sort a random sample of pictures from each level of "
        "activation into categories, in random order and without seeing the activation; the shares of the categories at each level are "
        "P(category | activation).\n\n"
        "On a terminal, 1 to 9 (then a to g) choose a category, s skips, u takes the last answer back, p shows the picture's path "
        "(which may give the answer away), q quits. Each answer is in the study at once; the same command goes on where it stopped, "
        "whatever ended it. --sheet makes a page for people without a terminal, --csv reads what they send back.\n\n"
        "--plot shows the shares with their intervals, the number of pictures, how far raters agree, and how many pictures of the "
        "collection "
        "have which activation. docs/study.md has the formulas.",
    .examples = "Answers by key, then by two more people:\n\n"
                "    clipneuron label study 7 --categories \"photo,drawing,writing,other\" --rater anna\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron label study 7 --categories \"photo,drawing,writing,other\"\n"
                "$ clipneuron label study 7 --rater ben --sheet ben.html\n"
                "$ clipneuron label study 7 --rater eva --csv-template eva.csv\n\n"
                "A table that came back filled in (here: with one category throughout), and the plot:\n\n"
                "$ sed 's/,$/,drawing/' eva.csv > answers.csv\n"
                "$ clipneuron label study 7 --rater eva --csv answers.csv\n"
                "$ clipneuron label study 7 --plot unit7.svg --table\n"
                "$ clipneuron label study 7 --list > all-answers.csv\n\n"
                "Without raters, from the media of the collection:\n\n"
                "    clipneuron label study 7 --by medium --plot media.png --theme dark",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY UNIT",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
