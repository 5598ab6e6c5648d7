/* study/summary.c -- what a study is made of: counts, labels, reasons, runs, bytes. */
#include "clipneuron/ask.h"

#include "base/memory.h"
#include "base/path.h"
#include "study/reader.h"
#include "study/kept.h"
#include "study/summary.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static cn_status count_rows(cn_study *s, const char *sql, int64_t *out, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    CN_TRY(reader_query(s, &q, err, sql, ""));
    CN_TRY(reader_step(s, q, &more, err));
    *out = more ? sqlite3_column_int64(q, 0) : 0;
done:
    sqlite3_finalize(q);
    return st;
}

static int64_t bytes_on_disk(const char *folder, const char *name)
{
    struct stat info;
    char *path = path_join(folder, name);
    const bool there = path && stat(path, &info) == 0 && S_ISREG(info.st_mode);
    cn_free(path);
    return there ? (int64_t)info.st_size : 0;
}

static void measure(const char *folder, cn_study_summary *out)
{
    DIR *dir = opendir(folder);
    out->database_bytes = bytes_on_disk(folder, "study.sqlite");
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        const size_t length = strlen(e->d_name);
        if (length > 4 && strcmp(e->d_name + length - 4, ".npy") == 0)
            out->matrix_bytes += bytes_on_disk(folder, e->d_name);
    }
    closedir(dir);
}

cn_status cn_study_summarise(cn_study *s, cn_study_summary *out, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more, has;
    memset(out, 0, sizeof *out);
    CN_TRY(count_rows(s, "SELECT count(*) FROM images WHERE same_as IS NOT NULL", &out->duplicates, err));
    CN_TRY(count_rows(s, "SELECT count(*) FROM notes", &out->notes, err));
    CN_TRY(kept_has(s, "visualisations", &has, err));
    if (has)
        CN_TRY(count_rows(s, "SELECT count(*) FROM visualisations", &out->visualisations, err));
    for (size_t i = 0; i < s->n_sites; i++)
        out->dead += s->sites[i].dead;
    CN_TRY(reader_query(s, &q, err, "SELECT value FROM meta WHERE key = 'matrices'", ""));
    CN_TRY(reader_step(s, q, &more, err));
    const char *matrices = more ? (const char *)sqlite3_column_text(q, 0) : NULL;
    snprintf(out->matrices, sizeof out->matrices, "%s", matrices ? matrices : "none");
    measure(s->path, out);
done:
    sqlite3_finalize(q);
    return st;
}

/* ---- lists ---- */

static cn_status read_tally(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_tally *t = row;
    (void)s, (void)context, (void)err;
    t->name = results_text(list, q, 0, ok);
    t->count = sqlite3_column_int64(q, 1);
    return CN_OK;
}

static const size_t tally_pointers[] = {offsetof(cn_tally, name)};
const row_kind summary_tallies = {sizeof(cn_tally), tally_pointers, COUNT(tally_pointers), read_tally};

cn_status cn_study_tallies(cn_study *s, cn_tally_kind kind, cn_tally **out, size_t *n, cn_error *err)
{
    static const char *const sql[] = {
        [CN_TALLY_LABEL] = "SELECT name, images FROM labels ORDER BY name",
        [CN_TALLY_MEDIUM] = "SELECT name, images FROM media ORDER BY name",
        [CN_TALLY_REASON] = "SELECT reason, count(*) FROM failures GROUP BY reason ORDER BY 2 DESC, 1",
    };
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block;
    *out = NULL;
    *n = 0;
    CN_CHECK((size_t)kind < COUNT(sql), CN_EINVAL, "no such kind of tally");
    CN_TRY(reader_query(s, &q, err, sql[kind], ""));
    CN_TRY(reader_rows(s, q, &summary_tallies, NULL, &block, n, err));
    *out = block;
done:
    return st;
}

void cn_tallies_free(cn_tally *list)
{
    cn_free(list);
}

static cn_status read_run(const cn_study *s, sqlite3_stmt *q, results *list, void *row, const void *context, bool *ok, cn_error *err)
{
    cn_run *r = row;
    (void)s, (void)context, (void)err;
    r->started = results_text(list, q, 0, ok);
    r->seconds = sqlite3_column_double(q, 1);
    r->images = sqlite3_column_int64(q, 2);
    r->failed = sqlite3_column_int64(q, 3);
    r->shard = results_text(list, q, 4, ok);
    r->program = results_text(list, q, 5, ok);
    r->backend = results_text(list, q, 6, ok);
    return CN_OK;
}

cn_status cn_study_runs(cn_study *s, cn_run **out, size_t *n, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_run, started), offsetof(cn_run, shard), offsetof(cn_run, program),
                                      offsetof(cn_run, backend)};
    static const row_kind rows = {sizeof(cn_run), pointers, COUNT(pointers), read_run};
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    void *block;
    *out = NULL;
    *n = 0;
    CN_TRY(reader_query(s, &q, err, "SELECT started, seconds, images, failed, shard, program, backend FROM runs ORDER BY id", ""));
    CN_TRY(reader_rows(s, q, &rows, NULL, &block, n, err));
    *out = block;
done:
    return st;
}

void cn_runs_free(cn_run *list)
{
    cn_free(list);
}
