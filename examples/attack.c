/* examples/attack.c -- write a word on a picture: what does the model see before and after, and without the units that read it?
 *
 *     attack MODEL PICTURE WORD CLASS,CLASS... [EDIT...]
 *
 * Draws WORD on the picture as a paper label and prints the probability of every class for the picture as it is, with the word, and with the
 * word when the edits are done to the network: "layer4:911=0" takes a unit away (clipneuron/intervene.h). */
#include "clipneuron/attack.h"
#include "clipneuron/clipneuron.h"
#include "clipneuron/intervene.h"

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
    void *p = calloc(count, size);
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

/* The picture through the network, as it is or edited: softmax over classes of the logit scale times the cosine. */
static void classify(const cn_model *model, const cn_edits *edits, const float *pixels, const float *texts, size_t n, double *share, cn_error *err)
{
    const cn_model_info *info = cn_model_get_info(model);
    cn_runner_options options = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = 1};
    if (edits)
        options.edits = cn_edits_sites(edits, &options.n_edits);
    cn_runner *runner;
    must(cn_runner_create(&runner, model, &options, err), err);
    must(cn_runner_images(runner, pixels, 1, err), err);
    const float *embedding = cn_runner_embedding(runner);
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
    cn_runner_free(runner);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: attack MODEL PICTURE WORD CLASS,CLASS... [EDIT...]\n");
        return 2;
    }
    const char *classes[CLASSES];
    size_t n = 0;
    for (char *name = strtok(argv[4], ","); name && n < CLASSES; name = strtok(NULL, ","))
        classes[n++] = name;

    cn_error err = {0};
    cn_model *model;
    must(cn_model_open(&model, argv[1], NULL, &err), &err);
    const cn_model_info *info = cn_model_get_info(model);
    const int side = info->resolution;
    const size_t bytes = (size_t)side * (size_t)side * 3;
    uint8_t *rgb = need(2, bytes);
    float *pixels = need(2 * bytes, sizeof *pixels);

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
    double share[PICTURES][CLASSES];
    cn_edits *edits = NULL;
    classify(model, NULL, pixels, texts, n, share[CLEAN], &err);
    classify(model, NULL, pixels + bytes, texts, n, share[WRITTEN], &err);
    if (argc > 5) {
        must(cn_edits_parse(&edits, model, NULL, (const char *const *)argv + 5, (size_t)argc - 5, &err), &err);
        classify(model, edits, pixels + bytes, texts, n, share[EDITED], &err);
    }

    printf("\"%s\" on %.0f%% of the pixels\n", argv[3], 100.0 * (double)changed / ((double)side * side));
    printf("%8s %8s %8s\n", "before", "after", edits ? "edited" : "");
    for (size_t c = 0; c < n; c++) {
        printf("%7.1f%% %7.1f%% ", 100 * share[CLEAN][c], 100 * share[WRITTEN][c]);
        printf(edits ? "%7.1f%%  %s\n" : "%.0s%s\n", edits ? 100 * share[EDITED][c] : 0.0, classes[c]);
    }
    cn_edits_free(edits);
    free(texts);
    free(pixels);
    free(rgb);
    cn_model_close(model);
    return 0;
}
