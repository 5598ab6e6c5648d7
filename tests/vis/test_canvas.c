/* Canvases: their gradients against finite differences, Adam against values worked out by hand, and repeatability. */
#include "vis/canvas.h"
#include "vis/spectrum.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static float noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

static vis_canvas *canvas(const vis_canvas_options *o)
{
    cn_error err = {0};
    vis_canvas *c;
    if (vis_canvas_open(&c, o, &err) != CN_OK)
        fail_msg("%s", err.text);
    return c;
}

/* Sum of weights times what is drawn. */
static double drawn(vis_canvas *c, const float *weight, float *pictures, int64_t count)
{
    double sum = 0;
    vis_canvas_draw(c, pictures);
    for (int64_t i = 0; i < count; i++)
        sum += (double)weight[i] * pictures[i];
    return sum;
}

static void gradient_equals_differences(vis_canvas_options o)
{
    vis_canvas *c = canvas(&o);
    const int64_t pixels = (int64_t)o.n * vis_canvas_channels(c) * o.side * o.side, count = vis_canvas_parameters(c);
    float *weight = malloc((size_t)pixels * sizeof *weight), *pictures = malloc((size_t)pixels * sizeof *pictures);
    float *p = vis_canvas_state(c, 0);
    uint32_t state = 7;
    for (int64_t i = 0; i < pixels; i++)
        weight[i] = noise(&state);
    drawn(c, weight, pictures, pixels);
    for (int64_t i = 0; i < pixels; i++)
        assert_true(pictures[i] > 0 && pictures[i] < 1);
    vis_canvas_gradient(c, weight);
    float *gradient = malloc((size_t)count * sizeof *gradient);
    memcpy(gradient, vis_canvas_state(c, 3), (size_t)count * sizeof *gradient);
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(gradient[i]));
    for (int64_t i = 0; i < count; i += 1 + count / 150) {
        const float x = p[i], step = 0.02f;
        p[i] = x + step;
        const double above = drawn(c, weight, pictures, pixels);
        p[i] = x - step;
        const double below = drawn(c, weight, pictures, pixels);
        p[i] = x;
        worst = fmax(worst, fabs((above - below) / (2.0 * (double)step) - gradient[i]));
    }
    assert_true(largest > 0);
    if (!(worst <= 3e-3 * largest))
        fail_msg("kind %d, alpha %d, side %d: differs by %.3g of %.3g", (int)o.kind, o.alpha, o.side, worst, largest);
    free(weight), free(pictures), free(gradient);
    vis_canvas_close(c);
}

static void gradients_equal_differences(void **state)
{
    (void)state;
    for (int kind = VIS_FOURIER; kind <= VIS_PHASE; kind++)
        for (int alpha = 0; alpha < 2; alpha++)
            for (int decorrelate = 0; decorrelate < 2; decorrelate++) {
                const vis_canvas_options o = {.kind = (vis_canvas_kind)kind, .side = alpha ? 12 : 16, .n = 2, .each = 2, .threads = 2, .alpha = alpha,
                                              .decorrelate = decorrelate, .decay = 1, .start = 0.3f, .seed = 5};
                gradient_equals_differences(o);
            }
}

/* The inverse transform keeps lengths, and its gradient is its adjoint: <to_planes(s), y> = <s, gradient(y)>. */
static void spectrum_and_its_gradient_are_adjoint(void **state)
{
    (void)state;
    enum { SIDE = 10, COUNT = SIDE * (SIDE / 2 + 1) };
    cn_error err = {0};
    vis_spectrum *s;
    float a[2 * COUNT], kept[2 * COUNT], planes[SIDE * SIDE], y[SIDE * SIDE], back[2 * COUNT];
    uint32_t random = 3;
    assert_int_equal(vis_spectrum_open(&s, SIDE, 1, &err), CN_OK);
    assert_int_equal(vis_spectrum_count(s), COUNT);
    for (int i = 0; i < 2 * COUNT; i++)
        a[i] = kept[i] = noise(&random);
    for (int i = 0; i < SIDE * SIDE; i++)
        y[i] = noise(&random);
    vis_spectrum_to_planes(s, a, planes, 1);
    vis_spectrum_gradient(s, y, back, 1);
    double left = 0, right = 0, square = 0, spectrum = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        left += (double)planes[i] * y[i], square += (double)planes[i] * planes[i];
    for (int i = 0; i < 2 * COUNT; i++)
        right += (double)kept[i] * back[i];
    assert_true(fabs(left - right) < 1e-4);
    vis_spectrum_of(s, planes, back, 1);
    for (int i = 0; i < COUNT; i++) { /* columns between the first and the last stand for two frequencies */
        const int column = i % (SIDE / 2 + 1);
        spectrum += ((column == 0 || column == SIDE / 2) ? 1 : 2) * (pow(back[2 * i], 2) + pow(back[2 * i + 1], 2));
    }
    assert_true(fabs(spectrum - square) < 1e-3 * square);
    float frequency[COUNT];
    vis_spectrum_frequencies(s, frequency);
    assert_float_equal(frequency[0], 0, 0);
    assert_float_equal(frequency[SIDE / 2], 0.5, 1e-6);
    assert_float_equal(frequency[(SIDE - 1) * (SIDE / 2 + 1)], 0.1, 1e-6); /* row -1 */
    vis_spectrum_close(s);
    assert_int_equal(vis_spectrum_open(&s, 9, 1, &err), CN_EINVAL);
    assert_null(s);
}

static void adam_goes_uphill_as_it_should(void **state)
{
    (void)state;
    const vis_canvas_options o = {.kind = VIS_PIXELS, .side = 1, .n = 1, .each = 1, .threads = 1, .start = 0, .seed = 1};
    vis_canvas *c = canvas(&o);
    float picture[3], weight[3] = {4, -2, 0};
    vis_canvas_draw(c, picture);
    for (int i = 0; i < 3; i++)
        assert_float_equal(picture[i], 0.5, 0);
    vis_canvas_gradient(c, weight); /* times 1/4, the slope of the sigmoid */
    vis_canvas_step(c, 0.1f);
    const float *p = vis_canvas_state(c, 0);
    assert_float_equal(p[0], 0.1, 1e-6); /* the first step is the rate, whatever the gradient */
    assert_float_equal(p[1], -0.1, 1e-6);
    assert_float_equal(p[2], 0, 0);
    weight[0] = 0, weight[1] = 0;
    vis_canvas_draw(c, picture);
    vis_canvas_gradient(c, weight);
    vis_canvas_step(c, 0.1f); /* m = 0.09, v = 0.000999, corrected by 0.19 and 0.001999 */
    assert_float_equal(p[0], 0.1 + 0.1 * (0.09 / 0.19) / sqrt(0.000999 / 0.001999), 1e-5);
    vis_canvas_close(c);
}

static void a_picture_begins_the_same_wherever_it_stands(void **state)
{
    (void)state;
    vis_canvas_options o = {.kind = VIS_FOURIER, .side = 8, .n = 3, .each = 2, .threads = 2, .decorrelate = true, .decay = 1, .start = 0.01f, .seed = 9};
    vis_canvas *three = canvas(&o);
    o.n = 1, o.threads = 1;
    vis_canvas *third = canvas(&o);
    const int64_t count = vis_canvas_parameters(third);
    assert_memory_equal(vis_canvas_state(three, 0) + 2 * count, vis_canvas_state(third, 0), (size_t)count * sizeof(float));
    o.seed = 10;
    vis_canvas *other = canvas(&o);
    assert_memory_not_equal(vis_canvas_state(third, 0), vis_canvas_state(other, 0), (size_t)count * sizeof(float));
    vis_canvas_close(three), vis_canvas_close(third), vis_canvas_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spectrum_and_its_gradient_are_adjoint),
        cmocka_unit_test(gradients_equal_differences),
        cmocka_unit_test(adam_goes_uphill_as_it_should),
        cmocka_unit_test(a_picture_begins_the_same_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
