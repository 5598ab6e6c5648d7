/* cli/cmd_direction.c -- `clipneuron direction`: where in a site's units a concept is. */
#include "asking.h"
#include "commands.h"
#include "goals.h"
#include "report.h"

#include <clipneuron/array.h>
#include <clipneuron/direction.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct words operands, concepts, captions;
    const char *site, *output, *add, *l2;
    int method;
    int64_t folds, seed, pictures, examples, threads, replicates;
    bool json;
};

enum { BY_LOGISTIC, BY_MEANS };
static const char *const method_choices[] = {"logistic", "means", NULL};

/* clang-format off */
static const struct option options[] = {
    {0, "concept", OPTION_WORDS, offsetof(struct arguments, concepts), "LABEL",
     "Pictures with this label show the concept; repeat it for several labels as one concept."},
    {0, "caption", OPTION_WORDS, offsetof(struct arguments, captions), "TEXT", "So do pictures whose caption holds this text; may be repeated."},
    {'s', "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE", "Of the study. Default: its first."},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "OUT.npy",
     "Write the direction for reading: the score of a picture is its dot product with the activations. 'see SITE:OUT.npy' draws it."},
    {0, "method", OPTION_CHOICE, offsetof(struct arguments, method), "WHICH", "Of -o: logistic or means. Default: logistic.", 0, 0, method_choices},
    {0, "add", OPTION_TEXT, offsetof(struct arguments, add), "OUT.npy",
     "Write the difference of mean activations: '--edit SITE+OUT.npy' shifts pictures by what the concept is worth."},
    {0, "folds", OPTION_COUNT, offsetof(struct arguments, folds), "N", "Of the cross-validation. Default: 5.", 2, 20},
    {0, "l2", OPTION_TEXT, offsetof(struct arguments, l2), "X", "Weight of the regression's penalty, 1e-6 to 1e3. Default: 0.01."},
    {0, "pictures", OPTION_COUNT, offsetof(struct arguments, pictures), "N", "At most so many pictures that are not of the concept, at random. Default: 16384.", 10, 100000000},
    {0, "replicates", OPTION_COUNT, offsetof(struct arguments, replicates), "N", "Of the bootstrap. Default: 1000.", 40, 100000},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of folds, sample and bootstrap. Default: 0.", 0, INT64_MAX},
    {'n', "examples", OPTION_COUNT, offsetof(struct arguments, examples), "N", "Pictures with the highest held-out scores. Default: 12.", 0, 100000},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON in place of text."},
    {'t', "threads", OPTION_COUNT, offsetof(struct arguments, threads), "N", "CPU threads. Default: all cores.", 1, 1024},
};
static const struct grid_column example_columns[] = {
    {"score", "score", GRID_REAL, 2},  {"of_concept", "", GRID_TEXT, 0}, {"label", "label", GRID_TEXT, 0},
    {"medium", "medium", GRID_TEXT, 0}, {"path", "path", GRID_TEXT, 0},  {"image", NULL, GRID_INT, 0},
};
static const struct grid_column unit_columns[] = {
    {"unit", "unit", GRID_INT, 0}, {"share", "share", GRID_REAL, 3}, {"name", "name", GRID_TEXT, 0},
};
/* clang-format on */

static void auc_json(struct json *j, const char *key, const cn_auc *auc)
{
    j->flat = j->depth + 1;
    json_open(j, key, '{');
    json_real(j, "value", auc->value);
    json_real(j, "low", auc->low);
    json_real(j, "high", auc->high);
    json_close(j, '}');
}

static void fill_units(struct grid *g, cn_study *study, size_t site, const cn_direction_way *way, char *names[CN_DIRECTION_STRONGEST])
{
    grid_begin(g, unit_columns, CN_COUNT(unit_columns));
    for (int i = 0; i < way->strongest; i++) {
        names[i] = goals_unit_name(study, site, way->unit[i]);
        grid_int(g, way->unit[i]);
        grid_real(g, way->weight[i]);
        grid_text(g, names[i]);
    }
}

static void way_json(struct json *j, const char *key, const cn_direction_way *way, const struct grid *units)
{
    json_open(j, key, '{');
    auc_json(j, "auc", &way->auc);
    json_real(j, "participation", way->participation);
    grid_json(units, j, "units");
    json_close(j, '}');
}

static void print_json(cn_study *study, size_t site, const cn_direction *d, const struct grid *examples, const struct grid *means,
                       const struct grid *logistic)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "site", cn_study_site_at(study, site)->name);
    json_text(&j, "kind", cn_direction_kind_text(d->kind));
    json_int(&j, "positives", d->positives);
    json_int(&j, "negatives", d->negatives);
    json_int(&j, "folds", d->folds);
    json_int(&j, "unit", d->unit);
    auc_json(&j, "unit_auc", &d->unit_auc);
    json_int(&j, "unit_folds", d->unit_folds);
    way_json(&j, "logistic", &d->logistic, logistic);
    way_json(&j, "means", &d->means, means);
    json_open(&j, "sizes", '[');
    for (int i = 0; i < d->n_sizes; i++) {
        j.flat = j.depth + 1;
        json_open(&j, NULL, '{');
        json_int(&j, "units", d->size[i]);
        json_real(&j, "auc", d->size_auc[i]);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_int(&j, "enough", d->enough);
    grid_json(examples, &j, "examples");
    json_close(&j, '}');
    json_end(&j);
}

static void print_text(cn_study *study, size_t site, const cn_direction *d, const struct grid *examples, const struct grid *logistic)
{
    char *name = goals_unit_name(study, site, d->unit);
    printf("%s: ", cn_study_site_at(study, site)->short_name);
    if (d->kind == CN_DIRECTION_NONE)
        puts("nothing tells the concept from the rest");
    else if (d->kind == CN_DIRECTION_UNIT)
        puts("a unit carries it");
    else
        printf("no unit carries it alone; it is %s\n", d->kind == CN_DIRECTION_FEW ? "the sum of a few units" : "a diffuse direction");
    printf("%lld pictures of the concept, %lld others; held out, %lld folds:\n\n", (long long)d->positives, (long long)d->negatives, (long long)d->folds);
    printf("            AUC    95%% interval    participation ratio\n");
    printf("logistic    %.3f  %.3f to %.3f  %.1f units\n", d->logistic.auc.value, d->logistic.auc.low, d->logistic.auc.high, d->logistic.participation);
    printf("means       %.3f  %.3f to %.3f  %.1f units\n", d->means.auc.value, d->means.auc.low, d->means.auc.high, d->means.participation);
    printf("best unit   %.3f  %.3f to %.3f  %lld ", d->unit_auc.value, d->unit_auc.low, d->unit_auc.high, (long long)d->unit);
    print_safely(stdout, name);
    printf(", the best in %lld of %lld folds\n\nregression with the strongest units alone:\n", (long long)d->unit_folds, (long long)d->folds);
    for (int i = 0; i < d->n_sizes; i++)
        printf("%s%d: %.3f", i ? ", " : "  ", d->size[i], d->size_auc[i]);
    puts("\n\nstrongest units of the regression, as shares of all weights:\n");
    grid_print(logistic, stdout);
    if (grid_rows(examples)) {
        puts("\nbest pictures, by scores of folds that had not seen them (in deviations of the other pictures; * of the concept):\n");
        grid_print(examples, stdout);
    }
    free(name);
}

static void show(const struct arguments *a, cn_study *study, size_t site, const cn_direction *d)
{
    struct grid examples, units[2];
    char *names[2][CN_DIRECTION_STRONGEST] = {{NULL}};
    grid_begin(&examples, example_columns, CN_COUNT(example_columns));
    for (size_t i = 0; i < d->n_examples; i++) {
        const cn_direction_example *e = &d->example[i];
        grid_real(&examples, e->score);
        grid_text(&examples, e->positive ? "*" : "");
        grid_text(&examples, e->label);
        grid_text(&examples, e->medium);
        grid_text(&examples, e->path);
        grid_int(&examples, e->image);
    }
    fill_units(&units[0], study, site, &d->logistic, names[0]);
    fill_units(&units[1], study, site, &d->means, names[1]);
    if (a->json)
        print_json(study, site, d, &examples, &units[1], &units[0]);
    else
        print_text(study, site, d, &examples, &units[0]);
    grid_free(&examples);
    for (int k = 0; k < 2; k++) {
        grid_free(&units[k]);
        for (int i = 0; i < CN_DIRECTION_STRONGEST; i++)
            free(names[k][i]);
    }
}

static int direction(const struct arguments *a, cn_study *study, size_t site, float l2)
{
    const cn_direction_options o = {.site = site, .labels = a->concepts.items, .n_labels = a->concepts.count, .captions = a->captions.items,
                                    .n_captions = a->captions.count, .folds = (int)a->folds, .l2 = (double)l2, .pictures = a->pictures,
                                    .seed = (uint64_t)a->seed, .replicates = (int)a->replicates, .examples = a->examples ? (int)a->examples : -1,
                                    .threads = (int)a->threads};
    cn_direction *d = NULL;
    cn_error err = {0};
    cn_status st = cn_direction_find(&d, study, &o, &err);
    if (st == CN_OK && a->output)
        st = cn_npy_write(a->output, CN_DTYPE_F32, 1, &d->units, (a->method == BY_MEANS ? &d->means : &d->logistic)->vector, &err);
    if (st == CN_OK && a->add)
        st = cn_npy_write(a->add, CN_DTYPE_F32, 1, &d->units, d->difference, &err);
    if (st == CN_OK)
        show(a, study, site, d);
    cn_direction_free(d);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {.examples = 12};
    int code = options_begin(&command_direction, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_study *study = NULL;
    size_t site = 0;
    float l2 = 0;
    code = EXIT_DONE;
    if (a.operands.count > 1)
        code = fail_usage("direction", "one study, not %zu", a.operands.count);
    else if (!a.concepts.count && !a.captions.count)
        code = fail_usage("direction", "--concept LABEL is missing, or --caption TEXT");
    else if (a.output && wrong_ending(a.output, ".npy"))
        code = fail_usage("direction", "the output must end in .npy, not '%s'", a.output);
    else if (a.add && wrong_ending(a.add, ".npy"))
        code = fail_usage("direction", "--add must end in .npy, not '%s'", a.add);
    if (code == EXIT_DONE)
        code = options_number("direction", "l2", a.l2, 1e-6, 1e3, &l2);
    if (code == EXIT_DONE)
        code = ask_open("direction", &a.operands, &study);
    if (code == EXIT_DONE)
        code = ask_site("direction", study, a.site, &site);
    if (code == EXIT_DONE)
        code = direction(&a, study, site, l2);
    cn_study_close(study);
    options_free(&command_direction, &a);
    return code;
}

const struct command command_direction = {
    .name = "direction",
    .summary = "the direction in a site's units that carries a concept, with or without a unit",
    .synopsis = "direction STUDY --concept LABEL... [--caption TEXT...] [--site SITE] [-o OUT.npy] [--add OUT.npy] [--json]",
    .description = "Finds the direction that tells pictures of a concept from all others, by the difference of means and by logistic regression "
                   "on standardised activations, and measures both, and the best single unit, on pictures that had no part in them "
                   "(AUC: how often a picture of the concept scores above another; 0.5 is chance). Pictures with the same bytes are never on both "
                   "sides.\n\n"
                   "The participation ratio says how many units carry the direction, were they all to weigh the same. With that and the area that 1, 2, "
                   "4, ... of the strongest units reach when they are fitted alone, the first line answers: a unit, a few, or a diffuse direction. "
                   "Fewer units count as enough within 0.02 of all.\n\n"
                   "-o writes it as a vector that objectives of 'see' and 'gradient' take as SITE:FILE.npy, scaled so that scores of the "
                   "pictures have deviation 1; --add writes what to add to activations with --edit.",
    .examples = "Where is a label of the collection?\n\n"
                "$ mkdir -p sorted/plane sorted/other\n"
                "$ cp photos/airplane* sorted/plane && cp photos/al* sorted/other\n"
                "$ clipneuron scan --show 0 sorted -o study\n"
                "$ clipneuron direction study --concept plane -o plane.npy --add add.npy\n\n"
                "Does adding it make other pictures look like it?\n\n"
                "$ clipneuron intervene --edit layer4.3.add+add.npy*3 --text airplane --text cat cat.png\n\n"
                "What would drive it in a picture:\n\n"
                "$ clipneuron gradient --objective layer4.3.add:plane.npy cat.png -o gradient.npy",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
