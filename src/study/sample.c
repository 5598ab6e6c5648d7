/* study/sample.c -- hashes of paths as random numbers. */
#include "study/sample.h"

static uint64_t mix(uint64_t x) /* splitmix64's finaliser */
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t sample_key(uint64_t seed, const char *path)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const unsigned char *c = (const unsigned char *)path; *c; c++)
        h = (h ^ *c) * UINT64_C(0x100000001b3);
    return mix(h ^ mix(seed + UINT64_C(0x9e3779b97f4a7c15)));
}

int bucket_of(float value, float low, float high, int buckets)
{
    if (!(high > low))
        return 0;
    int b = (int)(((double)value - low) / ((double)high - low) * buckets);
    return b < 0 ? 0 : b >= buckets ? buckets - 1 : b;
}

void sample_buckets(const float *values, int64_t images, int64_t units, const uint64_t *keys,
                    const float *low, const float *high, int buckets, int per, int32_t *chosen)
{
    for (int64_t i = 0; i < units * buckets * per; i++)
        chosen[i] = -1;
    for (int64_t i = 0; per > 0 && i < images; i++)
        for (int64_t u = 0; u < units; u++) {
            int b = bucket_of(values[i * units + u], low[u], high[u], buckets);
            int32_t *list = chosen + (u * buckets + b) * per;
            int at = per - 1;
            if (list[at] >= 0 && keys[list[at]] <= keys[i])
                continue;
            for (; at > 0 && (list[at - 1] < 0 || keys[list[at - 1]] > keys[i]); at--)
                list[at] = list[at - 1];
            list[at] = (int32_t)i;
        }
}

static int64_t below(const uint64_t *keys, int64_t images, uint64_t limit)
{
    int64_t n = 0;
    for (int64_t i = 0; i < images; i++)
        n += keys[i] <= limit;
    return n;
}

void sample_images(const uint64_t *keys, int64_t images, int64_t k, int32_t *picked, int64_t *n)
{
    /* The k-th smallest key by bisection over its 64 bits: no memory, 64 passes. */
    uint64_t low = 0, high = UINT64_MAX;
    *n = 0;
    if (k >= images)
        low = UINT64_MAX;
    else
        while (low < high) {
            uint64_t middle = low + (high - low) / 2;
            if (below(keys, images, middle) >= k)
                high = middle;
            else
                low = middle + 1;
        }
    for (int64_t i = 0; i < images && (*n < k); i++)
        if (keys[i] <= low)
            picked[(*n)++] = (int32_t)i;
}
