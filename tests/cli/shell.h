/* tests/cli/shell.h -- runs command lines in a temporary folder with the built program first on PATH,
 * and keeps what they print. For the tests of the program only. */
#ifndef TESTS_CLI_SHELL_H
#define TESTS_CLI_SHELL_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN CN_TEST_DATA "/golden"
#define RN GOLDEN "/rn-small.safetensors"
#define VIT GOLDEN "/vit-small.safetensors"

static char shell_folder[64];
static char shell_out[1 << 20], shell_err[1 << 16];

static inline void shell_read(const char *name, char *into, size_t room)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", shell_folder, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(into, 1, room - 1, f);
    into[n] = '\0';
    fclose(f);
}

/* Runs through sh in the temporary folder; returns the exit code, with shell_out and shell_err filled. */
static inline int shell(const char *fmt, ...)
{
    static char line[1 << 16], whole[(1 << 16) + 256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    snprintf(whole, sizeof whole, "cd %s && { %s\n} > .out 2> .err", shell_folder, line);
    int status = system(whole);
    shell_read(".out", shell_out, sizeof shell_out);
    shell_read(".err", shell_err, sizeof shell_err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int shell_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static inline int shell_begin(void **state)
{
    (void)state;
    static const char *const programs = CN_BINARY_DIR;
    char path[8192];
    snprintf(path, sizeof path, "%s:%s", programs, getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    setenv("PATH", path, 1);
    setenv("LC_ALL", "C", 1);
    /* fontconfig keeps its tables to the end of the process, and only it can free them */
    setenv("LSAN_OPTIONS", "suppressions=" CN_SOURCE_DIR "/tools/lsan.supp:print_suppressions=0", 0);
    unsetenv("CLIPNEURON_MODEL");
    snprintf(shell_folder, sizeof shell_folder, "/tmp/clipneuron-cli-XXXXXX");
    if (!mkdtemp(shell_folder))
        return -1;
    setenv("HOME", shell_folder, 1);
    setenv("XDG_CACHE_HOME", shell_folder, 1);
    return shell("cp %s/chelsea.png cat.png; cp %s/rocket.jpg .; mkdir photos shards; "
                 "cp $(ls %s/demo-pictures/*.png | head -n 30) photos; cd photos; "
                 "tar cf ../shards/00.tar $(ls | head -n 15); tar cf ../shards/01.tar $(ls | tail -n 15)",
                 GOLDEN, GOLDEN, CN_BINARY_DIR);
}

static inline int shell_end(void **state)
{
    (void)state;
    return nftw(shell_folder, shell_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* shell_begin, and then p/LABEL/ with the demo pictures of each label (words apart by blanks), and `study`, a scan of them. */
static inline int shell_begin_study(void **state, const char *labels)
{
    const int failed = shell_begin(state);
    return failed ? failed
                  : shell("for c in %s; do mkdir -p p/$c; cp %s/demo-pictures/$c-*.png p/$c; done\n"
                          "clipneuron scan --quiet p -o study > /dev/null",
                          labels, CN_BINARY_DIR);
}

/* Puts in front of a command line: a system that has no fonts at all, or whose fontconfig says so. */
#define WITHOUT_FONTS \
    "mkdir -p none; echo \"<?xml version='1.0'?><fontconfig><dir>$PWD/none</dir><cachedir>$PWD/none</cachedir></fontconfig>\" > none.conf; " \
    "FONTCONFIG_FILE=$PWD/none.conf "
#define FONT CN_TEST_DATA "/fonts/DejaVuSans.ttf"

/* The number behind a key in what was printed. */
static inline double shell_number(const char *key)
{
    double x = -1;
    const char *at = strstr(shell_out, key);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(key), " %lf", &x), 1);
    return x;
}

/* A wrong use of the program, and what is said about it. */
struct refusal {
    const char *arguments;
    int code;
    const char *says;
};

/* Each is refused with its exit code in one line, and nothing on standard output. */
static inline void shell_refuses(const char *command, const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int code = shell("%s %s", command, cases[i].arguments);
        if (code != cases[i].code || !strstr(shell_err, cases[i].says) || strchr(shell_err, '\n') != strrchr(shell_err, '\n'))
            fail_msg("%s %s: exit %d: %s", command, cases[i].arguments, code, shell_err);
        assert_string_equal(shell_out, "");
    }
}

#define IN_A_NEW_FOLDER(test) cmocka_unit_test_setup_teardown(test, shell_begin, shell_end)

static inline bool shell_exists(const char *name)
{
    char path[256];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", shell_folder, name);
    return stat(path, &info) == 0;
}

/* Full path of a file in the temporary folder; overwritten by the next call. */
static inline const char *shell_path(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", shell_folder, name);
    return path;
}

#endif
