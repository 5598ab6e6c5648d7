/* study/scan.h -- the state of a scan, shared by its two halves: scan.c runs the pictures through the
 * network, harvest.c turns what was gathered into the study. */
#ifndef STUDY_SCAN_H
#define STUDY_SCAN_H

#include "study/listing.h"
#include "study/matrix.h"
#include "study/source.h"
#include "study/store.h"
#include "study/studyfolder.h"
#include "study/unitstats.h"
#include "study/wordlist.h"

typedef struct scan_site {
    const cn_site *site;
    const char *short_name; /* less "visual." */
    int64_t height, width;  /* of the map; 0: none */
    int64_t offset;         /* tokens before the map (the class token) */
    float *mean, *peak;     /* (units) of one picture */
    int32_t *position;
    int16_t *place; /* the same as the matrix has it */
    unitstats stats;
    matrix means, peaks, places;
} scan_site;

typedef struct scan {
    source *source;
    cn_scan_options options; /* defaults filled in */
    listing list;
    folder folder;
    store *store;
    scan_site sites[CN_MAX_STUDY_SITES];
    size_t n_sites;
    matrix embeddings;
    int64_t *kept; /* listing numbers of the pictures that went through, by study number */
    int64_t images, failed, labelled;
    int64_t words, unknown_words;
    bool has_words;
    bool *written; /* (media) */

    double started, network_seconds;
    double last_report;
    struct {
        double time;
        int64_t done;
    } past[64]; /* ring: recent reports, for the rate */
    size_t n_past;
} scan;

double scan_clock(void); /* s */
/* Tells the caller; false when it wants to stop. `always` for the end of a phase. */
bool scan_report(scan *s, cn_scan_phase phase, int64_t done, int64_t total, bool always);

cn_status scan_harvest(scan *s, cn_error *err);

#endif
