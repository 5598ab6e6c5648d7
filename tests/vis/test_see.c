/* The ascent as a whole: it climbs, it repeats itself, pictures do not disturb each other, and options out of range are
 * refused. */
#include "clipneuron/see.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../clip/models.h"

static cn_see *begin(const cn_model *m, const char *const *objectives, size_t n, const cn_see_options *o)
{
    cn_error err = {0};
    cn_see *s;
    if (cn_see_open(&s, m, objectives, n, o, &err) != CN_OK)
        fail_msg("%s", err.text);
    return s;
}

static void run(cn_see *s, int64_t steps)
{
    cn_error err = {0};
    if (cn_see_run(s, steps, &err) != CN_OK)
        fail_msg("%s", err.text);
}

static float measured(cn_see *s, size_t i)
{
    cn_error err = {0};
    float *values = calloc(cn_see_count(s), sizeof *values);
    if (cn_see_measure(s, values, &err) != CN_OK)
        fail_msg("%s", err.text);
    const float v = values[i];
    free(values);
    return v;
}

static uint8_t *picture(cn_see *s, size_t i)
{
    uint8_t *p = calloc((size_t)cn_see_size(s) * (size_t)cn_see_size(s), (size_t)cn_see_channels(s));
    cn_see_picture(s, i, p);
    return p;
}

static void every_canvas_climbs(void **state)
{
    (void)state;
    /* A trained unit goes up by a lot; one of a random network, which sees little but the mean, goes up. */
    static const char *const models[] = {"specimen", "vit-small"};
    static const char *const units[] = {"layer4.add:" CN_UNIT, "visual.transformer.resblocks.1.mlp.gelu:300"};
    static const float least[] = {0.02f, 0};
    for (int k = 0; k < 2; k++) {
        cn_model *m = open_named(models[k]);
        for (int canvas = CN_CANVAS_FOURIER; canvas <= CN_CANVAS_PHASE; canvas++)
            for (int alpha = 0; alpha < 2; alpha++) {
                /* Transparent pixels and phases lose ground while ReLUs leak, and take longer than a test to get it back. */
                const bool slow = alpha && canvas != CN_CANVAS_FOURIER;
                const cn_see_options o = {.canvas = (cn_canvas)canvas, .alpha = alpha, .seed = 1, .threads = 2, .size = alpha ? 48 : 0,
                                          .relu_leak = slow ? -1.0f : 0};
                cn_see *s = begin(m, &units[k], 1, &o);
                assert_true(isnan(cn_see_value(s, 0)));
                assert_int_equal(cn_see_channels(s), alpha ? 4 : 3);
                assert_int_equal(cn_see_size(s), alpha ? 48 : k ? 64 : 96);
                const float before = measured(s, 0);
                /* What is half transparent begins slowly, and so do phases, which see parts of the picture only: they need not get far. */
                const float gain = alpha || canvas == CN_CANVAS_PHASE ? 0 : least[k];
                const int64_t steps = gain > 0 ? 200 : slow ? 30 : 80;
                run(s, steps);
                assert_int_equal(cn_see_steps(s), steps);
                const float after = measured(s, 0);
                print_message("  %s, canvas %d, alpha %d: from %g to %g\n", models[k], canvas, alpha, (double)before, (double)after);
                if (!(after > before + gain))
                    fail_msg("%s, canvas %d, alpha %d: from %g to %g", models[k], canvas, alpha, (double)before, (double)after);
                cn_see_close(s);
            }
        cn_model_close(m);
    }
}

/* A ViT that is moved by less than its patches sees the same ones in every step, however few pixels it has. */
static void a_vit_is_moved_by_the_standard_set(void **state)
{
    (void)state;
    static const char *const models[] = {"rn-small", "vit-small"}, *const usual[] = {"mild", "standard"};
    static const char *const units[] = {"layer4.add:3", "visual.transformer.resblocks.1.mlp.gelu:300"};
    for (int k = 0; k < 2; k++) {
        cn_model *m = open_named(models[k]);
        uint8_t *made[3];
        for (int i = 0; i < 3; i++) {
            const cn_see_options o = {.seed = 2, .threads = 2, .transforms = i == 0 ? NULL : usual[i == 1 ? k : 1 - k]};
            cn_see *s = begin(m, &units[k], 1, &o);
            run(s, 6);
            made[i] = picture(s, 0);
            cn_see_close(s);
        }
        assert_memory_equal(made[0], made[1], 64 * 64 * 3);
        assert_memory_not_equal(made[0], made[2], 64 * 64 * 3);
        for (int i = 0; i < 3; i++)
            free(made[i]);
        cn_model_close(m);
    }
}

static void a_negative_objective_goes_down(void **state)
{
    (void)state;
    cn_model *m = open_named("specimen");
    static const char *const both[] = {"layer4.add:" CN_UNIT, "-layer4.add:" CN_UNIT};
    const cn_see_options o = {.seed = 1, .threads = 2, .transforms = "jitter 2"};
    cn_see *s = begin(m, both, 2, &o);
    run(s, 80);
    assert_true(measured(s, 0) > -measured(s, 1) + 0.02f);
    assert_true(cn_see_value(s, 0) > -cn_see_value(s, 1));
    cn_see_close(s);
    cn_model_close(m);
}

static void the_same_seed_gives_the_same_picture(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    static const char *const three[] = {"layer4.add:3", "layer4.add:5 - 2*l2", "layer4.add:89"};
    cn_see_options o = {.seed = 4, .threads = 2};
    cn_see *a = begin(m, &three[2], 1, &o), *b = begin(m, &three[2], 1, &o);
    run(a, 12);
    run(b, 5), run(b, 7);
    uint8_t *pa = picture(a, 0), *pb = picture(b, 0);
    const size_t bytes = 64 * 64 * 3;
    assert_memory_equal(pa, pb, bytes);

    /* others beside it change rounding only */
    cn_see *c = begin(m, three, 3, &o);
    run(c, 12);
    uint8_t *pc = picture(c, 2);
    int worst = 0;
    for (size_t i = 0; i < bytes; i++)
        worst = abs(pc[i] - pa[i]) > worst ? abs(pc[i] - pa[i]) : worst;
    if (worst > 3)
        fail_msg("differs by %d levels", worst);
    o.seed = 5;
    cn_see *d = begin(m, &three[2], 1, &o);
    run(d, 12);
    uint8_t *pd = picture(d, 0);
    assert_memory_not_equal(pa, pd, bytes);
    free(pa), free(pb), free(pc), free(pd);
    cn_see_close(a), cn_see_close(b), cn_see_close(c), cn_see_close(d);
    cn_model_close(m);
}

/* The value on which the choice falls is that of the best of the starts; before the choice, and where it falls on the first start, the picture is that of
 * the first alone. */
static void the_best_start_goes_on(void **state)
{
    (void)state;
    enum { UNITS = 6, CHOICE = 12 };
    cn_model *m = open_named("specimen");
    static const char *const units[UNITS] = {"layer4.add:3", "layer4.add:5", "layer4.add:89", "layer4.add:90", "layer4.add:300", "layer4.add:301"};
    const cn_see_options alone = {.seed = 4, .threads = 2, .transforms = "none", .start = 2, .redirect_steps = CHOICE}; /* starts that differ */
    cn_see_options several = alone;
    several.starts = 4;
    cn_see *a = begin(m, units, UNITS, &alone), *b = begin(m, units, UNITS, &several);
    run(a, CHOICE - 1), run(b, CHOICE - 1);
    for (size_t i = 0; i < UNITS; i++)
        assert_float_equal(measured(a, i), measured(b, i), 1e-3 * fabs((double)measured(a, i)) + 1e-6);
    run(a, 1), run(b, 1);
    assert_int_equal(cn_see_steps(b), CHOICE);
    int better = 0;
    for (size_t i = 0; i < UNITS; i++) {
        const float one = measured(a, i), best = measured(b, i);
        print_message("  %s: %.4f from one start, %.4f from the best of four\n", units[i], (double)one, (double)best);
        assert_true(best > 0.8f * one); /* chosen by the mean over the last steps, not by the last alone */
        better += best > 1.2f * one;
    }
    assert_true(better >= 2);
    cn_see_close(a), cn_see_close(b);
    cn_model_close(m);
}

/* Pictures for one objective that are pushed apart differ more than those that are not. */
static void diversity_pushes_pictures_apart(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    static const char *const plain = "layer4.add:89", *const diverse = "layer4.add:89 + 20*diversity:layer2.add",
                             *const alone = "diversity:layer2.add";
    const cn_see_options o = {.seed = 2, .threads = 2, .images_each = 3, .transforms = "none"};
    float apart[2];
    for (int k = 0; k < 2; k++) {
        cn_see *s = begin(m, k ? &diverse : &plain, 1, &o);
        run(s, 25);
        assert_int_equal(cn_see_count(s), 3);
        uint8_t *p[3] = {picture(s, 0), picture(s, 1), picture(s, 2)};
        /* measured by an objective of its own, on the same three pictures */
        cn_error err = {0};
        cn_objective *objective;
        cn_runner *r;
        cn_runner_options options = {.batch = 3, .threads = 2};
        const cn_model_info *info = cn_model_get_info(m);
        float *pixels = malloc(3 * 64 * 64 * 3 * sizeof *pixels), values[3];
        for (int i = 0; i < 3; i++)
            for (int c = 0; c < 3; c++)
                for (int q = 0; q < 64 * 64; q++)
                    pixels[(i * 3 + c) * 64 * 64 + q] = ((float)p[i][q * 3 + c] / 255 - info->mean[c]) / info->std[c];
        assert_int_equal(cn_objective_parse(&objective, m, alone, 1, &err), CN_OK);
        cn_objective_needs(objective, &options);
        assert_int_equal(cn_runner_create(&r, m, &options, &err), CN_OK);
        assert_int_equal(cn_runner_images(r, pixels, 3, &err), CN_OK);
        assert_int_equal(cn_objective_evaluate(objective, r, pixels, 3, values, NULL, false, &err), CN_OK);
        apart[k] = values[0] + values[1] + values[2];
        cn_runner_free(r);
        cn_objective_free(objective);
        free(pixels), free(p[0]), free(p[1]), free(p[2]);
        cn_see_close(s);
    }
    if (!(apart[1] > apart[0]))
        fail_msg("diversity %.6f with it, %.6f without", (double)apart[1], (double)apart[0]);
    cn_model_close(m);
}

static void refused(const cn_model *m, cn_see_options o, const char *objective, cn_status want, const char *said)
{
    cn_error err = {0};
    cn_see *s;
    const cn_status st = cn_see_open(&s, m, &objective, 1, &o, &err);
    assert_null(s);
    if (st != want || !strstr(err.text, said))
        fail_msg("status %d, \"%s\"; wanted %d and \"%s\"", (int)st, err.text, (int)want, said);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    refused(m, (cn_see_options){.size = 65}, "layer4:1", CN_EINVAL, "even side");
    refused(m, (cn_see_options){.size = 5000}, "layer4:1", CN_EINVAL, "4096");
    refused(m, (cn_see_options){.images_each = 5000}, "layer4:1", CN_ELIMIT, "4096");
    refused(m, (cn_see_options){.rate = -1}, "layer4:1", CN_EINVAL, "rate");
    refused(m, (cn_see_options){.relu_leak = 2}, "layer4:1", CN_EINVAL, "share of up to 1, not 2");
    refused(m, (cn_see_options){.relu_leak = NAN}, "layer4:1", CN_EINVAL, "share of up to 1");
    refused(m, (cn_see_options){.starts = 17}, "layer4:1", CN_EINVAL, "16 starts");
    refused(m, (cn_see_options){.resolution = 16}, "layer4:1", CN_EINVAL, "32 to 8192 px");
    refused(m, (cn_see_options){.transforms = "shake"}, "layer4:1", CN_EINVAL, "no transform");
    refused(m, (cn_see_options){0}, "layer4:1@7,7", CN_EINVAL, "2 x 2");
    refused(m, (cn_see_options){0}, "layer4:512", CN_EINVAL, "0 to 511");
    cn_error err = {0};
    cn_see *s;
    assert_int_equal(cn_see_open(&s, m, NULL, 0, NULL, &err), CN_EINVAL);
    cn_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_canvas_climbs),
        cmocka_unit_test(a_vit_is_moved_by_the_standard_set),
        cmocka_unit_test(a_negative_objective_goes_down),
        cmocka_unit_test(the_same_seed_gives_the_same_picture),
        cmocka_unit_test(the_best_start_goes_on),
        cmocka_unit_test(diversity_pushes_pictures_apart),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
