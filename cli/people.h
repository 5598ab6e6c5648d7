/* cli/people.h -- names about people (places, religions, traits) get a warning with base rates wherever units bear them. */
#ifndef CLI_PEOPLE_H
#define CLI_PEOPLE_H

#include "json.h"

#include <clipneuron/multimodal.h>

#define PEOPLE_NAMED 12 /* in the warning; the others are counted */

struct people {
    cn_study *study;    /* for base rates; NULL: `rate` knows them, or nobody does */
    double (*rate)(const void *user, const char *name); /* NaN: not known */
    const void *user;
    const char **names; /* borrowed, each once */
    size_t count;
};

void people_begin(struct people *p, cn_study *study);
/* Takes note of a name that is about people, and of nothing else. */
void people_note(struct people *p, const char *name);
/* A paragraph behind the command's table; nothing where no name is about people. Frees p. */
void people_print(struct people *p);
/* The same as a line of the error output, behind a CSV that a program reads. */
void people_tell(struct people *p);
/* "warnings": for each name its family, base rate (null without a study) and the sentence. Frees p. */
void people_json(struct people *p, struct json *j);

#endif
