/* tests/nn/synthetic.h -- parameters and inputs made from names and numbers, and the comparison of a
 * fast program with the reference, for the tests of this folder. */
#ifndef TESTS_NN_SYNTHETIC_H
#define TESTS_NN_SYNTHETIC_H

#include "nn/backend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A repeatable value in [-1, 1]. */
static inline float noise(uint64_t seed, uint64_t i)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + i * 0xbf58476d1ce4e5b9u + 1;
    x ^= x >> 30, x *= 0xbf58476d1ce4e5b9u, x ^= x >> 27, x *= 0x94d049bb133111ebu, x ^= x >> 31;
    return (float)((double)(x >> 11) / 4503599627370496.0 - 1.0);
}

/* Weights of a size that keeps activations near one; variances and gammas positive. */
static inline cn_status synthetic_param(void *user, const char *name, int64_t count, float *dst, cn_error *err)
{
    (void)user, (void)err;
    uint64_t seed = 7;
    for (const char *c = name; *c; c++)
        seed = seed * 131 + (unsigned char)*c;
    const size_t length = strlen(name);
    const bool positive = strstr(name, "var") || (strstr(name, "bn") && length > 7 && !strcmp(name + length - 7, ".weight"));
    const float scale = strstr(name, "weight") && count > 64 ? 3.0f / sqrtf(sqrtf((float)count)) : 1.0f;
    for (int64_t i = 0; i < count; i++)
        dst[i] = positive ? 1.0f + 0.5f * noise(seed, (uint64_t)i) : scale * noise(seed, (uint64_t)i);
    return CN_OK;
}

typedef struct setup {
    const nn_graph *graph;
    int64_t batch, n;
    int threads;
    bool bf16;
    const int *taps;
    int n_taps;
    int vocabulary;     /* of random token ids; 0: pixels */
    const int *wrt;     /* nodes with respect to which gradients may be asked for */
    int n_wrt;
    int segments;       /* of the forward run, see nn_program_options; 0: one */
} setup;

/* Runs a backend on the repeatable input; the program is left open for its taps. */
static inline nn_program *run_backend(const nn_backend *b, const setup *s)
{
    cn_error err = {0};
    nn_program *p = NULL;
    const nn_program_options options = {.batch = s->batch, .threads = s->threads, .bf16 = s->bf16, .taps = s->taps,
                                        .n_taps = s->n_taps, .wrt = s->wrt, .n_wrt = s->n_wrt, .segments = s->segments};
    const cn_status st = b->create(&p, s->graph, &options, synthetic_param, NULL, &err);
    if (st != CN_OK)
        fail_msg("%s: %s", b->name, err.text);
    const int64_t count = s->n * nn_elements(&s->graph->node[0].shape);
    float *pixels = malloc((size_t)count * sizeof *pixels);
    int32_t *tokens = malloc((size_t)count * sizeof *tokens);
    for (int64_t i = 0; i < count; i++) {
        pixels[i] = 2 * noise(99, (uint64_t)i);
        tokens[i] = s->vocabulary ? (int32_t)((noise(5, (uint64_t)i) + 1) / 2 * (float)(s->vocabulary - 1)) : 0;
    }
    assert_int_equal(b->run(p, s->vocabulary ? NULL : pixels, s->vocabulary ? tokens : NULL, s->n, &err), CN_OK);
    free(pixels);
    free(tokens);
    return p;
}

/* Largest difference over the largest reference magnitude. */
static inline double relative_error(const float *got, const float *expected, int64_t count)
{
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = fabs((double)got[i] - expected[i]);
        worst = d > worst || d != d ? d : worst;
        largest = fabs(expected[i]) > largest ? fabs(expected[i]) : largest;
    }
    return largest > 0 ? worst / largest : worst;
}

static inline double cosine(const float *a, const float *b, int64_t count)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < count; i++)
        ab += (double)a[i] * b[i], aa += (double)a[i] * a[i], bb += (double)b[i] * b[i];
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : aa == bb;
}

#endif
