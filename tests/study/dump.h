/* tests/study/dump.h -- a study as text: all that must not depend on how it was made. */
#ifndef TESTS_STUDY_DUMP_H
#define TESTS_STUDY_DUMP_H

/* A line for each row of dir/study; owned by the caller (free). */
char *dump_study(const char *dir, const char *study);
/* Fails unless both are the same; numbers with a fraction may differ by the tolerance, relative (0: not at all). */
void dump_same(const char *a, const char *b, double tolerance);

#endif
