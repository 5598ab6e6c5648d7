/* compose/attacklog.c -- reads, cuts, appends. */
#include "compose/attacklog.h"

#include "base/memory.h"
#include "file/filemap.h"
#include "file/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { LINE = 1 << 20 }; /* bytes of a line at most */

struct attack_log {
    FILE *file;
    char *path;
    attack_log_shape shape;
};

/* Numbers of an array, exactly n of them, 0 <= each < below. */
static cn_status read_numbers(json *j, int64_t *out, size_t n, int64_t below, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    bool more;
    size_t i = 0;
    CN_TRY(json_array(j, err));
    for (;; i++) {
        CN_TRY(json_item(j, &more, err));
        if (!more)
            break;
        int64_t value = -1;
        CN_TRY(json_integer(j, &value, err));
        CN_CHECK(i < n && value >= 0 && value < below, CN_EFORMAT, "%s: damaged: a number out of range", path);
        out[i] = value;
    }
    CN_CHECK(i == n, CN_EFORMAT, "%s: damaged: %zu numbers, not %zu", path, i, n);
done:
    return st;
}

typedef struct record {
    uint64_t key;
    int64_t *changed, *answers;
    bool has_key, has_changed, has_answers;
} record;

static cn_status read_record(const char *path, const attack_log_shape *shape, const char *line, size_t length, record *r, cn_error *err)
{
    cn_status st = CN_OK;
    json j;
    bool more;
    char key[32], text[32];
    r->has_key = r->has_changed = r->has_answers = false;
    json_init(&j, line, length, path);
    CN_TRY(json_object(&j, err));
    for (;;) {
        CN_TRY(json_key(&j, &more, key, sizeof key, err));
        if (!more)
            break;
        if (strcmp(key, "key") == 0) {
            char *end;
            CN_TRY(json_string(&j, text, sizeof text, err));
            r->key = strtoull(text, &end, 16);
            r->has_key = *text && !*end;
        } else if (strcmp(key, "changed") == 0) {
            CN_TRY(read_numbers(&j, r->changed, shape->texts, shape->pixels + 1, path, err));
            r->has_changed = true;
        } else if (strcmp(key, "answers") == 0) {
            CN_TRY(read_numbers(&j, r->answers, 2 * shape->texts * shape->prompts, (int64_t)shape->classes, path, err));
            r->has_answers = true;
        } else {
            CN_TRY(json_skip(&j, err));
        }
    }
    CN_TRY(json_end(&j, err));
    CN_CHECK(r->has_key && r->has_changed && r->has_answers, CN_EFORMAT, "%s: damaged: a line without key, changed or answers", path);
done:
    return st;
}

static cn_status check_header(const char *path, const attack_log_shape *shape, const char *line, size_t length, cn_error *err)
{
    cn_status st = CN_OK;
    json j;
    bool more;
    char key[32], digest[80] = "";
    json_init(&j, line, length, path);
    CN_TRY(json_object(&j, err));
    for (;;) {
        CN_TRY(json_key(&j, &more, key, sizeof key, err));
        if (!more)
            break;
        if (strcmp(key, "settings") == 0)
            CN_TRY(json_string(&j, digest, sizeof digest, err));
        else
            CN_TRY(json_skip(&j, err));
    }
    CN_CHECK(*digest, CN_EFORMAT, "%s: no log of an attack", path);
    CN_CHECK(strcmp(digest, shape->digest) == 0, CN_EMISMATCH,
             "%s: a log of other settings (model, classes, prompts, targets or lettering); name another file or remove it", path);
done:
    return st;
}

typedef struct place {
    uint64_t key;
    int64_t picture;
} place;

static int by_key(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->picture < y->picture ? -1 : x->picture > y->picture;
}

/* Of several with a key the first; -1. */
static int64_t find(const place *places, int64_t n, uint64_t key)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (places[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && places[low].key == key ? places[low].picture : -1;
}

/* *whole: bytes of whole lines. */
static cn_status read_log(const filemap *file, const char *path, const attack_log_shape *shape, const place *places, int64_t n, int64_t *changed,
                          int32_t *answers, bool *known, off_t *whole, cn_error *err)
{
    cn_status st = CN_OK;
    size_t number = 0;
    const char *line = (const char *)file->data, *const end = line + file->size;
    const size_t each = 2 * shape->texts * shape->prompts;
    record r = {.changed = cn_calloc(shape->texts + 1, sizeof *r.changed), .answers = cn_calloc(each, sizeof *r.answers)};
    CN_CHECK(r.changed && r.answers, CN_ENOMEM, "out of memory for a line of %s", path);
    *whole = 0;
    for (const char *last; line < end && (last = memchr(line, '\n', (size_t)(end - line))); line = last + 1) {
        const size_t length = (size_t)(last - line) + 1;
        CN_CHECK(length < LINE, CN_ELIMIT, "%s: a line of more than %d bytes", path, LINE);
        if (number++ == 0) {
            CN_TRY(check_header(path, shape, line, length, err));
        } else {
            CN_TRY(read_record(path, shape, line, length, &r, err));
            const int64_t i = find(places, n, r.key);
            if (i >= 0) {
                memcpy(changed + i * (int64_t)shape->texts, r.changed, shape->texts * sizeof *changed);
                for (size_t k = 0; k < each; k++)
                    answers[i * (int64_t)each + (int64_t)k] = (int32_t)r.answers[k];
                known[i] = true;
            }
        }
        *whole += (off_t)length;
    }
    CN_CHECK(number > 0 || file->data[0] == '{', CN_EFORMAT, "%s: no log of an attack", path); /* our own first line, cut off, is begun again */
done:
    cn_free(r.changed);
    cn_free(r.answers);
    return st;
}

cn_status attack_log_open(attack_log **out, const char *path, const attack_log_shape *shape, const attack_picture *pictures, int64_t n,
                          int64_t *changed, int32_t *answers, bool *known, cn_error *err)
{
    cn_status st = CN_OK;
    off_t whole = 0;
    filemap old = {0};
    struct stat info;
    place *places = cn_calloc((size_t)n + 1, sizeof *places);
    attack_log *log = cn_calloc(1, sizeof *log);
    *out = NULL;
    CN_CHECK(places && log, CN_ENOMEM, "out of memory for %" PRId64 " pictures", n);
    const bool there = stat(path, &info) == 0 && info.st_size > 0;
    for (int64_t i = 0; i < n; i++)
        places[i] = (place){pictures[i].key, i};
    qsort(places, (size_t)n, sizeof *places, by_key);
    if (there)
        CN_TRY(filemap_open(&old, path, err));
    if (there)
        CN_TRY(read_log(&old, path, shape, places, n, changed, answers, known, &whole, err));
    log->path = cn_strdup(path);
    log->shape = *shape;
    log->shape.digest = NULL;
    CN_CHECK(log->path, CN_ENOMEM, "out of memory for %s", path);
    log->file = fopen(path, "ae");
    CN_CHECK(log->file, CN_EIO, "%s: %s", path, strerror(errno));
    filemap_close(&old); /* before it is shortened */
    if (there)
        CN_CHECK(ftruncate(fileno(log->file), whole) == 0, CN_EIO, "%s: %s", path, strerror(errno));
    if (whole == 0)
        CN_CHECK(fprintf(log->file, "{\"what\": \"clipneuron attack run\", \"settings\": \"%s\"}\n", shape->digest) > 0 && fflush(log->file) == 0, CN_EIO,
                 "%s: %s", path, strerror(errno));
    *out = log, log = NULL;
done:
    filemap_close(&old);
    cn_free(places);
    attack_log_close(log);
    return st;
}

static void write_name(FILE *f, const char *text)
{
    const bool clean = json_clean_text(text, strlen(text));
    (void)fputc('"', f);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            (void)fputc('\\', f);
        (void)fputc(clean || (*p >= ' ' && *p < 0x7f) ? *p : '?', f);
    }
    (void)fputc('"', f);
}

cn_status attack_log_add(attack_log *log, const char *path, uint64_t key, const int64_t *changed, const int32_t *answers, cn_error *err)
{
    (void)err;
    if (!log)
        return CN_OK;
    (void)fputs("{\"image\": ", log->file);
    write_name(log->file, path);
    (void)fprintf(log->file, ", \"key\": \"%016" PRIx64 "\", \"changed\": [", key);
    for (size_t i = 0; i < log->shape.texts; i++)
        (void)fprintf(log->file, "%s%" PRId64, i ? ", " : "", changed[i]);
    (void)fputs("], \"answers\": [", log->file);
    for (size_t i = 0; i < 2 * log->shape.texts * log->shape.prompts; i++)
        (void)fprintf(log->file, "%s%" PRId32, i ? ", " : "", answers[i]);
    (void)fputs("]}\n", log->file);
    return CN_OK; /* the flush finds out */
}

cn_status attack_log_flush(attack_log *log, cn_error *err)
{
    if (log && (fflush(log->file) != 0 || ferror(log->file)))
        return cn_fail(err, CN_EIO, "%s: %s", log->path, strerror(errno));
    return CN_OK;
}

void attack_log_close(attack_log *log)
{
    if (log && log->file)
        (void)fclose(log->file);
    if (log)
        cn_free(log->path);
    cn_free(log);
}
