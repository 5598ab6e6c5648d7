/* clipneuron/textsee.h -- texts that drive a unit, a direction or a text: the best of a list, and a search.
 *
 * A text is scored by the cosine of its embedding with a direction: that of the objective's units (clipneuron/linear.h),
 * linearised or at given images. The search is a hill climb over whole words: from each of many starts, a word is replaced, put in or
 * taken out, whichever helps most, until nothing does. Replacements are those that the gradient with respect to token
 * embeddings points to (HotFlip: Ebrahimi et al. 2018); what they are worth is computed exactly. */
#ifndef CLIPNEURON_TEXTSEE_H
#define CLIPNEURON_TEXTSEE_H

#include "clipneuron/objective.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_SEARCH_WORDS 32 /* of a text */
#define CN_MAX_SEARCH_STARTS 1024

/** The direction of an objective in the space of embeddings, of length 1: the sum of its units' directions, or the embeddings of its
 * texts, by their weights.
 * @param o of terms for units, directions and texts alone, without positions
 * @param pixels (n, 3, R, R) normalised, at which units' directions are taken exactly; NULL with n = 0: linearised
 * @param[out] direction the model's embedding, caller's
 * @return CN_OK; CN_EUNSUPPORTED (another term; a site without directions), CN_EINVAL (a direction of length 0), what
 *         cn_unit_directions_at returns */
CN_API CN_MUST_CHECK cn_status cn_objective_direction(const cn_objective *o, const float *pixels, int64_t n, int threads, float *direction,
                                                      cn_error *err);

typedef struct cn_scored_text {
    char *text;
    float cosine; /* with the direction */
    float cost;   /* of its words, in nats, see below; 0 from cn_texts_rank */
    float score;  /* cosine - fluency * cost */
    size_t index; /* cn_texts_rank: its number in the list */
} cn_scored_text;

typedef struct cn_text_search {
    const char *frame;  /* a text with {} where the words go; NULL: "{}" */
    int words;          /* at most so many in a text; 0: 4 */
    int starts;         /* hill climbs; 0: 32 */
    int best;           /* texts wanted; 0: 16 */
    float fluency;      /* what a nat of cost takes from the cosine; 0: 0.002, negative: none. A word's cost is the logarithm of its token's
                           number: CLIP's tokens stand in the order of frequency, and word frequencies fall as one over the rank
                           (Zipf). A word that stands in the text already costs as much as the rarest */
    uint64_t seed;
    int threads;        /* 0: all cores */
    cn_precision precision; /* of the climb; results are scored in fp32 */
    void (*progress)(void *user, int64_t climbs_done, int64_t climbs); /* NULL: none */
    bool (*stop)(void *user);   /* asked between steps; true ends the search with what is found. NULL: none */
    void *user;
} cn_text_search;

/** Scores texts and sorts them, best first; texts with equal scores in the order of the list.
 * @param direction of length 1
 * @param[out] out count of them, owned by the caller, cn_scored_texts_free
 * @return CN_OK; CN_EUNSUPPORTED (no text tower), CN_ELIMIT (a text that is too long), what cn_runner_create returns */
CN_API CN_MUST_CHECK cn_status cn_texts_rank(const cn_model *model, const float *direction, const char *const *texts, size_t count,
                                             int threads, cn_precision precision, cn_scored_text **out, cn_error *err);
/** Searches. The same options and seed give the same texts on one machine.
 * @param[out] out *count <= best of them, all different, owned by the caller, cn_scored_texts_free
 * @return CN_OK; CN_EINVAL (an option out of range, a frame without {}, or with letters beside it), CN_EUNSUPPORTED (no text tower, or no word that it knows), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_texts_search(const cn_model *model, const float *direction, const cn_text_search *options,
                                               cn_scored_text **out, size_t *count, cn_error *err);
CN_API void cn_scored_texts_free(cn_scored_text *texts, size_t count);

#ifdef __cplusplus
}
#endif
#endif
