/* study/reporter.h -- tells the caller of a scan or a merge how far it is. */
#ifndef STUDY_REPORTER_H
#define STUDY_REPORTER_H

#include "clipneuron/study.h"

typedef struct reporter {
    cn_scan_callback *callback; /* NULL: nobody asks */
    void *user;
    int64_t failed;      /* pictures, to be told */
    double started, last; /* s */
    struct {
        double time;
        int64_t done;
    } past[64]; /* ring: recent reports, for the rate */
    size_t n_past;
} reporter;

double reporter_clock(void); /* s */
void reporter_begin(reporter *r, cn_scan_callback *callback, void *user);
/* Tells the caller; false when it wants to stop. `always` for the end of a phase. */
bool reporter_tell(reporter *r, cn_scan_phase phase, int64_t done, int64_t total, bool always);

#endif
