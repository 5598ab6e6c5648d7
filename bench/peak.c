/* bench/peak.c -- the arithmetic that this machine can do: fp32 multiply-adds and bf16 dot products.
 * usage: peak [THREADS] [SECONDS]; prints one JSON line. All operands stay in registers, so no
 * program computes faster than this; the benchmarks state their speed as a share of it.
 * Not a memory benchmark. On other machines than x86-64 it measures plain C. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define X86 1
#else
#define X86 0
#endif

/* 14 accumulators: two units of latency 4 or 5 need 10, and 16 registers (AVX2) must hold two operands too. */
#define REPEAT(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13)
#define ACCUMULATORS 14
#define CHUNK 100000 /* loop turns between two looks at the clock */

/* Runs n turns; returns a value that depends on all of them. */
typedef float (*kernel)(long n, const float *seed);

#if X86
__attribute__((target("avx512f"))) static float fp32_avx512(long n, const float *seed)
{
    const __m512 a = _mm512_set1_ps(seed[0]), b = _mm512_set1_ps(seed[1]);
#define DECLARE(i) __m512 c##i = _mm512_set1_ps(seed[2] + (float)i);
    REPEAT(DECLARE)
#undef DECLARE
    for (long k = 0; k < n; k++) {
#define STEP(i) c##i = _mm512_fmadd_ps(c##i, a, b);
        REPEAT(STEP)
#undef STEP
    }
    __m512 sum = _mm512_setzero_ps();
#define ADD(i) sum = _mm512_add_ps(sum, c##i);
    REPEAT(ADD)
#undef ADD
    return _mm512_reduce_add_ps(sum);
}

__attribute__((target("avx2,fma"))) static float fp32_avx2(long n, const float *seed)
{
    const __m256 a = _mm256_set1_ps(seed[0]), b = _mm256_set1_ps(seed[1]);
#define DECLARE(i) __m256 c##i = _mm256_set1_ps(seed[2] + (float)i);
    REPEAT(DECLARE)
#undef DECLARE
    for (long k = 0; k < n; k++) {
#define STEP(i) c##i = _mm256_fmadd_ps(c##i, a, b);
        REPEAT(STEP)
#undef STEP
    }
    __m256 sum = _mm256_setzero_ps();
#define ADD(i) sum = _mm256_add_ps(sum, c##i);
    REPEAT(ADD)
#undef ADD
    float out[8], total = 0;
    _mm256_storeu_ps(out, sum);
    for (int i = 0; i < 8; i++)
        total += out[i];
    return total;
}

__attribute__((target("avx512f,avx512bw,avx512bf16"))) static float bf16_avx512(long n, const float *seed)
{
    const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(seed[0]), _mm512_set1_ps(seed[0]));
    const __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(seed[1]), _mm512_set1_ps(seed[1]));
#define DECLARE(i) __m512 c##i = _mm512_set1_ps(seed[2] + (float)i);
    REPEAT(DECLARE)
#undef DECLARE
    for (long k = 0; k < n; k++) {
#define STEP(i) c##i = _mm512_dpbf16_ps(c##i, a, b);
        REPEAT(STEP)
#undef STEP
    }
    __m512 sum = _mm512_setzero_ps();
#define ADD(i) sum = _mm512_add_ps(sum, c##i);
    REPEAT(ADD)
#undef ADD
    return _mm512_reduce_add_ps(sum);
}
#endif

static float fp32_plain(long n, const float *seed)
{
    float c[ACCUMULATORS * 4];
    for (int i = 0; i < ACCUMULATORS * 4; i++)
        c[i] = seed[2] + (float)i;
    for (long k = 0; k < n; k++)
        for (int i = 0; i < ACCUMULATORS * 4; i++)
            c[i] = c[i] * seed[0] + seed[1];
    float total = 0;
    for (int i = 0; i < ACCUMULATORS * 4; i++)
        total += c[i];
    return total;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static pthread_barrier_t gate;
static double run_seconds;

struct work {
    kernel run;
    double turns_per_second;
    float result;
};

static void *worker(void *arg)
{
    struct work *w = arg;
    const float seed[3] = {0.999f, 0.001f, 1.0f};
    w->result = w->run(CHUNK, seed); /* wakes the wide units and the clock */
    pthread_barrier_wait(&gate);
    const double begin = now();
    double end;
    long turns = 0;
    do {
        w->result += w->run(CHUNK, seed);
        turns += CHUNK;
        end = now();
    } while (end - begin < run_seconds);
    w->turns_per_second = (double)turns / (end - begin);
    return NULL;
}

/* The best of several rounds, all threads together, in GFLOP/s. */
static double measure(kernel run, double flops_per_turn, int threads)
{
    double best = 0;
    struct work *work = calloc((size_t)threads, sizeof *work);
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    for (int round = 0; work && ids && round < 3; round++) {
        int started = 0;
        pthread_barrier_init(&gate, NULL, (unsigned)threads);
        for (; started < threads; started++) {
            work[started].run = run;
            if (pthread_create(&ids[started], NULL, worker, &work[started]) != 0) {
                fprintf(stderr, "peak: cannot start %d threads\n", threads);
                exit(1);
            }
        }
        double total = 0;
        for (int i = 0; i < threads; i++) {
            pthread_join(ids[i], NULL);
            total += work[i].turns_per_second * flops_per_turn * 1e-9;
        }
        pthread_barrier_destroy(&gate);
        if (total > best)
            best = total;
    }
    free(work);
    free(ids);
    return best;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    run_seconds = argc > 2 ? atof(argv[2]) : 0.3;
    if (threads < 1 || threads > 4096 || !(run_seconds > 0)) {
        fprintf(stderr, "usage: peak [THREADS] [SECONDS]\n");
        return 2;
    }
    const char *isa = "plain C";
    kernel fp32 = fp32_plain;
    kernel bf16 = NULL;
    double lanes = 4;
#if X86
    if (__builtin_cpu_supports("avx512f")) {
        isa = "AVX-512", fp32 = fp32_avx512, lanes = 16;
        if (__builtin_cpu_supports("avx512bf16"))
            isa = "AVX-512 + BF16", bf16 = bf16_avx512;
    } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        isa = "AVX2", fp32 = fp32_avx2, lanes = 8;
    }
#endif
    const double gflops32 = measure(fp32, ACCUMULATORS * lanes * 2, threads);
    const double gflops16 = bf16 ? measure(bf16, ACCUMULATORS * lanes * 4, threads) : 0;
    printf("{\"what\": \"peak\", \"isa\": \"%s\", \"threads\": %d, \"fp32_gflops\": %.1f, \"bf16_gflops\": "
           "%.1f}\n",
           isa, threads, gflops32, gflops16);
    return 0;
}
