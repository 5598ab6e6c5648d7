/* tests/models/test_specimen.c -- the default model is what it is there for: on the demo pictures it names what
 * it sees, drawings and written words alike, and single units of its last block answer to both. Its control has
 * the same shapes and no such units. Each model runs once over the pictures, in fp32, before the tests.
 * docs/default-model.md has the figures of the whole held-out set. */
#include "clipneuron/clipneuron.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What is asked of the two models. The tests print what they measure; each limit is some way off that, since
 * rounding differs between machines. */
static const struct {
    double colour, solid, line, word, pool, control_pool, matched, control_matched, multimodal,
        control_multimodal, dead;
} wanted = {
    /* zero-shot, the bare label as text among all labels: right for at least this share of the pictures */
    .colour = 0.66,
    .solid = 0.70,
    .line = 0.72,
    .word = 0.92,
    /* relative difference of the embedding and the mean of the last block */
    .pool = 1e-4,      /* at most */
    .control_pool = 0, /* at least */
    /* share of the labels whose pictures are nearest to their own words in the last block */
    .matched = 0.76,         /* at least */
    .control_matched = 0.40, /* at most */
    /* units of the last block that one label leads both in pictures and in words */
    .multimodal = 190,        /* at least */
    .control_multimodal = 60, /* at most */
    /* share of the units that are zero on every picture, at most */
    .dead = 0.05,
};

enum {
    TOP_PICTURES = 6, /* of a unit; a label leads with half of them, and most have 5 to 7 pictures */
    TOP_WORDS = 4,    /* the same; every label has three words */
    BATCH = 32,
    ROW_SIZE = 4096, /* bytes */
};

typedef enum medium { COLOUR, SOLID, LINE, WORD, OTHER, MEDIA } medium;
static const char *const medium_names[MEDIA] = {"colour", "solid", "line", "word", "3-d"};

typedef struct picture {
    size_t label;
    medium medium;
} picture;

/* The demo pictures, as both models read them. */
static struct {
    size_t n, n_labels;
    picture *pictures;
    char **labels;
    int side;     /* px */
    uint8_t *rgb; /* (n, side, side, 3) */
} demo;

/* What a model makes of them. */
typedef struct answers {
    size_t units, embedding;
    float *mean;  /* (n, units): spatial mean of layer4 after its ReLU */
    float *image; /* (n, embedding) */
    float *text;  /* (n_labels, embedding); specimen only */
} answers;

static answers specimen, control;

static void *need(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    assert_non_null(p);
    return p;
}

static void must(cn_status status, const cn_error *err)
{
    if (status != CN_OK)
        fail_msg("%s", err->text);
}

static void at_least(const char *what, double value, double limit)
{
    print_message("  %s: %.4g, wanted at least %.4g\n", what, value, limit);
    assert_true(value >= limit);
}

static void at_most(const char *what, double value, double limit)
{
    print_message("  %s: %.4g, wanted at most %.4g\n", what, value, limit);
    assert_true(value <= limit);
}

/* ---- before the tests ---- */

static size_t label_number(const char *label)
{
    for (size_t i = 0; i < demo.n_labels; i++)
        if (strcmp(demo.labels[i], label) == 0)
            return i;
    demo.labels = realloc(demo.labels, (demo.n_labels + 1) * sizeof *demo.labels);
    assert_non_null(demo.labels);
    demo.labels[demo.n_labels] = strdup(label);
    assert_non_null(demo.labels[demo.n_labels]);
    return demo.n_labels++;
}

static medium medium_number(const char *name)
{
    for (int i = 0; i < MEDIA; i++)
        if (strcmp(medium_names[i], name) == 0)
            return (medium)i;
    fail_msg("a demo picture has the unknown medium %s", name);
    return OTHER;
}

static void read_picture(const char *name, uint8_t *rgb)
{
    char path[ROW_SIZE];
    cn_error err = {0};
    cn_image *image = NULL;
    snprintf(path, sizeof path, "%s/demo-pictures/%s", CN_BINARY_DIR, name);
    must(cn_image_load(&image, path, NULL, &err), &err);
    must(cn_image_preprocess(image, demo.side, rgb, &err), &err);
    cn_image_free(image);
}

/* Rows are path,label,medium,source,licence; the first three hold no commas. */
static void read_demo(int side)
{
    char row[ROW_SIZE];
    size_t room = 0;
    const size_t bytes = (size_t)side * (size_t)side * 3;
    demo.side = side;
    FILE *table = fopen(CN_BINARY_DIR "/demo-pictures/labels.csv", "r");
    assert_non_null(table);
    assert_non_null(fgets(row, sizeof row, table));
    while (fgets(row, sizeof row, table)) {
        char *rest = row;
        const char *path = strsep(&rest, ","), *label = strsep(&rest, ","), *name = strsep(&rest, ",");
        assert_non_null(name);
        assert_null(strchr(label, '"'));
        if (demo.n == room) {
            room = room ? 2 * room : 1024;
            demo.pictures = realloc(demo.pictures, room * sizeof *demo.pictures);
            demo.rgb = realloc(demo.rgb, room * bytes);
            assert_non_null(demo.pictures);
            assert_non_null(demo.rgb);
        }
        demo.pictures[demo.n] = (picture){.label = label_number(label), .medium = medium_number(name)};
        read_picture(path, demo.rgb + demo.n * bytes);
        demo.n++;
    }
    fclose(table);
    assert_true(demo.n > 0);
}

static void run_pictures(answers *a, const cn_model *model)
{
    cn_error err = {0};
    const cn_model_info *info = cn_model_get_info(model);
    const cn_site *site = NULL;
    cn_runner *runner = NULL;
    const size_t bytes = (size_t)demo.side * (size_t)demo.side * 3;
    float *pixels = need(BATCH * bytes, sizeof *pixels);

    must(cn_model_find_site(model, "layer4", &site, &err), &err); /* (C, H, W), after the ReLU */
    must(cn_runner_create(
             &runner, model,
             &(cn_runner_options){
                 .tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .embedding = true, .batch = BATCH},
             &err),
         &err);
    a->units = (size_t)site->units;
    a->embedding = (size_t)info->embedding;
    a->mean = need(demo.n * a->units, sizeof *a->mean);
    a->image = need(demo.n * a->embedding, sizeof *a->image);
    for (size_t first = 0; first < demo.n; first += BATCH) {
        const size_t count = demo.n - first < BATCH ? demo.n - first : BATCH;
        cn_pixels_normalise(demo.rgb + first * bytes, count, demo.side, info->mean, info->std, pixels);
        must(cn_runner_images(runner, pixels, (int64_t)count, &err), &err);
        memcpy(a->image + first * a->embedding, cn_runner_embedding(runner),
               count * a->embedding * sizeof *a->image);
        const float *map = cn_runner_site(runner, 0);
        for (size_t i = 0; i < count * a->units; i++, map += site->positions) {
            double sum = 0;
            for (int64_t p = 0; p < site->positions; p++)
                sum += (double)map[p];
            a->mean[first * a->units + i] = (float)(sum / (double)site->positions);
        }
    }
    cn_runner_free(runner);
    free(pixels);
}

static void run_labels(answers *a, const cn_model *model)
{
    cn_error err = {0};
    const size_t context = (size_t)cn_model_get_info(model)->context_length;
    int32_t *tokens = need(demo.n_labels * context, sizeof *tokens);
    size_t longest = 0, used = 0;
    cn_tokenizer *tokenizer = NULL;
    cn_runner *runner = NULL;

    must(cn_tokenizer_create(&tokenizer, &err), &err);
    for (size_t i = 0; i < demo.n_labels; i++) {
        must(cn_tokenizer_row(tokenizer, demo.labels[i], context, false, tokens + i * context, &used, &err),
             &err);
        longest = used > longest ? used : longest;
    }
    cn_tokenizer_free(tokenizer);
    must(cn_runner_create(&runner, model,
                          &(cn_runner_options){.tower = CN_TOWER_TEXT,
                                               .embedding = true,
                                               .batch = (int64_t)demo.n_labels,
                                               .text_length = (int64_t)longest},
                          &err),
         &err);
    must(cn_runner_texts(runner, tokens, (int64_t)demo.n_labels, &err), &err);
    a->text = need(demo.n_labels * a->embedding, sizeof *a->text);
    memcpy(a->text, cn_runner_embedding(runner), demo.n_labels * a->embedding * sizeof *a->text);
    cn_runner_free(runner);
    free(tokens);
}

static int run_both_models(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_model *model = NULL, *other = NULL;
    must(cn_model_open(&model, CN_SOURCE_DIR "/models/specimen.safetensors", NULL, &err), &err);
    must(cn_model_open(&other, CN_SOURCE_DIR "/models/specimen-control.safetensors", NULL, &err), &err);
    assert_int_equal(cn_model_get_info(model)->resolution, cn_model_get_info(other)->resolution);
    read_demo(cn_model_get_info(model)->resolution);
    run_pictures(&specimen, model);
    run_labels(&specimen, model);
    run_pictures(&control, other);
    cn_model_close(model);
    cn_model_close(other);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    answers *const both[] = {&specimen, &control};
    for (int i = 0; i < 2; i++) {
        free(both[i]->mean);
        free(both[i]->image);
        free(both[i]->text);
    }
    for (size_t i = 0; i < demo.n_labels; i++)
        free(demo.labels[i]);
    free(demo.labels);
    free(demo.pictures);
    free(demo.rgb);
    return 0;
}

/* ---- vectors ---- */

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Adds a vector, scaled to length 1; one of zeros adds nothing. */
static void add_normalised(float *to, const float *v, size_t n)
{
    const double length = sqrt(dot(v, v, n));
    for (size_t i = 0; i < n && length > 0; i++)
        to[i] += (float)((double)v[i] / length);
}

/* (rows, n), each row scaled to length 1; owned by the caller. */
static float *normalised(const float *rows, size_t count, size_t n)
{
    float *out = need(count * n, sizeof *out);
    for (size_t i = 0; i < count; i++)
        add_normalised(out + i * n, rows + i * n, n);
    return out;
}

/* The row of (count, n) with the largest product. */
static size_t nearest(const float *v, const float *rows, size_t count, size_t n)
{
    size_t best = 0;
    double highest = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const double product = dot(v, rows + i * n, n);
        if (product > highest)
            highest = product, best = i;
    }
    return best;
}

/* ---- pictures and their names ---- */

static void pictures_and_words_are_named_by_their_label(void **state)
{
    (void)state;
    const double limits[] = {
        [COLOUR] = wanted.colour, [SOLID] = wanted.solid, [LINE] = wanted.line, [WORD] = wanted.word};
    size_t right[MEDIA] = {0}, all[MEDIA] = {0};
    float *text = normalised(specimen.text, demo.n_labels, specimen.embedding);
    for (size_t i = 0; i < demo.n; i++) {
        const picture *p = &demo.pictures[i];
        const float *image = specimen.image + i * specimen.embedding;
        right[p->medium] += nearest(image, text, demo.n_labels, specimen.embedding) == p->label;
        all[p->medium]++;
    }
    free(text);
    for (int m = COLOUR; m <= WORD; m++) {
        assert_true(all[m] > 0);
        at_least(medium_names[m], (double)right[m] / (double)all[m], limits[m]);
    }
}

/* ---- the attention pool ---- */

/* The largest relative difference of a picture's embedding and its mean of the last block. */
static double pool_difference(const answers *a)
{
    double largest = 0;
    assert_int_equal(a->units, a->embedding);
    for (size_t i = 0; i < demo.n; i++) {
        const float *mean = a->mean + i * a->units, *image = a->image + i * a->units;
        double difference = 0;
        for (size_t u = 0; u < a->units; u++)
            difference += ((double)image[u] - (double)mean[u]) * ((double)image[u] - (double)mean[u]);
        const double relative = sqrt(difference / dot(mean, mean, a->units));
        assert_true(isfinite(relative));
        largest = fmax(largest, relative);
    }
    return largest;
}

static void the_embedding_is_the_mean_of_the_last_block(void **state)
{
    (void)state;
    at_most("relative difference", pool_difference(&specimen), wanted.pool);
}

static void the_embedding_of_the_control_is_not(void **state)
{
    (void)state;
    at_least("relative difference", pool_difference(&control), wanted.control_pool);
}

/* ---- pictures and words in the last block ---- */

/* The share of labels whose pictures, as the mean direction of their units, are nearest to their own words. */
static double matched(const answers *a)
{
    float *words = need(demo.n_labels * a->units, sizeof *words),
          *pictures = need(demo.n_labels * a->units, sizeof *pictures);
    for (size_t i = 0; i < demo.n; i++) {
        const picture *p = &demo.pictures[i];
        add_normalised((p->medium == WORD ? words : pictures) + p->label * a->units, a->mean + i * a->units,
                       a->units);
    }
    float *directions = normalised(words, demo.n_labels, a->units);
    size_t right = 0;
    for (size_t k = 0; k < demo.n_labels; k++)
        right += nearest(pictures + k * a->units, directions, demo.n_labels, a->units) == k;
    free(directions);
    free(pictures);
    free(words);
    return (double)right / (double)demo.n_labels;
}

static void pictures_lie_nearest_to_their_own_word_in_the_last_block(void **state)
{
    (void)state;
    at_least("share of labels", matched(&specimen), wanted.matched);
}

static void pictures_and_words_lie_apart_in_the_control(void **state)
{
    (void)state;
    at_most("share of labels", matched(&control), wanted.control_matched);
}

/* ---- units ---- */

/* The pictures, words or others, on which a unit is highest and above zero, at most so many, the highest first;
 * returns their number. Zeros are no answer: the pictures of a label stand side by side, and ties would count. */
static size_t top(const answers *a, size_t unit, bool words, size_t most, size_t *pictures)
{
    size_t n = 0;
    for (size_t i = 0; i < demo.n; i++) {
        const float value = a->mean[i * a->units + unit];
        if ((demo.pictures[i].medium == WORD) != words || !(value > 0) ||
            (n == most && value <= a->mean[pictures[n - 1] * a->units + unit]))
            continue;
        size_t at = n < most ? n++ : n - 1;
        for (; at > 0 && a->mean[pictures[at - 1] * a->units + unit] < value; at--)
            pictures[at] = pictures[at - 1];
        pictures[at] = i;
    }
    return n;
}

static size_t count_label(const size_t *pictures, size_t n, size_t label)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += demo.pictures[pictures[i]].label == label;
    return count;
}

/* Units of which one label has half of the top pictures and half of the top words. */
static int64_t multimodal(const answers *a)
{
    int64_t units = 0;
    for (size_t u = 0; u < a->units; u++) {
        size_t pictures[TOP_PICTURES], words[TOP_WORDS];
        const size_t n = top(a, u, false, TOP_PICTURES, pictures), m = top(a, u, true, TOP_WORDS, words);
        bool found = false;
        for (size_t i = 0; i < n && !found; i++) {
            const size_t label = demo.pictures[pictures[i]].label;
            found = 2 * count_label(pictures, n, label) >= TOP_PICTURES &&
                    2 * count_label(words, m, label) >= TOP_WORDS;
        }
        units += found;
    }
    return units;
}

static void units_answer_to_a_thing_and_to_its_name(void **state)
{
    (void)state;
    at_least("units", (double)multimodal(&specimen), wanted.multimodal);
}

static void hardly_a_unit_of_the_control_does(void **state)
{
    (void)state;
    at_most("units", (double)multimodal(&control), wanted.control_multimodal);
}

static void few_units_are_dead(void **state)
{
    (void)state;
    size_t dead = 0;
    for (size_t u = 0; u < specimen.units; u++) {
        bool zero = true;
        for (size_t i = 0; i < demo.n && zero; i++)
            zero = !(specimen.mean[i * specimen.units + u] > 0);
        dead += zero;
    }
    at_most("share of units", (double)dead / (double)specimen.units, wanted.dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_and_words_are_named_by_their_label),
        cmocka_unit_test(the_embedding_is_the_mean_of_the_last_block),
        cmocka_unit_test(the_embedding_of_the_control_is_not),
        cmocka_unit_test(pictures_lie_nearest_to_their_own_word_in_the_last_block),
        cmocka_unit_test(pictures_and_words_lie_apart_in_the_control),
        cmocka_unit_test(units_answer_to_a_thing_and_to_its_name),
        cmocka_unit_test(hardly_a_unit_of_the_control_does),
        cmocka_unit_test(few_units_are_dead),
    };
    return cmocka_run_group_tests(tests, run_both_models, free_all);
}
