/* bench/bench_probe.c -- a sparse probe's path on invented activations: how long it takes for so many classes, units and pictures.
 * usage: bench_probe CLASSES UNITS PICTURES [UNITS_A_CLASS [THREADS]]
 * Activations are normal, those of three units a class larger by 1 to 3 sd on its pictures. Checks that the path ends in balance, then prints a
 * line a point, for 1,000 classes, 2,560 units and 50,000 pictures whether the target is met, and a JSON line at the end. Memory: 4 bytes a
 * picture for each unit and each class. */
#include "base/memory.h"
#include "compose/multinomial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TARGET 15.0 /* minutes */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The sum of four uniform numbers: near enough to normal, and quick. */
static float normal(uint64_t *state)
{
    const uint64_t x = next(state);
    const int32_t sum = (int32_t)(x & 65535) + (int32_t)(x >> 16 & 65535) + (int32_t)(x >> 32 & 65535) + (int32_t)(x >> 48);
    return (float)(sum - 131070) / 37837.0f;
}

static void invent(float *x, int32_t *y, int64_t n, int64_t units, int64_t classes)
{
    uint64_t state = 1;
    float *shift = calloc((size_t)(units * classes), sizeof *shift);
    for (int64_t k = 0; k < classes; k++)
        for (int j = 0; j < 3; j++)
            shift[(int64_t)(next(&state) % (uint64_t)units) * classes + k] = 1 + (float)(next(&state) % 1000) / 500;
    for (int64_t i = 0; i < n; i++)
        y[i] = (int32_t)(i < classes ? i : (int64_t)(next(&state) % (uint64_t)classes));
    for (int64_t u = 0; u < units; u++) {
        float *row = x + u * n;
        double sum = 0, power = 0;
        for (int64_t i = 0; i < n; i++) {
            row[i] = normal(&state) + shift[u * classes + y[i]];
            sum += (double)row[i];
            power += (double)row[i] * (double)row[i];
        }
        const double mean = sum / (double)n, sd = sqrt(power / (double)n - mean * mean);
        for (int64_t i = 0; i < n; i++)
            row[i] = (float)(((double)row[i] - mean) / sd);
    }
    free(shift);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench_probe CLASSES UNITS PICTURES [UNITS_A_CLASS [THREADS]]\n");
        return 2;
    }
    const int64_t classes = atoll(argv[1]), units = atoll(argv[2]), n = atoll(argv[3]);
    const double wanted = argc > 4 ? atof(argv[4]) : 3;
    const int threads = argc > 5 ? atoi(argv[5]) : 0;
    float *x = calloc((size_t)(units * n), sizeof *x);
    int32_t *y = calloc((size_t)n, sizeof *y);
    if (classes < 2 || units < 1 || n < classes || !x || !y)
        return 1;
    invent(x, y, n, units, classes);
    const multinomial_data data = {x, y, n, units, classes};
    multinomial *m;
    multinomial_fit_result r = {0};
    cn_error err = {0};
    const double begin = now();
    if (multinomial_create(&m, &data, 1, threads, &err) != CN_OK)
        return fprintf(stderr, "bench_probe: %s\n", err.text), 1;
    const double first = now() - begin;
    printf("start (slopes of all %lld weights once): %.2f s, %.1f GFLOP/s\n strength   weights a class  working  missed  passes rounds  objective  seconds\n",
           (long long)(classes * units), first, 2e-9 * (double)classes * (double)units * (double)n / first);
    int points = 0;
    for (double s = multinomial_strongest(m) * 0.8; (double)r.weights < wanted * (double)classes && points < 60; s *= 0.8, points++) {
        const double start = now();
        if (multinomial_fit(m, s, 1e-3, 1000, NULL, NULL, &r, &err) != CN_OK || !r.converged)
            return fprintf(stderr, "bench_probe: %s\n", *err.text ? err.text : "not in balance"), 1;
        printf("%9.3g  %15.2f  %7lld  %6lld  %6d  %5d  %9.5f  %7.2f\n", s, (double)r.weights / (double)classes, (long long)r.working,
               (long long)r.missed, r.passes, r.rounds, r.objective, now() - start);
        fflush(stdout);
    }
    if (classes >= 1000 && units >= 2560 && n >= 50000)
        printf("  the path, minutes %.1f  target < %.0f  %s\n", (now() - begin) / 60, TARGET, now() - begin < 60 * TARGET ? "met" : "MISSED");
    printf("{\"bench\": \"probe\", \"classes\": %lld, \"units\": %lld, \"pictures\": %lld, \"points\": %d, \"units_a_class\": %.2f, \"seconds\": %.2f}\n",
           (long long)classes, (long long)units, (long long)n, points, (double)r.weights / (double)classes, now() - begin);
    multinomial_free(m);
    free(x), free(y);
    return 0;
}
