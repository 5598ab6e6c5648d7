/* base/order.h -- what qsort and bsearch are given: the smallest first. NaNs have no place in an order. */
#ifndef BASE_ORDER_H
#define BASE_ORDER_H

#include <string.h>

static inline int order_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline int order_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of char *, in byte order. */
static inline int order_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

#endif
