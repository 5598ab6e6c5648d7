/* nn/gradrows.c -- see gradrows.h. Loops are plain and written once for each type, so that any compiler can
 * vectorise them; memory bounds most of them. */
#include "nn/gradrows.h"
#include "nn/rows.h"

#include <math.h>

#define GRAIN 16384 /* values a thread, below which starting it costs more than it does */

typedef struct work {
    void *dx;
    const void *x, *dy;
    const uint8_t *mask;
    const float *scale;
    int64_t n, size, c;
    const gradrows_pool *pool;
    nn_dtype t;
    float eps, leak;
    bool quick;
    bool add, flag;
} work;

static inline void put(const work *w, int64_t i, float v)
{
    nn_store(w->dx, i, w->t, w->add ? nn_load(w->dx, i, w->t) + v : v);
}

static int64_t grain(int64_t values_an_item)
{
    return values_an_item >= GRAIN ? 1 : GRAIN / values_an_item;
}

/* ---- ReLU ---- */

static void positive(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    uint8_t *restrict mask = w->dx;
    if (w->t == NN_F32) {
        const float *restrict y = w->x;
        for (int64_t i = from; i < to; i++)
            mask[i] = y[i] > 0 ? 0xff : 0;
    } else { /* a bfloat16 is above zero where its bits, as a signed number, are */
        const int16_t *restrict y = w->x;
        for (int64_t i = from; i < to; i++)
            mask[i] = y[i] > 0 ? 0xff : 0;
    }
}

void gradrows_positive(uint8_t *mask, const void *y, int64_t count, nn_dtype t)
{
    work w = {.dx = mask, .x = y, .t = t};
    nn_parallel(positive, &w, count, GRAIN);
}

static void relu(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    const uint8_t *restrict mask = w->mask;
    if (w->t == NN_F32) {
        float *restrict dy = w->dx;
        for (int64_t i = from; i < to; i++)
            dy[i] = mask[i] ? dy[i] : 0;
    } else {
        uint16_t *restrict dy = w->dx;
        for (int64_t i = from; i < to; i++)
            dy[i] = (uint16_t)(dy[i] & (mask[i] | mask[i] << 8));
    }
}

static bool stopped(const void *dy, const uint8_t *mask, int64_t from, int64_t to, nn_dtype t)
{
    for (int64_t i = from; i < to; i++)
        if (mask[i] && nn_load(dy, i, t) != 0)
            return false;
    return true;
}

/* Where the ReLU was off, `leak` times what is above zero. Without branches: units are on and off at random. */
static void leaky_relu(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    const uint8_t *restrict mask = w->mask;
    const float leak = w->leak;
    if (w->t == NN_F32) {
        float *restrict dy = w->dx;
        for (int64_t i = from; i < to; i++) {
            const float off = dy[i] > 0 ? leak * dy[i] : 0;
            dy[i] = mask[i] ? dy[i] : off;
        }
    } else {
        uint16_t *restrict dy = w->dx;
        for (int64_t i = from; i < to; i++) {
            const float all = nn_bf16_to_f32(dy[i]);
            const uint16_t off = nn_f32_to_bf16(all > 0 ? leak * all : 0);
            dy[i] = mask[i] ? dy[i] : off;
        }
    }
}

/* The override for images from .. to - 1. */
static void redirect_images(void *data, int64_t from, int64_t to)
{
    work *w = data;
    for (int64_t image = from; image < to; image++) {
        const int64_t begin = image * w->size, end = begin + w->size;
        if (!stopped(w->dx, w->mask, begin, end, w->t)) {
            (w->leak > 0 ? leaky_relu : relu)(w, begin, end);
            continue;
        }
        for (int64_t i = begin; i < end; i++)
            if (!(nn_load(w->dx, i, w->t) > 0))
                nn_store(w->dx, i, w->t, 0);
    }
}

void gradrows_relu(void *dy, const uint8_t *mask, int64_t n, int64_t size, nn_dtype t, nn_relu_override override)
{
    work w = {.dx = dy, .mask = mask, .t = t, .leak = override.leak, .size = size};
    if (override.redirect)
        nn_parallel(redirect_images, &w, n, grain(size));
    else
        nn_parallel(override.leak > 0 ? leaky_relu : relu, &w, n * size, GRAIN);
}

static void leaky_gelu(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    for (int64_t i = from; i < to; i++) {
        const float x = nn_load(w->x, i, w->t), dy = nn_load(w->dy, i, w->t);
        const float gate = w->quick ? 1 / (1 + expf(-1.702f * x)) : 0.5f * (1 + erff(x * 0.70710678f));
        const float slope = gate + x * (w->quick ? 1.702f * gate * (1 - gate) : 0.39894228f * expf(-0.5f * x * x));
        put(w, i, dy * (dy > 0 && slope < w->leak ? w->leak : slope));
    }
}

void gradrows_leaky_gelu(void *dx, const void *x, const void *dy, int64_t count, nn_dtype t, bool quick, float leak, bool add)
{
    work w = {.dx = dx, .x = x, .dy = dy, .t = t, .quick = quick, .leak = leak, .add = add};
    nn_parallel(leaky_gelu, &w, count, GRAIN);
}

/* ---- rows ---- */

static void scale_rows(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    for (int64_t r = from; r < to; r++)
        for (int64_t i = 0; i < w->c; i++)
            put(w, r * w->c + i, (w->scale ? w->scale[i] : 1) * nn_load(w->dy, r * w->c + i, w->t));
}

void gradrows_scale(void *dx, const void *dy, int64_t rows, int64_t c, nn_dtype t, const float *scale, bool add)
{
    work w = {.dx = dx, .dy = dy, .c = c, .t = t, .scale = scale, .add = add};
    nn_parallel(scale_rows, &w, rows, grain(c));
}

/* One row of the input of an average pool; rows that fill no tile get nothing. */
static void avgpool_rows(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    const gradrows_pool *s = w->pool;
    const float share = 1 / (float)(s->kernel * s->kernel);
    for (int64_t row = from; row < to; row++) {
        const int64_t n = row / s->in_h, y = row % s->in_h / s->kernel;
        for (int64_t x = 0; x < s->in_w; x++) {
            const int64_t to_at = (row * s->in_w + x) * s->c, from_at = ((n * s->h + y) * s->w + x / s->kernel) * s->c;
            if (y < s->h && x / s->kernel < s->w)
                for (int64_t i = 0; i < s->c; i++)
                    put(w, to_at + i, share * nn_load(w->dy, from_at + i, w->t));
            else if (!w->add)
                for (int64_t i = 0; i < s->c; i++)
                    nn_store(w->dx, to_at + i, w->t, 0);
        }
    }
}

void gradrows_avgpool(void *dx, const void *dy, const gradrows_pool *s, nn_dtype t, bool add)
{
    work w = {.dx = dx, .dy = dy, .pool = s, .t = t, .add = add};
    nn_parallel(avgpool_rows, &w, s->n * s->in_h, grain(s->in_w * s->c));
}

/* With z = (x - mean) / sd and g = gamma dy: dx = (g - mean(g) - z mean(g z)) / sd. */
static void layernorm_rows(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    const float width = (float)w->c;
    for (int64_t r = from; r < to; r++) {
        const int64_t at = r * w->c;
        float sum = 0, square = 0, g_sum = 0, gz_sum = 0;
        for (int64_t i = 0; i < w->c; i++)
            sum += nn_load(w->x, at + i, w->t);
        const float mean = sum / width;
        for (int64_t i = 0; i < w->c; i++) {
            const float d = nn_load(w->x, at + i, w->t) - mean;
            square += d * d;
        }
        const float scale = 1 / sqrtf(square / width + w->eps);
        for (int64_t i = 0; i < w->c; i++) {
            const float g = w->scale[i] * nn_load(w->dy, at + i, w->t);
            g_sum += g;
            gz_sum += g * (nn_load(w->x, at + i, w->t) - mean);
        }
        const float g_mean = g_sum / width, gz_mean = gz_sum * scale / width;
        for (int64_t i = 0; i < w->c; i++) {
            const float g = w->scale[i] * nn_load(w->dy, at + i, w->t), z = (nn_load(w->x, at + i, w->t) - mean) * scale;
            put(w, at + i, scale * (g - g_mean - z * gz_mean));
        }
    }
}

void gradrows_layernorm(void *dx, const void *x, const void *dy, int64_t rows, int64_t c, nn_dtype t, float eps,
                        const float *gamma, bool add)
{
    work w = {.dx = dx, .x = x, .dy = dy, .c = c, .t = t, .eps = eps, .scale = gamma, .add = add};
    nn_parallel(layernorm_rows, &w, rows, grain(c));
}

/* ds = p (dp - sum p dp) */
static void softmax_rows(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    for (int64_t r = from; r < to; r++) {
        const int64_t at = r * w->c;
        float mean = 0;
        for (int64_t i = 0; i < w->c; i++)
            mean += nn_load(w->x, at + i, w->t) * nn_load(w->dx, at + i, w->t);
        for (int64_t i = 0; i < w->c; i++)
            nn_store(w->dx, at + i, w->t, nn_load(w->x, at + i, w->t) * (nn_load(w->dx, at + i, w->t) - mean));
    }
}

void gradrows_softmax(void *dp, const void *p, int64_t rows, int64_t width, nn_dtype t)
{
    work w = {.dx = dp, .x = p, .c = width, .t = t};
    nn_parallel(softmax_rows, &w, rows, grain(width));
}

/* ---- layouts ---- */

static void token_images(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    const int64_t cells = w->size;
    for (int64_t row = from; row < to; row++) {
        const int64_t first = row / cells * (cells + 1) * w->c, at = first + (row % cells + 1) * w->c;
        for (int64_t i = 0; i < w->c; i++)
            put(w, row * w->c + i, nn_load(w->dy, at + i, w->t) + (w->flag ? nn_load(w->dy, first + i, w->t) / (float)cells : 0));
    }
}

void gradrows_tokens(void *dx, const void *dt, int64_t n, int64_t cells, int64_t c, nn_dtype t, bool mean, bool add)
{
    work w = {.dx = dx, .dy = dt, .size = cells, .c = c, .t = t, .flag = mean, .add = add};
    nn_parallel(token_images, &w, n * cells, grain(c));
}

#define TILE 16 /* rows and channels that are turned together, so that both sides use whole cache lines */

static void turn_in(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    const float *x = w->x;
    for (int64_t n = from; n < to; n++)
        for (int64_t r0 = 0; r0 < w->size; r0 += TILE)
            for (int64_t c0 = 0; c0 < w->c; c0 += TILE)
                for (int64_t r = r0; r < r0 + TILE && r < w->size; r++)
                    for (int64_t c = c0; c < c0 + TILE && c < w->c; c++)
                        put(w, (n * w->size + r) * w->c + c, x[(n * w->c + c) * w->size + r]);
}

void gradrows_from_planes(void *dx, const float *x, int64_t n, int64_t c, int64_t rows, nn_dtype t, bool add)
{
    work w = {.dx = dx, .x = x, .c = c, .size = rows, .t = t, .add = add};
    nn_parallel(turn_in, &w, n, grain(c * rows));
}

static void turn_out(void *data, int64_t from, int64_t to)
{
    const work *w = data;
    float *y = w->dx;
    for (int64_t n = from; n < to; n++)
        for (int64_t r0 = 0; r0 < w->size; r0 += TILE)
            for (int64_t c0 = 0; c0 < w->c; c0 += TILE)
                for (int64_t c = c0; c < c0 + TILE && c < w->c; c++)
                    for (int64_t r = r0; r < r0 + TILE && r < w->size; r++)
                        y[(n * w->c + c) * w->size + r] = nn_load(w->x, (n * w->size + r) * w->c + c, w->t);
}

void gradrows_to_planes(float *y, const void *dy, int64_t n, int64_t c, int64_t rows, nn_dtype t)
{
    work w = {.dx = y, .x = dy, .c = c, .size = rows, .t = t};
    nn_parallel(turn_out, &w, n, grain(c * rows));
}
