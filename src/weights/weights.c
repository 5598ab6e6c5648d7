/* weights/weights.c -- opens a checkpoint of any kind, and the list of named tensors behind it. */
#include "weights/collection.h"

#include "base/memory.h"
#include "file/json.h"
#include "file/zip.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Names live in blocks, so that a checkpoint of thousands of tensors costs few allocations. */
#define NAME_BLOCK 16384 /* bytes */
struct name_block {
    name_block *next;
    size_t fill;
    char text[NAME_BLOCK];
};

static char *keep_name(cn_weights *w, const char *name, size_t length)
{
    if (!w->names || NAME_BLOCK - w->names->fill < length + 1) {
        name_block *block = cn_malloc(sizeof *block);
        if (!block)
            return NULL;
        block->next = w->names;
        block->fill = 0;
        w->names = block;
    }
    char *copy = w->names->text + w->names->fill;
    memcpy(copy, name, length);
    copy[length] = '\0';
    w->names->fill += length + 1;
    return copy;
}

cn_status weights_map(cn_weights *w, const filemap **map, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    filemap *grown = cn_reallocarray(w->maps, w->map_count + 1, sizeof *grown);
    CN_CHECK(grown, CN_ENOMEM, "%s: out of memory", path);
    w->maps = grown;
    CN_TRY(filemap_open(&w->maps[w->map_count], path, err));
    *map = &w->maps[w->map_count++];
done:
    return st;
}

cn_status weights_shape(cn_tensor *t, const char *name, size_t length, const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    int shown = length < 100 ? (int)length : 100;
    size_t bytes = cn_dtype_size(t->dtype);
    t->count = 1;
    for (int i = 0; i < t->ndim; i++) {
        CN_CHECK(t->shape[i] >= 0, CN_EFORMAT, "%s: tensor %.*s has a negative dimension", what, shown, name);
        CN_CHECK(!__builtin_mul_overflow(t->count, t->shape[i], &t->count), CN_EFORMAT,
                 "%s: the shape of tensor %.*s overflows", what, shown, name);
    }
    CN_CHECK(!cn_mul_size((size_t)t->count, bytes, &bytes) ? false : bytes <= PTRDIFF_MAX, CN_EFORMAT,
             "%s: the shape of tensor %.*s overflows", what, shown, name);
done:
    return st;
}

cn_status weights_add(cn_weights *w, const char *name, size_t length, cn_tensor *t, const char *what,
                      cn_error *err)
{
    cn_status st = CN_OK;
    static const char prefix[] = "module.";
    if (length > sizeof prefix - 1 && memcmp(name, prefix, sizeof prefix - 1) == 0) {
        name += sizeof prefix - 1;
        length -= sizeof prefix - 1;
    }
    CN_CHECK(length > 0 && json_clean_text(name, length), CN_EFORMAT,
             "%s: a tensor's name is empty, or holds control characters or malformed UTF-8", what);
    CN_CHECK(length <= CN_MAX_TENSOR_NAME, CN_ELIMIT, "%s: a tensor's name has %zu bytes, more than %d", what,
             length, CN_MAX_TENSOR_NAME);
    CN_CHECK(w->count < CN_MAX_TENSORS, CN_ELIMIT, "%s: more than %d tensors", what, CN_MAX_TENSORS);
    if (w->count == w->room) {
        size_t room = w->room ? 2 * w->room : 64;
        cn_tensor *grown = cn_reallocarray(w->tensors, room, sizeof *grown);
        CN_CHECK(grown, CN_ENOMEM, "%s: out of memory", what);
        w->tensors = grown;
        w->room = room;
    }
    t->name = keep_name(w, name, length);
    CN_CHECK(t->name, CN_ENOMEM, "%s: out of memory", what);
    w->tensors[w->count++] = *t;
done:
    return st;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(cn_tensor *const *)a)->name, (*(cn_tensor *const *)b)->name);
}

/* Sorted names rather than a hash table: a hostile file cannot make sorting slow. */
cn_status weights_index(cn_weights *w, cn_error *err)
{
    cn_status st = CN_OK;
    w->by_name = cn_calloc(w->count, sizeof *w->by_name);
    CN_CHECK(w->by_name, CN_ENOMEM, "%s: out of memory", w->path);
    for (size_t i = 0; i < w->count; i++)
        w->by_name[i] = &w->tensors[i];
    qsort(w->by_name, w->count, sizeof *w->by_name, compare_names);
    for (size_t i = 1; i < w->count; i++)
        CN_CHECK(strcmp(w->by_name[i - 1]->name, w->by_name[i]->name) != 0, CN_EFORMAT,
                 "%s: two tensors are named %s", w->path, w->by_name[i]->name);
done:
    return st;
}

static bool starts_with(const filemap *map, const char *text)
{
    size_t n = strlen(text);
    return map->size >= n && memcmp(map->data, text, n) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

cn_status weights_read_file(cn_weights *w, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    const filemap *map;
    CN_TRY(weights_map(w, &map, path, err));
    CN_CHECK(!starts_with(map, "version https://git-lfs"), CN_EUNSUPPORTED,
             "%s: a Git LFS pointer, not the file itself; fetch it with `git lfs pull`", path);
    if (zip_probe(map->data, map->size))
        CN_TRY(torchzip_read(w, map, path, err));
    else if (map->size >= 2 && map->data[0] == 0x80 && map->data[1] >= 2 && map->data[1] <= 5 &&
             !(map->size > 8 && map->data[8] == '{'))
        CN_TRY(torchlegacy_read(w, map, path, err));
    else if ((map->size > 8 && map->data[8] == '{') || ends_with(path, ".safetensors"))
        CN_TRY(safetensors_read(w, map, path, err));
    else if (map->size > 262 && memcmp(map->data + 257, "ustar", 5) == 0)
        CN_CHECK(false, CN_EUNSUPPORTED,
                 "%s: a tar file (PyTorch before 0.2?); load it with a PyTorch of that time and torch.save "
                 "it again",
                 path);
    else
        CN_CHECK(false, CN_EFORMAT,
                 "%s: neither safetensors nor a PyTorch file (it starts with the bytes %02x %02x %02x %02x)",
                 path, map->data[0], map->size > 1 ? map->data[1] : 0, map->size > 2 ? map->data[2] : 0,
                 map->size > 3 ? map->data[3] : 0);
done:
    return st;
}

cn_status cn_weights_open(cn_weights **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    cn_weights *w = cn_calloc(1, sizeof *w);
    CN_CHECK(w, CN_ENOMEM, "%s: out of memory", path);
    w->path = cn_strdup(path);
    CN_CHECK(w->path, CN_ENOMEM, "%s: out of memory", path);
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        CN_TRY(folder_read(w, path, err));
    else
        CN_TRY(file_read(w, path, err));
    CN_CHECK(w->count, CN_EFORMAT, "%s: no tensors inside", path);
    if (!w->by_name)
        CN_TRY(weights_index(w, err));
    *out = w, w = NULL;
done:
    cn_weights_close(w);
    return st;
}

void cn_weights_close(cn_weights *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->map_count; i++)
        filemap_close(&w->maps[i]);
    while (w->names) {
        name_block *next = w->names->next;
        cn_free(w->names);
        w->names = next;
    }
    cn_free(w->maps);
    cn_free(w->tensors);
    cn_free(w->by_name);
    cn_free(w->config);
    cn_free(w->path);
    cn_free(w);
}

size_t cn_weights_count(const cn_weights *w)
{
    return w->count;
}

const cn_tensor *cn_weights_at(const cn_weights *w, size_t i)
{
    return i < w->count ? &w->tensors[i] : NULL;
}

const cn_tensor *cn_weights_find(const cn_weights *w, const char *name)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, w->by_name[middle]->name);
        if (order == 0)
            return w->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *cn_weights_format(const cn_weights *w)
{
    return w->format;
}

const char *cn_weights_path(const cn_weights *w)
{
    return w->path;
}

const char *cn_weights_config(const cn_weights *w)
{
    return w->config;
}

void cn_weights_drop_pages(const cn_weights *w)
{
    for (size_t i = 0; i < w->map_count; i++)
        filemap_drop(&w->maps[i]);
}
