/* study/finebins.c -- bin numbers straight from the bits of a float: the exponent and the first
 * seven bits of the mantissa count the bins upwards. */
#include "study/finebins.h"

#include <math.h>
#include <string.h>

#define FIRST_BITS ((uint32_t)(127 - 14) << 7) /* 2^-14, less the low 16 bits */

size_t finebins_index(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t step = (bits & 0x7fffffff) >> 16;
    if (step < FIRST_BITS)
        return FINEBINS_ZERO;
    step = step - FIRST_BITS + 1;
    if (step > FINEBINS_SIDE)
        step = FINEBINS_SIDE;
    return bits >> 31 ? FINEBINS_ZERO - step : FINEBINS_ZERO + step;
}

static double edge(size_t step) /* lower magnitude of the step-th bin from zero, step >= 1 */
{
    uint32_t bits = ((uint32_t)(step - 1) + FIRST_BITS) << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void finebins_edges(size_t i, double *low, double *high)
{
    if (i == FINEBINS_ZERO) {
        *high = edge(1);
        *low = -*high;
    } else if (i > FINEBINS_ZERO) {
        *low = edge(i - FINEBINS_ZERO);
        *high = edge(i - FINEBINS_ZERO + 1);
    } else {
        *low = -edge(FINEBINS_ZERO - i + 1);
        *high = -edge(FINEBINS_ZERO - i);
    }
}

void finebins_spread(size_t i, int64_t count, double low, double high, size_t bins, int64_t *counts)
{
    double left, right;
    finebins_edges(i, &left, &right);
    double at = floor((0.5 * (left + right) - low) / (high - low) * (double)bins);
    size_t bin = at <= 0 ? 0 : at >= (double)bins ? bins - 1 : (size_t)at;
    counts[bin] += count;
}
