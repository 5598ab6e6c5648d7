/* study/harvest.h -- from the parts of a scan to the study: what was added up becomes tables. One part or a thousand: it is
 * the same study. */
#ifndef STUDY_HARVEST_H
#define STUDY_HARVEST_H

#include "study/part.h"
#include "study/reporter.h"
#include "study/source.h"
#include "study/unitstats.h"

#define HARVEST_SAMPLE 8192 /* pictures that words are scored on, at most */

/* How a site's values are read; the same for the scan and the harvest. */
typedef struct site_geometry {
    const cn_site *site;
    const char *short_name; /* less "visual." */
    int64_t height, width;  /* of the map; 0: none */
    int64_t offset;         /* tokens before the map: 1 where there is a class token */
} site_geometry;

/* CN_ELIMIT: too many positions. */
cn_status site_geometry_of(site_geometry *g, const cn_site *site, cn_error *err);
unit_shape site_shape(const site_geometry *g, const cn_scan_options *o, int64_t labels, int64_t media);

/* Makes the study of complete parts. options: those of the parts, filled in, and what to do with words.
 * result: NULL, or filled. */
cn_status harvest(source *s, const cn_scan_options *options, part *const *parts, size_t n, const char *study, reporter *report,
                  cn_scan_result *result, cn_error *err);

#endif
