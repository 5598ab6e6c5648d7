/* study/modality.h -- writes what was found about units and concepts into a study (clipneuron/multimodal.h; src/compose finds it). */
#ifndef STUDY_MODALITY_H
#define STUDY_MODALITY_H

#include "clipneuron/multimodal.h"
#include "study/reader.h"

typedef struct modality_row {
    int64_t unit;
    int rank; /* 0: the unit's best concept */
    cn_multimodal_fact fact; /* borrowed; created is not read */
} modality_row;

typedef struct family_row {
    int64_t unit;
    cn_family_fact fact; /* borrowed; created is not read */
} family_row;

/* Rows of a site, in place of those of the same units, or (whole) of the whole site; all or none. */
cn_status modality_keep(cn_study *s, size_t site, bool whole, const modality_row *rows, size_t n, const family_row *families, size_t n_families,
                        cn_error *err);

#endif
