/* Logistic regression against its own optimality condition, and facets from training to pictures. */
#include "clipneuron/array.h"
#include "clipneuron/image.h"
#include "clipneuron/see.h"
#include "vis/logistic.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../clip/models.h"

#define OTHER CN_TEST_DATA "/golden/rn-small.safetensors"
#define SITE "visual.layer3.1"

static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 8388608.0 - 1.0;
}

/* At the minimum the slope is zero: mean over rows of c_y (sigmoid(w.x) - [y]) x + l2 w. Unbalanced on purpose. */
static void regression_ends_where_the_slope_is_zero(void **state)
{
    (void)state;
    enum { N = 90, D = 37 };
    static float x[N * D];
    bool positive[N];
    float w[D] = {0};
    uint32_t random = 5;
    int positives = 0;
    for (int i = 0; i < N; i++) {
        positive[i] = i % 5 == 0;
        positives += positive[i];
        for (int k = 0; k < D; k++)
            x[i * D + k] = (float)(noise(&random) + (positive[i] ? 0.3 : -0.05) * (k % 3));
    }
    const logistic_rows rows = {x, positive, N, D};
    const logistic_options options = {.l2 = 0.02, .iterations = 500, .tolerance = 1e-4};
    logistic_result result;
    cn_error err = {0};
    assert_int_equal(logistic_fit(&rows, &options, w, &result, &err), CN_OK);
    if (!result.converged || result.iterations <= 3)
        fail_msg("after %d steps: loss %g, converged %d", result.iterations, result.loss, result.converged);
    assert_true(fabs(result.first_loss - log(2)) < 1e-6); /* both classes count half */
    assert_true(result.loss < 0.5);
    for (int k = 0; k < D; k++) {
        double slope = 0.02 * (double)w[k];
        for (int i = 0; i < N; i++) {
            double dot = 0;
            for (int j = 0; j < D; j++)
                dot += (double)w[j] * (double)x[i * D + j];
            const double share = positive[i] ? 0.5 / positives : 0.5 / (N - positives);
            slope += share * (1 / (1 + exp(-dot)) - positive[i]) * (double)x[i * D + k];
        }
        assert_true(fabs(slope) < 2e-4);
    }
    assert_true(logistic_accuracy(&rows, w) > 0.8);
    memset(positive, 0, sizeof positive);
    assert_int_equal(logistic_fit(&rows, &options, w, &result, &err), CN_EINVAL);
}

/* Paths of demo pictures of a medium, from their table. */
static size_t demo_pictures(const char *medium, size_t most, char (*paths)[512])
{
    char line[2048], wanted[40];
    size_t n = 0;
    FILE *f = fopen(CN_BINARY_DIR "/demo-pictures/labels.csv", "r");
    assert_non_null(f);
    snprintf(wanted, sizeof wanted, ",%s,", medium);
    for (int number = 0; n < most && fgets(line, sizeof line, f); number++)
        if (number % 4 == 1 && strstr(line, wanted)) { /* of many concepts */
            line[strcspn(line, ",")] = 0;
            snprintf(paths[n++], 512, CN_BINARY_DIR "/demo-pictures/%s", line);
        }
    fclose(f);
    assert_true(n >= 40);
    return n;
}

enum { MOST = 60, EACH = 4 };
static char words[MOST][512], colours[MOST][512], lines[MOST][512];
static const char *word_paths[MOST], *colour_paths[MOST], *line_paths[MOST];
static char facets_file[] = "/tmp/facets-XXXXXX.npz";

static int train(void **state)
{
    (void)state;
    cn_error err = {0};
    const int file = mkstemps(facets_file, 4);
    if (file < 0)
        return -1;
    close(file);
    cn_facet_pictures facets[] = {{"written", word_paths, demo_pictures("word", MOST, words)},
                                  {"colour", colour_paths, demo_pictures("colour", MOST, colours)},
                                  {"line", line_paths, demo_pictures("line", MOST, lines)}};
    for (int i = 0; i < MOST; i++)
        word_paths[i] = words[i], colour_paths[i] = colours[i], line_paths[i] = lines[i];
    cn_model *m = open_model(SPECIMEN);
    const char *const sites[] = {SITE};
    const cn_facet_options o = {.sites = sites, .n_sites = 1, .threads = 2};
    size_t unreadable = 99;
    if (cn_facets_train(facets_file, m, facets, 3, NULL, 0, &o, &unreadable, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(unreadable, 0);
    cn_model_close(m);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    return unlink(facets_file);
}

static void facets_tell_held_out_pictures_apart(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_model *m = open_model(SPECIMEN);
    cn_facets *f;
    if (cn_facets_open(&f, facets_file, m, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(cn_facets_count(f), 3);
    assert_int_equal(cn_facets_site_count(f), 1);
    assert_string_equal(cn_facets_site(f, 0)->name, SITE);
    for (size_t i = 0; i < 3; i++) {
        const cn_facet_info *info = cn_facets_info(f, i);
        assert_true(info->pictures >= 40 && info->generic >= 80);
        if (!(info->accuracy[0] >= 0.8f))
            fail_msg("%s: %.3f of the held-out pictures", info->name, (double)info->accuracy[0]);
        int64_t h, w;
        assert_non_null(cn_facets_weights(f, i, 0, &h, &w));
        assert_int_equal(h, 6);
        assert_int_equal(w, 6);
    }
    size_t index;
    assert_int_equal(cn_facets_find(f, "line", &index, &err), CN_OK);
    assert_int_equal(index, 2);
    assert_int_equal(cn_facets_find(f, "face", &index, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "written, colour, line"));
    cn_facets_close(f);
    cn_model *other = open_model(OTHER);
    err = (cn_error){0};
    assert_int_equal(cn_facets_open(&f, facets_file, other, &err), CN_EMISMATCH);
    assert_null(f);
    assert_non_null(strstr(err.text, "another model"));
    cn_model_close(other), cn_model_close(m);
}

/* The mean over EACH pictures of w.a at the facet's site: how much they are of that facet. */
static double score(const cn_model *m, const cn_facets *f, size_t facet, cn_see *see)
{
    cn_error err = {0};
    const cn_model_info *info = cn_model_get_info(m);
    const cn_site *site = cn_facets_site(f, 0);
    const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .batch = EACH, .threads = 1};
    cn_runner *r;
    static uint8_t rgb[EACH][96 * 96 * 3];
    static float pixels[EACH * 3 * 96 * 96];
    int64_t h, w;
    for (size_t i = 0; i < EACH; i++)
        cn_see_picture(see, i, rgb[i]);
    cn_pixels_normalise(rgb[0], EACH, 96, info->mean, info->std, pixels);
    assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_OK);
    assert_int_equal(cn_runner_images(r, pixels, EACH, &err), CN_OK);
    const float *weights = cn_facets_weights(f, facet, 0, &h, &w), *a = cn_runner_site(r, 0);
    const int64_t values = site->units * h * w;
    double sum = 0;
    for (int64_t i = 0; i < EACH * values; i++)
        sum += (double)weights[i % values] * (double)a[i];
    cn_runner_free(r);
    return sum / EACH;
}

static void a_faceted_picture_is_more_of_its_facet(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_model *m = open_model(SPECIMEN);
    cn_facets *f;
    static const char *const unit = "layer4:" CN_UNIT;
    assert_int_equal(cn_facets_open(&f, facets_file, m, &err), CN_OK);
    for (size_t facet = 0; facet < 3; facet++) {
        double of[2];
        for (int faceted = 0; faceted < 2; faceted++) {
            const cn_see_options o = {.seed = 3, .threads = 2, .images_each = EACH, .facets = faceted ? f : NULL, .facet = cn_facets_info(f, facet)->name,
                                      .weakest = 20, .strongest = 20};
            cn_see *see;
            if (cn_see_open(&see, m, &unit, 1, &o, &err) != CN_OK || cn_see_run(see, 80, &err) != CN_OK)
                fail_msg("%s", err.text);
            of[faceted] = score(m, f, facet, see);
            cn_see_close(see);
        }
        print_message("  %s: %.4f with the facet, %.4f without\n", cn_facets_info(f, facet)->name, of[1], of[0]);
        if (!(of[1] > of[0]))
            fail_msg("%s: %.4f with the facet, %.4f without", cn_facets_info(f, facet)->name, of[1], of[0]);
    }
    const cn_see_options o = {.facets = f, .facet = "nature"};
    cn_see *see;
    err = (cn_error){0};
    assert_int_equal(cn_see_open(&see, m, &unit, 1, &o, &err), CN_ENOTFOUND);
    assert_null(see);
    cn_facets_close(f);
    cn_model_close(m);
}

/* At the first step two ascents of one seed see the same picture, so their values differ by the facet's term: strength 5/sites sum_s w_s . (a_s x relu(g_s)),
 * g the derivative of the plain objective (Goh et al. 2021), which is worked out here from a runner of its own. */
static void the_term_is_the_papers(void **state)
{
    (void)state;
    enum { STRENGTH = 20 };
    cn_error err = {0};
    cn_model *m = open_model(SPECIMEN);
    const cn_model_info *info = cn_model_get_info(m);
    cn_facets *f;
    static const char *const objective = "layer4:0-1023"; /* of which some are on */
    assert_int_equal(cn_facets_open(&f, facets_file, m, &err), CN_OK);
    float value[2];
    static uint8_t rgb[96 * 96 * 3];
    static float pixels[3 * 96 * 96];
    for (int faceted = 0; faceted < 2; faceted++) {
        const cn_see_options o = {.seed = 3, .threads = 1, .transforms = "none", .redirect_steps = -1, .start = 3, .facets = faceted ? f : NULL,
                                  .facet = cn_facets_info(f, 0)->name, .weakest = STRENGTH, .strongest = STRENGTH};
        cn_see *see;
        assert_int_equal(cn_see_open(&see, m, &objective, 1, &o, &err), CN_OK);
        cn_see_picture(see, 0, rgb);
        assert_int_equal(cn_see_run(see, 1, &err), CN_OK);
        value[faceted] = cn_see_value(see, 0);
        cn_see_close(see);
    }
    const cn_site *site[2] = {cn_facets_site(f, 0), NULL};
    assert_int_equal(cn_model_find_site(m, "layer4", &site[1], &err), CN_OK);
    const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .sites = site, .n_sites = 2, .batch = 1, .threads = 1, .input_gradient = true, .gradient_sites = site,
                                 .n_gradient_sites = 1};
    cn_runner *r;
    int64_t h, w, top_h, top_w;
    cn_pixels_normalise(rgb, 1, 96, info->mean, info->std, pixels);
    assert_int_equal(cn_runner_create(&r, m, &o, &err), CN_OK);
    assert_int_equal(cn_runner_images(r, pixels, 1, &err), CN_OK);
    cn_runner_site_size(r, site[1], &top_h, &top_w);
    const int64_t positions = top_h * top_w;
    float *seed = calloc((size_t)(site[1]->units * positions), sizeof *seed);
    double mean = 0;
    for (int64_t i = 0; i < site[1]->units * positions; i++) {
        seed[i] = 1.0f / (float)positions;
        mean += (double)cn_runner_site(r, 1)[i] / (double)positions;
    }
    const float *const seeds[2] = {NULL, seed};
    assert_int_equal(cn_runner_backward(r, &(cn_objective_gradient){.sites = seeds, .without_input = true}, &err), CN_OK);
    const float *weights = cn_facets_weights(f, 0, 0, &h, &w), *a = cn_runner_site(r, 0), *g = cn_runner_site_gradient(r, 0);
    double term = 0, size = 0;
    for (int64_t i = 0; i < site[0]->units * h * w; i++) {
        const double each = g[i] > 0 ? STRENGTH * 5.0 * (double)weights[i] * (double)a[i] * (double)g[i] : 0;
        term += each;
        size += fabs(each);
    }
    print_message("  plain %.5g (%.5g here); the facet adds %.5g (%.5g here, of parts that are %.5g in all)\n", (double)value[0], mean, (double)(value[1] - value[0]), term, size);
    assert_float_equal(value[0], mean, 0.02 * fabs(mean) + 1e-5); /* the picture here is rounded to 8 bits */
    assert_true(size > 0.01 * fabs(mean));
    assert_float_equal(value[1] - value[0], term, 0.02 * size);
    free(seed);
    cn_runner_free(r);
    cn_facets_close(f);
    cn_model_close(m);
}

static void what_cannot_be_trained_is_said(void **state)
{
    (void)state;
    cn_model *m = open_model(SPECIMEN);
    cn_error err = {0};
    const cn_facet_pictures few = {"few", word_paths, 7}, good = {"written", word_paths, 20}, named = {"a b", word_paths, 20};
    const cn_facet_pictures two[] = {good, good};
    assert_int_equal(cn_facets_train("/tmp/none.npz", m, &few, 1, colour_paths, 20, NULL, NULL, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "7 pictures"));
    err = (cn_error){0};
    assert_int_equal(cn_facets_train("/tmp/none.npz", m, &named, 1, colour_paths, 20, NULL, NULL, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "no name"));
    err = (cn_error){0};
    assert_int_equal(cn_facets_train("/tmp/none.npz", m, two, 2, NULL, 0, NULL, NULL, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "twice"));
    err = (cn_error){0};
    assert_int_equal(cn_facets_train("/tmp/none.npz", m, &good, 1, NULL, 0, NULL, NULL, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "generic"));
    err = (cn_error){0};
    cn_facets *f;
    assert_int_equal(cn_facets_open(&f, SPECIMEN, m, &err), CN_EFORMAT);
    assert_null(f);
    cn_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regression_ends_where_the_slope_is_zero),
        cmocka_unit_test(facets_tell_held_out_pictures_apart),
        cmocka_unit_test(a_faceted_picture_is_more_of_its_facet),
        cmocka_unit_test(the_term_is_the_papers),
        cmocka_unit_test(what_cannot_be_trained_is_said),
    };
    return cmocka_run_group_tests(tests, train, clean);
}
