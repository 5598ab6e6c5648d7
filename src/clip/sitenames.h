/* clip/sitenames.h -- from the names that people write to the sites of a model.
 * Canonical names are the module paths of the original PyTorch code plus BLOCK.add, the sum before a
 * bottleneck's last ReLU. docs/sites.md lists them and everything else that is understood here.
 * Knows nothing about tensors: it works on an array of names. */
#ifndef CLIP_SITENAMES_H
#define CLIP_SITENAMES_H

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

#define CLIP_MAX_SITE_NAME 200 /* bytes of a name that somebody writes */

/* For messages. */
typedef struct clip_alias_context {
    const char *file; /* the model's path */
} clip_alias_context;

/** Finds the site that somebody means.
 * @param names the n canonical names of the model, entries for whole blocks and stages among them
 * @param ctx NULL, or what to say in a message
 * @param[out] index untouched on failure
 * @return CN_OK; CN_ENOTFOUND with the three to five nearest names */
CN_MUST_CHECK cn_status clip_site_lookup(const char *const *names, size_t n, const clip_alias_context *ctx,
                                         const char *wanted, size_t *index, cn_error *err);

/** Splits "SITE:UNIT" at its last colon; a leading "pre:" belongs to the site.
 * @param[out] site_length bytes of text that name the site
 * @param[out] unit >= 0; whether the site has so many units is for the caller to check
 * @return CN_OK; CN_EINVAL */
CN_MUST_CHECK cn_status clip_unit_parse(const char *text, size_t *site_length, int64_t *unit, cn_error *err);

/* How far apart two names are, for suggestions: insertions, deletions, substitutions and swaps of
 * neighbours; '.', '_' and '/' are one, as are letters of both cases. One edit costs CLIP_NAME_STEP,
 * one digit for another half of that and their difference. */
#define CLIP_NAME_STEP 4096
int clip_name_distance(const char *a, const char *b);

#endif
