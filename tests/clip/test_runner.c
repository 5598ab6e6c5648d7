/* Models and runners: sites, batches, lengths, threads, what is refused, and what happens when memory
 * runs out. Numbers against the original code are in test_golden.c. */
#include "clipneuron/model.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "models.h"

#define RESNET CN_TEST_DATA "/golden/rn-small.safetensors"
#define VIT CN_TEST_DATA "/golden/vit-small.safetensors"

static float *some_pixels(int64_t n, int resolution)
{
    const size_t count = (size_t)n * 3 * (size_t)resolution * (size_t)resolution;
    float *p = malloc(count * sizeof *p);
    for (size_t i = 0; i < count; i++)
        p[i] = (float)((i * 2654435761u >> 7) % 1000) / 250.0f - 2.0f;
    return p;
}

static double largest_difference(const float *a, const float *b, size_t count)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        worst = fmax(worst, fabs((double)a[i] - b[i]));
        largest = fmax(largest, fabs((double)b[i]));
    }
    return worst / largest;
}

static void embeddings_do_not_depend_on_batch_threads_or_sites(void **state)
{
    (void)state;
    static const char *const paths[] = {RESNET, VIT};
    for (int k = 0; k < 2; k++) {
        cn_model *m = open_model(paths[k]);
        cn_error err = {0};
        const cn_model_info *info = cn_model_get_info(m);
        float *pixels = some_pixels(5, info->resolution);
        const size_t image = 3 * (size_t)info->resolution * (size_t)info->resolution, e = (size_t)info->embedding;
        float *expected = malloc(5 * e * sizeof *expected);
        for (int64_t batch = 1; batch <= 7; batch++)
            for (int threads = 1; threads <= 2; threads++)
                for (int with_site = 0; with_site < 2; with_site++) {
                    const cn_site *site = cn_model_default_site(m); /* for a ViT: the graph that is not pooled early */
                    const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = batch,
                                                 .threads = threads, .sites = &site, .n_sites = (size_t)with_site};
                    cn_runner *r = NULL;
                    assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_OK);
                    for (int64_t from = 0; from < 5; from += batch) {
                        const int64_t n = 5 - from < batch ? 5 - from : batch;
                        assert_int_equal(cn_runner_images(r, pixels + (size_t)from * image, n, &err), CN_OK);
                        const float *got = cn_runner_embedding(r);
                        if (batch == 1 && threads == 1 && !with_site)
                            memcpy(expected + (size_t)from * e, got, (size_t)n * e * sizeof *got);
                        else
                            assert_true(largest_difference(got, expected + (size_t)from * e, (size_t)n * e) < 1e-5);
                    }
                    cn_runner_free(r);
                }
        free(pixels);
        free(expected);
        cn_model_close(m);
    }
}

static void short_texts_give_what_the_full_context_gives(void **state)
{
    (void)state;
    cn_model *m = open_model(RESNET);
    cn_error err = {0};
    int32_t rows[2][77] = {{49406, 320, 1929, 49407}, {49406, 320, 1125, 539, 320, 2368, 49407}};
    float expected[2 * 64];
    for (int short_text = 0; short_text < 2; short_text++) {
        const cn_runner_options o = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = 2, .threads = 1,
                                     .text_length = short_text ? 7 : 0};
        cn_runner *r = NULL;
        assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_OK);
        assert_int_equal(cn_runner_texts(r, rows[0], 2, &err), CN_OK);
        if (short_text)
            assert_true(largest_difference(cn_runner_embedding(r), expected, 128) < 1e-5);
        else
            memcpy(expected, cn_runner_embedding(r), sizeof expected);
        if (short_text) {
            rows[1][7] = 49407;
            assert_int_equal(cn_runner_texts(r, rows[0], 2, &err), CN_EINVAL);
            assert_non_null(strstr(err.text, "more than the 7 tokens"));
        }
        cn_runner_free(r);
    }
    cn_model_close(m);
}

static void sites_have_the_shapes_of_their_values(void **state)
{
    (void)state;
    cn_model *m = open_model(RESNET);
    cn_error err = {0};
    float *pixels = some_pixels(2, 64);
    size_t images = 0;
    const cn_site *site[256];
    for (size_t i = 0; i < cn_model_site_count(m); i++)
        if (cn_model_site_at(m, i)->tower == CN_TOWER_IMAGE)
            site[images++] = cn_model_site_at(m, i);
    /* All at once, and each on its own: the same values, however the graph was fused. */
    const cn_runner_options all = {.tower = CN_TOWER_IMAGE, .sites = site, .n_sites = images, .batch = 2, .threads = 1};
    cn_runner *together = NULL;
    assert_int_equal(cn_runner_create(&together, m, &all, &err), CN_OK);
    assert_int_equal(cn_runner_images(together, pixels, 2, &err), CN_OK);
    for (size_t i = 0; i < images; i++) {
        const cn_runner_options one = {.tower = CN_TOWER_IMAGE, .sites = &site[i], .n_sites = 1, .batch = 2, .threads = 1};
        cn_runner *alone = NULL;
        assert_int_equal(cn_runner_create(&alone, m, &one, &err), CN_OK);
        assert_int_equal(cn_runner_images(alone, pixels, 2, &err), CN_OK);
        const size_t count = (size_t)(2 * site[i]->units * site[i]->positions);
        const double d = largest_difference(cn_runner_site(alone, 0), cn_runner_site(together, i), count);
        if (!(d < 1e-5))
            fail_msg("%s: %.2e", site[i]->name, d);
        assert_null(cn_runner_embedding(alone));
        cn_runner_free(alone);
    }
    /* ReLU of the sum is the block's output. */
    const cn_site *add = NULL, *block = NULL;
    assert_int_equal(cn_model_find_site(m, "layer4.add", &add, &err), CN_OK);
    assert_int_equal(cn_model_find_site(m, "layer4", &block, &err), CN_OK);
    assert_ptr_equal(add, cn_model_default_site(m));
    assert_int_equal(add->units, 512);
    assert_int_equal(add->height, 2);
    size_t a = 0, b = 0;
    for (size_t i = 0; i < images; i++) {
        a = site[i] == add ? i : a;
        b = site[i] == block ? i : b;
    }
    int negative = 0;
    for (size_t i = 0; i < 2 * 512 * 4; i++) {
        const float sum = cn_runner_site(together, a)[i];
        negative += sum < 0;
        assert_float_equal(cn_runner_site(together, b)[i], sum > 0 ? sum : 0, 0);
    }
    assert_true(negative > 0);
    cn_runner_free(together);
    free(pixels);
    cn_model_close(m);
}

static void a_shallow_site_costs_shallow_weights(void **state)
{
    (void)state;
    cn_model *m = open_model(RESNET);
    cn_error err = {0};
    const cn_site *stem = NULL;
    assert_int_equal(cn_model_find_site(m, "visual.relu1", &stem, &err), CN_OK);
    const cn_runner_options shallow = {.tower = CN_TOWER_IMAGE, .sites = &stem, .n_sites = 1, .batch = 1, .threads = 1};
    const cn_runner_options deep = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = 1, .threads = 1};
    cn_runner *a = NULL, *b = NULL;
    assert_int_equal(cn_runner_create(&a, m, &shallow, &err), CN_OK);
    assert_int_equal(cn_runner_create(&b, m, &deep, &err), CN_OK);
    assert_true(cn_runner_get_memory(a).weight_bytes < 16384);
    assert_true(cn_runner_get_memory(b).weight_bytes > 4 * (size_t)cn_model_get_info(m)->image_parameters * 9 / 10);
    cn_runner_free(a);
    cn_runner_free(b);
    cn_model_close(m);
}

static void expect_refusal(const cn_model *m, cn_runner_options o, cn_status status, const char *text)
{
    cn_error err = {0};
    cn_runner *r = (cn_runner *)&err;
    assert_int_equal(cn_runner_create(&r, m, &o, &err), status);
    assert_null(r);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void impossible_runners_are_refused_with_the_reason(void **state)
{
    (void)state;
    cn_model *m = open_model(RESNET);
    cn_error err = {0};
    const cn_site *layer = NULL, *text = NULL;
    assert_int_equal(cn_model_find_site(m, "layer1", &layer, &err), CN_OK);
    assert_int_equal(cn_model_find_site(m, "ln_final", &text, &err), CN_OK);
    expect_refusal(m, (cn_runner_options){.tower = CN_TOWER_TEXT, .sites = &layer, .n_sites = 1}, CN_EINVAL, "other tower");
    expect_refusal(m, (cn_runner_options){.tower = CN_TOWER_IMAGE}, CN_EINVAL, "needs a site");
    expect_refusal(m, (cn_runner_options){.embedding = true, .batch = -1}, CN_EINVAL, "-1");
    expect_refusal(m, (cn_runner_options){.embedding = true, .threads = 5000}, CN_EINVAL, "5000");
    expect_refusal(m, (cn_runner_options){.tower = CN_TOWER_TEXT, .embedding = true, .text_length = 78}, CN_EINVAL, "78");
    expect_refusal(m, (cn_runner_options){.tower = CN_TOWER_TEXT, .sites = &text, .n_sites = 1, .text_length = 9},
                   CN_EINVAL, "full context");
    expect_refusal(m, (cn_runner_options){.embedding = true, .precision = CN_PRECISION_BF16,
                                          .backend = CN_BACKEND_REFERENCE},
                   CN_EUNSUPPORTED, "fp32 only");

    const cn_runner_options o = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = 1, .threads = 1};
    cn_runner *r = NULL;
    float pixel = 0;
    int32_t row[77] = {49406, 49408};
    assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_OK);
    assert_int_equal(cn_runner_texts(r, row, 1, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "49408"));
    cn_error_clear(&err);
    assert_int_equal(cn_runner_texts(r, row, 2, &err), CN_EINVAL);
    assert_int_equal(cn_runner_images(r, &pixel, 1, NULL), CN_EINVAL);
    cn_runner_free(r);
    cn_model_close(m);
}

static void units_are_parsed_and_wrong_ones_named(void **state)
{
    (void)state;
    cn_model *m = open_model(RESNET);
    const cn_site *site = NULL;
    int64_t unit = 0;
    cn_error err = {0};
    assert_int_equal(cn_model_parse_unit(m, "layer4:89", &site, &unit, &err), CN_OK);
    assert_string_equal(site->name, "visual.layer4");
    assert_int_equal(unit, 89);
    assert_int_equal(cn_model_parse_unit(m, "layer4:512", &site, &unit, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "0 to 511"));
    cn_error_clear(&err);
    assert_int_equal(cn_model_parse_unit(m, "layer9:1", &site, &unit, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "visual.layer"));
    cn_model_close(m);
}

static void the_fingerprint_is_of_the_model_not_of_the_file(void **state)
{
    (void)state;
    char a[65], b[65], c[65];
    cn_error err = {0};
    cn_model *m = open_model(RESNET), *other = NULL;
    const cn_model_options erf = {.gelu = CN_GELU_ERF};
    assert_int_equal(cn_model_fingerprint(m, a, &err), CN_OK);
    assert_int_equal(cn_model_fingerprint(m, b, &err), CN_OK);
    assert_string_equal(a, b);
    assert_int_equal(cn_model_open(&other, RESNET, &erf, &err), CN_OK);
    assert_int_equal(cn_model_fingerprint(other, c, &err), CN_OK);
    assert_string_not_equal(a, c);
    assert_int_equal(strlen(a), 64);
    cn_model_close(m);
    cn_model_close(other);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t n = 1;; n += n < 400 ? 1 : 37) {
        cn_error err = {0};
        cn_model *m = NULL;
        cn_runner *r = NULL;
        cn_memory_fail_at(n, false);
        cn_status st = cn_model_open(&m, VIT, NULL, &err);
        const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = 1, .threads = 1};
        if (st == CN_OK)
            st = cn_runner_create(&r, m, &o, &err);
        const size_t count = cn_memory_count();
        cn_memory_fail_at(0, false);
        cn_runner_free(r);
        cn_model_close(m);
        if (count < n) {
            assert_int_equal(st, CN_OK);
            break;
        }
        assert_int_equal(st, CN_ENOMEM);
        assert_true(err.text[0] != '\0');
    }
}

/* Everything behind the opened model: both towers, both backends, with a site (no pooled shortcut) and without. */
static void every_allocation_of_a_runner_may_fail(void **state)
{
    (void)state;
    static const struct { const char *path; cn_tower tower; bool site; cn_backend backend; } cases[] = {
        {RESNET, CN_TOWER_IMAGE, true, CN_BACKEND_ONEDNN},     {RESNET, CN_TOWER_TEXT, false, CN_BACKEND_ONEDNN},
        {VIT, CN_TOWER_IMAGE, true, CN_BACKEND_ONEDNN},        {RESNET, CN_TOWER_IMAGE, true, CN_BACKEND_REFERENCE},
        {VIT, CN_TOWER_TEXT, false, CN_BACKEND_REFERENCE}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        cn_model *m = open_model(cases[k].path);
        const cn_site *site = cn_model_default_site(m);
        const cn_runner_options o = {.tower = cases[k].tower, .sites = &site, .n_sites = cases[k].site ? 1 : 0,
                                     .embedding = true, .batch = 2, .threads = 1, .backend = cases[k].backend};
        size_t step = 1;
        for (size_t n = 1;; n += step) {
            cn_error err = {0};
            cn_runner *r = (cn_runner *)&err;
            cn_memory_fail_at(n, n % 2);
            const cn_status st = cn_runner_create(&r, m, &o, &err);
            const size_t count = cn_memory_count();
            cn_memory_fail_at(0, false);
            if (count < n) {
                assert_int_equal(st, CN_OK);
                cn_runner_free(r);
                break;
            }
            assert_int_equal(st, CN_ENOMEM);
            assert_null(r);
            assert_true(err.text[0] != '\0');
            step = n < 60 ? 1 : 7; /* names and sites first, one by one; then kernels, which repeat */
        }
        cn_model_close(m);
    }
}

/* Copies the tensors of one tower into a checkpoint of their own. */
static void write_half(const char *path, const cn_weights *w, bool image)
{
    FILE *f = fopen(path, "wb");
    char *header = calloc(cn_weights_count(w) + 1, 256);
    size_t length = 0;
    int64_t at = 0;
    assert_true(f && header);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < cn_weights_count(w); i++) {
            const cn_tensor *t = cn_weights_at(w, i);
            if ((strncmp(t->name, "visual.", 7) == 0) != image || t->ndim == 0)
                continue;
            if (pass == 0) {
                length += (size_t)sprintf(header + length, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", length ? "," : "{", t->name);
                for (int d = 0; d < t->ndim; d++)
                    length += (size_t)sprintf(header + length, "%s%lld", d ? "," : "", (long long)t->shape[d]);
                length += (size_t)sprintf(header + length, "],\"data_offsets\":[%lld,%lld]}", (long long)at,
                                          (long long)(at + 4 * t->count));
                at += 4 * t->count;
            } else {
                float *values = malloc((size_t)t->count * sizeof *values);
                cn_tensor_read_f32(t, values);
                assert_int_equal(fwrite(values, sizeof *values, (size_t)t->count, f), t->count);
                free(values);
            }
        }
        if (pass == 0) {
            header[length++] = '}';
            const uint64_t bytes = length;
            fwrite(&bytes, sizeof bytes, 1, f);
            fwrite(header, 1, length, f);
        }
    }
    free(header);
    assert_int_equal(fclose(f), 0);
}

static void half_a_model_runs_the_tower_that_it_has(void **state)
{
    (void)state;
    char folder[] = "/tmp/clip-runner-XXXXXX", path[64];
    cn_model *whole = open_model(VIT);
    const cn_model_info *info = cn_model_get_info(whole);
    const size_t e = (size_t)info->embedding;
    float *pixels = some_pixels(1, info->resolution), *expected = calloc(e, sizeof *expected);
    const int32_t row[77] = {49406, 320, 1929, 49407};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/half.safetensors", folder);
    for (int tower = CN_TOWER_IMAGE; tower <= CN_TOWER_TEXT; tower++) {
        write_half(path, cn_model_weights(whole), tower == CN_TOWER_IMAGE);
        cn_model *half = open_model(path);
        for (int part = 0; part < 2; part++) {
            cn_error err = {0};
            cn_runner *r = NULL;
            const cn_runner_options o = {.tower = (cn_tower)tower, .embedding = true, .batch = 1, .threads = 1};
            if (cn_runner_create(&r, part ? half : whole, &o, &err) != CN_OK)
                fail_msg("%s", err.text);
            assert_int_equal(tower == CN_TOWER_IMAGE ? cn_runner_images(r, pixels, 1, &err) : cn_runner_texts(r, row, 1, &err),
                             CN_OK);
            if (part)
                assert_memory_equal(cn_runner_embedding(r), expected, e * sizeof *expected);
            else
                memcpy(expected, cn_runner_embedding(r), e * sizeof *expected);
            cn_runner_free(r);
        }
        expect_refusal(half, (cn_runner_options){.tower = tower == CN_TOWER_IMAGE ? CN_TOWER_TEXT : CN_TOWER_IMAGE,
                                                 .embedding = true},
                       CN_EUNSUPPORTED, "has no");
        cn_model_close(half);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(remove(folder), 0);
    free(pixels);
    free(expected);
    cn_model_close(whole);
}

/* The end mark on the last position of the context: nothing is padded. */
static void a_text_may_fill_the_context(void **state)
{
    (void)state;
    cn_model *m = open_model(RESNET);
    cn_error err = {0};
    int32_t row[77];
    float expected[64];
    for (int i = 0; i < 77; i++)
        row[i] = i == 0 ? 49406 : i == 76 ? 49407 : 300 + 13 * i;
    for (int backend = CN_BACKEND_REFERENCE; backend >= CN_BACKEND_ONEDNN; backend--) {
        const cn_runner_options o = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = 3, .threads = 1,
                                     .backend = (cn_backend)backend};
        cn_runner *r = NULL;
        assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_OK);
        assert_int_equal(cn_runner_texts(r, row, 1, &err), CN_OK);
        if (backend == CN_BACKEND_REFERENCE)
            memcpy(expected, cn_runner_embedding(r), sizeof expected);
        else
            assert_true(largest_difference(cn_runner_embedding(r), expected, 64) < 1e-4);
        cn_runner_free(r);
    }
    cn_model_close(m);
}

/* One picture of NaN and infinities must not leak into its neighbours of the batch, nor into the next run. */
static void numbers_that_are_none_stay_in_their_image(void **state)
{
    (void)state;
    static const char *const paths[] = {RESNET, VIT};
    for (int k = 0; k < 2; k++) {
        cn_model *m = open_model(paths[k]);
        cn_error err = {0};
        const cn_model_info *info = cn_model_get_info(m);
        const size_t image = 3 * (size_t)info->resolution * (size_t)info->resolution, e = (size_t)info->embedding;
        float *pixels = some_pixels(3, info->resolution), *expected = malloc(3 * e * sizeof *expected);
        const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = 4, .threads = 2};
        cn_runner *r = NULL;
        assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_OK);
        assert_int_equal(cn_runner_images(r, pixels, 3, &err), CN_OK);
        memcpy(expected, cn_runner_embedding(r), 3 * e * sizeof *expected);
        float *broken = malloc(3 * image * sizeof *broken);
        memcpy(broken, pixels, 3 * image * sizeof *broken);
        for (size_t i = 0; i < image; i++)
            broken[image + i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
        assert_int_equal(cn_runner_images(r, broken, 3, &err), CN_OK);
        const float *got = cn_runner_embedding(r);
        assert_memory_equal(got, expected, e * sizeof *got);
        assert_memory_equal(got + 2 * e, expected + 2 * e, e * sizeof *got);
        assert_int_equal(cn_runner_images(r, pixels, 3, &err), CN_OK);
        assert_memory_equal(cn_runner_embedding(r), expected, 3 * e * sizeof *expected);
        free(broken);
        free(pixels);
        free(expected);
        cn_runner_free(r);
        cn_model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings_do_not_depend_on_batch_threads_or_sites),
        cmocka_unit_test(short_texts_give_what_the_full_context_gives),
        cmocka_unit_test(sites_have_the_shapes_of_their_values),
        cmocka_unit_test(a_shallow_site_costs_shallow_weights),
        cmocka_unit_test(impossible_runners_are_refused_with_the_reason),
        cmocka_unit_test(units_are_parsed_and_wrong_ones_named),
        cmocka_unit_test(the_fingerprint_is_of_the_model_not_of_the_file),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_allocation_of_a_runner_may_fail),
        cmocka_unit_test(half_a_model_runs_the_tower_that_it_has),
        cmocka_unit_test(a_text_may_fill_the_context),
        cmocka_unit_test(numbers_that_are_none_stay_in_their_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
