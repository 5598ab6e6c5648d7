/* cli/reduce.h -- a unit's values over space to one number. */
#ifndef CLI_REDUCE_H
#define CLI_REDUCE_H

#include <clipneuron/model.h>

typedef enum reduce { REDUCE_NONE, REDUCE_MEAN, REDUCE_MAX, REDUCE_ARGMAX } reduce;

/* A selection of units at a site; n_units = 0 means all of them. */
struct selection {
    const cn_site *site;
    const int64_t *units;
    size_t n_units;
};
size_t selection_count(const struct selection *s);
/* Dimensions of one item: (k, H, W), (L, k) or (k) for REDUCE_NONE, (k) for MEAN and MAX, (k, 2) for ARGMAX. */
int selection_shape(const struct selection *s, reduce how, int64_t shape[3]);

/* Reduces one image or text.
 * item: the site's values for it. used: positions that count (a text's tokens up to its end mark),
 *       at most site->positions; REDUCE_NONE copies all positions.
 * values: NULL for ARGMAX. where: (k, 2) y and x of the maximum (a token's number and 0), NULL unless
 *       MAX or ARGMAX; the first of equal ones. */
void reduce_item(const struct selection *s, reduce how, const float *item, int64_t used, float *values,
                 int32_t *where);

#endif
