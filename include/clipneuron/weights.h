/* clipneuron/weights.h -- named tensors read from safetensors and PyTorch files.
 * One read-only view over a memory-mapped file (or a folder of shards): nothing is copied until a
 * tensor is read. Files are untrusted: every check happens in cn_weights_open, after which reading
 * cannot fail for reasons of the file. No code that a file contains is ever run.
 * Threads: after open, any number of readers; close from one. */
#ifndef CLIPNEURON_WEIGHTS_H
#define CLIPNEURON_WEIGHTS_H

#include "clipneuron/error.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Limits for files from strangers; docs/weights-formats.md says why each is enough. */
#define CN_MAX_TENSOR_DIMS 8
#define CN_MAX_TENSORS 65536
#define CN_MAX_TENSOR_NAME 512                     /* bytes */
#define CN_MAX_WEIGHTS_HEADER ((size_t)64 << 20)   /* bytes of JSON or pickle */
#define CN_MAX_ZIP_ENTRIES 131072
#define CN_MAX_SHARDS 1024

typedef enum cn_dtype {
    CN_DTYPE_F32,
    CN_DTYPE_F16,
    CN_DTYPE_BF16,
    CN_DTYPE_F64,
    CN_DTYPE_I64,
    CN_DTYPE_I32,
    CN_DTYPE_I16,
    CN_DTYPE_I8,
    CN_DTYPE_U8,
    CN_DTYPE_BOOL
} cn_dtype;

/** Bytes of one element. */
CN_API size_t cn_dtype_size(cn_dtype dtype);
/** "f32", "bf16", ...; static storage. */
CN_API const char *cn_dtype_name(cn_dtype dtype);

/* A tensor inside the mapped file. Everything is borrowed from the cn_weights that gave it. */
typedef struct cn_tensor {
    const char *name;                   /* as stored, less a prefix "module." */
    cn_dtype dtype;
    int ndim;                           /* 0 for a scalar */
    int64_t shape[CN_MAX_TENSOR_DIMS];
    int64_t stride[CN_MAX_TENSOR_DIMS]; /* in elements, >= 0; a torch.save file may hold transposed views */
    int64_t count;                      /* product of shape */
    const void *data;                   /* first element; may be unaligned */
} cn_tensor;

typedef struct cn_weights cn_weights;

/** Opens a checkpoint: .safetensors; a zip written by torch.save (a state dict, or one nested under
 * `state_dict`); a TorchScript archive; a legacy torch.save file; a folder with model.safetensors,
 * open_clip_model.safetensors, open_clip_pytorch_model.bin, pytorch_model.bin or a *.index.json of
 * shards. The kind is told from the content, not from the name.
 * @param[out] out owned by the caller; NULL on failure
 * @return CN_OK; CN_EIO, CN_EFORMAT, CN_EUNSUPPORTED, CN_ELIMIT, CN_ENOTFOUND, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_weights_open(cn_weights **out, const char *path, cn_error *err);
/** Accepts NULL. */
CN_API void cn_weights_close(cn_weights *w);

CN_API size_t cn_weights_count(const cn_weights *w);
/** The i-th tensor in the order of the file, i < cn_weights_count(w); borrowed. */
CN_API const cn_tensor *cn_weights_at(const cn_weights *w, size_t i);
/** The tensor of that name, or NULL; borrowed until close. */
CN_API const cn_tensor *cn_weights_find(const cn_weights *w, const char *name);

/** "safetensors", "PyTorch state dict", "TorchScript archive", ...; static storage. */
CN_API const char *cn_weights_format(const cn_weights *w);
/** The path as given to open; borrowed. */
CN_API const char *cn_weights_path(const cn_weights *w);
/** The text of the config.json or open_clip_config.json beside the tensors (for a folder; for a
 * single file, one in the same folder is NOT taken), or NULL; zero-terminated, borrowed. */
CN_API const char *cn_weights_config(const cn_weights *w);

/** Reads a whole tensor as float32 in row-major order.
 * @param[out] dst caller's buffer of t->count floats. Integers are converted; F16/BF16/F32 exactly. */
CN_API void cn_tensor_read_f32(const cn_tensor *t, float *dst);

/** Tells the system that the mapped pages are not needed for now; reads stay valid (pages come
 * back from the file). Keeps the resident size of big checkpoints small while they are converted. */
CN_API void cn_weights_drop_pages(const cn_weights *w);

/** SHA-256 over names, shapes, dtypes and bytes of all tensors in name order: the same for one model
 * in any container format with the same storage. 64 hex digits and a zero.
 * @param[out] hex caller's buffer of 65 bytes */
CN_API CN_MUST_CHECK cn_status cn_weights_fingerprint(const cn_weights *w, char hex[65], cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
