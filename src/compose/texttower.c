/* compose/texttower.c -- runs the text tower in batches. */
#include "compose/texttower.h"

#include "base/memory.h"
#include "clip/vocabulary.h"
#include "study/product.h"

#include <inttypes.h>
#include <string.h>

enum { TEXTTOWER_BATCH = 32 };

cn_status texttower_open(texttower *t, const cn_model *model, int threads, cn_precision precision, cn_backend backend, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(model);
    memset(t, 0, sizeof *t);
    t->model = model;
    t->context = (size_t)info->context_length;
    t->width = info->embedding;
    CN_CHECK(info->context_length > 2 && t->width > 0, CN_EUNSUPPORTED, "%s: the model has no text tower",
             cn_weights_path(cn_model_weights(model)));
    CN_TRY(vocabulary_unseen(model, &t->unseen, &t->vocabulary, err));
    CN_TRY(cn_tokenizer_create(&t->tokenizer, err));
    t->options = (cn_runner_options){
        .tower = CN_TOWER_TEXT, .embedding = true, .batch = TEXTTOWER_BATCH, .threads = threads, .precision = precision, .backend = backend};
done:
    return st;
}

void texttower_close(texttower *t)
{
    cn_runner_free(t->runner);
    cn_tokenizer_free(t->tokenizer);
    cn_free(t->unseen);
    memset(t, 0, sizeof *t);
}

cn_status texttower_row(const texttower *t, const char *text, int32_t *row, size_t *used, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(cn_tokenizer_row(t->tokenizer, text, t->context, false, row, used, err));
    CN_CHECK(*used > 2, CN_EINVAL, "the text is empty");
done:
    return st;
}

bool texttower_known(const texttower *t, int32_t id)
{
    return id >= 0 && (!t->unseen || ((size_t)id < t->vocabulary && !t->unseen[id]));
}

bool texttower_row_known(const texttower *t, const int32_t *row, size_t used)
{
    for (size_t k = 1; k + 1 < used; k++)
        if (!texttower_known(t, row[k]))
            return false;
    return used > 2;
}

/* A runner that is long enough for the rows: most texts use a tenth of the context, and what is behind their end mark counts for nothing. */
static cn_status lengthen(texttower *t, const int32_t *rows, int64_t n, cn_error *err)
{
    cn_status st = CN_OK;
    int64_t longest = 2;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = (int64_t)t->context; k > longest; k--)
            if (rows[i * (int64_t)t->context + k - 1])
                longest = k;
    if (t->runner && longest <= t->options.text_length)
        return CN_OK;
    cn_runner_free(t->runner);
    t->runner = NULL;
    t->options.text_length = longest + 2 < (int64_t)t->context ? longest + 2 : (int64_t)t->context;
    CN_TRY(cn_runner_create(&t->runner, t->model, &t->options, err));
done:
    return st;
}

cn_status texttower_embed(texttower *t, const int32_t *rows, int64_t n, float *out, texttower_go_on *go_on, void *user, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(lengthen(t, rows, n, err));
    for (int64_t i = 0; i < n; i += TEXTTOWER_BATCH) {
        const int64_t m = n - i < TEXTTOWER_BATCH ? n - i : TEXTTOWER_BATCH;
        CN_TRY(cn_runner_texts(t->runner, rows + i * (int64_t)t->context, m, err));
        const float *from = cn_runner_embedding(t->runner);
        for (int64_t k = 0; k < m; k++)
            product_normalise(from + k * t->width, out + (i + k) * t->width, t->width);
        CN_CHECK(!go_on || go_on(user, i + m, n), CN_ECANCELED, "cancelled");
    }
done:
    return st;
}
