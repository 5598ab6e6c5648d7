/* compose/wordspace.h -- a space of drawn words inside the library, so that tests can make one of numbers. */
#ifndef COMPOSE_WORDSPACE_H
#define COMPOSE_WORDSPACE_H

#include "clipneuron/textunits.h"
#include "study/wordlist.h"

struct cn_word_space {
    wordlist list; /* sorted */
    int64_t units;
    float *values;     /* (count, units): centred */
    float *directions; /* (count, units): the same of length 1 */
    char *site;        /* its name; NULL in a space made of numbers */
    bool rectified;    /* values above zero count: the site is the sum before a ReLU */
};

/* Centres s->values, and fills directions. */
cn_status wordspace_finish(cn_word_space *s, cn_error *err);
/* sd: (units), of each unit's values over all words. */
void wordspace_deviations(const cn_word_space *s, double *sd);

#endif
