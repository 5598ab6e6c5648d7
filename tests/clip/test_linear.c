/* Directions of units: W_o W_v of the attention pool against derivatives through the whole of it, where the two are one and where
 * they are not; and those of an embedding of length 1 against those of the embedding. */
#include "clipneuron/linear.h"

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

static float *floats(int64_t n)
{
    float *v = calloc((size_t)n, sizeof *v);
    assert_non_null(v);
    return v;
}

/* rn-small whose attention pool does not know where a position is. */
static cn_model *open_without_positions(void)
{
    static const zeros positions = {"visual.attnpool.positional_embedding", 5 * 512, 0, 5 * 512};
    return open_with_zeros("rn-small", &positions, 1);
}

static float *golden_pixels(void)
{
    cn_error err = {0};
    cn_weights *w = NULL;
    if (cn_weights_open(&w, CN_TEST_DATA "/golden/rn-small.expected.safetensors", &err) != CN_OK)
        fail_msg("%s", err.text);
    float *pixels = read_tensor(w, "pixels");
    cn_weights_close(w);
    return pixels;
}

/* The derivative of every component of the first golden picture's embedding with respect to a unit's value at all positions
 * together: (units, embedding), and the embedding itself where one is asked for. `edit` sets the values, or NULL. */
static float *derivatives(const cn_model *m, const cn_site *site, const cn_site_edit *edit, float *embedding)
{
    const int64_t width = cn_model_get_info(m)->embedding;
    const cn_runner_options o = {.embedding = true, .batch = 1, .threads = 1, .gradient_sites = &site, .n_gradient_sites = 1, .edits = edit,
                                 .n_edits = edit != NULL};
    cn_error err = {0};
    cn_runner *r = NULL;
    float *pixels = golden_pixels(), *seed = floats(width), *out = floats(site->units * width);
    assert_int_equal(site->layout, CN_SITE_MAP);
    if (cn_runner_create(&r, m, &o, &err) != CN_OK || cn_runner_images(r, pixels, 1, &err) != CN_OK)
        fail_msg("%s", err.text);
    if (embedding)
        memcpy(embedding, cn_runner_embedding(r), (size_t)width * sizeof *embedding);
    for (int64_t k = 0; k < width; k++) {
        memset(seed, 0, (size_t)width * sizeof *seed);
        seed[k] = 1;
        if (cn_runner_backward(r, &(cn_objective_gradient){.embedding = seed, .without_input = true}, &err) != CN_OK)
            fail_msg("%s", err.text);
        const float *g = cn_runner_site_gradient(r, 0);
        for (int64_t u = 0; u < site->units; u++) {
            double sum = 0;
            for (int64_t p = 0; p < site->positions; p++)
                sum += (double)g[u * site->positions + p];
            out[u * width + k] = (float)sum;
        }
    }
    cn_runner_free(r);
    free(pixels), free(seed);
    return out;
}

/* An image that looks the same everywhere: every position has the same units, and no position is told from another. Equal pixels would
 * not do, since the convolutions' padding tells the edges from the middle. */
static void the_linearisation_is_the_derivative_where_an_image_is_uniform(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_model *m = open_without_positions(), *whole = open_named("rn-small");
    const cn_site *site = site_of(m, "visual.layer4");
    const int64_t width = cn_model_get_info(m)->embedding;
    float *directions = floats(site->units * width), *zero = floats(site->units), *level = floats(site->units);
    for (int64_t u = 0; u < site->units; u++)
        level[u] = (float)(u * 37 % 101) / 50; /* 0 to 2: another value in each unit */
    const cn_site_edit uniform = {.site = site, .scale = zero, .shift = level};
    assert_int_equal(cn_unit_directions(m, site, directions, &err), CN_OK);
    assert_true(site->units == 512 && width == 64);

    float *exact = derivatives(m, site, &uniform, NULL);
    static const int64_t units[] = {0, 1, 7, 89, 255, 300, 511};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const double w = worst(directions + units[i] * width, exact + units[i] * width, width);
        if (!(w < 1e-4))
            fail_msg("unit %d: differs by %g of its largest component", (int)units[i], w);
    }
    assert_true(worst(directions, exact, site->units * width) < 1e-5);
    free(exact);

    /* both conditions are needed, though this model's random weights look at all positions almost evenly */
    exact = derivatives(m, site, NULL, NULL);
    assert_true(worst(directions, exact, site->units * width) > 5e-4);
    free(exact);
    const cn_site_edit at = {.site = site_of(whole, "visual.layer4"), .scale = zero, .shift = level};
    exact = derivatives(whole, at.site, &at, NULL);
    assert_true(worst(directions, exact, site->units * width) > 5e-4);
    free(exact);
    free(directions), free(zero), free(level);
    cn_model_close(m);
    cn_model_close(whole);
}

/* d e/|e| = (d e - e^ (e^ . d e)) / |e| with e^ = e/|e|. */
static void directions_at_an_image_are_derivatives_of_its_direction(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_model *m = open_named("rn-small");
    const cn_site *site = site_of(m, "visual.layer4");
    const int64_t width = cn_model_get_info(m)->embedding;
    float *pixels = golden_pixels(), *e = floats(width), *got = floats(site->units * width);
    float *want = derivatives(m, site, NULL, e);
    double norm = 0;
    assert_int_equal(cn_unit_directions_at(m, site, pixels, 1, 1, got, &err), CN_OK);
    for (int64_t k = 0; k < width; k++)
        norm += (double)e[k] * e[k];
    norm = sqrt(norm);
    for (int64_t u = 0; u < site->units; u++) {
        float *row = want + u * width;
        double along = 0;
        for (int64_t k = 0; k < width; k++)
            along += (double)row[k] * e[k] / norm;
        for (int64_t k = 0; k < width; k++)
            row[k] = (float)(((double)row[k] - e[k] / norm * along) / norm);
    }
    assert_true(worst(got, want, site->units * width) < 2e-5);
    free(pixels), free(e), free(got), free(want);
    cn_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_linearisation_is_the_derivative_where_an_image_is_uniform),
        cmocka_unit_test(directions_at_an_image_are_derivatives_of_its_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
