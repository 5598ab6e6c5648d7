/* What people made in a study is in the one that replaces it, or the study is not replaced. */
#include "clipneuron/rating.h"
#include "dump.h"
#include "fake.h"
#include "tempdir.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EACH = 6, IMAGES = 2 * EACH };

static char *dir;

static sqlite3 *open_database(void)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db), SQLITE_OK);
    return db;
}

static void sql(const char *text)
{
    sqlite3 *db = open_database();
    char *why = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(db);
}

/* The query's only value is this text. */
static void says(const char *query, const char *expected)
{
    sqlite3 *db = open_database();
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_prepare_v2(db, query, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(q, 0);
    assert_string_equal(text ? text : "", expected);
    sqlite3_finalize(q);
    sqlite3_close(db);
}

/* A study of twelve pictures, and what two people and some commands left in it. */
static int setup(void **state)
{
    (void)state;
    dir = tempdir_make();
    fake_collection(dir, EACH);
    fake_scan(dir, "study", &(cn_scan_options){.no_words = true}, NULL);
    sql("CREATE TABLE rating_categories (site INTEGER, unit INTEGER, rank INTEGER, category TEXT);"
        "INSERT INTO rating_categories VALUES (0, 2, 0, 'warm'), (0, 2, 1, 'other');"
        "CREATE TABLE ratings (site INTEGER, unit INTEGER, image INTEGER, rater TEXT, category TEXT, created TEXT);"
        "INSERT INTO ratings SELECT 0, 2, id, 'anna', 'warm', '2026-01-01' FROM images WHERE path IN ('red/000.png', 'green/003.png');"
        "INSERT INTO ratings SELECT 0, 2, id, 'ben', 'other', '2026-01-02' FROM images WHERE path = 'red/000.png';"
        "INSERT INTO notes VALUES (1, 2, 4, '2026-01-03', 'anna', 'of the last site'), (2, NULL, NULL, '2026-01-04', NULL, 'of the study');"
        "CREATE TABLE unit_names (site, unit, method, name, score, heldout, heldout_z, auc, template, words, pictures, created);"
        "INSERT INTO unit_names VALUES (0, 1, 'anna', 'grass', 1, 0, 0, 0, NULL, NULL, NULL, '2026-01-05'),"
        " (0, 1, 'consensus', 'meadow', 1, 0.1, 1, 0.7, '{}', 10, 6, '2026-01-06');"
        "CREATE TABLE visualisations (site, unit, facet, objective, settings, value, path, blocks, png);"
        "INSERT INTO visualisations VALUES (1, 3, 'text', 'tokens:3', 'steps 512', 2.5, 0.75, '{}', x'89504e47');");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tempdir_remove(dir);
    return 0;
}

static cn_status scan(size_t sites, cn_scan_options o, cn_scan_result *result, cn_error *err)
{
    source s;
    memset(err, 0, sizeof *err);
    o.no_words = true;
    fake_open(&s, "f00d", 8);
    s.n_sites = sites;
    const cn_status st = scan_source(&s, tempdir_path(dir, "pics"), tempdir_path(dir, "study"), &o, result, err);
    s.close(&s);
    return st;
}

static void must_scan(size_t sites, cn_scan_options o, cn_scan_result *result)
{
    cn_error err;
    if (scan(sites, o, result, &err) != CN_OK)
        fail_msg("%s", err.text);
}

static void must_refuse(size_t sites, cn_scan_options o, const char *says_what)
{
    cn_error err;
    assert_int_equal(scan(sites, o, NULL, &err), CN_EINVAL);
    if (!strstr(err.text, says_what))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says_what);
    assert_non_null(strstr(err.text, "give --discard"));
    assert_null(strchr(err.text, '\n'));
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(tempdir_path(dir, from), tempdir_path(dir, to)), 0);
}

static void copy(const char *from, const char *to)
{
    size_t size;
    char *data = tempdir_read(tempdir_path(dir, from), &size);
    tempdir_write(dir, to, data, size);
    free(data);
}

static void what_people_made_is_in_the_new_study(void **state)
{
    (void)state;
    cn_scan_result r;
    copy("pics/green/001.png", "pics/aaa.png"); /* a picture more: all numbers change */
    must_scan(3, (cn_scan_options){.force = true, .seed = 9}, &r);
    says("SELECT value FROM meta WHERE key = 'seed'", "9");
    says("SELECT group_concat(i.path || ' ' || r.rater || ' ' || r.category || ' ' || r.created, ', ') FROM (SELECT * FROM ratings ORDER BY rater, image) r"
         " JOIN images i ON i.id = r.image",
         "green/003.png anna warm 2026-01-01, red/000.png anna warm 2026-01-01, red/000.png ben other 2026-01-02");
    says("SELECT group_concat(category) FROM (SELECT * FROM rating_categories WHERE site = 0 AND unit = 2 ORDER BY rank)", "warm,other");
    says("SELECT group_concat(ifnull(site, '-') || ' ' || ifnull(author, '-') || ' ' || note) FROM notes", "2 anna of the last site,- - of the study");
    says("SELECT group_concat(method || ' ' || name) FROM unit_names", "anna grass"); /* `name` is to make its own again */
    says("SELECT site || ' ' || unit || ' ' || facet || ' ' || value || ' ' || path || ' ' || hex(png) FROM visualisations", "1 3 text 2.5 0.75 89504E47");
    assert_int_equal(r.carried.answers, 3);
    assert_int_equal(r.carried.categories, 2);
    assert_int_equal(r.carried.notes, 2);
    assert_int_equal(r.carried.names, 1);
    assert_int_equal(r.carried.visualisations, 1);
    assert_int_equal(r.left_out.answers + r.left_out.categories + r.left_out.notes + r.left_out.names + r.left_out.visualisations, 0);
    assert_int_equal(r.left_out.results, 1);
    assert_int_equal(tempdir_count(dir), 3); /* pics, labels.csv, study */
}

static void answers_follow_a_picture_that_has_moved(void **state)
{
    (void)state;
    move("pics/red/000.png", "pics/green/zzz.png");
    must_scan(3, (cn_scan_options){.force = true}, NULL);
    says("SELECT group_concat(i.path || ' ' || r.rater, ', ') FROM ratings r JOIN images i ON i.id = r.image",
         "green/003.png anna, green/zzz.png anna, green/zzz.png ben");
}

static void answers_do_not_go_to_another_picture_of_the_same_name(void **state)
{
    (void)state;
    copy("pics/red/002.png", "pics/red/000.png");
    must_refuse(3, (cn_scan_options){.force = true}, "would lose 2 of 3 answers, which the new study");
}

static void a_study_with_answers_to_missing_pictures_stays(void **state)
{
    (void)state;
    cn_scan_result r;
    char *before = dump_study(dir, "study");
    unlink(tempdir_path(dir, "pics/green/003.png"));
    must_refuse(3, (cn_scan_options){.force = true}, "study: replacing it would lose 1 of 3 answers, which the new study has no place for: move it away");
    char *after = dump_study(dir, "study");
    assert_string_equal(before, after);
    free(before);
    free(after);
    /* An answer more between the two: nothing that is made later is lost, and no picture is run again. */
    sql("INSERT INTO ratings SELECT 0, 2, id, 'ben', 'warm', '2026-02-02' FROM images WHERE path = 'red/002.png'");
    must_scan(3, (cn_scan_options){.force = true, .discard = true}, &r);
    assert_int_equal(r.resumed, IMAGES - 1 + 1); /* and the broken one */
    assert_int_equal(r.carried.answers, 3);
    assert_int_equal(r.left_out.answers, 1);
    says("SELECT group_concat(i.path || ' ' || r.rater, ', ') FROM (SELECT * FROM ratings ORDER BY rater, image) r JOIN images i ON i.id = r.image",
         "red/000.png anna, red/000.png ben, red/002.png ben");
    assert_int_equal(tempdir_count(dir), 3);
}

static void sites_that_are_gone_are_counted_as_well(void **state)
{
    (void)state;
    cn_scan_result r;
    must_refuse(1, (cn_scan_options){.force = true}, "would lose 1 of 2 notes, 1 of 1 visualisation, which");
    must_scan(1, (cn_scan_options){.force = true, .discard = true}, &r);
    assert_int_equal(r.carried.answers, 3);
    assert_int_equal(r.left_out.notes, 1);
    assert_int_equal(r.left_out.visualisations, 1);
    says("SELECT group_concat(note) FROM notes", "of the study");
}

static void visualisations_are_not_shown_with_values_of_another_kind(void **state)
{
    (void)state;
    must_refuse(3, (cn_scan_options){.force = true, .reduce = CN_REDUCE_MAX}, "would lose 1 of 1 visualisation, which");
    const cn_site_edit edit = {0};
    must_refuse(3, (cn_scan_options){.force = true, .restart = true, .n_edits = 1, .edits = &edit, .edit_text = "layer4:3 = 0"},
                "would lose 1 of 1 visualisation, which");
}

/* Pictures have other numbers in the new study: an answer that comes from before would be one to another picture. */
static void who_has_the_older_study_open_does_not_answer_into_the_new_one(void **state)
{
    (void)state;
    cn_study *s;
    cn_error err = {0};
    int64_t removed;
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "study"), &err), CN_OK);
    const cn_unit_ref unit = {0, 2};
    cn_rating_picture *p;
    size_t n;
    assert_int_equal(cn_study_rating_pictures(s, unit, NULL, &p, &n, &err), CN_OK);
    assert_int_equal(cn_study_keep_rating(s, unit, p[0].image, "ben", "warm", &err), CN_OK);
    copy("pics/green/001.png", "pics/aaa.png");
    must_scan(3, (cn_scan_options){.force = true}, NULL);
    assert_int_equal(cn_study_keep_rating(s, unit, p[0].image, "ben", "other", &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "study: was replaced since it was opened: start again"));
    assert_int_equal(cn_study_remove_ratings(s, unit, NULL, &removed, &err), CN_EINVAL);
    cn_rating_pictures_free(p);
    cn_study_close(s);
    says("SELECT count(*) FROM ratings", "4");
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "study"), &err), CN_OK);
    assert_int_equal(cn_study_remove_ratings(s, unit, "ben", &removed, &err), CN_OK);
    assert_int_equal(removed, 2);
    cn_study_close(s);
}

static void a_study_that_cannot_be_read_stays(void **state)
{
    (void)state;
    cn_error err;
    sql("DROP TABLE ratings; CREATE TABLE ratings (answer TEXT); INSERT INTO ratings VALUES ('precious')");
    for (int discard = 0; discard < 2; discard++) {
        assert_int_equal(scan(3, (cn_scan_options){.force = true, .discard = discard}, NULL, &err), CN_EIO);
        assert_non_null(strstr(err.text, "study: what people made in it cannot be carried over: no such column"));
        says("SELECT answer FROM ratings", "precious");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(what_people_made_is_in_the_new_study),
        T(answers_follow_a_picture_that_has_moved),
        T(answers_do_not_go_to_another_picture_of_the_same_name),
        T(a_study_with_answers_to_missing_pictures_stays),
        T(sites_that_are_gone_are_counted_as_well),
        T(visualisations_are_not_shown_with_values_of_another_kind),
        T(who_has_the_older_study_open_does_not_answer_into_the_new_one),
        T(a_study_that_cannot_be_read_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
