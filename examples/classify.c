/* examples/classify.c -- which of a few words fits a picture best?
 *
 *     classify MODEL PICTURE WORD WORD...
 *
 * The whole way of zero-shot classification: open a model, bring the picture to the pixels that it was
 * trained on, turn the words into tokens, run both towers, compare the embeddings. */
#include "clipneuron/clipneuron.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Every call reports in the same way: a status, and one line of text in the cn_error. */
static void must(cn_status status, const cn_error *err)
{
    if (status != CN_OK) {
        fprintf(stderr, "classify: %s\n", err->text);
        exit(1);
    }
}

static void *need(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p) {
        fprintf(stderr, "classify: out of memory\n");
        exit(1);
    }
    return p;
}

/* Embedding of one picture, scaled to length 1: (embedding) floats. */
static float *embed_picture(const cn_model *model, const char *path, cn_error *err)
{
    const cn_model_info *info = cn_model_get_info(model);
    size_t side = (size_t)info->resolution;
    uint8_t *rgb = need(side * side * 3, 1);
    float *pixels = need(side * side * 3, sizeof *pixels);

    cn_image *image;
    must(cn_image_load(&image, path, NULL, err), err);
    must(cn_image_preprocess(image, info->resolution, rgb, err), err); /* resize and centre crop */
    cn_image_free(image);
    cn_pixels_normalise(rgb, 1, info->resolution, info->mean, info->std, pixels); /* (1, 3, side, side) */

    cn_runner *runner;
    must(cn_runner_create(&runner, model,
                          &(cn_runner_options){.tower = CN_TOWER_IMAGE, .embedding = true, .batch = 1}, err),
         err);
    must(cn_runner_images(runner, pixels, 1, err), err);

    const float *out = cn_runner_embedding(runner); /* borrowed from the runner */
    float *unit = need((size_t)info->embedding, sizeof *unit), length = 0;
    for (int i = 0; i < info->embedding; i++)
        length += out[i] * out[i];
    for (int i = 0; i < info->embedding; i++)
        unit[i] = out[i] / sqrtf(length);

    cn_runner_free(runner);
    free(pixels);
    free(rgb);
    return unit;
}

/* cosine(picture, word) for every word. */
static void compare_words(const cn_model *model, const float *picture, char **words, size_t n, float *cosine,
                          cn_error *err)
{
    const cn_model_info *info = cn_model_get_info(model);
    size_t context = (size_t)info->context_length;
    int32_t *tokens = need(n * context, sizeof *tokens);

    cn_tokenizer *tokenizer;
    must(cn_tokenizer_create(&tokenizer, err), err);
    for (size_t i = 0; i < n; i++)
        must(cn_tokenizer_row(tokenizer, words[i], context, false, tokens + i * context, NULL, err), err);
    cn_tokenizer_free(tokenizer);

    cn_runner *runner;
    must(cn_runner_create(
             &runner, model,
             &(cn_runner_options){.tower = CN_TOWER_TEXT, .embedding = true, .batch = (int64_t)n}, err),
         err);
    must(cn_runner_texts(runner, tokens, (int64_t)n, err), err);
    for (size_t i = 0; i < n; i++) {
        const float *text = cn_runner_embedding(runner) + i * (size_t)info->embedding;
        float dot = 0, length = 0;
        for (int k = 0; k < info->embedding; k++) {
            dot += text[k] * picture[k];
            length += text[k] * text[k];
        }
        cosine[i] = dot / sqrtf(length);
    }
    cn_runner_free(runner);
    free(tokens);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: classify MODEL PICTURE WORD WORD...\n");
        return 2;
    }
    size_t n = (size_t)argc - 3;
    char **words = argv + 3;

    cn_error err = {0};
    cn_model *model;
    must(cn_model_open(&model, argv[1], NULL, &err), &err);
    const cn_model_info *info = cn_model_get_info(model);
    printf("%s, %" PRId64 " parameters, %d px\n", info->name, info->parameters, info->resolution);

    float *picture = embed_picture(model, argv[2], &err);
    float *cosine = need(n, sizeof *cosine);
    compare_words(model, picture, words, n, cosine, &err);

    /* Softmax over logit_scale * cosine, as the original does. */
    float best = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        best = fmaxf(best, cosine[i]);
    for (size_t i = 0; i < n; i++)
        sum += expf(info->logit_scale * (cosine[i] - best));
    for (size_t i = 0; i < n; i++)
        printf("%5.1f%%  %s\n", 100 * expf(info->logit_scale * (cosine[i] - best)) / sum, words[i]);

    free(cosine);
    free(picture);
    cn_model_close(model);
    return 0;
}
