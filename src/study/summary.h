/* study/summary.h -- small answers that several questions need. */
#ifndef STUDY_SUMMARY_H
#define STUDY_SUMMARY_H

#include "study/reader.h"

/* Queries of a name and a number, as lists of cn_tally. */
extern const row_kind summary_tallies;

#endif
