/* file/npyheader.h -- the header of numpy's .npy format, versions 1 to 3, both ways. */
#ifndef FILE_NPYHEADER_H
#define FILE_NPYHEADER_H

#include "base/check.h"
#include "clipneuron/weights.h"

/* numpy itself refuses longer headers unless told otherwise. */
#define NPY_MAX_HEADER 10000
/* Enough for CN_MAX_TENSOR_DIMS numbers of 20 digits; a multiple of 64. */
#define NPY_HEADER_ROOM 384

/* Fills bytes with a complete header and *size with its length (a multiple of 64, as numpy writes), and
 * *data_size with the length of the data that must follow. `what` is the file name for messages.
 * CN_EINVAL for more than CN_MAX_TENSOR_DIMS dimensions, negative ones, overflow, or bf16 (which numpy
 * does not have). */
CN_MUST_CHECK cn_status npyheader_make(char bytes[NPY_HEADER_ROOM], size_t *size, size_t *data_size,
                                       cn_dtype dtype, int ndim, const int64_t *shape, const char *what,
                                       cn_error *err);

/* The same for `count` texts of `width` characters each, numpy's "<U". */
CN_MUST_CHECK cn_status npyheader_make_text(char bytes[NPY_HEADER_ROOM], size_t *size, size_t *data_size, size_t width, size_t count,
                                            const char *what, cn_error *err);

bool npyheader_probe(const uint8_t *data, size_t size);
/* Fills everything of *t but the name from a whole .npy in memory; t->data points into it. */
CN_MUST_CHECK cn_status npyheader_parse(cn_tensor *t, const uint8_t *data, size_t size, const char *what,
                                        cn_error *err);

#endif
