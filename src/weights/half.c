/* weights/half.c -- IEEE half and bfloat16 to float32. Both are subsets of float32, so every
 * conversion is exact; only the payload of signalling NaNs changes (they become quiet). */
#include "weights/half.h"

#include <string.h>

static inline float half_one(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff, bits;
    if (exponent == 31) {
        bits = 0x7f800000 | fraction << 13 | (fraction ? 0x400000u : 0);
    } else if (exponent) {
        bits = (exponent + 112) << 23 | fraction << 13;
    } else {
        /* zero and subnormals: fraction * 2^-24, which float32 holds as a normal number */
        float value = (float)fraction * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
    }
    bits |= sign;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

void half_to_f32_ref(float *dst, const void *src, size_t n)
{
    const uint8_t *s = src;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, s + 2 * i, sizeof h);
        dst[i] = half_one(h);
    }
}

void bf16_to_f32(float *dst, const void *src, size_t n)
{
    const uint8_t *s = src;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, s + 2 * i, sizeof h);
        uint32_t bits = (uint32_t)h << 16;
        memcpy(dst + i, &bits, sizeof bits);
    }
}

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <immintrin.h>

__attribute__((target("avx,f16c"))) static void half_to_f32_f16c(float *dst, const void *src, size_t n)
{
    const uint8_t *s = src;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256 a = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(s + 2 * i)));
        __m256 b = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(s + 2 * i + 16)));
        _mm256_storeu_ps(dst + i, a);
        _mm256_storeu_ps(dst + i + 8, b);
    }
    half_to_f32_ref(dst + i, s + 2 * i, n - i);
}

/* The compiler's own test knows AVX and whether the system saves its registers; not all know F16C. */
static int have_f16c(void)
{
    unsigned a, b, c = 0, d;
    return __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

void half_to_f32(float *dst, const void *src, size_t n)
{
    if (n >= 16 && have_f16c())
        half_to_f32_f16c(dst, src, n);
    else
        half_to_f32_ref(dst, src, n);
}
#else
void half_to_f32(float *dst, const void *src, size_t n)
{
    half_to_f32_ref(dst, src, n);
}
#endif
