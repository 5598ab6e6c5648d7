/* nn/ops.c -- the table of ops. */
#include "nn/ops.h"

const nn_op_info nn_ops[NN_OP_COUNT] = {
    [NN_PIXELS] = {"pixels", NULL, NULL, NULL},
    [NN_TOKENS] = {"tokens", NULL, NULL, NULL},
    [NN_CONV] = {"conv", conv_forward_ref, NULL, NULL},
    [NN_BATCHNORM] = {"batchnorm", batchnorm_forward_ref, NULL, NULL},
    [NN_RELU] = {"relu", relu_forward_ref, NULL, NULL},
    [NN_AVGPOOL] = {"avgpool", avgpool_forward_ref, NULL, NULL},
    [NN_ADD] = {"add", add_forward_ref, NULL, NULL},
    [NN_ATTNPOOL] = {"attnpool", attnpool_forward_ref, NULL, attnpool_scratch_ref},
    [NN_PATCH_EMBED] = {"patch_embed", patch_embed_forward_ref, NULL, NULL},
    [NN_TOKEN_EMBED] = {"token_embed", token_embed_forward_ref, NULL, NULL},
    [NN_POSITION] = {"position", position_forward_ref, NULL, NULL},
    [NN_LAYERNORM] = {"layernorm", layernorm_forward_ref, NULL, NULL},
    [NN_LINEAR] = {"linear", linear_forward_ref, NULL, NULL},
    [NN_GELU] = {"gelu", gelu_forward_ref, NULL, NULL},
    [NN_ATTENTION] = {"attention", attention_forward_ref, NULL, attention_scratch_ref},
    [NN_SELECT] = {"select", select_forward_ref, NULL, NULL},
};
