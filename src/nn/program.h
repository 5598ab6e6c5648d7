/* nn/program.h -- what the parts of the fast program share: program.c (life and run), compile.c (a step and
 * the arena for each node), attention.c (the two steps that take several kernels). */
#ifndef NN_PROGRAM_H
#define NN_PROGRAM_H

#include "nn/backend.h"
#include "nn/fuse.h"
#include "nn/kernels.h"
#include "nn/plan.h"

#define MAX_STEP_KERNELS 8
#define MAX_STEP_TEMPS 6

/* One step with all that it needs. Buffers are indices into nn_program.buffer. */
typedef struct step_work {
    nn_step step;
    nn_kernel *kernel[MAX_STEP_KERNELS];
    float *constant[2];          /* vectors that row functions read; owned */
    int temp[MAX_STEP_TEMPS];    /* values that live within the step */
    int n_temps;
    int scratch;                 /* -1: none */
} step_work;

typedef struct tap_copy {
    int node;
    nn_kernel *copy;   /* to the graph's layout in float32 */
    float *values;     /* owned */
} tap_copy;

struct nn_program {
    const nn_graph *graph;
    int64_t batch;
    int threads;
    nn_dtype dtype;
    nn_engine *engine;
    nn_steps steps;
    step_work *work;
    tap_copy *tap;
    int n_taps;
    nn_buffer *buffer;
    int n_buffers, buffer_capacity;
    int *value;              /* per node: its buffer, -1 where it has none */
    int staging;             /* buffer for a batch that is not full, of pixels */
    int32_t *tokens;         /* (batch, L) of the current run; owned */
    char *arena;
    size_t arena_bytes, constant_bytes, output_bytes;
};

/* What is only needed while a program is made. */
typedef struct program_compiler {
    nn_program *p;
    nn_param_reader read;
    void *user;
    cn_error *err;
} program_compiler;

/* ---- compile.c ---- */

/* float32 for the tower's output where its kernel can convert and nobody else reads it, else the program's. */
nn_dtype program_dtype(const nn_program *p, int node);
/* A parameter as float32, also after a failure released with cn_pages_free. Absent ones (no bias) are zeros. */
cn_status program_param(program_compiler *c, const nn_param *param, int64_t count_if_absent, float **out);
/* A buffer that lives within step `index`, also noted in w->temp; -1 when memory is short. */
int program_temp(program_compiler *c, step_work *w, int index, int64_t elements, nn_dtype dtype);
/* rows x in -> rows x width; the rows of the source are row_stride elements apart. */
cn_status program_linear(program_compiler *c, nn_kernel **out, int64_t rows, int64_t row_stride, int64_t in, int64_t width,
                         bool weight_in_out, nn_dtype result, float scale, bool sum, nn_activation act,
                         const float *weight, const float *bias);
/* Kernels, constants, temporaries and scratch memory of one step. */
cn_status program_compile_step(program_compiler *c, int index);
/* A buffer for the value of every step, in place where the step may write over what it reads. */
cn_status program_place_values(program_compiler *c);
/* Copies of the tapped values into the graph's layout. */
cn_status program_make_taps(program_compiler *c, const nn_program_options *options);

/* ---- attention.c: x and y are the step's input and output ---- */

cn_status attention_compile(program_compiler *c, step_work *w, int index);
cn_status attention_run(nn_program *p, step_work *w, const void *x, void *y, cn_error *err);
cn_status attnpool_compile(program_compiler *c, step_work *w, int index);
cn_status attnpool_run(nn_program *p, step_work *w, const void *x, void *y, cn_error *err);

/* Where a buffer is; NULL for none (-1). */
static inline void *program_at(const nn_program *p, int buffer)
{
    return buffer < 0 ? NULL : p->arena + p->buffer[buffer].offset;
}

#endif
