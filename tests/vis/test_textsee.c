/* Directions of units in the embedding, texts that are nearest to them, and the search for such texts. */
#include "clipneuron/linear.h"
#include "clipneuron/textsee.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../clip/models.h"

static float noise(uint64_t i)
{
    i = (i + 1) * 0x9e3779b97f4a7c15u;
    i = (i ^ i >> 31) * 0xbf58476d1ce4e5b9u;
    return (float)(i >> 40) / 8388608.0f - 1;
}

/* Embedding of one image, of length 1. */
static void embed(cn_runner *r, const float *pixels, int64_t width, double *out)
{
    cn_error err = {0};
    double square = 0;
    if (cn_runner_images(r, pixels, 1, &err) != CN_OK)
        fail_msg("%s", err.text);
    for (int64_t k = 0; k < width; k++)
        square += (double)cn_runner_embedding(r)[k] * cn_runner_embedding(r)[k];
    for (int64_t k = 0; k < width; k++)
        out[k] = cn_runner_embedding(r)[k] / sqrt(square);
}

/* The exact directions are derivatives: with them, a small change of the pixels changes the embedding as the change at the site says. */
static void exact_directions_are_derivatives(void **state)
{
    (void)state;
    static const char *const files[] = {CN_TEST_DATA "/golden/rn-small.safetensors", CN_TEST_DATA "/golden/vit-small.safetensors"};
    for (int k = 0; k < 2; k++) {
        cn_model *m = open_model(files[k]);
        const cn_model_info *info = cn_model_get_info(m);
        const int64_t width = info->embedding, size = 3 * (int64_t)info->resolution * info->resolution;
        /* At the embedding itself, the derivative of x / |x| is known: (1 - x x' / |x|^2) / |x|. */
        const cn_site *site = site_of(m, k ? "visual.ln_post" : "visual.attnpool");
        if (site->units != width) { /* a ViT's last norm comes before the projection */
            cn_model_close(m);
            continue;
        }
        float *pixels = malloc((size_t)size * sizeof *pixels), *j = malloc((size_t)(site->units * width) * sizeof *j);
        double *e = malloc((size_t)width * sizeof *e);
        cn_error err = {0};
        cn_runner *r;
        const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = 1, .threads = 1};
        for (int64_t i = 0; i < size; i++)
            pixels[i] = noise((uint64_t)i);
        assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_OK);
        embed(r, pixels, width, e);
        double length = 0;
        for (int64_t i = 0; i < width; i++)
            length += (double)cn_runner_embedding(r)[i] * cn_runner_embedding(r)[i];
        length = sqrt(length);
        if (cn_unit_directions_at(m, site, pixels, 1, 1, j, &err) != CN_OK)
            fail_msg("%s", err.text);
        for (int64_t u = 0; u < width; u++)
            for (int64_t i = 0; i < width; i++)
                assert_true(fabs((double)j[u * width + i] - ((u == i) - e[u] * e[i]) / length) < 1e-4 / length);
        cn_runner_free(r);
        free(pixels), free(j), free(e);
        cn_model_close(m);
    }
}

/* The default model's pool averages, so its units are components of the embedding. */
static void an_averaging_pool_has_units_for_directions(void **state)
{
    (void)state;
    cn_model *m = open_model(SPECIMEN);
    const cn_site *site = site_of(m, "layer4");
    const int64_t width = cn_model_get_info(m)->embedding;
    float *d = malloc((size_t)(site->units * width) * sizeof *d);
    cn_error err = {0};
    assert_int_equal(cn_unit_directions(m, site, d, &err), CN_OK);
    for (int64_t u = 0; u < site->units; u++)
        for (int64_t k = 0; k < width; k++)
            assert_true(d[u * width + k] == (float)(u == k));
    assert_int_equal(cn_unit_directions(m, site_of(m, "layer3"), d, &err), CN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "layer4"));
    free(d);
    cn_model_close(m);
}

/* On a ViT: what the stream's end gives, by the projection of the checkpoint. */
static void a_stream_goes_through_norm_and_projection(void **state)
{
    (void)state;
    cn_model *m = open_model(CN_TEST_DATA "/golden/vit-small.safetensors");
    const cn_site *site = site_of(m, "visual.transformer.resblocks.1"), *hidden = site_of(m, "visual.transformer.resblocks.1.mlp.gelu");
    const int64_t width = cn_model_get_info(m)->embedding, stream = site->units;
    const cn_weights *w = cn_model_weights(m);
    float *d = malloc((size_t)(hidden->units * width) * sizeof *d), *proj = malloc((size_t)(stream * width) * sizeof *proj);
    float *gain = malloc((size_t)stream * sizeof *gain), *c_proj = malloc((size_t)(stream * hidden->units) * sizeof *c_proj);
    float *ends = malloc((size_t)(stream * width) * sizeof *ends);
    cn_error err = {0};
    cn_tensor_read_f32(cn_weights_find(w, "visual.proj"), proj);
    cn_tensor_read_f32(cn_weights_find(w, "visual.ln_post.weight"), gain);
    cn_tensor_read_f32(cn_weights_find(w, "visual.transformer.resblocks.1.mlp.c_proj.weight"), c_proj);
    assert_int_equal(cn_unit_directions(m, site, ends, &err), CN_OK);
    for (int64_t u = 0; u < stream; u++)
        for (int64_t k = 0; k < width; k++) {
            double sum = 0;
            for (int64_t i = 0; i < stream; i++)
                sum += ((i == u) - 1.0 / (double)stream) * gain[i] * proj[i * width + k];
            assert_true(fabs(sum - (double)ends[u * width + k]) < 1e-5);
        }
    assert_int_equal(cn_unit_directions(m, hidden, d, &err), CN_OK);
    for (int64_t u = 0; u < hidden->units; u += 37)
        for (int64_t k = 0; k < width; k++) {
            double sum = 0;
            for (int64_t i = 0; i < stream; i++)
                sum += (double)c_proj[i * hidden->units + u] * ends[i * width + k];
            assert_true(fabs(sum - (double)d[u * width + k]) < 1e-4);
        }
    assert_int_equal(cn_unit_directions(m, site_of(m, "visual.transformer.resblocks.1.ln_1"), d, &err), CN_EUNSUPPORTED);
    free(d), free(proj), free(gain), free(c_proj), free(ends);
    cn_model_close(m);
}

static float *direction_of(const cn_model *m, const char *text)
{
    cn_error err = {0};
    cn_objective *o;
    float *d = malloc((size_t)cn_model_get_info(m)->embedding * sizeof *d);
    if (cn_objective_parse(&o, m, text, 2, &err) != CN_OK || cn_objective_direction(o, NULL, 0, 2, d, &err) != CN_OK)
        fail_msg("%s", err.text);
    cn_objective_free(o);
    return d;
}

/* Towards a text's own embedding, that text is the best of any list, with a cosine of 1. */
static void a_text_is_the_best_text_for_itself(void **state)
{
    (void)state;
    static const char *const list[] = {"a red heart with a long tail of words behind it", "cat", "two cats", "dog", "a photo of a cat", "moon"};
    cn_model *m = open_model(SPECIMEN);
    float *d = direction_of(m, "text:\"two cats\"");
    cn_scored_text *texts;
    cn_error err = {0};
    assert_int_equal(cn_texts_rank(m, d, list, 6, 2, CN_PRECISION_F32, &texts, &err), CN_OK);
    assert_string_equal(texts[0].text, "two cats");
    assert_int_equal(texts[0].index, 2);
    assert_true(fabsf(texts[0].cosine - 1) < 1e-4f);
    for (int i = 1; i < 6; i++)
        assert_true(texts[i].cosine <= texts[i - 1].cosine);
    cn_scored_texts_free(texts, 6);
    free(d);
    cn_model_close(m);
}

/* The search gets at least as far as the best single word, repeats itself, and keeps to its bounds. */
static void a_search_climbs_and_repeats_itself(void **state)
{
    (void)state;
    cn_model *m = open_model(SPECIMEN);
    float *d = direction_of(m, "text:\"three red hearts\"");
    cn_scored_text *first, *second, *one;
    size_t n, n_second, n_one;
    cn_error err = {0};
    cn_text_search o = {.words = 3, .starts = 6, .best = 5, .seed = 3, .threads = 2, .fluency = -1};
    if (cn_texts_search(m, d, &o, &first, &n, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(n, 5);
    assert_int_equal(cn_texts_search(m, d, &o, &second, &n_second, &err), CN_OK);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(first[i].text, second[i].text);
        assert_true(first[i].cosine == second[i].cosine && first[i].score == first[i].cosine);
        int spaces = 0;
        for (const char *c = first[i].text; *c; c++)
            spaces += *c == ' ';
        assert_true(spaces <= 2);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(first[i].text, first[k].text);
    }
    o.words = 1;
    assert_int_equal(cn_texts_search(m, d, &o, &one, &n_one, &err), CN_OK);
    assert_true(first[0].cosine > one[0].cosine + 0.02f);
    assert_true(first[0].cosine > 0.8f); /* the very words, or as good */
    cn_scored_texts_free(first, n);
    cn_scored_texts_free(second, n_second);
    cn_scored_texts_free(one, n_one);
    /* What words cost: with a high price, no text is longer than it must be. */
    o = (cn_text_search){.words = 3, .starts = 2, .best = 1, .fluency = 1, .frame = "the word {} here", .threads = 2};
    assert_int_equal(cn_texts_search(m, d, &o, &one, &n_one, &err), CN_OK);
    assert_int_equal(strncmp(one[0].text, "the word ", 9), 0);
    assert_null(strchr(one[0].text + 9, ' ') ? strchr(strchr(one[0].text + 9, ' ') + 1, ' ') : NULL);
    assert_true(fabsf(one[0].score - (one[0].cosine - one[0].cost)) < 1e-5f);
    cn_scored_texts_free(one, n_one);
    free(d);
    cn_model_close(m);
}

static void what_cannot_be_searched_is_said(void **state)
{
    (void)state;
    cn_model *m = open_model(SPECIMEN);
    float *d = direction_of(m, "layer4:" CN_UNIT);
    cn_scored_text *texts = (cn_scored_text *)&d;
    size_t n = 9;
    cn_error err = {0};
    static const char *const bad[] = {"energy:layer4", "layer4:3 - tv", "layer4:3@0,0", "layer3:5"};
    for (int i = 0; i < 4; i++) {
        cn_objective *o;
        assert_int_equal(cn_objective_parse(&o, m, bad[i], 1, &err), CN_OK);
        assert_int_equal(cn_objective_direction(o, NULL, 0, 1, d, &err), CN_EUNSUPPORTED);
        cn_objective_free(o);
    }
    assert_int_equal(cn_texts_search(m, d, &(cn_text_search){.words = 33}, &texts, &n, &err), CN_EINVAL);
    assert_null(texts);
    assert_int_equal(n, 0);
    err = (cn_error){0};
    assert_int_equal(cn_texts_search(m, d, &(cn_text_search){.frame = "no hole"}, &texts, &n, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "no hole"));
    free(d);
    cn_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_directions_are_derivatives),
        cmocka_unit_test(an_averaging_pool_has_units_for_directions),
        cmocka_unit_test(a_stream_goes_through_norm_and_projection),
        cmocka_unit_test(a_text_is_the_best_text_for_itself),
        cmocka_unit_test(a_search_climbs_and_repeats_itself),
        cmocka_unit_test(what_cannot_be_searched_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
