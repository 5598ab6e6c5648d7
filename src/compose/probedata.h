/* compose/probedata.h -- what a probe is fitted to: pictures of a study with their classes, divided, and the units' values. */
#ifndef COMPOSE_PROBEDATA_H
#define COMPOSE_PROBEDATA_H

#include "clipneuron/probe.h"
#include "study/reader.h"

typedef struct probedata {
    char **name;             /* (classes), in the order of bytes */
    int64_t classes, units;
    int64_t *class_train, *class_test; /* (classes): pictures */
    int64_t n, m;            /* training and held-out pictures */
    int64_t *train, *test;   /* their rows in the matrices, rising */
    int32_t *y, *y_test;     /* (n), (m) */
    float *x;                /* (units, n) standardised */
    float *x_test;           /* (m, units) with the same mean and sd */
    double *mean, *sd;       /* (units); sd 0: constant */
    int64_t without, left_classes, left_pictures;
} probedata;

/* options: with their defaults filled in. On failure d holds what probedata_free accepts. */
cn_status probedata_read(probedata *d, cn_study *s, const cn_probe_options *options, cn_error *err);
void probedata_free(probedata *d);

#endif
