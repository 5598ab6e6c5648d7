/* study/carried.c -- rows from one study's tables into those of another of the same model. */
#include "study/carried.h"

#include "clipneuron/find.h"
#include "study/reader.h"
#include "study/schema.h"
#include "study/store.h"

#include <stddef.h>
#include <stdio.h>

#define PROGRAM_METHODS "(?1, ?2, ?3, ?4)" /* of cn_name_method: bound wherever a statement has parameters */
#define META(schema, key) "ifnull((SELECT value FROM " schema ".meta WHERE key = '" key "'), '')"
#define SAME_IN_META(key) META("old", key) " = " META("main", key)

/* How things are called in the new study. What it does not have is not in these tables. */
static const char numbers[] =
    "CREATE TEMP TABLE site_numbers AS SELECT o.id AS old, n.id AS fresh FROM old.sites o JOIN main.sites n ON n.name = o.name AND n.units = o.units;";
/* The picture with the same bytes: of several the one of the same name. */
static const char image_numbers[] =
    "CREATE TEMP TABLE image_numbers AS SELECT r.image AS old, o.path AS path,"
    " ifnull((SELECT min(n.id) FROM main.images n WHERE n.digest = o.digest AND n.path = o.path),"
    " (SELECT min(n.id) FROM main.images n WHERE n.digest = o.digest)) AS fresh"
    " FROM (SELECT DISTINCT image FROM old.ratings) r JOIN old.images o ON o.id = r.image;";

static const struct kind {
    const char *table, *one, *many;
    size_t offset; /* in cn_scan_kept */
    const char *schema, *count, *insert;
} kinds[] = {
    /* Where copies of a picture came to be one, the answer to the one that kept its name counts. */
    {"ratings", "answer", "answers", offsetof(cn_scan_kept, answers), SCHEMA_RATINGS, "SELECT count(*) FROM old.ratings",
     "INSERT OR IGNORE INTO main.ratings (site, unit, image, rater, category, created)"
     " SELECT s.fresh, r.unit, i.fresh, r.rater, r.category, r.created FROM old.ratings r JOIN site_numbers s ON s.old = r.site"
     " JOIN image_numbers i ON i.old = r.image JOIN main.images n ON n.id = i.fresh ORDER BY n.path <> i.path"},
    {"rating_categories", "category", "categories", offsetof(cn_scan_kept, categories), SCHEMA_RATINGS, "SELECT count(*) FROM old.rating_categories",
     "INSERT INTO main.rating_categories (site, unit, rank, category)"
     " SELECT s.fresh, c.unit, c.rank, c.category FROM old.rating_categories c JOIN site_numbers s ON s.old = c.site"},
    {"notes", "note", "notes", offsetof(cn_scan_kept, notes), "", "SELECT count(*) FROM old.notes",
     "INSERT INTO main.notes (site, unit, created, author, note) SELECT s.fresh, n.unit, n.created, n.author, n.note FROM old.notes n"
     " LEFT JOIN site_numbers s ON s.old = n.site WHERE n.site IS NULL OR s.fresh IS NOT NULL ORDER BY n.id"},
    {"unit_names", "name", "names", offsetof(cn_scan_kept, names), SCHEMA_UNIT_NAMES,
     "SELECT count(*) FROM old.unit_names WHERE method NOT IN " PROGRAM_METHODS,
     "INSERT INTO main.unit_names (site, unit, method, name, score, heldout, heldout_z, auc, template, words, pictures, created)"
     " SELECT s.fresh, u.unit, u.method, u.name, u.score, u.heldout, u.heldout_z, u.auc, u.template, u.words, u.pictures, u.created"
     " FROM old.unit_names u JOIN site_numbers s ON s.old = u.site WHERE u.method NOT IN " PROGRAM_METHODS},
    /* Their values are the study's own summary of the network that it was scanned with. */
    {"visualisations", "visualisation", "visualisations", offsetof(cn_scan_kept, visualisations), SCHEMA_VISUALISATIONS,
     "SELECT count(*) FROM old.visualisations",
     "INSERT INTO main.visualisations (site, unit, facet, objective, settings, value, path, blocks, png)"
     " SELECT s.fresh, v.unit, v.facet, v.objective, v.settings, v.value, v.path, v.blocks, v.png FROM old.visualisations v"
     " JOIN site_numbers s ON s.old = v.site WHERE " SAME_IN_META("reduce") " AND " SAME_IN_META("edits")},
    /* What commands computed of the old pictures says nothing of the new ones. */
    {"unit_names", NULL, NULL, offsetof(cn_scan_kept, results), NULL, "SELECT count(*) FROM old.unit_names WHERE method IN " PROGRAM_METHODS, NULL},
    {"multimodal", NULL, NULL, offsetof(cn_scan_kept, results), NULL, "SELECT count(*) FROM old.multimodal", NULL},
    {"unit_families", NULL, NULL, offsetof(cn_scan_kept, results), NULL, "SELECT count(*) FROM old.unit_families", NULL},
    {"unit_classes", NULL, NULL, offsetof(cn_scan_kept, results), NULL, "SELECT count(*) FROM old.unit_classes", NULL},
    {"readers", NULL, NULL, offsetof(cn_scan_kept, results), NULL, "SELECT count(*) FROM old.readers", NULL},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static int64_t *number(cn_scan_kept *k, size_t kind)
{
    return (int64_t *)(void *)((char *)k + kinds[kind].offset);
}

static cn_status failed(sqlite3 *db, const char *study, cn_error *err)
{
    const cn_status st = (sqlite3_errcode(db) & 0xff) == SQLITE_NOMEM ? CN_ENOMEM : CN_EIO;
    return cn_fail(err, st, "%s: what people made in it cannot be carried over: %s: move it away, or try again", study, sqlite3_errmsg(db));
}

/* Runs the statement; *value is its only row's, where there is one. */
static cn_status run(sqlite3 *db, const char *sql, const char *text, int64_t *value, const char *study, cn_error *err)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
    for (int i = 0; code == SQLITE_OK && i < sqlite3_bind_parameter_count(q); i++)
        code = sqlite3_bind_text(q, i + 1, text ? text : cn_name_method_text((cn_name_method)i), -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(q);
    if (code == SQLITE_ROW && value)
        *value = sqlite3_column_int64(q, 0);
    const cn_status st = code == SQLITE_ROW || code == SQLITE_DONE ? CN_OK : failed(db, study, err);
    sqlite3_finalize(q);
    return st;
}

static cn_status carry(sqlite3 *db, size_t i, carried *c, const char *study, cn_error *err)
{
    const struct kind *k = &kinds[i];
    cn_status st = CN_OK;
    int64_t there = 0, rows = 0, taken = 0;
    CN_TRY(run(db, "SELECT count(*) FROM old.sqlite_master WHERE type = 'table' AND name = ?", k->table, &there, study, err));
    if (there)
        CN_TRY(run(db, k->count, NULL, &rows, study, err));
    if (rows == 0)
        goto done;
    if (k->insert) {
        if (i == 0)
            CN_TRY(run(db, image_numbers, NULL, NULL, study, err));
        if (sqlite3_exec(db, k->schema, NULL, NULL, NULL) != SQLITE_OK)
            CN_TRY(failed(db, study, err));
        CN_TRY(run(db, k->insert, NULL, NULL, study, err));
        taken = sqlite3_changes(db);
    }
    *number(&c->taken, i) += taken;
    *number(&c->left, i) += rows - taken;
done:
    return st;
}

/* "3 of 120 answers, 1 of 2 notes"; "" when nothing is left behind that somebody made. */
static void describe(carried *c, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < KINDS && at < room; i++) {
        const int64_t left = kinds[i].insert ? *number(&c->left, i) : 0, all = left + *number(&c->taken, i);
        if (left)
            at += (size_t)snprintf(text + at, room - at, "%s%lld of %lld %s", at ? ", " : "", (long long)left, (long long)all,
                                   all == 1 ? kinds[i].one : kinds[i].many);
    }
}

static cn_status carry_all(sqlite3 *db, carried *c, const char *old, const char *study, bool discard, cn_error *err)
{
    cn_status st = CN_OK;
    char lost[256];
    CN_TRY(run(db, "ATTACH ? AS old", old, NULL, study, err));
    CN_TRY(run(db, "PRAGMA temp_store = MEMORY", NULL, NULL, study, err));
    CN_TRY(run(db, "BEGIN", NULL, NULL, study, err));
    CN_TRY(run(db, numbers, NULL, NULL, study, err));
    for (size_t i = 0; i < KINDS; i++)
        CN_TRY(carry(db, i, c, study, err));
    describe(c, lost, sizeof lost);
    CN_CHECK(!*lost || discard, CN_EINVAL,
             "%s: replacing it would lose %s, which the new study has no place for: move it away, or give --discard (no picture is run again)",
             study, lost);
    CN_TRY(run(db, "COMMIT", NULL, NULL, study, err));
done:
    return st;
}

cn_status carried_over(carried *c, const char *fresh, const char *old, const char *study, bool discard, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3 *db = NULL;
    *c = (carried){0};
    CN_TRY(reader_open_writable(&c->lock, old, err));
    CN_TRY(run(c->lock, "BEGIN IMMEDIATE", NULL, NULL, study, err));
    CN_TRY(reader_open_writable(&db, fresh, err));
    CN_TRY(carry_all(db, c, old, study, discard, err));
done:
    sqlite3_close(db); /* what was not committed is gone */
    return st;
}

void carried_end(carried *c)
{
    sqlite3_close(c->lock);
    c->lock = NULL;
}
