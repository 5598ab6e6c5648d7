/* Scans that are interrupted, divided and put together give the study of one that was left alone. */
#include "base/memory.h"
#include "dump.h"
#include "fake.h"
#include "study/part.h"
#include "tempdir.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { EACH = 60 };

typedef struct fixture {
    char *dir;
    char *whole; /* the study of one scan, as text */
} fixture;

static char words[1024];

static cn_status (*fast_images)(source *s, const float *pixels, int64_t n, cn_error *err);

/* Progress is told ten times a second: runs must take a while for a scan to be stopped in the middle. */
static cn_status slow_images(source *s, const float *pixels, int64_t n, cn_error *err)
{
    usleep(30000);
    return fast_images(s, pixels, n, err);
}

static cn_status scan(const char *dir, const char *study, cn_scan_options o, cn_scan_result *result, cn_error *err)
{
    source s;
    memset(err, 0, sizeof *err);
    if (!o.no_words)
        o.words = words;
    fake_open(&s, "f00d", o.batch ? o.batch : 4);
    if (o.reduce == CN_REDUCE_CLASS)
        fake_tokens_alone(&s);
    if (o.progress) {
        fast_images = s.images;
        s.images = slow_images;
    }
    const cn_status st = scan_source(&s, tempdir_path(dir, "pics"), tempdir_path(dir, study), &o, result, err);
    s.close(&s);
    return st;
}

static void must_scan(const char *dir, const char *study, cn_scan_options o, cn_scan_result *result)
{
    cn_error err;
    if (scan(dir, study, o, result, &err) != CN_OK)
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->dir = tempdir_make();
    fake_collection(f->dir, EACH);
    tempdir_text(f->dir, "words.txt", "cat\ndog\nred\ngreen\nblack\nwhite\n");
    snprintf(words, sizeof words, "%s/words.txt", f->dir);
    must_scan(f->dir, "whole", (cn_scan_options){0}, NULL);
    f->whole = dump_study(f->dir, "whole");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    tempdir_remove(f->dir);
    free(f->whole);
    free(f);
    return 0;
}

/* The file has the same bytes in both studies. */
static void same_file(const char *dir, const char *study, const char *other, const char *file)
{
    char name[128];
    size_t n, m;
    snprintf(name, sizeof name, "%s/%s", study, file);
    char *a = tempdir_read(tempdir_path(dir, name), &n);
    snprintf(name, sizeof name, "%s/%s", other, file);
    char *b = tempdir_read(tempdir_path(dir, name), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

/* Equal tables and equal matrices. */
static void same_study(const fixture *f, const char *study, double tolerance)
{
    static const char *const matrices[] = {"layer4.0.add.mean.npy", "layer4.0.add.max.npy", "layer4.0.add.argmax.npy", "tokens.mean.npy",
                                           "layer4.0.add.coarse.npy", "embeddings.npy"};
    char *text = dump_study(f->dir, study);
    dump_same(text, f->whole, tolerance);
    free(text);
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        same_file(f->dir, study, "whole", matrices[i]);
}

/* Stops when this many pictures are done. */
static bool stop_at(const cn_scan_progress *p, void *user)
{
    return !(p->phase == CN_SCAN_IMAGES && p->done >= *(const int64_t *)user && p->done < p->total);
}

static void a_cancelled_scan_goes_on(void **state)
{
    const fixture *f = *state;
    int stops = 0;
    for (int64_t at = 1;; at += 20) {
        cn_error err;
        cn_scan_result r;
        cn_scan_options o = {.progress = stop_at, .user = &at, .batch = stops % 3 + 2, .decode_threads = stops % 2 + 1};
        const cn_status st = scan(f->dir, "study", o, &r, &err);
        if (st == CN_OK) {
            assert_int_equal(r.images, 2 * EACH);
            assert_int_equal(r.failed, 1);
            assert_true(r.resumed > EACH && r.resumed <= 2 * EACH);
            break;
        }
        assert_int_equal(st, CN_ECANCELED);
        stops++;
    }
    assert_true(stops >= 5);
    same_study(f, "study", 0);
    assert_int_equal(access(tempdir_path(f->dir, "study.part"), F_OK), -1);
}

static bool stop_behind_the_pictures(const cn_scan_progress *p, void *user)
{
    return p->phase != *(const cn_scan_phase *)user;
}

static void a_scan_that_only_lacks_its_study_makes_it(void **state)
{
    const fixture *f = *state;
    for (cn_scan_phase phase = CN_SCAN_WORDS; phase <= CN_SCAN_WRITING; phase++) {
        cn_error err;
        cn_scan_result r;
        assert_int_equal(scan(f->dir, "study", (cn_scan_options){.progress = stop_behind_the_pictures, .user = &phase}, NULL, &err), CN_ECANCELED);
        must_scan(f->dir, "study", (cn_scan_options){0}, &r);
        assert_int_equal(r.resumed, 2 * EACH + 1);
        same_study(f, "study", 0);
        char command[1200];
        snprintf(command, sizeof command, "rm -r %s", tempdir_path(f->dir, "study"));
        assert_int_equal(system(command), 0);
    }
}

static void a_killed_scan_goes_on(void **state)
{
    const fixture *f = *state;
    int kills = 0, ended = 0;
    unsigned random = 12345;
    for (int study = 0; kills < 12 || !ended; study++) {
        char name[32];
        snprintf(name, sizeof name, "killed%d", study);
        ended = 0;
        while (!ended) {
            random = random * 1664525u + 1013904223u;
            const pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) {
                cn_error err;
                const cn_status st = scan(f->dir, name, (cn_scan_options){.save_every = 1e-6, .batch = 2}, NULL, &err);
                if (st != CN_OK)
                    fprintf(stderr, "%s\n", err.text);
                _exit(st == CN_OK ? 0 : 1);
            }
            usleep(1000 + (random >> 8) % 60000);
            kill(child, SIGKILL);
            int status;
            waitpid(child, &status, 0);
            kills += WIFSIGNALED(status);
            ended = WIFEXITED(status);
            if (ended)
                assert_int_equal(WEXITSTATUS(status), 0);
            if (ended == 0 && access(tempdir_path(f->dir, name), F_OK) == 0)
                ended = 1; /* killed behind the last step */
        }
        same_study(f, name, 0);
    }
}

static void parts_make_the_study(void **state)
{
    const fixture *f = *state;
    static const int counts[] = {2, 3, 7, 64};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const int n = counts[i];
        char name[64], study[32];
        const char *paths[64];
        for (int k = 1; k <= n; k++) {
            snprintf(name, sizeof name, "part%d-%d", n, k);
            must_scan(f->dir, name, (cn_scan_options){.shard = k, .shards = n, .batch = k % 5 + 1}, NULL);
            paths[(k * 5) % n] = strdup(tempdir_path(f->dir, name)); /* in another order */
        }
        snprintf(study, sizeof study, "merged%d", n);
        source s;
        cn_error err = {0};
        cn_scan_result r;
        fake_open(&s, "f00d", 4);
        const cn_scan_options o = {.words = words};
        if (merge_source(&s, paths, (size_t)n, tempdir_path(f->dir, study), &o, &r, &err) != CN_OK)
            fail_msg("%s", err.text);
        s.close(&s);
        assert_int_equal(r.images, 2 * EACH);
        assert_int_equal(r.failed, 1);
        same_study(f, study, 1e-6);
        for (int k = 0; k < n; k++)
            free((void *)(uintptr_t)paths[k]);
    }
}

/* A study of class tokens has one more matrix, which goes through interruptions and parts as the others do. */
static void class_tokens_are_kept(void **state)
{
    static const char *const matrices[] = {"tokens.class.npy", "tokens.mean.npy", "tokens.coarse.npy"};
    const fixture *f = *state;
    const cn_scan_options options = {.reduce = CN_REDUCE_CLASS};
    cn_error err;
    must_scan(f->dir, "alone", options, NULL);
    int64_t at = 50;
    cn_scan_options stopped = options;
    stopped.progress = stop_at, stopped.user = &at, stopped.batch = 3;
    assert_int_equal(scan(f->dir, "resumed", stopped, NULL, &err), CN_ECANCELED);
    cn_scan_result r;
    must_scan(f->dir, "resumed", options, &r);
    assert_true(r.resumed >= at);
    const char *parts[3];
    for (int k = 1; k <= 3; k++) {
        char name[16];
        cn_scan_options o = options;
        o.shard = k, o.shards = 3, o.batch = k;
        snprintf(name, sizeof name, "c%d", k);
        must_scan(f->dir, name, o, NULL);
        parts[3 - k] = strdup(tempdir_path(f->dir, name));
    }
    source s;
    fake_open(&s, "f00d", 4);
    fake_tokens_alone(&s);
    if (merge_source(&s, parts, 3, tempdir_path(f->dir, "merged"), &(cn_scan_options){.words = words}, NULL, &err) != CN_OK)
        fail_msg("%s", err.text);
    s.close(&s);
    char *alone = dump_study(f->dir, "alone"), *resumed = dump_study(f->dir, "resumed"), *merged = dump_study(f->dir, "merged");
    assert_non_null(strstr(alone, "\nreduce|class\n"));
    dump_same(resumed, alone, 0);
    dump_same(merged, alone, 1e-6);
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        same_file(f->dir, "resumed", "alone", matrices[i]);
        same_file(f->dir, "merged", "alone", matrices[i]);
    }
    free(alone), free(resumed), free(merged);
    for (int k = 0; k < 3; k++)
        free((void *)(uintptr_t)parts[k]);
}

static void a_part_that_is_done_is_left_alone(void **state)
{
    const fixture *f = *state;
    cn_scan_result first, again;
    cn_error err;
    const cn_scan_options o = {.shard = 2, .shards = 3};
    must_scan(f->dir, "done", o, &first);
    must_scan(f->dir, "done", o, &again);
    assert_int_equal(again.images, first.images);
    assert_int_equal(again.resumed, first.images + first.failed);
    assert_int_equal(scan(f->dir, "done", (cn_scan_options){.shard = 3, .shards = 3}, NULL, &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "another shard (2/3, not 3/3)"));
    cn_study *study;
    err = (cn_error){0};
    assert_int_equal(cn_study_open(&study, tempdir_path(f->dir, "done"), &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "clipneuron merge"));
}

static cn_status merge(const fixture *f, const char *const *names, size_t n, const char *fingerprint, cn_error *err)
{
    const char *paths[8];
    char text[8][1024];
    source s;
    memset(err, 0, sizeof *err);
    for (size_t i = 0; i < n; i++) {
        snprintf(text[i], sizeof text[i], "%s/%s", f->dir, names[i]);
        paths[i] = text[i];
    }
    fake_open(&s, fingerprint, 4);
    const cn_scan_options o = {.words = words};
    const cn_status st = merge_source(&s, paths, n, tempdir_path(f->dir, "no"), &o, NULL, err);
    s.close(&s);
    return st;
}

static void parts_that_do_not_belong_together_are_refused(void **state)
{
    const fixture *f = *state;
    cn_error err;
    must_scan(f->dir, "a", (cn_scan_options){.shard = 1, .shards = 2}, NULL);
    must_scan(f->dir, "b", (cn_scan_options){.shard = 2, .shards = 2}, NULL);
    must_scan(f->dir, "max", (cn_scan_options){.shard = 2, .shards = 2, .reduce = CN_REDUCE_MAX}, NULL);
    must_scan(f->dir, "third", (cn_scan_options){.shard = 2, .shards = 3}, NULL);
    assert_int_equal(merge(f, (const char *[]){"a"}, 1, "f00d", &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "part 2 of 2 is missing"));
    assert_int_equal(merge(f, (const char *[]){"a", "a"}, 2, "f00d", &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "are both part 1 of 2"));
    assert_int_equal(merge(f, (const char *[]){"a", "max"}, 2, "f00d", &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "another reduce: mean and max"));
    assert_int_equal(merge(f, (const char *[]){"a", "third"}, 2, "f00d", &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "one of 3"));
    assert_int_equal(merge(f, (const char *[]){"a", "b"}, 2, "beef", &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "another model"));
    assert_int_equal(merge(f, (const char *[]){"a", "whole"}, 2, "f00d", &err), CN_ENOTFOUND);
    assert_int_equal(merge(f, (const char *[]){"a", "nothing"}, 2, "f00d", &err), CN_ENOTFOUND);
    assert_int_equal(access(tempdir_path(f->dir, "no"), F_OK), -1);
}

/* Cuts bytes out of the parts' files, or changes them: a reason, and nothing made. */
static void damaged_parts_are_refused(void **state)
{
    const fixture *f = *state;
    static const char *const files[] = {"work.sqlite", "work.1.npz", "layer4.0.add.mean.raw", "sample.0.raw"};
    cn_error err;
    must_scan(f->dir, "a", (cn_scan_options){.shard = 1, .shards = 2}, NULL);
    must_scan(f->dir, "b", (cn_scan_options){.shard = 2, .shards = 2}, NULL);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[64];
        size_t size;
        snprintf(name, sizeof name, "b/%s", files[i]);
        char *good = tempdir_read(tempdir_path(f->dir, name), &size);
        unlink(tempdir_path(f->dir, name));
        assert_true(merge(f, (const char *[]){"a", "b"}, 2, "f00d", &err) != CN_OK);
        assert_true(err.text[0]);
        tempdir_write(f->dir, name, good, size / 2);
        assert_true(merge(f, (const char *[]){"a", "b"}, 2, "f00d", &err) != CN_OK);
        assert_true(err.text[0]);
        tempdir_write(f->dir, name, good, size);
        free(good);
    }
    assert_int_equal(access(tempdir_path(f->dir, "no"), F_OK), -1);
    assert_int_equal(merge(f, (const char *[]){"b", "a"}, 2, "f00d", &err), CN_OK);
}

static void parts_of_an_unknown_kind_are_refused(void **state)
{
    const fixture *f = *state;
    static const char *const parts[] = {"a", "b"};
    cn_error err;
    for (int k = 0; k < 2; k++) {
        char name[32];
        sqlite3 *db;
        must_scan(f->dir, parts[k], (cn_scan_options){.shard = k + 1, .shards = 2}, NULL);
        snprintf(name, sizeof name, "%s/work.sqlite", parts[k]);
        assert_int_equal(sqlite3_open(tempdir_path(f->dir, name), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "UPDATE meta SET value = 'median' WHERE key = 'setting.reduce'", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_changes(db), 1);
        sqlite3_close(db);
    }
    assert_int_equal(merge(f, parts, 2, "f00d", &err), CN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "/a: a part with --reduce \"median\", which this program does not know"));
}

static void work_with_other_settings_is_not_mixed(void **state)
{
    const fixture *f = *state;
    cn_error err;
    int64_t at = 50;
    const cn_scan_options stopped = {.progress = stop_at, .user = &at};
    assert_int_equal(scan(f->dir, "study", stopped, NULL, &err), CN_ECANCELED);
    assert_int_equal(scan(f->dir, "study", (cn_scan_options){.seed = 5}, NULL, &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "another seed (0, not 5)"));
    assert_int_equal(scan(f->dir, "study", (cn_scan_options){.no_matrices = true}, NULL, &err), CN_EMISMATCH);
    tempdir_text(f->dir, "pics/readme.txt", "still no picture");
    char *picture;
    size_t size;
    picture = tempdir_read(tempdir_path(f->dir, "pics/red/000.png"), &size);
    tempdir_write(f->dir, "pics/red/more.png", picture, size);
    free(picture);
    assert_int_equal(scan(f->dir, "study", (cn_scan_options){0}, NULL, &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "another listing"));
    cn_scan_result r;
    must_scan(f->dir, "study", (cn_scan_options){.restart = true}, &r);
    assert_int_equal(r.resumed, 0);
    assert_int_equal(r.images, 2 * EACH + 1);
}

static void two_scans_do_not_share_a_folder(void **state)
{
    const fixture *f = *state;
    cn_error err = {0};
    part *p;
    part_settings none = {0};
    assert_int_equal(part_begin(&p, tempdir_path(f->dir, "study.part"), &none, false, &err), CN_OK);
    assert_int_equal(scan(f->dir, "study", (cn_scan_options){0}, NULL, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "another scan works in it"));
    part_remove(p);
    must_scan(f->dir, "study", (cn_scan_options){0}, NULL);
}

/* test_resume FOLDER A B TOLERANCE: for tools/kill-scans.sh, are these two studies the same? */
static int compare(char **names)
{
    char *a = dump_study(names[1], names[2]), *b = dump_study(names[1], names[3]);
    dump_same(a, b, strtod(names[4], NULL));
    free(a);
    free(b);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5)
        return compare(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cancelled_scan_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scan_that_only_lacks_its_study_makes_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_scan_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_make_the_study, setup, teardown),
        cmocka_unit_test_setup_teardown(class_tokens_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_part_that_is_done_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_that_do_not_belong_together_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_parts_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_of_an_unknown_kind_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(work_with_other_settings_is_not_mixed, setup, teardown),
        cmocka_unit_test_setup_teardown(two_scans_do_not_share_a_folder, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
