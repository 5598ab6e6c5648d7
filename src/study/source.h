/* study/source.h -- where a scan's activations come from: a model's runners, or a test's invention. */
#ifndef STUDY_SOURCE_H
#define STUDY_SOURCE_H

#include "base/check.h"
#include "clipneuron/study.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct source {
    /* Facts for the study; borrowed by everyone, valid until close. */
    char model_name[64], model_file[256], fingerprint[65], backend[128];
    const char *precision;
    int resolution, embedding; /* px; values (0: no embedding) */
    const float *mean, *std;   /* of RGB pixels, (3); NULL: CLIP's */
    const cn_site *sites[CN_MAX_STUDY_SITES];
    size_t n_sites;
    int64_t batch;

    /* Runs n normalised pictures (n, 3, R, R), n <= batch; the values below are of this run. */
    cn_status (*images)(struct source *s, const float *pixels, int64_t n, cn_error *err);
    const float *(*site)(const struct source *s, size_t i);
    const float *(*image_embedding)(const struct source *s); /* (n, embedding) */
    /* Embeds texts into (n, embedding). known[i] = false: the model has never seen a token of text i;
     * such rows are zero. NULL when the source has no text tower. */
    cn_status (*texts)(struct source *s, const char *const *texts, size_t n, float *embeddings, bool *known,
                       bool (*go_on)(void *user, size_t done, size_t total), void *user, cn_error *err);
    void (*close)(struct source *s);
    void *self;
} source;

/* Opens the runners that the options ask for; pictures: for pictures, too. The model must outlive the source. */
cn_status source_open_model(source *s, const cn_model *model, const cn_scan_options *options, bool pictures, cn_error *err);

/* cn_study_scan with any source. */
cn_status scan_source(source *s, const char *images, const char *study, const cn_scan_options *options,
                      cn_scan_result *result, cn_error *err);
/* cn_study_merge with any source, which has the parts' sites. */
cn_status merge_source(source *s, const char *const *parts, size_t n, const char *study, const cn_scan_options *options,
                       cn_scan_result *result, cn_error *err);

#endif
