/* study/listing.c -- walks folders, reads lists, and gives every picture its label. */
#include "study/listing.h"

#include "base/memory.h"
#include "base/path.h"
#include "clipneuron/study.h"
#include "file/filemap.h"
#include "file/sha256.h"
#include "study/csv.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static bool picture_name(const char *name)
{
    static const char *const endings[] = {"png",  "jpg", "jpeg", "jpe", "jfif",
                                          "webp", "gif", "bmp",  "tif", "tiff"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0)
            return true;
    return false;
}

/* A copy, or NULL for an empty string. *ok = false when out of memory. */
static char *copy(const char *text, bool *ok)
{
    if (!text || !*text)
        return NULL;
    char *c = cn_strdup(text);
    *ok = *ok && c;
    return c;
}

static cn_status add(listing *l, const char *path, listing_item **out, cn_error *err)
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
    item->path = cn_strdup(path);
    CN_CHECK(item->path, CN_ENOMEM, "out of memory for a list of %zu pictures", l->count);
    l->count++;
    if (out)
        *out = item;
done:
    return st;
}

/* ---- folders ---- */

typedef struct ancestor {
    const struct ancestor *up;
    dev_t device;
    ino_t inode;
    int depth;
} ancestor;

static cn_status walk(listing *l, const char *folder, const char *relative, const ancestor *up, cn_error *err)
{
    cn_status st = CN_OK;
    char *full = NULL, *below = NULL;
    struct stat info;
    DIR *dir = opendir(folder);
    CN_CHECK(dir, CN_EIO, "%s: cannot read the folder: %s", folder, strerror(errno));
    CN_CHECK(fstat(dirfd(dir), &info) == 0, CN_EIO, "%s: %s", folder, strerror(errno));
    ancestor self = {.up = up, .device = info.st_dev, .inode = info.st_ino, .depth = up ? up->depth + 1 : 0};
    CN_CHECK(self.depth < 128, CN_ELIMIT, "%s: folders are nested more than 128 deep", folder);
    for (const ancestor *a = up; a; a = a->up)
        if (a->device == self.device && a->inode == self.inode)
            goto done; /* a symbolic link back to a folder that we are in */
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        cn_free(full);
        cn_free(below);
        full = path_join(folder, entry->d_name);
        below = path_join(relative, entry->d_name);
        CN_CHECK(full && below, CN_ENOMEM, "out of memory for the name of %s", entry->d_name);
        struct stat s;
        if (stat(full, &s) != 0) {
            if (picture_name(entry->d_name)) /* a dangling link: let decoding say why */
                CN_TRY(add(l, below, NULL, err));
            continue;
        }
        if (S_ISDIR(s.st_mode))
            CN_TRY(walk(l, full, below, &self, err));
        else if (S_ISREG(s.st_mode) && picture_name(entry->d_name))
            CN_TRY(add(l, below, NULL, err));
        else
            l->ignored++;
    }
done:
    cn_free(full);
    cn_free(below);
    if (dir)
        closedir(dir);
    return st;
}

/* The label is the folder that holds the picture, by its path below the root. */
static cn_status label_by_folder(listing *l, cn_error *err)
{
    for (size_t i = 0; i < l->count; i++) {
        const char *slash = strrchr(l->items[i].path, '/');
        if (!slash)
            continue;
        l->items[i].label = cn_strndup(l->items[i].path, (size_t)(slash - l->items[i].path));
        if (!l->items[i].label)
            return cn_fail(err, CN_ENOMEM, "out of memory for the labels of %zu pictures", l->count);
    }
    return CN_OK;
}

/* ---- CSV ---- */

typedef struct columns {
    int path, label, medium, caption, source, licence;
} columns;

static columns find_columns(const csv *c)
{
    columns k = {.path = csv_find(c, "path"),
                 .label = csv_find(c, "label"),
                 .medium = csv_find(c, "medium"),
                 .caption = csv_find(c, "caption"),
                 .source = csv_find(c, "source"),
                 .licence = csv_find(c, "licence")};
    if (k.licence < 0)
        k.licence = csv_find(c, "license");
    return k;
}

/* Takes what the row says; where it says nothing, what was known stays. */
static bool take_columns(listing_item *item, const csv *c, const columns *k)
{
    struct {
        char **to;
        int column;
    } all[] = {{&item->label, k->label},
               {&item->medium, k->medium},
               {&item->caption, k->caption},
               {&item->source, k->source},
               {&item->licence, k->licence}};
    bool ok = true;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *text = copy(csv_field(c, all[i].column), &ok);
        if (!text)
            continue;
        cn_free(*all[i].to);
        *all[i].to = text;
    }
    return ok;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const listing_item *)a)->path, ((const listing_item *)b)->path);
}

static listing_item *find_item(const listing *l, const char *path)
{
    listing_item key = {.path = (char *)(uintptr_t)path};
    while (key.path[0] == '.' && key.path[1] == '/')
        key.path += 2;
    return l->count ? bsearch(&key, l->items, l->count, sizeof key, by_path) : NULL;
}

/* Rows about pictures that are not there are passed over: a labels file may serve several folders. */
static cn_status read_labels(listing *l, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    filemap map = {0};
    csv c = {0};
    bool more;
    size_t prefix = strlen(l->name);
    CN_TRY(filemap_open(&map, path, err));
    CN_CHECK(map.size <= CN_MAX_STUDY_LIST, CN_ELIMIT, "%s: larger than %zu bytes", path, CN_MAX_STUDY_LIST);
    csv_init(&c, (const char *)map.data, map.size, path);
    CN_TRY(csv_row(&c, &more, err));
    columns k = find_columns(&c);
    CN_CHECK(k.path >= 0, CN_EFORMAT, "%s: the first line names no column \"path\"", path);
    for (;;) {
        CN_TRY(csv_row(&c, &more, err));
        if (!more)
            break;
        const char *name = csv_field(&c, k.path);
        listing_item *item = find_item(l, name);
        if (!item && strncmp(name, l->name, prefix) == 0 && name[prefix] == '/')
            item = find_item(l, name + prefix + 1);
        if (item)
            CN_CHECK(take_columns(item, &c, &k), CN_ENOMEM, "%s: out of memory", path);
    }
done:
    csv_free(&c);
    filemap_close(&map);
    return st;
}

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
        CN_TRY(read_labels(l, labels, err));
done:
    cn_free(inside);
    cn_free(beside);
    return st;
}

/* ---- lists ---- */

static cn_status read_list(listing *l, cn_error *err)
{
    cn_status st = CN_OK;
    filemap map = {0};
    csv c = {0};
    char *line = NULL;
    bool more;
    CN_TRY(filemap_open(&map, l->origin, err));
    CN_CHECK(map.size <= CN_MAX_STUDY_LIST, CN_ELIMIT, "%s: larger than %zu bytes", l->origin,
             CN_MAX_STUDY_LIST);
    csv_init(&c, (const char *)map.data, map.size, l->origin);
    size_t header = (size_t)(c.end - c.at) < 4096 ? (size_t)(c.end - c.at) : 4096;
    bool table = memchr(c.at, '\n', header) != NULL; /* a list of binary rubbish is not worth parsing */
    if (table)
        CN_TRY(csv_row(&c, &more, err));
    columns k = find_columns(&c);
    if (table && k.path >= 0) {
        for (;;) {
            listing_item *item;
            CN_TRY(csv_row(&c, &more, err));
            if (!more)
                break;
            CN_CHECK(*csv_field(&c, k.path), CN_EFORMAT, "%s: line %zu: no path", l->origin, c.line);
            CN_TRY(add(l, csv_field(&c, k.path), &item, err));
            CN_CHECK(take_columns(item, &c, &k), CN_ENOMEM, "%s: out of memory", l->origin);
        }
        goto done;
    }
    const char *p = (const char *)map.data, *end = p + map.size;
    for (size_t number = 1; p < end; number++) {
        const char *next = memchr(p, '\n', (size_t)(end - p));
        const char *stop = next ? next : end;
        size_t length = (size_t)(stop - p);
        while (length && (p[length - 1] == '\r' || p[length - 1] == ' '))
            length--;
        CN_CHECK(length < PATH_MAX && !memchr(p, '\0', length), CN_EFORMAT, "%s: line %zu is not a path",
                 l->origin, number);
        if (length && *p != '#') {
            cn_free(line);
            line = cn_strndup(p, length);
            CN_CHECK(line, CN_ENOMEM, "%s: out of memory", l->origin);
            CN_TRY(add(l, line, NULL, err));
        }
        p = next ? next + 1 : end;
    }
done:
    cn_free(line);
    csv_free(&c);
    filemap_close(&map);
    return st;
}

/* ---- all together ---- */

static void free_item(listing_item *item)
{
    cn_free(item->path);
    cn_free(item->label);
    cn_free(item->medium);
    cn_free(item->caption);
    cn_free(item->source);
    cn_free(item->licence);
}

/* qsort may be unstable: of equal paths any may come first, so duplicates keep no particular row. */
static void sort_unique(listing *l)
{
    size_t kept = 0;
    if (l->count)
        qsort(l->items, l->count, sizeof *l->items, by_path);
    for (size_t i = 0; i < l->count; i++) {
        if (kept && strcmp(l->items[kept - 1].path, l->items[i].path) == 0)
            free_item(&l->items[i]);
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
            free_item(&l->items[i]);
    l->count = kept;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
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
        qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++)
        if (!unique || strcmp(names[unique - 1], names[i]) != 0)
            names[unique++] = names[i];
    for (size_t i = 0; i < l->count; i++) {
        char *name = media ? l->items[i].medium : l->items[i].label;
        char **at = name ? bsearch(&name, names, unique, sizeof *names, by_name) : NULL;
        *(media ? &l->items[i].medium_id : &l->items[i].label_id) = at ? at - names : -1;
    }
    *out = names;
    *n = unique;
    return CN_OK;
}

cn_status listing_read(listing *l, const char *path, const char *labels, int shard, int shards, cn_error *err)
{
    cn_status st = CN_OK;
    struct stat info;
    memset(l, 0, sizeof *l);
    CN_CHECK(stat(path, &info) == 0, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", path,
             strerror(errno));
    char *real = realpath(path, NULL);
    CN_CHECK(real, CN_EIO, "%s: %s", path, strerror(errno));
    l->origin = cn_strdup(real);
    l->root = cn_strdup(real);
    l->name = cn_strdup(strrchr(real, '/') + 1);
    free(real);
    CN_CHECK(l->origin && l->root && l->name, CN_ENOMEM, "out of memory for the name of %s", path);
    if (S_ISDIR(info.st_mode)) {
        CN_TRY(walk(l, l->root, "", NULL, err));
        sort_unique(l);
        CN_TRY(label_by_folder(l, err));
        CN_TRY(find_labels(l, labels, err));
    } else {
        char *slash = strrchr(l->root, '/');
        *(slash == l->root ? slash + 1 : slash) = '\0';
        CN_TRY(read_list(l, err));
        sort_unique(l);
        if (labels)
            CN_TRY(read_labels(l, labels, err));
    }
    keep_shard(l, shard, shards);
    CN_TRY(number_names(l, false, &l->labels, &l->n_labels, err));
    CN_TRY(number_names(l, true, &l->media, &l->n_media, err));
    CN_CHECK(l->n_labels <= CN_MAX_STUDY_LABELS, CN_ELIMIT, "%s: %zu labels, the limit is %d", path,
             l->n_labels, CN_MAX_STUDY_LABELS);
    CN_CHECK(l->n_media <= 256, CN_ELIMIT, "%s: %zu media, the limit is 256", path, l->n_media);
done:
    return st;
}

cn_status listing_digest(const listing *l, char hex[65], cn_error *err)
{
    cn_status st = CN_OK;
    sha256 *sum = NULL;
    CN_TRY(sha256_open(&sum, err));
    for (size_t i = 0; i < l->count; i++) {
        const listing_item *item = &l->items[i];
        const char *const texts[] = {item->path, item->label, item->medium, item->caption, item->source, item->licence};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            const char *text = texts[k] ? texts[k] : "";
            CN_TRY(sha256_add(sum, text, strlen(text) + 1, err));
        }
    }
    CN_TRY(sha256_hex(sum, hex, err));
done:
    sha256_close(sum);
    return st;
}

void listing_free(listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free_item(&l->items[i]);
    cn_free(l->items);
    cn_free(l->labels);
    cn_free(l->media);
    cn_free(l->root);
    cn_free(l->origin);
    cn_free(l->name);
    memset(l, 0, sizeof *l);
}

char *listing_path(const listing *l, size_t i)
{
    const char *path = l->items[i].path;
    return path[0] == '/' ? cn_strdup(path) : path_join(l->root, path);
}
