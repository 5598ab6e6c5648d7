/* Resizing and preprocessing against Pillow on hundreds of shapes (tests/data/images/resize.txt, made by
 * tools/make_image_fixtures.py), and every kernel against the plain C one. */
#include "base/memory.h"
#include "image/resize.h"

#include "fixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The same bytes as noise() in tools/make_image_fixtures.py. */
static void noise(uint32_t seed, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t v = (uint32_t)i * 2654435761u + seed * 97531u;
        v ^= v >> 15;
        v *= 2246822519u;
        v ^= v >> 13;
        bytes[i] = seed % 2 ? (v & 1 ? 255 : 0) : v & 255;
    }
}

/* Exactly sized, so that the address sanitizer sees a byte read too far. */
static cn_image noise_image(uint32_t seed, int width, int height)
{
    const size_t size = (size_t)width * (size_t)height * 3;
    cn_image image = {.width = width, .height = height, .rgb = malloc(size)};
    noise(seed, image.rgb, size);
    return image;
}

static void every_shape_equals_pillow(void **state)
{
    (void)state;
    FILE *list = fopen(IMAGES "resize.txt", "r");
    assert_non_null(list);
    char line[256];
    int cases = 0;
    while (fgets(line, sizeof line, list)) {
        unsigned seed, crc;
        int w, h, ow, oh;
        char op[16];
        double l = 0, t = 0, r = 0, b = 0;
        assert_true(sscanf(line, "%u %d %d %15s %d %d %x %lf %lf %lf %lf", &seed, &w, &h, op, &ow, &oh, &crc,
                           &l, &t, &r, &b) >= 7);
        cn_image image = noise_image(seed, w, h);
        uint8_t *out = malloc((size_t)ow * (size_t)oh * 3);
        cn_error err = {0};
        cn_status st = strcmp(op, "resize") == 0 ? cn_image_resize(&image, ow, oh, out, &err)
                       : strcmp(op, "preprocess") == 0
                           ? cn_image_preprocess(&image, ow, out, &err)
                           : cn_image_crop(&image, l, t, r - l, b - t, ow, oh, out, &err);
        if (st != CN_OK)
            fail_msg("%s: %s", line, err.text);
        if (crc32_of(out, (size_t)ow * (size_t)oh * 3) != crc)
            fail_msg("differs from Pillow: %s", line);
        free(out);
        free(image.rgb);
        cases++;
    }
    fclose(list);
    assert_true(cases > 500);
}

/* tests/data/images/preprocess.txt: FILE SIZE, then the checksums that three sets of options give. */
static void every_mode_is_preprocessed_as_in_the_original(void **state)
{
    (void)state;
    static const cn_image_options options[3] = {{0}, {.rgb_first = true}, {.apply_orientation = true}};
    static const char *const what[3] = {"", " with RGB first", " turned upright"};
    FILE *list = fopen(IMAGES "preprocess.txt", "r");
    assert_non_null(list);
    char name[128], path[256];
    int size, cases = 0, wrong = 0, order_matters = 0;
    unsigned crc[3];
    while (fscanf(list, "%127s %d %x %x %x", name, &size, &crc[0], &crc[1], &crc[2]) == 5) {
        snprintf(path, sizeof path, IMAGES "%s", name);
        uint8_t *out = malloc((size_t)size * (size_t)size * 3);
        for (int o = 0; o < 3; o++) {
            cn_image *image = NULL;
            cn_error err = {0};
            if (cn_image_load(&image, path, &options[o], &err) != CN_OK ||
                cn_image_preprocess(image, size, out, &err) != CN_OK)
                fail_msg("%s", err.text);
            cn_image_free(image);
            if (crc32_of(out, (size_t)size * (size_t)size * 3) != crc[o]) {
                print_error("%s -> %d%s differs from Pillow\n", name, size, what[o]);
                wrong++;
            }
        }
        free(out);
        order_matters += crc[0] != crc[1];
        cases++;
    }
    fclose(list);
    assert_int_equal(wrong, 0);
    assert_true(cases > 500 && order_matters > 100);
}

static cn_image_mode mode_of(const char *name, const cn_image_options *options)
{
    char path[256];
    cn_image *image = NULL;
    snprintf(path, sizeof path, IMAGES "%s", name);
    assert_int_equal(cn_image_load(&image, path, options, NULL), CN_OK);
    const cn_image_mode mode = image->mode;
    assert_true((image->stored != NULL) == (mode > CN_IMAGE_MODE_NEAREST));
    cn_image_free(image);
    return mode;
}

static void blending_makes_a_picture_rgb_and_so_does_full_opacity(void **state)
{
    (void)state;
    const cn_image_options blend = {.composite_alpha = true};
    assert_int_equal(mode_of("mode-rgba.png", NULL), CN_IMAGE_MODE_ALPHA);
    assert_int_equal(mode_of("mode-rgba.png", &blend), CN_IMAGE_MODE_RGB);
    assert_int_equal(mode_of("mode-rgba-opaque.png", NULL), CN_IMAGE_MODE_RGB);
    assert_int_equal(mode_of("mode-p-trns.png", NULL), CN_IMAGE_MODE_NEAREST);
    assert_int_equal(mode_of("mode-p-trns.png", &blend), CN_IMAGE_MODE_RGB);
    assert_int_equal(mode_of("mode-l-ramp.gif", NULL), CN_IMAGE_MODE_RGB);
    assert_int_equal(mode_of("mode-p-no-ramp.gif", NULL), CN_IMAGE_MODE_NEAREST);
    assert_int_equal(mode_of("mode-cmyk.jpg", NULL), CN_IMAGE_MODE_CMYK);
    assert_int_equal(mode_of("mode-i.png", NULL), CN_IMAGE_MODE_GREY16);
}

static void every_kernel_equals_the_plain_one(void **state)
{
    (void)state;
    static const int shapes[][4] = {{1, 1, 1, 1},     {1, 1, 40, 3},     {5, 4, 3, 2},    {6, 5, 7, 8},
                                    {7, 9, 21, 30},   {100, 75, 33, 44}, {33, 44, 99, 7}, {640, 360, 91, 5},
                                    {3, 1000, 17, 4}, {1000, 3, 4, 9}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (uint32_t seed = 0; seed < 4; seed++) {
            const int w = shapes[s][0], h = shapes[s][1], ow = shapes[s][2], oh = shapes[s][3];
            const size_t size = (size_t)ow * (size_t)oh * 3;
            cn_image image = noise_image(seed, w, h);
            uint8_t *expected = malloc(size), *out = malloc(size);
            resize_axis x, y;
            assert_int_equal(axis_make(&x, w, 0, (float)w, ow, 0, ow, NULL), CN_OK);
            assert_int_equal(axis_make(&y, h, 0, (float)h, oh, 0, oh, NULL), CN_OK);
            assert_int_equal(resample_plain(image.rgb, w, h, &x, &y, expected, NULL), CN_OK);
            for (size_t k = 0; k < resize_kernel_count; k++) {
                if (!resize_kernels[k]->supported())
                    continue;
                memset(out, 0x55, size);
                assert_int_equal(resample(image.rgb, w, h, &x, &y, out, resize_kernels[k], NULL), CN_OK);
                if (memcmp(out, expected, size) != 0)
                    fail_msg("%s differs at %d x %d -> %d x %d", resize_kernels[k]->name, w, h, ow, oh);
            }
            axis_free(&x);
            axis_free(&y);
            free(expected);
            free(out);
            free(image.rgb);
        }
}

static void the_longest_and_the_thinnest_pictures_work(void **state)
{
    (void)state;
    uint8_t out[8 * 8 * 3];
    cn_image wide = noise_image(2, 65535, 1), tall = noise_image(2, 1, 65535);
    assert_int_equal(cn_image_preprocess(&wide, 8, out, NULL), CN_OK);
    assert_int_equal(cn_image_preprocess(&tall, 8, out, NULL), CN_OK);
    assert_int_equal(cn_image_resize(&wide, 8, 8, out, NULL), CN_OK);
    assert_int_equal(cn_image_resize(&tall, 8, 8, out, NULL), CN_OK);
    uint8_t *large = malloc((size_t)4096 * 4096 * 3); /* 4096 * 65535 columns are never made */
    assert_int_equal(cn_image_preprocess(&wide, 4096, large, NULL), CN_OK);
    free(large);
    free(wide.rgb);
    free(tall.rgb);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    uint8_t out[3];
    cn_image image = noise_image(2, 4, 4);
    cn_error err = {0};
    assert_int_equal(cn_image_preprocess(&image, 0, out, &err), CN_EINVAL);
    assert_string_equal(err.text, "cannot resize to 0 x 0 px");
    assert_int_equal(cn_image_resize(&image, -1, 4, out, NULL), CN_EINVAL);
    assert_int_equal(cn_image_resize(&image, 65536, 1, out, NULL), CN_EINVAL);
    assert_int_equal(cn_image_resize(&image, 65535, 65535, out, NULL), CN_EINVAL);
    assert_int_equal(cn_image_crop(&image, 0, 0, 5, 4, 1, 1, out, NULL), CN_EINVAL);
    assert_int_equal(cn_image_crop(&image, -1, 0, 2, 2, 1, 1, out, NULL), CN_EINVAL);
    assert_int_equal(cn_image_crop(&image, 1, 1, 0, 2, 1, 1, out, NULL), CN_EINVAL);
    assert_int_equal(cn_image_crop(&image, 0, 0, (double)NAN, 2, 1, 1, out, NULL), CN_EINVAL);
    free(image.rgb);
}

static void each_allocation_may_fail_in(cn_image image, size_t fewest)
{
    uint8_t out[5 * 5 * 3];
    cn_status st = CN_ENOMEM;
    size_t n = 0;
    while (st == CN_ENOMEM && n < 100) {
        cn_error err = {0};
        cn_memory_fail_at(++n, false);
        st = cn_image_preprocess(&image, 5, out, &err);
        assert_true(st == CN_OK || (st == CN_ENOMEM && err.text[0]));
    }
    cn_memory_fail_at(0, false);
    assert_int_equal(st, CN_OK);
    assert_true(n > fewest);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    uint8_t stored[20 * 30 * 4];
    noise(6, stored, sizeof stored);
    cn_image image = noise_image(2, 20, 30);
    each_allocation_may_fail_in(image, 8);
    image.stored = stored;
    image.mode = CN_IMAGE_MODE_NEAREST;
    each_allocation_may_fail_in(image, 2);
    image.mode = CN_IMAGE_MODE_ALPHA;
    each_allocation_may_fail_in(image, 10);
    image.mode = CN_IMAGE_MODE_CMYK;
    each_allocation_may_fail_in(image, 8);
    image.mode = CN_IMAGE_MODE_GREY16;
    each_allocation_may_fail_in(image, 8);
    free(image.rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_equals_pillow),
        cmocka_unit_test(every_mode_is_preprocessed_as_in_the_original),
        cmocka_unit_test(blending_makes_a_picture_rgb_and_so_does_full_opacity),
        cmocka_unit_test(every_kernel_equals_the_plain_one),
        cmocka_unit_test(the_longest_and_the_thinnest_pictures_work),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
