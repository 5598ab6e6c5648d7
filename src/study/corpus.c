/* study/corpus.c -- reads, checks, samples, normalises. */
#include "study/corpus.h"

#include "base/memory.h"
#include "study/product.h"
#include "study/rowfile.h"
#include "study/sample.h"
#include "study/wordlist.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- pictures ---- */

typedef struct keyed {
    uint64_t key;
    int64_t image;
} keyed;

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->image < y->image ? -1 : x->image > y->image;
}

static int by_half(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    const int p = (int)(x->key & 1), q = (int)(y->key & 1);
    return p != q ? p - q : by_key(a, b);
}

/* Keys of all images, (info.images); owned by the caller. */
static cn_status read_keys(cn_study *s, keyed **out, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    keyed *keys = NULL;
    bool more;
    int64_t n = 0;
    *out = NULL;
    CN_CHECK(s->info.images > 0 && s->info.images <= CN_MAX_STUDY_IMAGES, CN_ENOTFOUND, "%s: the study has no pictures", s->path);
    keys = cn_calloc((size_t)s->info.images, sizeof *keys);
    CN_CHECK(keys, CN_ENOMEM, "out of memory for %" PRId64 " pictures", s->info.images);
    CN_TRY(reader_query(s, &q, err, "SELECT i.id, coalesce(f.path, i.path) FROM images i LEFT JOIN images f ON f.id = i.same_as ORDER BY i.id",
                        ""));
    for (;; n++) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const char *path = (const char *)sqlite3_column_text(q, 1);
        CN_CHECK(n < s->info.images && sqlite3_column_int64(q, 0) == n && path, CN_EFORMAT,
                 "%s: the study is damaged: its images are not numbered 0, 1, 2...", s->path);
        keys[n] = (keyed){sample_key(0, path), n};
    }
    CN_CHECK(n == s->info.images, CN_EFORMAT, "%s: the study is damaged: %" PRId64 " images, not %" PRId64, s->path, n, s->info.images);
    *out = keys, keys = NULL;
done:
    sqlite3_finalize(q);
    cn_free(keys);
    return st;
}

cn_status corpus_pictures_read(corpus_pictures *p, cn_study *s, size_t site, int64_t most, cn_error *err)
{
    cn_status st = CN_OK;
    keyed *keys = NULL;
    rowfile embeddings = {0}, values = {0};
    float *row = NULL;
    memset(p, 0, sizeof *p);
    p->width = s->info.embedding;
    p->units = s->sites[site].units;
    CN_TRY(read_keys(s, &keys, err));
    CN_TRY(rowfile_open(&embeddings, s, "embeddings.npy", s->info.images, p->width, err));
    CN_TRY(rowfile_open_site(&values, s, site, cn_reduce_name(s->info.reduce), s->info.images, p->units, err));
    qsort(keys, (size_t)s->info.images, sizeof *keys, by_key);
    p->n = s->info.images < most ? s->info.images : most;
    qsort(keys, (size_t)p->n, sizeof *keys, by_half);
    p->image = cn_calloc((size_t)p->n, sizeof *p->image);
    p->embedding = product_floats(p->n, p->width);
    p->values = product_floats(p->units, p->n);
    row = product_floats(1, p->units);
    CN_CHECK(p->image && p->embedding && p->values && row, CN_ENOMEM, "out of memory for %" PRId64 " pictures and %" PRId64 " units", p->n,
             p->units);
    for (int64_t i = 0; i < p->n; i++) {
        float *embedding = p->embedding + i * p->width;
        p->image[i] = keys[i].image;
        p->even += (keys[i].key & 1) == 0;
        CN_TRY(rowfile_read(&embeddings, p->image[i], embedding, err));
        product_normalise(embedding, embedding, p->width);
        CN_TRY(rowfile_read(&values, p->image[i], row, err));
        for (int64_t u = 0; u < p->units; u++)
            p->values[u * p->n + i] = row[u];
    }
done:
    rowfile_close(&embeddings);
    rowfile_close(&values);
    cn_free(keys);
    cn_free(row);
    return st;
}

void corpus_pictures_free(corpus_pictures *p)
{
    cn_free(p->image);
    cn_free(p->embedding);
    cn_free(p->values);
    memset(p, 0, sizeof *p);
}

/* ---- words ---- */

static int by_word(const void *a, const void *b, void *words)
{
    char *const *word = words;
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    const int order = strcasecmp(word[x], word[y]);
    return order ? order : x < y ? -1 : x > y;
}

/* Normalises, means, sorts. */
static cn_status finish_words(corpus_words *w, cn_error *err)
{
    cn_status st = CN_OK;
    double *sum = NULL;
    w->centre = product_floats(1, w->width);
    w->order = cn_calloc((size_t)w->n + 1, sizeof *w->order);
    sum = cn_calloc((size_t)w->width + 1, sizeof *sum);
    CN_CHECK(w->centre && w->order && sum, CN_ENOMEM, "out of memory for %" PRId64 " words", w->n);
    for (int64_t i = 0; i < w->n; i++) {
        float *text = w->text + i * w->width;
        product_normalise(text, text, w->width);
        for (int64_t k = 0; k < w->width; k++)
            sum[k] += (double)text[k];
        w->order[i] = i;
    }
    for (int64_t k = 0; k < w->width; k++)
        w->centre[k] = w->n ? (float)(sum[k] / (double)w->n) : 0;
    qsort_r(w->order, (size_t)w->n, sizeof *w->order, by_word, w->word);
done:
    cn_free(sum);
    return st;
}

static cn_status begin_words(corpus_words *w, int64_t most, int64_t width, cn_error *err)
{
    memset(w, 0, sizeof *w);
    if (width <= 0)
        return cn_fail(err, CN_EUNSUPPORTED, "without embeddings texts cannot be compared with pictures");
    w->width = width;
    w->word = cn_calloc((size_t)most + 1, sizeof *w->word);
    w->text = product_floats(most, width);
    return w->word && w->text ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory for %" PRId64 " words", most);
}

cn_status corpus_words_read(corpus_words *w, cn_study *s, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    rowfile texts = {0};
    bool more;
    int64_t row = 0;
    const int64_t most = s->info.words;
    memset(w, 0, sizeof *w);
    CN_CHECK(most >= 0 && most <= CN_MAX_STUDY_WORDS, CN_EFORMAT, "%s: the study is damaged: %" PRId64 " words", s->path, most);
    CN_TRY(begin_words(w, most, s->info.embedding, err));
    if (most)
        CN_TRY(rowfile_open(&texts, s, "words.npy", most, w->width, err));
    CN_TRY(reader_query(s, &q, err, "SELECT id, word, known FROM words ORDER BY id", ""));
    for (; most; row++) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const char *word = (const char *)sqlite3_column_text(q, 1);
        CN_CHECK(row < most && sqlite3_column_int64(q, 0) == row && word, CN_EFORMAT,
                 "%s: the study is damaged: its words are not numbered 0, 1, 2...", s->path);
        if (!sqlite3_column_int(q, 2)) {
            w->unknown++;
            continue;
        }
        CN_TRY(rowfile_read(&texts, row, w->text + w->n * w->width, err));
        w->word[w->n] = cn_strdup(word);
        CN_CHECK(w->word[w->n], CN_ENOMEM, "out of memory for %" PRId64 " words", most);
        w->n++;
    }
    CN_CHECK(row == most, CN_EFORMAT, "%s: the study is damaged: %" PRId64 " words, not %" PRId64, s->path, row, most);
    CN_TRY(finish_words(w, err));
done:
    sqlite3_finalize(q);
    rowfile_close(&texts);
    return st;
}

cn_status corpus_words_embed(corpus_words *w, source *from, const char *const *list, size_t n, const char *template, corpus_go_on *go_on,
                             void *user, cn_error *err)
{
    cn_status st = CN_OK;
    char **prompts = NULL;
    bool *known = NULL;
    CN_TRY(begin_words(w, (int64_t)n, from->embedding, err));
    CN_CHECK(from->texts, CN_EUNSUPPORTED, "%s: the model has no text tower: texts cannot be compared", from->model_file);
    prompts = cn_calloc(n + 1, sizeof *prompts);
    known = cn_calloc(n + 1, sizeof *known);
    CN_CHECK(prompts && known, CN_ENOMEM, "out of memory for %zu words", n);
    for (size_t i = 0; i < n; i++) {
        prompts[i] = wordlist_prompt(template, list[i]);
        CN_CHECK(prompts[i], CN_ENOMEM, "out of memory for %zu words", n);
    }
    if (n)
        CN_TRY(from->texts(from, (const char *const *)prompts, n, w->text, known, go_on, user, err));
    for (size_t i = 0; i < n; i++) {
        if (!known[i]) {
            w->unknown++;
            continue;
        }
        memmove(w->text + w->n * w->width, w->text + (int64_t)i * w->width, (size_t)w->width * sizeof *w->text);
        w->word[w->n] = cn_strdup(list[i]);
        CN_CHECK(w->word[w->n], CN_ENOMEM, "out of memory for %zu words", n);
        w->n++;
    }
    CN_TRY(finish_words(w, err));
done:
    for (size_t i = 0; prompts && i < n; i++)
        cn_free(prompts[i]);
    cn_free(prompts);
    cn_free(known);
    return st;
}

int64_t corpus_words_find(const corpus_words *w, const char *word)
{
    int64_t low = 0, high = w->n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (strcasecmp(w->word[w->order[middle]], word) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < w->n && strcasecmp(w->word[w->order[low]], word) == 0 ? w->order[low] : -1;
}

void corpus_words_free(corpus_words *w)
{
    for (int64_t i = 0; w->word && i < w->n; i++)
        cn_free(w->word[i]);
    cn_free(w->word);
    cn_free(w->text);
    cn_free(w->centre);
    cn_free(w->order);
    memset(w, 0, sizeof *w);
}

cn_status corpus_check_template(const char *template, cn_error *err)
{
    const char *hole = strstr(template, "{}");
    if (!hole || strstr(hole + 2, "{}") || strlen(template) > 1000)
        return cn_fail(err, CN_EINVAL, "a template has one {} where the word goes, not \"%.80s\"", template);
    return CN_OK;
}

/* ---- labels ---- */

cn_status corpus_labels_read(corpus_labels *l, cn_study *s, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    wordlist one = {0};
    bool more;
    memset(l, 0, sizeof *l);
    const int64_t most = s->info.labels > 0 && s->info.labels <= CN_MAX_STUDY_LABELS ? s->info.labels : 0;
    l->name = cn_calloc((size_t)most + 1, sizeof *l->name);
    l->word = cn_calloc((size_t)most + 1, sizeof *l->word);
    l->images = cn_calloc((size_t)most + 1, sizeof *l->images);
    CN_CHECK(l->name && l->word && l->images, CN_ENOMEM, "out of memory for %" PRId64 " labels", most);
    CN_TRY(reader_query(s, &q, err, "SELECT id, name, images FROM labels ORDER BY id", ""));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const char *name = (const char *)sqlite3_column_text(q, 1);
        CN_CHECK(l->n < most && sqlite3_column_int64(q, 0) == l->n && name, CN_EFORMAT,
                 "%s: the study is damaged: its labels are not numbered 0, 1, 2...", s->path);
        const int64_t i = l->n++;
        l->images[i] = sqlite3_column_int64(q, 2);
        l->name[i] = cn_strdup(name);
        CN_TRY(wordlist_add_label(&one, name, err));
        l->word[i] = one.count ? one.words[0] : cn_strdup("");
        one.count = 0; /* the word is ours */
        CN_CHECK(l->name[i] && l->word[i], CN_ENOMEM, "out of memory for %" PRId64 " labels", most);
    }
done:
    sqlite3_finalize(q);
    wordlist_free(&one);
    return st;
}

int64_t corpus_labels_find(const corpus_labels *l, const char *text)
{
    for (int64_t i = 0; i < l->n; i++)
        if (strcasecmp(l->name[i], text) == 0)
            return i;
    for (int64_t i = 0; i < l->n; i++)
        if (strcasecmp(l->word[i], text) == 0)
            return i;
    return -1;
}

void corpus_labels_free(corpus_labels *l)
{
    for (int64_t i = 0; i < l->n; i++) {
        cn_free(l->name[i]);
        cn_free(l->word[i]);
    }
    cn_free(l->name);
    cn_free(l->word);
    cn_free(l->images);
    memset(l, 0, sizeof *l);
}

/* ---- units ---- */

cn_status corpus_units_read(corpus_units *u, cn_study *s, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    int64_t seen = 0;
    memset(u, 0, sizeof *u);
    const int64_t n = s->sites[site].units;
    CN_TRY(reader_query(s, &q, err, "SELECT count(*) FROM units WHERE site = ?", "i", (int64_t)site)); /* before memory for them */
    CN_TRY(reader_step(s, q, &more, err));
    CN_CHECK(sqlite3_column_int64(q, 0) == n, CN_EFORMAT, "%s: the study is damaged: %lld units of %s, not %" PRId64, s->path,
             sqlite3_column_int64(q, 0), s->sites[site].short_name, n);
    sqlite3_finalize(q);
    q = NULL;
    u->dead = cn_calloc((size_t)n, sizeof *u->dead);
    u->mean = cn_calloc((size_t)n, sizeof *u->mean);
    u->sd = cn_calloc((size_t)n, sizeof *u->sd);
    u->rms = cn_calloc((size_t)n, sizeof *u->rms);
    u->label = cn_calloc((size_t)n, sizeof *u->label);
    u->purity = cn_calloc((size_t)n, sizeof *u->purity);
    CN_CHECK(u->dead && u->mean && u->sd && u->rms && u->label && u->purity, CN_ENOMEM, "out of memory for %" PRId64 " units", n);
    u->n = n;
    CN_TRY(
        reader_query(s, &q, err, "SELECT unit, dead, mean, sd, rms, label, purity FROM units WHERE site = ? ORDER BY unit", "i", (int64_t)site));
    for (;; seen++) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        CN_CHECK(seen < n && sqlite3_column_int64(q, 0) == seen, CN_EFORMAT, "%s: the study is damaged: the units of %s", s->path,
                 s->sites[site].short_name);
        u->mean[seen] = sqlite3_column_double(q, 2);
        u->sd[seen] = sqlite3_column_double(q, 3);
        u->rms[seen] = sqlite3_column_double(q, 4);
        u->dead[seen] = sqlite3_column_int(q, 1) != 0 || !(u->rms[seen] > 0);
        u->live += !u->dead[seen];
        u->label[seen] = sqlite3_column_type(q, 5) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 5);
        u->purity[seen] = sqlite3_column_double(q, 6);
        CN_CHECK(isfinite(u->mean[seen]) && isfinite(u->sd[seen]) && isfinite(u->rms[seen]) && u->label[seen] >= -1 &&
                     u->label[seen] < s->info.labels,
                 CN_EFORMAT, "%s: the study is damaged: unit %" PRId64 " of %s", s->path, seen, s->sites[site].short_name);
    }
done:
    sqlite3_finalize(q);
    return st;
}

void corpus_units_free(corpus_units *u)
{
    cn_free(u->dead);
    cn_free(u->mean);
    cn_free(u->sd);
    cn_free(u->rms);
    cn_free(u->label);
    cn_free(u->purity);
    memset(u, 0, sizeof *u);
}
