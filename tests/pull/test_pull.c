/* Downloads against a local server that breaks off, lies, and fails. */
#include "clipneuron/pull.h"

#include "base/memory.h"
#include "file/sha256.h"
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { SIZE = 300000 };

static unsigned char bytes[SIZE];
static char sum[65];

struct world {
    struct server server;
    char root[64], folder[96], url[128], file[160], part[160];
    cn_pull_options options;
};

static int make_bytes(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(x >> 24);
    }
    sha256 *s = NULL;
    int bad = sha256_open(&s, NULL) != CN_OK || sha256_add(s, bytes, SIZE, NULL) != CN_OK ||
              sha256_hex(s, sum, NULL) != CN_OK;
    sha256_close(s);
    setenv("no_proxy", "*", 1); /* the server is this process */
    return bad;
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->server.bytes = bytes;
    w->server.size = SIZE;
    if (!server_start(&w->server))
        return -1;
    snprintf(w->root, sizeof w->root, "/tmp/clipneuron-pull-XXXXXX");
    if (!mkdtemp(w->root))
        return -1;
    snprintf(w->folder, sizeof w->folder, "%s/made/models", w->root);
    snprintf(w->file, sizeof w->file, "%s/net.pt", w->folder);
    snprintf(w->part, sizeof w->part, "%s/net.pt.part", w->folder);
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/dir/net.pt?x=1", w->server.port);
    w->options = (cn_pull_options){.folder = w->folder, .attempts = 1, .wait_ms = 1};
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    server_stop(&w->server);
    unlink(w->file);
    unlink(w->part);
    rmdir(w->folder);
    char middle[80];
    snprintf(middle, sizeof middle, "%s/made", w->root);
    rmdir(middle);
    int left = rmdir(w->root);
    free(w);
    return left; /* anything else that was left behind fails the test */
}

static int64_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

static void assert_whole(const struct world *w)
{
    static unsigned char have[SIZE + 1];
    FILE *f = fopen(w->file, "rb");
    assert_non_null(f);
    assert_int_equal(fread(have, 1, sizeof have, f), SIZE);
    fclose(f);
    assert_memory_equal(have, bytes, SIZE);
    assert_int_equal(size_of(w->part), -1);
}

static void put_part(const struct world *w, size_t size, int flip)
{
    char middle[80];
    snprintf(middle, sizeof middle, "%s/made", w->root);
    mkdir(middle, 0700);
    mkdir(w->folder, 0700);
    FILE *f = fopen(w->part, "wb");
    assert_non_null(f);
    for (size_t i = 0; i < size; i++)
        fputc(bytes[i % SIZE] ^ flip, f);
    fclose(f);
}

static cn_status fetch(struct world *w, cn_pull_result *result, cn_error *err)
{
    memset(err, 0, sizeof *err);
    return cn_pull_url(w->url, sum, &w->options, result, err);
}

static void fetches_checks_and_names_the_file(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_string_equal(r.path, w->file);
    assert_int_equal(r.bytes, SIZE);
    assert_int_equal(r.received, SIZE);
    assert_int_equal(r.resumed, 0);
    assert_string_equal(w->server.last_path, "/dir/net.pt?x=1");
    assert_whole(w);
}

static void file_that_is_there_is_checked_and_not_fetched(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(r.received, 0);
    assert_int_equal(r.bytes, SIZE);
    assert_int_equal(w->server.requests, 1);
    assert_whole(w);
    w->options.force = true;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(r.received, SIZE);
    assert_whole(w);
}

static void damaged_file_that_is_there_is_replaced(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    FILE *f = fopen(w->file, "r+b");
    fputc(bytes[0] ^ 1, f);
    fclose(f);
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(r.received, SIZE);
    assert_whole(w);
}

static void broken_connection_keeps_what_came_and_goes_on(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->server.cut_after = 100000;
    w->server.cuts = 1;
    assert_int_equal(fetch(w, &r, &err), CN_ENETWORK);
    assert_non_null(strstr(err.text, "100000 of 300000 bytes are kept"));
    assert_int_equal(size_of(w->part), 100000);
    assert_int_equal(size_of(w->file), -1);
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_string_equal(w->server.last_range, "bytes=100000-");
    assert_int_equal(r.resumed, 100000);
    assert_int_equal(r.received, SIZE - 100000);
    assert_whole(w);
}

static void broken_connection_is_taken_up_in_the_same_call(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->server.cut_after = 20000;
    w->server.cuts = -1;
    w->options.attempts = 2; /* each brings bytes, so fifteen are allowed */
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(w->server.requests, 15);
    assert_int_equal(r.received, SIZE);
    assert_whole(w);
}

static void server_that_is_busy_is_asked_again(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->server.status = 503;
    w->server.status_times = 2;
    w->options.attempts = 3;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_whole(w);
    w->options.force = true;
    w->server.status_times = -1;
    assert_int_equal(fetch(w, &r, &err), CN_ENETWORK);
    assert_non_null(strstr(err.text, "503"));
    assert_whole(w); /* the old file stays until a new one is right */
}

static void server_without_ranges_starts_anew(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    put_part(w, 5000, 0);
    w->server.no_ranges = true;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_string_equal(w->server.last_range, "bytes=5000-");
    assert_int_equal(r.resumed, 0);
    assert_int_equal(r.received, SIZE);
    assert_whole(w);
}

static void server_that_sends_another_range_is_refused(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    put_part(w, 5000, 0);
    w->server.wrong_range = true;
    assert_int_equal(fetch(w, &r, &err), CN_ENETWORK);
    assert_non_null(strstr(err.text, "asked for bytes from 5000, got them from 5001"));
    assert_int_equal(size_of(w->part), 5000);
}

static void part_that_is_complete_needs_no_bytes(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    put_part(w, SIZE, 0);
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(r.received, 0);
    assert_whole(w);
}

static void part_that_is_too_long_is_fetched_anew(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    put_part(w, SIZE + 10, 0);
    w->options.attempts = 2;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(r.received, SIZE);
    assert_whole(w);
}

static void part_that_is_damaged_is_fetched_anew_once(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    put_part(w, 5000, 0xff);
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(w->server.requests, 2);
    assert_whole(w);
}

static void wrong_sum_is_refused_and_removed(void **state)
{
    struct world *w = *state;
    static unsigned char others[SIZE];
    cn_pull_result r;
    cn_error err;
    w->server.bytes = others;
    assert_int_equal(fetch(w, &r, &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "wrong sum"));
    assert_non_null(strstr(err.text, sum));
    assert_int_equal(w->server.requests, 1);
    assert_int_equal(size_of(w->part), -1);
    assert_int_equal(size_of(w->file), -1);
}

static void body_that_ends_early_without_a_length_has_a_wrong_sum(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->server.no_length = true;
    w->server.cut_after = 1000;
    w->server.cuts = 1;
    assert_int_equal(fetch(w, &r, &err), CN_EMISMATCH);
    assert_int_equal(size_of(w->part), -1);
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_whole(w);
}

static void missing_file_leaves_nothing(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->server.status = 404;
    w->server.status_times = -1;
    w->options.attempts = 5; /* which a 404 does not use */
    assert_int_equal(fetch(w, &r, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "the server answered 404 (not found)"));
    assert_int_equal(w->server.requests, 1);
    assert_int_equal(size_of(w->part), -1);
}

static void redirects_are_followed(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    put_part(w, 77, 0);
    w->server.redirect = true;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_string_equal(w->server.last_path, "/moved/dir/net.pt?x=1");
    assert_string_equal(w->server.last_range, "bytes=77-");
    assert_whole(w);
}

static void file_that_is_too_large_is_refused(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->options.max_bytes = SIZE - 1;
    assert_int_equal(fetch(w, &r, &err), CN_ELIMIT);
    assert_int_equal(size_of(w->part), -1); /* refused before the first byte */
    w->server.no_length = true;
    assert_int_equal(fetch(w, &r, &err), CN_ELIMIT);
    assert_in_range(size_of(w->part), 1, SIZE - 1);
}

static void file_that_the_disk_cannot_hold_is_refused_at_once(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->server.announce = (size_t)1 << 53;
    w->options.max_bytes = INT64_MAX;
    assert_int_equal(fetch(w, &r, &err), CN_EIO);
    assert_non_null(strstr(err.text, "the disk is too full"));
    assert_int_equal(size_of(w->part), -1);
}

static void full_disk_keeps_what_came_and_goes_on(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 65536;
    signal(SIGXFSZ, SIG_IGN); /* write() says EFBIG then, as it says ENOSPC on a full disk */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    cn_status st = fetch(w, &r, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(st, CN_EIO);
    assert_non_null(strstr(err.text, "File too large after 65536 bytes; they are kept"));
    assert_int_equal(size_of(w->part), 65536);
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(r.resumed, 65536);
    assert_whole(w);
}

static void folder_that_cannot_be_made_is_named(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    char folder[128];
    snprintf(folder, sizeof folder, "/dev/null/models");
    w->options.folder = folder;
    assert_int_equal(fetch(w, &r, &err), CN_EIO);
    assert_non_null(strstr(err.text, "/dev/null"));
    assert_int_equal(w->server.requests, 0);
}

static void second_call_for_the_same_file_is_refused(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    put_part(w, 100, 0);
    int fd = open(w->part, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(fetch(w, &r, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "another process is fetching this file"));
    assert_int_equal(size_of(w->part), 100);
    close(fd);
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_whole(w);
}

static bool stop_at_half(const cn_pull_progress *p, void *user)
{
    int64_t *largest = user;
    assert_true(p->done >= *largest); /* it only grows */
    *largest = p->done;
    assert_true(p->total == -1 || p->total == SIZE);
    return p->done < 100000;
}

static void progress_may_stop_and_the_next_call_goes_on(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    int64_t largest = 0;
    w->options.progress = stop_at_half;
    w->options.user = &largest;
    w->server.cut_after = 150000;
    w->server.cuts = 1;
    w->server.stall = true; /* so that the rest is not there already when the callback says no */
    assert_int_equal(fetch(w, &r, &err), CN_ECANCELED);
    assert_int_equal(size_of(w->part), largest);
    assert_in_range(largest, 100000, 150000);
    w->options.progress = NULL;
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(r.resumed, largest);
    assert_whole(w);
}

static void transfer_that_stalls_is_broken_off(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->options.stall_s = 1;
    w->server.cut_after = 1000;
    w->server.cuts = 1;
    w->server.stall = true;
    assert_int_equal(fetch(w, &r, &err), CN_ENETWORK);
    assert_int_equal(size_of(w->part), 1000);
}

static void killed_process_leaves_a_part_to_go_on_from(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    w->server.cut_after = 150000;
    w->server.cuts = 1;
    w->server.stall = true;
    fflush(stdout);
    pid_t child = fork(); /* the server's thread stays on this side */
    assert_true(child >= 0);
    if (child == 0) {
        close(w->server.listener);
        _exit(fetch(w, &r, &err) == CN_OK ? 0 : 1);
    }
    while (size_of(w->part) < 150000)
        usleep(1000);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(fetch(w, &r, &err), CN_OK);
    assert_int_equal(r.resumed, 150000);
    assert_whole(w);
}

static void server_that_is_not_there_is_named(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:1/net.pt");
    assert_int_equal(fetch(w, &r, &err), CN_ENETWORK);
    assert_int_equal(strncmp(err.text, "http://127.0.0.1:1/net.pt: ", 27), 0);
    assert_int_equal(size_of(w->part), -1);
}

static void addresses_and_sums_are_checked_before_anything_is_asked(void **state)
{
    struct world *w = *state;
    cn_error err = {0};
    assert_int_equal(cn_pull_url("file:///etc/passwd", sum, &w->options, NULL, &err), CN_EUNSUPPORTED);
    assert_int_equal(cn_pull_url("ftp://127.0.0.1/x", sum, &w->options, NULL, NULL), CN_EUNSUPPORTED);
    assert_int_equal(cn_pull_url(w->url, "abc", &w->options, NULL, NULL), CN_EINVAL);
    assert_int_equal(cn_pull_url("http://127.0.0.1/", sum, &w->options, NULL, NULL), CN_EINVAL);
    assert_int_equal(cn_pull_url("http://127.0.0.1", sum, &w->options, NULL, NULL), CN_EINVAL);
    assert_int_equal(cn_pull_url("http://127.0.0.1/a/..", sum, &w->options, NULL, NULL), CN_EINVAL);
    assert_int_equal(cn_pull_url("http://127.0.0.1/a/.bashrc", sum, &w->options, NULL, NULL), CN_EINVAL);
    assert_int_equal(w->server.requests, 0);
}

static void released_models_are_asked_for_below_the_mirror(void **state)
{
    struct world *w = *state;
    const cn_pull_model *m = NULL;
    cn_error err = {0};
    char base[64], path[160];
    snprintf(base, sizeof base, "http://127.0.0.1:%d/mirror/", w->server.port);
    w->options.url_base = base;
    assert_int_equal(cn_pull_find("ViT-B/32", &m, NULL), CN_OK);
    assert_int_equal(cn_pull(m, &w->options, NULL, &err), CN_EMISMATCH); /* ours are not OpenAI's bytes */
    snprintf(path, sizeof path, "/mirror/%s/ViT-B-32.pt", m->sha256);
    assert_string_equal(w->server.last_path, path);
}

static void failing_allocations_are_reported(void **state)
{
    struct world *w = *state;
    cn_pull_result r;
    cn_error err;
    for (size_t n = 1; n < 1000; n++) {
        memset(&err, 0, sizeof err);
        w->options.force = n % 2;
        cn_memory_fail_at(n, false);
        cn_status st = cn_pull_url(w->url, sum, &w->options, &r, &err);
        size_t count = cn_memory_count();
        cn_memory_fail_at(0, false);
        if (st == CN_OK && count < n) {
            assert_whole(w);
            assert_true(n > 3);
            return;
        }
        assert_int_equal(st, CN_ENOMEM);
        assert_true(err.text[0]);
    }
    fail_msg("never succeeds");
}

static void names_are_found_however_written(void **state)
{
    (void)state;
    static const char *const ways[][2] = {
        {"RN50", "RN50"},
        {"rn50x4", "RN50x4"},
        {"ViT-B/32", "ViT-B/32"},
        {"vit-b-32", "ViT-B/32"},
        {"ViT_B_16", "ViT-B/16"},
        {"ViT-L-14-336px", "ViT-L/14@336px"},
        {"ViT-L/14@336", "ViT-L/14@336px"},
        {"vitl14", "ViT-L/14"},
    };
    const cn_pull_model *m = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(cn_pull_find(ways[i][0], &m, NULL), CN_OK);
        assert_string_equal(m->name, ways[i][1]);
    }
    cn_error err = {0};
    assert_int_equal(cn_pull_find("RN51", &m, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "RN50x64, ViT-B/32"));
    assert_int_equal(cn_pull_find("", &m, NULL), CN_ENOTFOUND);
}

static void published_sums_start_as_published(void **state)
{
    (void)state;
    static const char *const starts[] = {"afeb0e10", "8fa8567b", "7e526bd1", "52378b40", "be1cfb55",
                                         "40d36571", "5806e77c", "b8cca3fd", "3035c92b"};
    assert_int_equal(cn_pull_count(), 9);
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(strlen(cn_pull_at(i)->sha256), 64);
        assert_memory_equal(cn_pull_at(i)->sha256, starts[i], 8);
    }
    assert_null(cn_pull_at(9));
}

static void folder_follows_the_xdg_variables(void **state)
{
    (void)state;
    char folder[CN_PULL_PATH_SIZE];
    setenv("HOME", "/home/x", 1);
    setenv("XDG_CACHE_HOME", "/cache", 1);
    assert_int_equal(cn_pull_folder(folder, NULL), CN_OK);
    assert_string_equal(folder, "/cache/clipneuron/models");
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_int_equal(cn_pull_folder(folder, NULL), CN_OK);
    assert_string_equal(folder, "/home/x/.cache/clipneuron/models");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_int_equal(cn_pull_folder(folder, NULL), CN_ENOTFOUND);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(fetches_checks_and_names_the_file),
        SERVED(file_that_is_there_is_checked_and_not_fetched),
        SERVED(damaged_file_that_is_there_is_replaced),
        SERVED(broken_connection_keeps_what_came_and_goes_on),
        SERVED(broken_connection_is_taken_up_in_the_same_call),
        SERVED(server_that_is_busy_is_asked_again),
        SERVED(server_without_ranges_starts_anew),
        SERVED(server_that_sends_another_range_is_refused),
        SERVED(part_that_is_complete_needs_no_bytes),
        SERVED(part_that_is_too_long_is_fetched_anew),
        SERVED(part_that_is_damaged_is_fetched_anew_once),
        SERVED(wrong_sum_is_refused_and_removed),
        SERVED(body_that_ends_early_without_a_length_has_a_wrong_sum),
        SERVED(missing_file_leaves_nothing),
        SERVED(redirects_are_followed),
        SERVED(file_that_is_too_large_is_refused),
        SERVED(file_that_the_disk_cannot_hold_is_refused_at_once),
        SERVED(full_disk_keeps_what_came_and_goes_on),
        SERVED(folder_that_cannot_be_made_is_named),
        SERVED(second_call_for_the_same_file_is_refused),
        SERVED(progress_may_stop_and_the_next_call_goes_on),
        SERVED(transfer_that_stalls_is_broken_off),
        SERVED(killed_process_leaves_a_part_to_go_on_from),
        SERVED(server_that_is_not_there_is_named),
        SERVED(addresses_and_sums_are_checked_before_anything_is_asked),
        SERVED(released_models_are_asked_for_below_the_mirror),
        SERVED(failing_allocations_are_reported),
        cmocka_unit_test(names_are_found_however_written),
        cmocka_unit_test(published_sums_start_as_published),
        cmocka_unit_test(folder_follows_the_xdg_variables),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
