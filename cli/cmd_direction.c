/* cli/cmd_direction.c -- `clipneuron direction`: where in a site's units a concept is. */
#include "asking.h"
#include "commands.h"
#include "goals.h"
#include "interrupt.h"
#include "models.h"
#include "people.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/array.h>
#include <clipneuron/direction.h>
#include <clipneuron/find.h>
#include <clipneuron/image.h>
#include <clipneuron/see.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    struct words operands, concepts, captions;
    struct model_arguments model;
    const char *site, *output, *add, *l2, *see;
    int method;
    int64_t folds, seed, pictures, examples, threads, replicates, steps;
    bool json, quiet;
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
    {0, "see", OPTION_TEXT, offsetof(struct arguments, see), "OUT.png",
     "Draw what drives the direction (of --method), by gradient ascent. 'see SITE:OUT.npy' has more ways to."},
    {0, "steps", OPTION_COUNT, offsetof(struct arguments, steps), "N", "Of the ascent. Default: 512.", 1, 1000000},
    MODEL_OPTIONS(struct arguments, model),
    {0, "folds", OPTION_COUNT, offsetof(struct arguments, folds), "N", "Of the cross-validation. Default: 5.", 2, 20},
    {0, "l2", OPTION_TEXT, offsetof(struct arguments, l2), "X", "Weight of the regression's penalty, 1e-6 to 1e3. Default: 0.01."},
    {0, "pictures", OPTION_COUNT, offsetof(struct arguments, pictures), "N", "At most so many pictures that are not of the concept, at random. Default: 16384.", 10, 100000000},
    {0, "replicates", OPTION_COUNT, offsetof(struct arguments, replicates), "N", "Of the bootstrap. Default: 1000.", 40, 100000},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of folds, sample and bootstrap. Default: 0.", 0, INT64_MAX},
    {'n', "examples", OPTION_COUNT, offsetof(struct arguments, examples), "N", "Pictures with the highest held-out scores. Default: 12.", 0, 100000},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON in place of text."},
    {'t', "threads", OPTION_COUNT, offsetof(struct arguments, threads), "N", "CPU threads. Default: all cores.", 1, 1024},
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress."},
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

static void print_json(const struct arguments *a, cn_study *study, size_t site, const cn_direction *d, const struct grid *examples, const struct grid *means,
                       const struct grid *logistic, double reached, struct people *people)
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
    auc_json(&j, "lead", &d->lead);
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
    json_text(&j, "picture", a->see);
    json_real(&j, "reached", reached);
    people_json(people, &j);
    json_close(&j, '}');
    json_end(&j);
}

static void print_text(cn_study *study, size_t site, const cn_direction *d, const char *name, const struct grid *examples, const struct grid *logistic)
{
    printf("%s: ", cn_study_site_at(study, site)->short_name);
    if (d->kind == CN_DIRECTION_NONE)
        puts("nothing tells the concept from the rest");
    else if (d->kind == CN_DIRECTION_UNIT)
        puts("a unit carries it");
    else if (d->kind == CN_DIRECTION_UNDECIDED)
        puts("not decided whether a unit carries it");
    else
        printf("no unit carries it alone; it is %s\n", d->kind == CN_DIRECTION_FEW ? "the sum of a few units" : "a diffuse direction");
    printf("%lld pictures of the concept, %lld others; held out, %lld folds:\n\n", (long long)d->positives, (long long)d->negatives, (long long)d->folds);
    printf("            AUC    95%% interval    participation ratio\n");
    printf("logistic    %.3f  %.3f to %.3f  %.1f units\n", d->logistic.auc.value, d->logistic.auc.low, d->logistic.auc.high, d->logistic.participation);
    printf("means       %.3f  %.3f to %.3f  %.1f units\n", d->means.auc.value, d->means.auc.low, d->means.auc.high, d->means.participation);
    printf("best unit   %.3f  %.3f to %.3f  %lld ", d->unit_auc.value, d->unit_auc.low, d->unit_auc.high, (long long)d->unit);
    print_safely(stdout, name);
    printf(", the best in %lld of %lld folds\n", (long long)d->unit_folds, (long long)d->folds);
    printf("lead       %+.3f  %+.3f to %+.3f  of the logistic one over the best unit, on the same resampled pictures; a unit is enough up to %.2f\n",
           d->lead.value, d->lead.low, d->lead.high, CN_DIRECTION_NEAR);
    printf("\nregression with the strongest units alone:\n");
    for (int i = 0; i < d->n_sizes; i++)
        printf("%s%d: %.3f", i ? ", " : "  ", d->size[i], d->size_auc[i]);
    puts("\n\nstrongest units of the regression, as shares of all weights:\n");
    grid_print(logistic, stdout);
    if (grid_rows(examples)) {
        puts("\nbest pictures, by scores of folds that had not seen them (in deviations of the other pictures; * of the concept):\n");
        grid_print(examples, stdout);
    }
}

static void show(const struct arguments *a, cn_study *study, size_t site, const cn_direction *d, double reached)
{
    struct grid examples, units[2];
    struct people people;
    char *names[2][CN_DIRECTION_STRONGEST] = {{NULL}}, *best = goals_unit_name(study, site, d->unit);
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
    people_begin(&people, study);
    for (size_t i = 0; i < a->concepts.count; i++)
        people_note(&people, a->concepts.items[i]);
    for (size_t i = 0; i < a->captions.count; i++)
        people_note(&people, a->captions.items[i]);
    people_note(&people, best);
    for (int i = 0; i < 2 * CN_DIRECTION_STRONGEST && (i < CN_DIRECTION_STRONGEST || a->json); i++)
        if (names[i / CN_DIRECTION_STRONGEST][i % CN_DIRECTION_STRONGEST])
            people_note(&people, names[i / CN_DIRECTION_STRONGEST][i % CN_DIRECTION_STRONGEST]);
    if (a->json)
        print_json(a, study, site, d, &examples, &units[1], &units[0], reached, &people);
    else
        print_text(study, site, d, best, &examples, &units[0]);
    if (a->see && !a->json)
        printf("\n%s: drawn for it, scores %.3g\n", a->see, reached);
    if (!a->json)
        people_print(&people);
    free(best);
    grid_free(&examples);
    for (int k = 0; k < 2; k++) {
        grid_free(&units[k]);
        for (int i = 0; i < CN_DIRECTION_STRONGEST; i++)
            free(names[k][i]);
    }
}

/* Objectives name a vector by its file: one that lives until the objective is read. */
static cn_status see_open(cn_see **see, const struct arguments *a, const cn_model *model, const char *site, int64_t units, const float *vector, cn_error *err)
{
    char path[] = "/tmp/clipneuron-XXXXXX.npy";
    const int fd = mkstemps(path, 4);
    if (fd < 0) {
        snprintf(err->text, sizeof err->text, "/tmp: no place for a vector");
        return err->status = CN_EIO;
    }
    close(fd);
    cn_status st = cn_npy_write(path, CN_DTYPE_F32, 1, &units, vector, err);
    if (st == CN_OK) {
        char *objective = need_format("%s:%s", site, path);
        const char *const objectives[] = {objective};
        const cn_see_options o = {.seed = (uint64_t)a->seed, .threads = (int)a->threads};
        st = cn_see_open(see, model, objectives, 1, &o, err);
        free(objective);
    }
    unlink(path);
    return st;
}

/* Draws the direction. *reached: what the picture scores, by the direction's dot product with its activations. */
static cn_status see_direction(const struct arguments *a, const cn_model *model, const char *site, int64_t units, const float *vector, float *reached,
                               cn_error *err)
{
    cn_see *see = NULL;
    cn_status st = see_open(&see, a, model, site, units, vector, err);
    const int64_t steps = a->steps ? a->steps : 512;
    progress_start("ascent", steps, PROGRESS_ITEMS, a->quiet);
    for (int64_t done = 0; st == CN_OK && done < steps; done++) {
        st = interrupted() ? CN_ECANCELED : cn_see_run(see, 1, err);
        progress_set(done + 1, steps, 0);
    }
    progress_end();
    if (st == CN_OK)
        st = cn_see_measure(see, reached, err);
    if (st == CN_OK) {
        const int side = cn_see_size(see), channels = cn_see_channels(see);
        uint8_t *pixels = need(malloc((size_t)side * (size_t)side * (size_t)channels));
        cn_see_picture(see, 0, pixels);
        st = cn_png_write(a->see, pixels, side, side, channels, NULL, 0, err);
        free(pixels);
    }
    cn_see_close(see);
    return st;
}

static int direction(const struct arguments *a, cn_study *study, const cn_model *model, size_t site, float l2)
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
    float reached = NAN;
    if (st == CN_OK && a->see)
        st = see_direction(a, model, cn_study_site_at(study, site)->name, d->units, (a->method == BY_MEANS ? &d->means : &d->logistic)->vector, &reached, &err);
    if (st == CN_OK)
        show(a, study, site, d, (double)reached);
    cn_direction_free(d);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int open_model_of(const struct arguments *a, cn_study *study, cn_model **model)
{
    cn_error err = {0};
    int code = model_open(&a->model, model);
    if (code == EXIT_DONE && cn_study_check_model(study, *model, &err) != CN_OK)
        code = fail_error(&err, err.status);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.examples = 12};
    int code = options_begin(&command_direction, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_study *study = NULL;
    cn_model *model = NULL;
    size_t site = 0;
    float l2 = 0;
    code = EXIT_DONE;
    if (a.operands.count > 1)
        code = fail_usage("direction", "one study, not %zu", a.operands.count);
    else if (!a.concepts.count && !a.captions.count)
        code = fail_usage("direction", "--concept LABEL is missing, or --caption TEXT");
    else if (a.output && wrong_ending(a.output, ".npy"))
        code = fail_usage("direction", "the output must end in .npy, not '%s'", a.output);
    else if (a.see && wrong_ending(a.see, ".png"))
        code = fail_usage("direction", "--see must end in .png, not '%s'", a.see);
    else if (a.steps && !a.see)
        code = fail_usage("direction", "--steps are those of --see OUT.png");
    else if (a.add && wrong_ending(a.add, ".npy"))
        code = fail_usage("direction", "--add must end in .npy, not '%s'", a.add);
    if (code == EXIT_DONE)
        code = options_number("direction", "l2", a.l2, 1e-6, 1e3, &l2);
    if (code == EXIT_DONE)
        code = ask_open("direction", &a.operands, &study);
    if (code == EXIT_DONE)
        code = ask_site("direction", study, a.site, &site);
    if (code == EXIT_DONE && a.see)
        code = open_model_of(&a, study, &model);
    if (code == EXIT_DONE)
        code = direction(&a, study, model, site, l2);
    cn_model_close(model);
    cn_study_close(study);
    options_free(&command_direction, &a);
    return code;
}

const struct command command_direction = {
    .name = "direction",
    .summary = "the direction in a site's units that carries a concept, with or without a unit",
    .synopsis = "direction STUDY --concept LABEL... [--caption TEXT...] [--site SITE] [-o OUT.npy] [--add OUT.npy] [--see OUT.png] [--json]",
    .description = "Finds the direction that tells pictures of a concept from all others, by the difference of means and by logistic regression "
                   "on standardised activations, and measures both, and the best single unit, on pictures that had no part in them "
                   "(AUC: how often a picture of the concept scores above another; 0.5 is chance). Pictures with the same bytes are never on both "
                   "sides.\n\n"
                   "The participation ratio says how many units carry the direction, were they all to weigh the same. With that and the area that 1, 2, "
                   "4, ... of the strongest units reach when they are fitted alone, the first line answers: a unit, a few, or a diffuse direction. "
                   "Fewer units count as enough within 0.02 of all. The lead of the regression over the best unit has an interval, from the same resampled pictures for "
                   "both: below 0.02 a unit carries it, above none does alone, and with 0.02 inside it is not decided.\n\n"
                   "-o writes it as a vector that objectives of 'see' and 'gradient' take as SITE:FILE.npy, scaled so that scores of the "
                   "pictures have deviation 1; --add writes what to add to activations with --edit; --see draws what drives it.",
    .examples = "Where is a label of the collection?\n\n"
                "$ mkdir -p sorted/plane sorted/other\n"
                "$ cp photos/airplane* sorted/plane && cp photos/al* sorted/other\n"
                "$ clipneuron scan --show 0 sorted -o study\n"
                "$ clipneuron direction study --concept plane -o plane.npy --add add.npy --see plane.png --steps 4\n\n"
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
