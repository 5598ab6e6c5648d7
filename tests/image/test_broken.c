/* Damaged, cut, hostile and missing picture files: each gives its status and one line that names the file. */
#include "base/memory.h"
#include "clipneuron/image.h"

#include "fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const files[] = {"type2-8bit.png",
                                    "type3-4bit.png",
                                    "type6-16bit-adam7.png",
                                    "palette-trns.png",
                                    "ycc-420.jpg",
                                    "progressive-420.jpg",
                                    "cmyk.jpg",
                                    "grey.jpg",
                                    "lossy.webp",
                                    "lossless-alpha.webp",
                                    "lossy-alpha.webp",
                                    "animation-offset-alpha.webp",
                                    "palette.gif",
                                    "interlaced.gif",
                                    "offset-transparent.gif"};
enum { FILES = sizeof files / sizeof files[0] };

static uint8_t *fixture(const char *name, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, IMAGES "%s", name);
    uint8_t *bytes = read_whole(path, size);
    assert_non_null(bytes);
    return bytes;
}

/* Decodes an exactly sized copy, so that the address sanitizer sees every byte too far. */
static cn_status decode(const uint8_t *bytes, size_t size, const cn_image_options *options, cn_error *err)
{
    uint8_t *copy = malloc(size);
    cn_image *image = (cn_image *)1;
    memcpy(copy, bytes, size);
    cn_status st = cn_image_decode(&image, copy, size, "picture", options, err);
    assert_true((st == CN_OK) == (image != NULL));
    cn_image_free(image);
    free(copy);
    return st;
}

static void assert_fails(const uint8_t *bytes, size_t size, cn_status expected, const char *text)
{
    cn_error err = {0};
    cn_status st = decode(bytes, size, NULL, &err);
    if (st != expected || !strstr(err.text, text))
        fail_msg("%d instead of %d: %s (expected: %s)", (int)st, (int)expected, err.text, text);
    assert_memory_equal(err.text, "picture: ", 9);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    for (int f = 0; f < FILES; f++) {
        size_t size;
        uint8_t *bytes = fixture(files[f], &size);
        for (size_t cut = 0; cut < size; cut++) {
            cn_error err = {0};
            cn_status st = decode(bytes, cut, NULL, &err);
            if (cut + 32 < size && st == CN_OK) /* only closing marks may be missing */
                fail_msg("%s cut at %zu of %zu decodes", files[f], cut, size);
            assert_true(st == CN_OK || st == CN_EFORMAT || (st == CN_EUNSUPPORTED && cut < 12));
            assert_true(st == CN_OK || strncmp(err.text, "picture: ", 9) == 0);
        }
        free(bytes);
    }
}

/* The decoder cannot know that the last bits are the last; Pillow refuses it too. */
static void a_jpeg_without_its_end_mark_is_truncated(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = fixture("no-end-mark.jpg", &size);
    assert_fails(bytes, size, CN_EFORMAT, "truncated JPEG");
    free(bytes);
}

static void flipped_bytes_do_no_harm(void **state)
{
    (void)state;
    const cn_image_options options = {
        .apply_orientation = true, .composite_alpha = true, .max_pixels = 100000};
    for (int f = 0; f < FILES; f++) {
        size_t size;
        uint8_t *bytes = fixture(files[f], &size);
        for (size_t at = 0; at < size; at++)
            for (int flip = 1; flip < 256; flip = flip * 5 + 1) {
                cn_error err = {0};
                bytes[at] ^= (uint8_t)flip;
                cn_status st = decode(bytes, size, &options, &err);
                bytes[at] ^= (uint8_t)flip;
                assert_true(st == CN_OK || st == CN_EFORMAT || st == CN_EUNSUPPORTED || st == CN_ELIMIT);
            }
        free(bytes);
    }
}

static void a_wrong_png_checksum_is_noticed(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = fixture("type2-8bit.png", &size);
    bytes[size - 12 - 1] ^= 1; /* the last byte of IDAT's */
    assert_fails(bytes, size, CN_EFORMAT, "wrong checksum");
    free(bytes);
    bytes = fixture("type2-8bit.png", &size);
    bytes[29] ^= 1; /* IHDR's */
    assert_fails(bytes, size, CN_EFORMAT, "wrong checksum");
    free(bytes);
}

static void put_be32(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)(v >> 24), to[1] = (uint8_t)(v >> 16), to[2] = (uint8_t)(v >> 8), to[3] = (uint8_t)v;
}

static uint8_t *png_of_size(uint32_t width, uint32_t height, size_t *size)
{
    uint8_t *bytes = fixture("type2-8bit.png", size);
    put_be32(bytes + 16, width);
    put_be32(bytes + 20, height);
    put_be32(bytes + 29, crc32_of(bytes + 12, 17));
    return bytes;
}

static void bombs_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = png_of_size(60000, 60000, &size);
    assert_fails(bytes, size, CN_ELIMIT, "60000 x 60000 px; a picture may have 178956970 pixels");
    free(bytes);
    bytes = png_of_size(65536, 1, &size);
    assert_fails(bytes, size, CN_ELIMIT, "65536 x 1 px; a side may have 65535");
    free(bytes);
    bytes = fixture("ycc-420.jpg", &size);
    for (size_t at = 0; at + 9 < size; at++)
        if (bytes[at] == 0xff && bytes[at + 1] == 0xc0)
            memset(bytes + at + 5, 0xf0, 4);
    assert_fails(bytes, size, CN_ELIMIT, "61680 x 61680 px");
    free(bytes);
    bytes = fixture("palette.gif", &size);
    memset(bytes + 6, 0xff, 4);
    assert_fails(bytes, size, CN_ELIMIT, "65535 x 65535 px");
    free(bytes);
    bytes = fixture("animation-offset-alpha.webp", &size);
    memcpy(bytes + 24, "\xff\x3f\0\xff\x3f\0", 6);
    assert_fails(bytes, size, CN_ELIMIT, "16384 x 16384 px");
    free(bytes);
}

static void the_caller_can_lower_the_limit(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = fixture("ycc-420.jpg", &size);
    cn_error err = {0};
    assert_int_equal(decode(bytes, size, &(cn_image_options){.max_pixels = 19 * 13}, &err), CN_OK);
    assert_int_equal(decode(bytes, size, &(cn_image_options){.max_pixels = 19 * 13 - 1}, &err), CN_ELIMIT);
    assert_string_equal(err.text, "picture: 19 x 13 px; a picture may have 246 pixels");
    free(bytes);
}

static void empty_pictures_and_files_are_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = png_of_size(0, 5, &size);
    assert_fails(bytes, size, CN_EFORMAT, "");
    assert_fails(bytes, 0, CN_EFORMAT, "the file is empty");
    free(bytes);
    bytes = fixture("palette.gif", &size);
    for (size_t at = 13; at + 10 < size; at++)
        if (memcmp(bytes + at, ",\0\0\0\0\x13\0\r\0", 9) == 0)
            bytes[at + 5] = 0;
    assert_fails(bytes, size, CN_EFORMAT, "empty frame");
    free(bytes);
    assert_fails((const uint8_t *)"GIF89a\1\0\1\0\0\0\0;", 14, CN_EFORMAT, "without a picture");
}

static void other_files_are_told_apart(void **state)
{
    (void)state;
    uint32_t v = 1;
    assert_fails((const uint8_t *)"BM a bitmap", 11, CN_EUNSUPPORTED, "not a JPEG, PNG, WebP or GIF picture");
    assert_fails((const uint8_t *)"\xff\xd8", 2, CN_EUNSUPPORTED, "not a JPEG");
    for (int i = 0; i < 200; i++) {
        uint8_t bytes[64];
        for (size_t b = 0; b < sizeof bytes; b++)
            bytes[b] = (uint8_t)((v = v * 1664525u + 1013904223u) >> 24);
        assert_int_equal(decode(bytes, sizeof bytes, NULL, NULL), CN_EUNSUPPORTED);
    }
}

static void an_endless_progressive_jpeg_is_refused(void **state)
{
    (void)state;
    size_t size, scan = 0;
    uint8_t *bytes = fixture("progressive-420.jpg", &size);
    for (size_t at = size - 2; at > 0 && !scan; at--) /* the last scan, with its header */
        if (bytes[at] == 0xff && bytes[at + 1] == 0xda)
            scan = at;
    const size_t scan_size = size - 2 - scan;
    uint8_t *bomb = malloc(size + 600 * scan_size);
    memcpy(bomb, bytes, size - 2);
    for (size_t i = 0; i < 600; i++)
        memcpy(bomb + size - 2 + i * scan_size, bytes + scan, scan_size);
    memcpy(bomb + size - 2 + 600 * scan_size, "\xff\xd9", 2);
    assert_fails(bomb, size + 600 * scan_size, CN_ELIMIT, "more than 500 scans");
    free(bomb);
    free(bytes);
}

static void files_that_cannot_be_read_say_why(void **state)
{
    (void)state;
    cn_image *image;
    cn_error err = {0};
    assert_int_equal(cn_image_load(&image, "/nowhere/cat.jpg", NULL, &err), CN_ENOTFOUND);
    assert_string_equal(err.text, "/nowhere/cat.jpg: No such file or directory");
    cn_error_clear(&err);
    assert_int_equal(cn_image_load(&image, "/", NULL, &err), CN_EIO);
    assert_string_equal(err.text, "/: not a regular file");
    assert_null(image);
}

static void each_allocation_may_fail_with(bool composite_alpha)
{
    const cn_image_options options = {.apply_orientation = true, .composite_alpha = composite_alpha};
    static const char *const more[] = {"orientation6.jpg",     "orientation3.png",     "mode-rgba.webp",
                                       "mode-rgba-turned.png", "mode-cmyk-turned.jpg", "mode-i-turned.png"};
    for (int f = 0; f < FILES + (int)(sizeof more / sizeof *more); f++) {
        size_t size, n = 0;
        uint8_t *bytes = fixture(f < FILES ? files[f] : more[f - FILES], &size);
        cn_status st = CN_ENOMEM;
        while (st == CN_ENOMEM && n < 500) {
            cn_error err = {0};
            cn_image *image = NULL;
            cn_memory_fail_at(++n, false);
            st = cn_image_decode(&image, bytes, size, "picture", &options, &err);
            cn_memory_fail_at(0, false);
            if (st != CN_OK && st != CN_ENOMEM)
                fail_msg("%s: allocation %zu: %s", f < FILES ? files[f] : more[f - FILES], n, err.text);
            assert_true(st == CN_OK || strncmp(err.text, "picture: ", 9) == 0 ||
                        strstr(err.text, "out of memory"));
            cn_image_free(image);
        }
        assert_int_equal(st, CN_OK);
        assert_true(n > 2);
        free(bytes);
    }
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    each_allocation_may_fail_with(false);
    each_allocation_may_fail_with(true);
}

static void each_allocation_of_an_encoder_may_fail(void **state)
{
    (void)state;
    uint8_t rgb[32 * 32 * 3] = {0};
    for (cn_image_format format = CN_IMAGE_JPEG; format <= CN_IMAGE_WEBP; format++) {
        cn_status st = CN_ENOMEM;
        size_t n = 0, size;
        while (st == CN_ENOMEM && n < 100) {
            void *bytes;
            cn_memory_fail_at(++n, false);
            st = cn_image_encode(rgb, 32, 32, format, 90, &bytes, &size, NULL);
            cn_memory_fail_at(0, false);
            assert_true(st == CN_OK || (st == CN_ENOMEM && !bytes));
            cn_bytes_free(bytes);
        }
        assert_int_equal(st, CN_OK);
        assert_true(n > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(a_jpeg_without_its_end_mark_is_truncated),
        cmocka_unit_test(flipped_bytes_do_no_harm),
        cmocka_unit_test(a_wrong_png_checksum_is_noticed),
        cmocka_unit_test(bombs_are_refused_before_memory_is_taken),
        cmocka_unit_test(the_caller_can_lower_the_limit),
        cmocka_unit_test(empty_pictures_and_files_are_refused),
        cmocka_unit_test(other_files_are_told_apart),
        cmocka_unit_test(an_endless_progressive_jpeg_is_refused),
        cmocka_unit_test(files_that_cannot_be_read_say_why),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(each_allocation_of_an_encoder_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
