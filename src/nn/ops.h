/* nn/ops.h -- what each op computes: one plain-C function an op and one for its gradient, the
 * specification that every fast path is compared with.
 *
 * Values are nn_real, float32, in the graph's own layouts; sums are in double. The tests of the gradients compile these
 * files once more with NN_REFERENCE_DOUBLE, so that finite differences are exact enough to compare with. */
#ifndef NN_OPS_H
#define NN_OPS_H

#include "nn/graph.h"

#ifdef NN_REFERENCE_DOUBLE
typedef double nn_real;
#else
typedef float nn_real;
#endif

typedef struct nn_ref_args {
    const nn_node *node;
    const nn_shape *in_shape[2];
    int64_t n;                   /* images or texts */
    const nn_real *in[2];        /* NULL where the node has no such input */
    const int32_t *tokens;       /* (n, L) for TOKEN_EMBED and SELECT by end mark */
    const nn_real *param[NN_MAX_PARAMS]; /* NULL where absent */
    nn_real *out;
    nn_real *scratch;            /* of scratch_floats */
} nn_ref_args;

/* d objective / d inputs from d objective / d output and the forward's inputs. Gradients flow to inputs only: CLIP's
 * weights are fixed. dx is added to, not overwritten; NULL where it is not wanted. */
typedef struct nn_ref_grad_args {
    const nn_ref_args *forward;  /* out is not read */
    const nn_real *dout;
    nn_real *dx[2];
    nn_real *scratch;            /* of gradient_scratch_floats */
    nn_relu_override relu;       /* RELU, GELU (leak) */
} nn_ref_grad_args;

typedef struct nn_op_info {
    const char *name;
    void (*forward_ref)(const nn_ref_args *a);
    void (*backward_ref)(const nn_ref_grad_args *a); /* NULL: an input, or ids in front */
    int64_t (*scratch_floats)(const nn_node *node, const nn_shape *in, int64_t n); /* NULL: none */
    int64_t (*gradient_scratch_floats)(const nn_node *node, const nn_shape *in);   /* NULL: none */
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

void conv_backward_ref(const nn_ref_grad_args *a);
void batchnorm_backward_ref(const nn_ref_grad_args *a);
void relu_backward_ref(const nn_ref_grad_args *a);
void avgpool_backward_ref(const nn_ref_grad_args *a);
void add_backward_ref(const nn_ref_grad_args *a);
void attnpool_backward_ref(const nn_ref_grad_args *a);
int64_t attnpool_gradient_scratch_ref(const nn_node *node, const nn_shape *in);
void patch_embed_backward_ref(const nn_ref_grad_args *a);
void position_backward_ref(const nn_ref_grad_args *a);
void layernorm_backward_ref(const nn_ref_grad_args *a);
void linear_backward_ref(const nn_ref_grad_args *a);
void gelu_backward_ref(const nn_ref_grad_args *a);
void attention_backward_ref(const nn_ref_grad_args *a);
int64_t attention_gradient_scratch_ref(const nn_node *node, const nn_shape *in);
void select_backward_ref(const nn_ref_grad_args *a);

/* The token that SELECT takes: 0, or the first position of the highest id (the end mark has it). */
int64_t nn_selected_token(const nn_node *node, const int32_t *row, int64_t length);

#endif
