/* Output files appear whole or not at all. */
#include "folder.h"

#include "base/memory.h"
#include "file/output.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void file_appears_at_commit_only(void **state)
{
    (void)state;
    folder f = make_folder();
    cn_error err = {0};
    output *o;
    assert_int_equal(output_open(&o, in(&f, "a"), &err), CN_OK);
    assert_string_equal(output_path(o), in(&f, "a"));
    assert_int_equal(output_text(o, "hello ", &err), CN_OK);
    assert_int_equal(output_printf(o, &err, "%d%c", 42, '\n'), CN_OK);
    assert_int_equal(output_position(o), 9);
    assert_int_equal(access(in(&f, "a"), F_OK), -1);
    assert_int_equal(output_commit(o, &err), CN_OK);
    check_file(in(&f, "a"), "hello 42\n", 9);
    assert_int_equal(count_files(&f), 1);
    remove_folder(&f);
}

static void discard_leaves_the_old_file(void **state)
{
    (void)state;
    folder f = make_folder();
    output *o;
    assert_int_equal(output_file(in(&f, "a"), "old", 3, NULL), CN_OK);
    assert_int_equal(output_open(&o, in(&f, "a"), NULL), CN_OK);
    assert_int_equal(output_text(o, "new and longer", NULL), CN_OK);
    output_discard(o);
    check_file(in(&f, "a"), "old", 3);
    assert_int_equal(count_files(&f), 1);
    output_discard(NULL);
    remove_folder(&f);
}

static void large_and_long_pieces_are_whole(void **state)
{
    (void)state;
    folder f = make_folder();
    size_t size = 300001;
    char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + i % 23);
    bytes[size] = '\0';
    output *o;
    assert_int_equal(output_open(&o, in(&f, "a"), NULL), CN_OK);
    assert_int_equal(output_write(o, bytes, 1000, NULL), CN_OK);
    assert_int_equal(output_write(o, bytes + 1000, 65000, NULL), CN_OK);
    assert_int_equal(output_write(o, NULL, 0, NULL), CN_OK);
    assert_int_equal(output_printf(o, NULL, "%s", bytes + 66000), CN_OK);
    assert_int_equal(output_position(o), size);
    assert_int_equal(output_commit(o, NULL), CN_OK);
    check_file(in(&f, "a"), bytes, size);
    free(bytes);
    remove_folder(&f);
}

static void permissions_of_the_old_file_stay(void **state)
{
    (void)state;
    folder f = make_folder();
    struct stat info;
    mode_t mask = umask(027);
    assert_int_equal(output_file(in(&f, "a"), "1", 1, NULL), CN_OK);
    umask(mask);
    assert_int_equal(stat(in(&f, "a"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(chmod(in(&f, "a"), 0604), 0);
    assert_int_equal(output_file(in(&f, "a"), "2", 1, NULL), CN_OK);
    assert_int_equal(stat(in(&f, "a"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0604);
    remove_folder(&f);
}

static void links_keep_pointing(void **state)
{
    (void)state;
    folder f = make_folder();
    struct stat info;
    assert_int_equal(symlink("target", in(&f, "link")), 0); /* does not exist yet */
    assert_int_equal(output_file(in(&f, "link"), "x", 1, NULL), CN_OK);
    assert_int_equal(lstat(in(&f, "link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    check_file(in(&f, "target"), "x", 1);
    assert_int_equal(output_file(in(&f, "link"), "yz", 2, NULL), CN_OK);
    check_file(in(&f, "target"), "yz", 2);
    assert_int_equal(symlink("loop", in(&f, "loop")), 0);
    cn_error err = {0};
    assert_int_equal(output_file(in(&f, "loop"), "x", 1, &err), CN_EIO);
    remove_folder(&f);
}

static void full_device_is_reported(void **state)
{
    (void)state;
    cn_error err = {0};
    assert_int_equal(output_file("/dev/full", "x", 1, &err), CN_EIO);
    assert_string_equal(err.text, "/dev/full: cannot be written: No space left on device");
    assert_int_equal(output_file("/dev/null", "x", 1, NULL), CN_OK);
    struct stat info;
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode)); /* not replaced by a file */
}

/* A limit on the file's size stands for a full disk: the write fails half way. */
static void full_disk_leaves_nothing_behind(void **state)
{
    (void)state;
    folder f = make_folder();
    assert_int_equal(output_file(in(&f, "old"), "old", 3, NULL), CN_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static char bytes[200000];
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {100000, 100000};
        setrlimit(RLIMIT_FSIZE, &limit);
        cn_error err = {0}, again = {0};
        output *o;
        if (output_open(&o, in(&f, "old"), &err) != CN_OK ||
            output_write(o, bytes, sizeof bytes, &err) != CN_EIO ||
            !strstr(err.text, "old: cannot be written: File too large"))
            _exit(1);
        if (output_write(o, "x", 1, NULL) != CN_EIO || output_commit(o, &again) != CN_EIO ||
            strcmp(again.text, err.text) != 0)
            _exit(2);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    check_file(in(&f, "old"), "old", 3);
    assert_int_equal(count_files(&f), 1);
    remove_folder(&f);
}

static void impossible_places_are_named(void **state)
{
    (void)state;
    folder f = make_folder();
    cn_error err = {0};
    assert_int_equal(output_file(in(&f, "no/such/folder"), "x", 1, &err), CN_EIO);
    assert_non_null(strstr(err.text, "no/such/folder: cannot be written: No such file or directory"));
    cn_error_clear(&err);
    assert_int_equal(output_file(f.path, "x", 1, &err), CN_EIO);
    assert_non_null(strstr(err.text, "Is a directory"));
    cn_error_clear(&err);
    assert_int_equal(output_file("", "x", 1, &err), CN_EIO);
    assert_true(err.text[0]);
    assert_int_equal(count_files(&f), 0);
    remove_folder(&f);
}

static void failing_allocations_leave_nothing_behind(void **state)
{
    (void)state;
    folder f = make_folder();
    assert_int_equal(symlink("target", in(&f, "link")), 0);
    for (size_t n = 1; n < 20; n++) {
        cn_error err = {0};
        cn_memory_fail_at(n, false);
        cn_status st = output_file(in(&f, "link"), "x", 1, &err);
        cn_memory_fail_at(0, false);
        if (st == CN_OK)
            break;
        assert_int_equal(st, CN_ENOMEM);
        assert_int_equal(count_files(&f), 1);
    }
    assert_int_equal(count_files(&f), 2);
    remove_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_appears_at_commit_only),
        cmocka_unit_test(discard_leaves_the_old_file),
        cmocka_unit_test(large_and_long_pieces_are_whole),
        cmocka_unit_test(permissions_of_the_old_file_stay),
        cmocka_unit_test(links_keep_pointing),
        cmocka_unit_test(full_device_is_reported),
        cmocka_unit_test(full_disk_leaves_nothing_behind),
        cmocka_unit_test(impossible_places_are_named),
        cmocka_unit_test(failing_allocations_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
