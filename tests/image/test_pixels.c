/* Pixels of the golden pictures: decode, resize, crop and normalise against what the original code computed. */
#include "clipneuron/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN CN_TEST_DATA "/golden/"
enum { SIDE = 64, PICTURES = 3 };

static const char *const pictures[PICTURES] = {GOLDEN "astronaut.png", GOLDEN "rocket.jpg",
                                               GOLDEN "chelsea.png"};

/* The bytes of one tensor of a safetensors file; caller frees. */
static void *golden_tensor(const char *file, const char *name, size_t expected_size)
{
    uint8_t length_bytes[8];
    size_t begin = 0, end = 0;
    FILE *f = fopen(file, "rb");
    assert_non_null(f);
    assert_int_equal(fread(length_bytes, 1, 8, f), 8);
    size_t length = length_bytes[0] | (size_t)length_bytes[1] << 8 | (size_t)length_bytes[2] << 16;
    char *header = calloc(1, length + 1);
    assert_int_equal(fread(header, 1, length, f), length);
    char key[64];
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *entry = strstr(header, key);
    assert_non_null(entry);
    entry = strstr(entry, "\"data_offsets\"");
    assert_non_null(entry);
    assert_int_equal(sscanf(strchr(entry, '['), "[%zu,%zu]", &begin, &end), 2);
    assert_int_equal(end - begin, expected_size);
    void *bytes = malloc(expected_size);
    assert_int_equal(fseek(f, (long)(8 + length + begin), SEEK_SET), 0);
    assert_int_equal(fread(bytes, 1, expected_size, f), expected_size);
    fclose(f);
    free(header);
    return bytes;
}

static uint8_t *all_pixels(void)
{
    uint8_t *pixels = malloc(PICTURES * SIDE * SIDE * 3);
    for (int i = 0; i < PICTURES; i++) {
        cn_error err = {0};
        cn_image *image = NULL;
        if (cn_image_load(&image, pictures[i], NULL, &err) != CN_OK)
            fail_msg("%s", err.text);
        assert_int_equal(cn_image_preprocess(image, SIDE, pixels + (size_t)i * SIDE * SIDE * 3, &err), CN_OK);
        cn_image_free(image);
    }
    return pixels;
}

static void preprocess_equals_the_original_byte_for_byte(void **state)
{
    (void)state;
    uint8_t *pixels = all_pixels();
    static const char *const files[] = {GOLDEN "rn-small.expected.safetensors",
                                        GOLDEN "vit-small.expected.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        uint8_t *expected = golden_tensor(files[i], "pixels_u8", PICTURES * SIDE * SIDE * 3);
        assert_memory_equal(pixels, expected, PICTURES * SIDE * SIDE * 3);
        free(expected);
    }
    free(pixels);
}

static void normalised_pixels_equal_the_original_bit_for_bit(void **state)
{
    (void)state;
    const size_t count = PICTURES * SIDE * SIDE * 3;
    uint8_t *pixels = all_pixels();
    float *floats = malloc(count * sizeof(float));
    cn_pixels_normalise(pixels, PICTURES, SIDE, NULL, NULL, floats);
    float *expected = golden_tensor(GOLDEN "rn-small.expected.safetensors", "pixels", count * sizeof(float));
    assert_memory_equal(floats, expected, count * sizeof(float));
    free(expected);
    free(floats);
    free(pixels);
}

static void crop_box_is_the_part_that_preprocessing_keeps(void **state)
{
    (void)state;
    double left, top, side;
    cn_image wide = {.width = 600, .height = 400};
    cn_image_crop_box(&wide, 64, &left, &top, &side);
    assert_true(left == 100 && top == 0 && side == 400);
    cn_image tall = {.width = 100, .height = 300};
    cn_image_crop_box(&tall, 50, &left, &top, &side);
    assert_true(left == 0 && top == 100 && side == 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preprocess_equals_the_original_byte_for_byte),
        cmocka_unit_test(normalised_pixels_equal_the_original_bit_for_bit),
        cmocka_unit_test(crop_box_is_the_part_that_preprocessing_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
