/* examples/attack.c -- write a word on a picture: what does the model see before and after, and without the units that read it?
 *
 *     attack MODEL PICTURE WORD CLASS,CLASS... [UNITS]
 *
 * Draws WORD on the picture as a paper label and prints the probability of every class for the picture as it is, with the word, and with the
 * word when the units that push most from the one answer to the other (8 of the last block) are set to zero. For ResNets. */
#include "clipneuron/clipneuron.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 16, CLEAN = 0, WRITTEN, EDITED, PICTURES };

static void must(cn_status status, const cn_error *err)
{
    if (status != CN_OK) {
        fprintf(stderr, "attack: %s\n", err->text);
        exit(1);
    }
}

static void *need(size_t count, size_t size)
{
    void *p = count ? calloc(count, size) : NULL;
    if (!p) {
        fprintf(stderr, "attack: out of memory\n");
        exit(1);
    }
    return p;
}

/* Texts of length 1, (n, embedding). */
static float *embed_classes(const cn_model *model, const char *const *classes, size_t n, cn_error *err)
{
    const cn_model_info *info = cn_model_get_info(model);
    const size_t context = (size_t)info->context_length, width = (size_t)info->embedding;
    int32_t *tokens = need(n * context, sizeof *tokens);
    float *texts = need(n * width, sizeof *texts);
    cn_tokenizer *tokenizer;
    cn_runner *runner;
    must(cn_tokenizer_create(&tokenizer, err), err);
    for (size_t i = 0; i < n; i++)
        must(cn_tokenizer_row(tokenizer, classes[i], context, false, tokens + i * context, NULL, err), err);
    const cn_runner_options options = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = (int64_t)n};
    must(cn_runner_create(&runner, model, &options, err), err);
    must(cn_runner_texts(runner, tokens, (int64_t)n, err), err);
    memcpy(texts, cn_runner_embedding(runner), n * width * sizeof *texts);
    for (size_t i = 0; i < n; i++) {
        float length = 0;
        for (size_t k = 0; k < width; k++)
            length += texts[i * width + k] * texts[i * width + k];
        for (size_t k = 0; k < width; k++)
            texts[i * width + k] /= sqrtf(length);
    }
    cn_runner_free(runner);
    cn_tokenizer_free(tokenizer);
    free(tokens);
    return texts;
}

/* A picture through the network, as it is or edited. share: (n) softmax over classes of the logit scale times the cosine;
 * activation: NULL, or (units) what comes out of the site's ReLU, its mean over the map. */
static void classify(const cn_model *model, const cn_site *site, const cn_site_edit *edit, const float *pixels, const float *texts, size_t n,
                     double *share, double *activation, cn_error *err)
{
    const cn_model_info *info = cn_model_get_info(model);
    const cn_runner_options options = {
        .tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .embedding = true, .batch = 1, .edits = edit, .n_edits = edit ? 1 : 0};
    cn_runner *runner;
    must(cn_runner_create(&runner, model, &options, err), err);
    must(cn_runner_images(runner, pixels, 1, err), err);
    const float *embedding = cn_runner_embedding(runner), *map = cn_runner_site(runner, 0); /* (1, units, height, width) */
    double length = 0, sum = 0;
    for (int k = 0; k < info->embedding; k++)
        length += (double)embedding[k] * (double)embedding[k];
    for (size_t c = 0; c < n; c++) {
        double cosine = 0;
        for (int k = 0; k < info->embedding; k++)
            cosine += (double)embedding[k] * (double)texts[c * (size_t)info->embedding + (size_t)k] / sqrt(length);
        share[c] = exp((double)info->logit_scale * (cosine - 1)); /* at most e^0: a softmax does not mind the constant */
        sum += share[c];
    }
    for (size_t c = 0; c < n; c++)
        share[c] /= sum;
    for (int64_t u = 0; activation && u < site->units; u++) {
        activation[u] = 0;
        for (int64_t i = 0; i < site->positions; i++)
            activation[u] += fmax(0, (double)map[u * site->positions + i]) / (double)site->positions;
    }
    cn_runner_free(runner);
}

/* Of the units that are still on, the one whose rise adds most to `goal`, (embedding). */
static int64_t strongest(const cn_site *site, const float *directions, const float *goal, int embedding, const double *before, const double *after,
                         const float *on)
{
    int64_t best = 0;
    double most = -INFINITY;
    for (int64_t u = 0; u < site->units; u++) {
        double push = 0;
        for (int k = 0; k < embedding; k++)
            push += (after[u] - before[u]) * (double)directions[u * embedding + k] * (double)goal[k];
        if (on[u] != 0 && after[u] > before[u] && push > most)
            most = push, best = u;
    }
    return best;
}

static size_t best_of(const double *share, size_t n)
{
    size_t best = 0;
    for (size_t c = 1; c < n; c++)
        best = share[c] > share[best] ? c : best;
    return best;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: attack MODEL PICTURE WORD CLASS,CLASS... [UNITS]\n");
        return 2;
    }
    const char *classes[CLASSES];
    size_t n = 0;
    for (char *name = strtok(argv[4], ","); name && n < CLASSES; name = strtok(NULL, ","))
        classes[n++] = name;
    if (n < 2) {
        fprintf(stderr, "attack: %s: at least two classes are wanted\n", argv[4]);
        return 2;
    }
    const int removed = argc > 5 ? atoi(argv[5]) : 8;

    cn_error err = {0};
    cn_model *model;
    must(cn_model_open(&model, argv[1], NULL, &err), &err);
    const cn_model_info *info = cn_model_get_info(model);
    const cn_site *site = cn_model_default_site(model); /* the sum at the end of the last block, before its ReLU */
    if (!site || site->layout != CN_SITE_MAP) {
        fprintf(stderr, "attack: %s is no ResNet\n", argv[1]);
        return 1;
    }
    const int side = info->resolution;
    const size_t bytes = (size_t)side * (size_t)side * 3, units = (size_t)site->units, width = (size_t)info->embedding;
    uint8_t *rgb = need(2, bytes);
    float *pixels = need(2 * bytes, sizeof *pixels), *on = need(units, sizeof *on), *directions = need(units * width, sizeof *directions);
    double *activation[2] = {need(units, sizeof(double)), need(units, sizeof(double))}, share[PICTURES][CLASSES];

    /* The square that the model sees; the word is drawn at its resolution. */
    cn_image *image;
    must(cn_image_load(&image, argv[2], NULL, &err), &err);
    must(cn_image_preprocess(image, side, rgb, &err), &err);
    cn_image_free(image);
    memcpy(rgb + bytes, rgb, bytes);
    const cn_lettering label = {.layout = CN_LETTERING_LABEL, .size = 90, .x = 0.5, .y = 0.75};
    int64_t changed;
    must(cn_lettering_draw(rgb + bytes, side, side, argv[3], &label, &changed, &err), &err);
    cn_pixels_normalise(rgb, 2, side, info->mean, info->std, pixels);

    float *texts = embed_classes(model, classes, n, &err);
    classify(model, site, NULL, pixels, texts, n, share[CLEAN], activation[CLEAN], &err);
    classify(model, site, NULL, pixels + bytes, texts, n, share[WRITTEN], activation[WRITTEN], &err);

    /* From the answer before to the answer after: the units that lead there are set to zero. */
    const size_t from = best_of(share[CLEAN], n), to = best_of(share[WRITTEN], n);
    float *goal = need(width, sizeof *goal);
    for (size_t k = 0; k < width; k++)
        goal[k] = texts[to * width + k] - texts[from * width + k];
    must(cn_unit_directions(model, site, directions, &err), &err);
    for (size_t u = 0; u < units; u++)
        on[u] = 1;
    printf("\"%s\" on %.0f%% of the pixels: %s becomes %s\n", argv[3], 100.0 * (double)changed / ((double)side * side), classes[from], classes[to]);
    printf("removed:");
    for (int i = 0; i < removed && (size_t)i < units && from != to; i++) {
        const int64_t u = strongest(site, directions, goal, info->embedding, activation[CLEAN], activation[WRITTEN], on);
        on[u] = 0;
        printf(" %s:%" PRId64, site->name, u);
    }
    putchar('\n');
    classify(model, site, &(cn_site_edit){.site = site, .scale = on}, pixels + bytes, texts, n, share[EDITED], NULL, &err);

    printf("  before    after  without\n");
    for (size_t c = 0; c < n; c++)
        printf("%7.1f%% %7.1f%% %7.1f%%  %s\n", 100 * share[CLEAN][c], 100 * share[WRITTEN][c], 100 * share[EDITED][c], classes[c]);
    printf("answers: %s, %s, %s\n", classes[from], classes[to], classes[best_of(share[EDITED], n)]);
    free(goal);
    free(texts);
    free(activation[0]);
    free(activation[1]);
    free(directions);
    free(on);
    free(pixels);
    free(rgb);
    cn_model_close(model);
    return 0;
}
