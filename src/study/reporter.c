/* study/reporter.c -- not too often, and with a rate over the last seconds. */
#include "study/reporter.h"

#include <string.h>
#include <time.h>

#define REPORT_EVERY 0.1 /* s */
#define RATE_OVER 5.0    /* s */

double reporter_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void reporter_begin(reporter *r, cn_scan_callback *callback, void *user)
{
    memset(r, 0, sizeof *r);
    r->callback = callback;
    r->user = user;
    r->started = reporter_clock();
}

bool reporter_tell(reporter *r, cn_scan_phase phase, int64_t done, int64_t total, bool always)
{
    const double now = reporter_clock();
    if (!r->callback || (!always && now - r->last < REPORT_EVERY))
        return true;
    r->last = now;
    const size_t ring = sizeof r->past / sizeof *r->past;
    cn_scan_progress p = {.phase = phase, .done = done, .total = total, .failed = r->failed, .seconds = now - r->started};
    if (phase == CN_SCAN_IMAGES) {
        r->past[r->n_past % ring].time = now;
        r->past[r->n_past++ % ring].done = done;
        for (size_t back = 1; back <= r->n_past && back <= ring; back++) {
            const double span = now - r->past[(r->n_past - back) % ring].time;
            if (span > 0)
                p.images_per_second = (double)(done - r->past[(r->n_past - back) % ring].done) / span;
            if (span > RATE_OVER)
                break;
        }
    }
    return r->callback(&p, r->user);
}
