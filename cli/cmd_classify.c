/* cli/cmd_classify.c -- `clipneuron classify`: which text fits an image best. */
#include "commands.h"
#include "edits.h"
#include "images.h"
#include "json.h"
#include "report.h"
#include "texts.h"
#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct image_arguments image;
    cn_image_options reading; /* what image comes to */
    struct model_arguments model;
    struct run_arguments run;
    struct edit_arguments edit;
    struct words texts, text_files, templates, template_files, files;
    int64_t top;
    bool json, truncate, skip_bad, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {0, "text", OPTION_WORDS, offsetof(struct arguments, texts), "TEXT", "A class; repeat it for each one."},
    {0, "texts", OPTION_WORDS, offsetof(struct arguments, text_files), "FILE",
     "Classes from a file, one a line; - reads standard input. They come after those of --text."},
    {0, "template", OPTION_WORDS, offsetof(struct arguments, templates), "TEXT",
     "A prompt with {} where the class goes, e.g. \"a photo of a {}\". With several, a class is the mean of its "
     "normalised embeddings (a prompt ensemble). Default: the class alone."},
    {0, "templates", OPTION_WORDS, offsetof(struct arguments, template_files), "FILE",
     "Templates from a file, one a line."},
    {0, "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Classes in the table. Default: 5.", 1, INT64_MAX},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL,
     "Print JSON: texts, and for each image file, probs, logits, top (the best text) and top_index."},
    {0, "truncate", OPTION_FLAG, offsetof(struct arguments, truncate), NULL,
     "Cut texts that are too long for the model; otherwise they are an error."},
    EDIT_OPTIONS(struct arguments, edit),
    IMAGE_OPTIONS(struct arguments, image),
    {0, "skip-bad", OPTION_FLAG, offsetof(struct arguments, skip_bad), NULL,
     "Leave out images that cannot be read, naming them on stderr, where otherwise nothing is printed."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

struct results {
    size_t texts, width;
    double scale;
    float *prompts; /* (texts * templates, width) */
    float *classes; /* (texts, width), normalised */
    double *logits; /* (images, texts) */
    bool *good;     /* (images) */
};

static int take_prompts(cn_runner *runner, const struct text_batch *batch, void *user)
{
    struct results *r = user;
    memcpy(r->prompts + batch->first * r->width, cn_runner_embedding(runner),
           batch->n * r->width * sizeof(float));
    return EXIT_DONE;
}

static int take_images(cn_runner *runner, const struct picture_batch *batch, void *user)
{
    struct results *r = user;
    const float *rows = cn_runner_embedding(runner);
    for (size_t i = 0; i < batch->n; i++) {
        const float *row = rows + i * r->width;
        double length = sqrt(dot(row, row, r->width));
        double *logits = r->logits + (batch->first + i) * r->texts;
        for (size_t t = 0; t < r->texts; t++)
            logits[t] = r->scale * dot(row, r->classes + t * r->width, r->width) / (length > 0 ? length : 1);
        r->good[batch->first + i] = batch->good[i];
    }
    return EXIT_DONE;
}

/* The template with every {} replaced; owned by the caller. */
static char *fill(const char *template, const char *text)
{
    char *out = NULL;
    size_t size = 0;
    FILE *f = need(open_memstream(&out, &size));
    for (const char *p = template; *p;) {
        if (p[0] == '{' && p[1] == '}') {
            fputs(text, f);
            p += 2;
        } else {
            fputc(*p++, f);
        }
    }
    fclose(f);
    return need(out);
}

/* Class vectors: each the normalised mean over templates of normalised prompt embeddings. */
static int embed_classes(const struct arguments *a, const cn_model *model, struct results *r)
{
    static const char *const bare[] = {"{}"};
    size_t n_templates = a->templates.count ? a->templates.count : 1;
    const char *const *templates = a->templates.count ? a->templates.items : bare;
    size_t n = r->texts * n_templates;
    char **prompts = need(calloc(n, sizeof *prompts));
    for (size_t t = 0; t < r->texts; t++)
        for (size_t k = 0; k < n_templates; k++)
            prompts[t * n_templates + k] = fill(templates[k], a->texts.items[t]);

    cn_runner_options o = runner_options(&a->run, CN_TOWER_TEXT, 32, (int64_t)n);
    o.embedding = true;
    r->prompts = need(calloc(n, r->width * sizeof *r->prompts));
    int code = texts_run(model, o, (const char *const *)prompts, n, a->truncate, a->quiet, take_prompts, r);
    if (code == EXIT_DONE) {
        rows_normalise(r->prompts, n, r->width);
        for (size_t t = 0; t < r->texts; t++)
            for (size_t k = 0; k < n_templates; k++)
                for (size_t i = 0; i < r->width; i++)
                    r->classes[t * r->width + i] += r->prompts[(t * n_templates + k) * r->width + i];
        rows_normalise(r->classes, r->texts, r->width);
    }
    for (size_t i = 0; i < n; i++)
        free(prompts[i]);
    free(prompts);
    return code;
}

static size_t best(const double *values, size_t n)
{
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        at = values[i] > values[at] ? i : at;
    return at;
}

static void json_reals(struct json *j, const char *key, const double *values, size_t n)
{
    j->flat = j->depth + 1;
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++)
        json_real(j, NULL, values[i]);
    json_close(j, ']');
}

static void print_json(const struct arguments *a, const struct pictures *pictures, const struct results *r,
                       double *probabilities)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_open(&j, "texts", '[');
    for (size_t t = 0; t < r->texts; t++)
        json_text(&j, NULL, a->texts.items[t]);
    json_close(&j, ']');
    json_open(&j, "images", '[');
    for (size_t i = 0; i < pictures->count; i++) {
        const double *logits = r->logits + i * r->texts;
        if (!r->good[i])
            continue;
        softmax(logits, r->texts, probabilities);
        size_t top = best(logits, r->texts);
        json_open(&j, NULL, '{');
        json_text(&j, "file", pictures->paths[i]);
        json_reals(&j, "probs", probabilities, r->texts);
        json_reals(&j, "logits", logits, r->texts);
        json_text(&j, "top", a->texts.items[top]);
        json_int(&j, "top_index", (int64_t)top);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static void print_table(const struct arguments *a, const struct pictures *pictures, const struct results *r,
                        double *probabilities)
{
    enum { BAR = 30 };
    size_t widest = 4;
    for (size_t t = 0; t < r->texts; t++) {
        size_t width = printed_width(a->texts.items[t]);
        widest = width > widest ? width : widest;
    }
    bool first = true;
    for (size_t i = 0; i < pictures->count; i++) {
        if (!r->good[i])
            continue;
        softmax(r->logits + i * r->texts, r->texts, probabilities);
        if (!first)
            putchar('\n');
        first = false;
        print_safely(stdout, pictures->paths[i]);
        putchar('\n');
        for (size_t shown = 0; shown < r->texts && shown < (size_t)a->top; shown++) {
            size_t t = best(probabilities, r->texts);
            double p = probabilities[t];
            probabilities[t] = -1; /* not again */
            fputs("  ", stdout);
            print_safely(stdout, a->texts.items[t]);
            char bar[BAR + 1];
            int length = (int)(p * BAR + 0.5);
            memset(bar, '#', (size_t)length);
            bar[length] = '\0';
            printf("%*s  %6.2f%%%s%s\n", (int)(widest - printed_width(a->texts.items[t])), "", 100 * p,
                   length ? "  " : "", bar);
        }
    }
}

static int classify(const struct arguments *a, const struct pictures *pictures)
{
    cn_model *model = NULL;
    cn_edits *edits = NULL;
    int code = model_open(&a->model, &model);
    if (code == EXIT_DONE)
        code = edits_open(&a->edit, model, &edits);
    if (code != EXIT_DONE) {
        cn_model_close(model);
        return code;
    }
    const cn_model_info *info = cn_model_get_info(model);
    struct results r = {
        .texts = a->texts.count, .width = (size_t)info->embedding, .scale = (double)info->logit_scale};
    r.classes = need(calloc(r.texts, r.width * sizeof *r.classes));
    r.logits = need(calloc(pictures->count, r.texts * sizeof *r.logits));
    r.good = need(calloc(pictures->count, sizeof *r.good));
    double *probabilities = need(calloc(r.texts, sizeof *probabilities));
    code = embed_classes(a, model, &r);
    if (code == EXIT_DONE) {
        cn_runner_options o = runner_options(&a->run, CN_TOWER_IMAGE, 8, (int64_t)pictures->count);
        o.embedding = true;
        edits_apply(edits, &o);
        code = images_run(model, o, pictures, (struct reading){a->skip_bad, a->reading, a->quiet},
                          take_images, &r, NULL);
    }
    if (code == EXIT_DONE)
        (a->json ? print_json : print_table)(a, pictures, &r, probabilities);
    free(probabilities);
    free(r.prompts);
    free(r.classes);
    free(r.logits);
    free(r.good);
    cn_edits_free(edits);
    cn_model_close(model);
    return code;
}

/* Adds the lines of each file to the list; the lines stay owned by lines[]. */
static int add_files(struct words *words, const struct words *files, struct lines *lines)
{
    int code = EXIT_DONE;
    for (size_t i = 0; i < files->count && code == EXIT_DONE; i++) {
        code = lines_read(&lines[i], files->items[i], true);
        for (size_t k = 0; k < lines[i].count; k++)
            words_add(words, lines[i].items[k]);
    }
    return code;
}

static int check_templates(const struct words *templates)
{
    for (size_t i = 0; i < templates->count; i++)
        if (!strstr(templates->items[i], "{}"))
            return fail_usage("classify", "the template '%s' has no {} where the class goes",
                              templates->items[i]);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 5};
    int code = options_begin(&command_classify, argc, argv, &a);
    if (code >= 0)
        return code;
    struct pictures pictures = {0};
    size_t n_lines = a.text_files.count + a.template_files.count;
    struct lines *lines = need(calloc(n_lines + 1, sizeof *lines));
    code = EXIT_DONE;
    if (!a.texts.count && !a.text_files.count)
        code = fail_usage("classify", "no classes; name them with --text");
    else if (!a.files.count)
        code = fail_usage("classify", "no image named");
    if (code == EXIT_DONE)
        code = image_options("classify", &a.image, &a.reading);
    if (code == EXIT_DONE)
        code = add_files(&a.texts, &a.text_files, lines);
    if (code == EXIT_DONE)
        code = add_files(&a.templates, &a.template_files, lines + a.text_files.count);
    if (code == EXIT_DONE)
        code = check_templates(&a.templates);
    if (code == EXIT_DONE && !a.texts.count)
        code = fail("%s: no texts in this file", a.text_files.items[0]);
    if (code == EXIT_DONE)
        code = pictures_find(&pictures, &a.files);
    if (code == EXIT_DONE)
        code = classify(&a, &pictures);
    for (size_t i = 0; i < n_lines; i++)
        lines_free(&lines[i]);
    free(lines);
    pictures_free(&pictures);
    options_free(&command_classify, &a);
    return code;
}

const struct command command_classify = {
    .name = "classify",
    .summary = "zero-shot classification: which text fits an image best",
    .synopsis = "classify [--model M] --text TEXT --text TEXT... [--template TEXT...] [--json] FILE...",
    .description = "Prints for every image the probabilities of the texts: the softmax over texts of the "
                   "logits, which are the "
                   "model's logit scale times the cosine between the image's and the text's embedding. What "
                   "is compared is the "
                   "wording: \"a photo of a dog\" and \"dog\" are different classes, and prompt templates "
                   "matter.\n\n" IMAGES_HELP,
    .examples =
        "Which of three:\n\n"
        "$ clipneuron classify --text \"a cat\" --text \"a rocket\" --text \"a face\" cat.png rocket.jpg\n\n"
        "An ensemble of two prompts, for a script:\n\n"
        "$ clipneuron classify --text cat --text rocket --template \"a photo of a {}\" --template \"a {}\" "
        "--json cat.png",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "FILE...",
    .operands_offset = offsetof(struct arguments, files),
    .run = run,
};
