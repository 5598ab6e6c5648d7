/* nn/fuse.h -- from graph nodes to steps: batch norm folded into its convolution, the residual sum and
 * the activation function done by the kernel that makes their input.
 * A node that is tapped (read) is never swallowed by a later one: its value must exist. */
#ifndef NN_FUSE_H
#define NN_FUSE_H

#include "nn/graph.h"

typedef struct nn_step {
    int head;      /* the node whose op the step is */
    int out;       /* the node whose value the step gives: head, or the last one swallowed */
    int norm;      /* BATCHNORM folded into a CONV, or -1 */
    int residual;  /* node summed into the result, or -1; its last use is this step, so the step
                      may write over its memory */
    int sum;       /* the ADD that does so, or -1 */
    int act;       /* RELU or GELU applied last, or -1 */
} nn_step;

typedef struct nn_steps {
    nn_step *step;
    int count;
    int *last_use; /* per node: the last step that reads its value, -1 if none */
} nn_steps;

/** Steps for the nodes that the taps need, in order.
 * @param tapped per node: whether its value is read from outside
 * @param kept per node: whether its value must outlive the steps that read it; NULL: none
 * @param[out] out release with nn_steps_clear, also after a failure */
cn_status nn_fuse(nn_steps *out, const nn_graph *g, const bool *tapped, const bool *kept, cn_error *err);
void nn_steps_clear(nn_steps *s);

#endif
