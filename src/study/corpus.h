/* study/corpus.h -- pictures, activations, words and labels of a study in memory, as far as finding and naming units needs them. */
#ifndef STUDY_CORPUS_H
#define STUDY_CORPUS_H

#include "study/reader.h"
#include "study/share.h"
#include "study/source.h"

#define CORPUS_PICTURES 8192 /* at most, unless asked for others */

/* A sample of the pictures: those with the smallest keys (sample.h, seed 0); copies of a picture have the key of the first. Those with
 * an even key come first ("halves" below), each half in the order of keys. */
typedef struct corpus_pictures {
    int64_t n, even; /* all; with an even key */
    int64_t width, units;
    int64_t *image;   /* (n): rows of the matrices */
    float *embedding; /* (n, width) of length 1 */
    float *values;    /* (units, n): activation, reduced as the study does; NULL without a site */
} corpus_pictures;

/* On failure p holds what corpus_pictures_free accepts. CN_ENOTFOUND when the study has no matrices. */
cn_status corpus_pictures_read(corpus_pictures *p, cn_study *s, size_t site, int64_t most, cn_error *err);
void corpus_pictures_free(corpus_pictures *p);

/* Words that the model knows, with their embeddings. */
typedef struct corpus_words {
    char **word; /* (n) */
    int64_t n, width;
    float *text;     /* (n, width) of length 1 */
    float *centre;   /* (width): their mean */
    int64_t *order;  /* (n) without regard to case */
    int64_t unknown; /* left out */
} corpus_words;

/* Of the study: its table and words.npy. n = 0 for a study without words; CN_ENOTFOUND without words.npy. */
cn_status corpus_words_read(corpus_words *w, cn_study *s, cn_error *err);
/* Others, through the text tower: list (n) with each word in the template. */
typedef bool corpus_go_on(void *user, size_t done, size_t total);
cn_status corpus_words_embed(corpus_words *w, source *from, const char *const *list, size_t n, const char *template, corpus_go_on *go_on,
                             void *user, cn_error *err);
/* The word's number without regard to case, or -1. */
int64_t corpus_words_find(const corpus_words *w, const char *word);
void corpus_words_free(corpus_words *w);

/* Labels as the words that they are: the last part of a path, underscores as spaces. */
typedef struct corpus_labels {
    char **name, **word; /* (n): as the study has it, as a word */
    int64_t *images;     /* (n): how many have it */
    int64_t n;
} corpus_labels;

cn_status corpus_labels_read(corpus_labels *l, cn_study *s, cn_error *err);
/* The label that a text equals without regard to case, as it is or as a word; -1. */
int64_t corpus_labels_find(const corpus_labels *l, const char *text);
void corpus_labels_free(corpus_labels *l);

/* A template with one "{}", or CN_EINVAL. */
cn_status corpus_check_template(const char *template, cn_error *err);

/* What is known of every unit of a site: arrays (units), owned by the struct. */
typedef struct corpus_units {
    int64_t n, live;
    bool *dead;
    double *mean, *sd, *rms;
    int64_t *label; /* own label, -1: none */
    double *purity;
} corpus_units;

cn_status corpus_units_read(corpus_units *u, cn_study *s, size_t site, cn_error *err);
void corpus_units_free(corpus_units *u);

#endif
