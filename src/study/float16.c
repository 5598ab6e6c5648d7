/* study/float16.c -- IEEE half precision by bit arithmetic, rows of it by the processor where it can. */
#include "study/float16.h"

#include <stdbool.h>
#include <string.h>

uint16_t float16_from(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00); /* NaN */
    if (magnitude >= 0x477ff000)          /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x33000001) /* half of the smallest subnormal, or less */
        return sign;
    uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
    int exponent = (int)(magnitude >> 23) - 127;
    int shift = exponent < -14 ? -exponent - 1 : 13; /* bits that are dropped */
    uint32_t kept = mantissa >> shift;
    uint32_t rest = mantissa & ((1u << shift) - 1), middle = 1u << (shift - 1);
    if (rest > middle || (rest == middle && (kept & 1)))
        kept++;
    if (exponent >= -14)
        kept += (uint32_t)(exponent + 14) << 10; /* the hidden bit of `kept` adds the last one */
    return (uint16_t)(sign | kept);
}

float float16_to(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, mantissa = half & 0x3ff, bits;
    float value;
    if (exponent == 0) {
        value = (float)mantissa * (1.0f / 16777216.0f);
        return sign ? -value : value;
    }
    bits =
        exponent == 31 ? sign | 0x7f800000 | mantissa << 13 : sign | (exponent + 112) << 23 | mantissa << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void row_plain(uint16_t *half, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        half[i] = float16_from(values[i]);
}

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

__attribute__((target("avx,f16c"))) static void row_f16c(uint16_t *half, const float *values, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(half + i), _mm256_cvtps_ph(_mm256_loadu_ps(values + i), _MM_FROUND_TO_NEAREST_INT));
    row_plain(half + i, values + i, n - i);
}

/* Asked once: to a virtual machine, cpuid is slow. Not every compiler's own test knows F16C. */
static bool have_f16c(void)
{
    static atomic_int known; /* 0: not asked yet, 1: no, 2: yes */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (!answer) {
        unsigned a, b, c = 0, d;
        answer = __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) ? 2 : 1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}

void float16_row(uint16_t *half, const float *values, size_t n)
{
    (have_f16c() ? row_f16c : row_plain)(half, values, n);
}
#else
void float16_row(uint16_t *half, const float *values, size_t n)
{
    row_plain(half, values, n);
}
#endif
