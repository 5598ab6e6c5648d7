/* Edits of sites while the network runs: each against what a test computes from the values that were read, and against
 * edited weights; by both backends. */
#include "clipneuron/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "altered.h"
#include "golden.h"
#include "models.h"

#define IMAGES 3
#define UNIT 7

static float *golden_pixels(const char *name)
{
    char path[512];
    cn_error err = {0};
    cn_weights *w = NULL;
    snprintf(path, sizeof path, CN_TEST_DATA "/golden/%s.expected.safetensors", name);
    if (cn_weights_open(&w, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    float *pixels = read_tensor(w, "pixels");
    cn_weights_close(w);
    return pixels;
}

typedef struct run {
    cn_runner *runner;
    float *embedding, *site; /* copies */
    int64_t width, values;   /* of one image */
} run;

static run run_edited(const cn_model *m, const float *pixels, cn_backend backend, const cn_site *read, const cn_site_edit *edits, size_t n)
{
    run r = {.width = cn_model_get_info(m)->embedding, .values = read->units * read->positions};
    const cn_runner_options o = {.sites = &read, .n_sites = 1, .embedding = true, .batch = IMAGES + 1, .threads = 1, .backend = backend,
                                 .edits = edits, .n_edits = n};
    cn_error err = {0};
    if (cn_runner_create(&r.runner, m, &o, &err) != CN_OK || cn_runner_images(r.runner, pixels, IMAGES, &err) != CN_OK)
        fail_msg("%s", err.text);
    r.embedding = malloc((size_t)(IMAGES * r.width) * sizeof *r.embedding);
    r.site = malloc((size_t)(IMAGES * r.values) * sizeof *r.site);
    assert_true(r.embedding && r.site);
    memcpy(r.embedding, cn_runner_embedding(r.runner), (size_t)(IMAGES * r.width) * sizeof *r.embedding);
    memcpy(r.site, cn_runner_site(r.runner, 0), (size_t)(IMAGES * r.values) * sizeof *r.site);
    return r;
}

static void run_close(run *r)
{
    cn_runner_free(r->runner);
    free(r->embedding);
    free(r->site);
}

static void same(const float *x, const float *y, int64_t n, const char *what)
{
    const double w = worst(x, y, n);
    if (!(w < 1e-5))
        fail_msg("%s differs by %g", what, w);
}

static void different(const float *x, const float *y, int64_t n)
{
    assert_true(worst(x, y, n) > 1e-4);
}

static void ablating_a_unit_equals_editing_the_weights(void **state)
{
    (void)state;
    static const zeros of_unit[] = {{"visual.layer4.0.bn3.weight", 512, UNIT, 1}, {"visual.layer4.0.bn3.bias", 512, UNIT, 1}};
    cn_model *edited = open_with_zeros("rn-small", of_unit, 2), *m = open_named("rn-small");
    float *pixels = golden_pixels("rn-small");
    const cn_site *bn3 = site_of(m, "visual.layer4.0.bn3"), *end = site_of(m, "visual.layer4");
    float *scale = malloc((size_t)bn3->units * sizeof *scale);
    for (int64_t u = 0; u < bn3->units; u++)
        scale[u] = u != UNIT;
    const cn_site_edit edit = {.site = bn3, .scale = scale};
    for (int backend = 0; backend < 2; backend++) {
        run plain = run_edited(m, pixels, (cn_backend)backend, end, NULL, 0);
        run a = run_edited(m, pixels, (cn_backend)backend, end, &edit, 1);
        run b = run_edited(edited, pixels, (cn_backend)backend, site_of(edited, "visual.layer4"), NULL, 0);
        same(a.embedding, b.embedding, IMAGES * a.width, "the embedding");
        same(a.site, b.site, IMAGES * a.values, "layer4");
        different(a.site, plain.site, IMAGES * a.values);
        different(a.embedding, plain.embedding, IMAGES * a.width);
        run_close(&plain), run_close(&a), run_close(&b);
    }
    free(scale);
    free(pixels);
    cn_model_close(edited);
    cn_model_close(m);
}

static int64_t unit_of(const cn_site *s, int64_t k)
{
    return s->layout == CN_SITE_MAP ? k / s->positions : k % s->units;
}

/* Every number of an edit matters, images have their own, and two edits follow each other. */
static void check_numbers(const char *model, const char *name, const char *above)
{
    cn_model *m = open_named(model);
    float *pixels = golden_pixels(model);
    const cn_site *site = site_of(m, name);
    const size_t units = (size_t)site->units;
    float *v = malloc(4 * (IMAGES + 1) * units * sizeof *v), *second = malloc(units * sizeof *second);
    float *scale = v, *shift = v + (IMAGES + 1) * units, *low = shift + (IMAGES + 1) * units, *high = low + (IMAGES + 1) * units;
    for (size_t i = 0; i < (IMAGES + 1) * units; i++) {
        scale[i] = (float)(i % 5) - 1;
        shift[i] = (float)(i % 7) / 10;
        low[i] = i % 3 ? -1e30f : -0.1f;
        high[i] = i % 4 ? 1e30f : 0.3f;
    }
    for (size_t i = 0; i < units; i++)
        second[i] = (float)i / (float)units;
    const cn_site_edit edits[] = {{.site = site, .scale = scale, .shift = shift, .low = low, .high = high, .by_image = true},
                                  {.site = site, .shift = second}};
    for (int backend = 0; backend < 2; backend++) {
        run plain = run_edited(m, pixels, (cn_backend)backend, site, NULL, 0);
        run got = run_edited(m, pixels, (cn_backend)backend, site, edits, 2);
        for (int64_t i = 0; i < IMAGES * plain.values; i++) {
            const int64_t u = unit_of(site, i % plain.values), k = i / plain.values * site->units + u;
            float x = scale[k] * plain.site[i] + shift[k];
            x = x < low[k] ? low[k] : x > high[k] ? high[k] : x;
            plain.site[i] = x + second[u];
        }
        same(got.site, plain.site, IMAGES * plain.values, name);
        /* The same values put in their place: everything above agrees. */
        float *given = malloc((size_t)((IMAGES + 1) * plain.values) * sizeof *given);
        memcpy(given, plain.site, (size_t)(IMAGES * plain.values) * sizeof *given);
        const cn_site_edit put = {.site = site, .values = given};
        run other = run_edited(m, pixels, (cn_backend)backend, site_of(m, above), &put, 1);
        same(other.embedding, got.embedding, IMAGES * got.width, "the embedding");
        free(given);
        run_close(&plain), run_close(&got), run_close(&other);
    }
    free(v);
    free(second);
    free(pixels);
    cn_model_close(m);
}

static void edits_do_what_their_numbers_say_on_maps(void **state)
{
    (void)state;
    check_numbers("rn-small", "visual.layer4.0.add", "visual.layer4");
    check_numbers("rn-small", "visual.layer2.0.relu3", "visual.layer4");
}

static void edits_do_what_their_numbers_say_on_tokens(void **state)
{
    (void)state;
    check_numbers("vit-small", "visual.transformer.resblocks.0.mlp.gelu", "visual.transformer");
    check_numbers("vit-small", "visual.transformer.resblocks.1", "visual.transformer");
}

static void values_stand_for_all_that_lies_below(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    float *pixels = golden_pixels("rn-small");
    const cn_site *site = site_of(m, "visual.layer3");
    run plain = run_edited(m, pixels, CN_BACKEND_ONEDNN, site, NULL, 0);
    const size_t count = (size_t)IMAGES * 3 * (size_t)cn_model_get_info(m)->resolution * (size_t)cn_model_get_info(m)->resolution;
    for (size_t i = 0; i < count; i++)
        pixels[i] = NAN;
    const cn_site_edit put = {.site = site, .values = plain.site};
    for (int backend = 0; backend < 2; backend++) {
        run got = run_edited(m, pixels, (cn_backend)backend, site, &put, 1);
        same(got.embedding, plain.embedding, IMAGES * got.width, "the embedding");
        run_close(&got);
    }
    run_close(&plain);
    free(pixels);
    cn_model_close(m);
}

static void gradients_at_and_above_edits_only(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    cn_error err = {0};
    cn_runner *r = NULL;
    float *pixels = golden_pixels("rn-small");
    const cn_site *site = site_of(m, "visual.layer4.0.add"), *below = site_of(m, "visual.layer3");
    const int64_t values = site->units * site->positions, width = cn_model_get_info(m)->embedding;
    float *shift = calloc((size_t)site->units, sizeof *shift);
    const cn_site_edit edit = {.site = site, .shift = shift};
    cn_runner_options o = {.sites = &site, .n_sites = 1, .embedding = true, .batch = 1, .threads = 1, .input_gradient = true, .edits = &edit,
                           .n_edits = 1};
    assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "visual.layer4.0.add"));
    o.input_gradient = false;
    o.gradient_sites = &below;
    o.n_gradient_sites = 1;
    assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_EUNSUPPORTED);
    o.gradient_sites = &site;
    err = (cn_error){0};
    if (cn_runner_create(&r, m, &o, &err) != CN_OK)
        fail_msg("%s", err.text);
    float *seed = calloc((size_t)width, sizeof *seed), *first = malloc((size_t)width * sizeof *first);
    seed[1] = 1;
    const cn_objective_gradient from = {.embedding = seed};
    assert_int_equal(cn_runner_images(r, pixels, 1, &err), CN_OK);
    memcpy(first, cn_runner_embedding(r), (size_t)width * sizeof *first);
    assert_int_equal(cn_runner_backward(r, &from, &err), CN_OK);
    double expected = 0;
    for (int64_t k = 0; k < values / site->units; k++)
        expected += cn_runner_site_gradient(r, 0)[UNIT * site->positions + k];
    const double step = 1e-2;
    shift[UNIT] = (float)step; /* read at every run */
    assert_int_equal(cn_runner_images(r, pixels, 1, &err), CN_OK);
    assert_true(fabs((cn_runner_embedding(r)[1] - first[1]) / step - expected) < 2e-2 * fabs(expected) + 1e-5);
    assert_true(fabs(expected) > 1e-6);
    cn_runner_free(r);
    free(seed), free(first), free(shift), free(pixels);
    cn_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ablating_a_unit_equals_editing_the_weights), cmocka_unit_test(edits_do_what_their_numbers_say_on_maps),
        cmocka_unit_test(edits_do_what_their_numbers_say_on_tokens),  cmocka_unit_test(values_stand_for_all_that_lies_below),
        cmocka_unit_test(gradients_at_and_above_edits_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
