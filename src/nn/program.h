/* nn/program.h -- what the parts of the fast program share: program.c (life and run), compile.c (a step and
 * the arena for each node), backward.c (gradients), attention.c (the two steps that take several kernels). */
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

/* Where a step's gradient flows to. */
typedef struct grad_edge {
    int node;      /* the value whose gradient gets a share; -1: none, as no gradient is wanted below it */
    bool add;      /* another edge, or a seed, has written before; else this edge writes first */
    bool inherit;  /* the share is this step's own gradient, which lives on in the same buffer */
} grad_edge;

enum { EDGE_IN0, EDGE_IN1, EDGE_RESIDUAL, EDGE_COUNT };
#define MAX_GRAD_KERNELS 8
#define MAX_GRAD_TEMPS 10

/* The backward of one step. */
typedef struct grad_step {
    bool active;                 /* a gradient is wanted at or below its value */
    grad_edge edge[EDGE_COUNT];
    nn_kernel *kernel[MAX_GRAD_KERNELS];
    float *constant;             /* batch norm's scale, layer norm's gamma; owned */
    int mask;                    /* buffer of the ReLU's mask, written by the forward run; -1: none */
    int temp[MAX_GRAD_TEMPS];    /* values that live within it */
    int n_temps;
    int scratch;                 /* -1: none */
} grad_step;

typedef struct wrt_copy {
    int node;
    float *values;   /* d objective / d value of the node, in the graph's layout; owned */
} wrt_copy;

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
    grad_step *back;         /* per step; NULL when no gradients were asked for */
    int *grad;               /* per node: the buffer of its gradient, -1 where it has none */
    int *step_of;            /* per node: the step that gives its value, -1 */
    bool *wanted, *reached;  /* per node, of the present backward run */
    int n_segments;          /* 1: the forward run keeps all that gradients need; else it keeps the values between segments, and
                                backward computes each segment again before it needs it */
    int *segment;            /* per step */
    int *again, *back_time;  /* per step: when it is computed again (-1: never), and when its gradient is */
    int *forward_last;       /* per node: the last step of the forward run that reads it, -1 */
    bool *cut;               /* per node: its value is kept between segments */
    int end_time;            /* beyond all gradients */
    wrt_copy *wrt;
    int n_wrt;
    nn_edit *edit;           /* owned; the arrays are the caller's */
    int n_edits;
    bool *skip;              /* per step: its value is not needed, since what it leads to is given, or is given itself */
    int64_t n;               /* images of the last run */
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
/* The same, alive from one moment to another. */
int program_buffer(nn_program *p, size_t bytes, int first, int last);
/* scale and shift of a batch norm: gamma (x - mean) / sqrt(var + eps) + beta = scale x + shift; cn_pages_free. */
cn_status program_batchnorm(program_compiler *c, const nn_node *node, float **scale, float **shift);
nn_activation program_activation(const nn_graph *g, int act);
/* Kernels, constants, temporaries and scratch memory of one step. */
cn_status program_compile_step(program_compiler *c, int index);
/* A buffer for the value of every step, in place where the step may write over what it reads. */
cn_status program_place_values(program_compiler *c, const bool *keep);
/* Copies of the tapped values into the graph's layout. */
cn_status program_make_taps(program_compiler *c, const nn_program_options *options);

/* ---- recompute.c ----
 * Time runs on from the forward steps 0..S-1: seeds are written at S; then, from the last segment to the first, come its steps
 * again (when there are several segments) and the gradients of its steps, the last one first. */

/* Where to cut the forward run into about `parts` of the same size, each as large as may be; by nodes, cut has a place for every one.
 * A run of pixels is cut behind them, too. @return whether more parts would give more cuts; true for one part, which has none */
bool program_choose_cuts(const nn_graph *g, const nn_steps *steps, const bool *depends, const bool *keep, int parts, bool *cut);
/* Fills in segment, again, back_time, forward_last and end_time for p->steps and p->cut. */
cn_status program_schedule(nn_program *p, cn_error *err);
/* A buffer of the forward run, which lives again when its step is computed again. */
int program_forward_buffer(nn_program *p, size_t bytes, int index);
/* Runs the steps of a segment again. */
cn_status program_run_again(nn_program *p, int segment, cn_error *err);
cn_status program_run_step(nn_program *p, step_work *w, const float *pixels, cn_error *err); /* program.c */

/* ---- backward.c ---- */

/* Nodes on which a gradient depends: marks `keep` where the backward needs the value itself, so that no step may
 * write over it, and `depends` where a gradient flows. Both have a place for every node. */
void program_mark_gradients(const nn_graph *g, const nn_program_options *options, bool *depends, bool *keep);
/* Masks, gradient buffers and the kernels of every active step; after program_place_values. */
cn_status program_compile_gradients(program_compiler *c, const nn_program_options *options, const bool *depends);
/* After step `index` of a forward run. */
void program_note_mask(nn_program *p, int index);
cn_status program_backward(nn_program *p, const float *const *seed, const bool *wanted, nn_relu_override relu, cn_error *err);
/* A value of `elements` that lives within the backward of step `index`; -1 when memory is short. */
int program_grad_temp(program_compiler *c, grad_step *b, int index, int64_t elements);

/* ---- attention.c: x and y are the step's input and output, dx and dy their gradients ---- */

cn_status attention_gradient_compile(program_compiler *c, const step_work *w, grad_step *b, int index);
cn_status attention_gradient_run(nn_program *p, step_work *w, grad_step *b, const void *x, const void *dy, void *dx,
                                 cn_error *err);
cn_status attnpool_gradient_compile(program_compiler *c, const step_work *w, grad_step *b, int index);
cn_status attnpool_gradient_run(nn_program *p, step_work *w, grad_step *b, const void *x, const void *dy, void *dx,
                                cn_error *err);

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
