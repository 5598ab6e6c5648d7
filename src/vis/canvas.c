/* vis/canvas.c -- see canvas.h. Parameters of a picture: (channels, side, side/2 + 1, 2) for FOURIER, (channels, side, side)
 * for PIXELS, (channels, side, side/2 + 1) for PHASE. */
#include "vis/canvas.h"
#include "base/rng.h"
#include "vis/spectrum.h"

#include "base/memory.h"
#include "nn/kernels.h"

#include <math.h>
#include <string.h>

/* The square root of the covariance of colours in ImageNet, measured by the authors of Lucid
 * (lucid/optvis/param/color.py), divided by the largest length of a column, 0.4584. */
#define LONGEST 0.45836667f
const float vis_colour_matrix[3][3] = {{0.26f / LONGEST, 0.09f / LONGEST, 0.02f / LONGEST},
                                       {0.27f / LONGEST, 0.00f / LONGEST, -0.05f / LONGEST},
                                       {0.27f / LONGEST, -0.09f / LONGEST, 0.03f / LONGEST}};

#define FOURIER_DIVISOR 4.0f  /* Lucid's: keeps the sigmoid in its middle */
#define PHASE_CONTRAST 1.0f
#define DEVIATION_FLOOR 1e-4f /* a flat picture is not blown up */

struct vis_canvas {
    vis_canvas_options o;
    int channels;
    int64_t area, count;       /* pixels of a plane; parameters of a picture */
    vis_spectrum *spectrum;
    float *scale;              /* per frequency (FOURIER) */
    float *magnitude;          /* (channels, frequencies) (PHASE) */
    float *parameter, *gradient, *moment[2];
    float *spectra, *planes;   /* work: of all pictures */
    float *deviation;          /* PHASE: of each picture before it was brought to 1 */
    float *drawn;              /* after the sigmoid, for its slope */
    int64_t steps;
};

void vis_canvas_close(vis_canvas *c)
{
    if (!c)
        return;
    vis_spectrum_close(c->spectrum);
    float *owned[] = {c->scale, c->magnitude, c->parameter, c->gradient, c->moment[0], c->moment[1], c->spectra, c->planes, c->deviation, c->drawn};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        cn_pages_free(owned[i]);
    cn_free(c);
}

static float *room(int64_t floats)
{
    return cn_pages_calloc((size_t)floats * sizeof(float));
}

/* Weights of the frequencies: 1/f^decay, or the magnitudes of natural pictures. */
static cn_status weigh_frequencies(vis_canvas *c, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t frequencies = vis_spectrum_count(c->spectrum);
    c->scale = room(frequencies);
    CN_CHECK(c->scale, CN_ENOMEM, "out of memory for a canvas");
    vis_spectrum_frequencies(c->spectrum, c->scale);
    for (int64_t k = 0; k < frequencies; k++) {
        const float lowest = 1.0f / (float)c->o.side, f = c->scale[k] > lowest ? c->scale[k] : lowest;
        c->scale[k] = powf(f, -c->o.decay);
    }
    if (c->o.kind != VIS_PHASE)
        goto done;
    c->magnitude = room(c->channels * frequencies);
    CN_CHECK(c->magnitude, CN_ENOMEM, "out of memory for a canvas");
    for (int ch = 0; ch < c->channels; ch++)
        for (int64_t k = 0; k < frequencies; k++) {
            const bool given = c->o.magnitude && ch < 3;
            c->magnitude[ch * frequencies + k] = k == 0 ? 0 : given ? c->o.magnitude[ch * frequencies + k] : c->scale[k];
        }
done:
    return st;
}

cn_status vis_canvas_open(vis_canvas **out, const vis_canvas_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    vis_canvas *c = cn_calloc(1, sizeof *c);
    *out = NULL;
    CN_CHECK(c, CN_ENOMEM, "out of memory for a canvas");
    c->o = *options;
    c->channels = options->alpha ? 4 : 3;
    c->area = (int64_t)options->side * options->side;
    c->count = c->channels * c->area;
    if (options->kind != VIS_PIXELS) {
        CN_TRY(vis_spectrum_open(&c->spectrum, options->side, options->threads, err));
        const int64_t frequencies = vis_spectrum_count(c->spectrum);
        c->count = c->channels * frequencies * (options->kind == VIS_FOURIER ? 2 : 1);
        CN_TRY(weigh_frequencies(c, err));
        c->spectra = room(options->n * c->channels * frequencies * 2);
        CN_CHECK(c->spectra, CN_ENOMEM, "out of memory for a canvas");
    }
    const int64_t parameters = options->n * c->count, pixels = options->n * c->channels * c->area;
    c->parameter = room(parameters), c->gradient = room(parameters);
    c->moment[0] = room(parameters), c->moment[1] = room(parameters);
    c->planes = room(pixels), c->drawn = room(pixels), c->deviation = room(options->n);
    CN_CHECK(c->parameter && c->gradient && c->moment[0] && c->moment[1] && c->planes && c->drawn && c->deviation, CN_ENOMEM,
             "out of memory for %d pictures of %d px", options->n, options->side);
    for (int64_t i = 0; i < options->n; i++) {
        rng r = rng_stream(options->seed, (uint64_t)(i % options->each), 1 | (uint64_t)options->number << 32);
        for (int64_t k = 0; k < c->count; k++)
            c->parameter[i * c->count + k] = options->kind == VIS_PHASE ? (float)(6.283185307179586 * rng_unit(&r) - 3.141592653589793)
                                                                        : (float)(options->start * rng_normal(&r));
    }
    *out = c, c = NULL;
done:
    vis_canvas_close(c);
    return st;
}

int vis_canvas_channels(const vis_canvas *c)
{
    return c->channels;
}

/* ---- drawing ---- */

static void fill_spectra(void *data, int64_t from, int64_t to)
{
    vis_canvas *c = data;
    const int64_t frequencies = vis_spectrum_count(c->spectrum);
    for (int64_t plane = from; plane < to; plane++) {
        float *s = c->spectra + plane * frequencies * 2;
        for (int64_t k = 0; k < frequencies; k++) {
            if (c->o.kind == VIS_FOURIER) {
                s[2 * k] = c->parameter[(plane * frequencies + k) * 2] * c->scale[k];
                s[2 * k + 1] = c->parameter[(plane * frequencies + k) * 2 + 1] * c->scale[k];
            } else {
                const float phase = c->parameter[plane * frequencies + k], m = c->magnitude[plane % c->channels * frequencies + k];
                s[2 * k] = m * cosf(phase);
                s[2 * k + 1] = m * sinf(phase);
            }
        }
    }
}

/* Brings the colours of picture i, all channels together, to mean 0 and deviation 1. */
static void standardise(vis_canvas *c, int64_t i)
{
    float *x = c->planes + i * c->channels * c->area;
    const int64_t count = 3 * c->area;
    double sum = 0, square = 0;
    for (int64_t k = 0; k < count; k++)
        sum += x[k];
    const float mean = (float)(sum / (double)count);
    for (int64_t k = 0; k < count; k++)
        square += (double)(x[k] - mean) * (x[k] - mean);
    c->deviation[i] = (float)sqrt(square / (double)count) + DEVIATION_FLOOR;
    for (int64_t k = 0; k < count; k++)
        x[k] = PHASE_CONTRAST * (x[k] - mean) / c->deviation[i];
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

static void finish_pictures(void *data, int64_t from, int64_t to)
{
    vis_canvas *c = data;
    for (int64_t i = from; i < to; i++) {
        const float *x = c->planes + i * c->channels * c->area;
        float *y = c->drawn + i * c->channels * c->area;
        const float factor = c->o.kind == VIS_FOURIER ? 1 / FOURIER_DIVISOR : 1;
        if (c->o.kind == VIS_PHASE)
            standardise(c, i);
        for (int64_t k = 0; k < c->area; k++) {
            const float colour[3] = {factor * x[k], factor * x[c->area + k], factor * x[2 * c->area + k]};
            for (int ch = 0; ch < 3; ch++) {
                float v = colour[ch];
                if (c->o.decorrelate)
                    v = vis_colour_matrix[ch][0] * colour[0] + vis_colour_matrix[ch][1] * colour[1] + vis_colour_matrix[ch][2] * colour[2];
                y[ch * c->area + k] = sigmoid(v);
            }
            if (c->o.alpha)
                y[3 * c->area + k] = sigmoid(factor * x[3 * c->area + k]);
        }
    }
}

void vis_canvas_draw(vis_canvas *c, float *pictures)
{
    const int64_t planes = c->o.n * c->channels;
    if (c->spectrum) {
        nn_parallel(fill_spectra, c, planes, 1);
        vis_spectrum_to_planes(c->spectrum, c->spectra, c->planes, planes);
    } else {
        memcpy(c->planes, c->parameter, (size_t)(planes * c->area) * sizeof(float));
    }
    nn_parallel(finish_pictures, c, c->o.n, 1);
    memcpy(pictures, c->drawn, (size_t)(planes * c->area) * sizeof(float));
}

/* ---- gradients ---- */

typedef struct backward_job {
    vis_canvas *c;
    const float *d;
} backward_job;

/* y = (x - mean) / deviation: dx = (dy - mean(dy) - y mean(dy y)) / deviation; x is what standardise left, so y = x. */
static void standardise_gradient(const vis_canvas *c, int64_t i, const float *y, float *d)
{
    const int64_t count = 3 * c->area;
    double sum = 0, along = 0;
    for (int64_t k = 0; k < count; k++) {
        sum += d[k];
        along += (double)d[k] * y[k];
    }
    const float mean = (float)(sum / (double)count), share = (float)(along / (double)count);
    /* the floor stands in the divisor only: the derivative of the deviation is y (deviation - floor) / deviation */
    for (int64_t k = 0; k < count; k++)
        d[k] = (d[k] - mean - y[k] * share * (c->deviation[i] / (c->deviation[i] - DEVIATION_FLOOR))) / c->deviation[i];
}

/* Into c->planes, in place of what was drawn from. */
static void undo_colours(void *data, int64_t from, int64_t to)
{
    const backward_job *j = data;
    vis_canvas *c = j->c;
    for (int64_t i = from; i < to; i++) {
        const float *y = c->drawn + i * c->channels * c->area, *dy = j->d + i * c->channels * c->area;
        float *x = c->planes + i * c->channels * c->area;
        const float factor = c->o.kind == VIS_FOURIER ? 1 / FOURIER_DIVISOR : 1;
        float *work = c->o.kind == VIS_PHASE ? c->drawn + i * c->channels * c->area : x; /* x is still needed there */
        for (int64_t k = 0; k < c->area; k++) {
            float d[4] = {0};
            for (int ch = 0; ch < c->channels; ch++) {
                const float v = y[ch * c->area + k];
                d[ch] = dy[ch * c->area + k] * v * (1 - v);
            }
            for (int ch = 0; ch < 3; ch++)
                work[ch * c->area + k] = factor * (c->o.decorrelate ? vis_colour_matrix[0][ch] * d[0] + vis_colour_matrix[1][ch] * d[1] +
                                                                          vis_colour_matrix[2][ch] * d[2]
                                                                    : d[ch]);
            if (c->o.alpha)
                work[3 * c->area + k] = factor * d[3];
        }
        if (c->o.kind == VIS_PHASE) {
            standardise_gradient(c, i, x, work);
            memcpy(x, work, (size_t)(c->channels * c->area) * sizeof(float));
        }
    }
}

static void undo_spectra(void *data, int64_t from, int64_t to)
{
    vis_canvas *c = data;
    const int64_t frequencies = vis_spectrum_count(c->spectrum);
    for (int64_t plane = from; plane < to; plane++) {
        const float *d = c->spectra + plane * frequencies * 2;
        for (int64_t k = 0; k < frequencies; k++) {
            if (c->o.kind == VIS_FOURIER) {
                c->gradient[(plane * frequencies + k) * 2] = d[2 * k] * c->scale[k];
                c->gradient[(plane * frequencies + k) * 2 + 1] = d[2 * k + 1] * c->scale[k];
            } else {
                const float phase = c->parameter[plane * frequencies + k], m = c->magnitude[plane % c->channels * frequencies + k];
                c->gradient[plane * frequencies + k] = m * (d[2 * k + 1] * cosf(phase) - d[2 * k] * sinf(phase));
            }
        }
    }
}

void vis_canvas_gradient(vis_canvas *c, const float *d_pictures)
{
    const int64_t planes = c->o.n * c->channels;
    backward_job job = {c, d_pictures};
    nn_parallel(undo_colours, &job, c->o.n, 1);
    if (c->spectrum) {
        vis_spectrum_gradient(c->spectrum, c->planes, c->spectra, planes);
        nn_parallel(undo_spectra, c, planes, 1);
    } else {
        memcpy(c->gradient, c->planes, (size_t)(planes * c->area) * sizeof(float));
    }
}

/* ---- Adam ---- */

typedef struct adam_job {
    vis_canvas *c;
    float rate, first, second; /* rate and the corrections of the moments' bias */
} adam_job;

static void adam(void *data, int64_t from, int64_t to)
{
    const adam_job *j = data;
    float *restrict p = j->c->parameter, *restrict m = j->c->moment[0], *restrict v = j->c->moment[1];
    const float *restrict g = j->c->gradient;
    for (int64_t i = from; i < to; i++) {
        m[i] = 0.9f * m[i] + 0.1f * g[i];
        v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
        p[i] += j->rate * (m[i] * j->first) / (sqrtf(v[i] * j->second) + 1e-8f);
    }
}

void vis_canvas_step(vis_canvas *c, float rate)
{
    c->steps++;
    adam_job job = {c, rate, (float)(1 / (1 - pow(0.9, (double)c->steps))), (float)(1 / (1 - pow(0.999, (double)c->steps)))};
    nn_parallel(adam, &job, c->o.n * c->count, 16384);
}

int64_t vis_canvas_parameters(const vis_canvas *c)
{
    return c->o.n * c->count;
}

float *vis_canvas_state(vis_canvas *c, int which)
{
    float *const state[] = {c->parameter, c->moment[0], c->moment[1], c->gradient};
    return state[which];
}

int64_t *vis_canvas_steps(vis_canvas *c)
{
    return &c->steps;
}

void vis_canvas_take(vis_canvas *c, vis_canvas *from, int64_t i)
{
    for (int which = 0; which < 3; which++)
        memcpy(vis_canvas_state(c, which) + i * c->count, vis_canvas_state(from, which) + i * c->count, (size_t)c->count * sizeof(float));
}
