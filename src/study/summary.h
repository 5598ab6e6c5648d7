/* study/summary.h -- small answers that several questions need. */
#ifndef STUDY_SUMMARY_H
#define STUDY_SUMMARY_H

#include "study/reader.h"

/* Whether the database has a table of that name. */
cn_status summary_has_table(cn_study *s, const char *name, bool *has, cn_error *err);
/* Queries of a name and a number, as lists of cn_tally. */
extern const row_kind summary_tallies;

#endif
