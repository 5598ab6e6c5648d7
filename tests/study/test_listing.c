/* Which pictures a collection has: CSV, folders, lists, labels. */
#include "study/csv.h"
#include "study/listing.h"

#include "base/memory.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- CSV ---- */

static void next(csv *c, size_t fields, ...)
{
    cn_error err = {0};
    bool more;
    assert_int_equal(csv_row(c, &more, &err), CN_OK);
    assert_true(more);
    assert_int_equal(c->fields, fields);
    va_list args;
    va_start(args, fields);
    for (size_t i = 0; i < fields; i++)
        assert_string_equal(c->field[i], va_arg(args, const char *));
    va_end(args);
}

static void last(csv *c)
{
    bool more;
    assert_int_equal(csv_row(c, &more, NULL), CN_OK);
    assert_false(more);
    csv_free(c);
}

static void csv_reads_quotes_commas_and_line_breaks(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "a,\"b,c\",\"d\"\"e\"\r\n\r\n,,\n\"two\nlines\",x\nend";
    csv c;
    csv_init(&c, text, sizeof text - 1, "t.csv");
    next(&c, 3, "a", "b,c", "d\"e");
    assert_int_equal(c.line, 1);
    next(&c, 3, "", "", "");
    assert_int_equal(c.line, 3);
    next(&c, 2, "two\nlines", "x");
    next(&c, 1, "end");
    assert_int_equal(c.line, 6);
    assert_string_equal(csv_field(&c, 5), "");
    assert_string_equal(csv_field(&c, -1), "");
    last(&c);
}

static void csv_finds_columns_in_any_case(void **state)
{
    (void)state;
    csv c;
    csv_init(&c, "Path,LABEL\n", 11, "t.csv");
    next(&c, 2, "Path", "LABEL");
    assert_int_equal(csv_find(&c, "path"), 0);
    assert_int_equal(csv_find(&c, "label"), 1);
    assert_int_equal(csv_find(&c, "medium"), -1);
    last(&c);
}

static void refuse(const char *text, size_t size, const char *message)
{
    csv c;
    cn_error err = {0};
    bool more = true;
    csv_init(&c, text, size, "t.csv");
    while (more && err.status == CN_OK)
        (void)csv_row(&c, &more, &err);
    assert_non_null(strstr(err.text, message));
    csv_free(&c);
}

static void csv_refuses_what_is_none(void **state)
{
    (void)state;
    char wide[2 * CSV_MAX_FIELDS + 2];
    memset(wide, ',', sizeof wide);
    refuse("a,b\n\"c,d\n", 9, "t.csv: line 2: a quote is never closed");
    refuse("a\0b\n", 4, "t.csv: line 1: a zero byte");
    refuse(wide, sizeof wide, "more than 256 columns");
}

/* ---- folders and lists ---- */

static int setup(void **state)
{
    *state = tempdir_make();
    return 0;
}

static int teardown(void **state)
{
    tempdir_remove(*state);
    return 0;
}

static listing read_ok(const char *path, const char *labels)
{
    listing l;
    cn_error err = {0};
    if (listing_read(&l, &path, 1, labels, 0, 1, &err) != CN_OK)
        fail_msg("%s", err.text);
    return l;
}

static void expect(const listing *l, size_t i, const char *path, const char *label, const char *medium)
{
    assert_true(i < l->count);
    assert_string_equal(l->items[i].path, path);
    assert_string_equal(l->items[i].label ? l->items[i].label : "-", label);
    assert_string_equal(l->items[i].medium ? l->items[i].medium : "-", medium);
    if (l->items[i].label)
        assert_string_equal(l->labels[l->items[i].label_id], label);
    else
        assert_int_equal(l->items[i].label_id, -1);
}

static void a_folder_gives_sorted_pictures_labelled_by_their_folders(void **state)
{
    const char *dir = *state;
    tempdir_text(dir, "pics/dog/b.JPG", "x");
    tempdir_text(dir, "pics/dog/a.png", "x");
    tempdir_text(dir, "pics/cat/sub/c.webp", "x");
    tempdir_text(dir, "pics/loose.gif", "x");
    tempdir_text(dir, "pics/notes.txt", "x");
    tempdir_text(dir, "pics/.hidden/d.png", "x");
    tempdir_text(dir, "pics/.e.png", "x");
    listing l = read_ok(tempdir_path(dir, "pics/"), NULL);
    assert_int_equal(l.count, 4);
    expect(&l, 0, "cat/sub/c.webp", "cat/sub", "-");
    expect(&l, 1, "dog/a.png", "dog", "-");
    expect(&l, 2, "dog/b.JPG", "dog", "-");
    expect(&l, 3, "loose.gif", "-", "-");
    assert_int_equal(l.ignored, 1);
    assert_int_equal(l.n_labels, 2);
    assert_string_equal(l.name, "pics");
    listing_free(&l);
}

static void labels_beside_the_folder_win_over_folder_names(void **state)
{
    const char *dir = *state;
    tempdir_text(dir, "pics/1/a.png", "x");
    tempdir_text(dir, "pics/1/b.png", "x");
    tempdir_text(dir, "pics/2/c.png", "x");
    tempdir_text(dir, "labels.csv",
                 "path,label,medium,source,licence\n1/a.png,cat,word,me,MIT\npics/2/"
                 "c.png,dog,line,,\ngone.png,x,y,,\n");
    listing l = read_ok(tempdir_path(dir, "pics"), NULL);
    assert_int_equal(l.count, 3);
    expect(&l, 0, "1/a.png", "cat", "word");
    expect(&l, 1, "1/b.png", "1", "-");
    expect(&l, 2, "2/c.png", "dog", "line"); /* named from where the CSV lies */
    assert_string_equal(l.items[0].source, "me");
    assert_string_equal(l.items[0].licence, "MIT");
    assert_int_equal(l.n_media, 2);
    listing_free(&l);
    tempdir_text(dir, "pics/labels.csv", "path,label\n1/a.png,inside\n");
    l = read_ok(tempdir_path(dir, "pics"), NULL);
    expect(&l, 0, "1/a.png", "inside", "-");
    assert_int_equal(l.ignored, 0);
    listing_free(&l);
    tempdir_text(dir, "mine.csv", "label,path\nasked,1/a.png\n");
    l = read_ok(tempdir_path(dir, "pics"), tempdir_path(dir, "mine.csv"));
    expect(&l, 0, "1/a.png", "asked", "-");
    listing_free(&l);
}

static void a_list_gives_paths_a_line(void **state)
{
    const char *dir = *state;
    tempdir_text(dir, "list.txt", "# pictures\nb.png\r\n\na.png\nb.png\n/abs/c.png\nwith space.png");
    listing l = read_ok(tempdir_path(dir, "list.txt"), NULL);
    assert_int_equal(l.count, 4);
    expect(&l, 0, "/abs/c.png", "-", "-");
    expect(&l, 1, "a.png", "-", "-");
    expect(&l, 2, "b.png", "-", "-");
    expect(&l, 3, "with space.png", "-", "-");
    char *path = listing_path(&l, 0);
    assert_string_equal(path, "/abs/c.png");
    cn_free(path);
    listing_free(&l);
}

static void a_csv_gives_paths_labels_and_captions(void **state)
{
    const char *dir = *state;
    tempdir_text(dir, "list.csv", "caption,Path,label,medium\n\"a cat, sitting\",b.png,cat,\n,a.png,,\n");
    listing l = read_ok(tempdir_path(dir, "list.csv"), NULL);
    assert_int_equal(l.count, 2);
    expect(&l, 0, "a.png", "-", "-");
    expect(&l, 1, "b.png", "cat", "-");
    assert_string_equal(l.items[1].caption, "a cat, sitting");
    listing_free(&l);
}

/* Names with commas are names in a .txt; a .csv of one column without a heading is a list. */
static void a_list_may_have_commas_or_be_called_csv(void **state)
{
    const char *dir = *state;
    tempdir_text(dir, "commas.txt", "a,b.png\nc,d.png\n");
    listing l = read_ok(tempdir_path(dir, "commas.txt"), NULL);
    assert_int_equal(l.count, 2);
    assert_string_equal(l.items[0].path, "a,b.png");
    listing_free(&l);
    tempdir_text(dir, "lines.csv", "a.png\nb.png\n");
    l = read_ok(tempdir_path(dir, "lines.csv"), NULL);
    assert_int_equal(l.count, 2);
    assert_string_equal(l.items[1].path, "b.png");
    listing_free(&l);
}

static void circular_links_end(void **state)
{
    const char *dir = *state;
    tempdir_text(dir, "pics/a/x.png", "x");
    assert_int_equal(symlink("..", tempdir_path(dir, "pics/a/up")), 0);
    assert_int_equal(symlink("nowhere.png", tempdir_path(dir, "pics/dangling.png")), 0);
    listing l = read_ok(tempdir_path(dir, "pics"), NULL);
    assert_int_equal(l.count, 2); /* the dangling one is listed, so that its failure is told */
    expect(&l, 0, "a/x.png", "a", "-");
    listing_free(&l);
}

static void refuse_listing(const char *path, const char *labels, cn_status status, const char *message)
{
    listing l;
    cn_error err = {0};
    assert_int_equal(listing_read(&l, &path, 1, labels, 0, 1, &err), status);
    if (!strstr(err.text, message))
        fail_msg("\"%s\" does not say \"%s\"", err.text, message);
    listing_free(&l);
}

static void bad_lists_are_refused_in_one_line(void **state)
{
    const char *dir = *state;
    tempdir_text(dir, "pics/a.png", "x");
    tempdir_text(dir, "bad.csv", "name,label\na.png,x\n");
    tempdir_text(dir, "nopath.csv", "path,label\n,x\n");
    tempdir_write(dir, "binary", "ab\0cd\nef\n", 9);
    tempdir_text(dir, "table.CSV", "file,label\npics/a.png,x\n");
    tempdir_text(dir, "heading.csv", "file,label");
    refuse_listing(tempdir_path(dir, "table.CSV"), NULL, CN_EFORMAT, "table.CSV: the first line names no column \"path\"");
    refuse_listing(tempdir_path(dir, "heading.csv"), NULL, CN_EFORMAT, "heading.csv: the first line names no column \"path\"");
    refuse_listing(tempdir_path(dir, "none"), NULL, CN_ENOTFOUND, "none: ");
    refuse_listing(tempdir_path(dir, "pics"), tempdir_path(dir, "bad.csv"), CN_EFORMAT,
                   "names no column \"path\"");
    refuse_listing(tempdir_path(dir, "pics"), tempdir_path(dir, "gone.csv"), CN_ENOTFOUND, "gone.csv");
    refuse_listing(tempdir_path(dir, "nopath.csv"), NULL, CN_EFORMAT, "line 2: no path");
    refuse_listing(tempdir_path(dir, "binary"), NULL, CN_EFORMAT, "binary");
}

static void each_failing_allocation_of_a_listing_is_survived(void **state)
{
    const char *dir = *state;
    tempdir_text(dir, "pics/1/a.png", "x");
    tempdir_text(dir, "pics/2/b.png", "x");
    tempdir_text(dir, "labels.csv", "path,label,medium\n1/a.png,cat,word\n");
    for (size_t n = 1;; n++) {
        listing l;
        cn_error err = {0};
        cn_memory_fail_at(n, false);
        const char *path = tempdir_path(dir, "pics");
        cn_status st = listing_read(&l, &path, 1, NULL, 0, 1, &err);
        cn_memory_fail_at(0, false);
        listing_free(&l);
        if (st == CN_OK)
            break;
        assert_int_equal(st, CN_ENOMEM);
        assert_true(n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_reads_quotes_commas_and_line_breaks),
        cmocka_unit_test(csv_finds_columns_in_any_case),
        cmocka_unit_test(csv_refuses_what_is_none),
        cmocka_unit_test_setup_teardown(a_folder_gives_sorted_pictures_labelled_by_their_folders, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(labels_beside_the_folder_win_over_folder_names, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_gives_paths_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_csv_gives_paths_labels_and_captions, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_may_have_commas_or_be_called_csv, setup, teardown),
        cmocka_unit_test_setup_teardown(circular_links_end, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_lists_are_refused_in_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_a_listing_is_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
