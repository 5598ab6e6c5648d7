/* compose/attackset.h -- what experiments with written words share: the pictures of a collection, classes and prompts as vectors, a
 * runner, answers and counts. */
#ifndef COMPOSE_ATTACKSET_H
#define COMPOSE_ATTACKSET_H

#include "base/check.h"
#include "clipneuron/attack.h"
#include "compose/texttower.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- memory that is released together ---- */

typedef struct bag {
    void **items;
    size_t n, room;
} bag;

/* Zeroed; NULL when out of memory. */
void *bag_calloc(bag *b, size_t count, size_t size);
/* "" for NULL. */
char *bag_text(bag *b, const char *text);
/* Copies of n texts, as an array. */
const char **bag_texts(bag *b, const char *const *texts, size_t n);
void bag_free(bag *b);

/* ---- a session ---- */

typedef struct attack_picture {
    char *path;
    int label; /* a class, or -1 */
    uint64_t key;
} attack_picture;

typedef struct attack_set {
    const cn_model *model;
    cn_attack_options o; /* with defaults in place of zeroes, but classes and prompts: below */
    int side;            /* px */
    int64_t width;       /* of embeddings */
    bag memory;          /* of what follows */
    const char **classes;
    size_t n_classes;
    const char **prompts;
    size_t n_prompts;
    float **plain; /* (n_prompts) of (n_classes, width), of length 1; NULL for prompts with {text} */

    attack_picture *pictures; /* (n), by key: any first part is a sample */
    uint8_t *rgb;             /* (n, side, side, 3) */
    int64_t n, failed;        /* n: with those that came for their label alone */
    int64_t n_sample;         /* of them the random ones, in front */
    char *collection_name, *model_file;

    texttower tower; /* opened by the first texts */
    cn_runner *runner;
    float *pixels; /* (batch, 3, side, side) */
    const cn_site *site; /* read beside the embedding, or NULL */
} attack_set;

/* Opens a runner and embeds the prompts. collection NULL: no pictures, and classes must be given. more: classes to add (targets); all_of_more: also
 * take every picture that has one of their labels. site: to read as well, or NULL. On failure s holds what attack_set_close accepts. */
cn_status attack_set_open(attack_set *s, const cn_model *model, const char *collection, const char *const *more, size_t n_more,
                          bool all_of_more, const cn_site *site, const cn_attack_options *options, cn_error *err);
void attack_set_close(attack_set *s);

/* Whether prompt p has {text}. */
bool attack_wants_text(const attack_set *s, size_t p);
/* (n_prompts) pointers to (n_classes, width) for a text; those without {text} are the set's own. *vectors: in the bag. */
cn_status attack_vectors(attack_set *s, bag *b, const char *text, const float *const **vectors, cn_error *err);
/* Any texts, (n, width), of length 1. */
cn_status attack_embed_texts(attack_set *s, const char *const *texts, size_t n, float *out, cn_error *err);
/* Runs at most o.batch pictures (n, side, side, 3). out: (n, width) of length 1, or NULL. The runner has the site's values. */
cn_status attack_embed(attack_set *s, const uint8_t *rgb, int64_t n, float *out, cn_error *err);
/* The class with the largest cosine; the first of equals. */
int attack_answer(const float *embedding, const float *classes, size_t n, int64_t width);
double attack_dot(const float *a, const float *b, int64_t n);
/* The number of a class, without regard to case; -1. */
int attack_class(const attack_set *s, const char *name);
const uint8_t *attack_rgb(const attack_set *s, int64_t picture);
cn_status attack_go_on(const attack_set *s, const char *what, int64_t done, int64_t total, cn_error *err);

cn_share attack_share(int64_t hits, int64_t of);
/* template with every {} and {text} filled in; cn_free. text NULL: {text} stays. */
char *attack_fill(const char *prompt, const char *name, const char *text);

#endif
