/* clipneuron/array.h -- numpy's .npy and .npz files, written and read.
 * Writing is atomic: the file appears under its name when it is complete.
 * Reading maps the file; files are untrusted. */
#ifndef CLIPNEURON_ARRAY_H
#define CLIPNEURON_ARRAY_H

#include "clipneuron/error.h"
#include "clipneuron/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Writes one C-order array. @param data ndim dimensions of `shape`, contiguous
 * @return CN_OK; CN_EIO with the file's name and the system's reason (nothing is left behind) */
CN_API CN_MUST_CHECK cn_status cn_npy_write(const char *path, cn_dtype dtype, int ndim, const int64_t *shape,
                                            const void *data, cn_error *err);

/* A .npy written piece by piece along its first dimension, or a .npz with several arrays. */
typedef struct cn_npy_writer cn_npy_writer;
/** shape[0] is the number of rows that will follow. For appending large results without holding them. */
CN_API CN_MUST_CHECK cn_status cn_npy_writer_open(cn_npy_writer **out, const char *path, cn_dtype dtype, int ndim,
                                                  const int64_t *shape, cn_error *err);
CN_API CN_MUST_CHECK cn_status cn_npy_writer_rows(cn_npy_writer *w, const void *data, int64_t rows, cn_error *err);
/** Checks that all rows came and moves the file to its name; frees w in any case. */
CN_API CN_MUST_CHECK cn_status cn_npy_writer_finish(cn_npy_writer *w, cn_error *err);
/** Gives up: removes what was written. Accepts NULL. */
CN_API void cn_npy_writer_discard(cn_npy_writer *w);

typedef struct cn_npz_writer cn_npz_writer;
CN_API CN_MUST_CHECK cn_status cn_npz_writer_open(cn_npz_writer **out, const char *path, cn_error *err);
/** Adds the array `name` (without ".npy"), stored uncompressed. */
CN_API CN_MUST_CHECK cn_status cn_npz_writer_add(cn_npz_writer *w, const char *name, cn_dtype dtype, int ndim,
                                                 const int64_t *shape, const void *data, cn_error *err);
/** Adds n texts as an array of numpy's fixed-width unicode ("<U7"). cn_arrays_open does not read such arrays.
 * @param texts zero-terminated UTF-8; bytes that are none become U+FFFD
 * @return also CN_ELIMIT, before anything is written: the longest text and n together make more than `most` bytes */
CN_API CN_MUST_CHECK cn_status cn_npz_writer_add_texts(cn_npz_writer *w, const char *name, const char *const *texts, size_t n, size_t most,
                                                       cn_error *err);
CN_API CN_MUST_CHECK cn_status cn_npz_writer_finish(cn_npz_writer *w, cn_error *err);
CN_API void cn_npz_writer_discard(cn_npz_writer *w);

/* The arrays of a .npy (one, named "") or .npz file. */
typedef struct cn_arrays cn_arrays;
CN_API CN_MUST_CHECK cn_status cn_arrays_open(cn_arrays **out, const char *path, cn_error *err);
CN_API void cn_arrays_close(cn_arrays *a);
CN_API size_t cn_arrays_count(const cn_arrays *a);
/** Borrowed until close. Fortran order shows in the strides. */
CN_API const cn_tensor *cn_arrays_at(const cn_arrays *a, size_t i);
CN_API const cn_tensor *cn_arrays_find(const cn_arrays *a, const char *name);

#ifdef __cplusplus
}
#endif
#endif
