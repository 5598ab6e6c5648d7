/* cli/models.h -- the options that every command with a network has, and how --model finds its file. */
#ifndef CLI_MODELS_H
#define CLI_MODELS_H

#include "options.h"

#include <clipneuron/model.h>

struct model_arguments {
    const char *model; /* NULL: the default */
    int gelu;          /* a cn_gelu */
};

struct run_arguments {
    int64_t threads; /* 0: all cores */
    int64_t batch;   /* 0: the command's choice */
    int dtype;       /* a cn_precision, or DTYPE_AUTO */
    int backend;     /* a cn_backend */
};

enum { DTYPE_AUTO = 2 };

extern const char *const gelu_choices[];
extern const char *const dtype_choices[];
extern const char *const backend_choices[];

/* clang-format off */
#define MODEL_OPTIONS(T, member) \
    {'m', "model", OPTION_TEXT, offsetof(T, member.model), "MODEL", \
     "A checkpoint file, a folder, or a name: one of 'clipneuron pull --list', or a file in the cache or the " \
     "installed models. Default: $CLIPNEURON_MODEL, else the small model that comes with the program."}, \
    {0, "gelu", OPTION_CHOICE, offsetof(T, member.gelu), "KIND", \
     "auto (what the checkpoint's config says, else quick), quick (OpenAI's x*sigmoid(1.702x)) or erf " \
     "(the exact GELU of some open_clip models).", 0, 0, gelu_choices}

#define RUN_OPTIONS(T, member) \
    {'t', "threads", OPTION_COUNT, offsetof(T, member.threads), "N", "CPU threads. Default: all cores.", 1, 1024}, \
    {0, "dtype", OPTION_CHOICE, offsetof(T, member.dtype), "TYPE", \
     "fp32; bf16, on a CPU that computes it: about twice as fast, cosine with fp32 at least 0.999; auto: bf16 " \
     "where the CPU has it. Default: fp32.", 0, 0, dtype_choices}, \
    {'b', "batch", OPTION_COUNT, offsetof(T, member.batch), "N", \
     "Images or texts that go through the network together. The numbers do not depend on it.", 1, 65536}, \
    {0, "backend", OPTION_CHOICE, offsetof(T, member.backend), "NAME", \
     "onednn, or reference: plain C, slow, what the fast code is checked against.", 0, 0, backend_choices}
/* clang-format on */

/* Finds the file and opens it. Reports; returns EXIT_DONE with *out owned by the caller. */
int model_open(const struct model_arguments *arguments, cn_model **out);

/* What --dtype comes to on this CPU. */
cn_precision precision_of(const struct run_arguments *arguments);

/* The path that a --model value stands for, owned by the caller; NULL after reporting. */
char *model_find(const char *name);

/* Options for a runner of that tower; batch_default and n (how many inputs there are) bound the batch. */
cn_runner_options runner_options(const struct run_arguments *arguments, cn_tower tower, int64_t batch_default,
                                 int64_t n);

#endif
