/* Gradients through both towers: what the original code computes (tests/data/golden), finite differences of whole
 * towers, and the ways of asking. */
#include "clipneuron/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "models.h"

#define GOLDEN CN_TEST_DATA "/golden/"
#define IMAGES 3
#define TEXTS 7

/* The bounds that the project promises. */
#define FP32_BOUND 1e-3 /* of the largest value of a gradient */
#define BF16_COSINE 0.99

typedef struct golden {
    cn_weights *expected;
    cn_model *model;
    const cn_model_info *info;
    float *pixels;
    int64_t count; /* of all pixels */
} golden;

static golden open_golden(const char *name)
{
    golden g = {0};
    cn_error err = {0};
    char path[512];
    snprintf(path, sizeof path, GOLDEN "%s.expected.safetensors", name);
    if (cn_weights_open(&g.expected, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    snprintf(path, sizeof path, GOLDEN "%s.safetensors", name);
    if (cn_model_open(&g.model, path, NULL, &err) != CN_OK)
        fail_msg("%s", err.text);
    g.info = cn_model_get_info(g.model);
    g.count = (int64_t)IMAGES * 3 * g.info->resolution * g.info->resolution;
    g.pixels = read_counted(g.expected, "pixels", g.count);
    return g;
}

static void close_golden(golden *g)
{
    free(g->pixels);
    cn_model_close(g->model);
    cn_weights_close(g->expected);
}

static void same_gradient(const float *got, const float *want, int64_t n, bool bf16, const char *what)
{
    const double measured = bf16 ? cosine(got, want, n) : worst(got, want, n);
    if (!(bf16 ? measured >= BF16_COSINE : measured <= FP32_BOUND))
        fail_msg("%s: %s %.3g", what, bf16 ? "cosine in bf16" : "worst difference", measured);
}

/* "visual.layer4:89:mean" -> the site, its unit and, unless the mean over positions is meant, the position. */
static const cn_site *parse(const golden *g, const char *text, int64_t *unit, bool *center)
{
    char unit_text[200];
    cn_error err = {0};
    const cn_site *site;
    const char *colon = strrchr(text, ':');
    snprintf(unit_text, sizeof unit_text, "%.*s", (int)(colon - text), text);
    if (cn_model_parse_unit(g->model, unit_text, &site, unit, &err) != CN_OK)
        fail_msg("%s", err.text);
    *center = !strcmp(colon, ":center");
    return site;
}

/* d (sum over the batch of the unit's mean, or of its value in the middle) / d values of the site. */
static float *unit_seed(const cn_site *site, int64_t unit, bool center)
{
    float *seed = calloc((size_t)(IMAGES * site->units * site->positions), sizeof *seed);
    assert_non_null(seed);
    const bool map = site->layout == CN_SITE_MAP;
    const int64_t middle = site->height / 2 * site->width + site->width / 2;
    for (int64_t n = 0; n < IMAGES; n++)
        for (int64_t p = 0; p < site->positions; p++) {
            float *at = seed + n * site->units * site->positions + (map ? unit * site->positions + p : p * site->units + unit);
            *at = center ? p == middle : 1 / (float)site->positions;
        }
    return seed;
}

static void unit_gradient(const golden *g, const char *name, cn_backend backend, bool bf16)
{
    cn_error err = {0};
    int64_t unit;
    bool center;
    const cn_site *site = parse(g, name + 5, &unit, &center);
    cn_runner *r;
    const cn_runner_options options = {.tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .batch = IMAGES, .threads = 2,
                                       .precision = bf16 ? CN_PRECISION_BF16 : CN_PRECISION_F32, .backend = backend,
                                       .input_gradient = true};
    float *seed = unit_seed(site, unit, center), *want = read_counted(g->expected, name, g->count);
    const float *const seeds[] = {seed};
    if (cn_runner_create(&r, g->model, &options, &err) != CN_OK || cn_runner_images(r, g->pixels, IMAGES, &err) != CN_OK ||
        cn_runner_backward(r, &(cn_objective_gradient){.sites = seeds}, &err) != CN_OK)
        fail_msg("%s: %s", name, err.text);
    same_gradient(cn_runner_input_gradient(r), want, g->count, bf16, name);
    cn_runner_free(r);
    free(seed), free(want);
}

/* Derivative of `factor` times the cosine of x and y with respect to x. */
static void cosine_gradient(const float *x, const float *y, int64_t n, double factor, float *dx)
{
    double xy = 0, xx = 0, yy = 0;
    for (int64_t i = 0; i < n; i++)
        xy += (double)x[i] * y[i], xx += (double)x[i] * x[i], yy += (double)y[i] * y[i];
    for (int64_t i = 0; i < n; i++)
        dx[i] = (float)(factor * (y[i] - x[i] * xy / xx) / sqrt(xx * yy));
}

static void logit_gradient(const golden *g, cn_backend backend, bool bf16)
{
    cn_error err = {0};
    cn_runner *r;
    const int64_t d = g->info->embedding;
    const cn_runner_options options = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = IMAGES + 1, .threads = 2,
                                       .precision = bf16 ? CN_PRECISION_BF16 : CN_PRECISION_F32, .backend = backend,
                                       .input_gradient = true};
    float *want = read_counted(g->expected, "grad:logit:1", g->count);
    float *texts = read_counted(g->expected, "text_features", TEXTS * d), *seed = malloc((size_t)(IMAGES * d) * sizeof *seed);
    if (cn_runner_create(&r, g->model, &options, &err) != CN_OK || cn_runner_images(r, g->pixels, IMAGES, &err) != CN_OK)
        fail_msg("%s", err.text);
    for (int64_t n = 0; n < IMAGES; n++)
        cosine_gradient(cn_runner_embedding(r) + n * d, texts + d, d, g->info->logit_scale, seed + n * d);
    if (cn_runner_backward(r, &(cn_objective_gradient){.embedding = seed}, &err) != CN_OK)
        fail_msg("%s", err.text);
    same_gradient(cn_runner_input_gradient(r), want, g->count, bf16, "grad:logit:1");
    cn_runner_free(r);
    free(want), free(texts), free(seed);
}

static void golden_gradients(cn_backend backend, bool bf16)
{
    for (int k = 0; k < 2; k++) {
        golden g = open_golden(k ? "vit-small" : "rn-small");
        int found = 0;
        for (size_t i = 0; i < cn_weights_count(g.expected); i++) {
            const char *name = cn_weights_at(g.expected, i)->name;
            if (strncmp(name, "grad:", 5) != 0)
                continue;
            found++;
            if (strcmp(name, "grad:logit:1") == 0)
                logit_gradient(&g, backend, bf16);
            else
                unit_gradient(&g, name, backend, bf16);
        }
        assert_int_equal(found, k ? 3 : 10);
        close_golden(&g);
    }
}

static void the_reference_differentiates_as_the_original_does(void **state)
{
    (void)state;
    golden_gradients(CN_BACKEND_REFERENCE, false);
}

static void the_fast_backend_differentiates_as_the_original_does(void **state)
{
    (void)state;
    golden_gradients(CN_BACKEND_ONEDNN, false);
}

static void bf16_keeps_the_direction_of_gradients(void **state)
{
    (void)state;
    if (!cn_cpu_has_bf16())
        skip();
    golden_gradients(CN_BACKEND_ONEDNN, true);
}

/* ---- between sites, and of texts: against the reference, which finite differences vouch for op by op ---- */

static cn_runner *runner_of(const cn_model *model, const cn_runner_options *options)
{
    cn_error err = {0};
    cn_runner *r;
    if (cn_runner_create(&r, model, options, &err) != CN_OK)
        fail_msg("%s", err.text);
    return r;
}

/* Two objectives for one run, as facets need them: the second is not disturbed by the first, and the gradient at a
 * site is that of what lies above it. The chain rule joins them: seeding the site with its gradient gives the input's. */
static void gradients_between_sites_obey_the_chain_rule(void **state)
{
    (void)state;
    static const char *const names[2][2] = {{"layer4", "layer3"}, {"visual.transformer.resblocks.2", "visual.transformer.resblocks.0"}};
    for (int k = 0; k < 2; k++)
        for (int backend = 0; backend < 2; backend++) {
            golden g = open_golden(k ? "vit-small" : "rn-small");
            const cn_site *sites[2] = {site_of(g.model, names[k][0]), site_of(g.model, names[k][1])};
            const cn_runner_options options = {.tower = CN_TOWER_IMAGE, .sites = sites, .n_sites = 2, .batch = IMAGES, .threads = 2,
                                               .backend = (cn_backend)backend, .input_gradient = true,
                                               .gradient_sites = &sites[1], .n_gradient_sites = 1};
            cn_runner *r = runner_of(g.model, &options);
            const int64_t middle = IMAGES * sites[1]->units * sites[1]->positions;
            float *seed = unit_seed(sites[0], 5, false), *inner = malloc((size_t)middle * sizeof *inner);
            float *whole = malloc((size_t)g.count * sizeof *whole);
            cn_error err = {0};
            assert_int_equal(cn_runner_images(r, g.pixels, IMAGES, &err), CN_OK);
            const float *first[2] = {seed, NULL}, *second[2] = {NULL, inner}, *both[2] = {seed, inner};
            assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = first}, &err), CN_OK);
            memcpy(inner, cn_runner_site_gradient(r, 0), (size_t)middle * sizeof *inner);
            memcpy(whole, cn_runner_input_gradient(r), (size_t)g.count * sizeof *whole);
            assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = second}, &err), CN_OK);
            same_gradient(cn_runner_input_gradient(r), whole, g.count, false, "through the site");
            assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = both, .without_input = true}, &err), CN_OK);
            for (int64_t i = 0; i < middle; i++)
                inner[i] *= 2;
            same_gradient(cn_runner_site_gradient(r, 0), inner, middle, false, "at the site, seeded twice");
            cn_runner_free(r);
            free(seed), free(inner), free(whole);
            close_golden(&g);
        }
}

static void texts_have_gradients_of_their_token_embeddings(void **state)
{
    (void)state;
    golden g = open_golden("rn-small");
    float *ids = read_counted(g.expected, "tokens", TEXTS * 77);
    int32_t tokens[TEXTS * 77];
    for (int i = 0; i < TEXTS * 77; i++)
        tokens[i] = (int32_t)ids[i];
    const int64_t d = g.info->embedding, width = g.info->text_width;
    float *reference = NULL;
    for (int fast = 0; fast < 2; fast++)
        for (int shorter = 0; shorter < 2; shorter++) {
            const int64_t length = shorter ? 20 : 77;
            const cn_runner_options options = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = TEXTS, .text_length = length,
                                               .threads = 2, .backend = fast ? CN_BACKEND_ONEDNN : CN_BACKEND_REFERENCE,
                                               .input_gradient = true};
            cn_runner *r = runner_of(g.model, &options);
            cn_error err = {0};
            float *seed = calloc((size_t)(TEXTS * d), sizeof *seed);
            for (int64_t n = 0; n < TEXTS; n++)
                seed[n * d + n] = 1;
            if (cn_runner_texts(r, tokens, TEXTS, &err) != CN_OK ||
                cn_runner_backward(r, &(cn_objective_gradient){.embedding = seed}, &err) != CN_OK)
                fail_msg("%s", err.text);
            const float *got = cn_runner_input_gradient(r);
            if (!reference) {
                reference = malloc((size_t)(TEXTS * 77 * width) * sizeof *reference);
                memcpy(reference, got, (size_t)(TEXTS * 77 * width) * sizeof *reference);
            }
            for (int64_t n = 0; n < TEXTS; n++) {
                same_gradient(got + n * length * width, reference + n * 77 * width, length * width, false, "a text");
                for (int64_t i = 20 * width; i < 77 * width; i++) /* behind the end mark */
                    assert_true(reference[n * 77 * width + i] == 0);
            }
            cn_runner_free(r);
            free(seed);
        }
    free(reference), free(ids);
    close_golden(&g);
}

static void what_cannot_be_differentiated_is_said(void **state)
{
    (void)state;
    golden g = open_golden("rn-small");
    const cn_site *site = site_of(g.model, "layer4"), *text = site_of(g.model, "transformer");
    cn_runner_options options = {.tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .batch = IMAGES, .threads = 1};
    cn_error err = {0};
    float *seed = unit_seed(site, 0, false);
    const float *const seeds[] = {seed}, *const none[] = {NULL};
    cn_runner *r = runner_of(g.model, &options);
    assert_int_equal(cn_runner_images(r, g.pixels, IMAGES, &err), CN_OK);
    assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = seeds}, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "without gradients"));
    assert_null(cn_runner_input_gradient(r));
    cn_runner_free(r);
    options.input_gradient = true;
    r = runner_of(g.model, &options);
    err = (cn_error){0};
    assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = seeds}, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "none yet"));
    assert_int_equal(cn_runner_images(r, g.pixels, IMAGES, &err), CN_OK);
    assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = none}, &err), CN_EINVAL);
    assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.embedding = seed}, &err), CN_EINVAL);
    assert_null(cn_runner_site_gradient(r, 0));
    cn_runner_free(r);
    options.gradient_sites = &text;
    options.n_gradient_sites = 1;
    err = (cn_error){0};
    assert_int_equal(cn_runner_create(&r, g.model, &options, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "other tower"));
    free(seed);
    close_golden(&g);
}

/* Within a limit, what does not fit is computed twice and gives the same; a limit that cannot be kept is refused. */
static void a_limit_on_memory_changes_no_gradient(void **state)
{
    (void)state;
    golden g = open_golden("vit-small");
    const cn_site *site = site_of(g.model, "visual.transformer.resblocks.1");
    cn_runner_options options = {.tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .batch = IMAGES, .threads = 2,
                                 .input_gradient = true};
    float *seed = unit_seed(site, 3, false), *wanted = malloc((size_t)g.count * sizeof *wanted);
    const float *const seeds[] = {seed};
    cn_error err = {0};
    cn_runner *r = runner_of(g.model, &options);
    const size_t all = cn_runner_get_memory(r).activation_bytes;
    assert_int_equal(cn_runner_images(r, g.pixels, IMAGES, &err), CN_OK);
    assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = seeds}, &err), CN_OK);
    memcpy(wanted, cn_runner_input_gradient(r), (size_t)g.count * sizeof *wanted);
    cn_runner_free(r);
    options.activation_limit = all * 9 / 10;
    r = runner_of(g.model, &options);
    assert_true(cn_runner_get_memory(r).activation_bytes <= all * 9 / 10);
    assert_int_equal(cn_runner_images(r, g.pixels, IMAGES, &err), CN_OK);
    for (int round = 0; round < 2; round++) { /* the first leaves what the second needs */
        assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = seeds}, &err), CN_OK);
        assert_true(worst(cn_runner_input_gradient(r), wanted, g.count) <= 1e-6);
    }
    cn_runner_free(r);
    options.activation_limit = 1000;
    assert_int_equal(cn_runner_create(&r, g.model, &options, &err), CN_ELIMIT);
    assert_non_null(strstr(err.text, "take a smaller batch"));
    options.input_gradient = false; /* the limit is for gradients */
    r = runner_of(g.model, &options);
    cn_runner_free(r);
    free(seed), free(wanted);
    close_golden(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_differentiates_as_the_original_does),
        cmocka_unit_test(the_fast_backend_differentiates_as_the_original_does),
        cmocka_unit_test(bf16_keeps_the_direction_of_gradients),
        cmocka_unit_test(gradients_between_sites_obey_the_chain_rule),
        cmocka_unit_test(texts_have_gradients_of_their_token_embeddings),
        cmocka_unit_test(what_cannot_be_differentiated_is_said),
        cmocka_unit_test(a_limit_on_memory_changes_no_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
