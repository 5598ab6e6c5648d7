/* Every kind of picture file against Pillow (tests/data/images/decode.txt, made by tools/make_image_fixtures.py). */
#include "clipneuron/image.h"

#include "fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char path[512], name[128];
    int width, height;
    unsigned crc, crc_blended, crc_oriented;
} fixture;

static bool next_fixture(FILE *list, fixture *f)
{
    if (fscanf(list, "%127s %d %d %x %x %x", f->name, &f->width, &f->height, &f->crc, &f->crc_blended,
               &f->crc_oriented) != 6)
        return false;
    snprintf(f->path, sizeof f->path, IMAGES "%s", f->name);
    return true;
}

static uint32_t crc_with(const fixture *f, const cn_image_options *options, cn_image *size)
{
    cn_image *image = NULL;
    cn_error err = {0};
    if (cn_image_load(&image, f->path, options, &err) != CN_OK)
        fail_msg("%s", err.text);
    *size = *image;
    const uint32_t crc = crc32_of(image->rgb, (size_t)image->width * (size_t)image->height * 3);
    cn_image_free(image);
    return crc;
}

static void check_all(const char *what, const cn_image_options *options)
{
    FILE *list = fopen(IMAGES "decode.txt", "r");
    assert_non_null(list);
    fixture f;
    int files = 0, wrong = 0;
    while (next_fixture(list, &f)) {
        cn_image got;
        const uint32_t crc = crc_with(&f, options, &got);
        const unsigned expected = !options                   ? f.crc
                                  : options->composite_alpha ? f.crc_blended
                                                             : f.crc_oriented;
        assert_int_equal(got.source_width, f.width);
        assert_int_equal(got.source_height, f.height);
        if (crc != expected) {
            print_error("%s: %s differs from Pillow\n", f.name, what);
            wrong++;
        }
        files++;
    }
    fclose(list);
    assert_int_equal(wrong, 0);
    assert_true(files > 80);
}

static void every_file_decodes_as_in_pillow(void **state)
{
    (void)state;
    check_all("convert(\"RGB\")", NULL);
}

static void every_file_blends_as_in_pillow(void **state)
{
    (void)state;
    check_all("blending", &(cn_image_options){.composite_alpha = true, .background = {10, 200, 30}});
}

static void every_file_turns_as_in_pillow(void **state)
{
    (void)state;
    check_all("orientation", &(cn_image_options){.apply_orientation = true});
}

static void orientation_swaps_the_sides_only_when_asked(void **state)
{
    (void)state;
    const fixture f = {.path = IMAGES "orientation6.jpg"};
    cn_image got;
    crc_with(&f, NULL, &got);
    assert_true(got.width == 9 && got.height == 5);
    crc_with(&f, &(cn_image_options){.apply_orientation = true}, &got);
    assert_true(got.width == 5 && got.height == 9 && got.source_width == 9 && got.source_height == 5);
    assert_int_equal(got.format, CN_IMAGE_JPEG);
}

static void sixteen_bit_grey_is_clipped(void **state)
{
    (void)state;
    cn_image *image = NULL;
    assert_int_equal(cn_image_load(&image, IMAGES "type0-16bit.png", NULL, NULL), CN_OK);
    int white = 0;
    for (int i = 0; i < image->width * image->height; i++)
        white += image->rgb[3 * i] == 255;
    assert_true(white > 30 && white < 99);
    cn_image_free(image);
}

static void encoded_pictures_come_back(void **state)
{
    (void)state;
    enum { W = 23, H = 17 };
    uint8_t rgb[W * H * 3];
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(128 + i % 3 * 20 + i / (3 * W) * 3);
    for (cn_image_format format = CN_IMAGE_JPEG; format <= CN_IMAGE_WEBP; format++) {
        void *bytes = NULL;
        size_t size = 0;
        cn_image *image = NULL;
        cn_error err = {0};
        if (cn_image_encode(rgb, W, H, format, 95, &bytes, &size, &err) != CN_OK)
            fail_msg("%s", err.text);
        assert_int_equal(cn_image_decode(&image, bytes, size, "it", NULL, &err), CN_OK);
        assert_int_equal(image->format, format);
        assert_true(image->width == W && image->height == H);
        int worst = 0;
        for (size_t i = 0; i < sizeof rgb; i++)
            worst = abs(image->rgb[i] - rgb[i]) > worst ? abs(image->rgb[i] - rgb[i]) : worst;
        assert_in_range(worst, 0, format == CN_IMAGE_PNG ? 0 : 12);
        cn_image_free(image);
        cn_bytes_free(bytes);
    }
    void *bytes;
    size_t size;
    assert_int_equal(cn_image_encode(rgb, W, H, CN_IMAGE_GIF, 95, &bytes, &size, NULL), CN_EUNSUPPORTED);
    assert_int_equal(cn_image_encode(rgb, 0, H, CN_IMAGE_PNG, 95, &bytes, &size, NULL), CN_EINVAL);
    assert_int_equal(cn_image_encode(rgb, W, H, CN_IMAGE_JPEG, 101, &bytes, &size, NULL), CN_EINVAL);
}

/* Into files: the ending says the format, and decides nothing but that. */
static void written_pictures_have_the_format_of_their_ending(void **state)
{
    (void)state;
    enum { W = 23, H = 17 };
    static const struct {
        const char *name;
        cn_image_format format;
    } cases[] = {{"a.png", CN_IMAGE_PNG}, {"a.jpg", CN_IMAGE_JPEG}, {"a.JPEG", CN_IMAGE_JPEG}, {"a.webp", CN_IMAGE_WEBP}, {"plain", CN_IMAGE_PNG}};
    uint8_t rgb[W * H * 3];
    char folder[] = "/tmp/clipneuron-image-XXXXXX", path[64];
    cn_error err = {0};
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(128 + i % 3 * 20 + i / (3 * W) * 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cn_image *image = NULL;
        snprintf(path, sizeof path, "%s/%s", folder, cases[i].name);
        if (cn_image_write(path, rgb, W, H, 95, &err) != CN_OK || cn_image_load(&image, path, NULL, &err) != CN_OK)
            fail_msg("%s", err.text);
        assert_int_equal(image->format, cases[i].format);
        for (size_t k = 0; k < sizeof rgb; k++)
            assert_in_range(abs(image->rgb[k] - rgb[k]), 0, cases[i].format == CN_IMAGE_PNG ? 0 : 12);
        cn_image_free(image);
        assert_int_equal(unlink(path), 0);
    }
    snprintf(path, sizeof path, "%s/a.gif", folder);
    assert_int_equal(cn_image_write(path, rgb, W, H, 95, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "a.gif: a picture's name ends in .png, .jpg, .jpeg or .webp"));
    err = (cn_error){0};
    assert_int_equal(cn_image_write("/nowhere/a.jpg", rgb, W, H, 95, &err), CN_EIO);
    assert_non_null(strstr(err.text, "/nowhere/a.jpg"));
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_decodes_as_in_pillow),
        cmocka_unit_test(every_file_blends_as_in_pillow),
        cmocka_unit_test(every_file_turns_as_in_pillow),
        cmocka_unit_test(orientation_swaps_the_sides_only_when_asked),
        cmocka_unit_test(sixteen_bit_grey_is_clipped),
        cmocka_unit_test(encoded_pictures_come_back),
        cmocka_unit_test(written_pictures_have_the_format_of_their_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
