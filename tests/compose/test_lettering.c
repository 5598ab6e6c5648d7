/* Words drawn on pictures: golden pixels of the bundled DejaVu Sans, the paper's share of pixels, symmetry, what is refused. */
#include "clipneuron/attack.h"
#include "clipneuron/image.h"
#include "compose/drawnwords.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t canvas[288 * 288 * 3], other[288 * 288 * 3];

/* Red to the right, green downwards. */
static void ramp(uint8_t *p, int side)
{
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++, p += 3) {
            p[0] = (uint8_t)(x * 255 / (side - 1));
            p[1] = (uint8_t)(y * 255 / (side - 1));
            p[2] = 96;
        }
}

static int64_t draw(int side, const char *text, const cn_lettering *l)
{
    cn_error err = {0};
    int64_t changed = -1;
    if (cn_lettering_draw(canvas, side, side, text, l, &changed, &err) != CN_OK)
        fail_msg("%s", err.text);
    return changed;
}

static const char bundled[] = CN_TEST_DATA "/fonts/DejaVuSans.ttf";

/* Exactly, with the bundled font: no hinting, no subpixels, no system font takes part. FreeType, HarfBuzz and Cairo promise no such thing from
 * version to version (they may round an outline or count a pixel's coverage otherwise); where a new version does, look at the pictures and draw
 * them again with CN_DRAW_GOLDEN=1. */
static void is_golden(const char *name, int side)
{
    char path[512];
    cn_image *image = NULL;
    cn_error err = {0};
    int most = 0, differ = 0;
    snprintf(path, sizeof path, CN_TEST_DATA "/attack/%s.png", name);
    if (getenv("CN_DRAW_GOLDEN"))
        assert_int_equal(cn_png_write(path, canvas, side, side, 3, NULL, 0, &err), CN_OK);
    assert_int_equal(cn_image_load(&image, path, NULL, &err), CN_OK);
    assert_int_equal(image->width, side);
    assert_int_equal(image->height, side);
    for (int i = 0; i < side * side * 3; i++) {
        const int d = abs(image->rgb[i] - canvas[i]);
        most = d > most ? d : most;
        differ += d != 0;
    }
    cn_image_free(image);
    if (differ)
        fail_msg("%s: %d of %d values differ, by up to %d", name, differ, side * side * 3, most);
}

static void letters_are_the_golden_pixels(void **state)
{
    (void)state;
    ramp(canvas, 288);
    draw(288, "iPod", &(cn_lettering){.font_file = bundled});
    is_golden("paper", 288);
    ramp(canvas, 96);
    draw(96, "Stra\xc3\x9f" "e", &(cn_lettering){.font_file = bundled, .layout = CN_LETTERING_LABEL, .size = 80, .rotation = 12, .x = .5, .y = .6});
    is_golden("label", 96);
    ramp(canvas, 96);
    draw(96, "$$$",
         &(cn_lettering){.font_file = bundled, .layout = CN_LETTERING_PLAIN, .size = 40, .copies = 3, .coloured = true, .colour = {250, 220, 0},
                         .outline_colour = {0, 0, 120}, .outline = 3});
    is_golden("plain", 96);
}

/* Nine drawings of a word as `multimodal` has them, in rows of three. */
static void drawn_words_of_a_file_are_the_golden_pixels(void **state)
{
    (void)state;
    enum { SIDE = 96 };
    static uint8_t one[SIDE * SIDE * 3];
    const char *const files[] = {bundled};
    cn_error err = {0};
    fontset fonts;
    assert_int_equal(fontset_open(&fonts, files, 1, 9, &err), CN_OK);
    for (int v = 0; v < 9; v++) {
        if (drawnwords_draw(one, SIDE, "Christmas tree", v, &fonts, &err) != CN_OK)
            fail_msg("%s", err.text);
        for (int y = 0; y < SIDE; y++)
            memcpy(canvas + 3 * ((v / 3 * SIDE + y) * 288 + v % 3 * SIDE), one + 3 * y * SIDE, 3 * SIDE);
    }
    is_golden("drawn", 288);
    assert_int_equal(drawnwords_draw(one, SIDE, "\xe7\x8a\xac", 0, &fonts, &err), CN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "DejaVuSans.ttf has not all letters of"));
    fontset_close(&fonts);
}

static void font_sets_go_round_and_have_no_fonts_to_spare(void **state)
{
    (void)state;
    const char *const files[] = {bundled, bundled}, *const wrong[] = {bundled, __FILE__};
    cn_error err = {0};
    fontset fonts;
    assert_int_equal(fontset_open(&fonts, NULL, 0, 1, &err), CN_OK);
    assert_null(fontset_at(&fonts, 7));
    fontset_close(&fonts);
    assert_int_equal(fontset_open(&fonts, files, 2, 2, &err), CN_OK);
    assert_ptr_not_equal(fontset_at(&fonts, 0), fontset_at(&fonts, 1));
    assert_ptr_equal(fontset_at(&fonts, 0), fontset_at(&fonts, 2));
    fontset_close(&fonts);
    assert_int_equal(fontset_open(&fonts, files, 2, 1, &err), CN_EINVAL);
    assert_string_equal(err.text, "2 fonts are too many for 1 drawing of each word");
    fontset_close(&fonts);
    err = (cn_error){0};
    assert_int_equal(fontset_open(&fonts, wrong, 2, 2, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "test_lettering.c: cannot be read as a font"));
    fontset_close(&fonts);
}

static void the_papers_layout_changes_eight_percent(void **state)
{
    (void)state;
    static const char *const texts[] = {"trash", "iPod", "pizza", "rifle", "radio", "library", "shark", "meow", "$$$"};
    double sum = 0;
    for (size_t i = 0; i < 9; i++) {
        memset(canvas, 128, sizeof canvas);
        const double share = 100.0 * (double)draw(288, texts[i], NULL) / (288 * 288);
        assert_true(share > 6 && share < 10.2); /* the paper: 6 to 10% */
        if (i == 0)
            assert_true(fabs(share - 8) <= 0.3);
        sum += share / 9;
    }
    assert_true(fabs(sum - 8) <= 0.3);
}

static void changed_counts_pixels_that_differ(void **state)
{
    (void)state;
    int64_t differ = 0;
    ramp(canvas, 288);
    memcpy(other, canvas, sizeof other);
    const int64_t changed = draw(288, "cat", &(cn_lettering){.copies = 3});
    for (int i = 0; i < 288 * 288; i++)
        differ += memcmp(canvas + 3 * i, other + 3 * i, 3) != 0;
    assert_int_equal(changed, differ);
    memset(canvas, 128, sizeof canvas);
    const int64_t three = draw(288, "cat", &(cn_lettering){.copies = 3});
    memset(canvas, 128, sizeof canvas);
    const int64_t one = draw(288, "cat", &(cn_lettering){.copies = 1});
    assert_true(llabs(three - 3 * one) < 60); /* places lie at other fractions of a pixel */
}

/* Upside down is a point reflection about the middle, whatever the font. */
static void half_a_turn_is_a_reflection(void **state)
{
    (void)state;
    double sum = 0, letters = 0;
    memset(canvas, 128, sizeof canvas);
    draw(288, "Fuji", &(cn_lettering){.layout = CN_LETTERING_PLAIN, .size = 90});
    memcpy(other, canvas, sizeof other);
    memset(canvas, 128, sizeof canvas);
    draw(288, "Fuji", &(cn_lettering){.layout = CN_LETTERING_PLAIN, .size = 90, .rotation = 180});
    for (int i = 0; i < 288 * 288; i++) {
        sum += abs(canvas[3 * i] - other[3 * (288 * 288 - 1 - i)]);
        letters += abs(canvas[3 * i] - 128);
    }
    assert_true(letters > 1e5);
    assert_true(sum < 0.05 * letters);
}

static void colours_are_those_asked_for(void **state)
{
    (void)state;
    int red = 0, blue = 0, paper = 0, black = 0;
    memset(canvas, 128, sizeof canvas);
    draw(288, "HHH", &(cn_lettering){.layout = CN_LETTERING_PLAIN, .size = 100, .coloured = true, .colour = {255, 0, 0},
                                     .outline_colour = {0, 0, 255}, .outline = 4});
    for (int i = 0; i < 288 * 288; i++) {
        red += canvas[3 * i] == 255 && canvas[3 * i + 1] == 0 && canvas[3 * i + 2] == 0;
        blue += canvas[3 * i] == 0 && canvas[3 * i + 1] == 0 && canvas[3 * i + 2] == 255;
    }
    assert_true(red > 1500 && blue > 1500);
    memset(canvas, 128, sizeof canvas);
    draw(288, "HHH", &(cn_lettering){.layout = CN_LETTERING_LABEL, .size = 80});
    for (int i = 0; i < 288 * 288; i++) {
        paper += canvas[3 * i] == 250 && canvas[3 * i + 2] == 245;
        black += canvas[3 * i] == 0;
    }
    assert_true(paper > 5000 && black > 1000);
}

static void long_texts_shrink_to_fit(void **state)
{
    (void)state;
    memset(canvas, 128, sizeof canvas);
    draw(288, "a long sentence that would not fit at this size", &(cn_lettering){.layout = CN_LETTERING_LABEL, .size = 90});
    for (int y = 0; y < 288; y++)
        for (int x = 0; x < 288; x++)
            if (x < 10 || x >= 278)
                assert_int_equal(canvas[3 * (y * 288 + x)], 128);
}

static void bad_lettering_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        cn_lettering l;
        const char *says;
    } cases[] = {
        {"", {0}, "1 to 256 bytes"},
        {"   ", {0}, "blanks alone"},
        {"\xc2\xa0 ", {0}, "blanks alone"},
        {"a", {.font = "Sans", .font_file = bundled}, "not of both"},
        {"a\nb", {0}, "control characters"},
        {"\xff", {0}, "UTF-8"},
        {"a", {.size = 0.5}, "size of 1 to 288"},
        {"a", {.size = 1e9}, "size of 1 to 288"},
        {"a", {.copies = 9}, "1 to 8 copies"},
        {"a", {.layout = CN_LETTERING_PLAIN, .copies = 65}, "1 to 64 copies"},
        {"a", {.layout = (cn_lettering_layout)7}, "no such layout"},
        {"a", {.x = 1.5}, "0 to 1 of the picture"},
        {"a", {.rotation = 1000}, "360 degrees"},
        {"a", {.outline = 100}, "at most 32 px"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cn_error err = {0};
        memset(canvas, 7, sizeof canvas);
        assert_int_equal(cn_lettering_draw(canvas, 96, 96, cases[i].text, &cases[i].l, NULL, &err), CN_EINVAL);
        if (!strstr(err.text, cases[i].says))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].says);
        assert_int_equal(canvas[100], 7);
    }
    char text[300];
    memset(text, 'a', 299), text[299] = '\0';
    assert_int_equal(cn_lettering_draw(canvas, 96, 96, text, NULL, NULL, NULL), CN_EINVAL);
    assert_int_equal(cn_lettering_draw(canvas, 0, 96, "a", NULL, NULL, NULL), CN_EINVAL);
}

/* Once a family that is missing was drawn with whatever fontconfig found. */
static void fonts_that_are_missing_are_errors(void **state)
{
    (void)state;
    cn_error err = {0};
    memset(canvas, 7, sizeof canvas);
    assert_int_equal(cn_lettering_draw(canvas, 96, 96, "a", &(cn_lettering){.font = "NoSuchFont Bold"}, NULL, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "no font family 'NoSuchFont' on this system; there are "));
    assert_non_null(strstr(err.text, "DejaVu Sans"));
    err = (cn_error){0};
    assert_int_equal(cn_lettering_draw(canvas, 96, 96, "a", &(cn_lettering){.font_file = "/nowhere.ttf"}, NULL, &err), CN_EFORMAT);
    assert_string_equal(err.text, "/nowhere.ttf: cannot be read as a font");
    assert_int_equal(cn_lettering_draw(canvas, 96, 96, "a", &(cn_lettering){.font_file = __FILE__}, NULL, &err), CN_EFORMAT);
    /* DejaVu Sans has no Chinese */
    assert_int_equal(cn_lettering_draw(canvas, 96, 96, "\xe7\x8a\xac", &(cn_lettering){.font_file = bundled}, NULL, &err), CN_EUNSUPPORTED);
    for (size_t i = 0; i < sizeof canvas; i++)
        assert_int_equal(canvas[i], 7);
    draw(96, "a", &(cn_lettering){.font = "dejavu sans Bold"});
    draw(96, "a", &(cn_lettering){.font = "NoSuchFont, Sans"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_are_the_golden_pixels),   cmocka_unit_test(the_papers_layout_changes_eight_percent),
        cmocka_unit_test(drawn_words_of_a_file_are_the_golden_pixels), cmocka_unit_test(font_sets_go_round_and_have_no_fonts_to_spare),
        cmocka_unit_test(changed_counts_pixels_that_differ), cmocka_unit_test(half_a_turn_is_a_reflection),
        cmocka_unit_test(colours_are_those_asked_for),     cmocka_unit_test(long_texts_shrink_to_fit),
        cmocka_unit_test(bad_lettering_is_refused),
        cmocka_unit_test(fonts_that_are_missing_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
