/* cli/cmd_intervene.c -- `clipneuron intervene`: what edits of units and directions do to the logits of texts. */
#include "commands.h"
#include "edits.h"
#include "goals.h"
#include "grid.h"
#include "images.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

struct arguments {
    struct image_arguments image;
    cn_image_options reading;
    struct model_arguments model;
    struct run_arguments run;
    struct edit_arguments edit;
    struct words files, texts;
    int64_t seed, replicates;
    bool json, skip_bad, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {0, "text", OPTION_WORDS, offsetof(struct arguments, texts), "TEXT", "A prompt whose logit is looked at; repeat it for each one. Required."},
    EDIT_OPTIONS(struct arguments, edit),
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of the bootstrap. Default: 0.", 0, INT64_MAX},
    {0, "replicates", OPTION_COUNT, offsetof(struct arguments, replicates), "N", "Of the bootstrap. Default: 2000.", 40, 1000000},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON in place of the table."},
    IMAGE_OPTIONS(struct arguments, image),
    {0, "skip-bad", OPTION_FLAG, offsetof(struct arguments, skip_bad), NULL, "Leave out images that cannot be read, naming them on stderr."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};

static const struct grid_column columns[] = {
    {"text", "text", GRID_TEXT, 0},
    {"before", "before", GRID_REAL, 3},
    {"after", "after", GRID_REAL, 3},
    {"change", "change", GRID_REAL, 3},
    {"low", "from", GRID_REAL, 3},
    {"high", "to", GRID_REAL, 3},
    {"share_before", "share", GRID_SHARE, 0},
    {"share_after", "then", GRID_SHARE, 0},
    {"share_change", NULL, GRID_REAL, 0},
    {"share_low", NULL, GRID_REAL, 0},
    {"share_high", NULL, GRID_REAL, 0},
    {"best_before", "best", GRID_SHARE, 0},
    {"best_after", "then", GRID_SHARE, 0},
};
/* clang-format on */

struct rows {
    float *at;
    bool *good;
    size_t width;
};

static int take(cn_runner *runner, const struct picture_batch *batch, void *user)
{
    const struct rows *r = user;
    memcpy(r->at + batch->first * r->width, cn_runner_embedding(runner), batch->n * r->width * sizeof *r->at);
    for (size_t i = 0; i < batch->n; i++)
        r->good[batch->first + i] = batch->good[i];
    return EXIT_DONE;
}

static void print(const struct arguments *a, const cn_edits *edits, const cn_effect *effects, size_t n, double changed)
{
    struct grid g;
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t t = 0; t < a->texts.count; t++) {
        const cn_effect *e = &effects[t];
        const double values[] = {e->before,       e->after,     e->change,     e->low,         e->high,      e->share_before, e->share_after,
                                 e->share_change, e->share_low, e->share_high, e->best_before, e->best_after};
        grid_text(&g, a->texts.items[t]);
        for (size_t i = 0; i < CN_COUNT(values); i++)
            grid_real(&g, values[i]);
    }
    if (a->json) {
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_text(&j, "edits", cn_edits_text(edits));
        json_int(&j, "images", (int64_t)n);
        json_int(&j, "seed", a->seed);
        json_real(&j, "changed", changed);
        grid_json(&g, &j, "texts");
        json_close(&j, '}');
        json_end(&j);
    } else {
        print_safely(stdout, cn_edits_text(edits));
        printf("\n%zu image%s; the best text changes on %.1f%%. Mean logits with 95%% intervals of their change over images:\n\n", n, n == 1 ? "" : "s",
               100 * changed);
        grid_print(&g, stdout);
    }
    grid_free(&g);
}

static int intervene(const struct arguments *a, const cn_model *model, const cn_edits *edits, const struct pictures *pictures)
{
    const size_t width = (size_t)cn_model_get_info(model)->embedding, count = pictures->count;
    struct rows before = {.width = width}, after = {.width = width};
    float *texts = NULL;
    cn_effect *effects = need(calloc(a->texts.count, sizeof *effects));
    before.at = need(calloc(count, width * sizeof *before.at));
    after.at = need(calloc(count, width * sizeof *after.at));
    before.good = after.good = need(calloc(count, sizeof *before.good));
    cn_runner_options o = runner_options(&a->run, CN_TOWER_IMAGE, 8, (int64_t)count);
    o.embedding = true;
    int code = goals_embed(model, a->run.threads, a->texts.items, a->texts.count, &texts);
    if (code == EXIT_DONE)
        code = images_run(model, o, pictures, (struct reading){a->skip_bad, a->reading, a->quiet}, take, &before, NULL);
    edits_apply(edits, &o);
    if (code == EXIT_DONE)
        code = images_run(model, o, pictures, (struct reading){a->skip_bad, a->reading, true}, take, &after, NULL);
    size_t n = 0;
    for (size_t i = 0; i < count && code == EXIT_DONE; i++)
        if (before.good[i]) {
            memmove(before.at + n * width, before.at + i * width, width * sizeof *before.at);
            memmove(after.at + n++ * width, after.at + i * width, width * sizeof *after.at);
        }
    if (code == EXIT_DONE) {
        const cn_effect_options e = {.replicates = (int)a->replicates, .seed = (uint64_t)a->seed};
        cn_error err = {0};
        double changed = 0;
        const cn_status st = cn_effects_measure(before.at, after.at, (int64_t)n, (int64_t)width, texts, (int64_t)a->texts.count,
                                                (double)cn_model_get_info(model)->logit_scale, &e, effects, &changed, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
        if (code == EXIT_DONE)
            print(a, edits, effects, n, changed);
    }
    free(before.at);
    free(after.at);
    free(before.good);
    free(texts);
    free(effects);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_intervene, argc, argv, &a);
    if (code >= 0)
        return code;
    struct pictures pictures = {0};
    cn_model *model = NULL;
    cn_edits *edits = NULL;
    if (!a.files.count)
        code = fail_usage("intervene", "no image named");
    else if (!a.texts.count)
        code = fail_usage("intervene", "--text TEXT is missing");
    else if (!a.edit.edits.count)
        code = fail_usage("intervene", "--edit EDIT is missing, such as --edit layer4:89=0");
    else
        code = image_options("intervene", &a.image, &a.reading);
    if (code == EXIT_DONE)
        code = pictures_find(&pictures, &a.files);
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE)
        code = edits_open(&a.edit, model, &edits);
    if (code == EXIT_DONE)
        code = intervene(&a, model, edits, &pictures);
    cn_edits_free(edits);
    cn_model_close(model);
    pictures_free(&pictures);
    options_free(&command_intervene, &a);
    return code;
}

const struct command command_intervene = {
    .name = "intervene",
    .summary = "change units or add directions, and see what it does to texts' logits",
    .synopsis = "intervene [--model M] --edit EDIT... --text TEXT... [--means STUDY] [--json] FILE...",
    .description = "Runs the images twice, without and with the edits, and prints for each text the mean logit before and after, the change with "
                   "a 95% interval (bootstrap over images), the mean share of the softmax over the texts, and on how many images the text is the "
                   "best.\n\n"
                   "EDITS, done in the order given:\n\n"
                   "  SITE:UNITS=V      set to V at every position; UNITS is 5, 3,7-9 or *\n"
                   "  SITE:UNITS*V      times V\n"
                   "  SITE:UNITS<=V     not above V; >=V: not below\n"
                   "  SITE:UNITS~       the unit's mean over the pictures of --means STUDY\n"
                   "  SITE+D.npy*V      adds V times the vector in D.npy at every position\n\n"
                   "embed, classify, activations and scan take the same --edit. " IMAGES_HELP,
    .examples = "Without a unit:\n\n"
                "$ clipneuron intervene --edit layer4:7=0 --text \"a cat\" --text \"a rocket\" photos\n\n"
                "At its mean, two more halved, for a script:\n\n"
                "$ clipneuron scan --show 0 photos -o study\n"
                "$ clipneuron intervene --edit layer4.3.add:7~ --means study --edit \"layer4.3.add:9,12*0.5\" --text cat --json photos",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "FILE...",
    .operands_offset = offsetof(struct arguments, files),
    .run = run,
};
