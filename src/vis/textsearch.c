/* vis/textsearch.c -- hill climb over words for the text whose embedding is nearest to a direction. All climbs take their
 * steps together, so that the text tower always has full batches. */
#include "vis/textscore.h"

#include "base/check.h"
#include "base/cores.h"
#include "base/memory.h"
#include "clip/model.h"
#include "clipneuron/tokenizer.h"
#include "nn/kernels.h"
#include "base/rng.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_WORDS = 4,
    DEFAULT_STARTS = 32,
    DEFAULT_BEST = 16,
    REPLACEMENTS = 24, /* tried for each word of a text */
    INSERTIONS = 12,   /* tried in each gap */
    FIRST_WORDS = 8192, /* most frequent words, scored one by one for the starts */
    START_POOL = 512,  /* of which half of the starts are drawn at random */
    MOST_STEPS = 64,
};
#define DEFAULT_FLUENCY 0.002f

typedef struct text_state {
    int32_t word[CN_MAX_SEARCH_WORDS]; /* numbers in the search's words */
    int n;
    bool stuck;
    float cosine, cost, score;
} text_state;

typedef struct search {
    const cn_model_info *info;
    cn_text_search o;
    int32_t *token;    /* of each word, ascending: from the most frequent on */
    float *embedding;  /* (n_words, text width) */
    size_t n_words;
    int32_t *before, *after; /* tokens of the frame around the words */
    size_t n_before, n_after;
    cn_tokenizer *tokenizer;
    text_scorer *scorer;
    text_state *climb; /* (starts) */
    text_state *found; /* every text that a climb stood on, each once */
    size_t n_found, found_room;
} search;

/* What would make one word with what it touches; bytes of UTF-8 count as letters. */
static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static cn_status check_options(cn_text_search *o, cn_error *err)
{
    cn_status st = CN_OK;
    o->frame = o->frame ? o->frame : "{}";
    o->words = o->words ? o->words : DEFAULT_WORDS;
    o->starts = o->starts ? o->starts : DEFAULT_STARTS;
    o->best = o->best ? o->best : DEFAULT_BEST;
    o->fluency = o->fluency > 0 ? o->fluency : o->fluency < 0 ? 0 : DEFAULT_FLUENCY;
    CN_CHECK(o->words > 0 && o->words <= CN_MAX_SEARCH_WORDS, CN_EINVAL, "texts have 1 to %d words, not %d", CN_MAX_SEARCH_WORDS, o->words);
    CN_CHECK(o->starts > 0 && o->starts <= CN_MAX_SEARCH_STARTS, CN_EINVAL, "a search has 1 to %d starts, not %d", CN_MAX_SEARCH_STARTS,
             o->starts);
    CN_CHECK(o->best > 0 && o->best <= 4096, CN_EINVAL, "the best 1 to 4096 texts can be had, not %d", o->best);
    const char *hole = strstr(o->frame, "{}");
    CN_CHECK(hole, CN_EINVAL, "the frame \"%.80s\" has no {} where the words go", o->frame);
    CN_CHECK((hole == o->frame || !is_letter(hole[-1])) && !is_letter(hole[2]), CN_EINVAL,
             "the {} of the frame \"%.80s\" touches a letter or digit: words stand by themselves", o->frame);
done:
    return st;
}

/* A whole word of letters: "cat ", not "ca" or "!! ". One letter alone only where it is a word. */
static bool is_word(const char *text)
{
    const size_t n = text ? strlen(text) : 0;
    if (n < 2 || text[n - 1] != ' ')
        return false;
    for (size_t i = 0; i + 1 < n; i++)
        if (!islower((unsigned char)text[i]))
            return false;
    return n > 2 || text[0] == 'a' || text[0] == 'i';
}

/* The words of CLIP's vocabulary that are one token and of which the model knows anything. */
static cn_status list_words(search *s, const cn_model *model, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = s->info->text_width, rows = s->info->vocabulary;
    float *all = cn_pages_calloc((size_t)(rows * width) * sizeof *all);
    s->token = cn_calloc((size_t)rows, sizeof *s->token);
    CN_CHECK(all && s->token, CN_ENOMEM, "out of memory for the vocabulary");
    CN_TRY(clip_param_read(model->checkpoint, "token_embedding.weight", rows * width, all, err));
    for (int64_t i = 0; i < rows && i < CN_TOKEN_START; i++) {
        bool known = false;
        for (int64_t k = 0; k < width && !known; k++)
            known = all[i * width + k] != 0;
        if (known && is_word(cn_tokenizer_token_text(s->tokenizer, (int32_t)i)))
            s->token[s->n_words++] = (int32_t)i;
    }
    CN_CHECK(s->n_words > 0, CN_EUNSUPPORTED, "%s: knows no word of CLIP's vocabulary", cn_weights_path(cn_model_weights(model)));
    s->embedding = cn_pages_calloc(s->n_words * (size_t)width * sizeof *s->embedding);
    CN_CHECK(s->embedding, CN_ENOMEM, "out of memory for the vocabulary");
    for (size_t i = 0; i < s->n_words; i++)
        memcpy(s->embedding + i * (size_t)width, all + (int64_t)s->token[i] * width, (size_t)width * sizeof *all);
done:
    cn_pages_free(all);
    return st;
}

static cn_status read_frame(search *s, cn_error *err)
{
    cn_status st = CN_OK;
    const char *hole = strstr(s->o.frame, "{}");
    char *before = cn_strndup(s->o.frame, (size_t)(hole - s->o.frame));
    CN_CHECK(before, CN_ENOMEM, "out of memory for a text");
    CN_TRY(cn_tokenizer_encode(s->tokenizer, before, &s->before, &s->n_before, err));
    CN_TRY(cn_tokenizer_encode(s->tokenizer, hole + 2, &s->after, &s->n_after, err));
    CN_CHECK(s->n_before + s->n_after + (size_t)s->o.words + 2 <= (size_t)s->info->context_length, CN_EINVAL,
             "%d words and the frame \"%.80s\" are more than the %d tokens of a text", s->o.words, s->o.frame, s->info->context_length);
done:
    cn_free(before);
    return st;
}

/* ---- texts ---- */

static void write_row(const search *s, const text_state *t, int32_t *row)
{
    memset(row, 0, (size_t)s->info->context_length * sizeof *row);
    *row++ = CN_TOKEN_START;
    for (size_t i = 0; i < s->n_before; i++)
        *row++ = s->before[i];
    for (int i = 0; i < t->n; i++)
        *row++ = s->token[t->word[i]];
    for (size_t i = 0; i < s->n_after; i++)
        *row++ = s->after[i];
    *row = CN_TOKEN_END;
}

/* Nats: see cn_text_search.fluency. */
static float cost_of(const search *s, const text_state *t)
{
    double cost = 0;
    for (int i = 0; i < t->n; i++) {
        bool again = false;
        for (int k = 0; k < i; k++)
            again |= t->word[k] == t->word[i];
        cost += log(again ? CN_VOCABULARY : 1.0 + s->token[t->word[i]]);
    }
    return (float)cost;
}

static cn_status score_states(const search *s, text_scorer *scorer, text_state *states, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t context = (size_t)s->info->context_length;
    int32_t *rows = cn_calloc(TEXT_BATCH * context, sizeof *rows);
    float cosines[TEXT_BATCH];
    CN_CHECK(rows, CN_ENOMEM, "out of memory for texts");
    for (size_t first = 0; first < n; first += TEXT_BATCH) {
        const size_t some = n - first < TEXT_BATCH ? n - first : TEXT_BATCH;
        for (size_t i = 0; i < some; i++)
            write_row(s, &states[first + i], rows + i * context);
        CN_TRY(text_scorer_run(scorer, rows, (int64_t)some, cosines, err));
        for (size_t i = 0; i < some; i++) {
            text_state *t = &states[first + i];
            t->cosine = cosines[i];
            t->cost = cost_of(s, t);
            t->score = t->cosine - s->o.fluency * t->cost;
        }
    }
done:
    cn_free(rows);
    return st;
}

static int by_score(const void *a, const void *b)
{
    const text_state *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return memcmp(x->word, y->word, (size_t)x->n * sizeof *x->word);
}

static bool same_words(const text_state *a, const text_state *b)
{
    return a->n == b->n && memcmp(a->word, b->word, (size_t)a->n * sizeof *a->word) == 0;
}

static cn_status remember(search *s, const text_state *t, cn_error *err)
{
    for (size_t i = 0; i < s->n_found; i++)
        if (same_words(&s->found[i], t))
            return CN_OK;
    if (s->n_found == s->found_room) {
        const size_t room = s->found_room ? 2 * s->found_room : 64;
        text_state *grown = cn_reallocarray(s->found, room, sizeof *grown);
        if (!grown)
            return cn_fail(err, CN_ENOMEM, "out of memory for texts");
        s->found = grown;
        s->found_room = room;
    }
    s->found[s->n_found++] = *t;
    return CN_OK;
}

/* ---- starts ---- */

/* The best single words, and others drawn from the good ones. */
static cn_status choose_starts(search *s, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t n = s->n_words < FIRST_WORDS ? s->n_words : FIRST_WORDS, starts = (size_t)s->o.starts;
    text_state *single = cn_calloc(n, sizeof *single);
    rng r = rng_stream(s->o.seed, 0, 0);
    CN_CHECK(single, CN_ENOMEM, "out of memory for texts");
    for (size_t i = 0; i < n; i++) {
        single[i].n = 1;
        single[i].word[0] = (int32_t)i;
    }
    CN_TRY(score_states(s, s->scorer, single, n, err));
    qsort(single, n, sizeof *single, by_score);
    for (size_t i = 0; i < starts; i++) {
        const size_t pool = n < START_POOL ? n : START_POOL;
        s->climb[i] = single[i < (starts + 1) / 2 && i < n ? i : (size_t)rng_below(&r, (int64_t)pool)];
        CN_TRY(remember(s, &s->climb[i], err));
    }
done:
    cn_free(single);
    return st;
}

/* ---- steps ---- */

/* The words whose embeddings lie furthest along a gradient, less what they cost: for each of many positions of texts. */
typedef struct guesses {
    const search *s;
    const float **gradient; /* of each position */
    int32_t *word;          /* (positions, REPLACEMENTS), best first */
} guesses;

static void guess(void *data, int64_t from, int64_t to)
{
    const guesses *g = data;
    const int64_t width = g->s->info->text_width;
    for (int64_t p = from; p < to; p++) {
        float value[REPLACEMENTS];
        int32_t *word = g->word + p * REPLACEMENTS;
        int n = 0;
        for (size_t v = 0; v < g->s->n_words; v++) {
            const float *e = g->s->embedding + (int64_t)v * width, *d = g->gradient[p];
            float sum = -g->s->o.fluency * logf(1 + (float)g->s->token[v]);
            for (int64_t k = 0; k < width; k++)
                sum += d[k] * e[k];
            if (n == REPLACEMENTS && sum <= value[n - 1])
                continue;
            int at = n < REPLACEMENTS ? n++ : n - 1;
            for (; at > 0 && value[at - 1] < sum; at--) {
                value[at] = value[at - 1];
                word[at] = word[at - 1];
            }
            value[at] = sum;
            word[at] = (int32_t)v;
        }
        for (; n < REPLACEMENTS; n++)
            word[n] = word[0];
    }
}

static void add_candidate(text_state *list, size_t *n, const text_state *from, int at, int removed, int32_t inserted)
{
    text_state *t = &list[(*n)++];
    memset(t, 0, sizeof *t);
    for (int i = 0; i < at; i++)
        t->word[t->n++] = from->word[i];
    if (inserted >= 0)
        t->word[t->n++] = inserted;
    for (int i = at + removed; i < from->n; i++)
        t->word[t->n++] = from->word[i];
}

/* All neighbours of a text that are worth a look; guessed: REPLACEMENTS words for each of its positions. */
static void list_candidates(const search *s, const text_state *t, const int32_t *guessed, text_state *list, size_t *n)
{
    for (int i = 0; i < t->n; i++) {
        for (int k = 0; k < REPLACEMENTS; k++)
            if (guessed[i * REPLACEMENTS + k] != t->word[i])
                add_candidate(list, n, t, i, 1, guessed[i * REPLACEMENTS + k]);
        if (t->n > 1)
            add_candidate(list, n, t, i, 1, -1);
    }
    for (int gap = 0; gap <= t->n && t->n < s->o.words; gap++) {
        const int32_t *near = guessed + (gap < t->n ? gap : t->n - 1) * REPLACEMENTS;
        for (int k = 0; k < INSERTIONS; k++)
            add_candidate(list, n, t, gap, 0, near[k]);
    }
}

/* Gradients at the words of some climbs, and the words that they point to. */
static cn_status guess_words(search *s, text_state *const *some, size_t n, guesses *g, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t context = (size_t)s->info->context_length;
    const int64_t width = s->info->text_width, length = (int64_t)(s->n_before + s->n_after) + s->o.words + 2;
    int32_t *rows = cn_calloc(TEXT_BATCH * context, sizeof *rows);
    float cosines[TEXT_BATCH];
    const float *gradient;
    int64_t positions = 0;
    CN_CHECK(rows, CN_ENOMEM, "out of memory for texts");
    for (size_t i = 0; i < n; i++)
        write_row(s, some[i], rows + i * context);
    CN_TRY(text_scorer_gradient(s->scorer, rows, (int64_t)n, cosines, &gradient, err));
    for (size_t i = 0; i < n; i++)
        for (int w = 0; w < some[i]->n; w++)
            g->gradient[positions++] = gradient + ((int64_t)i * length + 1 + (int64_t)s->n_before + w) * width;
    nn_parallel(guess, g, positions, 1);
done:
    cn_free(rows);
    return st;
}

/* One step of at most TEXT_BATCH climbs. */
static cn_status climb_together(search *s, text_state **some, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t words = (size_t)s->o.words, most = words * (REPLACEMENTS + 1) + (words + 1) * INSERTIONS;
    guesses g = {s, cn_calloc(n * words, sizeof *g.gradient), cn_calloc(n * words * REPLACEMENTS, sizeof *g.word)};
    text_state *list = cn_calloc(n * most, sizeof *list);
    size_t *first = cn_calloc(n + 1, sizeof *first), count = 0, positions = 0;
    CN_CHECK(g.gradient && g.word && list && first, CN_ENOMEM, "out of memory for texts");
    CN_TRY(guess_words(s, some, n, &g, err));
    for (size_t i = 0; i < n; i++) {
        list_candidates(s, some[i], g.word + positions * REPLACEMENTS, list, &count);
        positions += (size_t)some[i]->n;
        first[i + 1] = count;
    }
    CN_TRY(score_states(s, s->scorer, list, count, err));
    for (size_t i = 0; i < n; i++) {
        const text_state *best = some[i];
        for (size_t k = first[i]; k < first[i + 1]; k++)
            if (list[k].score > best->score + 1e-6f)
                best = &list[k];
        if (best == some[i]) {
            some[i]->stuck = true;
            continue;
        }
        *some[i] = *best;
        CN_TRY(remember(s, some[i], err));
    }
done:
    cn_free(g.gradient);
    cn_free(g.word);
    cn_free(list);
    cn_free(first);
    return st;
}

static cn_status climb_all(search *s, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t starts = (size_t)s->o.starts;
    for (int step = 0; step < MOST_STEPS; step++) {
        text_state *some[TEXT_BATCH];
        size_t n = 0, done = 0;
        for (size_t i = 0; i <= starts; i++) {
            if (i < starts && !s->climb[i].stuck)
                some[n++] = &s->climb[i];
            if (n == TEXT_BATCH || (i == starts && n)) {
                if (s->o.stop && s->o.stop(s->o.user))
                    goto done;
                CN_TRY(climb_together(s, some, n, err));
                n = 0;
            }
        }
        for (size_t i = 0; i < starts; i++)
            done += s->climb[i].stuck;
        if (s->o.progress)
            s->o.progress(s->o.user, (int64_t)done, (int64_t)starts);
        if (done == starts)
            break;
    }
done:
    return st;
}

/* ---- results ---- */

static char *text_of(const search *s, const text_state *t)
{
    const char *hole = strstr(s->o.frame, "{}");
    size_t room = strlen(s->o.frame) + 1, at = (size_t)(hole - s->o.frame);
    for (int i = 0; i < t->n; i++)
        room += strlen(cn_tokenizer_token_text(s->tokenizer, s->token[t->word[i]]));
    char *text = cn_malloc(room);
    if (!text)
        return NULL;
    memcpy(text, s->o.frame, at);
    for (int i = 0; i < t->n; i++) { /* each ends with a space, but the last */
        const char *word = cn_tokenizer_token_text(s->tokenizer, s->token[t->word[i]]);
        const size_t n = strlen(word) - (i + 1 == t->n);
        memcpy(text + at, word, n);
        at += n;
    }
    memcpy(text + at, hole + 2, strlen(hole + 2) + 1);
    return text;
}

static cn_status give_best(search *s, cn_scored_text **out, size_t *count, cn_error *err)
{
    cn_status st = CN_OK;
    qsort(s->found, s->n_found, sizeof *s->found, by_score);
    const size_t n = s->n_found < (size_t)s->o.best ? s->n_found : (size_t)s->o.best;
    cn_scored_text *list = cn_calloc(n + 1, sizeof *list);
    CN_CHECK(list, CN_ENOMEM, "out of memory for texts");
    for (size_t i = 0; i < n; i++) {
        const text_state *t = &s->found[i];
        list[i] = (cn_scored_text){text_of(s, t), t->cosine, t->cost, t->score, i};
        CN_CHECK(list[i].text, CN_ENOMEM, "out of memory for texts");
    }
    *out = list, list = NULL;
    *count = n;
done:
    cn_scored_texts_free(list, n);
    return st;
}

static void free_search(search *s)
{
    cn_free(s->token);
    cn_pages_free(s->embedding);
    cn_tokens_free(s->before);
    cn_tokens_free(s->after);
    cn_tokenizer_free(s->tokenizer);
    text_scorer_close(s->scorer);
    cn_free(s->climb);
    cn_free(s->found);
}

cn_status cn_texts_search(const cn_model *model, const float *direction, const cn_text_search *options, cn_scored_text **out, size_t *count,
                          cn_error *err)
{
    cn_status st = CN_OK;
    search s = {.info = cn_model_get_info(model)};
    const int before = nn_set_threads(options && options->threads ? options->threads : cn_usable_cores());
    *out = NULL;
    *count = 0;
    if (options)
        s.o = *options;
    CN_TRY(check_options(&s.o, err));
    CN_TRY(clip_checkpoint_need(model->checkpoint, CN_TOWER_TEXT, err));
    CN_TRY(cn_tokenizer_create(&s.tokenizer, err));
    CN_TRY(list_words(&s, model, err));
    CN_TRY(read_frame(&s, err));
    s.climb = cn_calloc((size_t)s.o.starts, sizeof *s.climb);
    CN_CHECK(s.climb, CN_ENOMEM, "out of memory for texts");
    const int64_t length = (int64_t)(s.n_before + s.n_after) + s.o.words + 2;
    CN_TRY(text_scorer_open(&s.scorer, model, direction, length, true, s.o.threads, s.o.precision, err));
    CN_TRY(choose_starts(&s, err));
    CN_TRY(climb_all(&s, err));
    if (s.o.precision != CN_PRECISION_F32) {
        text_scorer_close(s.scorer);
        s.scorer = NULL;
        CN_TRY(text_scorer_open(&s.scorer, model, direction, length, false, s.o.threads, CN_PRECISION_F32, err));
        CN_TRY(score_states(&s, s.scorer, s.found, s.n_found, err));
    }
    CN_TRY(give_best(&s, out, count, err));
done:
    free_search(&s);
    nn_set_threads(before);
    return st;
}
