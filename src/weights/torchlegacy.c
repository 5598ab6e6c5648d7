/* weights/torchlegacy.c -- what torch.save wrote before PyTorch 1.6 (and still does when asked to):
 * five pickles -- a magic number, a version, the writer's machine, the object, the storages' keys -- and behind
 * them, for each key, a count of 8 bytes and the raw numbers. */
#include "base/memory.h"
#include "weights/torchtensors.h"

#include <stdlib.h>
#include <string.h>

#define PROTOCOL_VERSION 1001
static const uint8_t magic_number[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

/* The bytes of one storage, as found in the file. */
typedef struct place {
    const char *key;
    size_t key_length;
    const uint8_t *data;
    size_t size; /* bytes */
} place;

typedef struct legacy {
    const char *path;
    const uint8_t *at, *end;
    pickle *object;         /* the fourth pickle */
    pickle_storage **known; /* its storages, sorted by key */
    size_t known_count;
    place *places; /* sorted by key */
    size_t place_count;
} legacy;

static int compare_keys(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t n = a_length < b_length ? a_length : b_length;
    int order = n ? memcmp(a, b, n) : 0;
    return order ? order : a_length < b_length ? -1 : a_length > b_length;
}

static int compare_storages(const void *a, const void *b)
{
    const pickle_storage *x = *(pickle_storage *const *)a, *y = *(pickle_storage *const *)b;
    return compare_keys(x->key, x->key_length, y->key, y->key_length);
}

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return compare_keys(x->key, x->key_length, y->key, y->key_length);
}

static cn_status next_pickle(legacy *l, pickle **p, cn_error *err)
{
    size_t used = 0, left = (size_t)(l->end - l->at);
    if (left > CN_MAX_WEIGHTS_HEADER)
        left = CN_MAX_WEIGHTS_HEADER;
    cn_status st = pickle_run(p, l->at, left, &used, false, l->path, err);
    l->at += used;
    return st;
}

/* The three pickles that say what kind of file this is. */
static cn_status read_preamble(legacy *l, cn_error *err)
{
    cn_status st = CN_OK;
    pickle *magic = NULL, *version = NULL, *machine = NULL;
    CN_TRY(next_pickle(l, &magic, err));
    const pickle_value *v = pickle_root(magic);
    CN_CHECK(v->kind == PICKLE_LONG && v->as.string.length == sizeof magic_number &&
                 memcmp(v->as.string.text, magic_number, sizeof magic_number) == 0,
             CN_EUNSUPPORTED,
             "%s: a pickle, but not written by torch.save; load it in Python and torch.save the state dict",
             l->path);
    CN_TRY(next_pickle(l, &version, err));
    v = pickle_root(version);
    CN_CHECK(v->kind == PICKLE_INT && v->as.integer == PROTOCOL_VERSION, CN_EUNSUPPORTED,
             "%s: a legacy PyTorch file of an unknown version; load it with PyTorch and torch.save it again",
             l->path);
    CN_TRY(next_pickle(l, &machine, err));
    v = pickle_root(machine);
    for (uint32_t i = 0; v->kind == PICKLE_DICT && i + 1 < v->as.list.count; i += 2)
        if (pickle_is(v->as.list.items[i], "little_endian")) {
            const pickle_value *little = v->as.list.items[i + 1];
            CN_CHECK(
                little->kind == PICKLE_BOOL && little->as.integer, CN_EUNSUPPORTED,
                "%s: written on a big-endian machine; load it with PyTorch and torch.save it on this one",
                l->path);
        }
done:
    pickle_free(magic);
    pickle_free(version);
    pickle_free(machine);
    return st;
}

/* Lists the object's storages by key, each once. */
static cn_status list_storages(legacy *l, cn_error *err)
{
    cn_status st = CN_OK;
    size_t count = 0;
    for (pickle_value *v = pickle_storages(l->object); v; v = v->as.storage->next)
        count++;
    l->known = cn_calloc(count, sizeof(pickle_storage *));
    CN_CHECK(l->known, CN_ENOMEM, "%s: out of memory", l->path);
    for (pickle_value *v = pickle_storages(l->object); v; v = v->as.storage->next)
        l->known[l->known_count++] = v->as.storage;
    qsort(l->known, l->known_count, sizeof(pickle_storage *), compare_storages);
    size_t kept = 0;
    for (size_t i = 0; i < l->known_count; i++) {
        if (kept == 0 || compare_storages(&l->known[kept - 1], &l->known[i]) != 0) {
            l->known[kept++] = l->known[i];
            continue;
        }
        const pickle_storage *a = l->known[kept - 1], *b = l->known[i];
        CN_CHECK(
            a->known == b->known && a->dtype == b->dtype && a->numel == b->numel, CN_EUNSUPPORTED,
            "%s: storage %.*s has two types or sizes; load the file with PyTorch and torch.save it again",
            l->path, a->key_length < 100 ? (int)a->key_length : 100, a->key);
    }
    l->known_count = kept;
done:
    return st;
}

static const pickle_storage *find_known(const legacy *l, const char *key, size_t key_length)
{
    pickle_storage wanted = {.key = key, .key_length = key_length}, *pointer = &wanted;
    pickle_storage **found =
        l->known_count ? bsearch(&pointer, l->known, l->known_count, sizeof pointer, compare_storages) : NULL;
    return found ? *found : NULL;
}

/* Behind the fifth pickle: for each key in its order, a count and the numbers. */
static cn_status read_places(legacy *l, const pickle_value *keys, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(keys->kind == PICKLE_LIST, CN_EFORMAT, "%s: damaged legacy PyTorch file: no list of storages",
             l->path);
    l->places = cn_calloc(keys->as.list.count, sizeof *l->places);
    CN_CHECK(l->places, CN_ENOMEM, "%s: out of memory", l->path);
    for (uint32_t i = 0; i < keys->as.list.count; i++) {
        const pickle_value *key = keys->as.list.items[i];
        const pickle_storage *s =
            key->kind == PICKLE_STRING ? find_known(l, key->as.string.text, key->as.string.length) : NULL;
        CN_CHECK(s, CN_EFORMAT, "%s: damaged legacy PyTorch file: a storage that no tensor uses", l->path);
        CN_CHECK(s->known, CN_EUNSUPPORTED, "%s: a complex, quantised or untyped storage, which is not read",
                 l->path);
        CN_CHECK(l->end - l->at >= 8, CN_EFORMAT,
                 "%s: damaged legacy PyTorch file: cut short within the storages", l->path);
        uint64_t count = 0;
        for (int b = 8; b-- > 0;)
            count = count << 8 | l->at[b];
        l->at += 8;
        size_t bytes = cn_dtype_size(s->dtype), left = (size_t)(l->end - l->at);
        CN_CHECK(count == (uint64_t)s->numel, CN_EFORMAT,
                 "%s: damaged legacy PyTorch file: storage %.*s has %llu elements, %lld are announced",
                 l->path, s->key_length < 100 ? (int)s->key_length : 100, s->key, (unsigned long long)count,
                 (long long)s->numel);
        CN_CHECK(count <= left / bytes, CN_EFORMAT,
                 "%s: damaged legacy PyTorch file: cut short within the storages", l->path);
        l->places[l->place_count++] = (place){s->key, s->key_length, l->at, (size_t)count * bytes};
        l->at += count * bytes;
    }
    qsort(l->places, l->place_count, sizeof *l->places, compare_places);
done:
    return st;
}

static cn_status find_storage(void *context, const pickle_storage *s, const uint8_t **data, size_t *size,
                              cn_error *err)
{
    const legacy *l = context;
    place wanted = {.key = s->key, .key_length = s->key_length};
    const place *found =
        l->place_count ? bsearch(&wanted, l->places, l->place_count, sizeof wanted, compare_places) : NULL;
    if (!found)
        return cn_fail(err, CN_EFORMAT, "%s: the file has no storage %.*s", l->path,
                       s->key_length < 100 ? (int)s->key_length : 100, s->key);
    *data = found->data;
    *size = found->size;
    return CN_OK;
}

cn_status torchlegacy_read(cn_weights *w, const filemap *map, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    pickle *keys = NULL;
    legacy l = {.path = path, .at = map->data, .end = map->data + map->size};
    CN_TRY(read_preamble(&l, err));
    CN_TRY(next_pickle(&l, &l.object, err));
    CN_TRY(next_pickle(&l, &keys, err));
    CN_TRY(list_storages(&l, err));
    CN_TRY(read_places(&l, pickle_root(keys), err));
    CN_TRY(torchtensors_add(w, l.object, find_storage, &l, err));
    w->format = "legacy PyTorch file";
done:
    pickle_free(keys);
    pickle_free(l.object);
    cn_free(l.known);
    cn_free(l.places);
    return st;
}
