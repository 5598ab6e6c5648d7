/* cli/scanning.h -- what scan and merge have in common: progress, and the table at the end. */
#ifndef CLI_SCANNING_H
#define CLI_SCANNING_H

#include <clipneuron/study.h>

struct scan_progress {
    bool quiet, may_be_nothing;
    bool nothing;        /* found out while scanning: there are no pictures */
    int64_t done, total; /* images */
    double logged;       /* s: when the last line was written */
    int phase;           /* that is shown, from 1 */
    int64_t base;        /* what was done when it began: by an earlier run */
};

/* A cn_scan_callback for a struct scan_progress: a bar on a terminal; elsewhere a JSON line a minute on stderr. */
bool scan_progress(const cn_scan_progress *p, void *user);

struct scan_show {
    int64_t units; /* in the table */
    bool json, quiet;
};

/* Prints the most interesting units of the study and a line about the scan; an exit code. */
int scan_show(const char *study, const struct scan_show *how, const cn_scan_result *result);

#endif
