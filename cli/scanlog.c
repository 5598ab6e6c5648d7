/* cli/scanlog.c */
#include "scanlog.h"

#include <time.h>

#define LOG_EVERY 60.0 /* s */

const char *scan_phase(cn_scan_phase phase)
{
    static const char *const phases[] = {"listing", "images", "words", "writing"};
    return phases[phase];
}

void scan_log(FILE *out, const cn_scan_progress *p, double *logged)
{
    char now[32];
    struct tm t;
    const time_t clock = time(NULL);
    if (p->seconds - *logged < LOG_EVERY)
        return;
    *logged = p->seconds;
    gmtime_r(&clock, &t);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &t);
    fprintf(out, "{\"time\": \"%s\", \"phase\": \"%s\", \"done\": %lld, \"total\": %lld, \"failed\": %lld, \"seconds\": %.1f", now,
            scan_phase(p->phase), (long long)p->done, (long long)p->total, (long long)p->failed, p->seconds);
    if (p->images_per_second > 0)
        fprintf(out, ", \"images_per_second\": %.1f, \"seconds_left\": %.0f", p->images_per_second,
                (double)(p->total - p->done) / p->images_per_second);
    fputs("}\n", out);
}
