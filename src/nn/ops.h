/* nn/ops.h -- what each op computes: one plain-C function an op, the specification that every fast
 * path is compared with. Forward stands beside the place of its backward (the table's second column,
 * filled op by op as gradients come): d loss / d inputs from d loss / d output and the forward's values.
 *
 * Float32 values in the graph's own layouts, sums in double. */
#ifndef NN_OPS_H
#define NN_OPS_H

#include "nn/graph.h"

typedef struct nn_ref_args {
    const nn_node *node;
    const nn_shape *in_shape[2];
    int64_t n;                   /* images or texts */
    const float *in[2];          /* NULL where the node has no such input */
    const int32_t *tokens;       /* (n, L) for TOKEN_EMBED and SELECT by end mark */
    const float *param[NN_MAX_PARAMS]; /* NULL where absent */
    float *out;
    float *scratch;              /* of scratch_floats */
} nn_ref_args;

/* Gradients flow to the inputs only: CLIP's weights are fixed. dx are added to, not overwritten. */
typedef struct nn_ref_grad_args {
    nn_ref_args forward;
    const float *dout;
    float *dx[2];
} nn_ref_grad_args;

typedef struct nn_op_info {
    const char *name;
    void (*forward_ref)(const nn_ref_args *a);
    void (*backward_ref)(const nn_ref_grad_args *a); /* NULL: not written yet */
    int64_t (*scratch_floats)(const nn_node *node, const nn_shape *in, int64_t n); /* NULL: none */
} nn_op_info;

extern const nn_op_info nn_ops[NN_OP_COUNT];

void conv_forward_ref(const nn_ref_args *a);
void batchnorm_forward_ref(const nn_ref_args *a);
void relu_forward_ref(const nn_ref_args *a);
void avgpool_forward_ref(const nn_ref_args *a);
void add_forward_ref(const nn_ref_args *a);
void attnpool_forward_ref(const nn_ref_args *a);
int64_t attnpool_scratch_ref(const nn_node *node, const nn_shape *in, int64_t n);
void patch_embed_forward_ref(const nn_ref_args *a);
void token_embed_forward_ref(const nn_ref_args *a);
void position_forward_ref(const nn_ref_args *a);
void layernorm_forward_ref(const nn_ref_args *a);
void linear_forward_ref(const nn_ref_args *a);
void gelu_forward_ref(const nn_ref_args *a);
void attention_forward_ref(const nn_ref_args *a);
int64_t attention_scratch_ref(const nn_node *node, const nn_shape *in, int64_t n);
void select_forward_ref(const nn_ref_args *a);

/* The token that SELECT takes: 0, or the first position of the highest id (the end mark has it). */
int64_t nn_selected_token(const nn_node *node, const int32_t *row, int64_t length);

#endif
