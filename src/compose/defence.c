/* compose/defence.c -- what helps against written words, and what it costs: units that read, heads, directions of spelling, prompts.
 *
 * An answer is the argmax over classes of e . t, so the length of e does not matter, and what is removed from e in linear pieces is removed
 * from all classes' scores piece by piece: e' . t = e . t - sum of a_u (d_u . t). Nothing is run again. */
#include "compose/attackset.h"

#include "base/memory.h"
#include "clip/checkpoint.h"
#include "clip/model.h"
#include "clipneuron/linear.h"
#include "compose/spelling.h"
#include "study/product.h"
#include "study/reader.h"
#include "study/served.h"
#include "study/wordlist.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Pictures with or without words, as the model sees them. */
typedef struct seen {
    int64_t n, room;
    float *embedding; /* (n, width) as it is */
    float *units;     /* (n, units) */
} seen;

typedef struct private_result {
    cn_defence_result public;
    bag memory;
} private_result;

typedef struct defence {
    attack_set set;
    const cn_attack_target *targets;
    size_t n_targets;
    const char **texts;
    int *class;
    const float *const **vectors;
    bag memory;
    int64_t n_fit, n_eval; /* the first pictures, and those behind them; of these some came for their label only and count for it only */
    int64_t n_units;
    float *directions; /* (units, width), times what fits best */
    seen fit, words;   /* (n_fit) without and with a common word */
    seen known;        /* (n_fit) with a text of the attack's */
    const char **word, **known_text; /* (n_fit) which */
    seen eval;         /* (n_eval, 1 + n_targets) */
    float *scores;     /* (eval rows, n_classes) */
    int64_t *steps;
    size_t n_steps;
    private_result *result;
} defence;

/* ---- looking ---- */

static cn_status make_room(seen *s, int64_t room, const defence *d, cn_error *err)
{
    s->room = room;
    s->embedding = product_floats(room, d->set.width);
    s->units = product_floats(room, d->n_units);
    return s->embedding && s->units ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory for %" PRId64 " pictures", room);
}

static void seen_free(seen *s)
{
    cn_free(s->embedding);
    cn_free(s->units);
}

/* Units of a picture: the mean over the map, or the class token's. */
static void summarise(const cn_site *site, const float *values, float *units)
{
    const int64_t positions = site->positions;
    for (int64_t u = 0; u < site->units; u++) {
        if (site->layout == CN_SITE_MAP) {
            double sum = 0;
            for (int64_t p = 0; p < positions; p++)
                sum += (double)values[u * positions + p];
            units[u] = (float)(sum / (double)positions);
        } else {
            units[u] = values[u];
        }
    }
}

static cn_status look(defence *d, seen *to, const uint8_t *rgb, int64_t n, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *s = &d->set;
    const int64_t each = s->site->units * s->site->positions;
    CN_TRY(attack_embed(s, rgb, n, NULL, err));
    memcpy(to->embedding + to->n * s->width, cn_runner_embedding(s->runner), (size_t)(n * s->width) * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        summarise(s->site, cn_runner_site(s->runner, 0) + i * each, to->units + (to->n + i) * d->n_units);
    to->n += n;
done:
    return st;
}

/* Looks at pictures first..first+n, each as it is (texts[i] NULL) or with texts[i % n_texts]. every: each picture with every text in turn,
 * or each with its own, i. */
static cn_status look_at(defence *d, seen *to, int64_t first, int64_t n, const char *const *texts, size_t n_texts, bool every, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *s = &d->set;
    const size_t bytes = (size_t)s->side * (size_t)s->side * 3;
    uint8_t *rgb = cn_reallocarray(NULL, (size_t)s->o.batch, bytes);
    int64_t waiting = 0;
    CN_CHECK(rgb, CN_ENOMEM, "out of memory for a batch");
    CN_TRY(make_room(to, n * (every ? (int64_t)n_texts : 1), d, err));
    for (int64_t i = 0; i < to->room; i++) {
        const int64_t picture = every ? i / (int64_t)n_texts : i;
        const char *text = every ? texts[i % (int64_t)n_texts] : n_texts ? texts[i] : NULL;
        uint8_t *at = rgb + (size_t)waiting * bytes;
        memcpy(at, attack_rgb(s, first + picture), bytes);
        if (text)
            CN_TRY(cn_lettering_draw(at, s->side, s->side, text, &s->o.lettering, NULL, err));
        if (++waiting == s->o.batch || i + 1 == to->room) {
            CN_TRY(look(d, to, rgb, waiting, err));
            waiting = 0;
            CN_TRY(attack_go_on(s, every ? "attacking" : "fitting", i + 1, to->room, err));
        }
    }
done:
    cn_free(rgb);
    return st;
}

/* Common words that are no class, for each picture of the first half its own. */
static cn_status choose_words(defence *d, cn_error *err)
{
    cn_status st = CN_OK;
    const char **list = bag_calloc(&d->memory, (size_t)d->n_fit, sizeof *list);
    rng r = rng_stream(d->set.o.seed, 0x776f7264, 0);
    CN_CHECK(list, CN_ENOMEM, "out of memory for words");
    for (int64_t i = 0; i < d->n_fit; i++) {
        for (int tries = 0; tries < 1000 && !list[i]; tries++) {
            const char *word = wordlist_common[rng_below(&r, (int64_t)wordlist_common_count)];
            bool free = attack_class(&d->set, word) < 0;
            for (size_t t = 0; t < d->n_targets; t++)
                free = free && strcasecmp(word, d->texts[t]) != 0;
            if (free)
                list[i] = word;
        }
        CN_CHECK(list[i], CN_EINVAL, "nearly all common words are classes: none are left to find readers with");
    }
    d->word = list;
    d->known_text = bag_calloc(&d->memory, (size_t)d->n_fit, sizeof *list);
    CN_CHECK(d->known_text, CN_ENOMEM, "out of memory for words");
    for (int64_t i = 0; i < d->n_fit; i++)
        d->known_text[i] = d->texts[(size_t)i % d->n_targets];
done:
    return st;
}

/* ---- counting ---- */

static int best(const float *scores, size_t n)
{
    int at = 0;
    for (size_t c = 1; c < n; c++)
        if (scores[c] > scores[at])
            at = (int)c;
    return at;
}

static int64_t row_of(const defence *d, int64_t i, size_t text)
{
    return i * (int64_t)(d->n_targets + 1) + (int64_t)text;
}

/* answers: (eval rows) */
static cn_defence_step count(const defence *d, const int *answers, int64_t removed)
{
    int64_t hits = 0, of = 0, kept = 0, kept_of = 0, clean = 0, clean_of = 0, own = 0, own_of = 0;
    for (int64_t i = 0; i < d->n_eval; i++) {
        const int label = d->set.pictures[d->n_fit + i].label;
        const bool sampled = d->n_fit + i < d->set.n_sample;
        if (label >= 0 && sampled) {
            clean += answers[row_of(d, i, 0)] == label;
            clean_of++;
        }
        bool target = false;
        for (size_t t = 0; t < d->n_targets; t++)
            target = target || label == d->class[t];
        own += target && answers[row_of(d, i, 0)] == label;
        own_of += target;
        for (size_t t = 0; t < d->n_targets && sampled; t++) {
            if (label == d->class[t])
                continue;
            const int answer = answers[row_of(d, i, t + 1)];
            hits += answer == d->class[t];
            of++;
            kept += label >= 0 && answer == label;
            kept_of += label >= 0;
        }
    }
    return (cn_defence_step){removed, attack_share(hits, of), attack_share(kept, kept_of), attack_share(clean, clean_of), attack_share(own, own_of)};
}

static cn_defence_step count_scores(const defence *d, const float *scores, int *answers, int64_t removed)
{
    for (int64_t r = 0; r < d->eval.n; r++)
        answers[r] = best(scores + r * (int64_t)d->set.n_classes, d->set.n_classes);
    return count(d, answers, removed);
}

/* Takes features out, `group` at a time, in an order of groups. values: (eval rows, n); dots: (n, n_classes). */
typedef struct removal {
    const float *values, *dots;
    int64_t n, group;
    const int64_t *order;
} removal;

static cn_status remove_in_order(const defence *d, const removal *m, const int64_t *steps, size_t n_steps, cn_defence_step *out, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t C = (int64_t)d->set.n_classes, rows = d->eval.n;
    float *scores = product_floats(rows, C);
    int *answers = cn_calloc((size_t)rows + 1, sizeof *answers);
    int64_t removed = 0;
    CN_CHECK(scores && answers, CN_ENOMEM, "out of memory for %" PRId64 " answers", rows);
    memcpy(scores, d->scores, (size_t)(rows * C) * sizeof *scores);
    for (size_t k = 0; k < n_steps; k++) {
        for (; removed < steps[k]; removed++)
            for (int64_t f = m->order[removed] * m->group; f < (m->order[removed] + 1) * m->group; f++)
                for (int64_t r = 0; r < rows; r++) {
                    const float value = m->values[r * m->n + f];
                    for (int64_t c = 0; c < C && value != 0; c++)
                        scores[r * C + c] -= value * m->dots[f * C + c];
                }
        out[k] = count_scores(d, scores, answers, removed);
    }
done:
    cn_free(scores);
    cn_free(answers);
    return st;
}

static cn_status new_steps(defence *d, cn_defence_kind kind, size_t n, cn_defence_step **out, cn_error *err)
{
    *out = bag_calloc(&d->result->memory, n, sizeof **out);
    d->result->public.steps[kind] = *out;
    d->result->public.n_steps[kind] = n;
    return *out ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory for a curve");
}

/* ---- the linear map ---- */

/* Scales the directions to fit embeddings, and says how much of their variance units explain. */
static cn_status fit_directions(defence *d, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t E = d->set.width, U = d->n_units, n = d->fit.n + d->words.n;
    float *across = product_floats(E, U), *linear = product_floats(n, E);
    double own = 0, both = 0, total = 0;
    CN_CHECK(across && linear, CN_ENOMEM, "out of memory for the directions of units");
    product_transpose(d->directions, U, E, across);
    product_rows(d->fit.units, d->fit.n, across, E, U, linear, E);
    product_rows(d->words.units, d->words.n, across, E, U, linear + d->fit.n * E, E);
    for (int64_t k = 0; k < E; k++) {
        double mean_e = 0, mean_l = 0;
        for (int64_t i = 0; i < n; i++) {
            mean_e += (double)(i < d->fit.n ? d->fit.embedding + i * E : d->words.embedding + (i - d->fit.n) * E)[k] / (double)n;
            mean_l += (double)linear[i * E + k] / (double)n;
        }
        for (int64_t i = 0; i < n; i++) {
            const double e = (double)(i < d->fit.n ? d->fit.embedding + i * E : d->words.embedding + (i - d->fit.n) * E)[k] - mean_e;
            const double l = (double)linear[i * E + k] - mean_l;
            own += l * l, both += e * l, total += e * e;
        }
    }
    const double scale = own > 0 ? both / own : 1;
    d->result->public.linear = total > 0 ? 1 - (total - 2 * scale * both + scale * scale * own) / total : (double)NAN;
    if (fabs(scale - 1) > 1e-3) /* within rounding of the plain sum it is the plain sum */
        for (int64_t i = 0; i < U * E; i++)
            d->directions[i] *= (float)scale;
done:
    cn_free(across);
    cn_free(linear);
    return st;
}

/* ---- units ---- */

static int by_push(const void *a, const void *b)
{
    const cn_reader_unit *x = a, *y = b;
    if (x->push != y->push)
        return x->push > y->push ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* For each picture its text in the first prompt, less the mean class: (n_fit, width). */
static cn_status text_vectors(defence *d, const char *const *texts, float *out, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *s = &d->set;
    char **prompts = cn_calloc((size_t)d->n_fit + 1, sizeof *prompts);
    CN_CHECK(prompts, CN_ENOMEM, "out of memory for words");
    for (int64_t i = 0; i < d->n_fit; i++) {
        prompts[i] = attack_fill(s->prompts[0], texts[i], NULL);
        CN_CHECK(prompts[i], CN_ENOMEM, "out of memory for words");
    }
    CN_TRY(attack_embed_texts(s, (const char *const *)prompts, (size_t)d->n_fit, out, err));
    for (int64_t k = 0; k < s->width; k++) {
        double mean = 0;
        for (size_t c = 0; c < s->n_classes; c++)
            mean += (double)s->plain[0][(int64_t)c * s->width + k] / (double)s->n_classes;
        for (int64_t i = 0; i < d->n_fit; i++)
            out[i * s->width + k] -= (float)mean;
    }
done:
    for (int64_t i = 0; prompts && i < d->n_fit; i++)
        cn_free(prompts[i]);
    cn_free(prompts);
    return st;
}

/* What each unit does for the words on pictures: how much more it answers, and how far that pushes to the word. */
static cn_status find_readers(defence *d, const seen *with, const char *const *texts, const cn_reader_unit **out, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t U = d->n_units, n = d->fit.n;
    cn_reader_unit *readers = bag_calloc(&d->result->memory, (size_t)U, sizeof *readers);
    float *words = product_floats(n, d->set.width), *gains = product_floats(n, U);
    CN_CHECK(readers && words && gains, CN_ENOMEM, "out of memory for %" PRId64 " units", U);
    CN_TRY(text_vectors(d, texts, words, err));
    product_rows(words, n, d->directions, U, d->set.width, gains, U);
    double length = 0; /* of an embedding: pushes are shares of it, so that they compare with cosines */
    for (int64_t i = 0; i < n; i++)
        length += sqrt(attack_dot(d->fit.embedding + i * d->set.width, d->fit.embedding + i * d->set.width, d->set.width)) / (double)n;
    length = length > 0 ? length : 1;
    for (int64_t u = 0; u < U; u++) {
        double a = 0, aa = 0, b = 0, bb = 0, push = 0, pushes = 0;
        for (int64_t i = 0; i < n; i++) {
            const double without = (double)d->fit.units[i * U + u], is = (double)with->units[i * U + u];
            const double p = (is - without) * (double)gains[i * U + u] / length;
            a += without / (double)n, aa += without * without / (double)n;
            b += is / (double)n, bb += is * is / (double)n;
            push += p / (double)n, pushes += p * p / (double)n;
        }
        const double sd = sqrt(fmax((aa - a * a + bb - b * b) / 2, 0));
        const double error = n > 1 ? sqrt(fmax(pushes - push * push, 0) / (double)(n - 1)) : INFINITY;
        readers[u] = (cn_reader_unit){u, push, push - 1.959963984540054 * error, push + 1.959963984540054 * error, sd > 1e-12 ? (b - a) / sd : 0};
    }
    qsort(readers, (size_t)U, sizeof *readers, by_push);
    *out = readers;
    d->result->public.n_readers = (size_t)U;
done:
    cn_free(words);
    cn_free(gains);
    return st;
}

static cn_status remove_units(defence *d, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t U = d->n_units, C = (int64_t)d->set.n_classes;
    float *dots = product_floats(U, C);
    int64_t *order = cn_calloc((size_t)U + 1, sizeof *order);
    cn_defence_step *steps;
    rng r = rng_stream(d->set.o.seed, 0x72616e64, 0);
    CN_CHECK(dots && order, CN_ENOMEM, "out of memory for %" PRId64 " units", U);
    product_rows(d->directions, U, d->set.plain[0], C, d->set.width, dots, C);
    const removal m = {d->eval.units, dots, U, 1, order};
    for (int kind = CN_DEFENCE_READERS; kind <= CN_DEFENCE_KNOWN; kind++) {
        for (int64_t u = 0; u < U; u++)
            order[u] = (kind == CN_DEFENCE_KNOWN ? d->result->public.known : d->result->public.readers)[u].unit;
        CN_TRY(new_steps(d, kind, d->n_steps, &steps, err));
        CN_TRY(remove_in_order(d, &m, d->steps, d->n_steps, steps, err));
    }
    for (int64_t u = 0; u < U; u++)
        order[u] = u;
    for (int64_t u = U - 1; u > 0; u--) { /* Fisher and Yates */
        const int64_t other = rng_below(&r, u + 1), swap = order[u];
        order[u] = order[other], order[other] = swap;
    }
    CN_TRY(new_steps(d, CN_DEFENCE_RANDOM, d->n_steps, &steps, err));
    CN_TRY(remove_in_order(d, &m, d->steps, d->n_steps, steps, err));
done:
    cn_free(dots);
    cn_free(order);
    return st;
}

/* ---- heads ---- */

static cn_status read_param(const cn_model *model, const char *name, int64_t rows, int64_t columns, float *out, cn_error *err)
{
    int ndim = 0;
    int64_t shape[4] = {0};
    if (!clip_param_shape(model->checkpoint, name, &ndim, shape) || shape[0] != rows || (ndim > 1 ? shape[1] : 1) != columns)
        return cn_fail(err, CN_EUNSUPPORTED, "the model has no %s of the usual shape", name);
    return clip_param_read(model->checkpoint, name, rows * columns, out, err);
}

typedef struct ranked {
    double value;
    int64_t at;
} ranked;

static int by_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* What each head's values add to the embedding, linearised: W_o [slice] (W_v [slice] x + b_v). values: (n, U). */
static void head_values(const defence *d, const seen *s, const float *value, const float *bias, float *out)
{
    const int64_t U = d->n_units;
    product_rows(s->units, s->n, value, U, U, out, U);
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t k = 0; k < U; k++)
            out[i * U + k] += bias[k];
}

/* Mean length of what words change in each head's output, over the mean length of the change of the whole. */
static void rank_heads(const defence *d, const float *before, const float *after, const float *output, int64_t heads, ranked *list, double *shares)
{
    const int64_t U = d->n_units, E = d->set.width, group = U / heads;
    double whole = 0;
    for (int64_t h = 0; h < heads; h++)
        list[h] = (ranked){0, h};
    for (int64_t i = 0; i < d->fit.n; i++) {
        double all = 0;
        for (int64_t k = 0; k < E; k++) {
            const double change = (double)d->words.embedding[i * E + k] - (double)d->fit.embedding[i * E + k];
            all += change * change;
        }
        whole += sqrt(all);
        for (int64_t h = 0; h < heads; h++) {
            double length = 0;
            for (int64_t k = 0; k < E; k++) {
                double sum = 0;
                for (int64_t f = h * group; f < (h + 1) * group; f++)
                    sum += (double)(after[i * U + f] - before[i * U + f]) * (double)output[k * U + f];
                length += sum * sum;
            }
            list[h].value += sqrt(length);
        }
    }
    for (int64_t h = 0; h < heads; h++)
        shares[h] = whole > 0 ? list[h].value / whole : 0;
    qsort(list, (size_t)heads, sizeof *list, by_value);
}

static cn_status remove_heads(defence *d, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(d->set.model);
    const int64_t U = d->n_units, C = (int64_t)d->set.n_classes, E = d->set.width, heads = info->image_heads;
    float *value = NULL, *bias = NULL, *output = NULL, *across = NULL, *dots = NULL, *before = NULL, *after = NULL;
    ranked *list = NULL;
    int64_t order[1024], steps[1024];
    cn_defence_step *out;
    if (info->architecture != CN_ARCH_RESNET || heads < 1 || heads > 1000 || U % heads)
        return CN_OK;
    value = product_floats(U, U), bias = product_floats(1, U), output = product_floats(E, U), across = product_floats(U, E);
    dots = product_floats(U, C), before = product_floats(d->fit.n > d->eval.n ? d->fit.n : d->eval.n, U), after = product_floats(d->words.n, U);
    list = cn_calloc((size_t)heads, sizeof *list);
    double *shares = bag_calloc(&d->result->memory, (size_t)heads, sizeof *shares);
    CN_CHECK(value && bias && output && across && dots && before && after && list && shares, CN_ENOMEM, "out of memory for %" PRId64 " heads", heads);
    CN_TRY(read_param(d->set.model, "visual.attnpool.v_proj.weight", U, U, value, err));
    CN_TRY(read_param(d->set.model, "visual.attnpool.v_proj.bias", U, 1, bias, err));
    CN_TRY(read_param(d->set.model, "visual.attnpool.c_proj.weight", E, U, output, err));
    head_values(d, &d->fit, value, bias, before);
    head_values(d, &d->words, value, bias, after);
    rank_heads(d, before, after, output, heads, list, shares);
    product_transpose(output, E, U, across);
    product_rows(across, U, d->set.plain[0], C, E, dots, C);
    head_values(d, &d->eval, value, bias, before);
    size_t n = 0;
    for (int64_t h = 0; h < heads; h++)
        order[h] = list[h].at;
    steps[n++] = 0;
    for (int64_t h = 1; h < heads; h *= 2)
        steps[n++] = h;
    CN_TRY(new_steps(d, CN_DEFENCE_HEADS, n, &out, err));
    CN_TRY(remove_in_order(d, &(removal){before, dots, U, U / heads, order}, steps, n, out, err));
    d->result->public.n_heads = (size_t)heads;
    d->result->public.heads = shares;
done:
    cn_free(value);
    cn_free(bias);
    cn_free(output);
    cn_free(across);
    cn_free(dots);
    cn_free(before);
    cn_free(after);
    cn_free(list);
    return st;
}

/* ---- the projection ---- */

/* Coefficients of rows of length 1 in the directions: (n, k). */
static float *coefficients(const float *rows, int64_t n, const float *directions, int64_t k, int64_t width)
{
    float *out = product_floats(n, k);
    if (out)
        product_rows(rows, n, directions, k, width, out, k);
    return out;
}

/* x' . t' / |t'| for the first `k` directions out of both; |x'| is the same for all classes. */
static void project(const defence *d, const float *scores, const float *x, const float *t, int64_t all, int64_t k, float *out)
{
    const int64_t C = (int64_t)d->set.n_classes;
    for (int64_t c = 0; c < C; c++) {
        double rest = 1;
        for (int64_t j = 0; j < k; j++)
            rest -= (double)t[c * all + j] * (double)t[c * all + j];
        const double length = sqrt(fmax(rest, 1e-12));
        for (int64_t r = 0; r < d->eval.n; r++) {
            double dot = (double)scores[r * C + c];
            for (int64_t j = 0; j < k; j++)
                dot -= (double)x[r * all + j] * (double)t[c * all + j];
            out[r * C + c] = (float)(dot / length);
        }
    }
}

static cn_status remove_spelling(defence *d, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t E = d->set.width, C = (int64_t)d->set.n_classes, n = d->fit.n < SPELLING_PAIRS ? d->fit.n : SPELLING_PAIRS;
    float *clean = product_floats(d->fit.n, E), *differences = product_floats(n, E), *directions = product_floats(n, E),
          *rows = product_floats(d->eval.n, E), *scores = product_floats(d->eval.n, C), *out = product_floats(d->eval.n, C), *x = NULL, *t = NULL;
    int *answers = cn_calloc((size_t)d->eval.n + 1, sizeof *answers);
    int64_t found = 0;
    size_t n_steps = 0;
    cn_defence_step *steps;
    CN_CHECK(clean && differences && directions && rows && scores && out && answers, CN_ENOMEM, "out of memory for a projection");
    for (int64_t i = 0; i < d->fit.n; i++)
        product_normalise(d->fit.embedding + i * E, clean + i * E, E);
    for (int64_t i = 0; i < n; i++) {
        product_normalise(d->words.embedding + i * E, differences + i * E, E);
        for (int64_t k = 0; k < E; k++)
            differences[i * E + k] -= clean[i * E + k];
    }
    CN_TRY(spelling_directions(differences, n, clean, d->fit.n, E, 1, directions, &found, err));
    for (int64_t r = 0; r < d->eval.n; r++)
        product_normalise(d->eval.embedding + r * E, rows + r * E, E);
    product_rows(rows, d->eval.n, d->set.plain[0], C, E, scores, C);
    x = coefficients(rows, d->eval.n, directions, found, E);
    t = coefficients(d->set.plain[0], C, directions, found, E);
    CN_CHECK(x && t, CN_ENOMEM, "out of memory for a projection");
    while (n_steps < d->n_steps && d->steps[n_steps] <= found)
        n_steps++;
    CN_TRY(new_steps(d, CN_DEFENCE_PROJECTION, n_steps, &steps, err));
    for (size_t k = 0; k < n_steps; k++) {
        project(d, scores, x, t, found, d->steps[k], out);
        steps[k] = count_scores(d, out, answers, d->steps[k]);
    }
done:
    cn_free(clean);
    cn_free(differences);
    cn_free(directions);
    cn_free(rows);
    cn_free(scores);
    cn_free(out);
    cn_free(x);
    cn_free(t);
    cn_free(answers);
    return st;
}

/* ---- prompts ---- */

static cn_status ask_otherwise(defence *d, cn_error *err)
{
    cn_status st = CN_OK;
    const attack_set *s = &d->set;
    cn_defence_step *steps = bag_calloc(&d->result->memory, s->n_prompts, sizeof *steps);
    int *answers = cn_calloc((size_t)d->eval.n + 1, sizeof *answers);
    CN_CHECK(steps && answers, CN_ENOMEM, "out of memory for %" PRId64 " answers", d->eval.n);
    for (size_t p = 0; p < s->n_prompts; p++) {
        int64_t clean = 0, of = 0;
        for (int64_t i = 0; i < d->n_eval; i++)
            for (size_t t = 0; t <= d->n_targets; t++) {
                const int64_t r = row_of(d, i, t);
                const float *vectors = d->vectors[t ? t - 1 : 0][p];
                answers[r] = attack_answer(d->eval.embedding + r * s->width, vectors, s->n_classes, s->width);
            }
        steps[p] = count(d, answers, 0);
        for (int64_t i = 0; i < d->n_eval; i++) { /* asked with every text */
            const int label = s->pictures[d->n_fit + i].label;
            for (size_t t = 0; t < d->n_targets && label >= 0 && d->n_fit + i < s->n_sample; t++, of++)
                clean += attack_answer(d->eval.embedding + row_of(d, i, 0) * s->width, d->vectors[t][p], s->n_classes, s->width) == label;
        }
        if (attack_wants_text(s, p))
            steps[p].clean = attack_share(clean, of);
    }
    d->result->public.prompt = steps;
    d->result->public.prompts = bag_texts(&d->result->memory, s->prompts, s->n_prompts);
    d->result->public.n_prompts = s->n_prompts;
    CN_CHECK(d->result->public.prompts, CN_ENOMEM, "out of memory for prompts");
done:
    cn_free(answers);
    return st;
}

/* ---- */

static cn_status choose_steps(defence *d, const int64_t *steps, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    d->steps = bag_calloc(&d->memory, CN_MAX_DEFENCE_STEPS + 1, sizeof *d->steps);
    CN_CHECK(d->steps, CN_ENOMEM, "out of memory for steps");
    CN_CHECK(n <= CN_MAX_DEFENCE_STEPS, CN_EINVAL, "at most %d steps, not %zu", CN_MAX_DEFENCE_STEPS, n);
    for (size_t i = 0; steps && i < n; i++) {
        CN_CHECK(i ? steps[i] > steps[i - 1] : steps[i] == 0, CN_EINVAL, "steps rise from 0");
        CN_CHECK(steps[i] <= d->n_units, CN_EINVAL, "%" PRId64 " units cannot be removed: there are %" PRId64, steps[i], d->n_units);
        d->steps[d->n_steps++] = steps[i];
    }
    if (!steps) {
        d->steps[d->n_steps++] = 0;
        for (int64_t k = 1; k <= d->n_units / 2 && d->n_steps < CN_MAX_DEFENCE_STEPS; k *= 2)
            d->steps[d->n_steps++] = k;
    }
    CN_CHECK(d->n_steps > 0, CN_EINVAL, "no steps");
done:
    return st;
}

static cn_status find_site(const cn_model *model, const cn_site **site, cn_error *err)
{
    if (cn_model_get_info(model)->architecture == CN_ARCH_RESNET)
        return cn_model_find_site(model, "visual.layer4", site, err);
    *site = cn_model_default_site(model);
    return *site ? CN_OK : cn_fail(err, CN_EUNSUPPORTED, "the model has no image tower");
}

static cn_status open_defence(defence *d, const cn_model *model, const char *collection, const cn_attack_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *s = &d->set;
    const cn_site *site;
    cn_attack_options o = options ? *options : (cn_attack_options){0};
    const char **names = bag_calloc(&d->memory, d->n_targets, sizeof *names);
    o.images = o.images ? o.images : 400;
    d->texts = bag_calloc(&d->memory, d->n_targets + 1, sizeof *d->texts);
    d->class = bag_calloc(&d->memory, d->n_targets, sizeof *d->class);
    d->vectors = bag_calloc(&d->memory, d->n_targets, sizeof *d->vectors);
    d->result = cn_calloc(1, sizeof *d->result);
    CN_CHECK(names && d->texts && d->class && d->vectors && d->result, CN_ENOMEM, "out of memory for %zu targets", d->n_targets);
    for (size_t i = 0; i < d->n_targets; i++) {
        CN_CHECK(d->targets[i].target && *d->targets[i].target, CN_EINVAL, "a target has a name");
        names[i] = d->targets[i].target;
        d->texts[i] = d->targets[i].text ? d->targets[i].text : names[i];
    }
    CN_TRY(find_site(model, &site, err));
    d->n_units = site->units;
    CN_TRY(attack_set_open(s, model, collection, names, d->n_targets, true, site, &o, err));
    CN_CHECK(!attack_wants_text(s, 0), CN_EINVAL, "units are removed under the first prompt, which must not have {text}: \"%.80s\"", s->prompts[0]);
    CN_CHECK(s->n_sample >= 8, CN_EINVAL, "%" PRId64 " pictures are too few to fit defences on one half and measure them on the other", s->n_sample);
    for (size_t i = 0; i < d->n_targets; i++) {
        d->class[i] = attack_class(s, names[i]);
        CN_TRY(attack_vectors(s, &d->memory, d->texts[i], &d->vectors[i], err));
    }
    d->n_fit = s->n_sample / 2;
    d->n_eval = s->n - d->n_fit;
    d->directions = product_floats(d->n_units, s->width);
    CN_CHECK(d->directions, CN_ENOMEM, "out of memory for the directions of units");
    CN_TRY(cn_unit_directions(model, site, d->directions, err));
    cn_defence_result *to = &d->result->public;
    to->site = bag_text(&d->result->memory, site->name);
    to->model_file = bag_text(&d->result->memory, s->model_file);
    to->collection_name = bag_text(&d->result->memory, s->collection_name);
    CN_CHECK(to->site && to->model_file && to->collection_name, CN_ENOMEM, "out of memory for a result");
    to->images = s->n_sample - d->n_fit, to->fitted = d->n_fit;
done:
    return st;
}

cn_status cn_attack_defend(cn_defence_result **out, const cn_model *model, const char *collection, const cn_attack_target *targets,
                           size_t n_targets, const int64_t *steps, size_t n_steps, const cn_attack_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    defence d = {.targets = targets, .n_targets = n_targets};
    const char **texts = NULL;
    *out = NULL;
    CN_CHECK(n_targets >= 1 && n_targets <= CN_MAX_ATTACK_TARGETS, CN_EINVAL, "1 to %d targets, not %zu", CN_MAX_ATTACK_TARGETS, n_targets);
    CN_TRY(open_defence(&d, model, collection, options, err));
    CN_TRY(choose_steps(&d, steps, n_steps, err));
    CN_TRY(choose_words(&d, err));
    texts = bag_calloc(&d.memory, n_targets + 1, sizeof *texts);
    CN_CHECK(texts, CN_ENOMEM, "out of memory for texts");
    memcpy(texts + 1, d.texts, n_targets * sizeof *texts);
    CN_TRY(look_at(&d, &d.fit, 0, d.n_fit, NULL, 0, false, err));
    CN_TRY(look_at(&d, &d.words, 0, d.n_fit, d.word, (size_t)d.n_fit, false, err));
    CN_TRY(look_at(&d, &d.known, 0, d.n_fit, d.known_text, (size_t)d.n_fit, false, err));
    CN_TRY(look_at(&d, &d.eval, d.n_fit, d.n_eval, texts, n_targets + 1, true, err));
    CN_TRY(fit_directions(&d, err));
    d.scores = product_floats(d.eval.n, (int64_t)d.set.n_classes);
    CN_CHECK(d.scores, CN_ENOMEM, "out of memory for %" PRId64 " answers", d.eval.n);
    product_rows(d.eval.embedding, d.eval.n, d.set.plain[0], (int64_t)d.set.n_classes, d.set.width, d.scores, (int64_t)d.set.n_classes);
    CN_TRY(find_readers(&d, &d.words, d.word, &d.result->public.readers, err));
    CN_TRY(find_readers(&d, &d.known, d.known_text, &d.result->public.known, err));
    CN_TRY(remove_units(&d, err));
    CN_TRY(remove_heads(&d, err));
    CN_TRY(remove_spelling(&d, err));
    CN_TRY(ask_otherwise(&d, err));
    *out = &d.result->public, d.result = NULL;
done:
    if (d.result)
        cn_defence_free(&d.result->public);
    seen_free(&d.fit);
    seen_free(&d.words);
    seen_free(&d.known);
    seen_free(&d.eval);
    cn_free(d.scores);
    cn_free(d.directions);
    attack_set_close(&d.set);
    bag_free(&d.memory);
    return st;
}

void cn_defence_free(cn_defence_result *result)
{
    private_result *r = (private_result *)result;
    if (r)
        bag_free(&r->memory);
    cn_free(r);
}

/* The study's site with the units of `site`: itself, or the sum before its last ReLU, which is what studies have. n_sites: none. */
static size_t site_of_study(const cn_study *s, const char *site)
{
    const size_t length = strlen(site);
    size_t found = s->n_sites;
    for (size_t i = 0; i < s->n_sites; i++) {
        const char *name = s->sites[i].name;
        if (strcmp(name, site) == 0)
            return i;
        if (strncmp(name, site, length) == 0 && name[length] == '.' && strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".add") == 0)
            found = i; /* blocks come in order: the last of them */
    }
    return found;
}

cn_status cn_study_keep_readers(cn_study *s, const cn_defence_result *r, cn_error *err)
{
    cn_status st = CN_OK;
    size_t n = 0;
    const size_t site = site_of_study(s, r->site);
    cn_reader_unit *reading = cn_calloc(r->n_readers + 1, sizeof *reading);
    CN_CHECK(reading, CN_ENOMEM, "out of memory for units that read");
    CN_CHECK(site < s->n_sites, CN_EMISMATCH, "%s: the study has not the site %s", s->path, r->site);
    CN_CHECK(!*s->info.edits, CN_EMISMATCH, "%s: its network was edited (%s), the defender's was not", s->path, s->info.edits);
    for (size_t i = 0; i < r->n_readers; i++)
        if (r->readers[i].low > 0)
            reading[n++] = r->readers[i];
    CN_TRY(readers_keep(s, site, reading, n, err));
done:
    cn_free(reading);
    return st;
}
