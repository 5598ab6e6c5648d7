/* nn/ops.c -- the table of ops. */
#include "nn/ops.h"

const nn_op_info nn_ops[NN_OP_COUNT] = {
    [NN_PIXELS] = {"pixels", NULL, NULL, NULL, NULL},
    [NN_TOKENS] = {"tokens", NULL, NULL, NULL, NULL},
    [NN_CONV] = {"conv", conv_forward_ref, conv_backward_ref, NULL, NULL},
    [NN_BATCHNORM] = {"batchnorm", batchnorm_forward_ref, batchnorm_backward_ref, NULL, NULL},
    [NN_RELU] = {"relu", relu_forward_ref, relu_backward_ref, NULL, NULL},
    [NN_AVGPOOL] = {"avgpool", avgpool_forward_ref, avgpool_backward_ref, NULL, NULL},
    [NN_ADD] = {"add", add_forward_ref, add_backward_ref, NULL, NULL},
    [NN_ATTNPOOL] = {"attnpool", attnpool_forward_ref, attnpool_backward_ref, attnpool_scratch_ref,
                     attnpool_gradient_scratch_ref},
    [NN_PATCH_EMBED] = {"patch_embed", patch_embed_forward_ref, patch_embed_backward_ref, NULL, NULL},
    [NN_TOKEN_EMBED] = {"token_embed", token_embed_forward_ref, NULL, NULL, NULL},
    [NN_POSITION] = {"position", position_forward_ref, position_backward_ref, NULL, NULL},
    [NN_LAYERNORM] = {"layernorm", layernorm_forward_ref, layernorm_backward_ref, NULL, NULL},
    [NN_LINEAR] = {"linear", linear_forward_ref, linear_backward_ref, NULL, NULL},
    [NN_GELU] = {"gelu", gelu_forward_ref, gelu_backward_ref, NULL, NULL},
    [NN_ATTENTION] = {"attention", attention_forward_ref, attention_backward_ref, attention_scratch_ref,
                      attention_gradient_scratch_ref},
    [NN_SELECT] = {"select", select_forward_ref, select_backward_ref, NULL, NULL},
};
