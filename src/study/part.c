/* study/part.c -- the folder of a scan in work. */
#include "study/part.h"

#include "base/memory.h"
#include "base/path.h"
#include "study/reader.h"
#include "study/schema.h"
#include "study/studyfolder.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTING "setting."

cn_status part_set(part_settings *s, cn_error *err, const char *key, const char *format, ...)
{
    cn_status st = CN_OK;
    char small[1];
    va_list args;
    va_start(args, format);
    const int size = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    CN_CHECK(s->count < PART_SETTINGS && size >= 0, CN_ELIMIT, "more than %d settings of a scan", PART_SETTINGS);
    char *value = cn_malloc((size_t)size + 1);
    CN_CHECK(value, CN_ENOMEM, "out of memory for the settings of a scan");
    va_start(args, format);
    vsnprintf(value, (size_t)size + 1, format, args);
    va_end(args);
    s->items[s->count].key = key;
    s->items[s->count++].value = value;
done:
    return st;
}

void part_settings_free(part_settings *s)
{
    for (size_t i = 0; i < s->count; i++)
        cn_free(s->items[i].value);
    memset(s, 0, sizeof *s);
}

char *part_file(const part *p, const char *name)
{
    return path_join(p->path, name);
}

char *part_arrays(const part *p, bool next)
{
    char name[40];
    snprintf(name, sizeof name, "work.%lld.npz", (long long)p->generation + next);
    return part_file(p, name);
}

bool part_is_there(const char *path)
{
    struct stat info;
    char *file = path_join(path, PART_FILE);
    const bool there = file && stat(file, &info) == 0;
    cn_free(file);
    return there;
}

/* ---- queries ---- */

static cn_status damaged(const part *p, cn_error *err)
{
    const bool memory = (sqlite3_errcode(p->db) & 0xff) == SQLITE_NOMEM;
    return cn_fail(err, memory ? CN_ENOMEM : CN_EFORMAT, "%s: the part is damaged: %s", p->path, sqlite3_errmsg(p->db));
}

cn_status part_query(const part *p, sqlite3_stmt **q, const char *sql, cn_error *err)
{
    return sqlite3_prepare_v2(p->db, sql, -1, q, NULL) == SQLITE_OK ? CN_OK : damaged(p, err);
}

cn_status part_step(const part *p, sqlite3_stmt *q, bool *more, cn_error *err)
{
    const int code = sqlite3_step(q);
    *more = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? CN_OK : damaged(p, err);
}

/* *out NULL: there is none. */
static cn_status meta_text(const part *p, const char *key, char **out, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    *out = NULL;
    CN_TRY(part_query(p, &q, "SELECT value FROM meta WHERE key = ?", err));
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    CN_TRY(part_step(p, q, &more, err));
    if (more && sqlite3_column_type(q, 0) != SQLITE_NULL) {
        const char *text = (const char *)sqlite3_column_text(q, 0);
        *out = text ? cn_strdup(text) : NULL;
        CN_CHECK(*out, CN_ENOMEM, "%s: out of memory", p->path);
    }
done:
    sqlite3_finalize(q);
    return st;
}

cn_status part_setting(const part *p, const char *key, char **out, cn_error *err)
{
    cn_status st = CN_OK;
    char full[64];
    snprintf(full, sizeof full, SETTING "%s", key);
    CN_TRY(meta_text(p, full, out, err));
    CN_CHECK(*out, CN_EFORMAT, "%s: the part is damaged: it has no setting %s", p->path, key);
done:
    return st;
}

cn_status part_setting_if_there(const part *p, const char *key, char **out, cn_error *err)
{
    char full[64];
    snprintf(full, sizeof full, SETTING "%s", key);
    return meta_text(p, full, out, err);
}

/* How far it is, as meta keeps it. */
static const struct {
    const char *key;
    size_t offset;  /* of a part */
    bool real;      /* double; else int64_t */
} fields[] = {
    {"generation", offsetof(part, generation), false},
    {"next", offsetof(part, state.next), false},
    {"images", offsetof(part, state.images), false},
    {"failed", offsetof(part, state.failed), false},
    {"labelled", offsetof(part, state.labelled), false},
    {"sample_file", offsetof(part, state.sample_file), false},
    {"sample_rows", offsetof(part, state.sample_rows), false},
    {"complete", offsetof(part, state.complete), false},
    {"runs", offsetof(part, state.runs), false},
    {"seconds", offsetof(part, state.seconds), true},
    {"network_seconds", offsetof(part, state.network_seconds), true},
};

static cn_status read_state(part *p, cn_error *err)
{
    cn_status st = CN_OK;
    const part_state *s = &p->state;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char *text;
        void *to = (char *)p + fields[i].offset;
        CN_TRY(meta_text(p, fields[i].key, &text, err));
        if (fields[i].real)
            *(double *)to = text ? strtod(text, NULL) : 0;
        else
            *(int64_t *)to = text ? strtoll(text, NULL, 10) : 0;
        cn_free(text);
    }
    CN_CHECK(p->generation >= 0 && s->images >= 0 && s->failed >= 0 && s->next == s->images + s->failed && s->labelled >= 0 &&
                 s->labelled <= s->images && s->sample_file >= 0 && s->sample_rows >= 0,
             CN_EFORMAT, "%s: damaged: it contradicts itself about how far it is", p->path);
done:
    return st;
}

static cn_status write_state(part *p, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const void *from = (const char *)p + fields[i].offset;
        CN_TRY(fields[i].real ? store_add(p->store, STORE_META_AGAIN, err, "td", fields[i].key, *(const double *)from)
                              : store_add(p->store, STORE_META_AGAIN, err, "ti", fields[i].key, *(const int64_t *)from));
    }
done:
    return st;
}

/* ---- opening ---- */

static cn_status lock(part *p, cn_error *err)
{
    cn_status st = CN_OK;
    char *file = part_file(p, "lock");
    CN_CHECK(file, CN_ENOMEM, "out of memory for a path");
    p->lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    CN_CHECK(p->lock >= 0, CN_EIO, "%s: %s", file, strerror(errno));
    CN_CHECK(flock(p->lock, LOCK_EX | LOCK_NB) == 0, CN_EINVAL, "%s: another scan works in it", p->path);
done:
    cn_free(file);
    return st;
}

static int pragma(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q = NULL;
    int value = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        value = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return value;
}

static cn_status check_kind(const part *p, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(pragma(p->db, "PRAGMA application_id") == SCHEMA_PART, CN_EFORMAT, "%s: is no part of a study", p->path);
    const int version = pragma(p->db, "PRAGMA user_version");
    CN_CHECK(version == CN_STUDY_SCHEMA, CN_EUNSUPPORTED, "%s: of schema %d, this program reads %d", p->path, version, CN_STUDY_SCHEMA);
done:
    return st;
}

/* Under another name first: who finds the file finds it whole. */
static cn_status create(part *p, const char *file, const part_settings *settings, cn_error *err)
{
    cn_status st = CN_OK;
    char key[64], *fresh = part_file(p, "new.sqlite");
    CN_CHECK(fresh, CN_ENOMEM, "out of memory for a path");
    CN_TRY(store_open(&p->store, fresh, STORE_PART, err));
    for (size_t i = 0; i < settings->count; i++) {
        snprintf(key, sizeof key, SETTING "%s", settings->items[i].key);
        CN_TRY(store_add(p->store, STORE_META, err, "tt", key, settings->items[i].value));
    }
    CN_TRY(store_commit(p->store, err));
    store_close(p->store);
    p->store = NULL;
    CN_CHECK(rename(fresh, file) == 0, CN_EIO, "%s: %s", file, strerror(errno));
done:
    cn_free(fresh);
    return st;
}

cn_status part_compare(const part *p, const part_settings *settings, cn_error *err)
{
    cn_status st = CN_OK;
    char *theirs = NULL;
    for (size_t i = 0; i < settings->count; i++) {
        const char *mine = settings->items[i].value;
        CN_TRY(part_setting(p, settings->items[i].key, &theirs, err));
        CN_CHECK(strcmp(theirs, mine) == 0, CN_EMISMATCH,
                 "%s: is of a scan with another %s (%.40s, not %.40s): begin anew with --restart, or choose another name", p->path,
                 settings->items[i].key, theirs, mine);
        cn_free(theirs);
        theirs = NULL;
    }
done:
    cn_free(theirs);
    return st;
}

/* Nothing opened yet. *file: its database's, owned by the caller. */
static cn_status make(part **out, const char *path, char **file, cn_error *err)
{
    cn_status st = CN_OK;
    part *p = cn_calloc(1, sizeof *p);
    CN_CHECK(p, CN_ENOMEM, "out of memory for a scan's folder");
    p->lock = -1;
    p->path = cn_strdup(path);
    *file = p->path ? part_file(p, PART_FILE) : NULL;
    CN_CHECK(*file, CN_ENOMEM, "out of memory for a path");
    *out = p, p = NULL;
done:
    part_close(p);
    return st;
}

cn_status part_begin(part **out, const char *path, const part_settings *settings, bool restart, cn_error *err)
{
    cn_status st = CN_OK;
    char *file = NULL;
    bool made = false;
    part *p = NULL;
    *out = NULL;
    CN_TRY(make(&p, path, &file, err));
    made = mkdir(path, 0777) == 0;
    CN_CHECK(made || errno == EEXIST, CN_EIO, "%s: cannot make a folder here: %s", path, strerror(errno));
    CN_TRY(lock(p, err));
    if (restart)
        folder_empty(path, "lock");
    if (!part_is_there(path)) {
        folder_empty(path, "lock"); /* a run that ended before it had a database */
        CN_TRY(create(p, file, settings, err));
    }
    CN_TRY(store_open(&p->store, file, STORE_PART_AGAIN, err));
    p->db = store_db(p->store);
    CN_TRY(check_kind(p, err));
    CN_TRY(part_compare(p, settings, err));
    CN_TRY(read_state(p, err));
    *out = p, p = NULL;
done:
    cn_free(file);
    if (made && st != CN_OK)
        part_remove(p);
    else
        part_close(p);
    return st;
}

cn_status part_read(part **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    char *file = NULL;
    part *p = NULL;
    *out = NULL;
    CN_TRY(make(&p, path, &file, err));
    CN_CHECK(part_is_there(path), CN_ENOTFOUND, "%s: no part of a study ('clipneuron scan --shard' makes them)", path);
    CN_TRY(reader_open(&p->db, file, err));
    CN_TRY(check_kind(p, err));
    CN_TRY(read_state(p, err));
    CN_CHECK(p->state.complete, CN_EINVAL, "%s: is not complete: its scan is at %lld pictures", path, (long long)p->state.next);
    *out = p, p = NULL;
done:
    cn_free(file);
    part_close(p);
    return st;
}

void part_suspend(part *p)
{
    if (p->store) /* its own connection, which stays */
        return;
    sqlite3_close(p->db);
    p->db = NULL;
}

cn_status part_resume(part *p, cn_error *err)
{
    cn_status st = CN_OK;
    char *file = NULL;
    if (p->db)
        return CN_OK;
    file = part_file(p, PART_FILE);
    CN_CHECK(file, CN_ENOMEM, "out of memory for a path");
    CN_TRY(reader_open(&p->db, file, err));
done:
    cn_free(file);
    return st;
}

/* ---- saving ---- */

cn_status part_commit(part *p, cn_error *err)
{
    cn_status st = CN_OK;
    char *old = part_arrays(p, false);
    CN_CHECK(old, CN_ENOMEM, "out of memory for a path");
    p->generation++;
    st = write_state(p, err);
    if (st == CN_OK)
        st = store_commit(p->store, err);
    if (st != CN_OK)
        p->generation--;
    else if (p->generation > 1)
        unlink(old);
done:
    cn_free(old);
    return st;
}

void part_close(part *p)
{
    if (!p)
        return;
    if (p->store)
        store_close(p->store);
    else
        sqlite3_close(p->db);
    if (p->lock >= 0)
        close(p->lock);
    cn_free(p->path);
    cn_free(p);
}

void part_remove(part *p)
{
    if (!p)
        return;
    char *path = p->path;
    p->path = NULL;
    part_close(p);
    if (path) {
        folder_empty(path, NULL);
        rmdir(path);
    }
    cn_free(path);
}
