/* study/lists.c -- what tables and lists of strangers say about pictures. */
#include "study/listingparts.h"

#include "base/memory.h"
#include "base/path.h"
#include "clipneuron/study.h"
#include "file/filemap.h"
#include "study/csv.h"

#include <limits.h>
#include <string.h>

/* The first line of a CSV, kept: which column is what. */
typedef struct heading {
    char *names[CSV_MAX_FIELDS];
    size_t count;
    int path; /* -1: there is none */
} heading;

static void heading_free(heading *h)
{
    for (size_t i = 0; i < h->count; i++)
        cn_free(h->names[i]);
}

static cn_status heading_read(heading *h, const csv *c, cn_error *err)
{
    memset(h, 0, sizeof *h);
    h->path = csv_find(c, "path");
    for (; h->count < c->fields; h->count++)
        if (!(h->names[h->count] = cn_strdup(c->field[h->count])))
            return cn_fail(err, CN_ENOMEM, "%s: out of memory", c->what);
    return CN_OK;
}

/* Takes what the row says; where it says nothing, what was known stays. */
static bool take_row(listing_item *item, const csv *c, const heading *h)
{
    bool ok = true;
    for (size_t i = 0; i < h->count && ok; i++) {
        const char *value = csv_field(c, (int)i);
        if ((int)i == h->path || !*value)
            continue;
        char **member = listing_member(item, h->names[i]);
        ok = member ? listing_put(member, value) : listing_put_field(item, h->names[i], value);
    }
    return ok;
}

static listing_item *find_item(const listing *l, const char *prefix, const char *name, cn_status *st)
{
    const size_t length = strlen(l->name);
    while (name[0] == '.' && name[1] == '/')
        name += 2;
    if (*prefix) {
        char *path = path_join(prefix, name);
        if (!path) {
            *st = CN_ENOMEM;
            return NULL;
        }
        listing_item *item = listing_find(l, path);
        cn_free(path);
        if (item)
            return item;
    }
    listing_item *item = listing_find(l, name);
    if (!item && strncmp(name, l->name, length) == 0 && name[length] == '/') /* named from beside the folder */
        item = listing_find(l, name + length + 1);
    return item;
}

cn_status lists_label(listing *l, const char *text, size_t size, const char *prefix, const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    csv c = {0};
    heading h = {0};
    bool more;
    CN_CHECK(size <= CN_MAX_STUDY_LIST, CN_ELIMIT, "%s: larger than %zu bytes", what, CN_MAX_STUDY_LIST);
    csv_init(&c, text, size, what);
    CN_TRY(csv_row(&c, &more, err));
    CN_TRY(heading_read(&h, &c, err));
    CN_CHECK(h.path >= 0, CN_EFORMAT, "%s: the first line names no column \"path\"", what);
    for (;;) {
        CN_TRY(csv_row(&c, &more, err));
        if (!more)
            break;
        listing_item *item = find_item(l, prefix, csv_field(&c, h.path), &st);
        CN_CHECK(st == CN_OK && (!item || take_row(item, &c, &h)), CN_ENOMEM, "%s: out of memory", what);
    }
done:
    heading_free(&h);
    csv_free(&c);
    return st;
}

cn_status lists_label_file(listing *l, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    filemap map = {0};
    CN_TRY(filemap_open(&map, path, err));
    CN_TRY(lists_label(l, (const char *)map.data, map.size, l->n_archives == 1 ? l->archives[0] : "", path, err));
done:
    filemap_close(&map);
    return st;
}

static cn_status read_table(listing *l, csv *c, const heading *h, cn_error *err)
{
    cn_status st = CN_OK;
    for (bool more;;) {
        listing_item *item;
        CN_TRY(csv_row(c, &more, err));
        if (!more)
            break;
        CN_CHECK(*csv_field(c, h->path), CN_EFORMAT, "%s: line %zu: no path", c->what, c->line);
        CN_TRY(listing_add(l, csv_field(c, h->path), &item, err));
        CN_CHECK(take_row(item, c, h), CN_ENOMEM, "%s: out of memory", c->what);
    }
done:
    return st;
}

static cn_status read_lines(listing *l, const char *p, const char *end, const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    char *line = NULL;
    for (size_t number = 1; p < end; number++) {
        const char *next = memchr(p, '\n', (size_t)(end - p));
        const char *stop = next ? next : end;
        size_t length = (size_t)(stop - p);
        while (length && (p[length - 1] == '\r' || p[length - 1] == ' '))
            length--;
        CN_CHECK(length < PATH_MAX && !memchr(p, '\0', length), CN_EFORMAT, "%s: line %zu is not a path", what, number);
        if (length && *p != '#') {
            cn_free(line);
            line = cn_strndup(p, length);
            CN_CHECK(line, CN_ENOMEM, "%s: out of memory", what);
            CN_TRY(listing_add(l, line, NULL, err));
        }
        p = next ? next + 1 : end;
    }
done:
    cn_free(line);
    return st;
}

cn_status lists_read(listing *l, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    filemap map = {0};
    csv c = {0};
    heading h = {.path = -1};
    bool more;
    CN_TRY(filemap_open(&map, path, err));
    CN_CHECK(map.size <= CN_MAX_STUDY_LIST, CN_ELIMIT, "%s: larger than %zu bytes", path, CN_MAX_STUDY_LIST);
    csv_init(&c, (const char *)map.data, map.size, path);
    const size_t size = (size_t)(c.end - c.at);
    if (size < 4096 || memchr(c.at, '\n', 4096)) { /* a list of binary rubbish is not worth parsing */
        CN_TRY(csv_row(&c, &more, err));
        CN_TRY(heading_read(&h, &c, err));
        /* Lines of a table are no paths. A .csv of one column may be a list all the same. */
        CN_CHECK(h.path >= 0 || h.count < 2 || !path_has_ending(path, ".csv"), CN_EFORMAT, "%s: the first line names no column \"path\"", path);
    }
    if (h.path >= 0)
        CN_TRY(read_table(l, &c, &h, err));
    else
        CN_TRY(read_lines(l, (const char *)map.data, (const char *)map.data + map.size, path, err));
done:
    heading_free(&h);
    csv_free(&c);
    filemap_close(&map);
    return st;
}
