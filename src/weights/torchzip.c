/* weights/torchzip.c -- PyTorch's zip container: FOLDER/data.pkl describes the tensors, FOLDER/data/KEY holds
 * their bytes. torch.save writes it, and TorchScript with code beside it, which is never looked at. */
#include "base/memory.h"
#include "file/zip.h"
#include "weights/torchtensors.h"

#include <stdio.h>
#include <string.h>

#define MAX_PREFIX 1024 /* bytes of the folder's name within the archive */

typedef struct archive {
    zip *zip;
    const char *path;
    size_t prefix;               /* bytes of the folder's name, slash included */
    char name[MAX_PREFIX + 128]; /* "FOLDER/", room for an entry's name */
} archive;

/* The entry FOLDER/first/second, or NULL. */
static const zip_entry *find_entry(archive *a, const char *first, const char *second, size_t second_length)
{
    if (second_length > 64)
        return NULL;
    snprintf(a->name + a->prefix, sizeof a->name - a->prefix, "%s%.*s", first, (int)second_length, second);
    return zip_find(a->zip, a->name);
}

static cn_status find_storage(void *context, const pickle_storage *s, const uint8_t **data, size_t *size,
                              cn_error *err)
{
    cn_status st = CN_OK;
    archive *a = context;
    int shown = s->key_length < 100 ? (int)s->key_length : 100;
    const zip_entry *e = find_entry(a, "data/", s->key, s->key_length);
    if (!e)
        e = find_entry(a, "constants/", s->key, s->key_length);
    CN_CHECK(e, CN_EFORMAT, "%s: the archive has no storage %.*s", a->path, shown, s->key);
    CN_CHECK(!e->deflated, CN_EUNSUPPORTED,
             "%s: storage %.*s is compressed; load the file with PyTorch and torch.save it again", a->path,
             shown, s->key);
    *data = e->data;
    *size = (size_t)e->size;
done:
    return st;
}

/* Finds FOLDER/data.pkl, the only entry of that name, and keeps FOLDER. */
static cn_status find_pickle(archive *a, const zip_entry **out, cn_error *err)
{
    cn_status st = CN_OK;
    bool old_script = false;
    *out = NULL;
    for (size_t i = 0; i < zip_count(a->zip); i++) {
        const zip_entry *e = zip_at(a->zip, i);
        const char *slash = strchr(e->name, '/');
        if (slash && strcmp(slash, "/model.json") == 0)
            old_script = true;
        if (!slash || strcmp(slash, "/data.pkl") != 0)
            continue;
        CN_CHECK(!*out, CN_EFORMAT, "%s: the archive holds two data.pkl", a->path);
        a->prefix = (size_t)(slash - e->name) + 1;
        CN_CHECK(a->prefix <= MAX_PREFIX, CN_ELIMIT,
                 "%s: the archive's folder has a name of more than %d bytes", a->path, MAX_PREFIX);
        memcpy(a->name, e->name, a->prefix);
        *out = e;
    }
    CN_CHECK(*out || !old_script, CN_EUNSUPPORTED,
             "%s: a TorchScript archive from before PyTorch 1.3; load it with PyTorch and torch.save its "
             "state_dict()",
             a->path);
    CN_CHECK(*out, CN_EFORMAT, "%s: a zip without data.pkl, so not a PyTorch file", a->path);
done:
    return st;
}

cn_status torchzip_read(cn_weights *w, const filemap *map, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    pickle *p = NULL;
    uint8_t *owned = NULL;
    archive *a = cn_calloc(1, sizeof *a);
    CN_CHECK(a, CN_ENOMEM, "%s: out of memory", path);
    a->path = path;
    CN_TRY(zip_open(&a->zip, map->data, map->size, path, err));
    const zip_entry *description;
    CN_TRY(find_pickle(a, &description, err));

    const zip_entry *order = find_entry(a, "byteorder", "", 0);
    CN_CHECK(!order || order->deflated || order->size != 3 || memcmp(order->data, "big", 3) != 0,
             CN_EUNSUPPORTED,
             "%s: written on a big-endian machine; load it with PyTorch and torch.save it on this one", path);
    bool script = find_entry(a, "constants.pkl", "", 0) != NULL;
    const uint8_t *data;
    size_t size;
    CN_TRY(zip_read(a->zip, description, CN_MAX_WEIGHTS_HEADER, &data, &size, &owned, err));
    CN_TRY(pickle_run(&p, data, size, NULL, script, path, err));
    CN_TRY(torchtensors_add(w, p, find_storage, a, err));
    w->format = script ? "TorchScript archive" : "PyTorch state dict";
done:
    pickle_free(p);
    cn_free(owned);
    if (a)
        zip_close(a->zip);
    cn_free(a);
    return st;
}
