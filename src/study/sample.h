/* study/sample.h -- a seeded order of the pictures that depends on their paths alone, for samples that
 * are the same whatever the order, the threads or the division of the work. */
#ifndef STUDY_SAMPLE_H
#define STUDY_SAMPLE_H

#include <stdint.h>

/* The sampling order: pictures with smaller keys are taken first. */
uint64_t sample_key(uint64_t seed, const char *path);

/* Which of n equal buckets between low and high a value is in. */
int bucket_of(float value, float low, float high, int buckets);

#endif
