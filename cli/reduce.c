/* cli/reduce.c -- sums in double; the first of equal maxima. */
#include "reduce.h"

#include <string.h>

size_t selection_count(const struct selection *s)
{
    return s->n_units ? s->n_units : (size_t)s->site->units;
}

int selection_shape(const struct selection *s, reduce how, int64_t shape[3])
{
    int64_t count = (int64_t)selection_count(s);
    shape[0] = count;
    if (how == REDUCE_ARGMAX) {
        shape[1] = 2;
        return 2;
    }
    if (how != REDUCE_NONE || s->site->layout == CN_SITE_VECTOR)
        return 1;
    if (s->site->layout == CN_SITE_TOKENS) {
        shape[0] = s->site->positions;
        shape[1] = count;
        return 2;
    }
    shape[1] = s->site->height;
    shape[2] = s->site->width;
    return 3;
}

void reduce_item(const struct selection *s, reduce how, const float *item, int64_t used, float *values,
                 int32_t *where)
{
    const cn_site *site = s->site;
    int64_t positions = site->positions, count = (int64_t)selection_count(s);
    bool tokens = site->layout == CN_SITE_TOKENS;
    if (used > positions || site->layout != CN_SITE_TOKENS)
        used = positions;
    for (int64_t k = 0; k < count; k++) {
        int64_t unit = s->n_units ? s->units[k] : k;
        const float *x = tokens ? item + unit : item + unit * positions;
        int64_t step = tokens ? site->units : 1;
        if (how == REDUCE_NONE) {
            for (int64_t p = 0; p < positions; p++)
                values[tokens ? p * count + k : k * positions + p] = x[p * step];
        } else if (how == REDUCE_MEAN) {
            double sum = 0;
            for (int64_t p = 0; p < used; p++)
                sum += (double)x[p * step];
            values[k] = (float)(sum / (double)used);
        } else {
            int64_t at = 0;
            for (int64_t p = 1; p < used; p++)
                at = x[p * step] > x[at * step] ? p : at;
            if (values)
                values[k] = x[at * step];
            if (where) {
                where[2 * k] = (int32_t)(site->layout == CN_SITE_MAP ? at / site->width : at);
                where[2 * k + 1] = (int32_t)(site->layout == CN_SITE_MAP ? at % site->width : 0);
            }
        }
    }
}
