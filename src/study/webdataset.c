/* study/webdataset.c -- pictures in archives, and what the files beside them say: WebDataset's convention, files of one name up to
 * the first dot belong together (KEY.jpg, KEY.txt, KEY.json, KEY.cls); and folders in archives, which label as folders do. */
#include "study/listingparts.h"

#include "base/memory.h"
#include "base/path.h"
#include "file/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIDE_BYTES ((size_t)1 << 20)  /* of a file beside a picture */
#define TABLE_BYTES ((size_t)1 << 28) /* of a labels.csv in an archive */

typedef enum side_kind { SIDE_CLS, SIDE_TXT, SIDE_JSON, SIDE_KINDS } side_kind; /* json is read last: it knows best */

typedef struct side {
    char *stem; /* the name without its last ending */
    side_kind kind;
    bool used;
    int64_t at, size;
} side;

typedef struct reading { /* one archive */
    listing *list;
    bundle *bundle;
    int32_t archive;
    const char *name; /* of the archive */
    size_t first;     /* the first item of it */
    side *sides;
    size_t n_sides, room;
    struct {
        char *folder; /* that holds it, "" for the top */
        int64_t at, size;
    } *tables;
    size_t n_tables;
} reading;

static bool hidden(const char *name)
{
    return name[0] == '.' || strstr(name, "/.") || strncmp(name, "__MACOSX/", 9) == 0;
}

/* Where the last ending begins (its dot), or the end of the name. */
static size_t stem_length(const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    return dot && dot > base ? (size_t)(dot - name) : strlen(name);
}

/* WebDataset's key: up to the first dot of the last part. */
static size_t key_length(const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strchr(base, '.');
    return dot && dot > base ? (size_t)(dot - name) : strlen(name);
}

static bool side_name(const char *name, side_kind *kind)
{
    static const char *const endings[SIDE_KINDS] = {[SIDE_CLS] = ".cls", [SIDE_TXT] = ".txt", [SIDE_JSON] = ".json"};
    const char *ending = name + stem_length(name);
    for (int k = 0; k < SIDE_KINDS; k++)
        if (strcasecmp(ending, endings[k]) == 0) {
            *kind = (side_kind)k;
            return true;
        }
    return false;
}

static cn_status add_picture(reading *r, const bundle_entry *e, cn_error *err)
{
    cn_status st = CN_OK;
    listing_item *item;
    char *path = path_join(r->name, e->name);
    CN_CHECK(path, CN_ENOMEM, "out of memory for the name of %.200s", e->name);
    CN_TRY(listing_add(r->list, path, &item, err));
    item->archive = r->archive;
    item->at = e->at;
    item->size = e->size;
done:
    cn_free(path);
    return st;
}

static cn_status add_side(reading *r, const bundle_entry *e, side_kind kind, cn_error *err)
{
    cn_status st = CN_OK;
    if (r->n_sides == r->room) {
        const size_t room = r->room ? 2 * r->room : 256;
        side *grown = cn_reallocarray(r->sides, room, sizeof *grown);
        CN_CHECK(grown, CN_ENOMEM, "out of memory for %zu files beside pictures", room);
        r->sides = grown;
        r->room = room;
    }
    side *s = &r->sides[r->n_sides];
    *s = (side){.stem = cn_strndup(e->name, stem_length(e->name)), .kind = kind, .at = e->at, .size = e->size};
    CN_CHECK(s->stem, CN_ENOMEM, "out of memory for %zu files beside pictures", r->n_sides);
    r->n_sides++;
done:
    return st;
}

static cn_status add_table(reading *r, const bundle_entry *e, cn_error *err)
{
    cn_status st = CN_OK;
    const char *slash = strrchr(e->name, '/');
    void *grown = cn_reallocarray(r->tables, r->n_tables + 1, sizeof *r->tables);
    CN_CHECK(grown, CN_ENOMEM, "out of memory for labels files");
    r->tables = grown;
    r->tables[r->n_tables].folder = cn_strndup(e->name, slash ? (size_t)(slash - e->name) : 0);
    r->tables[r->n_tables].at = e->at;
    r->tables[r->n_tables].size = e->size;
    CN_CHECK(r->tables[r->n_tables].folder, CN_ENOMEM, "out of memory for labels files");
    r->n_tables++;
done:
    return st;
}

static cn_status meet(const bundle_entry *e, void *user, cn_error *err)
{
    reading *r = user;
    side_kind kind;
    const char *slash = strrchr(e->name, '/');
    if (hidden(e->name))
        return CN_OK;
    if (picture_name(e->name))
        return add_picture(r, e, err);
    if (strcasecmp(slash ? slash + 1 : e->name, "labels.csv") == 0)
        return add_table(r, e, err);
    r->list->ignored++; /* until it turns out to lie beside a picture */
    return side_name(e->name, &kind) ? add_side(r, e, kind, err) : CN_OK;
}

/* ---- what the files beside a picture say ---- */

/* Without white space at both ends; text[size] is written. */
static char *trimmed(char *text, size_t size)
{
    while (size && isspace((unsigned char)text[size - 1]))
        size--;
    text[size] = '\0';
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* Numbers and texts as they are, arrays and objects as JSON. */
static cn_status take_json(listing_item *item, const char *text, size_t size, const char *what, bool *ok, cn_error *err)
{
    cn_status st = CN_OK;
    json j;
    char key[128], value[16384];
    bool more;
    json_init(&j, text, size, what);
    CN_TRY(json_object(&j, err));
    for (;;) {
        CN_TRY(json_key(&j, &more, key, sizeof key, err));
        if (!more)
            break;
        const json_kind kind = json_peek(&j);
        const char *start = j.at;
        if (kind == JSON_STRING) {
            CN_TRY(json_string(&j, value, sizeof value, err));
        } else {
            CN_TRY(json_skip(&j, err));
            while (start < j.at && (isspace((unsigned char)*start) || *start == ':' || *start == ','))
                start++;
            const size_t length = (size_t)(j.at - start);
            if (kind == JSON_NULL || length >= sizeof value)
                continue;
            memcpy(value, start, length);
            value[length] = '\0';
        }
        char **member = listing_member(item, key);
        *ok = *ok && (member ? listing_put(member, value) : listing_put_field(item, key, value));
    }
    CN_TRY(json_end(&j, err));
done:
    return st;
}

static cn_status take_side(const reading *r, listing_item *item, const side *s, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t *bytes = NULL;
    char *text = NULL;
    bool ok = true;
    cn_error reason = {0};
    static const char *const names[SIDE_KINDS] = {"cls", "txt", "json"};
    cn_status read = bundle_read(r->bundle, s->at, s->size, SIDE_BYTES, &bytes, &reason);
    if (read == CN_OK) {
        text = cn_strndup((const char *)bytes, (size_t)s->size);
        CN_CHECK(text, CN_ENOMEM, "out of memory for a text of %lld bytes", (long long)s->size);
        if (s->kind == SIDE_JSON)
            read = take_json(item, text, strlen(text), "the JSON", &ok, &reason);
        else
            ok = listing_put(s->kind == SIDE_CLS ? &item->label : &item->caption, trimmed(text, strlen(text)));
    }
    CN_CHECK(ok && read != CN_ENOMEM, CN_ENOMEM, "out of memory for what is known of %zu pictures", r->list->count);
    if (read != CN_OK) { /* the picture is as good as before; whoever asks why its label is missing will find this */
        char note[600];
        snprintf(note, sizeof note, "not read: %.500s", reason.text);
        CN_CHECK(listing_put_field(item, names[s->kind], note), CN_ENOMEM, "out of memory for what is known of %zu pictures", r->list->count);
    }
done:
    cn_free(text);
    cn_free(bytes);
    return st;
}

static int by_stem(const void *a, const void *b)
{
    const side *x = a, *y = b;
    const int order = strcmp(x->stem, y->stem);
    if (order)
        return order;
    return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind) : (x->at > y->at) - (x->at < y->at);
}

/* The first of the files with the stem that is the name's first `length` bytes; n_sides: none. */
static size_t find_sides(const reading *r, const char *name, size_t length)
{
    size_t low = 0, high = r->n_sides;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const char *stem = r->sides[middle].stem;
        const int order = strncmp(stem, name, length);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n_sides && strncmp(r->sides[low].stem, name, length) == 0 && r->sides[low].stem[length] == '\0' ? low : r->n_sides;
}

static cn_status take_sides(reading *r, listing_item *item, cn_error *err)
{
    cn_status st = CN_OK;
    const char *name = item->path + strlen(r->name) + 1;
    size_t i = find_sides(r, name, stem_length(name));
    if (i == r->n_sides && key_length(name) != stem_length(name))
        i = find_sides(r, name, key_length(name));
    for (const char *stem = i < r->n_sides ? r->sides[i].stem : NULL; i < r->n_sides && strcmp(r->sides[i].stem, stem) == 0; i++) {
        if (!r->sides[i].used)
            r->list->ignored--;
        r->sides[i].used = true;
        CN_TRY(take_side(r, item, &r->sides[i], err));
    }
done:
    return st;
}

/* ---- folders ---- */

/* The bytes of the folders that all names have in common in front, slash included: the folder that was packed. */
static size_t common_folder(const reading *r)
{
    const listing *l = r->list;
    const size_t prefix = strlen(r->name) + 1;
    size_t common = 0;
    for (size_t i = r->first; i < l->count; i++) {
        const char *name = l->items[i].path + prefix, *slash = strchr(name, '/');
        if (!slash)
            return 0;
        const size_t length = (size_t)(slash - name) + 1;
        if (i == r->first)
            common = length;
        else if (length != common || strncmp(name, l->items[r->first].path + prefix, common) != 0)
            return 0;
    }
    return common;
}

static cn_status label_pictures(reading *r, cn_error *err)
{
    cn_status st = CN_OK;
    listing *l = r->list;
    const size_t skip = strlen(r->name) + 1 + common_folder(r);
    for (size_t i = r->first; i < l->count; i++) {
        const char *name = l->items[i].path + skip, *slash = strrchr(name, '/');
        if (slash) {
            l->items[i].label = cn_strndup(name, (size_t)(slash - name));
            CN_CHECK(l->items[i].label, CN_ENOMEM, "out of memory for the labels of %zu pictures", l->count);
        }
        CN_TRY(take_sides(r, &l->items[i], err));
    }
done:
    return st;
}

/* labels.csv in the archive: about the pictures of its folder. They are looked up by path, among those of the archive alone. */
static cn_status read_tables(reading *r, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t *bytes = NULL;
    char *prefix = NULL, *what = NULL;
    listing *l = r->list;
    listing mine = *l; /* a view of the archive's own */
    mine.items = l->items ? l->items + r->first : NULL;
    mine.count = l->count - r->first;
    if (r->n_tables)
        listing_sort(&mine);
    l->count = r->first + mine.count;
    for (size_t i = 0; i < r->n_tables; i++) {
        prefix = path_join(r->name, r->tables[i].folder);
        what = prefix ? path_join(prefix, "labels.csv") : NULL;
        CN_CHECK(prefix && what, CN_ENOMEM, "out of memory for labels files");
        CN_TRY(bundle_read(r->bundle, r->tables[i].at, r->tables[i].size, TABLE_BYTES, &bytes, err));
        size_t length = strlen(prefix);
        while (length && prefix[length - 1] == '/')
            prefix[--length] = '\0';
        CN_TRY(lists_label(&mine, (const char *)bytes, (size_t)r->tables[i].size, prefix, what, err));
        cn_free(bytes), bytes = NULL;
        cn_free(prefix), prefix = NULL;
        cn_free(what), what = NULL;
    }
done:
    cn_free(bytes);
    cn_free(prefix);
    cn_free(what);
    return st;
}

/* ---- all of it ---- */

static cn_status read_archive(reading *r, cn_error *damage, cn_error *err)
{
    cn_status st = CN_OK, listed;
    if (shelf_take(r->list->shelf, (size_t)r->archive, &r->bundle, damage) != CN_OK)
        return CN_OK;
    listed = bundle_list(r->bundle, meet, r, damage);
    CN_CHECK(listed != CN_ENOMEM && listed != CN_ELIMIT, listed, "%s", damage->text);
    if (r->n_sides)
        qsort(r->sides, r->n_sides, sizeof *r->sides, by_stem);
    CN_TRY(label_pictures(r, err));
    CN_TRY(read_tables(r, err));
done:
    shelf_return(r->list->shelf, (size_t)r->archive);
    for (size_t i = 0; i < r->n_sides; i++)
        cn_free(r->sides[i].stem);
    cn_free(r->sides);
    for (size_t i = 0; i < r->n_tables; i++)
        cn_free(r->tables[i].folder);
    cn_free(r->tables);
    return st;
}

/* A damaged archive is one more thing that could not be read; what was found in it stays. */
static cn_status add_fault(listing *l, const char *name, const char *reason, cn_error *err)
{
    cn_status st = CN_OK;
    listing_item *item;
    char *path = path_join(l->root, name);
    const size_t length = path ? strlen(path) : 0;
    CN_CHECK(path, CN_ENOMEM, "out of memory for the name of %s", name);
    if (strncmp(reason, path, length) == 0 && strncmp(reason + length, ": ", 2) == 0)
        reason += length + 2;
    CN_TRY(listing_add(l, name, &item, err));
    CN_CHECK(listing_put(&item->fault, reason), CN_ENOMEM, "out of memory for faults");
done:
    cn_free(path);
    return st;
}

cn_status webdataset_read(listing *l, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < l->n_archives; i++) {
        cn_error damage = {0};
        reading r = {.list = l, .archive = (int32_t)i, .name = l->archives[i], .first = l->count};
        CN_TRY(read_archive(&r, &damage, err));
        if (damage.status == CN_OK)
            continue;
        CN_CHECK(damage.status != CN_ENOMEM && (l->n_archives > 1 || l->count > 0), damage.status, "%s", damage.text);
        CN_TRY(add_fault(l, l->archives[i], damage.text, err));
    }
done:
    return st;
}
