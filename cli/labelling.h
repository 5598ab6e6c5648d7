/* cli/labelling.h -- the loop of `clipneuron label` on a terminal: a picture, a key, the next picture. */
#ifndef CLI_LABELLING_H
#define CLI_LABELLING_H

#include "termpicture.h"

#include <clipneuron/rating.h>

/* Shows the unit's pictures that the rater has not answered yet, in the rater's order; each answer is kept at once. Needs
 * terminals for standard input and output, and categories. Ends when all are answered, at q, or by Ctrl-C and other signals; the
 * terminal is as before then. Reports; EXIT_DONE, EXIT_FAILED or 128 + a signal's number. */
int labelling(cn_study *study, cn_unit_ref ref, const char *rater, term_picture kind);

#endif
