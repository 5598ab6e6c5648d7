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
