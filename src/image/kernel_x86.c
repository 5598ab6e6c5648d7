/* image/kernel_x86.c -- the bicubic resize for AVX-512 VNNI and for AVX2, exact to the byte.
 *
 * A weight has 24 bits, more than one multiply-add takes, so it is cut into pieces that one takes:
 *   VNNI: w = w2*2^16 + w1*2^8 + w0 with signed bytes; vpdpbusd multiplies four unsigned bytes by four signed ones
 *         and adds into 32 bits, exactly;
 *   AVX2: w = hi*2^12 + lo; pmaddwd multiplies pairs of 16-bit numbers.
 * The sums of the pieces, shifted and added modulo 2^32, are the sum that the plain kernel has.
 *
 * Both want the source values that one output adds up side by side, four in a 32-bit word (a "quad").
 * Along x the bytes of a row are shuffled so, four rows at a time; the results of four rows are then stored
 * side by side, which is just the order that the pass along y wants. */
#include "image/resize.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_AVX2 __attribute__((target("avx2")))
#define TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

/* A quad of a row (bytes 12q .. 12q+11) near the row's end, where a 16-byte load would leave the row. */
static const uint8_t *safe_quad(const uint8_t *row, int width, int q, uint8_t copy[16])
{
    const size_t at = (size_t)q * 12, end = (size_t)width * 3;
    if (at + 16 <= end)
        return row + at;
    memset(copy, 0, 16);
    memcpy(copy, row + at, end - at < 16 ? end - at : 16);
    return copy;
}

/* --- AVX-512 VNNI --- */

static bool have_vnni(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

/* The lowest 8 bits, read as a signed number. */
static int32_t signed_byte(int32_t value)
{
    return ((value & 0xff) ^ 0x80) - 0x80;
}

/* Three words of four signed bytes: the high, middle and low pieces of the four weights. */
static void vnni_pack(const int32_t weight[4], int32_t *words)
{
    int8_t pieces[3][4];
    for (int t = 0; t < 4; t++) {
        const int32_t low = signed_byte(weight[t]), rest = (weight[t] - low) / 256;
        const int32_t middle = signed_byte(rest);
        pieces[2][t] = (int8_t)low;
        pieces[1][t] = (int8_t)middle;
        pieces[0][t] = (int8_t)((rest - middle) / 256);
    }
    memcpy(words, pieces, sizeof pieces);
}

TARGET_VNNI static inline __m512i vnni_sum(__m512i high, __m512i middle, __m512i low)
{
    __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high, 16), _mm512_slli_epi32(middle, 8));
    sum = _mm512_srai_epi32(_mm512_add_epi32(sum, low), WEIGHT_BITS);
    return _mm512_max_epi32(sum, _mm512_setzero_si512());
}

/* The output pixels, with `most` known to the compiler for the usual lengths. */
TARGET_VNNI static inline __attribute__((always_inline)) void
vnni_pixels(const quad_axis *x, const int most, const uint8_t *scratch, uint8_t *out)
{
    /* bytes (row, channel) -> (channel, row) */
    const __m128i by_row = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i half = _mm512_set1_epi32(WEIGHT_HALF);
    const int32_t *words = x->words;
    for (int i = 0; i < x->count; i++, out += 12) {
        const uint8_t *from = scratch + (size_t)(x->first[i] - x->lowest) * 64;
        __m512i high = _mm512_setzero_si512(), middle = high, low = half;
        for (int q = 0; q < most; q++, from += 64, words += 3) {
            const __m512i v = _mm512_loadu_si512(from);
            high = _mm512_dpbusd_epi32(high, v, _mm512_set1_epi32(words[0]));
            middle = _mm512_dpbusd_epi32(middle, v, _mm512_set1_epi32(words[1]));
            low = _mm512_dpbusd_epi32(low, v, _mm512_set1_epi32(words[2]));
        }
        const __m128i bytes = _mm512_cvtusepi32_epi8(vnni_sum(high, middle, low));
        _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(bytes, by_row));
    }
}

TARGET_VNNI static void vnni_rows(const uint8_t *const row[4], int width, const quad_axis *x,
                                  uint8_t *scratch, uint8_t *out)
{
    /* RGBRGBRGBRGB -> RRRR GGGG BBBB 0000 */
    const __m512i by_channel =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
    const int safe = (width * 3 - 16) / 12; /* quads up to here may be loaded in place */
    uint8_t *quad = scratch;
    for (int q = x->lowest; q <= x->highest; q++, quad += 64) {
        uint8_t copy[4][16];
        const uint8_t *from[4];
        const bool inside = width >= 6 && q <= safe;
        for (int r = 0; r < 4; r++)
            from[r] = inside ? row[r] + (size_t)q * 12 : safe_quad(row[r], width, q, copy[r]);
        __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)from[0]));
        v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)from[1]), 1);
        v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)from[2]), 2);
        v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)from[3]), 3);
        _mm512_storeu_si512(quad, _mm512_shuffle_epi8(v, by_channel));
    }
    switch (x->most) {
    case 1: vnni_pixels(x, 1, scratch, out); break;
    case 2: vnni_pixels(x, 2, scratch, out); break;
    case 3: vnni_pixels(x, 3, scratch, out); break;
    case 4: vnni_pixels(x, 4, scratch, out); break;
    case 5: vnni_pixels(x, 5, scratch, out); break;
    default: vnni_pixels(x, x->most, scratch, out);
    }
}

TARGET_VNNI static void vnni_column(const uint8_t *const *quads, int count, const int32_t *words, int n,
                                    uint8_t *out)
{
    const __m512i half = _mm512_set1_epi32(WEIGHT_HALF), zero = _mm512_setzero_si512();
    int i = 0;
    for (; i + 64 <= n; i += 64) {
        __m512i high[4] = {zero, zero, zero, zero}, middle[4] = {zero, zero, zero, zero};
        __m512i low[4] = {half, half, half, half};
        for (int b = 0; b < count; b++) {
            const uint8_t *from = quads[b] + (size_t)i * 4;
            const __m512i w2 = _mm512_set1_epi32(words[3 * b]), w1 = _mm512_set1_epi32(words[3 * b + 1]);
            const __m512i w0 = _mm512_set1_epi32(words[3 * b + 2]);
            for (int j = 0; j < 4; j++) {
                const __m512i v = _mm512_loadu_si512(from + 64 * j);
                high[j] = _mm512_dpbusd_epi32(high[j], v, w2);
                middle[j] = _mm512_dpbusd_epi32(middle[j], v, w1);
                low[j] = _mm512_dpbusd_epi32(low[j], v, w0);
            }
        }
        for (int j = 0; j < 4; j++)
            _mm_storeu_si128((__m128i *)(out + i + 16 * j),
                             _mm512_cvtusepi32_epi8(vnni_sum(high[j], middle[j], low[j])));
    }
    for (; i < n; i += 16) {
        __m512i high = zero, middle = zero, low = half;
        for (int b = 0; b < count; b++) {
            const __m512i v = _mm512_loadu_si512(quads[b] + (size_t)i * 4);
            high = _mm512_dpbusd_epi32(high, v, _mm512_set1_epi32(words[3 * b]));
            middle = _mm512_dpbusd_epi32(middle, v, _mm512_set1_epi32(words[3 * b + 1]));
            low = _mm512_dpbusd_epi32(low, v, _mm512_set1_epi32(words[3 * b + 2]));
        }
        const __mmask16 mask = n - i >= 16 ? 0xffff : (__mmask16)((1u << (n - i)) - 1);
        _mm512_mask_cvtusepi32_storeu_epi8(out + i, mask, vnni_sum(high, middle, low));
    }
}

const resize_kernel resize_vnni = {.name = "AVX-512 VNNI",
                                   .supported = have_vnni,
                                   .words_per_quad = 3,
                                   .pack_weights = vnni_pack,
                                   .rows = vnni_rows,
                                   .column = vnni_column};

/* --- AVX2 --- */

static bool have_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

/* Four words of two 16-bit numbers: low and high pieces of the even taps, then of the odd ones. */
static void avx2_pack(const int32_t weight[4], int32_t *words)
{
    int16_t pieces[4][2];
    for (int t = 0; t < 4; t++) {
        const int32_t low = weight[t] & 0xfff;
        pieces[t % 2 * 2][t / 2] = (int16_t)low;
        pieces[t % 2 * 2 + 1][t / 2] = (int16_t)((weight[t] - low) / 4096);
    }
    memcpy(words, pieces, sizeof pieces);
}

typedef struct avx2_weights {
    __m256i low_even, high_even, low_odd, high_odd;
} avx2_weights;

TARGET_AVX2 static inline avx2_weights avx2_load_weights(const int32_t *words)
{
    return (avx2_weights){_mm256_set1_epi32(words[0]), _mm256_set1_epi32(words[1]),
                          _mm256_set1_epi32(words[2]), _mm256_set1_epi32(words[3])};
}

TARGET_AVX2 static inline void avx2_add(__m256i *low, __m256i *high, const uint8_t *from,
                                        const avx2_weights *w)
{
    const __m256i v = _mm256_loadu_si256((const __m256i *)from);
    const __m256i even = _mm256_and_si256(v, _mm256_set1_epi16(0xff)), odd = _mm256_srli_epi16(v, 8);
    *low = _mm256_add_epi32(
        *low, _mm256_add_epi32(_mm256_madd_epi16(even, w->low_even), _mm256_madd_epi16(odd, w->low_odd)));
    *high = _mm256_add_epi32(
        *high, _mm256_add_epi32(_mm256_madd_epi16(even, w->high_even), _mm256_madd_epi16(odd, w->high_odd)));
}

TARGET_AVX2 static inline __m256i avx2_sum(__m256i low, __m256i high)
{
    return _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(high, 12), low), WEIGHT_BITS);
}

TARGET_AVX2 static inline __attribute__((always_inline)) void
avx2_pixels(const quad_axis *x, const int most, const uint8_t *scratch, uint8_t *out)
{
    /* bytes of rows 0 2 1 3 (what packing leaves) -> (channel, row) */
    const __m128i by_row = _mm_setr_epi8(0, 8, 4, 12, 1, 9, 5, 13, 2, 10, 6, 14, 3, 11, 7, 15);
    const __m256i half = _mm256_set1_epi32(WEIGHT_HALF);
    const int32_t *words = x->words;
    for (int i = 0; i < x->count; i++, out += 12) {
        const uint8_t *from = scratch + (size_t)(x->first[i] - x->lowest) * 64;
        __m256i low01 = half, low23 = half, high01 = _mm256_setzero_si256(), high23 = high01;
        for (int q = 0; q < most; q++, from += 64, words += 4) {
            const avx2_weights w = avx2_load_weights(words);
            avx2_add(&low01, &high01, from, &w);
            avx2_add(&low23, &high23, from + 32, &w);
        }
        const __m256i words16 = _mm256_packus_epi32(avx2_sum(low01, high01), avx2_sum(low23, high23));
        const __m256i bytes = _mm256_packus_epi16(words16, words16);
        const __m128i rows0213 =
            _mm_unpacklo_epi64(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
        _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(rows0213, by_row));
    }
}

TARGET_AVX2 static void avx2_rows(const uint8_t *const row[4], int width, const quad_axis *x,
                                  uint8_t *scratch, uint8_t *out)
{
    const __m128i by_channel = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
    const int safe = (width * 3 - 16) / 12;
    uint8_t *quad = scratch;
    for (int q = x->lowest; q <= x->highest; q++)
        for (int r = 0; r < 4; r++, quad += 16) {
            uint8_t copy[16];
            const uint8_t *from =
                width >= 6 && q <= safe ? row[r] + (size_t)q * 12 : safe_quad(row[r], width, q, copy);
            _mm_storeu_si128((__m128i *)quad,
                             _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)from), by_channel));
        }
    switch (x->most) {
    case 1: avx2_pixels(x, 1, scratch, out); break;
    case 2: avx2_pixels(x, 2, scratch, out); break;
    case 3: avx2_pixels(x, 3, scratch, out); break;
    case 4: avx2_pixels(x, 4, scratch, out); break;
    case 5: avx2_pixels(x, 5, scratch, out); break;
    default: avx2_pixels(x, x->most, scratch, out);
    }
}

/* 16 columns from i on. */
TARGET_AVX2 static inline __m128i avx2_columns(const uint8_t *const *quads, int count, const int32_t *words,
                                               int i)
{
    __m256i low0 = _mm256_set1_epi32(WEIGHT_HALF), low1 = low0, high0 = _mm256_setzero_si256(), high1 = high0;
    for (int b = 0; b < count; b++) {
        const avx2_weights w = avx2_load_weights(words + 4 * b);
        avx2_add(&low0, &high0, quads[b] + (size_t)i * 4, &w);
        avx2_add(&low1, &high1, quads[b] + (size_t)i * 4 + 32, &w);
    }
    /* packing works within 128-bit halves; the permutation puts the columns in order */
    const __m256i words16 =
        _mm256_permute4x64_epi64(_mm256_packus_epi32(avx2_sum(low0, high0), avx2_sum(low1, high1)), 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(words16), _mm256_extracti128_si256(words16, 1));
}

TARGET_AVX2 static void avx2_column(const uint8_t *const *quads, int count, const int32_t *words, int n,
                                    uint8_t *out)
{
    int i = 0;
    for (; i + 16 <= n; i += 16)
        _mm_storeu_si128((__m128i *)(out + i), avx2_columns(quads, count, words, i));
    if (i < n) {
        uint8_t rest[16];
        _mm_storeu_si128((__m128i *)rest, avx2_columns(quads, count, words, i));
        memcpy(out + i, rest, (size_t)(n - i));
    }
}

const resize_kernel resize_avx2 = {.name = "AVX2",
                                   .supported = have_avx2,
                                   .words_per_quad = 4,
                                   .pack_weights = avx2_pack,
                                   .rows = avx2_rows,
                                   .column = avx2_column};

const resize_kernel *const resize_kernels[] = {&resize_vnni, &resize_avx2, &resize_plain};
const size_t resize_kernel_count = 3;

#else /* other processors: the plain kernel */
const resize_kernel *const resize_kernels[] = {&resize_plain};
const size_t resize_kernel_count = 1;
#endif
