/* nn/onednn.c -- kernels.h by oneDNN's C API; the only file that includes dnnl.h.
 * Compiles against 2.6 (Debian 12) and 3.x (Debian 13). What differs between the two -- operation
 * descriptors and memory descriptors by value in 2.x, direct creation and opaque handles in 3.x --
 * is confined to the section "two versions". */
#include "nn/kernels.h"

#include "base/memory.h"

#include <dnnl.h>
#include <stdio.h>
#include <string.h>

/* oneDNN in Debian is built with OpenMP; this is its standard interface. Declared here because
 * omp.h belongs to a compiler, and clang's would bring a second OpenMP runtime into the process. */
extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);
extern int omp_get_num_threads(void);
extern int omp_get_thread_num(void);
/* What `#pragma omp parallel` compiles to; LLVM's runtime has it as well. */
extern void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);

struct nn_engine {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

struct nn_kernel {
    nn_engine *engine;                 /* borrowed */
    dnnl_primitive_t primitive;
    dnnl_memory_t src, weight, bias, dst, scratch, scale, shift; /* NULL where the primitive has none */
    dnnl_memory_t second;              /* of an act's gradient: where it starts from */
    int src_arg, dst_arg;              /* what the primitive calls source and destination */
    bool weight_at_run;
    void *weight_data;                 /* owned: packed weights, then bias or gamma and beta */
    float *bias_data;
    size_t weight_bytes, scratch_bytes;
    char implementation[64];
    /* A convolution that runs over its rows in parts: see part_rows. 0 parts: at once. */
    int64_t parts;
    size_t src_part, dst_part;         /* bytes */
    /* A convolution whose library layout is not channels-last: copies in and out, and the offsets in
     * scratch memory of what they give and take. NULL for everything else. */
    nn_kernel *before, *after;
    size_t src_offset, dst_offset;
};

static cn_status fail(dnnl_status_t code, const char *what, cn_error *err)
{
    if (code == dnnl_out_of_memory)
        return cn_fail(err, CN_ENOMEM, "out of memory in oneDNN while %s", what);
    return cn_fail(err, CN_EBACKEND, "oneDNN %d.%d cannot do this: %s (status %d)", dnnl_version()->major,
                   dnnl_version()->minor, what, (int)code);
}

#define DNN_TRY(call, what)                                                                        \
    do {                                                                                           \
        dnnl_status_t dnn_status = (call);                                                         \
        if (dnn_status != dnnl_success) {                                                          \
            st = fail(dnn_status, (what), err);                                                    \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

/* ---- two versions ------------------------------------------------------------------------------ */

typedef struct conv_geometry {
    dnnl_dims_t stride, pad_low, pad_high, kernel;
} conv_geometry;

#if DNNL_VERSION_MAJOR >= 3

typedef const_dnnl_memory_desc_t md_ref;
#define MD(md) (md) /* a memory descriptor as the calls take it */

static dnnl_status_t md_init_strided(dnnl_memory_desc_t *md, int ndims, const dnnl_dims_t dims,
                                     dnnl_data_type_t type, const dnnl_dims_t strides)
{
    return dnnl_memory_desc_create_with_strides(md, ndims, dims, type, strides);
}
static dnnl_status_t md_any(dnnl_memory_desc_t *md, int ndims, const dnnl_dims_t dims, dnnl_data_type_t type)
{
    return dnnl_memory_desc_create_with_tag(md, ndims, dims, type, dnnl_format_tag_any);
}
static void md_clear(dnnl_memory_desc_t *md)
{
    if (*md)
        dnnl_memory_desc_destroy(*md);
    *md = NULL;
}
static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.f, 0, dnnl_data_type_undef);
}
static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta)
{
    return dnnl_post_ops_append_eltwise(ops, alg, alpha, beta);
}
static dnnl_status_t pd_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg, md_ref src,
                             md_ref weight, md_ref bias, md_ref dst, const conv_geometry *g, const_dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t no_dilation = {0, 0};
    return dnnl_convolution_forward_primitive_desc_create(pd, engine, dnnl_forward_inference, alg, src,
                                                          weight, bias, dst, g->stride, no_dilation, g->pad_low,
                                                          g->pad_high, attr);
}
static dnnl_status_t pd_avgpool(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref src, md_ref dst,
                                const conv_geometry *g, const_dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t no_dilation = {0, 0};
    return dnnl_pooling_forward_primitive_desc_create(pd, engine, dnnl_forward_inference,
                                                      dnnl_pooling_avg_exclude_padding, src, dst, g->stride, g->kernel,
                                                      no_dilation, g->pad_low, g->pad_high, attr);
}
static dnnl_status_t pd_conv_gradient(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref src, md_ref weight, md_ref dst,
                                      const conv_geometry *g, const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t forward)
{
    const dnnl_dims_t no_dilation = {0, 0};
    return dnnl_convolution_backward_data_primitive_desc_create(pd, engine, dnnl_convolution_direct, src, weight, dst, g->stride,
                                                                no_dilation, g->pad_low, g->pad_high, forward, attr);
}
static dnnl_status_t pd_act(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t kind, dnnl_alg_kind_t alg,
                            float alpha, md_ref data, const_dnnl_primitive_attr_t attr)
{
    return dnnl_eltwise_forward_primitive_desc_create(pd, engine, kind, alg, data, data, alpha, 0, attr);
}
static dnnl_status_t pd_act_gradient(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg, float alpha,
                                     md_ref data, const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t forward)
{
    return dnnl_eltwise_backward_primitive_desc_create(pd, engine, alg, data, data, data, alpha, 0, forward, attr);
}
static dnnl_status_t pd_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref a, md_ref b, md_ref bias,
                               md_ref c, const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, a, b, bias, c, attr);
}
static dnnl_status_t pd_softmax(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref data,
                                const_dnnl_primitive_attr_t attr)
{
    return dnnl_softmax_forward_primitive_desc_create(pd, engine, dnnl_forward_inference, dnnl_softmax_accurate, data,
                                                      data, 1, attr);
}
static dnnl_status_t pd_layernorm(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref data, float eps,
                                  const_dnnl_primitive_attr_t attr)
{
    return dnnl_layer_normalization_forward_primitive_desc_create(pd, engine, dnnl_forward_inference, data, data, NULL,
                                                                  eps, dnnl_use_scale | dnnl_use_shift, attr);
}

#else

typedef const dnnl_memory_desc_t *md_ref;
#define MD(md) (&(md))

static dnnl_status_t md_init_strided(dnnl_memory_desc_t *md, int ndims, const dnnl_dims_t dims,
                                     dnnl_data_type_t type, const dnnl_dims_t strides)
{
    return dnnl_memory_desc_init_by_strides(md, ndims, dims, type, strides);
}
static dnnl_status_t md_any(dnnl_memory_desc_t *md, int ndims, const dnnl_dims_t dims, dnnl_data_type_t type)
{
    return dnnl_memory_desc_init_by_tag(md, ndims, dims, type, dnnl_format_tag_any);
}
static void md_clear(dnnl_memory_desc_t *md)
{
    (void)md;
}
static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.f);
}
static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta)
{
    return dnnl_post_ops_append_eltwise(ops, 1.f, alg, alpha, beta);
}
static dnnl_status_t pd_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg, md_ref src,
                             md_ref weight, md_ref bias, md_ref dst, const conv_geometry *g, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(&d, dnnl_forward_inference, alg, src, weight,
                                                              bias, dst, g->stride, g->pad_low, g->pad_high);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}
static dnnl_status_t pd_avgpool(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref src, md_ref dst,
                                const conv_geometry *g, const_dnnl_primitive_attr_t attr)
{
    dnnl_pooling_desc_t d;
    dnnl_status_t status =
        dnnl_pooling_forward_desc_init(&d, dnnl_forward_inference, dnnl_pooling_avg_exclude_padding, src, dst,
                                       g->stride, g->kernel, g->pad_low, g->pad_high);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}
static dnnl_status_t pd_conv_gradient(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref src, md_ref weight, md_ref dst,
                                      const conv_geometry *g, const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t forward)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, src, weight, dst, g->stride,
                                                                    g->pad_low, g->pad_high);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, forward);
}
static dnnl_status_t pd_act(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t kind, dnnl_alg_kind_t alg,
                            float alpha, md_ref data, const_dnnl_primitive_attr_t attr)
{
    dnnl_eltwise_desc_t d;
    dnnl_status_t status = dnnl_eltwise_forward_desc_init(&d, kind, alg, data, alpha, 0);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}
static dnnl_status_t pd_act_gradient(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg, float alpha,
                                     md_ref data, const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t forward)
{
    dnnl_eltwise_desc_t d;
    dnnl_status_t status = dnnl_eltwise_backward_desc_init(&d, alg, data, data, alpha, 0);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, forward);
}
static dnnl_status_t pd_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref a, md_ref b, md_ref bias,
                               md_ref c, const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t d;
    dnnl_status_t status = dnnl_matmul_desc_init(&d, a, b, bias, c);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}
static dnnl_status_t pd_softmax(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref data,
                                const_dnnl_primitive_attr_t attr)
{
    dnnl_softmax_desc_t d;
    dnnl_status_t status = dnnl_softmax_forward_desc_init(&d, dnnl_forward_inference, data, 1);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}
static dnnl_status_t pd_layernorm(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref data, float eps,
                                  const_dnnl_primitive_attr_t attr)
{
    dnnl_layer_normalization_desc_t d;
    dnnl_status_t status = dnnl_layer_normalization_forward_desc_init(&d, dnnl_forward_inference, data, NULL, eps,
                                                                      dnnl_use_scale | dnnl_use_shift);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}

#endif

/* Dimensions and strides of any array of at least ndims values (the library's arrays are longer). */
static dnnl_status_t md_strided(dnnl_memory_desc_t *md, int ndims, const int64_t *dims, dnnl_data_type_t type,
                                const int64_t *strides)
{
    dnnl_dims_t all_dims = {0}, all_strides = {0};
    memcpy(all_dims, dims, (size_t)ndims * sizeof dims[0]);
    memcpy(all_strides, strides, (size_t)ndims * sizeof strides[0]);
    return md_init_strided(md, ndims, all_dims, type, all_strides);
}

/* ---- engine ------------------------------------------------------------------------------------ */

int nn_set_threads(int threads)
{
    int before = omp_get_max_threads();
    if (threads != before)
        omp_set_num_threads(threads);
    return before;
}

cn_status nn_engine_open(nn_engine **out, cn_error *err)
{
    cn_status st = CN_OK;
    nn_engine *e = cn_calloc(1, sizeof *e);
    *out = NULL;
    CN_CHECK(e, CN_ENOMEM, "out of memory for the compute engine");
    DNN_TRY(dnnl_engine_create(&e->engine, dnnl_cpu, 0), "opening the CPU engine");
    DNN_TRY(dnnl_stream_create(&e->stream, e->engine, dnnl_stream_default_flags), "opening a stream");
    *out = e, e = NULL;
done:
    nn_engine_close(e);
    return st;
}

void nn_engine_close(nn_engine *e)
{
    if (!e)
        return;
    if (e->stream)
        dnnl_stream_destroy(e->stream);
    if (e->engine)
        dnnl_engine_destroy(e->engine);
    cn_free(e);
}

bool nn_cpu_has_bf16(void)
{
    /* ISA bits as in dnnl_cpu_isa_t: avx512_core_bf16 and everything above contain this pattern. */
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(), bf16 = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    return (isa & bf16) == bf16;
}

const char *nn_engine_description(void)
{
    static _Thread_local char text[96];
    const dnnl_version_t *v = dnnl_version();
    const char *isa = "generic";
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: isa = "sse41"; break;
    case dnnl_cpu_isa_avx: isa = "avx"; break;
    case dnnl_cpu_isa_avx2: isa = "avx2"; break;
    case dnnl_cpu_isa_avx512_core: isa = "avx512_core"; break;
    case dnnl_cpu_isa_avx512_core_vnni: isa = "avx512_core_vnni"; break;
    case dnnl_cpu_isa_avx512_core_bf16: isa = "avx512_core_bf16"; break;
    default: isa = nn_cpu_has_bf16() ? "avx512_core_bf16 or newer" : "another ISA"; break;
    }
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch, isa);
    return text;
}

struct share {
    void (*body)(void *, int64_t, int64_t);
    void *data;
    int64_t count;
};

/* ThreadSanitizer cannot see how OpenMP's threads wait for each other: it gets one thread. */
#if defined(__SANITIZE_THREAD__)
#define ONE_THREAD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ONE_THREAD 1
#endif
#endif
#ifndef ONE_THREAD
#define ONE_THREAD 0
#endif

static void run_share(void *arg)
{
    const struct share *s = arg;
    const int64_t threads = omp_get_num_threads(), i = omp_get_thread_num();
    s->body(s->data, s->count * i / threads, s->count * (i + 1) / threads);
}

void nn_parallel(void (*body)(void *data, int64_t from, int64_t to), void *data, int64_t count, int64_t grain)
{
    int64_t threads = count / (grain < 1 ? 1 : grain);
    struct share share = {body, data, count};
    threads = threads > omp_get_max_threads() ? omp_get_max_threads() : threads;
    if (threads <= 1 || ONE_THREAD)
        body(data, 0, count);
    else
        GOMP_parallel(run_share, &share, (unsigned)threads, 0);
}

/* ---- kernels ----------------------------------------------------------------------------------- */

static dnnl_data_type_t type_of(nn_dtype t)
{
    return t == NN_F32 ? dnnl_f32 : dnnl_bf16;
}

void nn_kernel_free(nn_kernel *k)
{
    if (!k)
        return;
    nn_kernel_free(k->before);
    nn_kernel_free(k->after);
    if (k->primitive)
        dnnl_primitive_destroy(k->primitive);
    dnnl_memory_t memories[] = {k->src, k->weight, k->bias, k->dst, k->scratch, k->scale, k->shift, k->second};
    for (size_t i = 0; i < sizeof memories / sizeof memories[0]; i++)
        if (memories[i])
            dnnl_memory_destroy(memories[i]);
    cn_pages_free(k->weight_data);
    cn_free(k->bias_data);
    cn_free(k);
}

size_t nn_kernel_scratch_bytes(const nn_kernel *k)
{
    return k->scratch_bytes;
}

size_t nn_kernel_weight_bytes(const nn_kernel *k)
{
    return k->weight_bytes;
}

const char *nn_kernel_implementation(const nn_kernel *k)
{
    return k->implementation;
}

/* Attributes: scratch memory from the planned arena, strict float32, [scale][sum][activation]. */
static cn_status make_attr(dnnl_primitive_attr_t *out, float scale, bool sum, nn_activation act, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    *out = NULL;
    DNN_TRY(dnnl_primitive_attr_create(&attr), "creating attributes");
    DNN_TRY(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user), "planning scratch memory");
    DNN_TRY(dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict), "asking for strict arithmetic");
    DNN_TRY(dnnl_post_ops_create(&ops), "creating post-operations");
    if (scale != 0 && scale != 1)
        DNN_TRY(append_eltwise(ops, dnnl_eltwise_linear, scale, 0), "fusing a scale");
    if (sum)
        DNN_TRY(append_sum(ops), "fusing a sum");
    if (act == NN_ACT_RELU)
        DNN_TRY(append_eltwise(ops, dnnl_eltwise_relu, 0, 0), "fusing ReLU");
    if (act == NN_ACT_QUICK_GELU)
        DNN_TRY(append_eltwise(ops, dnnl_eltwise_swish, 1.702f, 0), "fusing QuickGELU");
    if (act == NN_ACT_GELU)
        DNN_TRY(append_eltwise(ops, dnnl_eltwise_gelu_erf, 0, 0), "fusing GELU");
    DNN_TRY(dnnl_primitive_attr_set_post_ops(attr, ops), "setting post-operations");
    *out = attr, attr = NULL;
done:
    if (ops)
        dnnl_post_ops_destroy(ops);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

/* The kernel of a primitive descriptor, with memory objects for what it reads and writes: which of the descriptor's
 * memories these are, and under which name the primitive takes them. */
typedef struct finish_ends {
    dnnl_query_t src, dst;
    int src_arg, dst_arg;
} finish_ends;

static cn_status finish_with(nn_kernel **out, nn_engine *e, dnnl_primitive_desc_t pd, finish_ends ends, cn_error *err)
{
    cn_status st = CN_OK;
    const char *implementation = "";
    nn_kernel *k = cn_calloc(1, sizeof *k);
    *out = NULL;
    CN_CHECK(k, CN_ENOMEM, "out of memory for a kernel");
    k->engine = e;
    k->src_arg = ends.src_arg;
    k->dst_arg = ends.dst_arg;
    DNN_TRY(dnnl_primitive_create(&k->primitive, pd), "building a kernel");
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&implementation) == dnnl_success)
        snprintf(k->implementation, sizeof k->implementation, "%s", implementation);
    DNN_TRY(dnnl_memory_create(&k->src, dnnl_primitive_desc_query_md(pd, ends.src, 0), e->engine, DNNL_MEMORY_NONE),
            "describing the source");
    DNN_TRY(dnnl_memory_create(&k->dst, dnnl_primitive_desc_query_md(pd, ends.dst, 0), e->engine, DNNL_MEMORY_NONE),
            "describing the destination");
    md_ref scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    k->scratch_bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (k->scratch_bytes)
        DNN_TRY(dnnl_memory_create(&k->scratch, scratch, e->engine, DNNL_MEMORY_NONE), "describing scratch memory");
    *out = k, k = NULL;
done:
    nn_kernel_free(k);
    return st;
}

static cn_status finish(nn_kernel **out, nn_engine *e, dnnl_primitive_desc_t pd, cn_error *err)
{
    const finish_ends forward = {dnnl_query_src_md, dnnl_query_dst_md, DNNL_ARG_SRC, DNNL_ARG_DST};
    return finish_with(out, e, pd, forward, err);
}

/* Packs float32 weights of layout `plain` into the layout that the primitive chose. */
static cn_status pack_weight(nn_kernel *k, dnnl_primitive_desc_t pd, md_ref plain, const float *weight, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t reorder_pd = NULL;
    dnnl_primitive_t reorder = NULL;
    md_ref packed = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    const size_t bytes = dnnl_memory_desc_get_size(packed);
    k->weight_data = cn_pages_calloc(bytes);
    CN_CHECK(k->weight_data, CN_ENOMEM, "%zu bytes for packed weights", bytes);
    k->weight_bytes += bytes;
    DNN_TRY(dnnl_memory_create(&k->weight, packed, k->engine->engine, k->weight_data), "describing weights");
    DNN_TRY(dnnl_memory_create(&from, plain, k->engine->engine, (void *)(uintptr_t)weight), "describing weights");
    DNN_TRY(dnnl_reorder_primitive_desc_create(&reorder_pd, plain, k->engine->engine, packed, k->engine->engine, NULL),
            "packing weights");
    DNN_TRY(dnnl_primitive_create(&reorder, reorder_pd), "packing weights");
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, k->weight}};
    DNN_TRY(dnnl_primitive_execute(reorder, k->engine->stream, 2, args), "packing weights");
    DNN_TRY(dnnl_stream_wait(k->engine->stream), "packing weights");
done:
    if (reorder)
        dnnl_primitive_destroy(reorder);
    if (reorder_pd)
        dnnl_primitive_desc_destroy(reorder_pd);
    if (from)
        dnnl_memory_destroy(from);
    return st;
}

/* One or two float32 vectors (bias, or gamma and beta) kept by the kernel. */
static cn_status keep_vectors(nn_kernel *k, int64_t count, const float *first, const float *second, cn_error *err)
{
    const size_t bytes = (size_t)count * sizeof(float);
    k->bias_data = cn_aligned_calloc(2 * ((bytes + 63) / 64 * 64));
    if (!k->bias_data)
        return cn_fail(err, CN_ENOMEM, "%zu bytes for a kernel's vectors", bytes);
    memcpy(k->bias_data, first, bytes);
    if (second)
        memcpy((char *)k->bias_data + (bytes + 63) / 64 * 64, second, bytes);
    k->weight_bytes += second ? 2 * bytes : bytes;
    return CN_OK;
}

/* Channels-last strides of an (n, c, h, w) tensor. */
static void channels_last(dnnl_dims_t strides, int64_t c, int64_t h, int64_t w)
{
    strides[0] = h * w * c;
    strides[1] = 1;
    strides[2] = w * c;
    strides[3] = c;
}

static void geometry_of(const nn_conv_spec *s, conv_geometry *g)
{
    const int64_t in[2] = {s->in_h, s->in_w}, out[2] = {s->out_h, s->out_w};
    for (int i = 0; i < 2; i++) {
        g->stride[i] = s->stride;
        g->kernel[i] = s->kernel;
        g->pad_low[i] = s->pad;
        g->pad_high[i] = (out[i] - 1) * s->stride + s->kernel - in[i] - s->pad; /* may be negative: cells left over */
    }
}

/* Whether Winograd's F(4x4, 3x3) (a quarter of the multiplications, in float32 as exact as the direct
 * sum to within 2e-6 of the largest value) pays for its two changes of layout: measured on RN50x4 and
 * RN50 shapes; below 14 px its tiles hang over the edge, below 40 channels the copies cost more than
 * it saves. A fixed rule, not a timing, so that results do not change from run to run.
 * oneDNN 3.x has it no more on x86; the direct kernel is taken there. */
static bool winograd_pays(const nn_conv_spec *s)
{
    return s->dtype == NN_F32 && s->kernel == 3 && s->stride == 1 && s->pad == 1 && !s->sum && s->in_c >= 40 &&
           s->out_c >= 40 && s->out_h >= 14 && s->out_w >= 14;
}

#define CACHE_LINE 64                          /* bytes */
#define PART_BYTES ((int64_t)1536 << 10)       /* of destination, a thread */
#define PART_MIN_ROWS 128                      /* a thread; fewer make the library's blocks ragged */
#define PART_WORTH ((int64_t)2 << 20)          /* bytes of destination below which the caches hold it anyway */
#define PART_WEIGHTS ((int64_t)2 << 20)        /* bytes of weights that are read again for each part */

/* A 1x1 convolution that adds to a large destination waits for memory: the library walks the
 * destination in strips of 64 channels, which the hardware does not foresee. So it runs over parts of
 * the rows (n, h and w are one dimension to it) that fit the caches, after each thread has read
 * its share of the part from end to end (sweep). On RN50x4 80 to 320 channels at 72 px take 5.5 ms in
 * place of 8.6 in fp32, 2.8 in place of 6.1 in bf16. Returns the rows of a part; 0: all at once. */
static int64_t part_rows(const nn_conv_spec *s)
{
    const int64_t rows = s->n * s->out_h * s->out_w, threads = omp_get_max_threads();
    const int64_t row_bytes = s->out_c * (int64_t)nn_dtype_size(s->dtype);
    const int64_t weight_bytes = s->in_c * row_bytes;
    if (s->kernel != 1 || s->stride != 1 || s->pad != 0 || !s->sum || rows * row_bytes < PART_WORTH ||
        weight_bytes > PART_WEIGHTS)
        return 0;
    int64_t most = PART_BYTES / row_bytes;
    most = (most < PART_MIN_ROWS ? PART_MIN_ROWS : most) * threads;
    for (int64_t part = most; part > most / 3; part--)
        if (rows % part == 0)
            return part == rows ? 0 : part;
    return 0;
}

struct sweep {
    const volatile char *data;
    size_t bytes;
};

/* ThreadSanitizer cannot see how OpenMP's threads wait for each other. */
__attribute__((no_sanitize("thread"))) static void sweep_share(void *arg)
{
    const struct sweep *s = arg;
    const size_t threads = (size_t)omp_get_num_threads(), i = (size_t)omp_get_thread_num();
    const size_t begin = s->bytes * i / threads / CACHE_LINE * CACHE_LINE, end = s->bytes * (i + 1) / threads;
    for (size_t at = begin; at < end; at += CACHE_LINE)
        (void)s->data[at];
}

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Copies around a kernel whose source and destination are in the library's own layout. */
static cn_status wrap_in_copies(nn_kernel *k, nn_engine *e, dnnl_primitive_desc_t pd, md_ref src, md_ref dst,
                                cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_primitive_desc_t in = NULL, out = NULL;
    dnnl_primitive_attr_t attr = NULL;
    md_ref own_src = dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    md_ref own_dst = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    CN_TRY(make_attr(&attr, 1, false, NN_NO_ACTIVATION, err));
    DNN_TRY(dnnl_reorder_primitive_desc_create(&in, src, e->engine, own_src, e->engine, attr), "changing a layout");
    DNN_TRY(dnnl_reorder_primitive_desc_create(&out, own_dst, e->engine, dst, e->engine, attr), "changing a layout");
    CN_TRY(finish(&k->before, e, in, err));
    CN_TRY(finish(&k->after, e, out, err));
    CN_CHECK(!k->before->scratch_bytes && !k->after->scratch_bytes, CN_EBACKEND, "a change of layout wants scratch memory");
    k->src_offset = padded(k->scratch_bytes);
    k->dst_offset = k->src_offset + padded(dnnl_memory_desc_get_size(own_src));
    k->scratch_bytes = k->dst_offset + padded(dnnl_memory_desc_get_size(own_dst));
done:
    if (in)
        dnnl_primitive_desc_destroy(in);
    if (out)
        dnnl_primitive_desc_destroy(out);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

cn_status nn_kernel_conv(nn_kernel **out, nn_engine *e, const nn_conv_spec *s, const float *weight, const float *bias,
                         cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t src = {0}, any_src = {0}, packed = {0}, plain = {0}, bias_md = {0}, dst = {0}, any_dst = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    nn_kernel *k = NULL;
    conv_geometry g;
    dnnl_dims_t strides;
    const dnnl_dims_t src_dims = {s->n, s->in_c, s->in_h, s->in_w}, dst_dims = {s->n, s->out_c, s->out_h, s->out_w};
    const dnnl_dims_t weight_dims = {s->out_c, s->in_c, s->kernel, s->kernel}, bias_dims = {s->out_c}, one = {1};
    const dnnl_dims_t weight_strides = {s->in_c * s->kernel * s->kernel, (int64_t)s->kernel * s->kernel, s->kernel, 1};
    *out = NULL;
    geometry_of(s, &g);
    channels_last(strides, s->in_c, s->in_h, s->in_w);
    DNN_TRY(md_strided(&src, 4, src_dims, type_of(s->dtype), strides), "describing a convolution");
    channels_last(strides, s->out_c, s->out_h, s->out_w);
    DNN_TRY(md_strided(&dst, 4, dst_dims, type_of(s->dtype), strides), "describing a convolution");
    DNN_TRY(md_any(&packed, 4, weight_dims, type_of(s->dtype)), "describing a convolution");
    DNN_TRY(md_strided(&plain, 4, weight_dims, dnnl_f32, weight_strides), "describing a convolution");
    DNN_TRY(md_strided(&bias_md, 1, bias_dims, dnnl_f32, one), "describing a convolution");
    CN_TRY(make_attr(&attr, 1, s->sum, s->act, err));
    if (winograd_pays(s)) {
        DNN_TRY(md_any(&any_src, 4, src_dims, dnnl_f32), "describing a convolution");
        DNN_TRY(md_any(&any_dst, 4, dst_dims, dnnl_f32), "describing a convolution");
        if (pd_conv(&pd, e->engine, dnnl_convolution_winograd, MD(any_src), MD(packed), MD(bias_md), MD(any_dst), &g,
                    attr) != dnnl_success)
            pd = NULL;
    }
    const bool winograd = pd != NULL;
    const int64_t part = winograd ? 0 : part_rows(s);
    if (part) {
        const dnnl_dims_t part_src = {1, s->in_c, 1, part}, part_dst = {1, s->out_c, 1, part};
        md_clear(&src), md_clear(&dst);
        channels_last(strides, s->in_c, 1, part);
        DNN_TRY(md_strided(&src, 4, part_src, type_of(s->dtype), strides), "describing a convolution");
        channels_last(strides, s->out_c, 1, part);
        DNN_TRY(md_strided(&dst, 4, part_dst, type_of(s->dtype), strides), "describing a convolution");
    }
    if (!winograd)
        DNN_TRY(pd_conv(&pd, e->engine, dnnl_convolution_direct, MD(src), MD(packed), MD(bias_md), MD(dst), &g, attr),
                "a convolution");
    CN_TRY(finish(&k, e, pd, err));
    CN_TRY(pack_weight(k, pd, MD(plain), weight, err));
    CN_TRY(keep_vectors(k, s->out_c, bias, NULL, err));
    DNN_TRY(dnnl_memory_create(&k->bias, MD(bias_md), e->engine, k->bias_data), "describing a bias");
    if (part) {
        k->parts = s->n * s->out_h * s->out_w / part;
        k->src_part = (size_t)(part * s->in_c) * nn_dtype_size(s->dtype);
        k->dst_part = (size_t)(part * s->out_c) * nn_dtype_size(s->dtype);
    }
    if (winograd)
        CN_TRY(wrap_in_copies(k, e, pd, MD(src), MD(dst), err));
    *out = k, k = NULL;
done:
    nn_kernel_free(k);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&src), md_clear(&any_src), md_clear(&packed), md_clear(&plain);
    md_clear(&bias_md), md_clear(&dst), md_clear(&any_dst);
    return st;
}

cn_status nn_kernel_conv_gradient(nn_kernel **out, nn_engine *e, const nn_conv_spec *s, const float *weight, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t src = {0}, packed = {0}, plain = {0}, dst = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL, forward = NULL;
    nn_kernel *k = NULL;
    conv_geometry g;
    dnnl_dims_t strides;
    const dnnl_dims_t src_dims = {s->n, s->in_c, s->in_h, s->in_w}, dst_dims = {s->n, s->out_c, s->out_h, s->out_w};
    const dnnl_dims_t weight_dims = {s->out_c, s->in_c, s->kernel, s->kernel};
    const dnnl_dims_t weight_strides = {s->in_c * s->kernel * s->kernel, (int64_t)s->kernel * s->kernel, s->kernel, 1};
    const finish_ends ends = {dnnl_query_diff_dst_md, dnnl_query_diff_src_md, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC};
    *out = NULL;
    geometry_of(s, &g);
    channels_last(strides, s->in_c, s->in_h, s->in_w);
    DNN_TRY(md_strided(&src, 4, src_dims, type_of(s->dtype), strides), "describing a gradient");
    channels_last(strides, s->out_c, s->out_h, s->out_w);
    DNN_TRY(md_strided(&dst, 4, dst_dims, type_of(s->dtype), strides), "describing a gradient");
    DNN_TRY(md_any(&packed, 4, weight_dims, type_of(s->dtype)), "describing a gradient");
    DNN_TRY(md_strided(&plain, 4, weight_dims, dnnl_f32, weight_strides), "describing a gradient");
    CN_TRY(make_attr(&attr, 1, false, NN_NO_ACTIVATION, err));
    DNN_TRY(pd_conv(&forward, e->engine, dnnl_convolution_direct, MD(src), MD(packed), NULL, MD(dst), &g, attr),
            "a convolution");
    DNN_TRY(pd_conv_gradient(&pd, e->engine, MD(src), MD(packed), MD(dst), &g, attr, forward), "the gradient of a convolution");
    CN_TRY(finish_with(&k, e, pd, ends, err));
    CN_TRY(pack_weight(k, pd, MD(plain), weight, err));
    *out = k, k = NULL;
done:
    nn_kernel_free(k);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (forward)
        dnnl_primitive_desc_destroy(forward);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&src), md_clear(&packed), md_clear(&plain), md_clear(&dst);
    return st;
}

cn_status nn_kernel_avgpool(nn_kernel **out, nn_engine *e, const nn_conv_spec *s, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t src = {0}, dst = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    conv_geometry g;
    dnnl_dims_t strides;
    /* Rows and columns that fill no tile are dropped: the source is described without them. */
    const dnnl_dims_t src_dims = {s->n, s->in_c, s->out_h * s->kernel, s->out_w * s->kernel};
    const dnnl_dims_t dst_dims = {s->n, s->out_c, s->out_h, s->out_w};
    *out = NULL;
    geometry_of(s, &g);
    g.pad_high[0] = g.pad_high[1] = 0;
    channels_last(strides, s->in_c, s->in_h, s->in_w);
    DNN_TRY(md_strided(&src, 4, src_dims, type_of(s->dtype), strides), "describing a pool");
    channels_last(strides, s->out_c, s->out_h, s->out_w);
    DNN_TRY(md_strided(&dst, 4, dst_dims, type_of(s->dtype), strides), "describing a pool");
    CN_TRY(make_attr(&attr, 1, false, NN_NO_ACTIVATION, err));
    DNN_TRY(pd_avgpool(&pd, e->engine, MD(src), MD(dst), &g, attr), "an average pool");
    CN_TRY(finish(out, e, pd, err));
done:
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&src), md_clear(&dst);
    return st;
}

cn_status nn_kernel_matmul(nn_kernel **out, nn_engine *e, const nn_matmul_spec *s, const float *weight,
                           const float *bias, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t a = {0}, b = {0}, plain = {0}, bias_md = {0}, c = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    nn_kernel *k = NULL;
    dnnl_dims_t a_dims, b_dims, c_dims, bias_dims, bias_strides;
    const int outer = s->ndim - 2;
    *out = NULL;
    for (int i = 0; i < outer; i++) {
        a_dims[i] = b_dims[i] = c_dims[i] = s->batch[i];
        bias_dims[i] = 1;
        bias_strides[i] = s->n;
    }
    a_dims[outer] = c_dims[outer] = s->m;
    a_dims[outer + 1] = b_dims[outer] = s->k;
    b_dims[outer + 1] = c_dims[outer + 1] = bias_dims[outer + 1] = s->n;
    bias_dims[outer] = 1;
    bias_strides[outer] = s->n;
    bias_strides[outer + 1] = 1;
    DNN_TRY(md_strided(&a, s->ndim, a_dims, type_of(s->a), s->a_stride), "describing a matrix product");
    DNN_TRY(md_strided(&c, s->ndim, c_dims, type_of(s->c), s->c_stride), "describing a matrix product");
    if (weight) {
        DNN_TRY(md_any(&b, s->ndim, b_dims, type_of(s->b)), "describing a matrix product");
        DNN_TRY(md_strided(&plain, s->ndim, b_dims, dnnl_f32, s->b_stride), "describing a matrix product");
    } else {
        DNN_TRY(md_strided(&b, s->ndim, b_dims, type_of(s->b), s->b_stride), "describing a matrix product");
    }
    if (bias)
        DNN_TRY(md_strided(&bias_md, s->ndim, bias_dims, dnnl_f32, bias_strides), "describing a matrix product");
    CN_TRY(make_attr(&attr, s->scale, s->sum, s->act, err));
    DNN_TRY(pd_matmul(&pd, e->engine, MD(a), MD(b), bias ? MD(bias_md) : NULL, MD(c), attr), "a matrix product");
    CN_TRY(finish(&k, e, pd, err));
    if (weight) {
        CN_TRY(pack_weight(k, pd, MD(plain), weight, err));
    } else {
        k->weight_at_run = true;
        DNN_TRY(dnnl_memory_create(&k->weight, MD(b), e->engine, DNNL_MEMORY_NONE), "describing a matrix");
    }
    if (bias) {
        CN_TRY(keep_vectors(k, s->n, bias, NULL, err));
        DNN_TRY(dnnl_memory_create(&k->bias, MD(bias_md), e->engine, k->bias_data), "describing a bias");
    }
    *out = k, k = NULL;
done:
    nn_kernel_free(k);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&a), md_clear(&b), md_clear(&plain), md_clear(&bias_md), md_clear(&c);
    return st;
}

cn_status nn_kernel_softmax(nn_kernel **out, nn_engine *e, int64_t rows, int64_t width, nn_dtype dtype, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t data = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    const dnnl_dims_t dims = {rows, width}, strides = {width, 1};
    *out = NULL;
    DNN_TRY(md_strided(&data, 2, dims, type_of(dtype), strides), "describing a softmax");
    CN_TRY(make_attr(&attr, 1, false, NN_NO_ACTIVATION, err));
    DNN_TRY(pd_softmax(&pd, e->engine, MD(data), attr), "a softmax");
    CN_TRY(finish(out, e, pd, err));
done:
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&data);
    return st;
}

static dnnl_alg_kind_t alg_of(nn_activation act, float *alpha)
{
    *alpha = act == NN_ACT_QUICK_GELU ? 1.702f : 0;
    return act == NN_ACT_QUICK_GELU ? dnnl_eltwise_swish : act == NN_ACT_GELU ? dnnl_eltwise_gelu_erf : dnnl_eltwise_relu;
}

cn_status nn_kernel_act(nn_kernel **out, nn_engine *e, int64_t count, nn_dtype dtype, nn_activation act, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t data = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    const dnnl_dims_t dims = {count}, one = {1};
    float alpha;
    const dnnl_alg_kind_t alg = alg_of(act, &alpha);
    *out = NULL;
    DNN_TRY(md_strided(&data, 1, dims, type_of(dtype), one), "describing an activation function");
    CN_TRY(make_attr(&attr, 1, false, NN_NO_ACTIVATION, err));
    DNN_TRY(pd_act(&pd, e->engine, dnnl_forward_inference, alg, alpha, MD(data), attr), "an activation function");
    CN_TRY(finish(out, e, pd, err));
done:
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&data);
    return st;
}

cn_status nn_kernel_act_gradient(nn_kernel **out, nn_engine *e, int64_t count, nn_dtype dtype, nn_activation act, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t data = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL, forward = NULL;
    nn_kernel *k = NULL;
    const dnnl_dims_t dims = {count}, one = {1};
    const finish_ends ends = {dnnl_query_src_md, dnnl_query_diff_src_md, DNNL_ARG_SRC, DNNL_ARG_DIFF_SRC};
    float alpha;
    const dnnl_alg_kind_t alg = alg_of(act, &alpha);
    *out = NULL;
    DNN_TRY(md_strided(&data, 1, dims, type_of(dtype), one), "describing an activation function");
    CN_TRY(make_attr(&attr, 1, false, NN_NO_ACTIVATION, err));
    DNN_TRY(pd_act(&forward, e->engine, dnnl_forward_training, alg, alpha, MD(data), attr), "an activation function");
    DNN_TRY(pd_act_gradient(&pd, e->engine, alg, alpha, MD(data), attr, forward), "the gradient of an activation function");
    CN_TRY(finish_with(&k, e, pd, ends, err));
    DNN_TRY(dnnl_memory_create(&k->second, MD(data), e->engine, DNNL_MEMORY_NONE), "describing a gradient");
    *out = k, k = NULL;
done:
    nn_kernel_free(k);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (forward)
        dnnl_primitive_desc_destroy(forward);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&data);
    return st;
}

cn_status nn_kernel_layernorm(nn_kernel **out, nn_engine *e, int64_t rows, int64_t width, nn_dtype dtype, float eps,
                              const float *gamma, const float *beta, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t data = {0}, vector = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    nn_kernel *k = NULL;
    const dnnl_dims_t dims = {rows, width}, strides = {width, 1}, vector_dims = {width}, one = {1};
    *out = NULL;
    DNN_TRY(md_strided(&data, 2, dims, type_of(dtype), strides), "describing a layer normalisation");
    DNN_TRY(md_strided(&vector, 1, vector_dims, dnnl_f32, one), "describing a layer normalisation");
    CN_TRY(make_attr(&attr, 1, false, NN_NO_ACTIVATION, err));
    DNN_TRY(pd_layernorm(&pd, e->engine, MD(data), eps, attr), "a layer normalisation");
    CN_TRY(finish(&k, e, pd, err));
    CN_TRY(keep_vectors(k, width, gamma, beta, err));
    DNN_TRY(dnnl_memory_create(&k->scale, MD(vector), e->engine, k->bias_data), "describing gamma");
    DNN_TRY(dnnl_memory_create(&k->shift, MD(vector), e->engine,
                               (char *)k->bias_data + ((size_t)width * sizeof(float) + 63) / 64 * 64),
            "describing beta");
    *out = k, k = NULL;
done:
    nn_kernel_free(k);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&data), md_clear(&vector);
    return st;
}

cn_status nn_kernel_copy(nn_kernel **out, nn_engine *e, const int64_t dims[4], nn_strided from, nn_strided to,
                         cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_memory_desc_t src = {0}, dst = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    *out = NULL;
    DNN_TRY(md_strided(&src, 4, dims, type_of(from.dtype), from.stride), "describing a copy");
    DNN_TRY(md_strided(&dst, 4, dims, type_of(to.dtype), to.stride), "describing a copy");
    CN_TRY(make_attr(&attr, 1, false, NN_NO_ACTIVATION, err));
    DNN_TRY(dnnl_reorder_primitive_desc_create(&pd, MD(src), e->engine, MD(dst), e->engine, attr), "a copy");
    CN_TRY(finish(out, e, pd, err));
done:
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    md_clear(&src), md_clear(&dst);
    return st;
}

cn_status nn_kernel_run(nn_kernel *k, const void *src, const void *b, void *dst, void *scratch, cn_error *err)
{
    cn_status st = CN_OK;
    dnnl_exec_arg_t args[8];
    int count = 0;
    void *const result = dst;
    if (k->before) {
        void *own_src = (char *)scratch + k->src_offset;
        CN_TRY(nn_kernel_run(k->before, src, NULL, own_src, NULL, err));
        src = own_src;
        dst = (char *)scratch + k->dst_offset;
    }
    DNN_TRY(dnnl_memory_set_data_handle(k->src, (void *)(uintptr_t)src), "setting the source");
    DNN_TRY(dnnl_memory_set_data_handle(k->dst, dst), "setting the destination");
    if (k->weight_at_run)
        DNN_TRY(dnnl_memory_set_data_handle(k->weight, (void *)(uintptr_t)b), "setting a matrix");
    if (k->second)
        DNN_TRY(dnnl_memory_set_data_handle(k->second, (void *)(uintptr_t)b), "setting a gradient");
    if (k->scratch)
        DNN_TRY(dnnl_memory_set_data_handle(k->scratch, scratch), "setting scratch memory");
    const struct {
        int id;
        dnnl_memory_t memory;
    } all[] = {{k->src_arg, k->src},       {DNNL_ARG_WEIGHTS, k->weight},      {DNNL_ARG_BIAS, k->bias},
               {k->dst_arg, k->dst},       {DNNL_ARG_SCRATCHPAD, k->scratch},  {DNNL_ARG_SCALE, k->scale},
               {DNNL_ARG_SHIFT, k->shift}, {DNNL_ARG_DIFF_DST, k->second}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].memory)
            args[count++] = (dnnl_exec_arg_t){all[i].id, all[i].memory};
    for (int64_t part = 0; part < (k->parts ? k->parts : 1); part++) {
        if (k->parts) {
            struct sweep sweep = {(char *)dst + (size_t)part * k->dst_part, k->dst_part};
            GOMP_parallel(sweep_share, &sweep, (unsigned)omp_get_max_threads(), 0);
            DNN_TRY(dnnl_memory_set_data_handle(k->src, (char *)(uintptr_t)src + (size_t)part * k->src_part),
                    "setting the source");
            DNN_TRY(dnnl_memory_set_data_handle(k->dst, (char *)dst + (size_t)part * k->dst_part),
                    "setting the destination");
        }
        DNN_TRY(dnnl_primitive_execute(k->primitive, k->engine->stream, count, args), "running a kernel");
        DNN_TRY(dnnl_stream_wait(k->engine->stream), "running a kernel");
    }
    if (k->after)
        CN_TRY(nn_kernel_run(k->after, dst, NULL, result, NULL, err));
done:
    return st;
}
