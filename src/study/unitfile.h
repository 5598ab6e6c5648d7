/* study/unitfile.h -- a site's statistics as arrays of a .npz file, whole: what was saved goes on or is merged as if it
 * had never left memory. numpy reads it; docs/study.md lists the arrays. */
#ifndef STUDY_UNITFILE_H
#define STUDY_UNITFILE_H

#include "clipneuron/array.h"
#include "study/unitstats.h"

/* Adds the arrays NUMBER.count, NUMBER.moments, ... */
cn_status unitfile_save(const unitstats *s, int number, cn_npz_writer *out, cn_error *err);

/* Reads them into new statistics of that shape. The file is untrusted: pictures are 0..images-1 afterwards, positions on the map.
 * path: for messages. On failure s holds what unitstats_free accepts. CN_EFORMAT: damaged, or of another shape. */
cn_status unitfile_load(unitstats *s, int number, const unit_shape *shape, int64_t images, const cn_arrays *in, const char *path,
                        cn_error *err);

#endif
