/* study/gather.c -- a sort of all paths. */
#include "study/gather.h"

#include "base/memory.h"
#include "base/order.h"
#include "clipneuron/study.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define PAIR_BYTES ((size_t)1 << 29) /* sums by label and medium are left out beyond this */

int64_t gather_pairs(int64_t labels, int64_t media, int64_t units)
{
    const int64_t pairs = labels * media;
    return (size_t)pairs > PAIR_BYTES / ((size_t)units * 12) ? 0 : pairs;
}

typedef struct named {
    char *path;
    gathered_image image; /* label, medium: the part's */
} named;

/* ---- labels and media ---- */

typedef struct names {
    char **items;
    size_t count, room;
} names;

static cn_status read_names(const part *p, const char *sql, names *all, int64_t *count, int64_t most, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    *count = 0;
    CN_TRY(part_query(p, &q, sql, err));
    for (;;) {
        CN_TRY(part_step(p, q, &more, err));
        if (!more)
            break;
        const char *name = (const char *)sqlite3_column_text(q, 1);
        CN_CHECK(name && sqlite3_column_int64(q, 0) == *count && *count < most, CN_EFORMAT, "%s: the part is damaged: its labels or media",
                 p->path);
        if (all->count == all->room) {
            const size_t room = all->room ? 2 * all->room : 64;
            char **grown = cn_reallocarray(all->items, room, sizeof *grown);
            CN_CHECK(grown, CN_ENOMEM, "out of memory for labels");
            all->items = grown;
            all->room = room;
        }
        all->items[all->count] = cn_strdup(name);
        CN_CHECK(all->items[all->count], CN_ENOMEM, "out of memory for labels");
        all->count++;
        ++*count;
    }
done:
    sqlite3_finalize(q);
    return st;
}

/* The names of all parts, one part's behind the other's, to unique ones in byte order and each part's numbers of them. */
static cn_status number_names(gathered *g, names *all, const int64_t *counts, char ***out, size_t *n_out, int64_t **numbers, cn_error *err)
{
    cn_status st = CN_OK;
    size_t unique = 0, at = 0;
    char **sorted = cn_calloc(all->count + 1, sizeof *sorted);
    CN_CHECK(sorted, CN_ENOMEM, "out of memory for %zu labels", all->count);
    if (all->count)
        memcpy(sorted, all->items, all->count * sizeof *sorted);
    if (all->count)
        qsort(sorted, all->count, sizeof *sorted, order_texts);
    for (size_t i = 0; i < all->count; i++)
        if (!unique || strcmp(sorted[unique - 1], sorted[i]) != 0)
            sorted[unique++] = sorted[i];
    for (size_t p = 0; p < g->n_parts; p++) {
        numbers[p] = cn_calloc((size_t)counts[p] + 1, sizeof **numbers);
        CN_CHECK(numbers[p], CN_ENOMEM, "out of memory for %zu labels", all->count);
        for (int64_t i = 0; i < counts[p]; i++, at++)
            numbers[p][i] = (char **)bsearch(&all->items[at], sorted, unique, sizeof *sorted, order_texts) - sorted;
    }
    *out = cn_calloc(unique + 1, sizeof **out);
    CN_CHECK(*out, CN_ENOMEM, "out of memory for %zu labels", all->count);
    for (; *n_out < unique; ++*n_out) { /* copies: the parts' names go */
        (*out)[*n_out] = cn_strdup(sorted[*n_out]);
        CN_CHECK((*out)[*n_out], CN_ENOMEM, "out of memory for %zu labels", all->count);
    }
done:
    cn_free(sorted);
    return st;
}

/* ---- pictures ---- */

static cn_status read_images(const part *p, int32_t number, int64_t labels, int64_t media, named *into, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    int64_t i = 0;
    CN_TRY(part_query(p, &q, "SELECT id, path, label, medium FROM images ORDER BY id", err));
    for (;; i++) {
        CN_TRY(part_step(p, q, &more, err));
        if (!more)
            break;
        const char *path = (const char *)sqlite3_column_text(q, 1);
        const int64_t label = sqlite3_column_type(q, 2) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 2);
        const int64_t medium = sqlite3_column_type(q, 3) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 3);
        CN_CHECK(path && i < p->state.images && sqlite3_column_int64(q, 0) == i && label >= -1 && label < labels && medium >= -1 &&
                     medium < media,
                 CN_EFORMAT, "%s: the part is damaged: picture %lld", p->path, (long long)i);
        into[i].path = cn_strdup(path);
        CN_CHECK(into[i].path, CN_ENOMEM, "out of memory for the paths of %lld pictures", (long long)p->state.images);
        into[i].image = (gathered_image){.part = number, .image = (int32_t)i, .label = (int32_t)label, .medium = (int32_t)medium};
    }
    CN_CHECK(i == p->state.images, CN_EFORMAT, "%s: the part is damaged: it has %lld pictures and says %lld", p->path, (long long)i,
             (long long)p->state.images);
done:
    sqlite3_finalize(q);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const named *)a)->path, ((const named *)b)->path);
}

static cn_status number_images(gathered *g, named *all, cn_error *err)
{
    cn_status st = CN_OK;
    if (g->images)
        qsort(all, (size_t)g->images, sizeof *all, by_path);
    for (size_t p = 0; p < g->n_parts; p++) {
        g->number[p] = cn_calloc((size_t)g->parts[p]->state.images + 1, sizeof *g->number[p]);
        CN_CHECK(g->number[p], CN_ENOMEM, "out of memory for %lld pictures", (long long)g->images);
    }
    for (int64_t i = 0; i < g->images; i++) {
        gathered_image *x = &g->image[i];
        *x = all[i].image;
        CN_CHECK(i == 0 || strcmp(all[i - 1].path, all[i].path) != 0, CN_EINVAL, "%s is in %s and in %s", all[i].path,
                 g->parts[all[i - 1].image.part]->path, g->parts[x->part]->path);
        g->number[x->part][x->image] = (int32_t)i;
        if (x->label >= 0)
            x->label = (int32_t)g->label[x->part][x->label];
        if (x->medium >= 0)
            x->medium = (int32_t)g->medium[x->part][x->medium];
        g->labelled += x->label >= 0;
    }
done:
    return st;
}

cn_status gather(gathered *g, part *const *parts, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    named *all = NULL;
    names labels = {0}, media = {0};
    int64_t at = 0;
    memset(g, 0, sizeof *g);
    g->parts = cn_calloc(n, sizeof *g->parts);
    g->number = cn_calloc(n, sizeof *g->number);
    g->part_labels = cn_calloc(n, sizeof *g->part_labels);
    g->part_media = cn_calloc(n, sizeof *g->part_media);
    g->label = cn_calloc(n, sizeof *g->label);
    g->medium = cn_calloc(n, sizeof *g->medium);
    CN_CHECK(g->parts && g->number && g->part_labels && g->part_media && g->label && g->medium, CN_ENOMEM,
             "out of memory for %zu parts", n);
    for (size_t i = 0; i < n; i++) {
        g->parts[i] = parts[i];
        g->images += parts[i]->state.images;
        g->failed += parts[i]->state.failed;
    }
    g->n_parts = n;
    CN_CHECK(g->images + g->failed <= CN_MAX_STUDY_IMAGES, CN_ELIMIT, "more than %lld pictures", (long long)CN_MAX_STUDY_IMAGES);
    g->image = cn_calloc((size_t)g->images + 1, sizeof *g->image);
    all = cn_calloc((size_t)g->images + 1, sizeof *all);
    CN_CHECK(g->image && all, CN_ENOMEM, "out of memory for %lld pictures", (long long)g->images);
    for (size_t i = 0; i < n; i++) {
        CN_TRY(part_resume(parts[i], err));
        CN_TRY(read_names(parts[i], "SELECT id, name FROM labels ORDER BY id", &labels, &g->part_labels[i], CN_MAX_STUDY_LABELS, err));
        CN_TRY(read_names(parts[i], "SELECT id, name FROM media ORDER BY id", &media, &g->part_media[i], 256, err));
        CN_TRY(read_images(parts[i], (int32_t)i, g->part_labels[i], g->part_media[i], all + at, err));
        at += parts[i]->state.images;
        part_suspend(parts[i]);
    }
    CN_TRY(number_names(g, &labels, g->part_labels, &g->labels, &g->n_labels, g->label, err));
    CN_TRY(number_names(g, &media, g->part_media, &g->media, &g->n_media, g->medium, err));
    CN_CHECK(g->n_labels <= CN_MAX_STUDY_LABELS && g->n_media <= 256, CN_ELIMIT, "%zu labels and %zu media; the limits are %d and 256",
             g->n_labels, g->n_media, CN_MAX_STUDY_LABELS);
    CN_TRY(number_images(g, all, err));
done:
    for (int64_t i = 0; all && i < g->images; i++)
        cn_free(all[i].path);
    cn_free(all);
    for (size_t i = 0; i < labels.count; i++)
        cn_free(labels.items[i]);
    for (size_t i = 0; i < media.count; i++)
        cn_free(media.items[i]);
    cn_free(labels.items);
    cn_free(media.items);
    return st;
}

void gather_free(gathered *g)
{
    for (size_t i = 0; i < g->n_parts; i++) {
        cn_free(g->number[i]);
        cn_free(g->label[i]);
        cn_free(g->medium[i]);
    }
    for (size_t i = 0; i < g->n_labels; i++)
        cn_free(g->labels[i]);
    for (size_t i = 0; i < g->n_media; i++)
        cn_free(g->media[i]);
    cn_free(g->parts);
    cn_free(g->number);
    cn_free(g->part_labels);
    cn_free(g->part_media);
    cn_free(g->label);
    cn_free(g->medium);
    cn_free(g->labels);
    cn_free(g->media);
    cn_free(g->image);
    memset(g, 0, sizeof *g);
}
