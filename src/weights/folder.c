/* weights/folder.c -- checkpoints that are a folder: Hugging Face's (model.safetensors, shards with an index, or
 * pytorch_model.bin, with config.json) and open_clip's (open_clip_..., with open_clip_config.json). */
#include "weights/collection.h"

#include "base/memory.h"
#include "base/path.h"
#include "file/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_CONFIG ((size_t)1 << 20) /* bytes; real ones have a few kB */

/* What may lie in a folder, best first: safetensors before pickles. */
static const struct {
    const char *file;
    bool index, open_clip;
} candidates[] = {
    {"model.safetensors", false, false},          {"model.safetensors.index.json", true, false},
    {"open_clip_model.safetensors", false, true}, {"open_clip_pytorch_model.bin", false, true},
    {"pytorch_model.bin", false, false},          {"pytorch_model.bin.index.json", true, false},
};

/* ---- shards ---- */

typedef struct shards {
    char *names[CN_MAX_SHARDS];
    size_t count;
} shards;

static cn_status note_shard(shards *s, const char *name, const char *index, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = s->count; i-- > 0;) /* the latest is the likeliest */
        if (strcmp(s->names[i], name) == 0)
            return CN_OK;
    /* An index must not lead out of its folder. */
    CN_CHECK(name[0] && name[0] != '.' && !strchr(name, '/'), CN_EFORMAT,
             "%s: refused: a shard is called '%s'", index, name);
    CN_CHECK(s->count < CN_MAX_SHARDS, CN_ELIMIT, "%s: more than %d shards", index, CN_MAX_SHARDS);
    s->names[s->count] = cn_strdup(name);
    CN_CHECK(s->names[s->count], CN_ENOMEM, "%s: out of memory", index);
    s->count++;
done:
    return st;
}

/* Reads {"weight_map": {tensor: shard, ...}}: notes the shards, or, with s = NULL, checks that every tensor came. */
static cn_status walk_index(const filemap *map, const char *index, shards *s, const cn_weights *w,
                            cn_error *err)
{
    cn_status st = CN_OK;
    bool more, seen = false;
    char key[CN_MAX_TENSOR_NAME + 1], shard[256];
    json j;
    json_init(&j, map->data, map->size, index);
    CN_TRY(json_object(&j, err));
    for (;;) {
        CN_TRY(json_key(&j, &more, key, sizeof key, err));
        if (!more)
            break;
        if (strcmp(key, "weight_map") != 0) {
            CN_TRY(json_skip(&j, err));
            continue;
        }
        CN_CHECK(!seen, CN_EFORMAT, "%s: two weight_map", index);
        seen = true;
        CN_TRY(json_object(&j, err));
        for (;;) {
            CN_TRY(json_key(&j, &more, key, sizeof key, err));
            if (!more)
                break;
            CN_TRY(json_string(&j, shard, sizeof shard, err));
            if (s)
                CN_TRY(note_shard(s, shard, index, err));
            else
                CN_CHECK(cn_weights_find(w, strncmp(key, "module.", 7) == 0 ? key + 7 : key), CN_EFORMAT,
                         "%s: tensor %s is in no shard", index, key);
        }
    }
    CN_TRY(json_end(&j, err));
    CN_CHECK(seen, CN_EFORMAT, "%s: no weight_map", index);
done:
    return st;
}

static cn_status read_shards(cn_weights *w, const char *folder, const char *index, cn_error *err)
{
    cn_status st = CN_OK;
    char *path = NULL;
    filemap map = {0};
    shards *s = cn_calloc(1, sizeof *s);
    CN_CHECK(s, CN_ENOMEM, "%s: out of memory", index);
    CN_TRY(filemap_open(&map, index, err));
    CN_CHECK(map.size <= CN_MAX_WEIGHTS_HEADER, CN_ELIMIT, "%s: the index has more than %zu bytes", index,
             CN_MAX_WEIGHTS_HEADER);
    CN_TRY(walk_index(&map, index, s, NULL, err));
    for (size_t i = 0; i < s->count; i++) {
        path = path_join(folder, s->names[i]);
        CN_CHECK(path, CN_ENOMEM, "%s: out of memory", index);
        CN_TRY(weights_read_file(w, path, err));
        cn_free(path);
        path = NULL;
    }
    CN_CHECK(w->count, CN_EFORMAT, "%s: no tensors inside", index);
    CN_TRY(weights_index(w, err));
    CN_TRY(walk_index(&map, index, NULL, w, err));
done:
    for (size_t i = 0; s && i < s->count; i++)
        cn_free(s->names[i]);
    cn_free(s);
    cn_free(path);
    filemap_close(&map);
    return st;
}

/* ---- configuration ---- */

/* Takes the text of folder/name when there is such a file. */
static cn_status read_config(cn_weights *w, const char *folder, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    filemap map = {0};
    struct stat info;
    char *path = path_join(folder, name);
    CN_CHECK(path, CN_ENOMEM, "%s: out of memory", folder);
    if (w->config || stat(path, &info) != 0)
        goto done;
    CN_TRY(filemap_open(&map, path, err));
    CN_CHECK(map.size <= MAX_CONFIG, CN_ELIMIT, "%s: more than %zu bytes", path, MAX_CONFIG);
    CN_CHECK(memchr(map.data, 0, map.size) == NULL, CN_EFORMAT, "%s: not a text", path);
    w->config = cn_strndup((const char *)map.data, map.size);
    CN_CHECK(w->config, CN_ENOMEM, "%s: out of memory", path);
done:
    filemap_close(&map);
    cn_free(path);
    return st;
}

/* Reads candidate i, which lies at path, and the configuration beside it. */
static cn_status read_candidate(cn_weights *w, const char *folder, const char *path, size_t i, cn_error *err)
{
    cn_status st = CN_OK;
    if (candidates[i].index)
        CN_TRY(read_shards(w, folder, path, err));
    else
        CN_TRY(weights_read_file(w, path, err));
    CN_TRY(read_config(w, folder, candidates[i].open_clip ? "open_clip_config.json" : "config.json", err));
    CN_TRY(read_config(w, folder, candidates[i].open_clip ? "config.json" : "open_clip_config.json", err));
done:
    return st;
}

cn_status file_read(cn_weights *w, const char *path, cn_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        if (strcmp(name, candidates[i].file) != 0)
            continue;
        char *folder = slash ? cn_strndup(path, (size_t)(name - path)) : cn_strdup(".");
        if (!folder)
            return cn_fail(err, CN_ENOMEM, "%s: out of memory", path);
        cn_status st = read_candidate(w, folder, path, i, err);
        cn_free(folder);
        return st;
    }
    return weights_read_file(w, path, err);
}

cn_status folder_read(cn_weights *w, const char *folder, cn_error *err)
{
    cn_status st = CN_OK;
    char *path = NULL;
    size_t i = 0, n = sizeof candidates / sizeof candidates[0];
    for (; i < n; i++) {
        struct stat info;
        cn_free(path);
        path = path_join(folder, candidates[i].file);
        CN_CHECK(path, CN_ENOMEM, "%s: out of memory", folder);
        if (stat(path, &info) == 0)
            break;
    }
    CN_CHECK(i < n, CN_ENOTFOUND,
             "%s: the folder holds no model.safetensors, open_clip_model.safetensors, "
             "open_clip_pytorch_model.bin, "
             "pytorch_model.bin or index of shards",
             folder);
    CN_TRY(read_candidate(w, folder, path, i, err));
done:
    cn_free(path);
    return st;
}
