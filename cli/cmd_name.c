/* cli/cmd_name.c -- `clipneuron name`: a name for every unit of a study, and how good the names are. */
#include "commands.h"
#include "interrupt.h"
#include "json.h"
#include "models.h"
#include "people.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/find.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words operands;
    const char *site, *words, *template;
    int64_t top, pictures, seed;
    int method;
    bool dry, json, quiet;
};

static const char *const method_choices[] = {"consensus", "dissect", "linear", "nearest", NULL}; /* cn_name_method */

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'s', "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE", "Units of this site of the study. Default: its first."},
    {0, "words", OPTION_TEXT, offsetof(struct arguments, words), "FILE",
     "Names to choose from, one a line; lines that begin with # are comments. Default: the study's words."},
    {0, "method", OPTION_CHOICE, offsetof(struct arguments, method), "METHOD",
     "dissect (soft WPMI of the strongest pictures), linear (cosine with what the unit adds to the embedding), nearest (correlation over all "
     "pictures) or consensus: the mean of 1/rank over them. Default: consensus.", 0, 0, method_choices},
    {0, "template", OPTION_TEXT, offsetof(struct arguments, template), "TEXT",
     "A prompt with {} where the word goes, e.g. \"a photo of a {}\". Default: the study's."},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Units in the table. Default: 24.", 0, INT64_MAX},
    {0, "pictures", OPTION_COUNT, offsetof(struct arguments, pictures), "N", "Pictures of both halves together, at most. Default: 8192.", 1,
     CN_MAX_FIND_PICTURES},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of the shuffled names. Default: 0.", 0, INT64_MAX},
    {0, "dry-run", OPTION_FLAG, offsetof(struct arguments, dry), NULL, "Print only: leave the study as it is."},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON, with all units."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

struct naming {
    const struct arguments *a;
    const char *shown; /* the phase on the progress line */
};

static bool name_progress(const char *what, int64_t done, int64_t total, void *user)
{
    struct naming *n = user;
    if (n->shown != what)
        progress_start(what, total, PROGRESS_ITEMS, n->a->quiet);
    n->shown = what;
    progress_set(done, total, 0);
    return !interrupted();
}

static void cell(const char *text, size_t width)
{
    const size_t used = printed_width(text);
    print_safely(stdout, text);
    printf("%*s", used < width ? (int)(width - used) : 0, "");
}

static void print_names(const cn_name_result *r, const cn_unit_row *rows, size_t n)
{
    size_t width = 4, label = 5;
    for (size_t i = 0; i < n; i++) {
        const size_t w = printed_width(r->names[i].name), l = printed_width(rows[r->names[i].ref.unit].label);
        width = w > width ? w : width;
        label = l > label ? l : label;
    }
    if (n)
        printf(" unit  %-*s  %8s  held out  %6s  %5s  %-*s  others\n", (int)width, "name", "score", "z", "AUC", (int)label, "label");
    for (size_t i = 0; i < n; i++) {
        const cn_unit_name *u = &r->names[i];
        printf("%5lld  ", (long long)u->ref.unit);
        cell(u->name, width);
        printf("  %8.3f  %8.3f  %6.1f  %5.3f  ", u->score, u->heldout, u->heldout_z, u->auc);
        cell(rows[u->ref.unit].label, label);
        printf("  ");
        print_safely(stdout, u->others);
        putchar('\n');
    }
    if (n)
        putchar('\n');
}

static double percent(int64_t part, int64_t all)
{
    return all ? 100 * (double)part / (double)all : 0;
}

static void print_summary(const cn_name_result *r)
{
    printf("%zu names of %lld words, chosen on %lld pictures, measured on %lld others\n", r->n, (long long)r->words, (long long)r->pictures,
           (long long)r->heldout_pictures);
    printf("held out: median correlation %.3f (shuffled among the units: %.3f, p %.3g), median AUC %.3f\n", r->median, r->shuffled, r->p,
           r->median_auc);
    printf("above the 95th percentile of shuffled names (%.3f): %lld, %.1f%% (by chance 5%%)\n", r->threshold, (long long)r->above,
           percent(r->above, (int64_t)r->n));
    if (r->labelled)
        printf("the unit's own label: %.1f%% of %lld, among the first three %.1f%%", percent(r->label_first, r->labelled), (long long)r->labelled,
               percent(r->label_three, r->labelled));
    if (r->labelled && r->pure)
        printf("; of purity 70%% or more: %.1f%% of %lld, %.1f%%", percent(r->pure_first, r->pure), (long long)r->pure,
               percent(r->pure_three, r->pure));
    if (r->labelled)
        putchar('\n');
}

/* Of all names, not only of those in the table: all of them are kept. */
static void print_people(cn_study *study, const cn_name_result *r)
{
    struct people people;
    people_begin(&people, study);
    for (size_t i = 0; i < r->n; i++)
        people_note(&people, r->names[i].name);
    people_print(&people);
}

static void json_names(const struct arguments *a, cn_study *study, const cn_name_result *r, const cn_unit_row *rows, size_t site)
{
    struct json j;
    struct people people;
    people_begin(&people, study);
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "study", a->operands.items[0]);
    json_text(&j, "site", cn_study_site_at(study, site)->name);
    json_text(&j, "method", method_choices[a->method]);
    json_bool(&j, "kept", !a->dry);
    json_int(&j, "words", r->words);
    json_int(&j, "unknown_words", r->unknown_words);
    json_int(&j, "pictures", r->pictures);
    json_int(&j, "heldout_pictures", r->heldout_pictures);
    json_int(&j, "strongest", r->strongest);
    json_real(&j, "median", r->median);
    json_real(&j, "median_auc", r->median_auc);
    json_real(&j, "shuffled", r->shuffled);
    json_int(&j, "shuffles", r->shuffles);
    json_real(&j, "p", r->p);
    json_real(&j, "threshold", r->threshold);
    json_int(&j, "above", r->above);
    json_int(&j, "labelled", r->labelled);
    json_int(&j, "label_first", r->label_first);
    json_int(&j, "label_three", r->label_three);
    json_int(&j, "pure", r->pure);
    json_int(&j, "pure_first", r->pure_first);
    json_int(&j, "pure_three", r->pure_three);
    json_open(&j, "units", '[');
    for (size_t i = 0; i < r->n; i++) {
        const cn_unit_name *u = &r->names[i];
        j.flat = j.depth + 1;
        json_open(&j, NULL, '{');
        json_int(&j, "unit", u->ref.unit);
        json_text(&j, "name", u->name);
        json_text(&j, "others", u->others);
        json_real(&j, "score", u->score);
        json_real(&j, "heldout", u->heldout);
        json_real(&j, "heldout_z", u->heldout_z);
        json_real(&j, "auc", u->auc);
        json_text(&j, "label", rows[u->ref.unit].label);
        json_real(&j, "purity", rows[u->ref.unit].purity);
        json_close(&j, '}');
        people_note(&people, u->name);
    }
    json_close(&j, ']');
    people_json(&people, &j);
    json_close(&j, '}');
    json_end(&j);
}

/* The network is needed for words that the study has not, and for directions. */
static bool needs_model(const struct arguments *a)
{
    return a->words || a->template || a->method == CN_NAME_CONSENSUS || a->method == CN_NAME_LINEAR;
}

static int name(const struct arguments *a)
{
    cn_study *study = NULL;
    cn_model *model = NULL;
    cn_unit_row *rows = NULL;
    cn_name_result *r = NULL;
    cn_error err = {0};
    size_t site = 0, n_rows = 0;
    int64_t unit = -1;
    int code = EXIT_DONE;
    cn_status st = cn_study_open(&study, a->operands.items[0], &err);
    if (st == CN_OK && a->site)
        st = cn_study_parse_unit(study, a->site, &site, &unit, &err);
    if (st == CN_OK && needs_model(a))
        code = model_open(&a->model, &model);
    if (st == CN_OK && code == EXIT_DONE) {
        struct naming n = {.a = a};
        const cn_name_options o = {.site = site,
                                   .method = (cn_name_method)a->method,
                                   .words = a->words,
                                   .word_template = a->template,
                                   .pictures = a->pictures,
                                   .seed = (uint64_t)a->seed,
                                   .dry = a->dry,
                                   .threads = (int)a->run.threads,
                                   .precision = precision_of(&a->run),
                                   .backend = (cn_backend)a->run.backend,
                                   .progress = name_progress,
                                   .user = &n};
        st = cn_study_name(study, model, &o, &r, &err);
        progress_end();
    }
    if (st == CN_OK && code == EXIT_DONE) /* naming has checked that the units are all there */
        st = cn_study_units(study, site, CN_ORDER_UNIT, 0, &rows, &n_rows, &err);
    if (st == CN_OK && code == EXIT_DONE) {
        if (a->json) {
            json_names(a, study, r, rows, site);
        } else {
            print_names(r, rows, r->n < (size_t)a->top ? r->n : (size_t)a->top);
            print_summary(r);
            print_people(study, r);
        }
        if (r->unknown_words)
            note(a->quiet, "clipneuron: %lld words that the model has never seen were left out", (long long)r->unknown_words);
    }
    cn_name_result_free(r);
    cn_unit_rows_free(rows);
    cn_model_close(model);
    cn_study_close(study);
    return st == CN_OK ? code : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 24};
    int code = options_begin(&command_name, argc, argv, &a);
    if (code >= 0)
        return code;
    if (a.operands.count != 1)
        code = fail_usage("name", a.operands.count ? "one study at a time" : "no study named");
    else if (a.template && !strstr(a.template, "{}"))
        code = fail_usage("name", "the template '%s' has no {} where the word goes", a.template);
    else
        code = name(&a);
    options_free(&command_name, &a);
    return code;
}

const struct command command_name = {
    .name = "name",
    .summary = "a name for every unit of a study, and how good the names are",
    .synopsis = "name STUDY [--words FILE] [--method METHOD] [--template T] [--model M] [--json]",
    .description =
        "Gives every unit that is not dead the word of a list that fits it best, and writes the names into the study, where cards show them and a second run "
        "with the same method replaces them. One half of the pictures chooses the names (the half is a hash of the path). The other half measures them: "
        "the correlation of the unit's activation with how well the model finds that the name fits the picture, and the AUC of the latter for the strongest "
        "twentieth of the pictures. What names dealt out at random reach is printed beside it, as is how often the name is the unit's own label.",
    .examples = "Names from the study's words:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron name study --top 5\n\n"
                "From a list, as a prompt, without keeping them:\n\n"
                "    clipneuron name study --words animals.txt --template \"a photo of a {}\" --dry-run",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
