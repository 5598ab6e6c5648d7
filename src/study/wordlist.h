/* study/wordlist.h -- the words that units are compared with: built in, from the collection's labels,
 * from a file. */
#ifndef STUDY_WORDLIST_H
#define STUDY_WORDLIST_H

#include "base/check.h"

#include <stddef.h>

typedef struct wordlist {
    char **words; /* unique without regard to (ASCII) case, and sorted so */
    size_t count, room;
} wordlist;

/* models/words/common.txt, compiled in by the build. */
extern const char *const wordlist_common[];
extern const size_t wordlist_common_count;

/* White space at the ends is cut; empty words are passed over. CN_ELIMIT beyond CN_MAX_STUDY_WORDS. */
cn_status wordlist_add(wordlist *l, const char *word, size_t length, cn_error *err);
/* One word or phrase a line; lines that begin with # are comments. */
cn_status wordlist_add_file(wordlist *l, const char *path, cn_error *err);
/* A label as a word: the last part of a path, underscores as spaces. */
cn_status wordlist_add_label(wordlist *l, const char *label, cn_error *err);
cn_status wordlist_add_common(wordlist *l, cn_error *err);
/* Sorts and drops doubles. */
void wordlist_finish(wordlist *l);
void wordlist_free(wordlist *l);

/* template with the word for its "{}", owned by the caller (cn_free); NULL when out of memory. */
char *wordlist_prompt(const char *template, const char *word);

#endif
