/* nn/plan.h -- where in one arena each buffer lives, so that running allocates nothing.
 * A buffer is alive from one step to another, and perhaps once more later; buffers whose lives do not meet share memory. */
#ifndef NN_PLAN_H
#define NN_PLAN_H

#include "base/check.h"

typedef struct nn_buffer {
    size_t bytes;
    int first, last;  /* steps, inclusive */
    size_t offset;    /* result, a multiple of 64 */
    int again_first, again_end; /* a second life, up to the step before again_end; equal: none */
} nn_buffer;

/** Places buffers, largest first, each at the lowest offset that is free during its life.
 * @param[out] total bytes of the arena */
cn_status nn_plan(nn_buffer *buffer, int count, size_t *total, cn_error *err);

#endif
