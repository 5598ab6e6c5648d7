/* compose/explain.c -- the units that a text calls on. */
#include "base/memory.h"
#include "clipneuron/image.h"
#include "clipneuron/linear.h"
#include "compose/textspace.h"
#include "study/product.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char unnamed[] = ""; /* by its address: a unit that was not asked for its name */

/* What the result points to lives behind it. */
typedef struct kept_explanation {
    cn_explanation result;
    char **strings;
    size_t n_strings;
    float *token_weights; /* (tokens, units) */
    char **token_texts;
    size_t n_token_texts;
    char *unknown;
} kept_explanation;

typedef struct explaining {
    textspace space;
    cn_explain_options o;
    int32_t *rows; /* (tokens + 1, context): the text, then it without each of its tokens */
    size_t n_tokens;
    float *texts;  /* (tokens + 1, width) */
    float *minus;  /* (width): taken away from the text; 0 where nothing is */
} explaining;

static bool go_on(void *user, int64_t done, int64_t total)
{
    const explaining *e = user;
    return !e->o.progress || e->o.progress("texts", done, total, e->o.user);
}

static cn_status embed_tokens(explaining *e, const char *text, cn_error *err)
{
    cn_status st = CN_OK;
    texttower *t = &e->space.tower;
    const size_t context = t->context;
    size_t used;
    bool any = false;
    e->rows = cn_calloc(context, context * sizeof *e->rows); /* fewer tokens than the context has places */
    e->texts = product_floats((int64_t)context, e->space.width);
    CN_CHECK(e->rows && e->texts, CN_ENOMEM, "out of memory for the tokens of a text");
    CN_TRY(texttower_row(t, text, e->rows, &used, err));
    e->n_tokens = used - 2;
    for (size_t i = 1; i <= e->n_tokens; i++)
        any = any || texttower_known(t, e->rows[i]);
    CN_CHECK(any, CN_ENOTFOUND, "\"%.100s\": the model has never seen a word of this text", text);
    for (size_t i = 1; i <= e->n_tokens && e->o.tokens; i++) {
        int32_t *row = e->rows + i * context;
        memcpy(row, e->rows, i * sizeof *row);
        memcpy(row + i, e->rows + i + 1, (context - i - 1) * sizeof *row);
    }
    CN_TRY(texttower_embed(t, e->rows, e->o.tokens ? (int64_t)e->n_tokens + 1 : 1, e->texts, go_on, e, err));
done:
    return st;
}

static cn_status embed_minus(explaining *e, double *cosine, cn_error *err)
{
    cn_status st = CN_OK;
    int32_t *row = NULL;
    size_t used;
    *cosine = (double)NAN;
    e->minus = product_floats(1, e->space.width);
    CN_CHECK(e->minus, CN_ENOMEM, "out of memory for a text");
    if (e->o.minus) {
        row = cn_calloc(e->space.tower.context, sizeof *row);
        CN_CHECK(row, CN_ENOMEM, "out of memory for a text");
        CN_TRY(texttower_row(&e->space.tower, e->o.minus, row, &used, err));
        CN_TRY(texttower_embed(&e->space.tower, row, 1, e->minus, NULL, NULL, err));
        *cosine = 0;
        for (int64_t k = 0; k < e->space.width; k++)
            *cosine += (double)e->texts[k] * (double)e->minus[k];
    } else if (!e->o.absolute && e->space.words.n >= 2) {
        memcpy(e->minus, e->space.words.centre, (size_t)e->space.width * sizeof *e->minus);
    }
done:
    cn_free(row);
    return st;
}

/* ---- how unusual a weight is ---- */

/* z and p of every unit's weight among those of the study's words, less their mean as the text is; for a difference of texts among the
 * differences of words that lie half the list apart. */
static cn_status compare_with_words(const explaining *e, const double *weight, double *z, double *p, int64_t *count, cn_error *err)
{
    cn_status st = CN_OK;
    const textspace *s = &e->space;
    const int64_t m = s->words.n;
    float *all = NULL, *texts = NULL;
    *count = 0;
    for (int64_t u = 0; u < s->n; u++)
        z[u] = p[u] = (double)NAN;
    if (m < 16)
        return CN_OK;
    texts = product_floats(m, s->width);
    all = product_floats(m, s->n);
    CN_CHECK(texts && all, CN_ENOMEM, "out of memory for the weights of %" PRId64 " words", m);
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < s->width; k++) {
            const float *word = s->words.text + i * s->width, *other = s->words.text + (i + m / 2) % m * s->width;
            texts[i * s->width + k] = word[k] - (e->o.minus ? other[k] : e->minus[k]);
        }
    textspace_many_weights(s, texts, m, all);
    for (int64_t u = 0; u < s->n; u++) {
        double sum = 0, squares = 0;
        int64_t beyond = 0;
        for (int64_t i = 0; i < m; i++)
            sum += (double)all[i * s->n + u];
        const double mean = sum / (double)m, far = fabs(weight[u] - mean);
        for (int64_t i = 0; i < m; i++) {
            const double x = (double)all[i * s->n + u] - mean;
            squares += x * x;
            beyond += fabs(x) >= far * (1 - 1e-6); /* the text may be one of them, in float32 */
        }
        const double sd = sqrt(squares / (double)m);
        z[u] = sd > 0 ? (weight[u] - mean) / sd : 0;
        p[u] = (double)(1 + beyond) / (double)(1 + m);
    }
    *count = m;
done:
    cn_free(texts);
    cn_free(all);
    return st;
}

/* ---- the exact derivative ---- */

static cn_status read_pictures(const explaining *e, float **out, cn_error *err)
{
    cn_status st = CN_OK;
    cn_image *image = NULL;
    const cn_model_info *info = cn_model_get_info(e->space.model);
    const size_t side = (size_t)info->resolution, one = 3 * side * side;
    uint8_t *rgb = cn_malloc(one);
    *out = cn_calloc(e->o.n_at, one * sizeof **out);
    CN_CHECK(rgb && *out, CN_ENOMEM, "out of memory for %zu pictures", e->o.n_at);
    for (size_t i = 0; i < e->o.n_at; i++) {
        CN_TRY(cn_image_load(&image, e->o.at[i], NULL, err));
        CN_TRY(cn_image_preprocess(image, info->resolution, rgb, err));
        cn_pixels_normalise(rgb, 1, info->resolution, info->mean, info->std, *out + i * one);
        cn_image_free(image);
        image = NULL;
    }
done:
    cn_image_free(image);
    cn_free(rgb);
    return st;
}

static cn_status exact_weights(const explaining *e, const float *text, double *exact, cn_error *err)
{
    cn_status st = CN_OK;
    const textspace *s = &e->space;
    float *pixels = NULL, *directions = NULL;
    for (int64_t u = 0; u < s->n; u++)
        exact[u] = (double)NAN;
    if (!e->o.n_at)
        return CN_OK;
    CN_CHECK(e->o.n_at <= CN_MAX_EXPLAIN_AT, CN_EINVAL, "%zu pictures to take the derivative at, the limit is %d", e->o.n_at, CN_MAX_EXPLAIN_AT);
    CN_TRY(read_pictures(e, &pixels, err));
    directions = product_floats(s->n, s->width);
    CN_CHECK(directions, CN_ENOMEM, "out of memory for the directions of units");
    CN_CHECK(!e->o.progress || e->o.progress("derivatives", 0, (int64_t)e->o.n_at, e->o.user), CN_ECANCELED, "cancelled");
    CN_TRY(cn_unit_directions_at(s->model, s->found, pixels, (int64_t)e->o.n_at, e->o.threads, directions, err));
    for (int64_t u = 0; u < s->n; u++) {
        double sum = 0;
        for (int64_t k = 0; k < s->width; k++)
            sum += (double)directions[u * s->width + k] * (double)text[k];
        exact[u] = s->units.dead[u] ? 0 : sum * s->units.sd[u];
    }
done:
    cn_free(pixels);
    cn_free(directions);
    return st;
}

/* ---- the result ---- */

static int by_weight(const void *a, const void *b)
{
    const cn_text_unit *x = a, *y = b;
    if (fabs(x->weight) != fabs(y->weight))
        return fabs(x->weight) > fabs(y->weight) ? -1 : 1;
    return x->ref.unit < y->ref.unit ? -1 : x->ref.unit > y->ref.unit;
}

static cn_status fill_units(const explaining *e, kept_explanation *kept, cn_error *err)
{
    cn_status st = CN_OK;
    const textspace *s = &e->space;
    cn_explanation *r = &kept->result;
    double sum = 0, squares = 0;
    double *v = cn_calloc((size_t)s->n, 4 * sizeof *v), *weight = v, *exact = v + s->n, *z = v + 2 * s->n, *p = v + 3 * s->n;
    float *text = product_floats(1, s->width);
    r->units = cn_calloc((size_t)s->units.live + 1, sizeof *r->units);
    CN_CHECK(v && text && r->units, CN_ENOMEM, "out of memory for the weights of %" PRId64 " units", s->n);
    for (int64_t k = 0; k < s->width; k++)
        text[k] = e->texts[k] - e->minus[k];
    textspace_weights(s, text, weight);
    CN_TRY(compare_with_words(e, weight, z, p, &r->words, err));
    CN_TRY(exact_weights(e, text, exact, err));
    for (int64_t u = 0; u < s->n; u++) {
        if (s->units.dead[u])
            continue;
        r->units[r->n++] = (cn_text_unit){
            .ref = {s->o.site, u}, .weight = weight[u], .exact = exact[u], .z = z[u], .p = p[u], .name = unnamed, .example = ""};
        sum += fabs(weight[u]);
        squares += weight[u] * weight[u];
    }
    r->effective = squares > 0 ? sum * sum / squares : 0;
    r->exact_r = e->o.n_at ? linfit_compare(weight, exact, s->n).r : (double)NAN;
    qsort(r->units, r->n, sizeof *r->units, by_weight);
    const size_t named = e->o.named < r->n ? e->o.named : r->n;
    kept->strings = cn_calloc(named + 1, 2 * sizeof *kept->strings);
    CN_CHECK(kept->strings, CN_ENOMEM, "out of memory for names");
    kept->n_strings = 2 * named;
    for (size_t i = 0; i < named; i++) {
        CN_TRY(textspace_name(s, r->units[i].ref.unit, &kept->strings[2 * i], &kept->strings[2 * i + 1], err));
        r->units[i].name = kept->strings[2 * i];
        r->units[i].example = kept->strings[2 * i + 1];
    }
    /* the fit is about the cosine itself, so the mean of the words stays in; a difference of texts is what was asked for */
    if (squares > 0)
        CN_TRY(textspace_measure(s, e->o.minus ? text : e->texts, &r->fit, err));
    else /* nothing to correlate with */
        snprintf(r->fit.why, sizeof r->fit.why, "no unit has a weight: the text is what is taken away from it");
done:
    cn_free(v);
    cn_free(text);
    return st;
}

/* The units with the largest |weight| of each token, which need not be among the text's own. */
static cn_status name_strongest(const explaining *e, kept_explanation *kept, cn_error *err)
{
    cn_status st = CN_OK;
    cn_explanation *r = &kept->result;
    for (size_t t = 0; t < r->n_tokens; t++) {
        const float *weights = r->tokens[t].weights;
        size_t taken[CN_TOKEN_NAMED];
        for (size_t n = 0; n < CN_TOKEN_NAMED && n < r->n; n++) {
            size_t best = r->n;
            for (size_t i = 0; i < r->n; i++) {
                bool again = false;
                for (size_t k = 0; k < n; k++)
                    again = again || taken[k] == i;
                if (!again && (best == r->n || fabsf(weights[r->units[i].ref.unit]) > fabsf(weights[r->units[best].ref.unit])))
                    best = i;
            }
            taken[n] = best;
            if (r->units[best].name != unnamed)
                continue;
            char **strings = cn_reallocarray(kept->strings, kept->n_strings + 1, sizeof *strings);
            CN_CHECK(strings, CN_ENOMEM, "out of memory for names");
            kept->strings = strings;
            strings[kept->n_strings++] = NULL;
            CN_TRY(textspace_name(&e->space, r->units[best].ref.unit, &strings[kept->n_strings - 1], NULL, err));
            r->units[best].name = strings[kept->n_strings - 1];
        }
    }
done:
    return st;
}

static cn_status fill_tokens(const explaining *e, kept_explanation *kept, cn_error *err)
{
    cn_status st = CN_OK;
    const textspace *s = &e->space;
    const texttower *t = &s->tower;
    size_t length = 1;
    float *lost = NULL;
    cn_explanation *r = &kept->result;
    for (size_t i = 0; i < e->n_tokens; i++) {
        const char *text = cn_tokenizer_token_text(t->tokenizer, e->rows[i + 1]);
        length += strlen(text ? text : "?") + 2;
    }
    kept->unknown = cn_calloc(length, 1);
    CN_CHECK(kept->unknown, CN_ENOMEM, "out of memory for the tokens of a text");
    r->unknown = kept->unknown;
    for (size_t i = 0; i < e->n_tokens; i++) {
        const char *text = cn_tokenizer_token_text(t->tokenizer, e->rows[i + 1]);
        if (!texttower_known(t, e->rows[i + 1])) {
            const size_t at = strlen(kept->unknown);
            int cut = (int)strlen(text ? text : "?");
            while (cut > 0 && text && text[cut - 1] == ' ')
                cut--;
            snprintf(kept->unknown + at, length - at, "%s%.*s", at ? ", " : "", cut, text ? text : "?");
        }
    }
    if (!e->o.tokens)
        goto done;
    r->tokens = cn_calloc(e->n_tokens, sizeof *r->tokens);
    kept->token_weights = product_floats((int64_t)e->n_tokens, s->n);
    lost = product_floats((int64_t)e->n_tokens, s->width);
    kept->token_texts = cn_calloc(e->n_tokens, sizeof *kept->token_texts);
    CN_CHECK(r->tokens && kept->token_weights && lost && kept->token_texts, CN_ENOMEM, "out of memory for the tokens of a text");
    r->n_tokens = kept->n_token_texts = e->n_tokens;
    for (size_t i = 0; i < e->n_tokens; i++) {
        const float *without = e->texts + (int64_t)(i + 1) * s->width;
        const char *text = cn_tokenizer_token_text(t->tokenizer, e->rows[i + 1]);
        double cosine = 0;
        for (int64_t k = 0; k < s->width; k++) {
            cosine += (double)e->texts[k] * (double)without[k];
            lost[(int64_t)i * s->width + k] = e->texts[k] - without[k];
        }
        kept->token_texts[i] = cn_strdup(text ? text : "?"); /* the tokenizer goes */
        CN_CHECK(kept->token_texts[i], CN_ENOMEM, "out of memory for the tokens of a text");
        r->tokens[i] = (cn_text_token){.text = kept->token_texts[i],
                                       .known = texttower_known(t, e->rows[i + 1]),
                                       .turn = 1 - cosine,
                                       .weights = kept->token_weights + (int64_t)i * s->n};
    }
    textspace_many_weights(s, lost, (int64_t)e->n_tokens, kept->token_weights);
    CN_TRY(name_strongest(e, kept, err));
done:
    cn_free(lost);
    return st;
}

cn_status cn_text_explain(cn_study *study, const cn_model *model, const char *text, const cn_explain_options *options, cn_explanation **out,
                          cn_error *err)
{
    cn_status st = CN_OK;
    explaining e = {0};
    kept_explanation *kept = cn_calloc(1, sizeof *kept);
    *out = NULL;
    CN_CHECK(kept, CN_ENOMEM, "out of memory for a text");
    if (options)
        e.o = *options;
    if (!e.o.named)
        e.o.named = 20;
    const textspace_options o = {e.o.site, e.o.pictures, e.o.seed, e.o.threads, e.o.precision, e.o.backend};
    CN_TRY(textspace_open(&e.space, study, model, &o, err));
    CN_TRY(embed_tokens(&e, text, err));
    CN_TRY(embed_minus(&e, &kept->result.cosine, err));
    CN_TRY(fill_units(&e, kept, err));
    CN_TRY(fill_tokens(&e, kept, err));
    *out = &kept->result, kept = NULL;
done:
    if (kept)
        cn_explanation_free(&kept->result);
    textspace_close(&e.space);
    cn_free(e.rows);
    cn_free(e.texts);
    cn_free(e.minus);
    return st;
}

void cn_explanation_free(cn_explanation *explanation)
{
    kept_explanation *kept = (kept_explanation *)explanation; /* its first member */
    if (!kept)
        return;
    for (size_t i = 0; i < kept->n_strings; i++)
        cn_free(kept->strings[i]);
    cn_free(kept->strings);
    cn_free(kept->token_weights);
    for (size_t i = 0; i < kept->n_token_texts; i++)
        cn_free(kept->token_texts[i]);
    cn_free(kept->token_texts);
    cn_free(kept->unknown);
    cn_free(kept->result.units);
    cn_free(kept->result.tokens);
    cn_free(kept);
}
