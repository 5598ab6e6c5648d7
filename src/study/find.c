/* study/find.c -- units of a study for a text: three scores, and the order over them. */
#include "study/finder.h"

#include "base/memory.h"
#include "clipneuron/linear.h"
#include "clipneuron/tokenizer.h"
#include "study/dissect.h"
#include "study/product.h"
#include "study/rowfile.h"
#include "study/unitstats.h"
#include "study/wordlist.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WHY_ROOM = 640 };

struct finder {
    cn_study *study;
    size_t site;
    const finder_model *model;
    cn_find_options options;
    const char *template; /* of the study's words */
    corpus_units units;
    corpus_words words;
    corpus_labels labels;
    float *directions; /* (units, width) of length 1; NULL */
    corpus_pictures pictures;
    share_scale *scales; /* (pictures) */
    int64_t k;
    int32_t *top;       /* (units, k); NULL: no dissect */
    rowfile means;      /* labels.npy; tensor NULL: none */
    corpus_words names; /* the labels' texts, read when first needed */
    bool has_names;
    char why[CN_FIND_KINDS][WHY_ROOM]; /* "": there is nothing in the way */
};

/* ---- opening ---- */

/* What is missing is a reason, not a failure; everything else is passed on. */
static cn_status excuse(cn_status st, char why[WHY_ROOM], const cn_error *reason, cn_error *err)
{
    if (st != CN_ENOTFOUND && st != CN_EUNSUPPORTED)
        return st == CN_OK ? CN_OK : cn_fail(err, st, "%s", reason->text);
    snprintf(why, WHY_ROOM, "%s", reason->text);
    return CN_OK;
}

static cn_status open_linear(finder *f, cn_error *err)
{
    const int64_t width = f->study->info.embedding;
    if (!f->model->directions) {
        snprintf(f->why[CN_FIND_LINEAR], WHY_ROOM, "%s", f->model->no_directions ? f->model->no_directions : "the site has no directions");
        return CN_OK;
    }
    f->directions = product_floats(f->units.n, width);
    if (!f->directions)
        return cn_fail(err, CN_ENOMEM, "out of memory for the directions of units");
    for (int64_t u = 0; u < f->units.n; u++)
        product_normalise(f->model->directions + u * width, f->directions + u * width, width);
    return CN_OK;
}

static cn_status open_dissect(finder *f, cn_error *err)
{
    cn_status st = CN_OK;
    cn_error reason = {0};
    char *why = f->why[CN_FIND_DISSECT];
    if (f->words.n < 2) {
        snprintf(why, WHY_ROOM, "the study has no words to compare the text with (scan --no-words)");
        return CN_OK;
    }
    CN_TRY(excuse(corpus_pictures_read(&f->pictures, f->study, f->site, f->options.pictures, &reason), why, &reason, err));
    if (*why)
        goto done;
    f->k = dissect_pictures(f->pictures.n);
    f->scales = cn_calloc((size_t)f->pictures.n, sizeof *f->scales);
    f->top = cn_calloc((size_t)f->units.n, (size_t)f->k * sizeof *f->top);
    CN_CHECK(f->scales && f->top, CN_ENOMEM, "out of memory for %" PRId64 " pictures", f->pictures.n);
    CN_TRY(share_scales(f->pictures.embedding, f->pictures.n, f->words.text, f->words.n, f->words.width, f->scales, err));
    dissect_strongest(f->pictures.values, f->units.n, f->pictures.n, f->k, f->top);
    cn_free(f->pictures.values);
    f->pictures.values = NULL;
done:
    return st;
}

static cn_status open_labels(finder *f, cn_error *err)
{
    cn_error reason = {0};
    char ignored[WHY_ROOM] = "";
    if (f->labels.n == 0) {
        snprintf(f->why[CN_FIND_LABELS], WHY_ROOM, "the study has no labels");
        return CN_OK;
    }
    /* without the file there are still the largest of each unit, in the database */
    return excuse(rowfile_open_site(&f->means, f->study, f->site, "labels", f->labels.n, f->units.n, &reason), ignored, &reason, err);
}

cn_status finder_open(finder **out, cn_study *s, const finder_model *model, const cn_find_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    cn_error reason = {0};
    char missing[WHY_ROOM] = "";
    finder *f = cn_calloc(1, sizeof *f);
    *out = NULL;
    CN_CHECK(f, CN_ENOMEM, "out of memory for a search");
    f->study = s;
    f->model = model;
    if (options)
        f->options = *options;
    f->site = f->options.site;
    CN_CHECK(f->site < s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, f->site, s->n_sites);
    CN_CHECK(f->options.pictures >= 0 && f->options.pictures <= CN_MAX_FIND_PICTURES, CN_EINVAL, "%" PRId64 " pictures, the limit is %d",
             f->options.pictures, CN_MAX_FIND_PICTURES);
    if (!f->options.pictures)
        f->options.pictures = CORPUS_PICTURES;
    f->options.by &= (1u << CN_FIND_KINDS) - 1;
    if (!f->options.by)
        f->options.by = (1u << CN_FIND_KINDS) - 1;
    CN_CHECK(s->info.embedding > 0, CN_EUNSUPPORTED, "%s: the study's model gives no embeddings that texts could be compared with", s->path);
    CN_CHECK(!model->from || model->from->embedding == s->info.embedding, CN_EMISMATCH, "%s: embeddings of %d values, the model's have %d",
             s->path, s->info.embedding, model->from->embedding);
    f->template = s->info.word_template ? s->info.word_template : "{}";
    CN_TRY(corpus_check_template(f->template, err));
    CN_TRY(corpus_units_read(&f->units, s, f->site, err));
    CN_TRY(excuse(corpus_words_read(&f->words, s, &reason), missing, &reason, err));
    if (*missing)
        corpus_words_free(&f->words);
    CN_TRY(corpus_labels_read(&f->labels, s, err));
    if (f->options.by & 1u << CN_FIND_LINEAR)
        CN_TRY(open_linear(f, err));
    if (f->options.by & 1u << CN_FIND_DISSECT)
        CN_TRY(open_dissect(f, err));
    if (*missing && f->options.by & 1u << CN_FIND_DISSECT)
        snprintf(f->why[CN_FIND_DISSECT], WHY_ROOM, "%s", missing);
    if (f->options.by & 1u << CN_FIND_LABELS)
        CN_TRY(open_labels(f, err));
    *out = f, f = NULL;
done:
    finder_close(f);
    return st;
}

void finder_close(finder *f)
{
    if (!f)
        return;
    corpus_units_free(&f->units);
    corpus_words_free(&f->words);
    corpus_labels_free(&f->labels);
    corpus_words_free(&f->names);
    corpus_pictures_free(&f->pictures);
    rowfile_close(&f->means);
    cn_free(f->directions);
    cn_free(f->scales);
    cn_free(f->top);
    cn_free(f);
}

/* ---- one text ---- */

/* One score of all units, and what is worth knowing beside it. */
typedef struct asking {
    const char *text;
    const float *embedding;       /* of length 1; NULL: the model does not know the text */
    int64_t word;                 /* the same in the study's list, -1 */
    double *score[CN_FIND_KINDS]; /* (units); NULL: not computed */
    char why[CN_FIND_KINDS][WHY_ROOM];
    int64_t label;
    double label_cosine;
} asking;

static void ask_linear(const finder *f, const asking *a, double *score)
{
    const int64_t width = f->study->info.embedding;
    double length = 0;
    for (int64_t k = 0; k < width; k++) {
        const double t = (double)a->embedding[k] - (f->words.n ? (double)f->words.centre[k] : 0);
        length += t * t;
    }
    length = sqrt(length);
    for (int64_t u = 0; u < f->units.n; u++) {
        const float *d = f->directions + u * width;
        double sum = 0;
        for (int64_t k = 0; k < width; k++)
            sum += (double)d[k] * ((double)a->embedding[k] - (f->words.n ? (double)f->words.centre[k] : 0));
        score[u] = length > 0 ? sum / length : 0;
    }
}

static cn_status ask_dissect(const finder *f, const asking *a, double *score, cn_error *err)
{
    const int64_t n = f->pictures.n, width = f->pictures.width;
    float *cosines = product_floats(n, 2), *shares = product_floats(n, 1);
    if (!cosines || !shares) {
        cn_free(cosines);
        cn_free(shares);
        return cn_fail(err, CN_ENOMEM, "out of memory for the shares of %" PRId64 " pictures", n);
    }
    product_rows(f->pictures.embedding, n, a->embedding, 1, width, cosines, 2);
    if (a->word >= 0)
        product_rows(f->pictures.embedding, n, f->words.text + a->word * width, 1, width, cosines + 1, 2);
    for (int64_t i = 0; i < n; i++)
        shares[i] = (float)share_of_text(&f->scales[i], (double)cosines[2 * i], a->word >= 0 ? (double)cosines[2 * i + 1] : (double)NAN);
    dissect_evidence(shares, 1, f->top, f->units.n, f->k, score);
    dissect_scores(score, f->units.n, 1, f->units.dead);
    cn_free(cosines);
    cn_free(shares);
    return CN_OK;
}

/* The labels' texts: those of the study's words where they are among them, the others through the text tower. */
static cn_status read_names(finder *f, cn_error *err)
{
    cn_status st = CN_OK;
    const char **list = NULL;
    if (f->has_names)
        return CN_OK;
    list = cn_calloc((size_t)f->labels.n + 1, sizeof *list);
    CN_CHECK(list, CN_ENOMEM, "out of memory for %" PRId64 " labels", f->labels.n);
    for (int64_t i = 0; i < f->labels.n; i++)
        list[i] = f->labels.word[i];
    bool all = true;
    for (int64_t i = 0; i < f->labels.n; i++)
        all = all && corpus_words_find(&f->words, list[i]) >= 0;
    if (!all && f->model->from && f->model->from->texts) {
        corpus_words_free(&f->names);
        CN_TRY(corpus_words_embed(&f->names, f->model->from, list, (size_t)f->labels.n, f->template, NULL, NULL, err));
    }
    f->has_names = true;
done:
    cn_free(list);
    return st;
}

static const float *label_text(const finder *f, int64_t label)
{
    const char *word = f->labels.word[label];
    int64_t at = corpus_words_find(&f->words, word);
    if (at >= 0)
        return f->words.text + at * f->words.width;
    at = f->names.n ? corpus_words_find(&f->names, word) : -1;
    return at >= 0 ? f->names.text + at * f->names.width : NULL;
}

static cn_status find_label(finder *f, asking *a, cn_error *err)
{
    cn_status st = CN_OK;
    a->label = corpus_labels_find(&f->labels, a->text);
    a->label_cosine = 1;
    if (a->label >= 0)
        goto done;
    if (!a->embedding) {
        snprintf(a->why[CN_FIND_LABELS], WHY_ROOM, "no label has that name");
        goto done;
    }
    CN_TRY(read_names(f, err));
    a->label_cosine = -2;
    for (int64_t i = 0; i < f->labels.n; i++) {
        const float *text = label_text(f, i);
        float cosine;
        if (!text)
            continue;
        product_rows(a->embedding, 1, text, 1, f->study->info.embedding, &cosine, 1);
        if ((double)cosine > a->label_cosine) {
            a->label_cosine = (double)cosine;
            a->label = i;
        }
    }
    if (a->label < 0)
        snprintf(a->why[CN_FIND_LABELS], WHY_ROOM, "the model knows none of the labels");
done:
    return st;
}

/* Means of a label's pictures as z, from labels.npy; without it, what the database keeps of each unit's largest. */
static cn_status ask_labels(finder *f, const asking *a, double *score, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    float *row = NULL;
    bool more;
    if (f->means.tensor) {
        row = product_floats(1, f->units.n);
        CN_CHECK(row, CN_ENOMEM, "out of memory for the means of a label");
        CN_TRY(rowfile_read(&f->means, a->label, row, err));
        for (int64_t u = 0; u < f->units.n; u++)
            score[u] = group_z((double)row[u], f->labels.images[a->label], f->units.mean[u], f->units.sd[u], f->study->info.images);
        goto done;
    }
    for (int64_t u = 0; u < f->units.n; u++)
        score[u] = (double)NAN;
    CN_TRY(reader_query(f->study, &q, err, "SELECT unit, z FROM unit_labels WHERE site = ? AND label = ?", "ii", (int64_t)f->site, a->label));
    for (;;) {
        CN_TRY(reader_step(f->study, q, &more, err));
        if (!more)
            break;
        const int64_t unit = sqlite3_column_int64(q, 0);
        CN_CHECK(unit >= 0 && unit < f->units.n, CN_EFORMAT, "%s: the study is damaged: labels of unit %" PRId64, f->study->path, unit);
        score[unit] = sqlite3_column_double(q, 1);
    }
done:
    sqlite3_finalize(q);
    cn_free(row);
    return st;
}

static void asking_free(asking *a)
{
    for (int i = 0; i < CN_FIND_KINDS; i++)
        cn_free(a->score[i]);
}

/* embedding: of length 1 and borrowed, or NULL. */
static cn_status ask(finder *f, asking *a, cn_error *err)
{
    cn_status st = CN_OK;
    a->label = -1;
    for (int i = 0; i < CN_FIND_KINDS; i++) {
        snprintf(a->why[i], WHY_ROOM, "%s", f->why[i]);
        if (!a->embedding && i != CN_FIND_LABELS && !*a->why[i])
            snprintf(a->why[i], WHY_ROOM, "%s",
                     f->model->from && f->model->from->texts ? "the model has never seen a word of this text" : "the model has no text tower");
    }
    if (f->options.by & 1u << CN_FIND_LABELS && !*a->why[CN_FIND_LABELS])
        CN_TRY(find_label(f, a, err));
    for (int i = 0; i < CN_FIND_KINDS; i++) {
        if (!(f->options.by & 1u << i) || *a->why[i])
            continue;
        a->score[i] = cn_calloc((size_t)f->units.n, sizeof *a->score[i]);
        CN_CHECK(a->score[i], CN_ENOMEM, "out of memory for the scores of %" PRId64 " units", f->units.n);
        if (i == CN_FIND_LINEAR)
            ask_linear(f, a, a->score[i]);
        else if (i == CN_FIND_DISSECT)
            CN_TRY(ask_dissect(f, a, a->score[i], err));
        else
            CN_TRY(ask_labels(f, a, a->score[i], err));
    }
done:
    return st;
}

/* ---- ranks ---- */

typedef struct ranked {
    double score, tie;
    int64_t unit;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->tie != y->tie)
        return x->tie < y->tie ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* Live units by score; those without one (NaN) are left out. Returns how many. */
static int64_t order_units(const finder *f, const double *score, ranked *order)
{
    int64_t n = 0;
    for (int64_t u = 0; u < f->units.n; u++)
        if (!f->units.dead[u] && !isnan(score[u]))
            order[n++] = (ranked){score[u], 0, u};
    qsort(order, (size_t)n, sizeof *order, by_score);
    return n;
}

static void fill_kind(int kind, const ranked *order, int64_t n, cn_found *by_unit)
{
    double sum = 0, power = 0;
    for (int64_t i = 0; i < n; i++)
        sum += order[i].score;
    const double mean = n ? sum / (double)n : 0;
    for (int64_t i = 0; i < n; i++)
        power += (order[i].score - mean) * (order[i].score - mean);
    const double sd = n ? sqrt(power / (double)n) : 0;
    for (int64_t i = 0; i < n; i++) {
        cn_found *u = &by_unit[order[i].unit];
        u->score[kind] = order[i].score;
        u->z[kind] = sd > 0 ? (u->score[kind] - mean) / sd : 0;
        u->rank[kind] = i + 1;
    }
}

/* All scores into by_unit (units), and in `order` the live units by the mean of 1/rank over those that count; equal ones by the sum of z.
 * Returns how many. */
static int64_t combine(const finder *f, const asking *a, const bool counts[CN_FIND_KINDS], cn_found *by_unit, ranked *order)
{
    int64_t n = 0;
    int counted = 0;
    for (int64_t u = 0; u < f->units.n; u++) {
        by_unit[u] = (cn_found){.ref = {f->site, u}};
        for (int i = 0; i < CN_FIND_KINDS; i++)
            by_unit[u].score[i] = by_unit[u].z[i] = (double)NAN;
    }
    for (int i = 0; i < CN_FIND_KINDS; i++) {
        if (a->score[i])
            fill_kind(i, order, order_units(f, a->score[i], order), by_unit);
        counted += counts[i];
    }
    for (int64_t u = 0; u < f->units.n; u++) {
        cn_found *unit = &by_unit[u];
        double z = 0;
        if (f->units.dead[u])
            continue;
        for (int i = 0; i < CN_FIND_KINDS; i++)
            if (counts[i] && unit->rank[i]) {
                unit->combined += 1 / (double)unit->rank[i] / counted;
                z += unit->z[i];
            }
        order[n++] = (ranked){unit->combined, -z, u};
    }
    qsort(order, (size_t)n, sizeof *order, by_score);
    return n;
}

/* The text of a reason and of a label live behind the result. */
typedef struct kept_result {
    cn_find_result result;
    char why[CN_FIND_KINDS][WHY_ROOM];
    char *label;
} kept_result;

static cn_status rank_units(const finder *f, const asking *a, cn_find_result *r, cn_error *err)
{
    cn_status st = CN_OK;
    int there = 0;
    ranked *order = cn_calloc((size_t)f->units.n, sizeof *order);
    cn_found *by_unit = cn_calloc((size_t)f->units.n, sizeof *by_unit);
    r->units = cn_calloc((size_t)f->units.live + 1, sizeof *r->units);
    CN_CHECK(order && by_unit && r->units, CN_ENOMEM, "out of memory for the ranks of %" PRId64 " units", f->units.n);
    for (int i = 0; i < CN_FIND_KINDS; i++)
        there += a->score[i] != NULL;
    for (int i = 0; i < CN_FIND_KINDS; i++)
        r->counts[i] = a->score[i] && (i != CN_FIND_LABELS || r->label_same || there == 1);
    r->n = (size_t)combine(f, a, r->counts, by_unit, order);
    for (size_t i = 0; i < r->n; i++)
        r->units[i] = by_unit[order[i].unit];
done:
    cn_free(order);
    cn_free(by_unit);
    return st;
}

/* The text's embedding, of length 1, owned by the caller; NULL when the model does not know it. */
static cn_status embed(const finder *f, const char *text, float **out, cn_error *err)
{
    cn_status st = CN_OK;
    bool known = false;
    char *prompt = NULL;
    float *embedding = NULL;
    source *from = f->model->from;
    *out = NULL;
    if (!from || !from->texts)
        return CN_OK;
    prompt = wordlist_prompt(f->template, text);
    embedding = product_floats(1, from->embedding);
    CN_CHECK(prompt && embedding, CN_ENOMEM, "out of memory for a text");
    CN_TRY(from->texts(from, (const char *const *)&prompt, 1, embedding, &known, NULL, NULL, err));
    if (known && product_normalise(embedding, embedding, from->embedding) > 0)
        *out = embedding, embedding = NULL;
done:
    cn_free(prompt);
    cn_free(embedding);
    return st;
}

static const char *const kinds[] = {"linear", "dissect", "labels"};

cn_status finder_ask(finder *f, const char *text, cn_find_result **out, cn_error *err)
{
    cn_status st = CN_OK;
    float *embedding = NULL;
    asking a = {.text = text};
    bool any = false;
    kept_result *kept = cn_calloc(1, sizeof *kept);
    *out = NULL;
    CN_CHECK(kept, CN_ENOMEM, "out of memory for a search");
    CN_CHECK(text[strspn(text, " \t\r\n")], CN_EINVAL, "the text is empty");
    CN_TRY(embed(f, text, &embedding, err));
    a.embedding = embedding;
    a.word = corpus_words_find(&f->words, text);
    CN_TRY(ask(f, &a, err));
    for (int i = 0; i < CN_FIND_KINDS; i++) {
        any = any || a.score[i];
        if (*a.why[i] && f->options.by & 1u << i) {
            snprintf(kept->why[i], WHY_ROOM, "%s", a.why[i]);
            kept->result.why[i] = kept->why[i];
        }
    }
    if (!any) {
        char reasons[WHY_ROOM] = "";
        for (int i = 0; i < CN_FIND_KINDS; i++)
            if (kept->result.why[i])
                snprintf(reasons + strlen(reasons), sizeof reasons - strlen(reasons), "; %s: %s", kinds[i], kept->why[i]);
        st = cn_fail(err, CN_ENOTFOUND, "\"%.100s\": no score can be computed%s", text, reasons);
        goto done;
    }
    if (a.label >= 0) {
        kept->label = cn_strdup(f->labels.name[a.label]);
        CN_CHECK(kept->label, CN_ENOMEM, "out of memory for a search");
        kept->result.label = kept->label;
        kept->result.label_same = corpus_labels_find(&f->labels, text) >= 0;
        kept->result.label_cosine = a.label_cosine;
        kept->result.label_images = f->labels.images[a.label];
    }
    kept->result.pictures = f->top ? f->pictures.n : 0;
    kept->result.strongest = f->top ? f->k : 0;
    kept->result.words = f->words.n;
    CN_TRY(rank_units(f, &a, &kept->result, err));
    *out = &kept->result, kept = NULL;
done:
    if (kept)
        cn_find_result_free(&kept->result);
    asking_free(&a);
    cn_free(embedding);
    return st;
}

void cn_find_result_free(cn_find_result *result)
{
    kept_result *kept = (kept_result *)result; /* its first member */
    if (!kept)
        return;
    cn_free(kept->result.units);
    cn_free(kept->label);
    cn_free(kept);
}

/* ---- measuring ---- */

static void count_place(cn_find_measure *m, int kind, int64_t place)
{
    m->first[kind] += place == 1;
    m->ten[kind] += place <= 10;
}

static cn_status measure_label(finder *f, int64_t label, const float *text, cn_found *by_unit, ranked *order, cn_find_measure *m, cn_error *err)
{
    cn_status st = CN_OK;
    asking a = {.text = f->labels.name[label], .embedding = text, .word = corpus_words_find(&f->words, f->labels.word[label])};
    CN_TRY(ask(f, &a, err));
    const bool counts[CN_FIND_KINDS] = {
        [CN_FIND_LINEAR] = a.score[CN_FIND_LINEAR] != NULL, [CN_FIND_DISSECT] = a.score[CN_FIND_DISSECT] != NULL};
    const int64_t n = combine(f, &a, counts, by_unit, order);
    for (int i = 0; i < CN_FIND_KINDS; i++) {
        int64_t place = INT64_MAX;
        for (int64_t u = 0; u < f->units.n; u++)
            if (f->units.label[u] == label && by_unit[u].rank[i] && by_unit[u].rank[i] < place)
                place = by_unit[u].rank[i];
        if (a.score[i])
            count_place(m, i, place);
        else
            m->first[i] = m->ten[i] = -1;
    }
    int64_t place = 0;
    while (place < n && f->units.label[order[place].unit] != label)
        place++;
    if (counts[CN_FIND_LINEAR] || counts[CN_FIND_DISSECT])
        count_place(m, CN_FIND_ALL, place + 1);
    else
        m->first[CN_FIND_ALL] = m->ten[CN_FIND_ALL] = -1;
done:
    asking_free(&a);
    return st;
}

cn_status finder_measure(finder *f, cn_find_measure *out, cn_error *err)
{
    cn_status st = CN_OK;
    double chance = 0;
    cn_found *by_unit = NULL;
    ranked *order = NULL;
    int64_t *own = NULL;
    cn_find_measure m;
    memset(&m, 0, sizeof m);
    memset(out, 0, sizeof *out);
    CN_CHECK(f->labels.n > 0, CN_ENOTFOUND, "%s: the study has no labels to ask for", f->study->path);
    by_unit = cn_calloc((size_t)f->units.n, sizeof *by_unit);
    order = cn_calloc((size_t)f->units.n, sizeof *order);
    own = cn_calloc((size_t)f->labels.n, sizeof *own);
    CN_CHECK(by_unit && order && own, CN_ENOMEM, "out of memory for the ranks of %" PRId64 " units", f->units.n);
    for (int64_t u = 0; u < f->units.n; u++)
        if (!f->units.dead[u] && f->units.label[u] >= 0)
            own[f->units.label[u]]++;
    CN_TRY(read_names(f, err));
    m.units = f->units.live;
    m.pictures = f->top ? f->pictures.n : 0;
    m.strongest = f->top ? f->k : 0;
    m.words = f->words.n;
    static const char *const general[] = {"the site has no directions", "the study has no matrices or no words", "the study has no labels"};
    for (int i = 0; i < CN_FIND_KINDS; i++)
        m.why[i] = *f->why[i] ? general[i] : NULL;
    for (int64_t i = 0; i < f->labels.n; i++) {
        const float *text = label_text(f, i);
        if (!own[i] || !text)
            continue;
        CN_TRY(measure_label(f, i, text, by_unit, order, &m, err));
        m.asked++;
        chance += (double)own[i] / (double)f->units.live;
        CN_CHECK(!f->options.progress || f->options.progress("labels", i + 1, f->labels.n, f->options.user), CN_ECANCELED, "cancelled");
    }
    CN_CHECK(m.asked, CN_ENOTFOUND, "%s: no unit has a label of its own that the model knows", f->study->path);
    m.chance = chance / (double)m.asked;
    *out = m;
done:
    cn_free(by_unit);
    cn_free(order);
    cn_free(own);
    return st;
}

/* ---- with a model ---- */

cn_status finder_directions(const cn_model *model, const cn_study *s, size_t site, float **out, char why[512], cn_error *err)
{
    cn_status st = CN_OK;
    const cn_site *found;
    cn_error reason = {0};
    float *directions = NULL;
    *out = NULL;
    *why = 0;
    CN_TRY(cn_model_find_site(model, s->sites[site].name, &found, err));
    CN_CHECK(found->units == s->sites[site].units, CN_EFORMAT, "%s: the study is damaged: %s has %" PRId64 " units", s->path, found->name,
             found->units);
    directions = product_floats(found->units, cn_model_get_info(model)->embedding);
    CN_CHECK(directions, CN_ENOMEM, "out of memory for the directions of units");
    st = cn_unit_directions(model, found, directions, &reason);
    if (st == CN_EUNSUPPORTED) {
        snprintf(why, 512, "%s", reason.text);
        st = CN_OK;
    } else if (st != CN_OK) {
        (void)cn_fail(err, st, "%s", reason.text);
    } else {
        *out = directions, directions = NULL;
    }
done:
    cn_free(directions);
    return st;
}

/* A text is not cut in silence. */
static cn_status check_length(const cn_model *model, const char *text, const char *template, cn_error *err)
{
    cn_status st = CN_OK;
    cn_tokenizer *tokenizer = NULL;
    int32_t *row = NULL;
    char *prompt = NULL;
    const int context = cn_model_get_info(model)->context_length;
    if (context <= 0)
        return CN_OK;
    row = cn_calloc((size_t)context, sizeof *row);
    prompt = wordlist_prompt(template, text);
    CN_CHECK(row && prompt, CN_ENOMEM, "out of memory for a text");
    CN_TRY(cn_tokenizer_create(&tokenizer, err));
    CN_TRY(cn_tokenizer_row(tokenizer, prompt, (size_t)context, false, row, NULL, err));
done:
    cn_tokenizer_free(tokenizer);
    cn_free(row);
    cn_free(prompt);
    return st;
}

/* text NULL: measure. */
static cn_status with_model(cn_study *s, const cn_model *model, const char *text, const cn_find_options *options, cn_find_result **result,
                            cn_find_measure *measure, cn_error *err)
{
    cn_status st = CN_OK;
    source from = {0};
    finder *f = NULL;
    float *directions = NULL;
    char why[512] = "";
    const cn_find_options o = options ? *options : (cn_find_options){0};
    const cn_scan_options runners = {.threads = o.threads, .precision = o.precision, .backend = o.backend};
    CN_CHECK(o.site < s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, o.site, s->n_sites);
    CN_TRY(cn_study_check_model(s, model, err));
    CN_TRY(source_open_model(&from, model, &runners, false, err));
    if (!o.by || o.by & 1u << CN_FIND_LINEAR)
        CN_TRY(finder_directions(model, s, o.site, &directions, why, err));
    const finder_model m = {.from = &from, .directions = directions, .no_directions = why};
    CN_TRY(finder_open(&f, s, &m, &o, err));
    if (text) {
        CN_TRY(check_length(model, text, f->template, err));
        CN_TRY(finder_ask(f, text, result, err));
    } else {
        CN_TRY(finder_measure(f, measure, err));
    }
done:
    finder_close(f);
    cn_free(directions);
    if (from.close)
        from.close(&from);
    return st;
}

cn_status cn_find_text(cn_study *s, const cn_model *model, const char *text, const cn_find_options *options, cn_find_result **out, cn_error *err)
{
    *out = NULL;
    return with_model(s, model, text, options, out, NULL, err);
}

cn_status cn_find_measure_text(cn_study *s, const cn_model *model, const cn_find_options *options, cn_find_measure *out, cn_error *err)
{
    memset(out, 0, sizeof *out);
    return with_model(s, model, NULL, options, NULL, out, err);
}
