/* Transforms: what sets are made of, where maps lead, sampling and its adjoint. */
#include "vis/transform.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static vis_transforms parse(const char *text)
{
    cn_error err = {0};
    vis_transforms t;
    if (vis_transforms_parse(&t, text, &err) != CN_OK)
        fail_msg("%s", err.text);
    return t;
}

static void refused(const char *text, const char *said)
{
    cn_error err = {0};
    vis_transforms t;
    assert_int_equal(vis_transforms_parse(&t, text, &err), CN_EINVAL);
    if (!strstr(err.text, said))
        fail_msg("\"%s\": \"%s\" does not say \"%s\"", text, err.text, said);
}

static void sets_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse("none").count, 0);
    assert_int_equal(parse("standard").count, 4);
    assert_int_equal(parse("mild").count, 3);
    assert_int_equal(parse("paper").count, 14);
    const vis_transforms t = parse("jitter 8, scale 0.8-1.2, rotate -10-20, crop 50-90,noise 0.05");
    assert_int_equal(t.count, 4);
    assert_float_equal(t.noise, 0.05, 1e-12);
    assert_float_equal(t.step[1].low, 0.8, 1e-12);
    assert_float_equal(t.step[1].high, 1.2, 1e-12);
    assert_float_equal(t.step[2].low, -10, 0);
    assert_float_equal(t.step[2].high, 20, 0);
    refused("wobble 3", "jitter PX");
    refused("jitter", "numbers from 0 to 256");
    refused("jitter -4", "numbers from 0");
    refused("scale 2-1", "numbers");
    refused("noise 3", "0 to 1");
    refused("jitter 4 rotate 3", "comma");
    refused("", "no transform");
    refused("pad -1", "numbers from 0 to 256");
    const vis_transforms pad = parse("pad 16, jitter 0"), some = parse("pad 0-16");
    for (uint64_t i = 0; i < 50; i++) {
        rng r = rng_stream(3, i, 0);
        assert_float_equal(vis_transforms_draw(&pad, &r, 64, 64).m[0][0], 1.5, 1e-12); /* 96 px where 64 were */
        const double zoom = vis_transforms_draw(&some, &r, 64, 64).m[1][1];
        assert_true(zoom >= 1 && zoom <= 1.5);
    }
}

static void maps_stay_within_their_bounds(void **state)
{
    (void)state;
    const vis_transforms jitter = parse("jitter 4"), paper = parse("paper"), crop = parse("crop 50-50");
    double least = 9, most = -9, smallest = 9, largest = 0;
    for (uint64_t i = 0; i < 500; i++) {
        rng r = rng_stream(1, i, 0);
        vis_affine a = vis_transforms_draw(&jitter, &r, 64, 32);
        assert_float_equal(a.m[0][0], 2, 1e-12); /* 64 px seen as 32 */
        assert_float_equal(a.c[0], floor(a.c[0]), 0);
        least = fmin(least, a.c[0]), most = fmax(most, a.c[0]);
        a = vis_transforms_draw(&paper, &r, 64, 64);
        const double zoom = sqrt(a.m[0][0] * a.m[1][1] - a.m[0][1] * a.m[1][0]);
        smallest = fmin(smallest, zoom), largest = fmax(largest, zoom);
        const double angle = atan2(a.m[0][1], a.m[0][0]) * 180 / 3.14159265358979;
        assert_true(angle > -20.001 && angle < 19.001);
        a = vis_transforms_draw(&crop, &r, 64, 64);
        assert_float_equal(a.m[0][0], 0.5, 1e-12);
        assert_true(fabs(a.c[0]) <= 16 && fabs(a.c[1]) <= 16);
    }
    assert_float_equal(least, -2, 0);
    assert_float_equal(most, 2, 0);
    /* 0.995^79 0.998^39 makes the picture smallest, 0.995^-5 0.998^20 largest */
    assert_true(smallest >= pow(0.995, 5) / pow(0.998, 20) - 1e-9 && largest <= 1 / (pow(0.995, 79) * pow(0.998, 39)) + 1e-9);
    assert_true(largest > 1.4 && smallest < 1.1);
}

enum { SIDE = 6, SEEN = 9, CHANNELS = 3, N = 2 };

static void the_whole_picture_is_itself(void **state)
{
    (void)state;
    float picture[CHANNELS * SIDE * SIDE], out[CHANNELS * SIDE * SIDE];
    for (int i = 0; i < CHANNELS * SIDE * SIDE; i++)
        picture[i] = (float)i;
    const vis_transforms none = parse("none");
    rng r = {1};
    const vis_affine a = vis_transforms_draw(&none, &r, SIDE, SIDE);
    vis_sample(picture, out, 1, CHANNELS, SIDE, SIDE, &a, 0.5f);
    for (int i = 0; i < CHANNELS * SIDE * SIDE; i++)
        assert_float_equal(out[i], picture[i], 1e-4);
    const vis_affine shifted = {{{1, 0}, {0, 1}}, {1, -2}}; /* what is seen lies one to the right and two up */
    vis_sample(picture, out, 1, CHANNELS, SIDE, SIDE, &shifted, -7);
    assert_float_equal(out[2 * SIDE + 0], picture[1], 1e-4);
    assert_float_equal(out[0], -7, 1e-6);
    const vis_affine half = {{{1, 0}, {0, 1}}, {0.5, 0}};
    vis_sample(picture, out, 1, CHANNELS, SIDE, SIDE, &half, 0);
    assert_float_equal(out[SIDE + 1], (picture[SIDE + 1] + picture[SIDE + 2]) / 2, 1e-4);
}

static void sampling_and_its_gradient_are_adjoint(void **state)
{
    (void)state;
    float x[N * CHANNELS * SIDE * SIDE], y[N * CHANNELS * SEEN * SEEN], out[N * CHANNELS * SEEN * SEEN], back[N * CHANNELS * SIDE * SIDE] = {0};
    const vis_transforms all = parse("jitter 2, scale 0.7-1.4, rotate -30-30, crop 60-100");
    vis_affine map[N];
    rng r = {8};
    for (int i = 0; i < N; i++)
        map[i] = vis_transforms_draw(&all, &r, SIDE, SEEN);
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)
        x[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < sizeof y / sizeof y[0]; i++)
        y[i] = (float)rng_normal(&r);
    vis_sample(x, out, N, CHANNELS, SIDE, SEEN, map, 0);
    vis_sample_gradient(back, y, N, CHANNELS, SIDE, SEEN, map);
    double left = 0, right = 0;
    for (size_t i = 0; i < sizeof y / sizeof y[0]; i++)
        left += (double)out[i] * y[i];
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)
        right += (double)x[i] * back[i];
    assert_true(fabs(left) > 0.1);
    assert_float_equal(left, right, 1e-4 * fabs(left));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_read),
        cmocka_unit_test(maps_stay_within_their_bounds),
        cmocka_unit_test(the_whole_picture_is_itself),
        cmocka_unit_test(sampling_and_its_gradient_are_adjoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
