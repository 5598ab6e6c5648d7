/* vis/textscore.c -- scores texts by the cosine of their embeddings with a direction. */
#include "vis/textscore.h"

#include "base/check.h"
#include "base/memory.h"
#include "clipneuron/linear.h"
#include "clipneuron/tokenizer.h"
#include "vis/terms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the direction of an objective ---- */

/* direction += weight * the directions of a term's units. */
static cn_status add_units(const cn_objective *o, const term *t, const float *pixels, int64_t n, int threads, float *direction, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = cn_model_get_info(o->model)->embedding;
    const cn_site *site = o->site[t->site];
    float *all = cn_pages_calloc((size_t)(site->units * width) * sizeof *all);
    CN_CHECK(all, CN_ENOMEM, "out of memory for the directions of %lld units", (long long)site->units);
    CN_CHECK(t->y == POSITION_MEAN, CN_EUNSUPPORTED, "a position of %s has no direction in the embedding; leave the @ away", site->name);
    if (n)
        CN_TRY(cn_unit_directions_at(o->model, site, pixels, n, threads, all, err));
    else
        CN_TRY(cn_unit_directions(o->model, site, all, err));
    const int64_t count = t->kind == TERM_UNITS ? (int64_t)t->n_units : site->units;
    for (int64_t i = 0; i < count; i++) {
        const int64_t unit = t->kind == TERM_UNITS ? t->unit[i] : i;
        const float weight = t->weight * (t->kind == TERM_UNITS ? 1 : t->vector[i]);
        for (int64_t k = 0; k < width; k++)
            direction[k] += weight * all[unit * width + k];
    }
done:
    cn_pages_free(all);
    return st;
}

cn_status cn_objective_direction(const cn_objective *o, const float *pixels, int64_t n, int threads, float *direction, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = cn_model_get_info(o->model)->embedding;
    double square = 0;
    memset(direction, 0, (size_t)width * sizeof *direction);
    for (size_t i = 0; i < o->n_terms; i++) {
        const term *t = &o->term[i];
        CN_CHECK(!t->relu, CN_EUNSUPPORTED, "a class of a probe with ReLUs is no direction, so no text is nearest to it");
        CN_CHECK(t->kind == TERM_UNITS || t->kind == TERM_DIRECTION || t->kind == TERM_TEXT, CN_EUNSUPPORTED,
                 "only units, directions and texts have a direction in the embedding; energy, diversity, l1, l2 and tv do not");
        if (t->kind == TERM_TEXT)
            for (int64_t k = 0; k < width; k++)
                direction[k] += t->weight * t->vector[k];
        else
            CN_TRY(add_units(o, t, pixels, n, threads, direction, err));
    }
    for (int64_t k = 0; k < width; k++)
        square += (double)direction[k] * direction[k];
    CN_CHECK(square > 0 && isfinite(square), CN_EINVAL, "the direction of the objective in the embedding has no length: no text can drive it");
    for (int64_t k = 0; k < width; k++)
        direction[k] = (float)(direction[k] / sqrt(square));
done:
    return st;
}

/* ---- scoring ---- */

struct text_scorer {
    const cn_model_info *info;
    const float *direction;
    cn_runner *runner;
    float *seeds; /* (TEXT_BATCH, embedding) */
};

cn_status text_scorer_open(text_scorer **out, const cn_model *model, const float *direction, int64_t length, bool gradient, int threads,
                           cn_precision precision, cn_error *err)
{
    cn_status st = CN_OK;
    text_scorer *s = cn_calloc(1, sizeof *s);
    *out = NULL;
    CN_CHECK(s, CN_ENOMEM, "out of memory for texts");
    s->info = cn_model_get_info(model);
    s->direction = direction;
    const cn_runner_options o = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = TEXT_BATCH, .text_length = length, .threads = threads,
                                 .precision = precision, .input_gradient = gradient};
    CN_TRY(cn_runner_create(&s->runner, model, &o, err));
    s->seeds = cn_calloc((size_t)TEXT_BATCH * (size_t)s->info->embedding, sizeof *s->seeds);
    CN_CHECK(s->seeds, CN_ENOMEM, "out of memory for texts");
    *out = s, s = NULL;
done:
    text_scorer_close(s);
    return st;
}

void text_scorer_close(text_scorer *s)
{
    if (!s)
        return;
    cn_runner_free(s->runner);
    cn_free(s->seeds);
    cn_free(s);
}

/* Cosines of the runner's last n texts; their derivatives to s->seeds where `differentiate`. */
static void cosines_of(text_scorer *s, int64_t n, float *cosines, bool differentiate)
{
    const int64_t width = s->info->embedding;
    for (int64_t i = 0; i < n; i++)
        cosines[i] = (float)cosine_with(cn_runner_embedding(s->runner) + i * width, s->direction, width, 1,
                                        differentiate ? s->seeds + i * width : NULL);
}

cn_status text_scorer_run(text_scorer *s, const int32_t *rows, int64_t n, float *cosines, cn_error *err)
{
    cn_status st = CN_OK;
    for (int64_t first = 0; first < n; first += TEXT_BATCH) {
        const int64_t some = n - first < TEXT_BATCH ? n - first : TEXT_BATCH;
        CN_TRY(cn_runner_texts(s->runner, rows + first * s->info->context_length, some, err));
        cosines_of(s, some, cosines + first, false);
    }
done:
    return st;
}

cn_status text_scorer_gradient(text_scorer *s, const int32_t *rows, int64_t n, float *cosines, const float **gradient, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_objective_gradient from = {.embedding = s->seeds};
    memset(s->seeds, 0, (size_t)TEXT_BATCH * (size_t)s->info->embedding * sizeof *s->seeds);
    CN_TRY(cn_runner_texts(s->runner, rows, n, err));
    cosines_of(s, n, cosines, true);
    CN_TRY(cn_runner_backward(s->runner, &from, err));
    *gradient = cn_runner_input_gradient(s->runner);
done:
    return st;
}

/* ---- a list ---- */

void cn_scored_texts_free(cn_scored_text *texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++)
        cn_free(texts[i].text);
    cn_free(texts);
}

static int by_score(const void *a, const void *b)
{
    const cn_scored_text *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1) : x->index < y->index ? -1 : x->index > y->index;
}

/* Texts with the same number of tokens side by side: each batch is computed at the length of its longest. */
typedef struct length_order {
    size_t index, used;
} length_order;

static int by_length(const void *a, const void *b)
{
    const length_order *x = a, *y = b;
    return x->used != y->used ? (x->used < y->used ? -1 : 1) : x->index < y->index ? -1 : x->index > y->index;
}

static cn_status score_list(const cn_model *model, const float *direction, const int32_t *rows, const length_order *order, size_t count,
                            int threads, cn_precision precision, cn_scored_text *out, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t context = (size_t)cn_model_get_info(model)->context_length;
    text_scorer *scorer = NULL;
    int64_t length = 0;
    float cosines[TEXT_BATCH];
    int32_t *batch = cn_malloc(TEXT_BATCH * context * sizeof *batch);
    CN_CHECK(batch, CN_ENOMEM, "out of memory for texts");
    for (size_t first = 0; first < count; first += TEXT_BATCH) {
        const size_t some = count - first < TEXT_BATCH ? count - first : TEXT_BATCH;
        const int64_t longest = (int64_t)order[first + some - 1].used;
        if (!scorer || longest > length) { /* few runners: a third longer than needed */
            text_scorer_close(scorer);
            scorer = NULL;
            length = longest + longest / 3 < (int64_t)context ? longest + longest / 3 : (int64_t)context;
            if (first + TEXT_BATCH >= count)
                length = longest;
            CN_TRY(text_scorer_open(&scorer, model, direction, length, false, threads, precision, err));
        }
        for (size_t i = 0; i < some; i++)
            memcpy(batch + i * context, rows + order[first + i].index * context, context * sizeof *batch);
        CN_TRY(text_scorer_run(scorer, batch, (int64_t)some, cosines, err));
        for (size_t i = 0; i < some; i++)
            out[order[first + i].index].cosine = out[order[first + i].index].score = cosines[i];
    }
done:
    cn_free(batch);
    text_scorer_close(scorer);
    return st;
}

cn_status cn_texts_rank(const cn_model *model, const float *direction, const char *const *texts, size_t count, int threads,
                        cn_precision precision, cn_scored_text **out, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t context = (size_t)cn_model_get_info(model)->context_length;
    cn_tokenizer *tokenizer = NULL;
    cn_scored_text *list = cn_calloc(count + 1, sizeof *list);
    length_order *order = cn_calloc(count + 1, sizeof *order);
    int32_t *rows = NULL;
    *out = NULL;
    CN_CHECK(list && order, CN_ENOMEM, "out of memory for %zu texts", count);
    CN_CHECK(context > 0, CN_EUNSUPPORTED, "%s: has no text tower", cn_weights_path(cn_model_weights(model)));
    rows = cn_calloc(count * context + 1, sizeof *rows);
    CN_CHECK(rows, CN_ENOMEM, "out of memory for %zu texts", count);
    CN_TRY(cn_tokenizer_create(&tokenizer, err));
    for (size_t i = 0; i < count; i++) {
        order[i].index = list[i].index = i;
        list[i].text = cn_strdup(texts[i]);
        CN_CHECK(list[i].text, CN_ENOMEM, "out of memory for %zu texts", count);
        CN_TRY(cn_tokenizer_row(tokenizer, texts[i], context, false, rows + i * context, &order[i].used, err));
    }
    qsort(order, count, sizeof *order, by_length);
    CN_TRY(score_list(model, direction, rows, order, count, threads, precision, list, err));
    qsort(list, count, sizeof *list, by_score);
    *out = list, list = NULL;
done:
    cn_scored_texts_free(list, count);
    cn_free(order);
    cn_free(rows);
    cn_tokenizer_free(tokenizer);
    return st;
}
