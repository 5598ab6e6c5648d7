/* study/served.h -- writes into a study which classes its units serve and which of them read (src/compose finds that). */
#ifndef STUDY_SERVED_H
#define STUDY_SERVED_H

#include "clipneuron/attack.h"
#include "clipneuron/probe.h"

/* A probe's terms in place of those that were kept before, of a site. CN_EINVAL: the study has no such unit. */
cn_status served_keep(cn_study *s, size_t site, const cn_probe *probe, cn_error *err);
/* Units that read, the strongest first, in place of those that were kept before. */
cn_status readers_keep(cn_study *s, size_t site, const cn_reader_unit *units, size_t n, cn_error *err);

#endif
