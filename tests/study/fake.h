/* tests/study/fake.h -- activations invented from the pixels, so that a scan can be tested without a
 * model, and small pictures to scan. */
#ifndef TESTS_STUDY_FAKE_H
#define TESTS_STUDY_FAKE_H

#include "study/source.h"

#define FAKE_RESOLUTION 24
#define FAKE_UNITS 6 /* the last is dead, the one before never positive */
#define FAKE_EMBEDDING 4

/* Site 0 "visual.layer4.0.add": (6, 3, 3); site 1 "visual.tokens": (1 + 2*2, 6); site 2 "visual.out": (6). */
void fake_open(source *s, const char *fingerprint, int64_t batch);
/* Leaves only site 1, the one that has a class token; what site 2 gives is what site 1 has there. */
void fake_tokens_alone(source *s);
/* From now on the n-th run gives NaN (0: none). */
void fake_break_run(source *s, int n);
/* Activation (spatial mean) of a unit at a site for normalised pixels (3, R, R), as the source computes it. */
float fake_mean(size_t site, int unit, const float *pixels);

/* A folder of `n` PNG pictures for each of two labels, a colour and a brightness for each, a text file that is no
 * picture, a broken PNG, and labels.csv beside it with media "line" and "word" and a column of its own, "stars" (0 to 4). */
void fake_collection(const char *dir, int n);
/* Scans dir/pics to dir/study, with CN_REDUCE_CLASS the tokens alone; fails the test on error. */
void fake_scan(const char *dir, const char *study, const cn_scan_options *options, cn_scan_result *result);

#endif
