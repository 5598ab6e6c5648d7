/* tests/study/fake.c */
#include "fake.h"

#include "clipneuron/image.h"
#include "tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fake {
    float *values[3], *embedding;
    int64_t batch;
    int runs, broken;
} fake;

static const cn_site sites[3] = {
    {.name = "visual.layer4.0.add",
     .layout = CN_SITE_MAP,
     .units = FAKE_UNITS,
     .height = 3,
     .width = 3,
     .positions = 9,
     .index = 0},
    {.name = "visual.tokens",
     .layout = CN_SITE_TOKENS,
     .units = FAKE_UNITS,
     .height = 5,
     .width = 1,
     .positions = 5,
     .index = 1},
    {.name = "visual.out",
     .layout = CN_SITE_VECTOR,
     .units = FAKE_UNITS,
     .height = 1,
     .width = 1,
     .positions = 1,
     .index = 2},
};

/* The value of a unit at one cell of a side x side grid over the picture. */
static float cell(const float *pixels, int unit, int side, int y, int x)
{
    int step = FAKE_RESOLUTION / side;
    const float *plane = pixels + (unit % 3) * FAKE_RESOLUTION * FAKE_RESOLUTION;
    float v = plane[(y * step + step / 2) * FAKE_RESOLUTION + x * step + step / 2];
    if (unit == FAKE_UNITS - 1)
        return 0.25f;
    if (unit == FAKE_UNITS - 2)
        return -4 - v;
    return unit == 3 ? v * v : v;
}

static float value(size_t site, int unit, int position, const float *pixels)
{
    if (site == 0)
        return cell(pixels, unit, 3, position / 3, position % 3);
    if (site == 1)
        return position == 0 ? cell(pixels, unit, 1, 0, 0)
                             : cell(pixels, unit, 2, (position - 1) / 2, (position - 1) % 2);
    return cell(pixels, unit, 1, 0, 0);
}

float fake_mean(size_t site, int unit, const float *pixels)
{
    double sum = 0;
    for (int p = 0; p < sites[site].positions; p++)
        sum += value(site, unit, p, pixels);
    return (float)(sum / (double)sites[site].positions);
}

static cn_status images(source *s, const float *pixels, int64_t n, cn_error *err)
{
    fake *f = s->self;
    (void)err;
    f->runs++;
    for (int64_t b = 0; b < n; b++) {
        const float *image = pixels + b * 3 * FAKE_RESOLUTION * FAKE_RESOLUTION;
        for (size_t i = 0; i < 3; i++)
            for (int u = 0; u < FAKE_UNITS; u++)
                for (int p = 0; p < sites[i].positions; p++)
                    f->values[i][b * FAKE_UNITS * sites[i].positions + (sites[i].layout == CN_SITE_MAP
                                                                            ? u * sites[i].positions + p
                                                                            : p * FAKE_UNITS + u)] =
                        f->runs == f->broken && b == 0 ? NAN : value(i, u, p, image);
        for (int k = 0; k < FAKE_EMBEDDING; k++)
            f->embedding[b * FAKE_EMBEDDING + k] = k < 3 ? fake_mean(0, k, image) : 1;
    }
    return CN_OK;
}

static const float *site(const source *s, size_t i)
{
    return ((const fake *)s->self)->values[s->sites[i]->index];
}

static const float *embedding(const source *s)
{
    return ((const fake *)s->self)->embedding;
}

static cn_status texts(source *s, const char *const *words, size_t n, float *out, bool *known,
                       bool (*go_on)(void *user, size_t done, size_t total), void *user, cn_error *err)
{
    (void)s, (void)err;
    for (size_t i = 0; i < n; i++) {
        known[i] = words[i][0] != 'z';
        for (int k = 0; k < FAKE_EMBEDDING; k++)
            out[i * FAKE_EMBEDDING + (size_t)k] =
                (float)((unsigned char)words[i][(size_t)k % strlen(words[i])] % 7) - 3;
    }
    return !go_on || go_on(user, n, n) ? CN_OK : CN_ECANCELED;
}

static void close_fake(source *s)
{
    fake *f = s->self;
    for (int i = 0; i < 3; i++)
        free(f->values[i]);
    free(f->embedding);
    free(f);
}

void fake_open(source *s, const char *fingerprint, int64_t batch)
{
    fake *f = calloc(1, sizeof *f);
    memset(s, 0, sizeof *s);
    for (int i = 0; i < 3; i++)
        f->values[i] = calloc((size_t)(batch * FAKE_UNITS * sites[i].positions), sizeof(float));
    f->embedding = calloc((size_t)batch * FAKE_EMBEDDING, sizeof(float));
    f->batch = batch;
    s->self = f;
    s->batch = batch;
    snprintf(s->model_name, sizeof s->model_name, "RN");
    snprintf(s->model_file, sizeof s->model_file, "fake <model>.pt");
    snprintf(s->fingerprint, sizeof s->fingerprint, "%s", fingerprint);
    snprintf(s->backend, sizeof s->backend, "none");
    s->precision = "fp32";
    s->resolution = FAKE_RESOLUTION;
    s->embedding = FAKE_EMBEDDING;
    s->n_sites = 3;
    for (int i = 0; i < 3; i++)
        s->sites[i] = &sites[i];
    s->images = images;
    s->site = site;
    s->image_embedding = embedding;
    s->texts = texts;
    s->close = close_fake;
}

void fake_tokens_alone(source *s)
{
    s->sites[0] = &sites[1];
    s->n_sites = 1;
}

void fake_break_run(source *s, int n)
{
    ((fake *)s->self)->broken = n;
}

void fake_collection(const char *dir, int n)
{
    char csv[32768];
    size_t at = (size_t)snprintf(csv, sizeof csv, "path,label,medium,stars\n");
    for (int i = 0; i < 2 * n; i++) {
        uint8_t rgb[FAKE_RESOLUTION * FAKE_RESOLUTION * 3];
        char name[64];
        void *png = NULL;
        size_t size = 0;
        for (int p = 0; p < FAKE_RESOLUTION * FAKE_RESOLUTION; p++)
            for (int c = 0; c < 3; c++)
                rgb[3 * p + c] = (uint8_t)(c == i % 2 ? 120 + (i * 37 + p) % 120 : (i * 11 + p / 24) % 40);
        assert_int_equal(
            cn_image_encode(rgb, FAKE_RESOLUTION, FAKE_RESOLUTION, CN_IMAGE_PNG, 0, &png, &size, NULL),
            CN_OK);
        snprintf(name, sizeof name, "pics/%s/%03d.png", i % 2 ? "green" : "red", i);
        tempdir_write(dir, name, png, size);
        cn_bytes_free(png);
        at += (size_t)snprintf(csv + at, sizeof csv - at, "%s,%s,%s,%d\n", name, i % 2 ? "green" : "red",
                               i / 2 % 2 ? "word" : "line", i % 5);
    }
    tempdir_text(dir, "labels.csv", csv);
    tempdir_text(dir, "pics/red/broken.png", "\x89PNG\r\n\x1a\nrubbish");
    tempdir_text(dir, "pics/readme.txt", "no picture");
}

void fake_scan(const char *dir, const char *study, const cn_scan_options *options, cn_scan_result *result)
{
    source s;
    cn_error err = {0};
    fake_open(&s, "f00d", options && options->batch ? options->batch : 8);
    if (options && options->reduce == CN_REDUCE_CLASS)
        fake_tokens_alone(&s);
    cn_status st =
        scan_source(&s, tempdir_path(dir, "pics"), tempdir_path(dir, study), options, result, &err);
    s.close(&s);
    if (st != CN_OK)
        fail_msg("%s", err.text);
}
