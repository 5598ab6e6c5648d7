/* cli/scanlog.h -- what a scan writes to a log: a line of JSON a minute. */
#ifndef CLI_SCANLOG_H
#define CLI_SCANLOG_H

#include <clipneuron/study.h>
#include <stdio.h>

/* Writes where the scan is, once a minute. *logged: p->seconds of the last line, 0 at first. */
void scan_log(FILE *out, const cn_scan_progress *p, double *logged);

/* "images", ... */
const char *scan_phase(cn_scan_phase phase);

#endif
