/* study/listing.c -- the list itself, and what a collection is: a folder, a list, or archives. */
#include "study/listing.h"

#include "base/memory.h"
#include "base/order.h"
#include "base/path.h"
#include "clipneuron/study.h"
#include "file/sha256.h"
#include "image/picture.h"
#include "study/listingparts.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

bool picture_name(const char *name)
{
    static const char *const endings[] = {"png",  "jpg", "jpeg", "jpe", "jfif",
                                          "webp", "gif", "bmp",  "tif", "tiff"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0)
            return true;
    return false;
}

/* ---- items ---- */

cn_status listing_add(listing *l, const char *path, listing_item **out, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK((int64_t)l->count < CN_MAX_STUDY_IMAGES, CN_ELIMIT, "%s: more than %lld pictures", l->origin,
             (long long)CN_MAX_STUDY_IMAGES);
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        listing_item *grown = cn_reallocarray(l->items, room, sizeof *grown);
        CN_CHECK(grown, CN_ENOMEM, "out of memory for a list of %zu pictures", room);
        l->items = grown;
        l->room = room;
    }
    listing_item *item = &l->items[l->count];
    memset(item, 0, sizeof *item);
    item->archive = -1;
    item->path = cn_strdup(path);
    CN_CHECK(item->path, CN_ENOMEM, "out of memory for a list of %zu pictures", l->count);
    l->count++;
    if (out)
        *out = item;
done:
    return st;
}

void listing_item_free(listing_item *item)
{
    cn_free(item->path);
    cn_free(item->label);
    cn_free(item->medium);
    cn_free(item->caption);
    cn_free(item->source);
    cn_free(item->licence);
    cn_free(item->fields);
    cn_free(item->fault);
}

bool listing_put(char **to, const char *text)
{
    if (!*text)
        return true;
    char *copy = cn_strdup(text);
    if (!copy)
        return false;
    cn_free(*to);
    *to = copy;
    return true;
}

typedef struct field {
    char *at;    /* the name, and the value behind it */
    size_t size; /* of both */
} field;

static int by_name(const void *a, const void *b)
{
    const field *x = a, *y = b;
    const int order = strcmp(x->at, y->at);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b)
{
    const field *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

bool listing_settle_fields(listing_item *item)
{
    size_t n = 0, kept = 0, size = 0;
    char *end = item->fields + item->fields_size;
    for (char *at = item->fields; at < end; at += strlen(at) + 1, at += strlen(at) + 1)
        n++;
    if (n < 2)
        return true;
    field *all = cn_calloc(n, sizeof *all);
    if (!all)
        return false;
    n = 0;
    for (char *at = item->fields, *next; at < end; at = next) {
        next = at + strlen(at) + 1;
        next += strlen(next) + 1;
        all[n++] = (field){at, (size_t)(next - at)};
    }
    qsort(all, n, sizeof *all, by_name);
    for (size_t i = 0; i < n; i++)
        if (!kept || strcmp(all[kept - 1].at, all[i].at) != 0)
            all[kept++] = all[i];
    qsort(all, kept, sizeof *all, by_place);
    for (size_t i = 0; i < kept; size += all[i++].size)
        memmove(item->fields + size, all[i].at, all[i].size);
    item->fields[size] = '\0';
    item->fields_size = size;
    cn_free(all);
    return true;
}

/* Names are not looked for each time: a stranger's JSON may have a hundred thousand. */
bool listing_put_field(listing_item *item, const char *name, const char *value)
{
    const size_t name_size = strlen(name) + 1, value_size = strlen(value) + 1, more = name_size + value_size;
    if (name_size == 1 || value_size == 1 || value_size > LISTING_MAX_FIELD)
        return true;
    if (item->fields_room < item->fields_size + more + 1) {
        if (item->fields && !listing_settle_fields(item))
            return false;
        const size_t need = item->fields_size + more + 1, room = need <= item->fields_room / 2 ? item->fields_room : need < 64 ? 64 : 2 * need;
        char *grown = cn_realloc(item->fields, room);
        if (!grown)
            return false;
        item->fields = grown;
        item->fields_room = room;
    }
    char *to = item->fields + item->fields_size;
    memcpy(to, name, name_size);
    memcpy(to + name_size, value, value_size);
    to[more] = '\0';
    item->fields_size += more;
    return true;
}

char **listing_member(listing_item *item, const char *name)
{
    const struct {
        const char *name;
        char **member;
    } members[] = {{"label", &item->label},     {"medium", &item->medium},   {"caption", &item->caption},
                   {"source", &item->source},   {"licence", &item->licence}, {"license", &item->licence}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcasecmp(members[i].name, name) == 0)
            return members[i].member;
    return NULL;
}

/* Of the same path, the later one of an archive first: tar's rule is that the last one counts. */
static int by_path(const void *a, const void *b)
{
    const listing_item *x = a, *y = b;
    const int order = strcmp(x->path, y->path);
    return order ? order : (x->at < y->at) - (x->at > y->at);
}

static int path_against(const void *path, const void *item)
{
    return strcmp(path, ((const listing_item *)item)->path);
}

listing_item *listing_find(const listing *l, const char *path)
{
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    return l->count ? bsearch(path, l->items, l->count, sizeof *l->items, path_against) : NULL;
}

/* qsort may be unstable: of equal paths outside archives any may come first, so duplicates keep no particular row. */
void listing_sort(listing *l)
{
    size_t kept = 0;
    if (l->count)
        qsort(l->items, l->count, sizeof *l->items, by_path);
    for (size_t i = 0; i < l->count; i++) {
        if (kept && strcmp(l->items[kept - 1].path, l->items[i].path) == 0)
            listing_item_free(&l->items[i]);
        else
            l->items[kept++] = l->items[i];
    }
    l->count = kept;
}

static void keep_shard(listing *l, int shard, int shards)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        if (i % (size_t)shards == (size_t)shard)
            l->items[kept++] = l->items[i];
        else
            listing_item_free(&l->items[i]);
    l->count = kept;
}

static cn_status number_names(listing *l, bool media, char ***out, size_t *n, cn_error *err)
{
    char **names = cn_calloc(l->count, sizeof *names);
    if (!names)
        return cn_fail(err, CN_ENOMEM, "out of memory for the labels of %zu pictures", l->count);
    size_t count = 0, unique = 0;
    for (size_t i = 0; i < l->count; i++) {
        char *name = media ? l->items[i].medium : l->items[i].label;
        if (name)
            names[count++] = name;
    }
    if (count)
        qsort(names, count, sizeof *names, order_texts);
    for (size_t i = 0; i < count; i++)
        if (!unique || strcmp(names[unique - 1], names[i]) != 0)
            names[unique++] = names[i];
    for (size_t i = 0; i < l->count; i++) {
        char *name = media ? l->items[i].medium : l->items[i].label;
        char **at = name ? bsearch(&name, names, unique, sizeof *names, order_texts) : NULL;
        *(media ? &l->items[i].medium_id : &l->items[i].label_id) = at ? at - names : -1;
    }
    *out = names;
    *n = unique;
    return CN_OK;
}

/* ---- kinds of collections ---- */

static bool is_file(const char *path)
{
    struct stat s;
    return path && stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static cn_status find_labels(listing *l, const char *labels, cn_error *err)
{
    cn_status st = CN_OK;
    char *inside = path_join(l->root, "labels.csv"), *beside = path_join(l->root, "../labels.csv");
    CN_CHECK(inside && beside, CN_ENOMEM, "out of memory for the name of a labels file");
    if (!labels && is_file(inside)) {
        labels = inside;
        l->ignored -= l->ignored > 0; /* it was met as a file that is no picture */
    } else if (!labels && is_file(beside)) {
        labels = beside;
    }
    if (labels)
        CN_TRY(lists_label_file(l, labels, err));
done:
    cn_free(inside);
    cn_free(beside);
    return st;
}

/* Takes the names, relative to the root, in byte order; *whole: every shards-th archive is the part, not every shards-th picture. */
static cn_status read_archives(listing *l, name_list *names, int shard, int shards, bool *whole, cn_error *err)
{
    cn_status st = CN_OK;
    size_t kept = 0;
    qsort(names->items, names->count, sizeof *names->items, order_texts);
    for (size_t i = 1; i < names->count; i++)
        CN_CHECK(strcmp(names->items[i - 1], names->items[i]) != 0, CN_EINVAL, "%s: is named twice", names->items[i]);
    *whole = names->count >= (size_t)shards;
    for (size_t i = 0; *whole && i < names->count; i++) {
        if (i % (size_t)shards == (size_t)shard)
            names->items[kept++] = names->items[i];
        else
            cn_free(names->items[i]);
    }
    if (*whole)
        names->count = kept;
    CN_CHECK(names->count < INT32_MAX, CN_ELIMIT, "more than %d archives", INT32_MAX);
    l->archives = names->items;
    l->n_archives = names->count;
    memset(names, 0, sizeof *names);
    CN_TRY(shelf_make(&l->shelf, l->root, (const char *const *)l->archives, l->n_archives, err));
    CN_TRY(webdataset_read(l, err));
    listing_sort(l);
done:
    return st;
}

static cn_status read_folder(listing *l, const char *labels, int shard, int shards, bool *whole, cn_error *err)
{
    cn_status st = CN_OK;
    name_list archives = {0};
    CN_TRY(walk_folder(l, &archives, err));
    if (l->count == 0 && archives.count) { /* a folder of shards */
        l->ignored -= archives.count;
        CN_TRY(read_archives(l, &archives, shard, shards, whole, err));
    } else {
        listing_sort(l);
        CN_TRY(label_by_folder(l, err));
    }
    CN_TRY(find_labels(l, labels, err));
done:
    name_list_free(&archives);
    return st;
}

/* A file's absolute path, with the links in its folder's name resolved but not its own: a link to a shard is called as it is. */
static cn_status absolute(const char *path, char **out, cn_error *err)
{
    cn_status st = CN_OK;
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char *folder = slash == path ? cn_strdup("/") : slash ? cn_strndup(path, (size_t)(slash - path)) : cn_strdup(".");
    char *real = folder ? realpath(folder, NULL) : NULL;
    CN_CHECK(folder, CN_ENOMEM, "out of memory for the name of %s", path);
    CN_CHECK(real, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", path, strerror(errno));
    *out = path_join(real, base);
    CN_CHECK(*out, CN_ENOMEM, "out of memory for the name of %s", path);
done:
    free(real);
    cn_free(folder);
    return st;
}

/* Absolute paths of archives into the deepest folder that holds them all, and names relative to it. */
static cn_status find_root(listing *l, name_list *names, cn_error *err)
{
    cn_status st = CN_OK;
    const char *first = names->items[0];
    size_t common = (size_t)(strrchr(first, '/') - first) + 1;
    for (size_t i = 1; i < names->count; i++) {
        size_t n = 0, slash = 1;
        for (; n < common && names->items[i][n] == first[n]; n++)
            if (first[n] == '/')
                slash = n + 1;
        common = n < common ? slash : common;
    }
    l->root = cn_strndup(first, common > 1 ? common - 1 : 1);
    CN_CHECK(l->root, CN_ENOMEM, "out of memory for the name of a folder");
    for (size_t i = 0; i < names->count; i++)
        memmove(names->items[i], names->items[i] + common, strlen(names->items[i] + common) + 1);
done:
    return st;
}

/* What stands in for the names: the first, and how many more there are. */
static cn_status name_archives(listing *l, const name_list *names, cn_error *err)
{
    cn_status st = CN_OK;
    char more[40] = "";
    assert(names->items && names->count);
    const char *first = names->items[0], *slash = strrchr(first, '/');
    if (names->count > 1)
        snprintf(more, sizeof more, " and %zu more", names->count - 1);
    const size_t size = strlen(first) + sizeof more;
    l->origin = cn_malloc(size);
    l->name = cn_malloc(size);
    CN_CHECK(l->origin && l->name, CN_ENOMEM, "out of memory for the name of %s", first);
    snprintf(l->origin, size, "%s%s", first, more);
    snprintf(l->name, size, "%s%s", slash + 1, more);
done:
    return st;
}

/* Their paths, for whoever reads the collection again. */
static cn_status keep_archives(listing *l, const name_list *names, cn_error *err)
{
    cn_status st = CN_OK;
    size_t size = 0;
    for (size_t i = 0; i < names->count; i++)
        size += strlen(names->items[i]) + 1;
    if (names->count < 2)
        return CN_OK;
    l->origins = cn_malloc(size + 1);
    CN_CHECK(l->origins, CN_ENOMEM, "out of memory for the names of %zu archives", names->count);
    char *to = l->origins;
    for (size_t i = 0; i < names->count; i++) {
        const size_t length = strlen(names->items[i]);
        memcpy(to, names->items[i], length);
        to[length] = '\n';
        to += length + 1;
    }
    to[-1] = '\0';
done:
    return st;
}

static cn_status read_shards(listing *l, name_list *names, const char *labels, int shard, int shards, bool *whole, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < names->count; i++) {
        struct stat info;
        char *full;
        CN_CHECK(archive_name(names->items[i]), CN_EINVAL, "%s: several collections at a time must be archives (.tar, .tar.gz, ..., .zip)",
                 names->items[i]);
        CN_CHECK(stat(names->items[i], &info) == 0, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", names->items[i], strerror(errno));
        CN_TRY(absolute(names->items[i], &full, err));
        cn_free(names->items[i]);
        names->items[i] = full;
    }
    CN_TRY(name_archives(l, names, err));
    CN_TRY(keep_archives(l, names, err));
    CN_TRY(find_root(l, names, err));
    CN_TRY(read_archives(l, names, shard, shards, whole, err));
    if (labels)
        CN_TRY(lists_label_file(l, labels, err));
done:
    return st;
}

static cn_status read_one(listing *l, const char *path, const char *labels, int shard, int shards, bool *whole, cn_error *err)
{
    cn_status st = CN_OK;
    struct stat info;
    CN_CHECK(stat(path, &info) == 0, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", path, strerror(errno));
    char *real = realpath(path, NULL);
    CN_CHECK(real, CN_EIO, "%s: %s", path, strerror(errno));
    l->origin = cn_strdup(real);
    l->root = cn_strdup(real);
    l->name = cn_strdup(strrchr(real, '/') + 1);
    free(real);
    CN_CHECK(l->origin && l->root && l->name, CN_ENOMEM, "out of memory for the name of %s", path);
    if (S_ISDIR(info.st_mode)) {
        CN_TRY(read_folder(l, labels, shard, shards, whole, err));
    } else {
        char *slash = strrchr(l->root, '/');
        *(slash == l->root ? slash + 1 : slash) = '\0';
        CN_TRY(lists_read(l, l->origin, err));
        listing_sort(l);
        if (labels)
            CN_TRY(lists_label_file(l, labels, err));
    }
done:
    return st;
}

cn_status listing_read(listing *l, const char *const *paths, size_t n, const char *labels, int shard, int shards, cn_error *err)
{
    cn_status st = CN_OK;
    struct stat info;
    name_list names = {0};
    bool whole = false;
    memset(l, 0, sizeof *l);
    for (size_t i = 0; i < n; i++) {
        if (stat(paths[i], &info) == 0)
            CN_TRY(name_list_add(&names, cn_strdup(paths[i]), err));
        else
            CN_TRY(braces_expand(&names, paths[i], err));
    }
    if (names.count == 1 && !(archive_name(names.items[0]) && stat(names.items[0], &info) == 0 && !S_ISDIR(info.st_mode)))
        CN_TRY(read_one(l, names.items[0], labels, shard, shards, &whole, err));
    else
        CN_TRY(read_shards(l, &names, labels, shard, shards, &whole, err));
    if (!whole)
        keep_shard(l, shard, shards);
    for (size_t i = 0; i < l->count; i++)
        CN_CHECK(!l->items[i].fields || listing_settle_fields(&l->items[i]), CN_ENOMEM, "out of memory for what is known of %zu pictures", l->count);
    CN_TRY(number_names(l, false, &l->labels, &l->n_labels, err));
    CN_TRY(number_names(l, true, &l->media, &l->n_media, err));
    CN_CHECK(l->n_labels <= CN_MAX_STUDY_LABELS, CN_ELIMIT, "%s: %zu labels, the limit is %d", l->origin,
             l->n_labels, CN_MAX_STUDY_LABELS);
    CN_CHECK(l->n_media <= 256, CN_ELIMIT, "%s: %zu media, the limit is 256", l->origin, l->n_media);
done:
    name_list_free(&names);
    return st;
}

cn_status listing_digest(const listing *l, char hex[65], cn_error *err)
{
    cn_status st = CN_OK;
    sha256 *sum = NULL;
    CN_TRY(sha256_open(&sum, err));
    for (size_t i = 0; i < l->count; i++) {
        const listing_item *item = &l->items[i];
        const char *const texts[] = {item->path, item->label, item->medium, item->caption, item->source, item->licence, item->fault};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            const char *text = texts[k] ? texts[k] : "";
            CN_TRY(sha256_add(sum, text, strlen(text) + 1, err));
        }
        for (const char *f = item->fields; f && *f; f += strlen(f) + 1) /* names and values */
            CN_TRY(sha256_add(sum, f, strlen(f) + 1, err));
        CN_TRY(sha256_add(sum, &item->size, sizeof item->size, err));
    }
    CN_TRY(sha256_hex(sum, hex, err));
done:
    sha256_close(sum);
    return st;
}

void listing_free(listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        listing_item_free(&l->items[i]);
    cn_free(l->items);
    shelf_free(l->shelf);
    for (size_t i = 0; i < l->n_archives; i++)
        cn_free(l->archives[i]);
    cn_free(l->archives);
    cn_free(l->labels);
    cn_free(l->media);
    cn_free(l->root);
    cn_free(l->origin);
    cn_free(l->name);
    cn_free(l->origins);
    memset(l, 0, sizeof *l);
}

char *listing_path(const listing *l, size_t i)
{
    const char *path = l->items[i].path;
    return path[0] == '/' ? cn_strdup(path) : path_join(l->root, path);
}

cn_status listing_bytes(const listing *l, size_t i, uint8_t **bytes, size_t *size, cn_error *err)
{
    cn_status st = CN_OK;
    const listing_item *item = &l->items[i];
    bundle *b;
    char *path = NULL;
    *bytes = NULL;
    CN_CHECK(!item->fault, CN_EFORMAT, "%s", item->fault);
    if (item->archive < 0) {
        path = listing_path(l, i);
        CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
        CN_TRY(picture_read(bytes, size, path, err));
    } else {
        CN_TRY(shelf_take(l->shelf, (size_t)item->archive, &b, err));
        st = bundle_read(b, item->at, item->size, CN_MAX_IMAGE_FILE, bytes, err);
        *size = (size_t)item->size;
        shelf_return(l->shelf, (size_t)item->archive);
    }
done:
    cn_free(path);
    return st;
}
