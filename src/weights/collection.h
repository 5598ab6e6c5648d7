/* weights/collection.h -- what cn_weights is made of, and how the readers of the formats fill it.
 * A reader maps files with weights_map, adds tensors with weights_add; cn_weights_open sorts the names at the
 * end. A reader that fails leaves everything to cn_weights_close. */
#ifndef WEIGHTS_COLLECTION_H
#define WEIGHTS_COLLECTION_H

#include "base/check.h"
#include "clipneuron/weights.h"
#include "file/filemap.h"

#include <stdbool.h>

typedef struct name_block name_block;

struct cn_weights {
    char *path;
    char *config;       /* or NULL */
    const char *format; /* static */
    filemap *maps;
    size_t map_count;
    cn_tensor *tensors; /* in the order of the file */
    size_t count, room;
    cn_tensor **by_name; /* sorted; made at the end of open */
    name_block *names;
};

/* Maps one more file into w; borrowed. */
CN_MUST_CHECK cn_status weights_map(cn_weights *w, const filemap **map, const char *path, cn_error *err);
/* Copies *t under a copy of the name, less a prefix "module.". Checks the name, the number of tensors and
 * computes t->count from the shape (product of dimensions, CN_EFORMAT on overflow); strides and data are
 * the reader's duty. `what` is the file's name. */
CN_MUST_CHECK cn_status weights_add(cn_weights *w, const char *name, size_t length, cn_tensor *t,
                                    const char *what, cn_error *err);
/* *count = product of the dimensions; checks that it and its bytes fit. */
CN_MUST_CHECK cn_status weights_shape(cn_tensor *t, const char *name, size_t length, const char *what,
                                      cn_error *err);
/* Sorts the names; two equal ones are refused. */
CN_MUST_CHECK cn_status weights_index(cn_weights *w, cn_error *err);

/* Reads one file whose kind is told from its content: safetensors, zip or legacy. */
CN_MUST_CHECK cn_status weights_read_file(cn_weights *w, const char *path, cn_error *err);

/* The readers. */
CN_MUST_CHECK cn_status safetensors_read(cn_weights *w, const filemap *map, const char *path, cn_error *err);
CN_MUST_CHECK cn_status torchzip_read(cn_weights *w, const filemap *map, const char *path, cn_error *err);
CN_MUST_CHECK cn_status torchlegacy_read(cn_weights *w, const filemap *map, const char *path, cn_error *err);
CN_MUST_CHECK cn_status folder_read(cn_weights *w, const char *path, cn_error *err);
/* A single file; one with a name from a Hugging Face or open_clip folder (model.safetensors, or an index of
 * shards) is read with the config that lies beside it, which tells the activation and the heads. */
CN_MUST_CHECK cn_status file_read(cn_weights *w, const char *path, cn_error *err);

#endif
