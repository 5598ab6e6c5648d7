/* study/sample.h -- a seeded order of the pictures that depends on their paths alone, and samples by
 * it: the same whatever the order, the threads or the division of the work. */
#ifndef STUDY_SAMPLE_H
#define STUDY_SAMPLE_H

#include <stdint.h>

/* The sampling order: pictures with smaller keys are taken first. */
uint64_t sample_key(uint64_t seed, const char *path);

/* Which of n equal buckets between low and high a value is in. */
int bucket_of(float value, float low, float high, int buckets);

/* For every unit, up to `per` pictures of each bucket between its minimum and its maximum, those with the smallest keys
 * (ties: the smaller number).
 * values: (images, units); keys: (images), low, high: (units)
 * chosen: (units, buckets, per) picture numbers, rising by key, -1 behind the last. */
void sample_buckets(const float *values, int64_t images, int64_t units, const uint64_t *keys,
                    const float *low, const float *high, int buckets, int per, int32_t *chosen);

/* The k pictures with the smallest keys, in rising order of number: picked[0..] of *n. picked: (k). */
void sample_images(const uint64_t *keys, int64_t images, int64_t k, int32_t *picked, int64_t *n);

#endif
