/* examples/see.c -- what does a unit look for?
 *
 *     see MODEL OBJECTIVE OUT.png [STEPS]
 *
 * Draws a picture by gradient ascent, says how strongly it drives the objective, and which words the objective's units speak for. */
#include "clipneuron/clipneuron.h"

#include <stdio.h>
#include <stdlib.h>

static void must(cn_status status, const cn_error *err)
{
    if (status != CN_OK) {
        fprintf(stderr, "see: %s\n", err->text);
        exit(1);
    }
}

static void *need(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p) {
        fprintf(stderr, "see: out of memory\n");
        exit(1);
    }
    return p;
}

static void draw(const cn_model *model, const char *objective, const char *path, int64_t steps, cn_error *err)
{
    cn_see *see;
    must(cn_see_open(&see, model, &objective, 1, NULL, err), err); /* the defaults: Fourier canvas, Lucid's transforms */
    for (int64_t done = 0; done < steps; done += 32)               /* as many steps as one likes at a time */
        must(cn_see_run(see, steps - done < 32 ? steps - done : 32, err), err);

    float value;
    must(cn_see_measure(see, &value, err), err); /* in fp32, as the picture is saved */
    int side = cn_see_size(see);
    uint8_t *pixels = need((size_t)side * (size_t)side * 3, 1);
    cn_see_picture(see, 0, pixels);
    must(cn_png_write(path, pixels, side, side, cn_see_channels(see), NULL, 0, err), err);
    printf("%s reaches %.4g in %s\n", objective, (double)value, path);
    free(pixels);
    cn_see_close(see);
}

static void say(const cn_model *model, const char *text, cn_error *err)
{
    cn_objective *objective;
    cn_scored_text *texts;
    size_t n;
    float *direction = need((size_t)cn_model_get_info(model)->embedding, sizeof *direction);
    must(cn_objective_parse(&objective, model, text, 0, err), err);
    must(cn_objective_direction(objective, NULL, 0, 0, direction, err), err);
    must(cn_texts_search(model, direction, &(cn_text_search){.words = 2, .starts = 4, .best = 3}, &texts, &n, err), err);
    for (size_t i = 0; i < n; i++)
        printf("%.3f  %s\n", (double)texts[i].cosine, texts[i].text);
    cn_scored_texts_free(texts, n);
    cn_objective_free(objective);
    free(direction);
}

int main(int argc, char **argv)
{
    cn_error err = {0};
    cn_model *model;
    if (argc < 4) {
        fprintf(stderr, "usage: see MODEL OBJECTIVE OUT.png [STEPS]\n");
        return 2;
    }
    must(cn_model_open(&model, argv[1], NULL, &err), &err);
    draw(model, argv[2], argv[3], argc > 4 ? atoll(argv[4]) : 256, &err);
    say(model, argv[2], &err);
    cn_model_close(model);
    return 0;
}
