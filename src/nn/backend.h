/* nn/backend.h -- the seam behind which a graph is run: the plain-C reference, oneDNN on the CPU, and
 * room for a GPU. A backend compiles a graph for one batch size, precision and set of taps (nodes to
 * read), and computes only what the taps need. A program belongs to one thread at a time. */
#ifndef NN_BACKEND_H
#define NN_BACKEND_H

#include "nn/graph.h"

typedef struct nn_program nn_program; /* each backend has its own */

/* What becomes of a node's value before anything reads it: x becomes `values` where those are given, then
 * min(max(scale x + shift, low), high). NaN stays. Arrays are the caller's and are read at every run. */
typedef struct nn_edit {
    int node;
    const float *values;        /* (batch, ...) in the graph's layout, or NULL. What only leads to the value is not computed then */
    const float *scale, *shift; /* by channel, or NULL: 1 and 0 */
    const float *low, *high;    /* NULL: no bound */
    bool by_image;              /* these four are (batch, c) in place of (c) */
} nn_edit;

/* What e makes of x, for channel c of image n. */
static inline float nn_edited(const nn_edit *e, int64_t n, int64_t channels, int64_t c, float x)
{
    const int64_t i = (e->by_image ? n * channels : 0) + c;
    const float y = (e->scale ? e->scale[i] * x : x) + (e->shift ? e->shift[i] : 0);
    return e->low && y < e->low[i] ? e->low[i] : e->high && y > e->high[i] ? e->high[i] : y;
}

typedef struct nn_program_options {
    int64_t batch;    /* images or texts a run, at most */
    int threads;      /* >= 1 */
    bool bf16;        /* weights and activations in bfloat16, sums in float32 */
    const int *taps;  /* nodes whose values are wanted, and from which gradients may start */
    int n_taps;
    const int *wrt;   /* nodes with respect to whose values gradients may be asked for; values that `backward`
                         needs are kept only where there is one */
    int n_wrt;
    size_t activation_limit; /* bytes that planned activations may take where there is a wrt; what does not fit is computed again by
                                backward. 0: no limit. CN_ELIMIT where even that takes more. The reference ignores it */
    const nn_edit *edits; /* in this order where several are of one node; copied. No wrt may lie below one of them */
    int n_edits;
    int segments;     /* tests: compute again in so many parts whatever the limit; 0: as the limit wants */
} nn_program_options;

typedef struct nn_program_memory {
    size_t weight_bytes, activation_bytes, output_bytes;
} nn_program_memory;

typedef struct nn_backend {
    const char *name;
    /* The graph must outlive the program; `read` is called during create only.
     * CN_OK; CN_ELIMIT (nn_check_sizes), CN_EUNSUPPORTED (bf16), CN_ENOMEM, CN_EBACKEND, or what `read` returns. */
    cn_status (*create)(nn_program **out, const nn_graph *g, const nn_program_options *options, nn_param_reader read,
                        void *user, cn_error *err);
    void (*free)(nn_program *p); /* NULL and half-built programs are accepted */
    /* One of pixels (n, 3, R, R) and tokens (n, L) is given, 1 <= n <= batch; the callers check ids. */
    cn_status (*run)(nn_program *p, const float *pixels, const int32_t *tokens, int64_t n, cn_error *err);
    /* Float32 values of tap i in the graph's layout, n of them; valid until the next run. */
    const float *(*tap)(const nn_program *p, int i);
    nn_program_memory (*memory)(const nn_program *p);
    /* Gradients of the last run: of an objective whose derivatives with respect to the value of each tap are given.
     * seed[i]: (n, ...) float32 in the graph's layout for tap i, NULL for none. wanted[j]: whether the gradient for wrt j
     * is computed; NULL: all. Only what lies between the seeds and what is wanted is computed. relu: see
     * nn_relu_override. May be called again for the same run. CN_OK; CN_EBACKEND */
    cn_status (*backward)(nn_program *p, const float *const *seed, const bool *wanted, nn_relu_override relu, cn_error *err);
    /* d objective / d value of wrt j, float32 in the graph's layout, n of them; valid until the next backward. Zero
     * where no path leads to a seed. */
    const float *(*gradient)(const nn_program *p, int j);
} nn_backend;

extern const nn_backend nn_backend_reference; /* reference.c */
extern const nn_backend nn_backend_onednn;    /* program.c on kernels.h */

#endif
