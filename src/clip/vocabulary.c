/* clip/vocabulary.c -- a walk over the token embeddings. */
#include "clip/vocabulary.h"

#include "base/memory.h"

#include <string.h>

cn_status vocabulary_unseen(const cn_model *model, bool **out, size_t *count, cn_error *err)
{
    static const char ending[] = "token_embedding.weight";
    cn_status st = CN_OK;
    float *table = NULL;
    bool *unseen = NULL;
    const cn_weights *w = cn_model_weights(model);
    const cn_tensor *t = NULL;
    *out = NULL;
    *count = 0;
    for (size_t i = 0; w && i < cn_weights_count(w); i++) {
        const cn_tensor *candidate = cn_weights_at(w, i);
        size_t length = strlen(candidate->name);
        if (candidate->ndim == 2 && length >= sizeof ending - 1 &&
            strcmp(candidate->name + length - (sizeof ending - 1), ending) == 0)
            t = candidate;
    }
    if (!t)
        return CN_OK;
    const size_t rows = (size_t)t->shape[0], width = (size_t)t->shape[1];
    size_t values;
    CN_CHECK(cn_mul_size(rows, width, &values), CN_ELIMIT, "token embeddings of %zu x %zu", rows, width);
    table = cn_reallocarray(NULL, values, sizeof *table);
    unseen = cn_calloc(rows, sizeof *unseen);
    CN_CHECK(table && unseen, CN_ENOMEM, "out of memory for the token embeddings");
    cn_tensor_read_f32(t, table);
    for (size_t r = 0; r < rows; r++) {
        size_t k = 0;
        while (k < width && table[r * width + k] == 0)
            k++;
        unseen[r] = k == width;
    }
    *out = unseen, unseen = NULL;
    *count = rows;
done:
    cn_free(table);
    cn_free(unseen);
    return st;
}
