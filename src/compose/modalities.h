/* compose/modalities.h -- cn_study_multimodal with any source of activations, for tests that invent one. */
#ifndef COMPOSE_MODALITIES_H
#define COMPOSE_MODALITIES_H

#include "clipneuron/multimodal.h"
#include "study/source.h"

/* from: with the study's site as its only one; NULL when nothing is drawn. */
cn_status modalities_run(cn_study *s, source *from, const cn_multimodal_options *options, cn_multimodal **out, cn_error *err);

#endif
