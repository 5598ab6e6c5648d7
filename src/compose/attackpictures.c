/* compose/attackpictures.c -- reads a collection: which pictures, with which labels, in an order that a seed and their paths decide. */
#include "compose/attackpictures.h"

#include "base/memory.h"
#include "base/path.h"
#include "clipneuron/image.h"
#include "study/listing.h"
#include "study/ranking.h"
#include "study/reader.h"
#include "study/sample.h"
#include "study/wordlist.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* One that may be taken. */
typedef struct candidate {
    uint64_t key;
    size_t item; /* of the listing */
    char *label; /* as a word; NULL: none */
} candidate;

typedef struct candidates {
    candidate *items;
    size_t n;
} candidates;

static int by_key(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

static cn_status add_candidate(candidates *c, uint64_t seed, const listing *l, size_t item, const char *label, cn_error *err)
{
    cn_status st = CN_OK;
    wordlist one = {0};
    candidate *to = &c->items[c->n];
    to->key = sample_key(seed, l->items[item].path);
    to->item = item;
    if (label && *label) {
        CN_TRY(wordlist_add_label(&one, label, err));
        if (one.count)
            to->label = one.words[0], one.count = 0;
    }
    c->n++;
done:
    wordlist_free(&one);
    return st;
}

static cn_status from_listing(candidates *c, uint64_t seed, const listing *l, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < l->count; i++)
        if (!l->items[i].medium || !medium_is_written(l->items[i].medium))
            CN_TRY(add_candidate(c, seed, l, i, l->items[i].label, err));
done:
    return st;
}

static int by_path(const void *key, const void *item)
{
    return strcmp(key, ((const listing_item *)item)->path);
}

/* The pictures of a study that are still there, with the study's labels. */
static cn_status from_study(candidates *c, uint64_t seed, const listing *l, cn_study *study, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    int64_t seen = 0;
    CN_TRY(reader_query(study, &q, err,
                        "SELECT i.path, l.name, m.name, m.written FROM images i LEFT JOIN labels l ON l.id = i.label"
                        " LEFT JOIN media m ON m.id = i.medium ORDER BY i.id",
                        ""));
    for (;; seen++) {
        CN_TRY(reader_step(study, q, &more, err));
        if (!more)
            break;
        const char *path = (const char *)sqlite3_column_text(q, 0), *label = (const char *)sqlite3_column_text(q, 1);
        CN_CHECK(path && seen < CN_MAX_STUDY_IMAGES, CN_EFORMAT, "%s: the study is damaged: a picture without a path", study->path);
        const listing_item *item = bsearch(path, l->items, l->count, sizeof *l->items, by_path);
        if (item && sqlite3_column_int(q, 3) == 0 && c->n < l->count)
            CN_TRY(add_candidate(c, seed, l, (size_t)(item - l->items), label, err));
    }
done:
    sqlite3_finalize(q);
    return st;
}

static cn_status decode(attack_set *s, const listing *l, size_t item, uint8_t *rgb)
{
    cn_error why = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    cn_image *image = NULL;
    cn_status st = listing_bytes(l, item, &bytes, &size, &why);
    if (st == CN_OK)
        st = cn_image_decode(&image, bytes, size, l->items[item].path, NULL, &why);
    if (st == CN_OK)
        st = cn_image_preprocess(image, s->side, rgb, &why);
    cn_image_free(image);
    cn_free(bytes);
    return st;
}

/* Reads one more picture, unless it is bad: as in a scan, that ends nothing. */
static cn_status take_one(attack_set *s, const candidate *from, const listing *l, cn_error *err)
{
    attack_picture *to = &s->pictures[s->n];
    const cn_status st = decode(s, l, from->item, s->rgb + (size_t)s->n * (size_t)s->side * (size_t)s->side * 3);
    if (st == CN_ENOMEM)
        return cn_fail(err, CN_ENOMEM, "out of memory for a picture");
    if (st != CN_OK) {
        s->failed++;
        return CN_OK;
    }
    to->path = bag_text(&s->memory, l->items[from->item].path);
    if (!to->path)
        return cn_fail(err, CN_ENOMEM, "out of memory for %" PRId64 " pictures", s->n);
    to->key = sample_key(0, to->path);
    to->label = from->label ? attack_class(s, from->label) : -1;
    s->n++;
    return CN_OK;
}

static bool is_one_of(const char *label, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n && label; i++)
        if (strcasecmp(label, list[i]) == 0)
            return true;
    return false;
}

/* The first o.images that can be read, and all behind them that have a label of `also`. */
static cn_status take(attack_set *s, const candidates *c, const listing *l, bool own_labels, const char *const *also, size_t n_also,
                      cn_status (*add)(attack_set *s, const char *name, cn_error *err), cn_error *err)
{
    cn_status st = CN_OK;
    const size_t bytes = (size_t)s->side * (size_t)s->side * 3;
    size_t most = c->n < (size_t)s->o.images ? c->n : (size_t)s->o.images, next = 0, extra = 0;
    if (own_labels) /* in the listing's order of bytes, from all of the collection: classes do not depend on the sample */
        for (size_t i = 0; i < c->n; i++)
            if (c->items[i].label)
                CN_TRY(add(s, c->items[i].label, err));
    for (size_t i = 0; i < c->n; i++)
        extra += is_one_of(c->items[i].label, also, n_also);
    CN_CHECK(most + extra <= CN_MAX_ATTACK_IMAGES, CN_ELIMIT, "more than %d pictures", CN_MAX_ATTACK_IMAGES);
    s->pictures = bag_calloc(&s->memory, most + extra, sizeof *s->pictures);
    s->rgb = cn_reallocarray(NULL, most + extra + 1, bytes);
    CN_CHECK(s->pictures && s->rgb, CN_ENOMEM, "out of memory for %zu pictures", most + extra);
    qsort(c->items, c->n, sizeof *c->items, by_key);
    for (; next < c->n && (size_t)s->n < most; next++) {
        CN_TRY(take_one(s, &c->items[next], l, err));
        if (s->n % 64 == 0 || (size_t)s->n == most)
            CN_TRY(attack_go_on(s, "reading", s->n, (int64_t)most, err));
    }
    s->n_sample = s->n;
    for (; next < c->n; next++)
        if (is_one_of(c->items[next].label, also, n_also))
            CN_TRY(take_one(s, &c->items[next], l, err));
    CN_CHECK(s->n_sample > 0, CN_ENOTFOUND, "%s: no pictures that can be read and show no writing", l->origin);
done:
    return st;
}

cn_status attack_is_study(const char *collection, bool *is, cn_error *err)
{
    struct stat info;
    char *file = path_join(collection, "study.sqlite");
    if (!file)
        return cn_fail(err, CN_ENOMEM, "out of memory");
    *is = stat(file, &info) == 0;
    cn_free(file);
    return CN_OK;
}

/* What a study was made of: one collection, or several archives. *text: what the names point into, cn_free both. */
static cn_status origins(cn_study *study, char **text, const char ***names, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    CN_TRY(reader_query(study, &q, err, "SELECT value FROM meta WHERE key = 'archives'", ""));
    CN_TRY(reader_step(study, q, &more, err));
    const char *several = more ? (const char *)sqlite3_column_text(q, 0) : NULL;
    *text = cn_strdup(several && *several ? several : cn_study_get_info(study)->collection);
    CN_CHECK(*text, CN_ENOMEM, "out of memory for the names of a collection");
    *n = 1;
    for (const char *at = *text; several && *at; at++)
        *n += *at == '\n';
    *names = cn_calloc(*n, sizeof **names);
    CN_CHECK(*names, CN_ENOMEM, "out of memory for the names of %zu archives", *n);
    char *at = *text;
    for (size_t i = 0; i < *n; i++) {
        char *end = several ? strchr(at, '\n') : NULL;
        (*names)[i] = at;
        if (end)
            *end = '\0', at = end + 1;
    }
done:
    sqlite3_finalize(q);
    return st;
}

cn_status attack_pictures_read(attack_set *s, const char *collection, const char *const *also, size_t n_also,
                               cn_status (*add)(attack_set *s, const char *name, cn_error *err), cn_error *err)
{
    cn_status st = CN_OK;
    cn_study *study = NULL;
    listing l = {0};
    candidates c = {0};
    char *text = NULL;
    const char **from = NULL;
    size_t n_from = 1;
    struct stat info;
    bool is_study = false;
    CN_TRY(attack_is_study(collection, &is_study, err));
    if (is_study) {
        CN_TRY(cn_study_open(&study, collection, err));
        CN_CHECK(!*study->info.edits, CN_EMISMATCH, "%s: its network was edited (%s), attacks run it as it is; name the collection in place of the study",
                 collection, study->info.edits);
        CN_TRY(origins(study, &text, &from, &n_from, err));
        for (size_t i = 0; i < n_from; i++)
            CN_CHECK(stat(from[i], &info) == 0, CN_ENOTFOUND, "%s: its pictures are not at %s any longer; name the collection in place of the study",
                     collection, from[i]);
    }
    CN_TRY(listing_read(&l, study ? from : &collection, n_from, NULL, 0, 1, err));
    c.items = cn_calloc(l.count + 1, sizeof *c.items);
    CN_CHECK(c.items, CN_ENOMEM, "out of memory for %zu pictures", l.count);
    CN_TRY(study ? from_study(&c, s->o.seed, &l, study, err) : from_listing(&c, s->o.seed, &l, err));
    s->collection_name = bag_text(&s->memory, l.name);
    CN_CHECK(s->collection_name, CN_ENOMEM, "out of memory for a name");
    CN_TRY(take(s, &c, &l, s->n_classes == 0, also, n_also, add, err));
done:
    for (size_t i = 0; i < c.n; i++)
        cn_free(c.items[i].label);
    cn_free(c.items);
    listing_free(&l);
    cn_free(text);
    cn_free(from);
    cn_study_close(study);
    return st;
}
