/* vis/probeclass.h -- one class of a linear probe (clipneuron/probe.h) out of the probe's file, for objectives. compose/probefile.c
 * writes such files and reads whole ones; this reads what a logit needs. */
#ifndef VIS_PROBECLASS_H
#define VIS_PROBECLASS_H

#include "base/check.h"
#include "clipneuron/model.h"

enum { PROBE_FORMAT = 1, PROBE_SETTINGS = 24, PROBE_TEXTS = 8 }; /* of the file: docs/compose.md */

/* logit = constant + sum_u weight_u a_u, where a_u is the spatial mean of unit u, or with relu max(0, mean). */
typedef struct probeclass {
    const cn_site *site; /* the model's */
    float *weight;       /* (site->units): weight / sd; owned, probeclass_free */
    double constant;     /* intercept - sum weight mean / sd */
    bool relu;
} probeclass;

/** @param name without regard to case, where no class has it exactly
 * @return CN_OK; CN_ENOTFOUND (no such file; no such class, with the nearest names; no such site), CN_EMISMATCH (a probe of another
 *         model), CN_EINVAL (a class with no unit in its equation), CN_EFORMAT, CN_EUNSUPPORTED (no probe, damaged, or of another
 *         format), CN_ENOMEM. Files are untrusted */
CN_MUST_CHECK cn_status probeclass_read(probeclass *out, const cn_model *model, const char *path, const char *name, cn_error *err);
void probeclass_free(probeclass *c);

#endif
