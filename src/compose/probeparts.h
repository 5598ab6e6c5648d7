/* compose/probeparts.h -- the parts of a probe that its files share. */
#ifndef COMPOSE_PROBEPARTS_H
#define COMPOSE_PROBEPARTS_H

#include "clipneuron/probe.h"
#include "compose/probedata.h"
#include "study/source.h"

/* A probe with the strings that it owns. */
typedef struct probe {
    cn_probe public; /* first: a cn_probe is a probe */
    char **strings;
    size_t n_strings, strings_room;
} probe;

/* A copy that the probe owns; NULL when out of memory. */
const char *probe_keep(probe *p, const char *text);
cn_probe_share probe_share(int64_t hits, int64_t of);

/* cn_study_probe with any source of texts; from may be NULL. */
cn_status probe_run(cn_study *s, source *from, const cn_probe_options *options, cn_probe **out, cn_error *err);

/* The zero-shot probe on the held-out pictures; a reason where there cannot be one. */
cn_status probe_zero_shot(probe *p, cn_study *s, source *from, const cn_probe_options *options, const probedata *d, cn_error *err);
/* Each class's check, and the figures over all of them. */
cn_status probe_check(cn_probe *p, const probedata *d, cn_error *err);
/* Names of the units in equations. */
cn_status probe_name_units(probe *p, cn_study *s, size_t site, cn_error *err);

#endif
