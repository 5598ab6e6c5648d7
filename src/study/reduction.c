/* study/reduction.c -- a unit's values to one. */
#include "study/reduction.h"

#include <string.h>

static const char *const names[REDUCTIONS] = {[CN_REDUCE_MEAN] = "mean", [CN_REDUCE_MAX] = "max", [CN_REDUCE_CLASS] = "class"};

const char *cn_reduce_name(cn_reduce how)
{
    return names[how];
}

bool reduction_named(cn_reduce *how, const char *name)
{
    for (int i = 0; i < REDUCTIONS; i++)
        if (strcmp(name, names[i]) == 0) {
            *how = (cn_reduce)i;
            return true;
        }
    return false;
}

int reductions_kept(cn_reduce how)
{
    return how == CN_REDUCE_CLASS ? REDUCTIONS : CN_REDUCE_CLASS;
}

float cn_reduce_unit(cn_reduce how, const cn_site *site, const float *values, int64_t unit)
{
    const int64_t step = site->layout == CN_SITE_MAP ? 1 : site->units;
    const float *v = values + (site->layout == CN_SITE_MAP ? unit * site->positions : unit);
    double sum = 0;
    float max = v[0];
    if (how == CN_REDUCE_CLASS)
        return v[0];
    for (int64_t p = 0; p < site->positions; p++) {
        sum += (double)v[p * step];
        max = v[p * step] > max ? v[p * step] : max;
    }
    return how == CN_REDUCE_MAX ? max : (float)(sum / (double)site->positions);
}
