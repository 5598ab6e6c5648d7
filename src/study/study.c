/* study/study.c -- opens a study and answers what it is about. units.c answers about units. */
#include "study/reader.h"

#include "base/memory.h"
#include "base/path.h"
#include "clip/sitenames.h"
#include "study/part.h"
#include "study/reduction.h"
#include "study/schema.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- queries ---- */

static cn_status damaged(cn_study *s, cn_error *err)
{
    int code = sqlite3_errcode(s->db) & 0xff;
    if (code == SQLITE_NOMEM)
        return cn_fail(err, CN_ENOMEM, "%s: out of memory for a query", s->path);
    if (code == SQLITE_IOERR || code == SQLITE_BUSY || code == SQLITE_CANTOPEN)
        return cn_fail(err, CN_EIO, "%s: %s", s->path, sqlite3_errmsg(s->db));
    return cn_fail(err, CN_EFORMAT, "%s: the study is damaged: %s", s->path, sqlite3_errmsg(s->db));
}

cn_status reader_query(cn_study *s, sqlite3_stmt **q, cn_error *err, const char *sql, const char *binds, ...)
{
    va_list args;
    if (sqlite3_prepare_v2(s->db, sql, -1, q, NULL) != SQLITE_OK)
        return damaged(s, err);
    va_start(args, binds);
    for (int i = 0; binds[i]; i++)
        sqlite3_bind_int64(*q, i + 1, va_arg(args, int64_t));
    va_end(args);
    return CN_OK;
}

cn_status reader_step(cn_study *s, sqlite3_stmt *q, bool *more, cn_error *err)
{
    int code = sqlite3_step(q);
    *more = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? CN_OK : damaged(s, err);
}

cn_status reader_rows(cn_study *s, sqlite3_stmt *q, const row_kind *kind, const void *context, void **out, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    results list = {0};
    bool more, ok = true;
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        void *row = results_add(&list, kind->size);
        CN_CHECK(row, CN_ENOMEM, "%s: out of memory for rows", s->path);
        CN_TRY(kind->read(s, q, &list, row, context, &ok, err));
        CN_CHECK(ok, CN_ENOMEM, "%s: out of memory for rows", s->path);
    }
    CN_TRY(results_finish(&list, kind->pointers, kind->n_pointers, out, n, err));
done:
    sqlite3_finalize(q);
    results_discard(&list);
    return st;
}

cn_status reader_check_unit(const cn_study *s, cn_unit_ref ref, cn_error *err)
{
    if (ref.site >= s->n_sites)
        return cn_fail(err, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, ref.site, s->n_sites);
    const cn_study_site *site = &s->sites[ref.site];
    if (ref.unit < 0 || ref.unit >= site->units)
        return cn_fail(err, CN_EINVAL, "%s: unit %" PRId64 ": %s has units 0 to %" PRId64, s->path, ref.unit,
                       site->short_name, site->units - 1);
    return CN_OK;
}

/* ---- opening ---- */

static cn_status keep_string(cn_study *s, const char *text, const char **out, cn_error *err)
{
    cn_status st = CN_OK;
    if (s->n_strings == s->strings_room) {
        size_t room = s->strings_room ? 2 * s->strings_room : 32;
        char **grown = cn_reallocarray(s->strings, room, sizeof *grown);
        CN_CHECK(grown, CN_ENOMEM, "out of memory for a study");
        s->strings = grown;
        s->strings_room = room;
    }
    char *copy = cn_strdup(text);
    CN_CHECK(copy, CN_ENOMEM, "out of memory for a study");
    s->strings[s->n_strings++] = copy;
    *out = copy;
done:
    return st;
}

static cn_status read_meta(cn_study *s, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    const char *reduce = "";
    cn_study_info *i = &s->info;
    struct {
        const char *key;
        const char **text;
        int64_t *number;
        int *small;
        double *real;
    } fields[] = {
        {"model_name", .text = &i->model_name},
        {"model_file", .text = &i->model_file},
        {"fingerprint", .text = &i->fingerprint},
        {"collection", .text = &i->collection},
        {"collection_name", .text = &i->collection_name},
        {"created", .text = &i->created},
        {"program", .text = &i->program},
        {"backend", .text = &i->backend},
        {"precision", .text = &i->precision},
        {"edits", .text = &i->edits},
        {"word_template", .text = &i->word_template},
        {"reduce", .text = &reduce},
        {"resolution", .small = &i->resolution},
        {"thumbnail", .small = &i->thumbnail},
        {"embedding", .small = &i->embedding},
        {"buckets", .small = &i->buckets},
        {"images", .number = &i->images},
        {"failed", .number = &i->failed},
        {"labelled", .number = &i->labelled},
        {"words", .number = &i->words},
        {"unknown_words", .number = &i->unknown_words},
        {"seconds", .real = &i->seconds},
    };
    size_t n = sizeof fields / sizeof *fields;
    for (size_t k = 0; k < n; k++)
        if (fields[k].text)
            *fields[k].text = "";
    i->word_template = NULL;
    CN_TRY(reader_query(s, &q, err, "SELECT key, value FROM meta", ""));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const char *key = (const char *)sqlite3_column_text(q, 0),
                   *text = (const char *)sqlite3_column_text(q, 1);
        for (size_t k = 0; key && text && k < n; k++) {
            if (strcmp(key, fields[k].key) != 0)
                continue;
            if (fields[k].text)
                CN_TRY(keep_string(s, text, fields[k].text, err));
            if (fields[k].number)
                *fields[k].number = sqlite3_column_int64(q, 1);
            if (fields[k].small)
                *fields[k].small = sqlite3_column_int(q, 1);
            if (fields[k].real)
                *fields[k].real = sqlite3_column_double(q, 1);
        }
    }
    CN_CHECK(*i->fingerprint && *reduce && i->resolution > 0 && i->images >= 0 && i->buckets > 0, CN_EFORMAT,
             "%s: the study is damaged: facts are missing from its table meta", s->path);
    CN_CHECK(reduction_named(&i->reduce, reduce), CN_EUNSUPPORTED, "%s: a study with --reduce \"%.60s\", which this program does not know", s->path,
             reduce);
    sqlite3_finalize(q);
    q = NULL;
    CN_TRY(
        reader_query(s, &q, err, "SELECT (SELECT count(*) FROM labels), (SELECT count(*) FROM media)", ""));
    CN_TRY(reader_step(s, q, &more, err));
    i->labels = sqlite3_column_int64(q, 0);
    i->media = sqlite3_column_int64(q, 1);
done:
    sqlite3_finalize(q);
    return st;
}

static cn_status read_sites(cn_study *s, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    s->sites = cn_calloc(CN_MAX_STUDY_SITES, sizeof *s->sites);
    CN_CHECK(s->sites, CN_ENOMEM, "out of memory for a study");
    CN_TRY(reader_query(s, &q, err,
                        "SELECT id, name, layout, units, height, width,"
                        " (SELECT count(*) FROM units WHERE site = sites.id AND dead) FROM sites ORDER BY id",
                        ""));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        CN_CHECK(s->n_sites < CN_MAX_STUDY_SITES && sqlite3_column_int64(q, 0) == (int64_t)s->n_sites,
                 CN_EFORMAT, "%s: the study is damaged: its sites are not numbered 0, 1, 2...", s->path);
        cn_study_site *site = &s->sites[s->n_sites];
        const char *name = (const char *)sqlite3_column_text(q, 1),
                   *layout = (const char *)sqlite3_column_text(q, 2);
        site->units = sqlite3_column_int64(q, 3);
        site->height = sqlite3_column_int64(q, 4);
        site->width = sqlite3_column_int64(q, 5);
        site->dead = sqlite3_column_int64(q, 6);
        CN_CHECK(name && layout && site->units > 0 && site->units < INT32_MAX && site->height >= 0 &&
                     site->height < 32768 && site->width >= 0 && site->width < 32768,
                 CN_EFORMAT, "%s: the study is damaged: site %zu", s->path, s->n_sites);
        site->layout = strcmp(layout, "map") == 0      ? CN_SITE_MAP
                       : strcmp(layout, "tokens") == 0 ? CN_SITE_TOKENS
                                                       : CN_SITE_VECTOR;
        CN_TRY(keep_string(s, name, &site->name, err));
        site->short_name = strncmp(site->name, "visual.", 7) == 0 ? site->name + 7 : site->name;
        s->n_sites++;
    }
    CN_CHECK(s->n_sites > 0, CN_EFORMAT, "%s: the study is damaged: it has no site", s->path);
done:
    sqlite3_finalize(q);
    return st;
}

static cn_status check_kind(cn_study *s, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    CN_TRY(reader_query(s, &q, err, "PRAGMA application_id", ""));
    CN_TRY(reader_step(s, q, &more, err));
    CN_CHECK(more && sqlite3_column_int(q, 0) == SCHEMA_APPLICATION, CN_EFORMAT, "%s: is no study", s->path);
    sqlite3_finalize(q);
    q = NULL;
    CN_TRY(reader_query(s, &q, err, "PRAGMA user_version", ""));
    CN_TRY(reader_step(s, q, &more, err));
    int version = sqlite3_column_int(q, 0);
    CN_CHECK(version == CN_STUDY_SCHEMA, CN_EUNSUPPORTED, "%s: a study of schema %d, this program reads %d",
             s->path, version, CN_STUDY_SCHEMA);
done:
    sqlite3_finalize(q);
    return st;
}

char *reader_file(const char *path)
{
    return path_join(path, SCHEMA_FILE);
}

static cn_status open_database(sqlite3 **db, const char *file, int flags, cn_error *err)
{
    const int code = sqlite3_open_v2(file, db, flags, NULL);
    if (code != SQLITE_OK)
        return cn_fail(err, CN_EIO, "%s: %s", file, *db ? sqlite3_errmsg(*db) : sqlite3_errstr(code));
    sqlite3_busy_timeout(*db, 10000);                            /* somebody may keep a visualisation at this moment */
    sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL); /* a study may come from a stranger */
    return CN_OK;
}

cn_status reader_open_writable(sqlite3 **db, const char *file, cn_error *err)
{
    return open_database(db, file, SQLITE_OPEN_READWRITE, err);
}

/* A program that died while it kept a visualisation leaves a journal, which only a connection that may write can roll back. */
static void finish_interrupted_write(const char *file)
{
    const size_t size = strlen(file) + sizeof "-journal";
    char *journal = cn_malloc(size);
    struct stat info;
    sqlite3 *db = NULL;
    if (!journal)
        return;
    snprintf(journal, size, "%s-journal", file);
    if (stat(journal, &info) == 0 && reader_open_writable(&db, file, NULL) == CN_OK)
        sqlite3_exec(db, "PRAGMA schema_version", NULL, NULL, NULL); /* reading rolls it back; what fails is reported by who reads next */
    sqlite3_close(db);
    cn_free(journal);
}

cn_status reader_open(sqlite3 **db, const char *file, cn_error *err)
{
    finish_interrupted_write(file);
    const cn_status st = open_database(db, file, SQLITE_OPEN_READONLY, err);
    if (st == CN_OK)
        sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL); /* no writing, bounded work */
    return st;
}

cn_status cn_study_open(cn_study **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    char *file = NULL;
    struct stat info;
    cn_study *s = cn_calloc(1, sizeof *s);
    *out = NULL;
    CN_CHECK(s, CN_ENOMEM, "out of memory for a study");
    s->path = cn_strdup(path);
    file = reader_file(path);
    CN_CHECK(s->path && file, CN_ENOMEM, "out of memory for a study");
    s->info.path = s->path;
    CN_CHECK(stat(path, &info) == 0, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", path,
             strerror(errno));
    CN_CHECK(S_ISDIR(info.st_mode), CN_EINVAL, "%s: is not a folder: a study is the folder that scan makes",
             path);
    CN_CHECK(!part_is_there(path), CN_EINVAL, "%s: is a part of a study: 'clipneuron merge' puts parts together", path);
    CN_CHECK(stat(file, &info) == 0, CN_ENOTFOUND, "%s: is no study: it has no " SCHEMA_FILE, path);
    CN_TRY(reader_open(&s->db, file, err));
    CN_TRY(check_kind(s, err));
    CN_TRY(read_meta(s, err));
    CN_TRY(read_sites(s, err));
    *out = s, s = NULL;
done:
    cn_free(file);
    cn_study_close(s);
    return st;
}

void cn_study_close(cn_study *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    for (size_t i = 0; i < s->n_strings; i++)
        cn_free(s->strings[i]);
    cn_free(s->strings);
    cn_free(s->sites);
    cn_free(s->path);
    cn_free(s);
}

const cn_study_info *cn_study_get_info(const cn_study *s)
{
    return &s->info;
}

size_t cn_study_site_count(const cn_study *s)
{
    return s->n_sites;
}

const cn_study_site *cn_study_site_at(const cn_study *s, size_t i)
{
    return i < s->n_sites ? &s->sites[i] : NULL;
}

cn_status cn_study_check_model(const cn_study *s, const cn_model *model, cn_error *err)
{
    cn_status st = CN_OK;
    char hex[65];
    CN_TRY(cn_model_fingerprint(model, hex, err));
    CN_CHECK(strcmp(hex, s->info.fingerprint) == 0, CN_EMISMATCH,
             "%s: is a study of another model (%.12s, not %.12s)", s->path, s->info.fingerprint, hex);
done:
    return st;
}

/* ---- names of units ---- */

/* "layer4" stands for "layer4.3.add": whole parts, from the front. Users write _ and / for dots, too. */
static bool names_site(const cn_study_site *site, const char *name, size_t length, bool *exact)
{
    for (int k = 0; k < 2; k++) {
        const char *full = k ? site->short_name : site->name;
        size_t i = 0;
        while (i < length && full[i] && (full[i] == name[i] || (full[i] == '.' && strchr("_/", name[i]))))
            i++;
        if (i == length && (full[i] == '\0' || full[i] == '.')) {
            *exact = full[i] == '\0';
            return true;
        }
    }
    return false;
}

/* The other names that a model's sites have: image_block_4/5/Add_6. */
static bool find_alias(const cn_study *s, const char *text, size_t length, size_t *site)
{
    char wanted[CLIP_MAX_SITE_NAME + 1];
    const char *names[CN_MAX_STUDY_SITES];
    if (length > CLIP_MAX_SITE_NAME || s->n_sites > CN_MAX_STUDY_SITES)
        return false;
    memcpy(wanted, text, length);
    wanted[length] = '\0';
    for (size_t i = 0; i < s->n_sites; i++)
        names[i] = s->sites[i].name;
    return clip_site_lookup(names, s->n_sites, NULL, wanted, site, NULL) == CN_OK;
}

static void list_sites(const cn_study *s, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < s->n_sites && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%s", i ? ", " : "", s->sites[i].short_name);
}

cn_status cn_study_parse_unit(const cn_study *s, const char *text, size_t *site, int64_t *unit, cn_error *err)
{
    cn_status st = CN_OK;
    char sites[512];
    const char *colon = strrchr(text, ':'), *digits = colon ? colon + 1 : text;
    bool number = *digits != '\0', found = false;
    for (const char *c = digits; *c; c++)
        number = number && isdigit((unsigned char)*c);
    *site = 0;
    *unit = -1;
    CN_CHECK(number || !colon, CN_EINVAL, "\"%s\": a unit is written SITE:NUMBER", text);
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    if (number && !colon)
        length = 0;
    for (size_t i = 0; length && i < s->n_sites; i++) {
        bool exact;
        if (!names_site(&s->sites[i], text, length, &exact))
            continue;
        list_sites(s, sites, sizeof sites);
        CN_CHECK(!found || exact, CN_EINVAL, "\"%s\" could be several sites of the study: %s", text, sites);
        *site = i;
        found = true;
        if (exact)
            break;
    }
    if (length && !found)
        found = find_alias(s, text, length, site);
    if (length && !found) {
        list_sites(s, sites, sizeof sites);
        st = cn_fail(err, CN_ENOTFOUND, "\"%.*s\" is no site of the study, which has %s", (int)length, text,
                     sites);
        goto done;
    }
    if (number) {
        errno = 0;
        *unit = strtoll(digits, NULL, 10);
        CN_CHECK(errno == 0 && *unit < s->sites[*site].units, CN_EINVAL, "\"%s\": %s has units 0 to %" PRId64,
                 text, s->sites[*site].short_name, s->sites[*site].units - 1);
    }
done:
    return st;
}
