/* Tables and queries of a study: every row and type, decoded histograms, arrays in a .npz, and nothing but reading. */
#include "clipneuron/array.h"
#include "clipneuron/ask.h"
#include "fake.h"
#include "file/filemap.h"
#include "file/zip.h"
#include "tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
    *state = tempdir_make();
    fake_collection(*state, 5);
    fake_scan(*state, "study", NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    tempdir_remove(*state);
    return 0;
}

static cn_study *open_study(const char *dir)
{
    cn_study *s;
    cn_error err = {0};
    if (cn_study_open(&s, tempdir_path(dir, "study"), &err) != CN_OK)
        fail_msg("%s", err.text);
    return s;
}

static void a_query_gives_its_rows_with_their_types(void **state)
{
    cn_study *s = open_study(*state);
    cn_rows *r;
    bool more;
    assert_int_equal(cn_study_query(&r, s, " SELECT 7 AS whole, 0.25, 'a' || char(0) || 'b', x'00ff', NULL ; ", NULL), CN_OK);
    assert_int_equal(cn_rows_columns(r), 5);
    assert_string_equal(cn_rows_name(r, 0), "whole");
    assert_int_equal(cn_rows_next(r, &more, NULL), CN_OK);
    assert_true(more);
    cn_cell c = cn_rows_cell(r, 0);
    assert_true(c.kind == CN_CELL_INTEGER && c.integer == 7);
    c = cn_rows_cell(r, 1);
    assert_true(c.kind == CN_CELL_REAL && c.real == 0.25);
    c = cn_rows_cell(r, 2);
    assert_true(c.kind == CN_CELL_TEXT && c.size == 3 && memcmp(c.data, "a\0b", 4) == 0);
    c = cn_rows_cell(r, 3);
    assert_true(c.kind == CN_CELL_BLOB && c.size == 2 && memcmp(c.data, "\0\xff", 2) == 0);
    assert_true(cn_rows_cell(r, 4).kind == CN_CELL_NULL);
    assert_int_equal(cn_rows_next(r, &more, NULL), CN_OK);
    assert_false(more);
    cn_rows_close(r);
    cn_study_close(s);
}

static void a_query_can_do_nothing_but_read(void **state)
{
    static const char *const bad[] = {"DELETE FROM units",
                                      "UPDATE units SET mean = 0",
                                      "CREATE TABLE t (x)",
                                      "CREATE TEMP TABLE t (x)",
                                      "DROP TABLE units",
                                      "ATTACH 'other.sqlite' AS other",
                                      "PRAGMA writable_schema = 1",
                                      "PRAGMA user_version",
                                      "VACUUM INTO 'copy.sqlite'",
                                      "BEGIN",
                                      "SELECT load_extension('x')",
                                      "SELECT 1; SELECT 2",
                                      "SELECT nothing FROM units",
                                      "SELEC",
                                      "",
                                      "-- nothing",
                                      "EXPLAIN DELETE FROM units"};
    cn_study *s = open_study(*state);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cn_rows *r;
        cn_error err = {0};
        if (cn_study_query(&r, s, bad[i], &err) != CN_EINVAL)
            fail_msg("%s", bad[i]);
        assert_null(r);
        assert_true(strstr(err.text, "study: "));
    }
    cn_unit_row *row; /* the study still answers */
    assert_int_equal(cn_study_unit(s, (cn_unit_ref){0, 0}, &row, NULL), CN_OK);
    cn_unit_rows_free(row);
    cn_study_close(s);
}

static void every_table_is_listed_and_read_whole(void **state)
{
    cn_study *s = open_study(*state);
    cn_tally *t;
    size_t n;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(tempdir_path(*state, "study/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(cn_study_tables(s, &t, &n, NULL), CN_OK);
    assert_int_equal(n, 18);
    for (size_t i = 0; i < n; i++) {
        char sql[128];
        sqlite3_stmt *q;
        cn_rows *r;
        bool more;
        int64_t rows = 0;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", t[i].name);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        assert_int_equal(cn_study_table(&r, s, t[i].name, NULL), CN_OK);
        for (;; rows++) {
            assert_int_equal(cn_rows_next(r, &more, NULL), CN_OK);
            if (!more)
                break;
            for (int k = 0; k < cn_rows_columns(r); k++)
                (void)cn_rows_cell(r, k);
        }
        const bool histograms = strcmp(t[i].name, "histograms") == 0;
        if (!histograms)
            assert_true(rows == sqlite3_column_int64(q, 0) && cn_rows_columns(r) == t[i].count);
        sqlite3_finalize(q);
        cn_rows_close(r);
    }
    cn_tallies_free(t);
    cn_rows *r;
    cn_error err = {0};
    assert_int_equal(cn_study_table(&r, s, "unitz", &err), CN_ENOTFOUND);
    assert_null(r);
    assert_non_null(strstr(err.text, "\"unitz\""));
    assert_non_null(strstr(err.text, "unit_words, units, words"));
    assert_int_equal(cn_study_table(&r, s, "units\"; DROP", NULL), CN_ENOTFOUND);
    assert_int_equal(cn_study_table(&r, s, "sqlite_master", NULL), CN_ENOTFOUND);
    sqlite3_close(db);
    cn_study_close(s);
}

static void histograms_come_decoded(void **state)
{
    cn_study *s = open_study(*state);
    cn_rows *r;
    bool more;
    int64_t rows = 0;
    assert_int_equal(cn_study_table(&r, s, "histograms", NULL), CN_OK);
    assert_string_equal(cn_rows_name(r, 2), "low");
    for (size_t site = 0; site < 3; site++)
        for (int64_t u = 0; u < FAKE_UNITS - 1; u++) {
            cn_bin *b;
            size_t n;
            assert_int_equal(cn_study_bins(s, (cn_unit_ref){site, u}, &b, &n, NULL), CN_OK);
            for (size_t i = 0; i < n; i++, rows++) {
                assert_int_equal(cn_rows_next(r, &more, NULL), CN_OK);
                assert_true(more);
                assert_int_equal(cn_rows_cell(r, 0).integer, site);
                assert_int_equal(cn_rows_cell(r, 1).integer, u);
                assert_true(cn_rows_cell(r, 2).real == b[i].low && cn_rows_cell(r, 3).real == b[i].high);
                assert_int_equal(cn_rows_cell(r, 4).integer, b[i].count);
            }
            cn_bins_free(b);
        }
    assert_int_equal(cn_rows_next(r, &more, NULL), CN_OK);
    assert_false(more);
    assert_true(rows > 50);
    cn_rows_close(r);
    cn_study_close(s);
}

static void numbers_become_arrays(void **state)
{
    const char *dir = *state;
    cn_study *s = open_study(dir);
    cn_rows *r;
    cn_arrays *a;
    cn_unit_row *row;
    char left[128];
    int64_t count = -1;
    assert_int_equal(cn_study_query(&r, s, "SELECT unit, mean, CASE WHEN unit > 2 THEN unit END AS some, NULL AS none, dead AS unit FROM units"
                                           " WHERE site = 0 ORDER BY unit",
                                    NULL),
                     CN_OK);
    assert_int_equal(cn_rows_write_npz(r, tempdir_path(dir, "x.npz"), left, sizeof left, &count, NULL), CN_OK);
    cn_rows_close(r);
    assert_int_equal(count, FAKE_UNITS);
    assert_string_equal(left, "");
    assert_int_equal(cn_arrays_open(&a, tempdir_path(dir, "x.npz"), NULL), CN_OK);
    assert_int_equal(cn_arrays_count(a), 5);
    const cn_tensor *unit = cn_arrays_find(a, "unit"), *mean = cn_arrays_find(a, "mean"), *some = cn_arrays_find(a, "some"),
                    *none = cn_arrays_find(a, "none"), *dead = cn_arrays_find(a, "unit.2");
    assert_true(unit && mean && some && none && dead);
    assert_true(unit->dtype == CN_DTYPE_I64 && mean->dtype == CN_DTYPE_F64 && some->dtype == CN_DTYPE_F64 && none->dtype == CN_DTYPE_F64 &&
                dead->dtype == CN_DTYPE_I64);
    for (int64_t i = 0; i < FAKE_UNITS; i++) {
        int64_t whole;
        double real, part;
        memcpy(&whole, (const char *)unit->data + 8 * i, 8);
        memcpy(&real, (const char *)mean->data + 8 * i, 8);
        memcpy(&part, (const char *)some->data + 8 * i, 8);
        assert_int_equal(cn_study_unit(s, (cn_unit_ref){0, i}, &row, NULL), CN_OK);
        assert_true(whole == i && real == row->mean);
        assert_true(i > 2 ? part == (double)i : isnan(part));
        memcpy(&part, (const char *)none->data + 8 * i, 8);
        assert_true(isnan(part));
        memcpy(&whole, (const char *)dead->data + 8 * i, 8);
        assert_int_equal(whole, row->dead);
        cn_unit_rows_free(row);
    }
    cn_arrays_close(a);
    cn_study_close(s);
}

/* The bytes of a member, and what the header says of it. */
static void assert_member(const char *path, const char *name, const char *descr, int64_t rows, const void *data, size_t size)
{
    filemap map = {0};
    zip *z;
    uint8_t *owned = NULL;
    const uint8_t *bytes;
    size_t n;
    char expected[128];
    assert_int_equal(filemap_open(&map, path, NULL), CN_OK);
    assert_int_equal(zip_open(&z, map.data, map.size, path, NULL), CN_OK);
    const zip_entry *e = zip_find(z, name);
    assert_non_null(e);
    assert_int_equal(zip_read(z, e, SIZE_MAX, &bytes, &n, &owned, NULL), CN_OK);
    const size_t header = 10u + bytes[8] + 256u * bytes[9];
    snprintf(expected, sizeof expected, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld,), }", descr, (long long)rows);
    assert_memory_equal(bytes + 10, expected, strlen(expected));
    assert_int_equal(n, header + size);
    assert_memory_equal(bytes + header, data, size);
    free(owned);
    zip_close(z);
    filemap_close(&map);
}

static void texts_become_unicode_arrays_and_blobs_are_left_out(void **state)
{
    const char *dir = *state;
    cn_study *s = open_study(dir);
    cn_rows *r;
    char left[128];
    assert_int_equal(cn_study_query(&r, s,
                                    "SELECT 'a' AS t, x'01' AS b, 1 AS mixed UNION ALL SELECT '\xc3\xa4\xf0\x9f\x90\xb1', NULL, 'x' UNION ALL"
                                    " SELECT NULL, 5, 2.5 UNION ALL SELECT CAST(x'ff41' AS TEXT), 5, NULL",
                                    NULL),
                     CN_OK);
    assert_int_equal(cn_rows_write_npz(r, tempdir_path(dir, "t.npz"), left, sizeof left, NULL, NULL), CN_OK);
    assert_string_equal(left, "b");
    const uint32_t t[] = {'a', 0, 0xe4, 0x1f431, 0, 0, 0xfffd, 'A'};
    assert_member(tempdir_path(dir, "t.npz"), "t.npy", "<U2", 4, t, sizeof t);
    const uint32_t mixed[] = {'1', 0, 0, 'x', 0, 0, '2', '.', '5', 0, 0, 0};
    assert_member(tempdir_path(dir, "t.npz"), "mixed.npy", "<U3", 4, mixed, sizeof mixed);
    cn_rows_close(r);
    /* without rows the table's declarations decide */
    assert_int_equal(cn_study_table(&r, s, "notes", NULL), CN_OK);
    assert_int_equal(cn_rows_write_npz(r, tempdir_path(dir, "n.npz"), left, sizeof left, NULL, NULL), CN_OK);
    assert_member(tempdir_path(dir, "n.npz"), "site.npy", "<i8", 0, "", 0);
    assert_member(tempdir_path(dir, "n.npz"), "note.npy", "<U1", 0, "", 0);
    cn_rows_close(r);
    cn_study_close(s);
}

static void a_folder_that_is_not_there_gets_no_file(void **state)
{
    const char *dir = *state;
    cn_study *s = open_study(dir);
    cn_rows *r;
    char left[8];
    cn_error err = {0};
    assert_int_equal(cn_study_table(&r, s, "units", NULL), CN_OK);
    assert_int_equal(cn_rows_write_npz(r, tempdir_path(dir, "none/x.npz"), left, sizeof left, NULL, &err), CN_EIO);
    assert_non_null(strstr(err.text, "none/x.npz"));
    cn_rows_close(r);
    cn_study_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_query_gives_its_rows_with_their_types),
        T(a_query_can_do_nothing_but_read),
        T(every_table_is_listed_and_read_whole),
        T(histograms_come_decoded),
        T(numbers_become_arrays),
        T(texts_become_unicode_arrays_and_blobs_are_left_out),
        T(a_folder_that_is_not_there_gets_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
