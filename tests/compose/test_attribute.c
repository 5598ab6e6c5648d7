/* Attribution: completeness, what ablation says against a run of the edited network, heads that add up to the value, and
 * gradients against finite differences. */
#include "clipneuron/attribute.h"
#include "clipneuron/image.h"

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

#include "../clip/golden.h"
#include "../clip/models.h"

typedef struct setting {
    cn_model *model;
    float *pixels, *goal;
    int64_t width;
} setting;

static setting setting_of(const char *name)
{
    setting s = {.model = open_named(name)};
    char path[512];
    cn_error err = {0};
    cn_weights *w = NULL;
    snprintf(path, sizeof path, CN_TEST_DATA "/golden/%s.expected.safetensors", name);
    if (cn_weights_open(&w, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    s.pixels = read_tensor(w, "pixels");
    cn_weights_close(w);
    s.width = cn_model_get_info(s.model)->embedding;
    s.goal = malloc((size_t)s.width * sizeof *s.goal);
    for (int64_t k = 0; k < s.width; k++)
        s.goal[k] = (float)sin(1.7 * (double)k + 0.3);
    return s;
}

static void setting_close(setting *s)
{
    free(s->pixels);
    free(s->goal);
    cn_model_close(s->model);
}

static cn_attribution *attribute(const setting *s, const cn_attribution_options *o)
{
    cn_attribution *a = NULL;
    cn_error err = {0};
    if (cn_attribution_compute(&a, s->model, s->pixels, s->goal, o, &err) != CN_OK)
        fail_msg("%s", err.text);
    return a;
}

/* Length of the embedding, without edits. */
static double length_of(const setting *s)
{
    cn_runner *r = NULL;
    cn_error err = {0};
    double square = 0;
    const cn_runner_options o = {.embedding = true, .batch = 1, .threads = 1};
    if (cn_runner_create(&r, s->model, &o, &err) != CN_OK || cn_runner_images(r, s->pixels, 1, &err) != CN_OK)
        fail_msg("%s", err.text);
    for (int64_t k = 0; k < s->width; k++)
        square += (double)cn_runner_embedding(r)[k] * cn_runner_embedding(r)[k];
    cn_runner_free(r);
    return sqrt(square);
}

/* f of the image with an edit, or without one; with the embedding's own length for 0. */
static double value_at(const setting *s, const cn_site_edit *edit, double length)
{
    cn_runner *r = NULL;
    cn_error err = {0};
    double dot = 0, square = 0;
    const cn_runner_options o = {.embedding = true, .batch = 1, .threads = 1, .edits = edit, .n_edits = edit != NULL};
    if (cn_runner_create(&r, s->model, &o, &err) != CN_OK || cn_runner_images(r, s->pixels, 1, &err) != CN_OK)
        fail_msg("%s", err.text);
    for (int64_t k = 0; k < s->width; k++) {
        dot += (double)cn_runner_embedding(r)[k] * s->goal[k];
        square += (double)cn_runner_embedding(r)[k] * cn_runner_embedding(r)[k];
    }
    cn_runner_free(r);
    return dot / (length > 0 ? length : sqrt(square));
}

static void check_site(const char *model, const char *name, bool baseline, bool renormalise)
{
    setting s = setting_of(model);
    const cn_site *site = site_of(s.model, name);
    const size_t units = (size_t)site->units;
    float *scale = calloc(units, sizeof *scale), *shift = calloc(units, sizeof *shift), *base = calloc(units, sizeof *base);
    for (size_t u = 0; u < units; u++)
        base[u] = baseline ? (float)(u % 3) / 10 : 0;
    const cn_attribution_options o = {.site = site, .baseline = baseline ? base : NULL, .ablate = 5, .threads = 1, .renormalise = renormalise};
    cn_attribution *a = attribute(&s, &o);
    const double length = renormalise ? 0 : length_of(&s);
    const cn_site_edit all = {.site = site, .scale = scale, .shift = base};
    const double whole = value_at(&s, NULL, length), without = value_at(&s, &all, length);
    assert_true(fabs(a->value - whole) < 1e-5);
    assert_true(fabs(a->baseline_value - without) < 1e-5);
    assert_true(fabs(whole - without) > 1e-3);
    double sum = 0;
    for (int64_t i = 0; i < a->units * a->positions; i++)
        sum += a->integrated[i];
    if (!(fabs(sum - (whole - without)) <= CN_ATTRIBUTION_TOLERANCE * fabs(whole - without)) || !(a->error <= CN_ATTRIBUTION_TOLERANCE))
        fail_msg("%s: integrated gradients add up to %g, not to %g (%d steps)", name, sum, whole - without, a->steps);
    assert_int_equal(a->n_ablations, 5);
    for (size_t i = 0; i < a->n_ablations; i++) {
        const int64_t unit = a->ablation[i].unit;
        double parts = 0;
        for (int64_t p = 0; p < a->positions; p++)
            parts += a->integrated[unit * a->positions + p];
        assert_true(fabs(parts - a->ablation[i].integrated) < 1e-6);
        for (size_t u = 0; u < units; u++) {
            scale[u] = (int64_t)u != unit;
            shift[u] = (int64_t)u == unit ? base[u] : 0;
        }
        const cn_site_edit one = {.site = site, .scale = scale, .shift = shift};
        assert_true(fabs(a->ablation[i].exact - (whole - value_at(&s, &one, length))) < 2e-5);
        assert_true(fabs(a->ablation[i].logit - (whole - value_at(&s, &one, 0))) < 2e-5);
        assert_true(i == 0 || fabs(a->ablation[i].integrated) <= fabs(a->ablation[i - 1].integrated));
    }
    /* Gradient times activation: a small step of one unit towards the baseline. */
    const int64_t unit = a->ablation[0].unit;
    const float step = 0.02f;
    for (size_t u = 0; u < units; u++) {
        scale[u] = (int64_t)u == unit ? 1 - step : 1;
        shift[u] = (int64_t)u == unit ? step * base[u] : 0;
    }
    const cn_site_edit nudge = {.site = site, .scale = scale, .shift = shift};
    const double slope = (whole - value_at(&s, &nudge, length)) / step;
    if (!(fabs(slope - a->ablation[0].gradient) < 0.05 * fabs(slope) + 2e-4))
        fail_msg("%s: gradient times activation is %g, a difference says %g", name, a->ablation[0].gradient, slope);
    free(scale), free(shift), free(base);
    cn_attribution_free(a);
    setting_close(&s);
}

static void integrated_gradients_are_complete_and_ablations_exact(void **state)
{
    (void)state;
    check_site("rn-small", "visual.layer4", false, false);
    check_site("rn-small", "visual.layer4", false, true);
    check_site("rn-small", "visual.layer4.0.add", true, false);
    check_site("rn-small", "visual.layer3", false, false);
}

static void sites_that_are_passed_by_keep_what_passes(void **state)
{
    (void)state;
    check_site("vit-small", "visual.transformer.resblocks.0.mlp.gelu", false, false);
    check_site("rn-small", "visual.layer4.1.bn3", true, false);
}

static void heads_add_up_to_the_value(void **state)
{
    (void)state;
    setting s = setting_of("rn-small");
    cn_head_attribution *h = NULL;
    cn_error err = {0};
    if (cn_attribution_heads(&h, s.model, s.pixels, s.goal, 1, &err) != CN_OK)
        fail_msg("%s", err.text);
    double sum = h->bias;
    const double whole = value_at(&s, NULL, 0);
    assert_int_equal(h->heads, cn_model_get_info(s.model)->image_heads);
    for (int64_t i = 0; i < h->heads; i++) {
        double units = h->rest[i], cells = h->rest[i];
        for (int64_t u = 0; u < h->units; u++)
            units += h->unit[i * h->units + u];
        for (int64_t c = 0; c < h->height * h->width; c++)
            cells += h->map[i * h->height * h->width + c];
        assert_true(fabs(units - h->head[i]) < 1e-4);
        assert_true(fabs(cells - h->head[i]) < 1e-4);
        sum += h->head[i];
    }
    assert_true(fabs(h->value - whole) < 1e-5);
    if (!(fabs(sum - whole) < 1e-4))
        fail_msg("heads add up to %g, the value is %g", sum, whole);
    cn_head_attribution_free(h);
    setting_close(&s);
    s = setting_of("vit-small");
    assert_int_equal(cn_attribution_heads(&h, s.model, s.pixels, s.goal, 1, &err), CN_EUNSUPPORTED);
    assert_null(h);
    setting_close(&s);
}

static void heat_maps_are_red_where_it_speaks_for(void **state)
{
    (void)state;
    char path[] = "/tmp/cn-heat-XXXXXX";
    close(mkstemp(path));
    uint8_t rgb[4 * 4 * 3];
    memset(rgb, 100, sizeof rgb);
    const float map[4] = {2, 0, 0, -1};
    cn_error err = {0};
    cn_image *image = NULL;
    assert_int_equal(cn_heatmap_write(path, rgb, 4, map, 2, 2, &err), CN_OK);
    assert_int_equal(cn_image_load(&image, path, NULL, &err), CN_OK);
    unlink(path);
    assert_int_equal(image->width, 384);
    const uint8_t *first = image->rgb, *last = image->rgb + 3 * (384 * 384 - 1);
    assert_int_equal(first[0], (int)(0.28 * 100 + 0.72 * 214 + 0.5));
    assert_int_equal(last[2], (int)(0.64 * 100 + 0.36 * 214 + 0.5));
    assert_true(first[0] > first[2] && last[2] > last[0]);
    cn_image_free(image);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    setting s = setting_of("rn-small");
    cn_attribution *a = NULL;
    cn_error err = {0};
    cn_attribution_options o = {.site = site_of(s.model, "transformer.resblocks.0")};
    assert_int_equal(cn_attribution_compute(&a, s.model, s.pixels, s.goal, &o, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "transformer.resblocks.0"));
    o = (cn_attribution_options){.steps = CN_MAX_ATTRIBUTION_STEPS + 1};
    assert_int_equal(cn_attribution_compute(&a, s.model, s.pixels, s.goal, &o, NULL), CN_EINVAL);
    assert_null(a);
    setting_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integrated_gradients_are_complete_and_ablations_exact),
        cmocka_unit_test(sites_that_are_passed_by_keep_what_passes),
        cmocka_unit_test(heads_add_up_to_the_value),
        cmocka_unit_test(heat_maps_are_red_where_it_speaks_for),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
