/* nn/plan.c -- greedy placement by size; for networks this is within a few percent of the peak of
 * simultaneously live bytes, which is the lower bound. */
#include "nn/plan.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>

#define ALIGNMENT 64

static int larger_first(const void *a, const void *b)
{
    const nn_buffer *x = *(nn_buffer *const *)a, *y = *(nn_buffer *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y; /* the order of definition, so that plans are reproducible */
}

static int lower_first(const void *a, const void *b)
{
    const nn_buffer *x = *(nn_buffer *const *)a, *y = *(nn_buffer *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool meet(int first, int end, int other_first, int other_end)
{
    return first < end && other_first < other_end && first < other_end && other_first < end;
}

static bool lives_meet(const nn_buffer *a, const nn_buffer *b)
{
    return meet(a->first, a->last + 1, b->first, b->last + 1) || meet(a->first, a->last + 1, b->again_first, b->again_end) ||
           meet(a->again_first, a->again_end, b->first, b->last + 1) || meet(a->again_first, a->again_end, b->again_first, b->again_end);
}

cn_status nn_plan(nn_buffer *buffer, int count, size_t *total, cn_error *err)
{
    cn_status st = CN_OK;
    nn_buffer **order = cn_calloc((size_t)count + 1, sizeof *order);
    nn_buffer **live = cn_calloc((size_t)count + 1, sizeof *live);
    *total = 0;
    CN_CHECK(order && live, CN_ENOMEM, "out of memory while planning memory");
    for (int i = 0; i < count; i++)
        order[i] = &buffer[i];
    qsort(order, (size_t)count, sizeof *order, larger_first);
    for (int i = 0; i < count; i++) {
        nn_buffer *b = order[i];
        const size_t bytes = (b->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        int n_live = 0;
        for (int j = 0; j < i; j++)
            if (lives_meet(order[j], b))
                live[n_live++] = order[j];
        qsort(live, (size_t)n_live, sizeof *live, lower_first);
        size_t offset = 0;
        for (int j = 0; j < n_live; j++) {
            if (live[j]->offset >= offset + bytes)
                break; /* fits into the gap before it */
            const size_t end = live[j]->offset + (live[j]->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            offset = end > offset ? end : offset;
        }
        b->offset = offset;
        if (offset + bytes > *total)
            *total = offset + bytes;
    }
done:
    cn_free(order);
    cn_free(live);
    return st;
}
