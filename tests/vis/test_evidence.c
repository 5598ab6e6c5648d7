/* Paths through the network: natural pictures that drive a unit are like themselves, other pictures are not; magnitudes of natural
 * pictures; animations. */
#include "clipneuron/evidence.h"
#include "clipneuron/image.h"
#include "clipneuron/see.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../clip/models.h"

enum { SIDE = 96, IMAGE = 3 * SIDE * SIDE };

static float noise(uint64_t seed, uint64_t i)
{
    uint64_t x = (seed * 1000003 + i + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
    return (float)(x >> 40) / 8388608.0f - 1;
}

/* Pictures of one kind: a disc (kind 0) or stripes (kind 1) of a colour, somewhere. */
static void draw(float *out, int kind, uint64_t seed)
{
    const float cx = 48 + 12 * noise(seed, 1), cy = 48 + 12 * noise(seed, 2), size = 24 + 6 * noise(seed, 3), turn = 3 * noise(seed, 4);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                const float dx = (float)x - cx, dy = (float)y - cy;
                const bool on = kind == 0 ? dx * dx + dy * dy < size * size : sinf((dx * cosf(turn) + dy * sinf(turn)) * 0.5f) > 0;
                out[(c * SIDE + y) * SIDE + x] = on ? 1.2f * noise(seed, 10 + (uint64_t)c) : 1.5f;
            }
}

static void pictures_are_like_their_own_kind(void **state)
{
    (void)state;
    enum { N = 8 };
    cn_error err = {0};
    cn_model *m = open_model(SPECIMEN);
    cn_evidence *e;
    const cn_site *site = site_of(m, "layer4.3.add");
    float *discs = malloc(sizeof(float) * N * IMAGE), *all = malloc(sizeof(float) * 2 * N * IMAGE), *test = malloc(sizeof(float) * 2 * IMAGE);
    if (cn_evidence_open(&e, m, site, 2, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(cn_evidence_blocks(e), 9); /* 2 + 2 + 2 + 3: not the unit's own */
    assert_string_equal(cn_evidence_block(e, 0)->name, "visual.layer1.0");
    assert_string_equal(cn_evidence_block(e, 8)->name, "visual.layer4.2");
    assert_null(cn_evidence_block(e, 9));
    for (int i = 0; i < N; i++) {
        draw(discs + (size_t)i * IMAGE, 0, (uint64_t)i);
        draw(all + (size_t)i * IMAGE, 0, 100 + (uint64_t)i);
        draw(all + (size_t)(N + i) * IMAGE, 1, 200 + (uint64_t)i);
    }
    float similarity[2 * 9], overall[2];
    assert_int_equal(cn_evidence_measure(e, discs, 1, similarity, NULL, &err), CN_EINVAL); /* nothing natural yet */
    assert_int_equal(cn_evidence_natural(e, discs, 1, all, 2 * N, &err), CN_EINVAL);
    if (cn_evidence_natural(e, discs, N, all, 2 * N, &err) != CN_OK)
        fail_msg("%s", err.text);
    draw(test, 0, 300);
    draw(test + IMAGE, 1, 301);
    assert_int_equal(cn_evidence_measure(e, test, 2, similarity, overall, &err), CN_OK);
    const float disc = overall[0], stripes = overall[1];
    for (int b = 0; b < 9; b++)
        assert_true(isnan(similarity[b]) || similarity[b] > similarity[9 + b]);
    print_message("  a disc %.2f, stripes %.2f\n", (double)disc, (double)stripes);
    assert_true(disc > 0.5f && disc < 1.6f);
    assert_true(stripes < 0.1f);
    cn_evidence_close(e);
    assert_int_equal(cn_evidence_open(&e, m, site_of(m, "layer1.0"), 1, &err), CN_EUNSUPPORTED);
    assert_null(e);
    free(discs), free(all), free(test);
    cn_model_close(m);
}

/* A canvas of phases that starts with a picture's own magnitudes can draw it: magnitudes and picture have the same power spectrum. */
static void magnitudes_are_those_of_the_pictures(void **state)
{
    (void)state;
    enum { S = 24, COUNT = 3 * S * (S / 2 + 1) };
    float flat[3 * S * S], waves[3 * S * S], m[COUNT], mean[COUNT], both[2 * 3 * S * S];
    cn_error err = {0};
    for (int i = 0; i < 3 * S * S; i++) {
        flat[i] = 0.5f;
        waves[i] = 0.5f + 0.2f * cosf(6.2831853f * 3 * (float)(i % S) / S); /* grey, three waves across */
    }
    assert_int_equal(cn_magnitudes(flat, 1, S, false, m, &err), CN_OK);
    for (int i = 0; i < COUNT; i++)
        assert_true(fabsf(m[i]) < 1e-5f);
    assert_int_equal(cn_magnitudes(waves, 1, S, true, m, &err), CN_OK);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < S; y++)
            for (int x = 0; x <= S / 2; x++) {
                const float v = m[(c * S + y) * (S / 2 + 1) + x];
                if (y == 0 && x == 3) /* cos of amplitude a: a side / 2, with the factor 1/side of both transforms together */
                    assert_true(v > 5);
                else if (y || x % 3) /* the logit bends the wave, so its harmonics are there */
                    assert_true(fabsf(v) < 1e-3f);
            }
    memcpy(both, flat, sizeof flat);
    memcpy(both + 3 * S * S, waves, sizeof waves);
    assert_int_equal(cn_magnitudes(both, 2, S, true, mean, &err), CN_OK);
    for (int i = 0; i < COUNT; i++)
        assert_true(fabsf(mean[i] - m[i] / 2) < 1e-4f);
    assert_int_equal(cn_magnitudes(flat, 1, 15, true, m, &err), CN_EINVAL);
    assert_int_equal(cn_magnitudes(flat, 0, S, true, m, &err), CN_EINVAL);
}

static uint32_t number_at(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Chunks in the order that the specification wants, sequence numbers without gaps, and a first frame that any program shows. */
static void an_animation_is_a_png_with_all_frames(void **state)
{
    (void)state;
    enum { W = 20, H = 10, FRAMES = 3 };
    uint8_t pixels[FRAMES][H * W * 4];
    const uint8_t *frames[FRAMES];
    char path[] = "/tmp/clipneuron-animation-XXXXXX";
    cn_error err = {0};
    close(mkstemp(path));
    for (int f = 0; f < FRAMES; f++) {
        frames[f] = pixels[f];
        for (int i = 0; i < H * W * 4; i++)
            pixels[f][i] = (uint8_t)(i * 7 + f * 50);
    }
    if (cn_png_write_animation(path, frames, FRAMES, W, H, 4, 80, &err) != CN_OK)
        fail_msg("%s", err.text);
    FILE *file = fopen(path, "rb");
    uint8_t bytes[65536];
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    char order[256] = "";
    uint32_t sequence = 0;
    for (size_t at = 8; at + 12 <= size; at += number_at(bytes + at) + 12) {
        const char *type = (const char *)bytes + at + 4;
        if (strlen(order) < 200 && (strlen(order) < 4 || strncmp(order + strlen(order) - 5, type, 4) != 0))
            snprintf(order + strlen(order), sizeof order - strlen(order), "%.4s ", type);
        if (!strncmp(type, "acTL", 4))
            assert_int_equal(number_at(bytes + at + 8), FRAMES);
        if (!strncmp(type, "fcTL", 4) || !strncmp(type, "fdAT", 4))
            assert_int_equal(number_at(bytes + at + 8), sequence++);
    }
    assert_string_equal(order, "IHDR acTL fcTL IDAT fcTL fdAT fcTL fdAT IEND ");
    cn_image *image;
    if (cn_image_load(&image, path, NULL, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(image->width, W);
    assert_int_equal(image->height, H);
    for (int i = 0; i < W * H; i++)
        assert_memory_equal(image->rgb + 3 * i, pixels[0] + 4 * i, 3);
    cn_image_free(image);
    remove(path);
    assert_int_equal(cn_png_write_animation(path, frames, 0, W, H, 4, 80, &err), CN_EINVAL);
    assert_int_equal(cn_png_write_animation(path, frames, 1, W, H, 2, 80, &err), CN_EINVAL);
    assert_int_equal(cn_png_write_animation("/nonexistent/x.png", frames, 1, W, H, 4, 80, &err), CN_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_like_their_own_kind),
        cmocka_unit_test(magnitudes_are_those_of_the_pictures),
        cmocka_unit_test(an_animation_is_a_png_with_all_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
